//! File systems that are to leave the node: nothing of them is open.

use std::path::{Path, PathBuf};

use longhaul_protocol::job::{Kind, Work};
use longhaul_protocol::order::Stop;
use longhaul_protocol::{AttemptId, Time};

use super::{Attempt, Output, Service};

/// So long attempts may take to reach a checkpoint before they are ended, in
/// milliseconds: they have let go well before 20 s are over.
const CHECKPOINT_MS: u64 = 12_000;
/// So long nothing is begun that only contains the mount, in milliseconds: it is
/// unmounted by then, and all around it may be backed up again.
const CONTAINED_MS: u64 = 60_000;
/// Mounts that can be released at a time.
const RELEASES_MAX: usize = 1000;
/// Those who wait for one of them.
const TICKETS_MAX: usize = 64;

/// A mount that was released, and not admitted again.
#[derive(Debug)]
pub(super) struct Release {
    /// When somebody who waits was the first to ask for it, or the last time that
    /// somebody did.
    since: Time,
    /// What did not reach a checkpoint in time was ended.
    is_urgent: bool,
    /// Who waits until nothing is open below it.
    tickets: Vec<u64>,
}

/// Where an attempt reads or writes files, as its order says.
pub(super) fn places(work: &Work) -> Vec<PathBuf> {
    match &work.kind {
        Kind::Backup => work.paths.iter().map(PathBuf::from).collect(),
        Kind::Restore(restore) => vec![PathBuf::from(&restore.to)],
        Kind::Label(_) | Kind::Unload(_) => Vec::new(),
    }
}

/// How a place lies to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// At it, or below.
    Below,
    /// Around it.
    Around,
}

fn lies(place: &Path, mount: &Path) -> Option<Lies> {
    if place.starts_with(mount) {
        Some(Lies::Below)
    } else if mount.starts_with(place) {
        Some(Lies::Around)
    } else {
        None
    }
}

/// How an attempt's places lie to a mount: those that were named, and where they
/// lead, if that is known.
fn all_lie(work: &Work, leads: Option<&[PathBuf]>, mount: &Path) -> Option<Lies> {
    let mut found = None;
    for place in places(work).iter().chain(leads.unwrap_or_default()) {
        match lies(place, mount) {
            Some(Lies::Below) => return Some(Lies::Below),
            around => found = found.or(around),
        }
    }
    found
}

impl Attempt {
    fn holds(&self, mount: &Path) -> bool {
        all_lie(&self.start.work, self.leads.as_deref(), mount).is_some()
    }
}

impl Service {
    pub(super) fn release(&mut self, now: Time, mount: PathBuf, ticket: u64) {
        if self.released.len() >= RELEASES_MAX && !self.released.contains_key(&mount) {
            log::error!("{} is not released: {RELEASES_MAX} are", mount.display());
            return;
        }
        log::info!("{} is released", mount.display());
        let release = self.released.entry(mount).or_insert(Release {
            since: now,
            is_urgent: false,
            tickets: Vec::new(),
        });
        if release.tickets.is_empty() {
            release.since = now;
            release.is_urgent = false;
        }
        if release.tickets.len() >= TICKETS_MAX {
            release.tickets.remove(0);
        }
        release.tickets.push(ticket);
        // Links may lead elsewhere by now.
        for id in self.under_way() {
            self.ask_where_it_leads(&id);
        }
    }

    pub(super) fn admit(&mut self, mount: &Path) {
        // Whoever still waits for it hears nothing: it was not let go of.
        if self.released.remove(mount).is_some() {
            log::info!("{} is admitted", mount.display());
        }
    }

    /// Has it found out where an attempt's places lead.
    pub(super) fn ask_where_it_leads(&mut self, id: &AttemptId) {
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.leads = None;
            let resolve = Output::Resolve(id.clone(), places(&attempt.start.work));
            self.outputs.push(resolve);
        }
    }

    pub(super) fn leads(&mut self, now: Time, id: &AttemptId, places: Vec<PathBuf>) {
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.leads = Some(places);
            self.spawn_if_ready(now, id);
        }
    }

    /// Whether it matters where work leads, and is not known.
    pub(super) fn is_in_the_dark(&self, attempt: &Attempt) -> bool {
        !self.released.is_empty() && attempt.leads.is_none()
    }

    /// The mount that leaves the node, for which this work is not begun.
    pub(super) fn leaving(
        &self,
        now: Time,
        work: &Work,
        leads: Option<&[PathBuf]>,
    ) -> Option<&Path> {
        let stands_in_the_way = |(mount, release): &(&PathBuf, &Release)| {
            let is_fresh = !release.tickets.is_empty() || now.since(release.since) < CONTAINED_MS;
            match all_lie(work, leads, mount) {
                Some(Lies::Below) => true,
                Some(Lies::Around) => is_fresh,
                None => false,
            }
        };
        let mut all = self.released.iter();
        all.find(stands_in_the_way).map(|(mount, _)| &**mount)
    }

    /// Has what is below released mounts, or around them, reach a checkpoint and
    /// end, and says so to those who wait for it.
    pub(super) fn let_go(&mut self, now: Time) {
        let waited_for = self.released.iter();
        let waited_for = waited_for.filter(|(_, release)| !release.tickets.is_empty());
        for mount in waited_for
            .map(|(mount, _)| mount.clone())
            .collect::<Vec<_>>()
        {
            self.let_go_of(now, &mount);
        }
    }

    fn let_go_of(&mut self, now: Time, mount: &Path) {
        let Some(release) = self.released.get_mut(mount) else {
            return;
        };
        let is_late = now.since(release.since) >= CHECKPOINT_MS;
        let is_urgent = is_late && !std::mem::replace(&mut release.is_urgent, is_late);
        for id in self.under_way() {
            if self.attempts.get(&id).is_some_and(|it| it.holds(mount)) {
                let how = if is_urgent {
                    Stop::Now
                } else {
                    Stop::Checkpoint
                };
                self.leave_off(now, &id, how, &why(mount));
            }
        }
        let is_open = |attempt: &Attempt| {
            !attempt.has_ended() && (attempt.leads.is_none() || attempt.holds(mount))
        };
        if !self.attempts.values().any(is_open)
            && let Some(release) = self.released.get_mut(mount)
        {
            let tickets = std::mem::take(&mut release.tickets).into_iter();
            self.outputs.extend(tickets.map(Output::Released));
        }
    }
}

/// Why nothing is done there.
pub(super) fn why(mount: &Path) -> String {
    format!("the cluster takes {} from this node", mount.display())
}
