//! Files that are not what they should be: each is an error that says so.

mod common;

use std::fs;
use std::path::PathBuf;

use longhaul_catalog::{Catalog, Error, SetFile, SetFilter};
use proptest::prelude::*;
use uuid::Uuid;

const SET: Uuid = Uuid::from_u128(5);

struct Scratch {
    dir: tempfile::TempDir,
    catalog: Catalog,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A catalog with a set file of a few rows.
fn scratch() -> Scratch {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let mut builder = catalog.set_builder(SET).expect("a builder");
    for number in 0..20 {
        builder
            .push(common::row(format!("f{number:02}").as_bytes(), number))
            .expect("in order");
    }
    builder.finish().expect("finished");
    let path = dir.path().join(format!("sets/{SET}.paths"));
    let bytes = fs::read(&path).expect("a set file");
    Scratch {
        dir,
        catalog,
        path,
        bytes,
    }
}

impl Scratch {
    /// Opens and reads a set file of these bytes.
    fn read(&self, bytes: &[u8]) -> Result<(), Error> {
        fs::write(&self.path, bytes).expect("writable");
        let file: SetFile = self.catalog.set_file(SET)?;
        file.check()?;
        file.get(b"f07")?;
        file.iter().try_for_each(|row| row.map(drop))
    }
}

#[test]
fn every_truncated_set_file_is_refused() {
    let scratch = scratch();
    for len in 0..scratch.bytes.len() {
        let error = scratch.read(&scratch.bytes[..len]).expect_err("truncated");
        assert!(
            matches!(error, Error::Corrupt { .. }),
            "{len} bytes: {error}"
        );
    }
    scratch.read(&scratch.bytes).expect("whole again");
}

#[test]
fn every_byte_that_was_scribbled_over_is_noticed() {
    let scratch = scratch();
    for at in 0..scratch.bytes.len() {
        let mut bytes = scratch.bytes.clone();
        bytes[at] ^= 0x41;
        let error = scratch.read(&bytes).expect_err("scribbled over");
        let newer = (8..12).contains(&at) && matches!(error, Error::NewerVersion { .. });
        assert!(
            newer || matches!(error, Error::Corrupt { .. }),
            "byte {at}: {error}"
        );
    }
}

#[test]
fn a_set_file_of_a_newer_version_or_another_set_is_refused() {
    let scratch = scratch();
    let mut newer = scratch.bytes.clone();
    newer[8] = 2;
    let error = scratch.read(&newer).expect_err("newer");
    assert!(matches!(
        error,
        Error::NewerVersion {
            found: 2,
            known: 1,
            ..
        }
    ));
    let other = Uuid::from_u128(6);
    fs::write(
        scratch.dir.path().join(format!("sets/{other}.paths")),
        &scratch.bytes,
    )
    .expect("writable");
    let error = scratch.catalog.set_file(other).expect_err("another set's");
    assert!(error.to_string().contains(&SET.to_string()), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_bytes_are_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        like_ours in any::<bool>(),
    ) {
        let scratch = scratch();
        let mut all = if like_ours { scratch.bytes[..12].to_vec() } else { Vec::new() };
        all.extend_from_slice(&bytes);
        prop_assert!(scratch.read(&all).is_err());
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_not_touched() {
    let scratch = scratch();
    drop(scratch.catalog);
    let path = scratch.dir.path().join("catalog.sqlite");
    let database = rusqlite::Connection::open(&path).expect("a database");
    database
        .pragma_update(None, "user_version", 77)
        .expect("writable");
    database
        .pragma_update(None, "journal_mode", "DELETE")
        .expect("writable");
    drop(database);
    let before = fs::read(&path).expect("readable");
    let error = Catalog::open(scratch.dir.path()).expect_err("newer");
    assert!(
        matches!(error, Error::NewerVersion { found: 77, .. }),
        "{error}"
    );
    assert_eq!(fs::read(&path).expect("readable"), before);
}

#[test]
fn a_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let database = rusqlite::Connection::open(dir.path().join("catalog.sqlite")).expect("one");
    database
        .execute_batch("CREATE TABLE photos (name TEXT)")
        .expect("a table");
    drop(database);
    let error = Catalog::open(dir.path()).expect_err("another's");
    assert!(matches!(error, Error::NotACatalog { .. }), "{error}");
}

#[test]
fn a_damaged_database_is_refused() {
    let scratch = scratch();
    for number in 1..300 {
        scratch
            .catalog
            .put_volume(&common::volume(number))
            .expect("put");
    }
    drop(scratch.catalog);
    let path = scratch.dir.path().join("catalog.sqlite");
    let whole = fs::read(&path).expect("readable");
    let mut scribbled = whole.clone();
    scribbled[9000..14_000].fill(0x5a);
    for bytes in [
        &b"not a database at all, and long enough"[..],
        &whole[..5000],
        &scribbled,
    ] {
        fs::write(&path, bytes).expect("writable");
        let error = Catalog::open(scratch.dir.path()).expect_err("damaged");
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
    fs::write(&path, &whole).expect("writable");
    let catalog = Catalog::open(scratch.dir.path()).expect("whole again");
    assert_eq!(catalog.volumes().expect("volumes").len(), 299);
    assert_eq!(catalog.sets(&SetFilter::default()).expect("sets"), []);
}
