//! What must hold for an append, as the facade hands it over: versions of streams, conditions, and a key.

use act_fast_core::{Condition, Guards, Item, Once};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arguments::{self, Elements};
use crate::errors::invalid;

/// The position behind which nothing may match, and of each item the names and the tags.
type Given = (u64, Vec<[Vec<String>; 2]>);

/// Guards that own what they say.
#[derive(Default)]
pub(crate) struct OwnGuards {
    versions: Vec<(String, u64)>,
    conditions: Vec<Given>,
    /// The key, and since when it must not have been used.
    once: Option<(String, i64)>,
}

impl OwnGuards {
    /// Read versions as (stream, version), and conditions as (items, after), each item (names, tags). None is none.
    pub(crate) fn new(versions: Option<&Bound<'_, PyAny>>, conditions: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut guards = Self::default();
        for element in each(versions, "expected_versions")? {
            let [stream, version] = pair(&element, "an expected version must be a pair (stream, version)")?;
            let stream = arguments::text(&stream, "stream")?.to_owned();
            guards.versions.push((stream, arguments::whole(&version, "expected_version")?));
        }
        for element in each(conditions, "conditions")? {
            let [items, after] = pair(&element, "a condition must be a pair (items, after)")?;
            let mut given = Vec::new();
            for item in arguments::elements(&items, "items")? {
                let [names, tags] = pair(&item, "an item must be a pair (names, tags)")?;
                given.push([texts(&names, "event name")?, texts(&tags, "tag")?]);
            }
            guards.conditions.push((arguments::whole(&after, "after")?, given));
        }
        Ok(guards)
    }

    /// The same with a key, given as (key, since in µs since 1970).
    pub(crate) fn keyed(mut self, once: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        if let Some(once) = once {
            let [key, since] = pair(once, "a key must be given as a pair (key, since)")?;
            self.once = Some((arguments::text(&key, "key")?.to_owned(), since.extract()?));
        }
        Ok(self)
    }

    /// The key.
    pub(crate) fn once(&self) -> Option<Once<'_>> {
        self.once.as_ref().map(|(key, since)| Once { key, since: *since })
    }

    /// Lend them as the core takes them.
    pub(crate) fn lent<T>(&self, work: impl FnOnce(&Guards<'_>) -> T) -> T {
        if self.versions.is_empty() && self.conditions.is_empty() {
            return work(&Guards { once: self.once(), ..Guards::default() });
        }
        let (versions, texts) = (self.versions(), self.texts());
        let items = items_of(&texts);
        work(&Guards { versions: &versions, conditions: &self.conditions(&items), once: self.once() })
    }

    /// What is lent, layer upon layer: the versions, the texts of the conditions, their items (`items_of`), the conditions.
    pub(crate) fn versions(&self) -> Vec<(&str, u64)> {
        self.versions.iter().map(|(stream, version)| (&**stream, *version)).collect()
    }

    pub(crate) fn texts(&self) -> Texts<'_> {
        let mut lent = Vec::with_capacity(self.conditions.len());
        for (_, items) in &self.conditions {
            lent.push(items.iter().map(|[names, tags]| [texts_of(names), texts_of(tags)]).collect());
        }
        lent
    }

    pub(crate) fn conditions<'a>(&self, items: &'a [Vec<Item<'a>>]) -> Vec<Condition<'a>> {
        let each = self.conditions.iter().zip(items);
        each.map(|((after, _), items)| Condition { items, after: *after }).collect()
    }
}

/// The names and the tags of each item of each condition.
type Texts<'a> = Vec<Vec<[Vec<&'a str>; 2]>>;

/// The items of each condition.
pub(crate) fn items_of<'a>(texts: &'a Texts<'_>) -> Vec<Vec<Item<'a>>> {
    let mut items = Vec::with_capacity(texts.len());
    for own in texts {
        items.push(own.iter().map(|[names, tags]| Item { names, tags }).collect());
    }
    items
}

fn texts_of(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn each<'py>(given: Option<&Bound<'py, PyAny>>, what: &str) -> PyResult<Elements<'py>> {
    given.map_or_else(|| Ok(Elements::new()), |given| arguments::elements(given, what))
}

fn pair<'py>(element: &Bound<'py, PyAny>, what: &str) -> PyResult<[Bound<'py, PyAny>; 2]> {
    let tuple = element.cast::<PyTuple>().ok().filter(|tuple| tuple.len() == 2);
    let tuple = tuple.ok_or_else(|| invalid(what.to_owned()))?;
    Ok([tuple.get_item(0)?, tuple.get_item(1)?])
}

/// Texts, each owned.
pub(crate) fn texts(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    let each = arguments::elements(given, &format!("{what}s"))?;
    each.iter().map(|one| arguments::text(one, what).map(str::to_owned)).collect()
}
