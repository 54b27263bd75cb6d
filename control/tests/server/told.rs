//! People who are told, and what changes while the coordinator runs.

use std::fs;
use std::time::Duration;

use longhaul_protocol::report::Outcome;
use longhaul_protocol::run::Token;
use longhaul_protocol::{ExitStatus, Report, Time};
use tokio::time::sleep;

use crate::bed::{Bed, attempt_of};

/// A run of this node is over, and needs an operator.
async fn is_held(bed: &Bed, node: &str) {
    let mut service = bed.service(node).await;
    service.say(Report::Ended {
        attempt: attempt_of(node),
        token: Token(1),
        outcome: Outcome::without_set(ExitStatus::Operator, "no cartridge", Time(0)),
    });
    service.hear().await;
}

async fn told(bed: &Bed, count: usize) {
    for _ in 0..500 {
        if bed.disk.lock().expect("a disk").told.len() >= count {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not written down");
}

#[tokio::test]
async fn what_people_are_told_is_written_down_and_by_whom_can_change() {
    let bed = Bed::new(&["db1", "db2"]);
    is_held(&bed, "db1").await;
    told(&bed, 1).await;
    let file = bed.dir.path().join("coordinator.toml");
    let heard = bed.dir.path().join("heard");
    let text = fs::read_to_string(&file).expect("a file");
    let text = format!("notify = \"cat > {}\"\n{text}", heard.display());
    fs::write(&file, text).expect("written");
    bed.reload.send_replace(());
    sleep(Duration::from_millis(500)).await;
    is_held(&bed, "db2").await;
    told(&bed, 2).await;
    let disk = bed.disk.lock().expect("a disk");
    let [first, second] = &disk.told[..] else {
        panic!("{:?}", disk.told);
    };
    assert_eq!(first.of, "db1@0");
    let why = first.failed.as_deref().expect("nobody could be told");
    assert!(why.contains("no notify command"), "{why}");
    assert_eq!((second.of.as_str(), &second.failed), ("db2@0", &None));
    let heard = fs::read_to_string(heard).expect("it was told");
    assert!(
        heard.contains("run db2@0 needs an operator: no cartridge"),
        "{heard}"
    );
}
