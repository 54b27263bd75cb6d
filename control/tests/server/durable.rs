//! What is acknowledged is durable, for many at once.

use std::time::Duration;

use longhaul_protocol::report::Part;
use longhaul_protocol::run::Token;
use longhaul_protocol::{Report, Time};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bed::{Bed, attempt_of};

#[tokio::test]
async fn r9_r19_two_hundred_services_at_once_have_their_checkpoints_kept() {
    let names: Vec<String> = (0..200).map(|number| format!("n{number}")).collect();
    let nodes: Vec<&str> = names.iter().map(String::as_str).collect();
    let bed = Bed::with(&nodes, |disk| disk.pause = Duration::from_millis(2));
    let mut services = Vec::new();
    for node in &nodes {
        services.push(bed.service(node).await);
        // On a busy machine the first has waited for long when the last is there.
        if services.len() % 20 == 0 {
            for service in &services {
                service.say(Report::Alive { now: Time(0) });
            }
        }
    }
    let before = bed.disk.lock().expect("a disk").commits;
    let mut tasks = JoinSet::new();
    let disk = bed.disk.clone();
    for mut service in services {
        let disk = disk.clone();
        tasks.spawn(async move {
            for round in 1..=5 {
                let kept = service.checkpoint(4096).await;
                assert_eq!(kept, round * 4096);
                let disk = disk.lock().expect("a disk");
                let id = attempt_of(&service.node);
                assert!(disk.journals[&id].len() as u64 >= kept);
                let row = &disk.state.attempts[&id];
                assert!(row.point.as_ref().expect("a point").journal_bytes >= kept);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("all is kept");
    }
    // 2,000 messages, and many share a commit.
    let commits = bed.disk.lock().expect("a disk").commits - before;
    assert!(commits < 500, "{commits} commits");
}

#[tokio::test]
async fn nothing_is_acknowledged_that_cannot_be_made_durable() {
    let mut bed = Bed::new(&["db1"]);
    let mut service = bed.service("db1").await;
    bed.disk.lock().expect("a disk").is_broken = true;
    service.say(Report::Journal {
        attempt: attempt_of("db1"),
        token: Token(1),
        part: Part {
            offset: 0,
            bytes: vec![7; 10],
        },
    });
    // The connection ends, without a word.
    assert_eq!(service.hear_if().await, None);
    let over = tokio::task::spawn_blocking(move || bed.wait());
    let error = over.await.expect("no panic").expect_err("it gives up");
    assert_eq!(error, "nothing can be made durable: the disk is full");
}

#[tokio::test]
async fn what_was_said_before_the_end_is_kept_and_nobody_is_waited_for() {
    let mut bed = Bed::new(&["db1", "db2"]);
    let mut service = bed.service("db1").await;
    let mut idle = bed.service("db2").await;
    assert_eq!(service.checkpoint(10).await, 10);
    service.say(Report::Alive { now: Time(0) });
    let disk = bed.disk.clone();
    let over = tokio::task::spawn_blocking(move || bed.end());
    let over = timeout(Duration::from_secs(4), over).await.expect("soon");
    over.expect("no panic").expect("in order");
    assert_eq!(service.hear_if().await, None);
    assert_eq!(idle.hear_if().await, None);
    let disk = disk.lock().expect("a disk");
    assert_eq!(disk.state.attempts[&attempt_of("db1")].journal_bytes, 10);
}
