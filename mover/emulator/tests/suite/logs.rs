//! LOG SENSE.

use std::collections::BTreeMap;

use crate::rig::*;

fn page(rig: &mut Rig, code: u8) -> BTreeMap<u16, Vec<u8>> {
    let reply = rig.data(&[0x4d, 0, 0x40 | code, 0, 0, 0, 0, 0xff, 0xff, 0]);
    assert_eq!(reply[0] & 0x3f, code);
    assert_eq!(number(&reply[2..4]) as usize, reply.len() - 4);
    let mut parameters = BTreeMap::new();
    let mut rest = &reply[4..];
    while !rest.is_empty() {
        let length = usize::from(rest[3]);
        parameters.insert(number(&rest[..2]) as u16, rest[4..4 + length].to_vec());
        rest = &rest[4 + length..];
    }
    parameters
}

#[test]
fn every_listed_page_is_there() {
    let mut rig = Rig::new();
    let list = rig.data(&[0x4d, 0, 0x40, 0, 0, 0, 0, 0xff, 0xff, 0]);
    assert_eq!(
        list[4..],
        [0x00, 0x02, 0x03, 0x0c, 0x11, 0x12, 0x17, 0x1b, 0x2e, 0x31]
    );
    for code in &list[5..] {
        assert!(!page(&mut rig, *code).is_empty(), "page {code:02x}");
    }
    for cdb in [
        [0x4d, 0, 0x7e, 0, 0, 0, 0, 0, 255, 0],
        [0x4d, 1, 0x40, 0, 0, 0, 0, 0, 255, 0],
        [0x4d, 0, 0x57, 1, 0, 0, 0, 0, 255, 0],
        [0x4d, 0, 0xd7, 0, 0, 0, 0, 0, 255, 0],
    ] {
        assert_eq!(key_code(&rig.check(&cdb)), (5, 0x24, 0x00), "{cdb:02x?}");
    }
}

#[test]
fn capacity_follows_what_was_written() {
    let mut rig = Rig::new();
    let capacity = page(&mut rig, 0x31);
    assert_eq!((number(&capacity[&1]), number(&capacity[&3])), (64, 64));
    for _ in 0..10 {
        rig.write_all(&[&vec![0; 1 << 20]]);
    }
    // In the buffer or not: it is taken.
    assert_eq!(number(&page(&mut rig, 0x31)[&1]), 53);
    let statistics = page(&mut rig, 0x17);
    assert_eq!(number(&statistics[&0x0016]), 67);
    assert_eq!(number(&statistics[&0x0017]), 10);
    assert_eq!(statistics[&0x0203], [7, 0, 0, 0, 0, 0, 0, 10]);
    let access = page(&mut rig, 0x0c);
    assert_eq!(number(&access[&0x0000]), 10 << 20);
    assert_eq!(number(&access[&0x0007]), 10);
    rig.rewind();
    assert_eq!(
        number(&page(&mut rig, 0x31)[&1]),
        53,
        "not the position, but EOD counts"
    );
    rig.write_all(&[b"x"]);
    assert_eq!(
        number(&page(&mut rig, 0x31)[&1]),
        63,
        "overwriting gives it back at once"
    );
}

#[test]
fn parameters_from_a_pointer_on() {
    let mut rig = Rig::new();
    let reply = rig.data(&[0x4d, 0, 0x71, 0, 0, 0, 3, 0, 255, 0]);
    assert_eq!(number(&reply[4..6]), 3);
    assert_eq!(reply.len(), 4 + 2 * 8);
    assert_eq!(rig.data(&[0x4d, 0, 0x71, 0, 0, 0, 0, 0, 4, 0]).len(), 4);
}

#[test]
fn tape_alerts_are_cleared_by_reading_for_the_reader_alone() {
    let mut rig = Rig::new();
    let other = rig.drive.connect("host-b");
    rig.write_all(&[&vec![9; 30_000]]);
    rig.synchronise();
    scribble(&rig);
    rig.rewind();
    assert_eq!(key_code(&sense(rig.read(30_000).0)), (3, 0x11, 0x00));
    let bits = page(&mut rig, 0x12)[&0].clone();
    assert_eq!(
        bits,
        [0x28, 0, 0, 0, 0, 0, 0, 0],
        "flags 3 and 5; this does not clear them"
    );
    let flags = page(&mut rig, 0x2e);
    assert_eq!(flags.len(), 64);
    assert_eq!(
        (&flags[&3], &flags[&5], &flags[&6]),
        (&vec![1], &vec![1], &vec![0])
    );
    assert!(page(&mut rig, 0x2e).values().all(|flag| flag == &[0]));
    rig.nexus = other;
    rig.run(&[0; 6]);
    assert_eq!(
        page(&mut rig, 0x2e)[&5],
        [1],
        "the other has not read it yet"
    );
}

/// Writes over the last bytes of the cartridge's data.
fn scribble(rig: &Rig) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(rig.path())
        .expect("open");
    let end = file.metadata().expect("file").len();
    file.write_all_at(b"scribble", end - 100).expect("write");
}

#[test]
fn the_status_page_tells_of_the_cartridge() {
    let mut rig = Rig::new();
    assert_eq!(page(&mut rig, 0x11)[&0], [0x11, 0x17, 0, 0]);
    rig.good(&[0x1b, 0, 0, 0, 0, 0]);
    assert_eq!(
        page(&mut rig, 0x11)[&0],
        [0x11, 0x10, 0, 0],
        "present, not threaded"
    );
    assert_eq!(page(&mut rig, 0x17)[&0], [0], "no values without a medium");
}
