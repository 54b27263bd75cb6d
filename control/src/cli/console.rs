//! Asking the coordinator, and printing what it answers.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use longhaul_protocol::ask::{ROWS_MAX, Row, Rows, one_line, words};
use longhaul_protocol::{Answer, Ask, Command, ExitStatus, Time};
use longhaul_words::{bytes, table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Failure;
use super::link::{self, Link};

/// Fields of rows that are moments.
const TIMES: [&str; 9] = [
    "at",
    "due",
    "ended",
    "heard",
    "next",
    "not_before",
    "ordered",
    "started",
    "taken",
];
/// Fields of rows that are sizes.
const SIZES: [&str; 2] = ["bytes", "journal_bytes"];
/// Rows that a list asks for in all.
pub(super) const LIST_MAX: u32 = 100_000;

/// Where an operator sits.
pub(super) struct Console<'a> {
    link: &'a mut Link,
    /// A script reads what is printed.
    pub json: bool,
    zone: TimeZone,
    out: &'a mut dyn Write,
}

impl<'a> Console<'a> {
    pub fn new(
        link: &'a mut Link,
        json: bool,
        zone: TimeZone,
        out: &'a mut dyn Write,
    ) -> Console<'a> {
        Console {
            link,
            json,
            zone,
            out,
        }
    }

    /// Asks; a failure that is answered is one.
    pub fn ask(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        match link::ask(self.link, ask)? {
            Answer::Failed { exit, why } => Err(Failure { exit, why }),
            answer => Ok(answer),
        }
    }

    /// Has something done, and says that it is.
    pub fn order(&mut self, command: Command, done: &str) -> Result<ExitStatus, Failure> {
        self.ask(&Ask::Command(command))?;
        self.say(done)?;
        Ok(ExitStatus::Done)
    }

    /// Says a line to people; to a script, that it is done.
    pub fn say(&mut self, line: &str) -> Result<(), Failure> {
        if self.json {
            return self.json(&json!({ "done": true }));
        }
        self.print(|out| writeln!(out, "{}", one_line(line)))
    }

    /// Says something beside the result.
    pub fn note(&self, line: &str) {
        let _ = writeln!(io::stderr(), "lh-control: {}", one_line(line));
    }

    /// All rows of a table, or the first `most` of them.
    pub fn rows(&mut self, query: Rows, most: u32) -> Result<Vec<Row>, Failure> {
        let page = |after, most| {
            Ask::Rows(Rows {
                after,
                most,
                ..query.clone()
            })
        };
        Ok(self.pages(most, page)?.0)
    }

    /// All rows that pages are asked for behind a key and up to so many at a time,
    /// or the first `most` of them; whether there are more.
    pub fn pages(
        &mut self,
        most: u32,
        page: impl Fn(Option<String>, u32) -> Ask,
    ) -> Result<(Vec<Row>, bool), Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let left = most.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
            let (rows, more) = rows(self.ask(&page(after, left.min(ROWS_MAX)))?)?;
            all.extend(rows);
            let is_full = all.len() >= most as usize;
            if is_full || more.is_none() {
                return Ok((all, more.is_some()));
            }
            after = more;
        }
    }

    /// One row.
    pub fn row(&mut self, query: Rows) -> Result<Row, Failure> {
        let (rows, _) = rows(self.ask(&Ask::Rows(query))?)?;
        rows.into_iter().next().ok_or_else(strange)
    }

    /// Prints a table of rows, or the rows themselves. What cannot be read is
    /// shown by its key.
    pub fn list<T: DeserializeOwned, const N: usize>(
        &mut self,
        rows: &[Row],
        headings: [&str; N],
        cells: impl Fn(&Console, &str, T) -> [String; N],
    ) -> Result<ExitStatus, Failure> {
        if self.json {
            self.json(&rows)?;
            return Ok(ExitStatus::Done);
        }
        let lines = rows.iter().map(|row| match T::deserialize(&row.row) {
            Ok(read) => cells(self, &row.key, read).to_vec(),
            Err(_) => vec![row.key.clone(), "?".into()],
        });
        let lines = lines.collect();
        self.table(&headings, lines)?;
        Ok(ExitStatus::Done)
    }

    /// Prints what a row tells, as a table, or the row itself.
    pub fn tell<T: DeserializeOwned, const N: usize>(
        &mut self,
        row: &Row,
        headings: [&str; N],
        lines: impl FnOnce(&T) -> Vec<[String; N]>,
    ) -> Result<ExitStatus, Failure> {
        match T::deserialize(&row.row) {
            Ok(read) if !self.json => {
                let lines = lines(&read).into_iter().map(Vec::from).collect();
                self.table(&headings, lines)?;
                Ok(ExitStatus::Done)
            }
            _ => self.show(row),
        }
    }

    /// Prints a table; nothing if it is empty.
    pub fn table(&mut self, headings: &[&str], lines: Vec<Vec<String>>) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut all = vec![headings.iter().map(|text| (*text).to_owned()).collect()];
        let clean = |line: Vec<String>| line.iter().map(|cell| words(cell)).collect();
        all.extend(lines.into_iter().map(clean));
        self.print(|out| table(out, &all))
    }

    /// Prints all fields of a row, one a line.
    pub fn show(&mut self, row: &Row) -> Result<ExitStatus, Failure> {
        if self.json {
            self.json(row)?;
            return Ok(ExitStatus::Done);
        }
        let mut lines = vec![vec!["key".to_owned(), row.key.clone()]];
        self.fields("", &row.row, &mut lines);
        let clean = |line: Vec<String>| line.iter().map(|cell| one_line(cell)).collect();
        let lines: Vec<Vec<String>> = lines.into_iter().map(clean).collect();
        self.print(|out| table(out, &lines))?;
        Ok(ExitStatus::Done)
    }

    fn fields(&self, name: &str, value: &Value, lines: &mut Vec<Vec<String>>) {
        let below = |key: &str| match name {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        };
        let last = name.rsplit('.').next().unwrap_or(name);
        let number = value.as_i64();
        let text = match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.fields(&below(key), value, lines);
                }
                return;
            }
            Value::Null => return,
            Value::Array(values) if values.is_empty() => return,
            Value::Array(values) => values.iter().map(scalar).collect::<Vec<_>>().join(" "),
            _ if TIMES.contains(&last) && number.is_some() => {
                self.time(Time(number.unwrap_or_default()))
            }
            _ if SIZES.contains(&last) && value.is_u64() => {
                bytes(value.as_u64().unwrap_or_default())
            }
            value => scalar(value),
        };
        lines.push(vec![name.to_owned(), text]);
    }

    /// A moment by the clock on the wall.
    pub fn time(&self, time: Time) -> String {
        match Timestamp::from_millisecond(time.0) {
            Ok(stamp) => {
                let zoned = stamp.to_zoned(self.zone.clone());
                zoned.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
            }
            Err(_) => format!("@{}", time.0),
        }
    }

    /// Prints one JSON document on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.print(|out| {
            serde_json::to_writer(&mut *out, value)?;
            out.write_all(b"\n")
        })
    }

    /// Prints lines. A reader that has seen enough (`| head`) is no error.
    pub fn print(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match write(self.out).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::local("writing to standard output", &error))
            }
            _ => Ok(()),
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The rows of an answer, and the key behind which there are more.
pub(super) fn rows(answer: Answer) -> Result<(Vec<Row>, Option<String>), Failure> {
    match answer {
        Answer::Rows { rows, more } => Ok((rows, more)),
        _ => Err(strange()),
    }
}

/// An answer to something else than what was asked.
pub(super) fn strange() -> Failure {
    Failure {
        exit: ExitStatus::Unreachable,
        why: "the coordinator's answer is none to what it was asked".into(),
    }
}
