//! A store in numbers.

use act_fast_core::{Durability, Log};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::raised;

/// Events, streams, sizes, flushes and what recovery came to, by their names.
pub(crate) fn stats<'py>(py: Python<'py>, log: &Log, durability: Durability) -> PyResult<Bound<'py, PyDict>> {
    let stats = log.stats().map_err(raised)?;
    let found = PyDict::new(py);
    found.set_item("events", stats.events)?;
    found.set_item("streams", stats.streams)?;
    found.set_item("log_bytes", stats.log_bytes)?;
    found.set_item("allocated_bytes", stats.allocated_bytes)?;
    found.set_item("disk_bytes", stats.disk_bytes)?;
    for (form, share) in [("hot", stats.hot), ("compressed", stats.compressed), ("archived", stats.archived)] {
        let numbers = (share.segments, share.events, share.log_bytes, share.here_bytes, share.there_bytes);
        found.set_item(form, numbers)?;
    }
    // If the address cannot be read, reading archived events raises the error.
    let archive = if stats.archived.segments > 0 { log.archive_address().ok().flatten() } else { None };
    found.set_item("archive", archive)?;
    found.set_item("last_created_us", stats.last_created)?;
    found.set_item("index_bytes", stats.index_bytes)?;
    found.set_item("segments", stats.segments)?;
    found.set_item("segment_bytes", stats.segment_bytes)?;
    found.set_item("flushed_at_ms", stats.flushed_at_ms)?;
    found.set_item("flushed_bytes", stats.flushed_bytes)?;
    found.set_item("durability", durability.name())?;
    let recovered = stats.recovered.map(|recovered| {
        (recovered.events, recovered.cut_bytes, u64::try_from(recovered.took.as_millis()).unwrap_or(u64::MAX))
    });
    found.set_item("recovered", recovered)?;
    Ok(found)
}
