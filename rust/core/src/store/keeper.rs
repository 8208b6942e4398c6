//! The thread that compresses log files once nothing is written to them any more, where that was asked for. It starts when
//! the store is opened, and ends with its handle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long it is until another look, should another process end a log file, or be compressing just now.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same, when it has failed again and again.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// An error once what is being done is to end.
pub(super) type GoOn<'a> = dyn Fn() -> Result<()> + Sync + 'a;

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

#[derive(Debug, Default)]
pub(crate) struct Keeper {
    wishes: Arc<Wishes>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Have the thread, which does `work` whenever there may be some, until that says None. Where the system refuses one,
    /// nothing is done.
    pub(super) fn start(&self, work: impl FnMut(&GoOn<'_>) -> Option<Result<()>> + Send + 'static) {
        let wishes = Arc::clone(&self.wishes);
        let fresh = thread::Builder::new().name("act-fast-keeper".to_owned());
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = fresh.spawn(move || keep(&wishes, work)).ok();
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

fn keep(wishes: &Wishes, mut work: impl FnMut(&GoOn<'_>) -> Option<Result<()>>) {
    let mut pause = LOOK_EVERY;
    while wishes.go_on().is_ok() {
        let Some(outcome) = work(&|| wishes.go_on()) else { return };
        pause = match outcome {
            // What is damaged, or has no room, may be put right: that is told by whoever reads, writes or verifies.
            Err(error) if !matches!(error, Error::Locked(_)) => (pause * 2).min(PAUSE_MAX),
            _ => LOOK_EVERY,
        };
        wishes.rest(pause);
    }
}
