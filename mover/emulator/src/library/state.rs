//! What `library.toml` says: the elements, the drives, and where each
//! cartridge is. The format is described in `docs/library.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::url::{is_barcode, is_serial};

/// The version that is written.
const VERSION: u32 = 1;

/// Address of the one medium transport element.
pub(crate) const TRANSPORT: u16 = 1;
/// Addresses of the first elements, as in IBM's small libraries.
pub(super) const MAIL_FIRST: u16 = 0x10;
pub(super) const DRIVES_FIRST: u16 = 0x100;
pub(super) const STORAGE_FIRST: u16 = 0x1000;

/// Most drives of a library.
pub const DRIVES_MAX: u16 = 64;
/// Most storage elements.
pub const SLOTS_MAX: u16 = 4096;
/// Most import/export elements.
pub const MAIL_SLOTS_MAX: u16 = 64;
/// Most cartridges, those on the operator's shelf included.
pub const CARTRIDGES_MAX: usize = 8192;

/// The kind of an element (ELEMENT TYPE CODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Transport = 1,
    Storage = 2,
    ImportExport = 3,
    DataTransfer = 4,
}

impl Kind {
    pub(crate) fn from_code(code: u8) -> Option<Kind> {
        Some(match code {
            1 => Kind::Transport,
            2 => Kind::Storage,
            3 => Kind::ImportExport,
            4 => Kind::DataTransfer,
            _ => return None,
        })
    }
}

/// Addresses of the elements of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub first: u16,
    pub count: u16,
}

impl Range {
    pub(crate) fn addresses(self) -> impl Iterator<Item = u16> {
        (self.first..=u16::MAX).take(usize::from(self.count))
    }

    fn holds(self, address: u16) -> bool {
        address
            .checked_sub(self.first)
            .is_some_and(|index| index < self.count)
    }
}

/// A drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriveEntry {
    pub serial: String,
    /// Its fault plan's file, seen from the library's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<String>,
}

/// A cartridge, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cartridge {
    pub barcode: String,
    /// The element that it is in; none if it is out of the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<u16>,
    /// The storage element that it was in last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<u16>,
    /// The operator put it into the mail slot that it is in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(super) version: u32,
    /// The changer's serial number.
    pub(super) serial: String,
    /// `none`, `real` or `simulated`.
    pub(super) clock: String,
    /// Whether the changer unloads a drive by itself before it takes the
    /// cartridge out.
    pub(crate) unloads: bool,
    /// The changer's fault plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) faults: Option<String>,
    pub(crate) storage: Range,
    pub(crate) mail: Range,
    pub(crate) data_transfer: Range,
    #[serde(default)]
    pub(super) drives: Vec<DriveEntry>,
    #[serde(default)]
    pub(super) cartridges: Vec<Cartridge>,
}

impl State {
    pub(super) fn new(serial: String, clock: String, storage: Range, mail: Range) -> State {
        State {
            version: VERSION,
            serial,
            clock,
            unloads: true,
            faults: None,
            storage,
            mail,
            data_transfer: Range {
                first: DRIVES_FIRST,
                count: 0,
            },
            drives: Vec::new(),
            cartridges: Vec::new(),
        }
    }

    /// What is wrong with it, if something is.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "it is of version {}, which this program cannot read",
                self.version
            ));
        }
        self.check_elements()?;
        self.check_serials()?;
        self.check_cartridges()
    }

    fn check_elements(&self) -> Result<(), String> {
        let transport = Range {
            first: TRANSPORT,
            count: 1,
        };
        let kinds = [
            ("transport", transport, 1),
            ("mail", self.mail, MAIL_SLOTS_MAX),
            ("data_transfer", self.data_transfer, DRIVES_MAX),
            ("storage", self.storage, SLOTS_MAX),
        ];
        let mut taken = BTreeSet::new();
        for (name, range, most) in kinds {
            let end = u32::from(range.first) + u32::from(range.count);
            if range.count > most || range.first == 0 || end > 1 << 16 {
                return Err(format!(
                    "[{name}] may have at most {most} elements, with addresses from 1 to 65535"
                ));
            }
            if let Some(twice) = range.addresses().find(|address| !taken.insert(*address)) {
                return Err(format!(
                    "[{name}] has address {twice} that another kind has"
                ));
            }
        }
        if usize::from(self.data_transfer.count) != self.drives.len() {
            return Err(format!(
                "[data_transfer] has {} elements for {} drives",
                self.data_transfer.count,
                self.drives.len()
            ));
        }
        Ok(())
    }

    fn check_serials(&self) -> Result<(), String> {
        let drives = self.drives.iter().map(|drive| &drive.serial);
        let mut taken = BTreeSet::new();
        for serial in drives.chain([&self.serial]) {
            if !is_serial(serial) {
                return Err(format!(
                    "serial {serial:?} is not 1 to 32 letters, digits and dashes"
                ));
            }
            if !taken.insert(serial) {
                return Err(format!("two devices have the serial {serial:?}"));
            }
        }
        Ok(())
    }

    fn check_cartridges(&self) -> Result<(), String> {
        if self.cartridges.len() > CARTRIDGES_MAX {
            return Err(format!("there are more than {CARTRIDGES_MAX} cartridges"));
        }
        let (mut barcodes, mut places) = (BTreeSet::new(), BTreeSet::new());
        for cartridge in &self.cartridges {
            let barcode = &cartridge.barcode;
            if !is_barcode(barcode) {
                return Err(format!(
                    "barcode {barcode:?} is not 1 to 32 capital letters and digits"
                ));
            }
            if !barcodes.insert(barcode) {
                return Err(format!("cartridge {barcode} stands there twice"));
            }
            let Some(element) = cartridge.element else {
                continue;
            };
            if matches!(self.kind(element), None | Some(Kind::Transport)) {
                return Err(format!(
                    "cartridge {barcode} is in element {element}, that there is not"
                ));
            }
            if !places.insert(element) {
                return Err(format!("two cartridges are in element {element}"));
            }
        }
        Ok(())
    }

    /// What kind of element has this address.
    pub(crate) fn kind(&self, address: u16) -> Option<Kind> {
        match address {
            TRANSPORT => Some(Kind::Transport),
            _ if self.storage.holds(address) => Some(Kind::Storage),
            _ if self.mail.holds(address) => Some(Kind::ImportExport),
            _ if self.data_transfer.holds(address) => Some(Kind::DataTransfer),
            _ => None,
        }
    }

    /// All addresses, in ascending order.
    pub(crate) fn addresses(&self) -> Vec<(u16, Kind)> {
        let with = |range: Range, kind| range.addresses().map(move |address| (address, kind));
        let mut all: Vec<(u16, Kind)> = [(TRANSPORT, Kind::Transport)].into();
        all.extend(with(self.mail, Kind::ImportExport));
        all.extend(with(self.data_transfer, Kind::DataTransfer));
        all.extend(with(self.storage, Kind::Storage));
        all.sort_by_key(|(address, _)| *address);
        all
    }

    /// The number of the drive at an address, from 0.
    pub(crate) fn drive_at(&self, address: u16) -> Option<usize> {
        (self.kind(address) == Some(Kind::DataTransfer))
            .then(|| usize::from(address - self.data_transfer.first))
    }

    /// The cartridge in an element.
    pub(crate) fn cartridge_at(&self, address: u16) -> Option<&Cartridge> {
        let mut cartridges = self.cartridges.iter();
        cartridges.find(|cartridge| cartridge.element == Some(address))
    }

    /// Whether there is a cartridge of this barcode out of the library.
    pub(crate) fn is_outside(&self, barcode: &str) -> bool {
        self.cartridges
            .iter()
            .any(|cartridge| cartridge.barcode == barcode && cartridge.element.is_none())
    }

    /// Every element's cartridge.
    pub(crate) fn occupied(&self) -> BTreeMap<u16, &Cartridge> {
        self.cartridges
            .iter()
            .filter_map(|cartridge| Some((cartridge.element?, cartridge)))
            .collect()
    }

    /// The same with cartridges moved, all at once: each from an element to
    /// another. The caller has checked that it can be.
    pub(crate) fn with_moved(&self, moves: &[(u16, u16)]) -> State {
        let mut after = self.clone();
        for cartridge in &mut after.cartridges {
            let to = moves
                .iter()
                .find(|(from, _)| cartridge.element == Some(*from));
            let Some((from, to)) = to else { continue };
            if self.kind(*from) == Some(Kind::Storage) {
                cartridge.home = Some(*from);
            }
            cartridge.element = Some(*to);
            cartridge.imported = false;
        }
        after
    }

    /// The same with a cartridge put into a mail slot by the operator, or taken
    /// out of it (`element` is `None`).
    pub(crate) fn with_handled(&self, barcode: &str, element: Option<u16>) -> State {
        let mut after = self.clone();
        let mut cartridges = after.cartridges.iter_mut();
        if let Some(cartridge) = cartridges.find(|cartridge| cartridge.barcode == barcode) {
            cartridge.element = element;
            cartridge.home = None;
            cartridge.imported = element.is_some();
        }
        after
    }
}
