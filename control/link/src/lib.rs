//! What the control plane's programs have in common: who is who, how they reach each
//! other, and what they tell their service manager.
//!
//! A cluster has a certificate authority of its own ([`Authority`]), made once.
//! It issues certificates to the coordinator, to the services of nodes, and to
//! operators; which of them somebody is ([`Role`]) stands in the certificate, and
//! nowhere else. Both sides of a connection show theirs, and take only what this
//! authority issued: TLS 1.3, and no other.
//!
//! A client does not care at which address it has found the coordinator, since
//! that floats: it asks for the certificate of *the coordinator*. A server asks
//! what role its peer has.
//!
//! On a [`Connection`], messages go both ways as
//! [`frame`](longhaul_protocol::frame) has them. Nobody waits for the other for
//! ever, and nobody keeps more for him than is said here: each wait has a time
//! limit, each queue a length.
//!
//! | file | noun |
//! | --- | --- |
//! | `role` | what a certificate says of who has it |
//! | `authority` | who issues certificates |
//! | `identity` | one's own certificate and key |
//! | `connection` | two peers that know each other |
//! | `outbox` | what is to be written |
//! | `file` | files of certificates and keys |
//! | `manager` | systemd, which is told that a program is there |
#![forbid(unsafe_code)]

pub mod authority;
pub mod connection;
mod file;
pub mod identity;
pub mod manager;
pub mod outbox;
pub mod role;

pub use authority::Authority;
pub use connection::{Connection, LinkError};
pub use identity::{Identity, IdentityError};
pub use outbox::Outbox;
pub use role::Role;
