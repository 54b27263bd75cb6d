//! Members whose data is being read.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use longhaul_format::index::{Entry, State};
use longhaul_format::member::Time;

use super::record::Ended;
use crate::source::Problem;

/// A member that has been laid out and has not ended yet.
pub(super) struct InProgress {
    pub entry: Box<Entry>,
    pub file: Option<Arc<File>>,
    pub size: u64,
    pub mtime: Time,
    pub problem: Option<String>,
    /// Whether it was given up, and only filled up.
    pub given_up: bool,
    /// Reads in flight.
    pub reads: u32,
    /// Whether all its reads were queued.
    pub laid_out: bool,
}

impl InProgress {
    /// Closes the file once all of it was read. One that was changed under the
    /// reader's eyes is found by asking once more for what the walk was told.
    fn close_if_read(&mut self) -> bool {
        if !self.laid_out || self.reads > 0 {
            return false;
        }
        let Some(file) = self.file.take() else {
            return false;
        };
        if self.problem.is_some() {
            self.entry.state = State::Damaged;
        } else {
            self.problem = self.changed(&file);
        }
        true
    }

    /// The member that has ended, and what went wrong.
    pub fn finish(mut self) -> (Ended, Option<Problem>) {
        self.close_if_read();
        let problem = self
            .problem
            .map(|what| Problem::new(&self.entry.path, what));
        let ended = Ended {
            entry: self.entry,
            given_up: self.given_up,
        };
        (ended, problem)
    }

    fn changed(&self, file: &File) -> Option<String> {
        let Ok(stat) = rustix::fs::fstat(file) else {
            return None;
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        if size > self.size {
            return Some(format!(
                "grew from {} to {size} bytes while it was read; the first {} are stored",
                self.size, self.size
            ));
        }
        let mtime = Time {
            seconds: stat.st_mtime,
            nanoseconds,
        };
        (mtime != self.mtime || size != self.size)
            .then(|| "changed while it was read; what is stored may mix old and new".to_owned())
    }
}

/// The members in progress, in the archive's order, by running number.
#[derive(Default)]
pub(super) struct Members {
    first: u64,
    queue: VecDeque<InProgress>,
    open_files: usize,
}

impl Members {
    pub fn push(&mut self, member: InProgress) -> u64 {
        self.open_files += usize::from(member.file.is_some());
        self.queue.push_back(member);
        self.first + self.queue.len() as u64 - 1
    }

    /// Notes what went wrong; the first word on it stands.
    pub fn damage(&mut self, number: u64, what: impl FnOnce() -> String) {
        if let Some(member) = self.get(number) {
            member.problem.get_or_insert_with(what);
        }
    }

    /// Whether something went wrong with it so far.
    pub fn is_damaged(&mut self, number: u64) -> bool {
        self.get(number)
            .is_some_and(|member| member.problem.is_some())
    }

    /// A read of the member's data was queued.
    pub fn reading(&mut self, number: u64) {
        if let Some(member) = self.get(number) {
            member.reads += 1;
        }
    }

    /// A read has ended.
    pub fn read(&mut self, number: u64) {
        self.update(number, |member| member.reads -= 1);
    }

    /// All reads of the member were queued.
    pub fn laid_out(&mut self, number: u64) {
        self.update(number, |member| member.laid_out = true);
    }

    /// Files that are held open.
    pub fn open_files(&self) -> usize {
        self.open_files
    }

    fn update(&mut self, number: u64, change: impl FnOnce(&mut InProgress)) {
        if let Some(member) = self.get(number) {
            change(member);
            self.open_files -= usize::from(member.close_if_read());
        }
    }

    fn get(&mut self, number: u64) -> Option<&mut InProgress> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(place)
    }

    /// Takes the oldest. Members end in the order in which they began.
    pub fn pop(&mut self) -> Option<InProgress> {
        let member = self.queue.pop_front()?;
        self.first += 1;
        Some(member)
    }
}
