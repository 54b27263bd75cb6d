//! Set files against a model: a sorted map in memory.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::thread;
use std::time::Duration;

use common::row;
use longhaul_catalog::{CHUNK_ROWS, Catalog, EntryState, EntryType, Error, Pattern, Row, SetFile};
use proptest::prelude::*;
use uuid::Uuid;

const SET: Uuid = Uuid::from_u128(5);

fn build(rows: impl IntoIterator<Item = Row>) -> (tempfile::TempDir, SetFile) {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let mut builder = catalog.set_builder(SET).expect("a builder");
    for row in rows {
        builder.push(row).expect("a row in order");
    }
    (dir, builder.finish().expect("a set file"))
}

fn paths(rows: longhaul_catalog::Rows<'_>) -> Vec<Vec<u8>> {
    rows.map(|row| row.expect("a row").path).collect()
}

/// Enough rows for several chunks.
fn many() -> Vec<Row> {
    (0..CHUNK_ROWS as u64 * 2 + 100)
        .map(|number| {
            row(
                format!("d{:03}/f{number:06}", number / 100).as_bytes(),
                number,
            )
        })
        .collect()
}

#[test]
fn what_lies_in_many_chunks_is_found_as_it_was_put() {
    let rows = many();
    let (_dir, file) = build(rows.clone());
    assert_eq!(file.len(), rows.len() as u64);
    file.check().expect("a whole file");
    let edges = [
        0,
        1,
        CHUNK_ROWS - 1,
        CHUNK_ROWS,
        CHUNK_ROWS * 2,
        rows.len() - 1,
    ];
    for row in edges.map(|index| &rows[index]) {
        assert_eq!(file.get(&row.path).expect("readable").as_ref(), Some(row));
    }
    for absent in [&b"a"[..], b"d000", b"d000/f000000x", b"z", b""] {
        assert_eq!(file.get(absent).expect("readable"), None);
    }
    assert_eq!(
        file.iter()
            .collect::<Result<Vec<_>, _>>()
            .expect("readable"),
        rows
    );
    // d081 lies across the first two chunks.
    let across: Vec<Row> = rows
        .iter()
        .filter(|row| row.path.starts_with(b"d081/"))
        .cloned()
        .collect();
    let found: Vec<Row> = file
        .prefix(b"d081/")
        .map(|row| row.expect("a row"))
        .collect();
    assert_eq!((found.len(), &found), (100, &across));
    assert_eq!(file.subtree(b"d081").count(), 100);
    let pattern = Pattern::new(b"d*/f0081?0").expect("a pattern");
    assert_eq!(file.glob(&pattern).count(), 10);
    let pattern = Pattern::new(b"d08?/f*00").expect("a pattern");
    assert_eq!(file.glob(&pattern).count(), 10);
}

#[test]
fn a_set_of_no_files_is_a_file_too() {
    let (_dir, file) = build([]);
    assert!(file.is_empty());
    assert_eq!(file.iter().count() + file.prefix(b"x").count(), 0);
    assert_eq!(file.get(b"x").expect("readable"), None);
}

#[test]
fn numbers_at_the_ends_of_their_ranges_come_back() {
    let mut low = row(b"a", 0);
    low.mtime_ns = i128::MIN;
    low.digest = None;
    let mut high = row(b"b", 0);
    high.mtime_ns = i128::MAX;
    (high.size, high.block, high.offset, high.inode) = (u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    (high.mode, high.uid, high.gid, high.nlink, high.volume) =
        (u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX);
    high.state = EntryState::Superseded;
    high.entry_type = EntryType::Fifo;
    let (_dir, file) = build([low.clone(), high.clone()]);
    let found: Vec<Row> = file.iter().map(|row| row.expect("a row")).collect();
    assert_eq!(found, [low, high]);
}

#[test]
fn a_path_that_comes_again_takes_the_earlier_ones_place() {
    let mut damaged = row(b"b", 1);
    damaged.state = EntryState::Damaged;
    let again = row(b"b", 2);
    let (_dir, file) = build([row(b"a", 0), damaged, again.clone(), row(b"c", 3)]);
    assert_eq!(file.len(), 3);
    assert_eq!(file.get(b"b").expect("readable"), Some(again));
    // At the end of a full chunk too.
    let mut rows = many();
    let mut last = rows[CHUNK_ROWS - 1].clone();
    last.size = 1;
    rows.insert(CHUNK_ROWS, last.clone());
    let (_dir, file) = build(rows);
    assert_eq!(file.get(&last.path).expect("readable"), Some(last));
    assert_eq!(file.len(), many().len() as u64);
}

#[test]
fn rows_that_cannot_be_taken_are_refused_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let mut builder = catalog.set_builder(SET).expect("a builder");
    builder.push(row(b"m", 0)).expect("in order");
    assert!(matches!(
        builder.push(row(b"a", 0)),
        Err(Error::OutOfOrder { .. })
    ));
    assert!(matches!(
        builder.push(row(b"", 0)),
        Err(Error::PathLength { len: 0 })
    ));
    let long = vec![b'x'; longhaul_catalog::PATH_BYTES_MAX + 1];
    assert!(matches!(
        builder.push(row(&long, 0)),
        Err(Error::PathLength { .. })
    ));
    builder.push(row(&long[1..], 0)).expect("the longest path");
    assert_eq!(
        paths(builder.finish().expect("finished").iter()),
        [b"m".to_vec(), long[1..].into()]
    );
}

#[test]
fn nothing_is_seen_before_it_is_finished_and_nothing_stays_of_what_was_not() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let mut builder = catalog.set_builder(SET).expect("a builder");
    builder.push(row(b"a", 0)).expect("in order");
    assert!(matches!(
        catalog.set_file(SET),
        Err(Error::NoSetFile { .. })
    ));
    // One that another process left is swept away, a living one's is not.
    let left = dir.path().join("sets/left.new");
    std::fs::write(&left, b"x").expect("a left file");
    Catalog::open(dir.path()).expect("a second opener");
    assert!(!left.exists());
    builder.finish().expect("finished");
    let mut replaced = catalog.set_builder(SET).expect("a builder");
    replaced.push(row(b"b", 0)).expect("in order");
    drop(replaced);
    assert_eq!(
        paths(catalog.set_file(SET).expect("a set file").iter()),
        [b"a".to_vec()]
    );
    assert_eq!(
        std::fs::read_dir(dir.path().join("sets"))
            .expect("a folder")
            .count(),
        1
    );
}

#[test]
fn no_file_is_begun_while_another_opener_sweeps() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let lock = File::open(dir.path().join("open.lock")).expect("the lock");
    lock.lock().expect("locked, as an opener does");
    thread::scope(|scope| {
        let begun = scope.spawn(move || catalog.set_builder(SET).map(drop));
        thread::sleep(Duration::from_millis(100));
        assert!(!begun.is_finished());
        lock.unlock().expect("unlocked");
        begun.join().expect("no panic").expect("begun");
    });
}

#[test]
fn an_entry_of_a_usual_tree_takes_at_most_100_bytes() {
    // Names as packages have them: a random word, a number, an extension.
    let words: Vec<String> = (0..500u64)
        .map(|n| format!("{:x}", n * 7919 % 65_537))
        .collect();
    let mut names: Vec<String> = (0..60_000u64)
        .map(|n| {
            let word = |k: u64| &words[(n.wrapping_mul(k) >> 7) as usize % 500];
            format!("usr/share/{}/{}-{}/{n}.dat", word(31), word(17), word(13))
        })
        .collect();
    names.sort();
    let (dir, file) = build(
        (0..)
            .zip(&names)
            .map(|(number, name)| row(name.as_bytes(), number)),
    );
    let path = dir.path().join(format!("sets/{SET}.paths"));
    let bytes = std::fs::metadata(path).expect("a set file").len();
    assert!(
        bytes <= 100 * file.len(),
        "{} bytes for {} entries",
        bytes,
        file.len()
    );
}

fn any_row() -> impl Strategy<Value = Row> {
    let path = proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'a'), any::<u8>()], 1..12);
    let kind = prop_oneof![
        Just((EntryType::File, EntryState::Ok)),
        Just((EntryType::HardLink, EntryState::Ok)),
        Just((EntryType::Directory, EntryState::Damaged)),
        Just((EntryType::Symlink, EntryState::Superseded)),
    ];
    let link = proptest::collection::vec(any::<u8>(), 0..5);
    (path, kind, link, any::<(u64, i128, u32, bool)>()).prop_map(|(path, kind, link, rest)| {
        let mut row = row(&path, rest.0 >> 20);
        (row.entry_type, row.state) = kind;
        row.link = link;
        row.size = rest.0;
        row.ctime_ns = rest.1;
        row.uid = rest.2;
        row.digest = row.digest.filter(|_| rest.3);
        row
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_set_file_answers_as_a_sorted_map_does(
        rows in proptest::collection::vec(any_row(), 0..60),
        query in "[/a]{0,3}",
    ) {
        let model: BTreeMap<Vec<u8>, Row> =
            rows.into_iter().map(|row| (row.path.clone(), row)).collect();
        let (_dir, file) = build(model.values().cloned());
        let query = query.as_bytes();
        for (path, row) in &model {
            prop_assert_eq!(file.get(path).expect("readable"), Some(row.clone()));
        }
        prop_assert_eq!(file.get(query).expect("readable"), model.get(query).cloned());
        let all: Vec<Row> = file.iter().map(|row| row.expect("a row")).collect();
        prop_assert_eq!(all, model.values().cloned().collect::<Vec<_>>());
        let below = |path: &Vec<u8>| path.starts_with(query);
        let expected: Vec<_> = model.keys().filter(|path| below(path)).cloned().collect();
        prop_assert_eq!(paths(file.prefix(query)), expected);
        let in_tree = |path: &Vec<u8>| {
            let at_name = query.is_empty() || query.ends_with(b"/");
            below(path) && (at_name || matches!(path.get(query.len()), None | Some(b'/')))
        };
        let expected: Vec<_> = model.keys().filter(|path| in_tree(path)).cloned().collect();
        prop_assert_eq!(paths(file.subtree(query)), expected);
        let pattern = Pattern::new(&[query, b"**a?"].concat()).expect("a pattern");
        let expected: Vec<_> = model.keys().filter(|path| pattern.matches(path)).cloned().collect();
        prop_assert_eq!(paths(file.glob(&pattern)), expected);
    }
}
