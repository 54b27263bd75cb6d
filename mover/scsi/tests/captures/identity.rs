//! INQUIRY, vital product data.

use longhaul_scsi::spc::inquiry::{DeviceType, StandardInquiry};
use longhaul_scsi::spc::vpd::{
    self, Association, Designator, DeviceIdentification, VitalPage, page,
};

use crate::capture::{blocks, bytes, says};

/// File, length, product, firmware, version.
const DRIVES: [(&str, usize, &str, &str, u8); 6] = [
    (
        "inquiry-hp-ultrium1-e12d.hex",
        50,
        "Ultrium 1-SCSI",
        "E12D",
        3,
    ),
    (
        "inquiry-ibm-ult3580-td1-18n2.hex",
        38,
        "ULT3580-TD1",
        "18N2",
        3,
    ),
    (
        "inquiry-ibm-ultrium-td2-4770.hex",
        58,
        "ULTRIUM-TD2",
        "4770",
        3,
    ),
    (
        "inquiry-ibm-ultrium-td3-5cm0.hex",
        58,
        "ULTRIUM-TD3",
        "5CM0",
        3,
    ),
    (
        "inquiry-ibm-ult3580-hh8-ma71.hex",
        70,
        "ULT3580-HH8",
        "MA71",
        6,
    ),
    (
        "inquiry-ibm-ultrium-hh9-pa63.hex",
        64,
        "ULTRIUM-HH9",
        "PA63",
        6,
    ),
];

#[test]
fn seven_generations_of_drives_say_who_they_are() {
    for (file, length, product, revision, version) in DRIVES {
        let bytes = bytes(file);
        assert_eq!(bytes.len(), length, "{file}");
        let inquiry = StandardInquiry::parse(&bytes).unwrap();
        assert_eq!(inquiry.device_type, DeviceType::SequentialAccess);
        assert!(inquiry.removable && inquiry.qualifier == 0);
        assert_eq!(
            inquiry.vendor,
            if file.contains("hp") { "HP" } else { "IBM" }
        );
        assert_eq!(
            (inquiry.product.as_str(), inquiry.revision.as_str()),
            (product, revision)
        );
        assert_eq!(inquiry.version, version);
        let again = StandardInquiry::parse(&inquiry.encode()).unwrap();
        assert_eq!(again, inquiry, "{file}");
    }
}

#[test]
fn newer_drives_claim_standards_and_protection() {
    let inquiry = StandardInquiry::parse(&bytes("inquiry-ibm-ult3580-hh8-ma71.hex")).unwrap();
    assert_eq!(
        inquiry.standards,
        [0x00a2, 0x0c28, 0x0460, 0x0520, 0x0a28, 0x0502]
    );
    assert!(inquiry.protect && inquiry.multi_port && inquiry.queues);
    // Cut in the middle of the version descriptors.
    let inquiry = StandardInquiry::parse(&bytes("inquiry-ibm-ultrium-hh9-pa63.hex")).unwrap();
    assert_eq!(inquiry.standards, [0x00a2, 0x0c28, 0x0460]);
}

#[test]
fn an_old_drive_has_one_designator_and_no_naa() {
    let bytes = bytes("vpd83-ibm-ultrium-td3.hex");
    let page = DeviceIdentification::parse(&bytes).unwrap();
    assert_eq!(
        page.0,
        [Designator::t10("IBM", "ULTRIUM-TD3", "1210173183")]
    );
    assert_eq!(page.unit_naa(), None);
    assert_eq!(page.encode(DeviceType::SequentialAccess), bytes);
}

#[test]
fn a_new_drive_has_naa_numbers_for_unit_and_port() {
    let file = "vpd-hpe-lto-sas-441.txt";
    says(
        file,
        "83h: LU NAA 51402ec00141d11e; port NAA 51402ec00141d11c; relative target port 1",
    );
    says(
        file,
        "supported: 00 80 83 85 86 87 88 90 B0 B1 B2 B3 B4 C0 C1 C2 C3 C4 C8",
    );
    let identification = DeviceIdentification(vec![
        Designator::naa(Association::LogicalUnit, 0x5140_2ec0_0141_d11e),
        Designator::naa(Association::TargetPort, 0x5140_2ec0_0141_d11c),
        Designator {
            association: Association::TargetPort,
            code_set: 1,
            kind: 4,
            value: vec![0, 0, 0, 1],
        },
    ]);
    let bytes = identification.encode(DeviceType::SequentialAccess);
    let again = DeviceIdentification::parse(&bytes).unwrap();
    assert_eq!(again, identification);
    assert_eq!(again.unit_naa(), Some(0x5140_2ec0_0141_d11e));
    let supported = [0x00, 0x80, 0x83, 0x85, 0x86, 0x87, 0x88, 0x90, 0xb0, 0xb1];
    let device_type = DeviceType::SequentialAccess;
    let bytes = VitalPage {
        device_type,
        code: page::SUPPORTED_PAGES,
        body: &supported,
    }
    .encode();
    assert_eq!(vpd::parse_supported_pages(&bytes).unwrap(), supported);
}

#[test]
fn a_librarys_own_pages_keep_their_bytes() {
    let pages = blocks("changer-vpd-ibm-3573-tl-650.hex");
    let codes = pages.iter().map(|bytes| {
        let page = VitalPage::parse(bytes).unwrap();
        assert_eq!(page.device_type, DeviceType::MediumChanger);
        assert_eq!(page.body.len() + 4, bytes.len());
        assert_eq!(&page.encode(), bytes);
        page.code
    });
    assert_eq!(codes.collect::<Vec<_>>(), [0xc0, 0xd0, 0xff]);
}
