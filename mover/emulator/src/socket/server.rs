//! The server: a thread a connection, at most so many.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::wire::{Answer, CommandBytes, CommandHead, Hello, Welcome, wrong};
use crate::error::Error;
use crate::library::{Library, Ticker, Unit, lock};

/// Most connections at a time.
pub const CONNECTIONS_MAX: usize = 64;

/// How long a client may take to greet, and to send the rest of a command that
/// it has begun.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client waits for the path that another process had.
const HANDOVER: Duration = Duration::from_secs(1);

/// A library that is served on a socket.
#[derive(Debug)]
pub struct Server {
    library: Arc<Library>,
    shared: Arc<Shared>,
    socket: PathBuf,
    accepting: Option<JoinHandle<()>>,
    _ticker: Ticker,
}

#[derive(Debug)]
struct Shared {
    stopping: AtomicBool,
    connections: Mutex<Connections>,
    /// A connection has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    open: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    /// Which path it is, once it has greeted.
    path: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
    serial: String,
    initiator: String,
    pid: u32,
}

impl Server {
    /// Serves a library on a socket.
    ///
    /// A socket on which nobody listens any more is replaced.
    ///
    /// # Errors
    /// [`Error::Held`] if somebody listens, [`Error::Exists`] if something
    /// else than a socket is there, [`Error::Io`].
    pub fn start(library: Arc<Library>, socket: &Path) -> Result<Server, Error> {
        let listener = listen(socket)?;
        let ticker = Ticker::start(Arc::clone(&library))?;
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            ended: Condvar::new(),
        });
        let (theirs, served) = (Arc::clone(&shared), Arc::clone(&library));
        let accepting = thread::Builder::new()
            .name("lh-accept".to_owned())
            .spawn(move || accept(&theirs, &served, &listener))
            .map_err(|error| Error::io(socket, "start a thread for it", error))?;
        Ok(Server {
            library,
            shared,
            socket: socket.to_owned(),
            accepting: Some(accepting),
            _ticker: ticker,
        })
    }

    /// The library that is served.
    pub fn library(&self) -> &Library {
        &self.library
    }
}

/// An orderly end: connections are closed, what the drives have accepted goes
/// to the media, and the socket is removed.
impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for connection in lock(&self.shared.connections).open.values() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread, which then sees that it shall stop. If the
        // socket was taken away, nobody can.
        let woken = UnixStream::connect(&self.socket).is_ok();
        if let Some(accepting) = self.accepting.take().filter(|_| woken) {
            let _ = accepting.join();
        }
        let mut connections = lock(&self.shared.connections);
        while !connections.open.is_empty() {
            connections = wait(&self.shared.ended, connections, PATIENCE);
        }
        drop(connections);
        self.library.settle();
        if woken {
            let _ = fs::remove_file(&self.socket);
        }
    }
}

fn wait<'a, T>(
    condvar: &Condvar,
    guard: std::sync::MutexGuard<'a, T>,
    time: Duration,
) -> std::sync::MutexGuard<'a, T> {
    match condvar.wait_timeout(guard, time) {
        Ok((guard, _)) => guard,
        Err(poisoned) => poisoned.into_inner().0,
    }
}

/// Listens on a socket, in the place of one that nobody listens on.
fn listen(socket: &Path) -> Result<UnixListener, Error> {
    let failed = |error| Error::io(socket, "listen on it", error);
    match UnixListener::bind(socket) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        bound => return bound.map_err(failed),
    }
    let metadata = fs::symlink_metadata(socket).map_err(failed)?;
    if !metadata.file_type().is_socket() {
        return Err(Error::Exists {
            path: socket.to_owned(),
        });
    }
    match UnixStream::connect(socket) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(socket).map_err(failed)?;
            UnixListener::bind(socket).map_err(failed)
        }
        Err(error) => Err(failed(error)),
        Ok(_) => Err(Error::Held {
            path: socket.to_owned(),
            pid: None,
        }),
    }
}

fn accept(shared: &Arc<Shared>, library: &Arc<Library>, listener: &UnixListener) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let begun = accepted.and_then(|(stream, _)| begin(shared, library, stream));
        if let Err(error) = begun {
            log::warn!("a connection could not be taken: {error}");
            // If descriptors have run out, trying at once changes nothing.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Gives a connection a thread of its own, if there is room.
fn begin(shared: &Arc<Shared>, library: &Arc<Library>, mut stream: UnixStream) -> io::Result<()> {
    let mut connections = lock(&shared.connections);
    if connections.open.len() >= CONNECTIONS_MAX {
        log::warn!("more than {CONNECTIONS_MAX} connections");
        return Welcome::TooMany.write(&mut stream);
    }
    let id = connections.next;
    connections.next += 1;
    let copy = stream.try_clone()?;
    connections.open.insert(
        id,
        Connection {
            stream: copy,
            path: None,
        },
    );
    drop(connections);
    let (theirs, library) = (Arc::clone(shared), Arc::clone(library));
    let serve = move || {
        if let Err(error) = serve(&theirs, &library, id, stream) {
            log::warn!("a connection was closed: {error}");
        }
        // Behind the server's end nobody has it open any more.
        drop(library);
        end(&theirs, id);
    };
    let spawned = thread::Builder::new()
        .name("lh-path".to_owned())
        .spawn(serve);
    spawned.map(drop).inspect_err(|_| end(shared, id))
}

fn end(shared: &Shared, id: u64) {
    lock(&shared.connections).open.remove(&id);
    shared.ended.notify_all();
}

/// Serves a connection until its client has gone.
fn serve(shared: &Shared, library: &Library, id: u64, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let hello = match Hello::read(&mut stream) {
        Ok(hello) => hello,
        Err(error) => {
            Welcome::NotUnderstood.write(&mut stream)?;
            return Err(error);
        }
    };
    let units = library.units();
    let Some(unit) = units.iter().find(|unit| unit.serial() == hello.serial) else {
        return Welcome::NoSuchDevice.write(&mut stream);
    };
    if let Err(pid) = take_path(shared, id, &hello) {
        return Welcome::InUse(pid).write(&mut stream);
    }
    Welcome::Open.write(&mut stream)?;
    commands(unit, &hello.initiator, &mut stream)
}

/// Takes the path for this connection, waiting a moment for one that has just
/// ended.
///
/// # Errors
/// The process that has it.
fn take_path(shared: &Shared, id: u64, hello: &Hello) -> Result<(), u32> {
    let holder = |connections: &Connections| {
        let mut taken = connections.open.values().flat_map(|open| &open.path);
        let same =
            |path: &&Taken| (&path.serial, &path.initiator) == (&hello.serial, &hello.initiator);
        taken.find(same).map(|path| path.pid)
    };
    let mut connections = lock(&shared.connections);
    let until = std::time::Instant::now() + HANDOVER;
    while let Some(pid) = holder(&connections) {
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Err(pid);
        }
        connections = wait(&shared.ended, connections, left);
    }
    if let Some(mine) = connections.open.get_mut(&id) {
        mine.path = Some(Taken {
            serial: hello.serial.clone(),
            initiator: hello.initiator.clone(),
            pid: hello.pid,
        });
    }
    Ok(())
}

fn commands(unit: &Unit, initiator: &str, stream: &mut UnixStream) -> io::Result<()> {
    let nexus = unit.connect(initiator);
    let mut bytes = CommandBytes::default();
    while let Some(head) = next(stream)? {
        head.fill(stream, &mut bytes)?;
        let CommandBytes {
            cdb,
            data_out,
            data_in,
        } = &mut bytes;
        let response = unit.execute(nexus, cdb, data_out, data_in);
        if !pause(stream, response.took)? {
            return Ok(());
        }
        let answer = Answer {
            status: response.status,
            sense: response.sense,
            moved: response.transferred,
        };
        answer.write(stream)?;
        if !data_in.is_empty() {
            stream.write_all(&data_in[..response.transferred])?;
        }
    }
    Ok(())
}

/// The next command's head; `None` if the client has gone.
fn next(stream: &mut UnixStream) -> io::Result<Option<CommandHead>> {
    let mut head = [0; CommandHead::BYTES];
    // Between commands a client may be silent for as long as it likes.
    stream.set_read_timeout(None)?;
    if is_end(stream.read(&mut head[..1]))? {
        return Ok(None);
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut head[1..])?;
    CommandHead::parse(head).map(Some)
}

/// Lets so much time pass, unless the client goes meanwhile: then it is `false`.
fn pause(stream: &mut UnixStream, time: Duration) -> io::Result<bool> {
    if time.is_zero() {
        return Ok(true);
    }
    stream.set_read_timeout(Some(time))?;
    let read = stream.read(&mut [0]);
    if matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
        return Ok(true);
    }
    if is_end(read)? {
        return Ok(false);
    }
    Err(wrong("a second command while one is in flight"))
}

/// Whether the client has gone, in order or by its death.
fn is_end(read: io::Result<usize>) -> io::Result<bool> {
    match read {
        Ok(bytes) => Ok(bytes == 0),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error),
    }
}
