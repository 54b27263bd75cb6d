//! Two peers that know each other.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use longhaul_protocol::Time;
use longhaul_protocol::frame::{Decoder, FrameError};
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::identity::Identity;
use crate::outbox::{Outbox, WRITE_LIMIT, Writer, outbox};
use crate::role::{COORDINATOR_DNS, Claim, NoRole, Role, claim};

/// Peers have shown each other their certificates within this time.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// The other side takes a TCP connection within this time.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// All of a message has come within this time from its first byte.
pub const MESSAGE_LIMIT: Duration = Duration::from_secs(30);
/// The peer's kernel confirms what was sent to it within this time, in
/// milliseconds; otherwise it is gone without a word. Since a service says
/// something every few seconds, it finds out about a dead coordinator by this.
const CONFIRM_LIMIT_MS: u32 = 15_000;
/// The same, while there is reason to believe that the peer is gone.
const DOUBTED_LIMIT_MS: u32 = 2_000;
/// Bytes that are read at once: a TLS record's (RFC 8446 5.1).
const READ_BYTES: usize = 16 << 10;

/// Why there is no connection, or no more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It ended in the middle of a message.
    #[error("the connection ended in the middle of a message")]
    Cut,
    /// Something came that is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The rest of a message did not come.
    #[error("half a message, and no more of it within {} s", MESSAGE_LIMIT.as_secs())]
    Half,
    /// No TLS connection came about.
    #[error("no TLS connection: {0}")]
    Handshake(String),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The peer's certificate does not say who it is.
    #[error(transparent)]
    NoRole(#[from] NoRole),
    /// The connection is over.
    #[error("the connection is over")]
    Over,
    /// Nothing came in time.
    #[error("nothing was said for {} s", .0.as_secs())]
    Silent(Duration),
    /// Nobody takes a connection there.
    #[error("nobody is to be reached at {0}: {1}")]
    Unreachable(String, String),
    /// The peer does not read what is written to it.
    #[error("what is said to it is not read, not within {} s", WRITE_LIMIT.as_secs())]
    Unread,
}

/// A connection to a peer whose certificate was checked.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    peer: Claim,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection to {} at {}", self.peer.role, self.address)
    }
}

/// How long a connection bears with a peer whose kernel confirms nothing.
#[derive(Debug)]
pub struct Patience {
    socket: OwnedFd,
}

impl Patience {
    /// The peer may be gone without a word: what is sent to it and not confirmed within
    /// 2 s ends the connection, instead of 15 s (tcp(7), TCP_USER_TIMEOUT).
    pub fn shorten(&self) {
        self.set(DOUBTED_LIMIT_MS);
    }

    /// The peer is there.
    pub fn restore(&self) {
        self.set(CONFIRM_LIMIT_MS);
    }

    fn set(&self, milliseconds: u32) {
        // A connection that is over has nothing to wait for.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&self.socket, milliseconds);
    }
}

/// The write half of a connection.
pub type LinkWriter<M> = Writer<WriteHalf<TlsStream<TcpStream>>, M>;
/// The read half of a connection.
pub type LinkReader = Reader<ReadHalf<TlsStream<TcpStream>>>;

impl Connection {
    /// Goes to the coordinator, at an address as `host:port`, and takes nobody
    /// else for it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn connect(identity: &Identity, address: &str) -> Result<Connection, LinkError> {
        let unreachable = |why: String| LinkError::Unreachable(address.into(), why);
        let stream = timeout(CONNECT_LIMIT, TcpStream::connect(address))
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", CONNECT_LIMIT.as_secs())))?
            .map_err(|error| unreachable(error.to_string()))?;
        let name = ServerName::try_from(COORDINATOR_DNS)
            .map_err(|error| LinkError::Handshake(error.to_string()))?;
        let connector = TlsConnector::from(identity.client.clone());
        Connection::agree(identity, stream, |stream| connector.connect(name, stream)).await
    }

    /// Takes a peer that has come, if it has a certificate of this authority.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn accept(identity: &Identity, stream: TcpStream) -> Result<Connection, LinkError> {
        let acceptor = TlsAcceptor::from(identity.server.clone());
        Connection::agree(identity, stream, |stream| acceptor.accept(stream)).await
    }

    async fn agree<F, S>(
        identity: &Identity,
        stream: TcpStream,
        handshake: impl FnOnce(TcpStream) -> F,
    ) -> Result<Connection, LinkError>
    where
        F: Future<Output = io::Result<S>>,
        TlsStream<TcpStream>: From<S>,
    {
        let address = stream.peer_addr()?;
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_tcp_user_timeout(&stream, CONFIRM_LIMIT_MS)
            .map_err(io::Error::from)?;
        let agreed = timeout(HANDSHAKE_LIMIT, handshake(stream)).await;
        let stream = agreed
            .map_err(|_| {
                let limit = HANDSHAKE_LIMIT.as_secs();
                LinkError::Handshake(format!("the peer did not agree within {limit} s"))
            })?
            .map_err(|error| LinkError::Handshake(error.to_string()))?;
        let stream = TlsStream::from(stream);
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(<[_]>::first);
        let shown = certificate
            .ok_or_else(|| LinkError::Handshake("the peer has shown no certificate".into()))?;
        let claim = claim(shown)?;
        if claim.cluster != identity.cluster() {
            let why = format!("the peer's certificate is of cluster {}", claim.cluster);
            return Err(LinkError::Handshake(why));
        }
        Ok(Connection {
            stream,
            address,
            peer: claim,
        })
    }

    /// Who the peer is.
    pub fn peer(&self) -> &Role {
        &self.peer.role
    }

    /// When its certificate ends.
    pub fn peer_expires(&self) -> Time {
        self.peer.expires
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What says how long it waits for its peer, also when it is split.
    ///
    /// # Errors
    /// The kernel's, if the process has too many files.
    pub fn patience(&self) -> io::Result<Patience> {
        let (stream, _) = self.stream.get_ref();
        let socket = stream.as_fd().try_clone_to_owned()?;
        Ok(Patience { socket })
    }

    /// The bytes that go both ways, for who speaks otherwise: a test of what is
    /// refused.
    pub fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }

    /// Its two halves, and where what is to be written is put. Whoever has the
    /// halves runs both at once: the connection is over when one of them is.
    pub fn split<M>(self) -> (LinkReader, LinkWriter<M>, Outbox<M>) {
        let (read, write) = split(self.stream);
        let (writer, outbox) = outbox(write);
        (Reader::new(read), writer, outbox)
    }
}

/// The read half of a connection.
pub struct Reader<R> {
    stream: R,
    decoder: Decoder,
    buffer: Box<[u8]>,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(stream: R) -> Reader<R> {
        Reader {
            stream,
            decoder: Decoder::default(),
            buffer: vec![0; READ_BYTES].into(),
        }
    }

    /// The next message; none if the peer has ended the connection behind the
    /// last one. It waits so long for one to begin.
    ///
    /// # Errors
    /// [`LinkError`], and the connection is over then.
    pub async fn message<M: DeserializeOwned>(
        &mut self,
        patience: Duration,
    ) -> Result<Option<M>, LinkError> {
        let begun = Instant::now();
        let mut first_byte = None;
        loop {
            if let Some(message) = self.decoder.message()? {
                return Ok(Some(message));
            }
            let is_half = self.decoder.is_half();
            let deadline = match is_half {
                true => *first_byte.get_or_insert_with(Instant::now) + MESSAGE_LIMIT,
                false => begun + patience,
            };
            let read = timeout_at(deadline, self.stream.read(&mut self.buffer)).await;
            let bytes = match read {
                Err(_) if is_half => return Err(LinkError::Half),
                Err(_) => return Err(LinkError::Silent(patience)),
                // Who dies says no goodbye.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Ok(read) => read?,
            };
            match self.buffer.get(..bytes) {
                None | Some([]) if is_half => return Err(LinkError::Cut),
                None | Some([]) => return Ok(None),
                Some(bytes) => self.decoder.push(bytes),
            }
        }
    }
}
