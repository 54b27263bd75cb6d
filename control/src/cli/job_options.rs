//! A job as it is given on the command line.

use clap::Args;
use longhaul_protocol::Name;
use longhaul_protocol::job::{DriveChoice, Hook, Job, Kind, Place, Restart, Window};

use super::Failure;

/// What of a job can be said by options; a file can say all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct JobOptions {
    /// An absolute path that is backed up; may be given more than once
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,

    /// A pattern of what is left out, as for `lh-mover backup`; may be given
    /// more than once
    #[arg(long = "exclude", value_name = "PATTERN")]
    excludes: Vec<String>,

    /// Do not go into other file systems
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    one_file_system: Option<bool>,

    /// The node on which it runs
    #[arg(long, value_name = "NODE")]
    node: Option<Name>,

    /// The cluster resource on whose node it runs
    #[arg(long, value_name = "RESOURCE", conflicts_with = "node")]
    application: Option<Name>,

    /// The drive that it writes to: its serial number
    #[arg(long, value_name = "SERIAL")]
    drive: Option<Name>,

    /// The pool of drives one of which it writes to
    #[arg(long, value_name = "POOL", conflicts_with = "drive")]
    drive_pool: Option<Name>,

    /// The pool that its volumes come from
    #[arg(long, value_name = "POOL")]
    volumes: Option<Name>,

    /// Command that is run on the node before, by `sh -c`; if it fails, so does
    /// the attempt. '' for none
    #[arg(long, value_name = "COMMAND")]
    before: Option<String>,

    /// The same, and if it fails, that is no matter
    #[arg(long, value_name = "COMMAND", conflicts_with = "before")]
    before_optional: Option<String>,

    /// Command that is run on the node afterwards, however it ended; if it fails,
    /// the run is done with errors. '' for none
    #[arg(long, value_name = "COMMAND")]
    after: Option<String>,

    /// The same, and if it fails, that is no matter
    #[arg(long, value_name = "COMMAND", conflicts_with = "after")]
    after_optional: Option<String>,

    /// Read the set back when it is done
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    verify: Option<bool>,

    /// Attempts beside the first, where one breaks off (0 to 99) [default: 3]
    #[arg(long, value_name = "N")]
    retries: Option<u32>,

    /// What becomes of a run whose attempt broke off: `checkpoint` (it goes on
    /// from there), `fresh` (it begins anew), `none` (it has failed) [default:
    /// checkpoint]
    #[arg(long, value_name = "HOW", value_parser = restart)]
    restart: Option<Restart>,

    /// When it may begin, UTC: `22:00+6h` is from then on for six hours each
    /// day; `any` is at any time
    #[arg(long, value_name = "HH:MM+LENGTH", value_parser = window)]
    window: Option<When>,
}

/// A window, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct When(Option<Window>);

fn restart(text: &str) -> Result<Restart, String> {
    match text {
        "checkpoint" => Ok(Restart::Checkpoint),
        "fresh" => Ok(Restart::Fresh),
        "none" => Ok(Restart::None),
        _ => Err("checkpoint, fresh or none".into()),
    }
}

fn window(text: &str) -> Result<When, String> {
    if text == "any" {
        return Ok(When(None));
    }
    let parts = || {
        let (from, length) = text.split_once('+')?;
        let (hour, minute) = from.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        let minutes = minutes(length)?;
        (hour < 24 && minute < 60).then_some(Window {
            from: hour * 60 + minute,
            minutes,
        })
    };
    let window = parts().filter(|window| (1..=24 * 60).contains(&window.minutes));
    let window = window.ok_or("HH:MM+LENGTH, as 22:00+6h or 01:30+90m, a day at most; or any")?;
    Ok(When(Some(window)))
}

/// `6h`, `90m`, `1h30m`.
fn minutes(length: &str) -> Option<u32> {
    let (hours, rest) = match length.split_once('h') {
        Some((hours, rest)) => (hours.parse().ok()?, rest),
        None => (0, length),
    };
    let minutes: u32 = match rest.strip_suffix('m') {
        Some(minutes) => minutes.parse().ok()?,
        None if rest.is_empty() && length.ends_with('h') => 0,
        None => return None,
    };
    u32::checked_mul(hours, 60)?.checked_add(minutes)
}

impl JobOptions {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == JobOptions::default()
    }

    /// The job of this name that the options say.
    pub fn job(mut self, name: Name) -> Result<Job, Failure> {
        let missing = |what: &str| Failure::usage(format!("job {name}: name {what}"));
        let place = self
            .place()
            .ok_or_else(|| missing("--node or --application"))?;
        let drive = self
            .drive()
            .ok_or_else(|| missing("--drive or --drive-pool"))?;
        let volumes = self.volumes.take().ok_or_else(|| missing("--volumes"))?;
        if self.paths.is_empty() {
            return Err(missing("--path"));
        }
        let mut job = super::restore::once(name, (place, drive), volumes, Vec::new(), Kind::Backup);
        self.change(&mut job);
        Ok(job)
    }

    /// Has a job be as the options say; of what they do not, it stays as it is.
    pub fn change(mut self, job: &mut Job) {
        job.place = self.place().unwrap_or_else(|| job.place.clone());
        job.drive = self.drive().unwrap_or_else(|| job.drive.clone());
        put(&mut job.volumes, self.volumes);
        put(&mut job.work.one_file_system, self.one_file_system);
        put(&mut job.work.verify, self.verify);
        put(
            &mut job.work.before,
            hook(self.before, self.before_optional),
        );
        put(&mut job.work.after, hook(self.after, self.after_optional));
        put(&mut job.retries, self.retries);
        put(&mut job.restart, self.restart);
        put(&mut job.window, self.window.map(|When(window)| window));
        let is_given = |texts: Vec<String>| Some(texts).filter(|texts| !texts.is_empty());
        put(&mut job.work.paths, is_given(self.paths));
        put(&mut job.work.excludes, is_given(self.excludes));
    }

    fn place(&mut self) -> Option<Place> {
        let node = self.node.take().map(Place::Node);
        node.or(self.application.take().map(Place::Application))
    }

    fn drive(&mut self) -> Option<DriveChoice> {
        let serial = self.drive.take().map(DriveChoice::Serial);
        serial.or(self.drive_pool.take().map(DriveChoice::Pool))
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// What is said of a command, if anything is: none, or one that must not fail, or one
/// that may.
fn hook(required: Option<String>, optional: Option<String>) -> Option<Option<Hook>> {
    let required = required.map(|command| (command, true));
    let (command, required) = required.or(optional.map(|command| (command, false)))?;
    Some((!command.is_empty()).then_some(Hook { command, required }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_time_of_day_and_a_length() {
        let of = |from, minutes| Ok(When(Some(Window { from, minutes })));
        assert_eq!(window("22:00+6h"), of(22 * 60, 360));
        assert_eq!(window("00:00+24h"), of(0, 1440));
        assert_eq!(window("1:30+1h30m"), of(90, 90));
        assert_eq!(window("01:05+7m"), of(65, 7));
        assert_eq!(window("any"), Ok(When(None)));
        for bad in [
            "",
            "22:00",
            "22+6h",
            "24:00+1h",
            "22:60+1h",
            "22:00+",
            "22:00+0m",
            "22:00+25h",
            "22:00+6",
            "22:00+h",
            "22:00+m",
            "22:00+99999999h",
            "22:00+6h5",
            "-1:00+1h",
        ] {
            window(bad).expect_err(bad);
        }
    }
}
