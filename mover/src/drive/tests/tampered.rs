//! A decorator that changes what becomes of chosen commands.

use std::sync::{Arc, Mutex};

use longhaul_scsi::cdb::Cdb;
use longhaul_scsi::transport::{Completion, Outcome, Request, Transport};

/// What becomes of a command.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It is carried out.
    Pass,
    /// It never reaches the drive, and ends like this.
    Swallowed(Outcome),
    /// It is carried out, and ends like this all the same.
    Misreported(Outcome),
    /// Another command is carried out, and it ends like this.
    Replaced(Cdb, Outcome),
}

type Rule = Box<dyn FnMut(usize, &Cdb) -> Fate + Send>;

/// A transport whose outcomes a rule may change.
pub(super) struct Tampered {
    inner: Box<dyn Transport>,
    rule: Rule,
    log: Arc<Mutex<Vec<Cdb>>>,
    done: Option<Completion>,
    misreport: Option<Outcome>,
}

impl Tampered {
    /// `rule` is asked before each command, with the number of those before.
    pub(super) fn new(
        inner: Box<dyn Transport>,
        rule: impl FnMut(usize, &Cdb) -> Fate + Send + 'static,
    ) -> Tampered {
        let log = Arc::default();
        Tampered {
            inner,
            rule: Box::new(rule),
            log,
            done: None,
            misreport: None,
        }
    }

    /// Every command that was sent, for the test to look at.
    pub(super) fn log(&self) -> Arc<Mutex<Vec<Cdb>>> {
        Arc::clone(&self.log)
    }
}

impl Transport for Tampered {
    fn submit(&mut self, request: Request) {
        let mut log = self.log.lock().expect("no panics while it is held");
        let number = log.len();
        log.push(request.cdb);
        drop(log);
        match (self.rule)(number, &request.cdb) {
            Fate::Pass => self.inner.submit(request),
            Fate::Swallowed(outcome) => {
                self.done = Some(Completion {
                    outcome,
                    data: request.data,
                });
            }
            Fate::Misreported(outcome) => {
                self.misreport = Some(outcome);
                self.inner.submit(request);
            }
            Fate::Replaced(cdb, outcome) => {
                self.misreport = Some(outcome);
                self.inner.submit(Request { cdb, ..request });
            }
        }
    }

    fn complete(&mut self) -> Completion {
        if let Some(done) = self.done.take() {
            return done;
        }
        let mut completion = self.inner.complete();
        if let Some(outcome) = self.misreport.take() {
            completion.outcome = outcome;
        }
        completion
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}
