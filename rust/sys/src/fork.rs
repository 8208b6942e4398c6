//! Noticing that this process is a fork, and keeping the locks that files carry out of forked children.
//!
//! A lock on a file ends when its last descriptor is closed, so a child that inherits one would hold on to its parent's
//! lock. Every descriptor that may carry one is therefore registered, from the instant it is opened until it is closed: a
//! fork waits until no thread is between the two, and the child closes all that are registered before anything else.

use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static REGISTRY: Registry = Registry::new();
static INSTALL: Once = Once::new();

/// The descriptors that a child must not keep. A mutex of the system's own, since that may be let go of in the child.
struct Registry {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    descriptors: UnsafeCell<Vec<RawFd>>,
}

// SAFETY: the descriptors are reached only between `lock` and `unlock` (K2).
unsafe impl Sync for Registry {}

impl Registry {
    const fn new() -> Self {
        Self { mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER), descriptors: UnsafeCell::new(Vec::new()) }
    }

    fn lock(&self) {
        // SAFETY: the mutex is static, so it never moves, and was initialized before it was reached (K2).
        let outcome = unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        assert_eq!(outcome, 0, "the mutex of the guarded descriptors cannot be locked");
    }

    /// Only for the thread that has called `lock`, or the one that it has become in a forked child.
    fn unlock(&self) {
        // SAFETY: as for `lock`; this thread holds it (K2).
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }

    /// Do something with the descriptors while no other thread does, and no fork happens. `work` must not panic.
    fn with<T>(&self, work: impl FnOnce(&mut Vec<RawFd>) -> T) -> T {
        self.lock();
        // SAFETY: between `lock` and `unlock` (K2); `work` cannot reach the registry, so there is one reference at a time.
        let outcome = work(unsafe { &mut *self.descriptors.get() });
        self.unlock();
        outcome
    }
}

extern "C" fn before() {
    REGISTRY.lock();
}

extern "C" fn in_parent() {
    REGISTRY.unlock();
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the thread that forked holds the mutex, and is the only one in the child (K2).
    for descriptor in unsafe { &mut *REGISTRY.descriptors.get() }.drain(..) {
        // SAFETY: `close` may be called after a fork; the descriptor belongs to a `Guarded`, whose drop sees the new
        // generation and leaves it alone (K1).
        unsafe { libc::close(descriptor) };
    }
    REGISTRY.unlock();
}

/// Count the forks from now on; answers how many there have been.
#[must_use]
pub fn watch() -> u32 {
    INSTALL.call_once(|| {
        // SAFETY: registers handlers that only lock and unlock a mutex, touch what it guards, and call `close` (K1, K2).
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    generation()
}

/// How many forks lie between this process and the one that first watched: a change means "this is a child".
#[inline]
#[must_use]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// An open file that no forked child has, whatever the moment of the fork, so that a lock on it ends with the process that
/// took it.
#[derive(Debug)]
pub struct Guarded {
    file: Option<File>,
    generation: u32,
}

impl Guarded {
    /// Open a file, guarded from the instant that it is open.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let generation = watch();
        REGISTRY.with(|descriptors| {
            let file = open()?;
            descriptors.push(file.as_raw_fd());
            Ok(Self { file: Some(file), generation })
        })
    }

    /// The guarded file; None in a forked child.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        if self.generation == generation() { self.file.as_ref() } else { None }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.generation != generation() {
            // The child's handler has closed this descriptor already; closing it twice could hit another file.
            let _ = file.into_raw_fd();
            return;
        }
        // Said outright: a child that was just forked by other means than `fork` has the descriptor until it calls `exec`.
        let _ = file.unlock();
        REGISTRY.with(|descriptors| {
            if let Some(at) = descriptors.iter().position(|known| *known == file.as_raw_fd()) {
                descriptors.swap_remove(at);
            }
            drop(file);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Guarded {
        Guarded::open(|| File::open("/dev/null")).expect("an open file")
    }

    fn registered(descriptor: RawFd) -> bool {
        REGISTRY.with(|descriptors| descriptors.contains(&descriptor))
    }

    #[test]
    fn a_guarded_file_is_registered_for_as_long_as_it_is_open() {
        let many: Vec<Guarded> = (0..300).map(|_| open()).collect();
        let descriptors: Vec<RawFd> =
            many.iter().map(|guarded| guarded.file().expect("this is no child").as_raw_fd()).collect();
        assert!(descriptors.iter().all(|descriptor| registered(*descriptor)));
        drop(many);
        assert!(!descriptors.iter().any(|descriptor| registered(*descriptor)));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_not_registered() {
        let error = Guarded::open(|| Err(io::ErrorKind::NotFound.into())).expect_err("there is no such file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        drop(open());
    }
}
