//! The coordinator's decisions: inputs in, outputs out, and no I/O.
//!
//! [`Coordinator::handle`] takes one input at a time, with the time at which it
//! came, and gives what is to be done, in order. Whoever carries that out makes
//! all that changes and is to be kept durable before any of the
//! [`Output::Send`] and [`Output::Answer`] behind it leaves: what was said was
//! written down before.
//! The same inputs always give the same outputs, so a whole cluster can be run
//! from a seed (hwtests/sim).
//!
//! | file | noun |
//! | --- | --- |
//! | `state` | the rows, and how they change |
//! | `links` | services that come, stay and go |
//! | `cluster` | what the cluster says, and what follows from it |
//! | `failover` | what is written down of a node that has failed |
//! | `attempts` | what services say of attempts |
//! | `faults` | which of a drive and a cartridge is at fault |
//! | `due` | schedules whose time has come |
//! | `dispatch` | which waiting run begins where |
//! | `unload` | volumes that are brought out of drives for others |
//! | `occurrences` | what services begin by themselves |
//! | `commands` | what operators want |
//! | `asks` | what operators ask, and what they are answered |
//! | `rows` | rows for operators, in pages |
//! | `why` | why a run is not begun, in words |
//! | `waits` | runs of which people are told that they wait |

mod asks;
mod attempts;
mod cluster;
mod commands;
mod dispatch;
mod due;
pub mod failover;
mod faults;
mod links;
mod occurrences;
mod rows;
pub mod state;
#[cfg(test)]
mod tests;
mod unload;
mod waits;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use longhaul_cluster::Snapshot;
use longhaul_protocol::order::{Order, What};
use longhaul_protocol::report::{Part, SetDone};
use longhaul_protocol::{Answer, Ask, AttemptId, Hello, Name, Report, RunId, Time};
use uuid::Uuid;

use asks::Waiter;
pub use asks::{Asker, WAITERS_MAX};
use cluster::Heard;
use failover::FailoverId;
use links::Link;
pub(crate) use rows::ROWS_BYTES_MAX;
use state::{Change, State};
use waits::Waits;

/// What the coordinator is told once.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The cluster that its services belong to.
    pub cluster: Uuid,
    /// How often a service has to say something, in milliseconds. One that says
    /// nothing for three times as long is disconnected.
    pub alive_ms: u64,
    /// How long a run waits after its attempt broke off, in milliseconds; after
    /// the second one twice as long, and so on.
    pub retry_ms: u64,
    /// A cluster decides where applications run, who has quorum, and who is dead.
    pub is_clustered: bool,
    /// This coordinator's node, if it is one of the cluster's.
    pub node: Option<Name>,
}

/// What comes.
#[derive(Debug, Clone)]
pub enum Input {
    /// A service introduces itself, on a new connection. An older one of the
    /// same node is gone then.
    Hello(Hello),
    /// A service's connection is gone.
    Gone(Name),
    /// A service says something.
    Report(Name, Report),
    /// Nothing, but time passes.
    Tick,
    /// How things stand, as the cluster service of this coordinator's node says;
    /// nothing, if it could not be asked for a while.
    Cluster(Option<Box<Snapshot>>),
    /// An operator wants something, on this connection. The next thing is not
    /// heard before this one is answered.
    Ask(Asker, Ask),
    /// An operator's connection is gone.
    AskerGone(Asker),
}

impl Input {
    /// Whether a run may begin because of it. Most of what comes is none of
    /// that: progress, signs of life, and questions.
    fn may_let_begin(&self) -> bool {
        !matches!(
            self,
            Input::Report(
                _,
                Report::Alive { .. }
                    | Report::Journal { .. }
                    | Report::Checkpoint { .. }
                    | Report::SetFile { .. }
            ) | Input::Ask(
                _,
                Ask::Rows(_) | Ask::Status | Ask::Run { .. } | Ask::Events(_) | Ask::Find(_)
            ) | Input::AskerGone(_)
        )
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A row changes.
    Change(Change),
    /// A piece of a journal is to be kept.
    Keep(AttemptId, Part),
    /// A piece of the catalog's file of an attempt's set is to be kept.
    KeepSet(AttemptId, Part),
    /// The set that an attempt has done, whose file was kept, is to be taken into
    /// the catalog. It may be there already.
    Enter(AttemptId, Box<SetDone>),
    /// A service is to be told something.
    Send(Name, Order),
    /// The journal of an attempt, its first so many bytes, is to be sent to a
    /// service, for another attempt that goes on with it.
    SendJournal {
        /// To whom.
        to: Name,
        /// For which attempt.
        attempt: AttemptId,
        /// Whose journal.
        of: AttemptId,
        /// How much of it.
        bytes: u64,
    },
    /// The service that has just introduced itself is told why it is not
    /// wanted, and its connection is closed.
    Refuse(String),
    /// A service's connection is to be closed.
    Close(Name),
    /// An operator is answered.
    Answer(Asker, Answer),
    /// Somebody is to be told.
    Notify(Notice),
    /// The cluster service of this node is to be asked now.
    LookAtCluster,
}

/// What people want to know at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A run has failed, and why.
    Failed(RunId, String),
    /// A run is done, but for some files.
    Damaged(RunId, String),
    /// A run goes on when an operator says so, and why.
    Held(RunId, String),
    /// A run has waited for somebody for a while, and for what.
    Waits(RunId, String),
    /// A node has failed, and what becomes of what was under way there.
    Failover(FailoverId, String),
    /// A drive cannot be used, and why.
    DriveDown(Name, String),
    /// Nobody was there at so many times of a schedule.
    Missed(Name, usize),
}

/// The coordinator's mind.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    state: State,
    links: BTreeMap<Name, Link>,
    /// When nodes that are not connected were heard last.
    away: BTreeMap<Name, Time>,
    /// Operators that wait for a run, up to [`WAITERS_MAX`].
    waiters: Vec<Waiter>,
    /// Runs that wait for somebody.
    waits: BTreeMap<RunId, Waits>,
    /// When the first thing came.
    since: Option<Time>,
    /// What the cluster service of this node says.
    cluster: Option<Arc<Snapshot>>,
    /// Where the coordinator ran before, if that was another node which was not
    /// there since.
    host_before: Option<Name>,
    /// What other nodes have said of nodes of which no failure is known.
    heard: VecDeque<Heard>,
    /// Attempts that were told to end since their applications have moved.
    told_to_move: BTreeSet<AttemptId>,
    outputs: Vec<Output>,
}

impl Coordinator {
    /// A coordinator that starts with these rows, and has a new epoch by the
    /// changes that are given.
    pub fn start(settings: Settings, state: State) -> (Coordinator, Vec<Output>) {
        let mut coordinator = Coordinator {
            settings,
            state,
            links: BTreeMap::new(),
            away: BTreeMap::new(),
            waiters: Vec::new(),
            waits: BTreeMap::new(),
            since: None,
            cluster: None,
            host_before: None,
            heard: VecDeque::new(),
            told_to_move: BTreeSet::new(),
            outputs: Vec::new(),
        };
        let mut counters = coordinator.state.counters.clone();
        counters.epoch.0 += 1;
        let node = coordinator.settings.node.clone();
        coordinator.host_before = counters
            .host
            .take()
            .filter(|host| Some(host) != node.as_ref());
        counters.host = node;
        coordinator.change(Change::Counters(counters));
        let outputs = std::mem::take(&mut coordinator.outputs);
        (coordinator, outputs)
    }

    /// What is to be done about an input that came at `now`.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Output> {
        let decides = input.may_let_begin();
        self.since.get_or_insert(now);
        match input {
            Input::Hello(hello) => self.hello(now, hello),
            Input::Gone(node) => self.gone(&node),
            Input::Report(node, report) => self.report(now, &node, report),
            Input::Tick => {
                self.hang_up(now);
                self.due(now);
                self.give_occurrences(now);
                self.tell_of_waiting(now);
            }
            Input::Cluster(snapshot) => self.cluster_said(now, snapshot.map(|boxed| *boxed)),
            Input::Ask(asker, ask) => self.ask(now, asker, ask),
            Input::AskerGone(asker) => self.asker_gone(asker),
        }
        if decides {
            self.unload_for_others(now);
            self.dispatch(now);
        }
        self.answer_waiters(now);
        std::mem::take(&mut self.outputs)
    }

    /// From now on a run waits so long after its attempt broke off, in
    /// milliseconds.
    pub fn retry_after(&mut self, retry_ms: u64) {
        self.settings.retry_ms = retry_ms;
    }

    /// The rows.
    pub fn state(&self) -> &State {
        &self.state
    }

    fn change(&mut self, change: Change) {
        self.state.apply(change.clone());
        self.outputs.push(Output::Change(change));
    }

    fn send(&mut self, node: &Name, what: What) {
        let epoch = self.state.counters.epoch;
        let order = Order { epoch, what };
        self.outputs.push(Output::Send(node.clone(), order));
    }
}
