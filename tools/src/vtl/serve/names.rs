//! Names in the kernel's target, made so that each library knows its own.

/// What the names of all libraries' backstores begin with.
pub(super) const PREFIX: &str = "longhaul-";

/// The names of one library.
///
/// All of them come from one number, which comes from what never changes about
/// the library: after a crash the next start knows what was left behind, and
/// touches nobody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names(u64);

impl Names {
    /// The names of the library with this serial number.
    pub(super) fn of(serial: &str) -> Names {
        // FNV-1a: the same everywhere and for ever.
        Names(serial.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// What the name of each backstore begins with.
    pub(super) fn prefix(self) -> String {
        format!("{PREFIX}{:016x}-", self.0)
    }

    /// Whether a backstore of this name is the library's.
    pub(super) fn owns(self, backstore: &str) -> bool {
        backstore.starts_with(&self.prefix())
    }

    /// Of a logical unit on a path, both counted from 0.
    pub(super) fn backstore(self, lun: usize, path: usize) -> String {
        format!("{}{lun}-{path}", self.prefix())
    }

    /// The port of the loopback target: NAA 6h with the kernel target's own
    /// company identifier, "LH" and a 0.
    pub(super) fn loopback_target(self) -> String {
        format!("naa.60014054c4800000{:016x}", self.0)
    }

    /// The port of the loopback target's only initiator.
    pub(super) fn loopback_initiator(self) -> String {
        format!("naa.60014054c4810000{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_have_names_of_their_own_that_never_change() {
        let (a, b) = (Names::of("VT01"), Names::of("VT02"));
        assert_ne!(a.prefix(), b.prefix());
        assert_eq!(a.prefix(), Names::of("VT01").prefix());
        assert!(a.backstore(2, 3).starts_with(&a.prefix()));
        assert_ne!(a.loopback_target(), a.loopback_initiator());
        assert_eq!(a.loopback_target().len(), "naa.".len() + 32);
    }
}
