//! What is known of a cluster whose service may not answer for a while.

use std::time::{Duration, Instant};

use longhaul_words::chain;

use crate::{ClusterError, Snapshot};

/// How often a cluster service is asked, beside when something is heard to have
/// happened.
pub const EVERY: Duration = Duration::from_secs(5);
/// What it has said last holds for so long while it does not answer.
pub const HOLDS: Duration = Duration::from_secs(60);

/// Whether anything is known, and since when it is not.
#[derive(Debug)]
pub struct Known {
    answered: Instant,
    /// Why there is no answer, as the log has it.
    wrong: Option<String>,
}

impl Known {
    /// At first nothing is known, and that holds like an answer.
    pub fn since(now: Instant) -> Known {
        Known {
            answered: now,
            wrong: None,
        }
    }

    /// What is known after an answer: how things stand, or `Some(None)`: nobody
    /// knows. None: what was known before holds. That there is no answer is logged
    /// once, however long it lasts.
    pub fn after(
        &mut self,
        now: Instant,
        said: Result<Snapshot, ClusterError>,
    ) -> Option<Option<Snapshot>> {
        match said {
            Ok(snapshot) => {
                self.answered = now;
                if self.wrong.take().is_some() {
                    log::info!("the cluster service says how things stand again");
                }
                Some(Some(snapshot))
            }
            Err(error) => {
                let wrong = Some(chain(&error));
                if let Some(words) = wrong.as_ref().filter(|_| self.wrong != wrong) {
                    log::warn!("the cluster service does not say how things stand: {words}");
                }
                self.wrong = wrong;
                (now.duration_since(self.answered) >= HOLDS).then_some(None)
            }
        }
    }
}
