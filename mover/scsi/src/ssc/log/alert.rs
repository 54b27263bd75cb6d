//! TapeAlert: 64 flags by which a drive asks for help.

use super::code;
use crate::spc::log::{LogPage, Parameter};
use crate::wire::ParseError;

/// Flags are numbered from 1 to this.
pub const ALERTS_MAX: u8 = 64;

/// The flags that are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alerts(u64);

impl Alerts {
    /// Those flags; numbers that no flag has are left out.
    pub fn new(flags: impl IntoIterator<Item = u8>) -> Alerts {
        Alerts(
            flags
                .into_iter()
                .filter_map(mask)
                .fold(0, |all, flag| all | flag),
        )
    }

    /// Whether a flag is set.
    pub fn contains(self, flag: u8) -> bool {
        mask(flag).is_some_and(|mask| self.0 & mask != 0)
    }

    /// Whether none is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags that are set, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=ALERTS_MAX).filter(move |&flag| self.contains(flag))
    }

    /// Reads page 2Eh, which has a parameter a flag, or page 12h, which has
    /// all of them in 8 bytes.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<Alerts, ParseError> {
        let page = LogPage::parse(bytes)?;
        match page.code {
            code::ALERT => {
                let set = page
                    .parameters
                    .iter()
                    .filter(|parameter| parameter.value.first().is_some_and(|byte| byte & 1 != 0));
                Ok(Alerts::new(
                    set.flat_map(|parameter| u8::try_from(parameter.code)),
                ))
            }
            code::ALERT_RESPONSE => {
                let value = page
                    .parameter(0)
                    .map(|parameter| parameter.value.as_slice());
                let flags = value.and_then(|value| value.first_chunk());
                Ok(Alerts(flags.map_or(0, |flags| u64::from_be_bytes(*flags))))
            }
            other => Err(ParseError::Field {
                what: "TapeAlert log page",
                field: "PAGE CODE",
                value: other.into(),
            }),
        }
    }

    /// Page 2Eh.
    pub fn alert_page(self) -> LogPage {
        let parameters = (1..=ALERTS_MAX)
            .map(|flag| Parameter::number::<1>(flag.into(), self.contains(flag).into()));
        LogPage::new(code::ALERT, parameters.collect())
    }

    /// Page 12h.
    pub fn response_page(self) -> LogPage {
        LogPage::new(
            code::ALERT_RESPONSE,
            vec![Parameter::number::<8>(0, self.0)],
        )
    }
}

/// Flag 1 is the most significant bit, as page 12h has it.
fn mask(flag: u8) -> Option<u64> {
    (1..=ALERTS_MAX)
        .contains(&flag)
        .then(|| 1 << (ALERTS_MAX - flag))
}

/// What a flag means (SSC-5 annex A, in our words); `None` for reserved and
/// obsolete ones.
pub fn describe_alert(flag: u8) -> Option<&'static str> {
    Some(match flag {
        1 => "read warning: the drive has trouble reading",
        2 => "write warning: the drive has trouble writing",
        3 => "hard error: a read or write could not be corrected",
        4 => "medium: the cartridge can no longer be read or written without errors",
        5 => "read failure: the tape is damaged or the drive is faulty",
        6 => "write failure: the tape is from a faulty batch or the drive is faulty",
        7 => "medium life: the cartridge has reached its end of life",
        8 => "not data grade: the cartridge is not meant for data",
        9 => "write protect: a write to a protected cartridge was tried",
        10 => "medium removal prevented: an unload was tried",
        11 => "cleaning medium: a cleaning cartridge is loaded",
        12 => "unsupported format: the cartridge is of a type that the drive does not know",
        13 => "recoverable mechanical cartridge failure: the tape has snapped and can be ejected",
        14 => "unrecoverable mechanical cartridge failure: the tape has snapped in the drive",
        15 => "memory chip in the cartridge failed",
        16 => "forced eject: the cartridge was ejected by hand while in use",
        17 => "read-only format: the cartridge can only be read in this drive",
        18 => "tape directory corrupted on load: finding files will take longer",
        19 => "nearing medium life: copy the data to another cartridge soon",
        20 => "clean now: the drive needs cleaning",
        21 => "clean periodic: the drive is due for cleaning",
        22 => "expired cleaning cartridge",
        23 => "invalid cleaning cartridge",
        24 => "retension requested",
        25 => "multi-port interface error on a host port",
        26 => "cooling fan failure",
        27 => "power supply failure",
        28 => "power consumption is outside of its limits",
        29 => "drive preventive maintenance required",
        30 => "hardware A: the drive is faulty, reset it",
        31 => "hardware B: the drive is faulty, power-cycle it",
        32 => "primary interface: problem between host and drive",
        33 => "eject medium: eject, insert again, and restart",
        34 => "microcode update failed",
        35 => "drive humidity is outside of its limits",
        36 => "drive temperature is outside of its limits",
        37 => "drive voltage is outside of its limits",
        38 => "predictive failure: a hardware failure of the drive is expected",
        39 => "diagnostics required: the drive may be faulty",
        49 => "diminished native capacity",
        50 => "lost statistics",
        51 => "tape directory invalid at unload: finding files will take longer",
        52 => "tape system area write failure: the data may be unreadable, copy it",
        53 => "tape system area read failure: the data may be unreadable, copy it",
        54 => "no start of data: the tape is damaged, or blank",
        55 => "loading or threading failure",
        56 => "unrecoverable unload failure: the cartridge is stuck",
        57 => "automation interface failure",
        58 => "microcode failure",
        59 => "WORM medium integrity check failed: somebody may have tampered with it",
        60 => "WORM medium overwrite attempted",
        61 => "encryption policy violation",
        _ => return None,
    })
}

/// Whose fault it is what a flag tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// The drive: it should not be used until somebody has seen to it.
    Drive,
    /// The cartridge: nothing more should be written to it.
    Cartridge,
    /// Either of them, both a little, the room's climate, or nobody's.
    Nobody,
}

/// Whose fault it is what a flag tells, where it is somebody's for sure (SSC-5
/// annex A: probable cause and recommended action). Errors of reading and writing
/// (3, 5, 6) may be of either.
pub fn alert_concern(flag: u8) -> Concern {
    match flag {
        // Stuck or snapped in it, broken hardware, diagnostics wanted, microcode.
        14 | 30 | 31 | 39 | 56 | 58 => Concern::Drive,
        // Worn out, snapped, no chip, no system area, tampered with.
        4 | 7 | 13 | 15 | 52 | 53 | 59 => Concern::Cartridge,
        _ => Concern::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flag_1_is_the_top_bit() {
        let alerts = Alerts::new([1, 20, 0, 65, 200]);
        assert_eq!(alerts.iter().collect::<Vec<_>>(), [1, 20]);
        let bytes = alerts.response_page().encode();
        assert_eq!(bytes[..8], [0x12, 0, 0, 12, 0, 0, 3, 8]);
        assert_eq!(bytes[8..], [0x80, 0, 0x10, 0, 0, 0, 0, 0]);
        assert!(Alerts::default().is_empty() && !alerts.is_empty());
        assert!(describe_alert(20).is_some_and(|words| words.contains("cleaning")));
        assert_eq!(describe_alert(0), None);
    }

    #[test]
    fn what_is_somebodys_fault_has_words() {
        let whose = |flag: &u8| alert_concern(*flag) != Concern::Nobody;
        let flags: Vec<u8> = (0..=255).filter(whose).collect();
        assert_eq!(flags, [4, 7, 13, 14, 15, 30, 31, 39, 52, 53, 56, 58, 59]);
        assert!(flags.into_iter().all(|flag| describe_alert(flag).is_some()));
    }

    proptest! {
        #[test]
        fn both_pages_round_trip(flags: u64) {
            let alerts = Alerts(flags);
            prop_assert_eq!(Alerts::parse(&alerts.alert_page().encode()).unwrap(), alerts);
            prop_assert_eq!(Alerts::parse(&alerts.response_page().encode()).unwrap(), alerts);
        }

        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..60),
                                  code in prop::sample::select(vec![0x12, 0x2e])) {
            if let Some(first) = bytes.first_mut() {
                *first = code;
            }
            let _ = Alerts::parse(&bytes);
        }
    }
}
