//! Reading events by stream and by position.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::index::Index;
use crate::log::packed::Packed;
use crate::log::record::{self, KeyKind, Preamble, Stored, Tags};
use crate::names;
use crate::store::log::Log;

/// How many bytes of payload a page holds before it ends early.
pub(crate) const PAGE_BYTES_MAX: usize = 4 << 20;

const NOT_THE_ONE: &str = "the event here is damaged, or is not the one expected: `act-fast verify` lists all damage; \
                           rebuild_index() repairs the index, a backup replaces the log";

/// An event as it stands in the log. Names are given by number: `Log::text` knows the text.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// Its place in the whole log, from 1.
    pub position: u64,
    /// The position of the first event of its commit.
    pub commit: u64,
    /// Its place in its stream, from 1.
    pub version: u64,
    /// The key of its stream.
    pub stream: u32,
    /// The key of its name.
    pub name: u32,
    /// The keys of its tags.
    pub tags: Tags<'a>,
    /// µs since 1970.
    pub created: i64,
    /// Its payload: JSON.
    pub data: &'a [u8],
    /// What its commit carries: JSON, or nothing.
    pub meta: &'a [u8],
}

/// Some events, and where to go on.
#[derive(Debug)]
pub struct Page<'a> {
    /// In order of version.
    pub events: Vec<EventView<'a>>,
    /// The version to go on after; None at the end.
    pub next: Option<u64>,
}

/// Reads events by place; keeps the commit it read last.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    log: &'a Log,
    commit: Option<Preamble<'a>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(log: &'a Log) -> Self {
        Self { log, commit: None }
    }

    /// The event at a place, which must be the one with this position.
    #[inline]
    pub(crate) fn event(&mut self, place: u64, position: u64) -> Result<EventView<'a>> {
        let segments = &self.log.segments;
        let damaged = || segments.damaged(place, Some(position), NOT_THE_ONE);
        let bytes = segments.number_bytes(place)?;
        let distance = record::distance_to_commit(bytes).ok_or_else(damaged)?;
        let commit_place = place
            .checked_sub(distance)
            .filter(|start| segments.number_of(*start) == segments.number_of(place))
            .ok_or_else(damaged)?;
        let commit = match self.commit {
            Some(commit) if commit.place == commit_place => commit,
            _ => self.preamble(commit_place)?.ok_or_else(damaged)?,
        };
        self.commit = Some(commit);
        let at = usize::try_from(distance).map_err(|_| damaged())?;
        let event = match self.packed(&commit)? {
            None => record::event_at(&commit, at, position, self.log.seed),
            Some(packed) => {
                let len = commit.head.len.checked_sub(at).ok_or_else(damaged)?;
                segments.found_at(packed, place, len, |bytes| record::part_at(bytes, place, position, self.log.seed))?
            }
        };
        let event = event.ok_or_else(damaged)?;
        Ok(view(&commit, &event))
    }

    /// The preamble of the commit at a place. If it is packed and has several events, which have checksums of their own, no
    /// more of it is unpacked than that takes.
    fn preamble(&self, place: u64) -> Result<Option<Preamble<'a>>> {
        let (segments, seed) = (&self.log.segments, self.log.seed);
        if let Some(packed) = segments.packed(segments.number_of(place))? {
            let known = packed.preamble((place % segments.segment_bytes) as usize);
            if let Some(commit) = known.and_then(|bytes| Preamble::begun(bytes, place, seed, true)) {
                return Ok(Some(commit));
            }
            let len = segments.record_len(place)?;
            let begun = segments.found_at(packed, place, len, |bytes| Preamble::begun(bytes, place, seed, true))?;
            if begun.is_some_and(|commit| commit.count > 1) {
                return Ok(begun);
            }
        }
        Ok(Preamble::read(segments.record(place)?, place, seed, true))
    }

    /// The packed file of a commit that is not all at hand.
    fn packed(&self, commit: &Preamble<'a>) -> Result<Option<&'a Arc<Packed>>> {
        if commit.is_at_hand() {
            return Ok(None);
        }
        let segments = &self.log.segments;
        segments.packed(segments.number_of(commit.place))
    }
}

#[inline]
pub(crate) fn view<'a>(commit: &Preamble<'a>, event: &Stored<'a>) -> EventView<'a> {
    EventView {
        position: event.position,
        commit: commit.head.position,
        version: event.version,
        stream: event.stream,
        name: event.name,
        tags: event.tags,
        created: commit.head.created,
        data: event.data,
        meta: commit.meta,
    }
}

impl Log {
    /// The text of a key.
    pub fn text(&self, key: u32) -> Result<&str> {
        self.reading(|index| index.key(key))?.text(&self.segments)
    }

    /// Have at hand what is packed of the events at these positions, in order, of which one after the other is to be read.
    pub(crate) fn unpack_ahead(&self, index: &Index, positions: &[u64]) -> Result<()> {
        let Some(first) = positions.first() else { return Ok(()) };
        // Files are packed from the first on.
        if self.segments.packed(self.segments.number_of(index.place(*first)?))?.is_some() {
            let mut places = Vec::with_capacity(positions.len());
            index.each_place(positions, |_, place| {
                places.push(place);
                Ok(())
            })?;
            self.segments.unpack_ahead(&places);
        }
        Ok(())
    }

    /// The version of a stream: how many events it has; 0 when there is none.
    pub fn version(&self, stream: &str) -> Result<u64> {
        names::check("stream", stream)?;
        let head = self.head()?;
        self.reading(|index| match index.find(KeyKind::Stream, stream)? {
            Some((_, key)) => index.count_up_to(&key, head),
            None => Ok(0),
        })
    }

    /// The events of a stream with after < version < before, at most `limit` of them.
    pub fn load(&self, stream: &str, after: u64, before: Option<u64>, limit: usize) -> Result<Page<'_>> {
        names::check("stream", stream)?;
        let head = self.head()?;
        self.reading(|index| self.load_with(index, stream, after, before, limit, head))
    }

    fn load_with(
        &self,
        index: &Index,
        stream: &str,
        after: u64,
        before: Option<u64>,
        limit: usize,
        head: u64,
    ) -> Result<Page<'_>> {
        let end = Page { events: Vec::new(), next: None };
        let Some((number, key)) = index.find(KeyKind::Stream, stream)? else {
            return Ok(end);
        };
        let visible = index.count_up_to(&key, head)?;
        let last = before.map_or(visible, |before| visible.min(before.saturating_sub(1)));
        if after >= last || limit == 0 {
            return Ok(end);
        }
        let page_last = last.min(after.saturating_add(limit as u64));
        let mut positions = Vec::with_capacity((page_last - after) as usize);
        index.postings(&key, after + 1, page_last, &mut positions)?;
        self.unpack_ahead(index, &positions)?;
        let mut events = Vec::with_capacity(positions.len());
        let mut reader = Reader::new(self);
        let mut bytes = 0;
        let mut version = after;
        index.each_place(&positions, |position, place| {
            if bytes > PAGE_BYTES_MAX {
                return Ok(());
            }
            version += 1;
            let event = reader.event(place, position)?;
            if event.stream != number || event.version != version {
                return Err(Error::index_damaged(crate::index::FOLDER, 0));
            }
            bytes += event.data.len();
            events.push(event);
            Ok(())
        })?;
        Ok(Page { events, next: (version < last).then_some(version) })
    }
}
