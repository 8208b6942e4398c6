//! The verbs of an open store.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use act_fast_core::disk::{Disk, MemoryDisk, RealDisk};
use act_fast_core::fold::Span;
use act_fast_core::reactions::Mirror;
use act_fast_core::{AppendedParts, Durability, Error, Filter, Format, Guards, Once, Options, Part, Patience};
use act_fast_sys::attached;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::appended::Appended;
use crate::arguments::{self, Events, Parts};
use crate::columns::{self, Columns, StreamColumns};
use crate::copied;
use crate::errors::raised;
use crate::filter;
use crate::fold::Replay;
use crate::guards::OwnGuards;
use crate::handle::{Handle, NAP, Standing, emptied, nap_here};
use crate::place::place;
use crate::progress;
use crate::query::Query;
use crate::replica;
use crate::restoring::Restoring;
use crate::rewriting::{self, PrunableRow, PruningRow, RewrittenRow};
use crate::rows::{event_columns, rows};
use crate::{stats, verify};

/// Commits up to this size are written without letting go of the interpreter, if no other writer is in the way.
const SMALL_BYTES: usize = 64 << 10;

/// What an append under a key came to: where the parts are, or the first and the last position of the commit that has the key.
#[derive(IntoPyObject)]
enum Done {
    Now(Vec<Appended>),
    Before((u64, u64)),
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

    fn start(py: Python<'_>, disk: Arc<dyn Disk>, options: Options) -> PyResult<Self> {
        let log = py.detach(|| act_fast_core::Log::open(Arc::clone(&disk), options)).map_err(raised)?;
        let options = log.options().clone();
        Ok(Self { handle: Handle::new(log), disk, options })
    }

    fn write(&self, py: Python<'_>, parts: &[Part<'_>], guards: &Guards<'_>, meta: &[u8]) -> PyResult<AppendedParts> {
        self.try_write(py, parts, guards, meta)?.map_err(raised)
    }

    fn try_write(
        &self,
        py: Python<'_>,
        parts: &[Part<'_>],
        guards: &Guards<'_>,
        meta: &[u8],
    ) -> PyResult<Result<AppendedParts, Error>> {
        let bytes: usize = parts.iter().flat_map(|part| part.events).map(|event| event.data.len()).sum();
        if self.options.durability != Durability::Fsync && bytes <= SMALL_BYTES {
            match self.handle.with(|log| log.append_if(parts, guards, meta, Patience::Try))? {
                Err(Error::WouldWait) => {}
                outcome => return Ok(outcome),
            }
        }
        let log = self.handle.get()?;
        Ok(py.detach(|| log.append_if(parts, guards, meta, Patience::Wait)))
    }
}

#[pymethods]
impl Log {
    /// Open the store in a directory, or make it. Without a durability: that of the handles that have it open, else
    /// "fsync".
    #[staticmethod]
    #[pyo3(signature = (path, durability, flush_interval_ms, segment_bytes, payload_max_bytes, read_only, create, archive=None, compress=false))]
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
        archive: Option<String>,
        compress: bool,
    ) -> PyResult<Self> {
        let options = Options {
            durability: Durability::from_name(durability.unwrap_or("fsync")).map_err(raised)?,
            adopt_durability: durability.is_none(),
            flush_interval: Duration::from_millis(flush_interval_ms),
            segment_bytes,
            payload_max_bytes,
            compress,
            read_only,
            create,
            ..Options::default()
        };
        Self::start(py, Arc::new(RealDisk::new(&path).with_archive(archive)), options)
    }

    /// Open the replica of a replicated store. With a genesis, (store id, size of a log file): that of this store, which is made
    /// where there is none. Without a durability: that of the handles that have it open, else "interval".
    #[staticmethod]
    #[pyo3(signature = (path, durability, flush_interval_ms, read_only, genesis))]
    fn open_replica(
        py: Python<'_>,
        path: PathBuf,
        durability: Option<&str>,
        flush_interval_ms: u64,
        read_only: bool,
        genesis: Option<(Bound<'_, PyBytes>, u64)>,
    ) -> PyResult<Self> {
        let genesis = genesis.as_ref().map(|(id, bytes)| replica::genesis((id.as_bytes(), *bytes))).transpose()?;
        let options = Options {
            durability: Durability::from_name(durability.unwrap_or("interval")).map_err(raised)?,
            adopt_durability: durability.is_none(),
            flush_interval: Duration::from_millis(flush_interval_ms),
            read_only,
            ..Options::default()
        };
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&path));
        let log =
            py.detach(|| act_fast_core::Log::open_replica(Arc::clone(&disk), options, genesis)).map_err(raised)?;
        let options = log.options().clone();
        Ok(Self { handle: Handle::new(log), disk, options })
    }

    /// What can still be told of the replica at a path, however damaged it is: its store id, and how far it had applied
    /// records.
    #[staticmethod]
    fn replica_remains(py: Python<'_>, path: PathBuf) -> (Option<Bound<'_, PyBytes>>, Option<u64>) {
        let (id, place) = act_fast_core::Log::replica_remains(&RealDisk::new(&path));
        (id.map(|id| PyBytes::new(py, &id)), place)
    }

    /// Whether this is the replica of a replicated store.
    #[getter]
    fn is_replica(&self) -> PyResult<bool> {
        Ok(self.handle.get()?.is_replica())
    }

    /// Which proposal the last commit was: the place of its record, and its number there. (0, 0) at the beginning.
    fn origin(&self) -> PyResult<(u64, u64)> {
        let origin = self.handle.get()?.origin().map_err(raised)?;
        Ok((origin.place, origin.index))
    }

    /// The place up to which all records have been applied, as far as is known.
    fn applied(&self) -> PyResult<u64> {
        self.handle.get()?.applied().map_err(raised)
    }

    /// Sleep until the record at a place has been applied, or the time is over; how far it is either way.
    #[pyo3(signature = (place, timeout_ms=None))]
    fn wait_applied(&self, py: Python<'_>, place: u64, timeout_ms: Option<u64>) -> PyResult<u64> {
        self.handle.sleep(py, timeout_ms, NAP, |log, nap| log.wait_applied(place, nap), |applied| *applied >= place)
    }

    /// The log's time now, in ms since 1970.
    fn log_time(&self) -> PyResult<u64> {
        self.handle.get()?.log_time_ms().map_err(raised)
    }

    /// The commits that came from the record at a place: its number there, and the positions of its first and last event.
    fn settled(&self, place: u64) -> PyResult<Vec<(u64, u64, u64)>> {
        let settled = self.handle.get()?.settled(place).map_err(raised)?;
        Ok(settled.into_iter().map(|one| (one.index, one.first_position, one.last_position)).collect())
    }

    /// The last position that came from a record at or before a place.
    fn position_at(&self, place: u64) -> PyResult<u64> {
        self.handle.get()?.position_at(place).map_err(raised)
    }

    /// The version that a stream had when a position was the last.
    fn version_at(&self, stream: &Bound<'_, PyAny>, position: u64) -> PyResult<u64> {
        self.handle.get()?.version_at(arguments::text(stream, "stream")?, position).map_err(raised)
    }

    /// Refuse a commit that replicas would refuse whatever the versions of its streams are, or that no log takes.
    #[pyo3(signature = (parts, meta, payload_max_bytes, expected_versions=None, conditions=None, once=None))]
    fn check_proposal(
        &self,
        parts: &Bound<'_, PyAny>,
        meta: &[u8],
        payload_max_bytes: usize,
        expected_versions: Option<&Bound<'_, PyAny>>,
        conditions: Option<&Bound<'_, PyAny>>,
        once: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let given = Parts::new(parts)?;
        let tags = given.tags()?;
        let events = given.events(&tags)?;
        let guards = OwnGuards::new(expected_versions, conditions)?.keyed(once)?;
        let (log, parts) = (self.handle.get()?, given.parts(&events)?);
        guards.lent(|guards| log.check_proposal(&parts, guards, meta, payload_max_bytes)).map_err(raised)
    }

    /// Refuse what guards stand against, as the log was when a position was its last.
    #[pyo3(signature = (position, expected_versions=None, conditions=None))]
    fn check_guards(
        &self,
        position: u64,
        expected_versions: Option<&Bound<'_, PyAny>>,
        conditions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let guards = OwnGuards::new(expected_versions, conditions)?;
        let log = self.handle.get()?;
        guards.lent(|guards| log.check_guards(guards, position)).map_err(raised)
    }

    /// Open a store in anonymous memory.
    #[staticmethod]
    fn memory(py: Python<'_>, segment_bytes: u64, payload_max_bytes: usize) -> PyResult<Self> {
        let options = Options {
            durability: Durability::Os,
            segment_bytes,
            payload_max_bytes,
            movable_clock: true,
            ..Options::default()
        };
        Self::start(py, Arc::new(MemoryDisk::default()), options)
    }

    /// What time it is here, in µs since 1970.
    fn now_us(&self) -> PyResult<i64> {
        Ok(self.handle.get()?.now_us())
    }

    /// Move the clock of a log in memory forward by so many ms.
    fn advance(&self, by_ms: u64) -> PyResult<()> {
        self.handle.get()?.advance(by_ms).map_err(raised)
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

    /// Append events to a stream as one commit. Conditions are (items, after), each item (names, tags).
    #[pyo3(signature = (stream, events, expected_version=None, meta=None, conditions=None))]
    fn append(
        &self,
        py: Python<'_>,
        stream: &Bound<'_, PyAny>,
        events: &Bound<'_, PyAny>,
        expected_version: Option<&Bound<'_, PyAny>>,
        meta: Option<&[u8]>,
        conditions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Appended> {
        let events = Events::new(events)?;
        let tags = events.tags()?;
        let events = events.borrow(&tags)?;
        let part = Part {
            stream: arguments::text(stream, "stream")?,
            events: &events,
            expected: arguments::optional_whole(expected_version, "expected_version")?,
        };
        let meta = meta.unwrap_or_default();
        let appended = match conditions {
            None => self.write(py, &[part], &Guards::default(), meta)?,
            Some(_) => OwnGuards::new(None, conditions)?.lent(|guards| self.write(py, &[part], guards, meta))?,
        };
        Ok(appended[0].into())
    }

    /// Append several (stream, events, expected version) as one commit, if streams have the versions (stream, version), and
    /// conditions (items, after) hold, each item (names, tags).
    #[pyo3(signature = (parts, meta=None, expected_versions=None, conditions=None))]
    fn append_many(
        &self,
        py: Python<'_>,
        parts: &Bound<'_, PyAny>,
        meta: Option<&[u8]>,
        expected_versions: Option<&Bound<'_, PyAny>>,
        conditions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Appended>> {
        let given = Parts::new(parts)?;
        let tags = given.tags()?;
        let events = given.events(&tags)?;
        let parts = given.parts(&events)?;
        let guards = OwnGuards::new(expected_versions, conditions)?;
        let appended = guards.lent(|guards| self.write(py, &parts, guards, meta.unwrap_or_default()))?;
        Ok(appended.into_iter().map(Appended::from).collect())
    }

    /// Append as `append_many` does, unless a key was used, given as (key, since in µs since 1970): then the positions of the
    /// first and the last event of the commit that has it.
    #[pyo3(signature = (parts, once, meta=None, expected_versions=None, conditions=None))]
    fn append_once(
        &self,
        py: Python<'_>,
        parts: &Bound<'_, PyAny>,
        once: &Bound<'_, PyAny>,
        meta: Option<&[u8]>,
        expected_versions: Option<&Bound<'_, PyAny>>,
        conditions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Done> {
        let given = Parts::new(parts)?;
        let tags = given.tags()?;
        let events = given.events(&tags)?;
        let parts = given.parts(&events)?;
        let guards = OwnGuards::new(expected_versions, conditions)?.keyed(Some(once))?;
        match guards.lent(|guards| self.try_write(py, &parts, guards, meta.unwrap_or_default()))? {
            Ok(appended) => Ok(Done::Now(appended.into_iter().map(Appended::from).collect())),
            Err(Error::Repeated { first, last }) => Ok(Done::Before((first, last))),
            Err(error) => Err(raised(error)),
        }
    }

    /// The positions of the first and the last event of the commit that a key was used for, since a time in µs since 1970; as
    /// the log was when a position was its last.
    #[pyo3(signature = (key, since, position=None))]
    fn used(&self, key: &Bound<'_, PyAny>, since: i64, position: Option<u64>) -> PyResult<Option<(u64, u64)>> {
        let once = Once { key: arguments::text(key, "key")?, since };
        let used = self.handle.get()?.used(&once, position.unwrap_or(u64::MAX)).map_err(raised)?;
        Ok(used.map(|used| (used.first_position, used.last_position)))
    }

    /// Append events of another store as they stand there, in whole commits: rows (position, commit, stream, version, name,
    /// created µs, data, meta, tags).
    fn append_copied(&self, py: Python<'_>, rows: &Bound<'_, PyList>) -> PyResult<()> {
        copied::append_rows(py, &*self.handle.get()?, rows)
    }

    /// The record of reactions, which no one may work on, as packed lines; None when there is nothing.
    fn reaction_lines<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let log = self.handle.get()?;
        let found = py.detach(|| Mirror::lines_of(&self.disk, &log.store_id())).map_err(raised)?;
        Ok(found.map(|lines| PyBytes::new(py, &lines)))
    }

    /// Keep such lines in place of the record of reactions, which no one may work on.
    fn put_reaction_lines(&self, py: Python<'_>, lines: &Bound<'_, PyBytes>) -> PyResult<()> {
        let (log, lines) = (self.handle.get()?, lines.as_bytes());
        log.check_writable().and_then(|()| log.check_not_replica()).map_err(raised)?;
        py.detach(|| Mirror::put_lines(&self.disk, &log.store_id(), lines)).map_err(raised)
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
        let log = self.handle.get()?;
        let page = load(&log, stream, after, before, limit)?;
        Ok((rows(py, &log, &page.events)?, page.next))
    }

    /// The same as columns.
    fn load_columns<'py>(
        &self,
        py: Python<'py>,
        stream: &Bound<'_, PyAny>,
        after: Option<&Bound<'_, PyAny>>,
        before: Option<&Bound<'_, PyAny>>,
        limit: Option<&Bound<'_, PyAny>>,
        moment: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyTuple>, Option<u64>)> {
        let log = self.handle.get()?;
        let page = load(&log, stream, after, before, limit)?;
        Ok((event_columns(py, &log, &page.events, moment)?, page.next))
    }

    /// Begin a query over the log as it is published now.
    #[pyo3(signature = (filter=None, backwards=false))]
    fn query(&self, py: Python<'_>, filter: Option<&Bound<'_, PyDict>>, backwards: bool) -> PyResult<Query> {
        let filter = Filter { backwards, ..filter::read(filter)? };
        let log = self.handle.get()?;
        let query = py.detach(|| log.query(&filter)).map_err(raised)?;
        Ok(Query { handle: self.handle.pinned()?, query: Mutex::new(query) })
    }

    /// Begin a replay: the streams that a pattern is found in, after a stream, as of a cut, `group_max` at a time. `names`
    /// are those of the events to be folded, `closing` is that of the event that closes a stream.
    #[pyo3(signature = (names, closing, cut, group_max, pattern=None, after=None))]
    #[expect(clippy::too_many_arguments, reason = "they are what a span is made of, one by one")]
    fn replay(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        closing: String,
        cut: u64,
        group_max: usize,
        pattern: Option<String>,
        after: Option<String>,
    ) -> PyResult<Replay> {
        let span = Span { names, closing, pattern, after, cut, group_max };
        let log = self.handle.get()?;
        let replay = py.detach(|| act_fast_core::fold::Replay::begin(&log, span)).map_err(raised)?;
        Ok(Replay { handle: self.handle.pinned()?, replay: Mutex::new(replay) })
    }

    /// Events as Arrow columns, each (name, what it holds): one of the log's own, or the number of a field of the shape.
    /// Payloads of events whose name is not in `direct`, or that do not have the shape, are handed to `decoder`.
    #[pyo3(signature = (columns, shape=None, direct=None, decoder=None, filter=None))]
    fn columns(
        &self,
        columns: &Bound<'_, PyAny>,
        shape: Option<&Bound<'_, PyAny>>,
        direct: Option<HashSet<String>>,
        decoder: Option<Py<PyAny>>,
        filter: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Columns> {
        let filter = filter::read(filter)?;
        let outputs = columns::outputs(columns)?;
        let shape = shape.map(columns::shape).transpose()?;
        let handle = self.handle.pinned()?;
        let open = Arc::new(move || handle.opened());
        Ok(Columns::new(open, filter, outputs, shape, direct.unwrap_or_default(), decoder))
    }

    /// Streams as Arrow columns, as they were when the position `cut` was the last: all, or those that are named.
    #[pyo3(signature = (columns, cut, streams=None))]
    fn stream_columns(&self, columns: Vec<String>, cut: u64, streams: Option<Vec<String>>) -> PyResult<StreamColumns> {
        let handle = self.handle.pinned()?;
        StreamColumns::new(Arc::new(move || handle.opened()), &columns, cut, streams)
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
    fn names(&self, py: Python<'_>) -> PyResult<Vec<(String, u64)>> {
        let log = self.handle.get()?;
        py.detach(|| log.event_names()).map_err(raised)
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
        self.handle.sleep(py, timeout_ms, NAP, |log, nap| log.wait(after, nap), |head| *head > after)
    }

    /// A number that changes with all news that has waiters: publications, and what is done to targets by hand.
    #[getter]
    fn news(&self) -> PyResult<u32> {
        Ok(self.handle.get()?.news())
    }

    /// Sleep until `news` is another number than `seen`, or the time is over; the number either way. Say `expect_news`
    /// before looking for work: what comes after that will wake.
    #[pyo3(signature = (seen, timeout_ms=None))]
    fn wait_news(&self, py: Python<'_>, seen: u32, timeout_ms: Option<u64>) -> PyResult<u32> {
        self.handle.sleep(py, timeout_ms, nap_here(py)?, |log, nap| log.wait_news(seen, nap), |found| *found != seen)
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
        self.handle.sleep(py, timeout_ms, NAP, |log, nap| log.wait_moves(seen, nap), |found| *found != seen)
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

    /// Copy the store, as it is now, to a path where nothing is yet: (position, streams, bytes). `whole`: with what is
    /// archived.
    #[pyo3(signature = (path, whole, progress=None))]
    fn backup(
        &self,
        py: Python<'_>,
        path: PathBuf,
        whole: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64)> {
        let log = self.handle.get()?;
        let (disk, name) = place(&path)?;
        let made = progress::told(py, progress.as_ref(), |progress| log.backup(&disk, name, whole, progress))?;
        Ok((made.position, made.streams, made.bytes))
    }

    /// Write events to a file that is made, or written over, and flushed: how many. `format`: "jsonl" or "csv".
    #[pyo3(signature = (path, format, filter=None, progress=None))]
    fn export(
        &self,
        py: Python<'_>,
        path: PathBuf,
        format: &str,
        filter: Option<&Bound<'_, PyDict>>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        let filter = filter::read(filter)?;
        let format = Format::from_name(format).map_err(raised)?;
        let log = self.handle.get()?;
        let what = format!("writing {}", path.display());
        let failed = |error| raised(Error::of_system(&what, error));
        let mut file = File::create(&path).map_err(failed)?;
        let count = progress::told(py, progress.as_ref(), |told| log.export(&filter, format, &mut file, told))?;
        py.detach(|| file.sync_all()).map_err(failed)?;
        Ok(count)
    }

    /// Begin to make the successor of this store, which must have been released, and holds nothing or is to be replaced.
    fn restoring(&self, py: Python<'_>, replace: bool) -> PyResult<Restoring> {
        Restoring::successor(py, &self.disk, self.options.segment_bytes, replace)
    }

    /// Replace payloads, each (position, what it is, what it becomes), in this store, which must have been released: (events,
    /// snapshots left out, bytes before, bytes after, position of the event that tells of it). `note`: that event's stream,
    /// name, data and meta.
    #[pyo3(signature = (replaced, note, progress=None))]
    fn redact(
        &self,
        py: Python<'_>,
        replaced: Vec<(u64, Vec<u8>, Vec<u8>)>,
        note: (String, String, Vec<u8>, Vec<u8>),
        progress: Option<Py<PyAny>>,
    ) -> PyResult<RewrittenRow> {
        rewriting::redact(py, &self.disk, replaced, (&note.0, &note.1, &note.2, &note.3), progress)
    }

    /// Empty what lies below closings in this store, which must have been released. None: there was nothing.
    #[pyo3(signature = (what, note, progress=None))]
    fn prune(
        &self,
        py: Python<'_>,
        what: PruningRow,
        note: (String, String, Vec<u8>),
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Option<(PrunableRow, RewrittenRow)>> {
        rewriting::prune(py, &self.disk, what, (&note.0, &note.1, &note.2), progress)
    }

    /// What there is to prune: ([(event name, events, bytes)], streams, position of the last, events with tags that stay).
    #[pyo3(signature = (what, progress=None))]
    fn prunable(&self, py: Python<'_>, what: PruningRow, progress: Option<Py<PyAny>>) -> PyResult<PrunableRow> {
        rewriting::prunable(py, &*self.handle.get()?, what, progress)
    }

    /// Let go of the store, to open it again later: as closing does, but waiting until no thread uses this handle any
    /// more. `let_go` is called when none can begin to use it.
    fn release(&self, py: Python<'_>, let_go: &Bound<'_, PyAny>) -> PyResult<()> {
        let log = self.handle.get()?;
        log.check_writable().and_then(|()| log.check_not_replica()).map_err(raised)?;
        drop(log);
        let taken = self.handle.change(|standing| matches!(standing, Standing::Open(_)), Standing::Replacing);
        let Some(Standing::Open(log)) = taken else {
            return self.handle.get().map(drop); // another thread was faster; says so
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

    /// Compress the sealed log files that are not yet: how many, and what they took before and take now.
    #[pyo3(signature = (seal, dry_run, progress=None))]
    fn compress(
        &self,
        py: Python<'_>,
        seal: bool,
        dry_run: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64)> {
        let log = self.handle.get()?;
        let kept = progress::told(py, progress.as_ref(), |progress| log.compress(seal, dry_run, progress))?;
        Ok((kept.segments, kept.bytes_before, kept.bytes_after))
    }

    /// Have the compressed log files plain again: how many, and what they took before and take now.
    #[pyo3(signature = (dry_run, progress=None))]
    fn decompress(&self, py: Python<'_>, dry_run: bool, progress: Option<Py<PyAny>>) -> PyResult<(u64, u64, u64)> {
        let log = self.handle.get()?;
        let kept = progress::told(py, progress.as_ref(), |progress| log.decompress(dry_run, progress))?;
        Ok((kept.segments, kept.bytes_before, kept.bytes_after))
    }

    /// Archive the log files whose events are all at or below a position, to an address: how many, what they took here
    /// before and take now, and how many Parquet files were written. `parquet`: makes one of the events between two
    /// positions. `also_before`: also of the files that were archived without.
    #[pyo3(signature = (to, upto, parquet, also_before, dry_run, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "they are the options, one by one")]
    fn archive(
        &self,
        py: Python<'_>,
        to: &str,
        upto: u64,
        parquet: Option<Py<PyAny>>,
        also_before: bool,
        dry_run: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64, u64)> {
        let log = self.handle.get()?;
        let mut failed = None;
        let outcome = progress::told(py, progress.as_ref(), |progress| {
            let mut make = |file: &act_fast_core::ArchivedFile| {
                let made = attached(|py| -> PyResult<Vec<u8>> {
                    let Some(parquet) = &parquet else { return Ok(Vec::new()) };
                    let made = parquet.bind(py).call1((file.first_position, file.last_position))?;
                    Ok(made.extract::<&[u8]>()?.to_vec())
                });
                made.map_err(|error| {
                    failed = Some(error);
                    act_fast_core::Error::Closed("interrupted".to_owned())
                })
            };
            let readable = parquet.is_some().then_some(act_fast_core::Readable { make: &mut make, also_before });
            log.archive(to, upto, readable, dry_run, progress)
        });
        let kept = failed.map_or(outcome, Err)?;
        Ok((kept.segments, kept.bytes_before, kept.bytes_after, kept.readable))
    }

    /// Have the archived log files here again: how many, and what they took here before and take now. `remove`: also remove
    /// the objects.
    #[pyo3(signature = (remove, dry_run, progress=None))]
    fn unarchive(
        &self,
        py: Python<'_>,
        remove: bool,
        dry_run: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64)> {
        let log = self.handle.get()?;
        let kept = progress::told(py, progress.as_ref(), |progress| log.unarchive(remove, dry_run, progress))?;
        Ok((kept.segments, kept.bytes_before, kept.bytes_after))
    }

    /// Where the archive of the store is, and the log files that are there: (number, object, bytes, digest, first position,
    /// last position).
    #[expect(clippy::type_complexity, reason = "a row is a plain tuple on the Python side")]
    fn archived(&self, py: Python<'_>) -> PyResult<(Option<String>, Vec<(u64, String, u64, String, u64, u64)>)> {
        let log = self.handle.get()?;
        let (address, files) = py.detach(|| Ok((log.archive_address()?, log.archived()?))).map_err(raised)?;
        let row = |file: act_fast_core::ArchivedFile| {
            (file.number, file.object, file.bytes, file.digest, file.first_position, file.last_position)
        };
        Ok((address, files.into_iter().map(row).collect()))
    }

    /// The position of the last event that is archived; 0 when none is.
    #[getter]
    fn archived_upto(&self) -> PyResult<u64> {
        self.handle.get()?.archived_upto().map_err(raised)
    }

    /// The events that tell what was redacted and pruned: (name, data). Nothing is fetched for it.
    fn rewritings<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
        let log = self.handle.get()?;
        let told = py.detach(|| log.rewritings()).map_err(raised)?;
        Ok(told.into_iter().map(|(name, data)| (name, PyBytes::new(py, &data))).collect())
    }

    /// The Parquet files of the archive: their names.
    fn archived_parquet(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let log = self.handle.get()?;
        py.detach(|| log.archived_parquet()).map_err(raised)
    }

    /// An object of the archive.
    fn archived_object<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyBytes>> {
        let log = self.handle.get()?;
        let bytes = py.detach(|| log.archived_object(name)).map_err(raised)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Rebuild the index from the log.
    fn rebuild_index(&self, py: Python<'_>) -> PyResult<()> {
        let log = self.handle.get()?;
        py.detach(|| log.rebuild_index()).map_err(raised)
    }

    /// The store in numbers.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats::stats(py, &*self.handle.get()?, self.options.durability)
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
            self.disk.discard();
            outcome
        });
        outcome.map_err(raised)
    }
}

/// A page of a stream.
fn load<'a>(
    log: &'a act_fast_core::Log,
    stream: &Bound<'_, PyAny>,
    after: Option<&Bound<'_, PyAny>>,
    before: Option<&Bound<'_, PyAny>>,
    limit: Option<&Bound<'_, PyAny>>,
) -> PyResult<act_fast_core::Page<'a>> {
    const PAGE: usize = 1000;
    let stream = arguments::text(stream, "stream")?;
    let after = arguments::optional_whole(after, "after")?.unwrap_or(0);
    let before = arguments::optional_whole(before, "before")?;
    let limit = limit.map(arguments::limit).transpose()?.unwrap_or(PAGE);
    log.load(stream, after, before, limit).map_err(raised)
}
