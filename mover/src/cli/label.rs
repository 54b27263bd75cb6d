//! `lh-mover label`

use clap::Args;
use longhaul_catalog::Catalog;
use longhaul_format::archive::RECORD_BYTES;

use super::{CatalogArg, DriveArg, JsonArg, output};
use crate::job::{ExitStatus, JobError, adopt, label};
use crate::transport;

/// Make the cartridge in the drive a volume
///
/// Writes a label onto a blank cartridge. A cartridge that is not blank is left
/// alone unless --overwrite says the name of the volume that it is. An emulated
/// cartridge that does not exist is created.
#[derive(Args)]
pub struct Label {
    #[command(flatten)]
    drive: DriveArg,

    /// The volume's name: 1 to 6 characters A-Z and 0-9 [default: the
    /// barcode's, or a random one]
    #[arg(long)]
    name: Option<String>,

    /// The barcode on the cartridge: six characters that name the volume, and
    /// two for the kind of medium
    #[arg(long)]
    barcode: Option<String>,

    /// Bytes of a record, a multiple of 512 from 1024 to 1048576
    #[arg(long, value_name = "BYTES", default_value_t = RECORD_BYTES)]
    record_bytes: u64,

    /// Overwrite the volume of this name, and all that is on it; `unlabelled`
    /// for one without a name
    #[arg(long, value_name = "NAME")]
    overwrite: Option<String>,

    #[command(flatten)]
    catalog: CatalogArg,
    #[command(flatten)]
    pub(super) json: JsonArg,
}

impl Label {
    pub(super) fn run(self) -> Result<ExitStatus, JobError> {
        let catalog = Catalog::open(&self.catalog.dir()?)?;
        let mounts = self.drive.mounts(&self.catalog)?;
        if mounts.drives.len().max(mounts.volumes.len()) > 1 {
            let what = "one volume is labelled at a time: name one drive";
            return Err(JobError::Usage(what.into()));
        }
        let chosen = mounts.first()?;
        let options = label::Options {
            name: self.name,
            uuid: None,
            barcode: self.barcode.or(chosen.barcode),
            record_bytes: self.record_bytes,
            overwrite: self.overwrite,
        };
        transport::create_if_missing(&chosen.drive)?;
        let labelled = label::in_drive(&chosen.drive, &options)?;
        adopt::labelled(&catalog, &labelled)?;
        if self.json.json {
            output::json(&labelled)?;
        } else {
            output::print(|out| {
                writeln!(
                    out,
                    "labelled volume {} ({}), records of {} bytes",
                    labelled.volume, labelled.uuid, labelled.record_bytes
                )
            })?;
        }
        Ok(ExitStatus::Done)
    }
}
