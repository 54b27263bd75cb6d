//! Databases that are refused, and what the error says to do.

use super::*;

#[test]
fn a_newer_version_and_another_program_are_refused() {
    let dir = closed_with_copy(&[]);
    let set = |pragma: &str| {
        let connection = Connection::open(dir.path().join(FILE)).expect("opens");
        connection.execute_batch(pragma).expect(pragma);
    };
    set("PRAGMA user_version = 99");
    let error = Database::open(dir.path(), NOW).expect_err("newer");
    assert!(
        matches!(
            error,
            DatabaseError::Newer {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    // The daily copy may be of that version, too.
    assert!(error.to_string().contains("no copy"), "{error}");
    set("PRAGMA user_version = 1; PRAGMA application_id = 5");
    let error = Database::open(dir.path(), NOW).expect_err("foreign");
    assert!(matches!(error, DatabaseError::Foreign { .. }), "{error}");
}

/// Writes rubbish over the middle of the file.
fn damage(dir: &Path) {
    let path = dir.join(FILE);
    let mut bytes = fs::read(&path).expect("readable");
    let middle = bytes.len() / 4;
    bytes[middle..middle + 20_000].fill(0xa5);
    fs::write(&path, bytes).expect("writable");
}

#[test]
fn what_the_error_of_a_damaged_database_says_brings_the_last_copy_back() {
    let counters = Counters {
        epoch: Epoch(9),
        token: Token(40),
        ..Counters::default()
    };
    let changes = [Change::Counters(counters), run(run_id(1), RunState::Active)];
    let dir = closed_with_copy(&changes);
    damage(dir.path());
    let error = Database::open(dir.path(), NOW).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("2025-11-26 23:00:00 UTC"), "{text}");
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(commands[0], "  systemctl stop lh-control");
    for command in &commands[1..] {
        let status = Command::new("sh").args(["-c", command]).status();
        assert!(status.expect("sh").success(), "{command}");
    }
    let seconds = NOW.0 as u64 / 1000;
    let (database, state) = open(dir.path());
    assert!(state.runs.contains_key(&run_id(1)));
    // What was given since the copy was made must not be given again.
    assert_eq!(state.counters.epoch, Epoch(seconds));
    assert_eq!(state.counters.token, Token(seconds as u32));
    drop(database);
    let (mut database, again) = open(dir.path());
    assert_eq!(again, state, "once");
    database.commit(NOW, &changes).expect("written");
}

#[test]
fn a_database_that_is_gone_is_not_begun_anew_where_there_are_copies_of_it() {
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    fs::remove_file(dir.path().join(FILE)).expect("removed");
    let error = Database::open(dir.path(), NOW).expect_err("gone");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
    let [_, copy] = commands[..] else {
        panic!("{text}");
    };
    let status = Command::new("sh").args(["-c", copy]).status();
    assert!(status.expect("sh").success(), "{copy}");
    let (_, state) = open(dir.path());
    assert!(state.runs.contains_key(&run_id(1)));
}

#[test]
fn damage_where_no_row_is_read_from_is_noticed() {
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    let pages = sql(
        dir.path(),
        "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size
         WHERE name = 'sqlite_autoindex_runs_1'",
    );
    let number = |column: usize| pages[0][column].parse::<usize>().expect("a number");
    let (page, page_bytes) = (number(0), number(1));
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[(page - 1) * page_bytes..page * page_bytes].fill(0xa5);
    fs::write(&path, bytes).expect("writable");
    let error = Database::open(dir.path(), NOW).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
}

#[test]
fn a_row_that_cannot_be_read_is_damage() {
    let dir = closed_with_copy(&[run(run_id(1), RunState::Active)]);
    let connection = Connection::open(dir.path().join(FILE)).expect("opens");
    connection
        .execute("UPDATE runs SET body = '{\"state\":\"waiting\"}'", [])
        .expect("written");
    drop(connection);
    let error = Database::open(dir.path(), NOW).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
}
