//! What is to be written on a connection.
//!
//! There are two queues. What is *said* goes first, and nobody waits for it: a
//! peer that leaves [`SAID_MAX`] messages unread is given up. What is *carried*,
//! pieces of files, goes when there is nothing to say, and whoever carries it
//! waits.

use std::time::Duration;

use longhaul_protocol::frame;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::connection::LinkError;

/// Messages that wait to be written.
pub const SAID_MAX: usize = 256;
/// A message is written within this time, or the peer does not read.
pub const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// Where messages to a peer are put. The connection ends when the last clone of
/// this is gone and all that was said is written.
#[derive(Debug)]
pub struct Outbox<M> {
    said: mpsc::Sender<M>,
    carried: mpsc::Sender<M>,
}

impl<M> Clone for Outbox<M> {
    fn clone(&self) -> Outbox<M> {
        Outbox {
            said: self.said.clone(),
            carried: self.carried.clone(),
        }
    }
}

impl<M> Outbox<M> {
    /// Says something, without waiting.
    ///
    /// # Errors
    /// [`LinkError::Unread`] if the peer reads too slowly, [`LinkError::Over`] if
    /// the connection has ended: nothing more will be read.
    pub fn say(&self, message: M) -> Result<(), LinkError> {
        self.said.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => LinkError::Unread,
            mpsc::error::TrySendError::Closed(_) => LinkError::Over,
        })
    }

    /// A way for pieces of files. It does not keep the connection up.
    pub fn carrier(&self) -> Carrier<M> {
        Carrier(self.carried.clone())
    }
}

/// A way for pieces of files behind all that is said.
#[derive(Debug)]
pub struct Carrier<M>(mpsc::Sender<M>);

impl<M> Carrier<M> {
    /// Waits until there is room for one more message.
    ///
    /// # Errors
    /// [`LinkError::Over`] if the connection has ended.
    pub async fn carry(&self, message: M) -> Result<(), LinkError> {
        let sent = self.0.send(message).await;
        sent.map_err(|_| LinkError::Over)
    }
}

/// The write half of a connection.
#[derive(Debug)]
pub struct Writer<W, M> {
    stream: W,
    said: mpsc::Receiver<M>,
    carried: mpsc::Receiver<M>,
}

/// A write half, and where what it is to write is put.
pub(crate) fn outbox<W, M>(stream: W) -> (Writer<W, M>, Outbox<M>) {
    let (said_to, said) = mpsc::channel(SAID_MAX);
    let (carried_to, carried) = mpsc::channel(1);
    let writer = Writer {
        stream,
        said,
        carried,
    };
    let outbox = Outbox {
        said: said_to,
        carried: carried_to,
    };
    (writer, outbox)
}

impl<W: AsyncWrite + Unpin, M: Serialize> Writer<W, M> {
    /// Writes what is put into the outbox, until that is gone; then says
    /// goodbye.
    ///
    /// # Errors
    /// [`LinkError`]: the peer does not read, or the connection is broken.
    pub async fn run(mut self) -> Result<(), LinkError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.said.recv() => message,
                Some(message) = self.carried.recv() => Some(message),
            };
            let Some(message) = message else { break };
            let bytes = frame::encode(&message)?;
            let written = async {
                self.stream.write_all(&bytes).await?;
                self.stream.flush().await
            };
            let written = timeout(WRITE_LIMIT, written).await;
            written.map_err(|_| LinkError::Unread)??;
        }
        let over = timeout(WRITE_LIMIT, self.stream.shutdown()).await;
        Ok(over.map_err(|_| LinkError::Unread)??)
    }
}
