//! Checkpoints: how far a set is on the medium, said while the tape runs.
//!
//! A drive answers GOOD when a block is in its buffer, long before it is on the
//! medium. So the mover keeps, for every record that was accepted, a [`Cursor`]:
//! all that is needed to go on with the archive behind that record. From time
//! to time it asks the drive which object is the next to leave its buffer, and
//! the newest cursor at or before that frontier becomes a [`Checkpoint`]:
//!
//! ```text
//!   record    …  41   42   43   44   45   46        accepted by the drive
//!   cursor        ▼    ▼    ▼    ▼    ▼    ▼
//!               path, offset in the file, hash state, entries so far
//!                            ▲
//!                    READ POSITION: the first object not on the medium
//!                         ⇒ checkpoint: behind record 42
//! ```
//!
//! Nothing is flushed and the tape does not stop. The checkpoint goes to the
//! [`Journal`](journal::Journal), behind the index entries of all members that
//! it covers, and counts once that is on the disk.
//!
//! | file | noun |
//! | --- | --- |
//! | `cursor` | where the archive goes on, and in which file |
//! | `tracker` | cursors of records in flight, and what the drive says of them |
//! | `journal` | the file that keeps entries and checkpoints: writing |
//! | `recovered` | the same file, read after a crash |
//! | `frame` | what both have in common: its form |

mod cursor;
mod frame;
pub mod journal;
pub mod recovered;
pub mod tracker;

pub(crate) use cursor::name;
pub use cursor::{Checkpoint, Cursor, Inside, Place, Whole};

/// Records before a checkpoint whose checksums it holds: they are read back
/// before anything is written behind it.
pub const RECORDS_PROVED: usize = 8;

/// Checkpoints that are kept.
pub const CHECKPOINTS_KEPT: usize = 16;
