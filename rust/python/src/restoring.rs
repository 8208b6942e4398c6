//! A log that is being made from an export.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use act_fast_core::disk::{Disk, RealDisk};
use act_fast_core::transfer::restore::{self, Meta, Restored, Row};
use act_fast_core::{Error, Options};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::errors::{invalid, raised};
use crate::place::place;
use crate::progress;

const BUFFER_BYTES: usize = 1 << 20;

/// A log that is being made from an export, until it is finished or given up.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Restoring(Mutex<Option<restore::Restoring>>);

impl Restoring {
    pub(crate) fn successor(py: Python<'_>, disk: &Arc<dyn Disk>, segment_bytes: u64) -> PyResult<Self> {
        let begun = py.detach(|| restore::Restoring::successor(disk, segment_bytes)).map_err(raised)?;
        Ok(Self(Mutex::new(Some(begun))))
    }

    fn with<T>(&self, work: impl FnOnce(&mut restore::Restoring) -> T) -> PyResult<T> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.as_mut().map(work).ok_or_else(|| invalid("this was finished or given up; start again".to_owned()))
    }
}

#[pymethods]
impl Restoring {
    /// Begin to make the store at a path: a new one, or the successor of the one that is there and that nobody has open.
    #[staticmethod]
    fn begin(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let segment_bytes = Options::default().segment_bytes;
        if path.is_dir() || path.is_file() {
            return Self::successor(py, &(Arc::new(RealDisk::new(&path)) as Arc<dyn Disk>), segment_bytes);
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

    /// Take events as rows (position, commit, stream, version, name, created in µs since 1970, data, meta, tags as a JSON list), each None where
    /// it is not said. `first`: the number of the first, for errors.
    fn rows(&self, rows: &Bound<'_, PyList>, source: &str, first: u64) -> PyResult<()> {
        self.with(|restoring| {
            for (row, number) in rows.iter().zip(first..) {
                let outcome = take(restoring, row.cast::<PyTuple>()?)?;
                outcome.map_err(|error| raised(restore::in_source(error, source, "row", number)))?;
            }
            Ok(())
        })?
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

type Taken = act_fast_core::Result<()>;

fn take(restoring: &mut restore::Restoring, row: &Bound<'_, PyTuple>) -> PyResult<Taken> {
    let number = |at: usize| row.get_borrowed_item(at)?.extract::<Option<u64>>();
    let created = row.get_borrowed_item(5)?.extract::<Option<i64>>()?;
    let (stream, name, data) = (row.get_item(2)?, row.get_item(4)?, row.get_item(6)?);
    let meta = row.get_item(7)?;
    let (Ok(stream), Ok(name), Ok(data)) =
        (stream.cast::<PyString>(), name.cast::<PyString>(), data.cast::<PyString>())
    else {
        return Ok(Err(Error::Invalid("`stream`, `name` or `data` is missing; every event has all three".to_owned())));
    };
    let meta = if meta.is_none() { None } else { Some(meta.cast::<PyString>()?) };
    let meta = match meta.map(|meta| meta.to_str()).transpose()?.map(Meta::parse).transpose() {
        Ok(meta) => meta,
        Err(error) => return Ok(Err(error)),
    };
    let tags = row.get_item(8)?;
    let tags = if tags.is_none() { "" } else { tags.cast::<PyString>()?.to_str()? };
    Ok(restoring.add(&Row {
        position: number(0)?,
        commit: number(1)?,
        stream: stream.to_str()?,
        version: number(3)?,
        name: name.to_str()?,
        created,
        data: data.to_str()?,
        checked: false,
        meta,
        tags,
    }))
}
