//! The one mapping from the engine's errors to Python's exceptions, which are defined in `act_fast.errors`.

use act_fast_core::Error;
use pyo3::PyErr;

mod python {
    use pyo3::import_exception;

    import_exception!(act_fast.errors, ArchiveUnavailableError);
    import_exception!(act_fast.errors, ConcurrencyError);
    import_exception!(act_fast.errors, ConditionError);
    import_exception!(act_fast.errors, OutcomeUnknownError);
    import_exception!(act_fast.errors, RestoreError);
    import_exception!(act_fast.errors, StoreClosedError);
    import_exception!(act_fast.errors, StoreCorruptError);
    import_exception!(act_fast.errors, StoreError);
    import_exception!(act_fast.errors, StoreFailedError);
    import_exception!(act_fast.errors, StoreFormatError);
    import_exception!(act_fast.errors, StoreFullError);
    import_exception!(act_fast.errors, StoreLockedError);
    import_exception!(act_fast.errors, ValidationError);
}

/// The exception for an error of the engine.
pub(crate) fn raised(error: Error) -> PyErr {
    match error {
        Error::Invalid(message) => invalid(message),
        Error::Conflict { stream, expected, actual } => python::ConcurrencyError::new_err((stream, expected, actual)),
        Error::Repeated { .. } => python::StoreError::new_err(error.to_string()),
        Error::Condition { after, position } => python::ConditionError::new_err((after, position)),
        Error::Corrupt { ref file, offset, position, .. } => {
            python::StoreCorruptError::new_err((error.to_string(), file.clone(), offset, position))
        }
        Error::Source { ref file, number, .. } => {
            python::RestoreError::new_err((error.to_string(), file.clone(), number))
        }
        Error::Unavailable { file, address, message } => crate::shelf::interrupted()
            .unwrap_or_else(|| python::ArchiveUnavailableError::new_err((message, file, address))),
        Error::Full(message) => python::StoreFullError::new_err(message),
        Error::Locked(message) => python::StoreLockedError::new_err(message),
        Error::Failed(message) => python::StoreFailedError::new_err(message),
        Error::Unknown(message) => python::OutcomeUnknownError::new_err(message),
        Error::Format(message) => python::StoreFormatError::new_err(message),
        Error::Closed(message) => python::StoreClosedError::new_err(message),
        Error::Record(message) => python::StoreError::new_err(message),
        Error::WouldWait | Error::Absent { .. } | Error::Io { .. } => python::StoreError::new_err(error.to_string()),
    }
}

/// The exception for an error about what a replica keeps beside its log, before any record of others was read.
pub(crate) fn raised_for_kept(error: Error) -> PyErr {
    match error {
        Error::Record(message) => python::StoreCorruptError::new_err(message),
        error => raised(error),
    }
}

/// `ValidationError`.
pub(crate) fn invalid(message: String) -> PyErr {
    python::ValidationError::new_err(message)
}

/// The exception for using a closed store.
pub(crate) fn closed() -> PyErr {
    python::StoreClosedError::new_err("this store was closed; open it again")
}
