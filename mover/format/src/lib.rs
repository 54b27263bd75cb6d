//! What is on the tape: the label, the pax archive of a set, and its index.
//!
//! This crate builds and parses bytes, and does no I/O. It is the floor on
//! which backup, restore, scan and the catalog stand, and the one place that
//! knows the rules of the tape format (`docs/format.md` explains them to a
//! person who has the tape and not this program).
//!
//! ```text
//!  tape file 0   VOL1 UVL1 .. UVL9                       label
//!  tape file 1   pax archive, records of record_bytes    archive (kind "set")
//!  tape file 2   pax archive: README, index.jsonl.zst    archive (kind "index"), index
//!  tape file 3   the next set ...
//! ```
//!
//! **Writing is layout.** [`archive::Layout`] never sees file data. It is told
//! of a member, and answers where in the stream its headers, its data and its
//! padding go ([`archive::Placement`]); the caller reads the data straight into
//! its final place. All the rules that make a tape robust live there: headers
//! never straddle a record, large members start on one, and a stream that is
//! laid out twice is the same stream.
//!
//! **Reading is parsing.** [`archive::Parser`] is fed the records as they come
//! from the drive, and hands back events that borrow file data from the very
//! record: nothing is copied either. Every number in it comes from outside, so
//! every number has a bound, and an error names the byte of the stream.
//!
//! | module | holds |
//! | --- | --- |
//! | [`label`] | the first tape file; [`mam`]: the same identity in cartridge memory |
//! | [`member`] | what the archive holds about one file |
//! | [`ustar`], [`pax`] | the two header formats of POSIX.1 pax, as bytes |
//! | [`acl`] | POSIX ACLs between the kernel's bytes and the text in the archive |
//! | [`archive`] | the layout and the parser |
//! | [`index`] | the JSON lines behind each set |
//! | [`recipe`] | how to read a tape without this program, in words |
//! | [`utc`] | times of day as they stand in labels and heads |
#![forbid(unsafe_code)]

pub mod acl;
pub mod archive;
pub mod index;
pub mod label;
pub mod mam;
pub mod member;
pub mod pax;
pub mod recipe;
pub mod ustar;
pub mod utc;
