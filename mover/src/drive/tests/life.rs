//! A normal life: what is written is read, and positions are what they are.

use std::time::Duration;

use longhaul_ffi::buffer::Buffer;

use super::super::{EarlyWarning, Problem, Read, SpaceStop, VolumeIdentity};
use super::rig::{BLOCK, Rig, block, block_buffer, expected};

#[test]
fn it_says_who_it_is() {
    let rig = Rig::new();
    let drive = rig.open("here");
    assert_eq!(drive.identity().serial, "SN0001");
    assert!(!drive.identity().product.is_empty());
    assert_eq!(drive.label(), "vtape:test (serial SN0001)");
    assert!(drive.limits().is_some());
    assert!(
        !drive.attentions().is_empty(),
        "power on and the new cartridge were told"
    );
}

#[test]
fn blocks_and_filemarks_come_back_in_order() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..3 {
        let (written, _) = drive.write(block_buffer(number), BLOCK);
        assert_eq!(written.expect("written").early_warning, EarlyWarning::None);
    }
    drive.write_filemarks(1, true).expect("a filemark");
    drive.write(block_buffer(3), BLOCK).0.expect("written");
    drive.write_filemarks(1, false).expect("a filemark");
    assert_eq!(drive.unsynchronised(), 0);
    let position = drive.position().expect("it knows");
    assert_eq!((position.block, position.file), (6, Some(2)));

    let start = drive.rewind().expect("rewound");
    assert!(start.beginning);
    let mut seen = Vec::new();
    loop {
        let (read, buffer) = drive.read(Buffer::zeroed(2 * BLOCK), 2 * BLOCK);
        match read.expect("read") {
            Read::Block(len) => seen.push(Some(buffer[..len].to_vec())),
            Read::Filemark => seen.push(None),
            Read::EndOfData => break,
            other => panic!("{other:?}"),
        }
    }
    let wanted = [Some(0), Some(1), Some(2), None, Some(3), None].map(|number| number.map(block));
    assert_eq!(seen, wanted);
    assert_eq!(drive.position().expect("it knows").block, 6);
    drive.finish().expect("ended");
}

#[test]
fn a_block_is_found_where_it_was_written() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..10 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    assert_eq!(drive.locate(7).expect("there").block, 7);
    let (read, buffer) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    assert_eq!(read.expect("read"), Read::Block(BLOCK));
    assert_eq!(&buffer[..BLOCK], block(7));
    assert_eq!(drive.locate_end_of_data().expect("there").block, 10);
    let error = drive.locate(11).expect_err("nothing is there");
    let wanted = Problem::BeyondEndOfData {
        wanted: 11,
        end: Some(10),
    };
    assert_eq!(error.problem(), &wanted);
}

#[test]
fn spacing_stops_where_it_should() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..3 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
        drive.write_filemarks(1, true).expect("a filemark");
    }
    drive.rewind().expect("rewound");
    let spaced = drive.space_filemarks(2).expect("spaced");
    assert_eq!(
        (spaced.passed, spaced.stop, spaced.position.block),
        (2, None, 4)
    );
    let spaced = drive.space_blocks(5).expect("spaced");
    assert_eq!((spaced.passed, spaced.stop), (1, Some(SpaceStop::Filemark)));
    assert_eq!(spaced.position.block, 6);
    let spaced = drive.space_filemarks(1).expect("spaced");
    assert_eq!(
        (spaced.passed, spaced.stop),
        (0, Some(SpaceStop::EndOfData))
    );
    let spaced = drive.space_filemarks(-1).expect("spaced");
    assert_eq!(
        (spaced.passed, spaced.stop, spaced.position.block),
        (-1, None, 5)
    );
    let spaced = drive.space_filemarks(-9).expect("spaced");
    assert_eq!(
        (spaced.passed, spaced.stop),
        (-2, Some(SpaceStop::Beginning))
    );
    assert_eq!(spaced.position.block, 0);
}

#[test]
fn a_block_longer_than_the_buffer_names_both_sizes_and_is_passed() {
    let rig = Rig::new();
    let mut drive = rig.session();
    drive.write(block_buffer(1), BLOCK).0.expect("written");
    drive.write(block_buffer(2), 100).0.expect("written");
    drive.rewind().expect("rewound");
    let (read, _) = drive.read(Buffer::zeroed(64), 64);
    let problem = Problem::BlockTooLong {
        block: BLOCK as u64,
        buffer: 64,
    };
    assert_eq!(read.expect_err("too long").problem(), &problem);
    let (read, _) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    assert_eq!(read.expect("read"), Read::Block(100));
}

#[test]
fn the_frontier_follows_what_reaches_the_medium() {
    let rig = Rig::new();
    let mut drive = rig.session();
    for number in 0..4 {
        drive.write(block_buffer(number), BLOCK).0.expect("written");
    }
    let frontier = drive.frontier().expect("asked").expect("it can say");
    assert!(
        frontier.first_unwritten < 4,
        "a small buffer holds four blocks back"
    );
    assert_eq!(frontier.next, 4);
    drive.synchronize().expect("synchronised");
    let frontier = drive.frontier().expect("asked").expect("it can say");
    assert_eq!((frontier.first_unwritten, frontier.next), (4, 4));
}

#[test]
fn double_buffering_keeps_the_order() {
    let rig = Rig::new();
    let mut drive = rig.session();
    drive.submit_write(block_buffer(0), BLOCK, None);
    for number in 1..20 {
        let next = block_buffer(number);
        drive.complete_write().0.expect("written");
        drive.submit_write(next, BLOCK, None);
    }
    drive.complete_write().0.expect("written");
    drive.finish().expect("ended");
    let all: Vec<Option<u8>> = (0..20).map(Some).collect();
    assert_eq!(rig.objects(), expected(&all));
}

#[test]
fn the_chip_keeps_who_the_volume_is() {
    let rig = Rig::new();
    let mut drive = rig.session();
    let before = drive
        .medium_identity()
        .expect("asked")
        .volume_change_reference;
    assert_eq!(
        drive.volume_identity().expect("asked"),
        VolumeIdentity::default()
    );
    let identity = VolumeIdentity {
        application_vendor: Some("LONGHAUL".to_owned()),
        application_name: Some("Longhaul".to_owned()),
        user_label: Some("Umlaut ä".to_owned()),
        barcode: Some("ABC123L9".to_owned()),
        ..VolumeIdentity::default()
    };
    assert!(drive.write_volume_identity(&identity).expect("written"));
    assert_eq!(drive.volume_identity().expect("asked"), identity);
    drive.write(block_buffer(0), BLOCK).0.expect("written");
    drive.synchronize().expect("synchronised");
    let after = drive.medium_identity().expect("asked");
    assert_ne!(after.volume_change_reference, before, "somebody wrote");
    assert!(after.maximum_bytes.is_some_and(|bytes| bytes >= 64 << 20));
}

#[test]
fn an_empty_drive_says_so() {
    let rig = Rig::empty();
    let mut drive = rig.open("here");
    let error = drive
        .ready(Duration::from_secs(5))
        .expect_err("nothing is in it");
    assert_eq!(error.problem(), &Problem::NoMedium);
    assert_eq!(error.kind().exit_code(), 7);
    let text = "vtape:test (serial SN0001): TEST UNIT READY: \
                there is no cartridge in the drive; load one";
    assert_eq!(error.to_string(), text);
    let (read, _) = drive.read(Buffer::zeroed(BLOCK), BLOCK);
    assert_eq!(
        read.expect_err("nothing to read").problem(),
        &Problem::NoMedium
    );
}

#[test]
fn a_write_at_an_unknown_position_is_refused() {
    let rig = Rig::new();
    let mut drive = rig.open("here");
    drive.ready(Duration::ZERO).expect("a cartridge is there");
    let (written, buffer) = drive.write(block_buffer(0), BLOCK);
    let error = written.expect_err("nobody asked for the position");
    assert_eq!(error.problem(), &Problem::PositionUnknown);
    assert_eq!(error.kind().exit_code(), 4);
    assert_eq!(&buffer[..], block(0), "the buffer comes back");
    assert_eq!(
        drive
            .write_filemarks(1, false)
            .expect_err("nor a filemark")
            .problem(),
        &Problem::PositionUnknown
    );
    drive.recover_position().expect("asked");
    drive.write(buffer, BLOCK).0.expect("now it is known");
}

#[test]
fn a_record_outside_of_the_limits_is_refused() {
    let rig = Rig::new();
    let mut drive = rig.session();
    let max = drive.limits().expect("limits").max_bytes as usize;
    let (written, _) = drive.write(Buffer::zeroed(max + 1), max + 1);
    let error = written.expect_err("too large");
    assert!(
        matches!(error.problem(), Problem::RecordSize { .. }),
        "{error}"
    );
    drive
        .write(block_buffer(0), BLOCK)
        .0
        .expect("the session goes on");
}

#[test]
fn its_health_is_told_in_bytes_and_words() {
    let rig = Rig::new();
    let mut drive = rig.session();
    let health = drive.health().expect("asked");
    assert_eq!(health.write_protected, Some(false));
    assert_eq!(health.density_code, Some(0x60));
    assert!(health.density.is_some());
    let capacity = health.capacity_bytes.expect("told");
    assert!((60_000_000..=64 << 20).contains(&capacity), "{capacity}");
    assert!(health.remaining_bytes.is_some_and(|left| left <= capacity));
    assert_eq!(health.alerts, []);
    let mut empty = Rig::empty().open("here");
    let health = empty
        .health()
        .expect("a drive without a cartridge can be asked");
    assert_eq!(health.capacity_bytes, None);
}

#[test]
fn an_alert_is_told_once_in_words() {
    use longhaul_scsi::sense::{Sense, SenseKey};
    let rig = Rig::new();
    let mut drive = rig.session();
    let fault = Sense::new(SenseKey::MediumError, 0x0c, 0).deferred();
    rig.plan(vec![longhaul_emulator::faults::Rule::once(
        longhaul_emulator::faults::At::Block(0),
        longhaul_emulator::faults::Effect::Sense(fault),
    )]);
    drive.write(block_buffer(0), BLOCK).0.expect("accepted");
    drive.synchronize().expect_err("and lost");
    let alerts = drive.alerts().expect("asked");
    assert!(alerts.iter().any(|alert| alert.flag == 6), "{alerts:?}");
    assert!(alerts.iter().all(|alert| !alert.meaning.is_empty()));
    assert_eq!(drive.alerts().expect("asked"), []);
}
