//! A cluster in one process: coordinator, services, movers, drives and what
//! lies between them, under a clock of its own.

mod applications;
mod center;
mod cluster;
mod network;
mod node;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use longhaul_control::core::{Asker, Input};
use longhaul_mover::service;
use longhaul_protocol::order::{Order, Stop};
use longhaul_protocol::report::Part;
use longhaul_protocol::{Ask, AttemptId, Command, Name, Report, Time};
use uuid::Uuid;

use crate::chance::Chance;
use crate::tape::Library;
use applications::Way;
use center::Center;
pub(crate) use node::Node;

/// How often a service says that it is there, in milliseconds.
const ALIVE_MS: u64 = 2_000;
/// How much slower attempts are that are to be under way for minutes.
const LONG_PACE: u64 = 40;
const CLUSTER: Uuid = Uuid::from_u128(0xc1);

/// What happens, and when.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    ToCenter(u64, Name, Report),
    ToNode(u64, Name, Order),
    /// Something comes again, or late, on whatever connection there is now.
    Again(Name, Box<Again>),
    /// The connection of this number breaks.
    Break(u64, Name),
    NodeTick(Name),
    CenterTick,
    MoverStep(Name, AttemptId),
    CenterStarts,
    NodeStarts(Name),
    /// The cluster is sure that a node does nothing any more, or has no fencing to be
    /// sure by, and runs its applications elsewhere.
    Fenced(Name),
    /// An operator has seen that a node which could not be fenced is off.
    Confirmed(Name),
    /// A part of the cluster has quorum again.
    Quorum,
    Heal(Name),
    Repair(Name),
    /// A node reaches a drive again.
    PathBack(Name, Name),
    Due(Command),
    /// A node's cluster service tells its service something.
    Alert(Name, Box<longhaul_protocol::Event>),
    /// The coordinator wants to know how the cluster stands.
    Look,
    /// What a service has asked for: where an attempt's places lead.
    Leads(Name, AttemptId, Vec<PathBuf>),
    /// A process is told to end.
    Signal(Name, AttemptId, Stop),
    /// The time is over in which a service has to let go of an application.
    Late(Name, u64),
    /// It has.
    Left(Name, u64),
    /// An application has moved.
    Started(Name),
}

/// What comes again.
#[derive(Debug, Clone)]
pub(crate) enum Again {
    Order(Order),
    Report(Report),
}

/// All of it.
pub(crate) struct World {
    pub chance: Chance,
    pub now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    count: u64,
    pub center: Center,
    pub nodes: BTreeMap<Name, Node>,
    pub library: Library,
    /// Where the cluster runs applications.
    pub applications: BTreeMap<Name, Name>,
    /// Those of them that move.
    pub(super) moving: BTreeMap<Name, Way>,
    pub(super) tickets: u64,
    /// Nodes that were fenced, or are said to have been, and are not members again.
    pub(super) down: BTreeSet<Name>,
    /// Nodes that are not there, and of which nobody is sure, with what was under way on
    /// them: that is not given to anybody.
    pub lost: BTreeMap<Name, Vec<AttemptId>>,
    /// The cluster fences nodes that are lost.
    pub has_fencing: bool,
    /// No part of the cluster has quorum.
    pub is_split: bool,
    /// Since when.
    pub(super) split_since: u64,
    /// Something has paused since.
    pub(super) has_paused: bool,
    /// How much slower than otherwise attempts are.
    pub(super) pace: u64,
    /// The coordinator has been told that no part has quorum.
    pub(super) is_told_split: bool,
    /// How often which trouble came in the middle of something.
    pub hits: BTreeMap<&'static str, u64>,
    /// When nodes were fenced last, by the cluster's clock.
    pub(super) fenced: BTreeMap<Name, Time>,
    /// What the coordinator's clock is ahead, in milliseconds.
    pub skew: i64,
    /// When the last message on a connection comes, each way.
    last: BTreeMap<(u64, bool), u64>,
    connections: u64,
    /// What a service has heard to be durable: members, by attempt.
    pub acknowledged: BTreeMap<AttemptId, u64>,
    /// Nothing goes wrong by itself any more.
    pub is_calm: bool,
    /// The coordinator is not started before its time.
    pub is_away: bool,
    pub events: u64,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            chance: Chance::new(seed),
            now: 0,
            queue: BTreeMap::new(),
            count: 0,
            center: Center::default(),
            nodes: BTreeMap::new(),
            library: Library::default(),
            applications: BTreeMap::new(),
            moving: BTreeMap::new(),
            tickets: 0,
            down: BTreeSet::new(),
            lost: BTreeMap::new(),
            has_fencing: true,
            is_split: false,
            split_since: 0,
            has_paused: false,
            pace: 1,
            is_told_split: false,
            hits: BTreeMap::new(),
            fenced: BTreeMap::new(),
            skew: 0,
            last: BTreeMap::new(),
            connections: 0,
            acknowledged: BTreeMap::new(),
            is_calm: false,
            is_away: false,
            events: 0,
        }
    }

    pub fn later(&mut self, ms: u64, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + ms, self.count), event);
    }

    /// The time of day that the coordinator has, and nodes have.
    fn time(&self) -> Time {
        Time(self.now.cast_signed() + self.skew + 1_000_000_000_000)
    }

    /// All clocks are set.
    pub fn set_clocks(&mut self, ahead: i64) {
        self.skew += ahead;
        for node in self.nodes.values_mut() {
            node.standing.forget_pause();
        }
        for node in self.nodes.keys().cloned().collect::<Vec<_>>() {
            self.excuse(&node);
        }
    }

    /// No part of the cluster has quorum for so long. If services cannot bear that,
    /// attempts are long ones: others were over before.
    pub fn split(&mut self, ms: u64, is_long: bool) {
        (self.is_split, self.has_paused) = (true, false);
        self.split_since = self.now;
        if is_long {
            self.pace = LONG_PACE;
        }
        self.later(ms, Event::Quorum);
    }

    /// The next event; false if there is none before `end`.
    pub fn step(&mut self, end: u64) -> Result<bool> {
        let Some(entry) = self.queue.first_entry() else {
            return Ok(false);
        };
        if entry.key().0 > end {
            return Ok(false);
        }
        let ((at, _), event) = entry.remove_entry();
        self.now = at;
        self.events += 1;
        let said = format!("{event:?}");
        self.happen(event)
            .with_context(|| format!("at {at} ms: {said:.300}"))?;
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Result<()> {
        match event {
            Event::ToCenter(link, node, report) => {
                if self.center.links.get(&node) == Some(&link) {
                    let input = match report {
                        Report::Hello(hello) => Input::Hello(hello),
                        report => Input::Report(node, report),
                    };
                    self.center(input)?;
                }
            }
            Event::ToNode(link, node, order) => {
                if self
                    .nodes
                    .get(&node)
                    .is_some_and(|node| node.link == Some(link))
                {
                    self.order(&node, order)?;
                }
            }
            Event::Again(node, again) => match *again {
                Again::Order(order) => {
                    if self
                        .nodes
                        .get(&node)
                        .is_some_and(|node| node.link.is_some())
                    {
                        self.order(&node, order)?;
                    }
                }
                Again::Report(report) => self.center(Input::Report(node, report))?,
            },
            Event::Break(link, node) => self.break_link(link, &node)?,
            Event::NodeTick(name) => {
                self.later(500, Event::NodeTick(name.clone()));
                self.tell_cluster(&name)?;
                self.node(&name, service::Input::Tick)?;
                let lonely = self
                    .nodes
                    .get(&name)
                    .is_some_and(|node| node.link.is_none());
                if lonely {
                    self.connect(&name)?;
                }
            }
            Event::CenterTick => {
                self.later(1000, Event::CenterTick);
                // It may take its time to answer.
                if self.is_calm || self.chance.per_mille(700) {
                    self.look_at_cluster()?;
                }
                self.center(Input::Tick)?;
            }
            Event::MoverStep(node, attempt) => self.mover(&node, &attempt)?,
            Event::CenterStarts => {
                self.is_away = false;
                self.start_center()?;
            }
            Event::NodeStarts(node) => self.start_node(&node)?,
            Event::Fenced(node) => self.fenced(&node),
            Event::Confirmed(node) => self.confirmed(&node)?,
            Event::Quorum => (self.is_split, self.pace) = (false, 1),
            Event::Heal(node) => self.heal(&node)?,
            Event::Repair(drive) => {
                if let Some(drive) = self.library.drives.get_mut(&drive) {
                    drive.is_broken = false;
                }
                self.operator(Command::DriveIsWell { drive })?;
            }
            Event::PathBack(node, drive) => {
                if let Some(drive) = self.library.drives.get_mut(&drive) {
                    drive.unreached.remove(&node);
                    let held = drive.holder.as_ref().map(|(_, token)| *token);
                    drive.passed_over.extend(held);
                }
                self.look(&node)?;
            }
            Event::Due(command) => self.operator(command)?,
            Event::Leads(node, id, places) => {
                if self.nodes.get(&node).is_some_and(|node| node.is_frozen) {
                    self.later(500, Event::Leads(node, id, places));
                } else {
                    self.node(&node, service::Input::Leads(id, places))?;
                }
            }
            Event::Alert(node, event) => self.node(&node, service::Input::Alert(*event))?,
            Event::Look => self.look_at_cluster()?,
            Event::Signal(node, id, how) => self.signalled(&node, &id, how)?,
            Event::Late(application, ticket) => self.late(&application, ticket)?,
            Event::Left(application, ticket) => self.left(application, ticket),
            Event::Started(application) => self.started(application)?,
        }
        Ok(())
    }

    /// An operator, or a clock, says it until somebody hears it.
    pub fn operator(&mut self, command: Command) -> Result<()> {
        if self.center.core.is_none() {
            self.later(500, Event::Due(command));
            return Ok(());
        }
        self.center(Input::Ask(Asker(1), Ask::Command(command)))
    }
}

fn put(file: &mut Vec<u8>, part: &Part) {
    let at = usize::try_from(part.offset).unwrap_or(usize::MAX);
    assert!(at <= file.len(), "a piece is missing before {part:?}");
    file.truncate(at);
    file.extend(&part.bytes);
}
