//! Events out: one tuple each. Texts and metas that repeat become one Python object.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use act_fast_core::{EventView, Log};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::errors::raised;

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

/// Makes rows, and remembers the texts and metas that it has made.
pub(crate) struct Maker<'py, 'a> {
    py: Python<'py>,
    log: &'a Log,
    texts: HashMap<u32, Bound<'py, PyString>, BuildHasherDefault<ByNumber>>,
    last: Option<(u32, Bound<'py, PyString>)>,
    meta: Option<(*const u8, Bound<'py, PyBytes>)>,
    untagged: Bound<'py, PyTuple>,
}

impl<'py, 'a> Maker<'py, 'a> {
    pub(crate) fn new(py: Python<'py>, log: &'a Log) -> Self {
        Self { py, log, texts: HashMap::default(), last: None, meta: None, untagged: PyTuple::empty(py) }
    }

    pub(crate) fn rows(&mut self, events: &[EventView<'_>]) -> PyResult<Bound<'py, PyList>> {
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            rows.push(self.row(event)?);
        }
        PyList::new(self.py, rows)
    }

    fn row(&mut self, event: &EventView<'_>) -> PyResult<Bound<'py, PyTuple>> {
        let stream = match &self.last {
            Some((key, text)) if *key == event.stream => text.clone(),
            _ => {
                let text = self.text(event.stream)?;
                self.last = Some((event.stream, text.clone()));
                text
            }
        };
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

    fn text(&mut self, key: u32) -> PyResult<Bound<'py, PyString>> {
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
