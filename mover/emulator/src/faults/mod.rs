//! Faults by plan: at this command or block, that goes wrong.
//!
//! A plan is data, so a test can print it, keep it, and walk through all its
//! neighbours ("fail the Nth command, for every N"). The format is written
//! down in `docs/faults.md`.

mod plan;

use std::time::Duration;

use longhaul_scsi::sense::Sense;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;

pub use plan::{PLAN_BYTES_MAX, PlanError, RULES_MAX};

/// A list of rules, and how often each has matched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    rules: Vec<Rule>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where it strikes.
    pub at: At,
    /// Which match is the first that it strikes at; 1 for the first.
    pub nth: u64,
    /// At how many matches in a row it strikes.
    pub times: u64,
    /// What happens.
    pub fault: Fault,
    matched: u64,
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The command with this number, counted from 1 since power on, over all
    /// nexuses.
    Command(u64),
    /// Commands with this operation code (and service action, where they have
    /// one).
    Opcode(u8, Option<u8>),
    /// Reads and writes that begin at this logical object; with a deferred
    /// sense, the moment when the object goes from the buffer to the medium.
    Block(u64),
    /// Every command.
    Any,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The kind.
    pub effect: Effect,
    /// Whether the command is carried out all the same.
    pub executed: bool,
    /// Whether the object buffer's content is lost first.
    pub lose_buffer: bool,
    /// A TapeAlert flag (1 to 64) that is raised first, for every initiator.
    pub alert: Option<u32>,
    /// How long the drive hangs before it answers, or does not.
    pub hang: Duration,
}

/// The kinds of faults.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing but the hang, the lost buffer and the alert.
    None,
    /// CHECK CONDITION with this sense data.
    Sense(Sense),
    /// This status, without sense data.
    Status(Status),
    /// No status: the transport failed.
    Transport(TransportError),
    /// A reset: the buffer is lost, the tape is at its beginning, modes are at
    /// their defaults, everybody gets a unit attention, and the command ends
    /// without a status.
    Reset(Reset),
    /// Only so many bytes move, and the residual says so.
    Transfer(usize),
    /// A bit of this byte is another when it arrives, and nobody says so.
    Corrupt(usize),
}

/// The kinds of resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Power off and on: registrations and reservation are gone too (29h/00h).
    Power,
    /// A bus or logical unit reset: registrations stay (29h/02h).
    Bus,
}

impl Rule {
    /// A rule that strikes once, at the first match.
    pub fn once(at: At, effect: Effect) -> Rule {
        let fault = Fault {
            effect,
            executed: false,
            lose_buffer: false,
            alert: None,
            hang: Duration::ZERO,
        };
        Rule {
            at,
            nth: 1,
            times: 1,
            fault,
            matched: 0,
        }
    }

    /// The same, with the command carried out.
    pub fn executed(mut self) -> Rule {
        self.fault.executed = true;
        self
    }

    fn strikes(&mut self) -> bool {
        self.matched = self.matched.saturating_add(1);
        self.matched >= self.nth && self.matched - self.nth < self.times
    }

    fn is_deferred(&self) -> bool {
        matches!(&self.fault.effect, Effect::Sense(sense) if sense.deferred)
    }
}

/// A command, as rules look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub number: u64,
    pub opcode: u8,
    pub service_action: u8,
    /// The object that a read or write begins at.
    pub block: Option<u64>,
}

impl Plan {
    /// A plan of these rules.
    pub fn new(rules: Vec<Rule>) -> Plan {
        Plan { rules }
    }

    /// What strikes this command: the first rule that matches and has not
    /// worn off.
    pub(crate) fn strike(&mut self, seen: Seen) -> Option<Fault> {
        let mut struck = None;
        for rule in &mut self.rules {
            let matches = match rule.at {
                At::Any => true,
                At::Command(number) => number == seen.number,
                At::Opcode(opcode, action) => {
                    opcode == seen.opcode && action.is_none_or(|a| a == seen.service_action)
                }
                At::Block(_) if rule.is_deferred() => false,
                At::Block(block) => seen.block == Some(block),
            };
            // Every rule counts its own matches, struck by another or not.
            if matches && rule.strikes() && struck.is_none() {
                struck = Some(rule.fault.clone());
            }
        }
        struck
    }

    /// What strikes an object on its way to the medium.
    pub(crate) fn strike_move(&mut self, object: u64) -> Option<Sense> {
        for rule in &mut self.rules {
            if rule.at == At::Block(object)
                && rule.is_deferred()
                && rule.strikes()
                && let Effect::Sense(sense) = &rule.fault.effect
            {
                return Some(sense.clone());
            }
        }
        None
    }
}
