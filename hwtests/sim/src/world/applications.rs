//! Applications, and how they move: what tools/ocf/backup has services do on the way.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use longhaul_mover::service;
use longhaul_protocol::order::Stop;
use longhaul_protocol::{AttemptId, Name};

use super::{Event, World};
use crate::mover::Mover;
use crate::troubles::MOVED;

/// So long a service may take to let go of a file system, in milliseconds.
const RELEASE_MS: u64 = 20_000;

/// How far an application is that moves: it runs nowhere.
#[derive(Debug)]
pub(crate) enum Way {
    /// It leaves its node, whose service is to let go of its file system.
    Out(Leave),
    /// It is about to start.
    In,
}

/// What a service was asked.
#[derive(Debug)]
pub(crate) struct Leave {
    ticket: u64,
    /// It has answered, or is gone.
    is_over: bool,
    /// It was frozen meanwhile, or its clock was set back.
    is_excused: bool,
}

/// Where an application's file system is mounted.
fn mount(application: &Name) -> PathBuf {
    Path::new("/srv").join(application.as_str())
}

/// Where a path leads: below /data there are links to what is below /srv.
fn leads(path: &Path) -> PathBuf {
    match path.strip_prefix("/data") {
        Ok(rest) => Path::new("/srv").join(rest),
        Err(_) => path.to_owned(),
    }
}

/// Whether a process has files below a mount open.
fn is_below(mover: &Mover, mount: &Path) -> bool {
    let mut paths = mover.start().work.paths.iter();
    paths.any(|path| leads(Path::new(path)).starts_with(mount))
}

impl World {
    /// The cluster is to move an application: the service of its node is asked first.
    pub fn leaves(&mut self, application: &Name) -> Result<()> {
        let Some(node) = self.applications.get(application).cloned() else {
            return Ok(());
        };
        if self.is_split || self.moving.contains_key(application) || !self.is_up(&node) {
            return Ok(());
        }
        if self.holder(&node, application).is_some() {
            *self.hits.entry(MOVED).or_default() += 1;
        }
        self.tickets += 1;
        let leave = Leave {
            ticket: self.tickets,
            is_over: false,
            is_excused: false,
        };
        let ticket = leave.ticket;
        self.moving.insert(application.clone(), Way::Out(leave));
        self.later(RELEASE_MS, Event::Late(application.clone(), ticket));
        let service = self.nodes.get(&node).and_then(|node| node.service.as_ref());
        if service.is_none() {
            self.let_go(application.clone(), ticket);
            return Ok(());
        }
        self.node(&node, service::Input::Release(mount(application), ticket))
    }

    /// Whether an application runs whole, and not on this node.
    pub(super) fn runs_elsewhere(&self, application: &Name, node: &Name) -> bool {
        let at = self.applications.get(application);
        let is_there = at.is_some_and(|at| at != node && self.is_up(at));
        is_there && !self.moving.contains_key(application)
    }

    /// Whatever has files of an application open on a node.
    fn holder(&self, node: &Name, application: &Name) -> Option<&AttemptId> {
        let mut movers = self.nodes.get(node)?.movers.iter();
        let found = movers.find(|(_, mover)| is_below(mover, &mount(application)));
        found.map(|(id, _)| id)
    }

    fn leave(&mut self, application: &Name, ticket: u64) -> Option<&mut Leave> {
        match self.moving.get_mut(application) {
            Some(Way::Out(leave)) => Some(leave).filter(|leave| leave.ticket == ticket),
            _ => None,
        }
    }

    /// Those that are leaving a node.
    fn leaving(&self, node: &Name) -> Vec<(Name, u64)> {
        let moving = self.moving.iter().filter_map(|(name, way)| match way {
            Way::Out(leave) => Some((name.clone(), leave.ticket)),
            Way::In => None,
        });
        let here = moving.filter(|(name, _)| self.applications.get(name) == Some(node));
        here.collect()
    }

    /// The service of a node says that nothing is open any more.
    pub(super) fn released(&mut self, node: &Name, ticket: u64) -> Result<()> {
        let leaving = self.leaving(node).into_iter();
        for (application, _) in leaving.filter(|(_, of)| *of == ticket) {
            let holder = self.holder(node, &application);
            ensure!(
                holder.is_none(),
                "{node} has let go of {application}, and {holder:?} has files open there"
            );
            self.let_go(application, ticket);
        }
        Ok(())
    }

    fn let_go(&mut self, application: Name, ticket: u64) {
        if let Some(leave) = self.leave(&application, ticket) {
            leave.is_over = true;
            self.later(1, Event::Left(application, ticket));
        }
    }

    /// A service is gone: it and its attempts have nothing open.
    pub(super) fn lets_all_go(&mut self, node: &Name) {
        for (application, ticket) in self.leaving(node) {
            self.let_go(application, ticket);
        }
    }

    /// A service may take longer than it should.
    pub(super) fn excuse(&mut self, node: &Name) {
        for (application, ticket) in self.leaving(node) {
            if let Some(leave) = self.leave(&application, ticket) {
                leave.is_excused = true;
            }
        }
    }

    /// The time is over that a service has.
    pub(super) fn late(&mut self, application: &Name, ticket: u64) -> Result<()> {
        let leave = self.leave(application, ticket);
        let is_late = leave.is_some_and(|leave| !leave.is_over && !leave.is_excused);
        ensure!(
            !is_late,
            "{application} cannot leave its node:\n{}",
            self.told()
        );
        Ok(())
    }

    /// An application has left its node, unless the cluster has found that node dead
    /// before.
    pub(super) fn left(&mut self, application: Name, ticket: u64) {
        let node = self.applications.get(&application).cloned();
        if self.leave(&application, ticket).is_none() {
            return;
        }
        if node.is_some_and(|node| self.is_up(&node)) {
            self.moved(application);
        } else {
            self.later(500, Event::Left(application, ticket));
        }
    }

    /// An application starts on another node that is there, if there is one.
    pub(super) fn moved(&mut self, application: Name) {
        let pause = 100 + self.chance.below(1_000);
        self.later(pause, Event::Started(application.clone()));
        self.moving.insert(application.clone(), Way::In);
        let from = self.applications.get(&application);
        let others = self.nodes.keys().filter(|name| Some(*name) != from);
        let others: Vec<Name> = others.filter(|name| self.is_up(name)).cloned().collect();
        if others.is_empty() {
            return;
        }
        let to = self.chance.below(others.len() as u64) as usize;
        self.applications.insert(application, others[to].clone());
    }

    /// It runs, and its file system may be backed up there.
    pub(super) fn started(&mut self, application: Name) -> Result<()> {
        if !matches!(self.moving.get(&application), Some(Way::In)) {
            return Ok(());
        }
        let node = self.applications.get(&application).cloned();
        let node = node.context("an application")?;
        if !self.is_up(&node) {
            self.later(500, Event::Started(application));
            return Ok(());
        }
        self.moving.remove(&application);
        self.node(&node, service::Input::Admit(mount(&application)))
    }

    /// It is found out where an attempt's places lead.
    pub(super) fn resolve(&mut self, node: Name, id: AttemptId, places: &[PathBuf]) {
        let places = places.iter().map(|place| leads(place)).collect();
        let after = 1 + self.chance.below(50);
        self.later(after, Event::Leads(node, id, places));
    }

    /// A process is told to end. One from which a file system is taken may be in the
    /// middle of something that takes long, and hear it late.
    pub(super) fn signal(&mut self, node: &Name, id: AttemptId, how: Stop) {
        let may_be_deaf = how == Stop::Checkpoint && !self.is_split;
        let is_deaf = may_be_deaf && !self.leaving(node).is_empty() && self.chance.per_mille(200);
        let after = match is_deaf {
            true => 5_000 + self.chance.below(40_000),
            false => self.chance.below(300),
        };
        let until = self.now + after;
        let mover = self
            .nodes
            .get_mut(node)
            .and_then(|of| of.movers.get_mut(&id));
        if let Some(mover) = mover.filter(|_| is_deaf) {
            mover.is_busy_until(until);
        }
        self.later(after, Event::Signal(node.clone(), id, how));
    }

    pub(super) fn signalled(&mut self, name: &Name, id: &AttemptId, how: Stop) -> Result<()> {
        let node = self.nodes.get_mut(name).context("a node")?;
        if let Some(mover) = node.movers.get_mut(id) {
            mover.stop(how);
        }
        // However slow it is.
        self.mover(name, id)
    }
}
