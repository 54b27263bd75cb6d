//! The reader of capture files.

use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The names of all captures.
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A capture as it is.
pub fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The bytes of each line that has any.
pub fn hex_lines(name: &str) -> Vec<Vec<u8>> {
    let text = text(name);
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(hex)
        .collect()
}

/// All bytes.
pub fn bytes(name: &str) -> Vec<u8> {
    hex_lines(name).concat()
}

/// The bytes of each run of lines between two comments.
pub fn blocks(name: &str) -> Vec<Vec<u8>> {
    let text = text(name);
    let lines = text.lines().collect::<Vec<_>>();
    let runs = lines.chunk_by(|a, b| a.starts_with('#') == b.starts_with('#'));
    runs.filter(|run| !run[0].starts_with('#'))
        .map(|run| run.iter().flat_map(|line| hex(line)).collect())
        .collect()
}

/// The bytes of a line of hex digits in pairs.
pub fn hex(line: &str) -> Vec<u8> {
    let pairs = line.split_whitespace();
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{pair}")))
        .collect()
}

/// Asserts that a decoded capture still says what a test takes from it.
pub fn says(name: &str, words: &str) {
    assert!(text(name).contains(words), "{name} does not say {words:?}");
}
