//! A log that is being made from an export.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use act_fast_core::disk::{Disk, RealDisk};
use act_fast_core::transfer::restore::{self, Restored};
use act_fast_core::{Error, Options};
use act_fast_sys::ArrowStream;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::{invalid, raised};
use crate::place::place;
use crate::progress;

const BUFFER_BYTES: usize = 1 << 20;

/// A log that is being made from an export, until it is finished or given up.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Restoring(Mutex<Option<restore::Restoring>>);

impl Restoring {
    pub(crate) fn successor(py: Python<'_>, disk: &Arc<dyn Disk>, segment_bytes: u64, replace: bool) -> PyResult<Self> {
        let begun = py.detach(|| restore::Restoring::successor(disk, segment_bytes, replace)).map_err(raised)?;
        Ok(Self(Mutex::new(Some(begun))))
    }
}

#[pymethods]
impl Restoring {
    /// Begin to make the store at a path: a new one, or the successor of the one that is there and that no one has
    /// open, which holds nothing, or is to be replaced.
    #[staticmethod]
    fn begin(py: Python<'_>, path: PathBuf, replace: bool) -> PyResult<Self> {
        let segment_bytes = Options::default().segment_bytes;
        if path.is_dir() || path.is_file() {
            return Self::successor(py, &(Arc::new(RealDisk::new(&path)) as Arc<dyn Disk>), segment_bytes, replace);
        }
        let (disk, name) = place(&path)?;
        let begun = py.detach(|| restore::Restoring::new_store(&disk, name, segment_bytes)).map_err(raised)?;
        Ok(Self(Mutex::new(Some(begun))))
    }

    /// Only check what comes, and make nothing.
    #[staticmethod]
    fn rehearsal() -> PyResult<Self> {
        let begun = restore::Restoring::rehearsal(Options::default().segment_bytes).map_err(raised)?;
        Ok(Self(Mutex::new(Some(begun))))
    }

    /// Take all events of a file: "jsonl" or "csv".
    #[pyo3(signature = (source, format, progress=None))]
    fn text(&self, py: Python<'_>, source: PathBuf, format: &str, progress: Option<Py<PyAny>>) -> PyResult<()> {
        let name = source.display().to_string();
        let failed = |error| raised(Error::of_system(&format!("reading {name}"), error));
        let file = File::open(&source).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        let read = match format {
            "jsonl" => |restoring: &mut restore::Restoring, file, name: &str, told: &mut dyn FnMut(u64) -> _| {
                restore::read_jsonl(restoring, &mut BufReader::with_capacity(BUFFER_BYTES, file), name, told)
            },
            "csv" => {
                |restoring: &mut restore::Restoring, mut file: File, name: &str, told: &mut dyn FnMut(u64) -> _| {
                    restore::read_csv(restoring, &mut file, name, told)
                }
            }
            _ => return Err(invalid(format!("format {format:?} is not known; choose \"jsonl\" or \"csv\""))),
        };
        progress::told(py, progress.as_ref(), |progress| {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let restoring = inner.as_mut().ok_or_else(|| Error::Invalid("this was finished or given up".to_owned()))?;
            read(restoring, file, &name, &mut |done| progress(done, total))
        })
    }

    /// Take all events of an Arrow stream: what `__arrow_c_stream__` of an object with the columns of a row returns, in their order.
    /// Whole numbers are unsigned, but for `created`, in µs since 1970; `tags` is a JSON list. `source` is its name in errors;
    /// `progress` hears of rows, of which there are `total`.
    #[pyo3(signature = (columns, source, total, progress=None))]
    fn columns(
        &self,
        py: Python<'_>,
        columns: &Bound<'_, PyAny>,
        source: &str,
        total: u64,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let capsule = columns.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
        let cannot = |fault| invalid(format!("it cannot be read as columns ({fault})"));
        let mut stream = ArrowStream::of_capsule(&capsule, &restore::KINDS)?.map_err(cannot)?;
        progress::told(py, progress.as_ref(), |progress| {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let restoring = inner.as_mut().ok_or_else(|| Error::Invalid("this was finished or given up".to_owned()))?;
            restore::read_columns(restoring, &mut stream, source, &mut |done| progress(done, total))
        })
    }

    /// Read what was made, and put it in its place: (events, commits, streams, held, causes lost).
    #[pyo3(signature = (progress=None))]
    fn finish(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<(u64, u64, u64, u64, u64)> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let restoring = taken.ok_or_else(|| invalid("this was finished or given up; start again".to_owned()))?;
        let Restored { events, commits, streams, held, causes_lost, .. } =
            progress::told(py, progress.as_ref(), |progress| restoring.finish(progress))?;
        Ok((events, commits, streams, held, causes_lost))
    }

    /// Give up: what was made is removed. Doing so again, or after the end, does nothing.
    fn cancel(&self, py: Python<'_>) {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(taken));
    }
}
