//! Claiming: leasing targets that have work, and fetching their next events.

use std::sync::Arc;

use crate::error::Result;
use crate::read::{EventView, Reader};

use super::Reactions;
use super::shared::Shared;

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
type Pending = Vec<(u64, Vec<u32>)>;

struct Claimed {
    target: u32,
    name: Arc<str>,
    token: u32,
    attempts: u16,
    lagging: bool,
    pending: Pending,
    more: bool,
}

impl Reactions {
    /// Lease targets that have work, and fetch their next events.
    pub fn claim(&self, options: &ClaimOptions) -> Result<Vec<Lease<'_>>> {
        let uptime_ms = self.clock.uptime_ms();
        let claimed = self.locked(|shared| {
            let lanes: Option<Vec<u64>> = options
                .lanes
                .as_ref()
                .map(|names| names.iter().filter_map(|name| shared.lanes.get(name.as_str()).copied()).collect());
            let wanted = |lane: u64| lanes.as_ref().is_none_or(|lanes| lanes.contains(&lane));
            let lagging = shared.frontier.lagging(&wanted, options.lagging);
            let leading = shared.frontier.leading(&wanted, options.leading, &lagging);
            let each = lagging.into_iter().map(|target| (target, true));
            let mut claimed = Vec::new();
            for (target, lagging) in each.chain(leading.into_iter().map(|target| (target, false))) {
                claimed.extend(shared.lease(target, lagging, options, uptime_ms)?);
            }
            Ok(claimed)
        })?;
        claimed.into_iter().map(|claimed| self.fetch(claimed)).collect()
    }

    fn fetch(&self, claimed: Claimed) -> Result<Lease<'_>> {
        let positions: Vec<u64> = claimed.pending.iter().map(|(position, _)| *position).collect();
        let mut events = Vec::with_capacity(positions.len());
        self.log.reading(|index| {
            events.clear();
            let mut reader = Reader::new(&self.log);
            index.each_place(&positions, |position, place| {
                events.push(reader.event(place, position)?);
                Ok(())
            })
        })?;
        let deliveries = events
            .into_iter()
            .zip(claimed.pending)
            .map(|(event, (_, reactions))| Delivery { event, reactions })
            .collect();
        let Claimed { target, name, token, attempts, lagging, more, .. } = claimed;
        Ok(Lease { target, name, token, attempts, lagging, deliveries, more })
    }

    /// Whether some target of these lanes can be claimed now.
    pub fn any_ready(&self, lanes: Option<&[String]>) -> Result<bool> {
        self.locked(|shared| {
            let chosen: Option<Vec<u64>> =
                lanes.map(|names| names.iter().filter_map(|name| shared.lanes.get(name.as_str()).copied()).collect());
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
        let mut target = self.target(number)?;
        let own = self.own_subscriptions(number)?;
        let first = self.pending(&own, options.cut, 1)?.0;
        let Some((first, _)) = first.first() else { return Ok(None) };
        if target.failing == *first && target.attempts > 0 {
            target.attempts = target.attempts.saturating_add(1);
        } else {
            target.failing = *first;
            target.attempts = 1;
        }
        // One at a time after a failure: what goes well is acknowledged before what does not.
        let window = if target.attempts > 1 { 1 } else { options.window.max(1) };
        let (pending, more) = self.pending(&own, options.cut, window)?;
        target.token = target.token.wrapping_add(1);
        target.holder = options.holder & ((1 << 48) - 1);
        target.leased_until_ms = uptime_ms + options.lease_ms.max(1);
        self.put_target(number, &target)?;
        let name = Arc::clone(&self.known[number as usize].name);
        let (token, attempts) = (target.token, target.attempts);
        Ok(Some(Claimed { target: number, name, token, attempts, lagging, pending, more }))
    }

    /// The next positions of a target's work up to `cut`, each with the reactions that it is for; and whether there are more.
    fn pending(
        &self,
        own: &[(u32, u32, super::records::Subscription)],
        cut: u64,
        window: usize,
    ) -> Result<(Pending, bool)> {
        let mut all: Vec<(u64, u32)> = Vec::new();
        for (_, reaction, subscription) in own {
            let last = subscription.count.min(subscription.done_count + window as u64 + 1);
            let positions = self.work.positions(subscription, subscription.done_count + 1, last)?;
            all.extend(
                positions
                    .into_iter()
                    .filter(|position| *position <= cut && *position > subscription.done)
                    .map(|position| (position, *reaction)),
            );
        }
        all.sort_unstable();
        let mut pending: Pending = Vec::new();
        for (position, reaction) in all {
            if let Some((last, reactions)) = pending.last_mut()
                && *last == position
            {
                reactions.push(reaction);
                continue;
            }
            if pending.len() == window {
                return Ok((pending, true));
            }
            pending.push((position, vec![reaction]));
        }
        Ok((pending, false))
    }
}
