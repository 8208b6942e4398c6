//! All targets added up, a stretch of them at a time: what a picture of a million of them needs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use smallvec::SmallVec;

use crate::error::Result;

use super::Reactions;
use super::administer::Selection;
use super::home::Home;
use super::state::Shared;
use crate::reaction_files::records::{FORGOTTEN, Subscription};

/// The states that a target may be in: blocked, leased, waiting, behind, caught up.
pub const STATES: usize = 5;

/// What is asked of a tally.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// The number of the first target.
    pub from: u32,
    /// How many targets to look at.
    pub limit: u32,
    /// Where the log ends.
    pub head: u64,
    /// Into how many parts the log is cut.
    pub parts: usize,
    /// How many of those furthest behind are named.
    pub worst: usize,
}

/// Targets added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Where to go on; None: these were the last.
    pub next: Option<u32>,
    /// How many are in each state.
    pub states: [u64; STATES],
    /// How many events they have still to process.
    pub lag: u64,
    /// The highest watermark.
    pub leading: u64,
    /// The lowest watermark of one that has work.
    pub lagging: Option<u64>,
    /// How many without work stand in each part of the log.
    pub caught_up: Vec<u64>,
    /// How many with work stand in each part of the log.
    pub behind: Vec<u64>,
    /// For each reaction, how many of its targets are in each state, and their lag.
    pub reactions: Vec<(String, [u64; STATES], u64)>,
    /// Those that are blocked, then those furthest behind: whether blocked, lag, name.
    pub worst: Vec<(bool, u64, String)>,
}

/// How a target stands.
struct Seen {
    state: usize,
    lag: u64,
    watermark: u64,
}

impl Tally {
    fn add(&mut self, seen: &Seen, stretch: &Stretch) {
        self.states[seen.state] += 1;
        self.lag += seen.lag;
        self.leading = self.leading.max(seen.watermark);
        let part = (u128::from(seen.watermark) * stretch.parts as u128 / u128::from(stretch.head.max(1))) as usize;
        let part = part.min(stretch.parts.saturating_sub(1));
        let parts = if seen.lag > 0 { &mut self.behind } else { &mut self.caught_up };
        if let Some(count) = parts.get_mut(part) {
            *count += 1;
        }
        if seen.lag > 0 {
            self.lagging = Some(self.lagging.map_or(seen.watermark, |lowest| lowest.min(seen.watermark)));
        }
    }

    fn note(&mut self, seen: &Seen, name: &str, most: usize) {
        if seen.lag > 0 || seen.state == 0 {
            self.worst.push((seen.state == 0, seen.lag, name.to_owned()));
            if self.worst.len() > 2 * most + 16 {
                self.sort(most);
            }
        }
    }

    fn sort(&mut self, most: usize) {
        self.worst.sort_by_key(|(blocked, lag, _)| (Reverse(*blocked), Reverse(*lag)));
        self.worst.truncate(most);
    }
}

/// What is known of the reaction of a cursor, found once for each.
struct Told {
    /// Where it is counted.
    slot: usize,
    cursors: Vec<u32>,
    /// Up to where it has been read, by anybody, and by this program.
    read: u64,
    own_read: u64,
}

impl<H: Home> Reactions<H> {
    /// The targets of a stretch added up. All others have to wait meanwhile, so stretches should be short.
    pub fn tally(&self, stretch: &Stretch) -> Result<Tally> {
        let (uptime_ms, now_ms) = (self.clock.uptime_ms(), self.clock.now_ms());
        self.locked(|shared| shared.tally(stretch, uptime_ms, now_ms))
    }
}

impl Shared {
    fn tally(&self, stretch: &Stretch, uptime_ms: u64, now_ms: u64) -> Result<Tally> {
        let mut tally = Tally { caught_up: vec![0; stretch.parts], behind: vec![0; stretch.parts], ..Tally::default() };
        let mut reactions: HashMap<u32, Told> = HashMap::new();
        if stretch.from == 0 {
            for hold in self.holds_meant(&Selection::default())? {
                let blocked = hold.cursor.blocked;
                let state = if blocked {
                    0
                } else if hold.cursor.due_ms > now_ms {
                    2
                } else {
                    3
                };
                let seen = Seen { state, lag: 1, watermark: hold.cursor.read };
                tally.add(&seen, stretch);
                tally.note(&seen, &hold.reaction, stretch.worst);
                let slot = self.told_of(hold.cursors[0], &mut reactions, &mut tally)?.slot;
                tally.reactions[slot].1[state] += 1;
                tally.reactions[slot].2 += 1;
            }
        }
        let end = stretch.from.saturating_add(stretch.limit).min(self.counts.targets);
        for number in stretch.from..end {
            let mut all: SmallVec<[Subscription; 2]> = SmallVec::new();
            for at in &self.known[number as usize].subscriptions {
                let subscription = self.subscription(*at)?;
                if subscription.done != FORGOTTEN {
                    all.push(subscription);
                }
            }
            if all.is_empty() {
                continue;
            }
            let (seen, slots) = self.seen(number, &all, &mut reactions, &mut tally, uptime_ms, now_ms)?;
            tally.add(&seen, stretch);
            tally.note(&seen, &self.known[number as usize].name, stretch.worst);
            for slot in slots {
                tally.reactions[slot].1[seen.state] += 1;
                tally.reactions[slot].2 += seen.lag;
            }
        }
        tally.sort(stretch.worst);
        tally.next = (end < self.counts.targets).then_some(end);
        Ok(tally)
    }

    /// How a target stands, as `targets` tells it, without the texts; and where its reactions are counted.
    fn seen(
        &self,
        number: u32,
        all: &[Subscription],
        reactions: &mut HashMap<u32, Told>,
        tally: &mut Tally,
        uptime_ms: u64,
        now_ms: u64,
    ) -> Result<(Seen, SmallVec<[usize; 2]>)> {
        let target = self.target(number)?;
        let own = all.iter().any(|each| self.number_of.contains_key(&each.reaction));
        let (mut read, mut slots) = (u64::MAX, SmallVec::<[usize; 2]>::new());
        for each in all {
            let told = self.told_of(each.reaction, reactions, tally)?;
            if !slots.contains(&told.slot) {
                slots.push(told.slot);
                read = read.min(if own { told.own_read } else { told.read });
            }
        }
        let (mut lag, mut lowest) = (0, u64::MAX);
        for each in all {
            let counts = if own {
                self.number_of.contains_key(&each.reaction)
            } else {
                reactions.get(&each.reaction).is_some_and(|told| told.cursors.contains(&each.reaction))
            };
            if counts {
                lag += each.count - each.done_count;
                if each.pending() {
                    lowest = lowest.min(self.next_of(each)? - 1);
                }
            }
        }
        let watermark = match lowest.min(read) {
            u64::MAX => target.watermark,
            lowest => lowest,
        };
        let state = match () {
            () if target.blocked => 0,
            () if target.leased_until_ms > uptime_ms => 1,
            () if target.due_ms > now_ms => 2,
            () if lag > 0 => 3,
            () => 4,
        };
        Ok((Seen { state, lag, watermark }, slots))
    }

    /// What is known of the reaction that a cursor belongs to. Cursors of one reaction share a slot.
    fn told_of<'a>(&self, reaction: u32, reactions: &'a mut HashMap<u32, Told>, tally: &mut Tally) -> Result<&'a Told> {
        let vacant = match reactions.entry(reaction) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(vacant) => vacant,
        };
        let name = &self.cursor_names[reaction as usize];
        let (cursors, known) = self.told(name)?;
        let mut read = u64::MAX;
        for number in &cursors {
            read = read.min(self.cursor(*number)?.read);
        }
        let slot = tally.reactions.iter().position(|(told, ..)| **told == **name).unwrap_or_else(|| {
            tally.reactions.push((name.to_string(), [0; STATES], 0));
            tally.reactions.len() - 1
        });
        let own_read = if known { read } else { u64::MAX };
        Ok(vacant.insert(Told { slot, cursors, read, own_read }))
    }
}
