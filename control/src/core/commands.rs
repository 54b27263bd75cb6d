//! What operators want.

use longhaul_protocol::job::{Job, NoJob};
use longhaul_protocol::order::{Stop, What};
use longhaul_protocol::{Name, RunId, Time};
use uuid::Uuid;

use super::Coordinator;
use super::state::{Change, Node, Run, RunState, Scheduled, Volume};
use crate::schedule::{NoSchedule, Schedule};

/// An operator's command.
#[derive(Debug, Clone)]
pub enum Command {
    /// A node may connect.
    AddNode(Name),
    /// Nothing more is begun on a node, or something is again.
    Drain(Name, bool),
    /// A drive is in a pool, or in none.
    PoolDrive(Name, Option<Name>),
    /// A drive is well again.
    DriveIsWell(Name),
    /// A volume is in a pool.
    AddVolume(Uuid, Name, Name),
    /// A job is as given from now on; runs that are there already stay as they
    /// are.
    SetJob(Box<Job>),
    /// There is no such job any more.
    RemoveJob(Name),
    /// A schedule is as given from now on.
    SetSchedule(Box<Schedule>),
    /// There is no such schedule any more.
    RemoveSchedule(Name),
    /// A job is due.
    Run(RunId),
    /// A run is to end: at a checkpoint, if it is under way.
    Stop(RunId),
    /// A run that was held, has failed, or was stopped goes on.
    Resume(RunId),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing of this kind and name.
    #[error("there is no {0} {1}")]
    Unknown(&'static str, String),
    /// It makes no sense in the state that things are in.
    #[error("{0}")]
    Refused(String),
    /// The job makes no sense.
    #[error(transparent)]
    Job(#[from] NoJob),
    /// The schedule makes no sense.
    #[error(transparent)]
    Schedule(#[from] NoSchedule),
}

fn unknown(kind: &'static str, name: &impl ToString) -> CommandError {
    CommandError::Unknown(kind, name.to_string())
}

impl Coordinator {
    pub(super) fn command(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        match command {
            Command::AddNode(name) if self.state.nodes.contains_key(&name) => {
                return Err(CommandError::Refused(format!(
                    "node {name} is there already"
                )));
            }
            Command::AddNode(name) => self.change(Change::Node(name, Node::default())),
            Command::Drain(name, is_drained) => {
                let node = self.state.nodes.get(&name).cloned();
                let mut node = node.ok_or_else(|| unknown("node", &name))?;
                node.is_drained = is_drained;
                self.change(Change::Node(name, node));
            }
            Command::PoolDrive(serial, pool) => {
                let drive = self.state.drives.get(&serial).cloned();
                let mut drive = drive.ok_or_else(|| unknown("drive", &serial))?;
                drive.pool = pool;
                self.change(Change::Drive(serial, drive));
            }
            Command::DriveIsWell(serial) => {
                let drive = self.state.drives.get(&serial).cloned();
                let mut drive = drive.ok_or_else(|| unknown("drive", &serial))?;
                drive.trouble = None;
                self.change(Change::Drive(serial, drive));
            }
            Command::AddVolume(uuid, name, pool) => self.add_volume(uuid, name, pool)?,
            Command::SetJob(job) => {
                job.check()?;
                self.change(Change::Job(job.name.clone(), Some(job)));
            }
            Command::RemoveJob(name) if self.state.jobs.contains_key(&name) => {
                self.change(Change::Job(name, None));
            }
            Command::RemoveJob(name) => return Err(unknown("job", &name)),
            Command::SetSchedule(schedule) => {
                if !self.state.jobs.contains_key(&schedule.job) {
                    return Err(unknown("job", &schedule.job));
                }
                let next = schedule.after(now)?;
                let name = schedule.name.clone();
                let schedule = *schedule;
                let row = Box::new(Scheduled { schedule, next });
                self.change(Change::Schedule(name, Some(row)));
            }
            Command::RemoveSchedule(name) if self.state.schedules.contains_key(&name) => {
                self.change(Change::Schedule(name, None));
            }
            Command::RemoveSchedule(name) => return Err(unknown("schedule", &name)),
            Command::Run(id) => self.run(id)?,
            Command::Stop(id) => self.stop(id)?,
            Command::Resume(id) => self.resume(now, id)?,
        }
        Ok(())
    }

    fn add_volume(&mut self, uuid: Uuid, name: Name, pool: Name) -> Result<(), CommandError> {
        let mut volumes = self.state.volumes.iter();
        if volumes.any(|(other, volume)| *other == uuid || volume.name == name) {
            return Err(CommandError::Refused(format!(
                "volume {name} is there already"
            )));
        }
        let volume = Volume {
            name,
            pool,
            closed: None,
            writer: None,
            unfinished: None,
        };
        self.change(Change::Volume(uuid, volume));
        Ok(())
    }

    /// The job is due; that it is is said as often as anybody likes.
    pub(super) fn run(&mut self, id: RunId) -> Result<(), CommandError> {
        if self.state.runs.contains_key(&id) {
            return Ok(());
        }
        let job = self.state.jobs.get(&id.job).cloned();
        let run = Run {
            job: job.ok_or_else(|| unknown("job", &id.job))?,
            state: RunState::Waiting,
            attempts: 0,
            failures: 0,
            not_before: id.due,
        };
        self.change(Change::Run(id, Box::new(run)));
        Ok(())
    }

    fn stop(&mut self, id: RunId) -> Result<(), CommandError> {
        let run = self.state.runs.get(&id).cloned();
        let mut run = run.ok_or_else(|| unknown("run", &id))?;
        let words = "stopped by an operator";
        match run.state {
            RunState::Done(_) | RunState::Failed(_) => {
                return Err(CommandError::Refused(format!("run {id} is over")));
            }
            RunState::Waiting | RunState::Held(_) => run.state = RunState::Failed(words.into()),
            RunState::Active => {
                // Its end will not be a reason to begin again.
                run.failures = run.job.retries;
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

    fn resume(&mut self, now: Time, id: RunId) -> Result<(), CommandError> {
        let run = self.state.runs.get(&id).cloned();
        let mut run = run.ok_or_else(|| unknown("run", &id))?;
        match run.state {
            RunState::Held(_) | RunState::Failed(_) => {
                run.state = RunState::Waiting;
                run.failures = 0;
                run.not_before = now;
            }
            _ => {
                let why = format!("run {id} waits for nobody");
                return Err(CommandError::Refused(why));
            }
        }
        self.change(Change::Run(id, Box::new(run)));
        Ok(())
    }
}
