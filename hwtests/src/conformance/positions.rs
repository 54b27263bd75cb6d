//! LOCATE, SPACE, READ POSITION.

use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::ssc::motion::{Destination, Locate10, Locate16, Space6, Space16, SpaceOver};
use longhaul_scsi::ssc::read_position::{Form, Position, ReadPosition};

use super::bench::{block, if_known, must, parsed};
use super::{Bench, Case, Gap, Group};

pub(super) const CASES: &[Case] = &[
    case(
        "at the beginning READ POSITION says so, and block 0",
        beginning,
    ),
    case("LOCATE(10) finds every object", locate_10),
    case("LOCATE(16) finds every object", locate_16),
    case("LOCATE(16) finds files and the end of data", locate_files),
    case("LOCATE behind the end of data ends there", locate_beyond),
    case("the long form counts filemarks", long_form),
    case(
        "the extended form agrees with the short one after a synchronisation",
        extended,
    ),
    case("SPACE over blocks, both ways", space_blocks),
    case(
        "SPACE over blocks stops behind a filemark, with the residual",
        space_meets_filemark,
    ),
    case("SPACE over filemarks, both ways", space_filemarks),
    case("SPACE to the end of data", space_to_end),
    case("SPACE backwards meets the beginning", space_meets_beginning),
    case("SPACE forwards meets the end of data", space_meets_end),
    case("SPACE(16) does as SPACE(6)", space_16),
];

const fn case(name: &'static str, run: fn(&mut Bench) -> Result<(), Gap>) -> Case {
    let group = Group::Positions;
    Case { name, group, run }
}

/// Three files of three blocks: objects 0-2, filemark 3, 4-6, 7, 8-10, 11.
fn three_files(bench: &mut Bench) -> Result<(), Gap> {
    for file in 0..3 {
        let blocks: Vec<_> = (0..3).map(|n| named(file * 4 + n)).collect();
        bench.write_all(&blocks)?;
        bench.filemarks(1)?;
    }
    bench.rewind()
}

/// The block that is this object of [`three_files`].
fn named(object: u64) -> Vec<u8> {
    block(100 + object, 600 + object as usize * 10)
}

fn beginning(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 512)])?;
    let away = bench.position()?;
    must!(!away.edge.beginning, "BOP behind a block");
    bench.filemarks(1)?;
    bench.rewind()?;
    let position = bench.position()?;
    must!(position.edge.beginning, "BOP is not set");
    must!(position.first == Some(0), "block {:?}", position.first);
    Ok(())
}

fn locate_10(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    for object in [8, 0, 10, 4, 5, 11, 2] {
        bench.command(0, Locate10::new(object)).good()?;
        bench.expect_at(object.into())?;
        if object % 4 != 3 {
            bench.expect_block(&named(object.into()))?;
        }
    }
    Ok(())
}

fn locate_16(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    for object in [8, 0, 10, 4, 5, 11, 2] {
        let cdb = Locate16::new(Destination::Object(object));
        bench.command(0, cdb).good()?;
        bench.expect_at(object)?;
        if object % 4 != 3 {
            bench.expect_block(&named(object))?;
        }
    }
    Ok(())
}

fn locate_files(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    for (file, object) in [(1, 4), (2, 8), (0, 0)] {
        if_known(bench.command(0, Locate16::new(Destination::File(file))))?;
        bench.expect_at(object)?;
    }
    bench
        .command(0, Locate16::new(Destination::EndOfData))
        .good()?;
    bench.expect_at(12)
}

fn locate_beyond(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    let answer = bench.command(0, Locate10::new(1000));
    answer.check(SenseKey::BlankCheck, 0x00, 0x05)?;
    bench.expect_at(12)
}

fn long_form(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    for (object, file) in [(0, 0), (3, 0), (4, 1), (9, 2), (12, 3)] {
        bench.command(0, Locate10::new(object)).good()?;
        let position = bench.long_position()?;
        must!(
            position.object == Some((0, object.into())),
            "object {:?} instead of {object}",
            position.object
        );
        must!(
            position.file == Some(file),
            "file {:?} instead of {file} at object {object}",
            position.file
        );
        must!(
            position.edge.beginning == (object == 0),
            "BOP is {} at object {object}",
            position.edge.beginning
        );
    }
    Ok(())
}

fn extended(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[named(0), named(1), named(2)])?;
    bench.filemarks(0)?;
    let answer = bench.ask(0, ReadPosition::new(Form::Extended), 32);
    let position = parsed(Position::parse_extended(&if_known(answer)?))?;
    must!(
        (position.first, position.last) == (Some(3), Some(3)),
        "first {:?}, last {:?} instead of 3",
        position.first,
        position.last
    );
    must!(
        position
            .in_buffer
            .objects
            .is_none_or(|objects| objects == 0),
        "{:?} objects in the buffer after a synchronisation",
        position.in_buffer.objects
    );
    Ok(())
}

fn space(bench: &mut Bench, over: SpaceOver, count: i32) -> Result<(), Gap> {
    bench.command(0, Space6::new(over, count)).good().map(drop)
}

fn space_blocks(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    space(bench, SpaceOver::Blocks, 2)?;
    bench.expect_at(2)?;
    bench.expect_block(&named(2))?;
    space(bench, SpaceOver::Blocks, -2)?;
    bench.expect_at(1)?;
    bench.expect_block(&named(1))
}

fn space_meets_filemark(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    let cdb = Space6::new(SpaceOver::Blocks, 5);
    let sense = bench.command(0, cdb).check(SenseKey::NoSense, 0x00, 0x01)?;
    must!(
        sense.filemark && sense.residual() == Some(2),
        "FILEMARK {}, INFORMATION {:?} instead of 2",
        sense.filemark,
        sense.residual()
    );
    bench.expect_at(4)
}

fn space_filemarks(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    space(bench, SpaceOver::Filemarks, 2)?;
    bench.expect_at(8)?;
    bench.expect_block(&named(8))?;
    // Backwards the tape stands before the filemark.
    space(bench, SpaceOver::Filemarks, -1)?;
    bench.expect_at(7)?;
    space(bench, SpaceOver::Filemarks, 1)?;
    bench.expect_at(8)
}

fn space_to_end(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    space(bench, SpaceOver::EndOfData, 0)?;
    bench.expect_at(12)?;
    bench.write_all(&[block(50, 512)])?;
    bench.filemarks(0)?;
    bench.expect_at(13)
}

fn space_meets_beginning(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    space(bench, SpaceOver::Blocks, 2)?;
    let cdb = Space6::new(SpaceOver::Blocks, -5);
    let sense = bench.command(0, cdb).check(SenseKey::NoSense, 0x00, 0x04)?;
    must!(
        sense.eom && sense.residual().is_some_and(|r| r.abs() == 3),
        "EOM {}, INFORMATION {:?} instead of 3",
        sense.eom,
        sense.residual()
    );
    bench.expect_at(0)
}

fn space_meets_end(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    let cdb = Space6::new(SpaceOver::Filemarks, 5);
    let sense = bench
        .command(0, cdb)
        .check(SenseKey::BlankCheck, 0x00, 0x05)?;
    must!(
        sense.residual() == Some(2),
        "INFORMATION {:?} instead of 2",
        sense.residual()
    );
    bench.expect_at(12)
}

fn space_16(bench: &mut Bench) -> Result<(), Gap> {
    three_files(bench)?;
    let cdb = Space16::new(SpaceOver::Filemarks, 2);
    bench.command(0, cdb).good()?;
    bench.expect_at(8)?;
    let cdb = Space16::new(SpaceOver::Blocks, -1);
    bench.command(0, cdb).check(SenseKey::NoSense, 0x00, 0x01)?;
    bench.expect_at(7)
}
