//! Schedules whose time has come.

use longhaul_protocol::{Name, RunId, Time};

use super::state::{Change, Scheduled};
use super::{Coordinator, Notice, Output};
use crate::schedule::{self, CatchUp, MISSED_MS};

impl Coordinator {
    /// Makes the runs that are due.
    pub(super) fn due(&mut self, now: Time) {
        let has_come =
            |row: &Scheduled| !row.schedule.is_disabled && row.next.is_some_and(|next| next <= now);
        let schedules = self.state.schedules.iter();
        let come: Vec<Name> = schedules
            .filter(|(_, row)| has_come(row))
            .map(|(name, _)| name.clone())
            .collect();
        for name in come {
            self.has_come(now, name);
        }
    }

    /// A schedule's time, or several of them, has come: the last one makes a
    /// run, unless it was missed and is not to be made up for.
    fn has_come(&mut self, now: Time, name: Name) {
        let Some(mut row) = self.state.schedules.get(&name).cloned() else {
            return;
        };
        let Some(Ok(due)) = row
            .next
            .map(|first| schedule::due(&row.schedule, first, now))
        else {
            // It was checked when it was set; its zone may be gone since.
            row.schedule.is_disabled = true;
            self.change(Change::Schedule(name, Box::new(row)));
            return;
        };
        let was_missed = now.since(due.last) > MISSED_MS;
        let is_made_up_for = !was_missed || row.schedule.catch_up == CatchUp::One;
        let missed = due.count - usize::from(!was_missed);
        if missed > 0 {
            self.outputs
                .push(Output::Notify(Notice::Missed(name.clone(), missed)));
        }
        row.next = due.next;
        let id = RunId {
            job: row.schedule.job.clone(),
            due: due.last,
        };
        self.change(Change::Schedule(name.clone(), Box::new(row)));
        if is_made_up_for && let Err(error) = self.run(id.clone()) {
            // The job was removed.
            let why = format!("schedule {name}: {error}");
            self.outputs.push(Output::Notify(Notice::Failed(id, why)));
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_protocol::job::Job;
    use longhaul_protocol::{Answer, Ask, Command};
    use uuid::Uuid;

    use super::*;
    use crate::core::{Asker, Input, Settings, state::State};
    use crate::schedule::Schedule;

    const MINUTE: i64 = 60_000;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn coordinator(catch_up: CatchUp) -> Coordinator {
        let settings = Settings {
            cluster: Uuid::nil(),
            alive_ms: 2_000,
            retry_ms: 1_000,
            ..Settings::default()
        };
        let (mut coordinator, _) = Coordinator::start(settings, State::default());
        let job: Job = serde_json::from_str(
            r#"{"name": "db", "work": {"paths": ["/srv"]}, "place": {"node": "n1"},
                "drive": {"pool": "drives"}, "volumes": "daily"}"#,
        )
        .expect("a job");
        let schedule = Schedule {
            name: name("often"),
            job: name("db"),
            cron: "*/15 * * * *".into(),
            zone: "UTC".into(),
            catch_up,
            is_disabled: false,
        };
        for command in [
            Command::SetJob { job: Box::new(job) },
            Command::SetSchedule {
                schedule: Box::new(schedule),
            },
        ] {
            let outputs = command_of(&mut coordinator, command);
            let done = Output::Answer(Asker(1), Answer::Done);
            assert!(outputs.contains(&done), "{outputs:?}");
        }
        coordinator
    }

    fn command_of(coordinator: &mut Coordinator, command: Command) -> Vec<Output> {
        coordinator.handle(Time(0), Input::Ask(Asker(1), Ask::Command(command)))
    }

    /// The minutes for which there are runs.
    fn runs(coordinator: &Coordinator) -> Vec<i64> {
        let runs = coordinator.state().runs.keys();
        runs.map(|run| run.due.0 / MINUTE).collect()
    }

    fn tick(coordinator: &mut Coordinator, minute: i64) -> Vec<Output> {
        let outputs = coordinator.handle(Time(minute * MINUTE), Input::Tick);
        let is_notice = |output: &Output| matches!(output, Output::Notify(_));
        outputs.into_iter().filter(is_notice).collect()
    }

    #[test]
    fn each_time_makes_a_run_once() {
        let mut coordinator = coordinator(CatchUp::One);
        for minute in [14, 15, 15, 16, 29, 31, 14, 16] {
            assert_eq!(tick(&mut coordinator, minute), []);
        }
        assert_eq!(runs(&coordinator), [15, 30]);
    }

    #[test]
    fn of_those_that_were_missed_one_is_made_up_for() {
        let mut coordinator = coordinator(CatchUp::One);
        let missed = Output::Notify(Notice::Missed(name("often"), 4));
        assert_eq!(tick(&mut coordinator, 71), [missed]);
        assert_eq!(runs(&coordinator), [60]);
        assert_eq!(tick(&mut coordinator, 75), []);
        assert_eq!(runs(&coordinator), [60, 75]);
    }

    #[test]
    fn or_none_is() {
        let mut coordinator = coordinator(CatchUp::None);
        let missed = Output::Notify(Notice::Missed(name("often"), 4));
        assert_eq!(tick(&mut coordinator, 71), [missed]);
        assert_eq!(runs(&coordinator), [0; 0]);
        // Late, but not missed; the one before it was.
        let missed = Output::Notify(Notice::Missed(name("often"), 1));
        assert_eq!(tick(&mut coordinator, 92), [missed]);
        assert_eq!(runs(&coordinator), [90]);
    }

    #[test]
    fn a_schedule_of_a_job_that_is_gone_says_so() {
        let mut coordinator = coordinator(CatchUp::One);
        let job = name("db");
        command_of(&mut coordinator, Command::RemoveJob { job: job.clone() });
        assert!(
            coordinator.state.jobs.contains_key(&job),
            "it has a schedule"
        );
        // Coordinators before this one have removed such jobs.
        let gone = super::super::state::Key::Job(job);
        coordinator.state.apply(Change::Removed(gone));
        let told = tick(&mut coordinator, 15);
        assert!(
            matches!(&told[..], [Output::Notify(Notice::Failed(..))]),
            "{told:?}"
        );
        assert_eq!(runs(&coordinator), [0; 0]);
    }
}
