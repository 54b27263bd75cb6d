//! Early warning and the end of the partition. These cases fill the medium.

use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::Outcome;

use super::bench::{Answer, block, must};
use super::{Bench, Case, Gap, Group};

pub(super) const CASES: &[Case] = &[
    case("early warning comes with the block written", early_warning),
    case(
        "at the end a block is not written, and the residual is all of it",
        overflow,
    ),
];

const fn case(name: &'static str, run: fn(&mut Bench) -> Result<(), Gap>) -> Case {
    let group = Group::Ends;
    Case { name, group, run }
}

/// A device that keeps no data counts blocks, not bytes: it gets small ones.
fn block_bytes(bench: &Bench) -> usize {
    if bench.keeps_data { 64 << 10 } else { 512 }
}

/// A medium that takes more than this is not a small one.
const BLOCKS_MAX: u64 = 64 << 10;

fn filler(bench: &Bench, number: u64) -> Vec<u8> {
    block(number, block_bytes(bench))
}

/// Whether a write was done, at or past early warning: NO SENSE with EOM.
fn warns(outcome: &Outcome) -> bool {
    let sense = outcome.sense.as_ref();
    outcome.status == Ok(Status::CheckCondition)
        && sense.is_some_and(|sense| sense.key == SenseKey::NoSense && sense.eom)
}

/// Writes until early warning; gives the number of blocks that were written.
fn fill(bench: &mut Bench) -> Result<u64, Gap> {
    for number in 0..BLOCKS_MAX {
        let filler = filler(bench, number);
        let answer = bench.write(&filler);
        if warns(&answer.outcome) {
            return Ok(number + 1);
        }
        answer.good()?;
    }
    let what = format!("no early warning in {BLOCKS_MAX} blocks");
    Err(Gap::Lacking(what))
}

fn early_warning(bench: &mut Bench) -> Result<(), Gap> {
    let written = fill(bench)?;
    bench.expect_at(written)?;
    // Filemarks are still taken there.
    let answer = bench.command(
        0,
        longhaul_scsi::ssc::transfer::WriteFilemarks6::new(1, false),
    );
    if !warns(&answer.outcome) {
        answer.good()?;
    }
    bench.expect_at(written + 1)?;
    let locate = longhaul_scsi::ssc::motion::Locate10::new(written as u32 - 1);
    bench.command(0, locate).good()?;
    let last = filler(bench, written - 1);
    bench.expect_block(&last)
}

fn overflow(bench: &mut Bench) -> Result<(), Gap> {
    let mut written = fill(bench)?;
    let refused: Answer = loop {
        let filler = filler(bench, written);
        let answer = bench.write(&filler);
        if !warns(&answer.outcome) {
            break answer;
        }
        written += 1;
        must!(written < BLOCKS_MAX, "no end behind early warning");
    };
    let sense = refused.check(SenseKey::VolumeOverflow, 0x00, 0x02)?;
    let all = block_bytes(bench);
    must!(
        sense.eom && sense.residual() == Some(all as i64),
        "EOM {}, INFORMATION {:?} instead of {all}",
        sense.eom,
        sense.residual()
    );
    bench.expect_at(written)?;
    let locate = longhaul_scsi::ssc::motion::Locate10::new(written as u32 - 1);
    bench.command(0, locate).good()?;
    let last = filler(bench, written - 1);
    bench.expect_block(&last)
}
