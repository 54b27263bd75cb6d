//! A whole cluster in one process, under a clock of its own, from a seed: the
//! real decision cores of coordinator and services, and models of what lies
//! around them. Thousands of runs with troubles take seconds.
//!
//! | file | noun |
//! | --- | --- |
//! | `chance` | numbers from a seed |
//! | `tape` | drives and volumes |
//! | `mover` | the process of an attempt |
//! | `world` | the clock, and what happens when: `center` the coordinator's process, `node` services and processes of attempts, `applications` what moves, `standing` what their cluster services say, `cluster` who is a member and what runs where, `network` what lies between |
//! | `scenario` | a cluster, its jobs, and its end |
//! | `troubles` | what goes wrong |
//! | `checks` | what must be true |
#![forbid(unsafe_code)]

mod chance;
mod checks;
mod mover;
mod scenario;
mod tape;
mod troubles;
mod world;

pub use scenario::{Summary, run};
pub use troubles::KINDS;
