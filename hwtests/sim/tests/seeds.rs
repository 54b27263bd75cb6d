//! Clusters with troubles, from many seeds.
//!
//! `LONGHAUL_SEED=N` runs that one alone; `LONGHAUL_RUNS=N` runs more.

use std::collections::BTreeMap;
use std::{env, panic};

use anyhow::{Context, Result, anyhow, ensure};
use longhaul_sim::{KINDS, run};

/// Seeds in CI.
const RUNS: u64 = 13_000;
/// What they come to, at least.
const EVENTS_MIN: u64 = 1_000_000;
/// How often each kind of trouble comes in the middle of something, at least.
const HITS_MIN: u64 = 100;
/// Seeds beyond those that have failed once.
const KEPT: [u64; 0] = [];

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

#[test]
fn r8_r11_r13_r14_r15_r16_r20_r21_r22_r23_r24_r25_whatever_goes_wrong_every_job_is_done_once()
-> Result<()> {
    let seeds: Vec<u64> = match number("LONGHAUL_SEED") {
        Some(seed) => vec![seed],
        None => {
            let runs = 0..number("LONGHAUL_RUNS").unwrap_or(RUNS);
            KEPT.into_iter().chain(runs).collect()
        }
    };
    let (mut events, mut runs, mut attempts, mut alone, mut epochs) = (0, 0, 0, 0, 0);
    let mut closed = 0;
    let mut hits = BTreeMap::<_, u64>::new();
    let count = seeds.len() as u64;
    for seed in seeds {
        let result = panic::catch_unwind(|| run(seed));
        let summary = result.unwrap_or_else(|_| Err(anyhow!("it panicked")));
        let summary = summary.with_context(|| {
            format!("LONGHAUL_SEED={seed} cargo test --profile tested -p longhaul-sim --test seeds")
        })?;
        events += summary.events;
        runs += summary.runs;
        attempts += summary.attempts;
        alone += summary.alone;
        epochs += summary.epochs;
        closed += summary.closed;
        for (kind, count) in summary.hits {
            *hits.entry(kind).or_default() += count;
        }
    }
    eprintln!(
        "{count} clusters, {events} events, {runs} runs of jobs in {attempts} attempts, {alone} \
         of them without an order, {epochs} starts of a coordinator, {closed} bad cartridges found"
    );
    for kind in KINDS {
        let often = hits.get(kind).copied().unwrap_or(0);
        eprintln!("{often} times: {kind}");
        ensure!(
            count < RUNS || often >= HITS_MIN,
            "{often} times only: {kind}"
        );
    }
    ensure!(
        count < RUNS || events >= EVENTS_MIN,
        "too little happens to try anything: {events} events"
    );
    ensure!(
        count < RUNS || alone * 100 > count,
        "too few attempts begin without an order to try anything: {alone}"
    );
    ensure!(
        count < RUNS || closed * 10 > count,
        "too few cartridges are found to be bad to try anything: {closed}"
    );
    Ok(())
}
