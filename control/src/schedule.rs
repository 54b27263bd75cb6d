//! When a job is due.
//!
//! A schedule is a cron expression of five fields (minute, hour, day of the
//! month, month, day of the week; with `@daily` and the like) by the clock on
//! the wall of a time zone. Where that clock is put forward, a job at a fixed
//! time in the hour that does not exist is due at its end, and one that is due
//! every so often leaves it out; where it is put back, a job at a fixed time is
//! due once, the first time, and one that is due every so often goes on. (The
//! rules are Vixie cron's; the zones' are built in.)

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use longhaul_protocol::schedule::CRON_BYTES_MAX;
pub use longhaul_protocol::schedule::{CatchUp, Schedule};
use longhaul_protocol::{Name, Time};

/// A run that is due for so long has been missed, in milliseconds: nobody was
/// there to see to it.
pub const MISSED_MS: u64 = 10 * 60_000;
/// Times that are looked at to find the last one that was missed.
const STEPS_MAX: usize = 100_000;

/// A schedule that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule {schedule}: {what}")]
pub struct NoSchedule {
    schedule: Name,
    what: String,
}

/// The first time of a schedule after this one; `None` if there is no other.
///
/// # Errors
/// If the expression or the zone is none.
pub fn after(schedule: &Schedule, time: Time) -> Result<Option<Time>, NoSchedule> {
    let (cron, zone) = parts(schedule)?;
    let now = zoned(schedule, time, &zone)?;
    Ok(next(&cron, &now).map(|zoned| Time(zoned.timestamp().as_millisecond())))
}

/// The last time of those from `first` on that are not after `now`, how many
/// there are, and the first after `now`.
///
/// # Errors
/// As [`after`].
pub fn due(schedule: &Schedule, first: Time, now: Time) -> Result<Due, NoSchedule> {
    let (cron, zone) = parts(schedule)?;
    let mut due = Due {
        last: first,
        count: 1,
        next: None,
    };
    let mut zoned = zoned(schedule, first, &zone)?;
    for _ in 0..STEPS_MAX {
        let Some(next) = next(&cron, &zoned) else {
            return Ok(due);
        };
        let time = Time(next.timestamp().as_millisecond());
        if time > now {
            due.next = Some(time);
            return Ok(due);
        }
        due.last = time;
        due.count += 1;
        zoned = next;
    }
    // More than anybody counts: on from here.
    due.next = after(schedule, now)?;
    Ok(due)
}

fn parts(schedule: &Schedule) -> Result<(Cron, TimeZone), NoSchedule> {
    let no = |what: String| NoSchedule {
        schedule: schedule.name.clone(),
        what,
    };
    if schedule.cron.len() > CRON_BYTES_MAX {
        return Err(no(format!(
            "an expression of more than {CRON_BYTES_MAX} bytes"
        )));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron = parser.parse(&schedule.cron);
    let cron = cron.map_err(|error| no(format!("{:?}: {error}", schedule.cron)))?;
    let zone = TimeZone::get(&schedule.zone);
    let zone = zone.map_err(|error| no(format!("zone {:?}: {error}", schedule.zone)))?;
    Ok((cron, zone))
}

fn zoned(schedule: &Schedule, time: Time, zone: &TimeZone) -> Result<Zoned, NoSchedule> {
    let stamp = Timestamp::from_millisecond(time.0).map_err(|error| NoSchedule {
        schedule: schedule.name.clone(),
        what: error.to_string(),
    })?;
    Ok(stamp.to_zoned(zone.clone()))
}

/// Times that have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The last of them.
    pub last: Time,
    /// How many.
    pub count: usize,
    /// The one that comes next.
    pub next: Option<Time>,
}

fn next(cron: &Cron, zoned: &Zoned) -> Option<Zoned> {
    // An error says that there is none: 31 February, or the end of the calendar.
    cron.find_next_occurrence(zoned, false).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule {
            name: "nightly".parse().expect("a name"),
            job: "db".parse().expect("a name"),
            cron: cron.into(),
            zone: zone.into(),
            catch_up: CatchUp::One,
            is_disabled: false,
        }
    }

    fn time(text: &str) -> Time {
        let stamp: Timestamp = text.parse().expect(text);
        Time(stamp.as_millisecond())
    }

    /// The times after one, in UTC.
    fn times(cron: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = schedule(cron, "Europe/Berlin");
        let mut now = time(from);
        let mut found = Vec::new();
        for _ in 0..count {
            now = after(&schedule, now).expect("a schedule").expect("a time");
            let stamp = Timestamp::from_millisecond(now.0).expect("a time");
            found.push(stamp.to_string());
        }
        found
    }

    #[test]
    fn a_time_on_the_wall_is_another_one_in_utc_in_summer() {
        assert_eq!(
            times("30 22 * * *", "2026-03-28T12:00:00Z", 2),
            ["2026-03-28T21:30:00Z", "2026-03-29T20:30:00Z"]
        );
    }

    #[test]
    fn a_fixed_time_that_does_not_exist_is_due_behind_the_gap() {
        // 2:30 on the day on which 2:00 becomes 3:00.
        assert_eq!(
            times("30 2 * * *", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
    }

    #[test]
    fn a_fixed_time_that_comes_twice_is_due_once() {
        assert_eq!(
            times("30 2 * * *", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn every_half_hour_goes_on_where_the_clock_is_put_back() {
        assert_eq!(
            times("*/30 * * * *", "2026-10-24T23:59:00Z", 4),
            [
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z"
            ]
        );
    }

    #[test]
    fn of_what_was_missed_the_last_is_known() {
        let schedule = schedule("0 22 * * *", "UTC");
        let (first, now) = (time("2026-11-20T22:00:00Z"), time("2026-11-25T08:00:00Z"));
        let due = due(&schedule, first, now).expect("a schedule");
        assert_eq!(
            due,
            Due {
                last: time("2026-11-24T22:00:00Z"),
                count: 5,
                next: Some(time("2026-11-25T22:00:00Z")),
            }
        );
    }

    #[test]
    fn what_never_comes_is_no_time_and_nonsense_is_refused() {
        let never = schedule("0 0 31 2 *", "UTC");
        assert_eq!(after(&never, time("2026-01-01T00:00:00Z")), Ok(None));
        let refused = |cron: &str, zone: &str| {
            let error = after(&schedule(cron, zone), Time(0)).expect_err("refused");
            error.to_string()
        };
        assert!(refused("0 22 * *", "UTC").contains("schedule nightly"));
        assert!(refused("0 0 22 * * *", "UTC").contains("0 0 22"));
        assert!(refused("0 22 * * *", "Europe/Atlantis").contains("Atlantis"));
        assert!(refused(&"0".repeat(300), "UTC").contains("256"));
        let far = after(&schedule("0 22 * * *", "UTC"), Time(i64::MAX));
        far.expect_err("beyond the calendar");
    }
}
