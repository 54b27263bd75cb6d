//! SECURITY PROTOCOL IN (SPC-5 6.43), protocol 20h: what a drive says of its
//! encryption (SSC-5 8.6). Read only; nothing here sets a key.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::opcode;
use crate::cdb::{command, is_set};
use crate::wire::{ParseError, Reader, U16, U32, U64};

/// The protocol number of tape data encryption.
pub const TAPE_DATA_ENCRYPTION: u8 = 0x20;

/// SECURITY PROTOCOL IN
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct SecurityProtocolIn {
    opcode: u8,
    protocol: u8,
    page: U16,
    flags: u8,
    reserved_5: u8,
    allocation_length: U32,
    reserved_10: u8,
    control: u8,
}
command!(
    SecurityProtocolIn,
    "SECURITY PROTOCOL IN",
    opcode::SECURITY_PROTOCOL_IN,
    12
);

impl SecurityProtocolIn {
    /// Asks for a page of tape data encryption.
    pub fn encryption(page: u16, allocation_length: u32) -> SecurityProtocolIn {
        SecurityProtocolIn {
            opcode: opcode::SECURITY_PROTOCOL_IN,
            protocol: TAPE_DATA_ENCRYPTION,
            page: U16::new(page),
            flags: 0,
            reserved_5: 0,
            allocation_length: U32::new(allocation_length),
            reserved_10: 0,
            control: 0,
        }
    }

    /// SECURITY PROTOCOL
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// SECURITY PROTOCOL SPECIFIC: the page code.
    pub fn page(&self) -> u16 {
        self.page.get()
    }

    /// ALLOCATION LENGTH in bytes.
    pub fn allocation_length(&self) -> u32 {
        self.allocation_length.get()
    }
}

/// PAGE CODE and PAGE LENGTH.
const HEADER_BYTES: usize = 4;

fn body<'a>(what: &'static str, bytes: &'a [u8], page: u16) -> Result<Reader<'a>, ParseError> {
    let mut reader = Reader::new(what, bytes);
    let code = reader.pull::<U16>()?.get();
    if code != page {
        return Err(ParseError::Field {
            what,
            field: "PAGE CODE",
            value: code.into(),
        });
    }
    let length = reader.pull::<U16>()?.get();
    Ok(Reader::new(what, reader.take_up_to(length.into())))
}

/// Key-associated data: a label that travels with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAssociatedData {
    /// KEY DESCRIPTOR TYPE: 0 U-KAD, 1 A-KAD, 2 nonce, 3 metadata.
    pub kind: u8,
    /// AUTHENTICATED: 1 not covered, 2 covered by authentication, …
    pub authenticated: u8,
    /// The data.
    pub value: Vec<u8>,
}

fn key_associated_data(mut reader: Reader<'_>) -> Vec<KeyAssociatedData> {
    let mut list = Vec::new();
    while let Ok(&[kind, authenticated, high, low]) = reader.take(4) {
        let Ok(value) = reader.take(u16::from_be_bytes([high, low]).into()) else {
            break;
        };
        let value = value.to_vec();
        list.push(KeyAssociatedData {
            kind,
            authenticated: authenticated & 0x07,
            value,
        });
    }
    list
}

/// One algorithm of page 0010h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithm {
    /// ALGORITHM INDEX, by which it is chosen.
    pub index: u8,
    /// ENCRYPT_C: 0 cannot, 1 in software, 2 in hardware, 3 elsewhere.
    pub encrypts: u8,
    /// DECRYPT_C: likewise.
    pub decrypts: u8,
    /// UKADF: the U-KAD must have its full length.
    pub fixed_unauthenticated: bool,
    /// AKADF: the A-KAD must have its full length.
    pub fixed_authenticated: bool,
    /// MAXIMUM UNAUTHENTICATED KEY-ASSOCIATED DATA BYTES
    pub max_unauthenticated_bytes: u16,
    /// MAXIMUM AUTHENTICATED KEY-ASSOCIATED DATA BYTES
    pub max_authenticated_bytes: u16,
    /// KEY SIZE in bytes.
    pub key_bytes: u16,
    /// SECURITY ALGORITHM CODE: 00010014h is AES-256-GCM.
    pub code: u32,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct AlgorithmWire {
    index: u8,
    reserved_1: u8,
    length: U16,
    flags_4: u8,
    flags_5: u8,
    max_unauthenticated: U16,
    max_authenticated: U16,
    key_size: U16,
    flags_12: u8,
    flags_13: u8,
    supplemental_keys: U16,
    encapsulated_size: U16,
    reserved_18: [u8; 2],
    code: U32,
}
const _: () = assert!(size_of::<AlgorithmWire>() == 24);

/// Page 0010h: Data Encryption Capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionCapabilities {
    /// EXTDECC: 1 no external control, 2 external control possible.
    pub external_control: u8,
    /// CFG_P: whether encryption was switched off by configuration.
    pub configuration_prevented: u8,
    /// The algorithms.
    pub algorithms: Vec<Algorithm>,
}

impl EncryptionCapabilities {
    /// PAGE CODE
    pub const PAGE: u16 = 0x0010;

    /// Reads the page, as far as whole algorithms are there.
    ///
    /// # Errors
    /// If it ends before its list, or is another page.
    pub fn parse(bytes: &[u8]) -> Result<EncryptionCapabilities, ParseError> {
        let what = "Data Encryption Capabilities";
        let mut reader = body(what, bytes, Self::PAGE)?;
        let end = HEADER_BYTES + reader.rest().len();
        let flags: u8 = reader.pull()?;
        reader.take(15)?;
        // A drive was seen to count its page four bytes short: an algorithm
        // that begins inside the page is read to its own end.
        let mut reader = Reader::new(what, &bytes[end - reader.rest().len()..]);
        let mut algorithms = Vec::new();
        while bytes.len() - reader.rest().len() < end {
            let Ok(wire) = reader.pull::<AlgorithmWire>() else {
                break;
            };
            let beyond = usize::from(wire.length.get()) + 4;
            reader.take_up_to(beyond.saturating_sub(size_of::<AlgorithmWire>()));
            algorithms.push(Algorithm {
                index: wire.index,
                encrypts: wire.flags_4 & 0b11,
                decrypts: wire.flags_4 >> 2 & 0b11,
                fixed_unauthenticated: is_set(wire.flags_5, 1),
                fixed_authenticated: is_set(wire.flags_5, 0),
                max_unauthenticated_bytes: wire.max_unauthenticated.get(),
                max_authenticated_bytes: wire.max_authenticated.get(),
                key_bytes: wire.key_size.get(),
                code: wire.code.get(),
            });
        }
        let (external_control, configuration_prevented) = (flags >> 2 & 0b11, flags & 0b11);
        Ok(EncryptionCapabilities {
            external_control,
            configuration_prevented,
            algorithms,
        })
    }
}

/// Page 0020h: Data Encryption Status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionStatus {
    /// I_T NEXUS SCOPE: 0 public, 1 this nexus only, 2 all nexuses.
    pub nexus_scope: u8,
    /// LOGICAL BLOCK ENCRYPTION SCOPE: whose key counts.
    pub key_scope: u8,
    /// ENCRYPTION MODE: 0 off, 1 external, 2 on.
    pub encryption_mode: u8,
    /// DECRYPTION MODE: 0 off, 1 raw, 2 on, 3 mixed.
    pub decryption_mode: u8,
    /// ALGORITHM INDEX
    pub algorithm: u8,
    /// KEY INSTANCE COUNTER
    pub key_instance: u32,
    /// PARAMETERS CONTROL: 1 by the host, 2 or more by something else.
    pub parameters_control: u8,
    /// VCELB: the volume contains encrypted logical blocks.
    pub volume_has_encrypted_blocks: bool,
    /// The key's labels.
    pub key_data: Vec<KeyAssociatedData>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct StatusWire {
    scopes: u8,
    encryption_mode: u8,
    decryption_mode: u8,
    algorithm: u8,
    key_instance: U32,
    flags_12: u8,
    reserved: [u8; 11],
}
const _: () = assert!(size_of::<StatusWire>() == 20);

impl EncryptionStatus {
    /// PAGE CODE
    pub const PAGE: u16 = 0x0020;

    /// Reads the page.
    ///
    /// # Errors
    /// If it ends before the key's labels, or is another page.
    pub fn parse(bytes: &[u8]) -> Result<EncryptionStatus, ParseError> {
        let mut reader = body("Data Encryption Status", bytes, Self::PAGE)?;
        let wire: StatusWire = reader.pull()?;
        Ok(EncryptionStatus {
            nexus_scope: wire.scopes >> 5,
            key_scope: wire.scopes & 0x07,
            encryption_mode: wire.encryption_mode,
            decryption_mode: wire.decryption_mode,
            algorithm: wire.algorithm,
            key_instance: wire.key_instance.get(),
            parameters_control: wire.flags_12 >> 4 & 0x07,
            volume_has_encrypted_blocks: is_set(wire.flags_12, 3),
            key_data: key_associated_data(reader),
        })
    }
}

/// Page 0021h: Next Block Encryption Status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextBlockEncryption {
    /// LOGICAL OBJECT NUMBER
    pub object: u64,
    /// COMPRESSION STATUS
    pub compression_status: u8,
    /// ENCRYPTION STATUS: 3 not encrypted, 4 by another algorithm, 5 can be
    /// decrypted, 6 cannot with this key.
    pub encryption_status: u8,
    /// ALGORITHM INDEX
    pub algorithm: u8,
    /// The block's key labels.
    pub key_data: Vec<KeyAssociatedData>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct NextBlockWire {
    object: U64,
    status: u8,
    algorithm: u8,
    flags: u8,
    key_data_format: u8,
}
const _: () = assert!(size_of::<NextBlockWire>() == 12);

impl NextBlockEncryption {
    /// PAGE CODE
    pub const PAGE: u16 = 0x0021;

    /// Reads the page.
    ///
    /// # Errors
    /// If it ends before the block's labels, or is another page.
    pub fn parse(bytes: &[u8]) -> Result<NextBlockEncryption, ParseError> {
        let mut reader = body("Next Block Encryption Status", bytes, Self::PAGE)?;
        let wire: NextBlockWire = reader.pull()?;
        Ok(NextBlockEncryption {
            object: wire.object.get(),
            compression_status: wire.status >> 4,
            encryption_status: wire.status & 0x0f,
            algorithm: wire.algorithm,
            key_data: key_associated_data(reader),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        let cdb = SecurityProtocolIn::encryption(EncryptionStatus::PAGE, 0x1000);
        assert_eq!(
            cdb.as_bytes(),
            [0xa2, 0x20, 0, 0x20, 0, 0, 0, 0, 0x10, 0, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 2..120),
                                  page in prop::sample::select(vec![0x10u8, 0x20, 0x21])) {
            bytes[0] = 0;
            bytes[1] = page;
            let _ = EncryptionCapabilities::parse(&bytes);
            let _ = EncryptionStatus::parse(&bytes);
            let _ = NextBlockEncryption::parse(&bytes);
        }
    }
}
