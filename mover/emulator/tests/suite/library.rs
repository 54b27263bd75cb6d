//! A library in its folder: who has it, and what is left of it after a kill.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use longhaul_emulator::clock::ClockMode;
use longhaul_emulator::library::Plan;
use longhaul_emulator::{Error, Library};
use longhaul_scsi::status::Status;

use crate::cabinet::*;
use crate::rig::{read, write};

/// Names the folder for [`the_child_moves_until_it_is_killed`].
const FOLDER: &str = "LONGHAUL_MOVES_LIBRARY";
const READY: [u8; 6] = [0; 6];

#[test]
fn cartridges_stay_where_they_were_put() {
    let cabinet = Cabinet::new();
    cabinet.changer.good(&move_medium(SLOT, DRIVE + 1));
    cabinet.changer.good(&move_medium(SLOT + 1, MAIL));
    cabinet.changer.good(&move_medium(SLOT + 2, SLOT + 5));
    let before: Vec<_> = cabinet.changer.elements();
    let cabinet = cabinet.again();
    assert_eq!(cabinet.changer.elements(), before);
    cabinet.drives[1].good(&READY);
    assert_eq!(cabinet.drives[0].check(&READY).asc, 0x3a);
}

#[test]
fn what_was_only_accepted_is_lost_and_an_orderly_end_loses_nothing() {
    let cabinet = Cabinet::new();
    cabinet.changer.good(&move_medium(SLOT, DRIVE));
    let drive = &cabinet.drives[0];
    drive.run(&READY);
    drive.send(&write(1), b"a", &mut []);
    let cabinet = cabinet.again();
    let drive = &cabinet.drives[0];
    assert_eq!(drive.check(&read(1, 0)).key as u8, 8, "blank");
    drive.send(&write(1), b"b", &mut []);
    cabinet.library.settle();
    let cabinet = cabinet.again();
    assert_eq!(cabinet.drives[0].data(&read(1, 0)), b"b");
}

/// A host that has died writes no more; the drive goes on by itself.
#[test]
fn an_idle_drive_moves_what_it_holds_to_the_medium() {
    let cabinet = Cabinet::new();
    cabinet.changer.good(&move_medium(SLOT, DRIVE));
    let drive = &cabinet.drives[0];
    drive.run(&READY);
    cabinet.library.tick();
    drive.send(&write(1), b"a", &mut []);
    let longhaul_emulator::Unit::Drive(emulated) = &drive.unit else {
        panic!("a drive")
    };
    let held = || emulated.lock().expect("whole").object_buffer().objects();
    cabinet.library.tick();
    assert_eq!(held(), 1, "a command has come since");
    cabinet.library.tick();
    assert_eq!(held(), 0);
}

#[test]
fn what_fails_while_nobody_asks_is_told_to_the_next_command() {
    let cabinet = Cabinet::new();
    cabinet.changer.good(&move_medium(SLOT, DRIVE));
    let drive = &cabinet.drives[0];
    drive.run(&READY);
    let longhaul_emulator::Unit::Drive(emulated) = &drive.unit else {
        panic!("a drive")
    };
    let plan = "[[fault]]\nblock = 0\nsense = { key = 3, asc = 0x0c, ascq = 0, deferred = true }\n";
    emulated
        .lock()
        .expect("whole")
        .set_faults(longhaul_emulator::faults::Plan::parse(plan).expect("a plan"));
    drive.send(&write(1), b"a", &mut []);
    cabinet.library.tick();
    cabinet.library.tick();
    let sense = drive.check(&READY);
    assert!(sense.deferred);
    assert_eq!((sense.key as u8, sense.asc), (3, 0x0c));
    drive.good(&READY);
}

#[test]
fn with_a_real_clock_a_drive_takes_its_time_to_be_ready() {
    let plan = Plan {
        clock: ClockMode::Real,
        ..plan()
    };
    let cabinet = Cabinet::of(&plan);
    let response = cabinet.changer.run(&move_medium(SLOT, DRIVE));
    assert_eq!(response.status, Ok(Status::Good));
    assert_eq!(response.took, Duration::from_secs(12));
    let drive = &cabinet.drives[0];
    let told = |cdb: &[u8]| drive.told(cdb);
    assert_eq!(told(&READY), (2, 0x04, 0x01), "becoming ready");
    assert_eq!(told(&[0x1b, 0, 0, 0, 1, 0]), (2, 0x04, 0x01));
    let mut into = [0; 18];
    drive.send(&[0x03, 0, 0, 0, 18, 0], &[], &mut into);
    assert_eq!((into[2], into[12], into[13]), (2, 0x04, 0x01));
    // It can be taken out again before it is threaded.
    cabinet.changer.good(&move_medium(DRIVE, SLOT));
    assert_eq!(told(&READY), (2, 0x3a, 0x00));
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let cabinet = Cabinet::new();
    let error = Library::open(&cabinet.path()).expect_err("held");
    let Error::Held { pid, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*pid, Some(std::process::id()));
    let again = Library::create(&cabinet.path(), &plan()).expect_err("held");
    assert!(matches!(again, Error::Held { .. }), "{again}");
}

#[test]
fn a_folder_that_is_no_library_is_left_as_it_was() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let error = Library::open(dir.path()).expect_err("empty");
    assert!(matches!(error, Error::NoLibrary { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
    Library::create(dir.path(), &plan()).expect("an empty folder will do");
    let error = Library::create(dir.path(), &plan()).expect_err("there is one");
    assert!(matches!(error, Error::Exists { .. }), "{error}");
}

#[test]
fn plans_have_bounds() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let lib = dir.path().join("lib");
    let wrong = [
        Plan {
            drives: 0,
            ..plan()
        },
        Plan {
            drives: 65,
            ..plan()
        },
        Plan { slots: 0, ..plan() },
        Plan {
            slots: 4097,
            ..plan()
        },
        Plan {
            mail_slots: 65,
            ..plan()
        },
        Plan {
            cartridges: 7,
            ..plan()
        },
    ];
    for plan in wrong {
        let error = Library::create(&lib, &plan).expect_err("out of bounds");
        assert!(matches!(error, Error::Impossible { .. }), "{error}");
        assert!(!lib.exists());
    }
}

#[test]
fn what_cannot_be_in_a_library_file_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let lib = dir.path().join("lib");
    Library::create(&lib, &plan()).expect("a library");
    let path = lib.join("library.toml");
    let good = fs::read_to_string(&path).expect("the file");
    let wrong = [
        ("version = 1", "version = 2", "version 2"),
        (
            "element = 4096",
            "element = 4097",
            "two cartridges are in element 4097",
        ),
        (
            "element = 4096",
            "element = 9",
            "element 9, that there is not",
        ),
        (
            "element = 4096",
            "element = 1",
            "element 1, that there is not",
        ),
        ("LH0001L9", "LH0002L9", "LH0002L9 stands there twice"),
        ("LH0001L9", "../x", "is not 1 to 32 capital letters"),
        ("clock = \"none\"", "clock = \"sun\"", "\"sun\" is not none"),
        (
            "first = 4096",
            "first = 256",
            "address 256 that another kind has",
        ),
        ("first = 4096", "first = 65534", "addresses from 1 to 65535"),
        ("first = 16", "first = 1", "address 1 that another kind has"),
        ("count = 2", "count = 3", "3 elements for 2 drives"),
        (
            "unloads = true",
            "unloads = true\ncolour = 1",
            "unknown field `colour`",
        ),
    ];
    for (from, to, told) in wrong {
        fs::write(&path, good.replace(from, to)).expect("written");
        let error = Library::open(&lib).expect_err(to);
        assert!(error.to_string().contains(told), "{error}");
    }
    fs::write(&path, &good).expect("written");
    fs::remove_file(cartridge_file(&lib, &barcode(3))).expect("removed");
    let error = Library::open(&lib).expect_err("a cartridge is missing");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

fn child(path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "library::the_child_moves_until_it_is_killed",
            "--nocapture",
        ])
        .env(FOLDER, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// Runs only as the child of the test below; by itself it has nothing to do.
#[test]
fn the_child_moves_until_it_is_killed() {
    let Some(path) = std::env::var_os(FOLDER) else {
        return;
    };
    let library = Library::open(Path::new(&path)).expect("a library");
    let changer = Host::new(&library.units()[0], "host-a");
    let places = [SLOT, DRIVE, SLOT + 4, MAIL, SLOT + 5, DRIVE + 1, MAIL + 1];
    let cartridge = barcode(1);
    let here = |element| changer.tag(element).as_deref() == Some(&cartridge);
    let mut at = places
        .iter()
        .position(|place| here(*place))
        .expect("somewhere");
    loop {
        let next = (at + 1) % places.len();
        changer.good(&move_medium(places[at], places[next]));
        println!("\nmoved {}", places[next]);
        at = next;
    }
}

#[test]
fn a_killed_process_leaves_every_cartridge_in_one_place() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let lib = dir.path().join("lib");
    Library::create(&lib, &plan()).expect("a library");
    let order = [SLOT, DRIVE, SLOT + 4, MAIL, SLOT + 5, DRIVE + 1, MAIL + 1];
    for round in 1..=8 {
        let mut child = child(&lib);
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("moved ")?.parse::<u16>().ok());
        let mut last = 0;
        for _ in 0..round * 3 {
            last = said.next().expect("the child goes on");
        }
        // Somewhere in the middle of a move, at another place each time.
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().expect("killed");
        child.wait().expect("gone");
        last = said.last().unwrap_or(last);
        let library = Library::open(&lib).expect("it opens");
        let changer = Host::new(&library.units()[0], "host-a");
        let mut found: Vec<_> = changer
            .elements()
            .into_iter()
            .filter_map(|element| Some((element.volume_tag?, element.address)))
            .collect();
        found.sort();
        let (first, others) = found.split_first().expect("cartridges");
        let at = order
            .iter()
            .position(|place| *place == last)
            .expect("a place");
        let next = order[(at + 1) % order.len()];
        assert!([last, next].contains(&first.1), "{} after {last}", first.1);
        let there = (2..=4).map(|n| (barcode(n), SLOT + n - 1));
        assert_eq!(others, there.collect::<Vec<_>>());
    }
}
