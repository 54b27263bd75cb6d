//! A device of the library, for a door to serve.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::changer::Changer;
use crate::clock::ClockMode;
use crate::drive::{Drive, Nexus, Response};

/// A device of the library. Clones are the same device.
#[derive(Debug, Clone)]
pub enum Unit {
    /// A tape drive.
    Drive(Arc<Mutex<Drive>>),
    /// The medium changer.
    Changer(Arc<Mutex<Changer>>),
}

impl Unit {
    /// UNIT SERIAL NUMBER.
    pub fn serial(&self) -> String {
        match self {
            Unit::Drive(drive) => lock(drive).serial().to_owned(),
            Unit::Changer(changer) => lock(changer).serial().to_owned(),
        }
    }

    /// Whether it is the changer.
    pub fn is_changer(&self) -> bool {
        matches!(self, Unit::Changer(_))
    }

    /// The nexus of the initiator with this name: the same again for the same
    /// name. Its first command meets a unit attention, as after power on.
    pub fn connect(&self, initiator: &str) -> Nexus {
        match self {
            Unit::Drive(drive) => lock(drive).connect(initiator),
            Unit::Changer(changer) => lock(changer).connect(initiator),
        }
    }

    /// Carries a command out, and returns when it is decided how it ends. The
    /// door answers `took` later, and holds nothing meanwhile: others' commands
    /// are served. (With a simulated clock that is never later.)
    pub fn execute(
        &self,
        nexus: Nexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> Response {
        match self {
            Unit::Drive(drive) => {
                let mut drive = lock(drive);
                let mut response = drive.execute(nexus, cdb, data_out, data_in);
                if drive.clock().mode() == ClockMode::Simulated {
                    response.took = Duration::ZERO;
                }
                response
            }
            Unit::Changer(changer) => lock(changer).execute(nexus, cdb, data_out, data_in),
        }
    }

    /// The logical unit is reset (SAM-6 6.3.3), which all initiators will hear
    /// of: what a drive has accepted and not moved to the medium is lost.
    pub fn reset(&self) {
        match self {
            Unit::Drive(drive) => lock(drive).bus_reset(),
            Unit::Changer(changer) => lock(changer).bus_reset(),
        }
    }
}

/// A thread that panicked while it held a device left it in a state that a
/// command can be left in: the device is as usable as after a power cut.
pub(crate) fn lock<T>(device: &Mutex<T>) -> MutexGuard<'_, T> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}
