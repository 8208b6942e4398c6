//! The thread that compresses log files once nothing is written to them any more, where that was asked for. It starts when
//! the store is opened, and ends with its handle.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use act_fast_sys::give_way;

use crate::error::{Doing, Error, Result};

/// How long it is until another look, should another process end a log file, or be compressing just now.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same, when it has failed again and again.
const PAUSE_MAX: Duration = Duration::from_hours(1);
/// How often it looks, while another thread works for it, whether another process wants it to give way.
const GLANCE_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Wishes {
    look: AtomicBool,
    stop: AtomicBool,
    changed: Mutex<()>,
    wake: Condvar,
}

impl Wishes {
    fn wish(&self, wish: &AtomicBool) {
        wish.store(true, Ordering::SeqCst);
        self.notify();
    }

    fn notify(&self) {
        let _changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        self.wake.notify_all();
    }

    /// An error once the thread is to end.
    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::SeqCst) {
            return Err(Error::Closed("this store is being closed".to_owned()));
        }
        Ok(())
    }

    /// Sleep until there is something to do, for `pause` at most.
    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut guard = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        while self.go_on().is_ok() && !self.look.swap(false, Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            guard = self.wake.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Whether the work goes on, for those who do it.
#[derive(Clone)]
pub(super) struct GoOn {
    wishes: Arc<Wishes>,
    also: Arc<dyn Fn() -> Result<()> + Send + Sync>,
}

impl GoOn {
    fn new(wishes: &Arc<Wishes>) -> Self {
        Self { wishes: Arc::clone(wishes), also: Arc::new(|| Ok(())) }
    }

    /// The same, for as long as `also` agrees.
    pub(super) fn while_also(&self, also: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        Self { wishes: Arc::clone(&self.wishes), also: Arc::new(also) }
    }

    /// An error once the work is to end.
    pub(super) fn check(&self) -> Result<()> {
        self.wishes.go_on()?;
        (self.also)()
    }

    /// Do a part of the work on a thread that gives way to all others, and wait for it. Once the work is to end, the wait
    /// ends: on a machine that is busy, such a thread may need long for its next step. What it does must be its own affair,
    /// then: it goes on until it asks, and what it made is thrown away.
    pub(super) fn giving_way<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, outcome) = channel();
        let its = self.clone();
        let step = move || {
            give_way();
            let _told = Told(its.clone());
            let done = done; // which goes before who waits is woken, also by a panic
            let _ = done.send(work(&its));
        };
        let fresh = thread::Builder::new().name("act-fast-packing".to_owned());
        let thread = fresh.spawn(step).doing(|| "starting a thread".to_owned())?;
        let mut guard = self.wishes.changed.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match outcome.try_recv() {
                Ok(made) => return made,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => self.check()?,
            }
            // Another process wakes nothing here.
            let woken = self.wishes.wake.wait_timeout(guard, GLANCE_EVERY);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(guard);
        match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => Err(Error::Closed("a thread has ended before its work".to_owned())),
        }
    }
}

/// Wakes who waits for a thread when that is over, also by a panic.
struct Told(GoOn);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.wishes.notify();
    }
}

#[derive(Debug, Default)]
pub(crate) struct Keeper {
    wishes: Arc<Wishes>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Have the thread, which does `work` whenever there may be some, until that says None. Where the system refuses one,
    /// nothing is done.
    pub(super) fn start(&self, work: impl FnMut(&GoOn) -> Option<Result<()>> + Send + 'static) {
        let go_on = GoOn::new(&self.wishes);
        let fresh = thread::Builder::new().name("act-fast-keeper".to_owned());
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = fresh.spawn(move || keep(&go_on, work)).ok();
    }

    /// A log file has been ended.
    pub(super) fn look(&self) {
        self.wishes.wish(&self.wishes.look);
    }

    /// End the thread. What it is compressing stays as it is.
    pub(super) fn stop(&self) {
        self.wishes.wish(&self.wishes.stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread itself may hold the last reference to the log.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

fn keep(go_on: &GoOn, mut work: impl FnMut(&GoOn) -> Option<Result<()>>) {
    let mut pause = LOOK_EVERY;
    while go_on.check().is_ok() {
        let Some(outcome) = work(go_on) else { return };
        pause = match outcome {
            // What is damaged, or has no room, may be put right: that is told by whoever reads, writes or verifies.
            Err(error) if !matches!(error, Error::Locked(_)) => (pause * 2).min(PAUSE_MAX),
            _ => LOOK_EVERY,
        };
        go_on.wishes.rest(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_end_does_not_wait_for_what_gives_way_to_others() {
        let keeper = Keeper::default();
        let (began, has_begun) = channel();
        let (release, released) = channel::<()>();
        let (ended, has_ended) = channel();
        let mut part = Some((began, released, ended));
        keeper.start(move |go_on| {
            let (began, released, ended) = part.take()?;
            Some(go_on.giving_way(move |go_on| {
                began.send(()).unwrap();
                released.recv().unwrap();
                ended.send(go_on.check().is_err()).unwrap();
                Ok(())
            }))
        });
        has_begun.recv().unwrap();
        keeper.stop();
        release.send(()).unwrap();
        assert!(has_ended.recv().unwrap(), "it was not told that the work is over");
    }

    #[test]
    fn what_gives_way_to_others_ends_once_they_want_it_though_nothing_wakes_it() {
        let wanted = Arc::new(AtomicBool::new(false));
        let (seen, (release, released)) = (Arc::clone(&wanted), channel::<()>());
        let also = move || if seen.load(Ordering::SeqCst) { Err(Error::WouldWait) } else { Ok(()) };
        let outcome = GoOn::new(&Arc::default()).while_also(also).giving_way(move |_| {
            wanted.store(true, Ordering::SeqCst);
            let _ = released.recv();
            Ok(())
        });
        assert!(matches!(outcome, Err(Error::WouldWait)), "{outcome:?}");
        drop(release);
    }

    #[test]
    fn what_gives_way_hands_back_what_it_made_and_what_went_wrong() {
        let go_on = GoOn::new(&Arc::default());
        assert_eq!(go_on.giving_way(|_| Ok(7)).unwrap(), 7);
        assert!(matches!(go_on.giving_way::<()>(|_| Err(Error::WouldWait)), Err(Error::WouldWait)));
        let panics = || go_on.giving_way::<()>(|_| panic!("out of luck"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"out of luck"));
    }
}
