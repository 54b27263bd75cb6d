//! The path of a member, proven to point below the directory it is joined to.

/// Longest path that is restored, in bytes. The kernel's `PATH_MAX` (4,096) is
/// no limit here, since paths are walked component by component; this one only
/// keeps a crafted archive from making us walk without end.
pub const PATH_BYTES_MAX: usize = 1 << 20;

/// Why a path in an archive is refused before anything is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It begins with a slash.
    #[error("is absolute")]
    Absolute,
    /// It holds a component `.`.
    #[error("holds a component `.`")]
    Dot,
    /// It holds a component `..`.
    #[error("holds a component `..`")]
    DotDot,
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// Two slashes follow each other.
    #[error("holds an empty component")]
    EmptyComponent,
    /// It holds a NUL byte.
    #[error("holds a NUL byte")]
    Nul,
    /// It is longer than [`PATH_BYTES_MAX`].
    #[error("is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// It ends in a slash but is no directory's.
    #[error("ends in a slash, though the member is no directory")]
    TrailingSlash,
}

/// A relative path of at least one component, none of them empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberPath {
    /// Without a slash at the end.
    bytes: Box<[u8]>,
}

impl MemberPath {
    /// The path of a directory, with a slash at the end or without.
    pub(super) fn of_directory(raw: &[u8]) -> Result<MemberPath, PathFault> {
        match raw {
            b"/" => Err(PathFault::Absolute),
            [path @ .., b'/'] => MemberPath::of_file(path),
            _ => MemberPath::of_file(raw),
        }
    }

    /// The path of anything that is no directory.
    pub(super) fn of_file(raw: &[u8]) -> Result<MemberPath, PathFault> {
        if raw.is_empty() {
            return Err(PathFault::Empty);
        }
        if raw.len() > PATH_BYTES_MAX {
            return Err(PathFault::TooLong);
        }
        if raw.contains(&0) {
            return Err(PathFault::Nul);
        }
        if raw[0] == b'/' {
            return Err(PathFault::Absolute);
        }
        let mut components = raw.split(|&byte| byte == b'/').peekable();
        while let Some(component) = components.next() {
            match component {
                b"" if components.peek().is_none() => return Err(PathFault::TrailingSlash),
                b"" => return Err(PathFault::EmptyComponent),
                b"." => return Err(PathFault::Dot),
                b".." => return Err(PathFault::DotDot),
                _ => {}
            }
        }
        Ok(MemberPath { bytes: raw.into() })
    }

    /// The whole path, without a slash at the end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The components of the directory that the member lies in.
    pub(super) fn parents(&self) -> impl Iterator<Item = &[u8]> {
        let end = self.name_start().saturating_sub(1);
        // Splitting nothing would give one empty component.
        self.bytes[..end]
            .split(|&byte| byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// The last component.
    pub(super) fn name(&self) -> &[u8] {
        &self.bytes[self.name_start()..]
    }

    /// The path up to and with its component number `depth`, counted from 0.
    pub(super) fn prefix(&self, depth: usize) -> &[u8] {
        let mut slashes = self
            .bytes
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| byte == b'/');
        slashes
            .nth(depth)
            .map_or(&self.bytes[..], |(at, _)| &self.bytes[..at])
    }

    fn name_start(&self) -> usize {
        self.bytes
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_that_could_leave_the_target_is_refused() {
        for (raw, fault) in [
            (&b"/etc/passwd"[..], PathFault::Absolute),
            (b"/", PathFault::Absolute),
            (b"//a", PathFault::Absolute),
            (b"..", PathFault::DotDot),
            (b"a/../../b", PathFault::DotDot),
            (b"a/..", PathFault::DotDot),
            (b".", PathFault::Dot),
            (b"./a", PathFault::Dot),
            (b"", PathFault::Empty),
            (b"a//b", PathFault::EmptyComponent),
            (b"a\0b", PathFault::Nul),
            (b"a/", PathFault::TrailingSlash),
        ] {
            assert_eq!(
                MemberPath::of_file(raw),
                Err(fault),
                "{}",
                raw.escape_ascii()
            );
        }
        assert_eq!(
            MemberPath::of_file(&vec![b'a'; 1 << 21]),
            Err(PathFault::TooLong)
        );
        assert_eq!(MemberPath::of_directory(b"/"), Err(PathFault::Absolute));
        assert_eq!(
            MemberPath::of_directory(b"a//"),
            Err(PathFault::TrailingSlash)
        );
    }

    #[test]
    fn a_path_falls_into_parents_and_name() {
        let path = MemberPath::of_directory(b"a/bc/...d/").expect("a good path");
        assert_eq!(path.parents().collect::<Vec<_>>(), [&b"a"[..], b"bc"]);
        assert_eq!(path.name(), b"...d");
        assert_eq!(path.prefix(0), b"a");
        assert_eq!(path.prefix(1), b"a/bc");
        assert_eq!(path.prefix(2), b"a/bc/...d");
        let path = MemberPath::of_file(b"a").expect("a good path");
        assert_eq!((path.parents().count(), path.name()), (0, &b"a"[..]));
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_only_plain_components(raw in "[a./\\x00]{0,12}") {
            if let Ok(path) = MemberPath::of_directory(raw.as_bytes()) {
                for component in path.parents().chain([path.name()]) {
                    prop_assert!(!component.is_empty());
                    prop_assert!(component != b"." && component != b"..");
                    prop_assert!(!component.contains(&0) && !component.contains(&b'/'));
                }
                let mut all: Vec<_> = path.parents().collect();
                all.push(path.name());
                prop_assert_eq!(all.join(&b'/'), path.bytes());
            }
        }
    }
}
