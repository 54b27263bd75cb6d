//! Memory that the kernel writes at the same time: accessed by copies and by
//! atomic words, never by reference, and never outside of it.

use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;

use super::error::{RingError, bounded};

/// The shared mapping. Offsets count from its start; an access that does not
/// fit is an error.
pub(super) struct Area {
    map: MmapRaw,
}

impl Area {
    pub(super) fn new(map: MmapRaw) -> Area {
        Area { map }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Where `bytes` bytes at `offset` lie, if they lie in the mapping.
    fn at(&self, offset: usize, bytes: usize) -> Result<*mut u8, RingError> {
        let room = (self.map.len() as u64).saturating_sub(bytes as u64);
        bounded("field's offset", offset as u64, 0, room)?;
        bounded("field's length", bytes as u64, 0, self.map.len() as u64)?;
        // SAFETY: `offset` is at most the mapping's length.
        Ok(unsafe { self.map.as_mut_ptr().add(offset) })
    }

    /// Copies bytes out.
    pub(super) fn copy_out(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        let from = self.at(offset, into.len())?;
        // SAFETY: `at` has checked that the source lies in the mapping, which
        // lives as long as `self`. Nothing lends the mapping out, so `into` is
        // other memory. The ring's protocol leaves these bytes to us until the
        // command is completed; a kernel that breaks it changes what is
        // copied, and any byte is a valid `u8`.
        unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies bytes in.
    pub(super) fn copy_in(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        let into = self.at(offset, from.len())?;
        // SAFETY: as in `copy_out`, the other way; the mapping is writable.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) };
        Ok(())
    }

    /// Writes zeros.
    pub(super) fn clear(&self, offset: usize, bytes: usize) -> Result<(), RingError> {
        let into = self.at(offset, bytes)?;
        // SAFETY: as in `copy_in`.
        unsafe { std::ptr::write_bytes(into, 0, bytes) };
        Ok(())
    }

    /// A few bytes by value.
    pub(super) fn field<const N: usize>(&self, offset: usize) -> Result<[u8; N], RingError> {
        let mut bytes = [0; N];
        self.copy_out(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a word that the kernel writes: what it wrote before is seen
    /// afterwards.
    pub(super) fn load(&self, offset: usize) -> Result<u32, RingError> {
        Ok(self.word(offset)?.load(Ordering::Acquire))
    }

    /// Writes a word that the kernel reads: it sees what was written before.
    pub(super) fn store(&self, offset: usize, value: u32) -> Result<(), RingError> {
        self.word(offset)?.store(value, Ordering::Release);
        Ok(())
    }

    fn word(&self, offset: usize) -> Result<&AtomicU32, RingError> {
        // The mapping begins at a page.
        let down = offset as u64 & !3;
        bounded("word's offset", offset as u64, down, down)?;
        let word = self.at(offset, size_of::<u32>())?.cast::<u32>();
        // SAFETY: in the mapping, aligned, and accessed as a whole word by
        // both sides: only the mailbox's head and tail are, and copies stay
        // clear of them (entries and data lie behind the mailbox).
        Ok(unsafe { AtomicU32::from_ptr(word) })
    }
}
