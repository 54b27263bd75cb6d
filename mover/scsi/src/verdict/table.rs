//! The rows: sense key, code, flag and purpose, to what to do.
//!
//! The first row that fits counts. Within a key, single codes stand before
//! ranges, and a row for the whole key comes last, so that every outcome finds
//! one. A deferred error comes before all: whatever its code, the command that
//! it came with was not executed.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{BUSY_DELAY, Doing, Verdict};
use crate::sense::Sense;

/// What to do about sense data.
pub(super) fn look_up(sense: &Sense, doing: Doing) -> Verdict {
    if sense.deferred {
        return Verdict::Deferred;
    }
    ROWS.iter()
        .find(|row| row.fits(sense, doing))
        .map_or(Verdict::UnknownOutcome, |row| row.verdict)
}

struct Row {
    keys: u16,
    codes: RangeInclusive<u16>,
    flag: Flag,
    doing: u8,
    verdict: Verdict,
}

impl Row {
    fn fits(&self, sense: &Sense, doing: Doing) -> bool {
        let code = u16::from_be_bytes([sense.asc, sense.ascq]);
        let flag = match self.flag {
            Flag::Any => true,
            Flag::Filemark => sense.filemark,
            Flag::Eom => sense.eom,
            Flag::Ili => sense.ili,
        };
        self.keys & 1 << sense.key as u16 != 0
            && self.codes.contains(&code)
            && flag
            && self.doing & doing_bit(doing) != 0
    }
}

enum Flag {
    Any,
    Filemark,
    Eom,
    Ili,
}
use Flag::{Any, Eom, Filemark, Ili};

const fn doing_bit(doing: Doing) -> u8 {
    match doing {
        Doing::Read => 0x01,
        Doing::Write => 0x02,
        Doing::Position => 0x04,
        Doing::Load => 0x08,
        Doing::Move => 0x10,
        Doing::Other => 0x20,
    }
}

/// Purposes.
const ALL: u8 = 0x3f;
const WRITE: u8 = doing_bit(Doing::Write);
const READ: u8 = doing_bit(Doing::Read);
const SEEK: u8 = doing_bit(Doing::Read) | doing_bit(Doing::Position);
const MOVE: u8 = doing_bit(Doing::Move);
const OTHER: u8 = doing_bit(Doing::Other);
const STREAM: u8 = WRITE | SEEK;

/// Sense keys, a bit each.
const NO_SENSE: u16 = 1 << 0x0;
const RECOVERED: u16 = 1 << 0x1;
const NOT_READY: u16 = 1 << 0x2;
const MEDIUM: u16 = 1 << 0x3;
const HARDWARE: u16 = 1 << 0x4;
const ILLEGAL: u16 = 1 << 0x5;
const ATTENTION: u16 = 1 << 0x6;
const PROTECT: u16 = 1 << 0x7;
const BLANK: u16 = 1 << 0x8;
const COPY: u16 = 1 << 0xa;
const ABORTED: u16 = 1 << 0xb;
const OVERFLOW: u16 = 1 << 0xd;
const MISCOMPARE: u16 = 1 << 0xe;
const COMPLETED: u16 = 1 << 0xf;
const FAILED: u16 = NOT_READY | MEDIUM | HARDWARE;

const NOW: Verdict = Verdict::Retry {
    after: Duration::ZERO,
};
const SOON: Verdict = Verdict::Retry { after: BUSY_DELAY };

const fn row(
    keys: u16,
    codes: RangeInclusive<u16>,
    flag: Flag,
    doing: u8,
    verdict: Verdict,
) -> Row {
    Row {
        keys,
        codes,
        flag,
        doing,
        verdict,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // 0 NO SENSE and 1 RECOVERED ERROR: executed.
    row(NO_SENSE | RECOVERED, 0x0001..=0x0001, Any, ALL, Verdict::Filemark),
    row(NO_SENSE | RECOVERED, 0x0000..=0x0000, Filemark, ALL, Verdict::Filemark),
    row(NO_SENSE | RECOVERED, 0x0004..=0x0004, Any, ALL, Verdict::BeginningOfPartition),
    row(NO_SENSE | RECOVERED, 0x0005..=0x0005, Any, SEEK, Verdict::EndOfData),
    row(NO_SENSE | RECOVERED, 0x0000..=0xffff, Ili, READ, Verdict::IncorrectLength),
    row(NO_SENSE | RECOVERED, 0x0007..=0x0007, Any, WRITE, Verdict::ProgrammableEarlyWarning),
    row(NO_SENSE | RECOVERED | ATTENTION, 0x0002..=0x0002, Any, WRITE, Verdict::EarlyWarning),
    row(NO_SENSE | RECOVERED, 0x0000..=0xffff, Eom, WRITE, Verdict::EarlyWarning),
    row(NO_SENSE, 0x0016..=0x0016, Any, ALL, Verdict::Wait),
    row(NO_SENSE, 0x0018..=0x001c, Any, ALL, Verdict::Wait),
    row(NO_SENSE, 0x3003..=0x3003, Any, ALL, Verdict::Wait),
    row(NO_SENSE | RECOVERED, 0x0017..=0x0017, Any, ALL, Verdict::NeedsCleaning),
    row(NO_SENSE | RECOVERED, 0x8282..=0x8282, Any, ALL, Verdict::NeedsCleaning),
    row(RECOVERED, 0x3700..=0x3700, Any, ALL, Verdict::ParameterRounded),
    row(NO_SENSE | RECOVERED, 0x5d00..=0x5dff, Any, ALL, Verdict::FailurePredicted),
    row(NO_SENSE, 0x0000..=0x00ff, Any, ALL, Verdict::Good),
    row(NO_SENSE | RECOVERED, 0x0000..=0xffff, Any, ALL, Verdict::Recovered),

    // 2 NOT READY: not executed.
    row(NOT_READY, 0x0017..=0x0017, Any, ALL, Verdict::Wait),
    row(NOT_READY, 0x0400..=0x0400, Any, ALL, Verdict::NeedsLoad),
    row(NOT_READY, 0x0402..=0x0402, Any, ALL, Verdict::NeedsLoad),
    row(NOT_READY, 0x0403..=0x0403, Any, MOVE, Verdict::OperatorNeeded),
    row(NOT_READY, 0x0412..=0x0412, Any, MOVE, Verdict::OperatorNeeded),
    row(NOT_READY, 0x0403..=0x0403, Any, ALL, Verdict::DriveDown),
    row(NOT_READY, 0x0412..=0x0412, Any, ALL, Verdict::DriveDown),
    row(NOT_READY, 0x0420..=0x0422, Any, ALL, Verdict::DriveDown),
    row(NOT_READY, 0x0401..=0x04ff, Any, ALL, Verdict::Wait),
    row(NOT_READY, 0x0800..=0x08ff, Any, ALL, Verdict::UnknownOutcome),
    row(NOT_READY | HARDWARE | BLANK, 0x0b01..=0x0b01, Any, ALL, Verdict::TooHot),
    row(NOT_READY, 0x3003..=0x3003, Any, ALL, Verdict::Wait),
    row(NOT_READY, 0x3000..=0x30ff, Any, ALL, Verdict::IncompatibleMedium),
    row(NOT_READY, 0x3a00..=0x3aff, Any, ALL, Verdict::NoMedium),
    row(NOT_READY, 0x3b11..=0x3b12, Any, ALL, Verdict::OperatorNeeded),
    row(NOT_READY, 0x3e01..=0x3eff, Any, ALL, Verdict::DriveDown),
    row(FAILED | ILLEGAL, 0x5302..=0x5303, Any, ALL, Verdict::RemovalPrevented),
    row(FAILED, 0x5300..=0x5304, Any, ALL, Verdict::LoadFailed),
    row(NOT_READY, 0x0000..=0xffff, Any, ALL, Verdict::Wait),

    // 3 MEDIUM ERROR.
    row(MEDIUM, 0x0002..=0x0002, Any, SEEK, Verdict::EndOfPartition),
    row(MEDIUM, 0x0002..=0x0002, Any, WRITE, Verdict::VolumeFull),
    row(MEDIUM, 0x1400..=0x1404, Any, ALL, Verdict::NotFound),
    row(MEDIUM | HARDWARE | ILLEGAL, 0x3b00..=0x3b00, Any, ALL, Verdict::NotFound),
    row(MEDIUM, 0x3000..=0x30ff, Any, ALL, Verdict::IncompatibleMedium),
    row(MEDIUM, 0x3100..=0x31ff, Any, ALL, Verdict::MediumUnusable),
    row(MEDIUM, 0x3300..=0x3300, Any, ALL, Verdict::MediumUnusable),
    row(MEDIUM, 0x5000..=0x5001, Any, ALL, Verdict::AppendRefused),
    row(MEDIUM | HARDWARE, 0x5100..=0x51ff, Any, ALL, Verdict::MediumUnusable),
    row(MEDIUM | HARDWARE | PROTECT, 0x5200..=0x52ff, Any, ALL, Verdict::MediumUnusable),
    row(MEDIUM, 0x0000..=0xffff, Any, ALL, Verdict::MediumError),

    // 4 HARDWARE ERROR. 10/04 tells that data in the buffer is spoilt.
    row(HARDWARE | ABORTED, 0x1001..=0x1001, Any, ALL, Verdict::ProtectionFailed),
    row(HARDWARE, 0x1004..=0x1004, Any, ALL, Verdict::DriveDown),
    row(HARDWARE, 0x3b08..=0x3b08, Any, ALL, Verdict::NotFound),
    row(HARDWARE, 0x0000..=0xffff, Any, ALL, Verdict::DriveDown),

    // 5 ILLEGAL REQUEST: not executed.
    row(ILLEGAL, 0x200c..=0x200c, Any, ALL, Verdict::NotAppendOnly),
    row(ILLEGAL | PROTECT, 0x2610..=0x2610, Any, ALL, Verdict::KeyRefused),
    row(ILLEGAL, 0x2c0b..=0x2c0b, Any, ALL, Verdict::Fenced),
    row(ILLEGAL, 0x3000..=0x30ff, Any, ALL, Verdict::IncompatibleMedium),
    row(ILLEGAL, 0x3b0d..=0x3b0e, Any, ALL, Verdict::InventoryChanged),
    row(ILLEGAL, 0x3b11..=0x3b12, Any, ALL, Verdict::OperatorNeeded),
    row(ILLEGAL, 0x0000..=0xffff, Any, ALL, Verdict::Refused),

    // 6 UNIT ATTENTION: not executed. What is not known may be anything, so
    // the position is not known any more either.
    row(ATTENTION, 0x2800..=0x2800, Any, ALL, Verdict::IdentityUnknown),
    row(ATTENTION, 0x2801..=0x28ff, Any, ALL, Verdict::InventoryChanged),
    row(ATTENTION, 0x2900..=0x29ff, Any, ALL, Verdict::PositionUnknown),
    row(ATTENTION, 0x2a00..=0x2a01, Any, ALL, Verdict::ModesChanged),
    row(ATTENTION, 0x2a02..=0x2a02, Any, ALL, NOW),
    row(ATTENTION, 0x2a03..=0x2a05, Any, ALL, Verdict::Fenced),
    row(ATTENTION, 0x2a06..=0x2a10, Any, ALL, NOW),
    row(ATTENTION | PROTECT, 0x2a11..=0x2a13, Any, ALL, Verdict::EncryptionChanged),
    row(ATTENTION, 0x2a14..=0x2a14, Any, ALL, NOW),
    row(ATTENTION, 0x2a15..=0x2a15, Any, ALL, Verdict::Fenced),
    row(ATTENTION, 0x2f00..=0x2fff, Any, ALL, Verdict::CommandsCleared),
    row(ATTENTION, 0x3b00..=0x3bff, Any, ALL, Verdict::InventoryChanged),
    row(ATTENTION, 0x3f00..=0x3fff, Any, ALL, Verdict::TargetChanged),
    row(ATTENTION, 0x5302..=0x5303, Any, ALL, Verdict::RemovalPrevented),
    row(ATTENTION, 0x5a00..=0x5a01, Any, ALL, Verdict::RemovalRequested),
    row(ATTENTION, 0x5d00..=0x5dff, Any, ALL, Verdict::FailurePredicted),
    row(ATTENTION, 0x0000..=0xffff, Any, ALL, Verdict::PositionUnknown),

    // 7 DATA PROTECT: not executed.
    row(PROTECT, 0x3000..=0x3000, Any, ALL, Verdict::AppendRefused),
    row(PROTECT, 0x300c..=0x300d, Any, ALL, Verdict::AppendRefused),
    row(PROTECT, 0x3001..=0x30ff, Any, ALL, Verdict::IncompatibleMedium),
    row(PROTECT, 0x5000..=0x50ff, Any, ALL, Verdict::AppendRefused),
    row(PROTECT, 0x7400..=0x74ff, Any, ALL, Verdict::KeyRefused),
    row(PROTECT, 0x2700..=0x27ff, Any, ALL, Verdict::WriteProtected),
    row(PROTECT, 0x5a02..=0x5a02, Any, ALL, Verdict::WriteProtected),
    row(PROTECT, 0x0000..=0xffff, Any, WRITE, Verdict::WriteProtected),
    row(PROTECT, 0x0000..=0xffff, Any, ALL, Verdict::Refused),

    // 8 BLANK CHECK. A write that meets it stands where a write-once medium
    // may not be written.
    row(BLANK, 0x1400..=0x14ff, Any, ALL, Verdict::EndOfDataMissing),
    row(BLANK, 0x0000..=0xffff, Any, WRITE, Verdict::AppendRefused),
    row(BLANK, 0x0000..=0xffff, Any, ALL, Verdict::EndOfData),

    // A COPY ABORTED, B ABORTED COMMAND. Overlapped commands: a second program
    // speaks through our nexus.
    row(COPY, 0x0000..=0xffff, Any, ALL, Verdict::Refused),
    row(ABORTED, 0x4e00..=0x4e00, Any, ALL, Verdict::Fenced),
    row(ABORTED, 0x0000..=0xffff, Any, OTHER, SOON),
    row(ABORTED, 0x0000..=0xffff, Any, ALL, Verdict::UnknownOutcome),

    // D VOLUME OVERFLOW, E MISCOMPARE, F COMPLETED.
    row(OVERFLOW, 0x0000..=0xffff, Any, STREAM, Verdict::VolumeFull),
    row(MISCOMPARE, 0x0000..=0xffff, Any, ALL, Verdict::MediumError),
    row(COMPLETED, 0x0000..=0xffff, Any, ALL, Verdict::Good),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sense::SenseKey;
    use Doing::{Load, Move, Other, Position, Read, Write};

    /// An example for each row, in the order of the rows: key, code, purpose.
    /// Where a row wants a flag, [`flagged`] has the example.
    #[rustfmt::skip]
    const EXAMPLES: &[(u8, u16, Doing, Verdict)] = &[
        (0x0, 0x0001, Read, Verdict::Filemark),
        (0x1, 0x0001, Position, Verdict::Filemark),
        (0x0, 0x0004, Position, Verdict::BeginningOfPartition),
        (0x0, 0x0005, Position, Verdict::EndOfData),
        (0x0, 0x0007, Write, Verdict::ProgrammableEarlyWarning),
        (0x0, 0x0002, Write, Verdict::EarlyWarning),
        (0x6, 0x0002, Write, Verdict::EarlyWarning),
        (0x0, 0x0016, Other, Verdict::Wait),
        (0x0, 0x001a, Other, Verdict::Wait),
        (0x0, 0x3003, Other, Verdict::Wait),
        (0x1, 0x0017, Write, Verdict::NeedsCleaning),
        (0x0, 0x0017, Read, Verdict::NeedsCleaning),
        (0x0, 0x8282, Write, Verdict::NeedsCleaning),
        (0x1, 0x3700, Other, Verdict::ParameterRounded),
        (0x1, 0x5d00, Write, Verdict::FailurePredicted),
        (0x0, 0x0000, Read, Verdict::Good),
        (0x1, 0x1701, Read, Verdict::Recovered),
        (0x1, 0x8383, Write, Verdict::Recovered),
        (0x2, 0x0017, Write, Verdict::Wait),
        (0x2, 0x0400, Other, Verdict::NeedsLoad),
        (0x2, 0x0402, Other, Verdict::NeedsLoad),
        (0x2, 0x0403, Move, Verdict::OperatorNeeded),
        (0x2, 0x0412, Move, Verdict::OperatorNeeded),
        (0x2, 0x0403, Load, Verdict::DriveDown),
        (0x2, 0x0412, Other, Verdict::DriveDown),
        (0x2, 0x0422, Other, Verdict::DriveDown),
        (0x2, 0x0401, Load, Verdict::Wait),
        (0x2, 0x0404, Load, Verdict::Wait),
        (0x2, 0x0407, Position, Verdict::Wait),
        (0x2, 0x0413, Other, Verdict::Wait),
        (0x2, 0x0801, Write, Verdict::UnknownOutcome),
        (0x2, 0x0b01, Write, Verdict::TooHot),
        (0x8, 0x0b01, Write, Verdict::TooHot),
        (0x2, 0x3003, Move, Verdict::Wait),
        (0x2, 0x3000, Load, Verdict::IncompatibleMedium),
        (0x2, 0x3a00, Write, Verdict::NoMedium),
        (0x2, 0x3a02, Write, Verdict::NoMedium),
        (0x2, 0x3a04, Write, Verdict::NoMedium),
        (0x2, 0x3b12, Move, Verdict::OperatorNeeded),
        (0x2, 0x3e01, Other, Verdict::DriveDown),
        (0x5, 0x5302, Load, Verdict::RemovalPrevented),
        (0x5, 0x5303, Move, Verdict::RemovalPrevented),
        (0x2, 0x5300, Load, Verdict::LoadFailed),
        (0x3, 0x5304, Load, Verdict::LoadFailed),
        (0x4, 0x5301, Load, Verdict::LoadFailed),
        (0x2, 0x3e00, Other, Verdict::Wait),
        (0x3, 0x0002, Read, Verdict::EndOfPartition),
        (0x3, 0x0002, Write, Verdict::VolumeFull),
        (0x3, 0x1400, Position, Verdict::NotFound),
        (0x3, 0x3b00, Position, Verdict::NotFound),
        (0x4, 0x3b00, Position, Verdict::NotFound),
        (0x5, 0x3b00, Position, Verdict::NotFound),
        (0x3, 0x3002, Read, Verdict::IncompatibleMedium),
        (0x3, 0x3101, Read, Verdict::MediumUnusable),
        (0x3, 0x3300, Read, Verdict::MediumUnusable),
        (0x3, 0x5000, Write, Verdict::AppendRefused),
        (0x3, 0x5100, Write, Verdict::MediumUnusable),
        (0x4, 0x5100, Write, Verdict::MediumUnusable),
        (0x7, 0x5200, Write, Verdict::MediumUnusable),
        (0x3, 0x0c00, Write, Verdict::MediumError),
        (0x3, 0x0302, Write, Verdict::MediumError),
        (0x3, 0x1100, Read, Verdict::MediumError),
        (0x4, 0x1001, Write, Verdict::ProtectionFailed),
        (0x4, 0x1004, Write, Verdict::DriveDown),
        (0x4, 0x3b08, Position, Verdict::NotFound),
        (0x4, 0x4400, Write, Verdict::DriveDown),
        (0x4, 0x0302, Other, Verdict::DriveDown),
        (0x4, 0x1501, Position, Verdict::DriveDown),
        (0x5, 0x200c, Other, Verdict::NotAppendOnly),
        (0x7, 0x2610, Read, Verdict::KeyRefused),
        (0x5, 0x2c0b, Write, Verdict::Fenced),
        (0x5, 0x3005, Write, Verdict::IncompatibleMedium),
        (0x5, 0x3b0d, Move, Verdict::InventoryChanged),
        (0x5, 0x3b0e, Move, Verdict::InventoryChanged),
        (0x5, 0x3b11, Move, Verdict::OperatorNeeded),
        (0x5, 0x2400, Other, Verdict::Refused),
        (0x5, 0x2000, Write, Verdict::Refused),
        (0x5, 0x2c00, Write, Verdict::Refused),
        (0x6, 0x2800, Write, Verdict::IdentityUnknown),
        (0x6, 0x2801, Move, Verdict::InventoryChanged),
        (0x6, 0x2900, Write, Verdict::PositionUnknown),
        (0x6, 0x2907, Write, Verdict::PositionUnknown),
        (0x6, 0x2a01, Write, Verdict::ModesChanged),
        (0x6, 0x2a02, Write, NOW),
        (0x6, 0x2a03, Write, Verdict::Fenced),
        (0x6, 0x2a04, Write, Verdict::Fenced),
        (0x6, 0x2a05, Write, Verdict::Fenced),
        (0x6, 0x2a10, Write, NOW),
        (0x6, 0x2a11, Write, Verdict::EncryptionChanged),
        (0x6, 0x2a12, Write, Verdict::EncryptionChanged),
        (0x7, 0x2a13, Write, Verdict::EncryptionChanged),
        (0x6, 0x2a14, Write, NOW),
        (0x6, 0x2a15, Write, Verdict::Fenced),
        (0x6, 0x2f00, Write, Verdict::CommandsCleared),
        (0x6, 0x3b13, Move, Verdict::InventoryChanged),
        (0x6, 0x3f0e, Write, Verdict::TargetChanged),
        (0x6, 0x5302, Load, Verdict::RemovalPrevented),
        (0x6, 0x5a01, Write, Verdict::RemovalRequested),
        (0x6, 0x5d00, Write, Verdict::FailurePredicted),
        (0x6, 0x9999, Write, Verdict::PositionUnknown),
        (0x7, 0x3000, Write, Verdict::AppendRefused),
        (0x7, 0x300c, Write, Verdict::AppendRefused),
        (0x7, 0x3005, Write, Verdict::IncompatibleMedium),
        (0x7, 0x5001, Write, Verdict::AppendRefused),
        (0x7, 0x7403, Read, Verdict::KeyRefused),
        (0x7, 0x2700, Write, Verdict::WriteProtected),
        (0x7, 0x5a02, Other, Verdict::WriteProtected),
        (0x7, 0x0000, Write, Verdict::WriteProtected),
        (0x7, 0x0000, Read, Verdict::Refused),
        (0x8, 0x1403, Position, Verdict::EndOfDataMissing),
        (0x8, 0x1401, Position, Verdict::EndOfDataMissing),
        (0x8, 0x0000, Write, Verdict::AppendRefused),
        (0x8, 0x0005, Read, Verdict::EndOfData),
        (0xa, 0x0000, Other, Verdict::Refused),
        (0xb, 0x4e00, Write, Verdict::Fenced),
        (0xb, 0x4700, Other, SOON),
        (0xb, 0x4b06, Write, Verdict::UnknownOutcome),
        (0xb, 0x0801, Read, Verdict::UnknownOutcome),
        (0xb, 0x1001, Write, Verdict::ProtectionFailed),
        (0xd, 0x0002, Write, Verdict::VolumeFull),
        (0xe, 0x1d00, Read, Verdict::MediumError),
        (0xf, 0x0000, Write, Verdict::Good),
        (0x9, 0x8000, Write, Verdict::UnknownOutcome),
    ];

    fn sense(key: u8, code: u16) -> Sense {
        let [asc, ascq] = code.to_be_bytes();
        Sense::new(SenseKey::from_low_bits(key), asc, ascq)
    }

    /// Examples that need a flag.
    fn flagged() -> Vec<(Sense, Doing, Verdict)> {
        let plain = sense(0, 0);
        vec![
            (plain.clone().with_filemark(), Read, Verdict::Filemark),
            (plain.clone().with_ili(), Read, Verdict::IncorrectLength),
            (plain.clone().with_eom(), Write, Verdict::EarlyWarning),
            (sense(1, 0x0c00).with_eom(), Write, Verdict::EarlyWarning),
            (plain.clone().with_eom(), Read, Verdict::Good),
            (
                sense(0, 7).with_eom(),
                Write,
                Verdict::ProgrammableEarlyWarning,
            ),
        ]
    }

    fn examples() -> impl Iterator<Item = (Sense, Doing, Verdict)> {
        let plain = EXAMPLES
            .iter()
            .map(|&(key, code, doing, want)| (sense(key, code), doing, want));
        plain.chain(flagged())
    }

    #[test]
    fn every_example_gets_its_verdict() {
        for (sense, doing, want) in examples() {
            assert_eq!(look_up(&sense, doing), want, "{sense}, doing {doing:?}");
        }
    }

    #[test]
    fn every_row_has_an_example_that_it_alone_decides() {
        let mut used = vec![false; ROWS.len()];
        for (sense, doing, _) in examples() {
            if let Some(row) = ROWS.iter().position(|row| row.fits(&sense, doing)) {
                used[row] = true;
            }
        }
        let unused = used.iter().enumerate().filter(|(_, used)| !**used);
        let unused = unused
            .map(|(row, _)| ROWS[row].codes.clone())
            .collect::<Vec<_>>();
        assert_eq!(unused, Vec::<RangeInclusive<u16>>::new());
    }

    #[test]
    fn every_deferred_error_is_about_what_was_written_before() {
        for (sense, doing, _) in examples() {
            assert_eq!(look_up(&sense.deferred(), doing), Verdict::Deferred);
        }
    }
}
