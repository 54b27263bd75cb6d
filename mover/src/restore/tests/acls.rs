//! ACLs: those of the archive come back, those of the surroundings do not.

use longhaul_format::acl::Acl;

use super::*;

const ACL_TEXT: &str = "user::rw-,user:1:r--,group::r--,mask::rw-,other::---";
const TREE_ACL: &str = "user::rwx,user:1:r-x,group::r-x,mask::rwx,other::---";
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

fn binary(text: &str) -> Vec<u8> {
    text.parse::<Acl>().expect("an ACL").to_xattr()
}

#[test]
fn acls_come_back() {
    if !keeps("acls_come_back", ACCESS, &binary(ACL_TEXT)) {
        return;
    }
    let text = Some(ACL_TEXT.to_string());
    let mut room = Room::new(Overwrite::Never);
    // The mode holds the group's true bits, which the mask exceeds.
    let with_acl = |member| Member {
        mode: 0o640,
        acl_access: text.clone(),
        ..member
    };
    room.put_whole(&with_acl(file("a", 4)), b"data");
    let tree = Member {
        acl_access: Some(TREE_ACL.into()),
        ..directory("d/")
    };
    room.put_whole(
        &Member {
            mode: 0o750,
            acl_default: text.clone(),
            ..tree
        },
        b"",
    );
    room.put_whole(&file("d/plain", 4), b"data");
    room.put_whole(&with_acl(member("pipe", Kind::Fifo)), b"");
    let bad = Member {
        acl_access: Some("user:x".into()),
        ..file("bad", 0)
    };
    let Outcome::Restored(warnings) = room.put(&bad, b"").expect("restored") else {
        panic!("skipped")
    };
    assert!(
        matches!(
            warnings[..],
            [Warning::BadAcl {
                which: "access",
                ..
            }]
        ),
        "{warnings:?}"
    );
    let mut warnings = Vec::new();
    let counts = room.target.finish(&mut |warning| warnings.push(warning));
    assert_none(&warnings);
    assert_eq!((counts.restored, counts.incomplete), (5, 1));
    for (name, text) in [("a", ACL_TEXT), ("d", TREE_ACL), ("pipe", ACL_TEXT)] {
        assert_eq!(
            xattr(&room.dir.join(name), ACCESS),
            Some(binary(text)),
            "{name}"
        );
    }
    assert_eq!(xattr(&room.dir.join("d"), DEFAULT), Some(binary(ACL_TEXT)));
    assert_eq!(mtime(&room.dir.join("d")), THEN);
    assert_eq!(xattr(&room.dir.join("d/plain"), ACCESS), None);
    assert_eq!(lstat(&room.dir.join("d/plain")).mode() & 0o7777, 0o644);
}

#[test]
fn nothing_is_inherited_from_the_default_acl_of_the_target() {
    if !keeps("nothing_is_inherited", DEFAULT, &binary(ACL_TEXT)) {
        return;
    }
    let mut room = Room::prepared(Overwrite::Never, |dir| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(dir, DEFAULT, &binary(ACL_TEXT), flags).expect("an ACL");
    });
    room.put_whole(&file("a", 4), b"data");
    room.put_whole(&directory("d/"), b"");
    room.put_whole(&directory("d/e/"), b"");
    room.put_whole(&file("made/b", 4), b"data");
    room.put_whole(&member("pipe", Kind::Fifo), b"");
    let (room, _) = room.finish();
    for name in ["a", "d", "d/e", "made", "made/b", "pipe"] {
        let path = room.dir.join(name);
        assert_eq!(
            (xattr(&path, ACCESS), xattr(&path, DEFAULT)),
            (None, None),
            "{name}"
        );
    }
    assert_eq!(lstat(&room.dir.join("a")).mode() & 0o7777, 0o644);
}

#[test]
fn an_overwritten_directory_loses_what_the_archive_has_not() {
    if !keeps("an_overwritten_directory", ACCESS, &binary(ACL_TEXT)) {
        return;
    }
    let mut room = Room::prepared(Overwrite::Always, |dir| {
        let (d, flags) = (dir.join("d"), rustix::fs::XattrFlags::empty());
        std::fs::create_dir(&d).expect("a directory");
        for (name, value) in [(ACCESS, binary(ACL_TEXT)), (DEFAULT, binary(ACL_TEXT))] {
            rustix::fs::setxattr(&d, name, &value, flags).expect("an ACL");
        }
        rustix::fs::setxattr(&d, "user.extra", b"x", flags).expect("an attribute");
    });
    room.put_whole(&directory("d/"), b"");
    let (room, _) = room.finish();
    let d = room.dir.join("d");
    assert_eq!(
        (
            xattr(&d, ACCESS),
            xattr(&d, DEFAULT),
            xattr(&d, "user.extra")
        ),
        (None, None, None)
    );
    assert_eq!(lstat(&d).mode() & 0o7777, 0o755);
}
