//! Reactions: what work events make for whom, who does it, and how far it has come. `docs/reactions.md` tells the design.

mod administer;
mod claim;
mod correlate;
mod finish;
mod frontier;
mod hold;
mod home;
mod member;
mod mirrored;
mod on_log;
mod register;
mod share;
mod skip;
mod source;
mod spec;
mod standing;
mod state;
mod subscribe;
mod suspect;
mod sync;
mod tally;
mod template;
mod undo;
mod view;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::clock::{Clock, MachineClock};
use crate::error::{Doing, Result};
use crate::reaction_files::FOLDER;
pub use crate::reaction_files::mirror::{Mirror, PACKED_BYTES, STORE_ID as MIRROR_ID};
pub use administer::Selection;
pub use claim::{ClaimOptions, Claimed, Delivery, Lease, Past, Pending};
use correlate::Asked;
pub use correlate::{Correlated, Failed, Resolved, Unresolved, Window};
pub use finish::{Outcome, Then};
pub use hold::name_at;
pub use home::{Events, Home, Place, Section, Texts, Wanted};
pub use member::{Member, Share};
pub use mirrored::{Begun, Mirrored};
pub use on_log::OnLog;
pub use share::PATIENCE_MS;
pub use skip::Head;
pub use source::Source;
pub use spec::Spec;
use state::{Shared, is_damage};
pub use tally::{STATES, Stretch, Tally};
pub use template::{Piece, Resolver};
pub use view::{CursorInfo, TargetInfo};

/// How often what is kept is flushed while there is work.
const FLUSH_EVERY_MS: u64 = 1000;

/// The reactions of one program on one store.
#[derive(Debug)]
pub struct Reactions<H: Home = OnLog> {
    home: H,
    clock: Box<dyn Clock>,
    shared: Mutex<Shared>,
    /// What functions were asked about, by reaction.
    asked: Mutex<HashMap<u32, Asked>>,
    /// When what is kept was flushed last, by the machine's uptime.
    flushed_ms: AtomicU64,
}

impl<H: Home> Reactions<H> {
    /// Open what is kept of reactions in some place.
    pub fn at(home: H, clock: Box<dyn Clock>) -> Result<Self> {
        home.check()?;
        home.disk().0.create_folder(FOLDER).doing(|| format!("making {FOLDER}"))?;
        let section = home.lock()?;
        let shared = Shared::open(&home, section.head);
        drop(section);
        let flushed_ms = AtomicU64::new(clock.uptime_ms());
        Ok(Self { home, clock, shared: Mutex::new(shared?), asked: Mutex::default(), flushed_ms })
    }

    /// Where they run.
    pub fn home(&self) -> &H {
        &self.home
    }

    /// Work alone on what all processes share, seeing what the others have done. If what is kept turns out to be
    /// damaged, it is repaired and the work is done again.
    fn locked<T>(&self, mut work: impl FnMut(&mut Shared) -> Result<T>) -> Result<T> {
        self.home.check()?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let section = self.home.lock()?;
        let head = section.head;
        if section.inherited() {
            shared.distrust()?;
        }
        shared.take_note(&section);
        let mut attempt = |shared: &mut Shared| {
            shared.sync(self.clock.uptime_ms(), self.clock.now_ms(), head).and_then(|()| work(shared))
        };
        if self.home.undoes() {
            shared.note_before();
        }
        let mut outcome = attempt(&mut shared);
        if outcome.as_ref().is_err_and(is_damage) {
            shared.repair(head)?;
            outcome = attempt(&mut shared);
        }
        drop(section);
        if self.home.undoes() {
            outcome = outcome.and_then(|done| self.keep(&mut shared).map(|()| done));
            if outcome.is_err() {
                self.undo_in(&mut shared)?;
            }
        }
        outcome
    }

    fn keep(&self, shared: &mut Shared) -> Result<()> {
        if self.home.keep()? {
            shared.kept();
        }
        Ok(())
    }

    /// What was done since it was kept last cannot be kept.
    fn undo_in(&self, shared: &mut Shared) -> Result<()> {
        shared.undone();
        self.home.undo()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u32, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Make known the reactions of this program; answers nothing, and changes nothing for those known already. Their order
    /// is that of the numbers that leases speak of.
    pub fn register(&self, specs: &[Spec]) -> Result<()> {
        self.locked(|shared| shared.register(specs, shared.head))
    }

    /// How many ms until a lease ends, a retry or a deferral is due; None when nothing waits.
    pub fn next_ms(&self) -> Option<u64> {
        let (shared, uptime_ms, now_ms) = (self.shared(), self.clock.uptime_ms(), self.clock.now_ms());
        let held = shared.held_until_ms.map(|until| until.saturating_sub(now_ms));
        let apart = shared.apart_ends_ms(uptime_ms);
        let late = shared.window_late_ms(uptime_ms);
        shared.frontier.next_ms(uptime_ms, now_ms).into_iter().chain(held).chain(apart).chain(late).min()
    }

    /// The position that a cycle works up to: all that concerns anybody up to there is known, but for reactions that have
    /// not come to where the others are.
    pub fn cut(&self) -> Result<u64> {
        self.locked(|shared| shared.cut())
    }

    /// Forget a reaction that no program has any more: its targets have nothing to do for it. Should a program register it
    /// again, it is a new one. Answers whether it was known.
    pub fn forget(&self, reaction: &str) -> Result<bool> {
        let known = self.locked(|shared| shared.forget(reaction))?;
        self.home.moved();
        Ok(known)
    }

    /// Flush what is kept.
    pub fn flush(&self) -> Result<()> {
        let files = Arc::clone(&self.shared().files);
        files.flush()
    }

    fn flush_now_and_then(&self) -> Result<()> {
        let (now_ms, flushed_ms) = (self.clock.uptime_ms(), self.flushed_ms.load(Ordering::Relaxed));
        if now_ms.saturating_sub(flushed_ms) < FLUSH_EVERY_MS {
            return Ok(());
        }
        // One of those who see that it is time; the others go on.
        match self.flushed_ms.compare_exchange(flushed_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => self.flush(),
            Err(_) => Ok(()),
        }
    }
}

impl<H: Home> Drop for Reactions<H> {
    fn drop(&mut self) {
        if self.home.check().is_ok() {
            let _ = self.flush();
        }
    }
}
