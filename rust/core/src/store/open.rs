//! Opening a store: made where there is none, joined where others have it open, recovered after a crash.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use act_fast_sys::watch_forks;
use arc_swap::ArcSwapOption;

use crate::disk::Disk;
use crate::error::{Doing, Error, Result};
use crate::index::Index;
use crate::log::record::Seed;
use crate::log::segments::{self, Header, Segments, growth_step};
use crate::options::{Durability, Options};
use crate::recovery::recover::{self, Recovered};
use crate::shared::control::{self, Control};
use crate::shared::handles::{self, OPENING, Slot, lock_if_allowed};
use crate::store::compress;
use crate::store::directory::{look, new_store_id};
use crate::store::flusher::{Flusher, Waiters};
use crate::store::housekeeper::Housekeeper;
use crate::store::keeper::Keeper;
use crate::store::log::{Handle, Log};
use crate::store::replica::Genesis;
use crate::store::staging::{self, Making};
use crate::store::writer::Writer;

impl Log {
    /// Open the store on `disk`, or make it.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Arc<Self>> {
        let first =
            Header { store_id: new_store_id(), number: 0, segment_bytes: options.segment_bytes, replica: false };
        let make = options.create.then_some(&first);
        Self::open_or_make(disk, options, make)
    }

    /// Open the replica on `disk`; with a genesis: that of its store, which is made where there is nothing yet.
    pub fn open_replica(disk: Arc<dyn Disk>, options: Options, genesis: Option<Genesis>) -> Result<Arc<Self>> {
        if look(&*disk)? {
            // Before anything of it is touched.
            Genesis::check(genesis, &segments::read_header(&*disk, 0)?, &disk.describe())?;
        }
        let first = genesis.map(Genesis::header);
        let log = Self::open_or_make(disk, options, first.as_ref())?;
        // Somebody else may have made it meanwhile.
        Genesis::check(genesis, &log.segments.header(0), &log.describe())?;
        Ok(log)
    }

    fn open_or_make(disk: Arc<dyn Disk>, mut options: Options, first: Option<&Header>) -> Result<Arc<Self>> {
        if let Some(first) = first {
            options.segment_bytes = first.segment_bytes;
        }
        options.check()?;
        let present = look(&*disk)?;
        if !present && (options.read_only || first.is_none()) {
            return Err(Error::Format(format!("there is no act-fast store at {}", disk.describe())));
        }
        if options.read_only {
            Self::open_reading(disk, options)
        } else {
            Self::open_writing(disk, options, first.filter(|_| !present))
        }
    }

    fn open_writing(disk: Arc<dyn Disk>, mut options: Options, first: Option<&Header>) -> Result<Arc<Self>> {
        disk.create_folder(handles::FOLDER).doing(|| format!("making {}", disk.describe()))?;
        refuse_network(&*disk)?;
        let opening = disk.lock(OPENING).doing(|| format!("opening {}", disk.describe()))?;
        if let Some(first) = first {
            make_first_segment(&*disk, &options, first)?;
        }
        let header = segments::read_header(&*disk, 0)?;
        let (slot, others) = handles::take(&*disk)?;
        if !others {
            Making::remove_leftovers(&disk, staging::FOLDER)?;
            compress::remove_leftovers(&*disk)?;
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
            log.handle.housekeeper.stop();
            return Err(error);
        }
        drop(opening);
        if log.options.compress {
            log.compress_in_background();
        }
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
        let writing =
            Options { read_only: false, create: false, compress: false, adopt_durability: true, ..options.clone() };
        let writer = Self::open_writing(Arc::clone(&disk), writing, None)?;
        let control = Arc::new(
            Control::open(&*disk, writer.control.writable())?
                .ok_or_else(|| Error::Format("the control file is gone".to_owned()))?,
        );
        let index = Index::open(&disk, &control, &segments, false)?;
        Self::assemble(disk, options, control, segments, index, None, writer.handle.recovered.clone())
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
        let replaced = control.replaced().load(Ordering::Acquire);
        let opened = Arc::downgrade(&segments);
        let handle = |weak: &Weak<Self>| Handle {
            housekeeper: Housekeeper::new(Weak::<Self>::clone(weak)),
            waiters: Waiters::default(),
            flusher: Flusher::default(),
            keeper: Keeper::default(),
            writer: Mutex::new(Writer::default()),
            shut: AtomicBool::new(false),
            current: Mutex::new(Weak::clone(weak)),
            keeping: Mutex::default(),
            keeping_call: Mutex::default(),
            opened: Mutex::new(vec![opened]),
            clock: Arc::default(),
            slot,
            recovered,
        };
        Ok(Arc::new_cyclic(|weak: &Weak<Self>| Self {
            seed: Seed::new(&segments.store_id),
            index: ArcSwapOption::from_pointee(index),
            fork_generation: watch_forks(),
            hollow: Mutex::default(),
            replaced,
            handle: Arc::new(handle(weak)),
            life: Some(Arc::default()),
            disk,
            options,
            control,
            segments,
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
        if self.options.durability == Durability::Fsync {
            self.flush()?;
        }
        if self.control.published()? < state.position {
            self.control.publish(state.position);
        }
        Ok(())
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

fn make_first_segment(disk: &dyn Disk, options: &Options, first: &Header) -> Result<()> {
    // Somebody else may have made it while this process waited for the lock.
    if look(disk)? {
        return Ok(());
    }
    disk.create_folder(segments::FOLDER).doing(|| "making the log's folder".to_owned())?;
    let len = growth_step(options.segment_bytes, 0).min(options.segment_bytes);
    segments::create(disk, first, len, options.durability == Durability::Fsync)
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
