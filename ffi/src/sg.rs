//! SCSI commands through `SG_IO` (`include/scsi/sg.h`, version 3).
//!
//! One blocking ioctl, which the kernel answers on `/dev/sgN` (the sg driver),
//! on `/dev/nstN`, `/dev/schN` and `/dev/bsg/…` (`drivers/scsi/scsi_ioctl.c`):
//! the same structure, two implementations. The one behind `/dev/nstN` maps the
//! caller's pages and waits without being interruptible; the sg driver copies,
//! unless direct I/O is asked for and allowed (`/proc/scsi/sg/allow_dio`), and
//! can be interrupted, which leaves the command running with nobody to tell
//! its outcome. So all signals are held back on the thread while it waits.
//!
//! A stop (SIGSTOP, the freezer) cannot be held back: the sg driver then lets
//! go of the command, and **the kernel starts the ioctl again** when the process
//! goes on, so that a WRITE may be executed twice. Whoever writes to a tape by
//! `/dev/sgN` has to compare positions afterwards; on `/dev/nstN` it cannot
//! happen.

use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
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

/// `SG_FLAG_DIRECT_IO`: the sg driver maps pages if it may, and copies
/// otherwise; the other drivers pay no heed to it.
const FLAG_DIRECT_IO: libc::c_uint = 0x01;
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

/// Sends a command and waits for its end. `data` is what moves, all of it; it
/// must be empty for [`Direction::None`].
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
    let dxfer_len = check(cdb, direction, data.len())?;
    let mut sense = [0u8; SENSE_BYTES_MAX];
    let mut header = Header {
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
        flags: FLAG_DIRECT_IO | FLAG_Q_AT_TAIL,
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
    let signals = Signals::hold()?;
    // SAFETY: `header` is laid out as the kernel's structure (asserted above).
    // Its pointers and lengths describe `cdb` (read), `sense` (written, at most
    // `mx_sb_len`) and `data` (`dxfer_len` bytes, read or written), which are
    // all borrowed for the whole call, `data` exclusively.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), SG_IO, &raw mut header) };
    let error = io::Error::last_os_error();
    drop(signals);
    if result < 0 {
        return Err(error);
    }
    let sense_len = usize::from(header.sb_len_wr).min(SENSE_BYTES_MAX);
    Ok(Answer::new(
        header.status,
        header.host_status,
        header.driver_status,
        header.resid,
        &sense[..sense_len],
    ))
}

/// Sets how large a transfer the sg driver keeps memory for, and gives what it
/// keeps: less, if the host adapter takes less. Larger transfers get memory of
/// their own each time, and fail with `ENOMEM` when it is scattered too much.
///
/// # Errors
/// The kernel's; `EBUSY` while a command uses that memory.
pub fn reserve(device: BorrowedFd<'_>, bytes: u32) -> io::Result<u32> {
    let mut size = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    for request in [SG_SET_RESERVED_SIZE, SG_GET_RESERVED_SIZE] {
        // SAFETY: both requests read or write one `int` behind the pointer.
        if unsafe { libc::ioctl(device.as_raw_fd(), request, &raw mut size) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(u32::try_from(size).unwrap_or(0))
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
    _thread: std::marker::PhantomData<*const ()>,
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
            _thread: std::marker::PhantomData,
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
    use std::fs::File;
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
        let error = reserve(null.as_fd(), 1 << 20).expect_err("no SCSI device");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
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
