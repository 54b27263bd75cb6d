//! What is seen of a job while it runs.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{bytes, rate};
use crate::progress::Progress;

/// How often a bar on a terminal is drawn, and how often a line is printed
/// where there is no terminal.
const DRAW_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A bar with rate and estimated end on a terminal, a line now and then
/// elsewhere; on standard error, so that results can be piped on. Ends when
/// dropped.
pub struct Display {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Shows a job's progress from now on.
    pub fn start(progress: &Arc<Progress>) -> Display {
        let (end, ended) = channel::<()>();
        let progress = Arc::clone(progress);
        let terminal = std::io::stderr().is_terminal();
        let spawned = std::thread::Builder::new()
            .name("lh-display".into())
            .spawn(move || {
                let begun = Instant::now();
                let bar = terminal.then(bar);
                let every = if terminal { DRAW_EVERY } else { LINE_EVERY };
                while ended.recv_timeout(every).is_err_and(|why| why == TIMEOUT) {
                    match &bar {
                        Some(bar) => draw(bar, &progress),
                        None => say!("{}", line(&progress, begun.elapsed())),
                    }
                }
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
            });
        Display {
            end: Some(end),
            thread: spawned.ok(),
        }
    }

    /// Whether there is a terminal, and so an estimate is worth its price.
    pub fn wants_estimate() -> bool {
        std::io::stderr().is_terminal()
    }
}

const TIMEOUT: std::sync::mpsc::RecvTimeoutError = std::sync::mpsc::RecvTimeoutError::Timeout;

impl Drop for Display {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style =
        "{elapsed_precise} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {msg} ETA {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(progress.expected_bytes().max(progress.source_bytes()));
    bar.set_position(progress.source_bytes());
    bar.set_message(format!("{} files", progress.members()));
}

fn line(progress: &Progress, elapsed: Duration) -> String {
    let done = progress.source_bytes();
    let mut line = format!(
        "{:>6} s  {} files  {}  {}",
        elapsed.as_secs(),
        progress.members(),
        bytes(done),
        rate(progress.tape_bytes(), elapsed),
    );
    let expected = progress.expected_bytes();
    if expected > done && done > 0 {
        let left = elapsed.as_secs_f64() * (expected - done) as f64 / done as f64;
        line.push_str(&format!("  about {left:.0} s left"));
    }
    line
}
