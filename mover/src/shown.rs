//! Paths as a person may read them: one line, nothing hidden, nothing forged.

use std::fmt;

/// Most bytes of a path that are shown; the rest is counted. A path in an
/// archive can be far longer than a terminal or a log line has use for.
pub const SHOWN_BYTES_MAX: usize = 4096;

/// Displays a path that came from outside. Control characters, backslashes,
/// bytes that are not UTF-8, and characters that reorder or break lines are
/// escaped as in Rust strings, so that a file's name cannot forge a log line.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        for chunk in shown.utf8_chunks() {
            for character in chunk.valid().chars() {
                if misleads(character) {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

/// Whether a character does something to the line that it stands in, or could
/// be taken for an escape.
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\\' | '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_shown_as_they_are() {
        assert_eq!(
            Shown("srv/Größe 日本.txt".as_bytes()).to_string(),
            "srv/Größe 日本.txt"
        );
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let shown = Shown(b"a\nerror: all is lost\x1b[31m\\n\xff").to_string();
        assert_eq!(shown, "a\\nerror: all is lost\\u{1b}[31m\\\\n\\xff");
        assert_eq!(
            Shown("x\u{202e}gpj.exe".as_bytes()).to_string(),
            "x\\u{202e}gpj.exe"
        );
    }

    #[test]
    fn a_very_long_name_is_cut_and_counted() {
        let shown = Shown(&[b'a'; 10_000]).to_string();
        assert!(shown.ends_with("a… (10000 bytes)"), "{}", &shown[4090..]);
    }
}
