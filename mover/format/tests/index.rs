//! The index: round trips, and what a damaged one says.

mod common;

use std::io::Cursor;

use common::members::names;
use longhaul_format::index::{
    Entry, EntryType, Head, IndexError, LINE_MAX, Reader, State, Volume, Writer, nanoseconds,
    readme, time,
};
use longhaul_format::label::Label;
use longhaul_format::member::Time;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

fn head() -> Head {
    Head {
        longhaul_index: 1,
        set: Uuid::from_u128(1),
        sequence: 2,
        partial: false,
        volumes: vec![Volume {
            sequence: 1,
            name: "LH0001".parse().unwrap(),
            uuid: Uuid::from_u128(2),
            block: 1234,
            stream_offset: 0,
        }],
        record_bytes: 524_288,
        started: 1_764_024_851,
        ended: 1_764_028_451,
        host: "node1".into(),
        paths: vec!["/srv/data".into()],
        tool: "longhaul 0.1.0".into(),
        members: 1,
        bytes: 3,
        damaged: 0,
    }
}

fn entry() -> Entry {
    Entry {
        path: b"srv/data/a".to_vec(),
        kind: EntryType::File,
        size: 3,
        mtime_ns: 1_700_000_000_123_456_789,
        ctime_ns: 1_700_000_001_000_000_000,
        dev: None,
        ino: 42,
        nlink: 1,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        link: None,
        volume: 1,
        block: 1235,
        offset: 1024,
        blake3: Some([0xAB; 32]),
        state: State::Ok,
    }
}

fn write(head: &Head, entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), head).unwrap();
    for entry in entries {
        writer.push(entry).unwrap();
    }
    writer.finish()
}

fn error(bytes: &[u8]) -> IndexError {
    match Reader::new(bytes) {
        Err(error) => error,
        Ok(mut reader) => reader.find_map(Result::err).unwrap(),
    }
}

#[test]
fn a_line_is_what_jq_users_expect() {
    let bytes = write(&head(), &[entry()]);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("{\"longhaul_index\":1,\"set\":\"00000000-"));
    assert!(lines[0].contains("\"started\":\"2025-11-24T22:54:11Z\""));
    let digest = "ab".repeat(32);
    assert_eq!(
        lines[1],
        format!(
            "{{\"path\":\"srv/data/a\",\"type\":\"file\",\"size\":3,\
             \"mtime_ns\":1700000000123456789,\"ctime_ns\":1700000001000000000,\"ino\":42,\
             \"nlink\":1,\"mode\":420,\"uid\":1000,\"gid\":100,\"volume\":1,\"block\":1235,\
             \"offset\":1024,\"blake3\":\"{digest}\",\"state\":\"ok\"}}"
        )
    );
}

#[test]
fn a_damaged_index_names_the_line() {
    let good = write(&head(), &[entry(), entry()]);
    assert!(matches!(error(b""), IndexError::Truncated { line: 1 }));
    assert!(matches!(error(b"{}\n"), IndexError::Line { line: 1, .. }));
    assert!(matches!(
        error(b"{\"longhaul_index\":2}\n"),
        IndexError::Version { found: 2 }
    ));
    assert!(matches!(
        error(&good[..good.len() - 9]),
        IndexError::Truncated { line: 3 }
    ));
    let text = String::from_utf8(good).unwrap();
    let damage = [
        ("\"path\":\"srv", "\"path_b64\":\"!\",\"was\":\"srv"),
        ("\"path\":\"srv", "\"path_b64\":\"YQ==\",\"path\":\"srv"),
        ("\"path\":", "\"name\":"),
        ("srv/data/a", "srv\\u0000a"),
        ("\"state\":\"ok\"", "\"state\":\"fine\""),
        ("abab", "abag"),
        ("\"ino\":42", "\"ino\":-1"),
    ];
    for (from, to) in damage {
        let bad = text.replace(from, to);
        assert_ne!(bad, text);
        assert!(
            matches!(error(bad.as_bytes()), IndexError::Line { line: 2, .. }),
            "{to}"
        );
    }
}

#[test]
fn a_line_has_a_limit() {
    let mut bytes = write(&head(), &[]);
    bytes.resize(bytes.len() + LINE_MAX + 1, b' ');
    assert!(matches!(error(&bytes), IndexError::LineTooLong { line: 2 }));
    bytes.push(b'\n');
    assert!(matches!(error(&bytes), IndexError::LineTooLong { line: 2 }));
    let path = vec![b'\n'; LINE_MAX];
    let mut writer = Writer::new(Vec::new(), &head()).unwrap();
    assert!(writer.push(&Entry { path, ..entry() }).is_err());
    // The longest that a tree can hold fits, escaped and all.
    let path = vec![1; 65_535];
    let longest = Entry {
        path: path.clone(),
        link: Some(path),
        ..entry()
    };
    let bytes = write(&head(), std::slice::from_ref(&longest));
    let entries: Vec<_> = Reader::new(&bytes[..])
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(entries, [longest]);
}

#[test]
fn fields_of_a_later_program_are_ignored() {
    let text = String::from_utf8(write(&head(), &[entry()])).unwrap();
    let text = text.replace("{\"", "{\"new\":[1,{}],\"");
    // The head's volumes are objects too.
    let mut reader = Reader::new(text.as_bytes()).unwrap();
    assert_eq!(reader.head(), &head());
    assert_eq!(reader.next().unwrap().unwrap(), entry());
    assert!(reader.next().is_none());
}

#[test]
fn the_readme_holds_the_recipe() {
    let label = Label {
        name: "LH0001".parse().unwrap(),
        uuid: Uuid::from_u128(2),
        record_bytes: 524_288,
        created: 0,
        media: None,
    };
    let text = readme(&label, &head());
    assert!(text.contains(
        "LC_ALL=C tar -b 1024 --acls --xattrs --xattrs-include='*' --numeric-owner \
         --warning=no-unknown-keyword -xpf /dev/nst0"
    ));
    assert!(
        text.contains("mt -f /dev/nst0 fsf 3\n"),
        "set 2 is tape file 3"
    );
    assert!(text.contains("LH0001") && text.contains("/srv/data") && text.contains("TAR_VOLUME"));
    assert!(!text.contains("did not finish"));
    assert!(
        readme(
            &label,
            &Head {
                partial: true,
                ..head()
            }
        )
        .contains("did not finish")
    );
}

fn entries() -> impl Strategy<Value = Entry> {
    let kinds = prop::sample::select(vec![
        EntryType::File,
        EntryType::Dir,
        EntryType::Link,
        EntryType::Symlink,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
    ]);
    let states = prop::sample::select(vec![State::Ok, State::Damaged, State::Superseded]);
    let times = (any::<i64>(), 0u32..1_000_000_000).prop_map(|(seconds, nanoseconds)| Time {
        seconds,
        nanoseconds,
    });
    (
        (
            names(),
            kinds,
            any::<u64>(),
            times.clone(),
            times,
            any::<(u64, u64, u32, u32, u32)>(),
        ),
        (
            option::of(names()),
            any::<(u32, u64, u64)>(),
            any::<Option<[u8; 32]>>(),
            states,
        ),
    )
        .prop_map(
            |((path, kind, size, mtime, ctime, inode), (link, place, blake3, state))| Entry {
                path,
                kind,
                size,
                mtime_ns: nanoseconds(mtime),
                ctime_ns: nanoseconds(ctime),
                dev: (inode.1 > 1).then_some(inode.0),
                ino: inode.0,
                nlink: inode.1,
                mode: inode.2,
                uid: inode.3,
                gid: inode.4,
                link,
                volume: place.0,
                block: place.1,
                offset: place.2,
                blake3,
                state,
            },
        )
}

proptest! {
    #[test]
    fn round_trip(entries in vec(entries(), 0..10)) {
        let bytes = write(&head(), &entries);
        let reader = Reader::new(Cursor::new(bytes)).unwrap();
        prop_assert_eq!(reader.head(), &head());
        prop_assert_eq!(reader.map(Result::unwrap).collect::<Vec<_>>(), entries);
    }

    #[test]
    fn times_round_trip(seconds in any::<i64>(), nanos in 0u32..1_000_000_000) {
        let at = Time { seconds, nanoseconds: nanos };
        prop_assert_eq!(time(nanoseconds(at)), Some(at));
    }

    #[test]
    fn scribbled_indexes_are_read_or_refused(
        entries in vec(entries(), 0..4),
        scribbles in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = write(&head(), &entries);
        for (at, byte) in scribbles {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(reader) = Reader::new(&bytes[..]) {
            prop_assert!(reader.count() <= bytes.len());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Reader::new(&bytes[..]);
        let mut after_head = write(&head(), &[]);
        after_head.extend(bytes);
        let _ = Reader::new(&after_head[..]).unwrap().count();
    }
}
