//! Lines of the index that are being filled: of places, and of a key's postings.

use crate::error::Result;
use crate::shared::control::IndexState;
use crate::shared::line::{BODY_BYTES, LINE_BYTES, Line, put_number};

use super::postings::{self, ChunkHead, ENTRY_BYTES, FIRST_START};
use super::{HEAD_LINES, Index, Key, PLACE_BYTES, POSTINGS, key_line, place_slot};

/// A line that is being filled. Once it is written, it stays at hand.
#[derive(Debug, Default)]
struct Filled {
    number: u64,
    line: Option<Line>,
    /// Whether it was changed since it was written.
    changed: bool,
}

impl Filled {
    /// Whether it is this one.
    #[inline]
    fn is(&self, number: u64) -> bool {
        self.number == number && self.line.is_some()
    }

    #[inline]
    fn open(&mut self, number: u64, line: Line) -> &mut Line {
        self.number = number;
        self.line.insert(line)
    }
}

/// The line of places that is being filled.
#[derive(Debug, Default)]
pub(super) struct PlacesLine(Filled);

impl PlacesLine {
    #[inline]
    pub(super) fn put(&mut self, index: &Index, position: u64, place: u64) -> Result<()> {
        let (number, at) = place_slot(position);
        if !self.0.is(number) {
            self.close(index)?;
            // The first entry of a line opens it; what may lie there from earlier does not count.
            let line = if at == 0 { [0; LINE_BYTES] } else { index.read(&index.places, number)? };
            self.0.open(number, line);
        }
        if let Some(line) = &mut self.0.line {
            put_number::<PLACE_BYTES>(line, at, place);
        }
        self.0.changed = true;
        Ok(())
    }

    #[inline]
    pub(super) fn close(&mut self, index: &Index) -> Result<()> {
        match &mut self.0.line {
            Some(line) if std::mem::take(&mut self.0.changed) => index.put(&index.places, self.0.number, line),
            _ => Ok(()),
        }
    }
}

/// A key that is being added to, with the line of postings that is being filled.
#[derive(Debug)]
pub(super) struct OpenKey {
    pub(super) number: u32,
    pub(super) key: Key,
    postings: Filled,
}

impl OpenKey {
    #[inline]
    pub(super) fn new(number: u32, key: Key) -> Self {
        Self { number, key, postings: Filled::default() }
    }

    /// Add a position, unless it is there.
    #[inline]
    pub(super) fn push(&mut self, index: &Index, position: u64, state: &mut IndexState) -> Result<()> {
        if self.key.last >= position { Ok(()) } else { self.push_run(index, position, 1, state) }
    }

    /// Add `count` positions from one on, all of them behind those that are there.
    #[inline]
    pub(super) fn push_run(&mut self, index: &Index, from: u64, count: u64, state: &mut IndexState) -> Result<()> {
        let (mut position, end) = (from, from + count);
        if self.key.count == 0 && count > 0 {
            self.key.first = position;
            self.key.count = 1;
            position += 1;
        }
        while position < end {
            let ordinal = self.key.count + 1;
            if self.key.chunk == 0 || ordinal == postings::chunk_end(self.key.chunk_start) {
                self.open_chunk(index, ordinal, state)?;
            }
            let (step, mut at) = postings::slot(self.key.chunk_start, ordinal);
            let line = self.open_line(index, self.key.chunk + step, at == 0)?;
            let first = position;
            while position < end && at + ENTRY_BYTES <= BODY_BYTES {
                postings::put_entry(line, at, position);
                at += ENTRY_BYTES;
                position += 1;
            }
            self.key.count += position - first;
        }
        self.key.last = end - 1;
        Ok(())
    }

    /// Begin a chunk: take lines for it, and say so before they are used.
    fn open_chunk(&mut self, index: &Index, start: u64, state: &mut IndexState) -> Result<()> {
        debug_assert!(start >= FIRST_START);
        self.close_line(index)?;
        let chunk = state.postings_next.max(HEAD_LINES);
        // Room was made before the commit was written; not so when an index is made anew.
        index.postings.reserve(chunk + postings::chunk_lines(start))?;
        state.postings_next = chunk + postings::chunk_lines(start);
        index.keep(state);
        let mut line = [0; LINE_BYTES];
        ChunkHead { before: self.key.chunk, before_start: self.key.chunk_start, key: self.number }.write(&mut line);
        self.postings.open(chunk, line);
        self.key.chunk = chunk;
        self.key.chunk_start = start;
        Ok(())
    }

    #[inline]
    fn open_line(&mut self, index: &Index, number: u64, fresh: bool) -> Result<&mut Line> {
        if !self.postings.is(number) {
            self.close_line(index)?;
            let line = if fresh { [0; LINE_BYTES] } else { index.read(&index.postings, number)? };
            self.postings.open(number, line);
        }
        self.postings.changed = true;
        self.postings.line.as_mut().ok_or_else(|| index.damaged(POSTINGS, number))
    }

    #[inline]
    fn close_line(&mut self, index: &Index) -> Result<()> {
        match &mut self.postings.line {
            Some(line) if std::mem::take(&mut self.postings.changed) => {
                index.put(&index.postings, self.postings.number, line)
            }
            _ => Ok(()),
        }
    }

    /// Write the postings, then the key: a key never speaks of postings that are not there.
    #[inline]
    pub(super) fn close(&mut self, index: &Index) -> Result<()> {
        self.close_line(index)?;
        index.put(&index.keys, key_line(self.number), &mut self.key.encode())
    }
}
