//! What Pacemaker said of a real cluster: see captures/README.md.

use std::fs;
use std::path::PathBuf;

use longhaul_cluster::{
    Event, FenceStatus, Membership, Node, NotUnderstood, Role, Snapshot, What, event_from_variables,
};
use longhaul_protocol::Time;

/// When n2 was fenced, then n3, then n2.
const N2_FENCED: Time = Time(1_795_880_389_000);
const N3_FENCED: Time = Time(1_795_880_504_000);
const N2_FENCED_AGAIN: Time = Time(1_795_880_984_000);

fn read(name: &str) -> Snapshot {
    let path = format!("{}/tests/captures/{name}.xml", env!("CARGO_MANIFEST_DIR"));
    let xml = fs::read(&path).expect("a capture");
    Snapshot::from_xml(&xml).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What an alert agent was told, in order.
fn told() -> Vec<Event> {
    let dir = format!("{}/tests/captures/alerts", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(dir).expect("a folder");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let event = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a file");
        let variables = text.lines().filter_map(|line| line.split_once('='));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        event_from_variables(&variables.collect())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(event).collect()
}

/// Names of the nodes for which something holds.
fn nodes(snapshot: &Snapshot, holds: impl Fn(&Node) -> bool) -> Vec<&str> {
    let found = snapshot.nodes.iter().filter(|node| holds(node));
    found.map(|node| node.name.as_str()).collect()
}

#[test]
fn r2c_each_state_of_a_real_cluster_is_understood() {
    let all = ["n1", "n2", "n3"].as_slice();
    for (name, dc, has_quorum, up, unclean, app) in [
        ("online", "n3", true, all, &[][..], Some("n2")),
        ("unclean", "n3", true, &["n1", "n3"], &["n2"], None),
        ("fenced", "n3", true, &["n1", "n3"], &[], Some("n3")),
        ("rejoined", "n3", true, all, &[], Some("n3")),
        ("standby", "n1", true, all, &[], None),
        ("fencing-failed", "n1", true, &["n1", "n2"], &["n3"], None),
        ("failed-resource", "n1", true, all, &[], None),
        ("no-quorum", "n1", false, &["n1"], &["n2", "n3"], None),
        ("no-quorum-n2", "n2", false, &["n2"], &["n1", "n3"], None),
        ("lan-cut-n2", "n1", true, &["n1", "n3"], &["n2"], None),
        (
            "lan-cut-n2-itself",
            "n2",
            false,
            &["n2"],
            &["n1", "n3"],
            None,
        ),
        ("orderly-stopped-n3", "n1", false, &["n1"], &[], None),
    ] {
        let snapshot = read(name);
        assert_eq!(snapshot.dc.as_deref(), Some(dc), "{name}");
        assert_eq!(snapshot.has_quorum, has_quorum, "{name}");
        assert!(snapshot.stonith_enabled, "{name}");
        assert_eq!(snapshot.nodes.len(), 3, "{name}");
        assert_eq!(nodes(&snapshot, Node::is_up), up, "{name}");
        assert_eq!(nodes(&snapshot, |node| node.unclean), unclean, "{name}");
        assert_eq!(snapshot.runs_on("app"), app, "{name}");
        assert_eq!(snapshot.members("app").count(), 2, "{name}");
        assert_eq!(snapshot.members("d-clone").count(), 3, "{name}");
    }
}

#[test]
fn r15_a_node_is_fenced_once_the_cluster_has_done_it_and_does_not_doubt_it_again() {
    for (name, n1, n2, n3) in [
        ("online", None, None, None),
        ("unclean", None, None, None),
        ("fenced", None, Some(N2_FENCED), None),
        ("rejoined", None, Some(N2_FENCED), None),
        ("fencing-failed", None, Some(N2_FENCED), None),
        ("standby", None, Some(N2_FENCED), Some(N3_FENCED)),
        // Both were fenced, once; now they are lost again.
        ("no-quorum", None, None, None),
        ("no-quorum-n2", None, Some(N2_FENCED), None),
        ("lan-cut-n2", None, None, Some(N3_FENCED)),
        (
            "orderly-stopped-n3",
            None,
            Some(N2_FENCED_AGAIN),
            Some(N3_FENCED),
        ),
    ] {
        let snapshot = read(name);
        let fenced = ["n1", "n2", "n3"].map(|node| snapshot.fenced(node));
        assert_eq!(fenced, [n1, n2, n3], "{name}");
        assert_eq!(snapshot.fenced("n4"), None);
    }
}

#[test]
fn r15_who_fenced_whom_and_what_failed_is_told() {
    let asked = &read("unclean").fencing;
    let [asked] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (asked.target.as_str(), asked.status),
        ("n2", FenceStatus::Pending)
    );
    assert_eq!((asked.delegate.as_deref(), asked.completed), (None, None));
    assert_eq!(
        (asked.client.as_str(), asked.origin.as_str()),
        ("pacemaker-controld.1002", "n3")
    );

    let failed = read("fencing-failed").fencing;
    let told: Vec<_> = failed
        .iter()
        .map(|f| (f.target.as_str(), f.status))
        .collect();
    assert_eq!(
        told,
        [
            ("n3", FenceStatus::Pending),
            ("n3", FenceStatus::Failed),
            ("n2", FenceStatus::Success)
        ]
    );
    let done = failed.last().expect("the oldest");
    assert_eq!(done.delegate.as_deref(), Some("n1"));
    assert!(done.is_confirmed());
}

#[test]
fn r14_what_is_stopping_or_has_failed_is_told() {
    let standby = read("standby");
    assert_eq!(nodes(&standby, |node| node.standby), ["n2"]);
    let roles: Vec<_> = standby.members("app").map(|r| (r.role, r.active)).collect();
    assert_eq!(roles, [(Role::Changing, true), (Role::Stopped, false)]);

    let failed = read("failed-resource");
    let ip = failed.members("ip").next().expect("the address");
    assert!(ip.failed && ip.managed && !ip.blocked && !ip.orphaned);
    assert_eq!(
        (ip.within.as_slice(), ip.nodes.as_slice()),
        (&["app".to_owned()][..], &["n3".to_owned()][..])
    );
    let [failure] = failed.failures.as_slice() else {
        panic!("{:?}", failed.failures)
    };
    assert_eq!(
        (failure.operation.as_str(), failure.code),
        ("ip_monitor_5000", 7)
    );
    assert_eq!(
        (failure.node.as_str(), failure.why.as_str()),
        ("n3", "not running")
    );
    // It is whole as soon as one looks at the file system alone.
    assert_eq!(failed.runs_on("fs"), Some("n3"));
}

#[test]
fn r15_a_cluster_service_that_is_stopped_is_no_snapshot() {
    let path = format!(
        "{}/tests/captures/not-running.xml",
        env!("CARGO_MANIFEST_DIR")
    );
    let error = Snapshot::from_xml(&fs::read(path).expect("a capture")).expect_err("none");
    assert!(matches!(error, NotUnderstood::NotConnected(_)), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn r21_what_a_real_cluster_tells_is_understood_in_its_order() {
    let told = told();
    let sequence: Vec<_> = told.iter().map(|event| event.sequence).collect();
    assert!(sequence.is_sorted(), "{sequence:?}");
    assert!(told.iter().map(|event| event.at).is_sorted());
    let [lost, back, failed, lost_again, fenced, started, cancelled] = told.as_slice() else {
        panic!("{told:?}")
    };
    for (event, expected) in [
        (lost, Membership::Lost),
        (back, Membership::Member),
        (lost_again, Membership::Lost),
    ] {
        assert_eq!(event.node, "n2");
        assert_eq!(event.what, What::Node { state: expected });
    }
    for (event, is_done) in [(failed, false), (fenced, true)] {
        let What::Fencing {
            action,
            code,
            words,
        } = &event.what
        else {
            panic!("{event:?}")
        };
        assert_eq!(event.node, "n2");
        assert_eq!(
            (action.as_deref(), *code == 0),
            (Some("reboot"), is_done),
            "{words}"
        );
    }
    // It is told later than it was done.
    assert!(fenced.at >= N2_FENCED_AGAIN);
    for (event, expected, said) in [(started, "fs", "ok"), (cancelled, "ip", "Cancelled")] {
        let What::Resource {
            resource, words, ..
        } = &event.what
        else {
            panic!("{event:?}")
        };
        assert_eq!(
            (event.node.as_str(), resource.as_str(), words.as_str()),
            ("n3", expected, said)
        );
    }
}

#[test]
fn r15_a_capture_that_is_not_whole_is_no_snapshot() {
    let path = format!("{}/tests/captures/fenced.xml", env!("CARGO_MANIFEST_DIR"));
    let xml = fs::read(path).expect("a capture");
    for length in 0..xml.trim_ascii_end().len() {
        Snapshot::from_xml(&xml[..length]).expect_err("not whole");
    }
}
