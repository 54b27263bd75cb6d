//! One command, and when it may be repeated.
//!
//! Everything but moving data and the tape forward may be sent again freely:
//! asking twice changes nothing. How often and how long is bounded here by
//! [`Patience`]; what an outcome means comes from `recovery.rs`.

use std::thread;
use std::time::{Duration, Instant};

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Cdb;
use longhaul_scsi::transport::{Completion, Data, Request};
use longhaul_scsi::verdict::Doing;

use super::error::{DriveError, Problem};
use super::recovery::{ATTENTIONS_MAX, Step};
use super::session::Drive;

/// How long a drive gets for what ought to pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first pause before a repetition; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// BUSY, TASK SET FULL and short host resources: total time.
    pub busy: Duration,
    /// A path that broke off: total time until it must answer again. The
    /// default is above the kernel's usual `dev_loss_tmo` and iSCSI
    /// replacement timeout.
    pub path: Duration,
    /// Repetitions of a command after an abort or an unknown outcome.
    pub repeats: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            pause: Duration::from_millis(50),
            pause_max: Duration::from_secs(5),
            busy: Duration::from_secs(60),
            path: Duration::from_secs(180),
            repeats: 2,
        }
    }
}

impl Patience {
    /// Nothing is waited for longer than some milliseconds: for tests, where
    /// time is not what is tested.
    pub fn brief() -> Patience {
        Patience {
            pause: Duration::from_micros(100),
            pause_max: Duration::from_millis(1),
            busy: Duration::from_millis(20),
            path: Duration::from_millis(20),
            repeats: 2,
        }
    }
}

/// Counts repetitions and pauses of one command.
pub(super) struct Tries {
    patience: Patience,
    failed_at: Option<Instant>,
    next_pause: Duration,
    /// How often the command was sent again.
    repeated: u32,
    /// How often of these because of an abort, an attention, or a broken path.
    counted: u32,
}

impl Tries {
    pub(super) fn new(patience: Patience) -> Tries {
        Tries {
            patience,
            failed_at: None,
            next_pause: patience.pause,
            repeated: 0,
            counted: 0,
        }
    }

    /// Whether nothing has failed yet.
    pub(super) fn are_first(&self) -> bool {
        self.failed_at.is_none()
    }

    /// Pauses before the command is sent again.
    ///
    /// # Errors
    /// The step's problem, once its time or its repetitions are used up.
    pub(super) fn pause_for(&mut self, step: Step) -> Result<(), Problem> {
        let Patience {
            busy,
            path,
            repeats,
            ..
        } = self.patience;
        match step {
            Step::Done(_) => Ok(()),
            Step::NotSent => {
                let tries = self.repeated + 1;
                self.pause_within(busy, Problem::Busy { tries })
            }
            Step::Wait(problem) => self.pause_within(path, problem),
            // Counted, not timed: such a command may itself have taken an hour.
            Step::Unknown(problem) => {
                self.count(repeats, problem)?;
                self.pause();
                Ok(())
            }
            Step::Attention(problem) => self.at_once(repeats, problem),
            Step::Fail(problem) => Err(problem),
        }
    }

    /// The same for TEST UNIT READY, which is there to be repeated: only time
    /// counts, and how many unit attentions there can be.
    pub(super) fn pause_patiently(&mut self, step: Step) -> Result<(), Problem> {
        match step {
            Step::Attention(problem) => self.at_once(ATTENTIONS_MAX, problem),
            Step::Unknown(problem) => self.pause_within(self.patience.path, problem),
            step => self.pause_for(step),
        }
    }

    /// Time runs from the first failure on, and a machine that is too slow to
    /// use it still gets its repetitions.
    fn pause_within(&mut self, total: Duration, problem: Problem) -> Result<(), Problem> {
        let failed_at = *self.failed_at.get_or_insert_with(Instant::now);
        if failed_at.elapsed() >= total && self.repeated >= self.patience.repeats {
            return Err(problem);
        }
        self.pause();
        Ok(())
    }

    /// A unit attention that was reported is gone: there is nothing to wait for.
    fn at_once(&mut self, repeats: u32, problem: Problem) -> Result<(), Problem> {
        self.count(repeats, problem)?;
        self.repeated = self.repeated.saturating_add(1);
        Ok(())
    }

    fn count(&mut self, repeats: u32, problem: Problem) -> Result<(), Problem> {
        if self.counted >= repeats {
            return Err(problem);
        }
        self.counted += 1;
        Ok(())
    }

    /// Only pauses, longer each time.
    pub(super) fn pause(&mut self) {
        self.repeated = self.repeated.saturating_add(1);
        thread::sleep(self.next_pause);
        self.next_pause = (self.next_pause * 2).min(self.patience.pause_max);
    }
}

/// A command that may be repeated.
pub(super) struct Ask {
    /// For errors.
    pub(super) name: &'static str,
    /// What it is for: a code means one thing to a write, another to a space.
    pub(super) doing: Doing,
    pub(super) cdb: Cdb,
    pub(super) data: Data,
}

impl Drive {
    /// Sends a command that may be repeated, until it was executed. Conditions
    /// that came with it are in the completion.
    pub(super) fn ask(&mut self, ask: Ask) -> Result<Completion, DriveError> {
        let Ask {
            name,
            doing,
            cdb,
            mut data,
        } = ask;
        let mut tries = Tries::new(self.patience);
        loop {
            let timeout = self.timeout(&cdb);
            let completion = self.transport.execute(Request { cdb, data, timeout });
            let step = self.step(name, doing, &completion.outcome)?;
            if matches!(step, Step::Done(_)) {
                return Ok(completion);
            }
            let on_new_path = !self.on_new_path && self.leave_dead_path(&step);
            tries
                .pause_for(step)
                .map_err(|problem| self.fail(name, problem))?;
            if on_new_path {
                self.calm(name)?;
            }
            data = completion.data;
        }
    }

    /// Asks for parameter data of at most `len` bytes; what came is returned.
    pub(super) fn ask_in(
        &mut self,
        name: &'static str,
        cdb: Cdb,
        len: usize,
    ) -> Result<Vec<u8>, DriveError> {
        let buffer = Buffer::zeroed(len.max(1));
        let completion = self.ask(Ask {
            name,
            doing: Doing::Other,
            cdb,
            data: Data::In { buffer, len },
        })?;
        let residual = usize::try_from(completion.outcome.residual)
            .unwrap_or(0)
            .min(len);
        let bytes = completion.data.into_buffer();
        Ok(bytes
            .map(|bytes| bytes[..len - residual].to_vec())
            .unwrap_or_default())
    }

    /// Sends parameter data.
    pub(super) fn ask_out(
        &mut self,
        name: &'static str,
        cdb: Cdb,
        bytes: &[u8],
    ) -> Result<(), DriveError> {
        let data = Data::Out {
            buffer: Buffer::from_slice(bytes),
            len: bytes.len(),
        };
        self.ask(Ask {
            name,
            doing: Doing::Other,
            cdb,
            data,
        })
        .map(drop)
    }

    /// Sends a command without data.
    pub(super) fn ask_plain(
        &mut self,
        name: &'static str,
        doing: Doing,
        cdb: Cdb,
    ) -> Result<(), DriveError> {
        self.ask(Ask {
            name,
            doing,
            cdb,
            data: Data::None,
        })
        .map(drop)
    }

    /// An answer, or `None` if it is not to be had in the drive's present
    /// state.
    pub(super) fn if_known<T>(
        &mut self,
        ask: impl FnOnce(&mut Drive) -> Result<T, DriveError>,
    ) -> Result<Option<T>, DriveError> {
        match ask(self) {
            Err(error) if is_about_the_question(error.problem()) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

fn is_about_the_question(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Unsupported(_)
            | Problem::NoMedium
            | Problem::NotLoaded(_)
            | Problem::NotReady { .. }
            | Problem::Malformed(_)
            | Problem::Held { .. }
    )
}
