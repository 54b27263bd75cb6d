//! What a service does in a cluster.

use longhaul_protocol::ExitStatus;
use longhaul_protocol::event::{self, Membership};
use longhaul_protocol::job::{Kind, Label, Restore, Window, Work};
use longhaul_protocol::report::Outcome;
use longhaul_protocol::run::RunId;

use super::*;

const MOUNT: &str = "/srv/pg";

/// A service, its clock, and what it has said to be done.
struct Trial {
    service: Service,
    now: Time,
    begun: u32,
}

impl Trial {
    fn new() -> Trial {
        let identity = Identity {
            cluster: Uuid::nil(),
            node: name("db1"),
            boot: Uuid::nil(),
        };
        let now = Time(1_000_000);
        let (service, _) = Service::start(now, identity, Seen::default(), BTreeMap::new());
        let begun = 0;
        let mut trial = Trial {
            service,
            now,
            begun,
        };
        trial.welcome();
        trial
    }

    fn after(&mut self, ms: u64, input: Input) -> Vec<Output> {
        self.now = self.now.after(ms);
        self.service.handle(self.now, input)
    }

    fn does(&mut self, input: Input) -> Vec<Output> {
        self.after(0, input)
    }

    fn orders(&mut self, what: What) -> Vec<Output> {
        let epoch = Epoch(1);
        self.does(Input::Order(Order { epoch, what }))
    }

    fn welcome(&mut self) -> Vec<Output> {
        self.does(Input::Connected);
        let now = self.now;
        self.orders(What::Welcome {
            alive_ms: 3_600_000,
            now,
        })
    }

    /// Another attempt, of a run and on a drive of its own.
    fn begins(&mut self, work: Work) -> (AttemptId, Vec<Output>) {
        self.begun += 1;
        let number = self.begun;
        let start = start(&format!("job{number}"), number, work);
        let id = start.attempt.clone();
        (id, self.orders(What::Start(Box::new(start))))
    }

    /// One of which the process runs.
    fn runs(&mut self, work: Work) -> AttemptId {
        let (id, outputs) = self.begins(work);
        assert!(spawned(&outputs), "{outputs:?}");
        id
    }

    fn releases(&mut self, mount: &str) -> Vec<Output> {
        self.does(Input::Release(mount.into(), 7))
    }

    /// What was asked for turns out to lead where it says.
    fn leads(&mut self, id: &AttemptId, places: &[&str]) -> Vec<Output> {
        let places = places.iter().map(PathBuf::from).collect();
        self.does(Input::Leads(id.clone(), places))
    }

    fn ends(&mut self, id: &AttemptId) -> Vec<Output> {
        let outcome = Outcome::without_set(ExitStatus::Unfinished, "interrupted", self.now);
        self.does(Input::Ended(id.clone(), outcome))
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn backup(paths: &[&str]) -> Work {
    Work {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        ..Work::default()
    }
}

fn start(job: &str, number: u32, work: Work) -> Start {
    let run = RunId {
        job: name(job),
        due: Time(0),
    };
    Start {
        attempt: AttemptId { run, number: 1 },
        token: Token(number),
        work,
        drive: name(&format!("D{number}")),
        library: None,
        preempts: Vec::new(),
        elsewhere: Vec::new(),
        volumes: Vec::new(),
        resume: None,
    }
}

fn spawned(outputs: &[Output]) -> bool {
    outputs.iter().any(|it| matches!(it, Output::Spawn(_)))
}

fn signals(outputs: &[Output]) -> Vec<(AttemptId, Stop)> {
    let signal = |output: &Output| match output {
        Output::Signal(id, how) => Some((id.clone(), *how)),
        _ => None,
    };
    outputs.iter().filter_map(signal).collect()
}

fn is_released(outputs: &[Output]) -> bool {
    outputs.contains(&Output::Released(7))
}

/// Why an attempt has ended, as the coordinator is told.
fn said(outputs: &[Output]) -> Option<String> {
    outputs.iter().find_map(|output| match output {
        Output::Say(Report::Ended { outcome, .. }) => {
            assert_eq!(outcome.exit, ExitStatus::Unfinished);
            outcome.error.clone()
        }
        _ => None,
    })
}

#[test]
fn r14_a_release_with_nothing_open_is_done_at_once() {
    let mut trial = Trial::new();
    assert!(is_released(&trial.releases(MOUNT)));
    let other = trial.runs_though_asked(backup(&["/srv/pg2"]), &["/srv/pg2"]);
    let outputs = trial.releases(MOUNT);
    assert!(!is_released(&outputs), "where it leads is not known");
    let outputs = trial.leads(&other, &["/srv/pg2"]);
    assert!(is_released(&outputs) && signals(&outputs).is_empty());
}

impl Trial {
    /// One that begins while something is released: it is asked where it leads
    /// first.
    fn runs_though_asked(&mut self, work: Work, places: &[&str]) -> AttemptId {
        let (id, outputs) = self.begins(work);
        let asked = places.iter().map(PathBuf::from).collect();
        assert!(outputs.contains(&Output::Resolve(id.clone(), asked)));
        assert!(!spawned(&outputs));
        assert!(spawned(&self.leads(&id, places)));
        id
    }
}

#[test]
fn r14_what_is_below_a_released_mount_or_around_it_ends_at_a_checkpoint_first() {
    let restore = Restore {
        set: Uuid::nil(),
        volumes: vec![Uuid::nil()],
        to: "/srv/pg/restored".into(),
        overwrite: Default::default(),
    };
    let restore = Work {
        kind: Kind::Restore(restore),
        ..backup(&["/elsewhere"])
    };
    for work in [
        backup(&["/home", "/srv/pg/data"]),
        backup(&[MOUNT]),
        backup(&["/srv"]),
        backup(&["/"]),
        restore,
    ] {
        let mut trial = Trial::new();
        let id = trial.runs(work.clone());
        let other = trial.runs(backup(&["/srv/pg2"]));
        let outputs = trial.releases(MOUNT);
        assert_eq!(signals(&outputs), [(id.clone(), Stop::Checkpoint)]);
        assert!(!is_released(&outputs));
        trial.leads(&id, &["/somewhere"]);
        let outputs = trial.leads(&other, &["/srv/pg2"]);
        assert!(!is_released(&outputs) && signals(&outputs).is_empty());
        let outputs = trial.ends(&id);
        assert!(is_released(&outputs), "{work:?}: {outputs:?}");
        let why = said(&outputs).expect("it is told");
        assert_eq!(why, "the cluster takes /srv/pg from this node: interrupted");
    }
}

#[test]
fn r14_a_link_that_leads_below_a_released_mount_counts_and_a_label_does_not() {
    let mut trial = Trial::new();
    let linked = trial.runs(backup(&["/data"]));
    let label = Label {
        name: name("LH0001"),
        uuid: Uuid::nil(),
        barcode: None,
        overwrite: None,
    };
    let label = trial.runs(Work {
        kind: Kind::Label(label),
        ..Work::default()
    });
    let outputs = trial.releases(MOUNT);
    assert!(outputs.contains(&Output::Resolve(linked.clone(), vec!["/data".into()])));
    assert!(signals(&outputs).is_empty());
    trial.leads(&label, &[]);
    let outputs = trial.leads(&linked, &["/srv/pg/data"]);
    assert_eq!(signals(&outputs), [(linked.clone(), Stop::Checkpoint)]);
    assert!(is_released(&trial.ends(&linked)));
    // One that begins now does not.
    let (again, outputs) = trial.begins(backup(&["/data"]));
    assert!(!spawned(&outputs));
    let outputs = trial.leads(&again, &["/srv/pg/data"]);
    assert!(!spawned(&outputs));
    assert!(said(&outputs).is_some_and(|why| why.contains(MOUNT)));
}

#[test]
fn r14_what_reaches_no_checkpoint_in_time_is_ended() {
    let mut trial = Trial::new();
    let id = trial.runs(backup(&[MOUNT]));
    trial.releases(MOUNT);
    trial.leads(&id, &[MOUNT]);
    assert!(signals(&trial.after(11_999, Input::Tick)).is_empty());
    let now = [(id.clone(), Stop::Now)];
    assert_eq!(signals(&trial.after(1, Input::Tick)), now);
    assert!(signals(&trial.after(5_000, Input::Tick)).is_empty());
    assert!(is_released(&trial.ends(&id)));
}

#[test]
fn r14_while_it_is_released_nothing_begins_there_and_the_coordinator_is_told_why() {
    let mut trial = Trial::new();
    trial.releases(MOUNT);
    let (_, outputs) = trial.begins(backup(&["/srv/pg/data"]));
    assert!(!spawned(&outputs));
    let why = "the cluster takes /srv/pg from this node";
    assert_eq!(said(&outputs).as_deref(), Some(why));
    // What is around it waits until it is unmounted.
    let (_, outputs) = trial.begins(backup(&["/"]));
    assert_eq!(said(&outputs).as_deref(), Some(why));
    trial.after(60_000, Input::Tick);
    trial.runs_though_asked(backup(&["/"]), &["/"]);
    let (_, outputs) = trial.begins(backup(&["/srv/pg/data"]));
    assert_eq!(said(&outputs).as_deref(), Some(why));

    trial.does(Input::Admit("/srv/pg2".into()));
    let (_, outputs) = trial.begins(backup(&[MOUNT]));
    assert!(!spawned(&outputs), "another mount was admitted");
    trial.does(Input::Admit(MOUNT.into()));
    trial.runs(backup(&[MOUNT]));
}

#[test]
fn r14_an_attempt_that_still_waits_for_its_journal_ends_when_its_mount_is_released() {
    let mut trial = Trial::new();
    let mut waits = start("waits", 9, backup(&[MOUNT]));
    waits.resume = Some(longhaul_protocol::order::Resume {
        journal_bytes: 10,
        afresh: false,
    });
    let id = waits.attempt.clone();
    assert!(!spawned(&trial.orders(What::Start(Box::new(waits)))));
    let outputs = trial.releases(MOUNT);
    assert!(is_released(&outputs) && said(&outputs).is_some());
    assert!(trial.service.attempts()[&id].has_ended());
}

fn quorum(has_quorum: bool, hosts: &[&str]) -> Input {
    Input::Cluster {
        has_quorum,
        hosts: hosts.iter().map(|host| name(host)).collect(),
    }
}

#[test]
fn r14_without_quorum_for_a_minute_what_runs_pauses_and_nothing_begins() {
    let mut trial = Trial::new();
    let id = trial.runs(backup(&["/srv"]));
    trial.does(quorum(false, &[]));
    let outputs = trial.after(59_999, quorum(false, &[]));
    assert!(signals(&outputs).is_empty());
    trial.runs(backup(&["/home"]));
    // It is back for a moment, and that is enough.
    trial.does(quorum(true, &[]));
    trial.does(quorum(false, &[]));
    assert!(signals(&trial.after(59_999, Input::Tick)).is_empty());
    let outputs = trial.after(1, Input::Tick);
    assert_eq!(signals(&outputs).len(), 2, "{outputs:?}");
    assert!(signals(&outputs).contains(&(id.clone(), Stop::Checkpoint)));
    // They are told once.
    assert!(signals(&trial.after(250, Input::Tick)).is_empty());
    let why = said(&trial.ends(&id));
    assert_eq!(why.as_deref(), Some("the node has no quorum: interrupted"));

    let (_, outputs) = trial.begins(backup(&["/srv"]));
    assert!(!spawned(&outputs));
    assert_eq!(said(&outputs).as_deref(), Some("the node has no quorum"));
    trial.does(quorum(true, &[]));
    trial.runs(backup(&["/srv"]));
}

/// An occurrence that is due and for which nobody has come.
fn due(trial: &mut Trial, application: Option<&str>) {
    due_in(trial, application, None);
}

fn due_in(trial: &mut Trial, application: Option<&str>, window: Option<Window>) {
    let Start {
        attempt,
        work,
        token,
        drive,
        volumes,
        ..
    } = start("alone", 50, backup(&[MOUNT]));
    let mut run = attempt.run;
    run.due = trial.now;
    let occurrence = Occurrence {
        run,
        work,
        token,
        drive,
        library: None,
        preempts: Vec::new(),
        volumes,
        valid_until: trial.now.after(3_600_000),
        window,
        application: application.map(name),
    };
    trial.orders(What::Occurrences {
        occurrences: vec![occurrence],
    });
    trial.does(Input::Disconnected);
}

#[test]
fn r14_nothing_begins_without_an_order_where_there_is_no_quorum_or_its_mount_is_released() {
    let mut trial = Trial::new();
    due(&mut trial, None);
    trial.does(quorum(false, &["pg"]));
    assert!(!spawned(&trial.after(30_000, Input::Tick)));
    trial.does(quorum(true, &[]));
    trial.releases(MOUNT);
    let outputs = trial.does(Input::Tick);
    assert!(!spawned(&outputs) && trial.service.attempts().is_empty());
    trial.does(Input::Admit(MOUNT.into()));
    assert!(spawned(&trial.does(Input::Tick)));

    let mut trial = Trial::new();
    due(&mut trial, Some("pg"));
    assert!(
        !spawned(&trial.after(30_000, Input::Tick)),
        "it is elsewhere"
    );
    trial.does(quorum(true, &["pg"]));
    assert!(spawned(&trial.does(Input::Tick)));
}

#[test]
fn what_is_due_waits_for_its_window_without_an_order_too() {
    let mut trial = Trial::new();
    let minutes = u32::try_from(trial.now.0 / 60_000 % 1440).expect("minutes of a day");
    // It opens in ten minutes.
    let window = Window {
        from: (minutes + 10) % 1440,
        minutes: 5,
    };
    due_in(&mut trial, None, Some(window));
    assert!(!spawned(&trial.after(30_000, Input::Tick)));
    assert!(!spawned(&trial.after(8 * 60_000, Input::Tick)));
    assert!(spawned(&trial.after(2 * 60_000, Input::Tick)));
}

fn event(sequence: u64) -> Event {
    Event {
        at: Time(5),
        sequence,
        node: "db2".into(),
        what: event::What::Node {
            state: Membership::Lost,
        },
    }
}

/// Numbers of the alerts that were passed on.
fn passed_on(outputs: &[Output]) -> Vec<u64> {
    let passed_on = |output: &Output| match output {
        Output::Say(Report::Happened { event }) => Some(event.sequence),
        _ => None,
    };
    outputs.iter().filter_map(passed_on).collect()
}

#[test]
fn r21_alerts_are_passed_on_at_once_or_when_somebody_is_there_to_hear_them() {
    let mut trial = Trial::new();
    let outputs = trial.does(Input::Alert(event(1)));
    assert_eq!(passed_on(&outputs), [1]);
    trial.does(Input::Disconnected);
    for sequence in 2..=151 {
        let outputs = trial.does(Input::Alert(event(sequence)));
        assert!(passed_on(&outputs).is_empty(), "nobody hears it");
    }
    let outputs = trial.welcome();
    let newest: Vec<u64> = (52..=151).collect();
    assert_eq!(passed_on(&outputs), newest);
    let place = |wanted: fn(&Report) -> bool| {
        let is_it = |output: &Output| matches!(output, Output::Say(report) if wanted(report));
        outputs.iter().position(is_it).expect("said")
    };
    let attempts = place(|report| matches!(report, Report::Attempts { .. }));
    assert!(attempts < place(|report| matches!(report, Report::Happened { .. })));
    // Whoever has heard them may have been where they tell of.
    trial.does(Input::Disconnected);
    assert_eq!(passed_on(&trial.welcome()), newest);
    trial.now = trial.now.after(300_001);
    trial.does(Input::Disconnected);
    assert!(passed_on(&trial.welcome()).is_empty(), "no news any more");
}

/// The drives that the coordinator is told of, if it is told.
fn drives(outputs: &[Output]) -> Option<Vec<DriveSeen>> {
    outputs.iter().find_map(|output| match output {
        Output::Say(Report::Devices { drives, .. }) => Some(drives.clone()),
        _ => None,
    })
}

#[test]
fn a_node_that_has_lost_its_drives_says_so_whatever_it_had_before() {
    let mut trial = Trial::new();
    // It has not looked yet: what its coordinator knows is of an earlier start.
    assert_eq!(drives(&trial.welcome()), Some(vec![]));
    let seen = DriveSeen {
        serial: name("D1"),
        product: "LONGHAUL VTAPE-LTO9".into(),
        library: None,
        trouble: None,
    };
    let outputs = trial.does(Input::Devices(vec![seen.clone()], vec![]));
    assert_eq!(drives(&outputs), Some(vec![seen.clone()]));
    assert_eq!(drives(&trial.welcome()), Some(vec![seen]));
    let outputs = trial.does(Input::Devices(vec![], vec![]));
    assert_eq!(drives(&outputs), Some(vec![]));
}
