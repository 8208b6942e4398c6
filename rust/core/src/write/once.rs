//! Keys: that something is appended once, however often it is asked for. A key is kept as a tag of the first event of its
//! commit, and looked up under the writer's lock, before anything else is checked. The rules are told in `docs/once.md`.

use crate::error::{Error, Result};
use crate::index::{Descent, Index};
use crate::log::record::KeyKind;
use crate::names::{self, NAME_MAX_BYTES, TAGS_MAX};
use crate::store::log::Log;
use crate::write::commit::Part;

/// How the tag begins that a key is kept as.
pub const KEY_TAG: &str = "key=";

/// That a commit is made once.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    /// The key that it is known by.
    pub key: &'a str,
    /// The key was not used before this, in µs since 1970, as far as this commit is concerned.
    pub since: i64,
}

/// The commit that a key was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The position of its first event.
    pub first_position: u64,
    /// The position of its last event.
    pub last_position: u64,
}

impl Once<'_> {
    /// Refuse what can be no key.
    fn check(&self) -> Result<()> {
        names::check("key", self.key)?;
        let limit = NAME_MAX_BYTES - KEY_TAG.len();
        if self.key.len() > limit {
            return Err(Error::Invalid(format!(
                "the key has {} bytes of UTF-8; at most {limit} are allowed",
                self.key.len()
            )));
        }
        Ok(())
    }

    /// Refuse what can be no key, or no key of these parts.
    pub(crate) fn check_form(&self, parts: &[Part<'_>]) -> Result<()> {
        self.check()?;
        if parts.iter().flat_map(|part| part.events).next().is_some_and(|event| event.tags.len() >= TAGS_MAX) {
            return Err(Error::Invalid(format!(
                "the first event has {TAGS_MAX} tags; with a key it may have one less, since the key is one"
            )));
        }
        Ok(())
    }

    /// The tag that it is kept as.
    pub(super) fn tag(&self) -> String {
        format!("{KEY_TAG}{}", self.key)
    }

    /// Refuse a commit behind the position `last`, if its key was used.
    pub(super) fn check_unused(&self, log: &Log, index: &Index, last: u64) -> Result<()> {
        match self.used(log, index, last)? {
            Some(Used { first_position: first, last_position: last }) => Err(Error::Repeated { first, last }),
            None => Ok(()),
        }
    }

    fn used(&self, log: &Log, index: &Index, last: u64) -> Result<Option<Used>> {
        let Some((_, key)) = index.find(KeyKind::Tag, &self.tag())? else {
            return Ok(None);
        };
        let position = Descent::new(index, &key).at_or_below(last)?;
        if position == 0 {
            return Ok(None);
        }
        let commit = log.commit_of(index, position)?;
        let first_position = commit.head.position;
        let used = Used { first_position, last_position: first_position + commit.count - 1 };
        Ok((commit.head.created >= self.since).then_some(used))
    }
}

impl Log {
    /// The commit that a key was used for, as the log was when a position was its last; None where that does not count.
    pub fn used(&self, once: &Once<'_>, position: u64) -> Result<Option<Used>> {
        once.check()?;
        let position = position.min(self.head()?);
        self.reading(|index| once.used(self, index, position))
    }
}

/// Refuse tags that look like keys.
pub(crate) fn check_no_keys(parts: &[Part<'_>]) -> Result<()> {
    let mut tags = parts.iter().flat_map(|part| part.events).flat_map(|event| event.tags);
    if tags.any(|tag| tag.starts_with(KEY_TAG)) {
        return Err(Error::Invalid(format!(
            "a tag begins with {KEY_TAG:?}, as keys do; name it otherwise, or give the append a key"
        )));
    }
    Ok(())
}
