//! What jobs can be told, and what volumes and drives do to them.

use std::fs;

use anyhow::{Context, Result, ensure};
use longhaul_hwtests::cluster::{Plan, cluster};
use longhaul_hwtests::until::until;
use serde_json::json;

#[test]
fn r16_two_services_back_up_to_two_drives_at_once() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("here", "a", json!({}))?;
        cluster.job("there", "b", json!({}))?;
        let runs = [cluster.begin("here")?, cluster.begin("there")?];
        let both = [
            cluster.in_the_middle(&runs[0], 1, 1)?,
            cluster.in_the_middle(&runs[1], 1, 1)?,
        ];
        let drive = |n: usize| &both[n].attempts[0]["drive"];
        ensure!(drive(0) != drive(1), "{both:#?}");
        // Both are in the middle at once.
        let active = cluster.ask(&["status"])?["active"]["lines"].clone();
        ensure!(active.as_array().map(Vec::len) == Some(2), "{active}");
        for run in &runs {
            cluster.is_done(run)?.only()?;
        }
        Ok(())
    })
}

#[test]
fn r8_r9_r10_r18_r19_checkpoints_come_again_and_again_and_the_coordinator_has_them() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let mut points = Vec::new();
        until("the run is done", || {
            let shown = cluster.shown(&run)?;
            let point = shown.attempts.last().map(|one| &one["point"]);
            let number = |key: &str| point.and_then(|point| point[key].as_u64());
            if let Some(point) = number("taken").zip(number("bytes"))
                && points.last() != Some(&point)
            {
                points.push(point);
            }
            Ok((shown.status["stands"] == "done").then_some(()))
        })?;
        let is_later = |two: &[(u64, u64)]| two[0].0 < two[1].0 && two[0].1 < two[1].1;
        ensure!(
            points.len() >= 5 && points.windows(2).all(is_later),
            "{points:?}"
        );
        cluster.is_done(&run)?.only()?;
        Ok(())
    })
}

#[test]
fn r6_one_service_backs_up_to_two_drives_at_once() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        cluster.job("one", "a", json!({}))?;
        cluster.job("other", "a", json!({}))?;
        let runs = [cluster.begin("one")?, cluster.begin("other")?];
        for run in &runs {
            cluster.is_done(run)?.only()?;
        }
        Ok(())
    })
}

#[test]
fn r11_a_schedule_makes_a_run_when_its_minute_comes() -> Result<()> {
    let plan = Plan {
        files: 2,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let add = [
            "schedule",
            "add",
            "often",
            "--job",
            "docs",
            "--cron",
            "* * * * *",
        ];
        cluster.control(&add)?.expect_success()?;
        let run = until("it is due", || {
            let runs = cluster.ask(&["run", "list"])?;
            Ok(runs[0]["key"].as_str().map(str::to_owned))
        })?;
        cluster
            .control(&["schedule", "remove", "often"])?
            .expect_success()?;
        cluster.is_done(&run)?.only()?;
        let due: u64 = run.rsplit('@').next().context("a time")?.parse()?;
        ensure!(due.is_multiple_of(60_000), "{run}");
        Ok(())
    })
}

#[test]
fn o5_a_crontab_waits_for_the_run_and_gets_its_exit_code() -> Result<()> {
    let plan = Plan {
        files: 2,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({ "work": {"verify": true} }))?;
        let wait = ["job", "run", "docs", "--wait"];
        cluster.control(&wait)?.expect_code(0)?;
        let runs = cluster.ask(&["run", "list"])?;
        let run = runs[0]["key"].as_str().context("a run")?;
        cluster.is_done(run)?.only()?;
        Ok(())
    })
}

#[test]
fn the_commands_beside_a_job_are_run_and_their_failure_counts_as_it_is_said() -> Result<()> {
    let plan = Plan {
        files: 2,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        let marks = cluster.join("marks");
        let mark = |what: &str| format!("echo {what} $LONGHAUL_EXIT >> {}", marks.display());
        // The first one fails, and the next one does not.
        let once = cluster.join("once");
        let fails = format!("test -e {0} || ! touch {0}", once.display());
        let before = format!("{}; {fails}", mark("before"));
        let work = json!({ "before": {"command": before}, "after": {"command": mark("after")} });
        cluster.job("docs", "a", json!({ "work": work }))?;
        let run = cluster.begin("docs")?;
        let shown = cluster.is_done(&run)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        ensure!(shown.attempts[0]["ended"]["exit"] == 6, "{shown:#?}");
        let said = fs::read_to_string(&marks)?;
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        ensure!(
            lines == ["before", "after 6", "before", "after 0"],
            "{lines:?}"
        );

        let work = json!({ "before": {"command": "exit 3", "required": false} });
        cluster.job("lax", "a", json!({ "work": work }))?;
        let run = cluster.begin("lax")?;
        cluster.is_done(&run)?.only()?;

        let work = json!({ "after": {"command": "exit 3"} });
        cluster.job("strict", "a", json!({ "work": work }))?;
        let run = cluster.begin("strict")?;
        let shown = cluster.ends_with(&run, 1)?;
        ensure!(shown.only()?["ended"]["exit"] == 1, "{shown:#?}");
        cluster.restores(&shown)?;

        let work = json!({ "before": {"command": "exit 3"} });
        cluster.job("never", "a", json!({ "work": work, "retries": 1 }))?;
        let run = cluster.begin("never")?;
        let shown = cluster.ends_with(&run, 6)?;
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        // It has written nothing, and keeps no volume from others.
        let volumes = cluster.ask(&["volume", "list"])?;
        let mut rows = volumes.as_array().context("a list")?.iter();
        ensure!(
            rows.all(|row| row["row"]["unfinished"].is_null()),
            "{volumes}"
        );
        Ok(())
    })
}

#[test]
fn a_full_volume_is_followed_by_the_next_of_the_pool() -> Result<()> {
    let plan = Plan {
        capacity: "16MiB",
        files: 22,
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let shown = cluster.is_done(&run)?;
        let last = shown.attempts.last().context("an attempt")?;
        let parts = last["ended"]["set"]["parts"].as_array();
        ensure!(parts.map(Vec::len) == Some(2), "{shown:#?}");
        // Nothing of it counts as a failure.
        let volumes = cluster.ask(&["volume", "list"])?;
        let closed = |row: &serde_json::Value| row["row"]["closed"] == "full";
        let full = volumes
            .as_array()
            .context("a list")?
            .iter()
            .filter(|row| closed(row));
        ensure!(full.count() == 1, "{volumes}");
        Ok(())
    })
}

#[test]
fn without_a_next_volume_the_run_waits_until_there_is_one() -> Result<()> {
    let plan = Plan {
        capacity: "16MiB",
        files: 22,
        volumes: &["LH0001"],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        until("it waits for a volume", || {
            let shown = cluster.shown(&run)?;
            let words = shown.status["words"].as_str().unwrap_or_default();
            Ok(words.contains("no volume of pool daily").then_some(()))
        })?;
        cluster.add_volume("LH0002")?;
        cluster.is_done(&run)?;
        Ok(())
    })
}

#[test]
fn a_drive_that_breaks_is_left_for_another_of_the_pool() -> Result<()> {
    let broken = "[[fault]]\nopcode = \"WRITE(6)\"\nnth = 100\ntimes = 1000000\n\
                  sense = { key = 4, asc = 0x44, ascq = 0 }\n";
    let plan = Plan {
        faults: [broken, ""],
        ..Plan::default()
    };
    cluster(&plan, |cluster| {
        cluster.job("docs", "a", json!({}))?;
        let run = cluster.begin("docs")?;
        let shown = cluster.is_done(&run)?;
        let serials = cluster.serials();
        ensure!(shown.attempts.len() == 2, "{shown:#?}");
        ensure!(shown.attempts[0]["ended"]["exit"] == 3, "{shown:#?}");
        ensure!(shown.attempts[1]["drive"] == serials[1], "{shown:#?}");
        let first = cluster.ask(&["drive", "show", &serials[0]])?;
        ensure!(first["row"]["trouble"].is_string(), "{first}");
        Ok(())
    })
}

#[test]
fn a_job_is_set_with_a_word_on_what_is_not_there_yet() -> Result<()> {
    cluster(&Plan::default(), |cluster| {
        let said = |options: &str| -> Result<String> {
            let command = format!("job add {options} --path /srv");
            let args: Vec<&str> = command.split(' ').collect();
            Ok(cluster.control(&args)?.expect_success()?.words())
        };
        let all = said("typo --node c --drive D9 --volumes nothing")?;
        for word in ["pool nothing", "node c", "drive D9"] {
            ensure!(all.contains(word), "nothing of {word}: {all}");
        }
        let pool = said("slow --node a --drive-pool slow --volumes daily")?;
        ensure!(pool.contains("no drive is in pool slow"), "{pool}");
        ensure!(!pool.contains("node a"), "{pool}");
        Ok(())
    })
}
