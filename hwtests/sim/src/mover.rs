//! The process of an attempt: it writes a run's records, one a step.

use std::collections::BTreeMap;

use longhaul_protocol::job::Kind;
use longhaul_protocol::order::{Start, Stop};
use longhaul_protocol::report::{Fault, Outcome, Point, SetDone};
use longhaul_protocol::run::Token;
use longhaul_protocol::{ExitStatus, Name, RunId, Time};
use uuid::Uuid;

use crate::tape::{Library, Record, Refused};

/// Records of a run's archive.
pub const RECORDS: u64 = 25;
/// Records between two checkpoints.
const INTERVAL: u64 = 3;
/// What a checkpoint adds to the journal, in bytes.
const JOURNAL_BYTES: u64 = 100;

/// The catalog's file of a set.
pub const SET_FILE: &[u8] = &[7; 700];

/// What is said of a cartridge that does not take what it should.
pub const BAD: &str = "a medium error";
const NO_PATH: &str = "no path";

/// What a journal says: all its points, oldest first, and which of the run's
/// sets it is of.
#[derive(Debug, Clone, Default)]
pub struct Journal(pub Vec<Point>, Token);

impl Journal {
    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let record = |point: &Point| {
            let mut record = point.volume.as_bytes().to_vec();
            record.extend(point.block.to_be_bytes());
            record.extend(point.members.to_be_bytes());
            record.extend(u64::from(self.1.0).to_be_bytes());
            record.resize(JOURNAL_BYTES as usize, 0);
            record
        };
        self.0.iter().flat_map(record).collect()
    }

    /// What a file says that may be cut anywhere.
    pub fn of(bytes: &[u8]) -> Journal {
        let records = (1u64..).zip(bytes.chunks_exact(JOURNAL_BYTES as usize));
        let number = |bytes: &[u8]| -> u64 {
            let digits = bytes.iter();
            digits.fold(0, |n, byte| n << 8 | u64::from(*byte))
        };
        let point = |(count, record): (u64, &[u8])| Point {
            taken: Time(0),
            volume: Uuid::from_slice(&record[..16]).unwrap_or_default(),
            block: number(&record[16..24]),
            members: number(&record[24..32]),
            bytes: number(&record[24..32]),
            journal_bytes: count * JOURNAL_BYTES,
        };
        let set = Token(bytes.get(32..40).map_or(0, number) as u32);
        Journal(records.map(point).collect(), set)
    }
}

/// A process.
#[derive(Debug)]
pub struct Mover {
    node: Name,
    start: Start,
    /// Its journal.
    pub journal: Journal,
    stage: Stage,
    stop: Option<Stop>,
    /// Until when it is in the middle of something that takes long.
    busy_until: u64,
}

#[derive(Debug)]
enum Stage {
    Begins,
    Writes {
        /// Which of the volumes.
        volume: usize,
        /// Records before the next on that volume.
        block: u64,
        /// The next record of the archive.
        number: u64,
        /// Block and record behind each record that a checkpoint may name.
        marks: BTreeMap<u64, u64>,
        since: u64,
    },
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    /// It goes on.
    On,
    /// It has taken a checkpoint.
    Reached(Point),
    /// It is over.
    Ended(Box<Outcome>, Option<Point>),
}

impl Mover {
    /// The process of an attempt, with the journal that it goes on with.
    pub fn new(node: Name, start: Start, mut carried: Journal) -> Mover {
        if carried.0.is_empty() {
            carried.1 = start.token;
        }
        Mover {
            node,
            start,
            journal: carried,
            stage: Stage::Begins,
            stop: None,
            busy_until: 0,
        }
    }

    /// Where it runs.
    pub fn node(&self) -> &Name {
        &self.node
    }

    /// The order that it carries out.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// It is told to end.
    pub fn stop(&mut self, how: Stop) {
        // Who is to end at once need not reach a checkpoint.
        if self.stop != Some(Stop::Now) {
            self.stop = Some(how);
        }
    }

    /// It does nothing else until then, and hears nothing but that it is to end at once.
    pub fn is_busy_until(&mut self, until: u64) {
        self.busy_until = until;
    }

    /// Whether that lasts.
    pub fn is_busy(&self, now: u64) -> bool {
        now < self.busy_until && self.stop != Some(Stop::Now)
    }

    /// Whether it was told to end.
    pub fn is_told(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether it holds its drive.
    pub fn holds(&self, library: &Library) -> bool {
        let holder = library
            .drives
            .get(&self.start.drive)
            .and_then(|d| d.holder.as_ref());
        holder.is_some_and(|(_, token)| *token == self.start.token)
    }

    /// A step of its work.
    pub fn step(&mut self, now: Time, library: &mut Library) -> Step {
        let mut step = self.any_step(now, library);
        if let Step::Ended(outcome, None) = &mut step {
            outcome.wrote_nothing = !matches!(self.stage, Stage::Writes { .. });
        }
        step
    }

    fn any_step(&mut self, now: Time, library: &mut Library) -> Step {
        match self.try_step(now, library) {
            Ok(step) => step,
            Err(Refused::Conflict) => {
                library.release(&self.start.drive, self.start.token);
                ended(outcome(now, ExitStatus::Held, "held by another"), None)
            }
            Err(Refused::Broken) => ended(
                outcome(now, ExitStatus::Device, "the drive is broken"),
                None,
            ),
            Err(Refused::NoPath) => {
                let mut end = outcome(now, ExitStatus::Device, NO_PATH);
                end.faults.push(Fault::Path(NO_PATH.into()));
                ended(end, None)
            }
            Err(Refused::Full) => self.full(now, library),
            Err(Refused::Medium(volume)) => {
                if let Stage::Writes { volume: used, .. } = &self.stage
                    && self.start.volumes.len() > used + 1
                {
                    return self.full(now, library);
                }
                let mut end = outcome(now, ExitStatus::Device, BAD);
                end.faults.push(Fault::Either(volume, BAD.into()));
                ended(end, None)
            }
            Err(Refused::Unfinished) => {
                library.release(&self.start.drive, self.start.token);
                let mut end = outcome(now, ExitStatus::Operator, "behind an unfinished set");
                end.needs_volume = true;
                ended(end, None)
            }
            Err(Refused::Elsewhere(volume, other)) => {
                library.release(&self.start.drive, self.start.token);
                ended(is_elsewhere(now, volume, other), None)
            }
        }
    }

    fn try_step(&mut self, now: Time, library: &mut Library) -> Result<Step, Refused> {
        let (drive, token) = (self.start.drive.clone(), self.start.token);
        if self.stop == Some(Stop::Now) {
            return Ok(ended(outcome(now, ExitStatus::Unfinished, "stopped"), None));
        }
        let Stage::Writes {
            volume,
            block,
            number,
            marks,
            since,
        } = &mut self.stage
        else {
            if let Kind::Unload(volume) = self.start.work.kind {
                library.reserve(&drive, &self.node, token, &self.start.preempts)?;
                library.unload(&drive, token, volume)?;
                library.release(&drive, token);
                return Ok(ended(Outcome::done(now), None));
            }
            return self.begin(library).map(|()| Step::On);
        };
        if *number == RECORDS {
            library.flush(&drive, token)?;
            library.release(&drive, token);
            let set = SetDone {
                uuid: Uuid::nil(),
                parts: Vec::new(),
                record_bytes: 1,
                host: self.node.to_string(),
                started: now,
                members: RECORDS,
                bytes: RECORDS,
                damaged: 0,
                file_bytes: SET_FILE.len() as u64,
            };
            let done = Outcome {
                set: Some(set),
                ..Outcome::done(now)
            };
            return Ok(ended(done, None));
        }
        let stops = self.stop.is_some();
        if stops {
            library.flush(&drive, token)?;
        } else {
            let record = Record {
                run: self.start.attempt.run.clone(),
                set: self.journal.1,
                number: *number,
            };
            library.write(&drive, token, *block, record)?;
            (*block, *number, *since) = (*block + 1, *number + 1, *since + 1);
            marks.insert(*block, *number);
        }
        let mut point = None;
        if stops || *since >= INTERVAL {
            *since = 0;
            let volume = self.start.volumes[*volume].uuid;
            let frontier = library.frontier(&drive, token)?;
            let newest = marks.range(..=frontier).next_back();
            let newest = newest.map(|(block, number)| (*block, *number));
            point = newest.map(|(block, number)| self.note(now, volume, block, number));
        }
        Ok(match (stops, point) {
            (true, point) => {
                library.release(&drive, token);
                ended(
                    outcome(now, ExitStatus::Unfinished, "stopped at a checkpoint"),
                    point,
                )
            }
            (false, Some(point)) => Step::Reached(point),
            (false, None) => Step::On,
        })
    }

    /// Takes the drive, and finds the newest checkpoint that holds.
    fn begin(&mut self, library: &mut Library) -> Result<(), Refused> {
        let Start {
            drive,
            token,
            preempts,
            elsewhere,
            volumes,
            attempt,
            ..
        } = &self.start;
        library.reserve(drive, &self.node, *token, preempts)?;
        library.fence(&self.node, elsewhere);
        while let Some(point) = self.journal.0.last() {
            let volume = volumes
                .iter()
                .position(|volume| volume.uuid == point.volume);
            let Some(volume) = volume else {
                self.journal.0.pop();
                continue;
            };
            library.load(drive, *token, point.volume)?;
            library.flush(drive, *token)?;
            // It had come to its end, and nobody was told: others may have written
            // behind it since.
            let set = self.journal.1;
            let is_ours = |r: &Record| r.run == attempt.run && r.set == set;
            let is_last = |r: &Record| is_ours(r) && r.number + 1 == RECORDS;
            // To be looked at, they come out of other drives.
            for volume in volumes {
                library.settle_volume(volume.uuid);
            }
            let of_set = volumes.iter().filter_map(|v| library.volumes.get(&v.uuid));
            if of_set.flatten().any(is_last) {
                self.stage = Stage::Writes {
                    volume,
                    block: point.block,
                    number: RECORDS,
                    marks: BTreeMap::new(),
                    since: 0,
                };
                return Ok(());
            }
            let medium = library.volumes.get(&point.volume);
            let before = point
                .block
                .checked_sub(1)
                .and_then(|at| usize::try_from(at).ok());
            let record = medium.zip(before).and_then(|(medium, at)| medium.get(at));
            let holds = record.is_some_and(|r| is_ours(r) && r.number + 1 == point.members);
            if holds {
                self.stage = Stage::Writes {
                    volume,
                    block: point.block,
                    number: point.members,
                    marks: BTreeMap::new(),
                    since: 0,
                };
                return Ok(());
            }
            self.journal.0.pop();
        }
        // Behind the last set that is whole: what is left of this run's is
        // written over.
        let volume = volumes[0].uuid;
        library.load(drive, *token, volume)?;
        library.flush(drive, *token)?;
        let block = free_block(library, volume, &attempt.run)?;
        self.stage = Stage::Writes {
            volume: 0,
            block,
            number: 0,
            marks: BTreeMap::new(),
            since: 0,
        };
        Ok(())
    }

    fn note(&mut self, now: Time, volume: Uuid, block: u64, number: u64) -> Point {
        let before = self.journal.0.last().map_or(0, |last| last.journal_bytes);
        let point = Point {
            taken: now,
            volume,
            block,
            members: number,
            bytes: number,
            journal_bytes: before + JOURNAL_BYTES,
        };
        self.journal.0.push(point.clone());
        point
    }

    /// The volume is full: on to the next, or an end that says so.
    fn full(&mut self, now: Time, library: &mut Library) -> Step {
        let (drive, token) = (self.start.drive.clone(), self.start.token);
        let Stage::Writes { volume, .. } = &self.stage else {
            return ended(
                outcome(now, ExitStatus::Device, "full at its beginning"),
                None,
            );
        };
        let volume = *volume;
        if library.flush(&drive, token).is_err() {
            return ended(outcome(now, ExitStatus::Held, "held by another"), None);
        }
        let Stage::Writes { block, number, .. } = self.stage else {
            return Step::On;
        };
        let point =
            (number > 0).then(|| self.note(now, self.start.volumes[volume].uuid, block, number));
        if let Some(next) = self.start.volumes.get(volume + 1) {
            let next = next.uuid;
            let loaded = library.load(&drive, token, next);
            let run = &self.start.attempt.run;
            return match loaded.and_then(|()| free_block(library, next, run)) {
                Ok(block) => {
                    self.stage = Stage::Writes {
                        volume: volume + 1,
                        block,
                        number,
                        marks: BTreeMap::new(),
                        since: 0,
                    };
                    point.map_or(Step::On, Step::Reached)
                }
                Err(Refused::Unfinished) => {
                    library.release(&drive, token);
                    let mut end = outcome(now, ExitStatus::Operator, "behind an unfinished set");
                    end.needs_volume = true;
                    ended(end, point)
                }
                Err(Refused::Elsewhere(volume, other)) => {
                    library.release(&drive, token);
                    ended(is_elsewhere(now, volume, other), point)
                }
                Err(_) => {
                    library.release(&drive, token);
                    ended(
                        outcome(now, ExitStatus::Held, "the next volume is elsewhere"),
                        point,
                    )
                }
            };
        }
        library.release(&drive, token);
        let mut end = outcome(now, ExitStatus::Operator, "full");
        end.needs_volume = true;
        ended(end, point)
    }
}

/// Where a run's part begins on a volume: behind the last set, if that is whole,
/// and where that begins, if it is the run's.
fn free_block(library: &mut Library, volume: Uuid, run: &RunId) -> Result<u64, Refused> {
    let medium = library.volumes.entry(volume).or_default();
    let Some(last) = medium.last().filter(|last| last.number + 1 != RECORDS) else {
        return Ok(medium.len() as u64);
    };
    if last.run != *run {
        return Err(Refused::Unfinished);
    }
    let is_of_it = |record: &&Record| record.run == last.run && record.set == last.set;
    let of_it = medium.iter().rev().take_while(is_of_it).count();
    Ok((medium.len() - of_it) as u64)
}

fn ended(outcome: Outcome, point: Option<Point>) -> Step {
    Step::Ended(Box::new(outcome), point)
}

fn outcome(now: Time, exit: ExitStatus, why: &str) -> Outcome {
    Outcome::without_set(exit, why, now)
}

fn is_elsewhere(now: Time, volume: Uuid, drive: Name) -> Outcome {
    let why = "the volume is in a drive that cannot be unloaded from here";
    let mut end = outcome(now, ExitStatus::Device, why);
    end.faults.push(Fault::Elsewhere(volume, drive));
    end
}
