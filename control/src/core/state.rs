//! What the coordinator remembers: the rows of its database, in memory.
//!
//! A row changes by a [`Change`] and by nothing else, in memory and in the
//! database alike, so that the database is the replay of all changes.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_protocol::job::Job;
use longhaul_protocol::order::Occurrence;
use longhaul_protocol::report::{Outcome, Point};
use longhaul_protocol::run::{Epoch, Token};
use longhaul_protocol::{AttemptId, ExitStatus, Name, RunId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::failover::{Failover, FailoverId};
use crate::schedule::Schedule;

/// Assignments that a drive's row remembers.
pub const LEFT_MAX: usize = 256;
/// Nodes of which a drive's row says why they cannot use it.
pub const UNUSABLE_MAX: usize = 16;

/// All rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The counters.
    pub counters: Counters,
    /// Nodes by name.
    pub nodes: BTreeMap<Name, Node>,
    /// Drives by serial number.
    pub drives: BTreeMap<Name, Drive>,
    /// Volumes by identity.
    pub volumes: BTreeMap<Uuid, Volume>,
    /// Jobs by name.
    pub jobs: BTreeMap<Name, Job>,
    /// Schedules by name.
    pub schedules: BTreeMap<Name, Scheduled>,
    /// What services begin by themselves, by the runs that it will be.
    pub occurrences: BTreeMap<RunId, Given>,
    /// Runs.
    pub runs: BTreeMap<RunId, Run>,
    /// Attempts.
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// Nodes that have failed.
    pub failovers: BTreeMap<FailoverId, Failover>,
    /// Runs that are not over: few of all there were.
    open: BTreeSet<RunId>,
    /// Attempts that have not ended, by node. A node without any is not in it.
    under_way: BTreeMap<Name, BTreeSet<AttemptId>>,
}

/// What is counted, and never given twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Starts of the coordinator.
    pub epoch: Epoch,
    /// Assignments of drives.
    pub token: Token,
    /// The node where the coordinator was started last.
    #[serde(default)]
    pub host: Option<Name>,
}

/// A node on which a backup service may run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Nothing is begun on it any more: an operator has said so.
    #[serde(default)]
    pub is_drained: bool,
    /// Which start of its service was heard of last.
    #[serde(default)]
    pub boot: Option<Uuid>,
    /// Drives that it said to reach.
    #[serde(default)]
    pub reaches: Vec<Name>,
    /// When the cluster has fenced it last, as far as that was heard.
    #[serde(default)]
    pub fenced: Option<Time>,
}

/// A tape drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drive {
    /// Vendor and product, for people.
    pub product: String,
    /// The pool that it is in.
    #[serde(default)]
    pub pool: Option<Name>,
    /// The changer that loads it.
    #[serde(default)]
    pub library: Option<Name>,
    /// Nothing is begun on it any more: an operator has said so.
    #[serde(default)]
    pub is_disabled: bool,
    /// Why it cannot be used, as somebody found out.
    #[serde(default)]
    pub trouble: Option<String>,
    /// A volume with which it did badly, and since when it did well with none.
    #[serde(default)]
    pub doubt: Option<Uuid>,
    /// The TapeAlert flags that it had set behind its last attempt, in words.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// Nodes that see it and cannot use it, and why: up to [`UNUSABLE_MAX`].
    #[serde(default)]
    pub unusable: BTreeMap<Name, String>,
    /// The newest assignment of it.
    #[serde(default)]
    pub token: Token,
    /// Who has it.
    #[serde(default)]
    pub holder: Option<AttemptId>,
    /// Assignments under which somebody who is gone may still hold its
    /// reservation: up to [`LEFT_MAX`], the newest.
    #[serde(default)]
    pub left: Vec<Token>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub name: Name,
    /// The pool that it is in.
    pub pool: Name,
    /// Nothing is appended to it any more, and why.
    #[serde(default)]
    pub closed: Option<String>,
    /// A drive that did badly with it, since when none did well.
    #[serde(default)]
    pub doubt: Option<Name>,
    /// The drive that it is in, where a node has not reached that drive.
    #[serde(default)]
    pub inside: Option<Name>,
    /// It was not to be had when it was wanted last, and why: it is taken last.
    #[serde(default)]
    pub absent: Option<String>,
    /// The newest assignment under which it was given to be written.
    #[serde(default)]
    pub token: Token,
    /// The attempt that may write to it, or has it to restore from.
    #[serde(default)]
    pub writer: Option<AttemptId>,
    /// The run whose set on it has not come to its end.
    #[serde(default)]
    pub unfinished: Option<RunId>,
}

/// A schedule, and when it comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The schedule.
    pub schedule: Schedule,
    /// Its next time; `None` if there is none.
    pub next: Option<Time>,
}

/// What a service begins by itself when it is due and nobody says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The node whose service it is.
    pub node: Name,
    /// What it was given.
    pub occurrence: Occurrence,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The job, as it was when the run was made; but its place and its drive are
    /// what they are now.
    pub job: Job,
    /// Where it stands.
    pub state: RunState,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts that broke off: what counts against the retries.
    #[serde(default)]
    pub failures: u32,
    /// Its next attempt is not begun before.
    pub not_before: Time,
    /// An operator has stopped it: its attempt is its last one.
    #[serde(default)]
    pub is_stopped: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Its next attempt is to be begun as soon as it can be.
    Waiting,
    /// Its newest attempt is under way.
    Active,
    /// It goes on when an operator says so, and why.
    Held(String),
    /// It is done: whole, or but for some files.
    Done(ExitStatus),
    /// It has failed, or was stopped, and why.
    Failed(String),
}

impl Run {
    /// A run that waits for its first attempt, which is not begun before this.
    pub fn new(job: Job, not_before: Time) -> Run {
        Run {
            job,
            state: RunState::Waiting,
            attempts: 0,
            failures: 0,
            not_before,
            is_stopped: false,
        }
    }
}

impl RunState {
    /// Whether there is more to come.
    pub fn is_open(&self) -> bool {
        !matches!(self, RunState::Done(_) | RunState::Failed(_))
    }
}

/// An attempt to carry a run out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The node whose service carries it out.
    pub node: Name,
    /// The drive that it writes to.
    pub drive: Name,
    /// The assignment that it writes under.
    pub token: Token,
    /// The assignments that it may take the drive from.
    #[serde(default)]
    pub preempts: Vec<Token>,
    /// The volumes that it may write to, or restores from, in order.
    pub volumes: Vec<Uuid>,
    /// The attempt whose journal it goes on with.
    #[serde(default)]
    pub resumes: Option<u32>,
    /// When it was ordered.
    pub ordered: Time,
    /// Bytes of its journal that are durable here.
    #[serde(default)]
    pub journal_bytes: u64,
    /// Bytes of the catalog's file of its set that are durable here.
    #[serde(default)]
    pub set_bytes: u64,
    /// What it has reached, as far as that is durable here.
    #[serde(default)]
    pub point: Option<Point>,
    /// How it ended.
    #[serde(default)]
    pub ended: Option<Outcome>,
}

/// A row that is put in place of the one with the same key, or that is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "table", content = "row", rename_all = "kebab-case")]
pub enum Change {
    /// The counters.
    Counters(Counters),
    /// A node.
    Node(Name, Node),
    /// A drive.
    Drive(Name, Drive),
    /// A volume.
    Volume(Uuid, Volume),
    /// A job.
    Job(Name, Box<Job>),
    /// A schedule.
    Schedule(Name, Box<Scheduled>),
    /// What a service begins by itself.
    Occurrence(RunId, Box<Given>),
    /// A run.
    Run(RunId, Box<Run>),
    /// An attempt.
    Attempt(AttemptId, Box<Attempt>),
    /// A node that has failed.
    Failover(FailoverId, Box<Failover>),
    /// People were told something, or not: no row, an event alone.
    Told(Told),
    /// There is no such row any more.
    Removed(Key),
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it is of: a run, a drive, a schedule.
    pub of: String,
    /// The notice, for people.
    pub notice: String,
    /// Why nobody was told, if nobody was.
    #[serde(default)]
    pub failed: Option<String>,
}

/// Which row: what can be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// A node.
    Node(Name),
    /// A drive.
    Drive(Name),
    /// A volume.
    Volume(Uuid),
    /// A job.
    Job(Name),
    /// A schedule.
    Schedule(Name),
    /// What a service begins by itself.
    Occurrence(RunId),
    /// A run; its attempts are removed before.
    Run(RunId),
    /// An attempt. Its journal goes with it.
    Attempt(AttemptId),
    /// A node that has failed.
    Failover(FailoverId),
}

impl Drive {
    /// Somebody is gone who may still hold the drive under this assignment.
    pub(super) fn leave(&mut self, token: Token) {
        if !self.left.contains(&token) {
            self.left.push(token);
        }
        let surplus = self.left.len().saturating_sub(LEFT_MAX);
        self.left.drain(..surplus);
    }
}

impl State {
    /// Whether a node has said that it reaches a drive.
    pub(super) fn reaches(&self, node: &Name, serial: &Name) -> bool {
        let node = self.nodes.get(node);
        node.is_some_and(|node| node.reaches.contains(serial))
    }

    /// Puts a row in its place.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Counters(counters) => self.counters = counters,
            Change::Node(name, node) => drop(self.nodes.insert(name, node)),
            Change::Drive(serial, drive) => drop(self.drives.insert(serial, drive)),
            Change::Volume(uuid, volume) => drop(self.volumes.insert(uuid, volume)),
            Change::Job(name, job) => drop(self.jobs.insert(name, *job)),
            Change::Schedule(name, row) => drop(self.schedules.insert(name, *row)),
            Change::Occurrence(id, given) => drop(self.occurrences.insert(id, *given)),
            Change::Failover(id, row) => drop(self.failovers.insert(id, *row)),
            Change::Run(id, run) => {
                match run.state.is_open() {
                    true => self.open.insert(id.clone()),
                    false => self.open.remove(&id),
                };
                self.runs.insert(id, *run);
            }
            Change::Attempt(id, attempt) => self.put_attempt(id, *attempt),
            Change::Told(_) => {}
            Change::Removed(key) => self.remove(&key),
        }
    }

    fn remove(&mut self, key: &Key) {
        match key {
            Key::Node(name) => drop(self.nodes.remove(name)),
            Key::Drive(serial) => drop(self.drives.remove(serial)),
            Key::Volume(uuid) => drop(self.volumes.remove(uuid)),
            Key::Job(name) => drop(self.jobs.remove(name)),
            Key::Schedule(name) => drop(self.schedules.remove(name)),
            Key::Occurrence(id) => drop(self.occurrences.remove(id)),
            Key::Failover(id) => drop(self.failovers.remove(id)),
            Key::Run(id) => {
                self.open.remove(id);
                self.runs.remove(id);
            }
            Key::Attempt(id) => {
                if let Some(old) = self.attempts.remove(id) {
                    self.forget_under_way(id, &old);
                }
            }
        }
    }

    fn forget_under_way(&mut self, id: &AttemptId, attempt: &Attempt) {
        if let Some(of_node) = self.under_way.get_mut(&attempt.node) {
            of_node.remove(id);
            if of_node.is_empty() {
                self.under_way.remove(&attempt.node);
            }
        }
    }

    fn put_attempt(&mut self, id: AttemptId, attempt: Attempt) {
        let node = attempt.ended.is_none().then(|| attempt.node.clone());
        if let Some(old) = self.attempts.insert(id.clone(), attempt) {
            self.forget_under_way(&id, &old);
        }
        if let Some(node) = node {
            self.under_way.entry(node).or_default().insert(id);
        }
    }

    /// The volume of this name.
    pub fn volume_named(&self, name: &Name) -> Option<(Uuid, &Volume)> {
        let mut volumes = self.volumes.iter();
        let found = volumes.find(|(_, volume)| volume.name == *name);
        found.map(|(uuid, volume)| (*uuid, volume))
    }

    /// The runs that are not over, or those of one job, in their order.
    pub fn open_runs(&self, job: Option<&Name>) -> impl Iterator<Item = (&RunId, &Run)> {
        let at = |job: &Name, due| RunId {
            job: job.clone(),
            due,
        };
        let open = match job {
            Some(job) => self
                .open
                .range(at(job, Time(i64::MIN))..=at(job, Time(i64::MAX))),
            None => self.open.range::<RunId, _>(..),
        };
        open.filter_map(|id| Some((id, self.runs.get(id)?)))
    }

    /// All runs of a job, in the order in which they were due.
    pub fn runs_of(&self, job: &Name) -> impl Iterator<Item = (&RunId, &Run)> {
        let at = |due| RunId {
            job: job.clone(),
            due,
        };
        self.runs.range(at(Time(i64::MIN))..=at(Time(i64::MAX)))
    }

    /// The attempts that are under way on a node, in their order.
    pub fn under_way(&self, node: &Name) -> impl Iterator<Item = &AttemptId> {
        self.under_way.get(node).into_iter().flatten()
    }

    /// A run's newest attempt.
    pub fn newest(&self, id: &RunId) -> Option<(AttemptId, &Attempt)> {
        let number = self.runs.get(id)?.attempts;
        let id = AttemptId {
            run: id.clone(),
            number,
        };
        let attempt = self.attempts.get(&id)?;
        Some((id, attempt))
    }

    /// A run's attempts, in order.
    pub fn attempts_of(
        &self,
        id: &RunId,
    ) -> impl DoubleEndedIterator<Item = (&AttemptId, &Attempt)> {
        let of = |number| AttemptId {
            run: id.clone(),
            number,
        };
        self.attempts.range(of(0)..=of(u32::MAX))
    }

    /// The sets that attempts of a job have done.
    pub fn sets_of(&self, job: &Name) -> BTreeSet<Uuid> {
        let at = |due, number| AttemptId {
            run: RunId {
                job: job.clone(),
                due: Time(due),
            },
            number,
        };
        let attempts = self
            .attempts
            .range(at(i64::MIN, 0)..=at(i64::MAX, u32::MAX));
        let ended = attempts.filter_map(|(_, attempt)| attempt.ended.as_ref());
        ended
            .filter_map(|ended| Some(ended.set.as_ref()?.uuid))
            .collect()
    }

    /// The attempt whose journal a run goes on with: the newest that is known to
    /// have reached a checkpoint, or else that has begun one on volumes that are
    /// open. (A newer one without a checkpoint has written behind that of an older
    /// one at most, and the records before a checkpoint tell whether it holds.)
    pub fn resumable(&self, id: &RunId) -> Option<(u32, &Attempt)> {
        let newest = |is: &dyn Fn(&Attempt) -> bool| {
            // Behind damage it begins anew: nothing before that counts.
            let is_damaged = |of: &Attempt| of.ended.as_ref().is_some_and(|end| end.damaged);
            let attempts = self.attempts_of(id).rev();
            let mut attempts = attempts.take_while(|(_, attempt)| !is_damaged(attempt));
            attempts.find(|(_, attempt)| is(attempt))
        };
        let is_open = |uuid: &Uuid| {
            let volume = self.volumes.get(uuid);
            volume.is_none_or(|volume| volume.closed.is_none())
        };
        let found = newest(&|attempt| attempt.point.is_some());
        let found = found.or_else(|| {
            newest(&|begun| begun.journal_bytes > 0 && begun.volumes.iter().all(is_open))
        });
        found.map(|(id, attempt)| (id.number, attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::{attempt, run};

    #[test]
    fn what_is_open_and_under_way_follows_the_rows() {
        let mut state = State::default();
        let id = |due| RunId {
            job: "daily".parse().expect("a name"),
            due: Time(due),
        };
        let first = AttemptId {
            run: id(1),
            number: 1,
        };
        let nodes: [Name; 2] = ["n1", "n2"].map(|name| name.parse().expect("a name"));
        let open = |state: &State| -> Vec<i64> {
            let job = id(1).job;
            let runs = state.open_runs(Some(&job));
            let dues: Vec<i64> = runs.map(|(id, _)| id.due.0).collect();
            assert_eq!(dues.len(), state.open_runs(None).count());
            dues
        };
        let under_way = |state: &State| nodes.clone().map(|node| state.under_way(&node).count());
        state.apply(run(id(1), RunState::Waiting));
        state.apply(run(id(2), RunState::Held("no volume".into())));
        state.apply(run(id(1), RunState::Active));
        assert_eq!(open(&state), [1, 2]);
        let Change::Attempt(_, mut row) = attempt(first.clone()) else {
            panic!("an attempt");
        };
        row.node = nodes[0].clone();
        state.apply(Change::Attempt(first.clone(), row.clone()));
        assert_eq!(under_way(&state), [1, 0]);
        row.node = nodes[1].clone();
        state.apply(Change::Attempt(first.clone(), row.clone()));
        assert_eq!(under_way(&state), [0, 1]);
        row.ended = Some(Outcome::without_set(ExitStatus::Device, "dead", Time(5)));
        state.apply(Change::Attempt(first, row));
        assert_eq!(under_way(&state), [0, 0]);
        state.apply(run(id(1), RunState::Failed("dead".into())));
        assert_eq!(open(&state), [2]);
        // Nothing is left of what is over but its rows.
        assert!(state.under_way.is_empty());
        state.apply(run(id(1), RunState::Waiting));
        assert_eq!(open(&state), [1, 2]);
    }
}
