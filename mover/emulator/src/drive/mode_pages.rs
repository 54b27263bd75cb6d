//! The mode pages, as bytes: what they are by default, and which bits a host
//! may change (SSC-5 8.5, SPC-5 7.5).

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

const COMPRESSION: usize = 0;
const EXTENSION: usize = 2;

/// Data compression; device configuration and its extension; informational
/// exceptions; medium configuration.
pub(super) static PAGES: [Page; 5] = [
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

const fn extension(content: [u8; 4]) -> [u8; 32] {
    let mut page = [0; 32];
    page[0] = 0x10 | SPF;
    page[1] = 0x01;
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

/// The mode parameters that are in force. They are one set for all nexuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mode {
    /// BLOCK LENGTH of the block descriptor, in bytes; 0 for variable.
    pub block_length: u32,
    /// BUFFERED MODE.
    pub buffered: bool,
    pages: [Vec<u8>; PAGES.len()],
}

impl Default for Mode {
    fn default() -> Mode {
        Mode {
            block_length: 0,
            buffered: true,
            pages: std::array::from_fn(|index| PAGES[index].default.to_vec()),
        }
    }
}

impl Mode {
    /// The current bytes of a page of [`PAGES`].
    pub(super) fn page(&self, index: usize) -> &[u8] {
        &self.pages[index]
    }

    /// Takes a page's new bytes, which are as long as the old ones.
    ///
    /// # Errors
    /// The first byte in which a bit differs that must not be changed.
    pub(super) fn set_page(&mut self, index: usize, bytes: &[u8]) -> Result<(), usize> {
        let page = &PAGES[index];
        let start = page.header_bytes();
        let bits = bytes.iter().zip(&self.pages[index]).zip(page.changeable);
        let fixed = |((new, old), mask): ((&u8, &u8), &u8)| (new ^ old) & !mask != 0;
        if let Some(at) = bits.skip(start).position(fixed) {
            return Err(start + at);
        }
        self.pages[index][start..].copy_from_slice(&bytes[start..]);
        Ok(())
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
    }
}
