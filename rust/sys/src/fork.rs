//! Noticing that this process is a fork, and letting go of the locks that the fork inherited.

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

const GUARDED_MAX: usize = 4096;

static GENERATION: AtomicU32 = AtomicU32::new(0);
static GUARDED: [AtomicI32; GUARDED_MAX] = [const { AtomicI32::new(-1) }; GUARDED_MAX];
static INSTALL: Once = Once::new();

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for slot in &GUARDED {
        let fd = slot.swap(-1, Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: `close` may be called after a fork; the descriptor belongs to a `Guarded`, whose drop sees the new
            // generation and leaves it alone (K1).
            unsafe { libc::close(fd) };
        }
    }
}

/// Count the forks from now on; answers how many there have been.
#[must_use]
pub fn watch() -> u32 {
    INSTALL.call_once(|| {
        // SAFETY: registers a handler that only touches atomics and calls `close` (K1).
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    generation()
}

/// How many forks lie between this process and the one that first watched: a change means "this is a child".
#[inline]
#[must_use]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// An open file that a forked child closes at once, so that a lock on it ends with the process that took it.
#[derive(Debug)]
pub struct Guarded {
    file: Option<File>,
    slot: Option<usize>,
    generation: u32,
}

impl Guarded {
    /// Guard `file`.
    #[must_use]
    pub fn new(file: File) -> Self {
        let generation = watch();
        let fd = file.as_raw_fd();
        let free = |slot: &AtomicI32| slot.compare_exchange(-1, fd, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let slot = GUARDED.iter().position(free);
        Self { file: Some(file), slot, generation }
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
        if let Some(slot) = self.slot {
            GUARDED[slot].store(-1, Ordering::Relaxed);
        }
    }
}
