//! An io_uring that owns what is in flight.
//!
//! [`Ring::read`] takes the file and the span, and [`Ring::reap`] gives them
//! back with the result. While the kernel works, they lie in the ring's own
//! table, where nobody reaches them; dropping the ring first waits for all.
//! Reads into a [registered](Ring::register) pool use fixed buffers.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use io_uring::{IoUring, opcode, types};

use crate::buffer::{Pool, Span};

/// Most reads that one ring may have in flight.
pub const DEPTH_MAX: u32 = 4096;

/// A read that has ended.
#[derive(Debug)]
pub struct Done<T> {
    /// Bytes read (0 at the file's end, fewer than asked for at any time), or
    /// the kernel's error.
    pub result: io::Result<usize>,
    /// The file, as it was handed in.
    pub file: Arc<File>,
    /// The span, as it was handed in.
    pub span: Span,
    /// The caller's tag.
    pub tag: T,
}

struct InFlight<T> {
    file: Arc<File>,
    span: Span,
    tag: T,
}

/// Reads in flight, each with a tag of the caller's.
pub struct Ring<T> {
    /// Dropped by hand: never while the kernel may still write.
    ring: ManuallyDrop<IoUring>,
    table: Vec<Option<InFlight<T>>>,
    vacant: Vec<u32>,
    pool: Option<Pool>,
    unsubmitted: usize,
}

impl<T> Ring<T> {
    /// A ring for up to `depth` reads in flight.
    ///
    /// # Errors
    /// `InvalidInput` if `depth` is 0 or above [`DEPTH_MAX`]; the kernel's
    /// error where io_uring is missing or forbidden
    /// (`/proc/sys/kernel/io_uring_disabled`).
    pub fn new(depth: u32) -> io::Result<Ring<T>> {
        if depth == 0 || depth > DEPTH_MAX {
            let why = format!("a ring of depth {depth}, where 1 to {DEPTH_MAX} may be");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let ring = IoUring::builder()
            .setup_clamp()
            .setup_cqsize(depth.next_power_of_two() * 2)
            .setup_coop_taskrun()
            .build(depth)?;
        Ok(Ring {
            ring: ManuallyDrop::new(ring),
            table: (0..depth).map(|_| None).collect(),
            vacant: (0..depth).rev().collect(),
            pool: None,
            unsubmitted: 0,
        })
    }

    /// Registers a pool's memory with the kernel, so that reads into it skip
    /// the mapping of pages. May be called once.
    ///
    /// # Errors
    /// The kernel's; mostly `ENOMEM` where the limit of locked memory is too
    /// low. The ring then works as before, without fixed buffers.
    pub fn register(&mut self, pool: &Pool) -> io::Result<()> {
        let iovecs = pool.iovecs();
        // SAFETY: the iovecs describe the pool's mapping, and the pool is kept
        // by the ring, which unregisters (by closing the ring) before it lets
        // go of it: fields are dropped after `drop` has closed the ring.
        unsafe { self.ring.submitter().register_buffers(&iovecs)? };
        self.pool = Some(pool.clone());
        Ok(())
    }

    /// Reads in flight or queued.
    pub fn in_flight(&self) -> usize {
        self.table.len() - self.vacant.len()
    }

    /// Whether another read finds room.
    pub fn has_room(&self) -> bool {
        !self.vacant.is_empty()
    }

    /// Queues a read of up to `span.len()` bytes at `offset` of `file`. It
    /// goes to the kernel with the next [`Ring::submit`] or [`Ring::reap`].
    ///
    /// # Panics
    /// If there is no room ([`Ring::has_room`]), or the span is longer than
    /// 4 GiB.
    pub fn read(&mut self, file: Arc<File>, offset: u64, mut span: Span, tag: T) {
        let key = self.vacant.pop().expect("room in the ring");
        let fd = types::Fd(file.as_raw_fd());
        let len = u32::try_from(span.len()).expect("a span below 4 GiB");
        let ptr = span.as_mut_ptr();
        let fixed = self.pool.as_ref().is_some_and(|pool| pool.owns(&span));
        let entry = if fixed {
            opcode::ReadFixed::new(fd, ptr, len, span.slot())
                .offset(offset)
                .build()
        } else {
            opcode::Read::new(fd, ptr, len).offset(offset).build()
        }
        .user_data(u64::from(key));
        // Into the table before the kernel can see the entry.
        self.table[key as usize] = Some(InFlight { file, span, tag });
        // SAFETY: the entry's file and memory are owned by `table[key]`, which
        // is emptied only when the completion with this key has been seen.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            // The queue is as long as the table, so it is full only of entries
            // that were not yet submitted.
            let _ = self.submit();
        }
        self.unsubmitted += 1;
    }

    /// Hands queued reads to the kernel, without waiting.
    ///
    /// # Errors
    /// The kernel's, but not `EINTR`, `EAGAIN` and `EBUSY`, which only mean
    /// "later".
    pub fn submit(&mut self) -> io::Result<()> {
        if self.unsubmitted == 0 {
            return Ok(());
        }
        later(self.ring.submit()).map(|submitted| {
            self.unsubmitted = self.unsubmitted.saturating_sub(submitted);
        })
    }

    /// Submits what is queued and takes every completion that is there. With
    /// `wait`, waits until there is at least one, if any read is in flight.
    ///
    /// # Errors
    /// The kernel's, from submission; nothing is lost, and a later call goes
    /// on.
    pub fn reap(&mut self, wait: bool, mut each: impl FnMut(Done<T>)) -> io::Result<usize> {
        let want = usize::from(wait && self.in_flight() > 0 && self.ring.completion().is_empty());
        if self.unsubmitted > 0 || want > 0 {
            let submitted = later(self.ring.submit_and_wait(want))?;
            self.unsubmitted = self.unsubmitted.saturating_sub(submitted);
        }
        let mut taken = 0;
        // `CompletionQueue` borrows the ring; keys are taken out first.
        while let Some(entry) = self.ring.completion().next() {
            let key = u32::try_from(entry.user_data()).expect("keys are 32 bits");
            let Some(InFlight { file, span, tag }) = self.table[key as usize].take() else {
                unreachable!("the kernel completed a read that is not in flight");
            };
            self.vacant.push(key);
            taken += 1;
            let result = usize::try_from(entry.result())
                .map_err(|_| io::Error::from_raw_os_error(-entry.result()));
            each(Done {
                result,
                file,
                span,
                tag,
            });
        }
        Ok(taken)
    }
}

/// Errors of `io_uring_enter` that only say "try again".
fn later(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ETIME)
            ) =>
        {
            Ok(0)
        }
        other => other,
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // The kernel may still write into spans: wait for all of them.
        while self.in_flight() > 0 {
            if self.reap(true, drop).is_err() {
                // No way to wait for the kernel: keep its memory for ever
                // rather than free it under its hands.
                std::mem::forget(std::mem::take(&mut self.table));
                std::mem::forget(self.pool.take());
                return;
            }
        }
        // SAFETY: dropped here, once, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;
    use std::io::Write;

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(std::env::temp_dir().join(format!(
                "longhaul-ring-{}-{:?}",
                std::process::id(),
                std::thread::current().id()
            )))
            .expect("a file");
        file.write_all(bytes).expect("written");
        Arc::new(file)
    }

    #[test]
    fn reads_land_in_their_spans_in_any_order() {
        let bytes: Vec<u8> = (0..4096u32).map(|i| i as u8).collect();
        let file = file(&bytes);
        let pool = Pool::new(1, 4096).expect("pool");
        let mut ring = Ring::new(8).expect("ring");
        ring.register(&pool).expect("registered");
        let mut rest = pool.take().into_span();
        for piece in 0..8u64 {
            let span = rest.split_to(512);
            ring.read(Arc::clone(&file), piece * 512, span, piece);
        }
        assert!(!ring.has_room());
        let mut seen = Vec::new();
        while ring.in_flight() > 0 {
            ring.reap(true, |done| {
                assert_eq!(done.result.expect("read"), 512);
                seen.push(done.tag);
            })
            .expect("reaped");
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..8).collect::<Vec<_>>());
        assert_eq!(&rest.into_buffer().expect("all back")[..], &bytes[..]);
    }

    #[test]
    fn a_read_behind_the_end_gives_nothing_and_a_closed_file_an_error() {
        let mut ring = Ring::new(1).expect("ring");
        ring.read(file(b"abc"), 3, Buffer::zeroed(16).into_span(), ());
        ring.reap(true, |done| assert_eq!(done.result.expect("read"), 0))
            .expect("reaped");
        let directory = Arc::new(File::open("/").expect("a directory"));
        ring.read(directory, 0, Buffer::zeroed(16).into_span(), ());
        ring.reap(true, |done| {
            assert_eq!(
                done.result.expect_err("a directory").raw_os_error(),
                Some(libc::EISDIR)
            );
        })
        .expect("reaped");
    }

    #[test]
    fn dropping_the_ring_waits_for_the_kernel() {
        let (reader, mut writer) = std::io::pipe().expect("pipe");
        let reader = Arc::new(File::from(std::os::fd::OwnedFd::from(reader)));
        let mut ring = Ring::new(1).expect("ring");
        ring.read(reader, u64::MAX, Buffer::zeroed(16).into_span(), ());
        ring.submit().expect("submitted");
        let late = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            writer.write_all(b"late").expect("written");
        });
        drop(ring);
        assert!(late.is_finished() || late.join().is_ok());
    }
}
