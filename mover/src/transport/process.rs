//! Which process has a device node open.
//!
//! The kernel says "busy" and not by whom; `/proc` does. Only processes of the
//! same process id namespace are seen, and only root sees all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde::Serialize;

/// Major number of the st driver (Documentation/admin-guide/devices.txt).
const TAPE_MAJOR: u32 = 9;

/// A process, by what a person would look for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its command's name, up to 15 bytes.
    pub name: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

/// Who has which device open, as seen at one moment.
#[derive(Debug, Default)]
pub struct Openers {
    by_device: BTreeMap<u64, Vec<u32>>,
}

impl Openers {
    /// Looks through all processes but this one.
    pub fn look() -> Openers {
        let mut openers = Openers::default();
        let own = std::process::id();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.filter(|pid| *pid != own) {
                openers.take_in(pid, &entry.path().join("fd"));
            }
        }
        openers
    }

    fn take_in(&mut self, pid: u32, descriptors: &Path) {
        for entry in fs::read_dir(descriptors).into_iter().flatten().flatten() {
            if let Some(device) = device(&entry.path()) {
                let pids = self.by_device.entry(device).or_default();
                if pids.last() != Some(&pid) {
                    pids.push(pid);
                }
            }
        }
    }

    /// A process that has one of these nodes open, or the same drive by
    /// another of the st driver's nodes for it.
    pub fn of<'a>(&self, nodes: impl IntoIterator<Item = &'a Path>) -> Option<Process> {
        let pids = nodes
            .into_iter()
            .find_map(|node| self.by_device.get(&device(node)?))?;
        let pid = *pids.first()?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Some(Process {
            pid,
            name: name.trim().to_owned(),
        })
    }
}

/// The character device behind a path; the st driver's eight nodes for one
/// drive count as one.
fn device(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.file_type().is_char_device() {
        return None;
    }
    let device = metadata.rdev();
    match rustix::fs::major(device) {
        TAPE_MAJOR => {
            let number = tape_number(rustix::fs::minor(device));
            Some(rustix::fs::makedev(TAPE_MAJOR, number))
        }
        _ => Some(device),
    }
}

/// The drive's number in a minor number of the st driver: mode and rewinding
/// are in bits 5 to 7 (`drivers/scsi/st.c`).
fn tape_number(minor: u32) -> u32 {
    (minor & !0xff) >> 3 | minor & 0x1f
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn all_nodes_of_a_tape_drive_are_one() {
        // st0, nst0, nst0a; st31; st32, nst32.
        for (minor, number) in [(0, 0), (128, 0), (224, 0), (31, 31), (256, 32), (384, 32)] {
            assert_eq!(tape_number(minor), number);
        }
    }

    #[test]
    fn a_process_that_has_a_device_open_is_found_and_named() {
        let node = Path::new("/dev/full");
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(fs::File::open(node).expect("opens")))
            .spawn()
            .expect("starts");
        let found = Openers::look().of([node]);
        child.kill().expect("ends");
        child.wait().expect("ended");
        let expected = Process {
            pid: child.id(),
            name: "sleep".to_owned(),
        };
        assert_eq!(found, Some(expected));
        assert_eq!(Openers::look().of([Path::new("/dev/nowhere")]), None);
    }
}
