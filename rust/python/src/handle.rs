//! What leads from a Python object to an open log, until that is closed or replaced.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use act_fast_core::{Error, fork_generation, watch_forks};
use pyo3::prelude::*;

use crate::errors::raised;

/// How long one sleeps before looking for signals that came in just before going to sleep.
pub(crate) const NAP: Duration = Duration::from_millis(500);
/// How long one sleeps where no signals are looked for.
const NIGHT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one waits for other threads of this process to come out of what they do with a store.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// What a handle leads to.
pub(crate) enum Standing {
    Open(Arc<act_fast_core::Log>),
    /// Released, to be opened again when a restored log has taken the place of this one, or has failed to.
    Replacing,
    Closed,
}

/// An open store, until it is closed.
#[derive(Clone)]
pub(crate) struct Handle {
    current: Arc<RwLock<Standing>>,
    /// In a forked child this differs from the number of forks: another thread may have held the lock then.
    forks: u32,
    /// For what was begun on one log: a restored one, opened in its place, is another.
    pinned: Option<Weak<act_fast_core::Handle>>,
}

impl Handle {
    pub(crate) fn new(log: Arc<act_fast_core::Log>) -> Self {
        Self { current: Arc::new(RwLock::new(Standing::Open(log))), forks: watch_forks(), pinned: None }
    }

    #[inline]
    pub(crate) fn get(&self) -> PyResult<Arc<act_fast_core::Log>> {
        self.opened().map_err(raised)
    }

    /// The same, for those who know nothing of Python.
    #[inline]
    pub(crate) fn opened(&self) -> act_fast_core::Result<Arc<act_fast_core::Log>> {
        let closed = |what: &str| Err(Error::Closed(what.to_owned()));
        if self.inherited() {
            return Err(Error::forked());
        }
        let fresh = match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(log) if self.is_of(log) => {
                let current = log.current();
                if Arc::ptr_eq(log, &current) {
                    return Ok(current);
                }
                current
            }
            Standing::Open(_) => {
                return closed("the log was replaced by a restored or rewritten one since this was begun; start again");
            }
            Standing::Replacing => {
                return closed(
                    "the log is being replaced by a restored or rewritten one; start again once that is done",
                );
            }
            Standing::Closed => return closed("this store was closed; open it again"),
        };
        // So that nothing holds on to what the old one has unpacked.
        let same =
            |standing: &Standing| matches!(standing, Standing::Open(log) if Arc::ptr_eq(log.handle(), fresh.handle()));
        drop(self.change(same, Standing::Open(Arc::clone(&fresh))));
        Ok(fresh)
    }

    /// Do something quick with the log, which is not closed or replaced meanwhile.
    #[inline]
    pub(crate) fn with<T>(&self, work: impl FnOnce(&act_fast_core::Log) -> T) -> PyResult<T> {
        if !self.inherited()
            && let Standing::Open(log) = &*self.current.read().unwrap_or_else(PoisonError::into_inner)
            && self.is_of(log)
            && !log.is_worn()
        {
            return Ok(work(log));
        }
        Ok(work(&*self.get()?))
    }

    #[inline]
    fn is_of(&self, log: &Arc<act_fast_core::Log>) -> bool {
        self.pinned.as_ref().is_none_or(|pinned| pinned.as_ptr() == Arc::as_ptr(log.handle()))
    }

    /// The same, for as long as the log is the one that is open now.
    pub(crate) fn pinned(&self) -> PyResult<Self> {
        Ok(Self { pinned: Some(Arc::downgrade(self.get()?.handle())), ..self.clone() })
    }

    /// Whether the log that this was pinned to has given way to another one, or is about to.
    pub(crate) fn is_replaced(&self) -> bool {
        if self.inherited() {
            return false;
        }
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(log) => !self.is_of(log),
            Standing::Replacing => true,
            Standing::Closed => false,
        }
    }

    /// Change what the handle leads to, if that is what it is expected to be; answers what it was.
    pub(crate) fn change(&self, expected: impl FnOnce(&Standing) -> bool, to: Standing) -> Option<Standing> {
        if self.inherited() {
            let mut current = self.current.try_write().ok()?;
            return expected(&current).then(|| std::mem::replace(&mut *current, to));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        expected(&current).then(|| std::mem::replace(&mut *current, to))
    }

    /// Sleep in the core, for so long at once, until what `wait` answers is enough or the time is over.
    pub(crate) fn sleep<T: Send>(
        &self,
        py: Python<'_>,
        timeout_ms: Option<u64>,
        nap: Duration,
        wait: impl Fn(&act_fast_core::Log, Duration) -> act_fast_core::Result<T> + Sync,
        enough: impl Fn(&T) -> bool,
    ) -> PyResult<T> {
        let handle = self.pinned()?;
        let deadline = timeout_ms.and_then(|limit| Instant::now().checked_add(Duration::from_millis(limit)));
        loop {
            let left = deadline.map_or(nap, |deadline| deadline.saturating_duration_since(Instant::now()));
            let log = handle.get()?;
            let found = py.detach(|| {
                let found = wait(&log, left.min(nap));
                drop(log);
                found
            });
            let found = found.map_err(raised)?;
            if enough(&found) || left.is_zero() {
                return Ok(found);
            }
            py.check_signals()?;
        }
    }

    /// Whether this process was forked from the one that opened the store.
    #[inline]
    fn inherited(&self) -> bool {
        self.forks != fork_generation()
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.inherited() && matches!(*self.current.read().unwrap_or_else(PoisonError::into_inner), Standing::Closed)
    }
}

/// How long to sleep at once for what wakes for certain: only the main thread is given signals, and has to look for them.
pub(crate) fn nap_here(py: Python<'_>) -> PyResult<Duration> {
    let threading = py.import("threading")?;
    let (here, main) = (threading.call_method0("get_ident")?, threading.call_method0("main_thread")?);
    Ok(if here.eq(main.getattr("ident")?)? { NAP } else { NIGHT })
}

/// Shut a log down, and wait a while until no thread uses it any more.
pub(crate) fn emptied(py: Python<'_>, log: Arc<act_fast_core::Log>) -> PyResult<()> {
    let left = Arc::downgrade(log.handle());
    py.detach(|| {
        log.wake();
        let outcome = log.shut_down();
        drop(log);
        outcome
    })
    .map_err(raised)?;
    let deadline = Instant::now() + RELEASE_PATIENCE;
    while left.strong_count() > 0 && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
        py.check_signals()?;
    }
    Ok(())
}
