//! Where a target stands: idle, ready, leased, or waiting for a time; and what was handled under another subscription.

use smallvec::SmallVec;

use crate::error::Result;
use crate::reaction_files::records::{FORGOTTEN, Subscription};

use super::frontier::Standing;
use super::state::{Registered, Shared};

impl Shared {
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

    pub(super) fn place(&mut self, number: u32, to: Standing) {
        let known = &mut self.known[number as usize];
        if known.standing != to {
            let from = std::mem::replace(&mut known.standing, to);
            self.frontier.place(number, from, to);
        }
    }

    pub(super) fn standing(&self, number: u32) -> Result<Standing> {
        let own = self.own_subscriptions(number)?;
        let mut next = u64::MAX;
        let mut pending: SmallVec<[u32; 2]> = SmallVec::new();
        // In the lane that the strongest of this program's reactions says, whatever other programs say.
        let mut strongest: Option<&Registered> = None;
        for (_, reaction, subscription) in &own {
            let registered = &self.registered[*reaction as usize];
            if strongest.is_none_or(|before| before.spec.priority < registered.spec.priority) {
                strongest = Some(registered);
            }
            if subscription.pending() {
                next = next.min(self.next_of(subscription)?);
                pending.push(*reaction);
            }
        }
        let (Some(strongest), true) = (strongest, next != u64::MAX) else { return Ok(Standing::Idle) };
        let target = self.target(number)?;
        Ok(if target.blocked {
            Standing::Idle
        } else if target.leased_until_ms > self.uptime_ms && !self.is_gone(target.holder) {
            Standing::Leased { until_ms: target.leased_until_ms }
        } else if target.due_ms > self.now_ms {
            Standing::Due { at_ms: target.due_ms }
        } else {
            let ready = Standing::Ready {
                lane: strongest.lane,
                priority: target.priority,
                watermark: next - 1,
                suspect: (target.leased_until_ms != 0).then_some(target.lived),
            };
            self.standing_in_share(number, &pending, &target, ready)
        })
    }

    /// The position of a pending subscription's next event.
    pub(super) fn next_of(&self, subscription: &Subscription) -> Result<u64> {
        let ordinal = subscription.done_count + 1;
        let found = self.files.work.positions(subscription, ordinal, ordinal)?;
        Ok(found.first().copied().unwrap_or(subscription.last))
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
            // Where work of an earlier version was lost, nothing is known of any event: it may have been of another name.
            if self.files.work.has(&other, position)? {
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
}
