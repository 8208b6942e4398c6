//! The body of a record of proposals: what somebody wants to be appended, commit by commit.

use crate::bytes::{ByteReader, put_varint};
use crate::error::{Error, Result};
use crate::write::commit::{NewEvent, Part};

/// One commit that somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// When it was made, in µs since 1970.
    pub created: i64,
    /// What its commit is to carry: JSON, or nothing.
    pub meta: &'a [u8],
    /// Its events, stream by stream.
    pub parts: &'a [Part<'a>],
}

pub(super) fn write(proposals: &[Proposal<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    let put_bytes = |body: &mut Vec<u8>, bytes: &[u8]| {
        put_varint(body, bytes.len() as u64);
        body.extend_from_slice(bytes);
    };
    put_varint(&mut body, proposals.len() as u64);
    for proposal in proposals {
        body.extend_from_slice(&proposal.created.to_le_bytes());
        put_bytes(&mut body, proposal.meta);
        put_varint(&mut body, proposal.parts.len() as u64);
        for part in proposal.parts {
            put_bytes(&mut body, part.stream.as_bytes());
            // Any version, or which one, plus one.
            put_varint(&mut body, part.expected.map_or(0, |expected| expected.saturating_add(1)));
            put_varint(&mut body, part.events.len() as u64);
            for event in part.events {
                put_bytes(&mut body, event.name.as_bytes());
                put_bytes(&mut body, event.data);
            }
        }
    }
    body
}

/// The proposals of a record, read whole before any of them is decided.
#[derive(Debug, Default)]
pub(super) struct Proposals<'a> {
    events: Vec<NewEvent<'a>>,
    /// Stream, version expected, number of events.
    parts: Vec<(&'a str, Option<u64>, usize)>,
    /// Created, meta, number of parts.
    heads: Vec<(i64, &'a [u8], usize)>,
}

impl<'a> Proposals<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut reader = ByteReader::new(body, 0);
        let mut proposals = Self::default();
        proposals.fill(&mut reader).filter(|()| reader.ends()).map(|()| proposals).ok_or_else(|| {
            Error::Record("a record of the ordered log is damaged: it does not hold what it says".to_owned())
        })
    }

    fn fill(&mut self, reader: &mut ByteReader<'a>) -> Option<()> {
        for _ in 0..reader.varint()? {
            let created = i64::from_le_bytes(*reader.take(8)?.first_chunk()?);
            let meta = bytes(reader)?;
            let parts = reader.varint()?;
            for _ in 0..parts {
                let stream = std::str::from_utf8(bytes(reader)?).ok()?;
                let expected = reader.varint()?.checked_sub(1);
                let events = reader.varint()?;
                for _ in 0..events {
                    let name = self.name(bytes(reader)?)?;
                    self.events.push(NewEvent { name, data: bytes(reader)? });
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
            Some(last) if last.name.as_bytes() == name => Some(last.name),
            _ => std::str::from_utf8(name).ok(),
        }
    }

    /// Hand out each proposal with its number, until `each` fails.
    pub(super) fn each(&self, mut each: impl FnMut(u64, &Proposal<'_>) -> Result<()>) -> Result<()> {
        let (mut events, mut parts) = (&self.events[..], &self.parts[..]);
        let mut given = Vec::new();
        for (index, (created, meta, count)) in (0..).zip(&self.heads) {
            let (own, rest) = parts.split_at(*count);
            parts = rest;
            given.clear();
            for (stream, expected, count) in own {
                let (own, rest) = events.split_at(*count);
                events = rest;
                given.push(Part { stream, events: own, expected: *expected });
            }
            each(index, &Proposal { created: *created, meta, parts: &given })?;
        }
        Ok(())
    }
}

#[inline]
fn bytes<'a>(reader: &mut ByteReader<'a>) -> Option<&'a [u8]> {
    let len = reader.varint()?;
    reader.take(len)
}
