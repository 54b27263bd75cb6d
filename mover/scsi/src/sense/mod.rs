//! Sense data (SPC-5 4.4): why a command ended as it did.
//!
//! Two formats say the same things: *fixed* (response codes 70h and 71h), which
//! every drive sends, and *descriptor* (72h and 73h), which newer ones can be
//! told to send. Both become one [`Sense`]. 71h and 73h are **deferred** errors:
//! they tell of an *earlier* command, and the command that they came with was
//! not executed.
//!
//! ```text
//! fixed:       70h|71h  -  FM EOM ILI key  INFORMATION(4)  additional length
//!              COMMAND-SPECIFIC INFORMATION(4)  ASC ASCQ FRU  SKS(3)
//! descriptor:  72h|73h  key ASC ASCQ  -(3)  additional length  descriptors…
//! ```
//!
//! A sense buffer may be cut anywhere, and its lengths may lie; what is there
//! is used.

mod asc;
mod codec;
mod key;

use std::fmt;

pub use asc::describe;
pub use key::SenseKey;

/// Sense data, decoded from either format.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sense {
    /// It tells of an earlier command; the present one was not executed.
    pub deferred: bool,
    /// The class of the condition.
    pub key: SenseKey,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
    /// FILEMARK: a read or space met a filemark.
    pub filemark: bool,
    /// EOM: at or past early warning, or at beginning of partition when
    /// spacing backwards.
    pub eom: bool,
    /// ILI: the block's length is not what was asked for.
    pub ili: bool,
    /// INFORMATION as it came (32 or 64 bits), where the drive says that it is
    /// valid. For reads, writes and spaces see [`residual`](Sense::residual).
    pub information: Option<u64>,
    /// COMMAND-SPECIFIC INFORMATION, where it is not zero.
    pub command_specific: Option<u64>,
    /// FIELD REPLACEABLE UNIT CODE; 0 for none.
    pub field_replaceable_unit: u8,
    /// What the sense-key specific bytes say, where they are valid.
    pub key_specific: Option<KeySpecific>,
}

/// The sense-key specific field (SPC-5 4.4.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySpecific {
    /// ILLEGAL REQUEST: which byte (and bit) was wrong.
    FieldPointer {
        /// In the CDB; else in the parameter data.
        in_cdb: bool,
        /// The most significant bit of the field, where told.
        bit: Option<u8>,
        /// The first byte of the field.
        byte: u16,
    },
    /// NO SENSE and NOT READY: how far an operation is, in 65,536ths.
    Progress(u16),
    /// RECOVERED, MEDIUM and HARDWARE ERROR: how many retries were made.
    RetryCount(u16),
    /// UNIT ATTENTION: whether some were lost for want of room.
    UnitAttentionOverflow(bool),
    /// Another key's: the three bytes without the SKSV bit.
    Other([u8; 3]),
}

impl Sense {
    /// Current sense data of a key and code, with nothing else said.
    pub const fn new(key: SenseKey, asc: u8, ascq: u8) -> Sense {
        Sense {
            deferred: false,
            key,
            asc,
            ascq,
            filemark: false,
            eom: false,
            ili: false,
            information: None,
            command_specific: None,
            field_replaceable_unit: 0,
            key_specific: None,
        }
    }

    /// The same, as a deferred error.
    pub fn deferred(mut self) -> Sense {
        self.deferred = true;
        self
    }

    /// The same, with the FILEMARK bit.
    pub fn with_filemark(mut self) -> Sense {
        self.filemark = true;
        self
    }

    /// The same, with the EOM bit.
    pub fn with_eom(mut self) -> Sense {
        self.eom = true;
        self
    }

    /// The same, with the ILI bit.
    pub fn with_ili(mut self) -> Sense {
        self.ili = true;
        self
    }

    /// The same, with a signed residual in INFORMATION (SSC-5: requested
    /// transfer length minus what was moved; negative for an over-long block).
    pub fn with_residual(mut self, residual: i64) -> Sense {
        self.information = Some(residual as u64);
        self
    }

    /// The same, with how far an operation is, in 65,536ths.
    pub fn with_progress(mut self, progress: u16) -> Sense {
        self.key_specific = Some(KeySpecific::Progress(progress));
        self
    }

    /// The same, with a pointer to the wrong byte of the CDB.
    pub fn with_cdb_field(mut self, byte: u16) -> Sense {
        self.key_specific = Some(KeySpecific::FieldPointer {
            in_cdb: true,
            bit: None,
            byte,
        });
        self
    }

    /// The same, with a pointer to the wrong byte of the parameter data.
    pub fn with_parameter_field(mut self, byte: u16) -> Sense {
        self.key_specific = Some(KeySpecific::FieldPointer {
            in_cdb: false,
            bit: None,
            byte,
        });
        self
    }

    /// INFORMATION as stream commands use it: a two's complement residual, in
    /// the unit of the command's length (bytes, blocks or filemarks). Fixed
    /// format has 32 bits for it; no command here moves 2³¹ units, so a value
    /// that fits 32 bits is taken as 32 bits wide.
    pub fn residual(&self) -> Option<i64> {
        self.information.map(|raw| match u32::try_from(raw) {
            Ok(narrow) => i64::from(narrow as i32),
            Err(_) => raw as i64,
        })
    }

    /// How far an operation is, from 0.0 to 1.0, where the drive tells.
    pub fn progress(&self) -> Option<f64> {
        match self.key_specific {
            Some(KeySpecific::Progress(parts)) => Some(f64::from(parts) / 65536.0),
            _ => None,
        }
    }

    /// Key, ASC and ASCQ as one number, as tables and logs write them:
    /// 062800h is UNIT ATTENTION, 28h, 00h.
    pub fn code(&self) -> u32 {
        u32::from_be_bytes([0, self.key as u8, self.asc, self.ascq])
    }

    /// Whether it is this key and code.
    pub fn is(&self, key: SenseKey, asc: u8, ascq: u8) -> bool {
        self.key == key && self.asc == asc && self.ascq == ascq
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deferred {
            f.write_str("deferred ")?;
        }
        write!(f, "{}", self.key)?;
        match describe(self.asc, self.ascq) {
            Some(words) => write!(f, ", {words}")?,
            None if self.asc >= 0x80 || self.ascq >= 0x80 => f.write_str(", vendor's code")?,
            None => {}
        }
        write!(
            f,
            " ({:X}/{:02X}/{:02X})",
            self.key as u8, self.asc, self.ascq
        )?;
        for (set, name) in [
            (self.filemark, "FILEMARK"),
            (self.eom, "EOM"),
            (self.ili, "ILI"),
        ] {
            if set {
                write!(f, " {name}")?;
            }
        }
        if let Some(residual) = self.residual() {
            write!(f, ", information {residual}")?;
        }
        match self.key_specific {
            Some(KeySpecific::Progress(parts)) => {
                write!(f, ", {} % done", u32::from(parts) * 100 / 65536)
            }
            Some(KeySpecific::FieldPointer { in_cdb, byte, .. }) => {
                write!(
                    f,
                    ", byte {byte} of the {}",
                    if in_cdb { "CDB" } else { "parameters" }
                )
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_a_sentence() {
        let sense = Sense::new(SenseKey::UnitAttention, 0x28, 0x00).deferred();
        let text = "deferred UNIT ATTENTION, not ready to ready change, \
                    medium may have changed (6/28/00)";
        assert_eq!(sense.to_string(), text);
        let sense = Sense::new(SenseKey::NoSense, 0, 1)
            .with_filemark()
            .with_residual(-3);
        let text = "NO SENSE, filemark detected (0/00/01) FILEMARK, information -3";
        assert_eq!(sense.to_string(), text);
        let sense = Sense::new(SenseKey::IllegalRequest, 0x24, 0).with_cdb_field(2);
        assert!(sense.to_string().ends_with("(5/24/00), byte 2 of the CDB"));
        let sense = Sense::new(SenseKey::NotReady, 4, 1).with_progress(0x8000);
        assert!(sense.to_string().ends_with("50 % done"));
        let sense = Sense::new(SenseKey::HardwareError, 0x84, 0);
        assert_eq!(sense.to_string(), "HARDWARE ERROR, vendor's code (4/84/00)");
    }

    #[test]
    fn a_code_is_one_number() {
        assert_eq!(
            Sense::new(SenseKey::UnitAttention, 0x2a, 0x03).code(),
            0x06_2a03
        );
    }
}
