//! What the tests share: a disk that can lose, refuse and be looked into; a history of what was asked of a store; and a
//! reader that compares every way of reading with every other.

#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod contents;
pub(crate) mod control_file;
pub(crate) mod forms;
pub(crate) mod history;
pub(crate) mod lying_disk;
pub(crate) mod ordered;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod rng;

use std::time::Duration;

use act_fast_core::{Durability, Options};

/// Small files, so that a short story has many of them.
pub(crate) const SEGMENT_BYTES: u64 = 16 << 10;

/// Options for a small store. Nothing is flushed in the background: tests that want a flush ask for it.
pub(crate) fn options(durability: Durability) -> Options {
    Options {
        durability,
        segment_bytes: SEGMENT_BYTES,
        flush_interval: Duration::from_secs(3600),
        ..Options::default()
    }
}

/// A number from the environment.
pub(crate) fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}
