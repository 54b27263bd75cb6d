//! What is due while no coordinator is there.

use longhaul_protocol::order::{Occurrence, Start};
use longhaul_protocol::{AttemptId, Time};

use super::Service;

/// So long after it was due it is waited for a coordinator, in milliseconds: it
/// may be moving.
const GRACE_MS: u64 = 30_000;

impl Service {
    /// Begins what is due and what nobody has ordered: there is no connection, and
    /// has been none for a while.
    pub(super) fn begin_due(&mut self, now: Time) {
        if self.alive_ms.is_some() {
            return;
        }
        let due = |of: &&Occurrence| {
            let is_time = now.since(of.run.due) >= GRACE_MS && now <= of.valid_until;
            let opens = of.window.is_none_or(|window| window.contains(now));
            is_time && opens && self.may_begin(now, of)
        };
        let Some(occurrence) = self.seen.occurrences.iter().find(due).cloned() else {
            return;
        };
        let attempt = AttemptId {
            run: occurrence.run,
            number: 0,
        };
        log::warn!("attempt {attempt} begins without an order: no coordinator is there");
        let start = Start {
            attempt,
            token: occurrence.token,
            work: occurrence.work,
            drive: occurrence.drive,
            library: occurrence.library,
            preempts: occurrence.preempts,
            elsewhere: Vec::new(),
            volumes: occurrence.volumes,
            resume: None,
        };
        self.begin(now, start);
    }

    /// Whether nothing speaks against it on this node: there is quorum, its
    /// application is here and is not about to leave, it was not begun, and nothing is
    /// under way on the drive or for the job.
    fn may_begin(&self, now: Time, of: &Occurrence) -> bool {
        let is_here = self.standing.may_run(of.application.as_ref())
            && self.leaving(now, &of.work, None).is_none();
        let newest = self.seen.tokens.get(&of.drive);
        let is_newest = newest.is_none_or(|newest| of.token > *newest);
        let is_free = self.attempts.iter().all(|(id, attempt)| {
            let is_other = attempt.start.drive != of.drive && id.run.job != of.run.job;
            id.run != of.run && (attempt.has_ended() || is_other)
        });
        is_here && is_newest && is_free
    }
}
