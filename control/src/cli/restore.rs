//! `lh-control restore`

use clap::Args;
use longhaul_protocol::ask::{Rows, Table};
use longhaul_protocol::job::{self, DriveChoice, Job, Kind, Overwrite, Place, Restart, Work};
use longhaul_protocol::{ExitStatus, Name};
use serde::Deserialize;
use uuid::Uuid;

use super::console::{Console, strange};
use super::find::{self, SetRow};
use super::{Failure, job as jobs};
use crate::core::state;

/// What runs of restores are called.
const JOB: &str = "restore";

#[derive(Debug, Args)]
pub struct Restore {
    /// Files, and directories with all below them, as they were backed up
    #[arg(value_name = "PATH")]
    paths: Vec<String>,

    /// The set: `find` and `set list` show it
    #[arg(long, value_name = "UUID", required_unless_present = "job")]
    set: Option<Uuid>,

    /// Of this job the newest set; and on its node and drive, unless said
    /// otherwise
    #[arg(long, value_name = "JOB")]
    job: Option<Name>,

    /// The directory on the node that stands for `/`; it is created if it is
    /// missing
    #[arg(long, value_name = "DIR")]
    to: String,

    #[command(flatten)]
    place: Where,

    /// What to do with files that exist: `never` (they stay), `older` (those that
    /// are older than the ones in the set are replaced), `always`
    #[arg(long, value_name = "HOW", default_value = "never", value_parser = overwrite)]
    overwrite: Overwrite,

    /// Wait for its end, and end with its exit code; with 7 if it needs an
    /// operator
    #[arg(long)]
    wait: bool,
}

/// By whom, and on which drive, something is done once.
#[derive(Debug, Args)]
pub struct Where {
    /// The node whose service does it
    #[arg(long, value_name = "NODE")]
    node: Option<Name>,

    /// The drive: its serial number
    #[arg(long, value_name = "SERIAL")]
    drive: Option<Name>,

    /// The pool of drives one of which is used
    #[arg(long, value_name = "POOL", conflicts_with = "drive")]
    drive_pool: Option<Name>,
}

fn overwrite(text: &str) -> Result<Overwrite, String> {
    match text {
        "never" => Ok(Overwrite::Never),
        "older" => Ok(Overwrite::Older),
        "always" => Ok(Overwrite::Always),
        _ => Err("never, older or always".into()),
    }
}

impl Where {
    /// What is said, else what a job says.
    pub(super) fn choose(self, job: Option<&Job>) -> Result<(Place, DriveChoice), Failure> {
        let place = self.node.map(Place::Node);
        let place = place.or_else(|| job.map(|job| job.place.clone()));
        let drive = self.drive.map(DriveChoice::Serial);
        let drive = drive.or(self.drive_pool.map(DriveChoice::Pool));
        let drive = drive.or_else(|| job.map(|job| job.drive.clone()));
        match (place, drive) {
            (Some(place), Some(drive)) => Ok((place, drive)),
            (None, _) => Err(Failure::usage("name the node: --node")),
            (_, None) => Err(Failure::usage("name the drive: --drive, or --drive-pool")),
        }
    }
}

/// Something that is done once.
pub(super) fn once(
    name: Name,
    (place, drive): (Place, DriveChoice),
    volumes: Name,
    paths: Vec<String>,
    kind: Kind,
) -> Job {
    Job {
        name,
        work: Work {
            paths,
            kind,
            ..Work::default()
        },
        place,
        drive,
        volumes,
        restart: Restart::default(),
        retries: 3,
        window: None,
    }
}

impl Restore {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        let (set, row) = find::newest(console, self.set, self.job.clone())?;
        if row.state == "unfinished" {
            return Err(Failure::refused(format!(
                "set {set} has not come to its end"
            )));
        }
        let pool = pool(console, &row)?;
        let job = match self.job {
            Some(job) => {
                let row = console.row(Rows::one(Table::Job, job))?;
                Some(Job::deserialize(row.row).map_err(|_| strange())?)
            }
            None => None,
        };
        let restore = job::Restore {
            set,
            volumes: row.volumes.iter().map(|volume| volume.uuid).collect(),
            to: self.to,
            overwrite: self.overwrite,
        };
        let job = once(
            jobs::name(JOB)?,
            self.place.choose(job.as_ref())?,
            pool,
            self.paths,
            Kind::Restore(restore),
        );
        jobs::begin_once(console, job, self.wait)
    }
}

/// The pool of the set's first volume; all of them have to be the coordinator's.
fn pool(console: &mut Console, set: &SetRow) -> Result<Name, Failure> {
    let mut pool = None;
    for volume in &set.volumes {
        let shown = volume.name.clone().unwrap_or_default();
        let row = console.row(Rows::one(Table::Volume, &shown));
        let row = row.map_err(|failure| match failure.exit {
            ExitStatus::Usage => Failure::usage(format!(
                "volume {shown} is none of this coordinator's: lh-control volume add {shown} \
                 --uuid {} --pool POOL",
                volume.uuid
            )),
            _ => failure,
        })?;
        let row = state::Volume::deserialize(row.row).map_err(|_| strange())?;
        pool.get_or_insert(row.pool);
    }
    pool.ok_or_else(strange)
}
