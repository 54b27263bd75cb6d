//! `lh-control volume`

use clap::Subcommand;
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::job::{Kind, Label};
use longhaul_protocol::{Command, ExitStatus, Name};
use serde::Deserialize;
use uuid::Uuid;

use super::console::{Console, LIST_MAX};
use super::restore::{Where, once};
use super::{Failure, job as jobs};
use crate::core::state;

/// What runs that label are called.
const LABEL: &str = "label";

/// None of these commands but `label` writes to a volume, or lets anybody overwrite
/// one.
#[derive(Debug, Subcommand)]
pub enum Volume {
    /// List volumes
    List,
    /// Show a volume
    Show {
        /// Its name
        volume: Name,
    },
    /// Let backups be appended to a volume
    Add {
        /// Its name, as its label says
        volume: Name,
        /// Its identity, as its label says (`lh-mover status`)
        #[arg(long)]
        uuid: Uuid,
        /// The pool that it is in
        #[arg(long)]
        pool: Name,
    },
    /// Make a cartridge a volume, by a node's backup service, and let backups be
    /// appended to it. A cartridge that is not blank is left alone
    Label {
        /// The volume's name: 1 to 6 characters A-Z and 0-9
        volume: Name,
        /// The pool that it is in
        #[arg(long)]
        pool: Name,
        #[command(flatten)]
        place: Where,
        /// The cartridge that the drive's library brings, by its barcode; without
        /// it the one that is in the drive is meant
        #[arg(long)]
        barcode: Option<Name>,
        /// Overwrite the volume of this name, and all that is on it; `unlabelled`
        /// for one without a name
        #[arg(long, value_name = "NAME")]
        overwrite: Option<Name>,
    },
    /// Put a volume into another pool
    Change {
        /// Its name
        volume: Name,
        /// The pool
        #[arg(long)]
        pool: Name,
    },
    /// Append nothing to a volume any more
    Close {
        /// Its name
        volume: Name,
        /// Why
        #[arg(long, default_value = "by an operator")]
        why: String,
    },
    /// Let backups be appended to a volume again
    Open {
        /// Its name
        volume: Name,
    },
    /// Forget a volume; what is on it stays there
    Remove {
        /// Its name
        volume: Name,
    },
}

/// A volume's row.
#[derive(Deserialize)]
struct Row {
    uuid: Uuid,
    #[serde(flatten)]
    volume: state::Volume,
}

impl Volume {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        match self {
            Volume::List => {
                let rows = console.rows(Rows::all(Table::Volume), LIST_MAX)?;
                let headings = ["VOLUME", "POOL", "IDENTITY", "STATE"];
                console.list(&rows, headings, |_, key, row: Row| {
                    let (uuid, state) = (row.uuid.to_string(), state(&row.volume));
                    [key.to_owned(), row.volume.pool.into(), uuid, state]
                })
            }
            Volume::Show { volume } => {
                let row = console.row(Rows::one(Table::Volume, volume))?;
                console.show(&row)
            }
            Volume::Add { volume, uuid, pool } => {
                let words = format!("volume {volume} is in pool {pool}");
                console.order(Command::AddVolume { uuid, volume, pool }, &words)
            }
            Volume::Label {
                volume,
                pool,
                place,
                barcode,
                overwrite,
            } => {
                let label = Kind::Label(Label {
                    name: volume,
                    uuid: Uuid::new_v4(),
                    barcode,
                    overwrite,
                });
                let (name, place) = (jobs::name(LABEL)?, place.choose(None)?);
                jobs::begin_once(console, once(name, place, pool, Vec::new(), label), true)
            }
            Volume::Change { volume, pool } => {
                let words = format!("volume {volume} is in pool {pool}");
                console.order(Command::MoveVolume { volume, pool }, &words)
            }
            Volume::Close { volume, why } => {
                let words = format!("nothing more is appended to volume {volume}");
                console.order(Command::CloseVolume { volume, why }, &words)
            }
            Volume::Open { volume } => {
                let words = format!("volume {volume} is open");
                console.order(Command::OpenVolume { volume }, &words)
            }
            Volume::Remove { volume } => {
                let words = format!("volume {volume} is no more of this coordinator's");
                console.order(Command::RemoveVolume { volume }, &words)
            }
        }
    }
}

fn state(volume: &state::Volume) -> String {
    if let Some(writer) = &volume.writer {
        format!("in use by {writer}")
    } else if let Some(run) = &volume.unfinished {
        format!("unfinished set of {run}")
    } else if let Some(why) = &volume.closed {
        format!("closed: {why}")
    } else if let Some(why) = &volume.absent {
        format!("absent: {why}")
    } else if let Some(drive) = &volume.doubt {
        format!("open; drive {drive} did badly with it")
    } else {
        "open".into()
    }
}
