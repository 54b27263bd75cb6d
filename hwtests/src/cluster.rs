//! A cluster of real processes on this host: a coordinator, backup services, and
//! a library whose drives outlive their movers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;
use serde_json::{Value, json};

use crate::compare::{below, expect_equal};
use crate::daemon::{Daemon, children, only_child};
use crate::program::{Finished, ours, run, run_within};
use crate::proxy::Proxy;
use crate::scratch::{Scratch, remove_tree};
use crate::served::{self, Served};
use crate::shown::Shown;
use crate::until::{PATIENCE, until};

/// Bytes of a record on the volumes.
const RECORD_BYTES: &str = "65536";
/// What each file of the source has, in bytes.
const FILE_BYTES: usize = 1_000_000;
/// Each write takes so long, and so a backup can be interrupted.
const PACE: &str = "[[fault]]\nopcode = \"WRITE(6)\"\ntimes = 1000000000\nexecuted = true\n\
                    hang = \"20ms\"\n";
/// The port that lh-control takes, and one for a proxy beside it.
const PORTS: [u16; 2] = [7417, 7418];
/// Who has nothing to do ends at once; a service that waits until all is heard
/// waits for a minute.
const ENDING: Duration = Duration::from_secs(40);
/// Lines of each log that a failure shows, the last ones.
const LOG_LINES: usize = 40;

/// What a cluster is to be like.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its nodes, on which services run.
    pub nodes: &'static [&'static str],
    /// Its volumes, all in one pool.
    pub volumes: &'static [&'static str],
    /// How much each holds.
    pub capacity: &'static str,
    /// Files of the source, of a megabyte each.
    pub files: usize,
    /// What each drive does beside being slow, as a fault plan.
    pub faults: [&'static str; 2],
    /// Services reach the coordinator by a proxy.
    pub by_proxy: bool,
    /// Services know of no changer: volumes are brought by hand.
    pub by_hand: bool,
    /// The only drive that a node reaches, of nodes that do not reach both.
    pub only: &'static [(&'static str, usize)],
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            nodes: &["a", "b"],
            volumes: &["LH0001", "LH0002"],
            capacity: "64MiB",
            files: 20,
            faults: ["", ""],
            by_proxy: false,
            by_hand: false,
            only: &[],
        }
    }
}

impl Plan {
    /// Which drives a node reaches.
    fn reaches(&self, node: &str) -> Vec<usize> {
        let only = self.only.iter().find(|(one, _)| *one == node);
        only.map_or_else(|| vec![0, 1], |(_, drive)| vec![*drive])
    }
}

/// A cluster that runs. All of it ends with the value.
#[derive(Debug)]
pub struct Cluster {
    services: BTreeMap<&'static str, Daemon>,
    coordinator: Option<Daemon>,
    proxy: Option<Proxy>,
    served: Served,
    address: Ipv4Addr,
    volumes: BTreeMap<String, String>,
    restores: Cell<u32>,
    // Last: all that is in it is used by those before.
    scratch: Scratch,
}

/// A test of a cluster; when it fails, the logs are shown.
///
/// # Errors
/// The test's, and if there is no cluster.
pub fn cluster(plan: &Plan, test: impl FnOnce(&mut Cluster) -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    let mut cluster = Cluster::start(plan)?;
    let result = test(&mut cluster).and_then(|()| cluster.end());
    if result.is_err() {
        eprintln!("{}", cluster.logs());
    }
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    let took = begun.elapsed().as_secs_f64();
    // Past the capture of the test harness; nobody may be listening.
    let _ = writeln!(io::stderr(), "TIME: {name}: {took:.1} s");
    result
}

impl Cluster {
    fn start(plan: &Plan) -> Result<Cluster> {
        let scratch = Scratch::new()?;
        let served = library(&scratch, plan)?;
        let mut cluster = Cluster {
            services: BTreeMap::new(),
            coordinator: None,
            proxy: None,
            served,
            address: own_address(),
            volumes: BTreeMap::new(),
            restores: Cell::new(0),
            scratch,
        };
        cluster.source(plan.files)?;
        let listen = cluster.listen_address().to_string();
        cluster
            .control(&["init", "--listen", &listen])?
            .expect_success()?;
        let toml = format!("listen = \"{listen}\"\nalive_s = 1\nretry_s = 1\n");
        fs::write(cluster.join("control/coordinator.toml"), toml)?;
        cluster.start_coordinator()?;
        for volume in plan.volumes {
            cluster.add_volume(volume)?;
        }
        if plan.by_proxy {
            let (at, to) = (cluster.proxy_address(), cluster.listen_address());
            cluster.proxy = Some(Proxy::start(at, to)?);
        }
        for &node in plan.nodes {
            cluster.enroll(node, plan)?;
            cluster.control(&["node", "add", node])?.expect_success()?;
            cluster.start_service(node)?;
        }
        cluster.drives_are_known(plan)?;
        Ok(cluster)
    }

    /// A path in the scratch folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.scratch.join(name)
    }

    /// What is backed up.
    pub fn tree(&self) -> PathBuf {
        self.join("source")
    }

    /// Serial numbers of the drives.
    pub fn serials(&self) -> Vec<String> {
        let serial = |drive: &String| drive.rsplit('#').next().unwrap_or_default().to_owned();
        self.served.drives.iter().map(serial).collect()
    }

    /// The cartridge of a volume.
    pub fn cartridge(&self, volume: &str) -> PathBuf {
        self.join(format!("lib/cartridges/{volume}L9.vtape"))
    }

    /// The network to the coordinator.
    ///
    /// # Errors
    /// If there is no proxy.
    pub fn proxy(&self) -> Result<&Proxy> {
        self.proxy.as_ref().context("a proxy")
    }

    /// Where the coordinator listens.
    fn listen_address(&self) -> SocketAddr {
        (self.address, PORTS[0]).into()
    }

    /// Where a proxy may listen.
    fn proxy_address(&self) -> SocketAddr {
        (self.address, PORTS[1]).into()
    }

    /// Files of a megabyte that do not compress, the first of them in a folder of
    /// its own.
    fn source(&self, files: usize) -> Result<()> {
        let folder = self.tree();
        fs::create_dir_all(folder.join("0"))?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for number in 0..files {
            let mut bytes = Vec::with_capacity(FILE_BYTES + 8);
            while bytes.len() < FILE_BYTES {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                bytes.extend(state.to_le_bytes());
            }
            bytes.truncate(FILE_BYTES);
            let place = if number == 0 { "0/first" } else { "" };
            let name = format!("{number:03}");
            let name = if place.is_empty() { &name } else { place };
            fs::write(folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// Makes a cartridge of the library a volume of the pool.
    ///
    /// # Errors
    /// If that is refused.
    pub fn add_volume(&mut self, volume: &str) -> Result<()> {
        let mut label = self.mover(&["label", "--library", &self.served.changer, "--json"])?;
        label.args(["--volume", volume, "--record-bytes", RECORD_BYTES]);
        let label = run(&mut label)?.expect_success()?;
        let label: Value = serde_json::from_str(&label.text())?;
        let uuid = label["uuid"].as_str().context("an identity")?.to_owned();
        self.tapelib(&["unload", volume])?;
        let add = ["volume", "add", volume, "--uuid", &uuid, "--pool", "daily"];
        self.control(&add)?.expect_success()?;
        self.volumes.insert(uuid, volume.to_owned());
        Ok(())
    }

    /// Moves a cartridge, as an operator does: `lh-tapelib`.
    ///
    /// # Errors
    /// If it fails.
    pub fn tapelib(&self, args: &[&str]) -> Result<()> {
        let moved = self.served.tapelib(&self.scratch, args)?;
        moved.expect_success()?;
        Ok(())
    }

    fn enroll(&self, node: &str, plan: &Plan) -> Result<()> {
        let out = self.join(format!("nodes/{node}"));
        let text = out.to_str().context("a path of UTF-8")?;
        self.control(&["enroll", node, "--out", text])?
            .expect_success()?;
        let coordinator = match plan.by_proxy {
            true => self.proxy_address(),
            false => self.listen_address(),
        };
        let of_node = |name: &String| format!("{name}?initiator={node}");
        let drives = plan.reaches(node).into_iter();
        let drives: Vec<String> = drives.map(|at| of_node(&self.served.drives[at])).collect();
        let changers = match plan.by_hand {
            true => Vec::new(),
            false => vec![of_node(&self.served.changer)],
        };
        let toml = format!(
            "coordinator = \"{coordinator}\"\ntls = \".\"\nstate = \"state\"\nsocket = \"sock\"\ndiscover = false\n\
             drives = {drives:?}\nchangers = {changers:?}\nlook_s = 1\nbuffer_mib = 8\n\
             checkpoint_s = 0.05\n"
        );
        fs::write(out.join("mover.toml"), toml)?;
        Ok(())
    }

    /// Waits until each node has said which drives it reaches.
    fn drives_are_known(&self, plan: &Plan) -> Result<()> {
        until("all nodes reach their drives", || {
            let rows = self.ask(&["node", "list"])?;
            let count = |row: &Value| row["row"]["reaches"].as_array().map_or(0, Vec::len);
            let wanted = |row: &Value| row["key"].as_str().map_or(0, |key| plan.reaches(key).len());
            let rows = rows.as_array().context("a list")?;
            let knowing = rows.iter().filter(|row| count(row) == wanted(row)).count();
            Ok((knowing == plan.nodes.len()).then_some(()))
        })?;
        for serial in self.serials() {
            let args = ["drive", "change", &serial, "--pool", "drives"];
            self.control(&args)?.expect_success()?;
        }
        Ok(())
    }

    /// Starts the coordinator, and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_coordinator(&mut self) -> Result<()> {
        let dir = self.join("control");
        let args = ["--dir", dir.to_str().context("UTF-8")?, "-v", "serve"];
        let daemon = Daemon::start("lh-control", &args, &self.join("control.log"))?;
        self.coordinator = Some(daemon);
        self.ask(&["status"])?;
        Ok(())
    }

    /// Starts the service of a node.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_service(&mut self, node: &'static str) -> Result<()> {
        let config = self.join(format!("nodes/{node}/mover.toml"));
        let args = ["-v", "serve", "--config", config.to_str().context("UTF-8")?];
        let log = self.join(format!("{node}.log"));
        let daemon = Daemon::start("lh-mover", &args, &log)?;
        self.services.insert(node, daemon);
        Ok(())
    }

    /// The coordinator, to be killed or ended.
    ///
    /// # Errors
    /// If there is none.
    pub fn take_coordinator(&mut self) -> Result<Daemon> {
        self.coordinator.take().context("a coordinator")
    }

    /// The coordinator.
    ///
    /// # Errors
    /// If there is none.
    pub fn coordinator(&self) -> Result<&Daemon> {
        self.coordinator.as_ref().context("a coordinator")
    }

    /// The service of a node, to be killed or ended.
    ///
    /// # Errors
    /// If there is none.
    pub fn take_service(&mut self, node: &str) -> Result<Daemon> {
        self.services.remove(node).context("a service")
    }

    /// The service of a node.
    ///
    /// # Errors
    /// If there is none.
    pub fn service(&self, node: &str) -> Result<&Daemon> {
        self.services.get(node).context("a service")
    }

    /// The only attempt's process on a node.
    ///
    /// # Errors
    /// If there is none, or more.
    pub fn attempt_on(&self, node: &str) -> Result<Pid> {
        only_child(self.service(node)?.pid())
    }

    /// `lh-control` with these arguments.
    ///
    /// # Errors
    /// If it could not be run.
    pub fn control(&self, args: &[&str]) -> Result<Finished> {
        let mut control = Command::new(ours("lh-control")?);
        control.arg("--dir").arg(self.join("control")).args(args);
        run_within(&mut control, PATIENCE)
    }

    /// What it answers to a script.
    ///
    /// # Errors
    /// If it fails.
    pub fn ask(&self, args: &[&str]) -> Result<Value> {
        let mut all = vec!["--json"];
        all.extend(args);
        let answer = self.control(&all)?.expect_success()?;
        serde_json::from_str(&answer.text()).with_context(|| format!("no JSON: {answer}"))
    }

    fn mover(&self, args: &[&str]) -> Result<Command> {
        let mut mover = Command::new(ours("lh-mover")?);
        mover.args(args).arg("--catalog");
        mover.arg(self.join("control/catalog"));
        Ok(mover)
    }

    /// A job of the whole source, on any drive, with what else is said.
    ///
    /// # Errors
    /// If it is not taken.
    pub fn job(&self, name: &str, node: &str, more: Value) -> Result<()> {
        let mut job = json!({
            "name": name, "work": {"paths": [self.tree()]}, "place": {"node": node},
            "drive": {"pool": "drives"}, "volumes": "daily",
        });
        merge(&mut job, more);
        let file = self.join(format!("{name}.json"));
        fs::write(&file, job.to_string())?;
        self.control(&["job", "add", file.to_str().context("UTF-8")?])?
            .expect_success()?;
        Ok(())
    }

    /// Has a job run; gives the run.
    ///
    /// # Errors
    /// If it is refused.
    pub fn begin(&self, job: &str) -> Result<String> {
        let run = self.ask(&["job", "run", job])?;
        Ok(run["run"].as_str().context("a run")?.to_owned())
    }

    /// All that there is of a run, its attempts the oldest first.
    ///
    /// # Errors
    /// If there is no such run.
    pub fn shown(&self, run: &str) -> Result<Shown> {
        let mut shown = self.ask(&["run", "show", run])?;
        let attempts = shown["attempts"].as_array_mut().context("a list")?;
        let mut attempts: Vec<Value> = attempts.iter_mut().map(|one| one["row"].take()).collect();
        attempts.reverse();
        Ok(Shown {
            status: shown["status"].take(),
            attempts,
        })
    }

    /// Waits until the run's attempt of this number has a checkpoint behind so
    /// many bytes, which the coordinator has made durable.
    ///
    /// # Errors
    /// If it has not, or the attempt is over before.
    pub fn in_the_middle(&self, run: &str, number: usize, bytes: u64) -> Result<Shown> {
        until(&format!("{run}-{number} is at {bytes} bytes"), || {
            let shown = self.shown(run)?;
            let Some(attempt) = shown.attempts.get(number - 1) else {
                return Ok(None);
            };
            ensure!(attempt["ended"].is_null(), "it has ended: {shown:?}");
            let reached = attempt["point"]["bytes"].as_u64();
            Ok((reached >= Some(bytes)).then_some(shown))
        })
    }

    /// Waits for a run's end with this exit code, as a crontab does.
    ///
    /// # Errors
    /// If it ends otherwise.
    pub fn ends_with(&self, run: &str, exit: i32) -> Result<Shown> {
        let waited = self.control(&["run", "wait", run])?;
        if waited.code() != Some(exit) {
            eprintln!("{:#?}", self.shown(run));
        }
        waited.expect_code(exit)?;
        self.shown(run)
    }

    /// Waits until a run is done, and looks at all of it: see [`Shown::check`];
    /// its set comes back from the tape, as the source is.
    ///
    /// # Errors
    /// If anything is not as it should be.
    pub fn is_done(&self, run: &str) -> Result<Shown> {
        let shown = self.ends_with(run, 0)?;
        shown.check().with_context(|| format!("{shown:#?}"))?;
        self.restores(&shown)?;
        Ok(shown)
    }

    /// Restores what a run has made, and compares it.
    ///
    /// # Errors
    /// If it is not what the source is.
    pub fn restores(&self, shown: &Shown) -> Result<()> {
        let last = shown.attempts.last().context("an attempt")?;
        let set = &last["ended"]["set"];
        let parts = set["parts"].as_array().context("parts of a set")?;
        let name = |part: &Value| part["volume"].as_str().and_then(|v| self.volumes.get(v));
        let volumes: Option<Vec<&str>> = parts.iter().map(|p| name(p).map(|n| &**n)).collect();
        let volumes = volumes.context("known volumes")?;
        self.restores.set(self.restores.get() + 1);
        let to = self.join(format!("restored-{}", self.restores.get()));
        let mut restore = self.mover(&["restore", "--library", &self.served.changer])?;
        restore.args(["--volume", &volumes.join(","), "--set"]);
        restore.arg(set["uuid"].as_str().context("an identity")?);
        run(restore.arg("--to").arg(&to))?.expect_success()?;
        expect_equal(&self.tree(), &below(&to, &self.tree())?)?;
        remove_tree(&to)
    }

    /// Nothing is under way, nothing waits, nobody holds anything; and then all
    /// programs end in order.
    fn end(&mut self) -> Result<()> {
        for drive in self.ask(&["drive", "list"])?.as_array().context("a list")? {
            ensure!(drive["row"]["holder"].is_null(), "{drive}");
        }
        let status = self.ask(&["status"])?;
        for kind in ["active", "waiting"] {
            let lines = status[kind]["lines"].as_array();
            ensure!(lines.is_some_and(Vec::is_empty), "{kind}: {status}");
        }
        for service in self.services.values() {
            until("no process of an attempt is left", || {
                Ok(children(service.pid())?.is_empty().then_some(()))
            })?;
        }
        for (_, service) in std::mem::take(&mut self.services) {
            let status = service.end(ENDING)?;
            ensure!(status.success(), "a service ended with {status}");
        }
        let status = self.take_coordinator()?.end(ENDING)?;
        ensure!(status.success(), "the coordinator ended with {status}");
        Ok(())
    }

    /// What a node's service, and its attempts, have logged.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn log(&self, node: &str) -> Result<String> {
        let said = fs::read(self.join(format!("{node}.log")))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    fn logs(&self) -> String {
        let mut all = String::new();
        for log in ["control.log", "a.log", "b.log"] {
            let said = fs::read(self.join(log)).unwrap_or_default();
            let said = String::from_utf8_lossy(&said);
            // The polls of the test itself are many, and tell nothing.
            let lines = said.lines().filter(|line| !line.ends_with("has left"));
            let lines: Vec<&str> = lines.collect();
            let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
            all += &format!("==> {log}\n{}\n", tail.join("\n"));
        }
        all
    }
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                // A place or a drive is chosen in one way.
                match into.get_mut(&key) {
                    Some(old) if key == "work" => merge(old, value),
                    _ => drop(into.insert(key, value)),
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// An address of this host that no other cluster has, nor any connection of this
/// host's to another: all of 127/8 are its own.
fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let [.., high, low] = process.to_be_bytes();
    Ipv4Addr::new(127, high | 64, low, COUNT.fetch_add(1, Ordering::Relaxed))
}

fn library(scratch: &Scratch, plan: &Plan) -> Result<Served> {
    let sizes = ["--drives", "2", "--slots", "8", "--cartridges", "6"];
    let args = [&sizes[..], &["--capacity", plan.capacity]].concat();
    served::create(scratch, &args)?;
    let lib = scratch.join("lib");
    let path = lib.join("library.toml");
    let mut text = fs::read_to_string(&path)?;
    for (number, faults) in plan.faults.iter().enumerate() {
        let name = format!("drive-{number}.toml");
        fs::write(lib.join(&name), format!("{faults}{PACE}"))?;
        let with = format!("[[drives]] #\nfaults = \"{name}\"\n");
        text = text.replacen("[[drives]]\n", &with, 1);
    }
    fs::write(path, text)?;
    Served::start(scratch)
}
