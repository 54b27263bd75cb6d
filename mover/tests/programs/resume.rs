//! Backups that break off and are gone on with: nothing is lost.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::rig::{Rig, contents, expect_same, text};

pub const DRIVE: &str = "vtape:tape.vtape";
/// The clock makes the backup last long enough to be interrupted.
pub const SLOW: &str = "vtape:tape.vtape?clock=real&buffer=4MiB";
pub const OFTEN: [&str; 2] = ["--checkpoint-interval", "0.02"];

/// Starts a backup of `tree`, and gives it a signal once `bytes` of it are on
/// the medium.
pub fn interrupted(rig: &Rig, tree: &Path, bytes: u64, signal: Signal) -> Option<i32> {
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let mut child = rig.start("backup", &["--drive", SLOW, OFTEN[0], OFTEN[1], text(tree)]);
    let begun = Instant::now();
    let used = || {
        fs::metadata(rig.path("tape.vtape"))
            .expect("there")
            .blocks()
            * 512
    };
    let at_first = used();
    while used() < at_first + bytes && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("sent");
    child.wait().expect("ended").code()
}

pub fn tree(rig: &Rig) -> PathBuf {
    let tree = rig.tree("src", &["a", "b/c", "z/last"]);
    for number in 0..6u8 {
        let content: Vec<u8> = (0..30_000_000u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ number)
            .collect();
        fs::write(tree.join(format!("large-{number}")), content).expect("written");
    }
    fs::hard_link(tree.join("a"), tree.join("z/link")).expect("linked");
    tree
}

/// Restores the set, and compares it with the source.
#[track_caller]
pub fn restores(rig: &Rig, tree: &Path) {
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(0);
    let out = rig.restored("out", tree);
    expect_same(&contents(tree), &contents(&out));
    let link = |path: &Path| fs::metadata(path).expect("there").ino();
    assert_eq!(link(&out.join("a")), link(&out.join("z/link")));
}

fn resumed(rig: &Rig, args: &[&str]) -> Value {
    let mut all = vec!["--drive", DRIVE, "--json"];
    all.extend(args);
    rig.mover("resume", &all).ended(0).json()
}

#[test]
fn r24_o03_a_killed_backup_goes_on_from_its_last_checkpoint() {
    let rig = Rig::new();
    let tree = tree(&rig);
    assert_eq!(interrupted(&rig, &tree, 60_000_000, Signal::SIGKILL), None);
    let shown = rig.mover("checkpoints", &["--json"]).ended(0).json();
    let checkpoints = shown["checkpoints"].as_array().expect("a list");
    assert!(
        !checkpoints.is_empty() && checkpoints.len() <= 16,
        "{shown}"
    );
    let done = resumed(&rig, &[]);
    assert_eq!(done["resumed"]["from"], "checkpoint");
    let kept = done["resumed"]["archive_bytes"].as_u64().expect("a number");
    let last = checkpoints.last().expect("one");
    assert_eq!(Some(kept), last["cursor"]["offset"].as_u64(), "{done}");
    assert!(kept > 0, "{done}");
    assert_eq!(done["files"], 13, "{done}");
    restores(&rig, &tree);
    rig.mover("checkpoints", &["--json"]).ended(0);
    assert!(
        fs::read_dir(rig.path("catalog/journals"))
            .expect("there")
            .next()
            .is_none()
    );
}

/// The mover died behind the set's last filemark: its journal is there still,
/// and the catalog does not know the set.
#[test]
fn r24_a_set_that_only_the_catalog_does_not_know_is_entered() {
    let rig = Rig::new();
    let tree = tree(&rig);
    interrupted(&rig, &tree, 40_000_000, Signal::SIGKILL);
    let (journals, aside) = (rig.path("catalog/journals"), rig.path("aside"));
    fs::create_dir(&aside).expect("made");
    for file in fs::read_dir(&journals).expect("listed").flatten() {
        fs::copy(file.path(), aside.join(file.file_name())).expect("copied");
    }
    let before = resumed(&rig, &[]);
    fs::remove_dir_all(rig.path("catalog")).expect("removed");
    fs::create_dir(rig.path("catalog")).expect("made");
    fs::rename(&aside, &journals).expect("moved");
    let done = resumed(&rig, &[]);
    for what in ["set", "number", "volumes", "files", "bytes"] {
        assert_eq!(done[what], before[what], "{what}: {done}");
    }
    assert_eq!(done["resumed"]["from"], "end", "{done}");
    assert!(
        fs::read_dir(&journals).expect("there").next().is_none(),
        "the journal is left"
    );
    restores(&rig, &tree);
    rig.mover("resume", &["--drive", DRIVE])
        .ended(2)
        .says("nothing to resume");
}

/// A mover died before anything of its set was on the tape, and another one has
/// written there since, without its journal: that says nothing to anybody.
#[test]
fn a_journal_of_nothing_is_no_reason_to_refuse() {
    let rig = Rig::new();
    let tree = tree(&rig);
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let (tape, before) = (rig.path("tape.vtape"), rig.path("before.vtape"));
    // It is as long as a tape, and nearly all of it is a hole.
    let copied = Command::new("cp")
        .arg("--sparse=always")
        .args([&tape, &before])
        .status();
    assert!(copied.expect("cp").success());
    let seldom = ["--checkpoint-interval", "1000"];
    let args = ["--drive", SLOW, seldom[0], seldom[1], text(&tree)];
    let mut child = rig.start("backup", &args);
    let journals = rig.path("catalog/journals");
    let journal = || {
        let found = fs::read_dir(&journals).into_iter().flatten().flatten();
        let mut paths = found.map(|entry| entry.path());
        paths.find(|path| path.extension().is_some_and(|kind| kind == "journal"))
    };
    let begun = Instant::now();
    while journal().is_none() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).expect("sent");
    child.wait().expect("ended");
    let (journal, aside) = (journal().expect("a journal"), rig.path("aside"));
    fs::rename(&journal, &aside).expect("moved");
    fs::rename(&before, &tape).expect("moved");
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(0);
    fs::rename(&aside, &journal).expect("moved");
    rig.mover("resume", &["--drive", DRIVE])
        .ended(2)
        .says("nothing to resume");
    assert!(!journal.exists());
    restores(&rig, &tree);
}

#[test]
fn r24_an_interrupted_backup_goes_on_where_it_was() {
    let rig = Rig::new();
    let tree = tree(&rig);
    let code = interrupted(&rig, &tree, 40_000_000, Signal::SIGTERM);
    assert_eq!(code, Some(6));
    let done = resumed(&rig, &[]);
    assert!(
        done["resumed"]["archive_bytes"].as_u64() > Some(40_000_000),
        "{done}"
    );
    restores(&rig, &tree);
}

#[test]
fn r24_without_its_journal_a_set_goes_on_from_what_the_tape_holds() {
    let rig = Rig::new();
    let tree = tree(&rig);
    interrupted(&rig, &tree, 60_000_000, Signal::SIGKILL);
    fs::remove_dir_all(rig.path("catalog")).expect("lost");
    rig.mover("resume", &["--drive", DRIVE])
        .ended(2)
        .says("--journal");
    let done = resumed(&rig, &[text(&tree)]);
    assert_eq!(done["resumed"]["from"], "tape");
    assert!(
        done["resumed"]["archive_bytes"].as_u64() > Some(30_000_000),
        "{done}"
    );
    restores(&rig, &tree);
}

#[test]
fn r25_a_restart_by_choice_is_a_new_set() {
    let rig = Rig::new();
    let tree = tree(&rig);
    interrupted(&rig, &tree, 40_000_000, Signal::SIGKILL);
    let done = resumed(&rig, &["--restart", "fresh"]);
    assert_eq!(
        (&done["resumed"]["from"], &done["number"]),
        (&"nothing".into(), &2.into())
    );
    restores(&rig, &tree);
}

/// A fault at every command of a kind in turn, until the backup no longer meets
/// it: after each, the set is there, or is gone on with and is then there whole.
fn after_any(fault: &str) {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a", "b/c", "z"]);
    fs::write(tree.join("big"), vec![9; 4 << 20]).expect("written");
    for nth in 1.. {
        assert!(nth < 60, "the backup always meets the fault");
        let plain = format!("vtape:t{nth}.vtape");
        let faulty = format!("{plain}?faults=p{nth}.toml&buffer=1MiB");
        let name = format!("N{nth:05}");
        rig.mover("label", &["--drive", &plain, "--name", &name])
            .ended(0);
        let rule = fault.replace("NTH", &nth.to_string());
        fs::write(rig.path(&format!("p{nth}.toml")), rule).expect("written");
        // Often enough for checkpoints in the middle, without a clock.
        let often = ["--checkpoint-interval", "0.01", "--buffer-mib", "8"];
        let mut args = vec!["--drive", &faulty];
        args.extend(often);
        args.push(text(&tree));
        let run = rig.mover("backup", &args);
        if run.code != 0 {
            assert!([3, 5, 6].contains(&run.code), "{nth}: {run:?}");
            let resumed = rig.mover("resume", &["--drive", &plain, "--json"]);
            assert_eq!(resumed.code, 0, "{nth}: {run:?} {resumed:?}");
        }
        rig.mover("verify", &["--drive", &plain]).ended(0);
        let out = format!("out{nth}");
        rig.mover("restore", &["--drive", &plain, "--to", &out])
            .ended(0);
        let restored = contents(&rig.restored(&out, &tree));
        assert!(restored == contents(&tree), "{nth}: the trees differ");
        if run.code == 0 && nth > 20 {
            return;
        }
    }
}

#[test]
fn after_a_reset_at_any_write_the_set_is_gone_on_with() {
    after_any("[[fault]]\nopcode = \"WRITE(6)\"\nnth = NTH\nreset = \"bus\"\n");
}

#[test]
fn after_a_medium_error_at_any_write_the_set_is_gone_on_with() {
    after_any(
        "[[fault]]\nopcode = \"WRITE(6)\"\nnth = NTH\ntimes = 9\n\
         sense = { key = 3, asc = 0x0c, ascq = 0 }\n",
    );
}

#[test]
fn after_a_broken_filemark_the_set_is_gone_on_with() {
    after_any(
        "[[fault]]\nopcode = \"WRITE FILEMARKS(6)\"\nnth = NTH\ntimes = 9\n\
         sense = { key = 4, asc = 0x44, ascq = 0 }\n",
    );
}
