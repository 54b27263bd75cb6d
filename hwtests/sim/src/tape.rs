//! Drives and volumes, as far as decisions depend on them: reservations, an
//! object buffer, records in order.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_protocol::order::Left;
use longhaul_protocol::run::Token;
use longhaul_protocol::{Name, RunId};
use uuid::Uuid;

use crate::mover::RECORDS;

/// Records that a volume takes.
pub const CAPACITY: usize = 60;
/// Records that a drive's buffer holds.
pub const BUFFER: usize = 4;

/// A record of a run's archive: its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub run: RunId,
    /// Which of its sets: the assignment of the attempt that has begun it. Two nodes may
    /// have begun attempt 0 by themselves.
    pub set: Token,
    /// Which record of its set, from 0.
    pub number: u64,
}

/// Why a drive did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else holds it.
    Conflict,
    /// The volume is full.
    Full,
    /// It does not work.
    Broken,
    /// The node does not reach it.
    NoPath,
    /// The cartridge of this volume does not take it.
    Medium(Uuid),
    /// The volume ends in a set of another run that is not whole.
    Unfinished,
    /// The volume is in this drive, which the node does not reach.
    Elsewhere(Uuid, Name),
}

/// A drive in the library.
#[derive(Debug, Default)]
pub struct Drive {
    /// Whose reservation it is: node and assignment.
    pub holder: Option<(Name, Token)>,
    /// The volume in it.
    pub loaded: Option<Uuid>,
    /// Records that are not on the medium yet.
    pub buffer: Vec<Record>,
    /// It does not work.
    pub is_broken: bool,
    /// Nodes that do not reach it.
    pub unreached: BTreeSet<Name>,
    /// Assignments of those who had it when a node reached it again that had not: which may
    /// have passed it over.
    pub passed_over: BTreeSet<Token>,
}

/// All drives and volumes.
#[derive(Debug, Default)]
pub struct Library {
    /// Drives by serial number.
    pub drives: BTreeMap<Name, Drive>,
    /// What is on the media.
    pub volumes: BTreeMap<Uuid, Vec<Record>>,
    /// The newest assignment under which each was written: in the cartridge's
    /// memory.
    tokens: BTreeMap<Uuid, Token>,
    /// Volumes that take only so many records.
    pub bad: BTreeMap<Uuid, usize>,
}

impl Library {
    fn drive(&mut self, serial: &Name) -> Result<&mut Drive, Refused> {
        let drive = self.drives.get_mut(serial).ok_or(Refused::Broken)?;
        if drive.is_broken {
            return Err(Refused::Broken);
        }
        Ok(drive)
    }

    /// Reserves a drive, and takes it from whom it may be taken from.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn reserve(
        &mut self,
        serial: &Name,
        node: &Name,
        token: Token,
        preempts: &[Token],
    ) -> Result<(), Refused> {
        // A drive that does not work still says whose it is.
        let drive = self.drives.get_mut(serial).ok_or(Refused::Broken)?;
        if drive.unreached.contains(node) {
            return Err(Refused::NoPath);
        }
        match &drive.holder {
            // What a dead process of the same node left is taken over.
            Some((holder, old)) if holder != node && !preempts.contains(old) => {
                Err(Refused::Conflict)
            }
            _ => {
                drive.holder = Some((node.clone(), token));
                Ok(())
            }
        }
    }

    /// Ends the reservations of those who are gone, so that none of them writes
    /// when it comes back: on the drives that this node reaches.
    pub fn fence(&mut self, node: &Name, left: &[Left]) {
        for Left { drive, by } in left {
            if let Some(drive) = self.drives.get_mut(drive)
                && !drive.unreached.contains(node)
                && drive
                    .holder
                    .as_ref()
                    .is_some_and(|(_, token)| by.contains(token))
            {
                drive.holder = None;
            }
        }
    }

    fn held(&mut self, serial: &Name, token: Token) -> Result<&mut Drive, Refused> {
        let drive = self.drive(serial)?;
        match &drive.holder {
            Some((node, holder)) if *holder == token => {
                let is_reached = !drive.unreached.contains(node);
                is_reached.then_some(drive).ok_or(Refused::NoPath)
            }
            _ => Err(Refused::Conflict),
        }
    }

    /// Brings a volume to a drive. It comes out of another one only if nobody
    /// holds that.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn load(&mut self, serial: &Name, token: Token, volume: Uuid) -> Result<(), Refused> {
        if self.held(serial, token)?.loaded != Some(volume) {
            self.change(serial, token, volume)?;
        }
        // Only who holds the drive looks, so nobody comes in between: one that
        // was given up before it had reserved the drive, and comes back when all
        // is over and the drive is free, is told here that it is too late.
        let newest = self.tokens.entry(volume).or_default();
        if *newest > token {
            return Err(Refused::Conflict);
        }
        *newest = token;
        Ok(())
    }

    fn change(&mut self, serial: &Name, token: Token, volume: Uuid) -> Result<(), Refused> {
        self.settle(serial);
        let node = self.held(serial, token)?.holder.clone();
        let elsewhere = self
            .drives
            .iter()
            .find(|(_, drive)| drive.loaded == Some(volume));
        if let Some((other, drive)) = elsewhere {
            if node.is_some_and(|(node, _)| drive.unreached.contains(&node)) {
                return Err(Refused::Elsewhere(volume, other.clone()));
            }
            if drive.holder.is_some() {
                return Err(Refused::Conflict);
            }
            let other = other.clone();
            self.settle(&other);
            if let Some(drive) = self.drives.get_mut(&other) {
                drive.loaded = None;
            }
        }
        self.held(serial, token)?.loaded = Some(volume);
        Ok(())
    }

    /// Writes a record behind `records` others: what was there is no more.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn write(
        &mut self,
        serial: &Name,
        token: Token,
        records: u64,
        record: Record,
    ) -> Result<(), Refused> {
        let volume = self.held(serial, token)?.loaded.ok_or(Refused::Broken)?;
        let drive = self.drives.get_mut(serial).ok_or(Refused::Broken)?;
        let medium = self.volumes.entry(volume).or_default();
        let at = usize::try_from(records).unwrap_or(usize::MAX);
        if at >= CAPACITY {
            return Err(Refused::Full);
        }
        if self.bad.get(&volume).is_some_and(|from| at >= *from) {
            return Err(Refused::Medium(volume));
        }
        if at < medium.len() + drive.buffer.len() {
            medium.append(&mut drive.buffer);
            medium.truncate(at);
        }
        assert_eq!(
            at,
            medium.len() + drive.buffer.len(),
            "written into the void"
        );
        drive.buffer.push(record);
        if drive.buffer.len() > BUFFER {
            medium.push(drive.buffer.remove(0));
        }
        Ok(())
    }

    /// How many records of the volume in a drive are on the medium.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn frontier(&mut self, serial: &Name, token: Token) -> Result<u64, Refused> {
        let volume = self.held(serial, token)?.loaded.ok_or(Refused::Broken)?;
        Ok(self
            .volumes
            .get(&volume)
            .map_or(0, |medium| medium.len() as u64))
    }

    /// Has a drive write all that it has accepted.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn flush(&mut self, serial: &Name, token: Token) -> Result<(), Refused> {
        self.held(serial, token)?;
        self.settle(serial);
        Ok(())
    }

    /// Brings a volume from a drive to its slot, if it is there.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn unload(&mut self, serial: &Name, token: Token, volume: Uuid) -> Result<(), Refused> {
        if self.held(serial, token)?.loaded == Some(volume) {
            self.settle(serial);
            self.held(serial, token)?.loaded = None;
        }
        Ok(())
    }

    /// An operator takes out what is in a drive that nobody holds.
    pub fn take_out(&mut self, serial: &Name) {
        self.settle(serial);
        if let Some(drive) = self.drives.get_mut(serial)
            && drive.holder.is_none()
        {
            drive.loaded = None;
        }
    }

    /// What a run has begun and not ended is not to be read any more on the last of these
    /// volumes that has some of it, from this part of it on, in thousandths. Tells whether
    /// there was anything.
    pub fn damage(&mut self, run: &RunId, volumes: &[Uuid], from: u64) -> bool {
        for serial in self.drives.keys().cloned().collect::<Vec<_>>() {
            self.settle(&serial);
        }
        let is_unfinished = |record: &&Record| record.run == *run && record.number + 1 != RECORDS;
        let is_end = |record: &Record| record.run == *run && record.number + 1 == RECORDS;
        let media = volumes.iter().filter_map(|of| self.volumes.get(of));
        if media.flatten().any(is_end) {
            return false;
        }
        for volume in volumes.iter().rev() {
            let Some(medium) = self.volumes.get_mut(volume) else {
                continue;
            };
            let count = medium.iter().rev().take_while(is_unfinished).count();
            if count > 0 {
                let kept = count * usize::try_from(from).unwrap_or(0) / 1000;
                medium.truncate(medium.len() - count + kept);
                return true;
            }
        }
        false
    }

    /// Lets a drive go.
    pub fn release(&mut self, serial: &Name, token: Token) {
        if let Ok(drive) = self.held(serial, token) {
            drive.holder = None;
        }
    }

    /// What a drive has accepted goes to the medium.
    pub fn settle(&mut self, serial: &Name) {
        let Some(drive) = self.drives.get_mut(serial) else {
            return;
        };
        if let Some(volume) = drive.loaded {
            self.volumes
                .entry(volume)
                .or_default()
                .append(&mut drive.buffer);
        }
    }

    /// What a drive has accepted for this volume goes to the medium.
    pub fn settle_volume(&mut self, volume: Uuid) {
        let mut drives = self.drives.iter();
        let inside = drives.find(|(_, drive)| drive.loaded == Some(volume));
        if let Some(serial) = inside.map(|(serial, _)| serial.clone()) {
            self.settle(&serial);
        }
    }

    /// A drive loses its power: its buffer and its reservation are gone.
    pub fn power_cut(&mut self, serial: &Name) {
        if let Some(drive) = self.drives.get_mut(serial) {
            drive.buffer.clear();
            drive.holder = None;
        }
    }
}
