//! What is in the drive.

use serde::Serialize;
use uuid::Uuid;

use super::JobError;
use super::session::Session;
use super::volume::{self, First, Tail};

/// A drive and the volume in it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The drive's name on this host, with its serial number.
    pub drive: String,
    /// VENDOR IDENTIFICATION.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION.
    pub product: String,
    /// PRODUCT REVISION LEVEL.
    pub revision: String,
    /// Serial number.
    pub serial: String,
    /// Whether the cartridge is write-protected.
    pub write_protected: bool,
    /// What the drive and its cartridge need (TapeAlert flags).
    pub tape_alerts: Vec<String>,
    /// The recording format's name.
    pub density: Option<String>,
    /// Bytes that the partition can hold, nominally.
    pub capacity_bytes: Option<u64>,
    /// Bytes that it still can.
    pub remaining_bytes: Option<u64>,
    /// The cartridge's serial number.
    pub cartridge_serial: Option<String>,
    /// The cartridge's barcode.
    pub barcode: Option<String>,
    /// What kind of volume it is: `ours`, `blank` or `foreign`.
    pub volume_is: &'static str,
    /// What is known of it: a label's name, or why it is not ours.
    pub volume: Option<String>,
    /// A volume of ours: its identity.
    pub uuid: Option<Uuid>,
    /// A volume of ours: bytes of its records.
    pub record_bytes: Option<u64>,
    /// A volume of ours: sets on it, an unfinished one included.
    pub sets: Option<u32>,
    /// A volume of ours: the number of the set at its end that is unfinished.
    pub unfinished_set: Option<u32>,
    /// A volume of ours: whether its end is near.
    pub full: Option<bool>,
}

/// Looks.
///
/// # Errors
/// The drive's.
pub fn run(session: &mut Session) -> Result<Status, JobError> {
    let drive = session.drive();
    let identity = drive.identity().clone();
    let health = drive.health()?;
    let mut status = Status {
        drive: drive.label().to_owned(),
        vendor: identity.vendor,
        product: identity.product,
        revision: identity.revision,
        serial: identity.serial,
        write_protected: drive.write_protected()?,
        tape_alerts: health
            .alerts
            .iter()
            .map(|a| format!("{} ({})", a.meaning, a.flag))
            .collect(),
        density: health.density,
        capacity_bytes: health.capacity_bytes,
        remaining_bytes: health.remaining_bytes,
        cartridge_serial: health.medium.serial,
        barcode: volume::barcode(drive)?,
        volume_is: "blank",
        volume: None,
        uuid: None,
        record_bytes: None,
        sets: None,
        unfinished_set: None,
        full: None,
    };
    match volume::first(drive)? {
        First::Blank => {}
        First::Foreign { what, .. } => {
            status.volume_is = "foreign";
            status.volume = Some(what);
        }
        First::Ours(label) => {
            status.volume_is = "ours";
            status.volume = Some(label.name.to_string());
            status.uuid = Some(label.uuid);
            status.record_bytes = Some(label.record_bytes);
            match session.tail(&label)? {
                Tail::Ready { next, end } => {
                    status.sets = Some(next - 1);
                    status.full = Some(end.early_warning);
                }
                Tail::Unfinished(set) => {
                    status.sets = Some(set.head.sequence);
                    status.unfinished_set = Some(set.head.sequence);
                }
            }
        }
    }
    Ok(status)
}
