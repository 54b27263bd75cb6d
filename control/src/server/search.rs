//! Looking for sets, and for paths in them, in the coordinator's catalog.
//!
//! A search may read gigabytes, so it is carried out apart from the thread that
//! decides, only so many at a time, and each for so long at most: then what was
//! found is answered, and where to go on.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use longhaul_catalog::{Catalog, EntryState, Error, Pattern, SetFilter, SetRecord, SetState};
use longhaul_protocol::ask::{Find, ROWS_MAX, Row, words};
use longhaul_protocol::{Answer, ExitStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::chain;
use crate::core::ROWS_BYTES_MAX;

/// Searches that go on at a time.
pub(crate) const SEARCHES_MAX: usize = 4;
/// An answer is not waited for longer than about so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is around a row in an answer, in bytes, at most.
const ROW_BYTES: usize = 64;

/// A catalog that is searched from any thread.
#[derive(Debug)]
pub struct Searcher {
    catalog: Mutex<Catalog>,
    patience: Duration,
}

/// Where a search goes on: behind so many paths that match in a set, or behind
/// all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    set: Uuid,
    paths: Option<usize>,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.paths {
            Some(paths) => write!(f, "{}/{paths}", self.set),
            None => write!(f, "{}", self.set),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let (set, paths) = match text.split_once('/') {
            Some((set, paths)) => (set, Some(paths.parse().ok())),
            None => (text, None),
        };
        match (set.parse(), paths) {
            (Ok(set), None) => Ok(Place { set, paths: None }),
            (Ok(set), Some(paths @ Some(_))) => Ok(Place { set, paths }),
            _ => Err(format!("{text:?} is no place to go on behind")),
        }
    }
}

/// Rows for one answer.
struct Page {
    rows: Vec<Row>,
    bytes: usize,
    most: usize,
    until: Instant,
    /// Where the next page goes on, as far as it is known.
    last: Option<Place>,
}

impl Page {
    /// Adds a row; false if there is no room for it.
    fn put(&mut self, place: Place, row: Value) -> bool {
        let key = place.to_string();
        let bytes = serde_json::to_string(&row).map_or(usize::MAX / 2, |json| json.len());
        let bytes = bytes + key.len() + ROW_BYTES;
        let fits = self.bytes + bytes <= ROWS_BYTES_MAX;
        if self.rows.len() >= self.most || (!fits && !self.rows.is_empty()) {
            return false;
        }
        let row = match fits {
            true => row,
            false => json!({ "too_long": bytes }),
        };
        self.bytes += bytes.min(ROWS_BYTES_MAX);
        self.rows.push(Row { key, row });
        self.last = Some(place);
        true
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// How a search of one set ended.
enum Searched {
    All,
    /// There is no room, or no time, for more.
    Enough,
}

impl Searcher {
    /// One for the catalog in this folder.
    ///
    /// # Errors
    /// The catalog's.
    pub fn open(dir: &Path) -> Result<Searcher, Error> {
        Ok(Searcher {
            catalog: Mutex::new(Catalog::open(dir)?),
            patience: PATIENCE,
        })
    }

    /// Answers a question; `only` these sets are looked at, if that is said.
    pub fn find(&self, query: &Find, only: Option<&BTreeSet<Uuid>>) -> Answer {
        let failed = |exit, why: &dyn Display| Answer::Failed {
            exit,
            why: words(&why.to_string()),
        };
        let after = query.after.as_deref().map(Place::from_str).transpose();
        let patterns = query.pattern.as_deref().map(patterns).transpose();
        match (after, patterns) {
            (Err(why), _) => failed(ExitStatus::Usage, &why),
            (_, Err(error)) => failed(ExitStatus::Usage, &error),
            (Ok(after), Ok(patterns)) => self
                .page(query, only, after, patterns.as_ref())
                .unwrap_or_else(|error| failed(ExitStatus::Operator, &chain(&error))),
        }
    }

    fn page(
        &self,
        query: &Find,
        only: Option<&BTreeSet<Uuid>>,
        after: Option<Place>,
        patterns: Option<&[Pattern; 2]>,
    ) -> Result<Answer, Error> {
        let mut page = Page {
            rows: Vec::new(),
            bytes: 0,
            most: query.most.clamp(1, ROWS_MAX) as usize,
            until: Instant::now() + self.patience,
            last: after,
        };
        let mut sets = self.sets(query, only)?;
        if let Some(after) = after {
            let Some(at) = sets.iter().position(|set| set.uuid == after.set) else {
                let why = format!("set {} is not among these any more: ask anew", after.set);
                let exit = ExitStatus::Refused;
                return Ok(Answer::Failed { exit, why });
            };
            sets.drain(..at + usize::from(after.paths.is_none()));
        }
        for set in &sets {
            let skip = after.filter(|after| after.set == set.uuid);
            let searched = match patterns {
                None => self.set_row(set, &mut page)?,
                Some(patterns) => {
                    self.search(set, patterns, skip.and_then(|place| place.paths), &mut page)
                }
            };
            if matches!(searched, Searched::Enough) {
                let more = page.last.map(|place| place.to_string());
                return Ok(Answer::Rows {
                    rows: page.rows,
                    more,
                });
            }
        }
        Ok(Answer::Rows {
            rows: page.rows,
            more: None,
        })
    }

    /// The sets that are asked for, the newest first.
    fn sets(&self, query: &Find, only: Option<&BTreeSet<Uuid>>) -> Result<Vec<SetRecord>, Error> {
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let filter = SetFilter {
            host: query.host.clone(),
            ..SetFilter::default()
        };
        let mut sets = match query.set {
            Some(set) => catalog.set(set)?.into_iter().collect(),
            None => catalog.sets(&filter)?,
        };
        sets.retain(|set| only.is_none_or(|only| only.contains(&set.uuid)));
        sets.reverse();
        sets.truncate(query.newest.map_or(usize::MAX, |newest| newest as usize));
        Ok(sets)
    }

    fn set_row(&self, set: &SetRecord, page: &mut Page) -> Result<Searched, Error> {
        let place = Place {
            set: set.uuid,
            paths: None,
        };
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        let mut volumes = Vec::new();
        for part in &set.parts {
            let known = catalog.volume(part.volume)?;
            let name = known.map(|volume| volume.name);
            volumes.push(json!({ "name": name, "uuid": part.volume }));
        }
        let paths = set.paths.iter().map(|path| String::from_utf8_lossy(path));
        let row = json!({
            "started": set.started_ms,
            "host": set.host,
            "paths": paths.collect::<Vec<_>>(),
            "volumes": volumes,
            "members": set.members,
            "bytes": set.bytes,
            "damaged": set.errors,
            "state": set.state.name(),
        });
        Ok(match page.put(place, row) {
            true => Searched::All,
            false => Searched::Enough,
        })
    }

    /// Looks for paths in a set, behind the first so many that match. One whose
    /// file cannot be read is answered with why.
    fn search(
        &self,
        set: &SetRecord,
        patterns: &[Pattern; 2],
        skip: Option<usize>,
        page: &mut Page,
    ) -> Searched {
        let mut number = 0;
        let result = self.each(set, patterns, &mut |row| {
            number += 1;
            if number <= skip.unwrap_or(0) {
                return true;
            }
            let place = Place {
                set: set.uuid,
                paths: Some(number),
            };
            page.put(place, path_row(set, row)) && !page.is_late()
        });
        let whole = Place {
            set: set.uuid,
            paths: None,
        };
        match result {
            Ok(Searched::Enough) => return Searched::Enough,
            Ok(Searched::All) => page.last = Some(whole),
            Err(error) => {
                let row = json!({ "set": set.uuid, "error": words(&chain(&error)) });
                if !page.put(whole, row) {
                    return Searched::Enough;
                }
            }
        }
        match page.is_late() {
            true => Searched::Enough,
            false => Searched::All,
        }
    }

    /// All rows that match, until `each` has enough.
    fn each(
        &self,
        set: &SetRecord,
        patterns: &[Pattern; 2],
        each: &mut dyn FnMut(&longhaul_catalog::Row) -> bool,
    ) -> Result<Searched, Error> {
        if set.state == SetState::Unfinished {
            return Ok(Searched::All);
        }
        let file = {
            let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
            catalog.set_file(set.uuid)?
        };
        for (pattern, directories) in patterns.iter().zip([false, true]) {
            for row in file.glob(pattern) {
                let row = row?;
                // A `*` at a pattern's end may match nothing: then `dir/` itself.
                if row.path.ends_with(b"/") == directories && !each(&row) {
                    return Ok(Searched::Enough);
                }
            }
        }
        Ok(Searched::All)
    }
}

/// Two patterns: for files, and for directories, whose paths end in `/`.
fn patterns(text: &str) -> Result<[Pattern; 2], Error> {
    let path = text.trim_matches('/');
    let whole = match text.trim_end_matches('/').contains('/') {
        true => path.to_owned(),
        false => format!("**/{path}"),
    };
    let directory = format!("{whole}/");
    Ok([
        Pattern::new(whole.as_bytes())?,
        Pattern::new(directory.as_bytes())?,
    ])
}

fn path_row(set: &SetRecord, row: &longhaul_catalog::Row) -> Value {
    json!({
        "set": set.uuid,
        "started": set.started_ms,
        "host": set.host,
        "path": format!("/{}", String::from_utf8_lossy(&row.path)),
        "type": row.entry_type.name(),
        "size": row.size,
        "modified": i64::try_from(row.mtime_ns.div_euclid(1_000_000)).ok(),
        "is_damaged": row.state != EntryState::Ok,
    })
}
