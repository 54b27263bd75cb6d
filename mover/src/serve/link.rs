//! The connection to the coordinator, which is made again whenever it is gone.

use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use longhaul_link::connection::{Connection, Patience};
use longhaul_link::{Identity, Outbox};
use longhaul_protocol::order::What;
use longhaul_protocol::{Order, Report};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Happened, ServeError};

/// The first pause between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest while nobody is there: a coordinator that is moved should be found as
/// soon as it runs, and a thousand services are let in within a second.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The longest for one that is sent away.
const PAUSE_REFUSED_MAX: Duration = Duration::from_secs(15);
/// How long a lost node is reason to doubt that the coordinator is there.
const DOUBTS: Duration = Duration::from_secs(30);
/// A coordinator that has nothing to say for so long is asked anew, by another
/// connection, whether it is there.
const SILENCE: Duration = Duration::from_secs(3600);

/// A thread that keeps a connection up.
#[derive(Debug)]
pub struct Link {
    to: mpsc::UnboundedSender<Told>,
}

/// What the thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// To close the connection of this number.
    HangUp(u64),
    /// That the coordinator may be gone.
    Doubt,
}

impl Link {
    /// Starts it; what comes goes to `happened`.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(
        identity: Identity,
        address: String,
        happened: Sender<Happened>,
    ) -> Result<Link, ServeError> {
        let (to, told) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Thread)?;
        let keep = Keep {
            identity,
            address,
            happened,
            told,
        };
        thread::Builder::new()
            .name("lh-link".into())
            .spawn(move || runtime.block_on(keep.up()))
            .map_err(ServeError::Thread)?;
        Ok(Link { to })
    }

    /// Closes the connection of this number, if it is the one that is up.
    pub fn hang_up(&self, number: u64) {
        // Without a thread there is no connection either.
        let _ = self.to.send(Told::HangUp(number));
    }

    /// A node is lost, which may be the coordinator's: one that confirms nothing any more
    /// is left soon, and looked for without long pauses.
    pub fn doubt(&self) {
        let _ = self.to.send(Told::Doubt);
    }
}

struct Keep {
    identity: Identity,
    address: String,
    happened: Sender<Happened>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Keep {
    /// Connects again and again, until nobody listens.
    async fn up(mut self) {
        let mut pause = PAUSE_MIN;
        let mut said = String::new();
        for number in 1.. {
            let longest = match Connection::connect(&self.identity, &self.address).await {
                Ok(connection) => {
                    log::info!("connected to the coordinator at {}", connection.address());
                    said.clear();
                    match self.talk(number, connection).await {
                        Ok(true) => {
                            pause = PAUSE_MIN;
                            PAUSE_MAX
                        }
                        // Whoever is sent away comes back less and less often.
                        Ok(false) => PAUSE_REFUSED_MAX,
                        Err(Silent) => return,
                    }
                }
                Err(error) => {
                    // Once, however long it lasts.
                    let what = error.to_string();
                    if what != said {
                        log::warn!("no coordinator: {what}; it is tried again");
                        said = what;
                    }
                    PAUSE_MAX
                }
            };
            let is_doubted = self.is_doubted_within(pause).await;
            pause = match is_doubted && longest == PAUSE_MAX {
                true => PAUSE_MIN,
                false => (pause * 2).min(longest),
            };
        }
    }

    /// Waits for so long, or until the coordinator may have moved.
    async fn is_doubted_within(&mut self, pause: Duration) -> bool {
        let doubted = async {
            while let Some(told) = self.told.recv().await {
                if told == Told::Doubt {
                    return;
                }
            }
            // Nobody is there who could tell.
            std::future::pending::<()>().await;
        };
        tokio::time::timeout(pause, doubted).await.is_ok()
    }

    /// Passes on what comes until the connection is over: whether the service was
    /// let in.
    ///
    /// # Errors
    /// If nobody listens any more.
    async fn talk(&mut self, number: u64, connection: Connection) -> Result<bool, Silent> {
        let mut is_let_in = false;
        let patience = connection.patience();
        let patience = patience.inspect_err(|error| log::warn!("to the coordinator: {error}"));
        let patience = patience.ok();
        let (mut reader, writer, outbox) = connection.split::<Report>();
        self.tell(Happened::Connected(number, outbox))?;
        let mut doubts_until = None;
        let writing = writer.run();
        tokio::pin!(writing);
        loop {
            tokio::select! {
                written = &mut writing => {
                    if let Err(error) = written {
                        log::warn!("to the coordinator: {error}");
                    }
                    break;
                }
                Some(told) = self.told.recv() => match told {
                    Told::HangUp(which) if which == number => break,
                    Told::HangUp(_) => {}
                    Told::Doubt => {
                        patience.iter().for_each(Patience::shorten);
                        doubts_until = Some(Instant::now() + DOUBTS);
                    }
                },
                () = until(doubts_until) => {
                    patience.iter().for_each(Patience::restore);
                    doubts_until = None;
                }
                order = reader.message::<Order>(SILENCE) => match order {
                    Ok(Some(order)) => {
                        is_let_in |= !matches!(order.what, What::Refused { .. });
                        self.tell(Happened::Order(number, Box::new(order)))?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        log::warn!("from the coordinator: {error}");
                        break;
                    }
                }
            }
        }
        self.tell(Happened::Disconnected(number))?;
        Ok(is_let_in)
    }

    /// The service may be busy for a while; nothing else is to be done here
    /// meanwhile.
    fn tell(&self, happened: Happened) -> Result<(), Silent> {
        self.happened.send(happened).map_err(|_| Silent)
    }
}

/// Waits until then; without end, if it is never.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Nobody listens.
struct Silent;

/// Where reports are put.
pub type Reports = Outbox<Report>;
