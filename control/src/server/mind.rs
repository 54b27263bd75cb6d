//! The thread that decides, and makes durable what was decided.
//!
//! It takes all that has come, decides on one after the other, makes what has to
//! be kept durable all at once, and only then tells anybody. So what was said was
//! written down before, and a hundred checkpoints cost one sync, not a hundred.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use longhaul_link::Outbox;
use longhaul_protocol::order::What;
use longhaul_protocol::{AttemptId, Hello, Name, Order, Time};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::carry::{Journal, carry};
use super::desk::{LinkId, Said, WAITING_MAX};
use super::notify::Notices;
use super::store::{Failure, ReadJournal, Store};
use crate::core::state::{Change, State};
use crate::core::{CommandError, Coordinator, Input, Notice, Output, Settings};

/// The connection of a node.
struct Link {
    id: LinkId,
    address: SocketAddr,
    outbox: Outbox<Order>,
    /// Journals that are on their way to it, by the attempt that they are for.
    carried: BTreeMap<AttemptId, JoinHandle<()>>,
}

/// What is done once all that was decided is durable.
enum Action {
    Say(Name, LinkId, Outbox<Order>, Order),
    Carry(Name, LinkId, Journal),
    Answer(
        oneshot::Sender<Result<(), CommandError>>,
        Result<(), CommandError>,
    ),
    Notify(Notice),
}

/// The coordinator, with what is around it.
pub(crate) struct Mind<S> {
    core: Coordinator,
    store: S,
    journals: ReadJournal,
    runtime: Handle,
    notices: Arc<Notices>,
    links: BTreeMap<Name, Link>,
    /// Decided, and not durable yet.
    changes: Vec<Change>,
    has_parts: bool,
    /// To be done when that is durable.
    actions: Vec<Action>,
}

impl<S: Store> Mind<S> {
    /// A coordinator that starts with these rows; its new epoch is durable.
    pub(crate) fn start(
        settings: Settings,
        state: State,
        store: S,
        runtime: Handle,
        notices: Arc<Notices>,
    ) -> Result<Mind<S>, Failure> {
        let (core, outputs) = Coordinator::start(settings, state);
        let journals = store.reader();
        let mut mind = Mind {
            core,
            store,
            journals,
            runtime,
            notices,
            links: BTreeMap::new(),
            changes: Vec::new(),
            has_parts: false,
            actions: Vec::new(),
        };
        mind.collect(outputs, None)?;
        mind.settle()?;
        Ok(mind)
    }

    /// Decides until nobody is left who says anything.
    pub(crate) fn run(mut self, mut said: mpsc::Receiver<Said>) -> Result<(), Failure> {
        let mut batch = Vec::with_capacity(WAITING_MAX);
        while said.blocking_recv_many(&mut batch, WAITING_MAX) > 0 {
            for said in batch.drain(..) {
                self.take(said)?;
            }
            self.settle()?;
        }
        Ok(())
    }

    fn take(&mut self, said: Said) -> Result<(), Failure> {
        match said {
            Said::Hello {
                link,
                address,
                hello,
                outbox,
            } => self.hello(link, address, hello, outbox),
            Said::Report(link, node, report) if self.is_current(link, &node) => {
                self.decide(Input::Report(node, report), None)
            }
            Said::Gone(link, node) if self.is_current(link, &node) => {
                self.links.remove(&node);
                self.decide(Input::Gone(node), None)
            }
            // A newer connection of the node has taken its place.
            Said::Report(..) | Said::Gone(..) => Ok(()),
            Said::Command(command, answer) => self.decide(Input::Command(command), Some(answer)),
            Said::Look(look) => {
                look(now(), &self.core);
                Ok(())
            }
            Said::Tick => self.decide(Input::Tick, None),
        }
    }

    fn is_current(&self, link: LinkId, node: &Name) -> bool {
        self.links
            .get(node)
            .is_some_and(|current| current.id == link)
    }

    /// A service is let in, or sent away. What it had said on an older connection
    /// stands, but that one is over.
    fn hello(
        &mut self,
        id: LinkId,
        address: SocketAddr,
        hello: Hello,
        outbox: Outbox<Order>,
    ) -> Result<(), Failure> {
        let node = hello.node.clone();
        let outputs = self.core.handle(now(), Input::Hello(hello));
        let refusal = outputs.iter().find_map(|output| match output {
            Output::Refuse(why) => Some(why.clone()),
            _ => None,
        });
        if let Some(why) = refusal {
            log::warn!("{address}: node {node} is refused: {why}");
            let epoch = self.core.state().counters.epoch;
            let what = What::Refused { why };
            self.actions
                .push(Action::Say(node, id, outbox, Order { epoch, what }));
        } else {
            log::info!("{address}: node {node} is connected");
            let link = Link {
                id,
                address,
                outbox,
                carried: BTreeMap::new(),
            };
            if let Some(old) = self.links.insert(node.clone(), link) {
                log::info!("{}: node {node} has a newer connection", old.address);
            }
        }
        self.collect(outputs, None)
    }

    fn decide(
        &mut self,
        input: Input,
        asks: Option<oneshot::Sender<Result<(), CommandError>>>,
    ) -> Result<(), Failure> {
        let outputs = self.core.handle(now(), input);
        self.collect(outputs, asks)
    }

    /// Sorts out what is to be kept, and what is to be done afterwards. To whom
    /// it goes is settled here: a connection that comes later gets none of it.
    fn collect(
        &mut self,
        outputs: Vec<Output>,
        mut asks: Option<oneshot::Sender<Result<(), CommandError>>>,
    ) -> Result<(), Failure> {
        for output in outputs {
            match output {
                Output::Change(change) => self.changes.push(change),
                Output::Keep(attempt, part) => {
                    self.store.keep(&attempt, &part)?;
                    self.has_parts = true;
                }
                Output::Send(node, order) => {
                    if let Some(link) = self.links.get(&node) {
                        let (id, outbox) = (link.id, link.outbox.clone());
                        self.actions.push(Action::Say(node, id, outbox, order));
                    }
                }
                Output::SendJournal {
                    to,
                    attempt,
                    of,
                    bytes,
                } => {
                    if let Some(link) = self.links.get(&to) {
                        let epoch = self.core.state().counters.epoch;
                        let journal = Journal {
                            epoch,
                            attempt,
                            of,
                            bytes,
                        };
                        self.actions.push(Action::Carry(to, link.id, journal));
                    }
                }
                // Said by who let it in.
                Output::Refuse(_) => {}
                Output::Close(node) => {
                    if let Some(link) = self.links.remove(&node) {
                        log::warn!("{}: node {node} says nothing: disconnected", link.address);
                    }
                }
                Output::Answer(answer) => {
                    if let Some(asks) = asks.take() {
                        self.actions.push(Action::Answer(asks, answer));
                    }
                }
                Output::Notify(notice) => self.actions.push(Action::Notify(notice)),
            }
        }
        Ok(())
    }

    /// Makes durable what was decided, and then does what follows from it. Nodes
    /// that turn out to be gone may let something begin elsewhere, and so on.
    fn settle(&mut self) -> Result<(), Failure> {
        loop {
            if self.has_parts || !self.changes.is_empty() {
                self.store.commit(now(), &self.changes)?;
                self.changes.clear();
                self.has_parts = false;
            }
            let gone = self.act();
            if gone.is_empty() {
                return Ok(());
            }
            for node in gone {
                self.decide(Input::Gone(node), None)?;
            }
        }
    }

    /// Does what is to be done; gives the nodes that are given up.
    fn act(&mut self) -> Vec<Name> {
        let mut gone = Vec::new();
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Say(node, id, outbox, order) => {
                    let said = outbox.say(order);
                    if let Err(why) = said
                        && self.is_current(id, &node)
                        && let Some(link) = self.links.remove(&node)
                    {
                        log::warn!("{}: node {node} is disconnected: {why}", link.address);
                        gone.push(node);
                    }
                }
                Action::Carry(node, id, journal) => {
                    if let Some(link) = self.links.get_mut(&node).filter(|link| link.id == id) {
                        link.carry(journal, &self.journals, &self.runtime);
                    }
                }
                // If nobody waits for the answer, it is no loss.
                Action::Answer(asks, answer) => drop(asks.send(answer)),
                Action::Notify(notice) => self.notices.put(notice),
            }
        }
        gone
    }
}

impl Link {
    /// Begins to carry a journal, if it is not on its way already.
    fn carry(&mut self, journal: Journal, journals: &ReadJournal, runtime: &Handle) {
        self.carried.retain(|_, task| !task.is_finished());
        let attempt = journal.attempt.clone();
        let carrier = self.outbox.carrier();
        let journals = journals.clone();
        self.carried
            .entry(attempt)
            .or_insert_with(|| runtime.spawn(carry(journal, journals, carrier)));
    }
}

/// This machine's clock.
pub(crate) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
