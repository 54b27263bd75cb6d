//! Mode parameters (SPC-5 7.5): how a device is set up.
//!
//! ```text
//! header (4 bytes, or 8)   length, medium type, device-specific byte
//! block descriptor (8)     density, block length: 0 is "variable"
//! pages                    PS|SPF|code [subpage] length, and a body
//! ```
//!
//! [`ModeParameters`] is all of it. Pages keep their bytes: a page type (see
//! [`Page`]) reads and changes only the fields that it knows, so that a MODE
//! SELECT gives a drive back whatever else it had said.

mod cdb;
mod parameters;

pub use cdb::{ModeSelect6, ModeSelect10, ModeSense6, ModeSense10, PageControl};
pub use parameters::{BlockDescriptor, ModePage, ModeParameters, Page};

/// PAGE CODE that asks for all pages.
pub const ALL_PAGES: u8 = 0x3f;
/// SUBPAGE CODE that asks for all subpages.
pub const ALL_SUBPAGES: u8 = 0xff;
