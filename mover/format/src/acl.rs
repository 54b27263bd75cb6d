//! POSIX ACLs: the kernel's bytes (`linux/posix_acl_xattr.h`, version 2), and
//! the text that stands in `SCHILY.acl.*` records, with numeric ids.
//!
//! **The group bits.** Where a file has an ACL with a mask, `stat` shows the
//! mask in place of the group's bits. The archive holds the true group bits
//! ([`Acl::true_mode`]): a reader that knows no ACLs then gives the group no
//! more than it had, and one that does sets the ACL afterwards, mask and all.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The extended attribute that holds the access ACL.
pub const ACCESS_XATTR: &str = "system.posix_acl_access";
/// The extended attribute that holds a directory's default ACL.
pub const DEFAULT_XATTR: &str = "system.posix_acl_default";
/// Entries an ACL may have here: what fits an attribute of 64 KiB, the most
/// that Linux allows (XATTR_SIZE_MAX).
pub const ENTRIES_MAX: usize = (65_536 - 4) / 8;

const VERSION: u32 = 2;
/// The id of entries that have none (ACL_UNDEFINED_ID).
const NO_ID: u32 = u32::MAX;

/// Whom an entry is for, in the order in which the kernel wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// The owner (ACL_USER_OBJ, 01h).
    UserObj,
    /// A user by id (ACL_USER, 02h).
    User(u32),
    /// The file's group (ACL_GROUP_OBJ, 04h).
    GroupObj,
    /// A group by id (ACL_GROUP, 08h).
    Group(u32),
    /// The most that all but owner and others can have (ACL_MASK, 10h).
    Mask,
    /// Everybody else (ACL_OTHER, 20h).
    Other,
}

/// An entry: who, and the permission bits rwx (4, 2, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is for.
    pub tag: Tag,
    /// 0 to 7.
    pub perm: u8,
}

/// An ACL that the kernel would take: owner, group and others once each, in
/// order, and a mask where users or groups are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    entries: Vec<Entry>,
}

/// Why something is not an ACL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AclError {
    /// The attribute's length or version is wrong.
    #[error("the ACL attribute is not of version 2 of the kernel's form")]
    Version,
    /// A tag or permission that does not exist.
    #[error("ACL entry {index} has an unknown tag or permission")]
    Entry {
        /// Which entry, from 0.
        index: usize,
    },
    /// The entries are not a whole ACL in order.
    #[error("the ACL lacks an entry, or its entries are out of order")]
    Order,
    /// More entries than an attribute can hold.
    #[error("the ACL has more than {ENTRIES_MAX} entries")]
    TooMany,
    /// A name where an id should stand.
    #[error("the ACL names `{name}`; only numeric ids can be restored")]
    Name {
        /// The name.
        name: String,
    },
}

impl Acl {
    /// An ACL of these entries, in any order.
    pub fn new(mut entries: Vec<Entry>) -> Result<Acl, AclError> {
        if entries.len() > ENTRIES_MAX {
            return Err(AclError::TooMany);
        }
        if let Some(index) = entries.iter().position(|entry| entry.perm > 7) {
            return Err(AclError::Entry { index });
        }
        entries.sort_by_key(|entry| entry.tag);
        let count = |tag| entries.iter().filter(|entry| entry.tag == tag).count();
        let named = entries
            .iter()
            .any(|e| matches!(e.tag, Tag::User(_) | Tag::Group(_)));
        let masks = count(Tag::Mask);
        let once = [Tag::UserObj, Tag::GroupObj, Tag::Other]
            .iter()
            .all(|&tag| count(tag) == 1);
        if !once || masks > 1 || (named && masks == 0) {
            return Err(AclError::Order);
        }
        Ok(Acl { entries })
    }

    /// Reads the value of the `system.posix_acl_*` attribute: a version, then 8
    /// bytes an entry (tag, permissions, id), little-endian.
    pub fn from_xattr(value: &[u8]) -> Result<Acl, AclError> {
        let (version, rest) = value.split_first_chunk().ok_or(AclError::Version)?;
        let (entries, tail) = rest.as_chunks::<8>();
        if u32::from_le_bytes(*version) != VERSION || !tail.is_empty() {
            return Err(AclError::Version);
        }
        if entries.len() > ENTRIES_MAX {
            return Err(AclError::TooMany);
        }
        let entries = entries.iter().enumerate().map(|(index, bytes)| {
            let [tag0, tag1, perm0, perm1, id @ ..] = *bytes;
            let id = u32::from_le_bytes(id);
            let tag = match u16::from_le_bytes([tag0, tag1]) {
                0x01 => Tag::UserObj,
                0x02 => Tag::User(id),
                0x04 => Tag::GroupObj,
                0x08 => Tag::Group(id),
                0x10 => Tag::Mask,
                0x20 => Tag::Other,
                _ => return Err(AclError::Entry { index }),
            };
            let perm = u16::from_le_bytes([perm0, perm1]);
            let perm = u8::try_from(perm).map_err(|_| AclError::Entry { index })?;
            Ok(Entry { tag, perm })
        });
        Acl::new(entries.collect::<Result<_, _>>()?)
    }

    /// The value of the `system.posix_acl_*` attribute.
    pub fn to_xattr(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(4 + 8 * self.entries.len());
        value.extend_from_slice(&VERSION.to_le_bytes());
        for entry in &self.entries {
            let (tag, id) = match entry.tag {
                Tag::UserObj => (0x01u16, NO_ID),
                Tag::User(id) => (0x02, id),
                Tag::GroupObj => (0x04, NO_ID),
                Tag::Group(id) => (0x08, id),
                Tag::Mask => (0x10, NO_ID),
                Tag::Other => (0x20, NO_ID),
            };
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&u16::from(entry.perm).to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        value
    }

    /// The entries, in the kernel's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// `mode` with the true bits of the file's group in place of the mask.
    pub fn true_mode(&self, mode: u32) -> u32 {
        let group = self.entries.iter().find(|entry| entry.tag == Tag::GroupObj);
        match group {
            Some(entry) => (mode & !0o070) | (u32::from(entry.perm) << 3),
            None => mode,
        }
    }
}

impl fmt::Display for Acl {
    /// `user::rw-,user:1:r--,group::r--,mask::r--,other::---`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match entry.tag {
                Tag::UserObj => f.write_str("user::")?,
                Tag::User(id) => write!(f, "user:{id}:")?,
                Tag::GroupObj => f.write_str("group::")?,
                Tag::Group(id) => write!(f, "group:{id}:")?,
                Tag::Mask => f.write_str("mask::")?,
                Tag::Other => f.write_str("other::")?,
            }
            for (bit, letter) in [(4, "r"), (2, "w"), (1, "x")] {
                f.write_str(if entry.perm & bit != 0 { letter } else { "-" })?;
            }
        }
        Ok(())
    }
}

impl FromStr for Acl {
    type Err = AclError;

    /// Reads the text form: entries apart by commas or newlines, tags whole or
    /// by their first letter, an id after the permissions (star's form) before
    /// a name in the middle, remarks after `#`.
    fn from_str(text: &str) -> Result<Acl, AclError> {
        let mut entries = Vec::new();
        for line in text.split([',', '\n']) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                return Err(AclError::TooMany);
            }
            entries.push(parse_entry(line, entries.len())?);
        }
        Acl::new(entries)
    }
}

fn parse_entry(line: &str, index: usize) -> Result<Entry, AclError> {
    let bad = || AclError::Entry { index };
    let mut fields = line.split(':').map(str::trim);
    let kind = fields.next().unwrap_or_default();
    let mut name = fields.next().ok_or_else(bad)?;
    let mut perm = fields.next();
    // `mask:r--` and `other:r--` are written too.
    if perm.is_none() && matches!(kind, "mask" | "m" | "other" | "o") {
        perm = Some(std::mem::take(&mut name));
    }
    let perm = parse_perm(perm.ok_or_else(bad)?).ok_or_else(bad)?;
    let qualifier = fields.next().unwrap_or(name);
    let id = || {
        qualifier.parse().map_err(|_| AclError::Name {
            name: name.to_owned(),
        })
    };
    let tag = match (kind, name.is_empty()) {
        ("user" | "u", true) => Tag::UserObj,
        ("user" | "u", false) => Tag::User(id()?),
        ("group" | "g", true) => Tag::GroupObj,
        ("group" | "g", false) => Tag::Group(id()?),
        ("mask" | "m", true) => Tag::Mask,
        ("other" | "o", true) => Tag::Other,
        _ => return Err(bad()),
    };
    Ok(Entry { tag, perm })
}

fn parse_perm(text: &str) -> Option<u8> {
    text.chars().try_fold(0, |perm, letter| match letter {
        'r' => Some(perm | 4),
        'w' => Some(perm | 2),
        'x' => Some(perm | 1),
        '-' => Some(perm),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `getfattr -e hex` shows after `setfacl -m u:1000:rw,g:100:r` on a
    /// file of mode 0640.
    const CAPTURED: &[u8] = &[
        2, 0, 0, 0, //
        0x01, 0, 6, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
        0x02, 0, 6, 0, 0xE8, 0x03, 0, 0, //
        0x04, 0, 4, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
        0x08, 0, 4, 0, 0x64, 0, 0, 0, //
        0x10, 0, 6, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
        0x20, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
    ];

    #[test]
    fn the_kernels_bytes_become_text_and_come_back() {
        let acl = Acl::from_xattr(CAPTURED).unwrap();
        let text = "user::rw-,user:1000:rw-,group::r--,group:100:r--,mask::rw-,other::---";
        assert_eq!(acl.to_string(), text);
        assert_eq!(text.parse::<Acl>().unwrap().to_xattr(), CAPTURED);
    }

    #[test]
    fn the_mode_holds_the_groups_own_bits_and_not_the_mask() {
        let acl = Acl::from_xattr(CAPTURED).unwrap();
        assert_eq!(acl.true_mode(0o4660), 0o4640);
    }

    #[test]
    fn other_writers_forms_are_read() {
        let gnu = "user::rw-\nuser:7:r--\t#effective:r--\ngroup::r--\nmask::r--\nother::r--\n";
        let star = "u::rw-,user:joe:r--:7,g::r--,mask:r--,other:r--";
        assert_eq!(gnu.parse::<Acl>(), star.parse::<Acl>());
        let named = "user::rw-,user:joe:r--,group::r--,mask::r--,other::r--";
        assert_eq!(
            named.parse::<Acl>(),
            Err(AclError::Name { name: "joe".into() })
        );
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused() {
        assert_eq!("user::rw-,other::r--".parse::<Acl>(), Err(AclError::Order));
        let no_mask = "user::rw-,user:1:r--,group::r--,other::r--";
        assert_eq!(no_mask.parse::<Acl>(), Err(AclError::Order));
        assert_eq!(Acl::from_xattr(b""), Err(AclError::Version));
        assert_eq!(Acl::from_xattr(&CAPTURED[..9]), Err(AclError::Version));
        assert_eq!(Acl::from_xattr(&[1, 0, 0, 0]), Err(AclError::Version));
    }

    fn acls() -> impl Strategy<Value = Acl> {
        let ids = || proptest::collection::vec((any::<u32>(), 0u8..8), 0..6);
        ((0u8..8, 0u8..8, 0u8..8, 0u8..8), ids(), ids()).prop_map(|(perms, users, groups)| {
            let entry = |tag, perm| Entry { tag, perm };
            let mut entries: Vec<_> = users
                .into_iter()
                .map(|(id, perm)| entry(Tag::User(id), perm))
                .collect();
            entries.extend(
                groups
                    .into_iter()
                    .map(|(id, perm)| entry(Tag::Group(id), perm)),
            );
            entries.push(entry(Tag::UserObj, perms.0));
            entries.push(entry(Tag::GroupObj, perms.1));
            entries.push(entry(Tag::Mask, perms.2));
            entries.push(entry(Tag::Other, perms.3));
            Acl::new(entries).unwrap()
        })
    }

    proptest! {
        #[test]
        fn round_trip(acl in acls()) {
            prop_assert_eq!(Acl::from_xattr(&acl.to_xattr()), Ok(acl.clone()));
            prop_assert_eq!(acl.to_string().parse(), Ok(acl));
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            mut value in proptest::collection::vec(any::<u8>(), 0..80),
            text in "[a-z:,#\n0-9rwx-]{0,60}",
        ) {
            let _ = Acl::from_xattr(&value);
            value.splice(..4.min(value.len()), 2u32.to_le_bytes());
            let _ = Acl::from_xattr(&value);
            let _ = text.parse::<Acl>();
        }
    }
}
