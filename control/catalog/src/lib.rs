//! What was backed up, and where it lies: the catalog.
//!
//! A catalog is a folder with two kinds of things in it:
//!
//! ```text
//! DIR/catalog.sqlite        volumes and backup sets: few rows, changed often
//! DIR/sets/<UUID>.paths     one file a set: millions of rows, never changed
//! DIR/open.lock             held for the moments in which a process opens the
//!                           catalog, or begins a file
//! ```
//!
//! **Volumes and sets** are [`Volume`] and [`SetRecord`] in SQLite, in WAL mode
//! with full synchronisation, so that any number of command-line processes may
//! use the folder at a time, and a power cut costs nothing that was committed.
//! The database is checked when it is opened; a damaged one, one from a newer
//! Longhaul and one of another program are each refused with an [`Error`] of
//! their own, untouched.
//!
//! **The paths of a set** are a [`SetFile`]. It is written once, in one stream,
//! by a [`SetBuilder`]: into a temporary file, synchronised, and renamed into
//! place, so whoever opens a set file sees all of it or none. It needs no sort,
//! since a backup's members come in the byte order of their full paths, in
//! which a directory's path ends in `/`.
//!
//! A set file is cut into chunks of [`CHUNK_ROWS`] rows:
//!
//! ```text
//! header     magic, version, set, number of rows, where the directory lies
//! chunk 0    map: a finite-state map (the fst crate) from path to row
//!            columns: for each field, value minus the chunk's least value,
//!            in as few whole bytes as the chunk's greatest value needs
//! chunk 1    ...
//! directory  for each chunk: first path, place, and two CRC32Cs
//! ```
//!
//! Chunks are what bounds memory while building (one chunk, whatever the size
//! of the set) and what makes checking affordable: to find one path among ten
//! million, the directory and one chunk are read, checked and searched, which
//! is under a megabyte. Bytes reach the map's code only after their checksum
//! was found right, so a scribbled-over file is an error, not a wrong answer.
//! Files are read with `pread`, never mapped: a bad sector is then an error
//! that names the file, and not a signal.
//!
//! | to find | use |
//! | --- | --- |
//! | one path | [`SetFile::get`] |
//! | a file, or a directory and all below it | [`SetFile::subtree`] |
//! | what begins with these bytes | [`SetFile::prefix`] |
//! | `*`, `?` and `**` | [`SetFile::glob`] with a [`Pattern`] |
//! | everything, in order | [`SetFile::iter`] |
//!
//! Nothing here knows tapes: a [`Row`]'s `volume`, `block` and `offset` are
//! numbers that the mover gives and takes. All of it can be built again from
//! the tapes.
#![forbid(unsafe_code)]

mod builder;
mod catalog;
mod chunk;
mod columns;
mod database;
mod error;
mod layout;
mod pattern;
mod row;
mod set;
mod set_file;
pub mod sqlite;
mod volume;

pub use builder::SetBuilder;
pub use catalog::Catalog;
pub use chunk::CHUNK_ROWS;
pub use error::{Error, Result};
pub use pattern::Pattern;
pub use row::{EntryState, EntryType, PATH_BYTES_MAX, Row};
pub use set::{SetFilter, SetPart, SetRecord, SetState};
pub use set_file::{Rows, SetFile};
pub use volume::Volume;
