//! Reactions on a mirror that its owner keeps in step with a database: what others have written is handed in before a verb,
//! what the verb has written is fetched after it. So no other code is called while a lock is held.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::Result;
use crate::reaction_files::mirror::{Mirror, STORE_ID, addresses};

use super::Reactions;
use super::home::{Home, Place, Section};

/// What a section begins with: what is in the database now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Begun {
    /// The last position that readers see.
    pub head: u64,
    /// The time by the database's clock, in ms since 1970.
    pub now_ms: u64,
    /// The last change that is in the lines of their own; those after it are in changes only.
    pub folded: u64,
}

/// A mirror, and what its owner has handed in.
#[derive(Debug)]
pub struct Mirrored {
    mirror: Mirror,
    given: Mutex<Given>,
    clock: GivenClock,
    woken: AtomicBool,
    moved: AtomicBool,
}

#[derive(Debug, Default)]
struct Given {
    head: u64,
    taken: Vec<Place>,
    anew: bool,
    folded: u64,
    /// Lines that are in changes only, by address, and the last change that they are in.
    unfolded: BTreeMap<u64, u64>,
}

impl Mirrored {
    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reactions<Mirrored> {
    /// An empty mirror: the first section is to hand in all.
    pub fn mirrored() -> Result<Self> {
        let clock = GivenClock::default();
        let home = Mirrored {
            mirror: Mirror::new()?,
            given: Mutex::default(),
            clock: clock.clone(),
            woken: AtomicBool::new(false),
            moved: AtomicBool::new(false),
        };
        Self::at(home, Box::new(clock))
    }

    /// Forget all lines: all are handed in again.
    pub fn clear(&self) -> Result<()> {
        self.undo()?;
        let mut given = self.home.given();
        self.home.mirror.clear()?;
        *given = Given { anew: true, ..Given::default() };
        Ok(())
    }

    /// Hand in lines, packed, that were written with a change.
    pub fn take_over(&self, change: u64, packed: &[u8]) -> Result<()> {
        let mut given = self.home.given();
        let Given { taken, unfolded, .. } = &mut *given;
        self.home.mirror.take_over(packed, taken)?;
        unfolded.extend(addresses(packed).map(|address| (address, change)));
        Ok(())
    }

    /// Hand in a page of lines of their own: where it begins, and what its lines hold.
    pub fn take_page(&self, address: u64, page: &[u8]) -> Result<()> {
        let mut given = self.home.given();
        self.home.mirror.take_page(address, page, &mut given.taken)
    }

    /// Begin a section, once all has been handed in.
    pub fn begin(&self, begun: Begun) {
        self.home.clock.set(begun.now_ms);
        let mut given = self.home.given();
        given.head = begun.head;
        if begun.folded != given.folded {
            given.folded = begun.folded;
            given.unfolded.retain(|_, change| *change > begun.folded);
        }
    }

    /// What was written in this section, packed.
    pub fn written(&self) -> Result<Vec<u8>> {
        self.home.mirror.written()
    }

    /// The section has ended, and what was written is in the database, with a change of this number. Answers whether those
    /// who wait for news, and those who wait for targets to move on, are to be woken.
    pub fn kept(&self, change: u64, packed: &[u8]) -> (bool, bool) {
        self.shared().kept();
        self.home.mirror.keep();
        self.home.given().unfolded.extend(addresses(packed).map(|address| (address, change)));
        (self.home.woken.swap(false, Ordering::SeqCst), self.home.moved.swap(false, Ordering::SeqCst))
    }

    /// The section has ended, and nothing of it is in the database.
    pub fn undo(&self) -> Result<()> {
        self.home.woken.store(false, Ordering::SeqCst);
        self.home.moved.store(false, Ordering::SeqCst);
        self.undo_in(&mut self.shared())
    }

    /// How many lines are in changes only.
    pub fn unfolded_count(&self) -> usize {
        self.home.given().unfolded.len()
    }

    /// The pages of the lines that are in changes only: where each begins, and what its lines hold.
    pub fn unfolded(&self) -> Result<Vec<(u64, Vec<u8>)>> {
        let given = self.home.given();
        self.home.mirror.pages(given.unfolded.keys().copied())
    }
}

impl Home for Mirrored {
    fn disk(&self) -> (&Arc<dyn Disk>, [u8; 16]) {
        (self.mirror.disk(), STORE_ID)
    }

    /// Machines do not share a start: time alone ends their leases.
    fn boot(&self) -> u64 {
        0
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<Section<'_>> {
        let mut given = self.given();
        let (taken, anew) = (std::mem::take(&mut given.taken), std::mem::take(&mut given.anew));
        Ok(Section::of_mirror(given.head, taken, anew))
    }

    fn undoes(&self) -> bool {
        true
    }

    fn keep(&self) -> Result<bool> {
        Ok(false)
    }

    fn undo(&self) -> Result<()> {
        self.mirror.undo()
    }

    fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    fn moved(&self) {
        self.moved.store(true, Ordering::SeqCst);
    }
}

/// The database's clock, as it was handed in last and has gone on since: machines do not share an uptime, and their clocks may
/// be far apart.
#[derive(Clone, Debug)]
struct GivenClock {
    start: Instant,
    /// The database's time when this process's clock was at its start.
    base_ms: Arc<AtomicU64>,
}

impl Default for GivenClock {
    fn default() -> Self {
        Self { start: Instant::now(), base_ms: Arc::default() }
    }
}

impl GivenClock {
    fn since_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn set(&self, now_ms: u64) {
        self.base_ms.store(now_ms.saturating_sub(self.since_ms()), Ordering::SeqCst);
    }
}

impl Clock for GivenClock {
    fn uptime_ms(&self) -> u64 {
        self.now_ms()
    }

    fn now_ms(&self) -> u64 {
        self.base_ms.load(Ordering::SeqCst) + self.since_ms()
    }
}
