//! The emulated library as devices of the kernel's.
//!
//! The kernel's target (LIO) presents logical units to initiators, and hands
//! the commands to this process (TCMU, [`longhaul_ffi::tcmu`]). So the real
//! drivers and other people's programs use the library as one they can buy:
//!
//! ```text
//!  initiator          kernel: target              this process
//!  /dev/nst0 ── door ── LUN 1 ── backstore ═ring═ thread ─┐
//!  /dev/sg2  ── door ── LUN 0 ── backstore ═ring═ thread ─┼─ Unit (one state,
//!  other host ─ door ── LUN 1 ── backstore ═ring═ thread ─┘  under its lock)
//! ```
//!
//! The ring does not say who sent a command. So each pair of logical unit and
//! initiator, and each path of it, has a backstore of its own: then the library
//! knows the I_T nexus, and reservations, unit attentions and preventions are
//! its own and not the kernel's (`pgr_support=0`).
//!
//! LUN 0 is the changer; LUN *n* is the library's *n*th drive.
//!
//! The order of things, both ways:
//! 1. what a process that was killed has left in the kernel is removed;
//! 2. backstores, and a thread for each that answers;
//! 3. the target, whose links make the kernel scan it at once.
//!
//! - `configfs`: the few things that can be done to the kernel's target
//! - `names`: how a library knows what is its own there
//! - `backstore`: the kernel's end of a ring
//! - `target`: what initiators see, made and removed
//! - `answer`: commands out of a ring, and answers back
//! - `dying`: a process that was killed in the middle of step 3

mod answer;
mod arguments;
mod backstore;
mod configfs;
mod door;
mod dying;
mod error;
mod names;
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use longhaul_emulator::library::{Ticker, Unit};
use longhaul_ffi::tcmu::{Ring, RingError};
use nix::sys::signal::{SigSet, Signal};

use super::Failure;
use answer::{Ending, answer};
pub use arguments::DoorArguments;
pub use door::{Door, parse_iscsi_name, parse_portal, parse_wwpn};
pub use error::ServeError;
use names::Names;
use target::Seat;

/// Most backstores, each of which has a thread.
pub const SEATS_MAX: usize = 64;

/// Why the service ends.
enum End {
    Signal(Signal),
    Ring {
        backstore: String,
        source: RingError,
    },
}

/// Presents the library of a folder behind `door` until SIGTERM or SIGINT, and removes
/// everything again. `ready` is called once initiators can use it, with the
/// logical units in the order of their numbers.
///
/// A library is open in one process at a time, so what is found in the kernel
/// under its names belongs to a process that is gone.
///
/// # Errors
/// [`Failure::Cartridge`] if the library cannot be opened, [`Failure::Serve`]
/// if it cannot be presented; what was made is removed then, too.
pub fn serve(dir: &Path, door: &Door, ready: impl FnOnce(&[Unit])) -> Result<(), Failure> {
    let root = kernel_target()?;
    // Before any thread is made, so that the signals go to the one that waits.
    let signals = block_signals()?;
    let library = Arc::new(dying::open(root, dir)?);
    let ticker = Ticker::start(Arc::clone(&library))?;
    let served = serve_units(root, library.units(), door, signals, ready);
    drop(ticker);
    library.settle();
    Ok(served?)
}

fn serve_units(
    root: &Path,
    units: &[Unit],
    door: &Door,
    signals: SigSet,
    ready: impl FnOnce(&[Unit]),
) -> Result<(), ServeError> {
    // The changer, then the drives: their places are their numbers.
    let names = Names::of(&serials(units));
    let paths = door.paths(&host_name());
    let count = units.len() * paths.len();
    if count > SEATS_MAX {
        return Err(ServeError::TooMany {
            count,
            most: SEATS_MAX,
        });
    }
    target::give_up_all(root, names);
    target::close(root, names)?;
    let left = target::remove_backstores(root, names)?;
    if left > 0 {
        log::warn!("removed {left} backstores that a process left behind");
    }
    target::check_free(root, door, names)?;
    let (sender, ends) = mpsc::channel();
    let mut answering = Answering::default();
    let served =
        present(root, door, names, units, &paths, &sender, &mut answering).and_then(|()| {
            wait_for_signals(signals, &sender)?;
            ready(units);
            wait(&ends)
        });
    if served.is_err() {
        // A ring that is not answered any more would be waited for.
        target::give_up_all(root, names);
    }
    let removed = withdraw(root, names, answering);
    served.and(removed)
}

/// Makes everything, and lets it answer.
fn present(
    root: &Path,
    door: &Door,
    names: Names,
    units: &[Unit],
    paths: &[door::Path],
    ends: &Sender<End>,
    answering: &mut Answering,
) -> Result<(), ServeError> {
    let hba = backstore::make_hba(root)?;
    let config = target::config(door, names);
    let mut seats = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        for (lun, unit) in units.iter().enumerate() {
            let backstore = names.backstore(lun, number);
            let (folder, ring) = backstore::make_backstore(&hba, &backstore, &config)?;
            answering.add(ring, unit.clone(), &path.nexus, backstore, ends.clone())?;
            seats.push(Seat {
                lun,
                path: path.clone(),
                backstore: folder,
            });
        }
    }
    target::open(root, door, names, &seats)
}

/// Removes everything, from the initiators' side inwards; the rings are
/// answered until nobody can send a command any more.
fn withdraw(root: &Path, names: Names, answering: Answering) -> Result<(), ServeError> {
    answering.end.hurry.store(true, Ordering::Relaxed);
    let closed = target::close(root, names);
    answering.stop();
    closed?;
    target::remove_backstores(root, names).map(|_| ())
}

/// The threads that answer.
#[derive(Default)]
struct Answering {
    end: Arc<Ending>,
    threads: Vec<JoinHandle<()>>,
}

impl Answering {
    fn add(
        &mut self,
        mut ring: Ring,
        unit: Unit,
        initiator: &str,
        backstore: String,
        ends: Sender<End>,
    ) -> Result<(), ServeError> {
        let nexus = unit.connect(initiator);
        let end = Arc::clone(&self.end);
        let thread = thread::Builder::new()
            .name("lh-vtl-ring".into())
            .spawn(move || {
                if let Err(source) = answer(&mut ring, &unit, nexus, &end) {
                    // Nobody listens any more when the service ends anyway.
                    let _ = ends.send(End::Ring { backstore, source });
                }
            });
        let thread = thread.map_err(|source| ServeError::Host {
            action: "start a thread",
            source,
        })?;
        self.threads.push(thread);
        Ok(())
    }

    fn stop(self) {
        self.end.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                log::error!("a thread that answers the kernel panicked");
            }
        }
    }
}

fn wait(ends: &Receiver<End>) -> Result<(), ServeError> {
    match ends.recv() {
        Ok(End::Ring { backstore, source }) => Err(ServeError::Ring { backstore, source }),
        Ok(End::Signal(signal)) => {
            log::info!("{signal}: the library is withdrawn");
            Ok(())
        }
        // The caller holds a sender.
        Err(_) => Ok(()),
    }
}

fn block_signals() -> Result<SigSet, ServeError> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|errno| ServeError::Host {
        action: "block signals",
        source: errno.into(),
    })?;
    Ok(signals)
}

/// A thread that says when a signal comes. It ends with the process.
fn wait_for_signals(signals: SigSet, ends: &Sender<End>) -> Result<(), ServeError> {
    let ends = ends.clone();
    let waiting = thread::Builder::new()
        .name("lh-vtl-signals".into())
        .spawn(move || {
            while let Ok(signal) = signals.wait() {
                if ends.send(End::Signal(signal)).is_err() {
                    break;
                }
            }
        });
    waiting.map(|_| ()).map_err(|source| ServeError::Host {
        action: "start a thread",
        source,
    })
}

fn serials(units: &[Unit]) -> String {
    let serials: Vec<String> = units.iter().map(Unit::serial).collect();
    serials.join(",")
}

fn kernel_target() -> Result<&'static Path, ServeError> {
    let root = Path::new(configfs::TARGET);
    let core = root.join("core");
    if core.is_dir() {
        Ok(root)
    } else {
        Err(ServeError::NoTarget { path: core })
    }
}

fn host_name() -> String {
    let name = fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname"));
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
