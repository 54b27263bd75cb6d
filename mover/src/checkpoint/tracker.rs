//! Cursors of records in flight, and what the drive says of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use super::{Checkpoint, Cursor, RECORDS_PROVED};
use crate::drive::{Drive, DriveError};

/// How often checkpoints are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// Between two questions to the drive.
    pub checkpoint: Duration,
    /// Between two flushes, where the drive cannot say what it has written or
    /// says that it has written nothing.
    pub flush: Duration,
}

impl Default for Intervals {
    fn default() -> Intervals {
        Intervals {
            checkpoint: Duration::from_secs(10),
            flush: Duration::from_secs(120),
        }
    }
}

/// Records whose cursors are kept at most; then the drive has to say, or is
/// synchronised, whatever the intervals.
const MARKS_MAX: usize = 1 << 16;

/// A record that the drive has accepted.
#[derive(Debug)]
struct Mark {
    /// The block behind it.
    block: u64,
    crc: u32,
    /// `None` where the archive cannot go on at that boundary.
    cursor: Option<Cursor>,
}

/// Keeps the cursors of the records that a drive has accepted, in order, until
/// they are known to be on the medium.
#[derive(Debug)]
pub struct Tracker {
    intervals: Intervals,
    volume: u32,
    next_block: u64,
    marks: VecDeque<Mark>,
    /// Marks up to here are on the medium; those before the last
    /// [`RECORDS_PROVED`] of them are forgotten.
    proved: usize,
    asked: Instant,
    moved: Instant,
    frontier: u64,
    flushes: bool,
    newest: Option<Checkpoint>,
}

impl Tracker {
    /// A tracker of what is written from block `first_block` on, on the set's
    /// volume number `volume`.
    pub fn new(intervals: Intervals, volume: u32, first_block: u64) -> Tracker {
        let now = Instant::now();
        Tracker {
            intervals,
            volume,
            next_block: first_block,
            marks: VecDeque::new(),
            proved: 0,
            asked: now,
            moved: now,
            frontier: first_block,
            flushes: false,
            newest: None,
        }
    }

    /// The drive has accepted the next record.
    pub fn accepted(&mut self, crc: u32, cursor: Option<Cursor>) {
        self.next_block += 1;
        let block = self.next_block;
        self.marks.push_back(Mark { block, crc, cursor });
    }

    /// Takes a checkpoint, if it is time for one and the medium holds a newer
    /// one than before.
    ///
    /// # Errors
    /// The drive's.
    pub fn tick(&mut self, drive: &mut Drive) -> Result<Option<Checkpoint>, DriveError> {
        let now = Instant::now();
        let crowded = self.marks.len() >= MARKS_MAX;
        if now - self.asked < self.intervals.checkpoint && !crowded {
            return Ok(None);
        }
        self.asked = now;
        let told = drive.frontier()?.map(|frontier| frontier.first_unwritten);
        match told {
            Some(frontier) if frontier > self.frontier => {
                self.moved = now;
                Ok(self.on_medium(frontier))
            }
            _ if crowded || now - self.moved >= self.intervals.flush => {
                self.moved = now;
                self.flush(drive, told.is_some())
            }
            _ => Ok(None),
        }
    }

    /// Has the drive write all that it has accepted.
    fn flush(
        &mut self,
        drive: &mut Drive,
        can_tell: bool,
    ) -> Result<Option<Checkpoint>, DriveError> {
        if !std::mem::replace(&mut self.flushes, true) {
            let why = if can_tell {
                "says that nothing more has reached the medium"
            } else {
                "cannot say what has reached the medium"
            };
            log::warn!(
                "{}: the drive {why}: for checkpoints it is synchronised every {} s, which stops \
                 the tape",
                drive.label(),
                self.intervals.flush.as_secs_f64()
            );
        }
        drive.synchronize()?;
        Ok(self.on_medium(self.next_block))
    }

    /// The drive says that all before block `frontier` is on the medium: the
    /// newest checkpoint that this proves, if it is newer than before.
    pub fn on_medium(&mut self, frontier: u64) -> Option<Checkpoint> {
        self.frontier = self.frontier.max(frontier);
        let written = self.marks.partition_point(|mark| mark.block <= frontier);
        let newest = (self.proved..written).rfind(|&at| self.marks[at].cursor.is_some())?;
        let from = (newest + 1).saturating_sub(RECORDS_PROVED);
        let records = (from..=newest).map(|at| self.marks[at].crc).collect();
        let mark = &mut self.marks[newest];
        let checkpoint = Checkpoint {
            taken_ms: now_ms(),
            volume: self.volume,
            block: mark.block,
            records,
            cursor: mark.cursor.take()?,
            ended: false,
        };
        self.marks.drain(..from);
        self.proved = newest + 1 - from;
        self.newest = Some(checkpoint.clone());
        Some(checkpoint)
    }

    /// The newest checkpoint that the medium was found to hold.
    pub fn newest(&self) -> Option<&Checkpoint> {
        self.newest.as_ref()
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Place;

    fn cursor(offset: u64) -> Cursor {
        Cursor {
            offset,
            entries: offset,
            place: Place::Behind(b"x".to_vec()),
        }
    }

    fn tracker(records: u64) -> Tracker {
        let mut tracker = Tracker::new(Intervals::default(), 1, 100);
        for record in 1..=records {
            // Behind every third one nothing can go on.
            let cursor = (record % 3 != 0).then(|| cursor(record));
            tracker.accepted(record as u32, cursor);
        }
        tracker
    }

    #[test]
    fn nothing_is_reported_before_the_medium_holds_it() {
        let mut tracker = tracker(20);
        assert_eq!(tracker.on_medium(100), None);
        let checkpoint = tracker.on_medium(105).unwrap();
        assert_eq!((checkpoint.block, checkpoint.cursor), (105, cursor(5)));
        assert_eq!(checkpoint.records, [1, 2, 3, 4, 5]);
        assert_eq!(tracker.on_medium(105), None);
        // Behind the sixth record nothing can go on.
        assert_eq!(tracker.on_medium(106), None);
        let checkpoint = tracker.on_medium(111).unwrap();
        assert_eq!((checkpoint.block, checkpoint.cursor), (111, cursor(11)));
        assert_eq!(checkpoint.records, [4, 5, 6, 7, 8, 9, 10, 11]);
        // A drive that goes back in what it says proves nothing new.
        assert_eq!(tracker.on_medium(104), None);
        let checkpoint = tracker.on_medium(u64::MAX).unwrap();
        assert_eq!((checkpoint.block, checkpoint.cursor), (120, cursor(20)));
        assert_eq!(checkpoint.records, (13..=20).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_reported_is_forgotten_but_for_its_proof() {
        let mut tracker = tracker(1000);
        tracker.on_medium(1050).unwrap();
        assert_eq!(tracker.marks.len(), 50 + RECORDS_PROVED);
    }
}
