//! What operators ask, and what they are answered.

use longhaul_protocol::ask::{
    ALONE_CHARS_MAX, AttemptStatus, DriveStatus, Lines, NodeStatus, RunStatus, Stands, Status,
    WAIT_MS_MAX, WORDS_CHARS_MAX, cut, words,
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
            Ask::Events(_) | Ask::Find(_) => {
                let why = "that is in the database or the catalog, which are not asked here";
                Err(CommandError::Refused(why.into()))
            }
        };
        let answer = answer.unwrap_or_else(|error| {
            Some(Answer::Failed {
                exit: error.exit(),
                why: cut(&error.to_string(), ALONE_CHARS_MAX),
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
        let status = self.run_status(
            now,
            &id,
            run.ok_or_else(|| unknown("run", &id))?,
            ALONE_CHARS_MAX,
        );
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
            let status = run.map(|run| self.run_status(now, &waiter.run, run, ALONE_CHARS_MAX));
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

    /// How a run stands, in so many characters at most.
    fn run_status(&self, now: Time, id: &RunId, run: &Run, most: usize) -> RunStatus {
        let newest = self.state.newest(id);
        let (stands, text, exit) = match &run.state {
            RunState::Waiting => (Stands::Waiting, self.why_words(now, id, run), None),
            RunState::Active => {
                let node = newest.as_ref().map(|(_, newest)| &newest.node);
                let unheard = node.and_then(|node| self.unheard(node));
                (Stands::Active, unheard.unwrap_or_default(), None)
            }
            RunState::Held(why) => (Stands::Held, why.clone(), Some(ExitStatus::Operator)),
            RunState::Done(exit) => {
                let ended = newest.as_ref().and_then(|(_, row)| row.ended.as_ref());
                let words = ended.and_then(|ended| ended.words.clone());
                let error = ended.and_then(|ended| ended.error.clone());
                let error = error.filter(|_| *exit != ExitStatus::Done);
                let said: Vec<String> = words.into_iter().chain(error).collect();
                (Stands::Done, said.join("; "), Some(*exit))
            }
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
            words: cut(&text, most),
            exit,
            attempt,
        }
    }

    /// How things stand; certificates are known to whoever carries this out.
    fn status(&self, now: Time) -> Status {
        let (mut waiting, mut active, mut held, mut failed) = (vec![], vec![], vec![], vec![]);
        // There may be many: they are looked through once.
        for (id, run) in &self.state.runs {
            match run.state {
                RunState::Waiting => waiting.push((id, run)),
                RunState::Active => active.push((id, run)),
                RunState::Held(_) => held.push((id, run)),
                RunState::Failed(_) if now.since(self.last(id)) < NEWS_MS => failed.push((id, run)),
                RunState::Failed(_) | RunState::Done(_) => {}
            }
        }
        failed.sort_by_cached_key(|(id, _)| std::cmp::Reverse(self.last(id)));
        let lines = |runs: Vec<(&RunId, &Run)>| {
            Lines::of(runs, |(id, run)| {
                self.run_status(now, id, run, WORDS_CHARS_MAX)
            })
        };
        Status {
            epoch: self.state.counters.epoch,
            since: self.since.unwrap_or(now),
            now,
            nodes: self.node_lines(),
            drives: self.drive_lines(),
            waiting: lines(waiting),
            active: lines(active),
            held: lines(held),
            failed: lines(failed),
            certificates: Lines::default(),
        }
    }

    /// When a run was heard of last, about.
    fn last(&self, id: &RunId) -> Time {
        let newest = self.state.newest(id).map(|(_, newest)| newest);
        let ended = newest.and_then(|newest| newest.ended.as_ref());
        ended.map_or(id.due, |ended| ended.ended).max(id.due)
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
        let (well, ill): (Vec<_>, Vec<_>) = self.state.drives.iter().partition(|(_, drive)| {
            drive.trouble.is_none() && !drive.is_disabled && drive.notes().is_empty()
        });
        Lines::of(ill.into_iter().chain(well), |(serial, drive)| DriveStatus {
            drive: serial.clone(),
            pool: drive.pool.clone(),
            is_disabled: drive.is_disabled,
            trouble: drive.trouble.as_deref().map(words),
            notes: words(&drive.notes().join("; ")),
            holder: drive.holder.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use longhaul_protocol::Command;
    use longhaul_protocol::command::DUE_OFF_MS_MAX;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::core::state::State;
    use crate::core::{Input, Settings};

    fn run(due: i64) -> RunId {
        RunId {
            job: "db".parse().expect("a name"),
            due: Time(due),
        }
    }

    /// A coordinator with a run that waits for a node.
    fn coordinator() -> Coordinator {
        let settings = Settings {
            cluster: Uuid::nil(),
            alive_ms: 2_000,
            retry_ms: 1_000,
            ..Settings::default()
        };
        let (mut coordinator, _) = Coordinator::start(settings, State::default());
        let job = json!({
            "name": "db", "work": { "paths": ["/srv"] }, "place": { "node": "n1" },
            "drive": { "pool": "fast" }, "volumes": "daily",
        });
        let job = serde_json::from_value(job).expect("a job");
        let run = run(0);
        for command in [Command::SetJob { job }, Command::Run { run }] {
            let answers = ask(&mut coordinator, 0, 1, Ask::Command(command));
            assert_eq!(answers, [(1, Answer::Done)]);
        }
        coordinator
    }

    fn answers(outputs: Vec<Output>) -> Vec<(u64, Answer)> {
        let answers = outputs.into_iter().filter_map(|output| match output {
            Output::Answer(asker, answer) => Some((asker.0, answer)),
            _ => None,
        });
        answers.collect()
    }

    fn ask(coordinator: &mut Coordinator, now: i64, asker: u64, ask: Ask) -> Vec<(u64, Answer)> {
        answers(coordinator.handle(Time(now), Input::Ask(Asker(asker), ask)))
    }

    fn wait(coordinator: &mut Coordinator, asker: u64, wait_ms: u64) -> Vec<(u64, Answer)> {
        ask(
            coordinator,
            0,
            asker,
            Ask::Run {
                run: run(0),
                wait_ms,
            },
        )
    }

    fn tick(coordinator: &mut Coordinator, now: i64) -> Vec<u64> {
        let answers = answers(coordinator.handle(Time(now), Input::Tick));
        answers.into_iter().map(|(asker, _)| asker).collect()
    }

    #[test]
    fn who_waits_is_answered_when_it_is_over_and_after_so_long_in_any_case() {
        let mut coordinator = coordinator();
        let answered = wait(&mut coordinator, 1, 0);
        assert!(matches!(&answered[..], [(1, Answer::Run(run))]
            if run.stands == Stands::Waiting && run.words == "no node is called n1"));
        assert_eq!(wait(&mut coordinator, 2, 5_000), []);
        assert_eq!(wait(&mut coordinator, 3, u64::MAX), []);
        assert_eq!(wait(&mut coordinator, 4, u64::MAX), []);
        coordinator.handle(Time(0), Input::AskerGone(Asker(4)));
        assert_eq!(tick(&mut coordinator, 4_999), [0; 0]);
        assert_eq!(tick(&mut coordinator, 5_000), [2]);
        assert_eq!(tick(&mut coordinator, 5_001), [0; 0]);
        let stop = Ask::Command(Command::Stop { run: run(0) });
        let answered = ask(&mut coordinator, 6_000, 5, stop);
        assert_eq!(answered[0], (5, Answer::Done));
        assert!(matches!(&answered[1..], [(3, Answer::Run(run))]
            if run.stands == Stands::Failed && run.exit == Some(ExitStatus::Unfinished)));
        assert_eq!(tick(&mut coordinator, i64::MAX), [0; 0]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_longer() {
        let mut coordinator = coordinator();
        assert_eq!(wait(&mut coordinator, 2, 5_000), []);
        assert_eq!(tick(&mut coordinator, -10), [0; 0]);
        assert_eq!(tick(&mut coordinator, -3_600_000), [2]);
    }

    #[test]
    fn who_waits_for_what_is_removed_is_told_so() {
        let mut coordinator = coordinator();
        // Nobody else may be waiting when it is over; one asks again just then.
        coordinator.waiters.push(Waiter {
            asker: Asker(2),
            run: run(1),
            until: Time(50_000),
        });
        let stop = Ask::Command(Command::Stop { run: run(0) });
        let answered = ask(&mut coordinator, 0, 1, stop);
        assert!(matches!(
            &answered[..],
            [
                (1, Answer::Done),
                (
                    2,
                    Answer::Failed {
                        exit: ExitStatus::Usage,
                        ..
                    }
                )
            ]
        ));
    }

    #[test]
    fn only_so_many_may_wait() {
        let mut coordinator = coordinator();
        for asker in 0..WAITERS_MAX as u64 {
            assert_eq!(wait(&mut coordinator, asker, 5_000), []);
        }
        let answered = wait(&mut coordinator, 5_000, 5_000);
        assert!(matches!(
            &answered[..],
            [(
                5_000,
                Answer::Failed {
                    exit: ExitStatus::Refused,
                    ..
                }
            )]
        ));
        coordinator.handle(Time(0), Input::AskerGone(Asker(7)));
        assert_eq!(wait(&mut coordinator, 5_000, 5_000), []);
    }

    #[test]
    fn a_run_is_due_about_now_and_is_the_same_however_often_it_is_said() {
        let mut coordinator = coordinator();
        let far = DUE_OFF_MS_MAX.cast_signed() + 1;
        for due in [i64::MIN, -far, far, i64::MAX] {
            let command = Ask::Command(Command::Run { run: run(due) });
            let answered = ask(&mut coordinator, 0, 1, command);
            assert!(matches!(
                &answered[..],
                [(
                    1,
                    Answer::Failed {
                        exit: ExitStatus::Refused,
                        ..
                    }
                )]
            ));
        }
        for due in [-far + 1, far - 1, far - 1] {
            let command = Ask::Command(Command::Run { run: run(due) });
            assert_eq!(ask(&mut coordinator, 0, 1, command), [(1, Answer::Done)]);
        }
        assert_eq!(coordinator.state().runs.len(), 3);
    }

    #[test]
    fn questions_change_nothing() {
        let mut coordinator = coordinator();
        let before = coordinator.state().clone();
        for question in [
            Ask::Status,
            Ask::Rows(longhaul_protocol::ask::Rows::all(
                longhaul_protocol::ask::Table::Run,
            )),
            Ask::Run {
                run: run(0),
                wait_ms: 9,
            },
            Ask::Events(Default::default()),
        ] {
            let outputs = coordinator.handle(Time(5), Input::Ask(Asker(1), question));
            assert!(
                outputs
                    .iter()
                    .all(|output| matches!(output, Output::Answer(..)))
            );
        }
        assert_eq!(*coordinator.state(), before);
    }
}
