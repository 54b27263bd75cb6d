//! Links, devices and FIFOs.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use rustix::fs::{CWD, Dev, FileType, Mode, makedev, mknodat};

use super::{Maker, bytes, set_time, write};

impl Maker {
    pub(super) fn nodes(&mut self) -> Result<()> {
        self.hard_links()?;
        self.symlinks()?;
        self.devices()
    }

    /// One file under several names: in the same folder, in folders that come
    /// before and after it, and kinds of files that are seldom linked.
    fn hard_links(&mut self) -> Result<()> {
        let part = self.part("links")?;
        for folder in ["a", "m", "z"] {
            fs::create_dir(part.join(folder))?;
        }
        let file = part.join("m/file");
        write(&file, &bytes(1, 70_000))?;
        for name in ["a/before", "m/another", "z/after"] {
            fs::hard_link(&file, part.join(name))?;
        }
        let long = part.join("n".repeat(200));
        write(&long, b"one file under a long and under an odd name")?;
        fs::hard_link(&long, part.join(OsStr::from_bytes(b"z/odd\xff\n")))?;
        let empty = part.join("empty");
        write(&empty, b"")?;
        fs::hard_link(&empty, part.join("z/empty"))?;
        let link = part.join("symlink");
        symlink("m/file", &link)?;
        let linked = fs::hard_link(&link, part.join("z/symlink"));
        self.try_to("a hard link to a symlink", linked);
        let fifo = part.join("fifo");
        node(&fifo, FileType::Fifo, 0)?;
        let linked = fs::hard_link(&fifo, part.join("z/fifo"));
        self.try_to("a hard link to a FIFO", linked);
        Ok(())
    }

    fn symlinks(&mut self) -> Result<()> {
        let part = self.part("symlinks")?;
        fs::create_dir(part.join("folder"))?;
        write(&part.join("folder/file"), b"x")?;
        let t = |length| "t".repeat(length).into_bytes();
        let long: Vec<u8> = [&b"../"[..]; 900].concat();
        let targets: [(&str, &[u8]); 13] = [
            ("absolute", b"/etc/hostname"),
            ("dangling", b"nowhere"),
            ("to-a-folder", b"folder"),
            ("to-a-folder-with-a-slash", b"folder/"),
            ("to-a-file", b"folder/file"),
            ("to-itself", b"to-itself"),
            ("up-and-out", b"../../../.."),
            ("of-99", &t(99)),
            ("of-100", &t(100)),
            ("of-101", &t(101)),
            ("long", &long),
            ("not-utf-8", b"\xff\xfe\n"),
            ("spaces", b" -> "),
        ];
        for (name, target) in targets {
            let path = part.join(name);
            symlink(OsStr::from_bytes(target), &path)?;
            set_time(&path, 1_111_111_111, 222_333_444)?;
        }
        Ok(())
    }

    fn devices(&mut self) -> Result<()> {
        let part = self.part("nodes")?;
        node(&part.join("fifo"), FileType::Fifo, 0)?;
        let devices = [
            ("null", FileType::CharacterDevice, 1, 3),
            ("char-big", FileType::CharacterDevice, 4095, 1_048_575),
            ("block", FileType::BlockDevice, 7, 200),
            ("block-big", FileType::BlockDevice, 259, 300_000),
            ("zero-zero", FileType::CharacterDevice, 0, 0),
        ];
        for (name, kind, major, minor) in devices {
            let made = node(&part.join(name), kind, makedev(major, minor));
            self.try_to(&format!("device {major}:{minor}"), made);
        }
        Ok(())
    }
}

fn node(path: &Path, kind: FileType, device: Dev) -> io::Result<()> {
    Ok(mknodat(
        CWD,
        path,
        kind,
        Mode::RUSR | Mode::WUSR | Mode::RGRP,
        device,
    )?)
}
