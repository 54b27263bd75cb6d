//! docs/database.md against the schema.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

type Columns = BTreeMap<String, BTreeSet<String>>;

/// Columns of tables as the document has them: a table's first row names it.
fn documented() -> Columns {
    let text = include_str!("../../../../docs/database.md");
    let (_, tables) = text.split_once("| table | column | |").expect("the tables");
    let (mut columns, mut table) = (Columns::new(), String::new());
    let rows = tables.lines().skip(2).take_while(|line| !line.is_empty());
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let names = |cell: &str| -> Vec<String> {
            let names = cell.split('`').skip(1).step_by(2);
            names.map(str::to_owned).collect()
        };
        if let Some(name) = names(cells[0]).into_iter().next() {
            table = name;
        }
        columns
            .entry(table.clone())
            .or_default()
            .extend(names(cells[1]));
    }
    columns
}

/// Columns of tables as they are, but for those that have no meaning of their own.
fn real() -> Columns {
    let (dir, _database) = scratch();
    let file = Connection::open(dir.path().join(FILE)).expect("the database");
    let mut columns = file
        .prepare(
            "SELECT t.name, c.name FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c
             WHERE t.type = 'table' AND t.schema = 'main' AND t.name NOT LIKE 'sqlite%'
               AND c.name NOT IN ('body', 'one')",
        )
        .expect("a question");
    let rows = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let mut all = Columns::new();
    for row in rows.expect("rows") {
        let (table, column): (String, String) = row.expect("a row");
        all.entry(table).or_default().insert(column);
    }
    all
}

#[test]
fn every_column_of_every_table_is_documented_and_no_other() {
    assert_eq!(documented(), real());
}
