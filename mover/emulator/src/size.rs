//! Sizes as people write them: `64MiB`, `18TB`, `4096`.

/// Why a size could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No digits, or something else between digits and unit.
    #[error("{0:?} is no size; write digits and a unit, such as 64MiB or 18TB")]
    Malformed(String),
    /// A unit that is not one of ours.
    #[error("{0:?} is no unit; use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB")]
    Unit(String),
    /// Beyond 64 bits.
    #[error("{0:?} is larger than any cartridge")]
    TooLarge(String),
}

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Bytes that `text` stands for. Upper and lower case mean the same.
///
/// # Errors
/// If it is not a whole number with one of the units of [`SizeError::Unit`].
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(SizeError::Malformed(text.to_owned()));
    }
    let unit = unit.trim().to_ascii_lowercase();
    let scale = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale);
    let scale = scale.ok_or_else(|| SizeError::Unit(unit.clone()))?;
    let number: u64 = number
        .parse()
        .map_err(|_| SizeError::TooLarge(text.to_owned()))?;
    number
        .checked_mul(scale)
        .ok_or_else(|| SizeError::TooLarge(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_and_binary_units_differ() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("64 mb"), Ok(64_000_000));
        assert_eq!(parse_size("18TB"), Ok(18_000_000_000_000));
        assert_eq!(parse_size("4096"), Ok(4096));
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(
            parse_size("MiB"),
            Err(SizeError::Malformed("MiB".to_owned()))
        );
        assert_eq!(
            parse_size("5 parsecs"),
            Err(SizeError::Unit("parsecs".to_owned()))
        );
        assert!(matches!(
            parse_size("99999999999TiB"),
            Err(SizeError::TooLarge(_))
        ));
        assert!(matches!(
            parse_size("99999999999999999999"),
            Err(SizeError::TooLarge(_))
        ));
    }
}
