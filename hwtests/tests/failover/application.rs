//! An application of the cluster: a file system on the SAN, and an address.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::Cluster;

/// Its resources, in the order in which they start.
const FILE_SYSTEM: &str = "files";
const ADDRESS: &str = "address";
/// Both.
pub const APPLICATION: &str = "application";

/// Where its file system is mounted.
pub const FOLDER: &str = "/srv/application";
/// Its address on the LAN.
const IP: &str = "10.9.0.100";

/// Has the cluster run it, preferably on this node: once it runs.
pub fn run_on(cluster: &mut Cluster<'_>, node: u8) -> Result<()> {
    cluster.configure(&words(node, ""))?;
    runs(cluster, Some(node))?;
    Ok(())
}

/// It, preferably on this node, in the words of `crm configure`, with another resource
/// at the end of its group.
pub fn words(node: u8, last: &str) -> String {
    format!(
        "primitive {FILE_SYSTEM} Filesystem \
             params device=/dev/san/data directory={FOLDER} fstype=ext4 \
             op start timeout=60s op stop timeout=60s op monitor interval=10s timeout=40s
         primitive {ADDRESS} IPaddr2 params ip={IP} cidr_netmask=24 nic=vec0 \
             op monitor interval=10s timeout=20s
         group {APPLICATION} {FILE_SYSTEM} {ADDRESS} {last} meta resource-stickiness=100
         location preferred {APPLICATION} 50: n{node}"
    )
}

/// Waits until it runs, on this node if one is named: where.
pub fn runs(cluster: &mut Cluster<'_>, on: Option<u8>) -> Result<u8> {
    // The last of the group: it starts when the first runs.
    cluster.wait_until_runs(ADDRESS, on)
}

/// The application writes something down.
pub fn write(cluster: &mut Cluster<'_>, node: u8, words: &str) -> Result<()> {
    cluster.run(
        node,
        &format!("echo '{words}' >{FOLDER}/words; sync {FOLDER}/words"),
    )?;
    Ok(())
}

/// What was written is there, on a node that has the address too.
pub fn is_whole(cluster: &mut Cluster<'_>, node: u8, words: &str) -> Result<()> {
    let said = cluster.run(
        node,
        &format!("mountpoint {FOLDER} && cat {FOLDER}/words && ip -br address show vec0"),
    )?;
    ensure!(said.contains(words) && said.contains(IP), "n{node}: {said}");
    Ok(())
}

/// Whether a node has its file system mounted.
pub fn is_mounted(cluster: &mut Cluster<'_>, node: u8) -> Result<bool> {
    let said = cluster.run(node, &format!("mountpoint {FOLDER} || true"))?;
    Ok(said.contains("is a mountpoint"))
}
