//! Correlation ids as text.

use pyo3::prelude::*;

/// A new correlation id of this process, which a number below 2**20 tells from others.
#[pyfunction]
pub(crate) fn correlation(process: u32) -> String {
    act_fast_core::correlation(process).into_iter().map(char::from).collect()
}
