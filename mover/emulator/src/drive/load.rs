//! LOAD UNLOAD (SSC-5 7.3). An unloaded cartridge stays in the drive's mouth
//! until it is loaded again or taken out.

use longhaul_scsi::sense::{Sense, SenseKey};

use super::{Command, Drive, Position};
use crate::spc::response::{Checked, becoming_ready, invalid_cdb, no_medium};

impl Drive {
    pub(super) fn load_unload(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const LOAD: u8 = 1;
        const EOT: u8 = 4;
        let loads = command.cdb[4] & LOAD != 0;
        if command.cdb[4] & EOT != 0 {
            return Err(invalid_cdb(4).into());
        }
        if self.medium.is_none() {
            return Err(no_medium().into());
        }
        if self.loading_until.is_some() {
            return Err(becoming_ready().into());
        }
        match (loads, self.loaded) {
            (true, true) => self.seek(0)?,
            (true, false) => {
                self.clock.load();
                self.thread();
            }
            (false, true) => self.unload()?,
            (false, false) => {}
        }
        Ok(0)
    }

    pub(super) fn unload(&mut self) -> Checked<()> {
        if self.unit.sessions.removal_prevented() {
            // MEDIUM REMOVAL PREVENTED.
            return Err(Sense::new(SenseKey::IllegalRequest, 0x53, 0x02).into());
        }
        self.seek(0)?;
        self.clock.unload();
        self.loaded = false;
        self.position = Position::default();
        Ok(())
    }
}
