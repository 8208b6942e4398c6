//! The reactions of one program on one store.

use std::sync::{Arc, PoisonError, RwLock};

use act_fast_core::reactions::{
    ClaimOptions, Mirrored, Outcome, Past, Resolved, Resolver, STATES, Selection, Source, Spec, Stretch, TargetInfo,
    Then, name_at,
};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyList};

use crate::errors::{closed, invalid, raised};
use crate::handle::Handle;
use crate::log::Log;
use crate::rows::{Maker, rows};

type OnLog = Arc<act_fast_core::reactions::Reactions>;
pub(crate) type OnMirror = Arc<act_fast_core::reactions::Reactions<Mirrored>>;

/// Reactions where they run.
#[derive(Clone)]
enum Engine {
    Log(OnLog),
    Mirror(OnMirror),
}

/// Have either engine do something, while others may use Python.
macro_rules! done {
    ($self:ident, $py:ident, $engine:ident => $verb:expr) => {
        match $self.engine()? {
            Engine::Log($engine) => $py.detach(|| $verb),
            Engine::Mirror($engine) => $py.detach(|| $verb),
        }
        .map_err(raised)
    };
}

/// name, event names, target template or None for a function, source or None, lane, priority, from now on, tags
type GivenSpec = (String, Vec<String>, Option<String>, Option<String>, String, i32, bool, Vec<String>);
/// see `Reactions.tally`
type TalliedTargets = (
    Option<u32>,
    [u64; STATES],
    u64,
    u64,
    Option<u64>,
    Vec<u64>,
    Vec<u64>,
    Vec<(String, [u64; STATES], u64)>,
    Vec<(bool, u64, String)>,
);
/// target, token, done up to, what then, position, due in ms since 1970, error
type GivenOutcome = (u32, u32, Option<u64>, String, u64, u64, String);

/// reaction, position of its next event, how often that has failed, how many it has processed
type FoundHead = (String, Option<u64>, u16, u64);
/// whether the last lease was lost, what went wrong before, and by reaction: failures of the first event; and by the event's name, too,
/// replays up to
pub(crate) type GivenPast = (bool, Option<String>, Vec<(u32, u16)>, Vec<(u32, String, u64)>);

/// The reactions of one program on one store.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Reactions {
    /// Both or neither, so that what was closed keeps nothing open.
    open: RwLock<Option<Engine>>,
    /// Tells what has become of the log.
    handle: Option<Handle>,
}

impl Reactions {
    /// Those on a mirror, which the caller keeps in step.
    pub(crate) fn mirrored(engine: OnMirror) -> Self {
        Self { open: RwLock::new(Some(Engine::Mirror(engine))), handle: None }
    }

    fn engine(&self) -> PyResult<Engine> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        open.ok_or_else(|| self.handle.as_ref().and_then(|handle| handle.get().err()).unwrap_or_else(closed))
    }

    /// The log to read events through, as it is now, and its reactions. Nothing but what is read keeps the former.
    fn on_log(&self) -> PyResult<(Arc<act_fast_core::Log>, OnLog)> {
        match (self.engine()?, &self.handle) {
            (Engine::Log(engine), Some(handle)) => Ok((handle.get()?, engine)),
            _ => Err(invalid("the events of a mirror are handed in".to_owned())),
        }
    }
}

/// What a target has been through, for Python.
pub(crate) fn past(past: Past) -> GivenPast {
    (past.lost, past.error, past.failures, past.replays)
}

fn spec(given: GivenSpec) -> PyResult<Spec> {
    let (name, events, template, source, lane, priority, from_now, tags) = given;
    let resolver = match template {
        Some(template) => Resolver::from_template(&template).map_err(raised)?,
        None => Resolver::Function,
    };
    let source = Source::from_text(source.as_deref()).map_err(raised)?;
    Spec { name, events, resolver, source, tags, lane, priority, from_now }.checked().map_err(raised)
}

fn outcome(given: GivenOutcome) -> PyResult<Outcome> {
    let (target, token, done, then, position, due_ms, error) = given;
    let then = match then.as_str() {
        "free" => Then::Free,
        "retry" => Then::Retry { position, due_ms, error },
        "block" => Then::Block { position, error },
        "defer" => Then::Defer { due_ms, error },
        other => return Err(invalid(format!("{other:?} is no outcome"))),
    };
    Ok(Outcome { target, token, done, then })
}

fn selection(
    names: Option<Vec<String>>,
    pattern: Option<String>,
    lane: Option<String>,
    blocked: Option<bool>,
) -> Selection {
    Selection { names, pattern, lane, blocked }
}

/// All that is known of a target, for Python.
fn told(py: Python<'_>, info: TargetInfo) -> PyResult<Bound<'_, PyDict>> {
    let found = PyDict::new(py);
    found.set_item("name", info.name)?;
    found.set_item("lane", info.lane)?;
    found.set_item("priority", info.priority)?;
    found.set_item("watermark", info.watermark)?;
    found.set_item("mark", info.mark)?;
    found.set_item("lag", info.lag)?;
    found.set_item("holder", info.holder)?;
    found.set_item("lease_ms", info.lease_ms)?;
    found.set_item("attempts", info.attempts)?;
    found.set_item("failing", info.failing)?;
    found.set_item("blocked", info.blocked)?;
    found.set_item("error", info.error)?;
    found.set_item("due_ms", info.due_ms)?;
    found.set_item("reactions", info.reactions)?;
    found.set_item("tags", info.tags.into_py_dict(py)?)?;
    found.set_item("known", info.known)?;
    Ok(found)
}

#[pymethods]
impl Reactions {
    /// Open what is kept of a store's reactions.
    #[staticmethod]
    fn open(py: Python<'_>, log: &Log) -> PyResult<Self> {
        let handle = log.handle().pinned()?;
        let log = handle.get()?;
        let engine = py.detach(|| act_fast_core::reactions::Reactions::open(&log)).map_err(raised)?;
        Ok(Self { open: RwLock::new(Some(Engine::Log(Arc::new(engine)))), handle: Some(handle) })
    }

    /// Make known the reactions of this program. Their order is that of the numbers that leases speak of.
    fn register(&self, py: Python<'_>, specs: Vec<GivenSpec>) -> PyResult<()> {
        let specs = specs.into_iter().map(spec).collect::<PyResult<Vec<_>>>()?;
        done!(self, py, engine => engine.register(&specs))
    }

    /// Read up to `limit` new events for the reactions that have come the least far: (examined, subscribed, marked,
    /// caught up, unresolved, failed): lists of (reaction, from, to, rows) for functions to resolve, and of (reaction,
    /// position, error) for events whose templates could not be filled in.
    #[expect(clippy::type_complexity, reason = "a plain tuple on the Python side")]
    fn correlate<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
    ) -> PyResult<(usize, usize, usize, bool, Vec<(u32, u64, u64, Bound<'py, PyList>)>, Vec<(u32, u64, String)>)> {
        let (log, engine) = self.on_log()?;
        let done = py.detach(|| engine.correlate_from(&*log, limit)).map_err(raised)?;
        let mut unresolved = Vec::with_capacity(done.unresolved.len());
        for each in &done.unresolved {
            unresolved.push((each.reaction, each.from, each.to, rows(py, &log, &each.events)?));
        }
        let failed = done.failed.into_iter().map(|each| (each.reaction, each.position, each.error)).collect();
        Ok((done.examined, done.subscribed, done.marked, done.caught_up, unresolved, failed))
    }

    /// Take the targets that a function found for a reaction's events between two positions: (subscribed, marked).
    #[pyo3(signature = (reaction, from, to, found, /))]
    fn resolve(
        &self,
        py: Python<'_>,
        reaction: u32,
        from: u64,
        to: u64,
        found: Vec<Resolved>,
    ) -> PyResult<(usize, usize)> {
        done!(self, py, engine => engine.resolve(reaction, from, to, &found))
    }

    /// How often the targets of an event could not be found for a reaction so far.
    fn attempts_at(&self, py: Python<'_>, reaction: u32, position: u64) -> PyResult<u16> {
        done!(self, py, engine => engine.attempts_at(reaction, position))
    }

    /// Let a reaction hold before an event whose targets could not be found, for the attempts so far, until a time in ms
    /// since 1970, or until it is unblocked with None; whether it does.
    fn hold(
        &self,
        py: Python<'_>,
        reaction: u32,
        position: u64,
        attempts: u16,
        due_ms: Option<u64>,
        error: &str,
    ) -> PyResult<bool> {
        let (log, engine) = self.on_log()?;
        py.detach(|| engine.hold_at(reaction, (position, name_at(&*log, position)?), attempts, due_ms, error))
            .map_err(raised)
    }

    /// How far all that may come to a target has been done, as `targets` tells it, whether it is there yet or not; None
    /// when no reaction may run under it.
    fn progress<'py>(&self, py: Python<'py>, target: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let found = done!(self, py, engine => engine.progress(target))?;
        found.map(|info| told(py, info)).transpose()
    }

    /// Lease targets that have work, and fetch their next events: a list of (target number, name, token, attempts, lagging,
    /// rows, for each row the numbers of its reactions, whether there are more, what it has been through or None); the last
    /// is (whether the last lease was lost, what went wrong before, failures of the first event by reaction, up to where
    /// each reaction does again what it did before).
    #[expect(clippy::too_many_arguments, reason = "they are the options, one by one")]
    #[expect(clippy::type_complexity, reason = "a plain tuple on the Python side")]
    fn claim<'py>(
        &self,
        py: Python<'py>,
        lanes: Option<Vec<String>>,
        lagging: usize,
        leading: usize,
        window: usize,
        lease_ms: u64,
        holder: u64,
        cut: u64,
    ) -> PyResult<Vec<(u32, String, u32, u16, bool, Bound<'py, PyList>, Vec<Vec<u32>>, bool, Option<GivenPast>)>> {
        let (log, engine) = self.on_log()?;
        let options = ClaimOptions { lanes, lagging, leading, window, lease_ms, holder, cut };
        let leases = py.detach(|| engine.claim_from(&*log, &options)).map_err(raised)?;
        let mut found = Vec::with_capacity(leases.len());
        let mut maker = Maker::new(py, &log);
        for lease in leases {
            let (events, reactions): (Vec<_>, Vec<_>) =
                lease.deliveries.into_iter().map(|delivery| (delivery.event, delivery.reactions)).unzip();
            found.push((
                lease.target,
                lease.name.to_string(),
                lease.token,
                lease.attempts,
                lease.lagging,
                maker.rows(&events)?,
                reactions,
                lease.more,
                lease.past.map(past),
            ));
        }
        Ok(found)
    }

    /// Take the outcomes of a cycle, (target number, token, done up to or None, "free" | "retry" | "block" | "defer",
    /// position, due in ms since 1970, error) each, and the numbers of the reactions that failed; which were accepted.
    #[pyo3(signature = (outcomes, blamed=Vec::new()))]
    fn finish(&self, py: Python<'_>, outcomes: Vec<GivenOutcome>, blamed: Vec<Option<u32>>) -> PyResult<Vec<bool>> {
        let outcomes = outcomes.into_iter().map(outcome).collect::<PyResult<Vec<_>>>()?;
        done!(self, py, engine => engine.finish_blaming(&outcomes, &blamed))
    }

    /// Keep leases, (target number, token) each, for `lease_ms` from now; which are still held.
    fn renew(&self, py: Python<'_>, leases: Vec<(u32, u32)>, lease_ms: u64) -> PyResult<Vec<bool>> {
        done!(self, py, engine => engine.renew(&leases, lease_ms))
    }

    /// The position that a cycle works up to.
    fn cut(&self, py: Python<'_>) -> PyResult<u64> {
        done!(self, py, engine => engine.cut())
    }

    /// Forget a reaction that no program has any more; whether it was known.
    fn forget(&self, py: Python<'_>, reaction: &str) -> PyResult<bool> {
        done!(self, py, engine => engine.forget(reaction))
    }

    /// Whether some target of these lanes can be claimed now.
    #[pyo3(signature = (lanes=None))]
    fn any_ready(&self, py: Python<'_>, lanes: Option<Vec<String>>) -> PyResult<bool> {
        done!(self, py, engine => engine.any_ready(lanes.as_deref()))
    }

    /// How many ms until a lease ends, or a retry or deferral is due; None when nothing waits.
    fn next_ms(&self) -> PyResult<Option<u64>> {
        Ok(match self.engine()? {
            Engine::Log(engine) => engine.next_ms(),
            Engine::Mirror(engine) => engine.next_ms(),
        })
    }

    /// Let targets do again what comes after the position `to`; how many.
    #[pyo3(signature = (names=None, pattern=None, lane=None, blocked=None, to=0))]
    fn reset(
        &self,
        py: Python<'_>,
        names: Option<Vec<String>>,
        pattern: Option<String>,
        lane: Option<String>,
        blocked: Option<bool>,
        to: u64,
    ) -> PyResult<usize> {
        done!(self, py, engine => engine.reset_to(&selection(names, pattern, lane, blocked), to))
    }

    /// Where each reaction of a target stands: (reaction, position of its next event or None, how often that has failed, how
    /// many it has processed).
    fn heads(&self, py: Python<'_>, target: &str) -> PyResult<Vec<FoundHead>> {
        let heads = done!(self, py, engine => engine.heads(target))?;
        Ok(heads.into_iter().map(|head| (head.reaction, head.next, head.failures, head.processed)).collect())
    }

    /// Step over the next event of a reaction on a target, which is at `position`, and keep a note of it.
    fn skip(&self, py: Python<'_>, target: &str, reaction: &str, position: u64, note: &str) -> PyResult<()> {
        done!(self, py, engine => engine.skip(target, reaction, position, note))
    }

    /// What was noted of skipped events, the oldest first; and in between, as `position\ttarget`, which targets were reset after
    /// which position since.
    fn skipped(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let notes = done!(self, py, engine => engine.skipped())?;
        Ok(notes.iter().map(ToString::to_string).collect())
    }

    /// Let blocked targets go on; how many.
    #[pyo3(signature = (names=None, pattern=None, lane=None))]
    fn unblock(
        &self,
        py: Python<'_>,
        names: Option<Vec<String>>,
        pattern: Option<String>,
        lane: Option<String>,
    ) -> PyResult<usize> {
        done!(self, py, engine => engine.unblock(&selection(names, pattern, lane, None)))
    }

    /// Stop targets; how many.
    #[pyo3(signature = (error, names=None, pattern=None, lane=None))]
    fn block(
        &self,
        py: Python<'_>,
        error: &str,
        names: Option<Vec<String>>,
        pattern: Option<String>,
        lane: Option<String>,
    ) -> PyResult<usize> {
        done!(self, py, engine => engine.block(&selection(names, pattern, lane, None), error))
    }

    /// Let targets pause until a time, in ms since 1970; how many.
    #[pyo3(signature = (due_ms, names=None, pattern=None, lane=None))]
    fn defer(
        &self,
        py: Python<'_>,
        due_ms: u64,
        names: Option<Vec<String>>,
        pattern: Option<String>,
        lane: Option<String>,
    ) -> PyResult<usize> {
        done!(self, py, engine => engine.defer(&selection(names, pattern, lane, None), due_ms))
    }

    /// Set the priority of targets; how many changed.
    #[pyo3(signature = (priority, names=None, pattern=None, lane=None))]
    fn prioritize(
        &self,
        py: Python<'_>,
        priority: i32,
        names: Option<Vec<String>>,
        pattern: Option<String>,
        lane: Option<String>,
    ) -> PyResult<usize> {
        done!(self, py, engine => engine.prioritize(&selection(names, pattern, lane, None), priority))
    }

    /// What is known of targets, in the order they came to be: a dict each.
    #[pyo3(signature = (names=None, pattern=None, lane=None, blocked=None, after=None, limit=1000))]
    #[expect(clippy::too_many_arguments, reason = "they are the conditions, one by one")]
    fn targets<'py>(
        &self,
        py: Python<'py>,
        names: Option<Vec<String>>,
        pattern: Option<String>,
        lane: Option<String>,
        blocked: Option<bool>,
        after: Option<String>,
        limit: usize,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let chosen = selection(names, pattern, lane, blocked);
        let targets = done!(self, py, engine => engine.targets(&chosen, after.as_deref(), limit))?;
        targets.into_iter().map(|info| told(py, info)).collect()
    }

    /// The targets from a number on added up: (where to go on or None, states, lag, leading, lagging or None, without
    /// work by part of the log, with work, [(reaction, states, lag)], [(blocked, lag, name)]). States are blocked,
    /// leased, waiting, behind, caught up.
    fn tally(
        &self,
        py: Python<'_>,
        start: u32,
        limit: u32,
        head: u64,
        parts: usize,
        worst: usize,
    ) -> PyResult<TalliedTargets> {
        let stretch = Stretch { from: start, limit, head, parts, worst };
        let tally = done!(self, py, engine => engine.tally(&stretch))?;
        Ok((
            tally.next,
            tally.states,
            tally.lag,
            tally.leading,
            tally.lagging,
            tally.caught_up,
            tally.behind,
            tally.reactions,
            tally.worst,
        ))
    }

    /// How far each reaction has been correlated: (reaction, position, whether this program has code for it).
    fn cursors(&self, py: Python<'_>) -> PyResult<Vec<(String, u64, bool)>> {
        let cursors = done!(self, py, engine => engine.cursors())?;
        Ok(cursors.into_iter().map(|cursor| (cursor.reaction, cursor.read, cursor.known)).collect())
    }

    /// Flush what is kept.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        done!(self, py, engine => engine.flush())
    }

    /// Let go of it. Closing twice does no harm.
    fn close(&self, py: Python<'_>) {
        let open = self.open.write().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(open));
    }
}
