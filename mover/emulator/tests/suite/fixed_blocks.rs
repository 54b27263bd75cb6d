//! READ and WRITE with FIXED=1.

use longhaul_scsi::status::Status;

use crate::rig::*;

const WRITE_FIXED: u8 = 0x0a;

fn write_fixed(rig: &mut Rig, blocks: u8, data: &[u8]) -> longhaul_emulator::Response {
    rig.send(&[WRITE_FIXED, 1, 0, 0, blocks, 0], data, &mut [])
}

fn read_fixed(rig: &mut Rig, blocks: u8, into: &mut [u8]) -> longhaul_emulator::Response {
    rig.send(&read(u32::from(blocks), 1), &[], into)
}

#[test]
fn several_blocks_go_in_one_command() {
    let mut rig = Rig::new();
    rig.set_block_length(4);
    assert_eq!(write_fixed(&mut rig, 3, b"aaaabbbbcccc").transferred, 12);
    assert_eq!(rig.place(), (3, 0));
    rig.rewind();
    let mut into = [0; 8];
    let response = read_fixed(&mut rig, 2, &mut into);
    assert_eq!((response.status, &into), (Ok(Status::Good), b"aaaabbbb"));
    let (_, third) = rig.read(4);
    assert_eq!(third, b"cccc", "they are blocks like others");
}

#[test]
fn a_filemark_and_the_end_leave_a_residual_in_blocks() {
    let mut rig = Rig::new();
    rig.set_block_length(4);
    write_fixed(&mut rig, 2, b"aaaabbbb");
    rig.filemarks(1);
    write_fixed(&mut rig, 1, b"cccc");
    rig.rewind();
    let mut into = [0; 20];
    let response = read_fixed(&mut rig, 5, &mut into);
    assert_eq!(response.transferred, 8);
    let mark = sense(response);
    assert!(mark.filemark);
    assert_eq!(told(&mark), (0, 0x00, 0x01, Some(3)));
    let response = read_fixed(&mut rig, 5, &mut into);
    assert_eq!(response.transferred, 4);
    assert_eq!(told(&sense(response)), (8, 0x00, 0x05, Some(4)));
}

#[test]
fn a_block_of_another_length_is_passed_and_told() {
    let mut rig = Rig::new();
    rig.write_all(&[b"aaaa", b"bb", b"cccc"]);
    rig.rewind();
    rig.set_block_length(4);
    let mut into = [0; 12];
    let response = read_fixed(&mut rig, 3, &mut into);
    assert_eq!(response.transferred, 4);
    let wrong = sense(response);
    assert!(wrong.ili);
    assert_eq!(
        told(&wrong),
        (0, 0, 0, Some(2)),
        "the wrong block is not counted"
    );
    assert_eq!(rig.place(), (2, 0), "behind the wrong block");
}

#[test]
fn what_does_not_go_together() {
    let mut rig = Rig::new();
    assert_eq!(
        key_code(&sense(write_fixed(&mut rig, 1, b"a"))),
        (5, 0x24, 0x00)
    );
    assert_eq!(
        key_code(&rig.check(&read(1, 1))),
        (5, 0x24, 0x00),
        "no block length is set"
    );
    rig.set_block_length(4);
    assert_eq!(
        key_code(&rig.check(&read(1, 3))),
        (5, 0x24, 0x00),
        "FIXED with SILI"
    );
}

#[test]
fn only_whole_blocks_that_came_are_recorded() {
    let mut rig = Rig::new();
    rig.set_block_length(4);
    let response = write_fixed(&mut rig, 3, b"aaaabbbbcc");
    assert_eq!(
        (response.status, response.transferred),
        (Ok(Status::Good), 8)
    );
    assert_eq!(rig.place(), (2, 0));
}

#[test]
fn the_end_of_the_medium_leaves_a_residual_in_blocks() {
    let mut rig = Rig::of(MIB, longhaul_emulator::drive::Setup::default());
    rig.set_block_length(300 << 10);
    let data = vec![1; 5 * (300 << 10)];
    let response = write_fixed(&mut rig, 5, &data);
    assert_eq!(response.transferred, 3 * (300 << 10));
    let full = sense(response);
    assert!(full.eom);
    assert_eq!(told(&full), (0xd, 0x00, 0x02, Some(2)));
    assert_eq!(rig.place(), (3, 0));
}
