//! A device's nodes, opened so that no other process of this host has them.
//!
//! Persistent reservations fence nodes; all processes of one node share one
//! nexus, so between them it is opens that fence. Two are held for a session:
//! `/dev/nstN`, which the st driver gives to one opener only, and `/dev/sgN`
//! with `O_EXCL`, which keeps other programs from the sg driver's door.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use longhaul_ffi::sg;

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
    /// No other process has it open.
    nst: Option<File>,
    /// Held exclusively.
    sg: Option<File>,
    /// The node that commands go to.
    name: PathBuf,
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
        let Some(name) = lun.nst.clone().or_else(|| lun.sg.clone()) else {
            return Err(OpenError::Broken(format!(
                "{}: it has neither a /dev/nst nor a /dev/sg node; load the kernel's \
                 modules st and sg",
                lun.address
            )));
        };
        let nodes = Nodes { nst, sg, name };
        if nodes.nst.is_none() {
            nodes.reserve();
        }
        Ok(nodes)
    }

    /// Where commands go: the st driver's node, which maps the caller's pages,
    /// else the sg driver's.
    pub(super) fn command(&self) -> BorrowedFd<'_> {
        let file = self.nst.as_ref().or(self.sg.as_ref());
        file.expect("one of the two was opened").as_fd()
    }

    /// Whether the st driver's node is held, and other openers kept out.
    pub(super) fn has_nst(&self) -> bool {
        self.nst.is_some()
    }

    pub(super) fn name(&self) -> String {
        self.name.display().to_string()
    }

    fn reserve(&self) {
        let name = self.name();
        match sg::reserve(self.command(), RESERVED_BYTES) {
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
