//! The stream of an archive to members and data, as records come from tape.

use super::event::{Continuation, Event, ParsedMember};
use super::parsing::{ArchiveError, Extended, Raw};
use super::sparse::MapReader;
use super::{BLOCK_BYTES, HEADERS_MAX, PART_MEMBER, SetHead, end_member, padded};
use crate::member::{Kind, Member, Segment};
use crate::ustar::{BLOCK, Header};

/// Reads an archive that is pushed in piece by piece, whatever the pieces.
///
/// ```no_run
/// # use longhaul_format::archive::{ArchiveError, Event, Parser};
/// # fn example(records: Vec<Vec<u8>>) -> Result<(), ArchiveError> {
/// let mut parser = Parser::new();
/// for record in &records {
///     let mut events = parser.feed(record);
///     while let Some(event) = events.next()? {
///         if let Event::Member(parsed) = event {
///             println!("{}", String::from_utf8_lossy(&parsed.member.path));
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// After an error the parser stays where it is, and answers every further call
/// with the same error. Memory is bounded by [`HEADERS_MAX`] and what is parsed
/// out of that much.
#[derive(Debug)]
pub struct Parser {
    at: u64,
    state: State,
    /// A header block, as far as it is there.
    block: [u8; BLOCK],
    filled: usize,
    /// The body of an extended header, as far as it is there.
    body: Vec<u8>,
    /// What `g` headers said for all members to come.
    globals: Extended,
    /// What `x` headers said for the next member; where the first one began.
    extended: Option<(Extended, u64)>,
    /// Bytes of headers of the next member so far.
    headers: u64,
}

#[derive(Debug)]
enum State {
    /// Before or in a header block; `zeros` if a block of zeros came before.
    Header {
        zeros: bool,
    },
    /// In the body of an extended header.
    Body {
        global: bool,
        at: u64,
        size: u64,
        left: u64,
    },
    /// In a sparse map.
    Map(Box<MapState>),
    /// In file data.
    Data(DataState),
    /// Behind the archive's end.
    End,
    /// A member was announced, or its data is through: say so.
    MemberEnd,
    Failed(ArchiveError),
}

#[derive(Debug)]
struct MapState {
    raw: Raw,
    start: u64,
    header_at: u64,
    map: MapReader,
    bytes: u64,
}

#[derive(Debug)]
struct DataState {
    /// File offset of the next byte.
    offset: u64,
    /// Bytes up to the segment's end.
    run: u64,
    /// Segments still to come.
    segments: std::vec::IntoIter<Segment>,
    /// Padding behind the data.
    padding: u64,
}

/// The events in one piece of the stream.
#[derive(Debug)]
pub struct Feed<'p, 'r> {
    parser: &'p mut Parser,
    rest: &'r [u8],
}

impl<'r> Feed<'_, 'r> {
    /// The next event; `None` once the piece is used up.
    ///
    /// Not an `Iterator`, so that `?` and the borrow of the record stay simple.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<Event<'r>>, ArchiveError> {
        loop {
            match self.parser.step(&mut self.rest) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Again) => {}
                Ok(Step::Hungry) => return Ok(None),
                Err(error) => {
                    self.parser.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }
}

enum Step<'r> {
    Event(Event<'r>),
    Again,
    Hungry,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// A parser for an archive from its beginning.
    pub fn new() -> Parser {
        Parser::at(0)
    }

    /// A parser for an archive from stream offset `at` on, where a member (or a
    /// pad, or a volume's part of the archive) begins.
    pub fn at(at: u64) -> Parser {
        Parser {
            at,
            state: State::Header { zeros: false },
            block: [0; BLOCK],
            filled: 0,
            body: Vec::new(),
            globals: Extended::default(),
            extended: None,
            headers: 0,
        }
    }

    /// Takes the next piece of the stream, such as a record.
    pub fn feed<'p, 'r>(&'p mut self, bytes: &'r [u8]) -> Feed<'p, 'r> {
        Feed {
            parser: self,
            rest: bytes,
        }
    }

    /// Stream offset of the next byte that it wants.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Whether it stands between two members (or at the beginning or behind the
    /// end): the archive could be cut here without loss.
    pub fn at_rest(&self) -> bool {
        match self.state {
            State::Header { zeros } => !zeros && self.filled == 0 && self.extended.is_none(),
            State::End => true,
            _ => false,
        }
    }

    fn step<'r>(&mut self, rest: &mut &'r [u8]) -> Result<Step<'r>, ArchiveError> {
        match &mut self.state {
            State::Failed(error) => Err(error.clone()),
            State::End => {
                self.at = self.at.saturating_add(rest.len() as u64);
                *rest = &[];
                Ok(Step::Hungry)
            }
            State::MemberEnd => {
                self.state = State::Header { zeros: false };
                Ok(Step::Event(Event::MemberEnd { end: self.at }))
            }
            State::Header { zeros } => {
                let zeros = *zeros;
                if self.fill_block(rest) {
                    self.header(zeros)
                } else {
                    Ok(Step::Hungry)
                }
            }
            State::Body { .. } => self.body_step(rest),
            State::Map(_) => {
                if self.fill_block(rest) {
                    self.map()
                } else {
                    Ok(Step::Hungry)
                }
            }
            State::Data(_) => Ok(self.data(rest)),
        }
    }

    /// Takes up to `max` bytes.
    fn take<'r>(&mut self, rest: &mut &'r [u8], max: u64) -> &'r [u8] {
        let len = usize::try_from(max).unwrap_or(usize::MAX).min(rest.len());
        let (taken, left) = rest.split_at(len);
        *rest = left;
        self.at = self.at.saturating_add(len as u64);
        taken
    }

    /// Gathers a block; true once it is whole.
    fn fill_block(&mut self, rest: &mut &[u8]) -> bool {
        let from = self.filled;
        let bytes = self.take(rest, (BLOCK - from) as u64);
        self.filled += bytes.len();
        self.block[from..self.filled].copy_from_slice(bytes);
        if self.filled < BLOCK {
            return false;
        }
        self.filled = 0;
        true
    }

    fn header<'r>(&mut self, zeros: bool) -> Result<Step<'r>, ArchiveError> {
        let at = self.at - BLOCK_BYTES;
        if self.block == [0; BLOCK] {
            if self.extended.is_some() {
                return Err(ArchiveError::Zeros { at });
            }
            if zeros {
                self.state = State::End;
                return Ok(Step::Event(Event::End));
            }
            self.state = State::Header { zeros: true };
            return Ok(Step::Again);
        }
        if zeros {
            return Err(ArchiveError::Zeros {
                at: at - BLOCK_BYTES,
            });
        }
        let block = self.block;
        let header = Header::read(&block).map_err(|source| ArchiveError::Header { at, source })?;
        match header.typeflag {
            b'x' | b'g' => self.extended_header(&header, at),
            _ if self.extended.is_none() && block == end_member() => {
                self.state = State::Header { zeros: false };
                Ok(Step::Again)
            }
            _ => self.member_header(&header, at),
        }
    }

    fn extended_header<'r>(
        &mut self,
        header: &Header<'_>,
        at: u64,
    ) -> Result<Step<'r>, ArchiveError> {
        let global = header.typeflag == b'g';
        if !global && self.extended.is_none() {
            self.headers = 0;
            self.extended = Some((Extended::default(), at));
        }
        let before = if global { 0 } else { self.headers };
        let bytes = header
            .size
            .saturating_add(before)
            .saturating_add(2 * BLOCK_BYTES);
        if bytes > HEADERS_MAX {
            return Err(ArchiveError::HeadersTooLong { at, bytes });
        }
        if !global {
            self.headers = before + BLOCK_BYTES + padded(header.size);
        }
        self.body.clear();
        self.state = State::Body {
            global,
            at,
            size: header.size,
            left: padded(header.size),
        };
        Ok(Step::Again)
    }

    fn body_step<'r>(&mut self, rest: &mut &'r [u8]) -> Result<Step<'r>, ArchiveError> {
        let State::Body {
            global,
            at,
            size,
            left,
        } = self.state
        else {
            return Ok(Step::Again);
        };
        let bytes = self.take(rest, left);
        self.body.extend_from_slice(bytes);
        let left = left - bytes.len() as u64;
        self.state = State::Body {
            global,
            at,
            size,
            left,
        };
        if left > 0 {
            return Ok(Step::Hungry);
        }
        self.state = State::Header { zeros: false };
        let body = std::mem::take(&mut self.body);
        let event = self.records(global, at, &body[..size as usize]);
        // Pads can be long; their buffer need not stay so.
        self.body = body;
        self.body.clear();
        self.body.shrink_to(1 << 20);
        event
    }

    fn records<'r>(
        &mut self,
        global: bool,
        at: u64,
        body: &[u8],
    ) -> Result<Step<'r>, ArchiveError> {
        if !global {
            if let Some((extended, _)) = &mut self.extended {
                extended.take(body, at)?;
            }
            return Ok(Step::Again);
        }
        let mut global = Extended::default();
        global.take(body, at)?;
        let comment = global.comment.take().unwrap_or_default();
        self.globals.update(global);
        Ok(match set_head(&comment) {
            Some(head) => Step::Event(Event::Set(head)),
            None => Step::Again,
        })
    }

    fn member_header<'r>(
        &mut self,
        header: &Header<'_>,
        at: u64,
    ) -> Result<Step<'r>, ArchiveError> {
        let (extended, start) = match self.extended.take() {
            Some(pending) => pending,
            None => {
                self.headers = 0;
                (Extended::default(), at)
            }
        };
        if let Some(path) = self.globals.volume.filename.take() {
            return self.continuation(path, header, at);
        }
        if header.size == 0
            && header.path().starts_with(PART_MEMBER)
            && let Some(head) = extended.comment.as_deref().and_then(set_head)
        {
            self.state = State::Header { zeros: false };
            return Ok(Step::Event(Event::Set(head)));
        }
        let raw = extended.over(&self.globals).member(header, at)?;
        if raw.mapped {
            let map = MapReader::default();
            let state = MapState {
                raw,
                start,
                header_at: at,
                map,
                bytes: 0,
            };
            self.state = State::Map(Box::new(state));
            return Ok(Step::Again);
        }
        let data = DataState::new(0, raw.size, Vec::new());
        Ok(self.member(raw.member, start, raw.size, data))
    }

    fn member<'r>(&mut self, member: Member, start: u64, stored: u64, data: DataState) -> Step<'r> {
        self.state = State::Data(data);
        let parsed = ParsedMember {
            member,
            start,
            data: self.at,
            stored,
        };
        Step::Event(Event::Member(Box::new(parsed)))
    }

    fn continuation<'r>(
        &mut self,
        path: Vec<u8>,
        header: &Header<'_>,
        at: u64,
    ) -> Result<Step<'r>, ArchiveError> {
        let volume = std::mem::take(&mut self.globals.volume);
        if header.typeflag != b'0' || volume.size != header.size {
            let what = "a volume that goes on without saying with what".into();
            return Err(ArchiveError::Unsupported { at, what });
        }
        let (offset, stored) = (volume.offset, header.size);
        if offset.saturating_add(stored) > super::STREAM_MAX {
            let source = crate::ustar::HeaderError::Number { field: "size" };
            return Err(ArchiveError::Header { at, source });
        }
        self.state = State::Data(DataState::new(offset, stored, Vec::new()));
        let data = self.at;
        Ok(Step::Event(Event::Continued(Continuation {
            path,
            offset,
            data,
            stored,
        })))
    }

    /// A block of a sparse map is there.
    fn map<'r>(&mut self) -> Result<Step<'r>, ArchiveError> {
        let State::Map(state) = &mut self.state else {
            return Ok(Step::Again);
        };
        let state = &mut **state;
        let at = state.header_at;
        let bad = ArchiveError::SparseMap { at };
        let Kind::File { size, sparse } = &mut state.raw.member.kind else {
            return Err(bad);
        };
        state.bytes += BLOCK_BYTES;
        let bytes = self.headers + BLOCK_BYTES + state.bytes;
        if bytes > HEADERS_MAX {
            return Err(ArchiveError::HeadersTooLong { at, bytes });
        }
        if !state
            .map
            .take(&self.block, *size)
            .map_err(|_| bad.clone())?
        {
            return Ok(Step::Again);
        }
        let segments = std::mem::take(&mut state.map).into_segments();
        let stored: u64 = segments.iter().map(|segment| segment.len).sum();
        let whole = segments
            .iter()
            .rev()
            .skip(1)
            .all(|s| s.len.is_multiple_of(BLOCK_BYTES));
        if !whole || state.bytes.checked_add(stored) != Some(state.raw.size) {
            return Err(bad);
        }
        *sparse = Some(segments.clone());
        let State::Map(state) = std::mem::replace(&mut self.state, State::MemberEnd) else {
            return Ok(Step::Again);
        };
        let data = DataState::new(0, 0, segments);
        Ok(self.member(state.raw.member, state.start, stored, data))
    }

    fn data<'r>(&mut self, rest: &mut &'r [u8]) -> Step<'r> {
        let State::Data(state) = &mut self.state else {
            return Step::Again;
        };
        if state.run == 0
            && let Some(segment) = state.segments.next()
        {
            (state.offset, state.run) = (segment.offset, segment.len);
        }
        let (offset, run, padding) = (state.offset, state.run, state.padding);
        if run == 0 && padding == 0 {
            self.state = State::MemberEnd;
            return Step::Again;
        }
        if rest.is_empty() {
            return Step::Hungry;
        }
        let bytes = self.take(rest, if run > 0 { run } else { padding });
        let len = bytes.len() as u64;
        let State::Data(state) = &mut self.state else {
            return Step::Again;
        };
        if run == 0 {
            state.padding -= len;
            return Step::Again;
        }
        (state.offset, state.run) = (offset + len, run - len);
        Step::Event(Event::Data { offset, bytes })
    }
}

fn set_head(comment: &str) -> Option<SetHead> {
    SetHead::parse(comment.as_bytes())
}

impl DataState {
    /// One run of data, or segments.
    fn new(offset: u64, run: u64, segments: Vec<Segment>) -> DataState {
        let stored = run + segments.iter().map(|segment| segment.len).sum::<u64>();
        let padding = padded(stored) - stored;
        DataState {
            offset,
            run,
            segments: segments.into_iter(),
            padding,
        }
    }
}
