//! Files are whole or not there; names and sizes have no limits of ours.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use super::*;

#[test]
fn a_file_is_not_there_before_its_end() {
    let mut room = Room::new(Overwrite::Never);
    let Begun::Content(mut new) = room.target.begin(&file("dir/a", 8)).expect("begun") else {
        panic!("a file wants content")
    };
    // In pieces, in any order.
    new.data(4, b"5678").expect("written");
    assert!(!room.dir.join("dir/a").exists());
    new.data(0, b"1234").expect("written");
    assert!(!room.dir.join("dir/a").exists());
    room.target.end(new).expect("restored");
    assert_eq!(
        std::fs::read(room.dir.join("dir/a")).expect("the file"),
        b"12345678"
    );
}

#[test]
fn a_file_whose_data_ends_early_leaves_nothing() {
    let mut room = Room::new(Overwrite::Never);
    let error = room.put(&file("a", 8), b"1234").expect_err("short");
    assert!(
        matches!(
            error,
            Error::Short {
                expected: 8,
                got: 4,
                ..
            }
        ),
        "{error:?}"
    );
    let Begun::Content(new) = room.target.begin(&file("b", 8)).expect("begun") else {
        panic!("a file wants content")
    };
    room.target.abandon(new);
    assert!(entries(&room.dir).is_empty());
    assert_eq!(room.target.counts(), Counts::default());
}

#[test]
fn data_past_the_declared_size_is_refused() {
    let mut room = Room::new(Overwrite::Never);
    for (offset, data) in [(0, &b"12345"[..]), (1, b"1234"), (u64::MAX, b"1")] {
        let Begun::Content(mut new) = room.target.begin(&file("a", 4)).expect("begun") else {
            panic!("a file wants content")
        };
        let error = new.data(offset, data).expect_err("refused");
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
    assert!(entries(&room.dir).is_empty());
}

#[test]
fn holes_stay_holes() {
    const MIB: u64 = 1 << 20;
    let segments = vec![
        Segment {
            offset: MIB,
            len: 4096,
        },
        Segment {
            offset: 64 * MIB,
            len: 4096,
        },
    ];
    let size = 100 * MIB + 1;
    let mut room = Room::new(Overwrite::Never);
    let sparse = member(
        "a",
        Kind::File {
            size,
            sparse: Some(segments.clone()),
        },
    );
    let Begun::Content(mut new) = room.target.begin(&sparse).expect("begun") else {
        panic!("a file wants content")
    };
    for segment in &segments {
        new.data(segment.offset, &[7; 4096]).expect("written");
    }
    room.target.end(new).expect("restored");
    let hole = member(
        "hole",
        Kind::File {
            size: 1 << 40,
            sparse: Some(Vec::new()),
        },
    );
    room.put_whole(&hole, b"");

    let a = room.dir.join("a");
    assert_eq!(lstat(&a).len(), size);
    assert!(
        lstat(&a).blocks() * 512 <= MIB,
        "{} blocks",
        lstat(&a).blocks()
    );
    let mut piece = [1; 8192];
    let handle = std::fs::File::open(&a).expect("the file");
    handle
        .read_exact_at(&mut piece, 64 * MIB - 4096)
        .expect("bytes");
    assert!(piece[..4096].iter().all(|&byte| byte == 0));
    assert!(piece[4096..].iter().all(|&byte| byte == 7));
    let hole = lstat(&room.dir.join("hole"));
    assert_eq!((hole.len(), hole.blocks()), (1 << 40, 0));
}

#[test]
fn a_map_that_is_out_of_order_is_refused() {
    let mut room = Room::new(Overwrite::Never);
    let segments = vec![
        Segment { offset: 10, len: 5 },
        Segment { offset: 0, len: 5 },
    ];
    let sparse = member(
        "a",
        Kind::File {
            size: 20,
            sparse: Some(segments),
        },
    );
    let error = room.target.begin(&sparse).expect_err("refused");
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    assert!(entries(&room.dir).is_empty());
}

#[test]
fn names_are_bytes() {
    let mut room = Room::new(Overwrite::Never);
    let names: [&[u8]; 4] = [b"not utf-8 \xff\xfe", b"new\nline", b" ", b"-rf \\ \"'*?"];
    for name in names {
        room.put_whole(&file(name, 4), b"data");
        let path = room.dir.join(OsStr::from_bytes(name));
        assert_eq!(std::fs::read(path).expect("the file"), b"data");
    }
    let error = room
        .put(&file([b'a'; 256], 0), b"")
        .expect_err("too long a name");
    assert!(
        error
            .to_string()
            .ends_with("restore to a file system that takes names this long")
    );
}

/// Goes down `path` by descriptors, as no system call takes it whole.
fn read_deep(dir: &Path, path: &[u8]) -> Vec<u8> {
    use rustix::fs::{Mode, OFlags};
    let open = |dir: rustix::fd::BorrowedFd<'_>, name: &[u8]| {
        rustix::fs::openat(dir, name, OFlags::RDONLY, Mode::empty()).expect("opened")
    };
    let start = open(rustix::fs::CWD, dir.as_os_str().as_bytes());
    let found = path
        .split(|&byte| byte == b'/')
        .fold(start, |at, name| open(rustix::fd::AsFd::as_fd(&at), name));
    std::io::read_to_string(std::fs::File::from(found))
        .expect("its content")
        .into_bytes()
}

#[test]
fn paths_longer_than_path_max_are_restored_and_finished() {
    let long: Vec<u8> = [[b'n'; 249].as_slice(); 16].join(&b'/');
    let deep: Vec<u8> = [b"d".as_slice(); 2_500].join(&b'/');
    assert!(long.len() >= 3_999 && deep.len() > 4_096);
    let mut room = Room::new(Overwrite::Never);
    for base in [&long, &deep] {
        let inside = |path: &[u8], name: &[u8]| [path, b"/", name].concat();
        room.put_whole(&file(inside(base, b"x"), 4), b"data");
        // Up from the deepest, far beyond what is held open, and down again.
        let half = inside(&base[..base.len() / 2], b"");
        let half = half
            .strip_suffix(b"//")
            .or(half.strip_suffix(b"/"))
            .expect("a slash");
        room.put_whole(&directory(half), b"");
        room.put_whole(&file(inside(half, b"y"), 4), b"half");
        room.put_whole(&file(inside(base, b"z"), 4), b"last");
        assert_eq!(read_deep(&room.dir, &inside(base, b"x")), b"data");
        assert_eq!(read_deep(&room.dir, &inside(half, b"y")), b"half");
        assert_eq!(read_deep(&room.dir, &inside(base, b"z")), b"last");
    }
    let (room, _) = room.finish();
    // `std` cannot remove paths as deep as these either.
    let removed = std::process::Command::new("rm")
        .arg("-rf")
        .arg(&room.dir)
        .status();
    assert!(removed.expect("rm").success());
}

#[test]
fn many_levels_hold_few_descriptors() {
    let deep: Vec<u8> = [b"d".as_slice(); 300].join(&b'/');
    let mut room = Room::new(Overwrite::Never);
    room.put_whole(&file(&deep, 4), b"data");
    let ours = std::fs::read_dir("/proc/self/fd")
        .expect("descriptors")
        .filter(|entry| {
            let link = std::fs::read_link(entry.as_ref().expect("an entry").path());
            link.is_ok_and(|link| link.starts_with(&room.dir))
        });
    assert!(ours.count() <= 70);
}
