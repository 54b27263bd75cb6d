//! Whole-system tests: the programs as their users run them, judged by
//! programs that are not ours.
//!
//! What is here are the means; the tests are in `tests/`:
//!
//! - [`tree`] makes a directory tree with every kind of entry that a backup
//!   must bring back, and every name, time and attribute that is known to go
//!   wrong. What the host cannot make (devices without root, ACLs on a file
//!   system that has none) is left out, and named.
//! - `compare.py` compares two trees in content and metadata, with Python's
//!   standard library alone; [`compare`](mod@compare) runs it.
//! - [`program`] runs our programs and others', with an end to their patience,
//!   and keeps what they said.
//! - [`peers`] restores an exported tape file with GNU tar, bsdtar and Python's
//!   tarfile, and knows what each of them cannot bring back.
//! - [`rig`] boots real kernels, with real SCSI drivers and networks between
//!   them, as ordinary processes.
//! - [`jobs`] runs the mover's jobs in the test's own process.
//! - [`moments`] are when something happens that may happen at any time.
//! - [`served`] is an emulated library on a socket; [`person`] sits at a
//!   terminal in front of a program.
//! - [`cluster`] is a coordinator, backup services and such a library: each a
//!   [`daemon`]; [`proxy`] is a bad network between them, and [`until`] waits for
//!   what is to come of it; [`shown`] is what the coordinator shows of a run.
//! - [`scratch`] gives a test a folder of its own that goes away with it.
//!
//! A test that needs what the host does not have says so on stderr and passes;
//! as root on a usual file system nothing is left out.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod compare;
pub mod conformance;
pub mod daemon;
pub mod jobs;
pub mod moments;
pub mod peers;
pub mod person;
pub mod program;
pub mod proxy;
pub mod rig;
pub mod scratch;
pub mod served;
pub mod shown;
pub mod tree;
pub mod until;
