//! Does the medium hold what a checkpoint says?
//!
//! A checkpoint was the drive's word; a power cut or a broken drive can make it
//! untrue. The records before it are read back, and their checksums decide.

use std::collections::VecDeque;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::label::Label;

use crate::checkpoint::Checkpoint;
use crate::drive::{Problem, Read};
use crate::job::JobError;
use crate::job::session::Session;
use crate::job::walkthrough::is_medium;

/// The newest checkpoint that the medium holds, if it holds one.
///
/// # Errors
/// The drive's, where they are not about the medium.
pub(super) fn newest(
    session: &mut Session,
    label: &Label,
    checkpoints: &VecDeque<Checkpoint>,
) -> Result<Option<Checkpoint>, JobError> {
    for checkpoint in checkpoints.iter().rev() {
        match missing(session, label, checkpoint)? {
            None => return Ok(Some(checkpoint.clone())),
            Some(what) => log::warn!(
                "{}: volume {} does not hold the checkpoint at block {}: {what}; an older one is \
                 tried",
                session.drive().label(),
                label.name,
                checkpoint.block
            ),
        }
    }
    Ok(None)
}

/// What is not as the checkpoint says.
fn missing(
    session: &mut Session,
    label: &Label,
    checkpoint: &Checkpoint,
) -> Result<Option<String>, JobError> {
    let record_bytes = usize::try_from(label.record_bytes).unwrap_or(usize::MAX);
    let records = checkpoint.records.len() as u64;
    let Some(first) = checkpoint
        .block
        .checked_sub(records)
        .filter(|_| records > 0)
    else {
        return Ok(Some("it makes no sense".into()));
    };
    let drive = session.drive();
    match drive.locate(first) {
        Ok(_) => {}
        Err(error) if is_about_the_tape(&error) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error.into()),
    }
    let mut buffer = Buffer::zeroed(record_bytes);
    for (block, expected) in (first..).zip(&checkpoint.records) {
        let (read, back) = drive.read(buffer, record_bytes);
        buffer = back;
        match read {
            Ok(Read::Block(len)) if crc32c::crc32c(&buffer[..len]) == *expected => {}
            Ok(Read::Block(_)) => {
                return Ok(Some(format!("block {block} holds other data")));
            }
            Ok(_) => return Ok(Some(format!("there is no block {block}"))),
            Err(error) if is_about_the_tape(&error) => return Ok(Some(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn is_about_the_tape(error: &crate::drive::DriveError) -> bool {
    is_medium(error)
        || matches!(
            error.problem(),
            Problem::NotFound(_) | Problem::EndOfDataMissing
        )
}
