//! How much there is, roughly, for a display's estimated end.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Weak;

use super::{Options, Roots};
use crate::progress::Progress;

/// Counts the bytes of all regular files below the roots, on the way, into what
/// `progress` expects. Ends early when nobody holds `progress` any more. What
/// cannot be read counts nothing: this is for people's eyes only.
pub fn estimate(roots: &Roots, options: &Options, progress: &Weak<Progress>) {
    for start in &roots.starts {
        let mut pending = vec![start.path.clone()];
        let dev = start
            .path
            .symlink_metadata()
            .map_or(0, |meta| device(&meta));
        while let Some(path) = pending.pop() {
            let Some(progress) = progress.upgrade() else {
                return;
            };
            let Ok(meta) = path.symlink_metadata() else {
                continue;
            };
            if options.leaves_out(&path.as_os_str().as_bytes()[1..]) {
                continue;
            }
            if meta.is_file() {
                progress.expect(meta.len());
            } else if meta.is_dir() && (!options.one_file_system || device(&meta) == dev) {
                let Ok(entries) = std::fs::read_dir(&path) else {
                    continue;
                };
                pending.extend(
                    entries
                        .flatten()
                        .map(|entry| join(&path, &entry.file_name())),
                );
            }
        }
    }
}

fn device(meta: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(meta)
}

fn join(parent: &std::path::Path, name: &OsStr) -> PathBuf {
    let mut path = parent.as_os_str().as_bytes().to_vec();
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name.as_bytes());
    PathBuf::from(OsString::from_vec(path))
}
