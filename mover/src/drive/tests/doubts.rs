//! What happened behind our back is noticed before the next write.

use std::time::Duration;

use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::spc::basic::TestUnitReady;
use longhaul_scsi::spc::mode::ModeSelect10;
use longhaul_scsi::spc::opcode as spc;
use longhaul_scsi::ssc::opcode;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Outcome, TransportError};

use super::super::{Drive, DriveError, Loss, Patience, Problem};
use super::rig::{BLOCK, Rig, at, block_buffer, expected, sense};
use super::tampered::{Fate, Tampered};

/// Two blocks written, the tape at block 2.
fn started(rig: &Rig) -> Drive {
    let mut drive = rig.session();
    for number in 0..2 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    drive
}

fn assert_moved(error: &DriveError, found: u64) {
    let cause = Loss::PositionMoved { expected: 2, found };
    let problem = Problem::Lost {
        cause,
        unsynchronised: 2,
    };
    assert_eq!(error.problem(), &problem, "{error}");
}

#[test]
fn asking_for_the_position_notices_that_it_moved() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    rig.open("there").rewind().expect("rewound");
    assert_moved(&drive.position().expect_err("moved"), 0);
    drive
        .write(block_buffer(2), BLOCK)
        .0
        .expect_err("nothing is written any more");
}

#[test]
fn asking_for_the_frontier_notices_that_it_moved() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    rig.open("there").rewind().expect("rewound");
    assert_moved(&drive.frontier().expect_err("moved"), 0);
}

#[test]
fn a_harmless_attention_makes_the_next_write_ask_first() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    rig.open("there").rewind().expect("rewound");
    rig.plan(vec![at(
        spc::READ_ATTRIBUTE,
        sense(SenseKey::UnitAttention, 0x3f, 0x01),
    )]);
    drive.volume_identity().expect("asked twice");
    assert_moved(
        &drive.write(block_buffer(2), BLOCK).0.expect_err("moved"),
        0,
    );
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1)]));
}

#[test]
fn a_filemark_that_is_not_ours_is_noticed() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    let mut other = rig.open("there");
    other.rewind().expect("rewound");
    other
        .write(block_buffer(9), BLOCK)
        .0
        .expect("no reservation keeps it away");
    other.write_filemarks(1, false).expect("written");
    let broken = longhaul_emulator::faults::Effect::Transport(TransportError::Disrupted);
    rig.plan(vec![at(opcode::WRITE_6, broken)]);
    assert_moved(
        &drive
            .write(block_buffer(2), BLOCK)
            .0
            .expect_err("another's tape"),
        2,
    );
}

#[test]
fn a_tape_that_went_further_than_the_write_is_noticed() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..5 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    drive.locate(2).expect("there");
    rig.open("there").locate(5).expect("there");
    let broken = longhaul_emulator::faults::Effect::Transport(TransportError::Disrupted);
    rig.plan(vec![at(opcode::WRITE_6, broken)]);
    let error = drive.write(block_buffer(9), BLOCK).0.expect_err("moved");
    let cause = Loss::PositionMoved {
        expected: 2,
        found: 5,
    };
    assert_eq!(
        error.problem(),
        &Problem::Lost {
            cause,
            unsynchronised: 0
        }
    );
    assert_eq!(
        rig.objects(),
        expected(&[Some(0), Some(1), Some(2), Some(3), Some(4)])
    );
}

#[test]
fn modes_that_another_has_changed_are_restored_before_the_write() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    let mut other = rig.open("there");
    let mut modes = other.sense_modes().expect("asked");
    let descriptor = modes.block_descriptor.as_mut().expect("a descriptor");
    descriptor.block_bytes = 4096;
    let list = modes.encode_select_10();
    let cdb = ModeSelect10::new(list.len() as u16, false).cdb();
    other.ask_out("MODE SELECT(10)", cdb, &list).expect("set");
    drive.write(block_buffer(2), BLOCK).0.expect("written");
    let modes = drive.sense_modes().expect("asked");
    assert_eq!(
        modes
            .block_descriptor
            .map(|descriptor| descriptor.block_bytes),
        Some(0)
    );
    drive.finish().expect("ended");
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1), Some(2)]));
}

#[test]
fn one_good_answer_after_a_path_error_is_not_believed() {
    let rig = Rig::new();
    let mut ready_after_error = None;
    let rule = move |_: usize, cdb: &Cdb| {
        let ready = cdb.opcode() == TestUnitReady::OPCODE;
        match (cdb.opcode(), &mut ready_after_error) {
            (opcode::WRITE_6, None) => {
                ready_after_error = Some(0);
                let status = Err(TransportError::Disrupted);
                Fate::Swallowed(Outcome {
                    status,
                    sense: None,
                    residual: 0,
                })
            }
            (_, Some(count)) if ready => {
                *count += 1;
                let sense = (*count == 2).then(|| Sense::new(SenseKey::UnitAttention, 0x29, 0));
                match sense {
                    None => Fate::Pass,
                    sense => Fate::Swallowed(Outcome {
                        status: Ok(Status::CheckCondition),
                        sense,
                        residual: 0,
                    }),
                }
            }
            _ => Fate::Pass,
        }
    };
    let transport = Tampered::new(rig.path("here"), rule);
    let mut drive = Drive::open_with(Box::new(transport), Patience::brief()).expect("opened");
    drive.ready(Duration::ZERO).expect("ready");
    drive.prepare().expect("prepared");
    let error = drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect_err("a reset came late");
    let problem = Problem::Lost {
        cause: Loss::Reset,
        unsynchronised: 0,
    };
    assert_eq!(error.problem(), &problem);
}

#[test]
fn leaving_the_place_brings_the_buffer_to_the_medium() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    assert_eq!(drive.unsynchronised(), 2);
    drive.rewind().expect("rewound");
    assert_eq!(drive.unsynchronised(), 0);
    assert_eq!(rig.durable_objects(), expected(&[Some(0), Some(1)]));
}

#[test]
fn a_cartridge_goes_out_and_comes_in_again() {
    let rig = Rig::new();
    let mut drive = started(&rig);
    drive.unload().expect("unloaded");
    let (written, _) = drive.write(block_buffer(2), BLOCK);
    assert_eq!(
        written.expect_err("nothing is loaded").problem(),
        &Problem::PositionUnknown
    );
    drive.load(Duration::from_secs(1)).expect("loaded");
    drive.prepare().expect("prepared");
    drive.locate_end_of_data().expect("there");
    drive.write(block_buffer(2), BLOCK).0.expect("written");
    drive.finish().expect("ended");
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1), Some(2)]));
}
