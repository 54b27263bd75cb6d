//! What an operator does by hand: cartridges into mail slots and out of them.

use super::{Library, lock};
use crate::error::Error;

impl Library {
    /// Puts a cartridge that is out of the library into a mail slot. All
    /// initiators of the changer hear of it (28h/01h).
    ///
    /// # Errors
    /// [`Error::Operator`] if there is no such cartridge outside, or no such
    /// mail slot, or it is full, or locked by an initiator; [`Error::Io`].
    pub fn import(&self, barcode: &str, mail_slot: u16) -> Result<(), Error> {
        lock(&self.changer).import(barcode, mail_slot)
    }

    /// Takes the cartridge out of a mail slot; its file stays where it is.
    /// Returns its barcode.
    ///
    /// # Errors
    /// As [`Library::import`].
    pub fn export(&self, mail_slot: u16) -> Result<String, Error> {
        lock(&self.changer).export(mail_slot)
    }
}
