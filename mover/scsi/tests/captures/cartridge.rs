//! Cartridge memory.

use longhaul_scsi::spc::attribute::{Attribute, AttributeFormat, Attributes, id};
use longhaul_scsi::wire::text as ascii;

use crate::capture::{bytes, hex, says, text};

#[test]
fn a_new_cartridge_in_an_hp_drive() {
    let file = "mam-hp-lto6-fuji-ew7vwmvkf6.txt";
    says(file, "0000 remaining MiB 2499053 | 0001 max 2499053");
    says(
        file,
        "0400 \"FUJIFILM\" 0401 \"EW7VWMVKF6\" 0402 846 m 0403 127 (0.1mm)",
    );
    says(file, "0224 first encrypted = <unknown> [all ff]");
    let mut list = vec![
        Attribute::number::<8>(id::REMAINING_CAPACITY, 2_499_053),
        Attribute::number::<8>(id::MAXIMUM_CAPACITY, 2_499_053),
        Attribute::number::<8>(id::LOAD_COUNT, 1),
        Attribute::number::<8>(id::MAM_SPACE_REMAINING, 3_062),
        Attribute::ascii::<8>(id::ASSIGNING_ORGANIZATION, "LTO-CVE"),
        Attribute::number::<1>(id::FORMATTED_DENSITY_CODE, 0x5a),
        Attribute::ascii::<40>(id::DEVICE_AT_LAST_LOAD, "HP      HUJ808A5L4"),
        Attribute::number::<8>(id::FIRST_ENCRYPTED_BLOCK, u64::MAX),
        Attribute::ascii::<8>(id::MEDIUM_MANUFACTURER, "FUJIFILM"),
        Attribute::ascii::<32>(id::MEDIUM_SERIAL_NUMBER, "EW7VWMVKF6"),
        Attribute::number::<4>(id::MEDIUM_LENGTH, 846),
        Attribute::ascii::<8>(id::MEDIUM_MANUFACTURE_DATE, "20170824"),
        Attribute::number::<8>(id::MAM_CAPACITY, 16_384),
    ];
    // Two of the vendor's own, as bytes.
    let text = text(file);
    for line in text.lines().filter(|line| line.starts_with("100")) {
        let (id, value) = line.split_once(' ').unwrap();
        let id = u16::from_str_radix(id, 16).unwrap();
        let format = AttributeFormat::Binary;
        list.push(Attribute {
            id,
            read_only: true,
            format,
            value: hex(value),
        });
    }
    assert_eq!(list.len(), 15);
    let attributes = Attributes::parse(&Attributes(list.clone()).encode()).unwrap();
    assert_eq!(attributes.0, list);
    let number = |id| attributes.find(id).unwrap().as_number();
    assert_eq!(number(id::MAXIMUM_CAPACITY), Some(2_499_053));
    assert_eq!(number(id::FIRST_ENCRYPTED_BLOCK), None);
    let serial = attributes.find(id::MEDIUM_SERIAL_NUMBER).unwrap();
    assert_eq!(serial.as_text(), "EW7VWMVKF6");
    says(file, "no 0800+ (no host attributes written)");
    assert_eq!(attributes.find(id::APPLICATION_VENDOR), None);
}

#[test]
fn cartridges_of_other_vendors() {
    let file = "maminfo-misc-real.txt";
    says(file, "MAM capacity 32736; length 1035 m; 0806 \"603601L9\"");
    says(file, "remaining 193746 / max 200448 MiB, load count 13");
    let list = Attributes(vec![
        Attribute::number::<8>(id::REMAINING_CAPACITY, 193_746),
        Attribute::number::<4>(id::MEDIUM_LENGTH, 1_035),
        Attribute::number::<8>(id::MAM_CAPACITY, 32_736),
        Attribute::ascii::<32>(id::BARCODE, "603601L9"),
    ]);
    let again = Attributes::parse(&list.encode()).unwrap();
    assert_eq!(again.find(id::BARCODE).unwrap().as_text(), "603601L9");
    assert_eq!(
        again.find(id::MEDIUM_LENGTH).unwrap().as_number(),
        Some(1_035)
    );
    assert_eq!(
        again.find(id::REMAINING_CAPACITY).unwrap().as_number(),
        Some(193_746)
    );
}

/// The chip's raw contents are no SCSI structure; but what stands in it is
/// what the attributes say.
#[test]
fn a_chips_identification_fits_the_attributes() {
    let memory = bytes("cm-lto6-c00392l6.hex");
    assert_eq!(memory.len(), 1024);
    let manufacturer = ascii(&memory[0x44..0x4c]);
    let serial = ascii(&memory[0x4c..0x56]);
    let date = ascii(&memory[0x58..0x60]);
    says("cm-lto6-c00392l6.hex", "(HPE O170410457, 2017-04-10)");
    assert_eq!(manufacturer, "HPE");
    assert_eq!((serial.as_str(), date.as_str()), ("O170410457", "20170410"));
    let list = Attributes(vec![
        Attribute::ascii::<8>(id::MEDIUM_MANUFACTURER, &manufacturer),
        Attribute::ascii::<32>(id::MEDIUM_SERIAL_NUMBER, &serial),
        Attribute::ascii::<8>(id::MEDIUM_MANUFACTURE_DATE, &date),
    ]);
    let again = Attributes::parse(&list.encode()).unwrap();
    let texts = again.0.iter().map(Attribute::as_text).collect::<Vec<_>>();
    assert_eq!(texts, [manufacturer, serial, date]);
}
