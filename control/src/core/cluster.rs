//! What the cluster says, and what follows from it.
//!
//! How things stand is what the cluster service of the coordinator's own node says
//! ([`Snapshot`]). What other nodes' cluster services tell comes by their backup
//! services ([`Event`]): it is written down, and has the coordinator ask its own
//! again at once. So what is repeated, late or contradicting decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use longhaul_cluster::{Event, Membership, Snapshot, What};
use longhaul_protocol::ask::words;
use longhaul_protocol::job::{Place, Restart};
use longhaul_protocol::order::{self, Stop};
use longhaul_protocol::report::Outcome;
use longhaul_protocol::{AttemptId, ExitStatus, Name, RunId, Time};

use super::failover::{Failover, FailoverId, Hit, Next, facts};
use super::state::{Attempt, Change, Key, Node, RunState};
use super::{Coordinator, Notice, Output};

/// So much clocks of a cluster's nodes may differ, in milliseconds: no node is
/// fenced, started again and given work within that time.
const CLOCKS_MS: u64 = 5_000;
/// What a node was heard to say of another before that one's failure was known, is
/// part of its record for so long, in milliseconds.
const HEARD_MS: u64 = 300_000;
/// Things heard that are kept for that.
const HEARD_MAX: usize = 100;
/// Failovers that are kept, the newest.
const FAILOVERS_MAX: usize = 1_000;
/// An operator, as the one who says something.
const OPERATOR: &str = "an operator";
/// The coordinator itself.
const COORDINATOR: &str = "the coordinator";
/// So many attempts behind one failure are named that have written nothing.
const IN_VAIN_MAX: usize = 10;

/// What a node's cluster service was heard to tell of another node.
#[derive(Debug)]
pub(super) struct Heard {
    at: Time,
    node: Name,
    by: String,
    words: String,
}

impl Coordinator {
    /// Whether the cluster lets anything be begun: there is none, or this node's
    /// part of it has quorum.
    pub(super) fn has_quorum(&self) -> bool {
        let quorum = self.cluster.as_ref().map(|cluster| cluster.has_quorum);
        !self.settings.is_clustered || quorum == Some(true)
    }

    /// How things stand, as this node's cluster service says; nothing, if it could
    /// not be asked for a while.
    pub(super) fn cluster_said(&mut self, now: Time, snapshot: Option<Snapshot>) {
        self.cluster = snapshot.map(Arc::new);
        let Some(snapshot) = self.cluster.clone() else {
            return;
        };
        // Without quorum nobody here knows what the others do.
        if snapshot.has_quorum {
            self.end_what_has_moved();
            for name in self.state.nodes.keys().cloned().collect::<Vec<_>>() {
                self.node_stands(now, &name, &snapshot);
            }
        }
        self.note_the_rest(now, &snapshot);
    }

    /// Writes down how the rest of the cluster stands while a node is lost.
    fn note_the_rest(&mut self, now: Time, snapshot: &Snapshot) {
        let names = self.state.nodes.keys();
        let open = names.filter_map(|name| Some(self.open_failover(name)?.0));
        let open: Vec<FailoverId> = open.collect();
        if open.is_empty() {
            return;
        }
        let by = match &self.settings.node {
            Some(own) => format!("the cluster as {own} sees it"),
            None => "the cluster".into(),
        };
        let facts = facts(snapshot, &self.applications());
        for id in open {
            self.amend(&id, |row| {
                for fact in &facts {
                    row.note(now, &by, fact);
                }
            });
        }
    }

    /// The applications that jobs follow.
    fn applications(&self) -> BTreeSet<&Name> {
        let jobs = self.state.jobs.values();
        let places = jobs.filter_map(|job| match &job.place {
            Place::Application(name) => Some(name),
            Place::Node(_) => None,
        });
        places.collect()
    }

    /// The node where an application runs.
    pub(super) fn runs_on(&self, application: &Name) -> Option<Name> {
        let cluster = self.cluster.as_ref()?;
        cluster.runs_on(application.as_str())?.parse().ok()
    }

    /// What is under way where its application does not run any more ends at a
    /// checkpoint, and follows it.
    fn end_what_has_moved(&mut self) {
        let active = self.state.open_runs(None);
        let active = active.filter(|(_, run)| run.state == RunState::Active);
        let moved = active.filter_map(|(id, run)| {
            let (id, attempt) = self.state.newest(id)?;
            let has_moved = attempt.ended.is_none() && self.has_moved(&run.job.place, attempt);
            has_moved.then(|| (id, attempt.node.clone()))
        });
        let moved: Vec<(AttemptId, Name)> = moved.collect();
        for (attempt, node) in moved {
            if self.told_to_move.insert(attempt.clone()) {
                let how = Stop::Checkpoint;
                self.send(&node, order::What::Stop { attempt, how });
            }
        }
    }

    /// Whether the application that a run follows has left the node of its attempt,
    /// and that node is there: no failure of the attempt, if it breaks off.
    pub(super) fn has_moved(&self, place: &Place, attempt: &Attempt) -> bool {
        let is_elsewhere = match place {
            Place::Application(name) => self.runs_on(name).as_ref() != Some(&attempt.node),
            Place::Node(_) => false,
        };
        is_elsewhere && self.links.contains_key(&attempt.node)
    }

    fn node_stands(&mut self, now: Time, name: &Name, snapshot: &Snapshot) {
        let Some(node) = snapshot.node(name.as_str()) else {
            return;
        };
        let fenced = snapshot.fenced(name.as_str());
        let known = self.state.nodes.get(name).and_then(|row| row.fenced);
        let is_new = fenced > known;
        let was_coordinator = self.host_before.as_ref() == Some(name);
        let is_hit = self.state.under_way(name).next().is_some() || was_coordinator;
        let cluster = match &self.settings.node {
            Some(own) => cluster_service(own),
            None => "the coordinator's cluster service".into(),
        };
        if node.unclean || (!node.online && (is_new || is_hit)) {
            let open = self.open_failover(name);
            let is_dead = open.is_some_and(|(_, row)| row.dead.is_some());
            let words = match (node.unclean, node.online) {
                (true, true) => "it has failed, and is to be fenced",
                (true, false) => "it is lost, and not known to be down",
                (false, _) => "it is not there",
            };
            // Of one that is known to be dead that is no news.
            if node.unclean || !is_dead {
                self.is_lost(now, name, &cluster, words.into());
            }
        }
        if let Some(at) = fenced.filter(|_| is_new) {
            self.note_fenced(name, at);
            self.confirmed(now, name, at, &cluster, "it was fenced", !node.online);
        } else if !snapshot.stonith_enabled && !node.online && !node.unclean {
            self.followed(now, name);
        }
        // It may have been fenced and be there again: that is one failure.
        if node.is_up() {
            self.is_back(now, name);
        }
    }

    fn note_fenced(&mut self, name: &Name, at: Time) {
        if let Some(row) = self.state.nodes.get(name).cloned() {
            let fenced = Some(at);
            self.change(Change::Node(name.clone(), Node { fenced, ..row }));
        }
    }

    /// The failure of a node that is not over.
    fn open_failover(&self, name: &Name) -> Option<(FailoverId, &Failover)> {
        // The newest may bear an older time: the clock was set back.
        let mut known = self.state.failovers.iter();
        let open = known.find(|(id, row)| id.node == *name && row.back.is_none());
        open.map(|(id, row)| (id.clone(), row))
    }

    /// A node is lost: that is written down, with what others have said of it.
    fn is_lost(&mut self, now: Time, name: &Name, by: &str, words: String) -> FailoverId {
        if let Some((id, _)) = self.open_failover(name) {
            self.amend(&id, |row| row.say(now, by, words));
            return id;
        }
        let id = FailoverId {
            lost: now,
            node: name.clone(),
        };
        let mut row = Failover {
            was_coordinator: self.host_before.as_ref() == Some(name),
            ..Failover::default()
        };
        let of_node = self.heard.iter().filter(|heard| heard.node == *name);
        for heard in of_node.filter(|heard| now.since(heard.at) <= HEARD_MS) {
            row.say(heard.at, &heard.by, heard.words.clone());
        }
        row.say(now, by, words);
        self.change(Change::Failover(id.clone(), Box::new(row)));
        self.forget_failovers();
        id
    }

    fn forget_failovers(&mut self) {
        while self.state.failovers.len() > FAILOVERS_MAX {
            let Some((id, _)) = self.state.failovers.first_key_value() else {
                return;
            };
            self.change(Change::Removed(Key::Failover(id.clone())));
        }
    }

    /// A node is there again: its failure is over.
    pub(super) fn is_back(&mut self, now: Time, name: &Name) {
        if let Some((id, _)) = self.open_failover(name) {
            self.amend(&id, |row| row.back = Some(now));
        }
        if self.host_before.as_ref() == Some(name) {
            self.host_before = None;
        }
    }

    /// A node did nothing any more at this moment. What was ordered before is over,
    /// and its drives may be taken; of one that is still down, all is, whatever its
    /// clock and ours say.
    fn confirmed(
        &mut self,
        now: Time,
        name: &Name,
        at: Time,
        by: &str,
        words: &str,
        is_down: bool,
    ) {
        let is_over = |attempt: &Attempt| is_down || attempt.ordered <= at.after(CLOCKS_MS);
        let attempts = self.state.under_way(name);
        let over = attempts.filter(|id| self.state.attempts.get(id).is_some_and(is_over));
        let over: Vec<AttemptId> = over.cloned().collect();
        if over.is_empty() && !is_down {
            return;
        }
        let id = self.is_lost(now, name, by, words.into());
        self.amend(&id, |row| {
            row.dead = Some(at);
            row.confirmed.get_or_insert(now);
        });
        if is_down && self.links.contains_key(name) {
            // What is still said on its connection it has said before.
            self.gone(name);
            self.outputs.push(Output::Close(name.clone()));
        }
        for attempt in &over {
            self.hit(now, &id, attempt, &format!("node {name} is dead: {words}"));
        }
        if is_down {
            self.take_back(now, name);
        }
        if !over.is_empty() {
            self.tell_of(&id);
        }
    }

    /// An operator says that a node does nothing any more.
    pub(super) fn dead(&mut self, now: Time, name: &Name) {
        self.confirmed(now, name, now, OPERATOR, "it does nothing any more", true);
    }

    /// Without fencing, the drive's word that somebody was cut off has to do; but
    /// only once the cluster runs the application elsewhere.
    fn followed(&mut self, now: Time, name: &Name) {
        let attempts = self.state.under_way(name);
        let followed = attempts.filter_map(|id| {
            let run = self.state.runs.get(&id.run)?;
            let Place::Application(application) = &run.job.place else {
                return None;
            };
            let node = self.runs_on(application)?;
            let why =
                format!("node {name} is not there, and the cluster runs {application} on {node}");
            (node != *name).then(|| (id.clone(), why))
        });
        let followed: Vec<(AttemptId, String)> = followed.collect();
        let open = self.open_failover(name).filter(|_| !followed.is_empty());
        let Some((id, _)) = open else {
            return;
        };
        for (attempt, why) in &followed {
            self.hit(now, &id, attempt, why);
        }
        self.tell_of(&id);
    }

    /// Ends an attempt of a node that has failed, and writes down what becomes of
    /// its run.
    fn hit(&mut self, now: Time, id: &FailoverId, attempt_id: &AttemptId, why: &str) {
        let Some(attempt) = self.state.attempts.get(attempt_id).cloned() else {
            return;
        };
        let outcome = Outcome::without_set(ExitStatus::Unfinished, why, now);
        // It counts as a failure, for it may have been the attempt that has killed
        // the node; but it is not waited for.
        self.finish_and_wait(now, attempt_id, outcome, 0);
        let run = self.state.runs.get(&attempt_id.run);
        let decision = match run.map(|run| &run.state) {
            Some(RunState::Waiting) => self.goes_on(&attempt_id.run, why),
            Some(RunState::Failed(why)) => format!("it is not tried again: {why}"),
            Some(RunState::Held(why)) => format!("it waits for an operator: {why}"),
            _ => "there is nothing to do".into(),
        };
        let names = attempt.volumes.iter();
        let names = names.filter_map(|uuid| Some(self.state.volumes.get(uuid)?.name.clone()));
        let hit = Hit {
            attempt: attempt_id.clone(),
            drive: attempt.drive,
            volumes: names.collect(),
            point: attempt.point,
            decided: now,
            decision: words(&decision),
            next: None,
        };
        self.amend(id, |row| row.hit.push(hit));
    }

    fn goes_on(&self, run: &RunId, why: &str) -> String {
        let afresh = self.state.runs.get(run).map(|run| run.job.restart) == Some(Restart::Fresh);
        let point = self
            .state
            .resumable(run)
            .and_then(|(_, of)| of.point.as_ref());
        match point {
            _ if afresh => format!("it begins afresh, as its job says; {why}"),
            Some(point) => format!(
                "it goes on from its checkpoint behind {} members, at block {}; {why}",
                point.members, point.block
            ),
            None => format!("it begins anew, for no checkpoint of it is known; {why}"),
        }
    }

    fn amend(&mut self, id: &FailoverId, amend: impl FnOnce(&mut Failover)) {
        if let Some(mut row) = self.state.failovers.get(id).cloned() {
            let before = row.clone();
            amend(&mut row);
            if row != before {
                self.change(Change::Failover(id.clone(), Box::new(row)));
            }
        }
    }

    fn tell_of(&mut self, id: &FailoverId) {
        let Some(row) = self.state.failovers.get(id) else {
            return;
        };
        let runs = row.hit.iter();
        let runs: Vec<String> = runs
            .map(|hit| format!("{}: {}", hit.attempt, hit.decision))
            .collect();
        let notice = Notice::Failover(id.clone(), runs.join("; "));
        self.outputs.push(Output::Notify(notice));
    }

    /// An attempt follows one that a failure has ended, or one that followed it and
    /// wrote nothing.
    pub(super) fn note_next(&mut self, id: &AttemptId, attempt: &Attempt) {
        let next = Next {
            attempt: id.clone(),
            node: attempt.node.clone(),
            drive: attempt.drive.clone(),
            ordered: attempt.ordered,
            wrote: None,
        };
        let wrote = |next: &Next| next.wrote.is_some();
        let is_meant =
            |hit: &Hit| hit.attempt.run == id.run && !hit.next.as_ref().is_some_and(wrote);
        self.note_in_vain(attempt.ordered, is_meant);
        self.amend_hits(is_meant, |hit| hit.next = Some(next.clone()));
    }

    /// Writes down what has followed these in vain, before another does.
    fn note_in_vain(&mut self, now: Time, is_meant: impl Fn(&Hit) -> bool) {
        let failovers = self.state.failovers.iter();
        let in_vain = failovers.flat_map(|(of, row)| {
            let hits = row.hit.iter().filter(|hit| is_meant(hit));
            hits.filter_map(|hit| Some((of.clone(), hit.next.as_ref()?.attempt.clone())))
        });
        let in_vain: Vec<(FailoverId, AttemptId)> = in_vain.collect();
        for (of, attempt) in in_vain {
            let end = self.state.attempts.get(&attempt);
            let end = end.and_then(|attempt| attempt.ended.as_ref());
            let why = end.and_then(|end| end.error.as_deref());
            let why = why.unwrap_or("nobody knows why");
            let said = words(&format!("{attempt} has written nothing: {why}"));
            self.amend(&of, |row| {
                let own = row.said.iter().filter(|said| said.by == COORDINATOR);
                if own.count() < IN_VAIN_MAX {
                    row.say(now, COORDINATOR, said);
                }
            });
        }
    }

    /// And has written something.
    pub(super) fn note_wrote(&mut self, now: Time, id: &AttemptId) {
        let is_of_it = |next: &Next| next.attempt == *id && next.wrote.is_none();
        self.amend_hits(
            |hit| hit.next.as_ref().is_some_and(is_of_it),
            |hit| hit.next.iter_mut().for_each(|next| next.wrote = Some(now)),
        );
    }

    fn amend_hits(&mut self, is_meant: impl Fn(&Hit) -> bool, amend: impl Fn(&mut Hit)) {
        let failovers = self.state.failovers.iter();
        let meant = failovers.filter(|(_, row)| row.hit.iter().any(&is_meant));
        let meant: Vec<FailoverId> = meant.map(|(id, _)| id.clone()).collect();
        for id in meant {
            self.amend(&id, |row| {
                row.hit
                    .iter_mut()
                    .filter(|hit| is_meant(hit))
                    .for_each(&amend);
            });
        }
    }

    /// What the cluster service of a node has told, which its backup service passes
    /// on.
    pub(super) fn happened(&mut self, now: Time, by: &Name, event: &Event) {
        // This node's own is to be asked, whatever it is.
        self.outputs.push(Output::LookAtCluster);
        let Ok(node) = event.node.parse::<Name>() else {
            return;
        };
        let said = match &event.what {
            What::Node {
                state: Membership::Lost,
            } => "it is lost".to_owned(),
            What::Fencing { code: 0, words, .. } => format!("it was fenced: {words}"),
            What::Fencing { words, .. } => format!("it could not be fenced: {words}"),
            _ => return,
        };
        if !self.state.nodes.contains_key(&node) {
            return;
        }
        let (by, said) = (cluster_service(by), words(&said));
        if let Some((id, _)) = self.open_failover(&node) {
            self.amend(&id, |row| row.say(now, &by, said));
            return;
        }
        let mut over = self.state.failovers.iter();
        if over.any(|(id, row)| id.node == node && row.back >= Some(event.at)) {
            // It is said again, of a failure that is over.
            return;
        }
        let is_known =
            |heard: &Heard| (&heard.node, &heard.by, &heard.words) == (&node, &by, &said);
        self.heard.retain(|heard| !is_known(heard));
        if self.heard.len() >= HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard {
            at: now,
            node,
            by,
            words: said,
        });
    }
}

/// Who says something of a node.
fn cluster_service(of: &Name) -> String {
    format!("the cluster service of {of}")
}
