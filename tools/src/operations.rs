//! How long a coordinator takes to be ready on a database of many runs.

use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use longhaul_control::core::state::{Change, State};
use longhaul_control::core::{Asker, Coordinator, Input, Output, Settings};
use longhaul_control::database::Database;
use longhaul_protocol::report::{DriveSeen, Outcome, Part, Point, SetDone, SetPart};
use longhaul_protocol::{
    Ask, AttemptId, Command, Hello, Name, Report, RunId, Time, VERSION, job::Job,
};
use uuid::Uuid;

/// Nodes, each with a drive.
const NODES: u32 = 100;
/// Jobs of a node.
const JOBS: u32 = 10;
/// Changes of one transaction, at least.
const COMMIT: usize = 10_000;
const DAY_MS: i64 = 24 * 3_600_000;
const SETTINGS: Settings = Settings {
    cluster: Uuid::from_u128(1),
    alive_ms: 2_000,
    retry_ms: 60_000,
    is_clustered: false,
    node: None,
};

/// How long a start took.
#[derive(Debug)]
pub struct Started {
    /// Seconds until all rows were there.
    pub open_s: f64,
    /// Seconds until the coordinator had decided what to do first.
    pub start_s: f64,
    /// Runs in the database.
    pub runs: usize,
}

/// Makes a database in `dir` in which `runs` runs are over, as a coordinator
/// does that hears of each one: it begins, gets on, and ends.
///
/// # Errors
/// The database's, or a run does not take the course that it should.
pub fn make(dir: &Path, runs: u32) -> Result<()> {
    let now = now();
    let (database, state) = Database::open(dir, now)?;
    let (core, outputs) = Coordinator::start(SETTINGS, state);
    let mut center = Center {
        database,
        core,
        changes: Vec::new(),
        now,
    };
    center.take(outputs);
    for node in 0..NODES {
        center.node(node)?;
    }
    let days = i64::from(runs.div_ceil(NODES * JOBS));
    for number in 0..runs {
        let (day, of_day) = (number / (NODES * JOBS), number % (NODES * JOBS));
        center.now = Time(now.0 - DAY_MS * (days - i64::from(day)) + i64::from(of_day) * 60_000);
        center.run(of_day % NODES, of_day / NODES, number)?;
    }
    center.commit()?;
    ensure!(
        center.core.state().open_runs(None).next().is_none(),
        "a run is not over"
    );
    Ok(())
}

/// Starts a coordinator on the database in `dir`.
///
/// # Errors
/// The database's.
pub fn start(dir: &Path) -> Result<Started> {
    let begun = Instant::now();
    let (mut database, state): (Database, State) = Database::open(dir, now())?;
    let open_s = begun.elapsed().as_secs_f64();
    let (mut core, mut outputs) = Coordinator::start(SETTINGS, state);
    outputs.extend(core.handle(now(), Input::Tick));
    database.commit(now(), &changes(outputs))?;
    let start_s = begun.elapsed().as_secs_f64();
    let runs = core.state().runs.len();
    Ok(Started {
        open_s,
        start_s,
        runs,
    })
}

struct Center {
    database: Database,
    core: Coordinator,
    changes: Vec<Change>,
    now: Time,
}

impl Center {
    fn hear(&mut self, input: Input) -> Result<()> {
        let outputs = self.core.handle(self.now, input);
        self.take(outputs);
        if self.changes.len() >= COMMIT {
            self.commit()?;
        }
        Ok(())
    }

    fn told(&mut self, command: Command) -> Result<()> {
        self.hear(Input::Ask(Asker(0), Ask::Command(command)))
    }

    fn take(&mut self, outputs: Vec<Output>) {
        self.changes.extend(changes(outputs));
    }

    fn commit(&mut self) -> Result<()> {
        let changes = std::mem::take(&mut self.changes);
        Ok(self.database.commit(self.now, &changes)?)
    }

    /// Makes a node with a drive, a volume and jobs, and its service known.
    fn node(&mut self, number: u32) -> Result<()> {
        let node = name("node", number)?;
        let volume = Uuid::from_u128(u128::from(number) + 1000);
        let pool = name("pool", number)?;
        self.told(Command::AddNode { node: node.clone() })?;
        self.told(Command::AddVolume {
            uuid: volume,
            volume: name("LH", number)?,
            pool,
        })?;
        for of_node in 0..JOBS {
            let job = Box::new(job(number, of_node)?);
            self.told(Command::SetJob { job })?;
        }
        self.hear(Input::Hello(Hello {
            version: VERSION,
            cluster: SETTINGS.cluster,
            node: node.clone(),
            boot: Uuid::from_u128(5),
            epoch: self.core.state().counters.epoch,
            now: self.now,
        }))?;
        let drive = DriveSeen {
            serial: name("DRIVE", number)?,
            product: "IBM ULT3580-TD9".into(),
            library: Some("CHANGER".parse()?),
            trouble: None,
        };
        let (drives, changers) = (vec![drive], Vec::new());
        let devices = Report::Devices { drives, changers };
        self.hear(Input::Report(node.clone(), devices))?;
        let attempts = Report::Attempts {
            attempts: Vec::new(),
        };
        self.hear(Input::Report(node, attempts))
    }

    /// A run from its beginning to its end.
    fn run(&mut self, node: u32, of_node: u32, number: u32) -> Result<()> {
        let id = RunId {
            job: job_name(node, of_node)?,
            due: self.now,
        };
        self.told(Command::Run { run: id.clone() })?;
        let (attempt, row) = self
            .core
            .state()
            .newest(&id)
            .with_context(|| format!("{id} did not begin"))?;
        let (token, volumes) = (row.token, row.volumes.clone());
        let node = row.node.clone();
        let volume = *volumes.first().context("a volume")?;
        for report in [
            journal(&attempt, token),
            Report::Checkpoint {
                attempt: attempt.clone(),
                token,
                point: Point {
                    taken: self.now,
                    volume,
                    block: 1_234_567 + u64::from(number),
                    members: 123_456,
                    bytes: 987_654_321_000 + u64::from(number),
                    journal_bytes: 4096,
                },
            },
            Report::Ended {
                attempt: attempt.clone(),
                token,
                outcome: Outcome {
                    set: Some(SetDone {
                        uuid: Uuid::from_u128(u128::from(number) << 64 | 7),
                        parts: vec![SetPart {
                            volume,
                            tape_file: 1,
                            first_block: 3,
                            stream_offset: 0,
                        }],
                        record_bytes: 1 << 20,
                        host: "node".into(),
                        started: self.now,
                        file_bytes: 0,
                        members: 1_234_567,
                        bytes: 1_987_654_321_000,
                        damaged: 0,
                    }),
                    ..Outcome::done(self.now.after(3_600_000))
                },
            },
        ] {
            self.hear(Input::Report(node.clone(), report))?;
        }
        Ok(())
    }
}

fn journal(attempt: &AttemptId, token: longhaul_protocol::run::Token) -> Report {
    Report::Journal {
        attempt: attempt.clone(),
        token,
        part: Part {
            offset: 0,
            bytes: vec![0; 4096],
        },
    }
}

fn job_name(node: u32, of_node: u32) -> Result<Name> {
    Ok(format!("files-{of_node}-of-node-{node:03}").parse()?)
}

fn name(kind: &str, number: u32) -> Result<Name> {
    Ok(format!("{kind}-{number:03}").parse()?)
}

fn job(node: u32, of_node: u32) -> Result<Job> {
    let text = format!(
        r#"{{
            "name": "{}",
            "work": {{
                "paths": ["/srv/projects/{of_node}", "/home", "/etc"],
                "excludes": ["*.tmp", "/home/*/.cache"],
                "before": {{"command": "systemctl stop application-{of_node}"}}
            }},
            "place": {{"node": "node-{node:03}"}},
            "drive": {{"serial": "DRIVE-{node:03}"}},
            "volumes": "pool-{node:03}"
        }}"#,
        job_name(node, of_node)?
    );
    Ok(serde_json::from_str(&text)?)
}

fn changes(outputs: Vec<Output>) -> Vec<Change> {
    let changes = outputs.into_iter().filter_map(|output| match output {
        Output::Change(change) => Some(change),
        _ => None,
    });
    changes.collect()
}

fn now() -> Time {
    Time::from(SystemTime::now())
}
