//! Replays: the events of many streams for folding, without what folding has no use for.

use std::sync::{Mutex, PoisonError};

use act_fast_core::fold;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::errors::{invalid, raised};
use crate::log::Handle;

/// A replay at work: hands out groups of streams.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Replay {
    pub(crate) handle: Handle,
    pub(crate) replay: Mutex<fold::Replay>,
}

/// A group of streams that are folded together.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Group {
    handle: Handle,
    inner: Mutex<Inner>,
}

struct Inner {
    group: fold::Group,
    /// Of the page handed out last: slot, version and position of each event.
    places: Vec<(u32, u64, u64)>,
}

#[pymethods]
impl Replay {
    /// The next streams; None when there are no more.
    fn next_group(&self, py: Python<'_>) -> PyResult<Option<Group>> {
        let log = self.handle.get()?;
        let group = py.detach(|| self.replay.lock().unwrap_or_else(PoisonError::into_inner).next_group(&log));
        Ok(group
            .map_err(raised)?
            .map(|group| Group { handle: self.handle.clone(), inner: Mutex::new(Inner { group, places: Vec::new() }) }))
    }
}

#[pymethods]
impl Group {
    fn __len__(&self) -> usize {
        self.lock().group.standings.len()
    }

    /// At most `limit` events: slots, numbers of names, and data. May be empty while there is more; None at the end.
    #[expect(clippy::type_complexity, reason = "three columns")]
    fn next_page<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
    ) -> PyResult<Option<(Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>)>> {
        let log = self.handle.get()?;
        let mut inner = self.lock();
        let inner = &mut *inner;
        let page = py.detach(|| inner.group.next_page(&log, limit)).map_err(raised)?;
        let Some(pieces) = page else {
            return Ok(None);
        };
        inner.places.clear();
        inner.places.extend(pieces.iter().map(|piece| (piece.slot, piece.version, piece.position)));
        Ok(Some((
            PyList::new(py, pieces.iter().map(|piece| piece.slot))?,
            PyList::new(py, pieces.iter().map(|piece| piece.name))?,
            PyList::new(py, pieces.iter().map(|piece| PyBytes::new(py, piece.data)))?,
        )))
    }

    /// Stream, version and position of an event of the page handed out last.
    fn place(&self, at: usize) -> PyResult<(String, u64, u64)> {
        let log = self.handle.get()?;
        let inner = self.lock();
        let (slot, version, position) =
            *inner.places.get(at).ok_or_else(|| invalid(format!("the page has no event {at}")))?;
        let stream = log.text(inner.group.standings[slot as usize].stream).map_err(raised)?;
        Ok((stream.to_owned(), version, position))
    }

    /// Where streams with these slots stand: stream, version, position, closed; None for one without a known event.
    #[pyo3(signature = (from, to, /))]
    #[expect(clippy::type_complexity, reason = "a row is a plain tuple on the Python side")]
    fn standings<'py>(
        &self,
        py: Python<'py>,
        from: usize,
        to: usize,
    ) -> PyResult<Vec<Option<(Bound<'py, PyString>, u64, u64, bool)>>> {
        let log = self.handle.get()?;
        let inner = self.lock();
        let standings = &inner.group.standings;
        standings[from.min(standings.len())..to.min(standings.len())]
            .iter()
            .map(|standing| {
                if !standing.known {
                    return Ok(None);
                }
                let stream = PyString::new(py, log.text(standing.stream).map_err(raised)?);
                Ok(Some((stream, standing.version, standing.position, standing.closed)))
            })
            .collect()
    }

    /// Events that nothing folds in streams that have others: stream, version, name; the first of each name.
    fn strangers(&self) -> PyResult<Vec<(String, u64, String)>> {
        let log = self.handle.get()?;
        let inner = self.lock();
        let mut seen = std::collections::BTreeSet::new();
        let mut found = Vec::new();
        for standing in &inner.group.standings {
            let (version, name) = standing.stranger;
            if standing.known && version > 0 && seen.insert(name) {
                let stream = log.text(standing.stream).map_err(raised)?.to_owned();
                found.push((stream, version, log.text(name).map_err(raised)?.to_owned()));
            }
        }
        Ok(found)
    }

    /// How much of the walk is done, and how much there is.
    fn progress(&self) -> (u64, u64) {
        self.lock().group.progress()
    }
}

impl Group {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
