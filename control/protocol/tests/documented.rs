//! Every example in docs/protocol.md is a message, and of every kind there is
//! one.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use longhaul_protocol::frame::{Decoder, encode};
use longhaul_protocol::{Answer, Ask, Order, Report};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const REPORTS: [&str; 9] = [
    "hello",
    "alive",
    "devices",
    "attempts",
    "journal",
    "checkpoint",
    "ended",
    "set-file",
    "happened",
];
const ORDERS: [&str; 8] = [
    "welcome",
    "refused",
    "start",
    "journal",
    "stop",
    "kept",
    "heard",
    "occurrences",
];

const ASKS: [&str; 6] = ["command", "rows", "events", "find", "run", "status"];
const ANSWERS: [&str; 5] = ["done", "failed", "rows", "run", "status"];
const COMMANDS: [&str; 22] = [
    "add-node",
    "remove-node",
    "drain",
    "confirm-fenced",
    "pool-drive",
    "disable-drive",
    "drive-is-well",
    "remove-drive",
    "add-volume",
    "move-volume",
    "close-volume",
    "open-volume",
    "remove-volume",
    "set-job",
    "remove-job",
    "set-schedule",
    "remove-schedule",
    "run",
    "once",
    "stop",
    "resume",
    "remove-run",
];

/// Whether it is such a message, and comes back as it was.
fn is_message<M: Serialize + DeserializeOwned + PartialEq + Debug>(json: &str) {
    let value: Value = serde_json::from_str(json).expect(json);
    let read = |value: &[u8]| {
        let mut decoder = Decoder::default();
        decoder.push(value);
        decoder.message::<M>().expect(json).expect(json)
    };
    let message = read(&encode(&value).expect(json));
    assert_eq!(read(&encode(&message).expect(json)), message, "{json}");
}

#[test]
fn the_examples_are_messages() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    let text = fs::read_to_string(path).expect("the document");
    let mut found = BTreeSet::new();
    for block in text.split("```json\n").skip(1) {
        let json = block.split("```").next().expect("an end");
        let value: Value = serde_json::from_str(json).expect(json);
        let kinds = ["report", "order", "ask", "answer", "command"];
        found.extend(kinds.into_iter().filter_map(|kind| {
            let name = value[kind].as_str()?.to_owned();
            Some((kind, name))
        }));
        if value.get("report").is_some() {
            is_message::<Report>(json);
        } else if value.get("ask").is_some() {
            is_message::<Ask>(json);
        } else if value.get("answer").is_some() {
            is_message::<Answer>(json);
        } else {
            is_message::<Order>(json);
        }
    }
    let of = |kind, names: &[&str]| -> Vec<(&str, String)> {
        names
            .iter()
            .map(|name| (kind, (*name).to_owned()))
            .collect()
    };
    let all = [
        of("report", &REPORTS),
        of("order", &ORDERS),
        of("ask", &ASKS),
        of("answer", &ANSWERS),
        of("command", &COMMANDS),
    ];
    assert_eq!(found, all.into_iter().flatten().collect());
}
