//! Fail the Nth command, for every N, in every way, until none is left.
//!
//! After each, one of two things must be so: the session ended well, and the
//! medium holds just what was written; or it stopped with an error that says
//! why, and the medium holds a beginning of that: no object twice, none out of
//! order, and nothing missing that had been synchronised.

use std::time::Duration;

use longhaul_emulator::faults::{At, Effect, Reset, Rule};
use longhaul_emulator::medium::Object;
use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Transport, TransportError};

use super::super::{DriveError, Key, Read};
use super::rig::{BLOCK, Rig, block, block_buffer, expected, sense};

/// More commands than the session sends.
const COMMANDS_MAX: u64 = 200;

/// Every object that the session writes.
pub(super) const WRITTEN: [Option<u8>; 9] = [
    Some(0),
    Some(1),
    None,
    Some(2),
    Some(3),
    None,
    Some(4),
    None,
    None,
];

/// A small session. `durable` becomes the number of objects that the drive has
/// promised to be on the medium.
pub(super) fn session(
    transport: Box<dyn Transport>,
    durable: &mut usize,
) -> Result<(), DriveError> {
    let mut drive = super::super::Drive::open_with(transport, super::super::Patience::brief())?;
    drive.ready(Duration::ZERO)?;
    drive.reserve(Key::new(1, 1))?;
    drive.prepare()?;
    drive.rewind()?;
    drive.write(block_buffer(0), BLOCK).0?;
    drive.submit_write(block_buffer(1), BLOCK, None);
    drive.complete_write().0?;
    drive.write_filemarks(1, true)?;
    drive.write(block_buffer(2), BLOCK).0?;
    if let Some(frontier) = drive.frontier()? {
        *durable = frontier.first_unwritten as usize;
    }
    drive.write(block_buffer(3), BLOCK).0?;
    drive.write_filemarks(1, false)?;
    *durable = 6;
    let here = drive.position()?.block;
    drive.locate(3)?;
    let (read, buffer) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    assert_eq!(read?, Read::Block(BLOCK));
    assert_eq!(&buffer[..], block(2), "the block that was asked for");
    drive.locate_end_of_data()?;
    assert_eq!(drive.position()?.block, here, "nothing was added meanwhile");
    drive.write(block_buffer(4), BLOCK).0?;
    drive.synchronize()?;
    *durable = 7;
    drive.write_filemarks(2, false)?;
    *durable = 9;
    drive.finish()
}

fn check(name: &str, number: u64, make: &dyn Fn() -> Rule) -> bool {
    let rig = Rig::new();
    let first = rig.emulated().commands();
    let mut rule = make();
    rule.at = At::Command(first + number);
    rig.plan(vec![rule]);
    let mut durable = 0;
    let result = session(rig.path("here"), &mut durable);
    let sent = rig.emulated().commands() - first;
    // What the buffer holds is gone in half of the cases.
    let objects = if number.is_multiple_of(2) {
        rig.objects()
    } else {
        rig.durable_objects()
    };
    let all = expected(&WRITTEN);
    let case = format!("{name} at command {number}: {result:?}");
    if result.is_ok() {
        assert_eq!(objects, all, "{case}");
    } else {
        assert!(
            is_beginning(&objects, &all),
            "{case}: {} objects",
            objects.len()
        );
        assert!(
            objects.len() >= durable,
            "{case}: {} of {durable}",
            objects.len()
        );
    }
    number > sent
}

pub(super) fn is_beginning(objects: &[Object], all: &[Object]) -> bool {
    all.starts_with(objects)
}

fn fail_every(name: &str, make: impl Fn() -> Rule) {
    for number in 1..COMMANDS_MAX {
        if check(name, number, &make) {
            return;
        }
    }
    panic!("{name}: the session never came to its end");
}

fn rule(effect: Effect) -> Rule {
    Rule::once(At::Any, effect)
}

#[test]
fn the_session_without_faults_writes_what_it_should() {
    let rig = Rig::new();
    let mut durable = 0;
    session(rig.path("here"), &mut durable).expect("nothing goes wrong");
    assert_eq!(durable, WRITTEN.len());
    assert_eq!(rig.durable_objects(), expected(&WRITTEN));
}

#[test]
fn outcomes_that_nobody_knows() {
    for error in [
        TransportError::TimedOut,
        TransportError::Disrupted,
        TransportError::NoConnect,
        TransportError::Other(5),
    ] {
        fail_every(&format!("{error:?}, not executed"), || {
            rule(Effect::Transport(error))
        });
        fail_every(&format!("{error:?}, executed"), || {
            rule(Effect::Transport(error)).executed()
        });
    }
    let aborted = || sense(SenseKey::AbortedCommand, 0x4b, 0);
    fail_every("aborted, not executed", || rule(aborted()));
    fail_every("aborted, executed", || rule(aborted()).executed());
    fail_every("task aborted", || rule(Effect::Status(Status::TaskAborted)));
    fail_every("task aborted, executed", || {
        rule(Effect::Status(Status::TaskAborted)).executed()
    });
}

#[test]
fn commands_that_were_not_executed() {
    fail_every("not sent", || {
        rule(Effect::Transport(TransportError::NotSent))
    });
    fail_every("too large", || {
        rule(Effect::Transport(TransportError::TooLarge))
    });
    for status in [
        Status::Busy,
        Status::TaskSetFull,
        Status::ReservationConflict,
    ] {
        fail_every(&status.to_string(), || rule(Effect::Status(status)));
    }
}

#[test]
fn unit_attentions() {
    let codes = [
        (0x28, 0x00),
        (0x29, 0x00),
        (0x29, 0x02),
        (0x2a, 0x01),
        (0x2a, 0x03),
        (0x2a, 0x05),
        (0x2f, 0x00),
        (0x3f, 0x01),
        (0x3f, 0x0e),
        (0x5a, 0x01),
    ];
    for (asc, ascq) in codes {
        let name = format!("unit attention {asc:02x}/{ascq:02x}");
        fail_every(&name, || rule(sense(SenseKey::UnitAttention, asc, ascq)));
    }
}

#[test]
fn resets_and_lost_buffers() {
    fail_every("power cycle", || rule(Effect::Reset(Reset::Power)));
    fail_every("bus reset", || rule(Effect::Reset(Reset::Bus)));
    fail_every("deferred write error", || {
        let sense = Sense::new(SenseKey::MediumError, 0x0c, 0).deferred();
        let mut rule = rule(Effect::Sense(sense));
        rule.fault.lose_buffer = true;
        rule
    });
    fail_every("path error that lost the buffer", || {
        let mut rule = rule(Effect::Transport(TransportError::Disrupted));
        rule.fault.lose_buffer = true;
        rule
    });
}

#[test]
fn errors_of_the_drive_and_the_medium() {
    let codes = [
        (SenseKey::NotReady, 0x04, 0x01),
        (SenseKey::NotReady, 0x04, 0x03),
        (SenseKey::NotReady, 0x3a, 0x00),
        (SenseKey::MediumError, 0x0c, 0x00),
        (SenseKey::MediumError, 0x11, 0x00),
        (SenseKey::HardwareError, 0x44, 0x00),
        (SenseKey::IllegalRequest, 0x24, 0x00),
        (SenseKey::DataProtect, 0x27, 0x00),
        (SenseKey::VolumeOverflow, 0x00, 0x02),
        (SenseKey::RecoveredError, 0x5d, 0x00),
    ];
    for (key, asc, ascq) in codes {
        let name = format!("{key} {asc:02x}/{ascq:02x}");
        // A recovered error is told of a command that was carried out.
        let executed = key == SenseKey::RecoveredError;
        fail_every(&name, || {
            let rule = rule(sense(key, asc, ascq));
            if executed { rule.executed() } else { rule }
        });
    }
}
