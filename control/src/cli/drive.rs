//! `lh-control drive`

use std::iter;

use clap::{Args, Subcommand};
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::{Command, ExitStatus, Name};

use super::Failure;
use super::console::{Console, LIST_MAX};
use crate::core::state;

#[derive(Debug, Subcommand)]
pub enum Drive {
    /// List drives. A drive is there once a node has reported it
    List,
    /// Show a drive
    Show {
        /// The drive's serial number
        drive: Name,
    },
    /// Put a drive into a pool, take it out of use and back
    Change(Change),
    /// Forget a drive that no node reaches, that nobody has, and no job names
    Remove {
        /// The drive's serial number
        drive: Name,
    },
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct Change {
    /// The drive's serial number
    drive: Name,

    /// It is in this pool
    #[arg(long, group = "what", value_name = "POOL")]
    pool: Option<Name>,

    /// It is in no pool
    #[arg(long, group = "what", conflicts_with = "pool")]
    no_pool: bool,

    /// Begin nothing more on it; what runs on it goes on
    #[arg(long, group = "what")]
    disable: bool,

    /// Begin something on it again
    #[arg(long, group = "what", conflicts_with = "disable")]
    enable: bool,

    /// What was wrong with it was seen to
    #[arg(long, group = "what")]
    well: bool,
}

impl Drive {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Drive::List => {
                let rows = console.rows(Rows::all(Table::Drive), LIST_MAX)?;
                let headings = ["DRIVE", "MODEL", "POOL", "LIBRARY", "STATE"];
                console.list(&rows, headings, |_, key, row: state::Drive| {
                    let state = state(&row);
                    let name = |name: Option<Name>| name.map_or_else(|| "-".into(), String::from);
                    let key = key.to_owned();
                    [key, row.product, name(row.pool), name(row.library), state]
                })
            }
            Drive::Show { drive } => {
                let row = console.row(Rows::one(Table::Drive, drive))?;
                console.show(&row)
            }
            Drive::Change(change) => change.run(console),
            Drive::Remove { drive } => {
                let words = format!("drive {drive} is no more");
                console.order(Command::RemoveDrive { drive }, &words)
            }
        }
    }
}

fn state(row: &state::Drive) -> String {
    let state = match (&row.trouble, row.is_disabled, &row.holder) {
        (Some(trouble), ..) => format!("in trouble: {trouble}"),
        (None, true, _) => "disabled".into(),
        (None, false, Some(holder)) => format!("in use by {holder}"),
        (None, false, None) => "free".into(),
    };
    let said = iter::once(state).chain(row.notes());
    said.collect::<Vec<_>>().join("; ")
}

impl Change {
    fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        let drive = self.drive;
        let mut commands = Vec::new();
        if self.no_pool || self.pool.is_some() {
            let (drive, pool) = (drive.clone(), self.pool);
            commands.push(Command::PoolDrive { drive, pool });
        }
        if self.disable || self.enable {
            let (drive, is_disabled) = (drive.clone(), self.disable);
            commands.push(Command::DisableDrive { drive, is_disabled });
        }
        if self.well {
            let drive = drive.clone();
            commands.push(Command::DriveIsWell { drive });
        }
        for command in commands {
            console.ask(&longhaul_protocol::Ask::Command(command))?;
        }
        console.say(&format!("drive {drive} is changed"))?;
        Ok(ExitStatus::Done)
    }
}
