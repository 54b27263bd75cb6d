//! The program as people run it: `lh-mover` on emulated cartridges, its exit
//! codes, its words and its JSON.

mod changes;
mod crafted;
mod damage;
mod life;
mod protection;
mod refused;
mod resume;
mod rig;
mod selective;
mod source;
mod spanning;
mod unfinished;
