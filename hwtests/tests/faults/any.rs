//! Whatever the tree, the record size, the volumes' capacities, the faults and
//! the time between two checkpoints: what is restored is the source.
//!
//! Failures are kept in `any.proptest-regressions` beside this file, and tried
//! first. `PROPTEST_CASES=N` tries more.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::bed::{Bed, Fault};

/// More than the largest tree takes, with a cartridge spoilt by each fault.
const VOLUMES: usize = 8;
const CAPACITIES_KIB: std::ops::Range<u64> = 1024..3072;
const FILES_MAX: usize = 10;
const FILE_BYTES_MAX: usize = 250_000;
/// Faults in a row: each attempt to go on meets the next.
const FAULTS_MAX: usize = 3;

fn tree() -> impl Strategy<Value = Vec<(String, usize)>> {
    let file = (
        "[a-f]{1,2}(/[a-z]{1,120})?",
        prop_oneof![0..100usize, 500..40_000usize, 0..FILE_BYTES_MAX],
    );
    proptest::collection::vec(file, 1..FILES_MAX).prop_map(|mut files| {
        // A name is a file's or a directory's; directories are upper case.
        for (name, _) in &mut files {
            if let Some((dir, file)) = name.split_once('/') {
                *name = format!("{}/{file}", dir.to_uppercase());
            }
        }
        files.sort();
        files.dedup_by(|one, other| one.0 == other.0);
        files
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    let what = prop_oneof![
        Just("reset = \"power\""),
        Just("reset = \"bus\""),
        Just("executed = true\ntransport = \"timed-out\""),
        Just("transport = \"disrupted\"\nlose-buffer = true"),
        Just("sense = { key = 3, asc = 0x0c, ascq = 0 }"),
        Just("sense = { key = 4, asc = 0x44, ascq = 0 }"),
        Just("sense = { key = 6, asc = 0x29, ascq = 0 }"),
        Just("sense = { key = 2, asc = 0x04, ascq = 0x03 }"),
    ];
    let deferred = "sense = { key = 3, asc = 0x0c, ascq = 0, deferred = true }";
    let plan = prop_oneof![
        4 => (10..100u32, what).prop_map(|(n, what)| format!("command = {n}\n{what}")),
        1 => (2..60u32).prop_map(move |n| format!("block = {n}\n{deferred}")),
    ];
    // Most trees take one volume or two.
    let drive = prop_oneof![4 => Just(0), 2 => Just(1), 1 => 2..VOLUMES - 1];
    (drive, plan).prop_map(|(drive, plan)| Fault {
        drive,
        plan: format!("[[fault]]\n{plan}\n"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        max_shrink_iters: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
            "proptest-regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_restored_is_the_source(
        files in tree(),
        record in 4..=7u32,
        capacities in proptest::collection::vec(CAPACITIES_KIB, VOLUMES),
        faults in proptest::collection::vec(fault(), 0..=FAULTS_MAX),
        interval in prop_oneof![Just(0), Just(1), Just(5), Just(10_000)],
        by_tar in proptest::bool::weighted(0.25),
    ) {
        let files: Vec<(&str, usize)> =
            files.iter().map(|(name, len)| (name.as_str(), *len)).collect();
        let record_bytes = 1024 << record;
        let capacities: Vec<u64> = capacities.iter().map(|kib| kib << 10).collect();
        let tried = Bed::new(&files, &capacities, record_bytes, Duration::from_millis(interval))
            .and_then(|bed| {
                let round = bed.round()?;
                let (done, _) = round.attempts(&faults)?;
                round.expect_restores(&done, by_tar)
            });
        prop_assert!(tried.is_ok(), "{:?}", tried.err());
    }
}
