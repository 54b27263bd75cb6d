//! SSC-5: sequential-access devices, that is, tape drives.
//!
//! A partition is a row of *logical objects*, numbered from 0: blocks, of any
//! length each, and filemarks. What is written ends at *end of data*; a write
//! in the middle makes end of data of what was behind. Towards its end come
//! the programmable early warning zone, early warning, and end of partition.
//!
//! | module | commands |
//! | --- | --- |
//! | [`transfer`] | READ(6), WRITE(6), VERIFY(6), WRITE FILEMARKS(6) |
//! | [`motion`] | REWIND, LOCATE, SPACE, LOAD UNLOAD |
//! | [`read_position`] | READ POSITION in its three forms |
//! | [`read_block_limits`], [`report_density_support`] | what drive and medium can do |
//! | [`medium`] | ERASE(6), FORMAT MEDIUM, SET CAPACITY, ALLOW OVERWRITE |
//! | [`mod@mode`], [`log`] | the pages that only tape drives have |

pub mod log;
pub mod medium;
pub mod mode;
pub mod motion;
pub mod opcode;
pub mod read_block_limits;
pub mod read_position;
pub mod report_density_support;
pub mod transfer;
