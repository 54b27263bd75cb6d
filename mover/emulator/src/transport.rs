//! The drive's door in the same process: a [`Transport`].

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use longhaul_scsi::sense::Sense;
use longhaul_scsi::transport::{Completion, Data, Outcome, Request, Transport, TransportError};

use crate::clock::ClockMode;
use crate::drive::{Drive, Nexus, Response, Setup};
use crate::error::Error;
use crate::faults::Plan;
use crate::medium::{Blank, CAPACITY_DEFAULT, Medium};
use crate::url::Url;

/// Name of the initiator that a process is by default.
const INITIATOR: &str = "in-process";

/// A path to an emulated drive in this process.
///
/// What the drive's buffer has not moved to the medium when the last path is
/// dropped is lost, as in a power cut; a host that wants its writes kept
/// synchronises them, as with a real drive.
pub struct Emulated {
    drive: Arc<Mutex<Drive>>,
    nexus: Nexus,
    name: String,
    in_flight: Option<InFlight>,
}

struct InFlight {
    completion: Completion,
    /// When the answer comes.
    due: Option<Instant>,
}

impl Emulated {
    /// A drive with the cartridge of an existing file.
    ///
    /// # Errors
    /// [`Error`]: no such file, held by another process, damaged, or made with
    /// another capacity or kind of media than the URL says.
    pub fn open(url: &Url) -> Result<Emulated, Error> {
        let faults = plan(url)?;
        let medium = Medium::open(&url.path)?;
        agrees(url, &medium)?;
        Ok(Emulated::with(url, medium, faults))
    }

    /// A drive with a blank cartridge in a new file.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file already; what the host says if it
    /// cannot be made.
    pub fn create(url: &Url) -> Result<Emulated, Error> {
        let faults = plan(url)?;
        let blank = Blank {
            capacity: url.capacity.unwrap_or(CAPACITY_DEFAULT),
            media: url.media.unwrap_or_default(),
            barcode: url.barcode.clone(),
        };
        let medium = Medium::create(&url.path, &blank)?;
        Ok(Emulated::with(url, medium, faults))
    }

    fn with(url: &Url, mut medium: Medium, faults: Plan) -> Emulated {
        if let Some(on) = url.write_protect {
            medium.set_write_protect(on);
        }
        let serial = url.serial.clone().unwrap_or_else(|| drive_serial(&medium));
        let setup = Setup {
            serial,
            clock: url.clock,
            buffer_bytes: url.buffer,
            faults,
        };
        let mut drive = Drive::new(setup);
        drive.insert(medium);
        let name = format!("vtape:{}", url.path.display());
        Emulated::attach(Arc::new(Mutex::new(drive)), INITIATOR, name)
    }

    /// Another path to a drive, as the initiator of this name: a nexus of its
    /// own.
    pub fn attach(drive: Arc<Mutex<Drive>>, initiator: &str, name: String) -> Emulated {
        let nexus = lock(&drive).connect(initiator);
        Emulated {
            drive,
            nexus,
            name,
            in_flight: None,
        }
    }

    /// The drive behind this path, to be attached to or looked into.
    pub fn drive(&self) -> Arc<Mutex<Drive>> {
        Arc::clone(&self.drive)
    }

    fn perform(&mut self, request: Request) -> InFlight {
        let Request {
            cdb,
            mut data,
            timeout,
        } = request;
        let mut drive = lock(&self.drive);
        let asked = data.len();
        let response = match &mut data {
            Data::None => drive.execute(self.nexus, cdb.as_bytes(), &[], &mut []),
            Data::In { buffer, len } => {
                drive.execute(self.nexus, cdb.as_bytes(), &[], &mut buffer[..*len])
            }
            Data::Out { buffer, len } => {
                drive.execute(self.nexus, cdb.as_bytes(), &buffer[..*len], &mut [])
            }
        };
        let late = response.took > timeout;
        let waits = drive.clock().mode() != ClockMode::Simulated;
        let took = response.took.min(timeout);
        let due = (waits && took > Duration::ZERO).then(|| Instant::now() + took);
        let outcome = if late {
            timed_out(asked)
        } else {
            outcome(&response, asked)
        };
        InFlight {
            completion: Completion { outcome, data },
            due,
        }
    }
}

impl Transport for Emulated {
    fn submit(&mut self, request: Request) {
        assert!(self.in_flight.is_none(), "a command is in flight already");
        self.in_flight = Some(self.perform(request));
    }

    fn complete(&mut self) -> Completion {
        let InFlight { completion, due } = self.in_flight.take().expect("a command is in flight");
        if let Some(due) = due {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        completion
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// A thread that panicked while it held the drive left it in a state that a
/// command can be left in: the drive is as usable as after a power cut.
fn lock(drive: &Mutex<Drive>) -> MutexGuard<'_, Drive> {
    drive.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer as it comes over the wire: sense data goes through its bytes.
fn outcome(response: &Response, asked: usize) -> Outcome {
    let sense = response.sense.as_ref();
    Outcome {
        status: response.status,
        sense: sense.and_then(|sense| Sense::decode(&sense.encode_fixed()).ok()),
        residual: asked as i64 - response.transferred as i64,
    }
}

fn timed_out(asked: usize) -> Outcome {
    Outcome {
        status: Err(TransportError::TimedOut),
        sense: None,
        residual: asked as i64,
    }
}

fn plan(url: &Url) -> Result<Plan, Error> {
    let Some(path) = &url.faults else {
        return Ok(Plan::default());
    };
    Plan::load(path).map_err(|source| Error::Faults {
        path: path.clone(),
        source,
    })
}

/// The drive's serial number: made from the cartridge's, which stands in for
/// the drive that it is always found in.
fn drive_serial(medium: &Medium) -> String {
    let uuid = medium.uuid();
    let hex: String = uuid[..4].iter().map(|byte| format!("{byte:02X}")).collect();
    format!("VT{hex}")
}

fn agrees(url: &Url, medium: &Medium) -> Result<(), Error> {
    let differs = |option, has: String, asked: String| {
        let path: &Path = &url.path;
        Err(Error::Mismatch {
            path: path.to_owned(),
            option,
            has,
            asked,
        })
    };
    if let Some(capacity) = url
        .capacity
        .filter(|capacity| *capacity != medium.capacity())
    {
        return differs(
            "capacity",
            medium.capacity().to_string(),
            capacity.to_string(),
        );
    }
    let keeps = if medium.discards() { "discard" } else { "keep" };
    if let Some(media) = url.media.filter(|media| media.to_string() != keeps) {
        return differs("media", keeps.to_owned(), media.to_string());
    }
    if let Some(barcode) = url
        .barcode
        .as_deref()
        .filter(|barcode| *barcode != medium.barcode())
    {
        return differs("barcode", medium.barcode().to_owned(), barcode.to_owned());
    }
    Ok(())
}
