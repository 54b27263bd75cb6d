//! What may be overwritten, and what stays.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use super::super::Skip;
use super::*;

fn write_with_age(path: &Path, content: &str, time: Time) {
    std::fs::write(path, content).expect("a file");
    let since = Duration::new(time.seconds.unsigned_abs(), time.nanoseconds);
    let handle = std::fs::File::options()
        .write(true)
        .open(path)
        .expect("the file");
    handle
        .set_modified(SystemTime::UNIX_EPOCH + since)
        .expect("a time");
}

fn at(seconds: i64, nanoseconds: u32) -> Time {
    Time {
        seconds,
        nanoseconds,
    }
}

/// A room with an older, an equal and a newer file than the member's time.
fn ages(overwrite: Overwrite) -> Room {
    Room::prepared(overwrite, |dir| {
        write_with_age(
            &dir.join("older"),
            "was",
            at(THEN.seconds, THEN.nanoseconds - 1),
        );
        write_with_age(&dir.join("equal"), "was", THEN);
        write_with_age(
            &dir.join("newer"),
            "was",
            at(THEN.seconds, THEN.nanoseconds + 1),
        );
    })
}

/// Which of the files were replaced, and why not.
fn replaced(overwrite: Overwrite) -> Vec<Option<Skip>> {
    let mut room = ages(overwrite);
    let mut skips = Vec::new();
    for name in ["older", "equal", "newer"] {
        let outcome = room.put(&file(name, 3), b"new").expect("no error");
        let skip = match outcome {
            Outcome::Restored(_) => None,
            Outcome::Skipped(skip) => Some(skip),
        };
        let content = std::fs::read(room.dir.join(name)).expect("the file");
        assert_eq!(content, if skip.is_some() { b"was" } else { b"new" });
        skips.push(skip);
    }
    assert_eq!(
        room.target.counts().skipped,
        skips.iter().flatten().count() as u64
    );
    skips
}

#[test]
fn never_leaves_everything() {
    assert_eq!(replaced(Overwrite::Never), [Some(Skip::Exists); 3]);
}

#[test]
fn older_compares_to_the_nanosecond() {
    let kept = Some(Skip::NotOlder);
    assert_eq!(replaced(Overwrite::Older), [None, kept, kept]);
}

#[test]
fn always_replaces_everything() {
    assert_eq!(replaced(Overwrite::Always), [None; 3]);
}

#[test]
fn what_is_overwritten_stays_whole_until_its_successor_is() {
    let mut room = ages(Overwrite::Always);
    let Begun::Content(mut new) = room.target.begin(&file("older", 6)).expect("begun") else {
        panic!("a file wants content")
    };
    new.data(0, b"new").expect("written");
    assert_eq!(
        std::fs::read(room.dir.join("older")).expect("the file"),
        b"was"
    );
    drop(new);
    assert_eq!(
        std::fs::read(room.dir.join("older")).expect("the file"),
        b"was"
    );
    room.assert_nothing_unfinished();
}

#[test]
fn what_appears_meanwhile_stays() {
    for overwrite in [Overwrite::Never, Overwrite::Older] {
        let mut room = Room::new(overwrite);
        let Begun::Content(new) = room.target.begin(&file("a", 0)).expect("begun") else {
            panic!("a file wants content")
        };
        std::fs::write(room.dir.join("a"), "mine").expect("a file");
        let outcome = room.target.end(new).expect("no error");
        assert!(
            matches!(outcome, Outcome::Skipped(Skip::Appeared)),
            "{outcome:?}"
        );
        assert_eq!(
            std::fs::read(room.dir.join("a")).expect("the file"),
            b"mine"
        );
        room.assert_nothing_unfinished();
    }
}

#[test]
fn a_directory_in_the_way_goes_only_if_empty_and_always() {
    for (overwrite, full, goes) in [
        (Overwrite::Never, false, false),
        (Overwrite::Older, false, false),
        (Overwrite::Always, false, true),
        (Overwrite::Always, true, false),
    ] {
        let mut room = Room::prepared(overwrite, |dir| {
            std::fs::create_dir(dir.join("a")).expect("a directory");
            if full {
                std::fs::write(dir.join("a/keep"), "mine").expect("a file");
            }
        });
        for member in [file("a", 3), symlink("a", "x"), member("a", Kind::Fifo)] {
            let restored = matches!(room.put(&member, b"new"), Ok(Outcome::Restored(_)));
            assert_eq!(restored, goes, "{overwrite:?} {full}");
        }
        assert_eq!(lstat(&room.dir.join("a")).is_dir(), !goes);
        assert_eq!(room.dir.join("a/keep").exists(), full);
        room.assert_nothing_unfinished();
    }
}

#[test]
fn a_directory_that_fills_meanwhile_is_not_removed() {
    let mut room = Room::prepared(Overwrite::Always, |dir| {
        std::fs::create_dir(dir.join("a")).expect("a directory");
    });
    let Begun::Content(new) = room.target.begin(&file("a", 0)).expect("begun") else {
        panic!("a file wants content")
    };
    std::fs::write(room.dir.join("a/keep"), "mine").expect("a file");
    let error = room.target.end(new).expect_err("in the way");
    assert!(
        matches!(error, Error::DirectoryInTheWay { .. }),
        "{error:?}"
    );
    assert!(room.dir.join("a/keep").exists());
    room.assert_nothing_unfinished();
}

#[test]
fn a_file_in_the_way_of_a_directory_is_replaced_or_named() {
    let mut room = ages(Overwrite::Older);
    room.put_whole(&directory("older/"), b"");
    room.put_whole(&file("older/a", 3), b"new");
    let outcome = room.put(&directory("newer/"), b"").expect("no error");
    assert!(matches!(outcome, Outcome::Skipped(Skip::NotOlder)));
    let error = room
        .put(&file("newer/a", 3), b"new")
        .expect_err("no directory");
    let Error::NotADirectory { at, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(at, b"newer");
}

#[test]
fn an_existing_directory_keeps_its_metadata_unless_it_may_be_overwritten() {
    for (overwrite, mode) in [(Overwrite::Never, 0o711), (Overwrite::Always, 0o755)] {
        let mut room = Room::prepared(overwrite, |dir| {
            let a = dir.join("a");
            std::fs::create_dir(&a).expect("a directory");
            std::fs::set_permissions(&a, PermissionsExt::from_mode(0o711)).expect("a mode");
        });
        room.put(&directory("a/"), b"").expect("no error");
        room.put_whole(&file("a/b", 3), b"new");
        let (room, _) = room.finish();
        assert_eq!(lstat(&room.dir.join("a")).mode() & 0o7777, mode);
        assert_eq!(
            mtime(&room.dir.join("a")) == THEN,
            overwrite == Overwrite::Always
        );
    }
}
