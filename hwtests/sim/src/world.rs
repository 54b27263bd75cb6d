//! A cluster in one process: coordinator, services, movers, drives and what
//! lies between them, under a clock of its own.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use longhaul_control::core::state::{Change, State};
use longhaul_control::core::{Command, Coordinator, Input, Output, Settings};
use longhaul_mover::service::{self, Seen, Service};
use longhaul_protocol::order::Order;
use longhaul_protocol::report::{DriveSeen, PART_BYTES_MAX, Part};
use longhaul_protocol::{AttemptId, Name, Report, Time};
use uuid::Uuid;

use crate::chance::Chance;
use crate::mover::{Journal, Mover, Step};
use crate::tape::Library;

/// How often a service says that it is there, in milliseconds.
const ALIVE_MS: u64 = 2_000;
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
    /// The cluster is sure that a node does nothing any more, and runs its
    /// applications elsewhere.
    Fenced(Name),
    Heal(Name),
    Repair(Name),
    Due(Command),
}

/// What comes again.
#[derive(Debug, Clone)]
pub(crate) enum Again {
    Order(Order),
    Report(Report),
}

/// The coordinator's process, and its disk.
#[derive(Debug, Default)]
pub(crate) struct Center {
    pub core: Option<Coordinator>,
    pub rows: State,
    pub changes: Vec<Change>,
    pub journals: BTreeMap<AttemptId, Vec<u8>>,
    /// The connection of each node.
    links: BTreeMap<Name, u64>,
}

/// A node: its service, the processes of attempts, and its disk.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub service: Option<Service>,
    pub movers: BTreeMap<AttemptId, Mover>,
    seen: Seen,
    attempts: BTreeMap<AttemptId, String>,
    /// Journals of its own attempts.
    pub files: BTreeMap<AttemptId, Journal>,
    /// Journals that its attempts go on with.
    carried: BTreeMap<AttemptId, Vec<u8>>,
    link: Option<u64>,
    pub is_cut: bool,
    pub is_frozen: bool,
    /// What came while it was frozen, and on which connection.
    inbox: Vec<(u64, Order)>,
    boots: u128,
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
    pub applications: BTreeMap<Name, Name>,
    /// What the coordinator's clock is ahead, in milliseconds.
    pub skew: i64,
    /// When the last message on a connection comes, each way.
    last: BTreeMap<(u64, bool), u64>,
    connections: u64,
    /// What a service has heard to be durable: members, by attempt.
    pub acknowledged: BTreeMap<AttemptId, u64>,
    /// Nothing goes wrong by itself any more.
    pub is_calm: bool,
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
            skew: 0,
            last: BTreeMap::new(),
            connections: 0,
            acknowledged: BTreeMap::new(),
            is_calm: false,
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
                self.center(Input::Tick)?;
            }
            Event::MoverStep(node, attempt) => self.mover(&node, &attempt)?,
            Event::CenterStarts => self.start_center()?,
            Event::NodeStarts(node) => self.start_node(&node)?,
            Event::Fenced(node) => self.fenced(&node)?,
            Event::Heal(node) => self.heal(&node)?,
            Event::Repair(drive) => {
                if let Some(drive) = self.library.drives.get_mut(&drive) {
                    drive.is_broken = false;
                }
                self.operator(Command::DriveIsWell(drive))?;
            }
            Event::Due(command) => self.operator(command)?,
        }
        Ok(())
    }

    /// An operator, or a clock, says it until somebody hears it.
    fn operator(&mut self, command: Command) -> Result<()> {
        if self.center.core.is_none() {
            self.later(500, Event::Due(command));
            return Ok(());
        }
        self.center(Input::Command(command))
    }

    // The coordinator.

    pub fn start_center(&mut self) -> Result<()> {
        if self.center.core.is_some() {
            return Ok(());
        }
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
        };
        let (core, outputs) = Coordinator::start(settings, self.center.rows.clone());
        self.center.core = Some(core);
        self.carry_out(outputs)?;
        for (application, node) in self.applications.clone() {
            self.center(Input::Application(application, Some(node)))?;
        }
        Ok(())
    }

    pub fn crash_center(&mut self) {
        self.center.core = None;
        self.center.links.clear();
        for (name, node) in &self.nodes {
            if let Some(link) = node.link {
                self.count += 1;
                let event = Event::Break(link, name.clone());
                self.queue.insert((self.now + 5, self.count), event);
            }
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
    fn carry_out(&mut self, outputs: Vec<Output>) -> Result<()> {
        if !self.is_calm && self.chance.per_mille(1) {
            self.crash_center();
            return Ok(());
        }
        for output in &outputs {
            match output {
                Output::Change(change) => {
                    self.center.rows.apply(change.clone());
                    self.center.changes.push(change.clone());
                }
                Output::Keep(attempt, part) => {
                    let file = self.center.journals.entry(attempt.clone()).or_default();
                    put(file, part);
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

    fn send_out(&mut self, output: Output) {
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
                    let what = longhaul_protocol::order::What::Journal { attempt, part };
                    self.tell_node(&to, Order { epoch, what });
                }
            }
            Output::Close(node) => {
                if let Some(link) = self.center.links.remove(&node) {
                    self.later(1, Event::Break(link, node));
                }
            }
            Output::Refuse(_)
            | Output::Answer(_)
            | Output::Notify(_)
            | Output::Change(_)
            | Output::Keep(..) => {}
        }
    }

    // The network.

    /// When what is sent now comes: behind what was sent before it.
    fn comes(&mut self, link: u64, up: bool) -> u64 {
        let mut delay = 1 + self.chance.below(20);
        if !self.is_calm && self.chance.per_mille(10) {
            delay += self.chance.below(5_000);
        }
        let last = self.last.entry((link, up)).or_default();
        *last = (*last).max(self.now + delay);
        *last - self.now
    }

    fn tell_node(&mut self, node: &Name, order: Order) {
        let Some(link) = self.center.links.get(node).copied() else {
            return;
        };
        let delay = self.comes(link, false);
        self.later(delay, Event::ToNode(link, node.clone(), order.clone()));
        self.perhaps_again(node, Again::Order(order));
    }

    fn tell_center(&mut self, node: &Name, report: Report) {
        let Some(link) = self.nodes.get(node).and_then(|node| node.link) else {
            return;
        };
        let delay = self.comes(link, true);
        self.later(delay, Event::ToCenter(link, node.clone(), report.clone()));
        // Who introduces himself has a connection of his own.
        if !matches!(report, Report::Hello(_)) {
            self.perhaps_again(node, Again::Report(report));
        }
        if !self.is_calm && self.chance.per_mille(3) {
            // What is on its way is lost with the connection.
            self.later(delay.min(3), Event::Break(link, node.clone()));
        }
    }

    fn perhaps_again(&mut self, node: &Name, what: Again) {
        if !self.is_calm && self.chance.per_mille(5) {
            let delay = self.chance.below(20_000);
            self.later(delay, Event::Again(node.clone(), Box::new(what)));
        }
    }

    fn connect(&mut self, name: &Name) -> Result<()> {
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

    // Nodes.

    pub fn start_node(&mut self, name: &Name) -> Result<()> {
        let now = self.time();
        let node = self.nodes.get_mut(name).context("a node")?;
        if node.service.is_some() {
            return Ok(());
        }
        node.boots += 1;
        node.is_frozen = false;
        let identity = service::Identity {
            cluster: CLUSTER,
            node: name.clone(),
            boot: Uuid::from_u128(node.boots),
        };
        let mut kept = BTreeMap::new();
        for (id, json) in &node.attempts {
            kept.insert(id.clone(), serde_json::from_str(json)?);
        }
        let (service, outputs) = Service::start(now, identity, node.seen.clone(), kept);
        node.service = Some(service);
        self.carry_out_on(name, outputs)?;
        let drives = self.library.drives.keys().map(|serial| DriveSeen {
            serial: serial.clone(),
            product: "LTO-9".into(),
            library: Some("CHANGER".parse().expect("a name")),
            trouble: None,
        });
        let devices = service::Input::Devices(drives.collect(), Vec::new());
        self.node(name, devices)
    }

    /// The service dies, and with it the processes of its attempts; with the
    /// whole node the connection does not even say so.
    pub fn crash_node(&mut self, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.service = None;
        node.movers.clear();
        node.inbox.clear();
        node.is_frozen = false;
        if let Some(link) = node.link.take() {
            self.later(5, Event::Break(link, name.clone()));
        }
    }

    pub fn node(&mut self, name: &Name, input: service::Input) -> Result<()> {
        let now = self.time();
        let node = self.nodes.get_mut(name).context("a node")?;
        if node.is_frozen {
            return Ok(());
        }
        let Some(service) = &mut node.service else {
            return Ok(());
        };
        let outputs = service.handle(now, input);
        self.carry_out_on(name, outputs)
    }

    fn order(&mut self, name: &Name, order: Order) -> Result<()> {
        use longhaul_protocol::order::What;
        let node = self.nodes.get_mut(name).context("a node")?;
        if node.is_frozen {
            // It will find it when it wakes up, if the connection still stands.
            node.inbox.extend(node.link.map(|link| (link, order)));
            return Ok(());
        }
        let old = node
            .service
            .as_ref()
            .is_some_and(|s| order.epoch < s.seen().epoch);
        if let What::Kept {
            attempt,
            journal_bytes,
        } = &order.what
            && let Some(journal) = node.files.get(attempt)
            && let Some(point) = journal
                .0
                .iter()
                .rfind(|p| p.journal_bytes <= *journal_bytes)
        {
            let acknowledged = self.acknowledged.entry(attempt.clone()).or_default();
            *acknowledged = (*acknowledged).max(point.members);
        }
        let now = self.time();
        let Some(service) = self
            .nodes
            .get_mut(name)
            .and_then(|node| node.service.as_mut())
        else {
            return Ok(());
        };
        let outputs = service.handle(now, service::Input::Order(order));
        let obeys = outputs.iter().any(|output| {
            !matches!(
                output,
                service::Output::HangUp | service::Output::Say(Report::Alive { .. })
            )
        });
        ensure!(
            !old || !obeys,
            "an order of an old epoch is obeyed: {outputs:?}"
        );
        self.carry_out_on(name, outputs)
    }

    fn carry_out_on(&mut self, name: &Name, outputs: Vec<service::Output>) -> Result<()> {
        for output in outputs {
            if !self.is_calm && self.chance.per_mille(1) {
                self.crash_node(name);
                let back = 100 + self.chance.below(5_000);
                self.later(back, Event::NodeStarts(name.clone()));
                return Ok(());
            }
            let node = self.nodes.get_mut(name).context("a node")?;
            match output {
                service::Output::Save(id, Some(attempt)) => {
                    node.attempts.insert(id, serde_json::to_string(&attempt)?);
                }
                service::Output::Save(id, None) => {
                    node.attempts.remove(&id);
                }
                service::Output::SaveSeen(seen) => node.seen = seen,
                service::Output::Say(report) => self.tell_center(name, report),
                service::Output::SayJournal(attempt, token, offset) => {
                    let file = node
                        .files
                        .get(&attempt)
                        .map(Journal::bytes)
                        .unwrap_or_default();
                    let from = usize::try_from(offset)?.min(file.len());
                    let to = file.len().min(from + 250).min(from + PART_BYTES_MAX);
                    let bytes = file[from..to].to_vec();
                    let part = Part { offset, bytes };
                    self.tell_center(
                        name,
                        Report::Journal {
                            attempt,
                            token,
                            part,
                        },
                    );
                }
                service::Output::Keep(id, part) => put(node.carried.entry(id).or_default(), &part),
                service::Output::Spawn(start) => {
                    let id = start.attempt.clone();
                    let carried = node.carried.get(&id).map_or(&[][..], Vec::as_slice);
                    let journal = Journal::of(carried);
                    let mover = Mover::new(name.clone(), *start, journal);
                    node.movers.insert(id.clone(), mover);
                    self.later(50, Event::MoverStep(name.clone(), id));
                }
                service::Output::Signal(id, how) => {
                    if let Some(mover) = node.movers.get_mut(&id) {
                        mover.stop(how);
                    }
                }
                service::Output::HangUp => {
                    if let Some(link) = node.link {
                        self.later(1, Event::Break(link, name.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    fn mover(&mut self, name: &Name, id: &AttemptId) -> Result<()> {
        let now = self.time();
        let node = self.nodes.get_mut(name).context("a node")?;
        if node.is_frozen {
            self.later(700, Event::MoverStep(name.clone(), id.clone()));
            return Ok(());
        }
        let Some(mover) = node.movers.get_mut(id) else {
            return Ok(());
        };
        let step = mover.step(now, &mut self.library);
        node.files.insert(id.clone(), mover.journal.clone());
        self.check_writers()?;
        match step {
            Step::On => {}
            Step::Reached(point) => self.node(name, service::Input::Reached(id.clone(), point))?,
            Step::Ended(outcome, point) => {
                if outcome.exit == 4 {
                    let runs: Vec<String> = self
                        .center
                        .rows
                        .runs
                        .keys()
                        .map(|run| self.story(run))
                        .collect();
                    anyhow::bail!("{id}: {outcome:?}; the story:\n{}", runs.join("\n"));
                }
                if let Some(node) = self.nodes.get_mut(name) {
                    node.movers.remove(id);
                }
                if let Some(point) = point {
                    self.node(name, service::Input::Reached(id.clone(), point))?;
                }
                return self.node(name, service::Input::Ended(id.clone(), outcome));
            }
        }
        let pause = 100 + self.chance.below(300);
        self.later(pause, Event::MoverStep(name.clone(), id.clone()));
        Ok(())
    }

    fn fenced(&mut self, name: &Name) -> Result<()> {
        let others: Vec<Name> = self.nodes.keys().filter(|n| *n != name).cloned().collect();
        let moved: Vec<Name> = self
            .applications
            .iter()
            .filter(|(_, node)| *node == name)
            .map(|(application, _)| application.clone())
            .collect();
        for application in moved {
            let to = others[self.chance.below(others.len() as u64) as usize].clone();
            self.applications.insert(application.clone(), to.clone());
            self.center(Input::Application(application, Some(to)))?;
        }
        if self.center.core.is_none() {
            // The cluster's history is read when the coordinator starts.
            self.later(500, Event::Fenced(name.clone()));
            return Ok(());
        }
        self.center(Input::Dead(name.clone()))
    }

    fn heal(&mut self, name: &Name) -> Result<()> {
        let mut inbox = Vec::new();
        if let Some(node) = self.nodes.get_mut(name) {
            node.is_cut = false;
            node.is_frozen = false;
            inbox = std::mem::take(&mut node.inbox);
        }
        for (link, order) in inbox {
            self.happen(Event::ToNode(link, name.clone(), order))?;
        }
        self.start_node(name)
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

impl Node {
    pub fn link_number(&self) -> Option<u64> {
        self.link
    }
}

fn put(file: &mut Vec<u8>, part: &Part) {
    let at = usize::try_from(part.offset).unwrap_or(usize::MAX);
    assert!(at <= file.len(), "a piece is missing before {part:?}");
    file.truncate(at);
    file.extend(&part.bytes);
}
