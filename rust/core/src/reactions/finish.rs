//! Finishing: what a cycle has come to, for all its leases, in one step.

use crate::error::{Error, Result};

use super::Reactions;
use super::records::Target;
use super::shared::Shared;

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
    /// The target is free for whoever claims it next.
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
    },
}

impl Reactions {
    /// Take the outcomes of a cycle; answers which were accepted. One whose lease was lost is dropped.
    pub fn finish(&self, outcomes: &[Outcome]) -> Result<Vec<bool>> {
        let accepted = self.locked(|shared| outcomes.iter().map(|outcome| shared.take(outcome)).collect())?;
        self.flush_now_and_then()?;
        Ok(accepted)
    }
}

impl Shared {
    fn take(&mut self, outcome: &Outcome) -> Result<bool> {
        let mut target = self.target_of(outcome.target)?;
        if target.token != outcome.token || target.leased_until_ms == 0 {
            return Ok(false);
        }
        if let Some(done) = outcome.done {
            self.advance(outcome.target, done)?;
            target.watermark = target.watermark.max(done);
        }
        self.conclude(&mut target, &outcome.then)?;
        target.leased_until_ms = 0;
        self.put_target(outcome.target, &target)?;
        Ok(true)
    }

    /// Move the watermarks of this program's subscriptions on a target forward; never back.
    fn advance(&mut self, number: u32, done: u64) -> Result<()> {
        for (at, _, mut subscription) in self.own_subscriptions(number)? {
            if done > subscription.done {
                subscription.done = done;
                subscription.done_count = self.work.count_up_to(&subscription, done)?;
                self.put_subscription(at, &subscription)?;
            }
        }
        Ok(())
    }

    fn conclude(&mut self, target: &mut Target, then: &Then) -> Result<()> {
        match then {
            Then::Free | Then::Defer { .. } => {
                target.attempts = 0;
                target.failing = 0;
                target.error = 0;
                target.due_ms = if let Then::Defer { due_ms } = then { *due_ms } else { 0 };
            }
            Then::Retry { position, due_ms, error } => {
                count_attempt(target, *position);
                target.due_ms = *due_ms;
                target.error = self.write_text(error)?;
            }
            Then::Block { position, error } => {
                count_attempt(target, *position);
                target.blocked = true;
                target.due_ms = 0;
                target.error = self.write_text(error)?;
            }
        }
        Ok(())
    }

    pub(super) fn target_of(&self, number: u32) -> Result<Target> {
        if number >= self.counts.targets {
            return Err(Error::Invalid(format!("there is no target number {number}")));
        }
        self.target(number)
    }
}

/// The budget belongs to the event that failed: it starts anew when that is another than the one that was begun with.
fn count_attempt(target: &mut Target, position: u64) {
    if target.failing != position {
        target.failing = position;
        target.attempts = 1;
    }
}
