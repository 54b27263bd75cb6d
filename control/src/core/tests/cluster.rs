//! Nodes that fail, and applications that move.

use longhaul_cluster::{
    Event, FenceStatus, Fencing, Membership, Resource, Role, Snapshot, What as Happening,
};
use longhaul_protocol::order::Stop;
use longhaul_protocol::report::{Part, Point};

use super::*;
use crate::core::failover::{Failover, FailoverId};
use crate::core::state::LEFT_MAX;

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
fn r14_an_application_that_is_moved_takes_its_backup_along_from_a_checkpoint() {
    let (mut bed, first) = bed();
    let mut view = all_well("n1");
    view.resources[0].role = Role::Changing;
    let stops = |outputs: Vec<Output>| {
        let orders = outputs.into_iter().filter_map(|output| match output {
            Output::Send(to, Order { what, .. }) => Some((to, what)),
            _ => None,
        });
        orders.collect::<Vec<_>>()
    };
    let stop = What::Stop {
        attempt: first.attempt.clone(),
        how: Stop::Checkpoint,
    };
    assert_eq!(stops(bed.said(view.clone())), [(name("n1"), stop)]);
    assert_eq!(stops(bed.said(view)), [], "once is enough");
    bed.ended(&first, "n1", ExitStatus::Unfinished);
    assert!(bed.why().contains("nowhere"), "{}", bed.why());
    let begun = starts(bed.said(all_well("n2")));
    assert!(
        matches!(&begun[..], [(node, _)] if node == "n2"),
        "{begun:?}"
    );
    let rows = bed.core.state();
    let run = rows.runs.values().next().expect("a run");
    assert_eq!((run.failures, rows.failovers.len()), (0, 0));
}

#[test]
fn r14_what_a_node_leaves_off_is_no_failure_and_goes_on_as_soon_as_the_cluster_has_moved_it() {
    let (mut bed, first) = bed();
    // The agent has it end before the cluster says anything.
    let outcome = Outcome {
        left_off: true,
        ..Outcome::without_set(
            ExitStatus::Unfinished,
            "the cluster takes it",
            Time(bed.now),
        )
    };
    let outputs = bed.outputs(Input::Report(
        name("n1"),
        Report::Ended {
            attempt: first.attempt.clone(),
            token: first.token,
            outcome: outcome.clone(),
        },
    ));
    assert_eq!(starts(outputs.clone()), []);
    assert!(outputs.contains(&Output::LookAtCluster), "{outputs:?}");
    bed.handle(Input::Tick);
    let failures = |bed: &Bed| {
        bed.core
            .state()
            .runs
            .values()
            .next()
            .map(|run| run.failures)
    };
    assert_eq!(failures(&bed), Some(0));
    assert_eq!(
        bed.core.state().attempts.len(),
        1,
        "it would be told so again"
    );
    let begun = starts(bed.said(all_well("n2")));
    let [(node, second)] = &begun[..] else {
        panic!("{begun:?}");
    };
    assert_eq!(node, "n2");
    // Where it stays, it is tried again after a while.
    bed.ended_as(second, "n2", outcome);
    assert_eq!(starts(bed.said(all_well("n2"))), []);
    bed.now += 60_000;
    assert_eq!(starts(bed.said(all_well("n2"))).len(), 1);
    assert_eq!(failures(&bed), Some(0));
}

#[test]
fn r14_what_was_told_to_end_has_not_failed_where_its_application_is_back_by_then() {
    let (mut bed, first) = bed();
    let mut view = all_well("n1");
    view.resources[0].role = Role::Changing;
    bed.said(view);
    // It was started again where it was.
    bed.said(all_well("n1"));
    bed.ended(&first, "n1", ExitStatus::Unfinished);
    let run = bed.core.state().runs.values().next().expect("a run");
    assert_eq!((run.failures, &run.state), (0, &RunState::Waiting));
    bed.now += 60_000;
    let begun = starts(bed.said(all_well("n1")));
    let [(_, second)] = &begun[..] else {
        panic!("{begun:?}");
    };
    // What breaks off by itself there has failed.
    bed.ended(second, "n1", ExitStatus::Unfinished);
    let run = bed.core.state().runs.values().next().expect("a run");
    assert_eq!(run.failures, 1);
}

/// What a node that must not begin anything says of what it was given.
fn refuses(bed: &mut Bed, start: &Start, node: &str) {
    let outcome = Outcome {
        left_off: true,
        wrote_nothing: true,
        not_begun: true,
        ..Outcome::without_set(ExitStatus::Unfinished, "no quorum here", Time(bed.now))
    };
    bed.ended_as(start, node, outcome);
}

#[test]
fn what_a_node_refuses_again_and_again_says_why_and_forgets_nobody_who_may_have_the_drive() {
    let (mut bed, first) = bed();
    let mut view = all_well("n2");
    lost(&mut view, "n1", false);
    fenced(&mut view, "n1", bed.now);
    bed.handle(Input::Gone(name("n1")));
    bed.said(view.clone());
    for _ in 0..2 * LEFT_MAX {
        let refused = bed.last.clone().expect("an attempt");
        assert_eq!(refused.preempts, [first.token]);
        refuses(&mut bed, &refused, "n2");
        assert!(bed.why().contains("no quorum here"), "{}", bed.why());
        bed.now += 60_000;
        bed.said(view.clone());
    }
    // And the story of the failure names the first of them, and the one that wrote.
    let last = bed.last.clone().expect("an attempt");
    bed.checkpoint(&last, "n2");
    let [(_, row)] = bed.failovers()[..] else {
        panic!("{:?}", bed.failovers());
    };
    let next = row.hit[0].next.as_ref().expect("an attempt");
    assert!(next.attempt == last.attempt && next.wrote.is_some());
    let own = row.said.iter().filter(|said| said.by == "the coordinator");
    let own: Vec<&str> = own.map(|said| &*said.words).collect();
    assert_eq!(own.len(), 10);
    assert_eq!(
        own[0],
        format!("pg@{NOW}#2 has written nothing: no quorum here")
    );
}

#[test]
fn nothing_is_begun_on_a_node_that_is_not_up_in_the_cluster_though_its_service_is_there() {
    let (mut bed, first) = bed();
    bed.ended(&first, "n1", ExitStatus::Done);
    let mut view = all_well("n2");
    lost(&mut view, "n1", false);
    bed.said(view);
    bed.done(json!({"command": "set-job", "job": {
        "name": "own", "work": {"paths": ["/etc"]}, "place": {"node": "n1"},
        "drive": {"pool": "drives"}, "volumes": "daily"}}));
    let run = json!({"command": "run", "run": {"job": "own", "due": NOW}});
    assert_eq!(bed.done(run), []);
    let id: RunId = format!("own@{NOW}").parse().expect("a run");
    let why = bed
        .core
        .why_words(Time(bed.now), &id, &bed.core.state().runs[&id]);
    assert_eq!(why, "node n1 is not up in the cluster");
    let begun = starts(bed.said(all_well("n2")));
    assert!(
        matches!(&begun[..], [(node, _)] if node == "n1"),
        "{begun:?}"
    );
}

#[test]
fn what_is_to_end_since_its_application_moves_is_told_so_again_on_a_new_connection() {
    let (mut bed, first) = bed();
    let mut view = all_well("n1");
    view.resources[0].role = Role::Changing;
    let is_told = |outputs: &[Output]| {
        let mut orders = outputs.iter().filter_map(|output| match output {
            Output::Send(_, Order { what, .. }) => Some(what),
            _ => None,
        });
        orders.any(|what| matches!(what, What::Stop { attempt, .. } if *attempt == first.attempt))
    };
    assert!(is_told(&bed.said(view.clone())));
    bed.handle(Input::Gone(name("n1")));
    bed.connect("n1", &["D1"]);
    assert!(is_told(&bed.said(view)));
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
    let event = |what| Event {
        at: Time(NOW),
        sequence: 1,
        node: "n1".into(),
        what,
    };
    let is_lost = event(Happening::Node {
        state: Membership::Lost,
    });
    for _ in 0..3 {
        let outputs = bed.outputs(Input::Report(
            name("n2"),
            Report::Happened {
                event: is_lost.clone(),
            },
        ));
        assert!(outputs.contains(&Output::LookAtCluster));
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
    let contradicting = event(Happening::Fencing {
        action: Some("reboot".into()),
        code: 1,
        words: "no route".into(),
    });
    let happened = Report::Happened {
        event: contradicting,
    };
    bed.outputs(Input::Report(name("n2"), happened));
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
    let told = |bed: &mut Bed, by: &str, sequence: u64, what: Happening| {
        let event = Event {
            at: Time(NOW),
            sequence,
            node: "n1".into(),
            what,
        };
        let outputs = bed.outputs(Input::Report(name(by), Report::Happened { event }));
        assert!(outputs.contains(&Output::LookAtCluster), "{outputs:?}");
        assert!(starts(outputs).is_empty(), "a word has begun something");
    };
    let fencing = |code| Happening::Fencing {
        action: Some("reboot".into()),
        code,
        words: "by n2".into(),
    };
    let node = |state| Happening::Node { state };
    let all = |bed: &mut Bed| {
        for sequence in [1, 1, 7, 3] {
            told(bed, "n2", sequence, node(Membership::Lost));
            told(bed, "n3", sequence, node(Membership::Member));
            told(bed, "n2", sequence, fencing(0));
            told(bed, "n3", sequence, fencing(1));
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

#[test]
fn a_drive_that_one_node_cannot_use_is_another_nodes_all_the_same() {
    let mut bed = Bed::new();
    let drive = DriveSeen {
        serial: name("D1"),
        product: "a drive".into(),
        library: None,
        trouble: Some("no path to it is running".into()),
    };
    let devices = Report::Devices {
        drives: vec![drive],
        changers: vec![],
    };
    bed.handle(Input::Report(name("n1"), devices));
    assert_eq!(backup(&mut bed, "n1", "D1"), []);
    let starts = bed.done(restore(5, "n2", "D1", &[2]));
    assert_eq!(starts.len(), 1, "{starts:?}");
}
