//! `lh-control node`, `drain` and `undrain`

use clap::Subcommand;
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::{Command, ExitStatus, Name};

use super::Failure;
use super::console::{Console, LIST_MAX};
use crate::core::state;

#[derive(Debug, Subcommand)]
pub enum Node {
    /// List nodes
    List,
    /// Show a node
    Show {
        /// The node
        node: Name,
    },
    /// Let a node connect, once it has a certificate (`lh-control enroll`)
    Add {
        /// What it is called: its certificate says the same
        node: Name,
    },
    /// Let a node connect no more; refused while an attempt is under way there,
    /// or a job names it
    Remove {
        /// The node
        node: Name,
    },
}

pub(super) fn drain(
    console: &mut Console,
    node: Name,
    is_drained: bool,
) -> Result<ExitStatus, Failure> {
    let words = match is_drained {
        true => format!("nothing more is begun on node {node}"),
        false => format!("node {node} takes work again"),
    };
    console.order(Command::Drain { node, is_drained }, &words)
}

impl Node {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Node::List => {
                let rows = console.rows(Rows::all(Table::Node), LIST_MAX)?;
                let headings = ["NODE", "STATE", "DRIVES"];
                console.list(&rows, headings, |_, key, row: state::Node| {
                    let state = if row.is_drained { "drained" } else { "ready" };
                    let drives = row.reaches.iter().map(Name::as_str);
                    let drives = drives.collect::<Vec<_>>().join(" ");
                    [key.to_owned(), state.to_owned(), drives]
                })
            }
            Node::Show { node } => {
                let row = console.row(Rows::one(Table::Node, node))?;
                console.show(&row)
            }
            Node::Add { node } => {
                let words = format!("node {node} may connect");
                console.order(Command::AddNode { node }, &words)
            }
            Node::Remove { node } => {
                let words = format!("node {node} is no more");
                console.order(Command::RemoveNode { node }, &words)
            }
        }
    }
}
