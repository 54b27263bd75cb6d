//! READ ELEMENT STATUS (SMC-3 6.12): what lies where.

use std::collections::BTreeMap;

use super::Changer;
use crate::library::lock;
use crate::library::state::{Cartridge, Kind};
use crate::spc::Command;
use crate::spc::bytes::{be16, be24, padded};
use crate::spc::response::{Checked, invalid_cdb};

const HEADER_BYTES: usize = 8;
const PAGE_HEADER_BYTES: usize = 8;
const PVOLTAG: u8 = 0x80;

/// Flags of a descriptor.
const FULL: u8 = 0x01;
const IMPEXP: u8 = 0x02;
const ACCESS: u8 = 0x08;
const EXENAB: u8 = 0x10;
const INENAB: u8 = 0x20;
const SVALID: u8 = 0x80;

/// What beside the state itself is asked for.
#[derive(Clone, Copy)]
struct Wanted {
    volume_tags: bool,
    device_ids: bool,
}

impl Changer {
    pub(super) fn read_element_status(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const VOLTAG: u8 = 0x10;
        const DVCID: u8 = 0x01;
        let cdb = command.cdb;
        let kind = match cdb[1] & 0x0f {
            0 => None,
            code => Some(Kind::from_code(code).ok_or_else(|| invalid_cdb(1))?),
        };
        let wanted = Wanted {
            volume_tags: cdb[1] & VOLTAG != 0,
            device_ids: cdb[6] & DVCID != 0,
        };
        let (start, count) = (be16(&cdb[2..]), be16(&cdb[4..]));
        let allocation = be24(&cdb[7..]) as usize;
        let mut elements = self.store.state().addresses();
        elements.retain(|(address, its)| *address >= start && kind.is_none_or(|kind| kind == *its));
        elements.truncate(usize::from(count));
        let room = allocation.min(command.into.len());
        let reply = self.report(&elements, wanted, room);
        Ok(command.reply(&reply, allocation))
    }

    /// The header counts all elements; of the descriptors, those are there that
    /// fit as a whole.
    fn report(&self, elements: &[(u16, Kind)], wanted: Wanted, room: usize) -> Vec<u8> {
        let occupied = self.store.state().occupied();
        let first = elements.first().map_or(0, |(address, _)| *address);
        let mut report = first.to_be_bytes().to_vec();
        report.extend((elements.len() as u16).to_be_bytes());
        report.extend([0; 4]);
        let mut available = 0;
        for run in elements.chunk_by(|a, b| a.1 == b.1) {
            let descriptors = self.descriptors(run, wanted, &occupied);
            let length = descriptors.first().map_or(0, Vec::len);
            let bytes = length * descriptors.len();
            available += PAGE_HEADER_BYTES + bytes;
            let left = room.saturating_sub(report.len() + PAGE_HEADER_BYTES);
            let whole = descriptors.len().min(left / length.max(1));
            if whole == 0 {
                continue;
            }
            let tags = if wanted.volume_tags { PVOLTAG } else { 0 };
            report.extend([run[0].1 as u8, tags]);
            report.extend((length as u16).to_be_bytes());
            report.extend((bytes as u32).to_be_bytes());
            report.extend(descriptors[..whole].concat());
        }
        report[4..HEADER_BYTES].copy_from_slice(&(available as u32).to_be_bytes());
        report
    }

    /// The descriptors of elements of one kind, equally long.
    fn descriptors(
        &self,
        run: &[(u16, Kind)],
        wanted: Wanted,
        occupied: &BTreeMap<u16, &Cartridge>,
    ) -> Vec<Vec<u8>> {
        let one = |(address, kind): &(u16, Kind)| {
            let cartridge = occupied.get(address).copied();
            self.descriptor(*address, *kind, cartridge, wanted)
        };
        let mut descriptors: Vec<Vec<u8>> = run.iter().map(one).collect();
        let longest = descriptors.iter().map(Vec::len).max().unwrap_or(0);
        for descriptor in &mut descriptors {
            descriptor.resize(longest, 0);
        }
        descriptors
    }

    fn descriptor(
        &self,
        address: u16,
        kind: Kind,
        cartridge: Option<&Cartridge>,
        wanted: Wanted,
    ) -> Vec<u8> {
        // No designator: code set, type and length are 0.
        const NO_DESIGNATOR: [u8; 4] = [0; 4];
        let mut descriptor = address.to_be_bytes().to_vec();
        // ASC and ASCQ are 0: no element is in an exceptional state.
        descriptor.extend([self.flags(address, kind, cartridge), 0, 0, 0, 0, 0, 0]);
        let source = cartridge.and_then(|cartridge| cartridge.home);
        descriptor.push(if source.is_some() { SVALID } else { 0 });
        descriptor.extend(source.unwrap_or(0).to_be_bytes());
        if wanted.volume_tags {
            let tag = match cartridge {
                Some(cartridge) => padded::<32>(&cartridge.barcode),
                None => [0; 32],
            };
            descriptor.extend(tag);
            // Two reserved bytes, and VOLUME SEQUENCE NUMBER.
            descriptor.extend([0; 4]);
        }
        let drive = self.store.state().drive_at(address);
        match drive.filter(|_| wanted.device_ids) {
            Some(drive) => descriptor.extend(&self.designators[drive]),
            None => descriptor.extend(NO_DESIGNATOR),
        }
        descriptor
    }

    fn flags(&self, address: u16, kind: Kind, cartridge: Option<&Cartridge>) -> u8 {
        let full = if cartridge.is_some() { FULL } else { 0 };
        let imported = cartridge.is_some_and(|cartridge| cartridge.imported);
        full | match kind {
            Kind::Transport => 0,
            Kind::Storage => ACCESS,
            Kind::ImportExport => INENAB | EXENAB | ACCESS | if imported { IMPEXP } else { 0 },
            // A cartridge that is threaded is out of the picker's reach.
            Kind::DataTransfer if self.is_threaded(address) => 0,
            Kind::DataTransfer => ACCESS,
        }
    }

    fn is_threaded(&self, address: u16) -> bool {
        let drive = self.store.state().drive_at(address);
        drive.is_some_and(|drive| lock(&self.drives[drive]).is_loaded())
    }
}
