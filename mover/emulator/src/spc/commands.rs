//! Tables of commands: their lengths, timeouts, and who may send them when.
//! REPORT SUPPORTED OPERATION CODES reads one out.

use longhaul_scsi::spc::opcode;

use super::Command;
use super::bytes::{be16, be32};
use super::reservation::Guard;
use super::response::{Checked, invalid_cdb};

/// One command.
#[derive(Debug)]
pub(crate) struct Known {
    pub opcode: u8,
    pub service_action: Option<u8>,
    pub name: &'static str,
    /// Bytes of its CDB.
    pub cdb_bytes: u8,
    /// Recommended timeout, in seconds.
    pub timeout_s: u32,
    pub guard: Guard,
    /// Whether it is carried out beside a pending unit attention.
    pub ignores_attention: bool,
}

pub(crate) const fn known(
    code: u8,
    action: Option<u8>,
    name: &'static str,
    cdb_bytes: u8,
    timeout_s: u32,
    guard: Guard,
) -> Known {
    let ignores_attention = matches!(
        code,
        opcode::INQUIRY | opcode::REPORT_LUNS | opcode::REQUEST_SENSE
    );
    Known {
        opcode: code,
        service_action: action,
        name,
        cdb_bytes,
        timeout_s,
        guard,
        ignores_attention,
    }
}

use Guard::{Open, Reads};

/// What every device knows. Which commands a reservation lets through is
/// SPC-5 5.14's table.
pub(crate) const COMMON: [Known; 20] = [
    known(
        opcode::TEST_UNIT_READY,
        None,
        "TEST UNIT READY",
        6,
        60,
        Open,
    ),
    known(opcode::REQUEST_SENSE, None, "REQUEST SENSE", 6, 60, Open),
    known(opcode::INQUIRY, None, "INQUIRY", 6, 60, Open),
    known(opcode::MODE_SENSE_6, None, "MODE SENSE(6)", 6, 60, Reads),
    // Whether it is guarded depends on PREVENT; see `basic`.
    known(
        opcode::PREVENT_ALLOW_MEDIUM_REMOVAL,
        None,
        "PREVENT ALLOW MEDIUM REMOVAL",
        6,
        60,
        Open,
    ),
    known(opcode::LOG_SENSE, None, "LOG SENSE", 10, 60, Open),
    known(opcode::MODE_SENSE_10, None, "MODE SENSE(10)", 10, 60, Reads),
    known(
        opcode::PERSISTENT_RESERVE_IN,
        Some(0),
        "PERSISTENT RESERVE IN/READ KEYS",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_IN,
        Some(1),
        "PERSISTENT RESERVE IN/READ RESERVATION",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_IN,
        Some(2),
        "PERSISTENT RESERVE IN/REPORT CAPABILITIES",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_IN,
        Some(3),
        "PERSISTENT RESERVE IN/READ FULL STATUS",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(0),
        "PERSISTENT RESERVE OUT/REGISTER",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(1),
        "PERSISTENT RESERVE OUT/RESERVE",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(2),
        "PERSISTENT RESERVE OUT/RELEASE",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(3),
        "PERSISTENT RESERVE OUT/CLEAR",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(4),
        "PERSISTENT RESERVE OUT/PREEMPT",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(5),
        "PERSISTENT RESERVE OUT/PREEMPT AND ABORT",
        10,
        60,
        Open,
    ),
    known(
        opcode::PERSISTENT_RESERVE_OUT,
        Some(6),
        "PERSISTENT RESERVE OUT/REGISTER AND IGNORE EXISTING KEY",
        10,
        60,
        Open,
    ),
    known(opcode::REPORT_LUNS, None, "REPORT LUNS", 12, 60, Open),
    known(
        opcode::MAINTENANCE_IN,
        Some(opcode::maintenance_in::REPORT_SUPPORTED_OPERATION_CODES),
        "REPORT SUPPORTED OPERATION CODES",
        12,
        60,
        Open,
    ),
];

/// All commands of a device with these of its own.
fn all_of(own: &'static [Known]) -> impl Iterator<Item = &'static Known> {
    COMMON.iter().chain(own)
}

/// The command with this name, in any case.
pub(crate) fn by_name(own: &'static [Known], name: &str) -> Option<&'static Known> {
    all_of(own).find(|command| command.name.eq_ignore_ascii_case(name))
}

/// What is known of a CDB's command.
pub(crate) enum Lookup {
    Known(&'static Known),
    /// The operation code is known, the service action is not.
    UnknownAction,
    Unknown,
}

pub(super) fn look_up(own: &'static [Known], opcode: u8, action: u8) -> Lookup {
    let mut same = all_of(own)
        .filter(|command| command.opcode == opcode)
        .peekable();
    if same.peek().is_none() {
        return Lookup::Unknown;
    }
    match same.find(|command| command.service_action.is_none_or(|a| a == action)) {
        Some(command) => Lookup::Known(command),
        None => Lookup::UnknownAction,
    }
}

const TIMEOUTS_BYTES: u16 = 12;
const RCTD: u8 = 0x80;

/// REPORT SUPPORTED OPERATION CODES (SPC-5 6.37).
pub(super) fn report(own: &'static [Known], command: &mut Command<'_>) -> Checked<usize> {
    let timeouts = command.cdb[2] & RCTD != 0;
    let opcode = command.cdb[3];
    let action = be16(&command.cdb[4..]);
    let found = |action: Option<u16>| {
        all_of(own).find(|c| c.opcode == opcode && c.service_action.map(u16::from) == action)
    };
    let has_actions = all_of(own).any(|c| c.opcode == opcode && c.service_action.is_some());
    let reply = match command.cdb[2] & 0x07 {
        0 => all(own, timeouts),
        // Asking without a service action where there are some is an error, and the reverse.
        1 if has_actions => return Err(invalid_cdb(2).into()),
        1 => one(found(None), timeouts),
        2 if !has_actions && found(None).is_some() => return Err(invalid_cdb(2).into()),
        2 => one(found(Some(action)), timeouts),
        3 => one(found(has_actions.then_some(action)), timeouts),
        _ => return Err(invalid_cdb(2).into()),
    };
    Ok(command.reply(&reply, be32(&command.cdb[6..]) as usize))
}

fn all(own: &'static [Known], timeouts: bool) -> Vec<u8> {
    let mut list = Vec::new();
    for command in all_of(own) {
        let flags = u8::from(timeouts) << 1 | u8::from(command.service_action.is_some());
        list.extend([
            command.opcode,
            0,
            0,
            command.service_action.unwrap_or(0),
            0,
            flags,
        ]);
        list.extend(u16::from(command.cdb_bytes).to_be_bytes());
        if timeouts {
            list.extend(timeouts_of(command));
        }
    }
    let length = u32::try_from(list.len()).expect("a short table");
    [&length.to_be_bytes()[..], &list].concat()
}

fn one(command: Option<&Known>, timeouts: bool) -> Vec<u8> {
    const NOT_SUPPORTED: u8 = 1;
    const AS_THE_STANDARD_SAYS: u8 = 3;
    let Some(command) = command else {
        return vec![0, NOT_SUPPORTED, 0, 0];
    };
    let ctdp = u8::from(timeouts) << 7;
    let mut reply = vec![0, ctdp | AS_THE_STANDARD_SAYS];
    reply.extend(u16::from(command.cdb_bytes).to_be_bytes());
    // Usage data: the operation code, then bits that are looked at. The drive
    // looks at all but the control byte.
    let mut usage = vec![0xff; usize::from(command.cdb_bytes)];
    usage[0] = command.opcode;
    *usage.last_mut().expect("at least six bytes") = 0;
    reply.extend(usage);
    if timeouts {
        reply.extend(timeouts_of(command));
    }
    reply
}

/// The command timeouts descriptor: nominal and recommended time, in seconds.
fn timeouts_of(command: &Known) -> [u8; TIMEOUTS_BYTES as usize] {
    const NOMINAL_S: u32 = 1;
    let mut bytes = [0; TIMEOUTS_BYTES as usize];
    bytes[..2].copy_from_slice(&(TIMEOUTS_BYTES - 2).to_be_bytes());
    bytes[4..8].copy_from_slice(&NOMINAL_S.to_be_bytes());
    bytes[8..].copy_from_slice(&command.timeout_s.to_be_bytes());
    bytes
}
