//! Restoring: a whole log made anew from rows, checked as it is made, and put in its place when it is whole.
//!
//! Positions are given anew, from 1 and without gap. What rows say of positions (their own, and those of the events that
//! caused them) is only used to keep the one consistent with the other. Versions must be those that the rows' order gives.

mod columns;
mod created;
mod csv;
mod in_order;
mod jsonl;
mod line;
mod meta;
mod positions;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::clock::now_us;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::builder::{TAG_BYTES_MAX, commit_bytes_max};
use crate::log::record::{HEAD_BYTES, KeyKind};
use crate::log::segments::{self, Segments};
use crate::names;
use crate::payload::check::{Shapes, check_shaped};
use crate::recovery::recover::{Contents, prepare};
use crate::store::directory;
use crate::transfer::log_writer::{self, LogWriter, NewEvent};
use crate::transfer::swap::{Destination, Kin};
use positions::Positions;

pub use columns::{KINDS, read_columns};
pub use csv::read_csv;
pub use jsonl::read_jsonl;
pub use meta::Meta;

/// The times that a record can hold, in µs since 1970: 56 bits.
const CREATED_RANGE: Range<i64> = -(1 << 55)..1 << 55;

/// How many bytes of a text its names, its tags and what is read ahead of it take, at most.
const BESIDES_BYTES_MAX: u64 = 1 << 20;

/// An event as a source has it. What is None is not said there.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Its position in the log that it comes from.
    pub position: Option<u64>,
    /// The same for all events of a commit, and for no others.
    pub commit: Option<u64>,
    /// Its stream.
    pub stream: &'a str,
    /// Its version, from 1.
    pub version: Option<u64>,
    /// Its name.
    pub name: &'a str,
    /// µs since 1970.
    pub created: Option<i64>,
    /// Its payload, which was found to be one that a log can hold.
    pub data: &'a str,
    /// What its commit carries.
    pub meta: Option<Meta<'a>>,
    /// Its tags: a JSON list of texts, or nothing.
    pub tags: &'a str,
}

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many events.
    pub events: u64,
    /// In how many commits.
    pub commits: u64,
    /// In how many streams.
    pub streams: u64,
    /// How many commits were said to be older than one before them, and were given its time: time never runs backwards.
    pub held: u64,
    /// How many commits were caused by an event that the source does not have: that event's position is now 0.
    pub causes_lost: u64,
    /// How many bytes of log were written.
    pub bytes: u64,
}

#[derive(Debug)]
struct Stream {
    key: u32,
    version: u64,
}

/// Something for each text.
type ByText<T> = HashMap<Box<str>, T, BuildHasherDefault<TextHasher>>;

/// A hash for texts, of which a source may have millions.
#[derive(Default)]
struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, text: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(text, self.0);
    }

    /// What sets the end of a text apart from what follows it: nothing does.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A commit that is being gathered.
#[derive(Debug, Default)]
struct Commit {
    number: Option<u64>,
    created_given: Option<i64>,
    created: i64,
    meta_given: Vec<u8>,
    /// With the positions that causing events have now.
    meta: Vec<u8>,
    events: Vec<Gathered>,
    data: Vec<u8>,
    tags: Vec<u32>,
    definitions: Vec<(u32, KeyKind, Range<usize>)>,
    text: String,
}

#[derive(Debug)]
struct Gathered {
    stream: u32,
    name: u32,
    version: u64,
    data: Range<usize>,
    tags: Range<usize>,
}

impl Commit {
    fn bytes_max(&self) -> u64 {
        let texts = self.text.len();
        let tags = TAG_BYTES_MAX * self.tags.len() as u64;
        commit_bytes_max(self.events.len(), self.data.len(), self.meta.len(), self.definitions.len(), texts) + tags
    }

    fn define(&mut self, key: u32, kind: KeyKind, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.definitions.push((key, kind, start..self.text.len()));
    }

    fn clear(&mut self) {
        self.meta_given.clear();
        self.meta.clear();
        self.events.clear();
        self.data.clear();
        self.tags.clear();
        self.definitions.clear();
        self.text.clear();
    }
}

/// Whether there is a log that was ever written to, or that cannot be made sense of.
fn holds_something(disk: &Arc<dyn Disk>) -> Result<bool> {
    if !directory::look(&**disk)? {
        return Ok(false);
    }
    let Ok(header) = segments::read_header(&**disk, 0) else { return Ok(true) };
    let segments = Segments::new(Arc::clone(disk), &header, false);
    let first = segments.bytes_up_to(segments.first_place(0), HEAD_BYTES);
    Ok(first.map_or(true, |bytes| bytes.iter().any(|byte| *byte != 0)))
}

/// A log that is being made from rows.
#[derive(Debug)]
pub struct Restoring {
    /// None when rows are only checked.
    out: Option<(LogWriter, Destination)>,
    segment_bytes: u64,
    streams: ByText<Stream>,
    names: ByText<u32>,
    tags: ByText<u32>,
    keys: u32,
    positions: Positions,
    commit: Commit,
    /// The time of the last commit.
    created: i64,
    /// The time of those commits that state none.
    now: i64,
    restored: Restored,
}

impl Restoring {
    fn begin(target: Option<Destination>, segment_bytes: u64) -> Result<Self> {
        let out = match target {
            Some(target) => Some((LogWriter::begin(&target.disk(), segment_bytes)?, target)),
            None => None,
        };
        Ok(Self {
            out,
            segment_bytes,
            streams: ByText::default(),
            names: ByText::default(),
            tags: ByText::default(),
            keys: 0,
            positions: Positions::default(),
            commit: Commit::default(),
            created: CREATED_RANGE.start,
            now: now_us(),
            restored: Restored::default(),
        })
    }

    /// Begin to make a store where there is none: `name` on a disk.
    pub fn new_store(outer: &Arc<dyn Disk>, name: &str, segment_bytes: u64) -> Result<Self> {
        Self::begin(Some(Destination::new_store(outer, name)?), segment_bytes)
    }

    /// Begin to make the successor of the store on a disk. It must be open nowhere else; opening it waits. `replace`: also
    /// of one that holds something.
    pub fn successor(disk: &Arc<dyn Disk>, segment_bytes: u64, replace: bool) -> Result<Self> {
        let (target, known_bytes) = Destination::successor(disk, "restore")?;
        if !replace && holds_something(disk)? {
            return Err(Error::Invalid(format!(
                "{} holds events, which would be gone, since a restore replaces everything in a store: restore to a new \
                 path, or pass replace=True (on the command line, --replace) to replace them",
                disk.describe()
            )));
        }
        Self::begin(Some(target), known_bytes.unwrap_or(segment_bytes))
    }

    /// Only check rows, and make nothing.
    pub fn rehearsal(segment_bytes: u64) -> Result<Self> {
        Self::begin(None, segment_bytes)
    }

    /// How many bytes of a text may be one event. Its payload and its meta fit into one log file, also with each quote twice,
    /// and all else is short.
    fn text_bytes_max(&self) -> u64 {
        2 * self.segment_bytes + BESIDES_BYTES_MAX
    }

    /// Take the next event. An `Invalid` error says what is wrong with it.
    pub fn add(&mut self, row: &Row<'_>) -> Result<()> {
        let goes_on = row.commit.is_some() && row.commit == self.commit.number && !self.commit.events.is_empty();
        if goes_on {
            self.check_same_commit(row)?;
        } else {
            self.write_commit()?;
            self.begin_commit(row)?;
        }
        self.add_event(row)
    }

    fn check_same_commit(&self, row: &Row<'_>) -> Result<()> {
        let same = row.created == self.commit.created_given
            && row.meta.as_ref().map_or("", Meta::text).as_bytes() == self.commit.meta_given;
        if same {
            return Ok(());
        }
        Err(invalid("its `created` or `meta` is not that of the other events of its commit, which has one of each"))
    }

    fn begin_commit(&mut self, row: &Row<'_>) -> Result<()> {
        if let (Some(number), Some(before)) = (row.commit, self.commit.number)
            && number <= before
        {
            return Err(invalid("its commit is not above the one before it; sort the events by position"));
        }
        let stated = row.created.unwrap_or(self.now);
        if !CREATED_RANGE.contains(&stated) {
            return Err(invalid("`created` is out of the range that a log can hold, the years 829 to 3111"));
        }
        let commit = &mut self.commit;
        commit.number = row.commit;
        commit.created_given = row.created;
        commit.created = stated.max(self.created);
        self.restored.held += u64::from(stated < self.created);
        self.created = commit.created;
        if let Some(given) = &row.meta {
            commit.meta_given.extend_from_slice(given.text().as_bytes());
            let found = given.now(&self.positions);
            self.restored.causes_lost += u64::from(found.cause_lost);
            commit.meta.extend_from_slice(found.meta.as_bytes());
        }
        Ok(())
    }

    fn add_event(&mut self, row: &Row<'_>) -> Result<()> {
        self.positions.add(row.position, self.restored.events + 1).map_err(invalid)?;
        let version = self.stream_of(row)?;
        let name = self.name_of(row.name)?;
        let tags = self.tags_of(row.tags)?;
        let commit = &mut self.commit;
        let start = commit.data.len();
        commit.data.extend_from_slice(row.data.as_bytes());
        let (stream, version) = version;
        commit.events.push(Gathered { stream, name, version, data: start..commit.data.len(), tags });
        self.restored.events += 1;
        if log_writer::fits(commit.bytes_max(), self.segment_bytes) {
            return Ok(());
        }
        Err(invalid(&format!(
            "its commit takes up to {} bytes; a commit must fit into one log file of {} bytes (segment_bytes)",
            commit.bytes_max(),
            self.segment_bytes
        )))
    }

    /// The key of a row's stream, and the version it comes to.
    fn stream_of(&mut self, row: &Row<'_>) -> Result<(u32, u64)> {
        let known = self.streams.get_mut(row.stream);
        let version = known.as_ref().map_or(0, |known| known.version) + 1;
        if let Some(stated) = row.version.filter(|stated| *stated != version) {
            return Err(invalid(&format!(
                "its `version` is {stated}, but the next one of its stream is {version}; restore whole streams in order, or leave \
                 out the column `version`"
            )));
        }
        if let Some(known) = known {
            known.version = version;
            return Ok((known.key, version));
        }
        names::check("stream", row.stream)?;
        let key = self.new_key(KeyKind::Stream, row.stream)?;
        self.streams.insert(row.stream.into(), Stream { key, version });
        self.restored.streams += 1;
        Ok((key, version))
    }

    fn name_of(&mut self, name: &str) -> Result<u32> {
        if let Some(key) = self.names.get(name) {
            return Ok(*key);
        }
        names::check("event name", name)?;
        let key = self.new_key(KeyKind::Name, name)?;
        self.names.insert(name.into(), key);
        Ok(key)
    }

    /// Which of the commit's tags are those of a row.
    fn tags_of(&mut self, given: &str) -> Result<Range<usize>> {
        let start = self.commit.tags.len();
        if given.is_empty() {
            return Ok(start..start);
        }
        let tags: Vec<Cow<'_, str>> =
            serde_json::from_str(given).map_err(|_| invalid("`tags` is no JSON list of texts"))?;
        names::check_tags(&tags.iter().map(|tag| &**tag).collect::<Vec<_>>())?;
        for tag in &tags {
            let key = match self.tags.get(&**tag) {
                Some(key) => *key,
                None => {
                    let key = self.new_key(KeyKind::Tag, tag)?;
                    self.tags.insert((**tag).into(), key);
                    key
                }
            };
            self.commit.tags.push(key);
        }
        Ok(start..self.commit.tags.len())
    }

    fn new_key(&mut self, kind: KeyKind, text: &str) -> Result<u32> {
        let key = self.keys;
        self.keys = key
            .checked_add(1)
            .ok_or_else(|| Error::Full("a log cannot have that many streams, event names and tags".to_owned()))?;
        self.commit.define(key, kind, text);
        Ok(key)
    }

    fn write_commit(&mut self) -> Result<()> {
        if self.commit.events.is_empty() {
            return Ok(());
        }
        self.restored.commits += 1;
        let commit = &self.commit;
        if let Some((writer, _)) = &mut self.out {
            let texts = commit.definitions.iter().map(|(key, kind, at)| (*key, *kind, &commit.text[at.clone()]));
            let definitions: Vec<_> = texts.collect();
            let events = commit.events.iter().map(|event| NewEvent {
                stream: event.stream,
                name: event.name,
                version: event.version,
                tags: &commit.tags[event.tags.clone()],
                data: &commit.data[event.data.clone()],
            });
            writer.commit(commit.created, &commit.meta, &definitions, events, commit.bytes_max())?;
        }
        self.commit.clear();
        Ok(())
    }

    /// All rows were taken: read what was made, and put it in its place. Until then nothing has changed.
    pub fn finish(mut self, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Restored> {
        self.write_commit()?;
        if self.restored.events == 0 {
            return Err(invalid("there are no events in it"));
        }
        let Some((writer, target)) = self.out.take() else {
            return Ok(self.restored);
        };
        let bytes = writer.finish()?;
        let Restored { events, commits, .. } = self.restored;
        if prepare(&target.disk(), &mut |done| progress(done, bytes))? != (Contents { events, commits, bytes }) {
            return Err(Error::corrupt("log", 0, None, "what was written reads back differently"));
        }
        progress(bytes, bytes)?;
        self.restored.bytes = bytes;
        target.put_in_place(Kin::Another)?;
        Ok(self.restored)
    }
}

/// Refuse a payload that an append would refuse.
fn check_data(shapes: &mut Shapes, name: &str, data: &str) -> Result<()> {
    check_shaped(shapes, name, data.as_bytes()).map_err(|flaw| Error::Invalid(format!("`data` is {flaw}")))
}

fn invalid(what: &str) -> Error {
    Error::Invalid(what.to_owned())
}

/// Say where in which file something is wrong.
pub fn in_source(error: Error, file: &str, unit: &'static str, number: u64) -> Error {
    match error {
        Error::Invalid(message) => Error::Source { file: file.to_owned(), unit, number, message },
        other => other,
    }
}
