//! BLAKE3 by parts: pieces of a file are hashed on any core, in any order, and
//! joined in the file's order.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB (the BLAKE3 paper, 2.1), and
//! the tree's shape follows from the length alone, which the layout knows. So
//! whoever has a piece hashes the largest subtrees that lie within it
//! ([`Part::of`]), and [`Joined`] puts the subtrees of successive pieces
//! together. A chunk that a record boundary cuts in two is put together first:
//! boundaries lie on multiples of 512 bytes.

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, max_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use blake3::{CHUNK_LEN, Hash, Hasher};
use serde::{Deserialize, Serialize};

const CHUNK: u64 = CHUNK_LEN as u64;

/// A subtree: where it lies in the file, and its chaining value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    start: u64,
    len: u64,
    value: ChainingValue,
}

/// What hashing one piece of a file gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Bytes up to the first chunk boundary in the piece.
    head: Vec<u8>,
    nodes: Vec<Node>,
    /// Bytes behind the last one.
    tail: Vec<u8>,
    /// The digest, if the piece is the whole file.
    whole: Option<Hash>,
}

impl Part {
    /// Hashes the piece of a file of `total` bytes that begins at `start`.
    ///
    /// # Panics
    /// If the piece lies outside of the file.
    pub fn of(bytes: &[u8], start: u64, total: u64) -> Part {
        let end = start + bytes.len() as u64;
        assert!(
            end <= total,
            "a piece up to {end} of a file of {total} bytes"
        );
        if start == 0 && end == total {
            return Part {
                whole: Some(blake3::hash(bytes)),
                ..Part::default()
            };
        }
        let to_chunk = usize::try_from(start.next_multiple_of(CHUNK) - start).expect("below 1 KiB");
        let (head, rest) = bytes.split_at(to_chunk.min(bytes.len()));
        let behind = if end == total {
            0
        } else {
            rest.len() % CHUNK_LEN
        };
        let (body, tail) = rest.split_at(rest.len() - behind);
        let mut nodes = Vec::new();
        subtrees(body, start + head.len() as u64, total, &mut nodes);
        Part {
            head: head.to_vec(),
            nodes,
            tail: tail.to_vec(),
            whole: None,
        }
    }
}

/// Hashes the subtrees that make up `bytes`, which begin on a chunk boundary,
/// and end on one or with the file.
fn subtrees(mut bytes: &[u8], mut start: u64, total: u64, nodes: &mut Vec<Node>) {
    while !bytes.is_empty() {
        let here = bytes.len() as u64;
        let aligned = max_subtree_len(start).unwrap_or(u64::MAX);
        let to_the_end = start + here == total;
        let len = if to_the_end && here <= aligned {
            here
        } else {
            // The largest power of two that fits, and that the place allows.
            aligned.min(1 << here.ilog2())
        };
        let (now, later) = bytes.split_at(usize::try_from(len).expect("at most the piece"));
        let value = Hasher::new()
            .set_input_offset(start)
            .update(now)
            .finalize_non_root();
        nodes.push(Node { start, len, value });
        start += len;
        bytes = later;
    }
}

/// The parts of one file, joined so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Subtrees whose siblings are still to come, largest first.
    nodes: Vec<Node>,
    /// The beginning of a chunk that a record boundary cut.
    cut: Vec<u8>,
    at: u64,
    #[serde(skip)]
    root: Option<Hash>,
}

impl Joined {
    /// Takes the next part of a file of `total` bytes.
    pub fn push(&mut self, part: Part, total: u64) {
        if part.whole.is_some() {
            self.at = total;
            self.root = part.whole;
            return;
        }
        let Part {
            head, nodes, tail, ..
        } = part;
        self.cut.extend_from_slice(&head);
        self.at += head.len() as u64;
        if self.cut.len() == CHUNK_LEN || (self.at == total && !self.cut.is_empty()) {
            let chunk = std::mem::take(&mut self.cut);
            if chunk.len() as u64 == total {
                self.root = Some(blake3::hash(&chunk));
                return;
            }
            let mut one = Vec::with_capacity(1);
            subtrees(&chunk, self.at - chunk.len() as u64, total, &mut one);
            one.into_iter().for_each(|node| self.join(node, total));
        }
        for node in nodes {
            self.at += node.len;
            self.join(node, total);
        }
        self.at += tail.len() as u64;
        self.cut.extend_from_slice(&tail);
    }

    fn join(&mut self, mut right: Node, total: u64) {
        while let Some(left) = self.nodes.last() {
            let end = right.start + right.len;
            let siblings = left.len.is_power_of_two()
                && left.start.is_multiple_of(left.len.saturating_mul(2))
                && right.start == left.start + left.len
                && (right.len == left.len || (end == total && right.len < left.len));
            if !siblings {
                break;
            }
            let left = self.nodes.pop().expect("looked at");
            if left.start == 0 && end == total {
                self.root = Some(merge_subtrees_root(&left.value, &right.value, Mode::Hash));
                return;
            }
            let value = merge_subtrees_non_root(&left.value, &right.value, Mode::Hash);
            right = Node {
                start: left.start,
                len: left.len + right.len,
                value,
            };
        }
        self.nodes.push(right);
    }

    /// The digest, once all parts are there, or if there is none at all, since
    /// the file is empty; then ready for the next file.
    pub fn finish(&mut self) -> Option<Hash> {
        let Joined {
            root, at, nodes, ..
        } = std::mem::take(self);
        let empty = at == 0 && nodes.is_empty();
        root.or_else(|| empty.then(|| blake3::hash(b"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_parts(bytes: &[u8], cuts: &[usize]) -> Option<Hash> {
        let total = bytes.len() as u64;
        let mut joined = Joined::default();
        let mut start = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            joined.push(Part::of(&bytes[start..cut], start as u64, total), total);
            start = cut;
        }
        joined.finish()
    }

    #[test]
    fn a_file_cut_at_every_record_has_its_digest() {
        let bytes: Vec<u8> = (0..3_000_000u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
            .collect();
        let cuts: Vec<usize> = (1..6).map(|n| n * 524_288 - 4096).collect();
        assert_eq!(by_parts(&bytes, &cuts), Some(blake3::hash(&bytes)));
    }

    #[test]
    fn a_file_of_one_piece_and_one_of_nothing_have_theirs() {
        for len in [0, 1, 1023, 1024, 1025, 4096] {
            let bytes = vec![7; len];
            assert_eq!(by_parts(&bytes, &[]), Some(blake3::hash(&bytes)), "{len}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_cuts_give_the_same_digest(
            len in 1usize..40_000,
            cuts in proptest::collection::btree_set(1usize..80, 0..12),
        ) {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 31 % 251) as u8).collect();
            let cuts: Vec<usize> = cuts.into_iter().map(|n| n * 512).filter(|&n| n < len).collect();
            prop_assert_eq!(by_parts(&bytes, &cuts), Some(blake3::hash(&bytes)));
        }
    }
}
