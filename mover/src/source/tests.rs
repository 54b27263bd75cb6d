use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use longhaul_format::member::{Kind, Segment};
use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Cursor, Place};

struct Walked {
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

fn walk(paths: &[&Path], options: &Options) -> Walked {
    let roots = Roots::find(paths).expect("found");
    let mut walked = Walked {
        entries: Vec::new(),
        problems: Vec::new(),
    };
    for found in Source::start(&roots, options, &Cursor::beginning().place).expect("started") {
        match found {
            Found::Entry(entry) => walked.entries.push(*entry),
            Found::Problem(problem) => walked.problems.push(problem),
        }
    }
    walked
}

/// The members' paths below `base`, as text.
fn names(walked: &Walked, base: &Path) -> Vec<String> {
    let prefix = format!("{}/", &base.to_str().expect("text")[1..]);
    let strip = |entry: &Entry| {
        let path = String::from_utf8_lossy(&entry.member.path).into_owned();
        path.strip_prefix(&prefix)
            .expect("below the base")
            .to_owned()
    };
    walked.entries.iter().map(strip).collect()
}

fn scratch() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("scratch");
    let base = dir.path().canonicalize().expect("resolved");
    (dir, base)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_directory_sorts_as_if_its_name_ended_in_a_slash() {
    let (_dir, base) = scratch();
    for name in ["a/x", "a-b", "a.txt", "a0", "b/c/d"] {
        fs::create_dir_all(base.join(name).parent().expect("has one")).expect("made");
        fs::write(base.join(name), name).expect("written");
    }
    let walked = walk(&[&base], &Options::default());
    assert_eq!(
        names(&walked, &base),
        ["", "a-b", "a.txt", "a/", "a/x", "a0", "b/", "b/c/", "b/c/d"]
    );
    assert!(walked.problems.is_empty());
}

#[test]
fn a_walk_from_any_place_is_the_rest_of_the_whole_walk() {
    let (_dir, base) = scratch();
    for name in ["a/x", "a-b", "a.txt", "a0", "b/c/d", "b/c/e/f", "b.c", "c"] {
        fs::create_dir_all(base.join(name).parent().expect("has one")).expect("made");
        fs::write(base.join(name), name).expect("written");
    }
    let paths = |place: &Place| -> Vec<Vec<u8>> {
        let roots = Roots::find(&[base.join("a"), base.join("b"), base.clone()]).expect("found");
        let source = Source::start(&roots, &Options::default(), place).expect("started");
        let path = |found| match found {
            Found::Entry(entry) => Some(entry.member.path),
            Found::Problem(problem) => panic!("{problem}"),
        };
        source.filter_map(path).collect()
    };
    let whole = paths(&Cursor::beginning().place);
    assert_eq!(whole.len(), 13);
    for (at, path) in whole.iter().enumerate() {
        assert_eq!(paths(&Place::At(path.clone())), whole[at..], "{at}");
        assert_eq!(paths(&Place::Behind(path.clone())), whole[at + 1..], "{at}");
        // Paths that are gone, or were never there.
        let between = [path.as_slice(), b"\x01"].concat();
        assert_eq!(paths(&Place::At(between.clone())), whole[at + 1..], "{at}");
        assert_eq!(paths(&Place::Behind(between)), whole[at + 1..], "{at}");
    }
}

#[test]
fn kinds_come_with_what_belongs_to_them() {
    let (_dir, base) = scratch();
    fs::write(base.join("empty"), "").expect("written");
    fs::write(base.join("file"), "content").expect("written");
    fs::set_permissions(base.join("file"), fs::Permissions::from_mode(0o4711)).expect("set");
    symlink("nowhere", base.join("link")).expect("made");
    nix::unistd::mkfifo(&base.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    let sparse = fs::File::create(base.join("sparse")).expect("made");
    sparse.set_len(1 << 20).expect("grown");
    std::os::unix::fs::FileExt::write_all_at(&sparse, &[7; 100], 512 << 10).expect("written");
    let _socket = std::os::unix::net::UnixListener::bind(base.join("socket")).expect("bound");
    let walked = walk(&[&base], &Options::default());
    let entry = |name: &str| {
        let at = names(&walked, &base)
            .iter()
            .position(|have| have == name)
            .expect("is there");
        &walked.entries[at]
    };
    assert_eq!(
        entry("empty").member.kind,
        Kind::File {
            size: 0,
            sparse: None
        }
    );
    assert!(entry("empty").file.is_none());
    assert_eq!(
        entry("file").member.kind,
        Kind::File {
            size: 7,
            sparse: None
        }
    );
    assert_eq!(entry("file").member.mode, 0o4711);
    assert!(entry("file").file.is_some());
    assert_eq!(
        entry("link").member.kind,
        Kind::Symlink {
            target: b"nowhere".to_vec()
        }
    );
    assert_eq!(entry("pipe").member.kind, Kind::Fifo);
    let Kind::File {
        size,
        sparse: Some(segments),
    } = &entry("sparse").member.kind
    else {
        panic!("no holes found");
    };
    assert_eq!(*size, 1 << 20);
    assert!(
        segments
            .iter()
            .all(|s| s.offset % 512 == 0 && s.len % 512 == 0),
        "{segments:?}"
    );
    assert!(
        segments
            .iter()
            .any(|s| s.offset <= 512 << 10 && s.offset + s.len > 512 << 10)
    );
    assert!(!names(&walked, &base).contains(&"socket".to_owned()));
    assert_eq!(walked.problems, [], "a socket is no error");
}

#[test]
fn a_file_that_is_all_hole_has_no_segments() {
    let (_dir, base) = scratch();
    fs::File::create(base.join("hole"))
        .expect("made")
        .set_len(1 << 20)
        .expect("grown");
    let walked = walk(&[&base.join("hole")], &Options::default());
    let none: Vec<Segment> = Vec::new();
    assert_eq!(
        walked.entries[0].member.kind,
        Kind::File {
            size: 1 << 20,
            sparse: Some(none)
        }
    );
}

#[test]
fn what_is_excluded_is_left_out_with_all_below() {
    let (_dir, base) = scratch();
    for name in ["keep/a.c", "keep/a.o", "cache/x/y", "deep/cache/z", "top.o"] {
        fs::create_dir_all(base.join(name).parent().expect("has one")).expect("made");
        fs::write(base.join(name), name).expect("written");
    }
    let by_name = Options::new(&["*.o".into(), "cache".into()], false).expect("understood");
    assert_eq!(
        names(&walk(&[&base], &by_name), &base),
        ["", "deep/", "keep/", "keep/a.c"]
    );
    let path = format!("{}/deep", base.display());
    let by_path = Options::new(&[path, "keep".into()], false).expect("understood");
    let left = names(&walk(&[&base], &by_path), &base);
    assert_eq!(left, ["", "cache/", "cache/x/", "cache/x/y", "top.o"]);
    assert!(Options::new(&["[".into()], false).is_err());
}

#[test]
fn an_unreadable_directory_is_kept_and_named() {
    if is_root() {
        eprintln!("skipped: root can read everything");
        return;
    }
    let (_dir, base) = scratch();
    fs::create_dir(base.join("closed")).expect("made");
    fs::set_permissions(base.join("closed"), fs::Permissions::from_mode(0o0)).expect("set");
    let walked = walk(&[&base], &Options::default());
    fs::set_permissions(base.join("closed"), fs::Permissions::from_mode(0o700)).expect("set");
    assert_eq!(names(&walked, &base), ["", "closed/"]);
    assert_eq!(walked.problems.len(), 1);
}

/// A mount that goes when it is dropped, whatever becomes of the test.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(args: &[&str], at: &Path) -> Option<Mounted> {
        let done = Command::new("mount").args(args).arg(at).status();
        done.is_ok_and(|status| status.success())
            .then(|| Mounted(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "{:?} stays mounted",
            self.0
        );
    }
}

#[test]
fn a_mount_point_is_crossed_unless_told_otherwise_and_a_loop_is_not_followed() {
    let (_dir, base) = scratch();
    let (mnt, d) = (base.join("mnt"), base.join("d"));
    fs::create_dir_all(&mnt).expect("made");
    fs::create_dir_all(d.join("loop")).expect("made");
    let Some(_tmpfs) = Mounted::new(&["-t", "tmpfs", "none"], &mnt) else {
        assert!(!is_root(), "root can mount");
        eprintln!("skipped: mounting needs root");
        return;
    };
    let from = d.to_str().expect("text");
    let _bound = Mounted::new(&["--bind", from], &d.join("loop")).expect("bound");
    fs::write(mnt.join("file"), "x").expect("written");
    let one = Options::new(&[], true).expect("understood");

    let crossed = walk(&[&base], &Options::default());
    assert_eq!(
        names(&crossed, &base),
        ["", "d/", "d/loop/", "mnt/", "mnt/file"]
    );
    let what = &crossed.problems[0].what;
    assert!(what.contains("contains itself"), "{what}");
    let stayed = walk(&[&base], &one);
    assert_eq!(names(&stayed, &base), ["", "d/", "d/loop/", "mnt/"]);
    let asked = walk(&[&base, &mnt], &one);
    assert_eq!(
        names(&asked, &base),
        ["", "d/", "d/loop/", "mnt/", "mnt/file"]
    );
}

#[test]
fn giving_a_walk_up_ends_its_threads() {
    let (_dir, base) = scratch();
    for n in 0..500 {
        fs::create_dir(base.join(format!("d{n}"))).expect("made");
        fs::write(base.join(format!("d{n}/f")), "x").expect("written");
    }
    let roots = Roots::find(&[&base]).expect("found");
    let mut source =
        Source::start(&roots, &Options::default(), &Cursor::beginning().place).expect("started");
    assert!(source.next().is_some());
    drop(source);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_file_comes_once_in_the_order_of_paths(
        paths in proptest::collection::btree_set("[a-c.-]{1,3}(/[a-c.-]{1,3}){0,3}", 1..40),
    ) {
        let (_dir, base) = scratch();
        let mut expected = std::collections::BTreeSet::new();
        for path in &paths {
            let full = base.join(path);
            let odd = path.split('/').any(|part| matches!(part, "." | ".."));
            if odd || fs::create_dir_all(full.parent().expect("has one")).is_err() {
                continue;
            }
            let _ = fs::write(&full, path);
        }
        let mut pending = vec![base.clone()];
        while let Some(dir) = pending.pop() {
            let relative = dir.strip_prefix(&base).expect("below").to_str().expect("text");
            expected.insert(if relative.is_empty() { String::new() } else { format!("{relative}/") });
            for entry in fs::read_dir(&dir).expect("listed").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    let relative = path.strip_prefix(&base).expect("below");
                    expected.insert(relative.to_str().expect("text").to_owned());
                }
            }
        }
        let walked = walk(&[&base], &Options::default());
        // A BTreeSet of strings is in byte order: the very order that is due.
        prop_assert_eq!(names(&walked, &base), expected.into_iter().collect::<Vec<_>>());
        prop_assert!(walked.problems.is_empty());
    }
}
