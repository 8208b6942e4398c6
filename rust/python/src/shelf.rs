//! Object storage, which Python reaches, as a place for archived log files.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use act_fast_core::disk::{Shelf, shelves};
use act_fast_sys::{Kept, attached};
use pyo3::exceptions::{PyException, PyFileNotFoundError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

thread_local! {
    /// What ended a call of this thread that is no error of the storage, such as Ctrl-C.
    static INTERRUPTED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Take what ended the last call of this thread, if it was no error of the storage.
pub(crate) fn interrupted() -> Option<PyErr> {
    INTERRUPTED.take()
}

/// Say how shelves are opened: by Python.
pub(crate) fn register() {
    shelves(Box::new(|address| {
        attached(|py| {
            let opened = py.import("act_fast.stores.log.shelf")?.call_method1("shelf", (address,))?;
            Ok(Arc::new(PyShelf { shelf: Kept::new(opened.unbind()), address: address.to_owned() }) as Arc<dyn Shelf>)
        })
        .map_err(failed)
    }));
}

/// An object with `put`, `read`, `size` and `remove`, as in `act_fast.stores.log.shelf`.
struct PyShelf {
    shelf: Kept<Py<PyAny>>,
    address: String,
}

impl std::fmt::Debug for PyShelf {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PyShelf").field("address", &self.address).finish_non_exhaustive()
    }
}

impl PyShelf {
    /// Call a method. The interpreter is waited for: the core never calls a shelf with a lock in hand.
    fn call<T>(&self, work: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<T>) -> io::Result<T> {
        attached(|py| work(py, self.shelf.get().bind(py))).map_err(failed)
    }
}

impl Shelf for PyShelf {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.call(|py, shelf| shelf.call_method1("put", (name, PyBytes::new(py, bytes))).map(drop))
    }

    fn read(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        self.call(|_, shelf| Ok(shelf.call_method1("read", (name, at, len))?.extract::<&[u8]>()?.to_vec()))
    }

    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        self.call(|_, shelf| shelf.call_method1("size", (name,))?.extract())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call(|_, shelf| shelf.call_method1("remove", (name,)).map(drop))
    }
}

/// What Python raised, as an error of the storage.
fn failed(error: PyErr) -> io::Error {
    attached(|py| {
        if error.is_instance_of::<PyFileNotFoundError>(py) {
            return io::Error::new(io::ErrorKind::NotFound, error.value(py).to_string());
        }
        let text = format!("{}", error.value(py));
        if !error.is_instance_of::<PyException>(py) {
            INTERRUPTED.set(Some(error));
        }
        io::Error::other(text)
    })
}
