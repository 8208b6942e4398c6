//! Long work that tells how far it has come, and that a signal or an error of who listens puts an end to.

use act_fast_core::{Error, Result};
use act_fast_sys::attached;
use pyo3::prelude::*;

use crate::errors::raised;

/// Do `work` without holding the interpreter. It calls what it is given now and then with how much is done and how much
/// there is; an error it gets back, from `progress` or from a signal, is to end it, and is what comes of it.
pub(crate) fn told<T: Send>(
    py: Python<'_>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&mut dyn FnMut(u64, u64) -> Result<()>) -> Result<T> + Send,
) -> PyResult<T> {
    let mut interrupted = None;
    let outcome = py.detach(|| {
        work(&mut |done, total| {
            let told = attached(|py| {
                py.check_signals()?;
                progress.map(|call| call.call1(py, (done, total))).transpose()
            });
            told.map(drop).map_err(|error| {
                interrupted = Some(error);
                Error::Closed("interrupted".to_owned())
            })
        })
    });
    match interrupted {
        Some(error) => Err(error),
        None => outcome.map_err(raised),
    }
}
