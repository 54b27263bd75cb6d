//! A session with a changer: opening it, and commands that may be repeated.

use std::path::Path;
use std::time::Duration;

use longhaul_ffi::buffer::Buffer;
use longhaul_scsi::cdb::{Cdb, Command};
use longhaul_scsi::smc::mode::ElementAddressAssignment;
use longhaul_scsi::spc::basic::TestUnitReady;
use longhaul_scsi::spc::inquiry::{DeviceType, Inquiry, StandardInquiry};
use longhaul_scsi::spc::mode::{ModeParameters, ModeSense6};
use longhaul_scsi::spc::vpd;
use longhaul_scsi::timeout::timeout;
use longhaul_scsi::transport::{Data, Outcome, Request, Transport};
use longhaul_scsi::verdict::{Doing, Executed, Verdict, executed, verdict};

use super::error::{ChangerError, Trouble};
use super::intent::Notebook;

const INQUIRY_BYTES: u16 = 96;
const VITAL_BYTES: u16 = 1024;
/// Room for page 1Dh with its header.
const MODE_BYTES: u8 = 252;
/// Element Address Assignment.
const ASSIGNMENT: u8 = 0x1d;

/// How often a command that changes nothing is sent again. More unit attentions
/// than this in a row are no news but a fault.
const TRIES_MAX: u32 = 32;
/// Between two tries of a changer that is busy or becoming ready: half an hour
/// of inventory after power on is usual, so the tries are far apart.
const PAUSE: Duration = Duration::from_secs(1);
/// Pauses in all: a changer that is not ready after this needs a person.
const PAUSES_MAX: u32 = 1_800;

/// A medium changer, and this process's session with it.
pub struct Changer {
    transport: Box<dyn Transport>,
    pub(super) label: String,
    pub(super) serial: String,
    pub(super) assignment: ElementAddressAssignment,
    pub(super) notebook: Notebook,
    pub(super) pause: Duration,
}

impl Changer {
    /// Finds out who the changer is and which elements it has, and waits until
    /// it is ready. Notes of moves are kept below `state`; one that a process
    /// left is looked into first.
    ///
    /// # Errors
    /// [`Trouble::NotAChanger`]; or the changer does not answer.
    pub fn open(transport: Box<dyn Transport>, state: &Path) -> Result<Changer, ChangerError> {
        Changer::open_with(transport, state, PAUSE)
    }

    /// The same, with another pause between tries.
    pub(super) fn open_with(
        transport: Box<dyn Transport>,
        state: &Path,
        pause: Duration,
    ) -> Result<Changer, ChangerError> {
        let mut changer = Changer {
            label: transport.name(),
            transport,
            serial: String::new(),
            assignment: ElementAddressAssignment::default(),
            notebook: Notebook::of(state, ""),
            pause,
        };
        changer.identify()?;
        changer.notebook = Notebook::of(state, &changer.serial);
        changer.ask("TEST UNIT READY", TestUnitReady::new().cdb(), 0)?;
        changer.ask_assignment()?;
        changer.reconcile()?;
        Ok(changer)
    }

    /// UNIT SERIAL NUMBER; empty if it has none.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The changer towards people: its name on this host and its serial number.
    pub fn label(&self) -> &str {
        &self.label
    }

    fn identify(&mut self) -> Result<(), ChangerError> {
        const DURING: &str = "INQUIRY";
        let cdb = Inquiry::standard(INQUIRY_BYTES).cdb();
        let bytes = self.ask(DURING, cdb, INQUIRY_BYTES.into())?;
        let standard =
            StandardInquiry::parse(&bytes).map_err(|error| self.malformed(DURING, &error))?;
        if standard.device_type != DeviceType::MediumChanger || standard.qualifier != 0 {
            let trouble = Trouble::NotAChanger(standard.device_type.code());
            return Err(self.fail(DURING, trouble));
        }
        let cdb = Inquiry::vital(vpd::page::UNIT_SERIAL_NUMBER, VITAL_BYTES).cdb();
        if let Some(bytes) = self.ask_optional(DURING, cdb, VITAL_BYTES.into())? {
            self.serial = vpd::parse_serial_number(&bytes).unwrap_or_default();
        }
        if !self.serial.is_empty() {
            self.label = format!("{} (serial {})", self.label, self.serial);
        }
        Ok(())
    }

    fn ask_assignment(&mut self) -> Result<(), ChangerError> {
        const DURING: &str = "MODE SENSE";
        let cdb = ModeSense6::new(ASSIGNMENT, 0, MODE_BYTES)
            .without_block_descriptors()
            .cdb();
        let bytes = self.ask(DURING, cdb, MODE_BYTES.into())?;
        let parameters =
            ModeParameters::parse_6(&bytes).map_err(|error| self.malformed(DURING, &error))?;
        self.assignment = parameters.fields().ok_or_else(|| {
            let what = "there is no Element Address Assignment page in it".into();
            self.fail(DURING, Trouble::Malformed(what))
        })?;
        Ok(())
    }

    /// Sends a command that changes nothing, until it was carried out; what came
    /// of at most `len` bytes is returned.
    pub(super) fn ask(
        &mut self,
        during: &'static str,
        cdb: Cdb,
        len: usize,
    ) -> Result<Vec<u8>, ChangerError> {
        let (mut tries, mut pauses) = (0, 0);
        loop {
            let (outcome, bytes) = self.send(cdb, len);
            if executed(&outcome) == Executed::Yes {
                return Ok(bytes);
            }
            match verdict(&outcome, Doing::Other) {
                Verdict::Wait | Verdict::Retry { .. } if pauses < PAUSES_MAX => {
                    pauses += 1;
                    std::thread::sleep(self.pause);
                }
                verdict if may_pass(verdict) && tries < TRIES_MAX => tries += 1,
                verdict => return Err(self.told(during, verdict, &outcome)),
            }
        }
    }

    /// The same for something that not every changer has.
    pub(super) fn ask_optional(
        &mut self,
        during: &'static str,
        cdb: Cdb,
        len: usize,
    ) -> Result<Option<Vec<u8>>, ChangerError> {
        match self.ask(during, cdb, len) {
            Err(error) if is_refused(&error) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Sends a command once.
    pub(super) fn send(&mut self, cdb: Cdb, len: usize) -> (Outcome, Vec<u8>) {
        let data = match len {
            0 => Data::None,
            len => Data::In {
                buffer: Buffer::zeroed(len),
                len,
            },
        };
        let timeout = timeout(None, DeviceType::MediumChanger, cdb.opcode(), None);
        let completion = self.transport.execute(Request { cdb, data, timeout });
        let residual = usize::try_from(completion.outcome.residual)
            .unwrap_or(0)
            .min(len);
        let bytes = completion.data.into_buffer();
        let bytes = bytes.map(|bytes| bytes[..len - residual].to_vec());
        (completion.outcome, bytes.unwrap_or_default())
    }

    pub(super) fn fail(&self, during: &'static str, trouble: Trouble) -> ChangerError {
        ChangerError {
            changer: self.label.clone(),
            during,
            trouble,
        }
    }

    pub(super) fn told(
        &self,
        during: &'static str,
        verdict: Verdict,
        outcome: &Outcome,
    ) -> ChangerError {
        let told = outcome.to_string();
        self.fail(during, Trouble::Told { told, verdict })
    }

    pub(super) fn malformed(
        &self,
        during: &'static str,
        error: &longhaul_scsi::ParseError,
    ) -> ChangerError {
        self.fail(during, Trouble::Malformed(error.to_string()))
    }
}

/// Whether asking again can give an answer: unit attentions are reported once,
/// a path may come back.
pub(super) fn may_pass(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::PositionUnknown
            | Verdict::IdentityUnknown
            | Verdict::ModesChanged
            | Verdict::TargetChanged
            | Verdict::CommandsCleared
            | Verdict::InventoryChanged
            | Verdict::FailurePredicted
            | Verdict::UnknownOutcome
    )
}

/// Whether the changer does not know the command, or a field of it.
pub(super) fn is_refused(error: &ChangerError) -> bool {
    let refused = Verdict::Refused;
    matches!(&error.trouble, Trouble::Told { verdict, .. } if *verdict == refused)
}
