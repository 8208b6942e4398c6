//! What a store that is not ours needs of the engine's rules: what may be appended, and what a pattern finds.

use act_fast_core::Part;
use act_fast_core::foreign;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arguments::{self, Events};
use crate::errors::{invalid, raised};
use crate::guards::OwnGuards;

/// Refuse what the log would refuse: parts (stream, events, expected version) with the meta of their commit.
#[pyfunction]
#[pyo3(signature = (parts, meta, payload_max_bytes))]
pub(crate) fn check_commit(parts: &Bound<'_, PyAny>, meta: &[u8], payload_max_bytes: usize) -> PyResult<()> {
    let mut given = Vec::new();
    for element in arguments::elements(parts, "parts")? {
        let tuple = element
            .cast::<PyTuple>()
            .ok()
            .filter(|tuple| tuple.len() == 3)
            .ok_or_else(|| invalid("a part must be (stream, events, expected_version)".to_owned()))?;
        given.push((tuple.get_item(0)?, Events::new(&tuple.get_item(1)?)?));
    }
    let tags = given.iter().map(|(_, events)| events.tags()).collect::<PyResult<Vec<_>>>()?;
    let events =
        given.iter().zip(&tags).map(|((_, events), tags)| events.borrow(tags)).collect::<PyResult<Vec<_>>>()?;
    let mut parts = Vec::with_capacity(given.len());
    for ((stream, _), events) in given.iter().zip(&events) {
        parts.push(Part { stream: arguments::text(stream, "stream")?, events, expected: None });
    }
    foreign::check_commit(&parts, meta, payload_max_bytes).map_err(raised)
}

/// Refuse what can be no versions of streams, each (stream, version), and no conditions, each (items, after).
#[pyfunction]
pub(crate) fn check_guards(versions: &Bound<'_, PyAny>, conditions: &Bound<'_, PyAny>) -> PyResult<()> {
    OwnGuards::new(Some(versions), Some(conditions))?.lent(foreign::check_guards).map_err(raised)
}

/// Refuse what cannot be a name; `what` is the word for it.
#[pyfunction]
pub(crate) fn check_name(what: &str, name: &Bound<'_, PyAny>) -> PyResult<()> {
    foreign::check_name(what, arguments::text(name, what)?).map_err(raised)
}

/// A regular expression as the engine understands it: searched, in linear time.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Pattern(foreign::Pattern);

#[pymethods]
impl Pattern {
    #[new]
    fn new(pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        foreign::Pattern::new(arguments::text(pattern, "pattern")?).map(Self).map_err(raised)
    }

    /// Whether it is found in a name.
    fn found_in(&self, name: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.found_in(arguments::text(name, "name")?))
    }
}
