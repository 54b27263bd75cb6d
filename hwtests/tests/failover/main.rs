//! The programs on clusters: real Corosync and Pacemaker, with fencing that
//! cuts the power, and a SAN.
//!
//! Names of tests begin with the requirements that they show.

mod application;
mod liars;
mod moves;
