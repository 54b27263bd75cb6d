//! MODE SENSE, both sizes (SPC-5 6.13, 6.14): the bytes around the pages.

use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::spc::opcode;

use super::Command;
use super::bytes::be16;
use super::response::{Checked, invalid_cdb};

const ALL_PAGES: u8 = 0x3f;
const ALL_SUBPAGES: u8 = 0xff;

/// A page with its header; its three sets of bytes are equally long.
pub(crate) struct Page<'a> {
    pub code: u8,
    pub subpage: u8,
    pub current: &'a [u8],
    /// Ones where a host may change a bit.
    pub changeable: &'a [u8],
    pub default: &'a [u8],
}

/// What stands before the pages.
#[derive(Default)]
pub(crate) struct Header {
    pub medium_type: u8,
    /// DEVICE-SPECIFIC PARAMETER.
    pub specific: u8,
    /// The block descriptor, if the device has any; DBD leaves it out.
    pub descriptor: Vec<u8>,
}

/// Answers with the pages asked for, of those in `pages`.
pub(crate) fn sense(
    command: &mut Command<'_>,
    header: Header,
    pages: &[Page<'_>],
) -> Checked<usize> {
    const DBD: u8 = 0x08;
    let six = command.cdb[0] == opcode::MODE_SENSE_6;
    let allocation = usize::from(if six {
        command.cdb[4].into()
    } else {
        be16(&command.cdb[7..])
    });
    let pages = asked(command.cdb[2], command.cdb[3], pages)?;
    let descriptor = if command.cdb[1] & DBD != 0 {
        Vec::new()
    } else {
        header.descriptor
    };
    let (medium_type, specific) = (header.medium_type, header.specific);
    let length = descriptor.len() as u8;
    let rest = descriptor.len() + pages.len();
    let mut reply = if six {
        vec![(rest + 3) as u8, medium_type, specific, length]
    } else {
        let [high, low] = ((rest + 6) as u16).to_be_bytes();
        vec![high, low, medium_type, specific, 0, 0, 0, length]
    };
    reply.extend(descriptor);
    reply.extend(pages);
    Ok(command.reply(&reply, allocation))
}

/// The bytes of the pages that PAGE CODE and SUBPAGE CODE name.
fn asked(control: u8, subpage: u8, pages: &[Page<'_>]) -> Checked<Vec<u8>> {
    let code = control & 0x3f;
    let wanted = |page: &&Page<'_>| {
        (code == ALL_PAGES || code == page.code)
            && (subpage == page.subpage || subpage == ALL_SUBPAGES)
    };
    // All pages with subpage 0 are the pages without one.
    let mut bytes = Vec::new();
    for page in pages.iter().filter(wanted) {
        match control >> 6 {
            0 => bytes.extend(page.current),
            1 => bytes.extend(page.changeable),
            2 => bytes.extend(page.default),
            _ => return Err(Sense::new(SenseKey::IllegalRequest, 0x39, 0x00).into()),
        }
    }
    // Page 0 with no subpage asks for the descriptor alone.
    if bytes.is_empty() && (code, subpage) != (0, 0) {
        return Err(invalid_cdb(if subpage == 0 { 2 } else { 3 }).into());
    }
    Ok(bytes)
}
