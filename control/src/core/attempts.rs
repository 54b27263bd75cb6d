//! What services say of attempts.

use longhaul_protocol::ask::words;
use longhaul_protocol::job::{Kind, Label, Restart};
use longhaul_protocol::order::{Stop, What};
use longhaul_protocol::report::{AttemptSeen, Outcome, Part, Point};
use longhaul_protocol::run::Token;
use longhaul_protocol::{AttemptId, ExitStatus, Name, Time};

use super::commands::CommandError;
use super::state::{Attempt, Change, Drive, Key, Run, RunState, Volume};
use super::{Coordinator, Notice, Output};

impl Coordinator {
    /// The attempt, if it is under way on this node under this assignment.
    fn under_way(&self, node: &Name, id: &AttemptId, token: Token) -> Option<&Attempt> {
        let attempt = self.state.attempts.get(id)?;
        let is = attempt.node == *node && attempt.token == token && attempt.ended.is_none();
        is.then_some(attempt)
    }

    /// All attempts that are under way on this node.
    pub(super) fn all_under_way(&self, node: &Name) -> Vec<AttemptId> {
        self.state.under_way(node).cloned().collect()
    }

    /// Ends whatever goes on there that should not.
    fn stop_stray(&mut self, node: &Name, attempt: AttemptId) {
        let how = Stop::Now;
        self.send(node, What::Stop { attempt, how });
    }

    pub(super) fn attempts_seen(&mut self, now: Time, node: &Name, seen: Vec<AttemptSeen>) {
        self.give_up_overtaken(now, node, &seen);
        for one in &seen {
            self.attempt_seen(now, node, one);
        }
        for id in self.all_under_way(node) {
            if !seen.iter().any(|one| one.attempt == id) {
                // The order has not come to it.
                self.send_start(&id);
            }
        }
        if let Some(link) = self.links.get_mut(node) {
            link.is_known = true;
        }
        self.adopt_behind(now, node);
        self.send_occurrences(node);
    }

    pub(super) fn attempt_seen(&mut self, now: Time, node: &Name, one: &AttemptSeen) {
        if self.is_behind(node, one) {
            if let Some(link) = self.links.get_mut(node) {
                link.behind.push(one.clone());
            }
            return;
        }
        self.adopt(now, node, one);
        match &one.outcome {
            Some(outcome) => {
                self.ended(now, node, one.attempt.clone(), one.token, outcome.clone());
            }
            None if self.under_way(node, &one.attempt, one.token).is_none() => {
                self.stop_stray(node, one.attempt.clone());
            }
            None if self.is_stopped(&one.attempt) => {
                let attempt = one.attempt.clone();
                let how = Stop::Checkpoint;
                self.send(node, What::Stop { attempt, how });
            }
            None => {
                // It may wait for the rest of a journal.
                if one.point.is_none() {
                    self.send_start(&one.attempt);
                }
                self.kept(node, &one.attempt);
            }
        }
    }

    /// Whether an operator has stopped its run. What was said of that to the service
    /// may not have come to it.
    fn is_stopped(&self, id: &AttemptId) -> bool {
        let run = self.state.runs.get(&id.run);
        run.is_some_and(|run| run.is_stopped)
    }

    /// An attempt whose order has not come to its service before that used its drive
    /// under a newer assignment never begins.
    fn give_up_overtaken(&mut self, now: Time, node: &Name, seen: &[AttemptSeen]) {
        for id in self.all_under_way(node) {
            let Some(attempt) = self.state.attempts.get(&id) else {
                continue;
            };
            let is_newer =
                |one: &AttemptSeen| one.drive == attempt.drive && one.token > attempt.token;
            let is_seen = seen.iter().any(|one| one.attempt == id);
            if !is_seen && seen.iter().any(is_newer) {
                let why = "its order did not come to the service";
                let outcome = Outcome::without_set(ExitStatus::Unfinished, why, now);
                self.finish(now, &id, outcome);
            }
        }
    }

    fn kept(&mut self, node: &Name, id: &AttemptId) {
        if let Some(attempt) = self.state.attempts.get(id) {
            let kept = What::Kept {
                attempt: id.clone(),
                journal_bytes: attempt.journal_bytes,
                set_bytes: attempt.set_bytes,
            };
            self.send(node, kept);
        }
    }

    pub(super) fn journal(&mut self, node: &Name, id: AttemptId, token: Token, part: Part) {
        self.piece(
            node,
            id,
            token,
            part,
            |attempt| &mut attempt.journal_bytes,
            Output::Keep,
        );
    }

    /// The same of the file of its set.
    pub(super) fn set_file(&mut self, node: &Name, id: AttemptId, token: Token, part: Part) {
        self.piece(
            node,
            id,
            token,
            part,
            |attempt| &mut attempt.set_bytes,
            Output::KeepSet,
        );
    }

    /// A piece of one of an attempt's files, of which the row counts so many bytes.
    fn piece(
        &mut self,
        node: &Name,
        id: AttemptId,
        token: Token,
        part: Part,
        bytes: fn(&mut Attempt) -> &mut u64,
        keep: fn(AttemptId, Part) -> Output,
    ) {
        let Some(attempt) = self.under_way(node, &id, token) else {
            self.stop_stray(node, id);
            return;
        };
        let mut attempt = attempt.clone();
        let end = part.offset.saturating_add(part.bytes.len() as u64);
        let here = bytes(&mut attempt);
        if part.offset <= *here && end > *here {
            *here = end;
            self.outputs.push(keep(id.clone(), part));
            self.change(Change::Attempt(id.clone(), Box::new(attempt)));
        }
        // Where a piece is missing, this says from where on.
        self.kept(node, &id);
    }

    pub(super) fn checkpoint(
        &mut self,
        now: Time,
        node: &Name,
        id: AttemptId,
        token: Token,
        point: Point,
    ) {
        let Some(attempt) = self.under_way(node, &id, token) else {
            self.stop_stray(node, id);
            return;
        };
        let is_newer = attempt
            .point
            .as_ref()
            .is_none_or(|old| point.bytes > old.bytes);
        if is_newer && point.journal_bytes <= attempt.journal_bytes {
            let mut attempt = attempt.clone();
            let is_first = attempt.point.replace(point).is_none();
            self.change(Change::Attempt(id.clone(), Box::new(attempt)));
            if is_first {
                self.note_wrote(now, &id);
            }
        }
        self.kept(node, &id);
    }

    pub(super) fn ended(
        &mut self,
        now: Time,
        node: &Name,
        id: AttemptId,
        token: Token,
        outcome: Outcome,
    ) {
        if self.under_way(node, &id, token).is_some() {
            if let Some(set) = &outcome.set {
                let enter = Output::Enter(id.clone(), Box::new(set.clone()));
                self.outputs.push(enter);
            }
            self.finish(now, &id, outcome);
        }
        self.send(node, What::Heard { attempt: id });
        self.adopt_behind(now, node);
    }

    /// An attempt has ended: its drive and its volumes are free, and its run
    /// goes on, or is over.
    fn finish(&mut self, now: Time, id: &AttemptId, outcome: Outcome) {
        self.finish_and_wait(now, id, outcome, self.settings.retry_ms);
    }

    /// The same; after its first failure the run waits so long.
    pub(super) fn finish_and_wait(
        &mut self,
        now: Time,
        id: &AttemptId,
        mut outcome: Outcome,
        retry_ms: u64,
    ) {
        let Some(mut attempt) = self.state.attempts.get(id).cloned() else {
            return;
        };
        let was_told = self.told_to_move.remove(id);
        if outcome.left_off {
            // Its node was told before the cluster service said anything here.
            self.outputs.push(Output::LookAtCluster);
        }
        let is_worth_a_try = self.blame(&id.run, &attempt, &mut outcome);
        if let Some(drive) = self.state.drives.get(&attempt.drive).cloned() {
            let serial = attempt.drive.clone();
            self.change(Change::Drive(serial, let_go(drive, id, &attempt, &outcome)));
        }
        for uuid in &attempt.volumes {
            if let Some(volume) = self.state.volumes.get(uuid).cloned() {
                let is_backup = self.is_backup(id);
                let point = attempt.point.as_ref();
                let wrote = point.is_some_and(|point| point.volume == *uuid);
                let volume = closed(volume, id, wrote, is_backup.then_some(&outcome));
                self.change(Change::Volume(*uuid, volume));
            }
        }
        if let Some(run) = self.state.runs.get(&id.run).cloned() {
            let labelled = match &run.job.work.kind {
                Kind::Label(label) if is_done(&outcome) => {
                    self.labelled(label, run.job.volumes.clone())
                }
                _ => Ok(()),
            };
            let has_moved = self.has_moved(&run.job.place, &attempt);
            // Its application may be back by now: told is told.
            outcome.left_off |= was_told && outcome.exit == ExitStatus::Unfinished;
            let failures = run.failures;
            let mut run = gone_on(run, &outcome, has_moved, now, retry_ms);
            let may_retry = run.job.restart != Restart::None || outcome.wrote_nothing;
            if is_worth_a_try && may_retry && !run.is_stopped && !is_done(&outcome) {
                // What a cartridge has done costs no retry: there are so many of them.
                (run.state, run.not_before) = (RunState::Waiting, now);
                run.failures = failures;
            }
            if let Err(error) = labelled {
                run.state = RunState::Failed(format!("labelled, but not entered: {error}"));
            }
            let of = id.run.clone();
            let notice = match run.state.clone() {
                RunState::Failed(why) => Some(Notice::Failed(of, why)),
                RunState::Held(why) => Some(Notice::Held(of, why)),
                RunState::Done(ExitStatus::Done) | RunState::Waiting | RunState::Active => None,
                RunState::Done(_) => {
                    let why = outcome.error.clone();
                    let why = why.unwrap_or_else(|| "some files could not be read".into());
                    Some(Notice::Damaged(of, why))
                }
            };
            self.outputs.extend(notice.map(Output::Notify));
            self.change(Change::Run(id.run.clone(), Box::new(run)));
        }
        attempt.ended = Some(outcome);
        self.change(Change::Attempt(id.clone(), Box::new(attempt)));
    }
}

impl Coordinator {
    fn is_backup(&self, id: &AttemptId) -> bool {
        let run = self.state.runs.get(&id.run);
        run.is_none_or(|run| run.job.work.kind.is_backup())
    }

    /// A cartridge was made a volume; the one that it was before is no more.
    fn labelled(&mut self, label: &Label, pool: Name) -> Result<(), CommandError> {
        let old = label.overwrite.as_ref();
        let old = old.and_then(|name| self.state.volume_named(name));
        if let Some((uuid, _)) = old {
            self.change(Change::Removed(Key::Volume(uuid)));
        }
        self.add_volume(label.uuid, label.name.clone(), pool)
    }
}

/// The drive behind an attempt that has ended.
fn let_go(mut drive: Drive, id: &AttemptId, attempt: &Attempt, outcome: &Outcome) -> Drive {
    if drive.holder.as_ref() == Some(id) {
        drive.holder = None;
    }
    if is_done(outcome) || attempt.journal_bytes > 0 {
        // It had the drive, and whoever had it before has it no more.
        drive.left.retain(|token| *token > attempt.token);
    }
    let may_have_it = outcome.exit != ExitStatus::Held && !outcome.not_begun;
    if !is_done(outcome) && may_have_it {
        drive.leave(attempt.token);
    }
    drive
}

/// A volume behind an attempt that had it. If it was to write sets to it, and has
/// come to this end, whether it did is not known for sure: so the volume is the
/// run's until that is done. That it `wrote` there is known by a checkpoint.
fn closed(mut volume: Volume, id: &AttemptId, wrote: bool, outcome: Option<&Outcome>) -> Volume {
    if volume.writer.as_ref() == Some(id) {
        volume.writer = None;
    }
    let Some(outcome) = outcome else {
        return volume;
    };
    // What is damaged is not given to anybody any more.
    if outcome.damaged && volume.unfinished.is_some() {
        let why = outcome.error.as_deref().unwrap_or("damaged");
        volume.closed.get_or_insert(words(why));
    }
    if is_done(outcome) {
        volume.unfinished = None;
    } else if !outcome.wrote_nothing {
        // What began by itself may have found another run's.
        volume.unfinished.get_or_insert_with(|| id.run.clone());
    }
    if outcome.needs_volume {
        let why = match wrote {
            true => "full".into(),
            // It was full before, or ends in a set that nobody knows.
            false => words(outcome.error.as_deref().unwrap_or("full")),
        };
        volume.closed.get_or_insert(why);
    }
    volume
}

/// The run behind an attempt that has ended.
fn gone_on(mut run: Run, outcome: &Outcome, has_moved: bool, now: Time, retry_ms: u64) -> Run {
    let words = || outcome.error.clone().unwrap_or_default();
    if run.is_stopped && !is_done(outcome) {
        run.state = RunState::Failed(words());
        return run;
    }
    if outcome.needs_volume {
        run.state = RunState::Waiting;
        return run;
    }
    run.state = match outcome.exit {
        exit @ (ExitStatus::Done | ExitStatus::Incomplete) => RunState::Done(exit),
        ExitStatus::Usage | ExitStatus::Refused if !outcome.damaged => RunState::Failed(words()),
        ExitStatus::Operator => RunState::Held(words()),
        // It follows its application, or was left off: no failure. Where it stays, it
        // would be told so again at once.
        ExitStatus::Unfinished
            if (has_moved || outcome.left_off) && run.job.restart != Restart::None =>
        {
            run.not_before = if has_moved { now } else { now.after(retry_ms) };
            RunState::Waiting
        }
        _ if run.job.restart == Restart::None || run.failures >= run.job.retries => {
            RunState::Failed(words())
        }
        _ => {
            run.failures += 1;
            run.not_before = now.after(retry_ms.saturating_mul(u64::from(run.failures)));
            RunState::Waiting
        }
    };
    run
}

/// The set is whole, and the drive was let go in order.
pub(super) fn is_done(outcome: &Outcome) -> bool {
    outcome.exit <= ExitStatus::Incomplete
}
