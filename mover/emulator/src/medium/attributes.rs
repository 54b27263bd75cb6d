//! The cartridge memory's attributes that somebody wrote, as they lie in the
//! file: identifier, format, length, value, one behind the other.

use std::collections::BTreeMap;

/// One attribute's value (SPC-5 7.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// FORMAT: 0 binary, 1 ASCII, 2 text.
    pub format: u8,
    /// At most 65,535 bytes.
    pub value: Vec<u8>,
}

/// Bytes that an attribute takes beside its value.
pub(crate) const HEADER_BYTES: usize = 5;

pub(super) fn encode(attributes: &BTreeMap<u16, Attribute>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (id, attribute) in attributes {
        let length = u16::try_from(attribute.value.len()).expect("bounded when it was set");
        bytes.extend(id.to_le_bytes());
        bytes.push(attribute.format);
        bytes.extend(length.to_le_bytes());
        bytes.extend(&attribute.value);
    }
    bytes
}

/// `None` if the bytes end in the middle of an attribute.
pub(super) fn decode(mut bytes: &[u8]) -> Option<BTreeMap<u16, Attribute>> {
    let mut attributes = BTreeMap::new();
    while !bytes.is_empty() {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let id = u16::from_le_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_le_bytes([header[3], header[4]]));
        let (value, rest) = rest.split_at_checked(length)?;
        attributes.insert(
            id,
            Attribute {
                format: header[2],
                value: value.to_vec(),
            },
        );
        bytes = rest;
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn attributes_come_back(list in proptest::collection::btree_map(
            any::<u16>(),
            (0u8..3, proptest::collection::vec(any::<u8>(), 0..60)),
            0..10,
        )) {
            let list: BTreeMap<u16, Attribute> = list
                .into_iter()
                .map(|(id, (format, value))| (id, Attribute { format, value }))
                .collect();
            prop_assert_eq!(decode(&encode(&list)), Some(list));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
