//! Telling people what they want to know at once.
//!
//! Each notice is given to a command of theirs, as a line of JSON on its standard
//! input; one after the other.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use longhaul_protocol::RunId;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::desk::{Desk, Said};
use crate::core::Notice;
use crate::core::state::Told;

/// Notices that wait. When there are more, the oldest is not told.
const WAITING_MAX: usize = 1000;
/// So long the command may run.
const LIMIT: Duration = Duration::from_secs(60);
/// How often it is tried, and how long is waited in between: so long, then
/// twice as long.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);
/// How often the end of the queue is looked for when the coordinator ends.
const POLL: Duration = Duration::from_millis(20);
const NO_COMMAND: &str = "there is no notify command";
/// Longest reason in a notice, in characters.
const WHY_CHARS_MAX: usize = 1000;

/// Notices that are still to be told.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    queue: Mutex<Queue>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Notice>,
    /// The command that tells people.
    command: Option<String>,
    /// One is being told.
    is_telling: bool,
}

impl Notices {
    /// From now on people are told by this command.
    pub(crate) fn tell_by(&self, command: Option<String>) {
        self.queue().command = command;
    }

    /// Has people told, some time.
    pub(crate) fn put(&self, notice: Notice) {
        log::warn!("{}", words(&notice));
        let mut queue = self.queue();
        if queue.waiting.len() >= WAITING_MAX
            && let Some(oldest) = queue.waiting.pop_front()
        {
            log::error!("too many notices wait; not told: {}", words(&oldest));
        }
        queue.waiting.push_back(notice);
        self.came.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A list of notices is whole whoever panicked.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(Notice, Option<String>)> {
        let mut queue = self.queue();
        let next = queue.waiting.pop_front();
        queue.is_telling = next.is_some();
        next.map(|notice| (notice, queue.command.clone()))
    }

    /// Waits until all that waits is told.
    pub(crate) async fn all_told(&self) {
        let is_done = || {
            let queue = self.queue();
            queue.waiting.is_empty() && !queue.is_telling
        };
        while !is_done() {
            sleep(POLL).await;
        }
    }

    /// Tells one after the other, for ever, and brings to the desk, if it is still
    /// there, what became of it: the events are to have it.
    pub(crate) async fn tell(&self, desk: Weak<Desk>) {
        loop {
            let Some((notice, command)) = self.next() else {
                self.came.notified().await;
                continue;
            };
            let told = match command {
                Some(command) => tell(&command, &notice, LIMIT, PAUSE).await,
                None => Err(NO_COMMAND.to_owned()),
            };
            let text = words(&notice);
            match &told {
                Ok(()) => log::info!("told: {text}"),
                // The log has told what it is.
                Err(why) if why == NO_COMMAND => {}
                Err(why) => log::error!("not told, {why}: {text}"),
            }
            let told = Told {
                of: of(&notice),
                notice: text,
                failed: told.err(),
            };
            if let Some(desk) = desk.upgrade() {
                // At the end of the coordinator the log alone has it.
                let _ = desk.bring(Said::Told(told)).await;
            }
        }
    }
}

/// Runs the command until it has done its work, or has failed too often.
async fn tell(
    command: &str,
    notice: &Notice,
    limit: Duration,
    pause: Duration,
) -> Result<(), String> {
    let line = format!("{}\n", json(notice));
    let mut failed = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(pause * attempt).await;
        }
        match run(command, &line, limit).await {
            Ok(()) => return Ok(()),
            Err(why) => failed = why,
        }
    }
    Err(format!(
        "the notify command has failed {TRIES} times: {failed}"
    ))
}

/// A process group that is killed unless it ends before.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(command: &str, line: &str, limit: Duration) -> Result<(), String> {
    let words = |error: std::io::Error| error.to_string();
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(words)?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let mut group = Group(pid.and_then(Pid::from_raw));
    let stdin = child.stdin.take();
    let ran = async {
        if let Some(mut stdin) = stdin {
            // It may not want to know more than that there is something.
            let _ = stdin.write_all(line.as_bytes()).await;
        }
        child.wait().await
    };
    let status = timeout(limit, ran)
        .await
        .map_err(|_| format!("it did not end within {} s", limit.as_secs()))?
        .map_err(words)?;
    // It has ended, and what it left behind is its own affair.
    group.0 = None;
    match status.success() {
        true => Ok(()),
        false => Err(status.to_string()),
    }
}

fn cut(why: &str) -> String {
    why.chars().take(WHY_CHARS_MAX).collect()
}

/// A notice for programs.
fn json(notice: &Notice) -> Value {
    let run = |run: &RunId| json!({ "job": run.job, "due": run.due });
    let mut value = match notice {
        Notice::Failed(of, why) => json!({ "notice": "failed", "run": run(of), "why": cut(why) }),
        Notice::Damaged(of, why) => {
            json!({ "notice": "damaged", "run": run(of), "why": cut(why) })
        }
        Notice::Held(of, why) => json!({ "notice": "held", "run": run(of), "why": cut(why) }),
        Notice::Waits(of, why) => json!({ "notice": "waits", "run": run(of), "why": cut(why) }),
        Notice::Failover(of, why) => {
            json!({ "notice": "failover", "node": of.node, "lost": of.lost, "why": cut(why) })
        }
        Notice::DriveDown(drive, why) => {
            json!({ "notice": "drive-down", "drive": drive, "why": cut(why) })
        }
        Notice::Missed(schedule, times) => {
            json!({ "notice": "missed", "schedule": schedule, "times": times })
        }
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("text".into(), words(notice).into());
    }
    value
}

/// What a notice is of, as events name it.
fn of(notice: &Notice) -> String {
    match notice {
        Notice::Failed(run, _)
        | Notice::Damaged(run, _)
        | Notice::Held(run, _)
        | Notice::Waits(run, _) => run.to_string(),
        Notice::Failover(failover, _) => failover.to_string(),
        Notice::DriveDown(drive, _) => drive.to_string(),
        Notice::Missed(schedule, _) => schedule.to_string(),
    }
}

/// A notice for people.
fn words(notice: &Notice) -> String {
    match notice {
        Notice::Failed(run, why) => format!("run {run} has failed: {}", cut(why)),
        Notice::Damaged(run, why) => format!("run {run} is done, with errors: {}", cut(why)),
        Notice::Held(run, why) => format!("run {run} needs an operator: {}", cut(why)),
        Notice::Waits(run, why) => format!("run {run} waits: {}", cut(why)),
        Notice::Failover(of, why) => format!("node {} has failed: {}", of.node, cut(why)),
        Notice::DriveDown(drive, why) => format!("drive {drive} cannot be used: {}", cut(why)),
        Notice::Missed(schedule, times) => {
            format!("schedule {schedule}: nobody was there {times} times")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    fn notice() -> Notice {
        Notice::DriveDown("LH01".parse().expect("a name"), "MEDIUM ERROR".into())
    }

    #[tokio::test]
    async fn the_command_gets_the_notice_as_json() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("told");
        let command = format!("cat > {}", file.display());
        tell(&command, &notice(), LIMIT, SHORT).await.expect("told");
        let told: Value =
            serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON");
        let expected = json!({
            "notice": "drive-down", "drive": "LH01", "why": "MEDIUM ERROR",
            "text": "drive LH01 cannot be used: MEDIUM ERROR",
        });
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn a_command_that_fails_is_tried_three_times() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("tries");
        let counts = format!("echo x >> {}; test $(wc -l < {0}) -ge", file.display());
        tell(&format!("{counts} 3"), &notice(), LIMIT, SHORT)
            .await
            .expect("the third time");
        fs::remove_file(&file).expect("removed");
        let why = tell(&format!("{counts} 4"), &notice(), LIMIT, SHORT).await;
        assert!(why.expect_err("failed").contains("failed 3 times"));
        assert_eq!(fs::read_to_string(&file).expect("a file"), "x\nx\nx\n");
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed_with_all_that_it_began() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pid");
        let command = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let begun = Instant::now();
        let limit = Duration::from_millis(300);
        run(&command, "\n", limit).await.expect_err("killed");
        assert!(begun.elapsed() < Duration::from_secs(10));
        let pid = fs::read_to_string(&file).expect("a pid");
        let stat = format!("/proc/{}/stat", pid.trim());
        for _ in 0..100 {
            // Nobody may have waited for it yet.
            let is_over = fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
            if is_over {
                return;
            }
            sleep(SHORT).await;
        }
        panic!("{} still runs", pid.trim());
    }

    #[test]
    fn of_too_many_notices_the_oldest_is_not_told() {
        let notices = Notices::default();
        for times in 0..=WAITING_MAX {
            notices.put(Notice::Missed("daily".parse().expect("a name"), times));
        }
        let queue = notices.queue();
        assert_eq!(queue.waiting.len(), WAITING_MAX);
        assert!(matches!(queue.waiting.front(), Some(Notice::Missed(_, 1))));
    }
}
