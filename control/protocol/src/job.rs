//! What is backed up, where to, and how.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Name;

/// Paths that one job may name.
pub const PATHS_MAX: usize = 1000;
/// Longest path, pattern or command, in bytes (PATH_MAX, limits.h).
pub const TEXT_BYTES_MAX: usize = 4096;
/// Longest job, in bytes of JSON: with all that comes with it, the order to
/// begin it is a message still.
pub const JOB_BYTES_MAX: usize = 256 << 10;
/// Volumes that one restore may read.
pub const VOLUMES_MAX: usize = 1000;
/// Attempts that one run may have.
pub const ATTEMPTS_MAX: u32 = 100;
const MINUTES_A_DAY: u32 = 24 * 60;

/// A job: what is to be backed up whenever it is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What it is called.
    pub name: Name,
    /// What is read, and how it is written.
    pub work: Work,
    /// On which node.
    pub place: Place,
    /// On which drive.
    pub drive: DriveChoice,
    /// The pool that its volumes come from.
    pub volumes: Name,
    /// What becomes of a run whose attempt broke off.
    #[serde(default)]
    pub restart: Restart,
    /// Attempts beside the first (up to [`ATTEMPTS_MAX`]).
    #[serde(default = "retries")]
    pub retries: u32,
    /// When it may begin; at any time if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

fn retries() -> u32 {
    3
}

/// What is read, and how it is written: all that the service on the node has to
/// know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Absolute paths. Of a restore none means all that is in the set; a label has
    /// none.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Patterns of what is left out, as for `lh-mover backup --exclude`.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Do not go into other file systems.
    #[serde(default)]
    pub one_file_system: bool,
    /// How much of it.
    #[serde(default)]
    pub level: Level,
    /// Run on the node before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Hook>,
    /// Run on the node afterwards, however it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Hook>,
    /// Read the set back when it is done.
    #[serde(default)]
    pub verify: bool,
    /// What is done, if that is no backup.
    #[serde(default, skip_serializing_if = "Kind::is_backup")]
    pub kind: Kind,
}

/// What is done. Jobs that are kept are backups; the others are done
/// [once](crate::Command::Once).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A set is written.
    #[default]
    Backup,
    /// Paths of a set are brought back.
    Restore(Restore),
    /// A cartridge is made a volume of the job's pool.
    Label(Label),
    /// The volume of this identity, which is in the drive, goes back to its slot. A
    /// coordinator wants that itself, for a node that does not reach the drive.
    Unload(Uuid),
}

impl Kind {
    /// Whether a set is written.
    pub fn is_backup(&self) -> bool {
        *self == Kind::Backup
    }
}

/// What is restored, and where to. Nothing is written to the volumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The set.
    pub set: Uuid,
    /// The volumes that it lies on, in order: up to [`VOLUMES_MAX`].
    pub volumes: Vec<Uuid>,
    /// The directory that stands for the root. It is created if it is missing, and
    /// nothing is written outside it.
    pub to: String,
    /// What becomes of files that are there.
    #[serde(default)]
    pub overwrite: Overwrite,
}

/// What becomes of files that are where one is restored to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overwrite {
    /// They stay.
    #[default]
    Never,
    /// Those that are older than the ones in the set are replaced.
    Older,
    /// All are replaced.
    Always,
}

/// A cartridge that is made a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// What it is called: 1 to 6 characters A-Z and 0-9.
    pub name: Name,
    /// Its identity. A cartridge that has it already was labelled before.
    pub uuid: Uuid,
    /// The cartridge that the drive's library brings; without it the one that is
    /// in the drive is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barcode: Option<Name>,
    /// The volume that may be overwritten, with all that is on it. Any other that
    /// is not blank is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<Name>,
}

/// How much of the source is stored. There is one level so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// All of it.
    #[default]
    Full,
}

/// A command beside a backup: a snapshot, a database that is to hold still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The command, for `sh -c`.
    pub command: String,
    /// Whether its failure fails the attempt.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

/// Where a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// On this node.
    Node(Name),
    /// Where the cluster runs this resource.
    Application(Name),
}

/// Which drive a job writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriveChoice {
    /// The one with this serial number: it can be used while no coordinator is
    /// up, too.
    Serial(Name),
    /// Any of this pool that the node reaches.
    Pool(Name),
}

/// What becomes of a run whose attempt broke off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It goes on from its last checkpoint; afresh where there is none.
    #[default]
    Checkpoint,
    /// It begins anew.
    Fresh,
    /// It has failed.
    None,
}

/// Minutes of each day, UTC, in which a run may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The first minute of the day, 0 to 1439.
    pub from: u32,
    /// How many, 1 to 1440; it may go over midnight.
    pub minutes: u32,
}

/// A job that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("job {job}: {what}")]
pub struct NoJob {
    job: Name,
    what: String,
}

impl Job {
    /// Whether all numbers and texts are within their bounds.
    ///
    /// # Errors
    /// The first that is not, in words.
    pub fn check(&self) -> Result<(), NoJob> {
        self.work.wrong().or(self.wrong()).map_or(Ok(()), |what| {
            Err(NoJob {
                job: self.name.clone(),
                what,
            })
        })
    }

    fn wrong(&self) -> Option<String> {
        if self.retries >= ATTEMPTS_MAX {
            return Some(format!("at most {} retries", ATTEMPTS_MAX - 1));
        }
        if serde_json::to_string(self).map_or(true, |json| json.len() > JOB_BYTES_MAX) {
            return Some(format!(
                "more than {JOB_BYTES_MAX} bytes of paths and texts"
            ));
        }
        let window = self.window?;
        let fits = window.from < MINUTES_A_DAY && (1..=MINUTES_A_DAY).contains(&window.minutes);
        (!fits).then(|| "a window begins in minute 0 to 1439 and has 1 to 1440 of them".into())
    }
}

impl Work {
    fn wrong(&self) -> Option<String> {
        let hooks = [&self.before, &self.after].into_iter().flatten();
        let to = match &self.kind {
            Kind::Restore(restore) => Some(&restore.to),
            Kind::Backup | Kind::Label(_) | Kind::Unload(_) => None,
        };
        let mut texts = self.paths.iter().chain(&self.excludes).chain(to);
        let is_empty = self.paths.is_empty() && self.kind.is_backup();
        if is_empty || self.paths.len() > PATHS_MAX || self.excludes.len() > PATHS_MAX {
            return Some(format!(
                "1 to {PATHS_MAX} paths, and at most as many patterns"
            ));
        }
        if let Some(what) = self.kind_is_wrong() {
            return Some(what);
        }
        let mut paths = self.paths.iter().chain(to);
        if let Some(path) = paths.find(|path| !path.starts_with('/')) {
            return Some(format!("{path:?} is no absolute path"));
        }
        let is_wrong = |text: &str| text.len() > TEXT_BYTES_MAX || text.contains('\0');
        if texts.any(|text| is_wrong(text)) || hooks.into_iter().any(|hook| is_wrong(&hook.command))
        {
            return Some(format!(
                "a text of more than {TEXT_BYTES_MAX} bytes, or with a NUL"
            ));
        }
        None
    }
}

impl Work {
    /// What this kind of work has no use for, or lacks.
    fn kind_is_wrong(&self) -> Option<String> {
        let of_backups = !self.excludes.is_empty() || self.one_file_system || self.verify;
        match &self.kind {
            Kind::Backup => None,
            _ if of_backups => Some("patterns and verifying belong to backups".into()),
            Kind::Restore(restore) => {
                let count = restore.volumes.len();
                let fits = (1..=VOLUMES_MAX).contains(&count);
                (!fits).then(|| format!("a set on 1 to {VOLUMES_MAX} volumes"))
            }
            _ if !self.paths.is_empty() => Some("labels and unloads have no paths".into()),
            Kind::Label(label) => {
                let name = label.name.as_str();
                let is_named = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit();
                let is_wrong = name.len() > 6 || !name.bytes().all(is_named);
                is_wrong.then(|| format!("{name} is no volume's name: 1 to 6 of A-Z and 0-9"))
            }
            Kind::Unload(_) => None,
        }
    }
}

impl Window {
    /// Whether the minute of this moment is one of them.
    pub fn contains(self, moment: crate::Time) -> bool {
        let minute = moment
            .0
            .div_euclid(60_000)
            .rem_euclid(i64::from(MINUTES_A_DAY));
        let since = (minute - i64::from(self.from)).rem_euclid(i64::from(MINUTES_A_DAY));
        since < i64::from(self.minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    fn job() -> Job {
        let text = r#"{
            "name": "db", "work": { "paths": ["/srv/db"] }, "place": { "application": "pg" },
            "drive": { "serial": "LH01" }, "volumes": "daily"
        }"#;
        serde_json::from_str(text).expect("a job")
    }

    #[test]
    fn what_is_not_said_of_a_job_has_a_default() {
        let job = job();
        job.check().expect("fine");
        assert_eq!((job.restart, job.retries), (Restart::Checkpoint, 3));
        assert_eq!(job.work.level, Level::Full);
    }

    #[test]
    fn a_job_out_of_bounds_is_refused() {
        let refused = |change: fn(&mut Job)| {
            let mut job = job();
            change(&mut job);
            job.check().expect_err("refused").to_string()
        };
        assert!(refused(|job| job.work.paths.clear()).contains("1 to 1000 paths"));
        assert!(refused(|job| job.work.paths = vec!["srv".into()]).contains("absolute"));
        assert!(refused(|job| job.work.excludes = vec!["x".repeat(5000)]).contains("4096"));
        assert!(refused(|job| job.retries = 100).contains("99"));
        let long = |job: &mut Job| job.work.paths = vec![format!("/{}", "x".repeat(4000)); 66];
        assert!(refused(long).contains("262144"));
        let window = |from, minutes| Window { from, minutes };
        for wrong in [window(1440, 1), window(0, 0), window(0, 1441)] {
            let mut job = job();
            job.window = Some(wrong);
            job.check().expect_err("refused");
        }
    }

    #[test]
    fn a_restore_needs_no_paths_and_says_nothing_that_only_a_backup_does() {
        let restore = |change: fn(&mut Restore, &mut Vec<String>)| {
            let mut of = Restore {
                set: Uuid::nil(),
                volumes: vec![Uuid::nil()],
                to: "/restored".into(),
                overwrite: Overwrite::Never,
            };
            let mut job = job();
            job.work.paths = Vec::new();
            change(&mut of, &mut job.work.excludes);
            job.work.kind = Kind::Restore(of);
            job.check().map_err(|error| error.to_string())
        };
        restore(|_, _| {}).expect("fine");
        let refused = |change| restore(change).expect_err("refused");
        assert!(refused(|of, _| of.to = "restored".into()).contains("absolute"));
        assert!(refused(|of, _| of.to = format!("/{}", "x".repeat(5000))).contains("4096"));
        assert!(refused(|of, _| of.volumes = vec![Uuid::nil(); 1001]).contains("1000"));
        assert!(refused(|of, _| of.volumes.clear()).contains("1000"));
        assert!(refused(|_, excludes| excludes.push("*.o".into())).contains("backups"));
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let night = Window {
            from: 22 * 60,
            minutes: 4 * 60,
        };
        let at = |hour: i64, minute: i64| Time((hour * 60 + minute) * 60_000);
        for (hour, minute, is_in) in [
            (21, 59, false),
            (22, 0, true),
            (24, 0, true),
            (25, 59, true),
            (26, 0, false),
        ] {
            assert_eq!(night.contains(at(hour, minute)), is_in, "{hour}:{minute}");
        }
    }
}
