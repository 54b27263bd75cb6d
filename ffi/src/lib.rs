//! The kernel's interfaces as safe Rust.
//!
//! This is the ground floor, and the only crate where `unsafe` may stand. What
//! it holds is small and each piece has one proof:
//!
//! - [`buffer`]: page-aligned memory that is allocated once, and lent out as
//!   whole [`Buffer`](buffer::Buffer)s or as disjoint
//!   [`Span`](buffer::Span)s of one. Whoever holds a span is the only one who
//!   can touch its bytes, so the kernel may fill many spans of one buffer at a
//!   time while a thread writes into others.
//! - [`ring`]: an io_uring that *owns* what is in flight. A read takes the file
//!   and the span, and gives them back with the result; nothing can free or
//!   look at the memory before.
//! - [`tcmu`]: the ring through which the kernel hands SCSI commands of a
//!   device to this process. The other writer of that memory is the kernel, so
//!   it is only ever copied, with every number checked.
//!
//! - [`sg`]: one SCSI command through the `SG_IO` ioctl, and what the kernel
//!   tells of it, byte for byte.
//! - [`bsg`]: the same through io_uring on `/dev/bsg`, from kernel 7.1 on; the
//!   buffer is owned while the command is in flight.
//!
//! Nothing here knows tapes or archives, nor what a SCSI command means.

pub mod bsg;
pub mod buffer;
pub mod ring;
pub mod sg;
pub mod tcmu;
