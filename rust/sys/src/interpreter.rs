//! Holding Python's interpreter where other native code may have let go of it.
//!
//! PyO3 counts, for each thread, how often it has attached, and believes its count. But a call from here into Python may
//! reach a library that lets go of the interpreter and then calls back here, as DuckDB does for the next batch of a stream.
//! PyO3 would take the interpreter for held, run Python beside another thread and change reference counts under it.

use std::error::Error;
use std::fmt;

use pyo3::prelude::*;

/// Hold the interpreter for real: its own library is asked, which knows what this thread holds.
struct Hold(pyo3::ffi::PyGILState_STATE);

impl Hold {
    fn new() -> Self {
        // SAFETY: the interpreter is there (P1); it may be asked for as often as one likes.
        Self(unsafe { pyo3::ffi::PyGILState_Ensure() })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: the state is what this thread was given for it, and holds end in reverse order (P2).
        unsafe { pyo3::ffi::PyGILState_Release(self.0) }
    }
}

/// Run what needs the interpreter. Waits until it is free, unless this thread holds it.
pub fn attached<T>(work: impl FnOnce(Python<'_>) -> T) -> T {
    let _hold = Hold::new();
    #[expect(clippy::disallowed_methods, reason = "this is what others are to call instead")]
    Python::attach(work)
}

/// What is kept is taken only when its keeper goes.
const THERE: &str = "kept until now";

/// What holds Python objects, and may be let go of, or be told of, by any thread.
pub struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    /// Keep it.
    pub const fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Have it back.
    pub fn take(mut self) -> T {
        self.0.take().expect(THERE)
    }

    /// What is kept.
    pub fn get(&self) -> &T {
        self.0.as_ref().expect(THERE)
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<T: fmt::Display> fmt::Display for Kept<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        attached(|_| self.get().fmt(formatter))
    }
}

impl<T: Error> Error for Kept<T> {}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        let Some(value) = self.0.take() else { return };
        // SAFETY: this may be asked at any time (P1).
        if unsafe { pyo3::ffi::Py_IsInitialized() } == 0 {
            // With the interpreter, its objects have gone.
            std::mem::forget(value);
            return;
        }
        attached(|_| drop(value));
    }
}
