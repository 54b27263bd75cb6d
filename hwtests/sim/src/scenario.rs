//! A cluster's troubles, from a seed.

use anyhow::{Context, Result, ensure};
use longhaul_control::core::Input;
use longhaul_control::core::state::Volume;
use longhaul_control::schedule::{CatchUp, Schedule};
use longhaul_protocol::job::{DriveChoice, Job, Place, Restart, Work};
use longhaul_protocol::{Command, Name, RunId, Time};
use uuid::Uuid;

use crate::chance::Chance;
use crate::mover::BAD;
use crate::tape::{CAPACITY, Drive};
use crate::world::{Event, Node, World};

/// For how long something goes wrong, in milliseconds.
const TROUBLE_MS: u64 = 60_000;
/// How long everything may take afterwards.
const PATIENCE_MS: u64 = 900_000;

/// Volumes there are.
const VOLUMES: u128 = 16;

/// What a run of the simulator came to.
#[derive(Debug, Clone, Copy)]
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
    build(&mut world)?;
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
        // An operator looks after the drives: what is reported late, too.
        for drive in world.library.drives.keys().cloned().collect::<Vec<_>>() {
            world.later(0, Event::Repair(drive));
        }
        let next = world.now + 1_000;
        go_on(&mut world, next)?;
    }
    world.check_end()?;
    let rows = &world.center.rows;
    Ok(Summary {
        events: world.events,
        runs: rows.runs.len() as u64,
        attempts: rows.attempts.len() as u64,
        alone: rows.attempts.keys().filter(|id| id.number == 0).count() as u64,
        epochs: rows.counters.epoch.0,
        closed: found_bad(&world)?,
    })
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

/// Nodes, drives, volumes and jobs, and what is due when.
fn build(world: &mut World) -> Result<()> {
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
    let place = if world.chance.per_mille(600) {
        let application = name(&format!("app{number}"));
        world.applications.insert(application.clone(), node);
        Place::Application(application)
    } else {
        Place::Node(node)
    };
    let drive = match world.chance.per_mille(400) {
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
            paths: vec!["/srv".into()],
            ..Work::default()
        },
        place,
        drive,
        volumes: name("volumes"),
        restart: Restart::Checkpoint,
        retries: 99,
        window: None,
    }
}

/// One thing that goes wrong.
fn trouble(world: &mut World) -> Result<()> {
    let nodes: Vec<Name> = world.nodes.keys().cloned().collect();
    let drives: Vec<Name> = world.library.drives.keys().cloned().collect();
    let node = nodes[world.chance.below(nodes.len() as u64) as usize].clone();
    let drive = drives[world.chance.below(drives.len() as u64) as usize].clone();
    let after = 100 + world.chance.below(8_000);
    match world.chance.below(11) {
        10 => {
            // An operator moves an application.
            let applications = world.applications.keys();
            let applications: Vec<Name> = applications.cloned().collect();
            if !applications.is_empty() {
                let which = world.chance.below(applications.len() as u64) as usize;
                world.moved(applications[which].clone());
            }
        }
        0 => {
            // It may be away for long: nothing else can run it.
            world.is_away = world.chance.per_mille(400);
            let away = if world.is_away { 40_000 } else { 0 };
            world.crash_center();
            world.later(after + away, Event::CenterStarts);
        }
        1 => {
            world.crash_node(&node);
            world.later(after, Event::NodeStarts(node));
        }
        // The node dies, is fenced, and comes back.
        2 => {
            world.crash_node(&node);
            world.later(after, Event::Fenced(node.clone()));
            let back = after + world.chance.below(10_000);
            world.later(back, Event::NodeStarts(node));
        }
        3 => {
            cut(world, &node)?;
            world.later(after, Event::Heal(node));
        }
        4 => {
            world.nodes.get_mut(&node).context("a node")?.is_frozen = true;
            world.later(after, Event::Heal(node));
        }
        // The fence agent reports success, and has killed nothing.
        5 => {
            if world.chance.per_mille(500) {
                cut(world, &node)?;
            } else {
                world.nodes.get_mut(&node).context("a node")?.is_frozen = true;
            }
            world.later(after, Event::Fenced(node.clone()));
            let back = after + world.chance.below(10_000);
            world.later(back, Event::Heal(node));
        }
        6 => {
            world
                .library
                .drives
                .get_mut(&drive)
                .context("a drive")?
                .is_broken = true;
            world.later(after, Event::Repair(drive));
        }
        7 => world.library.power_cut(&drive),
        8 => {
            for (link, node) in world.links() {
                world.break_link(link, &node)?;
            }
        }
        _ => {
            let jump = world.chance.below(1_200_000).cast_signed() - 600_000;
            world.skew += jump;
        }
    }
    // A coordinator that died by itself is started by its cluster.
    if world.center.core.is_none() && !world.is_away {
        world.later(3_000, Event::CenterStarts);
    }
    Ok(())
}

fn cut(world: &mut World, node: &Name) -> Result<()> {
    let link = world.nodes.get(node).and_then(|node| node.link);
    world.nodes.get_mut(node).context("a node")?.is_cut = true;
    match link {
        Some(link) => world.break_link(link, node),
        None => Ok(()),
    }
}

/// Nothing goes wrong any more, and everything is as it should be.
fn calm(world: &mut World) -> Result<()> {
    world.is_calm = true;
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
    for node in world.nodes.keys().cloned().collect::<Vec<_>>() {
        world.later(0, Event::Heal(node));
    }
    Ok(())
}
