//! The drive's thread: it does nothing but command the drive.

use crossbeam_channel::Receiver;
use thiserror::Error;

use super::digest::Ready;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::tracker::Tracker;
use crate::drive::{Drive, DriveError, EarlyWarning};
use crate::progress::Progress;

/// Why the drive's thread stopped before the records ended.
#[derive(Debug, Error)]
pub enum WriteStopped {
    /// The drive, or the medium.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The volume is at its early warning; all records so far were accepted.
    #[error("the volume is full")]
    EarlyWarning,
}

/// What early warning means to the archive that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEarlyWarning {
    /// It is a set's: stop, the rest belongs on another volume.
    Stop,
    /// It is what ends a set or a volume, for which the room behind early
    /// warning is there.
    GoOn,
}

/// Where checkpoints come from and go to.
pub struct Checkpoints<'a> {
    /// What is in flight.
    pub tracker: &'a mut Tracker,
    /// Takes a checkpoint that the medium holds.
    pub publish: &'a mut (dyn FnMut(Checkpoint) + Send),
}

/// Writes records, one command after the other, until there are no more. While
/// the drive works on one, the next is taken from the channel.
///
/// # Errors
/// [`WriteStopped`]; what to do with the records that come still is left to the
/// caller.
pub fn run(
    drive: &mut Drive,
    records: &Receiver<Ready>,
    at_early_warning: AtEarlyWarning,
    mut checkpoints: Option<Checkpoints<'_>>,
    progress: &Progress,
) -> Result<(), WriteStopped> {
    let mut next = records.recv().ok();
    while let Some(Ready {
        buffer,
        len,
        crc,
        cursor,
    }) = next.take()
    {
        drive.submit_write(buffer, len, Some(crc));
        let ahead = records.try_recv().ok();
        let (written, buffer) = drive.complete_write();
        drop(buffer);
        let written = written?;
        progress.written(len as u64);
        if let Some(checkpoints) = &mut checkpoints {
            checkpoints.tracker.accepted(crc, cursor);
            if let Some(checkpoint) = checkpoints.tracker.tick(drive)? {
                (checkpoints.publish)(checkpoint);
            }
        }
        // Programmable early warning is left to whoever switched it on.
        let early = written.early_warning == EarlyWarning::Early;
        next = ahead.or_else(|| records.recv().ok());
        if early && at_early_warning == AtEarlyWarning::Stop && next.is_some() {
            return Err(WriteStopped::EarlyWarning);
        }
    }
    Ok(())
}
