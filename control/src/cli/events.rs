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
                let what: Vec<String> = row.iter().map(|(key, value)| field(key, value)).collect();
                [at.unwrap_or_else(|| key.to_owned()), what.join(" ")]
            },
        )
    }
}

fn field(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{key}={text}"),
        value => format!("{key}={value}"),
    }
}
