//! Labelling: making a cartridge a volume of ours.

use std::time::SystemTime;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::label::{Label, MediaSuffix, VolumeName};
use longhaul_format::mam;
use serde::Serialize;
use uuid::Uuid;

use super::mounts::Mounts;
use super::session::{Purpose, Session};
use super::volume::{self, First};
use super::{JobError, convert};
use crate::drive::VolumeIdentity;

/// The word that stands for a volume without a name, where one is to be named.
pub const UNLABELLED: &str = "unlabelled";

/// How a volume is labelled.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name; the barcode's, or a random one, if not given.
    pub name: Option<String>,
    /// Its identity; a random one, if not given. A volume of this name and identity
    /// was labelled before, and is left as it is.
    pub uuid: Option<Uuid>,
    /// The barcode on the cartridge; what its memory says, if not given.
    pub barcode: Option<String>,
    /// Bytes of its records.
    pub record_bytes: u64,
    /// The name of the volume that may be overwritten, or [`UNLABELLED`].
    pub overwrite: Option<String>,
}

/// A volume that was labelled.
#[derive(Debug, Clone, Serialize)]
pub struct Labelled {
    /// Its name.
    pub volume: String,
    /// Its identity.
    pub uuid: Uuid,
    /// Bytes of its records.
    pub record_bytes: u64,
    /// Its barcode, if it has one.
    pub barcode: Option<String>,
    /// When it was labelled, in seconds since 1970.
    pub created: i64,
    /// The volume of ours that it was before.
    pub replaced: Option<Uuid>,
    /// What was written.
    #[serde(skip)]
    pub label: Label,
}

/// Labels the volume in the drive.
///
/// # Errors
/// [`JobError::Refused`] for a volume that is not blank and was not named.
pub fn run(session: &mut Session, options: &Options) -> Result<Labelled, JobError> {
    let first = volume::first(session.drive())?;
    if let First::Ours(label) = &first
        && options.uuid == Some(label.uuid)
        && options.name.as_deref() == Some(label.name.as_str())
    {
        return Ok(Labelled::of(label.clone(), None));
    }
    may_overwrite(
        session.drive().label(),
        &first,
        options.overwrite.as_deref(),
    )?;
    let barcode = barcode(session, options.barcode.as_deref())?;
    let (name, media) = name(options.name.as_deref(), barcode.as_deref())?;
    let label = Label {
        name,
        uuid: options.uuid.unwrap_or_else(Uuid::new_v4),
        record_bytes: options.record_bytes,
        created: convert::seconds(SystemTime::now()),
        media,
    };
    write(session, &label)?;
    let replaced = match first {
        First::Ours(old) => Some(old.uuid),
        _ => None,
    };
    Ok(Labelled::of(label, replaced))
}

impl Labelled {
    fn of(label: Label, replaced: Option<Uuid>) -> Labelled {
        Labelled {
            volume: label.name.to_string(),
            uuid: label.uuid,
            record_bytes: label.record_bytes,
            barcode: label.barcode(),
            created: label.created,
            replaced,
            label,
        }
    }
}

/// Opens the drive and labels the volume in it.
///
/// # Errors
/// As [`run`], and those of [`Session::open`].
pub fn in_drive(drive: &str, options: &Options) -> Result<Labelled, JobError> {
    let mut session = Session::open(Mounts::drive(drive), Purpose::Write)?;
    let labelled = run(&mut session, options)?;
    session.release();
    Ok(labelled)
}

fn may_overwrite(drive: &str, first: &First, told: Option<&str>) -> Result<(), JobError> {
    let (name, what) = match first {
        First::Blank => return Ok(()),
        First::Ours(label) => (
            label.name.to_string(),
            format!("it is volume {} of Longhaul's", label.name),
        ),
        First::Foreign { name, what } => {
            let name = name.clone().filter(|name| !name.is_empty());
            (name.unwrap_or_else(|| UNLABELLED.into()), what.clone())
        }
    };
    if told == Some(&*name) {
        return Ok(());
    }
    Err(JobError::Refused(format!(
        "{drive}: the volume is not blank: {what}; nothing was written; \
         to overwrite all that is on it, say --overwrite {name}"
    )))
}

/// The cartridge's barcode. Two that differ are no barcode to trust.
fn barcode(session: &mut Session, asked: Option<&str>) -> Result<Option<String>, JobError> {
    let drive = session.drive();
    let memory = volume::barcode(drive)?;
    match (asked, memory) {
        (Some(asked), Some(memory)) if asked != memory => Err(JobError::Refused(format!(
            "{}: the cartridge's memory says barcode {memory}, not {asked}; nothing was written",
            drive.label()
        ))),
        (Some(asked), _) if VolumeName::from_barcode(asked).is_none() => {
            let what = "is no barcode: six characters A-Z and 0-9, and two for the medium";
            Err(JobError::Usage(format!("--barcode {asked} {what}")))
        }
        (Some(asked), _) => Ok(Some(asked.to_owned())),
        (None, memory) => Ok(memory),
    }
}

/// The volume's name and media suffix. A barcode decides where there is one.
fn name(
    asked: Option<&str>,
    barcode: Option<&str>,
) -> Result<(VolumeName, Option<MediaSuffix>), JobError> {
    let asked = asked.map(|text| {
        text.parse::<VolumeName>()
            .map_err(|error| JobError::Usage(format!("--name: {error}")))
    });
    let asked = asked.transpose()?;
    let barcode = barcode.map(str::trim).filter(|barcode| !barcode.is_empty());
    match (barcode.and_then(VolumeName::from_barcode), asked) {
        (Some((name, _)), Some(asked)) if asked != name => Err(JobError::Refused(format!(
            "the cartridge's barcode names the volume {name}, not {asked}; leave --name out"
        ))),
        (Some(named), _) => Ok(named),
        (None, Some(asked)) => Ok((asked, None)),
        (None, None) => Ok((random_name(), None)),
    }
}

/// A name that nobody chose: five random characters behind an L.
fn random_name() -> VolumeName {
    const CODE: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut random = Uuid::new_v4().as_u128();
    let mut name = String::from("L");
    for _ in 0..5 {
        name.push(char::from(CODE[(random % 36) as usize]));
        random /= 36;
    }
    name.parse().expect("six characters A-Z and 0-9")
}

/// Writes the label file. Whatever was behind it is then gone.
fn write(session: &mut Session, label: &Label) -> Result<(), JobError> {
    let drive = session.drive();
    drive.rewind()?;
    for record in label.records() {
        let (written, _) = drive.write(Buffer::from_slice(&record), record.len());
        written?;
    }
    drive.write_filemarks(1, false)?;
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    // A drive or cartridge without room for host attributes is no reason not to
    // use it: the label on the tape counts.
    if !drive.write_volume_identity(&identity(label, &host))? {
        log::info!("{}: the cartridge has no memory for a label", drive.label());
    }
    Ok(())
}

/// The label, as cartridge memory has it.
fn identity(label: &Label, host: &str) -> VolumeIdentity {
    let mut identity = VolumeIdentity::default();
    for attribute in mam::attributes(label, host, env!("CARGO_PKG_VERSION")) {
        let text = String::from_utf8_lossy(&attribute.value);
        let text = Some(text.trim_end_matches(['\0', ' ']).to_owned());
        match attribute.id {
            mam::APPLICATION_VENDOR => identity.application_vendor = text,
            mam::APPLICATION_NAME => identity.application_name = text,
            mam::APPLICATION_VERSION => identity.application_version = text,
            mam::USER_MEDIUM_TEXT_LABEL => identity.user_label = text,
            mam::DATE_AND_TIME_LAST_WRITTEN => identity.last_written = text,
            mam::OWNING_HOST_TEXTUAL_NAME => identity.owning_host = text,
            mam::BARCODE => identity.barcode = text,
            _ => {}
        }
    }
    identity
}
