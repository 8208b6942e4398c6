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

/// The elements of a sequence, kept alive.
pub(crate) type Elements<'py> = SmallVec<[Bound<'py, PyAny>; 2]>;

/// The elements of a list, a tuple or another sequence.
pub(crate) fn elements<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Elements<'py>> {
    let mut found = Elements::new();
    add_elements(value, what, &mut found)?;
    Ok(found)
}

/// The same, behind others.
#[inline]
fn add_elements<'py>(value: &Bound<'py, PyAny>, what: &str, to: &mut Elements<'py>) -> PyResult<()> {
    // Nearly always one of these.
    if let Ok(list) = value.cast_exact::<PyList>() {
        to.extend(list.iter());
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        to.extend(tuple.iter());
    } else {
        let iterator = value.try_iter().ok().filter(|_| !value.is_instance_of::<PyString>());
        let iterator = iterator.filter(|_| !value.is_instance_of::<PyBytes>());
        let wrong = || invalid(format!("{what} is a {}; it must be a sequence", type_name(value)));
        for element in iterator.ok_or_else(wrong)? {
            to.push(element?);
        }
    }
    Ok(())
}

/// The events of one part as the core takes them.
pub(crate) type BorrowedEvents<'a> = SmallVec<[NewEvent<'a>; 1]>;

/// The tags of all events that have any, lent, in order.
#[derive(Default)]
pub(crate) struct BorrowedTags<'a> {
    texts: SmallVec<[&'a str; 2]>,
    /// The number of each such event, and where its tags end.
    ends: SmallVec<[(usize, usize); 1]>,
}

/// The tuples (name, data) to append, or (name, data, tags). They cannot change, so what is in them is kept alive by them.
pub(crate) struct Events<'py> {
    tuples: SmallVec<[Bound<'py, PyTuple>; 1]>,
    /// The tags of all of them, in order.
    tags: Elements<'py>,
    /// For each that has tags, its number and where they end.
    ends: SmallVec<[(usize, usize); 1]>,
}

impl<'py> Events<'py> {
    pub(crate) fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let mut events = Self { tuples: SmallVec::new(), tags: Elements::new(), ends: SmallVec::new() };
        // Nearly always a list.
        if let Ok(list) = value.cast_exact::<PyList>() {
            events.tuples.reserve_exact(list.len());
            for element in list.iter() {
                events.add(element)?;
            }
        } else {
            elements(value, "events")?.into_iter().try_for_each(|element| events.add(element))?;
        }
        Ok(events)
    }

    #[inline]
    fn add(&mut self, element: Bound<'py, PyAny>) -> PyResult<()> {
        let tuple = element.cast_into::<PyTuple>().map_err(|error| not_an_event(&error.into_inner()))?;
        match tuple.len() {
            2 => {}
            3 => {
                let before = self.tags.len();
                add_elements(&*tuple.get_borrowed_item(2)?, "tags", &mut self.tags)?;
                if self.tags.len() > before {
                    self.ends.push((self.tuples.len(), self.tags.len()));
                }
            }
            _ => return Err(not_an_event(&tuple)),
        }
        self.tuples.push(tuple);
        Ok(())
    }

    /// The tags of those events that have any, to be lent to `borrow`. One that is given twice is kept once.
    pub(crate) fn tags(&self) -> PyResult<BorrowedTags<'_>> {
        let mut all = BorrowedTags::default();
        let mut from = 0;
        for (number, end) in &self.ends {
            let before = all.texts.len();
            for tag in &self.tags[from..*end] {
                let tag = text(tag, "tag")?;
                if !all.texts[before..].contains(&tag) {
                    all.texts.push(tag);
                }
            }
            all.ends.push((*number, all.texts.len()));
            from = *end;
        }
        Ok(all)
    }

    pub(crate) fn borrow<'a>(&'a self, tags: &'a BorrowedTags<'_>) -> PyResult<BorrowedEvents<'a>> {
        let (mut ends, mut from) = (tags.ends.iter().peekable(), 0);
        let mut events = SmallVec::with_capacity(self.tuples.len());
        for (number, tuple) in self.tuples.iter().enumerate() {
            let name = lent_text(tuple.get_borrowed_item(0)?, "event name")?;
            let data = lent_bytes(tuple.get_borrowed_item(1)?, "event's data")?;
            let to = ends.next_if(|(tagged, _)| *tagged == number).map_or(from, |(_, end)| *end);
            events.push(NewEvent { name, data, tags: &tags.texts[from..to] });
            from = to;
        }
        Ok(events)
    }
}

fn not_an_event(element: &Bound<'_, PyAny>) -> PyErr {
    invalid(format!("an event is a {}; it must be a tuple (name, data) or (name, data, tags)", type_name(element)))
}

#[inline]
fn lent_text<'a>(value: Borrowed<'a, '_, PyAny>, what: &str) -> PyResult<&'a str> {
    value.extract::<&str>().or_else(|_| text(&value, what).map(|_| ""))
}

#[inline]
fn lent_bytes<'a>(value: Borrowed<'a, '_, PyAny>, what: &str) -> PyResult<&'a [u8]> {
    value.extract::<&[u8]>().or_else(|_| bytes(&value, what).map(|_| &[][..]))
}

/// The tuples (stream, events, expected version) of a commit, kept alive.
pub(crate) struct Parts<'py>(Vec<(Bound<'py, PyTuple>, Events<'py>)>);

impl<'py> Parts<'py> {
    pub(crate) fn new(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let part = |element: Bound<'py, PyAny>| {
            let tuple = element.cast_into::<PyTuple>().ok().filter(|tuple| tuple.len() == 3);
            let tuple = tuple.ok_or_else(|| invalid("a part must be (stream, events, expected_version)".to_owned()))?;
            let events = Events::new(&*tuple.get_borrowed_item(1)?)?;
            Ok((tuple, events))
        };
        elements(value, "parts")?.into_iter().map(part).collect::<PyResult<_>>().map(Self)
    }

    /// The tags of each part's events, to be lent to `events`.
    pub(crate) fn tags(&self) -> PyResult<Vec<BorrowedTags<'_>>> {
        self.0.iter().map(|(_, events)| events.tags()).collect()
    }

    /// The events of each part, to be lent to `parts`.
    pub(crate) fn events<'a>(&'a self, tags: &'a [BorrowedTags<'_>]) -> PyResult<Vec<BorrowedEvents<'a>>> {
        self.0.iter().zip(tags).map(|((_, events), tags)| events.borrow(tags)).collect()
    }

    /// The parts as the core takes them.
    pub(crate) fn parts<'a>(&'a self, events: &'a [BorrowedEvents<'_>]) -> PyResult<Vec<Part<'a>>> {
        let each = self.0.iter().zip(events);
        each.map(|((tuple, _), events)| {
            let expected = tuple.get_borrowed_item(2)?;
            Ok(Part {
                stream: lent_text(tuple.get_borrowed_item(0)?, "stream")?,
                events,
                expected: optional_whole((!expected.is_none()).then_some(&*expected), "expected_version")?,
            })
        })
        .collect()
    }
}
