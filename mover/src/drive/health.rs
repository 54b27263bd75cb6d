//! How drive and cartridge are: density, capacity, alerts, statistics.
//!
//! For `status`, for the load and for the end of a job; never while the drive
//! streams. Vendors differ in which pages they have, so what can't be had is
//! `None`, and no error.

use std::fmt;

use longhaul_scsi::ParseError;
use longhaul_scsi::cdb::Command;
use longhaul_scsi::spc::log::LogSense;
pub use longhaul_scsi::ssc::log::Concern;
use longhaul_scsi::ssc::log::{
    Alerts, TapeCapacity, VolumeStatistics, alert_concern, code, describe_alert,
};
use longhaul_scsi::ssc::report_density_support::{Densities, Density, ReportDensitySupport};

use super::attributes::MediumIdentity;
use super::error::{DriveError, Problem};
use super::session::Drive;

const LOG_SENSE: &str = "LOG SENSE";
const REPORT_DENSITY: &str = "REPORT DENSITY SUPPORT";

/// Log pages of tape drives are some hundred bytes long.
const LOG_BYTES: u16 = 8 << 10;
/// Ten generations, several descriptors each.
const DENSITY_BYTES: u16 = 4 << 10;

/// How drive and cartridge are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Whether the cartridge may not be written.
    pub write_protected: Option<bool>,
    /// Whether it is write-once (log page 17h).
    pub worm: Option<bool>,
    /// The recording format of the cartridge: its code, as in the mode block
    /// descriptor.
    pub density_code: Option<u8>,
    /// The recording format's name, such as `U-9` or `LTO-9`.
    pub density: Option<String>,
    /// Native capacity, all partitions, in bytes.
    pub capacity_bytes: Option<u64>,
    /// What is left of it, in bytes.
    pub remaining_bytes: Option<u64>,
    /// The TapeAlert flags that are set. Reading clears them for this
    /// initiator on most drives: whoever asks has to tell.
    pub alerts: Vec<Alert>,
    /// The volume's life, where the drive keeps count.
    pub statistics: Option<VolumeStatistics>,
    /// What the cartridge's chip says.
    pub medium: MediumIdentity,
}

/// A TapeAlert flag that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// Its number, from 1 to 64 (SSC-5 annex A).
    pub flag: u8,
    /// What it means.
    pub meaning: &'static str,
}

impl Alert {
    /// What this flag means.
    pub fn new(flag: u8) -> Alert {
        let meaning = describe_alert(flag).unwrap_or("a flag of the vendor's");
        Alert { flag, meaning }
    }

    /// Whose fault it is.
    pub fn concern(&self) -> Concern {
        alert_concern(self.flag)
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.flag, self.meaning)
    }
}

impl Drive {
    /// Asks for everything. The cartridge should be ready: without one the
    /// drive tells of itself only, or of the cartridge before.
    ///
    /// # Errors
    /// Those that are about more than one question: a lost or fenced session,
    /// a path that is gone.
    pub fn health(&mut self) -> Result<Health, DriveError> {
        let modes = self.if_known(Drive::sense_modes)?;
        let density = self.if_known(Drive::density)?.flatten();
        let statistics = self.if_known(Drive::volume_statistics)?.flatten();
        let capacity = self.if_known(Drive::tape_capacity)?.flatten();
        let medium = self.if_known(Drive::medium_identity)?.unwrap_or_default();
        let descriptor = modes.as_ref().and_then(|modes| modes.block_descriptor);
        let (capacity_bytes, remaining_bytes) =
            capacities(statistics.as_ref(), capacity.as_ref(), &medium);
        Ok(Health {
            write_protected: modes.as_ref().map(|modes| modes.write_protected()),
            worm: statistics.as_ref().and_then(|statistics| statistics.worm),
            density_code: descriptor.map(|descriptor| descriptor.density_code),
            density: density.map(|density| density.name),
            capacity_bytes,
            remaining_bytes,
            alerts: self.if_known(Drive::alerts)?.unwrap_or_default(),
            statistics,
            medium,
        })
    }

    /// The TapeAlert flags that are set: on load, and at the end of a job. They
    /// are cleared by being read, for this initiator.
    ///
    /// # Errors
    /// Those of the drive, but not that it has no such page.
    pub fn alerts(&mut self) -> Result<Vec<Alert>, DriveError> {
        let alerts = self
            .log_page(code::ALERT, Alerts::parse)?
            .unwrap_or_default();
        Ok(alerts.iter().map(Alert::new).collect())
    }

    /// Log page 17h, if the drive has it and says that it is valid.
    ///
    /// # Errors
    /// As [`alerts`](Drive::alerts).
    pub fn volume_statistics(&mut self) -> Result<Option<VolumeStatistics>, DriveError> {
        let page = self.log_page(code::VOLUME_STATISTICS, VolumeStatistics::parse)?;
        Ok(page.filter(|page| page.valid != Some(false)))
    }

    fn tape_capacity(&mut self) -> Result<Option<TapeCapacity>, DriveError> {
        self.log_page(code::TAPE_CAPACITY, TapeCapacity::parse)
    }

    /// The loaded cartridge's recording format.
    fn density(&mut self) -> Result<Option<Density>, DriveError> {
        let cdb = ReportDensitySupport::densities(true, DENSITY_BYTES).cdb();
        let bytes = self.ask_in(REPORT_DENSITY, cdb, DENSITY_BYTES.into())?;
        let densities = Densities::parse(&bytes)
            .map_err(|error| self.fail(REPORT_DENSITY, Problem::Malformed(error.to_string())))?;
        Ok(densities
            .0
            .into_iter()
            .max_by_key(|density| density.default))
    }

    /// A log page; `None` where the drive has none, or one that makes no
    /// sense.
    fn log_page<T>(
        &mut self,
        page: u8,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Option<T>, DriveError> {
        let cdb = LogSense::new(page, LOG_BYTES).cdb();
        match self.ask_in(LOG_SENSE, cdb, LOG_BYTES.into()) {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => Ok(None),
            answer => Ok(parse(&answer?)
                .inspect_err(|error| log::warn!("{}: {error}", self.label))
                .ok()),
        }
    }
}

/// Capacity and what is left of it, in bytes: from the page that is made for
/// it, from the vendors' page, or from the chip.
fn capacities(
    statistics: Option<&VolumeStatistics>,
    capacity: Option<&TapeCapacity>,
    medium: &MediumIdentity,
) -> (Option<u64>, Option<u64>) {
    let megabytes = |mb: u64| mb.saturating_mul(1_000_000);
    let mebibytes = |mib: u64| mib.saturating_mul(1 << 20);
    let all = |mib: [Option<u64>; 2]| {
        mib.into_iter()
            .flatten()
            .reduce(u64::saturating_add)
            .filter(|&mib| mib > 0)
    };
    let total = statistics
        .and_then(|page| page.capacity_mb)
        .map(megabytes)
        .or_else(|| {
            capacity
                .and_then(|page| all(page.maximum_mib))
                .map(mebibytes)
        })
        .or(medium.maximum_bytes);
    let remaining = statistics
        .and_then(|page| page.capacity_mb?.checked_sub(page.used_mb?))
        .map(megabytes)
        .or_else(|| {
            let page = capacity.filter(|page| all(page.maximum_mib).is_some())?;
            page.remaining_mib
                .into_iter()
                .flatten()
                .reduce(u64::saturating_add)
                .map(mebibytes)
        })
        .or(medium.remaining_bytes);
    (total, remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_comes_from_the_best_source_there_is() {
        let medium = MediumIdentity {
            remaining_bytes: Some(1),
            maximum_bytes: Some(2),
            ..MediumIdentity::default()
        };
        assert_eq!(capacities(None, None, &medium), (Some(2), Some(1)));
        let vendors = TapeCapacity {
            remaining_mib: [Some(3), Some(0)],
            maximum_mib: [Some(5), Some(0)],
        };
        let wanted = (Some(5 << 20), Some(3 << 20));
        assert_eq!(capacities(None, Some(&vendors), &medium), wanted);
        let statistics = VolumeStatistics {
            capacity_mb: Some(10),
            used_mb: Some(4),
            ..VolumeStatistics::default()
        };
        let wanted = (Some(10_000_000), Some(6_000_000));
        assert_eq!(
            capacities(Some(&statistics), Some(&vendors), &medium),
            wanted
        );
    }
}
