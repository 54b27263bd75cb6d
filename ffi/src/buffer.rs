//! Page-aligned memory: pools, whole buffers, and disjoint spans of them.
//!
//! Ownership is the whole trick. A [`Buffer`] is the only handle to its bytes.
//! [`Buffer::into_span`] turns it into a [`Span`], which can be
//! [split](Span::split_to) into disjoint spans, each again the only handle to
//! *its* bytes. When all spans of a buffer but one have been dropped,
//! [`Span::into_buffer`] gives the whole buffer back. No lock is taken.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use memmap2::{Advice, MmapMut};

/// Alignment of every buffer, in bytes: a page, which satisfies direct I/O on
/// every block size in use and the `sg` driver's direct transfers.
pub const ALIGNMENT: usize = 4096;

/// A transparent huge page on most machines, in bytes.
const HUGE_PAGE: usize = 2 << 20;

/// Most buffers that one pool may hold: the kernel's limit on registered
/// buffers (`IORING_MAX_REG_BUFFERS`, `io_uring/rsrc.c`).
pub const POOL_BUFFERS_MAX: usize = 16384;

/// The memory that buffers are cut from, mapped once.
pub(crate) struct Arena {
    /// Kept only so that the mapping lives as long as the arena.
    _map: MmapMut,
    base: NonNull<u8>,
    slot_bytes: usize,
    slots: usize,
    /// Indexes of free slots come back here.
    free: Sender<u16>,
}

// SAFETY: `base` points into `_map`, which is owned by the arena and unmapped
// only when it is dropped. The arena hands out no references itself: a slot's
// bytes are reached only through the one `Block` that took the slot's index
// from the free list, so sharing the arena between threads shares no bytes.
unsafe impl Send for Arena {}
// SAFETY: as above; `&Arena` offers no access to the mapped bytes.
unsafe impl Sync for Arena {}

impl Arena {
    /// Whether buffers are taken from it again and again.
    pub(crate) fn is_pool(&self) -> bool {
        self.slots > 1
    }

    /// Where the slots lie, for registration with the kernel.
    pub(crate) fn iovecs(&self) -> Vec<libc::iovec> {
        (0..self.slots)
            .map(|slot| libc::iovec {
                // SAFETY: `slot` is below the number of slots mapped.
                iov_base: unsafe { self.base.as_ptr().add(slot * self.slot_bytes) }.cast(),
                iov_len: self.slot_bytes,
            })
            .collect()
    }
}

/// One slot, taken. Its index goes back to the free list when the last handle
/// (buffer or span) is dropped.
struct Block {
    arena: Arc<Arena>,
    slot: u16,
}

impl Block {
    fn base(&self) -> *mut u8 {
        let offset = usize::from(self.slot) * self.arena.slot_bytes;
        // SAFETY: `slot` is below the number of slots the arena was mapped
        // for, so `offset` lies within the mapping.
        unsafe { self.arena.base.as_ptr().add(offset) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // The channel has room for every slot; an error only says that the
        // pool is gone, and then nobody waits for the slot.
        let _ = self.arena.free.try_send(self.slot);
    }
}

fn map_arena(count: usize, slot_bytes: usize, free: Sender<u16>) -> io::Result<Arc<Arena>> {
    let bytes = count
        .checked_mul(slot_bytes)
        .ok_or_else(|| io::Error::other("buffer pool larger than the address space"))?;
    let mut map = MmapMut::map_anon(bytes)?;
    if bytes >= HUGE_PAGE {
        // Fewer faults, cheaper pinning for direct I/O. A kernel without huge
        // pages, or without any left, gives small ones.
        let _ = map.advise(Advice::HugePage);
    }
    let base = NonNull::new(map.as_mut_ptr()).expect("a mapping is never at address 0");
    Ok(Arc::new(Arena {
        _map: map,
        base,
        slot_bytes,
        slots: count,
        free,
    }))
}

/// A fixed number of equal, page-aligned buffers, mapped once. Cloning gives
/// another handle to the same pool.
#[derive(Clone)]
pub struct Pool {
    arena: Arc<Arena>,
    free: Receiver<u16>,
    count: usize,
    buffer_bytes: usize,
}

impl Pool {
    /// Maps `count` buffers of `buffer_bytes` each (rounded up to whole pages
    /// in memory, while the length stays as asked).
    ///
    /// # Errors
    /// `InvalidInput` if `count` is 0 or above [`POOL_BUFFERS_MAX`], or
    /// `buffer_bytes` is 0; the kernel's error if there is no memory.
    pub fn new(count: usize, buffer_bytes: usize) -> io::Result<Pool> {
        if count == 0 || count > POOL_BUFFERS_MAX || buffer_bytes == 0 {
            let why = format!("a pool of {count} buffers of {buffer_bytes} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let slot_bytes = buffer_bytes.next_multiple_of(ALIGNMENT);
        let (sender, free) = bounded(count);
        let arena = map_arena(count, slot_bytes, sender)?;
        for slot in 0..count {
            let slot = u16::try_from(slot).expect("bounded by POOL_BUFFERS_MAX");
            arena
                .free
                .try_send(slot)
                .expect("the channel has room for every slot");
        }
        Ok(Pool {
            arena,
            free,
            count,
            buffer_bytes,
        })
    }

    /// Takes a buffer, waiting until one is free. Its bytes are whatever they
    /// were when it was last used.
    pub fn take(&self) -> Buffer {
        let slot = self.free.recv().expect("the pool holds its own sender");
        self.buffer(slot)
    }

    /// Takes a buffer, waiting so long at most until one is free.
    pub fn take_within(&self, wait: Duration) -> Option<Buffer> {
        let slot = self.free.recv_timeout(wait).ok()?;
        Some(self.buffer(slot))
    }

    /// Takes a buffer if one is free.
    pub fn try_take(&self) -> Option<Buffer> {
        match self.free.try_recv() {
            Ok(slot) => Some(self.buffer(slot)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    fn buffer(&self, slot: u16) -> Buffer {
        let block = Arc::new(Block {
            arena: Arc::clone(&self.arena),
            slot,
        });
        Buffer {
            block,
            len: self.buffer_bytes,
        }
    }

    /// Buffers in the pool, free or not.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of one buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Where the slots lie, for registration with the kernel.
    pub(crate) fn iovecs(&self) -> Vec<libc::iovec> {
        self.arena.iovecs()
    }

    /// Whether `span` was cut from this pool.
    pub(crate) fn owns(&self, span: &Span) -> bool {
        Arc::ptr_eq(&self.arena, &span.block.arena)
    }
}

/// A page-aligned buffer: the only handle to its bytes.
pub struct Buffer {
    block: Arc<Block>,
    len: usize,
}

impl Buffer {
    /// A zeroed buffer of its own, outside any pool: for commands' parameter
    /// data, not for the data path.
    ///
    /// # Panics
    /// If `len` is 0 or the kernel has no memory for it, as an allocation
    /// does. `len` is never taken from outside unbounded.
    pub fn zeroed(len: usize) -> Buffer {
        assert!(len > 0, "a buffer of no bytes");
        let (sender, _free) = bounded(1);
        let arena = map_arena(1, len.next_multiple_of(ALIGNMENT), sender)
            .expect("memory for a small buffer");
        Buffer {
            block: Arc::new(Block { arena, slot: 0 }),
            len,
        }
    }

    /// A buffer of its own with these bytes.
    pub fn from_slice(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::zeroed(bytes.len().max(1));
        buffer[..bytes.len()].copy_from_slice(bytes);
        buffer
    }

    /// The memory that it was cut from.
    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.block.arena
    }

    /// The slot's index in its pool: the kernel's index of the registered
    /// buffer.
    pub(crate) fn slot(&self) -> u16 {
        self.block.slot
    }

    /// Gives the buffer up for a span over all of it.
    pub fn into_span(self) -> Span {
        Span {
            block: self.block,
            start: 0,
            len: self.len,
            whole: self.len,
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from the slot's base lie within the mapping and
        // are initialised (an anonymous mapping is zeroed). A `Buffer` exists
        // only while no other handle to its block does, so nobody writes.
        unsafe { std::slice::from_raw_parts(self.block.base(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.block.base(), self.len) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}

/// A part of a buffer: the only handle to that part's bytes.
pub struct Span {
    block: Arc<Block>,
    start: usize,
    len: usize,
    /// Length of the buffer that it is a part of.
    whole: usize,
}

impl Span {
    /// Cuts the first `at` bytes off into a span of their own; `self` keeps
    /// the rest. Either may be empty.
    ///
    /// # Panics
    /// If `at` is above the span's length.
    #[must_use]
    pub fn split_to(&mut self, at: usize) -> Span {
        assert!(
            at <= self.len,
            "split at {at} of a span of {} bytes",
            self.len
        );
        let head = Span {
            block: Arc::clone(&self.block),
            start: self.start,
            len: at,
            whole: self.whole,
        };
        self.start += at;
        self.len -= at;
        head
    }

    /// The whole buffer back, if this is its last span.
    ///
    /// # Errors
    /// Gives the span back while others of the same buffer live.
    pub fn into_buffer(mut self) -> Result<Buffer, Span> {
        // `get_mut` succeeds only for the last handle, and synchronises with
        // the drop of the others, so what they wrote is seen.
        if Arc::get_mut(&mut self.block).is_some() {
            Ok(Buffer {
                block: self.block,
                len: self.whole,
            })
        } else {
            Err(self)
        }
    }

    /// The slot's index in its pool: the kernel's index of the registered
    /// buffer.
    pub(crate) fn slot(&self) -> u16 {
        self.block.slot
    }
}

impl Deref for Span {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: spans of a block are made only by splitting one that covers
        // it, so `start..start + len` lies within the slot and overlaps no
        // other span; no `Buffer` of this block exists at the same time.
        unsafe { std::slice::from_raw_parts(self.block.base().add(self.start), self.len) }
    }
}

impl DerefMut for Span {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.block.base().add(self.start), self.len) }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Span({} bytes at {} of {})",
            self.len, self.start, self.whole
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_lends_each_buffer_to_one_holder() {
        let pool = Pool::new(2, 1000).expect("pool");
        let mut a = pool.take();
        let b = pool.take();
        assert!(pool.try_take().is_none());
        assert_eq!((a.len(), b.len()), (1000, 1000));
        a.fill(7);
        assert_ne!(a.as_ptr(), b.as_ptr());
        assert_eq!(a.as_ptr().align_offset(ALIGNMENT), 0);
        drop(a);
        assert!(pool.try_take().is_some());
    }

    #[test]
    fn a_buffer_comes_back_only_from_its_last_span() {
        let mut rest = Buffer::zeroed(10).into_span();
        let mut head = rest.split_to(4);
        head.fill(1);
        rest.fill(2);
        let rest = rest.into_buffer().expect_err("another span lives");
        drop(head);
        let whole = rest.into_buffer().expect("the last span");
        assert_eq!(&whole[..], &[1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn a_pool_of_nothing_is_refused() {
        assert!(Pool::new(0, 1).is_err());
        assert!(Pool::new(1, 0).is_err());
        assert!(Pool::new(POOL_BUFFERS_MAX + 1, 1).is_err());
    }

    #[test]
    fn buffers_outlive_their_pool() {
        let pool = Pool::new(1, 64).expect("pool");
        let mut buffer = pool.take();
        drop(pool);
        buffer.fill(3);
        assert_eq!(buffer[63], 3);
    }
}
