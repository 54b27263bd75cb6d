//! What a node's own cluster service says to its service, and what becomes of attempts
//! on a node without quorum.

use anyhow::{Context, Result, ensure};
use longhaul_mover::service;
use longhaul_protocol::order::Start;
use longhaul_protocol::{AttemptId, ExitStatus, Name, Time};

use super::World;
use crate::mover::Step;
use crate::troubles::QUORUM;

/// So long a service bears it to be without quorum, in milliseconds.
const BEARS_MS: u64 = 60_000;
/// So long an attempt may take to reach a checkpoint then, in milliseconds.
const PAUSE_MS: u64 = 2_000;

/// How a node stands, as its service was told.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Since when it is without quorum, by the node's clock.
    without: Option<Time>,
    /// Since when its service cannot bear it any more.
    pauses: Option<u64>,
}

impl Standing {
    /// The node's clock was set, or it was frozen: the service finds out anew.
    pub fn forget_pause(&mut self) {
        self.pauses = None;
    }
}

impl World {
    /// What the node's own cluster service says: one that is cut off has no quorum,
    /// and runs nothing.
    pub(super) fn tell_cluster(&mut self, name: &Name) -> Result<()> {
        let is_cut = self.nodes.get(name).is_none_or(|node| node.is_cut);
        let here = self.applications.iter().filter(|(_, node)| *node == name);
        let has_quorum = !is_cut && !self.is_split;
        let here = here.filter(|(name, _)| has_quorum && !self.moving.contains_key(*name));
        let here = here.map(|(name, _)| name.clone());
        let cluster = service::Input::Cluster {
            has_quorum,
            hosts: here.collect(),
        };
        self.note_quorum(name, has_quorum);
        self.node(name, cluster)
    }

    fn note_quorum(&mut self, name: &Name, has_quorum: bool) {
        let (time, now) = (self.time(), self.now);
        let node = self.nodes.get_mut(name);
        let Some(node) = node.filter(|node| !node.is_frozen && node.service.is_some()) else {
            return;
        };
        if has_quorum {
            node.standing = Standing::default();
            return;
        }
        let standing = &mut node.standing;
        let since = *standing.without.get_or_insert(time);
        let is_over = time.since(since) >= BEARS_MS;
        standing.pauses = is_over.then(|| standing.pauses.unwrap_or(now));
    }

    /// Nothing begins by itself without quorum, and nothing at all once the service does
    /// not bear it any more.
    pub(super) fn check_begins(&self, name: &Name, start: &Start) -> Result<()> {
        let id = &start.attempt;
        let standing = &self.nodes.get(name).context("a node")?.standing;
        let may = match id.number {
            0 => standing.without.is_none(),
            _ => standing.pauses.is_none(),
        };
        ensure!(may, "{id} begins on {name} without quorum: {standing:?}");
        Ok(())
    }

    /// What is under way where there is no quorum ends once that has lasted.
    pub(super) fn check_pauses(&mut self, name: &Name, id: &AttemptId, step: &Step) -> Result<()> {
        let standing = &self.nodes.get(name).context("a node")?.standing;
        let Some(since) = standing.pauses else {
            return Ok(());
        };
        let Step::Ended(outcome, _) = step else {
            ensure!(
                self.now <= since + PAUSE_MS,
                "{id} goes on on {name} without quorum: {standing:?}"
            );
            return Ok(());
        };
        // Each split is counted once; one in which clocks were set may have been short.
        let is_long = self.is_split && self.now >= self.split_since + BEARS_MS;
        if is_long && outcome.exit == ExitStatus::Unfinished && !self.has_paused {
            self.has_paused = true;
            *self.hits.entry(QUORUM).or_default() += 1;
        }
        Ok(())
    }
}
