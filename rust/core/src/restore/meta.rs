//! What a commit carries, with the position of the event that caused it as it is now.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::positions::Positions;

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

/// A meta as it is now.
pub(super) struct Found<'a> {
    pub(super) meta: Cow<'a, str>,
    /// It was caused by an event that has not come.
    pub(super) cause_lost: bool,
}

/// The same meta, with the position of the causing event as it is now: 0 for one that has not come.
pub(super) fn with_positions_of<'a>(given: &'a str, positions: &Positions) -> Result<Found<'a>, String> {
    let shape: Shape<'_> = serde_json::from_str(given).map_err(|error| {
        let column = error.column();
        format!("`meta` is not what a commit can carry (correlation, causation, extra), at character {column} of it")
    })?;
    let same = Found { meta: Cow::Borrowed(given), cause_lost: false };
    let Some(cause) = shape.causation.and_then(|causation| causation.event) else {
        return Ok(same);
    };
    let stated: u64 = serde_json::from_str(cause.position.get())
        .map_err(|_| "`meta` names a causing event whose position is no whole number".to_owned())?;
    // Lost once before, it is not lost anew.
    let (now, cause_lost) = match positions.of(stated) {
        Some(now) => (now, false),
        None => (0, stated != 0),
    };
    if now == stated {
        return Ok(same);
    }
    let at = cause.position.get().as_ptr().addr() - given.as_ptr().addr();
    let after = at + cause.position.get().len();
    Ok(Found { meta: Cow::Owned(format!("{}{now}{}", &given[..at], &given[after..])), cause_lost })
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
            let found = with_positions_of(&given, &positions()).expect("a meta");
            assert_eq!((&*found.meta, found.cause_lost), (&*caused_by(to), false));
        }
    }

    #[test]
    fn a_cause_that_has_not_come_is_at_position_0() {
        for lost in ["4", "7", "10"] {
            let given = caused_by(lost);
            let found = with_positions_of(&given, &positions()).expect("a meta");
            assert_eq!((&*found.meta, found.cause_lost), (&*caused_by("0"), true));
        }
        let given = caused_by("0");
        assert!(!with_positions_of(&given, &positions()).expect("a meta").cause_lost);
    }

    #[test]
    fn what_no_app_could_read_is_refused() {
        for wrong in
            ["", "1", "[]", r#"{"correlation":1}"#, r#"{"causation":{"event":{"name":"A"}}}"#, r#"{"extra":1}"#]
        {
            assert!(with_positions_of(wrong, &positions()).is_err(), "{wrong}");
        }
        assert!(with_positions_of(&caused_by("-1"), &positions()).is_err());
    }
}
