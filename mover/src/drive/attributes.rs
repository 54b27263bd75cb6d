//! The cartridge's own memory (MAM): who the volume is, told by the chip.
//!
//! The chip is read without touching the tape, so it tells which volume is
//! loaded before a block is read, and its volume change reference tells whether
//! anybody has written since. Not every drive has it, and none has all
//! attributes: what is absent is `None`, and no error.

use longhaul_scsi::cdb::Command;
use longhaul_scsi::spc::attribute::{
    Attribute, AttributeAction, AttributeFormat, Attributes, ReadAttribute, WriteAttribute, id,
};

use super::error::{DriveError, Problem};
use super::session::Drive;

const READ_ATTRIBUTE: &str = "READ ATTRIBUTE";
const WRITE_ATTRIBUTE: &str = "WRITE ATTRIBUTE";

/// A chip has 4 to 16 KiB.
const ATTRIBUTES_BYTES: u32 = 16 << 10;
/// TEXT LOCALIZATION IDENTIFIER of UTF-8.
const UTF_8: u8 = 0x81;

/// What hosts write into the chip (attributes 0800h to 0809h): `None` for what
/// is not there, and for what is to be left alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeIdentity {
    /// 0800h APPLICATION VENDOR, 8 characters.
    pub application_vendor: Option<String>,
    /// 0801h APPLICATION NAME, 32 characters.
    pub application_name: Option<String>,
    /// 0802h APPLICATION VERSION, 8 characters.
    pub application_version: Option<String>,
    /// 0803h USER MEDIUM TEXT LABEL, 160 bytes of UTF-8.
    pub user_label: Option<String>,
    /// 0804h DATE AND TIME LAST WRITTEN, 12 digits, YYYYMMDDHHMM.
    pub last_written: Option<String>,
    /// 0806h BARCODE, 32 characters.
    pub barcode: Option<String>,
    /// 0807h OWNING HOST TEXTUAL NAME, 80 bytes of UTF-8.
    pub owning_host: Option<String>,
    /// 0808h MEDIA POOL, 160 bytes of UTF-8.
    pub media_pool: Option<String>,
    /// 0809h PARTITION USER TEXT LABEL, 16 characters.
    pub partition_label: Option<String>,
}

/// What the chip says about the cartridge itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediumIdentity {
    /// 0401h MEDIUM SERIAL NUMBER
    pub serial: Option<String>,
    /// 0400h MEDIUM MANUFACTURER
    pub manufacturer: Option<String>,
    /// 0008h VOLUME IDENTIFIER: the barcode, where a library reads it for the
    /// drive.
    pub volume_identifier: Option<String>,
    /// 0009h VOLUME CHANGE REFERENCE: another number after each session that
    /// has written.
    pub volume_change_reference: Option<u64>,
    /// 0003h LOAD COUNT
    pub load_count: Option<u64>,
    /// 0000h REMAINING CAPACITY IN PARTITION, in bytes.
    pub remaining_bytes: Option<u64>,
    /// 0001h MAXIMUM CAPACITY IN PARTITION, in bytes.
    pub maximum_bytes: Option<u64>,
    /// 0220h TOTAL MBYTES WRITTEN IN MEDIUM LIFE, in bytes.
    pub written_bytes: Option<u64>,
    /// 0221h TOTAL MBYTES READ IN MEDIUM LIFE, in bytes.
    pub read_bytes: Option<u64>,
}

impl Drive {
    /// What hosts wrote into the chip; all `None` where there is no chip.
    ///
    /// # Errors
    /// Those of the drive.
    pub fn volume_identity(&mut self) -> Result<VolumeIdentity, DriveError> {
        let attributes = self.attributes()?;
        let text = |id| {
            attributes
                .find(id)
                .map(Attribute::as_text)
                .filter(|t| !t.is_empty())
        };
        Ok(VolumeIdentity {
            application_vendor: text(id::APPLICATION_VENDOR),
            application_name: text(id::APPLICATION_NAME),
            application_version: text(id::APPLICATION_VERSION),
            user_label: text(id::USER_MEDIUM_TEXT_LABEL),
            last_written: text(id::DATE_AND_TIME_LAST_WRITTEN),
            barcode: text(id::BARCODE),
            owning_host: text(id::OWNING_HOST_TEXTUAL_NAME),
            media_pool: text(id::MEDIA_POOL),
            partition_label: text(id::PARTITION_USER_TEXT_LABEL),
        })
    }

    /// Writes what is `Some` into the chip. False where the drive has none, or
    /// takes none of these: the tape's own label counts then.
    ///
    /// # Errors
    /// Those of the drive; [`Problem::WriteProtected`].
    pub fn write_volume_identity(&mut self, identity: &VolumeIdentity) -> Result<bool, DriveError> {
        if let Some(problem) = self.stopped.clone() {
            return Err(self.fail(WRITE_ATTRIBUTE, problem));
        }
        let attributes = Attributes(identity.attributes());
        if attributes.0.is_empty() {
            return Ok(true);
        }
        let list = attributes.encode();
        // Ten attributes of at most 165 bytes each.
        let cdb = WriteAttribute::new(0, list.len() as u32).cdb();
        match self.ask_out(WRITE_ATTRIBUTE, cdb, &list) {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// What the chip says about the cartridge; all `None` where there is none.
    ///
    /// # Errors
    /// Those of the drive.
    pub fn medium_identity(&mut self) -> Result<MediumIdentity, DriveError> {
        let attributes = self.attributes()?;
        let text = |id| {
            attributes
                .find(id)
                .map(Attribute::as_text)
                .filter(|t| !t.is_empty())
        };
        let number = |id| attributes.find(id).and_then(Attribute::as_number);
        let mib = |id| number(id).map(|mib| mib.saturating_mul(1 << 20));
        Ok(MediumIdentity {
            serial: text(id::MEDIUM_SERIAL_NUMBER),
            manufacturer: text(id::MEDIUM_MANUFACTURER),
            volume_identifier: text(id::VOLUME_IDENTIFIER),
            volume_change_reference: number(id::VOLUME_CHANGE_REFERENCE),
            load_count: number(id::LOAD_COUNT),
            remaining_bytes: mib(id::REMAINING_CAPACITY),
            maximum_bytes: mib(id::MAXIMUM_CAPACITY),
            written_bytes: mib(id::TOTAL_WRITTEN),
            read_bytes: mib(id::TOTAL_READ),
        })
    }

    /// All attributes of the first partition. They are asked for from 0 on,
    /// since that one is always there: some drives refuse to begin at one that
    /// is not.
    fn attributes(&mut self) -> Result<Attributes, DriveError> {
        let first = id::REMAINING_CAPACITY;
        let cdb = ReadAttribute::new(AttributeAction::Values, 0, first, ATTRIBUTES_BYTES).cdb();
        match self.ask_in(READ_ATTRIBUTE, cdb, ATTRIBUTES_BYTES as usize) {
            // No chip, or no such command.
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => {
                Ok(Attributes(Vec::new()))
            }
            answer => Attributes::parse(&answer?)
                .map_err(|error| self.fail(READ_ATTRIBUTE, Problem::Malformed(error.to_string()))),
        }
    }
}

impl VolumeIdentity {
    /// In rising order of identifiers, as the standard wants them.
    fn attributes(&self) -> Vec<Attribute> {
        let utf_8 = Attribute {
            id: id::TEXT_LOCALIZATION_IDENTIFIER,
            read_only: false,
            format: AttributeFormat::Binary,
            value: vec![UTF_8],
        };
        let has_text = [&self.user_label, &self.owning_host, &self.media_pool];
        let ascii_8 = |id, value: &Option<String>| ascii::<8>(id, value);
        [
            ascii_8(id::APPLICATION_VENDOR, &self.application_vendor),
            ascii::<32>(id::APPLICATION_NAME, &self.application_name),
            ascii_8(id::APPLICATION_VERSION, &self.application_version),
            text::<160>(id::USER_MEDIUM_TEXT_LABEL, &self.user_label),
            ascii::<12>(id::DATE_AND_TIME_LAST_WRITTEN, &self.last_written),
            has_text.iter().any(|text| text.is_some()).then_some(utf_8),
            ascii::<32>(id::BARCODE, &self.barcode),
            text::<80>(id::OWNING_HOST_TEXTUAL_NAME, &self.owning_host),
            text::<160>(id::MEDIA_POOL, &self.media_pool),
            ascii::<16>(id::PARTITION_USER_TEXT_LABEL, &self.partition_label),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn ascii<const BYTES: usize>(id: u16, value: &Option<String>) -> Option<Attribute> {
    value
        .as_ref()
        .map(|value| Attribute::ascii::<BYTES>(id, value))
}

fn text<const BYTES: usize>(id: u16, value: &Option<String>) -> Option<Attribute> {
    value
        .as_ref()
        .map(|value| Attribute::text::<BYTES>(id, value))
}
