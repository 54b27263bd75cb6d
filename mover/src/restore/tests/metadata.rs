//! Every attribute of every kind, as the kernel tells it afterwards.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use super::super::What;
use super::*;

#[test]
fn modes_and_times_of_all_kinds_come_back() {
    let mut room = Room::new(Overwrite::Never);
    let before_1970 = Time {
        seconds: -6,
        nanoseconds: 750_000_000,
    };
    room.put_whole(
        &Member {
            mode: 0o555,
            ..directory("dir/")
        },
        b"",
    );
    room.put_whole(
        &Member {
            mode: 0o000,
            ..directory("dir/closed/")
        },
        b"",
    );
    room.put_whole(&file("dir/closed/in", 4), b"data");
    room.put_whole(
        &Member {
            mode: 0o4751,
            ..file("dir/suid", 4)
        },
        b"data",
    );
    room.put_whole(
        &Member {
            mode: 0o400,
            mtime: before_1970,
            ..file("old", 0)
        },
        b"",
    );
    room.put_whole(
        &Member {
            mode: 0o666,
            ..member("fifo", Kind::Fifo)
        },
        b"",
    );
    room.put_whole(
        &Member {
            mode: 0o777,
            ..symlink("link", "no/where \n\u{1}")
        },
        b"",
    );
    room.put_whole(
        &Member {
            mode: 0o1777,
            ..directory("sticky/")
        },
        b"",
    );
    let (room, counts) = room.finish();
    assert_eq!(
        counts,
        Counts {
            restored: 8,
            ..Counts::default()
        }
    );

    let at = |name: &str| room.dir.join(name);
    let mode = |name: &str| lstat(&at(name)).mode() & 0o7777;
    assert_eq!((mode("dir"), mode("dir/suid")), (0o555, 0o4751));
    assert_eq!(
        (mode("old"), mode("fifo"), mode("sticky")),
        (0o400, 0o666, 0o1777)
    );
    assert!(lstat(&at("fifo")).file_type().is_fifo());
    assert_eq!(mode("dir/closed"), 0);
    for name in ["dir", "dir/closed", "dir/suid", "fifo", "link", "sticky"] {
        assert_eq!(mtime(&at(name)), THEN, "{name}");
    }
    assert_eq!(mtime(&at("old")), before_1970);
    assert_eq!(
        std::fs::read_link(at("link")).expect("a link"),
        Path::new("no/where \n\u{1}")
    );
    for name in ["dir", "dir/closed"] {
        let open = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(at(name), open).expect("a mode");
    }
}

#[test]
fn directories_finish_right_in_any_order() {
    let mut room = Room::new(Overwrite::Never);
    room.put_whole(&file("a/b/c", 1), b"c");
    room.put_whole(
        &Member {
            mode: 0o111,
            ..directory("a/b/")
        },
        b"",
    );
    room.put_whole(
        &Member {
            mode: 0o500,
            ..directory("a/")
        },
        b"",
    );
    room.put_whole(&file("a/b/d", 1), b"d");
    // The later of two is the one that counts.
    let later = Time {
        seconds: 7,
        nanoseconds: 7,
    };
    room.put_whole(
        &Member {
            mode: 0o750,
            mtime: later,
            ..directory("a/b/")
        },
        b"",
    );
    let (room, _) = room.finish();
    let (a, b) = (room.dir.join("a"), room.dir.join("a/b"));
    assert_eq!((lstat(&a).mode() & 0o7777, mtime(&a)), (0o500, THEN));
    assert_eq!((lstat(&b).mode() & 0o7777, mtime(&b)), (0o750, later));
    std::fs::set_permissions(&a, PermissionsExt::from_mode(0o700)).expect("a mode");
}

#[test]
fn directories_are_closed_until_the_end() {
    let mut room = Room::new(Overwrite::Never);
    room.put_whole(
        &Member {
            mode: 0o777,
            ..directory("a/")
        },
        b"",
    );
    room.put_whole(&file("a/b/c", 1), b"c");
    assert_eq!(lstat(&room.dir.join("a")).mode() & 0o777, 0o700);
    assert_eq!(lstat(&room.dir.join("a/b")).mode() & 0o777, 0o700);
}

#[test]
fn user_attributes_come_back_even_on_files_that_may_not_be_written() {
    if !keeps("user_attributes", "user.test", b"1") {
        return;
    }
    let xattrs = vec![
        (b"user.text".to_vec(), b"value".to_vec()),
        (b"user.empty".to_vec(), Vec::new()),
        (b"user.a=b%3D\xff".to_vec(), vec![0, 255, 10]),
    ];
    let mut room = Room::new(Overwrite::Never);
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
        let path = room.dir.join(name);
        assert_eq!(xattr(&path, "user.text").as_deref(), Some(&b"value"[..]));
        assert_eq!(xattr(&path, "user.empty").as_deref(), Some(&b""[..]));
        let mut value = [0; 8];
        let odd = rustix::fs::lgetxattr(&path, &b"user.a=b%3D\xff"[..], &mut value[..]);
        assert_eq!((odd, &value[..3]), (Ok(3), &[0, 255, 10][..]));
        assert_eq!(mtime(&path), THEN);
    }
}

#[test]
fn an_attribute_that_is_refused_is_a_named_warning() {
    let mut room = Room::new(Overwrite::Never);
    let xattrs = vec![
        (b"nonsense.\n".to_vec(), b"x".to_vec()),
        (b"user.a\0b".to_vec(), vec![]),
    ];
    let outcome = room
        .put(
            &Member {
                xattrs,
                ..file("a", 4)
            },
            b"data",
        )
        .expect("restored");
    let Outcome::Restored(warnings) = outcome else {
        panic!("skipped")
    };
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let said = warnings[0].to_string();
    assert_eq!(
        said,
        "a: restored without its extended attribute `nonsense.\\n`"
    );
    assert!(std::error::Error::source(&warnings[0]).is_some());
    assert_eq!(
        std::fs::read(room.dir.join("a")).expect("the file"),
        b"data"
    );
    let (_room, counts) = room.finish();
    assert_eq!(
        counts,
        Counts {
            restored: 1,
            incomplete: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn a_time_that_is_none_is_a_warning_and_not_now() {
    let mut room = Room::new(Overwrite::Never);
    // `UTIME_NOW`, as a crafted archive could hold it.
    let mtime = Time {
        seconds: 0,
        nanoseconds: 0x3fff_ffff,
    };
    let outcome = room
        .put(
            &Member {
                mtime,
                ..file("a", 0)
            },
            b"",
        )
        .expect("restored");
    let Outcome::Restored(warnings) = outcome else {
        panic!("skipped")
    };
    assert!(
        matches!(
            warnings[..],
            [Warning::Refused {
                what: What::Times,
                ..
            }]
        ),
        "{warnings:?}"
    );
}

#[test]
fn a_time_that_the_file_system_bends_is_a_warning() {
    let mut room = Room::new(Overwrite::Never);
    let mtime_wanted = Time {
        seconds: 1 << 40,
        nanoseconds: 5,
    };
    let far = Member {
        mtime: mtime_wanted,
        ..file("a", 0)
    };
    let Outcome::Restored(warnings) = room.put(&far, b"").expect("restored") else {
        panic!("skipped")
    };
    let said = matches!(
        warnings[..],
        [Warning::Differs {
            what: What::Times,
            ..
        }]
    );
    // Some file systems keep even the year 36,812.
    assert_eq!(
        said,
        mtime(&room.dir.join("a")) != mtime_wanted,
        "{warnings:?}"
    );
}

#[test]
fn root_restores_owners_devices_and_system_attributes() {
    if !is_root("root_restores_owners_devices_and_system_attributes") {
        return;
    }
    // VFS_CAP_REVISION_2, CAP_NET_RAW permitted and effective.
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
    .to_vec();
    let system = vec![
        (b"security.capability".to_vec(), capability.clone()),
        (b"trusted.test".to_vec(), b"t".to_vec()),
    ];
    let owned = |member| Member {
        uid: 1234,
        gid: 70_000,
        ..member
    };
    let mut room = Room::new(Overwrite::Never);
    room.put_whole(
        &Member {
            xattrs: system,
            mode: 0o6755,
            ..owned(file("bin", 4))
        },
        b"data",
    );
    room.put_whole(&owned(symlink("link", "bin")), b"");
    room.put_whole(
        &Member {
            mode: 0o2770,
            ..owned(directory("dir/"))
        },
        b"",
    );
    room.put_whole(&owned(file("dir/plain", 4)), b"data");
    let null = Kind::CharDevice { major: 1, minor: 3 };
    room.put_whole(
        &Member {
            mode: 0o666,
            ..owned(member("null", null))
        },
        b"",
    );
    let disk = Kind::BlockDevice {
        major: 259,
        minor: 300_000,
    };
    room.put_whole(&owned(member("disk", disk)), b"");
    let beyond = member(
        "beyond",
        Kind::CharDevice {
            major: 4096,
            minor: 0,
        },
    );
    assert!(matches!(
        room.put(&beyond, b""),
        Err(Error::Malformed { .. })
    ));
    let tagged = vec![(b"trusted.test".to_vec(), b"l".to_vec())];
    room.put_whole(
        &Member {
            xattrs: tagged,
            ..symlink("tagged", "bin")
        },
        b"",
    );
    let (room, _) = room.finish();

    let at = |name: &str| room.dir.join(name);
    for name in ["bin", "link", "dir", "dir/plain", "null", "disk"] {
        let stat = lstat(&at(name));
        assert_eq!((stat.uid(), stat.gid()), (1234, 70_000), "{name}");
        assert_eq!(mtime(&at(name)), THEN, "{name}");
    }
    assert_eq!(lstat(&at("bin")).mode() & 0o7777, 0o6755);
    assert_eq!(lstat(&at("dir")).mode() & 0o7777, 0o2770);
    assert_eq!(xattr(&at("bin"), "security.capability"), Some(capability));
    assert_eq!(
        xattr(&at("bin"), "trusted.test").as_deref(),
        Some(&b"t"[..])
    );
    assert_eq!(
        xattr(&at("tagged"), "trusted.test").as_deref(),
        Some(&b"l"[..])
    );
    assert_eq!(lstat(&at("null")).rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(lstat(&at("null")).mode() & 0o7777, 0o666);
    assert!(lstat(&at("disk")).file_type().is_block_device());
    assert_eq!(lstat(&at("disk")).rdev(), rustix::fs::makedev(259, 300_000));
}
