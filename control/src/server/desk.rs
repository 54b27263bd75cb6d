//! Where connections bring what was said, and the thread that decides takes it
//! from.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_cluster::Snapshot;
use longhaul_link::Outbox;
use longhaul_protocol::{Answer, Ask, Command, Hello, Name, Order, Report, Time};
use tokio::sync::{mpsc, oneshot};

use super::cluster::Looks;
use crate::core::Asker;
use crate::core::state::Told;

/// What waits to be decided. When so much does, who has more to say waits: TCP
/// tells his peer.
pub(crate) const WAITING_MAX: usize = 256;

/// Which connection, of all that this process had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkId(u64);

/// What is brought.
pub(crate) enum Said {
    /// A service introduces itself on a new connection.
    Hello {
        link: LinkId,
        address: SocketAddr,
        /// When its certificate does.
        expires: Time,
        hello: Hello,
        outbox: Outbox<Order>,
    },
    /// A service says something.
    Report(LinkId, Name, Report),
    /// A service's connection is gone.
    Gone(LinkId, Name),
    /// An operator asks. He is answered when what follows is durable.
    Ask(Asker, Ask, oneshot::Sender<Answer>),
    /// An operator has left.
    AskerGone(Asker),
    /// People were told something, or not.
    Told(Told),
    /// The coordinator's file was read again.
    Reloaded {
        /// How long a run waits after its attempt broke off, in milliseconds.
        retry_ms: u64,
        /// When the coordinator's certificate ends.
        expires: Time,
    },
    /// How things stand in the cluster; nothing, if nobody says so.
    Cluster(Option<Box<Snapshot>>),
    /// Time passes.
    Tick,
}

/// The coordinator has ended, or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator ends")]
pub struct Ends;

/// Where things are brought.
pub struct Desk {
    said: mpsc::Sender<Said>,
    links: AtomicU64,
    looks: Arc<Looks>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    pub(crate) fn new(looks: Arc<Looks>) -> (Desk, mpsc::Receiver<Said>) {
        let (said, takes) = mpsc::channel(WAITING_MAX);
        let links = AtomicU64::new(0);
        (Desk { said, links, looks }, takes)
    }

    pub(crate) fn new_link(&self) -> LinkId {
        LinkId(self.links.fetch_add(1, Ordering::Relaxed))
    }

    /// Brings something; waits while too much waits already.
    pub(crate) async fn bring(&self, said: Said) -> Result<(), Ends> {
        self.said.send(said).await.map_err(|_| Ends)
    }

    pub(crate) fn new_asker(&self) -> Asker {
        Asker(self.new_link().0)
    }

    /// Asks for an operator, and waits for the answer. That a node is dead is held
    /// against what the cluster says now, not a while ago.
    ///
    /// # Errors
    /// [`Ends`], and it is not known whether a command was carried out.
    pub(crate) async fn ask(&self, asker: Asker, ask: Ask) -> Result<Answer, Ends> {
        if let Ask::Command(Command::ConfirmFenced { .. }) = &ask {
            self.looks.anew().await;
        }
        let (sender, answer) = oneshot::channel();
        self.bring(Said::Ask(asker, ask, sender)).await?;
        answer.await.map_err(|_| Ends)
    }
}
