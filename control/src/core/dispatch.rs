//! Which waiting run begins where.

use std::collections::BTreeMap;

use longhaul_protocol::job::{DriveChoice, Kind, Place, Restart};
use longhaul_protocol::order::{Left, Resume, Start, VolumeRef, What};
use longhaul_protocol::report::Outcome;
use longhaul_protocol::{AttemptId, Name, RunId, Time};
use uuid::Uuid;

use super::state::{Attempt, Change, Run, RunState, State, Volume};
use super::{Coordinator, Output};

/// Why a run does not begin, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its time has not come, or its window is shut.
    NotYet,
    /// Another run of the same job is not over.
    Before(RunId),
    /// This part of the cluster has no quorum, or its cluster service does not
    /// answer.
    NoQuorum,
    /// Nobody knows where its application is.
    NoPlace(Name),
    /// The node's service is not there, or is drained, or the cluster does not have
    /// the node.
    NoService(Name),
    /// No drive that it may use is free and well.
    NoDrive,
    /// This node's service may have begun it by itself, and was not heard since.
    Given(Name),
    /// No volume of its pool can be written to.
    NoVolume(Name),
    /// A volume that it needs is not there, or somebody else has it.
    NotTheVolume(Uuid),
    /// A volume that it needs is in a drive that its node does not reach.
    Inside(Uuid, Name),
}

/// What an attempt is to have.
struct Plan {
    node: Name,
    drive: Name,
    volumes: Vec<Uuid>,
    resumes: Option<u32>,
}

impl Coordinator {
    /// Begins what can be begun.
    pub(super) fn dispatch(&mut self, now: Time) {
        let waiting: Vec<RunId> = self
            .state
            .open_runs(None)
            .filter(|(_, run)| run.state == RunState::Waiting)
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            if let Ok(plan) = self.plan(now, &id) {
                self.begin(now, &id, plan);
            }
        }
    }

    /// Why a waiting run is not begun, if it is not.
    pub fn why_waits(&self, now: Time, id: &RunId) -> Option<Why> {
        self.plan(now, id).err()
    }

    fn plan(&self, now: Time, id: &RunId) -> Result<Plan, Why> {
        let run = self.state.runs.get(id).ok_or(Why::NotYet)?;
        let opens = run.job.window.is_none_or(|window| window.contains(now));
        // If it is further off than was ever said, the clock was set back.
        let rest = run.not_before.since(now);
        let left_off = self.left_off(id);
        let longest = self
            .settings
            .retry_ms
            .saturating_mul(u64::from(run.failures.max(left_off.is_some().into())));
        // What was left off goes on where its application has gone.
        let has_left = |attempt: &Attempt| self.node(run).is_ok_and(|node| node != attempt.node);
        let must_rest = (1..=longest).contains(&rest) && !left_off.is_some_and(has_left);
        if must_rest || !opens {
            return Err(Why::NotYet);
        }
        if let Some(before) = self.before(id) {
            return Err(Why::Before(before));
        }
        if !self.has_quorum() {
            return Err(Why::NoQuorum);
        }
        let node = self.node(run)?;
        if let Some(other) = self.begun_elsewhere(now, id, &node) {
            return Err(Why::Given(other));
        }
        let earlier = self
            .state
            .resumable(id)
            .filter(|(_, attempt)| !self.is_over_there(run, attempt));
        let drive = self.drive(now, (id, run), &node, earlier.map(|(_, attempt)| attempt))?;
        let volumes = match &run.job.work.kind {
            Kind::Backup => self.volumes(now, run, id, earlier.map(|(_, attempt)| attempt))?,
            Kind::Restore(restore) => self.these(restore.volumes.clone())?,
            Kind::Unload(volume) => self.these(vec![*volume])?,
            // That it may overwrite.
            Kind::Label(label) => {
                let known = label
                    .overwrite
                    .as_ref()
                    .and_then(|name| self.state.volume_named(name));
                self.these(known.map(|(uuid, _)| uuid).into_iter().collect())?
            }
        };
        if let Some((uuid, inside)) = self.out_of_reach(&node, &drive, &volumes) {
            return Err(Why::Inside(uuid, inside));
        }
        Ok(Plan {
            node,
            drive,
            volumes,
            resumes: earlier.map(|(number, _)| number),
        })
    }

    /// The newest attempt of a run, if it was left off.
    pub(super) fn left_off(&self, id: &RunId) -> Option<&Attempt> {
        let (_, newest) = self.state.newest(id)?;
        let end = newest.ended.as_ref()?;
        end.left_off.then_some(newest)
    }

    /// Whether a run begins afresh elsewhere: it would end the set of this attempt where
    /// that lies, and begin another behind it, but nothing is appended there.
    fn is_over_there(&self, run: &Run, attempt: &Attempt) -> bool {
        let point = attempt.point.as_ref().map(|point| point.volume);
        let last = point.or(attempt.volumes.last().copied());
        let last = last.and_then(|uuid| self.state.volumes.get(&uuid));
        run.job.restart == Restart::Fresh && last.is_some_and(|last| last.closed.is_some())
    }

    /// An earlier run of the same job that is not over, or one that is under
    /// way: a job is never run twice at the same time. What is done once is not
    /// asked: no job is kept of it.
    fn before(&self, id: &RunId) -> Option<RunId> {
        let is_backup = |run: &Run| run.job.work.kind.is_backup();
        if !self.state.runs.get(id).is_some_and(is_backup) {
            return None;
        }
        let mut of_job = self.state.open_runs(Some(&id.job));
        let found = of_job.find(|(other, run)| {
            *other != id && is_backup(run) && (other.due < id.due || run.state == RunState::Active)
        });
        found.map(|(other, _)| other.clone())
    }

    /// Whether an attempt for a run of this job is under way.
    pub(super) fn is_job_active(&self, job: &Name) -> bool {
        let mut open = self.state.open_runs(Some(job));
        open.any(|(_, run)| run.state == RunState::Active)
    }

    pub(super) fn node(&self, run: &Run) -> Result<Name, Why> {
        let node = match &run.job.place {
            Place::Node(node) => node.clone(),
            Place::Application(name) => {
                let node = self.runs_on(name);
                node.ok_or_else(|| Why::NoPlace(name.clone()))?
            }
        };
        if !self.takes_work(&node) {
            return Err(Why::NoService(node));
        }
        Ok(node)
    }

    /// Whether something can be begun on a node: its service is there, it is not
    /// drained, and the cluster has it.
    pub(super) fn takes_work(&self, node: &Name) -> bool {
        let row = self.state.nodes.get(node);
        self.is_heard(node) && row.is_some_and(|row| !row.is_drained) && !self.is_cut_off(node)
    }

    /// Whether a node is one of the cluster's that is not up in it. Its service has no
    /// quorum, and would refuse what it is given.
    pub(super) fn is_cut_off(&self, node: &Name) -> bool {
        let cluster = self.cluster.as_ref();
        let node = cluster.and_then(|cluster| cluster.node(node.as_str()));
        node.is_some_and(|node| !node.is_up())
    }

    /// The drive: if it can be, one that does well and to which there was a path, and the
    /// one that the run had before.
    fn drive(
        &self,
        now: Time,
        (id, run): (&RunId, &Run),
        node: &Name,
        earlier: Option<&Attempt>,
    ) -> Result<Name, Why> {
        let usable = self.state.drives.iter().filter(|(serial, drive)| {
            let is_meant = match &run.job.drive {
                DriveChoice::Serial(wanted) => *serial == wanted,
                DriveChoice::Pool(pool) => drive.pool.as_ref() == Some(pool),
            };
            // A set that is in a drive which no changer loads stays there.
            let is_where_it_is =
                earlier.is_none_or(|earlier| earlier.drive == **serial || drive.library.is_some());
            is_meant
                && is_where_it_is
                && drive.holder.is_none()
                && !drive.is_disabled
                && drive.trouble.is_none()
                && !self.may_be_used(now, serial)
                && self.state.reaches(node, serial)
        });
        let is_earlier = |serial: &Name| earlier.is_some_and(|earlier| earlier.drive == *serial);
        let newest = self.state.newest(id).map(|(_, newest)| newest);
        let without_path = newest.filter(|newest| {
            let no_path = newest.ended.as_ref().and_then(Outcome::no_path);
            newest.node == *node && no_path.is_some()
        });
        let had_no_path = |serial: &Name| without_path.is_some_and(|one| one.drive == *serial);
        let best = usable.min_by_key(|(serial, drive)| {
            let is_doubtful = drive.doubt.is_some() || had_no_path(serial);
            (is_doubtful, !is_earlier(serial))
        });
        best.map(|(serial, _)| serial.clone()).ok_or(Why::NoDrive)
    }

    /// The volumes of the set so far, and one to write to.
    fn volumes(
        &self,
        now: Time,
        run: &Run,
        id: &RunId,
        earlier: Option<&Attempt>,
    ) -> Result<Vec<Uuid>, Why> {
        let rows = &self.state.volumes;
        let mut volumes = earlier.map(|of| lies_on(of, rows)).unwrap_or_default();
        let is_free = |uuid: &Uuid| rows.get(uuid).is_some_and(|volume| volume.writer.is_none());
        if !volumes.iter().all(is_free) {
            return Err(Why::NoVolume(run.job.volumes.clone()));
        }
        let last_is_open = volumes
            .last()
            .and_then(|last| rows.get(last))
            .is_some_and(|last| last.closed.is_none());
        if !last_is_open {
            let usable = rows.iter().filter(|(uuid, volume)| {
                volume.pool == run.job.volumes
                    && volume.closed.is_none()
                    && volume.writer.is_none()
                    && !self.may_be_written(now, uuid)
                    && volume.unfinished.as_ref().is_none_or(|of| of == id)
                    && !volumes.contains(uuid)
            });
            // First the one that ends in what this run has begun.
            let usable = usable.min_by_key(|(_, volume)| {
                let is_begun = volume.unfinished.is_some();
                // Of those that were not to be had, the one tried longest ago.
                let absent = volume.absent.as_ref().map(|_| volume.token);
                let is_inside = volume.inside.is_some();
                (absent, is_inside, !is_begun, volume.doubt.is_some())
            });
            let (uuid, _) = usable.ok_or_else(|| Why::NoVolume(run.job.volumes.clone()))?;
            volumes.push(*uuid);
        }
        Ok(volumes)
    }

    /// These volumes, if nobody has one of them.
    fn these(&self, volumes: Vec<Uuid>) -> Result<Vec<Uuid>, Why> {
        let is_free = |uuid: &Uuid| {
            let row = self.state.volumes.get(uuid);
            row.is_some_and(|volume| volume.writer.is_none())
        };
        match volumes.iter().find(|uuid| !is_free(uuid)) {
            Some(uuid) => Err(Why::NotTheVolume(*uuid)),
            None => Ok(volumes),
        }
    }

    fn begin(&mut self, now: Time, id: &RunId, plan: Plan) {
        let (Some(mut run), Some(mut drive)) = (
            self.state.runs.get(id).cloned(),
            self.state.drives.get(&plan.drive).cloned(),
        ) else {
            return;
        };
        let mut counters = self.state.counters.clone();
        counters.token.0 += 1;
        run.attempts += 1;
        run.state = RunState::Active;
        let attempt_id = AttemptId {
            run: id.clone(),
            number: run.attempts,
        };
        drive.holder = Some(attempt_id.clone());
        drive.token = counters.token;
        let token = counters.token;
        let attempt = Attempt {
            node: plan.node,
            drive: plan.drive.clone(),
            token,
            preempts: drive.left.clone(),
            volumes: plan.volumes,
            resumes: plan.resumes,
            ordered: now,
            journal_bytes: 0,
            set_bytes: 0,
            point: None,
            ended: None,
        };
        self.change(Change::Counters(counters));
        for uuid in &attempt.volumes {
            if let Some(mut volume) = self.state.volumes.get(uuid).cloned() {
                volume.writer = Some(attempt_id.clone());
                volume.token = token;
                // Whoever does not find it there says so.
                volume.inside = None;
                self.change(Change::Volume(*uuid, volume));
            }
        }
        self.change(Change::Drive(plan.drive, drive));
        self.note_next(&attempt_id, &attempt);
        self.change(Change::Attempt(attempt_id.clone(), Box::new(attempt)));
        self.change(Change::Run(id.clone(), Box::new(run)));
        self.send_start(&attempt_id);
    }

    /// Says, or says again, that an attempt is to be begun.
    pub(super) fn send_start(&mut self, id: &AttemptId) {
        let Some((start, node, of)) = start(&self.state, id) else {
            return;
        };
        let resume = start.resume;
        self.send(&node, What::Start(Box::new(start)));
        if let (Some(resume), Some(of)) = (resume, of) {
            self.outputs.push(Output::SendJournal {
                to: node,
                attempt: id.clone(),
                of,
                bytes: resume.journal_bytes,
            });
        }
    }
}

/// The volumes that an attempt's set lies on, and those behind them that it may
/// still use: not one that was found to be full before a checkpoint was taken on
/// it, or to end in a set of somebody else.
fn lies_on(attempt: &Attempt, rows: &BTreeMap<Uuid, Volume>) -> Vec<Uuid> {
    let of_point = attempt.point.as_ref().map(|point| point.volume);
    let of_set = attempt.volumes.iter();
    let of_set = of_set.take_while(|uuid| Some(**uuid) != of_point).count();
    let of_set = of_point.map_or(0, |_| of_set + 1);
    let is_open = |uuid: &Uuid| rows.get(uuid).is_some_and(|row| row.closed.is_none());
    let volumes = attempt.volumes.iter().enumerate();
    let volumes = volumes.filter(|(at, uuid)| *at < of_set || is_open(uuid));
    volumes.map(|(_, uuid)| *uuid).collect()
}

/// The order to begin an attempt, to whom it goes, and whose journal it goes on
/// with.
fn start(state: &State, id: &AttemptId) -> Option<(Start, Name, Option<AttemptId>)> {
    let attempt = state.attempts.get(id)?;
    let run = state.runs.get(&id.run)?;
    let of = attempt.resumes.map(|number| AttemptId {
        run: id.run.clone(),
        number,
    });
    let resume = of
        .as_ref()
        .and_then(|of| state.attempts.get(of))
        .map(|of| Resume {
            journal_bytes: of.journal_bytes,
            afresh: run.job.restart == Restart::Fresh,
        });
    let volumes = attempt.volumes.iter().filter_map(|uuid| {
        let volume = state.volumes.get(uuid)?;
        Some(VolumeRef {
            name: volume.name.clone(),
            uuid: *uuid,
            closed: volume.closed.is_some(),
        })
    });
    let drive = state.drives.get(&attempt.drive);
    let elsewhere = state.drives.iter().filter(|(serial, other)| {
        // Whoever was given it since may not have come to it yet.
        **serial != attempt.drive && !other.left.is_empty() && state.reaches(&attempt.node, serial)
    });
    let elsewhere = elsewhere.map(|(serial, other)| Left {
        drive: serial.clone(),
        by: other.left.clone(),
    });
    let start = Start {
        attempt: id.clone(),
        token: attempt.token,
        work: run.job.work.clone(),
        drive: attempt.drive.clone(),
        library: drive.and_then(|drive| drive.library.clone()),
        preempts: attempt.preempts.clone(),
        elsewhere: elsewhere.collect(),
        volumes: volumes.collect(),
        resume,
    };
    Some((start, attempt.node.clone(), of))
}
