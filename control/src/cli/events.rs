//! `lh-control events`

use clap::Args;
use longhaul_protocol::ask::{self, ROWS_MAX};
use longhaul_protocol::{Ask, ExitStatus};
use serde_json::{Map, Value};

use super::Failure;
use super::console::{self, Console};

#[derive(Debug, Args)]
pub struct Events {
    /// Only what names this node, drive, job or run
    of: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    newest: u32,
}

impl Events {
    pub(super) fn run(self, console: &mut Console) -> Result<ExitStatus, Failure> {
        let events = ask::Events {
            of: self.of,
            after: None,
            most: self.newest,
        };
        let (rows, _) = console::rows(console.ask(&Ask::Events(events))?)?;
        let headings = ["WHEN", "WHAT"];
        console.list(
            &rows,
            headings,
            |console, key, mut row: Map<String, Value>| {
                let at = row.remove("time").and_then(|at| at.as_i64());
                row.remove("number");
                let at = at.map(|at| console.time(longhaul_protocol::Time(at)));
                [at.unwrap_or_else(|| key.to_owned()), words(&row)]
            },
        )
    }
}

/// What became of a row: its table, its key, and what is in it that is short.
fn words(event: &Map<String, Value>) -> String {
    let table = event
        .get("table")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (name, body) = match event.get("row") {
        Some(Value::Array(row)) => (row.first().map(name), row.get(1)),
        body => (None, body),
    };
    let fields = body.and_then(Value::as_object).into_iter().flatten();
    let said = fields.filter_map(|(key, value)| field(key, value));
    let parts = std::iter::once(table.to_owned()).chain(name).chain(said);
    parts.collect::<Vec<_>>().join(" ")
}

/// A key as people write it: a name, `JOB@DUE`, `JOB@DUE#NUMBER`.
fn name(key: &Value) -> String {
    let of = |key: &Value, part: &str| key.get(part).map(name).unwrap_or_default();
    match key {
        Value::String(text) => text.clone(),
        Value::Object(parts) if parts.contains_key("run") => {
            format!("{}#{}", of(key, "run"), of(key, "number"))
        }
        Value::Object(parts) if parts.contains_key("due") => {
            format!("{}@{}", of(key, "job"), of(key, "due"))
        }
        other => other.to_string(),
    }
}

/// A field that says something: no lists, and nothing that is not so. Of what is
/// one of several things, which.
fn field(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("{key}={text}")),
        Value::Number(number) => Some(format!("{key}={number}")),
        Value::Bool(true) => Some(key.to_owned()),
        Value::Object(parts) if parts.len() == 1 => {
            let (which, what) = parts.iter().next()?;
            let said = field(which, what).unwrap_or_else(|| which.clone());
            Some(format!("{key}: {said}"))
        }
        Value::Object(parts) => {
            let exit = parts.get("exit")?;
            Some(format!("{key}: exit={exit}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(event: Value) -> String {
        words(event.as_object().expect("an event"))
    }

    #[test]
    fn an_event_says_what_became_of_what() {
        let run = json!([{"job": "db", "due": 5}, {"state": {"failed": "no drive"}, "attempts": 2,
            "job": {"name": "db", "retries": 3}}]);
        assert_eq!(
            said(json!({"table": "run", "row": run})),
            "run db@5 attempts=2 state: failed=no drive"
        );
        let attempt = json!([{"run": {"job": "db", "due": 5}, "number": 2},
            {"node": "n1", "ended": {"exit": 3, "error": "cut"}, "point": null, "volumes": []}]);
        assert_eq!(
            said(json!({"table": "attempt", "row": attempt})),
            "attempt db@5#2 ended: exit=3 node=n1"
        );
        let drive = json!(["D1", {"is_disabled": false, "product": "LTO"}]);
        assert_eq!(
            said(json!({"table": "drive", "row": drive})),
            "drive D1 product=LTO"
        );
        assert_eq!(
            said(json!({"table": "counters", "row": {"epoch": 3}})),
            "counters epoch=3"
        );
    }
}
