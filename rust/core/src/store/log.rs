//! The handle of an open store, and its life: open, shut down.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use act_fast_sys::{fork_generation, watch_forks};
use arc_swap::{ArcSwap, Guard as SwapGuard};

use crate::disk::{Disk, Held};
use crate::error::{Doing, Error, Result};
use crate::index::{self, Index};
use crate::log::record::Seed;
use crate::log::segments::{self, Header, Segments};
use crate::options::{Durability, Options};
use crate::reaction_files;
use crate::recovery::recover::{self, Recovered};
use crate::shared::control::{self, Control};
use crate::shared::handles::{self, Slot};
use crate::shared::lock::{Guard, Lock};
use crate::store::housekeeper::Housekeeper;
use crate::store::staging::{self, Making};
use crate::write::append::Writer;

pub(crate) const OPENING: &str = "locks/opening";
/// What others keep in the store's folder that they can make anew from the log.
pub(crate) const DERIVED: &str = "analytics";
/// What may lie in the folder of a store that is not yet made.
const OWN_NAMES: [&str; 8] = [
    segments::FOLDER,
    index::FOLDER,
    handles::FOLDER,
    reaction_files::FOLDER,
    staging::FOLDER,
    control::CONTROL,
    "control.new",
    DERIVED,
];

/// An open store. Any number of handles, in any number of processes, may be open on one directory.
#[derive(Debug)]
pub struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) control: Arc<Control>,
    pub(crate) segments: Arc<Segments>,
    index: ArcSwap<Index>,
    pub(crate) seed: Seed,
    /// None for a handle that only reads.
    slot: Option<Slot>,
    writer: Mutex<Writer>,
    pub(crate) housekeeper: Housekeeper,
    pub(crate) recovered: Option<Recovered>,
    fork_generation: u32,
    /// Set by `shut_down` with the writer's lock in hand: nothing is written through this handle any more.
    pub(crate) shut: AtomicBool,
}

impl Durability {
    fn number(self) -> u64 {
        match self {
            Self::Fsync => 1,
            Self::Interval => 2,
            Self::Os => 3,
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        [Self::Fsync, Self::Interval, Self::Os].into_iter().find(|one| one.number() == number)
    }
}

/// A store id that no other store has.
pub(crate) fn new_store_id() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut id = [0; 16];
    for half in id.chunks_exact_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(std::process::id()).to_le_bytes());
    }
    id
}

impl Log {
    /// Open the store on `disk`, or make it.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Arc<Self>> {
        options.check()?;
        let present = look(&*disk)?;
        if !present && (options.read_only || !options.create) {
            return Err(Error::Format(format!("there is no act-fast store at {}", disk.describe())));
        }
        if options.read_only { Self::open_reading(disk, options) } else { Self::open_writing(disk, options, present) }
    }

    fn open_writing(disk: Arc<dyn Disk>, mut options: Options, present: bool) -> Result<Arc<Self>> {
        disk.create_folder(handles::FOLDER).doing(|| format!("making {}", disk.describe()))?;
        refuse_network(&*disk)?;
        let opening = disk.lock(OPENING).doing(|| format!("opening {}", disk.describe()))?;
        if !present {
            make_first_segment(&*disk, &options)?;
        }
        let header = segments::read_header(&*disk, 0)?;
        let (slot, others) = handles::take(&*disk)?;
        if !others {
            Making::remove_leftovers(&disk, staging::FOLDER)?;
            // Also when it was there before: whoever made it may have died before its names were safe.
            disk.sync_folder(segments::FOLDER)
                .and_then(|()| disk.sync_folder(""))
                .doing(|| "making the store".to_owned())?;
        }
        let segments = Arc::new(Segments::new(Arc::clone(&disk), &header, true));
        let (control, index, recovered) =
            if others { join(&disk, &segments, &mut options)? } else { recover::ready(&disk, &segments, &options)? };
        control.set_durability(options.durability.number())?;
        let log = Self::assemble(disk, options, control, segments, index, Some(slot), recovered)?;
        let ready = log.take_legacy_locks(others).and_then(|()| if others { Ok(()) } else { log.flush_leftovers() });
        if let Err(error) = ready {
            // Not closed like one that was open: that would wait for the lock that is held right here.
            log.housekeeper.stop();
            return Err(error);
        }
        drop(opening);
        Ok(log)
    }

    fn open_reading(disk: Arc<dyn Disk>, options: Options) -> Result<Arc<Self>> {
        refuse_network(&*disk)?;
        let opening = lock_if_allowed(&*disk)?;
        let header = segments::read_header(&*disk, 0)?;
        let segments = Arc::new(Segments::new(Arc::clone(&disk), &header, false));
        if let Some(control) = recover::readable(&disk, &header)? {
            let control = Arc::new(control);
            match Index::open(&disk, &control, &segments, false) {
                Ok(index) => return Self::assemble(disk, options, control, segments, index, None, None),
                Err(Error::Format(message)) => return Err(Error::Format(message)),
                Err(_) => {}
            }
        }
        drop(opening);
        // What a crash or a copy left needs to be put right first, which takes a writer.
        let writing = Options { read_only: false, create: false, adopt_durability: true, ..options.clone() };
        let writer = Self::open_writing(Arc::clone(&disk), writing, true)?;
        let control = Arc::new(
            Control::open(&*disk, writer.control.writable())?
                .ok_or_else(|| Error::Format("the control file has gone".to_owned()))?,
        );
        let index = Index::open(&disk, &control, &segments, false)?;
        Self::assemble(disk, options, control, segments, index, None, writer.recovered.clone())
    }

    fn assemble(
        disk: Arc<dyn Disk>,
        options: Options,
        control: Arc<Control>,
        segments: Arc<Segments>,
        index: Index,
        slot: Option<Slot>,
        recovered: Option<Recovered>,
    ) -> Result<Arc<Self>> {
        // So that what is newest can be read even if somebody takes the store away.
        segments.map(control.log_state()?.tail)?;
        Ok(Arc::new_cyclic(|weak| Self {
            housekeeper: Housekeeper::new(weak.clone()),
            seed: Seed::new(&segments.store_id),
            writer: Mutex::new(Writer::default()),
            index: ArcSwap::from_pointee(index),
            fork_generation: watch_forks(),
            shut: AtomicBool::new(false),
            disk,
            options,
            control,
            segments,
            slot,
            recovered,
        }))
    }

    /// Whoever had this slot before may have died with a lock in hand.
    fn take_legacy_locks(&self, others: bool) -> Result<()> {
        if !others {
            self.control.free_locks();
            let guard = self.lock_writer()?;
            self.repair(&guard)?;
            return Ok(());
        }
        drop(self.growth_lock().take_legacy());
        drop(self.flush_lock().take_legacy());
        drop(self.lock_of(self.control.reactions_lock()).take_legacy());
        if let Some(guard) = self.writer_lock().take_legacy() {
            self.repair(&guard)?;
        }
        Ok(())
    }

    /// Flush and publish what was written but not acknowledged.
    fn flush_leftovers(&self) -> Result<()> {
        let state = self.control.log_state()?;
        match self.options.durability {
            Durability::Fsync => self.flush()?,
            // Its writer may have died before the interval was over.
            Durability::Interval if self.control.synced()? < state.tail => self.flush_soon()?,
            Durability::Interval | Durability::Os => {}
        }
        if self.control.published()? < state.position {
            self.control.publish(state.position);
        }
        Ok(())
    }

    fn lock_of<'a>(&'a self, word: &'a AtomicU32) -> Lock<'a> {
        Lock { word, disk: &*self.disk, slot: self.slot.as_ref().map_or(u32::MAX >> 2, |slot| slot.number) }
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
        self.check_writable()?;
        let guard = self.writer_lock().take();
        if guard.inherited || self.control.indexed()? != self.control.log_state()?.tail {
            self.repair(&guard)?;
        }
        Ok(guard)
    }

    pub(crate) fn writer_mutex(&self) -> &Mutex<Writer> {
        &self.writer
    }

    /// What this handle keeps for writing.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index in use.
    #[inline]
    pub(crate) fn index(&self) -> Result<SwapGuard<Arc<Index>>> {
        let index = self.index.load();
        if self.current(&index)? {
            return Ok(index);
        }
        let fresh = Index::open(&self.disk, &self.control, &self.segments, self.slot.is_some())?;
        self.index.store(Arc::new(fresh));
        Ok(self.index.load())
    }

    /// Whether an index is the one in use.
    #[inline]
    fn current(&self, index: &Index) -> Result<bool> {
        Ok(index.generation == self.control.shape()?.0)
    }

    /// Read with the index. Should it seem damaged, it may have been made anew meanwhile: read the new one. Or a writer
    /// may have died in the middle of a change: have that put right, and read once more.
    pub(crate) fn reading<T>(&self, mut read: impl FnMut(&Index) -> Result<T>) -> Result<T> {
        self.check_open()?;
        let mut index = self.index()?;
        let mut outcome = read(&index);
        while matches!(outcome, Err(Error::Corrupt { .. } | Error::Io { .. })) && !self.current(&index)? {
            index = self.index()?;
            outcome = read(&index);
        }
        drop(index);
        match outcome {
            Err(Error::Corrupt { .. } | Error::Io { .. }) if self.slot.is_some() => {
                drop(self.lock_writer()?);
                let index = self.index()?;
                read(&index)
            }
            outcome => outcome,
        }
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
        if self.slot.is_none() {
            return Err(Error::Invalid("this store was opened for reading only; open it without read_only".to_owned()));
        }
        Ok(())
    }

    /// The last position that readers see; 0 when there is none.
    #[inline]
    pub fn head(&self) -> Result<u64> {
        self.check_open()?;
        self.control.published()
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
        if self.check_open().is_err() || self.housekeeper.stop() || self.slot.is_none() {
            return Ok(());
        }
        if !self.control.in_place(&*self.disk)? {
            // The store was deleted or moved: there is nothing left here that could be saved.
            return Ok(());
        }
        let opening = self.disk.lock(OPENING).doing(|| "closing".to_owned())?;
        let writer = self.writer();
        let guard = self.lock_writer()?;
        self.shut.store(true, Ordering::SeqCst);
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
        if let Err(error) = self.index()?.flush().and_then(|()| self.control.flush()) {
            // Another flush may succeed without having written this; so all of it is to be made anew.
            self.control.set_flag(control::FAILED, true)?;
            return Err(error);
        }
        self.control.close_down()?;
        drop(opening);
        Ok(())
    }

    /// Whether no other handle has the store open for writing.
    fn alone(&self) -> Result<bool> {
        let own = self.slot.as_ref().map(|slot| slot.number);
        let names = self.disk.list(handles::FOLDER).doing(|| "listing the open handles".to_owned())?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix("slot-")?.parse::<u32>().ok());
        Ok(numbers.filter(|number| Some(*number) != own).all(|number| !handles::alive(&*self.disk, number)))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; what was acknowledged has been flushed as promised.
        let _ = self.shut_down();
    }
}

/// Whether there is a store; an error when there is something else.
pub(crate) fn look(disk: &dyn Disk) -> Result<bool> {
    let what = || format!("looking into {}", disk.describe());
    let names = match disk.list("") {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            let place = disk.describe();
            return Err(Error::Format(format!("{place} is a file; a store is a directory: choose another path")));
        }
        names => names.doing(what)?,
    };
    if disk.list(segments::FOLDER).doing(what)?.iter().any(|name| name.ends_with(".seg")) {
        return Ok(true);
    }
    match names.iter().find(|name| !OWN_NAMES.contains(&name.as_str())) {
        Some(foreign) => Err(Error::Format(format!(
            "{} is not an act-fast store and not empty (it has {foreign:?}); choose a new or empty directory",
            disk.describe()
        ))),
        None => Ok(false),
    }
}

fn refuse_network(disk: &dyn Disk) -> Result<()> {
    match disk.network() {
        None => Ok(()),
        Some(network) => Err(Error::Format(format!(
            "{} is on a network file system ({network}), where locks and shared memory cannot be relied on; put the store \
             on a local disk",
            disk.describe()
        ))),
    }
}

fn make_first_segment(disk: &dyn Disk, options: &Options) -> Result<()> {
    // Somebody else may have made it while this process waited for the lock.
    if look(disk)? {
        return Ok(());
    }
    disk.create_folder(segments::FOLDER).doing(|| "making the log's folder".to_owned())?;
    let header = Header { store_id: new_store_id(), number: 0, segment_bytes: options.segment_bytes };
    let len = crate::write::append::growth_step(options.segment_bytes, 0).min(options.segment_bytes);
    segments::create(disk, &header, len, options.durability == Durability::Fsync)
}

/// Let nobody open or close the store meanwhile, where this process may say so.
pub(crate) fn lock_if_allowed(disk: &dyn Disk) -> Result<Option<Held>> {
    match disk.lock(OPENING) {
        Ok(held) => Ok(Some(held)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem
                    | std::io::ErrorKind::NotFound
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).doing(|| format!("opening {}", disk.describe())),
    }
}

/// Open a store that others have open.
fn join(
    disk: &Arc<dyn Disk>,
    segments: &Arc<Segments>,
    options: &mut Options,
) -> Result<(Arc<Control>, Index, Option<Recovered>)> {
    let damaged = || {
        Error::corrupt(
            control::CONTROL,
            0,
            None,
            "the control file is damaged while others have the store open; close them all, then open it again",
        )
    };
    let control = Arc::new(Control::open(&**disk, true)?.ok_or_else(damaged)?);
    if control.store_id != segments.store_id || control.identity() != Some(control.here_and_now()?) {
        return Err(damaged());
    }
    let agreed = Durability::from_number(control.durability()?);
    if options.adopt_durability {
        options.durability = agreed.unwrap_or(options.durability);
    }
    if let Some(agreed) = agreed.filter(|agreed| *agreed != options.durability) {
        return Err(Error::Locked(format!(
            "others have this store open with durability {:?}; open it with the same, not with {:?}",
            agreed.name(),
            options.durability.name()
        )));
    }
    // Who closed last may still hold its slot.
    control.open_up()?;
    let index = Index::open(disk, &control, segments, true)?;
    Ok((control, index, None))
}
