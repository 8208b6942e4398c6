//! Seeing: every target with all that is known of it.

use crate::error::{Error, Result};

use smallvec::SmallVec;

use super::Reactions;
use super::administer::Selection;
use super::hold::Hold;
use super::home::Home;
use super::register::tags_of_key;
use super::source::Source;
use super::state::Shared;
use super::template::Resolver;
use crate::reaction_files::records::{Cursor, FORGOTTEN, Subscription};

/// All that is known of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetInfo {
    /// Its name.
    pub name: String,
    /// Its lane.
    pub lane: String,
    /// Its priority.
    pub priority: i32,
    /// The position that it has processed up to.
    pub watermark: u64,
    /// The last position that concerns it.
    pub mark: u64,
    /// How many events it has still to process.
    pub lag: u64,
    /// Who holds it: the number that the claim gave.
    pub holder: Option<u64>,
    /// For how long yet, in ms.
    pub lease_ms: Option<u64>,
    /// How often the event at `failing` has been begun without success.
    pub attempts: u16,
    /// The event that is being tried or has failed.
    pub failing: Option<u64>,
    /// Whether it is blocked.
    pub blocked: bool,
    /// What went wrong last.
    pub error: Option<String>,
    /// Not before this time of day, in ms since 1970.
    pub due_ms: Option<u64>,
    /// The reactions that run under it.
    pub reactions: Vec<String>,
    /// The tags that they follow: of each that follows any, its name, and the tags that its events all carry.
    pub tags: Vec<(String, Vec<String>)>,
    /// Whether this program has code for one of them.
    pub known: bool,
}

/// How far a reaction has been correlated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorInfo {
    /// The reaction.
    pub reaction: String,
    /// The position up to which its targets have been found.
    pub read: u64,
    /// Whether this program has code for it.
    pub known: bool,
}

impl<H: Home> Reactions<H> {
    /// The targets that are meant, in the order in which they came to be, after the target `after`, at most `limit`.
    pub fn targets(&self, selection: &Selection, after: Option<&str>, limit: usize) -> Result<Vec<TargetInfo>> {
        let (uptime_ms, now_ms) = (self.clock.uptime_ms(), self.clock.now_ms());
        self.locked(|shared| {
            // Reactions that hold come first, each as if it were a target of its name.
            let mut found = Vec::new();
            if after.is_none() {
                let holds = shared.holds_meant(selection)?.into_iter().take(limit);
                found = holds.map(|hold| shared.info_of_hold(&hold, now_ms)).collect::<Result<Vec<_>>>()?;
            }
            let after = match after {
                None => None,
                Some(name) => match shared.by_name.get(name) {
                    Some(number) => Some(*number),
                    None if shared.holds()?.iter().any(|hold| *hold.reaction == *name) => None,
                    None => {
                        let unknown = format!(
                            "there is no target {name:?} to continue after; leave out `after` to start with the first"
                        );
                        return Err(Error::Invalid(unknown));
                    }
                },
            };
            for number in shared.select(selection, after, limit - found.len())? {
                found.push(shared.info(number, uptime_ms, now_ms)?);
            }
            Ok(found)
        })
    }

    /// How far everything has been done that may come to a target, whether it is there yet or not: by this program's
    /// reactions, or, where none of them may run under it, by those of others. None: none of any may.
    pub fn progress(&self, target: &str) -> Result<Option<TargetInfo>> {
        let (uptime_ms, now_ms) = (self.clock.uptime_ms(), self.clock.now_ms());
        self.locked(|shared| shared.progress(target, uptime_ms, now_ms))
    }

    /// How far each reaction has been correlated.
    pub fn cursors(&self) -> Result<Vec<CursorInfo>> {
        self.locked(|shared| {
            let mut found: Vec<CursorInfo> = Vec::new();
            for name in &shared.cursor_names {
                if found.iter().any(|known| *known.reaction == **name) {
                    continue;
                }
                let (cursors, known) = shared.told(name)?;
                let read = cursors.iter().map(|number| shared.cursor(*number).map(|cursor| cursor.read));
                if let Some(read) = read.collect::<Result<Vec<_>>>()?.into_iter().min() {
                    found.push(CursorInfo { reaction: name.to_string(), read, known });
                }
            }
            Ok(found)
        })
    }
}

impl Shared {
    fn info(&self, number: u32, uptime_ms: u64, now_ms: u64) -> Result<TargetInfo> {
        let target = self.target(number)?;
        let known = &self.known[number as usize];
        let mut all: SmallVec<[Subscription; 2]> = SmallVec::new();
        for at in &known.subscriptions {
            let subscription = self.subscription(*at)?;
            if subscription.done != FORGOTTEN {
                all.push(subscription);
            }
        }
        let is_own = |subscription: &Subscription| self.number_of.contains_key(&subscription.reaction);
        let own = all.iter().any(is_own);
        let mut reactions: Vec<String> = Vec::with_capacity(all.len());
        let mut tags = Vec::new();
        let mut told: SmallVec<[u32; 4]> = SmallVec::new();
        for each in &all {
            let name = &self.cursor_names[each.reaction as usize];
            if !reactions.iter().any(|known| **known == **name) {
                reactions.push(name.to_string());
                let cursors = self.told(name)?.0;
                self.note_tags(name, &cursors, &mut tags);
                told.extend(cursors.into_iter().filter(|at| !own || self.number_of.contains_key(at)));
            }
        }
        // What a program sees of a target is how far its own reactions are; one that has none of them sees all.
        let (mut mark, mut lag, mut read, mut lowest) = (0, 0, u64::MAX, u64::MAX);
        for number in &told {
            read = read.min(self.cursor(*number)?.read);
        }
        for subscription in all.iter().filter(|each| if own { is_own(each) } else { told.contains(&each.reaction) }) {
            mark = mark.max(subscription.last);
            lag += subscription.count - subscription.done_count;
            if subscription.pending() {
                lowest = lowest.min(self.next_of(subscription)? - 1);
            }
        }
        // Before its next event there is nothing left to do; a target without one is where correlating is.
        // Never beyond what has been correlated for all its reactions: what is not yet known is not yet done.
        let watermark = match lowest.min(read) {
            u64::MAX => target.watermark,
            lowest => lowest,
        };
        let leased = target.leased_until_ms > uptime_ms;
        Ok(TargetInfo {
            name: known.name.to_string(),
            lane: self.files.texts.read(target.lane)?.to_string(),
            priority: target.priority,
            watermark,
            mark,
            lag,
            holder: leased.then_some(target.holder),
            lease_ms: leased.then(|| target.leased_until_ms - uptime_ms),
            attempts: target.attempts,
            failing: (target.failing != 0).then_some(target.failing),
            blocked: target.blocked,
            error: target.failed.then(|| self.message(target.error)),
            due_ms: (target.due_ms > now_ms).then_some(target.due_ms),
            reactions,
            tags,
            known: own,
        })
    }

    /// The cursors that tell how far a reaction is, and whether they are this program's: those of what it takes now. What
    /// an earlier version has kept counts until a program has begun to keep it for each event.
    pub(super) fn told(&self, reaction: &str) -> Result<(Vec<u32>, bool)> {
        let (mut own, mut current, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for number in self.cursors_of.get(reaction).into_iter().flatten() {
            let cursor = self.cursor(*number)?;
            if cursor.forgotten() {
                continue;
            }
            if self.number_of.contains_key(number) {
                own.push(*number);
            }
            if cursor.whole() {
                whole.push(*number);
            } else if cursor.current {
                current.push(*number);
            }
        }
        let known = !own.is_empty();
        Ok((
            if known {
                own
            } else if current.is_empty() {
                whole
            } else {
                current
            },
            known,
        ))
    }

    /// Note which tags a reaction follows, if any. Of another program's, those are known that fit into a cursor's key.
    fn note_tags(&self, reaction: &str, cursors: &[u32], tags: &mut Vec<(String, Vec<String>)>) {
        // All of them have the same.
        let Some(first) = cursors.first() else { return };
        let followed = match self.number_of.get(first) {
            Some(number) => self.registered[*number as usize].spec.tags.clone(),
            None => tags_of_key(&self.cursor_keys[*first as usize]),
        };
        if !followed.is_empty() {
            tags.push((reaction.to_owned(), followed));
        }
    }

    /// A reaction that holds, told as a target of its name.
    fn info_of_hold(&self, hold: &Hold, now_ms: u64) -> Result<TargetInfo> {
        let Cursor { read, failing, attempts, due_ms, blocked, error, priority, lane, .. } = hold.cursor;
        let mut tags = Vec::new();
        self.note_tags(&hold.reaction, &hold.cursors, &mut tags);
        Ok(TargetInfo {
            name: hold.reaction.to_string(),
            lane: self.files.texts.read(lane)?.to_string(),
            priority,
            watermark: read,
            mark: failing,
            lag: 1,
            holder: None,
            lease_ms: None,
            attempts,
            failing: Some(failing),
            blocked,
            error: Some(self.message(error)),
            due_ms: (due_ms > now_ms).then_some(due_ms),
            reactions: vec![hold.reaction.to_string()],
            tags,
            known: self.number_of.contains_key(&hold.cursors[0]),
        })
    }

    fn progress(&self, target: &str, uptime_ms: u64, now_ms: u64) -> Result<Option<TargetInfo>> {
        let number = self.by_name.get(target).copied();
        let mut said = None::<Cursor>;
        let (mut watermark, mut reactions) = (u64::MAX, Vec::new());
        for registered in &self.registered {
            let spec = &registered.spec;
            let events: Vec<&str> = spec.events.iter().map(String::as_str).collect();
            if !spec.resolver.may_name(target, &spec.source, &events) {
                continue;
            }
            reactions.push(spec.name.clone());
            for strand in &registered.strands {
                let cursor = self.cursor(strand.cursor)?;
                watermark = watermark.min(cursor.read);
                said = said.filter(|before| before.priority >= cursor.priority).or(Some(cursor));
            }
        }
        let known = said.is_some();
        if !known {
            for (at, key) in (0..).zip(&self.cursor_keys) {
                let cursor = self.cursor(at)?;
                if !cursor.forgotten()
                    && cursor.current
                    && !cursor.whole()
                    && self.others_may_name(&cursor, key, target)?
                {
                    reactions.push(self.cursor_names[at as usize].to_string());
                    watermark = watermark.min(cursor.read);
                    said = said.filter(|before| before.priority >= cursor.priority).or(Some(cursor));
                }
            }
        }
        let there = match number {
            Some(number) if !self.deserted(number)? => Some(self.info(number, uptime_ms, now_ms)?),
            _ => None,
        };
        Ok(match (there, said) {
            (None, None) => None,
            (Some(info), said) => {
                let watermark = if said.is_some() { info.watermark.min(watermark) } else { info.watermark };
                Some(TargetInfo { watermark, ..info })
            }
            (None, Some(said)) => {
                reactions.dedup();
                let mut tags = Vec::new();
                for reaction in &reactions {
                    self.note_tags(reaction, &self.told(reaction)?.0, &mut tags);
                }
                Some(TargetInfo {
                    name: target.to_owned(),
                    lane: self.files.texts.read(said.lane)?.to_string(),
                    priority: said.priority,
                    watermark,
                    mark: 0,
                    lag: 0,
                    holder: None,
                    lease_ms: None,
                    attempts: 0,
                    failing: None,
                    blocked: false,
                    error: None,
                    due_ms: None,
                    reactions,
                    tags,
                    known,
                })
            }
        })
    }

    /// Whether events of a cursor of another program's may come to a target, as far as what is stored of it tells.
    fn others_may_name(&self, cursor: &Cursor, key: &str, target: &str) -> Result<bool> {
        if cursor.to == 0 {
            return Ok(true);
        }
        let mut parts = key.split('\0');
        let (event, source) = (parts.next().unwrap_or(""), parts.next().unwrap_or("")); // and tags
        let (template, source) = (self.files.texts.read(cursor.to)?, Source::from_key(source));
        Ok(match (Resolver::from_template(&template), source) {
            (Ok(resolver), Ok(source)) => resolver.may_name(target, &source, &[event]),
            _ => true,
        })
    }

    /// An error message. One whose writer died on it is no reason to repair everything.
    pub(super) fn message(&self, at: u64) -> String {
        self.files.texts.read(at).map_or_else(|_| "its message was lost".to_owned(), |text| text.to_string())
    }
}
