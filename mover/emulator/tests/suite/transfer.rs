//! READ and WRITE in variable mode.

use longhaul_emulator::drive::Setup;
use longhaul_scsi::status::Status;

use crate::rig::*;

#[test]
fn blocks_keep_their_length() {
    let mut rig = Rig::new();
    let long = vec![7; 8 << 20];
    rig.write_all(&[b"a", b"bcd", &long]);
    rig.rewind();
    assert_eq!(rig.block(), b"a");
    assert_eq!(rig.block(), b"bcd");
    assert_eq!(rig.block(), long);
}

#[test]
fn a_length_that_does_not_fit_is_told() {
    let mut rig = Rig::new();
    rig.write_all(&[b"12345", b"67890", b"12345", b"67890"]);
    rig.rewind();
    // Too long a request: ILI and a positive residual, unless SILI hides it.
    let mut into = [0; 8];
    let short = rig.send(&read(8, 0), &[], &mut into);
    assert_eq!((short.transferred, &into[..5]), (5, &b"12345"[..]));
    let short = sense(short);
    assert!(short.ili && !short.filemark && !short.eom);
    assert_eq!(told(&short), (0, 0, 0, Some(3)));
    let (hidden, data) = rig.read(8);
    assert_eq!(
        (hidden.status, data.as_slice()),
        (Ok(Status::Good), &b"67890"[..])
    );
    // Too short a request: the rest of the block is passed over.
    let mut into = [0; 3];
    let long = rig.send(&read(3, 0), &[], &mut into);
    assert_eq!((long.transferred, into), (3, *b"123"));
    let long = sense(long);
    assert!(long.ili);
    assert_eq!(told(&long), (0, 0, 0, Some(-2)));
    let (hidden, data) = rig.read(3);
    assert_eq!(
        (hidden.status, data.as_slice()),
        (Ok(Status::Good), &b"678"[..])
    );
    assert_eq!(rig.place(), (4, 0));
}

#[test]
fn sili_does_not_hide_a_long_block_while_a_block_length_is_set() {
    let mut rig = Rig::new();
    rig.write_all(&[b"12345"]);
    rig.rewind();
    rig.set_block_length(512);
    assert_eq!(told(&sense(rig.read(3).0)), (0, 0, 0, Some(-2)));
}

#[test]
fn filemarks_and_the_end_of_data_end_a_read() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a"]);
    rig.filemarks(1);
    rig.write_all(&[b"b"]);
    rig.rewind();
    rig.block();
    let (mark, data) = rig.read(100);
    assert!(data.is_empty());
    let mark = sense(mark);
    assert!(mark.filemark);
    assert_eq!(told(&mark), (0, 0x00, 0x01, Some(100)));
    assert_eq!(rig.place(), (2, 1), "behind the filemark");
    rig.block();
    for _ in 0..2 {
        assert_eq!(told(&sense(rig.read(100).0)), (8, 0x00, 0x05, Some(100)));
        assert_eq!(rig.place(), (3, 1), "the position stays at EOD");
    }
}

#[test]
fn a_blank_cartridge_has_nothing_to_read() {
    let mut rig = Rig::new();
    assert_eq!(told(&sense(rig.read(10).0)), (8, 0x00, 0x05, Some(10)));
}

#[test]
fn reading_behind_what_was_just_written_is_the_end_of_data() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a", b"b", b"c"]);
    rig.rewind();
    rig.write_all(&[b"A"]);
    assert_eq!(told(&sense(rig.read(10).0)), (8, 0x00, 0x05, Some(10)));
    rig.rewind();
    assert_eq!(rig.block(), b"A");
    assert_eq!(key_code(&sense(rig.read(10).0)), (8, 0x00, 0x05));
}

#[test]
fn lengths_out_of_bounds() {
    let mut rig = Rig::new();
    let longest = 8 << 20;
    assert_eq!(key_code(&rig.check(&write(longest + 1))), (5, 0x24, 0x00));
    assert_eq!(key_code(&rig.check(&read(longest + 1, 0))), (5, 0x24, 0x00));
    rig.good(&write(0));
    rig.good(&read(0, 0));
    assert_eq!(
        rig.place(),
        (0, 0),
        "a length of 0 is no error, and moves nothing"
    );
    assert_eq!(
        key_code(&rig.check(&write(5))),
        (0xb, 0x4b, 0x00),
        "no data came"
    );
    assert_eq!(
        key_code(&rig.check(&[0x10, 2, 0, 0, 1, 0])),
        (5, 0x24, 0x00),
        "setmarks"
    );
}

#[test]
fn a_protected_cartridge_is_read_and_not_written() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a"]);
    rig.synchronise();
    let path = rig.path();
    drop(rig.drive.eject());
    let url = format!("vtape:{}?write-protect=on", path.display())
        .parse()
        .expect("url");
    let emulated = longhaul_emulator::Emulated::open(&url).expect("cartridge");
    let drive = emulated.drive();
    let mut drive = drive.lock().expect("drive");
    let nexus = drive.connect("host-a");
    drive.execute(nexus, &[0; 6], &[], &mut []);
    let response = drive.execute(nexus, &write(1), b"b", &mut []);
    assert_eq!(key_code(&sense(response)), (7, 0x27, 0x00));
    let response = drive.execute(nexus, &[0x10, 0, 0, 0, 1, 0], &[], &mut []);
    assert_eq!(key_code(&sense(response)), (7, 0x27, 0x00));
    let response = drive.execute(nexus, &[0x10, 0, 0, 0, 0, 0], &[], &mut []);
    assert_eq!(
        response.status,
        Ok(Status::Good),
        "synchronising writes nothing"
    );
    let mut header = [0; 12];
    drive.execute(nexus, &[0x1a, 0, 0x3f, 0, 12, 0], &[], &mut header);
    assert_eq!(header[2], 0x90);
    let mut into = [0; 1];
    let response = drive.execute(nexus, &read(1, 0), &[], &mut into);
    assert_eq!((response.status, into), (Ok(Status::Good), *b"a"));
}

#[test]
fn a_block_larger_than_the_buffer_goes_through() {
    let setup = Setup {
        buffer_bytes: Some(64 << 10),
        ..Setup::default()
    };
    let mut rig = Rig::of(64 * MIB, setup);
    let block = vec![3; 1 << 20];
    rig.write_all(&[&block, &block]);
    assert!(rig.drive.object_buffer().is_empty());
    rig.rewind();
    assert_eq!(rig.block(), block);
}
