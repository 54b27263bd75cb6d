//! A tape drive, as the mover sees it: a thing with a name, a position on a
//! tape, a reservation, and a way to say what became of each block.
//!
//! The drive knows tape (logical objects, filemarks, early warning, the end of
//! data) and knows neither archives nor files. Below it is a
//! [`Transport`](longhaul_scsi::transport::Transport), which knows CDBs and no
//! tape; so real, emulated and faulty drives run the very same code here.
//!
//! # The life of a session
//!
//! ```text
//! Drive::open ── ready ── reserve ── prepare ── locate ─┬─ write … synchronize ─┬─ finish
//! who is it?   a tape?   the fence   modes,    READ     └─ read …               ┘  door open,
//! limits,                            door      POSITION                            key gone
//! timeouts                           shut
//! ```
//!
//! [`Drive::open`] asks only what is needed to talk: INQUIRY and the vital
//! product data ([`Identity`]: a serial number, since /dev names differ from
//! node to node), the unit attentions that were waiting, the timeouts that the
//! drive itself reports, its block limits. Nothing is changed on it.
//!
//! # What must hold
//!
//! 1. **A write never follows an unknown position.** The drive counts the
//!    logical objects it writes, and compares with what READ POSITION says
//!    wherever that is asked. After anything unexpected the count is worthless:
//!    [`Drive::write`] refuses ([`Problem::PositionUnknown`]) until
//!    [`Drive::recover_position`] or a motion has found out.
//! 2. **A write whose outcome is unknown is never sent again before READ
//!    POSITION has told whether it was executed.** A path that breaks in the
//!    middle of a WRITE leaves two worlds: in one, the block is on its way to
//!    the medium; in the other it never arrived. Sending it again is right in
//!    one and puts a record twice on the tape in the other, with GOOD status on
//!    both. So: unit attentions are collected first, then the position is
//!    read. At `p`, the block was not executed and is sent again, once; at
//!    `p + 1` it was; anywhere else, something is lost.
//! 3. **What was accepted is not what is written.** A drive says GOOD when a
//!    block is in its buffer. A reset, a deferred error or a changed cartridge
//!    means that up to a buffer of accepted blocks may be gone
//!    ([`Problem::Lost`]). The session then writes no more, whatever it is
//!    asked: going on is for a new session, which starts from what is proved
//!    to be on the medium. [`Drive::synchronize`] and [`Drive::frontier`] are
//!    the only two sources of such proof.
//! 4. **One command is in flight, never two.** The drive's own buffer hides
//!    the gap. [`Drive::submit_write`] and [`Drive::complete_write`] are apart
//!    only so that the caller can fill the next buffer meanwhile.
//! 5. **Nothing but READ POSITION is asked of a drive while it streams.** Log
//!    pages and cartridge memory ([`Drive::health`], [`Drive::medium_identity`])
//!    are for the load and the end.
//!
//! # Outcomes and errors
//!
//! Filemarks, early warning and the end of data are values ([`Read`],
//! [`Written`], [`Spaced`]). A [`DriveError`] says what happened, on which
//! drive and what to do; [`DriveError::kind`] gives the exit code. Which sense
//! data means what is one table, [`longhaul_scsi::verdict()`]; what is *done*
//! about it here is one file, `recovery.rs`.
//!
//! # The rooms
//!
//! | file | noun |
//! | --- | --- |
//! | `session.rs` | opening, waiting for a cartridge, the end |
//! | `modes.rs` | modes, the door |
//! | `recovery.rs` | from verdict to action; the rule for unknown outcomes |
//! | `identity.rs` | who the drive is |
//! | `position.rs` | where the tape stands, and what has reached the medium |
//! | `motion.rs` | LOCATE, SPACE, REWIND |
//! | `write.rs`, `read.rs` | blocks and filemarks |
//! | `protection.rs` | the checksum behind each block |
//! | `reservation.rs` | the fence between nodes |
//! | `path.rs` | another path, when one is dead |
//! | `health.rs`, `attributes.rs` | log pages, density, cartridge memory |
//! | `command.rs`, `timeouts.rs` | one command, its repetitions, how long it may take |
//! | `error.rs` | what can go wrong, in words |

mod attributes;
mod command;
mod error;
mod health;
mod identity;
mod modes;
mod motion;
mod path;
mod position;
mod protection;
mod read;
mod recovery;
mod reservation;
mod session;
mod timeouts;
mod write;

pub use attributes::{MediumIdentity, VolumeIdentity};
pub use command::Patience;
pub use error::{DriveError, Kind, Loss, Problem};
pub use health::{Alert, Concern, Health};
pub use identity::Identity;
pub use motion::{SPACE_MAX, SpaceStop, Spaced};
pub use position::{Frontier, Position};
pub use read::{READ_BYTES_MAX, Read};
pub use reservation::Key;
pub use session::{Drive, RECORD_BYTES_MAX, Wishes};
pub use write::{EarlyWarning, FILEMARKS_MAX, Written};

#[cfg(test)]
mod tests;
