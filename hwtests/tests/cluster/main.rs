//! Coordinator, backup services and a library as real processes on this host,
//! and all that may happen to them: what the simulator (hwtests/sim) does to
//! their minds, with real signals, sockets and disks.
//!
//! After each, the run is done, once; what was said to be safe was gone on with;
//! and the set comes back from the tape as the source is.

mod alone;
mod connected;
mod deaths;
mod elsewhere;
mod ends;
mod faulty;
mod jobs;
mod notices;
mod reach;
mod released;
mod stopped;
