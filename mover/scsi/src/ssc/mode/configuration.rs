//! Device Configuration, and its extension.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{flag, page};
use crate::wire::{U16, U24};

/// Page 10h: Device Configuration (SSC-5 8.5.3).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct DeviceConfiguration {
    format: u8,
    /// ACTIVE PARTITION
    pub active_partition: u8,
    /// WRITE OBJECT BUFFER FULL RATIO
    pub write_full_ratio: u8,
    /// READ OBJECT BUFFER EMPTY RATIO
    pub read_empty_ratio: u8,
    write_delay: U16,
    flags_8: u8,
    /// GAP SIZE
    pub gap_size: u8,
    flags_10: u8,
    early_warning_bytes: U24,
    /// SELECT DATA COMPRESSION ALGORITHM: 0 off, 1 the default one.
    pub compression: u8,
    flags_15: u8,
}
page!(DeviceConfiguration, 0x10, 0x00, 14);

impl DeviceConfiguration {
    flag!(
        /// LOIS: logical object identifiers are supported, so LOCATE and READ
        /// POSITION are.
        object_identifiers, set_object_identifiers, flags_8, 6
    );
    flag!(
        /// ROBO: object buffering in reverse order.
        reverse_buffering, set_reverse_buffering, flags_8, 1
    );
    flag!(
        /// EEG: the device generates end of data where it should.
        generates_eod, set_generates_eod, flags_10, 4
    );
    flag!(
        /// SEW: at early warning, the buffer is written to the medium.
        synchronizes_at_early_warning, set_synchronizes_at_early_warning, flags_10, 3
    );
    flag!(
        /// SWP: software write protection, until the medium or power goes.
        software_write_protect, set_software_write_protect, flags_10, 2
    );
    flag!(
        /// BAML: BAM decides between block addresses of two kinds.
        block_address_lock, set_block_address_lock, flags_10, 1
    );
    flag!(
        /// BAM: block address mode; 0 is implicit addressing.
        block_address_mode, set_block_address_mode, flags_10, 0
    );
    flag!(
        /// ASOCWP: associated write protection, until the medium goes.
        associated_write_protect, set_associated_write_protect, flags_15, 2
    );
    flag!(
        /// PERSWP: persistent write protection, kept on the medium.
        persistent_write_protect, set_persistent_write_protect, flags_15, 1
    );
    flag!(
        /// PRMWP: permanent write protection.
        permanent_write_protect, set_permanent_write_protect, flags_15, 0
    );

    /// WRITE DELAY TIME in tenths of a second: how long the device keeps what
    /// does not fill its buffer before it writes it. 0: as long as it likes.
    pub fn write_delay_tenths_s(&self) -> u16 {
        self.write_delay.get()
    }

    /// Sets WRITE DELAY TIME.
    pub fn set_write_delay_tenths_s(&mut self, tenths: u16) {
        self.write_delay = U16::new(tenths);
    }

    /// EOD DEFINED: 0 as the medium has it.
    pub fn eod_defined(&self) -> u8 {
        self.flags_10 >> 5
    }

    /// OBJECT BUFFER SIZE AT EARLY WARNING in bytes; 0 for the default.
    pub fn early_warning_bytes(&self) -> u32 {
        self.early_warning_bytes.get()
    }

    /// REWIND ON RESET: 0 vendor's choice, 1 rewinds, 2 keeps its position.
    pub fn rewind_on_reset(&self) -> u8 {
        self.flags_15 >> 3 & 0b11
    }

    /// Sets REWIND ON RESET.
    pub fn set_rewind_on_reset(&mut self, value: u8) {
        self.flags_15 = self.flags_15 & !(0b11 << 3) | (value & 0b11) << 3;
    }

    /// WTRE: how writes to a tampered WORM medium end.
    pub fn worm_tamper_read_enable(&self) -> u8 {
        self.flags_15 >> 6
    }
}

/// Where writes are allowed (WRITE MODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// 0h: anywhere.
    Overwrite,
    /// 1h: only behind the last object, unless ALLOW OVERWRITE permits more.
    AppendOnly,
    /// Any other.
    Reserved(u8),
}

/// Page 10h, subpage 01h: Device Configuration Extension (SSC-5 8.5.8).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct DeviceConfigurationExtension {
    flags_4: u8,
    modes: u8,
    pews: U16,
    flags_8: u8,
    reserved: [u8; 23],
}
page!(DeviceConfigurationExtension, 0x10, 0x01, 28);

impl DeviceConfigurationExtension {
    flag!(
        /// TARPF: TapeAlert respect parameter fields.
        tapealert_respect_parameters, set_tapealert_respect_parameters, flags_4, 3
    );
    flag!(
        /// TASER: TapeAlert select exclusive reset.
        tapealert_exclusive_reset, set_tapealert_exclusive_reset, flags_4, 2
    );
    flag!(
        /// TARPC: TapeAlert respect page control.
        tapealert_respect_page_control, set_tapealert_respect_page_control, flags_4, 1
    );
    flag!(
        /// TAPLSD: TapeAlert prevent LOG SENSE deactivation: reading page 2Eh
        /// does not clear the flags.
        tapealert_keeps_flags, set_tapealert_keeps_flags, flags_4, 0
    );
    flag!(
        /// VCELBRE: volume containing encrypted logical blocks requires
        /// encryption.
        requires_encryption, set_requires_encryption, flags_8, 0
    );

    /// WRITE MODE
    pub fn write_mode(&self) -> WriteMode {
        match self.modes >> 4 {
            0 => WriteMode::Overwrite,
            1 => WriteMode::AppendOnly,
            other => WriteMode::Reserved(other),
        }
    }

    /// Sets WRITE MODE.
    pub fn set_write_mode(&mut self, mode: WriteMode) {
        let mode = match mode {
            WriteMode::Overwrite => 0,
            WriteMode::AppendOnly => 1,
            WriteMode::Reserved(other) => other & 0x0f,
        };
        self.modes = self.modes & 0x0f | mode << 4;
    }

    /// SHORT ERASE MODE: 0 as SSC-2, 1 nothing, 2 writes end of data.
    pub fn short_erase_mode(&self) -> u8 {
        self.modes & 0x0f
    }

    /// Sets SHORT ERASE MODE.
    pub fn set_short_erase_mode(&mut self, mode: u8) {
        self.modes = self.modes & 0xf0 | mode & 0x0f;
    }

    /// PEWS: size of the programmable early warning zone in 10⁶ bytes, which
    /// ends where early warning begins; 0 switches it off.
    pub fn early_warning_zone_mb(&self) -> u16 {
        self.pews.get()
    }

    /// Sets PEWS.
    pub fn set_early_warning_zone_mb(&mut self, megabytes: u16) {
        self.pews = U16::new(megabytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_the_device_configuration() {
        let mut page = DeviceConfiguration::default();
        page.set_object_identifiers(true);
        page.set_generates_eod(true);
        page.set_synchronizes_at_early_warning(true);
        page.set_write_delay_tenths_s(200);
        page.set_rewind_on_reset(2);
        page.set_permanent_write_protect(true);
        page.compression = 1;
        let bytes = [0, 0, 0, 0, 0, 200, 0x40, 0, 0x18, 0, 0, 0, 1, 0x11];
        assert_eq!(page.as_bytes(), bytes);
        assert_eq!((page.rewind_on_reset(), page.early_warning_bytes()), (2, 0));
        page.set_synchronizes_at_early_warning(false);
        assert!(!page.synchronizes_at_early_warning() && page.generates_eod());
    }

    #[test]
    fn append_only_mode_and_the_warning_zone() {
        let mut page = DeviceConfigurationExtension::default();
        page.set_write_mode(WriteMode::AppendOnly);
        page.set_short_erase_mode(2);
        page.set_early_warning_zone_mb(0xd6eb);
        assert_eq!(page.as_bytes()[..4], [0, 0x12, 0xd6, 0xeb]);
        assert_eq!(page.write_mode(), WriteMode::AppendOnly);
        assert_eq!(page.early_warning_zone_mb(), 0xd6eb);
    }
}
