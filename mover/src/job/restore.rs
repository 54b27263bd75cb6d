//! Restoring: rows of the catalog in the archive's order, members from the
//! tape, files below a directory.
//!
//! The catalog says where each member begins. Its rows come in the order of
//! paths, which is the archive's order, so the tape only ever goes forward:
//! members that lie close together are read in one go, and gaps are passed by
//! LOCATE.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::PathBuf;

use blake3::Hasher;
use longhaul_catalog::{EntryState, EntryType, Row, SetFile};
use longhaul_format::archive::ParsedMember;
use longhaul_format::member::{Kind, Member};

use super::adopt::Chosen;
use super::session::Session;
use super::walkthrough::{self, Ended, Part, Reel, Visitor};
use super::{JobError, chain};
use crate::progress::Progress;
use crate::restore::{Begun, Error, NewFile, Options as TargetOptions, Outcome, Overwrite, Target};
use crate::shown::Shown;
use crate::source::Problem;

/// Records that are rather read than passed by a LOCATE, which costs seconds on
/// a real drive.
const FAR_RECORDS: u64 = 64;

/// What is restored, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and directories with all below them; none means everything.
    pub paths: Vec<PathBuf>,
    /// The directory that stands for the root.
    pub to: PathBuf,
    /// What may be overwritten.
    pub overwrite: Overwrite,
}

/// What was restored.
#[derive(Debug, Default)]
pub struct Restored {
    /// Members in place.
    pub members: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// Members that were left out because of what was there.
    pub skipped: u64,
    /// Members without their owner, because only root can give files away.
    pub owners_left: u64,
    problems: Vec<Problem>,
}

/// Restores from a set. What is not as it was backed up is added to `problems`,
/// whether the restore comes to its end or not.
///
/// # Errors
/// [`JobError::Usage`] if nothing in the set matches; the drive's; what makes
/// going on useless (a full disk).
pub fn run(
    session: &mut Session,
    chosen: &Chosen,
    options: &Options,
    progress: &Progress,
    problems: &mut Vec<Problem>,
) -> Result<Restored, JobError> {
    let selection = Selection::new(&options.paths)?;
    selection.check(&chosen.file)?;
    std::fs::create_dir_all(&options.to).map_err(|error| {
        let to = options.to.display().to_string();
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => JobError::Usage(
                format!("{to}: that is no folder, and files are restored below one; name another"),
            ),
            _ => JobError::local(to, error),
        }
    })?;
    let target = Target::open(&options.to, TargetOptions::for_this_user(options.overwrite))
        .map_err(|error| JobError::Usage(error.to_string()))?;
    let pool = walkthrough::pool(&chosen.label)?;
    let mut restore = Restore {
        wanted: Wanted::new(chosen, selection.rows(&chosen.file)),
        target,
        current: Current::None,
        done: Restored::default(),
        later: Vec::new(),
        fatal: None,
        progress,
    };
    let result = restore.passes(session, chosen, &pool);
    let Restore {
        mut target,
        mut done,
        ..
    } = restore;
    // However it ended: directories get what is theirs.
    let counts = target.finish(&mut |warning| {
        done.problems.push(described(&[], &warning));
    });
    let synced = target.sync();
    problems.append(&mut done.problems);
    result?;
    synced.map_err(|error| cannot_go_on(&error))?;
    done.members = counts.restored;
    done.skipped = counts.skipped;
    done.owners_left = counts.owners_left;
    Ok(done)
}

/// The paths that were asked for, as the archive has them.
struct Selection {
    paths: BTreeSet<Vec<u8>>,
}

impl Selection {
    fn new(paths: &[PathBuf]) -> Result<Selection, JobError> {
        let paths = paths.iter().map(|path| super::convert::member_path(path));
        let mut paths: BTreeSet<Vec<u8>> = paths.collect::<Result<_, _>>()?;
        if paths.contains(&Vec::new()) || paths.is_empty() {
            paths = BTreeSet::from([Vec::new()]);
        }
        // What lies inside another is restored with it.
        let inside = |path: &[u8], outer: &[u8]| {
            path.len() > outer.len() && path.starts_with(outer) && path[outer.len()] == b'/'
        };
        let outer = paths.clone();
        paths.retain(|path| !outer.iter().any(|other| inside(path, other)));
        Ok(Selection { paths })
    }

    /// Every path must be there: a restore that silently lacks one is worse
    /// than none.
    fn check(&self, file: &SetFile) -> Result<(), JobError> {
        for path in &self.paths {
            if file.subtree(path).next().transpose()?.is_none() {
                let shown = Shown(path);
                return Err(JobError::Usage(format!("/{shown}: not in this set")));
            }
        }
        Ok(())
    }

    /// The rows, in the archive's order.
    fn rows<'a>(&'a self, file: &'a SetFile) -> Rows<'a> {
        // `a` is a file, and `a/` a directory, and `a.b` sorts between them.
        let mut paths: Vec<&Vec<u8>> = self.paths.iter().collect();
        let key = |path: &Vec<u8>| {
            let mut key = path.clone();
            if !matches!(file.get(path), Ok(Some(_))) {
                key.push(b'/');
            }
            key
        };
        paths.sort_by_cached_key(|path| key(path));
        let rows = paths.into_iter().flat_map(|path| file.subtree(path));
        // What came in its place has a row of its own.
        let counts =
            |row: &Result<Row, _>| !matches!(row, Ok(row) if row.state == EntryState::Superseded);
        Box::new(rows.filter(counts).map(|row| row.map_err(JobError::from)))
    }
}

type Rows<'a> = Box<dyn Iterator<Item = Result<Row, JobError>> + 'a>;

/// The rows still to come, by their place in the archive.
struct Wanted<'a> {
    rows: Peekable<Rows<'a>>,
    parts: Vec<Part>,
    record_bytes: u64,
}

impl<'a> Wanted<'a> {
    fn new(chosen: &Chosen, rows: Rows<'a>) -> Wanted<'a> {
        Wanted {
            rows: rows.peekable(),
            parts: chosen.parts.clone(),
            record_bytes: chosen.label.record_bytes,
        }
    }

    /// Where the next one begins.
    fn next_start(&mut self) -> Option<u64> {
        match self.rows.peek()? {
            Ok(row) => Some(start_of(row, &self.parts)),
            // Taken out by whoever asked, as soon as they look at it.
            Err(_) => Some(0),
        }
    }
}

/// The stream offset at which a row's member begins.
pub(super) fn start_of(row: &Row, parts: &[Part]) -> u64 {
    Reel::offset_of(parts, row.volume, row.block, row.offset)
}

/// What the restore target says of a member. Its words begin with the member's
/// path, as a problem's do when it is shown.
fn described(path: &[u8], error: &dyn std::error::Error) -> Problem {
    let words = chain(error);
    let path_shown = format!("{}: ", Shown(path));
    Problem::new(path, words.strip_prefix(&path_shown).unwrap_or(&words))
}

/// What happened is not one member's.
fn cannot_go_on(error: &Error) -> JobError {
    JobError::local(
        "restoring cannot go on",
        std::io::Error::other(chain(error)),
    )
}

/// A member of which nothing but its kind and path counts.
fn bare() -> Member {
    Member {
        path: Vec::new(),
        kind: Kind::Directory,
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: longhaul_format::member::Time::default(),
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
        comment: None,
    }
}

/// A hard link to a file that is restored under another link's path.
struct Link {
    link: Vec<u8>,
    first: Vec<u8>,
    row: Row,
}

enum Current {
    None,
    File {
        file: NewFile,
        hasher: Box<Hasher>,
        row: Box<Row>,
    },
}

struct Restore<'a> {
    wanted: Wanted<'a>,
    target: Target,
    current: Current,
    done: Restored,
    /// Hard links whose target is not part of this restore: link and target.
    later: Vec<(Vec<u8>, Vec<u8>)>,
    /// Why going on is useless.
    fatal: Option<JobError>,
    progress: &'a Progress,
}

impl<'a> Restore<'a> {
    fn passes(
        &mut self,
        session: &mut Session,
        chosen: &Chosen,
        pool: &longhaul_ffi::buffer::Pool,
    ) -> Result<(), JobError> {
        self.pass(session, chosen, pool)?;
        if !self.later.is_empty() {
            let links = self.queue_later(chosen)?;
            self.pass(session, chosen, pool)?;
            for Link { link, first, row } in links {
                let member = Member {
                    path: link,
                    kind: Kind::HardLink { target: first },
                    ..bare()
                };
                // A first link that failed was named; this one is named, too.
                if self.begin(row, &member).is_break() {
                    break;
                }
            }
            for (link, _) in std::mem::take(&mut self.later) {
                self.problem(&link, "what it links to was not restored".into());
            }
            if let Some(error) = self.fatal.take() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn pass(
        &mut self,
        session: &mut Session,
        chosen: &Chosen,
        pool: &longhaul_ffi::buffer::Pool,
    ) -> Result<(), JobError> {
        while let Some(from) = self.wanted.next_start() {
            if let Some(Err(_)) = self.wanted.rows.peek() {
                return self.wanted.rows.next().expect("peeked").map(|_| ());
            }
            let (progress, parts) = (self.progress, chosen.parts.clone());
            let ended = Reel { session, parts }.walk(pool, from, self, progress)?;
            // A member in the middle of which it ended is what was lost.
            let cut_short = self.give_up_current(&ended);
            if let Some(error) = self.fatal.take() {
                return Err(error);
            }
            match ended {
                _ if cut_short => {}
                Ended::Enough => {}
                Ended::Stopped => {
                    return Err(JobError::Unfinished(
                        "interrupted; what was restored so far is in place".into(),
                    ));
                }
                // What was expected behind this point is not there, or not to
                // be read: name the first, and try the next.
                Ended::Whole => self.lose_next("is not where the catalog says")?,
                Ended::Cut => self.lose_next("the set ends before it")?,
                Ended::Damaged(error) => self.lose_next(&error.to_string())?,
                Ended::Unreadable(error) => self.lose_next(&error.to_string())?,
            }
        }
        Ok(())
    }

    fn lose_next(&mut self, what: &str) -> Result<(), JobError> {
        if let Some(row) = self.wanted.rows.next().transpose()? {
            self.problem(&row.path, what.to_owned());
        }
        Ok(())
    }

    /// Has the targets of hard links read once more, each for the first link to
    /// it; returns the other links, with the first one of each.
    fn queue_later(&mut self, chosen: &Chosen) -> Result<Vec<Link>, JobError> {
        let mut first: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let (mut rows, mut links) = (Vec::new(), Vec::new());
        for (link, target) in std::mem::take(&mut self.later) {
            match chosen.file.get(&target)? {
                Some(mut row) if row.entry_type == EntryType::File => {
                    if let Some(first) = first.get(&target) {
                        let first = first.clone();
                        links.push(Link { link, first, row });
                    } else {
                        first.insert(target, link.clone());
                        row.path = link;
                        rows.push(row);
                    }
                }
                _ => self.problem(
                    &link,
                    "the file that it is a link to is not in the set".into(),
                ),
            }
        }
        rows.sort_by_key(|row| (row.volume, row.block, row.offset));
        let rows: Vec<Result<Row, JobError>> = rows.into_iter().map(Ok).collect();
        self.wanted = Wanted::new(chosen, Box::new(rows.into_iter()));
        Ok(links)
    }

    fn problem(&mut self, path: &[u8], what: String) {
        self.done.problems.push(Problem::new(path, what));
    }

    /// Whether a file was in the middle of being restored.
    fn give_up_current(&mut self, ended: &Ended) -> bool {
        let Current::File { file, row, .. } = std::mem::replace(&mut self.current, Current::None)
        else {
            return false;
        };
        self.target.abandon(file);
        let why = match ended {
            Ended::Unreadable(error) => error.to_string(),
            Ended::Damaged(error) => error.to_string(),
            _ => "the set ends in the middle of it".into(),
        };
        self.problem(&row.path, format!("not restored: {why}"));
        true
    }

    fn failed(&mut self, path: &[u8], error: Error) -> ControlFlow<()> {
        if error.ends_restore() {
            self.fatal = Some(cannot_go_on(&error));
            return ControlFlow::Break(());
        }
        self.done.problems.push(described(path, &error));
        ControlFlow::Continue(())
    }

    fn outcome(&mut self, row: &Row, outcome: Outcome) {
        let Outcome::Restored(warnings) = outcome else {
            return;
        };
        self.done.bytes += row.size;
        for warning in warnings {
            self.done.problems.push(described(&row.path, &warning));
        }
        if row.state == EntryState::Damaged {
            self.problem(
                &row.path,
                "was already damaged when it was backed up".into(),
            );
        }
        self.progress.member(row.size);
    }

    fn begin(&mut self, row: Row, member: &Member) -> ControlFlow<()> {
        match self.target.begin(member) {
            Ok(Begun::Content(file)) => {
                let (hasher, row) = (Box::new(Hasher::new()), Box::new(row));
                self.current = Current::File { file, hasher, row };
                ControlFlow::Continue(())
            }
            Ok(Begun::Done(outcome)) => {
                self.outcome(&row, outcome);
                ControlFlow::Continue(())
            }
            Err(Error::LinkTargetMissing { path, target }) => {
                self.later.push((path, target));
                ControlFlow::Continue(())
            }
            Err(error) => self.failed(&row.path, error),
        }
    }

    /// Whether the next row lies so far on that the tape should be moved.
    fn next_is_far(&mut self, here: u64) -> bool {
        let far = FAR_RECORDS * self.wanted.record_bytes;
        self.wanted
            .next_start()
            .is_none_or(|next| next < here || next - here > far)
    }
}

impl Visitor for Restore<'_> {
    fn member(&mut self, parsed: &ParsedMember) -> ControlFlow<()> {
        loop {
            let Some(next) = self.wanted.next_start() else {
                return ControlFlow::Break(());
            };
            if next > parsed.start {
                return ControlFlow::Continue(());
            }
            let row = match self.wanted.rows.next() {
                Some(Ok(row)) => row,
                Some(Err(error)) => {
                    self.fatal = Some(error);
                    return ControlFlow::Break(());
                }
                None => return ControlFlow::Break(()),
            };
            if next < parsed.start {
                self.problem(&row.path, "is not where the catalog says".into());
                continue;
            }
            if parsed.member.path == row.path {
                return self.begin(row, &parsed.member);
            }
            if matches!(parsed.member.kind, Kind::File { .. }) && row.entry_type == EntryType::File
            {
                // The target of a hard link, for the link.
                let member = Member {
                    path: row.path.clone(),
                    ..parsed.member.clone()
                };
                return self.begin(row, &member);
            }
            self.problem(
                &row.path,
                "another member is where the catalog says it is".into(),
            );
        }
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) {
        if let Current::File { file, hasher, .. } = &mut self.current {
            hasher.update(bytes);
            if let Err(error) = file.data(offset, bytes) {
                let Current::File { file, row, .. } =
                    std::mem::replace(&mut self.current, Current::None)
                else {
                    return;
                };
                self.target.abandon(file);
                // If it ends the restore, the member's end will see to it.
                let _ = self.failed(&row.path, error);
            }
        }
    }

    fn member_end(&mut self, end: u64) -> ControlFlow<()> {
        if let Current::File { file, hasher, row } =
            std::mem::replace(&mut self.current, Current::None)
        {
            let found = *hasher.finalize().as_bytes();
            if row.digest.is_some_and(|digest| digest != found) {
                // What is wrong never takes the place of what is there.
                self.target.abandon(file);
                let what = "not restored: its content differs from the digest in the index";
                self.problem(&row.path, what.into());
                return if self.next_is_far(end) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                };
            }
            match self.target.end(file) {
                Ok(outcome) => self.outcome(&row, outcome),
                Err(error) => self.failed(&row.path, error)?,
            }
        }
        if self.fatal.is_some() || self.next_is_far(end) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
