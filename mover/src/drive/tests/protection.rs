//! Logical block protection: switched on, kept on, and put back.

use longhaul_emulator::faults::{At, Effect, Rule};
use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::spc::opcode::{MODE_SELECT_10, MODE_SENSE_10};
use longhaul_scsi::ssc::opcode::{READ_6, WRITE_6};
use longhaul_scsi::transport::TransportError;

use super::super::{Drive, DriveError, Problem, Read};
use super::rig::{BLOCK, Rig, at, block, block_buffer, expected, sense};

const OFF: [u8; 3] = [0, 0, 0];
/// CRC32C, 4 bytes, LBP_W and LBP_R.
const ON: [u8; 3] = [2, 4, 0xc0];

/// Method, length and flags that are in force for the session's initiator.
fn in_force(rig: &Rig) -> [u8; 3] {
    let mut drive = rig.emulated();
    let nexus = drive.connect("here");
    let mut reply = [0; 64];
    drive.execute(nexus, &[0x1a, 8, 0x0a, 0xf0, 64, 0], &[], &mut reply);
    [reply[8], reply[9], reply[10]]
}

/// What goes wrong at the match of this number.
fn nth(number: u64, opcode: u8, effect: Effect) -> Rule {
    let mut rule = at(opcode, effect);
    rule.nth = number;
    rule
}

/// What goes wrong so many times in a row.
fn times(count: u64, opcode: u8, effect: Effect) -> Rule {
    let mut rule = at(opcode, effect);
    rule.times = count;
    rule
}

fn set(rig: &Rig, [method, length, flags]: [u8; 3]) {
    let mut list = vec![0, 0, 0x10, 0, 0x4a, 0xf0, 0, 0x1c, method, length, flags];
    list.resize(36, 0);
    let mut drive = rig.emulated();
    let nexus = drive.connect("here");
    drive.execute(nexus, &[0; 6], &[], &mut []);
    drive.execute(nexus, &[0; 6], &[], &mut []);
    let done = drive.execute(nexus, &[0x15, 0x10, 0, 0, 36, 0], &list, &mut []);
    assert_eq!(done.sense, None);
}

fn write(drive: &mut Drive, number: u8) -> Result<(), DriveError> {
    drive.write(block_buffer(number), BLOCK).0.map(drop)
}

/// Reads a block with a buffer that has room behind it, and one without.
fn expect_block(drive: &mut Drive, number: u8) {
    let room = usize::from(number % 2) * 16;
    let (read, buffer) = drive.read(Buffer::zeroed(BLOCK + room), BLOCK);
    assert_eq!(read.expect("read"), Read::Block(BLOCK));
    assert_eq!(buffer[..BLOCK], block(number));
}

#[test]
fn it_is_on_for_the_session_and_off_afterwards() {
    for unloads in [false, true] {
        let rig = Rig::new();
        let mut drive = rig.session();
        assert!(drive.protects());
        assert_eq!(in_force(&rig), ON);
        if unloads {
            drive.unload().expect("out");
        } else {
            drive.finish().expect("ended");
        }
        assert_eq!(in_force(&rig), OFF);
    }
}

#[test]
fn what_was_set_before_comes_back_unless_a_dead_process_left_it() {
    for (before, after) in [([2, 4, 0x40], [2, 4, 0x40]), (ON, OFF)] {
        let rig = Rig::new();
        set(&rig, before);
        let mut drive = rig.session();
        assert_eq!(in_force(&rig), ON);
        drive.finish().expect("ended");
        assert_eq!(in_force(&rig), after);
    }
}

#[test]
fn a_session_that_was_broken_off_puts_it_back() {
    let rig = Rig::new();
    let mut drive = rig.session();
    drive.abandon();
    assert_eq!(in_force(&rig), OFF);
}

#[test]
fn a_drive_without_it_is_used_without_it() {
    let refused = || sense(SenseKey::IllegalRequest, 0x24, 0);
    let no_page = nth(2, MODE_SENSE_10, refused());
    for rule in [no_page, at(MODE_SELECT_10, refused())] {
        let rig = Rig::new();
        rig.plan(vec![rule]);
        let mut drive = rig.session();
        assert!(!drive.protects());
        assert_eq!(drive.confirmed_blocks(), None);
        assert_eq!(in_force(&rig), OFF);
        write(&mut drive, 0).expect("written");
        write(&mut drive, 1).expect("written");
        drive.rewind().expect("rewound");
        expect_block(&mut drive, 0);
        expect_block(&mut drive, 1);
        drive.finish().expect("ended");
        assert_eq!(rig.objects(), expected(&[Some(0), Some(1)]));
    }
}

#[test]
fn volumes_written_with_it_and_without_are_read_either_way() {
    for writes_with in [false, true] {
        let rig = Rig::new();
        let without = || nth(2, MODE_SENSE_10, sense(SenseKey::IllegalRequest, 0x24, 0));
        rig.plan(if writes_with { vec![] } else { vec![without()] });
        let mut drive = rig.session();
        assert_eq!(drive.protects(), writes_with);
        write(&mut drive, 4).expect("written");
        write(&mut drive, 5).expect("written");
        drive.finish().expect("ended");
        rig.plan(if writes_with { vec![without()] } else { vec![] });
        let mut drive = rig.session();
        assert_eq!(drive.protects(), !writes_with);
        drive.rewind().expect("rewound");
        expect_block(&mut drive, 4);
        expect_block(&mut drive, 5);
        assert_eq!(drive.confirmed_blocks(), (!writes_with).then_some(2));
    }
}

#[test]
fn a_record_that_changes_on_its_way_to_the_drive_is_sent_again() {
    for byte in [0, 500, BLOCK - 1, BLOCK, BLOCK + 3] {
        let rig = Rig::new();
        let mut drive = rig.session();
        rig.plan(vec![nth(2, WRITE_6, Effect::Corrupt(byte))]);
        for number in 0..3 {
            write(&mut drive, number).expect("at the second try");
        }
        assert_eq!(drive.position().expect("known").block, 3);
        drive.finish().expect("ended");
        assert_eq!(rig.objects(), expected(&[Some(0), Some(1), Some(2)]));
    }
}

#[test]
fn a_record_that_changes_each_time_is_refused_and_what_was_before_is_kept() {
    let rig = Rig::new();
    let mut drive = rig.session();
    write(&mut drive, 0).expect("written");
    rig.plan(vec![times(2, WRITE_6, Effect::Corrupt(700))]);
    let error = write(&mut drive, 1).expect_err("changed twice");
    assert!(matches!(error.problem(), Problem::Protection(_)), "{error}");
    assert!(
        error.to_string().contains("on its way to the drive"),
        "{error}"
    );
    assert_eq!(drive.stopped(), None);
    write(&mut drive, 2).expect("the position is known");
    drive.finish().expect("ended");
    assert_eq!(rig.objects(), expected(&[Some(0), Some(2)]));
}

#[test]
fn the_checksum_that_the_caller_knows_is_the_one_that_is_sent() {
    let rig = Rig::new();
    let mut drive = rig.session();
    let crc = crc32c::crc32c(&block(0));
    drive.submit_write(block_buffer(0), BLOCK, Some(crc));
    drive.complete_write().0.expect("it is right");
    // As of a record that changed in this host's memory since.
    drive.submit_write(block_buffer(1), BLOCK, Some(crc));
    let error = drive.complete_write().0.expect_err("it is another's");
    assert!(matches!(error.problem(), Problem::Protection(_)), "{error}");
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

#[test]
fn a_record_that_changes_on_its_way_back_is_read_again() {
    let rig = Rig::new();
    let mut drive = rig.session();
    write(&mut drive, 0).expect("written");
    write(&mut drive, 1).expect("written");
    for byte in [0, BLOCK - 1, BLOCK, BLOCK + 3] {
        drive.rewind().expect("rewound");
        rig.plan(vec![nth(2, READ_6, Effect::Corrupt(byte))]);
        expect_block(&mut drive, 0);
        expect_block(&mut drive, 1);
    }
    assert_eq!(drive.confirmed_blocks(), Some(8));
    drive.rewind().expect("rewound");
    rig.plan(vec![times(100, READ_6, Effect::Corrupt(9))]);
    let (read, _) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    let error = read.expect_err("it never comes right");
    assert!(
        matches!(error.problem(), Problem::Altered { .. }),
        "{error}"
    );
    rig.plan(Vec::new());
    drive.rewind().expect("rewound");
    expect_block(&mut drive, 0);
}

#[test]
fn after_a_reset_blocks_are_read_with_it_again() {
    let rig = Rig::new();
    let mut drive = rig.session();
    write(&mut drive, 0).expect("written");
    drive.synchronize().expect("on the medium");
    rig.emulated().bus_reset();
    let error = write(&mut drive, 1).expect_err("the reset has ended the session");
    assert!(matches!(error.problem(), Problem::Lost { .. }), "{error}");
    drive.rewind().expect("rewound");
    expect_block(&mut drive, 0);
    assert_eq!(in_force(&rig), ON);
    drive.finish().expect("ended");
    assert_eq!(in_force(&rig), OFF);
    assert_eq!(rig.objects(), expected(&[Some(0)]));
}

#[test]
fn after_an_attention_about_modes_it_is_looked_at_before_the_next_block() {
    let changed = || at(0x34, sense(SenseKey::UnitAttention, 0x2a, 0x01));
    let rig = Rig::new();
    let mut drive = rig.session();
    write(&mut drive, 0).expect("written");
    set(&rig, OFF);
    rig.plan(vec![changed()]);
    drive.recover_position().expect("known");
    write(&mut drive, 1).expect("written");
    drive.rewind().expect("rewound");
    expect_block(&mut drive, 0);
    set(&rig, OFF);
    rig.plan(vec![changed()]);
    drive.recover_position().expect("known");
    expect_block(&mut drive, 1);
    drive.finish().expect("ended");
    assert_eq!(rig.objects(), expected(&[Some(0), Some(1)]));
}

#[test]
fn a_drive_that_forgets_it_without_a_word_is_told_of_at_the_end() {
    let rig = Rig::new();
    let mut drive = rig.session();
    set(&rig, OFF);
    write(&mut drive, 0).expect("accepted, with four bytes too many");
    let error = drive.finish().expect_err("what was written is in doubt");
    assert!(matches!(error.problem(), Problem::Mode { .. }), "{error}");
}

#[test]
fn a_host_adapter_without_room_for_it_is_used_without_it() {
    for opcode in [WRITE_6, READ_6] {
        let rig = Rig::new();
        let mut drive = rig.session();
        let too_large = Effect::Transport(TransportError::TooLarge);
        rig.plan(vec![Rule::once(At::Opcode(opcode, None), too_large)]);
        write(&mut drive, 0).expect("written");
        write(&mut drive, 1).expect("written");
        drive.rewind().expect("rewound");
        expect_block(&mut drive, 0);
        expect_block(&mut drive, 1);
        assert!(!drive.protects());
        drive.finish().expect("ended");
        assert_eq!(in_force(&rig), OFF);
        assert_eq!(rig.objects(), expected(&[Some(0), Some(1)]));
    }
}
