//! The programs on clusters: real Corosync and Pacemaker, with fencing that
//! cuts the power, and a SAN.
//!
//! Names of tests begin with the requirements that they show.

mod application;
mod dies;
mod document;
mod documented;
mod failure;
mod follows;
mod fresh;
mod house;
mod lan;
mod moves;
mod quorum;
mod reach;
mod said_dead;
mod tapes;
mod undisturbed;
mod waits;
