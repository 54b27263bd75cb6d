//! `longhaul-alert`.

use std::time::{Duration, Instant};

use super::stage::{Said, Stage};

fn told(stage: &Stage) -> Said {
    let binary = stage.at("lh-mover");
    let variables = [
        ("CRM_alert_kind", "node"),
        ("CRM_alert_node", "n2"),
        ("CRM_alert_desc", "lost"),
        ("longhaul_binary", &binary),
        ("longhaul_config", "/etc/longhaul/it.toml"),
    ];
    stage.command(&[], &variables)
}

fn stage(does: &str) -> Stage {
    let stage = Stage::new("longhaul-alert");
    stage.script("lh-mover", does);
    stage.script("bin/logger", "echo \"$@\" >>${0%/bin/*}/logged");
    stage
}

#[test]
fn r21_an_alert_is_handed_over_with_its_variables() {
    let stage = stage("here=${0%/*}; echo \"$@\" >$here/asked; env >$here/env");
    let said = told(&stage);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        stage.file("asked"),
        "alert --config /etc/longhaul/it.toml\n"
    );
    for variable in ["kind=node", "node=n2", "desc=lost"] {
        let line = format!("CRM_alert_{variable}\n");
        assert!(stage.file("env").contains(&line), "{}", stage.file("env"));
    }
    assert_eq!(stage.file("logged"), "");
}

#[test]
fn r21_an_alert_that_cannot_be_handed_over_is_logged_and_keeps_nobody_waiting() {
    let failing = stage("echo 'no service' >&2; exit 8");
    assert_eq!(told(&failing).code, 0);
    let logged = failing.file("logged");
    assert!(logged.contains("node n2: no service"), "{logged}");
    let begun = Instant::now();
    assert_eq!(told(&stage("exec sleep 600")).code, 0);
    assert!(begun.elapsed() < Duration::from_secs(6));
    let begun = Instant::now();
    assert_eq!(told(&stage("trap '' TERM; exec sleep 600")).code, 0);
    assert!(begun.elapsed() < Duration::from_secs(7));
}

#[test]
fn an_alert_agent_without_an_alert_says_how_it_is_used() {
    let stage = stage("exit 0");
    for (arguments, kind) in [(&[][..], ""), (&["start"], "node")] {
        let said = stage.command(arguments, &[("CRM_alert_kind", kind)]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.errors.contains("usage:"), "{said:?}");
    }
}
