//! From entries to complete records: layout first, reading second.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;
use longhaul_ffi::buffer::{ALIGNMENT, Pool, Span};
use longhaul_ffi::ring::{Done, Ring};
use longhaul_format::archive::{Layout, LayoutError, Part, Placement, SetHead};
use longhaul_format::index::Entry as IndexEntry;
use longhaul_format::member::{Kind, Member};
use thiserror::Error;

use super::entry::index_entry;
use super::members::{InProgress, Members};
use super::record::{Piece, Record};
use crate::progress::Progress;
use crate::source::{Entry, Problem};

/// Reads in flight: enough to fill a disk's queue with small files.
const READS: u32 = 512;

/// Reads that are queued before the kernel is told: neighbours on the disk
/// become one request.
const SUBMIT_EVERY: usize = 64;

/// Why assembling stopped.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// The job was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Whoever takes the records is gone; the reason is theirs to tell.
    #[error("the drive takes no more records")]
    Stopped,
    /// The kernel's interface for reading failed.
    #[error("reading through io_uring failed: {0}")]
    Ring(#[source] io::Error),
    /// A member that the archive cannot hold.
    #[error(transparent)]
    Layout(LayoutError),
}

/// What a read in flight is for.
#[derive(Debug)]
struct Tag {
    record: u64,
    member: u64,
    offset: u64,
    /// Where what a direct read leaves is read, if that is not the file itself.
    through_cache: Option<Arc<File>>,
}

/// The content of the file that is being laid out.
struct Content {
    file: Arc<File>,
    direct: Option<Arc<File>>,
}

impl Content {
    /// How much of a read of `len` bytes at `offset`, to `at` in its record,
    /// can be direct: what is aligned on all sides.
    fn direct_len(&self, offset: u64, at: usize, len: usize) -> usize {
        let aligned = offset.is_multiple_of(ALIGNMENT as u64) && at.is_multiple_of(ALIGNMENT);
        if self.direct.is_some() && aligned {
            len / ALIGNMENT * ALIGNMENT
        } else {
            0
        }
    }
}

/// A record that is being laid out or read.
struct Filling {
    /// What is not laid out yet; empty, and still the claim on the buffer, when
    /// the record is full.
    rest: Span,
    reads: u32,
    pieces: Vec<Laid>,
}

/// A run of file data in a record that is being laid out, or a member's end.
struct Laid {
    range: std::ops::Range<usize>,
    start: u64,
    total: u64,
    ends: bool,
}

/// Lays members out and has their data read into records, which go to `out` in
/// order.
pub struct Assembler<'a> {
    layout: Layout,
    record_bytes: usize,
    /// Tape block of the archive's first record.
    first_block: u64,
    pool: Pool,
    ring: Ring<Tag>,
    queued: usize,
    filling: VecDeque<Filling>,
    /// The running number of the oldest record in `filling`.
    oldest: u64,
    members: Members,
    open_files_max: usize,
    links: HashMap<(u64, u64), Vec<u8>>,
    out: Sender<Record>,
    progress: &'a Progress,
    /// What went wrong with files, one by one.
    pub problems: Vec<Problem>,
}

impl<'a> Assembler<'a> {
    /// An assembler of one archive that begins at `layout`'s offset, whose
    /// offset 0 lies in tape block `first_block`.
    ///
    /// # Errors
    /// Where io_uring is missing or forbidden.
    pub fn new(
        layout: Layout,
        record_bytes: usize,
        first_block: u64,
        pool: Pool,
        out: Sender<Record>,
        progress: &'a Progress,
    ) -> Result<Assembler<'a>, AssembleError> {
        let mut ring = Ring::new(READS).map_err(AssembleError::Ring)?;
        if let Err(error) = ring.register(&pool) {
            log::debug!("reading without registered buffers: {error}");
        }
        Ok(Assembler {
            layout,
            record_bytes,
            first_block,
            pool,
            ring,
            queued: 0,
            filling: VecDeque::new(),
            oldest: 0,
            members: Members::default(),
            open_files_max: crate::source::open_files() / 4,
            links: HashMap::new(),
            out,
            progress,
            problems: Vec::new(),
        })
    }

    /// Writes the archive's head.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub fn begin(&mut self, head: &SetHead) -> Result<(), AssembleError> {
        let placement = self.layout.begin(head);
        self.lay(placement, None, None)
    }

    /// Puts an entry into the archive.
    ///
    /// # Errors
    /// When the pipeline has stopped. What is wrong with the entry itself goes
    /// to [`Assembler::problems`].
    pub fn add(&mut self, entry: Entry) -> Result<(), AssembleError> {
        let Entry {
            mut member,
            inode,
            file,
            direct,
        } = entry;
        let mut content = file.map(|file| Content { file, direct });
        if inode.nlink > 1 && !matches!(member.kind, Kind::Directory) {
            if let Some(first) = self.links.get(&(inode.dev, inode.ino)) {
                member.kind = Kind::HardLink {
                    target: first.clone(),
                };
                content = None;
            } else {
                self.links
                    .insert((inode.dev, inode.ino), member.path.clone());
            }
        }
        let placement = match self.place(&mut member) {
            Ok(placement) => placement,
            Err(AssembleError::Layout(error)) => {
                self.problems
                    .push(Problem::new(&member.path, error.to_string()));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let index = self.index_entry(&member, &inode, &placement);
        let size = match member.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        };
        let number = self.members.push(InProgress {
            entry: Box::new(index),
            file: content.as_ref().map(|content| Arc::clone(&content.file)),
            size,
            mtime: member.mtime,
            problem: None,
            reads: 0,
            laid_out: false,
        });
        self.lay(placement, content.as_ref(), Some(number))?;
        self.members.laid_out(number);
        while self.members.open_files() > self.open_files_max && self.ring.in_flight() > 0 {
            self.reap(true)?;
        }
        Ok(())
    }

    fn place(&mut self, member: &mut Member) -> Result<Placement, AssembleError> {
        match self.layout.place(member) {
            Err(error @ LayoutError::MapTooLong { .. }) => {
                let Kind::File {
                    sparse: sparse @ Some(_),
                    ..
                } = &mut member.kind
                else {
                    return Err(AssembleError::Layout(error));
                };
                *sparse = None;
                let what = "has too many holes to be stored with them; stored in full";
                self.problems.push(Problem::new(&member.path, what));
                self.layout.place(member).map_err(AssembleError::Layout)
            }
            other => other.map_err(AssembleError::Layout),
        }
    }

    fn index_entry(
        &self,
        member: &Member,
        inode: &crate::source::Inode,
        placement: &Placement,
    ) -> IndexEntry {
        let record_bytes = self.record_bytes as u64;
        let block = self.first_block + placement.start / record_bytes;
        let offset = placement.start % record_bytes;
        index_entry(member, inode, block, offset)
    }

    /// Ends the archive: everything that is under way is read and sent.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub fn finish(&mut self) -> Result<(), AssembleError> {
        let placement = self.layout.finish();
        self.lay(placement, None, None)?;
        while let Some(front) = self.filling.front() {
            if front.reads > 0 {
                self.reap(true)?;
            }
            self.send_complete(0)?;
        }
        Ok(())
    }

    /// Brings one placement into the records.
    fn lay(
        &mut self,
        placement: Placement,
        content: Option<&Content>,
        member: Option<u64>,
    ) -> Result<(), AssembleError> {
        let total = placement.parts.iter().map(file_bytes).sum();
        let mut start = 0;
        for part in placement.parts {
            match part {
                Part::Bytes(bytes) => {
                    let mut bytes = &bytes[..];
                    while !bytes.is_empty() {
                        let mut span = self.span(bytes.len() as u64)?;
                        let (now, later) = bytes.split_at(span.len());
                        span.copy_from_slice(now);
                        bytes = later;
                    }
                }
                Part::Zeros(mut len) => {
                    while len > 0 {
                        let mut span = self.span(len)?;
                        span.fill(0);
                        len -= span.len() as u64;
                    }
                }
                Part::File { offset, len } => {
                    let number = member.expect("only members have file data");
                    let at = Stored { start, total };
                    self.lay_file(content, number, offset, len, at)?;
                    start += len;
                }
            }
        }
        if member.is_some() {
            let at = self.record_bytes - self.back().rest.len();
            self.back().pieces.push(Laid {
                range: at..at,
                start: total,
                total,
                ends: true,
            });
        }
        if self.queued >= SUBMIT_EVERY {
            self.reap(false)?;
            self.send_complete(1)?;
        }
        Ok(())
    }

    fn lay_file(
        &mut self,
        content: Option<&Content>,
        member: u64,
        mut offset: u64,
        mut len: u64,
        Stored { mut start, total }: Stored,
    ) -> Result<(), AssembleError> {
        while len > 0 {
            let mut span = self.span(len)?;
            let here = span.len();
            let at = self.record_bytes - self.back().rest.len() - here;
            self.back().pieces.push(Laid {
                range: at..at + here,
                start,
                total,
                ends: false,
            });
            start += here as u64;
            if let Some(content) = content {
                let direct = span.split_to(content.direct_len(offset, at, here));
                if let (false, Some(file)) = (direct.is_empty(), &content.direct) {
                    let through_cache = Some(Arc::clone(&content.file));
                    self.read(file, direct, member, offset, through_cache)?;
                }
                if !span.is_empty() {
                    let offset = offset + (here - span.len()) as u64;
                    self.read(&content.file, span, member, offset, None)?;
                }
            } else {
                span.fill(0);
                self.members
                    .damage(member, || "has no content to read".into());
            }
            offset += here as u64;
            len -= here as u64;
        }
        Ok(())
    }

    fn back(&mut self) -> &mut Filling {
        self.filling
            .back_mut()
            .expect("something was laid out before")
    }

    /// The next up to `want` bytes of the record that is being laid out, or of
    /// a new one.
    fn span(&mut self, want: u64) -> Result<Span, AssembleError> {
        if self.filling.back().is_none_or(|back| back.rest.is_empty()) {
            let mut rest = self.buffer()?.into_span();
            // What is behind the record is the drive's.
            let record = rest.split_to(self.record_bytes);
            drop(std::mem::replace(&mut rest, record));
            self.filling.push_back(Filling {
                rest,
                reads: 0,
                pieces: Vec::new(),
            });
        }
        let rest = &mut self.back().rest;
        let len = usize::try_from(want).unwrap_or(usize::MAX).min(rest.len());
        Ok(rest.split_to(len))
    }

    /// A buffer from the pool. While there is none, reads that end let records
    /// go, and the drive gives them back.
    fn buffer(&mut self) -> Result<longhaul_ffi::buffer::Buffer, AssembleError> {
        loop {
            if self.progress.stopping() {
                return Err(AssembleError::Interrupted);
            }
            self.send_complete(0)?;
            if let Some(buffer) = self.pool.try_take() {
                return Ok(buffer);
            }
            if self.ring.in_flight() == 0 {
                return Ok(self.pool.take());
            }
            self.reap(true)?;
        }
    }

    /// Queues a read into the record that is being laid out.
    fn read(
        &mut self,
        file: &Arc<File>,
        span: Span,
        member: u64,
        offset: u64,
        through_cache: Option<Arc<File>>,
    ) -> Result<(), AssembleError> {
        while !self.ring.has_room() {
            self.reap(true)?;
        }
        self.back().reads += 1;
        self.members.reading(member);
        let record = self.oldest + self.filling.len() as u64 - 1;
        let tag = Tag {
            record,
            member,
            offset,
            through_cache,
        };
        self.ring.read(Arc::clone(file), offset, span, tag);
        self.queued += 1;
        Ok(())
    }

    /// Hands queued reads to the kernel and takes those that have ended.
    fn reap(&mut self, wait: bool) -> Result<(), AssembleError> {
        self.queued = 0;
        let mut again = Vec::new();
        let (filling, members, oldest) = (&mut self.filling, &mut self.members, self.oldest);
        let mut each = |done: Done<Tag>| {
            if let Some(rest) = ended(done, members, |record| {
                let place = usize::try_from(record - oldest).expect("a record in memory");
                filling[place].reads -= 1;
            }) {
                again.push(rest);
            }
        };
        self.ring
            .reap(wait, &mut each)
            .map_err(AssembleError::Ring)?;
        for (file, span, tag) in again {
            let offset = tag.offset;
            self.ring.read(file, offset, span, tag);
            self.queued += 1;
        }
        Ok(())
    }

    /// Sends the records that are complete, in order, but for the last `keep`:
    /// the one that is being laid out may still get a member's end.
    fn send_complete(&mut self, keep: usize) -> Result<(), AssembleError> {
        while self.filling.len() > keep {
            let front = &self.filling[0];
            if front.reads > 0 || !front.rest.is_empty() {
                return Ok(());
            }
            let Filling { rest, pieces, .. } = self.filling.pop_front().expect("there is one");
            self.oldest += 1;
            let buffer = rest
                .into_buffer()
                .expect("all reads of the record have ended");
            let pieces = pieces.into_iter().map(|laid| {
                let member = laid.ends.then(|| self.members.pop()).flatten();
                let ends = member.map(|member| {
                    let (entry, problem) = member.finish();
                    self.problems.extend(problem);
                    entry
                });
                Piece {
                    range: laid.range,
                    start: laid.start,
                    total: laid.total,
                    ends,
                }
            });
            let record = Record {
                sequence: self.oldest - 1,
                buffer,
                len: self.record_bytes,
                pieces: pieces.collect(),
            };
            self.out.send(record).map_err(|_| AssembleError::Stopped)?;
        }
        Ok(())
    }
}

/// Where some file data lies in all that is stored of its member.
struct Stored {
    start: u64,
    total: u64,
}

fn file_bytes(part: &Part) -> u64 {
    match part {
        Part::File { len, .. } => *len,
        Part::Bytes(_) | Part::Zeros(_) => 0,
    }
}

/// Takes note of a read that has ended; gives back what is still to be read.
fn ended(
    done: Done<Tag>,
    members: &mut Members,
    record_done: impl FnOnce(u64),
) -> Option<(Arc<File>, Span, Tag)> {
    let Done {
        result,
        mut file,
        mut span,
        mut tag,
    } = done;
    let whole = matches!(result, Ok(len) if len == span.len());
    if let (false, Some(through_cache)) = (whole, tag.through_cache.take()) {
        // What direct I/O refuses, or leaves at a file's new end, is read as
        // everybody reads; what goes wrong then has gone wrong.
        file = through_cache;
        if result.is_err() {
            return Some((file, span, tag));
        }
    }
    match result {
        Ok(len) if len > 0 => {
            drop(span.split_to(len));
            tag.offset += len as u64;
        }
        Ok(_) => {
            let offset = tag.offset;
            members.damage(tag.member, || {
                format!("ended at byte {offset} while it was read; the rest is stored as zeros")
            });
            span.fill(0);
            span = span.split_to(0);
        }
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {}
        Err(error) => {
            let offset = tag.offset;
            members.damage(tag.member, || {
                format!("could not be read at byte {offset}: {error}; stored as zeros there")
            });
            span.fill(0);
            span = span.split_to(0);
        }
    }
    if span.is_empty() {
        drop(file);
        members.read(tag.member);
        record_done(tag.record);
        return None;
    }
    Some((file, span, tag))
}
