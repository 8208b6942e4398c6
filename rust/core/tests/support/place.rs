//! Where reactions run: on a log, or on mirrors of a map that stands for a database, as many as there are programs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use act_fast_core::disk::Disk;
use act_fast_core::reactions::{Events, Home, MIRROR_ID, Mirror, OnLog, Section, Texts, Wanted};
use act_fast_core::{Error, EventView, Log, Result};

/// Whether this is the run on mirrors.
pub(crate) fn mirrored() -> bool {
    env!("CARGO_CRATE_NAME") == "reactions_mirrored"
}

/// What a database keeps: the lines of one change after the other.
#[derive(Debug, Default)]
pub(crate) struct Database {
    changes: Mutex<Vec<Vec<u8>>>,
    /// Which commits fail: every so many; 0 for none.
    pub(crate) refuses: AtomicU64,
    commits: AtomicU64,
    pub(crate) refuse_next: AtomicBool,
}

/// The database of a log.
pub(crate) fn database(log: &Log) -> Arc<Database> {
    static ALL: Mutex<Option<HashMap<[u8; 16], Arc<Database>>>> = Mutex::new(None);
    let mut all = ALL.lock().expect("the databases");
    Arc::clone(all.get_or_insert_default().entry(log.store_id()).or_default())
}

/// Do something until the database does not refuse it.
pub(crate) fn insist<T>(verb: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match verb() {
            Err(Error::Failed(_)) => {}
            outcome => return outcome,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Place {
    events: Arc<Log>,
    log: OnLog,
    mirror: Option<(Mirror, Arc<Database>, AtomicUsize)>,
}

impl Place {
    pub(crate) fn of(log: &Arc<Log>) -> Self {
        let mirror = mirrored().then(|| (Mirror::new().expect("a mirror"), database(log), AtomicUsize::new(0)));
        Self { events: Arc::clone(log), log: OnLog::new(log), mirror }
    }
}

impl Home for Place {
    fn disk(&self) -> (&Arc<dyn Disk>, [u8; 16]) {
        match &self.mirror {
            Some((mirror, _, _)) => (mirror.disk(), MIRROR_ID),
            None => self.log.disk(),
        }
    }

    fn boot(&self) -> u64 {
        if self.mirror.is_some() { 0 } else { self.log.boot() }
    }

    fn check(&self) -> Result<()> {
        self.log.check()
    }

    fn lock(&self) -> Result<Section<'_>> {
        let Some((mirror, database, seen)) = &self.mirror else { return self.log.lock() };
        let changes = database.changes.lock().expect("the changes");
        let mut taken = Vec::new();
        for change in &changes[seen.load(Ordering::SeqCst)..] {
            mirror.take_over(change, &mut taken)?;
        }
        seen.store(changes.len(), Ordering::SeqCst);
        Ok(Section::of_mirror(self.head()?, taken, false))
    }

    fn undoes(&self) -> bool {
        self.mirror.is_some()
    }

    fn keep(&self) -> Result<bool> {
        let Some((mirror, database, seen)) = &self.mirror else { return Ok(true) };
        let written = mirror.written()?;
        let every = database.refuses.load(Ordering::SeqCst);
        if !written.is_empty()
            && every > 0
            && (database.commits.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(every)
        {
            return Err(Error::Failed("the database refuses".to_owned()));
        }
        if !written.is_empty() && database.refuse_next.swap(false, Ordering::SeqCst) {
            return Err(Error::Failed("the database refuses this once".to_owned()));
        }
        if !written.is_empty() {
            let mut changes = database.changes.lock().expect("the changes");
            assert_eq!(changes.len(), seen.load(Ordering::SeqCst), "somebody else was at work meanwhile");
            changes.push(written);
            seen.store(changes.len(), Ordering::SeqCst);
        }
        mirror.keep();
        Ok(true)
    }

    fn undo(&self) -> Result<()> {
        self.mirror.as_ref().map_or(Ok(()), |(mirror, _, _)| mirror.undo())
    }

    fn wake(&self) {
        self.log.wake();
    }

    fn moved(&self) {
        self.log.moved();
    }
}

impl Events for Place {
    fn head(&self) -> Result<u64> {
        self.events.head()
    }

    fn events(&self, positions: &[u64]) -> Result<Vec<EventView<'_>>> {
        self.events.events(positions)
    }

    fn events_of(&self, wanted: Wanted, limit: usize) -> Result<(Vec<EventView<'_>>, u64)> {
        self.events.events_of(wanted, limit)
    }

    fn is_event_damaged(&self, error: &Error) -> bool {
        self.events.is_event_damaged(error)
    }

    fn texts(&self) -> &dyn Texts {
        self.events.texts()
    }
}
