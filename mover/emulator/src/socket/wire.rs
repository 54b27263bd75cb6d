//! The messages, as bytes. All lengths are checked before anything is taken
//! into memory.

use std::io::{self, Read, Write};

use longhaul_scsi::sense::Sense;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::TransportError;

/// Most bytes of data that a command moves: twice the longest block.
pub const DATA_BYTES_MAX: usize = 16 << 20;
/// Longest CDB.
const CDB_BYTES_MAX: usize = 32;
/// Longest serial number.
pub(super) const SERIAL_BYTES_MAX: usize = 32;
/// Longest name of an initiator: as of an iSCSI one.
pub(super) const INITIATOR_BYTES_MAX: usize = 223;

const MAGIC: [u8; 8] = *b"LHVTL\0\0\x01";

/// Who the client is, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub pid: u32,
    pub serial: String,
    pub initiator: String,
}

impl Hello {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (serial, initiator) = (self.serial.as_bytes(), self.initiator.as_bytes());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.pid.to_be_bytes());
        bytes.push(length(serial.len(), SERIAL_BYTES_MAX)?);
        bytes.push(length(initiator.len(), INITIATOR_BYTES_MAX)?);
        bytes.extend([serial, initiator].concat());
        to.write_all(&bytes)
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Hello> {
        let head: [u8; 14] = array(from)?;
        if head[..8] != MAGIC {
            return Err(wrong("it does not greet as a client of this version"));
        }
        let pid = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        Ok(Hello {
            pid,
            serial: text(from, head[12], SERIAL_BYTES_MAX)?,
            initiator: text(from, head[13], INITIATOR_BYTES_MAX)?,
        })
    }
}

/// The server's answer to a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Welcome {
    Open,
    NoSuchDevice,
    /// By this process.
    InUse(u32),
    TooMany,
    NotUnderstood,
}

impl Welcome {
    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let (code, pid) = match self {
            Welcome::Open => (0, 0),
            Welcome::NoSuchDevice => (1, 0),
            Welcome::InUse(pid) => (2, pid),
            Welcome::TooMany => (3, 0),
            Welcome::NotUnderstood => (4, 0),
        };
        let mut bytes = vec![code];
        bytes.extend(u32::to_be_bytes(pid));
        to.write_all(&bytes)
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Welcome> {
        let [code, pid @ ..]: [u8; 5] = array(from)?;
        Ok(match code {
            0 => Welcome::Open,
            1 => Welcome::NoSuchDevice,
            2 => Welcome::InUse(u32::from_be_bytes(pid)),
            3 => Welcome::TooMany,
            4 => Welcome::NotUnderstood,
            _ => return Err(wrong("it does not greet as a server of this version")),
        })
    }
}

/// What stands before a command's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommandHead {
    pub cdb: usize,
    pub data_out: usize,
    pub data_in: usize,
}

/// A command's bytes, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct CommandBytes {
    pub cdb: Vec<u8>,
    pub data_out: Vec<u8>,
    /// As long as the room for data in.
    pub data_in: Vec<u8>,
}

impl CommandHead {
    pub(super) const BYTES: usize = 9;

    pub(super) fn write(self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = vec![length(self.cdb, CDB_BYTES_MAX)?];
        bytes.extend((self.data_out as u32).to_be_bytes());
        bytes.extend((self.data_in as u32).to_be_bytes());
        to.write_all(&bytes)
    }

    pub(super) fn parse(bytes: [u8; CommandHead::BYTES]) -> io::Result<CommandHead> {
        let [cdb, o0, o1, o2, o3, i0, i1, i2, i3] = bytes;
        let head = CommandHead {
            cdb: usize::from(cdb),
            data_out: u32::from_be_bytes([o0, o1, o2, o3]) as usize,
            data_in: u32::from_be_bytes([i0, i1, i2, i3]) as usize,
        };
        if !(1..=CDB_BYTES_MAX).contains(&head.cdb) {
            return Err(wrong("a CDB of an impossible length"));
        }
        if head.data_out.max(head.data_in) > DATA_BYTES_MAX {
            return Err(wrong("a command that moves too much"));
        }
        Ok(head)
    }

    /// Takes the rest of the command.
    pub(super) fn fill(self, from: &mut impl Read, into: &mut CommandBytes) -> io::Result<()> {
        into.cdb.resize(self.cdb, 0);
        from.read_exact(&mut into.cdb)?;
        into.data_out.resize(self.data_out, 0);
        from.read_exact(&mut into.data_out)?;
        // Of what an earlier command left, nothing is sent: only what moves is.
        into.data_in.resize(self.data_in, 0);
        Ok(())
    }
}

/// How a command ended, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: Result<Status, TransportError>,
    pub sense: Option<Sense>,
    pub moved: usize,
}

impl Answer {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, code) = match self.status {
            Ok(status) => (0, status.into()),
            Err(error) => (1, code_of(error)),
        };
        let sense = self.sense.as_ref().map(Sense::encode_fixed);
        let sense = sense.as_ref().map_or(&[][..], |sense| sense);
        let mut bytes = vec![kind, code, sense.len() as u8];
        bytes.extend((self.moved as u32).to_be_bytes());
        bytes.extend(sense);
        to.write_all(&bytes)
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Answer> {
        let [kind, code, sense, m0, m1, m2, m3]: [u8; 7] = array(from)?;
        let status = match kind {
            0 => Ok(Status::from(code)),
            1 => Err(error_of(code)),
            _ => return Err(wrong("an answer of an impossible kind")),
        };
        let moved = u32::from_be_bytes([m0, m1, m2, m3]) as usize;
        if moved > DATA_BYTES_MAX {
            return Err(wrong("an answer that moves too much"));
        }
        let mut bytes = vec![0; usize::from(sense)];
        from.read_exact(&mut bytes)?;
        let sense = match bytes.is_empty() {
            true => None,
            false => Some(Sense::decode(&bytes).map_err(|_| wrong("sense data that is none"))?),
        };
        Ok(Answer {
            status,
            sense,
            moved,
        })
    }
}

fn code_of(error: TransportError) -> u8 {
    match error {
        TransportError::NoConnect => 0,
        TransportError::TimedOut => 1,
        TransportError::NotSent => 3,
        TransportError::TooLarge => 4,
        // That it is unknown what happened is what all others have in common.
        _ => 2,
    }
}

fn error_of(code: u8) -> TransportError {
    match code {
        0 => TransportError::NoConnect,
        1 => TransportError::TimedOut,
        3 => TransportError::NotSent,
        4 => TransportError::TooLarge,
        _ => TransportError::Disrupted,
    }
}

fn length(bytes: usize, most: usize) -> io::Result<u8> {
    let fits = (1..=most).contains(&bytes);
    let length = u8::try_from(bytes).ok().filter(|_| fits);
    length.ok_or_else(|| wrong("a name or CDB of an impossible length"))
}

fn text(from: &mut impl Read, bytes: u8, most: usize) -> io::Result<String> {
    length(usize::from(bytes), most)?;
    let mut text = vec![0; usize::from(bytes)];
    from.read_exact(&mut text)?;
    String::from_utf8(text).map_err(|_| wrong("a name that is not UTF-8"))
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_scsi::sense::SenseKey;
    use proptest::prelude::*;

    fn head(bytes: &[u8]) -> io::Result<CommandHead> {
        CommandHead::parse(array(&mut &bytes[..])?)
    }

    #[test]
    fn lengths_have_bounds() {
        let of = |cdb, data_out, data_in| CommandHead {
            cdb,
            data_out,
            data_in,
        };
        for good in [
            of(6, 0, 0),
            of(32, DATA_BYTES_MAX, 0),
            of(1, 0, DATA_BYTES_MAX),
        ] {
            let mut bytes = Vec::new();
            good.write(&mut bytes).expect("it fits");
            assert_eq!(head(&bytes).expect("within bounds"), good);
        }
        head(&[0; 9]).expect_err("no CDB");
        head(&[33, 0, 0, 0, 0, 0, 0, 0, 0]).expect_err("too long a CDB");
        head(&[6, 1, 0, 0, 1, 0, 0, 0, 0]).expect_err("too much out");
        head(&[6, 0, 0, 0, 0, 1, 0, 0, 1]).expect_err("too much in");
    }

    #[test]
    fn answers_keep_their_sense_data() {
        let sense = Sense::new(SenseKey::BlankCheck, 0x00, 0x05).with_residual(3);
        let answers = [
            (Ok(Status::CheckCondition), Some(sense), 7),
            (Ok(Status::ReservationConflict), None, 0),
            (Err(TransportError::TimedOut), None, 0),
            (Err(TransportError::Disrupted), None, 0),
        ];
        for (status, sense, moved) in answers {
            let answer = Answer {
                status,
                sense,
                moved,
            };
            let mut bytes = Vec::new();
            answer.write(&mut bytes).expect("memory");
            assert_eq!(Answer::read(&mut &bytes[..]).expect("whole"), answer);
        }
    }

    proptest! {
        #[test]
        fn greetings_are_read_as_they_were_written(
            pid: u32, serial in "[A-Z0-9-]{1,32}", initiator in "\\PC{1,50}",
        ) {
            let hello = Hello { pid, serial, initiator };
            let mut bytes = Vec::new();
            hello.write(&mut bytes).expect("it fits");
            prop_assert_eq!(Hello::read(&mut &bytes[..]).expect("whole"), hello);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Hello::read(&mut &bytes[..]);
            let _ = Hello::read(&mut [&MAGIC[..], &bytes].concat().as_slice());
            let _ = Welcome::read(&mut &bytes[..]);
            let _ = Answer::read(&mut &bytes[..]);
            if let Ok(head) = head(&bytes) {
                prop_assert!(head.data_out <= DATA_BYTES_MAX && head.data_in <= DATA_BYTES_MAX);
            }
        }
    }
}
