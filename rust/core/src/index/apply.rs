//! Putting a written record into the index. Doing so twice changes nothing: whoever finds the work of a dead writer half
//! done does all of it again.

use crate::bytes::put_narrow;
use crate::control::IndexState;
use crate::error::{Error, Result};
use crate::line::{LINE_BYTES, Line};
use crate::record::{Definition, KeyKind, Preamble, SnapshotRecord};

use super::postings::{self, ChunkHead, FIRST_START};
use super::{HEAD_LINES, Index, Key, PLACE_BYTES, hash, key_line, place_slot};

impl Index {
    /// Put a commit into the index. `reserve` must have made room for it.
    pub(crate) fn apply_commit(&self, commit: &Preamble<'_>, state: &mut IndexState) -> Result<()> {
        for definition in commit.definitions() {
            self.define(&definition, state)?;
        }
        let mut places = PlacesLine::default();
        let mut stream = OpenKey::default();
        let mut name = OpenKey::default();
        for event in commit.events() {
            places.put(self, event.position, event.place)?;
            stream.select(self, event.stream)?;
            if stream.key_mut()?.last < event.position && stream.key_mut()?.count + 1 != event.version {
                let what = "an event's version does not follow that of the event before it in its stream";
                return Err(self.segments.damaged(event.place, Some(event.position), what));
            }
            stream.push(self, event.position, state)?;
            stream.key_mut()?.last_name = event.name;
            name.select(self, event.name)?;
            name.push(self, event.position, state)?;
        }
        stream.close(self)?;
        name.close(self)?;
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
            self.line = Some(if at == 0 { [0; LINE_BYTES] } else { index.places.read(number)? });
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

/// The key that is being added to, with the line of postings that is being filled.
#[derive(Default)]
struct OpenKey {
    number: u32,
    key: Option<Key>,
    line_number: u64,
    line: Option<Line>,
}

impl OpenKey {
    #[inline]
    fn select(&mut self, index: &Index, number: u32) -> Result<()> {
        if self.key.is_none() || self.number != number {
            self.close(index)?;
            self.number = number;
            self.key = Some(index.key(number)?);
        }
        Ok(())
    }

    #[inline]
    fn key_mut(&mut self) -> Result<&mut Key> {
        self.key.as_mut().ok_or_else(|| Error::index_damaged("index", 0))
    }

    #[inline]
    fn push(&mut self, index: &Index, position: u64, state: &mut IndexState) -> Result<()> {
        let mut key = *self.key_mut()?;
        if key.last >= position {
            return Ok(());
        }
        let ordinal = key.count + 1;
        if ordinal == 1 {
            key.first = position;
        } else {
            if key.chunk == 0 || ordinal == postings::chunk_end(key.chunk_start) {
                self.open_chunk(index, &mut key, ordinal, state)?;
            }
            let (step, at) = postings::slot(key.chunk_start, ordinal);
            self.open_line(index, key.chunk + step, at == 0)?;
            if let Some(line) = &mut self.line {
                postings::put_entry(line, at, position);
            }
        }
        key.count = ordinal;
        key.last = position;
        self.key = Some(key);
        Ok(())
    }

    /// Begin a chunk: take lines for it, and say so before they are used.
    fn open_chunk(&mut self, index: &Index, key: &mut Key, start: u64, state: &mut IndexState) -> Result<()> {
        debug_assert!(start >= FIRST_START);
        self.close_line(index)?;
        let chunk = state.postings_next.max(HEAD_LINES);
        // Room was made before the commit was written; not so when an index is made anew.
        index.postings.reserve(chunk + postings::chunk_lines(start))?;
        state.postings_next = chunk + postings::chunk_lines(start);
        index.keep(state);
        let mut line = [0; LINE_BYTES];
        ChunkHead { before: key.chunk, before_start: key.chunk_start, key: self.number }.write(&mut line);
        self.line = Some(line);
        self.line_number = chunk;
        key.chunk = chunk;
        key.chunk_start = start;
        Ok(())
    }

    #[inline]
    fn open_line(&mut self, index: &Index, number: u64, fresh: bool) -> Result<()> {
        if self.line.is_none() || self.line_number != number {
            self.close_line(index)?;
            self.line = Some(if fresh { [0; LINE_BYTES] } else { index.postings.read(number)? });
            self.line_number = number;
        }
        Ok(())
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
        match self.key.take() {
            Some(key) => index.put(&index.keys, key_line(self.number), &mut key.encode()),
            None => Ok(()),
        }
    }
}
