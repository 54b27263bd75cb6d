//! What is refused, in a clear sentence, with nothing overwritten.

use std::fs;
use std::os::unix::fs::FileExt;

use crate::rig::{Rig, text};

const DRIVE: &str = "vtape:tape.vtape";

#[test]
fn a_drive_that_names_nothing_is_wrong_usage() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    for drive in [
        "",
        "tape",
        "/dev/nowhere",
        "vtape:",
        "vtape:x?capacity=ten",
        "vtape:x?y=z",
    ] {
        rig.mover("backup", &["--drive", drive, text(&tree)])
            .ended(2);
        assert!(!rig.path("x").exists());
    }
    rig.mover("verify", &["--drive", "vtape:missing.vtape"])
        .ended(2)
        .says("no such cartridge");
    rig.mover("backup", &["--drive", DRIVE]).ended(2);
}

#[test]
fn a_source_that_is_not_there_is_named_and_no_tape_is_touched() {
    let rig = Rig::new();
    rig.mover("backup", &["--drive", DRIVE, "missing"])
        .ended(2)
        .says("missing");
    assert!(!rig.path("tape.vtape").exists());
    let tree = rig.tree("src", &["a"]);
    let run = rig.mover(
        "backup",
        &["--drive", DRIVE, "--json", text(&tree), "missing"],
    );
    let done = run.ended(1).says("missing").json();
    assert_eq!(done["files"], 2);
}

#[test]
fn a_blank_volume_is_not_written_to_unlabelled() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    // Labelling fails half way: what is left is a cartridge without a label.
    let plan = "[[fault]]\nopcode = \"WRITE(6)\"\ntimes = 100\nsense = { key = 4, asc = 0x44, ascq = 0 }\n";
    fs::write(rig.path("plan.toml"), plan).expect("written");
    rig.mover("label", &["--drive", "vtape:tape.vtape?faults=plan.toml"])
        .ended(3);
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(4)
        .says("the volume is blank");
    let status = rig
        .run(&["status", "--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(status["volume_is"], "blank");
}

#[test]
fn a_labelled_volume_is_overwritten_only_by_its_name() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    rig.backed_up(DRIVE, &tree);
    let run = rig.mover("label", &["--drive", DRIVE, "--json"]);
    assert_eq!(run.ended(4).says("--overwrite TEST01").json()["exit"], 4);
    rig.mover("label", &["--drive", DRIVE, "--overwrite", "TEST02"])
        .ended(4);
    rig.mover("verify", &["--drive", DRIVE]).ended(0);
    rig.mover(
        "label",
        &[
            "--drive",
            DRIVE,
            "--overwrite",
            "TEST01",
            "--name",
            "TEST01",
        ],
    )
    .ended(0);
    // What it held is gone, from the catalog too.
    assert_eq!(
        rig.mover("list", &["--json"]).ended(0).json(),
        serde_json::json!([])
    );
    rig.mover("verify", &["--drive", DRIVE])
        .ended(2)
        .says("holds no set");
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(0);
}

#[test]
fn a_write_protected_cartridge_is_left_alone() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    rig.backed_up(DRIVE, &tree);
    let before = fs::metadata(rig.path("tape.vtape"))
        .expect("there")
        .modified()
        .expect("dated");
    let protected = "vtape:tape.vtape?write-protect=on";
    rig.mover("backup", &["--drive", protected, text(&tree)])
        .ended(4)
        .says("write-protected");
    rig.mover("label", &["--drive", protected, "--overwrite", "TEST01"])
        .ended(4);
    rig.mover("close", &["--drive", protected]).ended(4);
    rig.mover("verify", &["--drive", protected]).ended(0);
    rig.mover("restore", &["--drive", protected, "--to", "out"])
        .ended(0);
    let sets = rig.run(&["status", "--drive", DRIVE, "--json"]).json()["sets"].clone();
    assert_eq!(sets, 1, "modified {before:?}");
}

#[test]
fn a_cartridge_that_does_not_match_its_label_is_refused() {
    use longhaul_mover::drive::{Drive, VolumeIdentity};
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    rig.mover("label", &["--drive", DRIVE, "--barcode", "AAA-1"])
        .ended(2);
    rig.mover("label", &["--drive", DRIVE, "--barcode", "AAA001L9"])
        .ended(0);
    let status = rig
        .run(&["status", "--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(status["volume"], "AAA001");
    assert_eq!(status["barcode"], "AAA001L9");
    rig.mover(
        "label",
        &["--drive", DRIVE, "--name", "OTHER", "--overwrite", "AAA001"],
    )
    .ended(4)
    .says("barcode");
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(0);

    // Somebody copied the tape's label onto another cartridge, or swapped chips.
    let name = format!("vtape:{}", rig.path("tape.vtape").display());
    let transport = longhaul_mover::transport::open(&name).expect("opened");
    let mut drive = Drive::open(transport).expect("a drive");
    drive
        .ready(std::time::Duration::from_secs(1))
        .expect("ready");
    let other = VolumeIdentity {
        barcode: Some("ZZZ999L9".into()),
        ..VolumeIdentity::default()
    };
    assert!(drive.write_volume_identity(&other).expect("written"));
    drop(drive);
    for command in ["backup", "verify", "close"] {
        let mut args = vec!["--drive", DRIVE];
        if command == "backup" {
            args.push(text(&tree));
        }
        let run = rig.mover(command, &args).ended(4);
        assert!(
            run.stderr.contains("ZZZ999L9") && run.stderr.contains("AAA001"),
            "{run:?}"
        );
    }
}

#[test]
fn the_library_s_barcode_names_the_volume() {
    let rig = Rig::new();
    rig.mover("label", &["--drive", "vtape:tape.vtape?barcode=BBB002L9"])
        .ended(0);
    let status = rig
        .run(&["status", "--drive", DRIVE, "--json"])
        .ended(0)
        .json();
    assert_eq!(
        (&status["volume"], &status["barcode"]),
        (&"BBB002".into(), &"BBB002L9".into())
    );
    rig.mover(
        "label",
        &[
            "--drive",
            DRIVE,
            "--overwrite",
            "BBB002",
            "--barcode",
            "CCC003L9",
        ],
    )
    .ended(4)
    .says("BBB002L9");
}

#[test]
fn a_cartridge_in_another_drive_names_its_holder() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    rig.backed_up(DRIVE, &tree);
    let held = fs::File::open(rig.path("tape.vtape")).expect("opened");
    held.lock().expect("locked");
    let pid = std::process::id().to_string();
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(5)
        .says(&pid);
    rig.mover("restore", &["--drive", DRIVE, "--to", "out"])
        .ended(5)
        .says(&pid);
}

#[test]
fn a_truncated_or_scribbled_over_cartridge_is_an_error_and_never_wrong_data() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    fs::write(tree.join("big"), vec![b'x'; 3 << 20]).expect("written");
    rig.backed_up(DRIVE, &tree);
    let whole = rig.path("tape.vtape");
    let length = fs::metadata(&whole).expect("there").len();

    // Short of its end: whatever can be said, it is not "fine".
    let cut = rig.path("cut.vtape");
    std::process::Command::new("cp")
        .args(["--sparse=always", text(&whole), text(&cut)])
        .status()
        .expect("copied");
    fs::File::options()
        .write(true)
        .open(&cut)
        .expect("opened")
        .set_len(length / 2)
        .expect("cut");
    let code = rig.mover("verify", &["--drive", "vtape:cut.vtape"]).code;
    assert!([3, 4].contains(&code), "{code}");
    fs::File::options()
        .write(true)
        .open(&cut)
        .expect("opened")
        .set_len(100)
        .expect("cut");
    rig.mover("verify", &["--drive", "vtape:cut.vtape"])
        .ended(3)
        .says("cut.vtape");
    fs::write(rig.path("text.vtape"), "no cartridge at all").expect("written");
    rig.mover("verify", &["--drive", "vtape:text.vtape"])
        .ended(3)
        .says("text.vtape");

    // In the middle of the data of the big file.
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&whole)
        .expect("opened");
    let mut at = None;
    for segment in data_segments(&file) {
        let mut bytes = vec![0; 8192];
        let middle = segment.start + (segment.end - segment.start) / 2;
        if file
            .read_at(&mut bytes, middle)
            .is_ok_and(|_| bytes.iter().all(|&b| b == b'x'))
        {
            at = Some(middle);
        }
    }
    file.write_at(b"SCRIBBLE", at.expect("the file's data"))
        .expect("written");
    let run = rig.mover("verify", &["--drive", DRIVE]);
    assert_eq!(run.code, 3, "{run:?}");
    let run = rig.mover("restore", &["--drive", DRIVE, "--to", "out"]);
    assert_ne!(run.code, 0, "{run:?}");
    let big = rig.restored("out", &tree).join("big");
    assert!(
        !big.exists(),
        "a file that cannot be read is not put in place"
    );
}

/// The data in a sparse file.
fn data_segments(file: &fs::File) -> Vec<std::ops::Range<u64>> {
    use rustix::fs::{SeekFrom, seek};
    let (mut segments, mut at) = (Vec::new(), 0);
    while let Ok(start) = seek(file, SeekFrom::Data(at)) {
        let end = seek(file, SeekFrom::Hole(start)).expect("a hole");
        segments.push(start..end);
        at = end;
    }
    segments
}

#[test]
fn a_catalog_of_another_version_is_left_as_it_is() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    rig.backed_up(DRIVE, &tree);
    let database = rig.path("catalog").join("catalog.sqlite");
    let python = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                  c.execute('PRAGMA user_version = 9999'); c.commit(); c.close()";
    let done = std::process::Command::new("python3")
        .args(["-c", python, text(&database)])
        .status();
    assert!(done.expect("run").success());
    rig.mover("list", &[]).ended(4).says("newer");
    rig.mover("backup", &["--drive", DRIVE, text(&tree)])
        .ended(4);
    fs::write(&database, "scribbled over").expect("written");
    rig.mover("list", &[]).ended(4).says("catalog.sqlite");
}

#[test]
fn a_full_volume_ends_the_set_unfinished_and_then_takes_no_more() {
    let rig = Rig::new();
    let tree = rig.tree("src", &["a"]);
    let small = "vtape:tape.vtape?capacity=32MiB";
    // A file as large as the whole tape.
    fs::write(tree.join("tape-sized"), vec![1; 32 << 20]).expect("written");
    rig.mover("label", &["--drive", small, "--name", "SMALL"])
        .ended(0);
    rig.mover("backup", &["--drive", small, text(&tree)])
        .ended(7)
        .says("full");
    rig.mover("backup", &["--drive", small, text(&tree)])
        .ended(6)
        .says("unfinished");
    let closed = rig
        .mover("close", &["--drive", small, "--json"])
        .ended(0)
        .json();
    assert_eq!(closed["partial"], true);
    assert_eq!(closed["files"], 2);
    rig.mover("verify", &["--drive", small]).ended(0);
    rig.mover("restore", &["--drive", small, "--to", "out"])
        .ended(0);
    assert!(rig.restored("out", &tree).join("a").exists());
    // The set that was given up left room: whether more fits is the drive's to say.
    let more = rig.tree("more", &["b"]);
    rig.mover("backup", &["--drive", small, text(&more)])
        .ended(0);
}

#[test]
fn a_volume_whose_end_is_reached_is_refused_before_anything_is_written() {
    let rig = Rig::new();
    let small = "vtape:tape.vtape?capacity=32MiB";
    rig.mover("label", &["--drive", small, "--name", "SMALL"])
        .ended(0);
    let tree = rig.tree("src", &[]);
    for number in 0..70 {
        fs::write(tree.join(format!("f{number:03}")), vec![1; 512 << 10]).expect("written");
    }
    rig.mover("backup", &["--drive", small, text(&tree)])
        .ended(7);
    rig.mover("close", &["--drive", small]).ended(0);
    let run = rig.mover("backup", &["--drive", small, text(&tree)]);
    assert_eq!(run.code, 4, "{run:?}");
    assert!(
        run.stderr.contains("is full; nothing was written"),
        "{run:?}"
    );
}
