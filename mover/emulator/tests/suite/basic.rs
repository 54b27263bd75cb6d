//! What every SCSI device answers.

use longhaul_emulator::drive::{Drive, Setup};
use longhaul_scsi::status::Status;

use crate::rig::*;

#[test]
fn who_the_drive_is() {
    let mut rig = Rig::new();
    let inquiry = rig.data(&[0x12, 0, 0, 0, 255, 0]);
    assert_eq!(inquiry.len(), 70);
    assert_eq!(inquiry[4], 65);
    assert_eq!((inquiry[0], inquiry[1]), (0x01, 0x80));
    assert_eq!(&inquiry[8..36], b"LONGHAULVTAPE-LTO9      0001");
    assert_eq!(
        rig.data(&[0x12, 0, 0, 0, 36, 0]).len(),
        36,
        "cut to the allocation length"
    );
}

#[test]
fn vital_product_data() {
    let mut rig = Rig::new();
    let pages = rig.data(&[0x12, 1, 0x00, 0, 255, 0]);
    assert_eq!(pages, [1, 0, 0, 6, 0x00, 0x80, 0x83, 0x86, 0xb0, 0xb1]);
    assert_eq!(
        rig.data(&[0x12, 1, 0x80, 0, 255, 0]),
        b"\x01\x80\x00\x06VT0001"
    );
    assert_eq!(
        rig.data(&[0x12, 1, 0xb1, 0, 255, 0]),
        b"\x01\xb1\x00\x06VT0001"
    );
    let designators = rig.data(&[0x12, 1, 0x83, 0, 255, 0]);
    assert_eq!(usize::from(designators[3]), designators.len() - 4);
    assert_eq!(&designators[8..38], b"LONGHAULVTAPE-LTO9      VT0001");
    assert_eq!(designators[38..42], [1, 3, 0, 8]);
    assert_eq!(designators[42] >> 4, 3, "NAA, locally assigned");
    assert_eq!(
        key_code(&rig.check(&[0x12, 1, 0x99, 0, 255, 0])),
        (5, 0x24, 0x00)
    );
    assert_eq!(
        key_code(&rig.check(&[0x12, 0, 0x80, 0, 255, 0])),
        (5, 0x24, 0x00)
    );
}

#[test]
fn what_is_not_known_is_refused() {
    let mut rig = Rig::new();
    assert_eq!(
        key_code(&rig.check(&[0xc1, 0, 0, 0, 0, 0])),
        (5, 0x20, 0x00)
    );
    assert_eq!(key_code(&rig.check(&[])), (5, 0x20, 0x00));
    assert_eq!(
        key_code(&rig.check(&[0xa3, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (5, 0x24, 0x00)
    );
    assert_eq!(
        key_code(&rig.check(&[0x92, 0, 0])),
        (5, 0x24, 0x00),
        "a CDB cut short"
    );
}

#[test]
fn a_drive_without_a_cartridge_is_not_ready() {
    let mut drive = Drive::new(Setup::default());
    let nexus = drive.connect("host-a");
    drive.execute(nexus, &[0; 6], &[], &mut []);
    for cdb in [
        &[0x00, 0, 0, 0, 0, 0][..],
        &[0x01, 0, 0, 0, 0, 0],
        &[0x08, 0, 0, 0, 1, 0],
        &[0x0a, 0, 0, 0, 1, 0],
        &[0x10, 0, 0, 0, 0, 0],
        &[0x11, 0, 0, 0, 1, 0],
        &[0x1b, 0, 0, 0, 1, 0],
        &[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x44, 1, 0, 0, 0, 0, 0, 0, 255, 0],
        &locate(0),
    ] {
        let mut into = [0; 256];
        let response = drive.execute(nexus, cdb, &[0; 1], &mut into);
        assert_eq!(key_code(&sense(response)), (2, 0x3a, 0x00), "{cdb:02x?}");
    }
    for cdb in [
        &[0x12, 0, 0, 0, 96, 0][..],
        &[0x05, 0, 0, 0, 0, 0],
        &[0x1a, 0, 0x3f, 0, 255, 0],
    ] {
        let response = drive.execute(nexus, cdb, &[], &mut [0; 256]);
        assert_eq!(response.status, Ok(Status::Good), "{cdb:02x?}");
    }
}

#[test]
fn request_sense_reports_and_takes_the_attention() {
    let mut rig = Rig::new();
    rig.nexus = rig.drive.connect("host-b");
    let inquiry = rig.run(&[0x12, 0, 0, 0, 0, 0]);
    assert_eq!(
        inquiry.status,
        Ok(Status::Good),
        "INQUIRY passes an attention by"
    );
    let fixed = rig.data(&[0x03, 0, 0, 0, 252, 0]);
    assert_eq!(
        (fixed[0], fixed[2], fixed[12], fixed[13]),
        (0x70, 6, 0x29, 0)
    );
    let descriptors = rig.data(&[0x03, 1, 0, 0, 252, 0]);
    assert_eq!(descriptors[..4], [0x72, 0, 0, 0]);
    rig.good(&[0; 6]);
}

#[test]
fn report_luns_and_block_limits() {
    let mut rig = Rig::new();
    let luns = rig.data(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0]);
    assert_eq!(luns, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        key_code(&rig.check(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0])),
        (5, 0x24, 0x00)
    );
    assert_eq!(rig.data(&[0x05, 0, 0, 0, 0, 0]), [0, 0x80, 0, 0, 0, 1]);
    assert_eq!(rig.data(&[0x05, 1, 0, 0, 0, 0]).len(), 20);
}

#[test]
fn supported_operation_codes_with_timeouts() {
    let mut rig = Rig::new();
    let all = rig.data(&[0xa3, 0x0c, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!(number(&all[..4]) as usize, all.len() - 4);
    assert_eq!((all.len() - 4) % 20, 0);
    let write = all[4..]
        .chunks(20)
        .find(|entry| entry[0] == 0x0a)
        .expect("WRITE(6)");
    assert_eq!(write[5], 0x02, "CTDP");
    assert_eq!(number(&write[6..8]), 6);
    assert_eq!((number(&write[8..10]), number(&write[16..20])), (10, 1500));
    let plain = rig.data(&[0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!((plain.len() - 4) % 8, 0);

    let one = rig.data(&[0xa3, 0x0c, 0x81, 0x92, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!((one[1], number(&one[2..4])), (0x83, 16));
    assert_eq!(number(&one[20 + 8..20 + 12]), 2940);
    let none = rig.data(&[0xa3, 0x0c, 1, 0xc1, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!(none, [0, 1, 0, 0]);
    let action = rig.data(&[0xa3, 0x0c, 2, 0x5f, 0, 4, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!(action[1], 3);
    let missing = rig.check(&[0xa3, 0x0c, 1, 0x5f, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!(key_code(&missing), (5, 0x24, 0x00));
}

#[test]
fn densities_and_medium_types() {
    let mut rig = Rig::new();
    let support = rig.data(&[0x44, 0, 0, 0, 0, 0, 0, 255, 255, 0]);
    assert_eq!(support.len(), 4 + 52);
    assert_eq!(number(&support[..2]), 54);
    assert_eq!((support[4], support[6]), (0x60, 0xa0));
    assert_eq!(number(&support[16..20]), 18_000_000, "megabytes, nominal");
    let media = rig.data(&[0x44, 1, 0, 0, 0, 0, 0, 255, 255, 0]);
    assert_eq!(number(&media[16..20]), 67, "megabytes, of this cartridge");
    let types = rig.data(&[0x44, 2, 0, 0, 0, 0, 0, 255, 255, 0]);
    assert_eq!((types.len(), number(&types[6..8])), (4 + 56, 52));
}

#[test]
fn the_door_stays_shut_while_anybody_prevents() {
    let mut rig = Rig::new();
    rig.write_all(&[b"x"]);
    rig.good(&[0x1e, 0, 0, 0, 1, 0]);
    assert_eq!(
        key_code(&rig.check(&[0x1b, 0, 0, 0, 0, 0])),
        (5, 0x53, 0x02)
    );
    rig.good(&[0; 6]);
    rig.good(&[0x1e, 0, 0, 0, 0, 0]);
    rig.good(&[0x1b, 0, 0, 0, 0, 0]);
    assert_eq!(key_code(&rig.check(&[0; 6])), (2, 0x3a, 0x00));
    rig.good(&[0x1b, 0, 0, 0, 0, 0]);
    rig.good(&[0x1b, 0, 0, 0, 1, 0]);
    assert_eq!(
        key_code(&rig.check(&[0; 6])),
        (6, 0x28, 0x00),
        "medium may have changed"
    );
    assert_eq!(
        rig.block(),
        b"x",
        "unloading wrote the buffer out, loading rewound"
    );
    rig.good(&[0x1b, 0, 0, 0, 1, 0]);
    rig.good(&[0; 6]);
    assert_eq!(rig.place(), (0, 0), "loading what is loaded only rewinds");
}
