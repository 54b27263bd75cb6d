//! Nodes: services, and the processes of attempts.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use longhaul_mover::service::{self, File, Seen, Service};
use longhaul_protocol::order::{Order, What};
use longhaul_protocol::report::{DriveSeen, PART_BYTES_MAX, Part};
use longhaul_protocol::{AttemptId, ExitStatus, Name, Report};
use uuid::Uuid;

use super::standing::Standing;
use super::{CLUSTER, Event, World, put};
use crate::mover::{Journal, Mover, SET_FILE, Step};

/// A node: its service, the processes of attempts, and its disk.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub service: Option<Service>,
    pub movers: BTreeMap<AttemptId, Mover>,
    pub(super) seen: Seen,
    pub(super) attempts: BTreeMap<AttemptId, String>,
    /// Journals of its own attempts.
    pub files: BTreeMap<AttemptId, Journal>,
    /// Journals that its attempts go on with.
    pub(super) carried: BTreeMap<AttemptId, Vec<u8>>,
    /// The connection to the coordinator.
    pub link: Option<u64>,
    pub is_cut: bool,
    pub is_frozen: bool,
    /// It has no power.
    pub is_off: bool,
    /// What came while it was frozen, and on which connection.
    pub(super) inbox: Vec<(u64, Order)>,
    pub(super) boots: u128,
    pub(super) standing: Standing,
}

impl World {
    pub fn start_node(&mut self, name: &Name) -> Result<()> {
        let now = self.time();
        self.down.remove(name);
        self.lost.remove(name);
        let node = self.nodes.get_mut(name).context("a node")?;
        node.is_off = false;
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
        self.look(name)
    }

    /// A service looks for drives.
    pub fn look(&mut self, name: &Name) -> Result<()> {
        let reached = self.library.drives.iter();
        let reached = reached.filter(|(_, drive)| !drive.unreached.contains(name));
        let drives = reached.map(|(serial, _)| DriveSeen {
            serial: serial.clone(),
            product: "LTO-9".into(),
            library: Some("CHANGER".parse().expect("a name")),
            trouble: None,
        });
        let devices = service::Input::Devices(drives.collect(), Vec::new());
        self.node(name, devices)
    }

    /// The service dies, and with it the processes of its attempts.
    pub fn crash_node(&mut self, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        node.service = None;
        node.movers.clear();
        node.inbox.clear();
        node.is_frozen = false;
        node.standing = Standing::default();
        if let Some(link) = node.link.take() {
            self.later(5, Event::Break(link, name.clone()));
        }
        self.lets_all_go(name);
    }

    /// The whole node dies, and the coordinator if it runs there.
    pub fn power_off(&mut self, name: &Name) {
        self.crash_node(name);
        if let Some(node) = self.nodes.get_mut(name) {
            node.is_off = true;
        }
        self.loses_center(name);
    }

    /// It does nothing, and says nothing. When it comes back, its coordinator has been
    /// told that it is over.
    pub fn freeze(&mut self, name: &Name) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.is_frozen = true;
        }
        self.excuse(name);
        self.loses_center(name);
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

    pub(super) fn order(&mut self, name: &Name, order: Order) -> Result<()> {
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
            ..
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

    pub(super) fn carry_out_on(
        &mut self,
        name: &Name,
        outputs: Vec<service::Output>,
    ) -> Result<()> {
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
                service::Output::SayPiece(attempt, token, file, offset) => {
                    let journal = || node.files.get(&attempt).map(Journal::bytes);
                    let bytes = match file {
                        File::Journal => journal().unwrap_or_default(),
                        File::Set(_) => SET_FILE.to_vec(),
                    };
                    let from = usize::try_from(offset)?.min(bytes.len());
                    let to = bytes.len().min(from + 250).min(from + PART_BYTES_MAX);
                    let bytes = bytes[from..to].to_vec();
                    let part = Part { offset, bytes };
                    let report = match file {
                        File::Journal => Report::Journal {
                            attempt,
                            token,
                            part,
                        },
                        File::Set(_) => Report::SetFile {
                            attempt,
                            token,
                            part,
                        },
                    };
                    self.tell_center(name, report);
                }
                service::Output::Keep(id, part) => put(node.carried.entry(id).or_default(), &part),
                service::Output::Spawn(start) => {
                    self.check_begins(name, &start)?;
                    let node = self.nodes.get_mut(name).context("a node")?;
                    let id = start.attempt.clone();
                    let carried = node.carried.get(&id).map_or(&[][..], Vec::as_slice);
                    let journal = Journal::of(carried);
                    let mover = Mover::new(name.clone(), *start, journal);
                    node.movers.insert(id.clone(), mover);
                    self.later(50, Event::MoverStep(name.clone(), id));
                }
                service::Output::Signal(id, how) => self.signal(name, id, how),
                service::Output::Resolve(id, places) => self.resolve(name.clone(), id, &places),
                service::Output::Released(ticket) => self.released(name, ticket)?,
                service::Output::HangUp => {
                    if let Some(link) = node.link {
                        self.later(1, Event::Break(link, name.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn mover(&mut self, name: &Name, id: &AttemptId) -> Result<()> {
        let now = self.time();
        let node = self.nodes.get_mut(name).context("a node")?;
        let is_frozen = node.is_frozen;
        let Some(mover) = node.movers.get_mut(id) else {
            return Ok(());
        };
        if is_frozen || mover.is_busy(self.now) {
            self.later(700, Event::MoverStep(name.clone(), id.clone()));
            return Ok(());
        }
        let step = mover.step(now, &mut self.library);
        node.files.insert(id.clone(), mover.journal.clone());
        self.check_writers()?;
        self.check_pauses(name, id, &step)?;
        match step {
            Step::On => {}
            Step::Reached(point) => self.node(name, service::Input::Reached(id.clone(), point))?,
            Step::Ended(outcome, point) => {
                if outcome.exit == ExitStatus::Refused {
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
                if outcome.no_path().is_some() {
                    self.look(name)?;
                }
                return self.node(name, service::Input::Ended(id.clone(), *outcome));
            }
        }
        let mover = self.nodes.get(name).and_then(|node| node.movers.get(id));
        let pace = match mover.is_some_and(Mover::is_told) {
            true => 1,
            false => self.pace,
        };
        let pause = (100 + self.chance.below(300)) * pace;
        self.later(pause, Event::MoverStep(name.clone(), id.clone()));
        Ok(())
    }

    pub fn heal(&mut self, name: &Name) -> Result<()> {
        let mut inbox = Vec::new();
        if let Some(node) = self.nodes.get_mut(name) {
            node.is_cut = false;
            node.is_frozen = false;
            node.standing.forget_pause();
            self.down.remove(name);
            inbox = std::mem::take(&mut node.inbox);
        }
        for (link, order) in inbox {
            self.happen(Event::ToNode(link, name.clone(), order))?;
        }
        self.start_node(name)?;
        self.look(name)
    }
}
