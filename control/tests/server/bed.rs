//! A coordinator in a thread of its own, and services that talk to it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::thread::JoinHandle;
use std::time::Duration;

use longhaul_control::core::state::{Attempt, Change, Node, Run, RunState, State, Told};
use longhaul_control::server::store::{Entered, Failure, ReadJournal, Search, Store};
use longhaul_control::server::{Config, config, run};
use longhaul_control::setup;
use longhaul_link::connection::LinkReader;
use longhaul_link::{Connection, Identity, Outbox, Role};
use longhaul_protocol::ask::{Events, Row};
use longhaul_protocol::job::{DriveChoice, Job, Place, Restart, Work};
use longhaul_protocol::order::What;
use longhaul_protocol::report::{Part, Point};
use longhaul_protocol::run::{Epoch, Token};
use longhaul_protocol::{Answer, AttemptId, Hello, Name, Order, Report, RunId, Time, VERSION};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

/// Nobody has to wait so long for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// What a store was told, in order.
#[derive(Debug, Default)]
pub struct Disk {
    pub state: State,
    pub journals: std::collections::BTreeMap<AttemptId, Vec<u8>>,
    /// Files of sets, and sets that the catalog knows.
    pub sets: std::collections::BTreeMap<AttemptId, Vec<u8>>,
    pub entered: Vec<Entered>,
    pub commits: usize,
    /// What people were told, or not.
    pub told: Vec<Told>,
    /// How long each takes.
    pub pause: Duration,
    /// It is broken.
    pub is_broken: bool,
}

/// A store in memory, which a test looks into.
#[derive(Debug, Clone, Default)]
pub struct Memory(pub Arc<Mutex<Disk>>);

impl Store for Memory {
    fn keep(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure> {
        let mut disk = self.0.lock().expect("a disk");
        let file = disk.journals.entry(attempt.clone()).or_default();
        file.truncate(usize::try_from(part.offset)?);
        file.extend_from_slice(&part.bytes);
        Ok(())
    }

    fn keep_set(&mut self, attempt: &AttemptId, part: &Part) -> Result<(), Failure> {
        let mut disk = self.0.lock().expect("a disk");
        let file = disk.sets.entry(attempt.clone()).or_default();
        file.truncate(usize::try_from(part.offset)?);
        file.extend_from_slice(&part.bytes);
        Ok(())
    }

    fn events(&self, _query: &Events) -> Result<(Vec<Row>, Option<String>), Failure> {
        Ok((Vec::new(), None))
    }

    fn copy_if_due(&mut self, _now: Time) {}

    fn commit(
        &mut self,
        _now: Time,
        changes: &[Change],
        sets: &[Entered],
    ) -> Result<Vec<(AttemptId, String)>, Failure> {
        let pause = self.0.lock().expect("a disk").pause;
        std::thread::sleep(pause);
        let mut disk = self.0.lock().expect("a disk");
        if disk.is_broken {
            return Err("the disk is full".into());
        }
        for change in changes {
            if let Change::Told(told) = change {
                disk.told.push(told.clone());
            }
            disk.state.apply(change.clone());
        }
        disk.commits += 1;
        disk.entered.extend_from_slice(sets);
        Ok(Vec::new())
    }

    fn reader(&self) -> ReadJournal {
        let disk = self.0.clone();
        Arc::new(move |attempt, offset, max| {
            let disk = disk.lock().expect("a disk");
            let file = disk.journals.get(attempt).ok_or("no journal")?;
            let rest = file.get(usize::try_from(offset)?..).unwrap_or_default();
            Ok(rest[..rest.len().min(max)].to_vec())
        })
    }

    fn searcher(&self) -> Search {
        Arc::new(|_, _| Answer::Done)
    }
}

/// A coordinator, and the folder of its cluster.
pub struct Bed {
    pub dir: TempDir,
    pub cluster: Uuid,
    pub address: SocketAddr,
    pub disk: Arc<Mutex<Disk>>,
    /// Has the coordinator read its file again.
    pub reload: watch::Sender<()>,
    ends: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl Bed {
    /// One that knows these nodes, each with an attempt under way.
    pub fn new(nodes: &[&str]) -> Bed {
        Bed::with(nodes, |_| {})
    }

    pub fn with(nodes: &[&str], prepare: impl FnOnce(&mut Disk)) -> Bed {
        hear_the_log();
        let dir = tempfile::tempdir().expect("a folder");
        let cluster = setup::init(dir.path(), None, config::LISTEN, 30).expect("a cluster");
        let memory = Memory::default();
        let disk = memory.0.clone();
        let state = {
            let mut disk = disk.lock().expect("a disk");
            for node in nodes {
                add(&mut disk.state, node);
            }
            prepare(&mut disk);
            disk.state.clone()
        };
        let config = Config::load(dir.path()).expect("a configuration");
        let (ends, ended) = oneshot::channel();
        let (reload, reloads) = watch::channel(());
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                bound
                    .send(socket.local_addr().expect("an address"))
                    .expect("told");
                let ends = async { drop(ended.await) };
                let ran = run(config, socket, memory, state, reloads, ends).await;
                ran.map_err(|error| longhaul_control::chain(&error))
            })
        });
        Bed {
            cluster,
            address: address.recv().expect("an address"),
            disk,
            reload,
            ends: Some(ends),
            thread: Some(thread),
            dir,
        }
    }

    /// Has the coordinator end, if it has not, and gives how.
    pub fn end(&mut self) -> Result<(), String> {
        drop(self.ends.take());
        let thread = self.thread.take().expect("it ran");
        thread.join().expect("no panic")
    }

    /// How it ended by itself.
    pub fn wait(&mut self) -> Result<(), String> {
        let thread = self.thread.take().expect("it ran");
        thread.join().expect("no panic")
    }

    pub fn folder(&self, role: &Role) -> PathBuf {
        let out = self.dir.path().join(format!("{role}").replace(' ', "-"));
        if !out.exists() {
            setup::enroll(self.dir.path(), role, 30, &out).expect("enrolled");
        }
        out
    }

    pub fn identity(&self, role: &Role) -> Identity {
        Identity::load(&self.folder(role)).expect("an identity")
    }

    pub fn node(&self, node: &str) -> Identity {
        self.identity(&Role::Node(name(node)))
    }

    /// A connection of a node on which it says what it likes.
    pub async fn raw(&self, node: &str) -> (TlsStream<TcpStream>, Peer) {
        let dir = self.folder(&Role::Node(name(node)));
        let (stream, peer) = shows(self.address, &dir.join("ca.pem"), Some(&dir)).await;
        (stream.expect("connected"), peer)
    }

    pub async fn connect(&self, identity: &Identity) -> Connection {
        let connected = Connection::connect(identity, &self.address.to_string()).await;
        connected.expect("connected")
    }

    pub fn hello(&self, node: &str) -> Hello {
        Hello {
            version: VERSION,
            cluster: self.cluster,
            node: name(node),
            boot: Uuid::from_u128(1),
            epoch: Epoch(0),
            now: Time(0),
        }
    }

    /// A service that was welcome.
    pub async fn service(&self, node: &str) -> Service {
        let mut service = Service::new(self.connect(&self.node(node)).await, node);
        service.say(Report::Hello(self.hello(node)));
        let welcome = service.hear().await;
        assert!(matches!(welcome, What::Welcome { .. }), "{welcome:?}");
        service
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.end();
        }
    }
}

/// A service on its node.
pub struct Service {
    pub node: String,
    pub reader: LinkReader,
    pub outbox: Outbox<Report>,
    journal_bytes: u64,
}

impl Service {
    pub fn new(connection: Connection, node: &str) -> Service {
        let (reader, writer, outbox) = connection.split();
        tokio::spawn(writer.run());
        Service {
            node: node.to_owned(),
            reader,
            outbox,
            journal_bytes: 0,
        }
    }

    pub fn say(&self, report: Report) {
        self.outbox.say(report).expect("said");
    }

    /// What it is told; none when the connection is over.
    pub async fn hear_if(&mut self) -> Option<What> {
        let heard = self.reader.message::<Order>(PATIENCE).await;
        heard.ok().flatten().map(|order| order.what)
    }

    pub async fn hear(&mut self) -> What {
        self.hear_if().await.expect("an order")
    }

    /// Writes so many bytes of its journal, and a checkpoint; gives how many
    /// bytes of it are known to be durable then.
    pub async fn checkpoint(&mut self, bytes: usize) -> u64 {
        let (attempt, token) = (attempt_of(&self.node), Token(1));
        let offset = self.journal_bytes;
        self.journal_bytes += bytes as u64;
        let part = Part {
            offset,
            bytes: vec![7; bytes],
        };
        self.say(Report::Journal {
            attempt: attempt.clone(),
            token,
            part,
        });
        let point = point(self.journal_bytes);
        self.say(Report::Checkpoint {
            attempt,
            token,
            point,
        });
        let mut kept = 0;
        for _ in 0..2 {
            match self.hear().await {
                What::Kept { journal_bytes, .. } => kept = journal_bytes,
                other => panic!("{other:?}"),
            }
        }
        kept
    }
}

pub fn point(journal_bytes: u64) -> Point {
    Point {
        taken: Time(0),
        volume: Uuid::from_u128(2),
        block: journal_bytes,
        members: journal_bytes,
        bytes: journal_bytes,
        journal_bytes,
    }
}

/// The attempt that is under way on a node.
pub fn attempt_of(node: &str) -> AttemptId {
    AttemptId {
        run: RunId {
            job: name(node),
            due: Time(0),
        },
        number: 1,
    }
}

/// A node, with a run that is under way on it.
fn add(state: &mut State, node: &str) {
    let id = attempt_of(node);
    let job = Job {
        name: name(node),
        work: Work {
            paths: vec!["/srv".into()],
            ..Work::default()
        },
        place: Place::Node(name(node)),
        drive: DriveChoice::Serial(name(&format!("drive-{node}"))),
        volumes: name("daily"),
        restart: Restart::Checkpoint,
        retries: 3,
        window: None,
    };
    let run = Run {
        job,
        state: RunState::Active,
        attempts: 1,
        failures: 0,
        not_before: Time(0),
        is_stopped: false,
    };
    let attempt = Attempt {
        node: name(node),
        drive: name(&format!("drive-{node}")),
        token: Token(1),
        preempts: Vec::new(),
        volumes: Vec::new(),
        resumes: None,
        ordered: Time(0),
        journal_bytes: 0,
        set_bytes: 0,
        point: None,
        ended: None,
    };
    for change in [
        Change::Node(name(node), Node::default()),
        Change::Run(id.run.clone(), Box::new(run)),
        Change::Attempt(id, Box::new(attempt)),
    ] {
        state.apply(change);
    }
}

/// All lines of the log, of all tests.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Log;

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("longhaul")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            LOG.lock().expect("a log").push(line);
        }
    }

    fn flush(&self) {}
}

fn hear_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Log).expect("no other");
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// A connection to the coordinator whose port nobody else has, and with it what
/// finds it in the log.
pub struct Peer {
    address: SocketAddr,
    /// Lines of the log before it came.
    since: usize,
}

impl Peer {
    pub async fn connect(to: SocketAddr) -> (TcpStream, Peer) {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Ports that the kernel picks later may be picked twice, for two servers.
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = socket.local_addr().expect("an address");
        let since = LOG.lock().expect("a log").len();
        let stream = socket.connect(to).await.expect("connected");
        (stream, Peer { address, since })
    }

    /// Lines of the log that name it, once there is one that warns.
    pub async fn warned(&self) -> Vec<String> {
        let word = format!(" {}: ", self.address);
        for _ in 0..1000 {
            let lines: Vec<String> = {
                let log = LOG.lock().expect("a log");
                let lines = log.iter().skip(self.since);
                lines.filter(|line| line.contains(&word)).cloned().collect()
            };
            if lines.iter().any(|line| line.starts_with("WARN")) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing is said of {}", self.address);
    }
}

/// Goes to the coordinator, trusting the authority in a file, and shows this
/// certificate or none. A client knows only later that it is not wanted.
pub async fn shows(
    to: SocketAddr,
    ca: &Path,
    shown: Option<&Path>,
) -> (std::io::Result<TlsStream<TcpStream>>, Peer) {
    let certificate = |path: &Path| {
        let pem = fs::read(path).expect("a file");
        CertificateDer::from_pem_slice(&pem).expect("a certificate")
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificate(ca)).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(dir) => {
            let pem = fs::read(dir.join("key.pem")).expect("a file");
            let key = PrivateKeyDer::from_pem_slice(&pem).expect("a key");
            let chain = vec![certificate(&dir.join("cert.pem"))];
            let built = builder.with_client_auth_cert(chain, key);
            built.expect("a configuration")
        }
    };
    let (stream, peer) = Peer::connect(to).await;
    let name = ServerName::try_from("coordinator.longhaul").expect("a name");
    let connector = TlsConnector::from(Arc::new(config));
    (connector.connect(name, stream).await, peer)
}
