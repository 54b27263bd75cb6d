//! What a new library shall be.

use std::path::Path;

use uuid::Uuid;

use super::state::{
    CARTRIDGES_MAX, Cartridge, DRIVES_FIRST, DRIVES_MAX, DriveEntry, MAIL_FIRST, MAIL_SLOTS_MAX,
    Range, SLOTS_MAX, STORAGE_FIRST, State,
};
use super::store::Store;
use crate::clock::ClockMode;
use crate::error::Error;
use crate::medium::{Blank, CAPACITY_DEFAULT, Medium};
use crate::url::Media;

/// Barcodes are a prefix, a number of four digits, and the suffix of LTO-9.
const PREFIX: &str = "LH";
const SUFFIX: &str = "L9";

/// What a new library shall be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Drives, 1 to 64.
    pub drives: u16,
    /// Storage elements, 1 to 4096.
    pub slots: u16,
    /// Import/export elements, up to 64.
    pub mail_slots: u16,
    /// Cartridges: they lie in the first storage elements, and cannot be more
    /// than these.
    pub cartridges: u16,
    /// Bytes until the end of each medium, 1 MiB to 64 TiB.
    pub capacity: u64,
    /// Whether cartridges keep data.
    pub media: Media,
    /// Whose time the drives and the changer keep.
    pub clock: ClockMode,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            drives: 2,
            slots: 20,
            mail_slots: 1,
            cartridges: 10,
            capacity: CAPACITY_DEFAULT,
            media: Media::Keep,
            clock: ClockMode::None,
        }
    }
}

/// Makes the library's folder, its cartridges, and last what tells of them.
pub(super) fn create(dir: &Path, plan: &Plan) -> Result<(), Error> {
    check(dir, plan)?;
    let mut state = state(plan);
    let barcodes = (1..=plan.cartridges).map(|number| format!("{PREFIX}{number:04}{SUFFIX}"));
    for (barcode, element) in barcodes.zip(state.storage.addresses()) {
        state.cartridges.push(Cartridge {
            barcode,
            element: Some(element),
            home: Some(element),
            imported: false,
        });
    }
    let mut store = Store::create(dir, state.clone())?;
    for cartridge in &state.cartridges {
        let blank = Blank {
            capacity: plan.capacity,
            media: plan.media,
            barcode: Some(cartridge.barcode.clone()),
        };
        Medium::create(&store.cartridge_path(&cartridge.barcode), &blank)?;
    }
    match store.keep(state)? {
        super::Kept::Durably => Ok(()),
        super::Kept::Perhaps(error) => Err(error),
    }
}

fn check(dir: &Path, plan: &Plan) -> Result<(), Error> {
    let bounds = [
        ("drives", plan.drives, 1, DRIVES_MAX),
        ("slots", plan.slots, 1, SLOTS_MAX),
        ("mail slots", plan.mail_slots, 0, MAIL_SLOTS_MAX),
        ("cartridges", plan.cartridges, 0, plan.slots),
    ];
    debug_assert!(usize::from(SLOTS_MAX) <= CARTRIDGES_MAX);
    for (what, asked, least, most) in bounds {
        if !(least..=most).contains(&asked) {
            return Err(Error::Impossible {
                path: dir.to_owned(),
                what: format!("{asked} {what}; there can be {least} to {most}"),
            });
        }
    }
    Ok(())
}

fn state(plan: &Plan) -> State {
    let storage = Range {
        first: STORAGE_FIRST,
        count: plan.slots,
    };
    let mail = Range {
        first: MAIL_FIRST,
        count: plan.mail_slots,
    };
    // Serial numbers are new for each library, so that two on one network are
    // told apart; the devices of one differ in their last two digits.
    let id = Uuid::new_v4().simple().to_string()[..8].to_uppercase();
    let serial = |number: u16| format!("LH{id}{number:02}");
    let mut state = State::new(serial(0), plan.clock.to_string(), storage, mail);
    state.data_transfer = Range {
        first: DRIVES_FIRST,
        count: plan.drives,
    };
    state.drives = (1..=plan.drives)
        .map(|number| DriveEntry {
            serial: serial(number),
            faults: None,
        })
        .collect();
    state
}
