//! A bad network between coordinator and services.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use longhaul_hwtests::cluster::{Cluster, Plan, cluster};
use longhaul_hwtests::proxy::Proxy;
use longhaul_hwtests::until::until;
use serde_json::json;

const MIDDLE: u64 = 3_000_000;

/// A run by a network that is bad while it is in the middle: it is done, once.
fn by(bad: impl FnOnce(&Cluster, &Proxy, &str) -> Result<()>) -> Result<()> {
    let plan = Plan {
        nodes: &["a"],
        by_proxy: true,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        cluster.in_the_middle(&run, 1, MIDDLE)?;
        bad(cluster, cluster.proxy()?, &run)?;
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}

/// How often the service of node a has been connected.
fn connections(cluster: &Cluster) -> Result<usize> {
    let said = cluster.coordinator()?.said();
    Ok(said.matches("node a is connected").count())
}

#[test]
fn a_network_that_takes_its_time_is_good_enough() -> Result<()> {
    by(|cluster, proxy, _| {
        proxy.set(|weather| weather.delay = Duration::from_millis(300));
        let before = connections(cluster)?;
        thread::sleep(Duration::from_secs(3));
        ensure!(connections(cluster)? == before, "it was connected again");
        Ok(())
    })
}

#[test]
fn a_connection_that_is_cut_again_and_again_is_made_again() -> Result<()> {
    by(|cluster, proxy, _| {
        let before = connections(cluster)?;
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(200));
            proxy.cut();
        }
        until("it is connected again", || {
            Ok((connections(cluster)? > before + 1).then_some(()))
        })
    })
}

#[test]
fn a_network_that_swallows_everything_for_a_while_is_noticed_by_both() -> Result<()> {
    by(|cluster, proxy, run| {
        let before = connections(cluster)?;
        proxy.set(|weather| weather.is_black = true);
        until("the service is taken for gone", || {
            let status = cluster.ask(&["status"])?;
            let is_there = &status["nodes"]["lines"][0]["is_connected"];
            Ok((*is_there == false).then_some(()))
        })?;
        ensure!(cluster.shown(run)?.status["stands"] == "active");
        proxy.set(|weather| weather.is_black = false);
        until("it is connected again", || {
            Ok((connections(cluster)? > before).then_some(()))
        })
    })
}

#[test]
fn a_bit_that_is_flipped_on_the_way_is_noticed_and_said() -> Result<()> {
    by(|cluster, proxy, _| {
        for _ in 0..4 {
            let before = connections(cluster)?;
            proxy.set(|weather| weather.corrupt = 1);
            until("something was flipped", || {
                Ok((proxy.to_corrupt() == 0).then_some(()))
            })?;
            until("it is connected again", || {
                Ok((connections(cluster)? > before).then_some(()))
            })?;
        }
        let both = cluster.coordinator()?.said() + &cluster.service("a")?.said();
        let is_said = both
            .lines()
            .any(|line| line.contains("WARN") && line.contains("decrypt"));
        ensure!(is_said, "nothing is said of it");
        Ok(())
    })
}
