//! Members whose data is being read.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use longhaul_format::index::{Entry, State};
use longhaul_format::member::Time;

use crate::source::Problem;

/// A member that has been laid out and has not ended yet.
pub(super) struct InProgress {
    pub entry: Box<Entry>,
    pub file: Option<Arc<File>>,
    pub size: u64,
    pub mtime: Time,
    pub problem: Option<String>,
}

impl InProgress {
    /// The entry, and what went wrong. A file that was changed under the
    /// reader's eyes is found by asking once more for what the walk was told.
    pub fn finish(mut self) -> (Box<Entry>, Option<Problem>) {
        if self.problem.is_some() {
            self.entry.state = State::Damaged;
        } else if let Some(file) = &self.file {
            self.problem = self.changed(file);
        }
        let problem = self
            .problem
            .map(|what| Problem::new(&self.entry.path, what));
        (self.entry, problem)
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
}

impl Members {
    pub fn push(&mut self, member: InProgress) -> u64 {
        self.queue.push_back(member);
        self.first + self.queue.len() as u64 - 1
    }

    /// Notes what went wrong; the first word on it stands.
    pub fn damage(&mut self, number: u64, what: impl FnOnce() -> String) {
        let place = number
            .checked_sub(self.first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(member) = place.and_then(|place| self.queue.get_mut(place)) {
            member.problem.get_or_insert_with(what);
        }
    }

    /// Takes the oldest. Members end in the order in which they began.
    pub fn pop(&mut self) -> Option<InProgress> {
        let member = self.queue.pop_front()?;
        self.first += 1;
        Some(member)
    }
}
