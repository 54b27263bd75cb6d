//! All commands at once: what one side builds, the other reads; any bytes are
//! survived; no two commands of a device are taken for each other.

use longhaul_scsi::Command;
use longhaul_scsi::smc::motion::*;
use longhaul_scsi::smc::read_element_status::ReadElementStatus;
use longhaul_scsi::spc::attribute::{ReadAttribute, WriteAttribute};
use longhaul_scsi::spc::basic::*;
use longhaul_scsi::spc::inquiry::Inquiry;
use longhaul_scsi::spc::log::{LogSelect, LogSense};
use longhaul_scsi::spc::mode::{ModeSelect6, ModeSelect10, ModeSense6, ModeSense10};
use longhaul_scsi::spc::persistent_reserve::{PersistentReserveIn, PersistentReserveOut};
use longhaul_scsi::spc::report_supported_operation_codes::ReportSupportedOperationCodes;
use longhaul_scsi::spc::security_protocol::SecurityProtocolIn;
use longhaul_scsi::ssc::medium::*;
use longhaul_scsi::ssc::motion::*;
use longhaul_scsi::ssc::read_block_limits::ReadBlockLimits;
use longhaul_scsi::ssc::read_position::ReadPosition;
use longhaul_scsi::ssc::report_density_support::ReportDensitySupport;
use longhaul_scsi::ssc::transfer::*;
use proptest::prelude::*;

/// What the tests need to know of a command, its type put aside.
struct Entry {
    name: &'static str,
    opcode: u8,
    service_action: Option<u8>,
    bytes: usize,
    /// The bytes that come back from a CDB, or `None` if it was refused.
    parse: fn(&[u8]) -> Option<Vec<u8>>,
}

fn entry<C: Command>() -> Entry {
    Entry {
        name: C::NAME,
        opcode: C::OPCODE,
        service_action: C::SERVICE_ACTION,
        bytes: size_of::<C>(),
        parse: |cdb| {
            C::parse(cdb)
                .ok()
                .map(|command| command.cdb().as_bytes().to_vec())
        },
    }
}

fn primary() -> Vec<Entry> {
    vec![
        entry::<TestUnitReady>(),
        entry::<RequestSense>(),
        entry::<PreventAllowMediumRemoval>(),
        entry::<ReportLuns>(),
        entry::<Inquiry>(),
        entry::<LogSelect>(),
        entry::<LogSense>(),
        entry::<ModeSelect6>(),
        entry::<ModeSelect10>(),
        entry::<ModeSense6>(),
        entry::<ModeSense10>(),
        entry::<PersistentReserveIn>(),
        entry::<PersistentReserveOut>(),
        entry::<ReadAttribute>(),
        entry::<WriteAttribute>(),
        entry::<ReportSupportedOperationCodes>(),
        entry::<SecurityProtocolIn>(),
    ]
}

fn of_drives() -> Vec<Entry> {
    vec![
        entry::<Read6>(),
        entry::<Write6>(),
        entry::<Verify6>(),
        entry::<WriteFilemarks6>(),
        entry::<Rewind>(),
        entry::<LoadUnload>(),
        entry::<Locate10>(),
        entry::<Locate16>(),
        entry::<Space6>(),
        entry::<Space16>(),
        entry::<Erase6>(),
        entry::<FormatMedium>(),
        entry::<SetCapacity>(),
        entry::<AllowOverwrite>(),
        entry::<ReadBlockLimits>(),
        entry::<ReadPosition>(),
        entry::<ReportDensitySupport>(),
    ]
}

fn of_changers() -> Vec<Entry> {
    vec![
        entry::<MoveMedium>(),
        entry::<ExchangeMedium>(),
        entry::<PositionToElement>(),
        entry::<InitializeElementStatus>(),
        entry::<InitializeElementStatusWithRange>(),
        entry::<OpenCloseImportExportElement>(),
        entry::<ReadElementStatus>(),
    ]
}

/// The length that an operation code stands for (SPC-5 4.2.5.1): its top three
/// bits are the group.
fn group_bytes(opcode: u8) -> usize {
    match opcode >> 5 {
        0 => 6,
        1 | 2 => 10,
        4 => 16,
        5 => 12,
        group => panic!("group {group} has no fixed length"),
    }
}

#[test]
fn every_command_is_as_long_as_its_group_says() {
    for entry in primary()
        .into_iter()
        .chain(of_drives())
        .chain(of_changers())
    {
        assert_eq!(entry.bytes, group_bytes(entry.opcode), "{}", entry.name);
    }
}

#[test]
fn no_two_commands_of_a_device_share_a_code() {
    for own in [of_drives(), of_changers()] {
        let all = primary().into_iter().chain(own);
        let mut codes = all
            .map(|entry| (entry.opcode, entry.service_action))
            .collect::<Vec<_>>();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(mut cdb in proptest::collection::vec(any::<u8>(), 0..33)) {
        for entry in primary().into_iter().chain(of_drives()).chain(of_changers()) {
            let _ = (entry.parse)(&cdb);
            if let Some(first) = cdb.first_mut() {
                *first = entry.opcode;
            }
            if let (Some(second), Some(action)) = (cdb.get_mut(1), entry.service_action) {
                *second = *second & 0xe0 | action;
            }
            // Long enough: its bytes come back. Too short: an error.
            let want = cdb.get(..entry.bytes).map(<[u8]>::to_vec);
            prop_assert_eq!((entry.parse)(&cdb), want, "{}", entry.name);
        }
    }
}
