//! What operators ask, and what they are answered.

use longhaul_protocol::ask::{
    AttemptStatus, DriveStatus, Lines, NodeStatus, RunStatus, Stands, Status, WAIT_MS_MAX, words,
};
use longhaul_protocol::{Answer, Ask, ExitStatus, Name, RunId, Time};

use super::commands::{CommandError, unknown};
use super::state::{Change, Key, Run, RunState};
use super::{Coordinator, Output, rows};

/// Most operators that wait for a run at a time.
pub const WAITERS_MAX: usize = 1000;
/// A run that failed so long ago is no news any more, in milliseconds.
const NEWS_MS: u64 = 24 * 3600 * 1000;

/// An operator's connection, as whoever keeps it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// An operator that waits for a run.
#[derive(Debug)]
pub(super) struct Waiter {
    asker: Asker,
    run: RunId,
    until: Time,
}

impl Coordinator {
    pub(super) fn ask(&mut self, now: Time, asker: Asker, ask: Ask) {
        let answer = match ask {
            Ask::Command(command) => self.command(now, command).map(|()| Some(Answer::Done)),
            Ask::Rows(query) => rows::rows(&self.state, &query).map(Some),
            Ask::Status => Ok(Some(Answer::Status(Box::new(self.status(now))))),
            Ask::Run { run, wait_ms } => self.wait(now, asker, run, wait_ms),
            Ask::Events(_) => {
                let why = "what happened is in the database, which is not asked here";
                Err(CommandError::Refused(why.into()))
            }
        };
        let answer = answer.unwrap_or_else(|error| {
            Some(Answer::Failed {
                exit: error.exit(),
                why: words(&error.to_string()),
            })
        });
        self.outputs
            .extend(answer.map(|answer| Output::Answer(asker, answer)));
    }

    /// The answer, if it is not to be waited for.
    fn wait(
        &mut self,
        now: Time,
        asker: Asker,
        id: RunId,
        wait_ms: u64,
    ) -> Result<Option<Answer>, CommandError> {
        let run = self.state.runs.get(&id);
        let status = self.run_status(now, &id, run.ok_or_else(|| unknown("run", &id))?);
        if wait_ms == 0 || status.exit.is_some() {
            return Ok(Some(Answer::Run(Box::new(status))));
        }
        if self.waiters.len() >= WAITERS_MAX {
            let why = format!("{WAITERS_MAX} wait for runs already: ask without waiting");
            return Err(CommandError::Refused(why));
        }
        let until = now.after(wait_ms.min(WAIT_MS_MAX));
        let run = id;
        self.waiters.push(Waiter { asker, run, until });
        Ok(None)
    }

    /// Answers those whose run is over or held, or who have waited for long
    /// enough.
    pub(super) fn answer_waiters(&mut self, now: Time) {
        let is_of_run = |output: &Output| {
            matches!(
                output,
                Output::Change(Change::Run(..) | Change::Removed(Key::Run(_)))
            )
        };
        let has_changed = self.outputs.iter().any(is_of_run);
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters {
            // Longer than anybody may wait: the clock was set back.
            let is_up = waiter.until <= now || waiter.until.since(now) > WAIT_MS_MAX;
            if !is_up && !has_changed {
                self.waiters.push(waiter);
                continue;
            }
            let run = self.state.runs.get(&waiter.run);
            let status = run.map(|run| self.run_status(now, &waiter.run, run));
            let answer = match status {
                Some(status) if !is_up && status.exit.is_none() => {
                    self.waiters.push(waiter);
                    continue;
                }
                Some(status) => Answer::Run(Box::new(status)),
                None => Answer::Failed {
                    exit: ExitStatus::Usage,
                    why: unknown("run", &waiter.run).to_string(),
                },
            };
            self.outputs.push(Output::Answer(waiter.asker, answer));
        }
    }

    pub(super) fn asker_gone(&mut self, asker: Asker) {
        self.waiters.retain(|waiter| waiter.asker != asker);
    }

    fn run_status(&self, now: Time, id: &RunId, run: &Run) -> RunStatus {
        let newest = self.state.newest(id);
        let (stands, text, exit) = match &run.state {
            RunState::Waiting => (Stands::Waiting, self.why_words(now, id, run), None),
            RunState::Active => (Stands::Active, String::new(), None),
            RunState::Held(why) => (Stands::Held, why.clone(), Some(ExitStatus::Operator)),
            RunState::Done(exit) => (Stands::Done, String::new(), Some(*exit)),
            RunState::Failed(why) => {
                let ended = newest
                    .as_ref()
                    .and_then(|(_, newest)| newest.ended.as_ref());
                let exit = ended.map(|ended| ended.exit);
                let exit = exit.filter(|exit| *exit > ExitStatus::Incomplete);
                let exit = exit.unwrap_or(ExitStatus::Unfinished);
                (Stands::Failed, why.clone(), Some(exit))
            }
        };
        let attempt = newest.map(|(id, attempt)| AttemptStatus {
            number: id.number,
            node: attempt.node.clone(),
            drive: attempt.drive.clone(),
            ordered: attempt.ordered,
            point: attempt.point.clone(),
        });
        RunStatus {
            run: id.clone(),
            stands,
            words: words(&text),
            exit,
            attempt,
        }
    }

    /// How things stand; certificates are known to whoever carries this out.
    fn status(&self, now: Time) -> Status {
        Status {
            epoch: self.state.counters.epoch,
            since: self.since.unwrap_or(now),
            now,
            nodes: self.node_lines(),
            drives: self.drive_lines(),
            waiting: self.run_lines(now, |_, run| run.state == RunState::Waiting),
            active: self.run_lines(now, |_, run| run.state == RunState::Active),
            held: self.run_lines(now, |_, run| matches!(run.state, RunState::Held(_))),
            failed: self.run_lines(now, |id, run| {
                matches!(run.state, RunState::Failed(_)) && now.since(self.last(id)) < NEWS_MS
            }),
            certificates: Lines::default(),
        }
    }

    /// When a run was heard of last, about.
    fn last(&self, id: &RunId) -> Time {
        let newest = self.state.newest(id).map(|(_, newest)| newest);
        let ended = newest.and_then(|newest| newest.ended.as_ref());
        ended.map_or(id.due, |ended| ended.ended).max(id.due)
    }

    fn run_lines(&self, now: Time, is: impl Fn(&RunId, &Run) -> bool) -> Lines<RunStatus> {
        let runs = self.state.runs.iter().filter(|(id, run)| is(id, run));
        Lines::of(runs, |(id, run)| self.run_status(now, id, run))
    }

    fn node_lines(&self) -> Lines<NodeStatus> {
        let (there, away): (Vec<&Name>, Vec<&Name>) = self
            .state
            .nodes
            .keys()
            .partition(|node| self.links.contains_key(*node));
        Lines::of(away.into_iter().chain(there), |node| {
            let link = self.links.get(node);
            let row = self.state.nodes.get(node);
            NodeStatus {
                node: node.clone(),
                is_connected: link.is_some(),
                is_drained: row.is_some_and(|row| row.is_drained),
                heard: link.map(|link| link.heard).or(self.away.get(node).copied()),
            }
        })
    }

    fn drive_lines(&self) -> Lines<DriveStatus> {
        let (well, ill): (Vec<_>, Vec<_>) = self
            .state
            .drives
            .iter()
            .partition(|(_, drive)| drive.trouble.is_none() && !drive.is_disabled);
        Lines::of(ill.into_iter().chain(well), |(serial, drive)| DriveStatus {
            drive: serial.clone(),
            pool: drive.pool.clone(),
            is_disabled: drive.is_disabled,
            trouble: drive.trouble.as_deref().map(words),
            holder: drive.holder.clone(),
        })
    }
}
