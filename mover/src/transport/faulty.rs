//! A transport that fails as only a kernel can: a host byte without a status,
//! or an errno, before the device has executed the command or after.
//!
//! The failures go through the same translation as real answers do, so what is
//! tested with them is what a real kernel would bring about.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_ffi::sg::Answer;
use longhaul_scsi::transport::{Completion, Outcome, Request, Transport};

use super::answer::Answers;

/// What the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A host byte (`include/scsi/scsi_status.h`), without a status.
    Host(u16),
    /// The system call, or the completion, gave an errno.
    Errno(i32),
}

/// What a command meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which command meets it, counted from 1.
    pub at: u64,
    /// What the kernel says.
    pub failure: Failure,
    /// Whether the device executed the command all the same.
    pub executed: bool,
    /// Whether all later commands meet it too, without reaching the device.
    pub lasts: bool,
}

/// A transport with one fault.
pub struct Faulty<T> {
    inner: T,
    fault: Option<Fault>,
    sent: Arc<AtomicU64>,
    failed: Option<Completion>,
}

impl<T: Transport> Faulty<T> {
    /// Over a transport that works.
    pub fn new(inner: T, fault: Option<Fault>) -> Faulty<T> {
        Faulty {
            inner,
            fault,
            sent: Arc::default(),
            failed: None,
        }
    }

    /// Counts the commands that were given to it.
    pub fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn submit(&mut self, request: Request) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let meets = |fault: &Fault| number == fault.at || fault.lasts && number > fault.at;
        let Some(fault) = self.fault.filter(meets) else {
            return self.inner.submit(request);
        };
        let asked = request.data.len();
        let data = if fault.executed && number == fault.at {
            self.inner.execute(request).data
        } else {
            request.data
        };
        let outcome = outcome(fault.failure, asked);
        self.failed = Some(Completion { outcome, data });
    }

    fn complete(&mut self) -> Completion {
        self.failed.take().unwrap_or_else(|| self.inner.complete())
    }

    fn name(&self) -> String {
        self.inner.name()
    }

    fn change_path(&mut self) -> bool {
        self.inner.change_path()
    }
}

fn outcome(failure: Failure, asked: usize) -> Outcome {
    let answer = match failure {
        Failure::Host(host) => Ok(Answer::new(0, host, 0, 0, &[])),
        Failure::Errno(number) => Err(io::Error::from_raw_os_error(number)),
    };
    Answers::default().outcome(asked, answer)
}
