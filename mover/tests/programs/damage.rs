//! Media with bad blocks, drives that fail at odd moments, catalogs that lie:
//! what is whole comes back, and what is not is named.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{Rig, contents, text};

const DRIVE: &str = "vtape:tape.vtape";

/// A drive that cannot read these blocks.
fn bad_blocks(rig: &Rig, blocks: &[u64]) -> String {
    let rule = |block: &u64| {
        format!(
            "[[fault]]\nblock = {block}\ntimes = 1000\n\
             sense = {{ key = 3, asc = 0x11, ascq = 0 }}\n"
        )
    };
    let plan: String = blocks.iter().map(rule).collect();
    fs::write(rig.path("bad.toml"), plan).expect("written");
    format!("{DRIVE}?faults=bad.toml")
}

/// Five files of a megabyte, and the block in which the third lies.
fn five(rig: &Rig) -> (std::path::PathBuf, u64) {
    let tree = rig.tree("src", &[]);
    for number in 0..5 {
        let content = vec![number; 1 << 20];
        fs::write(tree.join(format!("f{number}")), content).expect("written");
    }
    rig.backed_up(DRIVE, &tree);
    let listed = rig.mover("list", &["--set", "1", "--json"]).ended(0).stdout;
    let line = listed
        .lines()
        .find(|l| l.contains("/f2\""))
        .expect("listed");
    let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
    (tree, row["block"].as_u64().expect("a number") + 1)
}

#[test]
fn a_bad_block_costs_the_file_in_it_and_no_other() {
    let rig = Rig::new();
    let (tree, block) = five(&rig);
    let drive = bad_blocks(&rig, &[block]);
    let run = rig.mover("restore", &["--drive", &drive, "--to", "out"]);
    let run = run.ended(1).says("/f2: not restored");
    let names: Vec<String> = contents(&rig.restored("out", &tree))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["f0", "f1", "f3", "f4"], "{run:?}");
    let verified = rig.mover("verify", &["--drive", &drive, "--json"]).ended(3);
    let json = verified.json();
    assert_eq!(json["errors"].as_array().map(Vec::len), Some(1), "{json}");
    assert!(
        json["errors"][0]["path"]
            .as_str()
            .is_some_and(|p| p.ends_with("/f2"))
    );
}

#[test]
fn a_bad_index_costs_time_and_no_set() {
    let rig = Rig::new();
    let (tree, _) = five(&rig);
    let second = rig.tree("second", &["x"]);
    rig.mover("backup", &["--drive", DRIVE, text(&second)])
        .ended(0);
    let first = rig.mover("list", &["--json"]).json()[0].clone();
    assert_eq!(first["number"], 1);
    fs::remove_dir_all(rig.path("catalog")).expect("removed");
    // The index of set 1 lies right before set 2 and its filemark.
    let rows = {
        rig.mover("scan", &["--drive", DRIVE]).ended(0);
        rig.mover("list", &["--set", "2", "--json"]).stdout
    };
    let row: serde_json::Value =
        serde_json::from_str(rows.lines().next().expect("a line")).expect("JSON");
    let index = row["block"].as_u64().expect("a number") - 2;
    fs::remove_dir_all(rig.path("catalog")).expect("removed");

    let drive = bad_blocks(&rig, &[index]);
    rig.mover("restore", &["--drive", &drive, "--to", "newest"])
        .ended(0);
    assert!(rig.restored("newest", &second).join("x").exists());
    rig.mover("restore", &["--drive", &drive, "--set", "1", "--to", "old"])
        .ended(0);
    assert_eq!(contents(&rig.restored("old", &tree)), contents(&tree));
}

#[test]
fn close_overwrites_nothing_behind_damage_unless_told() {
    let rig = Rig::new();
    let tree = rig.tree("src", &[]);
    for number in 0..40 {
        fs::write(tree.join(format!("f{number:02}")), vec![number; 1 << 20]).expect("written");
    }
    // Full before its end: an unfinished set.
    let small = "vtape:tape.vtape?capacity=32MiB";
    rig.mover("label", &["--drive", small, "--name", "SMALL"])
        .ended(0);
    rig.mover("backup", &["--drive", small, text(&tree)])
        .ended(7);
    // One record of the archive cannot be read, however often it is tried.
    let plan = "[[fault]]\nopcode = \"READ(6)\"\nnth = 30\ntimes = 3\n\
                sense = { key = 3, asc = 0x11, ascq = 0 }\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    let drive = format!("{DRIVE}?faults=plan.toml");
    rig.mover("close", &["--drive", &drive])
        .ended(4)
        .says("--give-up-behind-damage");
    let whole = rig.mover("list", &["--drive", DRIVE, "--json"]).json()[0]["files"].clone();
    assert!(
        whole.as_u64() > Some(20),
        "nothing was lost by asking: {whole}"
    );
    let args = ["--drive", &drive, "--give-up-behind-damage"];
    rig.mover("close", &args).ended(0);
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
}

#[test]
fn an_interrupted_restore_leaves_directories_as_they_were_backed_up() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a/x"]);
    fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o751)).expect("set");
    fs::create_dir(tree.join("b")).expect("made");
    for number in 0..60 {
        fs::write(tree.join(format!("b/f{number}")), vec![1; 8 << 20]).expect("written");
    }
    rig.backed_up(DRIVE, &tree);
    let mut child = rig.start("restore", &["--drive", DRIVE, "--to", "out"]);
    let (first, begun) = (rig.restored("out", &tree).join("b/f0"), Instant::now());
    while !first.exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("sent");
    let code = child.wait().expect("ended").code();
    assert!([Some(0), Some(6)].contains(&code), "{code:?}");
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
    for name in ["", "a", "b"] {
        let (was, is) = (tree.join(name), rig.restored("out", &tree).join(name));
        assert_eq!(mode(&is), mode(&was), "{name:?} after {code:?}");
    }
}

#[test]
fn what_went_wrong_is_named_when_the_volume_gets_full_too() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    fs::write(tree.join("large"), vec![1; 40 << 20]).expect("written");
    let small = "vtape:tape.vtape?capacity=32MiB";
    rig.mover("label", &["--drive", small, "--name", "SMALL"])
        .ended(0);
    let args = ["--drive", small, text(&tree), "/not/there"];
    rig.mover("backup", &args).ended(7).says("/not/there");
}

#[test]
fn few_open_files_are_enough() {
    let rig = Rig::new();
    let tree = rig.tree("src", &[]);
    for number in 0..3000 {
        let dir = tree.join(format!("d{:02}", number % 50));
        fs::create_dir_all(&dir).expect("made");
        fs::write(dir.join(format!("f{number}")), "x").expect("written");
    }
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let script = "ulimit -n 256 && exec \"$@\"";
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(rig.path(""))
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_lh-mover")]);
    shell.args([
        "backup",
        "--catalog",
        "catalog",
        "--drive",
        DRIVE,
        text(&tree),
    ]);
    let output = shell.output().expect("run");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_interrupt_is_heard_in_the_middle_of_a_large_file() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    let large = fs::File::create(tree.join("large")).expect("made");
    // Without holes, as far as the file system tells: written, not only sized.
    let chunk = vec![3; 8 << 20];
    for at in 0..150 {
        std::os::unix::fs::FileExt::write_all_at(&large, &chunk, at * (8 << 20)).expect("written");
    }
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let slow = format!("{DRIVE}?clock=real&buffer=4MiB");
    let args = ["--drive", &slow, "--buffer-mib", "8", text(&tree)];
    let mut child = rig.start("backup", &args);
    std::thread::sleep(Duration::from_millis(700));
    let begun = Instant::now();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("sent");
    let code = child.wait().expect("ended").code();
    assert_eq!(code, Some(6), "after {:?}", begun.elapsed());
    rig.mover("close", &["--drive", DRIVE]).ended(0);
}

#[test]
fn a_terminal_that_is_gone_ends_no_backup() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("opened");
    let mut command = rig.command(&["backup", "--catalog", "catalog", "--drive", DRIVE]);
    let status = command
        .arg(&tree)
        .arg("/not/there")
        .stderr(full)
        .status()
        .expect("run");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_drive_that_will_not_be_let_go_changes_nothing_of_what_was_done() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    let plan = "[[fault]]\nopcode = \"PREVENT ALLOW MEDIUM REMOVAL\"\nnth = 2\ntimes = 99\n\
                sense = { key = 4, asc = 0x44, ascq = 0 }\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    let faulty = format!("{DRIVE}?faults=plan.toml");
    rig.mover("backup", &["--drive", &faulty, text(&tree)])
        .ended(0);
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
}

#[test]
fn links_to_a_file_that_is_not_restored_stay_one_file() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a/target"]);
    fs::create_dir(tree.join("b")).expect("made");
    for link in ["one", "two", "three"] {
        fs::hard_link(tree.join("a/target"), tree.join("b").join(link)).expect("linked");
    }
    rig.backed_up(DRIVE, &tree);
    let part = tree.join("b");
    rig.mover("restore", &["--drive", DRIVE, "--to", "out", text(&part)])
        .ended(0);
    let out = rig.restored("out", &part);
    let inode = |name: &str| fs::metadata(out.join(name)).expect("restored").ino();
    assert_eq!(inode("one"), inode("two"));
    assert_eq!(inode("one"), inode("three"));
}

#[test]
fn the_tape_is_believed_before_the_catalog() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["file"]);
    rig.backed_up(DRIVE, &tree);
    let copy = |from: &str, to: &str| {
        let args = ["--sparse=always", from, to].map(String::from);
        let done = std::process::Command::new("cp")
            .current_dir(rig.path(""))
            .args(args)
            .status();
        assert!(done.expect("run").success());
    };
    copy("tape.vtape", "before.vtape");
    fs::write(tree.join("file"), "X").expect("written");
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(0);
    // The cartridge is rolled back, and gets another second set.
    copy("before.vtape", "tape.vtape");
    fs::write(tree.join("file"), "Y").expect("written");
    rig.run(&[
        "backup",
        "--drive",
        DRIVE,
        "--catalog",
        "other",
        text(&tree),
    ])
    .ended(0);
    for args in [vec!["--to", "out1"], vec!["--to", "out2", "--set", "2"]] {
        let mut all = vec!["--drive", DRIVE];
        all.extend(&args);
        rig.mover("restore", &all).ended(0);
        let file = rig.restored(args[1], &tree).join("file");
        assert_eq!(fs::read_to_string(file).expect("restored"), "Y");
    }
    rig.mover("scan", &["--drive", DRIVE]).ended(0);
    let sets = rig.mover("list", &["--json"]).json();
    assert_eq!(sets.as_array().map(Vec::len), Some(2), "{sets}");
}

/// What the drive has accepted is not what is on the tape: only the filemark
/// behind the index, written without IMMED, makes a set.
#[test]
fn a_set_whose_last_blocks_never_reach_the_medium_is_not_done() {
    // Behind the label's filemark at 10: archive, filemark, index, filemark.
    for block in 11..=14 {
        let rig = Rig::new();
        let tree = rig.tree("src", &["a"]);
        rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
            .ended(0);
        let plan = format!(
            "[[fault]]\nblock = {block}\n\
             sense = {{ key = 3, asc = 0x0c, ascq = 0, deferred = true }}\n"
        );
        fs::write(rig.path("plan.toml"), plan).expect("written");
        let faulty = format!("{DRIVE}?faults=plan.toml");
        let run = rig.mover("backup", &["--drive", &faulty, text(&tree)]);
        assert!([3, 6].contains(&run.code), "block {block}: {run:?}");
        let sets = rig.mover("list", &["--json"]).ended(0).json();
        assert_eq!(sets, serde_json::json!([]), "block {block}");
    }
}
