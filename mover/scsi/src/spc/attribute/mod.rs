//! READ ATTRIBUTE and WRITE ATTRIBUTE (SPC-5 6.18, 6.49, 7.4): what the chip in
//! a cartridge says, the medium auxiliary memory (MAM).

pub mod id;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::wire::{ParseError, Reader, U16, U32, number, padded, text};

/// What READ ATTRIBUTE asks for (SERVICE ACTION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeAction {
    /// 00h: attributes with their values.
    Values,
    /// 01h: the identifiers of those that are there.
    List,
    /// 02h: logical volumes.
    Volumes,
    /// 03h: partitions.
    Partitions,
    /// 05h: identifiers that the device supports.
    Supported,
}

/// READ ATTRIBUTE
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReadAttribute {
    opcode: u8,
    service_action: u8,
    restricted: [u8; 3],
    volume: u8,
    reserved: u8,
    partition: u8,
    first: U16,
    allocation_length: U32,
    flags: u8,
    control: u8,
}
command!(ReadAttribute, "READ ATTRIBUTE", opcode::READ_ATTRIBUTE, 16);

impl ReadAttribute {
    /// Asks for the attributes of a partition with identifiers from `first`
    /// on, in rising order.
    pub fn new(
        action: AttributeAction,
        partition: u8,
        first: u16,
        allocation_length: u32,
    ) -> ReadAttribute {
        let service_action = match action {
            AttributeAction::Values => 0x00,
            AttributeAction::List => 0x01,
            AttributeAction::Volumes => 0x02,
            AttributeAction::Partitions => 0x03,
            AttributeAction::Supported => 0x05,
        };
        ReadAttribute {
            opcode: opcode::READ_ATTRIBUTE,
            service_action,
            restricted: [0; 3],
            volume: 0,
            reserved: 0,
            partition,
            first: U16::new(first),
            allocation_length: U32::new(allocation_length),
            flags: 0,
            control: 0,
        }
    }

    /// SERVICE ACTION; `None` for one that is not known.
    pub fn action(&self) -> Option<AttributeAction> {
        match self.service_action & 0x1f {
            0x00 => Some(AttributeAction::Values),
            0x01 => Some(AttributeAction::List),
            0x02 => Some(AttributeAction::Volumes),
            0x03 => Some(AttributeAction::Partitions),
            0x05 => Some(AttributeAction::Supported),
            _ => None,
        }
    }

    /// PARTITION NUMBER
    pub fn partition(&self) -> u8 {
        self.partition
    }

    /// FIRST ATTRIBUTE IDENTIFIER
    pub fn first(&self) -> u16 {
        self.first.get()
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u32 {
        self.allocation_length.get()
    }
}

/// WRITE ATTRIBUTE
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct WriteAttribute {
    opcode: u8,
    flags: u8,
    restricted: [u8; 3],
    volume: u8,
    reserved_6: u8,
    partition: u8,
    reserved_8: [u8; 2],
    parameter_list_length: U32,
    reserved_14: u8,
    control: u8,
}
command!(
    WriteAttribute,
    "WRITE ATTRIBUTE",
    opcode::WRITE_ATTRIBUTE,
    16
);

impl WriteAttribute {
    /// Sends that many bytes of [`Attributes`] for a partition; ends when
    /// they are in the chip (WTC=1).
    pub fn new(partition: u8, parameter_list_length: u32) -> WriteAttribute {
        WriteAttribute {
            opcode: opcode::WRITE_ATTRIBUTE,
            flags: bit(0, true),
            restricted: [0; 3],
            volume: 0,
            reserved_6: 0,
            partition,
            reserved_8: [0; 2],
            parameter_list_length: U32::new(parameter_list_length),
            reserved_14: 0,
            control: 0,
        }
    }

    /// WTC: write through the cache.
    pub fn writes_through(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// PARTITION NUMBER
    pub fn partition(&self) -> u8 {
        self.partition
    }

    /// PARAMETER LIST LENGTH in bytes.
    pub fn parameter_list_length(&self) -> u32 {
        self.parameter_list_length.get()
    }
}

/// How an attribute's value is to be read (FORMAT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeFormat {
    /// 00b
    Binary,
    /// 01b
    Ascii,
    /// 10b: in the encoding of attribute 0805h.
    Text,
    /// 11b
    Reserved,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// ATTRIBUTE IDENTIFIER, see [`id`].
    pub id: u16,
    /// READ ONLY
    pub read_only: bool,
    /// FORMAT
    pub format: AttributeFormat,
    /// The value. In a WRITE ATTRIBUTE, an empty one removes the attribute.
    pub value: Vec<u8>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct AttributeHeader {
    id: U16,
    flags: u8,
    length: U16,
}
const _: () = assert!(size_of::<AttributeHeader>() == 5);

impl Attribute {
    /// An ASCII attribute that hosts may write, padded with spaces to
    /// `BYTES`.
    pub fn ascii<const BYTES: usize>(id: u16, value: &str) -> Attribute {
        let value = padded::<BYTES>(value).to_vec();
        Attribute {
            id,
            read_only: false,
            format: AttributeFormat::Ascii,
            value,
        }
    }

    /// A TEXT attribute that hosts may write, padded with NULs to `BYTES`, and
    /// cut there at a character's end.
    pub fn text<const BYTES: usize>(id: u16, value: &str) -> Attribute {
        let end = (0..=BYTES.min(value.len()))
            .rev()
            .find(|&end| value.is_char_boundary(end));
        let mut value = value.as_bytes()[..end.unwrap_or(0)].to_vec();
        value.resize(BYTES, 0);
        Attribute {
            id,
            read_only: false,
            format: AttributeFormat::Text,
            value,
        }
    }

    /// A number, as devices give them.
    pub fn number<const BYTES: usize>(id: u16, value: u64) -> Attribute {
        let bytes = value.to_be_bytes();
        let value = [
            vec![0; BYTES.saturating_sub(8)],
            bytes[8 - BYTES.min(8)..].to_vec(),
        ]
        .concat();
        Attribute {
            id,
            read_only: true,
            format: AttributeFormat::Binary,
            value,
        }
    }

    /// The value as a number; `None` where it is none, or all bits are set,
    /// which drives send for "unknown".
    pub fn as_number(&self) -> Option<u64> {
        let known = self.value.is_empty() || self.value.iter().any(|&byte| byte != 0xff);
        (self.format == AttributeFormat::Binary && known).then(|| number(&self.value))?
    }

    /// The value as text, without padding. TEXT that is UTF-8 stays so, but
    /// for control characters.
    pub fn as_text(&self) -> String {
        match (self.format, std::str::from_utf8(&self.value)) {
            (AttributeFormat::Text, Ok(value)) => value
                .trim_matches(['\0', ' '])
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect(),
            _ => text(&self.value),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Attribute, ParseError> {
        let header: AttributeHeader = reader.pull()?;
        let format = match header.flags & 0b11 {
            0b00 => AttributeFormat::Binary,
            0b01 => AttributeFormat::Ascii,
            0b10 => AttributeFormat::Text,
            _ => AttributeFormat::Reserved,
        };
        Ok(Attribute {
            id: header.id.get(),
            read_only: is_set(header.flags, 7),
            format,
            value: reader.take(header.length.get().into())?.to_vec(),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let format = match self.format {
            AttributeFormat::Binary => 0b00,
            AttributeFormat::Ascii => 0b01,
            AttributeFormat::Text => 0b10,
            AttributeFormat::Reserved => 0b11,
        };
        let value = &self.value[..self.value.len().min(0xffff)];
        let header = AttributeHeader {
            id: U16::new(self.id),
            flags: bit(7, self.read_only) | format,
            length: U16::new(value.len() as u16),
        };
        [header.as_bytes(), value].concat()
    }
}

/// Attributes with values: READ ATTRIBUTE's answer to
/// [`AttributeAction::Values`], and WRITE ATTRIBUTE's parameter list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(pub Vec<Attribute>);

impl Attributes {
    /// Reads them, as far as whole attributes are there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<Attributes, ParseError> {
        let mut reader = Reader::new("READ ATTRIBUTE", bytes);
        let length = reader.pull::<U32>()?.get();
        let list = reader.take_up_to(length.try_into().unwrap_or(usize::MAX));
        let mut reader = Reader::new("attribute", list);
        let mut attributes = Vec::new();
        while let Ok(attribute) = Attribute::read(&mut reader) {
            attributes.push(attribute);
        }
        Ok(Attributes(attributes))
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let list = self
            .0
            .iter()
            .flat_map(Attribute::encode)
            .collect::<Vec<_>>();
        [&(list.len() as u32).to_be_bytes(), &*list].concat()
    }

    /// The attribute of that identifier.
    pub fn find(&self, id: u16) -> Option<&Attribute> {
        self.0.iter().find(|attribute| attribute.id == id)
    }
}

/// Identifiers alone: the answer to [`AttributeAction::List`] and
/// [`AttributeAction::Supported`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttributeIds(pub Vec<u16>);

impl AttributeIds {
    /// Reads the answer, as far as it is there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse(bytes: &[u8]) -> Result<AttributeIds, ParseError> {
        let mut reader = Reader::new("READ ATTRIBUTE", bytes);
        let length = reader.pull::<U32>()?.get();
        let list = reader.take_up_to(length.try_into().unwrap_or(usize::MAX));
        let ids = list
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        Ok(AttributeIds(ids.collect()))
    }

    /// The bytes of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let list = self
            .0
            .iter()
            .flat_map(|id| id.to_be_bytes())
            .collect::<Vec<_>>();
        [&(list.len() as u32).to_be_bytes(), &*list].concat()
    }
}

/// The answer to [`AttributeAction::Partitions`]: first number, and how many.
///
/// # Errors
/// If it is cut.
pub fn parse_partitions(bytes: &[u8]) -> Result<(u8, u8), ParseError> {
    let mut reader = Reader::new("READ ATTRIBUTE, partition list", bytes);
    reader.take(2)?;
    Ok((reader.pull()?, reader.pull()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let cdb = ReadAttribute::new(AttributeAction::Values, 1, id::BARCODE, 0x200);
        let bytes = [0x8c, 0, 0, 0, 0, 0, 0, 1, 8, 6, 0, 0, 2, 0, 0, 0];
        assert_eq!(cdb.as_bytes(), bytes);
        let cdb = WriteAttribute::new(0, 41);
        assert_eq!(
            cdb.as_bytes(),
            [0x8d, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0]
        );
        let list = Attributes(vec![Attribute::ascii::<8>(
            id::APPLICATION_VENDOR,
            "LONGHAUL",
        )]);
        let bytes = list.encode();
        assert_eq!(bytes[..9], [0, 0, 0, 13, 8, 0, 1, 0, 8]);
        assert_eq!(bytes[9..], *b"LONGHAUL");
        assert_eq!(parse_partitions(&[0, 2, 0, 4]), Ok((0, 4)));
    }

    #[test]
    fn values_come_back_without_padding() {
        let label = Attribute::text::<6>(id::USER_MEDIUM_TEXT_LABEL, "Bänder");
        assert_eq!(label.as_text(), "Bände");
        assert_eq!(Attribute::text::<2>(0x803, "aä").as_text(), "a");
        let count = Attribute::number::<8>(id::LOAD_COUNT, 13);
        assert_eq!((count.value.len(), count.as_number()), (8, Some(13)));
        assert_eq!(
            Attribute::number::<1>(id::FORMATTED_DENSITY_CODE, 0x5a).value,
            [0x5a]
        );
        let unknown = Attribute::number::<8>(id::FIRST_ENCRYPTED_BLOCK, u64::MAX);
        assert_eq!(unknown.as_number(), None);
    }

    prop_compose! {
        fn attributes()(id: u16, read_only: bool, format in 0..4usize,
                        value in proptest::collection::vec(any::<u8>(), 0..40)) -> Attribute {
            let format = [
                AttributeFormat::Binary,
                AttributeFormat::Ascii,
                AttributeFormat::Text,
                AttributeFormat::Reserved,
            ][format];
            Attribute { id, read_only, format, value }
        }
    }

    proptest! {
        #[test]
        fn round_trips(list in proptest::collection::vec(attributes(), 0..6), ids: Vec<u16>) {
            let list = Attributes(list);
            prop_assert_eq!(&Attributes::parse(&list.encode()).unwrap(), &list);
            let ids = AttributeIds(ids);
            prop_assert_eq!(&AttributeIds::parse(&ids.encode()).unwrap(), &ids);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(Attributes(list)) = Attributes::parse(&bytes) {
                for attribute in list {
                    let _ = (attribute.as_number(), attribute.as_text());
                }
            }
            let _ = AttributeIds::parse(&bytes);
            let _ = parse_partitions(&bytes);
        }
    }
}
