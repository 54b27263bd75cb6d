//! Writing and reading, filemarks, lengths.

use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::spc::mode::{ModePage, ModeParameters, ModeSelect10, ModeSense10, Page};
use longhaul_scsi::ssc::mode::{ControlDataProtection, ProtectionMethod};
use longhaul_scsi::ssc::transfer::{Read6, Write6, WriteFilemarks6};

use super::bench::{block, if_known, must, parsed};
use super::{Bench, Case, Gap, Group};

pub(super) const CASES: &[Case] = &[
    case(
        "blocks of many lengths come back as they were written",
        round_trip,
    ),
    case(
        "a filemark ends a read, and the tape stands behind it",
        filemark,
    ),
    case(
        "a short block is told with ILI and the residual",
        short_block,
    ),
    case(
        "an over-long block is told with ILI, and the tape stands behind it",
        long_block,
    ),
    case("SILI suppresses the report of a short block", suppressed),
    case("behind the last block is the end of data", end_of_data),
    case("writing in the middle makes a new end of data", overwrite),
    case("several filemarks are several objects", several_filemarks),
    case("WRITE FILEMARKS of count 0 makes no object", synchronise),
    case("WRITE FILEMARKS with IMMED makes its object", immediate),
    case(
        "fixed blocks are counted, and a filemark leaves a residual in blocks",
        fixed,
    ),
    case("a transfer of nothing moves nothing", nothing),
    case(
        "a checksum behind each block is checked, given back, and no part of it",
        protection,
    ),
];

const fn case(name: &'static str, run: fn(&mut Bench) -> Result<(), Gap>) -> Case {
    let group = Group::Blocks;
    Case { name, group, run }
}

fn round_trip(bench: &mut Bench) -> Result<(), Gap> {
    let lengths = [1, 80, 511, 512, 4096, 10_240, 65_536, 262_144, 524_288];
    let blocks: Vec<_> = lengths.iter().map(|len| block(*len as u64, *len)).collect();
    bench.write_all(&blocks)?;
    bench.filemarks(1)?;
    bench.rewind()?;
    for block in &blocks {
        bench.expect_block(block)?;
    }
    bench.expect_at(lengths.len() as u64)
}

fn filemark(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 1000)])?;
    bench.filemarks(1)?;
    bench.write_all(&[block(2, 2000)])?;
    bench.filemarks(1)?;
    bench.rewind()?;
    bench.expect_block(&block(1, 1000))?;
    let sense = bench.read(4096).check(SenseKey::NoSense, 0x00, 0x01)?;
    must!(sense.filemark, "FILEMARK is not set");
    must!(
        sense.residual() == Some(4096),
        "INFORMATION is {:?} instead of 4096",
        sense.residual()
    );
    bench.expect_at(2)?;
    bench.expect_block(&block(2, 2000))
}

fn short_block(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(3, 1000)])?;
    bench.filemarks(1)?;
    bench.rewind()?;
    let answer = bench.ask(0, Read6::variable(4096, false), 4096);
    let sense = answer.check(SenseKey::NoSense, 0, 0)?;
    must!(sense.ili, "ILI is not set");
    must!(
        sense.residual() == Some(3096),
        "INFORMATION is {:?} instead of 3096",
        sense.residual()
    );
    bench.expect_at(1)
}

fn long_block(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(4, 5000), block(5, 600)])?;
    bench.filemarks(1)?;
    bench.rewind()?;
    let sense = bench
        .ask(0, Read6::variable(2000, false), 2000)
        .check(SenseKey::NoSense, 0, 0)?;
    must!(sense.ili, "ILI is not set");
    must!(
        sense.residual() == Some(-3000),
        "INFORMATION is {:?} instead of -3000",
        sense.residual()
    );
    bench.expect_at(1)?;
    bench.expect_block(&block(5, 600))
}

fn suppressed(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(6, 1000)])?;
    bench.filemarks(1)?;
    bench.rewind()?;
    bench.read(4096).good()?;
    bench.expect_at(1)
}

fn end_of_data(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(7, 1000)])?;
    bench.filemarks(1)?;
    bench.rewind()?;
    bench.expect_block(&block(7, 1000))?;
    bench.read(4096).check(SenseKey::NoSense, 0x00, 0x01)?;
    for _ in 0..2 {
        bench.read(4096).check(SenseKey::BlankCheck, 0x00, 0x05)?;
        bench.expect_at(2)?;
    }
    Ok(())
}

fn overwrite(bench: &mut Bench) -> Result<(), Gap> {
    let blocks: Vec<_> = (0..4).map(|seed| block(seed, 2000)).collect();
    bench.write_all(&blocks)?;
    bench.filemarks(1)?;
    bench.rewind()?;
    bench.expect_block(&blocks[0])?;
    bench.write_all(&[block(9, 700)])?;
    bench.filemarks(0)?;
    bench.rewind()?;
    bench.expect_block(&blocks[0])?;
    bench.expect_block(&block(9, 700))?;
    bench
        .read(4096)
        .check(SenseKey::BlankCheck, 0x00, 0x05)
        .map(drop)
}

fn several_filemarks(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 512)])?;
    bench.filemarks(3)?;
    bench.expect_at(4)?;
    bench.rewind()?;
    bench.expect_block(&block(1, 512))?;
    for object in 2..=4 {
        bench.read(512).check(SenseKey::NoSense, 0x00, 0x01)?;
        bench.expect_at(object)?;
    }
    Ok(())
}

fn synchronise(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 512)])?;
    bench.command(0, WriteFilemarks6::synchronize()).good()?;
    bench.expect_at(1)
}

fn immediate(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 512)])?;
    bench.command(0, WriteFilemarks6::new(1, true)).good()?;
    bench.expect_at(2)?;
    bench.filemarks(0)
}

fn fixed(bench: &mut Bench) -> Result<(), Gap> {
    bench.set_block_length(1024)?;
    let data = block(11, 8 * 1024);
    bench.tell(0, Write6::fixed_blocks(8), &data).good()?;
    bench.filemarks(1)?;
    bench.expect_at(9)?;
    bench.rewind()?;
    let read = bench.ask(0, Read6::fixed_blocks(5), 5 * 1024).good()?;
    must!(
        !bench.keeps_data || read == data[..5 * 1024],
        "5 blocks came back with other data"
    );
    let sense =
        bench
            .ask(0, Read6::fixed_blocks(5), 5 * 1024)
            .check(SenseKey::NoSense, 0x00, 0x01)?;
    must!(
        sense.filemark && sense.residual() == Some(2),
        "FILEMARK {}, INFORMATION {:?} instead of 2",
        sense.filemark,
        sense.residual()
    );
    bench.expect_at(9)?;
    bench.set_block_length(0)
}

fn nothing(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 512)])?;
    bench.filemarks(0)?;
    bench.command(0, Write6::variable(0)).good()?;
    bench.expect_at(1)?;
    bench.rewind()?;
    bench.command(0, Read6::variable(0, false)).good()?;
    bench.expect_at(0)
}

/// Logical block protection with CRC32C (SSC-5 4.2.29).
fn protection(bench: &mut Bench) -> Result<(), Gap> {
    let (code, subpage) = (ControlDataProtection::CODE, ControlDataProtection::SUBPAGE);
    let asked = bench.ask(0, ModeSense10::new(code, subpage, 512), 512);
    let found = parsed(ModeParameters::parse_10(&if_known(asked)?))?;
    let Some(before) = found.fields::<ControlDataProtection>() else {
        return Err(Gap::Lacking("the page Control Data Protection".into()));
    };
    let mut on = before;
    on.set_method(ProtectionMethod::Crc32c);
    on.set_on_write(true);
    on.set_on_read(true);
    select_protection(bench, &found, &on)?;
    let result = protected_blocks(bench);
    // Whatever came of it: the other cases know nothing of checksums.
    select_protection(bench, &found, &before)?;
    result?;
    if !bench.keeps_data {
        return Ok(());
    }
    bench.rewind()?;
    bench.expect_block(&block(1, 1000))
}

fn select_protection(
    bench: &mut Bench,
    found: &ModeParameters,
    fields: &ControlDataProtection,
) -> Result<(), Gap> {
    let mut modes = found.clone();
    modes
        .pages
        .iter_mut()
        .filter(|page: &&mut ModePage| page.fields::<ControlDataProtection>().is_some())
        .for_each(|page| page.set_fields(fields));
    let list = modes.encode_select_10();
    let answer = bench.tell(0, ModeSelect10::new(list.len() as u16, false), &list);
    if_known(answer).map(drop)
}

fn protected_blocks(bench: &mut Bench) -> Result<(), Gap> {
    let data = block(1, 1000);
    let protected = [&data[..], &crc32c::crc32c(&data).to_le_bytes()].concat();
    bench.write(&protected).good()?;
    let mut changed = protected.clone();
    changed[500] ^= 1;
    bench
        .write(&changed)
        .check(SenseKey::HardwareError, 0x10, 0x01)?;
    bench.expect_at(1)?;
    bench.filemarks(1)?;
    bench.rewind()?;
    bench.expect_block(&protected)
}
