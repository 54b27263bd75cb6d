//! What becomes of a run, and of its volumes, by how an attempt has ended.

use longhaul_protocol::report::{AttemptSeen, Outcome, Point};

use super::*;

pub(super) fn start(said: &[(String, What)]) -> Start {
    let starts = said.iter().filter_map(|(_, what)| match what {
        What::Start(start) => Some(start),
        _ => None,
    });
    let starts: Vec<_> = starts.collect();
    let [start] = starts[..] else {
        panic!("{said:?}");
    };
    (**start).clone()
}

#[test]
fn r25_a_set_that_is_damaged_is_begun_anew_on_another_volume() {
    let mut bed = Bed::new();
    let first = backup(&mut bed, "n1", "D1").remove(0).1;
    let volume = first.volumes[0].uuid;
    let point = Point {
        taken: Time(bed.now),
        volume,
        block: 40,
        members: 3,
        bytes: 1000,
        journal_bytes: 0,
    };
    bed.handle(Input::Report(
        name("n1"),
        Report::Checkpoint {
            attempt: first.attempt.clone(),
            token: first.token,
            point,
        },
    ));
    bed.ended(&first, "n1", ExitStatus::Unfinished);
    let second = start(&bed.later());
    assert!(second.resume.is_some());
    assert_eq!(second.volumes[0].uuid, volume);
    let outcome = Outcome {
        damaged: true,
        ..Outcome::without_set(ExitStatus::Refused, "cannot be read", Time(bed.now))
    };
    bed.ended_as(&second, "n1", outcome);
    bed.done(json!({"command": "open-volume", "volume": "LH1"}));
    let third = start(&bed.later());
    assert_eq!(third.resume, None);
    assert_ne!(third.volumes[0].uuid, volume);
    let row = &bed.core.state().volumes[&volume];
    assert_eq!(row.closed.as_deref(), Some("cannot be read"));
}

#[test]
fn volumes_to_which_nothing_was_written_are_anybodys() {
    for wrote_nothing in [true, false] {
        let mut bed = Bed::new();
        let start = backup(&mut bed, "n1", "D1").remove(0).1;
        let outcome = Outcome {
            wrote_nothing,
            ..Outcome::without_set(ExitStatus::Usage, "no such path", Time(bed.now))
        };
        bed.ended_as(&start, "n1", outcome);
        let row = &bed.core.state().volumes[&start.volumes[0].uuid];
        assert_eq!(row.unfinished.is_none(), wrote_nothing);
        assert_eq!(row.writer, None);
    }
}

#[test]
fn a_run_that_was_stopped_is_over_however_its_attempt_ends() {
    for (exit, needs_volume) in [
        (ExitStatus::Unfinished, false),
        (ExitStatus::Operator, true),
        (ExitStatus::Device, false),
    ] {
        let mut bed = Bed::new();
        bed.done(json!({"command": "open-volume", "volume": "LH1"}));
        let start = backup(&mut bed, "n1", "D1").remove(0).1;
        bed.done(json!({"command": "stop", "run": {"job": "db", "due": 0}}));
        // What was said to the service may not have come to it: it is said again.
        let seen = AttemptSeen {
            attempt: start.attempt.clone(),
            token: start.token,
            drive: start.drive.clone(),
            volumes: vec![],
            journal_bytes: 0,
            point: None,
            outcome: None,
        };
        let attempts = vec![seen];
        let said = bed.handle(Input::Report(name("n1"), Report::Attempts { attempts }));
        let is_stop =
            |what: &What| matches!(what, What::Stop { attempt, .. } if *attempt == start.attempt);
        assert!(said.iter().any(|(_, what)| is_stop(what)), "{said:?}");
        let outcome = Outcome {
            needs_volume,
            ..Outcome::without_set(exit, "stopped", Time(bed.now))
        };
        bed.ended_as(&start, "n1", outcome);
        assert!(matches!(bed.run("db", 0), RunState::Failed(_)), "{exit:?}");
        assert_eq!(bed.later(), []);
    }
}
