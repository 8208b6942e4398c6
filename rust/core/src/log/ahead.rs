//! Unpacking blocks before they are read, on more than one thread.
//!
//! What is unpacked here is only sooner at hand: a reader looks whether its block is there, and unpacks it if not.
//! So a block that is damaged is met by its reader, and a thread that comes late or not at all changes nothing. Nothing
//! waits for these threads: each lives for one piece of work, which holds on to the file.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use zstd::zstd_safe::DCtx;

use crate::log::image::To;

/// From how many blocks on another thread is worth its beginning, and how many one takes at a time.
pub(super) const SHARED_MIN: usize = 48;
const TAKEN: usize = 8;
/// How many threads help at once, at most.
const HELPERS_MAX: usize = 3;

/// The threads that help the readers of a log.
#[derive(Default)]
pub(super) struct Helpers {
    running: AtomicUsize,
    /// What they unpack with.
    contexts: Mutex<Vec<DCtx<'static>>>,
}

impl std::fmt::Debug for Helpers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Helpers").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Helpers {
    /// Leave to run one more thread.
    pub(super) fn leave(self: &Arc<Self>) -> Option<Leave> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let most = HELPERS_MAX.min(cores - 1);
        let one_more = |running| (running < most).then_some(running + 1);
        let found = self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        found.ok().map(|_| Leave(Arc::clone(self)))
    }

    /// Whether any thread helps now.
    pub(super) fn busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// What to unpack with, if one before has left it.
    pub(super) fn context(&self) -> Option<DCtx<'static>> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn give_back(&self, context: Option<DCtx<'static>>) {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner).extend(context);
    }
}

/// Leave for one thread, given back when it is dropped.
pub(super) struct Leave(Arc<Helpers>);

impl Leave {
    pub(super) fn helpers(&self) -> &Helpers {
        &self.0
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Blocks to be unpacked, of which each thread takes the next few.
pub(super) struct Work {
    blocks: Vec<(usize, To)>,
    next: AtomicUsize,
}

impl Work {
    pub(super) fn new(blocks: Vec<(usize, To)>) -> Self {
        Self { blocks, next: AtomicUsize::new(0) }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Take a part of it, until all before `end` is taken.
    pub(super) fn off(&self, end: usize, unpack: impl Fn(usize, To)) {
        while self.next.load(Ordering::Relaxed) < end {
            let start = self.next.fetch_add(TAKEN, Ordering::Relaxed);
            let taken = self.blocks.get(start..).unwrap_or_default();
            for (block, to) in &taken[..taken.len().min(TAKEN)] {
                unpack(*block, *to);
            }
        }
    }
}
