//! What the rig is made of: kernels, and a root for them.
//!
//! Each part is made by a script of `rig/`, at the latest when a test first asks for it, and
//! kept in `target/rig`. A script makes its part under another name and renames
//! it, and only one runs at a time, whatever the number of tests and programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fmt};

use anyhow::{Context, Result, bail};

use super::host::Host;
use crate::program::run_within;

/// Time to fetch, unpack and build the slowest part on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// The exit code with which a script says that its part cannot be had here.
const CANNOT_BE_HAD: i32 = 75;

/// A kernel to run a host on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// bookworm's 6.1: the drivers as long-lived kernels have them.
    V6_1,
    /// sid's, 7.1 or newer: SCSI commands by `io_uring` on /dev/bsg, and a
    /// tape in `scsi_debug`.
    V7,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Kernel; 2] = [Kernel::V6_1, Kernel::V7];

    /// The one for a test of a product that runs on either: `LONGHAUL_KERNEL=6.1` is
    /// the other one, on which programs start at a tenth of the speed.
    pub fn chosen() -> Kernel {
        match env::var("LONGHAUL_KERNEL").as_deref() {
            Ok("6.1") => Kernel::V6_1,
            _ => Kernel::V7,
        }
    }

    /// As the scripts name it, and its release begins.
    pub fn version(self) -> &'static str {
        match self {
            Kernel::V6_1 => "6.1",
            Kernel::V7 => "7",
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {}", self.version())
    }
}

/// A part of the rig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A kernel with its modules.
    Kernel(Kernel),
    /// The root that all hosts share.
    Root,
    /// `fcoe.ko` for a kernel.
    Fcoe(Kernel),
}

impl Part {
    fn script(self) -> Vec<&'static str> {
        match self {
            Part::Kernel(kernel) => vec!["kernel.sh", kernel.version()],
            Part::Root => vec!["root.sh"],
            Part::Fcoe(kernel) => vec!["fcoe.sh", kernel.version()],
        }
    }
}

/// The folder of the scripts.
pub(super) fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/rig"))
}

/// The commands that install the programs and the agents on a host, as docs/cluster.md
/// has it.
pub fn install_script() -> String {
    let agents = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/ocf"));
    format!(
        "mkdir -p /opt/longhaul
         mount --bind $(dirname $(command -v lh-mover)) /opt/longhaul
         ln -s /opt/longhaul/lh-control /opt/longhaul/lh-mover /usr/bin/
         cd {}
         install -D -m 755 -t /usr/lib/ocf/resource.d/longhaul coordinator backup
         install -D -m 755 -t /usr/lib/longhaul longhaul-alert
         cd /",
        Host::path_of(agents)
    )
}

/// The folder where the parts are.
///
/// # Errors
/// If the running program is not where cargo puts tests.
pub(super) fn folder() -> Result<PathBuf> {
    // A test is target/PROFILE/deps/NAME-HASH.
    let folder = env::current_exe()?
        .ancestors()
        .nth(3)
        .context("the test does not lie in a build folder")?
        .join("rig");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Makes the parts that are not there yet. The reason, if one cannot be had on
/// this machine, whatever one does.
///
/// # Errors
/// If a part that should be had here cannot be made.
pub(super) fn make(parts: &[Part]) -> Result<Option<String>> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(Some("User Mode Linux needs an x86-64 machine".into()));
    }
    if !rustix::process::geteuid().is_root() {
        return Ok(Some("namespaces and guests' roots need root".into()));
    }
    let folder = folder()?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("cannot lock the rig")?;
    for part in parts {
        let [script, arguments @ ..] = &part.script()[..] else {
            continue;
        };
        let mut command = Command::new(scripts().join(script));
        command.arg(&folder).args(arguments);
        let finished = run_within(&mut command, PATIENCE)?;
        match finished.code() {
            Some(0) => {}
            Some(CANNOT_BE_HAD) => {
                let words = finished.words();
                let reason = words.lines().last().unwrap_or("no reason given");
                return Ok(Some(reason.to_owned()));
            }
            _ => bail!("the rig has no {part:?}: {finished}"),
        }
    }
    Ok(None)
}
