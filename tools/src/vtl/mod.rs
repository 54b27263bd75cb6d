//! The virtual tape library: emulated libraries as devices, and cartridges
//! seen from outside the drive.
//!
//! [`serve`] makes an emulated library devices of the kernel's, and
//! [`serve_on_socket`] lets processes of this host in without it. A `.vtape`
//! file holds the logical objects of a tape: blocks and filemarks.
//! [`export`] writes what lies between filemarks as plain files, and [`info`]
//! tells what there is; both open the cartridge to be read only, as no drive
//! may have it meanwhile.

mod export;
mod failure;
mod info;
pub mod serve;
mod socket;

pub use export::{Exported, export};
pub use failure::Failure;
pub use info::{CartridgeInfo, TapeFile, info};
pub use socket::serve_on_socket;
