//! What alert agents are told.

use std::collections::BTreeMap;

use longhaul_cluster::{Event, Membership, NoEvent, TEXT_BYTES_MAX, What, event_from_variables};
use longhaul_protocol::Time;
use proptest::prelude::*;

const COMMON: [(&str, &str); 6] = [
    ("CRM_alert_node", "n2"),
    ("CRM_alert_node_sequence", "7"),
    ("CRM_alert_timestamp_epoch", "1795879233"),
    ("CRM_alert_timestamp_usec", "123456"),
    ("CRM_alert_version", "2.1.5"),
    ("CRM_alert_recipient", ""),
];
const FENCED: [(&str, &str); 4] = [
    ("CRM_alert_kind", "fencing"),
    (
        "CRM_alert_desc",
        "Operation reboot of n2 by n3 for pacemaker-controld.9@n1: OK",
    ),
    ("CRM_alert_task", "st_notify_fence"),
    ("CRM_alert_rc", "0"),
];
const STARTED: [(&str, &str); 7] = [
    ("CRM_alert_kind", "resource"),
    ("CRM_alert_rsc", "fs"),
    ("CRM_alert_task", "start"),
    ("CRM_alert_rc", "0"),
    ("CRM_alert_target_rc", "0"),
    ("CRM_alert_status", "0"),
    ("CRM_alert_desc", "ok"),
];
const LOST: [(&str, &str); 2] = [("CRM_alert_kind", "node"), ("CRM_alert_desc", "lost")];
const ATTRIBUTE: [(&str, &str); 3] = [
    ("CRM_alert_kind", "attribute"),
    ("CRM_alert_attribute_name", "pingd"),
    ("CRM_alert_attribute_value", ""),
];

fn variables(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    COMMON
        .iter()
        .chain(of)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn event(of: &[(&str, &str)]) -> Event {
    event_from_variables(&variables(of)).expect("an event")
}

#[test]
fn r15_each_kind_of_alert_is_understood() {
    let lost = event(&LOST);
    assert_eq!(lost.at, Time(1_795_879_233_123));
    assert_eq!((lost.sequence, lost.node.as_str()), (7, "n2"));
    let state = Membership::Lost;
    assert_eq!(lost.what, What::Node { state });
    let action = Some("reboot".to_owned());
    let words = FENCED[1].1.to_owned();
    let code = 0;
    assert_eq!(
        event(&FENCED).what,
        What::Fencing {
            action,
            code,
            words
        }
    );
    let What::Resource {
        resource,
        task,
        code,
        expected,
        status,
        words,
    } = event(&STARTED).what
    else {
        panic!("no resource")
    };
    assert_eq!(
        (resource.as_str(), task.as_str(), words.as_str()),
        ("fs", "start", "ok")
    );
    assert_eq!((code, expected, status), (0, 0, 0));
    let (name, value) = ("pingd".to_owned(), String::new());
    assert_eq!(event(&ATTRIBUTE).what, What::Attribute { name, value });
}

#[test]
fn r21_an_event_comes_back_from_its_json() {
    for of in [&LOST[..], &FENCED, &STARTED, &ATTRIBUTE] {
        let event = event(of);
        let json = serde_json::to_string(&event).expect("JSON");
        assert_eq!(serde_json::from_str::<Event>(&json).expect("read"), event);
    }
    assert_eq!(
        serde_json::to_string(&event(&LOST)).expect("JSON"),
        r#"{"at":1795879233123,"sequence":7,"node":"n2","kind":"node","state":"lost"}"#
    );
}

#[test]
fn r15_a_variable_that_is_missing_is_named() {
    let optional = [
        "CRM_alert_timestamp_usec",
        "CRM_alert_version",
        "CRM_alert_recipient",
        "CRM_alert_attribute_value",
    ];
    for of in [&LOST[..], &FENCED, &STARTED, &ATTRIBUTE] {
        for name in variables(of).into_keys() {
            let mut variables = variables(of);
            variables.remove(&name);
            let is_words = name == "CRM_alert_desc" && of != LOST;
            let is_for_people = is_words || (of == FENCED && name == "CRM_alert_task");
            match event_from_variables(&variables) {
                Ok(_) => assert!(optional.contains(&name.as_str()) || is_for_people, "{name}"),
                Err(NoEvent::Missing(missing)) => assert_eq!(missing, name),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_long_words_are_cut() {
    for (name, value) in [
        ("CRM_alert_kind", "weather"),
        ("CRM_alert_rc", "yes"),
        ("CRM_alert_rc", ""),
        ("CRM_alert_node", ""),
        ("CRM_alert_node_sequence", "-1"),
        ("CRM_alert_timestamp_epoch", "-1"),
        ("CRM_alert_timestamp_epoch", "99999999999999999999"),
        ("CRM_alert_timestamp_usec", "1000000"),
    ] {
        let mut variables = variables(&STARTED);
        variables.insert(name.to_owned(), value.to_owned());
        let error = event_from_variables(&variables).expect_err(value);
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut variables = variables(&STARTED);
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    variables.insert("CRM_alert_desc".into(), long.clone());
    let Ok(What::Resource { words, .. }) = event_from_variables(&variables).map(|e| e.what) else {
        panic!("no resource")
    };
    assert_eq!(words.len(), TEXT_BYTES_MAX);
    variables.insert("CRM_alert_rsc".into(), long);
    let error = event_from_variables(&variables).expect_err("a long name");
    assert!(error.to_string().len() < 200);
}

#[test]
fn r15_only_an_action_that_words_name_is_told() {
    let mut variables = variables(&FENCED);
    for (words, expected) in [
        (
            "Operation off of n2 by a human for x@n1: OK (0)",
            Some("off"),
        ),
        ("Operation on of n2 by n1 for x@n1: OK", Some("on")),
        ("Operation frobnicate of n2 by n1", None),
        ("n2 was fenced", None),
        ("", None),
    ] {
        variables.insert("CRM_alert_desc".into(), words.into());
        let event = event_from_variables(&variables).expect("an event");
        let What::Fencing { action, .. } = event.what else {
            panic!("no fencing")
        };
        assert_eq!(action.as_deref(), expected);
    }
}

proptest! {
    #[test]
    fn any_variables_are_an_event_or_an_error(
        kind in prop::sample::select(&["node", "fencing", "resource", "attribute", ""]),
        values in proptest::collection::vec("\\PC{0,20}|-?[0-9]{1,20}", 14),
    ) {
        let names = COMMON.iter().chain(&FENCED).chain(&STARTED).chain(&ATTRIBUTE).map(|of| of.0);
        let mut variables: BTreeMap<_, _> = names.map(str::to_owned).zip(values).collect();
        variables.insert("CRM_alert_kind".into(), kind.into());
        let _ = event_from_variables(&variables);
    }
}
