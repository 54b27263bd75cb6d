//! READ ATTRIBUTE and WRITE ATTRIBUTE (SPC-5 6.17, 6.44).

use longhaul_scsi::sense::{Sense, SenseKey};

use super::attribute_list::{Shown, host_attribute};
use super::{Command, Drive};
use crate::medium::{Attribute, MediumError};
use crate::spc::bytes::{be16, be32};
use crate::spc::response::{Checked, invalid_cdb, invalid_parameter, list_length, write_protected};

const READ_ONLY: u8 = 0x80;
const HEADER_BYTES: usize = 5;

impl Drive {
    pub(super) fn read_attribute(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const VALUES: u8 = 0;
        const LIST: u8 = 1;
        const VOLUMES: u8 = 2;
        const PARTITIONS: u8 = 3;
        const SUPPORTED: u8 = 5;
        let first = be16(&command.cdb[8..]);
        let allocation = be32(&command.cdb[10..]) as usize;
        self.ready()?;
        if command.cdb[7] != 0 {
            return Err(invalid_cdb(7).into());
        }
        let Some(medium) = &self.medium else {
            return Err(super::no_medium().into());
        };
        let all = self.attributes(medium);
        let reply = match command.cdb[1] & 0x1f {
            VALUES => {
                let shown = values(&all.into_iter().collect::<Vec<_>>(), first);
                with_length(&shown.ok_or_else(|| invalid_cdb(8))?)
            }
            LIST => with_length(&ids(all.into_keys())),
            SUPPORTED => {
                let hosts = (0x0800..=0x080c).filter(|id| !all.contains_key(id));
                let mut ids: Vec<u16> = all.keys().copied().chain(hosts).collect();
                ids.sort_unstable();
                with_length(&self::ids(ids.into_iter()))
            }
            // One logical volume with number 0, and one partition.
            VOLUMES | PARTITIONS => vec![0, 2, 0, 1],
            _ => return Err(invalid_cdb(1).into()),
        };
        Ok(command.reply(&reply, allocation))
    }

    pub(super) fn write_attribute(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let length = be32(&command.cdb[10..]) as usize;
        if command.cdb[7] != 0 {
            return Err(invalid_cdb(7).into());
        }
        let medium = self.ready()?;
        if length == 0 {
            return Ok(0);
        }
        let list = command.out.get(..length).ok_or_else(list_length)?;
        let changes = changes(list)?;
        if medium.write_protected() {
            return Err(write_protected().into());
        }
        medium
            .set_attributes(&changes)
            .map_err(|error| match error {
                // AUXILIARY MEMORY OUT OF SPACE.
                MediumError::Full => Sense::new(SenseKey::IllegalRequest, 0x55, 0x06),
                error => {
                    log::warn!("attributes could not be written: {error:?}");
                    // AUXILIARY MEMORY WRITE ERROR.
                    Sense::new(SenseKey::MediumError, 0x11, 0x12)
                }
            })?;
        Ok(length)
    }
}

/// Attributes from the first wanted on. That one must exist: a drive says
/// INVALID FIELD IN CDB for one that does not.
fn values(all: &[(u16, Shown)], first: u16) -> Option<Vec<u8>> {
    if first != 0 && !all.iter().any(|(id, _)| *id == first) {
        return None;
    }
    let mut bytes = Vec::new();
    for (id, shown) in all.iter().filter(|(id, _)| *id >= first) {
        bytes.extend(id.to_be_bytes());
        bytes.push(shown.format | if shown.read_only { READ_ONLY } else { 0 });
        bytes.extend((shown.value.len() as u16).to_be_bytes());
        bytes.extend(&shown.value);
    }
    Some(bytes)
}

fn ids(ids: impl Iterator<Item = u16>) -> Vec<u8> {
    ids.flat_map(u16::to_be_bytes).collect()
}

fn with_length(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], content].concat()
}

/// The attributes of a parameter list, all checked before any is set.
fn changes(list: &[u8]) -> Checked<Vec<(u16, Attribute)>> {
    if list.len() < 4 || be32(list) as usize != list.len() - 4 {
        return Err(list_length().into());
    }
    let mut changes = Vec::new();
    let mut at = 4;
    while at < list.len() {
        let header = list.get(at..at + HEADER_BYTES).ok_or_else(list_length)?;
        let (id, format) = (be16(header), header[2] & 0x03);
        let start = at + HEADER_BYTES;
        let end = start + usize::from(be16(&header[3..]));
        let value = list.get(start..end).ok_or_else(list_length)?;
        let (expected, longest) = host_attribute(id).ok_or_else(|| invalid_parameter(at))?;
        if expected.is_some_and(|expected| expected != format) {
            return Err(invalid_parameter(at + 2).into());
        }
        if value.len() > longest {
            return Err(invalid_parameter(at + 3).into());
        }
        changes.push((
            id,
            Attribute {
                format,
                value: value.to_vec(),
            },
        ));
        at = end;
    }
    Ok(changes)
}
