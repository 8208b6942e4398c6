//! The files that all processes share, and what this process has made of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::store::log::Log;

use super::frontier::{Frontier, Standing};
use super::spec::Spec;
use crate::reaction_files::files::{Files, RING};
use crate::reaction_files::mend::mend;
use crate::reaction_files::records::{Counts, Cursor, FORGOTTEN, Subscription, Target};

/// A reaction that is so many positions behind the others is waited for by nobody.
const STRAGGLING: u64 = 100_000;

/// A target as this process knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) name: Arc<str>,
    pub(super) subscriptions: SmallVec<[u32; 1]>,
    pub(super) standing: Standing,
}

/// A reaction of this program.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) spec: Arc<Spec>,
    pub(super) cursor: u32,
    /// Its lane, by its place among those of this program.
    pub(super) lane: u32,
}

/// One subscription's part of a lease.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) subscription: u32,
    /// Its work is known up to here; what comes later may have been added after the claim.
    pub(super) known_to: u64,
    /// The positions that come next, from the ordinal after `done_count` on.
    pub(super) positions: Vec<u64>,
    pub(super) done_count: u64,
}

/// A lease that this process has: what it can answer for.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) token: u32,
    pub(super) parts: SmallVec<[Part; 1]>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) files: Arc<Files>,
    /// Some file was not as it was left.
    pub(super) damaged: bool,
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
    /// The texts of lanes, by name.
    pub(super) lane_texts: HashMap<Arc<str>, u64>,
    /// The lanes of this program's reactions.
    lane_names: Vec<String>,
    pub(super) frontier: Frontier,
    pub(super) held: HashMap<u32, Held>,
    /// Who was correlated last: those who are near the head, or those who are not yet.
    pub(super) joined_last: bool,
    uptime_ms: u64,
    now_ms: u64,
}

impl Shared {
    /// Open the files, or make them. Under the lock.
    pub(super) fn open(log: &Log, head: u64) -> Result<Self> {
        let (files, damaged) = Files::open(&*log.disk, &log.segments.store_id)?;
        let mut shared = Self {
            damaged: damaged || files.counts.is_torn(0)?,
            files: Arc::new(files),
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
            lane_texts: HashMap::new(),
            lane_names: Vec::new(),
            frontier: Frontier::default(),
            held: HashMap::new(),
            joined_last: false,
            uptime_ms: 0,
            now_ms: 0,
        };
        if shared.damaged {
            shared.mend(head)?;
        }
        shared.counts = shared.read_counts()?;
        if shared.counts.boot != shared.boot && shared.end_leases(head).is_err_and(|error| is_damage(&error)) {
            shared.mend(head)?;
            shared.end_leases(head)?;
        }
        Ok(shared)
    }

    /// Under the lock. Others learn of it, and begin again too.
    pub(super) fn mend(&mut self, head: u64) -> Result<()> {
        mend(&self.files, head, false)?;
        self.damaged = false;
        Ok(())
    }

    pub(super) fn read_counts(&self) -> Result<Counts> {
        Ok(self.files.counts.read(0)?.map(|line| Counts::decode(&line)).unwrap_or_default())
    }

    pub(super) fn keep_counts(&self) -> Result<()> {
        self.files.counts.write(0, self.counts.encode())
    }

    /// Leases of before the machine's start are over: their clock has begun anew.
    fn end_leases(&mut self, head: u64) -> Result<()> {
        for number in 0..self.counts.targets {
            let mut target = self.target(number)?;
            if target.leased_until_ms != 0 || target.watermark > head {
                target.leased_until_ms = 0;
                target.watermark = target.watermark.min(head);
                self.files.targets.write(number, target.encode())?;
            }
        }
        self.counts.boot = self.boot;
        self.keep_counts()
    }

    /// What a dead process left may be half announced: look at everything again, and let the others do so too.
    pub(super) fn distrust(&mut self) -> Result<()> {
        self.files.ring_head()?.fetch_add(RING + 1, Ordering::SeqCst);
        self.counts = self.read_counts()?;
        Ok(())
    }

    fn ring_head(&self) -> Result<u64> {
        Ok(self.files.ring_head()?.load(Ordering::SeqCst))
    }

    /// See what others have done since the last time. Under the lock.
    pub(super) fn sync(&mut self, uptime_ms: u64, now_ms: u64, head: u64) -> Result<()> {
        self.uptime_ms = uptime_ms;
        self.now_ms = now_ms;
        self.counts = self.read_counts()?;
        if self.counts.generation != self.loaded.generation {
            self.begin_anew(head)?;
        }
        self.load_new()?;
        let changes = self.ring_head()?;
        if changes < self.seen || changes - self.seen > RING {
            self.seen = changes;
            for number in 0..self.counts.targets {
                self.stand(number)?;
            }
        }
        while self.seen < changes {
            let number = self.files.change(self.seen)?;
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

    /// Everything was made anew by somebody: what this process knew is not so any more.
    fn begin_anew(&mut self, head: u64) -> Result<()> {
        self.loaded = Counts { generation: self.counts.generation, ..Counts::default() };
        self.known.clear();
        self.by_name.clear();
        self.by_pair.clear();
        self.cursor_names.clear();
        self.lane_texts.clear();
        self.number_of.clear();
        self.held.clear();
        self.frontier = Frontier::default();
        self.seen = u64::MAX;
        let before = std::mem::take(&mut self.registered);
        let again = self
            .load_new()
            .and_then(|()| before.iter().try_for_each(|each| self.register_one(Arc::clone(&each.spec), head)));
        if again.is_err() {
            self.registered = before;
            self.loaded.generation = self.counts.generation.wrapping_add(1);
        }
        again
    }

    fn load_new(&mut self) -> Result<()> {
        for number in self.loaded.cursors..self.counts.cursors {
            let cursor = self.cursor(number)?;
            let name = self.files.texts.read(cursor.name)?;
            self.cursor_names.push(name);
            self.know_lane(cursor.lane)?;
            self.loaded.cursors += 1;
        }
        let fresh = self.loaded.targets..self.counts.targets;
        for number in fresh.clone() {
            let target = self.target(number)?;
            let name = self.files.texts.read(target.name)?;
            self.by_name.insert(Arc::clone(&name), number);
            self.know_lane(target.lane)?;
            self.known.push(Known { name, ..Known::default() });
            self.loaded.targets += 1;
        }
        for number in self.loaded.subscriptions..self.counts.subscriptions {
            let subscription = self.subscription(number)?;
            if self.files.subscriptions.is_torn(number)? {
                // The sound half may be the older one, and not know of work that was added.
                return Err(Error::index_damaged("reactions/subscriptions", u64::from(number) * 128));
            }
            self.by_pair.insert((subscription.reaction, subscription.target), number);
            if let Some(known) = self.known.get_mut(subscription.target as usize) {
                known.subscriptions.push(number);
            }
            self.loaded.subscriptions += 1;
        }
        self.loaded = self.counts;
        fresh.into_iter().try_for_each(|number| self.stand(number))
    }

    fn know_lane(&mut self, at: u64) -> Result<()> {
        if at != 0 && !self.lane_texts.values().any(|known| *known == at) {
            self.lane_texts.insert(self.files.texts.read(at)?, at);
        }
        Ok(())
    }

    /// Make the files ready for so many more targets and subscriptions.
    fn make_room(&self) -> Result<()> {
        self.files.targets.reserve(self.counts.targets + 1)?;
        self.files.subscriptions.reserve(self.counts.subscriptions + 1)?;
        self.files.cursors.reserve(self.counts.cursors + 1)
    }

    pub(super) fn register(&mut self, specs: &[Spec], head: u64) -> Result<()> {
        let mut names: Vec<_> = self.registered.iter().map(|each| &each.spec.name).collect();
        for spec in specs {
            if names.contains(&&spec.name) {
                let twice = format!("there are two reactions named {:?}; name them apart", spec.name);
                return Err(Error::Invalid(twice));
            }
            names.push(&spec.name);
        }
        let before = self.registered.len();
        let outcome = self.register_all(specs, head);
        if outcome.is_err() {
            self.registered.truncate(before);
            self.number_of.retain(|_, number| (*number as usize) < before);
        }
        outcome
    }

    fn register_all(&mut self, specs: &[Spec], head: u64) -> Result<()> {
        for spec in specs {
            self.register_one(Arc::new(spec.clone()), head)?;
        }
        self.unjoin_stragglers()?;
        for number in self.registered.iter().map(|each| each.cursor).collect::<Vec<_>>() {
            self.join(number, head)?;
        }
        (0..self.counts.targets).try_for_each(|number| self.stand(number))
    }

    fn register_one(&mut self, spec: Arc<Spec>, head: u64) -> Result<()> {
        let start = if spec.from_now { head } else { 0 };
        let known = self.cursor_names.iter().zip(0..).find(|(name, _)| ***name == *spec.name);
        let (number, fresh) = match known {
            Some((_, number)) => (number, false),
            None => (self.new_cursor(&spec.name, start)?, true),
        };
        let mut cursor = self.cursor(number)?;
        if cursor.forgotten() {
            self.remember(number, &mut cursor, start)?;
        }
        let lane_text = self.lane_at(&spec.lane)?;
        if (cursor.priority, cursor.lane) != (spec.priority, lane_text) {
            (cursor.priority, cursor.lane) = (spec.priority, lane_text);
            self.put_cursor(number, &cursor)?;
            if !fresh {
                self.follow_the_code(number)?;
            }
        }
        let lane = self.lane_names.iter().position(|name| *name == spec.lane).unwrap_or_else(|| {
            self.lane_names.push(spec.lane.clone());
            self.lane_names.len() - 1
        });
        self.number_of.insert(number, u32::try_from(self.registered.len()).unwrap_or(u32::MAX));
        self.registered.push(Registered { spec, cursor: number, lane: u32::try_from(lane).unwrap_or(u32::MAX) });
        Ok(())
    }

    /// A reaction that was forgotten is back: it is new.
    fn remember(&mut self, number: u32, cursor: &mut Cursor, start: u64) -> Result<()> {
        *cursor = Cursor { read: start, start, joined: false, ..*cursor };
        self.put_cursor(number, cursor)?;
        for at in 0..self.counts.subscriptions {
            let subscription = self.subscription(at)?;
            if subscription.reaction == number {
                let done = start;
                self.put_subscription(at, &Subscription { done, ..subscription.without_work() })?;
            }
        }
        Ok(())
    }

    /// The code of a reaction says another priority or lane than before: its targets follow the strongest of theirs.
    fn follow_the_code(&mut self, cursor: u32) -> Result<()> {
        for number in 0..self.counts.targets {
            let subscriptions = self.known[number as usize].subscriptions.clone();
            let (mut own, mut strongest) = (false, None::<Cursor>);
            for at in subscriptions {
                let reaction = self.subscription(at)?.reaction;
                let said = self.cursor(reaction)?;
                own |= reaction == cursor;
                if !said.forgotten() && strongest.is_none_or(|before| before.priority < said.priority) {
                    strongest = Some(said);
                }
            }
            if let (true, Some(said)) = (own, strongest) {
                let target = Target { priority: said.priority, lane: said.lane, ..self.target(number)? };
                self.put_target(number, &target)?;
            }
        }
        Ok(())
    }

    /// Reactions that are far behind the others, as after a time without their code, are waited for by nobody.
    fn unjoin_stragglers(&mut self) -> Result<()> {
        let mut cursors = Vec::with_capacity(self.registered.len());
        for each in &self.registered {
            cursors.push((each.cursor, self.cursor(each.cursor)?));
        }
        let first = cursors.iter().map(|(_, cursor)| cursor.read).max().unwrap_or(0);
        for (number, cursor) in cursors {
            if cursor.joined && cursor.read + STRAGGLING < first {
                self.put_cursor(number, &Cursor { joined: false, ..cursor })?;
            }
        }
        Ok(())
    }

    /// The lanes of these names, as targets stand in them; None: all.
    pub(super) fn lanes(&self, names: Option<&[String]>) -> Option<Vec<u32>> {
        names.map(|names| {
            (0..).zip(&self.lane_names).filter(|(_, name)| names.contains(name)).map(|(at, _)| at).collect()
        })
    }

    fn new_cursor(&mut self, name: &str, start: u64) -> Result<u32> {
        self.make_room()?;
        let number = self.counts.cursors;
        let name_at = self.write_text(name)?;
        self.put_cursor(number, &Cursor { name: name_at, read: start, start, ..Cursor::default() })?;
        self.counts.cursors += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok(number)
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
        if target.error != 0 && self.files.texts.write_over(target.error, error)? {
            return Ok(());
        }
        let (at, used) = self.files.texts.write_first(error, self.counts.text_lines)?;
        self.counts.text_lines = used;
        self.keep_counts()?;
        target.error = at;
        Ok(())
    }

    fn lane_at(&mut self, lane: &str) -> Result<u64> {
        if let Some(at) = self.lane_texts.get(lane) {
            return Ok(*at);
        }
        let at = self.write_text(lane)?;
        self.lane_texts.insert(lane.into(), at);
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
        self.files.subscriptions.write(number, subscription.encode())?;
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
        self.files.targets.write(number, target.encode())?;
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
        let found = self.files.targets.read(number)?.map(|line| Target::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/targets", u64::from(number) * 128))
    }

    pub(super) fn subscription(&self, number: u32) -> Result<Subscription> {
        let found = self.files.subscriptions.read(number)?.map(|line| Subscription::decode(&line));
        found.ok_or_else(|| Error::index_damaged("reactions/subscriptions", u64::from(number) * 128))
    }

    pub(super) fn cursor(&self, number: u32) -> Result<Cursor> {
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

    pub(super) fn put_cursor(&self, number: u32, cursor: &Cursor) -> Result<()> {
        self.files.cursors.write(number, cursor.encode())
    }

    /// Tell all processes that a target has changed.
    pub(super) fn changed(&mut self, number: u32) -> Result<()> {
        self.announce(number)?;
        self.stand(number)
    }

    fn announce(&mut self, number: u32) -> Result<()> {
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
        self.place(number, to);
        Ok(())
    }

    fn place(&mut self, number: u32, to: Standing) {
        let known = &mut self.known[number as usize];
        if known.standing != to {
            let from = std::mem::replace(&mut known.standing, to);
            self.frontier.place(number, from, to);
        }
    }

    fn standing(&self, number: u32) -> Result<Standing> {
        let own = self.own_subscriptions(number)?;
        let mut next = u64::MAX;
        // In the lane that the strongest of this program's reactions says, whatever other programs say.
        let mut strongest: Option<&Registered> = None;
        for (_, reaction, subscription) in &own {
            let registered = &self.registered[*reaction as usize];
            if strongest.is_none_or(|before| before.spec.priority < registered.spec.priority) {
                strongest = Some(registered);
            }
            if subscription.pending() {
                next = next.min(self.next_of(subscription)?);
            }
        }
        let (Some(strongest), true) = (strongest, next != u64::MAX) else { return Ok(Standing::Idle) };
        let target = self.target(number)?;
        Ok(if target.blocked {
            Standing::Idle
        } else if target.leased_until_ms > self.uptime_ms {
            Standing::Leased { until_ms: target.leased_until_ms }
        } else if target.due_ms > self.now_ms {
            Standing::Due { at_ms: target.due_ms }
        } else {
            Standing::Ready { lane: strongest.lane, priority: target.priority, watermark: next - 1 }
        })
    }

    /// The position of a pending subscription's next event.
    pub(super) fn next_of(&self, subscription: &Subscription) -> Result<u64> {
        let ordinal = subscription.done_count + 1;
        let found = self.files.work.positions(subscription, ordinal, ordinal)?;
        Ok(found.first().copied().unwrap_or(subscription.last))
    }

    /// Forget a reaction: nothing is to be done any more for it. Whether it was known.
    pub(super) fn forget(&mut self, name: &str) -> Result<bool> {
        let Some(number) = self.cursor_names.iter().position(|known| **known == *name) else { return Ok(false) };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let cursor = self.cursor(number)?;
        if cursor.forgotten() {
            return Ok(false);
        }
        self.put_cursor(number, &Cursor { read: FORGOTTEN, ..cursor })?;
        for at in 0..self.counts.subscriptions {
            let subscription = self.subscription(at)?;
            if subscription.reaction == number {
                let none = Subscription { done: FORGOTTEN, ..subscription.without_work() };
                self.put_subscription(at, &Subscription { failing: 0, attempts: 0, ..none })?;
                self.changed(subscription.target)?;
            }
        }
        Ok(true)
    }

    /// Whether no reaction is left that runs under a target.
    pub(super) fn deserted(&self, number: u32) -> Result<bool> {
        for at in &self.known[number as usize].subscriptions {
            if self.subscription(*at)?.done != FORGOTTEN {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether what is kept of reactions is not as it was left.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { file, .. } if file.starts_with(crate::reaction_files::FOLDER))
}
