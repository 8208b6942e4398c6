//! The texts that keys stand for, copied once, so that no row has to look one up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use act_fast_core::{Log, Result};

/// Beyond so many bytes all are forgotten: a log may have more streams than memory.
const BYTES_MAX: usize = 32 << 20;
/// How many of the last keys are found without hashing.
const RECENT: usize = 256;
/// No key has this number.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Texts {
    known: HashMap<u32, (usize, usize), BuildHasherDefault<Spread>>,
    bytes: String,
    /// The keys asked for last, each where its last bits say.
    recent: [(u32, usize, usize); RECENT],
}

impl Default for Texts {
    fn default() -> Self {
        Self { known: HashMap::default(), bytes: String::new(), recent: [(NONE, 0, 0); RECENT] }
    }
}

impl Texts {
    #[inline]
    pub(crate) fn get(&mut self, log: &Log, key: u32) -> Result<&str> {
        let (known, mut start, mut end) = self.recent[key as usize % RECENT];
        if known != key {
            (start, end) = self.find(log, key)?;
            self.recent[key as usize % RECENT] = (key, start, end);
        }
        Ok(&self.bytes[start..end])
    }

    fn find(&mut self, log: &Log, key: u32) -> Result<(usize, usize)> {
        if let Some(span) = self.known.get(&key) {
            return Ok(*span);
        }
        if self.bytes.len() > BYTES_MAX {
            self.known.clear();
            self.bytes.clear();
            self.recent.fill((NONE, 0, 0));
        }
        let start = self.bytes.len();
        self.bytes.push_str(log.text(key)?);
        let span = (start, self.bytes.len());
        self.known.insert(key, span);
        Ok(span)
    }
}

/// Keys are small numbers, given in order: spreading them is all the hashing they need.
#[derive(Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0.rotate_left(8) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.0 = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}
