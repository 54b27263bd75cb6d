//! `lh-control schedule`

use clap::{Args, Subcommand};
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::schedule::{self, CatchUp};
use longhaul_protocol::{Command, ExitStatus, Name};
use serde::Deserialize;

use super::Failure;
use super::console::{Console, LIST_MAX, strange};
use super::job::refuse_if_there;
use crate::core::state::Scheduled;

#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// List schedules
    List,
    /// Show a schedule
    Show {
        /// The schedule
        schedule: Name,
    },
    /// Add a schedule
    Add {
        /// What it is called
        schedule: Name,
        /// The job that is due
        #[arg(long)]
        job: Name,
        /// When: five fields of cron (minute, hour, day of the month, month, day
        /// of the week), or `@daily` and the like
        #[arg(long, value_name = "EXPRESSION")]
        cron: String,
        #[command(flatten)]
        options: Options,
    },
    /// Change a schedule
    Change {
        /// The schedule
        schedule: Name,
        /// The job that is due
        #[arg(long)]
        job: Option<Name>,
        /// When
        #[arg(long, value_name = "EXPRESSION")]
        cron: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// Remove a schedule; runs that it has made stay
    Remove {
        /// The schedule
        schedule: Name,
    },
}

#[derive(Debug, Args)]
pub struct Options {
    /// The time zone by whose clock it is meant, as `Europe/Berlin` [default:
    /// UTC]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// What becomes of times at which nobody was there: `one` run makes up for
    /// all of them, `none` does [default: one]
    #[arg(long, value_name = "HOW", value_parser = catch_up)]
    catch_up: Option<CatchUp>,

    /// Whether it is looked at no more
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    disabled: Option<bool>,
}

fn catch_up(text: &str) -> Result<CatchUp, String> {
    match text {
        "one" => Ok(CatchUp::One),
        "none" => Ok(CatchUp::None),
        _ => Err("one or none".into()),
    }
}

impl Options {
    fn change(self, schedule: &mut schedule::Schedule) {
        if let Some(zone) = self.zone {
            schedule.zone = zone;
        }
        schedule.catch_up = self.catch_up.unwrap_or(schedule.catch_up);
        schedule.is_disabled = self.disabled.unwrap_or(schedule.is_disabled);
    }
}

impl Schedule {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Schedule::List => list(console),
            Schedule::Show { schedule } => {
                let row = console.row(Rows::one(Table::Schedule, schedule))?;
                console.show(&row)
            }
            Schedule::Add {
                schedule: name,
                job,
                cron,
                options,
            } => {
                refuse_if_there(console, Table::Schedule, &name)?;
                let mut schedule = schedule::Schedule {
                    name,
                    job,
                    cron,
                    zone: "UTC".into(),
                    catch_up: CatchUp::One,
                    is_disabled: false,
                };
                options.change(&mut schedule);
                set(console, schedule)
            }
            Schedule::Change {
                schedule,
                job,
                cron,
                options,
            } => {
                let row = console.row(Rows::one(Table::Schedule, schedule))?;
                let row = Scheduled::deserialize(row.row).map_err(|_| strange())?;
                let mut schedule = row.schedule;
                schedule.job = job.unwrap_or(schedule.job);
                schedule.cron = cron.unwrap_or(schedule.cron);
                options.change(&mut schedule);
                set(console, schedule)
            }
            Schedule::Remove { schedule } => {
                let words = format!("schedule {schedule} is no more");
                console.order(Command::RemoveSchedule { schedule }, &words)
            }
        }
    }
}

fn set(console: &mut Console, schedule: schedule::Schedule) -> Result<ExitStatus, Failure> {
    let words = format!("schedule {} is set", schedule.name);
    let schedule = Box::new(schedule);
    console.order(Command::SetSchedule { schedule }, &words)
}

fn list(console: &mut Console) -> Result<ExitStatus, Failure> {
    let rows = console.rows(Rows::all(Table::Schedule), LIST_MAX)?;
    let headings = ["SCHEDULE", "JOB", "WHEN", "ZONE", "NEXT"];
    console.list(&rows, headings, |console, key, row: Scheduled| {
        let next = match (row.schedule.is_disabled, row.next) {
            (true, _) => "disabled".into(),
            (false, Some(next)) => console.time(next),
            (false, None) => "never".into(),
        };
        let of = row.schedule;
        [key.to_owned(), of.job.into(), of.cron, of.zone, next]
    })
}
