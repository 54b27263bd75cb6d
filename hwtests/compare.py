#!/usr/bin/env python3
"""Compares two directory trees in everything that a backup must bring back.

It uses nothing but Python's standard library, so that what Longhaul wrote is
not judged by Longhaul's own reader. Each difference is one line:

    PATH: KIND: what A has, what B has

Kinds, for --ignore and --except:
    missing     an entry is in A only            extra    an entry is in B only
    type        file, directory, symlink ...     size     length of a file
    content     bytes of a file                  mode     permission bits
    uid, gid    owner and group                  mtime    modification, in ns
    link-mtime  that of a symlink                link     target of a symlink
    hardlink    which names are one file         device   major and minor number
    acl         POSIX ACLs                       xattr    other extended attributes
    holes       B takes clearly more room on disk than A (only with --holes)

Exit codes: 0 equal, 1 different, 2 usage, or something could not be read.
"""

import argparse
import fnmatch
import os
import resource
import stat
import sys

KINDS = {
    "missing", "extra", "type", "size", "content", "mode", "uid", "gid", "mtime",
    "link-mtime", "link", "hardlink", "device", "acl", "xattr", "holes",
}  # fmt: skip
CHUNK = 1 << 20
# A hole that is filled shows as this much more room than the original takes.
HOLE_SLACK = 256 << 10
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def shown(name):
    """A name or value as printable text, whatever its bytes."""
    text = repr(name)[2:-1] if isinstance(name, bytes) else str(name)
    return text if len(text) <= 400 else text[:200] + "..." + text[-150:]


class Side:
    """One entry of one tree: a name in a directory that is open."""

    def __init__(self, dir_fd, name):
        self.dir_fd = dir_fd
        self.name = name
        self.stat = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        self.kind = stat.S_IFMT(self.stat.st_mode)

    def xattrs(self):
        # Through /proc, since the kernel has no call for a name in a directory.
        path = b"/proc/self/fd/%d/%s" % (self.dir_fd, self.name)
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}

    def open(self, flags=0):
        flags |= os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self.name, flags | os.O_NOATIME, dir_fd=self.dir_fd)
        except PermissionError:
            return os.open(self.name, flags, dir_fd=self.dir_fd)


def data_end(fd, at, size):
    """Where data starts at or after `at`, and where it ends."""
    try:
        start = os.lseek(fd, at, os.SEEK_DATA)
        return start, min(os.lseek(fd, start, os.SEEK_HOLE), size)
    except OSError:
        # ENXIO: a hole up to the end.
        return size, size


def first_difference(a, b, size):
    """Offset of the first byte that differs in two files of `size` bytes.

    What is a hole in both is equal without being read.
    """
    at = 0
    while at < size:
        (start_a, end_a), (start_b, end_b) = data_end(a, at, size), data_end(b, at, size)
        start = min(start_a, start_b)
        end = min(end for s, end in ((start_a, end_a), (start_b, end_b)) if s == start)
        at = start
        while at < end:
            want = min(CHUNK, end - at)
            bytes_a, bytes_b = os.pread(a, want, at), os.pread(b, want, at)
            if bytes_a != bytes_b:
                same = 0
                for x, y in zip(bytes_a, bytes_b):
                    if x != y:
                        break
                    same += 1
                return at + same
            if not bytes_a:
                return at
            at += len(bytes_a)
    return None


class Comparison:
    def __init__(self, arguments):
        self.ignored = arguments.ignore
        self.exceptions = arguments.exceptions
        self.tolerance_ns = arguments.mtime_tolerance_ns
        self.holes = arguments.holes
        self.count = 0
        self.entries = 0
        # For each tree: inode -> the first path under which it was seen.
        self.first_paths = ({}, {})

    def report(self, path, kind, a, b):
        if kind in self.ignored:
            return
        for pattern, kinds in self.exceptions:
            if kind in kinds and fnmatch.fnmatchcase(os.fsdecode(path), pattern):
                return
        self.count += 1
        print(f"{shown(path)}: {kind}: {shown(a)}, {shown(b)}")

    def check(self, path, kind, a, b):
        if a != b:
            self.report(path, kind, a, b)

    def entry(self, path, a, b):
        self.entries += 1
        if a.kind != b.kind:
            self.report(path, "type", TYPES.get(a.kind, a.kind), TYPES.get(b.kind, b.kind))
            return
        self.metadata(path, a, b)
        if a.kind == stat.S_IFREG:
            self.file(path, a, b)
        elif a.kind == stat.S_IFLNK:
            targets = (os.readlink(side.name, dir_fd=side.dir_fd) for side in (a, b))
            self.check(path, "link", *targets)
        elif a.kind in (stat.S_IFCHR, stat.S_IFBLK):
            numbers = ((os.major(n), os.minor(n)) for n in (a.stat.st_rdev, b.stat.st_rdev))
            self.check(path, "device", *numbers)
        elif a.kind == stat.S_IFDIR:
            self.directory(path, a, b)

    def metadata(self, path, a, b):
        self.check(path, "uid", a.stat.st_uid, b.stat.st_uid)
        self.check(path, "gid", a.stat.st_gid, b.stat.st_gid)
        is_link = a.kind == stat.S_IFLNK
        if not is_link:
            modes = (oct(stat.S_IMODE(side.stat.st_mode)) for side in (a, b))
            self.check(path, "mode", *modes)
        times = a.stat.st_mtime_ns, b.stat.st_mtime_ns
        if abs(times[0] - times[1]) > self.tolerance_ns:
            self.report(path, "link-mtime" if is_link else "mtime", *times)
        if a.kind != stat.S_IFDIR:
            self.hard_links(path, a, b)
        self.attributes(path, a, b)

    def hard_links(self, path, a, b):
        first = []
        for seen, side in zip(self.first_paths, (a, b)):
            if side.stat.st_nlink > 1:
                inode = side.stat.st_dev, side.stat.st_ino
                first.append(seen.setdefault(inode, path))
            else:
                first.append(path)
        self.check(path, "hardlink", *first)

    def attributes(self, path, a, b):
        have_a, have_b = a.xattrs(), b.xattrs()
        for name in sorted(have_a.keys() | have_b.keys()):
            kind = "acl" if name.startswith("system.posix_acl_") else "xattr"
            values = have_a.get(name), have_b.get(name)
            if values[0] != values[1]:
                told = (f"{name} is not set" if v is None else f"{name}={shown(v)}" for v in values)
                self.report(path, kind, *told)

    def file(self, path, a, b):
        size = a.stat.st_size
        self.check(path, "size", size, b.stat.st_size)
        room = [side.stat.st_blocks * 512 for side in (a, b)]
        if self.holes and room[1] > room[0] + HOLE_SLACK:
            self.report(path, "holes", f"{room[0]} bytes on disk", f"{room[1]} bytes on disk")
        if size != b.stat.st_size or "content" in self.ignored:
            return
        fd_a, fd_b = a.open(), b.open()
        try:
            at = first_difference(fd_a, fd_b, size)
        finally:
            os.close(fd_a)
            os.close(fd_b)
        if at is not None:
            self.report(path, "content", f"differs from byte {at} on", f"of {size}")

    def directory(self, path, a, b):
        fds = []
        try:
            fds += [a.open(os.O_DIRECTORY)]
            fds += [b.open(os.O_DIRECTORY)]
            names = [{os.fsencode(name) for name in os.listdir(fd)} for fd in fds]
            for name in sorted(names[0] | names[1]):
                below = path + b"/" + name if path != b"." else name
                if name not in names[1]:
                    self.report(below, "missing", "there", "not there")
                elif name not in names[0]:
                    self.report(below, "extra", "not there", "there")
                else:
                    self.entry(below, Side(fds[0], name), Side(fds[1], name))
        finally:
            for fd in fds:
                os.close(fd)


def kinds(text):
    found = set(text.split(","))
    if not found <= KINDS:
        raise argparse.ArgumentTypeError(f"no such kind: {', '.join(sorted(found - KINDS))}")
    return found


def exception(text):
    pattern, colon, rest = text.rpartition(":")
    if not colon:
        raise argparse.ArgumentTypeError("GLOB:KIND[,KIND...] is wanted")
    return pattern, kinds(rest)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a", metavar="A", help="the tree as it was")
    parser.add_argument("b", metavar="B", help="the tree as it is now")
    parser.add_argument("--ignore", type=kinds, default=set(), metavar="KIND[,KIND...]")
    parser.add_argument(
        "--except", dest="exceptions", type=exception, action="append", default=[],
        metavar="GLOB:KIND[,KIND...]", help="ignore these kinds where the path matches",
    )  # fmt: skip
    parser.add_argument("--mtime-tolerance-ns", type=int, default=0, metavar="NS")
    parser.add_argument("--holes", action="store_true", help="report holes that were filled")
    arguments = parser.parse_args()
    # Trees are deep: one directory of each tree is open at each level.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    sys.setrecursionlimit(20000)
    sys.stdout.reconfigure(errors="backslashreplace")
    comparison = Comparison(arguments)
    try:
        roots = []
        for tree in (arguments.a, arguments.b):
            fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            roots.append(Side(fd, b"."))
        comparison.entry(b".", *roots)
    except OSError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    if comparison.count:
        print(f"{comparison.count} differences in {comparison.entries} entries", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
