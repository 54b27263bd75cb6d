//! Modes, the door, load and unload, logs, cartridge memory.

use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::spc::attribute::{
    Attribute, AttributeAction, AttributeIds, Attributes, ReadAttribute, WriteAttribute,
};
use longhaul_scsi::spc::basic::{PreventAllowMediumRemoval, TestUnitReady};
use longhaul_scsi::spc::log::{LogPage, LogSense, SupportedPages};
use longhaul_scsi::spc::mode::{ModeParameters, ModeSense6, ModeSense10};
use longhaul_scsi::ssc::motion::{LoadUnload, Rewind};

use super::bench::{block, if_known, must, parsed};
use super::{Bench, Case, Gap, Group};

pub(super) const CASES: &[Case] = &[
    case(
        "MODE SENSE(6) and (10) agree, and the drive is buffered",
        modes,
    ),
    case(
        "the block length that was set is the one that is told",
        block_length,
    ),
    case("a page that it does not have is refused", missing_page),
    case("what was written is there after unload and load", reload),
    case("without a threaded cartridge it is not ready", unloaded),
    case("a prevented removal refuses the unload", door),
    case("every log page that it lists can be read", logs),
    case("the cartridge's memory keeps a host's text", memory),
    case("REWIND with IMMED comes to the beginning", rewind_immediate),
];

const fn case(name: &'static str, run: fn(&mut Bench) -> Result<(), Gap>) -> Case {
    let group = Group::State;
    Case { name, group, run }
}

/// All pages.
const ALL: u8 = 0x3f;
/// MEDIUM AUXILIARY: USER MEDIUM TEXT LABEL is 160 bytes (SPC-5 7.4.2.4.4).
const USER_LABEL: u16 = 0x0803;
const USER_LABEL_BYTES: usize = 160;

fn modes(bench: &mut Bench) -> Result<(), Gap> {
    let six = bench.ask(0, ModeSense6::new(ALL, 0, 252), 252).good()?;
    let six = parsed(ModeParameters::parse_6(&six))?;
    must!(
        six.buffered_mode() == 1,
        "BUFFERED MODE is {} and not 1",
        six.buffered_mode()
    );
    let ten = if_known(bench.ask(0, ModeSense10::new(ALL, 0, 4096), 4096))?;
    let ten = parsed(ModeParameters::parse_10(&ten))?;
    must!(
        six.write_protected() == ten.write_protected()
            && six.buffered_mode() == ten.buffered_mode(),
        "the two headers differ"
    );
    must!(!ten.write_protected(), "the cartridge is write-protected");
    Ok(())
}

/// BLOCK LENGTH of the first block descriptor.
fn told_block_length(bench: &mut Bench) -> Result<u32, Gap> {
    let bytes = bench.ask(0, ModeSense6::new(ALL, 0, 252), 252).good()?;
    must!(
        bytes.len() >= 12 && bytes[3] >= 8,
        "MODE SENSE gives no block descriptor"
    );
    Ok(u32::from_be_bytes([0, bytes[9], bytes[10], bytes[11]]))
}

fn block_length(bench: &mut Bench) -> Result<(), Gap> {
    for bytes in [512, 65_536, 0] {
        bench.set_block_length(bytes)?;
        let told = told_block_length(bench)?;
        must!(told == bytes, "set {bytes}, told {told}");
    }
    Ok(())
}

fn missing_page(bench: &mut Bench) -> Result<(), Gap> {
    let answer = bench.ask(0, ModeSense6::new(0x2f, 0, 252), 252);
    answer.check(SenseKey::IllegalRequest, 0x24, 0).map(drop)
}

fn reload(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 3000), block(2, 4000)])?;
    bench.filemarks(1)?;
    bench.command(0, LoadUnload::unload(false)).good()?;
    bench.command(0, LoadUnload::load(false)).good()?;
    bench.calm(0)?;
    bench.expect_at(0)?;
    bench.expect_block(&block(1, 3000))?;
    bench.expect_block(&block(2, 4000))
}

fn unloaded(bench: &mut Bench) -> Result<(), Gap> {
    bench.command(0, LoadUnload::unload(false)).good()?;
    let answer = bench.command(0, TestUnitReady::new());
    let not_ready = answer
        .outcome
        .sense
        .as_ref()
        .is_some_and(|sense| sense.key == SenseKey::NotReady);
    let told = answer.wrong("NOT READY");
    bench.command(0, LoadUnload::load(false)).good()?;
    bench.calm(0)?;
    if not_ready { Ok(()) } else { Err(told) }
}

fn door(bench: &mut Bench) -> Result<(), Gap> {
    bench
        .command(0, PreventAllowMediumRemoval::new(true))
        .good()?;
    let refused =
        bench
            .command(0, LoadUnload::unload(false))
            .check(SenseKey::IllegalRequest, 0x53, 0x02);
    bench
        .command(0, PreventAllowMediumRemoval::new(false))
        .good()?;
    bench.command(0, LoadUnload::load(false)).good()?;
    bench.calm(0)?;
    refused.map(drop)
}

fn logs(bench: &mut Bench) -> Result<(), Gap> {
    let answer = bench.ask(0, LogSense::new(0, 512), 512);
    let pages = parsed(SupportedPages::parse(&if_known(answer)?))?;
    for page in pages.0 {
        let bytes = bench.ask(0, LogSense::new(page, 16384), 16384).good()?;
        if page != 0 {
            let read = parsed(LogPage::parse(&bytes))?;
            must!(
                read.code == page,
                "page {page:02X}h says that it is {:02X}h",
                read.code
            );
        }
    }
    Ok(())
}

fn memory(bench: &mut Bench) -> Result<(), Gap> {
    let list = ReadAttribute::new(AttributeAction::List, 0, 0, 4096);
    let ids = parsed(AttributeIds::parse(&if_known(bench.ask(0, list, 4096))?))?;
    must!(!ids.0.is_empty(), "it has no attributes");
    let attribute = Attribute::text::<USER_LABEL_BYTES>(USER_LABEL, "LONGHAUL CONFORMANCE");
    let list = Attributes(vec![attribute]).encode();
    let cdb = WriteAttribute::new(0, list.len() as u32);
    if_known(bench.tell(0, cdb, &list))?;
    let cdb = ReadAttribute::new(AttributeAction::Values, 0, USER_LABEL, 4096);
    let bytes = bench.ask(0, cdb, 4096).good()?;
    let values = parsed(Attributes::parse(&bytes))?;
    let text = values.find(USER_LABEL).map(Attribute::as_text);
    must!(
        text.as_deref() == Some("LONGHAUL CONFORMANCE"),
        "the label came back as {text:?}"
    );
    Ok(())
}

fn rewind_immediate(bench: &mut Bench) -> Result<(), Gap> {
    bench.write_all(&[block(1, 3000)])?;
    bench.filemarks(1)?;
    bench.command(0, Rewind::new(true)).good()?;
    bench.calm(0)?;
    bench.expect_at(0)
}
