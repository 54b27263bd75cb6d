//! The mode parameter list: header, block descriptor, pages.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{bit, is_set};
use crate::wire::{ParseError, Reader, U16, U24, U24_MAX};

/// The fields of a mode page, as they lie behind its header.
///
/// All bytes zero must be a valid page, since a device may send a shorter one.
pub trait Page: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned {
    /// PAGE CODE
    const CODE: u8;
    /// SUBPAGE CODE; 0 for a page without.
    const SUBPAGE: u8;
}

/// A mode page as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModePage {
    /// PS: can be saved. Must be 0 in a MODE SELECT.
    pub saveable: bool,
    /// PAGE CODE
    pub code: u8,
    /// SUBPAGE CODE; 0 for a page without.
    pub subpage: u8,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// A page without subpages holds 255 bytes; those with are kept short too.
const BODY_BYTES_MAX: usize = 0xffff;

impl ModePage {
    /// A page of those fields.
    pub fn new<P: Page>(fields: &P, saveable: bool) -> ModePage {
        let body = fields.as_bytes().to_vec();
        ModePage {
            saveable,
            code: P::CODE,
            subpage: P::SUBPAGE,
            body,
        }
    }

    /// Its fields, if it is a page of that type; those that it is too short
    /// for are zero.
    pub fn fields<P: Page>(&self) -> Option<P> {
        if (self.code, self.subpage) != (P::CODE, P::SUBPAGE) {
            return None;
        }
        let mut fields = P::new_zeroed();
        for (field, byte) in fields.as_mut_bytes().iter_mut().zip(&self.body) {
            *field = *byte;
        }
        Some(fields)
    }

    /// Replaces its fields, and keeps whatever the type does not know; fields
    /// that the page is too short for are dropped.
    pub fn set_fields<P: Page>(&mut self, fields: &P) {
        for (byte, field) in self.body.iter_mut().zip(fields.as_bytes()) {
            *byte = *field;
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<ModePage, ParseError> {
        let first: u8 = reader.pull()?;
        let (subpage, length) = if is_set(first, 6) {
            (reader.pull()?, reader.pull::<U16>()?.get().into())
        } else {
            (0, usize::from(reader.pull::<u8>()?))
        };
        let body = reader.take_up_to(length).to_vec();
        Ok(ModePage {
            saveable: is_set(first, 7),
            code: first & 0x3f,
            subpage,
            body,
        })
    }

    /// The page's bytes, header included. A body is cut at 255 bytes (65,535
    /// with a subpage), since its length could not say more.
    pub fn encode(&self) -> Vec<u8> {
        let first = bit(7, self.saveable) | self.code & 0x3f;
        if self.subpage == 0 {
            let body = &self.body[..self.body.len().min(0xff)];
            return [&[first, body.len() as u8], body].concat();
        }
        let body = &self.body[..self.body.len().min(BODY_BYTES_MAX)];
        let [high, low] = (body.len() as u16).to_be_bytes();
        [&[first | bit(6, true), self.subpage, high, low], body].concat()
    }
}

/// The general mode block descriptor of a sequential-access device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockDescriptor {
    /// DENSITY CODE
    pub density_code: u8,
    /// NUMBER OF LOGICAL BLOCKS; 0 for all of the medium.
    pub blocks: u32,
    /// BLOCK LENGTH in bytes; 0 for variable.
    pub block_bytes: u32,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct BlockDescriptorWire {
    density_code: u8,
    blocks: U24,
    reserved: u8,
    block_length: U24,
}
const _: () = assert!(size_of::<BlockDescriptorWire>() == 8);

impl BlockDescriptor {
    fn from_wire(wire: &BlockDescriptorWire) -> BlockDescriptor {
        BlockDescriptor {
            density_code: wire.density_code,
            blocks: wire.blocks.get(),
            block_bytes: wire.block_length.get(),
        }
    }

    fn wire(&self) -> BlockDescriptorWire {
        BlockDescriptorWire {
            density_code: self.density_code,
            blocks: U24::new(self.blocks & U24_MAX),
            reserved: 0,
            block_length: U24::new(self.block_bytes & U24_MAX),
        }
    }
}

/// Header, block descriptor and pages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModeParameters {
    /// MEDIUM TYPE: what is loaded, in the vendor's numbers.
    pub medium_type: u8,
    /// The device-specific parameter. Of a tape drive: WP (bit 7), BUFFERED
    /// MODE (6 to 4), SPEED (3 to 0).
    pub device_specific: u8,
    /// The first block descriptor, if there is one.
    pub block_descriptor: Option<BlockDescriptor>,
    /// The pages, in order.
    pub pages: Vec<ModePage>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Header6 {
    data_length: u8,
    medium_type: u8,
    device_specific: u8,
    block_descriptor_length: u8,
}
const _: () = assert!(size_of::<Header6>() == 4);

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct Header10 {
    data_length: U16,
    medium_type: u8,
    device_specific: u8,
    flags: u8,
    reserved: u8,
    block_descriptor_length: U16,
}
const _: () = assert!(size_of::<Header10>() == 8);

impl ModeParameters {
    /// WP: the medium is write protected (tape drives).
    pub fn write_protected(&self) -> bool {
        is_set(self.device_specific, 7)
    }

    /// Sets WP.
    pub fn set_write_protected(&mut self, protected: bool) {
        self.device_specific = self.device_specific & 0x7f | bit(7, protected);
    }

    /// BUFFERED MODE: 0 unbuffered, 1 buffered.
    pub fn buffered_mode(&self) -> u8 {
        self.device_specific >> 4 & 0x07
    }

    /// Sets BUFFERED MODE.
    pub fn set_buffered_mode(&mut self, mode: u8) {
        self.device_specific = self.device_specific & 0x8f | (mode & 0x07) << 4;
    }

    /// The fields of the first page of that type.
    pub fn fields<P: Page>(&self) -> Option<P> {
        self.pages.iter().find_map(ModePage::fields)
    }

    /// Reads the answer to MODE SENSE(6), or the list of MODE SELECT(6), as
    /// far as it is there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse_6(bytes: &[u8]) -> Result<ModeParameters, ParseError> {
        let mut reader = Reader::new("mode parameters(6)", bytes);
        let header: Header6 = reader.pull()?;
        let rest = rest(reader, header.data_length.into(), 1, size_of::<Header6>());
        let (medium_type, device_specific) = (header.medium_type, header.device_specific);
        let descriptors = header.block_descriptor_length.into();
        Ok(ModeParameters::read(
            medium_type,
            device_specific,
            descriptors,
            rest,
        ))
    }

    /// Reads the answer to MODE SENSE(10), or the list of MODE SELECT(10), as
    /// far as it is there.
    ///
    /// # Errors
    /// If there is no header.
    pub fn parse_10(bytes: &[u8]) -> Result<ModeParameters, ParseError> {
        let mut reader = Reader::new("mode parameters(10)", bytes);
        let header: Header10 = reader.pull()?;
        let rest = rest(
            reader,
            header.data_length.get().into(),
            2,
            size_of::<Header10>(),
        );
        let (medium_type, device_specific) = (header.medium_type, header.device_specific);
        let descriptors = header.block_descriptor_length.get().into();
        Ok(ModeParameters::read(
            medium_type,
            device_specific,
            descriptors,
            rest,
        ))
    }

    fn read(
        medium_type: u8,
        device_specific: u8,
        descriptor_bytes: usize,
        mut reader: Reader<'_>,
    ) -> ModeParameters {
        let descriptors = reader.take_up_to(descriptor_bytes);
        let first = BlockDescriptorWire::read_from_prefix(descriptors).ok();
        let block_descriptor = first.map(|(wire, _)| BlockDescriptor::from_wire(&wire));
        let mut pages = Vec::new();
        while let Ok(page) = ModePage::read(&mut reader) {
            pages.push(page);
        }
        ModeParameters {
            medium_type,
            device_specific,
            block_descriptor,
            pages,
        }
    }

    /// The bytes, as MODE SENSE(6) gives them. The length field says what it
    /// can: at most 255.
    pub fn encode_6(&self) -> Vec<u8> {
        let body = self.encode_body();
        let header = Header6 {
            data_length: u8::try_from(body.len() + size_of::<Header6>() - 1).unwrap_or(u8::MAX),
            medium_type: self.medium_type,
            device_specific: self.device_specific,
            block_descriptor_length: self.descriptor_bytes() as u8,
        };
        [header.as_bytes(), &body].concat()
    }

    /// The bytes, as MODE SENSE(10) gives them.
    pub fn encode_10(&self) -> Vec<u8> {
        let body = self.encode_body();
        let data_length = body.len() + size_of::<Header10>() - 2;
        let header = Header10 {
            data_length: U16::new(u16::try_from(data_length).unwrap_or(u16::MAX)),
            medium_type: self.medium_type,
            device_specific: self.device_specific,
            flags: 0,
            reserved: 0,
            block_descriptor_length: U16::new(self.descriptor_bytes() as u16),
        };
        [header.as_bytes(), &body].concat()
    }

    /// The bytes for MODE SELECT(10): as [`encode_10`](Self::encode_10), with
    /// what is reserved there (length, WP, PS) as zero.
    pub fn encode_select_10(&self) -> Vec<u8> {
        let mut list = self.clone();
        list.set_write_protected(false);
        list.pages.iter_mut().for_each(|page| page.saveable = false);
        let mut bytes = list.encode_10();
        bytes[..2].fill(0);
        bytes
    }

    /// The bytes for MODE SELECT(6).
    pub fn encode_select_6(&self) -> Vec<u8> {
        let mut list = self.clone();
        list.set_write_protected(false);
        list.pages.iter_mut().for_each(|page| page.saveable = false);
        let mut bytes = list.encode_6();
        bytes[0] = 0;
        bytes
    }

    fn encode_body(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(descriptor) = self.block_descriptor {
            bytes.extend(descriptor.wire().as_bytes());
        }
        bytes.extend(self.pages.iter().flat_map(ModePage::encode));
        bytes
    }

    fn descriptor_bytes(&self) -> usize {
        if self.block_descriptor.is_some() {
            size_of::<BlockDescriptorWire>()
        } else {
            0
        }
    }
}

/// What the MODE DATA LENGTH leaves, which counts from behind itself; it is 0
/// in a MODE SELECT, and then counts for nothing.
fn rest<'a>(
    mut reader: Reader<'a>,
    data_length: usize,
    length_bytes: usize,
    header_bytes: usize,
) -> Reader<'a> {
    if data_length == 0 {
        return reader;
    }
    let length = (data_length + length_bytes).saturating_sub(header_bytes);
    Reader::new("mode page", reader.take_up_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
    )]
    #[repr(C)]
    struct Example {
        a: u8,
        b: U16,
    }

    impl Page for Example {
        const CODE: u8 = 0x2a;
        const SUBPAGE: u8 = 0;
    }

    #[test]
    fn a_page_type_changes_only_what_it_knows() {
        let mut page = ModePage::new(
            &Example {
                a: 1,
                b: U16::new(2),
            },
            true,
        );
        page.body.push(0x99);
        page.set_fields(&Example {
            a: 7,
            ..page.fields().unwrap()
        });
        assert_eq!(page.encode(), [0xaa, 4, 7, 0, 2, 0x99]);
        page.body.truncate(2);
        assert_eq!(page.fields::<Example>().unwrap().b.get(), 0);
        page.code = 0x2b;
        assert_eq!(page.fields::<Example>(), None);
    }

    #[test]
    fn a_select_list_has_zeros_where_the_standard_wants_them() {
        let mut parameters = ModeParameters {
            medium_type: 0x88,
            device_specific: 0x90,
            block_descriptor: Some(BlockDescriptor {
                density_code: 0x5e,
                ..Default::default()
            }),
            pages: vec![ModePage::new(
                &Example {
                    a: 1,
                    b: U16::new(2),
                },
                true,
            )],
        };
        assert!(parameters.write_protected());
        assert_eq!(parameters.buffered_mode(), 1);
        let bytes = [
            0, 0, 0x88, 0x10, 0, 0, 0, 8, 0x5e, 0, 0, 0, 0, 0, 0, 0, 0x2a, 3, 1, 0, 2,
        ];
        assert_eq!(parameters.encode_select_10(), bytes);
        let bytes = [
            0, 0x88, 0x10, 8, 0x5e, 0, 0, 0, 0, 0, 0, 0, 0x2a, 3, 1, 0, 2,
        ];
        assert_eq!(parameters.encode_select_6(), bytes);
        parameters.set_buffered_mode(0);
        parameters.set_write_protected(false);
        assert_eq!(parameters.device_specific, 0);
    }

    prop_compose! {
        fn pages()(saveable: bool, code in 0..0x3fu8, subpage: u8,
                   body in proptest::collection::vec(any::<u8>(), 0..40)) -> ModePage {
            ModePage { saveable, code, subpage, body }
        }
    }

    prop_compose! {
        fn parameters()(medium_type: u8, device_specific: u8,
                        block in proptest::option::of((any::<u8>(), 0..1u32 << 24, 0..1u32 << 24)),
                        pages in proptest::collection::vec(pages(), 0..5)) -> ModeParameters {
            let block_descriptor = block.map(|(density_code, blocks, block_bytes)| {
                BlockDescriptor { density_code, blocks, block_bytes }
            });
            ModeParameters { medium_type, device_specific, block_descriptor, pages }
        }
    }

    proptest! {
        #[test]
        fn round_trips(parameters in parameters()) {
            let back = ModeParameters::parse_10(&parameters.encode_10()).unwrap();
            prop_assert_eq!(&back, &parameters);
            let back = ModeParameters::parse_6(&parameters.encode_6()).unwrap();
            prop_assert_eq!(&back, &parameters);
            let mut selected = parameters.clone();
            selected.set_write_protected(false);
            selected.pages.iter_mut().for_each(|page| page.saveable = false);
            let back = ModeParameters::parse_10(&parameters.encode_select_10()).unwrap();
            prop_assert_eq!(back, selected);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = ModeParameters::parse_6(&bytes);
            let _ = ModeParameters::parse_10(&bytes);
        }
    }
}
