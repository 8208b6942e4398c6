//! The files that all processes share, and what this process has made of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::disk::Disk;
use crate::error::{Doing, Error, Result};
use crate::grown::Grown;
use crate::log::Log;

use super::FOLDER;
use super::cell::Cells;
use super::frontier::{Frontier, Standing};
use super::records::{Counts, Cursor, Subscription, Target};
use super::spec::Spec;
use super::texts::Texts;
use super::work::Work;

const TARGETS: u8 = 64;
const SUBSCRIPTIONS: u8 = 65;
const CURSORS: u8 = 66;
const COUNTS: u8 = 67;
const TEXTS: u8 = 68;
const WORK: u8 = 69;
const CHANGES: u8 = 70;

/// How many changes the ring holds; eight to a line.
const RING: u64 = 1 << 14;
const RING_HEAD_LINE: u64 = 1;
const RING_LINE: u64 = 2;

/// A target as this process knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) subscriptions: SmallVec<[u32; 1]>,
    pub(super) standing: Standing,
}

/// A reaction of this program.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) spec: Arc<Spec>,
    pub(super) cursor: u32,
}

#[derive(Debug)]
pub(super) struct Shared {
    targets: Cells,
    subscriptions: Cells,
    cursors: Cells,
    counts_cell: Cells,
    pub(super) texts: Texts,
    pub(super) work: Work,
    changes: Grown,
    /// The start of the machine, as a number.
    boot: u64,

    // What this process has made of them.
    pub(super) counts: Counts,
    loaded: Counts,
    seen: u64,
    pub(super) known: Vec<Known>,
    pub(super) by_name: HashMap<Arc<str>, u32>,
    /// (cursor, target) → subscription.
    pub(super) by_pair: HashMap<(u32, u32), u32>,
    pub(super) cursor_names: Vec<Arc<str>>,
    pub(super) registered: Vec<Registered>,
    /// Cursor → number of the registered reaction.
    pub(super) number_of: HashMap<u32, u32>,
    pub(super) lanes: HashMap<Arc<str>, u64>,
    pub(super) frontier: Frontier,
    uptime_ms: u64,
    now_ms: u64,
}

impl Shared {
    /// Open the files, or make them. Under the lock.
    pub(super) fn open(log: &Log, head: u64) -> Result<Self> {
        let disk = &*log.disk;
        let id = &log.segments.store_id;
        let changes = super::open_or_create(disk, "changes", CHANGES, id)?;
        changes.reserve(RING_LINE + RING / 8)?;
        let cells = |name, area| -> Result<Cells> {
            let cells = Cells::open(disk, name, area, id)?;
            cells.reserve(1)?;
            Ok(cells)
        };
        let mut shared = Self {
            targets: cells("targets", TARGETS)?,
            subscriptions: cells("subscriptions", SUBSCRIPTIONS)?,
            cursors: cells("cursors", CURSORS)?,
            counts_cell: cells("counts", COUNTS)?,
            texts: Texts::open(disk, TEXTS, id)?,
            work: Work::open(disk, WORK, id)?,
            changes,
            boot: xxhash_rust::xxh3::xxh3_64(act_fast_sys::boot_id().as_bytes()) >> 16,
            counts: Counts::default(),
            loaded: Counts::default(),
            seen: 0,
            known: Vec::new(),
            by_name: HashMap::new(),
            by_pair: HashMap::new(),
            cursor_names: Vec::new(),
            registered: Vec::new(),
            number_of: HashMap::new(),
            lanes: HashMap::new(),
            frontier: Frontier::default(),
            uptime_ms: 0,
            now_ms: 0,
        };
        shared.counts = shared.read_counts()?;
        if shared.counts.boot != shared.boot {
            shared.end_leases(head)?;
        }
        Ok(shared)
    }

    fn read_counts(&self) -> Result<Counts> {
        Ok(self.counts_cell.read(0)?.map(|line| Counts::decode(&line)).unwrap_or_default())
    }

    pub(super) fn keep_counts(&self) -> Result<()> {
        self.counts_cell.write(0, self.counts.encode())
    }

    /// Leases of before the machine's start are over: their clock has begun anew.
    fn end_leases(&mut self, head: u64) -> Result<()> {
        for number in 0..self.counts.targets {
            let mut target = self.target(number)?;
            if target.leased_until_ms != 0 || target.watermark > head {
                target.leased_until_ms = 0;
                target.watermark = target.watermark.min(head);
                self.targets.write(number, target.encode())?;
            }
        }
        self.counts.boot = self.boot;
        self.keep_counts()
    }

    /// What a dead process left may be half announced: look at everything again, and let the others do so too.
    pub(super) fn distrust(&mut self) -> Result<()> {
        let head = self.ring_head()?;
        self.changes.shared(RING_HEAD_LINE)?[0].store(head + RING + 1, Ordering::SeqCst);
        self.counts = self.read_counts()?;
        Ok(())
    }

    fn ring_head(&self) -> Result<u64> {
        Ok(self.changes.shared(RING_HEAD_LINE)?[0].load(Ordering::SeqCst))
    }

    /// See what others have done since the last time. Under the lock.
    pub(super) fn sync(&mut self, uptime_ms: u64, now_ms: u64) -> Result<()> {
        self.uptime_ms = uptime_ms;
        self.now_ms = now_ms;
        self.counts = self.read_counts()?;
        if self.counts.generation != self.loaded.generation {
            self.forget();
        }
        self.load_new()?;
        let head = self.ring_head()?;
        if head < self.seen || head - self.seen > RING {
            self.seen = head;
            for number in 0..self.counts.targets {
                self.stand(number)?;
            }
        }
        while self.seen < head {
            let slot = self.seen % RING;
            let word = &self.changes.shared(RING_LINE + slot / 8)?[(slot % 8) as usize];
            let number = word.load(Ordering::SeqCst) as u32;
            self.seen += 1;
            if number < self.counts.targets {
                self.stand(number)?;
            }
        }
        for number in self.frontier.expired(uptime_ms, now_ms) {
            self.stand(number)?;
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.loaded = Counts { generation: self.counts.generation, ..Counts::default() };
        self.known.clear();
        self.by_name.clear();
        self.by_pair.clear();
        self.cursor_names.clear();
        self.lanes.clear();
        self.frontier = Frontier::default();
        self.seen = u64::MAX;
    }

    fn load_new(&mut self) -> Result<()> {
        for number in self.loaded.cursors..self.counts.cursors {
            let name = self.texts.read(self.cursor(number)?.name)?;
            self.cursor_names.push(name);
        }
        for number in self.loaded.targets..self.counts.targets {
            let target = self.target(number)?;
            let name = self.texts.read(target.name)?;
            self.by_name.insert(Arc::clone(&name), number);
            let lane = self.texts.read(target.lane)?;
            self.lanes.entry(lane).or_insert(target.lane);
            self.known.push(Known { name, ..Known::default() });
        }
        for number in self.loaded.subscriptions..self.counts.subscriptions {
            let subscription = self.subscription(number)?;
            self.by_pair.insert((subscription.reaction, subscription.target), number);
            if let Some(known) = self.known.get_mut(subscription.target as usize) {
                known.subscriptions.push(number);
            }
        }
        let fresh = self.loaded.targets..self.counts.targets;
        self.loaded = self.counts;
        fresh.into_iter().try_for_each(|number| self.stand(number))
    }

    /// Make the files ready for so many more targets and subscriptions.
    fn make_room(&self) -> Result<()> {
        self.targets.reserve(self.counts.targets + 1)?;
        self.subscriptions.reserve(self.counts.subscriptions + 1)?;
        self.cursors.reserve(self.counts.cursors + 1)
    }

    pub(super) fn register(&mut self, specs: Vec<Spec>, head: u64) -> Result<()> {
        for spec in specs {
            let known = self.cursor_names.iter().position(|name| **name == *spec.name);
            let cursor = match known {
                Some(number) => u32::try_from(number).unwrap_or(u32::MAX),
                None => self.new_cursor(&spec.name, if spec.from_now { head } else { 0 })?,
            };
            let number = u32::try_from(self.registered.len()).unwrap_or(u32::MAX);
            if self.number_of.insert(cursor, number).is_some() {
                return Err(Error::Invalid(format!("there are two reactions named {:?}; name them apart", spec.name)));
            }
            self.registered.push(Registered { spec: Arc::new(spec), cursor });
        }
        (0..self.counts.targets).try_for_each(|number| self.stand(number))
    }

    fn new_cursor(&mut self, name: &str, start: u64) -> Result<u32> {
        self.make_room()?;
        let number = self.counts.cursors;
        let name_at = self.write_text(name)?;
        self.cursors.write(number, Cursor { name: name_at, read: start, start }.encode())?;
        self.counts.cursors += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok(number)
    }

    pub(super) fn write_text(&mut self, text: &str) -> Result<u64> {
        let (at, used) = self.texts.write(text, self.counts.text_lines)?;
        self.counts.text_lines = used;
        self.keep_counts()?;
        Ok(at)
    }

    fn lane_at(&mut self, lane: &str) -> Result<u64> {
        if let Some(at) = self.lanes.get(lane) {
            return Ok(*at);
        }
        let at = self.write_text(lane)?;
        self.lanes.insert(lane.into(), at);
        Ok(at)
    }

    /// The subscription of a registered reaction on a target; both are made where they are not there.
    pub(super) fn subscribe(&mut self, reaction: u32, target: &str) -> Result<(u32, bool)> {
        let registered = &self.registered[reaction as usize];
        let (cursor, spec) = (registered.cursor, Arc::clone(&registered.spec));
        let (target_number, fresh) = match self.by_name.get(target) {
            Some(number) => (*number, false),
            None => (self.new_target(target, &spec)?, true),
        };
        if let Some(number) = self.by_pair.get(&(cursor, target_number)) {
            return Ok((*number, false));
        }
        if !fresh {
            self.raise(target_number, &spec)?;
        }
        self.make_room()?;
        let number = self.counts.subscriptions;
        let subscription = Subscription { reaction: cursor, target: target_number, ..Subscription::default() };
        self.subscriptions.write(number, subscription.encode())?;
        self.counts.subscriptions += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok((number, fresh))
    }

    fn new_target(&mut self, name: &str, spec: &Spec) -> Result<u32> {
        self.make_room()?;
        let number = self.counts.targets;
        let name_at = self.write_text(name)?;
        let lane = self.lane_at(&spec.lane)?;
        let target = Target { name: name_at, lane, priority: spec.priority, ..Target::default() };
        self.targets.write(number, target.encode())?;
        self.counts.targets += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok(number)
    }

    /// A later subscription may raise a target's priority, and takes it to its lane then; it never lowers it.
    fn raise(&mut self, number: u32, spec: &Spec) -> Result<()> {
        let mut target = self.target(number)?;
        if spec.priority > target.priority {
            target.priority = spec.priority;
            target.lane = self.lane_at(&spec.lane)?;
            self.put_target(number, &target)?;
        }
        Ok(())
    }

    pub(super) fn target(&self, number: u32) -> Result<Target> {
        let found = self.targets.read(number)?.map(|line| Target::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/targets", u64::from(number) * 128))
    }

    pub(super) fn subscription(&self, number: u32) -> Result<Subscription> {
        let found = self.subscriptions.read(number)?.map(|line| Subscription::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/subscriptions", u64::from(number) * 128))
    }

    pub(super) fn cursor(&self, number: u32) -> Result<Cursor> {
        let found = self.cursors.read(number)?.map(|line| Cursor::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/cursors", u64::from(number) * 128))
    }

    /// Change a target, and tell all.
    pub(super) fn put_target(&mut self, number: u32, target: &Target) -> Result<()> {
        self.targets.write(number, target.encode())?;
        self.changed(number)
    }

    pub(super) fn put_subscription(&self, number: u32, subscription: &Subscription) -> Result<()> {
        self.subscriptions.write(number, subscription.encode())
    }

    pub(super) fn put_cursor(&self, number: u32, cursor: &Cursor) -> Result<()> {
        self.cursors.write(number, cursor.encode())
    }

    /// Tell all processes that a target has changed.
    pub(super) fn changed(&mut self, number: u32) -> Result<()> {
        let head = self.ring_head()?;
        let slot = head % RING;
        self.changes.shared(RING_LINE + slot / 8)?[(slot % 8) as usize].store(u64::from(number), Ordering::SeqCst);
        self.changes.shared(RING_HEAD_LINE)?[0].store(head + 1, Ordering::SeqCst);
        if self.seen == head {
            self.seen = head + 1;
        }
        self.stand(number)
    }

    /// The subscriptions of a target that are this program's, with the numbers of their reactions.
    pub(super) fn own_subscriptions(&self, target: u32) -> Result<SmallVec<[(u32, u32, Subscription); 2]>> {
        let mut own = SmallVec::new();
        for number in &self.known[target as usize].subscriptions {
            let subscription = self.subscription(*number)?;
            if let Some(reaction) = self.number_of.get(&subscription.reaction) {
                own.push((*number, *reaction, subscription));
            }
        }
        Ok(own)
    }

    /// Look where a target stands.
    fn stand(&mut self, number: u32) -> Result<()> {
        let to = self.standing(number)?;
        let known = &mut self.known[number as usize];
        if known.standing != to {
            let from = std::mem::replace(&mut known.standing, to);
            self.frontier.place(number, from, to);
        }
        Ok(())
    }

    fn standing(&self, number: u32) -> Result<Standing> {
        let own = self.own_subscriptions(number)?;
        let mut next = u64::MAX;
        for (_, _, subscription) in own.iter().filter(|(_, _, subscription)| subscription.pending()) {
            next = next.min(self.next_of(subscription)?);
        }
        if next == u64::MAX {
            return Ok(Standing::Idle);
        }
        let watermark = next - 1;
        let target = self.target(number)?;
        Ok(if target.blocked {
            Standing::Idle
        } else if target.leased_until_ms > self.uptime_ms {
            Standing::Leased { until_ms: target.leased_until_ms }
        } else if target.due_ms > self.now_ms {
            Standing::Due { at_ms: target.due_ms }
        } else {
            Standing::Ready { lane: target.lane, priority: target.priority, watermark }
        })
    }

    /// The position of a pending subscription's next event.
    pub(super) fn next_of(&self, subscription: &Subscription) -> Result<u64> {
        let ordinal = subscription.done_count + 1;
        let found = self.work.positions(subscription, ordinal, ordinal)?;
        Ok(found.first().copied().unwrap_or(subscription.last))
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.texts.flush()?;
        self.targets.flush()?;
        self.subscriptions.flush()?;
        self.cursors.flush()?;
        self.counts_cell.flush()
    }
}

/// After the machine stopped, or a copy was made: the log has `head` events, so no watermark may stand above; and what was
/// derived is derived again.
pub(crate) fn after_recovery(disk: &Arc<dyn Disk>, store_id: &[u8; 16], head: u64) -> Result<()> {
    let files = disk.list(FOLDER).doing(|| format!("listing {FOLDER}"))?;
    if !files.iter().any(|name| name == "counts") {
        return Ok(());
    }
    let cells = |name, area| Cells::open(&**disk, name, area, store_id);
    let (targets, subscriptions) = (cells("targets", TARGETS)?, cells("subscriptions", SUBSCRIPTIONS)?);
    let (cursors, counts_cell) = (cells("cursors", CURSORS)?, cells("counts", COUNTS)?);
    let mut counts = counts_cell.read(0)?.map(|line| Counts::decode(&line)).unwrap_or_default();
    let texts = Texts::open(&**disk, TEXTS, store_id)?;
    for number in 0..counts.targets {
        targets.reserve(number + 1)?;
        let kept = targets.read(number)?.map(|line| Target::decode(&line));
        // Made just before the power went, and not flushed: whoever it was is found again, under a new number.
        let known = kept.filter(|target| texts.read(target.name).and(texts.read(target.lane)).is_ok());
        let target = match known {
            Some(target) => Target {
                leased_until_ms: 0,
                watermark: target.watermark.min(head),
                failing: target.failing.min(head),
                error: if texts.read(target.error).is_ok() { target.error } else { 0 },
                ..target
            },
            None => {
                let (name, used) = texts.write(&format!("lost-{number}"), counts.text_lines)?;
                counts.text_lines = used;
                Target { name, lane: name, ..Target::default() }
            }
        };
        targets.write(number, target.encode())?;
    }
    for number in 0..counts.subscriptions {
        subscriptions.reserve(number + 1)?;
        let kept = subscriptions.read(number)?.map(|line| Subscription::decode(&line).without_work());
        let lost = Subscription { reaction: u32::MAX, target: u32::MAX, ..Subscription::default() };
        let kept = kept.filter(|kept| kept.target < counts.targets && kept.reaction < counts.cursors);
        let again = kept.unwrap_or(lost);
        subscriptions.write(number, Subscription { done: again.done.min(head), ..again }.encode())?;
    }
    for number in 0..counts.cursors {
        cursors.reserve(number + 1)?;
        let kept = cursors.read(number)?.map(|line| Cursor::decode(&line));
        let cursor = match kept.filter(|cursor| texts.read(cursor.name).is_ok()) {
            Some(cursor) => cursor,
            None => {
                let (name, used) = texts.write(&format!("lost-{number}"), counts.text_lines)?;
                counts.text_lines = used;
                Cursor { name, start: 0, read: 0 }
            }
        };
        let start = cursor.start.min(head);
        cursors.write(number, Cursor { start, read: start, ..cursor }.encode())?;
    }
    counts.work_lines = 0;
    counts.generation = counts.generation.wrapping_add(1);
    counts_cell.write(0, counts.encode())
}
