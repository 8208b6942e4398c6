//! Finishing: what a cycle has come to, for all its leases, in one step.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::{Error, Result};

use super::Reactions;
use super::home::Home;
use super::state::{HeldLease, LeasePart, Registered, Shared};
use crate::reaction_files::records::{FORGOTTEN, Subscription, Target};

/// What a lease has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The target's number.
    pub target: u32,
    /// The lease's token.
    pub token: u32,
    /// Everything up to this position succeeded; None when nothing did.
    pub done: Option<u64>,
    /// What comes then.
    pub then: Then,
}

/// What comes after a lease.
#[derive(Clone, Debug)]
pub enum Then {
    /// The target is free for the next claim.
    Free,
    /// The event at a position failed; not again before a time of day.
    Retry {
        /// The event.
        position: u64,
        /// When, in ms since 1970.
        due_ms: u64,
        /// What went wrong.
        error: String,
    },
    /// The event at a position failed for good.
    Block {
        /// The event.
        position: u64,
        /// What went wrong.
        error: String,
    },
    /// Nothing failed, but the next event is not due before a time of day.
    Defer {
        /// When, in ms since 1970.
        due_ms: u64,
        /// What is waited for, if it is more than the time.
        error: String,
    },
}

/// How an error says whose it is, up to the number of the process.
fn signature(reaction: &str) -> String {
    format!("(reaction {reaction:?} of process ")
}

impl<H: Home> Reactions<H> {
    /// Take the outcomes of a cycle; answers which were accepted. One whose lease was lost is dropped.
    pub fn finish(&self, outcomes: &[Outcome]) -> Result<Vec<bool>> {
        self.finish_blaming(outcomes, &[])
    }

    /// The same, with the number of the reaction that failed for each outcome, where one did; `u32::MAX` for an event that
    /// is given up without having been begun.
    pub fn finish_blaming(&self, outcomes: &[Outcome], blamed: &[Option<u32>]) -> Result<Vec<bool>> {
        let (accepted, others) = self.locked(|shared| {
            let blamed = blamed.iter().copied().chain(std::iter::repeat(None));
            let accepted = outcomes.iter().zip(blamed).map(|(outcome, blamed)| shared.take(outcome, blamed));
            let accepted = accepted.collect::<Result<Vec<bool>>>()?;
            let mut others = false;
            for outcome in outcomes {
                others = others || shared.others_can_go_on(outcome.target)?;
            }
            Ok((accepted, others))
        })?;
        if others {
            self.home.wake(); // they saw the target held, and would sleep until the lease ends
        }
        self.home.moved();
        self.flush_now_and_then()?;
        Ok(accepted)
    }
}

impl Shared {
    fn take(&mut self, outcome: &Outcome, blamed: Option<u32>) -> Result<bool> {
        let number = outcome.target;
        let mut target = self.target_of(number)?;
        if target.token != outcome.token {
            return Ok(false);
        }
        let held = self.leases.held.remove(&number).filter(|held| held.token == outcome.token);
        let known = held.is_some();
        if let Some(held) = held {
            let own: SmallVec<[u32; 2]> = held.parts.iter().map(|part| part.subscription).collect();
            if let Some(done) = outcome.done {
                self.advance(held, done)?;
                target.watermark = target.watermark.max(done);
            }
            self.conclude(number, &mut target, &outcome.then, blamed, &own)?;
        }
        target.leased_until_ms = 0;
        (target.suspect, target.lived) = (false, false);
        self.put_target(number, &target)?;
        Ok(known)
    }

    /// Move the watermarks of the subscriptions that a lease was for forward; never back, and never past work that was
    /// found after it was given.
    fn advance(&mut self, held: HeldLease, done: u64) -> Result<()> {
        for part in held.parts {
            let mut subscription = self.subscription(part.subscription)?;
            let done = done.min(part.known_to);
            if done > subscription.done {
                subscription.done = done;
                subscription.done_count = self.count_done(&subscription, &part, done)?;
                if subscription.failing <= done {
                    (subscription.failing, subscription.attempts) = (0, 0);
                }
                self.put_subscription(part.subscription, &subscription)?;
            }
        }
        Ok(())
    }

    fn count_done(&self, subscription: &Subscription, part: &LeasePart, done: u64) -> Result<u64> {
        let handled = part.positions.partition_point(|position| *position <= done);
        if handled < part.positions.len() || part.done_count + handled as u64 == subscription.count {
            return Ok(part.done_count + handled as u64);
        }
        self.files.work.count_up_to(subscription, done)
    }

    fn conclude(
        &mut self,
        number: u32,
        target: &mut Target,
        then: &Then,
        blamed: Option<u32>,
        own: &[u32],
    ) -> Result<()> {
        match then {
            Then::Free | Then::Defer { .. } => {
                self.forget_failures(number, target)?;
                if let Then::Defer { due_ms, error } = then {
                    target.due_ms = target.due_ms.max(*due_ms);
                    if !error.is_empty() {
                        self.note_error(target, error)?;
                    }
                }
            }
            Then::Retry { position, due_ms, error } => {
                self.note_failure(target, *position, blamed, own)?;
                target.due_ms = target.due_ms.max(*due_ms);
                let error = self.signed(number, error, blamed)?;
                self.note_error(target, &error)?;
            }
            Then::Block { position, error } => {
                self.note_failure(target, *position, blamed, own)?;
                target.blocked = true;
                target.due_ms = 0;
                let error = self.signed(number, error, blamed)?;
                self.note_error(target, &error)?;
            }
        }
        Ok(())
    }

    /// Whether a target can be claimed by programs with other reactions, or other events of one, than this one has: they
    /// saw it leased, and sleep until the lease would have run out.
    fn others_can_go_on(&self, number: u32) -> Result<bool> {
        for at in &self.known[number as usize].subscriptions {
            let subscription = self.subscription(*at)?;
            let others = !self.number_of.contains_key(&subscription.reaction) && subscription.pending();
            if others && !self.cursor(subscription.reaction)?.whole() {
                let target = self.target(number)?;
                return Ok(!target.blocked && target.leased_until_ms == 0 && target.due_ms <= self.now_ms);
            }
        }
        Ok(false)
    }

    /// An error, with whose it is where reactions of other programs run on the target too: it has one message for all.
    fn signed<'a>(&self, number: u32, error: &'a str, blamed: Option<u32>) -> Result<Cow<'a, str>> {
        let Some(failed) = blamed.and_then(|blamed| self.registered.get(blamed as usize)) else {
            return Ok(error.into());
        };
        for at in &self.known[number as usize].subscriptions {
            let each = self.subscription(*at)?;
            let others = each.done != FORGOTTEN && !self.number_of.contains_key(&each.reaction);
            if others && *self.cursor_names[each.reaction as usize] != *failed.spec.name {
                return Ok(format!("{error} {}{})", signature(&failed.spec.name), std::process::id()).into());
            }
        }
        Ok(error.into())
    }

    /// Forget the failures of an event that is done. Those of one that is still to be done stay: of a lease that was given
    /// back before it was begun, and of other programs.
    fn forget_failures(&mut self, number: u32, target: &mut Target) -> Result<()> {
        let mut left: Option<(u64, u16, u32)> = None;
        if target.failing != 0 {
            for at in &self.known[number as usize].subscriptions {
                let each = self.subscription(*at)?;
                if each.done != FORGOTTEN && each.attempts > 0 && each.failing > each.done {
                    let found = (each.failing, each.attempts, each.reaction);
                    left = Some(left.map_or(found, |left| left.min(found)));
                }
            }
        }
        target.failed &= left.is_some();
        (target.failing, target.attempts) = left.map(|(failing, attempts, _)| (failing, attempts)).unwrap_or_default();
        match left {
            Some((_, _, reaction)) if target.failed => self.keep_to(target, reaction),
            _ => Ok(()),
        }
    }

    /// Let the message of a target not be that of a reaction which has succeeded since, but of the one that still fails.
    fn keep_to(&mut self, target: &mut Target, reaction: u32) -> Result<()> {
        let (said, failing) = (self.message(target.error), Arc::clone(&self.cursor_names[reaction as usize]));
        let own = |registered: &Registered| said.contains(&signature(&registered.spec.name));
        let Some(by) = self.registered.iter().find(|each| own(each)).map(|each| each.spec.name.clone()) else {
            return Ok(());
        };
        if *by == *failing {
            return Ok(());
        }
        let told =
            format!("reaction {failing:?} failed; its message is gone, because {by:?} failed and succeeded since");
        self.note_error(target, &told)
    }

    /// The budget belongs to the event that failed, and to the reaction that did: the one that is blamed, or all that come
    /// to the event next. One that is not there is blamed for what was never begun, which is not counted.
    fn note_failure(&self, target: &mut Target, position: u64, blamed: Option<u32>, own: &[u32]) -> Result<()> {
        let blamed = blamed.map(|number| (number as usize) < self.registered.len()).zip(blamed);
        let mut attempts = 0;
        for at in own {
            let each = self.subscription(*at)?;
            let next = each.pending() && self.next_of(&each)? == position;
            let its = match blamed {
                Some((known, number)) => known && self.number_of.get(&each.reaction) == Some(&number),
                None => true,
            };
            if next && its {
                attempts = attempts.max(self.count_failure(*at, position)?);
            } else if blamed.is_some_and(|(known, _)| !known) && each.failing == position {
                attempts = attempts.max(each.attempts);
            }
        }
        target.failing = position;
        target.attempts = attempts.max(1);
        Ok(())
    }

    pub(super) fn target_of(&self, number: u32) -> Result<Target> {
        if number >= self.counts.targets {
            return Err(Error::Invalid(format!("there is no target number {number}")));
        }
        self.target(number)
    }
}
