//! Jobs: what a person asks for, carried out on one drive.
//!
//! | file | noun |
//! | --- | --- |
//! | `session` | a drive with our volume in it, from opening to release |
//! | `mounts` | where volumes come from: drives, a library, a person |
//! | `volume` | what lies on a volume: label, sets, its end |
//! | `archive` | one archive through the pipeline to the drive |
//! | `writing` | a set that is being written |
//! | `walkthrough` | one archive from the drive through the parser |
//! | `backup`, `close`, `label`, `restore`, `resume`, `scan`, `status`, `verify` | one job each |
//! | `attempt` | one that a coordinator has ordered, in a process of its own |
//! | `once` | one that is no backup: a restore, a label |
//! | `blame` | what is at fault for how it has ended |
//! | `hook` | the commands beside it |
//! | `drives` | which drives and changers there are |
//! | `library` | a volume brought to a drive, and back to its slot |
//! | `ledger` | journal and catalog rows of a set that is being written |
//! | `remains` | what there is of a set that broke off: its journal, its last volume |
//! | `point` | where it goes on |
//! | `begun` | the file in the middle of which a set broke off |
//! | `proof` | whether the medium holds what a checkpoint says |
//! | `reread` | where a set without a checkpoint goes on |
//! | `survey` | what an archive without an index holds |
//! | `turn` | devices that other processes of this host have for a while |
//! | `adopt` | an index or a set taken into the catalog |
//! | `convert` | the same facts in the words of source, index and catalog |
//! | `error` | what can go wrong, and the exit codes |

use std::path::PathBuf;

pub mod adopt;
mod archive;
pub mod attempt;
pub mod backup;
mod begun;
mod blame;
pub mod close;
pub(crate) mod convert;
pub mod drives;
mod error;
mod hook;
pub mod label;
mod ledger;
pub mod library;
pub mod mounts;
mod once;
mod point;
mod proof;
mod remains;
mod reread;
pub mod restore;
pub mod resume;
pub mod scan;
pub mod session;
pub mod status;
mod survey;
mod turn;
pub mod verify;
pub mod volume;
mod walkthrough;
pub mod writing;

pub use error::JobError;
pub use longhaul_protocol::ExitStatus;
pub(crate) use longhaul_words::chain;

/// Where this host keeps what outlives a process: the folder that was asked for,
/// or else the usual one.
///
/// # Errors
/// If neither the caller nor the environment names a folder.
pub fn state_dir(asked: Option<PathBuf>) -> Result<PathBuf, JobError> {
    if let Some(dir) = asked {
        return Ok(dir);
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/longhaul".into());
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("longhaul"))
        .ok_or_else(|| {
            JobError::Usage("neither HOME nor XDG_STATE_HOME is set: name the folder".into())
        })
}
