//! A changer against the emulated library: moves, and moves that go wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longhaul_emulator::Nexus;
use longhaul_emulator::library::{Library, Plan, Unit};
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::smc::opcode;
use longhaul_scsi::smc::read_element_status::ElementType;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Completion, Data, Outcome, Request, Transport, TransportError};
use tempfile::TempDir;

use super::intent::Notebook;
use super::{Changer, ChangerError, Intent, Trouble, serial_of};

/// What happens to the next MOVE MEDIUM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It gets lost on its way.
    Lost,
    /// It is refused with a unit attention.
    Attention,
    /// GOOD is said, and nothing is done.
    Lie,
}

/// What went over the wire.
#[derive(Debug, Default)]
struct Wire {
    /// The fates of the next moves, the next one last.
    fates: Vec<Fate>,
    /// Moves that were sent.
    moves: u32,
}

struct Path {
    unit: Unit,
    nexus: Nexus,
    wire: Arc<Mutex<Wire>>,
    done: Option<Completion>,
}

impl Path {
    fn perform(&self, request: &mut Request) -> Outcome {
        let cdb = request.cdb;
        let asked = request.data.len();
        let response = match &mut request.data {
            Data::None => self.unit.execute(self.nexus, cdb.as_bytes(), &[], &mut []),
            Data::In { buffer, len } => {
                let into = &mut buffer[..*len];
                self.unit.execute(self.nexus, cdb.as_bytes(), &[], into)
            }
            Data::Out { buffer, len } => {
                let out = &buffer[..*len];
                self.unit.execute(self.nexus, cdb.as_bytes(), out, &mut [])
            }
        };
        Outcome {
            status: response.status,
            sense: response.sense,
            residual: asked as i64 - response.transferred as i64,
        }
    }
}

impl Transport for Path {
    fn submit(&mut self, mut request: Request) {
        let fate = {
            let mut wire = self.wire.lock().expect("wire");
            if request.cdb.opcode() == opcode::MOVE_MEDIUM {
                wire.moves += 1;
                wire.fates.pop()
            } else {
                None
            }
        };
        let disrupted = Outcome {
            status: Err(TransportError::Disrupted),
            ..Outcome::good()
        };
        let outcome = match fate {
            None => self.perform(&mut request),
            Some(Fate::AnswerLost) => {
                let done = self.perform(&mut request);
                assert_eq!(done.status, Ok(Status::Good));
                disrupted
            }
            Some(Fate::Lost) => disrupted,
            Some(Fate::Attention) => Outcome {
                status: Ok(Status::CheckCondition),
                sense: Some(Sense::new(SenseKey::UnitAttention, 0x28, 0x01)),
                residual: 0,
            },
            Some(Fate::Lie) => Outcome::good(),
        };
        let data = request.data;
        self.done = Some(Completion { outcome, data });
    }

    fn complete(&mut self) -> Completion {
        self.done.take().expect("a command is in flight")
    }

    fn name(&self) -> String {
        "changer".into()
    }
}

/// A library of two drives, five slots with three cartridges, and a mail slot.
struct Rig {
    library: Library,
    wire: Arc<Mutex<Wire>>,
    dir: TempDir,
}

const FIRST: &str = "LH0001L9";

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().expect("scratch");
        let plan = Plan {
            slots: 5,
            cartridges: 3,
            capacity: 4 << 20,
            ..Plan::default()
        };
        let folder = dir.path().join("library");
        Library::create(&folder, &plan).expect("created");
        Rig {
            library: Library::open(&folder).expect("open"),
            wire: Arc::default(),
            dir,
        }
    }

    fn open(&self) -> Changer {
        let unit = self.library.units()[0].clone();
        let nexus = unit.connect("host");
        let path = Path {
            unit,
            nexus,
            wire: Arc::clone(&self.wire),
            done: None,
        };
        Changer::open_with(Box::new(path), self.dir.path(), Duration::ZERO).expect("open")
    }

    fn notebook(&self) -> Notebook {
        Notebook::of(self.dir.path(), &self.library.units()[0].serial())
    }

    fn next(&self, fates: &[Fate]) {
        self.wire.lock().expect("wire").fates = fates.iter().rev().copied().collect();
    }

    fn moves(&self) -> u32 {
        self.wire.lock().expect("wire").moves
    }
}

/// From the slot of the first cartridge to the first drive.
fn ends(changer: &mut Changer) -> (u16, u16) {
    let inventory = changer.inventory().expect("inventory");
    let slot = inventory.volume(FIRST).expect("it is there").address;
    let drive = inventory.of(ElementType::DataTransfer).next();
    (slot, drive.expect("a drive").address)
}

fn trouble(result: Result<super::Inventory, ChangerError>) -> Trouble {
    result.expect_err("it cannot have worked").trouble
}

#[test]
fn the_inventory_names_volumes_and_drives() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let inventory = changer.inventory().expect("inventory");
    for name in [FIRST, "LH0001"] {
        let element = inventory.volume(name).expect("it is there");
        assert_eq!(element.kind, ElementType::Storage);
    }
    let serials: Vec<_> = inventory
        .of(ElementType::DataTransfer)
        .filter_map(serial_of)
        .collect();
    let drives: Vec<_> = rig.library.units()[1..].iter().map(Unit::serial).collect();
    assert_eq!(serials, drives);
    assert!(inventory.drive(&serials[1]).is_ok());
    assert!(matches!(
        inventory.volume("LH9999"),
        Err(Trouble::NoVolume(_))
    ));
    assert!(matches!(inventory.drive("none"), Err(Trouble::Usage(_))));
}

#[test]
fn a_volume_goes_to_a_drive_and_home_again() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let (slot, drive) = ends(&mut changer);
    let after = changer.carry(slot, drive).expect("moved");
    let element = after.volume(FIRST).expect("it is there");
    assert_eq!(element.address, drive);
    assert_eq!(after.home_of(element), Some(slot));
    assert_eq!(rig.notebook().pending().expect("no note"), None);
}

#[test]
fn a_move_whose_answer_is_lost_is_not_sent_again() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let (slot, drive) = ends(&mut changer);
    rig.next(&[Fate::AnswerLost]);
    let after = changer.carry(slot, drive).expect("it has arrived");
    assert_eq!(after.volume(FIRST).expect("there").address, drive);
    assert_eq!(rig.moves(), 1);
}

#[test]
fn a_move_that_never_came_is_tried_again_a_few_times() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let (slot, drive) = ends(&mut changer);
    rig.next(&[Fate::Lost, Fate::Attention]);
    changer.carry(slot, drive).expect("at the third try");
    assert_eq!(rig.moves(), 3);
    rig.next(&[Fate::Lost; 9]);
    let other = changer.inventory().expect("inventory");
    let other = other.volume("LH0002").expect("there").address;
    let mail = |changer: &mut Changer| {
        let inventory = changer.inventory().expect("inventory");
        inventory
            .of(ElementType::ImportExport)
            .next()
            .map(|slot| slot.address)
    };
    let mail = mail(&mut changer).expect("a mail slot");
    assert!(matches!(
        trouble(changer.carry(other, mail)),
        Trouble::Told { .. }
    ));
    assert_eq!(rig.moves(), 6);
    assert_eq!(rig.notebook().pending().expect("no note"), None);
}

#[test]
fn good_without_a_move_is_not_believed() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let (slot, drive) = ends(&mut changer);
    rig.next(&[Fate::Lie]);
    assert!(matches!(
        trouble(changer.carry(slot, drive)),
        Trouble::Astray(_)
    ));
    assert_eq!(rig.moves(), 1);
}

#[test]
fn a_full_place_and_an_empty_one_are_told_before_anything_moves() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let (slot, drive) = ends(&mut changer);
    let inventory = changer.inventory().expect("inventory");
    let other = inventory.volume("LH0002").expect("there").address;
    assert!(matches!(
        trouble(changer.carry(slot, other)),
        Trouble::Occupied(_)
    ));
    assert!(matches!(
        trouble(changer.carry(drive, slot)),
        Trouble::Usage(_)
    ));
    assert!(matches!(
        trouble(changer.carry(slot, 9999)),
        Trouble::Usage(_)
    ));
    assert_eq!(rig.moves(), 0);
}

#[test]
fn the_note_of_a_process_that_died_is_looked_into_and_taken_away() {
    let rig = Rig::new();
    let (slot, drive) = ends(&mut rig.open());
    let intent = Intent {
        barcode: Some(FIRST.into()),
        from: slot,
        to: drive,
    };
    rig.notebook().write(&intent).expect("written");
    let mut changer = rig.open();
    assert_eq!(rig.notebook().pending().expect("no note"), None);
    assert_eq!(rig.moves(), 0);
    changer.carry(slot, drive).expect("it can be moved now");
}

#[test]
fn the_note_is_there_before_the_hand_moves() {
    let rig = Rig::new();
    let mut changer = rig.open();
    let (slot, drive) = ends(&mut changer);
    // Where no note can be written, nothing moves.
    std::fs::write(rig.dir.path().join("changers"), b"no folder").expect("written");
    assert!(matches!(
        trouble(changer.carry(slot, drive)),
        Trouble::Note(_)
    ));
    assert_eq!(rig.moves(), 0);
}
