//! `lh-mover alert`, `release` and `admit`: what the agents of a cluster say to the
//! backup service of their node. Not for people.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use longhaul_cluster::event_from_variables;

use crate::job::ExitStatus;
use crate::serve::config::{self, Config};
use crate::serve::request::{AskError, Request, ask};
use crate::serve::{ServeError, store};

/// How long an alert may take. The agent has three seconds.
const ALERT: Duration = Duration::from_secs(2);
/// How long the service may take to take note of a mount.
const ADMIT: Duration = Duration::from_secs(4);
/// How long the service may take to let go of a mount. The agent has 20 s.
const RELEASE: Duration = Duration::from_secs(18);

/// Which service.
#[derive(Args)]
struct ServiceArg {
    /// The configuration of the backup service
    #[arg(long, value_name = "FILE", default_value = "/etc/longhaul/mover.toml")]
    config: PathBuf,
}

/// Hand what Pacemaker tells its alert agents to the backup service
///
/// It is in variables of the environment whose names begin with CRM_alert_.
#[derive(Args)]
pub struct Alert {
    #[command(flatten)]
    service: ServiceArg,
}

/// Have the backup service let go of a file system that is to leave this node
///
/// Backups and restores below MOUNT, or around it, reach a checkpoint and end; none
/// begins there until it is admitted. Ends with 0 when no attempt has a file open
/// there, and after 18 s otherwise.
#[derive(Args)]
pub struct Release {
    /// Where it is mounted: an absolute path
    mount: PathBuf,

    #[command(flatten)]
    service: ServiceArg,
}

/// Tell the backup service that a file system has come to this node
#[derive(Args)]
pub struct Admit {
    /// Where it is mounted: an absolute path
    mount: PathBuf,

    #[command(flatten)]
    service: ServiceArg,
}

/// Why it was not done.
#[derive(Debug)]
struct Failed {
    words: String,
    exit: ExitStatus,
}

impl From<AskError> for Failed {
    fn from(error: AskError) -> Failed {
        Failed {
            exit: error.exit_status(),
            words: error.to_string(),
        }
    }
}

impl From<ServeError> for Failed {
    fn from(error: ServeError) -> Failed {
        Failed {
            exit: error.exit_status(),
            words: error.to_string(),
        }
    }
}

fn status(done: Result<(), Failed>) -> ExitStatus {
    match done {
        Ok(()) => ExitStatus::Done,
        Err(failed) => {
            say!("lh-mover: {}", failed.words);
            failed.exit
        }
    }
}

impl Alert {
    pub(super) fn run(self) -> ExitStatus {
        status(self.hand_over())
    }

    fn hand_over(&self) -> Result<(), Failed> {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok()?;
            let is_ours = name.starts_with("CRM_alert_");
            is_ours.then(|| (name, value.to_string_lossy().into_owned()))
        };
        let variables: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
        let event = event_from_variables(&variables).map_err(|error| Failed {
            words: error.to_string(),
            exit: ExitStatus::Usage,
        })?;
        let socket = socket(&self.service.config)?;
        Ok(ask(&socket, &Request::Alert { event }, ALERT)?)
    }
}

/// Where the service listens. Pacemaker runs its alert agents as a user who may not
/// read the configuration: then it is where it is if nothing else is said.
fn socket(file: &Path) -> Result<PathBuf, ServeError> {
    match std::fs::File::open(file) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(config::socket()),
        _ => Ok(Config::read(file)?.socket),
    }
}

impl Release {
    pub(super) fn run(self) -> ExitStatus {
        status(self.release())
    }

    fn release(&self) -> Result<(), Failed> {
        let begun = Instant::now();
        let config = Config::read(&self.service.config)?;
        let mount = self.mount.clone();
        match ask(&config.socket, &Request::Release { mount }, RELEASE) {
            // No attempt outlives its service for long.
            Err(AskError::NoService(_)) => {
                let rest = RELEASE.saturating_sub(begun.elapsed());
                Ok(store::wait_until_idle(&config.state, rest)?)
            }
            answered => Ok(answered?),
        }
    }
}

impl Admit {
    pub(super) fn run(self) -> ExitStatus {
        status(self.admit())
    }

    fn admit(&self) -> Result<(), Failed> {
        let config = Config::read(&self.service.config)?;
        let mount = self.mount.clone();
        match ask(&config.socket, &Request::Admit { mount }, ADMIT) {
            // One that starts has released nothing.
            Err(AskError::NoService(_)) => Ok(()),
            answered => Ok(answered?),
        }
    }
}
