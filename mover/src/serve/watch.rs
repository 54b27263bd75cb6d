//! The node's own cluster service, which is asked again and again how things stand.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use longhaul_cluster::{ClusterError, CrmMon, EVERY, Known, Snapshot};
use longhaul_protocol::Name;

use super::{Happened, ServeError};

/// Between two questions, however much happens.
const PAUSE: Duration = Duration::from_millis(500);

/// A thread that asks.
#[derive(Debug)]
pub struct Watch {
    at_once: Sender<()>,
}

impl Watch {
    /// Starts it; what the cluster service says of this node goes to `to`.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(asked: CrmMon, node: Name, to: Sender<Happened>) -> Result<Watch, ServeError> {
        let (at_once, told) = bounded(1);
        let body = move || ask(&asked, Standing::new(node, Instant::now()), &told, &to);
        let thread = thread::Builder::new().name("lh-watch".into());
        thread.spawn(body).map_err(ServeError::Thread)?;
        Ok(Watch { at_once })
    }

    /// Something has happened: it is asked at once.
    pub fn at_once(&self) {
        // It is told already, or there is nobody who asks.
        let _ = self.at_once.try_send(());
    }
}

fn ask(asked: &CrmMon, mut standing: Standing, told: &Receiver<()>, to: &Sender<Happened>) {
    loop {
        let said = asked.snapshot();
        if let Some(happened) = standing.after(Instant::now(), said)
            && to.send(happened).is_err()
        {
            return;
        }
        thread::sleep(PAUSE);
        // Asked for or not, it is time.
        let _ = told.recv_timeout(EVERY);
    }
}

/// How this node stands.
struct Standing {
    node: Name,
    known: Known,
    has_quorum: Option<bool>,
    /// The cluster knows no node of this name, and that was said.
    is_nobody: bool,
}

impl Standing {
    fn new(node: Name, now: Instant) -> Standing {
        Standing {
            node,
            known: Known::since(now),
            has_quorum: None,
            is_nobody: false,
        }
    }

    /// What the service is told after an answer. None: what it was told holds.
    fn after(&mut self, now: Instant, said: Result<Snapshot, ClusterError>) -> Option<Happened> {
        let Some(snapshot) = self.known.after(now, said)? else {
            return Some(self.stands(false, BTreeSet::new()));
        };
        let is_nobody = snapshot.node(self.node.as_str()).is_none();
        if is_nobody && !self.is_nobody {
            let node = &self.node;
            log::warn!("the cluster knows no node {node}: enroll it by its name there");
        }
        self.is_nobody = is_nobody;
        let hosts = hosts(&snapshot, self.node.as_str());
        Some(self.stands(snapshot.has_quorum, hosts))
    }

    fn stands(&mut self, has_quorum: bool, hosts: BTreeSet<Name>) -> Happened {
        match self.has_quorum.replace(has_quorum) == Some(has_quorum) {
            true => {}
            false if has_quorum => log::info!("the node has quorum"),
            false => log::warn!("the node has no quorum: nothing is begun without an order"),
        }
        Happened::Cluster { has_quorum, hosts }
    }
}

/// The applications that run whole on a node: resources, groups, clones.
fn hosts(snapshot: &Snapshot, node: &str) -> BTreeSet<Name> {
    let all = snapshot.resources.iter();
    let ids: BTreeSet<&str> = all
        .flat_map(|resource| resource.within.iter().chain([&resource.id]))
        .map(String::as_str)
        .collect();
    let here = ids.into_iter();
    let here = here.filter(|id| snapshot.runs_on(id) == Some(node));
    // A job cannot name what is no name.
    here.filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(name: &str) -> Snapshot {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../control/cluster/tests/captures"
        );
        let xml = std::fs::read(format!("{folder}/{name}.xml")).expect("a capture");
        Snapshot::from_xml(&xml).expect("understood")
    }

    fn silent() -> Result<Snapshot, ClusterError> {
        Err(ClusterError::NotRunning {
            said: "nobody".into(),
        })
    }

    fn told(happened: Option<Happened>) -> Option<(bool, Vec<String>)> {
        happened.map(|happened| match happened {
            Happened::Cluster { has_quorum, hosts } => {
                let hosts = hosts.iter().map(Name::to_string);
                (has_quorum, hosts.collect())
            }
            other => panic!("{other:?}"),
        })
    }

    fn standing(node: &str) -> (Standing, Instant) {
        let now = Instant::now();
        (Standing::new(node.parse().expect("a name"), now), now)
    }

    #[test]
    fn r21_a_node_hosts_the_groups_and_resources_that_run_whole_on_it() {
        let snapshot = captured("online");
        let mut all = BTreeSet::new();
        for node in ["n1", "n2", "n3"] {
            let (mut standing, now) = standing(node);
            let (has_quorum, hosts) =
                told(standing.after(now, Ok(snapshot.clone()))).expect("told");
            assert!(has_quorum);
            for id in hosts {
                assert_eq!(snapshot.runs_on(&id), Some(node));
                assert!(all.insert(id), "on two nodes");
            }
        }
        assert!(all.contains("app"), "{all:?}");
    }

    #[test]
    fn a_cluster_service_that_says_nothing_counts_as_no_quorum_after_a_minute() {
        let (mut standing, begun) = standing("n1");
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(told(standing.after(after(5), silent())).is_none());
        let good = told(standing.after(after(10), Ok(captured("online"))));
        assert!(good.expect("told").0);
        for second in [15, 40, 69] {
            assert!(told(standing.after(after(second), silent())).is_none());
        }
        let late = told(standing.after(after(70), silent()));
        assert_eq!(late, Some((false, Vec::new())));
        let good = told(standing.after(after(75), Ok(captured("online"))));
        assert!(good.expect("told").0);
        let lost = told(standing.after(after(80), Ok(captured("no-quorum"))));
        assert!(!lost.expect("told").0);
    }
}
