//! Owners, modes, times, ACLs and extended attributes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

use anyhow::Result;
use rustix::fs::{XattrFlags, lsetxattr};

use super::{Maker, bytes, set_time, write};

impl Maker {
    pub(super) fn metadata(&mut self) -> Result<()> {
        self.owners()?;
        self.modes()?;
        self.times()?;
        self.acls()?;
        self.xattrs()
    }

    fn owners(&mut self) -> Result<()> {
        let part = self.part("owners")?;
        // Around what fits into ustar's seven octal digits, to the last id.
        let ids = [0, 1, 1000, 65_534, 2_097_151, 2_097_152, 4_294_967_294];
        for (uid, gid) in ids.into_iter().zip(ids.into_iter().rev()) {
            let path = part.join(format!("{uid}-{gid}"));
            write(&path, b"owned")?;
            self.try_to(
                &format!("owner {uid}:{gid}"),
                lchown(&path, Some(uid), Some(gid)),
            );
        }
        let folder = part.join("folder");
        fs::create_dir(&folder)?;
        self.try_to("an owned folder", lchown(&folder, Some(12), Some(34)));
        let link = part.join("symlink");
        symlink("folder", &link)?;
        self.try_to("an owned symlink", lchown(&link, Some(56), Some(78)));
        // Changing the owner clears the set-id bits: they come after it.
        let program = part.join("set-uid");
        write(&program, b"#!/bin/true\n")?;
        self.try_to(
            "another's set-uid program",
            lchown(&program, Some(1234), Some(5678)),
        );
        fs::set_permissions(&program, Permissions::from_mode(0o6755))?;
        Ok(())
    }

    fn modes(&self) -> Result<()> {
        let part = self.part("modes")?;
        for mode in [0o400, 0o644, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777] {
            let path = part.join(format!("file-{mode:04o}"));
            write(&path, b"mode")?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        for mode in [0o500, 0o700, 0o1777, 0o2775, 0o7777] {
            let path = part.join(format!("folder-{mode:04o}"));
            fs::create_dir(&path)?;
            write(&path.join("inside"), b"mode")?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        if rustix::process::geteuid().is_root() {
            // Nobody but root could read these.
            let path = part.join("file-0000");
            write(&path, b"mode")?;
            fs::set_permissions(&path, Permissions::from_mode(0o0))?;
            fs::create_dir(part.join("folder-0000"))?;
            fs::set_permissions(part.join("folder-0000"), Permissions::from_mode(0o0))?;
        }
        Ok(())
    }

    fn times(&mut self) -> Result<()> {
        let part = self.part("times")?;
        let times = [
            ("epoch", 0, 0),
            ("one-ns-after", 0, 1),
            ("one-ns-before", -1, 999_999_999),
            ("1969-and-a-quarter", -6, 750_000_000),
            ("1901", -2_147_483_648, 0),
            ("2001-09-09", 1_000_000_000, 0),
            ("all-nines", 1_234_567_890, 999_999_999),
            ("ends-in-zeros", 1_234_567_890, 120_000_000),
            ("one-ns", 1_234_567_890, 1),
        ];
        for (name, seconds, nanoseconds) in times {
            let path = part.join(name);
            write(&path, b"time")?;
            set_time(&path, seconds, nanoseconds)?;
        }
        let folder = part.join("folder");
        fs::create_dir(&folder)?;
        write(&folder.join("file"), b"a file of 1970 in a folder of 1966")?;
        set_time(&folder.join("file"), 1, 5)?;
        set_time(&folder, -123_456_789, 123_456_789)?;
        let link = part.join("symlink");
        symlink("folder", &link)?;
        set_time(&link, 987_654_321, 123_456_789)?;
        // Beyond 32 bits. Where the file system ends before, it stores its end,
        // and then that is what must come back.
        let future = part.join("2100");
        write(&future, b"time")?;
        set_time(&future, 4_102_444_800, 500_000_001)?;
        Ok(())
    }

    fn acls(&mut self) -> Result<()> {
        use Tag::{Group, GroupObject, Mask, Other, User, UserObject};
        let part = self.part("acls")?;
        let rich = [
            (UserObject, 6),
            (User(1), 7),
            (User(1000), 4),
            (User(3_000_000_000), 5),
            (GroupObject, 4),
            (Group(100), 6),
            (Mask, 6),
            (Other, 0),
        ];
        // The mask takes away what group and users have: the mode shows the
        // mask where the group's bits are.
        let masked = [
            (UserObject, 6),
            (User(5), 7),
            (GroupObject, 7),
            (Mask, 0),
            (Other, 4),
        ];
        let folder = [
            (UserObject, 7),
            (User(1), 5),
            (GroupObject, 1),
            (Mask, 5),
            (Other, 0),
        ];
        let default = [
            (UserObject, 7),
            (User(1000), 7),
            (GroupObject, 5),
            (Mask, 7),
            (Other, 0),
        ];
        let plain = [(UserObject, 7), (GroupObject, 5), (Other, 5)];
        for (name, entries) in [("rich", &rich[..]), ("masked", &masked)] {
            let path = part.join(name);
            write(&path, b"acl")?;
            self.try_to(&format!("ACL {name}"), set(&path, ACCESS, &acl(entries)));
        }
        for (name, access) in [("folder-default", None), ("folder-both", Some(&folder[..]))] {
            let path = part.join(name);
            fs::create_dir(&path)?;
            // Made before the default ACL is set, so it inherits nothing, and
            // must not when it is restored either.
            write(&path.join("before"), b"acl")?;
            self.try_to("a default ACL", set(&path, DEFAULT, &acl(&default)));
            write(&path.join("inherits"), b"acl")?;
            fs::create_dir(path.join("inherits-too"))?;
            if let Some(entries) = access {
                self.try_to("ACL of a folder", set(&path, ACCESS, &acl(entries)));
            }
        }
        let path = part.join("folder-plain-default");
        fs::create_dir(&path)?;
        self.try_to(
            "a default ACL of three entries",
            set(&path, DEFAULT, &acl(&plain)),
        );
        Ok(())
    }

    fn xattrs(&mut self) -> Result<()> {
        let part = self.part("xattrs")?;
        let file = part.join("file");
        write(&file, b"xattr")?;
        let folder = part.join("folder");
        fs::create_dir(&folder)?;
        let values: [(&str, Vec<u8>); 6] = [
            ("user.empty", Vec::new()),
            ("user.text", b"a value".to_vec()),
            ("user.binary", (0..=255).collect()),
            ("user.newline", b"\n1 a=b\n".to_vec()),
            ("user.long", bytes(8, 2500)),
            ("trusted.longhaul", b"\0root's\xff".to_vec()),
        ];
        for (name, value) in &values {
            self.try_to(name, set(&file, name, value));
            self.try_to(name, set(&folder, name, value));
        }
        // GNU tar writes and reads = and % in a name as %3D and %25.
        let odd = part.join("odd-names");
        write(&odd, b"xattr")?;
        for name in ["user.a=b", "user.a%b", "user.a%3Db", "user.\u{fc}"] {
            self.try_to(name, set(&odd, name, b"odd"));
        }
        let link = part.join("symlink");
        symlink("file", &link)?;
        self.try_to(
            "an attribute of a symlink",
            set(&link, "trusted.of-a-link", b"link"),
        );
        let program = part.join("capability");
        write(&program, b"#!/bin/true\n")?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        // linux/capability.h, vfs_cap_data: revision 2 with the effective bit,
        // then permitted and inheritable, twice; CAP_NET_RAW is bit 13.
        let capability: Vec<u8> = [0x0200_0001u32, 1 << 13, 0, 0, 0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        self.try_to(
            "a capability",
            set(&program, "security.capability", &capability),
        );
        Ok(())
    }
}

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

fn set(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(lsetxattr(path, name, value, XattrFlags::empty())?)
}

/// Whom an entry of an ACL is for.
#[derive(Clone, Copy)]
enum Tag {
    UserObject,
    User(u32),
    GroupObject,
    Group(u32),
    Mask,
    Other,
}

/// An ACL as the kernel takes it (linux/posix_acl_xattr.h): version 2, then tag,
/// permissions and id for each entry.
fn acl(entries: &[(Tag, u16)]) -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for &(tag, permissions) in entries {
        let (code, id): (u16, u32) = match tag {
            Tag::UserObject => (0x01, NO_ID),
            Tag::User(id) => (0x02, id),
            Tag::GroupObject => (0x04, NO_ID),
            Tag::Group(id) => (0x08, id),
            Tag::Mask => (0x10, NO_ID),
            Tag::Other => (0x20, NO_ID),
        };
        bytes.extend_from_slice(&code.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}
