//! Questions that are kept answered, and what they have come to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use act_fast_columns::{Error, Question};
use act_fast_sys::{Kept, attached};
use arrow_array::RecordBatchIterator;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyCapsule};

use crate::columns::{Columns, of_python, schema_capsule, stream_capsule};
use crate::errors::{invalid, raised};

/// The groups that some events make.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Groups {
    groups: Mutex<act_fast_columns::Groups>,
}

#[pymethods]
impl Groups {
    /// None yet. `question`: what is kept, as JSON, which names the columns by their numbers.
    #[new]
    fn new(question: &str, columns: &Columns) -> PyResult<Self> {
        let question = Question::read(question).map_err(|error| invalid(format!("this is no question: {error}")))?;
        let groups = act_fast_columns::Groups::new(question, columns.schema()).map_err(of_arrow)?;
        Ok(Self { groups: Mutex::new(groups) })
    }

    /// Take in all events of some columns, or none of them.
    fn take(&self, py: Python<'_>, columns: &Columns) -> PyResult<()> {
        let stream = columns.begin(py)?;
        let mut more = self.lock(py).blank();
        py.detach(|| {
            for batch in stream {
                more.take(&batch?)?;
                attached(|py| py.check_signals()).map_err(of_python)?;
            }
            self.groups.lock().unwrap_or_else(PoisonError::into_inner).merge(more)
        })
        .map_err(of_arrow)
    }

    /// The same once more, which goes its own way from here.
    fn copy(&self, py: Python<'_>) -> Self {
        Self { groups: Mutex::new(self.lock(py).clone()) }
    }

    /// All of it as bytes.
    fn dump<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let guard = self.lock(py);
        let groups = &*guard;
        let dumped = py.detach(|| groups.dump());
        PyBytes::new(py, &dumped)
    }

    /// What `dump` has made of the same question; None when it is not that.
    fn load(&self, py: Python<'_>, dumped: &[u8]) -> Option<Self> {
        let loaded = self.lock(py).load(dumped)?;
        Some(Self { groups: Mutex::new(loaded) })
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.lock(py).len()
    }

    /// The names and types of the columns: the keys, then what is held.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = self.lock(py).schema();
        schema_capsule(py, &schema)
    }

    /// All groups as they are now.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let guard = self.lock(py);
        let groups = &*guard;
        let batches = py.detach(|| groups.batches()).map_err(of_arrow)?;
        let schema = groups.schema();
        stream_capsule(py, Box::new(RecordBatchIterator::new(batches.into_iter().map(Ok), schema)))
    }
}

impl Groups {
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, act_fast_columns::Groups> {
        self.groups.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exception for what a stream ends with: that of the engine or of Python, if it is one of these.
fn of_arrow(error: Error) -> PyErr {
    match error {
        Error::ExternalError(inner) => match inner.downcast::<act_fast_core::Error>() {
            Ok(error) => raised(*error),
            Err(inner) => match inner.downcast::<Kept<PyErr>>().map(|kept| kept.take()) {
                Ok(error) => error,
                Err(inner) => raised(act_fast_core::Error::Failed(inner.to_string())),
            },
        },
        error => raised(act_fast_core::Error::Failed(error.to_string())),
    }
}
