//! Restores and labels, from an operator's command to the end of their run; and,
//! in `cluster`, what the cluster says.

mod cluster;
mod ends;
mod faults;

use longhaul_protocol::order::{Order, Start, What};
use longhaul_protocol::report::{DriveSeen, Outcome};
use longhaul_protocol::run::{Epoch, Token};
use longhaul_protocol::{Answer, Ask, Command, ExitStatus, Hello, Name, Report, RunId, Time};
use serde_json::{Value, json};
use uuid::Uuid;

use super::state::{RunState, State, Volume};
use super::{Asker, Coordinator, Input, Notice, Output, Settings};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A coordinator with nodes n1 and n2, which reach drive D1, and D1 and D2; and
/// with volumes LH1 and LH2, of which LH1 is closed.
struct Bed {
    core: Coordinator,
    now: i64,
    /// The attempt that was ordered last.
    last: Option<Start>,
}

impl Bed {
    fn new() -> Bed {
        Bed::with(Settings {
            cluster: Uuid::nil(),
            alive_ms: 1_000_000,
            retry_ms: 1_000,
            ..Settings::default()
        })
    }

    fn with(settings: Settings) -> Bed {
        let (core, _) = Coordinator::start(settings, State::default());
        let mut bed = Bed {
            core,
            now: 0,
            last: None,
        };
        for (node, drives) in [("n1", &["D1"][..]), ("n2", &["D1", "D2"])] {
            bed.done(json!({"command": "add-node", "node": node}));
            bed.connect(node, drives);
        }
        for (number, volume) in [(1, "LH1"), (2, "LH2")] {
            bed.done(
                json!({"command": "add-volume", "uuid": uuid(number), "volume": volume,
                "pool": "daily"}),
            );
        }
        bed.done(json!({"command": "close-volume", "volume": "LH1", "why": "full"}));
        bed
    }

    fn connect(&mut self, node: &str, drives: &[&str]) {
        self.handle(Input::Hello(Hello {
            version: longhaul_protocol::VERSION,
            cluster: Uuid::nil(),
            node: name(node),
            boot: Uuid::nil(),
            epoch: Epoch(0),
            now: Time(0),
        }));
        let drives = drives.iter().map(|serial| DriveSeen {
            serial: name(serial),
            product: "a drive".into(),
            library: None,
            trouble: None,
        });
        let devices = Report::Devices {
            drives: drives.collect(),
            changers: vec![],
        };
        self.handle(Input::Report(name(node), devices));
        let attempts = Report::Attempts { attempts: vec![] };
        self.handle(Input::Report(name(node), attempts));
    }

    /// What is said to services because of this, to whom.
    fn outputs(&mut self, input: Input) -> Vec<Output> {
        self.now += 1;
        let outputs = self.core.handle(Time(self.now), input);
        for output in &outputs {
            if let Output::Send(_, Order { what, .. }) = output
                && let What::Start(start) = what
            {
                self.last = Some((**start).clone());
            }
        }
        outputs
    }

    /// What is said when a run may be tried again.
    fn later(&mut self) -> Vec<(String, What)> {
        self.now += 10_000;
        self.handle(Input::Tick)
    }

    fn handle(&mut self, input: Input) -> Vec<(String, What)> {
        let outputs = self.outputs(input);
        let said = outputs.into_iter().filter_map(|output| match output {
            Output::Send(to, Order { what, .. }) => Some((to.to_string(), what)),
            _ => None,
        });
        said.collect()
    }

    fn command(&mut self, command: Value) -> (Answer, Vec<(String, Start)>) {
        let command: Command = serde_json::from_value(command).expect("a command");
        let input = Input::Ask(Asker(1), Ask::Command(command));
        let outputs = self.outputs(input);
        let (mut answers, mut starts) = (vec![], vec![]);
        for output in outputs {
            match output {
                Output::Answer(_, answer) => answers.push(answer),
                Output::Send(
                    to,
                    Order {
                        what: What::Start(start),
                        ..
                    },
                ) => {
                    starts.push((to.to_string(), *start));
                }
                _ => {}
            }
        }
        assert_eq!(answers.len(), 1);
        (answers.remove(0), starts)
    }

    fn done(&mut self, command: Value) -> Vec<(String, Start)> {
        let (answer, starts) = self.command(command);
        assert_eq!(answer, Answer::Done);
        starts
    }

    fn refused(&mut self, command: Value) -> String {
        match self.command(command).0 {
            Answer::Failed { why, .. } => why,
            answer => panic!("{answer:?}"),
        }
    }

    /// The end of an attempt.
    fn ended(&mut self, start: &Start, node: &str, exit: ExitStatus) -> Vec<(String, What)> {
        let mut outcome = Outcome::without_set(exit, "so it is", Time(self.now));
        outcome.words = Some("3 files restored, 5 B".into());
        self.ended_as(start, node, outcome)
    }

    fn ended_as(&mut self, start: &Start, node: &str, outcome: Outcome) -> Vec<(String, What)> {
        self.handle(Input::Report(
            name(node),
            Report::Ended {
                attempt: start.attempt.clone(),
                token: start.token,
                outcome,
            },
        ))
    }

    fn volume(&self, number: u128) -> &Volume {
        &self.core.state().volumes[&uuid(number)]
    }

    fn run(&self, job: &str, due: i64) -> &RunState {
        let job = name(job);
        let due = Time(due);
        &self.core.state().runs[&RunId { job, due }].state
    }
}

fn once(job: &str, due: i64, node: &str, drive: &str, kind: Value) -> Value {
    json!({"command": "once", "run": {"job": job, "due": due}, "job": {
        "name": job, "work": {"kind": kind}, "place": {"node": node},
        "drive": {"serial": drive}, "volumes": "daily"}})
}

fn restore(due: i64, node: &str, drive: &str, volumes: &[u128]) -> Value {
    let volumes: Vec<Uuid> = volumes.iter().map(|number| uuid(*number)).collect();
    let kind = json!({"restore": {"set": uuid(9), "volumes": volumes, "to": "/restored"}});
    once("restore", due, node, drive, kind)
}

fn backup(bed: &mut Bed, node: &str, drive: &str) -> Vec<(String, Start)> {
    bed.done(
        json!({"command": "set-job", "job": {"name": "db", "work": {"paths": ["/srv"]},
        "place": {"node": node}, "drive": {"serial": drive}, "volumes": "daily"}}),
    );
    bed.done(json!({"command": "run", "run": {"job": "db", "due": 0}}))
}

#[test]
fn a_restore_has_its_drive_and_volumes_to_itself_and_leaves_them_as_they_were() {
    let mut bed = Bed::new();
    let before = bed.core.state().volumes.clone();
    let starts = bed.done(restore(5, "n2", "D2", &[1, 2]));
    let [(node, start)] = &starts[..] else {
        panic!("{starts:?}");
    };
    assert_eq!((node.as_str(), start.drive.as_str()), ("n2", "D2"));
    assert_eq!((start.token, start.resume), (Token(1), None));
    let volumes: Vec<&str> = start.volumes.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(volumes, ["LH1", "LH2"]);
    // Nobody may write to them meanwhile, nor take the drive.
    assert_eq!(backup(&mut bed, "n1", "D1"), []);
    assert!(
        bed.refused(json!({"command": "open-volume", "volume": "LH1"}))
            .contains("restore@5#1")
    );
    // It breaks off, and begins anew: nothing of the volumes is doubted.
    let said = bed.ended(start, "n2", ExitStatus::Unfinished);
    let writers = said
        .iter()
        .filter(|(_, what)| matches!(what, What::Start(_)))
        .count();
    assert_eq!(writers, 1, "the backup has LH2 now: {said:?}");
    assert_eq!(*bed.run("restore", 5), RunState::Waiting);
    let untouched = Volume {
        token: start.token,
        ..before[&uuid(1)].clone()
    };
    assert_eq!(bed.volume(1), &untouched);
    assert_eq!(
        (&bed.volume(2).unfinished, &bed.volume(2).closed),
        (&None, &None)
    );
}

#[test]
fn a_restore_waits_while_somebody_may_write_to_its_volume_and_says_so() {
    let mut bed = Bed::new();
    let starts = backup(&mut bed, "n1", "D1");
    let [(_, writes)] = &starts[..] else {
        panic!("{starts:?}");
    };
    assert_eq!(bed.done(restore(5, "n2", "D2", &[2])), []);
    let id: RunId = "restore@5".parse().expect("a run");
    let run = &bed.core.state().runs[&id];
    let why = bed.core.why_words(Time(bed.now), &id, run);
    assert_eq!(why, "volume LH2 is in use by db@0#1");
    let said = bed.ended(writes, "n1", ExitStatus::Done);
    assert!(
        said.iter()
            .any(|(to, what)| to == "n2" && matches!(what, What::Start(_)))
    );
}

#[test]
fn restores_do_not_wait_for_one_another_and_end_in_words() {
    let mut bed = Bed::new();
    let first = bed.done(restore(5, "n1", "D1", &[1]));
    let second = bed.done(restore(4, "n2", "D2", &[2]));
    assert_eq!((first.len(), second.len()), (1, 1));
    bed.ended(&second[0].1, "n2", ExitStatus::Incomplete);
    let asked = Ask::Run {
        run: "restore@4".parse().expect("a run"),
        wait_ms: 0,
    };
    let outputs = bed.core.handle(Time(99), Input::Ask(Asker(1), asked));
    let [Output::Answer(_, Answer::Run(status))] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(status.words, "3 files restored, 5 B; so it is");
    assert_eq!(status.exit, Some(ExitStatus::Incomplete));
}

#[test]
fn what_is_done_once_is_no_backup_and_a_job_is_nothing_else() {
    let mut bed = Bed::new();
    assert!(
        bed.refused(restore(5, "n1", "D1", &[1, 7]))
            .contains("no volume")
    );
    assert!(
        bed.refused(restore(i64::MAX, "n1", "D1", &[1]))
            .contains("clock")
    );
    let mut other = restore(5, "n1", "D1", &[1]);
    other["run"]["job"] = "db".into();
    assert!(bed.refused(other).contains("none of job"));
    let mut kept = restore(5, "n1", "D1", &[1]);
    let job = kept["job"].take();
    assert!(
        bed.refused(json!({"command": "set-job", "job": job}))
            .contains("once")
    );
    let mut backup = once("x", 5, "n1", "D1", json!("backup"));
    backup["job"]["work"]["paths"] = json!(["/srv"]);
    assert!(bed.refused(backup).contains("kept"));
    // And said twice, it is the same.
    assert_eq!(bed.done(restore(5, "n1", "D1", &[1])).len(), 1);
    assert_eq!(bed.done(restore(5, "n1", "D1", &[1])), []);
}

fn label(due: i64, volume: &str, number: u128, overwrite: Option<&str>) -> Value {
    let kind = json!({"label": {"name": volume, "uuid": uuid(number), "overwrite": overwrite}});
    once("label", due, "n1", "D1", kind)
}

#[test]
fn a_volume_that_was_labelled_is_in_its_pool() {
    let mut bed = Bed::new();
    assert!(
        bed.refused(label(5, "LH2", 3, None))
            .contains("there already")
    );
    assert!(
        bed.refused(label(5, "LH3", 2, None))
            .contains("there already")
    );
    let starts = bed.done(label(5, "LH3", 3, None));
    assert_eq!(starts[0].1.volumes, []);
    bed.ended(&starts[0].1, "n1", ExitStatus::Refused);
    assert!(matches!(bed.run("label", 5), RunState::Failed(_)));
    assert_eq!(bed.core.state().volumes.len(), 2);
    let starts = bed.done(label(6, "LH3", 3, None));
    bed.ended(&starts[0].1, "n1", ExitStatus::Done);
    assert_eq!(*bed.run("label", 6), RunState::Done(ExitStatus::Done));
    let row = bed.volume(3);
    assert_eq!((row.name.as_str(), row.pool.as_str()), ("LH3", "daily"));
    assert_eq!((&row.writer, &row.closed), (&None, &None));
}

#[test]
fn a_volume_that_was_labelled_over_is_no_more_and_nobody_writes_to_it_meanwhile() {
    let mut bed = Bed::new();
    let starts = bed.done(label(5, "LH2", 3, Some("LH2")));
    assert_eq!(starts[0].1.volumes[0].uuid, uuid(2));
    assert_eq!(backup(&mut bed, "n2", "D2"), []);
    assert!(
        bed.refused(label(6, "LH2", 4, Some("LH2")))
            .contains("label@5#1")
    );
    let said = bed.ended(&starts[0].1, "n1", ExitStatus::Done);
    let volumes = &bed.core.state().volumes;
    assert!(!volumes.contains_key(&uuid(2)) && volumes.contains_key(&uuid(3)));
    let written = said.iter().find_map(|(_, what)| match what {
        What::Start(start) => Some(start.volumes[0].uuid),
        _ => None,
    });
    assert_eq!(written, Some(uuid(3)));
}

#[test]
fn people_are_told_once_of_a_run_that_waits_for_a_volume_or_for_a_dead_node() {
    let mut bed = Bed::new();
    bed.done(json!({"command": "close-volume", "volume": "LH2", "why": "full"}));
    backup(&mut bed, "n1", "D1");
    let of = |bed: &mut Bed, later_ms: i64| {
        bed.now += later_ms;
        let outputs = bed.outputs(Input::Tick);
        let told = outputs.into_iter().filter_map(|output| match output {
            Output::Notify(Notice::Waits(_, why)) => Some(why),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(of(&mut bed, 0), [""; 0]);
    assert_eq!(of(&mut bed, 59_000), [""; 0]);
    let told = of(&mut bed, 1_000);
    assert!(told[0].contains("no volume of pool daily"), "{told:?}");
    assert_eq!(of(&mut bed, 100_000), [""; 0]);

    bed.done(json!({"command": "open-volume", "volume": "LH2"}));
    assert_eq!(*bed.run("db", 0), RunState::Active);
    bed.handle(Input::Gone(name("n1")));
    assert_eq!(of(&mut bed, 0), [""; 0]);
    let told = of(&mut bed, 60_000);
    assert!(told[0].contains("failover confirm-fenced n1"), "{told:?}");
    assert_eq!(of(&mut bed, 100_000), [""; 0]);
}
