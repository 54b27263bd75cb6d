//! What is spoken with a backup service.

use std::pin::pin;
use std::time::Duration;

use longhaul_link::Connection;
use longhaul_protocol::{Name, Order, Report};
use tokio::time::timeout;

use super::desk::Said;
use super::listener::Listener;
use super::store::Failure;

/// A service has introduced itself within this time.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// So long a peer that was told goodbye has to read it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Hears a service, and tells it what it is to be told, until one of both is
/// over.
pub(crate) async fn converse(
    listener: &Listener,
    connection: Connection,
    node: Name,
) -> Result<(), Failure> {
    let (desk, patience) = (&listener.desk, listener.patience);
    let (address, expires) = (connection.address(), connection.peer_expires());
    let (mut reader, writer, outbox) = connection.split::<Order>();
    let link = desk.new_link();
    let hears = async {
        let hello = match reader.message::<Report>(HELLO_LIMIT).await? {
            Some(Report::Hello(hello)) if hello.node == node => hello,
            Some(Report::Hello(hello)) => {
                return Err(format!("it says that it is node {}", hello.node).into());
            }
            Some(_) => return Err("it did not introduce itself".into()),
            None => return Err("it left without a word".into()),
        };
        desk.bring(Said::Hello {
            link,
            address,
            expires,
            hello,
            outbox,
        })
        .await?;
        while let Some(report) = reader.message::<Report>(patience).await? {
            desk.bring(Said::Report(link, node.clone(), report)).await?;
        }
        Ok::<(), Failure>(())
    };
    let mut hears = pin!(hears);
    let over = tokio::select! {
        over = &mut hears => over,
        written = writer.run() => {
            // What is not read when a connection is closed takes with it what
            // was written.
            let _ = timeout(GOODBYE, hears).await;
            written.map_err(Failure::from)
        }
    };
    // If it had not introduced itself, nobody knows this connection.
    let _ = desk.bring(Said::Gone(link, node.clone())).await;
    over
}
