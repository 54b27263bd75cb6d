//! What an archive holds, found by reading it: for a set that has no index.

use std::ops::ControlFlow;

use blake3::Hasher;
use longhaul_format::archive::ParsedMember;
use longhaul_format::index::{Entry, EntryType};
use longhaul_format::label::Label;
use longhaul_format::ustar::BLOCK;

use super::JobError;
use super::session::Session;
use super::volume::TapeSet;
use super::walkthrough::{self, Ended, Reel, Visitor};
use crate::checkpoint::Whole;
use crate::pipeline::entry::{Extent, Totals, index_entry};
use crate::progress::Progress;
use crate::source::Inode;

const BLOCK_BYTES: u64 = BLOCK as u64;

/// Reads an archive and makes an index entry of each member that is whole.
/// What only the source knew (inode, change time) is not in the archive.
pub struct Survey<F> {
    extent: Extent,
    each: F,
    current: Option<(Whole, Box<Hasher>)>,
    totals: Totals,
    end: u64,
    error: Option<JobError>,
}

impl<F, E> Survey<F>
where
    F: FnMut(Entry) -> Result<(), E>,
    E: Into<JobError>,
{
    /// A survey that hands each entry to `each`.
    pub fn new(label: &Label, set: &TapeSet, each: F) -> Survey<F> {
        Survey {
            extent: set.extent(label.record_bytes),
            each,
            current: None,
            totals: Totals::default(),
            end: 0,
            error: None,
        }
    }

    /// Reads what of the archive is on this volume, to its end or to where it
    /// breaks off.
    ///
    /// # Errors
    /// The drive's, and what `each` answers.
    pub fn run(
        &mut self,
        session: &mut Session,
        label: &Label,
        progress: &Progress,
    ) -> Result<Ended, JobError> {
        let pool = walkthrough::pool(label)?;
        let from = self.extent.offset;
        let ended = Reel::here(session, self.extent).walk(&pool, from, self, progress)?;
        match (self.error.take(), ended) {
            (Some(error), _) => Err(error),
            (None, Ended::Stopped) => Err(JobError::Unfinished("interrupted".into())),
            (None, ended) => Ok(ended),
        }
    }

    /// What was counted.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The member of which only the beginning is there.
    pub fn begun(&mut self) -> Option<Whole> {
        self.current.take().map(|(whole, _)| whole)
    }

    /// The stream offset behind the last whole member; 0 if there is none.
    pub fn end(&self) -> u64 {
        self.end
    }
}

impl<F, E> Visitor for Survey<F>
where
    F: FnMut(Entry) -> Result<(), E>,
    E: Into<JobError>,
{
    fn member(&mut self, parsed: &ParsedMember) -> ControlFlow<()> {
        let inode = Inode {
            nlink: 1,
            ..Inode::default()
        };
        let entry = index_entry(&parsed.member, &inode, &self.extent, parsed.start);
        let whole = Whole {
            entry,
            dev: 0,
            start: parsed.start,
            data: parsed.data,
            end: parsed.data + parsed.stored.next_multiple_of(BLOCK_BYTES),
            stored: parsed.stored,
            headers: 0,
            given_up: false,
        };
        self.current = Some((whole, Box::default()));
        ControlFlow::Continue(())
    }

    fn data(&mut self, _offset: u64, bytes: &[u8]) {
        if let Some((_, hasher)) = &mut self.current {
            hasher.update(bytes);
        }
    }

    fn member_end(&mut self, end: u64) -> ControlFlow<()> {
        self.end = end;
        let Some((Whole { mut entry, .. }, hasher)) = self.current.take() else {
            return ControlFlow::Continue(());
        };
        if entry.kind == EntryType::File {
            entry.blake3 = Some(*hasher.finalize().as_bytes());
        }
        self.totals.count(&entry);
        match (self.each)(entry) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error.into());
                ControlFlow::Break(())
            }
        }
    }
}
