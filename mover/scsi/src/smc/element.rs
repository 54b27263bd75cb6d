//! An element: a place in a library that can hold a volume.

use crate::spc::vpd::Designator;

/// The kind of an element (ELEMENT TYPE CODE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElementType {
    /// 1h: the robot.
    Transport,
    /// 2h: a slot.
    Storage,
    /// 3h: a mail slot.
    ImportExport,
    /// 4h: a drive.
    DataTransfer,
}

impl ElementType {
    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            ElementType::Transport => 1,
            ElementType::Storage => 2,
            ElementType::ImportExport => 3,
            ElementType::DataTransfer => 4,
        }
    }

    /// The kind of that number; `None` for numbers that no kind has.
    pub fn from_code(code: u8) -> Option<ElementType> {
        match code {
            1 => Some(ElementType::Transport),
            2 => Some(ElementType::Storage),
            3 => Some(ElementType::ImportExport),
            4 => Some(ElementType::DataTransfer),
            _ => None,
        }
    }
}

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its kind.
    pub kind: ElementType,
    /// ELEMENT ADDRESS
    pub address: u16,
    /// FULL: a volume is in it.
    pub full: bool,
    /// IMPEXP: the operator put it in (import/export elements).
    pub by_operator: bool,
    /// ACCESS: the robot can reach it.
    pub accessible: bool,
    /// EXENAB: volumes can be exported by it.
    pub exports: bool,
    /// INENAB: volumes can be imported by it.
    pub imports: bool,
    /// EXCEPT, with ASC and ASCQ: something is wrong with it.
    pub exception: Option<(u8, u8)>,
    /// ED: the element is disabled.
    pub disabled: bool,
    /// SOURCE STORAGE ELEMENT ADDRESS, where valid (SVALID).
    pub source: Option<u16>,
    /// PRIMARY VOLUME TAG: the barcode.
    pub volume_tag: Option<String>,
    /// The drive's designator (DVCID).
    pub device: Option<Designator>,
}

impl Element {
    /// An empty element that the robot can reach.
    pub fn new(kind: ElementType, address: u16) -> Element {
        Element {
            kind,
            address,
            full: false,
            by_operator: false,
            accessible: kind != ElementType::Transport,
            exports: kind == ElementType::ImportExport,
            imports: kind == ElementType::ImportExport,
            exception: None,
            disabled: false,
            source: None,
            volume_tag: None,
            device: None,
        }
    }
}
