//! ERASE(6) (SSC-5 7.1): EOD is recorded where the tape is, and what lay
//! behind is gone. LONG erases the rest of the tape as well, which nobody can
//! tell from the other.

use super::{Command, Drive};
use crate::spc::response::{Checked, write_protected};

impl Drive {
    pub(super) fn erase(&mut self, _: &mut Command<'_>) -> Checked<usize> {
        if self.ready()?.write_protected() {
            return Err(write_protected().into());
        }
        self.synchronise()?;
        let object = self.position.object;
        let erased = self.ready()?.truncate(object);
        erased.map_err(|error| self.lost_place(&error))?;
        Ok(0)
    }
}
