//! Mode pages of medium changers (SMC-3 7.3).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::is_set;
use crate::spc::mode::Page;
use crate::wire::U16;

/// Page 1Dh: Element Address Assignment. Where a kind has no elements, its
/// count is 0.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct ElementAddressAssignment {
    transport: Range,
    storage: Range,
    import_export: Range,
    data_transfer: Range,
    reserved: [u8; 2],
}
const _: () = assert!(size_of::<ElementAddressAssignment>() == 18);

impl Page for ElementAddressAssignment {
    const CODE: u8 = 0x1d;
    const SUBPAGE: u8 = 0x00;
}

/// First address and number of the elements of a kind.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
struct Range {
    first: U16,
    count: U16,
}

/// The elements of one kind: addresses from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elements {
    /// The first element's address.
    pub first: u16,
    /// How many there are.
    pub count: u16,
}

impl From<Range> for Elements {
    fn from(range: Range) -> Elements {
        Elements {
            first: range.first.get(),
            count: range.count.get(),
        }
    }
}

impl From<Elements> for Range {
    fn from(elements: Elements) -> Range {
        Range {
            first: U16::new(elements.first),
            count: U16::new(elements.count),
        }
    }
}

impl ElementAddressAssignment {
    /// The page of a changer with those elements.
    pub fn new(
        transport: Elements,
        storage: Elements,
        import_export: Elements,
        data_transfer: Elements,
    ) -> ElementAddressAssignment {
        ElementAddressAssignment {
            transport: transport.into(),
            storage: storage.into(),
            import_export: import_export.into(),
            data_transfer: data_transfer.into(),
            reserved: [0; 2],
        }
    }

    /// Medium transport elements: the robot's hands.
    pub fn transport(&self) -> Elements {
        self.transport.into()
    }

    /// Storage elements: slots.
    pub fn storage(&self) -> Elements {
        self.storage.into()
    }

    /// Import/export elements: mail slots.
    pub fn import_export(&self) -> Elements {
        self.import_export.into()
    }

    /// Data transfer elements: drives.
    pub fn data_transfer(&self) -> Elements {
        self.data_transfer.into()
    }
}

/// Page 1Eh: Transport Geometry Parameters, of the first transport element.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct TransportGeometry {
    flags: u8,
    /// MEMBER NUMBER IN TRANSPORT ELEMENT SET
    pub member: u8,
}
const _: () = assert!(size_of::<TransportGeometry>() == 2);

impl Page for TransportGeometry {
    const CODE: u8 = 0x1e;
    const SUBPAGE: u8 = 0x00;
}

impl TransportGeometry {
    /// ROTATE: it can turn media over.
    pub fn rotates(&self) -> bool {
        is_set(self.flags, 0)
    }
}

/// Kinds of element in a capability byte.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
    Default,
)]
#[repr(C)]
pub struct Kinds(u8);

impl Kinds {
    /// Those kinds.
    pub fn new(data_transfer: bool, import_export: bool, storage: bool, transport: bool) -> Kinds {
        let bits = [transport, storage, import_export, data_transfer];
        Kinds(
            bits.iter()
                .rev()
                .fold(0, |byte, &set| byte << 1 | u8::from(set)),
        )
    }

    /// DT: data transfer elements.
    pub fn data_transfer(self) -> bool {
        is_set(self.0, 3)
    }

    /// I/E: import/export elements.
    pub fn import_export(self) -> bool {
        is_set(self.0, 2)
    }

    /// ST: storage elements.
    pub fn storage(self) -> bool {
        is_set(self.0, 1)
    }

    /// MT: medium transport elements.
    pub fn transport(self) -> bool {
        is_set(self.0, 0)
    }
}

/// One row of capabilities: from each kind of element, to which kinds.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct Moves {
    /// From medium transport elements.
    pub transport: Kinds,
    /// From storage elements.
    pub storage: Kinds,
    /// From import/export elements.
    pub import_export: Kinds,
    /// From data transfer elements.
    pub data_transfer: Kinds,
}

/// Page 1Fh: Device Capabilities.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct DeviceCapabilities {
    /// Elements that can hold a volume for long.
    pub stores: Kinds,
    reserved_3: u8,
    /// What MOVE MEDIUM can do.
    pub moves: Moves,
    reserved_8: [u8; 4],
    /// What EXCHANGE MEDIUM can do.
    pub exchanges: Moves,
    reserved_16: [u8; 4],
}
const _: () = assert!(size_of::<DeviceCapabilities>() == 18);

impl Page for DeviceCapabilities {
    const CODE: u8 = 0x1f;
    const SUBPAGE: u8 = 0x00;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let elements = |first, count| Elements { first, count };
        let page = ElementAddressAssignment::new(
            elements(1, 1),
            elements(1000, 40),
            elements(10, 4),
            elements(500, 4),
        );
        let bytes = [0, 1, 0, 1, 3, 0xe8, 0, 40, 0, 10, 0, 4, 1, 0xf4, 0, 4, 0, 0];
        assert_eq!(page.as_bytes(), bytes);
        assert_eq!(page.storage(), elements(1000, 40));
        let kinds = Kinds::new(true, false, true, false);
        assert_eq!(kinds, Kinds(0b1010));
        assert!(kinds.data_transfer() && kinds.storage());
        assert!(!kinds.import_export() && !kinds.transport());
    }
}
