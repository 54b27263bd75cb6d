//! What the cartridge is and went through: Volume Statistics (17h), Tape
//! Capacity (31h).

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::code;
use super::counters::numbers;
use crate::spc::log::{LogPage, Parameter};
use crate::wire::{self, ParseError, Reader, U16};

/// A number for each partition: partition and value, `None` for "not known".
pub type PartitionCounts = Vec<(u16, Option<u64>)>;

/// Page 17h: Volume Statistics. Amounts in 10⁶ bytes.
///
/// Some drives answer with the values of the *previous* cartridge when none is
/// loaded, and say that they are valid: ask only with a medium in the drive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeStatistics {
    /// 0000h: the page is valid.
    pub valid: Option<bool>,
    /// 0001h: times that the medium was threaded.
    pub threads: Option<u64>,
    /// 0002h: data sets written in its life.
    pub data_sets_written: Option<u64>,
    /// 0003h: recovered write errors.
    pub write_retries: Option<u64>,
    /// 0004h: unrecovered write errors.
    pub write_errors: Option<u64>,
    /// 0007h: data sets read in its life.
    pub data_sets_read: Option<u64>,
    /// 0008h: recovered read errors.
    pub read_retries: Option<u64>,
    /// 0009h: unrecovered read errors.
    pub read_errors: Option<u64>,
    /// 0010h: written in its life.
    pub written_mb: Option<u64>,
    /// 0011h: read in its life.
    pub read_mb: Option<u64>,
    /// 0016h: native capacity of all partitions.
    pub capacity_mb: Option<u64>,
    /// 0017h: used native capacity of all partitions.
    pub used_mb: Option<u64>,
    /// 0040h: the volume's serial number.
    pub serial: Option<String>,
    /// 0041h: the lot it was made in.
    pub lot: Option<String>,
    /// 0042h: the barcode, as the library told the drive.
    pub barcode: Option<String>,
    /// 0043h: who made it.
    pub manufacturer: Option<String>,
    /// 0045h: what it is ("Ultrium-6").
    pub personality: Option<String>,
    /// 0080h: the medium is write protected.
    pub write_protected: Option<bool>,
    /// 0081h: the medium is write-once.
    pub worm: Option<bool>,
    /// 0101h: passes over the beginning of the medium.
    pub beginning_passes: Option<u64>,
    /// 0102h: passes over its middle.
    pub middle_passes: Option<u64>,
    /// 0202h: native capacity.
    pub partition_capacity_mb: PartitionCounts,
    /// 0203h: used native capacity.
    pub partition_used_mb: PartitionCounts,
    /// 0204h: native capacity that is left; not from every vendor.
    pub partition_remaining_mb: PartitionCounts,
}

impl VolumeStatistics {
    /// Reads the page.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<VolumeStatistics, ParseError> {
        let page = LogPage::expect(bytes, code::VOLUME_STATISTICS)?;
        let flag = |code| page.number(code).map(|value| value != 0);
        let partitions = |code| {
            page.parameter(code)
                .map_or(Vec::new(), |parameter| parse_partitions(&parameter.value))
        };
        Ok(VolumeStatistics {
            valid: flag(0x0000),
            threads: page.number(0x0001),
            data_sets_written: page.number(0x0002),
            write_retries: page.number(0x0003),
            write_errors: page.number(0x0004),
            data_sets_read: page.number(0x0007),
            read_retries: page.number(0x0008),
            read_errors: page.number(0x0009),
            written_mb: page.number(0x0010),
            read_mb: page.number(0x0011),
            capacity_mb: page.number(0x0016),
            used_mb: page.number(0x0017),
            serial: page.text(0x0040),
            lot: page.text(0x0041),
            barcode: page.text(0x0042),
            manufacturer: page.text(0x0043),
            personality: page.text(0x0045),
            write_protected: flag(0x0080),
            worm: flag(0x0081),
            beginning_passes: page.number(0x0101),
            middle_passes: page.number(0x0102),
            partition_capacity_mb: partitions(0x0202),
            partition_used_mb: partitions(0x0203),
            partition_remaining_mb: partitions(0x0204),
        })
    }

    /// The page.
    pub fn page(&self) -> LogPage {
        let mut parameters = numbers::<1>([(0x0000, self.valid.map(u64::from))]);
        parameters.extend(numbers::<4>([(0x0001, self.threads)]));
        parameters.extend(numbers::<8>([
            (0x0002, self.data_sets_written),
            (0x0003, self.write_retries),
            (0x0004, self.write_errors),
            (0x0007, self.data_sets_read),
            (0x0008, self.read_retries),
            (0x0009, self.read_errors),
            (0x0010, self.written_mb),
            (0x0011, self.read_mb),
            (0x0016, self.capacity_mb),
            (0x0017, self.used_mb),
        ]));
        parameters.extend(self.text_parameters());
        let write_protected = self.write_protected.map(u64::from);
        parameters.extend(numbers::<1>([(0x0080, write_protected)]));
        parameters.extend(numbers::<1>([(0x0081, self.worm.map(u64::from))]));
        let passes = [
            (0x0101, self.beginning_passes),
            (0x0102, self.middle_passes),
        ];
        parameters.extend(numbers::<4>(passes));
        let partitions = [
            (0x0202, &self.partition_capacity_mb),
            (0x0203, &self.partition_used_mb),
            (0x0204, &self.partition_remaining_mb),
        ];
        for (code, counts) in partitions
            .into_iter()
            .filter(|(_, counts)| !counts.is_empty())
        {
            parameters.push(Parameter::bytes(code, encode_partitions(counts)));
        }
        LogPage::new(code::VOLUME_STATISTICS, parameters)
    }

    fn text_parameters(&self) -> Vec<Parameter> {
        fn texts<const BYTES: usize>(code: u16, value: &Option<String>) -> Option<Parameter> {
            value
                .as_ref()
                .map(|value| Parameter::text::<BYTES>(code, value))
        }
        let parameters = [
            texts::<32>(0x0040, &self.serial),
            texts::<8>(0x0041, &self.lot),
            texts::<32>(0x0042, &self.barcode),
            texts::<8>(0x0043, &self.manufacturer),
            texts::<9>(0x0045, &self.personality),
        ];
        parameters.into_iter().flatten().collect()
    }
}

#[derive(Debug, Clone, Copy, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct PartitionHeader {
    _reserved: u8,
    partition: U16,
}
const _: () = assert!(size_of::<PartitionHeader>() == 3);

/// Partition records: a length that counts from behind itself, a reserved
/// byte, the partition's number, and the value.
fn parse_partitions(bytes: &[u8]) -> PartitionCounts {
    let mut reader = Reader::new("partition record", bytes);
    let mut counts = Vec::new();
    while let Ok(length) = reader.pull::<u8>() {
        let mut record = Reader::new("partition record", reader.take_up_to(length.into()));
        let Ok(header) = record.pull::<PartitionHeader>() else {
            break;
        };
        let value = record.rest();
        let known = value.iter().any(|&byte| byte != 0xff);
        let value = if known { wire::number(value) } else { None };
        counts.push((header.partition.get(), value));
    }
    counts
}

/// Values in 4 bytes, as LTO drives give them; what does not fit is not known.
fn encode_partitions(counts: &PartitionCounts) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &(partition, value) in counts {
        let value = value
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(u32::MAX);
        bytes.extend([7, 0]);
        bytes.extend(partition.to_be_bytes());
        bytes.extend(value.to_be_bytes());
    }
    bytes
}

/// Page 31h: Tape Capacity, in MiB. Partition 1 has zeros where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TapeCapacity {
    /// 0001h, 0002h: what is left in partitions 0 and 1.
    pub remaining_mib: [Option<u64>; 2],
    /// 0003h, 0004h: what they hold.
    pub maximum_mib: [Option<u64>; 2],
}

impl TapeCapacity {
    /// Reads the page.
    ///
    /// # Errors
    /// If there is no header, or it is another page.
    pub fn parse(bytes: &[u8]) -> Result<TapeCapacity, ParseError> {
        let page = LogPage::expect(bytes, code::TAPE_CAPACITY)?;
        Ok(TapeCapacity {
            remaining_mib: [page.number(1), page.number(2)],
            maximum_mib: [page.number(3), page.number(4)],
        })
    }

    /// The page.
    pub fn page(&self) -> LogPage {
        let values = self.remaining_mib.into_iter().chain(self.maximum_mib);
        LogPage::new(code::TAPE_CAPACITY, numbers::<4>((1..).zip(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..u64::from(u32::MAX))
    }

    fn partitions() -> impl Strategy<Value = PartitionCounts> {
        proptest::collection::vec((any::<u16>(), number()), 0..4)
    }

    prop_compose! {
        fn statistics()(flags: (Option<bool>, Option<bool>, Option<bool>),
                        numbers in proptest::collection::vec(number(), 13),
                        text in proptest::option::of("[A-Z0-9]{0,8}"),
                        partitions in (partitions(), partitions(), partitions()))
                        -> VolumeStatistics {
            VolumeStatistics {
                valid: flags.0,
                threads: numbers[0],
                data_sets_written: numbers[1],
                write_retries: numbers[2],
                write_errors: numbers[3],
                data_sets_read: numbers[4],
                read_retries: numbers[5],
                read_errors: numbers[6],
                written_mb: numbers[7],
                read_mb: numbers[8],
                capacity_mb: numbers[9],
                used_mb: numbers[10],
                serial: text.clone(),
                lot: text.clone(),
                barcode: text.clone(),
                manufacturer: text.clone(),
                personality: text,
                write_protected: flags.1,
                worm: flags.2,
                beginning_passes: numbers[11],
                middle_passes: numbers[12],
                partition_capacity_mb: partitions.0,
                partition_used_mb: partitions.1,
                partition_remaining_mb: partitions.2,
            }
        }
    }

    proptest! {
        #[test]
        fn volume_statistics_round_trip(statistics in statistics()) {
            let bytes = statistics.page().encode();
            prop_assert_eq!(VolumeStatistics::parse(&bytes), Ok(statistics));
        }

        #[test]
        fn tape_capacity_round_trips(remaining in (number(), number()),
                                     maximum in (number(), number())) {
            let capacity = TapeCapacity {
                remaining_mib: remaining.into(),
                maximum_mib: maximum.into(),
            };
            prop_assert_eq!(TapeCapacity::parse(&capacity.page().encode()), Ok(capacity));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            parse_partitions(&bytes);
        }
    }
}
