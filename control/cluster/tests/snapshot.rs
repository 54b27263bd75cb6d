//! Snapshots: as Pacemaker writes them, garbled, and of any shape.

mod writing;

use longhaul_cluster::{Cloned, FenceStatus, Node, NotUnderstood, Role, Snapshot};
use longhaul_protocol::Time;
use proptest::prelude::*;
use writing::{any_snapshot, write};

/// Made by Pacemaker 2.1.5 of a configuration: a group half of which is started, a
/// clone that has failed on one node, a cloned group, and a node that is lost.
const HALF: &[u8] = include_bytes!("captures/half-started-2.1.5.xml");
/// The same by Pacemaker 3.0.0.
const HALF_3: &[u8] = include_bytes!("captures/half-started-3.0.0.xml");

#[test]
fn r2c_two_versions_of_pacemaker_say_the_same() {
    let (old, new) = (read(HALF), read(HALF_3));
    assert_eq!(old.nodes, new.nodes);
    assert_eq!(old.resources, new.resources);
    assert_eq!(old.dc.as_deref(), Some("n1"));
    assert!(old.has_quorum && old.stonith_enabled);
    let lost = old.node("n3").expect("n3");
    assert!(lost.unclean && !lost.online && !lost.is_up());
    assert!(old.node("n2").is_some_and(Node::is_up));
    assert_eq!(old.node("n4"), None);
}

#[test]
fn members_of_groups_and_clones_are_found_by_the_ids_of_both() {
    let snapshot = read(HALF);
    let ids = |of| -> Vec<_> { snapshot.members(of).map(|r| r.id.as_str()).collect() };
    assert_eq!(ids("app"), ["fs", "bk"]);
    assert_eq!(ids("fs"), ["fs"]);
    assert_eq!(ids("cl"), ["m", "m", "m"]);
    assert_eq!(ids("clg"), ["g1", "g1", "g1"]);
    assert_eq!(ids("grp:1"), ["g1"]);
    assert_eq!(ids("nothing"), [""; 0]);
    let member = snapshot.members("grp:1").next().expect("a member");
    assert_eq!(member.within, ["grp:1", "clg"]);
    assert_eq!(member.cloned, Cloned::Yes);
    assert_eq!(member.agent, "ocf:heartbeat:Dummy");
}

#[test]
fn r14_a_group_that_is_started_in_part_runs_nowhere() {
    let snapshot = read(HALF);
    assert_eq!(snapshot.runs_on("fs"), Some("n1"));
    assert_eq!(snapshot.runs_on("bk"), None, "it is being started");
    assert_eq!(snapshot.runs_on("app"), None);
    let text = text(HALF).replace(r#"role="Starting""#, r#"role="Started""#);
    assert_eq!(read(text.as_bytes()).runs_on("app"), Some("n1"));
    // A member that is still stopped, and one that an operator has stopped.
    let stopped = r#"id="bk" resource_agent="ocf:heartbeat:Dummy" role="Stopped""#;
    let starting = r#"id="bk" resource_agent="ocf:heartbeat:Dummy" role="Starting""#;
    let later = self::text(HALF).replace(starting, stopped);
    assert_eq!(read(later.as_bytes()).runs_on("app"), None);
    let by_hand = later.replace(stopped, &format!(r#"{stopped} target_role="Stopped""#));
    assert_eq!(read(by_hand.as_bytes()).runs_on("app"), Some("n1"));
}

#[test]
fn r14_what_failed_runs_nowhere_unless_that_is_ignored() {
    let snapshot = read(HALF);
    let failed = snapshot.members("cl").next().expect("an instance");
    assert!(failed.failed && failed.active && failed.role == Role::Started);
    assert_eq!(snapshot.runs_on("cl"), None);
    let text = text(HALF).replace(
        r#"failed="true" failure_ignored="false""#,
        r#"failed="true" failure_ignored="true""#,
    );
    assert_eq!(read(text.as_bytes()).runs_on("cl"), Some("n1"));
    let failure = snapshot.failures.first().expect("a failure");
    assert_eq!(failure.operation, "m_start_0");
    assert_eq!((failure.node.as_str(), failure.code), ("n1", 1));
    assert_eq!(failure.when, Some(Time(1_700_000_000_000)));
}

#[test]
fn r14_an_application_on_a_lost_node_runs_nowhere() {
    // Until the node is fenced, Pacemaker says that it is started there.
    let node = r#"<node name="n1" id="1" cached="true"/>"#;
    let text = text(HALF).replace(node, r#"<node name="n3" id="3" cached="false"/>"#);
    let snapshot = read(text.as_bytes());
    let fs = snapshot.members("fs").next().expect("fs");
    assert_eq!(
        (fs.role, fs.nodes.as_slice()),
        (Role::Started, &["n3".to_owned()][..])
    );
    assert_eq!(snapshot.runs_on("fs"), None);
}

#[test]
fn r14_a_promotable_clone_runs_where_it_is_promoted() {
    let text = text(HALF)
        .replace(r#"<clone id="cl" multi_state="false""#, r#"<clone id="cl" multi_state="true""#)
        .replace(r#"failed="true""#, r#"failed="false""#)
        .replacen(
            r#"id="m" resource_agent="ocf:heartbeat:Dummy" role="Stopped" active="false" orphaned="false" blocked="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="0"/>"#,
            r#"id="m" resource_agent="ocf:heartbeat:Dummy" role="Promoted" active="true" orphaned="false" blocked="false" managed="true" failed="false" failure_ignored="false" nodes_running_on="1"><node name="n2"/></resource>"#,
            1,
        );
    assert_eq!(
        read(text.as_bytes()).runs_on("cl"),
        None,
        "one is started, not unpromoted"
    );
    let text = text.replace(
        r#"id="m" resource_agent="ocf:heartbeat:Dummy" role="Started""#,
        r#"id="m" resource_agent="ocf:heartbeat:Dummy" role="Unpromoted""#,
    );
    assert_eq!(read(text.as_bytes()).runs_on("cl"), Some("n2"));
}

#[test]
fn r15_without_a_coordinating_node_there_is_no_quorum() {
    let text = text(HALF);
    let begin = text.find("<current_dc").expect("there");
    let end = begin + text[begin..].find("/>").expect("ends") + 2;
    let gone = text.replace(&text[begin..end], r#"<current_dc present="false"/>"#);
    let snapshot = read(gone.as_bytes());
    assert_eq!((snapshot.dc, snapshot.has_quorum), (None, false));
}

#[test]
fn r15_a_fencing_says_when_it_was_completed() {
    let event = r#"<fence_history status="0">
        <fence_event status="success" action="reboot" target="n2" client="pacemaker-controld.9"
          origin="n1" delegate="n3" completed="2026-11-28 16:20:33.123456 +01:00"/>
        <fence_event status="pending" action="off" target="n3" client="stonith_admin.1" origin="n1"/>
        <fence_event status="failed" exit-reason=" no power " action="reboot" target="n3"
          client="c" origin="n1" completed="2026-11-28 15:20:34Z"/>
        </fence_history><status "#;
    let text = text(HALF).replace("<status ", event);
    let snapshot = read(text.as_bytes());
    let [done, pending, failed] = snapshot.fencing.as_slice() else {
        panic!("{:?}", snapshot.fencing)
    };
    assert!(done.is_confirmed() && done.target == "n2");
    assert_eq!(done.delegate.as_deref(), Some("n3"));
    assert_eq!(done.completed, Some(Time(1_795_879_233_123)));
    assert!(!pending.is_confirmed() && pending.completed.is_none());
    assert_eq!(failed.status, FenceStatus::Failed);
    assert_eq!(failed.why.as_deref(), Some("no power"));
    assert_eq!(failed.completed, Some(Time(1_795_879_234_000)));
    // Unfencing lets a node in; it was not down.
    let on = text.replace(r#"action="reboot""#, r#"action="on""#);
    assert!(
        read(on.as_bytes())
            .fencing
            .iter()
            .all(|f| !f.is_confirmed())
    );
    for (what, by) in [
        ("status=\"success\"", "status=\"probably\""),
        ("completed=\"2026-11-28 16:20:33.123456 +01:00\"", ""),
        ("16:20:33.123456 +01:00", "16:20:33.123456"),
        ("fence_history status=\"0\"", "fence_history status=\"-61\""),
    ] {
        let text = text.replacen(what, by, 1);
        Snapshot::from_xml(text.as_bytes()).expect_err(by);
    }
}

#[test]
fn r15_what_is_missing_is_named_and_what_is_unknown_ignored() {
    let whole = text(HALF);
    for (element, attributes) in [
        ("current_dc", "present name with_quorum"),
        ("cluster_options", "stonith-enabled"),
        (
            "node",
            "name online unclean pending standby maintenance shutdown",
        ),
        ("resource", "id resource_agent role active failed managed"),
        ("group", "id"),
        ("clone", "id multi_state"),
        ("failure", "op_key node exitcode"),
        ("status", "code"),
    ] {
        for attribute in attributes.split(' ') {
            let from = whole.find(&format!("<{element} ")).expect(element);
            let at = from
                + whole[from..]
                    .find(&format!(" {attribute}="))
                    .expect(attribute);
            let mut text = whole.clone();
            text.insert_str(at + 1, "x-");
            let error = Snapshot::from_xml(text.as_bytes()).expect_err(attribute);
            let words = error.to_string();
            let named = if attribute == "op_key" {
                "id"
            } else {
                attribute
            };
            assert!(words.contains(element) && words.contains(named), "{words}");
        }
    }
    let text = whole.replace("<node ", "<news/><node weather=\"fine\" ");
    assert_eq!(read(text.as_bytes()), read(HALF));
}

#[test]
fn r15_what_is_not_whole_is_no_snapshot() {
    for bytes in [HALF, HALF_3] {
        let end = bytes.trim_ascii_end().len();
        for length in 0..end {
            Snapshot::from_xml(&bytes[..length]).expect_err("not whole");
        }
    }
    // Without what is around it, too.
    for (element, end) in [
        ("nodes>", "</nodes>"),
        ("resources>", "</resources>"),
        ("summary>", "</summary>"),
        ("status ", "/>"),
    ] {
        let text = text(HALF);
        let from = text.find(&format!("<{element}")).expect(element);
        let to = from + text[from..].find(end).expect(end) + end.len();
        let error = Snapshot::from_xml(text.replace(&text[from..to], "").as_bytes());
        assert!(
            error
                .expect_err(element)
                .to_string()
                .contains(element.trim_end_matches(['>', ' ']))
        );
    }
}

#[test]
fn answers_that_there_is_none_are_errors() {
    let not_connected = br#"<pacemaker-result api-version="2.25" request="crm_mon"><status code="102" message="Not connected"><errors><error>no launcher</error></errors></status></pacemaker-result>"#;
    let error = Snapshot::from_xml(not_connected).expect_err("none");
    assert_eq!(error, NotUnderstood::NotConnected("no launcher".into()));
    let gone = br#"<pacemaker-result><crm-mon-disconnected pacemakerd-state="init"/><status code="0"/></pacemaker-result>"#;
    let error = Snapshot::from_xml(gone).expect_err("none");
    assert_eq!(error, NotUnderstood::NotConnected("init".into()));
    let failed = br#"<pacemaker-result><status code="1" message="Error"/></pacemaker-result>"#;
    let error = Snapshot::from_xml(failed).expect_err("none");
    assert!(
        matches!(error, NotUnderstood::Refused { code: 1, .. }),
        "{error}"
    );
    for no in [
        "",
        "\0",
        "<a/>",
        "<crm_mon version=\"1.1\"/>",
        "Cluster Summary:",
    ] {
        let error = Snapshot::from_xml(no.as_bytes()).expect_err(no);
        assert!(matches!(error, NotUnderstood::NoXml(_)), "{error}");
    }
    let entities = br#"<!DOCTYPE a [<!ENTITY b "c">]><pacemaker-result>&b;</pacemaker-result>"#;
    Snapshot::from_xml(entities).expect_err("a document type");
}

#[test]
fn sizes_have_bounds() {
    let long = vec![b' '; longhaul_cluster::XML_BYTES_MAX + 1];
    let error = Snapshot::from_xml(&long).expect_err("too long");
    assert!(matches!(error, NotUnderstood::TooLong { .. }), "{error}");
    let node = r#"<node name="n2" id="2" online="true" standby="false" standby_onfail="false" maintenance="false" pending="false" unclean="false" shutdown="false"/>"#;
    let with = |more| text(HALF).replace("<nodes>", &format!("<nodes>{}", node.repeat(more)));
    let most = longhaul_cluster::ENTRIES_MAX - 3;
    assert_eq!(
        read(with(most).as_bytes()).nodes.len(),
        longhaul_cluster::ENTRIES_MAX
    );
    let error = Snapshot::from_xml(with(most + 1).as_bytes()).expect_err("too many");
    assert!(
        matches!(
            error,
            NotUnderstood::TooMany {
                element: "node",
                ..
            }
        ),
        "{error}"
    );
    // Elements within each other: neither the parser nor we have a stack of them.
    let deep = "<group id=\"g\">".repeat(400_000) + &"</group>".repeat(400_000);
    let text = text(HALF).replace("<resources>", &format!("<resources>{deep}"));
    read(text.as_bytes());
    let resource = r#"<resource id="deep" resource_agent="a" role="Stopped" active="false" failed="false" managed="true"/>"#;
    let text = text.replacen("</group>", &format!("{resource}</group>"), 1);
    let error = Snapshot::from_xml(text.as_bytes()).expect_err("too deep");
    assert!(
        matches!(
            error,
            NotUnderstood::TooMany {
                element: "group",
                ..
            }
        ),
        "{error}"
    );
    let name = format!(
        "name=\"{}\"",
        "n".repeat(longhaul_cluster::TEXT_BYTES_MAX + 1)
    );
    let error = Snapshot::from_xml(self::text(HALF).replace("name=\"n2\"", &name).as_bytes());
    assert!(error.expect_err("a long name").to_string().len() < 200);
}

proptest! {
    #[test]
    fn any_bytes_are_a_snapshot_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = Snapshot::from_xml(&bytes);
    }

    #[test]
    fn a_capture_with_other_bytes_in_it_is_a_snapshot_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = HALF.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Snapshot::from_xml(&bytes);
    }

    #[test]
    fn r15_a_snapshot_comes_back_from_its_xml_and_from_json(snapshot in any_snapshot()) {
        let xml = write(&snapshot);
        prop_assert_eq!(&Snapshot::from_xml(xml.as_bytes()).expect("understood"), &snapshot);
        let json = serde_json::to_string(&snapshot).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Snapshot>(&json).expect("read"), snapshot);
    }

    #[test]
    fn r14_an_application_runs_only_where_all_of_it_is_started(snapshot in any_snapshot()) {
        let applications: Vec<&str> = snapshot.resources.iter()
            .flat_map(|r| r.within.iter().chain([&r.id]).map(String::as_str)).collect();
        for application in applications {
            let Some(node) = snapshot.runs_on(application) else { continue };
            prop_assert!(snapshot.node(node).is_some_and(Node::is_up));
            prop_assert!(snapshot.members(application).any(|r| r.active && r.nodes == [node]));
            for member in snapshot.members(application) {
                prop_assert!(member.role != Role::Changing);
                let elsewhere = member.active && member.nodes != [node];
                prop_assert!(!elsewhere || (member.role == Role::Unpromoted || member.role == Role::Stopped));
            }
        }
    }
}

fn read(xml: &[u8]) -> Snapshot {
    match Snapshot::from_xml(xml) {
        Ok(snapshot) => snapshot,
        Err(error) => panic!("{error}"),
    }
}

fn text(xml: &[u8]) -> String {
    String::from_utf8(xml.to_vec()).expect("text")
}
