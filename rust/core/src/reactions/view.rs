//! Seeing: every target with all that is known of it.

use crate::error::{Error, Result};

use smallvec::SmallVec;

use super::Reactions;
use super::administer::Selection;
use super::state::Shared;
use crate::reaction_files::records::{FORGOTTEN, Subscription};

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

impl Reactions {
    /// The targets that are meant, in the order in which they came to be, after the target `after`, at most `limit`.
    pub fn targets(&self, selection: &Selection, after: Option<&str>, limit: usize) -> Result<Vec<TargetInfo>> {
        let (uptime_ms, now_ms) = (self.clock.uptime_ms(), self.clock.now_ms());
        self.locked(|shared| {
            let after = match after {
                None => None,
                Some(name) => Some(*shared.by_name.get(name).ok_or_else(|| {
                    Error::Invalid(format!("there is no target {name:?} to go on after; leave `after` out to begin"))
                })?),
            };
            let chosen = shared.select(selection, after, limit)?.into_iter();
            chosen.map(|number| shared.info(number, uptime_ms, now_ms)).collect()
        })
    }

    /// How far each reaction has been correlated.
    pub fn cursors(&self) -> Result<Vec<CursorInfo>> {
        self.locked(|shared| {
            let mut found = Vec::new();
            for (number, name) in (0..).zip(&shared.cursor_names) {
                let cursor = shared.cursor(number)?;
                if !cursor.forgotten() {
                    let known = shared.number_of.contains_key(&number);
                    found.push(CursorInfo { reaction: name.to_string(), read: cursor.read, known });
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
        let name_of = |each: &Subscription| self.cursor_names[each.reaction as usize].to_string();
        let reactions = all.iter().map(name_of).collect();
        // What a program sees of a target is how far its own reactions are; one that has none of them sees all.
        let (mut mark, mut lag, mut read, mut lowest) = (0, 0, u64::MAX, u64::MAX);
        for subscription in all.iter().filter(|each| !own || is_own(each)) {
            mark = mark.max(subscription.last);
            lag += subscription.count - subscription.done_count;
            read = read.min(self.cursor(subscription.reaction)?.read);
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
            known: own,
        })
    }

    /// An error message. One whose writer died on it is no reason to mend everything.
    fn message(&self, at: u64) -> String {
        self.files.texts.read(at).map_or_else(|_| "its message was lost".to_owned(), |text| text.to_string())
    }
}
