//! What an append answers.

use pyo3::prelude::*;

/// Where an append put its events.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "act_fast._core")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    first_version: u64,
    last_version: u64,
    first_position: u64,
    last_position: u64,
}

#[pymethods]
impl Appended {
    #[new]
    fn new(first_version: u64, last_version: u64, first_position: u64, last_position: u64) -> Self {
        Self { first_version, last_version, first_position, last_position }
    }

    fn __repr__(&self) -> String {
        format!(
            "Appended(first_version={}, last_version={}, first_position={}, last_position={})",
            self.first_version, self.last_version, self.first_position, self.last_position
        )
    }
}

impl From<act_fast_core::Appended> for Appended {
    fn from(appended: act_fast_core::Appended) -> Self {
        let act_fast_core::Appended { first_version, last_version, first_position, last_position } = appended;
        Self { first_version, last_version, first_position, last_position }
    }
}
