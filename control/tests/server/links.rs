//! Connections that come and go.

use std::time::Duration;

use longhaul_control::core::state::Change;
use longhaul_link::Role;
use longhaul_protocol::order::What;
use longhaul_protocol::report::AttemptSeen;
use longhaul_protocol::run::Token;
use longhaul_protocol::{Answer, Ask, Command, ExitStatus, Report};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

use crate::bed::{Bed, PATIENCE, attempt_of, name, point};

#[tokio::test]
async fn the_newest_connection_of_a_node_is_the_one_that_counts() {
    let bed = Bed::new(&["db1"]);
    let mut old = bed.service("db1").await;
    let mut new = bed.service("db1").await;
    // The old one is closed, and that it is gone does not hurt the new one.
    assert_eq!(old.hear_if().await, None);
    drop(old);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(new.checkpoint(10).await, 10);
}

#[tokio::test]
async fn a_service_that_says_nothing_is_disconnected_and_comes_back() {
    let bed = Bed::new(&["db1"]);
    let (mut stream, peer) = bed.raw("db1").await;
    let hello = Report::Hello(bed.hello("db1"));
    let bytes = longhaul_protocol::frame::encode(&hello).expect("a message");
    stream.write_all(&bytes).await.expect("said");
    let lines = peer.warned().await;
    assert!(
        lines.iter().any(|l| l.contains("says nothing")),
        "{lines:?}"
    );
    assert_eq!(bed.service("db1").await.checkpoint(10).await, 10);
}

#[tokio::test]
async fn a_service_that_never_reads_is_disconnected_and_disturbs_nobody() {
    let bed = Bed::new(&["good", "db1"]);
    let mut good = bed.service("good").await;
    let connection = bed.connect(&bed.node("db1")).await;
    let (_reader, writer, outbox) = connection.split::<Report>();
    tokio::spawn(writer.run());
    outbox.say(Report::Hello(bed.hello("db1"))).expect("said");
    // Each is answered with an order to stop, and with what is to be begun.
    let attempts: Vec<AttemptSeen> = (1..1000)
        .map(|number| {
            let mut attempt = attempt_of("db1");
            attempt.number = number;
            AttemptSeen {
                attempt,
                token: Token(9),
                drive: name("LH01"),
                volumes: Vec::new(),
                journal_bytes: 0,
                point: None,
                outcome: None,
            }
        })
        .collect();
    let floods = async {
        while outbox
            .say(Report::Attempts {
                attempts: attempts.clone(),
            })
            .is_ok()
        {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let works = async {
        loop {
            let kept = timeout(Duration::from_secs(4), good.checkpoint(100)).await;
            kept.expect("a service is answered at once");
        }
    };
    tokio::select! {
        never = works => never,
        over = timeout(PATIENCE * 3, floods) => over.expect("it is disconnected"),
    }
}

#[tokio::test]
async fn r23_a_journal_follows_the_order_to_go_on_with_it() {
    let journal: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let bed = Bed::with(&["db1"], |disk| {
        // Its first attempt has come so far, and the second one goes on.
        let (first, mut second) = (attempt_of("db1"), attempt_of("db1"));
        second.number = 2;
        let mut of = disk.state.attempts[&first].clone();
        let mut row = of.clone();
        row.resumes = Some(1);
        of.journal_bytes = journal.len() as u64;
        of.point = Some(point(journal.len() as u64));
        of.node = name("dead");
        let mut run = disk.state.runs[&first.run].clone();
        run.attempts = 2;
        for change in [
            Change::Attempt(first.clone(), Box::new(of)),
            Change::Attempt(second, Box::new(row)),
            Change::Run(first.run.clone(), Box::new(run)),
        ] {
            disk.state.apply(change);
        }
        disk.journals.insert(first, journal.clone());
    });
    let mut service = bed.service("db1").await;
    service.say(Report::Attempts {
        attempts: Vec::new(),
    });
    // Said again while it is on its way.
    service.say(Report::Attempts {
        attempts: Vec::new(),
    });
    let mut carried = Vec::new();
    let mut starts = 0;
    while carried.len() < journal.len() {
        match service.hear().await {
            What::Start(start) => {
                assert_eq!(start.resume.expect("it goes on").journal_bytes, 3_000_000);
                starts += 1;
            }
            What::Journal { part, .. } => {
                assert!(starts > 0, "a journal before its order");
                assert_eq!(part.offset, carried.len() as u64);
                carried.extend(part.bytes);
            }
            What::Occurrences { occurrences } => assert_eq!(occurrences, []),
            other => panic!("{other:?}"),
        }
    }
    assert!(carried == journal);
    assert_eq!(starts, 2);
}

#[tokio::test]
async fn an_operator_is_answered_once_it_is_durable() {
    let bed = Bed::new(&[]);
    let role = Role::Operator(name("ann"));
    let (mut reader, writer, asks) = bed.connect(&bed.identity(&role)).await.split::<Ask>();
    tokio::spawn(writer.run());
    let node = name("db1");
    for is_new in [true, false] {
        asks.say(Ask::Command(Command::AddNode { node: node.clone() }))
            .expect("said");
        let heard: Option<Answer> = reader.message(PATIENCE).await.expect("an answer");
        match heard.expect("an answer") {
            Answer::Done => assert!(is_new),
            Answer::Failed { exit, .. } => assert!(!is_new && exit == ExitStatus::Refused),
            other => panic!("{other:?}"),
        }
        let disk = bed.disk.lock().expect("a disk");
        assert!(disk.state.nodes.contains_key(&node));
    }
    bed.service("db1").await;
}

#[tokio::test]
async fn an_operator_that_says_what_nobody_knows_is_disconnected() {
    let bed = Bed::new(&[]);
    let identity = bed.identity(&Role::Operator(name("ann")));
    let connection = bed.connect(&identity).await;
    let (mut reader, writer, asks) = connection.split::<Value>();
    tokio::spawn(writer.run());
    asks.say(json!({ "ask": "nonsense" })).expect("said");
    let heard = reader.message::<Answer>(PATIENCE).await;
    assert!(!matches!(heard, Ok(Some(_))), "{heard:?}");
}
