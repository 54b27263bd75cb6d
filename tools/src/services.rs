//! What many services cost a coordinator: real connections and certificates, on
//! loopback, from tasks of one process to a real `lh-control serve`.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use longhaul_control::core::state::{Attempt, Change, Node, Run, RunState};
use longhaul_control::database::Database;
use longhaul_control::server::config;
use longhaul_control::setup;
use longhaul_link::{Authority, Connection, Identity, Role};
use longhaul_protocol::job::Job;
use longhaul_protocol::order::What;
use longhaul_protocol::report::{Part, Point};
use longhaul_protocol::run::{Epoch, Token};
use longhaul_protocol::{AttemptId, Hello, Name, Order, Report, RunId, Time, VERSION};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, interval_at, sleep};
use uuid::Uuid;

/// The coordinator is there within this time.
const STARTS_IN: Duration = Duration::from_secs(20);
/// Nothing takes so long that is acknowledged at all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Services that connect at a time.
const CONNECTING: usize = 32;
/// Bytes of an archive between two checkpoints: what a drive writes in 10 s.
const ARCHIVE_BYTES: u64 = 4_000_000_000;
/// Clock ticks a second, in /proc (USER_HZ is 100 on all of Linux).
const TICKS_A_SECOND: f64 = 100.0;

/// Services that checkpoint.
#[derive(Args)]
pub struct Services {
    /// How many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=4000))]
    services: u32,
    /// For how many seconds they are measured
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds between two checkpoints of a service
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every_s: u64,
    /// Bytes of journal before each checkpoint
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=524_288))]
    journal_bytes: u32,
    /// The program lh-control
    #[arg(long)]
    control: PathBuf,
    /// An empty folder
    dir: PathBuf,
}

/// A coordinator that runs; it is killed unless it is ended before.
struct Coordinator(Child);

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Services {
    /// Measures, and prints what it has found.
    ///
    /// # Errors
    /// Whatever fails: of the coordinator, or of one service.
    pub fn run(&self) -> Result<()> {
        let names: Vec<Name> = (0..self.services)
            .map(|number| Ok(format!("node{number}").parse()?))
            .collect::<Result<_>>()?;
        let cluster = self.prepare(&names)?;
        let address = self.configure()?;
        let child = Command::new(&self.control)
            .args(["serve", "--dir"])
            .arg(&self.dir)
            .env("RUST_LOG", "warn")
            .spawn()
            .with_context(|| format!("{} does not start", self.control.display()))?;
        let mut coordinator = Coordinator(child);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let figures = runtime.block_on(self.measure(&names, cluster, address, &coordinator.0))?;
        kill(
            Pid::from_raw(i32::try_from(coordinator.0.id())?),
            Signal::SIGTERM,
        )?;
        let status = coordinator.0.wait()?;
        ensure!(status.success(), "the coordinator ended with {status}");
        println!("{figures}");
        Ok(())
    }

    /// A cluster in which each node has an attempt under way.
    fn prepare(&self, names: &[Name]) -> Result<Uuid> {
        let cluster = setup::init(&self.dir, None, config::LISTEN, 1)?;
        let authority = Authority::open(&self.dir.join(setup::CA))?;
        let (mut database, _) = Database::open(&self.dir, Time(0))?;
        let mut changes = Vec::new();
        for node in names {
            let role = Role::Node(node.clone());
            authority.issue(&role, 1, &self.folder(node))?;
            changes.extend(under_way(node)?);
        }
        database.commit(Time(0), &changes)?;
        Ok(cluster)
    }

    fn folder(&self, node: &Name) -> PathBuf {
        self.dir.join(setup::NODES).join(node.as_str())
    }

    /// Has the coordinator listen where nobody else does.
    fn configure(&self) -> Result<SocketAddr> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let path = self.dir.join(config::FILE);
        let text = fs::read_to_string(&path)?;
        let text = text.replace(&config::LISTEN.to_string(), &address.to_string());
        fs::write(&path, text)?;
        Ok(address)
    }

    async fn measure(
        &self,
        names: &[Name],
        cluster: Uuid,
        address: SocketAddr,
        coordinator: &Child,
    ) -> Result<String> {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            ensure!(
                begun.elapsed() < STARTS_IN,
                "the coordinator does not start"
            );
            sleep(Duration::from_millis(20)).await;
        }
        let begun = Instant::now();
        let mut connections = Vec::new();
        for names in names.chunks(CONNECTING) {
            let mut tasks = JoinSet::new();
            for node in names {
                let identity = Identity::load(&self.folder(node))?;
                let node = node.clone();
                let to = address.to_string();
                tasks.spawn(async move { (node, Connection::connect(&identity, &to).await) });
            }
            while let Some(connected) = tasks.join_next().await {
                let (node, connection) = connected?;
                connections.push((node, connection?));
            }
        }
        let connect_s = begun.elapsed().as_secs_f64();
        let every = Duration::from_secs(self.every_s);
        let mut tasks = JoinSet::new();
        // All have checkpointed once before anything is measured.
        let from = Instant::now() + every + Duration::from_secs(1);
        let until = from + Duration::from_secs(self.seconds);
        for (number, (node, connection)) in (0..).zip(connections) {
            let phase = every * number / self.services.max(1);
            let service = Service {
                node,
                cluster,
                journal_bytes: u64::from(self.journal_bytes),
                first: Instant::now() + phase,
                every,
                from,
                until,
            };
            tasks.spawn(service.run(connection));
        }
        let pid = coordinator.id();
        tokio::time::sleep_until(from).await;
        let cpu_s = cpu_s(pid)?;
        tokio::time::sleep_until(until).await;
        let cpu_s = self::cpu_s(pid)? - cpu_s;
        let rss_mb = memory_mb(pid)?;
        let mut ms = Vec::new();
        while let Some(service) = tasks.join_next().await {
            ms.extend(service??);
        }
        ms.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (ms.len() as f64 * share) as usize;
            ms.get(index.min(ms.len().saturating_sub(1))).copied()
        };
        let (Some(p50), Some(p99), Some(max)) = (at(0.5), at(0.99), at(1.0)) else {
            bail!("no checkpoint was acknowledged");
        };
        let cpu_percent = cpu_s / self.seconds as f64 * 100.0;
        Ok(format!(
            "services={} connect_s={connect_s:.1} checkpoints={} cpu_percent={cpu_percent:.1} \
             rss_mb={rss_mb:.0} p50_ms={p50:.1} p99_ms={p99:.1} max_ms={max:.1}",
            self.services,
            ms.len(),
        ))
    }
}

/// The rows of a node with an attempt under way.
fn under_way(node: &Name) -> Result<[Change; 3]> {
    let id = attempt(node);
    let json = format!(
        r#"{{"name":"{node}","work":{{"paths":["/srv"]}},"place":{{"node":"{node}"}},
        "drive":{{"serial":"D-{node}"}},"volumes":"daily"}}"#
    );
    let job: Job = serde_json::from_str(&json)?;
    let run = Run {
        job,
        state: RunState::Active,
        attempts: 1,
        failures: 0,
        not_before: Time(0),
        is_stopped: false,
    };
    let attempt = Attempt {
        node: node.clone(),
        drive: format!("D-{node}").parse()?,
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
    Ok([
        Change::Node(node.clone(), Node::default()),
        Change::Run(id.run.clone(), Box::new(run)),
        Change::Attempt(id, Box::new(attempt)),
    ])
}

fn attempt(node: &Name) -> AttemptId {
    let job = node.clone();
    let run = RunId { job, due: Time(0) };
    AttemptId { run, number: 1 }
}

/// One service: signs of life, and checkpoints.
struct Service {
    node: Name,
    cluster: Uuid,
    journal_bytes: u64,
    first: Instant,
    every: Duration,
    /// What is sent in between counts.
    from: Instant,
    until: Instant,
}

impl Service {
    /// Milliseconds from each checkpoint's journal being sent to it being
    /// acknowledged.
    async fn run(self, connection: Connection) -> Result<Vec<f64>> {
        let (mut reader, writer, outbox) = connection.split::<Report>();
        let writer = tokio::spawn(writer.run());
        outbox.say(Report::Hello(Hello {
            version: VERSION,
            cluster: self.cluster,
            node: self.node.clone(),
            boot: Uuid::from_u128(1),
            epoch: Epoch(0),
            now: Time(0),
        }))?;
        let welcome = reader.message::<Order>(PATIENCE).await?;
        let Some(What::Welcome { alive_ms, .. }) = welcome.map(|order| order.what) else {
            bail!("{} is not welcome", self.node);
        };
        let mut alive = interval(Duration::from_millis(alive_ms));
        let mut checkpoints = interval_at(self.first, self.every);
        let (mut sent, mut count, mut ms) = (None, 0, Vec::new());
        loop {
            tokio::select! {
                order = reader.message::<Order>(PATIENCE) => {
                    let order = order?.with_context(|| format!("{} is cut off", self.node))?;
                    // A journal is acknowledged, and then its checkpoint.
                    if matches!(order.what, What::Kept { .. })
                        && let Some((begun, kept)) = &mut sent
                    {
                        *kept += 1;
                        let begun: Instant = *begun;
                        if *kept == 2 {
                            sent = None;
                            if begun >= self.from {
                                ms.push(begun.elapsed().as_secs_f64() * 1e3);
                            }
                        }
                    }
                }
                _ = alive.tick() => outbox.say(Report::Alive { now: Time(0) })?,
                _ = checkpoints.tick() => {
                    if Instant::now() >= self.until {
                        ensure!(sent.is_none(), "{}: a checkpoint is not acknowledged", self.node);
                        break;
                    }
                    ensure!(sent.is_none(), "{}: a checkpoint is not acknowledged", self.node);
                    sent = Some((Instant::now(), 0));
                    for report in self.checkpoint(count) {
                        outbox.say(report)?;
                    }
                    count += 1;
                }
            }
        }
        drop(outbox);
        writer.await??;
        Ok(ms)
    }

    fn checkpoint(&self, number: u64) -> [Report; 2] {
        let (attempt, token) = (attempt(&self.node), Token(1));
        let part = Part {
            offset: number * self.journal_bytes,
            bytes: (0..self.journal_bytes).map(|at| at as u8).collect(),
        };
        let point = Point {
            taken: Time(0),
            volume: Uuid::from_u128(1),
            block: (number + 1) * 7641,
            members: (number + 1) * 40,
            bytes: (number + 1) * ARCHIVE_BYTES,
            journal_bytes: (number + 1) * self.journal_bytes,
        };
        [
            Report::Journal {
                attempt: attempt.clone(),
                token,
                part,
            },
            Report::Checkpoint {
                attempt,
                token,
                point,
            },
        ]
    }
}

/// CPU time of a process so far, in seconds: proc(5), utime and stime.
fn cpu_s(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || -> Result<f64> { Ok(ticks.next().context("a short stat")?.parse()?) };
    Ok((next()? + next()?) / TICKS_A_SECOND)
}

/// Peak memory of a process, in MB.
fn memory_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.context("no VmHWM")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}
