//! Power cuts and kills: what had reached the medium is there, and nothing
//! that had not.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longhaul_emulator::Error;
use longhaul_emulator::drive::Setup;
use longhaul_emulator::medium::{Blank, Cartridge, Medium, Object};

use crate::rig::*;

/// Names the cartridge for [`the_child_writes_until_it_is_killed`].
const CARTRIDGE: &str = "LONGHAUL_CRASH_CARTRIDGE";

#[test]
fn what_was_only_accepted_is_lost() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a", b"b"]);
    rig.synchronise();
    rig.write_all(&[b"c"]);
    rig.good(&[0x10, 1, 0, 0, 1, 0]);
    assert_eq!(rig.place(), (4, 1));
    rig.power_cut();
    assert_eq!((rig.block(), rig.block()), (b"a".to_vec(), b"b".to_vec()));
    assert_eq!(key_code(&sense(rig.read(1).0)), (8, 0x00, 0x05));
}

/// As on a tape: what is overwritten in the buffer alone is still there when
/// the buffer is lost.
#[test]
fn an_overwrite_that_never_reached_the_medium_destroys_nothing() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a", b"b", b"c"]);
    rig.synchronise();
    rig.locate(1);
    rig.write_all(&[b"B"]);
    assert_eq!(rig.place(), (2, 0));
    rig.power_cut();
    rig.block();
    assert_eq!((rig.block(), rig.block()), (b"b".to_vec(), b"c".to_vec()));
}

/// At every step of a session: a cut there leaves just what READ POSITION had
/// said was on the medium.
#[test]
fn a_power_cut_after_every_step() {
    let setup = || Setup {
        buffer_bytes: Some(64 << 10),
        ..Setup::default()
    };
    for steps in 0..40 {
        let mut rig = Rig::of(64 * MIB, setup());
        for step in 0..steps {
            match step % 9 {
                8 => rig.filemarks(1),
                5 => rig.good(&[0x10, 1, 0, 0, 1, 0]),
                _ => rig.write_all(&[&vec![step as u8; 9000]]),
            }
        }
        let reply = rig.data(&[0x34, 0x08, 0, 0, 0, 0, 0, 0, 32, 0]);
        let frontier = number(&reply[16..24]);
        rig.power_cut();
        assert_eq!(
            rig.drive.medium().expect("cartridge").objects(),
            frontier,
            "{steps} steps"
        );
        for object in 0..frontier {
            rig.locate(object);
            let (response, data) = rig.read(9000);
            if !matches!(object % 9, 5 | 8) {
                assert_eq!(data, vec![object as u8; 9000]);
            } else {
                assert!(sense(response).filemark);
            }
        }
    }
}

fn child(path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "crash::the_child_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(CARTRIDGE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// Runs only as the child of the test below; by itself it has nothing to do.
#[test]
fn the_child_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CARTRIDGE) else {
        return;
    };
    let medium = Medium::open(Path::new(&path)).expect("cartridge");
    let setup = Setup {
        buffer_bytes: Some(256 << 10),
        ..Setup::default()
    };
    let (mut drive, nexus) = switched_on(medium, setup);
    let mut block = vec![0; 20_000];
    for number in 0_u64.. {
        block[..8].copy_from_slice(&number.to_be_bytes());
        drive.execute(nexus, &write(20_000), &block, &mut []);
        if number % 16 == 15 {
            // From time to time all over again, so that EOD moves back too.
            let rewind = number % 512 == 511;
            let cdb = if rewind {
                [0x01, 0, 0, 0, 0, 0]
            } else {
                [0x10, 0, 0, 0, 0, 0]
            };
            drive.execute(nexus, &cdb, &[], &mut []);
            let objects = drive.medium().expect("cartridge").objects();
            println!("\nsynchronised {number} {objects}");
        }
    }
}

#[test]
fn a_killed_process_leaves_what_had_reached_the_medium() {
    for round in 1..=6 {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("a.vtape");
        let blank = Blank {
            capacity: 64 * MIB,
            ..Blank::default()
        };
        drop(Medium::create(&path, &blank).expect("cartridge"));
        let mut child = child(&path);
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = lines
            .map_while(Result::ok)
            .filter_map(|line| synchronised(&line));
        let mut newest = (0, 0);
        for _ in 0..round * 23 {
            newest = said.next().expect("the child goes on");
        }
        if round == 1 {
            let held = Medium::open(&path).expect_err("the child has it");
            assert!(matches!(held, Error::Held { pid: Some(pid), .. } if pid == child.id()));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        // Lines that were on their way when the child died count too.
        newest = said.last().unwrap_or(newest);
        inspect(&path, newest);
    }
}

/// The number of the last block, and the objects on the medium.
fn synchronised(line: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix("synchronised ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn inspect(path: &Path, (number, objects): (u64, u64)) {
    let mut cartridge = Cartridge::open(path).expect("it opens");
    let found = cartridge.medium().objects();
    // After the last word it may have begun again, once.
    let began_again = number % 512 == 511;
    assert!(
        found >= objects || began_again,
        "{found} objects of {objects}"
    );
    let mut last = None;
    for object in cartridge.objects() {
        let Object::Block(data) = object.expect("each is whole") else {
            panic!("no filemarks")
        };
        let here = number_of(&data);
        assert!(
            last.is_none_or(|last| here == last + 1),
            "{here} after {last:?}"
        );
        last = Some(here);
    }
    assert!(
        last.is_none_or(|last| last >= number || began_again),
        "{last:?} of {number}"
    );
}

fn number_of(block: &[u8]) -> u64 {
    number(&block[..8])
}
