//! How far a job is: counters that its threads write and the display reads, and
//! what its journal has durably reached.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use uuid::Uuid;

/// A checkpoint that a journal durably holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The set.
    pub set: Uuid,
    /// Its journal.
    pub journal: PathBuf,
    /// The journal says so in its first so many bytes.
    pub journal_bytes: u64,
    /// When it was taken: milliseconds since 1970.
    pub taken_ms: i64,
    /// The volume.
    pub volume: Uuid,
    /// The logical object behind it.
    pub block: u64,
    /// Members of the archive before it.
    pub members: u64,
    /// Bytes of the archive before it.
    pub bytes: u64,
}

/// Who wants to hear of checkpoints.
type Listener = Box<dyn Fn(Reached) + Send + Sync>;

/// Counters of one job. They are for people to look at: no order between them
/// is promised.
#[derive(Default)]
pub struct Progress {
    members: AtomicU64,
    source_bytes: AtomicU64,
    tape_bytes: AtomicU64,
    expected_bytes: AtomicU64,
    stop: AtomicBool,
    listener: OnceLock<Listener>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("members", &self.members())
            .field("tape_bytes", &self.tape_bytes())
            .finish_non_exhaustive()
    }
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

    /// Has `listener` told of each checkpoint, from now on; the first one to ask
    /// is. It is told by the thread that writes the journal, which it must not
    /// keep for long.
    pub fn listen(&self, listener: impl Fn(Reached) + Send + Sync + 'static) {
        // There is one per job.
        drop(self.listener.set(Box::new(listener)));
    }

    /// A checkpoint is in the journal, and that is on the disk.
    pub fn reached(&self, reached: Reached) {
        if let Some(listener) = self.listener.get() {
            listener(reached);
        }
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
