//! Records that are being filled, and the placement that fills them.

use std::sync::Arc;

use longhaul_ffi::buffer::Span;
use longhaul_format::index::State;

use super::members::Members;
use super::record::Cut;
use crate::checkpoint::Whole;

/// A record that is being laid out or read.
pub(super) struct Filling {
    /// What is not laid out yet; empty, and still the claim on the buffer, when
    /// the record is full.
    pub(super) rest: Span,
    pub(super) reads: u32,
    pub(super) pieces: Vec<Laid>,
    /// Stream offset behind the record, and what lies there, once it is full.
    pub(super) end: u64,
    pub(super) cut: Cut,
    /// The member that is cut there.
    pub(super) cut_member: Option<u64>,
}

/// A run of file data in a record that is being laid out, or a member's end.
pub(super) struct Laid {
    pub(super) range: std::ops::Range<usize>,
    pub(super) start: u64,
    pub(super) total: u64,
    pub(super) ends: bool,
}

/// The placement that is being laid out.
#[derive(Default)]
pub(super) struct Laying {
    pub(super) start: u64,
    pub(super) data: u64,
    pub(super) end: u64,
    /// If its data may be cut.
    pub(super) whole: Option<Arc<Whole>>,
    /// Its number among the members.
    pub(super) number: Option<u64>,
    /// Nothing goes on behind it.
    pub(super) last: bool,
}

impl Laying {
    /// What lies on both sides of the record boundary at `at`.
    pub(super) fn cut(&self, at: u64) -> Cut {
        match &self.whole {
            _ if self.last => Cut::No,
            _ if at <= self.start || at >= self.end => Cut::Between,
            Some(whole) if at >= self.data && whole.may_cut(at) => Cut::Inside(Arc::clone(whole)),
            _ => Cut::No,
        }
    }
}

/// A member that is cut, and of which something could not be read before the
/// cut, is damaged whoever ends it.
pub(super) fn damaged_so_far(cut: Cut, member: Option<u64>, members: &mut Members) -> Cut {
    match (cut, member) {
        (Cut::Inside(whole), Some(member)) if members.is_damaged(member) => {
            let mut whole = (*whole).clone();
            whole.entry.state = State::Damaged;
            Cut::Inside(Arc::new(whole))
        }
        (cut, _) => cut,
    }
}
