//! A tape library in a folder: drives, a changer, and cartridges with
//! barcodes.
//!
//! A library is a cabinet of *elements* with numbers: storage elements (the
//! slots), import/export elements (the mail slots, through which an operator
//! hands cartridges in and out), data transfer elements (the drives), and the
//! medium transport element that carries cartridges between them. To a host it
//! is several SCSI devices: each drive is one ([`Drive`]), and the changer is
//! one more ([`Changer`]), which is told "move what is at this number to that
//! one".
//!
//! [`Library::create`] makes the folder, [`Library::open`] switches the cabinet
//! on: the folder is locked, cartridges that were in drives are threaded again,
//! and [`Library::units`] are there for doors to serve. A [`Unit`] takes the
//! commands of any number of initiators, from any number of threads.
//!
//! Where each cartridge is, is kept durably before a move is reported done, as
//! a real cartridge stays where it lies in a power cut (`store`). What a drive's
//! buffer has not moved to the medium is lost in one, here as there.

mod operator;
mod plan;
pub(crate) mod state;
mod store;
mod ticker;
mod unit;

use std::path::Path;
use std::sync::{Arc, Mutex};

pub use plan::Plan;
pub use state::{CARTRIDGES_MAX, DRIVES_MAX, MAIL_SLOTS_MAX, SLOTS_MAX};
pub(crate) use store::{Kept, Store};
pub use ticker::Ticker;
pub use unit::Unit;
pub(crate) use unit::lock;

use crate::changer::Changer;
use crate::clock::ClockMode;
use crate::drive::{Drive, Setup};
use crate::error::Error;
use crate::faults;

/// An open library.
#[derive(Debug)]
pub struct Library {
    units: Vec<Unit>,
    drives: Vec<Arc<Mutex<Drive>>>,
    changer: Arc<Mutex<Changer>>,
}

impl Library {
    /// Makes a library in a folder, which may exist, with blank cartridges.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a library already, [`Error::Impossible`]
    /// for numbers out of bounds, [`Error::Io`] from the host.
    pub fn create(dir: &Path, plan: &Plan) -> Result<(), Error> {
        plan::create(dir, plan)
    }

    /// Takes the library of a folder, for this process alone, and switches it
    /// on.
    ///
    /// # Errors
    /// [`Error::NoLibrary`] if the folder holds none, [`Error::Held`] with the
    /// process that has it, [`Error::Library`] for a `library.toml` that cannot
    /// be, and what cartridges in drives and fault plans may meet.
    pub fn open(dir: &Path) -> Result<Library, Error> {
        let store = Store::open(dir)?;
        let state = store.state();
        let clock: ClockMode = state.clock.parse().map_err(|what| Error::Library {
            path: dir.to_owned(),
            what,
        })?;
        let mut drives = Vec::new();
        for (address, entry) in state.data_transfer.addresses().zip(&state.drives) {
            let mut drive = Drive::new(Setup {
                serial: entry.serial.clone(),
                clock,
                buffer_bytes: None,
                faults: plan_of(&store, entry.faults.as_deref())?,
            });
            if let Some(cartridge) = state.cartridge_at(address) {
                drive.insert(store.open_cartridge(&cartridge.barcode)?);
            }
            drives.push(Arc::new(Mutex::new(drive)));
        }
        let faults = plan_of(&store, state.faults.as_deref())?;
        let serial = state.serial.clone();
        let changer = Changer::new(&serial, store, drives.clone(), clock, faults);
        let changer = Arc::new(Mutex::new(changer));
        let mut units = vec![Unit::Changer(Arc::clone(&changer))];
        units.extend(drives.iter().cloned().map(Unit::Drive));
        Ok(Library {
            units,
            drives,
            changer,
        })
    }

    /// The changer, then the drives in the order of their addresses.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Time passes: each drive does what is due ([`Drive::tick`]). A [`Ticker`]
    /// calls this while the library is served.
    pub fn tick(&self) {
        for drive in &self.drives {
            lock(drive).tick();
        }
    }

    /// Moves all that the drives have accepted to their media, before an
    /// orderly end.
    pub fn settle(&self) {
        for drive in &self.drives {
            lock(drive).settle();
        }
    }
}

fn plan_of(store: &Store, name: Option<&str>) -> Result<faults::Plan, Error> {
    let Some(path) = name.map(|name| store.path(name)) else {
        return Ok(faults::Plan::default());
    };
    faults::Plan::load(&path).map_err(|source| Error::Faults { path, source })
}
