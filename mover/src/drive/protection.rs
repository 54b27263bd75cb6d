//! Logical block protection: a CRC32C behind every block (SSC-5 4.2.29).
//!
//! With it the drive checks each block as it comes from us, and again on its
//! way to the medium, and gives the same checksum back with the block when it
//! is read: what happens to a record in a host adapter, in a bridge or in the
//! drive's own memory is noticed. On the tape it is no part of the block: a
//! host without it reads what was written with it, and the other way round.
//!
//! The four bytes stand behind the block, the least significant first; every
//! length in a CDB and in sense data counts them, READ BLOCK LIMITS does not.
//! Nobody outside of this folder sees them.
//!
//! Whether blocks carry them is a mode of the drive (Control Data Protection,
//! SSC-5 8.5.9), on most drives one of the I_T nexus. A program that expects
//! nothing of the kind could not use the drive any more on that path, so what
//! was set before comes back at the end of the session. A process that is
//! killed can't do that; the next session here does.

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::spc::mode::{ModeParameters, Page};
use longhaul_scsi::ssc::mode::{ControlDataProtection, ProtectionMethod};
use longhaul_scsi::transport::Data;

use super::error::{DriveError, Problem};
use super::modes::MODE_SENSE;
use super::session::Drive;

/// Bytes of protection information behind a block.
const PROTECTION_BYTES: usize = 4;

/// Whether blocks carry protection information in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Protection {
    /// Not asked for yet.
    #[default]
    Unknown,
    /// The drive has none, or none with CRC32C.
    Absent,
    /// They do, both ways.
    On {
        /// What is set again at the end.
        before: ControlDataProtection,
    },
}

impl Drive {
    /// Whether the drive checks each block that it is given, and each that it
    /// gives is checked here. It is known once the drive is
    /// [prepared](Drive::prepare).
    pub fn protects(&self) -> bool {
        matches!(self.protection, Protection::On { .. })
    }

    /// Blocks that were read in this session and are what the drive's
    /// protection information says; `None` if the drive gives none.
    pub fn confirmed_blocks(&self) -> Option<u64> {
        self.protects().then_some(self.confirmed)
    }

    /// Bytes that stand behind each block here.
    pub(super) fn bytes_behind(&self) -> usize {
        if self.protects() { PROTECTION_BYTES } else { 0 }
    }

    /// Switches protection on where the drive has it, and proves it.
    ///
    /// # Errors
    /// [`Problem::Mode`] if it was on in this session, and can't be had again,
    /// or if the drive keeps half of what it was told.
    pub(super) fn restore_protection(&mut self) -> Result<(), DriveError> {
        if self.protection == Protection::Absent {
            return Ok(());
        }
        let found = self.sense_protection()?;
        let mut now = found.as_ref().and_then(ModeParameters::fields);
        if let (Some(modes), Some(fields)) = (&found, now)
            && fields != ours(fields)
        {
            self.select_protection(modes, ours(fields))?;
            now = self.sense_protection()?.and_then(|modes| modes.fields());
        }
        let before = found.and_then(|modes| modes.fields());
        match (self.protection, before, now) {
            (Protection::Unknown, Some(before), Some(now)) if now == ours(now) => {
                log::info!("{}: every record is protected by a CRC32C", self.label);
                self.protection = Protection::On {
                    before: to_be_left(before),
                };
                Ok(())
            }
            (Protection::On { .. }, _, Some(now)) if now == ours(now) => Ok(()),
            (Protection::Unknown, before, now) if before == now => {
                log::info!(
                    "{}: the drive has no logical block protection with CRC32C; \
                     records go without",
                    self.label
                );
                self.protection = Protection::Absent;
                Ok(())
            }
            (_, _, now) => Err(self.other_protection(now)),
        }
    }

    /// Sets again what was set before the session.
    ///
    /// # Errors
    /// [`Problem::Mode`] if protection was not on any more: what was written
    /// since is not what it should be. Else the drive's.
    pub(super) fn end_protection(&mut self) -> Result<(), DriveError> {
        let Protection::On { before } = std::mem::take(&mut self.protection) else {
            return Ok(());
        };
        let found = self.sense_protection()?;
        let now: Option<ControlDataProtection> = found.as_ref().and_then(ModeParameters::fields);
        match (found, now) {
            (Some(modes), Some(now)) if now == ours(now) => {
                self.select_protection(&modes, before).map(drop)
            }
            // A reset has ended it, or another path never had it.
            _ if self.is_stopped() || self.modes_doubt => Ok(()),
            (_, now) => Err(self.other_protection(now)),
        }
    }

    /// Goes on without: the host adapter's limit has room for a block, and none
    /// for what stands behind it.
    pub(super) fn forgo_protection(&mut self) -> Result<(), DriveError> {
        log::warn!(
            "{}: the host adapter takes no transfer that is {PROTECTION_BYTES} bytes longer than \
             a record; records go without logical block protection",
            self.label
        );
        self.end_protection()?;
        self.protection = Protection::Absent;
        Ok(())
    }

    /// Puts the checksum behind a block, which is the first `len` bytes of
    /// `buffer`. Where that has no room for it, a copy is sent, and the second
    /// buffer is the caller's.
    pub(super) fn protected(
        &self,
        buffer: Buffer,
        len: usize,
        crc: Option<u32>,
    ) -> (Buffer, Option<Buffer>) {
        if !self.protects() {
            return (buffer, None);
        }
        let crc = crc.unwrap_or_else(|| crc32c::crc32c(&buffer[..len]));
        let (mut sent, kept) = if buffer.len() < len + PROTECTION_BYTES {
            let mut copy = Buffer::zeroed(len + PROTECTION_BYTES);
            copy[..len].copy_from_slice(&buffer[..len]);
            (copy, Some(buffer))
        } else {
            (buffer, None)
        };
        sent[len..len + PROTECTION_BYTES].copy_from_slice(&crc.to_le_bytes());
        (sent, kept)
    }

    /// Whether a block of `len` bytes is what its checksum says.
    pub(super) fn confirm(&mut self, data: &Data, len: usize) -> Result<(), Problem> {
        if !self.protects() {
            return Ok(());
        }
        let came = match data {
            Data::In { buffer, .. } => buffer.split_at_checked(len),
            _ => None,
        };
        let parts = came.and_then(|(block, rest)| Some((block, rest.first_chunk()?)));
        let (found, told) = parts.map_or((0, 0), |(block, told)| {
            (crc32c::crc32c(block), u32::from_le_bytes(*told))
        });
        // A drive that has forgotten about protection can give a block that is
        // shorter than a checksum.
        if len == 0 || found != told {
            return Err(Problem::Altered { told, found });
        }
        self.confirmed += 1;
        Ok(())
    }

    fn other_protection(&self, now: Option<ControlDataProtection>) -> DriveError {
        let method = now.map_or(ProtectionMethod::None, |fields| fields.method());
        let problem = Problem::Mode {
            what: "logical block protection method",
            wanted: ProtectionMethod::Crc32c.code().into(),
            found: method.code().into(),
        };
        self.fail(MODE_SENSE, problem)
    }

    /// The page with header and block descriptor; `None` if the drive has no
    /// such page, or nothing that could be read as one.
    fn sense_protection(&mut self) -> Result<Option<ModeParameters>, DriveError> {
        let page = self.sense_page(ControlDataProtection::CODE, ControlDataProtection::SUBPAGE);
        match page {
            Err(error)
                if matches!(
                    error.problem(),
                    Problem::Unsupported(_) | Problem::Malformed(_)
                ) =>
            {
                Ok(None)
            }
            Ok(modes) => Ok(Some(modes)),
            Err(error) => Err(error),
        }
    }

    /// A refusal is no error: what is in force is what is read back.
    fn select_protection(
        &mut self,
        found: &ModeParameters,
        fields: ControlDataProtection,
    ) -> Result<(), DriveError> {
        let mut modes = super::modes::wanted(found);
        for page in &mut modes.pages {
            if page.fields::<ControlDataProtection>().is_some() {
                page.set_fields(&fields);
            }
        }
        match self.select_modes(&modes) {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => Ok(()),
            result => result,
        }
    }
}

/// The page with our wishes in it.
fn ours(mut fields: ControlDataProtection) -> ControlDataProtection {
    fields.set_method(ProtectionMethod::Crc32c);
    fields.set_on_write(true);
    fields.set_on_read(true);
    fields
}

/// What is to be set at the end. What looks like ours was left by a process of
/// this host that was killed: nobody else could use the drive like that.
fn to_be_left(before: ControlDataProtection) -> ControlDataProtection {
    if before != ours(before) {
        return before;
    }
    let mut off = before;
    off.set_method(ProtectionMethod::None);
    off.set_on_write(false);
    off.set_on_read(false);
    off
}
