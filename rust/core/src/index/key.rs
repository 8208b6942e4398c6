//! A key: the name of a stream, an event or a tag, and where its positions are. One line of the file `keys`.

use crate::error::Result;
use crate::log::record::KeyKind;
use crate::log::segments::Segments;
use crate::shared::line::{LINE_BYTES, Line, number_at, put_number};

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
    #[inline]
    pub(crate) fn encode(&self) -> Line {
        let mut line = [0; LINE_BYTES];
        put_number::<8>(&mut line, 0, self.hash);
        put_number::<6>(&mut line, 8, self.text_place);
        put_number::<2>(&mut line, 14, self.text_len as u64);
        put_number::<5>(&mut line, 16, self.count);
        put_number::<1>(&mut line, 21, self.kind as u64);
        put_number::<5>(&mut line, 22, self.first);
        put_number::<5>(&mut line, 27, self.last);
        put_number::<6>(&mut line, 32, self.chunk);
        put_number::<5>(&mut line, 38, self.chunk_start);
        put_number::<6>(&mut line, 43, self.snapshot);
        put_number::<4>(&mut line, 49, u64::from(self.last_name));
        put_number::<4>(&mut line, 53, u64::from(self.name_before));
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

    /// Where its text begins, if that is in memory as it seems. Nothing of the key has been checked.
    #[inline]
    pub(crate) fn text_hint<'a>(&self, segments: &'a Segments) -> Option<&'a u8> {
        segments.hint(self.text_place)
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
            hash: number_at::<8>(line, 0),
            text_place: number_at::<6>(line, 8),
            text_len: number_at::<2>(line, 14) as usize,
            count: number_at::<5>(line, 16),
            kind: KeyKind::from_number(number_at::<1>(line, 21))?,
            first: number_at::<5>(line, 22),
            last: number_at::<5>(line, 27),
            chunk: number_at::<6>(line, 32),
            chunk_start: number_at::<5>(line, 38),
            snapshot: number_at::<6>(line, 43),
            last_name: number_at::<4>(line, 49) as u32,
            name_before: number_at::<4>(line, 53) as u32,
        })
    }
}
