//! Volumes that are in drives which the node that wants them does not reach.
//!
//! The node's mover finds that out, and says it. Then a node that reaches the drive
//! is told to unload it, by a run of its own that is called [`UNLOAD`]: it takes the
//! drive from those who have left it, and brings the volume back to its slot. The run
//! that wants the volume waits meanwhile, and says for what.

use longhaul_protocol::job::{DriveChoice, Job, Kind, Place, Restart, Work};
use longhaul_protocol::report::Fault;
use longhaul_protocol::{Name, RunId, Time};
use uuid::Uuid;

use super::Coordinator;
use super::dispatch::Why;
use super::state::{Attempt, Change, Run, RunState};

/// What these runs are called.
pub const UNLOAD: &str = "unload";
/// How often one is tried again.
const RETRIES: u32 = 3;
/// A run waits so often for a volume in such a drive. Then it is an operator's.
const TIMES_MAX: usize = 3;
/// So long after one there is no other for that volume, in milliseconds.
const PAUSE_MS: u64 = 60_000;

impl Coordinator {
    /// A node has not reached the drive that a volume is in. Tells whether that is
    /// worth another try.
    pub(super) fn note_inside(
        &mut self,
        run: &RunId,
        attempt: &Attempt,
        (uuid, drive): (Uuid, Name),
    ) -> bool {
        let volume = self.state.volumes.get(&uuid).cloned();
        let Some(mut volume) = volume.filter(|_| attempt.volumes.contains(&uuid)) else {
            return false;
        };
        let said = |fault: &Fault| matches!(fault, Fault::Elsewhere(of, _) if *of == uuid);
        let attempts = self.state.attempts_of(run);
        let ends = attempts.filter_map(|(_, before)| before.ended.as_ref());
        if ends.filter(|end| end.faults.iter().any(said)).count() >= TIMES_MAX {
            return false;
        }
        // Of a drive that nobody has reported nobody can say more.
        if !self.state.drives.contains_key(&drive) || drive == attempt.drive {
            return false;
        }
        volume.inside = Some(drive);
        self.change(Change::Volume(uuid, volume));
        // Else the row says that it can be had there: it is not, and not at once.
        self.out_of_reach(&attempt.node, &attempt.drive, &[uuid])
            .is_some()
    }

    /// The first of these volumes that is in a drive, as far as is known, which this
    /// node does not reach, and the drive. One that somebody has holds another volume
    /// by now.
    pub(super) fn out_of_reach(
        &self,
        node: &Name,
        drive: &Name,
        volumes: &[Uuid],
    ) -> Option<(Uuid, Name)> {
        volumes.iter().find_map(|uuid| {
            let inside = self.state.volumes.get(uuid)?.inside.as_ref()?;
            let is_reached = self.state.reaches(node, inside);
            let is_free = self.state.drives.get(inside)?.holder.is_none();
            let is_out = inside != drive && !is_reached && is_free;
            is_out.then(|| (*uuid, inside.clone()))
        })
    }

    /// Has volumes brought out of drives for the runs that wait for them.
    pub(super) fn unload_for_others(&mut self, now: Time) {
        let Ok(name) = UNLOAD.parse::<Name>() else {
            return;
        };
        self.replace_unloads(&name);
        if self.state.volumes.values().all(|row| row.inside.is_none()) {
            return;
        }
        let waiting = self.state.open_runs(None);
        let waiting = waiting.filter(|(_, run)| run.state == RunState::Waiting);
        let wanted = waiting.filter_map(|(id, run)| match self.why_waits(now, id)? {
            Why::Inside(uuid, drive) => Some((uuid, drive, run.job.volumes.clone())),
            _ => None,
        });
        let wanted: Vec<(Uuid, Name, Name)> = wanted.collect();
        for (uuid, drive, pool) in wanted {
            if let Some(node) = self.who_reaches(&drive)
                && !self.is_unloading(now, &name, uuid)
            {
                let job = Job {
                    name: name.clone(),
                    work: Work {
                        kind: Kind::Unload(uuid),
                        ..Work::default()
                    },
                    place: Place::Node(node),
                    drive: DriveChoice::Serial(drive),
                    volumes: pool,
                    restart: Restart::Fresh,
                    retries: RETRIES,
                    window: None,
                };
                self.begin_unload(now, job);
            }
        }
    }

    /// A node that can unload a drive.
    fn who_reaches(&self, drive: &Name) -> Option<Name> {
        let mut nodes = self.state.nodes.keys();
        let found = nodes.find(|node| self.can_unload(node, drive));
        found.cloned()
    }

    fn can_unload(&self, node: &Name, drive: &Name) -> bool {
        self.takes_work(node) && self.state.reaches(node, drive)
    }

    /// Whether a run for that volume is not over, or was begun not long ago.
    fn is_unloading(&self, now: Time, name: &Name, uuid: Uuid) -> bool {
        let mut runs = self.state.runs_of(name);
        runs.any(|(id, run)| {
            let is_new = now.since(id.due) < PAUSE_MS;
            run.job.work.kind == Kind::Unload(uuid) && (run.state.is_open() || is_new)
        })
    }

    /// A run that waits for a volume in such a drive is told that it is there no more.
    /// False if it waits for none. Who does not find it outside says so again.
    pub(super) fn is_brought_out(&mut self, now: Time, id: &RunId) -> bool {
        let Some(Why::Inside(uuid, _)) = self.why_waits(now, id) else {
            return false;
        };
        if let Some(mut volume) = self.state.volumes.get(&uuid).cloned() {
            volume.inside = None;
            self.change(Change::Volume(uuid, volume));
        }
        true
    }

    /// A run of these that waits, and whose node cannot do it any more, is another one's.
    fn replace_unloads(&mut self, name: &Name) {
        let waiting = self.state.open_runs(Some(name));
        let waiting = waiting.filter(|(_, run)| run.state == RunState::Waiting);
        let lost = waiting.filter_map(|(id, run)| match (&run.job.place, &run.job.drive) {
            (Place::Node(node), DriveChoice::Serial(drive)) if !self.can_unload(node, drive) => {
                let mut run = run.clone();
                run.job.place = Place::Node(self.who_reaches(drive)?);
                Some((id.clone(), run))
            }
            _ => None,
        });
        for (id, run) in lost.collect::<Vec<_>>() {
            self.change(Change::Run(id, Box::new(run)));
        }
    }

    fn begin_unload(&mut self, now: Time, job: Job) {
        let mut id = RunId {
            job: job.name.clone(),
            due: now,
        };
        while self.state.runs.contains_key(&id) {
            id.due = id.due.after(1);
        }
        log::info!("run {id} brings a volume out of a drive for another run");
        let run = Run::new(job, now);
        self.change(Change::Run(id, Box::new(run)));
    }

    /// What a run waits for whose volume is in such a drive.
    pub(super) fn inside_words(&self, uuid: &Uuid, drive: &Name) -> String {
        let volume = self.state.volumes.get(uuid);
        let volume = volume.map_or_else(|| uuid.to_string(), |row| row.name.to_string());
        let where_it_is = format!("volume {volume} is in drive {drive}");
        match self.who_reaches(drive) {
            Some(node) => format!("{where_it_is}, which node {node} unloads first"),
            None => format!(
                "{where_it_is}, which no node that is connected reaches: unload it, and say \
                 `lh-control run resume`"
            ),
        }
    }
}
