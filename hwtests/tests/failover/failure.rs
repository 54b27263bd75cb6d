//! What the coordinator has written down of a node's failure.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::{Cluster, Trial};
use serde_json::Value;

use crate::house;

/// What it tells of it, which the trial says too.
pub fn told(cluster: &mut Cluster<'_>, trial: &Trial, node: u8) -> Result<String> {
    let show = format!("failover show n{node}");
    let told = house::ask(cluster, &show)?;
    trial.say(&told);
    let shown = house::json(cluster, &show)?;
    if let Some(words) = how_long(&shown["row"]) {
        trial.figure(&words);
    }
    Ok(told)
}

/// How long it took until a new mover wrote: nobody is held to it, since a machine that
/// has other things to do takes longer.
fn how_long(row: &Value) -> Option<String> {
    let heard = row["said"].as_array()?.iter();
    let first = heard.filter_map(|said| said["heard"].as_u64()).min()?;
    let confirmed = row["confirmed"].as_u64()?;
    let wrote = row["hit"][0]["next"]["wrote"].as_u64()?;
    let since = |at: u64| wrote.saturating_sub(at) as f64 / 1000.0;
    Some(format!(
        "{:.1} s from the first word of its failure to the new mover's first checkpoint, {:.1} s \
         from when it was known to be dead",
        since(first),
        since(confirmed)
    ))
}

/// All of these are told.
pub fn contains(told: &str, words: &[String]) -> Result<()> {
    for words in words {
        ensure!(told.contains(words), "no {words:?} in\n{told}");
    }
    Ok(())
}
