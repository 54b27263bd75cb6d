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

use std::path::{Path, PathBuf};

use super::backstore::give_up;
use super::configfs::{children, link, links, make, make_shared, name, remove, set, unlink_all};
use super::door::{self, Door};
use super::error::ServeError;
use super::names::Names;

/// A backstore with its place: which logical unit, for whom.
pub(super) struct Seat {
    pub lun: usize,
    pub path: door::Path,
    pub backstore: PathBuf,
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
        let here = seats.iter().filter(|seat| seat.path.group == number);
        for (index, seat) in here.enumerate() {
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
    // The only initiator of a loopback target sees the group's own numbers.
    let index = if *door == Door::Loopback {
        seat.lun
    } else {
        index
    };
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

/// Whether the door's target is somebody else's.
pub(super) fn check_free(root: &Path, door: &Door, names: Names) -> Result<(), ServeError> {
    let target = fabric(root, door)?.join(door.target(names));
    let others = |lun: &PathBuf| {
        let mut leads = links(lun).into_iter().map(|(_, to)| to);
        leads.any(|to| !name(&to).starts_with(&names.prefix()))
    };
    if groups(&target)
        .iter()
        .any(|group| luns(group).iter().any(others))
    {
        return Err(ServeError::Taken { path: target });
    }
    Ok(())
}

/// Removes everything of the library that is in the kernel's target, behind
/// whatever door: the targets here, and the backstores with
/// [`remove_backstores`]. `door`'s own target is removed even if nothing of
/// the library is linked to it (yet).
pub(super) fn close(root: &Path, door: &Door, names: Names) -> Result<(), ServeError> {
    let own = root.join(door.fabric().0).join(door.target(names));
    for fabric in ["loopback", "iscsi", "fc"] {
        for target in children(&root.join(fabric), "") {
            if target == own || serves(&target, &names.prefix()) {
                remove_target(&target)?;
            }
        }
    }
    Ok(())
}

/// Ends what waits for a process that is gone; see [`give_up`].
pub(super) fn give_up_all(root: &Path, names: Names) {
    for backstore in backstores(root, names) {
        // One that was not enabled yet has no commands, and no ring.
        if let Err(error) = give_up(&backstore) {
            log::debug!("{}: {error}", backstore.display());
        }
    }
}

/// Removes the library's backstores, and their HBA.
pub(super) fn remove_backstores(root: &Path, names: Names) -> Result<usize, ServeError> {
    let all = backstores(root, names);
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

fn backstores(root: &Path, names: Names) -> Vec<PathBuf> {
    let hbas = children(&root.join("core"), "user_");
    hbas.iter()
        .flat_map(|hba| children(hba, &names.prefix()))
        .collect()
}

/// Whether one of the target's logical units is one of ours.
fn serves(target: &Path, prefix: &str) -> bool {
    let ours = |lun: &PathBuf| {
        let mut leads = links(lun).into_iter();
        leads.any(|(_, to)| name(&to).starts_with(prefix))
    };
    groups(target)
        .iter()
        .any(|group| luns(group).iter().any(ours))
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
    fn a_target_of_somebody_else_is_refused_and_never_taken_for_ours() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let names = Names::of("VT01");
        let door = Door::Iscsi {
            iqn: "iqn.2026-01.example:t".into(),
            portals: Vec::new(),
            initiators: Vec::new(),
        };
        let target = "iscsi/iqn.2026-01.example:t";
        check_free(root, &door, names).expect("nothing is there");
        create_dir_all(root.join(target).join("tpgt_1/lun/lun_0")).expect("a folder");
        check_free(root, &door, names).expect("a half-made one has nothing linked");
        served(
            root,
            "iscsi/iqn.2026-01.example:ours",
            &names.backstore(0, 0),
        );
        served(
            root,
            "iscsi/iqn.2026-01.example:t",
            &Names::of("VT02").backstore(0, 0),
        );
        let refused = check_free(root, &door, names);
        assert!(
            matches!(refused, Err(ServeError::Taken { .. })),
            "{refused:?}"
        );
        assert!(!serves(&root.join(target), &names.prefix()));
        assert!(serves(
            &root.join("iscsi/iqn.2026-01.example:ours"),
            &names.prefix()
        ));
        assert_eq!(backstores(root, names).len(), 1);
    }
}
