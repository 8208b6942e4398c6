//! The files that all processes share, and what this process has made of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::store::log::Log;

use super::frontier::{Frontier, Standing};
use super::spec::{Source, Spec};
use crate::reaction_files::files::{Files, RING};
use crate::reaction_files::mend::mend;
use crate::reaction_files::records::{Counts, Cursor, FORGOTTEN, Subscription, Target};

/// A reaction that is so many positions behind the others is waited for by nobody.
const STRAGGLING: u64 = 100_000;
/// Longer keys of cursors are kept by their checksum.
const KEY_MAX_BYTES: usize = 1500;

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
#[derive(Debug)]
pub(super) struct Part {
    pub(super) subscription: u32,
    /// Its work is known up to here; what comes later may have been added after the claim.
    pub(super) known_to: u64,
    /// The positions that come next, from the ordinal after `done_count` on.
    pub(super) positions: Vec<u64>,
    /// Those of them that were handled under another subscription.
    pub(super) handled: Vec<u64>,
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
    /// The reaction of each cursor.
    pub(super) cursor_names: Vec<Arc<str>>,
    /// The event and the source of each; empty where an earlier version kept it.
    pub(super) cursor_keys: Vec<Arc<str>>,
    /// The cursors of each reaction.
    pub(super) cursors_of: HashMap<Arc<str>, Vec<u32>>,
    /// For each cursor those whose work may have the same events in it.
    pub(super) kin: Vec<SmallVec<[u32; 1]>>,
    /// What is in the cursors' cells, as of so many changes.
    cursors: Vec<Cursor>,
    cursor_changes: u64,
    /// When the next reaction that holds is tried again, in ms since 1970.
    pub(super) held_until_ms: Option<u64>,
    pub(super) registered: Vec<Registered>,
    /// Cursor → number of the registered reaction.
    pub(super) number_of: HashMap<u32, u32>,
    /// The texts of lanes, by name.
    pub(super) lane_texts: HashMap<Arc<str>, u64>,
    /// The lanes of this program's reactions.
    lane_names: Vec<String>,
    pub(super) frontier: Frontier,
    pub(super) held: HashMap<u32, Held>,
    /// How often work was passed over, since it was handled under another subscription.
    pub(super) passed_over: u64,
    /// Who was correlated last: those who are near the head, or those who are not yet.
    pub(super) joined_last: bool,
    /// The target that is leased alone, with the lease's token, and since when.
    pub(super) apart: Option<(u32, u32, u64)>,
    /// Since when it is waited for the leases of this process to end, to lease a target alone.
    pub(super) gathering: Option<u64>,
    uptime_ms: u64,
    pub(super) now_ms: u64,
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
            held: HashMap::new(),
            passed_over: 0,
            joined_last: false,
            apart: None,
            gathering: None,
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
        self.files.cursor_changes()?.fetch_add(1, Ordering::SeqCst);
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
        self.look_at_cursors()?;
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
        self.cursor_keys.clear();
        self.cursors_of.clear();
        self.kin.clear();
        self.cursors.clear();
        self.lane_texts.clear();
        self.number_of.clear();
        self.held.clear();
        (self.apart, self.gathering) = (None, None);
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

    /// Read the cursors again if anybody has changed one.
    fn look_at_cursors(&mut self) -> Result<()> {
        let changes = self.files.cursor_changes()?.load(Ordering::SeqCst);
        if changes != self.cursor_changes {
            let known = u32::try_from(self.cursors.len()).unwrap_or(u32::MAX);
            self.cursors = (0..known).map(|number| self.read_cursor(number)).collect::<Result<_>>()?;
            self.cursor_changes = changes;
        }
        Ok(())
    }

    fn load_cursor(&mut self, number: u32) -> Result<()> {
        let cursor = self.read_cursor(number)?;
        let name = self.files.texts.read(cursor.name)?;
        let key = if cursor.whole() { "".into() } else { self.files.texts.read(cursor.key)? };
        self.know_lane(cursor.lane)?;
        let others = self.cursors_of.entry(Arc::clone(&name)).or_default();
        let event = event_of(&key);
        let mut kin = SmallVec::new();
        for other in others.iter() {
            let others_event = event_of(&self.cursor_keys[*other as usize]);
            if event.is_empty() || others_event.is_empty() || event == others_event {
                kin.push(*other);
                self.kin[*other as usize].push(number);
            }
        }
        others.push(number);
        self.kin.push(kin);
        self.cursor_names.push(name);
        self.cursor_keys.push(key);
        self.cursors.push(cursor);
        Ok(())
    }

    fn load_new(&mut self) -> Result<()> {
        for number in self.loaded.cursors..self.counts.cursors {
            self.load_cursor(number)?;
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
        for number in self.own_cursors() {
            self.join(number, head)?;
        }
        (0..self.counts.targets).try_for_each(|number| self.stand(number))
    }

    fn register_one(&mut self, spec: Arc<Spec>, head: u64) -> Result<()> {
        let lane_text = self.lane_at(&spec.lane)?;
        let to = self.template_at(&spec)?;
        let mut strands: Vec<Strand> = Vec::with_capacity(spec.events.len());
        let mut moved = None;
        for event in &spec.events {
            if strands.iter().any(|strand| strand.event == *event) {
                continue;
            }
            let (number, fresh) = self.strand(&spec, event, head)?;
            let mut cursor = self.cursor(number)?;
            let said = Cursor { priority: spec.priority, lane: lane_text, to, current: true, ..cursor };
            if said != cursor {
                if !fresh && (said.priority, said.lane) != (cursor.priority, cursor.lane) {
                    moved = Some(number);
                }
                cursor = said;
                self.put_cursor(number, &cursor)?;
            }
            strands.push(Strand { event: event.clone(), cursor: number });
        }
        if let Some(number) = moved {
            self.follow_the_code(number)?;
        }
        self.retire_others(&spec.name, &strands)?;
        let lane = self.lane_names.iter().position(|name| *name == spec.lane).unwrap_or_else(|| {
            self.lane_names.push(spec.lane.clone());
            self.lane_names.len() - 1
        });
        let number = u32::try_from(self.registered.len()).unwrap_or(u32::MAX);
        self.number_of.extend(strands.iter().map(|strand| (strand.cursor, number)));
        self.registered.push(Registered { spec, strands, lane: u32::try_from(lane).unwrap_or(u32::MAX) });
        Ok(())
    }

    /// The cursor of a reaction's events of one name, and whether it was made now: a name that is new to a reaction, or a
    /// source that is, begins where the reaction says.
    fn strand(&mut self, spec: &Spec, event: &str, head: u64) -> Result<(u32, bool)> {
        let key = strand_key(event, &spec.source);
        let start = if spec.from_now { head } else { 0 };
        let (mut known, mut heir, mut name_at) = (None, None, None);
        for number in self.cursors_of.get(spec.name.as_str()).into_iter().flatten() {
            let cursor = self.cursor(*number)?;
            name_at = Some(cursor.name);
            if *self.cursor_keys[*number as usize] == *key {
                known = Some((*number, cursor));
            } else if cursor.whole() && !cursor.forgotten() {
                heir = Some(cursor.start);
            }
        }
        match known {
            Some((number, cursor)) => {
                if cursor.forgotten() {
                    self.remember(number, cursor, start)?;
                }
                Ok((number, false))
            }
            None => Ok((self.new_cursor(&spec.name, name_at, &key, heir.unwrap_or(start))?, true)),
        }
    }

    /// What a reaction took before and does not take any more, as this program says it.
    fn retire_others(&mut self, reaction: &str, strands: &[Strand]) -> Result<()> {
        let Some(all) = self.cursors_of.get(reaction).cloned() else { return Ok(()) };
        for number in all.into_iter().filter(|number| strands.iter().all(|strand| strand.cursor != *number)) {
            let cursor = self.cursor(number)?;
            if cursor.current {
                self.put_cursor(number, &Cursor { current: false, ..cursor })?;
            }
        }
        Ok(())
    }

    /// A reaction that was forgotten is back: it is new.
    fn remember(&mut self, number: u32, cursor: Cursor, start: u64) -> Result<()> {
        self.put_cursor(number, &Cursor { read: start, start, joined: false, ..cursor.freed() })?;
        for at in 0..self.counts.subscriptions {
            let subscription = self.subscription(at)?;
            if subscription.reaction == number {
                let done = start;
                self.put_subscription(at, &Subscription { done, replay_to: 0, ..subscription.without_work() })?;
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
        let mut cursors = Vec::new();
        for number in self.own_cursors() {
            cursors.push((number, self.cursor(number)?));
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

    fn new_cursor(&mut self, name: &str, name_at: Option<u64>, key: &str, start: u64) -> Result<u32> {
        self.make_room()?;
        let number = self.counts.cursors;
        let name_at = match name_at {
            Some(name_at) => name_at,
            None => self.write_text(name)?,
        };
        let key = self.write_text(key)?;
        let cursor = Cursor { name: name_at, key, read: start, start, ..Cursor::default() };
        self.files.cursors.write(number, cursor.encode())?;
        self.counts.cursors += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok(number)
    }

    /// The cursors of this program's reactions.
    pub(super) fn own_cursors(&self) -> Vec<u32> {
        self.registered.iter().flat_map(|each| &each.strands).map(|strand| strand.cursor).collect()
    }

    /// Where the template of a reaction's targets is written; 0 for a function.
    fn template_at(&mut self, spec: &Spec) -> Result<u64> {
        let Some(template) = spec.resolver.text() else { return Ok(0) };
        for number in self.cursors_of.get(spec.name.as_str()).into_iter().flatten() {
            let to = self.cursor(*number)?.to;
            if to != 0 && *self.files.texts.read(to)? == *template {
                return Ok(to);
            }
        }
        self.write_text(&template)
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

    fn lane_at(&mut self, lane: &str) -> Result<u64> {
        if let Some(at) = self.lane_texts.get(lane) {
            return Ok(*at);
        }
        let at = self.write_text(lane)?;
        self.lane_texts.insert(lane.into(), at);
        Ok(at)
    }

    /// The subscription of a registered reaction's cursor on a target; both are made where they are not there.
    pub(super) fn subscribe(&mut self, reaction: u32, cursor: u32, target: &str) -> Result<(u32, bool)> {
        let spec = Arc::clone(&self.registered[reaction as usize].spec);
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

    /// A cursor, as of the last `sync`.
    pub(super) fn cursor(&self, number: u32) -> Result<Cursor> {
        let found = self.cursors.get(number as usize).copied();
        found.ok_or_else(|| Error::index_damaged("reactions/cursors", u64::from(number) * 128))
    }

    fn read_cursor(&self, number: u32) -> Result<Cursor> {
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
    pub(super) fn stand(&mut self, number: u32) -> Result<()> {
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
            Standing::Ready {
                lane: strongest.lane,
                priority: target.priority,
                watermark: next - 1,
                suspect: target.leased_until_ms != 0,
            }
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
        let mut known = Vec::new();
        for number in self.cursors_of.get(name).cloned().unwrap_or_default() {
            let cursor = self.cursor(number)?;
            if !cursor.forgotten() {
                self.put_cursor(number, &Cursor { read: FORGOTTEN, ..cursor.freed() })?;
                known.push(number);
            }
        }
        for at in 0..self.counts.subscriptions {
            let subscription = self.subscription(at)?;
            if known.contains(&subscription.reaction) {
                let none = Subscription { done: FORGOTTEN, ..subscription.without_work() };
                self.put_subscription(at, &Subscription { failing: 0, attempts: 0, ..none })?;
                self.changed(subscription.target)?;
            }
        }
        Ok(!known.is_empty())
    }

    /// Whether an event at a target was handled under another subscription: of an earlier version's, or of the same events
    /// from another source.
    pub(super) fn was_handled(&self, subscription: &Subscription, position: u64) -> Result<bool> {
        for kin in &self.kin[subscription.reaction as usize] {
            let Some(number) = self.by_pair.get(&(*kin, subscription.target)) else { continue };
            let other = self.subscription(*number)?;
            if other.done == FORGOTTEN || position > other.done {
                continue;
            }
            // Work of an earlier version that was lost cannot be found again: all up to there counts as handled.
            let lost = other.count == 0 && self.cursor(*kin)?.whole();
            if lost || self.files.work.has(&other, position)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Pass over the next work of a subscription that was handled under another one; whether there was any.
    pub(super) fn pass_over(&self, subscription: &mut Subscription) -> Result<bool> {
        let before = subscription.done_count;
        if self.kin[subscription.reaction as usize].is_empty() {
            return Ok(false);
        }
        while subscription.pending() {
            let next = self.next_of(subscription)?;
            if !self.was_handled(subscription, next)? {
                break;
            }
            subscription.done = next;
            subscription.done_count += 1;
        }
        Ok(subscription.done_count > before)
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

/// What the cursor of a reaction's events of one name is found by: the name, and the source that they are read from.
fn strand_key(event: &str, source: &Source) -> String {
    let key = format!("{event}\0{}", source.key());
    if key.len() <= KEY_MAX_BYTES {
        return key;
    }
    format!("{event}\0#{:016x}", xxhash_rust::xxh3::xxh3_64(key.as_bytes()))
}

/// The event's name in a cursor's key; empty where there is none.
fn event_of(key: &str) -> &str {
    key.split('\0').next().unwrap_or_default()
}

/// Whether what is kept of reactions is not as it was left.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { file, .. } if file.starts_with(crate::reaction_files::FOLDER))
}
