//! Who the drive is (SSC-5 8.6). How INQUIRY tells it is in
//! [`spc::inquiry`](crate::spc::inquiry).

use super::PRODUCT;
use crate::spc::inquiry::{Identity, serial};

/// PERIPHERAL DEVICE TYPE of a sequential-access device.
const SEQUENTIAL_ACCESS: u8 = 0x01;
/// Version descriptor of SSC-4.
const SSC_4: u16 = 0x0520;

pub(super) fn identity(text: &str) -> Identity {
    let serial = serial(text);
    let pages = vec![
        (0x86, extended().to_vec()),
        // WORM capable: no.
        (0xb0, vec![0, 0]),
        // MANUFACTURER-ASSIGNED SERIAL NUMBER.
        (0xb1, serial.clone().into_bytes()),
    ];
    Identity {
        device_type: SEQUENTIAL_ACCESS,
        product: PRODUCT,
        serial,
        standard: SSC_4,
        protects: true,
        vendor_specific: [0; 20],
        pages,
    }
}

/// Extended INQUIRY data (SPC-5 7.7.7): SPT is 001b, so logical block
/// protection can be switched on (SSC-5 4.2.29).
fn extended() -> [u8; 60] {
    const SPT: u8 = 0b001 << 3;
    let mut page = [0; 60];
    page[0] = SPT;
    page
}
