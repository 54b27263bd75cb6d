//! What operators want.

use longhaul_protocol::ask::words;
use longhaul_protocol::command::DUE_OFF_MS_MAX;
use longhaul_protocol::job::{DriveChoice, Job, Kind, Label, NoJob, Place};
use longhaul_protocol::order::{Stop, What};
use longhaul_protocol::run::Token;
use longhaul_protocol::{Command, ExitStatus, Name, RunId, Schedule, Time};
use uuid::Uuid;

use super::state::{Change, Drive, Key, Node, Run, RunState, Scheduled, Volume};
use super::unload::UNLOAD;
use super::{Coordinator, Output};
use crate::schedule::{self, NoSchedule};

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    /// There is nothing of this kind and name.
    #[error("there is no {0} {1}")]
    Unknown(&'static str, String),
    /// It makes no sense in the state that things are in.
    #[error("{0}")]
    Refused(String),
    /// It makes no sense at all.
    #[error("{0}")]
    Senseless(String),
    /// The job makes no sense.
    #[error(transparent)]
    Job(#[from] NoJob),
    /// The schedule makes no sense.
    #[error(transparent)]
    Schedule(#[from] NoSchedule),
}

impl CommandError {
    pub(super) fn exit(&self) -> ExitStatus {
        match self {
            CommandError::Refused(_) => ExitStatus::Refused,
            _ => ExitStatus::Usage,
        }
    }
}

type Result<T> = std::result::Result<T, CommandError>;

pub(super) fn unknown(kind: &'static str, name: &impl ToString) -> CommandError {
    CommandError::Unknown(kind, name.to_string())
}

fn refused<T>(why: impl Into<String>) -> Result<T> {
    Err(CommandError::Refused(why.into()))
}

/// Whether a run is due about now.
fn about_now(now: Time, run: &RunId) -> Result<()> {
    let off = now.since(run.due).max(run.due.since(now));
    match off > DUE_OFF_MS_MAX {
        true => refused(format!(
            "run {run} is due more than a day from now: compare this host's clock with the \
             coordinator's"
        )),
        false => Ok(()),
    }
}

/// What runs are called that no job is kept of.
const ONCE: [&str; 3] = ["restore", "label", UNLOAD];

impl Coordinator {
    pub(super) fn command(&mut self, now: Time, command: Command) -> Result<()> {
        match command {
            Command::AddNode { node } => self.add_node(node),
            Command::RemoveNode { node } => self.remove_node(node),
            Command::Drain { node, is_drained } => self.drain(node, is_drained),
            Command::ConfirmFenced { node } => self.confirm_fenced(now, &node),
            Command::PoolDrive { drive, pool } => self.set_drive(drive, |row| row.pool = pool),
            Command::DisableDrive { drive, is_disabled } => {
                self.set_drive(drive, |row| row.is_disabled = is_disabled)
            }
            Command::DriveIsWell { drive } => self.set_drive(drive, |row| {
                (row.trouble, row.doubt) = (None, None);
                row.alerts.clear();
            }),
            Command::RemoveDrive { drive } => self.remove_drive(drive),
            Command::AddVolume { uuid, volume, pool } => self.add_volume(uuid, volume, pool),
            Command::MoveVolume { volume, pool } => self.set_volume(&volume, |row| row.pool = pool),
            Command::CloseVolume { volume, why } => {
                self.set_volume(&volume, |row| row.closed = Some(words(&why)))
            }
            Command::OpenVolume { volume } => self.set_volume(&volume, |row| {
                (row.closed, row.doubt, row.absent) = (None, None, None);
            }),
            Command::RemoveVolume { volume } => {
                let (uuid, _) = self.idle_volume(&volume)?;
                self.change(Change::Removed(Key::Volume(uuid)));
                Ok(())
            }
            Command::SetJob { job } => self.set_job(job),
            Command::RemoveJob { job } => self.remove_job(job),
            Command::SetSchedule { schedule } => self.set_schedule(now, *schedule),
            Command::RemoveSchedule { schedule } => self.remove_schedule(schedule),
            Command::Run { run } => {
                about_now(now, &run)?;
                self.run(run)
            }
            Command::Once { run, job } => {
                about_now(now, &run)?;
                self.once(run, *job)
            }
            Command::Stop { run } => self.stop(run),
            Command::Resume { run } => self.resume(now, run),
            Command::RemoveRun { run } => self.remove_run(run),
        }
    }

    fn add_node(&mut self, name: Name) -> Result<()> {
        if self.state.nodes.contains_key(&name) {
            return refused(format!("node {name} is there already"));
        }
        self.change(Change::Node(name, Node::default()));
        Ok(())
    }

    fn remove_node(&mut self, name: Name) -> Result<()> {
        if !self.state.nodes.contains_key(&name) {
            return Err(unknown("node", &name));
        }
        if let Some(attempt) = self.all_under_way(&name).first() {
            return refused(format!("node {name} has attempt {attempt} under way"));
        }
        self.no_job_wants(&format!("node {name}"), |job| {
            job.place == Place::Node(name.clone())
        })?;
        if self.links.remove(&name).is_some() {
            self.outputs.push(Output::Close(name.clone()));
        }
        self.away.remove(&name);
        self.not_seen(&name, &[]);
        self.change(Change::Removed(Key::Node(name)));
        Ok(())
    }

    /// Refuses to remove what a job names.
    fn no_job_wants(&self, what: &str, wants: impl Fn(&Job) -> bool) -> Result<()> {
        match self.state.jobs.values().find(|job| wants(job)) {
            Some(job) => refused(format!("job {} wants {what}", job.name)),
            None => Ok(()),
        }
    }

    fn drain(&mut self, name: Name, is_drained: bool) -> Result<()> {
        let node = self.state.nodes.get(&name).cloned();
        let mut node = node.ok_or_else(|| unknown("node", &name))?;
        node.is_drained = is_drained;
        self.change(Change::Node(name, node));
        Ok(())
    }

    /// Somebody says that a node does nothing any more. One that talks does.
    fn confirm_fenced(&mut self, now: Time, name: &Name) -> Result<()> {
        if !self.state.nodes.contains_key(name) {
            return Err(unknown("node", name));
        }
        if self.links.contains_key(name) {
            return refused(format!(
                "the service of node {name} is connected: it is not fenced"
            ));
        }
        let node = self.cluster.as_ref().and_then(|of| of.node(name.as_str()));
        if node.is_some_and(|node| node.is_up()) {
            return refused(format!(
                "the cluster says that node {name} is there: it is not fenced"
            ));
        }
        self.dead(now, name);
        Ok(())
    }

    fn set_drive(&mut self, serial: Name, set: impl FnOnce(&mut Drive)) -> Result<()> {
        let drive = self.state.drives.get(&serial).cloned();
        let mut drive = drive.ok_or_else(|| unknown("drive", &serial))?;
        set(&mut drive);
        self.change(Change::Drive(serial, drive));
        Ok(())
    }

    /// Where a node reaches it, somebody who is gone may still write by it, and
    /// its row says whom to take it from.
    fn remove_drive(&mut self, serial: Name) -> Result<()> {
        let drive = self.state.drives.get(&serial);
        let drive = drive.ok_or_else(|| unknown("drive", &serial))?;
        if let Some(holder) = &drive.holder {
            return refused(format!("attempt {holder} has drive {serial}"));
        }
        let mut nodes = self.state.nodes.iter();
        if let Some((node, _)) = nodes.find(|(_, node)| node.reaches.contains(&serial)) {
            return refused(format!("node {node} reaches drive {serial}"));
        }
        self.no_job_wants(&format!("drive {serial}"), |job| {
            job.drive == DriveChoice::Serial(serial.clone())
        })?;
        self.change(Change::Removed(Key::Drive(serial)));
        Ok(())
    }

    pub(super) fn add_volume(&mut self, uuid: Uuid, name: Name, pool: Name) -> Result<()> {
        let mut volumes = self.state.volumes.iter();
        if volumes.any(|(other, volume)| *other == uuid || volume.name == name) {
            return refused(format!("volume {name}, or {uuid}, is there already"));
        }
        let volume = Volume {
            name,
            pool,
            token: Token::default(),
            closed: None,
            doubt: None,
            inside: None,
            absent: None,
            writer: None,
            unfinished: None,
        };
        self.change(Change::Volume(uuid, volume));
        Ok(())
    }

    /// A volume that nobody may be writing to, or has to go on with.
    fn idle_volume(&self, name: &Name) -> Result<(Uuid, Volume)> {
        let found = self.state.volume_named(name);
        let (uuid, volume) = found.ok_or_else(|| unknown("volume", name))?;
        if let Some(writer) = &volume.writer {
            return refused(format!("attempt {writer} has volume {name}"));
        }
        if let Some(run) = &volume.unfinished {
            return refused(format!(
                "volume {name} ends in what run {run} has begun: resume the run, or remove it"
            ));
        }
        Ok((uuid, volume.clone()))
    }

    fn set_volume(&mut self, name: &Name, set: impl FnOnce(&mut Volume)) -> Result<()> {
        let (uuid, mut volume) = self.idle_volume(name)?;
        set(&mut volume);
        self.change(Change::Volume(uuid, volume));
        Ok(())
    }

    /// Runs that are not over keep what they back up, and go where the job goes:
    /// their node may be lost, or their drive.
    fn set_job(&mut self, job: Box<Job>) -> Result<()> {
        job.check()?;
        if ONCE.contains(&job.name.as_str()) {
            let what = "runs of this name are done once, and no job is kept of them";
            return Err(CommandError::Senseless(format!("job {}: {what}", job.name)));
        }
        if !job.work.kind.is_backup() {
            let what = "a restore or a label is done once, and no job is kept of it";
            return Err(CommandError::Senseless(format!("job {}: {what}", job.name)));
        }
        let of_job = self.state.open_runs(Some(&job.name));
        let moved: Vec<(RunId, Run)> = of_job
            .filter(|(_, run)| run.job.place != job.place || run.job.drive != job.drive)
            .map(|(id, run)| (id.clone(), run.clone()))
            .collect();
        for (id, mut run) in moved {
            run.job.place.clone_from(&job.place);
            run.job.drive.clone_from(&job.drive);
            self.change(Change::Run(id, Box::new(run)));
        }
        self.change(Change::Job(job.name.clone(), job));
        Ok(())
    }

    fn remove_job(&mut self, name: Name) -> Result<()> {
        if !self.state.jobs.contains_key(&name) {
            return Err(unknown("job", &name));
        }
        let mut schedules = self.state.schedules.iter();
        if let Some((schedule, _)) = schedules.find(|(_, row)| row.schedule.job == name) {
            return refused(format!("schedule {schedule} is of job {name}"));
        }
        self.change(Change::Removed(Key::Job(name)));
        Ok(())
    }

    fn set_schedule(&mut self, now: Time, schedule: Schedule) -> Result<()> {
        if !self.state.jobs.contains_key(&schedule.job) {
            return Err(unknown("job", &schedule.job));
        }
        let next = schedule::after(&schedule, now)?;
        let name = schedule.name.clone();
        self.change(Change::Schedule(
            name,
            Box::new(Scheduled { schedule, next }),
        ));
        Ok(())
    }

    fn remove_schedule(&mut self, name: Name) -> Result<()> {
        if !self.state.schedules.contains_key(&name) {
            return Err(unknown("schedule", &name));
        }
        self.change(Change::Removed(Key::Schedule(name)));
        Ok(())
    }

    /// A restore or a label, said as often as anybody likes.
    fn once(&mut self, id: RunId, job: Job) -> Result<()> {
        if self.state.runs.contains_key(&id) {
            return Ok(());
        }
        job.check()?;
        if job.name != id.job {
            let what = format!("run {id} is none of job {}", job.name);
            return Err(CommandError::Senseless(what));
        }
        match &job.work.kind {
            Kind::Backup => {
                let what = "a backup is a run of a job that is kept";
                return Err(CommandError::Senseless(what.into()));
            }
            Kind::Restore(restore) => {
                let is_known = |uuid: &&Uuid| self.state.volumes.contains_key(*uuid);
                if let Some(uuid) = restore.volumes.iter().find(|uuid| !is_known(uuid)) {
                    return Err(unknown("volume with identity", uuid));
                }
            }
            Kind::Label(label) => self.may_label(label)?,
            Kind::Unload(_) => {
                let what = "a coordinator unloads drives as it needs to";
                return Err(CommandError::Senseless(what.into()));
            }
        }
        let run = Run::new(job, id.due);
        self.change(Change::Run(id, Box::new(run)));
        Ok(())
    }

    /// No other volume is called so, and the one to be overwritten is idle.
    fn may_label(&self, label: &Label) -> Result<()> {
        if let Some(overwrite) = &label.overwrite
            && self.state.volume_named(overwrite).is_some()
        {
            self.idle_volume(overwrite)?;
        }
        let is_free = label.overwrite.as_ref() == Some(&label.name)
            || self.state.volume_named(&label.name).is_none();
        match is_free && !self.state.volumes.contains_key(&label.uuid) {
            true => Ok(()),
            false => refused(format!("volume {} is there already", label.name)),
        }
    }

    /// The job is due; that it is is said as often as anybody likes.
    pub(super) fn run(&mut self, id: RunId) -> Result<()> {
        if self.state.runs.contains_key(&id) {
            return Ok(());
        }
        let job = self.state.jobs.get(&id.job).cloned();
        let run = Run::new(job.ok_or_else(|| unknown("job", &id.job))?, id.due);
        self.change(Change::Run(id, Box::new(run)));
        Ok(())
    }

    fn stop(&mut self, id: RunId) -> Result<()> {
        let run = self.state.runs.get(&id).cloned();
        let mut run = run.ok_or_else(|| unknown("run", &id))?;
        let words = "stopped by an operator";
        match run.state {
            RunState::Done(_) | RunState::Failed(_) => {
                return refused(format!("run {id} is over"));
            }
            RunState::Waiting | RunState::Held(_) => run.state = RunState::Failed(words.into()),
            RunState::Active => {
                // Its end will not be a reason to begin again.
                run.is_stopped = true;
                if let Some((attempt, of)) = self.state.newest(&id) {
                    let node = of.node.clone();
                    let how = Stop::Checkpoint;
                    self.send(&node, What::Stop { attempt, how });
                }
            }
        }
        self.change(Change::Run(id, Box::new(run)));
        Ok(())
    }

    fn resume(&mut self, now: Time, id: RunId) -> Result<()> {
        let run = self.state.runs.get(&id).cloned();
        let mut run = run.ok_or_else(|| unknown("run", &id))?;
        match run.state {
            RunState::Held(_) | RunState::Failed(_) => {
                (run.state, run.is_stopped) = (RunState::Waiting, false);
                run.failures = 0;
                run.not_before = now;
            }
            // Its volume was brought out of a drive by hand.
            RunState::Waiting if self.is_brought_out(now, &id) => return Ok(()),
            _ => return refused(format!("run {id} waits for nobody")),
        }
        self.change(Change::Run(id, Box::new(run)));
        Ok(())
    }

    /// Nobody can go on with it any more, so nothing is appended to volumes that
    /// end in its set.
    fn remove_run(&mut self, id: RunId) -> Result<()> {
        let run = self.state.runs.get(&id);
        if run.ok_or_else(|| unknown("run", &id))?.state.is_open() {
            return refused(format!("run {id} is not over: stop it first"));
        }
        let volumes = self.state.volumes.iter();
        let unfinished: Vec<(Uuid, Volume)> = volumes
            .filter(|(_, volume)| volume.unfinished.as_ref() == Some(&id))
            .map(|(uuid, volume)| (*uuid, volume.clone()))
            .collect();
        for (uuid, mut volume) in unfinished {
            volume.unfinished = None;
            let why = || format!("ends in what run {id} had begun");
            volume.closed.get_or_insert_with(why);
            self.change(Change::Volume(uuid, volume));
        }
        let attempts = self.state.attempts_of(&id);
        let attempts: Vec<_> = attempts.map(|(id, _)| id.clone()).collect();
        for attempt in attempts {
            self.change(Change::Removed(Key::Attempt(attempt)));
        }
        self.change(Change::Removed(Key::Run(id)));
        Ok(())
    }
}
