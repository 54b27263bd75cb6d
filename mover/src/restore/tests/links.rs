//! Hard links: one file under several names, and never the wrong file.

use super::*;

fn same_file(a: &Path, b: &Path) -> bool {
    let (a, b) = (lstat(a), lstat(b));
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[test]
fn all_names_of_a_file_are_one_file_again() {
    let mut room = Room::new(Overwrite::Never);
    room.put_whole(&directory("a/"), b"");
    room.put_whole(&file("a/first", 4), b"data");
    room.put_whole(&directory("b/"), b"");
    room.put_whole(&hard_link("b/second", "a/first"), b"");
    room.put_whole(&hard_link("b/third", "b/second"), b"");
    room.put_whole(&member("pipe", Kind::Fifo), b"");
    room.put_whole(&hard_link("pipe2", "pipe"), b"");
    room.put_whole(&symlink("s", "nowhere"), b"");
    room.put_whole(&hard_link("s2", "s"), b"");
    let (room, counts) = room.finish();
    let at = |name: &str| room.dir.join(name);
    assert!(same_file(&at("a/first"), &at("b/second")));
    assert!(same_file(&at("a/first"), &at("b/third")));
    assert!(same_file(&at("pipe"), &at("pipe2")));
    assert!(same_file(&at("s"), &at("s2")));
    assert_eq!(lstat(&at("a/first")).nlink(), 3);
    assert_eq!(mtime(&at("a/first")), THEN);
    assert_eq!(
        counts,
        Counts {
            restored: 9,
            ..Counts::default()
        }
    );
}

#[test]
fn a_second_restore_over_the_first_gives_the_same_links() {
    let (outer, dir) = {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().to_path_buf();
        (temp, dir)
    };
    for overwrite in [
        Overwrite::Never,
        Overwrite::Always,
        Overwrite::Older,
        Overwrite::Never,
    ] {
        let mut target = open(&dir, overwrite);
        if let Begun::Content(mut new) = target.begin(&file("a", 4)).expect("begun") {
            new.data(0, b"data").expect("written");
            target.end(new).expect("restored");
        }
        target.begin(&hard_link("b", "a")).expect("linked");
        assert!(same_file(&dir.join("a"), &dir.join("b")), "{overwrite:?}");
        assert_eq!(entries(&dir).len(), 2, "{overwrite:?}");
        // A link that is gone comes back, to the file that is the same.
        std::fs::remove_file(dir.join("b")).expect("removed");
        target.begin(&hard_link("b", "a")).expect("linked");
        assert!(same_file(&dir.join("a"), &dir.join("b")), "{overwrite:?}");
    }
    drop(outer);
}

#[test]
fn a_link_to_a_changed_file_that_was_kept_is_an_error() {
    let mut room = Room::prepared(Overwrite::Never, |dir| {
        std::fs::write(dir.join("a"), "another content").expect("a file");
    });
    let outcome = room.put(&file("a", 4), b"data").expect("no error");
    assert!(matches!(outcome, Outcome::Skipped(_)));
    let error = room.put(&hard_link("b", "a"), b"").expect_err("not linked");
    assert!(
        matches!(error, Error::LinkTargetMissing { .. }),
        "{error:?}"
    );
    // The caller restores the content itself instead.
    room.put_whole(&file("b", 4), b"data");
    assert_eq!(
        std::fs::read(room.dir.join("b")).expect("the file"),
        b"data"
    );
}

#[test]
fn a_link_replaces_another_file_in_one_step() {
    let mut room = Room::prepared(Overwrite::Always, |dir| {
        std::fs::write(dir.join("b"), "another content").expect("a file");
    });
    room.put_whole(&file("a", 4), b"data");
    room.put_whole(&hard_link("b", "a"), b"");
    assert!(same_file(&room.dir.join("a"), &room.dir.join("b")));
    room.assert_nothing_unfinished();
}
