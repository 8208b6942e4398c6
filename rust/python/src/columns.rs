//! Arrow streams out, as capsules that any library takes that speaks Arrow's C interface.

use std::collections::HashSet;
use std::sync::Arc;

use act_fast_columns::{
    Ask, ByClass, ClassDecoder, Error, Glance, Guarded, LogColumns, Opener, Output, Rows, Shape, StateRow, Stream,
    Streams, Unfitting, What,
};
use act_fast_sys::{Kept, attached};
use arrow_array::RecordBatchReader;
use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_schema::{Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyInt, PyIterator, PyList, PyString};

use crate::arguments;
use crate::errors::{invalid, raised};

/// What a column of the log may hold, besides a field of the payload.
fn what(name: &str) -> PyResult<What> {
    Ok(match name {
        "position" => What::Position,
        "commit" => What::Commit,
        "stream" => What::Stream,
        "version" => What::Version,
        "name" => What::Name,
        "created" => What::Created,
        "data" => What::Data,
        "meta" => What::Meta,
        "correlation" => What::Correlation,
        "causation" => What::Causation,
        "actor" => What::Actor,
        "tags" => What::Tags,
        "error" => What::Error,
        _ => return Err(invalid(format!("the log has no column {name:?}"))),
    })
}

/// Columns by name and by what they hold: one of the log's own, or the number of a field.
pub(crate) fn outputs(value: &Bound<'_, PyAny>) -> PyResult<Vec<Output>> {
    let mut outputs = Vec::new();
    for element in arguments::elements(value, "columns")? {
        let (name, holds): (String, Bound<'_, PyAny>) =
            element.extract().map_err(|_| invalid("a column must be (name, what it holds)".to_owned()))?;
        let what = if holds.is_instance_of::<PyInt>() {
            What::Field(arguments::limit(&holds)?)
        } else {
            what(arguments::text(&holds, "column's content")?)?
        };
        outputs.push(Output { name, what });
    }
    Ok(outputs)
}

/// The shape in its JSON.
pub(crate) fn shape(json: &Bound<'_, PyAny>) -> PyResult<Arc<Shape>> {
    let json = arguments::text(json, "shape")?;
    Shape::read(json).map(Arc::new).map_err(|error| invalid(format!("this is no shape: {error}")))
}

/// Events as columns: a question that can be asked any number of times.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Columns {
    columns: LogColumns,
    decoder: Option<Py<PyAny>>,
}

impl Columns {
    pub(crate) fn new(
        open: Opener,
        filter: act_fast_core::Filter,
        outputs: Vec<Output>,
        shape: Option<Arc<Shape>>,
        direct: HashSet<String>,
        decoder: Option<Py<PyAny>>,
    ) -> Self {
        Self { columns: LogColumns::new(open, Ask { filter, outputs, shape, direct }), decoder }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.columns.schema()
    }

    /// Begin to read.
    pub(crate) fn begin(&self, py: Python<'_>) -> PyResult<Stream> {
        let decoder = self
            .decoder
            .as_ref()
            .map(|decoder| Box::new(PythonDecoder(Kept::new(decoder.clone_ref(py)))) as Box<dyn ClassDecoder>);
        py.detach(|| self.columns.stream(decoder, None)).map_err(raised)
    }
}

#[pymethods]
impl Columns {
    /// How many events have to be looked at, at most.
    #[getter]
    fn width(&self) -> PyResult<u64> {
        self.columns.width().map_err(raised)
    }

    /// The columns' names and types.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.columns.schema())
    }

    /// Begin to read. Called again, it starts over.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A consumer that asks for other types gets these, as the protocol allows.
        let _ = requested_schema;
        stream_capsule(py, Box::new(self.begin(py)?))
    }
}

/// Streams as columns, from the index.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct StreamColumns {
    open: Opener,
    glances: Vec<Glance>,
    cut: u64,
    named: Option<Vec<String>>,
}

impl StreamColumns {
    pub(crate) fn new(open: Opener, names: &[String], cut: u64, named: Option<Vec<String>>) -> PyResult<Self> {
        let glance =
            |name: &String| Glance::of(name).ok_or_else(|| invalid(format!("streams have no column {name:?}")));
        Ok(Self { open, glances: names.iter().map(glance).collect::<PyResult<_>>()?, cut, named })
    }

    fn streams(&self) -> Streams {
        Streams::new(Arc::clone(&self.open), self.glances.clone(), self.cut, self.named.clone())
    }
}

#[pymethods]
impl StreamColumns {
    /// The columns' names and types.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.streams().schema())
    }

    /// Begin to read. Called again, it starts over.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        stream_capsule(py, Box::new(self.streams()))
    }
}

/// States as columns.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct StateColumns {
    shape: Arc<Shape>,
    names: Vec<String>,
    pages: Py<PyAny>,
    at: Option<String>,
}

#[pymethods]
impl StateColumns {
    /// `pages`: called for an iterator of pages, each a list of (stream, version, position, the state's JSON, or
    /// in words why there is none). `at`: what
    /// stands in a column `as of`, if there is one.
    #[new]
    #[pyo3(signature = (shape_json, names, pages, at=None))]
    fn new(shape_json: &Bound<'_, PyAny>, names: Vec<String>, pages: Py<PyAny>, at: Option<String>) -> PyResult<Self> {
        Ok(Self { shape: shape(shape_json)?, names, pages, at })
    }

    /// The columns' names and types.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let none = std::iter::empty();
        schema_capsule(py, &Rows::new(Arc::clone(&self.shape), &self.names, self.at.as_deref(), none).schema())
    }

    /// Begin to fold. Called again, it starts over.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let pages = self.pages.call0(py)?.bind(py).try_iter()?.unbind();
        stream_capsule(
            py,
            Box::new(Rows::new(Arc::clone(&self.shape), &self.names, self.at.as_deref(), Pages(Kept::new(pages)))),
        )
    }
}

pub(crate) fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|error| invalid(error.to_string()))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

pub(crate) fn stream_capsule(
    py: Python<'_>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'_, PyCapsule>> {
    let guarded = Box::new(Guarded::new(reader));
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(guarded), c"arrow_array_stream")
}

/// Pages of states that Python folds.
struct Pages(Kept<Py<PyIterator>>);

impl Iterator for Pages {
    type Item = Result<Vec<StateRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = attached(|py| {
            let Some(page) = self.0.get().bind(py).clone().next().transpose()? else { return Ok(None) };
            let rows = page.try_iter()?.map(|row| state_row(&row?)).collect::<PyResult<Vec<_>>>()?;
            Ok(Some(rows))
        });
        page.map_err(of_python).transpose()
    }
}

fn state_row(row: &Bound<'_, PyAny>) -> PyResult<StateRow> {
    let (stream, version, position, state): (String, u64, u64, Bound<'_, PyAny>) = row.extract()?;
    Ok(StateRow { stream, version, position, state: decoded(&state)? })
}

/// The classes, with all that they know of old events.
struct PythonDecoder(Kept<Py<PyAny>>);

impl ClassDecoder for PythonDecoder {
    fn decode(&mut self, events: &[Unfitting]) -> Result<Vec<ByClass>, Error> {
        let answers = attached(|py| {
            let given = events.iter().map(|event| (event.name.as_str(), PyBytes::new(py, &event.data)));
            let given = PyList::new(py, given.collect::<Vec<_>>())?;
            let answers = self.0.get().bind(py).call_method1("decode", (given,))?;
            answers.try_iter()?.map(|answer| decoded(&answer?)).collect::<PyResult<Vec<_>>>()
        });
        answers.map_err(of_python)
    }

    fn ended(&mut self, failed: u64) {
        if failed > 0 {
            attached(|py| {
                if let Err(error) = self.0.get().bind(py).call_method1("ended", (failed,)) {
                    error.write_unraisable(py, Some(self.0.get().bind(py)));
                }
            });
        }
    }
}

/// Bytes are JSON that has the shape, text says why there is none.
fn decoded(answer: &Bound<'_, PyAny>) -> PyResult<ByClass> {
    Ok(match answer.cast::<PyBytes>() {
        Ok(json) => ByClass::Fits(json.as_bytes().to_vec()),
        Err(_) => ByClass::Fails(answer.cast::<PyString>()?.to_string()),
    })
}

pub(crate) fn of_python(error: PyErr) -> Error {
    Error::ExternalError(Box::new(Kept::new(error)))
}
