//! The backup service's decisions: inputs in, outputs out, and no I/O.
//!
//! A service carries out the attempts that the coordinator orders, each in a
//! process of its own, and tells what they have reached until it hears that this
//! is durable. It goes on without a coordinator, and does not forget: what it
//! has begun is a row of its own ([`Output::Save`], durable before anything
//! behind it is done), and so is how it ended.
//!
//! | file | noun |
//! | --- | --- |
//! | `attempt` | one attempt: its order, its process, its journal |
//! | `due` | what is begun without an order |
//! | `standing` | what the node's own cluster service says |
//! | `release` | file systems that are to leave the node |

mod attempt;
mod due;
mod release;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use longhaul_protocol::order::{Occurrence, Order, Start, Stop, What};
use longhaul_protocol::report::{DriveSeen, Outcome, Part, Point};
use longhaul_protocol::run::{Epoch, Token};
use longhaul_protocol::{AttemptId, Event, Hello, Name, Report, Time, VERSION};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use attempt::{Attempt, Stage};
use release::Release;
use standing::Standing;

/// Attempts that one service has at a time, ended ones that were not heard of
/// included.
pub const ATTEMPTS_MAX: usize = 256;
/// Occurrences that are kept.
const OCCURRENCES_MAX: usize = 1000;

/// Who the service is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its cluster.
    pub cluster: Uuid,
    /// Its node.
    pub node: Name,
    /// New with every start.
    pub boot: Uuid,
}

/// What a service has seen of coordinators: by it it knows what is out of date.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The newest epoch.
    pub epoch: Epoch,
    /// The newest assignment of each drive.
    pub tokens: BTreeMap<Name, Token>,
    /// What it begins by itself when it is due and no coordinator is there, by the
    /// time that it is due.
    #[serde(default)]
    pub occurrences: Vec<Occurrence>,
}

/// What comes.
#[derive(Debug, Clone)]
pub enum Input {
    /// There is a connection to the coordinator.
    Connected,
    /// There is none any more.
    Disconnected,
    /// The coordinator says something.
    Order(Order),
    /// The drives and changers that this node reaches.
    Devices(Vec<DriveSeen>, Vec<Name>),
    /// An attempt's process has made its journal durable up to here, and it says
    /// that this point was reached.
    Reached(AttemptId, Point),
    /// An attempt's process has ended.
    Ended(AttemptId, Outcome),
    /// A file of an attempt that was to be said cannot be read.
    Lost(AttemptId, File),
    /// What the node's own cluster service says. Where there is none, nothing is
    /// said: there is quorum.
    Cluster {
        /// The node is in the part of the cluster that decides.
        has_quorum: bool,
        /// The applications that run whole on this node.
        hosts: BTreeSet<Name>,
    },
    /// The node's own cluster service has told this.
    Alert(Event),
    /// A file system is to leave the node: where it is mounted, without links, and
    /// who is told when nothing is open there.
    Release(PathBuf, u64),
    /// A file system has come to the node.
    Admit(PathBuf),
    /// Where an attempt's places lead, in any order, without links.
    Leads(AttemptId, Vec<PathBuf>),
    /// The service is about to end: it begins nothing more.
    End,
    /// Nothing, but time passes.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// An attempt is to be kept, durably; `None`: it is no more.
    Save(AttemptId, Option<Box<Attempt>>),
    /// What was seen of the coordinator is to be kept, durably.
    SaveSeen(Seen),
    /// The coordinator is to be told something, if there is a connection.
    Say(Report),
    /// A piece of one of an attempt's files is to be said, from an offset on; if
    /// it cannot be read, the service is told that it is [lost](Input::Lost).
    SayPiece(AttemptId, Token, File, u64),
    /// A piece of the journal that an attempt goes on with is to be kept.
    Keep(AttemptId, Part),
    /// An attempt's process is to be started.
    Spawn(Box<Start>),
    /// An attempt's process is to be told to end.
    Signal(AttemptId, Stop),
    /// It is to be found out where these places of an attempt lead, and
    /// [said](Input::Leads).
    Resolve(AttemptId, Vec<PathBuf>),
    /// Nothing is open below the mount for which this ticket was given.
    Released(u64),
    /// The connection is to be closed, and opened anew after a while.
    HangUp,
}

/// A file of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// Its journal.
    Journal,
    /// The catalog's file of the set that it has done.
    Set(Uuid),
}

/// The service's mind.
#[derive(Debug)]
pub struct Service {
    identity: Identity,
    seen: Seen,
    attempts: BTreeMap<AttemptId, Attempt>,
    /// Drives and changers' serial numbers, as they were seen last.
    devices: (Vec<DriveSeen>, Vec<Name>),
    standing: Standing,
    /// File systems that are to leave the node, or have left it.
    released: BTreeMap<PathBuf, Release>,
    /// How often something is said, once there was a welcome on this connection.
    alive_ms: Option<u64>,
    said: Time,
    /// Nothing more is begun.
    ends: bool,
    outputs: Vec<Output>,
}

impl Service {
    /// A service that starts with what it has kept. No process of an attempt has
    /// outlived the service before: what was under way has broken off.
    pub fn start(
        now: Time,
        identity: Identity,
        seen: Seen,
        kept: BTreeMap<AttemptId, Attempt>,
    ) -> (Service, Vec<Output>) {
        let mut service = Service {
            identity,
            seen,
            attempts: kept,
            devices: Default::default(),
            standing: Standing::default(),
            released: BTreeMap::new(),
            alive_ms: None,
            said: now,
            ends: false,
            outputs: Vec::new(),
        };
        service.wake(now);
        let outputs = std::mem::take(&mut service.outputs);
        (service, outputs)
    }

    /// What is to be done about an input that came at `now`.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        match input {
            Input::Connected => self.hello(now),
            Input::Disconnected => self.alive_ms = None,
            Input::Order(order) => self.order(now, order),
            Input::Devices(drives, changers) => {
                self.devices = (drives, changers);
                if self.alive_ms.is_some() {
                    self.say_devices();
                }
            }
            Input::Reached(id, point) => self.reached(&id, point),
            Input::Ended(id, outcome) => self.ended(now, id, outcome),
            Input::Lost(id, file) => self.lost(&id, file),
            Input::Cluster { has_quorum, hosts } => self.stands(now, has_quorum, hosts),
            Input::Alert(event) => self.alert(now, event),
            Input::Release(mount, ticket) => self.release(now, mount, ticket),
            Input::Admit(mount) => self.admit(&mount),
            Input::Leads(id, places) => self.leads(now, &id, places),
            Input::End => self.ends = true,
            Input::Tick => self.begin_due(now),
        }
        self.pause_if_cut_off(now);
        self.let_go(now);
        if let Some(alive_ms) = self.alive_ms
            && now.since(self.said) >= alive_ms
        {
            self.said = now;
            self.outputs.push(Output::Say(Report::Alive { now }));
        }
        std::mem::take(&mut self.outputs)
    }

    /// What it has seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What it has.
    pub fn attempts(&self) -> &BTreeMap<AttemptId, Attempt> {
        &self.attempts
    }

    fn say(&mut self, report: Report) {
        if self.alive_ms.is_some() {
            self.outputs.push(Output::Say(report));
        }
    }

    fn hello(&mut self, now: Time) {
        self.alive_ms = None;
        let hello = Hello {
            version: VERSION,
            cluster: self.identity.cluster,
            node: self.identity.node.clone(),
            boot: self.identity.boot,
            epoch: self.seen.epoch,
            now,
        };
        self.outputs.push(Output::Say(Report::Hello(hello)));
    }

    /// Before it has looked there is nothing, and that is said, too: the coordinator may
    /// still have what an earlier start of the service saw, before its node lost it.
    fn say_devices(&mut self) {
        let (drives, changers) = self.devices.clone();
        self.say(Report::Devices { drives, changers });
    }

    fn order(&mut self, now: Time, order: Order) {
        if order.epoch < self.seen.epoch {
            log::warn!(
                "an order of epoch {} is not obeyed: epoch {} was seen",
                order.epoch.0,
                self.seen.epoch.0
            );
            self.outputs.push(Output::HangUp);
            return;
        }
        let is_welcome = matches!(order.what, What::Welcome { .. } | What::Refused { .. });
        if !is_welcome && self.alive_ms.is_none() {
            // Nobody has introduced himself on this connection.
            return;
        }
        if order.epoch > self.seen.epoch {
            self.seen.epoch = order.epoch;
            self.outputs.push(Output::SaveSeen(self.seen.clone()));
        }
        match order.what {
            What::Welcome { alive_ms, .. } => {
                self.alive_ms = Some(alive_ms);
                self.said = now;
                self.say_devices();
                self.say_attempts();
                self.say_alerts(now);
            }
            What::Refused { why } => {
                log::error!("the coordinator refuses this service: {why}");
                self.outputs.push(Output::HangUp);
            }
            What::Start(start) => self.begin(now, *start),
            What::Journal { attempt, part } => self.journal(now, &attempt, part),
            What::Stop { attempt, how } => self.stop(now, attempt, how),
            What::Kept {
                attempt,
                journal_bytes,
                set_bytes,
            } => self.kept(&attempt, journal_bytes, set_bytes),
            What::Heard { attempt } => self.heard(&attempt),
            What::Occurrences { mut occurrences } => {
                occurrences.truncate(OCCURRENCES_MAX);
                if self.seen.occurrences != occurrences {
                    self.seen.occurrences = occurrences;
                    self.outputs.push(Output::SaveSeen(self.seen.clone()));
                }
            }
        }
    }
}
