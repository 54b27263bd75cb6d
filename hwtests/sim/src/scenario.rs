//! A cluster's troubles, from a seed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use longhaul_control::core::Input;
use longhaul_control::core::failover::{Failover, FailoverId, Hit};
use longhaul_control::core::state::{RunState, Volume};
use longhaul_control::schedule::{CatchUp, Schedule};
use longhaul_protocol::job::{DriveChoice, Job, Kind, Place, Restart, Work};
use longhaul_protocol::{Command, Name, RunId, Time};
use uuid::Uuid;

use crate::chance::Chance;
use crate::mover::BAD;
use crate::tape::{CAPACITY, Drive};
use crate::troubles::{FOLLOWED, RECORDED, TOLD, UNLOADED, trouble};
use crate::world::{Event, Node, World};

/// For how long something goes wrong, in milliseconds.
const TROUBLE_MS: u64 = 60_000;
/// How long everything may take afterwards.
const PATIENCE_MS: u64 = 900_000;

/// Of so many clusters one has no fencing.
const UNFENCED_OF: u64 = 8;

/// Volumes there are.
const VOLUMES: u128 = 16;

/// What a run of the simulator came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Events.
    pub events: u64,
    /// Runs of jobs.
    pub runs: u64,
    /// Attempts that they took.
    pub attempts: u64,
    /// Attempts that services have begun by themselves.
    pub alone: u64,
    /// Starts of the coordinator.
    pub epochs: u64,
    /// Volumes that were found to be bad.
    pub closed: u64,
    /// How often each of [`KINDS`](crate::KINDS) came in the middle of something.
    pub hits: BTreeMap<&'static str, u64>,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Runs a cluster with troubles from this seed, until all of its jobs are done.
///
/// # Errors
/// Whatever is not as it must be.
pub fn run(seed: u64) -> Result<Summary> {
    let mut world = World::new(seed);
    world.has_fencing = !seed.is_multiple_of(UNFENCED_OF);
    build(&mut world, seed)?;
    bad_cartridges(&mut world, seed);
    while world.now < TROUBLE_MS {
        trouble(&mut world)?;
        let next = world.now + 500 + world.chance.below(4_000);
        go_on(&mut world, next)?;
    }
    calm(&mut world)?;
    let end = world.now + PATIENCE_MS;
    loop {
        let rows = &world.center.rows;
        if world.center.core.is_some() && rows.runs.values().all(|run| !run.state.is_open()) {
            break;
        }
        let open = || {
            let open = rows.runs.iter().filter(|(_, run)| run.state.is_open());
            let core = world.center.core.as_ref();
            let why = |id: &RunId| core.map(|core| core.why_waits(Time(i64::MAX / 2), id));
            let open = open.map(|(id, run)| format!("{id}: {:?} {:?}", run.state, why(id)));
            open.collect::<Vec<_>>().join("; ") + &world.told()
        };
        ensure!(world.now < end, "not all is done in time: {}", open());
        // An operator looks after the drives: what is reported late, too. What some nodes
        // do not reach is not left in them.
        for drive in world.library.drives.keys().cloned().collect::<Vec<_>>() {
            world.library.take_out(&drive);
            world.later(0, Event::Repair(drive));
        }
        let next = world.now + 1_000;
        go_on(&mut world, next)?;
    }
    world.check_end()?;
    count_rows(&mut world);
    let rows = &world.center.rows;
    Ok(Summary {
        events: world.events,
        runs: rows.runs.len() as u64,
        attempts: rows.attempts.len() as u64,
        alone: rows.attempts.keys().filter(|id| id.number == 0).count() as u64,
        epochs: rows.counters.epoch.0,
        closed: found_bad(&world)?,
        hits: world.hits,
    })
}

/// Counts what only the end shows: volumes that were brought out of drives for others,
/// and what is written down of nodes that have failed.
fn count_rows(world: &mut World) {
    let rows = &world.center.rows;
    let unloads = rows.runs.values();
    let unloads = unloads.filter(|run| matches!(run.job.work.kind, Kind::Unload(_)));
    let unloads = unloads.filter(|run| matches!(run.state, RunState::Done(_)));
    let failures = || rows.failovers.iter();
    let is_elsewhere = |of: &FailoverId, hit: &Hit| {
        let next = hit.next.as_ref();
        next.is_some_and(|next| next.node != of.node)
    };
    let moved = failures().flat_map(|(of, row)| row.hit.iter().map(move |hit| (of, hit)));
    let followed = moved.filter(|(of, hit)| !world.has_fencing && is_elsewhere(of, hit));
    let counts = [
        (UNLOADED, unloads.count()),
        (FOLLOWED, followed.count()),
        (
            RECORDED,
            failures().filter(|(_, row)| row.was_coordinator).count(),
        ),
        (TOLD, failures().filter(|(_, row)| is_told(row)).count()),
    ];
    for (kind, count) in counts {
        *world.hits.entry(kind).or_default() += count as u64;
    }
}

/// Whether the cluster services of two nodes have said something of a failure.
fn is_told(row: &Failover) -> bool {
    let nodes = row.said.iter().map(|said| &said.by);
    let nodes = nodes.filter(|by| by.starts_with("the cluster service of "));
    nodes.collect::<BTreeSet<_>>().len() > 1
}

/// How many volumes were found to be bad: none but those that are.
fn found_bad(world: &World) -> Result<u64> {
    let rows = world.center.rows.volumes.iter();
    let is_bad = |row: &Volume| row.closed.as_deref().is_some_and(|why| why.contains(BAD));
    let closed: Vec<&Uuid> = rows
        .filter(|(_, row)| is_bad(row))
        .map(|(of, _)| of)
        .collect();
    let wrong = closed.iter().find(|of| !world.library.bad.contains_key(of));
    ensure!(wrong.is_none(), "{wrong:?} is closed, and was good");
    Ok(closed.len() as u64)
}

fn go_on(world: &mut World, until: u64) -> Result<()> {
    while world.step(until)? {}
    world.now = world.now.max(until);
    Ok(())
}

/// Some cartridges do not take all that they should. By a chance of their own: what
/// else happens by a seed stays as it was.
fn bad_cartridges(world: &mut World, seed: u64) {
    let mut chance = Chance::new(!seed);
    for number in 0..VOLUMES {
        if chance.per_mille(150) {
            let from = chance.below(CAPACITY as u64) as usize;
            world.library.bad.insert(Uuid::from_u128(number + 1), from);
        }
    }
}

/// Some nodes do not reach some drives; every node reaches one, and every drive is reached.
fn partial_reach(world: &mut World, seed: u64) {
    let mut chance = Chance::new(seed.rotate_left(32));
    let nodes: Vec<Name> = world.nodes.keys().cloned().collect();
    let drives = world.library.drives.len();
    if drives < 2 || !chance.per_mille(400) {
        return;
    }
    for (number, node) in nodes.iter().enumerate() {
        for (other, drive) in world.library.drives.values_mut().enumerate() {
            // Each has one that is surely its own; the first node reaches all.
            if number > 0 && other != number % drives && chance.per_mille(500) {
                drive.unreached.insert(node.clone());
            }
        }
    }
}

/// Nodes, drives, volumes and jobs, and what is due when.
fn build(world: &mut World, seed: u64) -> Result<()> {
    let nodes = 2 + world.chance.below(3);
    let drives = 1 + world.chance.below(3);
    for number in 0..drives {
        world
            .library
            .drives
            .insert(name(&format!("D{number}")), Drive::default());
    }
    for number in 0..nodes {
        world
            .nodes
            .insert(name(&format!("n{number}")), Node::default());
    }
    partial_reach(world, seed);
    world.is_calm = true;
    world.start_center()?;
    let names: Vec<Name> = world.nodes.keys().cloned().collect();
    let command = World::operator;
    for node in &names {
        command(world, Command::AddNode { node: node.clone() })?;
    }
    for number in 0..VOLUMES {
        let (uuid, volume) = (Uuid::from_u128(number + 1), name(&format!("LH{number:04}")));
        let pool = name("volumes");
        command(world, Command::AddVolume { uuid, volume, pool })?;
    }
    for (number, node) in names.iter().enumerate() {
        world.start_node(node)?;
        world.later(number as u64, Event::NodeTick(node.clone()));
    }
    world.later(0, Event::CenterTick);
    go_on(world, 3_000)?;
    let serials: Vec<Name> = world.library.drives.keys().cloned().collect();
    for serial in &serials {
        let (drive, pool) = (serial.clone(), Some(name("drives")));
        command(world, Command::PoolDrive { drive, pool })?;
    }
    for number in 0..1 + world.chance.below(4) {
        let job = job(world, number, &names);
        let set = Command::SetJob {
            job: Box::new(job.clone()),
        };
        command(world, set)?;
        if world.chance.per_mille(300) {
            let schedule = Schedule {
                name: job.name.clone(),
                job: job.name.clone(),
                cron: "* * * * *".into(),
                zone: "UTC".into(),
                catch_up: CatchUp::One,
                is_disabled: false,
            };
            let schedule = Box::new(schedule);
            command(world, Command::SetSchedule { schedule })?;
        }
        for _ in 0..1 + world.chance.below(3) {
            let after = world.chance.below(TROUBLE_MS);
            let due = Time((world.now + after).cast_signed() + 1_000_000_000_000);
            let id = RunId {
                job: job.name.clone(),
                due,
            };
            world.later(after, Event::Due(Command::Run { run: id }));
        }
    }
    world.is_calm = false;
    Ok(())
}

fn job(world: &mut World, number: u64, nodes: &[Name]) -> Job {
    let node = nodes[world.chance.below(nodes.len() as u64) as usize].clone();
    let (place, path) = if world.chance.per_mille(600) {
        let application = name(&format!("app{number}"));
        world.applications.insert(application.clone(), node);
        // Some name it by a link.
        let below = if world.chance.per_mille(300) {
            "/data"
        } else {
            "/srv"
        };
        let path = format!("{below}/{application}");
        (Place::Application(application), path)
    } else {
        (Place::Node(node), "/home".into())
    };
    let is_reached = |drive: &Drive| drive.unreached.is_empty();
    let is_any = world.library.drives.values().all(is_reached);
    let drive = match world.chance.per_mille(400) && is_any {
        true => {
            let drives = world.library.drives.len() as u64;
            let number = world.chance.below(drives);
            DriveChoice::Serial(name(&format!("D{number}")))
        }
        false => DriveChoice::Pool(name("drives")),
    };
    Job {
        name: name(&format!("job{number}")),
        work: Work {
            paths: vec![path],
            ..Work::default()
        },
        place,
        drive,
        volumes: name("volumes"),
        restart: match world.chance.per_mille(250) {
            true => Restart::Fresh,
            false => Restart::Checkpoint,
        },
        retries: 99,
        window: None,
    }
}

/// Nothing goes wrong any more, and everything is as it should be.
fn calm(world: &mut World) -> Result<()> {
    world.is_calm = true;
    for node in world.nodes.keys().cloned().collect::<Vec<_>>() {
        world.heal(&node)?;
    }
    world.start_center()?;
    // What is due by now is all that has to be done.
    world.center(Input::Tick)?;
    for schedule in world
        .center
        .rows
        .schedules
        .keys()
        .cloned()
        .collect::<Vec<_>>()
    {
        world.operator(Command::RemoveSchedule { schedule })?;
    }
    Ok(())
}
