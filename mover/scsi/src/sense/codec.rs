//! Both formats of sense data, from and to bytes.

use super::{KeySpecific, Sense, SenseKey};
use crate::cdb::{bit, is_set};
use crate::wire::{ParseError, Reader};

/// Bytes of fixed format sense data up to and including the sense-key
/// specific ones: what drives send at least.
pub const FIXED_BYTES: usize = 18;

const WHAT: &str = "sense data";
const FIXED_HEADER_BYTES: usize = 8;
const DESCRIPTOR_HEADER_BYTES: usize = 8;

/// Descriptor types (SPC-5 4.4.2).
mod descriptor {
    pub const INFORMATION: u8 = 0x00;
    pub const COMMAND_SPECIFIC: u8 = 0x01;
    pub const KEY_SPECIFIC: u8 = 0x02;
    pub const FIELD_REPLACEABLE_UNIT: u8 = 0x03;
    pub const STREAM_COMMANDS: u8 = 0x04;
}

impl Sense {
    /// Decodes sense data of either format, cut anywhere.
    ///
    /// # Errors
    /// If there is no sense key in it, or the response code is none of 70h to
    /// 73h.
    pub fn decode(bytes: &[u8]) -> Result<Sense, ParseError> {
        let Some(&first) = bytes.first() else {
            return Err(ParseError::TooShort {
                what: WHAT,
                have: 0,
                need: 2,
            });
        };
        match first & 0x7f {
            0x70 => decode_fixed(bytes, false),
            0x71 => decode_fixed(bytes, true),
            0x72 => decode_descriptors(bytes, false),
            0x73 => decode_descriptors(bytes, true),
            other => Err(ParseError::Field {
                what: WHAT,
                field: "RESPONSE CODE",
                value: other.into(),
            }),
        }
    }

    /// Encodes in fixed format. INFORMATION that does not fit 32 bits is left
    /// out, as the standard says (VALID is 0).
    pub fn encode_fixed(&self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        bytes[0] = if self.deferred { 0x71 } else { 0x70 };
        bytes[2] = bit(7, self.filemark) | bit(6, self.eom) | bit(5, self.ili) | self.key as u8;
        if let Some(information) = self.information.and_then(narrow) {
            bytes[0] |= 0x80;
            bytes[3..7].copy_from_slice(&information.to_be_bytes());
        }
        bytes[7] = (FIXED_BYTES - FIXED_HEADER_BYTES) as u8;
        if let Some(specific) = self.command_specific.and_then(narrow) {
            bytes[8..12].copy_from_slice(&specific.to_be_bytes());
        }
        bytes[12] = self.asc;
        bytes[13] = self.ascq;
        bytes[14] = self.field_replaceable_unit;
        if let Some(specific) = self.key_specific {
            bytes[15..18].copy_from_slice(&specific.encode());
        }
        bytes
    }

    /// Encodes in descriptor format.
    pub fn encode_descriptors(&self) -> Vec<u8> {
        let response = if self.deferred { 0x73 } else { 0x72 };
        let mut bytes = vec![response, self.key as u8, self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            bytes.extend([descriptor::INFORMATION, 0x0a, 0x80, 0]);
            bytes.extend(information.to_be_bytes());
        }
        if let Some(specific) = self.command_specific {
            bytes.extend([descriptor::COMMAND_SPECIFIC, 0x0a, 0, 0]);
            bytes.extend(specific.to_be_bytes());
        }
        if let Some(specific) = self.key_specific {
            bytes.extend([descriptor::KEY_SPECIFIC, 0x06, 0, 0]);
            bytes.extend(specific.encode());
            bytes.push(0);
        }
        if self.field_replaceable_unit != 0 {
            let unit = self.field_replaceable_unit;
            bytes.extend([descriptor::FIELD_REPLACEABLE_UNIT, 0x02, 0, unit]);
        }
        if self.filemark || self.eom || self.ili {
            let flags = bit(7, self.filemark) | bit(6, self.eom) | bit(5, self.ili);
            bytes.extend([descriptor::STREAM_COMMANDS, 0x02, 0, flags]);
        }
        bytes[7] = (bytes.len() - DESCRIPTOR_HEADER_BYTES) as u8;
        bytes
    }

    fn set_stream_flags(&mut self, flags: u8) {
        self.filemark = is_set(flags, 7);
        self.eom = is_set(flags, 6);
        self.ili = is_set(flags, 5);
    }
}

/// What fits 32 bits, with or without a sign.
fn narrow(value: u64) -> Option<u32> {
    u32::try_from(value)
        .ok()
        .or_else(|| i32::try_from(value as i64).ok().map(|v| v as u32))
}

fn decode_fixed(bytes: &[u8], deferred: bool) -> Result<Sense, ParseError> {
    let Some(&flags) = bytes.get(2) else {
        return Err(ParseError::TooShort {
            what: WHAT,
            have: bytes.len(),
            need: 3,
        });
    };
    let mut sense = Sense {
        deferred,
        key: SenseKey::from_low_bits(flags),
        ..Sense::default()
    };
    sense.set_stream_flags(flags);
    if is_set(bytes[0], 7) {
        sense.information = bytes.get(3..7).map(be32);
    }
    let bytes = trust_length(bytes, FIXED_HEADER_BYTES);
    sense.command_specific = bytes.get(8..12).map(be32).filter(|&value| value != 0);
    sense.asc = bytes.get(12).copied().unwrap_or(0);
    sense.ascq = bytes.get(13).copied().unwrap_or(0);
    sense.field_replaceable_unit = bytes.get(14).copied().unwrap_or(0);
    if let Some(&[a, b, c]) = bytes.get(15..18) {
        sense.key_specific = KeySpecific::decode(sense.key, [a, b, c]);
    }
    Ok(sense)
}

fn decode_descriptors(bytes: &[u8], deferred: bool) -> Result<Sense, ParseError> {
    let Some(&key) = bytes.get(1) else {
        return Err(ParseError::TooShort {
            what: WHAT,
            have: bytes.len(),
            need: 2,
        });
    };
    let mut sense = Sense {
        deferred,
        key: SenseKey::from_low_bits(key),
        ..Sense::default()
    };
    sense.asc = bytes.get(2).copied().unwrap_or(0);
    sense.ascq = bytes.get(3).copied().unwrap_or(0);
    let bytes = trust_length(bytes, DESCRIPTOR_HEADER_BYTES);
    let descriptors = bytes.get(DESCRIPTOR_HEADER_BYTES..).unwrap_or(&[]);
    let mut reader = Reader::new(WHAT, descriptors);
    while let Ok(&[kind, length]) = reader.take(2) {
        sense.take_descriptor(kind, reader.take_up_to(usize::from(length)));
    }
    Ok(sense)
}

impl Sense {
    /// `body` starts behind the descriptor's ADDITIONAL LENGTH byte.
    fn take_descriptor(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (descriptor::INFORMATION, [flags, _, value @ ..]) if is_set(*flags, 7) => {
                self.information = value.first_chunk().map(|raw| u64::from_be_bytes(*raw));
            }
            (descriptor::COMMAND_SPECIFIC, [_, _, value @ ..]) => {
                let value = value.first_chunk().map(|raw| u64::from_be_bytes(*raw));
                self.command_specific = value.filter(|&value| value != 0);
            }
            (descriptor::KEY_SPECIFIC, [_, _, a, b, c, ..]) => {
                self.key_specific = KeySpecific::decode(self.key, [*a, *b, *c]);
            }
            (descriptor::FIELD_REPLACEABLE_UNIT, [_, unit, ..]) => {
                self.field_replaceable_unit = *unit;
            }
            (descriptor::STREAM_COMMANDS, [_, flags, ..]) => self.set_stream_flags(*flags),
            _ => {}
        }
    }
}

/// What the ADDITIONAL SENSE LENGTH byte leaves. A length of 0 with data
/// behind it comes from devices that never fill the field in: it is not
/// believed.
fn trust_length(bytes: &[u8], header: usize) -> &[u8] {
    match bytes.get(7) {
        Some(&length) if length != 0 => &bytes[..bytes.len().min(header + usize::from(length))],
        _ => bytes,
    }
}

/// Four bytes at most, checked by the callers' ranges.
fn be32(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

impl KeySpecific {
    fn decode(key: SenseKey, [a, b, c]: [u8; 3]) -> Option<KeySpecific> {
        if !is_set(a, 7) {
            return None;
        }
        let number = u16::from_be_bytes([b, c]);
        Some(match key {
            SenseKey::IllegalRequest => KeySpecific::FieldPointer {
                in_cdb: is_set(a, 6),
                bit: is_set(a, 3).then_some(a & 0x07),
                byte: number,
            },
            SenseKey::NoSense | SenseKey::NotReady => KeySpecific::Progress(number),
            SenseKey::RecoveredError | SenseKey::MediumError | SenseKey::HardwareError => {
                KeySpecific::RetryCount(number)
            }
            SenseKey::UnitAttention => KeySpecific::UnitAttentionOverflow(is_set(a, 0)),
            _ => KeySpecific::Other([a & 0x7f, b, c]),
        })
    }

    fn encode(self) -> [u8; 3] {
        let (flags, [b, c]) = match self {
            KeySpecific::FieldPointer {
                in_cdb,
                bit: pointer,
                byte,
            } => {
                let pointer = pointer.map_or(0, |number| 0x08 | number & 0x07);
                (bit(6, in_cdb) | pointer, byte.to_be_bytes())
            }
            KeySpecific::Progress(number) | KeySpecific::RetryCount(number) => {
                (0, number.to_be_bytes())
            }
            KeySpecific::UnitAttentionOverflow(lost) => (bit(0, lost), [0, 0]),
            KeySpecific::Other([a, b, c]) => (a, [b, c]),
        };
        [0x80 | flags, b, c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_filemark_in_fixed_format() {
        let bytes = [0xf0, 0, 0x80, 0, 0, 2, 0, 10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let sense = Sense::decode(&bytes).unwrap();
        let want = Sense::new(SenseKey::NoSense, 0, 1)
            .with_filemark()
            .with_residual(512);
        assert_eq!(sense, want);
        assert_eq!(want.encode_fixed(), bytes);
    }

    #[test]
    fn an_over_long_block_has_a_negative_residual_in_both_formats() {
        let want = Sense::new(SenseKey::NoSense, 0, 0)
            .with_ili()
            .with_residual(-4096);
        let fixed = Sense::decode(&want.encode_fixed()).unwrap();
        assert_eq!(fixed.information, Some(0xffff_f000));
        assert_eq!(fixed.residual(), Some(-4096));
        let descriptors = Sense::decode(&want.encode_descriptors()).unwrap();
        assert_eq!(descriptors.residual(), Some(-4096));
        assert_eq!(descriptors, want);
    }

    #[test]
    fn information_without_valid_is_not_there() {
        let bytes = [0x70, 0, 0x20, 1, 2, 3, 4, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Sense::decode(&bytes).unwrap().information, None);
    }

    #[test]
    fn the_additional_length_cuts_unless_it_is_zero() {
        let mut bytes = Sense::new(SenseKey::MediumError, 0x0c, 0).encode_fixed();
        bytes[7] = 4;
        assert_eq!(Sense::decode(&bytes).unwrap().asc, 0);
        bytes[7] = 0;
        assert_eq!(Sense::decode(&bytes).unwrap().asc, 0x0c);
        bytes[7] = 0xff;
        assert_eq!(Sense::decode(&bytes).unwrap().asc, 0x0c);
    }

    #[test]
    fn unknown_and_cut_descriptors_are_stepped_over() {
        let mut bytes = vec![0x73, 0x06, 0x29, 0x00, 0, 0, 0, 0];
        bytes.extend([0x80, 3, 1, 2, 3]);
        bytes.extend([0x04, 2, 0, 0xe0]);
        bytes.extend([0x00, 10, 0x80, 0, 1]);
        bytes[7] = (bytes.len() - 8) as u8;
        let sense = Sense::decode(&bytes).unwrap();
        assert!(sense.deferred && sense.filemark && sense.eom && sense.ili);
        assert!(sense.is(SenseKey::UnitAttention, 0x29, 0));
        assert_eq!(sense.information, None);
    }

    fn senses() -> impl Strategy<Value = Sense> {
        let flags = any::<(bool, bool, bool, bool)>();
        let codes = (0..16u8, any::<u8>(), any::<u8>(), any::<u8>());
        let numbers = any::<(Option<u32>, Option<u32>, Option<[u8; 3]>)>();
        (flags, codes, numbers).prop_map(|(flags, (key, asc, ascq, unit), numbers)| {
            let key = SenseKey::from_low_bits(key);
            Sense {
                deferred: flags.0,
                filemark: flags.1,
                eom: flags.2,
                ili: flags.3,
                information: numbers.0.map(u64::from),
                command_specific: numbers.1.filter(|&value| value != 0).map(u64::from),
                field_replaceable_unit: unit,
                key_specific: numbers.2.and_then(|raw| KeySpecific::decode(key, raw)),
                ..Sense::new(key, asc, ascq)
            }
        })
    }

    proptest! {
        #[test]
        fn both_formats_round_trip(sense in senses()) {
            prop_assert_eq!(&Sense::decode(&sense.encode_fixed()).unwrap(), &sense);
            prop_assert_eq!(&Sense::decode(&sense.encode_descriptors()).unwrap(), &sense);
        }

        #[test]
        fn a_cut_never_panics_and_keeps_the_key(sense in senses(), cut in 3..18usize) {
            let fixed = Sense::decode(&sense.encode_fixed()[..cut]).unwrap();
            prop_assert_eq!(fixed.key, sense.key);
            let bytes = sense.encode_descriptors();
            let cut = Sense::decode(&bytes[..cut.min(bytes.len())]).unwrap();
            prop_assert_eq!(cut.key, sense.key);
        }

        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..64),
                                  code in 0x6f..0x75u8) {
            let _ = Sense::decode(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = code;
            }
            if let Ok(sense) = Sense::decode(&bytes) {
                let _ = sense.to_string();
            }
        }
    }
}
