//! Archives that want out.

use std::os::unix::fs::symlink as plant;

use proptest::prelude::*;

use super::super::PathFault;
use super::*;

#[test]
fn paths_that_leave_are_refused_by_name() {
    let mut room = Room::new(Overwrite::Always);
    for path in [
        "/etc/lh-evil",
        "../evil",
        "a/../../evil",
        "a/./b",
        "a//b",
        "..",
        "a\0b",
        "",
    ] {
        for kind in [
            Kind::File {
                size: 4,
                sparse: None,
            },
            Kind::Directory,
            Kind::Fifo,
            Kind::Symlink {
                target: b"x".to_vec(),
            },
        ] {
            let error = room.put(&member(path, kind), b"evil").expect_err(path);
            assert!(matches!(error, Error::BadPath { .. }), "{path}: {error:?}");
        }
    }
    let error = room.put(&file("a/../b\n", 0), b"").expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("a/../b\\n: its path holds a component `..`")
    );
    assert!(!Path::new("/etc/lh-evil").exists());
    assert!(entries(&room.dir).is_empty());
    room.assert_nothing_outside();
}

#[test]
fn a_symlink_that_the_archive_planted_is_not_walked_through() {
    let mut room = Room::new(Overwrite::Always);
    room.put_whole(&symlink("out", ".."), b"");
    for member in [
        file("out/evil", 4),
        directory("out/evil/"),
        symlink("out/evil", "x"),
        hard_link("out/evil", "out/sentinel"),
        file("out/deep/evil", 4),
    ] {
        let error = room.put(&member, b"evil").expect_err("refused");
        let Error::ThroughSymlink { at, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(at, b"out");
    }
    room.assert_nothing_outside();
}

#[test]
fn a_symlink_planted_over_a_directory_in_use_is_not_walked_through() {
    let mut room = Room::new(Overwrite::Always);
    room.put_whole(&directory("a/"), b"");
    room.put_whole(&directory("a/b/"), b"");
    room.put(&file("a/b/c", 1), b"c").expect("restored");
    std::fs::remove_file(room.dir.join("a/b/c")).expect("removed");
    // The way to a/b is open; a/b is empty, and so may be replaced.
    room.put_whole(&symlink("a/b", "../.."), b"");
    let error = room
        .put(&file("a/b/evil", 4), b"evil")
        .expect_err("refused");
    assert!(matches!(error, Error::ThroughSymlink { .. }), "{error:?}");
    room.assert_nothing_outside();
    // The directory's own metadata must not go through the link either.
    let before = lstat(&room.outer).mode();
    let mut warnings = Vec::new();
    room.target
        .finish(&mut |warning| warnings.push(warning.to_string()));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("a/b: directory left"),
        "{warnings:?}"
    );
    assert_eq!(lstat(&room.outer).mode(), before);
}

#[test]
fn a_symlink_that_was_there_before_is_not_walked_through() {
    for overwrite in [Overwrite::Never, Overwrite::Older, Overwrite::Always] {
        let mut room = Room::prepared(overwrite, |dir| {
            plant("..", dir.join("up")).expect("a link");
            plant("/", dir.join("root")).expect("a link");
            plant("/proc/self/cwd", dir.join("magic")).expect("a link");
            plant("target", dir.parent().expect("outer").join("target/self")).expect("a link");
        });
        for path in [
            "up/evil",
            "root/tmp/lh-evil",
            "magic/evil",
            "up/target/evil",
        ] {
            let error = room.put(&file(path, 4), b"evil").expect_err("refused");
            assert!(matches!(error, Error::ThroughSymlink { .. }), "{error:?}");
        }
        room.assert_nothing_outside();
        assert!(!Path::new("/tmp/lh-evil").exists());
    }
}

#[test]
fn a_symlink_in_place_of_the_file_is_replaced_and_not_followed() {
    let mut room = Room::prepared(Overwrite::Always, |dir| {
        plant("../sentinel", dir.join("file")).expect("a link");
        plant("../sentinel", dir.join("fifo")).expect("a link");
        plant("..", dir.join("dir")).expect("a link");
        plant("../evil", dir.join("dangling")).expect("a link");
    });
    room.put_whole(&file("file", 4), b"evil");
    room.put_whole(&member("fifo", Kind::Fifo), b"");
    room.put_whole(&directory("dir/"), b"");
    room.put_whole(&file("dangling", 4), b"evil");
    room.assert_nothing_outside();
    assert!(lstat(&room.dir.join("file")).is_file());
    let (room, _) = room.finish();
    assert!(lstat(&room.dir.join("dir")).is_dir());
}

#[test]
fn a_symlink_in_place_of_the_file_stays_if_nothing_may_be_overwritten() {
    let mut room = Room::prepared(Overwrite::Never, |dir| {
        plant("../evil", dir.join("dangling")).expect("a link");
    });
    let outcome = room.put(&file("dangling", 4), b"evil").expect("no error");
    assert!(matches!(outcome, Outcome::Skipped(_)));
    room.assert_nothing_outside();
}

#[test]
fn hard_links_to_the_outside_are_refused() {
    let mut room = Room::prepared(Overwrite::Always, |dir| {
        plant("..", dir.join("up")).expect("a link");
        plant("../sentinel", dir.join("sentinel")).expect("a link");
        std::fs::write(dir.join("private"), "was here before").expect("a file");
    });
    for (target, why) in [
        ("../sentinel", Some(PathFault::DotDot)),
        ("/etc/passwd", Some(PathFault::Absolute)),
        ("up/sentinel", None),
        ("sentinel", None),
        ("private", None),
        ("nowhere", None),
        ("no/where", None),
    ] {
        match room
            .put(&hard_link("evil", target), b"")
            .expect_err("refused")
        {
            Error::BadLinkTarget { why: found, .. } => assert_eq!(Some(found), why),
            Error::LinkTargetMissing { .. } => assert_eq!(None, why),
            error => panic!("{target}: {error:?}"),
        }
    }
    assert!(!room.dir.join("evil").exists());
    room.assert_nothing_outside();
    room.assert_nothing_unfinished();
}

#[test]
fn a_directory_replaced_by_a_symlink_meanwhile_leads_nowhere() {
    let mut room = Room::new(Overwrite::Always);
    let Begun::Content(mut new) = room.target.begin(&file("a/b/new", 4)).expect("begun") else {
        panic!("a file wants content")
    };
    let b = room.dir.join("a/b");
    std::fs::rename(&b, room.dir.join("a/moved")).expect("moved");
    plant("../..", &b).expect("a link");
    new.data(0, b"data").expect("written");
    room.target.end(new).expect("restored");
    room.assert_nothing_outside();
    assert_eq!(
        std::fs::read(room.dir.join("a/moved/new")).expect("the file"),
        b"data"
    );
}

/// Components as an archive could hold them, good and bad.
fn component() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[abc]".prop_map(String::into_bytes),
        1 => Just(b"..".to_vec()),
        1 => Just(b".".to_vec()),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ]
}

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(component(), 1..5).prop_map(|components| components.join(&b'/'))
}

fn any_member() -> impl Strategy<Value = Member> {
    let kind = prop_oneof![
        Just(Kind::File {
            size: 4,
            sparse: None
        }),
        Just(Kind::Directory),
        Just(Kind::Fifo),
        any_path().prop_map(|target| Kind::Symlink { target }),
        Just(Kind::Symlink {
            target: b"..".to_vec()
        }),
        any_path().prop_map(|target| Kind::HardLink { target }),
    ];
    (any_path(), kind).prop_map(|(path, kind)| member(path, kind))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None,
        ..ProptestConfig::default() })]

    #[test]
    fn no_archive_reaches_outside(members in prop::collection::vec(any_member(), 1..20)) {
        let mut room = Room::new(Overwrite::Always);
        let before = lstat(&room.outer);
        for member in &members {
            let _ = room.put(member, b"evil");
        }
        room.assert_nothing_outside();
        room.assert_nothing_unfinished();
        let Room { _outer: temp, outer, mut target, .. } = room;
        target.finish(&mut |_| {});
        let after = lstat(&outer);
        prop_assert_eq!((before.mode(), before.mtime_nsec()), (after.mode(), after.mtime_nsec()));
        drop(temp);
    }
}
