//! Jobs: what a person asks for, carried out on one drive.
//!
//! | file | noun |
//! | --- | --- |
//! | `session` | a drive with our volume in it, from opening to release |
//! | `volume` | what lies on a volume: label, sets, its end |
//! | `archive` | one archive through the pipeline to the drive |
//! | `walkthrough` | one archive from the drive through the parser |
//! | `backup`, `close`, `label`, `restore`, `scan`, `status`, `verify` | one job each |
//! | `drives` | which drives and changers there are |
//! | `ledger` | index and catalog rows of a set that is being written |
//! | `survey` | what an archive without an index holds |
//! | `adopt` | an index or a set taken into the catalog |
//! | `convert` | the same facts in the words of source, index and catalog |
//! | `error` | what can go wrong, and the exit codes |

pub mod adopt;
mod archive;
pub mod backup;
pub mod close;
pub(crate) mod convert;
pub mod drives;
mod error;
pub mod label;
mod ledger;
pub mod restore;
pub mod scan;
pub mod session;
pub mod status;
mod survey;
pub mod verify;
pub mod volume;
mod walkthrough;

pub(crate) use error::chain;
pub use error::{ExitStatus, JobError};
