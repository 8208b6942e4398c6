//! The handle of an open store.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use act_fast_core::disk::{Disk, MemoryDisk, RealDisk};
use act_fast_core::fold::Span;
use act_fast_core::{
    AppendedParts, Durability, Error, Filter, Format, Options, Part, Patience, fork_generation, watch_forks,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::arguments::{self, Events};
use crate::columns::{self, Columns};
use crate::errors::{invalid, raised};
use crate::fold::Replay;
use crate::place::place;
use crate::progress;
use crate::query::Query;
use crate::restoring::Restoring;
use crate::rows::rows;
use crate::verify;

/// Commits up to this size are written without letting go of the interpreter, when nobody is in the way.
const SMALL_BYTES: usize = 64 << 10;
/// How long one sleeps before looking for signals that came in just before going to sleep.
const NAP: Duration = Duration::from_millis(500);
/// How long one waits for other threads of this process to come out of what they do with a store.
const RELEASE_PATIENCE: Duration = Duration::from_secs(5);

/// What a handle leads to.
enum Standing {
    Open(Arc<act_fast_core::Log>),
    /// Released, to be opened again when a restored log has taken the place of this one, or has failed to.
    Replacing,
    Closed,
}

/// An open store, until it is closed.
#[derive(Clone)]
pub(crate) struct Handle {
    current: Arc<RwLock<Standing>>,
    /// In a forked child this differs from the number of forks: another thread may have held the lock then.
    forks: u32,
    /// For what was begun on one log: a restored one, opened in its place, is another.
    pinned: Option<Weak<act_fast_core::Log>>,
}

impl Handle {
    fn new(log: Arc<act_fast_core::Log>) -> Self {
        Self { current: Arc::new(RwLock::new(Standing::Open(log))), forks: watch_forks(), pinned: None }
    }

    #[inline]
    pub(crate) fn get(&self) -> PyResult<Arc<act_fast_core::Log>> {
        self.opened().map_err(raised)
    }

    /// The same, for those who know nothing of Python.
    #[inline]
    pub(crate) fn opened(&self) -> act_fast_core::Result<Arc<act_fast_core::Log>> {
        let closed = |what: &str| Err(Error::Closed(what.to_owned()));
        if self.inherited() {
            return Err(Error::forked());
        }
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(log) if self.is_of(log) => Ok(Arc::clone(log)),
            Standing::Open(_) => closed("the log was replaced by a restored one since this was begun; begin again"),
            Standing::Replacing => {
                closed("the log is being replaced by a restored one; begin again once the restore is done")
            }
            Standing::Closed => closed("this store was closed; open it again"),
        }
    }

    #[inline]
    fn is_of(&self, log: &Arc<act_fast_core::Log>) -> bool {
        self.pinned.as_ref().is_none_or(|pinned| pinned.as_ptr() == Arc::as_ptr(log))
    }

    /// The same, for as long as the log is the one that is open now.
    pub(crate) fn pinned(&self) -> PyResult<Self> {
        Ok(Self { pinned: Some(Arc::downgrade(&self.get()?)), ..self.clone() })
    }

    /// Whether the log that this was pinned to has given way to another one, or is about to.
    fn is_replaced(&self) -> bool {
        if self.inherited() {
            return false;
        }
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Open(log) => !self.is_of(log),
            Standing::Replacing => true,
            Standing::Closed => false,
        }
    }

    /// Change what the handle leads to, if that is what it is expected to be; answers what it was.
    fn change(&self, expected: impl FnOnce(&Standing) -> bool, to: Standing) -> Option<Standing> {
        if self.inherited() {
            let mut current = self.current.try_write().ok()?;
            return expected(&current).then(|| std::mem::replace(&mut *current, to));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        expected(&current).then(|| std::mem::replace(&mut *current, to))
    }

    /// Whether this process was forked from the one that opened the store.
    #[inline]
    fn inherited(&self) -> bool {
        self.forks != fork_generation()
    }

    fn is_closed(&self) -> bool {
        !self.inherited() && matches!(*self.current.read().unwrap_or_else(PoisonError::into_inner), Standing::Closed)
    }
}

/// Where an append put its events.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "act_fast._core")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    first_version: u64,
    last_version: u64,
    first_position: u64,
    last_position: u64,
}

#[pymethods]
impl Appended {
    fn __repr__(&self) -> String {
        format!(
            "Appended(first_version={}, last_version={}, first_position={}, last_position={})",
            self.first_version, self.last_version, self.first_position, self.last_position
        )
    }
}

impl From<act_fast_core::Appended> for Appended {
    fn from(appended: act_fast_core::Appended) -> Self {
        let act_fast_core::Appended { first_version, last_version, first_position, last_position } = appended;
        Self { first_version, last_version, first_position, last_position }
    }
}

/// An open store.
#[pyclass(frozen, module = "act_fast._core")]
pub(crate) struct Log {
    handle: Handle,
    disk: Arc<dyn Disk>,
    options: Options,
}

impl Log {
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Sleep in the core, in naps so that signals are seen, until a number is another one than `seen` or the time is over.
    fn sleep(
        &self,
        py: Python<'_>,
        seen: u32,
        timeout_ms: Option<u64>,
        wait: impl Fn(&act_fast_core::Log, u32, Duration) -> act_fast_core::Result<u32> + Sync,
    ) -> PyResult<u32> {
        let handle = self.handle.pinned()?;
        let deadline = timeout_ms.and_then(|limit| Instant::now().checked_add(Duration::from_millis(limit)));
        loop {
            let left = deadline.map_or(NAP, |deadline| deadline.saturating_duration_since(Instant::now()));
            let log = handle.get()?;
            let found = py.detach(|| {
                let found = wait(&log, seen, left.min(NAP));
                drop(log);
                found
            });
            let found = found.map_err(raised)?;
            if found != seen || left.is_zero() {
                return Ok(found);
            }
            py.check_signals()?;
        }
    }

    fn start(py: Python<'_>, disk: Arc<dyn Disk>, options: Options) -> PyResult<Self> {
        let log = py.detach(|| act_fast_core::Log::open(Arc::clone(&disk), options)).map_err(raised)?;
        let options = log.options().clone();
        Ok(Self { handle: Handle::new(log), disk, options })
    }

    fn write(&self, py: Python<'_>, parts: &[Part<'_>], meta: &[u8]) -> PyResult<AppendedParts> {
        let log = self.handle.get()?;
        let bytes: usize = parts.iter().flat_map(|part| part.events).map(|event| event.data.len()).sum();
        if self.options.durability != Durability::Fsync && bytes <= SMALL_BYTES {
            match log.append(parts, meta, Patience::Try) {
                Err(Error::WouldWait) => {}
                outcome => return outcome.map_err(raised),
            }
        }
        py.detach(|| log.append(parts, meta, Patience::Wait)).map_err(raised)
    }
}

#[pymethods]
impl Log {
    /// Open the store in a directory, or make it. Without a durability: that of whoever has it open, else "fsync".
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "they are the options, one by one")]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        durability: Option<&str>,
        flush_interval_ms: u64,
        segment_bytes: u64,
        payload_max_bytes: usize,
        read_only: bool,
        create: bool,
    ) -> PyResult<Self> {
        let options = Options {
            durability: Durability::from_name(durability.unwrap_or("fsync")).map_err(raised)?,
            adopt_durability: durability.is_none(),
            flush_interval: Duration::from_millis(flush_interval_ms),
            segment_bytes,
            payload_max_bytes,
            read_only,
            create,
        };
        Self::start(py, Arc::new(RealDisk::new(&path)), options)
    }

    /// Open a store in anonymous memory.
    #[staticmethod]
    fn memory(py: Python<'_>, segment_bytes: u64, payload_max_bytes: usize) -> PyResult<Self> {
        let options = Options { durability: Durability::Os, segment_bytes, payload_max_bytes, ..Options::default() };
        Self::start(py, Arc::new(MemoryDisk::default()), options)
    }

    /// The last position; 0 when there is none.
    #[getter]
    fn head(&self) -> PyResult<u64> {
        self.handle.get()?.head().map_err(raised)
    }

    /// What tells this store from all others, in hexadecimal digits.
    #[getter]
    fn store_id(&self) -> PyResult<String> {
        Ok(self.handle.get()?.store_id().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where the store is.
    #[getter]
    fn path(&self) -> String {
        self.disk.describe()
    }

    /// The file system that the store is on, if it is one that writes to another place what is written again.
    #[getter]
    fn copies_on_write(&self) -> Option<&'static str> {
        self.disk.copies_on_write()
    }

    /// "fsync", "interval" or "os".
    #[getter]
    fn durability(&self) -> &'static str {
        self.options.durability.name()
    }

    /// Whether `close` was called.
    #[getter]
    fn closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// The same handle, for as long as the log is the one that is open now: once a restored one has taken its place,
    /// whatever is asked of this is an error.
    fn pin(&self) -> PyResult<Self> {
        let options = self.options.clone();
        Ok(Self { handle: self.handle.pinned()?, disk: Arc::clone(&self.disk), options })
    }

    /// Whether the log that this was pinned to has given way to a restored one, or is about to.
    #[getter]
    fn replaced(&self) -> bool {
        self.handle.is_replaced()
    }

    /// Append events to a stream as one commit.
    #[pyo3(signature = (stream, events, expected_version=None, meta=None))]
    fn append(
        &self,
        py: Python<'_>,
        stream: &Bound<'_, PyAny>,
        events: &Bound<'_, PyAny>,
        expected_version: Option<&Bound<'_, PyAny>>,
        meta: Option<&[u8]>,
    ) -> PyResult<Appended> {
        let events = Events::new(events)?;
        let events = events.borrow()?;
        let part = Part {
            stream: arguments::text(stream, "stream")?,
            events: &events,
            expected: arguments::optional_whole(expected_version, "expected_version")?,
        };
        let appended = self.write(py, &[part], meta.unwrap_or_default())?;
        Ok(appended[0].into())
    }

    /// Append several (stream, events, expected version) as one commit.
    #[pyo3(signature = (parts, meta=None))]
    fn append_many(&self, py: Python<'_>, parts: &Bound<'_, PyAny>, meta: Option<&[u8]>) -> PyResult<Vec<Appended>> {
        let mut given = Vec::new();
        for element in arguments::elements(parts, "parts")? {
            let tuple = element
                .cast::<PyTuple>()
                .ok()
                .filter(|tuple| tuple.len() == 3)
                .ok_or_else(|| invalid("a part must be (stream, events, expected_version)".to_owned()))?;
            let events = Events::new(&tuple.get_item(1)?)?;
            given.push((tuple.get_item(0)?, events, tuple.get_item(2)?));
        }
        let mut events = Vec::with_capacity(given.len());
        for (_, part, _) in &given {
            events.push(part.borrow()?);
        }
        let mut parts = Vec::with_capacity(given.len());
        for ((stream, _, expected), events) in given.iter().zip(&events) {
            let expected = if expected.is_none() { None } else { Some(expected) };
            parts.push(Part {
                stream: arguments::text(stream, "stream")?,
                events,
                expected: arguments::optional_whole(expected, "expected_version")?,
            });
        }
        let appended = self.write(py, &parts, meta.unwrap_or_default())?;
        Ok(appended.into_iter().map(Appended::from).collect())
    }

    /// How many events a stream has; 0 when there is no such stream.
    fn version(&self, stream: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.handle.get()?.version(arguments::text(stream, "stream")?).map_err(raised)
    }

    /// Events of one stream with after < version < before; and the version to go on after, None at the end.
    #[pyo3(signature = (stream, after=None, before=None, limit=None))]
    fn load<'py>(
        &self,
        py: Python<'py>,
        stream: &Bound<'_, PyAny>,
        after: Option<&Bound<'_, PyAny>>,
        before: Option<&Bound<'_, PyAny>>,
        limit: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Bound<'py, PyList>, Option<u64>)> {
        const PAGE: usize = 1000;
        let log = self.handle.get()?;
        let stream = arguments::text(stream, "stream")?;
        let after = arguments::optional_whole(after, "after")?.unwrap_or(0);
        let before = arguments::optional_whole(before, "before")?;
        let limit = limit.map(arguments::limit).transpose()?.unwrap_or(PAGE);
        let page = log.load(stream, after, before, limit).map_err(raised)?;
        Ok((rows(py, &log, &page.events)?, page.next))
    }

    /// Begin a query over the log as it is published now.
    #[pyo3(signature = (stream=None, pattern=None, names=None, after=None, before=None, created_after_us=None,
                        created_before_us=None, correlation=None, backwards=false))]
    #[expect(clippy::too_many_arguments, reason = "they are the filters, one by one")]
    fn query(
        &self,
        stream: Option<&Bound<'_, PyAny>>,
        pattern: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        before: Option<&Bound<'_, PyAny>>,
        created_after_us: Option<i64>,
        created_before_us: Option<i64>,
        correlation: Option<&Bound<'_, PyAny>>,
        backwards: bool,
    ) -> PyResult<Query> {
        let filter =
            filter(stream, pattern, names, after, before, created_after_us, created_before_us, correlation, backwards)?;
        let query = self.handle.get()?.query(&filter).map_err(raised)?;
        Ok(Query { handle: self.handle.pinned()?, query: Mutex::new(query) })
    }

    /// Begin a replay: the streams that a pattern is found in, after a stream, as of a cut, `group_max` at a time. `names`
    /// are those of the events to be folded, `closing` is that of the event that closes a stream.
    #[pyo3(signature = (names, closing, cut, group_max, pattern=None, after=None))]
    fn replay(
        &self,
        names: Vec<String>,
        closing: String,
        cut: u64,
        group_max: usize,
        pattern: Option<String>,
        after: Option<String>,
    ) -> PyResult<Replay> {
        let span = Span { names, closing, pattern, after, cut, group_max };
        let replay = act_fast_core::fold::Replay::begin(&*self.handle.get()?, span).map_err(raised)?;
        Ok(Replay { handle: self.handle.pinned()?, replay: Mutex::new(replay) })
    }

    /// Events as Arrow columns, each (name, what it holds): one of the log's own, or the number of a field of the shape.
    /// Payloads of events whose name is not in `direct`, or that do not have the shape, are handed to `mend`.
    #[pyo3(signature = (columns, shape=None, direct=None, mend=None, *, stream=None, pattern=None, names=None,
                        after=None, before=None, created_after_us=None, created_before_us=None, correlation=None))]
    #[expect(clippy::too_many_arguments, reason = "they are the filters, one by one")]
    fn columns(
        &self,
        columns: &Bound<'_, PyAny>,
        shape: Option<&Bound<'_, PyAny>>,
        direct: Option<HashSet<String>>,
        mend: Option<Py<PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
        pattern: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        before: Option<&Bound<'_, PyAny>>,
        created_after_us: Option<i64>,
        created_before_us: Option<i64>,
        correlation: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Columns> {
        let filter =
            filter(stream, pattern, names, after, before, created_after_us, created_before_us, correlation, false)?;
        let outputs = columns::outputs(columns)?;
        let shape = shape.map(columns::shape).transpose()?;
        let handle = self.handle.pinned()?;
        let open = Arc::new(move || handle.opened());
        Ok(Columns::new(open, filter, outputs, shape, direct.unwrap_or_default(), mend))
    }

    /// Streams in the order they came to be; and the stream to go on after, None at the end.
    #[pyo3(signature = (pattern=None, after=None, limit=None))]
    #[expect(clippy::type_complexity, reason = "a row is a plain tuple on the Python side")]
    fn streams(
        &self,
        py: Python<'_>,
        pattern: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        limit: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Vec<(String, u64, u64, u64, i64, i64, String)>, Option<String>)> {
        const PAGE: usize = 1000;
        let log = self.handle.get()?;
        let pattern = arguments::optional_text(pattern, "pattern")?;
        let after = arguments::optional_text(after, "stream to go on after")?;
        let limit = limit.map(arguments::limit).transpose()?.unwrap_or(PAGE);
        let page = py.detach(|| log.streams(pattern.as_deref(), after.as_deref(), limit)).map_err(raised)?;
        let row = |info: act_fast_core::StreamInfo| {
            (
                info.stream,
                info.version,
                info.first_position,
                info.last_position,
                info.first_created,
                info.last_created,
                info.last_name,
            )
        };
        Ok((page.streams.into_iter().map(row).collect(), page.next))
    }

    /// How many streams there are.
    fn stream_count(&self) -> PyResult<u64> {
        self.handle.get()?.stream_count().map_err(raised)
    }

    /// Every event name with how many events carry it.
    fn names(&self) -> PyResult<Vec<(String, u64)>> {
        self.handle.get()?.event_names().map_err(raised)
    }

    /// The last position created before a time, in µs since 1970 UTC; 0 when there is none.
    fn position_before(&self, created_us: i64) -> PyResult<u64> {
        self.handle.get()?.position_before(created_us).map_err(raised)
    }

    /// Store the state of a stream at a version that it has reached.
    fn save_snapshot(
        &self,
        py: Python<'_>,
        stream: &Bound<'_, PyAny>,
        version: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let log = self.handle.get()?;
        let stream = arguments::text(stream, "stream")?;
        let version = arguments::whole(version, "version")?;
        let data = arguments::bytes(data, "snapshot's data")?;
        py.detach(|| log.save_snapshot(stream, version, data)).map_err(raised)
    }

    /// The youngest snapshot of a stream, of those whose data has this beginning: (version, created in µs since 1970 UTC,
    /// data).
    #[pyo3(signature = (stream, at_or_below=None, beginning=None))]
    fn latest_snapshot<'py>(
        &self,
        py: Python<'py>,
        stream: &Bound<'_, PyAny>,
        at_or_below: Option<&Bound<'_, PyAny>>,
        beginning: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<(u64, i64, Bound<'py, PyBytes>)>> {
        let log = self.handle.get()?;
        let stream = arguments::text(stream, "stream")?;
        let at_or_below = arguments::optional_whole(at_or_below, "at_or_below")?;
        let beginning = beginning.map_or(Ok(&b""[..]), |bytes| arguments::bytes(bytes, "beginning"))?;
        let found = log.latest_snapshot_beginning(stream, at_or_below, beginning).map_err(raised)?;
        Ok(found.map(|snapshot| (snapshot.version, snapshot.created, PyBytes::new(py, snapshot.data))))
    }

    /// Sleep until the head is above `after`, or the time is over; the head either way.
    #[pyo3(signature = (after, timeout_ms=None))]
    fn wait(&self, py: Python<'_>, after: &Bound<'_, PyAny>, timeout_ms: Option<u64>) -> PyResult<u64> {
        let after = arguments::whole(after, "after")?;
        let handle = self.handle.pinned()?;
        let deadline = timeout_ms.and_then(|limit| Instant::now().checked_add(Duration::from_millis(limit)));
        loop {
            let left = deadline.map_or(NAP, |deadline| deadline.saturating_duration_since(Instant::now()));
            let log = handle.get()?;
            let head = py.detach(|| {
                let head = log.wait(after, left.min(NAP));
                drop(log);
                head
            });
            let head = head.map_err(raised)?;
            if head > after || left.is_zero() {
                return Ok(head);
            }
            py.check_signals()?;
        }
    }

    /// A number that changes with all news that somebody waits for: publications, and what is done to targets by hand.
    #[getter]
    fn news(&self) -> PyResult<u32> {
        Ok(self.handle.get()?.news())
    }

    /// Sleep until `news` is another number than `seen`, or the time is over; the number either way. Say `expect_news`
    /// before looking for work: what comes after that will wake.
    #[pyo3(signature = (seen, timeout_ms=None))]
    fn wait_news(&self, py: Python<'_>, seen: u32, timeout_ms: Option<u64>) -> PyResult<u32> {
        self.sleep(py, seen, timeout_ms, act_fast_core::Log::wait_news)
    }

    /// Have the next move of a target change a number, and answer what it is now.
    fn expect_moves(&self) -> PyResult<u32> {
        Ok(self.handle.get()?.expect_moves())
    }

    /// Wake those who wait for targets to move on.
    fn moved(&self) -> PyResult<()> {
        self.handle.get()?.moved();
        Ok(())
    }

    /// Sleep until targets have moved on since `seen`, or the time is over; the number either way.
    #[pyo3(signature = (seen, timeout_ms=None))]
    fn wait_moves(&self, py: Python<'_>, seen: u32, timeout_ms: Option<u64>) -> PyResult<u32> {
        self.sleep(py, seen, timeout_ms, act_fast_core::Log::wait_moves)
    }

    /// Wake all who wait for news, in this and other processes. Takes no lock.
    fn wake(&self) -> PyResult<()> {
        self.handle.get()?.wake();
        Ok(())
    }

    /// Have the next publication change `news`, and answer what it is now.
    fn expect_news(&self) -> PyResult<u32> {
        Ok(self.handle.get()?.expect_news())
    }

    /// Return when everything appended so far would survive a power cut.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let log = self.handle.get()?;
        py.detach(|| log.flush()).map_err(raised)
    }

    /// Read everything, check every checksum, compare the index with the log.
    #[pyo3(signature = (progress=None))]
    fn verify<'py>(&self, py: Python<'py>, progress: Option<Py<PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        self.handle.get()?.head().map_err(raised)?;
        verify::verify(py, &self.disk, progress)
    }

    /// Copy the store, as it is now, to a path where nothing is yet: (position, streams, bytes).
    #[pyo3(signature = (path, progress=None))]
    fn backup(&self, py: Python<'_>, path: PathBuf, progress: Option<Py<PyAny>>) -> PyResult<(u64, u64, u64)> {
        let log = self.handle.get()?;
        let (disk, name) = place(&path)?;
        let made = progress::told(py, progress.as_ref(), |progress| log.backup(&disk, name, progress))?;
        Ok((made.position, made.streams, made.bytes))
    }

    /// Write events to a file that is made, or written over, and flushed: how many. `format`: "jsonl" or "csv".
    #[pyo3(signature = (path, format, progress=None, *, stream=None, pattern=None, names=None, after=None, before=None,
                        created_after_us=None, created_before_us=None, correlation=None))]
    #[expect(clippy::too_many_arguments, reason = "they are the filters, one by one")]
    fn export(
        &self,
        py: Python<'_>,
        path: PathBuf,
        format: &str,
        progress: Option<Py<PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
        pattern: Option<&Bound<'_, PyAny>>,
        names: Option<&Bound<'_, PyAny>>,
        after: Option<&Bound<'_, PyAny>>,
        before: Option<&Bound<'_, PyAny>>,
        created_after_us: Option<i64>,
        created_before_us: Option<i64>,
        correlation: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let filter =
            filter(stream, pattern, names, after, before, created_after_us, created_before_us, correlation, false)?;
        let format = Format::from_name(format).map_err(raised)?;
        let log = self.handle.get()?;
        let what = format!("writing {}", path.display());
        let failed = |error| raised(Error::of_system(&what, error));
        let mut file = File::create(&path).map_err(failed)?;
        let count = progress::told(py, progress.as_ref(), |told| log.export(&filter, format, &mut file, told))?;
        py.detach(|| file.sync_all()).map_err(failed)?;
        Ok(count)
    }

    /// Begin to make the successor of this store, which must have been released.
    fn restoring(&self, py: Python<'_>) -> PyResult<Restoring> {
        Restoring::successor(py, &self.disk, self.options.segment_bytes)
    }

    /// Let go of the store, to open it again later: as closing does, but waiting until nobody uses this handle any more.
    /// `let_go` is called when nobody can begin to use it.
    fn release(&self, py: Python<'_>, let_go: &Bound<'_, PyAny>) -> PyResult<()> {
        self.handle.get()?.check_writable().map_err(raised)?;
        let taken = self.handle.change(|standing| matches!(standing, Standing::Open(_)), Standing::Replacing);
        let Some(Standing::Open(log)) = taken else {
            return self.handle.get().map(drop); // somebody else was faster; says so
        };
        let outcome = let_go.call0().map(drop).and_then(|()| emptied(py, log));
        if outcome.is_err() {
            self.reopen(py)?;
        }
        outcome
    }

    /// Open the store again that was released, be it another log by now.
    fn reopen(&self, py: Python<'_>) -> PyResult<()> {
        let opened = py.detach(|| act_fast_core::Log::open(Arc::clone(&self.disk), self.options.clone()));
        let (to, outcome) = match opened {
            Ok(log) => (Standing::Open(log), Ok(())),
            Err(error) => (Standing::Closed, Err(raised(error))),
        };
        // What was closed meanwhile stays so.
        self.handle.change(|standing| matches!(standing, Standing::Replacing), to);
        outcome
    }

    /// Make the index anew from the log.
    fn rebuild_index(&self, py: Python<'_>) -> PyResult<()> {
        let log = self.handle.get()?;
        py.detach(|| log.rebuild_index()).map_err(raised)
    }

    /// The store in numbers.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let log = self.handle.get()?;
        let stats = log.stats().map_err(raised)?;
        let found = PyDict::new(py);
        found.set_item("events", stats.events)?;
        found.set_item("streams", stats.streams)?;
        found.set_item("log_bytes", stats.log_bytes)?;
        found.set_item("allocated_bytes", stats.allocated_bytes)?;
        found.set_item("index_bytes", stats.index_bytes)?;
        found.set_item("segments", stats.segments)?;
        found.set_item("segment_bytes", stats.segment_bytes)?;
        found.set_item("flushed_at_ms", stats.flushed_at_ms)?;
        found.set_item("flushed_bytes", stats.flushed_bytes)?;
        found.set_item("durability", self.options.durability.name())?;
        let recovered = stats.recovered.map(|recovered| {
            (recovered.events, recovered.cut_bytes, u64::try_from(recovered.took.as_millis()).unwrap_or(u64::MAX))
        });
        found.set_item("recovered", recovered)?;
        Ok(found)
    }

    /// Flush what is to be flushed, and let go of everything. Closing twice does no harm.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(Standing::Open(log)) = self.handle.change(|_| true, Standing::Closed) else {
            return Ok(());
        };
        let outcome = py.detach(|| {
            log.wake();
            let outcome = log.shut_down();
            drop(log);
            outcome
        });
        outcome.map_err(raised)
    }
}

/// Shut a log down, and wait a while until nobody uses it any more.
fn emptied(py: Python<'_>, log: Arc<act_fast_core::Log>) -> PyResult<()> {
    let left = Arc::downgrade(&log);
    py.detach(|| {
        log.wake();
        let outcome = log.shut_down();
        drop(log);
        outcome
    })
    .map_err(raised)?;
    let deadline = Instant::now() + RELEASE_PATIENCE;
    while left.strong_count() > 0 && Instant::now() < deadline {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
        py.check_signals()?;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "they are the filters, one by one")]
fn filter(
    stream: Option<&Bound<'_, PyAny>>,
    pattern: Option<&Bound<'_, PyAny>>,
    names: Option<&Bound<'_, PyAny>>,
    after: Option<&Bound<'_, PyAny>>,
    before: Option<&Bound<'_, PyAny>>,
    created_after: Option<i64>,
    created_before: Option<i64>,
    correlation: Option<&Bound<'_, PyAny>>,
    backwards: bool,
) -> PyResult<Filter> {
    let names = match names {
        None => None,
        Some(names) => {
            let each = arguments::elements(names, "names")?;
            let texts = each.iter().map(|name| arguments::text(name, "event name").map(str::to_owned));
            Some(texts.collect::<PyResult<Vec<_>>>()?)
        }
    };
    Ok(Filter {
        stream: arguments::optional_text(stream, "stream")?,
        pattern: arguments::optional_text(pattern, "pattern")?,
        names,
        after: arguments::optional_whole(after, "after")?.unwrap_or(0),
        before: arguments::optional_whole(before, "before")?,
        created_after,
        created_before,
        correlation: arguments::optional_text(correlation, "correlation")?,
        backwards,
    })
}
