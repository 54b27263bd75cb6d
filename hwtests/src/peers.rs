//! Restoring an exported tape file with programs that are not ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::compare::{Leniency, below, compare};
use crate::program::{Finished, is_installed, run};
use crate::scratch::remove_tree;

/// A program that reads pax archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// libarchive's tar.
    Bsdtar,
    /// GNU tar, with the recipe that stands on each volume's label.
    GnuTar,
    /// Python's tarfile.
    Tarfile,
}

impl Reader {
    /// All readers.
    pub const ALL: [Reader; 3] = [Reader::Bsdtar, Reader::GnuTar, Reader::Tarfile];

    /// The program that it needs.
    pub fn program(self) -> &'static str {
        match self {
            Reader::Bsdtar => "bsdtar",
            Reader::GnuTar => "tar",
            Reader::Tarfile => "python3",
        }
    }

    /// Whether it is there.
    pub fn is_installed(self) -> bool {
        is_installed(self.program())
    }

    /// Restores all of an archive below a folder that is there.
    ///
    /// # Errors
    /// If the program cannot be run. How it ended is for the caller to judge.
    pub fn restore(self, archive: &Path, to: &Path) -> Result<Finished> {
        let mut command = Command::new(self.program());
        match self {
            Reader::Bsdtar => {
                // Under C it restores UTF-8 names rightly too, but exits 1.
                command.env("LC_ALL", "C.UTF-8").args([
                    "-x",
                    "-p",
                    "--numeric-owner",
                    "-b",
                    "1024",
                ]);
                command.arg("-f").arg(archive).arg("-C").arg(to);
            }
            Reader::GnuTar => {
                command
                    .env("LC_ALL", "C")
                    .args(["-b", "1024", "--acls", "--xattrs"]);
                command.args(["--xattrs-include=*", "--numeric-owner"]);
                command.args(["--warning=no-unknown-keyword", "-xpf"]);
                command.arg(archive).arg("-C").arg(to);
            }
            Reader::Tarfile => {
                command.arg("-c").arg(TARFILE).arg(archive).arg(to);
            }
        }
        run(&mut command)
    }

    /// What it is known not to bring back of [`tree`](crate::tree).
    pub fn leniency(self) -> Leniency {
        match self {
            // It takes the fraction of a time before 1970 for a negative one,
            // the names of attributes as they stand in the archive, and ids
            // above 2^31 - 1 in an ACL for that number.
            Reader::Bsdtar => Leniency {
                except: vec![
                    "*acls/rich:acl",
                    "*times/1969-and-a-quarter:mtime",
                    "*times/one-ns-before:mtime",
                    "*times/folder:mtime",
                    "*xattrs/odd-names:xattr",
                ],
                ..Leniency::default()
            },
            Reader::GnuTar => Leniency::default(),
            // Times are floating-point numbers there: 120 ns apart in 1970 plus
            // 2^30 s, 480 ns in 2100. Without an ACL, the group's bits of the
            // mode are the group's and not the mask.
            Reader::Tarfile => Leniency {
                ignore: vec!["acl", "xattr", "link-mtime"],
                except: vec!["*acls/*:mode"],
                mtime_tolerance_ns: 1_000,
                ..Leniency::default()
            },
        }
    }
}

const TARFILE: &str = "
import sys, tarfile
archive, to = sys.argv[1:]
with tarfile.open(archive, 'r:') as tar:
    options = {'filter': 'fully_trusted'} if hasattr(tarfile, 'data_filter') else {}
    tar.extractall(to, numeric_owner=True, **options)
";

/// What one reader made of an archive.
#[derive(Debug)]
pub struct Verdict {
    /// The reader.
    pub reader: Reader,
    /// How its run ended.
    pub finished: Finished,
    /// What is not as it was, and should be.
    pub differences: Vec<String>,
}

/// Restores `archive`, which holds the tree at `source` under its absolute path
/// without the first slash, with each reader that is installed, into a folder
/// of `scratch`, and compares. The restored trees are removed again.
///
/// # Errors
/// If a program cannot be run, or nothing that can be compared comes out.
pub fn restore_and_compare(
    archive: &Path,
    source: &Path,
    scratch: &Path,
    readers: &[Reader],
) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for &reader in readers {
        if !reader.is_installed() {
            eprintln!("not tried: {} is not installed", reader.program());
            continue;
        }
        let to = scratch.join(format!("{reader:?}"));
        fs::create_dir(&to)?;
        let finished = reader.restore(archive, &to)?;
        let restored = below(&to, source)?;
        ensure!(restored.is_dir(), "nothing came out of {finished}");
        let differences = compare(source, &restored, &reader.leniency())?;
        verdicts.push(Verdict {
            reader,
            finished,
            differences,
        });
        remove_tree(&to)?;
    }
    Ok(verdicts)
}

/// As [`restore_and_compare`], and fails unless every reader ended well and
/// brought back all that it can.
///
/// # Errors
/// With what each of them did not bring back.
pub fn expect_readable(archive: &Path, source: &Path, scratch: &Path) -> Result<()> {
    for verdict in restore_and_compare(archive, source, scratch, &Reader::ALL)? {
        let Verdict {
            reader,
            finished,
            differences,
        } = verdict;
        ensure!(
            differences.is_empty(),
            "{reader:?}:\n{}\n{finished}",
            differences.join("\n")
        );
        finished.expect_success()?;
    }
    Ok(())
}
