//! Records of an ordered log, and applying them.

use std::sync::{Mutex, PoisonError};

use act_fast_core::replica::{self, Head, Kind, Proposal};
use act_fast_core::{Genesis, Guards};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::arguments::{self, Parts};
use crate::errors::{invalid, raised, raised_for_kept};
use crate::guards::{self, OwnGuards};
use crate::handle::Handle;
use crate::log::Log;

/// A record that is not the core's: place, kind, session, number, log's time in ms, body.
type OtherRow<'py> = (u64, &'static str, Bound<'py, PyBytes>, u64, u64, Bound<'py, PyBytes>);

fn id(bytes: &[u8], what: &str) -> PyResult<[u8; 16]> {
    bytes.try_into().map_err(|_| invalid(format!("the {what} has {} bytes; it must have 16", bytes.len())))
}

/// The store id and the size of a log file, as Python has them.
pub(crate) fn genesis(given: (&[u8], u64)) -> PyResult<Genesis> {
    Ok(Genesis { store_id: id(given.0, "store id")?, segment_bytes: given.1 })
}

/// The record that brings a replicated store into being.
#[pyfunction]
pub(crate) fn genesis_record<'py>(
    py: Python<'py>,
    store_id: &[u8],
    segment_bytes: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let record = replica::genesis_record(genesis((store_id, segment_bytes))?).map_err(raised)?;
    Ok(PyBytes::new(py, &record))
}

/// What a genesis says: the store id and the size of a log file; None for any other record.
#[pyfunction]
pub(crate) fn read_genesis<'py>(py: Python<'py>, record: &[u8]) -> PyResult<Option<(Bound<'py, PyBytes>, u64)>> {
    let found = replica::read_genesis(record).map_err(raised)?;
    Ok(found.map(|found| (PyBytes::new(py, &found.store_id), found.segment_bytes)))
}

/// What a record says of itself: kind, store id, session, number, and the log's time in ms.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "a row is a plain tuple on the Python side")]
pub(crate) fn record_head<'py>(
    py: Python<'py>,
    record: &[u8],
) -> PyResult<(&'static str, Bound<'py, PyBytes>, Bound<'py, PyBytes>, u64, u64)> {
    let Head { kind, store_id, session, number, time_ms } = Head::read(record).map_err(raised)?;
    Ok((kind.name(), PyBytes::new(py, &store_id), PyBytes::new(py, &session), number, time_ms))
}

/// A record of proposals: (created in µs since 1970 UTC, meta, parts) each, and each part (stream, events, expected version).
#[pyfunction]
pub(crate) fn commits_record<'py>(
    py: Python<'py>,
    store_id: &[u8],
    session: &[u8],
    number: u64,
    time_ms: u64,
    proposals: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (store_id, session) = (id(store_id, "store id")?, id(session, "session")?);
    let (mut given, mut guards) = (Vec::new(), Vec::new());
    for element in arguments::elements(proposals, "proposals")? {
        let tuple = element.cast::<PyTuple>().ok().filter(|tuple| matches!(tuple.len(), 3 | 6)).ok_or_else(|| {
            invalid("a proposal must be (created_us, meta, parts), or have guards besides".to_owned())
        })?;
        guards.push(match tuple.len() {
            3 => OwnGuards::default(),
            _ => {
                let once = tuple.get_item(5)?;
                OwnGuards::new(Some(&tuple.get_item(3)?), Some(&tuple.get_item(4)?))?
                    .keyed((!once.is_none()).then_some(&once))?
            }
        });
        let created: i64 = tuple.get_item(0)?.extract()?;
        given.push((created, tuple.get_item(1)?, Parts::new(&tuple.get_item(2)?)?));
    }
    let tags = given.iter().map(|(_, _, parts)| parts.tags()).collect::<PyResult<Vec<_>>>()?;
    let events =
        given.iter().zip(&tags).map(|((_, _, parts), tags)| parts.events(tags)).collect::<PyResult<Vec<_>>>()?;
    let mut parts = Vec::with_capacity(given.len());
    for ((_, _, own), events) in given.iter().zip(&events) {
        parts.push(own.parts(events)?);
    }
    let mut proposals = Vec::with_capacity(given.len());
    let versions: Vec<_> = guards.iter().map(OwnGuards::versions).collect();
    let texts: Vec<_> = guards.iter().map(OwnGuards::texts).collect();
    let items: Vec<_> = texts.iter().map(guards::items_of).collect();
    let conditions: Vec<_> = guards.iter().zip(&items).map(|(own, items)| own.conditions(items)).collect();
    for (at, ((created, meta, _), parts)) in given.iter().zip(&parts).enumerate() {
        let guards = Guards { versions: &versions[at], conditions: &conditions[at], once: guards[at].once() };
        proposals.push(Proposal { created: *created, meta: arguments::bytes(meta, "meta")?, parts, guards });
    }
    let record = py.detach(|| replica::commits_record(store_id, session, number, time_ms, &proposals));
    Ok(PyBytes::new(py, &record.map_err(raised)?))
}

/// A record of reactions, or of a member.
#[pyfunction]
pub(crate) fn body_record<'py>(
    py: Python<'py>,
    store_id: &[u8],
    session: &[u8],
    number: u64,
    time_ms: u64,
    kind: &str,
    body: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let kind = Kind::from_name(kind).map_err(raised)?;
    let (store_id, session) = (id(store_id, "store id")?, id(session, "session")?);
    let record = py.detach(|| replica::body_record(store_id, session, number, time_ms, kind, body));
    Ok(PyBytes::new(py, &record.map_err(raised)?))
}

/// Applies records to a replica: one at a time, which the caller sees to.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Applier {
    handle: Handle,
    applier: Mutex<replica::Applier>,
}

#[pymethods]
impl Applier {
    #[new]
    #[pyo3(signature = (log, state))]
    fn new(py: Python<'_>, log: &Bound<'_, Log>, state: Option<&[u8]>) -> PyResult<Self> {
        let handle = log.get().handle().pinned()?;
        let log = handle.get()?;
        let applier = py.detach(|| replica::Applier::new(&log, state)).map_err(raised_for_kept)?;
        Ok(Self { handle, applier: Mutex::new(applier) })
    }

    /// The place of the last record that was applied.
    #[getter]
    fn place(&self) -> u64 {
        self.lock().place()
    }

    /// Apply records (place, record) in order; those that are not commits.
    fn apply<'py>(&self, py: Python<'py>, records: &Bound<'py, PyAny>) -> PyResult<Vec<OtherRow<'py>>> {
        let mut given = Vec::new();
        for element in arguments::elements(records, "records")? {
            given.push(element.extract::<(u64, Bound<'py, PyBytes>)>()?);
        }
        let records: Vec<(u64, &[u8])> = given.iter().map(|(place, record)| (*place, record.as_bytes())).collect();
        let log = self.handle.get()?;
        let others = py.detach(|| self.lock().take_in(&log, &records)).map_err(raised)?;
        let row = |other: replica::Other| {
            let (session, body) = (PyBytes::new(py, &other.session), PyBytes::new(py, &other.body));
            (other.place, other.kind.name(), session, other.number, other.time_ms, body)
        };
        Ok(others.into_iter().map(row).collect())
    }

    /// The records (place, place where it was seen first) that were passed over since the last time.
    fn duplicates(&self) -> Vec<(u64, u64)> {
        self.lock().duplicates().iter().map(|each| (each.place, each.first)).collect()
    }

    /// Say how far it is, once what `apply` has answered was kept.
    fn publish(&self, py: Python<'_>) -> PyResult<()> {
        let log = self.handle.get()?;
        py.detach(|| self.lock().publish(&log));
        Ok(())
    }

    /// What is to be kept for the next one; to be written once the log has been flushed.
    fn state<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.lock().state()))
    }
}

impl Applier {
    fn lock(&self) -> std::sync::MutexGuard<'_, replica::Applier> {
        self.applier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
