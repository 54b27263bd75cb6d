//! The drive against the emulated one, and against transports that lie.

mod ends;
mod fail_nth;
mod life;
mod nexuses;
mod outcomes;
mod rig;
mod tampered;
