//! Header blocks and extended records to a [`Member`].

use thiserror::Error;

use super::{ACL_ACCESS_KEY, ACL_DEFAULT_KEY, HEADERS_MAX, STREAM_MAX, XATTR_KEY, XATTRS_MAX};
use crate::member::{Kind, Member, Time};
use crate::pax::{RecordError, Records, parse_decimal, parse_time};
use crate::ustar::{Header, HeaderError};

/// Why a stream can't be read as an archive. `at` is the stream offset of the
/// header concerned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArchiveError {
    /// The block is no header.
    #[error("byte {at} of the archive: {source}")]
    Header {
        /// Stream offset.
        at: u64,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// An extended header is malformed.
    #[error("byte {at} of the archive: extended header: {key}: {source}")]
    Record {
        /// Stream offset.
        at: u64,
        /// The key of the record, if it was read so far.
        key: String,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The headers of a member are longer than any that Longhaul writes.
    #[error("byte {at} of the archive: headers of {bytes} bytes, more than {HEADERS_MAX}")]
    HeadersTooLong {
        /// Stream offset.
        at: u64,
        /// What they state.
        bytes: u64,
    },
    /// The member has too many extended attributes.
    #[error("byte {at} of the archive: more than {XATTRS_MAX} extended attributes")]
    TooManyXattrs {
        /// Stream offset.
        at: u64,
    },
    /// The map of a sparse member is malformed, or does not fit its data.
    #[error("byte {at} of the archive: the map of the sparse file is damaged")]
    SparseMap {
        /// Stream offset.
        at: u64,
    },
    /// A member of a kind that Longhaul does not write and can't restore.
    #[error("byte {at} of the archive: {what} can't be restored; use GNU tar")]
    Unsupported {
        /// Stream offset.
        at: u64,
        /// What it is.
        what: String,
    },
    /// The member has no name, or one with a NUL in it.
    #[error("byte {at} of the archive: a member or link without a proper name")]
    Name {
        /// Stream offset.
        at: u64,
    },
    /// An extended header is not followed by the member that it is for, or a
    /// lone block of zeros stands in the archive.
    #[error("byte {at} of the archive: zeros where a header should be")]
    Zeros {
        /// Stream offset.
        at: u64,
    },
}

/// What the extended headers said; later records win over earlier ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Extended {
    path: Option<Vec<u8>>,
    linkpath: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<Time>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    acl_access: Option<String>,
    acl_default: Option<String>,
    pub comment: Option<String>,
    sparse: SparseRecords,
    pub volume: VolumeRecords,
}

#[derive(Debug, Clone, Default)]
struct SparseRecords {
    major: Option<u64>,
    minor: Option<u64>,
    name: Option<Vec<u8>>,
    realsize: Option<u64>,
    /// A map in the records themselves: formats 0.0 and 0.1.
    old: bool,
}

/// What a `g` header says about a member that an earlier volume began.
#[derive(Debug, Clone, Default)]
pub(super) struct VolumeRecords {
    pub filename: Option<Vec<u8>>,
    pub offset: u64,
    pub size: u64,
}

/// A member, its data not yet looked at.
#[derive(Debug)]
pub(super) struct Raw {
    pub member: Member,
    /// Bytes of data that follow the header, a sparse map included.
    pub size: u64,
    /// Whether they begin with a map.
    pub mapped: bool,
}

impl Extended {
    /// Takes the body of an `x` or `g` header.
    pub(super) fn take(&mut self, body: &[u8], at: u64) -> Result<(), ArchiveError> {
        for record in Records::new(body) {
            let (key, value) = record.map_err(|source| ArchiveError::Record {
                at,
                key: "a record".into(),
                source,
            })?;
            self.record(key, value).map_err(|source| {
                let key = String::from_utf8_lossy(key).into_owned();
                ArchiveError::Record { at, key, source }
            })?;
            if self.xattrs.len() > XATTRS_MAX {
                return Err(ArchiveError::TooManyXattrs { at });
            }
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), RecordError> {
        let text = || Some(String::from_utf8_lossy(value).into_owned());
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.linkpath = Some(value.to_vec()),
            b"size" => self.size = Some(parse_decimal(value)?),
            b"uid" => self.uid = Some(parse_decimal(value)?),
            b"gid" => self.gid = Some(parse_decimal(value)?),
            b"mtime" => self.mtime = Some(parse_time(value)?),
            // Blanks are a filler.
            b"comment" if value.iter().any(|&byte| byte != b' ') => self.comment = text(),
            b"RHT.security.selinux" => self.xattr(b"security.selinux", value),
            b"GNU.sparse.major" => self.sparse.major = Some(parse_decimal(value)?),
            b"GNU.sparse.minor" => self.sparse.minor = Some(parse_decimal(value)?),
            b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.realsize" => self.sparse.realsize = Some(parse_decimal(value)?),
            b"GNU.sparse.map" | b"GNU.sparse.numblocks" => self.sparse.old = true,
            b"GNU.volume.filename" => self.volume.filename = Some(value.to_vec()),
            b"GNU.volume.offset" => self.volume.offset = parse_decimal(value)?,
            b"GNU.volume.size" => self.volume.size = parse_decimal(value)?,
            _ if key == ACL_ACCESS_KEY => self.acl_access = text(),
            _ if key == ACL_DEFAULT_KEY => self.acl_default = text(),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR_KEY) {
                    self.xattr(&xattr_name(name), value);
                }
            }
        }
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) {
        self.xattrs.push((name.to_vec(), value.to_vec()));
    }

    /// Takes over from a `g` header what holds for all members to come: the few
    /// keys that make sense there.
    pub(super) fn update(&mut self, global: Extended) {
        self.uid = global.uid.or(self.uid);
        self.gid = global.gid.or(self.gid);
        self.mtime = global.mtime.or(self.mtime);
        if global.volume.filename.is_some() {
            self.volume = global.volume;
        }
    }

    /// These records before those of the `g` headers.
    pub(super) fn over(mut self, globals: &Extended) -> Extended {
        self.uid = self.uid.or(globals.uid);
        self.gid = self.gid.or(globals.gid);
        self.mtime = self.mtime.or(globals.mtime);
        self
    }

    /// The member that the ustar header and these records make together.
    pub(super) fn member(self, header: &Header<'_>, at: u64) -> Result<Raw, ArchiveError> {
        let sparse = self.sparse.name.is_some() || self.sparse.major.is_some() || self.sparse.old;
        let mapped = sparse && (self.sparse.major, self.sparse.minor) == (Some(1), Some(0));
        if sparse && !mapped {
            let what = "a sparse file in a format other than 1.0".into();
            return Err(ArchiveError::Unsupported { at, what });
        }
        let size = self.size.unwrap_or(header.size);
        let realsize = self.sparse.realsize.unwrap_or(0);
        if size.max(realsize) > STREAM_MAX {
            let source = HeaderError::Number { field: "size" };
            return Err(ArchiveError::Header { at, source });
        }
        let link = self.linkpath.unwrap_or_else(|| header.linkname.to_vec());
        let mut path = self
            .sparse
            .name
            .or(self.path)
            .unwrap_or_else(|| header.path());
        let kind = kind(
            header,
            &path,
            if mapped { realsize } else { size },
            link,
            at,
        )?;
        if kind == Kind::Directory && !path.ends_with(b"/") {
            path.push(b'/');
        }
        let link = match &kind {
            Kind::HardLink { target } | Kind::Symlink { target } => Some(target),
            _ => None,
        };
        let improper = |name: &Vec<u8>| name.is_empty() || name.contains(&0);
        if improper(&path) || link.is_some_and(improper) {
            return Err(ArchiveError::Name { at });
        }
        let file = matches!(kind, Kind::File { .. });
        let id = |field, record: Option<u64>, ustar| {
            let source = HeaderError::Number { field };
            u32::try_from(record.unwrap_or(ustar)).map_err(|_| ArchiveError::Header { at, source })
        };
        let member = Member {
            path,
            kind,
            mode: (header.mode & 0o7777) as u32,
            uid: id("uid", self.uid, header.uid)?,
            gid: id("gid", self.gid, header.gid)?,
            mtime: self.mtime.unwrap_or(Time {
                seconds: header.mtime,
                nanoseconds: 0,
            }),
            xattrs: self.xattrs,
            acl_access: self.acl_access,
            acl_default: self.acl_default,
            comment: self.comment,
        };
        // Only files have data: old writers left a link's size in its header.
        Ok(Raw {
            member,
            size: if file { size } else { 0 },
            mapped: mapped && file,
        })
    }
}

fn kind(
    header: &Header<'_>,
    path: &[u8],
    size: u64,
    target: Vec<u8>,
    at: u64,
) -> Result<Kind, ArchiveError> {
    let number = |field, value: u64| {
        let source = HeaderError::Number { field };
        u32::try_from(value).map_err(|_| ArchiveError::Header { at, source })
    };
    let device = || {
        Ok((
            number("devmajor", header.devmajor)?,
            number("devminor", header.devminor)?,
        ))
    };
    Ok(match header.typeflag {
        // Before POSIX, a directory was a file with a slash at its end.
        0 if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' => Kind::File { size, sparse: None },
        b'1' => Kind::HardLink { target },
        b'2' => Kind::Symlink { target },
        b'3' => device().map(|(major, minor)| Kind::CharDevice { major, minor })?,
        b'4' => device().map(|(major, minor)| Kind::BlockDevice { major, minor })?,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            let what = format!("a member of type {:?}", char::from(other));
            return Err(ArchiveError::Unsupported { at, what });
        }
    })
}

/// GNU tar writes `=` as %3D and `%` as %25, and nothing else so.
fn xattr_name(key: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(key.len());
    let mut rest = key;
    while let [first, tail @ ..] = rest {
        (rest, _) = match rest {
            [b'%', b'3', b'D', tail @ ..] => (tail, name.push(b'=')),
            [b'%', b'2', b'5', tail @ ..] => (tail, name.push(b'%')),
            _ => (tail, name.push(*first)),
        };
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_attribute_names_are_gnu_tars() {
        assert_eq!(xattr_name(b"user.a%3Db%25c%3dd%"), b"user.a=b%c%3dd%");
    }

    #[test]
    fn later_records_win() {
        let mut extended = Extended::default();
        extended
            .take(b"10 path=a\n10 path=b\n9 size=4\n9 size=5\n", 0)
            .unwrap();
        let raw = extended.member(&Header::new(b'0', b"x"), 0).unwrap();
        assert_eq!((raw.member.path, raw.size), (b"b".to_vec(), 5));
    }
}
