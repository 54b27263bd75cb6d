//! `lh-control pool`

use clap::Subcommand;
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::{ExitStatus, Name};
use serde::Deserialize;

use super::Failure;
use super::console::{Console, LIST_MAX};

#[derive(Debug, Subcommand)]
pub enum Pool {
    /// List pools
    List,
    /// Show a pool
    Show {
        /// The pool
        pool: Name,
    },
}

/// A pool's row.
#[derive(Deserialize)]
pub(super) struct Row {
    pub volumes: u64,
    writable: u64,
    pub drives: Vec<Name>,
    jobs: Vec<Name>,
}

impl Pool {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Pool::List => {
                let rows = console.rows(Rows::all(Table::Pool), LIST_MAX)?;
                let headings = ["POOL", "VOLUMES", "WRITABLE", "DRIVES", "JOBS"];
                console.list(&rows, headings, |_, key, row: Row| {
                    let names = |names: Vec<Name>| {
                        let names: Vec<String> = names.into_iter().map(String::from).collect();
                        names.join(" ")
                    };
                    let (volumes, writable) = (row.volumes.to_string(), row.writable.to_string());
                    let key = key.to_owned();
                    [key, volumes, writable, names(row.drives), names(row.jobs)]
                })
            }
            Pool::Show { pool } => {
                let row = console.row(Rows::one(Table::Pool, pool))?;
                console.show(&row)
            }
        }
    }
}
