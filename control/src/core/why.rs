//! Why a run is not begun, in words.

use longhaul_protocol::job::{DriveChoice, Window};
use longhaul_protocol::{Name, RunId, Time};

use super::Coordinator;
use super::dispatch::Why;
use super::state::{Drive, Run, Volume};

/// Drives of a pool of which it is said why they cannot be used.
const DRIVES_SAID: usize = 3;

impl Coordinator {
    /// Why a waiting run is not begun.
    pub(super) fn why_words(&self, now: Time, id: &RunId, run: &Run) -> String {
        match self.why_waits(now, id) {
            None => "it is about to begin".into(),
            Some(Why::NotYet) => match self.left_off(id).and_then(|of| of.ended.as_ref()) {
                Some(end) => {
                    let why = end.error.as_deref().unwrap_or("it must not go on there");
                    format!("it was left off: {why}; {}", not_yet(now, run))
                }
                None => not_yet(now, run),
            },
            Some(Why::Before(other)) => format!("run {other} of the same job is not over"),
            Some(Why::NoQuorum) => {
                "this part of the cluster has no quorum, or its cluster service does not answer"
                    .into()
            }
            Some(Why::NoPlace(application)) => {
                format!("the cluster runs application {application} nowhere")
            }
            Some(Why::NoService(node)) => self.no_service(&node),
            Some(Why::Given(node)) => format!(
                "node {node} may have begun it by itself, and was not heard since it was due"
            ),
            Some(Why::NoDrive) => self.no_drive(run),
            Some(Why::NoVolume(pool)) => self.no_volume(&pool, id),
            Some(Why::Inside(uuid, drive)) => self.inside_words(&uuid, &drive),
            Some(Why::NotTheVolume(uuid)) => match self.state.volumes.get(&uuid) {
                None => format!("no volume with identity {uuid} is this coordinator's"),
                Some(row) => match &row.writer {
                    Some(writer) => format!("volume {} is in use by {writer}", row.name),
                    None => format!("volume {} is free", row.name),
                },
            },
        }
    }

    fn no_service(&self, node: &Name) -> String {
        match self.state.nodes.get(node) {
            None => format!("no node is called {node}"),
            Some(row) if row.is_drained => format!("node {node} is drained"),
            Some(_) if self.is_heard(node) && self.is_cut_off(node) => {
                format!("node {node} is not up in the cluster")
            }
            Some(_) => format!("the service of node {node} is not connected"),
        }
    }

    fn no_drive(&self, run: &Run) -> String {
        let (drives, none): (Vec<(&Name, &Drive)>, String) = match &run.job.drive {
            DriveChoice::Serial(serial) => (
                self.state
                    .drives
                    .get_key_value(serial)
                    .into_iter()
                    .collect(),
                format!("no node has reported a drive {serial}"),
            ),
            DriveChoice::Pool(pool) => {
                let drives = self.state.drives.iter();
                let of_pool = drives.filter(|(_, drive)| drive.pool.as_ref() == Some(pool));
                (of_pool.collect(), format!("no drive is in pool {pool}"))
            }
        };
        if drives.is_empty() {
            return none;
        }
        let said = drives.iter().take(DRIVES_SAID);
        let said: Vec<String> = said
            .map(|(serial, row)| self.unusable(run, serial, row))
            .collect();
        let more = drives.len() - said.len();
        let rest = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        said.join(", ") + &rest
    }

    fn unusable(&self, run: &Run, serial: &Name, drive: &Drive) -> String {
        let node = self.node(run).ok();
        if let Some(holder) = &drive.holder {
            format!("drive {serial} is in use by {holder}")
        } else if drive.is_disabled {
            format!("drive {serial} is disabled")
        } else if let Some(trouble) = &drive.trouble {
            format!("drive {serial} is in trouble: {trouble}")
        } else if let Some(node) = node.filter(|node| !self.state.reaches(node, serial)) {
            match drive.unusable.get(&node) {
                Some(why) => format!("node {node} cannot use drive {serial}: {why}"),
                None => format!("node {node} does not reach drive {serial}"),
            }
        } else {
            format!("drive {serial} does not hold what the run has begun")
        }
    }

    fn no_volume(&self, pool: &Name, id: &RunId) -> String {
        let volumes = self.state.volumes.values();
        let of_pool: Vec<&Volume> = volumes.filter(|volume| volume.pool == *pool).collect();
        if of_pool.is_empty() {
            return format!("no volume is in pool {pool}");
        }
        let count = |is: &dyn Fn(&Volume) -> bool| of_pool.iter().filter(|one| is(one)).count();
        let closed = count(&|volume| volume.closed.is_some());
        let writing = count(&|volume| volume.writer.is_some());
        let unfinished = count(&|volume| volume.unfinished.as_ref().is_some_and(|of| of != id));
        format!(
            "no volume of pool {pool} can be written to: of {}, {closed} closed, {writing} in use, \
             {unfinished} with what another run has not finished",
            of_pool.len(),
        )
    }
}

fn not_yet(now: Time, run: &Run) -> String {
    match run.job.window.filter(|window| !window.contains(now)) {
        Some(Window { from, .. }) => {
            let (hour, minute) = (from / 60, from % 60);
            format!("its window opens at {hour:02}:{minute:02} UTC")
        }
        None => {
            let seconds = run.not_before.since(now).div_ceil(1000);
            format!("it is tried again in {seconds} s")
        }
    }
}
