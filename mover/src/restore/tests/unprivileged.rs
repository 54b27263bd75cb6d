//! What users other than root get, and what they are told.
//!
//! Run by root, each of these tests runs itself again as `nobody`.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use longhaul_format::acl::Acl;

use super::super::What;
use super::*;

const NOBODY: u32 = 65_534;

/// Whether the test shall go on in this process. If this is root's, it has
/// been run by somebody else by then.
fn is_user(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    let exe = std::env::current_exe().expect("this program");
    let name = format!(
        "{}::{test}",
        module_path!().split_once("::").expect("a crate").1
    );
    let mut command = Command::new(exe);
    command
        .args(["--exact", &name, "--nocapture"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/");
    match command.env("TMPDIR", "/tmp").output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success(),
                "{said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(said.contains("1 passed"), "no test was run: {said}");
        }
        Err(error) => eprintln!("SKIPPED {test}: nobody cannot run it: {error}"),
    }
    false
}

#[test]
fn owners_are_left_and_counted() {
    if !is_user("owners_are_left_and_counted") {
        return;
    }
    let mut room = Room::new(Overwrite::Never);
    room.put_whole(
        &Member {
            uid: 0,
            gid: 0,
            ..file("a", 0)
        },
        b"",
    );
    room.put_whole(
        &Member {
            uid: 0,
            gid: 0,
            ..directory("d/")
        },
        b"",
    );
    room.put_whole(&file("mine", 0), b"");
    let (_room, counts) = room.finish();
    assert_eq!(
        counts,
        Counts {
            restored: 3,
            owners_left: 2,
            ..Counts::default()
        }
    );
}

#[test]
fn an_owner_that_is_asked_for_and_refused_is_a_warning() {
    if !is_user("an_owner_that_is_asked_for_and_refused_is_a_warning") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let owners = super::super::Owners::Restore;
    let options = Options {
        overwrite: Overwrite::Never,
        owners,
    };
    let mut target = Target::open(dir.path(), options).expect("a target");
    let Begun::Content(new) = target
        .begin(&Member {
            uid: 0,
            gid: 0,
            ..file("a", 0)
        })
        .expect("begun")
    else {
        panic!("a file wants content")
    };
    let Outcome::Restored(warnings) = target.end(new).expect("restored") else {
        panic!("skipped")
    };
    assert!(
        matches!(
            warnings[..],
            [Warning::Refused {
                what: What::Owner,
                ..
            }]
        ),
        "{warnings:?}"
    );
    assert_eq!(target.counts().incomplete, 1);
}

#[test]
fn set_id_bits_of_somebody_else_are_dropped_and_named() {
    if !is_user("set_id_bits_of_somebody_else_are_dropped_and_named") {
        return;
    }
    let mut room = Room::new(Overwrite::Never);
    let outcome = room.put(
        &Member {
            uid: 0,
            gid: 0,
            mode: 0o6755,
            ..file("a", 0)
        },
        b"",
    );
    let Ok(Outcome::Restored(warnings)) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        matches!(warnings[..], [Warning::SetIdDropped { .. }]),
        "{warnings:?}"
    );
    assert_eq!(lstat(&room.dir.join("a")).mode() & 0o7777, 0o755);
    room.put_whole(
        &Member {
            mode: 0o6755,
            ..file("mine", 0)
        },
        b"",
    );
    assert_eq!(lstat(&room.dir.join("mine")).mode() & 0o7777, 0o6755);
}

#[test]
fn devices_and_system_attributes_are_refused_by_name_and_the_restore_goes_on() {
    let name = "devices_and_system_attributes_are_refused_by_name_and_the_restore_goes_on";
    if !is_user(name) {
        return;
    }
    let mut room = Room::new(Overwrite::Never);
    let error = room.put(
        &member("null", Kind::CharDevice { major: 1, minor: 3 }),
        b"",
    );
    let error = error.expect_err("not root");
    assert!(!error.ends_restore());
    let said = "null: cannot make the device; restore as root, to a file system that allows it";
    assert_eq!(error.to_string(), said);
    let xattrs = vec![(b"trusted.test".to_vec(), b"t".to_vec())];
    let outcome = room.put(
        &Member {
            xattrs,
            ..file("a", 4)
        },
        b"data",
    );
    let Ok(Outcome::Restored(warnings)) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(matches!(
        warnings[..],
        [Warning::Refused {
            what: What::Attribute(_),
            ..
        }]
    ));
    room.put_whole(&file("b", 4), b"data");
    room.assert_nothing_unfinished();
}

#[test]
fn read_only_directories_are_filled_first_and_filled_again() {
    if !is_user("read_only_directories_are_filled_first_and_filled_again") {
        return;
    }
    let outer = tempfile::tempdir().expect("a directory");
    for content in [b"first", b"again"] {
        let mut target = open(outer.path(), Overwrite::Always);
        for closed in ["d/", "d/e/"] {
            target
                .begin(&Member {
                    mode: 0o500,
                    ..directory(closed)
                })
                .expect("a directory");
        }
        let Begun::Content(mut new) = target.begin(&file("d/e/f", 5)).expect("begun") else {
            panic!("a file wants content")
        };
        new.data(0, content).expect("written");
        target.end(new).expect("restored");
        let mut warnings = Vec::new();
        target.finish(&mut |warning| warnings.push(warning));
        assert_none(&warnings);
        for closed in ["d", "d/e"] {
            let path = outer.path().join(closed);
            assert_eq!((lstat(&path).mode() & 0o7777, mtime(&path)), (0o500, THEN));
        }
        assert_eq!(
            std::fs::read(outer.path().join("d/e/f")).expect("the file"),
            content
        );
    }
    for closed in ["d", "d/e"] {
        let open = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(outer.path().join(closed), open).expect("a mode");
    }
}

#[test]
fn a_directory_of_somebody_else_is_an_error_that_names_it() {
    if !is_user("a_directory_of_somebody_else_is_an_error_that_names_it") {
        return;
    }
    let mut target = open(Path::new("/"), Overwrite::Never);
    let error = target.begin(&file("etc/lh-evil", 0)).expect_err("not ours");
    assert!(
        error
            .to_string()
            .starts_with("etc/lh-evil: cannot create the file; restore as")
    );
    assert!(
        Target::open(
            Path::new("/nowhere"),
            Options::for_this_user(Overwrite::Never)
        )
        .is_err()
    );
}

#[test]
fn attributes_come_back_on_files_that_their_owner_may_not_write() {
    if !is_user("attributes_come_back_on_files_that_their_owner_may_not_write") {
        return;
    }
    let mut room = Room::new(Overwrite::Never);
    if !keeps("user attributes", "user.test", b"1") {
        return;
    }
    let xattrs = vec![(b"user.a".to_vec(), b"value".to_vec())];
    room.put_whole(
        &Member {
            mode: 0o400,
            xattrs: xattrs.clone(),
            ..file("a", 0)
        },
        b"",
    );
    room.put_whole(
        &Member {
            mode: 0o500,
            xattrs,
            ..directory("d/")
        },
        b"",
    );
    let (room, _) = room.finish();
    for name in ["a", "d"] {
        assert_eq!(
            xattr(&room.dir.join(name), "user.a").as_deref(),
            Some(&b"value"[..])
        );
    }
}

#[test]
fn a_default_acl_that_closes_what_is_made_does_not_stop_the_restore() {
    if !is_user("a_default_acl_that_closes_what_is_made_does_not_stop_the_restore") {
        return;
    }
    let closed = "user::---,group::---,other::---"
        .parse::<Acl>()
        .expect("an ACL")
        .to_xattr();
    let flags = rustix::fs::XattrFlags::empty();
    let mut set = Ok(());
    let mut room = Room::prepared(Overwrite::Never, |dir| {
        set = rustix::fs::setxattr(dir, "system.posix_acl_default", &closed, flags);
    });
    if set.is_err() || !keeps("user attributes", "user.test", b"1") {
        eprintln!("SKIPPED: no ACLs here: {set:?}");
        return;
    }
    let xattrs = vec![(b"user.a".to_vec(), b"value".to_vec())];
    room.put_whole(
        &Member {
            xattrs,
            ..file("a", 4)
        },
        b"data",
    );
    room.put_whole(&directory("d/"), b"");
    room.put_whole(&file("d/e/f", 4), b"data");
    let (room, _) = room.finish();
    assert_eq!(lstat(&room.dir.join("a")).mode() & 0o7777, 0o644);
    assert_eq!(
        xattr(&room.dir.join("a"), "user.a").as_deref(),
        Some(&b"value"[..])
    );
    assert_eq!(
        std::fs::read(room.dir.join("d/e/f")).expect("the file"),
        b"data"
    );
}
