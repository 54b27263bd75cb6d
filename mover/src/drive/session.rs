//! A session with a drive: opening it, waiting for a cartridge, ending.

use std::sync::Arc;
use std::time::{Duration, Instant};

use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::sense::Sense;
use longhaul_scsi::spc::basic::TestUnitReady;
use longhaul_scsi::ssc::motion::LoadUnload;
use longhaul_scsi::ssc::read_block_limits::{BlockLimits, ReadBlockLimits};

use longhaul_scsi::transport::{Data, Request, Transport};
use longhaul_scsi::verdict::Doing;

use super::command::{Patience, Tries};
use super::error::{DriveError, Loss, Problem};
use super::identity::Identity;
use super::position::{Forms, Track};
use super::protection::Protection;
use super::recovery::Step;
use super::reservation::Key;
use super::timeouts::Timeouts;
use super::write::InFlight;

const TEST_UNIT_READY: &str = "TEST UNIT READY";
const LOAD_UNLOAD: &str = "LOAD UNLOAD";

/// Most bytes that one WRITE(6) or READ(6) can move: 24 bits.
pub const RECORD_BYTES_MAX: usize = 0x00ff_ffff;

/// A tape drive, and this process's session with it.
pub struct Drive {
    pub(super) transport: Box<dyn Transport>,
    /// For errors: name and serial number.
    pub(super) label: Arc<str>,
    pub(super) identity: Identity,
    pub(super) timeouts: Timeouts,
    pub(super) limits: Option<BlockLimits>,
    pub(super) patience: Patience,
    pub(super) forms: Forms,
    /// Where the tape stands by our own count.
    pub(super) track: Track,
    /// Something unexpected happened that should have moved nothing: before
    /// the next write, READ POSITION has to say so.
    pub(super) doubt: bool,
    /// And that may have changed its modes: before the next block they are
    /// looked at.
    pub(super) modes_doubt: bool,
    pub(super) protection: Protection,
    /// Blocks read that were what their protection information says.
    pub(super) confirmed: u64,
    /// Objects accepted since the last synchronisation.
    pub(super) unsynchronised: u64,
    /// Why this session writes no more.
    pub(super) stopped: Option<Problem>,
    /// The key we hold the drive's reservation with.
    pub(super) key: Option<Key>,
    /// The modes were set.
    pub(super) prepared: bool,
    /// A new cartridge is what is being waited for.
    pub(super) medium_expected: bool,
    /// The transport went over to another path, on which the drive is not yet
    /// ours.
    pub(super) on_new_path: bool,
    pub(super) attentions: Vec<Sense>,
    pub(super) wishes: Wishes,
    pub(super) in_flight: Option<InFlight>,
}

/// What a drive asks of people, as its sense data told since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// It wants to be cleaned, after this job.
    pub cleaning: bool,
    /// It expects to fail.
    pub replacement: bool,
    /// Somebody pressed its eject button.
    pub removal: bool,
    /// Commands that it carried out only after recovering from an error.
    pub recovered: u64,
}

impl Drive {
    /// Finds out who the drive is, collects what unit attentions were waiting,
    /// and asks for its limits. Nothing is changed on it, and no cartridge is
    /// needed.
    ///
    /// # Errors
    /// [`Problem::NotATapeDrive`]; or the drive does not answer.
    pub fn open(transport: Box<dyn Transport>) -> Result<Drive, DriveError> {
        Drive::open_with(transport, Patience::default())
    }

    /// The same, with other limits on waiting.
    ///
    /// # Errors
    /// As [`open`](Drive::open).
    pub fn open_with(
        transport: Box<dyn Transport>,
        patience: Patience,
    ) -> Result<Drive, DriveError> {
        let mut drive = Drive {
            label: transport.name().into(),
            transport,
            identity: Identity::default(),
            timeouts: Timeouts::default(),
            limits: None,
            patience,
            forms: Forms::default(),
            track: Track::Unknown,
            doubt: false,
            modes_doubt: false,
            protection: Protection::default(),
            confirmed: 0,
            unsynchronised: 0,
            stopped: None,
            key: None,
            prepared: false,
            medium_expected: false,
            on_new_path: false,
            attentions: Vec::new(),
            wishes: Wishes::default(),
            in_flight: None,
        };
        drive.identify()?;
        drive.drain()?;
        drive.ask_timeouts()?;
        drive.ask_limits()?;
        Ok(drive)
    }

    /// Who the drive is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The drive towards people: its name on this host and its serial number.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// READ BLOCK LIMITS; `None` if the drive would not say.
    pub fn limits(&self) -> Option<BlockLimits> {
        self.limits
    }

    /// The unit attentions that were collected outside of a session, oldest
    /// first: resets and cartridge changes before we came.
    pub fn attentions(&self) -> &[Sense] {
        &self.attentions
    }

    /// What the drive asks of people.
    pub fn wishes(&self) -> Wishes {
        self.wishes
    }

    /// Objects that were accepted and not yet synchronised.
    pub fn unsynchronised(&self) -> u64 {
        self.unsynchronised
    }

    /// Why this session writes no more, if it does not.
    pub fn stopped(&self) -> Option<&Problem> {
        self.stopped.as_ref()
    }

    /// Waits at most `wait` until the cartridge in the drive can be used.
    ///
    /// # Errors
    /// [`Problem::NoMedium`] and [`Problem::NeedsOperator`] at once,
    /// [`Problem::NotReady`] after the time, or what the drive says.
    pub fn ready(&mut self, wait: Duration) -> Result<(), DriveError> {
        self.medium_expected = true;
        let result = self.wait_ready(wait);
        self.medium_expected = false;
        result
    }

    /// Pulls the cartridge that sits in the drive in to its beginning, and
    /// waits for it.
    ///
    /// # Errors
    /// As [`ready`](Drive::ready).
    pub fn load(&mut self, wait: Duration) -> Result<(), DriveError> {
        self.medium_expected = true;
        self.track = Track::Unknown;
        let result = self
            .ask_plain(LOAD_UNLOAD, Doing::Load, LoadUnload::load(true).cdb())
            .and_then(|()| self.wait_ready(wait));
        self.medium_expected = false;
        result
    }

    /// Brings what the buffer holds to the medium, and lets the cartridge go.
    ///
    /// # Errors
    /// Those of [`synchronize`](Drive::synchronize) and of the drive.
    pub fn unload(&mut self) -> Result<(), DriveError> {
        self.leave()?;
        let modes = self.end_protection();
        self.set_door(false)?;
        self.track = Track::Unknown;
        self.prepared = false;
        self.medium_expected = true;
        let result = self.ask_plain(LOAD_UNLOAD, Doing::Load, LoadUnload::unload(false).cdb());
        self.medium_expected = false;
        result.and(modes)
    }

    /// Ends the session: protection is as it was, the door opens, the
    /// reservation goes. What was written and not synchronised is synchronised
    /// first.
    ///
    /// # Errors
    /// The first of what failed; the rest was tried all the same.
    pub fn finish(&mut self) -> Result<(), DriveError> {
        let left = self.leave();
        if self.is_fenced() {
            // The drive is another's now; so is its door.
            self.key = None;
            self.prepared = false;
            return left;
        }
        let modes = self.end_protection();
        let door = if self.prepared {
            self.set_door(false)
        } else {
            Ok(())
        };
        self.prepared = false;
        let released = self.release();
        left.and(modes).and(door).and(released)
    }

    /// Leaves the drive to others as it is, but for what would keep them from
    /// using it: protection is as it was before. For a session that has ended
    /// with an error, so nothing is said of further ones.
    pub fn abandon(&mut self) {
        if self.is_fenced()
            || matches!(
                self.stopped,
                Some(Problem::Lost {
                    cause: Loss::PathLost,
                    ..
                })
            )
        {
            return;
        }
        if let Err(error) = self.end_protection() {
            log::info!("{error}");
        }
    }

    /// Begins anew after an error of the cartridge, or of what the buffer held,
    /// that ended the session for writes: what was accepted since the last
    /// synchronisation may be lost, and the position is not known.
    ///
    /// # Errors
    /// What ended the session, if it was anything else; the drive's.
    pub fn begin_anew(&mut self) -> Result<(), DriveError> {
        match &self.stopped {
            None
            | Some(
                Problem::Medium(_)
                | Problem::Hardware(_)
                | Problem::Lost {
                    cause: Loss::DeferredError,
                    ..
                },
            ) => {}
            Some(problem) => return Err(self.fail(TEST_UNIT_READY, problem.clone())),
        }
        self.stopped = None;
        self.track = Track::Unknown;
        self.unsynchronised = 0;
        self.modes_doubt = true;
        self.drain()?;
        self.verify_reservation()
    }

    fn is_fenced(&self) -> bool {
        matches!(self.stopped, Some(Problem::Fenced { .. }))
    }

    /// Ends the session without a word to the drive: for opening it anew, after
    /// an error or on another path. A reservation stays.
    pub fn into_transport(self) -> Box<dyn Transport> {
        self.transport
    }

    /// How long a command may take.
    pub(super) fn timeout(&self, cdb: &Cdb) -> Duration {
        self.timeouts.of(cdb)
    }

    /// Whether `len` is a length that one block may have here.
    pub(super) fn check_record_size(&self, len: usize) -> Result<(), Problem> {
        // The limits are the block's own (SSC-5 7.5), the field's are not.
        let field = RECORD_BYTES_MAX - self.bytes_behind();
        let (min, max) = match self.limits {
            Some(limits) => (u32::from(limits.min_bytes).max(1), limits.max_bytes),
            None => (1, 0),
        };
        let most = if max == 0 {
            field
        } else {
            field.min(max as usize)
        };
        if len < min as usize || len > most {
            return Err(Problem::RecordSize {
                len,
                min,
                max: most as u32,
            });
        }
        Ok(())
    }

    /// Whether unit attentions are ours to worry about.
    pub(super) fn in_session(&self) -> bool {
        self.prepared || self.key.is_some()
    }

    /// Collects the unit attentions that are waiting.
    fn drain(&mut self) -> Result<(), DriveError> {
        let mut tries = Tries::new(self.patience);
        loop {
            match self.test_unit_ready()? {
                // Not ready, reserved by another, or broken: not asked for
                // here.
                Step::Done(_) | Step::Wait(_) | Step::Fail(_) => return Ok(()),
                step => tries
                    .pause_patiently(step)
                    .map_err(|problem| self.fail(TEST_UNIT_READY, problem))?,
            }
        }
    }

    fn wait_ready(&mut self, wait: Duration) -> Result<(), DriveError> {
        let started = Instant::now();
        let mut tries = Tries::new(self.patience);
        let mut load_tried = false;
        loop {
            let step = match self.test_unit_ready()? {
                Step::Done(_) => return Ok(()),
                Step::Fail(Problem::NotLoaded(_)) if !load_tried => {
                    load_tried = true;
                    let load = LoadUnload::load(true).cdb();
                    self.ask_plain(LOAD_UNLOAD, Doing::Load, load)?;
                    continue;
                }
                Step::Wait(Problem::NotReady { last, .. }) => {
                    if started.elapsed() >= wait {
                        let problem = Problem::NotReady {
                            waited_s: wait.as_secs(),
                            last,
                        };
                        return Err(self.fail(TEST_UNIT_READY, problem));
                    }
                    // The time that counts is `wait`, so the pause is all
                    // that is taken from here.
                    tries.pause();
                    continue;
                }
                step => step,
            };
            if self.leave_dead_path(&step) {
                self.calm(TEST_UNIT_READY)?;
                continue;
            }
            tries
                .pause_patiently(step)
                .map_err(|problem| self.fail(TEST_UNIT_READY, problem))?;
        }
    }

    pub(super) fn test_unit_ready(&mut self) -> Result<Step, DriveError> {
        let cdb = TestUnitReady::new().cdb();
        let request = Request {
            cdb,
            data: Data::None,
            timeout: self.timeout(&cdb),
        };
        let outcome = self.transport.execute(request).outcome;
        self.step(TEST_UNIT_READY, Doing::Other, &outcome)
    }

    fn ask_limits(&mut self) -> Result<(), DriveError> {
        let cdb = ReadBlockLimits::new().cdb();
        let ask = |drive: &mut Drive| drive.ask_in("READ BLOCK LIMITS", cdb, BlockLimits::BYTES);
        let told = self.if_known(ask)?;
        self.limits = told.and_then(|bytes| BlockLimits::parse(&bytes).ok());
        Ok(())
    }
}
