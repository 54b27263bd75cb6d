//! How long commands may take, as the drive itself says.

use std::time::Duration;

use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::spc::report_supported_operation_codes::{
    Asked, ReportSupportedOperationCodes, SupportedCommands,
};
use longhaul_scsi::timeout::timeout;

use super::error::DriveError;
use super::session::Drive;

const REPORT: &str = "REPORT SUPPORTED OPERATION CODES";

/// Room for more commands than any drive has (20 bytes each).
const REPORT_BYTES: u32 = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct Timeouts {
    reported: Option<SupportedCommands>,
}

impl Timeouts {
    /// What the drive says, where it says anything; else the table's.
    pub(super) fn of(&self, cdb: &Cdb) -> Duration {
        let told = self.reported.as_ref();
        let action = Some(u16::from(cdb.service_action()));
        let has_action = told.is_some_and(|told| told.timeout(cdb.opcode(), action).is_some());
        let action = action.filter(|_| has_action);
        timeout(told, DeviceType::SequentialAccess, cdb.opcode(), action)
    }
}

impl Drive {
    /// Asks the drive for its timeouts. One that does not say gets the table's.
    pub(super) fn ask_timeouts(&mut self) -> Result<(), DriveError> {
        let cdb = ReportSupportedOperationCodes::new(Asked::All, REPORT_BYTES).cdb();
        let told = self.if_known(|drive| drive.ask_in(REPORT, cdb, REPORT_BYTES as usize))?;
        self.timeouts.reported = told.and_then(|bytes| SupportedCommands::parse(&bytes).ok());
        Ok(())
    }
}
