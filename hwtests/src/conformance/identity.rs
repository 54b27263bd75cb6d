//! Who it is and what it can do.

use longhaul_scsi::sense::Sense;
use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::spc::basic::{RequestSense, TestUnitReady};
use longhaul_scsi::spc::inquiry::{DeviceType, Inquiry, StandardInquiry};
use longhaul_scsi::spc::report_supported_operation_codes::{
    Asked, ReportSupportedOperationCodes, SupportedCommands,
};
use longhaul_scsi::spc::vpd::{self, DeviceIdentification, page};
use longhaul_scsi::ssc::read_block_limits::{BlockLimits, ReadBlockLimits};
use longhaul_scsi::ssc::report_density_support::{Densities, ReportDensitySupport};

use super::bench::{if_known, must, parsed};
use super::{Bench, Case, Gap, Group};

pub(super) const CASES: &[Case] = &[
    case("INQUIRY says that it is a removable tape drive", inquiry),
    case(
        "every vital product data page that it lists can be read",
        vital_pages,
    ),
    case(
        "its serial number is the same by every nexus",
        serial_number,
    ),
    case(
        "INQUIRY of a page that it does not have is refused",
        missing_page,
    ),
    case(
        "TEST UNIT READY is GOOD and REQUEST SENSE has nothing to say",
        nothing_to_say,
    ),
    case("READ BLOCK LIMITS allows variable blocks", block_limits),
    case(
        "REPORT DENSITY SUPPORT lists a density for the cartridge",
        densities,
    ),
    case(
        "REPORT SUPPORTED OPERATION CODES lists what it was asked until now",
        op_codes,
    ),
];

const fn case(name: &'static str, run: fn(&mut Bench) -> Result<(), Gap>) -> Case {
    let group = Group::Identity;
    Case { name, group, run }
}

fn inquiry(bench: &mut Bench) -> Result<(), Gap> {
    let bytes = bench.ask(0, Inquiry::standard(96), 96).good()?;
    let standard = parsed(StandardInquiry::parse(&bytes))?;
    must!(
        standard.device_type == DeviceType::SequentialAccess && standard.qualifier == 0,
        "peripheral device type {:?}, qualifier {}",
        standard.device_type,
        standard.qualifier
    );
    must!(standard.removable, "RMB is not set");
    let names = [&standard.vendor, &standard.product, &standard.revision];
    must!(
        names.iter().all(|name| !name.is_empty() && name.is_ascii()),
        "names {names:?}"
    );
    // A short allocation length cuts, and is no error.
    let cut = bench.ask(0, Inquiry::standard(5), 5).good()?;
    must!(cut == bytes[..5], "5 bytes of INQUIRY are others");
    Ok(())
}

fn vital(bench: &mut Bench, nexus: usize, page: u8) -> Result<Vec<u8>, Gap> {
    bench.ask(nexus, Inquiry::vital(page, 1024), 1024).good()
}

fn vital_pages(bench: &mut Bench) -> Result<(), Gap> {
    let pages = parsed(vpd::parse_supported_pages(&vital(bench, 0, 0)?))?;
    for needed in [0, page::UNIT_SERIAL_NUMBER, page::DEVICE_IDENTIFICATION] {
        must!(pages.contains(&needed), "page {needed:02X}h is not listed");
    }
    must!(
        pages.is_sorted(),
        "the pages are not in order: {pages:02X?}"
    );
    for page in pages {
        let bytes = vital(bench, 0, page)?;
        must!(
            bytes.get(1) == Some(&page),
            "page {page:02X}h says that it is {:02X?}",
            bytes.get(1)
        );
    }
    let designators = vital(bench, 0, page::DEVICE_IDENTIFICATION)?;
    parsed(DeviceIdentification::parse(&designators)).map(drop)
}

fn serial_number(bench: &mut Bench) -> Result<(), Gap> {
    let first = vital(bench, 0, page::UNIT_SERIAL_NUMBER)?;
    let serial = parsed(vpd::parse_serial_number(&first))?;
    must!(!serial.is_empty(), "there is no serial number");
    let again = vital(bench, 0, page::UNIT_SERIAL_NUMBER)?;
    must!(first == again, "asked twice, it has another serial number");
    Ok(())
}

fn missing_page(bench: &mut Bench) -> Result<(), Gap> {
    let pages = parsed(vpd::parse_supported_pages(&vital(bench, 0, 0)?))?;
    let missing = (0x01..=0xff).rev().find(|page| !pages.contains(page));
    let Some(missing) = missing else {
        return Err(Gap::Lacking("it has every page".into()));
    };
    let answer = bench.ask(0, Inquiry::vital(missing, 1024), 1024);
    answer.check(SenseKey::IllegalRequest, 0x24, 0).map(drop)
}

fn nothing_to_say(bench: &mut Bench) -> Result<(), Gap> {
    bench.command(0, TestUnitReady::new()).good()?;
    let bytes = bench.ask(0, RequestSense::new(252, false), 252).good()?;
    let sense = Sense::decode(&bytes).map_err(|error| Gap::Wrong(error.to_string()))?;
    must!(sense.key == SenseKey::NoSense, "REQUEST SENSE says {sense}");
    Ok(())
}

fn block_limits(bench: &mut Bench) -> Result<(), Gap> {
    let bytes = bench
        .ask(0, ReadBlockLimits::new(), BlockLimits::BYTES)
        .good()?;
    let limits = parsed(BlockLimits::parse(&bytes))?;
    must!(
        limits.max_bytes == 0 || limits.max_bytes > u32::from(limits.min_bytes),
        "from {} to {} bytes",
        limits.min_bytes,
        limits.max_bytes
    );
    Ok(())
}

fn densities(bench: &mut Bench) -> Result<(), Gap> {
    let cdb = ReportDensitySupport::densities(true, 4096);
    let bytes = if_known(bench.ask(0, cdb, 4096))?;
    let densities = parsed(Densities::parse(&bytes))?;
    must!(!densities.0.is_empty(), "none");
    Ok(())
}

fn op_codes(bench: &mut Bench) -> Result<(), Gap> {
    let cdb = ReportSupportedOperationCodes::new(Asked::All, 16384);
    let bytes = if_known(bench.ask(0, cdb, 16384))?;
    let commands = parsed(SupportedCommands::parse(&bytes))?;
    // INQUIRY, TEST UNIT READY, READ(6), WRITE(6), WRITE FILEMARKS(6).
    for opcode in [0x12, 0x00, 0x08, 0x0a, 0x10] {
        must!(
            commands.0.iter().any(|command| command.opcode == opcode),
            "{opcode:02X}h is not listed"
        );
    }
    Ok(())
}
