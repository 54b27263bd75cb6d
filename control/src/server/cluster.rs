//! Asking the cluster service of this node how things stand.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use longhaul_cluster::{CrmMon, EVERY, Known, Role, Snapshot};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::desk::{Desk, Said};

/// How often it is asked while something is under way.
const SOON: Duration = Duration::from_secs(1);

/// Asks again and again, and brings the answers to the desk while it is there.
pub(crate) async fn look_on(crm_mon: CrmMon, look: Arc<Notify>, desk: Weak<Desk>) {
    let mut known = Known::since(Instant::now());
    loop {
        let asked = crm_mon.clone();
        let Ok(said) = tokio::task::spawn_blocking(move || asked.snapshot()).await else {
            return;
        };
        let is_at_rest = said.as_ref().is_ok_and(|snapshot| !is_moving(snapshot));
        let known = known.after(Instant::now(), said);
        let Some(desk) = desk.upgrade() else {
            return;
        };
        if let Some(known) = known
            && desk
                .bring(Said::Cluster(known.map(Box::new)))
                .await
                .is_err()
        {
            return;
        }
        drop(desk);
        let every = if is_at_rest { EVERY } else { SOON };
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
