//! MODE SENSE and MODE SELECT.

use longhaul_scsi::status::Status;

use crate::rig::*;

#[test]
fn header_descriptor_and_pages() {
    let mut rig = Rig::new();
    let six = rig.data(&[0x1a, 0, 0x3f, 0xff, 255, 0]);
    assert_eq!(usize::from(six[0]), six.len() - 1);
    assert_eq!(six[1..4], [0x98, 0x10, 8], "LTO-9, buffered, a descriptor");
    assert_eq!(six[4..12], [0x60, 0, 0, 0, 0, 0, 0, 0]);
    let ten = rig.data(&[0x5a, 0, 0x3f, 0xff, 0, 0, 0, 2, 0, 0]);
    assert_eq!(number(&ten[..2]) as usize, ten.len() - 2);
    assert_eq!(ten[8..], six[4..]);
    let codes: Vec<u8> = {
        let mut rest = &ten[16..];
        let mut codes = Vec::new();
        while !rest.is_empty() {
            codes.push(rest[0]);
            let long = rest[0] & 0x40 != 0;
            let bytes = if long {
                4 + number(&rest[2..4]) as usize
            } else {
                2 + rest[1] as usize
            };
            rest = &rest[bytes..];
        }
        codes
    };
    assert_eq!(codes, [0x4a, 0x0f, 0x10, 0x50, 0x1c, 0x1d]);
    let bare = rig.data(&[0x1a, 8, 0x0f, 0, 255, 0]);
    assert_eq!(bare[..6], [19, 0x98, 0x10, 0, 0x0f, 0x0e], "DBD");
    assert_eq!(
        rig.data(&[0x1a, 0, 0, 0, 255, 0]).len(),
        12,
        "page 0: the descriptor alone"
    );
}

#[test]
fn current_changeable_default_and_not_saved() {
    let mut rig = Rig::new();
    rig.set_programmable_zone(0x1234);
    let mut page =
        |control: u8| rig.data(&[0x1a, 8, control << 6 | 0x10, 0x01, 255, 0])[4..].to_vec();
    assert_eq!(page(0)[..8], [0x50, 0x01, 0, 0x1c, 0, 2, 0x12, 0x34]);
    assert_eq!(page(1)[..8], [0x50, 0x01, 0, 0x1c, 0, 0, 0xff, 0xff]);
    assert_eq!(page(2)[..8], [0x50, 0x01, 0, 0x1c, 0, 2, 0, 0]);
    assert_eq!(
        key_code(&rig.check(&[0x1a, 8, 0xd0, 0x01, 255, 0])),
        (5, 0x39, 0x00)
    );
    assert_eq!(
        key_code(&rig.check(&[0x1a, 8, 0x2a, 0, 255, 0])),
        (5, 0x24, 0x00)
    );
    assert_eq!(
        key_code(&rig.check(&[0x1a, 8, 0x10, 0x02, 255, 0])),
        (5, 0x24, 0x00)
    );
}

#[test]
fn a_wrong_list_changes_nothing() {
    let mut rig = Rig::new();
    let before = rig.data(&[0x1a, 0, 0x3f, 0xff, 255, 0]);
    let compression = |byte: u8| vec![0x0f, 0x0e, byte, 0x80, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
    let with = |header: [u8; 4], rest: &[u8]| [&header[..], rest].concat();
    let descriptor = |density: u8, length: [u8; 3]| {
        let [a, b, c] = length;
        [density, 0, 0, 0, 0, a, b, c]
    };
    let cases = [
        ("cut header", vec![0, 0, 0x10], (5, 0x1a, 0)),
        ("buffered mode 2", with([0, 0, 0x20, 0], &[]), (5, 0x26, 0)),
        (
            "descriptor length",
            with([0, 0, 0x10, 7], &[0; 7]),
            (5, 0x26, 0),
        ),
        (
            "cut descriptor",
            with([0, 0, 0x10, 8], &[0; 4]),
            (5, 0x1a, 0),
        ),
        (
            "density",
            with([0, 0, 0x10, 8], &descriptor(0x44, [0, 2, 0])),
            (5, 0x26, 0),
        ),
        (
            "block length",
            with([0, 0, 0x10, 8], &descriptor(0, [0x80, 0, 1])),
            (5, 0x26, 0),
        ),
        (
            "unknown page",
            with([0, 0, 0x10, 0], &[0x2a, 2, 0, 0]),
            (5, 0x26, 0),
        ),
        (
            "fixed bit",
            with([0, 0, 0x10, 0], &compression(0x80)),
            (5, 0x26, 0),
        ),
        (
            "cut page",
            with([0, 0, 0x10, 0], &compression(0xc0)[..10]),
            (5, 0x1a, 0),
        ),
    ];
    for (what, mut list, expected) in cases {
        // A good block length before the wrong page must not stick either.
        if list.len() > 4 && list[3] == 0 {
            list[3] = 8;
            list.splice(4..4, descriptor(0, [0, 2, 0]));
        }
        let cdb = [0x15, 0x10, 0, 0, list.len() as u8, 0];
        let sense = sense(rig.send(&cdb, &list, &mut []));
        assert_eq!(key_code(&sense), expected, "{what}");
        assert_eq!(rig.data(&[0x1a, 0, 0x3f, 0xff, 255, 0]), before, "{what}");
    }
    let short = rig.send(&[0x15, 0x10, 0, 0, 12, 0], &[0; 4], &mut []);
    assert_eq!(
        key_code(&sense(short)),
        (5, 0x1a, 0),
        "less came than announced"
    );
    let saving = rig.send(&[0x15, 0x11, 0, 0, 4, 0], &[0, 0, 0x10, 0], &mut []);
    assert_eq!(key_code(&sense(saving)), (5, 0x24, 0));
}

#[test]
fn mode_select_10_sets_the_same() {
    let mut rig = Rig::new();
    let list = [0, 0, 0, 0x10, 0, 0, 0, 8, 0x7f, 0, 0, 0, 0, 0, 2, 0];
    let response = rig.send(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 16, 0], &list, &mut []);
    assert_eq!(response.status, Ok(Status::Good));
    assert_eq!(rig.data(&[0x1a, 0, 0, 0, 255, 0])[9..12], [0, 2, 0]);
    rig.good(&[0x15, 0x10, 0, 0, 0, 0]);
}
