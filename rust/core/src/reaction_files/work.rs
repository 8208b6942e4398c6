//! Work: the positions of the events that concern a subscription, in order. The index's postings once more, with the
//! subscription's cell in the place of the key.

use crate::error::{Error, Result};
use crate::index::postings::{self, ChunkHead};
use crate::shared::line::{self, LINE_BYTES, Line};
use crate::shared::line_file::Grown;

use super::records::{Counts, Subscription};

#[derive(Debug)]
pub(crate) struct Work(Grown);

impl Work {
    pub(crate) fn new(file: Grown) -> Self {
        Self(file)
    }

    pub(crate) fn file(&self) -> &Grown {
        &self.0
    }

    /// Add positions, in order, to a subscription's work; those that it has already are left alone. The cell is the
    /// caller's to write, after this: it never speaks of work that is not there.
    pub(crate) fn add(
        &self,
        number: u32,
        subscription: &mut Subscription,
        positions: &[u64],
        counts: &mut Counts,
    ) -> Result<()> {
        let mut open: Option<(u64, Line)> = None;
        for position in positions {
            if *position <= subscription.last {
                continue;
            }
            let ordinal = subscription.count + 1;
            if ordinal == 1 {
                subscription.first = *position;
            } else {
                if subscription.chunk == 0 || ordinal == postings::chunk_end(subscription.chunk_start) {
                    self.close(&mut open)?;
                    open = Some(self.begin_chunk(number, subscription, ordinal, counts)?);
                }
                let (step, at) = postings::slot(subscription.chunk_start, ordinal);
                let wanted = subscription.chunk + step;
                if open.as_ref().is_none_or(|(at_line, _)| *at_line != wanted) {
                    self.close(&mut open)?;
                    open = Some((wanted, if at == 0 { [0; LINE_BYTES] } else { self.line(wanted)? }));
                }
                if let Some((_, content)) = &mut open {
                    postings::put_entry(content, at, *position);
                }
            }
            subscription.count = ordinal;
            subscription.last = *position;
        }
        self.close(&mut open)
    }

    fn begin_chunk(
        &self,
        number: u32,
        subscription: &mut Subscription,
        start: u64,
        counts: &mut Counts,
    ) -> Result<(u64, Line)> {
        let chunk = counts.work_lines.max(1);
        counts.work_lines = chunk + postings::chunk_lines(start);
        self.0.reserve(counts.work_lines)?;
        let mut content = [0; LINE_BYTES];
        let (before, before_start) = (subscription.chunk, subscription.chunk_start);
        ChunkHead { before, before_start, key: number }.write(&mut content);
        subscription.chunk = chunk;
        subscription.chunk_start = start;
        Ok((chunk, content))
    }

    fn close(&self, open: &mut Option<(u64, Line)>) -> Result<()> {
        if let Some((number, mut content)) = open.take() {
            self.0.put(number, &mut content)?;
        }
        Ok(())
    }

    /// The positions with ordinals `from..=to`, in order.
    pub(crate) fn positions(&self, subscription: &Subscription, from: u64, to: u64) -> Result<Vec<u64>> {
        let mut found = Vec::with_capacity((to + 1).saturating_sub(from) as usize);
        let mut ordinal = from;
        if ordinal == 1 && to >= 1 {
            found.push(subscription.first);
            ordinal = 2;
        }
        if ordinal > to {
            return Ok(found);
        }
        let mut chunks = vec![(subscription.chunk, subscription.chunk_start)];
        while let Some((chunk, start)) = chunks.last().copied().filter(|(_, start)| *start > ordinal) {
            let head = ChunkHead::read(&self.line(chunk)?);
            if head.before == 0 || head.before_start >= start {
                return Err(Error::index_damaged("reactions/work", chunk * LINE_BYTES as u64));
            }
            chunks.push((head.before, head.before_start));
        }
        for (chunk, start) in chunks.into_iter().rev() {
            let end = postings::chunk_end(start).min(to + 1);
            let mut read: Option<(u64, Line)> = None;
            while ordinal < end {
                let (number, at) = postings::slot(start, ordinal);
                let line = match &read {
                    Some((before, line)) if *before == number => line,
                    _ => &read.insert((number, self.line(chunk + number)?)).1,
                };
                let position = postings::entry(line, at);
                if position <= found.last().copied().unwrap_or(0) {
                    return Err(Error::index_damaged("reactions/work", (chunk + number) * LINE_BYTES as u64));
                }
                found.push(position);
                ordinal += 1;
            }
        }
        Ok(found)
    }

    /// How many lines there is room for: no work is further back.
    pub(crate) fn lines(&self) -> Result<u64> {
        self.0.lines()
    }

    /// Whether all that a subscription's work is said to be is there.
    pub(crate) fn is_sound(&self, subscription: &Subscription) -> bool {
        let positions = self.positions(subscription, 1, subscription.count);
        positions.is_ok_and(|positions| positions.last().copied().unwrap_or(0) == subscription.last)
    }

    /// Write the first lines of this work over those of another one.
    pub(crate) fn copy_to(&self, other: &Self, lines: u64) -> Result<()> {
        let lines = lines.min(self.0.lines()?);
        other.0.reserve(lines)?;
        for number in 1..lines {
            line::store(other.0.shared(number)?, &line::load(self.0.shared(number)?));
        }
        Ok(())
    }

    /// Derived work is not worth a flush.
    pub(crate) fn flush(&self) -> Result<()> {
        self.0.flush()
    }

    /// Whether a position is among a subscription's work.
    pub(crate) fn has(&self, subscription: &Subscription, position: u64) -> Result<bool> {
        if position < subscription.first || position > subscription.last {
            return Ok(false);
        }
        let ordinal = self.count_up_to(subscription, position)?;
        Ok(ordinal > 0 && self.positions(subscription, ordinal, ordinal)?.first() == Some(&position))
    }

    /// Under the lock no one changes a line, so an unsound one is damaged, or a process died while adding to it.
    fn line(&self, number: u64) -> Result<Line> {
        let content = line::load(self.0.shared(number)?);
        if line::sound(&content, self.0.address(number)) {
            Ok(content)
        } else {
            Err(Error::index_damaged("reactions/work", number * LINE_BYTES as u64))
        }
    }

    /// How many of a subscription's positions are up to `position`.
    pub(crate) fn count_up_to(&self, subscription: &Subscription, position: u64) -> Result<u64> {
        if subscription.count == 0 || position < subscription.first {
            return Ok(0);
        }
        if position >= subscription.last {
            return Ok(subscription.count);
        }
        let (mut low, mut high) = (1, subscription.count);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let found = self.positions(subscription, middle, middle)?;
            if found.first().is_some_and(|found| *found <= position) { low = middle } else { high = middle }
        }
        Ok(low)
    }
}
