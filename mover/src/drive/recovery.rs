//! From verdict to action, and the rule for unknown outcomes.
//!
//! Which outcome means what is the table in [`longhaul_scsi::verdict()`]. What
//! this session does about it is [`Drive::step`]:
//!
//! | the outcome | the step | a write | anything else |
//! | --- | --- | --- | --- |
//! | done; a condition | `Done` | counts it | a value |
//! | busy, nothing sent | `NotSent` | again, up to a minute | the same |
//! | becoming ready | `Wait` | settled, then once more | again, up to some minutes |
//! | an attention without consequences | `Attention` | settled, then once more | twice more |
//! | timeout, broken path, abort | `Unknown` | settled, then once more | twice more |
//! | reset, other cartridge, deferred error | – | the session is lost | the same |
//! | our reservation is gone | – | the session is fenced | the same |
//! | refused, broken, worn, full | `Fail` | an error | an error; a read tries thrice |
//!
//! *Settled* is [`Drive::settle`]: calm the path, prove the reservation, restore
//! the modes, and let READ POSITION say how much was done. Every repetition is
//! bounded by [`Patience`](super::command::Patience). Outside of a session
//! (nothing reserved, nothing prepared) resets and new cartridges are only
//! noted: they were before us.

use longhaul_scsi::sense::SenseKey;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::Outcome;
use longhaul_scsi::verdict::{Doing, Executed, Verdict, executed, verdict};

use super::command::Tries;
use super::error::{DriveError, Loss, Problem};
use super::position::{Position, Track};
use super::session::Drive;
use super::write::Objects;

/// TEST UNIT READY answers GOOD once by mistake on some drives that come back
/// from a path event: so many in a row are believed.
const CALM: u32 = 3;

/// Unit attentions that are collected in a row before the drive counts as
/// broken. There are no more kinds than this that a tape drive can have queued.
pub(super) const ATTENTIONS_MAX: u32 = 32;

/// What to do about an outcome.
#[derive(Debug)]
pub(super) enum Step {
    /// Executed, or as far as a condition allowed that the caller can use.
    Done(Verdict),
    /// Certainly not executed, and nothing has happened: it is sent again.
    /// (The pauses are [`Patience`](super::command::Patience)'s, which grow.)
    NotSent,
    /// Not executed; becoming ready.
    Wait(Problem),
    /// Not executed; a unit attention without consequences, or a deferred note
    /// that an earlier error was recovered.
    Attention(Problem),
    /// Nobody knows whether it was executed.
    Unknown(Problem),
    /// Not executed, and sending it again would not help.
    Fail(Problem),
}

impl Drive {
    /// An error about this drive.
    pub(super) fn fail(&self, during: &'static str, problem: Problem) -> DriveError {
        DriveError::new(&self.label, during, problem)
    }

    /// Ends the session for writes: accepted blocks may be lost.
    pub(super) fn lose(&mut self, during: &'static str, cause: Loss) -> DriveError {
        let unsynchronised = self.unsynchronised;
        self.stop(
            during,
            Problem::Lost {
                cause,
                unsynchronised,
            },
        )
    }

    /// Ends the session for writes. The first reason stays.
    pub(super) fn stop(&mut self, during: &'static str, problem: Problem) -> DriveError {
        self.track = Track::Unknown;
        let problem = self.stopped.get_or_insert(problem).clone();
        self.fail(during, problem)
    }

    /// Whether the session was ended for writes.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Finds out what became of a command that makes objects and whose outcome
    /// is unknown: how many of them were made, and where the tape stands now.
    /// Without objects it only proves that nothing has moved.
    ///
    /// # Errors
    /// [`Problem::Lost`] if the position is none that the command can have led
    /// to, or cannot be found out; [`Problem::Fenced`] if the reservation is
    /// gone. The session has then ended.
    pub(super) fn settle(
        &mut self,
        name: &'static str,
        objects: Objects,
    ) -> Result<(u64, Position), DriveError> {
        let Track::Known {
            partition,
            block,
            file,
        } = self.track
        else {
            return Err(self.fail(name, Problem::PositionUnknown));
        };
        let position = self
            .look_again(name)
            .map_err(|error| match error.problem() {
                // No path, no answer: then the write may or may not be there.
                Problem::Path(_) | Problem::NotReady { .. } => self.lose(name, Loss::PathLost),
                other => self.stop(name, other.clone()),
            })?;
        let found = position.block;
        let done = found
            .checked_sub(block)
            .filter(|&done| done <= objects.total());
        // All objects of one command are of one kind, so as many filemarks
        // were made as objects, or none.
        let filemarks = if objects.filemarks > 0 {
            done.unwrap_or(0)
        } else {
            0
        };
        let same_file = match (file, position.file) {
            (Some(before), Some(now)) => now == before.saturating_add(filemarks),
            _ => true,
        };
        match done {
            Some(done) if same_file && position.partition == partition => {
                let made = done - filemarks;
                self.track.advance(made, filemarks);
                self.unsynchronised = self.unsynchronised.saturating_add(done);
                self.doubt = false;
                log::warn!(
                    "{}: {name}: after all {done} of {} done",
                    self.label,
                    objects.total()
                );
                Ok((done, position))
            }
            _ => Err(self.lose(
                name,
                Loss::PositionMoved {
                    expected: block,
                    found,
                },
            )),
        }
    }

    /// Collects what happened, proves that the drive is still ours, restores
    /// its modes, and asks where the tape stands.
    fn look_again(&mut self, name: &'static str) -> Result<Position, DriveError> {
        self.calm(name)?;
        self.verify_reservation()?;
        if self.prepared {
            self.restore_modes()?;
        }
        self.ask_position()
    }

    /// TEST UNIT READY until it was GOOD some times in a row; on another path,
    /// if there is one and this one is dead.
    pub(super) fn calm(&mut self, name: &'static str) -> Result<(), DriveError> {
        let mut tries = Tries::new(self.patience);
        loop {
            self.answers(name, &mut tries)?;
            if !self.on_new_path {
                return Ok(());
            }
            match self.take_from_oneself() {
                // That path broke too: from the beginning.
                Err(error) if matches!(error.problem(), Problem::Path(_)) => tries
                    .pause_patiently(Step::Unknown(error.problem().clone()))
                    .map_err(|problem| self.fail(name, problem))?,
                result => return result,
            }
        }
    }

    fn answers(&mut self, name: &'static str, tries: &mut Tries) -> Result<(), DriveError> {
        let mut good = 0;
        while good < CALM {
            match self.test_unit_ready()? {
                Step::Done(_) => good += 1,
                // Reserved for us on the path that is dead: it answers.
                Step::Fail(Problem::Held { .. }) if self.on_new_path => good += 1,
                step => {
                    good = 0;
                    self.leave_dead_path(&step);
                    if let Step::Unknown(problem) = &step
                        && tries.are_first()
                    {
                        let path = self.patience.path.as_secs();
                        log::warn!("{}: {name}: {problem}; waiting up to {path} s", self.label);
                    }
                    tries
                        .pause_patiently(step)
                        .map_err(|problem| self.fail(name, problem))?;
                }
            }
        }
        Ok(())
    }
}

/// What a verdict comes to in this session.
impl Drive {
    /// What to do about an outcome. Notes what has to be remembered.
    ///
    /// # Errors
    /// [`Problem::Lost`] or [`Problem::Fenced`] if the session has ended with
    /// it.
    pub(super) fn step(
        &mut self,
        name: &'static str,
        doing: Doing,
        outcome: &Outcome,
    ) -> Result<Step, DriveError> {
        let verdict = verdict(outcome, doing);
        if executed(outcome) == Executed::Yes {
            self.note(verdict, outcome);
            return Ok(match verdict {
                Verdict::Wait => Step::Wait(not_ready(outcome)),
                verdict => Step::Done(verdict),
            });
        }
        match verdict {
            // Conditions that a sense key of its own tells, and a load that
            // was refused: nothing for anybody to worry about.
            Verdict::EndOfData | Verdict::EndOfPartition => Ok(Step::Done(verdict)),
            Verdict::Retry { .. } if outcome.sense.is_none() => Ok(Step::NotSent),
            Verdict::TooLarge => Ok(Step::Fail(Problem::TooLarge {
                // Nothing moved, so all of it is residual.
                bytes: outcome.residual,
            })),
            verdict => {
                self.doubt = true;
                self.modes_doubt = true;
                // What comes of it is told by whoever gives up; the unit
                // attention of a drive that was just switched on is no news.
                log::info!("{}: {name}: {}", self.label, outcome);
                self.worse(name, verdict, outcome)
            }
        }
    }

    fn worse(
        &mut self,
        name: &'static str,
        verdict: Verdict,
        outcome: &Outcome,
    ) -> Result<Step, DriveError> {
        match verdict {
            Verdict::Fenced => self.fenced(name, outcome),
            Verdict::Deferred if self.in_session() && is_error(outcome) => {
                Err(self.lose(name, Loss::DeferredError))
            }
            // A nexus that was not used yet has unit attentions that are old
            // news; the reservation and the position tell whether they are.
            Verdict::PositionUnknown if self.in_session() && !self.on_new_path => {
                Err(self.lose(name, Loss::Reset))
            }
            Verdict::IdentityUnknown
                if self.in_session() && !self.on_new_path && !self.medium_expected =>
            {
                Err(self.lose(name, Loss::MediumChanged))
            }
            Verdict::PositionUnknown
            | Verdict::IdentityUnknown
            | Verdict::Deferred
            | Verdict::ModesChanged
            | Verdict::EncryptionChanged
            | Verdict::TargetChanged
            | Verdict::CommandsCleared
            | Verdict::InventoryChanged
            | Verdict::RemovalRequested
            | Verdict::FailurePredicted
            | Verdict::Retry { .. } => {
                self.note(verdict, outcome);
                Ok(self.attention(outcome))
            }
            Verdict::Wait => Ok(Step::Wait(not_ready(outcome))),
            Verdict::PathLost | Verdict::UnknownOutcome => Ok(Step::Unknown(broken(outcome))),
            verdict => Ok(Step::Fail(refusal(verdict, outcome))),
        }
    }

    /// The drive is another's, or no longer ours.
    fn fenced(&mut self, name: &'static str, outcome: &Outcome) -> Result<Step, DriveError> {
        if self.key.is_some() && !self.on_new_path {
            let why = outcome.to_string();
            return Err(self.stop(name, Problem::Fenced { why }));
        }
        if outcome.status == Ok(Status::ReservationConflict) {
            return Ok(Step::Fail(self.held_problem()));
        }
        // Reservations that were not ours were taken or given up.
        Ok(self.attention(outcome))
    }

    fn attention(&mut self, outcome: &Outcome) -> Step {
        if let Some(sense) = &outcome.sense
            && self.attentions.len() < ATTENTIONS_MAX as usize
        {
            self.attentions.push(sense.clone());
        }
        Step::Attention(Problem::Unexpected(outcome.to_string()))
    }

    /// What the drive wishes from a person, in due time.
    fn note(&mut self, verdict: Verdict, outcome: &Outcome) {
        let wish = match verdict {
            Verdict::NeedsCleaning => &mut self.wishes.cleaning,
            Verdict::FailurePredicted => &mut self.wishes.replacement,
            Verdict::RemovalRequested => &mut self.wishes.removal,
            Verdict::Recovered => return self.wishes.recovered += 1,
            _ => return,
        };
        if !std::mem::replace(wish, true) {
            log::warn!("{}: {}", self.label, outcome);
        }
    }
}

/// A problem that sending the command again would not change.
fn refusal(verdict: Verdict, outcome: &Outcome) -> Problem {
    let sense = || outcome.sense.clone().map(Box::new).unwrap_or_default();
    match verdict {
        Verdict::NeedsLoad => Problem::NotLoaded(sense()),
        Verdict::TooHot => Problem::TooHot(sense()),
        Verdict::RemovalPrevented => Problem::RemovalPrevented,
        Verdict::OperatorNeeded => Problem::NeedsOperator(sense()),
        Verdict::MediumError | Verdict::MediumUnusable => Problem::Medium(sense()),
        Verdict::IncompatibleMedium => Problem::WrongMedium(sense()),
        Verdict::NotFound => Problem::NotFound(sense()),
        Verdict::EndOfDataMissing => Problem::EndOfDataMissing,
        Verdict::WriteProtected => Problem::WriteProtected,
        Verdict::AppendRefused => Problem::AppendRefused(sense()),
        // Until READ POSITION has told otherwise.
        Verdict::VolumeFull => Problem::VolumeFull { written: false },
        Verdict::NoMedium => Problem::NoMedium,
        Verdict::LoadFailed => Problem::LoadFailed(sense()),
        Verdict::ProtectionFailed => Problem::Protection(sense()),
        Verdict::KeyRefused => Problem::KeyRefused(sense()),
        Verdict::DriveDown if sense().key == SenseKey::NotReady => Problem::NeedsOperator(sense()),
        Verdict::DriveDown => Problem::Hardware(sense()),
        Verdict::NotAppendOnly | Verdict::Refused => Problem::Unsupported(sense()),
        _ => Problem::Unexpected(outcome.to_string()),
    }
}

fn broken(outcome: &Outcome) -> Problem {
    match (outcome.status, &outcome.sense) {
        (Err(error), _) => Problem::Path(error),
        (_, Some(sense)) => Problem::Aborted(Box::new(sense.clone())),
        _ => Problem::Unexpected(outcome.to_string()),
    }
}

fn not_ready(outcome: &Outcome) -> Problem {
    Problem::NotReady {
        waited_s: 0,
        last: outcome.to_string(),
    }
}

/// Deferred sense data can also tell of an error that was recovered.
fn is_error(outcome: &Outcome) -> bool {
    let key = outcome.sense.as_ref().map(|sense| sense.key);
    !matches!(key, Some(SenseKey::NoSense | SenseKey::RecoveredError))
}
