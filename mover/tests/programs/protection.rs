//! Records that change between host and drive: noticed at once, named, and
//! never taken for good.

use std::fs;

use crate::rig::{Rig, contents};

const DRIVE: &str = "vtape:tape.vtape";

/// The drive, with a bit flipped in some transfers of a kind.
fn corrupting(rig: &Rig, opcode: &str, nth: u64, times: u64) -> String {
    let plan = format!(
        "[[fault]]\nopcode = \"{opcode}\"\nnth = {nth}\ntimes = {times}\ncorrupt = 100000\n"
    );
    fs::write(rig.path("corrupt.toml"), plan).expect("written");
    format!("{DRIVE}?faults=corrupt.toml")
}

/// A labelled cartridge, and a tree of some records.
fn labelled(rig: &Rig) -> std::path::PathBuf {
    let tree = rig.tree("src", &[]);
    for number in 0..4 {
        let content = vec![number; 1 << 20];
        fs::write(tree.join(format!("f{number}")), content).expect("written");
    }
    rig.mover("label", &["--drive", DRIVE, "--name", "TEST01"])
        .ended(0);
    tree
}

#[test]
fn a_bit_that_flips_on_its_way_to_the_drive_is_mended_and_verify_confirms_every_record() {
    let rig = Rig::new();
    let tree = labelled(&rig);
    let drive = corrupting(&rig, "WRITE(6)", 3, 1);
    rig.mover("backup", &["--drive", &drive, tree.to_str().expect("text")])
        .ended(0);
    let verified = rig.mover("verify", &["--drive", DRIVE, "--json"]).ended(0);
    let records = verified.json()["records_confirmed"].as_u64();
    assert!(records.is_some_and(|records| records >= 9), "{records:?}");
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(0);
    assert_eq!(contents(&rig.restored("out", &tree)), contents(&tree));
}

#[test]
fn a_path_that_flips_bits_all_the_time_ends_the_job_with_a_sentence() {
    let rig = Rig::new();
    let tree = labelled(&rig);
    let drive = corrupting(&rig, "WRITE(6)", 3, 1000);
    rig.mover("backup", &["--drive", &drive, tree.to_str().expect("text")])
        .ended(3)
        .says("the record changed on its way to the drive");
}

#[test]
fn a_bit_that_flips_on_its_way_back_is_read_again_and_is_named_if_it_stays() {
    let rig = Rig::new();
    let tree = labelled(&rig);
    rig.mover("backup", &["--drive", DRIVE, tree.to_str().expect("text")])
        .ended(0);
    let drive = corrupting(&rig, "READ(6)", 20, 1);
    rig.mover("verify", &["--drive", &drive]).ended(0);
    let drive = corrupting(&rig, "READ(6)", 20, 1000);
    let verified = rig.mover("verify", &["--drive", &drive]);
    assert_eq!(verified.code, 3, "{verified:?}");
    assert!(
        verified
            .stderr
            .contains("changed on its way from the drive"),
        "{verified:?}"
    );
}
