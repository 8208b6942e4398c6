//! What a commit carries, with the position of the event that caused it as it is now.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::positions::Positions;
use crate::error::{Error, Result};
use crate::payload::check::check_meta;

/// What must be in a meta that apps can read.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(rename = "correlation")]
    _correlation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    causation: Option<Causation<'a>>,
    #[serde(rename = "extra", default)]
    _extra: HashMap<Cow<'a, str>, IgnoredAny>,
}

#[derive(Deserialize)]
struct Causation<'a> {
    #[serde(borrow, rename = "action")]
    _action: Option<Action<'a>>,
    #[serde(borrow)]
    event: Option<Cause<'a>>,
}

#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow, rename = "name")]
    _name: Cow<'a, str>,
    #[serde(borrow, rename = "stream")]
    _stream: Cow<'a, str>,
    #[serde(borrow, rename = "actor")]
    _actor: Option<Actor<'a>>,
}

#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow, rename = "id")]
    _id: Cow<'a, str>,
    #[serde(borrow, rename = "name", default)]
    _name: Cow<'a, str>,
    #[serde(rename = "extra", default)]
    _extra: HashMap<Cow<'a, str>, IgnoredAny>,
}

#[derive(Deserialize)]
struct Cause<'a> {
    #[serde(borrow, rename = "name")]
    _name: Cow<'a, str>,
    #[serde(borrow, rename = "stream")]
    _stream: Cow<'a, str>,
    #[serde(borrow)]
    position: &'a RawValue,
    #[serde(rename = "version")]
    _version: u64,
}

/// What a commit carries, checked.
#[derive(Clone, Debug)]
pub struct Meta<'a> {
    text: &'a str,
    cause: Option<CausedBy>,
}

/// The position of a causing event: where it stands in the text, and what it is.
#[derive(Clone, Debug)]
pub(super) struct CausedBy {
    at: Range<usize>,
    position: u64,
}

/// A meta as it is now.
pub(super) struct Found<'a> {
    pub(super) meta: Cow<'a, str>,
    /// It was caused by an event that has not come.
    pub(super) cause_lost: bool,
}

impl<'a> Meta<'a> {
    /// Check that apps can read it. An `Invalid` error says what is wrong with it.
    pub fn parse(text: &'a str) -> Result<Self> {
        check_meta(text.as_bytes()).map_err(|flaw| Error::Invalid(format!("`meta` is {flaw}")))?;
        let shape: Shape<'_> = serde_json::from_str(text).map_err(|error| {
            let column = error.column();
            Error::Invalid(format!(
                "`meta` is not valid at its character {column}; it may contain correlation, causation and extra"
            ))
        })?;
        let Some(cause) = shape.causation.and_then(|causation| causation.event) else {
            return Ok(Self { text, cause: None });
        };
        let position = serde_json::from_str(cause.position.get()).map_err(|_| {
            Error::Invalid("`meta` names a causing event whose position is not a whole number".to_owned())
        })?;
        let start = cause.position.get().as_ptr().addr() - text.as_ptr().addr();
        Ok(Self { text, cause: Some(CausedBy { at: start..start + cause.position.get().len(), position }) })
    }

    /// Put together again what was taken apart.
    pub(super) fn again(text: &'a str, cause: Option<CausedBy>) -> Self {
        Self { text, cause }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The same, with the position of the causing event as it is now: 0 for one that has not come.
    pub(super) fn now(&self, positions: &Positions) -> Found<'a> {
        let same = Found { meta: Cow::Borrowed(self.text), cause_lost: false };
        let Some(CausedBy { at, position }) = &self.cause else { return same };
        // Lost once before, it is not lost again.
        let (now, cause_lost) = match positions.of(*position) {
            Some(now) => (now, false),
            None => (0, *position != 0),
        };
        if now == *position {
            return same;
        }
        Found { meta: Cow::Owned(format!("{}{now}{}", &self.text[..at.start], &self.text[at.end..])), cause_lost }
    }
}

/// The meta that was looked at last: all events of a commit have the same.
#[derive(Default)]
pub(super) struct LastMeta<'a> {
    last: Option<Meta<'a>>,
}

impl<'a> LastMeta<'a> {
    /// Check a meta, unless it is that of the event before, and answer what `Meta::again` needs.
    pub(super) fn cause_of(&mut self, text: &'a str) -> Result<Option<CausedBy>> {
        if let Some(last) = &self.last
            && last.text == text
        {
            return Ok(last.cause.clone());
        }
        let meta = Meta::parse(text)?;
        let cause = meta.cause.clone();
        self.last = Some(meta);
        Ok(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions() -> Positions {
        let mut positions = Positions::default();
        for (from, to) in [(5, 1), (6, 2), (9, 3)] {
            positions.add(Some(from), to).expect("in order");
        }
        positions
    }

    fn caused_by(position: &str) -> String {
        let event = format!(r#"{{"name":"A","stream":"s","position": {position} ,"version":1}}"#);
        format!(r#"{{"correlation":"c","causation":{{"event":{event}}},"extra":{{"position":9}}}}"#)
    }

    #[test]
    fn only_the_causing_events_position_is_changed() {
        for (from, to) in [("5", "1"), ("6", "2"), ("9", "3")] {
            let given = caused_by(from);
            let found = Meta::parse(&given).expect("a meta").now(&positions());
            assert_eq!((&*found.meta, found.cause_lost), (&*caused_by(to), false));
        }
    }

    #[test]
    fn a_cause_that_has_not_come_is_at_position_0() {
        for lost in ["4", "7", "10"] {
            let given = caused_by(lost);
            let found = Meta::parse(&given).expect("a meta").now(&positions());
            assert_eq!((&*found.meta, found.cause_lost), (&*caused_by("0"), true));
        }
        let given = caused_by("0");
        assert!(!Meta::parse(&given).expect("a meta").now(&positions()).cause_lost);
    }

    #[test]
    fn what_no_app_could_read_is_refused() {
        for wrong in
            ["", "1", "[]", r#"{"correlation":1}"#, r#"{"causation":{"event":{"name":"A"}}}"#, r#"{"extra":1}"#]
        {
            assert!(Meta::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Meta::parse(&caused_by("-1")).is_err());
    }
}
