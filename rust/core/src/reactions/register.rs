//! Making the reactions of a program known, each event and source of one by itself, and forgetting them.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::reaction_files::records::{Cursor, FORGOTTEN, Subscription, Target};

use super::spec::Spec;
use super::state::{Registered, Shared, Strand};

/// No other reaction waits for one that is this many positions behind.
const STRAGGLING: u64 = 100_000;
/// Longer keys of cursors are kept by their checksum.
const KEY_MAX_BYTES: usize = 1500;

impl Shared {
    pub(super) fn register(&mut self, specs: &[Spec], head: u64) -> Result<()> {
        let mut names: Vec<_> = self.registered.iter().map(|each| &each.spec.name).collect();
        for spec in specs {
            if names.contains(&&spec.name) {
                let twice = format!("two reactions are named {:?}; give them different names", spec.name);
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

    pub(super) fn register_all(&mut self, specs: &[Spec], head: u64) -> Result<()> {
        for spec in specs {
            self.register_one(Arc::new(spec.clone()), head)?;
        }
        self.unjoin_stragglers()?;
        for number in self.own_cursors() {
            self.join(number, head)?;
        }
        (0..self.counts.targets).try_for_each(|number| self.stand(number))
    }

    pub(super) fn register_one(&mut self, spec: Arc<Spec>, head: u64) -> Result<()> {
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

    /// The cursor of a reaction's events of one name, and whether it was made now: a name that is new to a reaction, a source
    /// or tags that are, begin where the reaction says.
    pub(super) fn strand(&mut self, spec: &Spec, event: &str, head: u64) -> Result<(u32, bool)> {
        let key = strand_key(event, spec);
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
    pub(super) fn retire_others(&mut self, reaction: &str, strands: &[Strand]) -> Result<()> {
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
    pub(super) fn remember(&mut self, number: u32, cursor: Cursor, start: u64) -> Result<()> {
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
    pub(super) fn follow_the_code(&mut self, cursor: u32) -> Result<()> {
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

    /// No other reaction waits for those that are far behind, as after a time without their code.
    pub(super) fn unjoin_stragglers(&mut self) -> Result<()> {
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

    pub(super) fn new_cursor(&mut self, name: &str, name_at: Option<u64>, key: &str, start: u64) -> Result<u32> {
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
    pub(super) fn template_at(&mut self, spec: &Spec) -> Result<u64> {
        let Some(template) = spec.resolver.text() else { return Ok(0) };
        for number in self.cursors_of.get(spec.name.as_str()).into_iter().flatten() {
            let to = self.cursor(*number)?.to;
            if to != 0 && *self.files.texts.read(to)? == *template {
                return Ok(to);
            }
        }
        self.write_text(&template)
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
        let mut targets = Vec::new();
        for at in 0..self.counts.subscriptions {
            let subscription = self.subscription(at)?;
            if known.contains(&subscription.reaction) {
                if subscription.done != FORGOTTEN && !targets.contains(&subscription.target) {
                    targets.push(subscription.target);
                }
                let none = Subscription { done: FORGOTTEN, ..subscription.without_work() };
                self.put_subscription(at, &Subscription { failing: 0, attempts: 0, ..none })?;
                self.changed(subscription.target)?;
            }
        }
        for target in targets {
            self.note_reset(target, 0, Some(name))?;
        }
        Ok(!known.is_empty())
    }
}

/// What the cursor of a reaction's events of one name is found by: the name, the source that they are read from, and their
/// tags.
fn strand_key(event: &str, spec: &Spec) -> String {
    let mut key = format!("{event}\0{}", spec.source.key());
    for tag in &spec.tags {
        key.push('\0');
        key.push_str(tag);
    }
    if key.len() <= KEY_MAX_BYTES {
        return key;
    }
    format!("{event}\0#{:016x}", xxhash_rust::xxh3::xxh3_64(key.as_bytes()))
}

/// The tags in such a key; none where they did not fit.
pub(super) fn tags_of_key(key: &str) -> Vec<String> {
    key.split('\0').skip(2).map(str::to_owned).collect()
}
