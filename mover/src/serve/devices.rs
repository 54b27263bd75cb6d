//! Which drives and changers this node reaches, and which changer loads which
//! drive.
//!
//! Who looks has a device open for a moment, and nobody else can open it then:
//! it is looked while no attempt runs on this node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use longhaul_protocol::Name;
use longhaul_protocol::report::DriveSeen;
use longhaul_scsi::smc::read_element_status::ElementType;

use super::config::Config;
use crate::changer::{Changer, serial_of};
use crate::drive::Drive;
use crate::job::library::Library;
use crate::job::{JobError, drives};
use crate::transport::{self, Sysfs};

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// Drives, by serial number.
    pub drives: Vec<DriveSeen>,
    /// Changers' serial numbers.
    pub changers: Vec<Name>,
    /// How those are opened that are not by their serial numbers.
    pub names: BTreeMap<Name, String>,
}

/// Looks for devices, and remembers what does not change.
#[derive(Debug)]
pub struct Looking {
    config: Config,
    /// Serial numbers and products of the drives that are named.
    named: BTreeMap<String, (Name, String)>,
    /// The serial numbers of the changers that are named.
    changers: BTreeMap<String, Name>,
    /// What each changer loads.
    loads: BTreeMap<Name, Vec<String>>,
    /// Folder for notes of moves, as changers want one.
    state: PathBuf,
}

impl Looking {
    /// Nothing is known yet.
    pub fn new(config: &Config) -> Looking {
        Looking {
            state: config.state.join("changers"),
            config: config.clone(),
            named: BTreeMap::new(),
            changers: BTreeMap::new(),
            loads: BTreeMap::new(),
        }
    }

    /// By what it looks.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Looks. What cannot be had is said in the log.
    pub fn look(&mut self) -> Devices {
        let mut found = Devices::default();
        if self.config.discover {
            self.kernel(&mut found);
        }
        for name in self.config.drives.clone() {
            self.drive(&name, &mut found);
        }
        for name in self.config.changers.clone() {
            self.changer(&name, &mut found);
        }
        for (changer, drives) in &self.loads {
            for drive in &mut found.drives {
                if drives.iter().any(|serial| serial == drive.serial.as_str()) {
                    drive.library = Some(changer.clone());
                }
            }
        }
        found.drives.sort_by(|a, b| a.serial.cmp(&b.serial));
        found.drives.dedup_by(|a, b| a.serial == b.serial);
        found.changers.sort();
        found.changers.dedup();
        found
    }

    /// What the kernel shows.
    fn kernel(&mut self, found: &mut Devices) {
        for report in drives::run(&Sysfs::default()) {
            let serial: Name = match report.serial.parse() {
                Ok(serial) => serial,
                Err(error) => {
                    log::warn!("a {} is not used: {error}", report.kind);
                    continue;
                }
            };
            if report.is_changer() {
                self.loads(&serial, serial.as_str());
                found.changers.push(serial);
            } else {
                found.drives.push(DriveSeen {
                    serial,
                    product: format!("{} {}", report.vendor, report.product),
                    library: None,
                    trouble: report.problem,
                });
            }
        }
    }

    /// A drive that is named. An emulated one gets a blank cartridge if it has none.
    fn drive(&mut self, name: &str, found: &mut Devices) {
        let asked = || -> Result<(Name, String), String> {
            transport::create_if_missing(name).map_err(|error| error.to_string())?;
            let transport = transport::open(name).map_err(|error| error.to_string())?;
            let drive = Drive::open(transport).map_err(|error| error.to_string())?;
            let identity = drive.identity();
            let serial = identity.serial.parse::<Name>();
            let serial = serial.map_err(|error| error.to_string())?;
            Ok((serial, format!("{} {}", identity.vendor, identity.product)))
        };
        if !self.named.contains_key(name) {
            match asked() {
                Ok(drive) => drop(self.named.insert(name.to_owned(), drive)),
                Err(error) => log::warn!("drive {name} is not used: {error}"),
            }
        }
        if let Some((serial, product)) = self.named.get(name) {
            found.names.insert(serial.clone(), name.to_owned());
            found.drives.push(DriveSeen {
                serial: serial.clone(),
                product: product.clone(),
                library: None,
                trouble: None,
            });
        }
    }

    /// A changer that is named.
    fn changer(&mut self, name: &str, found: &mut Devices) {
        if !self.changers.contains_key(name) {
            match serial(name, &self.state) {
                Ok(serial) => drop(self.changers.insert(name.to_owned(), serial)),
                Err(error) => log::warn!("changer {name} is not used: {error}"),
            }
        }
        if let Some(serial) = self.changers.get(name).cloned() {
            self.loads(&serial, name);
            found.names.insert(serial.clone(), name.to_owned());
            found.changers.push(serial);
        }
    }

    /// Asks a changer which drives it loads, once.
    fn loads(&mut self, serial: &Name, name: &str) {
        if self.loads.contains_key(serial) {
            return;
        }
        let asked = || -> Result<Vec<String>, JobError> {
            let inventory = Library::open(name, &self.state)?.inventory()?;
            let drives = inventory.of(ElementType::DataTransfer);
            Ok(drives.filter_map(serial_of).collect())
        };
        match asked() {
            Ok(drives) => drop(self.loads.insert(serial.clone(), drives)),
            Err(error) => log::warn!("changer {serial}: {error}"),
        }
    }
}

fn serial(name: &str, state: &Path) -> Result<Name, String> {
    let transport = transport::open_changer(name).map_err(|error| error.to_string())?;
    let changer = Changer::open(transport, state).map_err(|error| error.to_string())?;
    let serial = changer.serial().parse::<Name>();
    serial.map_err(|error| error.to_string())
}
