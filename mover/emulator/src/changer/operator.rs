//! The operator's hands at the mail slots.

use super::Changer;
use crate::error::Error;
use crate::library::Kept;
use crate::library::state::Kind;

/// IMPORT OR EXPORT ELEMENT ACCESSED.
const MAIL_SLOT_ACCESSED: (u8, u8) = (0x28, 0x01);

impl Changer {
    pub(crate) fn import(&mut self, barcode: &str, mail_slot: u16) -> Result<(), Error> {
        self.opens(mail_slot)?;
        if self.store.state().cartridge_at(mail_slot).is_some() {
            return Err(refused(format!("mail slot {mail_slot} is full")));
        }
        if !self.store.state().is_outside(barcode) {
            return Err(refused(format!(
                "{barcode:?} is no cartridge outside of the library"
            )));
        }
        self.handle(barcode, Some(mail_slot))
    }

    pub(crate) fn export(&mut self, mail_slot: u16) -> Result<String, Error> {
        self.opens(mail_slot)?;
        let cartridge = self.store.state().cartridge_at(mail_slot);
        let barcode = cartridge
            .ok_or_else(|| refused(format!("mail slot {mail_slot} is empty")))?
            .barcode
            .clone();
        self.handle(&barcode, None)?;
        Ok(barcode)
    }

    /// Whether the operator gets at a mail slot.
    fn opens(&self, mail_slot: u16) -> Result<(), Error> {
        if self.store.state().kind(mail_slot) != Some(Kind::ImportExport) {
            return Err(refused(format!("element {mail_slot} is no mail slot")));
        }
        if self.unit.sessions.removal_prevented() {
            return Err(refused(format!(
                "mail slot {mail_slot} is locked: an initiator prevents the removal of media"
            )));
        }
        Ok(())
    }

    fn handle(&mut self, barcode: &str, element: Option<u16>) -> Result<(), Error> {
        let after = self.store.state().with_handled(barcode, element);
        let kept = self.store.keep(after)?;
        self.unit.sessions.attend_all(MAIL_SLOT_ACCESSED);
        match kept {
            Kept::Durably => Ok(()),
            Kept::Perhaps(error) => Err(error),
        }
    }
}

fn refused(what: String) -> Error {
    Error::Operator { what }
}
