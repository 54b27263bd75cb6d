//! The ring: its entries in order, checked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use memmap2::MmapOptions;

use super::area::Area;
use super::command::{Command, Request};
use super::error::{RingError, bounded, io_error};
use super::layout::{entry, mailbox};

/// Largest mapping that is believed.
const MAP_BYTES_MAX: u64 = 4 << 30;

/// The commands of one backstore.
pub struct Ring {
    pub(super) area: Area,
    pub(super) device: File,
    /// Where entries begin, and how many bytes they have.
    start: usize,
    bytes: u32,
    /// Of the next entry, from `start`. Ours alone: the mailbox's copy is not
    /// read again.
    tail: u32,
    /// Whether the kernel wants to know how many bytes were read.
    pub(super) takes_read_len: bool,
}

/// What the kernel asks for.
pub enum Entry<'a> {
    /// A SCSI command.
    Command(Command<'a>),
    /// The kernel carried out a task management function, and the device is
    /// told (where the backstore's attribute `tmr_notification` is set).
    TaskManagement(TaskManagement),
}

/// A task management function (`TCMU_TMR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskManagement {
    /// The logical unit is reset (SAM-6 7.7).
    LogicalUnitReset,
    /// Commands were aborted, or something that this program does not know.
    Other(u8),
}

impl Ring {
    /// Maps the ring of a UIO device (`/dev/uioN`) of `map_bytes` bytes
    /// (`/sys/class/uio/uioN/maps/map0/size`). The kernel lets one process at
    /// a time have it.
    ///
    /// # Errors
    /// [`RingError`]: it cannot be opened or mapped, or is no ring.
    pub fn open(device: &Path, map_bytes: usize) -> Result<Ring, RingError> {
        bounded("map size", map_bytes as u64, 0, MAP_BYTES_MAX)?;
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open(device)
            .map_err(io_error("open the UIO device"))?;
        let map = MmapOptions::new()
            .len(map_bytes)
            .map_raw(&device)
            .map_err(io_error("map the UIO device"))?;
        Ring::over(Area::new(map), device)
    }

    pub(super) fn over(area: Area, device: File) -> Result<Ring, RingError> {
        let version = u16::from_ne_bytes(area.field(mailbox::VERSION)?);
        if version != mailbox::VERSION_KNOWN {
            return Err(RingError::Version(version));
        }
        let flags = u16::from_ne_bytes(area.field(mailbox::FLAGS)?);
        let start = u64::from(u32::from_ne_bytes(area.field(mailbox::RING_OFFSET)?));
        let bytes = u32::from_ne_bytes(area.field(mailbox::RING_BYTES)?);
        let whole = area.len() as u64;
        // Behind the mailbox, whose words are never copied over.
        let start = bounded("offset", start, mailbox::BYTES as u64, whole)?;
        aligned("offset", start as u64)?;
        aligned("size", bytes.into())?;
        bounded("size", bytes.into(), 8, whole - start as u64)?;
        let mut ring = Ring {
            area,
            device,
            start,
            bytes,
            tail: 0,
            takes_read_len: flags & mailbox::CAP_READ_LEN != 0,
        };
        ring.tail = ring.place("tail", mailbox::TAIL)?;
        Ok(ring)
    }

    /// Head or tail: where an entry begins.
    fn place(&self, what: &'static str, at: usize) -> Result<u32, RingError> {
        let place = self.area.load(at)?;
        bounded(what, place.into(), 0, u64::from(self.bytes) - 1)?;
        aligned(what, place.into())?;
        Ok(place)
    }

    /// Waits until the kernel says that there are entries, or `timeout` is
    /// over; says which.
    ///
    /// # Errors
    /// [`RingError::Io`] when the device is gone.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, RingError> {
        let failed = io_error("wait for the UIO device");
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut poll = libc::pollfd {
            fd: self.device.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one `pollfd`, which outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
        if ready == 0 {
            return Ok(false);
        }
        if ready < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(false),
                _ => Err(failed(error)),
            };
        }
        // How many interrupts there were; that there were some is enough.
        let mut interrupts = [0; 4];
        self.device.read_exact(&mut interrupts).map_err(failed)?;
        Ok(true)
    }

    /// The next entry, if there is one. A command that is dropped instead of
    /// completed is the next one again.
    ///
    /// # Errors
    /// [`RingError::Corrupt`]; [`RingError::Io`] when the device is gone.
    pub fn take(&mut self) -> Result<Option<Entry<'_>>, RingError> {
        while let Some((at, length, op)) = self.next()? {
            match op {
                entry::OP_PAD => self.advance(length)?,
                entry::OP_COMMAND => {
                    let data_start = self.start + self.bytes as usize;
                    match Request::read(&self.area, data_start, at, length)? {
                        Some(request) => {
                            let command = Command::new(self, at, length, request);
                            return Ok(Some(Entry::Command(command)));
                        }
                        None => self.refuse(at, length)?,
                    }
                }
                entry::OP_TASK_MANAGEMENT => {
                    const LUN_RESET: u8 = 5;
                    let [function] = self.area.field(at + entry::TMR_TYPE)?;
                    self.advance(length)?;
                    return Ok(Some(Entry::TaskManagement(match function {
                        LUN_RESET => TaskManagement::LogicalUnitReset,
                        other => TaskManagement::Other(other),
                    })));
                }
                _ => self.refuse(at, length)?,
            }
        }
        Ok(None)
    }

    /// Where in the area the entry at the tail lies, its length and operation.
    fn next(&self) -> Result<Option<(usize, u32, u32)>, RingError> {
        let head = self.place("head", mailbox::HEAD)?;
        if head == self.tail {
            return Ok(None);
        }
        let at = self.start + self.tail as usize;
        let length_op = u32::from_ne_bytes(self.area.field(at + entry::LENGTH_OP)?);
        let (length, op) = (length_op & !entry::OP_MASK, length_op & entry::OP_MASK);
        // What the kernel has filled, up to where it wraps.
        let filled = if head > self.tail { head } else { self.bytes } - self.tail;
        let least = match op {
            entry::OP_COMMAND => entry::BYTES as u32,
            entry::OP_TASK_MANAGEMENT => entry::TMR_TYPE as u32 + entry::ALIGNMENT,
            _ => entry::ALIGNMENT,
        };
        bounded("entry's length", length.into(), least.into(), filled.into())?;
        Ok(Some((at, length, op)))
    }

    /// Answers what is not understood: the kernel makes CHECK CONDITION of it.
    fn refuse(&mut self, at: usize, length: u32) -> Result<(), RingError> {
        self.area
            .copy_in(at + entry::UFLAGS, &[entry::UFLAG_UNKNOWN_OP])?;
        self.advance(length)
    }

    /// The entry at the tail is done with: the kernel is told.
    pub(super) fn advance(&mut self, length: u32) -> Result<(), RingError> {
        // An entry ends at the ring's end at the latest.
        self.tail = match self.tail + length {
            end if end >= self.bytes => 0,
            next => next,
        };
        self.area.store(mailbox::TAIL, self.tail)?;
        let told = self.device.write_all(&0_u32.to_ne_bytes());
        told.map_err(io_error("write to the UIO device"))
    }
}

fn aligned(what: &'static str, value: u64) -> Result<(), RingError> {
    let down = value / u64::from(entry::ALIGNMENT) * u64::from(entry::ALIGNMENT);
    bounded(what, value, down, down).map(|_| ())
}
