//! Drives and cartridges that do badly.

use longhaul_protocol::job::Place;
use longhaul_protocol::report::{Fault, Part, Point};

use super::*;

/// Node n2, which reaches both drives; both volumes are open. What is begun there
/// takes either drive.
fn bed() -> Bed {
    let mut bed = Bed::new();
    bed.done(json!({"command": "open-volume", "volume": "LH1"}));
    for drive in ["D1", "D2"] {
        bed.done(json!({"command": "pool-drive", "drive": drive, "pool": "fast"}));
    }
    bed.done(
        json!({"command": "set-job", "job": {"name": "db", "work": {"paths": ["/srv"]},
        "place": {"node": "n2"}, "drive": {"pool": "fast"}, "volumes": "daily"}}),
    );
    bed
}

/// What is begun for this job is begun on this node, and on drive D1.
fn on_d1(bed: &mut Bed, job: &str, node: &str) {
    bed.done(
        json!({"command": "set-job", "job": {"name": job, "work": {"paths": ["/srv"]},
        "place": {"node": node}, "drive": {"serial": "D1"}, "volumes": "daily"}}),
    );
}

fn begin(bed: &mut Bed, due: i64) -> Start {
    let mut starts = bed.done(json!({"command": "run", "run": {"job": "db", "due": due}}));
    assert_eq!(starts.len(), 1, "{starts:?}");
    starts.remove(0).1
}

/// The next attempt, which has begun at once or begins when it may.
fn again(bed: &mut Bed) -> Start {
    let last = bed.last.take();
    last.unwrap_or_else(|| super::ends::start(&bed.later()))
}

/// An attempt could not write: the drive or the volume is at fault. Returns what
/// people are told.
fn did_badly(bed: &mut Bed, start: &Start) -> Vec<Notice> {
    let fault = Fault::Either(start.volumes[0].uuid, "MEDIUM ERROR".into());
    with_fault(bed, start, ExitStatus::Device, fault)
}

fn with_fault(bed: &mut Bed, start: &Start, exit: ExitStatus, fault: Fault) -> Vec<Notice> {
    let outcome = Outcome {
        exit,
        alerts: vec!["hard error".into()],
        faults: vec![fault],
        wrote_nothing: true,
        ..Outcome::without_set(exit, "MEDIUM ERROR", Time(bed.now))
    };
    let report = Report::Ended {
        attempt: start.attempt.clone(),
        token: start.token,
        outcome,
    };
    bed.last = None;
    let outputs = bed.outputs(Input::Report(name("n2"), report));
    let notices = outputs.into_iter().filter_map(|output| match output {
        Output::Notify(notice) => Some(notice),
        _ => None,
    });
    notices.collect()
}

fn drive<'a>(bed: &'a Bed, serial: &str) -> &'a super::super::state::Drive {
    &bed.core.state().drives[&name(serial)]
}

fn closed(bed: &Bed, start: &Start) -> Option<String> {
    bed.core.state().volumes[&start.volumes[0].uuid]
        .closed
        .clone()
}

#[test]
fn a_cartridge_with_which_two_drives_do_badly_is_closed_and_both_drives_go_on() {
    let mut bed = bed();
    bed.done(json!({"command": "close-volume", "volume": "LH2", "why": "full"}));
    let first = begin(&mut bed, 0);
    assert_eq!(did_badly(&mut bed, &first), []);
    assert_eq!((closed(&bed, &first), first.drive.as_str()), (None, "D1"));
    assert!(drive(&bed, "D1").notes()[0].contains("badly"));
    let second = again(&mut bed);
    // The same volume elsewhere tells more.
    assert_eq!(second.drive.as_str(), "D2");
    assert_eq!(second.volumes, first.volumes);
    assert_eq!(did_badly(&mut bed, &second), []);
    let why = closed(&bed, &second).expect("closed");
    assert!(why.contains("on D1 and on D2"), "{why}");
    for serial in ["D1", "D2"] {
        let row = drive(&bed, serial);
        assert_eq!((&row.trouble, row.doubt), (&None, None), "{serial}");
        assert_eq!(row.alerts, ["hard error"]);
    }
    bed.done(json!({"command": "open-volume", "volume": "LH2"}));
    let third = again(&mut bed);
    assert_ne!(third.volumes, first.volumes);
    bed.ended(&third, "n2", ExitStatus::Done);
    assert!(drive(&bed, third.drive.as_str()).notes().is_empty());
}

#[test]
fn a_drive_that_does_badly_with_two_cartridges_is_in_trouble_and_neither_is_closed() {
    let mut bed = bed();
    bed.done(json!({"command": "disable-drive", "drive": "D2", "is_disabled": true}));
    let first = begin(&mut bed, 0);
    assert_eq!(did_badly(&mut bed, &first), []);
    let second = again(&mut bed);
    // One that is in doubt is the last to be taken.
    assert_ne!(second.volumes, first.volumes);
    let notices = did_badly(&mut bed, &second);
    assert_eq!(
        notices,
        [Notice::DriveDown(name("D1"), "MEDIUM ERROR".into())]
    );
    assert_eq!((closed(&bed, &first), closed(&bed, &second)), (None, None));
    bed.done(json!({"command": "drive-is-well", "drive": "D1"}));
    let third = again(&mut bed);
    assert_eq!(drive(&bed, "D1").doubt, None);
    bed.ended(&third, "n2", ExitStatus::Done);
    let volume = &bed.core.state().volumes[&third.volumes[0].uuid];
    assert_eq!(volume.doubt, None);
}

#[test]
fn where_there_is_one_drive_a_cartridge_has_two_tries() {
    let mut bed = bed();
    bed.done(json!({"command": "disable-drive", "drive": "D2", "is_disabled": true}));
    bed.done(json!({"command": "close-volume", "volume": "LH2", "why": "full"}));
    let first = begin(&mut bed, 0);
    did_badly(&mut bed, &first);
    let second = again(&mut bed);
    assert_eq!(second.volumes, first.volumes);
    assert_eq!(did_badly(&mut bed, &second), []);
    assert!(closed(&bed, &first).is_some());
    let row = drive(&bed, "D1");
    let uuid = first.volumes[0].uuid;
    assert_eq!((&row.trouble, row.doubt), (&None, Some(uuid)));
}

/// The first attempt has begun a set, and the third goes on with it or not; two did
/// badly, so its volume is closed.
fn third_attempt(has_checkpoint: bool) -> (Bed, Start) {
    let mut bed = bed();
    let first = begin(&mut bed, 0);
    let (attempt, token) = (first.attempt.clone(), first.token);
    let part = Part {
        offset: 0,
        bytes: vec![7; 5],
    };
    let journal = Report::Journal {
        attempt: attempt.clone(),
        token,
        part,
    };
    bed.handle(Input::Report(name("n2"), journal));
    if has_checkpoint {
        let point = Point {
            taken: Time(bed.now),
            volume: uuid(1),
            block: 40,
            members: 3,
            bytes: 1000,
            journal_bytes: 5,
        };
        let checkpoint = Report::Checkpoint {
            attempt: attempt.clone(),
            token,
            point,
        };
        bed.handle(Input::Report(name("n2"), checkpoint));
    }
    did_badly(&mut bed, &first);
    let second = again(&mut bed);
    assert!(second.resume.is_some());
    did_badly(&mut bed, &second);
    let third = again(&mut bed);
    (bed, third)
}

#[test]
fn a_set_on_a_closed_cartridge_that_cannot_be_read_either_is_begun_anew() {
    let (mut bed, third) = third_attempt(true);
    // What the set has there is asked for.
    let volumes: Vec<Uuid> = third.volumes.iter().map(|volume| volume.uuid).collect();
    assert_eq!(
        (third.resume.is_some(), volumes),
        (true, vec![uuid(1), uuid(2)])
    );
    let fault = Fault::Either(uuid(1), "MEDIUM ERROR".into());
    with_fault(&mut bed, &third, ExitStatus::Device, fault);
    let fourth = again(&mut bed);
    assert_eq!(fourth.resume, None);
    assert_eq!(fourth.volumes[0].uuid, uuid(2));
    // What cartridges do costs a run no retry, but for the first time.
    let run = &bed.core.state().runs[&fourth.attempt.run];
    assert_eq!((run.attempts, run.failures), (4, 1));
}

#[test]
fn a_set_without_a_checkpoint_on_a_closed_cartridge_is_begun_anew() {
    let (_, third) = third_attempt(false);
    assert_eq!((third.resume, third.volumes[0].uuid), (None, uuid(2)));
}

#[test]
fn what_a_drive_says_of_itself_is_taken_as_said_though_the_set_is_done() {
    let mut bed = bed();
    let first = begin(&mut bed, 0);
    let fault = Fault::Drive("hardware A".into());
    let notices = with_fault(&mut bed, &first, ExitStatus::Done, fault);
    assert!(notices.contains(&Notice::DriveDown(name("D1"), "hardware A".into())));
    assert_eq!(bed.run("db", 0), &RunState::Done(ExitStatus::Done));
    let second = begin(&mut bed, 1);
    assert_eq!(second.drive.as_str(), "D2");
    // Of a volume that it has, and of no other.
    let other = Fault::Volume(uuid(77), "end of life".into());
    with_fault(&mut bed, &second, ExitStatus::Done, other);
    assert_eq!(closed(&bed, &second), None);
    let third = begin(&mut bed, 2);
    let fault = Fault::Volume(third.volumes[0].uuid, "end of life".into());
    assert_eq!(with_fault(&mut bed, &third, ExitStatus::Done, fault), []);
    assert_eq!(closed(&bed, &third).as_deref(), Some("end of life"));
}

#[test]
fn an_error_of_which_nothing_more_is_known_is_the_drives() {
    let mut bed = bed();
    let first = begin(&mut bed, 0);
    bed.ended(&first, "n2", ExitStatus::Device);
    assert_eq!(drive(&bed, "D1").trouble.as_deref(), Some("so it is"));
}

#[test]
fn a_path_that_is_broken_is_one_nodes_and_the_drive_is_used_from_others() {
    let mut bed = bed();
    on_d1(&mut bed, "db", "n2");
    on_d1(&mut bed, "web", "n1");
    let first = begin(&mut bed, 0);
    assert_eq!(told(&mut bed, Some("no path")), 1);
    let fault = Fault::Path("no path".into());
    let notices = with_fault(&mut bed, &first, ExitStatus::Device, fault);
    assert_eq!(notices, []);
    assert_eq!(drive(&bed, "D1").trouble, None);
    assert_eq!(bed.later(), []);
    let web = bed.done(json!({"command": "run", "run": {"job": "web", "due": 1}}));
    assert_eq!(web.len(), 1, "{web:?}");
    bed.ended(&web[0].1, "n1", ExitStatus::Done);
    assert_eq!(bed.later(), []);
    let said = bed.handle(Input::Report(name("n2"), devices(None)));
    assert_eq!(super::ends::start(&said).drive, name("D1"));
}

#[test]
fn where_there_was_no_path_it_is_tried_last() {
    let mut bed = bed();
    let first = begin(&mut bed, 0);
    assert_eq!(first.drive, name("D1"));
    // Its service has looked, and found the drive, before the end is heard.
    let fault = Fault::Path("no path".into());
    with_fault(&mut bed, &first, ExitStatus::Device, fault.clone());
    let second = again(&mut bed);
    assert_eq!(second.drive, name("D2"));
    bed.done(json!({"command": "disable-drive", "drive": "D1", "is_disabled": true}));
    with_fault(&mut bed, &second, ExitStatus::Device, fault);
    assert_eq!(again(&mut bed).drive, name("D2"));
}

/// What node n2 says of drive D1; D2 it can use.
fn devices(trouble: Option<&str>) -> Report {
    let drive = |serial: &str, trouble: Option<&str>| DriveSeen {
        serial: name(serial),
        product: "a drive".into(),
        library: None,
        trouble: trouble.map(String::from),
    };
    Report::Devices {
        drives: vec![drive("D1", trouble), drive("D2", None)],
        changers: vec![],
    }
}

/// How many notices its saying so makes.
fn told(bed: &mut Bed, trouble: Option<&str>) -> usize {
    let outputs = bed.outputs(Input::Report(name("n2"), devices(trouble)));
    let is_told = |output: &&Output| matches!(output, Output::Notify(Notice::DriveDown(..)));
    outputs.iter().filter(is_told).count()
}

#[test]
fn what_a_node_cannot_use_is_told_once_and_shown_until_it_can() {
    let mut bed = bed();
    assert_eq!(told(&mut bed, Some("no path")), 1);
    assert_eq!(told(&mut bed, Some("no path at all")), 0);
    assert_eq!(told(&mut bed, Some("no path")), 0);
    assert_eq!(
        drive(&bed, "D1").notes(),
        ["node n2 cannot use it: no path"]
    );
    on_d1(&mut bed, "db", "n2");
    bed.done(json!({"command": "run", "run": {"job": "db", "due": 0}}));
    let id = RunId {
        job: name("db"),
        due: Time(0),
    };
    let run = &bed.core.state().runs[&id];
    let why = bed.core.why_words(Time(bed.now), &id, run);
    assert_eq!(why, "node n2 cannot use drive D1: no path");
    assert_eq!(told(&mut bed, None), 0);
    assert!(drive(&bed, "D1").notes().is_empty());
}

#[test]
fn a_volume_that_is_not_to_be_had_is_an_operators_when_there_is_no_other() {
    let mut bed = bed();
    let absent = |start: &Start| Fault::Absent(start.volumes[0].uuid, "it is vaulted".into());
    let first = begin(&mut bed, 0);
    let fault = absent(&first);
    assert_eq!(
        with_fault(&mut bed, &first, ExitStatus::Operator, fault),
        []
    );
    // At once, and on the other one.
    let attempts = bed.core.state().attempts.clone();
    let (second, row) = attempts.iter().next_back().expect("an attempt");
    assert_eq!(second.number, 2);
    assert_ne!(row.volumes[0], first.volumes[0].uuid);
    let start = Start {
        attempt: second.clone(),
        token: row.token,
        drive: row.drive.clone(),
        ..first.clone()
    };
    bed.ended(&start, "n2", ExitStatus::Done);
    // It is the last that is taken.
    let third = begin(&mut bed, 1);
    assert_eq!(third.volumes[0].uuid, row.volumes[0]);
    bed.ended(&third, "n2", ExitStatus::Done);
    bed.done(json!({"command": "close-volume", "volume": "LH2", "why": "full"}));
    let fourth = begin(&mut bed, 2);
    assert_eq!(fourth.volumes, first.volumes);
    let fault = absent(&fourth);
    let notices = with_fault(&mut bed, &fourth, ExitStatus::Operator, fault);
    assert!(matches!(&notices[..], [Notice::Held(..)]), "{notices:?}");
    let resumed = bed.done(json!({"command": "resume", "run": {"job": "db", "due": 2}}));
    let [(_, fifth)] = &resumed[..] else {
        panic!("{resumed:?}");
    };
    bed.ended(fifth, "n2", ExitStatus::Done);
    assert_eq!(bed.volume(1).absent, None);
}

/// Node n1 has not reached drive D2, which the volume is in.
fn inside(bed: &mut Bed, start: &Start) -> Vec<(String, What)> {
    let outcome = Outcome {
        faults: vec![Fault::Elsewhere(start.volumes[0].uuid, name("D2"))],
        wrote_nothing: true,
        ..Outcome::without_set(ExitStatus::Operator, "it is in D2", Time(bed.now))
    };
    bed.ended_as(start, "n1", outcome)
}

#[test]
fn a_volume_in_a_drive_that_its_node_does_not_reach_is_brought_out_by_another_node() {
    let mut bed = bed();
    on_d1(&mut bed, "db", "n1");
    bed.done(json!({"command": "close-volume", "volume": "LH2", "why": "full"}));
    let mut start = begin(&mut bed, 0);
    for time in 1..=4 {
        let said = inside(&mut bed, &start);
        if time == 4 {
            // Nobody brings it out for good.
            assert_eq!(bed.run("db", 0), &RunState::Held("it is in D2".into()));
            assert!(said.iter().all(|(_, what)| !matches!(what, What::Start(_))));
            break;
        }
        // At first at once, then after a pause.
        bed.now += 100_000;
        let later = bed.handle(Input::Tick);
        let unload = super::ends::start(&[said, later].concat());
        assert_eq!(unload.attempt.run.job, name("unload"));
        assert_eq!(unload.drive, name("D2"));
        assert_eq!(unload.volumes, start.volumes);
        let id = &start.attempt.run;
        let run = &bed.core.state().runs[id];
        let why = bed.core.why_words(Time(bed.now), id, run);
        assert!(why.contains("1 in use"), "{why}");
        let said = bed.ended(&unload, "n2", ExitStatus::Done);
        start = super::ends::start(&said);
        assert_eq!(start.attempt.number, time + 1);
    }
}

/// The job is n1's, which reaches D1 alone; n2 and n3 reach D2, and one volume is open.
fn bed_of_three() -> Bed {
    let mut bed = bed();
    on_d1(&mut bed, "db", "n1");
    bed.done(json!({"command": "close-volume", "volume": "LH2", "why": "full"}));
    bed.done(json!({"command": "add-node", "node": "n3"}));
    bed.connect("n3", &["D2"]);
    bed
}

/// Where a run is carried out, as it stands now.
fn place(bed: &Bed, start: &Start) -> Place {
    let run = &bed.core.state().runs[&start.attempt.run];
    run.job.place.clone()
}

#[test]
fn a_volume_is_brought_out_by_another_node_where_the_first_has_lost_its_path() {
    let mut bed = bed_of_three();
    let first = begin(&mut bed, 0);
    let unload = super::ends::start(&inside(&mut bed, &first));
    assert_eq!(place(&bed, &unload), Place::Node(name("n2")));
    let none = Report::Devices {
        drives: vec![],
        changers: vec![],
    };
    bed.handle(Input::Report(name("n2"), none));
    let fault = Fault::Path("no path".into());
    with_fault(&mut bed, &unload, ExitStatus::Device, fault);
    let second = again(&mut bed);
    assert_eq!(second.attempt.run, first.attempt.run);
    let said = inside(&mut bed, &second);
    let again = super::ends::start(&[said, bed.later()].concat());
    assert_eq!(again.attempt.run, unload.attempt.run);
    assert_eq!(place(&bed, &unload), Place::Node(name("n3")));
}

#[test]
fn a_volume_that_nobody_can_bring_out_is_brought_out_by_hand_or_when_somebody_can() {
    let mut bed = bed_of_three();
    bed.handle(Input::Gone(name("n3")));
    let start = begin(&mut bed, 0);
    // The node that was to unload it is away: another one is.
    let unload = super::ends::start(&inside(&mut bed, &start));
    assert_eq!(unload.attempt.run.job, name("unload"));
    assert_eq!(place(&bed, &unload), Place::Node(name("n2")));
    let outcome = Outcome::without_set(ExitStatus::Held, "no", Time(bed.now));
    let said = bed.ended_as(&unload, "n2", outcome);
    let second = super::ends::start(&said);
    assert_eq!(second.attempt.run, start.attempt.run);
    bed.handle(Input::Gone(name("n2")));
    bed.connect("n3", &["D2"]);
    inside(&mut bed, &second);
    let again = super::ends::start(&bed.later());
    assert_eq!(again.attempt.run, unload.attempt.run);
    assert_eq!(place(&bed, &unload), Place::Node(name("n3")));
    let said = bed.ended(&again, "n3", ExitStatus::Done);
    let third = super::ends::start(&said);
    assert_eq!(third.attempt.run, start.attempt.run);

    // Now nobody reaches it, and an operator has unloaded it.
    bed.handle(Input::Gone(name("n3")));
    inside(&mut bed, &third);
    let id = third.attempt.run.clone();
    let run = bed.core.state().runs[&id].clone();
    let why = bed.core.why_words(Time(bed.now), &id, &run);
    assert!(why.contains("lh-control run resume"), "{why}");
    let resumed = bed.done(json!({"command": "resume", "run": {"job": "db", "due": 0}}));
    assert_eq!(resumed.len(), 1, "{resumed:?}");
    assert_eq!(resumed[0].1.attempt.run, id);
}

#[test]
fn a_drive_that_one_node_cannot_use_is_another_nodes_all_the_same() {
    let mut bed = Bed::new();
    let drive = DriveSeen {
        serial: name("D1"),
        product: "a drive".into(),
        library: None,
        trouble: Some("no path to it is running".into()),
    };
    let devices = Report::Devices {
        drives: vec![drive],
        changers: vec![],
    };
    bed.handle(Input::Report(name("n1"), devices));
    assert_eq!(backup(&mut bed, "n1", "D1"), []);
    let starts = bed.done(restore(5, "n2", "D1", &[2]));
    assert_eq!(starts.len(), 1, "{starts:?}");
}
