//! How long a real LTO-9 drive would take.
//!
//! The drive's buffer and its tape run apart: the host fills the buffer, the
//! tape empties it. The tape cannot run slower than 177 MB/s. While the host
//! is slower than that, the buffer runs empty, the tape stops behind the point
//! where it should have gone on, and must be drawn back and started again: a
//! **back-hitch**, which costs seconds. Between 177 and 400 MB/s the tape
//! follows the host's rate.
//!
//! Time is only reckoned when a command comes: what the tape has done since the
//! last one is credited then. [`ClockMode::Real`] takes the time from the host
//! and expects whoever holds the drive to sleep for as long as each command
//! says it took; [`ClockMode::Simulated`] adds up what the commands took, and
//! counts the host as infinitely fast.
//!
//! The figures are the published ones for LTO-9 (400 MB/s native, 18 TB on
//! 1,035 m in 208 wraps, about 10 m/s when locating) and, for what nobody
//! publishes, estimates. A cartridge of less capacity is a shorter tape.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Whose time the drive keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// None: everything takes no time.
    #[default]
    None,
    /// The host's: commands take as long as on a real drive.
    Real,
    /// Its own: commands take no time, but it is counted.
    Simulated,
}

impl fmt::Display for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClockMode::None => "none",
            ClockMode::Real => "real",
            ClockMode::Simulated => "simulated",
        })
    }
}

impl FromStr for ClockMode {
    /// What is wrong with it.
    type Err = String;

    fn from_str(text: &str) -> Result<ClockMode, String> {
        match text {
            "none" => Ok(ClockMode::None),
            "real" => Ok(ClockMode::Real),
            "simulated" => Ok(ClockMode::Simulated),
            _ => Err(format!("clock {text:?} is not none, real or simulated")),
        }
    }
}

/// Fastest rate of the tape, in bytes a second.
pub const NATIVE_BYTES_PER_S: u64 = 400_000_000;
/// Slowest rate of the tape, in bytes a second.
pub const SLOWEST_BYTES_PER_S: u64 = 177_000_000;
/// The object buffer of an LTO-9 drive, in bytes.
pub const BUFFER_BYTES: u64 = 1 << 30;

const NS_PER_S: u64 = 1_000_000_000;
const BACK_HITCH_NS: u64 = 3 * NS_PER_S;
/// A buffer that is not full goes to the tape after this long.
const IDLE_FLUSH_NS: u64 = 5 * NS_PER_S;
const RATE_WINDOW_NS: u64 = NS_PER_S / 5;

const TAPE_MM: u64 = 1_035_000;
const WRAP_BYTES: u64 = 18_000_000_000_000 / 208;
const LOCATE_MM_PER_S: u64 = 10_000;
/// Starting, stopping and finding the track.
const SETTLE: Duration = Duration::from_millis(2_500);
/// From pushing a cartridge in until the drive is ready.
pub(crate) const LOAD: Duration = Duration::from_secs(15);
const UNLOAD: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tape {
    /// It can run again from this moment on.
    Stopped { ready_ns: u64 },
    /// What it wrote is credited up to this moment.
    Streaming { at_ns: u64 },
}

/// The drive's time, and what its tape does.
#[derive(Debug)]
pub struct Clock {
    mode: ClockMode,
    began: Instant,
    /// When the present command came.
    command_ns: u64,
    /// What it has taken so far.
    spent_ns: u64,
    tape: Tape,
    /// Bytes that the tape took, and that no whole object was for yet.
    credit: u64,
    oldest_ns: Option<u64>,
    buffer_bytes: u64,
    rate: u64,
    window_ns: u64,
    window_bytes: u64,
    back_hitches: u64,
}

impl Clock {
    pub(crate) fn new(mode: ClockMode, buffer_bytes: u64) -> Clock {
        Clock {
            mode,
            began: Instant::now(),
            command_ns: 0,
            spent_ns: 0,
            tape: Tape::Stopped { ready_ns: 0 },
            credit: 0,
            oldest_ns: None,
            buffer_bytes,
            rate: NATIVE_BYTES_PER_S,
            window_ns: 0,
            window_bytes: 0,
            back_hitches: 0,
        }
    }

    /// Which clock it is.
    pub fn mode(&self) -> ClockMode {
        self.mode
    }

    /// Time since power on.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now_ns())
    }

    /// How often the tape had to be drawn back because the buffer ran empty or
    /// was synchronised.
    pub fn back_hitches(&self) -> u64 {
        self.back_hitches
    }

    pub(crate) fn is_off(&self) -> bool {
        self.mode == ClockMode::None
    }

    /// A command came.
    pub(crate) fn begin(&mut self) {
        let end = self.now_ns();
        self.spent_ns = 0;
        self.command_ns = match self.mode {
            ClockMode::Real => {
                let since = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                end.max(since)
            }
            ClockMode::None | ClockMode::Simulated => end,
        };
    }

    /// How long the command took.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent_ns)
    }

    pub(crate) fn spend(&mut self, time: Duration) {
        if !self.is_off() {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.spent_ns = self.spent_ns.saturating_add(ns);
        }
    }

    fn now_ns(&self) -> u64 {
        self.command_ns.saturating_add(self.spent_ns)
    }

    fn spend_until(&mut self, then_ns: u64) {
        self.spend(Duration::from_nanos(then_ns.saturating_sub(self.now_ns())));
    }

    /// The buffer took an object of so many bytes.
    pub(crate) fn accepted(&mut self, bytes: u64) {
        let now = self.now_ns();
        self.oldest_ns.get_or_insert(now);
        self.window_bytes += bytes;
        let window = now.saturating_sub(self.window_ns);
        if window >= RATE_WINDOW_NS {
            self.rate = mul_div(self.window_bytes, NS_PER_S, window);
            (self.window_ns, self.window_bytes) = (now, 0);
        }
    }

    /// Bytes, of those that the buffer holds, that the tape has taken by now.
    pub(crate) fn run(&mut self, held: u64) -> u64 {
        let now = self.now_ns();
        let left = held.saturating_sub(self.credit);
        if held == 0 {
            self.oldest_ns = None;
        }
        if let Tape::Stopped { ready_ns } = self.tape
            && let Some(start) = self.start(left, ready_ns)
            && start <= now
        {
            self.tape = Tape::Streaming { at_ns: start };
        }
        if let Tape::Streaming { at_ns } = self.tape {
            let speed = self.speed(held);
            let moved = mul_div(now.saturating_sub(at_ns), speed, NS_PER_S);
            if moved >= left {
                self.stop(at_ns + mul_div(left, NS_PER_S, speed));
                self.credit += left;
            } else {
                self.credit += moved;
                self.tape = Tape::Streaming { at_ns: now };
            }
        }
        self.credit
    }

    /// When a stopped tape starts by itself, if it has reason to.
    fn start(&self, left: u64, ready_ns: u64) -> Option<u64> {
        if left == 0 {
            return None;
        }
        if left >= self.buffer_bytes / 4 {
            return Some(self.now_ns().max(ready_ns));
        }
        self.oldest_ns
            .map(|oldest| (oldest + IDLE_FLUSH_NS).max(ready_ns))
    }

    fn speed(&self, held: u64) -> u64 {
        if held > self.buffer_bytes / 2 {
            return NATIVE_BYTES_PER_S;
        }
        self.rate.clamp(SLOWEST_BYTES_PER_S, NATIVE_BYTES_PER_S)
    }

    fn stop(&mut self, at_ns: u64) {
        self.back_hitches += 1;
        self.tape = Tape::Stopped {
            ready_ns: at_ns + BACK_HITCH_NS,
        };
    }

    /// Waits until the tape has taken so many bytes.
    pub(crate) fn wait_for(&mut self, bytes: u64) {
        let missing = bytes.saturating_sub(self.credit);
        if missing == 0 {
            return;
        }
        if let Tape::Stopped { ready_ns } = self.tape {
            self.spend_until(ready_ns);
        }
        self.spend(Duration::from_nanos(mul_div(
            missing,
            NS_PER_S,
            NATIVE_BYTES_PER_S,
        )));
        self.credit += missing;
        self.tape = Tape::Streaming {
            at_ns: self.now_ns(),
        };
    }

    /// Waits until the tape has taken all that the buffer holds; then it stops.
    pub(crate) fn flush(&mut self, held: u64) {
        self.wait_for(held);
        if matches!(self.tape, Tape::Streaming { .. }) {
            self.stop(self.now_ns());
        }
    }

    /// Whole objects of so many bytes left the buffer.
    pub(crate) fn taken(&mut self, bytes: u64, empty: bool) {
        self.credit = self.credit.saturating_sub(bytes);
        self.oldest_ns = if empty { None } else { Some(self.now_ns()) };
    }

    /// The buffer's content is lost; the tape stands.
    pub(crate) fn reset(&mut self) {
        self.credit = 0;
        self.oldest_ns = None;
        self.tape = Tape::Stopped {
            ready_ns: self.now_ns(),
        };
    }

    /// A block of so many bytes is read.
    pub(crate) fn read(&mut self, bytes: u64) {
        self.spend(Duration::from_nanos(mul_div(
            bytes,
            NS_PER_S,
            NATIVE_BYTES_PER_S,
        )));
    }

    /// The tape moves from one place to another, both in bytes of capacity.
    pub(crate) fn travel(&mut self, from: u64, to: u64) {
        if from == to || self.is_off() {
            return;
        }
        let way_mm = along_mm(from).abs_diff(along_mm(to));
        self.spend(SETTLE + Duration::from_millis(way_mm * 1000 / LOCATE_MM_PER_S));
        self.tape = Tape::Stopped {
            ready_ns: self.now_ns(),
        };
    }

    pub(crate) fn load(&mut self) {
        self.spend(LOAD);
    }

    pub(crate) fn unload(&mut self) {
        self.spend(UNLOAD);
    }
}

/// How far along the tape a byte lies: the wraps run to and fro.
fn along_mm(bytes: u64) -> u64 {
    let along = mul_div(bytes % WRAP_BYTES, TAPE_MM, WRAP_BYTES);
    if (bytes / WRAP_BYTES).is_multiple_of(2) {
        along
    } else {
        TAPE_MM - along
    }
}

fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(ClockMode::Simulated, BUFFER_BYTES)
    }

    #[test]
    fn a_full_buffer_is_emptied_at_native_speed() {
        let mut clock = clock();
        clock.begin();
        clock.accepted(BUFFER_BYTES);
        clock.wait_for(NATIVE_BYTES_PER_S);
        assert_eq!(clock.spent(), Duration::from_secs(1));
    }

    #[test]
    fn the_tape_starts_when_the_buffer_has_enough() {
        let mut clock = clock();
        clock.begin();
        clock.accepted(1000);
        assert_eq!(clock.run(1000), 0);
        clock.spend(Duration::from_secs(6));
        assert_eq!(
            clock.run(1000),
            1000,
            "after five seconds it does not wait for more"
        );
    }

    #[test]
    fn a_starved_tape_back_hitches() {
        let mut clock = clock();
        clock.begin();
        clock.accepted(BUFFER_BYTES / 2);
        clock.run(BUFFER_BYTES / 2);
        clock.spend(Duration::from_secs(10));
        assert_eq!(clock.run(BUFFER_BYTES / 2), BUFFER_BYTES / 2);
        assert_eq!(clock.back_hitches(), 1);
    }

    #[test]
    fn a_slow_host_is_followed_down_to_the_slowest_rate() {
        let mut clock = clock();
        clock.rate = 200_000_000;
        assert_eq!(clock.speed(1), 200_000_000);
        clock.rate = 1;
        assert_eq!(clock.speed(1), SLOWEST_BYTES_PER_S);
        assert_eq!(clock.speed(BUFFER_BYTES), NATIVE_BYTES_PER_S);
    }

    #[test]
    fn a_flush_stops_the_tape_and_the_next_write_waits_for_it() {
        let mut clock = clock();
        clock.begin();
        clock.accepted(400);
        clock.flush(400);
        clock.taken(400, true);
        assert_eq!(clock.back_hitches(), 1);
        clock.begin();
        clock.flush(0);
        assert_eq!(
            clock.spent(),
            Duration::ZERO,
            "nothing to flush costs nothing"
        );
        clock.accepted(400);
        clock.flush(400);
        assert!(clock.spent() >= Duration::from_secs(2));
    }

    #[test]
    fn the_far_end_of_a_wrap_is_the_near_end_of_the_next() {
        assert_eq!(along_mm(0), 0);
        assert!(along_mm(WRAP_BYTES - 1) > TAPE_MM - 2);
        assert!(along_mm(2 * WRAP_BYTES - 1) < 2);
        let mut clock = clock();
        clock.begin();
        clock.travel(0, WRAP_BYTES);
        assert!(clock.spent() > Duration::from_secs(100));
    }

    #[test]
    fn without_a_clock_nothing_takes_time() {
        let mut clock = Clock::new(ClockMode::None, 1);
        clock.begin();
        clock.travel(0, WRAP_BYTES);
        clock.load();
        for _ in 0..3 {
            clock.accepted(1000);
            clock.flush(1000);
            clock.taken(1000, true);
        }
        assert_eq!(clock.spent(), Duration::ZERO);
    }
}
