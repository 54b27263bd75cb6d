//! The commands that the drive knows, in one table: their lengths, timeouts,
//! and who may send them when.

use longhaul_scsi::spc::opcode as spc;
use longhaul_scsi::ssc::opcode as ssc;

use crate::spc::commands::{Known, known};
use crate::spc::reservation::Guard;

use Guard::{Guarded, Open, Reads};

/// What it knows beside [the common ones](crate::spc::commands::COMMON).
/// Timeouts are those of a full-height LTO-9 drive. Which commands a
/// reservation lets through is SSC-5 4.2's table.
pub(crate) const COMMANDS: [Known; 17] = [
    known(ssc::REWIND, None, "REWIND", 6, 600, Guarded),
    known(
        ssc::READ_BLOCK_LIMITS,
        None,
        "READ BLOCK LIMITS",
        6,
        60,
        Open,
    ),
    known(ssc::READ_6, None, "READ(6)", 6, 2340, Reads),
    known(ssc::WRITE_6, None, "WRITE(6)", 6, 1500, Guarded),
    known(
        ssc::WRITE_FILEMARKS_6,
        None,
        "WRITE FILEMARKS(6)",
        6,
        1620,
        Guarded,
    ),
    known(ssc::SPACE_6, None, "SPACE(6)", 6, 2940, Guarded),
    known(spc::MODE_SELECT_6, None, "MODE SELECT(6)", 6, 60, Guarded),
    known(ssc::ERASE_6, None, "ERASE(6)", 6, 30_000, Guarded),
    known(ssc::LOAD_UNLOAD, None, "LOAD UNLOAD", 6, 960, Guarded),
    known(ssc::LOCATE_10, None, "LOCATE(10)", 10, 2940, Guarded),
    known(ssc::READ_POSITION, None, "READ POSITION", 10, 60, Reads),
    known(
        ssc::REPORT_DENSITY_SUPPORT,
        None,
        "REPORT DENSITY SUPPORT",
        10,
        60,
        Open,
    ),
    known(
        spc::MODE_SELECT_10,
        None,
        "MODE SELECT(10)",
        10,
        60,
        Guarded,
    ),
    known(spc::READ_ATTRIBUTE, None, "READ ATTRIBUTE", 16, 60, Reads),
    known(
        spc::WRITE_ATTRIBUTE,
        None,
        "WRITE ATTRIBUTE",
        16,
        60,
        Guarded,
    ),
    known(ssc::SPACE_16, None, "SPACE(16)", 16, 2940, Guarded),
    known(ssc::LOCATE_16, None, "LOCATE(16)", 16, 2940, Guarded),
];
