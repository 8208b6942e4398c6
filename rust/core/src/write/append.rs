//! Appending: check, make room, write, index, publish. The commit protocol is told in `docs/design.md`.

use std::collections::HashMap;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use smallvec::SmallVec;

use crate::error::{Doing, Error, Result};
use crate::fault;
use crate::index::{Index, Key, postings};
use crate::log::record::{self, ALIGN_BYTES, Builder, HEAD_BYTES, KeyKind, NewCommit, Preamble};
use crate::log::segments::{self, HEADER_BYTES};
use crate::names;
use crate::options::Durability;
use crate::payload::check::{check, check_meta};
use crate::shared::control::{self, IndexState, LogState};
use crate::shared::lock::Guard;
use crate::store::log::Log;

/// An event to append.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its payload: JSON.
    pub data: &'a [u8],
}

/// Events to append to one stream.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The events, in order; at least one.
    pub events: &'a [NewEvent<'a>],
    /// The version that the stream must have; None when any will do.
    pub expected: Option<u64>,
}

/// Where an append put its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version of the first event.
    pub first_version: u64,
    /// The version of the last event, which is the stream's.
    pub last_version: u64,
    /// The position of the first event.
    pub first_position: u64,
    /// The position of the last event.
    pub last_position: u64,
}

/// Whether an append may wait for other writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Wait,
    /// Not at all: `Error::WouldWait` instead, and nothing was changed.
    Try,
}

/// What a handle keeps from append to append.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    builder: Builder,
    /// The event name used last, and its key's number, which never changes.
    last_name: Option<(String, u32)>,
    /// When this handle last looked whether the store is still there, in µs since 1970.
    place_checked: i64,
}

impl Writer {
    pub(crate) fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }
}

/// How often an append that does not flush looks whether the store is still there.
const PLACE_CHECK_US: i64 = 100_000;
const GROWTH_MIN_BYTES: u64 = 256 << 10;
const GROWTH_MAX_BYTES: u64 = 8 << 20;

/// By how much a log grows at a time that has come to `allocated` bytes.
pub(crate) fn growth_step(segment_bytes: u64, allocated: u64) -> u64 {
    (allocated / 4).clamp(GROWTH_MIN_BYTES, GROWTH_MAX_BYTES).min(segment_bytes).next_multiple_of(4096)
}

/// A stream or a name that a commit adds to.
#[derive(Clone, Copy, Debug)]
struct Touched {
    number: u32,
    /// As it was before this commit; None for one that this commit brings into being.
    known: Option<Key>,
    added: u64,
}

impl Touched {
    #[inline]
    fn count(&self) -> u64 {
        self.known.map_or(0, |key| key.count)
    }

    #[inline]
    fn lines(&self) -> u64 {
        postings::lines_needed(self.count(), self.known.map_or(0, |key| key.chunk_start), self.added)
    }
}

/// All that a commit is made of, resolved against the index.
struct Plan<'a> {
    /// One for each distinct stream.
    streams: SmallVec<[Touched; 1]>,
    /// For each part, which of `streams` it is, and the version before its first event.
    parts: SmallVec<[(usize, u64); 1]>,
    /// One for each distinct name.
    names: SmallVec<[(&'a str, Touched); 4]>,
    definitions: SmallVec<[(u32, KeyKind, &'a str); 2]>,
}

/// What each part of an append came to, in order.
pub type AppendedParts = SmallVec<[Appended; 1]>;

impl Log {
    /// Append all parts as one commit: all of it or nothing.
    pub fn append(&self, parts: &[Part<'_>], meta: &[u8], patience: Patience) -> Result<AppendedParts> {
        self.check_arguments(parts, meta)?;
        self.check_writable()?;
        let mut writer = match patience {
            Patience::Wait => self.writer(),
            Patience::Try => self.try_writer()?,
        };
        let guard = match patience {
            Patience::Wait => self.lock_writer()?,
            Patience::Try => self.try_lock_writer()?,
        };
        let outcome = self.commit(&mut writer, parts, meta, patience);
        drop(guard);
        drop(writer);
        if let Err(Error::Io { .. }) = &outcome {
            // Should the store have gone, then that is what there is to say.
            self.check_in_place()?;
        }
        if let (Err(Error::Conflict { .. }), Durability::Fsync) = (&outcome, self.options.durability) {
            // Whoever was faster may be waiting for the disk still, or have died before it did. Who loads again is to
            // see what was in the way.
            self.flush_up_to(self.control.indexed_position()?)?;
        }
        let (appended, position) = outcome?;
        let flushes = self.options.durability == Durability::Fsync;
        let acknowledged = match self.options.durability {
            Durability::Fsync => self.flush_up_to(position),
            Durability::Interval => {
                self.announce();
                self.flush_soon()
            }
            Durability::Os => {
                self.announce();
                Ok(())
            }
        };
        match acknowledged {
            Ok(()) => Ok(appended),
            // Another process may have flushed it.
            Err(_) if flushes && self.control.published()? >= position => Ok(appended),
            Err(error) => Err(self.unacknowledged(error)),
        }
    }

    /// What to say of a commit that has been written, when something fails then.
    fn unacknowledged(&self, error: Error) -> Error {
        match error {
            Error::Failed(_) if self.control.flag(control::FAILED).unwrap_or(true) => error,
            error => Error::unknown(&error),
        }
    }

    fn try_writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>> {
        match self.writer_mutex().try_lock() {
            Ok(writer) => Ok(writer),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::WouldWait),
        }
    }

    fn try_lock_writer(&self) -> Result<Guard<'_>> {
        let guard = self.writer_lock().try_take().ok_or(Error::WouldWait)?;
        if self.control.indexed()? == self.control.log_state()?.tail { Ok(guard) } else { Err(Error::WouldWait) }
    }

    fn check_arguments(&self, parts: &[Part<'_>], meta: &[u8]) -> Result<()> {
        if parts.is_empty() {
            return Err(Error::Invalid("there is nothing to append; give at least one event".to_owned()));
        }
        for part in parts {
            names::check("stream", part.stream)?;
            if part.events.is_empty() {
                let stream = part.stream;
                return Err(Error::Invalid(format!("no events for stream {stream:?}; give at least one")));
            }
            let mut checked = None;
            for event in part.events {
                if checked != Some(event.name) {
                    names::check("event name", event.name)?;
                    checked = Some(event.name);
                }
                self.check_payload(event, part.stream)?;
            }
        }
        if meta.is_empty() {
            return Ok(());
        }
        check_meta(meta).map_err(|flaw| Error::Invalid(format!("the meta is {flaw}")))
    }

    #[inline]
    fn check_payload(&self, event: &NewEvent<'_>, stream: &str) -> Result<()> {
        let limit = self.options.payload_max_bytes;
        if event.data.len() > limit {
            return Err(Error::Invalid(format!(
                "the data of event {:?} for stream {stream:?} has {} bytes; at most {limit} are allowed (payload_max_bytes)",
                event.name,
                event.data.len()
            )));
        }
        check(event.data).map_err(|flaw| {
            Error::Invalid(format!("the data of event {:?} for stream {stream:?} is {flaw}", event.name))
        })
    }

    /// Refuse to go on once closed, or after a failed write or flush.
    pub(crate) fn check_sane(&self) -> Result<()> {
        self.check_unshut()?;
        self.check_flushable()
    }

    /// Refuse to go on once closed: what was flushed then is to stay as it is.
    pub(crate) fn check_unshut(&self) -> Result<()> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(Error::Closed("this store was closed; open it again".to_owned()));
        }
        Ok(())
    }

    /// Refuse to go on after a failed write or flush.
    pub(crate) fn check_flushable(&self) -> Result<()> {
        if self.control.flag(control::FAILED)? {
            return Err(Error::Failed(
                "a write or a flush of this store failed, so it takes no more appends; reads go on. Close every handle \
                 on it and open it again: what was acknowledged is there"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    pub(crate) fn check_in_place(&self) -> Result<()> {
        if self.control.in_place(&*self.disk)? {
            return Ok(());
        }
        Err(Error::Failed(format!(
            "the store at {} has been deleted, moved or replaced; nothing more is appended to what nobody could open",
            self.disk.describe()
        )))
    }

    fn commit(
        &self,
        writer: &mut Writer,
        parts: &[Part<'_>],
        meta: &[u8],
        patience: Patience,
    ) -> Result<(AppendedParts, u64)> {
        self.check_sane()?;
        let now = now_us();
        // Beside a flush this costs nothing.
        let flushes = self.options.durability == Durability::Fsync;
        if flushes || (now - writer.place_checked).abs() > PLACE_CHECK_US {
            self.check_in_place()?;
            writer.place_checked = now;
        }
        let index = self.index()?;
        let mut index_state = self.control.index_state()?;
        let mut state = self.control.log_state()?;
        let plan = plan(&index, &index_state, &mut writer.last_name, parts)?;

        let count: usize = parts.iter().map(|part| part.events.len()).sum();
        let bytes_max = bytes_max(&plan, parts, count, meta.len());
        let first_position = state.position + 1;
        let last_position = state.position + count as u64;
        let lines = plan.streams.iter().map(Touched::lines).sum::<u64>()
            + plan.names.iter().map(|(_, touched)| touched.lines()).sum::<u64>();
        let definitions = plan.definitions.len() as u64;
        if patience == Patience::Try
            && !(self.has_room(&state, bytes_max)? && index.table_has_room(&index_state, definitions)?)
        {
            return Err(Error::WouldWait);
        }
        index.reserve(&index_state, last_position, definitions, lines)?;
        self.make_room(&mut writer.builder, &mut state, bytes_max)?;

        let place = state.tail;
        if flushes {
            // Once the record is written, an error is no longer a refusal; so what flushing takes is had before.
            self.segments.files(self.control.synced()?, place)?;
        }
        let created = now.max(state.created);
        let new = NewCommit {
            place,
            previous: state.crc,
            position: first_position,
            created,
            synced: self.control.synced()?,
            count: count as u64,
            meta,
            definitions: &plan.definitions,
        };
        writer.builder.commit(&new, self.seed);
        let appended = self.add_events(&mut writer.builder, &plan, parts, first_position);
        let (record, crc) = writer.builder.finish(self.seed);
        self.write_record(place, record)?;

        state = LogState { tail: place + record.len() as u64, position: last_position, created, crc };
        self.control.put_log_state(state);
        let commit = Preamble::read(record, place, self.seed, false)
            .ok_or_else(|| self.segments.damaged(place, Some(first_position), "a record was built wrongly"))?;
        let touched = plan.streams.iter().chain(plan.names.iter().map(|(_, name)| name));
        let known = touched.filter_map(|touched| Some((touched.number, touched.known?)));
        match index.apply_commit(&commit, &mut index_state, known) {
            Ok(()) => self.control.set_indexed(state.tail, state.position),
            // The commit exists, so an error would be wrong; it is the index that can be made anew.
            Err(Error::Corrupt { .. }) => self.remake_index(state.tail).map_err(|error| Error::unknown(&error))?,
            // Whoever has the lock next indexes it.
            Err(error) => return Err(Error::unknown(&error)),
        }
        fault::point();
        if self.options.durability != Durability::Fsync {
            self.control.publish(last_position);
        }
        fault::point();
        Ok((appended, last_position))
    }

    fn add_events(
        &self,
        builder: &mut Builder,
        plan: &Plan<'_>,
        parts: &[Part<'_>],
        first_position: u64,
    ) -> AppendedParts {
        let mut position = first_position;
        let mut appended = AppendedParts::with_capacity(parts.len());
        for (part, (stream, before)) in parts.iter().zip(&plan.parts) {
            let stream_key = plan.streams[*stream].number;
            let mut name = plan.names[0];
            for (event, version) in part.events.iter().zip(before + 1..) {
                if name.0 != event.name {
                    name = *plan.names.iter().find(|(text, _)| *text == event.name).expect("the plan has every name");
                }
                builder.event(stream_key, name.1.number, version, event.data, self.seed);
            }
            let more = part.events.len() as u64;
            appended.push(Appended {
                first_version: before + 1,
                last_version: before + more,
                first_position: position,
                last_position: position + more - 1,
            });
            position += more;
        }
        appended
    }

    /// Write a record above the tail. Whatever goes wrong, the log is as it was.
    pub(crate) fn write_record(&self, place: u64, record: &[u8]) -> Result<()> {
        let to = self.segments.opened(place, self.writes_mapped())?;
        fault::point();
        let outcome = self.segments.write(&to, place, record);
        if let Err(Error::Io { .. }) = &outcome {
            self.control.set_flag(control::FAILED, true)?;
        }
        fault::point();
        outcome
    }

    /// Measured: a stored record costs a tenth of a written one, but a flush then costs twice as much.
    pub(crate) fn writes_mapped(&self) -> bool {
        self.options.durability != Durability::Fsync && self.disk.mapped_writes()
    }

    /// Whether there are blocks for `bytes_max` more bytes of record in this segment already.
    #[inline]
    fn has_room(&self, state: &LogState, bytes_max: u64) -> Result<bool> {
        let wanted = state.tail + bytes_max.next_multiple_of(ALIGN_BYTES as u64) + HEAD_BYTES as u64;
        Ok(wanted <= self.control.allocated()?
            && self.segments.number_of(wanted - 1) == self.segments.number_of(state.tail))
    }

    /// Have blocks for `bytes_max` more bytes of record, in this segment or in the next.
    pub(crate) fn make_room(&self, builder: &mut Builder, state: &mut LogState, bytes_max: u64) -> Result<()> {
        let segment_bytes = self.segments.segment_bytes;
        let end_bytes = HEAD_BYTES as u64;
        let bytes_max = bytes_max.next_multiple_of(ALIGN_BYTES as u64);
        if bytes_max + end_bytes > segment_bytes - HEADER_BYTES {
            return Err(Error::Invalid(format!(
                "this commit takes up to {bytes_max} bytes; a commit must fit into one log file of {segment_bytes} bytes \
                 (segment_bytes): append it in several"
            )));
        }
        let segment_end = (self.segments.number_of(state.tail) + 1) * segment_bytes;
        if state.tail + bytes_max + end_bytes > segment_end {
            self.roll(builder, state)?;
        }
        let wanted = state.tail + bytes_max + end_bytes;
        let allocated = self.control.allocated()?;
        if allocated < wanted {
            self.grow(wanted)?;
        } else if allocated - wanted < growth_step(segment_bytes, allocated) / 2 {
            self.housekeeper.want_growth();
        }
        Ok(())
    }

    /// End this segment and go on in the next.
    fn roll(&self, builder: &mut Builder, state: &mut LogState) -> Result<()> {
        let number = self.segments.number_of(state.tail) + 1;
        let len = self.make_segment(number)?;
        // Whoever made it may have died before its name was safe.
        self.disk.sync_folder(segments::FOLDER).doing(|| "syncing the log's folder".to_owned())?;
        builder.end(state);
        let (record, crc) = builder.finish(self.seed);
        self.write_record(state.tail, record)?;
        state.tail = self.segments.first_place(number);
        state.crc = crc;
        let growing = self.growth_lock().take();
        self.control.set_allocated(number * self.segments.segment_bytes + len);
        drop(growing);
        self.control.put_log_state(*state);
        self.control.set_indexed(state.tail, state.position);
        fault::point();
        Ok(())
    }

    /// Have segment `number`; answers how many of its bytes have blocks.
    pub(crate) fn make_segment(&self, number: u64) -> Result<u64> {
        self.check_in_place()?;
        let _growing = self.growth_lock().take();
        let known = self.disk.list(segments::FOLDER).doing(|| "listing the log".to_owned())?;
        if !known.iter().any(|file| segments::name(number).ends_with(file.as_str())) {
            let segment_bytes = self.segments.segment_bytes;
            let len = growth_step(segment_bytes, number * segment_bytes);
            segments::create(&*self.disk, &self.segments.header(number), len, self.zeroes())?;
        }
        self.segments.measure(number)
    }

    /// Whether new blocks are written with zeros, so that flushing what is written into them later is cheap.
    fn zeroes(&self) -> bool {
        self.options.durability == Durability::Fsync
    }

    /// Give the newest segment blocks up to `wanted`, and some more.
    pub(crate) fn grow(&self, wanted: u64) -> Result<()> {
        let _growing = self.growth_lock().take();
        let allocated = self.control.allocated()?;
        if allocated >= wanted {
            return Ok(());
        }
        let segment_bytes = self.segments.segment_bytes;
        let number = self.segments.number_of(allocated - 1);
        let start = number * segment_bytes;
        let target = wanted.max(allocated + growth_step(segment_bytes, allocated)).next_multiple_of(4096);
        let target = target.min(start + segment_bytes);
        let what = || format!("growing {}", segments::name(number));
        if self.zeroes() {
            let file = self.segments.file_apart(number)?;
            file.write_zeros(allocated - start, target - allocated).doing(what)?;
            if let Err(error) = file.flush().doing(what) {
                // What could not be flushed may be somebody's commit in this file as well.
                self.control.set_flag(control::FAILED, true)?;
                return Err(error);
            }
        } else {
            self.segments.file(number)?.reserve(allocated - start, target - allocated).doing(what)?;
        }
        self.control.set_allocated(target);
        Ok(())
    }
}

/// µs since 1970.
pub(crate) fn now_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    }
}

fn bytes_max(plan: &Plan<'_>, parts: &[Part<'_>], count: usize, meta_bytes: usize) -> u64 {
    let data = parts.iter().flat_map(|part| part.events).map(|event| event.data.len()).sum();
    let text = plan.definitions.iter().map(|(_, _, text)| text.len()).sum();
    record::commit_bytes_max(count, data, meta_bytes, plan.definitions.len(), text)
}

/// Resolve streams and names, and check versions.
fn plan<'a>(
    index: &Index,
    state: &IndexState,
    last_name: &mut Option<(String, u32)>,
    parts: &[Part<'a>],
) -> Result<Plan<'a>> {
    let mut plan = Plan {
        streams: SmallVec::with_capacity(parts.len()),
        parts: SmallVec::with_capacity(parts.len()),
        names: SmallVec::new(),
        definitions: SmallVec::new(),
    };
    let mut next_key = state.keys;
    let mut define = |definitions: &mut SmallVec<[_; 2]>, kind, text| {
        definitions.push((next_key, kind, text));
        next_key += 1;
        Touched { number: next_key - 1, known: None, added: 0 }
    };
    // Looked up only when there are several parts, which may name a stream more than once.
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(if parts.len() > 1 { parts.len() } else { 0 });
    for part in parts {
        let at = match seen.get(part.stream) {
            Some(at) => *at,
            None => {
                plan.streams.push(match index.find(KeyKind::Stream, part.stream)? {
                    Some((number, key)) => Touched { number, known: Some(key), added: 0 },
                    None => define(&mut plan.definitions, KeyKind::Stream, part.stream),
                });
                plan.streams.len() - 1
            }
        };
        if parts.len() > 1 {
            seen.insert(part.stream, at);
        }
        let stream = &mut plan.streams[at];
        let actual = stream.count() + stream.added;
        if let Some(expected) = part.expected.filter(|expected| *expected != actual) {
            return Err(Error::Conflict { stream: part.stream.to_owned(), expected, actual });
        }
        stream.added += part.events.len() as u64;
        plan.parts.push((at, actual));
        let mut last = usize::MAX;
        for event in part.events {
            if plan.names.get(last).is_none_or(|(text, _)| *text != event.name) {
                last = match plan.names.iter().position(|(text, _)| *text == event.name) {
                    Some(at) => at,
                    None => {
                        let touched = match find_name(index, last_name, event.name)? {
                            Some((number, key)) => Touched { number, known: Some(key), added: 0 },
                            None => define(&mut plan.definitions, KeyKind::Name, event.name),
                        };
                        plan.names.push((event.name, touched));
                        plan.names.len() - 1
                    }
                };
            }
            plan.names[last].1.added += 1;
        }
    }
    Ok(plan)
}

/// An event's name is nearly always that of the event before.
fn find_name(index: &Index, last: &mut Option<(String, u32)>, name: &str) -> Result<Option<(u32, Key)>> {
    if let Some((_, number)) = last.as_ref().filter(|(text, _)| text == name) {
        return Ok(Some((*number, index.key(*number)?)));
    }
    let found = index.find(KeyKind::Name, name)?;
    if let Some((number, _)) = &found {
        *last = Some((name.to_owned(), *number));
    }
    Ok(found)
}
