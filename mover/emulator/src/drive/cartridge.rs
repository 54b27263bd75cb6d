//! A cartridge comes into the drive and goes out of it.

use super::{Drive, Position};
use crate::clock::{ClockMode, LOAD};
use crate::medium::Medium;
use crate::spc::nexus;
use crate::spc::response::Checked;
use std::time::Duration;

impl Drive {
    /// Puts a cartridge into the drive and threads it: everybody hears of it.
    /// Whatever cartridge was there is returned.
    pub fn insert(&mut self, medium: Medium) -> Option<Medium> {
        let before = self.eject();
        self.medium = Some(medium);
        self.thread();
        before
    }

    /// Takes the cartridge out, with what the buffer holds written to it as
    /// far as that is possible.
    pub fn eject(&mut self) -> Option<Medium> {
        if let Err(stop) = self.synchronise() {
            ::log::warn!(
                "writes were lost when the cartridge was taken out: {:?}",
                stop.sense
            );
        }
        self.loaded = false;
        self.loading_until = None;
        self.position = Position::default();
        self.medium.take()
    }

    /// A picker pushes a cartridge in, `after` so long: the drive, which must
    /// be empty, takes it and threads it by itself. With a real clock that
    /// takes its time, and the drive is becoming ready meanwhile.
    pub(crate) fn put(&mut self, medium: Medium, after: Duration) {
        self.clock.begin();
        self.medium = Some(medium);
        if self.clock.mode() == ClockMode::Real {
            self.loading_until = Some(self.clock.elapsed() + after + LOAD);
        } else {
            self.clock.load();
            self.thread();
        }
    }

    /// Unthreads the cartridge for a picker that is about to take it. Returns
    /// how long that took.
    ///
    /// # Errors
    /// As LOAD UNLOAD: removal is prevented, or accepted writes were lost on
    /// their way to the medium; these are gone then, and the next attempt will
    /// succeed.
    pub(crate) fn release(&mut self) -> Checked<Duration> {
        self.clock.begin();
        self.unload()?;
        Ok(self.clock.spent())
    }

    /// Whether a cartridge is threaded.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether somebody prevents the removal of the medium.
    pub(crate) fn prevents_removal(&self) -> bool {
        self.unit.sessions.removal_prevented()
    }

    /// VENDOR, PRODUCT and SERIAL as a designator, for the changer to tell.
    pub(crate) fn designator(&self) -> Vec<u8> {
        self.unit.identity.designator()
    }

    /// The cartridge that was being threaded is, if it is time.
    pub(super) fn finish_loading(&mut self) {
        if self
            .loading_until
            .is_some_and(|until| until <= self.clock.elapsed())
        {
            self.thread();
        }
    }

    /// Threads the cartridge that is in the drive: everybody hears of it.
    pub(super) fn thread(&mut self) {
        self.loading_until = None;
        self.position = Position::default();
        let Some(medium) = &mut self.medium else {
            return;
        };
        self.loaded = true;
        if let Err(error) = medium.loaded() {
            ::log::warn!("{}: its load count: {error:?}", medium.path().display());
        }
        self.unit.sessions.attend_all(nexus::MEDIUM_CHANGED);
    }
}
