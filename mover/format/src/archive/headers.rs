//! A member's own headers: the `x` header with its records, the ustar header,
//! and the map of a sparse file.

use std::borrow::Cow;

use super::{
    ACL_ACCESS_KEY, ACL_DEFAULT_KEY, BLOCK_BYTES, STREAM_MAX, XATTR_KEY, XATTRS_MAX, padded, sparse,
};
use crate::acl::Acl;
use crate::member::{Kind, Member, Segment};
use crate::pax::{push_decimal, push_filler, push_record, push_time};
use crate::ustar::{self, BLOCK, Header, NAME_MAX, OCTAL_7_MAX, OCTAL_11_MAX};

/// The name in the ustar part of `x` and `g` headers; readers that know pax do
/// not look at it, and those that do not find no path that exists.
const EXTENDED_NAME: &[u8] = b"././@PaxHeader";
/// The folder that GNU tar puts into the name of a sparse member (with its own
/// process id in place of the 0), for readers that know no sparse files.
const SPARSE_FOLDER: &[u8] = b"GNUSparseFile.0/";

/// Buffers that are used again for every member.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Records of the `x` header.
    body: Vec<u8>,
    /// The sparse map.
    map: Vec<u8>,
    value: Vec<u8>,
}

/// What a member's headers say, before their length is settled.
pub(super) struct Plan<'m> {
    header: Header<'m>,
    /// In place of `header.name` where that is made up.
    name: Option<Vec<u8>>,
    /// Data segments, where the member is sparse.
    pub segments: Option<Cow<'m, [Segment]>>,
    /// Bytes of file data in the archive, without padding and map.
    pub stored: u64,
    /// Whether there is an `x` header even without a filler.
    pub extended: bool,
    /// Bytes of all headers and the map, without a filler.
    pub bytes: u64,
}

/// Plans the headers of a member; the error says what can't be stored.
pub(super) fn plan<'m>(
    member: &'m Member,
    scratch: &mut Scratch,
) -> Result<Plan<'m>, &'static str> {
    check(member)?;
    scratch.body.clear();
    scratch.map.clear();
    let mut plan = base(member)?;
    if let (Kind::File { size, .. }, Some(segments)) = (&member.kind, &plan.segments) {
        sparse::push_map(&mut scratch.map, *size, segments);
    }
    names(member, &mut plan, &mut scratch.body);
    numbers(member, &mut plan, scratch);
    acls(member, &mut plan, &mut scratch.body)?;
    for (name, value) in &member.xattrs {
        xattr_key(name, &mut scratch.value);
        push_record(&mut scratch.body, &scratch.value, value);
    }
    if let Some(comment) = &member.comment {
        push_record(&mut scratch.body, b"comment", comment.as_bytes());
    }
    let body = scratch.body.len() as u64;
    plan.extended = body > 0;
    plan.bytes = BLOCK_BYTES + padded(scratch.map.len() as u64);
    if plan.extended {
        plan.bytes += BLOCK_BYTES + padded(body);
    }
    Ok(plan)
}

impl Plan<'_> {
    /// The headers and the map, stretched to `total` bytes.
    pub(super) fn write(&self, total: u64, scratch: &mut Scratch) -> Vec<u8> {
        let total = total as usize;
        let mut out = Vec::with_capacity(total);
        let map = padded(scratch.map.len() as u64) as usize;
        let extended = total - BLOCK - map;
        if extended > 0 {
            if total as u64 > self.bytes {
                let filler = extended - BLOCK - scratch.body.len();
                push_filler(&mut scratch.body, filler);
            }
            push_header(&mut out, &extended_header(b'x', scratch.body.len()));
            out.extend_from_slice(&scratch.body);
            out.resize(extended, 0);
        }
        let name = self.name.as_deref().unwrap_or(self.header.name);
        push_header(
            &mut out,
            &Header {
                name,
                ..self.header
            },
        );
        out.extend_from_slice(&scratch.map);
        out.resize(total, 0);
        out
    }
}

/// A `g` header with one `comment`, `total` bytes long: two blocks or more.
pub(super) fn pad(total: u64) -> Vec<u8> {
    let mut body = Vec::new();
    push_filler(&mut body, total as usize - BLOCK);
    global(&body)
}

/// A `g` header with this body, whole blocks.
pub(super) fn global(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK + body.len());
    push_header(&mut out, &extended_header(b'g', body.len()));
    out.extend_from_slice(body);
    out
}

pub(super) fn extended_header(typeflag: u8, body: usize) -> Header<'static> {
    Header {
        mode: 0o644,
        size: body as u64,
        ..Header::new(typeflag, EXTENDED_NAME)
    }
}

pub(super) fn push_header(out: &mut Vec<u8>, header: &Header<'_>) {
    let at = out.len();
    out.resize(at + BLOCK, 0);
    if let Some(block) = out[at..].first_chunk_mut() {
        header.write(block);
    }
}

fn check(member: &Member) -> Result<(), &'static str> {
    let path = &member.path;
    if path.is_empty() || path.contains(&0) {
        return Err("its path is empty or has a NUL in it");
    }
    if path.ends_with(b"/") != (member.kind == Kind::Directory) {
        return Err("a directory's path must end in /, and no other may");
    }
    if let Kind::HardLink { target } | Kind::Symlink { target } = &member.kind
        && (target.is_empty() || target.contains(&0))
    {
        return Err("its link target is empty or has a NUL in it");
    }
    if member.xattrs.len() > XATTRS_MAX {
        return Err("it has too many extended attributes");
    }
    if member
        .xattrs
        .iter()
        .any(|(name, _)| name.is_empty() || name.contains(&0))
    {
        return Err("the name of an extended attribute is empty or has a NUL in it");
    }
    if matches!(member.kind, Kind::File { size, .. } if size > STREAM_MAX) {
        return Err("it is longer than 2^62 bytes");
    }
    if member.mtime.nanoseconds > 999_999_999 {
        return Err("its modification time has more than a second of nanoseconds");
    }
    Ok(())
}

/// The plan with what the kind decides.
fn base(member: &Member) -> Result<Plan<'_>, &'static str> {
    let mut header = Header::new(b'0', &member.path);
    let mut segments = None;
    let mut stored = 0;
    match &member.kind {
        Kind::File { size, sparse: None } => stored = *size,
        Kind::File {
            size,
            sparse: Some(given),
        } => {
            let whole = sparse::normalise(*size, given)
                .ok_or("its data segments are out of order or reach beyond its end")?;
            stored = whole.iter().map(|segment| segment.len).sum();
            segments = Some(whole);
        }
        Kind::HardLink { target } => (header.typeflag, header.linkname) = (b'1', target),
        Kind::Symlink { target } => (header.typeflag, header.linkname) = (b'2', target),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            let char = matches!(member.kind, Kind::CharDevice { .. });
            header.typeflag = if char { b'3' } else { b'4' };
            (header.devmajor, header.devminor) = ((*major).into(), (*minor).into());
        }
        Kind::Directory => header.typeflag = b'5',
        Kind::Fifo => header.typeflag = b'6',
    }
    Ok(Plan {
        header,
        name: None,
        segments,
        stored,
        extended: false,
        bytes: 0,
    })
}

/// Path and link target: raw in the ustar header where they fit.
fn names<'m>(member: &'m Member, plan: &mut Plan<'m>, body: &mut Vec<u8>) {
    let path = &member.path[..];
    let key: Option<&[u8]> = if plan.segments.is_some() {
        plan.name = Some(sparse_name(path));
        Some(b"GNU.sparse.name")
    } else if let Some((prefix, name)) = ustar::split(path) {
        (plan.header.prefix, plan.header.name) = (prefix, name);
        None
    } else {
        plan.header.name = cut(path, plan.header.typeflag);
        Some(b"path")
    };
    let link = plan.header.linkname;
    let long_link = link.len() > NAME_MAX;
    let not_utf8 = |name| std::str::from_utf8(name).is_err();
    if (key.is_some() && not_utf8(path)) || (long_link && not_utf8(link)) {
        push_record(body, b"hdrcharset", b"BINARY");
    }
    if plan.segments.is_some() {
        push_record(body, b"GNU.sparse.major", b"1");
        push_record(body, b"GNU.sparse.minor", b"0");
    }
    if let Some(key) = key {
        push_record(body, key, path);
    }
    if long_link {
        push_record(body, b"linkpath", link);
    }
}

/// Numbers: in ustar as they are (base-256 where octal is too narrow), and in a
/// record where octal can't hold them. A sparse member's `size` is never in a
/// record: tarfile would take it for the file's own.
fn numbers(member: &Member, plan: &mut Plan<'_>, scratch: &mut Scratch) {
    let body = &mut scratch.body;
    let mut record = |key: &[u8], number: u64| {
        scratch.value.clear();
        push_decimal(&mut scratch.value, number);
        push_record(body, key, &scratch.value);
    };
    let (uid, gid) = (u64::from(member.uid), u64::from(member.gid));
    let size = plan.stored + padded(scratch.map.len() as u64);
    if let (Kind::File { size, .. }, Some(_)) = (&member.kind, &plan.segments) {
        record(b"GNU.sparse.realsize", *size);
    }
    if uid > OCTAL_7_MAX {
        record(b"uid", uid);
    }
    if gid > OCTAL_7_MAX {
        record(b"gid", gid);
    }
    if size > OCTAL_11_MAX && plan.segments.is_none() {
        record(b"size", size);
    }
    let seconds = member.mtime.seconds;
    if member.mtime.nanoseconds != 0 || !(0..=OCTAL_11_MAX as i64).contains(&seconds) {
        scratch.value.clear();
        push_time(&mut scratch.value, member.mtime);
        push_record(body, b"mtime", &scratch.value);
    }
    plan.header.mode = u64::from(member.mode & 0o7777);
    (plan.header.uid, plan.header.gid) = (uid, gid);
    plan.header.size = size;
    plan.header.mtime = seconds;
}

/// ACLs as text, and the true group bits in the mode.
fn acls(member: &Member, plan: &mut Plan<'_>, body: &mut Vec<u8>) -> Result<(), &'static str> {
    if let Some(text) = &member.acl_access {
        let acl: Acl = text
            .parse()
            .map_err(|_| "its access ACL is not one with numeric ids")?;
        plan.header.mode = u64::from(acl.true_mode(member.mode & 0o7777));
        push_record(body, ACL_ACCESS_KEY, text.as_bytes());
    }
    if let Some(text) = &member.acl_default {
        text.parse::<Acl>()
            .map_err(|_| "its default ACL is not one with numeric ids")?;
        push_record(body, ACL_DEFAULT_KEY, text.as_bytes());
    }
    Ok(())
}

/// The record's key for an attribute: GNU tar writes `=` as %3D and `%` as %25.
fn xattr_key(name: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(XATTR_KEY);
    for &byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            _ => key.push(byte),
        }
    }
}

/// What stands in the ustar name where the path is too long for it. Some
/// readers take a file whose name ends in a slash for a directory.
fn cut(path: &[u8], typeflag: u8) -> &[u8] {
    let mut name = &path[..path.len().min(NAME_MAX)];
    while typeflag != b'5' && name.ends_with(b"/") {
        name = &name[..name.len() - 1];
    }
    name
}

/// `dir/base` as `dir/GNUSparseFile.0/base`, or as much of the base as fits.
fn sparse_name(path: &[u8]) -> Vec<u8> {
    let base = path
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    let (folder, base) = path.split_at(base);
    let whole = [folder, SPARSE_FOLDER, base].concat();
    if whole.len() <= NAME_MAX {
        return whole;
    }
    [
        SPARSE_FOLDER,
        &base[..base.len().min(NAME_MAX - SPARSE_FOLDER.len())],
    ]
    .concat()
}
