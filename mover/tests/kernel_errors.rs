//! A backup, and each of its commands in turn meets what a kernel can say and
//! an emulated drive cannot.
//!
//! Either the backup goes on and the set is whole, or it ends with a sentence
//! and an exit code, and the volume is as it should be: the set before is
//! untouched, and what stands behind it is nothing, or a set that is known to
//! be unfinished.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use longhaul_catalog::Catalog;
use longhaul_emulator::transport::Emulated;
use longhaul_emulator::url::Url;
use longhaul_mover::checkpoint::tracker::Intervals;
use longhaul_mover::drive::{Drive, Patience};
use longhaul_mover::job::adopt::Choice;
use longhaul_mover::job::session::{Purpose, Session};
use longhaul_mover::job::volume::Tail;
use longhaul_mover::job::writing::Done;
use longhaul_mover::job::{JobError, adopt, backup, label, verify};
use longhaul_mover::progress::Progress;
use longhaul_mover::source::{self, Roots};
use longhaul_mover::transport::faulty::{Failure, Fault, Faulty};
use longhaul_scsi::transport::Transport;

const DID_NO_CONNECT: u16 = 0x01;
const DID_TIME_OUT: u16 = 0x03;
const DID_TRANSPORT_DISRUPTED: u16 = 0x0e;

/// More commands than the backup sends.
const COMMANDS_MAX: u64 = 400;

struct Rig {
    dir: tempfile::TempDir,
    catalog: Catalog,
}

impl Rig {
    /// A labelled volume with one set, and a tree for the next.
    fn new() -> Rig {
        let dir = tempfile::tempdir().expect("scratch");
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).expect("made");
        for number in 0..3 {
            let file = tree.join(number.to_string());
            fs::write(file, vec![number; 40_000]).expect("written");
        }
        let catalog = Catalog::open(&dir.path().join("catalog")).expect("a catalog");
        let rig = Rig { dir, catalog };
        let emulated = Emulated::create(&rig.url()).expect("a cartridge");
        let mut session = rig.session(Box::new(emulated)).expect("a session");
        let options = label::Options {
            name: Some("LH0001".to_owned()),
            uuid: None,
            barcode: None,
            record_bytes: 64 << 10,
            overwrite: None,
        };
        let labelled = label::run(&mut session, &options).expect("labelled");
        adopt::labelled(&rig.catalog, &labelled).expect("in the catalog");
        rig.backup(&mut session).expect("the first set");
        session.release();
        rig
    }

    /// Another like it.
    fn copy(&self) -> Rig {
        let dir = tempfile::tempdir().expect("scratch");
        let copied = Command::new("cp")
            .arg("-a")
            .arg(self.dir.path().join("."))
            .arg(dir.path())
            .status()
            .expect("cp runs");
        assert!(copied.success());
        let catalog = Catalog::open(&dir.path().join("catalog")).expect("a catalog");
        Rig { dir, catalog }
    }

    fn url(&self) -> Url {
        Url {
            path: self.dir.path().join("tape.vtape"),
            capacity: Some(64 << 20),
            ..Url::default()
        }
    }

    fn session(&self, transport: Box<dyn Transport>) -> Result<Session, JobError> {
        let drive = Drive::open_with(transport, Patience::brief())?;
        Session::on(drive, Purpose::Write)
    }

    fn backup(&self, session: &mut Session) -> Result<Done, JobError> {
        let paths: Vec<PathBuf> = vec![self.dir.path().join("tree")];
        let roots = Roots::find(&paths).expect("the tree is there");
        let options = backup::Options {
            paths,
            walk: source::Options::new(&[], false).expect("no patterns"),
            buffer_bytes: backup::BUFFER_BYTES_MIN,
            intervals: Intervals::default(),
            set: None,
        };
        let progress = Arc::new(Progress::default());
        let problems = &mut Vec::new();
        let catalog = &self.catalog;
        let done = backup::run(session, catalog, roots, &options, &progress, problems);
        assert!(problems.is_empty(), "{problems:?}");
        done
    }

    /// What a faultless drive finds on the volume afterwards.
    fn check(&self, case: &str, result: &Result<Done, JobError>) {
        let emulated = Emulated::open(&self.url()).expect("the cartridge is whole");
        let mut session = self.session(Box::new(emulated)).expect("a session");
        let label = session.label().expect("labelled");
        let tail = session.tail(&label).expect("an end that is known");
        match (&tail, result) {
            (Tail::Ready { next: 3, .. }, Ok(_)) => self.verify(&mut session, 2, case),
            (Tail::Ready { next: 2 | 3, .. } | Tail::Unfinished(_), Err(error)) => {
                assert!(error.exit_status() as u8 >= 3, "{case}");
                assert!(error.to_string().len() > 20, "{case}: no sentence");
            }
            _ => panic!("{case}: the volume ends otherwise"),
        }
        self.verify(&mut session, 1, case);
        session.release();
    }

    fn verify(&self, session: &mut Session, set: u32, case: &str) {
        let progress = Progress::default();
        let chosen = adopt::choose(session, &self.catalog, Choice::Number(set), &progress);
        let chosen = chosen.unwrap_or_else(|error| panic!("{case}: set {set}: {error}"));
        let verified = verify::run(session, &chosen, &progress);
        let verified = verified.unwrap_or_else(|error| panic!("{case}: set {set}: {error}"));
        assert!(verified.problems.is_empty(), "{case}: set {set}");
        assert_eq!(verified.bytes, 120_000, "{case}: set {set}");
    }
}

/// Whether the backup had so many commands.
fn meets(rig: &Rig, fault: Fault) -> bool {
    let emulated = Emulated::open(&rig.url()).expect("the cartridge");
    let faulty = Faulty::new(emulated, Some(fault));
    let sent = faulty.sent();
    let result = rig.session(Box::new(faulty)).and_then(|mut session| {
        let done = rig.backup(&mut session);
        session.release();
        done
    });
    rig.check(&format!("{fault:?}: {result:?}"), &result);
    sent.load(Ordering::Relaxed) >= fault.at
}

fn at_every_command(failure: Failure, executed: bool, lasts: bool) {
    let rig = Rig::new();
    for at in 1..COMMANDS_MAX {
        let fault = Fault {
            at,
            failure,
            executed,
            lasts,
        };
        if !meets(&rig.copy(), fault) {
            return;
        }
    }
    panic!("{failure:?}: the backup never came to its end");
}

#[test]
fn the_device_is_gone() {
    at_every_command(Failure::Errno(libc::ENODEV), false, true);
    at_every_command(Failure::Host(DID_NO_CONNECT), true, false);
}

#[test]
fn the_path_breaks_off() {
    at_every_command(Failure::Host(DID_TRANSPORT_DISRUPTED), false, false);
    at_every_command(Failure::Host(DID_TRANSPORT_DISRUPTED), true, false);
}

#[test]
fn the_device_does_not_answer_in_time() {
    at_every_command(Failure::Host(DID_TIME_OUT), false, false);
    at_every_command(Failure::Host(DID_TIME_OUT), true, false);
}

#[test]
fn the_transfer_is_too_large() {
    at_every_command(Failure::Errno(libc::ENOMEM), false, false);
}
