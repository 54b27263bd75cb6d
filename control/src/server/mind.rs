//! The thread that decides, and makes durable what was decided.
//!
//! It takes all that has come, decides on one after the other, makes what has to
//! be kept durable all at once, and only then tells anybody. So what was said was
//! written down before, and a hundred checkpoints cost one sync, not a hundred.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use longhaul_link::Outbox;
use longhaul_protocol::ask::{Certificate, Events, Find, Lines, words};
use longhaul_protocol::order::What;
use longhaul_protocol::{Answer, Ask, AttemptId, ExitStatus, Hello, Name, Order, Time};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::carry::{Journal, carry};
use super::cluster::Looks;
use super::desk::{LinkId, Said, WAITING_MAX};
use super::notify::Notices;
use super::search::SEARCHES_MAX;
use super::store::{Entered, Failure, ReadJournal, Search, Store};
use crate::core::state::{Change, State};
use crate::core::{Asker, Coordinator, Input, Notice, Output, Settings};

/// So long it is waited for more before something is made durable: a checkpoint
/// comes right behind its journal, and one sync does for both.
const GATHER: Duration = Duration::from_millis(2);

/// The connection of a node.
struct Link {
    id: LinkId,
    address: SocketAddr,
    /// When its certificate ends.
    expires: Time,
    outbox: Outbox<Order>,
    /// Journals that are on their way to it, by the attempt that they are for.
    carried: BTreeMap<AttemptId, JoinHandle<()>>,
}

/// What is done once all that was decided is durable.
enum Action {
    Say(Name, LinkId, Outbox<Order>, Order),
    Carry(Name, LinkId, Journal),
    Answer(oneshot::Sender<Answer>, Answer),
    Notify(Notice),
}

/// What is around the coordinator's thread.
pub(crate) struct Around {
    /// Where journals are carried.
    pub runtime: Handle,
    /// Who tells people.
    pub notices: Arc<Notices>,
    /// When the coordinator's certificate ends.
    pub expires: Time,
    /// Has the cluster service asked.
    pub looks: Arc<Looks>,
}

/// The coordinator, with what is around it.
pub(crate) struct Mind<S> {
    core: Coordinator,
    store: S,
    journals: ReadJournal,
    search: Search,
    /// Who may search.
    searches: Arc<Semaphore>,
    around: Around,
    links: BTreeMap<Name, Link>,
    /// Decided, and not durable yet.
    changes: Vec<Change>,
    has_parts: bool,
    sets: Vec<Entered>,
    /// Operators that wait for an answer.
    askers: BTreeMap<Asker, oneshot::Sender<Answer>>,
    /// To be done when that is durable.
    actions: Vec<Action>,
}

impl<S: Store> Mind<S> {
    /// A coordinator that starts with these rows; its new epoch is durable.
    pub(crate) fn start(
        settings: Settings,
        state: State,
        store: S,
        around: Around,
    ) -> Result<Mind<S>, Failure> {
        let (core, outputs) = Coordinator::start(settings, state);
        let (journals, search) = (store.reader(), store.searcher());
        let mut mind = Mind {
            core,
            store,
            journals,
            search,
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            around,
            links: BTreeMap::new(),
            changes: Vec::new(),
            has_parts: false,
            sets: Vec::new(),
            askers: BTreeMap::new(),
            actions: Vec::new(),
        };
        mind.collect(outputs)?;
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
            if self.is_to_commit() {
                thread::sleep(GATHER);
                for _ in 0..WAITING_MAX {
                    let Ok(said) = said.try_recv() else { break };
                    self.take(said)?;
                }
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
                expires,
                hello,
                outbox,
            } => {
                let link = Link {
                    id: link,
                    address,
                    expires,
                    outbox,
                    carried: BTreeMap::new(),
                };
                self.hello(link, hello)
            }
            Said::Report(link, node, report) if self.is_current(link, &node) => {
                self.decide(Input::Report(node, report))
            }
            Said::Gone(link, node) if self.is_current(link, &node) => {
                self.links.remove(&node);
                self.decide(Input::Gone(node))
            }
            // A newer connection of the node has taken its place.
            Said::Report(..) | Said::Gone(..) => Ok(()),
            // Only the store knows.
            Said::Ask(_, Ask::Events(query), answer) => {
                let answer_to = self.events(&query);
                self.actions.push(Action::Answer(answer, answer_to));
                Ok(())
            }
            Said::Ask(_, Ask::Find(query), answer) => {
                self.find(query, answer);
                Ok(())
            }
            Said::Ask(asker, ask, answer) => {
                self.askers.insert(asker, answer);
                self.decide(Input::Ask(asker, ask))
            }
            Said::AskerGone(asker) => {
                self.askers.remove(&asker);
                self.decide(Input::AskerGone(asker))
            }
            Said::Cluster(snapshot) => self.decide(Input::Cluster(snapshot)),
            Said::Told(told) => {
                self.changes.push(Change::Told(told));
                Ok(())
            }
            Said::Reloaded { retry_ms, expires } => {
                self.around.expires = expires;
                self.core.retry_after(retry_ms);
                Ok(())
            }
            Said::Tick => {
                self.store.copy_if_due(now());
                self.decide(Input::Tick)
            }
        }
    }

    fn is_current(&self, link: LinkId, node: &Name) -> bool {
        self.links
            .get(node)
            .is_some_and(|current| current.id == link)
    }

    /// A service is let in, or sent away. What it had said on an older connection
    /// stands, but that one is over.
    fn hello(&mut self, link: Link, hello: Hello) -> Result<(), Failure> {
        let (node, address) = (hello.node.clone(), link.address);
        let outputs = self.core.handle(now(), Input::Hello(hello));
        let refusal = outputs.iter().find_map(|output| match output {
            Output::Refuse(why) => Some(why.clone()),
            _ => None,
        });
        if let Some(why) = refusal {
            log::warn!("{address}: node {node} is refused: {why}");
            let epoch = self.core.state().counters.epoch;
            let what = What::Refused { why };
            self.actions.push(Action::Say(
                node,
                link.id,
                link.outbox,
                Order { epoch, what },
            ));
        } else {
            log::info!("{address}: node {node} is connected");
            if let Some(old) = self.links.insert(node.clone(), link) {
                log::info!("{}: node {node} has a newer connection", old.address);
            }
        }
        self.collect(outputs)
    }

    fn decide(&mut self, input: Input) -> Result<(), Failure> {
        let outputs = self.core.handle(now(), input);
        self.collect(outputs)
    }

    fn events(&self, query: &Events) -> Answer {
        match self.store.events(query) {
            Ok((rows, more)) => Answer::Rows { rows, more },
            Err(error) => Answer::Failed {
                exit: ExitStatus::Usage,
                why: words(&error.to_string()),
            },
        }
    }

    /// Has the catalog searched, which changes nothing, and may take long.
    fn find(&self, query: Find, answer: oneshot::Sender<Answer>) {
        let only = query.job.as_ref();
        let only = only.map(|job| self.core.state().sets_of(job));
        let (search, searches) = (self.search.clone(), self.searches.clone());
        self.around.runtime.spawn(async move {
            let Ok(_turn) = searches.acquire().await else {
                return;
            };
            if answer.is_closed() {
                return;
            }
            let found = move || search(&query, only.as_ref());
            if let Ok(found) = tokio::task::spawn_blocking(found).await {
                // If nobody waits for the answer, it is no loss.
                drop(answer.send(found));
            }
        });
    }

    /// What the catalog is to know of a set.
    /// Certificates, those that end first first.
    fn certificates(&self) -> Lines<Certificate> {
        let nodes = self.links.iter().map(|(node, link)| Certificate {
            whose: format!("node {node}"),
            expires: link.expires,
        });
        let ours = Certificate {
            whose: "coordinator".into(),
            expires: self.around.expires,
        };
        let mut all: Vec<Certificate> = std::iter::once(ours).chain(nodes).collect();
        all.sort_by_key(|certificate| certificate.expires);
        Lines::of(all, |certificate| certificate)
    }

    /// Sorts out what is to be kept, and what is to be done afterwards. To whom
    /// it goes is settled here: a connection that comes later gets none of it.
    fn collect(&mut self, outputs: Vec<Output>) -> Result<(), Failure> {
        for output in outputs {
            match output {
                Output::Change(change) => self.changes.push(change),
                Output::Keep(attempt, part) => {
                    self.store.keep(&attempt, &part)?;
                    self.has_parts = true;
                }
                Output::KeepSet(attempt, part) => {
                    self.store.keep_set(&attempt, &part)?;
                    self.has_parts = true;
                }
                Output::Enter(attempt, set) => {
                    let entered = Entered::of(self.core.state(), attempt, *set);
                    self.sets.push(entered);
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
                Output::Answer(asker, mut answer) => {
                    if let Answer::Status(status) = &mut answer {
                        status.certificates = self.certificates();
                    }
                    if let Some(asks) = self.askers.remove(&asker) {
                        self.actions.push(Action::Answer(asks, answer));
                    }
                }
                Output::Notify(notice) => self.actions.push(Action::Notify(notice)),
                Output::LookAtCluster => self.around.looks.want(),
            }
        }
        Ok(())
    }

    /// Makes durable what was decided, and then does what follows from it. Nodes
    /// that turn out to be gone may let something begin elsewhere, and so on.
    fn settle(&mut self) -> Result<(), Failure> {
        loop {
            if self.is_to_commit() {
                let left_out = self.store.commit(now(), &self.changes, &self.sets)?;
                for (attempt, why) in left_out {
                    let notice = Notice::Damaged(attempt.run, why);
                    self.actions.push(Action::Notify(notice));
                }
                self.changes.clear();
                self.sets.clear();
                self.has_parts = false;
            }
            let gone = self.act();
            if gone.is_empty() {
                return Ok(());
            }
            for node in gone {
                self.decide(Input::Gone(node))?;
            }
        }
    }

    fn is_to_commit(&self) -> bool {
        self.has_parts || !self.sets.is_empty() || !self.changes.is_empty()
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
                        link.carry(journal, &self.journals, &self.around.runtime);
                    }
                }
                // If nobody waits for the answer, it is no loss.
                Action::Answer(asks, answer) => drop(asks.send(answer)),
                Action::Notify(notice) => self.around.notices.put(notice),
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
    Time::from(SystemTime::now())
}
