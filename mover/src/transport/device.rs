//! Devices, each with all its paths.
//!
//! A drive with two ports on two fabrics shows up several times, and each time
//! under other names; it is one drive, and its serial number says so.

use longhaul_scsi::spc::inquiry::DeviceType;

use super::sysfs::Lun;

/// A tape drive or changer, and every path that this host has to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its paths, at least one, in the order of their addresses.
    pub paths: Vec<Lun>,
}

impl Device {
    /// Who it is, as its first path says.
    pub fn first(&self) -> &Lun {
        &self.paths[0]
    }

    /// Whether `name` is its serial number or NAA designator. Digits of the
    /// latter may be written with `naa.` or `0x` before them.
    pub fn is_called(&self, name: &str) -> bool {
        let digits = ["naa.", "0x"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        let lun = self.first();
        let naa = lun.naa.map(|naa| format!("{naa:016x}"));
        (!lun.serial.is_empty() && lun.serial == name)
            || naa.is_some_and(|naa| naa.eq_ignore_ascii_case(digits))
    }
}

/// Puts the paths to one device together.
pub fn devices(luns: Vec<Lun>) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    for lun in luns {
        match devices
            .iter_mut()
            .find(|device| is_same(device.first(), &lun))
        {
            Some(device) => device.paths.push(lun),
            None => devices.push(Device { paths: vec![lun] }),
        }
    }
    devices
}

/// Whether two paths lead to one device. Serial numbers are a vendor's own
/// affair, and some libraries give their changer the serial number of a drive.
/// Without one the NAA designator counts; without that each path is a device.
pub(super) fn is_same(one: &Lun, other: &Lun) -> bool {
    let kind = |lun: &Lun| -> (DeviceType, String, String) {
        (lun.device_type, lun.vendor.clone(), lun.product.clone())
    };
    if kind(one) != kind(other) {
        return false;
    }
    match (one.serial.as_str(), other.serial.as_str()) {
        ("", "") => one.naa.is_some() && one.naa == other.naa,
        (one, other) => one == other,
    }
}
