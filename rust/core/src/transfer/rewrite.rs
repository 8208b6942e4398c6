//! Rewriting: the log of a store is written once more, from its first record to its last, with other payloads for some of
//! its events, and put in its place in one step. Told in `docs/rewriting.md`.
//!
//! Positions, versions, times, meta, tags, names and the store's id stay; places and checksums are made anew. So whatever
//! is derived from the log goes before the step, and is rebuilt after it; what reactions have come to stays.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::clock::now_us;
use crate::disk::{Disk, check_no_archive};
use crate::error::{Error, Result};
use crate::log::builder::{NewSnapshot, TAG_BYTES_MAX, commit_bytes_max};
use crate::log::record::{KeyKind, Kind, Preamble, Seed, SnapshotRecord, Stored};
use crate::log::scan::{Found, Scan, Step};
use crate::log::segments::{self, Segments};
use crate::options::Options;
use crate::payload::check::{check, check_meta};
use crate::recovery::recover::readable;
use crate::recovery::verify::verify;
use crate::store::log::Log;
use crate::transfer::log_writer::{self, LogWriter, NewEvent};
use crate::transfer::swap::{Destination, Kin};

/// Who hears how far the work has come: bytes done, and bytes in all. An error puts an end to it.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<()>;

/// An event that tells what was done, appended as the last commit of the new log.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Its stream.
    pub stream: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its payload.
    pub data: &'a [u8],
    /// What its commit carries.
    pub meta: &'a [u8],
}

impl Note<'_> {
    fn check(&self) -> Result<()> {
        let refused = |what, flaw| Error::Invalid(format!("the {what} of what is to tell of it is {flaw}"));
        check(self.data).map_err(|flaw| refused("data", flaw))?;
        if self.meta.is_empty() { Ok(()) } else { check_meta(self.meta).map_err(|flaw| refused("meta", flaw)) }
    }
}

/// What was rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// How many events have another payload now.
    pub events: u64,
    /// How many snapshots were left out.
    pub snapshots: u64,
    /// How many bytes of log there were.
    pub bytes_before: u64,
    /// How many there are.
    pub bytes_after: u64,
    /// Where the event is that tells of it.
    pub position: u64,
}

/// What becomes of the events and snapshots of a log.
pub(super) trait Rule {
    /// The payload that an event has from now on; None: the one it has.
    fn payload(&mut self, event: &Stored<'_>) -> Result<Option<&[u8]>>;

    /// Whether a snapshot of a stream may stay. Events that come before it in the log have been seen.
    fn keeps(&self, stream: u32, version: u64) -> bool;

    /// Whether all was found that is to be changed.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// The log of a store that nobody has open, and that nobody opens meanwhile.
pub(super) struct Rewriting {
    target: Destination,
    segments: Arc<Segments>,
    tail: u64,
}

impl Rewriting {
    /// Begin. `purpose`: what for, for people, as in "close it everywhere, then restore".
    pub(super) fn begin(disk: &Arc<dyn Disk>, purpose: &str) -> Result<Self> {
        // Whatever a crash left is put right first, and all is flushed when it is closed again.
        Log::open(Arc::clone(disk), Options { create: false, adopt_durability: true, ..Options::default() })?
            .shut_down()?;
        let (target, _) = Destination::successor(disk, purpose)?;
        let header = segments::read_header(&**disk, 0)?;
        let meanwhile =
            || Error::Locked(format!("{} was used by another program just now; try again", disk.describe()));
        let control = readable(disk, &header)?.ok_or_else(meanwhile)?;
        let tail = control.log_state()?.tail;
        let segments = Arc::new(Segments::new(Arc::clone(disk), &header, false));
        let archived = segments.packed(0)?.is_some_and(|packed| packed.absent.is_some());
        check_no_archive(&**disk, archived, purpose)?;
        Ok(Self { target, segments, tail })
    }

    /// Walk all records.
    pub(super) fn each(&self, mut take: impl FnMut(&Found<'_>) -> Result<()>) -> Result<()> {
        let count = self.segments.number_of(self.tail) + 1;
        let mut scan = Scan::new(&self.segments, count);
        while scan.place < self.tail {
            match scan.step()? {
                Step::Record(found) => take(&found)?,
                Step::Stop(reason) => {
                    let what =
                        format!("{reason}; run `act-fast verify`, which lists what is damaged; nothing was changed");
                    return Err(self.segments.damaged(scan.place, Some(scan.position + 1), &what));
                }
            }
        }
        Ok(())
    }

    /// A commit that was found.
    pub(super) fn commit<'a>(&self, found: &Found<'a>) -> Result<Preamble<'a>> {
        Preamble::read(found.bytes, found.place, Seed::new(&self.segments.store_id), false)
            .ok_or_else(|| self.segments.damaged(found.place, Some(found.head.position), "this commit is damaged"))
    }

    /// Write the log once more, and put it in its place.
    pub(super) fn finish(self, rule: &mut dyn Rule, note: &Note<'_>, progress: Progress<'_>) -> Result<Rewritten> {
        note.check()?;
        let total = 2 * self.tail;
        let writer = LogWriter::begin_as(&self.target.disk(), self.segments.store_id, self.segments.segment_bytes)?;
        let mut copy = Copy::new(writer, self.segments.segment_bytes, note);
        self.each(|found| {
            progress(found.place, total)?;
            match found.head.kind {
                Kind::Commit => copy.commit(&self.commit(found)?, rule),
                Kind::Snapshot => {
                    let damaged = || self.segments.damaged(found.place, None, "this snapshot is damaged");
                    copy.snapshot(&SnapshotRecord::read(found.bytes).ok_or_else(damaged)?, &*rule)
                }
                Kind::End => Ok(()),
            }
        })?;
        rule.check()?;
        copy.note(note)?;
        let Copy { writer, mut done, commits, .. } = copy;
        done.bytes_before = self.tail;
        done.bytes_after = writer.finish()?;
        let report = verify(&self.target.disk(), &mut |at, _| progress(self.tail + at.min(self.tail), total))?;
        if let Some(first) = report.problems.first() {
            return Err(Error::corrupt(&first.file, first.offset, first.position, &first.what));
        }
        if (report.events, report.commits) != (done.position, commits) {
            return Err(Error::corrupt("log", 0, Some(report.events + 1), "what was written reads back differently"));
        }
        progress(total, total)?;
        self.target.put_in_place(Kin::Same)?;
        Ok(done)
    }
}

/// A log that is being copied.
struct Copy<'n> {
    writer: LogWriter,
    segment_bytes: u64,
    note: Note<'n>,
    /// The keys of the note's stream and name.
    note_keys: [Option<u32>; 2],
    note_version: u64,
    keys: u32,
    created: i64,
    commits: u64,
    /// Where each stream's youngest snapshot is now.
    snapshots: HashMap<u32, u64>,
    done: Rewritten,
    data: Vec<u8>,
    tags: Vec<u32>,
    events: Vec<Event>,
}

/// An event of the commit that is being copied.
struct Event {
    stream: u32,
    name: u32,
    version: u64,
    data: Range<usize>,
    tags: Range<usize>,
}

impl<'n> Copy<'n> {
    fn new(writer: LogWriter, segment_bytes: u64, note: &Note<'n>) -> Self {
        Self {
            writer,
            segment_bytes,
            note: *note,
            note_keys: [None; 2],
            note_version: 0,
            keys: 0,
            created: 0,
            commits: 0,
            snapshots: HashMap::new(),
            done: Rewritten::default(),
            data: Vec::new(),
            tags: Vec::new(),
            events: Vec::new(),
        }
    }

    fn commit(&mut self, commit: &Preamble<'_>, rule: &mut dyn Rule) -> Result<()> {
        let definitions: Vec<_> = commit.definitions().map(|each| (each.key, each.kind, each.text)).collect();
        for (key, kind, text) in &definitions {
            self.keys = self.keys.max(key + 1);
            let sought = [(KeyKind::Stream, self.note.stream), (KeyKind::Name, self.note.name)];
            for (known, sought) in self.note_keys.iter_mut().zip(sought) {
                if sought == (*kind, *text) {
                    *known = Some(*key);
                }
            }
        }
        self.data.clear();
        self.tags.clear();
        self.events.clear();
        for event in commit.events() {
            if self.note_keys[0] == Some(event.stream) {
                self.note_version = event.version;
            }
            let (start, first) = (self.data.len(), self.tags.len());
            match rule.payload(&event)? {
                None => self.data.extend_from_slice(event.data),
                Some(data) => {
                    self.data.extend_from_slice(data);
                    self.done.events += 1;
                }
            }
            self.tags.extend(event.tags.keys());
            let (data, tags) = (start..self.data.len(), first..self.tags.len());
            self.events.push(Event { stream: event.stream, name: event.name, version: event.version, data, tags });
        }
        self.created = commit.head.created;
        self.write(commit.meta, &definitions)
    }

    fn write(&mut self, meta: &[u8], definitions: &[(u32, KeyKind, &str)]) -> Result<()> {
        let texts = definitions.iter().map(|(_, _, text)| text.len()).sum();
        let bytes_max = commit_bytes_max(self.events.len(), self.data.len(), meta.len(), definitions.len(), texts)
            + TAG_BYTES_MAX * self.tags.len() as u64;
        let first = self.done.position + 1;
        if !log_writer::fits(bytes_max, self.segment_bytes) {
            return Err(Error::Invalid(format!(
                "the commit at position {first} would take up to {bytes_max} bytes, but must fit into one log file of {} \
                 bytes; nothing was changed",
                self.segment_bytes
            )));
        }
        let (data, tags) = (&self.data, &self.tags);
        let events = self.events.iter().map(|event| NewEvent {
            stream: event.stream,
            name: event.name,
            version: event.version,
            tags: &tags[event.tags.clone()],
            data: &data[event.data.clone()],
        });
        self.writer.commit(self.created, meta, definitions, events, bytes_max)?;
        self.done.position += self.events.len() as u64;
        self.commits += 1;
        Ok(())
    }

    fn snapshot(&mut self, found: &SnapshotRecord<'_>, rule: &dyn Rule) -> Result<()> {
        if !rule.keeps(found.stream, found.version) {
            self.done.snapshots += 1;
            return Ok(());
        }
        let before = self.snapshots.get(&found.stream).copied().unwrap_or(0);
        let new = NewSnapshot { stream: found.stream, version: found.version, before, data: found.data };
        let place = self.writer.snapshot(found.head.created, &new)?;
        self.created = found.head.created;
        self.snapshots.insert(found.stream, place);
        Ok(())
    }

    /// Append the event that tells what was done.
    fn note(&mut self, note: &Note<'_>) -> Result<()> {
        let mut definitions = Vec::new();
        let mut key = |known: Option<u32>, kind, text| {
            known.unwrap_or_else(|| {
                let new = self.keys;
                self.keys += 1;
                definitions.push((new, kind, text));
                new
            })
        };
        let stream = key(self.note_keys[0], KeyKind::Stream, note.stream);
        let name = key(self.note_keys[1], KeyKind::Name, note.name);
        self.data.clear();
        self.data.extend_from_slice(note.data);
        self.tags.clear();
        self.events.clear();
        let version = self.note_version + 1;
        self.events.push(Event { stream, name, version, data: 0..note.data.len(), tags: 0..0 });
        self.created = now_us().max(self.created);
        self.write(note.meta, &definitions)
    }
}
