//! How long a command may take before it is given up.
//!
//! A drive that knows REPORT SUPPORTED OPERATION CODES tells for itself; for
//! the others there is a table: the longest that the vendors of LTO-5 to
//! LTO-10 drives allow (the LTFS project keeps their figures), half-height
//! drives included. A timeout that is too long costs patience; one that is too
//! short makes the kernel reset a drive that is only slow, and with it goes
//! what was in its buffer.

use std::time::Duration;

use crate::smc::opcode as smc;
use crate::spc::inquiry::DeviceType;
use crate::spc::opcode as spc;
use crate::spc::report_supported_operation_codes::SupportedCommands;
use crate::ssc::opcode as ssc;

/// No command gets less: a drive may be busy with what it never mentioned.
pub const TIMEOUT_MIN: Duration = Duration::from_secs(60);
/// No command gets more, whatever a device claims; a long erase of the largest
/// cartridges takes two days.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(200_000);

/// How long a command may take: what the device says, where it says anything,
/// else what the table says; within the two limits.
pub fn timeout(
    told: Option<&SupportedCommands>,
    device: DeviceType,
    opcode: u8,
    service_action: Option<u16>,
) -> Duration {
    told.and_then(|commands| commands.timeout(opcode, service_action))
        .unwrap_or_else(|| table(device, opcode))
        .clamp(TIMEOUT_MIN, TIMEOUT_MAX)
}

/// The table's timeout.
pub fn table(device: DeviceType, opcode: u8) -> Duration {
    let seconds = match device {
        DeviceType::MediumChanger => changer_s(opcode),
        _ => drive_s(opcode),
    };
    Duration::from_secs(seconds)
}

fn drive_s(opcode: u8) -> u64 {
    match opcode {
        ssc::ERASE_6 | ssc::ERASE_16 => 166_370,
        ssc::FORMAT_MEDIUM => 3_840,
        // An LTO-9 drive that calibrates a new medium said so much.
        ssc::LOAD_UNLOAD => 7_920,
        ssc::LOCATE_10 | ssc::LOCATE_16 => 3_940,
        ssc::READ_6 | ssc::READ_16 | ssc::READ_REVERSE_6 => 2_340,
        ssc::REWIND => 780,
        ssc::SET_CAPACITY => 960,
        ssc::SPACE_6 | ssc::SPACE_16 => 3_940,
        ssc::VERIFY_6 => 104_880,
        ssc::WRITE_6 | ssc::WRITE_16 => 1_920,
        ssc::WRITE_FILEMARKS_6 | ssc::WRITE_FILEMARKS_16 => 1_920,
        spc::READ_BUFFER => 660,
        spc::WRITE_BUFFER => 720,
        spc::SEND_DIAGNOSTIC => 3_120,
        spc::MODE_SELECT_6 | spc::MODE_SELECT_10 => 300,
        spc::SECURITY_PROTOCOL_IN | spc::SECURITY_PROTOCOL_OUT => 300,
        spc::PERSISTENT_RESERVE_OUT => 900,
        // An LTO-9 drive may write end of data first, and retry that for
        // longer than a minute.
        spc::READ_ATTRIBUTE | spc::WRITE_ATTRIBUTE => 300,
        _ => TIMEOUT_MIN.as_secs(),
    }
}

/// A move out of a drive may include the rewind and the unload.
fn changer_s(opcode: u8) -> u64 {
    match opcode {
        smc::INITIALIZE_ELEMENT_STATUS
        | smc::INITIALIZE_ELEMENT_STATUS_WITH_RANGE
        | smc::INITIALIZE_ELEMENT_STATUS_WITH_RANGE_OLD
        | smc::MOVE_MEDIUM
        | smc::EXCHANGE_MEDIUM => 1_800,
        // Without CURDATA it may take an inventory first.
        smc::READ_ELEMENT_STATUS => 1_800,
        smc::POSITION_TO_ELEMENT | smc::OPEN_CLOSE_IMPORT_EXPORT_ELEMENT => 600,
        spc::PERSISTENT_RESERVE_OUT => 900,
        _ => TIMEOUT_MIN.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spc::report_supported_operation_codes::{SupportedCommand, Timeouts};

    #[test]
    fn what_the_device_says_counts_within_limits() {
        let command = |opcode, seconds| SupportedCommand {
            opcode,
            service_action: None,
            cdb_bytes: 6,
            timeouts: Some(Timeouts {
                nominal_s: seconds,
                recommended_s: 0,
            }),
        };
        let told = SupportedCommands(vec![
            command(ssc::WRITE_6, 1_500),
            command(ssc::READ_6, u32::MAX),
            command(ssc::REWIND, 5),
            command(ssc::LOAD_UNLOAD, 0),
        ]);
        let of =
            |opcode| timeout(Some(&told), DeviceType::SequentialAccess, opcode, None).as_secs();
        assert_eq!(of(ssc::WRITE_6), 1_500);
        assert_eq!(of(ssc::READ_6), 200_000);
        assert_eq!(of(ssc::REWIND), 60);
        assert_eq!(of(ssc::LOAD_UNLOAD), 7_920);
        assert_eq!(of(spc::INQUIRY), 60);
    }

    #[test]
    fn codes_that_drive_and_changer_share_mean_different_times() {
        let of = |device| table(device, ssc::LOCATE_10).as_secs();
        assert_eq!(of(DeviceType::SequentialAccess), 3_940);
        assert_eq!(of(DeviceType::MediumChanger), 600);
    }
}
