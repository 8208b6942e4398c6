//! Claiming: leasing targets that have work, and fetching their next events.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::log::segments;
use crate::read::event::{EventView, Reader};

use super::Reactions;
use super::finish::{Outcome, Then};
use super::state::{Held, Part, Shared};
use crate::reaction_files::records::{Subscription, Target};

/// What to claim.
#[derive(Clone, Debug)]
pub struct ClaimOptions {
    /// From these lanes only; None: from all.
    pub lanes: Option<Vec<String>>,
    /// At most so many lagging targets.
    pub lagging: usize,
    /// At most so many leading targets.
    pub leading: usize,
    /// At most so many events for each.
    pub window: usize,
    /// For how long, in ms.
    pub lease_ms: u64,
    /// Who claims: a number of the caller's choosing, of 48 bits.
    pub holder: u64,
    /// The last position of this cycle: nothing above it is fetched.
    pub cut: u64,
}

/// A lease on a target, with its next events.
#[derive(Debug)]
pub struct Lease<'a> {
    /// The target's number, for finishing.
    pub target: u32,
    /// The target.
    pub name: Arc<str>,
    /// What proves that the lease is still held.
    pub token: u32,
    /// How often the first event has been begun, this time included.
    pub attempts: u16,
    /// Whether it was claimed as one that lags.
    pub lagging: bool,
    /// The events, in order.
    pub deliveries: Vec<Delivery<'a>>,
    /// Whether more events are waiting below the cut.
    pub more: bool,
}

/// An event, and the numbers of the reactions that it is for.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The event.
    pub event: EventView<'a>,
    /// In order of registration.
    pub reactions: Vec<u32>,
}

/// Positions and the reactions that each is for.
type Pending = Vec<(u64, SmallVec<[u32; 1]>)>;

struct Claimed {
    target: u32,
    name: Arc<str>,
    token: u32,
    attempts: u16,
    lagging: bool,
    pending: Pending,
    more: bool,
}

impl Claimed {
    fn positions(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().map(|(position, _)| *position)
    }

    /// The lease, with its events: the next ones of these.
    fn with<'a>(self, events: &mut impl Iterator<Item = EventView<'a>>) -> Lease<'a> {
        let Self { target, name, token, attempts, lagging, more, pending } = self;
        let deliveries = pending
            .into_iter()
            .zip(events)
            .map(|((_, reactions), event)| Delivery { event, reactions: reactions.into_vec() })
            .collect();
        Lease { target, name, token, attempts, lagging, deliveries, more }
    }
}

impl Reactions {
    /// Lease targets that have work, and fetch their next events.
    pub fn claim(&self, options: &ClaimOptions) -> Result<Vec<Lease<'_>>> {
        let uptime_ms = self.clock.uptime_ms();
        let claimed = self.locked(|shared| {
            let lanes = shared.lanes(options.lanes.as_deref());
            let wanted = |lane: u32| lanes.as_ref().is_none_or(|lanes| lanes.contains(&lane));
            let lagging = shared.frontier.lagging(&wanted, options.lagging);
            let leading = shared.frontier.leading(&wanted, options.leading, &lagging);
            let each = lagging.into_iter().map(|target| (target, true));
            let mut claimed = Vec::new();
            for (target, lagging) in each.chain(leading.into_iter().map(|target| (target, false))) {
                claimed.extend(shared.lease(target, lagging, options, uptime_ms)?);
            }
            Ok(claimed)
        })?;
        let positions: Vec<u64> = claimed.iter().flat_map(Claimed::positions).collect();
        match self.events(&positions) {
            Ok(events) => {
                let mut events = events.into_iter();
                Ok(claimed.into_iter().map(|each| each.with(&mut events)).collect())
            }
            Err(error) if is_event_damaged(&error) => self.fetch_one_by_one(claimed),
            Err(error) => Err(error),
        }
    }

    /// An event that cannot be read stops its target, and nobody else's.
    fn fetch_one_by_one(&self, claimed: Vec<Claimed>) -> Result<Vec<Lease<'_>>> {
        let mut leases = Vec::with_capacity(claimed.len());
        for mut each in claimed {
            let mut sound = Vec::new();
            for position in each.positions() {
                match self.events(&[position]) {
                    Ok(mut events) => sound.append(&mut events),
                    Err(error) if !is_event_damaged(&error) => return Err(error),
                    Err(error) if sound.is_empty() => {
                        let then = Then::Block { position, error: error.to_string() };
                        self.finish(&[Outcome { target: each.target, token: each.token, done: None, then }])?;
                        break;
                    }
                    Err(_) => break,
                }
            }
            if !sound.is_empty() {
                each.more |= sound.len() < each.pending.len();
                each.pending.truncate(sound.len());
                leases.push(each.with(&mut sound.into_iter()));
            }
        }
        Ok(leases)
    }

    pub(super) fn events(&self, positions: &[u64]) -> Result<Vec<EventView<'_>>> {
        let mut events = Vec::with_capacity(positions.len());
        self.log.reading(|index| {
            events.clear();
            let mut reader = Reader::new(&self.log);
            index.each_place(positions, |position, place| {
                events.push(reader.event(place, position)?);
                Ok(())
            })
        })?;
        Ok(events)
    }

    /// Whether some target of these lanes can be claimed now.
    pub fn any_ready(&self, lanes: Option<&[String]>) -> Result<bool> {
        self.locked(|shared| {
            let chosen = shared.lanes(lanes);
            Ok(shared.frontier.any_ready(&|lane| chosen.as_ref().is_none_or(|lanes| lanes.contains(&lane))))
        })
    }

    /// Keep leases for `lease_ms` from now; answers which of them are still held.
    pub fn renew(&self, leases: &[(u32, u32)], lease_ms: u64) -> Result<Vec<bool>> {
        let until = self.clock.uptime_ms() + lease_ms.max(1);
        self.locked(|shared| {
            let mut held = Vec::with_capacity(leases.len());
            for (number, token) in leases {
                let mut target = shared.target_of(*number)?;
                let own = target.token == *token && target.leased_until_ms != 0;
                if own {
                    target.leased_until_ms = target.leased_until_ms.max(until);
                    shared.put_target(*number, &target)?;
                }
                held.push(own);
            }
            Ok(held)
        })
    }
}

impl Shared {
    fn lease(&mut self, number: u32, lagging: bool, options: &ClaimOptions, uptime_ms: u64) -> Result<Option<Claimed>> {
        let mut own = self.own_subscriptions(number)?;
        for (at, _, subscription) in &mut own {
            if self.pass_over(subscription)? {
                self.put_subscription(*at, subscription)?;
            }
        }
        let window = options.window.max(1);
        let parts = self.parts(&own, options.cut, window)?;
        let (mut pending, mut more) = merged(&own, &parts, window);
        let Some((first, _)) = pending.first() else {
            self.stand(number)?;
            return Ok(None);
        };
        let mut target = self.target(number)?;
        self.count_in(number, &mut target, *first, &own)?;
        // One at a time after a failure: what goes well is acknowledged before what does not.
        if target.attempts > 1 && pending.len() > 1 {
            pending.truncate(1);
            more = true;
        }
        target.token = target.token.wrapping_add(1);
        target.holder = options.holder & ((1 << 48) - 1);
        target.leased_until_ms = uptime_ms + options.lease_ms.max(1);
        target.due_ms = 0; // its time has come; one that is set from now on counts
        self.put_leased(number, &target)?;
        self.held.insert(number, Held { token: target.token, parts });
        let name = Arc::clone(&self.known[number as usize].name);
        let (token, attempts) = (target.token, target.attempts);
        Ok(Some(Claimed { target: number, name, token, attempts, lagging, pending, more }))
    }

    /// Count an attempt at the event at `first`. What another program has counted at an event of its own is set aside.
    fn count_in(&self, number: u32, target: &mut Target, first: u64, own: &[(u32, u32, Subscription)]) -> Result<()> {
        if target.failing == first && target.attempts > 0 {
            target.attempts = target.attempts.saturating_add(1);
            return Ok(());
        }
        if target.failing != 0 && self.known[number as usize].subscriptions.len() > own.len() {
            for at in &self.known[number as usize].subscriptions {
                let subscription = self.subscription(*at)?;
                if subscription.pending() && self.next_of(&subscription)? == target.failing {
                    let (failing, attempts) = (target.failing, target.attempts);
                    self.put_subscription(*at, &Subscription { failing, attempts, ..subscription })?;
                }
            }
        }
        let aside = own.iter().filter(|(_, _, subscription)| subscription.failing == first);
        let before = aside.map(|(_, _, subscription)| subscription.attempts).max().unwrap_or(0);
        target.failing = first;
        target.attempts = before.saturating_add(1);
        Ok(())
    }

    /// The next positions of each subscription's work up to `cut`, one more than there is room for.
    fn parts(&self, own: &[(u32, u32, Subscription)], cut: u64, window: usize) -> Result<SmallVec<[Part; 1]>> {
        let mut parts = SmallVec::with_capacity(own.len());
        for (number, _, subscription) in own {
            let known_to = self.cursor(subscription.reaction)?.read.min(cut);
            let last = subscription.count.min(subscription.done_count + window as u64 + 1);
            let mut positions = self.files.work.positions(subscription, subscription.done_count + 1, last)?;
            positions.truncate(positions.partition_point(|position| *position <= cut));
            let mut handled = Vec::new();
            if !self.kin[subscription.reaction as usize].is_empty() {
                for position in &positions {
                    if self.was_handled(subscription, *position)? {
                        handled.push(*position);
                    }
                }
            }
            let done_count = subscription.done_count;
            parts.push(Part { subscription: *number, known_to, positions, handled, done_count });
        }
        Ok(parts)
    }
}

fn is_event_damaged(error: &Error) -> bool {
    matches!(error, Error::Corrupt { file, .. } if file.starts_with(segments::FOLDER))
}

/// The next positions of a target, each with the reactions that it is for; and whether there are more.
fn merged(own: &[(u32, u32, Subscription)], parts: &[Part], window: usize) -> (Pending, bool) {
    let pairs = own.iter().map(|(_, reaction, _)| *reaction).zip(parts);
    let mut all: SmallVec<[(u64, u32); 8]> = SmallVec::new();
    for (reaction, part) in pairs {
        let left = part.positions.iter().filter(|position| part.handled.binary_search(position).is_err());
        all.extend(left.map(|position| (*position, reaction)));
    }
    if parts.len() > 1 {
        all.sort_unstable();
    }
    // Where some are left out, a part may end before the others do: what comes after its end is not known to be next.
    let cut_short = parts.iter().filter(|part| !part.handled.is_empty() && part.positions.len() > window);
    let end = cut_short.filter_map(|part| part.positions.last()).min().copied().unwrap_or(u64::MAX);
    let known = all.partition_point(|(position, _)| *position <= end);
    let more = known < all.len() || end != u64::MAX;
    all.truncate(known);
    let mut pending: Pending = Vec::with_capacity(all.len().min(window));
    for (position, reaction) in all {
        if let Some((last, reactions)) = pending.last_mut()
            && *last == position
        {
            reactions.push(reaction);
            continue;
        }
        if pending.len() == window {
            return (pending, true);
        }
        pending.push((position, SmallVec::from_slice(&[reaction])));
    }
    (pending, more)
}
