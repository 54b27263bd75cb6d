//! A walk over a stream, block by block, that checks the archive's rules. It
//! shares no code with the crate: numbers and records are read here anew.

use longhaul_format::archive::{Part, Placement};

const BLOCK: u64 = 512;
const LARGE: u64 = 64 << 20;

/// A stream whose file data need not exist.
pub struct Stream {
    /// Stream offset of each run of bytes.
    runs: Vec<(u64, Vec<u8>)>,
    len: u64,
}

/// What the walk found of a member.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub start: u64,
    pub data: u64,
    pub end: u64,
}

impl Stream {
    pub fn new(placements: &[Placement]) -> Stream {
        let mut stream = Stream {
            runs: Vec::new(),
            len: 0,
        };
        for placement in placements {
            for part in &placement.parts {
                assert!(!part.is_empty(), "an empty part");
                if let Part::Bytes(bytes) = part {
                    stream.runs.push((stream.len, bytes.clone()));
                }
                stream.len += part.len();
            }
            assert_eq!(stream.len, placement.end);
        }
        stream
    }

    /// Bytes of the stream; what is not in a run is zeros.
    fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        assert!(at + len <= self.len);
        let mut out = vec![0; len as usize];
        let first = self
            .runs
            .partition_point(|(from, run)| from + run.len() as u64 <= at);
        for (from, run) in &self.runs[first..] {
            if *from >= at + len {
                break;
            }
            let start = (*from).max(at);
            let end = (from + run.len() as u64).min(at + len);
            out[(start - at) as usize..(end - at) as usize]
                .copy_from_slice(&run[(start - from) as usize..(end - from) as usize]);
        }
        out
    }
}

/// Walks the stream; panics where a rule is broken.
pub fn walk(stream: &Stream, record: u64) -> Vec<Found> {
    assert_eq!(stream.len % record, 0, "the archive fills its last record");
    let mut found = Vec::new();
    let mut at = 0;
    let mut globals_in_a_row = 0;
    loop {
        let block = stream.bytes(at, BLOCK);
        if block.iter().all(|&byte| byte == 0) {
            break;
        }
        check_sum(&block);
        if block[156] == b'g' {
            at = global(stream, record, at);
            globals_in_a_row += 1;
            assert!(globals_in_a_row <= 2, "head and pad, no more");
            continue;
        }
        let member = member(stream, record, at);
        at = member.end;
        globals_in_a_row = 0;
        found.push(member);
    }
    assert_eq!(
        globals_in_a_row, 0,
        "a g header before the end: tarfile raises"
    );
    assert!(stream.len - at >= 2 * BLOCK, "two blocks of zeros");
    assert!(
        stream.len - at < 2 * BLOCK + record,
        "and no more than a record"
    );
    assert!(
        stream
            .bytes(at, stream.len - at)
            .iter()
            .all(|&byte| byte == 0)
    );
    found
}

/// Head or pad; returns its end.
fn global(stream: &Stream, record: u64, at: u64) -> u64 {
    let size = number(&stream.bytes(at, BLOCK)[124..136]);
    let end = at + BLOCK + up(size);
    assert!(size > 0, "a g header of one block: tarfile raises");
    let body = stream.bytes(at + BLOCK, size);
    let records = records(&body);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].0, b"comment");
    if at > 0 {
        assert_eq!(end % record, 0, "a pad goes up to the boundary");
        assert!(end - at < record, "and is shorter than a record");
    }
    assert_ne!(gap(end, record), BLOCK);
    end
}

fn member(stream: &Stream, record: u64, start: u64) -> Found {
    let mut header = start;
    let mut size_record = None;
    let mut mapped = false;
    let block = stream.bytes(start, BLOCK);
    if block[156] == b'x' {
        let size = number(&block[124..136]);
        for (key, value) in records(&stream.bytes(start + BLOCK, size)) {
            mapped |= key == b"GNU.sparse.realsize";
            if key == b"size" {
                size_record = Some(std::str::from_utf8(&value).unwrap().parse::<u64>().unwrap());
            }
        }
        header = start + BLOCK + up(size);
    }
    let block = stream.bytes(header, BLOCK);
    check_sum(&block);
    assert!(b"0123456".contains(&block[156]), "type {}", block[156]);
    let size = number(&block[124..136]);
    assert!(
        size_record.is_none_or(|record| record == size),
        "base-256 and record agree"
    );
    assert!(
        !(mapped && size_record.is_some()),
        "no size record on a sparse member"
    );
    assert_eq!(size_record.is_some(), size >= 8 << 30 && !mapped);
    let data = header
        + BLOCK
        + if mapped {
            map_len(stream, header + BLOCK)
        } else {
            0
        };
    let end = header + BLOCK + up(size);
    let stored = size - (data - header - BLOCK);
    placed_well(record, start, data, end, stored);
    Found { start, data, end }
}

fn placed_well(record: u64, start: u64, data: u64, end: u64, stored: u64) {
    let headers = data - start;
    if headers > record {
        assert_eq!(
            start % record,
            0,
            "headers longer than a record start on a boundary"
        );
    } else {
        assert_eq!(
            start / record,
            (data - 1) / record,
            "headers straddle a boundary"
        );
    }
    if stored >= LARGE {
        assert_eq!(start % record, 0, "a large member starts on a boundary");
        if 4096 % record != 0 {
            assert_eq!(headers % 4096, 0, "its headers are whole 4 KiB");
        }
    }
    assert_ne!(gap(end, record), BLOCK, "one block before the boundary");
    assert!(headers <= 16 << 20);
}

/// Bytes of a sparse map with its padding.
fn map_len(stream: &Stream, at: u64) -> u64 {
    let mut lines = 0;
    let mut wanted = None;
    let mut line = Vec::new();
    for offset in at.. {
        let byte = stream.bytes(offset, 1)[0];
        if byte != b'\n' {
            assert!(byte.is_ascii_digit());
            line.push(byte);
            continue;
        }
        lines += 1;
        let number: u64 = std::str::from_utf8(&line).unwrap().parse().unwrap();
        line.clear();
        let wanted = *wanted.get_or_insert(1 + 2 * number);
        if lines == wanted {
            return up(offset + 1 - at);
        }
    }
    unreachable!()
}

fn records(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let blank = rest.iter().position(|&byte| byte == b' ').unwrap();
        let len: usize = std::str::from_utf8(&rest[..blank])
            .unwrap()
            .parse()
            .unwrap();
        let (record, tail) = rest.split_at(len);
        assert_eq!(record[len - 1], b'\n');
        let record = &record[blank + 1..len - 1];
        let equals = record.iter().position(|&byte| byte == b'=').unwrap();
        out.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        rest = tail;
    }
    out
}

fn check_sum(block: &[u8]) {
    let stated = number(&block[148..156]);
    let blanks = 8 * 32;
    let sum: u64 = block[..148]
        .iter()
        .chain(&block[156..])
        .map(|&byte| u64::from(byte))
        .sum();
    assert_eq!(stated, sum + blanks);
}

fn number(field: &[u8]) -> u64 {
    if field[0] == 0x80 {
        return field[1..]
            .iter()
            .fold(0, |value, &byte| value << 8 | u64::from(byte));
    }
    let digits: Vec<u8> = field.iter().copied().filter(u8::is_ascii_digit).collect();
    u64::from_str_radix(std::str::from_utf8(&digits).unwrap(), 8).unwrap()
}

fn up(size: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK
}

fn gap(at: u64, record: u64) -> u64 {
    at.div_ceil(record) * record - at
}
