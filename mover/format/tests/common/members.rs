//! Arbitrary members.

use longhaul_format::acl::{Acl, Entry, Tag};
use longhaul_format::member::{Kind, Member, Segment, Time};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Sample;

pub fn plain(path: &[u8], size: u64) -> Member {
    Member {
        path: path.to_vec(),
        kind: Kind::File { size, sparse: None },
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        mtime: Time {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
        comment: None,
    }
}

/// Names of every sort: short, long, not UTF-8, with newlines.
pub fn names() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z]{1,12}".prop_map(String::into_bytes),
        1 => "\\PC{1,30}".prop_map(|text| text.replace('/', "_").into_bytes()),
        1 => vec(1u8.., 1..60).prop_map(|mut name| {
            name.iter_mut().filter(|byte| **byte == b'/').for_each(|byte| *byte = b'\n');
            name
        }),
        1 => (90usize..255).prop_map(|len| vec![b'n'; len]),
    ];
    vec(piece, 1..17).prop_map(|pieces| pieces.join(&b"/"[..]))
}

fn times() -> impl Strategy<Value = Time> {
    let seconds = prop_oneof![4 => 0i64..2_000_000_000, 1 => any::<i64>(), 1 => -10i64..0];
    (seconds, prop_oneof![Just(0), 0u32..1_000_000_000]).prop_map(|(seconds, nanoseconds)| Time {
        seconds,
        nanoseconds,
    })
}

fn ids() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..70_000, 1 => any::<u32>()]
}

pub fn acls() -> impl Strategy<Value = String> {
    (vec((ids(), 0u8..8), 1..4), 0u8..8).prop_map(|(users, group)| {
        let mut entries: Vec<_> = users
            .into_iter()
            .map(|(id, perm)| Entry {
                tag: Tag::User(id),
                perm,
            })
            .collect();
        for (tag, perm) in [
            (Tag::UserObj, 6),
            (Tag::GroupObj, group),
            (Tag::Mask, 7),
            (Tag::Other, 0),
        ] {
            entries.push(Entry { tag, perm });
        }
        Acl::new(entries).unwrap().to_string()
    })
}

fn xattrs() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let name = "user\\.[a-z=%\n]{1,9}(%3D)?".prop_map(String::into_bytes);
    let value = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 0..3000)];
    prop_oneof![3 => Just(Vec::new()), 1 => vec((name, value), 0..4)]
}

/// A file with holes: size and segments (in whatever lengths), and content.
pub fn sparse() -> impl Strategy<Value = (Kind, Vec<u8>)> {
    let runs = vec((0u64..4000, 1u64..3000), 0..30);
    (runs, 0u64..3000, any::<u8>()).prop_map(|(runs, tail, seed)| {
        let mut segments = Vec::new();
        let mut content = Vec::new();
        for (hole, len) in runs {
            content.resize(content.len() + hole as usize, 0);
            segments.push(Segment {
                offset: content.len() as u64,
                len,
            });
            content.extend((0..len).map(|at| (at as u8).wrapping_mul(7) ^ seed));
        }
        content.resize(content.len() + tail as usize, 0);
        (
            Kind::File {
                size: content.len() as u64,
                sparse: Some(segments),
            },
            content,
        )
    })
}

fn kinds() -> impl Strategy<Value = (Kind, Vec<u8>)> {
    let file = prop_oneof![
        vec(any::<u8>(), 0..1600),
        (0usize..9000).prop_map(|n| vec![b'x'; n])
    ];
    let none = |kind| (kind, Vec::new());
    prop_oneof![
        6 => file.prop_map(|content| {
            (Kind::File { size: content.len() as u64, sparse: None }, content)
        }),
        2 => sparse(),
        1 => names().prop_map(move |target| none(Kind::HardLink { target })),
        1 => names().prop_map(move |target| none(Kind::Symlink { target })),
        1 => any::<(u32, u32)>().prop_map(move |(major, minor)| {
            none(Kind::CharDevice { major, minor })
        }),
        1 => any::<(u32, u32)>().prop_map(move |(major, minor)| {
            none(Kind::BlockDevice { major, minor })
        }),
        1 => Just(none(Kind::Directory)),
        1 => Just(none(Kind::Fifo)),
    ]
}

pub fn samples() -> impl Strategy<Value = Sample> {
    (
        (names(), kinds(), 0u32..0o10000, ids(), ids(), times()),
        (
            xattrs(),
            option::weighted(0.1, acls()),
            option::weighted(0.1, acls()),
        ),
        option::weighted(0.1, "[a-z ]{0,200}x"),
    )
        .prop_map(|(base, extended, comment)| {
            let (mut path, (kind, content), mode, uid, gid, mtime) = base;
            let (xattrs, acl_access, acl_default) = extended;
            if kind == Kind::Directory {
                path.push(b'/');
            }
            let member = Member {
                path,
                kind,
                mode,
                uid,
                gid,
                mtime,
                xattrs,
                acl_access,
                acl_default,
                comment,
            };
            Sample { member, content }
        })
}

/// Record sizes: mostly so small that every rule is met often.
pub fn record_sizes() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 2u64..12, 2 => 12u64..200, 1 => 200u64..=2048].prop_map(|n| n * 512)
}

/// What the parser gives back for a member: the true group bits, and data
/// segments that may have grown.
pub fn expected(member: &Member) -> Member {
    let mut member = member.clone();
    if let Some(acl) = &member.acl_access {
        member.mode = acl.parse::<Acl>().unwrap().true_mode(member.mode);
    }
    member
}

pub fn without_segments(mut member: Member) -> Member {
    if let Kind::File {
        sparse: Some(segments),
        ..
    } = &mut member.kind
    {
        segments.clear();
    }
    member
}
