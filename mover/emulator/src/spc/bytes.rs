//! Big-endian numbers out of CDBs and parameter data. The drive reads them
//! with eyes of its own, not through the structures that the initiator builds
//! them with: a field at the wrong place must not cancel itself out.
//!
//! The callers have checked the lengths.

pub(crate) fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

pub(crate) fn be24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

pub(crate) fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

pub(crate) fn be64(bytes: &[u8]) -> u64 {
    u64::from(be32(bytes)) << 32 | u64::from(be32(&bytes[4..]))
}

/// A 24-bit number in two's complement.
pub(crate) fn signed24(bytes: &[u8]) -> i64 {
    i64::from((be24(bytes) << 8) as i32 >> 8)
}

/// Text, padded with spaces or cut.
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian() {
        assert_eq!(be24(&[1, 2, 3]), 0x01_0203);
        assert_eq!(be64(&[0, 0, 0, 1, 0, 0, 0, 2]), 0x1_0000_0002);
        assert_eq!(signed24(&[0xff, 0xff, 0xfe]), -2);
        assert_eq!(signed24(&[0x7f, 0xff, 0xff]), 0x7f_ffff);
        assert_eq!(&padded::<4>("ab"), b"ab  ");
        assert_eq!(&padded::<2>("abc"), b"ab");
    }
}
