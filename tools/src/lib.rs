//! Tools around tapes: what is not a mover's work.
//!
//! - [`vtl`]: cartridges of the virtual tape library from outside: what is on
//!   one, and its tape files as plain files, so that anyone can look at a
//!   backup with programs that are not ours. The program is `lh-vtl`.
//! - [`tapelib`]: a library's inventory, shown. The program is `lh-tapelib`,
//!   and all that it does is the mover's.
//! - [`services`]: what many services cost a coordinator. A part of `lh-bench`.
//! - [`transfer`]: how fast records go through the kernel to a drive, by each of
//!   its doors. A part of `lh-bench`, as is
//! - [`operations`]: how long a coordinator takes to start.
//!
//! The programs themselves (`src/bin`) hold no more than the command line;
//! what they do is here, and returns errors that carry their exit code.
#![forbid(unsafe_code)]

pub mod operations;
pub mod services;
pub mod tapelib;
pub mod transfer;
pub mod vtl;
