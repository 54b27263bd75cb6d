//! What the drive does and did: Sequential-Access Device (0Ch), DT Device
//! Status (11h).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::code;
use super::counters::numbers;
use crate::cdb::{bit, is_set};
use crate::spc::log::{LogPage, Parameter};
use crate::wire::{ParseError, Reader};

/// Page 0Ch: Sequential-Access Device. Capacities in 10⁶ bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequentialAccess {
    /// 0000h: bytes that WRITE commands brought.
    pub bytes_from_host: Option<u64>,
    /// 0001h: bytes written to the medium, compressed.
    pub bytes_to_medium: Option<u64>,
    /// 0002h: bytes read from the medium, compressed.
    pub bytes_from_medium: Option<u64>,
    /// 0003h: bytes that READ commands took.
    pub bytes_to_host: Option<u64>,
    /// 0004h: native capacity from beginning of partition to end of data.
    pub used_mb: Option<u64>,
    /// 0005h: native capacity from beginning of partition to early warning.
    pub to_early_warning_mb: Option<u64>,
    /// 0006h: least native capacity from early warning to end of partition.
    pub behind_early_warning_mb: Option<u64>,
    /// 0007h: native capacity from beginning of partition to here.
    pub position_mb: Option<u64>,
    /// 0008h: most native capacity that the object buffer holds.
    pub buffer_mb: Option<u64>,
    /// 0100h: the drive wants to be cleaned.
    pub cleaning_requested: Option<bool>,
}

impl SequentialAccess {
    /// Reads the page.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<SequentialAccess, ParseError> {
        let page = LogPage::expect(bytes, code::SEQUENTIAL_ACCESS)?;
        Ok(SequentialAccess {
            bytes_from_host: page.number(0x0000),
            bytes_to_medium: page.number(0x0001),
            bytes_from_medium: page.number(0x0002),
            bytes_to_host: page.number(0x0003),
            used_mb: page.number(0x0004),
            to_early_warning_mb: page.number(0x0005),
            behind_early_warning_mb: page.number(0x0006),
            position_mb: page.number(0x0007),
            buffer_mb: page.number(0x0008),
            cleaning_requested: page.number(0x0100).map(|value| value != 0),
        })
    }

    /// The page.
    pub fn page(&self) -> LogPage {
        let mut parameters = numbers::<8>([
            (0x0000, self.bytes_from_host),
            (0x0001, self.bytes_to_medium),
            (0x0002, self.bytes_from_medium),
            (0x0003, self.bytes_to_host),
        ]);
        parameters.extend(numbers::<4>([
            (0x0004, self.used_mb),
            (0x0005, self.to_early_warning_mb),
            (0x0006, self.behind_early_warning_mb),
            (0x0007, self.position_mb),
            (0x0008, self.buffer_mb),
        ]));
        parameters.extend(numbers::<4>([(
            0x0100,
            self.cleaning_requested.map(u64::from),
        )]));
        LogPage::new(code::SEQUENTIAL_ACCESS, parameters)
    }
}

/// Page 11h: DT Device Status, as far as its *very high frequency* data goes:
/// what a library polls, without clearing unit attentions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceStatus {
    /// PAMR: removal of the medium is prevented.
    pub removal_prevented: bool,
    /// HUI: a host initiated an unload.
    pub host_unload: bool,
    /// MACC: the cartridge memory can be read.
    pub memory_accessible: bool,
    /// CMPR: compression is on.
    pub compresses: bool,
    /// WRTP: the medium is write protected.
    pub write_protected: bool,
    /// CRQST: cleaning is requested.
    pub cleaning_requested: bool,
    /// CRQRD: cleaning is required.
    pub cleaning_required: bool,
    /// DINIT: the drive is initialized, so the rest of this is valid.
    pub initialized: bool,
    /// INXTN: between two states.
    pub in_transition: bool,
    /// RAA: the robot may access the drive.
    pub robot_may_access: bool,
    /// MPRSNT: a medium is present.
    pub medium_present: bool,
    /// MSTD: the medium is seated.
    pub medium_seated: bool,
    /// MTHRD: the medium is threaded.
    pub medium_threaded: bool,
    /// MOUNTED: the medium is ready for reads and writes.
    pub mounted: bool,
    /// DT DEVICE ACTIVITY: 0 none, 1 cleaning, 2 loading, 3 unloading, …
    pub activity: u8,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
struct VhfWire {
    flags_0: u8,
    flags_1: u8,
    activity: u8,
    flags_3: u8,
}
const _: () = assert!(size_of::<VhfWire>() == 4);

/// Parameter code of the VHF data.
const VHF: u16 = 0x0000;
/// Parameter code of the polling delay.
const POLLING_DELAY: u16 = 0x0001;

impl DeviceStatus {
    /// Reads the page: the status, and how long to wait between two polls, in
    /// milliseconds.
    ///
    /// # Errors
    /// If it is another page, or has no VHF data.
    pub fn parse(bytes: &[u8]) -> Result<(DeviceStatus, Option<u64>), ParseError> {
        let page = LogPage::expect(bytes, code::DEVICE_STATUS)?;
        let value = page
            .parameter(VHF)
            .map_or(&[][..], |parameter| &parameter.value);
        Ok((DeviceStatus::parse_vhf(value)?, page.number(POLLING_DELAY)))
    }

    /// Reads VHF data alone.
    ///
    /// # Errors
    /// If it is cut.
    pub fn parse_vhf(bytes: &[u8]) -> Result<DeviceStatus, ParseError> {
        let wire: VhfWire = Reader::new("log page 11h, VHF data", bytes).pull()?;
        Ok(DeviceStatus {
            removal_prevented: is_set(wire.flags_0, 7),
            host_unload: is_set(wire.flags_0, 6),
            memory_accessible: is_set(wire.flags_0, 5),
            compresses: is_set(wire.flags_0, 4),
            write_protected: is_set(wire.flags_0, 3),
            cleaning_requested: is_set(wire.flags_0, 2),
            cleaning_required: is_set(wire.flags_0, 1),
            initialized: is_set(wire.flags_0, 0),
            in_transition: is_set(wire.flags_1, 7),
            robot_may_access: is_set(wire.flags_1, 5),
            medium_present: is_set(wire.flags_1, 4),
            medium_seated: is_set(wire.flags_1, 2),
            medium_threaded: is_set(wire.flags_1, 1),
            mounted: is_set(wire.flags_1, 0),
            activity: wire.activity,
        })
    }

    /// The VHF data.
    pub fn encode_vhf(&self) -> [u8; 4] {
        zerocopy::transmute!(VhfWire {
            flags_0: bit(7, self.removal_prevented)
                | bit(6, self.host_unload)
                | bit(5, self.memory_accessible)
                | bit(4, self.compresses)
                | bit(3, self.write_protected)
                | bit(2, self.cleaning_requested)
                | bit(1, self.cleaning_required)
                | bit(0, self.initialized),
            flags_1: bit(7, self.in_transition)
                | bit(5, self.robot_may_access)
                | bit(4, self.medium_present)
                | bit(2, self.medium_seated)
                | bit(1, self.medium_threaded)
                | bit(0, self.mounted),
            activity: self.activity,
            flags_3: 0,
        })
    }

    /// The page.
    pub fn page(&self, polling_delay_ms: u16) -> LogPage {
        let parameters = vec![
            Parameter::bytes(VHF, self.encode_vhf().to_vec()),
            Parameter::number::<2>(POLLING_DELAY, polling_delay_ms.into()),
        ];
        LogPage::new(code::DEVICE_STATUS, parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_loaded_but_unthreaded_cartridge() {
        // An IBM drive in a library.
        let status = DeviceStatus::parse_vhf(&[0x59, 0x30, 0, 0]).unwrap();
        assert!(status.host_unload && status.compresses && status.write_protected);
        assert!(status.initialized && status.robot_may_access && status.medium_present);
        assert!(!status.medium_threaded && !status.mounted && !status.removal_prevented);
    }

    fn number() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..u64::from(u32::MAX))
    }

    proptest! {
        #[test]
        fn device_status_round_trips(bytes: [u8; 4], delay in 0..u16::MAX) {
            let status = DeviceStatus::parse_vhf(&bytes).unwrap();
            let page = status.page(delay).encode();
            prop_assert_eq!(DeviceStatus::parse(&page), Ok((status, Some(delay.into()))));
        }

        #[test]
        fn sequential_access_round_trips(some in (number(), number(), number(), number()),
                                         more in (number(), number(), number(), number()),
                                         last in number(), cleaning: Option<bool>) {
            let page = SequentialAccess {
                bytes_from_host: some.0,
                bytes_to_medium: some.1,
                bytes_from_medium: some.2,
                bytes_to_host: some.3,
                used_mb: more.0,
                to_early_warning_mb: more.1,
                behind_early_warning_mb: more.2,
                position_mb: more.3,
                buffer_mb: last,
                cleaning_requested: cleaning,
            };
            prop_assert_eq!(SequentialAccess::parse(&page.page().encode()), Ok(page));
        }
    }
}
