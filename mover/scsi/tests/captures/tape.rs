//! Block limits, densities, positions.

use longhaul_scsi::spc::log::LogPage;
use longhaul_scsi::ssc::log::{TapeCapacity, VolumeStatistics, code};
use longhaul_scsi::ssc::read_block_limits::BlockLimits;
use longhaul_scsi::ssc::read_position::LongPosition;
use longhaul_scsi::ssc::report_density_support::{Densities, MediumTypes};

use crate::capture::{bytes, says};

#[test]
fn block_limits_of_an_hp_drive() {
    says("read-block-limits-hp-lto6-35gd.txt", "max 16777215 min 1");
    let limits = BlockLimits {
        granularity: 0,
        max_bytes: 16_777_215,
        min_bytes: 1,
    };
    assert_eq!(limits.encode(), [0, 0xff, 0xff, 0xff, 0, 1]);
    assert_eq!(BlockLimits::parse(&limits.encode()), Ok(limits));
}

#[test]
fn densities_of_an_lto_5_drive() {
    let all = bytes("report-density-hp-lto5.hex");
    let densities = Densities::parse(&all).unwrap();
    assert_eq!(densities.encode(), all);
    let facts = densities.0.iter().map(|density| {
        assert_eq!(
            (density.organization.as_str(), density.width_tenth_mm),
            ("LTO-CVE", 127)
        );
        (
            density.primary_code,
            density.writable,
            density.default,
            density.capacity_mb,
        )
    });
    let want = [
        (0x44, false, false, 400_000),
        (0x46, true, false, 800_000),
        (0x58, true, true, 1_500_000),
    ];
    assert_eq!(facts.collect::<Vec<_>>(), want);
    assert_eq!(densities.0[2].name, "U-516");
    assert_eq!(densities.0[2].description, "Ultrium 5/16T");
}

#[test]
fn the_density_of_a_loaded_medium_has_its_real_capacity() {
    let loaded = bytes("report-density-hp-lto5-media.hex");
    let densities = Densities::parse(&loaded).unwrap();
    assert_eq!(densities.encode(), loaded);
    assert_eq!(densities.0.len(), 1);
    assert_eq!(densities.0[0].capacity_mb, 1_541_438);
}

#[test]
fn medium_types_of_an_lto_5_drive() {
    let all = bytes("report-density-hp-lto5-typem.hex");
    let types = MediumTypes::parse(&all).unwrap();
    assert_eq!(types.encode(), all);
    let names = types
        .0
        .iter()
        .map(|kind| (kind.code, kind.name.as_str(), kind.densities[0]));
    let want = [
        (0, "LTO3Data", 0x44),
        (0, "LTO4Data", 0x46),
        (0, "LTO5Data", 0x58),
        (1, "LTO3WORM", 0x44),
        (1, "LTO4WORM", 0x46),
        (1, "LTO5WORM", 0x58),
    ];
    assert_eq!(names.collect::<Vec<_>>(), want);
    let loaded = bytes("report-density-hp-lto5-media-typem.hex");
    let types = MediumTypes::parse(&loaded).unwrap();
    assert_eq!(types.encode(), loaded);
    assert_eq!((types.0.len(), types.0[0].length_m), (1, 846));
}

#[test]
fn capacities_and_positions_of_ltfs_cartridges() {
    let file = "capacity-and-positions-observed-real.txt";
    says(
        file,
        "p0 (122583,122614)  p1 (10441952,16798291) from LOG SENSE 17h",
    );
    let statistics = VolumeStatistics {
        partition_capacity_mb: vec![(0, Some(122_614)), (1, Some(16_798_291))],
        partition_remaining_mb: vec![(0, Some(122_583)), (1, Some(10_441_952))],
        ..VolumeStatistics::default()
    };
    let page = LogPage::expect(&statistics.page().encode(), code::VOLUME_STATISTICS).unwrap();
    assert_eq!(page.parameter(0x202).unwrap().value.len(), 16);
    assert_eq!(VolumeStatistics::parse(&page.encode()), Ok(statistics));
    says(file, "17h: 2620446 MB ; 31h: 2499053 MiB");
    let capacity = TapeCapacity {
        maximum_mib: [Some(2_499_053), Some(0)],
        ..TapeCapacity::default()
    };
    let again = TapeCapacity::parse(&capacity.page().encode()).unwrap();
    assert_eq!(
        again.maximum_mib[0].map(|mib| mib * 1_048_576 / 1_000_000),
        Some(2_620_446)
    );
    // A filemark is an object: spacing over one moved from object 7 to 8.
    says(
        file,
        "after mount (0,7) FM=3 ; SPACE forward 1 FM -> (0,8) FM=4",
    );
    for (object, file) in [((1, 0), 0), ((0, 7), 3), ((0, 8), 4)] {
        let position = LongPosition {
            object: Some(object),
            file: Some(file),
            ..LongPosition::default()
        };
        assert_eq!(LongPosition::parse(&position.encode()), Ok(position));
    }
}
