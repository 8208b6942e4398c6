//! What people do to targets by hand.

use crate::error::{Error, Result};
use crate::pattern;

use super::Reactions;
use super::home::Home;
use super::state::Shared;
use crate::reaction_files::records::{Cursor, FORGOTTEN, Subscription, Target};

/// Which targets are meant. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// These, by name.
    pub names: Option<Vec<String>>,
    /// Those in whose names this regular expression is found.
    pub pattern: Option<String>,
    /// Those of this lane.
    pub lane: Option<String>,
    /// Those that are blocked, or that are not.
    pub blocked: Option<bool>,
}

impl<H: Home> Reactions<H> {
    /// Let targets start over: all their work is to be done again. Blocks, retries and leases end.
    pub fn reset(&self, selection: &Selection) -> Result<usize> {
        self.reset_to(selection, 0)
    }

    /// Let targets do again what comes after a position. One that has not come so far goes on where it is.
    pub fn reset_to(&self, selection: &Selection, to: u64) -> Result<usize> {
        let again = |_: &mut Shared, cursor: &mut Cursor| {
            *cursor = cursor.freed();
            Ok(true)
        };
        self.change(selection, again, |shared, number, target| {
            for at in shared.known[number as usize].subscriptions.clone() {
                let mut subscription = shared.subscription(at)?;
                if subscription.done != FORGOTTEN {
                    let done = subscription.done.min(to);
                    let done_count = shared.files.work.count_up_to(&subscription, done)?.min(subscription.done_count);
                    let replay_to = subscription.replay_to.max(subscription.done.min(subscription.last));
                    subscription =
                        Subscription { done, done_count, failing: 0, attempts: 0, replay_to, ..subscription };
                    shared.put_subscription(at, &subscription)?;
                }
            }
            shared.note_reset(number, to, None)?;
            *target = Target { watermark: target.watermark.min(to), ..target.freed() };
            Ok(true)
        })
    }

    /// Let blocked targets go on where they stopped, with a fresh budget.
    pub fn unblock(&self, selection: &Selection) -> Result<usize> {
        let go_on = |_: &mut Shared, cursor: &mut Cursor| {
            let blocked = cursor.blocked;
            if blocked {
                *cursor = cursor.freed();
            }
            Ok(blocked)
        };
        self.change(selection, go_on, |shared, number, target| {
            let blocked = target.blocked;
            if blocked {
                *target = target.freed();
                for at in &shared.known[number as usize].subscriptions {
                    let subscription = shared.subscription(*at)?;
                    if subscription.attempts > 0 {
                        shared.put_subscription(*at, &Subscription { failing: 0, attempts: 0, ..subscription })?;
                    }
                }
            }
            Ok(blocked)
        })
    }

    /// Stop targets until they are unblocked. A lease on one ends: its outcome will be dropped.
    pub fn block(&self, selection: &Selection, error: &str) -> Result<usize> {
        let stop = |shared: &mut Shared, cursor: &mut Cursor| {
            let fresh = !cursor.blocked;
            if fresh {
                (cursor.blocked, cursor.error) = (true, shared.write_error(cursor.error, error)?);
            }
            Ok(fresh)
        };
        self.change(selection, stop, |shared, _, target| {
            let fresh = !target.blocked;
            if fresh {
                *target = Target { blocked: true, ..target.freed() };
                shared.note_error(target, error)?;
            }
            Ok(fresh)
        })
    }

    /// Let targets pause until a time of day, in ms since 1970.
    pub fn defer(&self, selection: &Selection, due_ms: u64) -> Result<usize> {
        let pause = |_: &mut Shared, cursor: &mut Cursor| {
            cursor.due_ms = due_ms;
            Ok(true)
        };
        self.change(selection, pause, |_, _, target| {
            target.due_ms = due_ms;
            Ok(true)
        })
    }

    /// Set the priority of targets outright.
    pub fn prioritize(&self, selection: &Selection, priority: i32) -> Result<usize> {
        self.change(
            selection,
            |_, _| Ok(false),
            |_, _, target| {
                let changed = target.priority != priority;
                target.priority = priority;
                Ok(changed)
            },
        )
    }

    /// Change the reactions that hold and the targets that are meant; how many did.
    fn change(
        &self,
        selection: &Selection,
        mut holding: impl FnMut(&mut Shared, &mut Cursor) -> Result<bool>,
        mut work: impl FnMut(&mut Shared, u32, &mut Target) -> Result<bool>,
    ) -> Result<usize> {
        let changed = self.locked(|shared| {
            let (mut changed, meant) = (0, shared.select(selection, None, usize::MAX)?);
            for hold in shared.holds_meant(selection)? {
                let mut any = false;
                for number in hold.cursors {
                    let mut cursor = shared.cursor(number)?;
                    if holding(shared, &mut cursor)? {
                        shared.put_cursor(number, &cursor)?;
                        any = true;
                    }
                }
                changed += usize::from(any);
            }
            for number in meant {
                let mut target = shared.target(number)?;
                if work(shared, number, &mut target)? {
                    shared.put_target(number, &target)?;
                    changed += 1;
                }
            }
            Ok(changed)
        })?;
        // Nothing else may follow that would be flushed with it.
        if changed > 0 {
            self.flush()?;
        }
        // Workers may be asleep that could go on now.
        self.home.wake();
        self.home.moved();
        Ok(changed)
    }
}

impl Shared {
    /// The numbers of up to `limit` targets that are meant, after the target of a number, in the order in which they came to
    /// be or are named.
    pub(super) fn select(&self, selection: &Selection, after: Option<u32>, limit: usize) -> Result<Vec<u32>> {
        let pattern = selection.pattern.as_deref().map(pattern::compile).transpose()?;
        let lane = selection.lane.as_ref().map(|name| self.lane_texts.get(name.as_str()).copied());
        let meant = |number: u32| -> Result<bool> {
            if pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&self.known[number as usize].name)) {
                return Ok(false);
            }
            let target = self.target(number)?;
            let in_lane = lane.is_none_or(|lane| lane == Some(target.lane));
            Ok(in_lane && selection.blocked.is_none_or(|blocked| blocked == target.blocked))
        };
        let mut found = Vec::new();
        if let Some(names) = &selection.names {
            let holds = self.holds()?;
            for name in names {
                let number = self.by_name.get(name.as_str()).copied();
                let there =
                    number.map(|number| self.deserted(number).map(|deserted| (number, !deserted))).transpose()?;
                let Some((number, true)) = there else {
                    if holds.iter().any(|hold| *hold.reaction == **name) {
                        continue;
                    }
                    return Err(Error::Invalid(format!("there is no target {name:?}")));
                };
                if meant(number)? && !found.contains(&number) {
                    found.push(number);
                }
            }
            found.retain(|number| after.is_none_or(|after| *number > after));
            found.truncate(limit);
            return Ok(found);
        }
        for number in after.map_or(0, |after| after + 1)..self.counts.targets {
            if found.len() == limit {
                break;
            }
            if meant(number)? && !self.deserted(number)? {
                found.push(number);
            }
        }
        Ok(found)
    }
}
