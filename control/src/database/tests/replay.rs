//! Rows that come back, whatever came in between.

use super::*;

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..9, Just(u64::MAX), Just(1 << 63)]
}

fn any_attempt() -> impl Strategy<Value = Change> {
    let ids = (1i64..4, 1u32..3, any_number());
    let ends = proptest::option::of((0u8..8, ".{0,9}"));
    (ids, ends, any::<bool>()).prop_map(|((due, number, bytes), end, has_point)| {
        with(attempt(attempt_id(due, number)), |row| {
            row.journal_bytes = bytes;
            row.point = has_point.then(|| point(bytes));
            row.ended = end.map(|(exit, error)| {
                let exit = ExitStatus::try_from(exit).expect("a status");
                Outcome::without_set(exit, error, Time(bytes as i64))
            });
        })
    })
}

fn any_run() -> impl Strategy<Value = Change> {
    let state = prop_oneof![
        Just(RunState::Waiting),
        Just(RunState::Active),
        ".{0,9}".prop_map(RunState::Held),
        ".{0,9}".prop_map(RunState::Failed),
        Just(RunState::Done(ExitStatus::Incomplete)),
    ];
    (1i64..4, state).prop_map(|(due, state)| run(run_id(due), state))
}

fn any_small() -> impl Strategy<Value = Change> {
    let key = proptest::sample::select(vec!["a", "b", "c-1.example"]).prop_map(name);
    (0u8..9, key, any::<bool>(), ".{0,9}", any_number()).prop_map(
        |(kind, key, is, text, number)| match kind {
            0 => Change::Counters(Counters {
                epoch: Epoch(number),
                token: Token(number as u32),
                ..Counters::default()
            }),
            1 => {
                let mut node = Node {
                    is_drained: is,
                    ..Node::default()
                };
                node.reaches.push(key.clone());
                Change::Node(key, node)
            }
            2 => {
                let drive = Drive {
                    product: text.clone(),
                    trouble: is.then(|| text.clone()),
                    doubt: is.then(|| Uuid::from_u128(u128::from(number))),
                    alerts: vec![text.clone(); usize::from(is)],
                    unusable: is.then(|| (key.clone(), text)).into_iter().collect(),
                    holder: is.then(|| attempt_id(1, 1)),
                    ..Drive::default()
                };
                Change::Drive(key, drive)
            }
            3 => {
                let volume = Volume {
                    name: key.clone(),
                    pool: key.clone(),
                    closed: is.then_some(text),
                    doubt: is.then(|| key.clone()),
                    absent: is.then(|| key.to_string()),
                    inside: is.then(|| key.clone()),
                    token: Token(number as u32),
                    writer: (!is).then(|| attempt_id(1, 1)),
                    unfinished: is.then(|| run_id(2)),
                };
                Change::Volume(Uuid::from_u128(u128::from(number)), volume)
            }
            6 if is => Change::Occurrence(run_id(number as i64 % 4), Box::new(given(key))),
            6 => Change::Removed(Key::Occurrence(run_id(number as i64 % 4))),
            7 if is => Change::Failover(failover(number, key), Box::default()),
            7 => Change::Removed(Key::Failover(failover(number, key))),
            4 if is => Change::Job(key.clone(), Box::new(job(&key))),
            4 => Change::Removed(Key::Job(key)),
            5 => Change::Removed(match number % 4 {
                0 => Key::Node(key),
                1 => Key::Drive(key),
                2 => Key::Volume(Uuid::from_u128(u128::from(number))),
                _ => Key::Schedule(key),
            }),
            _ => {
                let schedule = Schedule {
                    name: key.clone(),
                    job: key.clone(),
                    cron: text,
                    zone: "UTC".into(),
                    catch_up: CatchUp::One,
                    is_disabled: is,
                };
                let next = (number > 3).then_some(Time(number as i64));
                let row = Box::new(Scheduled { schedule, next });
                Change::Schedule(key, row)
            }
        },
    )
}

fn failover(lost: u64, node: Name) -> FailoverId {
    let lost = Time(lost as i64 % 4);
    FailoverId { lost, node }
}

fn given(node: Name) -> Given {
    let occurrence = Occurrence {
        run: run_id(1),
        work: Work::default(),
        token: Token(7),
        drive: name("LH01"),
        library: None,
        preempts: vec![Token(3)],
        volumes: Vec::new(),
        valid_until: Time(9),
        window: None,
        application: None,
    };
    Given { node, occurrence }
}

fn any_commits() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![any_attempt(), any_run(), any_small()];
    let commit = proptest::collection::vec(change, 0..8);
    proptest::collection::vec(commit, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_database_is_the_replay_of_all_changes_and_of_its_events(
        commits in any_commits(), reopen_after in 0usize..8
    ) {
        let (dir, mut database) = scratch();
        let mut rows = State::default();
        for (number, mut changes) in commits.into_iter().enumerate() {
            // An attempt without its run is refused; another test says so.
            changes.retain(|change| match change {
                Change::Attempt(id, _) => rows.runs.contains_key(&id.run),
                _ => true,
            });
            database.commit(NOW, &changes).expect("written");
            for change in changes {
                rows.apply(change);
            }
            if number == reopen_after {
                drop(database);
                let (again, read) = open(dir.path());
                prop_assert_eq!(&read, &rows);
                database = again;
            }
        }
        let mut replayed = State::default();
        let events = database.events(None, None, u32::MAX).expect("events");
        prop_assert_eq!(database.events.count, events.len() as u64);
        for event in events.into_iter().rev() {
            replayed.apply(event.change);
        }
        prop_assert_eq!(&replayed, &rows);
        drop(database);
        prop_assert_eq!(&open(dir.path()).1, &rows);
    }
}

#[test]
fn whatever_a_crash_leaves_is_what_some_commit_made() {
    let (dir, mut database) = scratch();
    database.copies.end().expect("copied");
    let mut rows = State::default();
    let mut states = vec![rows.clone()];
    for number in 1..=6 {
        let changes = [
            run(run_id(number), RunState::Active),
            attempt(attempt_id(number, 1)),
        ];
        database.commit(NOW, &changes).expect("written");
        changes.into_iter().for_each(|change| rows.apply(change));
        states.push(rows.clone());
    }
    // The process is there still: nothing was closed.
    let log = fs::read(dir.path().join("operations.db-wal")).expect("a log");
    let mut reached = 0;
    for cut in (0..=log.len()).step_by(5_000).chain([log.len()]) {
        let crashed = tempfile::tempdir().expect("a scratch folder");
        fs::copy(dir.path().join(FILE), crashed.path().join(FILE)).expect("copied");
        fs::write(crashed.path().join("operations.db-wal"), &log[..cut]).expect("written");
        let (_, read) = open(crashed.path());
        let found = states.iter().position(|state| *state == read);
        let found = found.expect("the rows behind some commit");
        assert!(found >= reached, "cut at {cut}");
        reached = found;
    }
    assert_eq!(reached, states.len() - 1, "what was committed is there");
}

#[test]
fn two_coordinators_are_never_on_one_database() {
    let (dir, database) = scratch();
    let error = Database::open(dir.path(), NOW).expect_err("held");
    assert!(matches!(error, DatabaseError::Held { .. }), "{error}");
    let lock = dir.path().join("lock").display().to_string();
    assert!(error.to_string().contains(&lock), "{error}");
    drop(database);
    open(dir.path());
}

#[test]
fn r13_a_coordinator_writes_nothing_more_once_another_one_was_on_its_database() {
    let (dir, mut older) = scratch();
    let started = |epoch| {
        Change::Counters(Counters {
            epoch: Epoch(epoch),
            ..Counters::default()
        })
    };
    older.commit(NOW, &[started(1)]).expect("written");
    // Another node's kernel knows nothing of this one's lock.
    let unlock = || fs::remove_file(dir.path().join("lock")).expect("removed");
    unlock();
    let (mut early, _) = open(dir.path());
    let changes = [run(run_id(1), RunState::Active)];
    older.commit(NOW, &changes).expect("nobody has begun");
    let is_over = |database: &mut Database| {
        database.is_ours().expect_err("it is over");
        let error = database.commit(NOW, &[started(2)]).expect_err("it is over");
        assert!(matches!(error, DatabaseError::Superseded { .. }), "{error}");
    };
    // It does not know what was written since it has read all.
    is_over(&mut early);
    unlock();
    let (mut newer, _) = open(dir.path());
    newer.commit(NOW, &[started(2)]).expect("written");
    is_over(&mut older);
    newer.is_ours().expect("it is");
    drop((older, early, newer));
    let (_, state) = open(dir.path());
    let runs: Vec<&RunId> = state.runs.keys().collect();
    assert_eq!(runs, [&run_id(1)]);
}

#[test]
fn an_attempt_needs_its_run_and_all_of_a_commit_is_written_or_nothing() {
    let (dir, mut database) = scratch();
    let node = Change::Node(name("n1"), Node::default());
    let changes = [node, attempt(attempt_id(1, 1))];
    database.commit(NOW, &changes).expect_err("no such run");
    assert_eq!(database.events(None, None, 9).expect("events"), []);
    // Within a transaction the run may come behind.
    let changes = [attempt(attempt_id(1, 1)), run(run_id(1), RunState::Active)];
    database.commit(NOW, &changes).expect("written");
    drop(database);
    let (_, state) = open(dir.path());
    assert_eq!((state.nodes.len(), state.attempts.len()), (0, 1));
}

#[test]
fn the_tables_can_be_read_by_people() {
    let (dir, mut database) = scratch();
    let first = with(attempt(attempt_id(NOW.0, 1)), |row| {
        row.point = Some(point(u64::MAX));
        row.ended = Some(Outcome::without_set(
            ExitStatus::Unfinished,
            "n1 is dead",
            NOW,
        ));
    });
    let second = with(attempt(attempt_id(NOW.0, 2)), |row| {
        row.node = name("n2");
        row.token = Token(8);
        row.resumes = Some(1);
    });
    let drive = Drive {
        pool: Some(name("fast")),
        holder: Some(attempt_id(NOW.0, 2)),
        ..Drive::default()
    };
    let volume = Volume {
        name: name("LH0001"),
        pool: name("daily"),
        closed: None,
        doubt: None,
        absent: None,
        inside: None,
        token: Token(0),
        writer: None,
        unfinished: None,
    };
    let changes = [
        run(run_id(NOW.0), RunState::Active),
        run(run_id(0), RunState::Held("no volume".into())),
        first,
        second,
        Change::Drive(name("LH01"), drive),
        Change::Volume(Uuid::from_u128(1), volume),
    ];
    database.commit(NOW, &changes).expect("written");
    for (query, expected) in [
        (
            "SELECT job, due_utc, state, why FROM runs ORDER BY due",
            vec![
                vec!["daily", "1970-01-01 00:00:00", "held", "no volume"],
                vec!["daily", "2025-11-25 23:00:00", "active", "-"],
            ],
        ),
        (
            "SELECT number, node, token, bytes, ended_utc, exit FROM attempts",
            vec![
                vec![
                    "1",
                    "n1",
                    "7",
                    "9223372036854775807",
                    "2025-11-25 23:00:00",
                    "6",
                ],
                vec!["2", "n2", "8", "-", "-", "-"],
            ],
        ),
        (
            "SELECT holder FROM drives",
            vec![vec!["daily@1764111600000#2"]],
        ),
        (
            "SELECT name, drives, volumes, open_volumes FROM pools",
            vec![vec!["daily", "0", "1", "1"], vec!["fast", "1", "0", "0"]],
        ),
        (
            "SELECT from_node, why, to_node, resumes FROM moves",
            vec![vec!["n1", "n1 is dead", "n2", "1"]],
        ),
        (
            "SELECT token, node FROM assignments",
            vec![vec!["7", "n1"], vec!["8", "n2"]],
        ),
        (
            "SELECT number, taken_utc FROM checkpoints",
            vec![vec!["1", "2025-11-25 23:00:00"]],
        ),
        (
            "SELECT kind, key, time_utc FROM events WHERE kind = 'drive'",
            vec![vec!["drive", "LH01", "2025-11-25 23:00:00"]],
        ),
    ] {
        assert_eq!(sql(dir.path(), query), expected, "{query}");
    }
}
