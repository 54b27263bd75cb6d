//! Numbers, paths and tables, for people.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use longhaul_catalog::{Catalog, EntryState, EntryType, Row, SetRecord, Volume};
use longhaul_format::utc;
pub use longhaul_words::{bytes, duration, table};
use serde::Serialize;
use serde_json::{Value, json};

use crate::job::JobError;
use crate::source::Problem;

/// A rate in MB/s.
pub fn rate(bytes: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    format!("{:.1} MB/s", bytes as f64 / 1e6 / seconds)
}

/// Prints lines to standard output. A reader that has seen enough (`| head`)
/// is no error.
///
/// # Errors
/// If standard output cannot be written.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), JobError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(JobError::local("writing to standard output", error)),
        Ok(()) => Ok(()),
    }
}

/// Prints one JSON document on a line of its own.
///
/// # Errors
/// If standard output cannot be written.
pub fn json(value: &impl Serialize) -> Result<(), JobError> {
    print(|out| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

/// Names on standard error what went wrong, one line each.
pub fn problems(problems: &[Problem]) {
    for problem in problems {
        say!("lh-mover: {problem}");
    }
}

/// What went wrong, for scripts.
pub fn problems_json(problems: &[Problem]) -> Vec<Value> {
    let one = |problem: &Problem| {
        let mut value = path_json(&problem.path);
        value["what"] = problem.what.clone().into();
        value
    };
    problems.iter().map(one).collect()
}

/// A path: as text, or in base64 if it is not UTF-8.
fn path_json(path: &[u8]) -> Value {
    match std::str::from_utf8(path) {
        Ok(text) => json!({ "path": text }),
        Err(_) => json!({ "path_b64": BASE64.encode(path) }),
    }
}

/// A row of the catalog, in the words of the index on tape.
pub fn row_json(row: &Row) -> Value {
    let mut value = path_json(&row.path);
    value["type"] = row.entry_type.name().into();
    value["size"] = row.size.into();
    value["mtime_ns"] = i64::try_from(row.mtime_ns).map_or(Value::Null, Value::from);
    value["ctime_ns"] = i64::try_from(row.ctime_ns).map_or(Value::Null, Value::from);
    value["ino"] = row.inode.into();
    value["mode"] = row.mode.into();
    value["uid"] = row.uid.into();
    value["gid"] = row.gid.into();
    value["volume"] = row.volume.into();
    value["block"] = row.block.into();
    value["offset"] = row.offset.into();
    value["state"] = match row.state {
        EntryState::Ok => "ok",
        EntryState::Damaged => "damaged",
        EntryState::Superseded => "superseded",
    }
    .into();
    if !row.link.is_empty() {
        let link = path_json(&row.link);
        value["link"] = link.get("path").cloned().unwrap_or(Value::Null);
        value["link_b64"] = link.get("path_b64").cloned().unwrap_or(Value::Null);
    }
    if let Some(digest) = row.digest {
        value["blake3"] = blake3::Hash::from_bytes(digest).to_hex().as_str().into();
    }
    value
}

/// The letter that `ls -l` shows for a type; `h` for a hard link, as tar has it.
pub fn type_letter(row: &Row) -> char {
    match row.entry_type {
        EntryType::File => '-',
        EntryType::HardLink => 'h',
        EntryType::Symlink => 'l',
        EntryType::CharDevice => 'c',
        EntryType::BlockDevice => 'b',
        EntryType::Directory => 'd',
        EntryType::Fifo => 'p',
    }
}

/// Permission bits as `ls -l` shows them.
pub fn mode(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// A time in UTC, to the second; years that the format does not reach are
/// shown as seconds.
pub fn time(nanoseconds: i128) -> String {
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    match i64::try_from(seconds) {
        Ok(seconds) if (0..253_402_300_800).contains(&seconds) => utc::format(seconds),
        _ => format!("@{seconds}"),
    }
}

/// The volume of this name.
///
/// # Errors
/// [`JobError::Usage`] if the catalog has none.
pub fn volume_named(catalog: &Catalog, name: &str) -> Result<Volume, JobError> {
    catalog
        .volume_by_name(name)?
        .ok_or_else(|| JobError::Usage(format!("the catalog knows no volume {name}")))
}

/// From a set to the name of the volume on which it begins.
///
/// # Errors
/// The catalog's.
pub fn set_labels(catalog: &Catalog) -> Result<impl Fn(&SetRecord) -> String, JobError> {
    let volumes = catalog.volumes()?;
    Ok(move |set: &SetRecord| {
        let uuid = set.parts.first().map(|part| part.volume);
        let volume = volumes.iter().find(|volume| Some(volume.uuid) == uuid);
        volume.map_or_else(|| "?".into(), |volume| volume.name.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_look_as_ls_shows_them() {
        assert_eq!(mode(0o644), "rw-r--r--");
        assert_eq!(mode(0o4755), "rwsr-xr-x");
        assert_eq!(mode(0o1776), "rwxrwxrwT");
        assert_eq!(mode(0o2070), "---rws---");
    }
}
