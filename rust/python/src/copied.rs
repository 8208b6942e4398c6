//! Commits of another store, appended as they stand there.

use act_fast_core::{Log, NewEvent, Origin, Part};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::errors::raised;

type Row<'py> = (
    u64,
    u64,
    Bound<'py, PyString>,
    u64,
    Bound<'py, PyString>,
    i64,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Vec<Bound<'py, PyString>>,
);

/// Append rows (position, commit, stream, version, name, created µs, data, meta, tags), commit by commit.
pub(crate) fn append_rows(py: Python<'_>, log: &Log, rows: &Bound<'_, PyList>) -> PyResult<()> {
    let rows: Vec<Row<'_>> = rows.iter().map(|row| row.extract()).collect::<PyResult<_>>()?;
    let tags: Vec<Vec<&str>> =
        rows.iter().map(|row| row.8.iter().map(|tag| tag.to_str()).collect()).collect::<PyResult<_>>()?;
    let mut events = Vec::with_capacity(rows.len());
    let mut places = Vec::with_capacity(rows.len());
    for ((position, commit, stream, version, name, created, data, meta, _), tags) in rows.iter().zip(&tags) {
        events.push(NewEvent { name: name.to_str()?, data: data.as_bytes(), tags });
        places.push((*position, *commit, stream.to_str()?, *version, *created, meta.as_bytes()));
    }
    py.detach(|| {
        let mut start = 0;
        for commit in places.chunk_by(|one, next| one.1 == next.1) {
            let (position, _, _, _, created, meta) = commit[0];
            let mut parts = Vec::new();
            let mut at = start;
            for run in commit.chunk_by(|one, next| one.2 == next.2) {
                let events = &events[at..at + run.len()];
                parts.push(Part { stream: run[0].2, events, expected: Some(run[0].3.saturating_sub(1)) });
                at += run.len();
            }
            log.append_copied(&parts, meta, Origin { position, created })?;
            start = at;
        }
        Ok(())
    })
    .map_err(raised)
}
