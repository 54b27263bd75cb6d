//! A coordinator's process that is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use longhaul_control::core::state::{Change, Counters};
use longhaul_control::database::{Database, DatabaseError};
use longhaul_protocol::Time;
use longhaul_protocol::run::Epoch;

const NOW: Time = Time(1_764_111_600_000);
/// Where the process that is to be killed works.
const CHILD: &str = "LONGHAUL_TEST_CHILD_DIR";
const TEST: &str = "what_a_killed_process_has_committed_is_there_and_its_lock_is_not";

/// Counts in the database until it is killed, and says each number that is
/// durable.
fn child(dir: &Path) {
    let (mut database, _) = Database::open(dir, NOW).expect("a database");
    for number in 1.. {
        let counters = Counters {
            epoch: Epoch(number),
            ..Counters::default()
        };
        let change = Change::Counters(counters);
        database.commit(NOW, &[change]).expect("written");
        println!("durable {number}");
    }
}

#[test]
fn what_a_killed_process_has_committed_is_there_and_its_lock_is_not() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return child(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("a scratch folder");
    let mut epoch = 0;
    for _ in 0..3 {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args([TEST, "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let said = output.lines().map_while(Result::ok);
        let mut numbers = said.filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
        let last: u64 = numbers.nth(20).expect("it counts");
        let error = Database::open(dir.path(), NOW).expect_err("held");
        assert!(matches!(error, DatabaseError::Held { .. }), "{error}");
        process.kill().expect("killed");
        process.wait().expect("dead");
        let last = numbers.last().unwrap_or(last);
        let (_, state) = Database::open(dir.path(), NOW).expect("free, and whole");
        epoch = state.counters.epoch.0;
        assert!(epoch == last || epoch == last + 1, "{epoch}, after {last}");
    }
    assert!(epoch > 20);
}
