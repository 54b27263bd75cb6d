//! What is around the coordinator's decisions: connections, the thread that
//! decides and makes durable, and people who are told.
//!
//! One thread decides ([`mind`](self)); another serves all connections. What
//! comes on a connection waits at a desk, up to so much; what is to be said waits
//! in the connection's outbox. Nothing else is shared.
//!
//! | file | noun |
//! | --- | --- |
//! | `config` | what the coordinator is told |
//! | `listener` | who comes |
//! | `service` | what is spoken with a service |
//! | `operator` | what is spoken with an operator |
//! | `desk` | what waits to be decided |
//! | `mind` | the thread that decides |
//! | `store` | where that is made durable |
//! | `disk` | the coordinator's folder, which does it |
//! | `search` | what lies in the catalog |
//! | `carry` | a journal on its way to a service |
//! | `notify` | people who are told |
//! | `cluster` | asking how things stand in the cluster |

mod carry;
mod cluster;
pub mod config;
mod desk;
pub mod disk;
mod listener;
mod mind;
mod notify;
mod operator;
mod search;
mod service;
pub mod store;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use longhaul_cluster::{Cluster, CrmMon};
use longhaul_link::{Identity, IdentityError, Role, manager};
use longhaul_protocol::{Ask, Name};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

pub use config::{Config, ConfigError};
use desk::Desk;
use disk::Disk;
use listener::Listener;
use mind::{Around, Mind};
use notify::Notices;
use store::{Failure, Store};

use crate::chain;
use crate::core::Settings;
use crate::core::state::State;
use crate::database::DatabaseError;
use desk::Said;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// A service that says nothing for so many of its intervals has lost its
/// connection, if the decisions have not closed it before (after three).
const SILENT_INTERVALS: u64 = 4;
/// So long people may still be told something when the coordinator ends.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// A certificate that ends so soon is warned of, in milliseconds.
const EXPIRES_SOON_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Why the coordinator does not run, or runs no more.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its file, when it is read again.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is not a coordinator's.
    #[error("{0} holds the certificate of {1}, and the coordinator needs its own")]
    NotCoordinator(PathBuf, Role),
    /// Nothing can be heard at its address.
    #[error("cannot listen at {0}{advice}", advice = advice(.1))]
    Listen(SocketAddr, #[source] io::Error),
    /// The operating system.
    #[error("the coordinator cannot run")]
    Io(#[from] io::Error),
    /// Its database cannot be used: the coordinator has not begun.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What was decided cannot be made durable. Whatever was not acknowledged is
    /// said again to the next coordinator.
    #[error("nothing can be made durable")]
    Store(#[source] Failure),
}

/// What may be behind an address at which nothing can be heard.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; does another coordinator run here?",
        io::ErrorKind::AddrNotAvailable => {
            "; this node does not have the address: in a cluster it has to come before the \
             coordinator, else correct `listen`"
        }
        _ => "",
    }
}

fn opened(error: Failure) -> ServeError {
    match error.downcast::<DatabaseError>() {
        Ok(error) => ServeError::Database(*error),
        Err(error) => ServeError::Store(error),
    }
}

/// Runs a coordinator until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`].
pub fn serve(config: Config) -> Result<(), ServeError> {
    raise_open_files();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let socket = TcpListener::bind(config.listen)
            .await
            .map_err(|error| ServeError::Listen(config.listen, error))?;
        let (store, state) = Disk::open(&config.dir, mind::now()).map_err(opened)?;
        let ends = async {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        let (reload, reloads) = watch::channel(());
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                reload.send_replace(());
            }
        });
        run(config, socket, store, state, reloads, ends).await
    })
}

/// Runs a coordinator on this socket, with this store and its rows, until
/// `ends`; whenever `reloads` changes, it reads its file again. At its end nobody is let in any more, what was said is decided and made
/// durable, and connections are closed. Nobody waits for what services do.
///
/// # Errors
/// [`ServeError`].
pub async fn run<S: Store>(
    config: Config,
    socket: TcpListener,
    store: S,
    state: State,
    reloads: watch::Receiver<()>,
    ends: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let identity = Arc::new(identity(&config)?);
    let alive_ms = config.alive_s.saturating_mul(1000);
    let settings = Settings {
        cluster: identity.cluster(),
        alive_ms,
        retry_ms: config.retry_s.saturating_mul(1000),
        is_clustered: config.cluster == Cluster::Pacemaker,
        node: own_node(&config),
    };
    let (looks, asks) = cluster::Looks::new();
    let looks = Arc::new(looks);
    let notices = Arc::new(Notices::default());
    let around = Around {
        runtime: Handle::current(),
        notices: notices.clone(),
        expires: identity.expires(),
        looks: looks.clone(),
    };
    let mind = Mind::start(settings, state, store, around).map_err(ServeError::Store)?;
    let (desk, said) = Desk::new(looks.clone());
    let desk = Arc::new(desk);
    let (sender, mut decided) = oneshot::channel();
    let thread = thread::Builder::new().name("lh-mind".into());
    let thread = thread.spawn(move || drop(sender.send(mind.run(said))))?;
    notices.tell_by(config.notify.clone());
    let teller = tokio::spawn({
        let (notices, desk) = (notices.clone(), Arc::downgrade(&desk));
        async move { notices.tell(desk).await }
    });
    let (shown, identities) = watch::channel(identity.clone());
    let watcher = match config.cluster {
        Cluster::Standalone => {
            // Nobody is asked, and nobody waits for an answer.
            drop(asks);
            None
        }
        Cluster::Pacemaker => {
            let crm_mon = CrmMon {
                path: config.crm_mon.clone(),
                ..CrmMon::default()
            };
            Some(tokio::spawn(cluster::look_on(
                crm_mon,
                looks,
                asks,
                Arc::downgrade(&desk),
            )))
        }
    };
    let reloader = tokio::spawn({
        let (notices, desk) = (notices.clone(), Arc::downgrade(&desk));
        reload(config, reloads, notices, desk, shown)
    });
    let (end, has_ended) = watch::channel(false);
    let ticker = tokio::spawn(tick(desk.clone(), has_ended.clone()));
    if let Ok(address) = socket.local_addr() {
        log::info!("cluster {}: listening at {address}", identity.cluster());
    }
    let listener = Listener {
        socket,
        identities,
        desk: desk.clone(),
        patience: Duration::from_millis(alive_ms.saturating_mul(SILENT_INTERVALS)),
    };
    let listener = tokio::spawn(listener.run(has_ended));
    manager::ready(Some("coordinates"));
    let watchdog = tokio::spawn(watch_over(Arc::downgrade(&desk)));
    let broke = tokio::select! {
        () = ends => None,
        broke = &mut decided => Some(broke),
    };
    manager::stopping(None);
    reloader.abort();
    watchdog.abort();
    if let Some(watcher) = watcher {
        watcher.abort();
    }
    log::info!("the coordinator ends");
    // Whoever brings something to the desk lets go of it; then the thread is
    // done with what lies there.
    let _ = end.send(true);
    let _ = tokio::join!(listener, ticker);
    let _ = timeout(LAST_WORDS, notices.all_told()).await;
    drop(desk);
    let result = match broke {
        Some(broke) => broke,
        None => decided.await,
    };
    let _ = timeout(LAST_WORDS, notices.all_told()).await;
    teller.abort();
    let is_whole = thread.join().is_ok();
    match result {
        Ok(result) if is_whole => result.map_err(ServeError::Store),
        _ => Err(ServeError::Store(
            "the thread that decides broke off".into(),
        )),
    }
}

/// The node that this is in the cluster.
fn own_node(config: &Config) -> Option<Name> {
    if config.cluster == Cluster::Standalone {
        return None;
    }
    let host = rustix::system::uname();
    let host = || host.nodename().to_str().ok()?.parse().ok();
    config.node.clone().or_else(host)
}

/// The coordinator's certificate.
fn identity(config: &Config) -> Result<Identity, ServeError> {
    let identity = Identity::load(&config.tls)?;
    if *identity.role() != Role::Coordinator {
        let role = identity.role().clone();
        return Err(ServeError::NotCoordinator(config.tls.clone(), role));
    }
    let rest_ms = identity.expires().since(mind::now());
    if rest_ms < EXPIRES_SOON_MS {
        let days = rest_ms / (24 * 60 * 60 * 1000);
        log::warn!(
            "the coordinator's certificate in {} expires in {days} days",
            config.tls.display()
        );
    }
    Ok(identity)
}

/// Reads the file again whenever it is told to, and has what can change while the
/// coordinator runs change.
async fn reload(
    mut old: Config,
    mut reloads: watch::Receiver<()>,
    notices: Arc<Notices>,
    desk: Weak<Desk>,
    shown: watch::Sender<Arc<Identity>>,
) {
    while reloads.changed().await.is_ok() {
        let read = Config::load(&old.folder).map_err(ServeError::from);
        let new = match read.and_then(|config| Ok((identity(&config)?, config))) {
            Ok((identity, _)) if identity.cluster() != shown.borrow().cluster() => {
                log::error!("not reloaded: the certificate is of another cluster");
                continue;
            }
            Ok(new) => new,
            Err(error) => {
                log::error!("not reloaded: {}", chain(&error));
                continue;
            }
        };
        let (identity, config) = new;
        if config.needs_start(&old) {
            log::warn!(
                "listen, dir, alive_s, cluster, node and crm_mon change when the coordinator is \
                 started again"
            );
        }
        let said = Said::Reloaded {
            retry_ms: config.retry_s.saturating_mul(1000),
            expires: identity.expires(),
        };
        notices.tell_by(config.notify.clone());
        shown.send_replace(Arc::new(identity));
        if let Some(desk) = desk.upgrade() {
            let _ = desk.bring(said).await;
        }
        log::info!(
            "{} was read again",
            config.folder.join(config::FILE).display()
        );
        old.notify = config.notify;
        old.retry_s = config.retry_s;
    }
}

/// Tells systemd that the thread which decides is alive, as long as it is.
async fn watch_over(desk: Weak<Desk>) {
    let Some(every) = manager::watchdog_interval() else {
        return;
    };
    let mut ticks = interval(every);
    loop {
        ticks.tick().await;
        let Some(desk) = desk.upgrade() else {
            return;
        };
        // It answers once what was said before is durable.
        let is_alive = desk.ask(desk.new_asker(), Ask::Status).await.is_ok();
        if is_alive {
            manager::alive();
        }
    }
}

async fn tick(desk: Arc<Desk>, mut ends: watch::Receiver<bool>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = ends.wait_for(|ends| *ends) => return,
        }
        if desk.bring(Said::Tick).await.is_err() {
            return;
        }
    }
}

/// A connection is an open file, and more than the usual 1024 may come.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!("the limit of open files stays as it is: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: SocketAddr) -> String {
        let error = std::net::TcpListener::bind(address).expect_err("nothing can be heard");
        ServeError::Listen(address, error).to_string()
    }

    #[test]
    fn an_address_of_nobody_here_is_told_from_one_that_is_taken() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let said = refusal(taken.local_addr().expect("bound"));
        assert!(said.contains("another coordinator"), "{said}");
        // RFC 5737: of no host.
        let said = refusal("192.0.2.1:7417".parse().expect("an address"));
        assert!(said.contains("does not have the address"), "{said}");
    }
}
