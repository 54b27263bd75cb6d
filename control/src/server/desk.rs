//! Where connections bring what was said, and the thread that decides takes it
//! from.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_link::Outbox;
use longhaul_protocol::{Hello, Name, Order, Report, Time};
use tokio::sync::{mpsc, oneshot};

use crate::core::{Command, CommandError, Coordinator};

/// What waits to be decided. When so much does, who has more to say waits: TCP
/// tells his peer.
pub(crate) const WAITING_MAX: usize = 256;

/// Which connection, of all that this process had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkId(u64);

/// A look at how things stand.
type Look = dyn FnOnce(Time, &Coordinator) + Send;

/// What is brought.
pub(crate) enum Said {
    /// A service introduces itself on a new connection.
    Hello {
        link: LinkId,
        address: SocketAddr,
        hello: Hello,
        outbox: Outbox<Order>,
    },
    /// A service says something.
    Report(LinkId, Name, Report),
    /// A service's connection is gone.
    Gone(LinkId, Name),
    /// An operator wants something. He is answered when it is durable.
    Command(Command, oneshot::Sender<Result<(), CommandError>>),
    /// Somebody looks at how things stand.
    Look(Box<Look>),
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
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    pub(crate) fn new() -> (Desk, mpsc::Receiver<Said>) {
        let (said, takes) = mpsc::channel(WAITING_MAX);
        let links = AtomicU64::new(0);
        (Desk { said, links }, takes)
    }

    pub(crate) fn new_link(&self) -> LinkId {
        LinkId(self.links.fetch_add(1, Ordering::Relaxed))
    }

    /// Brings something; waits while too much waits already.
    pub(crate) async fn bring(&self, said: Said) -> Result<(), Ends> {
        self.said.send(said).await.map_err(|_| Ends)
    }

    /// Has an operator's command carried out, and durable.
    ///
    /// # Errors
    /// [`Ends`], and it is not known whether it was; or why it was not.
    pub async fn command(&self, command: Command) -> Result<Result<(), CommandError>, Ends> {
        let (sender, answer) = oneshot::channel();
        self.bring(Said::Command(command, sender)).await?;
        answer.await.map_err(|_| Ends)
    }

    /// Looks at how things stand, between two decisions: briefly, for all wait.
    ///
    /// # Errors
    /// [`Ends`].
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(Time, &Coordinator) -> T + Send + 'static,
    ) -> Result<T, Ends> {
        let (sender, seen) = oneshot::channel();
        let look = move |now, coordinator: &Coordinator| drop(sender.send(look(now, coordinator)));
        self.bring(Said::Look(Box::new(look))).await?;
        seen.await.map_err(|_| Ends)
    }
}
