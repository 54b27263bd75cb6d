//! Going over to another path to the drive, when the present one is dead.
//!
//! A path is another I_T nexus: it holds no reservation, and unit attentions
//! wait on it that tell of long ago. So the way over is a takeover from
//! oneself, in this order:
//!
//! 1. the transport opens the next path ([`Drive::leave_dead_path`]);
//! 2. TEST UNIT READY until it answers; what attentions come are only noted
//!    ([`Drive::calm`]);
//! 3. it must be the same drive, and its reservation must still be under our
//!    key; then register, and preempt the dead path's key
//!    ([`Drive::take_from_oneself`]);
//! 4. what was in flight has an unknown outcome, as after any broken path:
//!    READ POSITION tells ([`Drive::settle`]).

use super::error::Problem;
use super::recovery::Step;
use super::session::Drive;

impl Drive {
    /// Takes the next path if this step says that the present one is dead, and
    /// there is another. Until it is [calm](Drive::calm) there, the drive is
    /// not ours.
    pub(super) fn leave_dead_path(&mut self, step: &Step) -> bool {
        let is_dead = matches!(step, Step::Unknown(Problem::Path(_)));
        if !is_dead || !self.transport.change_path() {
            return false;
        }
        self.on_new_path = true;
        self.doubt = true;
        self.modes_doubt = true;
        true
    }
}
