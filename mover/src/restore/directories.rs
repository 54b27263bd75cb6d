//! Directories that wait for their metadata.
//!
//! A directory gets its owner, mode and times when nothing more will be made
//! in it: at the end of the restore, the deepest first. Until then it belongs
//! to the restoring user alone, so nobody can meddle with what is made in it.

use rustix::fd::AsFd;
use rustix::fs::OFlags;

use super::below::{Below, Missing, open_directory};
use super::error::{Error, Step, Warning};
use super::metadata::{Applied, Attributes, Origin, Owners};
use super::node::Node;
use super::path::MemberPath;

/// A directory that waits.
#[derive(Debug)]
struct Waiting {
    /// Where its path begins in the shared bytes.
    start: usize,
    len: u32,
    origin: Origin,
    attributes: Attributes,
}

/// All that wait: about 64 bytes and its path for each, so a million take some
/// 100 MiB.
#[derive(Debug, Default)]
pub(super) struct Directories {
    /// The paths, one behind the other.
    paths: Vec<u8>,
    waiting: Vec<Waiting>,
}

impl Directories {
    pub(super) fn push(&mut self, path: &MemberPath, attributes: Attributes, origin: Origin) {
        let (start, bytes) = (self.paths.len(), path.bytes());
        let len = u32::try_from(bytes.len()).expect("bounded by PATH_BYTES_MAX");
        self.paths.extend_from_slice(bytes);
        self.waiting.push(Waiting {
            start,
            len,
            origin,
            attributes,
        });
    }

    /// Gives every directory its metadata, and calls `done` for each.
    pub(super) fn finish(
        mut self,
        below: &mut Below,
        owners: Owners,
        done: &mut dyn FnMut(Applied),
    ) {
        let paths = &self.paths;
        let path_of =
            |waiting: &Waiting| &paths[waiting.start..waiting.start + waiting.len as usize];
        // By path, so that a parent comes after what lies in it whatever the
        // archive's order was; stable, so that of equal paths the later wins.
        self.waiting.sort_by(|a, b| path_of(a).cmp(path_of(b)));
        let mut last: Option<&[u8]> = None;
        for waiting in self.waiting.iter().rev() {
            let path = path_of(waiting);
            if last != Some(path) {
                done(finish_one(waiting, path, below, owners));
            }
            last = Some(path);
        }
    }
}

fn finish_one(waiting: &Waiting, path: &[u8], below: &mut Below, owners: Owners) -> Applied {
    let opened = MemberPath::of_directory(path)
        .map_err(|why| Error::BadPath {
            path: path.to_vec(),
            why,
        })
        .and_then(|path| {
            let parent = below.parent(&path, Missing::Fail)?;
            open_directory(&parent, path.name(), OFlags::RDONLY)
                .map_err(Error::io(path.bytes(), Step::OpenDirectory))
        });
    match opened {
        Ok(fd) => {
            let node = Node::Open(fd.as_fd());
            waiting.attributes.apply(node, path, owners, waiting.origin)
        }
        Err(error) => {
            let (path, source) = (path.to_vec(), Box::new(error));
            let warnings = vec![Warning::Directory { path, source }];
            Applied {
                warnings,
                id: None,
                owner_left: false,
            }
        }
    }
}
