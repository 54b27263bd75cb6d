//! What must be true after every event, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use longhaul_control::core::state::RunState;
use longhaul_protocol::run::Token;
use longhaul_protocol::{AttemptId, ExitStatus, RunId};

use crate::mover::{Mover, RECORDS};
use crate::world::World;

impl World {
    /// What the coordinator has decided makes sense.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(core) = &self.center.core {
            ensure!(
                *core.state() == self.center.rows,
                "what the coordinator thinks is not what it has written down"
            );
        }
        let rows = &self.center.rows;
        let (mut drives, mut volumes, mut runs) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (id, attempt) in &rows.attempts {
            if attempt.ended.is_some() {
                continue;
            }
            ensure!(
                drives.insert(&attempt.drive),
                "two attempts have drive {}",
                attempt.drive
            );
            ensure!(
                runs.insert(&id.run),
                "two attempts of {} are under way",
                id.run
            );
            for volume in &attempt.volumes {
                ensure!(volumes.insert(volume), "two attempts have volume {volume}");
            }
        }
        let is_backup = |id: &&&RunId| {
            let run = rows.runs.get(**id);
            run.is_some_and(|run| run.job.work.kind.is_backup())
        };
        let backups: Vec<_> = runs.iter().filter(is_backup).collect();
        let jobs: BTreeSet<_> = backups.iter().map(|run| &run.job).collect();
        ensure!(
            jobs.len() == backups.len(),
            "a job is run twice at the same time"
        );
        for (id, run) in &rows.runs {
            let is_active = runs.contains(id);
            ensure!(
                is_active == (run.state == RunState::Active),
                "{id} is {:?}, and an attempt of it is under way: {is_active}",
                run.state
            );
        }
        for (node, held) in &self.lost {
            let is_over = |id: &&AttemptId| {
                rows.attempts
                    .get(*id)
                    .is_some_and(|row| row.ended.is_some())
            };
            if let Some(over) = held.iter().find(is_over) {
                anyhow::bail!(
                    "{over} was given up, and nobody has said that {node} is dead:\n{}",
                    self.story(&over.run)
                );
            }
        }
        for (id, members) in &self.acknowledged {
            let point = rows
                .attempts
                .get(id)
                .and_then(|attempt| attempt.point.as_ref());
            // The point may come behind the journal that holds it; the journal
            // is what was acknowledged.
            let journal = self.center.journals.get(id).map_or(&[][..], Vec::as_slice);
            let kept = crate::mover::Journal::of(journal);
            let known = kept.0.iter().map(|point| point.members).max().unwrap_or(0);
            ensure!(
                known >= *members && point.is_none_or(|point| point.members <= known),
                "{id}: {members} members were acknowledged, and {known} are known"
            );
        }
        Ok(())
    }

    /// Nobody but one process can write to a drive, and no run is written by two.
    pub(crate) fn check_writers(&self) -> Result<()> {
        let (mut drives, mut runs) = (BTreeMap::new(), BTreeMap::<_, &Mover>::new());
        for (name, node) in &self.nodes {
            for (id, mover) in &node.movers {
                if !mover.holds(&self.library) {
                    continue;
                }
                let drive = &mover.start().drive;
                if let Some(other) = drives.insert(drive, id) {
                    anyhow::bail!("{id} on {name} and {other} both write to {drive}");
                }
                // Who did not reach the drive of one that the cluster took for dead
                // leaves it what it writes to; to the run's new volumes it does not come.
                let is_apart = |one: &Mover, other: &Mover| {
                    let other = other.start();
                    let drive = self.library.drives.get(&other.drive);
                    drive.is_some_and(|drive| {
                        drive.unreached.contains(one.node())
                            || drive.passed_over.contains(&other.token)
                    })
                };
                if let Some(other) = runs.insert(&id.run, mover)
                    && !is_apart(mover, other)
                    && !is_apart(other, mover)
                {
                    anyhow::bail!("{} is written on {name} and on {}", id.run, other.node());
                }
            }
        }
        Ok(())
    }

    /// Every run is done, and the media hold it.
    pub(crate) fn check_end(&self) -> Result<()> {
        let rows = &self.center.rows;
        let backups = rows.runs.iter();
        for (id, run) in backups.filter(|(_, run)| run.job.work.kind.is_backup()) {
            ensure!(
                run.state == RunState::Done(ExitStatus::Done),
                "{id} is {:?} at the end, after {} attempts",
                run.state,
                run.attempts
            );
            ensure!(
                self.center.catalog.contains(id),
                "the catalog does not know the set of {id}"
            );
            self.check_set(id)
                .with_context(|| format!("the set of {id}"))?;
        }
        Ok(())
    }

    /// The attempts of a run, for people.
    pub(crate) fn story(&self, id: &RunId) -> String {
        let attempts = self.center.rows.attempts.iter();
        let of_run = attempts.filter(|(attempt, _)| attempt.run == *id);
        let lines = of_run.map(|(id, attempt)| {
            let volumes: Vec<u128> = attempt.volumes.iter().map(|v| v.as_u128()).collect();
            let point = attempt.point.as_ref();
            format!(
                "{id} on {} with {} as {:?}: volumes {volumes:?}, goes on with {:?}, journal {}, \
                 point {:?}, ended {:?}",
                attempt.node,
                attempt.drive,
                attempt.token,
                attempt.resumes,
                attempt.journal_bytes,
                point.map(|p| (p.volume.as_u128(), p.block, p.members)),
                attempt
                    .ended
                    .as_ref()
                    .map(|o| (o.exit, o.error.as_deref().unwrap_or(""))),
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What services have and runs had, for people.
    pub(crate) fn told(&self) -> String {
        let nodes = self.nodes.iter().map(|(name, node)| {
            let attempts = node.service.as_ref().map(|service| service.attempts());
            let processes: Vec<_> = node.movers.keys().collect();
            format!("{name}: {attempts:#?}, processes {processes:?}")
        });
        let runs = self.center.rows.runs.keys().map(|id| self.story(id));
        let drives = self.library.drives.iter().map(|(name, drive)| {
            let row = self.center.rows.drives.get(name);
            format!(
                "{name} is held by {:?}, and left by {:?}",
                drive.holder,
                row.map(|row| &row.left)
            )
        });
        nodes
            .chain(drives)
            .chain(runs)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn check_set(&self, id: &RunId) -> Result<()> {
        let (_, attempt) = self.center.rows.newest(id).context("no attempt")?;
        let media = attempt
            .volumes
            .iter()
            .filter_map(|volume| self.library.volumes.get(volume));
        let records: Vec<_> = media.flatten().filter(|record| record.run == *id).collect();
        // Who did not hear that it was done has done it again, as another set.
        let expected: Vec<u64> = (0..RECORDS).collect();
        let is_whole = |set: Token| {
            let of_set = records.iter().filter(|record| record.set == set);
            of_set
                .map(|record| record.number)
                .eq(expected.iter().copied())
        };
        ensure!(
            records.iter().any(|record| is_whole(record.set)),
            "the volumes hold {records:?}\n{}",
            self.story(id)
        );
        Ok(())
    }
}
