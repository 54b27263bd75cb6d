//! MOVE MEDIUM, EXCHANGE MEDIUM, POSITION TO ELEMENT, INITIALIZE ELEMENT STATUS
//! (SMC-3 6.2 to 6.9).

use std::time::Duration;

use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::smc::opcode as smc;

use super::Changer;
use crate::error::Error;
use crate::library::state::{Cartridge, Kind, TRANSPORT};
use crate::library::{Kept, lock};
use crate::medium::Medium;
use crate::spc::Command;
use crate::spc::bytes::be16;
use crate::spc::response::{Checked, invalid_cdb};

/// TapeAlert flag 16 of changers: the library cannot go on with a drive.
const ALERT_OPERATION: u32 = 16;

/// What a small library takes.
const CARRY: Duration = Duration::from_secs(12);
const POSITION: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(500);

impl Changer {
    pub(super) fn initialize(&mut self) -> Checked<usize> {
        let count = self.store.state().addresses().len();
        self.look_at(count);
        Ok(0)
    }

    pub(super) fn initialize_range(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const RANGE: u8 = 0x01;
        if command.cdb[1] & RANGE == 0 {
            return self.initialize();
        }
        let (start, count) = (be16(&command.cdb[2..]), be16(&command.cdb[6..]));
        self.kind(start)?;
        let from_start = |(address, _): &&(u16, Kind)| *address >= start;
        let elements = self.store.state().addresses();
        let asked = elements.iter().filter(from_start).count();
        // A count of 0 is all that follow.
        self.look_at(match count {
            0 => asked,
            count => asked.min(usize::from(count)),
        });
        Ok(0)
    }

    fn look_at(&mut self, elements: usize) {
        self.spend(LOOK * u32::try_from(elements).unwrap_or(u32::MAX));
    }

    pub(super) fn position_to_element(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const INVERT: u8 = 0x01;
        self.transport(be16(&command.cdb[2..]))?;
        self.kind(be16(&command.cdb[4..]))?;
        if command.cdb[8] & INVERT != 0 {
            return Err(invalid_cdb(8).into());
        }
        self.spend(POSITION);
        Ok(0)
    }

    pub(super) fn move_medium(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const INVERT: u8 = 0x01;
        if command.cdb[10] & INVERT != 0 {
            return Err(invalid_cdb(10).into());
        }
        self.transport(be16(&command.cdb[2..]))?;
        let (from, to) = (be16(&command.cdb[4..]), be16(&command.cdb[6..]));
        self.place(from)?;
        self.place(to)?;
        self.full(from)?;
        self.empty(to)?;
        self.carry(&[(from, to)])
    }

    /// What is at the source goes to the first destination, and what was there
    /// to the second one, which may be the source.
    pub(super) fn exchange_medium(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        const INVERT_EITHER: u8 = 0x03;
        debug_assert_eq!(command.cdb[0], smc::EXCHANGE_MEDIUM);
        if command.cdb[10] & INVERT_EITHER != 0 {
            return Err(invalid_cdb(10).into());
        }
        self.transport(be16(&command.cdb[2..]))?;
        let (from, first) = (be16(&command.cdb[4..]), be16(&command.cdb[6..]));
        let second = be16(&command.cdb[8..]);
        for address in [from, first, second] {
            self.place(address)?;
        }
        self.full(from)?;
        self.full(first)?;
        if from == first {
            return Err(destination_full().into());
        }
        if second != from {
            self.empty(second)?;
        }
        self.carry(&[(from, first), (first, second)])
    }

    fn kind(&self, address: u16) -> Checked<Kind> {
        let kind = self.store.state().kind(address);
        Ok(kind.ok_or_else(invalid_address)?)
    }

    /// The transport: its address, or 0 for the default one.
    fn transport(&self, address: u16) -> Checked<()> {
        match address {
            0 | TRANSPORT => Ok(()),
            _ => Err(invalid_address().into()),
        }
    }

    /// An element that can hold a cartridge for longer than a move.
    fn place(&self, address: u16) -> Checked<()> {
        match self.kind(address)? {
            Kind::Transport => Err(invalid_address().into()),
            _ => Ok(()),
        }
    }

    fn full(&self, address: u16) -> Checked<()> {
        match self.store.state().cartridge_at(address) {
            Some(_) => Ok(()),
            // MEDIUM SOURCE ELEMENT EMPTY.
            None => Err(Sense::new(SenseKey::IllegalRequest, 0x3b, 0x0e).into()),
        }
    }

    fn empty(&self, address: u16) -> Checked<()> {
        match self.store.state().cartridge_at(address) {
            None => Ok(()),
            Some(_) => Err(destination_full().into()),
        }
    }

    /// Carries cartridges, all or none. The elements have been checked.
    fn carry(&mut self, moves: &[(u16, u16)]) -> Checked<usize> {
        // What can fail comes first: files that are bound for drives, then
        // drives that must give theirs free.
        let mut hand = Vec::new();
        for (from, to) in moves {
            let medium = self.open(*from, *to);
            hand.push(medium.map_err(|e| self.failed(&e, MEDIA_LOAD_OR_EJECT_FAILED))?);
        }
        for (from, _) in moves {
            self.release(*from)?;
        }
        for ((from, to), medium) in moves.iter().zip(&mut hand) {
            self.take(*from, *to, medium);
        }
        let kept = self.store.keep(self.store.state().with_moved(moves));
        let doubt = match kept {
            Ok(Kept::Durably) => None,
            Ok(Kept::Perhaps(error)) => Some(error),
            Err(error) => {
                drop(hand);
                self.put_back(moves);
                return Err(self.failed(&error, INTERNAL_TARGET_FAILURE).into());
            }
        };
        for ((_, to), medium) in moves.iter().zip(hand) {
            self.spend(CARRY);
            self.put(*to, medium);
        }
        match doubt {
            None => Ok(0),
            Some(error) => Err(self.failed(&error, INTERNAL_TARGET_FAILURE).into()),
        }
    }

    /// Opens the cartridge of an element that is no drive, if it is bound for
    /// one.
    fn open(&self, from: u16, to: u16) -> Result<Option<Medium>, Error> {
        let state = self.store.state();
        if state.drive_at(from).is_some() || state.drive_at(to).is_none() {
            return Ok(None);
        }
        let cartridge = state.cartridge_at(from);
        let open = |cartridge: &Cartridge| self.store.open_cartridge(&cartridge.barcode);
        cartridge.map(open).transpose()
    }

    /// Makes a drive give its cartridge free.
    fn release(&mut self, from: u16) -> Checked<()> {
        let Some(drive) = self.store.state().drive_at(from) else {
            return Ok(());
        };
        let unloads = self.store.state().unloads;
        let mut drive = lock(&self.drives[drive]);
        if drive.prevents_removal() {
            // MEDIUM REMOVAL PREVENTED BY DATA TRANSFER ELEMENT.
            return Err(Sense::new(SenseKey::IllegalRequest, 0x53, 0x03).into());
        }
        if !drive.is_loaded() {
            return Ok(());
        }
        if !unloads {
            // The source cartridge is loaded in the drive and not accessible:
            // there is no code of the standard's for it; this is Exabyte's.
            return Err(Sense::new(SenseKey::IllegalRequest, 0x3b, 0x90).into());
        }
        let released = drive.release();
        drop(drive);
        match released {
            Ok(took) => {
                self.spend(took);
                Ok(())
            }
            Err(stop) => {
                log::warn!(
                    "element {from}: the drive could not unload: {:?}",
                    stop.sense
                );
                self.unit.sessions.raise(ALERT_OPERATION);
                // UNLOAD TAPE FAILURE.
                Err(Sense::new(SenseKey::HardwareError, 0x53, 0x01).into())
            }
        }
    }

    /// Takes a cartridge out of a drive. Its file stays open if it is bound for
    /// another.
    fn take(&self, from: u16, to: u16, hand: &mut Option<Medium>) {
        let state = self.store.state();
        if let Some(drive) = state.drive_at(from) {
            let medium = lock(&self.drives[drive]).eject();
            *hand = medium.filter(|_| state.drive_at(to).is_some());
        }
    }

    fn put(&mut self, to: u16, medium: Option<Medium>) {
        let after = self.spent;
        let drive = self.store.state().drive_at(to);
        if let (Some(drive), Some(medium)) = (drive, medium) {
            lock(&self.drives[drive]).put(medium, after);
        }
    }

    /// Nothing was written down: what was in drives goes back into them.
    fn put_back(&mut self, moves: &[(u16, u16)]) {
        for (from, _) in moves {
            let state = self.store.state();
            let (Some(drive), Some(cartridge)) = (state.drive_at(*from), state.cartridge_at(*from))
            else {
                continue;
            };
            match self.store.open_cartridge(&cartridge.barcode) {
                Ok(medium) => lock(&self.drives[drive]).put(medium, Duration::ZERO),
                Err(error) => log::warn!("element {from}: {error}"),
            }
        }
    }

    fn failed(&mut self, error: &Error, (asc, ascq): (u8, u8)) -> Sense {
        log::warn!("a move failed: {error}");
        self.unit.sessions.raise(ALERT_OPERATION);
        Sense::new(SenseKey::HardwareError, asc, ascq)
    }
}

const MEDIA_LOAD_OR_EJECT_FAILED: (u8, u8) = (0x53, 0x00);
const INTERNAL_TARGET_FAILURE: (u8, u8) = (0x44, 0x00);

/// INVALID ELEMENT ADDRESS.
fn invalid_address() -> Sense {
    Sense::new(SenseKey::IllegalRequest, 0x21, 0x01)
}

/// MEDIUM DESTINATION ELEMENT FULL.
fn destination_full() -> Sense {
    Sense::new(SenseKey::IllegalRequest, 0x3b, 0x0d)
}
