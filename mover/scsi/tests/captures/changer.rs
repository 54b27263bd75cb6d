//! Libraries.

use longhaul_scsi::smc::mode::{
    DeviceCapabilities, ElementAddressAssignment, Elements, Kinds, Moves, TransportGeometry,
};
use longhaul_scsi::smc::read_element_status::{ElementStatus, ElementType};
use longhaul_scsi::spc::mode::{ModePage, ModeParameters};
use longhaul_scsi::ssc::mode::{DataCompression, MediumPartition};
use longhaul_scsi::ssc::read_block_limits::BlockLimits;

use crate::capture::{blocks, says};

#[test]
fn elements_of_an_emulated_l80() {
    let blocks = blocks("res-mhvtl-stk-l80.hex");
    let parameters = ModeParameters::parse_6(&blocks[0]).unwrap();
    let page = parameters.fields::<ElementAddressAssignment>().unwrap();
    let elements = |first, count| Elements { first, count };
    assert_eq!(page.transport(), elements(1, 1));
    assert_eq!(page.storage(), elements(1000, 40));
    assert_eq!(page.import_export(), elements(10, 4));
    assert_eq!(page.data_transfer(), elements(500, 4));
    assert_eq!(parameters.encode_6(), blocks[0]);
}

#[test]
fn a_cut_element_status_gives_the_elements_that_are_whole() {
    let blocks = blocks("res-mhvtl-stk-l80.hex");
    assert_eq!(blocks[1].len(), 72);
    let status = ElementStatus::parse(&blocks[1]).unwrap();
    assert_eq!(status.0.len(), 1);
    let drive = &status.0[0];
    assert_eq!(
        (drive.kind, drive.address),
        (ElementType::DataTransfer, 500)
    );
    assert!(drive.accessible && !drive.full && drive.exception.is_none());
    assert_eq!(drive.volume_tag, None);
    let device = drive.device.as_ref().unwrap();
    assert_eq!(
        (device.code_set, device.kind, device.value.len()),
        (2, 1, 34)
    );
    assert_eq!(
        device.as_text().unwrap(),
        "STK     T10000B         XYZZY_B1"
    );
    // Made again, it differs only in what the header says of the four.
    assert_eq!(status.encode(false, true)[16..], blocks[1][16..66]);
}

#[test]
fn a_small_library_that_cannot_keep_volumes_in_its_hand() {
    let file = "changer-bdt-flexstor2-560.txt";
    says(
        file,
        "1Dh: transport 1, storage 23, import/export 1, drives 1 ; 1Eh: invertable no",
    );
    says(file, "1Fh: storable: DT, IE, ST (MT not)");
    let all_but_hand = Kinds::new(true, true, true, false);
    let mut capabilities = DeviceCapabilities::default();
    capabilities.stores = all_but_hand;
    capabilities.moves = Moves {
        transport: all_but_hand,
        storage: all_but_hand,
        import_export: Kinds::new(true, false, true, false),
        data_transfer: Kinds::new(false, true, true, false),
    };
    capabilities.exchanges = Moves {
        transport: Kinds::default(),
        storage: all_but_hand,
        import_export: all_but_hand,
        data_transfer: all_but_hand,
    };
    let parameters = ModeParameters {
        pages: vec![
            ModePage::new(&capabilities, false),
            ModePage::new(&TransportGeometry::default(), false),
        ],
        ..ModeParameters::default()
    };
    let again = ModeParameters::parse_6(&parameters.encode_6()).unwrap();
    assert_eq!(again.fields::<DeviceCapabilities>(), Some(capabilities));
    assert!(!again.fields::<TransportGeometry>().unwrap().rotates());
}

#[test]
fn the_drive_in_that_library() {
    let file = "changer-bdt-flexstor2-560.txt";
    says(file, "READ BLOCK LIMITS min 1 max 8388608");
    let limits = BlockLimits {
        granularity: 0,
        max_bytes: 8_388_608,
        min_bytes: 1,
    };
    assert_eq!(BlockLimits::parse(&limits.encode()), Ok(limits));
    says(file, "0Fh: DCE=1 DCC=1 DDE=1, algorithms FFh");
    says(
        file,
        "11h: max additional partitions 3, additional partitions defined 0",
    );
    let mut compression = DataCompression::default();
    compression.set_compresses(true);
    compression.set_can_compress(true);
    compression.set_decompresses(true);
    compression.set_compression_algorithm(0xff);
    compression.set_decompression_algorithm(0xff);
    let mut partitions = MediumPartition::default();
    partitions.max_additional = 3;
    let parameters = ModeParameters {
        pages: vec![
            ModePage::new(&compression, true),
            ModePage::new(&partitions, true),
        ],
        ..ModeParameters::default()
    };
    let again = ModeParameters::parse_10(&parameters.encode_10()).unwrap();
    assert_eq!(again.fields::<DataCompression>(), Some(compression));
    assert_eq!(again.fields::<MediumPartition>(), Some(partitions));
}
