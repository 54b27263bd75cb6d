//! The LTO-9 clock on a whole drive, in simulated time.

use std::time::Duration;

use longhaul_emulator::clock::ClockMode;
use longhaul_emulator::drive::{Drive, Nexus, Setup};
use longhaul_emulator::medium::{Blank, Medium};
use longhaul_emulator::url::Media;
use longhaul_scsi::status::Status;

use crate::rig::*;

/// An LTO-9 drive whose cartridge keeps no data.
fn drive(buffer_bytes: Option<u64>) -> (Drive, Nexus, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let blank = Blank {
        media: Media::Discard,
        ..Blank::default()
    };
    let medium = Medium::create(&dir.path().join("a.vtape"), &blank).expect("cartridge");
    let setup = Setup {
        clock: ClockMode::Simulated,
        buffer_bytes,
        ..Setup::default()
    };
    let (drive, nexus) = switched_on(medium, setup);
    (drive, nexus, dir)
}

#[test]
fn a_fast_host_is_slowed_to_native_speed_without_a_back_hitch() {
    let (mut drive, nexus, _dir) = drive(None);
    let block = vec![0; 1 << 20];
    for _ in 0..5000 {
        let response = drive.execute(nexus, &write(1 << 20), &block, &mut []);
        assert_eq!(response.status, Ok(Status::Good));
    }
    let bytes = (5000 << 20) - drive.object_buffer().data_bytes();
    let rate = bytes as f64 / drive.clock().elapsed().as_secs_f64();
    assert!((380e6..405e6).contains(&rate), "{rate:.0} bytes a second");
    assert_eq!(drive.clock().back_hitches(), 0);
    assert!(
        drive.object_buffer().data_bytes() > 1000 << 20,
        "the buffer is full"
    );
}

#[test]
fn every_flush_costs_a_back_hitch() {
    let (mut drive, nexus, _dir) = drive(None);
    let block = vec![0; 1 << 20];
    for _ in 0..10 {
        drive.execute(nexus, &write(1 << 20), &block, &mut []);
        drive.execute(nexus, &[0x10, 0, 0, 0, 0, 0], &[], &mut []);
    }
    assert_eq!(drive.clock().back_hitches(), 10);
    assert!(drive.clock().elapsed() > Duration::from_secs(20));
}

#[test]
fn locating_takes_as_long_as_the_way() {
    let (mut drive, nexus, _dir) = drive(Some(64 << 20));
    // About half of a wrap: 20 GB of 86.5.
    let block = vec![0; 8 << 20];
    for _ in 0..2400 {
        drive.execute(nexus, &write(8 << 20), &block, &mut []);
    }
    let near = drive.execute(nexus, &locate(2390), &[], &mut []).took;
    let rewound = drive
        .execute(nexus, &[0x01, 0, 0, 0, 0, 0], &[], &mut [])
        .took;
    assert!(near > Duration::from_secs(2));
    assert!((20..40).contains(&rewound.as_secs()), "{rewound:?}");
    let still = drive
        .execute(nexus, &[0x01, 0, 0, 0, 0, 0], &[], &mut [])
        .took;
    assert_eq!(still, Duration::ZERO);
}

#[test]
fn a_dropped_block_cannot_be_read_and_a_small_one_can() {
    let (mut drive, nexus, _dir) = drive(None);
    drive.execute(nexus, &write(80), &[b'V'; 80], &mut []);
    drive.execute(nexus, &write(16 << 10), &vec![1; 16 << 10], &mut []);
    drive.execute(
        nexus,
        &write((16 << 10) + 1),
        &vec![2; (16 << 10) + 1],
        &mut [],
    );
    drive.execute(nexus, &[0x01, 0, 0, 0, 0, 0], &[], &mut []);
    let mut into = vec![0; 20_000];
    let label = drive.execute(nexus, &read(80, 0), &[], &mut into);
    assert_eq!(
        (label.status, &into[..80]),
        (Ok(Status::Good), &[b'V'; 80][..])
    );
    let edge = drive.execute(nexus, &read(16 << 10, 0), &[], &mut into);
    assert_eq!(edge.status, Ok(Status::Good));
    let gone = drive.execute(nexus, &read(20_000, 2), &[], &mut into);
    assert_eq!(told(&sense(gone)), (3, 0x11, 0x00, Some(20_000)));
}
