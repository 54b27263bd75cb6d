//! The drive's answers through the eyes of `longhaul-scsi`, and its commands
//! through the drive's: two readings of the same standards.

use longhaul_emulator::Response;
use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::spc::attribute::{Attribute, Attributes};
use longhaul_scsi::spc::inquiry::{DeviceType, StandardInquiry};
use longhaul_scsi::spc::log::{LogPage, SupportedPages};
use longhaul_scsi::spc::mode::ModeParameters;
use longhaul_scsi::spc::persistent_reserve::{Capabilities, FullStatus, Keys, Reservation};
use longhaul_scsi::spc::report_supported_operation_codes::SupportedCommands;
use longhaul_scsi::spc::vpd;
use longhaul_scsi::ssc::log::{
    Alerts, Compression, DeviceStatus, ErrorCounters, SequentialAccess, TapeCapacity,
    VolumeStatistics,
};
use longhaul_scsi::ssc::mode::{
    ControlDataProtection, DataCompression, DeviceConfigurationExtension, ProtectionMethod,
};
use longhaul_scsi::ssc::read_block_limits::BlockLimits;
use longhaul_scsi::ssc::read_position::{Form, LongPosition, Position, ReadPosition};
use longhaul_scsi::ssc::report_density_support::{Densities, MediumTypes};
use longhaul_scsi::status::Status;

use crate::rig::*;

fn log(rig: &mut Rig, page: u8) -> Vec<u8> {
    rig.data(&[0x4d, 0, 0x40 | page, 0, 0, 0, 0, 0xff, 0xff, 0])
}

#[test]
fn identity() {
    let mut rig = Rig::new();
    let inquiry = StandardInquiry::parse(&rig.data(&[0x12, 0, 0, 0, 255, 0])).expect("inquiry");
    assert_eq!(inquiry.device_type, DeviceType::from_low_bits(1));
    assert!(inquiry.removable && inquiry.protect);
    assert_eq!(
        (&*inquiry.vendor, &*inquiry.product),
        ("LONGHAUL", "VTAPE-LTO9")
    );
    let serial = rig.data(&[0x12, 1, 0x80, 0, 255, 0]);
    assert_eq!(vpd::parse_serial_number(&serial).expect("80h"), "VT0001");
    let page = rig.data(&[0x12, 1, 0xb1, 0, 255, 0]);
    assert_eq!(
        vpd::parse_manufacturer_serial_number(&page).expect("B1h"),
        "VT0001"
    );
    let pages = rig.data(&[0x12, 1, 0x00, 0, 255, 0]);
    assert_eq!(vpd::parse_supported_pages(&pages).expect("00h").len(), 6);
    let page = rig.data(&[0x12, 1, 0xb0, 0, 255, 0]);
    assert!(
        !vpd::SequentialAccessCapabilities::parse(&page)
            .expect("B0h")
            .worm
    );
    let page = rig.data(&[0x12, 1, 0x83, 0, 255, 0]);
    let identification = vpd::DeviceIdentification::parse(&page).expect("83h");
    assert_eq!(identification.0.len(), 3);
    assert_eq!(identification.unit_naa().expect("an NAA") >> 60, 3);
}

#[test]
fn limits_densities_and_timeouts() {
    let mut rig = Rig::new();
    let limits = BlockLimits::parse(&rig.data(&[0x05, 0, 0, 0, 0, 0])).expect("limits");
    assert_eq!((limits.min_bytes, limits.max_bytes), (1, 8 << 20));
    let densities = rig.data(&[0x44, 1, 0, 0, 0, 0, 0, 255, 255, 0]);
    let density = &Densities::parse(&densities).expect("densities").0[0];
    assert_eq!((density.primary_code, density.capacity_mb), (0x60, 67));
    assert!(density.writable && density.default);
    assert_eq!((&*density.organization, &*density.name), ("LTO-CVE", "U-9"));
    let types = rig.data(&[0x44, 2, 0, 0, 0, 0, 0, 255, 255, 0]);
    let kind = &MediumTypes::parse(&types).expect("medium types").0[0];
    assert_eq!(
        (kind.code, &kind.densities[..], kind.length_m),
        (0x98, &[0x60][..], 1035)
    );
    let all = rig.data(&[0xa3, 0x0c, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    let commands = SupportedCommands::parse(&all).expect("commands");
    let seconds = |opcode, action| commands.timeout(opcode, action).map(|t| t.as_secs());
    assert_eq!(seconds(0x92, None), Some(2940));
    assert_eq!(seconds(0x5f, Some(5)), Some(60));
    assert_eq!(seconds(0xc1, None), None);
}

#[test]
fn positions_in_all_forms() {
    let mut rig = Rig::new();
    rig.write_all(&[b"aaa", b"bb"]);
    rig.good(&[0x10, 1, 0, 0, 1, 0]);
    let mut asked = |form| {
        let cdb: Cdb = ReadPosition::new(form).cdb();
        rig.data(cdb.as_bytes())
    };
    for position in [
        Position::parse_short(&asked(Form::Short)).expect("short"),
        Position::parse_extended(&asked(Form::Extended)).expect("extended"),
    ] {
        assert_eq!((position.first, position.last), (Some(3), Some(0)));
        assert_eq!(
            (position.in_buffer.objects, position.in_buffer.bytes),
            (Some(3), Some(5))
        );
        assert!(!position.edge.beginning && !position.overflow);
    }
    let long = LongPosition::parse(&asked(Form::Long)).expect("long");
    assert_eq!((long.object, long.file), (Some((0, 3)), Some(1)));
}

#[test]
fn modes() {
    let mut rig = Rig::new();
    rig.set_programmable_zone(77);
    let six = ModeParameters::parse_6(&rig.data(&[0x1a, 0, 0x3f, 0xff, 255, 0])).expect("six");
    let ten = rig.data(&[0x5a, 0, 0x3f, 0xff, 0, 0, 0, 2, 0, 0]);
    let ten = ModeParameters::parse_10(&ten).expect("ten");
    assert_eq!(six, ten);
    assert_eq!(
        (six.buffered_mode(), six.write_protected(), six.pages.len()),
        (1, false, 6)
    );
    let extension: DeviceConfigurationExtension = six.fields().expect("10h/01h");
    assert_eq!(extension.early_warning_zone_mb(), 77);
    let compression: DataCompression = six.fields().expect("0Fh");
    assert_eq!(compression.compression_algorithm(), 1);
    let protection: ControlDataProtection = six.fields().expect("0Ah/F0h");
    assert_eq!(protection, ControlDataProtection::default());
    // What was read can be written back as it is.
    let list = six.encode_select_6();
    let response = rig.send(&[0x15, 0x10, 0, 0, list.len() as u8, 0], &list, &mut []);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    let mut protection = protection;
    protection.set_method(ProtectionMethod::Crc32c);
    protection.set_on_read(true);
    let mut list = [vec![0, 0, 0x10, 0, 0x4a, 0xf0, 0, 0x1c], vec![0; 28]].concat();
    list[8..12].copy_from_slice(zerocopy::IntoBytes::as_bytes(&protection));
    let response = rig.send(&[0x15, 0x10, 0, 0, list.len() as u8, 0], &list, &mut []);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    assert_eq!(rig.data(&[0x1a, 8, 0x0a, 0xf0, 255, 0])[4..], list[4..]);
}

#[test]
fn log_pages() {
    let mut rig = Rig::new();
    rig.write_all(&[&vec![0; 2_000_000]]);
    rig.synchronise();
    let pages = SupportedPages::parse(&log(&mut rig, 0)).expect("00h").0;
    for page in pages.into_iter().filter(|page| *page != 0) {
        assert_eq!(
            LogPage::parse(&log(&mut rig, page)).expect("a page").code,
            page
        );
    }
    let statistics = VolumeStatistics::parse(&log(&mut rig, 0x17)).expect("17h");
    assert_eq!(
        (statistics.valid, statistics.threads),
        (Some(true), Some(1))
    );
    assert_eq!(
        (statistics.capacity_mb, statistics.used_mb),
        (Some(67), Some(2))
    );
    assert_eq!(statistics.personality.as_deref(), Some("Ultrium-9"));
    assert_eq!(statistics.write_protected, Some(false));
    let access = SequentialAccess::parse(&log(&mut rig, 0x0c)).expect("0Ch");
    assert_eq!(
        (access.bytes_from_host, access.position_mb),
        (Some(2_000_000), Some(2))
    );
    assert_eq!(
        (access.to_early_warning_mb, access.buffer_mb),
        (Some(62), Some(4))
    );
    let capacity = TapeCapacity::parse(&log(&mut rig, 0x31)).expect("31h");
    assert_eq!(
        (capacity.remaining_mib[0], capacity.maximum_mib[0]),
        (Some(62), Some(64))
    );
    let (status, _) = DeviceStatus::parse(&log(&mut rig, 0x11)).expect("11h");
    assert!(status.medium_present && status.medium_threaded && status.mounted);
    assert!(status.initialized && status.compresses && !status.write_protected);
    let written = ErrorCounters::parse(&log(&mut rig, 0x02)).expect("02h");
    assert_eq!(
        (written.processed, written.uncorrected),
        (Some(2_000_000), Some(0))
    );
    let compression = Compression::parse(&log(&mut rig, 0x1b)).expect("1Bh");
    assert_eq!(compression.write_ratio_percent, Some(100));
    assert_eq!(compression.bytes_from_host, Some(2_000_000));
    for page in [0x12, 0x2e] {
        assert!(
            Alerts::parse(&log(&mut rig, page))
                .expect("alerts")
                .is_empty()
        );
    }
}

#[test]
fn alerts_have_the_same_numbers_on_both_pages() {
    let mut rig = Rig::new();
    let plan = "[[fault]]\nblock = 0\nsense = { key = 3, asc = 12, ascq = 0, deferred = true }";
    rig.drive
        .set_faults(longhaul_emulator::faults::Plan::parse(plan).expect("a plan"));
    rig.write_all(&[b"x"]);
    rig.check(&[0x10, 0, 0, 0, 0, 0]);
    for page in [0x12, 0x2e] {
        let alerts = Alerts::parse(&log(&mut rig, page)).expect("alerts");
        assert_eq!(alerts.iter().collect::<Vec<_>>(), [3, 6]);
    }
}

#[test]
fn attributes() {
    let mut rig = Rig::new();
    let list = Attributes(vec![
        Attribute::ascii::<8>(0x0800, "LONGHAUL"),
        Attribute::text::<160>(0x0803, "volume one"),
        Attribute::number::<1>(0x0805, 0x81),
    ])
    .encode();
    let mut cdb = [0; 16];
    cdb[0] = 0x8d;
    cdb[10..14].copy_from_slice(&(list.len() as u32).to_be_bytes());
    let response: Response = rig.send(&cdb, &list, &mut []);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    let all = rig.data(&[0x8c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    let all = Attributes::parse(&all).expect("attributes");
    let find = |id| all.find(id).expect("it is there");
    assert_eq!(find(0x0001).as_number(), Some(64));
    assert!(find(0x0001).read_only && !find(0x0800).read_only);
    assert_eq!(find(0x0803).as_text(), "volume one");
    assert_eq!(find(0x0805).as_number(), Some(0x81));
}

#[test]
fn reservations() {
    let mut rig = Rig::new();
    let mut out = |action: u8, kind: u8, key: u64, new: u64| {
        let mut list = [0; 24];
        list[..8].copy_from_slice(&key.to_be_bytes());
        list[8..16].copy_from_slice(&new.to_be_bytes());
        rig.send(&[0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0], &list, &mut [])
    };
    assert_eq!(out(0, 0, 0, 0xfeed).status, Ok(Status::Good));
    assert_eq!(out(1, 3, 0xfeed, 0).status, Ok(Status::Good));
    let mut asked = |action: u8| rig.data(&[0x5e, action, 0, 0, 0, 0, 0, 2, 0, 0]);
    let keys = Keys::parse(&asked(0)).expect("keys");
    assert_eq!((keys.generation, &keys.keys[..]), (1, &[0xfeed][..]));
    let holder = Reservation::parse(&asked(1))
        .expect("reservation")
        .holder
        .expect("held");
    assert_eq!(holder.key, 0xfeed);
    let capabilities = Capabilities::parse(&asked(2)).expect("capabilities");
    assert_eq!(capabilities.supports(holder.kind), Some(true));
    assert!(!capabilities.persists_through_power_loss);
    let status = FullStatus::parse(&asked(3)).expect("full status");
    assert_eq!(status.registrations.len(), 1);
    assert_eq!(status.registrations[0].holds, Some(holder.kind));
    assert_eq!(status.registrations[0].target_port, 1);
}
