//! Sense data (SPC-5 4.4).

/// Decoded sense data. To be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sense {}
