//! Two paths to one drive, and the first one dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Command;
use longhaul_scsi::spc::persistent_reserve::{
    InAction, Keys, OutAction, OutParameters, PersistentReserveIn, PersistentReserveOut,
    ReservationType,
};
use longhaul_scsi::ssc::transfer::Write6;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Data, Request, Transport};

use super::super::{Drive, Key, Patience, Problem};
use super::fail_nth::{WRITTEN, is_beginning, session};
use super::rig::{BLOCK, Rig, block_buffer, expected};
use crate::transport::faulty::{Failure, Fault, Faulty};
use crate::transport::paths::Paths;

const DID_NO_CONNECT: u16 = 0x01;
const DID_TRANSPORT_DISRUPTED: u16 = 0x0e;

/// Commands until the drive is reserved: a path that dies before is an error,
/// and nothing has happened.
const COMMANDS_MAX: u64 = 200;

/// A drive with two paths, of which the first has a fault.
fn two_paths(rig: &Rig, fault: Option<Fault>) -> (Box<dyn Transport>, Arc<AtomicU64>) {
    let first = Faulty::new(rig.path("here"), fault);
    let sent = first.sent();
    let mut second = Some(rig.path("there"));
    let next = Box::new(move || second.take());
    (Box::new(Paths::new(Box::new(first), next)), sent)
}

fn dies(at: u64, failure: Failure, executed: bool) -> Fault {
    Fault {
        at,
        failure,
        executed,
        lasts: true,
    }
}

/// A session in the middle of its work, whose path dies at its next command.
fn half_way(rig: &Rig, executed: bool) -> Drive {
    // How many commands that is, a session without faults tells.
    let (transport, sent) = two_paths(rig, None);
    drop(begin(transport));
    let at = sent.load(Ordering::Relaxed) + 1;
    rig.emulated().power_cycle();
    let failure = Failure::Host(DID_NO_CONNECT);
    let (transport, _) = two_paths(rig, Some(dies(at, failure, executed)));
    begin(transport)
}

fn begin(transport: Box<dyn Transport>) -> Drive {
    let mut drive = Drive::open_with(transport, Patience::brief()).expect("opens");
    drive.ready(std::time::Duration::ZERO).expect("ready");
    drive.reserve(Key::new(7, 1)).expect("free");
    drive.prepare().expect("prepared");
    drive.rewind().expect("rewound");
    drive.write(block_buffer(0), BLOCK).0.expect("written");
    drive
}

#[test]
fn a_path_that_dies_at_any_command_is_replaced_and_nothing_is_lost_or_doubled() {
    let failures = [
        Failure::Host(DID_NO_CONNECT),
        Failure::Host(DID_TRANSPORT_DISRUPTED),
        Failure::Errno(libc::ENODEV),
    ];
    for failure in failures {
        for executed in [false, true] {
            let mut number = 1;
            while dies_at(number, failure, executed) {
                number += 1;
                assert!(number < COMMANDS_MAX, "the session never came to its end");
            }
        }
    }
}

/// Whether the session had so many commands.
fn dies_at(number: u64, failure: Failure, executed: bool) -> bool {
    let rig = Rig::new();
    let (transport, sent) = two_paths(&rig, Some(dies(number, failure, executed)));
    let mut durable = 0;
    let result = session(transport, &mut durable);
    let case = format!("{failure:?} at {number}, executed: {executed}: {result:?}");
    let all = expected(&WRITTEN);
    match &result {
        Ok(()) => assert_eq!(rig.durable_objects(), all, "{case}"),
        Err(_) => {
            assert!(durable == 0, "{case}");
            assert!(is_beginning(&rig.objects(), &all), "{case}");
        }
    }
    sent.load(Ordering::Relaxed) >= number
}

#[test]
fn the_reservation_goes_along_under_the_same_key_and_keeps_others_out() {
    for executed in [false, true] {
        let rig = Rig::new();
        let mut drive = half_way(&rig, executed);
        drive
            .write(block_buffer(1), BLOCK)
            .0
            .expect("on the other path");
        drive.verify_reservation().expect("it is still ours");
        let mut third = rig.open("third");
        let error = third.reserve(Key::new(7, 2)).expect_err("held");
        let key = Key::new(7, 1);
        let held = Problem::Held {
            key,
            kind: 3,
            initiator: Some("there".into()),
        };
        assert_eq!(error.problem(), &held);
        let error = third.write(block_buffer(9), BLOCK).0.expect_err("refused");
        assert!(error.kind().exit_code() >= 4, "{error}");
        drive.write(block_buffer(2), BLOCK).0.expect("still ours");
        drive.finish().expect("ended");
        assert_eq!(rig.objects(), expected(&[Some(0), Some(1), Some(2)]));
        assert_eq!(third.holder().expect("asked"), None, "released");
    }
}

#[test]
fn what_the_dead_path_had_under_way_can_land_no_more() {
    let rig = Rig::new();
    let mut drive = half_way(&rig, false);
    drive
        .write(block_buffer(1), BLOCK)
        .0
        .expect("on the other path");
    let mut late = rig.path("here");
    let write = || {
        let data = Data::Out {
            buffer: block_buffer(9),
            len: BLOCK,
        };
        Request {
            cdb: Write6::variable(BLOCK as u32).cdb(),
            data,
            timeout: std::time::Duration::from_secs(60),
        }
    };
    // First it is told that its registration was preempted.
    let told = late.execute(write()).outcome;
    assert_ne!(told.status, Ok(Status::Good));
    let refused = late.execute(write()).outcome;
    assert_eq!(refused.status, Ok(Status::ReservationConflict));
    drive.finish().expect("ended");
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1)]));
}

#[test]
fn a_drive_that_was_taken_meanwhile_is_not_taken_back() {
    let rig = Rig::new();
    let mut drive = half_way(&rig, false);
    let mut other = rig.path("third");
    let (own, victim) = (Key::new(7, 2), Key::new(7, 1));
    drop(other.execute(reserve_out(OutAction::Register, Key(0), own)));
    drop(other.execute(reserve_out(OutAction::Register, Key(0), own)));
    let taken = other.execute(reserve_out(OutAction::PreemptAndAbort, own, victim));
    assert_eq!(taken.outcome.status, Ok(Status::Good), "another node's now");
    let error = drive.write(block_buffer(1), BLOCK).0.expect_err("fenced");
    assert!(matches!(error.problem(), Problem::Fenced { .. }), "{error}");
    assert_eq!(error.kind().exit_code(), 5);
    let holder = drive.holder().expect("asked").expect("held");
    assert_eq!(holder.key, own.0);
    assert_eq!(keys(&mut *other), [own.0], "we have not even registered");
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

fn keys(transport: &mut dyn Transport) -> Vec<u64> {
    let len = 64;
    let completion = transport.execute(Request {
        cdb: PersistentReserveIn::new(InAction::ReadKeys, len).cdb(),
        data: Data::In {
            buffer: Buffer::zeroed(len.into()),
            len: len.into(),
        },
        timeout: std::time::Duration::from_secs(60),
    });
    let buffer = completion.data.into_buffer().expect("it comes back");
    Keys::parse(&buffer).expect("an answer").keys
}

/// The first one may be answered by a unit attention.
fn reserve_out(action: OutAction, key: Key, action_key: Key) -> Request {
    let list = OutParameters::new(key.0, action_key.0).encode();
    let data = Data::Out {
        buffer: Buffer::from_slice(&list),
        len: list.len(),
    };
    Request {
        cdb: PersistentReserveOut::new(action, ReservationType::ExclusiveAccess).cdb(),
        data,
        timeout: std::time::Duration::from_secs(60),
    }
}

#[test]
fn a_drive_that_lost_power_meanwhile_is_lost_on_every_path() {
    let rig = Rig::new();
    let mut drive = half_way(&rig, false);
    rig.emulated().power_cycle();
    let error = drive.write(block_buffer(1), BLOCK).0.expect_err("lost");
    assert!(matches!(error.problem(), Problem::Lost { .. }), "{error}");
    assert_eq!(error.kind().exit_code(), 6);
    assert_eq!(rig.objects(), expected(&[]));
}

#[test]
fn a_path_that_leads_to_another_drive_is_not_written_on() {
    let (rig, another) = (Rig::new(), Rig::with_serial("SN0002"));
    let (transport, sent) = two_paths(&rig, None);
    drop(begin(transport));
    let at = sent.load(Ordering::Relaxed) + 1;
    rig.emulated().power_cycle();
    let failure = Failure::Host(DID_NO_CONNECT);
    let first = Faulty::new(rig.path("here"), Some(dies(at, failure, false)));
    let mut wrong = Some(another.path("here"));
    let next = Box::new(move || wrong.take());
    let mut drive = begin(Box::new(Paths::new(Box::new(first), next)));
    let error = drive.write(block_buffer(1), BLOCK).0.expect_err("refused");
    assert!(
        matches!(error.problem(), Problem::AnotherDrive { .. }),
        "{error}"
    );
    assert_eq!(another.objects(), expected(&[]));
}
