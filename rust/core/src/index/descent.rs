//! Going down a key's positions, from the newest to older ones.

use crate::error::Result;

use super::key::Key;
use super::postings::{self, FIRST_START};
use super::{Index, postings::chunk_end};

/// Stands at one of a key's positions, and goes down from there. A step to a position near by takes a look or two however
/// many positions the key has; one far away takes as many as halving takes.
#[derive(Debug)]
pub(crate) struct Descent<'a> {
    index: &'a Index,
    key: Key,
    /// The chunk that the ordinal is in, and the ordinal that it starts with.
    chunk: u64,
    start: u64,
    /// Where it stands: 0 below the first.
    ordinal: u64,
    position: u64,
}

impl<'a> Descent<'a> {
    /// At the newest.
    pub(crate) fn new(index: &'a Index, key: &Key) -> Self {
        let Key { chunk, chunk_start: start, count: ordinal, last: position, .. } = *key;
        Self { index, key: *key, chunk, start, ordinal, position }
    }

    /// Which of the key's positions it stands at, counted from 1; 0 below all of them.
    pub(crate) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Go down to the newest at or below a position, and answer it; 0 when there is none.
    pub(crate) fn at_or_below(&mut self, position: u64) -> Result<u64> {
        if self.position <= position {
            return Ok(self.position);
        }
        if position < self.key.first {
            (self.ordinal, self.position) = (0, 0);
            return Ok(0);
        }
        // All from `high` on are above. There are at least two, so there is a chunk.
        let (mut high, mut step) = (self.ordinal, 1);
        loop {
            while high > self.start {
                let probe = high.saturating_sub(step).max(self.start);
                let found = self.posting(probe)?;
                if found <= position {
                    return self.between(probe, found, high, position);
                }
                (high, step) = (probe, step * 2);
            }
            if self.start == FIRST_START {
                (self.ordinal, self.position) = (1, self.key.first);
                return Ok(self.position);
            }
            (self.chunk, self.start) = self.index.chunk_before(self.chunk, self.start)?;
            if chunk_end(self.start) != high {
                return Err(self.index.damaged(super::POSTINGS, self.chunk));
            }
        }
    }

    /// Stand at the newest at or below a position: from `low` on, and before `high`, in one chunk.
    fn between(&mut self, mut low: u64, mut found: u64, mut high: u64, position: u64) -> Result<u64> {
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let there = self.posting(middle)?;
            if there <= position { (low, found) = (middle, there) } else { high = middle }
        }
        (self.ordinal, self.position) = (low, found);
        Ok(found)
    }

    /// The position at an ordinal of the chunk.
    fn posting(&self, ordinal: u64) -> Result<u64> {
        let (line, at) = postings::slot(self.start, ordinal);
        Ok(postings::entry(&self.index.read(&self.index.postings, self.chunk + line)?, at))
    }
}
