//! Emulated cartridges, seen from outside the drive; and whole libraries of
//! them, served.
//!
//! A `.vtape` file holds the logical objects of a tape: blocks and filemarks.
//! [`export`] writes what lies between filemarks as plain files, and [`info`]
//! tells what there is; both open the cartridge to be read only, as no drive
//! may have it meanwhile.

mod export;
mod failure;
mod info;
mod socket;

pub use export::{Exported, export};
pub use failure::Failure;
pub use info::{CartridgeInfo, TapeFile, info};
pub use socket::serve_on_socket;
