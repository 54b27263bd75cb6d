//! A cluster: hosts with Corosync and Pacemaker, a SAN, and fencing.
//!
//! Nodes 1 to 3 are hosts n1 to n3, the SAN is the next one. The nodes see each
//! other by the LAN, and library and disks by the SAN. A node has a disk of its
//! own, `/own`, which outlives its power: what its cluster service wrote down
//! is there. All else that it writes is gone when it boots again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::fencing::Fencing;
use super::host::{Host, Machine};
use super::network::{Net, Network};
use super::parts::{self, Kernel};
use super::san::{Fabric, San};
use super::trial::Trial;
use crate::until::within;

/// The nodes of a cluster.
pub const NODES: [u8; 3] = [1, 2, 3];
const SAN_NODE: u8 = 4;

/// How long a cluster may take for what takes it seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// A cluster that runs longer ends by itself.
const LIMIT_S: u32 = 1800;
const NODE_MEMORY_MIB: u32 = 512;
/// What of a node outlives its power: a file system of so many MiB.
const OWN_DISK_MIB: u32 = 512;
const SAN_MEMORY_MIB: u32 = 2048;
/// What is asked.
const STATUS: &str = "crm_mon -1 --inactive --fence-history=3";

/// A running cluster. It ends with the value.
pub struct Cluster<'a> {
    trial: &'a Trial,
    machine: Machine,
    nodes: BTreeMap<u8, Host>,
    /// Those that are frozen, or have no LAN: nobody asks them.
    away: BTreeSet<u8>,
    san: San,
    fencing: Fencing,
    network: Network,
}

impl<'a> Cluster<'a> {
    /// Starts one, and waits until all nodes are online, with fencing ready.
    ///
    /// # Errors
    /// If that does not come to be.
    pub fn start(trial: &'a Trial, kernel: Kernel, fabric: Fabric) -> Result<Cluster<'a>> {
        let cib = fs::read_to_string(parts::scripts().join("cib.xml"))?;
        let mut cluster = Cluster::prepare(trial, kernel, fabric, &corosync_conf()?, &cib)?;
        cluster.start_services(&NODES)?;
        cluster.join_san()?;
        cluster.wait_until_online(&NODES)?;
        cluster.wait_until_runs("fencing", None)?;
        Ok(cluster)
    }

    /// Boots the nodes of one, with this for Corosync and this for the first
    /// configuration of Pacemaker. Neither is started, and the SAN is not there yet.
    ///
    /// # Errors
    /// If a node does not come up.
    pub fn prepare(
        trial: &'a Trial,
        kernel: Kernel,
        fabric: Fabric,
        corosync_conf: &str,
        cib: &str,
    ) -> Result<Cluster<'a>> {
        let network = Network::of(SAN_NODE, &[Net::Lan, Net::San])?;
        let folder = trial.join("cluster");
        let fencing = Fencing::start(&folder.join("fencing"))?;
        fs::create_dir_all(folder.join("corosync"))?;
        fs::write(folder.join("corosync/corosync.conf"), corosync_conf)?;
        fs::write(folder.join("cib.xml"), cib)?;
        let machine = Machine {
            kernel,
            memory_mib: NODE_MEMORY_MIB,
            limit_s: LIMIT_S,
        };
        let large = Machine {
            memory_mib: SAN_MEMORY_MIB,
            ..machine
        };
        let san = San::switch_on(&network, trial, large, SAN_NODE, fabric)?;
        let mut cluster = Cluster {
            trial,
            machine,
            nodes: BTreeMap::new(),
            away: BTreeSet::new(),
            san,
            fencing,
            network,
        };
        for node in NODES {
            cluster.switch_on(node)?;
        }
        cluster.on_each(&NODES, |cluster, node| cluster.prepare_script(node))?;
        Ok(cluster)
    }
}

impl Cluster<'_> {
    /// Has the nodes see the SAN. No resource needs it at first: it comes while the
    /// nodes meet.
    ///
    /// # Errors
    /// If it does not come to be ready.
    pub fn join_san(&mut self) -> Result<()> {
        self.san.serve(&NODES)?;
        self.on_each(&NODES, |cluster, node| Ok(cluster.san.log_in_script(node)))
    }

    /// A node that runs.
    ///
    /// # Errors
    /// If its power is cut.
    pub fn node(&mut self, node: u8) -> Result<&mut Host> {
        let host = self.nodes.get_mut(&node);
        host.with_context(|| format!("n{node} has no power"))
    }

    /// Runs a script on a node to its good end, and gives what it said.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn run(&mut self, node: u8, script: &str) -> Result<String> {
        self.node(node)?.run(script)
    }

    /// The host that serves library and disks.
    pub fn san(&mut self) -> &mut San {
        &mut self.san
    }

    /// How nodes are fenced.
    pub fn fencing(&self) -> &Fencing {
        &self.fencing
    }

    /// The networks, and what hosts have sent over them.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A folder that all nodes see as `/cluster`.
    pub fn folder(&self) -> PathBuf {
        self.trial.join("cluster")
    }

    /// Adds to the configuration, in the words of `crm configure`.
    ///
    /// # Errors
    /// If the cluster does not take it.
    pub fn configure(&mut self, words: &str) -> Result<()> {
        let node = self.any()?;
        fs::write(self.folder().join("configuration"), words)?;
        self.run(node, "crm configure load update /cluster/configuration")?;
        Ok(())
    }

    /// What `crm_mon` says on a node.
    ///
    /// # Errors
    /// If the node's cluster service does not run.
    pub fn status(&mut self, node: u8) -> Result<String> {
        self.run(node, STATUS)
    }

    /// Waits until a node's `crm_mon` says something for which this is true,
    /// and gives all that it says.
    ///
    /// # Errors
    /// If it does not come to that, with what it says then.
    pub fn wait_for_status(
        &mut self,
        node: u8,
        what: &str,
        is_true: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut last = String::new();
        let waited = within(PATIENCE, what, || {
            last = self.node(node)?.run_within(STATUS, PATIENCE)?.said;
            Ok(is_true(&last).then_some(()))
        });
        waited.with_context(|| format!("n{node} says:\n{last}"))?;
        Ok(last)
    }

    /// Waits until a resource runs, on this node if one is named: where.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_until_runs(&mut self, resource: &str, on: Option<u8>) -> Result<u8> {
        let asked = self.any()?;
        let what = match on {
            Some(on) => format!("{resource} runs on n{on}"),
            None => format!("{resource} runs"),
        };
        let runs = |said: &str| place_of(said, resource).filter(|at| on.is_none_or(|on| on == *at));
        let said = self.wait_for_status(asked, &what, |said| runs(said).is_some())?;
        runs(&said).context("where it runs")
    }

    /// Waits until these nodes, and no others, are online to each of them, and
    /// have quorum.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn wait_until_online(&mut self, nodes: &[u8]) -> Result<()> {
        let names: Vec<_> = nodes.iter().map(|node| format!("n{node}")).collect();
        let online = format!("Online: [ {} ]", names.join(" "));
        for &node in nodes {
            self.wait_for_status(node, &online, |said| {
                said.contains(&online) && said.contains("partition with quorum")
            })?;
        }
        Ok(())
    }

    /// Cuts a node's power.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn cut_power(&mut self, node: u8) -> Result<()> {
        self.node(node)?.power().cut()?;
        self.nodes.remove(&node);
        Ok(())
    }

    /// Stops a node where it is.
    ///
    /// # Errors
    /// If it has ended.
    pub fn freeze(&mut self, node: u8) -> Result<()> {
        self.away.insert(node);
        self.node(node)?.power().freeze()
    }

    /// Lets a frozen node go on.
    ///
    /// # Errors
    /// If it has ended.
    pub fn wake(&mut self, node: u8) -> Result<()> {
        self.away.remove(&node);
        self.node(node)?.power().wake()
    }

    /// Plugs a node's cable into the LAN, or pulls it. The SAN's stays.
    ///
    /// # Errors
    /// As [`Network::set_link`].
    pub fn set_lan(&mut self, node: u8, is_up: bool) -> Result<()> {
        match is_up {
            true => self.away.remove(&node),
            false => self.away.insert(node),
        };
        self.network.set_link(Net::Lan, node, is_up)
    }

    /// Boots nodes whose power was cut, with their cables in, and has them join;
    /// [`Cluster::wait_until_online`] waits for that.
    ///
    /// # Errors
    /// If one does not come up.
    pub fn boot(&mut self, nodes: &[u8]) -> Result<()> {
        for &node in nodes {
            self.switch_on(node)?;
        }
        self.on_each(nodes, |cluster, node| {
            let prepare = cluster.prepare_script(node)?;
            Ok(prepare + "\n" + &cluster.san.log_in_script(node))
        })?;
        self.start_services(nodes)
    }

    /// The first node that can be asked.
    ///
    /// # Errors
    /// If there is none.
    pub fn any(&self) -> Result<u8> {
        let here = self.nodes.iter().find(|(node, host)| {
            !self.away.contains(node) && matches!(host.power().ended(), Ok(None))
        });
        Ok(*here.context("no node runs")?.0)
    }

    fn switch_on(&mut self, node: u8) -> Result<()> {
        // What the fence agent has killed is dropped here.
        self.nodes.remove(&node);
        self.away.remove(&node);
        let host = Host::switch_on(self.trial, self.machine, node, Some(&self.network))?;
        self.fencing.connect(node, host.power())?;
        self.nodes.insert(node, host);
        Ok(())
    }

    /// Runs a script on nodes, on all at once, to its good end.
    fn on_each(
        &mut self,
        nodes: &[u8],
        script: impl Fn(&Cluster<'_>, u8) -> Result<String>,
    ) -> Result<()> {
        let mut jobs = Vec::new();
        for &node in nodes {
            let script = script(self, node)?;
            let host = self.node(node)?;
            host.wait_until_up()?;
            jobs.push((node, host.start(&script)?));
        }
        for (node, job) in jobs {
            self.node(node)?.finish(&job, PATIENCE)?.expect_success()?;
        }
        Ok(())
    }

    /// The commands that make a host a node: its folders, a disk of its own,
    /// and what the cluster is told at its very beginning.
    fn prepare_script(&self, node: u8) -> Result<String> {
        let own = self.trial.join(format!("disk-n{node}"));
        fs::create_dir_all(&own)?;
        let mut script = format!(
            "mkdir -p /cluster /disk /own
             mount -t hostfs -o {} none /cluster
             mount -t hostfs -o {} none /disk
             modprobe loop
             is_new=
             if [ ! -e /disk/disk ]; then
                 truncate -s {OWN_DISK_MIB}M /disk/disk
                 mkfs.ext4 -q /disk/disk
                 is_new=y
             fi
             mount -o loop /disk/disk /own
             for kept in corosync pacemaker; do
                 [ -z \"$is_new\" ] || cp -a /var/lib/$kept /own/
                 mount --bind /own/$kept /var/lib/$kept
             done
             [ -z \"$is_new\" ] ||
                 install -o hacluster -g haclient -m 600 /cluster/cib.xml /var/lib/pacemaker/cib/
             install -m 755 {} /usr/sbin/fence_rig
             {}
             cp /cluster/corosync/* /etc/corosync/
             install -d -o hacluster -g haclient -m 750 /run/crm\n",
            self.folder().display(),
            own.display(),
            Host::path_of(&parts::scripts().join("fence_rig")),
            parts::install_script(),
        );
        for other in NODES {
            let address = Net::Lan.address(other);
            writeln!(script, "echo {address} n{other} >>/etc/hosts")?;
        }
        Ok(script)
    }

    /// Starts the cluster service on nodes.
    ///
    /// # Errors
    /// If it cannot be begun with.
    pub fn start_services(&mut self, nodes: &[u8]) -> Result<()> {
        for &node in nodes {
            let host = self.node(node)?;
            host.start("exec corosync -f")?;
            host.start(
                "for _ in $(seq 100); do
                     ! corosync-cfgtool -s >/dev/null 2>&1 || break
                     sleep 0.1
                 done
                 # Memory that is given back costs a host much to get again.
                 export MALLOC_TRIM_THRESHOLD_=67108864 MALLOC_MMAP_THRESHOLD_=67108864
                 export PCMK_logfile=/share/pacemaker.out
                 exec pacemakerd -f",
            )?;
        }
        Ok(())
    }

    /// Stops the cluster service on nodes in order, on all at once: Pacemaker first,
    /// everywhere, and then Corosync, as `pcs cluster stop --all` does. A node that
    /// loses the others before it has stopped its resources leaves them running.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop_services(&mut self, nodes: &[u8]) -> Result<()> {
        let said = self.status(*nodes.first().context("no node")?)?;
        let coordinates = |node: u8| said.contains(&format!("Current DC: n{node} "));
        self.on_each(nodes, |_, node| {
            let others = nodes.iter().filter(|other| **other != node);
            let waits = others.map(|other| {
                format!(
                    "until crm_mon -1 --output-as=xml | grep 'name=\"n{other}\" .*shutdown=' |
                         grep -q 'shutdown=\"true\"\\|expected_up=\"false\"'; do
                         sleep 0.1
                     done\n"
                )
            });
            // It hears first that the others want to leave: one that has nobody to ask
            // ends as it is.
            let waits: String = waits.filter(|_| coordinates(node)).collect();
            Ok(waits + &end_script("pacemakerd"))
        })?;
        self.on_each(nodes, |_, _| Ok(end_script("corosync")))
    }
}

/// The commands that have a program end in order, and wait for that.
fn end_script(program: &str) -> String {
    format!(
        "pkill -TERM -x {program}
         while pgrep -x {program} >/dev/null; do sleep 0.1; done"
    )
}

/// Where a resource runs, of what `crm_mon` says.
fn place_of(said: &str, resource: &str) -> Option<u8> {
    let begin = format!("* {resource}\t(");
    let line = said
        .lines()
        .find(|line| line.trim_start().starts_with(&begin))?;
    let (_, place) = line.split_once(" Started n")?;
    let (number, more) = place.split_at_checked(1)?;
    (!more.contains("UNCLEAN"))
        .then(|| number.parse().ok())
        .flatten()
}

fn corosync_conf() -> Result<String> {
    let mut conf = fs::read_to_string(parts::scripts().join("corosync.conf"))?;
    writeln!(conf, "nodelist {{")?;
    for node in NODES {
        let address = Net::Lan.address(node);
        writeln!(
            conf,
            "    node {{\n        ring0_addr: {address}\n        name: n{node}\n        nodeid: {node}\n    }}"
        )?;
    }
    writeln!(conf, "}}")?;
    Ok(conf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_runs_where_it_is_started_on_a_node_that_is_not_unclean() {
        let said = "  * Resource Group: app:\n    \
             * fs\t(ocf:heartbeat:Filesystem):\t Started n3 (Monitoring)\n    \
             * ip\t(ocf:heartbeat:IPaddr2):\t Started n2 (UNCLEAN)\n  \
             * fencing\t(stonith:fence_rig):\t Stopped\n";
        assert_eq!(place_of(said, "fs"), Some(3));
        for resource in ["ip", "fencing", "other"] {
            assert_eq!(place_of(said, resource), None, "{resource}");
        }
    }
}
