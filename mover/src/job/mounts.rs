//! Where a job's volumes come from: drives that each hold one, a library, or a
//! person.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use longhaul_format::index::Volume;
use uuid::Uuid;

use super::JobError;
use super::library::{Library, Loaded};
use super::session::Purpose;
use crate::drive::Key;

/// What a job was given to find its volumes.
#[derive(Debug, Clone, Default)]
pub struct Mounts {
    /// Drives by name. Without a library each holds a volume, and they are used
    /// in this order; with one, the first is the drive to be used.
    pub drives: Vec<String>,
    /// The library's changer.
    pub library: Option<String>,
    /// The volumes to be used, in order, by name or barcode. With a library they
    /// are brought, and else asked for.
    pub volumes: Vec<String>,
    /// Their identities, if those are known: what their labels must say.
    pub identities: Vec<Uuid>,
    /// The assignment under which the first drive is reserved, and which the
    /// cartridge remembers; without one, a key of its own is made up.
    pub assignment: Option<Key>,
    /// The keys of holders who are gone, and from whom the first drive may be
    /// taken.
    pub take_over: Vec<Key>,
    /// Folder for notes of what the library was told to move.
    pub state: PathBuf,
    /// Which of the drives or volumes is in use.
    pub(super) used: usize,
}

/// Where the next volume comes from.
#[derive(Debug, Clone)]
pub(super) enum Next {
    /// It is in this one of the drives.
    Drive(usize),
    /// A library has it.
    Library(String),
    /// A person has to bring it: this one, if it has a name.
    Person(Option<String>),
}

impl Mounts {
    /// The volume in one drive, and no other.
    pub fn drive(name: &str) -> Mounts {
        Mounts {
            drives: vec![name.to_owned()],
            ..Mounts::default()
        }
    }

    /// The drive with the first volume, which a library brings there.
    ///
    /// # Errors
    /// The library's; [`JobError::Usage`] if nothing names a drive.
    pub fn first(&self) -> Result<Loaded, JobError> {
        let drive = self.drives.first();
        match (&self.library, self.volumes.first(), drive) {
            (Some(library), Some(volume), _) => {
                Library::open_in_turn(library, &self.state)?.load(volume, drive.map(String::as_str))
            }
            (None, _, Some(drive)) => Ok(Loaded {
                drive: drive.clone(),
                barcode: None,
            }),
            _ => Err(JobError::Usage(
                "name a drive, or a library and a volume".into(),
            )),
        }
    }

    /// What the volume in use should be called, if that was said.
    pub(super) fn expected(&self) -> Option<&str> {
        self.volumes.get(self.used).map(String::as_str)
    }

    /// What the label of the volume in use must say, if that was said.
    pub(super) fn identity(&self) -> Option<Uuid> {
        self.identities.get(self.used).copied()
    }

    /// The one behind the volume in use, if it has a name.
    pub(super) fn behind(&self) -> Option<&str> {
        self.volumes.get(self.used + 1).map(String::as_str)
    }

    /// Where nobody but a person brings volumes to an assigned drive, whichever of
    /// those to be written to is in it is the one in use.
    pub(super) fn found(&mut self, volume: Uuid, purpose: Purpose) {
        let mut identities = self.identities.iter();
        let is_left_to_people = self.library.is_none() && self.assignment.is_some();
        if let Some(at) = identities.position(|uuid| *uuid == volume)
            && is_left_to_people
            && purpose == Purpose::Write
        {
            self.used = at;
        }
    }

    /// The one behind the volume in use that is not called one of these names,
    /// as far as it has a name; `None` if there is none, nor anybody to ask.
    pub(super) fn advance(&mut self, but: &[Volume]) -> Option<Next> {
        let is_one = |name: &String| but.iter().any(|one| name.starts_with(one.name.as_str()));
        let mut next = self.used + 1;
        while self.volumes.get(next).is_some_and(is_one) {
            next += 1;
        }
        let volume = self.volumes.get(next).cloned();
        let found = match &self.library {
            Some(_) => Next::Library(volume?),
            None if next < self.drives.len() => Next::Drive(next),
            None if volume.is_none() && !self.volumes.is_empty() => return None,
            None if is_attended() => Next::Person(volume),
            None => return None,
        };
        self.used = next;
        Some(found)
    }

    /// Whether a person has brought the volume in use.
    pub(super) fn is_asked(&self) -> bool {
        self.library.is_none() && self.used >= self.drives.len() && is_attended()
    }

    /// Where a volume of this name may be, other than in the drive in use.
    pub(super) fn candidates(&self, name: &str) -> Vec<Next> {
        if self.library.is_some() {
            return vec![Next::Library(name.to_owned())];
        }
        let count = self.drives.len();
        let others = (1..count).map(|step| Next::Drive((self.used + step) % count));
        let mut all: Vec<Next> = others.collect();
        if is_attended() {
            all.push(Next::Person(Some(name.to_owned())));
        }
        all
    }

    /// The library, which is held as long as it is used only.
    pub(super) fn library(&self) -> Result<Library, JobError> {
        match &self.library {
            Some(library) => Library::open_in_turn(library, &self.state),
            None => Err(JobError::Usage("no library was named".into())),
        }
    }
}

/// Whether somebody sits at a terminal.
fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks the person at the terminal for a volume; false if there will be none.
pub(super) fn ask(drive: &str, volume: Option<&str>) -> bool {
    let volume = volume.map_or_else(|| "the next volume".into(), |name| format!("volume {name}"));
    // Where nobody can hear it, nobody answers either.
    let _ = write!(
        std::io::stderr(),
        "\n{drive}: load {volume}, then press Enter (or q, Enter to stop here): "
    );
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(0) | Err(_) => false,
        Ok(_) => !answer.trim().eq_ignore_ascii_case("q"),
    }
}
