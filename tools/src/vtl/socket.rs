//! A library on a Unix socket, until a signal ends it.

use std::path::Path;
use std::sync::Arc;

use longhaul_emulator::socket::{Address, Server};
use longhaul_emulator::{Library, Unit};
use nix::sys::signal::{SigSet, Signal};

use super::Failure;

/// Serves the library of a folder on a socket until SIGTERM or SIGINT; what the
/// drives have accepted goes to the media then. `ready` is called once clients
/// can connect, with the devices and how each is named to them.
///
/// # Errors
/// What opening the library and listening may meet.
pub fn serve_on_socket(
    dir: &Path,
    socket: &Path,
    ready: impl FnOnce(&[(Unit, Address)]),
) -> Result<(), Failure> {
    // Blocked before there are other threads, which inherit it: one waits.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    let failed = |action| {
        move |errno: nix::errno::Errno| Failure::Target {
            action,
            path: socket.to_owned(),
            source: errno.into(),
        }
    };
    signals
        .thread_block()
        .map_err(failed("block signals for"))?;
    let server = Server::start(Arc::new(Library::open(dir)?), socket)?;
    let named = |unit: &Unit| {
        let address = Address {
            socket: socket.to_owned(),
            serial: unit.serial(),
            initiator: None,
        };
        (unit.clone(), address)
    };
    let units: Vec<_> = server.library().units().iter().map(named).collect();
    ready(&units);
    let signal = signals.wait().map_err(failed("wait for signals for"))?;
    log::info!("{signal}: the library is withdrawn");
    drop(server);
    Ok(())
}
