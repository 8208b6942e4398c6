//! A running query.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::arguments;
use crate::errors::raised;
use crate::handle::Handle;
use crate::rows::{commit_rows, event_columns, rows};

/// A running query: one consistent cut of the log, handed out page by page.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Query {
    pub(crate) handle: Handle,
    pub(crate) query: Mutex<act_fast_core::Query>,
}

#[pymethods]
impl Query {
    /// At most `limit` rows; may be empty while there is more to look through; None at the end.
    fn next_page<'py>(&self, py: Python<'py>, limit: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.page(py, limit, rows)
    }

    /// The same, each row with the position of its commit's first event behind its own.
    fn next_commit_page<'py>(
        &self,
        py: Python<'py>,
        limit: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        self.page(py, limit, commit_rows)
    }

    /// The same as `next_page`, as columns.
    fn next_columns<'py>(
        &self,
        py: Python<'py>,
        limit: &Bound<'py, PyAny>,
        moment: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.page(py, limit, |py, log, events| event_columns(py, log, events, moment))
    }
}

impl Query {
    fn page<'py, T>(
        &self,
        py: Python<'py>,
        limit: &Bound<'py, PyAny>,
        made: impl FnOnce(Python<'py>, &act_fast_core::Log, &[act_fast_core::EventView<'_>]) -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        let limit = arguments::limit(limit)?;
        let log = self.handle.get()?;
        let page = py.detach(|| {
            let mut query = self.query.lock().unwrap_or_else(PoisonError::into_inner);
            query.next_page(&log, limit)
        });
        match page.map_err(raised)? {
            Some(events) => made(py, &log, &events).map(Some),
            None => Ok(None),
        }
    }
}
