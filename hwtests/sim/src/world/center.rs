//! The coordinator's process.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use longhaul_control::core::failover::Failover;
use longhaul_control::core::state::{Change, State};
use longhaul_control::core::{Coordinator, Input, Output, Settings};
use longhaul_protocol::job::Place;
use longhaul_protocol::order::{Order, What};
use longhaul_protocol::report::Part;
use longhaul_protocol::{AttemptId, Name, RunId};

use super::{ALIVE_MS, CLUSTER, Event, World, put};

/// The coordinator's process, and its disk.
#[derive(Debug, Default)]
pub(crate) struct Center {
    pub core: Option<Coordinator>,
    pub rows: State,
    pub changes: Vec<Change>,
    pub journals: BTreeMap<AttemptId, Vec<u8>>,
    /// The catalog's files of attempts' sets.
    pub(super) sets: BTreeMap<AttemptId, Vec<u8>>,
    /// The runs whose sets the catalog knows.
    pub catalog: BTreeSet<RunId>,
    /// The connection of each node.
    pub(super) links: BTreeMap<Name, u64>,
    /// The node where it runs, or has run last.
    pub node: Option<Name>,
    /// The node where it ran before, if the cluster has not said since that this is there.
    pub(super) before: Option<Name>,
}

impl World {
    pub fn start_center(&mut self) -> Result<()> {
        if self.center.core.is_some() {
            return Ok(());
        }
        let Some(node) = self.home() else {
            self.later(500, Event::CenterStarts);
            return Ok(());
        };
        // The rows are the replay of the changes.
        let mut replayed = State::default();
        for change in &self.center.changes {
            replayed.apply(change.clone());
        }
        ensure!(
            replayed == self.center.rows,
            "the rows are not the replay of the changes"
        );
        let settings = Settings {
            cluster: CLUSTER,
            alive_ms: ALIVE_MS,
            retry_ms: 1_000,
            is_clustered: true,
            node: Some(node.clone()),
        };
        self.moves_in(node);
        let (core, outputs) = Coordinator::start(settings, self.center.rows.clone());
        self.center.core = Some(core);
        self.carry_out(outputs)?;
        self.look_at_cluster()
    }

    /// Where the cluster runs the coordinator: where it was; or elsewhere, but not before
    /// it is sure that it does nothing there any more.
    fn home(&mut self) -> Option<Name> {
        let old = self.center.node.clone();
        let is_up = old.as_ref().is_some_and(|old| self.is_up(old));
        let is_over = old.as_ref().is_none_or(|old| self.down.contains(old));
        if !is_up && !is_over {
            return None;
        }
        let others = self.nodes.keys().filter(|name| Some(*name) != old.as_ref());
        let others: Vec<Name> = others.filter(|name| self.is_up(name)).cloned().collect();
        if others.is_empty() || (is_up && self.chance.per_mille(700)) {
            return old.filter(|_| is_up);
        }
        let to = self.chance.below(others.len() as u64) as usize;
        others.get(to).cloned()
    }

    /// Remembers where it ran before, as the database does. A failure that was known
    /// before it ran there is not its.
    fn moves_in(&mut self, node: Name) {
        let before = self.center.rows.counters.host.clone();
        let before = before.filter(|before| *before != node && self.open_failure(before).is_none());
        self.center.before = before;
        self.center.node = Some(node);
    }

    /// What is written down of a node that has failed and is not back.
    pub(super) fn open_failure(&self, node: &Name) -> Option<&Failover> {
        let mut known = self.center.rows.failovers.iter();
        let open = known.find(|(id, row)| id.node == *node && row.back.is_none());
        open.map(|(_, row)| row)
    }

    /// With its node the coordinator is gone, and the cluster starts it again.
    pub fn loses_center(&mut self, node: &Name) {
        if self.center.node.as_ref() == Some(node) && self.center.core.is_some() {
            self.crash_center();
            self.later(1_000, Event::CenterStarts);
        }
    }

    pub fn crash_center(&mut self) {
        self.center.core = None;
        self.center.links.clear();
        for (link, name) in self.links() {
            self.later(5, Event::Break(link, name));
        }
    }

    pub fn center(&mut self, input: Input) -> Result<()> {
        let now = self.time();
        let Some(core) = &mut self.center.core else {
            return Ok(());
        };
        let outputs = core.handle(now, input);
        self.carry_out(outputs)
    }

    /// Makes durable what changes, then sends; it may die in between.
    pub(super) fn carry_out(&mut self, outputs: Vec<Output>) -> Result<()> {
        if !self.is_calm && self.chance.per_mille(1) {
            self.crash_center();
            return Ok(());
        }
        for output in &outputs {
            match output {
                Output::Change(change) => {
                    if let Change::Attempt(id, _) = change {
                        // What a service began by itself may be heard of later.
                        let is_new = !self.center.rows.attempts.contains_key(id) && id.number > 0;
                        ensure!(!is_new || !self.is_told_split, "{id} begins without quorum");
                    }
                    self.check_failure(change)?;
                    self.center.rows.apply(change.clone());
                    self.center.changes.push(change.clone());
                }
                Output::Keep(attempt, part) => {
                    let file = self.center.journals.entry(attempt.clone()).or_default();
                    put(file, part);
                }
                Output::KeepSet(attempt, part) => {
                    let file = self.center.sets.entry(attempt.clone()).or_default();
                    put(file, part);
                }
                Output::Enter(attempt, set) => {
                    let file = self.center.sets.get(attempt);
                    let kept = file.map_or(0, |file| file.len() as u64);
                    ensure!(
                        kept == set.file_bytes,
                        "{attempt}: {kept} bytes of the file of its set are there at its end"
                    );
                    self.center.catalog.insert(attempt.run.clone());
                }
                _ => {}
            }
        }
        self.check()?;
        for output in outputs {
            if !self.is_calm && self.chance.per_mille(1) {
                self.crash_center();
                return Ok(());
            }
            self.send_out(output);
        }
        Ok(())
    }

    /// The failure of a node is written down as the coordinator's where it is that; and
    /// without fencing nothing of it is given up before its application runs elsewhere.
    fn check_failure(&self, change: &Change) -> Result<()> {
        let Change::Failover(id, row) = change else {
            return Ok(());
        };
        let rows = &self.center.rows;
        let known = rows.failovers.get(id);
        let is_host = self.center.before.as_ref() == Some(&id.node);
        ensure!(
            known.is_some() || row.was_coordinator == is_host,
            "{id}: the coordinator ran there: {is_host}, and it says {}",
            row.was_coordinator
        );
        let hit = row.hit.iter().skip(known.map_or(0, |row| row.hit.len()));
        for hit in hit.filter(|_| !self.has_fencing) {
            let run = rows.runs.get(&hit.attempt.run);
            let has_followed = run.is_some_and(|run| match &run.job.place {
                Place::Application(of) => self.runs_elsewhere(of, &id.node),
                Place::Node(_) => false,
            });
            ensure!(has_followed, "{id}: {hit:?} is given up too early");
        }
        Ok(())
    }

    pub(super) fn send_out(&mut self, output: Output) {
        match output {
            Output::Send(node, order) => self.tell_node(&node, order),
            Output::SendJournal {
                to,
                attempt,
                of,
                bytes,
            } => {
                let epoch = self.center.rows.counters.epoch;
                let file = self.center.journals.get(&of).cloned().unwrap_or_default();
                let file = file[..usize::try_from(bytes).unwrap_or(0)].to_vec();
                for (offset, bytes) in (0..).step_by(150).zip(file.chunks(150)) {
                    let part = Part {
                        offset,
                        bytes: bytes.to_vec(),
                    };
                    let attempt = attempt.clone();
                    let what = What::Journal { attempt, part };
                    self.tell_node(&to, Order { epoch, what });
                }
            }
            Output::Close(node) => {
                if let Some(link) = self.center.links.remove(&node) {
                    self.later(1, Event::Break(link, node));
                }
            }
            Output::LookAtCluster => self.later(1, Event::Look),
            Output::Refuse(_)
            | Output::Answer(..)
            | Output::Notify(_)
            | Output::Change(_)
            | Output::Keep(..)
            | Output::KeepSet(..)
            | Output::Enter(..) => {}
        }
    }
}
