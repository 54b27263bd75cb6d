//! The programs on real kernels: with their SCSI drivers, on their networks,
//! beside other people's programs.
//!
//! Names of tests begin with the requirements that they show.

mod agents;
mod conformance;
mod data;
mod deaths;
mod devices;
mod fcoe;
mod fibre;
mod hosts;
mod initiators;
mod job;
mod mover;
mod paths;
mod peers;
mod san;
mod stopped;
mod thin;
mod vtl;
