//! From entries to complete records: layout first, reading second.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use longhaul_ffi::buffer::{Pool, Span};
use longhaul_ffi::ring::Ring;
use longhaul_format::archive::{Layout, LayoutError, Part, Placement, SetHead};
use longhaul_format::index::Entry as IndexEntry;
use longhaul_format::member::{Kind, Member};
use thiserror::Error;

use super::entry::{Extent, index_entry};
use super::filling::{Filling, Laid, Laying, damaged_so_far};
use super::links::Links;
use super::members::{InProgress, Members};
use super::reads::{Content, Tag, ended};
use super::record::{Cut, Piece, Record};
use crate::checkpoint::Whole;
use crate::progress::Progress;
use crate::source::{Entry, Problem};

/// Reads in flight: enough to fill a disk's queue with small files.
const READS: u32 = 512;

/// Reads that are queued before the kernel is told: neighbours on the disk
/// become one request.
const SUBMIT_EVERY: usize = 64;

/// How often it is looked whether the job is told to end, while the drive has all
/// buffers.
const LOOK: Duration = Duration::from_millis(200);

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

/// Where an archive begins, or goes on.
pub struct Start {
    /// What comes next, behind the rest of a member that is to be ended first.
    pub layout: Layout,
    /// Where the stream lies on the volume.
    pub extent: Extent,
    /// Stream offset of the first byte that is written: a record boundary.
    pub at: u64,
    /// The member that is to be ended first.
    pub rest: Option<Rest>,
    /// The files with several names that are stored already.
    pub links: Links,
}

/// A member of which a part lies in records that are written already.
pub struct Rest {
    /// Its place, all of it.
    pub placement: Placement,
    /// The member.
    pub whole: Whole,
    /// The file, if it is as it was; else the member is given up, and filled up
    /// with zeros.
    pub source: Option<Entry>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Lays members out and has their data read into records, which go to `out` in
/// order.
pub struct Assembler<'a> {
    layout: Layout,
    record_bytes: usize,
    extent: Extent,
    /// Stream offset behind what was laid out.
    at: u64,
    laying: Laying,
    pool: Pool,
    ring: Ring<Tag>,
    queued: usize,
    filling: VecDeque<Filling>,
    /// The running number of the oldest record in `filling`.
    oldest: u64,
    members: Members,
    open_files_max: usize,
    links: Links,
    out: Sender<Record>,
    progress: &'a Progress,
    /// Whether the records go nowhere any more.
    broken: &'a AtomicBool,
    /// What went wrong with files, one by one.
    pub problems: Vec<Problem>,
}

impl<'a> Assembler<'a> {
    /// An assembler of one archive, which begins or goes on at `start`.
    ///
    /// # Errors
    /// Where io_uring is missing or forbidden; when the pipeline has stopped.
    pub fn new(
        start: Start,
        pool: Pool,
        out: Sender<Record>,
        progress: &'a Progress,
        broken: &'a AtomicBool,
    ) -> Result<Assembler<'a>, AssembleError> {
        let mut ring = Ring::new(READS).map_err(AssembleError::Ring)?;
        if let Err(error) = ring.register(&pool) {
            log::debug!("reading without registered buffers: {error}");
        }
        let Start {
            layout,
            extent,
            at,
            rest,
            links,
        } = start;
        let record_bytes = usize::try_from(extent.record_bytes).expect("checked with the label");
        let mut assembler = Assembler {
            layout,
            record_bytes,
            extent,
            at,
            laying: Laying::default(),
            pool,
            ring,
            queued: 0,
            filling: VecDeque::new(),
            oldest: 0,
            members: Members::default(),
            open_files_max: crate::source::open_files() / 4,
            links,
            out,
            progress,
            broken,
            problems: Vec::new(),
        };
        if let Some(rest) = rest {
            assembler.end_begun(rest)?;
        }
        Ok(assembler)
    }

    /// Ends a member whose beginning is written already.
    fn end_begun(&mut self, rest: Rest) -> Result<(), AssembleError> {
        let Rest {
            placement,
            whole,
            source,
            problem,
        } = rest;
        let mtime = source.as_ref().map(|entry| entry.member.mtime);
        let content = source.and_then(|entry| Content::of(entry.file, entry.direct));
        let number = self.members.push(InProgress {
            entry: Box::new(whole.entry.clone()),
            file: content.as_ref().map(|content| Arc::clone(&content.file)),
            size: whole.entry.size,
            mtime: mtime.unwrap_or_default(),
            problem,
            given_up: whole.given_up,
            reads: 0,
            laid_out: false,
        });
        self.laying = Laying {
            start: placement.start,
            data: placement.data,
            end: placement.end,
            whole: Some(Arc::new(whole)),
            number: Some(number),
            last: false,
        };
        self.lay(placement, content.as_ref())?;
        self.members.laid_out(number);
        Ok(())
    }

    /// Writes the archive's head.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub fn begin(&mut self, head: &SetHead) -> Result<(), AssembleError> {
        let placement = self.layout.begin(head);
        self.laying = Laying::default();
        self.lay(placement, None)
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
        let mut content = Content::of(file, direct);
        if inode.nlink > 1
            && !matches!(member.kind, Kind::Directory)
            && let Some(first) = self.links.first_name(&member, &inode)
        {
            member.kind = Kind::HardLink { target: first };
            content = None;
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
        let index = index_entry(&member, &inode, &self.extent, placement.start);
        let size = match member.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        };
        let whole = self.whole(&index, inode.dev, &placement);
        let number = self.members.push(InProgress {
            entry: Box::new(index),
            file: content.as_ref().map(|content| Arc::clone(&content.file)),
            size,
            mtime: member.mtime,
            problem: None,
            given_up: false,
            reads: 0,
            laid_out: false,
        });
        self.laying = Laying {
            start: placement.start,
            data: placement.data,
            end: placement.end,
            whole,
            number: Some(number),
            last: false,
        };
        self.lay(placement, content.as_ref())?;
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

    /// The member as cursors need it, if a record boundary lies in its data.
    fn whole(&self, entry: &IndexEntry, dev: u64, placement: &Placement) -> Option<Arc<Whole>> {
        let Placement {
            start, data, end, ..
        } = *placement;
        let record_bytes = self.extent.record_bytes;
        let cut = data.next_multiple_of(record_bytes) < end;
        cut.then(|| {
            Arc::new(Whole {
                entry: entry.clone(),
                dev,
                start,
                data,
                end,
                stored: placement.parts.iter().map(file_bytes).sum(),
                headers: headers_crc(placement),
                given_up: false,
            })
        })
    }

    /// Ends the archive: everything that is under way is read and sent.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub fn finish(&mut self) -> Result<(), AssembleError> {
        let placement = self.layout.finish();
        self.laying = Laying {
            last: true,
            ..Laying::default()
        };
        self.lay(placement, None)?;
        while let Some(front) = self.filling.front() {
            if front.reads > 0 {
                self.reap(true)?;
            }
            self.send_complete(0)?;
        }
        Ok(())
    }

    /// Brings one placement into the records: what of it is not in them yet.
    fn lay(
        &mut self,
        placement: Placement,
        content: Option<&Content>,
    ) -> Result<(), AssembleError> {
        let total = placement.parts.iter().map(file_bytes).sum();
        let bytes: u64 = placement.parts.iter().map(Part::len).sum();
        let mut skip = self.at - (placement.end - bytes);
        let member = self.laying.number;
        let mut start = 0;
        for part in placement.parts {
            let here = skip.min(part.len());
            skip -= here;
            match part {
                Part::Bytes(bytes) => {
                    let here = usize::try_from(here).expect("at most its length");
                    self.put(&bytes[here..])?;
                }
                Part::Zeros(len) => {
                    let mut len = len - here;
                    while len > 0 {
                        let mut span = self.span(len)?;
                        span.fill(0);
                        len -= span.len() as u64;
                    }
                }
                Part::File { offset, len } => {
                    let number = member.expect("only members have file data");
                    let at = Stored {
                        start: start + here,
                        total,
                    };
                    self.lay_file(content, number, offset + here, len - here, at)?;
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

    /// Copies bytes into the records.
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), AssembleError> {
        while !bytes.is_empty() {
            let mut span = self.span(bytes.len() as u64)?;
            let (now, later) = bytes.split_at(span.len());
            span.copy_from_slice(now);
            bytes = later;
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
                end: 0,
                cut: Cut::No,
                cut_member: None,
            });
        }
        let rest = &mut self.back().rest;
        let len = usize::try_from(want).unwrap_or(usize::MAX).min(rest.len());
        let span = rest.split_to(len);
        self.at += len as u64;
        if self.back().rest.is_empty() {
            let (at, cut, member) = (self.at, self.laying.cut(self.at), self.laying.number);
            let back = self.back();
            (back.end, back.cut, back.cut_member) = (at, cut, member);
        }
        Ok(span)
    }

    /// A buffer from the pool. While there is none, reads that end let records
    /// go, and the drive gives them back. One that hangs gives none back, and files
    /// are not to stay open for its sake when the job is told to end.
    fn buffer(&mut self) -> Result<longhaul_ffi::buffer::Buffer, AssembleError> {
        loop {
            if self.progress.stopping() {
                return Err(AssembleError::Interrupted);
            }
            if self.broken.load(Ordering::Relaxed) {
                return Err(AssembleError::Stopped);
            }
            self.send_complete(0)?;
            if let Some(buffer) = self.pool.try_take() {
                return Ok(buffer);
            }
            if self.ring.in_flight() > 0 {
                self.reap(true)?;
            } else if let Some(buffer) = self.pool.take_within(LOOK) {
                return Ok(buffer);
            }
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
        let mut each = |done| {
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
            let Filling {
                rest,
                pieces,
                end,
                cut,
                cut_member,
                ..
            } = self.filling.pop_front().expect("there is one");
            self.oldest += 1;
            let buffer = rest
                .into_buffer()
                .expect("all reads of the record have ended");
            let pieces = pieces.into_iter().map(|laid| {
                let member = laid.ends.then(|| self.members.pop()).flatten();
                let ends = member.map(|member| {
                    let (ended, problem) = member.finish();
                    self.problems.extend(problem);
                    ended
                });
                Piece {
                    range: laid.range,
                    start: laid.start,
                    total: laid.total,
                    ends,
                }
            });
            let pieces = pieces.collect();
            let record = Record {
                sequence: self.oldest - 1,
                buffer,
                len: self.record_bytes,
                pieces,
                end,
                cut: damaged_so_far(cut, cut_member, &mut self.members),
            };
            self.out.send(record).map_err(|_| AssembleError::Stopped)?;
        }
        Ok(())
    }
}

/// CRC32C of a member's own headers, its sparse map included.
pub fn headers_crc(placement: &Placement) -> u32 {
    let headers = placement.parts.iter().rev().find_map(|part| match part {
        Part::Bytes(bytes) if bytes.len() as u64 == placement.data - placement.start => Some(bytes),
        _ => None,
    });
    headers.map_or(0, |bytes| crc32c::crc32c(bytes))
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
