//! A backstore: the kernel's end of the ring of one logical unit, for one
//! initiator on one path.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use longhaul_ffi::tcmu::Ring;

use super::configfs::{children, make, make_shared, name, set};
use super::error::ServeError;

/// Size of the longest command's data, in sectors of 512 bytes: 8 MiB.
const HW_MAX_SECTORS: u32 = 16384;
/// Memory of the commands' data at any time; the kernel takes it as needed.
const MAX_DATA_AREA_MB: u32 = 64;
/// How long the kernel may take to make the UIO device.
const UIO_WAIT: Duration = Duration::from_secs(10);
/// HBAs that are tried. An HBA is nothing but a number to the kernel.
const HBAS_MAX: u32 = 1024;

/// Makes the HBA for a library's backstores: the first that nobody uses.
pub(super) fn make_hba(target: &Path) -> Result<PathBuf, ServeError> {
    let core = target.join("core");
    let unused = |hba: &PathBuf| match fs::read_dir(hba) {
        // Each HBA has the attributes `hba_info` and `hba_mode`.
        Ok(_) => !children(hba, "").iter().any(|path| path.is_dir()),
        Err(_) => true,
    };
    let mut hbas = (0..HBAS_MAX).map(|number| core.join(format!("user_{number}")));
    let hba = hbas.find(unused).unwrap_or_else(|| core.join("user_0"));
    make_shared(&hba)?;
    Ok(hba)
}

/// Makes a backstore and maps its ring. `config` is kept by the kernel
/// beside its name.
pub(super) fn make_backstore(
    hba: &Path,
    backstore: &str,
    config: &str,
) -> Result<(PathBuf, Ring), ServeError> {
    let path = hba.join(backstore);
    make(&path)?;
    for value in [
        // Nobody has to confirm by netlink that the device is there.
        "nl_reply_supported=-1".to_owned(),
        format!("dev_config={config}"),
        // A tape has no size; the kernel wants one.
        "dev_size=1048576".to_owned(),
        format!("hw_max_sectors={HW_MAX_SECTORS}"),
        format!("max_data_area_mb={MAX_DATA_AREA_MB}"),
    ] {
        set(&path, "control", &value)?;
    }
    set(&path, "enable", "1")?;
    // A LOCATE takes minutes: the initiator knows when to lose patience.
    set(&path, "attrib/cmd_time_out", "0")?;
    // Reservations are the emulated drive's own, not the kernel's.
    set(&path, "attrib/pgr_support", "0")?;
    // A kernel without it keeps resets to itself.
    if let Err(error) = set(&path, "attrib/tmr_notification", "1") {
        log::info!("resets will not reach {backstore}: {error}");
    }
    let ring = open_ring(hba, backstore)?;
    Ok((path, ring))
}

fn open_ring(hba: &Path, backstore: &str) -> Result<Ring, ServeError> {
    let number = name(hba).trim_start_matches("user_");
    let prefix = format!("tcm-user/{number}/{backstore}/");
    let deadline = Instant::now() + UIO_WAIT;
    loop {
        if let Some((device, map_bytes)) = find_uio(&prefix)
            && device.exists()
        {
            return Ring::open(&device, map_bytes).map_err(|source| ServeError::Ring {
                backstore: backstore.to_owned(),
                source,
            });
        }
        if Instant::now() > deadline {
            return Err(ServeError::NoUio {
                backstore: backstore.to_owned(),
            });
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The UIO device whose name begins so, and the bytes of its mapping.
fn find_uio(prefix: &str) -> Option<(PathBuf, usize)> {
    let uio = children(Path::new("/sys/class/uio"), "uio")
        .into_iter()
        .find(|uio| fs::read_to_string(uio.join("name")).is_ok_and(|n| n.starts_with(prefix)))?;
    let size = fs::read_to_string(uio.join("maps/map0/size")).ok()?;
    let size = usize::from_str_radix(size.trim().trim_start_matches("0x"), 16).ok()?;
    Some((Path::new("/dev").join(name(&uio)), size))
}

/// Ends the commands that wait in a backstore, with CHECK CONDITION.
pub(super) fn end_commands(backstore: &Path) -> Result<(), ServeError> {
    // 1 would be BUSY, and the initiator would try again.
    set(backstore, "action/reset_ring", "2")
}

/// Ends the commands of a backstore whose process is gone, and lets no others
/// in, so that nothing waits for it any more.
pub(super) fn give_up(backstore: &Path) -> Result<(), ServeError> {
    // Commands that come now are BUSY at once instead of waiting for room.
    set(backstore, "attrib/qfull_time_out", "0")?;
    set(backstore, "action/block_dev", "1")?;
    end_commands(backstore)
}
