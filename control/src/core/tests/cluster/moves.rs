//! Applications that move, and nodes that must not begin.

use longhaul_protocol::order::Stop;

use super::*;
use crate::core::state::LEFT_MAX;

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
