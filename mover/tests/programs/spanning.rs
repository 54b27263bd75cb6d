//! Sets that take several volumes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rig::{Rig, Run, contents, text};

/// Three cartridges: each alone is too small.
const DRIVES: [&str; 3] = [
    "vtape:one.vtape?capacity=32MiB",
    "vtape:two.vtape?capacity=32MiB",
    "vtape:three.vtape?capacity=32MiB",
];

fn labelled(rig: &Rig) {
    for (drive, name) in DRIVES.iter().zip(["SPAN01", "SPAN02", "SPAN03"]) {
        rig.mover("label", &["--drive", drive, "--name", name])
            .ended(0);
    }
}

/// Files of all sizes, more than two of the cartridges hold.
fn tree(rig: &Rig) -> PathBuf {
    let tree = rig.tree("src", &["a", "b/c", "z/last"]);
    for number in 0..8u32 {
        let len = 1_000_000 + number * 2_000_000;
        let content: Vec<u8> = (0..len)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ number as u8)
            .collect();
        fs::write(tree.join(format!("file-{number}")), content).expect("written");
    }
    fs::hard_link(tree.join("a"), tree.join("z/link")).expect("linked");
    tree
}

fn on(drives: &[&str], args: &[&str]) -> Vec<String> {
    let drives = drives.iter().flat_map(|drive| ["--drive", drive]);
    drives
        .chain(args.iter().copied())
        .map(str::to_owned)
        .collect()
}

fn mover(rig: &Rig, command: &str, drives: &[&str], args: &[&str]) -> Run {
    let all = on(drives, args);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    rig.mover(command, &all)
}

#[track_caller]
fn restores(rig: &Rig, drives: &[&str], tree: &Path, to: &str) {
    mover(rig, "restore", drives, &["--to", to]).ended(0);
    let (expected, found) = (contents(tree), contents(&rig.restored(to, tree)));
    let names = |list: &[(String, Vec<u8>)]| -> Vec<String> {
        list.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&expected), names(&found));
    assert!(expected == found, "content differs");
}

#[test]
fn r24_a_set_goes_on_on_the_next_volume() {
    let rig = Rig::new();
    let tree = tree(&rig);
    labelled(&rig);
    let done = mover(&rig, "backup", &DRIVES, &[text(&tree), "--json"])
        .ended(0)
        .json();
    let volumes = serde_json::json!(["SPAN01", "SPAN02", "SPAN03"]);
    assert_eq!(done["volumes"], volumes, "{done}");
    // From whichever volume one begins, and in whatever order the drives are.
    let turned = [DRIVES[2], DRIVES[0], DRIVES[1]];
    mover(&rig, "verify", &turned, &[]).ended(0);
    restores(&rig, &turned, &tree, "out");
    // One file that lies on two volumes.
    let file = tree.join("file-5");
    mover(&rig, "restore", &DRIVES, &["--to", "one", text(&file)]).ended(0);
    assert_eq!(
        fs::read(rig.restored("one", &file)).expect("restored"),
        fs::read(&file).expect("there")
    );
    // The next set goes behind it, and full volumes take none.
    mover(&rig, "backup", &DRIVES[..1], &[text(&tree)]).ended(6);
    let more = rig.tree("more", &["b"]);
    let done = mover(&rig, "backup", &DRIVES[2..], &[text(&more), "--json"])
        .ended(0)
        .json();
    assert_eq!(done["number"], 2, "{done}");
    // From the tapes alone: the last volume knows all.
    fs::remove_dir_all(rig.path("catalog")).expect("removed");
    mover(&rig, "scan", &DRIVES[2..], &[]).ended(0);
    mover(&rig, "verify", &turned, &["--set", "1"]).ended(0);
}

#[test]
fn r24_a_set_waits_for_its_next_volume() {
    let rig = Rig::new();
    let tree = tree(&rig);
    labelled(&rig);
    mover(&rig, "backup", &DRIVES[..1], &[text(&tree)])
        .ended(7)
        .says("volume SPAN01 is full");
    // Not on a volume that it has, nor on two at once.
    mover(&rig, "resume", &DRIVES[..1], &[]).ended(7);
    mover(&rig, "resume", &DRIVES[1..2], &[])
        .ended(7)
        .says("volume SPAN02 is full");
    let done = mover(&rig, "resume", &DRIVES[2..], &["--json"])
        .ended(0)
        .json();
    assert_eq!(done["files"], 15, "{done}");
    let turned = [DRIVES[1], DRIVES[2], DRIVES[0]];
    mover(&rig, "verify", &turned, &[]).ended(0);
    restores(&rig, &turned, &tree, "out");
}

/// The journal that is there ends with the first volume: who went on on the second
/// died before anybody had more of it.
#[test]
fn r24_a_part_of_which_no_journal_knows_is_written_anew() {
    let rig = Rig::new();
    let tree = tree(&rig);
    labelled(&rig);
    mover(&rig, "backup", &DRIVES[..1], &[text(&tree)]).ended(7);
    let journals = rig.path("catalog/journals");
    let journal = fs::read_dir(&journals).expect("listed").flatten().next();
    let journal = journal.expect("a journal").path();
    let before = fs::read(&journal).expect("read");
    let plan = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 40\nreset = \"power\"\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    let faulty = format!("{}&faults=plan.toml", DRIVES[1]);
    let broken = mover(&rig, "resume", &[&faulty], &[]);
    assert!([5, 6].contains(&broken.code), "{broken:?}");
    fs::write(&journal, before).expect("written");
    let done = mover(&rig, "resume", &DRIVES, &["--json"]).ended(0).json();
    let volumes = serde_json::json!(["SPAN01", "SPAN02", "SPAN03"]);
    assert_eq!(done["volumes"], volumes, "{done}");
    let turned = [DRIVES[1], DRIVES[2], DRIVES[0]];
    mover(&rig, "verify", &turned, &[]).ended(0);
    restores(&rig, &turned, &tree, "out");
}

#[test]
fn o03_a_set_that_broke_off_on_its_second_volume_can_be_closed() {
    let rig = Rig::new();
    let tree = tree(&rig);
    labelled(&rig);
    let plan = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 40\nreset = \"power\"\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    let faulty = format!("{}&faults=plan.toml", DRIVES[1]);
    let often = ["--checkpoint-interval", "0.01", text(&tree)];
    let broken = mover(&rig, "backup", &[DRIVES[0], &faulty], &often);
    assert!([5, 6].contains(&broken.code), "{broken:?}");
    // The first volume alone is not where it ends.
    mover(&rig, "close", &DRIVES[..1], &[])
        .ended(7)
        .says("volume SPAN02 is needed");
    // Nor is it to be ended without its journal.
    let journals = rig.path("catalog/journals");
    let aside = rig.path("aside");
    fs::rename(&journals, &aside).expect("moved");
    mover(&rig, "close", &DRIVES[1..2], &[])
        .ended(4)
        .says("--journal");
    let files = fs::read_dir(&aside).expect("listed").flatten();
    let journal = files
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|end| end == "journal"))
        .expect("a journal");
    let args = ["--journal", text(&journal), "--json"];
    let closed = mover(&rig, "close", &DRIVES[1..2], &args).ended(0).json();
    assert_eq!(closed["partial"], true, "{closed}");
    assert_eq!(closed["volumes"], serde_json::json!(["SPAN01", "SPAN02"]));
    let turned = [DRIVES[1], DRIVES[0]];
    // The file in whose middle the set broke off is filled up, or dropped.
    let verified = mover(&rig, "verify", &turned, &[]);
    assert!([0, 1].contains(&verified.code), "{verified:?}");
    mover(&rig, "restore", &turned, &["--to", "out"]);
    let found = contents(&rig.restored("out", &tree));
    let expected = contents(&tree);
    let whole = found.iter().filter(|file| expected.contains(file)).count();
    assert!(whole >= 5, "{closed}");
    assert!(found.len() - whole <= 1, "{closed}");
    // The volume takes the next set.
    let more = rig.tree("more", &["b"]);
    mover(&rig, "backup", &DRIVES[1..2], &[text(&more)]).ended(0);
}
