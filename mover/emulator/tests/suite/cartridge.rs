//! Cartridge files: what opens, and what is refused.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use longhaul_emulator::drive::Setup;
use longhaul_emulator::medium::{Blank, Cartridge, Medium, Object};
use longhaul_emulator::{Emulated, Error, Url};
use proptest::prelude::*;

use crate::rig::*;

fn url(path: &Path, options: &str) -> Url {
    format!("vtape:{}{options}", path.display())
        .parse()
        .expect("a valid URL")
}

fn damage(error: Error) -> String {
    match error {
        Error::Damaged { what, .. } => what,
        other => panic!("{other}"),
    }
}

#[test]
fn a_cartridge_is_sparse() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.vtape");
    Medium::create(&path, &Blank::default()).expect("18 TB");
    let metadata = fs::metadata(&path).expect("file");
    assert!(
        metadata.blocks() * 512 < MIB,
        "{} blocks",
        metadata.blocks()
    );
}

#[test]
fn errors_name_their_kind() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.vtape");
    let open = |options: &str| {
        Emulated::open(&url(&path, options))
            .map(|_| ())
            .expect_err("wrong")
    };
    assert!(matches!(open(""), Error::NotFound { .. }));
    let held = Emulated::create(&url(&path, "?capacity=16MiB&barcode=LH0001L9")).expect("new");
    assert!(matches!(
        Emulated::create(&url(&path, "")).err(),
        Some(Error::Exists { .. })
    ));
    assert!(matches!(open(""), Error::Held { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(matches!(
        Cartridge::open(&path).err(),
        Some(Error::Held { .. })
    ));
    drop(held);
    assert!(matches!(
        open("?capacity=17MiB"),
        Error::Mismatch {
            option: "capacity",
            ..
        }
    ));
    assert!(matches!(
        open("?media=discard"),
        Error::Mismatch {
            option: "media",
            ..
        }
    ));
    assert!(matches!(
        open("?barcode=LH0002L9"),
        Error::Mismatch {
            option: "barcode",
            ..
        }
    ));
    assert!(matches!(
        open("?faults=/nonexistent.toml"),
        Error::Faults { .. }
    ));
    Emulated::open(&url(&path, "?capacity=16MiB&media=keep")).expect("the same again");
    let lost = Emulated::create(&url(&dir.path().join("no/such/folder"), ""));
    assert!(matches!(lost.err(), Some(Error::Io { .. })));
}

#[test]
fn a_barcode_and_a_drive_have_names() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.vtape");
    let made = Emulated::create(&url(&path, "?barcode=LH0001L9")).expect("new");
    let serial = made.drive().lock().expect("drive").serial().to_owned();
    drop(made);
    let again = Emulated::open(&url(&path, "")).expect("cartridge");
    let drive = again.drive();
    let drive = drive.lock().expect("drive");
    assert_eq!(
        drive.serial(),
        serial,
        "the same cartridge is always in the same drive"
    );
    assert_eq!(drive.medium().expect("cartridge").barcode(), "LH0001L9");
}

#[test]
fn what_is_no_cartridge() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("a.vtape");
    for content in [
        &b""[..],
        b"LHVTAPE",
        &[0; 100_000],
        b"something else entirely",
    ] {
        fs::write(&path, content).expect("write");
        let error = Medium::open(&path).expect_err("no cartridge");
        assert_eq!(damage(error), "it does not begin as a cartridge does");
    }
    assert!(matches!(
        Medium::open(dir.path()),
        Err(Error::Io { .. } | Error::Damaged { .. })
    ));
}

#[test]
fn a_truncated_file_is_refused() {
    let mut rig = Rig::new();
    rig.write_all(&[&vec![1; 1 << 20]]);
    rig.synchronise();
    drop(rig.drive.eject());
    let file = OpenOptions::new()
        .write(true)
        .open(rig.path())
        .expect("open");
    let length = file.metadata().expect("file").len();
    for cut in [length - 1, length / 2, 100_000, 40_000] {
        file.set_len(cut).expect("truncate");
        let what = damage(Medium::open(&rig.path()).expect_err("truncated"));
        assert!(what.starts_with("it was truncated"), "{what}");
    }
    file.set_len(100).expect("truncate");
    Medium::open(&rig.path()).expect_err("nothing is left");
}

#[test]
fn one_superblock_is_enough_and_none_is_not() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a"]);
    rig.synchronise();
    drop(rig.drive.eject());
    let file = OpenOptions::new()
        .write(true)
        .open(rig.path())
        .expect("open");
    file.write_all_at(b"????", 60).expect("write");
    assert_eq!(
        Medium::open(&rig.path())
            .expect("the second copy")
            .objects(),
        1
    );
    file.write_all_at(b"????", (16 << 10) + 60).expect("write");
    let what = damage(Medium::open(&rig.path()).expect_err("none"));
    assert_eq!(what, "both copies of its superblock have wrong checksums");
}

#[test]
fn another_version_is_named() {
    let rig = Rig::new();
    let path = rig.path();
    drop(rig.drive);
    let file = OpenOptions::new().write(true).open(&path).expect("open");
    for at in [8, (16 << 10) + 8] {
        file.write_all_at(&[9, 0, 0, 0], at).expect("write");
    }
    assert!(damage(Medium::open(&path).expect_err("version 9")).contains("version 9"));
}

#[test]
fn a_cartridge_is_read_without_a_drive() {
    let mut rig = Rig::new();
    rig.write_all(&[b"VOL1", b"UVL1"]);
    rig.filemarks(1);
    rig.write_all(&[b"data"]);
    rig.synchronise();
    drop(rig.drive.eject());
    let mut cartridge = Cartridge::open(&rig.path()).expect("cartridge");
    let mut beside = Cartridge::open(&rig.path()).expect("readers do not exclude each other");
    assert!(matches!(Medium::open(&rig.path()), Err(Error::Held { .. })));
    let objects: Vec<Object> = cartridge
        .objects()
        .collect::<Result<_, _>>()
        .expect("all are readable");
    let block = |text: &[u8]| Object::Block(text.to_vec());
    assert_eq!(
        objects,
        [
            block(b"VOL1"),
            block(b"UVL1"),
            Object::Filemark,
            block(b"data")
        ]
    );
    assert_eq!(beside.object(3).expect("readable"), block(b"data"));
    beside.object(4).expect_err("behind the end");
}

/// Where objects' entries and data lie in a cartridge of 64 MiB.
const TABLE: u64 = 64 << 10;
const OBJECTS_MAX: u64 = 64 * MIB / 512;
const FILEMARKS: u64 = (TABLE + 16 * OBJECTS_MAX).next_multiple_of(4096);
const DATA: u64 = (FILEMARKS + 8 * OBJECTS_MAX).next_multiple_of(4096);

#[test]
fn damage_to_one_object_is_a_medium_error_there() {
    let mut rig = Rig::new();
    rig.write_all(&[b"aaaa", b"bbbb", b"cccc"]);
    rig.synchronise();
    let file = OpenOptions::new()
        .write(true)
        .open(rig.path())
        .expect("open");
    file.write_all_at(b"X", DATA + 5).expect("write");
    rig.rewind();
    assert_eq!(rig.block(), b"aaaa");
    assert_eq!(told(&sense(rig.read(9).0)), (3, 0x11, 0x00, Some(9)));
    assert_eq!(rig.block(), b"cccc", "the next one can be read");
    file.write_all_at(b"X", TABLE + 16 + 3).expect("write");
    assert_eq!(key_code(&sense(rig.locate(1))), (3, 0x14, 0x00));
    assert_eq!(rig.place(), (3, 0), "a locate that fails does not move");
}

#[test]
fn damage_to_the_filemark_table_is_a_medium_error() {
    let mut rig = Rig::new();
    rig.filemarks(3);
    let file = OpenOptions::new()
        .write(true)
        .open(rig.path())
        .expect("open");
    file.write_all_at(&[0xff; 8], FILEMARKS + 8).expect("write");
    rig.rewind();
    assert_eq!(key_code(&rig.check(&space(1, 2))), (3, 0x14, 0x00));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is scribbled where: what is read is what was written, or an
    /// error.
    #[test]
    fn a_scribbled_cartridge_never_gives_wrong_data(
        scribbles in proptest::collection::vec(
            (
                prop_oneof![
                    0_u64..400,
                    (16_u64 << 10)..(16 << 10) + 400,
                    TABLE..TABLE + 16 * 12,
                    FILEMARKS..FILEMARKS + 8 * 3,
                    DATA..DATA + 600,
                ],
                proptest::collection::vec(any::<u8>(), 1..20),
            ),
            1..4,
        ),
    ) {
        let mut rig = Rig::of(64 * MIB, Setup::default());
        let blocks: Vec<Vec<u8>> = (0..10).map(|n| vec![n as u8; 20 + 10 * n]).collect();
        for block in &blocks {
            rig.write(block);
        }
        rig.filemarks(2);
        drop(rig.drive.eject());
        let file = OpenOptions::new().write(true).open(rig.path()).expect("open");
        for (at, bytes) in scribbles {
            file.write_all_at(&bytes, at).expect("write");
        }
        let Ok(mut cartridge) = Cartridge::open(&rig.path()) else { return Ok(()) };
        for (number, object) in cartridge.objects().enumerate() {
            match object {
                Ok(Object::Block(data)) => prop_assert_eq!(Some(&data), blocks.get(number)),
                Ok(Object::Filemark) => prop_assert!(number >= blocks.len()),
                Err(_) => {}
            }
        }
        drop(cartridge);
        let (drive, nexus) = opened(&rig.path());
        (rig.drive, rig.nexus) = (drive, nexus);
        for count in [-3, -1, 1, 2, 5] {
            rig.run(&space(1, count));
            rig.run(&space(0, count));
        }
        rig.write(b"over");
        rig.run(&[0x10, 0, 0, 0, 1, 0]);
    }
}
