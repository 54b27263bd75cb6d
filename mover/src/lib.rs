//! The mover: streams files to the tape drive assigned to it, and back.
//!
//! Data flows one way:
//!
//! ```text
//! source ──▶ pipeline ──▶ (archive layout) ──▶ drive ──▶ transport ──▶ kernel
//! ```
//!
//! - [`source`] walks directories ahead of time, in the byte order of paths,
//!   and opens and examines files on many threads.
//! - [`pipeline`] has the layout of `longhaul-format` give every byte its
//!   place, lets the kernel read file data straight there, hashes it and hands
//!   records to the drive, one buffer pool for all.
//! - [`drive`] is a tape drive: position, blocks, filemarks, reservation, and
//!   what to do when something goes wrong. It knows tape and no archives.
//! - [`changer`] is the robot of a tape library: what lies where, and moves that
//!   survive a crash.
//! - [`transport`] turns a drive's name into a path to it.
//! - [`restore`] makes files below one directory out of members, safely.
//! - [`job`] is what people ask for: label, back up, restore, verify, close,
//!   scan. Jobs tie the others together.
//! - [`service`] is the mind of the backup service: what it does about what the
//!   coordinator orders.
//! - [`serve`] is that service: its connection, its disk, its processes.
//! - [`cli`] is the command line over the jobs.
//!
//! No lower layer knows a higher one, and none uses an async runtime: threads,
//! bounded channels, and io_uring.
#![forbid(unsafe_code)]

pub mod changer;
pub mod checkpoint;
pub mod cli;
pub mod drive;
pub mod job;
mod newest;
pub mod pipeline;
pub mod progress;
pub mod restore;
pub mod serve;
pub mod service;
pub mod shown;
pub mod source;
pub mod transport;
