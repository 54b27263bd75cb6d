//! The source changes between a backup that broke off and its resumption: what
//! is restored is what each file was when it was read.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::resume::{DRIVE, OFTEN, SLOW, interrupted, restores, tree};
use crate::rig::{Rig, contents, expect_same, text};

/// What happens to the file in the middle of which the backup broke off.
fn changed(change: impl Fn(&Path)) -> (Rig, PathBuf, Value) {
    let rig = Rig::new();
    let tree = tree(&rig);
    interrupted(&rig, &tree, 60_000_000, Signal::SIGKILL);
    let shown = rig.mover("checkpoints", &["--json"]).ended(0).json();
    let last = shown["checkpoints"].as_array().and_then(|all| all.last());
    let path = &last.expect("one")["cursor"]["place"]["inside"]["whole"]["entry"]["path"];
    let path = Path::new("/").join(path.as_str().expect("in a file"));
    change(&path);
    let mut args = vec!["--drive", DRIVE, "--json"];
    args.extend(OFTEN);
    let run = rig.mover("resume", &args);
    let done = run.json();
    (rig, tree, done)
}

#[test]
fn a_file_that_was_rewritten_meanwhile_is_stored_again() {
    let (rig, tree, done) = changed(|path| {
        let len = fs::metadata(path).expect("there").len();
        fs::write(path, vec![7; len as usize]).expect("rewritten");
    });
    assert!(
        done["resumed"]["note"]
            .as_str()
            .is_some_and(|note| note.contains("stored again"))
    );
    restores(&rig, &tree);
}

#[test]
fn a_file_that_is_gone_is_named() {
    let (rig, _, done) = changed(|path| fs::remove_file(path).expect("removed"));
    assert_eq!(done["errors"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(done["damaged"], 1);
    rig.mover("verify", &["--drive", DRIVE]).ended(1);
}

#[test]
fn a_file_that_is_a_directory_by_now_is_stored_as_one() {
    let (rig, tree, _) = changed(|path| {
        fs::remove_file(path).expect("removed");
        fs::create_dir(path).expect("made");
        fs::write(path.join("inside"), "x").expect("written");
    });
    restores(&rig, &tree);
}

/// The summary says that the file in progress was stored again, and the tree is
/// restored as it is now.
#[track_caller]
fn stored_again((rig, tree, done): (Rig, PathBuf, Value)) {
    let note = done["resumed"]["note"].as_str().unwrap_or_default();
    assert!(note.contains("stored again"), "{done}");
    restores(&rig, &tree);
}

#[test]
fn a_file_that_has_grown_is_stored_again() {
    stored_again(changed(|path| {
        let mut file = File::options().append(true).open(path).expect("opened");
        file.write_all(&[5; 100_000]).expect("grown");
    }));
}

#[test]
fn a_file_that_has_shrunk_is_stored_again() {
    stored_again(changed(|path| {
        let file = File::options().write(true).open(path).expect("opened");
        file.set_len(100_000).expect("shrunk");
    }));
}

/// As programs do that write anew and rename; size and mtime are the same.
#[test]
fn a_file_that_another_one_has_replaced_is_stored_again() {
    stored_again(changed(|path| {
        let meta = fs::metadata(path).expect("there");
        let other = path.with_extension("new");
        let len = usize::try_from(meta.len()).expect("small");
        fs::write(&other, vec![8; len]).expect("written");
        let file = File::options().write(true).open(&other).expect("opened");
        file.set_modified(meta.modified().expect("dated"))
            .expect("dated");
        fs::rename(&other, path).expect("replaced");
    }));
}

/// Of everything else: what was there before the backup broke off is in the set
/// as it was, what came later as it is.
fn changed_elsewhere(has_journal: bool) {
    let rig = Rig::new();
    let tree = tree(&rig);
    let write = |name: &str, content: &str| {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
    };
    for (name, content) in [
        ("b/d", "before"),
        ("c/e", "before"),
        ("y/in", "behind"),
        ("z/grows", "behind"),
        ("z/shrinks", "behind"),
        ("z/goes", "behind"),
        ("z/same", "behind"),
    ] {
        write(name, content);
    }
    assert_eq!(interrupted(&rig, &tree, 60_000_000, Signal::SIGKILL), None);
    let before = contents(&tree);
    let kept = |name: &str| ["a", "b/c", "b/d", "c/e"].contains(&name);

    // Before the place where it broke off ...
    write("a", "rewritten");
    fs::remove_file(tree.join("b/d")).expect("removed");
    fs::rename(tree.join("c"), tree.join("zz")).expect("renamed");
    write("b/new", "too late");
    // ... and behind it.
    write("z/grows", "behind, and more");
    write("z/shrinks", "be");
    fs::remove_file(tree.join("z/goes")).expect("removed");
    write("z/same", "BEHIND");
    write("z/new", "new");
    fs::rename(tree.join("y"), tree.join("x")).expect("renamed");

    let mut expected = contents(&tree);
    expected.retain(|(name, _)| !kept(name) && name != "b/new");
    expected.extend(before.into_iter().filter(|(name, _)| kept(name)));
    expected.sort();

    let mut args = vec!["--drive", DRIVE, "--json"];
    if !has_journal {
        fs::remove_dir_all(rig.path("catalog")).expect("lost");
        args.push(text(&tree));
    }
    let done = rig.mover("resume", &args).ended(0).json();
    let from = if has_journal { "checkpoint" } else { "tape" };
    assert_eq!(done["resumed"]["from"], from, "{done}");
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(0);
    // What is not what it was when it was read, differs.
    expect_same(&expected, &contents(&rig.restored("out", &tree)));
}

#[test]
fn with_its_journal_what_changed_elsewhere_is_as_it_was_when_it_was_read() {
    changed_elsewhere(true);
}

#[test]
fn from_the_tape_what_changed_elsewhere_is_as_it_was_when_it_was_read() {
    changed_elsewhere(false);
}

/// The newest checkpoint's file, if it is in the middle of one.
fn in_the_middle_of(rig: &Rig) -> Value {
    let shown = rig.mover("checkpoints", &["--json"]).ended(0).json();
    let last = shown["checkpoints"].as_array().and_then(|all| all.last());
    last.map_or(Value::Null, |last| {
        last["cursor"]["place"]["inside"]["whole"].clone()
    })
}

#[test]
fn a_file_that_is_stored_again_goes_on_in_its_middle_like_any_other() {
    let rig = Rig::new();
    let tree = tree(&rig);
    interrupted(&rig, &tree, 60_000_000, Signal::SIGKILL);
    let first = in_the_middle_of(&rig);
    let name = &first["entry"]["path"];
    let path = Path::new("/").join(name.as_str().expect("in a file"));
    let len = fs::metadata(&path).expect("there").len();
    fs::write(&path, vec![7; len as usize]).expect("rewritten");
    let mut again = rig.start("resume", &["--drive", SLOW, OFTEN[0], OFTEN[1]]);
    let begun = Instant::now();
    loop {
        let now = in_the_middle_of(&rig);
        if now["entry"]["path"] == *name && now["start"].as_u64() >= first["end"].as_u64() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{now}");
    }
    again.kill().expect("killed");
    again.wait().expect("ended");
    let done = rig
        .mover("resume", &["--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert!(done["resumed"]["note"].is_null(), "{done}");
    restores(&rig, &tree);
}
