//! What the tests share.
#![allow(dead_code)]

use longhaul_catalog::{EntryState, EntryType, Row, SetPart, SetRecord, SetState, Volume};
use uuid::Uuid;

/// A plain file, with all fields derived from `number`.
pub fn row(path: &[u8], number: u64) -> Row {
    Row {
        path: path.to_vec(),
        entry_type: EntryType::File,
        state: EntryState::Ok,
        size: number * 7,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        nlink: 1,
        mtime_ns: 1_700_000_000_000_000_000 + i128::from(number) * 1_234_567_891,
        ctime_ns: 1_750_000_000_123_456_789 + i128::from(number),
        inode: 900_000_000 + number,
        volume: 1,
        block: number / 50,
        offset: number * 512 % (512 << 10),
        digest: Some(digest(number)),
        link: Vec::new(),
    }
}

/// Bytes that look random, as a digest's do.
pub fn digest(number: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    for word in digest.chunks_exact_mut(8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        word.copy_from_slice(&x.to_le_bytes());
    }
    digest
}

pub fn volume(number: u128) -> Volume {
    Volume {
        uuid: Uuid::from_u128(number),
        name: format!("LH{number:04}"),
        barcode: Some(format!("LH{number:04}L9")),
        record_bytes: 512 << 10,
        created_ms: 1_700_000_000_000,
        capacity_bytes: Some(18_000_000_000_000),
    }
}

pub fn set(number: u128, volume: &Volume) -> SetRecord {
    SetRecord {
        uuid: Uuid::from_u128(1000 + number),
        parts: vec![SetPart {
            volume: volume.uuid,
            tape_file: 1,
            first_block: 11,
            stream_offset: 0,
        }],
        started_ms: 1_700_000_000_000 + number as i64,
        ended_ms: Some(1_700_000_100_000),
        host: "node1".into(),
        paths: vec![b"/srv".to_vec(), b"/\xff\n".to_vec()],
        members: 12,
        bytes: 34_567,
        errors: 0,
        state: SetState::Finished,
    }
}
