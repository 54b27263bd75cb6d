//! Asking the cluster service of this node how things stand.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use longhaul_cluster::{CrmMon, Role, Snapshot};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::desk::{Desk, Said};
use crate::chain;

/// How often it is asked, beside when something is heard to have happened.
const EVERY: Duration = Duration::from_secs(5);
/// How often it is asked while something is under way.
const SOON: Duration = Duration::from_secs(1);
/// When it has not answered for so long, nobody knows how things stand.
const UNKNOWN_AFTER: Duration = Duration::from_secs(60);

/// Asks again and again, and brings the answers to the desk while it is there.
pub(crate) async fn look_on(crm_mon: CrmMon, look: Arc<Notify>, desk: Weak<Desk>) {
    let mut answered = Instant::now();
    let mut complaint = String::new();
    loop {
        let asked = crm_mon.clone();
        let Ok(snapshot) = tokio::task::spawn_blocking(move || asked.snapshot()).await else {
            return;
        };
        let mut every = SOON;
        let said = match snapshot {
            Ok(snapshot) => {
                if !complaint.is_empty() {
                    log::info!("the cluster service answers");
                    complaint.clear();
                }
                answered = Instant::now();
                if !is_moving(&snapshot) {
                    every = EVERY;
                }
                Some(Some(Box::new(snapshot)))
            }
            Err(error) => {
                let words = chain(&error);
                if words != complaint {
                    log::warn!("the cluster service does not say how things stand: {words}");
                    complaint = words;
                }
                (answered.elapsed() >= UNKNOWN_AFTER).then_some(None)
            }
        };
        let Some(desk) = desk.upgrade() else {
            return;
        };
        if let Some(said) = said
            && desk.bring(Said::Cluster(said)).await.is_err()
        {
            return;
        }
        drop(desk);
        let _ = timeout(every, look.notified()).await;
    }
}

/// Whether something comes or goes.
fn is_moving(snapshot: &Snapshot) -> bool {
    let nodes = snapshot.nodes.iter();
    let mut nodes = nodes.filter(|node| node.unclean || node.pending || node.shutdown);
    let mut resources = snapshot.resources.iter();
    !snapshot.has_quorum
        || nodes.next().is_some()
        || resources.any(|of| {
            of.role == Role::Changing || (of.wanted && of.role == Role::Stopped && !of.blocked)
        })
}
