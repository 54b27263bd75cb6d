//! The real program is killed, again and again, at any moment: what it said to
//! be safe is there, and the set is gone on with.
//!
//! In one half the drive dies with the mover, and its object buffer is lost; in
//! the other it lives on (`lh-vtl serve`), and what it had accepted goes on to
//! the medium behind the last checkpoint.
//!
//! A mover that only seemed dead writes nothing more.
//!
//! `LONGHAUL_KILLS=N` kills more often, `LONGHAUL_SEED=N` at other moments; the
//! seed is printed.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::compare::{below, expect_equal};
use longhaul_hwtests::moments::Moments;
use longhaul_hwtests::program::{Finished, number, ours, run};
use longhaul_hwtests::scratch::{Scratch, remove_tree};
use longhaul_hwtests::served::{self, Served};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Kills of each kind.
const KILLS: u64 = 100;
const SEED: u64 = 1;
/// Of how many sets one is verified and restored.
const RESTORED: u64 = 5;

/// How long a mover may take to write the first megabytes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A drive, and what is backed up to it.
struct Bench {
    scratch: Scratch,
    tree: PathBuf,
    /// The drive for the program that is killed, and for who goes on.
    dying: String,
    living: String,
    /// A cartridge, and a labelled copy of it that replaces it each time: a
    /// drive with a clock needs seconds to find the end of many sets.
    fresh: Option<[PathBuf; 2]>,
}

impl Bench {
    fn new(scratch: Scratch, dying: String, living: String) -> Result<Bench> {
        let tree = scratch.join("src");
        fs::create_dir(&tree)?;
        for (number, len) in [9, 70_000, 3_000_000, 20, 500_000, 4_000_000]
            .into_iter()
            .enumerate()
        {
            let content: Vec<u8> = (0..len)
                .map(|at: u32| (at / 9) as u8 ^ number as u8)
                .collect();
            fs::write(tree.join(format!("file-{number}")), content)?;
        }
        Ok(Bench {
            scratch,
            tree,
            dying,
            living,
            fresh: None,
        })
    }

    /// Begins anew, if the cartridge is to be replaced.
    fn refresh(&self) -> Result<()> {
        if let Some([cartridge, blank]) = &self.fresh {
            let mut copy = Command::new("cp");
            run(copy.arg("--sparse=always").arg(blank).arg(cartridge))?.expect_success()?;
            let catalog = self.scratch.join("catalog");
            if catalog.exists() {
                remove_tree(&catalog)?;
            }
        }
        Ok(())
    }

    fn mover(&self, command: &str, drive: &str) -> Result<Command> {
        let mut mover = Command::new(ours("lh-mover")?);
        mover.args([command, "--drive", drive, "--catalog"]);
        mover.arg(self.scratch.join("catalog"));
        Ok(mover)
    }

    fn dying(&self, command: &str) -> Result<Command> {
        let mut mover = self.mover(command, &self.dying)?;
        mover.args(["--checkpoint-interval", "0.01", "--buffer-mib", "8"]);
        if command == "backup" {
            mover.arg(&self.tree);
        }
        mover.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(mover)
    }

    /// Starts a command and kills it after so long: whether it still ran.
    fn killed(&self, command: &str, after: Duration) -> Result<bool> {
        let mut said = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.said())?;
        writeln!(said, "{command}, killed after {after:?}:")?;
        let mut dying = self.dying(command)?;
        let mut child = dying.arg("-v").stderr(said.try_clone()?).spawn()?;
        thread::sleep(after);
        let ran = child.try_wait()?.is_none();
        child.kill()?;
        writeln!(said, "{}", child.wait()?)?;
        Ok(ran)
    }

    /// Where those write who are killed.
    fn said(&self) -> PathBuf {
        self.scratch.join("said")
    }

    fn has_checkpoint(&self) -> Result<bool> {
        let mut shown = Command::new(ours("lh-mover")?);
        shown.args(["checkpoints", "--json", "--catalog"]);
        let shown = run(shown.arg(self.scratch.join("catalog")))?;
        Ok(shown.text().contains("taken_ms"))
    }

    fn is_begun(&self) -> bool {
        let journals = self.scratch.join("catalog/journals");
        let mut all = fs::read_dir(journals).into_iter().flatten().flatten();
        all.any(|one| one.path().extension().is_some_and(|kind| kind == "journal"))
    }

    /// Ends the set that broke off, or makes it, if it never began.
    fn go_on(&self) -> Result<Finished> {
        let resumed = run(&mut self.mover("resume", &self.living)?)?;
        if resumed.code() != Some(2) {
            ensure!(
                !resumed.words().contains("does not hold the checkpoint"),
                "a checkpoint was written down that the medium does not hold: {resumed}"
            );
            return resumed.expect_success();
        }
        ensure!(
            resumed.words().contains("nothing to resume"),
            "a set is unfinished, and its journal is gone: {resumed}"
        );
        // Not even the journal had begun.
        run(self.mover("backup", &self.living)?.arg(&self.tree))?.expect_success()
    }

    fn expect_restored(&self) -> Result<()> {
        run(&mut self.mover("verify", &self.living)?)?.expect_success()?;
        let to = self.scratch.join("restored");
        run(self.mover("restore", &self.living)?.arg("--to").arg(&to))?.expect_success()?;
        expect_equal(&self.tree, &below(&to, &self.tree)?)?;
        remove_tree(&to)
    }

    fn kills(&self, name: &str) -> Result<()> {
        let kills = number("LONGHAUL_KILLS", KILLS);
        eprintln!("{name}: {kills} kills");
        let mut moments = Moments::of(SEED);
        let begun = Instant::now();
        ensure!(
            self.dying("backup")?.status()?.success(),
            "an undisturbed backup"
        );
        self.refresh()?;
        let mut longest = begun.elapsed().mul_f64(1.1);
        let (mut killed, mut resumed) = (0, 0);
        let is_enough = |killed: u64, resumed: u64| killed >= kills && resumed * 4 >= kills;
        for round in 0.. {
            self.refresh()?;
            fs::write(self.said(), "")?;
            let ran = self.killed("backup", moments.within(longest))?;
            killed += 1;
            // How long a backup takes changes with what else the machine does.
            longest = match (ran, self.is_begun()) {
                (false, _) => longest.mul_f64(0.9),
                (true, false) => longest.mul_f64(1.05),
                (true, true) => longest,
            };
            let mut after = || moments.within(longest);
            // Who goes on may die too.
            while self.is_begun() && after() < longest / 3 {
                self.killed("resume", after())?;
                killed += 1;
            }
            resumed += u64::from(self.is_begun());
            self.go_on().with_context(|| {
                let said = fs::read_to_string(self.said()).unwrap_or_default();
                format!("{name}, round {round}, behind\n{said}")
            })?;
            if round % RESTORED == 0 {
                self.expect_restored()
                    .with_context(|| format!("{name}, round {round}"))?;
            }
            if is_enough(killed, resumed) {
                break;
            }
            ensure!(
                killed < 4 * kills,
                "{killed} kills come too early or too late: {resumed} sets were gone on with"
            );
        }
        eprintln!("{name}: {resumed} sets were gone on with");
        self.expect_restored()
    }
}

#[test]
fn r24_a_mover_is_killed_again_and_again_and_its_drive_dies_with_it() -> Result<()> {
    let scratch = Scratch::new()?;
    let file = scratch.join("tape.vtape");
    let living = format!("vtape:{}?capacity=4GiB", file.display());
    let dying = format!("{living}&clock=real&buffer=4MiB");
    let mut bench = Bench::new(scratch, dying, living)?;
    let mut label = bench.mover("label", &bench.living)?;
    run(label.args(["--name", "KILL01", "--record-bytes", "65536"]))?.expect_success()?;
    let blank = bench.scratch.join("blank.vtape");
    let mut copy = Command::new("cp");
    run(copy.arg("--sparse=always").arg(&file).arg(&blank))?.expect_success()?;
    bench.fresh = Some([file, blank]);
    bench.kills("the drive dies")
}

/// The first drive of a library that is served, with a labelled volume in it.
fn outliving(scratch: Scratch) -> Result<(Served, Bench)> {
    let sizes = ["--slots", "2", "--cartridges", "1", "--capacity", "4GiB"];
    served::create(&scratch, &sizes)?;
    let served = Served::start(&scratch)?;
    let drive = served.drives[0].clone();
    let serial = drive.rsplit('#').next().context("a serial")?;
    let load = ["load", "LH0001", "--drive", serial];
    served.tapelib(&scratch, &load)?.expect_success()?;
    let bench = Bench::new(scratch, drive.clone(), drive)?;
    let mut label = bench.mover("label", &bench.living)?;
    run(label.args(["--record-bytes", "65536"]))?.expect_success()?;
    Ok((served, bench))
}

#[test]
fn r24_a_mover_is_killed_again_and_again_and_its_drive_lives_on() -> Result<()> {
    let (served, bench) = outliving(Scratch::new()?)?;
    bench.kills("the drive lives on")?;
    served.stop()
}

/// The key that a refusal names.
fn named_key(refused: &Finished) -> Result<String> {
    let words = refused.words();
    let key = words
        .split_once("(key ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .with_context(|| format!("no key is named: {refused}"))?;
    Ok(key.0.to_owned())
}

#[test]
fn r8_a_mover_that_comes_back_from_the_dead_writes_nothing() -> Result<()> {
    let (served, mut bench) = outliving(Scratch::new()?)?;
    fs::write(bench.tree.join("more"), vec![3; 200_000_000])?;
    let cartridge = bench.scratch.join("lib/cartridges/LH0001L9.vtape");
    let blocks = || -> Result<u64> { Ok(fs::metadata(&cartridge)?.blocks()) };
    let before = blocks()?;
    let mut stopped = bench.dying("backup")?.stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    while blocks()? < before + 10_000 || !bench.has_checkpoint()? {
        ensure!(begun.elapsed() < PATIENCE, "it writes nothing");
        thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&stopped), Signal::STOP)?;

    // Another node has what was carried to it of the journal.
    let journals = bench.scratch.join("catalog/journals");
    let journal = fs::read_dir(&journals)?.next().context("a journal")??;
    let carried = bench.scratch.join("carried.journal");
    fs::copy(journal.path(), &carried)?;
    fs::rename(bench.scratch.join("catalog"), bench.scratch.join("gone"))?;
    bench.living += "?initiator=another-node";
    let resume = || -> Result<Command> {
        let mut resume = bench.mover("resume", &bench.living)?;
        resume.arg("--journal").arg(&carried);
        Ok(resume)
    };
    let refused = run(&mut resume()?)?.expect_code(5)?;
    let key = named_key(&refused)?;
    let wrong = run(resume()?.args(["--take-over", "4c48000000000001"]))?.expect_code(5)?;
    ensure!(named_key(&wrong)? == key, "{wrong}");
    let done = run(resume()?.args(["--take-over", &key, "--json"]))?.expect_success()?;
    let done: Value = serde_json::from_str(&done.text())?;
    ensure!(done["resumed"]["from"] == "checkpoint", "{done}");

    let before = fs::read(&cartridge)?;
    kill_process(Pid::from_child(&stopped), Signal::CONT)?;
    let mut said = String::new();
    let mut stderr = stopped.stderr.take().context("a pipe")?;
    stderr.read_to_string(&mut said)?;
    ensure!(stopped.wait()?.code() == Some(5), "it ends itself: {said}");
    ensure!(
        said.contains("taken from this job"),
        "it is told why: {said}"
    );
    ensure!(fs::read(&cartridge)? == before, "it wrote to the volume");
    bench.expect_restored()?;
    served.stop()
}
