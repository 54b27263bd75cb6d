//! Sense codes that were seen.

use longhaul_scsi::sense::describe;
use longhaul_scsi::transport::Outcome;
use longhaul_scsi::{Doing, Sense, SenseKey, Status, Verdict, verdict};

use crate::capture::text;

const FILE: &str = "sense-observed-real.txt";

/// A code as the capture writes it: 08/14/03.
fn code(word: &str) -> Option<(u8, u8, u8)> {
    let word = word.trim_matches(|c: char| !c.is_ascii_hexdigit());
    let numbers = word.split('/').map(|part| {
        (part.len() == 2)
            .then(|| u8::from_str_radix(part, 16).ok())
            .flatten()
    });
    match numbers.collect::<Option<Vec<_>>>()?[..] {
        [key, asc, ascq] if key < 16 => Some((key, asc, ascq)),
        _ => None,
    }
}

fn codes() -> Vec<(u8, u8, u8)> {
    text(FILE)
        .split(|c: char| c.is_whitespace() || c == ';')
        .filter_map(code)
        .collect()
}

#[test]
fn every_code_seen_survives_both_formats_and_has_words() {
    let codes = codes();
    assert!(codes.len() >= 20, "{codes:x?}");
    for (key, asc, ascq) in codes {
        let sense = Sense::new(SenseKey::from_low_bits(key), asc, ascq);
        assert_eq!(Sense::decode(&sense.encode_fixed()).as_ref(), Ok(&sense));
        assert_eq!(
            Sense::decode(&sense.encode_descriptors()).as_ref(),
            Ok(&sense)
        );
        let of_a_vendor =
            (asc >= 0x80 && asc != 0x82 && asc != 0x83) || (asc < 0x80 && ascq >= 0x80);
        assert!(of_a_vendor || describe(asc, ascq).is_some(), "{sense}");
    }
}

#[test]
fn what_is_done_about_what_was_seen() {
    let cases = [
        ((0x0, 0x00, 0x01), Doing::Read, Verdict::Filemark),
        ((0x3, 0x14, 0x00), Doing::Position, Verdict::NotFound),
        (
            (0x8, 0x14, 0x03),
            Doing::Position,
            Verdict::EndOfDataMissing,
        ),
        ((0x5, 0x4a, 0x00), Doing::Other, Verdict::Refused),
        ((0x4, 0x03, 0x02), Doing::Other, Verdict::DriveDown),
        ((0x2, 0x3a, 0x00), Doing::Other, Verdict::NoMedium),
        ((0x0, 0x82, 0x82), Doing::Write, Verdict::NeedsCleaning),
        ((0x1, 0x83, 0x83), Doing::Write, Verdict::Recovered),
        ((0x6, 0x28, 0x00), Doing::Other, Verdict::IdentityUnknown),
        ((0x6, 0x29, 0x00), Doing::Other, Verdict::PositionUnknown),
        ((0x2, 0x04, 0x12), Doing::Move, Verdict::OperatorNeeded),
        ((0x5, 0x53, 0x03), Doing::Move, Verdict::RemovalPrevented),
        ((0x2, 0x30, 0x03), Doing::Move, Verdict::Wait),
        ((0x3, 0x30, 0x13), Doing::Load, Verdict::IncompatibleMedium),
        ((0x5, 0x3b, 0x90), Doing::Move, Verdict::Refused),
        ((0x5, 0x24, 0x00), Doing::Other, Verdict::Refused),
        ((0x3, 0x53, 0x00), Doing::Load, Verdict::LoadFailed),
    ];
    let seen = codes();
    for ((key, asc, ascq), doing, want) in cases {
        assert!(
            seen.contains(&(key, asc, ascq)),
            "{key:x}/{asc:02x}/{ascq:02x} is not in {FILE}"
        );
        let sense = Sense::new(SenseKey::from_low_bits(key), asc, ascq);
        let outcome = Outcome {
            status: Ok(Status::CheckCondition),
            sense: Some(sense),
            residual: 0,
        };
        assert_eq!(verdict(&outcome, doing), want, "{:?}", outcome.sense);
    }
}
