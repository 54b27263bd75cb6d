//! Copies to go back to.

use super::*;

fn copies(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("copies")).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).into_string().expect("a name"))
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_copy_is_made_a_day_and_seven_are_kept() {
    let (dir, mut database) = scratch();
    database.copies.end().expect("copied");
    assert_eq!(copies(dir.path()), ["daily-2025-11-25T230000Z.db"]);
    database
        .copy_if_due(NOW.after(DAY - 1))
        .expect("none is due");
    assert!(database.copies.work.is_none());
    for day in 1..10 {
        let now = NOW.after(DAY * day);
        database
            .commit(now, &[run(run_id(day as i64), RunState::Waiting)])
            .expect("written");
        database.copy_if_due(now).expect("begun");
        database.copies.end().expect("copied");
    }
    let names = copies(dir.path());
    assert_eq!(names.len(), DAILY_MAX);
    assert_eq!(names[0], "daily-2025-11-28T230000Z.db");
    assert_eq!(names[6], "daily-2025-12-04T230000Z.db");
    let copy = Connection::open(dir.path().join("copies").join(&names[0])).expect("opens");
    let runs: i64 = copy
        .query_row("SELECT count(*) FROM runs", [], |row| row.get(0))
        .expect("a copy of three days");
    assert_eq!(runs, 3);
}

#[test]
fn why_a_copy_failed_is_said_and_it_is_tried_again_an_hour_later() {
    let (dir, mut database) = scratch();
    database.copies.end().expect("copied");
    let away = dir.path().join("copies");
    fs::remove_dir_all(&away).expect("removed");
    fs::create_dir(&away).expect("made");
    // Where the copy is to be written something else is.
    let part = "daily-2025-11-26T230000Z.db.part";
    fs::create_dir(away.join(part)).expect("made");
    let now = NOW.after(DAY);
    database.copy_if_due(now).expect("begun");
    let error = database.copies.end().expect_err("no file");
    assert!(
        error.to_string().contains("daily-2025-11-26T230000Z.db"),
        "{error}"
    );
    database.copy_if_due(now.after(3_599_999)).expect("not yet");
    assert!(database.copies.work.is_none());
    database.copy_if_due(now.after(3_600_000)).expect("begun");
    database.copies.end().expect("copied");
}

#[test]
fn an_older_version_is_copied_before_it_is_brought_up_to_date() {
    const NEXT: Kind = Kind {
        migrations: &[
            include_str!("../schema/1.sql"),
            "CREATE TABLE more (one INTEGER) STRICT",
        ],
        ..KIND
    };
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    let (database, state) =
        crate::database::open(dir.path(), NOW, &NEXT).expect("brought up to date");
    assert!(state.runs.contains_key(&run_id(1)));
    drop(database);
    let kept = copies(dir.path());
    assert_eq!(
        kept.last().expect("a copy"),
        "version-1-2025-11-25T230000Z.db"
    );
    assert_eq!(sql(dir.path(), "SELECT count(*) FROM more"), [["0"]]);
    // Who goes back to the older program is told what to go back to.
    let error = Database::open(dir.path(), NOW)
        .expect_err("newer")
        .to_string();
    assert!(error.contains("version-1-2025-11-25T230000Z.db"), "{error}");
    drop(crate::database::open(dir.path(), NOW, &NEXT).expect("opened again"));
    assert_eq!(copies(dir.path()), kept, "no other copy of that version");
}
