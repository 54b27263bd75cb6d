//! `lh-tree FOLDER`: makes the tree of the tests, where no test can: in a host
//! of the rig, on a file system of its own.
#![forbid(unsafe_code)]

use std::env;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::tree;

fn main() -> Result<()> {
    let folder = env::args_os().nth(1).context("usage: lh-tree FOLDER")?;
    let tree = tree::make(Path::new(&folder))?;
    ensure!(tree.left_out.is_empty(), "left out: {:?}", tree.left_out);
    Ok(())
}
