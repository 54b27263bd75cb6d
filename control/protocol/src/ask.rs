//! What operators say, and what they are answered.
//!
//! Everything that is answered has a bound, so that each answer is one message:
//! rows come in pages, lists of a status end with how many there are more, and
//! words are cut.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::report::Point;
use crate::run::Epoch;
use crate::{AttemptId, Command, ExitStatus, Name, RunId, Time};

/// Most rows of an answer.
pub const ROWS_MAX: u32 = 1000;
/// Longest time for which an answer may be waited for, in milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;
/// Most lines of each list of a status.
pub const STATUS_LINES_MAX: usize = 100;
/// Longest text for people in an answer, in characters.
pub const WORDS_CHARS_MAX: usize = 200;
/// Characters of the same where it is all that is said: of one run, of a command that
/// was not carried out.
pub const ALONE_CHARS_MAX: usize = 4000;

/// What an operator says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Something is to be done: answered with [`Answer::Done`] once it is
    /// durable.
    Command(Command),
    /// Rows of a table: answered with [`Answer::Rows`].
    Rows(Rows),
    /// How things stand: answered with [`Answer::Status`].
    Status,
    /// How a run stands: answered with [`Answer::Run`] once it is over or held,
    /// and after so long in any case. Said with 0 it tells why a run waits; said
    /// again and again, it waits for its end.
    Run {
        /// Which.
        run: RunId,
        /// For how long it is waited, in milliseconds: up to [`WAIT_MS_MAX`]
        /// counts.
        #[serde(default)]
        wait_ms: u64,
    },
    /// What happened, the newest first: answered with [`Answer::Rows`].
    Events(Events),
    /// Sets of the catalog, or paths in them: answered with [`Answer::Rows`].
    Find(Find),
}

impl Ask {
    /// Whether hearing it twice does what hearing it once does, and is answered
    /// the same.
    pub fn is_repeatable(&self) -> bool {
        use Command::*;
        !matches!(
            self,
            Ask::Command(
                AddNode { .. }
                    | RemoveNode { .. }
                    | RemoveDrive { .. }
                    | AddVolume { .. }
                    | RemoveVolume { .. }
                    | RemoveJob { .. }
                    | RemoveSchedule { .. }
                    | Stop { .. }
                    | Resume { .. }
                    | RemoveRun { .. }
            )
        )
    }
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Of what.
    pub table: Table,
    /// The one with this key; the answer is a failure if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Runs of this job, or attempts of this run, alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Those behind this key, in the order of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; up to [`ROWS_MAX`] count.
    #[serde(default = "rows_max")]
    pub most: u32,
}

fn rows_max() -> u32 {
    ROWS_MAX
}

impl Rows {
    /// All rows of a table.
    pub fn all(table: Table) -> Rows {
        Rows {
            table,
            key: None,
            of: None,
            after: None,
            most: ROWS_MAX,
        }
    }

    /// One row.
    pub fn one(table: Table, key: impl ToString) -> Rows {
        Rows {
            key: Some(key.to_string()),
            ..Rows::all(table)
        }
    }
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Those that name this key: a node, a drive, a job, a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Those behind this key, in the order of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; up to [`ROWS_MAX`] count.
    #[serde(default = "rows_max")]
    pub most: u32,
}

/// Which sets, or which paths in them; the newest sets first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Paths that match, as for `lh-mover find`: `*`, `?`, `**`; one without `/` is
    /// looked for at any depth. Without it, sets are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// This set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Uuid>,
    /// Sets of this job, as far as its runs are remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Name>,
    /// Sets of this host's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// So many of these sets, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u32>,
    /// What comes behind this key, in the order of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; up to [`ROWS_MAX`] count. Fewer come, or none, and more are
    /// there, where a search takes long.
    #[serde(default = "rows_max")]
    pub most: u32,
}

/// Tables. Rows come in the order of their keys; runs, attempts and failovers the
/// newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// Nodes, by name.
    Node,
    /// Drives, by serial number.
    Drive,
    /// Volumes, by name.
    Volume,
    /// Pools, by name: a pool is there as long as something is in it, or a job
    /// wants something of it.
    Pool,
    /// Jobs, by name.
    Job,
    /// Schedules, by name.
    Schedule,
    /// Runs: `JOB@DUE`.
    Run,
    /// Attempts: `JOB@DUE#NUMBER`.
    Attempt,
    /// Nodes that have failed, the newest first: `NODE@TIME`.
    Failover,
}

/// What an operator is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It was done, and is durable.
    Done,
    /// It was not done.
    Failed {
        /// What a program ends with that wanted it: usage, if there is no such
        /// thing or it makes no sense; refused, if it cannot be now.
        exit: ExitStatus,
        /// Why, for people.
        why: String,
    },
    /// Rows.
    Rows {
        /// One by one.
        rows: Vec<Row>,
        /// There are more, behind this key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        more: Option<String>,
    },
    /// How things stand.
    Status(Box<Status>),
    /// How a run stands.
    Run(Box<RunStatus>),
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// What is in it. Of one that is too long for a message, only
    /// `{"too_long": BYTES}`.
    pub row: Value,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which start of the coordinator it is.
    pub epoch: Epoch,
    /// When that was.
    pub since: Time,
    /// The coordinator's clock.
    pub now: Time,
    /// Nodes: those that are not connected first.
    pub nodes: Lines<NodeStatus>,
    /// Drives: those that cannot be used first.
    pub drives: Lines<DriveStatus>,
    /// Runs that wait to be begun.
    pub waiting: Lines<RunStatus>,
    /// Runs that are under way.
    pub active: Lines<RunStatus>,
    /// Runs that go on when an operator says so.
    pub held: Lines<RunStatus>,
    /// Runs that have failed in the last 24 hours, the newest first.
    pub failed: Lines<RunStatus>,
    /// Certificates, those that expire first first.
    #[serde(default)]
    pub certificates: Lines<Certificate>,
}

/// A list, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines<T> {
    /// Up to [`STATUS_LINES_MAX`].
    pub lines: Vec<T>,
    /// How many there are beside them.
    #[serde(default)]
    pub more: usize,
}

impl<T> Default for Lines<T> {
    fn default() -> Lines<T> {
        Lines {
            lines: Vec::new(),
            more: 0,
        }
    }
}

impl<T> Lines<T> {
    /// Makes lines of the first of these, and counts the others.
    pub fn of<I>(all: impl IntoIterator<Item = I>, line: impl FnMut(I) -> T) -> Lines<T> {
        let mut all = all.into_iter();
        let lines = all.by_ref().take(STATUS_LINES_MAX).map(line).collect();
        let more = all.count();
        Lines { lines, more }
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub node: Name,
    /// Whether its service is connected.
    pub is_connected: bool,
    /// Nothing is begun on it.
    pub is_drained: bool,
    /// When it was heard last, if that was since the coordinator began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Time>,
}

/// A drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveStatus {
    /// Its serial number.
    pub drive: Name,
    /// The pool that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Name>,
    /// Nothing is begun on it: an operator has said so.
    pub is_disabled: bool,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What is to be known of it beside that; empty if there is nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<AttemptId>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Which.
    pub run: RunId,
    /// Where it stands.
    pub stands: Stands,
    /// Why it waits, is held, or has failed; empty if there is nothing to say.
    pub words: String,
    /// What a program ends with that waited for it, if it is over or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// Its newest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptStatus>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stands {
    /// It waits to be begun, or gone on with.
    Waiting,
    /// It is under way.
    Active,
    /// It goes on when an operator says so.
    Held,
    /// It is done.
    Done,
    /// It has failed, or was stopped.
    Failed,
}

/// An attempt to carry a run out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptStatus {
    /// Which, from 1.
    pub number: u32,
    /// On which node.
    pub node: Name,
    /// On which drive.
    pub drive: Name,
    /// When it was ordered.
    pub ordered: Time,
    /// Its last checkpoint that is durable here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<Point>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whose it is: a node, `coordinator`, or the authority.
    pub whose: String,
    /// Until when it is valid.
    pub expires: Time,
}

/// A text for people: on one line, without what a terminal would obey.
pub fn one_line(text: &str) -> String {
    let clean = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().map(clean).collect()
}

/// The same, cut to [`WORDS_CHARS_MAX`].
pub fn words(text: &str) -> String {
    cut(text, WORDS_CHARS_MAX)
}

/// The same, cut to so many characters.
pub fn cut(text: &str, most: usize) -> String {
    let mut words: String = text.chars().take(most).collect();
    if words.len() < text.len() {
        words.pop();
        words.push('…');
    }
    one_line(&words)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::frame::encode;

    fn longest_name() -> Name {
        "x".repeat(64).parse().expect("a name")
    }

    #[test]
    fn the_longest_status_is_a_message() {
        let name = longest_name();
        let due = Time(i64::MIN);
        let run = RunId {
            job: name.clone(),
            due,
        };
        let attempt = AttemptStatus {
            number: u32::MAX,
            node: name.clone(),
            drive: name.clone(),
            ordered: due,
            point: Some(Point {
                taken: due,
                volume: Uuid::max(),
                block: u64::MAX,
                members: u64::MAX,
                bytes: u64::MAX,
                journal_bytes: u64::MAX,
            }),
        };
        let run = RunStatus {
            run,
            stands: Stands::Waiting,
            words: words(&"🖭".repeat(1000)),
            exit: Some(ExitStatus::Operator),
            attempt: Some(attempt),
        };
        let runs = || Lines::of(0..1_000_000, |_| run.clone());
        let holder = AttemptId {
            run: run.run.clone(),
            number: u32::MAX,
        };
        let status = Status {
            epoch: Epoch(u64::MAX),
            since: due,
            now: due,
            nodes: Lines::of(0..1_000_000, |_| NodeStatus {
                node: name.clone(),
                is_connected: false,
                is_drained: false,
                heard: Some(due),
            }),
            drives: Lines::of(0..1_000_000, |_| DriveStatus {
                drive: name.clone(),
                pool: Some(name.clone()),
                is_disabled: false,
                trouble: Some(words(&"🖭".repeat(1000))),
                notes: words(&"🖭".repeat(1000)),
                holder: Some(holder.clone()),
            }),
            waiting: runs(),
            active: runs(),
            held: runs(),
            failed: runs(),
            certificates: Lines::of(0..1_000_000, |_| Certificate {
                whose: name.to_string(),
                expires: due,
            }),
        };
        assert_eq!(status.held.more, 1_000_000 - STATUS_LINES_MAX);
        encode(&Answer::Status(Box::new(status))).expect("fits");
    }

    #[test]
    fn words_are_one_line_that_no_terminal_obeys() {
        assert_eq!(words("a\n\x1b[2Jb"), "a  [2Jb");
        assert_eq!(words(&"ä".repeat(200)), "ä".repeat(200));
        let cut = words(&"ä".repeat(201));
        assert_eq!((cut.chars().count(), cut.ends_with("ä…")), (200, true));
    }

    #[test]
    fn what_nobody_knows_is_no_ask() {
        let ask = |json: &str| serde_json::from_str::<Ask>(json);
        ask(r#"{"ask":"rows","table":"node"}"#).expect("an ask");
        ask(r#"{"ask":"rows","table":"secret"}"#).expect_err("no table");
        ask(r#"{"ask":"rows","table":"node","keys":"n1"}"#).expect_err("no field");
        ask(r#"{"ask":"command","command":"erase-volume","volume":"LH1"}"#).expect_err("none");
        ask(r#"{"ask":"command","command":"add-node","node":"../n1"}"#).expect_err("no name");
        ask(r#"{"ask":"command","command":"run","run":{"job":"db","due":5}}"#).expect("an ask");
    }
}
