//! Sources that change, vanish or cannot be read while they are backed up.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rig::{Rig, text};

const DRIVE: &str = "vtape:tape.vtape";

/// What a backup says while `disturb` goes on beside it.
fn disturbed(rig: &Rig, tree: &Path, disturb: impl Fn() + Sync) -> serde_json::Value {
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let done = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                disturb();
            }
        });
        let run = rig.mover("backup", &["--drive", DRIVE, "--json", text(tree)]);
        done.store(true, Ordering::Relaxed);
        run
    });
    assert!([0, 1].contains(&run.code), "{run:?}");
    let json = run.json();
    let named = json["errors"].as_array().map_or(0, Vec::len);
    assert_eq!(
        run.code == 1,
        named > 0,
        "what went wrong is named, and only that: {run:?}"
    );
    // Whatever happened, the archive is well formed and as its index says.
    let verified = rig.mover("verify", &["--drive", DRIVE, "--json"]);
    let json_verified = verified.json();
    let differ = json_verified["errors"].as_array().expect("a list").iter();
    let other = differ.filter(|e| {
        !e["what"]
            .as_str()
            .is_some_and(|w| w.contains("already damaged"))
    });
    assert_eq!(other.count(), 0, "{json_verified}");
    json
}

#[test]
fn a_file_that_shrinks_and_grows_all_the_time_leaves_the_archive_whole() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["before", "zz-after"]);
    let victims: Vec<_> = (0..60)
        .map(|n| tree.join(format!("victim-{n:02}")))
        .collect();
    for victim in &victims {
        fs::write(victim, vec![5; 3 << 20]).expect("written");
    }
    let json = disturbed(&rig, &tree, || {
        for (number, victim) in victims.iter().enumerate() {
            let file = fs::File::options()
                .write(true)
                .open(victim)
                .expect("opened");
            let len = if number % 2 == 0 { 1 << 20 } else { 5 << 20 };
            file.set_len(len).expect("cut");
            file.set_len(3 << 20).expect("grown");
        }
    });
    let errors = json["errors"].as_array().expect("a list");
    assert!(
        !errors.is_empty(),
        "the disturbance was seen at least once: {json}"
    );
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"]);
    for name in ["before", "zz-after"] {
        let file = rig.restored("out", &tree).join(name);
        assert_eq!(fs::read_to_string(file).expect("restored"), name);
    }
}

#[test]
fn files_that_come_and_go_are_stored_or_named() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["steady"]);
    for number in 0..3000 {
        fs::write(tree.join(format!("f{number:04}")), "x").expect("written");
    }
    let json = disturbed(&rig, &tree, || {
        for number in 0..3000 {
            let path = tree.join(format!("f{number:04}"));
            let _ = fs::remove_file(&path);
            if let Ok(mut file) = fs::File::create(&path) {
                let _ = file.write_all(b"x");
            }
        }
    });
    assert!(json["files"].as_u64() > Some(1000), "{json}");
}

#[test]
fn a_socket_is_left_out_and_is_no_error() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["good"]);
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).expect("bound");
    rig.backed_up(DRIVE, &tree);
    let listed = rig.mover("list", &["--set", "1"]).ended(0).stdout;
    assert!(
        !listed.contains("/socket\n") && listed.contains("/good\n"),
        "{listed}"
    );
}

#[test]
fn a_name_with_a_newline_does_not_forge_a_line() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["good\nlh-mover: all is well"]);
    rig.backed_up(DRIVE, &tree);
    let listed = rig.mover("list", &["--set", "1"]).ended(0).stdout;
    assert!(
        !listed.lines().any(|line| line.starts_with("lh-mover:")),
        "{listed}"
    );
    assert!(listed.contains("good\\nlh-mover"), "{listed}");
    let found = rig.mover("find", &["good*"]).ended(0).stdout;
    assert_eq!(found.lines().count(), 1);
}
