//! Early warning, programmable early warning, and the end.

use longhaul_emulator::drive::Setup;
use longhaul_scsi::status::Status;

use crate::rig::*;

const RECORD: usize = 512 << 10;

/// Writes records until something is said.
fn fill(rig: &mut Rig) -> (u64, longhaul_scsi::sense::Sense) {
    let record = vec![5; RECORD];
    for written in 0.. {
        let response = rig.write(&record);
        if response.status != Ok(Status::Good) {
            return (written, sense(response));
        }
    }
    unreachable!("a tape ends");
}

#[test]
fn early_warning_leaves_room_for_a_sets_end() {
    let mut rig = Rig::of(16 * MIB, Setup::default());
    let (good, warning) = fill(&mut rig);
    assert!(warning.eom);
    assert_eq!(told(&warning), (0, 0x00, 0x02, Some(0)));
    assert_eq!(
        rig.place().0,
        good + 1,
        "the write that is warned of has succeeded"
    );
    assert!(
        rig.drive.object_buffer().is_empty(),
        "SEW: early warning synchronises"
    );
    assert_eq!(
        rig.data(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0])[0] & 0x40,
        0x40,
        "EOP"
    );
    // The set's end, a filemark, its index, and a filemark.
    for _ in 0..2 {
        let response = rig.write(&vec![6; RECORD]);
        assert_eq!(response.transferred, RECORD);
        assert_eq!(
            told(&sense(response)),
            (0, 0x00, 0x02, Some(0)),
            "each time"
        );
        let mark = rig.check(&[0x10, 0, 0, 0, 1, 0]);
        assert_eq!(told(&mark), (0, 0x00, 0x02, Some(0)));
    }
    rig.synchronise();
    let end = rig.place().0;
    assert_eq!(end, good + 1 + 4);
    rig.power_cut();
    assert_eq!(rig.drive.medium().expect("cartridge").objects(), end);
}

#[test]
fn the_end_refuses_the_write_and_keeps_what_was_before() {
    let mut rig = Rig::of(MIB, Setup::default());
    let mut overflow = None;
    for _ in 0..10 {
        let response = rig.write(&vec![1; 200_000]);
        if response
            .sense
            .as_ref()
            .is_some_and(|sense| sense.key as u8 == 0xd)
        {
            overflow = Some(sense(response));
            break;
        }
    }
    let overflow = overflow.expect("1 MiB is less than 2 MB");
    assert!(overflow.eom);
    assert_eq!(told(&overflow), (0xd, 0x00, 0x02, Some(200_000)));
    assert_eq!(rig.place().0, 5);
    let marks = rig.check(&[0x10, 0, 0, 0x40, 0, 0]);
    assert_eq!(
        key_code(&marks),
        (0xd, 0x00, 0x02),
        "filemarks take room too"
    );
    let left = marks.residual().expect("residual");
    assert_eq!(rig.place().0 as i64, 5 + 0x4000 - left);
    rig.rewind();
    assert_eq!(rig.block(), vec![1; 200_000]);
}

#[test]
fn the_programmable_zone_warns_once() {
    let mut rig = Rig::of(32 * MIB, Setup::default());
    rig.set_programmable_zone(8);
    let (_, warning) = fill(&mut rig);
    assert!(warning.eom);
    assert_eq!(told(&warning), (0, 0x00, 0x07, Some(0)));
    assert_eq!(
        rig.data(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0])[0],
        0x01,
        "BPEW"
    );
    let (good, warning) = fill(&mut rig);
    assert!(good > 10, "{good} more records fit between the warnings");
    assert_eq!(told(&warning), (0, 0x00, 0x02, Some(0)));
    assert_eq!(
        rig.data(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0])[0],
        0x41,
        "EOP and BPEW"
    );
}

#[test]
fn a_full_tape_can_be_written_from_its_beginning() {
    let mut rig = Rig::of(8 * MIB, Setup::default());
    fill(&mut rig);
    let full = rig.path().metadata().expect("file").len();
    rig.rewind();
    assert_eq!(rig.write(b"new").status, Ok(Status::Good));
    rig.synchronise();
    assert_eq!(rig.drive.medium().expect("cartridge").objects(), 1);
    assert!(
        rig.path().metadata().expect("file").len() < full,
        "the host has its space back"
    );
}
