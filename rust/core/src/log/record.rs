//! Records: what the log is made of. Every field is in `docs/format.md`.
//!
//! A record is written once, checked by its own checksum, tied to its place (which seeds the checksum) and to the record
//! before it (whose checksum it repeats). A commit of one event is checked as a whole; in larger ones the preamble and
//! each event carry checksums of their own, so that reading one does not mean reading all.

use std::ops::Range;

use crate::bytes::{ByteReader, narrow_at, put_varint, u32_at, u64_at, varint_len};

/// The format of files written by this version.
pub(crate) const FORMAT: u32 = 1;
/// The format of the log of a replica, whose commits say which proposal they come from.
pub(crate) const REPLICA_FORMAT: u32 = 2;
/// The format of a log file that is packed: earlier versions refuse it, and with it the store.
pub(crate) const PACKED_FORMAT: u32 = 3;
/// The format of what stays of a log file that is archived.
pub(crate) const ARCHIVED_FORMAT: u32 = 4;
/// The largest `created`, which is stored in 7 bytes.
pub(crate) const CREATED_MAX_US: i64 = (1 << 55) - 1;
/// The last letter of the magic of a commit that says which proposal it comes from.
pub(super) const PROPOSED: u8 = b'P';
pub(crate) const HEAD_BYTES: usize = 28;
/// Records begin and end at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 4;
pub(super) const MAGIC: [u8; 3] = *b"ACT";
/// A distance to the synced mark beyond this many bytes is left out: it would only cost space.
pub(super) const DISTANCE_MAX: u64 = 1 << 20;

/// What the log has come to, as far as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogState {
    /// Where the next record goes.
    pub(crate) tail: u64,
    /// The last position written.
    pub(crate) position: u64,
    /// `created` of the last commit, in µs since 1970.
    pub(crate) created: i64,
    /// The checksum of the last record.
    pub(crate) crc: u32,
}

/// A proposal: the place of its record in the ordered log, and which one of that record it is, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proposed {
    /// The place of the record, from 1; 0 before all.
    pub place: u64,
    /// Which proposal of the record.
    pub index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Snapshot,
    /// Nothing more in this segment.
    End,
}

impl Kind {
    pub(super) fn letter(self) -> u8 {
        match self {
            Self::Commit => b'C',
            Self::Snapshot => b'S',
            Self::End => b'E',
        }
    }

    fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'C' | PROPOSED => Some(Self::Commit),
            b'S' => Some(Self::Snapshot),
            b'E' => Some(Self::End),
            _ => None,
        }
    }
}

/// What the names of streams, events and tags are referred to by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum KeyKind {
    Stream = 0,
    Name = 1,
    Tag = 2,
}

impl KeyKind {
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Stream),
            1 => Some(Self::Name),
            2 => Some(Self::Tag),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) len: usize,
    pub(crate) crc: u32,
    /// The checksum of the record before.
    pub(crate) previous: u32,
    /// A commit's first position; for other records the last position before them.
    pub(crate) position: u64,
    /// µs since 1970; 56 bits of it are stored.
    pub(crate) created: i64,
}

impl Head {
    /// Read a head. None when there is none here, or it cannot be one.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEAD_BYTES || bytes[..3] != MAGIC {
            return None;
        }
        let len = u32_at(bytes, 4) as usize;
        if len < HEAD_BYTES || !len.is_multiple_of(ALIGN_BYTES) {
            return None;
        }
        Some(Self {
            kind: Kind::from_letter(bytes[3])?,
            len,
            crc: u32_at(bytes, 8),
            previous: u32_at(bytes, 12),
            position: narrow_at::<5>(bytes, 16),
            created: (narrow_at::<7>(bytes, 21) << 8).cast_signed() >> 8,
        })
    }
}

/// Ties checksums to one store and one place in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn new(store_id: &[u8; 16]) -> Self {
        Self(u64_at(store_id, 0) ^ u64_at(store_id, 8).rotate_left(32))
    }

    #[inline]
    fn at(self, place: u64) -> u32 {
        let mixed = (self.0 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as u32
    }

    /// The checksum of a whole record: of its magic and length, and of everything after the checksum itself.
    #[inline]
    pub(crate) fn record_crc(self, place: u64, record: &[u8]) -> u32 {
        let start = self.at(place) ^ u32_at(record, 0).rotate_left(7) ^ u32_at(record, 4).rotate_left(17);
        crc32c::crc32c_append(start, &record[12..])
    }

    /// The checksum of a part of a record: `place` is where the part starts.
    #[inline]
    pub(super) fn part_crc(self, place: u64, position: u64, part: &[u8]) -> u32 {
        crc32c::crc32c_append(self.at(place) ^ (position as u32).rotate_left(11), part)
    }
}

/// The record at `place`, if `bytes` begin with a whole and sound one.
#[inline]
pub(crate) fn sound(bytes: &[u8], place: u64, seed: Seed) -> Option<Head> {
    let head = Head::read(bytes)?;
    let record = bytes.get(..head.len)?;
    (seed.record_crc(place, record) == head.crc).then_some(head)
}

/// A key that a commit brings into being.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition<'a> {
    pub(crate) key: u32,
    pub(crate) kind: KeyKind,
    pub(crate) text: &'a str,
    /// Where the text is in the log.
    pub(crate) place: u64,
}

/// An event as it stands in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) place: u64,
    pub(crate) stream: u32,
    pub(crate) name: u32,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) tags: Tags<'a>,
    pub(crate) data: &'a [u8],
}

/// The keys of an event's tags, in the order in which they were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags<'a>(&'a [u8]);

impl Tags<'_> {
    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key is one of them.
    #[must_use]
    pub fn has(self, key: u32) -> bool {
        self.keys().any(|own| own == key)
    }
}

impl<'a> Tags<'a> {
    /// Those that `encode` has written.
    #[must_use]
    pub fn of(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// Write keys as an event has them.
    #[must_use]
    pub fn encode(keys: impl Iterator<Item = u32>) -> Vec<u8> {
        let mut out = Vec::new();
        keys.for_each(|key| put_varint(&mut out, key.into()));
        out
    }

    /// One by one.
    #[inline]
    pub fn keys(self) -> impl Iterator<Item = u32> + use<'a> {
        let mut reader = ByteReader::new(self.0, 0);
        std::iter::from_fn(move || reader.varint().map(|key| key as u32))
    }
}

/// A commit's preamble.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preamble<'a> {
    pub(crate) head: Head,
    pub(crate) place: u64,
    pub(crate) count: u64,
    /// Up to where the log was known to be flushed when this was written; 0 when that was far back or unknown.
    pub(crate) synced: u64,
    /// Which proposal this was; `Proposed::default()` in a log that is not a replica's.
    pub(crate) proposed: Proposed,
    pub(crate) meta: &'a [u8],
    definitions: ByteReader<'a>,
    definition_count: u64,
    events_at: usize,
    record: &'a [u8],
}

impl<'a> Preamble<'a> {
    /// Read the preamble of the commit that `bytes` begin with. `check`: also its own checksum, where it has one.
    #[inline]
    pub(crate) fn read(bytes: &'a [u8], place: u64, seed: Seed, check: bool) -> Option<Self> {
        Self::begun(bytes, place, seed, check).filter(Self::is_at_hand)
    }

    /// The same, of bytes that may end before the commit does, behind its preamble.
    #[inline]
    pub(crate) fn begun(bytes: &'a [u8], place: u64, seed: Seed, check: bool) -> Option<Self> {
        let head = Head::read(bytes)?;
        if head.kind != Kind::Commit {
            return None;
        }
        let record = &bytes[..head.len.min(bytes.len())];
        let mut cursor = ByteReader::new(record, HEAD_BYTES);
        let count = cursor.varint().filter(|count| *count > 0)?;
        let distance = cursor.varint()?;
        let meta_len = cursor.varint()?;
        let definition_count = cursor.varint()?;
        let proposed = if record[3] == PROPOSED {
            Proposed { place: cursor.varint().filter(|place| *place > 0)?, index: cursor.varint()? }
        } else {
            Proposed::default()
        };
        let meta = cursor.take(meta_len)?;
        let definitions = cursor;
        for _ in 0..definition_count {
            skip_definition(&mut cursor)?;
        }
        if count != 1 {
            let end = cursor.at;
            let stated = cursor.u32()?;
            if check && stated != seed.part_crc(place, head.position, &record[12..end]) {
                return None;
            }
        }
        let synced = if distance == 0 { 0 } else { (place + 1).checked_sub(distance)? };
        let events_at = cursor.at;
        Some(Self { head, place, count, synced, proposed, meta, definitions, definition_count, events_at, record })
    }

    /// Its bytes, from the first of the record on.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.record[..self.events_at]
    }

    /// Whether all of the commit is at hand.
    pub(crate) fn is_at_hand(&self) -> bool {
        self.record.len() == self.head.len
    }

    /// The keys that this commit brings into being.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = Definition<'a>> + use<'a> {
        let mut cursor = self.definitions;
        let place = self.place;
        (0..self.definition_count).map_while(move |_| {
            let key = u32::try_from(cursor.varint()?).ok()?;
            let kind = KeyKind::from_number(cursor.varint()?)?;
            let len = cursor.varint()?;
            let at = cursor.at as u64;
            let text = std::str::from_utf8(cursor.take(len)?).ok()?;
            Some(Definition { key, kind, text, place: place + at })
        })
    }

    /// How many keys this commit says that it brings into being.
    pub(crate) fn definition_count(&self) -> u64 {
        self.definition_count
    }

    /// What the index has no use for: the meta, the payloads, and checksums over them; as offsets in the record.
    pub(crate) fn contents(&self) -> Vec<Range<usize>> {
        let meta = self.definitions.at - self.meta.len()..self.definitions.at;
        let mut found = Vec::from([meta]);
        if self.count > 1 {
            found.push(self.events_at - 4..self.events_at);
        }
        let mut events = self.events();
        while let Some(event) = events.next() {
            let end = events.cursor.at;
            let crc = if self.count > 1 { 4 } else { 0 };
            found.push(end - crc - event.data.len()..end);
        }
        found
    }

    /// Whether the commit holds all the keys and events that it says, and nothing else. Their own checksums are not
    /// looked at.
    fn is_whole(&self) -> bool {
        let mut events = self.events();
        let placed = events.by_ref().all(|event| {
            let at = event.place - self.place;
            usize::try_from(at).ok().and_then(|start| distance_to_commit(&self.record[start..])) == Some(at)
        });
        placed
            && events.left == 0
            && self.definitions().count() as u64 == self.definition_count
            && is_padding(&self.record[events.cursor.at..])
    }

    /// The events in order. Their own checksums are not looked at: whoever walks whole records has checked the record.
    #[inline]
    pub(crate) fn events(&self) -> Events<'a> {
        Events {
            cursor: ByteReader::new(self.record, self.events_at),
            place: self.place,
            position: self.head.position,
            left: self.count,
            single: self.count == 1,
        }
    }
}

/// Whether these can be the last bytes of a record, behind all that it holds.
fn is_padding(rest: &[u8]) -> bool {
    rest.len() < ALIGN_BYTES && rest.iter().all(|byte| *byte == 0)
}

/// What a sound record holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// How many events.
    pub(crate) events: u64,
    /// Which proposal it was.
    pub(crate) proposed: Proposed,
}

/// What a sound record holds; None when it does not hold what it says, or more than that. `check`: also the checksum of its
/// preamble.
pub(crate) fn held(head: &Head, bytes: &[u8], place: u64, seed: Seed, check: bool) -> Option<Held> {
    let nothing = Held::default();
    match head.kind {
        Kind::Commit => {
            let commit = Preamble::read(bytes, place, seed, check).filter(Preamble::is_whole)?;
            Some(Held { events: commit.count, proposed: commit.proposed })
        }
        Kind::Snapshot => SnapshotRecord::read(bytes).filter(|snapshot| snapshot.is_whole(bytes)).map(|_| nothing),
        Kind::End => (head.len == HEAD_BYTES).then_some(nothing),
    }
}

fn skip_definition(cursor: &mut ByteReader<'_>) -> Option<()> {
    cursor.varint()?;
    cursor.varint()?;
    let len = cursor.varint()?;
    cursor.take(len).map(drop)
}

/// Walks the events of a commit. Ends early at what cannot be an event: compare the count.
#[derive(Clone, Debug)]
pub(crate) struct Events<'a> {
    cursor: ByteReader<'a>,
    place: u64,
    position: u64,
    left: u64,
    single: bool,
}

impl<'a> Iterator for Events<'a> {
    type Item = Stored<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Stored<'a>> {
        if self.left == 0 {
            return None;
        }
        let start = self.cursor.at;
        let event = read_event(&mut self.cursor, self.place + start as u64, self.position)?;
        if !self.single {
            self.cursor.u32()?;
        }
        self.left -= 1;
        self.position += 1;
        Some(event)
    }
}

#[inline(always)]
fn read_event<'a>(cursor: &mut ByteReader<'a>, place: u64, position: u64) -> Option<Stored<'a>> {
    cursor.varint()?;
    let stream = u32::try_from(cursor.varint()?).ok()?;
    let name = u32::try_from(cursor.varint()?).ok()?;
    let version = cursor.varint()?;
    let tags = match cursor.varint()? {
        0 => Tags::default(),
        count => read_tags(cursor, count)?,
    };
    let len = cursor.varint()?;
    let data = cursor.take(len)?;
    Some(Stored { place, stream, name, version, position, tags, data })
}

fn read_tags<'a>(cursor: &mut ByteReader<'a>, count: u64) -> Option<Tags<'a>> {
    let mut end = *cursor;
    for _ in 0..count {
        u32::try_from(end.varint()?).ok()?;
    }
    cursor.take((end.at - cursor.at) as u64).map(Tags)
}

/// How far before the event at the start of `bytes` its commit begins.
#[inline]
pub(crate) fn distance_to_commit(bytes: &[u8]) -> Option<u64> {
    ByteReader::new(bytes, 0).varint()
}

/// The event at `at` within a commit, checked by the checksum that covers it.
#[inline]
pub(crate) fn event_at<'a>(preamble: &Preamble<'a>, at: usize, position: u64, seed: Seed) -> Option<Stored<'a>> {
    let (record, place) = (preamble.record, preamble.place + at as u64);
    if preamble.count > 1 {
        return part_at(record.get(at..)?, place, position, seed);
    }
    let event = read_event(&mut ByteReader::new(record, at), place, position)?;
    let sound = position == preamble.head.position && seed.record_crc(preamble.place, record) == preamble.head.crc;
    sound.then_some(event)
}

/// The event that `bytes` begin with, in a commit of several, checked by its own checksum.
#[inline]
pub(crate) fn part_at(bytes: &[u8], place: u64, position: u64, seed: Seed) -> Option<Stored<'_>> {
    let mut cursor = ByteReader::new(bytes, 0);
    let event = read_event(&mut cursor, place, position)?;
    let end = cursor.at;
    (cursor.u32()? == seed.part_crc(place, position, &bytes[..end])).then_some(event)
}

/// The event at `at` within a commit, of which not all is there to be checked.
pub(crate) fn unchecked_event_at<'a>(preamble: &Preamble<'a>, at: usize, position: u64) -> Option<Stored<'a>> {
    read_event(&mut ByteReader::new(preamble.record, at), preamble.place + at as u64, position)
}

/// A state stored beside the events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotRecord<'a> {
    pub(crate) head: Head,
    pub(crate) stream: u32,
    pub(crate) version: u64,
    /// Where the stream's snapshot before this one is; 0 when there is none.
    pub(crate) before: u64,
    pub(crate) data: &'a [u8],
}

impl<'a> SnapshotRecord<'a> {
    /// Read the snapshot record that `bytes` begin with; its checksum is the caller's business.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let head = Head::read(bytes).filter(|head| head.kind == Kind::Snapshot)?;
        let mut cursor = ByteReader::new(bytes.get(..head.len)?, HEAD_BYTES);
        let stream = u32::try_from(cursor.varint()?).ok()?;
        let version = cursor.varint()?;
        let before = cursor.varint()?;
        let len = cursor.varint()?;
        let data = cursor.take(len)?;
        Some(Self { head, stream, version, before, data })
    }

    /// Where its data is in the record.
    pub(crate) fn contents(&self) -> Range<usize> {
        let before = varint_len(u64::from(self.stream)) + varint_len(self.version) + varint_len(self.before);
        let start = HEAD_BYTES + before + varint_len(self.data.len() as u64);
        start..start + self.data.len()
    }

    /// Whether the record that `bytes` are holds nothing else.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        bytes.get(self.contents().end..self.head.len).is_some_and(is_padding)
    }
}

#[cfg(test)]
mod tests;
