//! Who the changer is. How INQUIRY tells it is in
//! [`spc::inquiry`](crate::spc::inquiry).

use crate::spc::inquiry::{Identity, serial};

/// PRODUCT IDENTIFICATION.
pub const PRODUCT: &str = "VTAPE-LIBRARY";

/// PERIPHERAL DEVICE TYPE of a medium changer.
const MEDIUM_CHANGER: u8 = 0x08;
/// Version descriptor of SMC-3.
const SMC_3: u16 = 0x0480;
/// Byte 55 of the standard data, counted from byte 36: there is a bar code
/// reader, as many libraries say it here.
const BARCODE_READER_BYTE: usize = 55 - 36;
const BARCODE_READER: u8 = 0x01;

pub(super) fn identity(text: &str) -> Identity {
    let mut vendor_specific = [0; 20];
    vendor_specific[BARCODE_READER_BYTE] = BARCODE_READER;
    Identity {
        protects: false,
        device_type: MEDIUM_CHANGER,
        product: PRODUCT,
        serial: serial(text),
        standard: SMC_3,
        vendor_specific,
        pages: Vec::new(),
    }
}
