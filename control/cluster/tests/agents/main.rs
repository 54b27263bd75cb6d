//! The agents in tools/ocf, with programs that only pretend, and the little that
//! they use of resource-agents' shell functions.

mod alert;
mod backup;
mod coordinator;
mod stage;

use std::collections::BTreeSet;

use roxmltree::{Document, Node, ParsingOptions};
use stage::{AGENTS, Stage};

#[test]
fn r13_the_agents_describe_themselves() {
    for (agent, parameters) in [
        ("coordinator", ["binary", "dir", "user", "log"].as_slice()),
        ("backup", &["mount", "config", "binary"]),
    ] {
        let stage = Stage::new(agent);
        let said = stage.run("meta-data", &[]);
        assert_eq!(said.code, 0, "{said:?}");
        let options = ParsingOptions {
            allow_dtd: true,
            ..ParsingOptions::default()
        };
        let document = Document::parse_with_options(&said.output, options).expect("XML");
        let root = document.root_element();
        assert_eq!(root.attribute("name"), Some(agent));
        // In the order of ra-api-1.dtd.
        let children: Vec<_> = elements(root).map(|n| n.tag_name().name()).collect();
        assert_eq!(
            children,
            ["version", "longdesc", "shortdesc", "parameters", "actions"]
        );
        let named = |tag: &str| -> BTreeSet<String> {
            let found = root.descendants().filter(|n| n.has_tag_name(tag));
            found
                .map(|n| n.attribute("name").expect("a name").to_owned())
                .collect()
        };
        let expected = parameters.iter().map(|&name| name.to_owned());
        assert_eq!(named("parameter"), expected.collect());
        let actions = ["start", "stop", "monitor", "validate-all", "meta-data"];
        assert_eq!(named("action"), actions.map(str::to_owned).into());
        for parameter in root.descendants().filter(|n| n.has_tag_name("parameter")) {
            let children: Vec<_> = elements(parameter).map(|n| n.tag_name().name()).collect();
            assert_eq!(children, ["longdesc", "shortdesc", "content"]);
        }
        for action in root.descendants().filter(|n| n.has_tag_name("action")) {
            let timeout = action.attribute("timeout").expect("a timeout");
            let seconds: u32 = timeout.trim_end_matches('s').parse().expect("seconds");
            assert!((5..=60).contains(&seconds), "{timeout}");
        }
    }
}

#[test]
fn an_action_that_is_none_is_not_implemented() {
    for agent in ["coordinator", "backup"] {
        let said = Stage::new(agent).run("promote", &[]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.output.contains("usage:"));
    }
}

#[test]
fn the_agents_can_be_run_by_anybody() {
    use std::os::unix::fs::PermissionsExt as _;
    for agent in ["coordinator", "backup", "longhaul-alert"] {
        let file = std::fs::metadata(format!("{AGENTS}/{agent}")).expect("an agent");
        assert_eq!(file.permissions().mode() & 0o555, 0o555, "{agent}");
    }
}

fn elements<'a>(of: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    of.children().filter(Node::is_element)
}
