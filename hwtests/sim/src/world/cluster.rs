//! The cluster: who is a member, who was fenced, and where applications run.

use anyhow::{Result, ensure};
use longhaul_cluster::{FenceStatus, Fencing, Node, Resource, Role, Snapshot};
use longhaul_control::core::Input;
use longhaul_protocol::event::{self, Membership, What};
use longhaul_protocol::{AttemptId, Command, Name};

use super::{Event, World};
use crate::chance::Chance;

impl World {
    /// What the cluster service of the coordinator's node says, whose part of the
    /// cluster has quorum unless none has.
    pub(super) fn look_at_cluster(&mut self) -> Result<()> {
        let nodes = self.nodes.keys().map(|name| Node {
            name: name.to_string(),
            online: self.is_up(name),
            // Who cannot be heard may still be writing. Without fencing nobody asks.
            unclean: self.has_fencing && !self.is_up(name) && !self.down.contains(name),
            ..Node::default()
        });
        let resources = self.applications.iter().map(|(name, node)| Resource {
            id: name.to_string(),
            role: match self.moving.contains_key(name) {
                true => Role::Changing,
                false => Role::Started,
            },
            wanted: true,
            active: true,
            nodes: vec![node.to_string()],
            ..Resource::default()
        });
        let fencing = self.fenced.iter().map(|(name, at)| Fencing {
            target: name.to_string(),
            action: "reboot".into(),
            status: FenceStatus::Success,
            delegate: None,
            client: "pacemaker-controld".into(),
            origin: "another".into(),
            completed: Some(*at),
            why: None,
        });
        let snapshot = Snapshot {
            has_quorum: !self.is_split,
            stonith_enabled: self.has_fencing,
            nodes: nodes.collect(),
            resources: resources.collect(),
            fencing: fencing.collect(),
            ..Snapshot::default()
        };
        self.is_told_split = self.is_split;
        self.center(Input::Cluster(Some(Box::new(snapshot))))?;
        self.check_former()
    }

    /// Where the coordinator ran before is known to have failed, until it is back.
    fn check_former(&mut self) -> Result<()> {
        // One that has died over this may have written nothing down.
        if self.center.core.is_none() || self.is_split {
            return Ok(());
        }
        let Some(before) = self.center.before.clone() else {
            return Ok(());
        };
        if self.is_up(&before) {
            self.center.before = None;
            return Ok(());
        }
        let known = self.open_failure(&before);
        ensure!(
            known.is_some_and(|row| row.was_coordinator),
            "the coordinator's node {before} is gone, and what is known of that is {known:?}"
        );
        Ok(())
    }

    /// Whether a node is a member of which nobody doubts anything.
    pub fn is_up(&self, name: &Name) -> bool {
        let is_gone = self.down.contains(name) || self.lost.contains_key(name);
        let node = self.nodes.get(name).filter(|_| !is_gone);
        node.is_some_and(|node| !node.is_off && !node.is_cut && !node.is_frozen)
    }

    /// The cluster has fenced a node, as it believes, or has waited for it, and runs what
    /// ran there on others.
    pub(super) fn fenced(&mut self, name: &Name) {
        self.lost.remove(name);
        self.down.insert(name.clone());
        if self.has_fencing {
            self.fenced.insert(name.clone(), self.time());
        }
        self.loses_center(name);
        self.tell_of(name, |_| What::Node {
            state: Membership::Lost,
        });
        let here = self.applications.iter().filter(|(_, node)| *node == name);
        let here: Vec<Name> = here.map(|(application, _)| application.clone()).collect();
        for application in here {
            self.moved(application);
        }
    }

    /// The nodes that are there tell their services something of another, each in its time.
    fn tell_of(&mut self, name: &Name, mut what: impl FnMut(&mut Chance) -> What) {
        let others = self.nodes.keys().filter(|other| *other != name);
        let others: Vec<Name> = others.filter(|other| self.is_up(other)).cloned().collect();
        for other in others {
            let event = event::Event {
                at: self.time(),
                sequence: self.events,
                node: name.to_string(),
                what: what(&mut self.chance),
            };
            let after = self.chance.below(3_000);
            self.later(after, Event::Alert(other, Box::new(event)));
        }
    }

    /// A node is without power, and what was to fence it does not work.
    pub fn lose(&mut self, name: &Name) {
        let here = self.nodes.get(name).map(|node| node.movers.keys());
        let rows = &self.center.rows.attempts;
        let is_open = |id: &&AttemptId| rows.get(*id).is_some_and(|row| row.ended.is_none());
        let held = here.into_iter().flatten().filter(is_open).cloned();
        let held = held.collect();
        // One that was fenced, and has not come back, is known to be down.
        if !self.down.contains(name) {
            self.lost.insert(name.clone(), held);
        }
        self.power_off(name);
        // They do not agree on whether it was fenced: that decides nothing.
        self.tell_of(name, |chance| What::Fencing {
            action: Some("reboot".into()),
            code: i32::from(chance.per_mille(500)),
            words: "reboot".into(),
        });
    }

    /// An operator has seen that a lost node is off, and says so: to the coordinator,
    /// and to the cluster.
    pub(super) fn confirmed(&mut self, name: &Name) -> Result<()> {
        if !self.lost.contains_key(name) {
            return Ok(());
        }
        self.fenced(name);
        self.operator(Command::ConfirmFenced { node: name.clone() })
    }
}
