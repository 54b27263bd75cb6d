//! A drive with our volume in it, from opening to release.

use std::time::Duration;

use longhaul_format::label::Label;

use super::JobError;
use super::volume::{self, Tail, TapeSet};
use crate::drive::{Drive, Key};
use crate::transport;

/// How long a cartridge may take to become ready. A first load of an LTO-9
/// cartridge is optimised for up to 132 minutes.
const READY_WAIT: Duration = Duration::from_secs(140 * 60);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing is written.
    Read,
    /// The volume is written to.
    Write,
}

/// A drive that this process holds, ready, with its reservation and modes.
pub struct Session {
    drive: Drive,
    /// What the library has read on the cartridge.
    barcode: Option<String>,
}

impl Session {
    /// Opens the drive, waits for its cartridge, reserves it and sets its modes.
    /// `barcode` is what the library has read on the cartridge, where it was a
    /// library that brought it.
    ///
    /// # Errors
    /// If the drive's name names nothing, somebody else holds it, it has no
    /// usable cartridge, or the cartridge is write-protected and is to be
    /// written.
    pub fn open(
        name: &str,
        barcode: Option<String>,
        purpose: Purpose,
    ) -> Result<Session, JobError> {
        Session::on(Drive::open(transport::open(name)?)?, barcode, purpose)
    }

    /// The same, for writing; the drive is first taken from the holder of the
    /// key `old`, who is gone.
    ///
    /// # Errors
    /// As [`open`](Session::open).
    pub fn take_over(name: &str, barcode: Option<String>, old: Key) -> Result<Session, JobError> {
        let mut drive = Drive::open(transport::open(name)?)?;
        drive.take_over(old, Key::random())?;
        Session::on(drive, barcode, Purpose::Write)
    }

    /// The same with a drive that is open already.
    ///
    /// # Errors
    /// As [`open`](Session::open).
    pub fn on(
        mut drive: Drive,
        barcode: Option<String>,
        purpose: Purpose,
    ) -> Result<Session, JobError> {
        drive.ready(READY_WAIT)?;
        if drive.key().is_none() {
            drive.reserve(Key::random())?;
        }
        let mut session = Session { drive, barcode };
        // From here on, dropping the session puts back what others could not
        // live with.
        session.drive.prepare()?;
        if purpose == Purpose::Write && session.drive.write_protected()? {
            return Err(JobError::Refused(format!(
                "{}: the cartridge is write-protected; nothing was written",
                session.drive.label()
            )));
        }
        Ok(session)
    }

    /// The drive.
    pub fn drive(&mut self) -> &mut Drive {
        &mut self.drive
    }

    /// Reads the volume's label; the drive then stands behind it.
    ///
    /// # Errors
    /// [`JobError::Refused`] with a sentence for a blank, a foreign and a
    /// mismatched volume.
    pub fn label(&mut self) -> Result<Label, JobError> {
        let label = volume::read_label(&mut self.drive)?;
        if let Some(barcode) = &self.barcode
            && !barcode.starts_with(label.name.as_str())
        {
            return Err(JobError::Refused(format!(
                "{}: the library reads {barcode} on the cartridge, its label says volume {}",
                self.drive.label(),
                label.name
            )));
        }
        Ok(label)
    }

    /// What stands at the end of the volume; the drive then stands at the end
    /// of data.
    ///
    /// # Errors
    /// The drive's, and what contradicts itself on the medium.
    pub fn tail(&mut self, label: &Label) -> Result<Tail, JobError> {
        volume::tail(&mut self.drive, label)
    }

    /// All sets of the volume, in order.
    ///
    /// # Errors
    /// The drive's, and what contradicts itself on the medium.
    pub fn sets(&mut self, label: &Label) -> Result<Vec<TapeSet>, JobError> {
        volume::sets(&mut self.drive, label)
    }

    /// Lets the drive go. What it says to that changes nothing of what was done
    /// before.
    pub fn release(mut self) {
        if let Err(error) = self.drive.finish() {
            log::warn!("letting the drive go: {error}");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.drive.abandon();
    }
}
