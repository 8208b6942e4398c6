//! The body of a record of proposals: what a proposer wants to append, commit by commit.

use crate::bytes::{ByteReader, put_varint};
use crate::error::{Error, Result};
use crate::write::commit::{NewEvent, Part};
use crate::write::condition::{Condition, Guards, Item};
use crate::write::once::Once;

/// The rules that a body without tags and guards needs.
pub(super) const PLAIN: u8 = 1;
/// The rules that one with tags or guards needs.
pub(super) const GUARDED: u8 = 2;
/// The rules that one with keys needs.
pub(super) const KEYED: u8 = 3;

/// One proposed commit.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// When it was made, in µs since 1970.
    pub created: i64,
    /// What its commit is to carry: JSON, or nothing.
    pub meta: &'a [u8],
    /// Its events, stream by stream.
    pub parts: &'a [Part<'a>],
    /// What must hold for it besides the versions that its parts expect.
    pub guards: Guards<'a>,
}

impl Proposal<'_> {
    /// The rules that it needs.
    fn rules(&self) -> u8 {
        if self.guards.once.is_some() {
            KEYED
        } else if self.is_plain() {
            PLAIN
        } else {
            GUARDED
        }
    }

    fn is_plain(&self) -> bool {
        self.guards.versions.is_empty()
            && self.guards.conditions.is_empty()
            && self.parts.iter().flat_map(|part| part.events).all(|event| event.tags.is_empty())
    }
}

/// A body, and the rules that it needs: earlier versions read what has neither tags nor guards, or no keys.
pub(super) fn write(proposals: &[Proposal<'_>]) -> (u8, Vec<u8>) {
    let rules = proposals.iter().map(Proposal::rules).max().unwrap_or(PLAIN);
    let mut body = Vec::new();
    put_varint(&mut body, proposals.len() as u64);
    for proposal in proposals {
        body.extend_from_slice(&proposal.created.to_le_bytes());
        put_bytes(&mut body, proposal.meta);
        if rules >= GUARDED {
            put_guards(&mut body, &proposal.guards);
        }
        if rules >= KEYED {
            put_once(&mut body, proposal.guards.once);
        }
        put_varint(&mut body, proposal.parts.len() as u64);
        for part in proposal.parts {
            put_bytes(&mut body, part.stream.as_bytes());
            // Any version, or which one, plus one.
            put_varint(&mut body, part.expected.map_or(0, |expected| expected.saturating_add(1)));
            put_varint(&mut body, part.events.len() as u64);
            for event in part.events {
                put_bytes(&mut body, event.name.as_bytes());
                put_bytes(&mut body, event.data);
                if rules >= GUARDED {
                    put_texts(&mut body, event.tags);
                }
            }
        }
    }
    (rules, body)
}

fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(body, bytes.len() as u64);
    body.extend_from_slice(bytes);
}

fn put_texts(body: &mut Vec<u8>, texts: &[&str]) {
    put_varint(body, texts.len() as u64);
    for text in texts {
        put_bytes(body, text.as_bytes());
    }
}

fn put_guards(body: &mut Vec<u8>, guards: &Guards<'_>) {
    put_varint(body, guards.versions.len() as u64);
    for (stream, version) in guards.versions {
        put_bytes(body, stream.as_bytes());
        put_varint(body, *version);
    }
    put_varint(body, guards.conditions.len() as u64);
    for condition in guards.conditions {
        put_varint(body, condition.after);
        put_varint(body, condition.items.len() as u64);
        for item in condition.items {
            put_texts(body, item.names);
            put_texts(body, item.tags);
        }
    }
}

/// No key is an empty one.
fn put_once(body: &mut Vec<u8>, once: Option<Once<'_>>) {
    put_bytes(body, once.map_or(&[], |once| once.key.as_bytes()));
    body.extend_from_slice(&once.map_or(0, |once| once.since).to_le_bytes());
}

/// The proposals of a record, read whole before any of them is decided.
#[derive(Debug, Default)]
pub(super) struct Proposals<'a> {
    /// Name, data, number of tags.
    events: Vec<(&'a str, &'a [u8], usize)>,
    tags: Vec<&'a str>,
    /// Stream, version expected, number of events.
    parts: Vec<(&'a str, Option<u64>, usize)>,
    /// Created, meta, number of parts.
    heads: Vec<(i64, &'a [u8], usize)>,
    /// Those of each proposal, in a body that has them.
    guards: Vec<OwnGuards<'a>>,
}

/// Guards as they are read.
#[derive(Debug, Default)]
struct OwnGuards<'a> {
    versions: Vec<(&'a str, u64)>,
    /// The position, and names and tags of each item.
    conditions: Vec<(u64, Vec<[Vec<&'a str>; 2]>)>,
    once: Option<Once<'a>>,
}

impl<'a> Proposals<'a> {
    pub(super) fn read(body: &'a [u8], rules: u8) -> Result<Self> {
        let mut reader = ByteReader::new(body, 0);
        let mut proposals = Self::default();
        proposals.fill(&mut reader, rules).filter(|()| reader.ends()).map(|()| proposals).ok_or_else(|| {
            Error::Record("a record of the ordered log is damaged: it does not hold what it says".to_owned())
        })
    }

    fn fill(&mut self, reader: &mut ByteReader<'a>, rules: u8) -> Option<()> {
        let guarded = rules >= GUARDED;
        for _ in 0..reader.varint()? {
            let created = i64::from_le_bytes(*reader.take(8)?.first_chunk()?);
            let meta = bytes(reader)?;
            if guarded {
                self.guards.push(OwnGuards::read(reader, rules)?);
            }
            let parts = reader.varint()?;
            for _ in 0..parts {
                let stream = text(reader)?;
                let expected = reader.varint()?.checked_sub(1);
                let events = reader.varint()?;
                for _ in 0..events {
                    let name = self.name(bytes(reader)?)?;
                    let data = bytes(reader)?;
                    let before = self.tags.len();
                    if guarded {
                        texts(reader, &mut self.tags)?;
                    }
                    self.events.push((name, data, self.tags.len() - before));
                }
                self.parts.push((stream, expected, usize::try_from(events).ok()?));
            }
            self.heads.push((created, meta, usize::try_from(parts).ok()?));
        }
        Some(())
    }

    /// Nearly always the name of the event before.
    #[inline]
    fn name(&self, name: &'a [u8]) -> Option<&'a str> {
        match self.events.last() {
            Some((last, _, _)) if last.as_bytes() == name => Some(last),
            _ => std::str::from_utf8(name).ok(),
        }
    }

    /// Hand out each proposal with its number, until `each` fails.
    pub(super) fn each(&self, mut each: impl FnMut(u64, &Proposal<'_>) -> Result<()>) -> Result<()> {
        let mut tags = &self.tags[..];
        let events: Vec<NewEvent<'_>> = self
            .events
            .iter()
            .map(|(name, data, count)| {
                let (own, rest) = tags.split_at(*count);
                tags = rest;
                NewEvent { name, data, tags: own }
            })
            .collect();
        let (mut events, mut parts) = (&events[..], &self.parts[..]);
        let mut given = Vec::new();
        for (index, (created, meta, count)) in self.heads.iter().enumerate() {
            let (own, rest) = parts.split_at(*count);
            parts = rest;
            given.clear();
            for (stream, expected, count) in own {
                let (own, rest) = events.split_at(*count);
                events = rest;
                given.push(Part { stream, events: own, expected: *expected });
            }
            let proposal = Proposal { created: *created, meta, parts: &given, guards: Guards::default() };
            match self.guards.get(index) {
                Some(guards) => guards.lent(|guards| each(index as u64, &Proposal { guards, ..proposal }))?,
                None => each(index as u64, &proposal)?,
            }
        }
        Ok(())
    }
}

impl<'a> OwnGuards<'a> {
    fn read(reader: &mut ByteReader<'a>, rules: u8) -> Option<Self> {
        let mut guards = Self::default();
        for _ in 0..reader.varint()? {
            let stream = text(reader)?;
            guards.versions.push((stream, reader.varint()?));
        }
        for _ in 0..reader.varint()? {
            let after = reader.varint()?;
            let mut items = Vec::new();
            for _ in 0..reader.varint()? {
                let mut item = [Vec::new(), Vec::new()];
                for list in &mut item {
                    texts(reader, list)?;
                }
                items.push(item);
            }
            guards.conditions.push((after, items));
        }
        if rules >= KEYED {
            let key = text(reader)?;
            let since = i64::from_le_bytes(*reader.take(8)?.first_chunk()?);
            guards.once = (!key.is_empty()).then_some(Once { key, since });
        }
        Some(guards)
    }

    /// Lend them as the log takes them.
    fn lent<T>(&self, work: impl FnOnce(Guards<'_>) -> T) -> T {
        let mut items: Vec<Vec<Item<'_>>> = Vec::with_capacity(self.conditions.len());
        for (_, own) in &self.conditions {
            items.push(own.iter().map(|[names, tags]| Item { names, tags }).collect());
        }
        let each = self.conditions.iter().zip(&items);
        let conditions: Vec<_> = each.map(|((after, _), items)| Condition { items, after: *after }).collect();
        work(Guards { versions: &self.versions, conditions: &conditions, once: self.once })
    }
}

#[inline]
fn bytes<'a>(reader: &mut ByteReader<'a>) -> Option<&'a [u8]> {
    let len = reader.varint()?;
    reader.take(len)
}

fn text<'a>(reader: &mut ByteReader<'a>) -> Option<&'a str> {
    std::str::from_utf8(bytes(reader)?).ok()
}

fn texts<'a>(reader: &mut ByteReader<'a>, into: &mut Vec<&'a str>) -> Option<()> {
    for _ in 0..reader.varint()? {
        into.push(text(reader)?);
    }
    Some(())
}
