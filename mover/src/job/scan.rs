//! Scanning: the catalog is built again from the volume alone.

use longhaul_catalog::{Catalog, SetFilter, SetRecord};
use longhaul_format::label::Label;

use super::session::Session;
use super::walkthrough::is_medium;
use super::{JobError, adopt};
use crate::progress::Progress;

/// What a volume holds.
#[derive(Debug)]
pub struct Scanned {
    /// Its label.
    pub label: Label,
    /// The sets that are now in the catalog, by number.
    pub sets: Vec<SetRecord>,
    /// Sets that could not be taken in, and why.
    pub failed: Vec<String>,
}

/// Takes every set of the volume into the catalog.
///
/// # Errors
/// The drive's, the catalog's; a set whose index is damaged fails alone.
pub fn run(
    session: &mut Session,
    catalog: &Catalog,
    progress: &Progress,
) -> Result<Scanned, JobError> {
    let label = session.label()?;
    adopt::volume(catalog, &label)?;
    let found = session.sets(&label)?;
    let (mut sets, mut failed) = (Vec::new(), Vec::new());
    for set in &found {
        match adopt::adopt(session, catalog, &label, set, progress) {
            Ok(record) => sets.push(record),
            Err(JobError::NeedsVolume(what)) => log::warn!("{what}"),
            Err(JobError::Medium(what)) => failed.push(what),
            Err(JobError::Drive(error)) if is_medium(&error) => failed.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    // What the catalog knows and the tape does not have is gone.
    let filter = SetFilter {
        volume: Some(label.uuid),
        ..SetFilter::default()
    };
    for old in catalog.sets(&filter)? {
        let begins_here = old
            .parts
            .first()
            .is_some_and(|part| part.volume == label.uuid);
        if begins_here && failed.is_empty() && !found.iter().any(|set| set.head.set == old.uuid) {
            catalog.remove_set(old.uuid)?;
        }
    }
    Ok(Scanned {
        label,
        sets,
        failed,
    })
}
