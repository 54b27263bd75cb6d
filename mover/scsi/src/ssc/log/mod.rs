//! Log pages of tape drives (SSC-5 8.3, ADC-4 6.1 for page 11h).
//!
//! Vendors differ in which parameters they send: all are `Option`s, `None`
//! where a parameter is absent or is all ones, which means "not known". While a
//! drive streams, none of these is to be asked for.

mod alert;
mod counters;
mod device;
mod volume;

pub use alert::{ALERTS_MAX, Alerts, Concern, alert_concern, describe_alert};
pub use counters::{Compression, ErrorCounters};
pub use device::{DeviceStatus, SequentialAccess};
pub use volume::{PartitionCounts, TapeCapacity, VolumeStatistics};

/// Page codes.
pub mod code {
    /// Write Error Counters
    pub const WRITE_ERRORS: u8 = 0x02;
    /// Read Error Counters
    pub const READ_ERRORS: u8 = 0x03;
    /// Sequential-Access Device
    pub const SEQUENTIAL_ACCESS: u8 = 0x0c;
    /// DT Device Status
    pub const DEVICE_STATUS: u8 = 0x11;
    /// TapeAlert Response: reading does not clear the flags.
    pub const ALERT_RESPONSE: u8 = 0x12;
    /// Device Statistics
    pub const DEVICE_STATISTICS: u8 = 0x14;
    /// Volume Statistics
    pub const VOLUME_STATISTICS: u8 = 0x17;
    /// Data Compression
    pub const COMPRESSION: u8 = 0x1b;
    /// TapeAlert: reading clears the flags for this initiator.
    pub const ALERT: u8 = 0x2e;
    /// Tape Capacity (the LTO vendors')
    pub const TAPE_CAPACITY: u8 = 0x31;
}
