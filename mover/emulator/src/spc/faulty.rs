//! Commands that the fault plan strikes.

use std::time::Duration;

use longhaul_scsi::ssc::opcode as ssc;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;

use super::{Command, DeviceServer, Response};
use crate::faults::{Effect, Fault};

pub(super) fn respond<D: DeviceServer + ?Sized>(
    device: &mut D,
    fault: &Fault,
    command: &mut Command<'_>,
) -> Response {
    if fault.lose_buffer {
        device.lose_buffer();
    }
    if let Some(flag) = fault.alert {
        device.unit().sessions.raise(flag);
    }
    let mut response = struck(device, fault, command);
    response.took = fault.hang;
    response
}

fn struck<D: DeviceServer + ?Sized>(
    device: &mut D,
    fault: &Fault,
    command: &mut Command<'_>,
) -> Response {
    match fault.effect {
        Effect::Transfer(bytes) => return cut_short(device, bytes, command),
        Effect::Corrupt(byte) => return corrupted(device, byte, command),
        _ => {}
    }
    let done = fault.executed.then(|| device.respond(command));
    let moved = done.as_ref().map_or(0, |response| response.transferred);
    let ended = |status| Response {
        status,
        sense: None,
        transferred: moved,
        took: Duration::ZERO,
    };
    match &fault.effect {
        Effect::None | Effect::Transfer(_) | Effect::Corrupt(_) => {
            done.unwrap_or_else(|| device.respond(command))
        }
        Effect::Sense(sense) => Response {
            sense: Some(sense.clone()),
            ..ended(Ok(Status::CheckCondition))
        },
        Effect::Status(status) => ended(Ok(*status)),
        Effect::Transport(error) => ended(Err(*error)),
        Effect::Reset(reset) => {
            device.reset(*reset);
            ended(Err(TransportError::Disrupted))
        }
    }
}

/// Only so many bytes move. A read has taken its block all the same; a write
/// records what came.
fn cut_short<D: DeviceServer + ?Sized>(
    device: &mut D,
    bytes: usize,
    command: &mut Command<'_>,
) -> Response {
    command.out = &command.out[..bytes.min(command.out.len())];
    let mut response = device.respond(command);
    let writes = command.cdb.first() == Some(&ssc::WRITE_6);
    if !writes {
        response.transferred = response.transferred.min(bytes);
    }
    response
}

/// The lowest bit of a byte of the data phase is flipped on its way, in
/// whichever direction it goes. Of a shorter transfer it is the last byte.
fn corrupted<D: DeviceServer + ?Sized>(
    device: &mut D,
    byte: usize,
    command: &mut Command<'_>,
) -> Response {
    let flip = |data: &mut [u8]| {
        let last = data.len().saturating_sub(1);
        if let Some(byte) = data.get_mut(byte.min(last)) {
            *byte ^= 1;
        }
    };
    let mut arrives = command.out.to_vec();
    flip(&mut arrives);
    let response = device.respond(&mut Command {
        nexus: command.nexus,
        cdb: command.cdb,
        out: &arrives,
        into: &mut *command.into,
    });
    let came = response.transferred.min(command.into.len());
    flip(&mut command.into[..came]);
    response
}
