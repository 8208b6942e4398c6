//! Random numbers that a printed seed repeats (SplitMix64).

use std::hash::{BuildHasher, RandomState};

#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

/// The seed of this run: `ACT_FAST_SEED`, or one that no other run has. Printed, so that a failure can be repeated.
pub(crate) fn seed(test: &str) -> u64 {
    let seed = super::env_number("ACT_FAST_SEED").unwrap_or_else(|| RandomState::new().hash_one(test) >> 16);
    eprintln!("{test}: ACT_FAST_SEED={seed}");
    seed
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Another generator, which takes nothing more from this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
