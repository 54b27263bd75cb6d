//! An emulated tape drive that obeys the standards, with cartridges in files;
//! and a library of such drives, with a changer.
//!
//! # What a tape drive is
//!
//! A cartridge holds one long row of **logical objects**, numbered from 0:
//! **blocks**, each of its own length, and **filemarks**, which have none. The
//! row ends at **EOD**. There is no rewriting in place: whoever writes at
//! object *n* makes *n* the last, and what lay behind is gone.
//!
//! The drive is a state machine around a position. WRITE puts a block there,
//! READ takes one, LOCATE and SPACE move it. Nearly everything worth knowing
//! comes back as sense data beside a CHECK CONDITION, and little of that is an
//! error: a filemark was met, the block was shorter than asked, the end is
//! near.
//!
//! Between host and tape stands the **object buffer**. A write ends with GOOD
//! when its block is *in the buffer*; on the medium it is when the drive says
//! so: by the GOOD of a synchronising command (WRITE FILEMARKS without IMMED,
//! anything that moves the tape), or by READ POSITION, which tells how far the
//! medium is. Cut the power, and what is in the buffer is lost, though the host
//! was told GOOD. And if the medium fails under a block that was accepted long
//! ago, a later command is answered with a **deferred error** that is not its
//! own. A host that has not met both on its desk will meet them in the machine
//! room; that is what this crate is for.
//!
//! # The parts
//!
//! ```text
//!   transport::Emulated      a door in this process: CDB in, outcome out
//!        │   socket::Server   a door for other processes
//!        │        │
//!        │   library::Library what lies where, in a folder
//!        │        ├────────── changer::Changer   moves cartridges
//!   drive::Drive ─┘                │
//!        ├───────────────────── spc  who is who, who may do what, what each
//!        │                           must be told: of every device
//!        ├─────────── faults         what goes wrong, by plan
//!        ├─────────── clock          how long it takes
//!   object_buffer                    accepted, not yet on the medium
//!        │
//!   medium::Medium           objects, filemarks, EOD in a sparse file
//! ```
//!
//! - [`drive`] has a file for each command family, and the order in which a
//!   command passes the checks before it; [`changer`] is made likewise.
//! - [`library`] has the folder, and is what doors serve: [`socket`] for
//!   processes of the same host (`vtape:unix:PATH#SERIAL`), and `lh-vtl` for
//!   the kernel.
//! - [`medium`] has the layout of a cartridge file. A process that is killed
//!   at any moment leaves a cartridge with exactly what had reached it. A file
//!   is locked while a drive has it; [`medium::Cartridge`] reads one without a
//!   drive.
//! - [`url`] reads `vtape:FILE?capacity=64MiB&media=discard&clock=real`, and
//!   [`Emulated`] opens it. [`faults`] reads the plans that `docs/faults.md`
//!   describes.
//!
//! # How faithful it is
//!
//! | like a real drive | and not |
//! | --- | --- |
//! | one state for all initiators; a queue of unit attentions each | one partition, one logical unit, one port |
//! | modes, logs, cartridge memory, densities as of LTO-9 | compression is accepted and not done |
//! | early warning in the last 64th (4 MiB to a quarter), the end behind it | capacity counts 512 bytes an object beside the data |
//! | without a clock: half of a full buffer moves at a time | a buffer that is not full waits until it is asked for |
//! | with a clock: rates, back-hitches, wraps of LTO-9 | what the tape did is reckoned when the next command or [`library::Ticker`] comes |
//! | a changer with mail slots, barcodes, drives by serial | one transport, which never fails half way |
//!
//! Blocks are 1 byte to 8 MiB long. `media=discard` keeps positions and drops
//! the data of blocks above 16 KiB: reading one is an unrecovered read error.
//!
//! The drive reads CDBs with eyes of its own instead of through the structures
//! of `longhaul-scsi`, so that a field at a wrong offset cannot cancel itself
//! out between the two.
#![forbid(unsafe_code)]

pub mod changer;
pub mod clock;
pub mod drive;
mod error;
pub mod faults;
pub mod library;
mod lock;
pub mod medium;
pub mod object_buffer;
pub mod size;
pub mod socket;
mod spc;
pub mod transport;
pub mod url;

pub use changer::Changer;
pub use drive::{Drive, Nexus, Response};
pub use error::Error;
pub use library::{Library, Unit};
pub use transport::Emulated;
pub use url::Url;
