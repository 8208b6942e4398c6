//! The thread that works ahead: blocks for the log before they are needed, and the flushes of `Durability::Interval`.
//! It starts with the first wish and ends with its handle.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Result;

/// What there is to do for an open store.
pub(crate) trait Chores: Debug + Send + Sync {
    /// Have blocks ahead of the tail.
    fn grow_ahead(&self) -> Result<()>;
    /// Flush what was written.
    fn flush(&self) -> Result<()>;
    /// Whether flushing may be tried again after it has failed.
    fn can_flush(&self) -> bool;
    /// How long a flush may wait.
    fn flush_interval(&self) -> Duration;
}

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
    log: Arc<Mutex<Weak<dyn Chores>>>,
    wishes: Arc<Wishes>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Housekeeper {
    pub(crate) fn new(log: Weak<dyn Chores>) -> Self {
        Self { log: Arc::new(Mutex::new(log)), wishes: Arc::new(Wishes::default()), thread: Mutex::new(None) }
    }

    /// Do the chores of another view of the same log from now on.
    pub(crate) fn work_for(&self, log: Weak<dyn Chores>) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    /// Ask for blocks ahead of the tail. Where nobody makes them ahead, they are made when they are needed.
    #[inline]
    pub(crate) fn want_growth(&self) {
        let _ = self.want(&self.wishes.growth);
    }

    /// Ask for a flush within the interval. False when there is nobody to do it.
    #[inline]
    #[must_use]
    pub(crate) fn want_flush(&self) -> bool {
        self.want(&self.wishes.flush)
    }

    #[inline]
    fn want(&self, wish: &AtomicBool) -> bool {
        if wish.load(Ordering::Relaxed) || wish.swap(true, Ordering::SeqCst) {
            return true;
        }
        let started = self.start();
        if started {
            self.wishes.notify();
        } else {
            wish.store(false, Ordering::SeqCst);
        }
        started
    }

    /// Have the thread. The system may refuse one, now or forever.
    fn start(&self) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (log, wishes) = (Arc::clone(&self.log), Arc::clone(&self.wishes));
            let fresh = thread::Builder::new().name("act-fast-housekeeper".to_owned());
            *thread = fresh.spawn(move || work(&log, &wishes)).ok();
        }
        thread.is_some()
    }

    /// End the thread. Answers whether that was done before.
    pub(crate) fn stop(&self) -> bool {
        let before = self.wishes.stop.swap(true, Ordering::SeqCst);
        self.wishes.notify();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread itself may hold the last reference to the log.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
        before
    }
}

fn work(log: &Mutex<Weak<dyn Chores>>, wishes: &Wishes) {
    let open = || log.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    let mut flush_at: Option<Instant> = None;
    while !wishes.stop.load(Ordering::SeqCst) {
        if wishes.growth.load(Ordering::SeqCst) {
            if let Some(log) = open() {
                // A failure comes back to the append that needs the room.
                let _ = log.grow_ahead();
            }
            wishes.growth.store(false, Ordering::SeqCst);
        }
        if flush_at.is_none() && wishes.flush.load(Ordering::SeqCst) {
            let interval = open().map(|log| log.flush_interval()).unwrap_or_default();
            flush_at = Some(Instant::now() + interval);
        }
        let left = flush_at.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            flush_at = None;
            wishes.flush.store(false, Ordering::SeqCst);
            // A failed flush marks the store as failed, which the next append reports. What this process may not do now,
            // because it has too many files open for example, it may be able to do later.
            if let Some(log) = open()
                && log.flush().is_err()
                && log.can_flush()
            {
                wishes.flush.store(true, Ordering::SeqCst);
            }
            continue;
        }
        let guard = wishes.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = |wish: &AtomicBool| wish.load(Ordering::SeqCst);
        if asked(&wishes.stop) || asked(&wishes.growth) || (flush_at.is_none() && asked(&wishes.flush)) {
            continue;
        }
        match left {
            Some(left) => drop(wishes.wake.wait_timeout(guard, left)),
            None => drop(wishes.wake.wait(guard)),
        }
    }
}
