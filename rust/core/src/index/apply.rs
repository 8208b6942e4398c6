//! Putting a written record into the index. Doing so twice changes nothing: whoever finds the work of a dead writer half
//! done does all of it again.

use smallvec::SmallVec;

use crate::bytes::put_narrow;
use crate::error::Result;
use crate::log::record::{Definition, KeyKind, Preamble, SnapshotRecord};
use crate::shared::control::IndexState;
use crate::shared::line::{LINE_BYTES, Line};

use super::postings::{self, ChunkHead, FIRST_START};
use super::{HEAD_LINES, Index, Key, PLACE_BYTES, POSTINGS, hash, key_line, place_slot};

impl Index {
    /// Put a commit into the index. `reserve` must have made room for it.
    ///
    /// `known`: keys of this commit that the caller has just read, those of each kind in the order in which the commit comes to
    /// them; those that it brings into being are missing, and others may be.
    pub(crate) fn apply_commit(
        &self,
        commit: &Preamble<'_>,
        state: &mut IndexState,
        known: impl Iterator<Item = (u32, Key)>,
    ) -> Result<()> {
        for definition in commit.definitions() {
            self.define(&definition, state)?;
        }
        let mut places = PlacesLine::default();
        let mut streams = OpenKeys::default();
        let mut names = OpenKeys::default();
        let mut tags = OpenKeys::default();
        for (number, key) in known {
            let keys = match key.kind {
                KeyKind::Stream => &mut streams,
                KeyKind::Name => &mut names,
                KeyKind::Tag => &mut tags,
            };
            keys.expect(number, key);
        }
        for event in commit.events() {
            places.put(self, event.position, event.place)?;
            let stream = streams.select(self, event.stream)?;
            if stream.key.last < event.position && stream.key.count + 1 != event.version {
                let what = "an event's version does not follow that of the event before it in its stream";
                return Err(self.segments.damaged(event.place, Some(event.position), what));
            }
            stream.push(self, event.position, state)?;
            stream.key.last_name = event.name;
            names.select(self, event.name)?.push(self, event.position, state)?;
            for tag in event.tags.keys() {
                tags.select(self, tag)?.push(self, event.position, state)?;
            }
        }
        streams.close(self)?;
        names.close(self)?;
        tags.close(self)?;
        places.close(self)
    }

    /// Put a snapshot into the index.
    pub(crate) fn apply_snapshot(&self, place: u64, snapshot: &SnapshotRecord<'_>) -> Result<()> {
        let mut key = self.key(snapshot.stream)?;
        if key.snapshot < place {
            key.snapshot = place;
            self.put(&self.keys, key_line(snapshot.stream), &mut key.encode())?;
        }
        Ok(())
    }

    fn define(&self, definition: &Definition<'_>, state: &mut IndexState) -> Result<()> {
        if definition.key < state.keys {
            return Ok(());
        }
        if definition.key > state.keys {
            let what = "a name is numbered out of order";
            return Err(self.segments.damaged(definition.place, None, what));
        }
        let hash = hash::hash(definition.kind, definition.text);
        let key = Key {
            hash,
            kind: definition.kind,
            text_place: definition.place,
            text_len: definition.text.len(),
            count: 0,
            first: 0,
            last: 0,
            chunk: 0,
            chunk_start: 0,
            snapshot: 0,
            last_name: 0,
            name_before: if definition.kind == KeyKind::Name { state.last_name } else { 0 },
        };
        self.put(&self.keys, key_line(definition.key), &mut key.encode())?;
        self.insert(self.bits()?, hash, definition.key)?;
        state.keys += 1;
        match definition.kind {
            KeyKind::Stream => state.streams += 1,
            KeyKind::Name => state.last_name = definition.key + 1,
            KeyKind::Tag => {}
        }
        self.keep(state);
        Ok(())
    }

    fn keep(&self, state: &IndexState) {
        if self.building.is_none() {
            self.control.put_index_state(*state);
        }
    }
}

/// The line of places that is being filled.
#[derive(Default)]
struct PlacesLine {
    number: u64,
    line: Option<Line>,
}

impl PlacesLine {
    #[inline]
    fn put(&mut self, index: &Index, position: u64, place: u64) -> Result<()> {
        let (number, at) = place_slot(position);
        if self.line.is_none() || self.number != number {
            self.close(index)?;
            self.number = number;
            // The first entry of a line opens it; what may lie there from earlier does not count.
            self.line = Some(if at == 0 { [0; LINE_BYTES] } else { index.read(&index.places, number)? });
        }
        if let Some(line) = &mut self.line {
            put_narrow::<PLACE_BYTES>(line, at, place);
        }
        Ok(())
    }

    #[inline]
    fn close(&mut self, index: &Index) -> Result<()> {
        match self.line.take() {
            Some(mut line) => index.put(&index.places, self.number, &mut line),
            None => Ok(()),
        }
    }
}

/// How many keys a commit keeps open at once.
const OPEN_MAX: usize = 16;

/// The keys that are being added to. Events of a commit tend to go back and forth between a few.
#[derive(Default)]
struct OpenKeys {
    open: SmallVec<[OpenKey; 1]>,
    /// Which one was asked for last.
    last: usize,
    /// The others that are known as they were before, in the order in which they are asked for first.
    expected: Vec<(u32, Key)>,
    /// How many of them have been.
    met: usize,
}

impl OpenKeys {
    #[inline]
    fn select(&mut self, index: &Index, number: u32) -> Result<&mut OpenKey> {
        if self.open.get(self.last).is_none_or(|open| open.number != number) {
            self.last = match self.expected.get(self.met) {
                // Asked for the first time, so it is not among those that are open.
                Some((expected, key)) if *expected == number => {
                    let key = *key;
                    self.met += 1;
                    self.open(index, number, key)?
                }
                _ => match self.open.iter().position(|open| open.number == number) {
                    Some(at) => at,
                    None => self.open(index, number, index.key(number)?)?,
                },
            };
        }
        Ok(&mut self.open[self.last])
    }

    /// Have a key at hand that is going to be asked for.
    #[inline]
    fn expect(&mut self, number: u32, key: Key) {
        if self.open.len() < OPEN_MAX {
            self.open.push(OpenKey { number, key, line_number: 0, line: None });
        } else {
            self.expected.push((number, key));
        }
    }

    fn open(&mut self, index: &Index, number: u32, key: Key) -> Result<usize> {
        let fresh = OpenKey { number, key, line_number: 0, line: None };
        if self.open.len() < OPEN_MAX {
            self.open.push(fresh);
            return Ok(self.open.len() - 1);
        }
        let at = (self.last + 1) % OPEN_MAX;
        self.open[at].close(index)?;
        self.open[at] = fresh;
        Ok(at)
    }

    fn close(&mut self, index: &Index) -> Result<()> {
        self.open.iter_mut().try_for_each(|open| open.close(index))
    }
}

/// A key that is being added to, with the line of postings that is being filled.
struct OpenKey {
    number: u32,
    key: Key,
    line_number: u64,
    line: Option<Line>,
}

impl OpenKey {
    #[inline]
    fn push(&mut self, index: &Index, position: u64, state: &mut IndexState) -> Result<()> {
        if self.key.last >= position {
            return Ok(());
        }
        let ordinal = self.key.count + 1;
        if ordinal == 1 {
            self.key.first = position;
        } else {
            if self.key.chunk == 0 || ordinal == postings::chunk_end(self.key.chunk_start) {
                self.open_chunk(index, ordinal, state)?;
            }
            let (step, at) = postings::slot(self.key.chunk_start, ordinal);
            let line = self.open_line(index, self.key.chunk + step, at == 0)?;
            postings::put_entry(line, at, position);
        }
        self.key.count = ordinal;
        self.key.last = position;
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
        self.line = Some(line);
        self.line_number = chunk;
        self.key.chunk = chunk;
        self.key.chunk_start = start;
        Ok(())
    }

    #[inline]
    fn open_line(&mut self, index: &Index, number: u64, fresh: bool) -> Result<&mut Line> {
        if self.line_number != number {
            self.close_line(index)?;
        }
        self.line_number = number;
        if self.line.is_none() {
            self.line = Some(if fresh { [0; LINE_BYTES] } else { index.read(&index.postings, number)? });
        }
        self.line.as_mut().ok_or_else(|| index.damaged(POSTINGS, number))
    }

    #[inline]
    fn close_line(&mut self, index: &Index) -> Result<()> {
        match self.line.take() {
            Some(mut line) => index.put(&index.postings, self.line_number, &mut line),
            None => Ok(()),
        }
    }

    /// Write the postings, then the key: a key never speaks of postings that are not there.
    #[inline]
    fn close(&mut self, index: &Index) -> Result<()> {
        self.close_line(index)?;
        index.put(&index.keys, key_line(self.number), &mut self.key.encode())
    }
}
