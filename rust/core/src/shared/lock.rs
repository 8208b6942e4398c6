//! A lock in shared memory that survives its owner: the word names the owner's slot, waiters sleep on it, and one who
//! has waited for long looks whether the owner is still alive, and takes the lock over if not.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use act_fast_sys::{futex_wait, futex_wake_all};

use crate::disk::Disk;
use crate::shared::handles;

const AWAITED: u32 = 1 << 31;
const SPINS_MAX: u32 = 100;
/// How long one waits before looking whether the owner is alive.
const PATIENCE: Duration = Duration::from_millis(10);

thread_local! {
    /// How many locks this thread holds.
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread holds a lock that others may be waiting for.
pub(crate) fn held() -> bool {
    HELD.get() > 0
}

/// A lock word, and who wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lock<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) disk: &'a dyn Disk,
    /// The slot of the handle that wants it.
    pub(crate) slot: u32,
}

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    word: &'a AtomicU32,
    /// The lock was taken from an owner who died with it: what it guards may be half done.
    pub(crate) inherited: bool,
    /// Held by the thread that took it.
    _of_thread: PhantomData<*const ()>,
}

impl<'a> Lock<'a> {
    fn guard(&self, inherited: bool) -> Guard<'a> {
        HELD.set(HELD.get() + 1);
        Guard { word: self.word, inherited, _of_thread: PhantomData }
    }

    #[inline]
    pub(crate) fn try_take(&self) -> Option<Guard<'a>> {
        self.word
            .compare_exchange(0, self.slot + 1, Ordering::SeqCst, Ordering::Relaxed)
            .ok()
            .map(|_| self.guard(false))
    }

    /// Whether the handle that wants it has it, by whichever thread.
    pub(crate) fn is_own(&self) -> bool {
        self.word.load(Ordering::SeqCst) & !AWAITED == self.slot + 1
    }

    #[inline]
    pub(crate) fn take(&self) -> Guard<'a> {
        for _ in 0..SPINS_MAX {
            if let Some(guard) = self.try_take() {
                return guard;
            }
            std::hint::spin_loop();
        }
        self.take_by_waiting()
    }

    fn take_by_waiting(&self) -> Guard<'a> {
        // A thread that has slept cannot know whether others sleep, so it takes the lock with the mark of being
        // awaited.
        let mine = (self.slot + 1) | AWAITED;
        loop {
            if self.word.compare_exchange(0, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                return self.guard(false);
            }
            let seen = self.word.fetch_or(AWAITED, Ordering::SeqCst) | AWAITED;
            if seen == AWAITED {
                // Freed in between; the mark alone does not hold the lock.
                if self.word.compare_exchange(AWAITED, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                    return self.guard(false);
                }
                continue;
            }
            futex_wait(self.word, seen, Some(PATIENCE));
            if self.word.load(Ordering::SeqCst) == seen && self.take_over(seen) {
                return self.guard(true);
            }
        }
    }

    /// Take the lock from `seen`'s owner, if that one is dead.
    fn take_over(&self, seen: u32) -> bool {
        let owner = (seen & !AWAITED) - 1;
        if owner == self.slot {
            return false;
        }
        // Its slot stays free until the lock is taken: a newcomer in it would take the lock for one that it inherits.
        let Some(_dead) = handles::keep_free(self.disk, owner) else {
            return false;
        };
        let mine = (self.slot + 1) | AWAITED;
        self.word.compare_exchange(seen, mine, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Take the lock if the word says that this very slot holds it. Right after the slot was taken, this means that the
    /// process that had the slot before has died.
    pub(crate) fn take_legacy(&self) -> Option<Guard<'a>> {
        let seen = self.word.load(Ordering::SeqCst);
        (seen & !AWAITED == self.slot + 1).then(|| self.guard(true))
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
        if self.word.swap(0, Ordering::SeqCst) & AWAITED != 0 {
            futex_wake_all(self.word);
        }
    }
}
