//! A drive with our volume in it, from opening to release.

use std::time::Duration;

use longhaul_format::index::Volume;
use longhaul_format::label::Label;
use uuid::Uuid;

use super::JobError;
use super::mounts::{self, Mounts, Next};
use super::turn::in_turn;
use super::volume::{self, Tail, TapeSet};
use super::writing;
use crate::drive::{Alert, Drive, Key, Problem, VolumeIdentity};
use crate::transport;

/// How long a cartridge may take to become ready. A first load of an LTO-9
/// cartridge is optimised for up to 132 minutes.
const READY_WAIT: Duration = Duration::from_secs(140 * 60);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing is written.
    Read,
    /// The volume is written to.
    Write,
}

/// How often a person is asked for a volume in one job: enough for the largest
/// set with many mistakes.
const ASKED_MAX: u32 = 10_000;

/// A drive that this process holds, ready, with its reservation and modes, and
/// where further volumes come from.
pub struct Session {
    drive: Drive,
    /// What the library has read on the cartridge.
    barcode: Option<String>,
    mounts: Mounts,
    purpose: Purpose,
    /// The volume in the drive, once its label was read.
    volume: Option<Uuid>,
    /// The one that is, or was, to be brought by its identity.
    wanted: Option<Uuid>,
    /// It was looked for by its identity, whatever volumes were named.
    brought: bool,
    /// Blocks that drives before this one have confirmed.
    confirmed: u64,
    /// How often a person was asked for a volume.
    asked: u32,
    /// TapeAlert flags of an assigned drive, as far as it was asked, and the volume that
    /// was in it; none with those that it had set before anything was done.
    said: Vec<(Option<Uuid>, Alert)>,
}

impl Session {
    /// Opens the drive with the first volume, takes it from whom it is to be
    /// taken, waits for its cartridge, reserves it and sets its modes.
    ///
    /// # Errors
    /// If the drive's name names nothing, somebody else holds it, it has no
    /// usable cartridge, or the cartridge is write-protected and is to be
    /// written.
    pub fn open(mounts: Mounts, purpose: Purpose) -> Result<Session, JobError> {
        if mounts.assignment.is_some() {
            return Session::assigned(mounts, purpose);
        }
        let first = mounts.first()?;
        let mut drive = Drive::open(transport::open(&first.drive)?)?;
        if !mounts.take_over.is_empty() {
            fence(&mut drive, Key::random(), &mounts.take_over)?;
        }
        Session::begin(drive, first.barcode, mounts, purpose)
    }

    /// The same with a drive that was assigned: whatever is in it, it is made
    /// ours before anything is brought there, since who had it before may still
    /// hold it, and what lies in it.
    fn assigned(mounts: Mounts, purpose: Purpose) -> Result<Session, JobError> {
        let name = mounts.drives.first().map_or("", String::as_str);
        // Another attempt of this node may be taking it from somebody who is gone.
        let transport = in_turn(|| Ok(transport::open(name)?))?;
        let mut drive = Drive::open(transport)?;
        let key = mounts.assignment.unwrap_or_else(Key::random);
        fence(&mut drive, key, &mounts.take_over)?;
        let mut session = Session::new(drive, None, mounts, purpose);
        let before = session.alerts().into_iter();
        session.said = before.map(|alert| (None, alert)).collect();
        let (Some(_), Some(volume)) = (&session.mounts.library, session.mounts.expected()) else {
            session.start()?;
            return Ok(session);
        };
        let volume = volume.to_owned();
        let serial = session.drive.identity().serial.clone();
        session.barcode = session.mounts.library()?.barcode_in(&serial, &volume)?;
        match session.barcode {
            Some(_) => session.start()?,
            None => session.mount(Next::Library(volume))?,
        }
        Ok(session)
    }

    /// The same with a drive that is open already, and its volume alone.
    ///
    /// # Errors
    /// As [`open`](Session::open).
    pub fn on(drive: Drive, purpose: Purpose) -> Result<Session, JobError> {
        Session::begin(drive, None, Mounts::default(), purpose)
    }

    fn begin(
        drive: Drive,
        barcode: Option<String>,
        mounts: Mounts,
        purpose: Purpose,
    ) -> Result<Session, JobError> {
        let mut session = Session::new(drive, barcode, mounts, purpose);
        session.start()?;
        Ok(session)
    }

    fn new(drive: Drive, barcode: Option<String>, mounts: Mounts, purpose: Purpose) -> Session {
        Session {
            drive,
            barcode,
            mounts,
            purpose,
            volume: None,
            wanted: None,
            brought: false,
            confirmed: 0,
            asked: 0,
            said: Vec::new(),
        }
    }

    /// Makes the drive ours, with the cartridge that is in it now.
    fn start(&mut self) -> Result<(), JobError> {
        self.volume = None;
        self.drive.ready(READY_WAIT)?;
        if self.drive.key().is_none() {
            let key = self.mounts.assignment.unwrap_or_else(Key::random);
            self.drive.reserve(key)?;
        }
        // From here on, dropping the session puts back what others could not
        // live with.
        self.drive.prepare()?;
        if self.purpose == Purpose::Write && self.drive.write_protected()? {
            return Err(JobError::Refused(format!(
                "{}: the cartridge is write-protected; nothing was written",
                self.drive.label()
            )));
        }
        Ok(())
    }

    /// Goes over to the next volume that the job was given, and that is not
    /// called as one of these: it is in the drive then, and that is ready. The
    /// one before is let go.
    ///
    /// # Errors
    /// [`JobError::Full`] if there is no other; [`JobError::NeedsVolume`] if
    /// nobody brings it; the library's, the drive's.
    pub fn next_volume(&mut self, but: &[Volume]) -> Result<(), JobError> {
        (self.brought, self.wanted) = (false, None);
        match (self.mounts.advance(but), self.mounts.behind()) {
            (Some(next), _) => self.mount(next),
            // There is one, and nobody who brings it.
            (None, Some(volume)) => Err(JobError::NeedsVolume(format!(
                "volume {volume} is needed in {}",
                self.drive.label()
            ))),
            (None, None) => Err(JobError::Full("another volume is needed".into())),
        }
    }

    /// Whether there is another volume, or somebody to ask for one.
    pub fn has_next(&self) -> bool {
        self.mounts.clone().advance(&[]).is_some()
    }

    /// Brings a volume to the drive, or goes over to the drive that holds it.
    ///
    /// # Errors
    /// [`JobError::NeedsVolume`] if it is not to be had; the library's, the
    /// drive's.
    pub fn bring(&mut self, name: &str, volume: Uuid) -> Result<(), JobError> {
        if self.volume == Some(volume) {
            return Ok(());
        }
        self.wanted = Some(volume);
        let mut refusals = String::new();
        for candidate in self.mounts.candidates(name) {
            let asked = matches!(candidate, Next::Person(_));
            for _ in 0..if asked { ASKED_MAX } else { 1 } {
                let mounted = self.mount(candidate.clone());
                let found = mounted.and_then(|()| volume::read_label(&mut self.drive));
                match found {
                    Ok(label) if label.uuid == volume => {
                        (self.volume, self.brought) = (Some(volume), true);
                        return Ok(());
                    }
                    Ok(label) => {
                        let what = format!("; {} holds volume {}", self.drive.label(), label.name);
                        refusals.push_str(&what);
                    }
                    Err(error @ JobError::NeedsVolume(_)) => return Err(error),
                    Err(error) => refusals.push_str(&format!("; {error}")),
                }
            }
        }
        Err(JobError::NeedsVolume(format!(
            "volume {name} is needed{refusals}"
        )))
    }

    fn mount(&mut self, next: Next) -> Result<(), JobError> {
        if self.mounts.assignment.is_some() && self.volume.is_some() {
            // What it says afterwards is of the next one.
            let (of, alerts) = (self.volume, self.alerts());
            self.said
                .extend(alerts.into_iter().map(|alert| (of, alert)));
        }
        match next {
            Next::Drive(number) => {
                self.mounts.used = number;
                let name = self.mounts.drives.get(number).map_or("", String::as_str);
                let drive = Drive::open(transport::open(name)?)?;
                self.confirmed += self.drive.confirmed_blocks().unwrap_or(0);
                let mut before = std::mem::replace(&mut self.drive, drive);
                if let Err(error) = before.finish() {
                    log::warn!("letting the drive go: {error}");
                }
                self.barcode = None;
            }
            Next::Library(volume) => {
                self.put_down()?;
                self.volume = None;
                let mut library = self.mounts.library()?;
                self.barcode = library.exchange(&self.drive.identity().serial, &volume)?;
            }
            Next::Person(volume) => {
                self.put_down()?;
                return self.ask(volume.as_deref());
            }
        }
        self.start()
    }

    /// Has the drive let go of its cartridge, if it has one.
    fn put_down(&mut self) -> Result<(), JobError> {
        match self.drive.unload() {
            Err(error) if !matches!(error.problem(), Problem::NoMedium) => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Asks a person for a volume until there is one in the drive.
    fn ask(&mut self, volume: Option<&str>) -> Result<(), JobError> {
        loop {
            if self.asked >= ASKED_MAX || !mounts::ask(self.drive.label(), volume) {
                return Err(JobError::NeedsVolume("another volume is needed".into()));
            }
            self.asked += 1;
            match self.start() {
                Err(JobError::Drive(error)) if matches!(error.problem(), Problem::NoMedium) => {
                    log::warn!("{error}");
                }
                other => return other,
            }
        }
    }

    /// Whether a person has brought the volume in the drive.
    pub fn is_asked(&self) -> bool {
        self.mounts.is_asked()
    }

    /// Asks the person who has brought the volume in the drive for another one.
    ///
    /// # Errors
    /// What is wrong with this one, if nobody brought it;
    /// [`JobError::NeedsVolume`] if there is no other.
    pub fn ask_again(&mut self, wrong: JobError) -> Result<(), JobError> {
        if !self.mounts.is_asked() {
            return Err(match wrong {
                // Of no use to this run, as a full one: it is given another.
                JobError::Refused(why) | JobError::Unfinished(why)
                    if self.mounts.assignment.is_some() =>
                {
                    JobError::Full(why)
                }
                wrong => wrong,
            });
        }
        log::warn!("{wrong}");
        let volume = self.mounts.expected().map(str::to_owned);
        self.mount(Next::Person(volume))
    }

    /// Blocks read that were what the drives' checksums say; `None` if the
    /// drive gives none.
    pub fn confirmed_blocks(&self) -> Option<u64> {
        self.drive
            .confirmed_blocks()
            .map(|blocks| blocks + self.confirmed)
    }

    /// The drive.
    pub fn drive(&mut self) -> &mut Drive {
        &mut self.drive
    }

    /// Reads the volume's label; the drive then stands behind it.
    ///
    /// # Errors
    /// [`JobError::Refused`] with a sentence for a blank, a foreign and a
    /// mismatched volume.
    pub fn label(&mut self) -> Result<Label, JobError> {
        let label = volume::read_label(&mut self.drive)?;
        self.mounts.found(label.uuid, self.purpose);
        if let Some(expected) = self.mounts.expected().filter(|_| !self.brought)
            && expected != label.name.as_str()
            && Some(expected) != label.barcode().as_deref()
        {
            return Err(JobError::OtherVolume(format!(
                "{}: holds volume {}, and volume {expected} was asked for; nothing was written",
                self.drive.label(),
                label.name
            )));
        }
        if let Some(barcode) = &self.barcode
            && !barcode.starts_with(label.name.as_str())
        {
            return Err(JobError::Refused(format!(
                "{}: the library reads {barcode} on the cartridge, its label says volume {}",
                self.drive.label(),
                label.name
            )));
        }
        if let Some(identity) = self.mounts.identity().filter(|_| !self.brought)
            && identity != label.uuid
        {
            return Err(JobError::OtherVolume(format!(
                "{}: volume {} has identity {}, and {identity} was assigned; nothing was written",
                self.drive.label(),
                label.name,
                label.uuid
            )));
        }
        if let Some(key) = self.mounts.assignment
            && self.purpose == Purpose::Write
        {
            claim(&mut self.drive, key, &label)?;
        }
        self.volume = Some(label.uuid);
        Ok(label)
    }

    /// What stands at the end of the volume; the drive then stands at the end
    /// of data.
    ///
    /// # Errors
    /// The drive's, and what contradicts itself on the medium.
    pub fn tail(&mut self, label: &Label) -> Result<Tail, JobError> {
        volume::tail(&mut self.drive, label)
    }

    /// All sets of the volume, in order.
    ///
    /// # Errors
    /// The drive's, and what contradicts itself on the medium.
    pub fn sets(&mut self, label: &Label) -> Result<Vec<TapeSet>, JobError> {
        volume::sets(&mut self.drive, label)
    }

    /// The volume in the drive, or the one that was to be brought there last.
    pub(super) fn at_stake(&self) -> Option<Uuid> {
        self.volume.or(self.wanted).or(self.mounts.identity())
    }

    /// The TapeAlert flags of an assigned drive, as far as it was asked, and the volume
    /// that was in it; none with those that it had set before anything was done.
    pub(super) fn said(&self) -> &[(Option<Uuid>, Alert)] {
        &self.said
    }

    /// The TapeAlert flags that are set; they are in the log, and set no more.
    pub(super) fn alerts(&mut self) -> Vec<Alert> {
        let alerts = self.drive.alerts().unwrap_or_else(|error| {
            log::info!("{error}");
            Vec::new()
        });
        for alert in &alerts {
            log::warn!("{}: TapeAlert {alert}", self.drive.label());
        }
        alerts
    }

    /// Lets the drive go. What it says to that changes nothing of what was done
    /// before. Returns the TapeAlert flags that it had set.
    pub fn release(mut self) -> Vec<Alert> {
        let alerts = self.alerts();
        if let Err(error) = self.drive.finish() {
            log::warn!("letting the drive go: {error}");
        }
        alerts
    }
}

/// Reserves a drive under `key`, and takes it from whoever is gone and holds it
/// under one of those keys.
///
/// # Errors
/// The drive's; it names the holder, if that is another.
pub fn fence(drive: &mut Drive, key: Key, gone: &[Key]) -> Result<(), JobError> {
    match drive.holder()? {
        Some(holder) if gone.contains(&Key(holder.key)) => {
            log::warn!("{}: taken from {}", drive.label(), Key(holder.key));
            drive.take_over(Key(holder.key), key)?;
        }
        _ => drive.reserve(key)?,
    }
    Ok(())
}

/// Writes the assignment into the cartridge's memory, unless a newer one of the
/// same cluster is there: a mover that has lost its drive, and was given none
/// back, must not go on with the volume in another one. The drive is reserved,
/// so nobody comes in between.
fn claim(drive: &mut Drive, key: Key, label: &Label) -> Result<(), JobError> {
    let found = drive.volume_identity()?.owning_host;
    let newest = found.as_deref().and_then(owner);
    if let Some(newest) = newest
        && newest.cluster() == key.cluster()
        && newest.token() > key.token()
    {
        return Err(JobError::Held(format!(
            "{}: volume {} was assigned anew since ({newest}); nothing was written",
            drive.label(),
            label.name
        )));
    }
    if newest == Some(key) {
        return Ok(());
    }
    let identity = VolumeIdentity {
        owning_host: Some(format!("{} {:016x}", writing::host(), key.0)),
        ..VolumeIdentity::default()
    };
    if !drive.write_volume_identity(&identity)? {
        log::info!(
            "{}: volume {} cannot remember its assignment: its drive has no cartridge memory",
            drive.label(),
            label.name
        );
    }
    Ok(())
}

/// The assignment behind the owner's name in a cartridge's memory.
fn owner(text: &str) -> Option<Key> {
    let key = Key::parse(text.rsplit(' ').next()?).ok()?;
    key.is_longhaul().then_some(key)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.drive.abandon();
    }
}
