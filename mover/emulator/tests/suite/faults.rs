//! Fault plans at work.

use std::time::Duration;

use longhaul_emulator::faults::{At, Effect, Plan, Reset, Rule};
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;

use crate::rig::*;

fn rig(plan: &str) -> Rig {
    let mut rig = Rig::new();
    rig.drive
        .set_faults(longhaul_emulator::faults::Plan::parse(plan).expect("a valid plan"));
    rig
}

#[test]
fn the_nth_command_of_a_kind_fails_as_often_as_told() {
    let mut rig = rig(r#"
        [[fault]]
        opcode = "write(6)"
        nth = 2
        times = 2
        status = "busy"
    "#);
    let statuses: Vec<_> = (0..5).map(|_| rig.write(b"x").status).collect();
    let (good, busy) = (Ok(Status::Good), Ok(Status::Busy));
    assert_eq!(statuses, [good, busy, busy, good, good]);
    assert_eq!(rig.place().0, 3, "a busy drive writes nothing");
}

#[test]
fn a_command_by_number_executed_or_not() {
    for executed in [false, true] {
        let mut rig = rig(&format!(
            "[[fault]]\ncommand = 3\ntransport = \"disrupted\"\nexecuted = {executed}"
        ));
        // The rig's own first command was number 1.
        rig.write_all(&[b"a"]);
        assert_eq!(rig.write(b"b").status, Err(TransportError::Disrupted));
        assert_eq!(rig.place().0, if executed { 2 } else { 1 });
    }
}

#[test]
fn a_block_that_fails_on_its_way_takes_all_behind_it_along() {
    let mut rig = rig(r#"
        [[fault]]
        block = 2
        sense = { key = 3, asc = 0x0c, ascq = 0, deferred = true }
    "#);
    rig.write_all(&[b"0", b"1", b"2", b"3"]);
    let sync = rig.check(&[0x10, 0, 0, 0, 0, 0]);
    assert!(sync.deferred);
    assert_eq!(key_code(&sync), (3, 0x0c, 0x00));
    assert_eq!(rig.place(), (2, 0), "behind the last object on the medium");
    assert!(rig.drive.object_buffer().is_empty());
    rig.write_all(&[b"again"]);
    rig.synchronise();
    rig.locate(2);
    assert_eq!(rig.block(), b"again");
}

#[test]
fn a_deferred_error_comes_with_a_later_write() {
    let mut rig = rig(r#"
        [[fault]]
        block = 0
        sense = { key = 4, asc = 0x44, ascq = 0, deferred = true }
    "#);
    let block = vec![0; 1 << 20];
    rig.write_all(&[&block, &block, &block]);
    let fourth = sense(rig.write(&block));
    assert!(fourth.deferred);
    assert_eq!(
        fourth.residual(),
        None,
        "it says nothing of the present command"
    );
    assert_eq!(rig.place(), (0, 0), "which was not carried out");
}

#[test]
fn a_fault_at_a_block_strikes_reads_and_writes_there() {
    let mut rig = Rig::new();
    rig.write_all(&[b"0", b"1"]);
    rig.rewind();
    let sense = Sense::new(SenseKey::MediumError, 0x11, 0x00).with_residual(10);
    let rule = Rule::once(At::Block(1), Effect::Sense(sense));
    rig.drive.set_faults(Plan::new(vec![rule]));
    assert_eq!(rig.block(), b"0");
    assert_eq!(
        told(&crate::rig::sense(rig.read(10).0)),
        (3, 0x11, 0x00, Some(10))
    );
    assert_eq!(rig.block(), b"1", "the fault has worn off");
}

#[test]
fn resets_lose_the_buffer() {
    for (reset, code) in [(Reset::Power, 0x00), (Reset::Bus, 0x02)] {
        let mut rig = Rig::new();
        rig.write_all(&[b"kept"]);
        rig.synchronise();
        rig.write_all(&[b"lost"]);
        let rule = Rule::once(At::Opcode(0x0a, None), Effect::Reset(reset));
        rig.drive.set_faults(Plan::new(vec![rule]));
        assert_eq!(rig.write(b"gone").status, Err(TransportError::Disrupted));
        assert_eq!(key_code(&rig.check(&[0; 6])), (6, 0x29, code));
        assert_eq!(rig.block(), b"kept");
        assert_eq!(key_code(&sense(rig.read(1).0)), (8, 0x00, 0x05));
    }
}

#[test]
fn a_lost_buffer_alone() {
    let mut rig = rig("[[fault]]\nopcode = 0x34\nlose-buffer = true");
    rig.write_all(&[b"a", b"b"]);
    assert_eq!(
        rig.place(),
        (0, 0),
        "the position is behind what is on the medium"
    );
}

#[test]
fn an_alert_alone_hinders_nothing_and_is_read_once() {
    let mut rig = rig("[[fault]]\nopcode = \"WRITE(6)\"\nalert = 30");
    rig.write_all(&[b"a"]);
    // LOG SENSE, page 2Eh: parameters of five bytes, the flag in the last one.
    let page = |rig: &mut Rig| {
        let response = rig.data(&[0x4d, 0, 0x40 | 0x2e, 0, 0, 0, 0, 2, 0, 0]);
        response[4 + 29 * 5 + 4]
    };
    assert_eq!((page(&mut rig), page(&mut rig)), (1, 0));
}

#[test]
fn short_transfers() {
    let mut rig = rig(
        "[[fault]]\nopcode = \"WRITE(6)\"\ntransfer = 3\n[[fault]]\nopcode = \"READ(6)\"\ntransfer = 2",
    );
    let response = rig.write(b"12345");
    assert_eq!(
        (response.status, response.transferred),
        (Ok(Status::Good), 3)
    );
    rig.rewind();
    let (response, data) = rig.read(3);
    assert_eq!(
        (response.status, data.as_slice()),
        (Ok(Status::Good), &b"12"[..])
    );
    assert_eq!(rig.place(), (1, 0));
    rig.rewind();
    assert_eq!(rig.block(), b"123", "a write records what came");
}

#[test]
fn a_hang_is_told_and_not_slept() {
    let mut rig = rig("[[fault]]\nany = true\nhang = \"30min\"");
    let began = std::time::Instant::now();
    let response = rig.run(&[0; 6]);
    assert_eq!(
        (response.status, response.took),
        (Ok(Status::Good), Duration::from_secs(1800))
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Whatever fails, and wherever: the drive answers, and what it said is on the
/// medium is there after a power cut.
#[test]
fn fail_every_command_of_a_session_in_turn() {
    let effects = [
        Effect::Status(Status::Busy),
        Effect::Transport(TransportError::TimedOut),
        Effect::Sense(Sense::new(SenseKey::HardwareError, 0x44, 0x00)),
        Effect::Reset(Reset::Power),
        Effect::Transfer(1),
    ];
    for effect in effects {
        for executed in [false, true] {
            for number in 2..12 {
                let mut rig = Rig::new();
                let mut rule = Rule::once(At::Command(number), effect.clone());
                rule.fault.executed = executed;
                rig.drive.set_faults(Plan::new(vec![rule]));
                let mut kept = 0;
                for block in 0..4_u8 {
                    rig.write(&[block; 9]);
                    let synchronised = rig.run(&[0x10, 0, 0, 0, 0, 0]);
                    if synchronised.status == Ok(Status::Good) {
                        kept = rig.drive.medium().expect("cartridge").objects();
                        assert!(rig.drive.object_buffer().is_empty());
                    }
                }
                rig.power_cut();
                let found = rig.drive.medium().expect("cartridge").objects();
                assert!(found >= kept, "{effect:?} at {number}: {found} of {kept}");
            }
        }
    }
}
