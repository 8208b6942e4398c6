//! Putting a written record into the index. Doing so twice changes nothing: whoever finds the work of a dead writer half
//! done does all of it again.

use smallvec::SmallVec;

use crate::error::Result;
use crate::log::record::{Definition, KeyKind, Preamble, SnapshotRecord};
use crate::shared::control::IndexState;

use super::filling::{OpenKey, PlacesLine};
use super::{Index, KEYS, Key, hash, key_line};

impl Index {
    /// Put a commit that is in the log into the index.
    pub(crate) fn apply_commit(&self, commit: &Preamble<'_>, state: &mut IndexState) -> Result<()> {
        for definition in commit.definitions() {
            self.define(&definition, state)?;
        }
        let mut places = PlacesLine::default();
        let mut streams = OpenKeys::new(KeyKind::Stream);
        let mut names = OpenKeys::new(KeyKind::Name);
        let mut tags = OpenKeys::new(KeyKind::Tag);
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

    pub(super) fn define(&self, definition: &Definition<'_>, state: &mut IndexState) -> Result<()> {
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

    pub(super) fn keep(&self, state: &IndexState) {
        if self.building.is_none() {
            self.control.put_index_state(*state);
        }
    }
}

/// How many keys a commit keeps open at once.
const OPEN_MAX: usize = 16;

/// The keys that are being added to. Events of a commit tend to go back and forth between a few.
struct OpenKeys {
    kind: KeyKind,
    open: SmallVec<[OpenKey; 1]>,
    /// Which one was asked for last.
    last: usize,
}

impl OpenKeys {
    fn new(kind: KeyKind) -> Self {
        Self { kind, open: SmallVec::new(), last: 0 }
    }

    #[inline]
    fn select(&mut self, index: &Index, number: u32) -> Result<&mut OpenKey> {
        if self.open.get(self.last).is_none_or(|open| open.number != number) {
            self.last = match self.open.iter().position(|open| open.number == number) {
                Some(at) => at,
                None => self.open(index, number)?,
            };
        }
        Ok(&mut self.open[self.last])
    }

    fn open(&mut self, index: &Index, number: u32) -> Result<usize> {
        let key = index.key(number)?;
        if key.kind != self.kind {
            return Err(index.damaged(KEYS, key_line(number)));
        }
        let fresh = OpenKey::new(number, key);
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
