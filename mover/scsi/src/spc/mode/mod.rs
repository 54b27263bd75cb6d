//! Mode pages.
mod cdb;
pub use cdb::{ModeSelect6, ModeSelect10, ModeSense6, ModeSense10, PageControl};
