//! Volumes that mean harm: archives whose members want out of the target.

use std::fs;

use longhaul_ffi::buffer::Buffer;
use longhaul_format::archive::{Layout, Part, SetHead, SetKind};
use longhaul_format::member::{Kind, Member, Time};
use longhaul_mover::drive::Drive;
use longhaul_mover::job::volume;

use crate::rig::{Rig, contents};

const RECORD: usize = 64 << 10;

fn member(path: &str, kind: Kind) -> Member {
    Member {
        path: path.as_bytes().to_vec(),
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
        comment: None,
    }
}

fn file(path: &str) -> Member {
    member(
        path,
        Kind::File {
            size: 4,
            sparse: None,
        },
    )
}

fn link(path: &str, target: &str) -> Member {
    let target = target.as_bytes().to_vec();
    member(path, Kind::Symlink { target })
}

/// The bytes of an archive of these members, every file with "evil" in it.
fn archive(head: &SetHead, members: &[Member]) -> Vec<u8> {
    let mut layout = Layout::new(RECORD as u64).expect("a record size");
    let mut placements = vec![layout.begin(head)];
    placements.extend(
        members
            .iter()
            .map(|member| layout.place(member).expect("placed")),
    );
    placements.push(layout.finish());
    let mut bytes = Vec::new();
    for part in placements.into_iter().flat_map(|placement| placement.parts) {
        match part {
            Part::Bytes(more) => bytes.extend_from_slice(&more),
            Part::Zeros(len) => bytes.resize(bytes.len() + len as usize, 0),
            Part::File { .. } => bytes.extend_from_slice(b"evil"),
        }
    }
    bytes
}

/// A volume of ours whose one set was not written by us. It has no index, so
/// everything that is known of it is what the archive says.
fn plant(rig: &Rig, members: &[Member]) {
    rig.mover(
        "label",
        &["--drive", "vtape:tape.vtape", "--record-bytes", "65536"],
    )
    .ended(0);
    let name = format!("vtape:{}", rig.path("tape.vtape").display());
    let mut drive =
        Drive::open(longhaul_mover::transport::open(&name).expect("opened")).expect("a drive");
    drive
        .ready(std::time::Duration::from_secs(1))
        .expect("ready");
    drive.prepare().expect("prepared");
    let label = volume::read_label(&mut drive).expect("labelled");
    let head = SetHead {
        kind: SetKind::Set,
        set: uuid::Uuid::from_u128(1),
        sequence: 1,
        volume: label.name,
        volume_uuid: label.uuid,
        started: 1,
        part: 1,
        offset: 0,
    };
    for record in archive(&head, members).chunks(RECORD) {
        drive
            .write(Buffer::from_slice(record), record.len())
            .0
            .expect("written");
    }
    drive.write_filemarks(1, false).expect("written");
    drive.finish().expect("finished");
}

#[test]
fn no_path_leads_out_of_the_target() {
    let rig = Rig::new();
    let outside = rig.tree("outside", &[]);
    let beyond = outside.to_str().expect("text");
    plant(
        &rig,
        &[
            file("../escaped-by-dots"),
            file("a/../../escaped-by-dots-inside"),
            file("good"),
            member(
                "hard",
                Kind::HardLink {
                    target: b"../outside/secret".to_vec(),
                },
            ),
            link("planted", beyond),
            file("planted/escaped-by-link"),
            link("relative", "../outside"),
            file("relative/escaped-by-relative-link"),
        ],
    );
    fs::write(outside.join("secret"), "kept").expect("written");
    let before = contents(&rig.path("outside"));
    let run = rig
        .mover("restore", &["--drive", "vtape:tape.vtape", "--to", "out"])
        .ended(1);
    assert_eq!(contents(&rig.path("outside")), before, "{run:?}");
    for escaped in ["escaped-by-dots", "escaped-by-dots-inside"] {
        assert!(!rig.path(escaped).exists(), "{escaped}: {run:?}");
    }
    assert_eq!(
        fs::read_to_string(rig.path("out/good")).expect("restored"),
        "evil"
    );
    assert!(!rig.path("out/hard").exists());
    assert!(run.stderr.contains("escaped-by-link"), "{run:?}");
}

#[test]
fn an_absolute_path_in_an_archive_stays_below_the_target_or_is_refused() {
    let rig = Rig::new();
    let victim = rig.path("victim");
    plant(&rig, &[file(victim.to_str().expect("text")), file("zgood")]);
    let run = rig.mover("restore", &["--drive", "vtape:tape.vtape", "--to", "out"]);
    assert!(!victim.exists(), "{run:?}");
    assert!(rig.path("out/zgood").exists(), "{run:?}");
}
