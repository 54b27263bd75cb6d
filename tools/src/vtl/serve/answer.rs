//! Commands out of a ring, into a logical unit, and its answers back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use longhaul_emulator::library::Unit;
use longhaul_emulator::{Nexus, Response};
use longhaul_ffi::tcmu::{Command, Entry, Ring, RingError, TaskManagement};
use longhaul_scsi::spc::opcode as spc;
use longhaul_scsi::ssc::opcode as ssc;
use longhaul_scsi::status::Status;

/// How long a thread goes without asking whether the end is near.
const PATIENCE: Duration = Duration::from_millis(100);

/// How the threads that answer are told that the end is near.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// What a drive's clock says is not waited for any more.
    pub hurry: AtomicBool,
    /// Nobody can send a command any more.
    pub stop: AtomicBool,
}

/// Answers one initiator's commands on one path until told to stop.
///
/// One command at a time, as they come: a real drive carries out one at a time
/// too, and others wait.
///
/// # Errors
/// [`RingError`]: the ring is gone or damaged.
pub(super) fn answer(
    ring: &mut Ring,
    unit: &Unit,
    nexus: Nexus,
    end: &Ending,
) -> Result<(), RingError> {
    let mut buffer = Vec::new();
    while !end.stop.load(Ordering::Relaxed) {
        while let Some(entry) = ring.take()? {
            match entry {
                Entry::Command(command) => carry_out(command, unit, nexus, end, &mut buffer)?,
                Entry::TaskManagement(TaskManagement::LogicalUnitReset) => unit.reset(),
                // Commands are carried out one by one: there is none to abort.
                Entry::TaskManagement(TaskManagement::Other(_)) => {}
            }
        }
        ring.wait(PATIENCE)?;
    }
    Ok(())
}

fn carry_out(
    command: Command<'_>,
    unit: &Unit,
    nexus: Nexus,
    end: &Ending,
    buffer: &mut Vec<u8>,
) -> Result<(), RingError> {
    let bytes = command.data_bytes();
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
    let data = &mut buffer[..bytes];
    let sends = command
        .cdb()
        .first()
        .is_some_and(|opcode| sends_data(*opcode));
    let response = if sends {
        command.copy_data(data)?;
        unit.execute(nexus, command.cdb(), data, &mut [])
    } else {
        unit.execute(nexus, command.cdb(), &[], data)
    };
    // Others may use the unit meanwhile.
    let due = Instant::now() + response.took;
    while !end.hurry.load(Ordering::Relaxed) && Instant::now() < due {
        thread::sleep(due.saturating_duration_since(Instant::now()).min(PATIENCE));
    }
    let sense = response.sense.as_ref().map(|sense| sense.encode_fixed());
    let sense = sense.as_ref().map_or(&[][..], |sense| sense);
    let read = (!sends).then(|| &data[..response.transferred.min(bytes)]);
    command.complete(status(&response).into(), sense, read)
}

/// The status; for what a transport would have done to the command by a fault
/// plan, the nearest thing that a device can say.
fn status(response: &Response) -> Status {
    match response.status {
        Ok(status) => status,
        Err(failure) if failure.not_executed() => Status::Busy,
        Err(_) => Status::TaskAborted,
    }
}

/// Whether a command's data goes to the device. The ring does not say.
fn sends_data(opcode: u8) -> bool {
    const LOG_SELECT: u8 = 0x4c;
    const VERIFY_6: u8 = 0x13;
    const SEND_VOLUME_TAG: u8 = 0xb6;
    matches!(
        opcode,
        ssc::WRITE_6
            | VERIFY_6
            | spc::MODE_SELECT_6
            | spc::MODE_SELECT_10
            | spc::SEND_DIAGNOSTIC
            | spc::WRITE_BUFFER
            | LOG_SELECT
            | spc::PERSISTENT_RESERVE_OUT
            | spc::WRITE_ATTRIBUTE
            | spc::MAINTENANCE_OUT
            | spc::SECURITY_PROTOCOL_OUT
            | SEND_VOLUME_TAG
    )
}
