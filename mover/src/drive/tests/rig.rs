//! An emulated drive that several initiators can reach, and a cartridge that
//! can be looked at without any drive.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use longhaul_emulator::drive::{Drive as Emulated, Nexus, Setup};
use longhaul_emulator::faults::{At, Effect, Plan, Rule};
use longhaul_emulator::medium::{Blank, Cartridge, Medium, Object};
use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::transport::{Completion, Data, Outcome, Request, Transport};

use super::super::{Drive, Patience};

/// Bytes of a test's block.
pub(super) const BLOCK: usize = 1024;

/// A drive with a blank cartridge.
pub(super) struct Rig {
    emulated: Arc<Mutex<Emulated>>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new() -> Rig {
        Rig::with_capacity(64 << 20)
    }

    pub(super) fn with_capacity(capacity: u64) -> Rig {
        Rig::with(Rig::empty(), capacity)
    }

    /// Another drive.
    pub(super) fn with_serial(serial: &str) -> Rig {
        Rig::with(Rig::of_serial(serial), 64 << 20)
    }

    fn with(rig: Rig, capacity: u64) -> Rig {
        let blank = Blank {
            capacity,
            ..Blank::default()
        };
        let medium = Medium::create(&rig.path, &blank).expect("a new cartridge");
        rig.emulated().insert(medium);
        rig
    }

    /// Without a cartridge.
    pub(super) fn empty() -> Rig {
        Rig::of_serial("SN0001")
    }

    fn of_serial(serial: &str) -> Rig {
        let dir = tempfile::tempdir().expect("a directory");
        let setup = Setup {
            serial: serial.to_owned(),
            ..Setup::default()
        };
        let emulated = Arc::new(Mutex::new(Emulated::new(setup)));
        Rig {
            emulated,
            path: dir.path().join("cartridge.vtape"),
            _dir: dir,
        }
    }

    pub(super) fn emulated(&self) -> MutexGuard<'_, Emulated> {
        self.emulated.lock().expect("no panic while it is held")
    }

    /// What goes wrong from now on.
    pub(super) fn plan(&self, rules: Vec<Rule>) {
        self.emulated().set_faults(Plan::new(rules));
    }

    /// A path from that initiator.
    pub(super) fn path(&self, initiator: &str) -> Box<dyn Transport> {
        let nexus = self.emulated().connect(initiator);
        Box::new(Path {
            emulated: Arc::clone(&self.emulated),
            nexus,
            done: None,
        })
    }

    /// A session from that initiator, not yet prepared.
    pub(super) fn open(&self, initiator: &str) -> Drive {
        let drive = Drive::open_with(self.path(initiator), Patience::brief());
        drive.expect("the drive opens")
    }

    /// A session that is ready to write at the beginning of the tape.
    pub(super) fn session(&self) -> Drive {
        let mut drive = self.open("here");
        drive.ready(Duration::ZERO).expect("a cartridge is there");
        drive.prepare().expect("modes are set");
        drive
    }

    /// Takes the cartridge out, what is in the buffer written to it, and lists
    /// what is on it.
    pub(super) fn objects(&self) -> Vec<Object> {
        self.plan(Vec::new());
        drop(self.emulated().eject());
        let mut cartridge = Cartridge::open(&self.path).expect("the cartridge is whole");
        cartridge
            .objects()
            .map(|object| object.expect("readable"))
            .collect()
    }

    /// The same, after a power cut: without what is in the buffer.
    pub(super) fn durable_objects(&self) -> Vec<Object> {
        self.emulated().power_cycle();
        self.objects()
    }
}

/// An initiator's path to the emulated drive.
struct Path {
    emulated: Arc<Mutex<Emulated>>,
    nexus: Nexus,
    done: Option<Completion>,
}

impl Transport for Path {
    fn submit(&mut self, request: Request) {
        assert!(self.done.is_none(), "two commands in flight");
        let Request { cdb, mut data, .. } = request;
        let mut emulated = self.emulated.lock().expect("no panic while it is held");
        let len = data.len();
        let response = match &mut data {
            Data::None => emulated.execute(self.nexus, cdb.as_bytes(), &[], &mut []),
            Data::In { buffer, len } => {
                emulated.execute(self.nexus, cdb.as_bytes(), &[], &mut buffer[..*len])
            }
            Data::Out { buffer, len } => {
                emulated.execute(self.nexus, cdb.as_bytes(), &buffer[..*len], &mut [])
            }
        };
        let residual = len as i64 - response.transferred as i64;
        let outcome = Outcome {
            status: response.status,
            sense: response.sense,
            residual,
        };
        self.done = Some(Completion { outcome, data });
    }

    fn complete(&mut self) -> Completion {
        self.done.take().expect("a command in flight")
    }

    fn name(&self) -> String {
        "vtape:test".to_owned()
    }
}

/// The block that stands for `number`.
pub(super) fn block(number: u8) -> Vec<u8> {
    (0..BLOCK).map(|at| number.wrapping_add(at as u8)).collect()
}

pub(super) fn block_buffer(number: u8) -> Buffer {
    Buffer::from_slice(&block(number))
}

/// What a tape is expected to hold: numbers are blocks, `None` is a filemark.
pub(super) fn expected(objects: &[Option<u8>]) -> Vec<Object> {
    let object =
        |&object: &Option<u8>| object.map_or(Object::Filemark, |n| Object::Block(block(n)));
    objects.iter().map(object).collect()
}

/// A fault at the first command of that operation code.
pub(super) fn at(opcode: u8, effect: Effect) -> Rule {
    Rule::once(At::Opcode(opcode, None), effect)
}

pub(super) fn sense(key: SenseKey, asc: u8, ascq: u8) -> Effect {
    Effect::Sense(Sense::new(key, asc, ascq))
}
