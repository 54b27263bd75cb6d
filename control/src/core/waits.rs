//! Runs that wait for somebody, of which people are told.

use std::collections::BTreeMap;

use longhaul_protocol::{Name, RunId, Time};

use super::dispatch::Why;
use super::state::RunState;
use super::{Coordinator, Notice, Output};

/// What lasts so long does not pass by itself, in milliseconds.
const WAITS_MS: u64 = 60_000;

/// A run that waits.
#[derive(Debug)]
pub(super) struct Waits {
    since: Time,
    /// For word of a node where its attempt is under way.
    is_active: bool,
    is_told: bool,
}

impl Coordinator {
    /// Tells people, once, of each run that has waited for a while for a volume,
    /// or for word that a node is dead.
    pub(super) fn tell_of_waiting(&mut self, now: Time) {
        let mut before = std::mem::take(&mut self.waits);
        let mut waits = BTreeMap::new();
        for (id, is_active, why) in self.waiting(now) {
            let new = Waits {
                since: now,
                is_active,
                is_told: false,
            };
            let old = before.remove(&id);
            let mut one = old.filter(|old| old.is_active == is_active).unwrap_or(new);
            if !one.is_told && now.since(one.since) >= WAITS_MS {
                one.is_told = true;
                let notice = Notice::Waits(id.clone(), why);
                self.outputs.push(Output::Notify(notice));
            }
            waits.insert(id, one);
        }
        self.waits = waits;
    }

    /// The runs that wait for somebody, whether they are under way, and why.
    fn waiting(&self, now: Time) -> Vec<(RunId, bool, String)> {
        let open = self.state.open_runs(None);
        let waits = open.filter_map(|(id, run)| {
            let why = match run.state {
                RunState::Waiting => match self.why_waits(now, id)? {
                    Why::NoVolume(_) | Why::NotTheVolume(_) | Why::Inside(..) => {
                        self.why_words(now, id, run)
                    }
                    _ => return None,
                },
                RunState::Active => {
                    let (_, attempt) = self.state.newest(id)?;
                    self.unheard(&attempt.node)?
                }
                _ => return None,
            };
            Some((id.clone(), run.state == RunState::Active, why))
        });
        waits.collect()
    }

    /// Why what is under way on a node is not gone on with elsewhere, if nobody
    /// hears of it.
    pub(super) fn unheard(&self, node: &Name) -> Option<String> {
        let is_there = self.links.contains_key(node);
        (!is_there).then(|| {
            format!(
                "the service of node {node} is not connected, and nobody has confirmed that the \
                 node is dead: neither the cluster, nor `lh-control failover confirm-fenced {node}`"
            )
        })
    }
}
