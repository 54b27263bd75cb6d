//! What the kernel tells about SCSI devices in sysfs, without a command to any
//! of them.
//!
//! Each logical unit that a host adapter found is `/sys/class/scsi_device/H:C:T:L`
//! (host, channel, target, logical unit number); its directory holds what
//! INQUIRY said, and a folder for each driver that made a node for it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::spc::vpd::{self, DeviceIdentification};
use longhaul_scsi::wire::text;

use super::link::Link;

/// No attribute that is read here is longer; the rest is not read.
const ATTRIBUTE_BYTES_MAX: u64 = 4096;

/// Where sysfs and the device nodes are found.
#[derive(Debug, Clone)]
pub struct Sysfs {
    sys: PathBuf,
    dev: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Sysfs {
        Sysfs::at("/sys", "/dev")
    }
}

/// One path to a logical unit: what one host adapter found behind one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lun {
    /// Host, channel, target and logical unit number, as `H:C:T:L`.
    pub address: String,
    /// PERIPHERAL DEVICE TYPE.
    pub device_type: DeviceType,
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION.
    pub product: String,
    /// PRODUCT REVISION LEVEL.
    pub revision: String,
    /// VPD page 80h; empty where the kernel has none.
    pub serial: String,
    /// The logical unit's NAA designator (VPD page 83h).
    pub naa: Option<u64>,
    /// `running`, or what else the kernel takes it for.
    pub state: String,
    /// `/dev/sgN`.
    pub sg: Option<PathBuf>,
    /// `/dev/nstN`.
    pub nst: Option<PathBuf>,
    /// `/dev/schN`.
    pub sch: Option<PathBuf>,
    /// `/dev/bsg/H:C:T:L`.
    pub bsg: Option<PathBuf>,
    /// Links in `/dev/tape/by-id` and `/dev/tape/by-path` to one of its nodes.
    pub links: Vec<PathBuf>,
    /// How it is attached.
    pub link: Link,
}

impl Lun {
    /// All nodes through which a process can reach it.
    pub fn nodes(&self) -> impl Iterator<Item = &Path> {
        [&self.nst, &self.sg, &self.sch, &self.bsg]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// What it is called on this host: its best known node.
    pub fn name(&self) -> String {
        self.nodes()
            .next()
            .map_or_else(|| self.address.clone(), |node| node.display().to_string())
    }
}

impl Sysfs {
    /// With other roots than `/sys` and `/dev`, for tests.
    pub fn at(sys: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Sysfs {
        Sysfs {
            sys: sys.into(),
            dev: dev.into(),
        }
    }

    /// Every tape drive and changer, in the order of their addresses. Empty on
    /// a host without SCSI.
    pub fn luns(&self) -> Vec<Lun> {
        let addresses = names(&self.class("scsi_device"));
        let mut luns: Vec<Lun> = addresses.iter().filter_map(|name| self.lun(name)).collect();
        luns.sort_by_key(|lun| address_key(&lun.address));
        luns
    }

    /// The logical unit that a device node (or a link to one) belongs to, and
    /// which driver's node it is (`scsi_generic`, `scsi_tape`, `bsg`, …).
    pub fn lun_of_node(&self, node: &Path) -> Option<(Lun, String)> {
        let device = fs::metadata(node).ok()?.rdev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        self.lun_of_device(&format!("{major}:{minor}"))
    }

    fn lun_of_device(&self, number: &str) -> Option<(Lun, String)> {
        let node = self.sys.join("dev/char").join(number);
        let device = fs::canonicalize(node.join("device")).ok()?;
        let driver = fs::canonicalize(node.join("subsystem")).ok()?;
        let lun = self.lun(device.file_name()?.to_str()?)?;
        Some((lun, driver.file_name()?.to_str()?.to_owned()))
    }

    pub(super) fn class(&self, class: &str) -> PathBuf {
        self.sys.join("class").join(class)
    }

    /// `None` for what is neither a tape drive nor a changer, or is just going.
    fn lun(&self, address: &str) -> Option<Lun> {
        let entry = self.class("scsi_device").join(address).join("device");
        let device = fs::canonicalize(entry).ok()?;
        let line = |attribute: &str| read_line(&device.join(attribute)).unwrap_or_default();
        let device_type = DeviceType::from_low_bits(line("type").parse().ok()?);
        if !matches!(
            device_type,
            DeviceType::SequentialAccess | DeviceType::MediumChanger
        ) {
            return None;
        }
        let page = |name: &str| read(&device.join(name)).unwrap_or_default();
        let mut lun = Lun {
            address: address.to_owned(),
            device_type,
            vendor: line("vendor"),
            product: line("model"),
            revision: line("rev"),
            serial: vpd::parse_serial_number(&page("vpd_pg80")).unwrap_or_default(),
            naa: DeviceIdentification::parse(&page("vpd_pg83"))
                .ok()
                .and_then(|page| page.unit_naa()),
            state: line("state"),
            sg: self.node(&device, "scsi_generic", |name| name.starts_with("sg")),
            nst: self.node(&device, "scsi_tape", is_plain_nst),
            sch: self.node(&device, "scsi_changer", |name| name.starts_with("sch")),
            bsg: self.node(&device, "bsg", |_| true),
            links: Vec::new(),
            link: Link::of(self, &device),
        };
        lun.links = self.links(&lun);
        Some(lun)
    }

    /// The node that a driver made, if udev (or devtmpfs) has made it too.
    fn node(&self, device: &Path, driver: &str, is: impl Fn(&str) -> bool) -> Option<PathBuf> {
        let name = names(&device.join(driver))
            .into_iter()
            .find(|name| is(name))?;
        let node = match driver {
            "bsg" => self.dev.join("bsg").join(name),
            _ => self.dev.join(name),
        };
        node.exists().then_some(node)
    }

    /// Links in /dev/tape that lead to a node of the unit, without those to
    /// the nodes that rewind.
    fn links(&self, lun: &Lun) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in ["tape/by-id", "tape/by-path"] {
            let folder = self.dev.join(folder);
            for name in names(&folder) {
                let link = folder.join(name);
                let target = fs::canonicalize(&link).ok();
                if target.is_some_and(|target| lun.nodes().any(|node| node == target)) {
                    found.push(link);
                }
            }
        }
        found
    }
}

/// `nst0`, and not `nst0a`, `nst0l`, `nst0m`, which are the same drive with
/// other modes.
fn is_plain_nst(name: &str) -> bool {
    name.strip_prefix("nst")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Names in a folder, in order; none if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// `2:0:0:1` before `10:0:0:0`.
fn address_key(address: &str) -> Vec<u64> {
    let numbers = address.split(':').map(str::parse);
    numbers.filter_map(Result::ok).collect()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(ATTRIBUTE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// An attribute's text, without what pads it, fit to be shown.
pub(super) fn read_line(path: &Path) -> Option<String> {
    Some(text(read(path)?.trim_ascii()))
}
