//! Moving a volume.

use longhaul_scsi::cdb::Command;
use longhaul_scsi::smc::motion::MoveMedium;
use longhaul_scsi::smc::read_element_status::{Element, ElementType};
use longhaul_scsi::verdict::{Doing, Executed, Verdict, executed, verdict};

use super::error::{ChangerError, Trouble};
use super::intent::Intent;
use super::inventory::Inventory;
use super::session::{Changer, may_pass};

const DURING: &str = "MOVE MEDIUM";

/// How often a move is tried that has moved nothing.
const MOVES_MAX: u32 = 3;

/// Where a move has left its volume.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    AtSource,
    AtDestination,
    Elsewhere(String),
}

impl Changer {
    /// Carries the volume in `from` to `to`, and gives the inventory behind it.
    ///
    /// # Errors
    /// If there is nothing at `from` or something at `to`; what the changer
    /// says; or the volume is not where it should be afterwards.
    pub fn carry(&mut self, from: u16, to: u16) -> Result<Inventory, ChangerError> {
        let before = self.inventory()?;
        let intent = self.intend(&before, from, to)?;
        self.notebook
            .write(&intent)
            .map_err(|error| self.fail(DURING, Trouble::Note(error)))?;
        let mut tries = 1;
        loop {
            let cdb = MoveMedium::new(self.assignment.transport().first, from, to).cdb();
            let (outcome, _) = self.send(cdb, 0);
            let done = executed(&outcome) == Executed::Yes;
            let verdict = verdict(&outcome, Doing::Move);
            // Whatever it said: where is the volume now?
            let after = self.inventory()?;
            match find(&after, &intent) {
                Found::AtDestination => {
                    if !done {
                        log::warn!("{}: the volume has arrived all the same", self.label);
                    }
                    self.forget();
                    return Ok(after);
                }
                Found::AtSource if !done && passes(verdict) && tries < MOVES_MAX => {
                    tries += 1;
                    std::thread::sleep(self.pause);
                }
                Found::AtSource => {
                    self.forget();
                    return Err(if done {
                        let what = "the changer says that it is done, and has moved nothing";
                        self.fail(DURING, Trouble::Astray(what.into()))
                    } else {
                        self.told(DURING, verdict, &outcome)
                    });
                }
                Found::Elsewhere(place) => return Err(self.fail(DURING, astray(&intent, &place))),
            }
        }
    }

    /// Checks a move against the inventory.
    fn intend(&self, before: &Inventory, from: u16, to: u16) -> Result<Intent, ChangerError> {
        let usage = |what| self.fail(DURING, Trouble::Usage(what));
        let element = |address| {
            before
                .at(address)
                .ok_or_else(|| usage(format!("there is no element {address}")))
        };
        let (source, destination) = (element(from)?, element(to)?);
        if !source.full {
            return Err(usage(format!("{} is empty", name(source))));
        }
        if destination.full {
            let what = format!("{} holds {}", name(destination), volume(destination));
            return Err(self.fail(DURING, Trouble::Occupied(what)));
        }
        Ok(Intent {
            barcode: source.volume_tag.clone(),
            from,
            to,
        })
    }

    /// Looks into the note that a process left which died in a move.
    pub(super) fn reconcile(&mut self) -> Result<(), ChangerError> {
        let pending = self.notebook.pending();
        let Some(intent) = pending.map_err(|error| self.fail(DURING, Trouble::Note(error)))? else {
            return Ok(());
        };
        let place = match find(&self.inventory()?, &intent) {
            Found::AtSource => "it is where it was before".to_owned(),
            Found::AtDestination => "it has arrived".to_owned(),
            Found::Elsewhere(place) => place,
        };
        log::warn!(
            "{}: a process ended while it moved {} from element {} to {}: {place}",
            self.label,
            intent.barcode.as_deref().unwrap_or("a volume"),
            intent.from,
            intent.to
        );
        self.forget();
        Ok(())
    }

    /// A note that stays is compared with the inventory once more, no harm done.
    fn forget(&self) {
        if let Err(error) = self.notebook.clear() {
            log::warn!("{}: the note of the last move stays: {error}", self.label);
        }
    }
}

/// Whether a move that has moved nothing may be tried again.
fn passes(verdict: Verdict) -> bool {
    may_pass(verdict) || matches!(verdict, Verdict::Wait | Verdict::Retry { .. })
}

/// Where the volume of a move is. One without a barcode is known by its places
/// only.
fn find(inventory: &Inventory, intent: &Intent) -> Found {
    let holds = |address| {
        inventory.at(address).is_some_and(|element| {
            element.full && (intent.barcode.is_none() || element.volume_tag == intent.barcode)
        })
    };
    match (holds(intent.from), holds(intent.to)) {
        (false, true) => Found::AtDestination,
        (true, false) => Found::AtSource,
        (true, true) => Found::Elsewhere("it is said to be in two places".into()),
        (false, false) => Found::Elsewhere(
            inventory
                .0
                .iter()
                .find(|element| element.full && element.volume_tag == intent.barcode)
                .map_or("it is nowhere in the library".into(), |element| {
                    format!("it is in {}", name(element))
                }),
        ),
    }
}

fn astray(intent: &Intent, place: &str) -> Trouble {
    let volume = intent.barcode.as_deref().unwrap_or("the volume");
    Trouble::Astray(format!(
        "{volume} was to go from element {} to {}, and {place}: look into the library",
        intent.from, intent.to
    ))
}

/// An element towards people.
pub(crate) fn name(element: &Element) -> String {
    let kind = match element.kind {
        ElementType::Transport => "hand",
        ElementType::Storage => "slot",
        ElementType::ImportExport => "mail slot",
        ElementType::DataTransfer => "drive",
    };
    format!("{kind} {}", element.address)
}

fn volume(element: &Element) -> &str {
    element
        .volume_tag
        .as_deref()
        .unwrap_or("a volume without a barcode")
}
