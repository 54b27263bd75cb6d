//! The restore target: members of an archive in, files below one directory out.
//!
//! This folder knows no tape and no archive format. It is handed
//! [`Member`](longhaul_format::member::Member)s in the archive's order, and for
//! regular files their data in pieces:
//!
//! ```text
//!  Target::open(dir, options)
//!    begin(&member) ── Begun::Done(Outcome)            everything but files
//!                  └── Begun::Content(NewFile)         data(offset, bytes) …
//!    end(file) ─────── Outcome                         in place, or skipped
//!    finish(warn) ──── Counts                          directories get their
//!                                                      modes and times
//!    sync()                                            and all is on the disks
//! ```
//!
//! # An archive is not to be trusted
//! Whoever wrote it may want to write elsewhere than where it is restored. So
//! nothing is ever reached by a path: the target is opened once, and every
//! directory on the way is opened from the descriptor of the one above it, with
//! `openat2` and `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS` and
//! `RESOLVE_NO_MAGICLINKS` ([`Target`] → `below`). A path that is absolute, or
//! holds `..`, `.`, an empty component or a NUL, is refused before that
//! (`path`), for members and for the targets of hard links alike. A symbolic
//! link is restored with whatever content it has, but never walked through,
//! whether the archive planted it or it was there before. Metadata is set
//! through descriptors, not names (`node`), and hard links lead only to files
//! that this very restore made or found to be the same. Names in messages are
//! escaped ([`Shown`](crate::shown::Shown)).
//!
//! # A name means a whole file
//! Everything is made under a temporary name and renamed into place when its
//! data and metadata are complete (`temporary`), so what is overwritten stays
//! whole until then, too. The exception are directories: they are made at once,
//! mode 0700, and get their own owner, mode, ACLs and times at the end, the
//! deepest first (`directories`), when nothing is made in them any more. Only
//! then can anybody else look in.
//!
//! # What falls short is named
//! An [`Error`] is one member that was not restored; the next may follow,
//! unless [`Error::ends_restore`]. A [`Warning`] is a member in place that lacks
//! something: an owner, an attribute, an ACL that this user or this file system
//! would not take. Either makes the whole restore end with exit code 1. After
//! setting metadata we look at the file again, for a file system may take a
//! value and keep another (`metadata` has the order in which it is set, and
//! why).
//!
//! | file | holds |
//! | --- | --- |
//! | `target` | the restore as a whole |
//! | `path`, `below` | which paths are safe; the open directories they lead through |
//! | `policy` | what may be overwritten |
//! | `file`, `special`, `directories` | the kinds of members |
//! | `temporary` | a name until the real one |
//! | `filesystems` | whether the disks keep it |
//! | `metadata`, `node` | the order of things; a file by its descriptor |
//! | `error` | what is said |

mod below;
mod directories;
mod error;
mod file;
mod filesystems;
mod metadata;
mod node;
mod path;
mod policy;
mod special;
mod target;
mod temporary;
#[cfg(test)]
mod tests;

pub use error::{Error, Step, Warning, What};
pub use file::NewFile;
pub use metadata::Owners;
pub use path::{PATH_BYTES_MAX, PathFault};
pub use policy::{Overwrite, Skip};
pub use target::{Begun, Counts, Options, Outcome, Target};
pub use temporary::PREFIX;
