//! The main job, from a cartridge that is not there to files that are back.

use std::fs;

use crate::rig::{Rig, contents, text};

const DRIVE: &str = "vtape:tape.vtape";

#[test]
fn a_missing_cartridge_is_made_and_the_set_comes_back() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a", "b/c", "b/d e", "b.txt"]);
    let run = rig
        .mover("backup", &["--drive", DRIVE, "--json", text(&tree)])
        .ended(0);
    assert!(
        run.stderr.contains("created a blank one and labelled it"),
        "{run:?}"
    );
    let done = run.json();
    assert_eq!(done["number"], 1);
    assert_eq!(done["files"], 6);
    assert_eq!(done["bytes"], 14);
    assert_eq!(done["in_catalog"], true);

    let verified = rig
        .mover("verify", &["--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(verified["files"], 6);
    assert_eq!(verified["errors"].as_array().map(Vec::len), Some(0));

    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(0);
    assert_eq!(contents(&rig.restored("out", &tree)), contents(&tree));
}

#[test]
fn r05_a_second_backup_appends_and_both_can_be_restored() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["file"]);
    rig.backed_up(DRIVE, &tree);
    fs::write(tree.join("file"), "changed").expect("written");
    let second = rig
        .mover("backup", &["--drive", DRIVE, "--json", text(&tree)])
        .ended(0)
        .json();
    assert_eq!(second["number"], 2);
    for (set, content) in [("1", "file"), ("2", "changed")] {
        rig.mover("restore", &["--drive", DRIVE, "--set", set, "--to", set])
            .ended(0);
        let file = rig.restored(set, &tree).join("file");
        assert_eq!(fs::read_to_string(file).expect("restored"), content);
    }
    // Without --set it is the newest.
    rig.mover("restore", &["--drive", DRIVE, "--to", "newest"])
        .ended(0);
    let file = rig.restored("newest", &tree).join("file");
    assert_eq!(fs::read_to_string(file).expect("restored"), "changed");
}

#[test]
fn the_catalog_is_built_again_from_the_tape_alone() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["x/one", "x/two", "y"]);
    rig.backed_up(DRIVE, &tree);
    rig.mover("backup", &["--drive", DRIVE, text(&tree.join("x"))])
        .ended(0);
    let listed = rig.mover("list", &["--json"]).ended(0).json();
    let files = rig.mover("list", &["--set", "1", "--json"]).ended(0).stdout;

    fs::remove_dir_all(rig.path("catalog")).expect("removed");
    let scanned = rig
        .mover("scan", &["--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(scanned["sets"].as_array().map(Vec::len), Some(2));
    assert_eq!(rig.mover("list", &["--json"]).ended(0).json(), listed);
    assert_eq!(
        rig.mover("list", &["--set", "1", "--json"]).ended(0).stdout,
        files
    );
}

#[test]
fn a_restore_needs_no_catalog() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["one", "two"]);
    rig.backed_up(DRIVE, &tree);
    fs::remove_dir_all(rig.path("catalog")).expect("removed");
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(0);
    assert_eq!(contents(&rig.restored("out", &tree)), contents(&tree));
}

#[test]
fn find_goes_through_all_sets() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["etc/passwd", "etc/group", "log/passwd.old"]);
    rig.backed_up(DRIVE, &tree);
    rig.mover("backup", &["--drive", DRIVE, text(&tree.join("etc"))])
        .ended(0);
    let lines = |args: &[&str]| rig.mover("find", args).stdout.lines().count();
    assert_eq!(lines(&["passwd"]), 2);
    assert_eq!(lines(&["passwd*"]), 3);
    assert_eq!(lines(&["**/etc/*"]), 4);
    assert_eq!(lines(&["log"]), 1);
    rig.mover("find", &["nothing-like-this"]).ended(1);
}

#[test]
fn status_tells_what_is_in_the_drive() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["file"]);
    rig.backed_up(DRIVE, &tree);
    let status = rig
        .run(&["status", "--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(status["volume"], "TEST01");
    assert_eq!(status["volume_is"], "ours");
    assert_eq!(status["sets"], 1);
    assert_eq!(status["unfinished_set"], serde_json::Value::Null);
}

#[test]
fn an_empty_directory_is_a_set_and_an_empty_choice_is_none() {
    let rig = Rig::new();
    let tree = rig.tree("src", &[]);
    rig.backed_up(DRIVE, &tree);
    let listed = rig.mover("list", &["--json"]).json();
    assert_eq!(listed[0]["files"], 1);
    rig.mover(
        "backup",
        &["--drive", DRIVE, "--exclude", "src", text(&tree)],
    )
    .ended(2)
    .says("nothing to back up");
    assert_eq!(
        rig.mover("list", &["--json"])
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn records_of_any_allowed_size_work() {
    for bytes in ["1024", "65536", "1048576"] {
        let rig = Rig::new();
        let tree = rig.tree("src", &["a", "b/c"]);
        fs::write(tree.join("big"), vec![7; 3_000_001]).expect("written");
        rig.mover("label", &["--drive", DRIVE, "--record-bytes", bytes])
            .ended(0);
        rig.mover("backup", &["--drive", DRIVE, text(&tree)])
            .ended(0);
        rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
            .ended(0);
        assert_eq!(
            contents(&rig.restored("out", &tree)),
            contents(&tree),
            "{bytes}"
        );
    }
}
