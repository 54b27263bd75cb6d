//! What goes over the LAN while data goes over the SAN.

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::rig::cluster::NODES;
use longhaul_hwtests::rig::{Cluster, Net};

/// What the nodes say on the LAN while one run backs up 28 times as much: status,
/// journal, and what Corosync and Pacemaker have to say. It was 0.8 to 1.3 MB.
const CHATTER_BYTES: u64 = 2_500_000;

/// What each node had sent over the LAN at a moment. A node's tap is there as long as
/// its cluster: it goes on counting when the node has lost its power.
pub struct Lan {
    before: [u64; NODES.len()],
}

impl Lan {
    /// From now on.
    pub fn from_now(cluster: &Cluster<'_>) -> Result<Lan> {
        let before = sent(cluster)?;
        Ok(Lan { before })
    }

    /// No backup data has gone over it since: how many bytes have.
    pub fn had_no_data(&self, cluster: &Cluster<'_>) -> Result<u64> {
        let mut all = 0;
        for (before, now) in self.before.into_iter().zip(sent(cluster)?) {
            all += now.checked_sub(before).context("a tap counts anew")?;
        }
        ensure!(all < CHATTER_BYTES, "{all} bytes went over the LAN");
        Ok(all)
    }
}

fn sent(cluster: &Cluster<'_>) -> Result<[u64; NODES.len()]> {
    let mut sent = [0; NODES.len()];
    for (sent, node) in sent.iter_mut().zip(NODES) {
        *sent = cluster.network().carried(Net::Lan, node)?.sent_bytes;
    }
    Ok(sent)
}
