//! Which events are meant: the conditions that the facade hands over as one dictionary.

use act_fast_core::Filter;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments;
use crate::errors::invalid;
use crate::guards::texts;

/// Read the conditions; what is left out, or None, is no condition.
pub(crate) fn read(given: Option<&Bound<'_, PyDict>>) -> PyResult<Filter> {
    let mut filter = Filter::default();
    for (name, value) in given.into_iter().flatten() {
        let name = arguments::text(&name, "condition")?;
        let value = (!value.is_none()).then_some(&value);
        match name {
            "stream" => filter.stream = arguments::optional_text(value, "stream")?,
            "pattern" => filter.pattern = arguments::optional_text(value, "pattern")?,
            "names" => filter.names = value.map(|names| texts(names, "event name")).transpose()?,
            "tags" => filter.tags = value.map_or_else(|| Ok(Vec::new()), |tags| texts(tags, "tag"))?,
            "items" => filter.items = value.map(items).transpose()?,
            "after" => filter.after = arguments::optional_whole(value, "after")?.unwrap_or(0),
            "before" => filter.before = arguments::optional_whole(value, "before")?,
            "created_after_us" => filter.created_after = value.map(PyAnyMethods::extract).transpose()?,
            "created_before_us" => filter.created_before = value.map(PyAnyMethods::extract).transpose()?,
            "correlation" => filter.correlation = arguments::optional_text(value, "correlation")?,
            other => return Err(invalid(format!("{other:?} is no condition"))),
        }
    }
    Ok(filter)
}

/// Whether the source of a reaction is a pattern, and not the name of one stream.
#[pyfunction]
pub(crate) fn is_pattern(source: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(act_fast_core::is_pattern(arguments::text(source, "source")?))
}

/// Items of a query, each (names, tags).
fn items(given: &Bound<'_, PyAny>) -> PyResult<Vec<(Vec<String>, Vec<String>)>> {
    let item = |element: &Bound<'_, PyAny>| {
        let (names, tags): (Bound<'_, PyAny>, Bound<'_, PyAny>) = element.extract()?;
        Ok((texts(&names, "event name")?, texts(&tags, "tag")?))
    };
    arguments::elements(given, "items")?.iter().map(item).collect()
}
