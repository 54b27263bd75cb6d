//! Nodes that fail.

mod moves;

use longhaul_cluster::{
    Event, FenceStatus, Fencing, Membership, Resource, Role, Snapshot, What as Happening,
};
use longhaul_protocol::report::{Part, Point};

use super::*;
use crate::core::failover::{Failover, FailoverId};

/// A cluster of n1, n2 and n3, and the application pg on a node.
fn all_well(application: &str) -> Snapshot {
    let node = |name: &str| longhaul_cluster::Node {
        name: name.into(),
        online: true,
        ..longhaul_cluster::Node::default()
    };
    let pg = Resource {
        id: "pg".into(),
        role: Role::Started,
        wanted: true,
        active: true,
        nodes: vec![application.into()],
        ..Resource::default()
    };
    Snapshot {
        has_quorum: true,
        stonith_enabled: true,
        nodes: ["n1", "n2", "n3"].map(node).into(),
        resources: vec![pg],
        ..Snapshot::default()
    }
}

fn lost(snapshot: &mut Snapshot, name: &str, unclean: bool) {
    for node in snapshot.nodes.iter_mut().filter(|node| node.name == name) {
        node.online = false;
        node.unclean = unclean;
    }
}

fn fenced(snapshot: &mut Snapshot, name: &str, at: i64) {
    snapshot.fencing.push(Fencing {
        target: name.into(),
        action: "reboot".into(),
        status: FenceStatus::Success,
        delegate: Some("n2".into()),
        client: "pacemaker-controld".into(),
        origin: "n2".into(),
        completed: Some(Time(at)),
        why: None,
    });
}

/// The time at which everything here happens, so that clocks have room.
const NOW: i64 = 1_000_000;

/// pg runs on n1, and its backup is under way there, with a checkpoint.
fn bed() -> (Bed, Start) {
    let mut bed = Bed::with(Settings {
        alive_ms: 1_000_000,
        retry_ms: 60_000,
        is_clustered: true,
        node: Some(name("n2")),
        ..Settings::default()
    });
    bed.now = NOW;
    bed.said(all_well("n1"));
    bed.done(json!({"command": "pool-drive", "drive": "D1", "pool": "drives"}));
    bed.done(json!({"command": "set-job", "job": {
        "name": "pg", "work": {"paths": ["/srv"]}, "place": {"application": "pg"},
        "drive": {"pool": "drives"}, "volumes": "daily"}}));
    let starts = bed.done(json!({"command": "run", "run": {"job": "pg", "due": NOW}}));
    let [(node, start)] = &starts[..] else {
        panic!("{starts:?}");
    };
    assert_eq!(node, "n1");
    let start = start.clone();
    bed.checkpoint(&start, "n1");
    (bed, start)
}

impl Bed {
    fn said(&mut self, snapshot: Snapshot) -> Vec<Output> {
        self.outputs(Input::Cluster(Some(Box::new(snapshot))))
    }

    fn checkpoint(&mut self, start: &Start, node: &str) {
        let (attempt, token) = (start.attempt.clone(), start.token);
        let part = Part {
            offset: 0,
            bytes: vec![1; 10],
        };
        let point = Point {
            taken: Time(self.now),
            volume: uuid(2),
            block: 7,
            members: 5,
            bytes: 3,
            journal_bytes: 10,
        };
        self.handle(Input::Report(
            name(node),
            Report::Journal {
                attempt: attempt.clone(),
                token,
                part,
            },
        ));
        let report = Report::Checkpoint {
            attempt,
            token,
            point,
        };
        self.handle(Input::Report(name(node), report));
    }

    /// A node's cluster service tells something of n1: it is looked at, and nothing
    /// is begun for a word alone.
    fn happened(&mut self, by: &str, sequence: u64, what: Happening) {
        let event = Event {
            at: Time(self.now),
            sequence,
            node: "n1".into(),
            what,
        };
        let outputs = self.outputs(Input::Report(name(by), Report::Happened { event }));
        assert!(outputs.contains(&Output::LookAtCluster), "{outputs:?}");
        assert!(starts(outputs).is_empty(), "a word has begun something");
    }

    fn failovers(&self) -> Vec<(&FailoverId, &Failover)> {
        self.core.state().failovers.iter().collect()
    }

    /// The words of how the run stands.
    fn why(&mut self) -> String {
        let run = RunId {
            job: name("pg"),
            due: Time(NOW),
        };
        let ask = Input::Ask(Asker(2), Ask::Run { run, wait_ms: 0 });
        let outputs = self.outputs(ask);
        let status = outputs.into_iter().find_map(|output| match output {
            Output::Answer(_, Answer::Run(status)) => Some(status),
            _ => None,
        });
        status.expect("an answer").words
    }
}

fn starts(outputs: Vec<Output>) -> Vec<(String, Start)> {
    let starts = outputs.into_iter().filter_map(|output| match output {
        Output::Send(
            to,
            Order {
                what: What::Start(start),
                ..
            },
        ) => Some((to.to_string(), *start)),
        _ => None,
    });
    starts.collect()
}

#[test]
fn r14_r22_r23_r24_what_a_fenced_node_did_goes_on_where_its_application_is() {
    let (mut bed, first) = bed();
    // The node is lost. Nothing follows from that: it may still be writing.
    let mut view = all_well("n1");
    lost(&mut view, "n1", true);
    assert_eq!(starts(bed.said(view.clone())), []);
    bed.handle(Input::Gone(name("n1")));
    assert!(bed.why().contains("nobody has confirmed"), "{}", bed.why());
    // That it is fenced somewhere is a second before now, for whole seconds are told.
    fenced(&mut view, "n1", bed.now - 1_000);
    assert_eq!(starts(bed.said(view)), [], "it is still unclean");
    let mut view = all_well("n2");
    lost(&mut view, "n1", false);
    fenced(&mut view, "n1", bed.now - 1_000);
    let outputs = bed.said(view.clone());
    let told = outputs.iter().filter_map(|output| match output {
        Output::Notify(Notice::Failover(of, why)) => Some((of.node.to_string(), why.clone())),
        _ => None,
    });
    let told: Vec<(String, String)> = told.collect();
    assert!(
        matches!(&told[..], [(node, why)] if node == "n1" && why.contains("from its checkpoint"))
    );
    let starts_now = starts(outputs);
    let [(node, second)] = &starts_now[..] else {
        panic!("{starts_now:?}");
    };
    assert_eq!((node.as_str(), second.attempt.number), ("n2", 2));
    assert_eq!(second.preempts, [first.token]);
    assert_eq!(second.resume.expect("a journal").journal_bytes, 10);
    // Said again, it is the same; what it writes is written down.
    let rows = bed.core.state().clone();
    bed.said(view);
    assert_eq!(*bed.core.state(), rows);
    bed.checkpoint(second, "n2");
    bed.said(all_well("n2"));
    let [(id, row)] = bed.failovers()[..] else {
        panic!("{:?}", bed.failovers());
    };
    assert_eq!(id.node, name("n1"));
    let [hit] = &row.hit[..] else {
        panic!("{row:?}");
    };
    assert_eq!((&hit.attempt, hit.drive.as_str()), (&first.attempt, "D1"));
    assert_eq!(hit.volumes, [name("LH2")]);
    let next = hit.next.as_ref().expect("an attempt");
    assert_eq!((&next.attempt, next.node.as_str()), (&second.attempt, "n2"));
    assert!(next.wrote.is_some() && row.dead.is_some() && row.back.is_some());
}

#[test]
fn a_fencing_that_is_older_than_an_attempt_says_nothing_of_it() {
    let (mut bed, _) = bed();
    let mut view = all_well("n1");
    fenced(&mut view, "n1", NOW - 60_000);
    bed.said(view);
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
    // Then the node leaves the cluster in order, and its service is not heard of.
    let mut view = all_well("n2");
    lost(&mut view, "n1", false);
    fenced(&mut view, "n1", NOW - 60_000);
    bed.handle(Input::Gone(name("n1")));
    assert_eq!(starts(bed.said(view)), []);
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
}

#[test]
fn a_node_that_was_fenced_and_is_there_again_has_forgotten_what_it_did() {
    let (mut bed, first) = bed();
    bed.handle(Input::Gone(name("n1")));
    let mut view = all_well("n1");
    fenced(&mut view, "n1", bed.now);
    bed.said(view.clone());
    let RunState::Waiting = bed.run("pg", NOW) else {
        panic!("{:?}", bed.run("pg", NOW));
    };
    // It is put to use again, and is not taken for dead because of the same again.
    bed.now += 60_000;
    bed.connect("n1", &["D1"]);
    let second = bed.core.state().attempts.keys().next_back().cloned();
    assert_eq!(second.map(|id| id.number), Some(first.attempt.number + 1));
    bed.said(view);
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
}

#[test]
fn r20_a_failure_is_written_down_once_though_the_clock_was_set_back() {
    let (mut bed, _) = bed();
    let mut view = all_well("n2");
    lost(&mut view, "n1", true);
    bed.said(view.clone());
    bed.said(all_well("n2"));
    bed.now -= 60_000;
    for _ in 0..3 {
        bed.now += 1_000;
        bed.said(view.clone());
    }
    assert_eq!(bed.failovers().len(), 2);
    let state = Membership::Lost;
    bed.happened("n2", 1, Happening::Node { state });
    let said = bed.failovers()[0].1.said.last().expect("a word");
    assert_eq!(said.by, "the cluster service of n2");
    bed.said(all_well("n2"));
    let failovers = bed.failovers();
    assert!(failovers.iter().all(|(_, row)| row.back.is_some()));
}

#[test]
fn r20_a_node_that_is_back_when_its_fencing_is_heard_of_has_failed_once() {
    let (mut bed, _) = bed();
    let mut view = all_well("n2");
    lost(&mut view, "n1", true);
    bed.said(view);
    let mut view = all_well("n2");
    fenced(&mut view, "n1", bed.now);
    bed.said(view);
    let [(_, row)] = bed.failovers()[..] else {
        panic!("{:?}", bed.failovers());
    };
    assert!(row.hit.len() == 1 && row.back.is_some());
}

#[test]
fn without_fencing_only_what_runs_elsewhere_now_goes_on_there() {
    let (mut bed, _) = bed();
    bed.handle(Input::Gone(name("n1")));
    let mut view = all_well("n1");
    view.stonith_enabled = false;
    lost(&mut view, "n1", false);
    assert_eq!(starts(bed.said(view)), []);
    let mut view = all_well("n2");
    view.stonith_enabled = false;
    lost(&mut view, "n1", false);
    let starts = starts(bed.said(view));
    assert!(
        matches!(&starts[..], [(node, _)] if node == "n2"),
        "{starts:?}"
    );
}

#[test]
fn without_quorum_nothing_is_begun_and_nobody_is_taken_for_dead() {
    let (mut bed, _) = bed();
    let mut view = all_well("n2");
    lost(&mut view, "n1", false);
    fenced(&mut view, "n1", bed.now);
    let quorate = view.clone();
    view.has_quorum = false;
    assert_eq!(starts(bed.said(view)), []);
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
    bed.handle(Input::Gone(name("n1")));
    assert_eq!(starts(bed.said(quorate)).len(), 1);
    // Nobody says how things stand: nothing more is begun.
    bed.outputs(Input::Cluster(None));
    let begun = bed.done(json!({"command": "run", "run": {"job": "pg", "due": NOW + 1}}));
    assert_eq!(begun, []);
}

#[test]
fn nobody_confirms_the_death_of_a_node_that_the_cluster_sees() {
    let (mut bed, _) = bed();
    bed.handle(Input::Gone(name("n1")));
    let confirm = json!({"command": "confirm-fenced", "node": "n1"});
    let (answer, _) = bed.command(confirm.clone());
    assert!(matches!(answer, Answer::Failed { .. }), "{answer:?}");
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
    let mut view = all_well("n1");
    lost(&mut view, "n1", true);
    bed.said(view);
    bed.done(confirm);
    assert_ne!(*bed.run("pg", NOW), RunState::Active);
}

#[test]
fn r20_r21_the_failure_of_the_coordinators_node_is_written_down_with_what_others_say() {
    let (bed, _) = bed();
    let mut state = bed.core.state().clone();
    state.counters.host = Some(name("n1"));
    let settings = Settings {
        is_clustered: true,
        node: Some(name("n2")),
        ..Settings::default()
    };
    let (core, _) = Coordinator::start(settings, state);
    let mut bed = Bed { core, ..bed };
    bed.connect("n2", &["D1"]);
    let is_lost = Happening::Node {
        state: Membership::Lost,
    };
    for _ in 0..3 {
        bed.happened("n2", 1, is_lost.clone());
    }
    // A word alone changes nothing.
    assert_eq!(bed.failovers().len(), 0);
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
    let mut view = all_well("nowhere");
    view.resources[0].nodes.clear();
    lost(&mut view, "n1", false);
    fenced(&mut view, "n1", bed.now);
    view.failures.push(longhaul_cluster::Failure {
        operation: "fs_monitor_20".into(),
        node: "n1".into(),
        code: 7,
        why: "not running".into(),
        when: None,
    });
    bed.said(view.clone());
    bed.said(view.clone());
    let contradicting = Happening::Fencing {
        action: Some("reboot".into()),
        code: 1,
        words: "no route".into(),
    };
    bed.happened("n2", 1, contradicting);
    let [(_, row)] = bed.failovers()[..] else {
        panic!("{:?}", bed.failovers());
    };
    assert!(row.was_coordinator && row.hit.len() == 1);
    let said: Vec<(&str, &str)> = row.said.iter().map(|s| (&*s.by, &*s.words)).collect();
    assert_eq!(
        said,
        [
            ("the cluster service of n2", "it is lost"),
            ("the cluster service of n2", "it is not there"),
            ("the cluster service of n2", "it was fenced"),
            (
                "the cluster as n2 sees it",
                "quorum: it is there, with n2 and n3 up"
            ),
            (
                "the cluster as n2 sees it",
                "application pg: it runs nowhere"
            ),
            (
                "the cluster as n2 sees it",
                "fs_monitor_20 on n1: it has failed: not running"
            ),
            (
                "the cluster service of n2",
                "it could not be fenced: no route"
            ),
        ]
    );
    for (quorum, node) in [(false, "n3"), (true, "n3")] {
        let mut changed = all_well(node);
        lost(&mut changed, "n1", false);
        changed.has_quorum = quorum;
        bed.said(changed);
    }
    let said = bed.failovers()[0].1.said.iter().rev();
    let said: Vec<&str> = said.map(|said| &*said.words).take(3).collect();
    assert_eq!(
        said,
        [
            "quorum: it is there, with n2 and n3 up",
            "application pg: it runs on n3",
            "quorum: it is lost, with n2 and n3 up",
        ]
    );
}

#[test]
fn r15_what_nodes_tell_of_another_decides_nothing_however_often_late_or_contradicting() {
    let (mut bed, _) = bed();
    bed.done(json!({"command": "add-node", "node": "n3"}));
    bed.connect("n3", &[]);
    let fencing = |code| Happening::Fencing {
        action: Some("reboot".into()),
        code,
        words: "by n2".into(),
    };
    let node = |state| Happening::Node { state };
    let all = |bed: &mut Bed| {
        for sequence in [1, 1, 7, 3] {
            bed.happened("n2", sequence, node(Membership::Lost));
            bed.happened("n3", sequence, node(Membership::Member));
            bed.happened("n2", sequence, fencing(0));
            bed.happened("n3", sequence, fencing(1));
        }
    };
    all(&mut bed);
    // Whoever is asked says that all is well.
    bed.said(all_well("n1"));
    all(&mut bed);
    assert!(bed.failovers().is_empty() && *bed.run("pg", NOW) == RunState::Active);

    let mut view = all_well("n2");
    lost(&mut view, "n1", true);
    assert!(
        starts(bed.said(view.clone())).is_empty(),
        "before it was fenced"
    );
    all(&mut bed);
    assert!(bed.failovers()[0].1.confirmed.is_none());
    lost(&mut view, "n1", false);
    fenced(&mut view, "n1", bed.now);
    let begun = starts(bed.said(view));
    assert!(
        matches!(&begun[..], [(node, _)] if node == "n2"),
        "{begun:?}"
    );

    // What comes late of a node that is there again.
    bed.said(all_well("n2"));
    all(&mut bed);
    bed.said(all_well("n2"));
    assert_eq!(bed.failovers().len(), 1);
    assert_eq!(*bed.run("pg", NOW), RunState::Active);
    assert_eq!(bed.core.state().attempts.len(), 2);
}

#[test]
fn without_a_cluster_an_operators_word_is_written_down_until_the_node_is_there_again() {
    let mut bed = Bed::new();
    backup(&mut bed, "n1", "D1");
    bed.handle(Input::Gone(name("n1")));
    let starts = bed.done(json!({"command": "confirm-fenced", "node": "n1"}));
    assert_eq!(starts, [], "its job is for n1 alone");
    let of = |bed: &Bed| {
        let rows = bed.failovers();
        let rows = rows
            .iter()
            .map(|(_, row)| (row.hit.len(), row.back.is_some()));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(of(&bed), [(1, false)]);
    let (_, row) = bed.failovers()[0];
    assert_eq!(row.said[0].by, "an operator");
    bed.connect("n1", &["D1"]);
    assert_eq!(of(&bed), [(1, true)]);
    bed.handle(Input::Gone(name("n1")));
    bed.done(json!({"command": "confirm-fenced", "node": "n1"}));
    assert_eq!(of(&bed), [(1, true), (1, false)]);
}
