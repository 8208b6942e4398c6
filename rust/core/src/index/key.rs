//! A key: the name of a stream, an event or a tag, and where its positions are. One line of the file `keys`.

use crate::bytes::{narrow_at, put_narrow, u32_at, u64_at};
use crate::error::Result;
use crate::log::record::KeyKind;
use crate::log::segments::Segments;
use crate::shared::line::{LINE_BYTES, Line};

use super::hash::hash;

/// What is known of a key. Ordinals count its events from 1; for a stream they are the versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) hash: u64,
    pub(crate) kind: KeyKind,
    /// Where the text is in the log, and its length.
    pub(crate) text_place: u64,
    pub(crate) text_len: usize,
    pub(crate) count: u64,
    /// The positions of the first and of the last event; 0 when there is none.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The first line of the youngest chunk of postings (0: none), and the ordinal it starts with.
    pub(crate) chunk: u64,
    pub(crate) chunk_start: u64,
    /// Where the youngest snapshot is in the log; 0 when there is none.
    pub(crate) snapshot: u64,
    /// For a stream: the key of its last event's name.
    pub(crate) last_name: u32,
    /// For an event name: the number of the name before it, plus one.
    pub(crate) name_before: u32,
}

impl Key {
    pub(crate) fn encode(&self) -> Line {
        let mut line = [0; LINE_BYTES];
        put_narrow::<8>(&mut line, 0, self.hash);
        put_narrow::<6>(&mut line, 8, self.text_place);
        put_narrow::<2>(&mut line, 14, self.text_len as u64);
        put_narrow::<5>(&mut line, 16, self.count);
        line[21] = self.kind as u8;
        put_narrow::<5>(&mut line, 22, self.first);
        put_narrow::<5>(&mut line, 27, self.last);
        put_narrow::<6>(&mut line, 32, self.chunk);
        put_narrow::<5>(&mut line, 38, self.chunk_start);
        put_narrow::<6>(&mut line, 43, self.snapshot);
        put_narrow::<4>(&mut line, 49, u64::from(self.last_name));
        put_narrow::<4>(&mut line, 53, u64::from(self.name_before));
        line
    }

    /// Its text, which no checksum of its own covers: but its hash is known.
    pub(crate) fn text<'a>(&self, segments: &'a Segments) -> Result<&'a str> {
        let bytes = segments.text(self.text_place, self.text_len)?;
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| hash(self.kind, text) == self.hash)
            .ok_or_else(|| segments.damaged(self.text_place, None, "a name here is damaged"))
    }

    /// Whether its text is this one, which has its hash.
    #[inline]
    pub(crate) fn is(&self, text: &str, segments: &Segments) -> Result<bool> {
        Ok(segments.text(self.text_place, self.text_len)? == text.as_bytes() || self.text(segments)? == text)
    }

    /// None when the line says something impossible.
    #[inline]
    pub(crate) fn decode(line: &Line) -> Option<Self> {
        Some(Self {
            hash: u64_at(line, 0),
            text_place: narrow_at::<6>(line, 8),
            text_len: narrow_at::<2>(line, 14) as usize,
            count: narrow_at::<5>(line, 16),
            kind: KeyKind::from_number(u64::from(line[21]))?,
            first: narrow_at::<5>(line, 22),
            last: narrow_at::<5>(line, 27),
            chunk: narrow_at::<6>(line, 32),
            chunk_start: narrow_at::<5>(line, 38),
            snapshot: narrow_at::<6>(line, 43),
            last_name: u32_at(line, 49),
            name_before: u32_at(line, 53),
        })
    }
}
