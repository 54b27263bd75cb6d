//! MODE SENSE and MODE SELECT, both sizes (SPC-5 6.11 to 6.14).

use longhaul_scsi::spc::opcode as spc;

use super::mode_pages::{MEDIUM_TYPE, Mode, PAGES, Page};
use super::{Command, DENSITY, Drive, Nexus};
use crate::medium::BLOCK_BYTES_MAX;
use crate::spc::bytes::{be16, be24};
use crate::spc::response::{Checked, invalid_cdb, invalid_parameter, list_length};
use crate::spc::{mode, nexus};

const DESCRIPTOR_BYTES: usize = 8;
/// DENSITY CODE: no change.
const SAME_DENSITY: u8 = 0x7f;
const WRITE_PROTECTED: u8 = 0x80;

impl Drive {
    pub(super) fn mode_sense(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let header = mode::Header {
            medium_type: if self.loaded { MEDIUM_TYPE } else { 0 },
            specific: self.device_specific(),
            descriptor: self.descriptor(),
        };
        let page = |(index, page): (usize, &'static Page)| mode::Page {
            code: page.code,
            subpage: page.subpage,
            current: self.mode.page(command.nexus, index),
            changeable: page.changeable,
            default: page.default,
        };
        let pages: Vec<mode::Page<'_>> = PAGES.iter().enumerate().map(page).collect();
        mode::sense(command, header, &pages)
    }

    fn device_specific(&self) -> u8 {
        let protected = self.loaded && self.medium.as_ref().is_some_and(|m| m.write_protected());
        (if protected { WRITE_PROTECTED } else { 0 }) | u8::from(self.mode.buffered) << 4
    }

    fn descriptor(&self) -> Vec<u8> {
        let density = if self.loaded { DENSITY } else { 0 };
        let mut descriptor = vec![density, 0, 0, 0];
        descriptor.extend(self.mode.block_length.to_be_bytes());
        descriptor
    }

    pub(super) fn mode_select(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const SP: u8 = 0x01;
        const PF: u8 = 0x10;
        let six = command.cdb[0] == spc::MODE_SELECT_6;
        let length = usize::from(if six {
            command.cdb[4].into()
        } else {
            be16(&command.cdb[7..])
        });
        if command.cdb[1] & SP != 0 {
            return Err(invalid_cdb(1).into());
        }
        if length == 0 {
            return Ok(0);
        }
        let list = command.out.get(..length).ok_or_else(list_length)?;
        let mut mode = self.mode.clone();
        let pages = header(&mut mode, list, six)?;
        if pages < list.len() && command.cdb[1] & PF == 0 {
            return Err(invalid_cdb(1).into());
        }
        set_pages(&mut mode, command.nexus, list, pages)?;
        if mode.buffered != self.mode.buffered {
            self.synchronise()?;
        }
        if !mode.shares(&self.mode) {
            self.unit
                .sessions
                .attend_others(command.nexus, nexus::MODE_CHANGED);
        }
        self.mode = mode;
        Ok(length)
    }
}

/// Takes header and block descriptor. Returns where the pages begin.
fn header(mode: &mut Mode, list: &[u8], six: bool) -> Checked<usize> {
    let bytes = if six { 4 } else { 8 };
    if list.len() < bytes {
        return Err(list_length().into());
    }
    let (specific, descriptor) = if six {
        (2, list[3].into())
    } else {
        (3, be16(&list[6..]))
    };
    match list[specific] >> 4 & 0x07 {
        buffered @ (0 | 1) => mode.buffered = buffered == 1,
        _ => return Err(invalid_parameter(specific).into()),
    }
    match usize::from(descriptor) {
        0 => Ok(bytes),
        DESCRIPTOR_BYTES if list.len() >= bytes + DESCRIPTOR_BYTES => {
            block_descriptor(mode, &list[bytes..], bytes)?;
            Ok(bytes + DESCRIPTOR_BYTES)
        }
        DESCRIPTOR_BYTES => Err(list_length().into()),
        _ => Err(invalid_parameter(bytes - 1).into()),
    }
}

fn block_descriptor(mode: &mut Mode, descriptor: &[u8], at: usize) -> Checked<()> {
    if ![0, DENSITY, SAME_DENSITY].contains(&descriptor[0]) {
        return Err(invalid_parameter(at).into());
    }
    let block_length = be24(&descriptor[5..]);
    if block_length > BLOCK_BYTES_MAX {
        return Err(invalid_parameter(at + 5).into());
    }
    mode.block_length = block_length;
    Ok(())
}

fn set_pages(mode: &mut Mode, nexus: Nexus, list: &[u8], start: usize) -> Checked<()> {
    const SPF: u8 = 0x40;
    let mut at = start;
    while at < list.len() {
        let rest = &list[at..];
        let code = rest[0] & 0x3f;
        let subpage = if rest[0] & SPF == 0 {
            0
        } else {
            *rest.get(1).ok_or_else(list_length)?
        };
        let found = PAGES
            .iter()
            .position(|page| (page.code, page.subpage) == (code, subpage));
        let index = found.ok_or_else(|| invalid_parameter(at))?;
        let page = &PAGES[index];
        let bytes = rest.get(..page.default.len()).ok_or_else(list_length)?;
        let header = page.header_bytes();
        if bytes[1..header] != page.default[1..header] {
            return Err(invalid_parameter(at + 1).into());
        }
        mode.set_page(nexus, index, bytes)
            .map_err(|byte| invalid_parameter(at + byte))?;
        at += bytes.len();
    }
    Ok(())
}
