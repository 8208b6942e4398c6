//! A store in numbers.

use crate::error::Result;
use crate::recovery::recover::Recovered;
use crate::store::log::Log;

/// The part of a log whose files have one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many files.
    pub segments: u64,
    /// How many events they have.
    pub events: u64,
    /// How many bytes of log they are, as it was written.
    pub log_bytes: u64,
    /// How many bytes they take here.
    pub here_bytes: u64,
    /// How many bytes they take in the archive.
    pub there_bytes: u64,
}

/// A store in numbers.
#[derive(Clone, Debug)]
pub struct Stats {
    /// How many events are published.
    pub events: u64,
    /// How many streams there are.
    pub streams: u64,
    /// How many bytes the log has, heads and all.
    pub log_bytes: u64,
    /// How many bytes the log has blocks for.
    pub allocated_bytes: u64,
    /// How many bytes the log takes: less than it has blocks for, where files of it are compressed.
    pub disk_bytes: u64,
    /// What is as it was written.
    pub hot: Share,
    /// What is compressed.
    pub compressed: Share,
    /// What is archived.
    pub archived: Share,
    /// How many bytes of compressed log files this handle has unpacked in memory.
    pub unpacked_bytes: u64,
    /// How many bytes the index has blocks for.
    pub index_bytes: u64,
    /// How many log files there are.
    pub segments: u64,
    /// The size of a full log file.
    pub segment_bytes: u64,
    /// `created` of the last event, in µs since 1970; None while there is none.
    pub last_created: Option<i64>,
    /// When the log was flushed last, in ms since 1970; None when it never was.
    pub flushed_at_ms: Option<u64>,
    /// How many bytes of the log would survive a power cut.
    pub flushed_bytes: u64,
    /// What opening this handle had to put right.
    pub recovered: Option<Recovered>,
}

impl Log {
    /// The store in numbers.
    pub fn stats(&self) -> Result<Stats> {
        let events = self.head()?;
        let state = self.control.log_state()?;
        let tail = state.tail;
        let index_bytes = self.reading(crate::index::Index::bytes)?;
        let segments = self.segments.number_of(tail) + 1;
        let allocated = self.control.allocated()?;
        let (mut compressed, mut archived) = (Share::default(), Share::default());
        let mut last_position = 0;
        // Files that are replaced are replaced from the first on.
        while compressed.segments + archived.segments < segments
            && let Some(packed) = self.segments.packed(compressed.segments + archived.segments)?
        {
            let share = if packed.absent.is_some() { &mut archived } else { &mut compressed };
            share.segments += 1;
            share.events += packed.contents.last_position.saturating_sub(last_position);
            share.log_bytes += packed.contents.plain_bytes;
            share.here_bytes += packed.raw().len() as u64;
            share.there_bytes += packed.absent.as_ref().map_or(0, |absent| absent.stub.object_bytes);
            last_position = packed.contents.last_position;
        }
        let replaced = compressed.segments + archived.segments;
        let replaced_bytes = replaced * self.segments.segment_bytes;
        let hot = Share {
            segments: segments - replaced,
            events: events.saturating_sub(last_position),
            log_bytes: tail.saturating_sub(replaced_bytes),
            here_bytes: allocated.saturating_sub(replaced_bytes),
            there_bytes: 0,
        };
        Ok(Stats {
            events,
            streams: self.stream_count()?,
            log_bytes: tail,
            allocated_bytes: allocated,
            disk_bytes: hot.here_bytes + compressed.here_bytes + archived.here_bytes,
            hot,
            compressed,
            archived,
            unpacked_bytes: self.handle.unpacked_bytes(),
            index_bytes,
            segments,
            segment_bytes: self.segments.segment_bytes,
            last_created: (events > 0).then_some(state.created),
            flushed_at_ms: Some(self.control.flushed_at()?).filter(|at| *at > 0),
            flushed_bytes: self.control.synced()?,
            recovered: self.handle.recovered.clone(),
        })
    }
}
