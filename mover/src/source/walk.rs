//! The walk: one thread that knows the order, many that wait for disks.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, RawDir};
use rustix::io::Errno;

use super::roots::Start;
use super::{Found, Problem, Roots, examine};
use crate::checkpoint::Place;

/// Threads that list, open and examine. They mostly wait: with a cold cache
/// the disk's queue is what is to be filled.
const WORKERS: usize = 64;

/// Files that one piece of work opens.
const BATCH: usize = 16;

/// Most pieces of work under way: with [`BATCH`], bounds the open files.
const BATCHES_AHEAD_MAX: usize = 256;

/// How many files this process may hold open (`RLIMIT_NOFILE`).
pub fn open_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Directories that are listed before the walk comes to them.
const LISTINGS_AHEAD: usize = 64;

/// Deepest nesting of directories. A path of `PATH_MAX` bytes can have no more
/// than 2,048; deeper trees exist, and each level holds a descriptor.
const DEPTH_MAX: usize = 4096;

/// What a walk may leave out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Paths that match are left out, and all that is below them.
    pub excludes: GlobSet,
    /// The same, as they were given.
    pub patterns: Vec<String>,
    /// Do not go into other file systems than those of the paths asked for.
    pub one_file_system: bool,
}

impl Options {
    /// Options from patterns. A pattern without a `/` is matched against names
    /// at any depth, one with a `/` against the whole path from the root.
    ///
    /// # Errors
    /// The pattern that cannot be understood, in words.
    pub fn new(patterns: &[String], one_file_system: bool) -> Result<Options, String> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            if pattern.trim_matches('/').is_empty() {
                return Err(format!(
                    "--exclude {pattern:?}: a pattern that matches everything"
                ));
            }
            let whole = match pattern.strip_prefix('/') {
                Some(rest) => rest.trim_end_matches('/').to_owned(),
                None if pattern.trim_end_matches('/').contains('/') => {
                    pattern.trim_end_matches('/').to_owned()
                }
                None => format!("**/{}", pattern.trim_end_matches('/')),
            };
            let glob = GlobBuilder::new(&whole)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| format!("--exclude {pattern}: {error}"))?;
            set.add(glob);
        }
        let excludes = set.build().map_err(|error| format!("--exclude: {error}"))?;
        Ok(Options {
            excludes,
            patterns: patterns.to_vec(),
            one_file_system,
        })
    }

    pub(super) fn leaves_out(&self, member: &[u8]) -> bool {
        let path = member.strip_suffix(b"/").unwrap_or(member);
        !self.excludes.is_empty() && self.excludes.is_match(Path::new(OsStr::from_bytes(path)))
    }
}

/// Everything below the roots, in order. Dropping it ends its threads.
pub struct Source {
    /// The batches in the walk's order, each of which comes when it is ready.
    ordered: Option<Receiver<Receiver<Vec<Found>>>>,
    current: std::vec::IntoIter<Found>,
    threads: Vec<JoinHandle<()>>,
}

impl Source {
    /// Starts a walk of what comes at or behind `from`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(roots: &Roots, options: &Options, from: &Place) -> std::io::Result<Source> {
        // A quarter of what may be open is the pipeline's, and as much is for
        // directories and all else.
        let ahead = (open_files() / 4 / BATCH).clamp(2, BATCHES_AHEAD_MAX);
        let (work, queue) = bounded::<Work>(ahead);
        let (order, ordered) = bounded(ahead);
        let mut threads = Vec::with_capacity(WORKERS + 1);
        for _ in 0..WORKERS {
            let queue = queue.clone();
            let thread = std::thread::Builder::new()
                .name("lh-open".into())
                .stack_size(256 * 1024);
            threads.push(thread.spawn(move || queue.iter().for_each(Work::run))?);
        }
        let walk = Walk {
            starts: roots.starts.clone(),
            asked: roots.asked.clone(),
            options: options.clone(),
            from: from.clone(),
            work,
            order,
            batch: Vec::new(),
            frames: Vec::new(),
            listings: 0,
        };
        let thread = std::thread::Builder::new().name("lh-walk".into());
        threads.push(thread.spawn(move || {
            // An error only says that nobody wants more.
            let _ = walk.run();
        })?);
        Ok(Source {
            ordered: Some(ordered),
            current: Vec::new().into_iter(),
            threads,
        })
    }
}

impl Iterator for Source {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.current.next() {
                return Some(found);
            }
            let batch = self.ordered.as_ref()?.recv().ok()?;
            self.current = batch.recv().ok()?.into_iter();
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.ordered = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What the pool of threads does.
enum Work {
    Examine {
        items: Vec<Item>,
        done: Sender<Vec<Found>>,
    },
    List {
        parent: Arc<OwnedFd>,
        name: CString,
        path: Vec<u8>,
        done: Sender<Listing>,
    },
}

/// A name to be examined, or what is already known of it.
enum Item {
    Name {
        parent: Arc<OwnedFd>,
        name: CString,
        listed: FileType,
        path: Vec<u8>,
    },
    Ready(Found),
}

impl Work {
    fn run(self) {
        // Receivers that are gone belong to a walk that was given up.
        match self {
            Work::Examine { items, done } => {
                let found = items.into_iter().filter_map(|item| match item {
                    Item::Name {
                        parent,
                        name,
                        listed,
                        path,
                    } => examine::examine(parent.as_fd(), &name, listed, path),
                    Item::Ready(found) => Some(found),
                });
                let _ = done.send(found.collect());
            }
            Work::List {
                parent,
                name,
                path,
                done,
            } => {
                let _ = done.send(list(parent.as_fd(), &name, path));
            }
        }
    }
}

/// A directory: its own entry, and the names in it, in order.
struct Listing {
    found: Vec<Found>,
    open: Option<Open>,
}

struct Open {
    fd: Arc<OwnedFd>,
    path: Vec<u8>,
    names: Vec<Name>,
    dev: u64,
    ino: u64,
}

struct Name {
    name: CString,
    kind: FileType,
}

impl Name {
    fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// The name as it stands in paths: the order's key.
    fn key(&self) -> impl Iterator<Item = u8> {
        self.name
            .to_bytes()
            .iter()
            .copied()
            .chain(self.is_directory().then_some(b'/'))
    }
}

fn list(parent: BorrowedFd<'_>, name: &CStr, path: Vec<u8>) -> Listing {
    let mut found = Vec::new();
    let words = |error: Errno| std::io::Error::from(error).to_string();
    let fd = match examine::open_at(parent, name, OFlags::DIRECTORY) {
        Ok(fd) => Arc::new(fd),
        Err(error) => {
            // What the parent shows of it is still worth keeping.
            if let Ok(entry) = examine::closed_directory(parent, name, &path) {
                found.push(Found::Entry(Box::new(entry)));
            }
            let what = if error == Errno::NOENT {
                "vanished".into()
            } else {
                words(error)
            };
            found.push(Found::Problem(Problem { path, what }));
            return Listing { found, open: None };
        }
    };
    let entry = match examine::directory(fd.as_fd(), &path) {
        Ok(entry) => entry,
        Err(error) => {
            found.push(Found::Problem(Problem {
                path,
                what: words(error),
            }));
            return Listing { found, open: None };
        }
    };
    let (dev, ino) = (entry.inode.dev, entry.inode.ino);
    // The root directory itself has no name that an archive could give it.
    if !path.is_empty() {
        found.push(Found::Entry(Box::new(entry)));
    }
    let (names, error) = names(fd.as_fd());
    if let Some(error) = error {
        let what = format!("could not be listed to its end: {}", words(error));
        found.push(Found::Problem(Problem {
            path: path.clone(),
            what,
        }));
    }
    Listing {
        found,
        open: Some(Open {
            fd,
            path,
            names,
            dev,
            ino,
        }),
    }
}

/// All names in a directory, sorted as paths are, and what went wrong.
fn names(fd: BorrowedFd<'_>) -> (Vec<Name>, Option<Errno>) {
    let mut space = vec![MaybeUninit::uninit(); 32 * 1024];
    let mut directory = RawDir::new(fd, &mut space);
    let mut names = Vec::new();
    let mut error = None;
    while let Some(entry) = directory.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(errno) => {
                error = Some(errno);
                break;
            }
        };
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            let stat = rustix::fs::statat(fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            kind = stat.map_or(FileType::RegularFile, |stat| {
                FileType::from_raw_mode(stat.st_mode)
            });
        }
        names.push(Name {
            name: entry.file_name().to_owned(),
            kind,
        });
    }
    names.sort_unstable_by(|a, b| a.key().cmp(b.key()));
    (names, error)
}

/// Nobody wants more.
struct Stopped;

/// The thread that knows the order.
struct Walk {
    starts: Vec<Start>,
    asked: Vec<Vec<u8>>,
    options: Options,
    /// What comes before was stored already.
    from: Place,
    work: Sender<Work>,
    order: Sender<Receiver<Vec<Found>>>,
    batch: Vec<Item>,
    /// The directories that the walk is in, outermost first.
    frames: Vec<Frame>,
    /// Listings asked for and not yet taken, in all frames.
    listings: usize,
}

struct Frame {
    open: Open,
    /// The next name to go to, and the next to list ahead.
    next: usize,
    ahead: usize,
    /// Listings under way, with their names' places.
    pending: VecDeque<(usize, Receiver<Listing>)>,
}

impl Walk {
    fn run(mut self) -> Result<(), Stopped> {
        for start in std::mem::take(&mut self.starts) {
            self.start(&start)?;
            while let Some(frame) = self.frames.last() {
                if frame.next < frame.open.names.len() {
                    self.list_ahead()?;
                    self.step()?;
                } else {
                    self.frames.pop();
                }
            }
        }
        self.flush()
    }

    fn start(&mut self, start: &Start) -> Result<(), Stopped> {
        if left_out(&self.options, &self.from, &start.member) {
            return Ok(());
        }
        let parent = start.path.parent().unwrap_or(Path::new("/"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, parent, flags, rustix::fs::Mode::empty());
        let name = start.path.file_name().unwrap_or(OsStr::new("."));
        let (parent, name) = match (opened, CString::new(name.as_bytes())) {
            (Ok(parent), Ok(name)) => (Arc::new(parent), name),
            (Err(error), _) => {
                let what = std::io::Error::from(error).to_string();
                return self.push(Item::Ready(Found::Problem(Problem::new(
                    &start.member,
                    what,
                ))));
            }
            (_, Err(error)) => {
                let problem = Problem::new(&start.member, error.to_string());
                return self.push(Item::Ready(Found::Problem(problem)));
            }
        };
        if start.is_directory {
            let listing = list(parent.as_fd(), &name, start.member.clone());
            self.enter(listing)
        } else {
            let listed = FileType::Unknown;
            self.push(Item::Name {
                parent,
                name,
                listed,
                path: start.member.clone(),
            })
        }
    }

    /// Goes to the next name of the innermost directory.
    fn step(&mut self) -> Result<(), Stopped> {
        let frame = self.frames.last_mut().expect("called inside a directory");
        let place = frame.next;
        frame.next += 1;
        let Name { name, kind } = &frame.open.names[place];
        let path = member_path(&frame.open.path, &frame.open.names[place]);
        if frame.open.names[place].is_directory() {
            let listing = match frame.pending.front() {
                Some((ready, _)) if *ready == place => {
                    let (_, listing) = frame.pending.pop_front().expect("seen");
                    self.listings -= 1;
                    listing.recv().map_err(|_| Stopped)?
                }
                _ if left_out(&self.options, &self.from, &path) => return Ok(()),
                _ => list(frame.open.fd.as_fd(), name, path),
            };
            self.enter(listing)
        } else {
            let parent = Arc::clone(&frame.open.fd);
            let (name, listed) = (name.clone(), *kind);
            if left_out(&self.options, &self.from, &path) {
                return Ok(());
            }
            self.push(Item::Name {
                parent,
                name,
                listed,
                path,
            })
        }
    }

    /// Has directories of the innermost one listed before the walk is there.
    fn list_ahead(&mut self) -> Result<(), Stopped> {
        let frame = self.frames.last_mut().expect("called inside a directory");
        frame.ahead = frame.ahead.max(frame.next);
        while self.listings < LISTINGS_AHEAD && frame.ahead < frame.open.names.len() {
            let place = frame.ahead;
            frame.ahead += 1;
            let name = &frame.open.names[place];
            if !name.is_directory() {
                continue;
            }
            let path = member_path(&frame.open.path, name);
            if left_out(&self.options, &self.from, &path) {
                continue;
            }
            let (done, listing) = bounded(1);
            let parent = Arc::clone(&frame.open.fd);
            let work = Work::List {
                parent,
                name: name.name.clone(),
                path,
                done,
            };
            self.work.send(work).map_err(|_| Stopped)?;
            frame.pending.push_back((place, listing));
            self.listings += 1;
        }
        Ok(())
    }

    /// Puts a directory's own entry out, and goes into it where it may.
    fn enter(&mut self, listing: Listing) -> Result<(), Stopped> {
        for found in listing.found {
            let stored = matches!(&found, Found::Entry(entry)
                if !self.from.is_before(&entry.member.path));
            if !stored {
                self.push(Item::Ready(found))?;
            }
        }
        let Some(open) = listing.open else {
            return Ok(());
        };
        let looped = self
            .frames
            .iter()
            .any(|f| (f.open.dev, f.open.ino) == (open.dev, open.ino));
        let refused = if looped {
            Some("a directory that contains itself; its content is left out")
        } else if self.frames.len() >= DEPTH_MAX {
            Some("nested too deeply; its content is left out")
        } else {
            None
        };
        if let Some(what) = refused {
            return self.push(Item::Ready(Found::Problem(Problem::new(&open.path, what))));
        }
        let crosses = self
            .frames
            .last()
            .is_some_and(|frame| frame.open.dev != open.dev);
        if crosses && self.options.one_file_system && !self.asked.contains(&open.path) {
            return Ok(());
        }
        self.frames.push(Frame {
            open,
            next: 0,
            ahead: 0,
            pending: VecDeque::new(),
        });
        Ok(())
    }

    fn push(&mut self, item: Item) -> Result<(), Stopped> {
        self.batch.push(item);
        if self.batch.len() < BATCH {
            Ok(())
        } else {
            self.flush()
        }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let (done, found) = bounded(1);
        let items = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.order.send(found).map_err(|_| Stopped)?;
        self.work
            .send(Work::Examine { items, done })
            .map_err(|_| Stopped)
    }
}

/// Whether neither this path nor anything below it is wanted.
fn left_out(options: &Options, from: &Place, path: &[u8]) -> bool {
    let is_directory = path.is_empty() || path.ends_with(b"/");
    let more_below = is_directory && from.path().0.starts_with(path);
    !(from.is_before(path) || more_below) || options.leaves_out(path)
}

fn member_path(parent: &[u8], name: &Name) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + name.name.count_bytes() + 1);
    path.extend_from_slice(parent);
    path.extend(name.key());
    path
}
