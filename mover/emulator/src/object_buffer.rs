//! What the drive has accepted and not yet moved to the medium.
//!
//! In buffered mode a write ends with GOOD as soon as its blocks stand here.
//! They go to the medium later, in order; what still stands here when the
//! drive loses power is lost. READ POSITION tells what that would be.

use std::collections::VecDeque;

use longhaul_scsi::sense::{Sense, SenseKey};

use crate::medium::{DISCARD_KEEPS, Medium, MediumError, OBJECT_OVERHEAD};

/// Emptied block buffers that are kept for the next blocks.
const SPARES_MAX: usize = 16;

/// An object that waits.
#[derive(Debug)]
enum Held {
    /// A block and its CRC32C.
    Block(Vec<u8>, u32),
    /// A block whose data the medium would drop anyway.
    Dropped(u32),
    Filemark,
}

impl Held {
    fn data_bytes(&self) -> u64 {
        match self {
            Held::Block(data, _) => data.len() as u64,
            Held::Dropped(length) => u64::from(*length),
            Held::Filemark => 0,
        }
    }

    fn cost(&self) -> u64 {
        self.data_bytes() + OBJECT_OVERHEAD
    }
}

/// The buffer. Its objects are numbered on from [`first`](ObjectBuffer::first).
#[derive(Debug)]
pub struct ObjectBuffer {
    queue: VecDeque<Held>,
    first: u64,
    cost: u64,
    data_bytes: u64,
    limit: u64,
    spares: Vec<Vec<u8>>,
}

impl ObjectBuffer {
    pub(crate) fn new(limit: u64) -> ObjectBuffer {
        ObjectBuffer {
            queue: VecDeque::new(),
            first: 0,
            cost: 0,
            data_bytes: 0,
            limit,
            spares: Vec::new(),
        }
    }

    /// Bytes that it may hold, 512 an object counted in.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Objects in it.
    pub fn objects(&self) -> u64 {
        self.queue.len() as u64
    }

    /// Bytes of block data in it.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Whether everything has reached the medium.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next object to go to the medium, if there is one.
    pub fn first(&self) -> Option<u64> {
        (!self.queue.is_empty()).then_some(self.first)
    }

    /// Bytes of its limit that are taken.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Accepts a block as object number `object`. Its CRC32C is the one that
    /// it came with, or else is made here: what happens to it further on is
    /// noticed when it is read.
    pub(crate) fn push_block(
        &mut self,
        object: u64,
        data: &[u8],
        crc: Option<u32>,
        discards: bool,
    ) {
        if discards && data.len() > DISCARD_KEEPS {
            let length = u32::try_from(data.len()).expect("a block is at most 8 MiB");
            return self.push(object, Held::Dropped(length));
        }
        let crc = crc.unwrap_or_else(|| crc32c::crc32c(data));
        let mut copy = self.spares.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(data);
        self.push(object, Held::Block(copy, crc));
    }

    /// Accepts a filemark as object number `object`.
    pub(crate) fn push_filemark(&mut self, object: u64) {
        self.push(object, Held::Filemark);
    }

    fn push(&mut self, object: u64, held: Held) {
        if self.queue.is_empty() {
            self.first = object;
        }
        debug_assert_eq!(object, self.first + self.objects(), "objects come in order");
        self.cost += held.cost();
        self.data_bytes += held.data_bytes();
        self.queue.push_back(held);
    }

    /// How many of the oldest objects must go so that at most `target` bytes
    /// stay.
    pub(crate) fn count_above(&self, target: u64) -> usize {
        let mut cost = self.cost;
        let more = |held: &&Held| {
            let goes = cost > target;
            cost = cost.saturating_sub(held.cost());
            goes
        };
        self.queue.iter().take_while(more).count()
    }

    /// What the `count` oldest objects take.
    pub(crate) fn cost_of(&self, count: usize) -> u64 {
        self.queue.iter().take(count).map(Held::cost).sum()
    }

    /// How many of the oldest objects fit into `bytes`, and what they take.
    pub(crate) fn count_within(&self, bytes: u64) -> (usize, u64) {
        let mut taken = 0;
        let fits = |held: &&Held| {
            let fits = taken + held.cost() <= bytes;
            taken += if fits { held.cost() } else { 0 };
            fits
        };
        let count = self.queue.iter().take_while(fits).count();
        (count, taken)
    }

    /// Moves the `count` oldest objects to the medium. `fault` may make one of
    /// them fail.
    ///
    /// # Errors
    /// The deferred error of the first that could not be written. It and all
    /// behind it are lost, those before it are on the medium.
    pub(crate) fn drain(
        &mut self,
        medium: &mut Medium,
        count: usize,
        mut fault: impl FnMut(u64) -> Option<Sense>,
    ) -> Result<(), Sense> {
        if count == 0 || self.queue.is_empty() {
            return Ok(());
        }
        let result = self.append(medium, count, &mut fault);
        let committed = medium
            .commit()
            .map_err(|error| deferred(self.first, &error));
        let result = result.and(committed);
        if result.is_err() {
            self.lose();
        }
        result
    }

    fn append(
        &mut self,
        medium: &mut Medium,
        count: usize,
        fault: &mut impl FnMut(u64) -> Option<Sense>,
    ) -> Result<(), Sense> {
        // Recording in the middle makes that the end: what was behind is gone.
        let first = self.first;
        medium
            .truncate(first)
            .map_err(|error| deferred(first, &error))?;
        for _ in 0..count.min(self.queue.len()) {
            if let Some(sense) = fault(self.first) {
                return Err(sense.deferred());
            }
            let Some(held) = self.queue.pop_front() else {
                break;
            };
            self.cost -= held.cost();
            self.data_bytes -= held.data_bytes();
            let written = match held {
                Held::Block(data, crc) => {
                    let written = medium.append(&data, crc);
                    if self.spares.len() < SPARES_MAX {
                        self.spares.push(data);
                    }
                    written
                }
                Held::Dropped(length) => medium.append_dropped(length),
                Held::Filemark => medium.append_filemark(),
            };
            written.map_err(|error| deferred(self.first, &error))?;
            self.first += 1;
        }
        Ok(())
    }

    /// Loses what it holds, as a power cut does.
    pub(crate) fn lose(&mut self) {
        self.queue.clear();
        self.cost = 0;
        self.data_bytes = 0;
    }
}

fn deferred(object: u64, error: &MediumError) -> Sense {
    log::warn!("object {object} could not be moved to the medium: {error:?}");
    match error {
        MediumError::Full => Sense::new(SenseKey::VolumeOverflow, 0x00, 0x02).with_eom(),
        _ => Sense::new(SenseKey::MediumError, 0x0c, 0x00),
    }
    .deferred()
}
