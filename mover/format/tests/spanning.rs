//! Archives that are cut: over several volumes they are the same archive, to
//! the parser and to GNU tar.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::members::plain;
use common::{Sample, head, lay_out, read, stream};
use longhaul_format::archive::{
    Cut, Event, LayoutError, Parser, Part, Placement, SetHead, continuation,
};
use longhaul_format::member::{Kind, Member, Segment};
use proptest::prelude::*;

/// A place where an archive may be cut.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    at: u64,
    cut: Cut<'a>,
}

/// Every record boundary that may be cut, from the second record on.
fn places<'a>(record_bytes: u64, samples: &'a [Sample], laid: &[Placement]) -> Vec<Place<'a>> {
    let end = laid.last().unwrap().end;
    let boundaries = (1..end / record_bytes).map(|record| record * record_bytes);
    let place = |at: u64| {
        let (index, placement) = laid.iter().enumerate().find(|(_, p)| at <= p.end)?;
        if at == placement.end || at <= placement.start {
            // What comes behind the archive's end begins no volume.
            return (index + 1 < laid.len()).then_some(Place {
                at,
                cut: Cut::Between,
            });
        }
        let member = &samples.get(index - 1)?.member;
        let Kind::File { size, .. } = &member.kind else {
            return None;
        };
        if at < placement.data {
            return None;
        }
        let stored = placement.parts.iter().map(|part| match part {
            Part::File { len, .. } => *len,
            _ => 0,
        });
        let stored: u64 = stored.sum();
        // GNU tar loses count where not one byte of a sparse file's data is there.
        if at == placement.data && stored != *size {
            return None;
        }
        let left = stored - (at - placement.data);
        let path = &member.path;
        Some(Place {
            at,
            cut: Cut::Inside {
                path,
                size: *size,
                left,
            },
        })
    };
    boundaries.filter_map(place).collect()
}

fn continued(part: u32, offset: u64) -> SetHead {
    SetHead {
        part,
        offset,
        sequence: 1,
        ..head()
    }
}

/// The volumes of an archive that is cut at these places.
fn volumes(record_bytes: u64, whole: &[u8], cuts: &[Place<'_>]) -> Vec<Vec<u8>> {
    let mut ends: Vec<u64> = cuts.iter().map(|place| place.at).collect();
    ends.push(whole.len() as u64);
    let mut volumes = Vec::new();
    let mut begin = 0;
    for (number, end) in ends.into_iter().enumerate() {
        let mut volume = Vec::new();
        if number > 0 {
            let head = continued(number as u32 + 1, begin);
            let record = continuation(&head, record_bytes, cuts[number - 1].cut).unwrap();
            assert_eq!(record.len() as u64, record_bytes);
            volume.extend(record);
        }
        volume.extend(&whole[begin as usize..end as usize]);
        volumes.push(volume);
        begin = end;
    }
    volumes
}

fn file(path: &[u8], len: usize) -> Sample {
    let content = (0..len).map(|at| (at / 7) as u8 ^ path[0]).collect();
    Sample {
        member: plain(path, len as u64),
        content,
    }
}

fn special(path: &[u8], kind: Kind) -> Sample {
    Sample {
        member: Member {
            kind,
            ..plain(path, 0)
        },
        content: Vec::new(),
    }
}

fn sparse(path: &[u8]) -> Sample {
    let segments = vec![
        Segment {
            offset: 4096,
            len: 8192,
        },
        Segment {
            offset: 40_960,
            len: 4096,
        },
        Segment {
            offset: 65_536,
            len: 1000,
        },
    ];
    let mut content = vec![0; 70_000];
    for Segment { offset, len } in &segments {
        content[*offset as usize..(offset + len) as usize].fill(0xA5);
    }
    let kind = Kind::File {
        size: 70_000,
        sparse: Some(segments),
    };
    Sample {
        member: Member {
            kind,
            ..plain(path, 0)
        },
        content,
    }
}

fn tree() -> Vec<Sample> {
    let long = [&b"t/"[..], &b"long/".repeat(40), b"name"].concat();
    vec![
        special(b"t/", Kind::Directory),
        file(b"t/large", 20_000),
        special(
            b"t/link",
            Kind::HardLink {
                target: b"t/large".to_vec(),
            },
        ),
        file(b"t/empty", 0),
        file(b"t/caf\xe9", 9000),
        file(&long, 6000),
        file(&[&b"t/raw"[..], &[0xE9; 200]].concat(), 5000),
        sparse(b"t/sparse"),
        sparse(&[&b"t/"[..], &[0xE9; 150]].concat()),
        special(
            b"t/soft",
            Kind::Symlink {
                target: b"no/where".repeat(30),
            },
        ),
        file(b"t/small", 100),
        file(b"t/zz", 4096),
    ]
}

fn sh(folder: &Path, command: &str) -> String {
    let run = Command::new("sh")
        .args(["-ec", command])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(run.status.success(), "{command}: {said}");
    said
}

/// Whether GNU tar is there; without it there is nothing to try.
fn has_tar() -> bool {
    let there = Command::new("tar").arg("--version").output();
    let there = there.is_ok_and(|run| String::from_utf8_lossy(&run.stdout).contains("GNU tar"));
    if !there {
        eprintln!("skipped: there is no GNU tar");
    }
    there
}

#[test]
fn gnu_tar_restores_a_set_wherever_it_was_cut() {
    if !has_tar() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let samples = tree();
    let members: Vec<_> = samples.iter().map(|sample| &sample.member).collect();
    let python = Command::new("python3").arg("--version").output().is_ok();
    let mut tried = 0;
    for record_bytes in [2048, 4096, 10_240] {
        let whole = stream(record_bytes, &samples);
        let laid = lay_out(record_bytes, &members);
        fs::write(folder.join("whole"), &whole).unwrap();
        let blocks = record_bytes / 512;
        sh(
            folder,
            &format!("rm -rf out; mkdir out; tar -C out -b {blocks} -xpf whole"),
        );
        let places = places(record_bytes, &samples, &laid);
        for (index, &place) in places.iter().enumerate() {
            // Volumes may be short, down to one record.
            let also = places[index..].get(1 + index % 3);
            let cuts: Vec<_> = [Some(place), also.copied()].into_iter().flatten().collect();
            let last = cuts.len();
            let mut files = String::new();
            for (number, volume) in volumes(record_bytes, &whole, &cuts).iter().enumerate() {
                fs::write(folder.join(format!("v{number}")), volume).unwrap();
                files.push_str(&format!(" -f ../v{number}"));
            }
            let said = sh(
                folder,
                &format!(
                    "rm -rf cut; mkdir cut; cd cut; LC_ALL=C tar -M -b {blocks} --warning=no-unknown-keyword -xp {files} </dev/null
                     LC_ALL=C tar -M -b {blocks} --warning=no-unknown-keyword -d {files} </dev/null
                     rm -r .longhaul 2>/dev/null || :
                     diff -r --no-dereference ../out .
                     LC_ALL=C tar -b {blocks} --warning=no-unknown-keyword -tf ../v{last} >/dev/null"
                ),
            );
            assert_eq!(said, "", "cut at {place:?}");
            if python && index % 8 == 0 {
                sh(folder, &format!("python3 -m tarfile -l v{last} >/dev/null"));
            }
            tried += 1;
        }
    }
    assert!(tried >= 60, "{tried} cuts");
}

#[test]
fn what_does_not_fit_in_a_record_is_said() {
    let path = vec![b'x'; 3000];
    let cut = Cut::Inside {
        path: &path,
        size: 9,
        left: 9,
    };
    let refused = continuation(&continued(2, 4096), 4096, cut);
    assert!(matches!(refused, Err(LayoutError::Continuation { .. })));
    assert!(continuation(&continued(2, 4096), 4608, cut).is_ok());
    assert!(continuation(&continued(2, 1024), 1024, Cut::Between).is_err());
    assert!(continuation(&continued(2, 2048), 2048, Cut::Between).is_ok());
}

/// The parser over all volumes, without the inserted records.
fn events(volumes: &[Vec<u8>], record_bytes: usize) -> Vec<String> {
    let mut parser = Parser::new();
    let mut said: Vec<String> = Vec::new();
    for (number, volume) in volumes.iter().enumerate() {
        let stream = &volume[if number > 0 { record_bytes } else { 0 }..];
        for record in stream.chunks(record_bytes) {
            let mut feed = parser.feed(record);
            while let Some(event) = feed.next().unwrap() {
                said.push(format!("{event:?}"));
            }
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_stream_is_the_same_whatever_volumes_it_lies_on(
        samples in proptest::collection::vec(common::members::samples(), 1..6),
        blocks in 4u64..40,
        choice in any::<prop::sample::Index>(),
    ) {
        let record_bytes = blocks * 512;
        let whole = stream(record_bytes, &samples);
        let members: Vec<_> = samples.iter().map(|sample| &sample.member).collect();
        let places = places(record_bytes, &samples, &lay_out(record_bytes, &members));
        prop_assume!(!places.is_empty());
        let place = places[choice.index(places.len())];
        prop_assume!(continuation(&continued(2, place.at), record_bytes, place.cut).is_ok());
        let cut = volumes(record_bytes, &whole, &[place]);
        let size = record_bytes as usize;
        prop_assert_eq!(events(&cut, size), events(&[whole], size));
        // The second volume says what it is, and is an archive of its own.
        let alone = read(&cut[1], size);
        prop_assert_eq!(alone.error, None);
        prop_assert_eq!(&alone.heads, &[continued(2, place.at)]);
        let mut parser = Parser::new();
        let mut feed = parser.feed(&cut[1]);
        let first = feed.next().unwrap();
        prop_assert_eq!(first, Some(Event::Set(continued(2, place.at))));
        let inside = matches!(feed.next().unwrap(), Some(Event::Continued(_)));
        prop_assert_eq!(inside, place.cut != Cut::Between);
    }
}
