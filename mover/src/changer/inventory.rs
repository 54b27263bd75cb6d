//! What lies where.

use longhaul_scsi::cdb::Command;
use longhaul_scsi::smc::read_element_status::{
    Element, ElementStatus, ElementType, ReadElementStatus,
};

use super::error::{ChangerError, Trouble};
use super::session::{Changer, is_refused};

const DURING: &str = "READ ELEMENT STATUS";

/// Bytes that one element may take in the answer: 12 of its own, two volume
/// tags of 36, a designator with its header.
const ELEMENT_BYTES: usize = 160;
/// Room for the headers.
const HEADER_BYTES: usize = 64;
/// Most bytes that are asked for: the largest libraries have some ten thousand
/// elements.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A T10 designator: vendor, product, serial number (SPC-5 7.7.6.4).
const T10_SERIAL_AT: usize = 24;

/// What lies where in a library, as its changer says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory(pub Vec<Element>);

impl Inventory {
    /// The element with this address.
    pub fn at(&self, address: u16) -> Option<&Element> {
        self.0.iter().find(|element| element.address == address)
    }

    /// The elements of one kind.
    pub fn of(&self, kind: ElementType) -> impl Iterator<Item = &Element> {
        self.0.iter().filter(move |element| element.kind == kind)
    }

    /// Where the volume of this name is: its barcode, or the first six
    /// characters of it.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn volume(&self, name: &str) -> Result<&Element, Trouble> {
        let named = |element: &&Element| {
            let tag = element.volume_tag.as_deref();
            tag.is_some_and(|tag| tag == name || (name.len() == 6 && tag.get(..6) == Some(name)))
        };
        let found: Vec<_> = self.0.iter().filter(|e| e.full).filter(named).collect();
        match found[..] {
            [element] => Ok(element),
            [] => Err(Trouble::NoVolume(name.to_owned())),
            _ => Err(Trouble::Usage(format!(
                "{name} names several volumes: give a whole barcode"
            ))),
        }
    }

    /// The drive with this serial number, or with this element address.
    ///
    /// # Errors
    /// If the library has no such drive.
    pub fn drive(&self, name: &str) -> Result<&Element, Trouble> {
        let address = name.parse().ok();
        self.of(ElementType::DataTransfer)
            .find(|element| serial_of(element).as_deref() == Some(name))
            .or_else(|| {
                self.of(ElementType::DataTransfer)
                    .find(|element| Some(element.address) == address)
            })
            .ok_or_else(|| {
                let all: Vec<_> = self
                    .of(ElementType::DataTransfer)
                    .map(|e| serial_of(e).unwrap_or_else(|| e.address.to_string()))
                    .collect();
                let all = all.join(", ");
                Trouble::Usage(format!("no drive {name} in the library; it has {all}"))
            })
    }

    /// Where a volume goes that leaves its drive: the slot that it came from if
    /// that is free, else the first free one.
    pub fn home_of(&self, element: &Element) -> Option<u16> {
        let is_free = |slot: &&Element| {
            slot.kind == ElementType::Storage && !slot.full && slot.accessible && !slot.disabled
        };
        let source = element.source.and_then(|address| self.at(address));
        let home = source.filter(is_free);
        home.or_else(|| self.0.iter().find(is_free))
            .map(|slot| slot.address)
    }
}

/// The serial number of the drive in a data transfer element, if the library
/// tells it. Libraries give a T10 designator with the serial number behind
/// vendor and product, or the serial number alone.
pub fn serial_of(element: &Element) -> Option<String> {
    let text = element.device.as_ref()?.as_text()?;
    let serial = text.get(T10_SERIAL_AT..).unwrap_or(&text).trim();
    (!serial.is_empty()).then(|| serial.to_owned())
}

impl Changer {
    /// Asks what lies where, without moving anything where the changer can do
    /// that.
    ///
    /// # Errors
    /// The changer's, or an answer that cannot be read.
    pub fn inventory(&mut self) -> Result<Inventory, ChangerError> {
        let assignment = self.assignment;
        let kinds = [
            (ElementType::Transport, assignment.transport()),
            (ElementType::DataTransfer, assignment.data_transfer()),
            (ElementType::ImportExport, assignment.import_export()),
            (ElementType::Storage, assignment.storage()),
        ];
        let mut elements = Vec::new();
        for (kind, range) in kinds {
            if range.count > 0 {
                elements.extend(self.elements(kind, range.first, range.count)?);
            }
        }
        Ok(Inventory(elements))
    }

    /// The elements of one kind. Libraries refuse what they cannot tell, each
    /// in its own way: then less is asked for.
    fn elements(
        &mut self,
        kind: ElementType,
        first: u16,
        count: u16,
    ) -> Result<Vec<Element>, ChangerError> {
        let ask = |bytes| ReadElementStatus::new(Some(kind), first, count, bytes);
        let is_drive = kind == ElementType::DataTransfer;
        let forms: [&dyn Fn(u32) -> ReadElementStatus; 4] = [
            &|bytes| {
                let cdb = ask(bytes).with_volume_tags().without_motion();
                if is_drive { cdb.with_device_ids() } else { cdb }
            },
            &|bytes| {
                let cdb = ask(bytes).with_volume_tags();
                if is_drive { cdb.with_device_ids() } else { cdb }
            },
            &|bytes| ask(bytes).with_volume_tags(),
            &|bytes| ask(bytes),
        ];
        let mut refusal = None;
        for form in forms {
            match self.status(form, count) {
                Err(error) if is_refused(&error) => refusal = Some(error),
                answer => return answer.map(|status| status.0),
            }
        }
        Err(refusal.expect("some form was refused"))
    }

    /// Asks once, and once more if the answer did not fit.
    fn status(
        &mut self,
        form: &dyn Fn(u32) -> ReadElementStatus,
        count: u16,
    ) -> Result<ElementStatus, ChangerError> {
        let mut room = (HEADER_BYTES + usize::from(count) * ELEMENT_BYTES).min(ANSWER_BYTES_MAX);
        let mut bytes = self.ask(DURING, form(room as u32).cdb(), room)?;
        let needed = ElementStatus::bytes_available(&bytes).unwrap_or(0);
        if needed > room && needed <= ANSWER_BYTES_MAX {
            room = needed;
            bytes = self.ask(DURING, form(room as u32).cdb(), room)?;
        }
        ElementStatus::parse(&bytes).map_err(|error| self.malformed(DURING, &error))
    }
}
