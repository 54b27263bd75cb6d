//! The drive against the emulated one, and against transports that lie.

mod doubts;
mod ends;
mod fail_nth;
mod life;
mod nexuses;
mod noise;
mod outcomes;
mod paths;
mod protection;
mod rig;
mod tampered;
