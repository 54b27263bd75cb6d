//! Error counters (02h, 03h), and data compression (1Bh).

use super::code;
use crate::spc::log::{LogPage, Parameter};
use crate::wire::ParseError;

/// Pages 02h and 03h: errors since the medium was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorCounters {
    /// 0000h: corrected without substantial delay.
    pub corrected_fast: Option<u64>,
    /// 0001h: corrected with possible delays.
    pub corrected_slow: Option<u64>,
    /// 0002h: rewrites or rereads.
    pub retries: Option<u64>,
    /// 0003h: corrected in all.
    pub corrected: Option<u64>,
    /// 0004h: times that the correction algorithm ran.
    pub corrections_run: Option<u64>,
    /// 0005h: bytes processed, in the vendor's unit.
    pub processed: Option<u64>,
    /// 0006h: not corrected.
    pub uncorrected: Option<u64>,
}

impl ErrorCounters {
    /// Reads page 02h or 03h.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<ErrorCounters, ParseError> {
        let page = LogPage::parse(bytes)?;
        if !matches!(page.code, code::WRITE_ERRORS | code::READ_ERRORS) {
            let (what, field) = ("error counter log page", "PAGE CODE");
            return Err(ParseError::Field {
                what,
                field,
                value: page.code.into(),
            });
        }
        Ok(ErrorCounters {
            corrected_fast: page.number(0),
            corrected_slow: page.number(1),
            retries: page.number(2),
            corrected: page.number(3),
            corrections_run: page.number(4),
            processed: page.number(5),
            uncorrected: page.number(6),
        })
    }

    /// The page of that code.
    pub fn page(&self, code: u8) -> LogPage {
        let counters = [
            self.corrected_fast,
            self.corrected_slow,
            self.retries,
            self.corrected,
            self.corrections_run,
            self.processed,
            self.uncorrected,
        ];
        LogPage::new(code, numbers::<8>((0..).zip(counters)))
    }
}

/// Page 1Bh: Data Compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compression {
    /// 0000h: read compression ratio, times 100.
    pub read_ratio_percent: Option<u64>,
    /// 0001h: write compression ratio, times 100.
    pub write_ratio_percent: Option<u64>,
    /// 0006h and 0007h: bytes from the host. The pages count in 10⁶ bytes,
    /// and the rest apart.
    pub bytes_from_host: Option<u64>,
    /// 0008h and 0009h: bytes written to the medium.
    pub bytes_to_medium: Option<u64>,
    /// 0004h and 0005h: bytes read from the medium.
    pub bytes_from_medium: Option<u64>,
    /// 0002h and 0003h: bytes to the host.
    pub bytes_to_host: Option<u64>,
    /// 0100h: whether data is compressed.
    pub enabled: Option<bool>,
}

const MEGABYTE: u64 = 1_000_000;

impl Compression {
    /// Reads the page.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<Compression, ParseError> {
        let page = LogPage::expect(bytes, code::COMPRESSION)?;
        let bytes_of = |code: u16| {
            let megabytes = page.number(code)?.checked_mul(MEGABYTE)?;
            megabytes.checked_add(page.number(code + 1).unwrap_or(0))
        };
        Ok(Compression {
            read_ratio_percent: page.number(0x0000),
            write_ratio_percent: page.number(0x0001),
            bytes_to_host: bytes_of(0x0002),
            bytes_from_medium: bytes_of(0x0004),
            bytes_from_host: bytes_of(0x0006),
            bytes_to_medium: bytes_of(0x0008),
            enabled: page.number(0x0100).map(|value| value != 0),
        })
    }

    /// The page.
    pub fn page(&self) -> LogPage {
        let ratios = [
            (0x0000, self.read_ratio_percent),
            (0x0001, self.write_ratio_percent),
        ];
        let mut parameters = numbers::<2>(ratios);
        let amounts = [
            (0x0002, self.bytes_to_host),
            (0x0004, self.bytes_from_medium),
            (0x0006, self.bytes_from_host),
            (0x0008, self.bytes_to_medium),
        ];
        for (code, bytes) in amounts {
            let megabytes = bytes.map(|bytes| bytes / MEGABYTE);
            let rest = bytes.map(|bytes| bytes % MEGABYTE);
            parameters.extend(numbers::<4>([(code, megabytes), (code + 1, rest)]));
        }
        parameters.extend(numbers::<1>([(0x0100, self.enabled.map(u64::from))]));
        LogPage::new(code::COMPRESSION, parameters)
    }
}

/// Parameters of those that are known.
pub(super) fn numbers<const BYTES: usize>(
    values: impl IntoIterator<Item = (u16, Option<u64>)>,
) -> Vec<Parameter> {
    let known = values
        .into_iter()
        .filter_map(|(code, value)| Some((code, value?)));
    known
        .map(|(code, value)| Parameter::number::<BYTES>(code, value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..u64::MAX)
    }

    fn amount() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..u64::from(u32::MAX) * MEGABYTE)
    }

    proptest! {
        #[test]
        fn error_counters_round_trip(some in (number(), number(), number(), number()),
                                     others in (number(), number(), number())) {
            let counters = ErrorCounters {
                corrected_fast: some.0,
                corrected_slow: some.1,
                retries: some.2,
                corrected: some.3,
                corrections_run: others.0,
                processed: others.1,
                uncorrected: others.2,
            };
            for code in [code::WRITE_ERRORS, code::READ_ERRORS] {
                prop_assert_eq!(ErrorCounters::parse(&counters.page(code).encode()), Ok(counters));
            }
            prop_assert!(ErrorCounters::parse(&counters.page(4).encode()).is_err());
        }

        #[test]
        fn compression_round_trips(ratios: Option<u8>, enabled: Option<bool>,
                                   some in (amount(), amount(), amount(), amount())) {
            let compression = Compression {
                read_ratio_percent: ratios.map(u64::from),
                write_ratio_percent: ratios.map(|ratio| u64::from(ratio) + 100),
                bytes_from_host: some.0,
                bytes_to_medium: some.1,
                bytes_from_medium: some.2,
                bytes_to_host: some.3,
                enabled,
            };
            prop_assert_eq!(Compression::parse(&compression.page().encode()), Ok(compression));
        }
    }
}
