//! Events out: one tuple each. Texts and metas that repeat become one Python object.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use act_fast_core::{EventView, Log};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::errors::raised;

/// How many texts are found without hashing.
const RECENT: usize = 32;

/// Rows for events, in order.
pub(crate) fn rows<'py>(py: Python<'py>, log: &Log, events: &[EventView<'_>]) -> PyResult<Bound<'py, PyList>> {
    Maker::new(py, log).rows(events)
}

/// The same with the position of the first event of each one's commit, second in its tuple.
pub(crate) fn commit_rows<'py>(py: Python<'py>, log: &Log, events: &[EventView<'_>]) -> PyResult<Bound<'py, PyList>> {
    let mut maker = Maker::new(py, log);
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let (stream, name) = (maker.text(event.stream)?, maker.text(event.name)?);
        let (data, meta) = (PyBytes::new(py, event.data), maker.meta(event.meta));
        let tags = maker.tags(event)?;
        let row = (event.position, event.commit, stream, event.version, name, event.created, data, meta, tags);
        rows.push(row.into_pyobject(py)?);
    }
    PyList::new(py, rows)
}

/// Events as columns, for callers that make each object only when it is needed: positions, streams, versions, names,
/// moments, data, metas and tags. Positions or versions that go up by one are the first of them, a stream that all have
/// is that one; metas and tags are None where no event has any. `moment` makes a moment of µs since 1970 UTC.
pub(crate) fn event_columns<'py>(
    py: Python<'py>,
    log: &Log,
    events: &[EventView<'_>],
    moment: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut maker = Maker::new(py, log);
    let one_stream = events.iter().all(|event| event.stream == events[0].stream);
    let streams = match events.first() {
        Some(first) if one_stream => maker.text(first.stream)?.into_any(),
        _ => {
            let streams = events.iter().map(|event| maker.text(event.stream)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, streams)?.into_any()
        }
    };
    let names = events.iter().map(|event| maker.text(event.name)).collect::<PyResult<Vec<_>>>()?;
    let mut last: Option<(i64, Bound<'_, PyAny>)> = None;
    let mut moments = Vec::with_capacity(events.len());
    for event in events {
        let made = match &last {
            Some((created, made)) if *created == event.created => made.clone(),
            _ => moment.call1((event.created,))?,
        };
        last = Some((event.created, made.clone()));
        moments.push(made);
    }
    let metas = if events.iter().all(|event| event.meta.is_empty()) {
        py.None().into_bound(py)
    } else {
        PyList::new(py, events.iter().map(|event| maker.meta(event.meta)))?.into_any()
    };
    let tags = if events.iter().all(|event| event.tags.is_empty()) {
        py.None().into_bound(py)
    } else {
        let tags = events.iter().map(|event| maker.tags(event)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, tags)?.into_any()
    };
    PyTuple::new(
        py,
        [
            numbers(py, events.iter().map(|event| event.position))?,
            streams,
            numbers(py, events.iter().map(|event| event.version))?,
            PyList::new(py, names)?.into_any(),
            PyList::new(py, moments)?.into_any(),
            PyList::new(py, events.iter().map(|event| PyBytes::new(py, event.data)))?.into_any(),
            metas,
            tags,
        ],
    )
}

/// The first of some numbers that go up by one, or all of them.
fn numbers<'py>(py: Python<'py>, all: impl ExactSizeIterator<Item = u64> + Clone) -> PyResult<Bound<'py, PyAny>> {
    let first = all.clone().next().unwrap_or(0);
    if (first..).zip(all.clone()).all(|(expected, found)| expected == found) {
        return Ok(first.into_pyobject(py)?.into_any());
    }
    Ok(PyList::new(py, all)?.into_any())
}

/// Makes rows, and remembers the texts and metas that it has made.
pub(crate) struct Maker<'py, 'a> {
    py: Python<'py>,
    log: &'a Log,
    texts: HashMap<u32, Bound<'py, PyString>, BuildHasherDefault<ByNumber>>,
    /// The texts asked for last, each where the last bits of its key say.
    recent: [Option<(u32, Bound<'py, PyString>)>; RECENT],
    meta: Option<(*const u8, Bound<'py, PyBytes>)>,
    untagged: Bound<'py, PyTuple>,
}

impl<'py, 'a> Maker<'py, 'a> {
    pub(crate) fn new(py: Python<'py>, log: &'a Log) -> Self {
        Self {
            py,
            log,
            texts: HashMap::default(),
            recent: [const { None }; RECENT],
            meta: None,
            untagged: PyTuple::empty(py),
        }
    }

    pub(crate) fn rows(&mut self, events: &[EventView<'_>]) -> PyResult<Bound<'py, PyList>> {
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            rows.push(self.row(event)?);
        }
        PyList::new(self.py, rows)
    }

    fn row(&mut self, event: &EventView<'_>) -> PyResult<Bound<'py, PyTuple>> {
        let stream = self.text(event.stream)?;
        let name = self.text(event.name)?;
        let data = PyBytes::new(self.py, event.data);
        let meta = self.meta(event.meta);
        let tags = self.tags(event)?;
        (event.position, stream, event.version, name, event.created, data, meta, tags).into_pyobject(self.py)
    }

    /// An event's tags; the same empty tuple for all that have none.
    #[inline]
    fn tags(&mut self, event: &EventView<'_>) -> PyResult<Bound<'py, PyTuple>> {
        if event.tags.is_empty() {
            return Ok(self.untagged.clone());
        }
        let texts = event.tags.keys().map(|key| self.text(key)).collect::<PyResult<Vec<_>>>()?;
        PyTuple::new(self.py, texts)
    }

    #[inline]
    fn text(&mut self, key: u32) -> PyResult<Bound<'py, PyString>> {
        let at = key as usize % RECENT;
        match &self.recent[at] {
            Some((known, text)) if *known == key => Ok(text.clone()),
            _ => {
                let text = self.find_text(key)?;
                self.recent[at] = Some((key, text.clone()));
                Ok(text)
            }
        }
    }

    fn find_text(&mut self, key: u32) -> PyResult<Bound<'py, PyString>> {
        if let Some(text) = self.texts.get(&key) {
            return Ok(text.clone());
        }
        let text = PyString::new(self.py, self.log.text(key).map_err(raised)?);
        self.texts.insert(key, text.clone());
        Ok(text)
    }

    fn meta(&mut self, meta: &[u8]) -> Bound<'py, PyBytes> {
        match &self.meta {
            Some((start, bytes)) if *start == meta.as_ptr() => bytes.clone(),
            _ => {
                let bytes = PyBytes::new(self.py, meta);
                self.meta = Some((meta.as_ptr(), bytes.clone()));
                bytes
            }
        }
    }
}

/// A hash for keys, which are numbered one after another.
#[derive(Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }

    fn write_u32(&mut self, key: u32) {
        self.0 = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
