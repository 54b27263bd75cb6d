//! The comparison sees what it is there to see: each thing is broken once.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

use longhaul_hwtests::compare::{Leniency, compare};
use longhaul_hwtests::program::run;
use longhaul_hwtests::scratch::Scratch;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat,
    utimensat,
};

/// A small tree with each kind of entry.
fn plant(root: &Path) {
    fs::create_dir_all(root.join("folder/below")).expect("folders");
    fs::write(root.join("file"), vec![7; 3 << 20]).expect("a file");
    fs::hard_link(root.join("file"), root.join("folder/same file\n")).expect("a link");
    fs::write(root.join("folder/below/other"), b"other").expect("a file");
    let sparse = File::create(root.join("sparse")).expect("a file");
    sparse.set_len(8 << 20).expect("a hole");
    sparse.write_all_at(b"data", 4 << 20).expect("data");
    symlink("file", root.join("symlink")).expect("a symlink");
    node(&root.join("fifo"), FileType::Fifo, 0);
    set(&root.join("file"), "user.a", b"1");
    for path in [
        "file",
        "folder/below/other",
        "folder/below",
        "folder",
        "sparse",
        "symlink",
        "fifo",
        ".",
    ] {
        touch(&root.join(path), 5);
    }
}

fn node(path: &Path, kind: FileType, device: u64) {
    mknodat(CWD, path, kind, Mode::RUSR, device).expect("a node");
}

fn set(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).expect("an attribute");
}

fn touch(path: &Path, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: 1_000_000_000,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

/// Breaks one thing in the second tree, and gives the differences without
/// those of times, which nearly every change brings along.
fn differences(breaks: impl FnOnce(&Path)) -> Vec<String> {
    let scratch = Scratch::new().expect("a scratch folder");
    let (a, b) = (scratch.join("a"), scratch.join("b"));
    plant(&a);
    plant(&b);
    assert_eq!(
        compare(&a, &b, &Leniency::default()).expect("compared"),
        [""; 0]
    );
    breaks(&b);
    let but_times = Leniency {
        ignore: vec!["mtime"],
        ..Leniency::default()
    };
    compare(&a, &b, &but_times).expect("compared")
}

#[track_caller]
fn sees(expected: &str, breaks: impl FnOnce(&Path)) {
    let found = differences(breaks);
    assert!(
        found.len() == 1 && found[0].starts_with(expected),
        "{expected}: {found:#?}"
    );
}

#[test]
fn contents_and_lengths() {
    sees("folder/below/other: size: 5, 6", |b| {
        fs::write(b.join("folder/below/other"), b"other ").expect("longer");
    });
    sees("folder/below/other: content: differs from byte 3", |b| {
        fs::write(b.join("folder/below/other"), b"othar").expect("another");
    });
    // In the last byte of a file of several chunks, and in a hole.
    let found = differences(|b| {
        let file = File::options()
            .write(true)
            .open(b.join("file"))
            .expect("a file");
        file.write_all_at(b"x", (3 << 20) - 1)
            .expect("another byte");
    });
    assert_eq!(found.len(), 2, "under both names: {found:#?}");
    assert!(found[0].contains("differs from byte 3145727 on"));
    sees("sparse: content: differs from byte 1048577", |b| {
        let file = File::options()
            .write(true)
            .open(b.join("sparse"))
            .expect("a file");
        file.write_all_at(&[0, 1, 0], 1 << 20)
            .expect("data in a hole");
    });
}

#[test]
fn a_hole_that_was_filled() {
    sees("sparse: holes", |b| {
        let file = File::options()
            .write(true)
            .open(b.join("sparse"))
            .expect("a file");
        file.write_all_at(&[0; 1 << 20], 0)
            .expect("zeros in a hole");
    });
}

#[test]
fn entries_that_are_missing_or_too_many_or_something_else() {
    sees("folder/below: missing", |b| {
        fs::remove_dir_all(b.join("folder/below")).expect("removed");
    });
    sees("folder/new\\xff: extra", |b| {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"folder/new\xff");
        fs::write(b.join(name), b"").expect("a file");
    });
    sees("fifo: type: fifo, file", |b| {
        fs::remove_file(b.join("fifo")).expect("removed");
        fs::write(b.join("fifo"), b"").expect("a file");
    });
    sees("symlink: link: file, folder", |b| {
        fs::remove_file(b.join("symlink")).expect("removed");
        symlink("folder", b.join("symlink")).expect("a symlink");
        touch(&b.join("symlink"), 5);
    });
    sees("folder/same file\\n: hardlink", |b| {
        fs::remove_file(b.join("folder/same file\n")).expect("removed");
        run(Command::new("cp")
            .arg("-a")
            .arg(b.join("file"))
            .arg(b.join("folder/same file\n")))
        .and_then(|finished| finished.expect_success())
        .expect("a copy");
    });
}

#[test]
fn modes_times_and_attributes() {
    sees("folder: mode: 0o755, 0o1755", |b| {
        let folder = b.join("folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("a mode");
        fs::set_permissions(&folder, Permissions::from_mode(0o1755)).expect("a mode");
    });
    sees(
        "symlink: link-mtime: 1000000000000000005, 1000000000000000006",
        |b| {
            touch(&b.join("symlink"), 6);
        },
    );
    sees("folder: xattr: user.b is not set, user.b=x", |b| {
        set(&b.join("folder"), "user.b", b"x");
    });
    let both = differences(|b| set(&b.join("file"), "user.a", b"2"));
    assert!(
        both[0].starts_with("file: xattr: user.a=1, user.a=2"),
        "{both:#?}"
    );
    // An ACL with the mode as it was: rw-r--r--, and user 1 may nothing.
    sees(
        "folder/below/other: acl: system.posix_acl_access is not set",
        |b| {
            let mut acl = vec![2, 0, 0, 0];
            for (tag, permissions, id) in [
                (1u16, 6u16, u32::MAX),
                (2, 0, 1),
                (4, 4, u32::MAX),
                (16, 4, u32::MAX),
                (32, 4, u32::MAX),
            ] {
                acl.extend_from_slice(&tag.to_le_bytes());
                acl.extend_from_slice(&permissions.to_le_bytes());
                acl.extend_from_slice(&id.to_le_bytes());
            }
            set(
                &b.join("folder/below/other"),
                "system.posix_acl_access",
                &acl,
            );
        },
    );
}

#[test]
fn one_nanosecond_of_a_time() {
    let scratch = Scratch::new().expect("a scratch folder");
    let (a, b) = (scratch.join("a"), scratch.join("b"));
    plant(&a);
    plant(&b);
    touch(&b.join("folder/below"), 6);
    let found = compare(&a, &b, &Leniency::default()).expect("compared");
    assert_eq!(
        found,
        ["folder/below: mtime: 1000000000000000005, 1000000000000000006"]
    );
    let lenient = Leniency {
        mtime_tolerance_ns: 1,
        ..Leniency::default()
    };
    assert_eq!(compare(&a, &b, &lenient).expect("compared"), [""; 0]);
    let lenient = Leniency {
        except: vec!["folder/*:mtime"],
        ..Leniency::default()
    };
    assert_eq!(compare(&a, &b, &lenient).expect("compared"), [""; 0]);
    let lenient = Leniency {
        except: vec!["folder/*:mode"],
        ..Leniency::default()
    };
    assert_eq!(compare(&a, &b, &lenient).expect("compared").len(), 1);
}

#[test]
fn owners_and_devices() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tried: owners and devices need root");
        return;
    }
    sees("symlink: uid: 0, 7", |b| {
        lchown(b.join("symlink"), Some(7), None).expect("owned");
    });
    sees("folder: gid: 0, 7", |b| {
        lchown(b.join("folder"), None, Some(7)).expect("owned");
    });
    let scratch = Scratch::new().expect("a scratch folder");
    for (tree, minor) in [("a", 3), ("b", 5)] {
        fs::create_dir(scratch.join(tree)).expect("a folder");
        let path = scratch.join(tree).join("null");
        node(&path, FileType::CharacterDevice, makedev(1, minor));
        touch(&path, 5);
        touch(&scratch.join(tree), 5);
    }
    let found = compare(&scratch.join("a"), &scratch.join("b"), &Leniency::default());
    assert_eq!(found.expect("compared"), ["null: device: (1, 3), (1, 5)"]);
}

#[test]
fn trees_that_cannot_be_compared_are_an_error_and_not_equal() {
    let scratch = Scratch::new().expect("a scratch folder");
    assert!(compare(&scratch.join("a"), &scratch.join("b"), &Leniency::default()).is_err());
    let unknown = Leniency {
        ignore: vec!["smell"],
        ..Leniency::default()
    };
    assert!(compare(scratch.path(), scratch.path(), &unknown).is_err());
}
