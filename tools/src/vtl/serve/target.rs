//! The target: what initiators see, made and removed.
//!
//! ```text
//!   core/user_N/longhaul-…-LUN-PATH        a backstore each
//!        ▲
//!   FABRIC/TARGET/tpgt_G/lun/lun_K/port    all of a group's backstores
//!        ▲
//!        └── acls/INITIATOR/lun_L/default  what one initiator sees of them
//! ```
//! A group is a path. An initiator sees the library's logical units under
//! their own numbers L, but each through a backstore of its own.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process;

use super::backstore::{end_commands, give_up};
use super::configfs::{children, link, links, make, make_shared, name, remove, set, unlink_all};
use super::door::{self, Door};
use super::error::ServeError;
use super::names::{Names, PREFIX};

/// A backstore with its place: which logical unit, for whom.
pub(super) struct Seat {
    pub lun: usize,
    pub path: door::Path,
    pub backstore: PathBuf,
}

/// Whether nobody has a target of the door's name: asked before there is a
/// backstore that says so ([`config`]).
pub(super) fn check_free(root: &Path, door: &Door, names: Names) -> Result<(), ServeError> {
    let path = fabric(root, door)?.join(door.target(names));
    if path.exists() {
        return Err(ServeError::Taken { path });
    }
    Ok(())
}

/// Presents the seats. Whoever answers them must be at work: the kernel scans
/// a loopback target while its links are made.
pub(super) fn open(
    root: &Path,
    door: &Door,
    names: Names,
    seats: &[Seat],
) -> Result<(), ServeError> {
    let target = fabric(root, door)?.join(door.target(names));
    make(&target)?;
    for (index, portal) in door.groups().iter().enumerate() {
        let number = index + 1;
        let group = target.join(format!("tpgt_{number}"));
        make(&group)?;
        match door {
            Door::Loopback => set(&group, "nexus", &names.loopback_initiator())?,
            Door::Iscsi { .. } => {
                for (attribute, value) in [
                    ("attrib/authentication", "0"),
                    ("attrib/generate_node_acls", "0"),
                    ("attrib/demo_mode_write_protect", "0"),
                ] {
                    set(&group, attribute, value)?;
                }
            }
            Door::FibreChannel { .. } => {}
        }
        let mut here: Vec<&Seat> = (seats.iter())
            .filter(|seat| seat.path.group == number)
            .collect();
        if *door != Door::Loopback {
            // The kernel's REPORT LUNS tells the newest first, and initiators
            // number their devices in that order.
            here.reverse();
        }
        for (index, seat) in here.iter().enumerate() {
            take_seat(&group, door, index, seat)?;
        }
        if let Some(portal) = portal {
            make(&group.join(format!("np/{portal}")))?;
            set(&group, "enable", "1")?;
        }
    }
    Ok(())
}

fn take_seat(group: &Path, door: &Door, index: usize, seat: &Seat) -> Result<(), ServeError> {
    // The only initiator of a loopback target sees the group's own numbers:
    // there, seats come in the order of the logical units.
    let lun = group.join(format!("lun/lun_{index}"));
    make(&lun)?;
    link(&seat.backstore, &lun, "port")?;
    if *door == Door::Loopback {
        return Ok(());
    }
    let acl = group.join("acls").join(&seat.path.initiator);
    make_shared(&acl)?;
    let mapped = acl.join(format!("lun_{}", seat.lun));
    make(&mapped)?;
    link(&lun, &mapped, "default")
}

/// The folder of the door's targets.
fn fabric(root: &Path, door: &Door) -> Result<PathBuf, ServeError> {
    let (fabric, module) = door.fabric();
    let path = root.join(fabric);
    // Making it loads the kernel's module, where modules can be loaded.
    match std::fs::create_dir(&path) {
        Err(source) if !path.is_dir() => Err(ServeError::NoFabric {
            fabric,
            module,
            source,
        }),
        _ => Ok(path),
    }
}

/// What a backstore says of the process that made it, and for which target, so
/// that what was left half-made is found again.
pub(super) fn config(door: &Door, names: Names) -> String {
    let (pid, fabric, target) = (process::id(), door.fabric().0, door.target(names));
    format!("{CONFIG}{pid}/{fabric}/{target}")
}

const CONFIG: &str = "longhaul/";

/// The process and the target's path that a backstore names.
fn made_for(backstore: &Path) -> Option<(u32, String)> {
    let config = read_to_string(backstore.join("attrib/dev_config")).ok()?;
    let (pid, target) = config.trim().strip_prefix(CONFIG)?.split_once('/')?;
    Some((pid.parse().ok()?, target.to_owned()))
}

/// Removes the library's targets, behind whatever door.
pub(super) fn close(root: &Path, names: Names) -> Result<(), ServeError> {
    let targets = targets(root, names);
    targets.iter().try_for_each(|target| remove_target(target))
}

/// The library's targets: those that serve one of its backstores, and those
/// that its backstores were made for. One that serves somebody else's
/// backstore is not.
fn targets(root: &Path, names: Names) -> Vec<PathBuf> {
    let recorded: Vec<PathBuf> = backstores(root, &names.prefix())
        .iter()
        .filter_map(|backstore| made_for(backstore))
        .map(|(_, target)| root.join(target))
        .collect();
    let ours = |target: &PathBuf| {
        let served = served_by(target);
        if served.is_empty() {
            return recorded.contains(target);
        }
        served.iter().all(|backstore| names.owns(name(backstore)))
    };
    let fabrics = ["loopback", "iscsi", "fc"].map(|fabric| root.join(fabric));
    let all = fabrics.iter().flat_map(|fabric| children(fabric, ""));
    all.filter(ours).collect()
}

/// The backstores that a target's logical units lead to.
fn served_by(target: &Path) -> Vec<PathBuf> {
    let luns = groups(target).into_iter().flat_map(|group| luns(&group));
    luns.flat_map(|lun| links(&lun)).map(|(_, to)| to).collect()
}

/// Ends what waits for a process that is gone; see [`give_up`].
pub(super) fn give_up_all(root: &Path, names: Names) {
    for backstore in backstores(root, &names.prefix()) {
        // One that was not enabled yet has no commands, and no ring.
        if let Err(error) = give_up(&backstore) {
            log::debug!("{error}");
        }
    }
}

/// Ends the commands that wait for this process. Others may come after them.
pub(super) fn end_commands_of(root: &Path, pid: u32) {
    let all = backstores(root, PREFIX).into_iter();
    for backstore in all.filter(|b| made_for(b).is_some_and(|(maker, _)| maker == pid)) {
        if let Err(error) = end_commands(&backstore) {
            log::debug!("{error}");
        }
    }
}

/// Removes the library's backstores, and their HBA.
pub(super) fn remove_backstores(root: &Path, names: Names) -> Result<usize, ServeError> {
    let all = backstores(root, &names.prefix());
    for backstore in &all {
        remove(backstore)?;
        if let Some(hba) = backstore.parent()
            && children(hba, "").iter().all(|path| !path.is_dir())
        {
            remove(hba)?;
        }
    }
    Ok(all.len())
}

fn backstores(root: &Path, prefix: &str) -> Vec<PathBuf> {
    let hbas = children(&root.join("core"), "user_");
    hbas.iter().flat_map(|hba| children(hba, prefix)).collect()
}

fn groups(target: &Path) -> Vec<PathBuf> {
    children(target, "tpgt_")
}

fn luns(group: &Path) -> Vec<PathBuf> {
    children(&group.join("lun"), "lun_")
}

/// From the initiators' side inwards: what is linked to goes last.
fn remove_target(target: &Path) -> Result<(), ServeError> {
    for group in groups(target) {
        disable(&group);
        for acl in children(&group.join("acls"), "") {
            for mapped in children(&acl, "lun_") {
                unlink_all(&mapped)?;
                remove(&mapped)?;
            }
            remove(&acl)?;
        }
        for portal in children(&group.join("np"), "") {
            remove(&portal)?;
        }
        for lun in luns(&group) {
            unlink_all(&lun)?;
            remove(&lun)?;
        }
        remove(&group)?;
    }
    remove(target)
}

/// No new sessions, and the old ones end. Only iSCSI has it.
fn disable(group: &Path) {
    if group.join("enable").exists()
        && let Err(error) = set(group, "enable", "0")
    {
        log::debug!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    use super::*;

    fn served(root: &Path, target: &str, backstore: &str) {
        let backstore = root.join("core/user_0").join(backstore);
        create_dir_all(&backstore).expect("a folder");
        let lun = root.join(target).join("tpgt_1/lun/lun_0");
        create_dir_all(&lun).expect("a folder");
        symlink(backstore, lun.join("port")).expect("a link");
    }

    #[test]
    fn only_what_is_ours_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let (ours, theirs) = (Names::of("VT01"), Names::of("VT02"));
        served(root, "iscsi/iqn.1", &ours.backstore(0, 0));
        served(root, "loopback/naa.1", &ours.backstore(1, 0));
        served(root, "iscsi/iqn.2", &theirs.backstore(0, 0));
        served(root, "iscsi/iqn.3", "disk");
        // Left before anything was linked: one of ours, one of somebody's.
        for target in ["iscsi/iqn.4", "iscsi/iqn.5"] {
            create_dir_all(root.join(target).join("tpgt_1/lun")).expect("a folder");
        }
        let attributes = root
            .join("core/user_0")
            .join(ours.backstore(2, 0))
            .join("attrib");
        create_dir_all(&attributes).expect("a folder");
        std::fs::write(attributes.join("dev_config"), "longhaul/77/iscsi/iqn.4\n")
            .expect("written");
        let found = targets(root, ours);
        let expected = ["loopback/naa.1", "iscsi/iqn.1", "iscsi/iqn.4"];
        assert_eq!(found, expected.map(|target| root.join(target)));
        assert_eq!(backstores(root, &ours.prefix()).len(), 3);
    }

    #[test]
    fn a_target_that_somebody_made_is_not_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let door = Door::Iscsi {
            iqn: "iqn.2026-01.example:t".into(),
            portals: Vec::new(),
            initiators: Vec::new(),
        };
        create_dir_all(folder.path().join("iscsi/iqn.2026-01.example:t")).expect("a folder");
        let refused = check_free(folder.path(), &door, Names::of("VT01"));
        assert!(
            matches!(refused, Err(ServeError::Taken { .. })),
            "{refused:?}"
        );
    }
}
