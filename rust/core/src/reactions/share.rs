//! Sharing out targets: each belongs to one of the programs that work on a store together, so that they do not all want the
//! same ones first. `docs/replication.md` tells the rules.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::error::Result;
use crate::reaction_files::records::{FORGOTTEN, Target};

use super::Reactions;
use super::frontier::Standing;
use super::home::Home;
use super::member::{Member, Share, Sharing, weight};
use super::state::Shared;

/// For how long a target waits for the program that it belongs to, and a window for the one that correlates.
pub const PATIENCE_MS: u64 = 2_000;

impl<H: Home> Reactions<H> {
    /// Say who works on the targets. Without members, and until this is called, any worker may take any target.
    pub fn share(&self, share: Share) -> Result<()> {
        self.locked(|shared| {
            shared.sharing = Sharing { share: share.clone(), ..Sharing::default() };
            for number in 0..shared.loaded.targets {
                if matches!(shared.known[number as usize].standing, Standing::Others { .. } | Standing::Late { .. }) {
                    shared.place(number, Standing::Idle); // its owner has the full time again
                }
                shared.stand(number)?;
            }
            Ok(())
        })
    }

    /// Drop all leases of this program: none of them counts any more. Answers how many it had.
    pub fn abandon(&self) -> Result<usize> {
        self.locked(|shared| {
            let held = std::mem::take(&mut shared.leases).held;
            for (number, lease) in &held {
                let target = shared.target_of(*number)?;
                if target.token == lease.token && target.leased_until_ms != 0 {
                    let token = target.token.wrapping_add(1);
                    let (leased_until_ms, suspect, lived) = (0, false, false);
                    let free = Target { token, leased_until_ms, suspect, lived, ..target };
                    shared.put_target(*number, &free)?;
                }
            }
            Ok(held.len())
        })
    }

    /// How many targets belong to each member, whether they have work or not, by all reactions that run under them.
    pub fn owned(&self) -> Result<HashMap<u64, u64>> {
        self.locked(|shared| {
            let share = &shared.sharing.share;
            let mut owned: HashMap<u64, u64> = share.members.iter().map(|member| (member.generation, 0)).collect();
            for (known, number) in shared.known.iter().zip(0..) {
                let mut reactions: SmallVec<[&str; 2]> = SmallVec::new();
                for at in &known.subscriptions {
                    let subscription = shared.subscription(*at)?;
                    if subscription.done != FORGOTTEN {
                        reactions.push(&shared.cursor_names[subscription.reaction as usize]);
                    }
                }
                let lane = shared.files.texts.read(shared.target(number)?.lane)?;
                let has_all = |member: &Member| reactions.iter().all(|each| member.reactions.contains(*each));
                let may = |member: &Member| !reactions.is_empty() && has_all(member) && member.works_on(&lane);
                if let Some(count) = share.owner(&known.name, may).and_then(|owner| owned.get_mut(&owner)) {
                    *count += 1;
                }
            }
            Ok(owned)
        })
    }
}

impl Shared {
    /// Whether a lease is over before its time, since its holder is gone.
    pub(super) fn is_gone(&self, holder: u64) -> bool {
        !self.sharing.share.gone.is_empty() && self.sharing.share.gone.contains(&holder)
    }

    /// Where a target stands that is ready for those it belongs to, with work of these registered reactions.
    pub(super) fn standing_in_share(
        &self,
        number: u32,
        reactions: &[u32],
        target: &Target,
        ready: Standing,
    ) -> Standing {
        let share = &self.sharing.share;
        let (Some(own), Standing::Ready { lane, watermark, suspect, .. }) = (share.own, ready) else { return ready };
        let known = &self.known[number as usize];
        let name_of_lane = &self.lane_names[lane as usize];
        let may = |member: &Member| {
            let has = |each: &u32| member.reactions.contains(&self.registered[*each as usize].spec.name);
            member.works_on(name_of_lane) && reactions.iter().all(has)
        };
        if share.owner(&known.name, may).is_none_or(|owner| owner == own) {
            return ready;
        }
        let until_ms = match known.standing {
            Standing::Others { until_ms, token } if token == target.token => until_ms,
            Standing::Late { token, .. } if token == target.token => 0,
            _ if self.has_stolen(number, own, target) => 0,
            _ => self.uptime_ms + PATIENCE_MS,
        };
        if until_ms > self.uptime_ms {
            return Standing::Others { until_ms, token: target.token };
        }
        match suspect {
            Some(_) => ready, // it has to be leased alone, by any process
            None => Standing::Late { lane, watermark, token: target.token },
        }
    }

    /// Whether this program was the last to have a target that it has taken over.
    fn has_stolen(&self, number: u32, own: u64, target: &Target) -> bool {
        let is_own = |member: &Member| member.generation == own && member.holder == target.holder;
        self.sharing.stolen.contains(&number) && self.sharing.share.members.iter().any(is_own)
    }

    /// Targets of others are leased.
    pub(super) fn steal(&mut self, targets: &[u32]) {
        self.sharing.stolen.extend(targets);
    }

    /// Where among the targets of others this program begins, in 256 parts: not where others do, nor at an end.
    pub(super) fn steals_from(&self) -> u64 {
        64 + (weight(0, self.sharing.share.own.unwrap_or_default()) & 127)
    }

    /// Whether this program is the one to correlate a window that begins at a position, for these reactions.
    pub(super) fn correlates(&mut self, from: u64, reactions: &[u32]) -> bool {
        let share = &self.sharing.share;
        let Some(own) = share.own else { return true };
        let has = |member: &Member, each: &u32| member.reactions.contains(&self.registered[*each as usize].spec.name);
        let owner = share.owner("", |member| reactions.iter().all(|each| has(member, each)));
        let since = match self.sharing.window {
            Some((at, since)) if at == from => since,
            _ => self.uptime_ms,
        };
        if owner.is_none_or(|owner| owner == own) {
            self.nothing_to_correlate();
            return true;
        }
        self.sharing.correlates |= self.uptime_ms >= since + PATIENCE_MS;
        self.sharing.window = (!self.sharing.correlates).then_some((from, since));
        self.sharing.correlates
    }

    /// Nothing is to be correlated.
    pub(super) fn nothing_to_correlate(&mut self) {
        (self.sharing.window, self.sharing.correlates) = (None, false);
    }

    /// How many ms until this program does what another should have correlated; None where there is nothing.
    pub(super) fn window_late_ms(&self, uptime_ms: u64) -> Option<u64> {
        self.sharing.window.map(|(_, since)| (since + PATIENCE_MS).saturating_sub(uptime_ms))
    }
}
