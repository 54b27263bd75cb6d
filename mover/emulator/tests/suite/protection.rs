//! Logical block protection: a CRC32C behind every block (SSC-5 4.2.29).

use longhaul_emulator::drive::Response;
use longhaul_scsi::status::Status;

use crate::rig::*;

const GUARD_FAILED: (u8, u8, u8) = (4, 0x10, 0x01);
/// LBP_W and LBP_R.
const WRITES: u8 = 0x80;
const READS: u8 = 0x40;

/// MODE SELECT(6) of Control Data Protection.
fn select(rig: &mut Rig, method: u8, length: u8, flags: u8) -> Response {
    let mut list = vec![0, 0, 0x10, 0, 0x4a, 0xf0, 0, 0x1c, method, length, flags];
    list.resize(4 + 32, 0);
    rig.send(&[0x15, 0x10, 0, 0, 36, 0], &list, &mut [])
}

/// CRC32C, in both directions or one.
fn protect(rig: &mut Rig, flags: u8) {
    let response = select(rig, 2, 4, flags);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
}

fn page(rig: &mut Rig, control: u8) -> Vec<u8> {
    rig.data(&[0x1a, 8, control << 6 | 0x0a, 0xf0, 255, 0])[4..].to_vec()
}

/// The block with its protection information, the least significant byte first.
fn protected(block: &[u8]) -> Vec<u8> {
    let crc = crc32c::crc32c(block);
    [block, &crc.to_le_bytes()].concat()
}

#[test]
fn the_check_value_stands_least_significant_byte_first() {
    // The CRC-32C of the digits 1 to 9 is E3069283h.
    assert_eq!(protected(b"123456789")[9..], [0x83, 0x92, 0x06, 0xe3]);
    let mut rig = Rig::new();
    protect(&mut rig, WRITES);
    rig.write_all(&[b"123456789\x83\x92\x06\xe3"]);
    let big_endian = rig.write(b"123456789\xe3\x06\x92\x83");
    assert_eq!(key_code(&sense(big_endian)), GUARD_FAILED);
}

#[test]
fn the_drive_says_that_it_can() {
    let mut rig = Rig::new();
    assert_eq!(rig.data(&[0x12, 0, 0, 0, 96, 0])[5] & 1, 1, "PROTECT");
    let extended = rig.data(&[0x12, 1, 0x86, 0, 96, 0]);
    assert_eq!(extended.len(), 64);
    assert_eq!(extended[..5], [1, 0x86, 0, 60, 0x08], "SPT is 001b");
    assert!(rig.data(&[0x12, 1, 0, 0, 96, 0])[4..].contains(&0x86));
    assert_eq!(page(&mut rig, 0)[..7], [0x4a, 0xf0, 0, 0x1c, 0, 0, 0]);
    assert_eq!(page(&mut rig, 1)[4..7], [0xff, 0x3f, 0xc0]);
    protect(&mut rig, WRITES | READS);
    assert_eq!(page(&mut rig, 0)[4..7], [2, 4, 0xc0]);
    assert_eq!(page(&mut rig, 2)[4..7], [0, 0, 0]);
}

#[test]
fn other_methods_are_refused_and_change_nothing() {
    let mut rig = Rig::new();
    protect(&mut rig, READS);
    for (method, length, flags) in [
        (1, 4, READS),
        (2, 0, READS),
        (2, 3, READS),
        (0xf0, 4, READS),
        (0, 4, 0),
        (0, 0, WRITES),
        (2, 4, 0x20),
    ] {
        let refused = sense(select(&mut rig, method, length, flags));
        assert_eq!(
            key_code(&refused),
            (5, 0x26, 0),
            "{method} {length} {flags}"
        );
        assert_eq!(page(&mut rig, 0)[4..7], [2, 4, READS]);
    }
    assert_eq!(select(&mut rig, 0, 0, 0).status, Ok(Status::Good));
    assert_eq!(page(&mut rig, 0)[4..7], [0, 0, 0]);
}

#[test]
fn a_block_that_changed_on_its_way_is_refused_and_not_written() {
    let mut rig = Rig::new();
    protect(&mut rig, WRITES);
    rig.write_all(&[&protected(b"first")]);
    let good = protected(b"second");
    for byte in 0..good.len() {
        let mut changed = good.clone();
        changed[byte] ^= 0x10;
        let refused = sense(rig.write(&changed));
        assert_eq!(
            told(&refused),
            (4, 0x10, 1, Some(good.len() as i64)),
            "{byte}"
        );
        assert!(!refused.deferred);
    }
    assert_eq!(rig.place().0, 1);
    rig.write_all(&[&good]);
    rig.synchronise();
    rig.rewind();
    assert_eq!(rig.block(), b"first", "read without protection");
    assert_eq!(rig.block(), b"second");
}

#[test]
fn what_is_too_short_for_a_block_is_refused() {
    let mut rig = Rig::new();
    protect(&mut rig, WRITES);
    for length in 1..=4 {
        assert_eq!(key_code(&sense(rig.write(&vec![0; length]))), GUARD_FAILED);
    }
    rig.write_all(&[&protected(b"x")]);
    assert_eq!(rig.place().0, 1);
}

#[test]
fn protection_is_no_part_of_the_block() {
    let mut rig = Rig::new();
    rig.write_all(&[b"without"]);
    protect(&mut rig, WRITES | READS);
    rig.write_all(&[&protected(b"with")]);
    rig.synchronise();
    rig.rewind();
    assert_eq!(rig.block(), protected(b"without"));
    assert_eq!(rig.block(), protected(b"with"));
    assert_eq!(select(&mut rig, 0, 0, 0).status, Ok(Status::Good));
    rig.rewind();
    assert_eq!(rig.block(), b"without");
    assert_eq!(rig.block(), b"with");
}

#[test]
fn lengths_count_it() {
    let mut rig = Rig::new();
    rig.write_all(&[b"0123456789"]);
    protect(&mut rig, READS);
    rig.rewind();
    let mut read = |length: u32, flags: u8| {
        rig.rewind();
        let mut into = vec![0xaa; length as usize];
        let response = rig.send(&read(length, flags), &[], &mut into);
        into.truncate(response.transferred);
        (response, into)
    };
    let whole = protected(b"0123456789");
    let (exact, data) = read(14, 0);
    assert_eq!((exact.status, data), (Ok(Status::Good), whole.clone()));
    let (longer, data) = read(20, 0);
    let ili = sense(longer);
    assert!(ili.ili);
    assert_eq!((ili.residual(), data), (Some(6), whole.clone()));
    for length in [13, 10, 9, 1] {
        let (shorter, data) = read(length, 0);
        let ili = sense(shorter);
        assert!(ili.ili);
        assert_eq!(ili.residual(), Some(i64::from(length) - 14), "{length}");
        assert_eq!(data, whole[..length as usize], "{length}");
    }
}

#[test]
fn fixed_blocks_carry_it_each() {
    let mut rig = Rig::new();
    rig.set_block_length(12);
    protect(&mut rig, WRITES | READS);
    let two = [protected(b"eight by"), protected(b"tes each")].concat();
    let response = rig.send(&[0x0a, 1, 0, 0, 2, 0], &two, &mut []);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    let half_wrong = [protected(b"eight by"), vec![0; 12]].concat();
    let refused = rig.send(&[0x0a, 1, 0, 0, 2, 0], &half_wrong, &mut []);
    assert_eq!(told(&sense(refused)), (4, 0x10, 1, Some(1)));
    assert_eq!(rig.place().0, 3, "the first of them is written");
    rig.rewind();
    let mut into = vec![0; 24];
    let response = rig.send(&[0x08, 1, 0, 0, 2, 0], &[], &mut into);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    assert_eq!(into, two);
}

#[test]
fn the_longest_block_is_as_long_with_it() {
    let mut rig = Rig::new();
    protect(&mut rig, WRITES | READS);
    let longest = protected(&vec![7; 8 << 20]);
    rig.write_all(&[&longest]);
    rig.rewind();
    let (response, data) = rig.read(longest.len() as u32);
    assert_eq!(response.status, Ok(Status::Good), "{:?}", response.sense);
    assert!(data == longest);
    let longer = rig.write(&protected(&vec![7; (8 << 20) + 1]));
    assert_eq!(key_code(&sense(longer)), (5, 0x24, 0));
}

#[test]
fn every_nexus_has_its_own_and_a_reset_ends_it() {
    let mut rig = Rig::new();
    let first = rig.nexus;
    let second = rig.drive.connect("host-b");
    rig.drive.execute(second, &[0; 6], &[], &mut []);
    protect(&mut rig, WRITES | READS);
    rig.write_all(&[&protected(b"a")]);
    rig.nexus = second;
    rig.good(&[0; 6]);
    assert_eq!(page(&mut rig, 0)[4..7], [0, 0, 0]);
    rig.write_all(&[b"b"]);
    rig.rewind();
    assert_eq!(rig.block(), b"a");
    rig.nexus = first;
    assert_eq!(rig.block(), protected(b"b"));
    rig.drive.bus_reset();
    rig.check(&[0; 6]);
    assert_eq!(page(&mut rig, 0)[4..7], [0, 0, 0]);
    assert_eq!(rig.block(), b"a");
}

/// A plan that changes a byte on its way to or from the drive.
fn corrupting(opcode: &str) -> Rig {
    let mut rig = Rig::new();
    let plan = format!("[[fault]]\nopcode = \"{opcode}\"\nnth = 2\ncorrupt = 2");
    let plan = longhaul_emulator::faults::Plan::parse(&plan).expect("a valid plan");
    rig.drive.set_faults(plan);
    rig
}

#[test]
fn without_it_a_corrupted_transfer_passes() {
    let mut rig = corrupting("WRITE(6)");
    rig.write_all(&[b"aaaa", b"bbbb", b"cccc"]);
    rig.rewind();
    let blocks = [rig.block(), rig.block(), rig.block()];
    assert_eq!(blocks, [b"aaaa", b"bbcb", b"cccc"]);
    let mut rig = corrupting("READ(6)");
    rig.write_all(&[b"aaaa", b"bbbb", b"cccc"]);
    rig.rewind();
    let blocks = [rig.block(), rig.block(), rig.block()];
    assert_eq!(blocks, [b"aaaa", b"bbcb", b"cccc"]);
}

#[test]
fn with_it_a_corrupted_transfer_is_noticed() {
    let mut rig = corrupting("WRITE(6)");
    protect(&mut rig, WRITES);
    rig.write_all(&[&protected(b"aaaa")]);
    assert_eq!(
        key_code(&sense(rig.write(&protected(b"bbbb")))),
        GUARD_FAILED
    );
    let mut rig = corrupting("READ(6)");
    rig.write_all(&[b"aaaa", b"bbbb"]);
    protect(&mut rig, READS);
    rig.rewind();
    assert_eq!(rig.block(), protected(b"aaaa"));
    let changed = rig.block();
    assert_ne!(changed, protected(&changed[..4]), "the host's part");
}

#[test]
fn what_changes_behind_the_drive_s_back_is_a_medium_error() {
    let mut rig = Rig::new();
    protect(&mut rig, WRITES | READS);
    let block = protected(b"a needle in the file");
    rig.write_all(&[&block]);
    rig.synchronise();
    let path = rig.path();
    let mut bytes = std::fs::read(&path).expect("the cartridge");
    let needle = b"a needle in the file";
    let at = bytes.windows(needle.len()).position(|w| w == needle);
    bytes[at.expect("its data")] ^= 1;
    std::fs::write(&path, bytes).expect("changed");
    rig.rewind();
    assert_eq!(key_code(&rig.check(&read(100, 2))), (3, 0x11, 0));
}
