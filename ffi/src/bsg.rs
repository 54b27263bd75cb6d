//! SCSI commands through io_uring on `/dev/bsg/H:C:T:L`
//! (`include/uapi/linux/bsg.h`, `struct bsg_uring_cmd`; since kernel 7.1).
//!
//! Nothing is copied, no thread sleeps in an ioctl, and a transfer from a
//! [`Pool`](crate::buffer::Pool) uses registered memory, whose pages are pinned
//! once and not for each command. One command is in flight, never two: the
//! kernel promises no order between two when one is put back into its queue.
//!
//! Which kernels and devices take such commands is found out by sending one:
//! where they do not, [`Queue::complete`] gives `EOPNOTSUPP`, `ENOTTY` or
//! `EINVAL`, and nothing has reached the device.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use crate::buffer::{Arena, Buffer};
use crate::sg::{Answer, CDB_BYTES_MAX, Direction, SENSE_BYTES_MAX, check, timeout_ms};

/// Where the fields of `struct bsg_uring_cmd` lie in the 80 bytes that a
/// 128-byte submission entry has for its command. Its other fields (protocol,
/// subprotocol and the counts of iovecs) are 0: SCSI, and plain buffers.
mod field {
    pub const REQUEST: usize = 0;
    pub const REQUEST_LEN: usize = 8;
    pub const MAX_RESPONSE_LEN: usize = 20;
    pub const RESPONSE: usize = 24;
    pub const DOUT_XFERP: usize = 32;
    pub const DOUT_XFER_LEN: usize = 40;
    pub const DIN_XFERP: usize = 48;
    pub const DIN_XFER_LEN: usize = 56;
    pub const TIMEOUT_MS: usize = 64;
    pub const COMMAND_BYTES: usize = 80;
}

/// The page that the kernel reads the CDB from and writes sense data to.
const CONTROL_BYTES: usize = 256;
const SENSE_AT: usize = 64;
const _: () = assert!(CDB_BYTES_MAX <= SENSE_AT && SENSE_AT + SENSE_BYTES_MAX <= CONTROL_BYTES);

/// What is with the kernel.
enum InFlight {
    /// A command, and the buffer of its data phase.
    Sent(Option<Buffer>),
    /// Not sent: its lengths cannot be.
    Refused(Option<Buffer>, io::Error),
}

/// The way to one device, for one command at a time.
pub struct Queue {
    /// Dropped by hand: never while the kernel may still write.
    ring: ManuallyDrop<IoUring<squeue::Entry128, cqueue::Entry32>>,
    device: File,
    control: ManuallyDrop<Buffer>,
    in_flight: Option<InFlight>,
    /// The pool whose memory is registered, kept until the ring is closed or
    /// another takes its place.
    registered: Option<Arc<Arena>>,
    /// The kernel refused to register memory; it is not asked again.
    no_registration: bool,
}

impl Queue {
    /// A queue for the device that `device` has open for reading and writing.
    ///
    /// # Errors
    /// The kernel's where io_uring is missing, forbidden
    /// (`/proc/sys/kernel/io_uring_disabled`) or too old for large entries.
    pub fn new(device: File) -> io::Result<Queue> {
        let ring = IoUring::builder().setup_coop_taskrun().build(2)?;
        Ok(Queue {
            ring: ManuallyDrop::new(ring),
            device,
            control: ManuallyDrop::new(Buffer::zeroed(CONTROL_BYTES)),
            in_flight: None,
            registered: None,
            no_registration: false,
        })
    }

    /// Starts a command. `len` bytes from the start of `buffer` move; it is 0,
    /// and the buffer `None`, for [`Direction::None`].
    ///
    /// # Panics
    /// If a command is in flight, or `len` is above the buffer's length.
    pub fn submit(
        &mut self,
        cdb: &[u8],
        direction: Direction,
        mut buffer: Option<Buffer>,
        len: usize,
        timeout: Duration,
    ) {
        assert!(self.in_flight.is_none(), "a second command in flight");
        assert!(
            len <= buffer.as_ref().map_or(0, |buffer| buffer.len()),
            "a transfer of {len} bytes is longer than its buffer"
        );
        let len = match check(cdb, direction, len) {
            Ok(len) => len,
            Err(error) => {
                self.in_flight = Some(InFlight::Refused(buffer, error));
                return;
            }
        };
        self.control[..cdb.len()].copy_from_slice(cdb);
        let mut command = self.command(cdb.len() as u32, timeout);
        let mut index = None;
        if let Some(buffer) = &mut buffer
            && direction != Direction::None
        {
            let (pointer_at, len_at) = match direction {
                Direction::In => (field::DIN_XFERP, field::DIN_XFER_LEN),
                _ => (field::DOUT_XFERP, field::DOUT_XFER_LEN),
            };
            put(&mut command, pointer_at, &address(buffer.as_mut_ptr()));
            put(&mut command, len_at, &len.to_ne_bytes());
            index = self.register(buffer).then(|| buffer.slot());
        }
        let entry = opcode::UringCmd80::new(types::Fd(self.device.as_raw_fd()), 0)
            .cmd(command)
            .buf_index(index)
            .build();
        // Here before the kernel can see the entry.
        self.in_flight = Some(InFlight::Sent(buffer));
        // SAFETY: the entry points to the control page, to the buffer in
        // `in_flight`, and has the number of `device`. All three are owned by
        // `self` and neither touched nor let go of before the completion was
        // seen (`complete`, and `drop`, which waits for it). The queue has room:
        // it holds one entry at most.
        if let Err(error) = unsafe { self.ring.submission().push(&entry) } {
            unreachable!("an empty submission queue takes an entry: {error}");
        }
        // What keeps the kernel from taking it now, it says again in `complete`.
        let _ = self.ring.submit();
    }

    /// Waits for the command in flight; its buffer comes back.
    ///
    /// # Errors
    /// The kernel's, if it did not take the command; as with
    /// [`execute`](crate::sg::execute). The buffer is lost only if the ring
    /// itself fails, since nobody can tell then whether the kernel still has it.
    ///
    /// # Panics
    /// If no command is in flight.
    pub fn complete(&mut self) -> (io::Result<Answer>, Option<Buffer>) {
        let buffer = match self.in_flight.take().expect("a command in flight") {
            InFlight::Refused(buffer, error) => return (Err(error), buffer),
            InFlight::Sent(buffer) => buffer,
        };
        match self.wait() {
            Ok(entry) => (self.answer(&entry), buffer),
            Err(error) => {
                std::mem::forget(buffer);
                (Err(error), None)
            }
        }
    }

    fn wait(&mut self) -> io::Result<cqueue::Entry32> {
        loop {
            if let Some(entry) = self.ring.completion().next() {
                return Ok(entry);
            }
            match self.ring.submit_and_wait(1) {
                Err(error)
                    if !matches!(
                        error.raw_os_error(),
                        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
                    ) =>
                {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    /// `res` is 0 or an errno; the first extra word holds the device's, the
    /// driver's and the host's status, the length of the sense data, and the
    /// residual.
    fn answer(&self, entry: &cqueue::Entry32) -> io::Result<Answer> {
        if entry.result() < 0 {
            return Err(io::Error::from_raw_os_error(-entry.result()));
        }
        let word = entry.big_cqe()[0].to_le_bytes();
        let [device, driver, host, sense_len, residual @ ..] = word;
        let sense_len = usize::from(sense_len).min(SENSE_BYTES_MAX);
        Ok(Answer::new(
            device,
            host.into(),
            driver.into(),
            i32::from_le_bytes(residual),
            &self.control[SENSE_AT..SENSE_AT + sense_len],
        ))
    }

    fn command(&mut self, cdb_len: u32, timeout: Duration) -> [u8; field::COMMAND_BYTES] {
        let base = self.control.as_mut_ptr();
        let mut command = [0; field::COMMAND_BYTES];
        put(&mut command, field::REQUEST, &address(base));
        put(&mut command, field::REQUEST_LEN, &cdb_len.to_ne_bytes());
        let sense = address(base.wrapping_add(SENSE_AT));
        put(&mut command, field::RESPONSE, &sense);
        let sense_len = (SENSE_BYTES_MAX as u32).to_ne_bytes();
        put(&mut command, field::MAX_RESPONSE_LEN, &sense_len);
        let timeout = timeout_ms(timeout).to_ne_bytes();
        put(&mut command, field::TIMEOUT_MS, &timeout);
        command
    }

    /// Whether the buffer lies in registered memory. A pool is registered when
    /// its first buffer comes by, and gives way to another once nobody has it
    /// any more. If the kernel will not (`ENOMEM` where the limit of locked
    /// memory is too low), transfers go without.
    fn register(&mut self, buffer: &Buffer) -> bool {
        let arena = buffer.arena();
        match &self.registered {
            Some(registered) if Arc::ptr_eq(registered, arena) => return true,
            Some(registered) if Arc::strong_count(registered) > 1 => return false,
            _ if self.no_registration || !arena.is_pool() => return false,
            Some(_) => {
                if self.ring.submitter().unregister_buffers().is_err() {
                    return false;
                }
                self.registered = None;
            }
            None => {}
        }
        let iovecs = arena.iovecs();
        // SAFETY: the iovecs describe the arena's mapping, which `registered`
        // keeps until it is unregistered (above) or the ring has been closed
        // (fields are dropped after `drop` has closed it).
        if unsafe { self.ring.submitter().register_buffers(&iovecs) }.is_err() {
            self.no_registration = true;
            return false;
        }
        self.registered = Some(Arc::clone(arena));
        true
    }
}

fn put(command: &mut [u8; field::COMMAND_BYTES], at: usize, bytes: &[u8]) {
    command[at..at + bytes.len()].copy_from_slice(bytes);
}

fn address(pointer: *mut u8) -> [u8; 8] {
    (pointer as u64).to_ne_bytes()
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(InFlight::Sent(buffer)) = self.in_flight.take()
            && self.wait().is_err()
        {
            // No way to wait for the kernel: leave it its memory for ever,
            // rather than free it under its hands.
            std::mem::forget(buffer);
            std::mem::forget(self.registered.take());
            return;
        }
        // SAFETY: both are dropped here, once, and not used afterwards; nothing
        // is in flight that could still use them.
        unsafe {
            ManuallyDrop::drop(&mut self.ring);
            ManuallyDrop::drop(&mut self.control);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Pool;

    fn zero() -> Queue {
        let file = File::options().read(true).write(true).open("/dev/zero");
        Queue::new(file.expect("opens")).expect("a ring with large entries")
    }

    #[test]
    fn a_device_that_takes_no_such_commands_says_so_and_the_buffer_comes_back() {
        let mut queue = zero();
        let buffer = Some(Buffer::zeroed(96));
        let second = Duration::from_secs(1);
        queue.submit(&[0x12, 0, 0, 0, 96, 0], Direction::In, buffer, 96, second);
        let (answer, buffer) = queue.complete();
        let error = answer.expect_err("/dev/zero takes no SCSI commands");
        assert!(error.raw_os_error().is_some(), "{error}");
        assert_eq!(buffer.expect("it comes back").len(), 96);
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_without_asking_the_kernel() {
        let mut queue = zero();
        let second = Duration::from_secs(1);
        queue.submit(&[0; 6], Direction::Out, Some(Buffer::zeroed(8)), 0, second);
        let (answer, buffer) = queue.complete();
        assert_eq!(
            answer.expect_err("refused").kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(buffer.is_some());
    }

    #[test]
    fn a_pool_is_registered_once_and_gives_way_when_it_is_gone() {
        let mut queue = zero();
        let first = Pool::new(2, 4096).expect("pool");
        let second = Pool::new(2, 4096).expect("pool");
        assert!(queue.register(&first.take()));
        assert!(queue.register(&first.take()));
        assert!(!queue.register(&second.take()), "the first is still in use");
        assert!(!queue.register(&Buffer::zeroed(16)), "not a pool's");
        drop(first);
        assert!(!queue.register(&Buffer::zeroed(16)), "not a pool's");
        assert!(queue.register(&second.take()));
    }

    #[test]
    fn dropping_the_queue_waits_for_the_command() {
        let pool = Pool::new(2, 4096).expect("pool");
        let mut queue = zero();
        let buffer = Some(pool.take());
        queue.submit(
            &[0; 6],
            Direction::Out,
            buffer,
            4096,
            Duration::from_secs(1),
        );
        drop(queue);
        assert!(pool.try_take().is_some() && pool.try_take().is_some());
    }
}
