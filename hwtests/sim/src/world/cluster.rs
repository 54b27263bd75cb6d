//! The cluster: who is a member, who was fenced, and where applications run.

use anyhow::Result;
use longhaul_cluster::{FenceStatus, Fencing, Node, Resource, Role, Snapshot};
use longhaul_control::core::Input;
use longhaul_protocol::{AttemptId, Command, Name};

use super::World;

impl World {
    /// What the cluster service of the coordinator's node says, whose part of the
    /// cluster has quorum unless none has.
    pub(super) fn look_at_cluster(&mut self) -> Result<()> {
        let nodes = self.nodes.iter().map(|(name, node)| {
            let is_down = self.down.contains(name);
            // Who cannot be heard may still be writing.
            let is_lost = self.lost.contains_key(name);
            let unclean = !is_down && (is_lost || node.is_cut || node.is_frozen);
            Node {
                name: name.to_string(),
                online: !is_down && !unclean,
                unclean,
                ..Node::default()
            }
        });
        let resources = self.applications.iter().map(|(name, node)| Resource {
            id: name.to_string(),
            role: Role::Started,
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
            stonith_enabled: true,
            nodes: nodes.collect(),
            resources: resources.collect(),
            fencing: fencing.collect(),
            ..Snapshot::default()
        };
        self.is_told_split = self.is_split;
        self.center(Input::Cluster(Some(Box::new(snapshot))))
    }

    /// The cluster has fenced a node, as it believes, and runs what ran there on
    /// others.
    pub(super) fn fenced(&mut self, name: &Name) {
        self.lost.remove(name);
        self.down.insert(name.clone());
        self.fenced.insert(name.clone(), self.time());
        let here = self.applications.iter().filter(|(_, node)| *node == name);
        let here: Vec<Name> = here.map(|(application, _)| application.clone()).collect();
        for application in here {
            self.moved(application);
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
        self.crash_node(name);
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

    /// An application runs on another node that is there, if there is one.
    pub fn moved(&mut self, application: Name) {
        let Some(from) = self.applications.get(&application) else {
            return;
        };
        let others = self.nodes.iter().filter(|(name, node)| {
            let is_gone = self.down.contains(*name) || self.lost.contains_key(*name);
            let is_there = !is_gone && !node.is_cut && !node.is_frozen;
            is_there && *name != from
        });
        let others: Vec<Name> = others.map(|(name, _)| name.clone()).collect();
        if others.is_empty() {
            return;
        }
        let to = self.chance.below(others.len() as u64) as usize;
        self.applications.insert(application, others[to].clone());
    }
}
