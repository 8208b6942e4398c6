//! Flushing and publishing. One flush serves everybody who has written before it began: the writer's lock is not held
//! while it runs, so commits gather behind it and share the next one, across threads and processes.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use act_fast_sys::{futex_wait, futex_wake_all};

use crate::error::{Error, Result};
use crate::fault;
use crate::log::segments;
use crate::shared::control;
use crate::shared::lock::Guard;
use crate::store::flusher::Flushes;
use crate::store::log::Log;

/// How long one waits for another's flush before looking whether that one is alive.
const PATIENCE: Duration = Duration::from_millis(20);

impl Log {
    /// Return when everything written so far would survive a power cut.
    pub fn flush(&self) -> Result<()> {
        self.check_writable()?;
        // What was acknowledged is in the index; what else is written may be its dead writer's, and is put right first.
        if self.control.indexed()? != self.control.log_state()?.tail {
            drop(self.lock_writer()?);
        }
        let wanted = self.control.indexed()?;
        while self.control.synced()? < wanted {
            self.check_flushable()?;
            let guard = self.flush_lock().take();
            if self.control.synced()? < wanted {
                self.flush_holding(&guard)?;
            }
            drop(guard);
            self.announce();
        }
        Ok(())
    }

    /// Have what is written flushed within the interval; now, where there is no thread to do it later.
    #[inline]
    pub(crate) fn flush_soon(&self) -> Result<()> {
        if self.handle.housekeeper.want_flush() { Ok(()) } else { self.flush() }
    }

    /// Return when the commit that ends with `position` is flushed and published.
    pub(crate) fn flush_up_to(&self, position: u64) -> Result<()> {
        let outcome = self.await_flush(position);
        self.let_next_go();
        outcome
    }

    fn await_flush(&self, position: u64) -> Result<()> {
        loop {
            if self.control.published()? >= position {
                return Ok(());
            }
            self.check_flushable()?;
            let lock = self.flush_lock();
            if let Some(guard) = lock.try_take() {
                let outcome = self.flush_holding(&guard);
                drop(guard);
                self.announce();
                self.hand_over(outcome.is_ok());
                outcome?;
                continue;
            }
            if lock.is_own() {
                // Another thread of this process flushes.
                let in_vain = || Ok(!lock.is_own() || self.control.published()? >= position);
                self.handle.waiters.wait(position, PATIENCE, in_vain)?;
                continue;
            }
            self.control.awaited().store(1, Ordering::SeqCst);
            let seen = self.control.news().load(Ordering::SeqCst);
            if self.control.published()? >= position {
                return Ok(());
            }
            if self.control.flush_lock().load(Ordering::SeqCst) == 0 {
                continue;
            }
            futex_wait(self.control.news(), seen, Some(PATIENCE));
            if self.control.news().load(Ordering::SeqCst) == seen {
                // Nothing has happened for long: take the lock by waiting, which finds out whether its owner is dead.
                let guard = lock.take();
                let outcome = self.flush_holding(&guard);
                drop(guard);
                self.announce();
                self.hand_over(outcome.is_ok());
                outcome?;
            }
        }
    }

    /// Have others see to those who wait for a flush that has not begun yet.
    fn hand_over(&self, flushed: bool) {
        let waiters = &self.handle.waiters;
        let seen_to = flushed
            && self
                .control
                .published()
                .is_ok_and(|published| !waiters.behind(published) || self.handle.flusher.want(self.handle.current()));
        if !seen_to {
            waiters.wake_all();
        }
    }

    /// Let the next thread go whose commit is published.
    fn let_next_go(&self) {
        if let Ok(published) = self.control.published() {
            self.handle.waiters.let_go(published);
        }
    }

    /// Flush all that is in the index, then publish it. What is written but not yet there is its writer's to flush.
    fn flush_holding(&self, _guard: &Guard<'_>) -> Result<()> {
        // Whoever had the lock before may have failed.
        self.check_flushable()?;
        self.check_in_place()?;
        let position = self.control.indexed_position()?;
        let tail = self.control.indexed()?;
        let synced = self.control.synced()?;
        if tail > synced {
            for number in self.segments.numbers(synced, tail) {
                // Where this process may not have it open, another one may: that is no failure of the store.
                let file = self.segments.file(number)?;
                fault::point();
                if let Err(error) = segments::flush(number, &file) {
                    // After a failed flush nobody knows what is on disk, and asking again may be answered with a lie.
                    self.control.set_flag(control::FAILED, true)?;
                    return Err(Error::Failed(format!(
                        "{error}; the store takes no more appends, and you can still read. Close every handle on it and open it \
                         again: what was acknowledged is there"
                    )));
                }
            }
            fault::point();
            // While this was under way, that of new room may have failed.
            self.check_flushable()?;
            self.control.set_synced(tail);
            self.control.set_flushed_at(now_ms());
            self.segments.let_go_below(self.segments.number_of(tail));
        }
        self.control.publish(position);
        fault::point();
        Ok(())
    }

    /// Wake whoever waits for news.
    #[inline]
    pub(crate) fn announce(&self) {
        if self.control.awaited().load(Ordering::SeqCst) != 0 && self.control.awaited().swap(0, Ordering::SeqCst) != 0 {
            self.control.news().fetch_add(1, Ordering::SeqCst);
            futex_wake_all(self.control.news());
        }
    }
}

impl Flushes for Log {
    fn flush_for_waiters(&self) -> bool {
        let behind = || Ok(self.handle.waiters.behind(self.control.published()?));
        let guard = self.flush_lock().take();
        let outcome = behind().and_then(|behind| if behind { self.flush_holding(&guard) } else { Ok(()) });
        drop(guard);
        self.announce();
        self.let_next_go();
        outcome.and_then(|()| behind()).unwrap_or_else(|_| {
            // They see to it themselves, and what is wrong.
            self.handle.waiters.wake_all();
            false
        })
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}
