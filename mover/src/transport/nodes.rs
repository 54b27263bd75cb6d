//! A device's nodes, opened so that no other process of this host has them.
//!
//! Persistent reservations fence nodes; all processes of one node share one
//! nexus, so between them it is opens that fence. Two are held for a session:
//! `/dev/nstN`, which the st driver gives to one opener only, and `/dev/sgN`
//! with `O_EXCL`, which keeps other programs from the sg driver's door.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul_ffi::sg::{self, Answer, Direction, Packets};

use super::OpenError;
use super::process::Openers;
use super::sysfs::Lun;

/// Memory that the sg driver is asked to keep for transfers: the largest
/// record that drives can be given here. Without it each longer command looks
/// for memory anew, and may find none.
const RESERVED_BYTES: u32 = 1 << 20;

/// The nodes of one path to a device, held for a session.
#[derive(Debug)]
pub(super) struct Nodes {
    door: Door,
    /// The node that commands go to.
    name: PathBuf,
}

/// The node that commands go to.
#[derive(Debug)]
enum Door {
    /// The st driver's, which maps the caller's pages; the sg driver's is held
    /// beside it.
    Nst { nst: File, _sg: Option<File> },
    /// The sg driver's, where there is no other.
    Sg(Packets),
}

impl Nodes {
    /// Opens what there is of the path's nodes.
    ///
    /// # Errors
    /// [`OpenError::Held`] with the process that has one of them,
    /// [`OpenError::Broken`] if there is none, or it can't be opened.
    pub(super) fn open(lun: &Lun) -> Result<Nodes, OpenError> {
        let nst = open_if_there(lun, lun.nst.as_deref(), libc::O_NONBLOCK)?;
        let sg = open_if_there(lun, lun.sg.as_deref(), libc::O_NONBLOCK | libc::O_EXCL)?;
        let door = match (nst, sg) {
            (Some(nst), _sg) => Door::Nst { nst, _sg },
            (None, Some(sg)) => Door::Sg(Packets::new(sg)),
            (None, None) => {
                return Err(OpenError::Broken(format!(
                    "{}: it has neither a /dev/nst nor a /dev/sg node; load the kernel's \
                     modules st and sg",
                    lun.address
                )));
            }
        };
        let name = lun.nst.as_ref().or(lun.sg.as_ref()).cloned();
        let nodes = Nodes {
            door,
            name: name.unwrap_or_default(),
        };
        nodes.reserve();
        Ok(nodes)
    }

    /// Sends a command and waits for its end.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn execute(
        &mut self,
        cdb: &[u8],
        direction: Direction,
        data: &mut [u8],
        timeout: Duration,
    ) -> io::Result<Answer> {
        match &mut self.door {
            Door::Nst { nst, .. } => sg::execute(nst.as_fd(), cdb, direction, data, timeout),
            Door::Sg(packets) => packets.exchange(cdb, direction, data, timeout),
        }
    }

    /// Whether the st driver's node is held, and other openers kept out.
    pub(super) fn has_nst(&self) -> bool {
        matches!(self.door, Door::Nst { .. })
    }

    pub(super) fn name(&self) -> String {
        self.name.display().to_string()
    }

    fn reserve(&self) {
        let Door::Sg(packets) = &self.door else {
            return;
        };
        let name = self.name();
        match packets.reserve(RESERVED_BYTES) {
            Ok(kept) if kept < RESERVED_BYTES => {
                log::info!("{name}: the sg driver keeps memory for {kept} bytes at once");
            }
            Ok(_) => {}
            Err(error) => log::info!("{name}: the sg driver keeps no memory: {error}"),
        }
    }
}

fn open_if_there(
    lun: &Lun,
    node: Option<&Path>,
    flags: libc::c_int,
) -> Result<Option<File>, OpenError> {
    let Some(node) = node else { return Ok(None) };
    match open(node, flags) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Err(held(lun, node)),
        Err(error) => Err(OpenError::Broken(format!("{}: {error}", node.display()))),
    }
}

/// Opens a node for commands. The standard library adds `O_CLOEXEC`.
pub(super) fn open(node: &Path, flags: libc::c_int) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(node)
}

fn held(lun: &Lun, node: &Path) -> OpenError {
    let node = node.display();
    OpenError::Held(match Openers::look().of(lun.nodes()) {
        Some(process) => {
            format!("{node}: {process} has it; end that process, or wait for it")
        }
        None => format!("{node}: another process has it; end that process, or wait for it"),
    })
}
