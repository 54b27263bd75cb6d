//! Log pages (SPC-5 7.3): counters and conditions.
//!
//! Every page but the lists of pages is a row of *parameters*, each a 16-bit
//! code, a control byte and a value of up to 255 bytes. [`LogPage`] is that
//! row; the pages of tape drives are in [`crate::ssc::log`].

mod cdb;
mod page;

pub use cdb::{LogSelect, LogSense};
pub use page::{LogPage, Parameter, SupportedPages};
