//! What the node's own cluster service says: whether it has quorum, what runs here,
//! what happens.

use std::collections::{BTreeSet, VecDeque};

use longhaul_protocol::order::Stop;
use longhaul_protocol::{Event, Name, Report, Time};

use super::Service;

/// So long the node may be without quorum before its attempts pause, in
/// milliseconds: a cluster finds itself again in less when a node has died.
pub(super) const PATIENCE_MS: u64 = 60_000;
/// Alerts that are kept: the newest ones.
const ALERTS_MAX: usize = 100;
/// How long an alert is said to each coordinator that comes, in milliseconds. The one
/// that it was said to may have been on the node that is lost.
const ALERT_MS: u64 = 300_000;

/// How the node stands in its cluster.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Cluster resources that run here.
    hosts: BTreeSet<Name>,
    /// Since when it is without quorum.
    without_since: Option<Time>,
    /// What has happened, and when that was heard, the oldest first.
    alerts: VecDeque<(Time, Event)>,
}

impl Standing {
    /// Whether this part of the cluster has quorum, and runs the application here if
    /// there is one.
    pub(super) fn may_run(&self, application: Option<&Name>) -> bool {
        self.without_since.is_none() && application.is_none_or(|name| self.hosts.contains(name))
    }

    /// Whether the node has been without quorum for too long.
    pub(super) fn is_cut_off(&self, now: Time) -> bool {
        let since = self.without_since;
        since.is_some_and(|since| now.since(since) >= PATIENCE_MS)
    }
}

impl Service {
    pub(super) fn stands(&mut self, now: Time, has_quorum: bool, hosts: BTreeSet<Name>) {
        self.standing.hosts = hosts;
        match has_quorum {
            true => self.standing.without_since = None,
            false => drop(self.standing.without_since.get_or_insert(now)),
        }
    }

    /// Has all that is under way reach a checkpoint and end, once the node has been
    /// without quorum for too long.
    pub(super) fn pause_if_cut_off(&mut self, now: Time) {
        if !self.standing.is_cut_off(now) {
            return;
        }
        for id in self.under_way() {
            self.leave_off(now, &id, Stop::Checkpoint, NO_QUORUM);
        }
    }

    /// Passes on what has happened, now and when there is a new connection.
    pub(super) fn alert(&mut self, now: Time, event: Event) {
        let alerts = &mut self.standing.alerts;
        if alerts.len() >= ALERTS_MAX {
            alerts.pop_front();
        }
        alerts.push_back((now, event.clone()));
        self.say(Report::Happened { event });
    }

    /// Says all that has happened of late.
    pub(super) fn say_alerts(&mut self, now: Time) {
        let alerts = &mut self.standing.alerts;
        alerts.retain(|(heard, _)| now.since(*heard) <= ALERT_MS);
        for (_, event) in alerts.clone() {
            self.say(Report::Happened { event });
        }
    }
}

/// Why nothing is done.
pub(super) const NO_QUORUM: &str = "the node has no quorum";
