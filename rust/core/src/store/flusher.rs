//! Threads that wait for a flush, and one that flushes for them as long as there are any: between its flushes the disk never
//! waits for a thread to wake up.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::error::Result;

/// Threads of this process that wait until their commits are published, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<Vec<Waiter>>);

#[derive(Debug)]
struct Waiter {
    position: u64,
    thread: Thread,
}

impl Waiters {
    fn all(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleep until another thread says that `position` is published, or for so long at most; not at all if there is nothing to
    /// wait for. Whoever wakes up has to let the next go.
    pub(crate) fn wait(&self, position: u64, patience: Duration, in_vain: impl FnOnce() -> Result<bool>) -> Result<()> {
        let thread = thread::current();
        let id = thread.id();
        self.all().push(Waiter { position, thread });
        // Said before it is looked at, while others look who waits after they have published: one sees the other.
        let outcome = in_vain().map(|in_vain| {
            if !in_vain {
                thread::park_timeout(patience);
            }
        });
        self.all().retain(|waiter| waiter.thread.id() != id);
        outcome
    }

    /// Wake the first of those whose commits are published. One at a time: they would only get in each other's way.
    pub(crate) fn let_go(&self, published: u64) {
        let mut all = self.all();
        if let Some(at) = all.iter().position(|waiter| waiter.position <= published) {
            let waiter = all.remove(at);
            drop(all);
            waiter.thread.unpark();
        }
    }

    /// Whether there are any whose commits are not published yet.
    pub(crate) fn behind(&self, published: u64) -> bool {
        self.all().iter().any(|waiter| waiter.position > published)
    }

    /// Wake all of them, to see for themselves.
    pub(crate) fn wake_all(&self) {
        self.all().iter().for_each(|waiter| waiter.thread.unpark());
    }
}

/// What a flusher works for.
pub(crate) trait Flushes: Send + Sync {
    /// Flush for those who wait; whether more of them have come meanwhile.
    fn flush_for_waiters(&self) -> bool;
}

/// The log that there is to flush, as long as anybody has it.
type Flushed = Weak<dyn Flushes>;

#[derive(Default)]
struct Wishes {
    log: Mutex<Option<Flushed>>,
    stop: AtomicBool,
}

/// A thread that flushes. It starts with the first wish and ends with its handle.
#[derive(Default)]
pub(crate) struct Flusher {
    wishes: Arc<Wishes>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Debug for Flusher {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Flusher").finish_non_exhaustive()
    }
}

impl Wishes {
    fn log(&self) -> MutexGuard<'_, Option<Flushed>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Flusher {
    /// Ask for flushes of a log until nobody waits for one. False when there is nobody to do it.
    pub(crate) fn want(&self, log: Flushed) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if self.wishes.stopped() || log.strong_count() == 0 {
            return false;
        }
        *self.wishes.log() = Some(log);
        if let Some(thread) = &*thread {
            thread.thread().unpark();
            return true;
        }
        let wishes = Arc::clone(&self.wishes);
        let fresh = thread::Builder::new().name("act-fast-flusher".to_owned());
        *thread = fresh.spawn(move || work(&wishes)).ok();
        thread.is_some()
    }

    /// End the thread.
    pub(crate) fn stop(&self) {
        self.wishes.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread itself may hold the last reference to the log.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn work(wishes: &Wishes) {
    while !wishes.stopped() {
        let Some(log) = wishes.log().take() else {
            thread::park();
            continue;
        };
        while !wishes.stopped() && log.upgrade().is_some_and(|log| log.flush_for_waiters()) {}
    }
}
