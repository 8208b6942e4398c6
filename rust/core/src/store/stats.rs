//! A store in numbers.

use crate::error::Result;
use crate::recovery::recover::Recovered;
use crate::store::log::Log;

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
    /// How many log files are compressed.
    pub compressed_segments: u64,
    /// How many log files are archived.
    pub archived_segments: u64,
    /// How many bytes the index has blocks for.
    pub index_bytes: u64,
    /// How many log files there are.
    pub segments: u64,
    /// The size of a full log file.
    pub segment_bytes: u64,
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
        let tail = self.control.log_state()?.tail;
        let index_bytes = self.reading(crate::index::Index::bytes)?;
        let segments = self.segments.number_of(tail) + 1;
        let mut disk_bytes = self.control.allocated()?;
        let (mut compressed_segments, mut archived_segments) = (0, 0);
        // Files that are replaced are replaced from the first on.
        while compressed_segments + archived_segments < segments
            && let Some(packed) = self.segments.packed(compressed_segments + archived_segments)?
        {
            let of_form = if packed.absent.is_some() { &mut archived_segments } else { &mut compressed_segments };
            *of_form += 1;
            disk_bytes = (disk_bytes + packed.raw().len() as u64).saturating_sub(self.segments.segment_bytes);
        }
        Ok(Stats {
            events,
            streams: self.stream_count()?,
            log_bytes: tail,
            allocated_bytes: self.control.allocated()?,
            disk_bytes,
            compressed_segments,
            archived_segments,
            index_bytes,
            segments,
            segment_bytes: self.segments.segment_bytes,
            flushed_at_ms: Some(self.control.flushed_at()?).filter(|at| *at > 0),
            flushed_bytes: self.control.synced()?,
            recovered: self.handle.recovered.clone(),
        })
    }
}
