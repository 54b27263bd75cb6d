//! Names: short and long, of any bytes, deep, and around the order.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::{Maker, write};

/// How long the deepest path is, from the root of the file system. It leaves
/// room below the kernel's 4,096 for the folder to which it is restored.
const DEEP_BYTES: usize = 3_700;

impl Maker {
    pub(super) fn names(&mut self) -> Result<()> {
        self.odd_names()?;
        self.lengths_in_the_archive()?;
        self.order()?;
        self.deep()
    }

    fn odd_names(&mut self) -> Result<()> {
        let part = self.part("names")?;
        let names: [&[u8]; 22] = [
            b" leading and trailing spaces ",
            b"-rf",
            b"--help",
            b"new\nline",
            b"\n",
            b"tab\tand\x01\x1b[31mcontrol\x7f",
            b"back\\slash\\n",
            b"quotes'\"`$(false)",
            b"glob*?[a-z]{x}",
            b"percent%3Dequals=",
            b"...",
            b".hidden",
            b"~",
            b"@LongLink",
            b"GNUSparseFile.0",
            b"pax_global_header",
            "Gr\u{fc}\u{df}e-\u{65e5}\u{672c}".as_bytes(),
            b"latin-1-\xe4\xf6\xfc",
            b"\xff\xfe\xfd",
            b"cut-utf8-\xe6\x97",
            b"decomposed-u\xcc\x88",
            b"con.txt",
        ];
        for name in names {
            write(&part.join(OsStr::from_bytes(name)), name)?;
        }
        for length in [99, 100, 101, 154, 155, 156, 254, 255] {
            write(&part.join("n".repeat(length)), b"a long name")?;
        }
        write(
            &part.join(OsStr::from_bytes(&[0xe9; 255])),
            b"long, and not UTF-8",
        )?;
        let folder = part.join(OsStr::from_bytes(b"folder\xff\n "));
        fs::create_dir(&folder)?;
        write(&folder.join(OsStr::from_bytes(b"in it\xfe")), b"in it")?;
        fs::create_dir(part.join("an-empty-directory"))?;
        fs::create_dir(part.join("d".repeat(255)))?;
        Ok(())
    }

    /// Names with which the path in the archive, from the root of the file
    /// system without its slash, has just the lengths where ustar's fields end.
    fn lengths_in_the_archive(&mut self) -> Result<()> {
        let part = self.part("lengths")?;
        let above = part.as_os_str().len();
        for length in [99usize, 100, 101, 155, 156, 255, 256, 257] {
            // A slash more, and the first one of the path is not counted.
            match length.checked_sub(above) {
                Some(rest @ 1..=255) => write(&part.join("p".repeat(rest)), b"exactly")?,
                _ => self.left_out.push(format!(
                    "a path of {length} bytes: {} has {above}",
                    part.display()
                )),
            }
            if let Some(rest @ 2..=250) = length.checked_sub(above) {
                // The same for a directory, whose path ends in a slash.
                fs::create_dir(part.join("q".repeat(rest - 1)))?;
            }
        }
        Ok(())
    }

    /// Names that sort before and after the slash of a directory's path.
    fn order(&self) -> Result<()> {
        let part = self.part("order")?;
        for folder in ["a", "a.d", "ab"] {
            fs::create_dir(part.join(folder))?;
            write(&part.join(folder).join("inside"), b"x")?;
        }
        for name in [
            "a ", "a-b", "a.", "a.b", "a0", "a\u{1}", "a\u{7f}", "A", "\u{1}",
        ] {
            write(&part.join(name), name.as_bytes())?;
        }
        Ok(())
    }

    /// Folders in folders, made one by one, since a test may run where the
    /// path to the deepest is too long for one call.
    fn deep(&self) -> Result<()> {
        let part = self.part("deep")?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = openat(CWD, &part, flags, Mode::empty())?;
        let mut length = part.as_os_str().len();
        let mut level = 0;
        while length < DEEP_BYTES {
            level += 1;
            let name = format!("{level:03}-{}", "x".repeat(183));
            let name = &name[..name.len().min(DEEP_BYTES - length)];
            mkdirat(&at, name, Mode::RWXU)
                .with_context(|| format!("cannot make folder {level} of {}", part.display()))?;
            at = openat(&at, name, flags, Mode::empty())?;
            length += 1 + name.len();
        }
        let file = Path::new("the-bottom");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&at, file, flags, Mode::RUSR | Mode::WUSR)?;
        std::io::Write::write_all(&mut fs::File::from(file), b"how deep is this")?;
        Ok(())
    }
}
