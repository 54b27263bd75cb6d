//! Comparing trees, by `compare.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::program::run;

/// What a comparison leaves out.
#[derive(Debug, Clone, Default)]
pub struct Leniency {
    /// Kinds of differences that do not count.
    pub ignore: Vec<&'static str>,
    /// Kinds that do not count where the path matches, as `GLOB:KIND[,KIND]`.
    pub except: Vec<&'static str>,
    /// How far modification times may be apart, in nanoseconds.
    pub mtime_tolerance_ns: u64,
    /// Whether holes may have been filled.
    pub holes_may_be_filled: bool,
}

/// Where a path of the source lies in a folder that was restored to.
///
/// # Errors
/// If the path is not absolute.
pub fn below(folder: &Path, source: &Path) -> Result<PathBuf> {
    Ok(folder.join(source.strip_prefix("/").context("an absolute path")?))
}

/// The differences between the tree as it was and as it is now, one a line.
///
/// # Errors
/// If a tree cannot be read, or there is no Python.
pub fn compare(was: &Path, is: &Path, leniency: &Leniency) -> Result<Vec<String>> {
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/compare.py"))
        .arg(was)
        .arg(is);
    if !leniency.ignore.is_empty() {
        command.arg("--ignore").arg(leniency.ignore.join(","));
    }
    for exception in &leniency.except {
        command.arg("--except").arg(exception);
    }
    if !leniency.holes_may_be_filled {
        command.arg("--holes");
    }
    command.arg(format!(
        "--mtime-tolerance-ns={}",
        leniency.mtime_tolerance_ns
    ));
    let finished = run(&mut command)?;
    match finished.code() {
        Some(0 | 1) => Ok(finished.text().lines().map(str::to_owned).collect()),
        _ => bail!("the trees could not be compared: {finished}"),
    }
}

/// Fails, with each difference, if the trees are not equal in everything.
///
/// # Errors
/// As told, and as [`compare`].
pub fn expect_equal(was: &Path, is: &Path) -> Result<()> {
    let differences = compare(was, is, &Leniency::default())?;
    if !differences.is_empty() {
        bail!(
            "{} and {} differ:\n{}",
            was.display(),
            is.display(),
            differences.join("\n")
        );
    }
    Ok(())
}
