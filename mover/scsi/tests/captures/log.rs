//! Log pages.

use longhaul_scsi::Command;
use longhaul_scsi::spc::log::{LogPage, LogSense, Parameter, SupportedPages};
use longhaul_scsi::ssc::log::{
    Alerts, DeviceStatus, ErrorCounters, SequentialAccess, TapeCapacity, VolumeStatistics, code,
};
use longhaul_scsi::ssc::mode::MediumConfiguration;
use longhaul_scsi::ssc::read_position::LONG_BYTES;

use crate::capture::{hex, hex_lines, says, text};

const TD6: &str = "logpages-ibm-ult3580-td6-kaj8.hex";

/// A page around parameters.
fn page(code: u8, parameters: &[u8]) -> LogPage {
    let [high, low] = (parameters.len() as u16).to_be_bytes();
    let bytes = [&[code, 0, high, low], parameters].concat();
    let page = LogPage::parse(&bytes).unwrap();
    assert_eq!(page.encode(), bytes);
    page
}

#[test]
fn device_status_of_an_ibm_drive_in_a_library() {
    let lines = hex_lines(TD6);
    // The line of parameter 0201h is two bytes shorter than its length.
    let cut = LogPage::parse(&[&[code::DEVICE_STATUS, 0, 0, 0xff], &*lines[4]].concat());
    assert_eq!((lines[4][1], cut.unwrap().parameters.len()), (0x01, 0));
    let page = page(
        code::DEVICE_STATUS,
        &[&lines[..4], &lines[5..10]].concat().concat(),
    );
    let codes = page
        .parameters
        .iter()
        .map(|parameter| parameter.code)
        .collect::<Vec<_>>();
    let want = [
        4, 0x101, 0x102, 0x200, 0x8000, 0x8001, 0x8100, 0x9101, 0x9102,
    ];
    assert_eq!(codes, want);
    assert_eq!(page.text(0x8000).unwrap(), "QIM001L6");
    // Port parameters: the drive's SAS addresses.
    assert_eq!(page.parameter(0x101).unwrap().value.len(), 0x18);
    let status = DeviceStatus::parse_vhf(&page.parameter(4).unwrap().value).unwrap();
    let want = DeviceStatus {
        host_unload: true,
        compresses: true,
        write_protected: true,
        initialized: true,
        robot_may_access: true,
        medium_present: true,
        ..DeviceStatus::default()
    };
    assert_eq!(status, want);
    says(TD6, "polling delay 500 ms");
    assert_eq!(
        DeviceStatus::parse(&status.page(500).encode()),
        Ok((status, Some(500)))
    );
}

#[test]
fn tapealert_response_and_vendors_pages_of_an_ibm_drive() {
    let lines = hex_lines(TD6);
    assert!(Alerts::parse(&lines[10]).unwrap().is_empty());
    // Parameter 1000h of page 14h alone.
    let statistics = page(code::DEVICE_STATISTICS, &lines[11]);
    assert_eq!(statistics.parameters[0].value.len(), 0x30);
    let pages = lines[12..].iter().map(|line| {
        let page = LogPage::parse(line).unwrap();
        assert_eq!(&page.encode(), line);
        (page.code, page.parameters.len())
    });
    assert_eq!(
        pages.collect::<Vec<_>>(),
        [(0x33, 18), (0x37, 6), (0x39, 6), (0x3b, 6)]
    );
}

#[test]
fn pages_that_were_cut_give_what_is_whole() {
    let text = text(TD6);
    let cut = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start)).unwrap();
        LogPage::parse(&hex(line.trim_start_matches("# "))).unwrap()
    };
    let page = cut("# 3c ");
    assert_eq!((page.code, page.parameters.len()), (0x3c, 5));
    assert_eq!(page.number(5), Some(0x2c));
    let page = cut("# 3d ");
    assert_eq!((page.code, page.parameters.len()), (0x3d, 7));
    assert_eq!(page.number(0x20), Some(0x6b));
}

#[test]
fn what_an_ibm_drive_does_not_know_of_an_unthreaded_tape() {
    let file = "log-ibm-ult3580-td6-kaj8-decoded.txt";
    says(
        file,
        "BOP-EOD, BOP-EW, EW-EOP, BOP-current = FFFFFFFFh (unknown)",
    );
    says(file, "object buffer 679 MB");
    let unknown = (4..8).map(|code| Parameter::number::<4>(code, 0xffff_ffff));
    let buffer = Parameter::number::<4>(8, 679);
    let bytes = LogPage::new(code::SEQUENTIAL_ACCESS, unknown.chain([buffer]).collect()).encode();
    let page = SequentialAccess::parse(&bytes).unwrap();
    let want = SequentialAccess {
        buffer_mb: Some(679),
        ..SequentialAccess::default()
    };
    assert_eq!(page, want);
    says(file, "0010=151840 0011=4750316");
    says(
        file,
        "0202: p0 36764 p1 2426470; 0203: p0 14 p1 151778; 0204: p0 36746 p1 2280733",
    );
    let statistics = VolumeStatistics {
        threads: Some(107),
        written_mb: Some(151_840),
        read_mb: Some(4_750_316),
        serial: Some("MF59TWPPJE".to_string()),
        barcode: Some("QIM001L6".to_string()),
        manufacturer: Some("FUJIFILM".to_string()),
        personality: Some("Ultrium-6".to_string()),
        write_protected: Some(true),
        partition_capacity_mb: vec![(0, Some(36_764)), (1, Some(2_426_470))],
        partition_used_mb: vec![(0, Some(14)), (1, Some(151_778))],
        partition_remaining_mb: vec![(0, Some(36_746)), (1, Some(2_280_733))],
        ..VolumeStatistics::default()
    };
    assert_eq!(
        VolumeStatistics::parse(&statistics.page().encode()),
        Ok(statistics)
    );
    says(file, "31h: 1=35043 2=2175076 3=35060 4=2314062 (MiB)");
    let capacity = TapeCapacity {
        remaining_mib: [Some(35_043), Some(2_175_076)],
        maximum_mib: [Some(35_060), Some(2_314_062)],
    };
    assert_eq!(TapeCapacity::parse(&capacity.page().encode()), Ok(capacity));
}

#[test]
fn what_an_hp_drive_says() {
    let file = "log-hp-lto6-35gd-decoded.txt";
    says(file, "BOP..EW of current partition = 2624517 MB");
    says(file, "max capacity in device object buffer = 418 MB");
    let sequential = SequentialAccess {
        bytes_from_host: Some(0),
        bytes_to_medium: Some(0),
        bytes_from_medium: Some(0),
        bytes_to_host: Some(0),
        used_mb: Some(23),
        to_early_warning_mb: Some(2_624_517),
        behind_early_warning_mb: Some(99_008),
        position_mb: Some(22),
        buffer_mb: Some(418),
        cleaning_requested: Some(false),
    };
    assert_eq!(
        SequentialAccess::parse(&sequential.page().encode()),
        Ok(sequential)
    );
    let text = text(file);
    let list = text.lines().find(|line| !line.starts_with('#')).unwrap();
    let pages = SupportedPages(hex(list));
    assert_eq!(pages.0.len(), 22);
    assert_eq!(SupportedPages::parse(&pages.encode()), Ok(pages));
    says(file, "# 02h: params 0..6 all present, all 0");
    let zeros = (0..7).map(|code| Parameter::number::<8>(code, 0)).collect();
    let counters = ErrorCounters::parse(&LogPage::new(code::WRITE_ERRORS, zeros).encode());
    assert_eq!(counters.unwrap().uncorrected, Some(0));
    says(file, "8000: 80 00 03 06 21 17 00 80 00 06");
    page(code::DEVICE_STATUS, &hex("80 00 03 06 21 17 00 80 00 06"));
    says(file, "0016 total native cap MB=2620446 0017 used=23");
    says(file, "0200/0201 ffffffffffff (6-byte values)");
    // A partition record of six bytes, all ones.
    let record = hex("09 00 00 00 ff ff ff ff ff ff");
    let parameters = vec![
        Parameter::number::<8>(0x16, 2_620_446),
        Parameter::text::<32>(0x42, ""),
        Parameter::bytes(0x202, record),
    ];
    let bytes = LogPage::new(code::VOLUME_STATISTICS, parameters).encode();
    let statistics = VolumeStatistics::parse(&bytes).unwrap();
    assert_eq!(statistics.capacity_mb, Some(2_620_446));
    assert_eq!(statistics.barcode.as_deref(), Some(""));
    assert_eq!(statistics.partition_capacity_mb, [(0, None)]);
}

#[test]
fn lengths_that_a_host_traced() {
    let file = "log31-hpe-lto9-trace.txt";
    says(file, "LOG SENSE 4D 00 71 00 .. alloc 0400");
    assert_eq!(
        LogSense::new(0x31, 0x400).cdb().as_bytes()[..4],
        [0x4d, 0, 0x71, 0]
    );
    says(
        file,
        "part0 (remaining,max) = (122593, 122614)   part1 = (16798280, 16798291)",
    );
    let capacity = TapeCapacity {
        remaining_mib: [Some(122_593), Some(16_798_280)],
        maximum_mib: [Some(122_614), Some(16_798_291)],
    };
    let bytes = capacity.page().encode();
    says(file, "LOG SENSE 31h alloc 1024 -> Actual length=36");
    assert_eq!(bytes.len(), 36);
    // A transport that tells no residual leaves a buffer with a tail.
    let padded = [bytes, vec![0; 1024 - 36]].concat();
    assert_eq!(TapeCapacity::parse(&padded), Ok(capacity));
    says(file, "READ POSITION 34 06 .. alloc 0 -> 32 bytes");
    assert_eq!(LONG_BYTES, 32);
    says(file, "MODE SENSE(10) page 1Dh alloc 64 -> Actual length=48");
    let (header, block_descriptor, page_header) = (8, 8, 2);
    assert_eq!(
        header + block_descriptor + page_header + size_of::<MediumConfiguration>(),
        48
    );
}
