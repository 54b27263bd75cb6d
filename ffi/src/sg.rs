//! SCSI commands by the sg driver's structure (`include/scsi/sg.h`, version 3).
//!
//! The kernel takes it in two ways:
//!
//! - [`execute`] is the ioctl `SG_IO` on `/dev/nstN` (and others that
//!   `drivers/scsi/scsi_ioctl.c` answers): it maps the caller's pages, and once
//!   the command is sent it waits without being interruptible.
//! - [`Packets`] writes the structure to `/dev/sgN`, and reads it back when the
//!   command has ended. The sg driver copies the data.
//!
//! `SG_IO` works on `/dev/sgN` too, **and must not be used there to write to a
//! tape**: the driver's wait can be interrupted, also by what no process can
//! hold back (SIGSTOP, the freezer). It then lets go of the command, which goes
//! on, and when the process does, the kernel starts the ioctl again: two
//! records on the tape, with GOOD for both, of which the process has sent one.
//! (Seen on kernels 6.1 and 7.2 with a drive that takes its time.) A read that
//! is started again does no harm.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::thread;
use std::time::Duration;

/// Most bytes of sense data that the kernel keeps (`SCSI_SENSE_BUFFERSIZE`,
/// `include/scsi/scsi_cmnd.h`).
pub const SENSE_BYTES_MAX: usize = 96;

/// Longest command descriptor block that is sent (SPC-5 has longer ones, for
/// devices that are no tapes).
pub const CDB_BYTES_MAX: usize = 32;

/// Longest timeout, in milliseconds: the kernel counts some in signed 32 bits.
pub const TIMEOUT_MS_MAX: u32 = i32::MAX as u32;

const SG_IO: libc::c_ulong = 0x2285;
const SG_GET_RESERVED_SIZE: libc::c_ulong = 0x2272;
const SG_SET_RESERVED_SIZE: libc::c_ulong = 0x2275;

const DIRECTION_NONE: libc::c_int = -1;
const DIRECTION_TO_DEVICE: libc::c_int = -2;
const DIRECTION_FROM_DEVICE: libc::c_int = -3;

/// How long to wait for a command of a device that is being taken away: the
/// driver then says at once, again and again, that there is nothing yet.
const GOING_PAUSE: Duration = Duration::from_millis(10);

/// `SG_FLAG_Q_AT_TAIL`: behind what is queued. The sg driver would go before.
const FLAG_Q_AT_TAIL: libc::c_uint = 0x10;

/// `struct sg_io_hdr`, 64 bits.
#[repr(C)]
struct Header {
    interface_id: libc::c_int,
    dxfer_direction: libc::c_int,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut libc::c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: libc::c_int,
    usr_ptr: *mut libc::c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: libc::c_int,
    duration: u32,
    info: u32,
}
const _: () = assert!(size_of::<Header>() == 88);
const _: () = assert!(offset_of!(Header, dxfer_len) == 12 && offset_of!(Header, dxferp) == 16);
const _: () = assert!(offset_of!(Header, cmdp) == 24 && offset_of!(Header, sbp) == 32);
const _: () = assert!(offset_of!(Header, timeout) == 40 && offset_of!(Header, pack_id) == 48);
const _: () = assert!(offset_of!(Header, usr_ptr) == 56 && offset_of!(Header, status) == 64);
const _: () = assert!(offset_of!(Header, host_status) == 68 && offset_of!(Header, resid) == 72);
const _: () = assert!(offset_of!(Header, info) == 80);

/// Which way data moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// No data phase.
    None,
    /// From the device.
    In,
    /// To the device.
    Out,
}

/// What the kernel tells of a command that it took.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// SAM-5 status byte; 0 also where none came back.
    pub status: u8,
    /// Host byte (`DID_…`, `include/scsi/scsi_status.h`); 0 is DID_OK.
    pub host_status: u16,
    /// Driver byte; 08h is DRIVER_SENSE. Newer kernels give no other.
    pub driver_status: u16,
    /// Transfer length minus bytes that moved, as the host adapter counted.
    pub residual: i32,
    sense: [u8; SENSE_BYTES_MAX],
    sense_len: u8,
}

impl Answer {
    /// An answer, with as much of the sense data as there is room for.
    pub fn new(
        status: u8,
        host_status: u16,
        driver_status: u16,
        residual: i32,
        sense: &[u8],
    ) -> Answer {
        let len = sense.len().min(SENSE_BYTES_MAX);
        let mut kept = [0; SENSE_BYTES_MAX];
        kept[..len].copy_from_slice(&sense[..len]);
        Answer {
            status,
            host_status,
            driver_status,
            residual,
            sense: kept,
            sense_len: len as u8,
        }
    }

    /// Autosense, as it came; empty if there was none.
    pub fn sense(&self) -> &[u8] {
        &self.sense[..usize::from(self.sense_len)]
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Answer(status {:02x}h, host {:02x}h, driver {:02x}h, residual {}, sense {:02x?})",
            self.status,
            self.host_status,
            self.driver_status,
            self.residual,
            self.sense()
        )
    }
}

/// A command on its way: the structure, and what it points to.
struct Packet<'a> {
    header: Header,
    /// The kernel writes it through `header.sbp`.
    sense: Box<[u8; SENSE_BYTES_MAX]>,
    _borrowed: PhantomData<(&'a [u8], &'a mut [u8])>,
}

impl<'a> Packet<'a> {
    fn new(
        cdb: &'a [u8],
        direction: Direction,
        data: &'a mut [u8],
        timeout: Duration,
    ) -> io::Result<Packet<'a>> {
        let dxfer_len = check(cdb, direction, data.len())?;
        let mut sense = Box::new([0u8; SENSE_BYTES_MAX]);
        let header = Header {
            interface_id: libc::c_int::from(b'S'),
            dxfer_direction: match direction {
                Direction::None => DIRECTION_NONE,
                Direction::In => DIRECTION_FROM_DEVICE,
                Direction::Out => DIRECTION_TO_DEVICE,
            },
            cmd_len: cdb.len() as u8,
            mx_sb_len: SENSE_BYTES_MAX as u8,
            iovec_count: 0,
            dxfer_len,
            dxferp: if data.is_empty() {
                ptr::null_mut()
            } else {
                data.as_mut_ptr().cast()
            },
            cmdp: cdb.as_ptr(),
            sbp: sense.as_mut_ptr(),
            timeout: timeout_ms(timeout),
            flags: FLAG_Q_AT_TAIL,
            pack_id: 0,
            usr_ptr: ptr::null_mut(),
            status: 0,
            masked_status: 0,
            msg_status: 0,
            sb_len_wr: 0,
            host_status: 0,
            driver_status: 0,
            resid: 0,
            duration: 0,
            info: 0,
        };
        Ok(Packet {
            header,
            sense,
            _borrowed: PhantomData,
        })
    }

    fn answer(&self) -> Answer {
        let header = &self.header;
        let sense_len = usize::from(header.sb_len_wr).min(SENSE_BYTES_MAX);
        Answer::new(
            header.status,
            header.host_status,
            header.driver_status,
            header.resid,
            &self.sense[..sense_len],
        )
    }
}

/// Sends a command by `SG_IO` and waits for its end. `data` is what moves, all
/// of it; it must be empty for [`Direction::None`].
///
/// # Errors
/// The kernel's, if it did not take the command or gave up on it (`ENODEV` for
/// a device that is gone, `EINVAL`, `EIO` or `ENOMEM` for a transfer that is too
/// large); `InvalidInput` for a CDB or data whose length cannot be.
pub fn execute(
    device: BorrowedFd<'_>,
    cdb: &[u8],
    direction: Direction,
    data: &mut [u8],
    timeout: Duration,
) -> io::Result<Answer> {
    let mut packet = Packet::new(cdb, direction, data, timeout)?;
    let header = &raw mut packet.header;
    let signals = Signals::hold()?;
    // SAFETY: the header is laid out as the kernel's structure (asserted
    // above). Its pointers and lengths describe `cdb` (read), `sense` (written,
    // at most `mx_sb_len`) and `data` (`dxfer_len` bytes, read or written),
    // which the packet borrows or owns for the whole call, `data` exclusively.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), SG_IO, header) };
    let error = io::Error::last_os_error();
    drop(signals);
    if result < 0 {
        return Err(error);
    }
    Ok(packet.answer())
}

/// A `/dev/sgN` that commands are written to and answers read from.
#[derive(Debug)]
pub struct Packets {
    device: File,
    /// A command was sent whose answer could not be read. The driver may still
    /// have it, and would write it to where that command's memory was.
    given_up: bool,
}

impl Packets {
    /// `device` must be a node of the sg driver, opened for reading and
    /// writing and with `O_NONBLOCK`.
    pub fn new(device: File) -> Packets {
        Packets {
            device,
            given_up: false,
        }
    }

    /// Sends a command and waits for its end. Being stopped or interrupted only
    /// interrupts the waiting.
    ///
    /// # Errors
    /// As [`execute`]. After an answer could not be read, every further command
    /// is refused with `ENODEV`: the device has to be opened anew.
    pub fn exchange(
        &mut self,
        cdb: &[u8],
        direction: Direction,
        data: &mut [u8],
        timeout: Duration,
    ) -> io::Result<Answer> {
        if self.given_up {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        let mut packet = Packet::new(cdb, direction, data, timeout)?;
        let header = &raw const packet.header;
        let fd = self.device.as_raw_fd();
        // SAFETY: `write` reads the header (laid out as the kernel's structure,
        // asserted above), the CDB and, towards the device, the data, which are
        // borrowed by the packet, and copies them. The driver keeps the
        // pointers to sense data and data for `receive`.
        sent(unsafe { libc::write(fd, header.cast(), size_of::<Header>()) })?;
        self.given_up = true;
        receive(fd, &mut packet)?;
        self.given_up = false;
        Ok(packet.answer())
    }

    /// Sets how large a transfer the driver keeps memory for, and gives what it
    /// keeps: less, if the host adapter takes less. Larger transfers get memory
    /// of their own each time, and fail with `ENOMEM` when it is scattered too
    /// much.
    ///
    /// # Errors
    /// The kernel's; `EBUSY` while a command uses that memory.
    pub fn reserve(&self, bytes: u32) -> io::Result<u32> {
        let mut size = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        for request in [SG_SET_RESERVED_SIZE, SG_GET_RESERVED_SIZE] {
            // SAFETY: both requests read or write one `int` behind the pointer.
            if unsafe { libc::ioctl(self.device.as_raw_fd(), request, &raw mut size) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(u32::try_from(size).unwrap_or(0))
    }
}

/// Waits for the answer to the packet that was sent last.
fn receive(fd: RawFd, packet: &mut Packet<'_>) -> io::Result<()> {
    let header = &raw mut packet.header;
    loop {
        wait_for_input(fd)?;
        // SAFETY: `read` writes the header, and through the pointers that were
        // sent with it at most `mx_sb_len` bytes of sense data and `dxfer_len`
        // bytes of data, which the packet borrows or owns. It is this packet's
        // answer: each is read before another is sent (`Packets::given_up`).
        match sent(unsafe { libc::read(fd, header.cast(), size_of::<Header>()) }) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => thread::sleep(GOING_PAUSE),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn sent(result: libc::ssize_t) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits until there is an answer, for as long as it takes: the kernel keeps
/// the command's time.
fn wait_for_input(fd: RawFd) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    loop {
        // SAFETY: one `pollfd`, which the call reads and writes.
        let result = unsafe { libc::poll(&raw mut poll, 1, -1) };
        if result >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Holds a command's lengths against what the structures can say, and gives the
/// transfer length.
pub(crate) fn check(cdb: &[u8], direction: Direction, data_len: usize) -> io::Result<u32> {
    let fits = (6..=CDB_BYTES_MAX).contains(&cdb.len());
    match u32::try_from(data_len) {
        Ok(len) if fits && (direction == Direction::None) == (len == 0) => Ok(len),
        _ => {
            let cdb_len = cdb.len();
            let why = format!("a CDB of {cdb_len} bytes with {data_len} bytes {direction:?}");
            Err(io::Error::new(io::ErrorKind::InvalidInput, why))
        }
    }
}

/// A timeout as the kernel counts it. 0 would be the kernel's own default.
pub(crate) fn timeout_ms(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis())
        .unwrap_or(TIMEOUT_MS_MAX)
        .clamp(1, TIMEOUT_MS_MAX)
}

/// Signals are held back on this thread while it lives.
struct Signals {
    before: libc::sigset_t,
    /// Masks belong to threads: the guard may not go to another.
    _thread: PhantomData<*const ()>,
}

impl Signals {
    fn hold() -> io::Result<Signals> {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigfillset` writes the whole set that it is given, and
        // `pthread_sigmask` reads that and writes the other one. A thread's
        // mask is nobody's but its own.
        let error = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr())
        };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(Signals {
            // SAFETY: `pthread_sigmask` succeeded, so it has written the set.
            before: unsafe { before.assume_init() },
            _thread: PhantomData,
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: `before` is a mask that this thread had; no set is asked for.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn a_file_that_is_no_scsi_device_is_the_kernels_error() {
        let null = File::open("/dev/null").expect("opens");
        let error = execute(
            null.as_fd(),
            &[0; 6],
            Direction::None,
            &mut [],
            Duration::from_secs(1),
        )
        .expect_err("no SCSI device");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        let packets = Packets::new(null);
        let error = packets.reserve(1 << 20).expect_err("no SCSI device");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn a_file_that_takes_what_is_written_and_gives_it_back_is_an_exchange() {
        // A pair of sockets hands the structure back as it was written.
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let echo = thread::spawn(move || {
            let mut theirs = theirs;
            let mut header = [0; size_of::<Header>()];
            std::io::Read::read_exact(&mut theirs, &mut header).expect("written");
            header[offset_of!(Header, status)] = 0x08;
            theirs.write_all(&header).expect("read");
        });
        let mut packets = Packets::new(File::from(std::os::fd::OwnedFd::from(ours)));
        let second = Duration::from_secs(1);
        let answer = packets.exchange(&[0; 6], Direction::None, &mut [], second);
        assert_eq!(answer.expect("an answer").status, 0x08);
        echo.join().expect("ended");
    }

    #[test]
    fn after_an_answer_that_never_came_nothing_more_is_sent() {
        let write_only = File::options()
            .write(true)
            .open("/dev/null")
            .expect("opens");
        let mut packets = Packets::new(write_only);
        let second = Duration::from_secs(1);
        let mut exchange = || packets.exchange(&[0; 6], Direction::None, &mut [], second);
        let error = exchange().expect_err("it can't be read");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        let error = exchange().expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let wrong = |cdb: &[u8], direction, len| {
            check(cdb, direction, len).expect_err("refused").kind() == io::ErrorKind::InvalidInput
        };
        assert!(wrong(&[0; 5], Direction::None, 0));
        assert!(wrong(&[0; 33], Direction::None, 0));
        assert!(wrong(&[0; 6], Direction::None, 1));
        assert!(wrong(&[0; 6], Direction::In, 0));
        assert!(wrong(&[0; 6], Direction::Out, 1 << 32));
        assert_eq!(check(&[0; 16], Direction::Out, 512).expect("fits"), 512);
    }

    #[test]
    fn timeouts_stay_in_their_bounds() {
        assert_eq!(timeout_ms(Duration::ZERO), 1);
        assert_eq!(timeout_ms(Duration::from_secs(60)), 60_000);
        assert_eq!(timeout_ms(Duration::MAX), TIMEOUT_MS_MAX);
    }

    #[test]
    fn signals_are_held_back_only_while_the_guard_lives() {
        let masked = || {
            let mut set = MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: with no new mask, the present one is written to `set`.
            unsafe {
                libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), set.as_mut_ptr());
                libc::sigismember(set.as_ptr(), libc::SIGUSR1) == 1
            }
        };
        let guard = Signals::hold().expect("held");
        assert!(masked());
        drop(guard);
        assert!(!masked());
    }

    #[test]
    fn an_answer_keeps_what_there_is_room_for() {
        let answer = Answer::new(2, 0, 8, 4, &[0x70; 300]);
        assert_eq!(answer.sense().len(), SENSE_BYTES_MAX);
        assert!(Answer::new(0, 0, 0, 0, &[]).sense().is_empty());
    }
}
