//! The engine's rules for stores that are not its own: what may be appended, and what a pattern finds. They are written
//! once.

use regex::Regex;

use crate::error::Result;
use crate::names;
use crate::pattern;
use crate::write::append;
use crate::write::commit::Part;
use crate::write::condition::Guards;

/// Refuse what no log takes: names, payloads and a meta that cannot be kept.
pub fn check_commit(parts: &[Part<'_>], meta: &[u8], payload_max_bytes: usize) -> Result<()> {
    append::check_commit(parts, meta, payload_max_bytes)
}

/// Refuse what can be no guards: names that cannot be, tags given twice, queries without items.
pub fn check_guards(guards: &Guards<'_>) -> Result<()> {
    guards.check_form()
}

/// Refuse what cannot be a name; `what` is the word for it.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    names::check(what, name)
}

/// A regular expression, searched in names.
#[derive(Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Read it.
    pub fn new(pattern: &str) -> Result<Self> {
        pattern::compile(pattern).map(Self)
    }

    /// Whether it is found in a name.
    pub fn found_in(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}
