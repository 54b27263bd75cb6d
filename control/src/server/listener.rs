//! Who comes, and what becomes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longhaul_link::{Connection, Identity, Role};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::desk::Desk;
use super::{operator, service};
use crate::chain;

/// Connections at a time. Who comes then waits to be taken.
const CONNECTIONS_MAX: usize = 4096;
/// Peers at a time that have not shown who they are.
const STRANGERS_MAX: usize = 64;
/// If no connection can be taken (too many files are open), so long is waited.
const PAUSE: Duration = Duration::from_millis(100);
/// So long connections have to end when the coordinator does.
const GOODBYE: Duration = Duration::from_secs(5);

/// Takes connections.
pub(crate) struct Listener {
    pub socket: TcpListener,
    /// What it shows to whoever comes next.
    pub identities: watch::Receiver<Arc<Identity>>,
    pub desk: Arc<Desk>,
    /// How long nothing may come from a service.
    pub patience: Duration,
}

impl Listener {
    /// Takes connections until the end, and then lets go of them all.
    pub(crate) async fn run(self, mut ends: watch::Receiver<bool>) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
        let listener = Arc::new(self);
        let mut tasks = JoinSet::new();
        loop {
            let come = async {
                let place = connections.clone().acquire_owned().await.ok()?;
                let door = strangers.clone().acquire_owned().await.ok()?;
                Some((listener.socket.accept().await, place, door))
            };
            let come = tokio::select! {
                come = come => come,
                _ = ends.wait_for(|ends| *ends) => break,
            };
            match come {
                Some((Ok((stream, address)), place, door)) => {
                    let (listener, mut ends) = (listener.clone(), ends.clone());
                    tasks.spawn(async move {
                        let _place = place;
                        tokio::select! {
                            () = listener.meet(stream, address, door) => {}
                            _ = ends.wait_for(|ends| *ends) => {}
                        }
                    });
                }
                Some((Err(error), ..)) => {
                    log::warn!("no connection can be taken: {error}");
                    sleep(PAUSE).await;
                }
                None => break,
            }
            // Tasks that are over.
            while tasks.try_join_next().is_some() {}
        }
        let over = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(GOODBYE, over).await;
    }

    /// One line in the log says why a peer is not served any more.
    async fn meet(&self, stream: TcpStream, address: SocketAddr, door: OwnedSemaphorePermit) {
        let identity = self.identities.borrow().clone();
        let accepted = Connection::accept(&identity, stream).await;
        drop(door);
        let connection = match accepted {
            Ok(connection) => connection,
            Err(why) => {
                log::warn!("{address}: refused: {}", chain(&why));
                return;
            }
        };
        let peer = connection.peer().clone();
        let over = match peer.clone() {
            Role::Node(node) => service::converse(self, connection, node).await,
            Role::Operator(name) => operator::converse(&self.desk, connection, name).await,
            Role::Coordinator => Err("it is the coordinator, too".into()),
        };
        match over {
            Ok(()) => log::info!("{address}: {peer} has left"),
            Err(why) => log::warn!("{address}: {peer} is disconnected: {}", chain(&*why)),
        }
    }
}
