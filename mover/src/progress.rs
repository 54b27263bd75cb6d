//! How far a job is: counters that its threads write and the display reads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of one job. They are for people to look at: no order between them
/// is promised.
#[derive(Debug, Default)]
pub struct Progress {
    members: AtomicU64,
    source_bytes: AtomicU64,
    tape_bytes: AtomicU64,
    expected_bytes: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// A member with `bytes` of content was dealt with.
    pub fn member(&self, bytes: u64) {
        self.members.fetch_add(1, Ordering::Relaxed);
        self.source_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The drive accepted, or gave, a block of so many bytes.
    pub fn written(&self, bytes: u64) {
        self.tape_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Members dealt with.
    pub fn members(&self) -> u64 {
        self.members.load(Ordering::Relaxed)
    }

    /// Bytes of content of these members.
    pub fn source_bytes(&self) -> u64 {
        self.source_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that went to, or came from, the drive.
    pub fn tape_bytes(&self) -> u64 {
        self.tape_bytes.load(Ordering::Relaxed)
    }

    /// Adds to the bytes that are expected in all.
    pub fn expect(&self, bytes: u64) {
        self.expected_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The bytes that are expected in all; 0 if nobody knows.
    pub fn expected_bytes(&self) -> u64 {
        self.expected_bytes.load(Ordering::Relaxed)
    }

    /// Asks the job to end where it can be resumed.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to end.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
