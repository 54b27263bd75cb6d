//! READ POSITION, and what it says about the buffer.

use crate::rig::*;

fn short(rig: &mut Rig) -> Vec<u8> {
    rig.data(&[0x34, 0x00, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn extended(rig: &mut Rig) -> Vec<u8> {
    rig.data(&[0x34, 0x08, 0, 0, 0, 0, 0, 0, 32, 0])
}

#[test]
fn the_buffer_is_told_until_it_is_on_the_medium() {
    let mut rig = Rig::new();
    assert_eq!(short(&mut rig)[0], 0x80, "BOP");
    rig.write_all(&[b"aaa", b"bb"]);
    rig.good(&[0x10, 1, 0, 0, 1, 0]);
    let reply = short(&mut rig);
    assert_eq!(reply.len(), 20);
    assert_eq!((reply[0], reply[1]), (0, 0));
    assert_eq!((number(&reply[4..8]), number(&reply[8..12])), (3, 0));
    assert_eq!((number(&reply[13..16]), number(&reply[16..20])), (3, 5));
    let reply = extended(&mut rig);
    assert_eq!((reply.len(), number(&reply[2..4])), (32, 28));
    assert_eq!((number(&reply[8..16]), number(&reply[16..24])), (3, 0));
    assert_eq!((number(&reply[5..8]), number(&reply[24..32])), (3, 5));
    assert_eq!(rig.place(), (3, 1), "the long form is the host's position");

    rig.synchronise();
    let reply = extended(&mut rig);
    assert_eq!((number(&reply[8..16]), number(&reply[16..24])), (3, 3));
    assert_eq!((number(&reply[5..8]), number(&reply[24..32])), (0, 0));
}

#[test]
fn asking_does_not_empty_the_buffer() {
    let mut rig = Rig::new();
    rig.write_all(&[b"a"]);
    for _ in 0..3 {
        extended(&mut rig);
        short(&mut rig);
    }
    assert_eq!(rig.drive.object_buffer().objects(), 1);
}

#[test]
fn a_full_buffer_moves_the_frontier() {
    let mut rig = Rig::new();
    let block = vec![0; 1 << 20];
    for _ in 0..4 {
        rig.write_all(&[&block]);
    }
    let reply = extended(&mut rig);
    let (first, last) = (number(&reply[8..16]), number(&reply[16..24]));
    assert_eq!(first, 4);
    assert_eq!(last, 2, "half of 4 MiB was moved for the fourth block");
    assert_eq!(rig.drive.medium().expect("cartridge").objects(), last);
}

#[test]
fn unbuffered_mode_holds_nothing() {
    let mut rig = Rig::new();
    let list = [0, 0, 0x00, 0];
    assert!(
        rig.send(&[0x15, 0x10, 0, 0, 4, 0], &list, &mut [])
            .sense
            .is_none()
    );
    rig.write_all(&[b"a"]);
    rig.good(&[0x10, 1, 0, 0, 1, 0]);
    assert!(rig.drive.object_buffer().is_empty());
    assert_eq!(rig.drive.medium().expect("cartridge").objects(), 2);
}

#[test]
fn forms_and_lengths_that_are_none() {
    let mut rig = Rig::new();
    for action in [0x00, 0x01, 0x06] {
        let sense = rig.check(&[0x34, action, 0, 0, 0, 0, 0, 0, 20, 0]);
        assert_eq!(
            key_code(&sense),
            (5, 0x24, 0x00),
            "the allocation length must be 0"
        );
    }
    assert_eq!(rig.data(&[0x34, 0x08, 0, 0, 0, 0, 0, 0, 10, 0]).len(), 10);
    assert_eq!(
        key_code(&rig.check(&[0x34, 0x02, 0, 0, 0, 0, 0, 0, 0, 0])),
        (5, 0x24, 0x00)
    );
}

#[test]
fn everything_that_moves_the_tape_synchronises() {
    let movers: [&[u8]; 6] = [
        &[0x01, 0, 0, 0, 0, 0],
        &space(1, -1),
        &space(3, 0),
        &locate(1),
        &[0x1b, 0, 0, 0, 0, 0],
        &[0x10, 0, 0, 0, 0, 0],
    ];
    for cdb in movers {
        let mut rig = Rig::new();
        rig.write_all(&[b"a", b"b"]);
        assert_eq!(rig.drive.medium().expect("cartridge").objects(), 0);
        rig.run(cdb);
        assert_eq!(
            rig.drive.medium().expect("cartridge").objects(),
            2,
            "{cdb:02x?}"
        );
    }
    let mut rig = Rig::new();
    rig.write_all(&[b"a"]);
    rig.good(&[0x10, 1, 0, 0, 0, 0]);
    rig.good(&space(0, 0));
    assert_eq!(
        rig.drive.medium().expect("cartridge").objects(),
        0,
        "these move nothing"
    );
}
