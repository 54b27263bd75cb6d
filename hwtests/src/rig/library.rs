//! The library that `lh-vtl` serves, as hosts see it.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::host::{Host, Job};

/// A target, and what it serves, are there after a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the library, unless it is there.
pub(super) const MAKE: &str = "[ -e /tmp/library ] ||
     lh-vtl create /tmp/library --drives 2 --slots 8 --cartridges 4 --capacity 1GiB";

/// Serves a library of two drives to whom the door says; no door is this host
/// itself, whose tape drivers are loaded then.
///
/// # Errors
/// If it does not come to be ready.
pub fn serve(host: &mut Host, door: &str) -> Result<Job> {
    host.run(&format!(
        "modprobe -a target_core_user sg st ch
         mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
         mkdir -p /var/target/pr /var/target/alua
         {MAKE}"
    ))?;
    let server = host.start(&format!("exec lh-vtl serve /tmp/library {door}"))?;
    host.wait_for_line(&server, "ready", PATIENCE)?;
    Ok(server)
}

/// Ends the service in order: nothing of it is left in the kernel.
///
/// # Errors
/// If it does not end well, or leaves something.
pub fn stop(host: &mut Host, server: &Job) -> Result<()> {
    host.run("pkill -TERM -x lh-vtl")?;
    host.finish(server, PATIENCE)?.expect_success()?;
    let left = host.run("find /sys/kernel/config/target -name 'longhaul-*'")?;
    ensure!(left.is_empty(), "left in the kernel:\n{left}");
    Ok(())
}
