//! The device on the bench.

use std::collections::BTreeSet;
use std::time::Duration;

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::Command;
use longhaul_scsi::sense::{Sense, SenseKey};
use longhaul_scsi::spc::basic::TestUnitReady;
use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::spc::mode::ModeSelect6;
use longhaul_scsi::ssc::motion::Rewind;
use longhaul_scsi::ssc::read_position::{Form, LongPosition, Position, ReadPosition};
use longhaul_scsi::ssc::transfer::{Read6, Write6, WriteFilemarks6};
use longhaul_scsi::status::Status;
use longhaul_scsi::timeout;
use longhaul_scsi::transport::{Data, Outcome, Request, Transport};

/// Attentions that may be queued before a command gets through.
const ATTENTIONS_MAX: u32 = 32;
/// How often a drive may say that it is becoming ready, a second apart.
const POLLS_MAX: u32 = 180;

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// The device does not have what the case needs.
    Lacking(String),
    /// The device did something else than the standard says.
    Wrong(String),
}

/// Ends a case that found something else than it should.
macro_rules! must {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::conformance::Gap::Wrong(format!($($what)+)));
        }
    };
}
pub(super) use must;

/// What a command gave.
#[derive(Debug)]
pub struct Answer {
    /// Its name.
    pub name: &'static str,
    /// Status, sense and residual.
    pub outcome: Outcome,
    /// What came in, up to the residual.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// It was GOOD, without anything to say.
    pub fn good(self) -> Result<Vec<u8>, Gap> {
        match (self.outcome.status, &self.outcome.sense) {
            (Ok(Status::Good), None) => Ok(self.bytes),
            (_, Some(sense)) if is_unknown(sense) => {
                Err(Gap::Lacking(format!("{} is not known", self.name)))
            }
            _ => Err(self.wrong("GOOD")),
        }
    }

    /// It was CHECK CONDITION, with this key and code.
    pub fn check(self, key: SenseKey, asc: u8, ascq: u8) -> Result<Sense, Gap> {
        match &self.outcome.sense {
            Some(sense)
                if self.outcome.status == Ok(Status::CheckCondition)
                    && (sense.key, sense.asc, sense.ascq) == (key, asc, ascq) =>
            {
                Ok(sense.clone())
            }
            Some(sense) if is_unknown(sense) && key != SenseKey::IllegalRequest => {
                Err(Gap::Lacking(format!("{} is not known", self.name)))
            }
            _ => Err(self.wrong(&format!("{key:?} {asc:02X}h/{ascq:02X}h"))),
        }
    }

    /// It was refused for another's reservation.
    pub fn conflict(self) -> Result<(), Gap> {
        if self.outcome.status == Ok(Status::ReservationConflict) {
            Ok(())
        } else {
            Err(self.wrong("RESERVATION CONFLICT"))
        }
    }

    /// What was expected, and what came.
    pub fn wrong(&self, expected: &str) -> Gap {
        let Outcome {
            status,
            sense,
            residual,
        } = &self.outcome;
        let status = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let sense = sense.as_ref().map_or(String::new(), |s| format!(", {s}"));
        Gap::Wrong(format!(
            "{}: expected {expected}, got {status}{sense}, residual {residual}",
            self.name
        ))
    }
}

/// INVALID COMMAND OPERATION CODE.
fn is_unknown(sense: &Sense) -> bool {
    (sense.key, sense.asc, sense.ascq) == (SenseKey::IllegalRequest, 0x20, 0)
}

/// A drive with a scratch cartridge, reached by one nexus or several.
pub struct Bench {
    nexuses: Vec<Box<dyn Transport>>,
    /// Whether what is read is what was written.
    pub keeps_data: bool,
    used: BTreeSet<&'static str>,
}

impl Bench {
    /// A drive behind these nexuses.
    pub fn new(nexuses: Vec<Box<dyn Transport>>, keeps_data: bool) -> Bench {
        Bench {
            nexuses,
            keeps_data,
            used: BTreeSet::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        self.used.clear();
    }

    pub(super) fn end(&mut self) -> BTreeSet<&'static str> {
        std::mem::take(&mut self.used)
    }

    /// Attentions taken, variable blocks, at the beginning of the tape.
    pub(super) fn settle(&mut self) -> Result<(), Gap> {
        for nexus in 0..self.nexuses.len() {
            self.calm(nexus)?;
        }
        self.set_block_length(0)?;
        self.rewind()?;
        for nexus in 0..self.nexuses.len() {
            self.calm(nexus)?;
        }
        Ok(())
    }

    /// TEST UNIT READY until it is GOOD.
    pub fn calm(&mut self, nexus: usize) -> Result<(), Gap> {
        let (mut attentions, mut polls) = (0, 0);
        loop {
            let answer = self.command(nexus, TestUnitReady::new());
            match &answer.outcome.sense {
                None => return answer.good().map(drop),
                Some(sense) if sense.key == SenseKey::UnitAttention => attentions += 1,
                Some(sense) if (sense.key, sense.asc) == (SenseKey::NotReady, 0x04) => {
                    polls += 1;
                    std::thread::sleep(Duration::from_secs(1));
                }
                Some(_) => return Err(answer.wrong("GOOD or an attention")),
            }
            if attentions > ATTENTIONS_MAX || polls > POLLS_MAX {
                return Err(answer.wrong("GOOD at last"));
            }
        }
    }

    /// A command without data.
    pub fn command<C: Command>(&mut self, nexus: usize, command: C) -> Answer {
        self.send(nexus, C::NAME, &command, Data::None)
    }

    /// A command that asks for up to `len` bytes.
    pub fn ask<C: Command>(&mut self, nexus: usize, command: C, len: usize) -> Answer {
        let buffer = Buffer::zeroed(len.max(1));
        self.send(nexus, C::NAME, &command, Data::In { buffer, len })
    }

    /// A command that sends bytes.
    pub fn tell<C: Command>(&mut self, nexus: usize, command: C, bytes: &[u8]) -> Answer {
        let data = Data::Out {
            buffer: Buffer::from_slice(bytes),
            len: bytes.len(),
        };
        self.send(nexus, C::NAME, &command, data)
    }

    fn send(
        &mut self,
        nexus: usize,
        name: &'static str,
        command: &impl Command,
        data: Data,
    ) -> Answer {
        self.used.insert(name);
        let cdb = command.cdb();
        let asked = data.len();
        let timeout = timeout::timeout(None, DeviceType::SequentialAccess, cdb.opcode(), None);
        let completion = self.nexuses[nexus].execute(Request { cdb, data, timeout });
        let residual = usize::try_from(completion.outcome.residual).unwrap_or(0);
        let moved = asked - residual.min(asked);
        let buffer = completion.data.into_buffer();
        let bytes = buffer.map(|buffer| buffer[..moved].to_vec());
        Answer {
            name,
            outcome: completion.outcome,
            bytes: bytes.unwrap_or_default(),
        }
    }
}

/// Tape, by the first nexus.
impl Bench {
    /// REWIND.
    pub fn rewind(&mut self) -> Result<(), Gap> {
        self.command(0, Rewind::new(false)).good().map(drop)
    }

    /// WRITE(6) of one block.
    pub fn write(&mut self, block: &[u8]) -> Answer {
        self.tell(0, Write6::variable(block.len() as u32), block)
    }

    /// Blocks that must all be written.
    pub fn write_all(&mut self, blocks: &[Vec<u8>]) -> Result<(), Gap> {
        for block in blocks {
            self.write(block).good()?;
        }
        Ok(())
    }

    /// READ(6) of one block of at most `len` bytes, with SILI.
    pub fn read(&mut self, len: usize) -> Answer {
        self.ask(0, Read6::variable(len as u32, true), len)
    }

    /// Reads a block, which must be this one.
    pub fn expect_block(&mut self, block: &[u8]) -> Result<(), Gap> {
        let room = block.len() + 4096;
        let read = self.read(room).good()?;
        // Where the transport cannot tell a short read's residual, the sense
        // data would have; here SILI suppresses it.
        must!(
            read.len() == block.len() || read.len() == room,
            "a block of {} bytes came back with {}",
            block.len(),
            read.len()
        );
        must!(
            !self.keeps_data || read[..block.len()] == *block,
            "a block came back with other data"
        );
        Ok(())
    }

    /// WRITE FILEMARKS, synchronising.
    pub fn filemarks(&mut self, count: u32) -> Result<(), Gap> {
        let answer = self.command(0, WriteFilemarks6::new(count, false));
        answer.good().map(drop)
    }

    /// READ POSITION, short form.
    pub fn position(&mut self) -> Result<Position, Gap> {
        let bytes = self.ask(0, ReadPosition::new(Form::Short), 20).good()?;
        parsed(Position::parse_short(&bytes))
    }

    /// READ POSITION, long form.
    pub fn long_position(&mut self) -> Result<LongPosition, Gap> {
        let bytes = self.ask(0, ReadPosition::new(Form::Long), 32);
        let bytes = if_known(bytes)?;
        parsed(LongPosition::parse(&bytes))
    }

    /// The tape stands before this object.
    pub fn expect_at(&mut self, object: u64) -> Result<(), Gap> {
        let first = self.position()?.first;
        must!(
            first == Some(object),
            "READ POSITION says {first:?} instead of {object}"
        );
        Ok(())
    }

    /// MODE SELECT(6) of the block length; 0 for variable blocks.
    pub fn set_block_length(&mut self, bytes: u32) -> Result<(), Gap> {
        let [_, a, b, c] = bytes.to_be_bytes();
        // Header: buffered mode 1, a block descriptor of 8 bytes.
        let list = [0, 0, 0x10, 8, 0, 0, 0, 0, 0, a, b, c];
        let answer = self.tell(0, ModeSelect6::new(list.len() as u8, false), &list);
        answer.good().map(drop)
    }
}

/// An answer that a device may refuse as a whole or for a field of it.
pub fn if_known(answer: Answer) -> Result<Vec<u8>, Gap> {
    match &answer.outcome.sense {
        Some(sense) if sense.key == SenseKey::IllegalRequest => {
            Err(Gap::Lacking(format!("{} is refused: {sense}", answer.name)))
        }
        _ => answer.good(),
    }
}

/// Parameter data that must be readable.
pub fn parsed<T>(result: Result<T, longhaul_scsi::ParseError>) -> Result<T, Gap> {
    result.map_err(|error| Gap::Wrong(error.to_string()))
}

/// A block that looks like no other: `len` bytes from a seed.
pub fn block(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
