//! The time that passes for a library that is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Library;
use crate::error::Error;

/// How often it is looked what is due.
const TICK: Duration = Duration::from_millis(250);

/// Lets the time of a library's drives pass ([`Library::tick`]), until it is
/// dropped. Whoever serves a library has one, so that a drive whose host has
/// died goes on by itself.
#[derive(Debug)]
pub struct Ticker {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Begins.
    ///
    /// # Errors
    /// [`Error::Io`] if the host gives no thread.
    pub fn start(library: Arc<Library>) -> Result<Ticker, Error> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let tick = move || {
            while !stop.load(Ordering::SeqCst) {
                library.tick();
                thread::park_timeout(TICK);
            }
        };
        let spawned = thread::Builder::new()
            .name("lh-tick".to_owned())
            .spawn(tick);
        let thread = spawned.map_err(|source| Error::Io {
            path: "the library".into(),
            action: "start a thread for it",
            source,
        })?;
        Ok(Ticker {
            stopping,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
