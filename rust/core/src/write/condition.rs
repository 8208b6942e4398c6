//! Conditions: what must not have happened since the caller looked, and what other streams must be like. Checked under the
//! writer's lock, against all that is written. The rules are told in `docs/decisions.md`.

use crate::error::{Error, Result};
use crate::index::{Descent, Index, Near};
use crate::log::record::KeyKind;
use crate::names;
use crate::store::log::Log;
use crate::write::commit::{Part, Patience};
use crate::write::once::Once;

/// The most items of a query.
const ITEMS_MAX: usize = 1000;
/// How many positions a condition may look back while others wait for the writer's lock.
const NEAR: u64 = 1000;

/// One alternative of a query: events with one of the names and all of the tags. None of either: any event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Item<'a> {
    /// The names, any of which will do.
    pub names: &'a [&'a str],
    /// The tags, all of which it takes.
    pub tags: &'a [&'a str],
}

/// That no event behind a position matches any of some items.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// The items; at least one.
    pub items: &'a [Item<'a>],
    /// The position behind which nothing may match.
    pub after: u64,
}

/// What must hold for a commit besides the versions of the streams that it writes to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guards<'a> {
    /// Streams and the versions that they must have.
    pub versions: &'a [(&'a str, u64)],
    /// All of these must hold.
    pub conditions: &'a [Condition<'a>],
    /// The key under which it is made, which must not have been used. This is looked at first.
    pub once: Option<Once<'a>>,
}

/// Guards, and what was found before the writer's lock was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked<'a> {
    pub(super) guards: &'a Guards<'a>,
    /// The position up to which all of their conditions hold.
    seen: u64,
    /// The stream, if there is only one, and the tags of its first event.
    pub(super) near: &'a [Near<'a>],
}

impl<'a> Looked<'a> {
    /// Guards of which nothing is known.
    pub(crate) fn not_yet(guards: &'a Guards<'a>) -> Self {
        Self { guards, seen: 0, near: &[] }
    }

    /// Refuse a commit that they stand against, but for its key, behind the position `last`.
    #[inline]
    pub(super) fn check(&self, index: &Index, last: u64) -> Result<()> {
        let Guards { versions, conditions, .. } = self.guards;
        if versions.is_empty() && conditions.is_empty() { Ok(()) } else { self.guards.check(index, self.seen, last) }
    }
}

impl Guards<'_> {
    /// Refuse what can be no guards.
    pub(crate) fn check_form(&self) -> Result<()> {
        for (stream, _) in self.versions {
            names::check("stream", stream)?;
        }
        for condition in self.conditions {
            if condition.items.is_empty() || condition.items.len() > ITEMS_MAX {
                return Err(Error::Invalid(format!(
                    "a query has {} items; it must have 1 to {ITEMS_MAX}",
                    condition.items.len()
                )));
            }
            for item in condition.items {
                item.check()?;
            }
        }
        Ok(())
    }

    fn asks_for_tags(&self) -> bool {
        self.conditions.iter().flat_map(|condition| condition.items).any(|item| !item.tags.is_empty())
    }

    /// Whether a condition looks so far back that it may take longer than others are to wait.
    fn looks_far_back(&self, last: u64) -> bool {
        self.conditions.iter().any(|condition| condition.after.saturating_add(NEAR) < last)
    }

    /// Refuse a commit that they stand against, but for its key, behind the position `last`. All conditions hold up to `seen`.
    fn check(&self, index: &Index, seen: u64, last: u64) -> Result<()> {
        for (stream, expected) in self.versions {
            let found = index.find(KeyKind::Stream, stream)?;
            let actual = found.map_or(Ok(0), |(_, key)| index.count_up_to(&key, last))?;
            if actual != *expected {
                return Err(Error::Conflict { stream: (*stream).to_owned(), expected: *expected, actual });
            }
        }
        self.check_conditions(index, seen, last)
    }

    fn check_conditions(&self, index: &Index, seen: u64, last: u64) -> Result<()> {
        for condition in self.conditions {
            let mut newest = 0;
            for item in condition.items {
                let after = condition.after.max(seen).max(newest);
                newest = newest.max(item.newest(index, after, last)?.unwrap_or(0));
            }
            if newest > 0 {
                return Err(Error::Condition { after: condition.after, position: newest });
            }
        }
        Ok(())
    }
}

impl Log {
    /// Look at conditions that look far back while no other writer has to wait for it, so that only what comes meanwhile is
    /// left to be looked at under the writer's lock.
    #[inline]
    pub(super) fn look_back<'a>(&self, guards: &'a Guards<'a>, patience: Patience) -> Result<Looked<'a>> {
        if guards.conditions.is_empty() { Ok(Looked::not_yet(guards)) } else { self.look_far_back(guards, patience) }
    }

    fn look_far_back<'a>(&self, guards: &'a Guards<'a>, patience: Patience) -> Result<Looked<'a>> {
        let head = self.head()?;
        if !guards.looks_far_back(head) {
            return Ok(Looked::not_yet(guards));
        }
        if patience == Patience::Try {
            return Err(Error::WouldWait);
        }
        self.reading(|index| {
            if !index.has_tags() && guards.asks_for_tags() {
                return Ok(Looked::not_yet(guards)); // it is made anew under the lock
            }
            if let Some(once) = &guards.once
                && once.check_unused(self, index, head).is_err()
            {
                return Ok(Looked::not_yet(guards)); // that it was used comes before all else
            }
            guards.check_conditions(index, 0, head)?;
            Ok(Looked { guards, seen: head, near: &[] })
        })
    }

    /// Refuse what guards but for a key stand against, as the log was when a position was its last: what an append would have been told then.
    pub fn check_guards(&self, guards: &Guards<'_>, position: u64) -> Result<()> {
        guards.check_form()?;
        let position = position.min(self.head()?);
        self.reading(|index| guards.check(index, 0, position))
    }
}

impl Item<'_> {
    fn check(&self) -> Result<()> {
        for name in self.names {
            names::check("event name", name)?;
        }
        names::check_tags(self.tags)
    }

    /// The position of the newest event that matches, if one does behind `after`. The keys' positions are walked from the
    /// newest down, each time to the newest that the next key has at or below where the last one stands.
    fn newest(&self, index: &Index, after: u64, last: u64) -> Result<Option<u64>> {
        let mut tags = Vec::with_capacity(self.tags.len());
        for tag in self.tags {
            match index.find(KeyKind::Tag, tag)? {
                Some((_, key)) => tags.push(Descent::new(index, &key)),
                None => return Ok(None),
            }
        }
        let mut names = Vec::with_capacity(self.names.len());
        for name in self.names {
            names.extend(index.find(KeyKind::Name, name)?.map(|(_, key)| Descent::new(index, &key)));
        }
        if names.is_empty() && !self.names.is_empty() {
            return Ok(None);
        }
        let mut position = last;
        while position > after {
            let start = position;
            for tag in &mut tags {
                position = tag.at_or_below(position)?;
            }
            if !names.is_empty() {
                let mut nearest = 0;
                for name in &mut names {
                    nearest = nearest.max(name.at_or_below(position)?);
                }
                position = nearest;
            }
            if position == start {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }
}

/// Whether a commit has to do with tags.
pub(super) fn concerns_tags(parts: &[Part<'_>], guards: &Guards<'_>) -> bool {
    guards.once.is_some()
        || guards.asks_for_tags()
        || parts.iter().flat_map(|part| part.events).any(|event| !event.tags.is_empty())
}
