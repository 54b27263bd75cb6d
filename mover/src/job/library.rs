//! A tape library at work: bringing a volume to a drive, and back to its slot.

use std::path::Path;
use std::time::Duration;

use longhaul_scsi::smc::read_element_status::{Element, ElementType};

use super::turn::in_turn;
use super::{ExitStatus, JobError};
use crate::changer::{Changer, ChangerError, Inventory, Trouble, serial_of};
use crate::drive::Drive;
use crate::transport;

/// How long a drive may take to thread a cartridge that it was just given; the
/// first load of an LTO-9 cartridge may take two hours.
const READY_WAIT: Duration = Duration::from_secs(140 * 60);

/// A volume that was brought to a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The drive, as it is opened by.
    pub drive: String,
    /// What the library reads on the cartridge, if it was a library.
    pub barcode: Option<String>,
}

/// A library that this process works with.
pub struct Library {
    /// The name that it was opened by.
    name: String,
    changer: Changer,
}

impl Library {
    /// Opens the changer of this name. Notes of moves are kept below `state`.
    ///
    /// # Errors
    /// If the name names no changer, it does not answer, or somebody holds it.
    pub fn open(name: &str, state: &Path) -> Result<Library, JobError> {
        let transport = transport::open_changer(name).map_err(JobError::Library)?;
        let changer = Changer::open(transport, state)?;
        Ok(Library {
            name: name.to_owned(),
            changer,
        })
    }

    /// The same, once other processes of this host that have it let go of it: for at
    /// most a quarter of an hour.
    ///
    /// # Errors
    /// As [`open`](Library::open).
    pub fn open_in_turn(name: &str, state: &Path) -> Result<Library, JobError> {
        in_turn(|| Library::open(name, state))
    }

    /// What lies where.
    ///
    /// # Errors
    /// The changer's.
    pub fn inventory(&mut self) -> Result<Inventory, JobError> {
        Ok(self.changer.inventory()?)
    }

    /// The element that holds the volume of this name.
    ///
    /// # Errors
    /// If there is none; the changer's.
    pub fn place_of(&mut self, volume: &str) -> Result<u16, JobError> {
        let inventory = self.changer.inventory()?;
        Ok(self.named(inventory.volume(volume))?.address)
    }

    /// What is read on the cartridge of the volume of this name, if that is in the
    /// drive of this serial number.
    ///
    /// # Errors
    /// If there is no such drive or volume; the changer's.
    pub fn barcode_in(&mut self, serial: &str, volume: &str) -> Result<Option<String>, JobError> {
        let inventory = self.changer.inventory()?;
        let drive = self.named(inventory.drive(serial))?.address;
        let place = self.named(inventory.volume(volume))?;
        let tag = place.volume_tag.clone();
        Ok(tag.filter(|_| place.address == drive))
    }

    /// The changer towards people.
    pub fn label(&self) -> &str {
        self.changer.label()
    }

    /// Brings the volume of this name to a drive: to the one that is named, or
    /// to an empty one that this node can reach. A volume that is in a drive
    /// already stays there if no other was named.
    ///
    /// # Errors
    /// If there is no such volume, or no drive for it; the changer's and the
    /// drive's.
    pub fn load(&mut self, volume: &str, drive: Option<&str>) -> Result<Loaded, JobError> {
        let mut inventory = self.changer.inventory()?;
        let source = self.named(inventory.volume(volume))?.clone();
        let wanted = match drive {
            Some(drive) => Some(self.named(inventory.drive(drive))?.clone()),
            None => None,
        };
        let barcode = source.volume_tag.clone();
        if source.kind == ElementType::DataTransfer {
            if wanted.as_ref().is_none_or(|w| w.address == source.address) {
                let drive = self.wait_ready(&source)?;
                return Ok(Loaded { drive, barcode });
            }
            inventory = self.unload(volume, None)?;
        }
        let from = self.named(inventory.volume(volume))?.address;
        let destination = match wanted {
            Some(wanted) => wanted,
            None => self.empty_drive(&inventory)?,
        };
        self.changer.carry(from, destination.address)?;
        let drive = self.wait_ready(&destination)?;
        Ok(Loaded { drive, barcode })
    }

    /// Puts what is in the drive of this serial number, which has let it go, back
    /// to a slot, and brings the volume of this name there instead; returns what
    /// is read on its cartridge.
    ///
    /// # Errors
    /// If there is no such drive or volume, or no free slot; the changer's.
    pub fn exchange(&mut self, serial: &str, volume: &str) -> Result<Option<String>, JobError> {
        let mut inventory = self.put_back(serial)?;
        let drive = self.named(inventory.drive(serial))?.clone();
        let mut source = self.named(inventory.volume(volume))?.clone();
        if source.kind == ElementType::DataTransfer {
            inventory = self.unload(volume, None)?;
            source = self.named(inventory.volume(volume))?.clone();
        }
        self.changer.carry(source.address, drive.address)?;
        Ok(source.volume_tag)
    }

    /// Puts what is in the drive of this serial number, which has let it go, back to
    /// a slot.
    ///
    /// # Errors
    /// If there is no such drive, or no free slot; the changer's.
    pub fn put_back(&mut self, serial: &str) -> Result<Inventory, JobError> {
        let inventory = self.changer.inventory()?;
        let drive = self.named(inventory.drive(serial))?;
        if !drive.full {
            return Ok(inventory);
        }
        let (address, home) = (drive.address, inventory.home_of(drive));
        let home =
            home.ok_or_else(|| self.trouble(Trouble::Occupied("there is no free slot".into())))?;
        Ok(self.changer.carry(address, home)?)
    }

    /// Has a drive let its volume go, and brings the volume to a slot: to the
    /// one that is named, to the one that it came from, or to a free one.
    /// `what` is a drive's serial number or a volume's name.
    ///
    /// # Errors
    /// If there is no such drive or volume, the drive is in use, or there is no
    /// free slot; the changer's and the drive's.
    pub fn unload(&mut self, what: &str, to: Option<u16>) -> Result<Inventory, JobError> {
        let inventory = self.changer.inventory()?;
        let source = match inventory.volume(what) {
            Ok(element) => element,
            Err(no_volume) => match inventory.drive(what) {
                Ok(element) => element,
                Err(_) => return Err(self.trouble(no_volume)),
            },
        };
        if source.kind != ElementType::DataTransfer || !source.full {
            let what = format!("there is no volume in a drive under the name {what}");
            return Err(self.trouble(Trouble::Usage(what)));
        }
        let to = to
            .or_else(|| inventory.home_of(source))
            .ok_or_else(|| self.trouble(Trouble::Occupied("there is no free slot".into())))?;
        self.let_go(source)?;
        Ok(self.changer.carry(source.address, to)?)
    }

    /// Carries a volume from one element to another. What is in a drive is let
    /// go by it first.
    ///
    /// # Errors
    /// As [`unload`](Library::unload).
    pub fn carry(&mut self, from: u16, to: u16) -> Result<Inventory, JobError> {
        let inventory = self.changer.inventory()?;
        if let Some(source) = inventory.at(from)
            && source.kind == ElementType::DataTransfer
            && source.full
        {
            self.let_go(source)?;
        }
        Ok(self.changer.carry(from, to)?)
    }

    /// Has a drive let its volume go: the robot can take nothing else.
    fn let_go(&self, source: &Element) -> Result<(), JobError> {
        let name = self.drive_name(source)?;
        let unloaded =
            || -> Result<(), JobError> { Ok(Drive::open(transport::open(&name)?)?.unload()?) };
        match unloaded() {
            // Its holder has let it go, and waits for another.
            Err(error) if error.exit_status() == ExitStatus::Held && source.accessible => Ok(()),
            other => other.map_err(|cause| JobError::Elsewhere {
                volume: source.volume_tag.clone().unwrap_or_default(),
                drive: serial_of(source).unwrap_or_default(),
                cause: Box::new(cause),
            }),
        }
    }

    /// The first empty drive that this node can open.
    fn empty_drive(&self, inventory: &Inventory) -> Result<Element, JobError> {
        let mut refusals = Vec::new();
        for element in inventory.of(ElementType::DataTransfer) {
            let serial = serial_of(element).unwrap_or_else(|| element.address.to_string());
            if element.full {
                let volume = element.volume_tag.as_deref().unwrap_or("a volume");
                refusals.push(format!("{serial} holds {volume}"));
                continue;
            }
            match self.drive_name(element).map(|name| transport::open(&name)) {
                Ok(Ok(_)) => return Ok(element.clone()),
                Ok(Err(error)) => refusals.push(format!("{serial}: {error}")),
                Err(error) => refusals.push(error.to_string()),
            }
        }
        let refusals = refusals.join("; ");
        Err(self.trouble(Trouble::Occupied(format!(
            "there is no empty drive for this node: {refusals}"
        ))))
    }

    /// Waits until a drive has taken its volume, unless that is for its holder
    /// to do.
    fn wait_ready(&self, element: &Element) -> Result<String, JobError> {
        let name = self.drive_name(element)?;
        let waited = || -> Result<(), JobError> {
            Drive::open(transport::open(&name)?)?.ready(READY_WAIT)?;
            Ok(())
        };
        match waited() {
            Err(error) if error.exit_status() != ExitStatus::Held => Err(error),
            _ => Ok(name),
        }
    }

    /// How a drive of this library is opened.
    fn drive_name(&self, element: &Element) -> Result<String, JobError> {
        let serial = serial_of(element).ok_or_else(|| {
            self.trouble(Trouble::Usage(format!(
                "the library does not tell the serial number of drive {}",
                element.address
            )))
        })?;
        Ok(transport::beside(&self.name, &serial))
    }

    fn named<'a>(&self, found: Result<&'a Element, Trouble>) -> Result<&'a Element, JobError> {
        found.map_err(|trouble| self.trouble(trouble))
    }

    fn trouble(&self, trouble: Trouble) -> JobError {
        JobError::Changer(ChangerError {
            changer: self.changer.label().to_owned(),
            during: "inventory",
            trouble,
        })
    }
}
