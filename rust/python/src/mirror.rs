//! Reactions on a mirror: what is handed in from a database before a verb, and fetched for it afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use act_fast_core::reactions::{Begun, ClaimOptions, Correlated, Member, Share, Texts, Window};
use act_fast_core::{EventView, Tags};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use crate::errors::{invalid, raised};
use crate::reactions::{GivenPast, OnMirror, Reactions, past};

/// after, up to, names, whether data is looked at, whether tags are
type GivenWindow = (u64, u64, Vec<String>, bool, bool);
/// position, stream, name, data
type GivenEvent = (u64, PyBackedStr, PyBackedStr, PyBackedBytes);
/// of each event
type GivenTags = Vec<Vec<PyBackedStr>>;
/// target's number, name, token, attempts, lagging, positions, the reactions of each, whether there are more, what it has been through
type GivenLease = (u32, String, u32, u16, bool, Vec<u64>, Vec<Vec<u32>>, bool, Option<GivenPast>);

/// generation, holder, its reactions, its lanes or None for all
type GivenMember = (u64, u64, HashSet<String>, Option<Vec<String>>);

/// The lines of reactions in memory, which the caller keeps in step with a database.
///
/// A section: hand in what others have written, `begin`, let `reactions` do something, fetch what is `written`, and say that
/// it is `kept`; or `undo` it.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Mirror {
    engine: OnMirror,
    /// What is being correlated.
    window: Mutex<Option<Arc<Window>>>,
}

/// The texts of events that were handed in, and of each the keys of its stream, its name and its tags.
struct Given<'a> {
    texts: Vec<&'a str>,
    keys: Vec<(u32, u32, Vec<u8>)>,
}

impl Texts for Given<'_> {
    fn text(&self, key: u32) -> act_fast_core::Result<&str> {
        Ok(self.texts.get(key as usize).copied().unwrap_or_default())
    }
}

impl<'a> Given<'a> {
    fn of(events: &'a [GivenEvent], tags: &'a GivenTags) -> Self {
        let (mut texts, mut known) = (Vec::new(), HashMap::new());
        let mut key = |text: &'a str| {
            *known.entry(text).or_insert_with(|| {
                texts.push(text);
                (texts.len() - 1) as u32
            })
        };
        let mut tags = tags.iter();
        let keys = events.iter().map(|(_, stream, name, _)| {
            let (stream, name) = (key(stream), key(name));
            (stream, name, Tags::encode(tags.next().into_iter().flatten().map(|tag| key(tag))))
        });
        let keys = keys.collect();
        Self { texts, keys }
    }

    /// The events as the engine reads them.
    fn views<'b>(&'b self, events: &'b [GivenEvent]) -> Vec<EventView<'b>> {
        let view =
            |((position, _, _, data), (stream, name, tags)): (&'b GivenEvent, &'b (u32, u32, Vec<u8>))| EventView {
                position: *position,
                commit: *position,
                version: 0,
                stream: *stream,
                name: *name,
                tags: Tags::of(tags),
                created: 0,
                data,
                meta: &[],
            };
        events.iter().zip(&self.keys).map(view).collect()
    }
}

#[pymethods]
impl Mirror {
    /// An empty one: all lines are to be handed in.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let engine = py.detach(act_fast_core::reactions::Reactions::mirrored).map_err(raised)?;
        Ok(Self { engine: Arc::new(engine), window: Mutex::default() })
    }

    /// The verbs that run on it, but for those that read events.
    fn reactions(&self) -> Reactions {
        Reactions::mirrored(Arc::clone(&self.engine))
    }

    /// Forget all lines.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.engine.clear()).map_err(raised)
    }

    /// Take over lines, packed, that are in a change of this number.
    fn take_over(&self, py: Python<'_>, change: u64, packed: PyBackedBytes) -> PyResult<()> {
        py.detach(|| self.engine.take_over(change, &packed)).map_err(raised)
    }

    /// Take over pages of lines of their own: where each begins, and what its lines hold.
    fn take_pages(&self, py: Python<'_>, pages: Vec<(u64, PyBackedBytes)>) -> PyResult<()> {
        py.detach(|| pages.iter().try_for_each(|(address, page)| self.engine.take_page(*address, page))).map_err(raised)
    }

    /// Begin a section: where the log is, what time it is in ms since 1970, and the last change that lines of their own have.
    fn begin(&self, py: Python<'_>, head: u64, now_ms: u64, folded: u64) {
        py.detach(|| self.engine.begin(Begun { head, now_ms, folded }));
    }

    /// What was written in this section, packed; empty when nothing was.
    fn written<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let written = py.detach(|| self.engine.written()).map_err(raised)?;
        Ok(PyBytes::new(py, &written))
    }

    /// The section has ended, and its change has this number: whether to wake those who wait for news, and for moves.
    fn kept(&self, py: Python<'_>, change: u64, packed: PyBackedBytes) -> (bool, bool) {
        py.detach(|| self.engine.kept(change, &packed))
    }

    /// The section has ended, and nothing of it is in the database.
    fn undo(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.engine.undo()).map_err(raised)
    }

    /// How many lines are in changes only.
    #[getter]
    fn unfolded_count(&self, py: Python<'_>) -> usize {
        py.detach(|| self.engine.unfolded_count())
    }

    /// The pages of these lines: where each begins, and what its lines hold.
    fn unfolded<'py>(&self, py: Python<'py>) -> PyResult<(Vec<u64>, Vec<Bound<'py, PyBytes>>)> {
        let pages = py.detach(|| self.engine.unfolded()).map_err(raised)?;
        Ok(pages.iter().map(|(address, page)| (*address, PyBytes::new(py, page))).unzip())
    }

    /// What is to be correlated next, up to the head: the positions that it is between, the names of its events, and whether
    /// their data and their tags are looked at. None when there is nothing.
    fn next_window(&self, py: Python<'_>, head: u64) -> PyResult<Option<GivenWindow>> {
        let window = py.detach(|| self.engine.next_window(head)).map_err(raised)?;
        let found =
            window.as_ref().map(|found| (found.from, found.to, found.names(), found.reads_data(), found.reads_tags()));
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = window.map(Arc::new);
        Ok(found)
    }

    /// Correlate the events of this window, (position, stream, name, data) each, up to a position; with their tags, if these are
    /// looked at: (examined, subscribed, marked, unresolved, failed) as `Reactions.correlate` has them, with positions in the
    /// place of rows.
    #[pyo3(signature = (events, to, tags=Vec::new()))]
    #[expect(clippy::type_complexity, reason = "a plain tuple on the Python side")]
    fn correlate(
        &self,
        py: Python<'_>,
        events: Vec<GivenEvent>,
        to: u64,
        tags: GivenTags,
    ) -> PyResult<(usize, usize, usize, Vec<(u32, u64, u64, Vec<u64>)>, Vec<(u32, u64, String)>)> {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(window) = window else { return Err(invalid("there is no window to correlate".to_owned())) };
        let given = Given::of(&events, &tags);
        let views = given.views(&events);
        let done: Correlated<'_> =
            py.detach(|| self.engine.correlate_in(&window, views, to, &given)).map_err(raised)?;
        let unresolved = done.unresolved.into_iter().map(|each| {
            let positions = each.events.iter().map(|event| event.position).collect();
            (each.reaction, each.from, each.to, positions)
        });
        let failed = done.failed.into_iter().map(|each| (each.reaction, each.position, each.error));
        Ok((done.examined, done.subscribed, done.marked, unresolved.collect(), failed.collect()))
    }

    /// Let a reaction hold before an event, which has this name; as `Reactions.hold`.
    #[expect(clippy::too_many_arguments, reason = "they are the event and what became of it, one by one")]
    fn hold(
        &self,
        py: Python<'_>,
        reaction: u32,
        position: u64,
        name: &str,
        attempts: u16,
        due_ms: Option<u64>,
        error: &str,
    ) -> PyResult<bool> {
        py.detach(|| self.engine.hold_at(reaction, (position, name), attempts, due_ms, error)).map_err(raised)
    }

    /// Say who works on the targets: (generation, holder, reactions, lanes or None for all) each; the generation of this program if it
    /// is one of them, and is to claim its own only; and the holders that are gone, whose leases are over.
    fn share(&self, py: Python<'_>, members: Vec<GivenMember>, own: Option<u64>, gone: HashSet<u64>) -> PyResult<()> {
        let members = members.into_iter().map(|(generation, holder, reactions, lanes)| Member {
            generation,
            holder,
            reactions,
            lanes,
        });
        let share = Share { members: members.collect(), own, gone };
        py.detach(|| self.engine.share(share)).map_err(raised)
    }

    /// Drop all leases of this program; how many there were.
    fn abandon(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.engine.abandon()).map_err(raised)
    }

    /// How many targets belong to each generation.
    fn owned(&self, py: Python<'_>) -> PyResult<HashMap<u64, u64>> {
        py.detach(|| self.engine.owned()).map_err(raised)
    }

    /// Lease targets that have work; as `Reactions.claim`, with positions in the place of rows.
    #[expect(clippy::too_many_arguments, reason = "they are the options, one by one")]
    fn lease(
        &self,
        py: Python<'_>,
        lanes: Option<Vec<String>>,
        lagging: usize,
        leading: usize,
        window: usize,
        lease_ms: u64,
        holder: u64,
        cut: u64,
    ) -> PyResult<Vec<GivenLease>> {
        let options = ClaimOptions { lanes, lagging, leading, window, lease_ms, holder, cut };
        let leases = py.detach(|| self.engine.lease(&options)).map_err(raised)?;
        let given = leases.into_iter().map(|lease| {
            let (positions, reactions) =
                lease.pending.into_iter().map(|(position, reactions)| (position, reactions.into_vec())).unzip();
            let name = lease.name.to_string();
            let past = lease.past.map(past);
            (lease.target, name, lease.token, lease.attempts, lease.lagging, positions, reactions, lease.more, past)
        });
        Ok(given.collect())
    }
}
