//! What the archive's tests share: arbitrary members, streams of placements,
//! and a reader of blocks that knows nothing of the crate.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod members;
pub mod walk;

use longhaul_format::archive::{
    Event, Layout, ParsedMember, Parser, Part, Placement, SetHead, SetKind,
};
use longhaul_format::member::{Kind, Member};
use uuid::Uuid;

/// A member and its file's content, holes as zeros.
#[derive(Debug, Clone)]
pub struct Sample {
    pub member: Member,
    pub content: Vec<u8>,
}

pub fn head() -> SetHead {
    SetHead {
        kind: SetKind::Set,
        set: Uuid::from_u128(0x1111),
        sequence: 3,
        volume: "LH0001".parse().unwrap(),
        volume_uuid: Uuid::from_u128(0x2222),
        started: 1_764_024_851,
        part: 1,
        offset: 0,
    }
}

/// Head, members and end.
pub fn lay_out(record_bytes: u64, members: &[&Member]) -> Vec<Placement> {
    let mut layout = Layout::new(record_bytes).unwrap();
    let mut placements = vec![layout.begin(&head())];
    placements.extend(members.iter().map(|member| layout.place(member).unwrap()));
    placements.push(layout.finish());
    placements
}

/// The bytes of the stream; member `i` is placement `i + 1`.
pub fn stream(record_bytes: u64, samples: &[Sample]) -> Vec<u8> {
    let members: Vec<_> = samples.iter().map(|sample| &sample.member).collect();
    let mut out = Vec::new();
    for (index, placement) in lay_out(record_bytes, &members).iter().enumerate() {
        let content = index.checked_sub(1).and_then(|at| samples.get(at));
        let content = content.map_or(&[][..], |sample| &sample.content);
        for part in &placement.parts {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(bytes),
                Part::Zeros(len) => out.resize(out.len() + *len as usize, 0),
                Part::File { offset, len } => {
                    let from = *offset as usize;
                    out.extend_from_slice(&content[from..from + *len as usize]);
                }
            }
        }
        assert_eq!(out.len() as u64, placement.end);
    }
    out
}

/// What the parser says about a stream, fed in pieces.
#[derive(Debug, Default)]
pub struct Read {
    pub heads: Vec<SetHead>,
    pub members: Vec<(ParsedMember, Vec<u8>)>,
    pub ends: Vec<u64>,
    pub ended: bool,
    pub error: Option<String>,
}

pub fn read(bytes: &[u8], piece: usize) -> Read {
    let mut read = Read::default();
    let mut parser = Parser::new();
    for piece in bytes.chunks(piece) {
        let mut events = parser.feed(piece);
        loop {
            match events.next() {
                Ok(None) => break,
                Ok(Some(event)) => read.event(event),
                Err(error) => {
                    assert_eq!(events.next(), Err(error.clone()), "an error stays");
                    read.error = Some(error.to_string());
                    return read;
                }
            }
        }
    }
    assert_eq!(parser.position(), bytes.len() as u64);
    read
}

/// No test makes a file longer than this; crafted archives state what they like.
const CONTENT_MAX: u64 = 1 << 20;

impl Read {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Set(head) => self.heads.push(head),
            Event::Member(parsed) => {
                let size = match parsed.member.kind {
                    Kind::File { size, .. } => size.min(CONTENT_MAX),
                    _ => 0,
                };
                self.members.push((*parsed, vec![0; size as usize]));
            }
            Event::Data { offset, bytes } => {
                let (_, content) = self.members.last_mut().unwrap();
                let range = offset as usize..offset as usize + bytes.len();
                if let Some(place) = content.get_mut(range) {
                    place.copy_from_slice(bytes);
                }
            }
            Event::MemberEnd { end } => self.ends.push(end),
            Event::Continued(_) => self.members.push((empty_member(), Vec::new())),
            Event::End => self.ended = true,
        }
    }
}

fn empty_member() -> ParsedMember {
    let member = members::plain(b"continued", 0);
    ParsedMember {
        member,
        start: 0,
        data: 0,
        stored: 0,
    }
}
