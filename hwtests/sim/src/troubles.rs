//! What goes wrong in a cluster.
//!
//! What comes in the middle of something is counted, by these kinds: chance has to try
//! each of them often.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use longhaul_control::core::state::Attempt;
use longhaul_protocol::job::Restart;
use longhaul_protocol::{AttemptId, Name};

use crate::world::{Event, World};

/// Volumes were brought out of drives that the node which wanted them did not reach.
pub const UNLOADED: &str = "unloaded for another node";
const COORDINATOR: &str = "the coordinator dies, and no node";
const BOTH: &str = "a node dies that runs the coordinator and a backup";
const HOST: &str = "a node dies that runs the coordinator alone, while others back up";
const NODE: &str = "a node dies that runs a backup alone";
/// What is written down of it says so.
pub const RECORDED: &str = "the failure of the coordinator's node is written down as that";
const FRESH: &str = "a node dies, and its run begins afresh by policy";
const DAMAGED: &str = "a node dies, and what its run has written is damaged";
const OTHERS: &str = "a node dies while two others back up to two drives";
const CUT: &str = "a node that is cut off is said to be fenced, and is not";
const FROZEN: &str = "a node that is frozen is said to be fenced, and is not";
const LOST: &str = "a node dies, and fencing fails until an operator's word";
/// The drives' reservations have to keep it from its run's volumes.
const UNFENCED: &str = "without fencing, a node that still backs up is taken for dead";
/// Not before the cluster runs the application there.
pub const FOLLOWED: &str = "without fencing, a run goes on elsewhere";
const TWICE: &str = "a node dies while a run goes on there that had outlived another, now back";
const ALL: &str = "all nodes stop";
/// And the service lets go of its file system in time.
pub const MOVED: &str = "an application is moved away from a backup of it";
pub const TOLD: &str = "a failure is written down with what two nodes' cluster services say";
/// Only where it lasts so long that something pauses.
pub const QUORUM: &str = "quorum is lost for more than a minute, and what is under way pauses";
const PATH: &str = "a node loses the path to its drive";

/// All kinds that are counted.
pub const KINDS: [&str; 20] = [
    COORDINATOR,
    BOTH,
    HOST,
    NODE,
    RECORDED,
    TOLD,
    FRESH,
    DAMAGED,
    OTHERS,
    CUT,
    FROZEN,
    LOST,
    UNFENCED,
    FOLLOWED,
    TWICE,
    ALL,
    MOVED,
    QUORUM,
    PATH,
    UNLOADED,
];

/// Of the things that go wrong, this one: a node dies.
const DIES: u64 = 2;

/// One thing that goes wrong.
pub fn trouble(world: &mut World) -> Result<()> {
    let node = any(world, &world.nodes.keys().cloned().collect::<Vec<_>>());
    let drive = any(
        world,
        &world.library.drives.keys().cloned().collect::<Vec<_>>(),
    );
    let (mut node, drive) = (node.context("a node")?, drive.context("a drive")?);
    let after = 100 + world.chance.below(8_000);
    let mut what = world.chance.below(16);
    // Chance alone has a second node die in time too rarely.
    if let Some(second) = seconds(world).pop()
        && world.chance.per_mille(300)
    {
        (node, what) = (second, DIES);
    }
    match what {
        0 => coordinator_dies(world, after),
        1 => {
            world.crash_node(&node);
            world.later(after, Event::NodeStarts(node));
        }
        DIES => node_dies(world, &node, after),
        3 => {
            cut(world, &node)?;
            world.later(after, Event::Heal(node));
        }
        4 => {
            world.freeze(&node);
            world.later(after, Event::Heal(node));
        }
        5 => lied_about(world, node, after)?,
        6 => {
            let broken = world.library.drives.get_mut(&drive);
            broken.context("a drive")?.is_broken = true;
            world.later(after, Event::Repair(drive));
        }
        7 => world.library.power_cut(&drive),
        8 => {
            for (link, node) in world.links() {
                world.break_link(link, &node)?;
            }
        }
        9 => {
            let jump = world.chance.below(1_200_000).cast_signed() - 600_000;
            world.set_clocks(jump);
        }
        10 => is_moved(world)?,
        11 if world.has_fencing => fencing_fails(world, node, after),
        // Where nothing fences, nothing fails.
        11 => node_dies(world, &node, after),
        12 => {
            let host = world.center.node.clone().unwrap_or(node);
            node_dies(world, &host, after);
        }
        13 => all_stop(world, after),
        14 => path_breaks(world, node, drive, after)?,
        _ => {
            if !world.is_split {
                // Services bear it for a minute.
                let is_long = world.chance.per_mille(300);
                world.split(after + if is_long { 70_000 } else { 0 }, is_long);
            }
        }
    }
    // A coordinator that died by itself is started by its cluster.
    if world.center.core.is_none() && !world.is_away {
        world.later(3_000, Event::CenterStarts);
    }
    Ok(())
}

fn any(world: &mut World, of: &[Name]) -> Option<Name> {
    let count = of.len() as u64;
    (count > 0).then(|| of[world.chance.below(count) as usize].clone())
}

/// The attempts that are under way, each with a process, of those that are meant.
fn under_way(world: &World, is_meant: impl Fn(&Attempt) -> bool) -> Vec<(AttemptId, Attempt)> {
    let attempts = world.center.rows.attempts.iter();
    let open = attempts.filter(|(id, one)| {
        let node = world.nodes.get(&one.node);
        let has_process = node.is_some_and(|node| node.movers.contains_key(id));
        one.ended.is_none() && has_process && is_meant(one)
    });
    open.map(|(id, one)| (id.clone(), one.clone())).collect()
}

/// The nodes where something goes on for which another node has died, which is back.
fn seconds(world: &World) -> Vec<Name> {
    let goes_on = under_way(world, |one| one.resumes.is_some()).into_iter();
    let goes_on = goes_on.filter(|(id, one)| has_outlived(world, id, one));
    goes_on.map(|(_, one)| one.node).collect()
}

/// Whether an attempt goes on with what the failure of another node has ended, and that
/// node has been started again and is a member.
fn has_outlived(world: &World, id: &AttemptId, one: &Attempt) -> bool {
    let mut failures = world.center.rows.failovers.iter();
    failures.any(|(of, row)| {
        let first = world.nodes.get(&of.node);
        let is_there = row.back.is_some() && first.is_some_and(|first| first.service.is_some());
        let mut next = row.hit.iter().filter_map(|hit| hit.next.as_ref());
        is_there && of.node != one.node && next.any(|next| next.attempt == *id)
    })
}

fn is_on(node: &Name) -> impl Fn(&Attempt) -> bool {
    move |one| one.node == *node
}

/// Counts what comes in the middle of something.
fn hit(world: &mut World, kind: &'static str, is_meant: impl Fn(&Attempt) -> bool) {
    if !under_way(world, is_meant).is_empty() {
        *world.hits.entry(kind).or_default() += 1;
    }
}

fn coordinator_dies(world: &mut World, after: u64) {
    hit(world, COORDINATOR, |_| true);
    // It may be away for long: nothing else can run it.
    world.is_away = world.chance.per_mille(400);
    let away = if world.is_away { 40_000 } else { 0 };
    world.crash_center();
    world.later(after + away, Event::CenterStarts);
}

/// Counts what a node that dies takes with it.
fn count_death(world: &mut World, node: &Name) {
    let is_host = world.center.core.is_some() && world.center.node.as_ref() == Some(node);
    let has_backup = !under_way(world, is_on(node)).is_empty();
    match (is_host, has_backup) {
        (true, true) => hit(world, BOTH, |_| true),
        (true, false) => hit(world, HOST, |_| true),
        (false, _) if world.center.core.is_some() => hit(world, NODE, is_on(node)),
        (false, _) => {}
    }
    let others = under_way(world, |one| one.node != *node).into_iter();
    let others: BTreeSet<Name> = others.map(|(_, one)| one.node).collect();
    if others.len() > 1 {
        hit(world, OTHERS, |_| true);
    }
    if seconds(world).contains(node) {
        hit(world, TWICE, |_| true);
    }
}

/// A node dies, is fenced, and comes back.
fn node_dies(world: &mut World, node: &Name, after: u64) {
    count_death(world, node);
    let runs = under_way(world, is_on(node));
    let damages = world.chance.per_mille(200);
    world.power_off(node);
    for (AttemptId { run, .. }, attempt) in &runs {
        let row = world.center.rows.runs.get(run);
        let is_fresh = row.is_some_and(|row| row.job.restart == Restart::Fresh);
        if is_fresh && attempt.point.is_some() {
            *world.hits.entry(FRESH).or_default() += 1;
        }
        let from = world.chance.below(1_000);
        // Where somebody writes who was only said to be dead, that goes on.
        let mut movers = world.nodes.values().flat_map(|node| node.movers.keys());
        let is_dead = !movers.any(|id| id.run == *run);
        if damages && is_dead && world.library.damage(run, &attempt.volumes, from) {
            *world.hits.entry(DAMAGED).or_default() += 1;
        }
    }
    world.later(after, Event::Fenced(node.clone()));
    let back = after + world.chance.below(10_000);
    world.later(back, Event::NodeStarts(node.clone()));
}

/// A node dies, and the cluster cannot be sure of it until an operator says so.
fn fencing_fails(world: &mut World, node: Name, after: u64) {
    let has_backup = !under_way(world, is_on(&node)).is_empty();
    world.lose(&node);
    if has_backup && world.lost.contains_key(&node) {
        *world.hits.entry(LOST).or_default() += 1;
    }
    world.later(after, Event::Confirmed(node.clone()));
    let back = after + world.chance.below(10_000);
    world.later(back, Event::NodeStarts(node));
}

/// The fence agent reports success, and has killed nothing; or there is none.
fn lied_about(world: &mut World, node: Name, after: u64) -> Result<()> {
    let is_cut = world.chance.per_mille(500);
    let kind = match (world.has_fencing, is_cut) {
        (false, _) => UNFENCED,
        (true, true) => CUT,
        (true, false) => FROZEN,
    };
    hit(world, kind, is_on(&node));
    if is_cut {
        cut(world, &node)?;
    } else {
        world.freeze(&node);
    }
    world.later(after, Event::Fenced(node.clone()));
    let back = after + world.chance.below(10_000);
    world.later(back, Event::Heal(node));
    Ok(())
}

/// A node does not reach a drive for a while, and finds that out by using it, or sooner.
fn path_breaks(world: &mut World, node: Name, drive: Name, after: u64) -> Result<()> {
    let is_sooner = world.chance.per_mille(300);
    let row = world.library.drives.get_mut(&drive).context("a drive")?;
    if !row.unreached.insert(node.clone()) {
        return Ok(());
    }
    hit(world, PATH, |one| one.node == node && one.drive == drive);
    if is_sooner {
        world.look(&node)?;
    }
    world.later(after, Event::PathBack(node, drive));
    Ok(())
}

/// An operator moves an application.
fn is_moved(world: &mut World) -> Result<()> {
    let applications: Vec<Name> = world.applications.keys().cloned().collect();
    match any(world, &applications) {
        Some(application) => world.leaves(&application),
        None => Ok(()),
    }
}

/// The whole house is without power.
fn all_stop(world: &mut World, after: u64) {
    hit(world, ALL, |_| true);
    world.crash_center();
    for node in world.nodes.keys().cloned().collect::<Vec<_>>() {
        world.power_off(&node);
        let late = world.chance.below(5_000);
        world.later(after + late, Event::NodeStarts(node));
    }
    world.later(after + 1_000, Event::CenterStarts);
}

fn cut(world: &mut World, node: &Name) -> Result<()> {
    let link = world.nodes.get(node).and_then(|node| node.link);
    world.nodes.get_mut(node).context("a node")?.is_cut = true;
    // Without quorum the coordinator is stopped.
    world.loses_center(node);
    match link {
        Some(link) => world.break_link(link, node),
        None => Ok(()),
    }
}
