//! The files that all processes share, and what this process has made of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::error::{Error, Result};

use super::frontier::{Frontier, Standing};
use super::home::{Home, Place};
use super::member::Sharing;
use super::spec::Spec;
use crate::reaction_files::files::Files;
use crate::reaction_files::records::{Counts, Cursor, Subscription, Target};
use crate::reaction_files::repair::repair;

/// A target as this process knows it.
#[derive(Debug, Default)]
pub(super) struct KnownTarget {
    pub(super) name: Arc<str>,
    pub(super) subscriptions: SmallVec<[u32; 1]>,
    pub(super) standing: Standing,
}

/// A reaction of this program.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) spec: Arc<Spec>,
    pub(super) strands: Vec<Strand>,
    /// Its lane, by its place among those of this program.
    pub(super) lane: u32,
}

/// The events of one name that a reaction takes: how far it has been correlated is kept for each by itself, so that programs
/// that take others share it.
#[derive(Clone, Debug)]
pub(super) struct Strand {
    pub(super) event: String,
    pub(super) cursor: u32,
}

/// One subscription's part of a lease.
#[derive(Clone, Debug)]
pub(super) struct LeasePart {
    pub(super) subscription: u32,
    /// Its reaction, and the event and source of its work.
    pub(super) of: (Arc<str>, Arc<str>),
    /// Its work is known up to here; what comes later may have been added after the claim.
    pub(super) known_to: u64,
    /// The positions that come next, from the ordinal after `done_count` on.
    pub(super) positions: Vec<u64>,
    /// Those of them that were handled under another subscription.
    pub(super) handled: Vec<u64>,
    pub(super) done_count: u64,
}

/// A lease that this process has: what it can answer for.
#[derive(Clone, Debug)]
pub(super) struct HeldLease {
    /// The target.
    pub(super) name: Arc<str>,
    pub(super) holder: u64,
    pub(super) token: u32,
    pub(super) parts: SmallVec<[LeasePart; 1]>,
}

/// The leases that this process has, and what it knows of those that may have died of theirs.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    pub(super) held: HashMap<u32, HeldLease>,
    /// The target that is leased alone, with the lease's token, and since when.
    pub(super) apart: Option<(u32, u32, u64)>,
    /// The target that was leased while nothing else was, with the lease's token, and whether that was as a suspect.
    pub(super) sole: Option<(u32, u32, bool)>,
    /// Targets whose lease has run out, and the last event that may have been among what was leased.
    pub(super) one_by_one: HashMap<u32, u64>,
    /// Since when it is waited for the leases of this process to end, to lease a target alone.
    pub(super) gathering: Option<u64>,
}

/// What a process had before it did what is not kept yet, and cannot be read from lines.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) leases: Leases,
    pub(super) registered: usize,
}

/// Whether what a process has made of the lines holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    No,
    /// What it did last is undone.
    Undone,
    /// All lines were read again.
    Replaced,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) files: Arc<Files>,
    /// Some file was not as it was left.
    pub(super) damaged: bool,
    /// The start of the machine, as a number.
    pub(super) boot: u64,

    // What this process has made of them.
    pub(super) counts: Counts,
    pub(super) loaded: Counts,
    pub(super) seen: u64,
    pub(super) known: Vec<KnownTarget>,
    pub(super) by_name: HashMap<Arc<str>, u32>,
    /// (cursor, target) → subscription.
    pub(super) by_pair: HashMap<(u32, u32), u32>,
    /// The reaction of each cursor.
    pub(super) cursor_names: Vec<Arc<str>>,
    /// The event and the source of each; empty where an earlier version kept it.
    pub(super) cursor_keys: Vec<Arc<str>>,
    /// The cursors of each reaction.
    pub(super) cursors_of: HashMap<Arc<str>, Vec<u32>>,
    /// For each cursor those whose work may have the same events in it.
    pub(super) kin: Vec<SmallVec<[u32; 1]>>,
    /// What is in the cursors' cells, as of so many changes.
    pub(super) cursors: Vec<Cursor>,
    pub(super) cursor_changes: u64,
    /// When the next reaction that holds is tried again, in ms since 1970.
    pub(super) held_until_ms: Option<u64>,
    pub(super) registered: Vec<Registered>,
    /// Cursor → number of the registered reaction.
    pub(super) number_of: HashMap<u32, u32>,
    /// The texts of lanes, by name.
    pub(super) lane_texts: HashMap<Arc<str>, u64>,
    /// The lanes of this program's reactions.
    pub(super) lane_names: Vec<String>,
    pub(super) frontier: Frontier,
    pub(super) leases: Leases,
    /// Whom this process shares the targets with.
    pub(super) sharing: Sharing,
    /// How often work was passed over, since it was handled under another subscription.
    pub(super) passed_over: u64,
    /// Who was correlated last: those who are near the head, or those who are not yet.
    pub(super) joined_last: bool,
    pub(super) uptime_ms: u64,
    pub(super) now_ms: u64,
    /// The last position that readers see.
    pub(super) head: u64,
    /// Lines that others have written and that are not looked at yet.
    pub(super) taken: Vec<Place>,
    /// Whether what was made of the lines holds.
    pub(super) stale: Stale,
    /// What this process had before it did what is not kept yet.
    pub(super) before: Option<Before>,
}

impl Shared {
    /// Open the files, or make them. Under the lock.
    pub(super) fn open(home: &impl Home, head: u64) -> Result<Self> {
        let (disk, store_id) = home.disk();
        let (files, damaged) = Files::open(disk, &store_id)?;
        let mut shared = Self {
            damaged: damaged || files.counts.is_torn(0)?,
            files: Arc::new(files),
            boot: home.boot(),
            counts: Counts::default(),
            loaded: Counts::default(),
            seen: 0,
            known: Vec::new(),
            by_name: HashMap::new(),
            by_pair: HashMap::new(),
            cursor_names: Vec::new(),
            cursor_keys: Vec::new(),
            cursors_of: HashMap::new(),
            kin: Vec::new(),
            cursors: Vec::new(),
            cursor_changes: 0,
            held_until_ms: None,
            registered: Vec::new(),
            number_of: HashMap::new(),
            lane_texts: HashMap::new(),
            lane_names: Vec::new(),
            frontier: Frontier::default(),
            leases: Leases::default(),
            sharing: Sharing::default(),
            passed_over: 0,
            joined_last: false,
            uptime_ms: 0,
            now_ms: 0,
            head,
            taken: Vec::new(),
            stale: Stale::No,
            before: None,
        };
        if shared.damaged {
            shared.repair(head)?;
        }
        shared.counts = shared.read_counts()?;
        if shared.counts.boot != shared.boot && shared.end_leases(head).is_err_and(|error| is_damage(&error)) {
            shared.repair(head)?;
            shared.end_leases(head)?;
        }
        Ok(shared)
    }

    /// Under the lock. Others learn of it, and begin again too.
    pub(super) fn repair(&mut self, head: u64) -> Result<()> {
        repair(&self.files, head, false)?;
        self.damaged = false;
        Ok(())
    }

    pub(super) fn read_counts(&self) -> Result<Counts> {
        Ok(self.files.counts.read(0)?.map(|line| Counts::decode(&line)).unwrap_or_default())
    }

    pub(super) fn keep_counts(&self) -> Result<()> {
        self.files.counts.write(0, self.counts.encode())
    }

    /// Make the files ready for so many more targets and subscriptions.
    pub(super) fn make_room(&self) -> Result<()> {
        self.files.targets.reserve(self.counts.targets + 1)?;
        self.files.subscriptions.reserve(self.counts.subscriptions + 1)?;
        self.files.cursors.reserve(self.counts.cursors + 1)
    }

    /// The lanes of these names, as targets stand in them; None: all.
    pub(super) fn lanes(&self, names: Option<&[String]>) -> Option<Vec<u32>> {
        names.map(|names| {
            (0..).zip(&self.lane_names).filter(|(_, name)| names.contains(name)).map(|(at, _)| at).collect()
        })
    }

    pub(super) fn write_text(&mut self, text: &str) -> Result<u64> {
        let (at, used) = self.files.texts.write(text, self.counts.text_lines)?;
        self.counts.text_lines = used;
        self.keep_counts()?;
        Ok(at)
    }

    /// Note the message of an error, over the one that the target had before.
    pub(super) fn note_error(&mut self, target: &mut Target, error: &str) -> Result<()> {
        target.failed = true;
        target.error = self.write_error(target.error, error)?;
        Ok(())
    }

    /// Write the message of an error, over the one at a place if there is one and it has room; where it is then.
    pub(super) fn write_error(&mut self, before: u64, error: &str) -> Result<u64> {
        if before != 0 && self.files.texts.write_over(before, error)? {
            return Ok(before);
        }
        let (at, used) = self.files.texts.write_first(error, self.counts.text_lines)?;
        self.counts.text_lines = used;
        self.keep_counts()?;
        Ok(at)
    }

    pub(super) fn target(&self, number: u32) -> Result<Target> {
        let found = self.files.targets.read(number)?.map(|line| Target::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/targets", u64::from(number) * 128))
    }

    pub(super) fn subscription(&self, number: u32) -> Result<Subscription> {
        let found = self.files.subscriptions.read(number)?.map(|line| Subscription::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/subscriptions", u64::from(number) * 128))
    }

    /// A cursor, as of the last `sync`.
    pub(super) fn cursor(&self, number: u32) -> Result<Cursor> {
        let found = self.cursors.get(number as usize).copied();
        found.ok_or_else(|| Error::index_damaged("reactions/cursors", u64::from(number) * 128))
    }

    pub(super) fn read_cursor(&self, number: u32) -> Result<Cursor> {
        let found = self.files.cursors.read(number)?.map(|line| Cursor::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/cursors", u64::from(number) * 128))
    }

    /// Change a target, and tell all.
    pub(super) fn put_target(&mut self, number: u32, target: &Target) -> Result<()> {
        self.files.targets.write(number, target.encode())?;
        self.changed(number)
    }

    pub(super) fn put_subscription(&self, number: u32, subscription: &Subscription) -> Result<()> {
        self.files.subscriptions.write(number, subscription.encode())
    }

    pub(super) fn put_cursor(&mut self, number: u32, cursor: &Cursor) -> Result<()> {
        self.cursor_changes = self.files.cursor_changes()?.fetch_add(1, Ordering::SeqCst) + 1;
        self.files.cursors.write(number, cursor.encode())?;
        self.cursors[number as usize] = *cursor;
        Ok(())
    }

    /// Tell all processes that a target has changed.
    pub(super) fn changed(&mut self, number: u32) -> Result<()> {
        self.announce(number)?;
        self.stand(number)
    }

    pub(super) fn announce(&mut self, number: u32) -> Result<()> {
        let changes = self.ring_head()?;
        self.files.put_change(changes, number)?;
        self.files.ring_head()?.store(changes + 1, Ordering::SeqCst);
        if self.seen == changes {
            self.seen = changes + 1;
        }
        Ok(())
    }

    /// Change a target that is leased now.
    pub(super) fn put_leased(&mut self, number: u32, target: &Target) -> Result<()> {
        self.files.targets.write(number, target.encode())?;
        self.announce(number)?;
        self.place(number, Standing::Leased { until_ms: target.leased_until_ms });
        Ok(())
    }
}

/// Whether what is kept of reactions is not as it was left.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { file, .. } if file.starts_with(crate::reaction_files::FOLDER))
}
