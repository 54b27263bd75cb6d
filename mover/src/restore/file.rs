//! A regular file that is being filled.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use longhaul_format::member::Segment;

use super::below::Parent;
use super::error::{Error, Step};
use super::metadata::{Applied, Attributes, Origin, Owners};
use super::node::Node;
use super::path::MemberPath;
use super::policy::Skip;
use super::temporary::{Replace, Temporary};

/// A regular file between [`Target::begin`](super::Target::begin) and
/// [`Target::end`](super::Target::end). Dropping it removes what was written.
#[derive(Debug)]
pub struct NewFile {
    path: MemberPath,
    attributes: Attributes,
    fd: OwnedFd,
    temporary: Temporary,
    replace: Replace,
    origin: Origin,
    size: u64,
    /// Bytes of data that the member declares, and that came so far.
    expected: u64,
    got: u64,
}

impl NewFile {
    pub(super) fn create(
        parent: &Parent,
        path: MemberPath,
        attributes: Attributes,
        replace: Replace,
    ) -> Result<NewFile, Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let flags = flags | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let (temporary, fd) = Temporary::create(parent, |name| {
            rustix::fs::openat(&parent.fd, name, flags, mode)
        })
        .map_err(Error::io(path.bytes(), Step::CreateFile))?;
        let origin = if parent.has_default_acl {
            Origin::Inheriting
        } else {
            Origin::Bare
        };
        let (size, expected, got) = (0, 0, 0);
        Ok(NewFile {
            path,
            attributes,
            fd,
            temporary,
            replace,
            origin,
            size,
            expected,
            got,
        })
    }

    /// Says how long the file is, and where in it data will come.
    pub(super) fn set_size(&mut self, size: u64, data: Option<&[Segment]>) -> Result<(), Error> {
        self.size = size;
        self.expected = match data {
            None => size,
            Some(segments) => {
                // All of it a hole; the data comes into it.
                rustix::fs::ftruncate(&self.fd, size)
                    .map_err(Error::io(self.path.bytes(), Step::SetLength))?;
                data_bytes(segments, size)
                    .ok_or_else(|| self.malformed("its map of data and holes is not in order"))?
            }
        };
        Ok(())
    }

    /// The member's path.
    pub fn path(&self) -> &[u8] {
        self.path.bytes()
    }

    /// Writes `bytes` of data at `offset` in the file (of a sparse file: with
    /// the holes counted). Pieces may come in any order, each once.
    ///
    /// # Errors
    /// [`Error::Malformed`] for data past the declared size; [`Error::Io`] if
    /// the kernel refuses. The file can only be dropped then.
    pub fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let len = bytes.len() as u64;
        let got = self
            .got
            .checked_add(len)
            .filter(|&got| got <= self.expected);
        let end = offset.checked_add(len).filter(|&end| end <= self.size);
        let (Some(got), Some(_)) = (got, end) else {
            return Err(self.malformed("more data came than its size has room for"));
        };
        self.write_all(offset, bytes)
            .map_err(Error::io(self.path.bytes(), Step::Write))?;
        self.got = got;
        Ok(())
    }

    fn write_all(&self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(Errno::IO),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sets the metadata and gives the file its name; the reason, where it
    /// turned out at the last moment that the name is taken.
    pub(super) fn finish(self, owners: Owners) -> Result<Result<Applied, Skip>, Error> {
        let path = self.path.bytes();
        if self.got != self.expected {
            let (expected, got) = (self.expected, self.got);
            return Err(Error::Short {
                path: path.to_vec(),
                expected,
                got,
            });
        }
        let node = Node::Open(self.fd.as_fd());
        let applied = self.attributes.apply(node, path, owners, self.origin);
        place(self.temporary, &self.path, self.replace).map(|placed| placed.map(|()| applied))
    }

    fn malformed(&self, why: &'static str) -> Error {
        Error::Malformed {
            path: self.path.bytes().to_vec(),
            why,
        }
    }
}

/// Gives what was made its real name.
pub(super) fn place(
    temporary: Temporary,
    path: &MemberPath,
    replace: Replace,
) -> Result<Result<(), Skip>, Error> {
    match temporary.into_place(path.name(), replace) {
        Ok(()) => Ok(Ok(())),
        Err(Errno::EXIST) if replace == Replace::Nothing => Ok(Err(Skip::Appeared)),
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => Err(Error::DirectoryInTheWay {
            path: path.bytes().to_vec(),
        }),
        Err(source) => Err(Error::Io {
            path: path.bytes().to_vec(),
            step: Step::Place,
            source,
        }),
    }
}

/// The sum of the segments' lengths, if they are in order, apart, and inside
/// the file.
fn data_bytes(segments: &[Segment], size: u64) -> Option<u64> {
    let mut end = 0;
    let mut sum = 0;
    for segment in segments {
        if segment.offset < end {
            return None;
        }
        end = segment.offset.checked_add(segment.len)?;
        sum += segment.len;
    }
    (end <= size).then_some(sum)
}

impl AsFd for NewFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_must_be_in_order_and_inside_the_file() {
        let segment = |offset, len| Segment { offset, len };
        assert_eq!(data_bytes(&[segment(0, 5), segment(5, 5)], 10), Some(10));
        assert_eq!(data_bytes(&[], 10), Some(0));
        assert_eq!(data_bytes(&[segment(0, 6), segment(5, 5)], 10), None);
        assert_eq!(data_bytes(&[segment(5, 6)], 10), None);
        assert_eq!(data_bytes(&[segment(5, u64::MAX)], 10), None);
        assert_eq!(data_bytes(&[segment(5, 1), segment(0, 1)], 10), None);
    }
}
