//! The programs that work on a store together, and which of them a target belongs to.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

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
    pub(super) fn works_on(&self, lane: &str) -> bool {
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

pub(super) fn weight(hash: u64, generation: u64) -> u64 {
    let mut mixed = hash ^ generation.wrapping_mul(ODD);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a process knows of those it shares with.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    pub(super) share: Share,
    /// The window that another program should correlate: where it begins, and since when it has been seen.
    pub(super) window: Option<(u64, u64)>,
    /// Whether this program does what that one should, until nothing is left.
    pub(super) correlates: bool,
    /// Targets of others that this program has taken over: they are not waited for again until others have had them.
    pub(super) stolen: HashSet<u32>,
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
