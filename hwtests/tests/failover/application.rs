//! An application of the cluster: a file system on the SAN, and an address.

use anyhow::Result;
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

/// Whether a node has its file system mounted.
pub fn is_mounted(cluster: &mut Cluster<'_>, node: u8) -> Result<bool> {
    let said = cluster.run(node, &format!("mountpoint {FOLDER} || true"))?;
    Ok(said.contains("is a mountpoint"))
}
