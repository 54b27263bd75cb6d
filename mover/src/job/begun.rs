//! The file in the middle of which a set broke off.
//!
//! If it is as it was, it goes on in its middle. If it is not, a large one is
//! dropped: the archive goes on where it began. A small one may share a record
//! with others that are safe already, and a volume before this one has its end,
//! so there it stays: it is given up, filled up
//! with zeros, and stored again at once if it is still there; readers take the
//! later one.

use longhaul_format::archive::{LARGE, Layout, LayoutError, Part, Placement};
use longhaul_format::index::{EntryType, State, nanoseconds};

use crate::checkpoint::{Cursor, Inside, Place, Whole};
use crate::job::JobError;
use crate::pipeline::assemble::{Rest, headers_crc};
use crate::pipeline::entry::Extent;
use crate::pipeline::tree::Joined;
use crate::shown::Shown;
use crate::source::{Entry, Found, Source};

/// What the headers of a file say, for people, that was stored again.
const STORED_AGAIN: &str = "stored again: what comes before it broke off";

/// How a set goes on.
pub(super) struct Begun {
    /// The source, behind `first`.
    pub source: Source,
    /// From where.
    pub cursor: Cursor,
    /// The layout of what comes behind `rest`.
    pub layout: Layout,
    /// What is to be ended first.
    pub rest: Option<Rest>,
    /// What the source gave while it was asked.
    pub first: Vec<Found>,
    /// What is not as it was, for people.
    pub note: Option<String>,
}

/// Looks at the file at the cursor, if it stands in the middle of one. `gone`
/// is what is said of one that the source does not give.
///
/// # Errors
/// [`JobError::Medium`] if no archive can go on there.
pub(super) fn look(
    cursor: Cursor,
    mut source: Source,
    extent: &Extent,
    gone: &str,
) -> Result<Begun, JobError> {
    let record_bytes = extent.record_bytes;
    let layout = |at| match at {
        0 => Layout::new(record_bytes),
        at => Layout::resume(record_bytes, at),
    };
    let Cursor {
        offset,
        entries,
        place,
    } = cursor;
    let Place::Inside(inside) = place else {
        return Ok(Begun {
            layout: layout(offset).map_err(no_archive)?,
            cursor: Cursor {
                offset,
                entries,
                place,
            },
            rest: None,
            first: Vec::new(),
            note: None,
            source,
        });
    };
    let Inside { whole, joined } = *inside;
    let mut first = first_found(&mut source);
    let found = match first.pop() {
        Some(Found::Entry(mut entry)) if is_same(&entry, &whole) => {
            // One that was stored again says so in its headers.
            for comment in [None, Some(STORED_AGAIN.to_owned())] {
                entry.member.comment = comment;
                let headers = whole.data - whole.start;
                let within = Layout::within(record_bytes, &entry.member, whole.start, headers);
                if let Ok((layout, placement)) = within
                    && is_same_place(&placement, &whole)
                {
                    return Ok(go_on(
                        (offset, entries),
                        Inside { whole, joined },
                        layout,
                        placement,
                        *entry,
                        first,
                        source,
                    ));
                }
            }
            entry.member.comment = None;
            Some(Found::Entry(entry))
        }
        other => other,
    };
    let path = whole.entry.path.clone();
    let again = matches!(&found, Some(Found::Entry(entry))
        if entry.member.path.strip_suffix(b"/").unwrap_or(&entry.member.path) == path);
    first.extend(found);
    if whole.stored >= LARGE && whole.start >= extent.offset {
        let note = format!(
            "{}: {}; what was stored of it is dropped",
            Shown(&path),
            if again { why_again(&whole) } else { gone },
        );
        return Ok(Begun {
            layout: layout(whole.start).map_err(no_archive)?,
            cursor: Cursor {
                offset: whole.start,
                entries,
                place: Place::At(path),
            },
            rest: None,
            first,
            note: Some(note),
            source,
        });
    }
    let layout = layout(whole.end).map_err(no_archive)?;
    if again && let Some(Found::Entry(entry)) = first.last_mut() {
        entry.member.comment = Some(STORED_AGAIN.into());
    }
    Ok(give_up(
        (offset, entries),
        whole,
        (!again).then_some(gone),
        layout,
        first,
        source,
    ))
}

/// What the source gives up to its first entry.
fn first_found(source: &mut Source) -> Vec<Found> {
    let mut found = Vec::new();
    for next in source {
        let is_entry = matches!(next, Found::Entry(_));
        found.push(next);
        if is_entry {
            break;
        }
    }
    found
}

/// Whether nothing has changed the file since it was begun.
fn is_same(entry: &Entry, whole: &Whole) -> bool {
    let Entry { member, inode, .. } = entry;
    let then = &whole.entry;
    !whole.given_up
        && EntryType::from(&member.kind) == EntryType::File
        && member.path == then.path
        && nanoseconds(member.mtime) == then.mtime_ns
        && i128::from(inode.ctime_ns) == then.ctime_ns
        && (inode.dev, inode.ino) == (whole.dev, then.ino)
}

/// Whether the member would be stored just as it was: its headers (with its
/// size and its holes) are the same.
fn is_same_place(placement: &Placement, whole: &Whole) -> bool {
    (placement.data, placement.end) == (whole.data, whole.end)
        && headers_crc(placement) == whole.headers
}

/// Why a file that is still there does not go on in its middle.
fn why_again(whole: &Whole) -> &'static str {
    // Every file has an inode: only a checkpoint says which.
    if whole.entry.ino == 0 {
        "broke off behind the last checkpoint"
    } else {
        "was changed while the backup was interrupted"
    }
}

fn go_on(
    (offset, entries): (u64, u64),
    inside: Inside,
    layout: Layout,
    placement: Placement,
    entry: Entry,
    first: Vec<Found>,
    source: Source,
) -> Begun {
    let whole = inside.whole.clone();
    let damaged = whole.entry.state == State::Damaged;
    let what = "could not be read whole before the backup was interrupted";
    Begun {
        cursor: Cursor {
            offset,
            entries,
            place: Place::Inside(Box::new(inside)),
        },
        layout,
        rest: Some(Rest {
            placement,
            whole,
            source: Some(entry),
            problem: damaged.then(|| what.to_owned()),
        }),
        first,
        note: None,
        source,
    }
}

fn give_up(
    (offset, entries): (u64, u64),
    mut whole: Whole,
    gone: Option<&str>,
    layout: Layout,
    first: Vec<Found>,
    source: Source,
) -> Begun {
    let path = Shown(&whole.entry.path);
    let (state, note, problem) = match gone {
        None => {
            let note = format!("{path}: {}; stored again", why_again(&whole));
            (State::Superseded, Some(note), None)
        }
        Some(gone) => {
            let what = format!("{gone}; what was stored of it is filled up with zeros");
            (State::Damaged, None, Some(what))
        }
    };
    whole.given_up = true;
    whole.entry.state = state;
    let Whole {
        start, data, end, ..
    } = whole;
    let placement = Placement {
        start,
        data,
        end,
        parts: vec![Part::Zeros(end - start)],
    };
    Begun {
        cursor: Cursor {
            offset,
            entries,
            place: Place::Inside(Box::new(Inside {
                whole: whole.clone(),
                joined: Joined::default(),
            })),
        },
        layout,
        rest: Some(Rest {
            placement,
            whole,
            source: None,
            problem,
        }),
        first,
        note,
        source,
    }
}

fn no_archive(error: LayoutError) -> JobError {
    JobError::Medium(error.to_string())
}
