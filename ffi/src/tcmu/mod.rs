//! A SCSI device in this process, behind the kernel's drivers: TCMU's ring.
//!
//! The kernel's target (LIO) hands the commands of a `user` backstore to a
//! process through memory that both have mapped, a UIO device
//! (`linux/target_core_user.h`, version 2 of the mailbox):
//!
//! ```text
//!   0           offset               offset + size                   end
//!   │ mailbox   │ ring of entries    │ data of the commands           │
//!   │  head ────┼──▶ the kernel's    │     ▲                          │
//!   │  tail ────┼──▶ ours     ───────┼─────┘ iovecs                   │
//! ```
//!
//! The kernel puts an entry at the head, moves the head on and raises the UIO
//! interrupt. We take the entry at the tail, answer in its place, move the
//! tail on and write to the UIO device. An entry never wraps around the ring's
//! end: the kernel fills what is left there with a pad.
//!
//! [`Ring::take`] gives the next [`Command`]. Its CDB and the places of its
//! data are copied and checked once, so that nothing that happens to the
//! memory afterwards matters; [`Command::complete`] answers it. A number that
//! cannot be is [`RingError::Corrupt`], and the ring is of no use after that.
//!
//! Data is mapped on demand, and the kernel is trusted in one thing: the
//! places that it names for a command's data have memory behind them until the
//! command is completed. Others are never touched.

mod area;
mod command;
mod error;
mod layout;
mod ring;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use error::RingError;
pub use ring::{Entry, Ring, TaskManagement};

/// Most bytes of one command's data: twice the longest tape block.
pub const DATA_BYTES_MAX: usize = 16 << 20;
/// Bytes of sense data that an answer has room for.
pub const SENSE_BYTES_MAX: usize = 96;
