//! PERSISTENT RESERVE IN and OUT (SPC-5 6.18, 6.19): the bytes around
//! [`Reservations`](super::reservation::Reservations).

use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::status::Status;

use super::bytes::{be16, be32, be64};
use super::reservation::{Kind, Notice, Refused};
use super::response::{Checked, Stop, invalid_cdb, invalid_parameter, list_length};
use super::{Command, LogicalUnit};

/// Bytes of the parameter list.
const LIST_BYTES: usize = 24;

mod out {
    pub(super) const REGISTER: u8 = 0;
    pub(super) const RESERVE: u8 = 1;
    pub(super) const RELEASE: u8 = 2;
    pub(super) const CLEAR: u8 = 3;
    pub(super) const PREEMPT: u8 = 4;
    pub(super) const PREEMPT_AND_ABORT: u8 = 5;
    pub(super) const REGISTER_AND_IGNORE: u8 = 6;
}

impl LogicalUnit {
    pub(super) fn persistent_reserve_in(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let allocation = usize::from(be16(&command.cdb[7..]));
        let reply = match command.cdb[1] & 0x1f {
            0 => self.read_keys(),
            1 => self.read_reservation(),
            2 => capabilities(),
            3 => self.read_full_status(),
            _ => return Err(invalid_cdb(1).into()),
        };
        Ok(command.reply(&reply, allocation))
    }

    fn with_generation(&self, content: &[u8]) -> Vec<u8> {
        let mut reply = self.reservations.generation().to_be_bytes().to_vec();
        reply.extend((content.len() as u32).to_be_bytes());
        reply.extend(content);
        reply
    }

    fn read_keys(&self) -> Vec<u8> {
        let keys: Vec<u8> = self
            .reservations
            .keys()
            .flat_map(|(_, key)| key.to_be_bytes())
            .collect();
        self.with_generation(&keys)
    }

    fn read_reservation(&self) -> Vec<u8> {
        let Some((kind, key)) = self.reservations.reservation() else {
            return self.with_generation(&[]);
        };
        let mut content = key.to_be_bytes().to_vec();
        content.extend([0, 0, 0, 0, 0, kind as u8, 0, 0]);
        self.with_generation(&content)
    }

    fn read_full_status(&self) -> Vec<u8> {
        const HOLDS: u8 = 1;
        let mut content = Vec::new();
        for (nexus, key) in self.reservations.keys() {
            let holds = self.reservations.is_holder(nexus);
            let kind = self.reservations.reservation().filter(|_| holds);
            let transport = transport_id(self.sessions.initiator(nexus));
            content.extend(key.to_be_bytes());
            content.extend([0, 0, 0, 0]);
            content.push(if holds { HOLDS } else { 0 });
            content.push(kind.map_or(0, |(kind, _)| kind as u8));
            content.extend([0, 0, 0, 0]);
            // RELATIVE TARGET PORT IDENTIFIER
            content.extend([0, 1]);
            content.extend((transport.len() as u32).to_be_bytes());
            content.extend(transport);
        }
        self.with_generation(&content)
    }

    pub(super) fn persistent_reserve_out(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let action = command.cdb[1] & 0x1f;
        let length = be32(&command.cdb[5..]) as usize;
        let list = command
            .out
            .get(..LIST_BYTES)
            .filter(|_| length == LIST_BYTES);
        let list = list.ok_or_else(list_length)?;
        let (key, new) = (be64(list), be64(&list[8..]));
        let registers = matches!(action, out::REGISTER | out::REGISTER_AND_IGNORE);
        // SPEC_I_PT and APTPL are not supported; ALL_TG_PT changes nothing,
        // with one port.
        if list[20] & 0x09 != 0 {
            return Err(invalid_parameter(20).into());
        }
        let kind = Kind::from_code(command.cdb[2] & 0x0f);
        if !registers && action != out::CLEAR {
            // SCOPE: the logical unit is all there is.
            if command.cdb[2] >> 4 != 0 || (kind.is_none() && action != out::RELEASE) {
                return Err(invalid_cdb(2).into());
            }
        }
        let told = self
            .change(command, action, key, new, kind)
            .map_err(refused)?;
        self.tell(&told, action == out::PREEMPT_AND_ABORT);
        Ok(LIST_BYTES)
    }

    fn change(
        &mut self,
        command: &Command<'_>,
        action: u8,
        key: u64,
        new: u64,
        kind: Option<Kind>,
    ) -> Result<Vec<Notice>, Refused> {
        let nexus = command.nexus;
        let reservations = &mut self.reservations;
        match action {
            out::REGISTER => reservations.register(nexus, Some(key), new),
            out::REGISTER_AND_IGNORE => reservations.register(nexus, None, new),
            out::RELEASE => reservations.release(nexus, key, kind),
            out::CLEAR => reservations.clear(nexus, key),
            out::PREEMPT | out::PREEMPT_AND_ABORT => reservations.preempt(nexus, key, new, kind),
            out::RESERVE => {
                let kind = kind.ok_or(Refused::InvalidKey)?;
                reservations.reserve(nexus, key, kind).map(|()| Vec::new())
            }
            // The table of commands lets no other service action through.
            _ => Ok(Vec::new()),
        }
    }

    fn tell(&mut self, told: &[Notice], aborts: bool) {
        for (nexus, attention) in told {
            self.sessions.attend(*nexus, *attention);
            if aborts {
                // No command of theirs is in flight, but their hold on the
                // door goes too.
                self.sessions.of(*nexus).prevents = false;
            }
        }
    }
}

fn refused(refused: Refused) -> Stop {
    match refused {
        Refused::Conflict => Stop::status(Status::ReservationConflict),
        Refused::InvalidRelease => Sense::new(SenseKey::IllegalRequest, 0x26, 0x04).into(),
        Refused::InvalidKey => invalid_parameter(8).into(),
        // INSUFFICIENT REGISTRATION RESOURCES.
        Refused::NoRoom => Sense::new(SenseKey::IllegalRequest, 0x55, 0x04).into(),
    }
}

fn capabilities() -> Vec<u8> {
    const ALL_TARGET_PORTS: u8 = 0x04;
    const TYPE_MASK_VALID: u8 = 0x80;
    // Types 1, 3, 5, 6, 7 (one byte's bits) and 8 (the next one's).
    vec![0, 8, ALL_TARGET_PORTS, TYPE_MASK_VALID, 0xea, 0x01, 0, 0]
}

/// The TransportID of an initiator: an iSCSI name, which may be any text.
fn transport_id(initiator: &str) -> Vec<u8> {
    const ISCSI: u8 = 5;
    const NAME_BYTES_MAX: usize = 223;
    let mut name = initiator.as_bytes()[..initiator.len().min(NAME_BYTES_MAX)].to_vec();
    name.push(0);
    name.resize(name.len().next_multiple_of(4).max(20), 0);
    let mut id = vec![ISCSI, 0];
    id.extend((name.len() as u16).to_be_bytes());
    id.extend(name);
    id
}
