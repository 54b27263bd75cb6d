//! Every example in docs/protocol.md is a message, and of every kind there is
//! one.

use std::collections::BTreeSet;
use std::fs;

use longhaul_protocol::frame::{Decoder, encode};
use longhaul_protocol::{Order, Report};
use serde_json::Value;

const REPORTS: [&str; 8] = [
    "hello",
    "alive",
    "devices",
    "attempts",
    "journal",
    "checkpoint",
    "ended",
    "set-file",
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

#[test]
fn the_examples_are_messages() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    let text = fs::read_to_string(path).expect("the document");
    let (mut reports, mut orders) = (BTreeSet::new(), BTreeSet::new());
    for block in text.split("```json\n").skip(1) {
        let json = block.split("```").next().expect("an end");
        let value: Value = serde_json::from_str(json).expect(json);
        let mut decoder = Decoder::default();
        decoder.push(&encode(&value).expect(json));
        if let Some(kind) = value["report"].as_str() {
            decoder.message::<Report>().expect(json).expect(json);
            reports.insert(kind.to_owned());
        } else {
            decoder.message::<Order>().expect(json).expect(json);
            orders.insert(value["order"].as_str().expect(json).to_owned());
        }
    }
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(reports, all(&REPORTS));
    assert_eq!(orders, all(&ORDERS));
}
