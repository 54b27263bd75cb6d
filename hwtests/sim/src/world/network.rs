//! What lies between the coordinator and the nodes.

use anyhow::{Context, Result};
use longhaul_control::core::Input;
use longhaul_mover::service;
use longhaul_protocol::order::Order;
use longhaul_protocol::{Name, Report};

use super::{Again, Event, World};

impl World {
    /// When what is sent now comes: behind what was sent before it.
    pub(super) fn comes(&mut self, link: u64, up: bool) -> u64 {
        let mut delay = 1 + self.chance.below(20);
        if !self.is_calm && self.chance.per_mille(10) {
            delay += self.chance.below(5_000);
        }
        let last = self.last.entry((link, up)).or_default();
        *last = (*last).max(self.now + delay);
        *last - self.now
    }

    pub(super) fn tell_node(&mut self, node: &Name, order: Order) {
        let Some(link) = self.center.links.get(node).copied() else {
            return;
        };
        let delay = self.comes(link, false);
        self.later(delay, Event::ToNode(link, node.clone(), order.clone()));
        self.perhaps_again(node, Again::Order(order));
    }

    pub(super) fn tell_center(&mut self, node: &Name, report: Report) {
        let Some(link) = self.nodes.get(node).and_then(|node| node.link) else {
            return;
        };
        let delay = self.comes(link, true);
        self.later(delay, Event::ToCenter(link, node.clone(), report.clone()));
        // Who introduces himself, and says what he has and reaches, does it on each
        // connection for itself: nothing comes from an older one.
        let is_of_connection = matches!(
            report,
            Report::Hello(_) | Report::Attempts { .. } | Report::Devices { .. }
        );
        if !is_of_connection {
            self.perhaps_again(node, Again::Report(report));
        }
        if !self.is_calm && self.chance.per_mille(3) {
            // What is on its way is lost with the connection.
            self.later(delay.min(3), Event::Break(link, node.clone()));
        }
    }

    pub(super) fn perhaps_again(&mut self, node: &Name, what: Again) {
        if !self.is_calm && self.chance.per_mille(5) {
            let delay = self.chance.below(20_000);
            self.later(delay, Event::Again(node.clone(), Box::new(what)));
        }
    }

    pub(super) fn connect(&mut self, name: &Name) -> Result<()> {
        let Some(node) = self.nodes.get_mut(name) else {
            return Ok(());
        };
        let can = node.service.is_some() && !node.is_cut && !node.is_frozen;
        if !can || node.link.is_some() || self.center.core.is_none() {
            return Ok(());
        }
        self.connections += 1;
        node.link = Some(self.connections);
        self.center.links.insert(name.clone(), self.connections);
        self.node(name, service::Input::Connected)
    }

    pub fn break_link(&mut self, link: u64, name: &Name) -> Result<()> {
        if self.center.links.get(name) == Some(&link) {
            self.center.links.remove(name);
            self.center(Input::Gone(name.clone()))?;
        }
        let node = self.nodes.get_mut(name).context("a node")?;
        if node.link == Some(link) {
            node.link = None;
            self.node(name, service::Input::Disconnected)?;
        }
        Ok(())
    }

    /// All connections, with the nodes that have them.
    pub fn links(&self) -> Vec<(u64, Name)> {
        let linked = self
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((node.link?, name.clone())));
        linked.collect()
    }
}
