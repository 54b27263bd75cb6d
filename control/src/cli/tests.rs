//! What operators type, through the real core.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use jiff::tz::TimeZone;
use longhaul_protocol::ask::Row;
use longhaul_protocol::report::{DriveSeen, Outcome, Point};
use longhaul_protocol::run::{Epoch, Token};
use longhaul_protocol::{Answer, Ask, AttemptId, ExitStatus, Hello, Name, Report, RunId, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use super::console::Console;
use super::link::{Line, Link};
use super::{Failure, Operator, Options};
use crate::core::state::State;
use crate::core::{Asker, Coordinator, Input, Output, Settings};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// Commands of operators stand beside others, which may have a `--dir` of their
/// own.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Init {
        #[arg(long)]
        dir: PathBuf,
    },
    #[command(flatten)]
    Operator(Operator),
}

/// A coordinator in this process. While somebody waits, what is to happen
/// happens.
struct Center {
    core: Coordinator,
    now: Time,
    happens: VecDeque<Input>,
    asks: usize,
    /// What is found in the catalog.
    found: Vec<Row>,
    /// As soon as somebody waits, what is under way on n1 ends so.
    ends: Option<ExitStatus>,
}

#[derive(Clone)]
struct World(Rc<RefCell<Center>>);

impl Line for World {
    fn ask(&mut self, ask: &Ask) -> Result<Answer, String> {
        let mut center = self.0.borrow_mut();
        center.asks += 1;
        if let Ask::Find(query) = ask {
            // One at a time, and none first.
            let at = query.after.as_ref().map(|after| after.parse::<usize>());
            let at = at.map(|at| at.expect("a number"));
            let row = at.and_then(|at| center.found.get(at).cloned());
            let next = at.map_or(0, |at| at + 1);
            return Ok(Answer::Rows {
                rows: row.into_iter().collect(),
                more: (next < center.found.len()).then(|| next.to_string()),
            });
        }
        if let (Ask::Run { .. }, Some(exit)) = (ask, center.ends) {
            let now = center.now;
            let ids: Vec<AttemptId> = center
                .core
                .state()
                .under_way(&name("n1"))
                .cloned()
                .collect();
            for id in ids {
                center.core.handle(now, World::ended(&id, exit, ""));
            }
        }
        let mut input = Input::Ask(Asker(1), ask.clone());
        for _ in 0..100 {
            let now = center.now;
            let outputs = center.core.handle(now, input);
            let mut answers = outputs.into_iter().filter_map(|output| match output {
                Output::Answer(asker, answer) => Some((asker, answer)),
                _ => None,
            });
            if let Some((asker, answer)) = answers.next() {
                assert_eq!((asker, answers.next()), (Asker(1), None));
                return Ok(answer);
            }
            center.now = center.now.after(1000);
            input = center.happens.pop_front().unwrap_or(Input::Tick);
        }
        Err("nobody answers".into())
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

impl World {
    fn new() -> World {
        let settings = Settings {
            cluster: Uuid::nil(),
            alive_ms: 1_000_000,
            retry_ms: 1_000,
            ..Settings::default()
        };
        let (core, _) = Coordinator::start(settings, State::default());
        let center = Center {
            core,
            now: Time(jiff::Timestamp::now().as_millisecond()),
            happens: VecDeque::new(),
            asks: 0,
            found: Vec::new(),
            ends: None,
        };
        World(Rc::new(RefCell::new(center)))
    }

    /// With node n1, connected, drive D1, volume LH1, and job db.
    fn with_job() -> World {
        let world = World::new();
        world.done("node add n1");
        world.connect("n1");
        world.done("drive change D1 --pool fast");
        world.done(&format!(
            "volume add LH1 --uuid {} --pool daily",
            Uuid::max()
        ));
        world.done("job add db --path /srv --node n1 --drive-pool fast --volumes daily");
        world
    }

    fn connect(&self, node: &str) {
        let now = self.0.borrow().now;
        let hello = Hello {
            version: longhaul_protocol::VERSION,
            cluster: Uuid::nil(),
            node: name(node),
            boot: Uuid::nil(),
            epoch: Epoch(0),
            now,
        };
        let drive = DriveSeen {
            serial: name("D1"),
            product: "IBM ULT3580-TD9".into(),
            library: None,
            trouble: None,
        };
        self.happens(Input::Hello(hello));
        for report in [
            Report::Devices {
                drives: vec![drive],
                changers: Vec::new(),
            },
            Report::Attempts {
                attempts: Vec::new(),
            },
        ] {
            self.happens(Input::Report(name(node), report));
        }
    }

    fn happens(&self, input: Input) {
        let mut center = self.0.borrow_mut();
        let now = center.now;
        center.core.handle(now, input);
    }

    fn later(&self, input: Input) {
        self.0.borrow_mut().happens.push_back(input);
    }

    fn run(&self, line: &str) -> (Result<ExitStatus, Failure>, String) {
        let words = line.split(' ').map(|word| word.replace('~', " "));
        let cli = Cli::try_parse_from(std::iter::once("lh-control".into()).chain(words));
        let cli = cli.unwrap_or_else(|error| panic!("{line}: {error}"));
        let world = self.clone();
        let dial = move || Ok(Box::new(world.clone()) as Box<dyn Line>);
        let mut link = Link::by(dial, Duration::ZERO);
        let mut out = Vec::new();
        let mut console = Console::new(&mut link, cli.options.json, TimeZone::UTC, &mut out);
        let Command::Operator(command) = cli.command else {
            panic!("{line}");
        };
        let result = command.run(&mut console);
        (result, String::from_utf8(out).expect("text"))
    }

    /// Runs a command that is carried out.
    fn done(&self, line: &str) -> String {
        let (result, out) = self.run(line);
        assert_eq!(result, Ok(ExitStatus::Done), "{line}: {out}");
        out
    }

    /// Runs a command that is not; how it ends, and why.
    fn fails(&self, line: &str) -> (ExitStatus, String) {
        let (result, out) = self.run(line);
        let failure = result.expect_err(line);
        assert_eq!(out, "", "{line}");
        (failure.exit, failure.why)
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{line} --json"))).expect("JSON")
    }

    /// Runs job db, and gives the attempt that has begun.
    fn begin(&self) -> AttemptId {
        let run = self.json("job run db")["run"].clone();
        let run: RunId = run.as_str().expect("a run").parse().expect("a run");
        AttemptId { run, number: 1 }
    }

    fn ended(attempt: &AttemptId, exit: ExitStatus, why: &str) -> Input {
        let report = Report::Ended {
            attempt: attempt.clone(),
            token: Token(1),
            outcome: Outcome::without_set(exit, why, attempt.run.due),
        };
        Input::Report(name("n1"), report)
    }
}

#[test]
fn the_command_line_is_one() {
    Cli::command().debug_assert();
    let cli = Cli::try_parse_from(["lh-control", "init", "--dir", "/x"]).expect("a command");
    assert!(matches!(cli.command, Command::Init { dir } if dir == *"/x"));
    let cli = Cli::try_parse_from(["lh-control", "status", "--dir", "/x", "--json"]);
    let options = cli.expect("a command").options;
    assert_eq!((options.dir, options.json), (Some("/x".into()), true));
}

#[test]
fn tables_have_a_heading_and_a_row_for_each() {
    let world = World::with_job();
    assert_eq!(
        world.done("node list"),
        "NODE  STATE  DRIVES\nn1    ready  D1\n"
    );
    assert_eq!(
        world.done("drive list"),
        "DRIVE  MODEL            POOL  LIBRARY  STATE\n\
         D1     IBM ULT3580-TD9  fast  -        free\n"
    );
    let uuid = Uuid::max();
    assert_eq!(
        world.done("volume list"),
        format!(
            "VOLUME  POOL   IDENTITY                              STATE\n\
             LH1     daily  {uuid}  open\n"
        )
    );
    assert_eq!(
        world.done("pool list"),
        "POOL   VOLUMES  WRITABLE  DRIVES  JOBS\n\
         daily  1        1                 db\n\
         fast   0        0         D1      db\n"
    );
    assert_eq!(
        world.done("job list"),
        "JOB  WHERE    DRIVE    VOLUMES  PATHS\n\
         db   node n1  of fast  daily    /srv\n"
    );
    world.done("schedule add nightly --job db --cron 30~2~*~*~* --disabled");
    assert_eq!(
        world.done("schedule list"),
        "SCHEDULE  JOB  WHEN        ZONE  NEXT\n\
         nightly   db   30 2 * * *  UTC   disabled\n"
    );
    assert_eq!(world.done("run list"), "");
    assert_eq!(world.done("run list --json"), "[]\n");
    let rows = world.json("node list");
    assert_eq!(rows[0]["key"], "n1");
    assert_eq!(rows[0]["row"]["reaches"][0], "D1");
}

#[test]
fn a_job_is_shown_as_a_file_that_changes_it() {
    let world = World::with_job();
    world.done("job change db --exclude *.tmp --window 22:00+6h --before sync --restart fresh");
    let shown = world.done("job show db");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("db.toml");
    std::fs::write(&file, shown.replace("*.tmp", "*.bak")).expect("written");
    world.done(&format!("job change {}", file.display()));
    let row = world.json("job show db")["row"].clone();
    assert_eq!(row["work"]["excludes"][0], "*.bak");
    assert_eq!(row["work"]["paths"][0], "/srv");
    assert_eq!(row["work"]["before"]["command"], "sync");
    assert_eq!(row["window"]["from"], 22 * 60);
    assert_eq!(row["restart"], "fresh");
    world.done("job change db --before= --window any --verify");
    let row = world.json("job show db")["row"].clone();
    assert_eq!(row["work"].get("before"), None);
    assert_eq!(row.get("window"), None);
    assert_eq!(row["work"]["verify"], true);
}

#[test]
fn what_is_not_there_and_what_makes_no_sense_is_usage() {
    let world = World::with_job();
    for (line, why) in [
        ("node show n2", "there is no node n2"),
        ("drain n2", "there is no node n2"),
        ("drive change D2 --well", "there is no drive D2"),
        ("volume close LH2", "there is no volume LH2"),
        ("pool show x", "there is no pool x"),
        ("job run x", "there is no job x"),
        ("job change x --verify", "there is no job x"),
        ("job remove x", "there is no job x"),
        ("job add x --path /srv", "--node or --application"),
        (
            "job add x --path srv --node n1 --drive D1 --volumes daily",
            "absolute",
        ),
        ("job change db --retries 100", "at most 99 retries"),
        ("schedule add s --job x --cron @daily", "there is no job x"),
        ("schedule add s --job db --cron x", "schedule s"),
        ("schedule add s --job db --cron @daily --zone Mars", "Mars"),
        ("schedule remove s", "there is no schedule s"),
        ("run show db@5", "there is no run db@5"),
        ("run wait db@5", "there is no run db@5"),
        ("run stop db@5", "there is no run db@5"),
        ("run resume db@5", "there is no run db@5"),
        ("run remove db@5", "there is no run db@5"),
    ] {
        let (exit, words) = world.fails(line);
        assert_eq!(exit, ExitStatus::Usage, "{line}: {words}");
        assert!(words.contains(why), "{line}: {words}");
    }
    let volume = format!("volume add LH1 --uuid {} --pool daily", Uuid::from_u128(7));
    for line in [
        "node add n1",
        &volume,
        "job add db --path /x --node n1 --drive D1 --volumes v",
    ] {
        let (exit, words) = world.fails(line);
        assert_eq!(exit, ExitStatus::Refused, "{line}");
        assert!(words.contains("is there already"), "{line}: {words}");
    }
}

#[test]
fn nothing_is_taken_from_under_what_is_under_way() {
    let world = World::with_job();
    let attempt = world.begin();
    let run = &attempt.run;
    let refused = |line: &str, why: &str| {
        let (exit, words) = world.fails(line);
        assert_eq!(exit, ExitStatus::Refused, "{line}: {words}");
        assert!(words.contains(why), "{line}: {words}");
    };
    let volume_commands = [
        "volume remove LH1",
        "volume close LH1",
        "volume open LH1",
        "volume change LH1 --pool other",
    ];
    for line in volume_commands {
        refused(line, &format!("{attempt} has volume LH1"));
    }
    refused("node remove n1", "under way");
    refused("drive remove D1", &format!("{attempt} has drive D1"));
    refused("failover confirm-fenced n1", "is connected");
    refused(&format!("run remove {run}"), "not over");
    refused(&format!("run resume {run}"), "waits for nobody");
    assert!(
        world
            .done("volume list")
            .contains(&format!("in use by {attempt}"))
    );
    // It breaks off, and is given up: the volume is its own until it is
    // forgotten, and then nothing is appended to it.
    world.done("job stop db");
    world.happens(World::ended(&attempt, ExitStatus::Unfinished, "stopped"));
    for line in volume_commands {
        refused(line, &format!("what run {run} has begun"));
    }
    refused("node remove n1", "job db wants node n1");
    refused("drive remove D1", "node n1 reaches");
    refused("job stop db", "no run of job db is open");
    refused(&format!("run stop {run}"), "is over");
    world.done(&format!("run remove {run}"));
    assert!(
        world
            .done("volume list")
            .contains("closed: ends in what run")
    );
    assert_eq!(world.done("run list"), "");
    assert_eq!(world.0.borrow().core.state().attempts.len(), 0);
    // What nobody needs may go.
    world.done("job remove db");
    world.done("node remove n1");
    world.done("drive remove D1");
    world.done("volume remove LH1");
    for table in ["node", "drive", "volume", "pool", "job"] {
        assert_eq!(world.done(&format!("{table} list")), "", "{table}");
    }
}

#[test]
fn what_is_found_is_shown_whatever_its_pages() {
    let world = World::new();
    let row = |key: u128, row: Value| Row {
        key: Uuid::from_u128(key).to_string(),
        row,
    };
    let path = |path: &str| json!({"set": Uuid::nil(), "started": 0, "path": path, "size": 5});
    assert_eq!(world.run("find x").0, Ok(ExitStatus::Incomplete));
    world.0.borrow_mut().found = vec![row(1, path("/a")), row(2, path("/b\x1b"))];
    let out = world.done("find x --job db --newest 3");
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].ends_with("5 B  /a") && lines[1].ends_with("/b "),
        "{out}"
    );
    assert_eq!(world.json("find x").as_array().map(Vec::len), Some(2));
    assert_eq!(world.done("find x --most 1").lines().count(), 1);
    let damaged = json!({"set": Uuid::nil(), "error": "chunk 3"});
    world.0.borrow_mut().found.push(row(3, damaged));
    let (result, out) = world.run("find x");
    assert_eq!(
        (result, out.lines().count()),
        (Ok(ExitStatus::Incomplete), 2)
    );
}

#[test]
fn a_restore_takes_from_the_job_what_is_not_said() {
    let world = World::with_job();
    let set = Uuid::from_u128(9);
    let lines = [
        "restore --job db --to /r",
        &format!("restore /a --set {set} --to /r"),
    ];
    for line in lines {
        let (exit, why) = world.fails(line);
        assert!(
            exit == ExitStatus::Usage && why.contains("no such set"),
            "{why}"
        );
    }
    let volumes = json!([{"name": "LH1", "uuid": Uuid::max()}]);
    let row = json!({"started": 0, "host": "h", "paths": ["/srv"], "volumes": volumes,
        "bytes": 5, "state": "finished"});
    let row = Row {
        key: set.to_string(),
        row,
    };
    // The world's first page is empty.
    world.0.borrow_mut().found = vec![row.clone()];
    let (_, why) = world.fails(&format!("restore --set {set} --to /r"));
    assert!(why.contains("--node"), "{why}");
    let (_, why) = world.fails(&format!("restore --set {set} --to /r --node n1"));
    assert!(why.contains("--drive"), "{why}");
    let (_, why) = world.fails("restore --job db --to r");
    assert!(why.contains("absolute"), "{why}");
    let run = world.json("restore /a --job db --to /r --overwrite older")["run"].clone();
    let shown = world.json(&format!("run show {}", run.as_str().expect("a run")));
    let job = &shown["run"]["row"]["job"];
    assert_eq!(job["place"], json!({"node": "n1"}));
    assert_eq!(job["drive"], json!({"pool": "fast"}));
    assert_eq!(job["work"]["paths"], json!(["/a"]));
    let restore = json!({"set": set, "volumes": [Uuid::max()], "to": "/r", "overwrite": "older"});
    assert_eq!(job["work"]["kind"]["restore"], restore);
    // It is under way, and shows as any other run.
    assert!(world.done("run list").contains("active"));
    assert!(world.done("set list").contains("LH1"));
    assert!(
        world
            .done(&format!("set show {set}"))
            .contains("1970-01-01")
    );
}

#[test]
fn a_label_is_waited_for_and_its_volume_is_there_then() {
    let world = World::with_job();
    let label = "volume label LH2 --pool daily --node n1 --drive D1";
    let (_, why) = world.fails("volume label LH1 --pool daily --node n1 --drive D1");
    assert!(why.contains("there already"), "{why}");
    world.0.borrow_mut().ends = Some(ExitStatus::Done);
    assert!(world.done(label).contains("is done"));
    assert!(world.done("volume list").contains("LH2"));
}

#[test]
fn who_waits_for_a_run_ends_as_it_does() {
    for exit in [
        ExitStatus::Done,
        ExitStatus::Incomplete,
        ExitStatus::Refused,
        ExitStatus::Operator,
    ] {
        let world = World::with_job();
        // The run's name is not known before: all of the job are meant.
        let attempt = world.begin();
        // Nobody says anything for a while.
        for _ in 0..25 {
            world.later(Input::Tick);
        }
        world.later(World::ended(&attempt, exit, "why it is so"));
        let (result, out) = world.run(&format!("run wait {}", attempt.run));
        assert_eq!(result, Ok(exit), "{out}");
        let is_whole = exit == ExitStatus::Done;
        assert!(out.contains(if is_whole { "is done" } else { "" }), "{out}");
        assert_eq!(
            out.contains("why it is so"),
            exit > ExitStatus::Done,
            "{out}"
        );
        // At once, after ten seconds twice, and at its end.
        let asks = world.0.borrow().asks;
        let (result, _) = world.run(&format!("run wait {}", attempt.run));
        assert_eq!((result, world.0.borrow().asks), (Ok(exit), asks + 1));
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_when_it_is_resumed() {
    let world = World::with_job();
    world.done("drain n1");
    let first = world.begin();
    let (result, out) = world.run("job stop db");
    assert_eq!(result, Ok(ExitStatus::Done));
    assert_eq!(out, format!("stopped: {}\n", first.run));
    let (result, out) = world.run(&format!("run wait {}", first.run));
    assert_eq!(result, Ok(ExitStatus::Unfinished), "{out}");
    assert!(out.contains("stopped by an operator"), "{out}");
    world.done("job resume db");
    let (exit, why) = world.fails("job resume db");
    assert_eq!(exit, ExitStatus::Refused, "{why}");
    assert!(world.done("run list").contains("waiting"));
    world.done("undrain n1");
    assert!(world.done("run list").contains("active"));
    world.happens(World::ended(&first, ExitStatus::Done, ""));
    assert!(world.done("run list --job db").contains("done"));
    world.fails("job resume db");
}

#[test]
fn why_a_run_waits_is_said_in_words() {
    let world = World::with_job();
    let waits = |change: &str, why: &str| {
        world.done(change);
        let status = world.done("status");
        assert!(status.contains("waiting:"), "{change}: {status}");
        assert!(status.contains(why), "{change}: {status}");
    };
    world.done("drain n1");
    world.begin();
    waits("node list", "node n1 is drained");
    world.done("drive change D1 --disable");
    waits("undrain n1", "drive D1 is disabled");
    waits("drive change D1 --no-pool", "no drive is in pool fast");
    world.done("volume close LH1 --why it~is~old");
    waits(
        "drive change D1 --enable --pool fast",
        "of 1, 1 closed, 0 in use",
    );
    waits("volume remove LH1", "no volume is in pool daily");
    world.happens(Input::Gone(name("n1")));
    waits("node list", "the service of node n1 is not connected");
}

#[test]
fn a_status_says_who_is_there_and_what_is_under_way() {
    let world = World::with_job();
    world.done("node add n2");
    let attempt = world.begin();
    let point = Point {
        taken: attempt.run.due,
        volume: Uuid::max(),
        block: 7641,
        members: 12,
        bytes: 4_000_317_440,
        journal_bytes: 0,
    };
    world.happens(Input::Report(
        name("n1"),
        Report::Checkpoint {
            attempt: attempt.clone(),
            token: Token(1),
            point,
        },
    ));
    let status = world.done("status");
    let lines: Vec<&str> = status.lines().map(str::trim_end).collect();
    assert!(
        lines[0].starts_with("coordinator: epoch 1, since 20"),
        "{status}"
    );
    assert!(lines[0].ends_with(" UTC"), "{status}");
    // Those that are missing come first.
    assert_eq!(lines[4], "n2    not connected  -");
    assert!(lines[5].starts_with("n1    connected      0."), "{status}");
    assert!(status.contains(&format!("in use by {attempt}")), "{status}");
    assert!(status.contains("4.0 GB   7641   "), "{status}");
    assert!(!status.contains("waiting:"), "{status}");
    let shown = world.done(&format!("run show {}", attempt.run));
    assert!(
        shown.contains("is under way on node n1, drive D1: 4.0 GB"),
        "{shown}"
    );
    let json = world.json("status");
    assert_eq!(
        json["active"]["lines"][0]["attempt"]["point"]["block"],
        7641
    );
    // It fails, and is news.
    world.happens(World::ended(&attempt, ExitStatus::Refused, "not\x1b[2J so"));
    let status = world.done("status");
    assert!(status.contains("failed in the last 24 hours:"), "{status}");
    assert!(status.contains("not [2J so"), "{status:?}");
    // What is old is none.
    world.0.borrow_mut().now = attempt.run.due.after(25 * 3600 * 1000);
    assert!(!world.done("status").contains("failed in"));
}

#[test]
fn a_node_that_is_fenced_gives_its_work_away() {
    let world = World::with_job();
    let attempt = world.begin();
    world.happens(Input::Gone(name("n1")));
    assert!(world.done("status").contains("n1    not connected  "));
    world.done("failover confirm-fenced n1");
    assert_eq!(world.json("run list")[0]["row"]["state"], "waiting");
    assert!(
        world
            .done(&format!("run show {}", attempt.run))
            .contains("node n1 is dead")
    );
}

#[test]
fn what_happened_is_not_the_cores() {
    let world = World::new();
    let (exit, why) = world.fails("events n1");
    assert_eq!(exit, ExitStatus::Refused);
    assert!(why.contains("database"), "{why}");
}
