//! A log that is written once more with other payloads: redaction and pruning.

use std::sync::Arc;

use act_fast_core::disk::Disk;
use act_fast_core::transfer::prune::{self, Prunable, Pruning};
use act_fast_core::transfer::redact::{self, Replaced};
use act_fast_core::transfer::rewrite::{Note, Rewritten};
use pyo3::prelude::*;

use crate::progress;

/// events, snapshots, bytes before, bytes after, position
pub(crate) type RewrittenRow = (u64, u64, u64, u64, u64);
/// event names with how many events and bytes each; streams, position of the last, events with tags that stay
pub(crate) type PrunableRow = (Vec<(String, u64, u64)>, u64, u64, u64);
/// closings, pattern, upto
pub(crate) type PruningRow = (Vec<String>, Option<String>, Option<u64>);

fn row(done: Rewritten) -> RewrittenRow {
    (done.events, done.snapshots, done.bytes_before, done.bytes_after, done.position)
}

fn figures(found: Prunable) -> PrunableRow {
    let names = found.names.into_iter().map(|(name, (events, bytes))| (name, events, bytes)).collect();
    (names, found.streams, found.last, found.tagged)
}

fn pruning((closings, pattern, upto): PruningRow) -> Pruning {
    Pruning { closings, pattern, upto }
}

pub(crate) fn redact(
    py: Python<'_>,
    disk: &Arc<dyn Disk>,
    replaced: Vec<(u64, Vec<u8>, Vec<u8>)>,
    note: (&str, &str, &[u8], &[u8]),
    progress: Option<Py<PyAny>>,
) -> PyResult<RewrittenRow> {
    let replaced = replaced.into_iter().map(|(position, from, to)| Replaced { position, from, to }).collect();
    let note = Note { stream: note.0, name: note.1, data: note.2, meta: note.3 };
    progress::told(py, progress.as_ref(), |told| redact::redact(disk, replaced, &note, told)).map(row)
}

pub(crate) fn prune(
    py: Python<'_>,
    disk: &Arc<dyn Disk>,
    what: PruningRow,
    note: (&str, &str, &[u8]),
    progress: Option<Py<PyAny>>,
) -> PyResult<Option<(PrunableRow, RewrittenRow)>> {
    let what = pruning(what);
    let (stream, name, meta) = note;
    let done = progress::told(py, progress.as_ref(), |told| prune::prune(disk, &what, stream, name, meta, told))?;
    Ok(done.map(|(found, done)| (figures(found), row(done))))
}

pub(crate) fn prunable(
    py: Python<'_>,
    log: &act_fast_core::Log,
    what: PruningRow,
    progress: Option<Py<PyAny>>,
) -> PyResult<PrunableRow> {
    let what = pruning(what);
    progress::told(py, progress.as_ref(), |told| log.prunable(&what, told)).map(figures)
}
