//! What became of proposals: which are in the log, and what stood in the way of the others.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::index::Index;
use crate::log::record::{KeyKind, Proposed};
use crate::names;
use crate::store::log::Log;

/// A commit of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which proposal of the record it was.
    pub index: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// The position of its last event.
    pub last_position: u64,
}

impl Log {
    /// Which proposal the last commit was that readers see; the default where there is none.
    pub fn origin(&self) -> Result<Proposed> {
        self.check_replica()?;
        let head = self.head()?;
        if head == 0 {
            return Ok(Proposed::default());
        }
        self.reading(|index| Ok(self.commit_of(index, head)?.proposed))
    }

    /// The place up to which all records have been applied, as far as is known.
    pub fn applied(&self) -> Result<u64> {
        self.check_open()?;
        self.check_replica()?;
        self.control.applied()
    }

    /// Sleep until the record at a place has been applied, for `timeout` at most; how far it is either way. May return early: look
    /// again.
    pub fn wait_applied(&self, place: u64, timeout: Duration) -> Result<u64> {
        let seen = self.expect_news();
        let applied = self.applied()?;
        if applied >= place || timeout.is_zero() {
            return Ok(applied);
        }
        // Where this process may not even say that it waits, it looks now and then.
        let nap = if self.control.writable() { timeout } else { timeout.min(Duration::from_millis(10)) };
        self.wait_news(seen, nap)?;
        self.applied()
    }

    /// The commits that came from the record at a place, in order.
    pub fn settled(&self, place: u64) -> Result<Vec<Settled>> {
        self.check_replica()?;
        let head = self.head()?;
        self.reading(|index| {
            let mut settled = Vec::new();
            let mut next = self.last_before(index, head, Proposed { place, index: 0 })? + 1;
            while next <= head {
                let commit = self.commit_of(index, next)?;
                if commit.proposed.place != place {
                    break;
                }
                let last_position = next + commit.count - 1;
                settled.push(Settled { index: commit.proposed.index, first_position: next, last_position });
                next = last_position + 1;
            }
            Ok(settled)
        })
    }

    /// The last position that came from a record at or before a place.
    pub fn position_at(&self, place: u64) -> Result<u64> {
        self.check_replica()?;
        let head = self.head()?;
        let beyond = Proposed { place: place.saturating_add(1), index: 0 };
        self.reading(|index| self.last_before(index, head, beyond))
    }

    /// The version that a stream had when a position was the last.
    pub fn version_at(&self, stream: &str, position: u64) -> Result<u64> {
        names::check("stream", stream)?;
        let position = position.min(self.head()?);
        self.reading(|index| match index.find(KeyKind::Stream, stream)? {
            Some((_, key)) => index.count_up_to(&key, position),
            None => Ok(0),
        })
    }

    /// The last position of a commit that comes from before a proposal; 0 when there is none. Looked for from the end, where it
    /// nearly always is.
    fn last_before(&self, index: &Index, head: u64, bound: Proposed) -> Result<u64> {
        let before = |position| Ok::<_, Error>(position == 0 || self.commit_of(index, position)?.proposed < bound);
        let (mut low, mut high, mut step) = (head, head + 1, 1);
        while !before(low)? {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if before(middle)? { low = middle } else { high = middle }
        }
        Ok(low)
    }
}
