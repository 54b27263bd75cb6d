//! Patterns of paths: `*`, `?` and `**`, as an automaton over bytes.
//!
//! The pattern is a row of positions, and a state is the set of positions that
//! may come next, kept as bits. A byte moves every position that takes it one
//! up (a shift), and leaves those that may take more where they are: the
//! Shift-And algorithm with self-loops. So a step costs the same whatever the
//! pattern, and no pattern makes a search explode.

use fst::Automaton;

use crate::error::{Error, Result};

/// Bits of a state.
const POSITIONS: usize = 256;
/// Longest tail of a pattern, in positions: one is the end, one the `/` that
/// may follow it.
const TAIL_MAX: usize = POSITIONS - 2;

/// A pattern of paths.
///
/// `?` stands for one byte and `*` for any number of bytes, but not for `/`.
/// `**` stands for any bytes, `**/` (at the start, or after a `/`) for any
/// number of directories, none included. A backslash takes the next byte's
/// meaning away. A pattern that does not end in `/` also finds directories of
/// that name; one that does finds directories only.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// What the paths must begin with: the bytes before the first wildcard.
    literal: Vec<u8>,
    /// For each byte, the positions that it moves one up.
    advance: Box<[Bits; 256]>,
    /// The positions that stay on any byte but `/`, and on `/`.
    stay: [Bits; 2],
    /// Positions that may be skipped: to the next, and to the one after it.
    skip_one: Bits,
    skip_two: Bits,
    accept: Bits,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`Error::Pattern`] if it is empty, ends in a backslash, or has more than
    /// 254 bytes and wildcards from its first wildcard on.
    pub fn new(pattern: &[u8]) -> Result<Pattern> {
        let refuse = |why| Error::Pattern {
            pattern: pattern.to_vec(),
            why,
        };
        if pattern.is_empty() {
            return Err(refuse("it is empty"));
        }
        let tokens = tokens(pattern).ok_or_else(|| refuse("nothing follows its last backslash"))?;
        let literal: Vec<u8> = tokens
            .iter()
            .map_while(|token| {
                if let Token::Byte(byte) = token {
                    Some(*byte)
                } else {
                    None
                }
            })
            .collect();
        let tail = &tokens[literal.len()..];
        if tail.iter().map(Token::positions).sum::<usize>() > TAIL_MAX {
            return Err(refuse(
                "it is too long after its first wildcard (at most 254 bytes)",
            ));
        }
        let may_end_in_slash =
            tokens.last() != Some(&Token::Byte(b'/')) && tokens.last() != Some(&Token::Directories);
        Ok(Pattern::compile(literal, tail, may_end_in_slash))
    }

    fn compile(literal: Vec<u8>, tail: &[Token], may_end_in_slash: bool) -> Pattern {
        let mut pattern = Pattern {
            literal,
            advance: Box::new([Bits::NONE; 256]),
            stay: [Bits::NONE; 2],
            skip_one: Bits::NONE,
            skip_two: Bits::NONE,
            accept: Bits::NONE,
        };
        let mut at = 0;
        for token in tail {
            pattern.place(*token, at);
            at += token.positions();
        }
        pattern.accept.set(at);
        if may_end_in_slash {
            pattern.advance[usize::from(b'/')].set(at);
            pattern.accept.set(at + 1);
        }
        pattern
    }

    fn place(&mut self, token: Token, at: usize) {
        match token {
            Token::Byte(byte) => self.advance[usize::from(byte)].set(at),
            Token::One => {
                for (byte, positions) in self.advance.iter_mut().enumerate() {
                    if byte != usize::from(b'/') {
                        positions.set(at);
                    }
                }
            }
            Token::Run => {
                self.stay[0].set(at);
                self.skip_one.set(at);
            }
            Token::Any => {
                self.stay[0].set(at);
                self.stay[1].set(at);
                self.skip_one.set(at);
            }
            // The first position is a fork: no directory, or into the second,
            // which takes anything and leaves behind a slash.
            Token::Directories => {
                self.skip_one.set(at);
                self.skip_two.set(at);
                self.stay[0].set(at + 1);
                self.stay[1].set(at + 1);
                self.advance[usize::from(b'/')].set(at + 1);
            }
        }
    }

    /// What every path that matches begins with.
    pub(crate) fn literal_prefix(&self) -> &[u8] {
        &self.literal
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut state = self.start();
        for &byte in path {
            state = self.accept(&state, byte);
        }
        self.is_match(&state)
    }

    fn step(&self, bits: Bits, byte: u8) -> Bits {
        let moved = bits.and(self.advance[usize::from(byte)]).up();
        let stayed = bits.and(self.stay[usize::from(byte == b'/')]);
        self.close(moved.or(stayed))
    }

    /// Adds what may be reached without a byte.
    fn close(&self, mut bits: Bits) -> Bits {
        loop {
            let one = bits.and(self.skip_one).up();
            let two = bits.and(self.skip_two).up().up();
            let more = bits.or(one).or(two);
            if more == bits {
                return bits;
            }
            bits = more;
        }
    }
}

/// Where a match stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum State {
    /// That many bytes of the literal start have been seen.
    Literal(usize),
    /// Past it, with these positions to come.
    Tail(Bits),
}

impl Automaton for Pattern {
    type State = State;

    fn start(&self) -> State {
        self.after_literal(0)
    }

    fn is_match(&self, state: &State) -> bool {
        matches!(state, State::Tail(bits) if bits.and(self.accept) != Bits::NONE)
    }

    fn can_match(&self, state: &State) -> bool {
        *state != State::Tail(Bits::NONE)
    }

    fn accept(&self, state: &State, byte: u8) -> State {
        match *state {
            State::Literal(seen) if self.literal.get(seen) == Some(&byte) => {
                self.after_literal(seen + 1)
            }
            State::Literal(_) => State::Tail(Bits::NONE),
            State::Tail(bits) => State::Tail(self.step(bits, byte)),
        }
    }
}

impl Pattern {
    fn after_literal(&self, seen: usize) -> State {
        if seen < self.literal.len() {
            return State::Literal(seen);
        }
        let mut first = Bits::NONE;
        first.set(0);
        State::Tail(self.close(first))
    }
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `**`
    Any,
    Byte(u8),
    /// `**/` at a place where a name starts.
    Directories,
    /// `?`
    One,
    /// `*`
    Run,
}

impl Token {
    fn positions(&self) -> usize {
        if *self == Token::Directories { 2 } else { 1 }
    }
}

/// `None` if nothing follows the last backslash.
fn tokens(pattern: &[u8]) -> Option<Vec<Token>> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        let at_name = tokens
            .last()
            .is_none_or(|token| matches!(token, Token::Byte(b'/') | Token::Directories));
        let (token, after) = match byte {
            b'\\' => {
                let (&byte, after) = after.split_first()?;
                (Token::Byte(byte), after)
            }
            b'?' => (Token::One, after),
            b'*' if at_name && after.starts_with(b"*/") => (Token::Directories, &after[2..]),
            b'*' if after.starts_with(b"*") => (Token::Any, &after[1..]),
            b'*' => (Token::Run, after),
            _ => (Token::Byte(byte), after),
        };
        // Two of the same in a row say no more than one.
        let repeated = matches!(token, Token::Any | Token::Directories | Token::Run)
            && tokens.last() == Some(&token);
        if !repeated {
            tokens.push(token);
        }
        rest = after;
    }
    Some(tokens)
}

/// A set of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub struct Bits([u64; POSITIONS / 64]);

impl Bits {
    const NONE: Bits = Bits([0; POSITIONS / 64]);

    fn set(&mut self, position: usize) {
        self.0[position / 64] |= 1 << (position % 64);
    }

    fn and(self, other: Bits) -> Bits {
        Bits(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    fn or(self, other: Bits) -> Bits {
        Bits(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// Every position one up.
    fn up(self) -> Bits {
        Bits(std::array::from_fn(|word| {
            let carried = if word == 0 { 0 } else { self.0[word - 1] >> 63 };
            self.0[word] << 1 | carried
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wildcards_say_what_the_documentation_says() {
        let cases: [(&str, &[&str], &[&str]); 12] = [
            ("a/b", &["a/b", "a/b/"], &["a/b/c", "a", "a/bb", "a/b//"]),
            ("*", &["a", "a/", ".x"], &["a/b", "a/b/"]),
            (
                "usr/*",
                &["usr/a", "usr/a/", "usr/"],
                &["usr/a/b", "usr", "usrx/a"],
            ),
            ("usr/**", &["usr/a", "usr/a/b/", "usr/"], &["usr", "us"]),
            ("**", &["a", "a/b/c", "a/"], &[]),
            (
                "**/x.c",
                &["x.c", "a/x.c", "a/b/x.c", "x.c/"],
                &["ax.c", "a/bx.c"],
            ),
            (
                "a/**/z",
                &["a/z", "a/b/z", "a/b/c/z"],
                &["az", "a/bz", "b/a/z"],
            ),
            ("?", &["a", "a/", "\u{7f}"], &["ab", "/", ""]),
            ("*.rs", &["x.rs", ".rs"], &["x/y.rs", "x.rsx"]),
            ("a**c", &["ac", "abc", "a/b/c", "axc/"], &["a/b", "bc"]),
            ("a/", &["a/"], &["a", "a/b"]),
            (r"\*\?", &["*?", "*?/"], &["ab", "*a"]),
        ];
        for (pattern, yes, no) in cases {
            let compiled = Pattern::new(pattern.as_bytes()).expect("a pattern");
            for path in yes {
                assert!(compiled.matches(path.as_bytes()), "{pattern} finds {path}");
            }
            for path in no {
                assert!(
                    !compiled.matches(path.as_bytes()),
                    "{pattern} does not find {path}"
                );
            }
        }
    }

    #[test]
    fn patterns_that_cannot_be_are_refused() {
        for pattern in [&b""[..], b"a\\", &[b"*".as_slice(), &[b'x'; 300]].concat()] {
            assert!(matches!(Pattern::new(pattern), Err(Error::Pattern { .. })));
        }
        Pattern::new(&[&[b'x'; 5000][..], b"*"].concat()).expect("a long literal start is fine");
        Pattern::new(&[b"*".as_slice(), &[b'x'; 253]].concat()).expect("the longest tail");
    }

    /// The same, by trying all ways.
    fn model(tokens: &[Token], path: &[u8]) -> bool {
        let Some((token, rest)) = tokens.split_first() else {
            return path.is_empty();
        };
        let first = path.split_first();
        match token {
            Token::Byte(byte) => first.is_some_and(|(b, path)| b == byte && model(rest, path)),
            Token::One => first.is_some_and(|(b, path)| *b != b'/' && model(rest, path)),
            Token::Run => {
                model(rest, path)
                    || first.is_some_and(|(b, path)| *b != b'/' && model(tokens, path))
            }
            Token::Any => (0..=path.len()).any(|at| model(rest, &path[at..])),
            Token::Directories => {
                model(rest, path)
                    || (1..=path.len()).any(|at| path[at - 1] == b'/' && model(rest, &path[at..]))
            }
        }
    }

    proptest! {
        #[test]
        fn the_automaton_finds_what_trying_all_ways_finds(
            pattern in r"[ab/*?\\]{1,9}",
            paths in proptest::collection::vec("[ab/*]{0,8}", 1..20),
        ) {
            let Ok(compiled) = Pattern::new(pattern.as_bytes()) else { return Ok(()) };
            let tokens = tokens(pattern.as_bytes()).expect("compiled");
            for path in paths {
                let path = path.as_bytes();
                let directories_only =
                    matches!(tokens.last(), Some(Token::Byte(b'/') | Token::Directories));
                let bare = path.strip_suffix(b"/").filter(|_| !directories_only);
                let expected = model(&tokens, path) || bare.is_some_and(|p| model(&tokens, p));
                prop_assert_eq!(compiled.matches(path), expected, "{:?}", path.escape_ascii());
            }
        }
    }
}
