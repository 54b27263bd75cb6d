//! Pages about the medium: compression, partitions, WORM.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{flag, page};
use crate::wire::{U16, U32};

/// Page 0Fh: Data Compression (SSC-5 8.5.2).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct DataCompression {
    flags_2: u8,
    flags_3: u8,
    compression_algorithm: U32,
    decompression_algorithm: U32,
    reserved: U32,
}
page!(DataCompression, 0x0f, 0x00, 14);

impl DataCompression {
    flag!(
        /// DCE: data is compressed when written.
        compresses, set_compresses, flags_2, 7
    );
    flag!(
        /// DCC: the drive can compress.
        can_compress, set_can_compress, flags_2, 6
    );
    flag!(
        /// DDE: data is decompressed when read.
        decompresses, set_decompresses, flags_3, 7
    );

    /// COMPRESSION ALGORITHM
    pub fn compression_algorithm(&self) -> u32 {
        self.compression_algorithm.get()
    }

    /// Sets COMPRESSION ALGORITHM.
    pub fn set_compression_algorithm(&mut self, algorithm: u32) {
        self.compression_algorithm = U32::new(algorithm);
    }

    /// DECOMPRESSION ALGORITHM
    pub fn decompression_algorithm(&self) -> u32 {
        self.decompression_algorithm.get()
    }

    /// Sets DECOMPRESSION ALGORITHM.
    pub fn set_decompression_algorithm(&mut self, algorithm: u32) {
        self.decompression_algorithm = U32::new(algorithm);
    }
}

/// Partitions whose sizes [`MediumPartition`] holds; LTO has four at most.
pub const PARTITIONS_MAX: usize = 4;

/// Page 11h: Medium Partition (SSC-5 8.5.4).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct MediumPartition {
    /// MAXIMUM ADDITIONAL PARTITIONS
    pub max_additional: u8,
    /// ADDITIONAL PARTITIONS DEFINED
    pub additional: u8,
    flags_4: u8,
    /// MEDIUM FORMAT RECOGNITION
    pub format_recognition: u8,
    kind: u8,
    reserved: u8,
    sizes: [U16; PARTITIONS_MAX],
}
page!(MediumPartition, 0x11, 0x00, 14);

impl MediumPartition {
    flag!(
        /// FDP: fixed data partitions.
        fixed, set_fixed, flags_4, 7
    );
    flag!(
        /// SDP: the device chooses the sizes.
        selected_by_device, set_selected_by_device, flags_4, 6
    );
    flag!(
        /// IDP: the initiator chooses the sizes.
        chosen_by_initiator, set_chosen_by_initiator, flags_4, 5
    );
    flag!(
        /// POFM: a FORMAT MEDIUM is needed to make the partitions.
        on_format_medium, set_on_format_medium, flags_4, 2
    );

    /// PSUM: 0 bytes, 1 kilobytes, 2 megabytes, 3 ten to PARTITION UNITS.
    pub fn unit(&self) -> u8 {
        self.flags_4 >> 3 & 0b11
    }

    /// Sets PSUM.
    pub fn set_unit(&mut self, unit: u8) {
        self.flags_4 = self.flags_4 & !(0b11 << 3) | (unit & 0b11) << 3;
    }

    /// PARTITION UNITS: the unit is 10 to the power of this, in bytes.
    pub fn unit_exponent(&self) -> u8 {
        self.kind & 0x0f
    }

    /// Sets PARTITION UNITS.
    pub fn set_unit_exponent(&mut self, exponent: u8) {
        self.kind = self.kind & 0xf0 | exponent & 0x0f;
    }

    /// PARTITION SIZE of each, in the unit; 0 where the page is too short.
    pub fn sizes(&self) -> [u16; PARTITIONS_MAX] {
        self.sizes.map(U16::get)
    }

    /// Sets the sizes.
    pub fn set_sizes(&mut self, sizes: [u16; PARTITIONS_MAX]) {
        self.sizes = sizes.map(U16::new);
    }
}

/// Page 1Dh: Medium Configuration (SSC-5 8.5.7).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct MediumConfiguration {
    flags_2: u8,
    reserved_3: u8,
    /// WORM MODE LABEL RESTRICTIONS: 0 none may be overwritten, 1 some
    /// format labels may, 2 all may.
    pub label_restrictions: u8,
    /// WORM MODE FILEMARKS RESTRICTIONS: 2 any may be overwritten that stand
    /// before end of data, 3 all but the one nearest the beginning.
    pub filemark_restrictions: u8,
    reserved_6: [u8; 26],
}
page!(MediumConfiguration, 0x1d, 0x00, 30);

impl MediumConfiguration {
    flag!(
        /// WORMM: the medium is write-once.
        worm, set_worm, flags_2, 0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut page = DataCompression::default();
        page.set_compresses(true);
        page.set_can_compress(true);
        page.set_decompresses(true);
        page.set_compression_algorithm(0xff);
        assert_eq!(page.as_bytes()[..6], [0xc0, 0x80, 0, 0, 0, 0xff]);
        let mut page = MediumPartition {
            max_additional: 3,
            ..Default::default()
        };
        page.set_unit(3);
        page.set_unit_exponent(9);
        page.set_chosen_by_initiator(true);
        page.set_sizes([1, 0xffff, 0, 0]);
        assert_eq!(
            page.as_bytes()[..10],
            [3, 0, 0x38, 0, 9, 0, 0, 1, 0xff, 0xff]
        );
        assert_eq!((page.unit(), page.unit_exponent()), (3, 9));
        let mut page = MediumConfiguration::default();
        page.set_worm(true);
        assert_eq!(page.as_bytes()[0], 1);
    }
}
