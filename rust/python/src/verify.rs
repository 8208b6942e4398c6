//! Verifying, of open stores and of paths.

use std::path::PathBuf;
use std::sync::Arc;

use act_fast_core::Report;
use act_fast_core::disk::{Disk, RealDisk};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::progress;

/// Verify the store on a disk; `progress` is called with bytes done and bytes in all.
pub(crate) fn verify<'py>(
    py: Python<'py>,
    disk: &Arc<dyn Disk>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let outcome = progress::told(py, progress.as_ref(), |progress| act_fast_core::verify(disk, progress))?;
    report(py, &outcome)
}

fn report<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let found = PyDict::new(py);
    found.set_item("events", report.events)?;
    found.set_item("commits", report.commits)?;
    found.set_item("snapshots", report.snapshots)?;
    found.set_item("streams", report.streams)?;
    found.set_item("bytes", report.bytes)?;
    found.set_item("index", if report.index_checked { "checked" } else { "absent" })?;
    let problems = PyList::empty(py);
    for problem in &report.problems {
        problems.append((&problem.file, problem.offset, problem.position, &problem.what))?;
    }
    found.set_item("problems", problems)?;
    Ok(found)
}

/// Verify a store without opening it, so that one too damaged to open can be looked at too.
#[pyfunction]
#[pyo3(signature = (path, progress=None))]
pub(crate) fn verify_path(py: Python<'_>, path: PathBuf, progress: Option<Py<PyAny>>) -> PyResult<Bound<'_, PyDict>> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&path));
    verify(py, &disk, progress)
}
