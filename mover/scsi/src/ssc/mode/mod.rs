//! Mode pages of sequential-access devices (SSC-5 8.5).

mod configuration;
mod medium;
mod protection;

pub use configuration::{DeviceConfiguration, DeviceConfigurationExtension, WriteMode};
pub use medium::{DataCompression, MediumConfiguration, MediumPartition};
pub use protection::{ControlDataProtection, InformationalExceptions, ProtectionMethod};

/// Makes a wire structure a mode page, and proves its size when compiling.
macro_rules! page {
    ($type:ident, $code:literal, $subpage:literal, $bytes:literal) => {
        const _: () = assert!(size_of::<$type>() == $bytes);
        impl crate::spc::mode::Page for $type {
            const CODE: u8 = $code;
            const SUBPAGE: u8 = $subpage;
        }
    };
}
use page;

/// A bit of a byte, read and written.
macro_rules! flag {
    ($(#[$doc:meta])* $get:ident, $set:ident, $byte:ident, $number:literal) => {
        $(#[$doc])*
        pub fn $get(&self) -> bool {
            crate::cdb::is_set(self.$byte, $number)
        }

        /// Sets that bit.
        pub fn $set(&mut self, set: bool) {
            self.$byte = self.$byte & !(1 << $number) | crate::cdb::bit($number, set);
        }
    };
}
use flag;
