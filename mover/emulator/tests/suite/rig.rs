//! A drive with a cartridge, and commands by name. CDBs are written out in
//! bytes here, as the standards print them.

use std::path::{Path, PathBuf};

use longhaul_emulator::drive::{Drive, Nexus, Response, Setup};
use longhaul_emulator::medium::{Blank, Medium};
use longhaul_scsi::sense::Sense;
use longhaul_scsi::status::Status;
use tempfile::TempDir;

pub const MIB: u64 = 1 << 20;

pub struct Rig {
    pub drive: Drive,
    pub nexus: Nexus,
    dir: TempDir,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::of(64 * MIB, Setup::default())
    }

    /// A drive with a blank cartridge, the power-on attention taken.
    pub fn of(capacity: u64, setup: Setup) -> Rig {
        let dir = tempfile::tempdir().expect("temporary folder");
        let blank = Blank {
            capacity,
            ..Blank::default()
        };
        let medium = Medium::create(&dir.path().join("a.vtape"), &blank).expect("cartridge");
        let (drive, nexus) = switched_on(medium, setup);
        Rig { drive, nexus, dir }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("a.vtape")
    }

    /// The drive dies; the same cartridge goes into another one.
    pub fn power_cut(&mut self) {
        let path = self.path();
        // A drive without a cartridge takes the place for a moment, so that
        // the dead one lets go of the file.
        self.drive = Drive::new(Setup::default());
        (self.drive, self.nexus) = opened(&path);
    }

    pub fn send(&mut self, cdb: &[u8], out: &[u8], into: &mut [u8]) -> Response {
        self.drive.execute(self.nexus, cdb, out, into)
    }

    /// A command without data.
    pub fn run(&mut self, cdb: &[u8]) -> Response {
        self.send(cdb, &[], &mut [])
    }

    /// A command that must end with GOOD.
    pub fn good(&mut self, cdb: &[u8]) {
        let response = self.run(cdb);
        assert_eq!(
            response.status,
            Ok(Status::Good),
            "{cdb:02x?}: {:?}",
            response.sense
        );
    }

    /// A command that must end with CHECK CONDITION.
    pub fn check(&mut self, cdb: &[u8]) -> Sense {
        sense(self.run(cdb))
    }

    /// Parameter data of a command that must end with GOOD.
    pub fn data(&mut self, cdb: &[u8]) -> Vec<u8> {
        let mut into = vec![0; 70_000];
        let response = self.send(cdb, &[], &mut into);
        assert_eq!(
            response.status,
            Ok(Status::Good),
            "{cdb:02x?}: {:?}",
            response.sense
        );
        into.truncate(response.transferred);
        into
    }

    pub fn write(&mut self, block: &[u8]) -> Response {
        self.send(&write(block.len() as u32), block, &mut [])
    }

    /// Writes blocks of these contents.
    pub fn write_all(&mut self, blocks: &[&[u8]]) {
        for block in blocks {
            assert_eq!(self.write(block).status, Ok(Status::Good));
        }
    }

    /// WRITE FILEMARKS, synchronising.
    pub fn filemarks(&mut self, count: u8) {
        self.good(&[0x10, 0, 0, 0, count, 0]);
    }

    pub fn synchronise(&mut self) {
        self.filemarks(0);
    }

    /// READ(6) in variable mode, SILI set.
    pub fn read(&mut self, length: u32) -> (Response, Vec<u8>) {
        let mut into = vec![0; length as usize];
        let response = self.send(&read(length, 0x02), &[], &mut into);
        into.truncate(response.transferred);
        (response, into)
    }

    /// A block that must be readable.
    pub fn block(&mut self) -> Vec<u8> {
        let (response, data) = self.read(8 << 20);
        assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
        data
    }

    pub fn rewind(&mut self) {
        self.good(&[0x01, 0, 0, 0, 0, 0]);
    }

    pub fn locate(&mut self, object: u64) -> Response {
        self.run(&locate(object))
    }

    /// (object, filemarks) by the long form.
    pub fn place(&mut self) -> (u64, u64) {
        let reply = self.data(&[0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0]);
        (number(&reply[8..16]), number(&reply[16..24]))
    }

    /// MODE SELECT(6) with a block descriptor.
    pub fn set_block_length(&mut self, bytes: u32) {
        let [_, a, b, c] = bytes.to_be_bytes();
        let list = [0, 0, 0x10, 8, 0, 0, 0, 0, 0, a, b, c];
        let response = self.send(&[0x15, 0x10, 0, 0, 12, 0], &list, &mut []);
        assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    }

    /// MODE SELECT(6) of PEWS, in megabytes.
    pub fn set_programmable_zone(&mut self, megabytes: u16) {
        let [high, low] = megabytes.to_be_bytes();
        let mut list = vec![0, 0, 0x10, 0, 0x50, 0x01, 0, 0x1c, 0, 2, high, low];
        list.resize(4 + 32, 0);
        let response = self.send(&[0x15, 0x10, 0, 0, 36, 0], &list, &mut []);
        assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    }
}

/// A drive that was just switched on, its attention taken.
pub fn switched_on(medium: Medium, setup: Setup) -> (Drive, Nexus) {
    let mut drive = Drive::new(Setup {
        serial: "VT0001".to_owned(),
        ..setup
    });
    drive.insert(medium);
    let nexus = drive.connect("host-a");
    let first = drive.execute(nexus, &[0; 6], &[], &mut []);
    assert_eq!(key_code(&sense(first)), (6, 0x29, 0x00));
    (drive, nexus)
}

pub fn opened(path: &Path) -> (Drive, Nexus) {
    switched_on(Medium::open(path).expect("cartridge"), Setup::default())
}

pub fn write(length: u32) -> [u8; 6] {
    let [_, a, b, c] = length.to_be_bytes();
    [0x0a, 0, a, b, c, 0]
}

pub fn read(length: u32, flags: u8) -> [u8; 6] {
    let [_, a, b, c] = length.to_be_bytes();
    [0x08, flags, a, b, c, 0]
}

pub fn locate(object: u64) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = 0x92;
    cdb[4..12].copy_from_slice(&object.to_be_bytes());
    cdb
}

pub fn space(code: u8, count: i32) -> [u8; 6] {
    let [_, a, b, c] = count.to_be_bytes();
    [0x11, code, a, b, c, 0]
}

pub fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub fn sense(response: Response) -> Sense {
    assert_eq!(response.status, Ok(Status::CheckCondition), "{response:?}");
    response
        .sense
        .expect("sense data comes with CHECK CONDITION")
}

pub fn key_code(sense: &Sense) -> (u8, u8, u8) {
    (sense.key as u8, sense.asc, sense.ascq)
}

/// Key, ASC, ASCQ and residual.
pub fn told(sense: &Sense) -> (u8, u8, u8, Option<i64>) {
    (sense.key as u8, sense.asc, sense.ascq, sense.residual())
}
