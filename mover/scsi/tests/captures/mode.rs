//! Mode pages.

use longhaul_scsi::spc::mode::{BlockDescriptor, ModePage, ModeParameters};
use longhaul_scsi::ssc::mode::{
    ControlDataProtection, DataCompression, DeviceConfigurationExtension, ProtectionMethod,
    WriteMode,
};

use crate::capture::{bytes, hex_lines, says};

#[test]
fn the_configuration_extension_of_an_ibm_drive() {
    let bytes = bytes("modesense10-10h-01h-ibm-ultrium-hh9.hex");
    let parameters = ModeParameters::parse_10(&bytes).unwrap();
    assert_eq!(parameters.medium_type, 0x88);
    assert!(!parameters.write_protected());
    assert_eq!(parameters.buffered_mode(), 1);
    let block = parameters.block_descriptor.unwrap();
    assert_eq!((block.density_code, block.block_bytes), (0x5e, 0));
    let extension = parameters.fields::<DeviceConfigurationExtension>().unwrap();
    assert_eq!(extension.write_mode(), WriteMode::Overwrite);
    assert_eq!(extension.short_erase_mode(), 2);
    assert_eq!(extension.early_warning_zone_mb(), 0xd6eb);
    assert!(parameters.pages[0].saveable);
    assert_eq!(parameters.encode_10(), bytes);
}

/// A page as MODE SENSE(10) wraps it, without block descriptor.
fn wrapped(page: &[u8]) -> ModePage {
    let parameters = ModeParameters::parse_10(&[&[0; 8], page].concat()).unwrap();
    assert_eq!(parameters.pages.len(), 1);
    assert_eq!(parameters.pages[0].encode(), page);
    parameters.pages.into_iter().next().unwrap()
}

#[test]
fn compression_and_protection_of_an_hp_drive() {
    let lines = hex_lines("modepages-hp-lto6-35gd.hex");
    let [compression, current, changeable] = [0, 1, 2].map(|line| wrapped(&lines[line]));
    let compression = compression.fields::<DataCompression>().unwrap();
    assert!(compression.compresses() && compression.can_compress());
    assert!(compression.decompresses());
    assert_eq!(compression.compression_algorithm(), 1);
    let current = current.fields::<ControlDataProtection>().unwrap();
    assert_eq!(current, ControlDataProtection::default());
    // The method, the length and two of the three switches can be changed.
    let mask = changeable.fields::<ControlDataProtection>().unwrap();
    assert_eq!(mask.method(), ProtectionMethod::Reserved(0xff));
    assert_eq!(mask.information_bytes(), 0x3f);
    assert!(mask.on_write() && mask.on_read() && !mask.on_recovered_data());
    assert!(!changeable.saveable);
    // This drive's page has four bytes where others have 28: what is set must
    // fit it.
    let mut page = wrapped(&lines[1]);
    let mut fields = current;
    fields.set_method(ProtectionMethod::Crc32c);
    fields.set_on_write(true);
    page.set_fields(&fields);
    assert_eq!(page.encode(), [0x4a, 0xf0, 0, 4, 2, 4, 0x80, 0]);
}

#[test]
fn the_header_of_a_write_protected_lto_8_cartridge() {
    let file = "modesense10-header-ibm-ult3580-hh8.txt";
    says(
        file,
        "medium type 88h, device specific 90h (WP=1, buffered mode 1)",
    );
    says(file, "5e 00 00 00 00 00 00 00");
    says(file, "# empty drive: medium type 00, device specific 10h");
    let mut parameters = ModeParameters {
        medium_type: 0x88,
        ..ModeParameters::default()
    };
    parameters.set_write_protected(true);
    parameters.set_buffered_mode(1);
    parameters.block_descriptor = Some(BlockDescriptor {
        density_code: 0x5e,
        ..Default::default()
    });
    let bytes = parameters.encode_10();
    assert_eq!(
        bytes[2..],
        [0x88, 0x90, 0, 0, 0, 8, 0x5e, 0, 0, 0, 0, 0, 0, 0]
    );
    parameters.set_write_protected(false);
    assert_eq!(parameters.device_specific, 0x10);
}
