//! Moments at random, from a seed.

use std::time::Duration;

use crate::program::number;

/// Names the seed, where it is not the usual one.
const SEED_VARIABLE: &str = "LONGHAUL_SEED";

/// A stream of moments: Marsaglia's xorshift.
#[derive(Debug)]
pub struct Moments(u64);

impl Moments {
    /// The moments of the seed `LONGHAUL_SEED`, or of this one. It is printed.
    pub fn of(usual: u64) -> Moments {
        let seed = number(SEED_VARIABLE, usual);
        eprintln!("{SEED_VARIABLE}={seed}");
        Moments(seed.max(1))
    }

    /// One within so long a time.
    pub fn within(&mut self, longest: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        longest.mul_f64((self.0 % 10_000) as f64 / 10_000.0)
    }
}
