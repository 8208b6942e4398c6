//! Walking whole records, each checked before anything of it is handed out.

use std::ops::Range;

use crate::error::Result;
use crate::index::Index;
use crate::log::record::{Kind, Preamble, Stored, sound};
use crate::store::log::Log;

/// Hand out the events of a range of positions in order, each with its commit, from whole and sound records, until `each` has
/// enough.
pub(crate) fn each_event<'a>(
    log: &'a Log,
    index: &Index,
    range: Range<u64>,
    each: impl FnMut(&Preamble<'a>, &Stored<'a>) -> Result<bool>,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let place = log.commit_place(index.place(range.start)?)?;
    each_event_from(log, place, range, each)
}

/// The same, where the commit of the first of them begins at `place`.
pub(crate) fn each_event_from<'a>(
    log: &'a Log,
    mut place: u64,
    range: Range<u64>,
    mut each: impl FnMut(&Preamble<'a>, &Stored<'a>) -> Result<bool>,
) -> Result<()> {
    let mut next = range.start;
    while next < range.end {
        let (bytes, kind) = log.sound_record(place, next)?;
        match kind {
            Kind::End => {
                place = log.segments.first_place(log.segments.number_of(place) + 1);
                continue;
            }
            Kind::Snapshot => {}
            Kind::Commit => {
                let at = next;
                let damaged = || log.segments.damaged(place, Some(at), "the commit here is damaged");
                let commit = Preamble::read(bytes, place, log.seed, false).ok_or_else(damaged)?;
                let (first, end) = (commit.head.position, commit.head.position + commit.count);
                if !(first..end).contains(&next) {
                    return Err(damaged());
                }
                let mut found = first;
                for event in commit.events() {
                    found += 1;
                    if event.position < next {
                        continue;
                    }
                    if next == range.end || !each(&commit, &event)? {
                        return Ok(());
                    }
                    next += 1;
                }
                if found != end {
                    return Err(damaged());
                }
            }
        }
        place += bytes.len() as u64;
    }
    Ok(())
}

impl Log {
    /// The record at a place, checked as a whole, and its kind.
    pub(crate) fn sound_record(&self, place: u64, position: u64) -> Result<(&[u8], Kind)> {
        let bytes = self.segments.record(place)?;
        let head = sound(bytes, place, self.seed)
            .ok_or_else(|| self.segments.damaged(place, Some(position), "the record here is damaged"))?;
        Ok((bytes, head.kind))
    }
}
