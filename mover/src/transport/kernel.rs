//! From the name of a device of this host's kernel to a path to it.

use std::path::Path;

use longhaul_scsi::spc::inquiry::DeviceType;
use longhaul_scsi::transport::Transport;

use super::OpenError;
use super::bsg::Bsg;
use super::device::{Device, devices, is_same};
use super::nodes::Nodes;
use super::paths::Paths;
use super::sg::Sg;
use super::sysfs::{Lun, Sysfs};

/// Opens the device that a node, or a link to one, leads to. Naming a bsg or an
/// sg node means that way and no other.
///
/// # Errors
/// [`OpenError`] by its kind.
pub(super) fn open_node(
    sysfs: Sysfs,
    node: &Path,
    device_type: DeviceType,
) -> Result<Box<dyn Transport>, OpenError> {
    let Some((lun, driver)) = sysfs.lun_of_node(node) else {
        return Err(OpenError::Name(format!(
            "{} is no node of a tape drive or changer; `lh-mover drives` lists them",
            node.display()
        )));
    };
    expect(&lun, device_type)?;
    match driver.as_str() {
        "bsg" => return Ok(Box::new(Bsg::open(&lun)?)),
        "scsi_generic" => return Ok(Box::new(Sg::open(&lun)?)),
        _ => {}
    }
    let mut paths = vec![lun];
    let others = sysfs.luns();
    let others = others
        .into_iter()
        .filter(|other| is_same(other, &paths[0]) && other.address != paths[0].address);
    paths.extend(others.collect::<Vec<_>>());
    Ok(Box::new(Paths::open(sysfs, &paths)?))
}

/// Opens the device of that serial number or NAA designator.
///
/// # Errors
/// [`OpenError`] by its kind; two devices of one name are none.
pub(super) fn open_called(
    sysfs: Sysfs,
    name: &str,
    device_type: DeviceType,
) -> Result<Box<dyn Transport>, OpenError> {
    let mut called: Vec<Device> = devices(sysfs.luns());
    called.retain(|device| device.first().device_type == device_type && device.is_called(name));
    match called.as_slice() {
        [device] => Ok(Box::new(Paths::open(sysfs, &device.paths)?)),
        [] => Err(OpenError::Name(format!(
            "{name:?} is no drive's serial number or node here; `lh-mover drives` lists them; \
             an emulated one is vtape:FILE"
        ))),
        [first, second, ..] => Err(OpenError::Name(format!(
            "{name:?} is the serial number of {} and of {}; name one of them by its node",
            first.first().name(),
            second.first().name()
        ))),
    }
}

/// Opens one path, by io_uring if the kernel takes commands that way, else by
/// SG_IO.
///
/// # Errors
/// [`OpenError`] by its kind.
pub(super) fn open_lun(lun: &Lun) -> Result<Box<dyn Transport>, OpenError> {
    let nodes = Nodes::open(lun)?;
    let Some(node) = lun.bsg.clone().filter(|_| nodes.has_nst()) else {
        return Ok(Box::new(Sg::on(nodes)));
    };
    match Bsg::on(nodes, node) {
        Ok(bsg) => Ok(Box::new(bsg)),
        Err((nodes, why)) => {
            log::info!("{}: commands go by SG_IO, not io_uring ({why})", lun.name());
            Ok(Box::new(Sg::on(nodes)))
        }
    }
}

fn expect(lun: &Lun, device_type: DeviceType) -> Result<(), OpenError> {
    if lun.device_type == device_type {
        return Ok(());
    }
    let (is, wanted) = match device_type {
        DeviceType::MediumChanger => ("a tape drive", "a changer"),
        _ => ("a changer", "a tape drive"),
    };
    Err(OpenError::Name(format!(
        "{} is {is}, not {wanted}",
        lun.name()
    )))
}
