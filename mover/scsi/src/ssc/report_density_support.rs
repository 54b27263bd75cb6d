//! REPORT DENSITY SUPPORT (SSC-5 7.18): which recording formats and which kinds
//! of medium the drive handles.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, U24, U32, padded, text};

/// REPORT DENSITY SUPPORT
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReportDensitySupport {
    opcode: u8,
    flags: u8,
    reserved: [u8; 5],
    allocation_length: U16,
    control: u8,
}
command!(
    ReportDensitySupport,
    "REPORT DENSITY SUPPORT",
    opcode::REPORT_DENSITY_SUPPORT,
    10
);

impl ReportDensitySupport {
    /// Asks for the densities of the drive, or, with `media`, of the medium
    /// that is loaded.
    pub fn densities(media: bool, allocation_length: u16) -> ReportDensitySupport {
        ReportDensitySupport {
            opcode: opcode::REPORT_DENSITY_SUPPORT,
            flags: bit(0, media),
            reserved: [0; 5],
            allocation_length: U16::new(allocation_length),
            control: 0,
        }
    }

    /// Asks for the medium types of the drive, or of the medium loaded.
    pub fn medium_types(media: bool, allocation_length: u16) -> ReportDensitySupport {
        let flags = bit(0, media) | bit(1, true);
        ReportDensitySupport {
            flags,
            ..Self::densities(media, allocation_length)
        }
    }

    /// MEDIUM TYPE: medium types, not densities.
    pub fn asks_for_medium_types(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// MEDIA: of the loaded medium only.
    pub fn of_loaded_medium(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u16 {
        self.allocation_length.get()
    }
}

/// Bytes of a density descriptor, and of a medium type descriptor without its
/// density codes.
pub const DESCRIPTOR_BYTES: usize = 52;
const HEADER_BYTES: usize = 4;
/// Density codes that fit a medium type descriptor (SSC-5: nine bytes).
pub const MEDIUM_DENSITIES_MAX: usize = 9;

/// One recording format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Density {
    /// PRIMARY DENSITY CODE (LTO-5: 58h, LTO-9: 60h).
    pub primary_code: u8,
    /// SECONDARY DENSITY CODE
    pub secondary_code: u8,
    /// WRTOK: the drive can write it.
    pub writable: bool,
    /// DUP: the code occurs in another descriptor too.
    pub duplicate: bool,
    /// DEFLT: the format used when nothing is asked for.
    pub default: bool,
    /// BITS PER MM
    pub bits_per_mm: u32,
    /// MEDIA WIDTH in tenths of a millimetre.
    pub width_tenth_mm: u16,
    /// TRACKS
    pub tracks: u16,
    /// CAPACITY in 10⁶ bytes: nominal, or of the loaded medium.
    pub capacity_mb: u32,
    /// ASSIGNING ORGANIZATION
    pub organization: String,
    /// DENSITY NAME
    pub name: String,
    /// DESCRIPTION
    pub description: String,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct DensityWire {
    primary_code: u8,
    secondary_code: u8,
    flags: u8,
    descriptor_length: U16,
    bits_per_mm: U24,
    width: U16,
    tracks: U16,
    capacity: U32,
    organization: [u8; 8],
    name: [u8; 8],
    description: [u8; 20],
}
const _: () = assert!(size_of::<DensityWire>() == DESCRIPTOR_BYTES);

impl Density {
    fn from_wire(wire: &DensityWire) -> Density {
        Density {
            primary_code: wire.primary_code,
            secondary_code: wire.secondary_code,
            writable: is_set(wire.flags, 7),
            duplicate: is_set(wire.flags, 6),
            default: is_set(wire.flags, 5),
            bits_per_mm: wire.bits_per_mm.get(),
            width_tenth_mm: wire.width.get(),
            tracks: wire.tracks.get(),
            capacity_mb: wire.capacity.get(),
            organization: text(&wire.organization),
            name: text(&wire.name),
            description: text(&wire.description),
        }
    }

    fn wire(&self) -> DensityWire {
        DensityWire {
            primary_code: self.primary_code,
            secondary_code: self.secondary_code,
            flags: bit(7, self.writable) | bit(6, self.duplicate) | bit(5, self.default),
            descriptor_length: U16::new(0),
            bits_per_mm: U24::new(self.bits_per_mm & crate::wire::U24_MAX),
            width: U16::new(self.width_tenth_mm),
            tracks: U16::new(self.tracks),
            capacity: U32::new(self.capacity_mb),
            organization: padded(&self.organization),
            name: padded(&self.name),
            description: padded(&self.description),
        }
    }
}

/// The answer to [`ReportDensitySupport::densities`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Densities(pub Vec<Density>);

impl Densities {
    /// Reads the answer, as far as whole descriptors are there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<Densities, ParseError> {
        let mut reader = Reader::new("REPORT DENSITY SUPPORT", bytes);
        let mut list = list(&mut reader)?;
        let mut densities = Vec::new();
        while let Ok(wire) = list.pull::<DensityWire>() {
            densities.push(Density::from_wire(&wire));
            // DLV (bit 4): the descriptor's real length is in it, and counts
            // from behind the length field.
            let longer = usize::from(wire.descriptor_length.get()) + 5;
            if is_set(wire.flags, 4) {
                list.take_up_to(longer.saturating_sub(DESCRIPTOR_BYTES));
            }
        }
        Ok(Densities(densities))
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let wires = self.0.iter().map(Density::wire);
        with_header(wires.flat_map(|wire| wire.as_bytes().to_vec()).collect())
    }
}

/// One kind of medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumType {
    /// MEDIUM TYPE, as the mode parameter header has it.
    pub code: u8,
    /// PRIMARY DENSITY CODES, at most nine.
    pub densities: Vec<u8>,
    /// MEDIA WIDTH in tenths of a millimetre.
    pub width_tenth_mm: u16,
    /// MEDIUM LENGTH in metres.
    pub length_m: u16,
    /// ASSIGNING ORGANIZATION
    pub organization: String,
    /// MEDIUM TYPE NAME
    pub name: String,
    /// DESCRIPTION
    pub description: String,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct MediumTypeWire {
    code: u8,
    reserved_1: u8,
    descriptor_length: U16,
    density_count: u8,
    densities: [u8; MEDIUM_DENSITIES_MAX],
    width: U16,
    length: U16,
    reserved_18: [u8; 2],
    organization: [u8; 8],
    name: [u8; 8],
    description: [u8; 20],
}
const _: () = assert!(size_of::<MediumTypeWire>() == 56);
const MEDIUM_TYPE_HEADER_BYTES: usize = 4;

impl MediumType {
    fn from_wire(wire: &MediumTypeWire) -> MediumType {
        let count = usize::from(wire.density_count).min(MEDIUM_DENSITIES_MAX);
        MediumType {
            code: wire.code,
            densities: wire.densities[..count].to_vec(),
            width_tenth_mm: wire.width.get(),
            length_m: wire.length.get(),
            organization: text(&wire.organization),
            name: text(&wire.name),
            description: text(&wire.description),
        }
    }

    fn wire(&self) -> MediumTypeWire {
        let count = self.densities.len().min(MEDIUM_DENSITIES_MAX);
        let mut densities = [0; MEDIUM_DENSITIES_MAX];
        densities[..count].copy_from_slice(&self.densities[..count]);
        MediumTypeWire {
            code: self.code,
            reserved_1: 0,
            descriptor_length: U16::new(DESCRIPTOR_BYTES as u16),
            density_count: count as u8,
            densities,
            width: U16::new(self.width_tenth_mm),
            length: U16::new(self.length_m),
            reserved_18: [0; 2],
            organization: padded(&self.organization),
            name: padded(&self.name),
            description: padded(&self.description),
        }
    }
}

/// The answer to [`ReportDensitySupport::medium_types`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediumTypes(pub Vec<MediumType>);

impl MediumTypes {
    /// Reads the answer, as far as whole descriptors are there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<MediumTypes, ParseError> {
        let mut reader = Reader::new("REPORT DENSITY SUPPORT", bytes);
        let mut list = list(&mut reader)?;
        let mut types = Vec::new();
        while let Ok(wire) = list.pull::<MediumTypeWire>() {
            types.push(MediumType::from_wire(&wire));
            let length = usize::from(wire.descriptor_length.get()) + MEDIUM_TYPE_HEADER_BYTES;
            list.take_up_to(length.saturating_sub(size_of::<MediumTypeWire>()));
        }
        Ok(MediumTypes(types))
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let wires = self.0.iter().map(MediumType::wire);
        with_header(wires.flat_map(|wire| wire.as_bytes().to_vec()).collect())
    }
}

/// AVAILABLE DENSITY SUPPORT LENGTH counts what follows itself, the two
/// reserved bytes included.
fn list<'a>(reader: &mut Reader<'a>) -> Result<Reader<'a>, ParseError> {
    let length = usize::from(reader.pull::<U16>()?.get());
    reader.take(HEADER_BYTES - 2)?;
    let list = reader.take_up_to(length.saturating_sub(HEADER_BYTES - 2));
    Ok(Reader::new("REPORT DENSITY SUPPORT descriptor", list))
}

fn with_header(descriptors: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(descriptors.len() + HEADER_BYTES - 2).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend([0; HEADER_BYTES - 2]);
    bytes.extend(descriptors);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn densities()(codes: (u8, u8), flags: (bool, bool, bool), bits_per_mm in 0..1u32 << 24,
                       width_tenth_mm: u16, tracks: u16, capacity_mb: u32,
                       texts in ("[A-Z]{0,8}", "[A-Z]{0,8}", "[A-Z]{0,20}")) -> Density {
            Density {
                primary_code: codes.0,
                secondary_code: codes.1,
                writable: flags.0,
                duplicate: flags.1,
                default: flags.2,
                bits_per_mm,
                width_tenth_mm,
                tracks,
                capacity_mb,
                organization: texts.0,
                name: texts.1,
                description: texts.2,
            }
        }
    }

    prop_compose! {
        fn medium_types()(code: u8, densities in proptest::collection::vec(any::<u8>(), 0..=9),
                          width_tenth_mm: u16, length_m: u16,
                          texts in ("[A-Z]{0,8}", "[A-Z]{0,8}", "[A-Z]{0,20}")) -> MediumType {
            MediumType {
                code,
                densities,
                width_tenth_mm,
                length_m,
                organization: texts.0,
                name: texts.1,
                description: texts.2,
            }
        }
    }

    proptest! {
        #[test]
        fn round_trips(some in proptest::collection::vec(densities(), 0..5),
                       types in proptest::collection::vec(medium_types(), 0..5)) {
            let some = Densities(some);
            prop_assert_eq!(&Densities::parse(&some.encode()).unwrap(), &some);
            let types = MediumTypes(types);
            prop_assert_eq!(&MediumTypes::parse(&types.encode()).unwrap(), &types);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Densities::parse(&bytes);
            let _ = MediumTypes::parse(&bytes);
        }
    }
}
