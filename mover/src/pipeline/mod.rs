//! Buffers go round: from the pool to the source's reads, to the digest, to
//! the drive, and back.
//!
//! ```text
//!  source ──▶ assemble ──────────▶ digest ──────────▶ write ──▶ drive
//!  (walk)     layout, headers,     BLAKE3 of each     one WRITE
//!             reads in flight      file, index spool  after another
//!                ▲                                      │
//!                └──────────── pool of buffers ◀────────┘
//! ```
//!
//! [`assemble`] lays members out, writes headers into the record
//! buffers, and has the kernel read file data straight to its final place, many
//! reads at once, in any order. A record that is complete goes on, in order:
//! [`digest`] hashes the files in it, on several cores, and gives the index
//! entries of those that end there; [`mod@write`] does nothing but command the
//! drive. Each is a thread of its own, hashing several. No file data
//! is copied by the CPU on the way, and memory is one [`Pool`]: when it is
//! empty, everything upstream waits.
//!
//! [`read`] is the other way: one thread reads records ahead, the caller parses
//! them.
//!
//! [`Pool`]: longhaul_ffi::buffer::Pool

pub mod assemble;
pub mod digest;
pub mod entry;
mod filling;
pub mod links;
mod members;
pub mod read;
mod reads;
pub mod record;
pub(crate) mod tree;
pub mod write;
