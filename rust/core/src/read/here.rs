//! Reading what is here of events, so that nothing is fetched: of archived ones all but their payloads and meta.

use std::sync::{Arc, PoisonError};

use crate::error::{Error, Result};
use crate::log::record::{KeyKind, Preamble, unchecked_event_at};
use crate::log::segments::Segments;
use crate::names::REWRITINGS;
use crate::read::event::{EventView, Reader, view};
use crate::store::log::{Log, commit_place};

/// Once so much was unpacked of stubs, it is let go of.
const UNPACKED_MAX_BYTES: u64 = 64 << 20;

/// Reads events by place, without their payloads and meta where they are archived.
#[derive(Debug)]
pub(crate) struct HereReader<'a> {
    log: &'a Log,
    reader: Reader<'a>,
}

impl<'a> HereReader<'a> {
    pub(crate) fn new(log: &'a Log) -> Self {
        Self { log, reader: Reader::new(log) }
    }

    /// What `take` makes of the event at a place, which must be the one with this position.
    pub(crate) fn event<T>(&mut self, place: u64, position: u64, take: impl FnOnce(&EventView<'_>) -> T) -> Result<T> {
        let segments = &self.log.segments;
        if !segments.is_archived(segments.number_of(place))? {
            return Ok(take(&self.reader.event(place, position)?));
        }
        let hollow = self.hollow();
        let damaged = || segments.damaged(place, Some(position), "the event here is not the one expected");
        let start = commit_place(&hollow, place)?;
        let commit = Preamble::read(hollow.record(start)?, start, self.log.seed, false).ok_or_else(damaged)?;
        let event = unchecked_event_at(&commit, (place - start) as usize, position).ok_or_else(damaged)?;
        Ok(take(&view(&commit, &event)))
    }

    /// The same files, hollow, as far as they were unpacked before.
    fn hollow(&self) -> Arc<Segments> {
        let mut known = self.log.hollow.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(hollow) if hollow.unpacked_bytes() <= UNPACKED_MAX_BYTES => Arc::clone(hollow),
            _ => Arc::clone(known.insert(Arc::new(self.log.segments.hollowed()))),
        }
    }
}

impl Log {
    /// The events that tell what was redacted and pruned, name and payload, without fetching them: stubs keep them whole.
    pub fn rewritings(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let head = self.head()?;
        self.reading(|index| {
            let Some((_, key)) = index.find(KeyKind::Stream, REWRITINGS)? else { return Ok(Vec::new()) };
            let count = index.count_up_to(&key, head)?;
            let mut positions = Vec::new();
            if count > 0 {
                index.postings(&key, 1, count, &mut positions)?;
            }
            let mut here = HereReader::new(self);
            let mut told = Vec::with_capacity(positions.len());
            for position in positions {
                let place = index.place(position)?;
                let (name, data) = here.event(place, position, |event| (event.name, event.data.to_vec()))?;
                told.push((index.text(&index.key(name)?)?.to_owned(), data));
            }
            Ok::<_, Error>(told)
        })
    }
}
