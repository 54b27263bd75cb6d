//! Records of pax extended headers (POSIX.1-2017, "pax Interchange Format"):
//! `LENGTH KEY=VALUE\n`, where LENGTH counts itself, in decimal.
//!
//! Keys and values are bytes: names that are not UTF-8 and binary attributes
//! stand in them as they are.

use std::io::Write as _;

use thiserror::Error;

use crate::member::Time;

/// The shortest record that [`push_filler`] can write: `12 comment=\n`.
pub const FILLER_MIN: usize = 12;

const NANOS: u32 = 1_000_000_000;

/// Why the body of an extended header can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The record has no length, or none that fits.
    #[error("the record's length is missing, or does not fit the header")]
    Length,
    /// The record has no `=`, or does not end in a newline.
    #[error("the record is not KEY=VALUE and a newline")]
    Form,
    /// The value is not what the key asks for.
    #[error("the value is not a number in range")]
    Value,
}

/// Appends a record.
pub fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    push_head(out, record_len(key.len(), value.len()), key);
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Appends a `comment` of blanks that is exactly `total` bytes long; readers
/// ignore it. `total` is at least [`FILLER_MIN`].
pub fn push_filler(out: &mut Vec<u8>, total: usize) {
    debug_assert!(total >= FILLER_MIN);
    let end = out.len() + total;
    push_head(out, total, b"comment");
    out.resize(end - 1, b' ');
    out.push(b'\n');
}

/// The length of a record with a key and a value of these lengths.
pub fn record_len(key: usize, value: usize) -> usize {
    let rest = key + value + 3; // the blank, the `=` and the newline
    // The length counts its own digits, and may gain one by that.
    let digits = decimal_digits(rest);
    rest + decimal_digits(rest + digits)
}

/// Appends a decimal number without a detour over a string.
pub fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A time as pax wants it: seconds, and a fraction where there is one. The
/// value of `-5.25` is minus five and a quarter.
pub fn push_time(out: &mut Vec<u8>, time: Time) {
    let mut seconds = i128::from(time.seconds);
    let mut nanoseconds = time.nanoseconds;
    if seconds < 0 {
        out.push(b'-');
        seconds = -seconds;
        if nanoseconds > 0 {
            seconds -= 1;
            nanoseconds = NANOS - nanoseconds;
        }
    }
    push_decimal(out, seconds as u64);
    if nanoseconds > 0 {
        // Writing to a Vec can't fail.
        let _ = write!(out, ".{nanoseconds:09}");
    }
}

/// Reads what [`push_time`] writes, and any other decimal; what is finer than
/// a nanosecond is cut off (towards the past, as file systems round).
pub fn parse_time(value: &[u8]) -> Result<Time, RecordError> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let point = digits
        .iter()
        .position(|&byte| byte == b'.')
        .unwrap_or(digits.len());
    let seconds = parse_decimal(&digits[..point])?;
    let fraction = digits.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(RecordError::Value);
    }
    let nanoseconds = (0..9).fold(0, |value: u32, at| {
        value * 10 + u32::from(fraction.get(at).map_or(0, |digit| digit - b'0'))
    });
    let finer = fraction.iter().skip(9).any(|&digit| digit != b'0');
    let total = i128::from(seconds) * i128::from(NANOS) + i128::from(nanoseconds);
    let total = if negative {
        -total - i128::from(finer)
    } else {
        total
    };
    let seconds = i64::try_from(total.div_euclid(i128::from(NANOS)));
    Ok(Time {
        seconds: seconds.map_err(|_| RecordError::Value)?,
        nanoseconds: total.rem_euclid(i128::from(NANOS)) as u32,
    })
}

/// A decimal number without sign; not empty.
pub fn parse_decimal(digits: &[u8]) -> Result<u64, RecordError> {
    if digits.is_empty() {
        return Err(RecordError::Value);
    }
    digits
        .iter()
        .try_fold(0u64, |value, &byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(RecordError::Value)
}

/// The records of an extended header's body, key and value, borrowed from it.
/// After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The records in `body`, which is the header's data without its padding.
    pub fn new(body: &'a [u8]) -> Records<'a> {
        Records { rest: body }
    }

    fn take(&mut self) -> Result<(&'a [u8], &'a [u8]), RecordError> {
        // A length has at most 20 digits; do not look for the blank any further.
        let blank = self.rest.iter().take(21).position(|&byte| byte == b' ');
        let blank = blank.ok_or(RecordError::Length)?;
        let len = parse_decimal(&self.rest[..blank]).map_err(|_| RecordError::Length)?;
        let len = usize::try_from(len).map_err(|_| RecordError::Length)?;
        if len <= blank + 1 || len > self.rest.len() {
            return Err(RecordError::Length);
        }
        let (record, rest) = self.rest.split_at(len);
        let record = record[blank + 1..]
            .strip_suffix(b"\n")
            .ok_or(RecordError::Form)?;
        let equals = record
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or(RecordError::Form)?;
        self.rest = rest;
        Ok((&record[..equals], &record[equals + 1..]))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.take();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

fn push_head(out: &mut Vec<u8>, len: usize, key: &[u8]) {
    push_decimal(out, len as u64);
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
}

fn decimal_digits(value: usize) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_record(&mut out, key, value);
        out
    }

    fn time(seconds: i64, nanoseconds: u32) -> Time {
        Time {
            seconds,
            nanoseconds,
        }
    }

    #[test]
    fn the_length_counts_itself() {
        assert_eq!(record(b"path", b"a"), b"9 path=a\n");
        assert_eq!(record(b"p", b"aaa"), b"8 p=aaa\n");
        assert_eq!(record(b"p", &[b'a'; 93]).len(), 99);
        assert_eq!(record(b"p", &[b'a'; 94]).len(), 101);
    }

    #[test]
    fn times_before_1970_are_the_decimal_that_gnu_tar_reads() {
        let text = |at| {
            let mut out = Vec::new();
            push_time(&mut out, at);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(time(-6, 750_000_000)), "-5.250000000");
        assert_eq!(text(time(-1, 999_999_999)), "-0.000000001");
        assert_eq!(text(time(-5, 0)), "-5");
        assert_eq!(text(time(1, 1)), "1.000000001");
        assert_eq!(parse_time(b"-0.5"), Ok(time(-1, 500_000_000)));
        assert_eq!(parse_time(b"-0.0000000001"), Ok(time(-1, 999_999_999)));
        assert_eq!(parse_time(b"7."), Ok(time(7, 0)));
        for bad in [
            &b""[..],
            b"-",
            b".5",
            b"1.-5",
            b"1e3",
            b"--1",
            b"99999999999999999999",
        ] {
            assert_eq!(parse_time(bad), Err(RecordError::Value));
        }
    }

    #[test]
    fn bad_records_are_named() {
        let first = |body| Records::new(body).next().unwrap();
        assert_eq!(first(b"99 path=a\n"), Err(RecordError::Length));
        assert_eq!(first(b"3 path=a\n"), Err(RecordError::Form));
        assert_eq!(first(b"10 path.a\n"), Err(RecordError::Form));
        assert_eq!(first(b"10 path=ab"), Err(RecordError::Form));
        assert_eq!(first(b"0 =\n"), Err(RecordError::Length));
        assert_eq!(first(b"\0\0\0"), Err(RecordError::Length));
    }

    proptest! {
        #[test]
        fn round_trip(pairs in proptest::collection::vec(
            ("[^=]{1,20}", proptest::collection::vec(any::<u8>(), 0..1100)), 0..5,
        )) {
            let mut body = Vec::new();
            for (key, value) in &pairs {
                push_record(&mut body, key.as_bytes(), value);
            }
            let read: Vec<_> = Records::new(&body).map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), pairs.len());
            for ((key, value), pair) in read.iter().zip(&pairs) {
                prop_assert_eq!((*key, *value), (pair.0.as_bytes(), &pair.1[..]));
            }
        }

        #[test]
        fn a_filler_is_as_long_as_it_was_asked_for(total in FILLER_MIN..3000) {
            let mut body = Vec::new();
            push_filler(&mut body, total);
            prop_assert_eq!(body.len(), total);
            let (key, value) = Records::new(&body).next().unwrap().unwrap();
            prop_assert_eq!(key, b"comment");
            prop_assert!(value.iter().all(|&byte| byte == b' '));
        }

        #[test]
        fn times_round_trip(seconds in any::<i64>(), nanoseconds in 0..NANOS) {
            let mut out = Vec::new();
            push_time(&mut out, time(seconds, nanoseconds));
            prop_assert_eq!(parse_time(&out), Ok(time(seconds, nanoseconds)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Records::new(&body).count() <= body.len());
            let _ = parse_time(&body);
        }

        #[test]
        fn any_text_of_records_is_read_or_refused(body in "[0-9 =a\n]{0,60}") {
            prop_assert!(Records::new(body.as_bytes()).count() <= body.len());
        }
    }
}
