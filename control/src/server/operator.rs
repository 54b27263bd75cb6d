//! What is spoken with an operator: one question at a time, and its answer.

use std::time::Duration;

use longhaul_link::Connection;
use longhaul_protocol::Name;
use serde_json::{Value, json};

use super::desk::Desk;
use super::store::Failure;
use crate::core::Command;

/// An operator that says nothing for so long is disconnected.
const PATIENCE: Duration = Duration::from_secs(600);

/// Answers an operator until he leaves.
pub(crate) async fn converse(
    desk: &Desk,
    connection: Connection,
    operator: Name,
) -> Result<(), Failure> {
    let (mut reader, writer, outbox) = connection.split::<Value>();
    let answers = async move {
        while let Some(ask) = reader.message::<Value>(PATIENCE).await? {
            outbox.say(answer(desk, &operator, ask).await?)?;
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        over = answers => over,
        written = writer.run() => Ok(written?),
    }
}

/// MERGE: the one place where what operators ask (`longhaul_protocol::ask`) is
/// answered. Commands go by [`Desk::command`], everything that only looks by
/// [`Desk::look`]. So far it adds nodes.
async fn answer(desk: &Desk, operator: &Name, ask: Value) -> Result<Value, Failure> {
    let of = |key: &str| ask.get(key).and_then(Value::as_str);
    let node = of("node").and_then(|node| node.parse::<Name>().ok());
    let is_known = of("ask") == Some("command") && of("command") == Some("add-node");
    let Some(node) = node.filter(|_| is_known) else {
        let why = "this is not understood here";
        return Ok(json!({ "answer": "failed", "exit": 2, "why": why }));
    };
    log::info!("operator {operator} adds node {node}");
    Ok(match desk.command(Command::AddNode(node)).await? {
        Ok(()) => json!({ "answer": "done" }),
        Err(why) => json!({ "answer": "failed", "exit": 2, "why": why.to_string() }),
    })
}
