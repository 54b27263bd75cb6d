//! Trees, cartridges, and a backup that is gone on with until it is done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use longhaul_emulator::medium::{Cartridge, Object};
use longhaul_hwtests::compare::below;
use longhaul_hwtests::jobs::Jobs;
use longhaul_hwtests::program::{export, run};
use longhaul_hwtests::scratch::{Scratch, remove_tree};
use longhaul_mover::job::writing::Done;
use longhaul_mover::job::{ExitStatus, JobError};

/// Held by jobs together, and by who starts a program alone: a child has a copy
/// of every open file until it executes its program, and with it a journal's
/// lock, which a job that goes on then finds held.
static CHILDREN: RwLock<()> = RwLock::new(());

fn with_jobs() -> RwLockReadGuard<'static, ()> {
    CHILDREN.read().unwrap_or_else(PoisonError::into_inner)
}

fn with_children() -> RwLockWriteGuard<'static, ()> {
    CHILDREN.write().unwrap_or_else(PoisonError::into_inner)
}

/// A tree, and labelled cartridges.
pub struct Bed {
    scratch: Scratch,
    tree: PathBuf,
    volumes: usize,
    record_bytes: u64,
    interval: Duration,
}

/// One fault of one of the drives.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which drive.
    pub drive: usize,
    /// The fault plan.
    pub plan: String,
}

impl Bed {
    /// A tree of these files, named, with so many bytes in each, and cartridges
    /// that take so many bytes.
    pub fn new(
        files: &[(&str, usize)],
        capacities: &[u64],
        record_bytes: u64,
        interval: Duration,
    ) -> Result<Bed> {
        let scratch = Scratch::in_memory()?;
        let tree = scratch.join("src");
        fs::create_dir(&tree)?;
        for (name, len) in files {
            let first = name.bytes().next().unwrap_or_default();
            let content: Vec<u8> = (0..*len).map(|at| (at / 5) as u8 ^ first).collect();
            let path = tree.join(name);
            fs::create_dir_all(path.parent().context("below the tree")?)?;
            fs::write(path, content)?;
        }
        let jobs = Jobs::new(&scratch.join("labels"), interval)?;
        for (number, capacity) in capacities.iter().enumerate() {
            let file = scratch.join(format!("blank-{number}.vtape"));
            let drive = format!("vtape:{}?capacity={capacity}", file.display());
            jobs.label(&drive, &format!("FAULT{number}"), record_bytes)?;
        }
        Ok(Bed {
            scratch,
            tree,
            volumes: capacities.len(),
            record_bytes,
            interval,
        })
    }

    /// A folder with a copy of each cartridge.
    pub fn round(&self) -> Result<Round<'_>> {
        let dir = self.scratch.join("round");
        if dir.exists() {
            remove_tree(&dir)?;
        }
        fs::create_dir(&dir)?;
        for number in 0..self.volumes {
            let blank = self.scratch.join(format!("blank-{number}.vtape"));
            sparse_copy(&blank, &dir.join(format!("{number}.vtape")))?;
        }
        let jobs = Jobs::new(&dir.join("catalog"), self.interval)?;
        Ok(Round {
            bed: self,
            dir,
            jobs,
        })
    }

    /// Fails, unless the tree below `to` is the source.
    fn expect_restored(&self, to: &Path) -> Result<()> {
        let below = below(to, &self.tree)?;
        let (was, is) = (contents(&self.tree)?, contents(&below)?);
        let names = |all: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
            all.iter().map(|(name, _)| name.clone()).collect()
        };
        ensure!(names(&was) == names(&is), "restored: {:?}", names(&is));
        for ((name, was), (_, is)) in was.iter().zip(&is) {
            ensure!(was == is, "{} differs", name.display());
        }
        Ok(())
    }
}

/// One backup.
pub struct Round<'a> {
    bed: &'a Bed,
    dir: PathBuf,
    jobs: Jobs,
}

impl Round<'_> {
    fn file(&self, number: usize) -> PathBuf {
        self.dir.join(format!("{number}.vtape"))
    }

    /// The drives with the cartridges, one of them with a fault.
    fn drives(&self, fault: Option<&Fault>) -> Result<Vec<String>> {
        let drive = |number| format!("vtape:{}?buffer=128KiB", self.file(number).display());
        let mut drives: Vec<String> = (0..self.bed.volumes).map(drive).collect();
        if let Some(Fault { drive, plan }) = fault {
            let file = self.dir.join("plan.toml");
            fs::write(&file, plan)?;
            drives[*drive].push_str(&format!("&faults={}", file.display()));
        }
        Ok(drives)
    }

    /// Backs up, or goes on; each attempt meets one of the faults. Tells how
    /// many broke off.
    pub fn attempts(&self, faults: &[Fault]) -> Result<(Done, usize)> {
        let _jobs = with_jobs();
        let mut broke = 0;
        loop {
            let drives = self.drives(faults.get(broke))?;
            // What never began needs no resumption, but a backup.
            let begun = self.jobs.is_begun()?;
            let done = match begun {
                true => self.jobs.resume(&drives),
                false => self.jobs.backup(&drives, &self.bed.tree),
            };
            match done {
                Ok(done) => return Ok((done, broke)),
                Err(error) if broke == faults.len() => {
                    return Err(error).context("without a fault");
                }
                Err(error) => self.expect_said(begun, &error)?,
            }
            self.expect_held()?;
            broke += 1;
        }
    }

    /// Fails, unless the media hold every checkpoint in the journal.
    fn expect_held(&self) -> Result<()> {
        for (volume, block, crc) in self.jobs.checkpoints()? {
            let number = volume.trim_start_matches("FAULT").parse()?;
            let mut cartridge = Cartridge::open(&self.file(number))?;
            let objects = cartridge.medium().objects();
            ensure!(objects >= block, "{volume}: {objects} of {block} objects");
            match cartridge.object(block - 1)? {
                Object::Block(bytes) if crc32c::crc32c(&bytes) == crc => {}
                Object::Block(_) => bail!("{volume}: another record lies before block {block}"),
                Object::Filemark => bail!("{volume}: a filemark lies before block {block}"),
            }
        }
        Ok(())
    }

    /// Who stops says where, and how to go on.
    fn expect_said(&self, was_begun: bool, error: &JobError) -> Result<()> {
        use ExitStatus::{Device, Held, Operator, Refused, Unfinished};
        let status = error.exit_status();
        ensure!(
            matches!(status, Device | Held | Operator | Refused | Unfinished),
            "{status:?}: {error}"
        );
        let is_said = error.to_string().contains("lh-mover resume");
        ensure!(was_begun || is_said || !self.jobs.is_begun()?, "{error}");
        Ok(())
    }

    /// Fails, unless what the volumes hold is the source; by GNU tar as well, if
    /// that is wanted.
    pub fn expect_restores(&self, done: &Done, by_tar: bool) -> Result<()> {
        let number = |name: &String| name.trim_start_matches("FAULT").parse();
        let volumes: Result<Vec<usize>, _> = done.volumes.iter().map(number).collect();
        let volumes = volumes?;
        // The last volume tells of the newest set.
        let mut drives = self.drives(None)?;
        drives.rotate_left(*volumes.last().context("a volume")?);
        let to = self.dir.join("restored");
        {
            let _jobs = with_jobs();
            self.jobs.restore(&drives, &to)?;
        }
        self.bed.expect_restored(&to)?;
        match by_tar {
            true => self.tar(&volumes),
            false => Ok(()),
        }
    }

    /// Exports the volumes and has GNU tar restore them.
    fn tar(&self, volumes: &[usize]) -> Result<()> {
        let _children = with_children();
        let to = self.dir.join("by-tar");
        fs::create_dir(&to)?;
        let mut tar = Command::new("tar");
        let blocks = (self.bed.record_bytes / 512).to_string();
        tar.args(["-M", "-b", &blocks, "-xp", "-C"]).arg(&to);
        tar.arg("--warning=no-unknown-keyword");
        for &number in volumes {
            let files = self.dir.join(format!("files-{number}"));
            export(&self.file(number), &files)?;
            tar.arg("-f").arg(files.join("001"));
        }
        run(&mut tar)?.expect_success()?;
        self.bed.expect_restored(&to)
    }
}

/// All below a folder: files with their content.
fn contents(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((path.strip_prefix(dir)?.to_owned(), fs::read(&path)?));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A cartridge is a sparse file.
fn sparse_copy(from: &Path, to: &Path) -> Result<()> {
    let _children = with_children();
    let mut copy = Command::new("cp");
    run(copy.arg("--sparse=always").arg(from).arg(to))?.expect_success()?;
    Ok(())
}
