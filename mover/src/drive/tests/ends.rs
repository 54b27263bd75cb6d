//! The end of the volume, and the ends of patience.

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::ssc::opcode;

use super::super::{EarlyWarning, Loss, Problem, Read};
use super::rig::{BLOCK, Rig, at, block_buffer, expected, sense};

/// The emulated drive's smallest cartridge, in bytes.
const SMALL: u64 = 1 << 20;

#[test]
fn early_warning_comes_before_the_end_and_what_is_written_counts() {
    let rig = Rig::with_capacity(SMALL);
    let mut drive = rig.session();
    let record = 32 << 10;
    let (mut accepted, mut warned) = (0_u64, 0);
    let error = loop {
        match drive.write(Buffer::zeroed(record), record).0 {
            Ok(written) => {
                accepted += 1;
                warned += u64::from(written.early_warning == EarlyWarning::Early);
                assert!(warned == 0 || written.early_warning == EarlyWarning::Early);
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.problem(), &Problem::VolumeFull { written: false });
    assert_eq!(error.kind().exit_code(), 7);
    assert!(warned > 0, "a warning in {accepted} records");
    assert_eq!(drive.position().expect("known").block, accepted);
    drive.synchronize().expect("what was accepted has room");
    assert_eq!(rig.objects().len() as u64, accepted);
}

#[test]
fn a_filemark_behind_early_warning_is_written_and_synchronised() {
    let rig = Rig::with_capacity(SMALL);
    let mut drive = rig.session();
    let record = 32 << 10;
    let mut blocks = 0;
    while drive
        .write(Buffer::zeroed(record), record)
        .0
        .expect("room")
        .early_warning
        == EarlyWarning::None
    {
        blocks += 1;
    }
    let written = drive
        .write_filemarks(1, false)
        .expect("room for a filemark");
    assert_eq!(written.early_warning, EarlyWarning::Early);
    assert_eq!(drive.unsynchronised(), 0);
    assert_eq!(rig.durable_objects().len(), blocks + 2);
}

#[test]
fn overflow_says_whether_the_record_was_written() {
    for executed in [false, true] {
        let rig = Rig::new();
        let mut drive = rig.session();
        drive.write(block_buffer(0), BLOCK).0.expect("written");
        let rule = at(opcode::WRITE_6, sense(SenseKey::VolumeOverflow, 0, 2));
        rig.plan(vec![if executed { rule.executed() } else { rule }]);
        let error = drive.write(block_buffer(1), BLOCK).0.expect_err("full");
        assert_eq!(error.problem(), &Problem::VolumeFull { written: executed });
        assert_eq!(
            drive.position().expect("known").block,
            1 + u64::from(executed)
        );
    }
}

#[test]
fn a_write_protected_cartridge_stays_as_it_is() {
    let rig = Rig::new();
    let mut drive = rig.session();
    assert!(!drive.write_protected().expect("asked"));
    rig.plan(vec![at(
        opcode::WRITE_6,
        sense(SenseKey::DataProtect, 0x27, 0),
    )]);
    let error = drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect_err("protected");
    assert_eq!(error.problem(), &Problem::WriteProtected);
    assert_eq!(error.kind().exit_code(), 4);
    assert_eq!(rig.objects(), []);
}

#[test]
fn a_reset_in_the_middle_ends_the_session() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..3 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    drive.synchronize().expect("synchronised");
    drive.write(block_buffer(3), BLOCK).0.expect("written");
    rig.emulated().bus_reset();
    let error = drive.write(block_buffer(4), BLOCK).0.expect_err("lost");
    let problem = Problem::Lost {
        cause: Loss::Reset,
        unsynchronised: 1,
    };
    assert_eq!(error.problem(), &problem);
    assert_eq!(error.kind().exit_code(), 6);
    assert_eq!(drive.stopped(), Some(&problem));
    assert!(!drive.knows_position());
    drive.locate(2).expect("reading is still possible");
    let (read, _) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    assert_eq!(read.expect("read"), Read::Block(BLOCK));
    drive
        .write(block_buffer(5), BLOCK)
        .0
        .expect_err("writing is not");
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1), Some(2)]));
}

#[test]
fn a_deferred_error_ends_the_session() {
    let rig = Rig::new();
    let mut drive = rig.session();
    drive.write(block_buffer(0), BLOCK).0.expect("accepted");
    let fault = longhaul_scsi::Sense::new(SenseKey::MediumError, 0x0c, 0).deferred();
    let mut rule = at(
        opcode::WRITE_6,
        longhaul_emulator::faults::Effect::Sense(fault),
    );
    rule.fault.lose_buffer = true;
    rig.plan(vec![rule]);
    let error = drive.write(block_buffer(1), BLOCK).0.expect_err("lost");
    let problem = Problem::Lost {
        cause: Loss::DeferredError,
        unsynchronised: 1,
    };
    assert_eq!(error.problem(), &problem);
    drive.synchronize().expect_err("nothing more is written");
    assert_eq!(rig.objects(), []);
}

#[test]
fn a_changed_cartridge_ends_the_session() {
    let rig = Rig::new();
    let mut drive = rig.session();
    rig.plan(vec![at(
        opcode::WRITE_6,
        sense(SenseKey::UnitAttention, 0x28, 0),
    )]);
    let error = drive.write(block_buffer(0), BLOCK).0.expect_err("lost");
    let problem = Problem::Lost {
        cause: Loss::MediumChanged,
        unsynchronised: 0,
    };
    assert_eq!(error.problem(), &problem);
    assert_eq!(rig.objects(), []);
}

#[test]
fn a_spot_that_reads_at_the_second_try_is_read() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..2 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    drive.rewind().expect("rewound");
    rig.plan(vec![
        at(opcode::READ_6, sense(SenseKey::MediumError, 0x11, 0)).executed(),
    ]);
    let (read, buffer) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    assert_eq!(read.expect("read"), Read::Block(BLOCK));
    assert_eq!(
        &buffer[..],
        &block_buffer(0)[..],
        "the first block, not the second"
    );
}

#[test]
fn a_spot_that_never_reads_is_a_medium_error() {
    let rig = Rig::new();
    let mut drive = rig.session();
    drive.write(block_buffer(0), BLOCK).0.expect("written");
    drive.rewind().expect("rewound");
    let mut rule = at(opcode::READ_6, sense(SenseKey::MediumError, 0x11, 0));
    rule.times = 100;
    rig.plan(vec![rule]);
    let error = drive
        .read(Buffer::zeroed(BLOCK), BLOCK)
        .0
        .expect_err("unreadable");
    assert!(matches!(error.problem(), Problem::Medium(_)), "{error}");
    assert_eq!(error.kind().exit_code(), 3);
}
