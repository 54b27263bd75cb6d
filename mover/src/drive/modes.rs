//! How the drive is set up for a session: MODE SENSE, MODE SELECT, the door.
//!
//! Blocks of any length (block length 0), buffered mode 1 (GOOD means "in the
//! buffer"), compression and [protection](super::protection) on where the drive
//! can. What is set is read back and
//! compared: drives round, ignore, and forget on a reset.

use longhaul_scsi::cdb::Command;
use longhaul_scsi::spc::basic::PreventAllowMediumRemoval;
use longhaul_scsi::spc::mode::{ModePage, ModeParameters, ModeSelect10, ModeSense10, Page};
use longhaul_scsi::ssc::mode::DataCompression;
use longhaul_scsi::verdict::Doing;

use super::error::{DriveError, Problem};
use super::session::Drive;

pub(super) const MODE_SENSE: &str = "MODE SENSE(10)";
pub(super) const MODE_SELECT: &str = "MODE SELECT(10)";
const PREVENT_ALLOW: &str = "PREVENT ALLOW MEDIUM REMOVAL";

/// Header, block descriptor and one page; drives send less.
const MODE_BYTES: u16 = 512;
/// GOOD is given when a block is in the buffer (SSC-5 8.2).
const BUFFERED: u8 = 1;

impl Drive {
    /// Sets the drive up for reading and writing, shuts its door, and finds out
    /// where the tape stands. From here on a unit attention about a reset or a
    /// changed cartridge ends the session.
    ///
    /// # Errors
    /// [`Problem::Mode`] if the drive keeps another setting than it was given;
    /// else those of the drive.
    pub fn prepare(&mut self) -> Result<(), DriveError> {
        self.restore_modes()?;
        self.set_door(true)?;
        self.prepared = true;
        self.recover_position().map(drop)
    }

    /// Whether the cartridge may not be written: its tab, or its generation.
    ///
    /// # Errors
    /// Those of the drive.
    pub fn write_protected(&mut self) -> Result<bool, DriveError> {
        Ok(self.sense_modes()?.write_protected())
    }

    /// Sets what is not as it should be, and proves it.
    pub(super) fn restore_modes(&mut self) -> Result<(), DriveError> {
        let found = self.sense_modes()?;
        let wanted = wanted(&found);
        if difference(&wanted, &found).is_some() {
            self.select_modes(&wanted)?;
            let found = self.sense_modes()?;
            if let Some(problem) = difference(&wanted, &found) {
                return Err(self.fail(MODE_SELECT, problem));
            }
        }
        self.restore_protection()?;
        self.modes_doubt = false;
        Ok(())
    }

    /// The same, if something has happened that may have changed them.
    pub(super) fn settle_modes(&mut self) -> Result<(), DriveError> {
        if self.prepared && self.modes_doubt {
            self.restore_modes()?;
        }
        Ok(())
    }

    pub(super) fn select_modes(&mut self, modes: &ModeParameters) -> Result<(), DriveError> {
        let list = modes.encode_select_10();
        // One page and a descriptor are far below 65,535 bytes.
        let cdb = ModeSelect10::new(list.len() as u16, false).cdb();
        self.ask_out(MODE_SELECT, cdb, &list)
    }

    pub(super) fn set_door(&mut self, shut: bool) -> Result<(), DriveError> {
        let cdb = PreventAllowMediumRemoval::new(shut).cdb();
        match self.ask_plain(PREVENT_ALLOW, Doing::Other, cdb) {
            // A drive without a door that can be shut is no worse.
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => Ok(()),
            result => result,
        }
    }

    /// Header, block descriptor and, where there is one, the compression page.
    pub(super) fn sense_modes(&mut self) -> Result<ModeParameters, DriveError> {
        match self.sense_page(DataCompression::CODE, 0) {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => {
                // Page 0 is every vendor's own, and comes with header and
                // block descriptor alone or with something to be ignored.
                let mut modes = self.sense_page(0, 0)?;
                modes.pages.clear();
                Ok(modes)
            }
            answer => answer,
        }
    }

    pub(super) fn sense_page(
        &mut self,
        page: u8,
        subpage: u8,
    ) -> Result<ModeParameters, DriveError> {
        let cdb = ModeSense10::new(page, subpage, MODE_BYTES).cdb();
        let bytes = self.ask_in(MODE_SENSE, cdb, MODE_BYTES.into())?;
        ModeParameters::parse_10(&bytes)
            .map_err(|error| self.fail(MODE_SENSE, Problem::Malformed(error.to_string())))
    }
}

/// What the drive has, with what we need.
pub(super) fn wanted(found: &ModeParameters) -> ModeParameters {
    let mut wanted = found.clone();
    wanted.set_buffered_mode(BUFFERED);
    if let Some(descriptor) = &mut wanted.block_descriptor {
        descriptor.block_bytes = 0;
        // 0 is "all of the medium": a number read back here is no request.
        descriptor.blocks = 0;
    }
    for page in &mut wanted.pages {
        compress(page);
    }
    wanted
}

fn compress(page: &mut ModePage) {
    if let Some(mut fields) = page.fields::<DataCompression>()
        && fields.can_compress()
    {
        fields.set_compresses(true);
        page.set_fields(&fields);
    }
}

/// The first setting that matters and is not as it was set.
fn difference(wanted: &ModeParameters, found: &ModeParameters) -> Option<Problem> {
    let block_bytes = |modes: &ModeParameters| modes.block_descriptor.map_or(0, |d| d.block_bytes);
    let compresses = |modes: &ModeParameters| {
        u32::from(
            modes
                .fields()
                .is_some_and(|page: DataCompression| page.compresses()),
        )
    };
    let settings = [
        ("block length", block_bytes(wanted), block_bytes(found)),
        (
            "buffered mode",
            wanted.buffered_mode().into(),
            found.buffered_mode().into(),
        ),
        ("data compression", compresses(wanted), compresses(found)),
    ];
    settings
        .into_iter()
        .find(|(_, wanted, found)| wanted != found)
        .map(|(what, wanted, found)| Problem::Mode {
            what,
            wanted,
            found,
        })
}
