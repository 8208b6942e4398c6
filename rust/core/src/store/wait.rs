//! Waiting for news: asleep on a word in shared memory until something is published, by whomever.

use std::sync::atomic::Ordering;
use std::time::Duration;

use act_fast_sys::{futex_wait, futex_wake_all};

use crate::error::Result;
use crate::store::log::Log;

impl Log {
    /// Sleep until the head is above `after`, for `timeout` at most; the head either way. May return early: look again.
    pub fn wait(&self, after: u64, timeout: Duration) -> Result<u64> {
        let head = self.head()?;
        if head > after || timeout.is_zero() {
            return Ok(head);
        }
        // Saying that one waits before looking again, while a publisher looks who waits after publishing: one of the two
        // sees the other.
        if self.control.writable() {
            self.control.awaited().store(1, Ordering::SeqCst);
        }
        let seen = self.control.news().load(Ordering::SeqCst);
        let head = self.head()?;
        if head > after {
            return Ok(head);
        }
        // Where this process may not even say that it waits, it looks now and then.
        let nap = if self.control.writable() { timeout } else { timeout.min(Duration::from_millis(10)) };
        futex_wait(self.control.news(), seen, Some(nap));
        self.head()
    }

    /// A number that changes with all news that somebody waits for.
    #[must_use]
    pub fn news(&self) -> u32 {
        self.control.news().load(Ordering::SeqCst)
    }

    /// Have the next publication change `news`; answers what it is now. Look for work after this, then wait: what comes
    /// in between is not slept through.
    #[must_use]
    pub fn expect_news(&self) -> u32 {
        if self.control.writable() {
            self.control.awaited().store(1, Ordering::SeqCst);
        }
        self.news()
    }

    /// Sleep until `news` is another number than `seen`, for `timeout` at most. May return early: look again.
    pub fn wait_news(&self, seen: u32, timeout: Duration) -> Result<u32> {
        self.check_open()?;
        if self.news() == seen && !timeout.is_zero() {
            futex_wait(self.control.news(), seen, Some(timeout));
        }
        Ok(self.news())
    }

    /// Have the next move of a target change a number; answers what it is now. Look how far targets are after this, then
    /// wait.
    #[must_use]
    pub fn expect_moves(&self) -> u32 {
        self.control.moves_awaited().store(1, Ordering::SeqCst);
        self.control.moves().load(Ordering::SeqCst)
    }

    /// Sleep until targets have moved on since `seen`, for `timeout` at most. May return early: look again.
    pub fn wait_moves(&self, seen: u32, timeout: Duration) -> Result<u32> {
        self.check_open()?;
        if self.control.moves().load(Ordering::SeqCst) == seen && !timeout.is_zero() {
            futex_wait(self.control.moves(), seen, Some(timeout));
        }
        Ok(self.control.moves().load(Ordering::SeqCst))
    }

    /// Targets have moved on: wake those who wait for that, and nobody else.
    pub fn moved(&self) {
        let awaited = self.control.moves_awaited();
        if awaited.load(Ordering::SeqCst) != 0 && awaited.swap(0, Ordering::SeqCst) != 0 {
            self.control.moves().fetch_add(1, Ordering::SeqCst);
            futex_wake_all(self.control.moves());
        }
    }

    /// Wake all who wait, whether there is news or not.
    pub fn wake(&self) {
        if self.control.writable() {
            self.control.news().fetch_add(1, Ordering::SeqCst);
            futex_wake_all(self.control.news());
        }
    }
}
