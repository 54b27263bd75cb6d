//! A host dies in the middle of its backup, at any moment, and another one that
//! reaches the same drive goes on with it.
//!
//! The journal lies on a disk that the hosts share, as a SAN's: what was not
//! synchronised to it has died with the host. `LONGHAUL_DEATHS=N` has more of
//! them die, `LONGHAUL_SEED=N` at other moments.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::moments::Moments;
use longhaul_hwtests::program::number;
use longhaul_hwtests::rig::iscsi::{door, log_in};
use longhaul_hwtests::rig::library;
use longhaul_hwtests::rig::seen::{self, VOLUMES};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Job, Kernel, Net, Network, Trial, trial};
use serde_json::Value;

use crate::data;
use crate::mover::compare_with;

/// Hosts that die, half of them with a journal that survives.
const DEATHS: u64 = 20;
const SEED: u64 = 1;
/// Sets that one cartridge takes.
const ROUNDS_A_VOLUME: u64 = 8;

/// Where the survivor and those who die see the shared disk, and the tree.
const DISK: &str = "/disk";
const CATALOG: &str = "/disk/catalog";

struct Hosts<'a> {
    trial: &'a Trial,
    network: &'a Network,
    survivor: Host,
    serial: String,
    /// The tree, as hosts see it.
    tree: String,
    /// The newest set on the volume, before the next host dies.
    newest: String,
}

/// How a host died.
struct Death {
    /// Bytes of the archive that its mover had said to be on the medium.
    safe: Option<u64>,
    /// The backup had come to its end before.
    ended: bool,
    /// What the set was gone on from, if anything had begun.
    from: Option<String>,
}

#[test]
fn r8_r24_r25_hosts_die_and_another_goes_on_over_iscsi() -> Result<()> {
    let name = "r8_r24_r25_hosts_die_and_another_goes_on_over_iscsi";
    trial(name, &plain(Kernel::chosen()), 3, |trial| {
        let network = Network::new(3)?;
        let mut target = Host::boot_on(&network, trial, Kernel::chosen(), 1)?;
        library::serve(&mut target, &door(1, &[Net::San], &[2, 3]))?;
        let mut survivor = Host::boot_on(&network, trial, Kernel::chosen(), 3)?;
        log_in(&mut survivor, 3, 1, &[Net::San])?;
        let seen = seen::look(&mut survivor, 1)?;
        let mut hosts = Hosts {
            trial,
            network: &network,
            serial: seen.drives[0].serial.clone(),
            survivor,
            tree: tree(trial)?,
            newest: String::new(),
        };
        hosts.make_disk()?;
        let deaths = number("LONGHAUL_DEATHS", DEATHS);
        let mut moments = Moments::of(SEED);
        let mut longest = Duration::ZERO;
        let (mut begun, mut checkpoints) = (0, 0);
        for death in 0..deaths {
            if death % ROUNDS_A_VOLUME == 0 {
                let volume = usize::try_from(death / ROUNDS_A_VOLUME)?;
                if volume > 0 {
                    data::run(&mut hosts.survivor, &seen.unload(0))?;
                }
                let volume = VOLUMES.get(volume).context("too many deaths")?;
                data::run(&mut hosts.survivor, &seen.load(volume, 0))?;
                longest = hosts.label_and_time()?;
            }
            // The first third of the time it looks for the end of data.
            let moment = longest.mul_f64(0.3) + moments.within(longest.mul_f64(0.7));
            let with_journal = death % 2 == 0;
            let Death { safe, ended, from } = hosts
                .one(moment, with_journal)
                .with_context(|| format!("death {death}, after {moment:?}"))?;
            eprintln!("death {death} after {moment:?} of {longest:?}: {from:?}");
            begun += u64::from(from.is_some());
            checkpoints += u64::from(from.is_some_and(|from| from == "checkpoint"));
            // How long a backup takes changes with what else the machine does.
            longest = match (ended, safe) {
                (true, _) => longest.mul_f64(0.8),
                (false, None) => longest.mul_f64(1.1),
                (false, Some(_)) => longest,
            };
        }
        eprintln!(
            "{deaths} hosts died: {begun} sets were gone on with, {checkpoints} from a checkpoint"
        );
        ensure!(
            begun * 2 >= deaths && checkpoints * 5 >= deaths,
            "they die too early or too late: {begun}, {checkpoints} of {deaths}"
        );
        Ok(())
    })
}

/// Files that do not change, on the machine below the hosts: as a shared file
/// system.
fn tree(trial: &Trial) -> Result<String> {
    let tree = trial.join("tree");
    fs::create_dir(&tree)?;
    for (number, len) in [9, 70_000, 9_000_000, 20, 500_000, 19_000_000, 9_000_000]
        .into_iter()
        .enumerate()
    {
        let content: Vec<u8> = (0..len)
            .map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ number as u8)
            .collect();
        fs::write(tree.join(format!("file-{number}")), content)?;
    }
    Ok(Host::path_of(&tree))
}

impl Hosts<'_> {
    /// The shared disk, with a file system that one host mounts at a time.
    fn make_disk(&mut self) -> Result<()> {
        let folder = self.trial.join("shared");
        fs::create_dir(&folder)?;
        fs::File::create(folder.join("disk"))?.set_len(256 << 20)?;
        let script = self.mounting("mkfs.ext4 -q /shared/disk");
        self.survivor.run(&script)?;
        self.survivor.run(&format!("umount {DISK}"))?;
        Ok(())
    }

    fn mounting(&self, before: &str) -> String {
        format!(
            "modprobe loop
             mkdir -p /shared {DISK}
             mountpoint -q /shared || mount -t hostfs -o {} none /shared
             {before}
             mount -o loop /shared/disk {DISK}",
            self.trial.join("shared").display()
        )
    }

    fn backup(&self) -> String {
        format!(
            "lh-mover -v backup --drive {} --catalog {CATALOG} --checkpoint-interval 0.02 \
             --buffer-mib 8 {}",
            self.serial, self.tree
        )
    }

    /// Labels the volume, and makes an undisturbed backup: how long it takes.
    fn label_and_time(&mut self) -> Result<Duration> {
        let mounting = self.mounting("");
        self.survivor.run(&mounting)?;
        data::run(
            &mut self.survivor,
            &format!(
                "lh-mover label --drive {} --catalog {CATALOG} --record-bytes 65536",
                self.serial
            ),
        )?;
        let begun = Instant::now();
        let backup = self.backup();
        data::run(&mut self.survivor, &backup)?;
        let took = begun.elapsed();
        self.newest = self.newest_set(CATALOG, "")?;
        self.survivor.run(&format!("umount {DISK}"))?;
        Ok(took)
    }

    /// A host begins a backup and dies, and the survivor goes on with it.
    fn one(&mut self, moment: Duration, with_journal: bool) -> Result<Death> {
        let mut dying = Host::boot_on(self.network, self.trial, Kernel::chosen(), 2)?;
        log_in(&mut dying, 2, 1, &[Net::San])?;
        seen::look(&mut dying, 1)?;
        let mounting = self.mounting("");
        dying.run(&mounting)?;
        let job = dying.start(&self.backup())?;
        thread::sleep(moment);
        let safe = said_safe(&job)?;
        let ended = job.has_ended();
        dying.kill();

        let catalog = match with_journal {
            true => {
                self.survivor.run(&mounting)?;
                CATALOG
            }
            false => "/tmp/catalog",
        };
        let done = self.go_on(catalog, with_journal, safe)?;
        if let Some(done) = &done {
            let resumed = &done["resumed"];
            ensure!(
                resumed["archive_bytes"].as_u64() >= safe,
                "{safe:?} bytes were said to be safe: {done}"
            );
            // It may have come to its end after that, with its catalog alone unwritten.
            let known = resumed["from"] == "checkpoint" || resumed["from"] == "end";
            ensure!(
                !with_journal || safe.is_none() || known,
                "{safe:?} bytes were said to be safe, and the journal does not know it: {done}"
            );
        }
        self.expect_restored(catalog)?;
        if with_journal {
            self.survivor.run(&format!("umount {DISK}"))?;
        }
        let from = done.and_then(|done| Some(done["resumed"]["from"].as_str()?.to_owned()));
        Ok(Death { safe, ended, from })
    }

    /// Takes the drive from the dead host, and ends its set, or makes it.
    fn go_on(
        &mut self,
        catalog: &str,
        with_journal: bool,
        safe: Option<u64>,
    ) -> Result<Option<Value>> {
        let paths = if with_journal { "" } else { &self.tree };
        let common = format!("--drive {} --catalog {catalog} --json", self.serial);
        let resume = format!("lh-mover resume {common} {paths}");
        let mut ended = self.survivor.run_within(&resume, data::PATIENCE)?;
        let mut take_over = String::new();
        if let Some((_, rest)) = ended.said.split_once("(key ") {
            let key = rest.split(')').next().context("a key")?;
            take_over = format!("--take-over {key}");
            let resume = format!("{resume} {take_over}");
            ended = self.survivor.run_within(&resume, data::PATIENCE)?;
        }
        ensure!(
            !ended.said.contains("does not hold the checkpoint"),
            "a checkpoint was written down that the medium does not hold: {}",
            ended.said
        );
        if ended.code == 2 && ended.said.contains("nothing to resume") {
            if safe.is_some() {
                // Then the set had come to its end.
                let newest = self.newest_set(catalog, &take_over)?;
                ensure!(
                    newest != self.newest,
                    "{safe:?} bytes were said to be safe, and set {newest} is the newest"
                );
            }
            let backup = format!("lh-mover backup {common} {take_over} {}", self.tree);
            data::run(&mut self.survivor, &backup)?;
            return Ok(None);
        }
        let said = ended.expect_success()?.said;
        let json = said.lines().find(|line| line.starts_with('{'));
        Ok(Some(serde_json::from_str(json.context("no JSON")?)?))
    }

    /// The newest set on the volume in the drive, which is whole.
    fn newest_set(&mut self, catalog: &str, take_over: &str) -> Result<String> {
        let drive = &self.serial;
        let verify =
            format!("lh-mover verify --drive {drive} --catalog {catalog} --json {take_over}");
        let said = data::run(&mut self.survivor, &verify)?.said;
        let json = said.lines().find(|line| line.starts_with('{'));
        let verified: Value = serde_json::from_str(json.context("no JSON")?)?;
        Ok(verified["set"].as_str().context("a set")?.to_owned())
    }

    fn expect_restored(&mut self, catalog: &str) -> Result<()> {
        self.newest = self.newest_set(catalog, "")?;
        let (serial, tree) = (&self.serial, &self.tree);
        let compare = compare_with(tree, &format!("/tmp/restored{tree}"));
        let script = format!(
            "lh-mover restore --drive {serial} --catalog {catalog} --to /tmp/restored
             {compare}
             rm -r /tmp/restored"
        );
        data::run(&mut self.survivor, &script)?;
        Ok(())
    }
}

/// How many bytes of the archive the mover has last said to be on the medium.
fn said_safe(job: &Job) -> Result<Option<u64>> {
    let said = job.said()?;
    let line = said
        .lines()
        .rfind(|line| line.contains("checkpoint: ") && line.contains(" bytes of the archive"));
    let Some(line) = line else {
        return Ok(None);
    };
    let (before, _) = line.split_once(" bytes of").context("a number of bytes")?;
    let number = before.rsplit(' ').next().context("a number")?;
    Ok(Some(number.parse()?))
}
