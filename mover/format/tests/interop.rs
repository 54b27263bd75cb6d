//! Real readers: GNU tar and Python's tarfile read what is laid out here, and
//! the parser reads what GNU tar writes. Where a tool is missing, the test says
//! so and passes: `tools/test` installs what it needs.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use common::members::plain;
use common::{Sample, lay_out, read, stream};
use longhaul_format::archive::{Event, LARGE, Layout, Parser, Part};
use longhaul_format::member::{Kind, Member, Segment, Time};
use longhaul_format::recipe::restore_command;
use tempfile::TempDir;

const ACL: &str = "user::rw-,user:1000:rw-,group::r--,group:100:r--,mask::rw-,other::---";

/// Runs a shell command in `folder`; `None` if `tool` is not there.
fn run(tool: &str, command: &str, folder: &Path) -> Option<Output> {
    let probe = Command::new(tool).arg("--version").output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: there is no {tool}");
        return None;
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(command)
        .current_dir(folder)
        .output();
    Some(output.expect("sh can be run"))
}

/// Runs it, and wants success and silence.
fn run_silently(tool: &str, command: &str, folder: &Path) -> Option<String> {
    let output = run(tool, command, folder)?;
    // GNU tar finds times before 1970 remarkable, and restores them.
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<_> = errors
        .lines()
        .filter(|line| !line.contains("implausibly old"))
        .collect();
    let errors = errors.join("\n");
    assert!(output.status.success(), "{command}: {errors}");
    assert_eq!(errors, "", "{command}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn sample(member: Member, content: &[u8]) -> Sample {
    Sample {
        member,
        content: content.to_vec(),
    }
}

fn file(path: &[u8], content: &[u8]) -> Sample {
    sample(plain(path, content.len() as u64), content)
}

fn special(path: &[u8], kind: Kind) -> Sample {
    sample(
        Member {
            kind,
            ..plain(path, 0)
        },
        b"",
    )
}

/// A little of everything that GNU tar can restore.
fn tree() -> Vec<Sample> {
    let mut samples = vec![
        special(b"t/", Kind::Directory),
        file(b"t/plain", b"hello"),
        file(b"t/empty", b""),
        file(b"t/newline\nname", b"n"),
        file(b"t/caf\xe9", b"latin-1"),
        file(
            &[&b"t/"[..], &b"long/".repeat(40), b"name"].concat(),
            b"long",
        ),
        file(&[&b"t/raw"[..], &[0xE9; 200]].concat(), &[7; 3000]),
        special(
            b"t/hard",
            Kind::HardLink {
                target: b"t/plain".to_vec(),
            },
        ),
        special(
            b"t/soft",
            Kind::Symlink {
                target: b"no/where".repeat(30),
            },
        ),
        special(b"t/fifo", Kind::Fifo),
    ];
    let at = |seconds, nanoseconds| Time {
        seconds,
        nanoseconds,
    };
    for (name, mtime) in [
        (&b"t/fine"[..], at(1_700_000_000, 123_456_789)),
        (b"t/before", at(-6, 750_000_000)),
        (b"t/whole-before", at(-5, 0)),
    ] {
        samples.push(sample(
            Member {
                mtime,
                ..plain(name, 1)
            },
            b"x",
        ));
    }
    let segments = vec![
        Segment {
            offset: 4096,
            len: 300,
        },
        Segment {
            offset: 8192,
            len: 4096,
        },
        Segment {
            offset: 1 << 17,
            len: 5,
        },
    ];
    for (name, tail) in [(&b"t/holes"[..], 0), (b"t/hole-at-end", 5000)] {
        let size = (1u64 << 17) + 5 + tail;
        let mut content = vec![0; size as usize];
        for segment in &segments {
            content[segment.offset as usize..(segment.offset + segment.len) as usize].fill(b'd');
        }
        let kind = Kind::File {
            size,
            sparse: Some(segments.clone()),
        };
        samples.push(sample(
            Member {
                kind,
                ..plain(name, 0)
            },
            &content,
        ));
    }
    let size = 1u64 << 17;
    let kind = Kind::File {
        size,
        sparse: Some(Vec::new()),
    };
    samples.push(sample(
        Member {
            kind,
            ..plain(b"t/all-hole", 0)
        },
        &vec![0; size as usize],
    ));

    let xattrs = vec![
        (b"user.a=b%c".to_vec(), b"\0\xFF\n=".to_vec()),
        (b"user.empty".to_vec(), Vec::new()),
        (b"user.big".to_vec(), vec![b'v'; 3000]),
    ];
    samples.push(sample(
        Member {
            xattrs,
            ..plain(b"t/xattrs", 1)
        },
        b"x",
    ));
    let acl_access = Some(ACL.to_owned());
    samples.push(sample(
        Member {
            acl_access,
            mode: 0o660,
            ..plain(b"t/acl", 1)
        },
        b"x",
    ));
    samples.push(file(b"t/again", b"bad"));
    let comment = Some("replaces the damaged member before it".into());
    samples.push(sample(
        Member {
            comment,
            ..plain(b"t/again", 4)
        },
        b"good",
    ));
    if is_root() {
        let device = Kind::CharDevice {
            major: 4095,
            minor: 1_048_575,
        };
        samples.push(special(b"t/device", device));
        let owned = Member {
            uid: 3_000_000_000,
            gid: 2_097_152,
            ..plain(b"t/owned", 1)
        };
        samples.push(sample(owned, b"x"));
    }
    samples
}

/// The command of the label's recipe, for a file in place of the tape.
fn recipe(record: u64, archive: &str) -> String {
    restore_command(record).replace("/dev/nst0", archive)
}

#[test]
fn gnu_tar_restores_every_kind_of_member_by_the_labels_recipe() {
    for record in [1024, 1536, 4096, 524_288] {
        let folder = TempDir::new().unwrap();
        let samples = tree();
        fs::write(folder.path().join("set"), stream(record, &samples)).unwrap();
        let Some(_) = run_silently("tar", &recipe(record, "set"), folder.path()) else {
            return;
        };
        for sample in &samples {
            check_restored(folder.path(), sample);
        }
        assert_eq!(fs::read(folder.path().join("t/again")).unwrap(), b"good");
        check_attributes(folder.path());

        let list = format!(
            "LC_ALL=C tar -b {} -tvf set --quoting-style=escape",
            record / 512
        );
        let listed = run("tar", &list, folder.path()).unwrap();
        let lines = String::from_utf8_lossy(&listed.stdout).lines().count();
        assert_eq!(
            lines,
            samples.len(),
            "{}",
            String::from_utf8_lossy(&listed.stdout)
        );
    }
}

fn check_restored(folder: &Path, sample: &Sample) {
    let member = &sample.member;
    let path = folder.join(OsStr::from_bytes(&member.path));
    let found = fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    match &member.kind {
        Kind::File { .. } if member.path.ends_with(b"again") => {}
        Kind::File { size, .. } => {
            assert_eq!(found.len(), *size, "{path:?}");
            assert!(fs::read(&path).unwrap() == sample.content, "{path:?}");
        }
        Kind::HardLink { target } => {
            let other = fs::metadata(folder.join(OsStr::from_bytes(target))).unwrap();
            assert_eq!(found.ino(), other.ino());
        }
        Kind::Symlink { target } => {
            assert_eq!(fs::read_link(&path).unwrap().as_os_str().as_bytes(), target);
        }
        Kind::CharDevice { major, minor } => {
            assert!(found.file_type().is_char_device());
            let (major, minor) = (u64::from(*major), u64::from(*minor));
            // Linux's encoding of a device number (makedev, glibc).
            let number = (minor & 0xFF) | (major << 8) | ((minor & !0xFF) << 12);
            assert_eq!(found.rdev(), number);
        }
        Kind::Directory => assert!(found.is_dir()),
        Kind::Fifo => assert!(found.file_type().is_fifo()),
        Kind::BlockDevice { .. } => unreachable!(),
    }
    if !found.is_symlink() {
        assert_eq!(found.mode() & 0o7777, member.mode, "{path:?}");
        assert_eq!(found.mtime(), member.mtime.seconds, "{path:?}");
        assert_eq!(
            found.mtime_nsec(),
            i64::from(member.mtime.nanoseconds),
            "{path:?}"
        );
    }
    if is_root() {
        assert_eq!(
            (found.uid(), found.gid()),
            (member.uid, member.gid),
            "{path:?}"
        );
    }
}

/// Attributes and ACL as the kernel has them, seen through Python.
fn check_attributes(folder: &Path) {
    let script = "\
import os
a = {n: os.getxattr('t/xattrs', n) for n in os.listxattr('t/xattrs')}
assert a == {'user.a=b%c': b'\\x00\\xff\\n=', 'user.empty': b'', 'user.big': b'v' * 3000}, a
print(os.getxattr('t/acl', 'system.posix_acl_access').hex())
";
    let folder_script = folder.join("attributes.py");
    fs::write(&folder_script, script).unwrap();
    let Some(hex) = run_silently("python3", "python3 attributes.py", folder) else {
        return;
    };
    let acl: longhaul_format::acl::Acl = ACL.parse().unwrap();
    let expected: String = acl
        .to_xattr()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex.trim(), expected);
}

#[test]
fn tarfile_reads_every_member_and_archives_without_any() {
    let script = "\
import sys, tarfile
for name in sys.argv[1:]:
    with tarfile.open(name, errorlevel=2) as tar:
        for m in tar:
            data = tar.extractfile(m).read() if m.isreg() else b''
            print(name, m.type.decode(), m.size, sum(data) % 65521)
";
    let folder = TempDir::new().unwrap();
    let samples = tree();
    fs::write(folder.path().join("list.py"), script).unwrap();
    fs::write(folder.path().join("set"), stream(1536, &samples)).unwrap();
    fs::write(folder.path().join("none"), stream(4096, &[])).unwrap();
    let Some(listed) = run_silently("python3", "python3 list.py set none", folder.path()) else {
        return;
    };
    let mut expected = String::new();
    for Sample { member, content } in &samples {
        let sum = content.iter().map(|&byte| u64::from(byte)).sum::<u64>() % 65_521;
        let kind = match member.kind {
            Kind::File { .. } => '0',
            Kind::HardLink { .. } => '1',
            Kind::Symlink { .. } => '2',
            Kind::CharDevice { .. } => '3',
            Kind::Directory => '5',
            _ => '6',
        };
        expected += &format!("set {kind} {} {sum}\n", content.len());
    }
    expected += "none 0 0 0\n";
    assert_eq!(listed, expected);
}

#[test]
fn gnu_tar_reads_large_members_and_members_of_16_gib() {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("set");
    let members = [
        plain(b"a", 5),
        plain(b"large", LARGE + 5),
        plain(b"huge", 16 << 30),
    ];
    let placements = lay_out(524_288, &members.iter().collect::<Vec<_>>());
    // Only the headers are written: the data is a hole in the archive's file.
    let mut out = File::create(&archive).unwrap();
    for part in placements.iter().flat_map(|placement| &placement.parts) {
        match part {
            Part::Bytes(bytes) => out.write_all(bytes).unwrap(),
            _ => drop(out.seek(SeekFrom::Current(part.len() as i64)).unwrap()),
        }
    }
    out.set_len(placements.last().unwrap().end).unwrap();
    // A seekable archive is listed without reading 16 GiB of zeros.
    let list = "LC_ALL=C tar -n -b 1024 -tvf set";
    let Some(listed) = run_silently("tar", list, folder.path()) else {
        return;
    };
    let sizes: Vec<_> = listed
        .lines()
        .map(|line| line.split_whitespace().nth(2))
        .collect();
    assert_eq!(sizes, [Some("5"), Some("67108869"), Some("17179869184")]);
}

#[test]
fn the_parser_reads_what_gnu_tar_writes() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join("t").join(name);
    fs::create_dir(at("")).unwrap();
    fs::write(at("plain"), b"hello").unwrap();
    fs::set_permissions(at("plain"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::hard_link(at("plain"), at("plain2")).unwrap();
    std::os::unix::fs::symlink("target".repeat(40), at("soft")).unwrap();
    let long = "n".repeat(250);
    fs::write(at(&long), vec![b'x'; 70_000]).unwrap();
    let holes = File::create(at("holes")).unwrap();
    holes.write_all_at(b"begin", 0).unwrap();
    holes.write_all_at(b"middle", 1 << 18).unwrap();
    holes.set_len(3 << 18).unwrap();
    // Data to the disk, or the file system does not know its holes yet.
    holes.sync_all().unwrap();
    let command = "LC_ALL=C tar --format=posix --sort=name -S -cf set t";
    let Some(_) = run_silently("tar", command, folder.path()) else {
        return;
    };

    let read = read(&fs::read(folder.path().join("set")).unwrap(), 10_240);
    assert_eq!(read.error, None);
    assert!(read.ended);
    let member = |name: &str| {
        let path = format!("t/{name}").into_bytes();
        read.members
            .iter()
            .find(|(parsed, _)| parsed.member.path == path)
            .expect(name)
    };
    assert_eq!(read.members.len(), 6);
    assert_eq!(member("").0.member.kind, Kind::Directory);
    let (plain, content) = member("plain");
    assert_eq!((plain.member.mode, &content[..]), (0o4751, &b"hello"[..]));
    let found = fs::metadata(at("plain")).unwrap();
    assert_eq!(plain.member.mtime.seconds, found.mtime());
    assert_eq!(
        i64::from(plain.member.mtime.nanoseconds),
        found.mtime_nsec()
    );
    assert_eq!(
        (plain.member.uid, plain.member.gid),
        (found.uid(), found.gid())
    );
    let link = Kind::HardLink {
        target: b"t/plain".to_vec(),
    };
    assert_eq!(member("plain2").0.member.kind, link);
    let soft = Kind::Symlink {
        target: b"target".repeat(40),
    };
    assert_eq!(member("soft").0.member.kind, soft);
    assert_eq!(member(&long).1, vec![b'x'; 70_000]);
    let (holes, content) = member("holes");
    assert!(matches!(holes.member.kind, Kind::File { size, sparse: Some(_) } if size == 3 << 18));
    assert!(fs::read(at("holes")).unwrap() == *content);
    assert!(holes.stored < 1 << 18);
}

#[test]
fn the_parser_reads_gnu_tars_second_volume() {
    let folder = TempDir::new().unwrap();
    let data: Vec<u8> = (0..30_000u32).map(|at| (at / 3) as u8).collect();
    fs::write(folder.path().join("data"), &data).unwrap();
    fs::write(folder.path().join("last"), b"last").unwrap();
    let command = "LC_ALL=C tar --format=posix -M -L 20 -c -f one -f two -f three data last";
    let Some(_) = run_silently("tar", command, folder.path()) else {
        return;
    };

    let two = fs::read(folder.path().join("two")).unwrap();
    let mut parser = Parser::at(20 << 10);
    let mut events = parser.feed(&two);
    let Ok(Some(Event::Continued(rest))) = events.next() else {
        panic!("not continued")
    };
    assert_eq!(rest.path, b"data");
    assert_eq!(rest.offset + rest.stored, 30_000);
    let mut restored = data[..rest.offset as usize].to_vec();
    loop {
        match events.next().unwrap() {
            Some(Event::Data { offset, bytes }) => {
                assert_eq!(offset, restored.len() as u64);
                restored.extend_from_slice(bytes);
            }
            Some(Event::MemberEnd { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(restored, data);
    let Ok(Some(Event::Member(last))) = events.next() else {
        panic!("no member")
    };
    assert_eq!(last.member.path, b"last");
}

/// A set that goes on after a large member was dropped ends as tarfile wants.
#[test]
fn an_archive_that_ends_behind_a_dropped_member_is_read_everywhere() {
    let folder = TempDir::new().unwrap();
    let samples = [file(b"a", b"1")];
    let mut bytes = stream(524_288, &samples);
    bytes.clear();
    let placements = lay_out(524_288, &[&samples[0].member, &plain(b"large", LARGE)]);
    for part in placements[..2]
        .iter()
        .flat_map(|placement| &placement.parts)
    {
        match part {
            Part::Bytes(part) => bytes.extend(part),
            Part::Zeros(len) => bytes.resize(bytes.len() + *len as usize, 0),
            Part::File { .. } => bytes.push(b'1'),
        }
    }
    let Part::Bytes(pad) = &placements[2].parts[0] else {
        panic!("no pad")
    };
    bytes.extend(pad);
    let mut layout = Layout::resume(524_288, bytes.len() as u64).unwrap();
    for part in layout.finish().parts {
        match part {
            Part::Bytes(part) => bytes.extend(part),
            other => bytes.resize(bytes.len() + other.len() as usize, 0),
        }
    }
    fs::write(folder.path().join("set"), bytes).unwrap();
    if let Some(listed) = run_silently("tar", "tar -b 1024 -tf set", folder.path()) {
        assert_eq!(listed, "a\n.longhaul/end-of-set\n");
    }
    let script = "python3 -c 'import tarfile; print(tarfile.open(\"set\").getnames())'";
    if let Some(listed) = run_silently("python3", script, folder.path()) {
        assert_eq!(listed.trim(), "['a', '.longhaul/end-of-set']");
    }
}
