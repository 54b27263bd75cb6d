//! One attempt: its order, its process, its journal.

use std::path::PathBuf;

use longhaul_protocol::order::{Start, Stop};
use longhaul_protocol::report::{AttemptSeen, Outcome, PART_BYTES_MAX, Part, Point};
use longhaul_protocol::{AttemptId, ExitStatus, Report, Time};
use serde::{Deserialize, Serialize};

use super::standing::NO_QUORUM;
use super::{ATTEMPTS_MAX, File, Output, Service, release};

/// An attempt that was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The order.
    pub start: Start,
    /// How far it is.
    pub stage: Stage,
    /// What its process has reached.
    #[serde(default)]
    pub point: Option<Point>,
    /// What the coordinator has made durable.
    #[serde(skip)]
    kept: Option<Kept>,
    /// What was said on this connection.
    #[serde(skip)]
    said: Said,
    /// The coordinator has given it up: it wants to hear nothing of it but its
    /// end.
    #[serde(skip)]
    is_given_up: bool,
    /// Where its places lead, once that was found out.
    #[serde(skip)]
    pub(super) leads: Option<Vec<PathBuf>>,
    /// Why this service has told its process to end.
    #[serde(skip)]
    because: Option<String>,
}

/// Bytes of an attempt's files that the coordinator has made durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kept {
    journal: u64,
    set: u64,
}

/// What was said on a connection, and needs not be said there again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    /// A piece of a file is on its way.
    piece: bool,
    /// The point, up to so many bytes of the archive.
    point: Option<u64>,
    /// The end.
    end: bool,
}

/// How far an attempt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// So many bytes of the journal that it goes on with are here.
    Waiting(u64),
    /// Its process was started.
    Running,
    /// It has ended, and the coordinator has not said that it heard it.
    Ended(Box<Outcome>),
}

impl Attempt {
    /// Whether nothing of it is under way.
    pub fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    /// A new connection, or a new service: what the coordinator has is unknown.
    pub(super) fn forget_said(&mut self) {
        self.kept = None;
        self.said = Said::default();
    }

    fn seen(&self, id: &AttemptId) -> AttemptSeen {
        let outcome = match &self.stage {
            Stage::Ended(outcome) if self.next_piece().is_none() => Some((**outcome).clone()),
            _ => None,
        };
        AttemptSeen {
            attempt: id.clone(),
            token: self.start.token,
            drive: self.start.drive.clone(),
            volumes: self
                .start
                .volumes
                .iter()
                .map(|volume| volume.uuid)
                .collect(),
            journal_bytes: self.journal_bytes(),
            point: self.point.clone(),
            outcome,
        }
    }

    fn journal_bytes(&self) -> u64 {
        self.point.as_ref().map_or(0, |point| point.journal_bytes)
    }

    /// Which file the coordinator has not got all of, and from where on: the file
    /// of a set that is done, and else the journal, with which it may go on
    /// elsewhere. Only behind that is it told how the attempt ended.
    fn next_piece(&self) -> Option<(File, u64)> {
        if self.is_given_up {
            return None;
        }
        let kept = self.kept.unwrap_or_default();
        let set = match &self.stage {
            Stage::Ended(outcome) => outcome.set.as_ref(),
            _ => None,
        };
        let (file, kept, whole) = match set {
            Some(set) if set.file_bytes > 0 => (File::Set(set.uuid), kept.set, set.file_bytes),
            _ => (File::Journal, kept.journal, self.journal_bytes()),
        };
        (kept < whole).then_some((file, kept))
    }
}

fn broken_off(now: Time, why: &str) -> Outcome {
    Outcome::without_set(ExitStatus::Unfinished, why, now)
}

/// The end of an attempt that has never had a process.
fn not_begun(now: Time, why: &str) -> Outcome {
    Outcome {
        wrote_nothing: true,
        not_begun: true,
        ..broken_off(now, why)
    }
}

/// The same of one that must not begin on this node now.
fn left_off(now: Time, why: &str) -> Outcome {
    Outcome {
        left_off: true,
        ..not_begun(now, why)
    }
}

impl Service {
    /// After a start: what was under way has died with the service before.
    pub(super) fn wake(&mut self, now: Time) {
        for (id, attempt) in &mut self.attempts {
            attempt.forget_said();
            if !attempt.has_ended() {
                let outcome = broken_off(now, "the backup service was started again");
                attempt.stage = Stage::Ended(Box::new(outcome));
                let row = Some(Box::new(attempt.clone()));
                self.outputs.push(Output::Save(id.clone(), row));
            }
        }
    }

    fn save(&mut self, id: &AttemptId) {
        let attempt = self.attempts.get(id).cloned().map(Box::new);
        self.outputs.push(Output::Save(id.clone(), attempt));
    }

    pub(super) fn say_attempts(&mut self) {
        for attempt in self.attempts.values_mut() {
            // The answers tell what the coordinator has by now.
            attempt.forget_said();
        }
        let attempts = self.attempts.iter().map(|(id, attempt)| attempt.seen(id));
        let attempts = attempts.collect();
        self.say(Report::Attempts { attempts });
    }

    pub(super) fn begin(&mut self, now: Time, start: Start) {
        let id = start.attempt.clone();
        // What is not begun is ordered again.
        if self.ends || self.attempts.contains_key(&id) {
            return;
        }
        // Assignments of a drive are counted: this one is over.
        let newest = self.seen.tokens.get(&start.drive);
        if newest.is_some_and(|newest| start.token <= *newest) {
            log::warn!("attempt {id} is not begun: it was here before");
            return;
        }
        if self.attempts.len() >= ATTEMPTS_MAX {
            log::warn!("attempt {id} is not begun: {ATTEMPTS_MAX} are here already");
            return;
        }
        let attempt = Attempt {
            start: start.clone(),
            stage: Stage::Waiting(0),
            point: None,
            kept: Some(Kept::default()),
            said: Said::default(),
            is_given_up: false,
            leads: None,
            because: None,
        };
        self.attempts.insert(id.clone(), attempt);
        self.save(&id);
        // Behind the attempt: one that was seen and not kept would never begin.
        self.seen.tokens.insert(start.drive.clone(), start.token);
        self.outputs.push(Output::SaveSeen(self.seen.clone()));
        let older = self.running(&id).collect::<Vec<_>>();
        let stops = older.into_iter().map(|id| Output::Signal(id, Stop::Now));
        self.outputs.extend(stops);
        self.spawn_if_ready(now, &id);
    }

    /// Attempts that have not ended.
    pub(super) fn under_way(&self) -> Vec<AttemptId> {
        let under_way = self.attempts.iter().filter(|(_, it)| !it.has_ended());
        under_way.map(|(id, _)| id.clone()).collect()
    }

    /// Other attempts of the same run that have processes.
    fn running(&self, id: &AttemptId) -> impl Iterator<Item = AttemptId> {
        let others = self.attempts.iter().filter(move |(other, attempt)| {
            other.run == id.run && *other != id && attempt.stage == Stage::Running
        });
        others.map(|(other, _)| other.clone())
    }

    /// Starts the process of an attempt, if all of the journal is there that it
    /// goes on with, and no process of an older attempt of its run. What must not be
    /// begun here now has ended.
    pub(super) fn spawn_if_ready(&mut self, now: Time, id: &AttemptId) {
        let Some(attempt) = self.attempts.get(id) else {
            return;
        };
        let Stage::Waiting(here) = attempt.stage else {
            return;
        };
        if let Some(why) = self.refusal(now, attempt) {
            log::warn!("attempt {id} is not begun: {why}");
            return self.ended(now, id.clone(), left_off(now, &why));
        }
        let resume = attempt.start.resume;
        let is_whole = here >= resume.map_or(0, |resume| resume.journal_bytes);
        if !is_whole || self.running(id).next().is_some() {
            return;
        }
        if self.is_in_the_dark(attempt) {
            return self.ask_where_it_leads(id);
        }
        if let Some(attempt) = self.attempts.get_mut(id) {
            attempt.stage = Stage::Running;
            let start = Box::new(attempt.start.clone());
            self.save(id);
            self.outputs.push(Output::Spawn(start));
        }
    }

    /// Why an attempt must not begin here now.
    fn refusal(&self, now: Time, attempt: &Attempt) -> Option<String> {
        if self.standing.is_cut_off(now) {
            return Some(NO_QUORUM.into());
        }
        let leads = attempt.leads.as_deref();
        let mount = self.leaving(now, &attempt.start.work, leads)?;
        Some(release::why(mount))
    }

    /// Has an attempt end that must not go on here, and says why. It is told to
    /// reach a checkpoint once.
    pub(super) fn leave_off(&mut self, now: Time, id: &AttemptId, how: Stop, why: &str) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let is_new = attempt.because.is_none();
        match attempt.stage {
            Stage::Waiting(_) => self.ended(now, id.clone(), left_off(now, why)),
            Stage::Running if is_new || how == Stop::Now => {
                log::warn!("attempt {id} is told to end: {why}");
                attempt.because.get_or_insert_with(|| why.to_owned());
                self.outputs.push(Output::Signal(id.clone(), how));
            }
            Stage::Running | Stage::Ended(_) => {}
        }
    }

    /// A piece of the journal that an attempt goes on with.
    pub(super) fn journal(&mut self, now: Time, id: &AttemptId, part: Part) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        let Stage::Waiting(here) = attempt.stage else {
            return;
        };
        let end = part.offset.saturating_add(part.bytes.len() as u64);
        if part.offset > here || end <= here {
            return;
        }
        attempt.stage = Stage::Waiting(end);
        self.outputs.push(Output::Keep(id.clone(), part));
        self.spawn_if_ready(now, id);
    }

    pub(super) fn stop(&mut self, now: Time, id: AttemptId, how: Stop) {
        if how == Stop::Now
            && let Some(attempt) = self.attempts.get_mut(&id)
        {
            // It does not say what it has kept of one that it has given up.
            attempt.is_given_up = true;
            attempt.kept.get_or_insert_default();
            attempt.said.piece = false;
        }
        match self.attempts.get(&id).map(|attempt| &attempt.stage) {
            Some(Stage::Running) => self.outputs.push(Output::Signal(id, how)),
            Some(Stage::Waiting(_)) => {
                self.ended(now, id, not_begun(now, "stopped before it began"));
            }
            Some(Stage::Ended(_)) => self.say_more(&id),
            None => {}
        }
    }

    pub(super) fn reached(&mut self, id: &AttemptId, point: Point) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        attempt.point = Some(point);
        self.save(id);
        self.say_more(id);
    }

    pub(super) fn ended(&mut self, now: Time, id: AttemptId, mut outcome: Outcome) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        if attempt.has_ended() {
            return;
        }
        if let Some(why) = attempt.because.take()
            && outcome.exit == ExitStatus::Unfinished
        {
            outcome.left_off = true;
            outcome.error = Some(match outcome.error {
                Some(error) => format!("{why}: {error}"),
                None => why,
            });
        }
        attempt.stage = Stage::Ended(Box::new(outcome));
        self.save(&id);
        self.say_more(&id);
        let of_run = self.attempts.keys().filter(|other| other.run == id.run);
        for other in of_run.cloned().collect::<Vec<_>>() {
            self.spawn_if_ready(now, &other);
        }
    }

    /// The coordinator has so much of the files.
    pub(super) fn kept(&mut self, id: &AttemptId, journal: u64, set: u64) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        attempt.kept = Some(Kept { journal, set });
        attempt.said.piece = false;
        if journal < attempt.journal_bytes() {
            // What was said of it behind a piece that is missing was not heard.
            attempt.said.point = None;
        }
        self.say_more(id);
    }

    /// What the coordinator has not got of a file it will not get. A set is on the
    /// tape all the same, and of the journal what it has is good.
    pub(super) fn lost(&mut self, id: &AttemptId, file: File) {
        let Some(attempt) = self.attempts.get_mut(id) else {
            return;
        };
        match (file, &mut attempt.stage) {
            (File::Set(_), Stage::Ended(outcome)) => {
                outcome.set.iter_mut().for_each(|set| set.file_bytes = 0);
            }
            _ => attempt.point = None,
        }
        attempt.said.piece = false;
        self.save(id);
        self.say_more(id);
    }

    pub(super) fn heard(&mut self, id: &AttemptId) {
        if self.attempts.get(id).is_some_and(Attempt::has_ended) {
            self.attempts.remove(id);
            self.save(id);
        }
    }

    /// Says the next thing of an attempt that the coordinator does not have:
    /// journal, point, file of the set, end. One piece of a file is on its way at
    /// a time.
    fn say_more(&mut self, id: &AttemptId) {
        let is_connected = self.alive_ms.is_some();
        let Some(attempt) = self.attempts.get_mut(id).filter(|_| is_connected) else {
            return;
        };
        if attempt.kept.is_none() || attempt.said.piece {
            return;
        }
        let token = attempt.start.token;
        let piece = attempt.next_piece();
        if let Some((file, from)) = piece {
            attempt.said.piece = true;
            let piece = Output::SayPiece(id.clone(), token, file, from);
            self.outputs.push(piece);
            let rest = attempt.journal_bytes().saturating_sub(from);
            if file != File::Journal || rest > PART_BYTES_MAX as u64 {
                return;
            }
            // The point comes right behind the last piece of the journal that says
            // so, and the coordinator makes both durable at once.
        }
        let bytes = attempt.point.as_ref().map(|point| point.bytes);
        let is_new = bytes > attempt.said.point;
        attempt.said.point = bytes;
        let is_wanted = is_new && !attempt.is_given_up;
        let point = attempt.point.clone().filter(|_| is_wanted);
        let outcome = match &attempt.stage {
            Stage::Ended(outcome) if !attempt.said.end && piece.is_none() => {
                Some((**outcome).clone())
            }
            _ => None,
        };
        attempt.said.end |= outcome.is_some();
        let attempt = id.clone();
        self.outputs.extend(point.map(|point| {
            let attempt = attempt.clone();
            Output::Say(Report::Checkpoint {
                attempt,
                token,
                point,
            })
        }));
        self.outputs.extend(outcome.map(|outcome| {
            let attempt = attempt.clone();
            Output::Say(Report::Ended {
                attempt,
                token,
                outcome,
            })
        }));
    }
}
