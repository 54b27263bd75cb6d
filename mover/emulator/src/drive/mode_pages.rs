//! The mode pages, as bytes: what they are by default, and which bits a host
//! may change (SSC-5 8.5, SPC-5 7.5).
//!
//! All nexuses share them, but for Control Data Protection: whether blocks
//! carry protection information is a matter of the one who sends them (SSC-5
//! 4.2.29).

use std::collections::BTreeMap;

use super::Nexus;

/// MEDIUM TYPE of an LTO-9 data cartridge.
pub(super) const MEDIUM_TYPE: u8 = 0x98;

/// SUBPAGE FORMAT, in a page's first byte.
const SPF: u8 = 0x40;

/// A page's identity and its fixed bytes; headers included.
pub(super) struct Page {
    pub code: u8,
    pub subpage: u8,
    pub default: &'static [u8],
    pub changeable: &'static [u8],
}

impl Page {
    /// Bytes of its header.
    pub(super) fn header_bytes(&self) -> usize {
        if self.subpage == 0 { 2 } else { 4 }
    }
}

const PROTECTION: usize = 0;
const COMPRESSION: usize = 1;
const EXTENSION: usize = 3;

/// LOGICAL BLOCK PROTECTION METHOD: CRC32C.
const CRC32C: u8 = 0x02;
/// Bytes of protection information behind a block.
pub(super) const PROTECTION_BYTES: usize = 4;

/// Control data protection; data compression; device configuration and its
/// extension; informational exceptions; medium configuration.
pub(super) static PAGES: [Page; 6] = [
    Page {
        code: 0x0a,
        subpage: 0xf0,
        // No method. RBDP cannot be set: no buffered data is recovered here.
        default: &protection([0, 0, 0]),
        changeable: &protection([0xff, 0x3f, 0xc0]),
    },
    Page {
        code: 0x0f,
        subpage: 0,
        // DCE and DCC; DDE; algorithms 1. Compression is accepted, not done.
        default: &[0x0f, 0x0e, 0xc0, 0x80, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        changeable: &[
            0x0f, 0x0e, 0x80, 0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
    },
    Page {
        code: 0x10,
        subpage: 0,
        // LOIS: identifiers are recorded; EEG and SEW: early warning is
        // generated, and synchronises; compression algorithm 1.
        default: &[
            0x10, 0x0e, 0, 0, 0, 0, 0, 0x32, 0x40, 0, 0x18, 0, 0, 0, 1, 0,
        ],
        changeable: &[
            0x10, 0x0e, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0,
        ],
    },
    Page {
        code: 0x10,
        subpage: 0x01,
        // SHORT ERASE MODE 2; PEWS 0.
        default: &extension([0, 2, 0, 0]),
        changeable: &extension([0, 0, 0xff, 0xff]),
    },
    Page {
        code: 0x1c,
        subpage: 0,
        // DEXCPT: exceptions are told by TapeAlert alone.
        default: &[0x1c, 0x0a, 0x08, 0x03, 0, 0, 0, 0, 0, 0, 0, 0],
        changeable: &[
            0x1c, 0x0a, 0x08, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    },
    Page {
        code: 0x1d,
        subpage: 0,
        // WORMM 0.
        default: &MEDIUM_CONFIGURATION,
        changeable: &MEDIUM_CONFIGURATION,
    },
];

const fn protection(content: [u8; 3]) -> [u8; 32] {
    subpage(0x0a, 0xf0, &content)
}

const fn extension(content: [u8; 4]) -> [u8; 32] {
    subpage(0x10, 0x01, &content)
}

/// A page of 28 bytes behind its header, which begin with `content`.
const fn subpage(code: u8, subpage: u8, content: &[u8]) -> [u8; 32] {
    let mut page = [0; 32];
    page[0] = code | SPF;
    page[1] = subpage;
    page[3] = 0x1c;
    let mut at = 0;
    while at < content.len() {
        page[4 + at] = content[at];
        at += 1;
    }
    page
}

const MEDIUM_CONFIGURATION: [u8; 32] = {
    let mut page = [0; 32];
    page[0] = 0x1d;
    page[1] = 0x1e;
    page
};

/// The mode parameters that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mode {
    /// BLOCK LENGTH of the block descriptor, in bytes; 0 for variable.
    pub block_length: u32,
    /// BUFFERED MODE.
    pub buffered: bool,
    pages: [Vec<u8>; PAGES.len()],
    /// Control Data Protection of the nexuses that have changed it.
    protection: BTreeMap<Nexus, Vec<u8>>,
}

impl Default for Mode {
    fn default() -> Mode {
        Mode {
            block_length: 0,
            buffered: true,
            pages: std::array::from_fn(|index| PAGES[index].default.to_vec()),
            protection: BTreeMap::new(),
        }
    }
}

impl Mode {
    /// The current bytes of a page of [`PAGES`], for a nexus.
    pub(super) fn page(&self, nexus: Nexus, index: usize) -> &[u8] {
        let own = self.protection.get(&nexus);
        own.filter(|_| index == PROTECTION)
            .unwrap_or(&self.pages[index])
    }

    /// Takes a page's new bytes, which are as long as the old ones.
    ///
    /// # Errors
    /// The first byte in which a bit differs that must not be changed, or
    /// which says what this drive can't do.
    pub(super) fn set_page(
        &mut self,
        nexus: Nexus,
        index: usize,
        bytes: &[u8],
    ) -> Result<(), usize> {
        let page = &PAGES[index];
        let start = page.header_bytes();
        let bits = bytes
            .iter()
            .zip(self.page(nexus, index))
            .zip(page.changeable);
        let fixed = |((new, old), mask): ((&u8, &u8), &u8)| (new ^ old) & !mask != 0;
        if let Some(at) = bits.skip(start).position(fixed) {
            return Err(start + at);
        }
        if index == PROTECTION {
            check_protection(&bytes[start..]).map_err(|at| start + at)?;
            let default = PAGES[PROTECTION].default;
            let own = self.protection.entry(nexus).or_insert(default.to_vec());
            own[start..].copy_from_slice(&bytes[start..]);
        } else {
            self.pages[index][start..].copy_from_slice(&bytes[start..]);
        }
        Ok(())
    }

    /// Whether what all nexuses share is the same in both.
    pub(super) fn shares(&self, other: &Mode) -> bool {
        (self.block_length, self.buffered, &self.pages)
            == (other.block_length, other.buffered, &other.pages)
    }

    /// LBP_W: bytes of protection information behind each block that the nexus
    /// writes.
    pub(super) fn bytes_behind_written(&self, nexus: Nexus) -> usize {
        self.bytes_behind(nexus, 0x80)
    }

    /// LBP_R: the same of blocks that it reads.
    pub(super) fn bytes_behind_read(&self, nexus: Nexus) -> usize {
        self.bytes_behind(nexus, 0x40)
    }

    fn bytes_behind(&self, nexus: Nexus, flag: u8) -> usize {
        let page = self.page(nexus, PROTECTION);
        let on = page[4] == CRC32C && page[6] & flag != 0;
        if on { PROTECTION_BYTES } else { 0 }
    }

    /// Bytes of the programmable early warning zone (PEWS, in megabytes).
    pub(super) fn programmable_zone(&self) -> u64 {
        let page = &self.pages[EXTENSION];
        u64::from(u16::from_be_bytes([page[6], page[7]])) * 1_000_000
    }

    /// DCE: whether the host believes that data is compressed.
    pub(super) fn compresses(&self) -> bool {
        self.pages[COMPRESSION][2] & 0x80 != 0
    }
}

/// Whether a method is one of ours, and the rest of the page fits it. The byte
/// that does not is the error.
fn check_protection(content: &[u8]) -> Result<(), usize> {
    let [method, length, flags, ..] = *content else {
        return Err(0);
    };
    match method {
        0 if length != 0 => Err(1),
        0 if flags != 0 => Err(2),
        0 => Ok(()),
        CRC32C if usize::from(length) != PROTECTION_BYTES => Err(1),
        CRC32C => Ok(()),
        _ => Err(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_tell_their_own_length() {
        for page in &PAGES {
            let told = if page.subpage == 0 {
                usize::from(page.default[1])
            } else {
                usize::from(u16::from_be_bytes([page.default[2], page.default[3]]))
            };
            assert_eq!(
                told + page.header_bytes(),
                page.default.len(),
                "{:02x}",
                page.code
            );
            assert_eq!(page.default.len(), page.changeable.len());
            assert_eq!(page.default[0] & 0x3f, page.code);
        }
        let mode = Mode::default();
        assert!(mode.compresses());
        assert_eq!(PAGES[EXTENSION].subpage, 1);
        assert_eq!(PAGES[COMPRESSION].code, 0x0f);
        assert_eq!(PAGES[PROTECTION].code, 0x0a);
    }
}
