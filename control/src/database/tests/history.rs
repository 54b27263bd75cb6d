//! What rows became: what is kept of it, and for how long.

use super::*;

#[test]
fn progress_that_is_said_again_at_once_is_written_once() {
    let (_dir, mut database) = scratch();
    let id = attempt_id(1, 1);
    let progress = |bytes| with(attempt(id.clone()), |row| row.journal_bytes = bytes);
    let changes = [
        run(run_id(1), RunState::Active),
        attempt(id.clone()),
        progress(1),
        progress(2),
    ];
    assert_eq!(events::telling(&changes).count(), 3);
    database.commit(NOW, &changes).expect("written");
    let events = database.events(Some(&id.to_string()), None, 9);
    let changes: Vec<Change> = events
        .expect("events")
        .into_iter()
        .map(|e| e.change)
        .collect();
    assert_eq!(changes, [progress(2), attempt(id.clone())]);
}

#[test]
fn what_people_were_told_is_an_event_and_no_row() {
    let (dir, mut database) = scratch();
    let told = Change::Told(Told {
        of: "LH01".into(),
        notice: "drive LH01 cannot be used: MEDIUM ERROR".into(),
        failed: Some("exit status: 1".into()),
    });
    database
        .commit(NOW, std::slice::from_ref(&told))
        .expect("written");
    let events = database.events(Some("LH01"), None, 9).expect("events");
    assert_eq!(
        events.into_iter().map(|e| e.change).collect::<Vec<_>>(),
        [told]
    );
    drop(database);
    assert_eq!(open(dir.path()).1, State::default());
}

#[test]
fn of_progress_the_newest_event_is_kept() {
    let (_dir, mut database) = scratch();
    let id = attempt_id(1, 1);
    let progress = |bytes| with(attempt(id.clone()), |row| row.journal_bytes = bytes);
    database
        .commit(
            NOW,
            &[run(run_id(1), RunState::Active), attempt(id.clone())],
        )
        .expect("written");
    for bytes in 1..50 {
        database.commit(NOW, &[progress(bytes)]).expect("written");
    }
    let key = id.to_string();
    let events = database.events(Some(&key), None, 99).expect("events");
    let changes: Vec<Change> = events.into_iter().map(|event| event.change).collect();
    assert_eq!(changes, [progress(49), attempt(id.clone())]);
    let ended = with(progress(50), |row| {
        row.ended = Some(Outcome::without_set(ExitStatus::Device, "dead", NOW));
    });
    database
        .commit(NOW, std::slice::from_ref(&ended))
        .expect("written");
    let events = database.events(Some(&key), None, 1).expect("events");
    assert_eq!(events[0].change, ended);
    assert_eq!(database.events.count, 3);
}

#[test]
fn the_oldest_events_go_in_small_steps() {
    let (_dir, mut database) = scratch();
    let change = |number: u64| {
        Change::Counters(Counters {
            epoch: Epoch(number),
            token: Token(0),
            ..Counters::default()
        })
    };
    for number in 1..=20 {
        database.commit(NOW, &[change(number)]).expect("written");
    }
    let oldest = |database: &Database| {
        let events = database.events(None, None, u32::MAX).expect("events");
        assert_eq!(events.len() as u64, database.events.count);
        events.last().map_or(0, |event| event.number)
    };
    let later = NOW.after(EVENTS_MS + 1);
    database.commit(later, &[change(21)]).expect("written");
    assert_eq!((oldest(&database), database.events.count), (5, 17));
    // As if there were so many.
    database.events.count = EVENTS_MAX + 1;
    database.commit(NOW, &[change(22)]).expect("written");
    assert_eq!(database.events.count, EVENTS_MAX);
    database.events.count = 16;
    assert_eq!(oldest(&database), 7);
}
