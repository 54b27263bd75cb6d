//! Commands that the fault plan strikes.

use std::time::Duration;

use longhaul_scsi::ssc::opcode as ssc;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;

use super::{Command, Drive, Response};
use crate::faults::{Effect, Fault, Reset};

impl Drive {
    pub(super) fn respond_faulty(&mut self, fault: &Fault, command: &mut Command<'_>) -> Response {
        if fault.lose_buffer {
            self.lose_buffer();
        }
        let mut response = self.struck(fault, command);
        response.took = fault.hang;
        response
    }

    fn struck(&mut self, fault: &Fault, command: &mut Command<'_>) -> Response {
        if let Effect::Transfer(bytes) = fault.effect {
            return self.cut_short(bytes, command);
        }
        let done = fault.executed.then(|| self.respond(command));
        let moved = done.as_ref().map_or(0, |response| response.transferred);
        let ended = |status| Response {
            status,
            sense: None,
            transferred: moved,
            took: Duration::ZERO,
        };
        match &fault.effect {
            Effect::None | Effect::Transfer(_) => done.unwrap_or_else(|| self.respond(command)),
            Effect::Sense(sense) => Response {
                sense: Some(sense.clone()),
                ..ended(Ok(Status::CheckCondition))
            },
            Effect::Status(status) => ended(Ok(*status)),
            Effect::Transport(error) => ended(Err(*error)),
            Effect::Reset(reset) => {
                match reset {
                    Reset::Power => self.power_cycle(),
                    Reset::Bus => self.bus_reset(),
                }
                ended(Err(TransportError::Disrupted))
            }
        }
    }

    /// Only so many bytes move. A read has taken its block all the same; a
    /// write records what came.
    fn cut_short(&mut self, bytes: usize, command: &mut Command<'_>) -> Response {
        command.out = &command.out[..bytes.min(command.out.len())];
        let mut response = self.respond(command);
        let writes = command.cdb.first() == Some(&ssc::WRITE_6);
        if !writes {
            response.transferred = response.transferred.min(bytes);
        }
        response
    }
}
