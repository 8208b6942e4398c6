//! Postings: a key's positions in order, in chunks of lines that grow with the key. The first position of a key is kept
//! in the key itself; the second opens its first chunk.
//!
//! A chunk's first line holds a head (the chunk before, the ordinal that one starts with, the key) and nine positions;
//! its other lines hold twelve each. How many lines a chunk has follows from the ordinal it starts with.

use crate::bytes::{narrow_at, put_narrow, u32_at};
use crate::shared::line::{Line, number_at, put_number};

pub(crate) const FIRST_LINE_ENTRIES: u64 = 9;
pub(crate) const LINE_ENTRIES: u64 = 12;
pub(super) const ENTRY_BYTES: usize = 5;
const HEAD_BYTES: usize = 15;
/// Positions have 40 bits.
pub(crate) const POSITION_MAX: u64 = (1 << 40) - 1;
/// The ordinal that a key's first chunk starts with.
pub(crate) const FIRST_START: u64 = 2;

/// How many lines the chunk that starts with an ordinal has: an eighth of all before it.
#[inline]
pub(crate) fn chunk_lines(start: u64) -> u64 {
    (start / (8 * LINE_ENTRIES)).max(1)
}

/// The first ordinal beyond the chunk that starts with `start`.
#[inline]
pub(crate) fn chunk_end(start: u64) -> u64 {
    start + FIRST_LINE_ENTRIES + (chunk_lines(start) - 1) * LINE_ENTRIES
}

/// How many more lines a key needs for `more` events, given its count and the start of its youngest chunk (0: none).
pub(crate) fn lines_needed(count: u64, chunk_start: u64, more: u64) -> u64 {
    let last = count + more;
    let mut next = if chunk_start == 0 { FIRST_START } else { chunk_end(chunk_start) };
    let mut lines = 0;
    while next <= last {
        lines += chunk_lines(next);
        next = chunk_end(next);
    }
    lines
}

/// Which line of its chunk an ordinal is in, and where in that line.
#[inline]
pub(crate) fn slot(start: u64, ordinal: u64) -> (u64, usize) {
    let index = ordinal - start;
    if index < FIRST_LINE_ENTRIES {
        (0, HEAD_BYTES + index as usize * ENTRY_BYTES)
    } else {
        let rest = index - FIRST_LINE_ENTRIES;
        (1 + rest / LINE_ENTRIES, (rest % LINE_ENTRIES) as usize * ENTRY_BYTES)
    }
}

#[inline]
pub(crate) fn entry(line: &Line, at: usize) -> u64 {
    number_at::<ENTRY_BYTES>(line, at)
}

#[inline]
pub(crate) fn put_entry(line: &mut Line, at: usize, position: u64) {
    put_number::<ENTRY_BYTES>(line, at, position);
}

/// The head of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkHead {
    pub(crate) before: u64,
    pub(crate) before_start: u64,
    pub(crate) key: u32,
}

impl ChunkHead {
    pub(crate) fn write(&self, line: &mut Line) {
        put_narrow::<6>(line, 0, self.before);
        put_narrow::<5>(line, 6, self.before_start);
        put_narrow::<4>(line, 11, u64::from(self.key));
    }

    pub(crate) fn read(line: &Line) -> Self {
        Self { before: narrow_at::<6>(line, 0), before_start: narrow_at::<5>(line, 6), key: u32_at(line, 11) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_follow_each_other_without_gap_and_every_ordinal_has_a_slot_of_its_own() {
        let mut start = FIRST_START;
        for _ in 0..40 {
            let end = chunk_end(start);
            let mut seen = std::collections::BTreeSet::new();
            for ordinal in start..end.min(start + 5000) {
                let (line, at) = slot(start, ordinal);
                assert!(line < chunk_lines(start) && at + ENTRY_BYTES <= crate::shared::line::BODY_BYTES);
                assert!(seen.insert((line, at)), "ordinal {ordinal} shares its slot");
            }
            start = end;
        }
    }

    #[test]
    fn the_lines_foretold_are_those_that_appending_one_by_one_takes() {
        for more in [0, 1, 5, 100, 5000] {
            let (mut count, mut start, mut lines) = (0, 0, 0);
            for _ in 0..more {
                count += 1;
                let next = if start == 0 { FIRST_START } else { chunk_end(start) };
                if count >= FIRST_START && count == next {
                    start = next;
                    lines += chunk_lines(start);
                }
            }
            assert_eq!(lines_needed(0, 0, more), lines, "{more} events");
        }
    }
}
