//! Writes whose outcome is unknown: never twice on the tape, never missing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::ssc::opcode;
use longhaul_scsi::ssc::transfer::WriteFilemarks6;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Outcome, TransportError};

use super::super::{Drive, EarlyWarning, Loss, Patience, Problem};
use super::rig::{BLOCK, Rig, block_buffer, expected};
use super::tampered::{Fate, Tampered};

fn failed(error: TransportError) -> Outcome {
    Outcome {
        status: Err(error),
        sense: None,
        residual: 0,
    }
}

fn status(status: Status) -> Outcome {
    Outcome {
        status: Ok(status),
        sense: None,
        residual: 0,
    }
}

fn check(sense: Sense) -> Outcome {
    Outcome {
        status: Ok(Status::CheckCondition),
        sense: Some(sense),
        residual: 0,
    }
}

/// Outcomes after which nobody knows whether a command was executed.
fn unknown_outcomes() -> Vec<Outcome> {
    vec![
        failed(TransportError::TimedOut),
        failed(TransportError::Disrupted),
        failed(TransportError::NoConnect),
        failed(TransportError::Other(5)),
        status(Status::TaskAborted),
        check(Sense::new(SenseKey::AbortedCommand, 0x4b, 0)),
    ]
}

/// Outcomes of commands that were certainly not executed.
fn refusals() -> Vec<Outcome> {
    vec![
        failed(TransportError::NotSent),
        status(Status::Busy),
        status(Status::TaskSetFull),
        check(Sense::new(SenseKey::UnitAttention, 0x2a, 0x01)),
        check(Sense::new(SenseKey::UnitAttention, 0x3f, 0x01)),
        check(Sense::new(SenseKey::NotReady, 0x04, 0x01)),
    ]
}

/// A session whose first commands of `opcode` get these fates, one after the
/// other.
fn session(rig: &Rig, opcode: u8, fates: Vec<Fate>) -> (Drive, Arc<Mutex<Vec<Cdb>>>) {
    let mut fates = fates.into_iter();
    let rule = move |_: usize, cdb: &Cdb| match cdb.opcode() == opcode {
        true => fates.next().unwrap_or(Fate::Pass),
        false => Fate::Pass,
    };
    let transport = Tampered::new(rig.path("here"), rule);
    let log = transport.log();
    let mut drive = Drive::open_with(Box::new(transport), Patience::brief()).expect("opened");
    drive.ready(Duration::ZERO).expect("ready");
    drive.prepare().expect("prepared");
    (drive, log)
}

fn sent(log: &Mutex<Vec<Cdb>>, opcode: u8) -> usize {
    log.lock()
        .expect("no panic")
        .iter()
        .filter(|cdb| cdb.opcode() == opcode)
        .count()
}

#[test]
fn a_write_that_was_not_executed_is_sent_again_once() {
    for outcome in unknown_outcomes().into_iter().chain(refusals()) {
        let rig = Rig::new();
        let fates = vec![Fate::Pass, Fate::Swallowed(outcome.clone())];
        let (mut drive, log) = session(&rig, opcode::WRITE_6, fates);
        for number in 0..3 {
            let (written, _) = drive.write(block_buffer(number), BLOCK);
            written.unwrap_or_else(|error| panic!("{outcome:?}: {error}"));
        }
        assert_eq!(sent(&log, opcode::WRITE_6), 4, "{outcome:?}");
        drive.finish().expect("ended");
        assert_eq!(
            rig.objects(),
            expected(&[Some(0), Some(1), Some(2)]),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_write_that_was_executed_is_not_sent_again() {
    for outcome in unknown_outcomes() {
        let rig = Rig::new();
        let fates = vec![Fate::Pass, Fate::Misreported(outcome.clone())];
        let (mut drive, log) = session(&rig, opcode::WRITE_6, fates);
        for number in 0..3 {
            let (written, _) = drive.write(block_buffer(number), BLOCK);
            written.unwrap_or_else(|error| panic!("{outcome:?}: {error}"));
        }
        assert_eq!(sent(&log, opcode::WRITE_6), 3, "{outcome:?}");
        drive.finish().expect("ended");
        assert_eq!(
            rig.objects(),
            expected(&[Some(0), Some(1), Some(2)]),
            "{outcome:?}"
        );
    }
}

#[test]
fn filemarks_are_written_once_and_synchronised_by_an_answer() {
    for outcome in unknown_outcomes() {
        for fate in [
            Fate::Swallowed(outcome.clone()),
            Fate::Misreported(outcome.clone()),
        ] {
            let rig = Rig::new();
            let (mut drive, _) = session(&rig, opcode::WRITE_FILEMARKS_6, vec![fate]);
            drive.write(block_buffer(0), BLOCK).0.expect("written");
            drive.write_filemarks(2, false).expect("written");
            assert_eq!(
                drive.position().expect("known").file,
                Some(2),
                "{outcome:?}"
            );
            assert_eq!(drive.unsynchronised(), 0);
            assert_eq!(
                rig.durable_objects(),
                expected(&[Some(0), None, None]),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn filemarks_that_are_only_in_the_buffer_are_brought_to_the_medium() {
    for outcome in unknown_outcomes() {
        let rig = Rig::new();
        // The drive was cut off before it had synchronised.
        let accepted = WriteFilemarks6::new(2, true).cdb();
        let fate = Fate::Replaced(accepted, outcome.clone());
        let (mut drive, _) = session(&rig, opcode::WRITE_FILEMARKS_6, vec![fate]);
        drive.write(block_buffer(0), BLOCK).0.expect("written");
        drive
            .write_filemarks(2, false)
            .expect("written and synchronised");
        assert_eq!(
            rig.durable_objects(),
            expected(&[Some(0), None, None]),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_space_is_repeated_from_where_it_began() {
    for outcome in unknown_outcomes() {
        let rig = Rig::new();
        let fate = Fate::Misreported(outcome.clone());
        let (mut drive, _) = session(&rig, opcode::SPACE_6, vec![fate]);
        for number in 0..3 {
            drive.write(block_buffer(number), BLOCK).0.expect("written");
            drive.write_filemarks(1, true).expect("written");
        }
        drive.rewind().expect("rewound");
        let spaced = drive.space_filemarks(1).expect("spaced");
        assert_eq!(
            (spaced.passed, spaced.position.block),
            (1, 2),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_write_that_fails_again_is_given_up_with_the_position_known() {
    let rig = Rig::new();
    let lost = Fate::Swallowed(failed(TransportError::TimedOut));
    let (mut drive, log) = session(&rig, opcode::WRITE_6, vec![lost.clone(), lost]);
    let error = drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect_err("twice in a row");
    assert_eq!(error.problem(), &Problem::Path(TransportError::TimedOut));
    assert_eq!(sent(&log, opcode::WRITE_6), 2);
    assert!(drive.knows_position());
    drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect("and may be tried by the caller");
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

#[test]
fn a_drive_that_stays_busy_is_left_alone() {
    let rig = Rig::new();
    let busy = vec![Fate::Swallowed(status(Status::Busy)); 10_000];
    let (mut drive, _) = session(&rig, opcode::WRITE_6, busy);
    let error = drive.write(block_buffer(0), BLOCK).0.expect_err("busy");
    assert!(matches!(error.problem(), Problem::Busy { .. }), "{error}");
    assert!(drive.knows_position());
    assert_eq!(rig.objects(), []);
}

#[test]
fn a_path_that_never_comes_back_ends_the_session() {
    let rig = Rig::new();
    let mut cut = false;
    let rule = move |_: usize, cdb: &Cdb| {
        cut |= cdb.opcode() == opcode::WRITE_6;
        match cut {
            true => Fate::Swallowed(failed(TransportError::NoConnect)),
            false => Fate::Pass,
        }
    };
    let transport = Tampered::new(rig.path("here"), rule);
    let mut drive = Drive::open_with(Box::new(transport), Patience::brief()).expect("opened");
    drive.ready(Duration::ZERO).expect("ready");
    drive.prepare().expect("prepared");
    let error = drive.write(block_buffer(0), BLOCK).0.expect_err("no path");
    let problem = Problem::Lost {
        cause: Loss::PathLost,
        unsynchronised: 0,
    };
    assert_eq!(error.problem(), &problem);
    assert_eq!(error.kind().exit_code(), 6);
}

#[test]
fn a_tape_that_moved_behind_our_back_ends_the_session() {
    let rig = Rig::new();
    let fates = vec![
        Fate::Pass,
        Fate::Pass,
        Fate::Swallowed(failed(TransportError::Disrupted)),
    ];
    let (mut drive, _) = session(&rig, opcode::WRITE_6, fates);
    for number in 0..2 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    let mut other = rig.open("there");
    other.rewind().expect("another nexus, no reservation");
    let error = drive
        .write(block_buffer(2), BLOCK)
        .0
        .expect_err("the tape is elsewhere");
    let cause = Loss::PositionMoved {
        expected: 2,
        found: 0,
    };
    assert_eq!(
        error.problem(),
        &Problem::Lost {
            cause,
            unsynchronised: 2
        }
    );
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1)]));
}

#[test]
fn a_registration_that_vanished_without_a_word_ends_the_session() {
    let rig = Rig::new();
    let lost = Fate::Swallowed(failed(TransportError::Disrupted));
    let (mut drive, _) = session(&rig, opcode::WRITE_6, vec![Fate::Pass, lost]);
    drive.reserve(super::super::Key::new(0, 1)).expect("free");
    drive.write(block_buffer(0), BLOCK).0.expect("written");
    drive.synchronize().expect("synchronised");
    rig.emulated().power_cycle();
    // Another opener of the same node eats the unit attention, and moves the
    // tape back to where it was.
    let mut eater = rig.open("here");
    eater.ready(Duration::ZERO).expect("ready");
    eater.locate(1).expect("there");
    let error = drive
        .write(block_buffer(1), BLOCK)
        .0
        .expect_err("nothing fences it now");
    let cause = Loss::RegistrationGone;
    assert_eq!(
        error.problem(),
        &Problem::Lost {
            cause,
            unsynchronised: 0
        }
    );
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

#[test]
fn early_warning_survives_an_unknown_outcome() {
    let rig = Rig::with_capacity(1 << 20);
    let record = 32 << 10;
    let mut probe = rig.session();
    let mut blocks = 0;
    let buffer = || longhaul_ffi::buffer::Buffer::zeroed(record);
    while probe.write(buffer(), record).0.expect("room").early_warning == EarlyWarning::None {
        blocks += 1;
    }
    let rig = Rig::with_capacity(1 << 20);
    let mut fates = vec![Fate::Pass; blocks];
    fates.push(Fate::Misreported(failed(TransportError::TimedOut)));
    let (mut drive, _) = session(&rig, opcode::WRITE_6, fates);
    for _ in 0..blocks {
        drive.write(buffer(), record).0.expect("room");
    }
    let written = drive.write(buffer(), record).0.expect("executed");
    assert_eq!(written.early_warning, EarlyWarning::Early);
}

#[test]
fn a_transfer_that_is_too_large_was_not_sent() {
    let rig = Rig::new();
    let outcome = Outcome {
        residual: BLOCK as i64,
        ..failed(TransportError::TooLarge)
    };
    // With what stands behind the block, and without.
    let fates = vec![Fate::Swallowed(outcome.clone()), Fate::Swallowed(outcome)];
    let (mut drive, log) = session(&rig, opcode::WRITE_6, fates);
    let error = drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect_err("too large");
    let bytes = BLOCK as i64;
    assert_eq!(error.problem(), &Problem::TooLarge { bytes });
    assert_eq!(sent(&log, opcode::WRITE_6), 2);
    drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect("the session goes on");
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

#[test]
fn a_block_that_was_cut_short_ends_the_session() {
    let rig = Rig::new();
    let short = Outcome {
        residual: 512,
        ..Outcome::good()
    };
    let (mut drive, _) = session(&rig, opcode::WRITE_6, vec![Fate::Misreported(short)]);
    let error = drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect_err("cut short");
    assert_eq!(error.problem(), &Problem::ShortWrite { residual: 512 });
    drive
        .write(block_buffer(1), BLOCK)
        .0
        .expect_err("nothing good can follow");
}
