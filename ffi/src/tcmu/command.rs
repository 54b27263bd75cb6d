//! One command: what it asks, and its answer.

use super::area::Area;
use super::error::{RingError, bounded};
use super::layout::entry;
use super::ring::Ring;
use super::{DATA_BYTES_MAX, SENSE_BYTES_MAX};

/// What a command's entry says, copied and checked.
pub(super) struct Request {
    cdb: Vec<u8>,
    pieces: Vec<Piece>,
    data_bytes: usize,
}

/// A part of a command's data, in the area.
struct Piece {
    at: usize,
    bytes: usize,
}

impl Request {
    /// The request of the entry of `length` bytes at `at`; `None` for two
    /// directions or protection data, which no tape command has. Data lies
    /// behind `data_start`.
    pub(super) fn read(
        area: &Area,
        data_start: usize,
        at: usize,
        length: u32,
    ) -> Result<Option<Request>, RingError> {
        let count = u32::from_ne_bytes(area.field(at + entry::IOV_COUNT)?);
        let bidirectional = u32::from_ne_bytes(area.field(at + entry::IOV_BIDI_COUNT)?);
        let protection = u32::from_ne_bytes(area.field(at + entry::IOV_DIF_COUNT)?);
        if bidirectional != 0 || protection != 0 {
            return Ok(None);
        }
        let room = (length as usize).saturating_sub(entry::IOV) / entry::IOV_BYTES;
        let count = bounded("number of iovecs", count.into(), 0, room as u64)?;
        let mut pieces = Vec::with_capacity(count);
        let mut data_bytes = 0;
        for index in 0..count {
            let piece = piece(area, data_start, at + entry::IOV + index * entry::IOV_BYTES)?;
            data_bytes += piece.bytes;
            bounded("data length", data_bytes as u64, 0, DATA_BYTES_MAX as u64)?;
            pieces.push(piece);
        }
        let cdb_at = u64::from_ne_bytes(area.field(at + entry::CDB_OFFSET)?);
        let cdb_at = bounded("CDB's offset", cdb_at, 0, area.len() as u64)?;
        Ok(Some(Request {
            cdb: cdb(area, cdb_at)?,
            pieces,
            data_bytes,
        }))
    }
}

/// The `struct iovec` at `at`; its base is an offset in the area.
fn piece(area: &Area, data_start: usize, at: usize) -> Result<Piece, RingError> {
    let whole = area.len() as u64;
    let base = u64::from_ne_bytes(area.field(at)?);
    let bytes = u64::from_ne_bytes(area.field(at + 8)?);
    let base = bounded("iovec's base", base, data_start as u64, whole)?;
    Ok(Piece {
        at: base,
        bytes: bounded("iovec's length", bytes, 0, whole - base as u64)?,
    })
}

/// The CDB at `at`, as long as its operation code says (SPC-5 4.2.5.1); codes
/// that the standard leaves to vendors have the length that the kernel gives
/// them (`drivers/scsi/scsi_common.c`).
fn cdb(area: &Area, at: usize) -> Result<Vec<u8>, RingError> {
    const VARIABLE: u8 = 0x7f;
    const ADDITIONAL_CDB_LENGTH: usize = 7;
    let [opcode] = area.field(at)?;
    let bytes = if opcode == VARIABLE {
        let [additional] = area.field(at + ADDITIONAL_CDB_LENGTH)?;
        8 + usize::from(additional)
    } else {
        [6, 10, 10, 12, 16, 12, 10, 10][usize::from(opcode >> 5)]
    };
    let mut cdb = vec![0; bytes];
    area.copy_out(at, &mut cdb)?;
    Ok(cdb)
}

/// A command that waits for its answer.
#[must_use = "the initiator waits for the answer"]
pub struct Command<'a> {
    ring: &'a mut Ring,
    at: usize,
    length: u32,
    request: Request,
}

impl<'a> Command<'a> {
    pub(super) fn new(ring: &'a mut Ring, at: usize, length: u32, request: Request) -> Command<'a> {
        Command {
            ring,
            at,
            length,
            request,
        }
    }

    /// The command descriptor block, as long as its operation code says.
    pub fn cdb(&self) -> &[u8] {
        &self.request.cdb
    }

    /// Bytes that the initiator sends or has room for, at most
    /// [`DATA_BYTES_MAX`]. The ring does not say which of the two: the
    /// operation code does.
    pub fn data_bytes(&self) -> usize {
        self.request.data_bytes
    }

    /// Copies what the initiator sent, from its start; as much as fits.
    /// Returns the bytes copied.
    ///
    /// # Errors
    /// None for a command that was taken from a ring.
    pub fn copy_data(&self, into: &mut [u8]) -> Result<usize, RingError> {
        let mut done = 0;
        for piece in &self.request.pieces {
            let bytes = piece.bytes.min(into.len() - done);
            self.ring
                .area
                .copy_out(piece.at, &mut into[done..done + bytes])?;
            done += bytes;
        }
        Ok(done)
    }

    /// Answers with a SAM-6 status byte, sense data (cut to
    /// [`SENSE_BYTES_MAX`]), and, for a command that reads, what was read.
    ///
    /// Less than there is room for is a residual. That *nothing* was read
    /// cannot be said to the kernel: it reports a residual of 0, and the
    /// initiator gets zeros with GOOD, and no data with CHECK CONDITION.
    ///
    /// # Errors
    /// [`RingError::Io`] when the device is gone.
    pub fn complete(
        self,
        status: u8,
        sense: &[u8],
        data_in: Option<&[u8]>,
    ) -> Result<(), RingError> {
        let read_bytes = match data_in {
            Some(data) => self.put_data(data)?,
            None => 0,
        };
        let says_length = read_bytes > 0 && self.ring.takes_read_len;
        // It lies over the request, of which everything was copied.
        let mut answer = [0; entry::BYTES - entry::ANSWER];
        answer[0] = status;
        let read_len = (read_bytes as u32).to_ne_bytes();
        answer[entry::READ_LEN - entry::ANSWER..][..read_len.len()].copy_from_slice(&read_len);
        let sense = &sense[..sense.len().min(SENSE_BYTES_MAX)];
        answer[entry::SENSE - entry::ANSWER..][..sense.len()].copy_from_slice(sense);
        let uflags = if says_length {
            entry::UFLAG_READ_LEN
        } else {
            0
        };
        self.ring.area.copy_in(self.at + entry::ANSWER, &answer)?;
        self.ring.area.copy_in(self.at + entry::UFLAGS, &[uflags])?;
        self.ring.advance(self.length)
    }

    /// Puts data where the kernel takes it from, and zeros behind it where
    /// nothing else tells its end: an earlier command's data may lie there.
    fn put_data(&self, data: &[u8]) -> Result<usize, RingError> {
        let area = &self.ring.area;
        let clears = data.is_empty() || !self.ring.takes_read_len;
        let mut done = 0;
        for piece in &self.request.pieces {
            let bytes = piece.bytes.min(data.len() - done);
            area.copy_in(piece.at, &data[done..done + bytes])?;
            if clears {
                area.clear(piece.at + bytes, piece.bytes - bytes)?;
            }
            done += bytes;
        }
        Ok(done)
    }
}
