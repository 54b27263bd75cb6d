//! A small library in a temporary folder, and commands to its devices.

use std::path::{Path, PathBuf};

use longhaul_emulator::drive::Nexus;
use longhaul_emulator::library::Plan;
use longhaul_emulator::{Library, Response, Unit};
use longhaul_scsi::sense::Sense;
use longhaul_scsi::smc::read_element_status::{Element, ElementStatus};
use longhaul_scsi::status::Status;
use tempfile::TempDir;

use crate::rig::{MIB, key_code, sense};

/// Element addresses.
pub const TRANSPORT: u16 = 1;
pub const MAIL: u16 = 0x10;
pub const DRIVE: u16 = 0x100;
pub const SLOT: u16 = 0x1000;

pub struct Cabinet {
    pub library: Library,
    pub changer: Host,
    pub drives: Vec<Host>,
    dir: TempDir,
}

/// A device, as one initiator sees it; its power-on attention is taken.
#[derive(Clone)]
pub struct Host {
    pub unit: Unit,
    pub nexus: Nexus,
}

impl Host {
    pub fn new(unit: &Unit, initiator: &str) -> Host {
        let nexus = unit.connect(initiator);
        let host = Host {
            unit: unit.clone(),
            nexus,
        };
        for _ in 0..3 {
            host.run(&[0; 6]);
        }
        host
    }

    pub fn send(&self, cdb: &[u8], out: &[u8], into: &mut [u8]) -> Response {
        self.unit.execute(self.nexus, cdb, out, into)
    }

    /// A command without data.
    pub fn run(&self, cdb: &[u8]) -> Response {
        self.send(cdb, &[], &mut [])
    }

    pub fn good(&self, cdb: &[u8]) {
        let response = self.run(cdb);
        assert_eq!(
            response.status,
            Ok(Status::Good),
            "{cdb:02x?}: {:?}",
            response.sense
        );
    }

    pub fn check(&self, cdb: &[u8]) -> Sense {
        sense(self.run(cdb))
    }

    /// Key, ASC and ASCQ of a command that must end with CHECK CONDITION.
    pub fn told(&self, cdb: &[u8]) -> (u8, u8, u8) {
        key_code(&self.check(cdb))
    }

    pub fn data(&self, cdb: &[u8]) -> Vec<u8> {
        let mut into = vec![0; 1 << 20];
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

    /// PERSISTENT RESERVE OUT.
    pub fn reserve_out(&self, action: u8, kind: u8, key: u64, new: u64) -> Response {
        let list = [&key.to_be_bytes()[..], &new.to_be_bytes(), &[0; 8]].concat();
        self.send(&[0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0], &list, &mut [])
    }

    /// All elements, by READ ELEMENT STATUS.
    pub fn elements(&self) -> Vec<Element> {
        let bytes = self.data(&element_status(0x10, 0, u16::MAX, 3, 0xff_ffff));
        ElementStatus::parse(&bytes).expect("well formed").0
    }

    pub fn element(&self, address: u16) -> Element {
        let mut elements = self.elements().into_iter();
        elements
            .find(|element| element.address == address)
            .expect("it exists")
    }

    /// The barcode of the cartridge in an element.
    pub fn tag(&self, address: u16) -> Option<String> {
        self.element(address).volume_tag
    }
}

impl Cabinet {
    pub fn new() -> Cabinet {
        Cabinet::of(&plan())
    }

    pub fn of(plan: &Plan) -> Cabinet {
        let dir = tempfile::tempdir().expect("temporary folder");
        Library::create(&dir.path().join("lib"), plan).expect("a library");
        Cabinet::open(dir)
    }

    fn open(dir: TempDir) -> Cabinet {
        let library = Library::open(&dir.path().join("lib")).expect("it opens");
        let mut hosts = library.units().iter().map(|unit| Host::new(unit, "host-a"));
        let changer = hosts.next().expect("a changer");
        let drives = hosts.collect();
        Cabinet {
            library,
            changer,
            drives,
            dir,
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("lib")
    }

    /// Rewrites a piece of `library.toml`, which nobody has meanwhile.
    pub fn edited(self, from: &str, to: &str) -> Cabinet {
        let dir = self.switched_off();
        let path = dir.path().join("lib/library.toml");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).expect("written");
        Cabinet::open(dir)
    }

    /// The same library, switched off and on.
    pub fn again(self) -> Cabinet {
        Cabinet::open(self.switched_off())
    }

    fn switched_off(self) -> TempDir {
        let Cabinet {
            library,
            changer,
            drives,
            dir,
        } = self;
        drop((library, changer, drives));
        dir
    }
}

pub fn plan() -> Plan {
    Plan {
        drives: 2,
        slots: 6,
        mail_slots: 2,
        cartridges: 4,
        capacity: 64 * MIB,
        ..Plan::default()
    }
}

pub fn barcode(number: u16) -> String {
    format!("LH{number:04}L9")
}

pub fn cartridge_file(dir: &Path, barcode: &str) -> PathBuf {
    dir.join("cartridges").join(format!("{barcode}.vtape"))
}

pub fn move_medium(from: u16, to: u16) -> [u8; 12] {
    let ([a, b], [c, d]) = (from.to_be_bytes(), to.to_be_bytes());
    [0xa5, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]
}

pub fn exchange(from: u16, first: u16, second: u16) -> [u8; 12] {
    let ([a, b], [c, d], [e, f]) = (
        from.to_be_bytes(),
        first.to_be_bytes(),
        second.to_be_bytes(),
    );
    [0xa6, 0, 0, 1, a, b, c, d, e, f, 0, 0]
}

/// READ ELEMENT STATUS; `kind` with VOLTAG, `flags` are CURDATA and DVCID.
pub fn element_status(kind: u8, start: u16, count: u16, flags: u8, allocation: u32) -> [u8; 12] {
    let ([a, b], [c, d]) = (start.to_be_bytes(), count.to_be_bytes());
    let [_, e, f, g] = allocation.to_be_bytes();
    [0xb8, kind, a, b, c, d, flags, e, f, g, 0, 0]
}
