//! The robot of a tape library, as the mover sees it: places that hold volumes,
//! and one hand that carries them.
//!
//! A library is asked, never guessed: every decision starts from an
//! [`Inventory`] (READ ELEMENT STATUS with barcodes and the drives' serial
//! numbers), and every move ends with one. Elements have addresses that differ
//! from library to library; people and scripts say barcodes and serial numbers,
//! and the inventory turns these into addresses.
//!
//! # What must hold
//!
//! 1. **The intent is written down before the hand moves** ([`Intent`]): which
//!    volume, from where, to where, on disk and synchronised. A process that
//!    dies in the middle leaves a note, and the next one compares it with what
//!    the library says before it does anything else.
//! 2. **A MOVE MEDIUM is never sent again blindly.** After anything but GOOD
//!    the inventory is taken first. The volume is where it was: the move may be
//!    tried again, a bounded number of times. It is where it should be: done.
//!    It is somewhere else, or nowhere: a person has to look.
//! 3. **GOOD is not believed either.** The inventory behind a move has to show
//!    the volume at its destination.
//!
//! | file | noun |
//! | --- | --- |
//! | `session.rs` | opening a changer, commands that may be repeated |
//! | `inventory.rs` | what lies where; finding a volume, a drive, a free slot |
//! | `intent.rs` | the note that outlives a crash |
//! | `motion.rs` | moving a volume |
//! | `error.rs` | what can go wrong, in words |

mod error;
mod intent;
mod inventory;
mod motion;
mod session;
#[cfg(test)]
mod tests;

pub use error::{ChangerError, Trouble};
pub use intent::Intent;
pub use inventory::{Inventory, serial_of};
pub use session::Changer;
