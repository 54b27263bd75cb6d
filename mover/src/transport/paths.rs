//! One device, several paths: when one is dead, the next is taken.
//!
//! Only whoever knows what the commands mean can say when a path is dead, and
//! what has to be done on the next one (another path is another I_T nexus,
//! without a reservation): [`Transport::change_path`] is called by the drive.

use longhaul_scsi::transport::{Completion, Request, Transport};

use super::OpenError;
use super::device::is_same;
use super::kernel::open_lun;
use super::sysfs::{Lun, Sysfs};

/// Gives another path than the last it gave, if there is one.
pub type Next = Box<dyn FnMut() -> Option<Box<dyn Transport>> + Send>;

/// A path, and how another is found.
pub struct Paths {
    current: Box<dyn Transport>,
    next: Next,
}

impl Paths {
    /// Begins with a path that is open.
    pub fn new(current: Box<dyn Transport>, next: Next) -> Paths {
        Paths { current, next }
    }

    /// Opens the first of a device's paths that can be, and looks for the
    /// others only when it is dead: until then another may have come or gone.
    ///
    /// # Errors
    /// The first path's, if none can be opened.
    pub(super) fn open(sysfs: Sysfs, paths: &[Lun]) -> Result<Paths, OpenError> {
        let mut first_error = None;
        for lun in paths {
            match open_lun(lun) {
                Ok(current) => return Ok(Paths::new(current, others(sysfs, lun.clone()))),
                // Whoever has it has the drive, by whatever path.
                Err(error @ OpenError::Held(_)) => return Err(error),
                Err(error) => {
                    log::warn!("{error}");
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| OpenError::Name("a device without a path".to_owned())))
    }
}

impl Transport for Paths {
    fn submit(&mut self, request: Request) {
        self.current.submit(request);
    }

    fn complete(&mut self) -> Completion {
        self.current.complete()
    }

    fn name(&self) -> String {
        self.current.name()
    }

    fn change_path(&mut self) -> bool {
        match (self.next)() {
            Some(next) => {
                log::warn!("{}: the path is dead; taking {}", self.name(), next.name());
                self.current = next;
                true
            }
            None => false,
        }
    }
}

/// The paths to the device that `at` leads to, in turn. A device that was lost
/// and found again has other nodes than before, and is another path.
fn others(sysfs: Sysfs, mut at: Lun) -> Next {
    Box::new(move || {
        let luns = sysfs.luns();
        let here = luns.iter().position(|lun| lun.address == at.address);
        let (before, behind) = luns.split_at(here.map_or(0, |here| here + 1));
        for lun in behind.iter().chain(before) {
            let another = lun.nst != at.nst || lun.sg != at.sg;
            if !another || !is_same(lun, &at) {
                continue;
            }
            match open_lun(lun) {
                Ok(path) => {
                    at = lun.clone();
                    return Some(path);
                }
                Err(error) => log::warn!("{error}"),
            }
        }
        None
    })
}
