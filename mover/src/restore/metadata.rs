//! A member's metadata, and the order in which it is set.
//!
//! Each step undoes or forbids something of another, so the order is fixed:
//!
//! 1. **data**: a write clears set-user-id bits and `security.capability`;
//! 2. **owner**: so does a change of owner;
//! 3. **extended attributes**: `user.*` needs write permission, which the
//!    file's own mode may deny even to its owner;
//! 4. **mode**;
//! 5. **ACLs**: a change of mode rewrites the ACL's mask, and the archive's
//!    mode holds the true group bits;
//! 6. **times**, after the data at the least; last, so that nothing follows
//!    which some file system could take for a modification.
//!
//! Then the file is looked at once more: a file system may take a value and
//! keep another (a coarser time, a mode without set-group-id), and what
//! differs is said.

use longhaul_format::acl::Acl;
use longhaul_format::member::{Kind, Member, Time};
use rustix::fs::{FileType, Stat};

use super::below::FileId;
use super::error::{Warning, What};
use super::node::{ACL_ACCESS, ACL_DEFAULT, Node};
use super::policy::mtime;

/// Whether files get back their owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Files belong to whoever restores them.
    Leave,
    /// Files get the archive's numeric user and group; each refusal is a
    /// warning.
    Restore,
}

/// The metadata of a member, kept until its data is there.
#[derive(Debug)]
pub(super) struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Time,
    /// What few files have.
    extras: Option<Box<Extras>>,
}

#[derive(Debug, Default)]
struct Extras {
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    acl_access: Option<String>,
    acl_default: Option<String>,
}

/// How a new file came to be, as far as its metadata depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Made by this run, in a directory without a default ACL.
    Bare,
    /// Was there before this run: it may have more than the archive knows.
    Existing,
    /// Made by this run, in a directory that handed down its default ACL.
    Inheriting,
}

/// What came of setting the metadata.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) warnings: Vec<Warning>,
    /// None if even looking at the file failed.
    pub(super) id: Option<FileId>,
    /// Owners were left alone, and differ.
    pub(super) owner_left: bool,
}

impl Attributes {
    pub(super) fn of(member: &Member) -> Attributes {
        let default = match member.kind {
            Kind::Directory => member.acl_default.clone(),
            _ => None,
        };
        let any = !member.xattrs.is_empty() || member.acl_access.is_some() || default.is_some();
        let extras = any.then(|| {
            Box::new(Extras {
                xattrs: member.xattrs.clone(),
                acl_access: member.acl_access.clone(),
                acl_default: default,
            })
        });
        let mode = member.mode & 0o7777;
        Attributes {
            mode,
            uid: member.uid,
            gid: member.gid,
            mtime: member.mtime,
            extras,
        }
    }

    /// Sets everything, as far as the kernel lets us.
    pub(super) fn apply(
        &self,
        node: Node<'_>,
        path: &[u8],
        owners: Owners,
        origin: Origin,
    ) -> Applied {
        let mut applying = Applying {
            of: self,
            node,
            path,
            warnings: Vec::new(),
        };
        if owners == Owners::Restore {
            let owned = node.set_owner(self.uid, self.gid);
            applying.note(What::Owner, owned);
        }
        let before = node.stat().ok();
        let kind = before.map(|stat| FileType::from_raw_mode(stat.st_mode));
        if origin != Origin::Bare {
            node.remove_acls();
        }
        if origin == Origin::Inheriting && kind != Some(FileType::Symlink) {
            // What was handed down may deny even its owner the next step. If
            // this is refused, so is the mode proper, and that is said.
            let _ = node.set_mode(0o600);
        }
        applying.xattrs(origin);
        if kind != Some(FileType::Symlink) {
            applying.mode(before.as_ref());
            applying.acls();
        }
        let timed = node.set_mtime(self.mtime);
        applying.note(What::Times, timed);
        applying.check(owners)
    }
}

/// The work in progress on one file.
struct Applying<'a> {
    of: &'a Attributes,
    node: Node<'a>,
    path: &'a [u8],
    warnings: Vec<Warning>,
}

impl Applying<'_> {
    fn note(&mut self, what: What, result: Result<(), rustix::io::Errno>) {
        if let Err(source) = result {
            self.warnings.push(Warning::Refused {
                path: self.path.to_vec(),
                what,
                source,
            });
        }
    }

    fn xattrs(&mut self, origin: Origin) {
        let wanted = self
            .of
            .extras
            .as_ref()
            .map_or(&[][..], |extras| &extras.xattrs);
        if origin == Origin::Existing {
            // Only the users' own: the others belong to the system's policy.
            for name in self.node.xattr_names().unwrap_or_default() {
                let known = wanted.iter().any(|(wanted, _)| *wanted == name);
                if name.starts_with(b"user.") && !known {
                    let removed = self.node.remove_xattr(&name);
                    self.note(What::Attribute(name), removed);
                }
            }
        }
        for (name, value) in wanted {
            let set = self.node.set_xattr(name, value);
            self.note(What::Attribute(name.clone()), set);
        }
    }

    /// Sets the mode; without the set-id bits if they would give the rights
    /// of somebody the file does not belong to in the archive.
    fn mode(&mut self, before: Option<&Stat>) {
        let allowed = self.allowed_mode(before);
        if allowed != self.of.mode {
            self.warnings.push(Warning::SetIdDropped {
                path: self.path.to_vec(),
            });
        }
        let set = self.node.set_mode(allowed);
        self.note(What::Mode, set);
    }

    fn allowed_mode(&self, now: Option<&Stat>) -> u32 {
        let mut mode = self.of.mode;
        if now.is_none_or(|stat| stat.st_uid != self.of.uid) {
            mode &= !0o4000;
        }
        if now.is_none_or(|stat| stat.st_gid != self.of.gid) {
            mode &= !0o2000;
        }
        mode
    }

    fn acls(&mut self) {
        let Some(extras) = self.of.extras.as_ref() else {
            return;
        };
        let access = (
            extras.acl_access.as_ref(),
            ACL_ACCESS,
            "access",
            What::AccessAcl,
        );
        let default = (
            extras.acl_default.as_ref(),
            ACL_DEFAULT,
            "default",
            What::DefaultAcl,
        );
        for (text, name, which, what) in [access, default] {
            let Some(text) = text else { continue };
            match text.parse::<Acl>() {
                Ok(acl) => {
                    let set = self.node.set_xattr(name, &acl.to_xattr());
                    self.note(what, set);
                }
                Err(source) => {
                    let path = self.path.to_vec();
                    self.warnings.push(Warning::BadAcl {
                        path,
                        which,
                        source,
                    });
                }
            }
        }
    }

    fn check(mut self, owners: Owners) -> Applied {
        let Ok(now) = self.node.stat() else {
            return Applied {
                warnings: self.warnings,
                id: None,
                owner_left: false,
            };
        };
        let owner_differs = (now.st_uid, now.st_gid) != (self.of.uid, self.of.gid);
        if owners == Owners::Restore && owner_differs {
            self.differs(What::Owner);
        }
        if !self.has_mode(&now) {
            self.differs(What::Mode);
        }
        if mtime(&now) != self.of.mtime {
            self.differs(What::Times);
        }
        let owner_left = owners == Owners::Leave && owner_differs;
        Applied {
            warnings: self.warnings,
            id: Some(FileId::of(&now)),
            owner_left,
        }
    }

    fn has_mode(&self, now: &Stat) -> bool {
        if FileType::from_raw_mode(now.st_mode) == FileType::Symlink {
            return true;
        }
        // With an ACL, the group bits show its mask.
        let has_acl = self
            .of
            .extras
            .as_ref()
            .is_some_and(|extras| extras.acl_access.is_some());
        let compared = if has_acl { 0o7707 } else { 0o7777 };
        now.st_mode & compared == self.allowed_mode(Some(now)) & compared
    }

    /// Warns, unless a refusal has said so already.
    fn differs(&mut self, what: What) {
        let said = |warning: &Warning| match warning {
            Warning::Refused { what: refused, .. } => *refused == what,
            _ => false,
        };
        if !self.warnings.iter().any(said) {
            self.warnings.push(Warning::Differs {
                path: self.path.to_vec(),
                what,
            });
        }
    }
}
