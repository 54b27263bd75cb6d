//! SPACE, LOCATE and REWIND.

use crate::rig::*;

/// Blocks 0 1 2, filemark 3, blocks 4 5, filemarks 6 7, block 8; EOD is 9.
fn tape() -> Rig {
    let mut rig = Rig::new();
    rig.write_all(&[b"0", b"1", b"2"]);
    rig.filemarks(1);
    rig.write_all(&[b"4", b"5"]);
    rig.filemarks(2);
    rig.write_all(&[b"8"]);
    rig.rewind();
    rig
}

const BLOCKS: u8 = 0;
const FILEMARKS: u8 = 1;
const EOD: u8 = 3;

#[test]
fn every_space_from_every_place() {
    // (from, code, count) → (to, sense key, ASCQ, residual); key 99 is GOOD.
    const GOOD: (u8, u8, Option<i64>) = (99, 0, None);
    let cases = [
        (0, BLOCKS, 3, 3, GOOD),
        (0, BLOCKS, 4, 4, (0, 0x01, Some(1))),
        (1, BLOCKS, 10, 4, (0, 0x01, Some(8))),
        (3, BLOCKS, 1, 4, (0, 0x01, Some(1))),
        (8, BLOCKS, 1, 9, GOOD),
        (8, BLOCKS, 5, 9, (8, 0x05, Some(4))),
        (9, BLOCKS, 1, 9, (8, 0x05, Some(1))),
        (6, BLOCKS, -2, 4, GOOD),
        (6, BLOCKS, -3, 3, (0, 0x01, Some(1))),
        (4, BLOCKS, -1, 3, (0, 0x01, Some(1))),
        (2, BLOCKS, -2, 0, GOOD),
        (2, BLOCKS, -5, 0, (0, 0x04, Some(3))),
        (0, BLOCKS, -1, 0, (0, 0x04, Some(1))),
        (0, FILEMARKS, 1, 4, GOOD),
        (0, FILEMARKS, 3, 8, GOOD),
        (0, FILEMARKS, 4, 9, (8, 0x05, Some(1))),
        (8, FILEMARKS, 2, 9, (8, 0x05, Some(2))),
        (9, FILEMARKS, -1, 7, GOOD),
        (9, FILEMARKS, -3, 3, GOOD),
        (9, FILEMARKS, -4, 0, (0, 0x04, Some(1))),
        (3, FILEMARKS, -1, 0, (0, 0x04, Some(1))),
        (4, FILEMARKS, -1, 3, GOOD),
        (2, EOD, 0, 9, GOOD),
        (2, EOD, 7, 9, GOOD),
        (5, BLOCKS, 0, 5, GOOD),
        (5, FILEMARKS, 0, 5, GOOD),
    ];
    let mut rig = tape();
    for (from, code, count, to, end) in cases {
        for sixteen in [false, true] {
            let case = format!("SPACE {code} by {count} from {from}, 16 bytes: {sixteen}");
            assert!(rig.locate(from).sense.is_none(), "{case}");
            let response = if sixteen {
                let mut cdb = [0; 16];
                (cdb[0], cdb[1]) = (0x91, code);
                cdb[4..12].copy_from_slice(&i64::from(count).to_be_bytes());
                rig.run(&cdb)
            } else {
                rig.run(&space(code, count))
            };
            let found = match response.sense {
                None => GOOD,
                Some(sense) => {
                    assert_eq!(sense.filemark, sense.ascq == 0x01, "{case}");
                    assert_eq!(sense.eom, sense.ascq == 0x04, "{case}");
                    (sense.key as u8, sense.ascq, sense.residual())
                }
            };
            assert_eq!((rig.place().0, found), (to, end), "{case}");
        }
    }
}

#[test]
fn spaces_that_are_none() {
    let mut rig = tape();
    assert_eq!(
        key_code(&rig.check(&space(2, 1))),
        (5, 0x24, 0x00),
        "sequential filemarks"
    );
    assert_eq!(
        key_code(&rig.check(&space(4, 1))),
        (5, 0x24, 0x00),
        "setmarks"
    );
    let mut cdb = [0; 16];
    (cdb[0], cdb[13]) = (0x91, 1);
    assert_eq!(
        key_code(&rig.check(&cdb)),
        (5, 0x24, 0x00),
        "a parameter list"
    );
}

#[test]
fn the_largest_counts_do_no_harm() {
    let mut rig = tape();
    for count in [i64::MAX, i64::MIN, i64::MIN + 1] {
        for code in [BLOCKS, FILEMARKS] {
            rig.locate(2);
            let mut cdb = [0; 16];
            (cdb[0], cdb[1]) = (0x91, code);
            cdb[4..12].copy_from_slice(&count.to_be_bytes());
            assert!(rig.run(&cdb).sense.is_some());
        }
    }
}

#[test]
fn locate_to_blocks() {
    let mut rig = tape();
    for (object, filemarks) in [(0, 0), (3, 0), (4, 1), (7, 2), (8, 3), (9, 3), (1, 0)] {
        assert!(rig.locate(object).sense.is_none());
        assert_eq!(rig.place(), (object, filemarks));
    }
    assert_eq!(key_code(&sense(rig.locate(10))), (8, 0x00, 0x05));
    assert_eq!(rig.place(), (9, 3), "at EOD");
    let ten = |object: u8| [0x2b, 0, 0, 0, 0, 0, object, 0, 0, 0];
    rig.good(&ten(5));
    assert_eq!(rig.block(), b"5");
    assert_eq!(key_code(&rig.check(&ten(200))), (8, 0x00, 0x05));
}

#[test]
fn locate_to_files_and_the_end() {
    let mut rig = tape();
    let to = |kind: u8, place: u8| {
        let mut cdb = [0; 16];
        (cdb[0], cdb[1], cdb[11]) = (0x92, kind << 3, place);
        cdb
    };
    for (file, object) in [(0, 0), (1, 4), (2, 7), (3, 8)] {
        rig.good(&to(1, file));
        assert_eq!(rig.place(), (object, u64::from(file)));
    }
    assert_eq!(key_code(&rig.check(&to(1, 4))), (8, 0x00, 0x05));
    rig.rewind();
    rig.good(&to(3, 0));
    assert_eq!(rig.place(), (9, 3));
    assert_eq!(key_code(&rig.check(&to(2, 0))), (5, 0x24, 0x00));
}

#[test]
fn there_is_one_partition() {
    let mut rig = tape();
    let mut cdb = locate(1);
    cdb[1] = 0x02;
    rig.good(&cdb);
    cdb[3] = 1;
    assert_eq!(key_code(&rig.check(&cdb)), (5, 0x24, 0x00));
    assert_eq!(
        key_code(&rig.check(&[0x2b, 2, 0, 0, 0, 0, 0, 0, 1, 0])),
        (5, 0x24, 0x00)
    );
}
