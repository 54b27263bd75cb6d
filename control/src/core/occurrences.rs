//! What services begin by themselves when it is due and no coordinator is there.
//!
//! The next time of each schedule whose job has its drive assigned before is
//! given to the node's service: an [`Occurrence`]. The service begins it as
//! attempt 0 of its run, if nobody says anything for a while, and reports it when
//! somebody is there again. Until that node was heard, is dead, or the occurrence
//! is out of date, nobody else gets the run, and nobody its drive.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_protocol::job::{DriveChoice, Place};
use longhaul_protocol::order::{Occurrence, Stop, VolumeRef, What};
use longhaul_protocol::report::{AttemptSeen, Outcome};
use longhaul_protocol::run::Token;
use longhaul_protocol::{AttemptId, ExitStatus, Name, RunId, Time};
use uuid::Uuid;

use super::Coordinator;
use super::state::{Attempt, Change, Given, Key, Run, RunState, Scheduled};

/// Only what is due so soon is given, in milliseconds: a week.
const AHEAD_MS: u64 = 7 * 24 * 3_600_000;
/// So long after it was due a service may begin it, in milliseconds.
const VALID_MS: u64 = 6 * 3_600_000;
/// So much clocks may differ, in milliseconds: that long after its end it is not
/// begun anywhere any more.
pub(super) const MARGIN_MS: u64 = 10 * 60_000;
/// Occurrences that one node is given.
const OF_NODE_MAX: usize = 200;

impl Coordinator {
    /// Gives what is due next, where that has changed, and forgets what was begun
    /// or is out of date.
    pub(super) fn give_occurrences(&mut self, now: Time) {
        let mut changed = BTreeSet::new();
        let wanted = self.wanted(now);
        for (id, given) in self.state.occurrences.clone() {
            let is_ahead = id.due > now && !self.state.runs.contains_key(&id);
            let stays = match is_ahead {
                true => wanted.contains_key(&id),
                false => self.may_begin(now, &id, &given),
            };
            if !stays {
                self.forget(now, id, &given);
                changed.insert(given.node);
            }
        }
        // By the time they are due: on one drive, each token is newer than those
        // before.
        let mut wanted: Vec<(RunId, Given)> = wanted.into_iter().collect();
        wanted.sort_by_key(|(id, _)| id.due);
        let mut newest = BTreeMap::new();
        for (id, mut given) in wanted {
            let least = self.least_token(&given.occurrence, &newest);
            let old = self.state.occurrences.get(&id);
            given.occurrence.token = old.map_or(Token(0), |old| old.occurrence.token);
            if old != Some(&given) || given.occurrence.token <= least {
                changed.extend(old.map(|old| old.node.clone()));
                changed.insert(given.node.clone());
                let mut counters = self.state.counters.clone();
                counters.token.0 += 1;
                given.occurrence.token = counters.token;
                self.change(Change::Counters(counters));
                self.change(Change::Occurrence(id, Box::new(given.clone())));
            }
            newest.insert(given.occurrence.drive, given.occurrence.token);
        }
        for node in changed {
            self.send_occurrences(&node);
        }
    }

    /// All that is due ahead, with the assignments still to be made.
    fn wanted(&self, now: Time) -> BTreeMap<RunId, Given> {
        let mut of_node: BTreeMap<Name, usize> = BTreeMap::new();
        let mut wanted = BTreeMap::new();
        let mut in_drives = BTreeMap::new();
        for row in self.state.schedules.values() {
            let Some((id, given)) = self.want(now, row, &in_drives) else {
                continue;
            };
            let count = of_node.entry(given.node.clone()).or_default();
            *count += 1;
            if *count <= OF_NODE_MAX {
                let volumes = given.occurrence.volumes.iter();
                let drive = &given.occurrence.drive;
                in_drives.extend(volumes.map(|volume| (volume.uuid, drive.clone())));
                wanted.insert(id, given);
            }
        }
        wanted
    }

    fn want(
        &self,
        now: Time,
        row: &Scheduled,
        in_drives: &BTreeMap<Uuid, Name>,
    ) -> Option<(RunId, Given)> {
        let due = row.next.filter(|_| !row.schedule.is_disabled)?;
        if due <= now || due.since(now) > AHEAD_MS {
            return None;
        }
        let job = self.state.jobs.get(&row.schedule.job)?;
        let (node, application) = match &job.place {
            Place::Node(node) => (node.clone(), None),
            Place::Application(name) => (self.runs_on(name)?, Some(name.clone())),
        };
        let DriveChoice::Serial(serial) = &job.drive else {
            return None;
        };
        let drive = self.state.drives.get(serial)?;
        self.state.nodes.get(&node).filter(|row| !row.is_drained)?;
        let is_well = !drive.is_disabled && drive.trouble.is_none();
        if !is_well || !self.state.reaches(&node, serial) {
            return None;
        }
        let run = RunId {
            job: job.name.clone(),
            due,
        };
        let is_elsewhere = |uuid: &Uuid| in_drives.get(uuid).is_some_and(|other| other != serial);
        let volume = self.volume_for(&job.volumes, &run, is_elsewhere)?;
        let occurrence = Occurrence {
            run: run.clone(),
            work: job.work.clone(),
            token: Token(0),
            drive: serial.clone(),
            library: drive.library.clone(),
            preempts: drive.left.clone(),
            volumes: vec![volume],
            valid_until: due.after(VALID_MS),
            window: job.window,
            application,
        };
        Some((run, Given { node, occurrence }))
    }

    /// A volume of a pool that ends in no unfinished set: if it can be, one that
    /// nobody needs in another drive, and the one that was given before.
    fn volume_for(
        &self,
        pool: &Name,
        run: &RunId,
        is_elsewhere: impl Fn(&Uuid) -> bool,
    ) -> Option<VolumeRef> {
        let before = self.state.occurrences.get(run);
        let before = before.and_then(|given| given.occurrence.volumes.first());
        let open = self.state.volumes.iter().filter(|(_, volume)| {
            volume.pool == *pool && volume.closed.is_none() && volume.unfinished.is_none()
        });
        let is_before = |uuid: &Uuid| before.is_some_and(|before| before.uuid == *uuid);
        // Nobody knows how a set ends that is being written.
        let found = open.min_by_key(|(uuid, volume)| {
            let is_used = volume.writer.is_some() || volume.absent.is_some();
            (is_used, is_elsewhere(uuid), !is_before(uuid))
        })?;
        Some(VolumeRef {
            name: found.1.name.clone(),
            uuid: *found.0,
            closed: false,
        })
    }

    /// What an occurrence's token must be newer than.
    fn least_token(&self, of: &Occurrence, newest: &BTreeMap<Name, Token>) -> Token {
        let rows = &self.state;
        let drive = rows.drives.get(&of.drive).map(|drive| drive.token);
        let volumes = of.volumes.iter();
        let volumes = volumes.filter_map(|of| Some(rows.volumes.get(&of.uuid)?.token));
        let before = newest.get(&of.drive).copied();
        volumes.chain(drive).chain(before).max().unwrap_or_default()
    }

    /// Whether a service may have begun this by itself, and nobody knows: it was
    /// not heard since it was due, and it is not out of date.
    fn may_begin(&self, now: Time, id: &RunId, given: &Given) -> bool {
        let run = self.state.runs.get(id);
        let is_begun = run.is_some_and(|run| run.attempts > 0 || run.state != RunState::Waiting)
            || self.state.newest(id).is_some();
        let ends = given.occurrence.valid_until.after(MARGIN_MS);
        // Further off than any was ever given: the clock was set back.
        let is_off = id.due.since(now) > AHEAD_MS;
        !is_begun && now <= ends && !is_off && self.state.nodes.contains_key(&given.node)
    }

    pub(super) fn is_heard(&self, node: &Name) -> bool {
        self.links.get(node).is_some_and(|link| link.is_known)
    }

    /// Whether the service that was given this may have begun it, and was not heard
    /// since.
    fn is_unheard(&self, now: Time, id: &RunId, given: &Given) -> bool {
        !self.is_heard(&given.node) && self.may_begin(now, id, given)
    }

    /// The node that may have begun this run by itself, if it is another one, and
    /// was not heard.
    pub(super) fn begun_elsewhere(&self, now: Time, id: &RunId, node: &Name) -> Option<Name> {
        let given = self.state.occurrences.get(id)?;
        let may = given.node != *node && self.is_unheard(now, id, given);
        may.then(|| given.node.clone())
    }

    /// Whether a service that was not heard may be using this drive for something
    /// that it has begun by itself.
    pub(super) fn may_be_used(&self, now: Time, serial: &Name) -> bool {
        self.may_have(now, |of| of.drive == *serial)
    }

    /// The same of a volume.
    pub(super) fn may_be_written(&self, now: Time, uuid: &Uuid) -> bool {
        self.may_have(now, |of| of.volumes.iter().any(|of| of.uuid == *uuid))
    }

    fn may_have(&self, now: Time, is_meant: impl Fn(&Occurrence) -> bool) -> bool {
        self.state.occurrences.iter().any(|(id, given)| {
            is_meant(&given.occurrence) && id.due <= now && self.is_unheard(now, id, given)
        })
    }

    /// Tells a service what is due on its node.
    pub(super) fn send_occurrences(&mut self, node: &Name) {
        if !self.is_heard(node) {
            return;
        }
        let of_node = self.state.occurrences.values();
        let of_node = of_node.filter(|given| given.node == *node);
        let mut occurrences: Vec<Occurrence> =
            of_node.map(|given| given.occurrence.clone()).collect();
        occurrences.sort_by_key(|occurrence| occurrence.run.due);
        self.send(node, What::Occurrences { occurrences });
    }

    /// Nothing that was given to a node is begun there any more.
    pub(super) fn take_back(&mut self, now: Time, node: &Name) {
        let of_node = self.state.occurrences.iter();
        let of_node = of_node.filter(|(_, given)| given.node == *node);
        let of_node: Vec<_> = of_node.map(|(id, of)| (id.clone(), of.clone())).collect();
        for (id, given) in of_node {
            self.forget(now, id, &given);
        }
    }

    /// An occurrence is nobody's any more. If it may have been begun and was not
    /// heard of, whoever has the drive next may take it from there.
    fn forget(&mut self, now: Time, id: RunId, given: &Given) {
        let Occurrence { drive, token, .. } = &given.occurrence;
        let is_unheard = id.due <= now.after(MARGIN_MS) && self.state.newest(&id).is_none();
        if is_unheard && let Some(mut row) = self.state.drives.get(drive).cloned() {
            row.leave(*token);
            self.change(Change::Drive(drive.clone(), row));
        }
        self.change(Change::Removed(Key::Occurrence(id)));
    }

    /// Whether an attempt that a service has begun by itself follows one there that
    /// is not known to have ended: it has, or this would not have begun.
    pub(super) fn is_behind(&self, node: &Name, seen: &AttemptSeen) -> bool {
        let is_older = |id: &AttemptId| {
            let attempt = self.state.attempts.get(id);
            attempt.is_some_and(|attempt| {
                let is_same = attempt.drive == seen.drive || id.run.job == seen.attempt.run.job;
                is_same && attempt.token < seen.token
            })
        };
        let is_new = seen.attempt.number == 0 && !self.state.attempts.contains_key(&seen.attempt);
        is_new && self.state.under_way(node).any(is_older)
    }

    /// What was behind something that has ended now.
    pub(super) fn adopt_behind(&mut self, now: Time, node: &Name) {
        let link = self.links.get_mut(node).filter(|link| link.is_known);
        for seen in link
            .map(|link| std::mem::take(&mut link.behind))
            .unwrap_or_default()
        {
            self.attempt_seen(now, node, &seen);
        }
    }

    /// An attempt that a service has begun by itself becomes one of its run. One
    /// that is in somebody's way by now is ended.
    pub(super) fn adopt(&mut self, now: Time, node: &Name, seen: &AttemptSeen) {
        let id = &seen.attempt;
        let was_given = seen.token <= self.state.counters.token;
        if id.number > 0 || !was_given {
            return;
        }
        if let Some(known) = self.state.attempts.get(id) {
            if known.token != seen.token {
                // It was given to two nodes, one after the other, and the clock was
                // set back in between.
                self.hold(seen, false);
            }
            return;
        }
        let Some(job) = self.state.jobs.get(&id.run.job).cloned() else {
            return;
        };
        let is_in_the_way = self.is_in_the_way(seen);
        let known = self.state.runs.get(&id.run).cloned();
        let run = known.unwrap_or(Run::new(job, id.run.due));
        let state = match is_in_the_way {
            true => run.state.clone(),
            false => RunState::Active,
        };
        self.change(Change::Run(id.run.clone(), Box::new(Run { state, ..run })));
        let why = "something else had begun on its drive or volume";
        let ended = Outcome::without_set(ExitStatus::Unfinished, why, now);
        self.hold(seen, !is_in_the_way);
        let attempt = Attempt {
            node: node.clone(),
            drive: seen.drive.clone(),
            token: seen.token,
            preempts: Vec::new(),
            volumes: seen.volumes.clone(),
            resumes: None,
            ordered: id.run.due,
            journal_bytes: 0,
            set_bytes: 0,
            point: None,
            ended: is_in_the_way.then_some(ended),
        };
        self.change(Change::Attempt(id.clone(), Box::new(attempt)));
        if is_in_the_way {
            let attempt = id.clone();
            let how = Stop::Now;
            self.send(node, What::Stop { attempt, how });
        }
    }

    /// Whether another attempt has the drive, a volume, the run or the job.
    fn is_in_the_way(&self, seen: &AttemptSeen) -> bool {
        let rows = &self.state;
        let drive = rows.drives.get(&seen.drive);
        let of_run = rows.runs.get(&seen.attempt.run);
        drive.is_none_or(|drive| drive.holder.is_some())
            || seen.volumes.iter().any(|uuid| {
                let volume = rows.volumes.get(uuid);
                volume.is_none_or(|volume| volume.writer.is_some())
            })
            || of_run.is_some_and(|run| run.attempts > 0 || run.state != RunState::Waiting)
            || self.is_job_active(&seen.attempt.run.job)
    }

    /// The rows of what an attempt has, or has had.
    fn hold(&mut self, seen: &AttemptSeen, is_going_on: bool) {
        let id: &AttemptId = &seen.attempt;
        if let Some(mut drive) = self.state.drives.get(&seen.drive).cloned() {
            drive.token = drive.token.max(seen.token);
            match is_going_on {
                true => drive.holder = Some(id.clone()),
                false => drive.leave(seen.token),
            }
            self.change(Change::Drive(seen.drive.clone(), drive));
        }
        for uuid in &seen.volumes {
            let Some(mut volume) = self.state.volumes.get(uuid).cloned() else {
                continue;
            };
            volume.token = volume.token.max(seen.token);
            if is_going_on {
                volume.writer = Some(id.clone());
            } else {
                // It had the drive, so nobody else has written there.
                volume.unfinished = Some(id.run.clone());
            }
            self.change(Change::Volume(*uuid, volume));
        }
    }
}
