//! Sharing out targets: each belongs to one of the programs that work on a store together, so that they do not all want the
//! same ones first. `docs/replication.md` tells the rules.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::reaction_files::records::{FORGOTTEN, Target};

use super::Reactions;
use super::frontier::Standing;
use super::home::Home;
use super::state::Shared;

/// For how long a target waits for the program that it belongs to, and a window for the one that correlates.
pub const PATIENCE_MS: u64 = 2_000;

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A program that works on targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// What tells it from all others that have ever been there.
    pub generation: u64,
    /// The number that its leases are held under.
    pub holder: u64,
    /// The reactions that it has.
    pub reactions: HashSet<String>,
    /// The lanes that it works on; None: all.
    pub lanes: Option<Vec<String>>,
}

/// Who works on the targets of a store.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// Those that are there.
    pub members: Vec<Member>,
    /// The generation of this program, if it is one of them, and claims what is its own.
    pub own: Option<u64>,
    /// Holders that are gone: their leases are over.
    pub gone: HashSet<u64>,
}

impl Member {
    fn works_on(&self, lane: &str) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.iter().any(|each| each == lane))
    }
}

impl Share {
    /// The member that something belongs to: of those that may have it, the one with the highest weight.
    pub fn owner(&self, name: &str, may: impl Fn(&Member) -> bool) -> Option<u64> {
        let hash = xxh3_64(name.as_bytes());
        let members = self.members.iter().filter(|member| may(member));
        members.map(|member| (weight(hash, member.generation), member.generation)).max().map(|(_, owner)| owner)
    }
}

fn weight(hash: u64, generation: u64) -> u64 {
    let mut mixed = hash ^ generation.wrapping_mul(ODD);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a process knows of those it shares with.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    share: Share,
    /// The window that another program should correlate: where it begins, and since when it has been seen.
    window: Option<(u64, u64)>,
    /// Whether this program does what that one should, until nothing is left.
    correlates: bool,
    /// Targets of others that this program has taken over: they are not waited for again until others have had them.
    stolen: HashSet<u32>,
}

impl<H: Home> Reactions<H> {
    /// Say who works on the targets. Without members, and until this is called, all targets are for whoever comes first.
    pub fn share(&self, share: Share) -> Result<()> {
        self.locked(|shared| {
            shared.sharing = Sharing { share: share.clone(), ..Sharing::default() };
            for number in 0..shared.loaded.targets {
                if matches!(shared.known[number as usize].standing, Standing::Others { .. } | Standing::Late { .. }) {
                    shared.place(number, Standing::Idle); // whoever it belongs to now has time again
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
            Some(_) => ready, // it has to be leased alone, whoever does so
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

#[cfg(test)]
mod tests {
    use super::*;

    fn share(generations: &[u64]) -> Share {
        let members = generations.iter().map(|generation| Member { generation: *generation, ..Member::default() });
        Share { members: members.collect(), ..Share::default() }
    }

    fn owners(share: &Share) -> Vec<u64> {
        (0..3000).filter_map(|number| share.owner(&format!("target-{number}"), |_| true)).collect()
    }

    #[test]
    fn targets_are_spread_evenly() {
        let found = owners(&share(&[1, 2, 3]));
        for generation in 1..=3 {
            let owned = found.iter().filter(|owner| **owner == generation).count();
            assert!((900..1100).contains(&owned), "{owned} of 3000");
        }
    }

    #[test]
    fn only_the_share_of_a_member_that_goes_moves() {
        let (before, after) = (owners(&share(&[1, 2, 3])), owners(&share(&[1, 3])));
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == 2);
        }
    }

    #[test]
    fn weights_are_those_of_the_documents() {
        assert_eq!(weight(xxh3_64(b"audit-account-7"), 1), 17_531_206_095_759_040_078);
    }
}
