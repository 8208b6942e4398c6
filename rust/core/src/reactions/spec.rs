//! What a program says of a reaction: which events, whose, and under which target.

use crate::error::Result;
use crate::names;

use super::source::Source;
use super::template::Resolver;

/// A reaction, as far as the engine has to know it.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name, by which it is known from run to run.
    pub name: String,
    /// The names of its events.
    pub events: Vec<String>,
    /// How it finds its target.
    pub resolver: Resolver,
    /// Which streams it listens to.
    pub source: Source,
    /// The tags that its events carry, all of them; none: any events.
    pub tags: Vec<String>,
    /// The lane of its targets.
    pub lane: String,
    /// The priority of its targets; higher comes first.
    pub priority: i32,
    /// Whether it begins with what happens from its first registration on, instead of with the whole history.
    pub from_now: bool,
}

impl Spec {
    /// The same, with each tag once.
    pub fn checked(mut self) -> Result<Self> {
        for tag in &self.tags {
            names::check("tag", tag)?;
        }
        self.tags.sort_unstable();
        self.tags.dedup();
        Ok(self)
    }
}
