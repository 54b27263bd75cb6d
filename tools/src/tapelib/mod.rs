//! How a library's inventory is named and shown.

use std::fmt::Write;
use std::str::FromStr;

use longhaul_mover::changer::{Inventory, serial_of};
use longhaul_mover::job::JobError;
use longhaul_mover::job::library::Library;
use longhaul_scsi::smc::read_element_status::{Element, ElementType};
use serde_json::{Value, json};

/// What a volume is named by: itself, or the element that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An element's address.
    Element(u16),
    /// A volume's barcode, or its first six characters.
    Volume(String),
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    /// A barcode of digits only that is as short as an address is taken for an
    /// address: library barcodes have six to eight characters.
    fn from_str(text: &str) -> Result<Place, Self::Err> {
        Ok(match text.parse() {
            Ok(address) if text.len() < 6 => Place::Element(address),
            _ => Place::Volume(text.to_owned()),
        })
    }
}

impl Place {
    /// The element's address.
    ///
    /// # Errors
    /// If the library has no such volume.
    pub fn address(&self, library: &mut Library) -> Result<u16, JobError> {
        match self {
            Place::Element(address) => Ok(*address),
            Place::Volume(volume) => library.place_of(volume),
        }
    }
}

/// The inventory for people: a line an element that is a drive, or is full; and
/// how many slots are free.
pub fn table(inventory: &Inventory) -> String {
    let mut out = String::new();
    let mut free = 0;
    let header = ["KIND", "ELEMENT", "VOLUME", "DRIVE", "NOTES"];
    let mut rows = vec![header.map(str::to_owned)];
    for element in &inventory.0 {
        if !element.full && element.kind == ElementType::Storage && element.exception.is_none() {
            free += 1;
            continue;
        }
        rows.push([
            kind(element).to_owned(),
            element.address.to_string(),
            volume(element),
            serial_of(element).unwrap_or_default(),
            notes(element),
        ]);
    }
    let widths = [0, 1, 2, 3].map(|i| rows.iter().map(|row| row[i].len()).max().unwrap_or(0));
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        line.push_str(&row[4]);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let _ = writeln!(out, "{free} free slots");
    out
}

/// The inventory for scripts.
pub fn document(changer: &str, inventory: &Inventory) -> Value {
    let elements: Vec<Value> = inventory
        .0
        .iter()
        .map(|element| {
            json!({
                "kind": kind(element),
                "element": element.address,
                "full": element.full,
                "volume": element.volume_tag,
                "drive": serial_of(element),
                "source": element.source,
                "accessible": element.accessible,
                "exception": element.exception.map(|(asc, ascq)| [asc, ascq]),
            })
        })
        .collect();
    json!({ "changer": changer, "elements": elements })
}

fn kind(element: &Element) -> &'static str {
    match element.kind {
        ElementType::Transport => "hand",
        ElementType::Storage => "slot",
        ElementType::ImportExport => "mail slot",
        ElementType::DataTransfer => "drive",
    }
}

fn volume(element: &Element) -> String {
    match (&element.volume_tag, element.full) {
        (Some(tag), true) => tag.clone(),
        (None, true) => "(no barcode)".into(),
        _ => "-".into(),
    }
}

fn notes(element: &Element) -> String {
    let mut notes = Vec::new();
    if let Some((asc, ascq)) = element.exception {
        notes.push(format!("exception {asc:02X}h/{ascq:02X}h"));
    }
    if element.disabled {
        notes.push("disabled".into());
    }
    if let Some(source) = element.source.filter(|source| *source != element.address) {
        notes.push(format!("from {source}"));
    }
    notes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_is_an_address_and_all_else_a_volume() {
        assert_eq!("1001".parse(), Ok(Place::Element(1001)));
        assert_eq!("000123".parse(), Ok(Place::Volume("000123".into())));
        assert_eq!("LHS001L9".parse(), Ok(Place::Volume("LHS001L9".into())));
    }

    #[test]
    fn the_table_shows_drives_and_what_is_full_and_counts_the_rest() {
        let mut full = Element::new(ElementType::Storage, 1000);
        full.full = true;
        full.volume_tag = Some("LHS001L9".into());
        let drive = Element::new(ElementType::DataTransfer, 500);
        let free = Element::new(ElementType::Storage, 1001);
        let shown = table(&Inventory(vec![drive, full, free]));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "KIND   ELEMENT  VOLUME    DRIVE  NOTES",
                "drive  500      -",
                "slot   1000     LHS001L9",
                "1 free slots",
            ]
        );
    }
}
