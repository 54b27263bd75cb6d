//! Backups that do not come to their end: what is left, and how it ends.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{Rig, contents, expect_same, text};

const DRIVE: &str = "vtape:tape.vtape";
/// The clock makes the backup last long enough to be interrupted.
const SLOW: &str = "vtape:tape.vtape?clock=real&buffer=4MiB";

/// Starts a backup of `tree`, and gives it a signal once some of it is on the
/// medium.
fn interrupted(rig: &Rig, tree: &std::path::Path, signal: Signal) -> (Option<i32>, String) {
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let mut child = rig.start("backup", &["--drive", SLOW, text(tree)]);
    let pid = Pid::from_raw(child.id().cast_signed());
    let begun = Instant::now();
    let used = || {
        let meta = fs::metadata(rig.path("tape.vtape")).expect("there");
        std::os::unix::fs::MetadataExt::blocks(&meta) * 512
    };
    let at_first = used();
    while used() < at_first + (24 << 20) && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(pid, signal).expect("sent");
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    let status = child.wait().expect("ended");
    std::io::Read::read_to_string(&mut stderr, &mut said).expect("read");
    (status.code(), said)
}

fn large_tree(rig: &Rig) -> std::path::PathBuf {
    let tree = rig.tree("src", &["a", "b/c"]);
    for number in 0..40 {
        let content = vec![number; 20 << 20];
        fs::write(tree.join(format!("large-{number:02}")), content).expect("written");
    }
    tree
}

#[test]
fn o03_what_a_killed_backup_left_can_be_listed_restored_and_closed() {
    let rig = Rig::new();
    let tree = large_tree(&rig);
    let (code, _) = interrupted(&rig, &tree, Signal::SIGKILL);
    assert_eq!(code, None, "killed");
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(6)
        .says("lh-mover close");

    let listed = rig
        .mover("list", &["--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(listed[0]["state"], "unfinished");
    let files = listed[0]["files"].as_u64().expect("a number");
    assert!(files >= 3, "{listed}");
    rig.mover("restore", &["--drive", DRIVE, "--to", "before"])
        .ended(0);

    let closed = rig
        .mover("close", &["--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(closed["partial"], true);
    assert_eq!(
        closed["files"].as_u64(),
        Some(files),
        "close keeps what was there"
    );
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
    rig.mover("restore", &["--drive", DRIVE, "--to", "after"])
        .ended(0);
    let (before, after) = (rig.restored("before", &tree), rig.restored("after", &tree));
    assert_eq!(contents(&before), contents(&after));
    for (name, content) in contents(&after) {
        assert!(
            content == fs::read(tree.join(&name)).expect("read"),
            "{name} differs"
        );
    }
    // The volume goes on behind it.
    rig.mover("backup", &["--drive", DRIVE, text(&tree.join("b"))])
        .ended(0);
    let listed = rig
        .mover("list", &["--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(
        (&listed[0]["state"], &listed[1]["state"]),
        (&"partial".into(), &"finished".into())
    );
}

#[test]
fn an_interrupt_ends_where_the_set_can_be_closed() {
    let rig = Rig::new();
    let tree = large_tree(&rig);
    let (code, said) = interrupted(&rig, &tree, Signal::SIGINT);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    rig.mover("close", &["--drive", DRIVE]).ended(0);
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
    rig.mover("close", &["--drive", DRIVE])
        .ended(2)
        .says("nothing to close");
}

/// A fault at every write in turn, until the backup no longer meets it: what
/// the tape then holds is either the finished set, or one that can be closed,
/// and all that can be restored is right.
#[test]
fn after_a_fault_at_any_write_the_volume_can_be_closed_and_used() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a", "b/c"]);
    fs::write(tree.join("big"), vec![9; 3 << 20]).expect("written");
    let mut finished = 0;
    for nth in 1.. {
        let (tape, plan) = (format!("t{nth}.vtape"), format!("p{nth}.toml"));
        let (plain, faulty) = (
            format!("vtape:{tape}"),
            format!("vtape:{tape}?faults={plan}"),
        );
        rig.mover(
            "label",
            &["--drive", &plain, "--name", &format!("N{nth:05}")],
        )
        .ended(0);
        let rule = format!(
            "[[fault]]\nopcode = \"WRITE(6)\"\nnth = {nth}\ntimes = 9\n\
             sense = {{ key = 3, asc = 0x0c, ascq = 0 }}\n\
             [[fault]]\nopcode = \"WRITE FILEMARKS(6)\"\nnth = {}\ntimes = 9\n\
             sense = {{ key = 4, asc = 0x44, ascq = 0 }}\n",
            // The label's filemark is not the backup's.
            nth.max(2) - 1,
        );
        fs::write(rig.path(&plan), rule).expect("written");
        let run = rig.mover("backup", &["--drive", &faulty, text(&tree)]);
        if run.code == 0 {
            finished += 1;
            rig.mover("verify", &["--drive", &plain]).ended(0);
            break;
        }
        assert!([3, 6].contains(&run.code), "write {nth}: {run:?}");
        let closed = rig.mover("close", &["--drive", &plain]);
        assert!([0, 2].contains(&closed.code), "write {nth}: {closed:?}");
        if closed.code == 0 {
            rig.mover("verify", &["--drive", &plain]).ended(0);
            let out = format!("out{nth}");
            rig.mover("restore", &["--drive", &plain, "--to", &out])
                .ended(0);
            for (name, content) in contents(&rig.path(&out)) {
                if name.contains(".longhaul") {
                    continue;
                }
                let source = std::path::Path::new("/").join(&name);
                assert!(
                    content == fs::read(source).expect("read"),
                    "write {nth}: {name}"
                );
            }
        }
        rig.mover("backup", &["--drive", &plain, text(&tree)])
            .ended(0);
        rig.mover("verify", &["--drive", &plain]).ended(0);
        assert!(nth < 40, "the backup always meets the fault");
    }
    assert_eq!(finished, 1);
}

/// A close that breaks off leaves the journal as useful as it was: what the backup
/// was asked for is known, and it can be gone on with.
#[test]
fn a_set_whose_close_broke_off_can_still_be_gone_on_with() {
    let rig = Rig::new();
    let tree = large_tree(&rig);
    let (code, _) = interrupted(&rig, &tree, Signal::SIGKILL);
    assert_eq!(code, None, "killed");
    let plan = "[[fault]]\nopcode = \"WRITE FILEMARKS(6)\"\nnth = 1\ntimes = 9\n\
                sense = { key = 4, asc = 0x44, ascq = 0 }\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    let faulty = format!("{DRIVE}?faults=plan.toml");
    rig.mover("close", &["--drive", &faulty]).ended(3);
    rig.mover("resume", &["--drive", DRIVE]).ended(0);
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(0);
    expect_same(&contents(&tree), &contents(&rig.restored("out", &tree)));
}

/// Every thread of the pipeline waits for another one when the drive gives up:
/// with more data than buffers, all of them must still end.
#[test]
fn a_drive_that_gives_up_in_the_middle_ends_the_backup() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    for number in 0..64 {
        let content = vec![number; 1 << 20];
        fs::write(tree.join(format!("f{number:02}")), content).expect("written");
    }
    let plan = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 20\ntimes = 99\n\
                sense = { key = 4, asc = 0x44, ascq = 0 }\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let faulty = format!("{DRIVE}?faults=plan.toml");
    let args = ["--drive", &faulty, "--buffer-mib", "8", text(&tree)];
    let mut child = rig.start("backup", &args);
    let begun = Instant::now();
    while child.try_wait().expect("asked").is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().expect("killed");
            panic!("the backup hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(child.wait().expect("ended").code(), Some(3));
    rig.mover("close", &["--drive", DRIVE]).ended(0);
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
}
