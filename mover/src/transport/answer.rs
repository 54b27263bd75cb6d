//! From the kernel's answer to an outcome.
//!
//! The kernel answers with a SCSI status, a host byte, a driver byte and sense
//! data, or with an errno and nothing else. The SCSI status counts first: older
//! kernels set a host byte (DID_NEXUS_FAILURE) beside RESERVATION CONFLICT,
//! newer ones do not, and a device that has answered was reached.

use std::io;

use longhaul_ffi::sg::Answer;
use longhaul_scsi::sense::Sense;
use longhaul_scsi::status::Status;
use longhaul_scsi::transport::{Outcome, TransportError};

/// `DRIVER_SENSE`: there is sense data, whatever the status byte says.
const DRIVER_SENSE: u16 = 0x08;
/// `DRIVER_TIMEOUT`, as older kernels say it.
const DRIVER_TIMEOUT: u16 = 0x06;
/// The driver byte's upper half was a suggestion once.
const DRIVER_MASK: u16 = 0x0f;

/// Turns answers of one device into outcomes.
///
/// An errno does not tell a transfer that is too large from a kernel that has
/// no memory just now, or from an error after the command was sent. What went
/// through before does: a transfer no longer than that is not too large.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Bytes of the longest transfer that the kernel took.
    longest: usize,
}

impl Answers {
    /// The outcome of a command that asked for `asked` bytes to move.
    pub(super) fn outcome(&mut self, asked: usize, answer: io::Result<Answer>) -> Outcome {
        match answer {
            Ok(answer) => {
                self.longest = self.longest.max(asked);
                of_answer(asked, &answer)
            }
            Err(error) => nothing_moved(asked, Err(self.of_error(asked, &error))),
        }
    }

    fn of_error(&self, asked: usize, error: &io::Error) -> TransportError {
        let Some(number) = error.raw_os_error() else {
            // Refused on this side of the kernel: its lengths cannot be sent.
            return TransportError::TooLarge;
        };
        let may_be_too_large = asked > self.longest;
        match number {
            libc::ENODEV | libc::ENXIO | libc::ESHUTDOWN => TransportError::NoConnect,
            libc::EAGAIN | libc::EBUSY => TransportError::NotSent,
            libc::ETIMEDOUT => TransportError::TimedOut,
            libc::EINTR => TransportError::Disrupted,
            libc::ENOMEM | libc::EINVAL | libc::EIO if may_be_too_large => TransportError::TooLarge,
            // Memory was short before anything was sent.
            libc::ENOMEM => TransportError::NotSent,
            other => TransportError::Other(other),
        }
    }
}

fn of_answer(asked: usize, answer: &Answer) -> Outcome {
    let sense = Sense::decode(answer.sense()).ok();
    let driver = answer.driver_status & DRIVER_MASK;
    let status = match (answer.status, host(answer.host_status)) {
        (0, Some(error)) => error,
        (0, None) if driver == DRIVER_TIMEOUT => Err(TransportError::TimedOut),
        (0, None) if driver == DRIVER_SENSE && sense.is_some() => Ok(Status::CheckCondition),
        (status, _) => Ok(Status::from(status)),
    };
    if status.is_err() {
        return nothing_moved(asked, status);
    }
    Outcome {
        status,
        sense,
        residual: answer.residual.into(),
    }
}

fn nothing_moved(asked: usize, status: Result<Status, TransportError>) -> Outcome {
    Outcome {
        status,
        sense: None,
        // Bounded by a transfer length of 32 bits.
        residual: asked as i64,
    }
}

/// What a host byte means where the device gave no status
/// (`include/scsi/scsi_status.h`); `None` for DID_OK.
fn host(byte: u16) -> Option<Result<Status, TransportError>> {
    let error = match byte {
        0x00 => return None,
        // DID_NO_CONNECT, DID_BAD_TARGET
        0x01 | 0x04 => TransportError::NoConnect,
        // DID_BUS_BUSY, DID_IMM_RETRY, DID_REQUEUE
        0x02 | 0x0c | 0x0d => TransportError::NotSent,
        // DID_TIME_OUT
        0x03 => TransportError::TimedOut,
        // DID_ABORT, DID_PARITY, DID_ERROR, DID_RESET, DID_BAD_INTR,
        // DID_SOFT_ERROR, DID_TRANSPORT_DISRUPTED, DID_TRANSPORT_FAILFAST,
        // DID_TRANSPORT_MARGINAL
        0x05..=0x09 | 0x0b | 0x0e | 0x0f | 0x14 => TransportError::Disrupted,
        // DID_NEXUS_FAILURE
        0x11 => return Some(Ok(Status::ReservationConflict)),
        other => TransportError::Other(other.into()),
    };
    Some(Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_scsi::SenseKey;
    use proptest::prelude::*;

    const DID_TIME_OUT: u16 = 0x03;
    const DID_NEXUS_FAILURE: u16 = 0x11;

    fn of(answer: io::Result<Answer>) -> Outcome {
        Answers::default().outcome(512, answer)
    }

    fn errno(number: i32) -> io::Result<Answer> {
        Err(io::Error::from_raw_os_error(number))
    }

    #[test]
    fn the_scsi_status_counts_before_the_host_byte() {
        let answer = Answer::new(0x18, DID_NEXUS_FAILURE, 0, 0, &[]);
        assert_eq!(of(Ok(answer)).status, Ok(Status::ReservationConflict));
        let answer = Answer::new(0, DID_NEXUS_FAILURE, 0, 0, &[]);
        assert_eq!(of(Ok(answer)).status, Ok(Status::ReservationConflict));
        let answer = Answer::new(0x08, DID_TIME_OUT, 0, 0, &[]);
        assert_eq!(of(Ok(answer)).status, Ok(Status::Busy));
    }

    #[test]
    fn sense_data_and_the_residual_come_through() {
        let sense = Sense::new(SenseKey::NoSense, 0, 1)
            .with_filemark()
            .encode_fixed();
        for (status, driver) in [(2, 0), (2, DRIVER_SENSE), (0, DRIVER_SENSE)] {
            let outcome = of(Ok(Answer::new(status, 0, driver, 512, &sense)));
            assert_eq!(outcome.status, Ok(Status::CheckCondition));
            assert!(outcome.sense.expect("decoded").filemark);
            assert_eq!(outcome.residual, 512);
        }
        let good = of(Ok(Answer::new(0, 0, 0, 0, &[])));
        assert_eq!(good, Outcome::good());
    }

    #[test]
    fn host_bytes_without_a_status() {
        let of = |host| of(Ok(Answer::new(0, host, 0, 0, &[]))).status;
        assert_eq!(of(0x01), Err(TransportError::NoConnect));
        assert_eq!(of(DID_TIME_OUT), Err(TransportError::TimedOut));
        for host in [0x05, 0x07, 0x08, 0x0e, 0x0f] {
            assert_eq!(of(host), Err(TransportError::Disrupted));
        }
        for host in [0x02, 0x0c, 0x0d] {
            assert_eq!(of(host), Err(TransportError::NotSent));
        }
        assert_eq!(of(0x13), Err(TransportError::Other(0x13)));
        let answer = Answer::new(0, 0, DRIVER_TIMEOUT, 0, &[]);
        let outcome = Answers::default().outcome(512, Ok(answer));
        assert_eq!(outcome.status, Err(TransportError::TimedOut));
        assert_eq!(outcome.residual, 512, "nobody knows what moved");
    }

    #[test]
    fn errors_of_the_kernel() {
        let of = |number| of(errno(number)).status.expect_err("an error");
        assert_eq!(of(libc::ENODEV), TransportError::NoConnect);
        assert_eq!(of(libc::ENXIO), TransportError::NoConnect);
        assert_eq!(of(libc::EINTR), TransportError::Disrupted);
        assert_eq!(of(libc::EAGAIN), TransportError::NotSent);
        assert_eq!(of(libc::EPERM), TransportError::Other(libc::EPERM));
    }

    #[test]
    fn a_transfer_no_longer_than_one_that_went_through_is_not_too_large() {
        for number in [libc::ENOMEM, libc::EINVAL, libc::EIO] {
            let mut answers = Answers::default();
            let mut of = |asked, answer| answers.outcome(asked, answer).status;
            assert_eq!(of(512, errno(number)), Err(TransportError::TooLarge));
            assert_eq!(of(512, Ok(Answer::new(0, 0, 0, 0, &[]))), Ok(Status::Good));
            assert_eq!(of(1024, errno(number)), Err(TransportError::TooLarge));
            let again = of(512, errno(number)).expect_err("an error");
            if number == libc::ENOMEM {
                assert_eq!(again, TransportError::NotSent);
            } else {
                assert_eq!(again, TransportError::Other(number));
            }
        }
    }

    proptest! {
        #[test]
        fn any_answer_has_an_outcome(status: u8, host: u16, driver: u16, residual: i32,
                                     sense in prop::collection::vec(any::<u8>(), 0..100)) {
            let answer = Answer::new(status, host, driver, residual, &sense);
            let outcome = of(Ok(answer));
            if status != 0 {
                prop_assert_eq!(outcome.status, Ok(Status::from(status)));
            }
        }
    }
}
