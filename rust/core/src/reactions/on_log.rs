//! Reactions on an embedded log: its files, which all processes of a machine share, and its words to wait on.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::segments;
use crate::read::event::{EventView, Reader};
use crate::read::query::Filter;
use crate::store::log::Log;

use super::Reactions;
use super::home::{Events, Home, Section, Texts, Wanted};
use crate::clock::Clock;

/// An embedded log, as reactions see it. No event is read through it, so it has none of its files open.
#[derive(Debug)]
pub struct OnLog(Arc<Log>);

impl OnLog {
    /// This log.
    #[must_use]
    pub fn new(log: &Log) -> Self {
        Self(log.unread())
    }
}

impl Reactions {
    /// Open what is kept of a store's reactions.
    pub fn open(log: &Arc<Log>) -> Result<Self> {
        Self::with_clock(log, Box::new(Arc::clone(&log.handle.clock)))
    }

    /// The same, with another clock.
    pub fn with_clock(log: &Arc<Log>, clock: Box<dyn Clock>) -> Result<Self> {
        Self::at(OnLog::new(log), clock)
    }
}

impl Home for OnLog {
    fn disk(&self) -> (&Arc<dyn Disk>, [u8; 16]) {
        (&self.0.disk, self.0.segments.store_id)
    }

    fn boot(&self) -> u64 {
        // Known since the store was opened.
        xxhash_rust::xxh3::xxh3_64(act_fast_sys::boot_id().unwrap_or_default().as_bytes()) >> 16
    }

    fn check(&self) -> Result<()> {
        self.0.check_writable()
    }

    #[inline]
    fn lock(&self) -> Result<Section<'_>> {
        let guard = self.0.reactions_lock().take();
        Ok(Section::of_lock(guard, self.0.head()?))
    }

    fn wake(&self) {
        self.0.wake();
    }

    fn moved(&self) {
        self.0.moved();
    }
}

impl Events for Log {
    fn head(&self) -> Result<u64> {
        Log::head(self)
    }

    fn events(&self, positions: &[u64]) -> Result<Vec<EventView<'_>>> {
        let mut events = Vec::with_capacity(positions.len());
        self.reading(|index| {
            events.clear();
            self.unpack_ahead(index, positions)?;
            let mut reader = Reader::new(self);
            index.each_place(positions, |position, place| {
                events.push(reader.event(place, position)?);
                Ok(())
            })
        })?;
        Ok(events)
    }

    fn events_of(&self, wanted: Wanted, limit: usize) -> Result<(Vec<EventView<'_>>, u64)> {
        let Wanted { names, items, from, to } = wanted;
        let names = items.is_none().then_some(names);
        let filter = Filter { names, items, after: from, before: Some(to + 1), ..Filter::default() };
        let mut query = self.query(&filter)?;
        loop {
            match query.next_page(self, limit)? {
                None => return Ok((Vec::new(), to)),
                Some(events) if events.is_empty() => {}
                Some(events) => {
                    let whole = events.len() < limit && query.next_page(self, 1)?.is_none();
                    let last = events.last().map_or(to, |event| event.position);
                    return Ok((events, if whole { to } else { last }));
                }
            }
        }
    }

    fn is_event_damaged(&self, error: &Error) -> bool {
        matches!(error, Error::Corrupt { file, .. } if file.starts_with(segments::FOLDER))
    }

    fn texts(&self) -> &dyn Texts {
        self
    }
}

impl Texts for Log {
    fn text(&self, key: u32) -> Result<&str> {
        Self::text(self, key)
    }
}
