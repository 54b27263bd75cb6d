//! The library as `lh-mover drives` lists it on a host.

use anyhow::{Context, Result};
use serde_json::Value;

use super::host::Host;

/// What the cartridges are called, in the order of their slots.
pub const VOLUMES: [&str; 4] = ["LH0001L9", "LH0002L9", "LH0003L9", "LH0004L9"];

/// What a host sees of the library.
pub struct Seen {
    /// The changer's serial number.
    pub changer: String,
    /// The drives.
    pub drives: Vec<Drive>,
}

/// A drive, as a host sees it.
pub struct Drive {
    /// Its serial number.
    pub serial: String,
    /// What `lh-mover drives` says of it.
    pub report: Value,
}

impl Drive {
    /// A device node of its first path: `sg`, `nst`, `bsg`.
    ///
    /// # Errors
    /// If it has none of this kind.
    pub fn node(&self, kind: &str) -> Result<String> {
        let node = self.report["paths"][0][kind].as_str();
        Ok(node
            .with_context(|| format!("no {kind}: {}", self.report))?
            .to_owned())
    }

    /// How many paths lead to it.
    pub fn paths(&self) -> usize {
        self.report["paths"].as_array().map_or(0, Vec::len)
    }
}

/// Looks, until the kernel has found the changer and both drives by so many
/// paths.
///
/// # Errors
/// If it does not find them.
pub fn look(host: &mut Host, paths: usize) -> Result<Seen> {
    let mut last = Value::Null;
    for _ in 0..40 {
        last = serde_json::from_str(&host.run("lh-mover drives --json")?)?;
        let seen = seen(&last).context("what `lh-mover drives` said")?;
        if let Some(seen) = seen.filter(|s| s.drives.iter().all(|d| d.paths() == paths)) {
            return Ok(seen);
        }
        host.run("sleep 0.25")?;
    }
    anyhow::bail!("no changer and two drives by {paths} paths: {last:#}")
}

fn seen(reports: &Value) -> Result<Option<Seen>> {
    let mut changer = None;
    let mut drives = Vec::new();
    for report in reports.as_array().context("no list")? {
        let serial = report["serial"].as_str().context("no serial")?.to_owned();
        match report["kind"].as_str() {
            Some("changer") => changer = Some(serial),
            _ => drives.push(Drive {
                serial,
                report: report.clone(),
            }),
        }
    }
    drives.sort_by(|a, b| a.serial.cmp(&b.serial));
    Ok(changer
        .filter(|_| drives.len() == 2)
        .map(|changer| Seen { changer, drives }))
}

impl Seen {
    /// The command that brings a volume to a drive.
    pub fn load(&self, volume: &str, drive: usize) -> String {
        let Seen { changer, drives } = self;
        let serial = &drives[drive].serial;
        format!("lh-tapelib --library {changer} --state /tmp/state load {volume} --drive {serial}")
    }

    /// The command that brings a drive's volume back to its slot.
    pub fn unload(&self, drive: usize) -> String {
        let Seen { changer, drives } = self;
        let serial = &drives[drive].serial;
        format!("lh-tapelib --library {changer} --state /tmp/state unload {serial}")
    }
}
