//! The mover's jobs in this process, on emulated drives: thousands of them take
//! no longer than a hundred programs would.
//!
//! A drive goes with the job that opened it, and its object buffer with the
//! drive: a job that fails is a mover and a drive that die together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use longhaul_catalog::Catalog;
use longhaul_mover::checkpoint::journal;
use longhaul_mover::checkpoint::recovered::Recovered;
use longhaul_mover::checkpoint::tracker::Intervals;
use longhaul_mover::job::adopt::{self, Choice};
use longhaul_mover::job::mounts::Mounts;
use longhaul_mover::job::resume;
use longhaul_mover::job::session::{Purpose, Session};
use longhaul_mover::job::writing::Done;
use longhaul_mover::job::{JobError, backup, label, restore, verify};
use longhaul_mover::progress::Progress;
use longhaul_mover::restore::Overwrite;
use longhaul_mover::source::{self, Problem, Roots};
use longhaul_mover::transport;

/// Memory for records, in bytes: the least.
const BUFFER_BYTES: u64 = 1 << 20;

/// Jobs with one catalog.
#[derive(Debug)]
pub struct Jobs {
    catalog: Catalog,
    dir: PathBuf,
    intervals: Intervals,
}

impl Jobs {
    /// Jobs whose catalog lies in this folder, which is made. Between two
    /// checkpoints lies at least this time.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(dir: &Path, checkpoint_interval: Duration) -> Result<Jobs> {
        Ok(Jobs {
            catalog: Catalog::open(dir)?,
            dir: dir.to_owned(),
            intervals: Intervals {
                checkpoint: checkpoint_interval,
                flush: checkpoint_interval,
            },
        })
    }

    /// Labels a volume, which is made if it is not there.
    ///
    /// # Errors
    /// The job's.
    pub fn label(&self, drive: &str, name: &str, record_bytes: u64) -> Result<()> {
        let options = label::Options {
            name: Some(name.to_owned()),
            uuid: None,
            barcode: None,
            record_bytes,
            overwrite: None,
        };
        transport::create_if_missing(drive)?;
        label::in_drive(drive, &options)?;
        Ok(())
    }

    /// Backs a tree up to the volumes in these drives.
    ///
    /// # Errors
    /// The job's.
    pub fn backup(&self, drives: &[String], tree: &Path) -> Result<Done, JobError> {
        let mut session = Session::open(mounts(drives), Purpose::Write)?;
        let paths = vec![tree.to_owned()];
        let roots = Roots::find(&paths).map_err(|error| JobError::Usage(error.to_string()))?;
        let options = backup::Options {
            paths,
            walk: source::Options::default(),
            buffer_bytes: BUFFER_BYTES,
            intervals: self.intervals,
            set: None,
        };
        let (progress, mut problems) = (Arc::default(), Vec::new());
        let catalog = &self.catalog;
        let done = backup::run(
            &mut session,
            catalog,
            roots,
            &options,
            &progress,
            &mut problems,
        )?;
        session.release();
        Ok(done)
    }

    /// Goes on with the set whose journal is there, on the volumes in these
    /// drives.
    ///
    /// # Errors
    /// The job's.
    pub fn resume(&self, drives: &[String]) -> Result<Done, JobError> {
        let mut session = Session::open(mounts(drives), Purpose::Write)?;
        let options = resume::Options {
            buffer_bytes: BUFFER_BYTES,
            intervals: self.intervals,
            ..resume::Options::default()
        };
        let (progress, mut problems) = (Arc::default(), Vec::new());
        let catalog = &self.catalog;
        let resumed = resume::run(&mut session, catalog, &options, &progress, &mut problems)?;
        session.release();
        Ok(resumed.done)
    }

    /// Whether a set waits for being gone on with.
    ///
    /// # Errors
    /// If nobody can look.
    pub fn is_begun(&self) -> Result<bool> {
        let journals = self.dir.join("journals");
        Ok(journals.is_dir() && journals.read_dir()?.next().is_some())
    }

    /// What the journals say is on the volumes: for each checkpoint the volume's
    /// name, the block behind it, and the CRC32C of the record before that.
    ///
    /// # Errors
    /// If a journal cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<(String, u64, u32)>> {
        let mut all = Vec::new();
        for path in journal::all(&self.dir) {
            let journal = Recovered::look(&path)?;
            for checkpoint in &journal.checkpoints {
                let mut volumes = journal.volumes.iter();
                let on = volumes.find(|volume| volume.sequence == checkpoint.volume);
                let name = on.context("a checkpoint on no volume")?.name.to_string();
                let crc = *checkpoint.records.last().context("no record")?;
                all.push((name, checkpoint.block, crc));
            }
        }
        Ok(all)
    }

    /// Verifies the newest set, and restores it below a folder.
    ///
    /// # Errors
    /// The job's, and whatever is not as it was backed up.
    pub fn restore(&self, drives: &[String], to: &Path) -> Result<()> {
        let mut session = Session::open(mounts(drives), Purpose::Read)?;
        let progress = Progress::default();
        let chosen = adopt::choose(&mut session, &self.catalog, Choice::Newest, &progress)?;
        let verified = verify::run(&mut session, &chosen, &progress)?;
        let told = |problems: &[Problem]| {
            let words: Vec<String> = problems.iter().map(Problem::to_string).collect();
            words.join("; ")
        };
        ensure!(verified.problems.is_empty(), "{}", told(&verified.problems));
        let options = restore::Options {
            paths: Vec::new(),
            to: to.to_owned(),
            overwrite: Overwrite::Never,
        };
        let mut problems = Vec::new();
        restore::run(&mut session, &chosen, &options, &progress, &mut problems)
            .context("restoring")?;
        ensure!(problems.is_empty(), "{}", told(&problems));
        session.release();
        Ok(())
    }
}

fn mounts(drives: &[String]) -> Mounts {
    let mut mounts = Mounts::default();
    mounts.drives = drives.to_vec();
    mounts
}
