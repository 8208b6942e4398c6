//! Replays: the events of many streams for folding, without what folding has no use for; and folding them in the core.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use act_fast_core::fold::{self, Between, Doubtful, Outcome, StateSpec};
use act_fast_sys::attached;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::errors::{invalid, raised};
use crate::handle::Handle;

/// A replay at work: hands out groups of streams.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Replay {
    pub(crate) handle: Handle,
    pub(crate) replay: Mutex<fold::Replay>,
}

/// What the fields of a state are declared to be.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Declaration {
    spec: StateSpec,
}

/// A group of streams that are folded together.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Group {
    handle: Handle,
    inner: Mutex<Inner>,
}

struct Inner {
    group: fold::Group,
    /// Of the page handed out last: slot, version, position and number of the name of each event.
    places: Vec<(u32, u64, u64, u32)>,
    states: Option<fold::States>,
}

#[pymethods]
impl Replay {
    /// The next streams; None when there are no more.
    fn next_group(&self, py: Python<'_>) -> PyResult<Option<Group>> {
        let log = self.handle.get()?;
        let group = py.detach(|| self.replay.lock().unwrap_or_else(PoisonError::into_inner).next_group(&log));
        Ok(group.map_err(raised)?.map(|group| Group {
            handle: self.handle.clone(),
            inner: Mutex::new(Inner { group, places: Vec::new(), states: None }),
        }))
    }
}

#[pymethods]
impl Declaration {
    /// Read a declaration, which is JSON.
    #[staticmethod]
    fn read(json: &[u8]) -> PyResult<Self> {
        Ok(Self { spec: StateSpec::read(json).map_err(raised)? })
    }
}

#[pymethods]
impl Group {
    fn __len__(&self, py: Python<'_>) -> usize {
        self.lock(py).group.standings.len()
    }

    /// At most `limit` events: for each the state to fold it into, the step of its name, and its data. States are by slot, and
    /// are made where there is none. May be empty while there is more; None at the end.
    #[expect(clippy::type_complexity, reason = "three columns")]
    fn next_page<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        steps: &Bound<'py, PyList>,
        states: &Bound<'py, PyList>,
        make: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>)>> {
        let log = self.handle.get()?;
        let mut inner = self.lock(py);
        let inner = &mut *inner;
        let page = py.detach(|| inner.group.next_page(&log, limit)).map_err(raised)?;
        let Some(pieces) = page else {
            return Ok(None);
        };
        inner.places.clear();
        inner.places.extend(pieces.iter().map(|piece| (piece.slot, piece.version, piece.position, piece.name)));
        let mut folded = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let slot = piece.slot as usize;
            let mut state = states.get_item(slot)?;
            if state.is_none() {
                state = make.call0()?;
                states.set_item(slot, &state)?;
            }
            folded.push(state);
        }
        let steps: Vec<Bound<'_, PyAny>> = steps.iter().collect();
        Ok(Some((
            PyList::new(py, folded)?,
            PyList::new(py, pieces.iter().map(|piece| &steps[piece.name as usize]))?,
            PyList::new(py, pieces.iter().map(|piece| PyBytes::new(py, piece.data)))?,
        )))
    }

    /// Fold all events as declared, on all cores. `read` is given what only Python can read, (number of the name, stream,
    /// version, position, data) each, and gives each as it would be encoded today; `told` is given how many events were
    /// folded. False when there is an event that the core cannot fold, or that cannot be folded at all: the group is to
    /// be walked once more, by Python, which says what is wrong.
    fn fold(&self, py: Python<'_>, declaration: &Declaration, read: Py<PyAny>, told: Py<PyAny>) -> PyResult<bool> {
        let log = self.handle.get()?;
        let mut inner = self.lock(py);
        let inner = &mut *inner;
        let threads = available_parallelism().map_or(1, usize::from);
        let mut calls = Calls { log: Arc::clone(&log), read, told, error: None };
        let spec = &declaration.spec;
        let folded = py.detach(|| inner.group.fold(&log, spec, threads, &mut calls));
        let (outcome, states) = folded.map_err(raised)?;
        if let Some(error) = calls.error {
            return Err(error);
        }
        inner.states = Some(states);
        if outcome == Outcome::Done {
            return Ok(true);
        }
        inner.group.rewind();
        Ok(false)
    }

    /// Forget what was walked.
    fn rewind(&self, py: Python<'_>) {
        self.lock(py).group.rewind();
    }

    /// What was folded into the streams with these slots, those without a known event left out: streams, versions, positions,
    /// whether closed, the states' JSON.
    #[pyo3(signature = (declaration, from, to, /))]
    #[expect(clippy::type_complexity, reason = "five columns")]
    fn states<'py>(
        &self,
        py: Python<'py>,
        declaration: &Declaration,
        from: usize,
        to: usize,
    ) -> PyResult<(Vec<Bound<'py, PyString>>, Vec<u64>, Vec<u64>, Vec<bool>, Vec<Bound<'py, PyBytes>>)> {
        let log = self.handle.get()?;
        let inner = self.lock(py);
        let states = inner.states.as_ref().ok_or_else(|| invalid("nothing was folded yet".to_owned()))?;
        let standings = &inner.group.standings;
        let slots = from.min(standings.len())..to.min(standings.len());
        let known: Vec<usize> = slots.filter(|slot| standings[*slot].known).collect();
        let standing = || known.iter().map(|slot| &standings[*slot]);
        let streams = standing().map(|each| Ok(PyString::new(py, log.text(each.stream).map_err(raised)?)));
        let mut json = Vec::new();
        let encoded = known.iter().map(|slot| {
            json.clear();
            states.write(&declaration.spec, *slot, &mut json);
            PyBytes::new(py, &json)
        });
        Ok((
            streams.collect::<PyResult<_>>()?,
            standing().map(|each| each.version).collect(),
            standing().map(|each| each.position).collect(),
            standing().map(|each| each.closed).collect(),
            encoded.collect(),
        ))
    }

    /// Stream, version, position and number of the name of an event of the page handed out last.
    fn place(&self, py: Python<'_>, at: usize) -> PyResult<(String, u64, u64, u32)> {
        let log = self.handle.get()?;
        let inner = self.lock(py);
        let (slot, version, position, name) =
            *inner.places.get(at).ok_or_else(|| invalid(format!("the page has no event {at}")))?;
        let stream = log.text(inner.group.standings[slot as usize].stream).map_err(raised)?;
        Ok((stream.to_owned(), version, position, name))
    }

    /// Where streams with these slots stand: stream, version, position, closed; None for one without a known event.
    #[pyo3(signature = (from, to, /))]
    #[expect(clippy::type_complexity, reason = "a row is a plain tuple on the Python side")]
    fn standings<'py>(
        &self,
        py: Python<'py>,
        from: usize,
        to: usize,
    ) -> PyResult<Vec<Option<(Bound<'py, PyString>, u64, u64, bool)>>> {
        let log = self.handle.get()?;
        let inner = self.lock(py);
        let standings = &inner.group.standings;
        standings[from.min(standings.len())..to.min(standings.len())]
            .iter()
            .map(|standing| {
                if !standing.known {
                    return Ok(None);
                }
                let stream = PyString::new(py, log.text(standing.stream).map_err(raised)?);
                Ok(Some((stream, standing.version, standing.position, standing.closed)))
            })
            .collect()
    }

    /// Events that nothing folds in streams that have others: stream, version, name; the first of each name.
    fn strangers(&self, py: Python<'_>) -> PyResult<Vec<(String, u64, String)>> {
        let log = self.handle.get()?;
        let inner = self.lock(py);
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for standing in &inner.group.standings {
            let (version, name) = standing.stranger;
            if standing.known && version > 0 && seen.insert(name) {
                let stream = log.text(standing.stream).map_err(raised)?.to_owned();
                found.push((stream, version, log.text(name).map_err(raised)?.to_owned()));
            }
        }
        Ok(found)
    }
}

impl Group {
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Inner> {
        self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls Python between rounds. What it raises ends the fold.
struct Calls {
    log: Arc<act_fast_core::Log>,
    read: Py<PyAny>,
    told: Py<PyAny>,
    error: Option<PyErr>,
}

impl Calls {
    fn keep<T>(&mut self, found: PyResult<T>) -> Option<T> {
        found.map_err(|error| self.error = Some(error)).ok()
    }

    fn read(&self, py: Python<'_>, doubtful: &[Doubtful<'_>]) -> PyResult<Vec<Vec<u8>>> {
        let rows = PyList::empty(py);
        for each in doubtful {
            let stream = self.log.text(each.stream).map_err(raised)?;
            rows.append((each.name, stream, each.version, each.position, PyBytes::new(py, each.data)))?;
        }
        let read = self.read.call1(py, (rows,))?;
        read.bind(py).try_iter()?.map(|each| Ok(each?.extract::<&[u8]>()?.to_vec())).collect()
    }
}

impl Between for Calls {
    fn read(&mut self, doubtful: &[Doubtful<'_>]) -> Option<Vec<Vec<u8>>> {
        let read = attached(|py| Self::read(self, py, doubtful));
        self.keep(read)
    }

    fn folded(&mut self, events: u64) -> bool {
        let told = attached(|py| {
            py.check_signals()?;
            self.told.call1(py, (events,)).map(drop)
        });
        self.keep(told).is_some()
    }
}
