//! The paths that a backup was asked for, in order and without overlap.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Problem;

/// Where walks begin.
#[derive(Debug, Default)]
pub struct Roots {
    /// Absolute, sorted in the walk's order, none inside another.
    pub(super) starts: Vec<Start>,
    /// Every path that was asked for, those inside others too: with
    /// `--one-file-system` the walk may cross into these.
    pub(super) asked: Vec<Vec<u8>>,
    /// Paths that are not there.
    pub problems: Vec<Problem>,
}

/// One place where a walk begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// The member's path: without the leading `/`, a directory's with a `/` at
    /// its end; empty for the root directory.
    pub member: Vec<u8>,
    pub path: PathBuf,
    pub is_directory: bool,
}

/// Why there is nothing to walk.
#[derive(Debug, Error)]
pub enum RootsError {
    /// None of the paths exists.
    #[error("nothing to back up: {0}")]
    Nothing(String),
}

impl Roots {
    /// Looks the paths up. Symbolic links on the way to a path are resolved, so
    /// that no stored path leads through one; the last component is not.
    ///
    /// # Errors
    /// If not one of the paths is there. Those that are not, while others are,
    /// become [`Roots::problems`].
    pub fn find<P: AsRef<Path>>(paths: &[P]) -> Result<Roots, RootsError> {
        let mut roots = Roots::default();
        for path in paths {
            match find_one(path.as_ref()) {
                Ok(start) => roots.starts.push(start),
                Err(error) => {
                    let bytes = path.as_ref().as_os_str().as_bytes();
                    roots.problems.push(Problem::new(bytes, error.to_string()));
                }
            }
        }
        if roots.starts.is_empty() {
            let named = roots.problems.iter().map(|problem| {
                format!(
                    "{}: {}",
                    String::from_utf8_lossy(&problem.path),
                    problem.what
                )
            });
            let named = named.collect::<Vec<_>>().join("; ");
            let named = if named.is_empty() {
                "no path was given".into()
            } else {
                named
            };
            return Err(RootsError::Nothing(named));
        }
        roots.starts.sort_by(|a, b| a.member.cmp(&b.member));
        roots.starts.dedup();
        roots.asked = roots
            .starts
            .iter()
            .map(|start| start.member.clone())
            .collect();
        let mut kept: Vec<Start> = Vec::new();
        for start in std::mem::take(&mut roots.starts) {
            let inside =
                |outer: &Start| outer.is_directory && start.member.starts_with(&outer.member);
            if !kept.iter().any(inside) {
                kept.push(start);
            }
        }
        roots.starts = kept;
        Ok(roots)
    }
}

fn find_one(path: &Path) -> std::io::Result<Start> {
    let bytes = path.as_os_str().as_bytes();
    // `link/` is where the link leads; `Path` does not see the slash.
    let beyond = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
    let resolved = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !beyond => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            parent.canonicalize()?.join(name)
        }
        // "/", "..", "a/.." and the like name a directory by another way.
        _ => path.canonicalize()?,
    };
    let is_directory = resolved.symlink_metadata()?.is_dir();
    let mut member = resolved.as_os_str().as_bytes()[1..].to_vec();
    if is_directory && !member.is_empty() {
        member.push(b'/');
    }
    let path = PathBuf::from(OsString::from_vec(resolved.into_os_string().into_vec()));
    Ok(Start {
        member,
        path,
        is_directory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_others_are_walked_once_and_links_on_the_way_are_resolved() {
        let dir = tempfile::tempdir().expect("scratch");
        let base = dir.path().canonicalize().expect("resolved");
        std::fs::create_dir_all(base.join("real/inner")).expect("made");
        std::os::unix::fs::symlink("real", base.join("link")).expect("made");
        let asked = [
            base.join("real/inner"),
            base.join("real"),
            base.join("link/inner"),
        ];
        let roots = Roots::find(&asked).expect("found");
        assert_eq!(roots.starts.len(), 1);
        assert_eq!(roots.starts[0].path, base.join("real"));
        assert_eq!(roots.asked.len(), 2);
        let link = Roots::find(&[base.join("link")]).expect("found");
        let beyond = Roots::find(&[base.join("link/")]).expect("found");
        assert_eq!(beyond.starts[0].path, base.join("real"));
        assert!(
            !link.starts[0].is_directory,
            "the link itself is what was asked for"
        );
    }

    #[test]
    fn a_missing_path_is_named_and_nothing_at_all_is_an_error() {
        let dir = tempfile::tempdir().expect("scratch");
        let missing = dir.path().join("missing");
        let roots = Roots::find(&[dir.path(), &missing]).expect("one is there");
        assert_eq!(roots.problems.len(), 1);
        assert!(
            Roots::find(&[&missing])
                .unwrap_err()
                .to_string()
                .contains("missing")
        );
        assert!(Roots::find::<&Path>(&[]).is_err());
    }
}
