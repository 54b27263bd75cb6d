//! The ring against a kernel that is played here, in anonymous memory.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use memmap2::{MmapMut, MmapRaw};
use proptest::prelude::*;

use super::area::Area;
use super::layout::{entry, mailbox};
use super::{Entry, Ring, RingError, TaskManagement};

const START: usize = 128;
const RING_BYTES: u32 = 512;
const DATA: usize = START + RING_BYTES as usize;
const WHOLE: usize = 16384;

fn blank() -> Area {
    Area::new(MmapRaw::from(MmapMut::map_anon(WHOLE).expect("memory")))
}

fn put(area: &Area, at: usize, bytes: &[u8]) {
    area.copy_in(at, bytes).expect("inside");
}

/// The kernel's side of a ring.
struct Kernel {
    line: UnixStream,
    head: u32,
}

/// An empty ring, with head and tail at `place`.
fn ring_at(place: u32) -> (Ring, Kernel) {
    let area = blank();
    put(&area, mailbox::VERSION, &2_u16.to_ne_bytes());
    put(&area, mailbox::FLAGS, &mailbox::CAP_READ_LEN.to_ne_bytes());
    put(&area, mailbox::RING_OFFSET, &(START as u32).to_ne_bytes());
    put(&area, mailbox::RING_BYTES, &RING_BYTES.to_ne_bytes());
    put(&area, mailbox::HEAD, &place.to_ne_bytes());
    put(&area, mailbox::TAIL, &place.to_ne_bytes());
    let (ours, line) = UnixStream::pair().expect("sockets");
    let ring = Ring::over(area, File::from(OwnedFd::from(ours))).expect("a ring");
    (ring, Kernel { line, head: place })
}

/// A command's entry: iovecs, then the CDB.
fn command(place: u32, cdb: &[u8], pieces: &[(usize, usize)]) -> Vec<u8> {
    let cdb_at = entry::IOV + pieces.len() * entry::IOV_BYTES;
    let length = (cdb_at.max(entry::BYTES) + cdb.len()).next_multiple_of(8);
    let mut bytes = vec![0; length];
    let mut set = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    set(0, &(length as u32 | entry::OP_COMMAND).to_ne_bytes());
    set(entry::IOV_COUNT, &(pieces.len() as u32).to_ne_bytes());
    let cdb_at = cdb_at.max(entry::BYTES);
    let in_area = (START + place as usize + cdb_at) as u64;
    set(entry::CDB_OFFSET, &in_area.to_ne_bytes());
    for (index, (base, bytes)) in pieces.iter().enumerate() {
        let at = entry::IOV + index * entry::IOV_BYTES;
        set(at, &(*base as u64).to_ne_bytes());
        set(at + 8, &(*bytes as u64).to_ne_bytes());
    }
    set(cdb_at, cdb);
    bytes
}

impl Kernel {
    /// Puts an entry at the head, after a pad if it does not fit. Returns
    /// where in the area it lies.
    fn push(&mut self, ring: &Ring, build: impl Fn(u32) -> Vec<u8>) -> usize {
        if build(0).len() as u32 > RING_BYTES - self.head {
            let pad = RING_BYTES - self.head;
            self.write(ring, &(pad | entry::OP_PAD).to_ne_bytes(), pad);
        }
        let bytes = build(self.head);
        let at = START + self.head as usize;
        self.write(ring, &bytes, bytes.len() as u32);
        at
    }

    fn write(&mut self, ring: &Ring, bytes: &[u8], length: u32) {
        put(&ring.area, START + self.head as usize, bytes);
        self.head = (self.head + length) % RING_BYTES;
        ring.area.store(mailbox::HEAD, self.head).expect("inside");
        self.line.write_all(&1_u32.to_ne_bytes()).expect("told");
    }

    /// Whether we were told that something was answered.
    fn told(&mut self) -> bool {
        self.line.set_nonblocking(true).expect("a socket");
        self.line.read_exact(&mut [0; 4]).is_ok()
    }

    fn tail(&self, ring: &Ring) -> u32 {
        ring.area.load(mailbox::TAIL).expect("inside")
    }
}

fn corrupt(taken: Result<Option<Entry<'_>>, RingError>) -> &'static str {
    match taken {
        Err(RingError::Corrupt { what, .. }) => what,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("an entry that cannot be was taken"),
    }
}

macro_rules! next_command {
    ($ring:expr) => {
        match $ring.take().expect("a sound ring") {
            Some(Entry::Command(command)) => command,
            _ => panic!("no command"),
        }
    };
}

#[test]
fn a_command_is_taken_with_its_data_and_answered_in_its_place() {
    let (mut ring, mut kernel) = ring_at(0);
    assert!(!ring.wait(Duration::ZERO).expect("waited"));
    assert!(ring.take().expect("sound").is_none());
    put(&ring.area, DATA + 100, b"abc");
    put(&ring.area, DATA + 4096, b"defgh");
    let pieces = [(DATA + 100, 3), (DATA + 4096, 5)];
    let write = [0x0a, 0, 0, 0, 8, 0];
    let at = kernel.push(&ring, |place| command(place, &write, &pieces));
    assert!(ring.wait(Duration::from_secs(1)).expect("waited"));

    let taken = next_command!(ring);
    assert_eq!(taken.cdb(), write);
    assert_eq!(taken.data_bytes(), 8);
    let mut data = [0; 20];
    assert_eq!(taken.copy_data(&mut data).expect("copied"), 8);
    assert_eq!(&data[..8], b"abcdefgh");
    let mut part = [0; 4];
    assert_eq!(taken.copy_data(&mut part).expect("copied"), 4);
    assert_eq!(&part, b"abcd");
    assert!(!kernel.told());
    taken.complete(2, &[0x70, 0, 3], None).expect("answered");

    assert!(kernel.told());
    assert_eq!(kernel.tail(&ring), kernel.head);
    let answer: [u8; 104] = ring.area.field(at + 8).expect("inside");
    assert_eq!((answer[0], &answer[8..12]), (2, &[0x70, 0, 3, 0][..]));
    let [uflags] = ring.area.field(at + entry::UFLAGS).expect("inside");
    assert_eq!(uflags, 0, "a write says nothing of bytes that were read");
    assert!(ring.take().expect("sound").is_none());
}

#[test]
fn what_was_read_is_scattered_and_its_length_is_said() {
    let (mut ring, mut kernel) = ring_at(0);
    put(&ring.area, DATA, &[0xee; 32]);
    let pieces = [(DATA, 3), (DATA + 16, 8)];
    let at = kernel.push(&ring, |place| command(place, &[8, 0, 0, 0, 11, 0], &pieces));
    let taken = next_command!(ring);
    taken.complete(0, &[], Some(b"tape")).expect("answered");
    let data: [u8; 18] = ring.area.field(DATA).expect("inside");
    assert_eq!(&data[..3], b"tap");
    assert_eq!(data[3], 0xee);
    assert_eq!(&data[16..], [b'e', 0xee]);
    let [uflags] = ring.area.field(at + entry::UFLAGS).expect("inside");
    let read_len = u32::from_ne_bytes(ring.area.field(at + entry::READ_LEN).expect("inside"));
    assert_eq!((uflags, read_len), (entry::UFLAG_READ_LEN, 4));
}

#[test]
fn who_reads_nothing_gets_zeros_and_not_what_lay_there() {
    let (mut ring, mut kernel) = ring_at(0);
    put(&ring.area, DATA, &[0xee; 32]);
    let at = kernel.push(&ring, |place| {
        command(place, &[0x12, 0, 0, 0, 8, 0], &[(DATA + 4, 8)])
    });
    let taken = next_command!(ring);
    taken.complete(0, &[], Some(&[])).expect("answered");
    let data: [u8; 16] = ring.area.field(DATA).expect("inside");
    assert_eq!(data[..4], [0xee; 4]);
    assert_eq!(data[4..12], [0; 8]);
    assert_eq!(data[12..], [0xee; 4]);
    let [uflags] = ring.area.field(at + entry::UFLAGS).expect("inside");
    assert_eq!(uflags, 0, "the kernel ignores a length of none");
}

#[test]
fn the_ring_goes_round_over_pads() {
    let (mut ring, mut kernel) = ring_at(RING_BYTES - 64);
    for turn in 0..40_u8 {
        let cdb = [0x11, turn, 0, 0, 0, 0];
        kernel.push(&ring, |place| command(place, &cdb, &[]));
        let taken = next_command!(ring);
        assert_eq!(taken.cdb(), cdb);
        taken.complete(0, &[], None).expect("answered");
        assert_eq!(kernel.tail(&ring), kernel.head, "turn {turn}");
    }
}

#[test]
fn several_commands_keep_their_order_and_a_dropped_one_comes_again() {
    let (mut ring, mut kernel) = ring_at(0);
    for number in 1..=3 {
        kernel.push(&ring, |place| command(place, &[0, number, 0, 0, 0, 0], &[]));
    }
    drop(next_command!(ring));
    for number in 1..=3 {
        let taken = next_command!(ring);
        assert_eq!(taken.cdb()[1], number);
        taken.complete(0, &[], None).expect("answered");
    }
    assert!(ring.take().expect("sound").is_none());
}

#[test]
fn two_directions_and_unknown_operations_are_refused_and_the_next_one_comes() {
    let (mut ring, mut kernel) = ring_at(0);
    let both = kernel.push(&ring, |place| {
        let mut bytes = command(place, &[0x53, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]);
        bytes[entry::IOV_BIDI_COUNT] = 1;
        bytes
    });
    let unknown = kernel.push(&ring, |_| (16_u32 | 5).to_ne_bytes().repeat(4));
    kernel.push(&ring, |place| command(place, &[0; 6], &[]));
    let taken = next_command!(ring);
    assert_eq!(taken.cdb(), [0; 6]);
    taken.complete(0, &[], None).expect("answered");
    for at in [both, unknown] {
        let [uflags] = ring.area.field(at + entry::UFLAGS).expect("inside");
        assert_eq!(uflags, entry::UFLAG_UNKNOWN_OP);
    }
}

#[test]
fn a_reset_of_the_logical_unit_is_told() {
    let (mut ring, mut kernel) = ring_at(0);
    for function in [5, 1] {
        kernel.push(&ring, |_| {
            let mut bytes = vec![0; 32];
            bytes[0] = 32 | entry::OP_TASK_MANAGEMENT as u8;
            bytes[entry::TMR_TYPE] = function;
            bytes
        });
    }
    for expected in [TaskManagement::LogicalUnitReset, TaskManagement::Other(1)] {
        match ring.take().expect("sound") {
            Some(Entry::TaskManagement(function)) => assert_eq!(function, expected),
            _ => panic!("no task management"),
        }
    }
    assert_eq!(kernel.tail(&ring), kernel.head);
}

#[test]
fn a_cdb_is_as_long_as_its_operation_code_says() {
    for (opcode, bytes) in [(0x12, 6), (0x34, 10), (0x5e, 10), (0x92, 16), (0xa3, 12)] {
        let (mut ring, mut kernel) = ring_at(0);
        let mut cdb = vec![opcode; 32];
        kernel.push(&ring, |place| command(place, &cdb, &[]));
        assert_eq!(next_command!(ring).cdb().len(), bytes, "{opcode:02x}");
        cdb[0] = 0x7f;
        cdb[7] = 24;
        let (mut ring, mut kernel) = ring_at(0);
        kernel.push(&ring, |place| command(place, &cdb, &[]));
        assert_eq!(next_command!(ring).cdb(), cdb);
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_by_name() {
    let whole = WHOLE as u64;
    let cases: [(&str, usize, u64, usize); 9] = [
        ("entry's length", 0, 1, 4),
        ("entry's length", 0, 104 | 1, 4),
        ("entry's length", 0, 4096 | 1, 4),
        ("number of iovecs", entry::IOV_COUNT, 1000, 4),
        ("iovec's base", entry::IOV, whole + 1, 8),
        ("iovec's base", entry::IOV, DATA as u64 - 1, 8),
        ("iovec's length", entry::IOV + 8, whole, 8),
        ("CDB's offset", entry::CDB_OFFSET, u64::MAX, 8),
        ("field's offset", entry::CDB_OFFSET, whole - 3, 8),
    ];
    for (what, at, value, bytes) in cases {
        let (mut ring, mut kernel) = ring_at(0);
        let lies = kernel.push(&ring, |place| command(place, &[0x0a; 6], &[(DATA, 8)]));
        put(&ring.area, lies + at, &value.to_ne_bytes()[..bytes]);
        // The end of the area is an operation code, too.
        put(&ring.area, WHOLE - 3, &[0x0a]);
        assert_eq!(corrupt(ring.take()), what);
    }
    for (head, what) in [(RING_BYTES, "head"), (u32::MAX, "head"), (12, "head")] {
        let (mut ring, _kernel) = ring_at(0);
        ring.area.store(mailbox::HEAD, head).expect("inside");
        assert_eq!(corrupt(ring.take()), what);
    }
}

#[test]
fn a_mailbox_that_cannot_be_is_refused() {
    let cases: [(usize, u32, &str); 7] = [
        (mailbox::RING_OFFSET, 64, "offset"),
        (mailbox::RING_OFFSET, 132, "offset"),
        (mailbox::RING_OFFSET, u32::MAX, "offset"),
        (mailbox::RING_BYTES, 0, "size"),
        (mailbox::RING_BYTES, 500, "size"),
        (mailbox::RING_BYTES, WHOLE as u32, "size"),
        (mailbox::TAIL, RING_BYTES, "tail"),
    ];
    for (at, value, expected) in cases {
        let (ring, _kernel) = ring_at(0);
        put(&ring.area, at, &value.to_ne_bytes());
        match Ring::over(ring.area, ring.device) {
            Err(RingError::Corrupt { what, .. }) => assert_eq!(what, expected),
            _ => panic!("{value} at {at} was taken"),
        }
    }
    let (ring, _kernel) = ring_at(0);
    put(&ring.area, mailbox::VERSION, &[3, 0]);
    let refused = Ring::over(ring.area, ring.device);
    assert!(matches!(refused, Err(RingError::Version(3))));
}

proptest! {
    #[test]
    fn no_bytes_of_an_entry_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 256),
        op in 0..8_u32,
        length in 0..64_u32,
    ) {
        let (mut ring, mut kernel) = ring_at(0);
        kernel.push(&ring, |_| {
            let mut bytes = bytes.clone();
            bytes[..4].copy_from_slice(&((length * 8) | op).to_ne_bytes());
            bytes
        });
        while let Ok(Some(entry)) = ring.take() {
            if let Entry::Command(command) = entry {
                command.complete(0, &[0; 200], Some(&[1; 300])).expect("answered");
            }
        }
    }
}
