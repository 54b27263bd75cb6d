//! The changer, command by command.

use longhaul_scsi::smc::read_element_status::ElementType;
use longhaul_scsi::status::Status;
use proptest::prelude::*;

use crate::cabinet::*;
use crate::rig::{number, write};

const CONFLICT: Result<Status, longhaul_scsi::transport::TransportError> =
    Ok(Status::ReservationConflict);

/// Sense key, ASC and ASCQ.
type Codes = (u8, u8, u8);

/// TEST UNIT READY, LOAD UNLOAD, and PREVENT.
const READY: [u8; 6] = [0; 6];
const UNLOAD: [u8; 6] = [0x1b, 0, 0, 0, 0, 0];
const PREVENT: [u8; 6] = [0x1e, 0, 0, 0, 1, 0];
const ALLOW: [u8; 6] = [0x1e, 0, 0, 0, 0, 0];

#[test]
fn it_is_a_changer_with_a_serial_number() {
    let cabinet = Cabinet::new();
    let inquiry = cabinet.changer.data(&[0x12, 0, 0, 0, 96, 0]);
    assert_eq!(
        (inquiry[0], inquiry[1] & 0x80, inquiry.len()),
        (0x08, 0x80, 70)
    );
    assert_eq!(&inquiry[8..32], b"LONGHAULVTAPE-LIBRARY   ");
    assert_eq!(inquiry[55], 1, "a bar code reader");
    let pages = cabinet.changer.data(&[0x12, 1, 0, 0, 96, 0]);
    assert_eq!(pages, [0x08, 0, 0, 3, 0x00, 0x80, 0x83]);
    let serial = cabinet.changer.data(&[0x12, 1, 0x80, 0, 96, 0]);
    assert_eq!(&serial[4..], cabinet.changer.unit.serial().as_bytes());
    assert!(cabinet.changer.unit.is_changer());
    assert!(!cabinet.drives[0].unit.is_changer());
    let serials: Vec<String> = cabinet.library.units().iter().map(|u| u.serial()).collect();
    assert_ne!(serials[1], serials[2]);
    assert_eq!(
        cabinet
            .changer
            .data(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0])
            .len(),
        16
    );
}

#[test]
fn the_first_thing_that_anybody_hears_is_the_power_on() {
    let cabinet = Cabinet::new();
    let unit = &cabinet.changer.unit;
    let nexus = unit.connect("host-b");
    let first = unit.execute(nexus, &READY, &[], &mut []);
    assert_eq!(
        crate::rig::key_code(&crate::rig::sense(first)),
        (6, 0x29, 0x00)
    );
    assert_eq!(
        unit.execute(nexus, &READY, &[], &mut []).status,
        Ok(Status::Good)
    );
    assert_eq!(unit.connect("host-b"), nexus);
}

#[test]
fn element_addresses_and_capabilities() {
    let cabinet = Cabinet::new();
    let page = cabinet.changer.data(&[0x1a, 0x08, 0x1d, 0, 0xff, 0]);
    assert_eq!(&page[..4], [23, 0, 0, 0]);
    assert_eq!(
        &page[4..],
        [
            0x1d, 0x12, 0, 1, 0, 1, 0x10, 0, 0, 6, 0, 0x10, 0, 2, 1, 0, 0, 2, 0, 0
        ]
    );
    let all = cabinet.changer.data(&[0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(number(&all[..2]) as usize, all.len() - 2);
    assert_eq!(&all[28..32], [0x1e, 2, 0, 0]);
    assert_eq!(&all[32..36], [0x1f, 0x12, 0x0e, 0]);
    assert_eq!(&all[36..40], [0, 0x0e, 0x0e, 0x0e], "moves");
    assert_eq!(&all[44..48], [0, 0x0e, 0x0e, 0x0e], "exchanges");
    let changeable = cabinet.changer.data(&[0x1a, 0, 0x5d, 0, 0xff, 0]);
    assert!(changeable[6..].iter().all(|byte| *byte == 0));
    assert_eq!(
        cabinet.changer.told(&[0x1a, 0, 0x0f, 0, 0xff, 0]),
        (5, 0x24, 0x00)
    );
}

#[test]
fn a_library_without_mail_slots_says_so() {
    let plan = longhaul_emulator::library::Plan {
        mail_slots: 0,
        ..plan()
    };
    let cabinet = Cabinet::of(&plan);
    let page = cabinet.changer.data(&[0x1a, 0, 0x1f, 0, 0xff, 0]);
    assert_eq!(&page[6..12], [0x0a, 0, 0, 0x0a, 0, 0x0a]);
    assert!(
        !cabinet
            .changer
            .elements()
            .iter()
            .any(|e| e.kind == ElementType::ImportExport)
    );
}

#[test]
fn element_status_tells_what_lies_where() {
    let cabinet = Cabinet::new();
    let elements = cabinet.changer.elements();
    let addresses: Vec<u16> = elements.iter().map(|element| element.address).collect();
    let drives = [DRIVE, DRIVE + 1];
    let slots = [SLOT, SLOT + 1, SLOT + 2, SLOT + 3, SLOT + 4, SLOT + 5];
    assert_eq!(
        addresses,
        [&[TRANSPORT, MAIL, MAIL + 1][..], &drives, &slots].concat()
    );
    for element in &elements {
        let filled = (SLOT..SLOT + 4).contains(&element.address);
        assert_eq!(element.full, filled, "{element:?}");
        let tag = filled.then(|| barcode(element.address - SLOT + 1));
        assert_eq!(element.volume_tag, tag);
        assert_eq!(element.exception, None);
        assert_eq!(element.accessible, element.kind != ElementType::Transport);
        assert_eq!(element.imports, element.kind == ElementType::ImportExport);
        assert_eq!(
            element.device.is_some(),
            element.kind == ElementType::DataTransfer
        );
    }
    let device = elements[3].device.as_ref().expect("a drive's");
    let name = format!(
        "LONGHAULVTAPE-LTO9      {}",
        cabinet.drives[0].unit.serial()
    );
    assert_eq!((device.code_set, device.kind), (2, 1));
    assert_eq!(device.value, name.as_bytes());
}

#[test]
fn element_status_by_kind_range_and_length() {
    let cabinet = Cabinet::new();
    let ask = |kind, start, count, flags, allocation| {
        cabinet
            .changer
            .data(&element_status(kind, start, count, flags, allocation))
    };
    // One kind, from an address that is no element's.
    let two = ask(2, 0x0fff, 2, 0, 0xffff);
    assert_eq!(&two[..8], [0x10, 0, 0, 2, 0, 0, 0, 8 + 2 * 16]);
    assert_eq!(&two[8..16], [2, 0, 0, 16, 0, 0, 0, 32]);
    assert_eq!(
        &two[16..32],
        [0x10, 0, 0x09, 0, 0, 0, 0, 0, 0, 0x80, 0x10, 0, 0, 0, 0, 0]
    );
    // The header alone tells how much there would be.
    let header = ask(0x10, 0, 0xffff, 0, 8);
    let whole = ask(0x10, 0, 0xffff, 0, 0xffff);
    assert_eq!(header, whole[..8]);
    assert_eq!(number(&header[4..8]) as usize, whole.len() - 8);
    // Descriptors are not cut: 8 + 8 + 16 is one, and a byte less is none.
    assert_eq!(ask(2, 0, 6, 0, 32).len(), 32);
    assert_eq!(ask(2, 0, 6, 0, 63).len(), 48);
    assert_eq!(ask(2, 0, 6, 0, 31).len(), 8);
    assert_eq!(ask(0, 0x2000, 9, 0, 0xffff), [0; 8], "nothing lies behind");
    assert_eq!(ask(0, 0, 0, 0, 0xffff), [0; 8], "nothing is asked for");
    let told = cabinet.changer.told(&element_status(5, 0, 1, 0, 64));
    assert_eq!(told, (5, 0x24, 0x00));
}

#[test]
fn a_cartridge_goes_into_a_drive_and_back() {
    let cabinet = Cabinet::new();
    let (changer, drive) = (&cabinet.changer, &cabinet.drives[0]);
    assert_eq!(drive.told(&READY), (2, 0x3a, 0x00));
    changer.good(&move_medium(SLOT + 1, DRIVE));
    assert_eq!(drive.told(&READY), (6, 0x28, 0x00), "a new medium");
    drive.good(&READY);
    let element = changer.element(DRIVE);
    assert_eq!(
        (element.full, element.accessible),
        (true, false),
        "threaded"
    );
    assert_eq!(element.source, Some(SLOT + 1));
    assert_eq!(element.volume_tag, Some(barcode(2)));
    assert!(!changer.element(SLOT + 1).full);
    assert_eq!(
        drive.send(&write(5), b"hello", &mut []).status,
        Ok(Status::Good)
    );
    drive.good(&UNLOAD);
    assert_eq!(drive.told(&READY), (2, 0x3a, 0x00));
    assert!(changer.element(DRIVE).accessible, "in the drive's mouth");
    changer.good(&move_medium(DRIVE, SLOT + 5));
    assert_eq!(changer.tag(SLOT + 5), Some(barcode(2)));
    assert_eq!(changer.element(SLOT + 5).source, Some(SLOT + 1));
    // The other drive reads what was written.
    changer.good(&move_medium(SLOT + 5, DRIVE + 1));
    let other = &cabinet.drives[1];
    assert_eq!(other.told(&READY), (6, 0x28, 0x00));
    assert_eq!(other.data(&crate::rig::read(5, 0)), b"hello");
    assert_eq!(changer.element(DRIVE + 1).source, Some(SLOT + 5));
}

#[test]
fn it_unloads_a_drive_by_itself_and_keeps_what_was_accepted() {
    let cabinet = Cabinet::new();
    let (changer, drive) = (&cabinet.changer, &cabinet.drives[0]);
    changer.good(&move_medium(SLOT, DRIVE));
    drive.run(&READY);
    assert_eq!(
        drive.send(&write(3), b"abc", &mut []).status,
        Ok(Status::Good)
    );
    changer.good(&move_medium(DRIVE, SLOT));
    assert_eq!(drive.told(&READY), (2, 0x3a, 0x00));
    changer.good(&move_medium(SLOT, DRIVE));
    drive.run(&READY);
    assert_eq!(drive.data(&crate::rig::read(3, 0)), b"abc");
}

#[test]
fn one_that_does_not_unload_by_itself_refuses_a_threaded_cartridge() {
    let cabinet = Cabinet::new().edited("unloads = true", "unloads = false");
    let changer = &cabinet.changer;
    changer.good(&move_medium(SLOT, DRIVE));
    assert_eq!(changer.told(&move_medium(DRIVE, SLOT)), (5, 0x3b, 0x90));
    let drive = &cabinet.drives[0];
    drive.run(&READY);
    drive.good(&UNLOAD);
    changer.good(&move_medium(DRIVE, SLOT));
}

#[test]
fn moves_that_cannot_be() {
    let cabinet = Cabinet::new();
    let changer = &cabinet.changer;
    let empty = SLOT + 5;
    let cases: [(&[u8], Codes); 12] = [
        (&move_medium(empty, DRIVE), (5, 0x3b, 0x0e)),
        (&move_medium(SLOT, SLOT + 1), (5, 0x3b, 0x0d)),
        (&move_medium(SLOT, SLOT), (5, 0x3b, 0x0d)),
        (&move_medium(SLOT, 0x4000), (5, 0x21, 0x01)),
        (&move_medium(0, DRIVE), (5, 0x21, 0x01)),
        (&move_medium(SLOT, TRANSPORT), (5, 0x21, 0x01)),
        (&move_medium(TRANSPORT, DRIVE), (5, 0x21, 0x01)),
        // Another transport; turned over.
        (&[0xa5, 0, 0, 2, 0x10, 0, 1, 0, 0, 0, 0, 0], (5, 0x21, 0x01)),
        (&[0xa5, 0, 0, 1, 0x10, 0, 1, 0, 0, 0, 1, 0], (5, 0x24, 0x00)),
        (&[0x2b, 0, 0, 1, 0x40, 0, 0, 0, 0, 0], (5, 0x21, 0x01)),
        (&[0x37, 1, 0x40, 0, 0, 0, 0, 1, 0, 0], (5, 0x21, 0x01)),
        (&exchange(SLOT, empty, DRIVE), (5, 0x3b, 0x0e)),
    ];
    let before = changer.elements();
    for (cdb, told) in cases {
        assert_eq!(changer.told(cdb), told, "{cdb:02x?}");
    }
    assert_eq!(changer.elements(), before, "nothing was moved");
    changer.good(&[0x2b, 0, 0, 1, 0x10, 0, 0, 0, 0, 0]);
    changer.good(&[0x07, 0, 0, 0, 0, 0]);
    changer.good(&[0x37, 1, 0x10, 0, 0, 0, 0, 1, 0, 0]);
    changer.good(&[0xe7, 1, 0x10, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn a_drive_that_prevents_removal_keeps_its_cartridge() {
    let cabinet = Cabinet::new();
    let (changer, drive) = (&cabinet.changer, &cabinet.drives[0]);
    changer.good(&move_medium(SLOT, DRIVE));
    drive.run(&READY);
    drive.good(&PREVENT);
    assert_eq!(changer.told(&move_medium(DRIVE, SLOT)), (5, 0x53, 0x03));
    assert_eq!(changer.tag(DRIVE), Some(barcode(1)));
    drive.good(&READY);
    drive.good(&ALLOW);
    changer.good(&move_medium(DRIVE, SLOT));
}

#[test]
fn two_cartridges_change_places() {
    let cabinet = Cabinet::new();
    let changer = &cabinet.changer;
    changer.good(&move_medium(SLOT, DRIVE));
    changer.good(&exchange(SLOT + 1, DRIVE, SLOT + 1));
    assert_eq!(changer.tag(DRIVE), Some(barcode(2)));
    assert_eq!(changer.tag(SLOT + 1), Some(barcode(1)));
    changer.good(&exchange(SLOT + 1, DRIVE, SLOT + 5));
    assert_eq!(changer.tag(DRIVE), Some(barcode(1)));
    assert_eq!(changer.tag(SLOT + 5), Some(barcode(2)));
    assert!(!changer.element(SLOT + 1).full);
    // Between two drives.
    changer.good(&move_medium(SLOT + 2, DRIVE + 1));
    changer.good(&exchange(DRIVE, DRIVE + 1, DRIVE));
    assert_eq!(changer.tag(DRIVE), Some(barcode(3)));
    assert_eq!(changer.tag(DRIVE + 1), Some(barcode(1)));
    for drive in &cabinet.drives {
        assert_eq!(drive.told(&READY), (6, 0x28, 0x00));
        drive.good(&READY);
    }
}

#[test]
fn a_cartridge_that_cannot_be_opened_stays_where_it_is() {
    let cabinet = Cabinet::new();
    let changer = &cabinet.changer;
    let file = cartridge_file(&cabinet.path(), &barcode(1));
    let held = longhaul_emulator::medium::Medium::open(&file).expect("a cartridge");
    assert_eq!(changer.told(&move_medium(SLOT, DRIVE)), (4, 0x53, 0x00));
    assert_eq!(changer.tag(SLOT), Some(barcode(1)));
    assert!(!changer.element(DRIVE).full);
    // In an exchange, what is in the drive is not touched.
    changer.good(&move_medium(SLOT + 1, DRIVE));
    cabinet.drives[0].run(&READY);
    assert_eq!(changer.told(&exchange(SLOT, DRIVE, SLOT)), (4, 0x53, 0x00));
    assert_eq!(changer.tag(DRIVE), Some(barcode(2)));
    cabinet.drives[0].good(&READY);
    let alerts = changer.data(&[0x4d, 0, 0x6e, 0, 0, 0, 0, 2, 0, 0]);
    assert_eq!(alerts.len(), 4 + 64 * 5);
    assert_eq!(alerts[4 + 15 * 5 + 4], 1, "flag 16");
    drop(held);
    changer.good(&exchange(SLOT, DRIVE, SLOT));
    assert_eq!(changer.tag(SLOT), Some(barcode(2)));
}

#[test]
fn writes_that_are_lost_while_the_changer_unloads_are_told_once() {
    let cabinet = Cabinet::new();
    let (changer, drive) = (&cabinet.changer, &cabinet.drives[0]);
    changer.good(&move_medium(SLOT, DRIVE));
    drive.run(&READY);
    let plan = "[[fault]]\nblock = 1\nsense = { key = 3, asc = 0x0c, ascq = 0, deferred = true }\n";
    let longhaul_emulator::Unit::Drive(emulated) = &drive.unit else {
        panic!("a drive")
    };
    let plan = longhaul_emulator::faults::Plan::parse(plan).expect("a plan");
    emulated.lock().expect("whole").set_faults(plan);
    drive.send(&write(1), b"a", &mut []);
    drive.send(&write(1), b"b", &mut []);
    assert_eq!(changer.told(&move_medium(DRIVE, SLOT)), (4, 0x53, 0x01));
    assert_eq!(changer.tag(DRIVE), Some(barcode(1)));
    changer.good(&move_medium(DRIVE, SLOT));
}

#[test]
fn exclusive_access_fences_the_other_host() {
    let cabinet = Cabinet::new();
    let (a, b) = (&cabinet.changer, Host::new(&cabinet.changer.unit, "host-b"));
    assert_eq!(a.reserve_out(0, 0, 0, 10).status, Ok(Status::Good));
    assert_eq!(a.reserve_out(1, 3, 10, 0).status, Ok(Status::Good));
    let guarded: [&[u8]; 7] = [
        &move_medium(SLOT, DRIVE),
        &exchange(SLOT, SLOT + 1, SLOT),
        &[0x07, 0, 0, 0, 0, 0],
        &[0x37, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x2b, 0, 0, 1, 0x10, 0, 0, 0, 0, 0],
        &element_status(0, 0, 9, 0, 64),
        &[0x1a, 0, 0x1d, 0, 0xff, 0],
    ];
    for cdb in guarded {
        let response = b.send(cdb, &[], &mut [0; 64]);
        assert_eq!(response.status, CONFLICT, "{cdb:02x?}");
    }
    b.good(&[0; 6]);
    b.good(&[0x12, 0, 0, 0, 0, 0]);
    a.good(&move_medium(SLOT, DRIVE));
    assert_eq!(b.reserve_out(0, 0, 0, 20).status, Ok(Status::Good));
    assert_eq!(b.reserve_out(5, 3, 20, 10).status, Ok(Status::Good));
    assert_eq!(a.told(&READY), (6, 0x2a, 0x05));
    assert_eq!(a.run(&move_medium(DRIVE, SLOT)).status, CONFLICT);
    b.good(&move_medium(DRIVE, SLOT));
}

#[test]
fn mail_slots_are_the_operators() {
    let cabinet = Cabinet::new();
    let other = Host::new(&cabinet.changer.unit, "host-b");
    let (library, changer) = (&cabinet.library, &cabinet.changer);
    changer.good(&move_medium(SLOT, MAIL));
    assert_eq!(library.export(MAIL).expect("it opens"), barcode(1));
    for host in [changer, &other] {
        assert_eq!(host.told(&READY), (6, 0x28, 0x01));
        host.good(&READY);
    }
    assert!(!changer.element(MAIL).full);
    library.export(MAIL).expect_err("empty");
    library.export(SLOT).expect_err("no mail slot");
    library.import("NONE", MAIL).expect_err("no such cartridge");
    library.import(&barcode(2), MAIL).expect_err("it is inside");
    library.import(&barcode(1), MAIL + 1).expect("empty");
    assert_eq!(changer.told(&READY), (6, 0x28, 0x01));
    let element = changer.element(MAIL + 1);
    assert!(element.full && element.by_operator);
    assert_eq!(
        (element.volume_tag, element.source),
        (Some(barcode(1)), None)
    );
    changer.good(&PREVENT);
    library.export(MAIL + 1).expect_err("locked");
    changer.good(&move_medium(MAIL + 1, SLOT));
    changer.good(&ALLOW);
    changer.good(&move_medium(SLOT, MAIL + 1));
    assert!(
        !changer.element(MAIL + 1).by_operator,
        "the library put it there"
    );
}

#[test]
fn it_lists_its_commands_with_their_timeouts() {
    let cabinet = Cabinet::new();
    let all = cabinet
        .changer
        .data(&[0xa3, 0x0c, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(number(&all[..4]) as usize, all.len() - 4);
    let codes: Vec<u8> = all[4..].chunks(20).map(|entry| entry[0]).collect();
    for code in [
        0x00, 0x07, 0x12, 0x1a, 0x2b, 0x37, 0x5e, 0x5f, 0xa3, 0xa5, 0xa6, 0xb8, 0xe7,
    ] {
        assert!(codes.contains(&code), "{code:02x}");
    }
    assert!(!codes.contains(&0x0a), "it writes nothing");
    let one = cabinet
        .changer
        .data(&[0xa3, 0x0c, 0x81, 0xa5, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(&one[..5], [0, 0x83, 0, 12, 0xa5]);
    assert_eq!(number(&one[24..28]), 1200);
    assert_eq!(cabinet.changer.told(&write(1)), (5, 0x20, 0x00));
}

#[test]
fn faults_strike_the_changer_too() {
    let cabinet = Cabinet::new();
    let plan = "[[fault]]\nopcode = \"MOVE MEDIUM\"\n\
        sense = { key = 4, asc = 0x15, ascq = 1 }\nexecuted = true\n";
    let file = cabinet.path().join("faults.toml");
    std::fs::write(file, plan).expect("written");
    let cabinet = cabinet.edited("unloads = true", "unloads = true\nfaults = \"faults.toml\"");
    assert_eq!(
        cabinet.changer.told(&move_medium(SLOT, DRIVE)),
        (4, 0x15, 0x01)
    );
    assert_eq!(
        cabinet.changer.tag(DRIVE),
        Some(barcode(1)),
        "it was moved all the same"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the bytes are, no command ends in a panic, and no cartridge is
    /// lost.
    #[test]
    fn any_bytes_are_survived(
        commands in prop::collection::vec(
            (prop::sample::select(&[0x00_u8, 0x03, 0x07, 0x12, 0x1a, 0x1e, 0x2b, 0x37, 0x4d, 0x5a,
                0x5e, 0x5f, 0xa0, 0xa3, 0xa5, 0xa6, 0xb8, 0xe7, 0xff][..]),
             prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x10)], 0..15),
             prop::collection::vec(any::<u8>(), 0..32), 0..200_usize),
            1..12),
    ) {
        let cabinet = Cabinet::new();
        for (opcode, rest, out, room) in commands {
            let cdb = [&[opcode][..], &rest].concat();
            let response = cabinet.changer.send(&cdb, &out, &mut vec![0; room]);
            prop_assert!(response.transferred <= room.max(out.len()));
        }
        let fresh = Host::new(&cabinet.changer.unit, "host-b");
        if let Ok(Status::Good) = fresh.send(&element_status(0, 0, 99, 0, 8), &[], &mut [0; 8]).status {
            let mut tags: Vec<_> = fresh.elements().into_iter().filter_map(|e| e.volume_tag).collect();
            tags.sort();
            prop_assert_eq!(tags, (1..=4).map(barcode).collect::<Vec<_>>());
        }
    }
}
