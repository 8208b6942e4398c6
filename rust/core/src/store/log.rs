//! The handle of an open store, and its life: open, shut down.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use act_fast_sys::fork_generation;
use arc_swap::{ArcSwapOption, Guard as SwapGuard};

use crate::clock::MovedClock;
use crate::disk::Disk;
use crate::error::{Doing, Error, Result};
use crate::index::Index;
use crate::log::record::{LogState, Preamble, Seed, distance_to_commit, sound};
use crate::log::segments::Segments;
use crate::options::{Durability, Options};
use crate::recovery::recover::Recovered;
use crate::shared::control::{self, Control};
use crate::shared::handles::{self, OPENING, Slot};
use crate::shared::lock::{Guard, Lock};
use crate::store::flusher::{Flusher, Flushes, Waiters};
use crate::store::housekeeper::{Chores, Housekeeper};
use crate::store::keeper::Keeper;
use crate::store::writer::Writer;

/// An open store. Any number of handles, in any number of processes, may be open on one directory.
///
/// What is read through it stays for as long as it does; so it holds on to what it has unpacked, and to files that have
/// been replaced since. `Log::current` leads on to one that does not, and is the same handle otherwise.
#[derive(Debug)]
pub struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) control: Arc<Control>,
    pub(crate) segments: Arc<Segments>,
    /// The same files, hollow, if they were asked for.
    pub(crate) hollow: Mutex<Option<Arc<Segments>>>,
    /// None until it is asked for.
    pub(super) index: ArcSwapOption<Index>,
    pub(crate) seed: Seed,
    pub(super) fork_generation: u32,
    /// How many log files had been replaced when this was made.
    pub(super) replaced: u32,
    pub(crate) handle: Arc<Handle>,
    /// Whoever is the last to have it shuts the handle down.
    pub(super) life: Option<Arc<()>>,
}

/// What all that `Log::current` leads to have in common.
#[derive(Debug)]
pub struct Handle {
    /// None for a handle that only reads.
    pub(crate) slot: Option<Slot>,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) housekeeper: Housekeeper,
    pub(crate) waiters: Waiters,
    pub(crate) flusher: Flusher,
    pub(super) keeper: Keeper,
    pub(crate) recovered: Option<Recovered>,
    pub(crate) clock: Arc<MovedClock>,
    /// Set by `shut_down` with the writer's lock in hand: nothing is written through this handle any more.
    pub(crate) shut: AtomicBool,
    pub(super) current: Mutex<Weak<Log>>,
    /// Held by the thread that packs and unpacks log files.
    pub(super) keeping: Mutex<()>,
    /// Held, before that, by the one that a program has called for it.
    pub(super) keeping_call: Mutex<()>,
    /// All log files that were opened through this, as long as anybody reads them.
    pub(super) opened: Mutex<Vec<Weak<Segments>>>,
}

impl Handle {
    fn note(&self, segments: &Arc<Segments>) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|known| known.strong_count() > 0);
        opened.push(Arc::downgrade(segments));
    }

    /// The view of the log that is newest.
    pub(crate) fn current(&self) -> Weak<dyn Flushes> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Weak::<Log>::clone(&current)
    }

    /// The same, while anybody has it.
    pub(super) fn newest(&self) -> Option<Arc<Log>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// How many bytes of packed log files are unpacked in memory.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().filter_map(Weak::upgrade).map(|segments| segments.unpacked_bytes()).sum()
    }
}

/// The index that was in use when it was asked for.
pub(crate) struct InUse(SwapGuard<Option<Arc<Index>>>);

impl Deref for InUse {
    type Target = Index;

    #[inline]
    fn deref(&self) -> &Index {
        self.0.as_ref().expect("only made of an index")
    }
}

impl Durability {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Fsync => 1,
            Self::Interval => 2,
            Self::Os => 3,
        }
    }

    pub(super) fn from_number(number: u64) -> Option<Self> {
        [Self::Fsync, Self::Interval, Self::Os].into_iter().find(|one| one.number() == number)
    }
}

impl Log {
    pub(super) fn lock_of<'a>(&'a self, word: &'a AtomicU32) -> Lock<'a> {
        Lock { word, disk: &*self.disk, slot: self.handle.slot.as_ref().map_or(u32::MAX >> 2, |slot| slot.number) }
    }

    pub(crate) fn writer_lock(&self) -> Lock<'_> {
        self.lock_of(self.control.writer_lock())
    }

    pub(crate) fn growth_lock(&self) -> Lock<'_> {
        self.lock_of(self.control.growth_lock())
    }

    pub(crate) fn flush_lock(&self) -> Lock<'_> {
        self.lock_of(self.control.flush_lock())
    }

    pub(crate) fn reactions_lock(&self) -> Lock<'_> {
        self.lock_of(self.control.reactions_lock())
    }

    /// Wait for the writer's lock, and put right what its last owner left, if that one died with it.
    pub(crate) fn lock_writer(&self) -> Result<Guard<'_>> {
        self.lock_writer_at().map(|(guard, _)| guard)
    }

    /// The same, and what the log has come to.
    pub(crate) fn lock_writer_at(&self) -> Result<(Guard<'_>, LogState)> {
        self.check_writable()?;
        let guard = self.writer_lock().take();
        if !guard.inherited {
            let state = self.control.log_state()?;
            if self.control.indexed()? == state.tail {
                return Ok((guard, state));
            }
        }
        self.repair(&guard)?;
        let state = self.control.log_state()?;
        Ok((guard, state))
    }

    pub(crate) fn writer_mutex(&self) -> &Mutex<Writer> {
        &self.handle.writer
    }

    /// What this handle keeps for writing.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.handle.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index in use.
    #[inline]
    pub(crate) fn index(&self) -> Result<InUse> {
        let index = self.index.load();
        if let Some(known) = &*index
            && self.is_current(known)?
        {
            return Ok(InUse(index));
        }
        let fresh = Index::open(&self.disk, &self.control, &self.segments, self.handle.slot.is_some())?;
        self.index.store(Some(Arc::new(fresh)));
        Ok(InUse(self.index.load()))
    }

    /// Whether an index is the one in use.
    #[inline]
    pub(crate) fn is_current(&self, index: &Index) -> Result<bool> {
        Ok(index.generation == self.control.shape()?.0)
    }

    /// Read with the index. Should it seem damaged, it may have been made anew meanwhile: read the new one. Or a writer
    /// may have died in the middle of a change: have that put right, and read once more.
    pub(crate) fn reading<T>(&self, mut read: impl FnMut(&Index) -> Result<T>) -> Result<T> {
        self.check_open()?;
        let mut index = self.index()?;
        let mut outcome = read(&index);
        while matches!(outcome, Err(Error::Corrupt { .. } | Error::Io { .. })) && !self.is_current(&index)? {
            index = self.index()?;
            outcome = read(&index);
        }
        drop(index);
        match outcome {
            Err(Error::Corrupt { .. } | Error::Io { .. }) if self.handle.slot.is_some() => {
                drop(self.lock_writer()?);
                let index = self.index()?;
                read(&index)
            }
            outcome => outcome,
        }
    }

    /// The commit of the event at a position.
    pub(crate) fn commit_of(&self, index: &Index, position: u64) -> Result<Preamble<'_>> {
        let place = self.commit_place(index.place(position)?)?;
        let record = self.segments.record(place)?;
        Preamble::read(record, place, self.seed, true)
            .filter(|commit| commit.count > 1 || sound(record, place, self.seed).is_some())
            .filter(|commit| (commit.head.position..commit.head.position + commit.count).contains(&position))
            .ok_or_else(|| self.segments.damaged(place, Some(position), "the commit here is damaged"))
    }

    /// Where the commit of the event at a place begins.
    pub(crate) fn commit_place(&self, place: u64) -> Result<u64> {
        commit_place(&self.segments, place)
    }

    /// The same handle, without what this one has unpacked or has open that was replaced, if that is much. Nothing that
    /// was read before is lost: it stays with what it was read through.
    #[inline]
    #[must_use]
    pub fn current(self: &Arc<Self>) -> Arc<Self> {
        if self.is_worn() { self.renew().unwrap_or_else(|_| Arc::clone(self)) } else { Arc::clone(self) }
    }

    /// What this and all that `current` leads to have in common.
    #[must_use]
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    /// Whether `current` may lead on to another one.
    #[inline]
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.segments.unpacked_bytes() > self.options.unpacked_max_bytes
            || self.control.replaced().load(Ordering::Relaxed) != self.replaced
    }

    #[cold]
    fn renew(&self) -> Result<Arc<Self>> {
        self.check_open()?;
        let mut current = self.handle.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = current.upgrade().filter(|other| !other.is_worn()) {
            return Ok(other);
        }
        let fresh = self.unread();
        fresh.index()?;
        *current = Arc::downgrade(&fresh);
        drop(current);
        self.handle.housekeeper.work_for(Arc::downgrade(&fresh) as Weak<dyn Chores>);
        Ok(fresh)
    }

    /// The same handle once more, with nothing unpacked or open yet.
    pub(crate) fn unread(&self) -> Arc<Self> {
        self.once_more(self.life.clone())
    }

    /// The same, for whoever must not keep the handle from being shut down.
    pub(super) fn apart(&self) -> Arc<Self> {
        self.once_more(None)
    }

    fn once_more(&self, life: Option<Arc<()>>) -> Arc<Self> {
        let replaced = self.control.replaced().load(Ordering::Acquire);
        let writable = self.handle.slot.is_some();
        let segments = Arc::new(Segments::new(Arc::clone(&self.disk), &self.segments.header(0), writable));
        self.handle.note(&segments);
        Arc::new(Self {
            disk: Arc::clone(&self.disk),
            options: self.options.clone(),
            control: Arc::clone(&self.control),
            segments,
            hollow: Mutex::default(),
            index: ArcSwapOption::empty(),
            seed: self.seed,
            fork_generation: self.fork_generation,
            replaced,
            handle: Arc::clone(&self.handle),
            life,
        })
    }

    /// Refuse to go on in a forked child.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.fork_generation == fork_generation() {
            return Ok(());
        }
        Err(Error::forked())
    }

    /// Refuse to write through a handle that only reads.
    #[inline]
    pub fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.handle.slot.is_none() {
            return Err(Error::Invalid("this store was opened for reading only; open it without read_only".to_owned()));
        }
        Ok(())
    }

    /// Refuse to go on once closed, or after a failed write or flush.
    pub(crate) fn check_sane(&self) -> Result<()> {
        self.check_unshut()?;
        self.check_flushable()
    }

    /// Refuse to go on once closed: what was flushed then is to stay as it is.
    pub(crate) fn check_unshut(&self) -> Result<()> {
        if self.handle.shut.load(Ordering::SeqCst) {
            return Err(Error::Closed("this store was closed; open it again".to_owned()));
        }
        Ok(())
    }

    /// Refuse to go on after a failed write or flush.
    pub(crate) fn check_flushable(&self) -> Result<()> {
        if self.control.flag(control::FAILED)? {
            return Err(Error::Failed(
                "a write or a flush of this store failed, so it takes no more appends; you can still read. Close every \
                 handle on it and open it again: what was acknowledged is there"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    pub(crate) fn check_in_place(&self) -> Result<()> {
        if self.control.in_place(&*self.disk)? {
            return Ok(());
        }
        Err(Error::displaced(&self.disk.describe()))
    }

    /// The last position that readers see; 0 when there is none.
    #[inline]
    pub fn head(&self) -> Result<u64> {
        self.check_open()?;
        self.control.published()
    }

    /// What time it is here, in µs since 1970.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.handle.clock.now_us()
    }

    /// Move the clock forward, and wake all who wait for a time. Only for a log that was opened for that.
    pub fn advance(&self, by_ms: u64) -> Result<()> {
        self.check_writable()?;
        if !self.options.movable_clock {
            return Err(Error::Invalid(format!(
                "{} goes by the machine's clock; only a store in memory has a clock that you can move",
                self.disk.describe()
            )));
        }
        self.handle.clock.advance(by_ms);
        self.wake();
        Ok(())
    }

    /// How the store was opened.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What tells this store from all others.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.segments.store_id
    }

    /// Where the store is, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.disk.describe()
    }

    /// Flush what is to be flushed, and let go of everything. Called when the last reference goes, if not before.
    pub fn shut_down(&self) -> Result<()> {
        // In a forked child there is nothing to let go of, and no thread to stop.
        if self.check_open().is_err() {
            return Ok(());
        }
        // It may wait for a flush.
        self.handle.keeper.stop();
        self.handle.flusher.stop();
        if self.handle.housekeeper.stop() || self.handle.slot.is_none() {
            return Ok(());
        }
        if !self.control.in_place(&*self.disk)? {
            // The store was deleted or moved: there is nothing left here that could be saved.
            return Ok(());
        }
        let opening = self.disk.lock(OPENING).doing(|| "closing".to_owned())?;
        let writer = self.writer();
        let guard = self.lock_writer()?;
        self.handle.shut.store(true, Ordering::SeqCst);
        drop(guard);
        drop(writer);
        let alone = self.alone()?;
        if self.control.flag(control::FAILED)? || (self.options.durability == Durability::Os && !alone) {
            return Ok(());
        }
        // Also with `Os`: a store that was closed needs no recovery when the machine starts again.
        self.flush()?;
        if !alone {
            return Ok(());
        }
        // Nobody else has the store open, nobody can open it now, and this handle writes no more.
        let flushed = |outcome: Result<()>| {
            if outcome.is_err() {
                // Another flush may succeed without having written this; so all of it is to be rebuilt.
                self.control.set_flag(control::FAILED, true)?;
            }
            outcome
        };
        for file in self.index()?.files()? {
            // One at a time; where this process may not have it open, nothing has failed.
            let opened = file.opened()?;
            flushed(file.flush_through(&*opened))?;
        }
        flushed(self.control.flush())?;
        self.control.close_down()?;
        drop(opening);
        Ok(())
    }

    /// Whether no other handle has the store open for writing.
    fn alone(&self) -> Result<bool> {
        let own = self.handle.slot.as_ref().map(|slot| slot.number);
        let names = self.disk.list(handles::FOLDER).doing(|| "listing the open handles".to_owned())?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix("slot-")?.parse::<u32>().ok());
        Ok(numbers.filter(|number| Some(*number) != own).all(|number| !handles::alive(&*self.disk, number)))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.life.take().and_then(Arc::into_inner).is_some() {
            // Nobody is left to hear of a failure; what was acknowledged has been flushed as promised.
            let _ = self.shut_down();
        }
    }
}

/// Where the commit of the event at a place begins, in these files.
pub(crate) fn commit_place(segments: &Segments, place: u64) -> Result<u64> {
    let distance = distance_to_commit(segments.number_bytes(place)?);
    distance
        .and_then(|distance| place.checked_sub(distance))
        .ok_or_else(|| segments.damaged(place, None, "the event here is damaged"))
}
