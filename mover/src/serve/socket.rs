//! The socket at which programs of this node ask the service: the agents of its
//! cluster.
//!
//! Anybody can connect, and the kernel says who it is. Root and the service's own
//! user may ask for anything; others may hand over an alert, which decides nothing,
//! and only so many.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use longhaul_protocol::job::TEXT_BYTES_MAX;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::request::{Answer, LINE_BYTES_MAX, Request};
use super::{Happened, ServeError};

/// Connections at a time of those who may ask for anything, and of others.
const CONNECTIONS: (usize, usize) = (16, 32);
/// A request, and an answer, take no longer on their way.
const LINE_TIME: Duration = Duration::from_secs(5);
/// Nobody waits longer for a mount that is to be released.
const RELEASE_TIME: Duration = Duration::from_secs(60);
/// Between two alerts of those who may say nothing else: the coordinator gets them
/// all.
const ALERT_PAUSE: Duration = Duration::from_millis(20);
/// After an error of the kernel.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket at which it is listened. Its file goes with the value.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Listens; what is asked goes to `to`. The folder of the socket is made if it
    /// is missing, and a file that a dead service has left there is replaced.
    ///
    /// # Errors
    /// [`ServeError::Busy`] if somebody else listens there, [`ServeError::State`] if
    /// it cannot be made, [`ServeError::Thread`].
    pub fn open(path: &Path, to: Sender<Happened>) -> Result<Socket, ServeError> {
        make_room(path)?;
        let listener = net::UnixListener::bind(path).map_err(ServeError::state(path))?;
        let socket = Socket {
            path: path.to_owned(),
        };
        fs::set_permissions(path, Permissions::from_mode(0o666))
            .and_then(|()| listener.set_nonblocking(true))
            .map_err(ServeError::state(path))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Thread)?;
        let body = move || {
            if let Err(error) = runtime.block_on(listen(listener, to)) {
                log::error!("nobody can ask this service: {error}");
            }
        };
        thread::Builder::new()
            .name("lh-socket".into())
            .spawn(body)
            .map_err(ServeError::Thread)?;
        Ok(socket)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // What is left is replaced by the next service.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the folder, and removes what a service before has left.
fn make_room(path: &Path) -> Result<(), ServeError> {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        fs::create_dir(folder)
            // Whatever the umask: others are to come in.
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755)))
            .map_err(ServeError::state(folder))?;
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ServeError::state(path)(error)),
        Ok(found) if !found.file_type().is_socket() => {
            let what = io::Error::new(ErrorKind::AlreadyExists, "there is a file, and no socket");
            Err(ServeError::state(path)(what))
        }
        // The lock of its state says that this service is the only one, but
        // another one with another state may have been told the same socket.
        Ok(_) if net::UnixStream::connect(path).is_ok() => Err(ServeError::Busy(format!(
            "{}: another service listens there; give each its own `socket`",
            path.display()
        ))),
        Ok(_) => fs::remove_file(path).map_err(ServeError::state(path)),
    }
}

async fn listen(listener: net::UnixListener, to: Sender<Happened>) -> io::Result<()> {
    let listener = UnixListener::from_std(listener)?;
    let own = nix::unistd::geteuid().as_raw();
    let ours = Arc::new(Semaphore::new(CONNECTIONS.0));
    let others = Arc::new(Semaphore::new(CONNECTIONS.1));
    let turn = Arc::new(Mutex::new(()));
    loop {
        let peer = async {
            let (stream, _) = listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            io::Result::Ok((stream, uid))
        };
        let (stream, uid) = match peer.await {
            Ok(peer) => peer,
            Err(error) => {
                log::warn!("a program of this node: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        let may_all = uid == 0 || uid == own;
        let slots = if may_all { &ours } else { &others };
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            log::warn!("a program of user {uid} is not heard: too many are");
            continue;
        };
        let asked = Asked {
            uid,
            may_all,
            turn: Arc::clone(&turn),
            to: to.clone(),
        };
        tokio::spawn(async move {
            asked.talk(stream).await;
            drop(slot);
        });
    }
}

/// A program that asks.
struct Asked {
    uid: u32,
    may_all: bool,
    /// Those who may only hand over alerts take turns.
    turn: Arc<Mutex<()>>,
    to: Sender<Happened>,
}

impl Asked {
    async fn talk(self, stream: UnixStream) {
        let (from, mut answers) = stream.into_split();
        let answer = match timeout(LINE_TIME, request(from)).await {
            Ok(Ok(request)) => self.obey(request).await,
            Ok(Err(error)) => Err(format!("no request: {error}")),
            Err(_) => return,
        };
        let answer = answer.map_or_else(|why| Answer::Refused { why }, |()| Answer::Done);
        let Ok(mut line) = serde_json::to_vec(&answer) else {
            return;
        };
        line.push(b'\n');
        // Whoever does not wait for it has given up.
        let _ = timeout(LINE_TIME, answers.write_all(&line)).await;
    }

    async fn obey(&self, request: Request) -> Result<(), String> {
        if !self.may_all && !matches!(request, Request::Alert { .. }) {
            let uid = self.uid;
            log::warn!("user {uid} is refused what only root may ask for");
            return Err(format!(
                "user {uid} may hand over alerts, and nothing else; ask as root"
            ));
        }
        match request {
            Request::Alert { event } => {
                let turn = match self.may_all {
                    true => None,
                    false => Some(self.turn.lock().await),
                };
                self.tell(Happened::Alert(Box::new(event)))?;
                if turn.is_some() {
                    sleep(ALERT_PAUSE).await;
                }
                Ok(())
            }
            Request::Release { mount } => {
                let (released, is_released) = oneshot::channel();
                self.tell(Happened::Release(real(mount).await?, released))?;
                let is_released = timeout(RELEASE_TIME, is_released).await;
                match is_released {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err("the service ends".into()),
                    Err(_) => Err("a backup does not end".into()),
                }
            }
            Request::Admit { mount } => self.tell(Happened::Admit(real(mount).await?)),
        }
    }

    /// The service may be busy for a while; nothing else is to be done here
    /// meanwhile.
    fn tell(&self, happened: Happened) -> Result<(), String> {
        self.to
            .send(happened)
            .map_err(|_| "the service ends".to_owned())
    }
}

async fn request(from: impl AsyncReadExt + Unpin) -> io::Result<Request> {
    let mut line = Vec::new();
    let from = from.take(LINE_BYTES_MAX as u64);
    BufReader::new(from).read_until(b'\n', &mut line).await?;
    Ok(serde_json::from_slice(&line)?)
}

/// Where a mount point really is. Other tasks go on if that takes its time.
async fn real(mount: PathBuf) -> Result<PathBuf, String> {
    if !mount.is_absolute() || mount.as_os_str().len() > TEXT_BYTES_MAX {
        return Err(format!(
            "a mount point is an absolute path of at most {TEXT_BYTES_MAX} bytes"
        ));
    }
    let found = tokio::task::spawn_blocking(move || leads(&mount)).await;
    found.map_err(|error| error.to_string())
}

/// Where a path leads, without links, as far as it is there.
pub fn leads(path: &Path) -> PathBuf {
    let mut behind = Vec::new();
    let mut here = path;
    loop {
        if let Ok(found) = here.canonicalize() {
            return behind.iter().rev().fold(found, |at, name| at.join(name));
        }
        let (Some(before), Some(name)) = (here.parent(), here.file_name()) else {
            return path.to_owned();
        };
        behind.push(name);
        here = before;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crossbeam_channel::{Receiver, bounded};

    use super::*;
    use crate::serve::request::{AskError, ask};

    fn listening(path: &Path) -> (Socket, Receiver<Happened>) {
        let (to, happened) = bounded(8);
        let socket = Socket::open(path, to).expect("a socket");
        (socket, happened)
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_mount_is_released_when_the_service_says_so_and_without_its_links() {
        let dir = tempfile::tempdir().expect("a folder");
        let base = dir.path().canonicalize().expect("its name");
        fs::create_dir(base.join("there")).expect("a folder");
        symlink("there", base.join("link")).expect("a link");
        let path = base.join("new").join("sock");
        let (socket, happened) = listening(&path);
        let request = Request::Release {
            mount: base.join("link").join("not").join("yet"),
        };
        let asked = thread::spawn(move || ask(&path, &request, LIMIT));
        let Ok(Happened::Release(mount, released)) = happened.recv() else {
            panic!("something else");
        };
        assert_eq!(mount, base.join("there").join("not").join("yet"));
        assert!(!asked.is_finished());
        released.send(()).expect("it is waited for");
        asked.join().expect("a thread").expect("released");
        drop(socket);
        assert!(!base.join("new").join("sock").exists());
    }

    #[test]
    fn what_is_no_request_is_refused_and_a_peer_that_is_gone_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sock");
        let (_socket, happened) = listening(&path);
        let relative = Request::Admit {
            mount: "srv".into(),
        };
        let refused = ask(&path, &relative, LIMIT).expect_err("refused");
        assert!(refused.to_string().contains("absolute"), "{refused}");
        for line in [&b"\n"[..], b"{}\n", &[b'x'; LINE_BYTES_MAX]] {
            use std::io::{Read as _, Write as _};
            let mut stream = net::UnixStream::connect(&path).expect("connected");
            stream.write_all(line).expect("said");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert!(answer.contains("no request"), "{answer}");
        }
        drop(net::UnixStream::connect(&path).expect("connected"));
        let admit = Request::Admit {
            mount: "/srv".into(),
        };
        ask(&path, &admit, LIMIT).expect("done");
        assert!(matches!(happened.try_recv(), Ok(Happened::Admit(_))));
        assert!(happened.try_recv().is_err(), "nothing else was asked");
    }

    #[test]
    fn a_socket_of_a_dead_service_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sock");
        drop(net::UnixListener::bind(&path).expect("a socket"));
        let request = Request::Admit {
            mount: "/srv".into(),
        };
        let refused = ask(&path, &request, LIMIT).expect_err("nobody is there");
        assert!(matches!(refused, AskError::NoService(_)), "{refused}");
        let (_socket, _happened) = listening(&path);
        ask(&path, &request, LIMIT).expect("done");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o666);
        let second = Socket::open(&path, bounded(1).0).expect_err("it is in use");
        assert!(matches!(second, ServeError::Busy(_)), "{second}");
        let file = dir.path().join("file");
        fs::write(&file, "precious").expect("a file");
        Socket::open(&file, bounded(1).0).expect_err("no socket");
        assert_eq!(fs::read(&file).expect("still there"), b"precious");
    }
}
