//! Writing records: a commit, a snapshot, the end of a segment.

use crate::bytes::{put_varint, put_varint_at, varint_len};
use crate::log::record::{
    ALIGN_BYTES, DISTANCE_MAX, HEAD_BYTES, KeyKind, Kind, LogState, MAGIC, PROPOSED, Proposed, Seed,
};

/// A commit to build, but for its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewCommit<'a> {
    pub(crate) place: u64,
    /// The checksum of the record before.
    pub(crate) previous: u32,
    pub(crate) position: u64,
    pub(crate) created: i64,
    /// Up to where the log is flushed.
    pub(crate) synced: u64,
    pub(crate) count: u64,
    /// Which proposal this was, in the log of a replica.
    pub(crate) proposed: Option<Proposed>,
    pub(crate) meta: &'a [u8],
    pub(crate) definitions: &'a [(u32, KeyKind, &'a str)],
}

/// A snapshot to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSnapshot<'a> {
    pub(crate) stream: u32,
    pub(crate) version: u64,
    /// Where the stream's snapshot before this one is; 0 when there is none.
    pub(crate) before: u64,
    pub(crate) data: &'a [u8],
}

/// What stands before an event's tags and data, at most.
const EVENT_HEAD_MAX: usize = 64;

/// What the numbers take that stand before a commit's meta, at most.
const NUMBERS_MAX: usize = 64;

/// Builds records in a buffer that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    out: Vec<u8>,
    place: u64,
    position: u64,
    single: bool,
    /// Where the texts of the commit's new keys begin, and its events.
    texts: Vec<u32>,
    events: Vec<u32>,
}

impl Builder {
    fn start(&mut self, kind: Kind, place: u64, previous: u32, position: u64, created: i64) {
        self.place = place;
        self.position = position;
        let mut head = [0; HEAD_BYTES];
        head[..3].copy_from_slice(&MAGIC);
        head[3] = kind.letter();
        head[12..16].copy_from_slice(&previous.to_le_bytes());
        head[16..21].copy_from_slice(&position.to_le_bytes()[..5]);
        head[21..].copy_from_slice(&created.to_le_bytes()[..7]);
        self.out.clear();
        self.out.extend_from_slice(&head);
    }

    /// Begin a commit.
    pub(crate) fn commit(&mut self, new: &NewCommit<'_>, seed: Seed) {
        let &NewCommit { place, synced, count, meta, definitions, .. } = new;
        self.start(Kind::Commit, place, new.previous, new.position, new.created);
        self.single = count == 1;
        self.texts.clear();
        self.events.clear();
        let distance = place - synced.min(place);
        let distance = if distance <= DISTANCE_MAX { distance + 1 } else { 0 };
        let mut numbers = [0; NUMBERS_MAX];
        let mut at = 0;
        for number in [count, distance, meta.len() as u64, definitions.len() as u64] {
            at = put_varint_at(&mut numbers, at, number);
        }
        if let Some(proposed) = new.proposed {
            self.out[MAGIC.len()] = PROPOSED;
            at = put_varint_at(&mut numbers, at, proposed.place);
            at = put_varint_at(&mut numbers, at, proposed.index);
        }
        self.out.extend_from_slice(&numbers[..at]);
        self.out.extend_from_slice(meta);
        for (key, kind, text) in definitions {
            put_varint(&mut self.out, u64::from(*key));
            put_varint(&mut self.out, *kind as u64);
            put_varint(&mut self.out, text.len() as u64);
            self.texts.push(self.out.len() as u32);
            self.out.extend_from_slice(text.as_bytes());
        }
        if !self.single {
            // The length is part of the preamble's checksum only by way of the record's own.
            let crc = seed.part_crc(place, new.position, &self.out[12..]);
            self.out.extend_from_slice(&crc.to_le_bytes());
        }
    }

    /// Add an event to the commit that was begun.
    #[inline]
    pub(crate) fn event(&mut self, stream: u32, name: u32, version: u64, tags: &[u32], data: &[u8], seed: Seed) {
        let start = self.out.len();
        self.events.push(start as u32);
        let mut head = [0; EVENT_HEAD_MAX];
        let mut at = 0;
        for number in [start as u64, u64::from(stream), u64::from(name), version, tags.len() as u64] {
            at = put_varint_at(&mut head, at, number);
        }
        if tags.is_empty() {
            at = put_varint_at(&mut head, at, data.len() as u64);
            self.out.extend_from_slice(&head[..at]);
        } else {
            self.out.extend_from_slice(&head[..at]);
            for tag in tags {
                put_varint(&mut self.out, u64::from(*tag));
            }
            put_varint(&mut self.out, data.len() as u64);
        }
        self.out.extend_from_slice(data);
        if !self.single {
            let crc = seed.part_crc(self.place + start as u64, self.position, &self.out[start..]);
            self.out.extend_from_slice(&crc.to_le_bytes());
        }
        self.position += 1;
    }

    /// The places of the texts of its new keys, in order.
    pub(crate) fn text_places(&self) -> impl Iterator<Item = u64> {
        self.texts.iter().map(|at| self.place + u64::from(*at))
    }

    /// The places of its events, in order.
    #[inline]
    pub(crate) fn event_places(&self) -> impl Iterator<Item = u64> {
        self.events.iter().map(|at| self.place + u64::from(*at))
    }

    /// A snapshot record, but for `finish`.
    pub(crate) fn snapshot(&mut self, state: &LogState, created: i64, snapshot: &NewSnapshot<'_>) {
        self.start(Kind::Snapshot, state.tail, state.crc, state.position, created);
        let &NewSnapshot { stream, version, before, data } = snapshot;
        put_varint(&mut self.out, u64::from(stream));
        put_varint(&mut self.out, version);
        put_varint(&mut self.out, before);
        put_varint(&mut self.out, data.len() as u64);
        self.out.extend_from_slice(data);
    }

    /// The record that ends a segment, but for `finish`.
    pub(crate) fn end(&mut self, state: &LogState) {
        self.start(Kind::End, state.tail, state.crc, state.position, state.created);
    }

    /// Fill in length and checksum: the record, ready to be written, and its checksum.
    pub(crate) fn finish(&mut self, seed: Seed) -> (&[u8], u32) {
        let len = self.out.len().next_multiple_of(ALIGN_BYTES);
        self.out.resize(len, 0);
        let stated = u32::try_from(len).expect("a record is smaller than a segment");
        self.out[4..8].copy_from_slice(&stated.to_le_bytes());
        let crc = seed.record_crc(self.place, &self.out);
        self.out[8..12].copy_from_slice(&crc.to_le_bytes());
        (&self.out, crc)
    }
}

/// What the two numbers of a proposal take, at most.
pub(crate) const PROPOSED_BYTES_MAX: u64 = 20;

/// What each tag of an event takes, at most.
pub(crate) const TAG_BYTES_MAX: u64 = 5;

/// The most bytes a commit can take on disk: events with `data_bytes` of payload in all, `count` of them, `meta_bytes`,
/// and new keys with `text_bytes` of text. Never less than the truth, but for tags: `TAG_BYTES_MAX` each.
pub(crate) fn commit_bytes_max(
    count: usize,
    data_bytes: usize,
    meta_bytes: usize,
    keys: usize,
    text_bytes: usize,
) -> u64 {
    let per_event = varint_len(u64::from(u32::MAX)) * 4 + varint_len(1 << 40) + 1 + 4;
    let total = HEAD_BYTES + 4 * 10 + 4 + 8 + data_bytes + meta_bytes + text_bytes + count * per_event + keys * 12;
    total as u64
}
