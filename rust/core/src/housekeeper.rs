//! The thread that works ahead: blocks for the log before they are needed, and the flushes of `Durability::Interval`.
//! It starts with the first wish and ends with its handle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crate::append::growth_step;
use crate::error::Result;
use crate::log::Log;

#[derive(Debug, Default)]
struct Wishes {
    growth: AtomicBool,
    flush: AtomicBool,
    stop: AtomicBool,
    changed: Mutex<()>,
    wake: Condvar,
}

impl Wishes {
    fn notify(&self) {
        let _changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake.notify_all();
    }
}

#[derive(Debug)]
pub(crate) struct Housekeeper {
    log: Weak<Log>,
    wishes: Arc<Wishes>,
    thread: OnceLock<Mutex<Option<JoinHandle<()>>>>,
}

impl Housekeeper {
    pub(crate) fn new(log: Weak<Log>) -> Self {
        Self { log, wishes: Arc::new(Wishes::default()), thread: OnceLock::new() }
    }

    /// Ask for blocks ahead of the tail.
    #[inline]
    pub(crate) fn want_growth(&self) {
        self.want(&self.wishes.growth);
    }

    /// Ask for a flush within the interval.
    #[inline]
    pub(crate) fn want_flush(&self) {
        self.want(&self.wishes.flush);
    }

    #[inline]
    fn want(&self, wish: &AtomicBool) {
        if wish.load(Ordering::Relaxed) || wish.swap(true, Ordering::SeqCst) {
            return;
        }
        self.thread.get_or_init(|| {
            let (log, wishes) = (Weak::clone(&self.log), Arc::clone(&self.wishes));
            let thread = thread::Builder::new().name("act-fast-housekeeper".to_owned());
            // Without a thread, blocks are made when they are needed; only `Interval` flushes would be missed.
            Mutex::new(thread.spawn(move || work(&log, &wishes)).ok())
        });
        self.wishes.notify();
    }

    /// End the thread. Answers whether that was done before.
    pub(crate) fn stop(&self) -> bool {
        let before = self.wishes.stop.swap(true, Ordering::SeqCst);
        self.wishes.notify();
        if let Some(thread) = self.thread.get() {
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            // The thread itself may hold the last reference to the log.
            if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
                let _ = thread.join();
            }
        }
        before
    }
}

fn work(log: &Weak<Log>, wishes: &Wishes) {
    while !wishes.stop.load(Ordering::SeqCst) {
        if wishes.growth.load(Ordering::SeqCst) {
            if let Some(log) = log.upgrade() {
                // A failure comes back to the append that needs the room.
                let _ = log.grow_ahead();
            }
            wishes.growth.store(false, Ordering::SeqCst);
        }
        let interval = log.upgrade().map(|log| log.options.flush_interval).unwrap_or_default();
        let guard = wishes.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if wishes.stop.load(Ordering::SeqCst) || wishes.growth.load(Ordering::SeqCst) {
            continue;
        }
        if wishes.flush.load(Ordering::SeqCst) {
            let woken = wishes.wake.wait_timeout(guard, interval);
            drop(woken);
            if wishes.stop.load(Ordering::SeqCst) {
                return;
            }
            wishes.flush.store(false, Ordering::SeqCst);
            if let Some(log) = log.upgrade() {
                // A failure marks the store as failed, which the next append reports.
                let _ = log.flush();
            }
        } else {
            drop(wishes.wake.wait(guard));
        }
    }
}

impl Log {
    /// Have blocks ahead of the tail: more in this segment, and the next segment when this one comes to its end.
    fn grow_ahead(&self) -> Result<()> {
        let allocated = self.control.allocated()?;
        let tail = self.control.log_state()?.tail;
        let segment_bytes = self.segments.segment_bytes;
        let step = growth_step(segment_bytes, allocated);
        let number = self.segments.number_of(tail);
        let segment_end = (number + 1) * segment_bytes;
        if allocated < segment_end && allocated.saturating_sub(tail) < step {
            self.grow((allocated + step).min(segment_end))?;
            if self.writes_mapped() {
                self.segments.populate(allocated, self.control.allocated()?.min(segment_end))?;
            }
        }
        if segment_end - tail < 2 * step {
            self.make_segment(number + 1)?;
        }
        Ok(())
    }
}
