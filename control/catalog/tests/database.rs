//! Volumes and sets, by one process and by several.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::{env, fs};

use common::{row, set, volume};
use longhaul_catalog::{Catalog, Error, SetFilter, SetPart, SetState};
use uuid::Uuid;

#[test]
fn the_folder_is_made_for_its_owner_alone() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let deep = dir.path().join("a/b");
    Catalog::open(&deep).expect("a catalog");
    let mode = fs::metadata(&deep)
        .expect("the folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
}

#[test]
fn volumes_come_back_by_name_and_by_uuid() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let (first, mut second) = (volume(2), volume(1));
    second.barcode = None;
    second.capacity_bytes = None;
    catalog.put_volume(&first).expect("put");
    catalog.put_volume(&second).expect("put");
    drop(catalog);
    let catalog = Catalog::open(dir.path()).expect("the same catalog");
    assert_eq!(
        catalog.volumes().expect("volumes"),
        [second.clone(), first.clone()]
    );
    assert_eq!(
        catalog.volume_by_name(&first.name).expect("readable"),
        Some(first.clone())
    );
    assert_eq!(
        catalog.volume(second.uuid).expect("readable"),
        Some(second.clone())
    );
    assert_eq!(catalog.volume_by_name("x").expect("readable"), None);
    second.record_bytes = 1 << 20;
    catalog.put_volume(&second).expect("changed");
    assert_eq!(
        catalog.volume(second.uuid).expect("readable"),
        Some(second.clone())
    );
    second.name.clone_from(&first.name);
    let error = catalog.put_volume(&second).expect_err("the name is taken");
    assert!(matches!(error, Error::VolumeNameTaken { other, .. } if other == first.uuid));
}

#[test]
fn sets_come_back_whole_and_by_every_filter() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let (one, two) = (volume(1), volume(2));
    let mut first = set(1, &one);
    first.parts.push(SetPart {
        volume: two.uuid,
        tape_file: 7,
        first_block: 0,
        stream_offset: 1 << 40,
    });
    let mut second = set(2, &two);
    (second.host, second.state, second.ended_ms) = ("node2".into(), SetState::Unfinished, None);
    second.paths.clear();
    assert!(matches!(
        catalog.put_set(&first),
        Err(Error::UnknownVolume { .. })
    ));
    assert_eq!(catalog.set(first.uuid).expect("readable"), None);
    for volume in [&one, &two] {
        catalog.put_volume(volume).expect("put");
    }
    for set in [&second, &first, &first] {
        catalog.put_set(set).expect("put");
    }
    let by = |filter: SetFilter| catalog.sets(&filter).expect("sets");
    assert_eq!(by(SetFilter::default()), [first.clone(), second.clone()]);
    let on = |volume: Uuid| SetFilter {
        volume: Some(volume),
        ..SetFilter::default()
    };
    assert_eq!(by(on(one.uuid)), [first.clone()]);
    assert_eq!(by(on(two.uuid)).len(), 2);
    let unfinished = SetFilter {
        state: Some(SetState::Unfinished),
        ..SetFilter::default()
    };
    assert_eq!(by(unfinished), [second.clone()]);
    assert_eq!(
        by(SetFilter {
            host: Some("node1".into()),
            ..SetFilter::default()
        })
        .len(),
        1
    );
    let since = Some(second.started_ms);
    assert_eq!(
        by(SetFilter {
            since_ms: since,
            ..SetFilter::default()
        }),
        [second.clone()]
    );
    assert_eq!(
        by(SetFilter {
            until_ms: since,
            ..SetFilter::default()
        }),
        [first.clone()]
    );
    second.members = u64::MAX;
    assert!(matches!(
        catalog.put_set(&second),
        Err(Error::TooLarge {
            field: "members",
            ..
        })
    ));
}

#[test]
fn a_volume_goes_only_after_its_sets() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let catalog = Catalog::open(dir.path()).expect("a catalog");
    let (volume, set) = (volume(1), set(1, &volume(1)));
    catalog.put_volume(&volume).expect("put");
    catalog.put_set(&set).expect("put");
    let mut builder = catalog.set_builder(set.uuid).expect("a builder");
    builder.push(row(b"a", 0)).expect("in order");
    builder.finish().expect("finished");
    let error = catalog.remove_volume(volume.uuid).expect_err("in use");
    assert!(matches!(error, Error::VolumeInUse { sets: 1, .. }));
    assert!(catalog.remove_set(set.uuid).expect("removed"));
    assert!(matches!(
        catalog.set_file(set.uuid),
        Err(Error::NoSetFile { .. })
    ));
    assert!(!catalog.remove_set(set.uuid).expect("nothing to do"));
    assert!(catalog.remove_volume(volume.uuid).expect("removed"));
    assert!(!catalog.remove_volume(volume.uuid).expect("nothing to do"));
}

/// Set in the environment of the processes that the next test starts.
const CHILD: &str = "CATALOG_TEST_CHILD";

#[test]
fn processes_share_a_catalog() {
    if let Ok(job) = env::var(CHILD) {
        let (number, dir) = job.split_once(' ').expect("a job");
        return work(number.parse().expect("a number"), Path::new(dir));
    }
    let dir = tempfile::tempdir().expect("a scratch folder");
    let fresh = dir.path().join("fresh");
    let start = |number: u128| -> Child {
        Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "processes_share_a_catalog"])
            .env(CHILD, format!("{number} {}", fresh.display()))
            .spawn()
            .expect("a child")
    };
    let children: Vec<Child> = (1..=4).map(start).collect();
    for mut child in children {
        assert!(child.wait().expect("a child's end").success());
    }
    let catalog = Catalog::open(&fresh).expect("the catalog");
    assert_eq!(catalog.volumes().expect("volumes").len(), 4);
    let sets = catalog.sets(&SetFilter::default()).expect("sets");
    assert_eq!(sets.len(), 4 * 25);
    for set in sets {
        assert_eq!(catalog.set_file(set.uuid).expect("a set file").len(), 3);
    }
}

/// Opens the catalog again and again, and writes to it each time.
fn work(number: u128, dir: &Path) {
    let volume = volume(number);
    for round in 0..25 {
        let catalog = Catalog::open(dir).expect("a catalog that others use");
        catalog.put_volume(&volume).expect("put");
        let set = set(number * 100 + round, &volume);
        let mut builder = catalog.set_builder(set.uuid).expect("a builder");
        for path in [b"a", b"b", b"c"] {
            builder.push(row(path, 1)).expect("in order");
        }
        builder.finish().expect("finished");
        catalog.put_set(&set).expect("put");
    }
}

#[test]
fn a_database_of_an_older_version_is_brought_up_to_date() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let (one, expected) = (volume(1), set(1, &volume(1)));
    let database = rusqlite::Connection::open(dir.path().join("catalog.sqlite")).expect("one");
    database
        .execute_batch(include_str!("../src/schema/1.sql"))
        .expect("version 1");
    let insert = format!(
        "INSERT INTO volumes VALUES ('{volume}', 'LH0001', NULL, 524288, 0, NULL);
         INSERT INTO sets VALUES ('{set}', 1, 2, 'node1', 12, 3, 4, 'finished');
         INSERT INTO set_parts VALUES ('{set}', 1, '{volume}', 1, 11);
         PRAGMA user_version = 1; PRAGMA application_id = {id};",
        volume = one.uuid,
        set = expected.uuid,
        id = 0x4c48_6374,
    );
    database.execute_batch(&insert).expect("a set");
    drop(database);
    let catalog = Catalog::open(dir.path()).expect("brought up to date");
    let found = catalog.set(expected.uuid).expect("readable").expect("kept");
    assert_eq!(found.parts, expected.parts);
    catalog.put_set(&found).expect("writable");
}
