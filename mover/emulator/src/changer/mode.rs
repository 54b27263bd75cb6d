//! MODE SENSE: which addresses the elements have, and what can be moved where
//! (SMC-3 7.3). A host can change nothing of it.

use super::Changer;
use crate::library::state::{Range, TRANSPORT};
use crate::spc::response::Checked;
use crate::spc::{Command, mode};

/// Bits of an element kind in a capability byte.
const DATA_TRANSFER: u8 = 0x08;
const IMPORT_EXPORT: u8 = 0x04;
const STORAGE: u8 = 0x02;

impl Changer {
    pub(super) fn mode_sense(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let contents = [
            self.element_addresses(),
            transport_geometry(),
            self.capabilities(),
        ];
        let fixed = |bytes: &Vec<u8>| [&bytes[..2], &vec![0; bytes.len() - 2]].concat();
        let changeable = contents.each_ref().map(fixed);
        let page = |(bytes, changeable)| -> mode::Page<'_> {
            let bytes: &Vec<u8> = bytes;
            let changeable: &Vec<u8> = changeable;
            mode::Page {
                code: bytes[0],
                subpage: 0,
                current: bytes,
                changeable,
                default: bytes,
            }
        };
        let pages: Vec<_> = contents.iter().zip(&changeable).map(page).collect();
        mode::sense(command, mode::Header::default(), &pages)
    }

    /// Element Address Assignment.
    fn element_addresses(&self) -> Vec<u8> {
        let state = self.store.state();
        let transport = Range {
            first: TRANSPORT,
            count: 1,
        };
        let mut page = vec![0x1d, 0x12];
        for range in [transport, state.storage, state.mail, state.data_transfer] {
            page.extend(range.first.to_be_bytes());
            page.extend(range.count.to_be_bytes());
        }
        page.extend([0, 0]);
        page
    }

    /// Device Capabilities: all kinds but the transport hold cartridges, and
    /// they can be moved and exchanged between all of these.
    fn capabilities(&self) -> Vec<u8> {
        let mail = if self.store.state().mail.count > 0 {
            IMPORT_EXPORT
        } else {
            0
        };
        let all = DATA_TRANSFER | mail | STORAGE;
        let from_mail = if mail == 0 { 0 } else { all };
        // From transport, storage, import/export and data transfer elements.
        let moves = [0, all, from_mail, all];
        let mut page = vec![0x1f, 0x12, all, 0];
        page.extend(moves);
        page.extend([0; 4]);
        page.extend(moves);
        page.extend([0; 4]);
        page
    }
}

/// Transport Geometry Parameters: one transport, that does not turn media over.
fn transport_geometry() -> Vec<u8> {
    vec![0x1e, 0x02, 0, 0]
}
