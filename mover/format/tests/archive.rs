//! The archive: what is laid out can be parsed, and keeps the rules.

mod common;

use common::members::{expected, plain, record_sizes, samples, without_segments};
use common::walk::{Stream, walk};
use common::{Sample, head, lay_out, read, stream};
use longhaul_format::archive::{
    END_MEMBER, Event, HEADERS_MAX, LARGE, Layout, LayoutError, Parser, Part,
};
use longhaul_format::member::{Kind, Member, Segment, Time};
use proptest::collection::vec;
use proptest::prelude::*;

fn member_of(kind: Kind) -> Member {
    Member {
        kind,
        ..plain(b"dir/name", 0)
    }
}

/// Walks head, members and end; every rule holds, and the walk finds the
/// members where the layout says that they are.
fn check_rules(record: u64, members: &[&Member]) {
    let placements = lay_out(record, members);
    let found = walk(&Stream::new(&placements), record);
    let placed = &placements[1..placements.len() - 1];
    assert_eq!(
        found.len(),
        placed.len().max(1),
        "an empty archive has one member"
    );
    for (found, placed) in found.iter().zip(placed) {
        assert_eq!(
            (found.start, found.data, found.end),
            (placed.start, placed.data, placed.end)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_tree_comes_back(
        record in record_sizes(),
        samples in vec(samples(), 0..12),
        piece in prop_oneof![Just(0usize), 1usize..5000],
    ) {
        let bytes = stream(record, &samples);
        let read = read(&bytes, if piece == 0 { record as usize } else { piece });
        prop_assert_eq!(read.error, None);
        prop_assert!(read.ended);
        prop_assert_eq!(&read.heads, &[head()]);
        prop_assert_eq!(read.members.len(), samples.len());
        let members: Vec<_> = samples.iter().map(|sample| &sample.member).collect();
        let placements = lay_out(record, &members);
        for (index, sample) in samples.iter().enumerate() {
            let (parsed, content) = &read.members[index];
            prop_assert_eq!(
                without_segments(parsed.member.clone()),
                without_segments(expected(&sample.member))
            );
            prop_assert!(content == &sample.content, "content of {:?}", parsed.member.path);
            let placed = &placements[index + 1];
            prop_assert_eq!((parsed.start, parsed.data), (placed.start, placed.data));
            prop_assert_eq!(read.ends[index], placed.end);
        }
    }

    #[test]
    fn every_rule_holds_in_every_stream(
        record in record_sizes(),
        samples in vec(samples(), 0..30),
        larges in vec((0usize..30, 0u64..3 * LARGE), 0..4),
        huge in prop_oneof![Just(0u64), 8u64 << 30..1 << 50],
    ) {
        let mut members: Vec<_> = samples.iter().map(|sample| sample.member.clone()).collect();
        for (at, size) in larges {
            let at = at.min(members.len());
            members.insert(at, plain(b"large", size));
        }
        members.push(plain(b"huge", huge));
        check_rules(record, &members.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_resumed_archive_is_the_same_stream(
        record in record_sizes(),
        samples in vec(samples(), 1..12),
        large in 0usize..12,
    ) {
        let mut members: Vec<_> = samples.into_iter().map(|sample| sample.member).collect();
        members.insert(large.min(members.len()), plain(b"large", LARGE + 77));
        let whole = lay_out(record, &members.iter().collect::<Vec<_>>());
        for cut in 0..members.len() {
            let mut layout = Layout::resume(record, whole[cut].end).unwrap();
            for at in cut..members.len() {
                prop_assert_eq!(&layout.place(&members[at]).unwrap(), &whole[at + 1]);
            }
            prop_assert_eq!(&layout.finish(), &whole[members.len() + 1]);
        }
    }

    #[test]
    fn damaged_streams_end_in_an_error_or_in_members(
        record in record_sizes(),
        samples in vec(samples(), 1..6),
        scribbles in vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        piece in 1usize..5000,
    ) {
        let mut bytes = stream(record, &samples);
        for (at, byte) in scribbles {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let read = read(&bytes, piece);
        prop_assert!(read.members.len() <= bytes.len() / 512);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in vec(any::<u8>(), 0..3000), piece in 1usize..700) {
        read(&bytes, piece);
    }

    /// Headers with right checksums get the fuzz past the first gate.
    #[test]
    fn any_records_are_parsed_or_refused(
        body in "([0-9]{1,3} (path|size|uid|mtime|GNU\\.sparse\\.(major|minor|name|realsize)|\
                 GNU\\.volume\\.(filename|size|offset)|SCHILY\\.xattr\\.a)=[0-9.a-]{0,9}\n){0,5}",
        typeflag in prop_oneof![Just(b'x'), Just(b'g')],
        tail in vec(any::<u8>(), 0..1100),
    ) {
        let body = fix_lengths(&body);
        let mut bytes = header(typeflag, body.len() as u64);
        bytes.extend_from_slice(&body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(header(b'0', 1024));
        bytes.extend(tail);
        read(&bytes, 512);
    }
}

/// Makes the records' lengths right.
fn fix_lengths(body: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in body.lines() {
        let (_, pair) = line.split_once(' ').unwrap();
        let (key, value) = pair.split_once('=').unwrap();
        longhaul_format::pax::push_record(&mut out, key.as_bytes(), value.as_bytes());
    }
    out
}

fn header(typeflag: u8, size: u64) -> Vec<u8> {
    let mut block = [0; 512];
    let header = longhaul_format::ustar::Header::new(typeflag, b"name");
    longhaul_format::ustar::Header { size, ..header }.write(&mut block);
    block.to_vec()
}

#[test]
fn a_plain_file_takes_one_block_of_headers() {
    let mut layout = Layout::new(524_288).unwrap();
    let start = layout.begin(&head()).end;
    let placed = layout.place(&plain(b"a/b", 700)).unwrap();
    assert_eq!(
        (placed.start, placed.data, placed.end),
        (start, start + 512, start + 1536)
    );
    assert!(matches!(&placed.parts[..], [
        Part::Bytes(header), Part::File { offset: 0, len: 700 }, Part::Zeros(324),
    ] if header.len() == 512));
    // Nanoseconds are why nearly all files have an extended header.
    let mut fine = plain(b"a/b", 0);
    fine.mtime.nanoseconds = 1;
    assert_eq!(layout.place(&fine).unwrap().data, start + 1536 + 1536);
}

#[test]
fn a_large_member_starts_on_a_record_with_4096_bytes_of_headers() {
    let mut layout = Layout::new(524_288).unwrap();
    layout.begin(&head());
    let placed = layout.place(&plain(b"large", LARGE)).unwrap();
    assert_eq!((placed.start, placed.data), (524_288, 524_288 + 4096));
    assert_eq!(placed.parts[0].len(), 524_288 - 1024);
    let small = layout.place(&plain(b"small", LARGE - 1)).unwrap();
    assert_eq!((small.start, small.data), (placed.end, placed.end + 512));
    // A file with holes counts by what it stores.
    let segments = vec![Segment {
        offset: 0,
        len: 512,
    }];
    let sparse = Kind::File {
        size: 1 << 40,
        sparse: Some(segments),
    };
    let sparse = layout.place(&member_of(sparse)).unwrap();
    assert_eq!(sparse.start, small.end);
}

#[test]
fn large_members_keep_the_rules_at_every_length_and_record() {
    for record in [1024, 1536, 2048, 2560, 4096, 4608, 8192, 524_288, 1 << 20] {
        for blocks in 0..20 {
            let large = plain(b"large", LARGE + blocks * 512);
            let mut named = large.clone();
            named.path = vec![b'n'; 4000];
            check_rules(
                record,
                &[&plain(b"x", blocks * 512), &large, &named, &large],
            );
        }
    }
}

#[test]
fn sizes_above_8_gib_keep_the_rules_with_holes_and_without() {
    let segments = vec![
        Segment {
            offset: 1 << 20,
            len: 9 << 30,
        },
        Segment {
            offset: 1 << 40,
            len: 5,
        },
    ];
    let sparse = member_of(Kind::File {
        size: (1 << 40) + 5,
        sparse: Some(segments),
    });
    check_rules(
        524_288,
        &[
            &plain(b"plain", 9 << 30),
            &sparse,
            &plain(b"edge", (8 << 30) - 1),
        ],
    );
}

#[test]
fn hdrcharset_stands_only_before_names_that_are_not_utf_8() {
    let headers = |path: &[u8], target: &[u8]| {
        let kind = Kind::Symlink {
            target: target.to_vec(),
        };
        let mut layout = Layout::new(524_288).unwrap();
        let placed = layout
            .place(&Member {
                kind,
                ..plain(path, 0)
            })
            .unwrap();
        let Part::Bytes(headers) = &placed.parts[0] else {
            panic!("no headers")
        };
        headers.clone()
    };
    let binary = |headers: &[u8]| headers[512..].starts_with(b"21 hdrcharset=BINARY\n");
    assert_eq!(
        headers(b"caf\xe9", b"\xff").len(),
        512,
        "raw names need no record"
    );
    assert!(binary(&headers(&[0xE9; 200], b"a")));
    assert!(binary(&headers(b"a", &[0xE9; 200])));
    assert!(!binary(&headers(&[b'n'; 200], b"\xff")));
    assert!(!binary(&headers("é".repeat(100).as_bytes(), &[b'n'; 200])));
}

#[test]
fn an_empty_archive_has_no_g_header_before_its_end() {
    check_rules(524_288, &[]);
    let read = read(&stream(1024, &[]), 1024);
    assert!(
        read.ended && read.members.is_empty(),
        "the parser skips the member in between"
    );
    // A large member that is dropped leaves its pad behind.
    let mut layout = Layout::new(524_288).unwrap();
    layout.begin(&head());
    layout.place(&plain(b"a", 5)).unwrap();
    let large = layout.place(&plain(b"large", LARGE)).unwrap();
    let mut resumed = Layout::resume(524_288, large.start).unwrap();
    let Part::Bytes(marker) = &resumed.finish().parts[0] else {
        panic!("no member")
    };
    assert!(marker.starts_with(END_MEMBER));
}

#[test]
fn a_file_with_too_many_holes_is_to_be_stored_without_them() {
    let mut layout = Layout::new(524_288).unwrap();
    let head = layout.begin(&head()).end;
    let segment = |n: u64| Segment {
        offset: n << 33,
        len: 512,
    };
    let segments: Vec<_> = (0..1_000_000).map(segment).collect();
    let many = member_of(Kind::File {
        size: 1 << 55,
        sparse: Some(segments),
    });
    let error = layout.place(&many).unwrap_err();
    assert!(matches!(error, LayoutError::MapTooLong { bytes, .. } if bytes > HEADERS_MAX));
    assert_eq!(
        layout.position(),
        head,
        "an error leaves the layout as it was"
    );

    let fewer: Vec<_> = (0..700_000).map(segment).collect();
    let fewer = member_of(Kind::File {
        size: 1 << 55,
        sparse: Some(fewer),
    });
    let placed = layout.place(&fewer).unwrap();
    assert_eq!(
        placed.start, 524_288,
        "longer than a record: it starts on a boundary"
    );
    let mut parser = Parser::at(placed.start);
    let Part::Bytes(headers) = &placed.parts[1] else {
        panic!("no headers")
    };
    let Ok(Some(Event::Member(parsed))) = parser.feed(headers).next() else {
        panic!("no member")
    };
    assert_eq!(parsed.member, fewer);
}

#[test]
fn what_cannot_be_stored_is_named() {
    let mut layout = Layout::new(524_288).unwrap();
    layout.begin(&head());
    let segments = |list: &[(u64, u64)]| {
        Some(
            list.iter()
                .map(|&(offset, len)| Segment { offset, len })
                .collect(),
        )
    };
    let bad = [
        plain(b"", 0),
        plain(b"a\0b", 0),
        plain(b"folder/", 0),
        plain(b"long", 1 << 63),
        member_of(Kind::Directory),
        member_of(Kind::Symlink { target: Vec::new() }),
        member_of(Kind::File {
            size: 9,
            sparse: segments(&[(5, 5)]),
        }),
        Member {
            acl_access: Some("user:joe:rwx".into()),
            ..plain(b"a", 0)
        },
        Member {
            xattrs: vec![(b"user.\0".to_vec(), Vec::new())],
            ..plain(b"a", 0)
        },
        Member {
            mtime: Time {
                seconds: 0,
                nanoseconds: 1_000_000_000,
            },
            ..plain(b"a", 0)
        },
    ];
    for member in bad {
        let error = layout.place(&member).unwrap_err();
        assert!(
            matches!(error, LayoutError::NotStorable { .. }),
            "{member:?}: {error}"
        );
    }
    let xattrs = vec![(b"user.a".to_vec(), vec![0; 17 << 20])];
    let error = layout
        .place(&Member {
            xattrs,
            ..plain(b"a", 0)
        })
        .unwrap_err();
    assert!(matches!(error, LayoutError::HeadersTooLong { .. }));
    for record in [0, 512, 1000, 1025, 2 << 20] {
        assert_eq!(
            Layout::new(record).unwrap_err(),
            LayoutError::RecordSize {
                record_bytes: record
            }
        );
    }
    for at in [100, 524_288 - 512, u64::MAX - 511] {
        assert_eq!(
            Layout::resume(524_288, at).unwrap_err(),
            LayoutError::Position { at }
        );
    }
}

#[test]
fn a_comment_says_that_a_member_replaces_a_damaged_one() {
    let comment = Some("replaces the damaged member before it".to_owned());
    let member = Member {
        comment,
        ..plain(b"a", 3)
    };
    let content = b"abc".to_vec();
    let read = read(
        &stream(
            1024,
            &[Sample {
                member: member.clone(),
                content,
            }],
        ),
        1024,
    );
    assert_eq!(read.members[0].0.member, member);
}

#[test]
fn a_volume_that_goes_on_says_with_what() {
    let mut body = Vec::new();
    for (key, value) in [
        ("filename", "data/big.db"),
        ("size", "1000"),
        ("offset", "75776"),
    ] {
        let key = format!("GNU.volume.{key}");
        longhaul_format::pax::push_record(&mut body, key.as_bytes(), value.as_bytes());
    }
    let mut bytes = header(b'g', body.len() as u64);
    bytes.extend(&body);
    bytes.resize(1024, 0);
    bytes.extend(header(b'0', 1000));
    bytes.resize(1536 + 1024, b'd');
    bytes.resize(1536 + 1024 + 1024, 0);
    let mut parser = Parser::at(1 << 20);
    let mut events = parser.feed(&bytes);
    let Ok(Some(Event::Continued(rest))) = events.next() else {
        panic!("not continued")
    };
    assert_eq!(
        (&rest.path[..], rest.offset, rest.stored),
        (&b"data/big.db"[..], 75_776, 1000)
    );
    assert_eq!(rest.data, (1 << 20) + 1536);
    let data = events.next().unwrap().unwrap();
    assert!(matches!(data, Event::Data { offset: 75_776, bytes } if bytes.len() == 1000));
    let end = (1 << 20) + 2560;
    assert_eq!(events.next(), Ok(Some(Event::MemberEnd { end })));
    assert_eq!(events.next(), Ok(Some(Event::End)));
}

#[test]
fn a_crafted_archive_cannot_take_memory() {
    // An extended header that states 1 TiB, one after the other that adds up,
    // and a map of 2^60 segments.
    assert!(
        read(&header(b'x', 1 << 40), 512)
            .error
            .unwrap()
            .contains("more than")
    );
    let mut many = Vec::new();
    for _ in 0..40_000 {
        many.extend(header(b'x', 0));
    }
    assert!(read(&many, 512).error.unwrap().contains("more than"));

    // Sizes whose sums would overflow.
    for size in [u64::MAX, (1 << 62) + 1] {
        let mut body = Vec::new();
        longhaul_format::pax::push_record(&mut body, b"size", size.to_string().as_bytes());
        let mut bytes = header(b'x', body.len() as u64);
        bytes.extend(&body);
        bytes.resize(1024, 0);
        bytes.extend(header(b'0', 5));
        assert!(read(&bytes, 512).error.unwrap().contains("size"));
    }

    let keys = [
        ("major", "1"),
        ("minor", "0"),
        ("name", "a"),
        ("realsize", "1152921504606846976"),
    ];
    let mut body = Vec::new();
    for (key, value) in keys {
        let key = format!("GNU.sparse.{key}");
        longhaul_format::pax::push_record(&mut body, key.as_bytes(), value.as_bytes());
    }
    let mut bytes = header(b'x', body.len() as u64);
    bytes.extend(&body);
    bytes.resize(1024, 0);
    bytes.extend(header(b'0', 1 << 40));
    let mut counted = bytes.clone();
    counted.extend(format!("{}\n", 1u64 << 60).bytes());
    counted.resize(2048, 0);
    assert!(read(&counted, 512).error.unwrap().contains("map"));
    bytes.extend(b"4000000\n");
    let lines = b"00\n00\n".iter().cycle();
    bytes.extend(lines.take(20 << 20));
    assert!(read(&bytes, 512).error.unwrap().contains("more than"));
}
