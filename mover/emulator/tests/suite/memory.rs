//! The cartridge memory: READ ATTRIBUTE and WRITE ATTRIBUTE.

use longhaul_emulator::Response;
use longhaul_scsi::status::Status;

use crate::rig::*;

fn read_from(id: u16) -> [u8; 16] {
    let [high, low] = id.to_be_bytes();
    [0x8c, 0, 0, 0, 0, 0, 0, 0, high, low, 0, 0, 0xff, 0xff, 0, 0]
}

/// The value of an attribute that must exist.
fn value(rig: &mut Rig, id: u16) -> Vec<u8> {
    let reply = rig.data(&read_from(id));
    assert_eq!(number(&reply[..4]) as usize, reply.len() - 4);
    assert_eq!(number(&reply[4..6]), u64::from(id));
    let length = number(&reply[7..9]) as usize;
    reply[9..9 + length].to_vec()
}

fn attribute(id: u16, format: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.push(format);
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes
}

fn write_attributes(rig: &mut Rig, attributes: &[Vec<u8>]) -> Response {
    let content = attributes.concat();
    let list = [&(content.len() as u32).to_be_bytes()[..], &content].concat();
    let mut cdb = [0; 16];
    cdb[0] = 0x8d;
    cdb[10..14].copy_from_slice(&(list.len() as u32).to_be_bytes());
    rig.send(&cdb, &list, &mut [])
}

#[test]
fn what_the_drive_and_the_maker_say() {
    let mut rig = Rig::new();
    assert_eq!(number(&value(&mut rig, 0x0000)), 64);
    assert_eq!(number(&value(&mut rig, 0x0001)), 64);
    assert_eq!(number(&value(&mut rig, 0x0003)), 1, "loads");
    assert_eq!(value(&mut rig, 0x0006), [0x60]);
    assert_eq!(value(&mut rig, 0x0401).len(), 32);
    assert_eq!(value(&mut rig, 0x0406).len(), 8);
    let reply = rig.data(&read_from(0x0401));
    assert_eq!(reply[6], 0x80 | 1, "read only, ASCII");
    rig.power_cut();
    assert_eq!(number(&value(&mut rig, 0x0003)), 2);
}

#[test]
fn a_missing_attribute_is_an_invalid_field() {
    let mut rig = Rig::new();
    assert_eq!(key_code(&rig.check(&read_from(0x0806))), (5, 0x24, 0x00));
}

#[test]
fn hosts_attributes_outlive_the_drive() {
    let mut rig = Rig::new();
    let barcode = [&b"LH0001L9"[..], &[b' '; 24]].concat();
    let response = write_attributes(
        &mut rig,
        &[
            attribute(0x0806, 1, &barcode),
            attribute(0x080c, 0, &[1, 2, 3]),
            attribute(0x1400, 0, b"x"),
        ],
    );
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    rig.power_cut();
    assert_eq!(value(&mut rig, 0x0806), barcode);
    assert_eq!(value(&mut rig, 0x080c), [1, 2, 3]);
    assert_eq!(value(&mut rig, 0x1400), b"x");
    let mut list = read_from(0);
    list[1] = 0x01;
    let ids = rig.data(&list);
    assert!(ids[4..].chunks(2).any(|id| id == [0x08, 0x06]));
    write_attributes(&mut rig, &[attribute(0x0806, 1, b"")]);
    assert_eq!(
        key_code(&rig.check(&read_from(0x0806))),
        (5, 0x24, 0x00),
        "empty deletes"
    );
}

#[test]
fn all_or_none_are_written() {
    let mut rig = Rig::new();
    let good = attribute(0x0800, 1, b"LONGHAUL");
    let wrong = [
        (attribute(0x0401, 1, b"other"), (5, 0x26, 0x00)),
        (attribute(0x0801, 0, b"binary"), (5, 0x26, 0x00)),
        (attribute(0x0802, 1, b"too long"), (99, 0, 0)),
        (attribute(0x0802, 1, b"far too long"), (5, 0x26, 0x00)),
        (vec![8, 6, 1, 0, 9, b'x'], (5, 0x1a, 0x00)),
    ];
    for (attribute, expected) in wrong {
        let response = write_attributes(&mut rig, &[good.clone(), attribute]);
        if expected.0 == 99 {
            assert_eq!(response.status, Ok(Status::Good));
            write_attributes(&mut rig, &[self::attribute(0x0800, 1, b"")]);
            continue;
        }
        assert_eq!(key_code(&sense(response)), expected);
        assert_eq!(
            key_code(&rig.check(&read_from(0x0800))),
            (5, 0x24, 0x00),
            "none was set"
        );
    }
}

#[test]
fn the_memory_is_bounded() {
    let mut rig = Rig::new();
    let mut refused = None;
    for id in 0x1400..0x1420 {
        let response = write_attributes(&mut rig, &[attribute(id, 0, &[7; 1024])]);
        if response.status != Ok(Status::Good) {
            refused = Some(sense(response));
            break;
        }
    }
    assert_eq!(
        key_code(&refused.expect("16 KiB are not endless")),
        (5, 0x55, 0x06)
    );
    assert!(
        number(&value(&mut rig, 0x0004)) < 1029,
        "no room for one more"
    );
    rig.power_cut();
    assert_eq!(value(&mut rig, 0x1400), [7; 1024]);
}

#[test]
fn the_volume_change_reference_counts_loads_with_writes() {
    let mut rig = Rig::new();
    let before = number(&value(&mut rig, 0x0009));
    rig.write_all(&[b"a"]);
    assert_eq!(
        number(&value(&mut rig, 0x0009)),
        before,
        "nothing is on the medium yet"
    );
    rig.synchronise();
    rig.write_all(&[b"b"]);
    rig.synchronise();
    assert_eq!(number(&value(&mut rig, 0x0009)), before + 1);
    rig.power_cut();
    rig.block();
    assert_eq!(
        number(&value(&mut rig, 0x0009)),
        before + 1,
        "reading is no change"
    );
    rig.write_all(&[b"c"]);
    rig.synchronise();
    assert_eq!(number(&value(&mut rig, 0x0009)), before + 2);
}
