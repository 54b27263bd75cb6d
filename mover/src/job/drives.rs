//! Which drives and changers this host can reach, and what can be said of each
//! without disturbing anybody.
//!
//! Most of it the kernel knows. A device that a process of this host has open
//! is asked nothing at all; one that another host has reserved is asked only by
//! whom: it may be streaming, and its answer to anything else would be
//! RESERVATION CONFLICT.

use std::path::PathBuf;
use std::time::Duration;

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::spc::attribute::{Attribute, AttributeAction, Attributes, ReadAttribute, id};
use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::spc::persistent_reserve::{
    FullStatus, InAction, PersistentReserveIn, Reservation,
};
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Data, Request, Transport};
use serde::Serialize;

use crate::drive::Key;
use crate::transport::{Device, Link, Lun, Openers, Process, Sg, Sysfs, devices};

/// No answer takes longer from a device that is well.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Unit attentions that may stand before an answer.
const TRIES: u32 = 8;
/// A cartridge's chip has 4 to 16 KiB.
const ATTRIBUTES_BYTES: u32 = 16 << 10;
/// Room for the registrations of more nexuses than a SAN has.
const RESERVATIONS_BYTES: u16 = 32 << 10;

const DRIVE: &str = "drive";
const CHANGER: &str = "changer";

/// A tape drive or changer.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `drive` or `changer`.
    pub kind: &'static str,
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION.
    pub product: String,
    /// PRODUCT REVISION LEVEL.
    pub revision: String,
    /// The serial number that it is called by.
    pub serial: String,
    /// NAA designator, 16 hexadecimal digits.
    pub naa: Option<String>,
    /// All paths to it.
    pub paths: Vec<Path>,
    /// A process of this host that has it open.
    pub in_use: Option<Process>,
    /// Who has reserved it; `None` if nobody has, or it was not asked.
    pub reservation: Option<Holder>,
    /// The loaded volume: its barcode, or what label its chip has.
    pub volume: Option<String>,
    /// Why it could not be asked.
    pub problem: Option<String>,
}

impl Report {
    /// Whether it is a changer.
    pub fn is_changer(&self) -> bool {
        self.kind == CHANGER
    }
}

/// One path to a device.
#[derive(Debug, Clone, Serialize)]
pub struct Path {
    /// Host, channel, target, logical unit number.
    pub address: String,
    /// `running`, or what else the kernel takes it for.
    pub state: String,
    /// `/dev/sgN`.
    pub sg: Option<PathBuf>,
    /// `/dev/nstN`.
    pub nst: Option<PathBuf>,
    /// `/dev/schN`.
    pub sch: Option<PathBuf>,
    /// `/dev/bsg/H:C:T:L`.
    pub bsg: Option<PathBuf>,
    /// Names in /dev/tape.
    pub links: Vec<PathBuf>,
    /// How it is attached.
    pub transport: Link,
}

/// Who holds a reservation.
#[derive(Debug, Clone, Serialize)]
pub struct Holder {
    /// The reservation key, 16 hexadecimal digits.
    pub key: String,
    /// Whether a mover of this project made that key.
    pub is_longhaul: bool,
    /// The initiator port: a WWPN, an iSCSI name or a SAS address.
    pub initiator: Option<String>,
}

/// Looks.
pub fn run(sysfs: &Sysfs) -> Vec<Report> {
    let openers = Openers::look();
    devices(sysfs.luns())
        .iter()
        .map(|device| report(device, &openers))
        .collect()
}

fn report(device: &Device, openers: &Openers) -> Report {
    let first = device.first();
    let is_changer = first.device_type == DeviceType::MediumChanger;
    let mut report = Report {
        kind: if is_changer { CHANGER } else { DRIVE },
        vendor: first.vendor.clone(),
        product: first.product.clone(),
        revision: first.revision.clone(),
        serial: first.serial.clone(),
        naa: first.naa.map(|naa| format!("{naa:016x}")),
        paths: device.paths.iter().map(path).collect(),
        in_use: openers.of(device.paths.iter().flat_map(Lun::nodes)),
        reservation: None,
        volume: None,
        problem: None,
    };
    if report.in_use.is_none() {
        ask(device, &mut report);
    }
    report
}

fn path(lun: &Lun) -> Path {
    Path {
        address: lun.address.clone(),
        state: lun.state.clone(),
        sg: lun.sg.clone(),
        nst: lun.nst.clone(),
        sch: lun.sch.clone(),
        bsg: lun.bsg.clone(),
        links: lun.links.clone(),
        transport: lun.link.clone(),
    }
}

/// Asks by the sg driver's node: the st driver asks questions of its own
/// whenever its node is opened.
fn ask(device: &Device, report: &mut Report) {
    let running = device.paths.iter().find(|lun| lun.state == "running");
    let Some(lun) = running else {
        report.problem = Some("no path to it is running".to_owned());
        return;
    };
    let only_sg = Lun {
        nst: None,
        ..lun.clone()
    };
    match Sg::open(&only_sg) {
        Ok(mut transport) => question(&mut transport, report),
        Err(error) => report.problem = Some(error.to_string()),
    }
}

/// What a device tells about itself without being disturbed.
fn question(transport: &mut dyn Transport, report: &mut Report) {
    let reservation = reservation(transport);
    report.reservation = reservation.and_then(|found| holder(transport, &found));
    if report.kind == DRIVE && report.reservation.is_none() {
        report.volume = volume(transport);
    }
}

fn reservation(transport: &mut dyn Transport) -> Option<Reservation> {
    let action = InAction::ReadReservation;
    let cdb = PersistentReserveIn::new(action, RESERVATIONS_BYTES).cdb();
    Reservation::parse(&ask_in(transport, cdb, RESERVATIONS_BYTES.into())?).ok()
}

fn holder(transport: &mut dyn Transport, reservation: &Reservation) -> Option<Holder> {
    let holder = reservation.holder?;
    let action = InAction::ReadFullStatus;
    let cdb = PersistentReserveIn::new(action, RESERVATIONS_BYTES).cdb();
    let status = ask_in(transport, cdb, RESERVATIONS_BYTES.into())
        .and_then(|bytes| FullStatus::parse(&bytes).ok())
        .unwrap_or_default();
    let registration = status
        .registrations
        .into_iter()
        .find(|registration| registration.holds.is_some());
    Some(Holder {
        key: format!("{:016x}", holder.key),
        is_longhaul: Key(holder.key).is_longhaul(),
        initiator: registration.and_then(|found| found.initiator()),
    })
}

/// The chip's barcode, or the label that a host gave the cartridge.
fn volume(transport: &mut dyn Transport) -> Option<String> {
    let first = id::REMAINING_CAPACITY;
    let cdb = ReadAttribute::new(AttributeAction::Values, 0, first, ATTRIBUTES_BYTES).cdb();
    let bytes = ask_in(transport, cdb, ATTRIBUTES_BYTES as usize)?;
    let attributes = Attributes::parse(&bytes).ok()?;
    [
        id::VOLUME_IDENTIFIER,
        id::BARCODE,
        id::USER_MEDIUM_TEXT_LABEL,
    ]
    .iter()
    .filter_map(|&id| attributes.find(id))
    .map(Attribute::as_text)
    .find(|text| !text.is_empty())
}

/// An answer, or `None` if there is none to be had.
fn ask_in(transport: &mut dyn Transport, cdb: Cdb, len: usize) -> Option<Vec<u8>> {
    let mut buffer = Buffer::zeroed(len);
    for _ in 0..TRIES {
        let completion = transport.execute(Request {
            cdb,
            data: Data::In { buffer, len },
            timeout: TIMEOUT,
        });
        buffer = completion.data.into_buffer()?;
        if completion.outcome.status == Ok(Status::Good) {
            let missing = usize::try_from(completion.outcome.residual).unwrap_or(0);
            return Some(buffer[..len - missing.min(len)].to_vec());
        }
        let sense = completion.outcome.sense?;
        if sense.key != longhaul_scsi::SenseKey::UnitAttention {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longhaul_emulator::transport::Emulated;
    use longhaul_emulator::url::Url;

    use super::*;
    use crate::drive::{Drive, Patience};

    fn questioned(transport: &mut dyn Transport) -> Report {
        let mut report = Report {
            kind: DRIVE,
            vendor: String::new(),
            product: String::new(),
            revision: String::new(),
            serial: String::new(),
            naa: None,
            paths: Vec::new(),
            in_use: None,
            reservation: None,
            volume: None,
            problem: None,
        };
        question(transport, &mut report);
        report
    }

    #[test]
    fn a_free_drive_tells_its_volume_and_a_reserved_one_only_its_holder() {
        let dir = tempfile::tempdir().expect("scratch");
        let url = Url {
            path: dir.path().join("tape.vtape"),
            barcode: Some("LH0001L9".to_owned()),
            ..Url::default()
        };
        let holder = Emulated::create(&url).expect("a cartridge");
        let drive = holder.drive();
        let mut other = Emulated::attach(Arc::clone(&drive), "other", "other".to_owned());
        let report = questioned(&mut other);
        assert_eq!(report.volume.as_deref(), Some("LH0001L9"));
        assert!(report.reservation.is_none());

        let mut session = Drive::open_with(Box::new(holder), Patience::brief()).expect("opens");
        session.reserve(Key::new(1, 2)).expect("free");
        let commands = || drive.lock().expect("no panic").commands();
        let before = commands();
        let report = questioned(&mut other);
        let found = report.reservation.expect("held");
        assert_eq!(
            (found.key.as_str(), found.is_longhaul),
            ("4c48000100000002", true)
        );
        assert_eq!(report.volume, None);
        assert_eq!(commands() - before, 2, "it is asked only who holds it");
    }
}
