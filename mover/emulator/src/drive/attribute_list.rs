//! The attributes of the cartridge memory: those that the drive keeps, and
//! those of the cartridge's maker (SPC-5 7.4.2). Hosts' attributes (0800h to
//! 0BFFh, 1400h to 17FFh) lie in the cartridge file.

use std::collections::BTreeMap;

use super::{DENSITY, Drive};
use crate::medium::{ATTRIBUTE_MEMORY_BYTES, Attribute, Medium};
use crate::spc::bytes::padded;
use crate::spc::inquiry::VENDOR;

pub(super) const BINARY: u8 = 0;
pub(super) const ASCII: u8 = 1;

/// An attribute, as READ ATTRIBUTE gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub read_only: bool,
    pub format: u8,
    pub value: Vec<u8>,
}

/// Format and longest value of the hosts' attributes that the standard
/// names; the rest may have any format, and up to 1,024 bytes.
pub(super) fn host_attribute(id: u16) -> Option<(Option<u8>, usize)> {
    const TEXT: u8 = 2;
    Some(match id {
        0x0800 => (Some(ASCII), 8),
        0x0801 => (Some(ASCII), 32),
        0x0802 => (Some(ASCII), 8),
        0x0803 => (Some(TEXT), 160),
        0x0804 => (Some(ASCII), 12),
        0x0805 => (Some(BINARY), 1),
        0x0806 => (Some(ASCII), 32),
        0x0807 => (Some(TEXT), 80),
        0x0808 => (Some(TEXT), 160),
        0x0809 => (Some(ASCII), 16),
        0x080a => (Some(BINARY), 1),
        0x080b => (Some(ASCII), 16),
        0x080c => (Some(BINARY), 1024),
        0x080d..=0x0bff | 0x1400..=0x17ff => (None, 1024),
        _ => return None,
    })
}

impl Drive {
    /// Every attribute of the cartridge in the drive.
    pub(super) fn attributes(&self, medium: &Medium) -> BTreeMap<u16, Shown> {
        let mut all = BTreeMap::new();
        let mut show = |id: u16, format: u8, value: Vec<u8>| {
            all.insert(
                id,
                Shown {
                    read_only: true,
                    format,
                    value,
                },
            );
        };
        let remaining = medium.capacity().saturating_sub(self.used());
        let space = ATTRIBUTE_MEMORY_BYTES.saturating_sub(medium.attribute_bytes());
        show(0x0000, BINARY, (remaining >> 20).to_be_bytes().to_vec());
        show(
            0x0001,
            BINARY,
            (medium.capacity() >> 20).to_be_bytes().to_vec(),
        );
        show(0x0002, BINARY, vec![0; 8]);
        show(0x0003, BINARY, medium.load_count().to_be_bytes().to_vec());
        show(0x0004, BINARY, (space as u64).to_be_bytes().to_vec());
        show(0x0005, ASCII, padded::<8>("LTO-CVE").to_vec());
        show(0x0006, BINARY, vec![DENSITY]);
        show(0x0007, BINARY, vec![0, 1]);
        show(0x0008, ASCII, padded::<32>(medium.barcode()).to_vec());
        show(
            0x0009,
            BINARY,
            (medium.write_sessions() as u32).to_be_bytes().to_vec(),
        );
        show(0x020a, ASCII, self.maker_and_serial());
        show(
            0x0220,
            BINARY,
            (medium.bytes_written() >> 20).to_be_bytes().to_vec(),
        );
        show(
            0x0221,
            BINARY,
            (medium.bytes_read() >> 20).to_be_bytes().to_vec(),
        );
        show(
            0x0222,
            BINARY,
            (self.counters.written >> 20).to_be_bytes().to_vec(),
        );
        show(
            0x0223,
            BINARY,
            (self.counters.read >> 20).to_be_bytes().to_vec(),
        );
        show(0x0400, ASCII, padded::<8>(VENDOR).to_vec());
        show(0x0401, ASCII, padded::<32>(medium.serial()).to_vec());
        show(0x0402, BINARY, 1035_u32.to_be_bytes().to_vec());
        show(0x0403, BINARY, 127_u32.to_be_bytes().to_vec());
        show(0x0404, ASCII, padded::<8>("LTO-CVE").to_vec());
        show(0x0405, BINARY, vec![DENSITY]);
        show(0x0406, ASCII, date(medium.created_s()).into_bytes());
        show(
            0x0407,
            BINARY,
            (ATTRIBUTE_MEMORY_BYTES as u64).to_be_bytes().to_vec(),
        );
        show(0x0408, BINARY, vec![0]);
        show(0x0409, BINARY, vec![0, 0]);
        all.extend(
            medium
                .attributes()
                .map(|(id, Attribute { format, value })| {
                    (
                        id,
                        Shown {
                            read_only: false,
                            format: *format,
                            value: value.clone(),
                        },
                    )
                }),
        );
        all
    }

    fn maker_and_serial(&self) -> Vec<u8> {
        [
            &padded::<8>(VENDOR)[..],
            &padded::<32>(&self.unit.identity.serial),
        ]
        .concat()
    }
}

/// YYYYMMDD of a time since 1970 in seconds (proleptic Gregorian; years are
/// reckoned from 1 March, so that the leap day is their last).
fn date(seconds: u64) -> String {
    let days = (seconds / 86_400).min(2_932_896) + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!("{:04}{month:02}{day:02}", era * 400 + year_of_era + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(date(0), "19700101");
        assert_eq!(date(951_782_400), "20000229");
        assert_eq!(date(1_764_000_000), "20251124");
        assert_eq!(date(u64::MAX), "99991231");
    }
}
