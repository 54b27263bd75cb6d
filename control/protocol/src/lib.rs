//! What the coordinator, the backup services and the operators say to each
//! other.
//!
//! A service keeps one connection to the coordinator, and says [`Report`]s on
//! it; the coordinator says [`Order`]s. Both are JSON behind a length
//! ([`frame`]). The first report is a [`Hello`], the first order a welcome or a
//! refusal. Every coordinator start has a new *epoch*, and every order carries
//! it: a service obeys no order of an older one than it has seen. Every
//! assignment of a drive has a new *token*, which is also the end of the drive's
//! reservation key: the drive itself tells attempts apart.
//!
//! Nothing here is sent and forgotten. What must not be lost is said again until
//! the other side has answered that it is durable: parts of journals, checkpoints
//! and files of sets ([`Kept`](order::What::Kept)), ends of attempts
//! ([`Heard`](order::What::Heard)). Each carries where it belongs, so hearing it twice, or
//! late, changes nothing.
//!
//! An operator's connection begins with an [`Ask`], and each is answered by one
//! [`Answer`], in order.
//!
//! | file | noun |
//! | --- | --- |
//! | `frame` | a message as bytes |
//! | `name` | names of nodes, jobs, pools, drives |
//! | `run` | runs, attempts, times |
//! | `job` | what is backed up, where to, how |
//! | `schedule` | when a job is due |
//! | `event` | what a cluster service tells |
//! | `exit` | how a program ends |
//! | `report` | what a service says |
//! | `order` | what the coordinator says |
//! | `command` | what operators want |
//! | `ask` | what operators say, and what they are answered |
#![forbid(unsafe_code)]

pub mod ask;
pub mod command;
pub mod event;
pub mod exit;
pub mod frame;
pub mod job;
pub mod name;
pub mod order;
pub mod report;
pub mod run;
pub mod schedule;

pub use ask::{Answer, Ask};
pub use command::Command;
pub use event::Event;
pub use exit::ExitStatus;
pub use name::Name;
pub use order::Order;
pub use report::{Hello, Report};
pub use run::{AttemptId, RunId, Time};
pub use schedule::Schedule;

/// Version of the protocol. A service and a coordinator of different ones do not
/// talk.
pub const VERSION: u16 = 1;
