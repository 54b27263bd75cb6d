//! LOG SENSE: the log pages' parameters (SSC-5 8.3, SPC-5 7.3).

use super::{Command, Drive, Nexus};
use crate::medium::Medium;
use crate::spc::inquiry::VENDOR;
use crate::spc::log::{self, Parameter, alerts, number, text};
use crate::spc::response::Checked;

/// TapeAlert flag 3: hard error.
pub(super) const ALERT_HARD_ERROR: u32 = 3;
/// TapeAlert flag 5: read failure.
pub(super) const ALERT_READ_FAILURE: u32 = 5;
/// TapeAlert flag 6: write failure.
pub(super) const ALERT_WRITE_FAILURE: u32 = 6;
/// TapeAlert flag 9: write protect.
pub(super) const ALERT_WRITE_PROTECT: u32 = 9;

/// What page 00h lists.
const PAGES: [u8; 10] = [0x00, 0x02, 0x03, 0x0c, 0x11, 0x12, 0x17, 0x1b, 0x2e, 0x31];

/// Bytes in megabytes of 10^6.
fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// Bytes in MiB.
fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

impl Drive {
    pub(super) fn log_sense(&mut self, command: &mut Command<'_>) -> Checked<usize> {
        let nexus = command.nexus;
        log::sense(command, &PAGES, |page| self.log_page(page, nexus))
    }

    /// A page's parameters, in ascending order; `None` if there is no such
    /// page.
    fn log_page(&mut self, page: u8, nexus: Nexus) -> Option<Vec<Parameter>> {
        Some(match page {
            0x02 => error_counters(self.counters.written, self.counters.write_errors),
            0x03 => error_counters(self.counters.read, self.counters.read_errors),
            0x0c => self.sequential_access(),
            0x11 => vec![self.device_status()],
            0x12 => vec![alert_response(self.unit.sessions.of(nexus).alerts)],
            0x17 => self.volume_statistics(),
            0x1b => self.compression(),
            // Reading the flags clears them, for this nexus.
            0x2e => alerts(std::mem::take(&mut self.unit.sessions.of(nexus).alerts)),
            0x31 => self.capacity(),
            _ => return None,
        })
    }

    fn tape(&self) -> Option<&Medium> {
        self.medium.as_ref().filter(|_| self.loaded)
    }

    fn sequential_access(&self) -> Vec<Parameter> {
        // Without a medium, capacities are all ones.
        let of = |value: Option<u64>| number(0, value.map_or(u64::MAX, mb), 8).value;
        let capacity = |code, value| Parameter {
            code,
            control: 0x03,
            value: of(value),
        };
        let early = self.tape().map(|_| self.early_warning_at());
        let whole = self.tape().map(Medium::capacity);
        vec![
            number(0x0000, self.counters.written, 8),
            number(0x0001, self.counters.written, 8),
            number(0x0002, self.counters.read, 8),
            number(0x0003, self.counters.read, 8),
            capacity(0x0004, self.tape().map(|_| self.used())),
            capacity(0x0005, early),
            capacity(0x0006, whole.zip(early).map(|(whole, early)| whole - early)),
            capacity(0x0007, self.tape().map(|_| self.position.used)),
            capacity(0x0008, Some(self.buffer.limit())),
            number(0x0100, 0, 8),
        ]
    }

    /// Very high frequency data: is a cartridge there, threaded, protected.
    fn device_status(&self) -> Parameter {
        const CMPR: u8 = 0x10;
        const WRTP: u8 = 0x08;
        const DINIT: u8 = 0x01;
        const MPRSNT: u8 = 0x10;
        const THREADED_AND_MOUNTED: u8 = 0x07;
        let protected = self.medium.as_ref().is_some_and(Medium::write_protected);
        let first = DINIT
            | if self.mode.compresses() { CMPR } else { 0 }
            | if protected { WRTP } else { 0 };
        let second = if self.medium.is_some() { MPRSNT } else { 0 }
            | if self.loaded { THREADED_AND_MOUNTED } else { 0 };
        Parameter {
            code: 0,
            control: 0x03,
            value: vec![first, second, 0, 0],
        }
    }

    fn volume_statistics(&self) -> Vec<Parameter> {
        let Some(medium) = self.tape() else {
            return vec![number(0, 0, 1)];
        };
        let barcode = medium.barcode();
        vec![
            number(0x0000, 1, 1),
            number(0x0001, medium.load_count(), 4),
            number(0x0002, medium.objects(), 8),
            number(0x0003, 0, 4),
            number(0x0004, self.counters.write_errors, 2),
            number(0x0005, 0, 2),
            number(0x0006, 0, 2),
            number(0x0007, medium.bytes_read() >> 20, 8),
            number(0x0008, 0, 4),
            number(0x0009, self.counters.read_errors, 2),
            number(0x000c, 0, 2),
            number(0x000d, 0, 2),
            number(0x000e, mb(self.counters.written), 4),
            number(0x000f, mb(self.counters.read), 4),
            number(0x0010, mb(medium.bytes_written()), 8),
            number(0x0011, mb(medium.bytes_read()), 8),
            number(0x0016, mb(medium.capacity()), 4),
            number(0x0017, mb(self.used()), 4),
            text::<32>(0x0040, medium.serial()),
            text::<8>(0x0041, "EMULATED"),
            text::<32>(0x0042, barcode),
            text::<8>(0x0043, VENDOR),
            text::<4>(0x0044, "0000"),
            text::<9>(0x0045, "Ultrium-9"),
            number(0x0080, u64::from(medium.write_protected()), 1),
            number(0x0081, 0, 1),
            partition(0x0202, mb(medium.capacity())),
            partition(0x0203, mb(self.used())),
            partition(0x0204, mb(medium.capacity().saturating_sub(self.used()))),
        ]
    }

    /// Nothing is compressed, so ratios are 1.00, and both sides are equal.
    fn compression(&self) -> Vec<Parameter> {
        let (read, written) = (self.counters.read, self.counters.written);
        let mut parameters = vec![number(0x0000, 100, 2), number(0x0001, 100, 2)];
        let pairs = [
            (0x0002, read),
            (0x0004, read),
            (0x0006, written),
            (0x0008, written),
        ];
        for (code, bytes) in pairs {
            parameters.push(number(code, mb(bytes), 4));
            parameters.push(number(code + 1, bytes % 1_000_000, 4));
        }
        parameters.push(number(0x0100, u64::from(self.mode.compresses()), 1));
        parameters
    }

    fn capacity(&self) -> Vec<Parameter> {
        let whole = self.tape().map_or(0, Medium::capacity);
        let used = if self.loaded { self.used() } else { 0 };
        vec![
            number(0x0001, mib(whole.saturating_sub(used)), 4),
            number(0x0002, 0, 4),
            number(0x0003, mib(whole), 4),
            number(0x0004, 0, 4),
        ]
    }
}

/// A list with one partition's record: length, partition 0, value.
fn partition(code: u16, value: u64) -> Parameter {
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    let mut record = vec![7, 0, 0, 0];
    record.extend(value.to_be_bytes());
    Parameter {
        code,
        control: 0x03,
        value: record,
    }
}

fn error_counters(bytes: u64, uncorrected: u64) -> Vec<Parameter> {
    let values = [0, 0, 0, 0, 0, bytes, uncorrected];
    (0u16..)
        .zip(values)
        .map(|(code, value)| number(code, value, 8))
        .collect()
}

/// All flags as bits, the first one as the most significant; reading does not
/// clear them.
fn alert_response(flags: u64) -> Parameter {
    number(0, flags.reverse_bits(), 8)
}
