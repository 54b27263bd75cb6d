//! Verifying: a set is read back, and every digest is compared with the index.

use std::iter::Peekable;
use std::ops::ControlFlow;

use blake3::Hasher;
use longhaul_catalog::{EntryState, EntryType, Row, Rows};
use longhaul_format::archive::ParsedMember;

use super::JobError;
use super::adopt::Chosen;
use super::restore::start_of;
use super::session::Session;
use super::walkthrough::{self, Ended, Part, Reel, Visitor};
use crate::progress::Progress;
use crate::source::Problem;

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Members that are as the index says.
    pub members: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Records that came from the drive as its own checksums say, or `None` if
    /// it gives none.
    pub confirmed: Option<u64>,
    /// Files whose digest nobody knows.
    pub without_digest: u64,
    /// What differs from the index, or cannot be read.
    pub problems: Vec<Problem>,
    /// What is as the index says, and was damaged when it was backed up.
    pub damaged: Vec<Problem>,
}

/// Reads the whole set back.
///
/// # Errors
/// The drive's, the catalog's.
pub fn run(
    session: &mut Session,
    chosen: &Chosen,
    progress: &Progress,
) -> Result<Verified, JobError> {
    let pool = walkthrough::pool(&chosen.label)?;
    let mut verify = Verify {
        rows: chosen.file.iter().peekable(),
        parts: chosen.parts.clone(),
        current: None,
        hasher: Hasher::new(),
        done: Verified::default(),
        error: None,
        progress,
    };
    let confirmed_before = session.confirmed_blocks().unwrap_or(0);
    let parts = chosen.parts.clone();
    let mut reel = Reel { session, parts };
    let mut from = 0;
    loop {
        let ended = reel.walk(&pool, from, &mut verify, progress)?;
        if let Some(error) = verify.error {
            return Err(error);
        }
        let what = match ended {
            Ended::Stopped => {
                return Err(JobError::Unfinished(
                    "interrupted; nothing was changed".into(),
                ));
            }
            Ended::Damaged(error) => error.to_string(),
            Ended::Unreadable(error) => error.to_string(),
            Ended::Whole | Ended::Enough | Ended::Cut => "is not in the set on the tape".into(),
        };
        // The member that could not be read, or else the next one that was
        // due; then on with the one behind it.
        let lost = match verify.current.take() {
            Some(row) => Some(row),
            None => verify.rows.next().transpose()?,
        };
        let Some(row) = lost else { break };
        verify.problem(&row.path, &what);
        from = match verify.rows.peek() {
            Some(Ok(row)) => start_of(row, &verify.parts),
            Some(Err(_)) => 0,
            None => break,
        };
    }
    verify.done.confirmed = reel
        .session
        .confirmed_blocks()
        .map(|confirmed| confirmed - confirmed_before);
    Ok(verify.done)
}

struct Verify<'a> {
    rows: Peekable<Rows<'a>>,
    parts: Vec<Part>,
    current: Option<Row>,
    hasher: Hasher,
    done: Verified,
    error: Option<JobError>,
    progress: &'a Progress,
}

impl Verify<'_> {
    fn problem(&mut self, path: &[u8], what: &str) {
        self.done.problems.push(Problem::new(path, what));
    }
}

impl Visitor for Verify<'_> {
    fn member(&mut self, parsed: &ParsedMember) -> ControlFlow<()> {
        self.current = None;
        self.hasher.reset();
        loop {
            let start = match self.rows.peek() {
                Some(Ok(row)) => start_of(row, &self.parts),
                Some(Err(_)) => 0,
                // Members that no row is left for; the index ends earlier.
                None => return ControlFlow::Continue(()),
            };
            if start > parsed.start {
                // A member that a later one of the same path supersedes.
                return ControlFlow::Continue(());
            }
            let row = match self.rows.next().expect("peeked") {
                Ok(row) => row,
                Err(error) => {
                    self.error = Some(error.into());
                    return ControlFlow::Break(());
                }
            };
            if start == parsed.start && row.path == parsed.member.path {
                self.current = Some(row);
                return ControlFlow::Continue(());
            }
            self.problem(&row.path, "is not where the index says");
        }
    }

    fn data(&mut self, _offset: u64, bytes: &[u8]) {
        if self.current.is_some() {
            self.hasher.update(bytes);
        }
    }

    fn member_end(&mut self, _end: u64) -> ControlFlow<()> {
        let Some(row) = self.current.take() else {
            return ControlFlow::Continue(());
        };
        self.progress.member(row.size);
        let found = *self.hasher.finalize().as_bytes();
        match row.digest {
            Some(digest) if digest != found => {
                self.problem(
                    &row.path,
                    "its content differs from the digest in the index",
                );
                return ControlFlow::Continue(());
            }
            None if row.entry_type == EntryType::File && row.state == EntryState::Ok => {
                self.done.without_digest += 1;
            }
            _ => {}
        }
        if row.state == EntryState::Damaged {
            let what = "was already damaged when it was backed up";
            self.done.damaged.push(Problem::new(&row.path, what));
            return ControlFlow::Continue(());
        }
        self.done.members += 1;
        self.done.bytes += row.size;
        ControlFlow::Continue(())
    }
}
