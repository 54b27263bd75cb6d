//! `lh-mover serve`: the backup service of a node.

use std::path::PathBuf;

use clap::Args;
use nix::sys::signal::{SigSet, Signal};

use crate::job::ExitStatus;
use crate::serve::{self, Happened, ServeError};

/// Serve as the backup service of this node
///
/// Carries out what the coordinator orders, each attempt in a process of its own.
/// SIGTERM and SIGINT end it in an orderly way: what is under way reaches a
/// checkpoint, from which it goes on later, or elsewhere. SIGHUP has it read its
/// configuration again and look for drives and changers.
#[derive(Args)]
pub struct Serve {
    /// Its configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/longhaul/mover.toml")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn run(self) -> ExitStatus {
        let ended = self.serve();
        ended.unwrap_or_else(|error| {
            say!("lh-mover: {error}");
            error.exit_status()
        })
    }

    fn serve(&self) -> Result<ExitStatus, ServeError> {
        // Before there is a second thread: all inherit it.
        let signals = block().map_err(|error| ServeError::Thread(error.into()))?;
        let (running, to) = serve::set_up(&self.config)?;
        std::thread::spawn(move || {
            while let Ok(signal) = signals.wait() {
                let happened = match signal {
                    Signal::SIGHUP => Happened::Reload,
                    _ => Happened::End,
                };
                if to.send(happened).is_err() {
                    break;
                }
            }
        });
        running.serve()
    }
}

fn block() -> nix::Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}
