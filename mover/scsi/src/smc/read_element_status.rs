//! READ ELEMENT STATUS (SMC-3 6.12): what lies where in a library.
//!
//! The answer is a header, then a page a kind of element, each with its own
//! descriptor length: libraries leave out the volume tags, the designator or
//! the reserved bytes, each in its own way, so nothing is assumed to be where
//! the lengths do not put it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use super::element::{Element, ElementType};
use super::opcode;
use crate::cdb::{bit, command, is_set};
use crate::spc::vpd::Designator;
use crate::wire::{ParseError, Reader, U16, U24, padded, text};

/// READ ELEMENT STATUS
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ReadElementStatus {
    opcode: u8,
    kind: u8,
    start: U16,
    count: U16,
    flags: u8,
    allocation_length: U24,
    reserved: u8,
    control: u8,
}
command!(
    ReadElementStatus,
    "READ ELEMENT STATUS",
    opcode::READ_ELEMENT_STATUS,
    12
);

impl ReadElementStatus {
    /// Asks for at most `count` elements with addresses from `start` on, of
    /// one kind or of all.
    ///
    /// # Panics
    /// If the allocation length needs more than 24 bits.
    pub fn new(
        kind: Option<ElementType>,
        start: u16,
        count: u16,
        allocation_length: u32,
    ) -> ReadElementStatus {
        ReadElementStatus {
            opcode: opcode::READ_ELEMENT_STATUS,
            kind: kind.map_or(0, ElementType::code),
            start: U16::new(start),
            count: U16::new(count),
            flags: 0,
            allocation_length: U24::new(allocation_length),
            reserved: 0,
            control: 0,
        }
    }

    /// The same, with volume tags (VOLTAG).
    pub fn with_volume_tags(mut self) -> ReadElementStatus {
        self.kind |= bit(4, true);
        self
    }

    /// The same, without moving anything to find out (CURDATA).
    pub fn without_motion(mut self) -> ReadElementStatus {
        self.flags |= bit(1, true);
        self
    }

    /// The same, with the drives' designators (DVCID).
    pub fn with_device_ids(mut self) -> ReadElementStatus {
        self.flags |= bit(0, true);
        self
    }

    /// ELEMENT TYPE CODE: `Ok(None)` for all.
    ///
    /// # Errors
    /// If it is none that is known.
    pub fn kind(&self) -> Result<Option<ElementType>, ParseError> {
        match self.kind & 0x0f {
            0 => Ok(None),
            code => ElementType::from_code(code)
                .map(Some)
                .ok_or(ParseError::Field {
                    what: "READ ELEMENT STATUS",
                    field: "ELEMENT TYPE CODE",
                    value: code.into(),
                }),
        }
    }

    /// STARTING ELEMENT ADDRESS
    pub fn start(&self) -> u16 {
        self.start.get()
    }

    /// NUMBER OF ELEMENTS
    pub fn count(&self) -> u16 {
        self.count.get()
    }

    /// VOLTAG
    pub fn wants_volume_tags(&self) -> bool {
        is_set(self.kind, 4)
    }

    /// CURDATA
    pub fn forbids_motion(&self) -> bool {
        is_set(self.flags, 1)
    }

    /// DVCID
    pub fn wants_device_ids(&self) -> bool {
        is_set(self.flags, 0)
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u32 {
        self.allocation_length.get()
    }
}

/// Bytes of a volume tag: 32 of identification, 2 reserved, 2 of sequence.
const TAG_BYTES: usize = 36;
const IDENTIFICATION_BYTES: usize = 32;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct StatusHeader {
    first: U16,
    count: U16,
    reserved: u8,
    byte_count: U24,
}
const _: () = assert!(size_of::<StatusHeader>() == 8);

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct PageHeader {
    kind: u8,
    flags: u8,
    descriptor_length: U16,
    reserved: u8,
    byte_count: U24,
}
const _: () = assert!(size_of::<PageHeader>() == 8);

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct DescriptorHeader {
    address: U16,
    flags: u8,
    reserved_3: u8,
    asc: u8,
    ascq: u8,
    reserved_6: [u8; 3],
    flags_9: u8,
    source: U16,
}
const _: () = assert!(size_of::<DescriptorHeader>() == 12);

/// The answer: the elements, in the order of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElementStatus(pub Vec<Element>);

impl ElementStatus {
    /// Reads the answer, as far as whole descriptors are there. Pages of kinds
    /// that do not exist are stepped over.
    ///
    /// # Errors
    /// If there is no header, or a page's descriptors are too short to be any.
    pub fn parse(bytes: &[u8]) -> Result<ElementStatus, ParseError> {
        let mut reader = Reader::new("READ ELEMENT STATUS", bytes);
        let header: StatusHeader = reader.pull()?;
        let report = reader.take_up_to(header.byte_count.get() as usize);
        let mut reader = Reader::new("element status page", report);
        let mut elements = Vec::new();
        while let Ok(page) = reader.pull::<PageHeader>() {
            let descriptors = reader.take_up_to(page.byte_count.get() as usize);
            let length = usize::from(page.descriptor_length.get());
            if length < size_of::<DescriptorHeader>() {
                if descriptors.is_empty() {
                    continue;
                }
                return Err(reader.field("ELEMENT DESCRIPTOR LENGTH", length as u64));
            }
            let Some(kind) = ElementType::from_code(page.kind) else {
                continue;
            };
            for descriptor in descriptors.chunks_exact(length) {
                elements.push(read_descriptor(kind, page.flags, descriptor)?);
            }
        }
        Ok(ElementStatus(elements))
    }

    /// How long the whole answer is, as the beginning of it says: what was cut
    /// off at the allocation length counts too. `None` without a header.
    pub fn bytes_available(bytes: &[u8]) -> Option<usize> {
        let (header, _) = StatusHeader::read_from_prefix(bytes).ok()?;
        Some(size_of::<StatusHeader>() + header.byte_count.get() as usize)
    }

    /// The bytes of the answer: a page for each run of elements of a kind.
    /// Tags and designators are in it as asked for; a designator only where a
    /// drive has one.
    pub fn encode(&self, volume_tags: bool, device_ids: bool) -> Vec<u8> {
        let mut pages = Vec::new();
        for run in self.0.chunk_by(|a, b| a.kind == b.kind) {
            pages.extend(encode_page(run, volume_tags, device_ids));
        }
        let first = self
            .0
            .iter()
            .map(|element| element.address)
            .min()
            .unwrap_or(0);
        let header = StatusHeader {
            first: U16::new(first),
            count: U16::new(self.0.len() as u16),
            reserved: 0,
            byte_count: U24::new((pages.len() as u32).min(crate::wire::U24_MAX)),
        };
        [header.as_bytes(), &pages].concat()
    }
}

/// Flags of a page: which tags its descriptors have.
const PVOLTAG: u8 = 7;
const AVOLTAG: u8 = 6;

fn read_descriptor(kind: ElementType, page: u8, bytes: &[u8]) -> Result<Element, ParseError> {
    let mut reader = Reader::new("element descriptor", bytes);
    let header: DescriptorHeader = reader.pull()?;
    let volume_tag = if is_set(page, PVOLTAG) {
        let tag = reader.take_up_to(TAG_BYTES);
        let name = text(&tag[..tag.len().min(IDENTIFICATION_BYTES)]);
        (!name.is_empty()).then_some(name)
    } else {
        None
    };
    if is_set(page, AVOLTAG) {
        reader.take_up_to(TAG_BYTES);
    }
    let device = Designator::read(&mut reader)
        .ok()
        .filter(|device| !device.value.is_empty());
    let is_mail_slot = kind == ElementType::ImportExport;
    Ok(Element {
        kind,
        address: header.address.get(),
        full: is_set(header.flags, 0),
        by_operator: is_mail_slot && is_set(header.flags, 1),
        accessible: kind != ElementType::Transport && is_set(header.flags, 3),
        exports: is_mail_slot && is_set(header.flags, 4),
        imports: is_mail_slot && is_set(header.flags, 5),
        exception: is_set(header.flags, 2).then_some((header.asc, header.ascq)),
        disabled: is_set(header.flags_9, 3),
        source: is_set(header.flags_9, 7).then(|| header.source.get()),
        volume_tag,
        device,
    })
}

fn encode_page(run: &[Element], volume_tags: bool, device_ids: bool) -> Vec<u8> {
    let device = |element: &Element| {
        let device = element.device.as_ref().filter(|_| device_ids);
        // Without a designator, four reserved bytes close a descriptor.
        device.map_or(vec![0; 4], Designator::encode)
    };
    let longest = run
        .iter()
        .map(|element| device(element).len())
        .max()
        .unwrap_or(0);
    let tags = if volume_tags { TAG_BYTES } else { 0 };
    let length = size_of::<DescriptorHeader>() + tags + longest;
    let mut descriptors = Vec::new();
    for element in run {
        let end = descriptors.len() + length;
        descriptors.extend(descriptor_header(element).as_bytes());
        if volume_tags {
            let tag = element.volume_tag.as_deref().unwrap_or_default();
            descriptors.extend(padded::<IDENTIFICATION_BYTES>(tag));
            descriptors.extend([0; TAG_BYTES - IDENTIFICATION_BYTES]);
        }
        descriptors.extend(device(element));
        descriptors.resize(end, 0);
    }
    let header = PageHeader {
        kind: run[0].kind.code(),
        flags: bit(PVOLTAG, volume_tags),
        descriptor_length: U16::new(length as u16),
        reserved: 0,
        byte_count: U24::new((descriptors.len() as u32).min(crate::wire::U24_MAX)),
    };
    [header.as_bytes(), &descriptors].concat()
}

fn descriptor_header(element: &Element) -> DescriptorHeader {
    let (asc, ascq) = element.exception.unwrap_or_default();
    DescriptorHeader {
        address: U16::new(element.address),
        flags: bit(0, element.full)
            | bit(1, element.by_operator)
            | bit(2, element.exception.is_some())
            | bit(3, element.accessible)
            | bit(4, element.exports)
            | bit(5, element.imports),
        reserved_3: 0,
        asc,
        ascq,
        reserved_6: [0; 3],
        flags_9: bit(7, element.source.is_some()) | bit(3, element.disabled),
        source: U16::new(element.source.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdb::Command;
    use crate::spc::vpd::Association;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let cdb = ReadElementStatus::new(Some(ElementType::DataTransfer), 0x1f4, 4, 0x00_0800)
            .with_volume_tags()
            .without_motion()
            .with_device_ids();
        assert_eq!(
            cdb.as_bytes(),
            [0xb8, 0x14, 1, 0xf4, 0, 4, 3, 0, 8, 0, 0, 0]
        );
        let cdb = ReadElementStatus::parse(cdb.as_bytes()).unwrap();
        assert!(cdb.wants_volume_tags() && cdb.forbids_motion() && cdb.wants_device_ids());
        assert_eq!(cdb.kind(), Ok(Some(ElementType::DataTransfer)));
        let cdb = ReadElementStatus::parse(&[0xb8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert!(cdb.kind().is_err());
    }

    #[test]
    fn a_full_slot_with_its_barcode() {
        let mut element = Element::new(ElementType::Storage, 0x1001);
        element.full = true;
        element.volume_tag = Some("LHS001L9".to_string());
        let bytes = ElementStatus(vec![element.clone()]).encode(true, false);
        assert_eq!(bytes[..8], [0x10, 1, 0, 1, 0, 0, 0, 60]);
        assert_eq!(bytes[8..16], [2, 0x80, 0, 52, 0, 0, 0, 52]);
        assert_eq!(bytes[16..20], [0x10, 1, 0b1001, 0]);
        assert_eq!(bytes[28..36], *b"LHS001L9");
        assert_eq!(ElementStatus::parse(&bytes).unwrap().0, [element]);
    }

    #[test]
    fn an_impossible_descriptor_length_is_an_error_and_an_unknown_kind_is_skipped() {
        let mut bytes =
            ElementStatus(vec![Element::new(ElementType::Storage, 1)]).encode(false, false);
        bytes[8] = 0x83;
        assert_eq!(ElementStatus::parse(&bytes).unwrap().0, []);
        bytes[10..12].copy_from_slice(&[0, 0]);
        assert!(ElementStatus::parse(&bytes).is_err());
    }

    prop_compose! {
        fn elements()(kind in 1..5u8, address: u16, flags: (bool, bool, bool, bool, bool),
                      exception: Option<(u8, u8)>, disabled: bool, source: Option<u16>,
                      volume_tag in proptest::option::of("[A-Z0-9]{1,32}"),
                      device in proptest::option::of("[A-Z0-9]{1,34}")) -> Element {
            let kind = ElementType::from_code(kind).unwrap();
            let is_mail_slot = kind == ElementType::ImportExport;
            let device = device.map(|serial| Designator {
                association: Association::LogicalUnit,
                code_set: 2,
                kind: 1,
                value: serial.into_bytes(),
            });
            Element {
                kind,
                address,
                full: flags.0,
                by_operator: is_mail_slot && flags.1,
                accessible: kind != ElementType::Transport && flags.2,
                exports: is_mail_slot && flags.3,
                imports: is_mail_slot && flags.4,
                exception,
                disabled,
                source,
                volume_tag,
                device,
            }
        }
    }

    proptest! {
        #[test]
        fn round_trip(elements in proptest::collection::vec(elements(), 0..12)) {
            let status = ElementStatus(elements);
            prop_assert_eq!(ElementStatus::parse(&status.encode(true, true)).unwrap(), status);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ElementStatus::parse(&bytes);
        }

        #[test]
        fn a_spoilt_answer_is_survived(elements in proptest::collection::vec(elements(), 1..4),
                                       at: prop::sample::Index, byte: u8, cut in 0..300usize) {
            let mut bytes = ElementStatus(elements).encode(true, true);
            let index = at.index(bytes.len());
            bytes[index] = byte;
            bytes.truncate(cut);
            let _ = ElementStatus::parse(&bytes);
        }
    }
}
