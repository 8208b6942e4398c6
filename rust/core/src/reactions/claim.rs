//! Claiming: leasing targets that have work, and fetching their next events.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::Result;
use crate::read::event::EventView;

use super::Reactions;
use super::finish::{Outcome, Then};
use super::home::{Events, Home};
use super::state::{HeldLease, LeasePart, Shared};
use super::suspect::Turn;
use crate::reaction_files::records::{FORGOTTEN, Subscription, Target};

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
    /// What is out of the ordinary about it; None for nearly all.
    pub past: Option<Past>,
    /// Whether it was claimed as one that lags.
    pub lagging: bool,
    /// The events, in order.
    pub deliveries: Vec<Delivery<'a>>,
    /// Whether more events are waiting below the cut.
    pub more: bool,
}

/// What a target has been through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Whether its last lease ran out: the first event may have been begun then.
    pub lost: bool,
    /// What went wrong before that.
    pub error: Option<String>,
    /// By the number of the reaction, how often the first event has failed.
    pub failures: Vec<(u32, u16)>,
    /// By the number of the reaction and the event's name, up to where it does again what it did before.
    pub replays: Vec<(u32, String, u64)>,
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
pub type Pending = Vec<(u64, SmallVec<[u32; 1]>)>;

/// A lease whose events are yet to be fetched; `Lease` tells what it has.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in `Lease`")]
pub struct Claimed {
    pub target: u32,
    pub name: Arc<str>,
    pub token: u32,
    pub attempts: u16,
    pub past: Option<Past>,
    pub lagging: bool,
    pub pending: Pending,
    pub more: bool,
}

impl Claimed {
    fn positions(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().map(|(position, _)| *position)
    }

    /// The lease, with its events: the next ones of these.
    fn with<'a>(self, events: &mut impl Iterator<Item = EventView<'a>>) -> Lease<'a> {
        let Self { target, name, token, attempts, past, lagging, more, pending } = self;
        let deliveries = pending
            .into_iter()
            .zip(events)
            .map(|((_, reactions), event)| Delivery { event, reactions: reactions.into_vec() })
            .collect();
        Lease { target, name, token, attempts, past, lagging, deliveries, more }
    }
}

impl<H: Home> Reactions<H> {
    /// Lease targets that have work; their events are the caller's to fetch.
    pub fn lease(&self, options: &ClaimOptions) -> Result<Vec<Claimed>> {
        let uptime_ms = self.clock.uptime_ms();
        self.locked(|shared| {
            loop {
                let passed_before = shared.passed_over;
                let claimed = shared.claim(options, uptime_ms)?;
                // Targets whose work was all handled elsewhere give no lease; others may be ready still.
                if !claimed.is_empty() || shared.passed_over == passed_before {
                    return Ok(claimed);
                }
            }
        })
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

impl<H: Home + Events> Reactions<H> {
    /// The same as `claim_from`, where the events are at home.
    pub fn claim(&self, options: &ClaimOptions) -> Result<Vec<Lease<'_>>> {
        self.claim_from(&self.home, options)
    }
}

impl<H: Home> Reactions<H> {
    /// Lease targets that have work, and fetch their next events.
    pub fn claim_from<'a>(&self, events: &'a impl Events, options: &ClaimOptions) -> Result<Vec<Lease<'a>>> {
        let claimed = self.lease(options)?;
        let positions: Vec<u64> = claimed.iter().flat_map(Claimed::positions).collect();
        match events.events(&positions) {
            Ok(found) => {
                let mut found = found.into_iter();
                Ok(claimed.into_iter().map(|each| each.with(&mut found)).collect())
            }
            Err(error) if events.is_event_damaged(&error) => self.fetch_one_by_one(events, claimed),
            Err(error) => Err(error),
        }
    }

    /// An event that cannot be read stops its target, and no other.
    fn fetch_one_by_one<'a>(&self, events: &'a impl Events, claimed: Vec<Claimed>) -> Result<Vec<Lease<'a>>> {
        let mut leases = Vec::with_capacity(claimed.len());
        for mut each in claimed {
            let mut sound = Vec::new();
            for position in each.positions() {
                match events.events(&[position]) {
                    Ok(mut found) => sound.append(&mut found),
                    Err(error) if !events.is_event_damaged(&error) => return Err(error),
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
}

impl Shared {
    /// Lease targets that are ready, as many as are asked for.
    fn claim(&mut self, options: &ClaimOptions, uptime_ms: u64) -> Result<Vec<Claimed>> {
        let lanes = self.lanes(options.lanes.as_deref());
        let wanted = |lane: u32| lanes.as_ref().is_none_or(|lanes| lanes.contains(&lane));
        match self.turn(&wanted, uptime_ms)? {
            Turn::Wait => return Ok(Vec::new()),
            Turn::Alone(suspect) if options.lagging + options.leading > 0 => {
                if let Some(alone) = self.lease(suspect, true, options, uptime_ms, true)? {
                    self.leases.apart = Some((suspect, alone.token, uptime_ms));
                    self.leases.sole = Some((suspect, alone.token, true));
                    return Ok(vec![alone]);
                }
            }
            Turn::Alone(_) | Turn::Any => {}
        }
        let fair =
            options.lagging == 1 && self.frontier.any_ready(&wanted) && self.frontier.single_is_fair(lanes.as_ref());
        let mut lagging = self.frontier.lagging(&wanted, options.lagging, fair);
        let leading = self.frontier.leading(&wanted, options.leading, &lagging);
        if lagging.is_empty() && leading.is_empty() {
            lagging = self.frontier.late(&wanted, options.lagging + options.leading, self.steals_from());
            self.steal(&lagging);
        }
        let alone = lagging.len() + leading.len() == 1 && !self.holds_any(uptime_ms)?;
        let each = lagging.into_iter().map(|target| (target, true));
        let mut claimed = Vec::new();
        for (target, lagging) in each.chain(leading.into_iter().map(|target| (target, false))) {
            claimed.extend(self.lease(target, lagging, options, uptime_ms, alone)?);
        }
        if let Some(first) = claimed.first() {
            self.joined()?;
            self.leases.sole = alone.then_some((first.target, first.token, false));
        }
        Ok(claimed)
    }

    /// Lease a target, if it has work below the cut; `alone`: nothing else is leased by this process.
    fn lease(
        &mut self,
        number: u32,
        lagging: bool,
        options: &ClaimOptions,
        uptime_ms: u64,
        alone: bool,
    ) -> Result<Option<Claimed>> {
        let mut own = self.own_subscriptions(number)?;
        for (at, _, subscription) in &mut own {
            if self.pass_over(subscription)? {
                self.put_subscription(*at, subscription)?;
                self.passed_over += 1;
            }
        }
        let window = options.window.max(1);
        let parts = self.parts(&own, options.cut, window)?;
        let (mut pending, mut more) = merged(&own, &parts, window);
        let Some((first, _)) = pending.first() else {
            self.stand(number)?;
            return Ok(None);
        };
        let first = *first;
        let mut target = self.target(number)?;
        let leased_for = number_of(&own);
        let lost = target.leased_until_ms != 0;
        if lost && target.suspect {
            self.blame(number, &mut target, leased_for)?;
            own = self.own_subscriptions(number)?;
        }
        let past = self.past(&own, first, &target, lost);
        let failed = past.iter().flat_map(|past| &past.failures).map(|(_, failures)| *failures).max().unwrap_or(0);
        if lost && let Some((last, _)) = pending.last() {
            self.leases.one_by_one.insert(number, *last);
        }
        let one_by_one = self.leases.one_by_one.get(&number).is_some_and(|last| first <= *last);
        // One at a time after a failure: what goes well is acknowledged before what does not.
        if one_by_one || failed > 0 {
            more |= pending.len() > 1;
            pending.truncate(1);
        } else {
            self.leases.one_by_one.remove(&number);
        }
        target.token = target.token.wrapping_add(1);
        target.holder = options.holder & ((1 << 48) - 1);
        target.leased_until_ms = uptime_ms + options.lease_ms.max(1);
        target.due_ms = 0; // its time has come; one that is set from now on counts
        target.suspect = alone && pending.len() == 1; // of several events, it may have been any
        target.leased_for = leased_for;
        self.put_leased(number, &target)?;
        let name = Arc::clone(&self.known[number as usize].name);
        let held = HeldLease { name: Arc::clone(&name), holder: target.holder, token: target.token, parts };
        self.leases.held.insert(number, held);
        let (token, attempts) = (target.token, failed.saturating_add(1));
        Ok(Some(Claimed { target: number, name, token, attempts, past, lagging, pending, more }))
    }

    /// Count the attempt that was lost with a lease: for the reactions that the target was leased for.
    fn blame(&self, number: u32, target: &mut Target, own_leased_for: u16) -> Result<()> {
        let mut pending: SmallVec<[(u32, bool, Subscription); 2]> = SmallVec::new();
        for at in &self.known[number as usize].subscriptions {
            let subscription = self.subscription(*at)?;
            if subscription.done != FORGOTTEN && subscription.pending() {
                pending.push((*at, self.number_of.contains_key(&subscription.reaction), subscription));
            }
        }
        let ours = target.leased_for == own_leased_for || pending.iter().all(|(_, own, _)| *own);
        pending.retain(|(_, own, _)| *own == ours);
        let mut first = u64::MAX;
        for (_, _, subscription) in &pending {
            first = first.min(self.next_of(subscription)?);
        }
        for (at, _, subscription) in pending {
            if self.next_of(&subscription)? == first {
                target.failing = first;
                target.attempts = self.count_failure(at, first)?;
            }
        }
        Ok(())
    }

    /// Count that the event at a position has failed for a reaction; how often it has by now.
    pub(super) fn count_failure(&self, at: u32, position: u64) -> Result<u16> {
        let subscription = self.subscription(at)?;
        let before = if subscription.failing == position { subscription.attempts } else { 0 };
        let attempts = before.saturating_add(1);
        self.put_subscription(at, &Subscription { failing: position, attempts, ..subscription })?;
        Ok(attempts)
    }

    /// What is out of the ordinary about a target whose next event is at `first`.
    fn past(&self, own: &[(u32, u32, Subscription)], first: u64, target: &Target, lost: bool) -> Option<Past> {
        let unusual = |each: &Subscription| each.attempts > 0 || each.replay_to >= first;
        if !lost && !own.iter().any(|(_, _, subscription)| unusual(subscription)) {
            return None;
        }
        let failing = own.iter().filter(|(_, _, each)| each.failing == first && each.attempts > 0);
        Some(Past {
            lost,
            error: (lost && target.failed).then(|| self.message(target.error)),
            failures: failing.map(|(_, reaction, each)| (*reaction, each.attempts)).collect(),
            replays: own
                .iter()
                .map(|(_, reaction, each)| (*reaction, self.event_of(each.reaction).to_owned(), each.replay_to))
                .collect(),
        })
    }

    /// The next positions of each subscription's work up to `cut`, one more than there is room for.
    fn parts(&self, own: &[(u32, u32, Subscription)], cut: u64, window: usize) -> Result<SmallVec<[LeasePart; 1]>> {
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
            let of = self.strand_of(subscription.reaction);
            parts.push(LeasePart { subscription: *number, of, known_to, positions, handled, done_count });
        }
        Ok(parts)
    }
}

/// A number for a set of reactions, never 0. Two sets have the same one only by a rare chance.
fn number_of(own: &[(u32, u32, Subscription)]) -> u16 {
    let each = own.iter().map(|(_, _, subscription)| (subscription.reaction + 1).wrapping_mul(0x9e37_79b1) >> 16);
    each.fold(0, |all, one| all ^ one as u16).max(1)
}

/// The next positions of a target, each with the reactions that it is for; and whether there are more.
fn merged(own: &[(u32, u32, Subscription)], parts: &[LeasePart], window: usize) -> (Pending, bool) {
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
