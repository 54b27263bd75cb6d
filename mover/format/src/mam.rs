//! A volume's identity in cartridge memory: the host attributes 0800h to 080Bh
//! (SPC-5, medium auxiliary memory, host type attributes), as plain data for
//! WRITE ATTRIBUTE.

use uuid::Uuid;

use crate::label::Label;

/// APPLICATION VENDOR, 8 bytes ASCII.
pub const APPLICATION_VENDOR: u16 = 0x0800;
/// APPLICATION NAME, 32 bytes ASCII.
pub const APPLICATION_NAME: u16 = 0x0801;
/// APPLICATION VERSION, 8 bytes ASCII.
pub const APPLICATION_VERSION: u16 = 0x0802;
/// USER MEDIUM TEXT LABEL, 160 bytes text: volume name and UUID.
pub const USER_MEDIUM_TEXT_LABEL: u16 = 0x0803;
/// DATE AND TIME LAST WRITTEN, 12 bytes ASCII, `YYYYMMDDHHMM`.
pub const DATE_AND_TIME_LAST_WRITTEN: u16 = 0x0804;
/// TEXT LOCALIZATION IDENTIFIER, one byte binary.
pub const TEXT_LOCALIZATION_IDENTIFIER: u16 = 0x0805;
/// BARCODE, 32 bytes ASCII.
pub const BARCODE: u16 = 0x0806;
/// OWNING HOST TEXTUAL NAME, 80 bytes text.
pub const OWNING_HOST_TEXTUAL_NAME: u16 = 0x0807;
/// APPLICATION FORMAT VERSION, 16 bytes ASCII.
pub const APPLICATION_FORMAT_VERSION: u16 = 0x080B;

/// Text in UTF-8, as a TEXT LOCALIZATION IDENTIFIER.
const UTF_8: u8 = 0x81;
const MARK: &str = "Longhaul volume ";

/// The FORMAT field of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 00b
    Binary,
    /// 01b: printable ASCII, filled up with blanks.
    Ascii,
    /// 10b: text, in the encoding that 0805h names, filled up with NULs.
    Text,
}

/// An attribute: its value is exactly as long as the standard wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// ATTRIBUTE IDENTIFIER.
    pub id: u16,
    /// FORMAT.
    pub format: Format,
    /// ATTRIBUTE VALUE.
    pub value: Vec<u8>,
}

/// The attributes that a label puts into cartridge memory. A drive may not have
/// all of them; none is needed to read the tape. `version` is the program's.
pub fn attributes(label: &Label, host: &str, version: &str) -> Vec<Attribute> {
    let written: String = crate::utc::format(label.created)
        .chars()
        .filter(char::is_ascii_digit)
        .take(12)
        .collect();
    let identity = format!("{MARK}{} {}", label.name, label.uuid);
    let format_version = crate::label::FORMAT_VERSION.to_string();
    let mut attributes = vec![
        ascii(APPLICATION_VENDOR, 8, "LONGHAUL"),
        ascii(APPLICATION_NAME, 32, "Longhaul"),
        ascii(APPLICATION_VERSION, 8, version),
        Attribute {
            id: TEXT_LOCALIZATION_IDENTIFIER,
            format: Format::Binary,
            value: vec![UTF_8],
        },
        text(USER_MEDIUM_TEXT_LABEL, 160, &identity),
        ascii(DATE_AND_TIME_LAST_WRITTEN, 12, &written),
        text(OWNING_HOST_TEXTUAL_NAME, 80, host),
        ascii(APPLICATION_FORMAT_VERSION, 16, &format_version),
    ];
    if let Some(barcode) = label.barcode() {
        attributes.push(ascii(BARCODE, 32, &barcode));
    }
    attributes
}

/// The volume's UUID out of a USER MEDIUM TEXT LABEL; `None` where that is not
/// one of ours.
pub fn uuid(user_medium_text_label: &[u8]) -> Option<Uuid> {
    let text = std::str::from_utf8(user_medium_text_label).ok()?;
    let (_, uuid) = text
        .trim_end_matches(['\0', ' '])
        .strip_prefix(MARK)?
        .split_once(' ')?;
    uuid.parse().ok()
}

fn ascii(id: u16, len: usize, text: &str) -> Attribute {
    let printable = text
        .bytes()
        .map(|b| if (b' '..=b'~').contains(&b) { b } else { b'?' });
    let mut value: Vec<u8> = printable.take(len).collect();
    value.resize(len, b' ');
    Attribute {
        id,
        format: Format::Ascii,
        value,
    }
}

/// Cut between characters where it is too long, with a NUL behind it always.
fn text(id: u16, len: usize, text: &str) -> Attribute {
    let mut value = text.as_bytes()[..text.floor_char_boundary(len - 1)].to_vec();
    value.resize(len, 0);
    Attribute {
        id,
        format: Format::Text,
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label() -> Label {
        Label {
            name: "LH0001".parse().unwrap(),
            uuid: Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8),
            record_bytes: 524_288,
            created: 1_764_024_851,
            media: Some("L9".parse().unwrap()),
        }
    }

    #[test]
    fn the_identity_comes_back_from_cartridge_memory() {
        let attributes = attributes(&label(), "nodeä", "0.1.0");
        let value = |id| {
            &attributes
                .iter()
                .find(|attribute| attribute.id == id)
                .unwrap()
                .value
        };
        assert_eq!(uuid(value(USER_MEDIUM_TEXT_LABEL)), Some(label().uuid));
        assert_eq!(value(BARCODE).trim_ascii_end(), b"LH0001L9");
        assert_eq!(value(DATE_AND_TIME_LAST_WRITTEN), b"202511242254");
        assert_eq!(value(APPLICATION_VERSION), b"0.1.0   ");
        assert_eq!(value(OWNING_HOST_TEXTUAL_NAME).len(), 80);
        assert_eq!(uuid(b"somebody else's"), None);
    }

    proptest! {
        #[test]
        fn any_text_makes_attributes_of_the_right_length(host in "\\PC{0,100}", version in ".{0,9}") {
            for attribute in attributes(&label(), &host, &version) {
                let len = match attribute.id {
                    0x0800 | 0x0802 => 8,
                    0x0801 | 0x0806 => 32,
                    0x0803 => 160,
                    0x0804 => 12,
                    0x0805 => 1,
                    0x0807 => 80,
                    _ => 16,
                };
                prop_assert_eq!(attribute.value.len(), len);
            }
        }
    }
}
