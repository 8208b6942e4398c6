//! Arguments in: exact types, and errors that say what was given.

use act_fast_core::{NewEvent, Part};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyList, PyString, PyTuple};
use smallvec::SmallVec;

use crate::errors::invalid;

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// A whole number from 0 up.
pub(crate) fn whole(value: &Bound<'_, PyAny>, what: &str) -> PyResult<u64> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(invalid(format!("{what} is a {}; it must be an int", type_name(value))));
    }
    value.extract().map_err(|_| invalid(format!("{what} is {value}; it must be from 0 to 2**64 - 1")))
}

/// A whole number, or None.
#[inline]
pub(crate) fn optional_whole(value: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<u64>> {
    value.map(|value| whole(value, what)).transpose()
}

/// A count that may be larger than memory.
pub(crate) fn limit(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(usize::try_from(whole(value, "limit")?).unwrap_or(usize::MAX))
}

/// A text.
#[inline]
pub(crate) fn text<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a str> {
    let string = value
        .cast::<PyString>()
        .map_err(|_| invalid(format!("the {what} is a {}; it must be a str", type_name(value))))?;
    string.to_str().map_err(|_| invalid(format!("the {what} is not valid Unicode (it contains a lone surrogate)")))
}

/// A text, or None.
pub(crate) fn optional_text(value: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<String>> {
    value.map(|value| text(value, what).map(str::to_owned)).transpose()
}

/// Bytes.
#[inline]
pub(crate) fn bytes<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a [u8]> {
    let bytes = value
        .cast::<PyBytes>()
        .map_err(|_| invalid(format!("the {what} is a {}; it must be bytes", type_name(value))))?;
    Ok(bytes.as_bytes())
}

/// The elements of a list, a tuple or another sequence.
pub(crate) fn elements<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    // Nearly always one of these.
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return Ok(tuple.iter().collect());
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return Ok(list.iter().collect());
    }
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Err(invalid(format!("{what} is a {}; it must be a sequence", type_name(value))));
    }
    match value.try_iter() {
        Ok(iterator) => iterator.collect(),
        Err(_) => Err(invalid(format!("{what} is a {}; it must be a sequence", type_name(value)))),
    }
}

/// The events of one part as the core takes them.
pub(crate) type BorrowedEvents<'a> = SmallVec<[NewEvent<'a>; 1]>;

/// The (name, data) pairs to append, or (name, data, tags), kept alive.
pub(crate) struct Events<'py>(SmallVec<[Event<'py>; 1]>);

struct Event<'py> {
    name: Bound<'py, PyAny>,
    data: Bound<'py, PyAny>,
    tags: Vec<Bound<'py, PyAny>>,
}

/// The tags of all events that have any, lent; in order.
pub(crate) type BorrowedTags<'a> = SmallVec<[SmallVec<[&'a str; 2]>; 1]>;

impl<'py> Events<'py> {
    pub(crate) fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        // Nearly always a list.
        if let Ok(list) = value.cast_exact::<PyList>() {
            let mut events = SmallVec::with_capacity(list.len());
            for element in list.iter() {
                events.push(event(&element)?);
            }
            return Ok(Self(events));
        }
        elements(value, "events")?.iter().map(event).collect::<PyResult<_>>().map(Self)
    }

    /// The tags of those events that have any, to be lent to `borrow`. One that is given twice is kept once.
    pub(crate) fn tags(&self) -> PyResult<BorrowedTags<'_>> {
        let tagged = self.0.iter().filter(|event| !event.tags.is_empty());
        tagged
            .map(|event| {
                let mut own: SmallVec<[&str; 2]> = SmallVec::with_capacity(event.tags.len());
                for tag in &event.tags {
                    let tag = text(tag, "tag")?;
                    if !own.contains(&tag) {
                        own.push(tag);
                    }
                }
                Ok(own)
            })
            .collect()
    }

    pub(crate) fn borrow<'a>(&'a self, tags: &'a BorrowedTags<'_>) -> PyResult<BorrowedEvents<'a>> {
        let mut tags = tags.iter();
        let mut events = SmallVec::with_capacity(self.0.len());
        for event in &self.0 {
            let own = if event.tags.is_empty() { None } else { tags.next() };
            let own = own.map_or(&[][..], |own| &own[..]);
            let (name, data) = (text(&event.name, "event name")?, bytes(&event.data, "event's data")?);
            events.push(NewEvent { name, data, tags: own });
        }
        Ok(events)
    }
}

/// The (stream, events, expected version) of a commit, kept alive.
pub(crate) struct Parts<'py>(Vec<(Bound<'py, PyAny>, Events<'py>, Bound<'py, PyAny>)>);

impl<'py> Parts<'py> {
    pub(crate) fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let part = |element: &Bound<'py, PyAny>| {
            let tuple = element
                .cast::<PyTuple>()
                .ok()
                .filter(|tuple| tuple.len() == 3)
                .ok_or_else(|| invalid("a part must be (stream, events, expected_version)".to_owned()))?;
            Ok((tuple.get_item(0)?, Events::new(&tuple.get_item(1)?)?, tuple.get_item(2)?))
        };
        elements(value, "parts")?.iter().map(part).collect::<PyResult<_>>().map(Self)
    }

    /// The tags of each part's events, to be lent to `events`.
    pub(crate) fn tags(&self) -> PyResult<Vec<BorrowedTags<'_>>> {
        self.0.iter().map(|(_, events, _)| events.tags()).collect()
    }

    /// The events of each part, to be lent to `parts`.
    pub(crate) fn events<'a>(&'a self, tags: &'a [BorrowedTags<'_>]) -> PyResult<Vec<BorrowedEvents<'a>>> {
        self.0.iter().zip(tags).map(|((_, events, _), tags)| events.borrow(tags)).collect()
    }

    /// The parts as the core takes them.
    pub(crate) fn parts<'a>(&'a self, events: &'a [BorrowedEvents<'_>]) -> PyResult<Vec<Part<'a>>> {
        let each = self.0.iter().zip(events);
        each.map(|((stream, _, expected), events)| {
            Ok(Part {
                stream: text(stream, "stream")?,
                events,
                expected: optional_whole((!expected.is_none()).then_some(expected), "expected_version")?,
            })
        })
        .collect()
    }
}

#[inline]
fn event<'py>(element: &Bound<'py, PyAny>) -> PyResult<Event<'py>> {
    let tuple = element.cast::<PyTuple>().ok().map(|tuple| (tuple, tuple.len()));
    let (tuple, len) = tuple.filter(|(_, len)| matches!(len, 2 | 3)).ok_or_else(|| {
        invalid(format!("an event is a {}; it must be a tuple (name, data) or (name, data, tags)", type_name(element)))
    })?;
    let tags = if len == 3 { elements(&tuple.get_item(2)?, "tags")? } else { Vec::new() };
    Ok(Event { name: tuple.get_item(0)?, data: tuple.get_item(1)?, tags })
}
