//! Who a drive is: INQUIRY and vital product data.
//!
//! /dev names differ from node to node and from boot to boot; a serial number
//! does not. An NAA number does not either, but some bridges give one to each
//! port, so the serial number is what a drive is called by.

use std::fmt;

use longhaul_scsi::cdb::Command;
use longhaul_scsi::spc::inquiry::{DeviceType, Inquiry, StandardInquiry};
use longhaul_scsi::spc::vpd::{self, DeviceIdentification};

use super::error::{DriveError, Problem};
use super::session::Drive;

const INQUIRY: &str = "INQUIRY";

/// Bytes that are asked for. Drives send 36 to 100.
const STANDARD_BYTES: u16 = 96;
/// Pages 80h and 83h are some dozen bytes; more than this is not read.
const VITAL_BYTES: u16 = 1024;

/// Who a drive is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// T10 VENDOR IDENTIFICATION
    pub vendor: String,
    /// PRODUCT IDENTIFICATION
    pub product: String,
    /// PRODUCT REVISION LEVEL: the firmware.
    pub revision: String,
    /// VPD page 80h, without padding; empty where the drive has none.
    pub serial: String,
    /// The logical unit's NAA number (VPD page 83h).
    pub naa: Option<u64>,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity {
            vendor,
            product,
            revision,
            serial,
            ..
        } = self;
        write!(f, "{vendor} {product} {revision}, serial {serial}")
    }
}

impl Drive {
    /// Asks who the drive is. INQUIRY works in every state and under every
    /// reservation.
    pub(super) fn identify(&mut self) -> Result<(), DriveError> {
        let cdb = Inquiry::standard(STANDARD_BYTES).cdb();
        let bytes = self.ask_in(INQUIRY, cdb, STANDARD_BYTES.into())?;
        let standard = StandardInquiry::parse(&bytes)
            .map_err(|error| self.fail(INQUIRY, Problem::Malformed(error.to_string())))?;
        if standard.device_type != DeviceType::SequentialAccess || standard.qualifier != 0 {
            let device_type = standard.device_type.code();
            return Err(self.fail(INQUIRY, Problem::NotATapeDrive { device_type }));
        }
        let serial = self.vital(vpd::page::UNIT_SERIAL_NUMBER)?;
        let designators = self.vital(vpd::page::DEVICE_IDENTIFICATION)?;
        self.identity = Identity {
            vendor: standard.vendor,
            product: standard.product,
            revision: standard.revision,
            serial: serial
                .and_then(|b| vpd::parse_serial_number(&b).ok())
                .unwrap_or_default(),
            naa: designators
                .and_then(|bytes| DeviceIdentification::parse(&bytes).ok())
                .and_then(|page| page.unit_naa()),
        };
        let name = self.transport.name();
        self.label = match self.identity.serial.as_str() {
            "" => name.into(),
            serial => format!("{name} (serial {serial})").into(),
        };
        Ok(())
    }

    /// Proves that another path leads to the same drive.
    ///
    /// # Errors
    /// [`Problem::AnotherDrive`] if it does not.
    pub(super) fn prove_identity(&mut self) -> Result<(), DriveError> {
        let expected = self.identity.clone();
        self.identify()?;
        if expected.serial.is_empty() || self.identity.serial == expected.serial {
            return Ok(());
        }
        let found = std::mem::replace(&mut self.identity, expected);
        let (expected, found) = (self.identity.serial.clone(), found.serial);
        Err(self.stop(INQUIRY, Problem::AnotherDrive { expected, found }))
    }

    /// A page of vital product data; `None` where the drive has none.
    fn vital(&mut self, page: u8) -> Result<Option<Vec<u8>>, DriveError> {
        let cdb = Inquiry::vital(page, VITAL_BYTES).cdb();
        match self.ask_in(INQUIRY, cdb, VITAL_BYTES.into()) {
            Err(error) if matches!(error.problem(), Problem::Unsupported(_)) => Ok(None),
            answer => answer.map(Some),
        }
    }
}
