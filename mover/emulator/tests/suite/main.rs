//! Drive and changer, command by command, and what is left after a kill.

mod agreement;
mod basic;
mod cabinet;
mod cartridge;
mod changer;
mod clock;
mod crash;
mod end_of_medium;
mod faults;
mod fixed_blocks;
mod library;
mod logs;
mod memory;
mod model;
mod modes;
mod motion;
mod nexuses;
mod position;
mod protection;
mod rig;
mod socket;
mod transfer;
mod transport;
