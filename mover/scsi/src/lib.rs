//! SCSI as a tape mover needs it: commands, answers, errors, and the seam to
//! the hardware. No I/O happens here.
//!
//! # One command, from end to end
//!
//! A program that talks to a tape drive sends *command descriptor blocks*
//! ([`Cdb`], 6 to 32 bytes), moves data one way or the other, and gets a
//! *status* byte back ([`Status`]). When the status is CHECK CONDITION, *sense
//! data* ([`Sense`]) says why.
//!
//! ```text
//!   ssc::transfer::Write6::variable(524_288)      a command, as a structure
//!          │ .cdb()
//!          ▼
//!   transport::Request { cdb, data, timeout }     the seam: bytes only
//!          │ Transport::submit, Transport::complete
//!          ▼
//!   transport::Outcome { status, sense, residual }
//!          │ verdict(&outcome, Doing::Write)
//!          ▼
//!   Verdict::EarlyWarning                         what to do about it
//! ```
//!
//! [`transport::Transport`] is the one seam: real, emulated, recorded and
//! faulty devices are all behind it, and it lies *below* the encoding of
//! commands, so every test drives the bytes that a real drive would see.
//!
//! # Both sides of the wire
//!
//! Every command is a `#[repr(C)]` structure with big-endian fields whose
//! bytes are the CDB ([`Command`]). The mover builds it with a constructor;
//! the emulated drive reads it back with [`Command::parse`]. Every answer has
//! a `parse` and an `encode`, and the two are tested against each other, and
//! against what real devices answered (`testdata/`).
//!
//! One module a standard, in the standard's own words, with the standard's
//! clauses cited: [`spc`] is what all devices share, [`ssc`] is tape drives,
//! [`smc`] is libraries. Operation codes overlap between them (2Bh is LOCATE
//! for a drive and POSITION TO ELEMENT for a library), so each has its own.
//!
//! # Bytes from outside
//!
//! Devices send less than they promise, lengths that lie, and flags that mean
//! "do not believe this number". So every parser
//! - takes any bytes without panicking, and never reads past a length;
//! - uses the lengths that are *in* the data to step through it, and takes
//!   whole items as far as they are there;
//! - fails ([`ParseError`]) only where there is nothing to go by;
//! - makes a number that the device does not know `None`, never 0.
//!
//! # Errors are results
//!
//! A filemark, early warning or end of data is how tape works, and no error.
//! [`verdict()`] is the one table from outcome to what-to-do; no other code
//! looks at sense codes. [`executed`] answers the other question, whether the
//! command was carried out: a write of which nobody knows is never repeated
//! before READ POSITION has told.
//!
//! # Where to begin
//!
//! | to know | read |
//! | --- | --- |
//! | how a command is made and read | [`cdb`], then [`ssc::transfer`] |
//! | what sense data says | [`sense`] |
//! | what is done about it | [`verdict`](mod@verdict) |
//! | how long a command may take | [`timeout`] |
//! | how bytes become fields | [`wire`] |

#![forbid(unsafe_code)]

pub mod cdb;
pub mod sense;
pub mod smc;
pub mod spc;
pub mod ssc;
pub mod status;
pub mod timeout;
pub mod transport;
pub mod verdict;
pub mod wire;

pub use cdb::{Cdb, Command};
pub use sense::{Sense, SenseKey};
pub use status::Status;
pub use verdict::{Doing, Executed, Verdict, executed, verdict};
pub use wire::ParseError;
