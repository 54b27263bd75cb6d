//! Asking the cluster service of this node how things stand.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use longhaul_cluster::{CrmMon, EVERY, Known, Role, Snapshot};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::desk::{Desk, Said};

/// How often it is asked while something is under way.
const SOON: Duration = Duration::from_secs(1);
/// So long something may be under way once it is told, though the cluster service says
/// that all is as it was: that a node is gone is told before Pacemaker has drawn a
/// conclusion, and where the node coordinated the cluster, that takes an election.
const SETTLES: Duration = Duration::from_secs(10);

/// The wish that the cluster service is asked.
pub(crate) struct Looks {
    wanted: Notify,
    /// When what the desk has of it was asked for.
    asked: watch::Receiver<Instant>,
}

impl Looks {
    /// And where it is to be said that an answer, or that there is none, has been
    /// brought to the desk.
    pub(crate) fn new() -> (Looks, watch::Sender<Instant>) {
        let (asks, asked) = watch::channel(Instant::now());
        let wanted = Notify::new();
        (Looks { wanted, asked }, asks)
    }

    /// Has it asked, and again while that may change something.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Has it asked, and waits until the desk has the answer to a question that was
    /// asked from now on, or it is known that there is none. If nobody asks any more,
    /// nobody waits.
    pub(crate) async fn anew(&self) {
        let now = Instant::now();
        let mut asked = self.asked.clone();
        self.want();
        let _ = asked.wait_for(|asked| *asked >= now).await;
    }
}

/// Asks again and again, and brings the answers to the desk while it is there.
pub(crate) async fn look_on(
    crm_mon: CrmMon,
    looks: Arc<Looks>,
    asks: watch::Sender<Instant>,
    desk: Weak<Desk>,
) {
    let mut known = Known::since(Instant::now());
    let mut wanted: Option<Instant> = None;
    loop {
        let began = Instant::now();
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
        asks.send_replace(began);
        let pause = pause(is_at_rest, wanted.map(|wanted| wanted.elapsed()));
        if timeout(pause, looks.wanted.notified()).await.is_ok() {
            wanted = Some(Instant::now());
        }
    }
}

/// When it is asked next, so long after somebody has wanted it.
fn pause(is_at_rest: bool, since_wanted: Option<Duration>) -> Duration {
    let has_settled = since_wanted.is_none_or(|since| since >= SETTLES);
    if is_at_rest && has_settled {
        EVERY
    } else {
        SOON
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::sync::mpsc;

    /// Pacemaker 2.1.5's answers, before a node dies and after.
    const ONLINE: &str = include_str!("../../cluster/tests/captures/online.xml");
    const UNCLEAN: &str = include_str!("../../cluster/tests/captures/unclean.xml");

    /// The newest that was brought.
    fn newest(said: &mut mpsc::Receiver<Said>) -> Option<Snapshot> {
        let mut newest = None;
        while let Ok(said) = said.try_recv() {
            if let Said::Cluster(Some(snapshot)) = said {
                newest = Some(*snapshot);
            }
        }
        newest
    }

    #[test]
    fn r15_who_looks_anew_sees_what_has_happened_since_the_last_look() {
        let folder = tempfile::tempdir().expect("a folder");
        let answer = folder.path().join("answer");
        let path = folder.path().join("crm_mon");
        let script = format!("#!/bin/sh\ncat {}\n", answer.display());
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
        fs::write(&answer, ONLINE).expect("an answer");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let (looks, asks) = Looks::new();
            let looks = Arc::new(looks);
            let (desk, mut said) = Desk::new(looks.clone());
            let desk = Arc::new(desk);
            let limit = Duration::from_secs(10);
            let crm_mon = CrmMon { path, limit };
            let watcher = look_on(crm_mon, looks.clone(), asks, Arc::downgrade(&desk));
            let watcher = tokio::spawn(watcher);
            looks.anew().await;
            let before = newest(&mut said).expect("an answer");
            assert!(before.nodes.iter().all(|node| node.is_up()), "{before:?}");
            fs::write(&answer, UNCLEAN).expect("another answer");
            looks.anew().await;
            let after = newest(&mut said).expect("another answer");
            assert!(after.nodes.iter().any(|node| node.unclean), "{after:?}");
            // That there is no answer is waited for as well, and that nobody asks.
            fs::remove_file(&answer).expect("no answer");
            looks.anew().await;
            assert!(newest(&mut said).is_none(), "no answer, and one is brought");
            watcher.abort();
            looks.anew().await;
        });
    }

    #[test]
    fn what_was_told_is_looked_at_until_it_has_settled() {
        assert_eq!(pause(true, None), EVERY);
        assert_eq!(pause(true, Some(Duration::ZERO)), SOON);
        assert_eq!(pause(true, Some(SETTLES)), EVERY);
        assert_eq!(pause(false, Some(SETTLES)), SOON);
    }
}
