//! What is spoken with an operator: one question at a time, and its answer.

use std::time::Duration;

use longhaul_link::Connection;
use longhaul_protocol::{Answer, Ask, Name};

use super::desk::{Desk, Said};
use super::store::Failure;

/// An operator that says nothing for so long is disconnected.
const PATIENCE: Duration = Duration::from_secs(600);

/// Answers an operator until he leaves.
pub(crate) async fn converse(
    desk: &Desk,
    connection: Connection,
    operator: Name,
) -> Result<(), Failure> {
    let (mut reader, writer, outbox) = connection.split::<Answer>();
    let asker = desk.new_asker();
    let answers = async move {
        while let Some(ask) = reader.message::<Ask>(PATIENCE).await? {
            if let Ask::Command(command) = &ask {
                log::info!("operator {operator}: {command:?}");
            }
            outbox.say(desk.ask(asker, ask).await?)?;
        }
        Ok::<(), Failure>(())
    };
    let over = tokio::select! {
        over = answers => over,
        written = writer.run() => written.map_err(Failure::from),
    };
    // If the coordinator ends, so does whoever waits.
    let _ = desk.bring(Said::AskerGone(asker)).await;
    over
}
