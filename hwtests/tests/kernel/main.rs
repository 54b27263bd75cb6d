//! The programs on real kernels: with their SCSI drivers, on their networks,
//! beside other people's programs.
//!
//! Names of tests begin with the requirements that they show.

mod data;
mod devices;
mod fcoe;
mod hosts;
mod iscsi;
mod library;
mod vtl;
