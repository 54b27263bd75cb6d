//! The backup service: the [`service`] mind with a connection, a disk and
//! processes.
//!
//! ```text
//!   coordinator ◀──TLS──▶ link ──┐              ┌──▶ store     attempts, durably
//!   processes of attempts ───────┼──▶ service ──┼──▶ processes start, end
//!   devices, cluster, socket ────┘    (mind)    └──▶ link      reports
//! ```
//!
//! One thread has the mind. It takes what happened, one by one, and carries out
//! what the mind says in order: what is to be kept is on the disk before anything
//! behind it is done.
//!
//! | file | noun |
//! | --- | --- |
//! | `config` | what the service is told |
//! | `devices` | which drives and changers there are |
//! | `link` | the connection to the coordinator |
//! | `process` | the processes of attempts |
//! | `request` | what programs of this node ask |
//! | `socket` | where they ask it |
//! | `store` | what it keeps on its disk |
//! | `watch` | the node's own cluster service |

pub mod config;
mod devices;
mod link;
mod process;
pub mod request;
mod socket;
pub mod store;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use longhaul_cluster::{Cluster, CrmMon};
use longhaul_link::{Identity, IdentityError, Role, manager};
use longhaul_protocol::order::{Order, Start, Stop};
use longhaul_protocol::report::{Outcome, Point};
use longhaul_protocol::{AttemptId, Event, Name, Report, Time};
use thiserror::Error;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::job::{ExitStatus, attempt::Task, chain};
use crate::newest::newest;
use crate::service::{self, Input, Output, Service};
use config::Config;
use devices::{Devices, Looking};
use link::{Link, Reports};
use process::Processes;
use socket::Socket;
use store::Store;
use watch::Watch;

/// What has happened and was not looked at yet.
const QUEUE: usize = 256;
/// Time passes in such steps.
const TICK: Duration = Duration::from_millis(250);
/// A service that ends gives its attempts so long to reach a checkpoint.
const ENDING: Duration = Duration::from_secs(60);

/// Why the service does not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Its configuration makes no sense.
    #[error("{}: {what}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Somebody else has what it needs.
    #[error("{0}")]
    Busy(String),
    /// What it keeps cannot be read or written.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// It is nobody.
    #[error("{}", chain(.0))]
    Identity(#[from] IdentityError),
    /// It is somebody else.
    #[error("{}: a certificate of {role}, and a backup service needs one of a node", path.display())]
    Role {
        /// The folder with the certificate.
        path: PathBuf,
        /// Whose it is.
        role: String,
    },
    /// There is no thread for it.
    #[error("no thread: {0}")]
    Thread(io::Error),
}

impl ServeError {
    fn state(path: &Path) -> impl FnOnce(io::Error) -> ServeError {
        let path = path.to_owned();
        move |source| ServeError::State { path, source }
    }

    /// The exit code that tells a script what to do.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            ServeError::Config { .. } | ServeError::Role { .. } => ExitStatus::Usage,
            ServeError::Busy(_) => ExitStatus::Held,
            ServeError::State { .. } | ServeError::Identity(_) | ServeError::Thread(_) => {
                ExitStatus::Operator
            }
        }
    }
}

/// What has happened.
#[derive(Debug)]
pub enum Happened {
    /// There is a connection of this number.
    Connected(u64, Reports),
    /// The coordinator says something on it.
    Order(u64, Box<Order>),
    /// It is gone.
    Disconnected(u64),
    /// A process has reached a checkpoint.
    Reached(AttemptId, Point),
    /// A process has ended.
    Ended(AttemptId, Outcome),
    /// It was looked for devices.
    Looked(Box<Devices>),
    /// The node's own cluster service says how the node stands.
    Cluster {
        /// It has quorum.
        has_quorum: bool,
        /// The applications that run whole on it.
        hosts: BTreeSet<Name>,
    },
    /// It has told this.
    Alert(Box<Event>),
    /// A mount is to be let go of, and who is told when it is.
    Release(PathBuf, oneshot::Sender<()>),
    /// A mount has come.
    Admit(PathBuf),
    /// Where an attempt's places lead.
    Leads(AttemptId, Vec<PathBuf>),
    /// The service is to end.
    End,
    /// It is to read its file again, and to look for devices.
    Reload,
}

/// A service that is set up.
pub struct Running {
    /// The configuration's file.
    file: PathBuf,
    config: Config,
    cluster: Uuid,
    service: Service,
    store: Store,
    link: Link,
    processes: Processes,
    happened: Receiver<Happened>,
    to: Sender<Happened>,
    /// To the thread that asks the cluster service, if there is one.
    watch: Option<Watch>,
    _socket: Option<Socket>,
    /// Those who wait until a mount is let go of, by their tickets.
    tickets: BTreeMap<u64, oneshot::Sender<()>>,
    /// The newest ticket.
    ticket: u64,
    /// To the thread that looks for devices: with which configuration, and whether
    /// it is to forget what it knows.
    look: Sender<(Config, bool)>,
    /// The connection, and its number.
    connection: Option<(u64, Reports)>,
    devices: Devices,
    looked: Instant,
    is_looking: bool,
    /// It was told to.
    is_look_due: bool,
    /// Attempts that begin once nobody looks for devices.
    waiting: VecDeque<Box<Start>>,
    /// Since when the service is about to end.
    ending: Option<Instant>,
}

/// Sets the service up by its configuration's file: whoever sends to what is
/// returned with it tells it to end.
///
/// # Errors
/// [`ServeError`].
pub fn set_up(file: &Path) -> Result<(Running, Sender<Happened>), ServeError> {
    let config = Config::read(file)?;
    let identity = Identity::load(&config.tls)?;
    let Role::Node(node) = identity.role().clone() else {
        return Err(ServeError::Role {
            path: config.tls.clone(),
            role: identity.role().to_string(),
        });
    };
    let cluster = identity.cluster();
    let (store, kept) = Store::open(&config.state)?;
    let who = service::Identity {
        cluster,
        node: node.clone(),
        boot: Uuid::new_v4(),
    };
    let (service, outputs) = Service::start(now(), who, kept.seen, kept.attempts);
    let (to, happened) = bounded(QUEUE);
    // Behind the lock of the state: what a service before has left is nobody's.
    let socket = listening(&config, to.clone())?;
    let link = Link::start(identity, config.coordinator.clone(), to.clone())?;
    let look = looking(&config, to.clone())?;
    let mut running = Running {
        file: file.to_owned(),
        cluster,
        service,
        store,
        link,
        processes: Processes::new(to.clone()),
        happened,
        to: to.clone(),
        watch: None,
        _socket: socket,
        tickets: BTreeMap::new(),
        ticket: 0,
        look,
        connection: None,
        devices: Devices::default(),
        looked: Instant::now(),
        is_looking: false,
        is_look_due: false,
        waiting: VecDeque::new(),
        ending: None,
        config,
    };
    running.carry_out(outputs)?;
    if running.config.cluster == Cluster::Pacemaker {
        // Until it has said otherwise.
        running.handle(Input::Cluster {
            has_quorum: false,
            hosts: BTreeSet::new(),
        })?;
        let watch = Watch::start(CrmMon::default(), node.clone(), to.clone())?;
        running.watch = Some(watch);
    }
    running.look();
    log::info!("the backup service of node {node} runs");
    Ok((running, to))
}

/// The socket for programs of this node. Where no cluster depends on it, it is done
/// without.
fn listening(config: &Config, to: Sender<Happened>) -> Result<Option<Socket>, ServeError> {
    match Socket::open(&config.socket, to) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if config.cluster == Cluster::Standalone => {
            log::warn!("no program of this node can ask the service: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The thread that looks for devices whenever it is told.
fn looking(config: &Config, to: Sender<Happened>) -> Result<Sender<(Config, bool)>, ServeError> {
    let (look, told) = bounded(1);
    let mut looking = Looking::new(config);
    let body = move || {
        for (config, anew) in told {
            if anew || config != *looking.config() {
                looking = Looking::new(&config);
            }
            let devices = Box::new(looking.look());
            if to.send(Happened::Looked(devices)).is_err() {
                break;
            }
        }
    };
    let thread = thread::Builder::new().name("lh-devices".into());
    thread.spawn(body).map_err(ServeError::Thread)?;
    Ok(look)
}

fn now() -> Time {
    Time::from(SystemTime::now())
}

impl Running {
    /// Serves until it is told to end. Its attempts have then reached a
    /// checkpoint, or had a minute for it.
    ///
    /// # Errors
    /// [`ServeError::State`] if it can keep nothing any more.
    pub fn serve(mut self) -> Result<ExitStatus, ServeError> {
        manager::ready(None);
        let alive = manager::watchdog_interval();
        let mut said = Instant::now();
        let mut waiting = VecDeque::new();
        loop {
            if alive.is_some_and(|every| said.elapsed() >= every) {
                said = Instant::now();
                manager::alive();
            }
            if waiting.is_empty() {
                let Some(batch) = self.wait() else { break };
                waiting = batch.into();
            }
            match waiting.pop_front() {
                Some(happened) => self.take(happened)?,
                None => self.handle(Input::Tick)?,
            }
            self.look_if_due();
            if self.is_over() {
                break;
            }
        }
        Ok(ExitStatus::Done)
    }

    /// What has happened, at most as much as may wait: nothing, when so much time has
    /// passed; `None` when nobody is left who says anything. A disk that is slower than
    /// checkpoints come has the newest of each attempt all the same, and so does the
    /// coordinator.
    fn wait(&self) -> Option<Vec<Happened>> {
        let first = match self.happened.recv_timeout(TICK) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let batch = [first].into_iter().chain(self.happened.try_iter());
        let attempt = |happened: &Happened| match happened {
            Happened::Reached(id, _) => Some(id.clone()),
            _ => None,
        };
        Some(newest(batch.take(QUEUE).collect(), attempt))
    }

    fn take(&mut self, happened: Happened) -> Result<(), ServeError> {
        let is_ours = |of: u64| matches!(&self.connection, Some((number, _)) if *number == of);
        match happened {
            Happened::Connected(number, reports) => {
                self.connection = Some((number, reports));
                self.handle(Input::Connected)
            }
            Happened::Order(number, _) if !is_ours(number) => Ok(()),
            Happened::Order(_, order) => self.handle(Input::Order(*order)),
            Happened::Disconnected(number) if is_ours(number) => {
                self.connection = None;
                self.handle(Input::Disconnected)
            }
            Happened::Disconnected(_) => Ok(()),
            Happened::Reached(id, point) => self.handle(Input::Reached(id, point)),
            Happened::Ended(id, outcome) => {
                self.processes.forget(&id);
                self.note_path(&id, &outcome)?;
                self.handle(Input::Ended(id, outcome))
            }
            Happened::Looked(devices) => self.looked(*devices),
            Happened::Cluster { has_quorum, hosts } => {
                self.handle(Input::Cluster { has_quorum, hosts })
            }
            Happened::Alert(event) => {
                log::debug!("alert: {}: {:?}", event.node, event.what);
                if let Some(watch) = &self.watch {
                    watch.at_once();
                }
                if event.what.is_a_nodes_end() {
                    self.link.doubt();
                }
                self.handle(Input::Alert(*event))
            }
            Happened::Release(mount, released) => {
                // Some may have given up.
                self.tickets.retain(|_, waiting| !waiting.is_closed());
                self.ticket += 1;
                self.tickets.insert(self.ticket, released);
                self.handle(Input::Release(mount, self.ticket))
            }
            Happened::Admit(mount) => self.handle(Input::Admit(mount)),
            Happened::Leads(id, places) => self.handle(Input::Leads(id, places)),
            Happened::Reload => {
                self.reload();
                Ok(())
            }
            Happened::End => self.end(),
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), ServeError> {
        let outputs = self.service.handle(now(), input);
        self.carry_out(outputs)
    }

    fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), ServeError> {
        for output in outputs {
            match output {
                Output::Save(id, attempt) => self.store.save(&id, attempt.as_deref())?,
                Output::SaveSeen(seen) => self.store.save_seen(&seen)?,
                Output::Keep(id, part) => self.store.keep(&id, &part)?,
                Output::Say(report) => self.say(report),
                Output::SayPiece(attempt, token, file, offset) => {
                    let Some(part) = self.store.piece(&attempt, file, offset) else {
                        self.handle(Input::Lost(attempt, file))?;
                        continue;
                    };
                    self.say(match file {
                        service::File::Journal => Report::Journal {
                            attempt,
                            token,
                            part,
                        },
                        service::File::Set(_) => Report::SetFile {
                            attempt,
                            token,
                            part,
                        },
                    });
                }
                Output::Spawn(start) if self.is_looking => self.waiting.push_back(start),
                Output::Spawn(start) => self.start(*start),
                Output::Signal(id, how) => self.signal(&id, how)?,
                Output::Resolve(id, places) => self.resolve(id, places)?,
                Output::Released(ticket) => {
                    if let Some(waiting) = self.tickets.remove(&ticket) {
                        // Who has given up is not told.
                        let _ = waiting.send(());
                    }
                }
                Output::HangUp => self.hang_up(),
            }
        }
        Ok(())
    }

    fn say(&mut self, report: Report) {
        let Some((_, reports)) = &self.connection else {
            return;
        };
        if let Err(error) = reports.say(report) {
            log::warn!("to the coordinator: {error}");
            self.hang_up();
        }
    }

    fn hang_up(&mut self) {
        if let Some((number, _)) = &self.connection {
            self.link.hang_up(*number);
        }
    }

    fn start(&mut self, start: Start) {
        let task = Task {
            cluster: self.cluster,
            devices: self.devices.names.clone(),
            dir: self.store.folder(&start.attempt),
            buffer_bytes: self.config.buffer_mib << 20,
            checkpoint_ms: milliseconds(self.config.checkpoint_s),
            flush_ms: milliseconds(self.config.flush_s),
            start,
        };
        log::info!(
            "attempt {} begins on drive {}",
            task.start.attempt,
            task.start.drive
        );
        self.processes.start(&task);
    }

    fn signal(&mut self, id: &AttemptId, how: Stop) -> Result<(), ServeError> {
        let count = self.waiting.len();
        self.waiting.retain(|start| start.attempt != *id);
        if self.waiting.len() == count {
            self.processes.signal(id, how);
            return Ok(());
        }
        let why = "stopped before it began";
        let outcome = Outcome::without_set(ExitStatus::Unfinished, why, now());
        self.handle(Input::Ended(id.clone(), outcome))
    }

    /// Finds out where places lead, in a thread: a file system that does not answer
    /// stops nothing else.
    fn resolve(&self, id: AttemptId, places: Vec<PathBuf>) -> Result<(), ServeError> {
        let to = self.to.clone();
        let body = move || {
            let places = places.iter().map(|place| socket::leads(place)).collect();
            // Without a service nobody asks.
            let _ = to.send(Happened::Leads(id, places));
        };
        let thread = thread::Builder::new().name("lh-paths".into());
        thread.spawn(body).map_err(ServeError::Thread)?;
        Ok(())
    }

    /// Looks for devices, now and then, while nobody uses any.
    fn look_if_due(&mut self) {
        let is_due = self.is_look_due || self.looked.elapsed() >= self.config.look();
        if is_due && !self.is_looking && self.ending.is_none() && self.processes.all().is_empty() {
            self.look();
        }
    }

    fn look(&mut self) {
        let told = (self.config.clone(), self.is_look_due);
        self.is_looking = self.look.try_send(told).is_ok();
        self.is_look_due &= !self.is_looking;
    }

    /// Reads the file again, and looks for devices as soon as nobody uses any.
    /// Attempts under way go on as they began.
    fn reload(&mut self) {
        match Config::read(&self.file) {
            Ok(config) => {
                for setting in self.config.reload(config) {
                    log::warn!("{setting} changes when the service is started again");
                }
                log::info!("{} was read again", self.file.display());
            }
            Err(error) => log::error!("not reloaded: {error}"),
        }
        self.is_look_due = true;
    }

    /// A drive to which an attempt has found no path is in trouble here, and only here,
    /// until it is looked again. The coordinator hears it before it hears the end.
    fn note_path(&mut self, id: &AttemptId, outcome: &Outcome) -> Result<(), ServeError> {
        let attempt = self.service.attempts().get(id);
        let (Some(why), Some(attempt)) = (outcome.no_path(), attempt) else {
            return Ok(());
        };
        self.is_look_due = true;
        let mut drives = self.devices.drives.iter_mut();
        let Some(drive) = drives.find(|seen| seen.serial == attempt.start.drive) else {
            return Ok(());
        };
        drive.trouble.get_or_insert_with(|| why.into());
        self.say_devices()
    }

    fn say_devices(&mut self) -> Result<(), ServeError> {
        let Devices {
            drives, changers, ..
        } = self.devices.clone();
        self.handle(Input::Devices(drives, changers))
    }

    fn looked(&mut self, devices: Devices) -> Result<(), ServeError> {
        self.is_looking = false;
        self.looked = Instant::now();
        let is_new = devices != self.devices;
        self.devices = devices;
        if is_new {
            self.say_devices()?;
        }
        while let Some(start) = self.waiting.pop_front() {
            self.start(*start);
        }
        Ok(())
    }

    /// Begins to end: attempts go on elsewhere, or later, from where they are.
    fn end(&mut self) -> Result<(), ServeError> {
        self.handle(Input::End)?;
        let running = self.processes.all();
        let status = format!("{} attempts reach a checkpoint", running.len());
        manager::stopping(Some(&status));
        log::info!("the service ends; {} attempts are under way", running.len());
        self.ending.get_or_insert_with(Instant::now);
        for id in running {
            self.processes.signal(&id, Stop::Checkpoint);
        }
        Ok(())
    }

    /// Whether all has ended, and been heard if somebody is there who hears; or it
    /// has taken too long.
    fn is_over(&self) -> bool {
        let Some(since) = self.ending else {
            return false;
        };
        let is_heard = self.connection.is_none() || self.service.attempts().is_empty();
        let is_late = since.elapsed() > ENDING;
        is_late || (self.processes.all().is_empty() && is_heard)
    }
}

fn milliseconds(seconds: f64) -> u64 {
    // Between 10 ms and a day.
    Duration::from_secs_f64(seconds).as_millis() as u64
}
