//! The library's door on a Unix socket: for movers on the same machine, without
//! a kernel between, and for drives that outlive their movers as real ones do.
//!
//! [`Server`] serves a [`Library`](crate::Library); [`Remote`] is the other
//! end, a [`Transport`](longhaul_scsi::transport::Transport) to one of its
//! devices, named `vtape:unix:PATH#SERIAL` ([`Address`]).
//!
//! # Who is who
//!
//! An initiator has a name: the host's, if nobody says otherwise. One name is
//! one I_T nexus of a device, however often it connects, as a host adapter is
//! in a SAN: a mover that is started again after its death meets the
//! registration and the unit attentions of the one before it.
//!
//! One process at a time has the path of a nexus, as one at a time has
//! `/dev/nst0` open. A second one is told who. The path is free again when the
//! connection has ended and the command that was on it, if one was, has been
//! carried out: nothing of an old connection is carried out after a new one has
//! begun.
//!
//! # The protocol
//!
//! Numbers are big-endian. The client says who it is, and the server whether
//! that may be; then commands and answers take turns, one in flight.
//!
//! | message | bytes |
//! | --- | --- |
//! | hello, from the client | `LHVTL` 0 0 1; u32 process id; u8 and u8: lengths of serial number and initiator's name; these |
//! | welcome, from the server | u8: 0 welcome, 1 no such device, 2 in use, 3 too many connections, 4 not understood; u32: the process that uses it, or 0 |
//! | command, from the client | u8 length of the CDB; u32 bytes of data out; u32 bytes of room for data in; the CDB; data out |
//! | answer, from the server | u8: 0 a status, 1 the transport failed; u8 which; u8 length of sense data; u32 bytes moved; sense data; data in |
//!
//! The bytes moved are those of data in, if there is room for any, and of data
//! out otherwise. Data in is sent as far as it moved. Lengths are bounded
//! (`wire`); whoever breaks a bound, or the order, finds the connection closed.

mod address;
mod remote;
mod server;
mod wire;

pub use address::{Address, SCHEME};
pub use remote::{ConnectError, Remote};
pub use server::{CONNECTIONS_MAX, Server};
pub use wire::DATA_BYTES_MAX;
