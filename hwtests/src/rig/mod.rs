//! Real kernels, real SCSI drivers and real networks, without hardware.
//!
//! A host of a test is a User Mode Linux kernel ([`host`]): an ordinary
//! process, up in two seconds, with the sg, st, ch, iSCSI and Fibre Channel
//! drivers that any machine has. Killing the process is a power failure. Its
//! network is a [`network`] namespace with a bridge a network, from which no
//! traffic leaves. A [`trial`](fn@trial) is a test that uses them: it says aloud what it
//! had to skip, how long it took, and, if it fails, all that its hosts said.
//!
//! A [`cluster`] is three such hosts under Corosync and Pacemaker, with [`fencing`]
//! that is answered by the test, and a [`san`] of tapes and disks.
//!
//! The kernels and the root that hosts share are made once, by the scripts in
//! `rig/`, in the folder `rig` beside cargo's build folders ([`parts`]). All
//! that a host writes goes away with it, or into a folder of its test.

pub mod cluster;
pub mod fcoe;
pub mod fencing;
pub mod host;
pub mod iscsi;
pub mod library;
pub mod network;
pub mod parts;
pub mod power;
pub mod san;
pub mod seen;
pub mod trial;

pub use cluster::Cluster;
pub use fencing::{Fencing, Mode};
pub use host::{Ended, Host, Job, Machine};
pub use network::{Carried, Net, Network};
pub use parts::{Kernel, Part, install_script};
pub use power::Power;
pub use san::{Fabric, San};
pub use trial::{Trial, trial};
