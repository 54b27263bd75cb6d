//! The commands that the changer knows, in one table: their lengths, timeouts,
//! and who may send them when.

use longhaul_scsi::smc::opcode as smc;

use crate::spc::commands::{Known, known};
use crate::spc::reservation::Guard;

use Guard::{Guarded, Reads};

/// What it knows beside [the common ones](crate::spc::commands::COMMON).
/// Timeouts are those of a small library.
pub(crate) const COMMANDS: [Known; 7] = [
    known(
        smc::INITIALIZE_ELEMENT_STATUS,
        None,
        "INITIALIZE ELEMENT STATUS",
        6,
        1800,
        Guarded,
    ),
    known(
        smc::POSITION_TO_ELEMENT,
        None,
        "POSITION TO ELEMENT",
        10,
        300,
        Guarded,
    ),
    known(
        smc::INITIALIZE_ELEMENT_STATUS_WITH_RANGE,
        None,
        "INITIALIZE ELEMENT STATUS WITH RANGE",
        10,
        1800,
        Guarded,
    ),
    known(smc::MOVE_MEDIUM, None, "MOVE MEDIUM", 12, 1200, Guarded),
    known(
        smc::EXCHANGE_MEDIUM,
        None,
        "EXCHANGE MEDIUM",
        12,
        2400,
        Guarded,
    ),
    known(
        smc::READ_ELEMENT_STATUS,
        None,
        "READ ELEMENT STATUS",
        12,
        300,
        Reads,
    ),
    known(
        smc::INITIALIZE_ELEMENT_STATUS_WITH_RANGE_OLD,
        None,
        "INITIALIZE ELEMENT STATUS WITH RANGE (E7h)",
        10,
        1800,
        Guarded,
    ),
];
