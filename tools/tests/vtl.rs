//! `lh-vtl` as its users run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use longhaul_emulator::drive::{Drive, Setup};
use longhaul_emulator::medium::{Blank, Medium};
use longhaul_scsi::status::Status;
use tempfile::TempDir;

/// What is written to a cartridge.
enum Step {
    Block(Vec<u8>),
    Filemark,
}
use Step::{Block, Filemark};

struct Scratch(TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().expect("a scratch folder"))
    }

    fn cartridge(&self) -> PathBuf {
        self.0.path().join("a.vtape")
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out/deep")
    }

    /// Makes the cartridge, and writes to it as a host does.
    fn record(&self, steps: &[Step]) {
        let blank = Blank {
            capacity: 64 << 20,
            ..Blank::default()
        };
        let medium = Medium::create(&self.cartridge(), &blank).expect("a cartridge");
        let (mut drive, nexus) = drive(medium);
        for step in steps {
            let response = match step {
                Block(data) => {
                    let [_, a, b, c] = u32::try_from(data.len()).expect("short").to_be_bytes();
                    drive.execute(nexus, &[0x0a, 0, a, b, c, 0], data, &mut [])
                }
                Filemark => drive.execute(nexus, &[0x10, 0, 0, 0, 1, 0], &[], &mut []),
            };
            assert_eq!(response.status, Ok(Status::Good));
        }
        drive.eject().expect("the cartridge");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lh-vtl"))
            .current_dir(self.0.path())
            .args(arguments)
            .output()
            .expect("lh-vtl runs")
    }

    /// Runs what must fail, and gives its exit code and its words.
    fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let words = String::from_utf8(output.stderr).expect("text");
        (output.status.code().expect("an exit code"), words)
    }
}

fn drive(medium: Medium) -> (Drive, longhaul_emulator::Nexus) {
    let mut drive = Drive::new(Setup::default());
    let nexus = drive.connect("test");
    drive.insert(medium);
    // Takes the unit attentions of power-on and of the new medium.
    for _ in 0..3 {
        drive.execute(nexus, &[0; 6], &[], &mut []);
    }
    (drive, nexus)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name");
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

fn named(name: &str, content: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), content.to_vec())
}

#[test]
fn each_tape_file_becomes_a_plain_file() {
    let scratch = Scratch::new();
    scratch.record(&[
        Block(b"VOL1".to_vec()),
        Block(b"UVL1".to_vec()),
        Filemark,
        Filemark,
        Block(vec![7; 300_000]),
        Filemark,
        Block(b"tail".to_vec()),
    ]);
    let output = scratch.run(&["export", "a.vtape", "--to", "out/deep"]);
    assert!(output.status.success(), "{output:?}");
    let expected = [
        named("000", b"VOL1UVL1"),
        named("001", b""),
        named("002", &[7; 300_000]),
        named("003", b"tail"),
    ];
    assert_eq!(files(&scratch.out()), expected);
    let lines = String::from_utf8(output.stdout).expect("text");
    assert!(lines.contains("out/deep/000: 2 blocks, 8 bytes"), "{lines}");
}

#[test]
fn a_blank_cartridge_and_one_that_ends_in_a_filemark_have_no_file_behind() {
    let scratch = Scratch::new();
    scratch.record(&[]);
    let output = scratch.run(&["export", "a.vtape", "--to", "out/deep", "--json"]);
    assert_eq!(output.stdout, b"{\"tape_files\":[]}\n");
    fs::remove_file(scratch.cartridge()).expect("removed");
    scratch.record(&[Block(b"x".to_vec()), Filemark]);
    assert!(
        scratch
            .run(&["export", "a.vtape", "--to", "out/deep"])
            .status
            .success()
    );
    assert_eq!(files(&scratch.out()), [named("000", b"x")]);
}

#[test]
fn nothing_is_overwritten() {
    let scratch = Scratch::new();
    scratch.record(&[
        Block(b"a".to_vec()),
        Filemark,
        Block(b"b".to_vec()),
        Filemark,
    ]);
    fs::create_dir_all(scratch.out()).expect("a folder");
    fs::write(scratch.out().join("001"), b"mine").expect("a file");
    let (code, words) = scratch.fails(&["export", "a.vtape", "--to", "out/deep"]);
    assert_eq!(code, 4);
    assert!(words.contains("out/deep/001 exists already"), "{words}");
    assert_eq!(files(&scratch.out()), [named("001", b"mine")]);
}

#[test]
fn a_cartridge_that_cannot_be_had_is_told_by_its_exit_code() {
    let scratch = Scratch::new();
    let (code, words) = scratch.fails(&["info", "a.vtape"]);
    assert_eq!(code, 3);
    assert!(words.contains("a.vtape: no such cartridge file"), "{words}");
    fs::write(scratch.cartridge(), [5; 100_000]).expect("a file");
    assert_eq!(scratch.fails(&["export", "a.vtape", "--to", "out"]).0, 3);
    assert_eq!(scratch.fails(&["export", "a.vtape"]).0, 2);
    fs::remove_file(scratch.cartridge()).expect("removed");
    scratch.record(&[]);
    let medium = Medium::open(&scratch.cartridge()).expect("a cartridge");
    let (code, words) = scratch.fails(&["info", "a.vtape"]);
    assert_eq!(code, 5);
    let holder = format!("in use by process {}", std::process::id());
    assert!(words.contains(&holder), "{words}");
    drop(medium);
    fs::write(scratch.0.path().join("file"), b"").expect("a file");
    assert_eq!(scratch.fails(&["export", "a.vtape", "--to", "file/x"]).0, 7);
}

#[test]
fn a_damaged_block_ends_the_export_behind_the_last_whole_file() {
    let scratch = Scratch::new();
    let steps = [
        Block(b"first".to_vec()),
        Filemark,
        Block(vec![0xa5; 5000]),
        Filemark,
    ];
    scratch.record(&steps);
    let mut bytes = fs::read(scratch.cartridge()).expect("readable");
    let at = bytes
        .windows(5000)
        .position(|window| window == [0xa5; 5000])
        .expect("the block");
    bytes[at + 17] = 0;
    fs::write(scratch.cartridge(), bytes).expect("writable");
    let (code, words) = scratch.fails(&["export", "a.vtape", "--to", "out/deep"]);
    assert_eq!(code, 3);
    assert!(
        words.contains("1 tape files were written") && words.contains("object 2"),
        "{words}"
    );
    assert_eq!(files(&scratch.out()), [named("000", b"first")]);
    let info = scratch.run(&["info", "a.vtape"]);
    assert!(
        String::from_utf8(info.stdout)
            .expect("text")
            .contains("unreadable  1 objects")
    );
}

#[test]
fn info_tells_what_is_there() {
    let scratch = Scratch::new();
    scratch.record(&[
        Block(vec![1; 80]),
        Block(vec![2; 200]),
        Filemark,
        Block(vec![3; 100]),
    ]);
    let output = scratch.run(&["info", "a.vtape", "--json"]);
    let info: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&info["objects"], &info["filemarks"]),
        (&4.into(), &1.into())
    );
    assert_eq!(info["capacity_bytes"], 64 << 20);
    assert_eq!(info["used_bytes"], 380 + 4 * 512);
    let first = serde_json::json!({
        "blocks": 2, "bytes": 280, "block_bytes_least": 80, "block_bytes_most": 200,
    });
    assert_eq!(info["tape_files"][0], first);
    assert_eq!(info["tape_files"][1]["bytes"], 100);
    let words = String::from_utf8(scratch.run(&["info", "a.vtape"]).stdout).expect("text");
    assert!(
        words.contains("tape file 000: 2 blocks of 80 to 200 bytes, 280 bytes"),
        "{words}"
    );
}
