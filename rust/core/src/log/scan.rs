//! Walking all records of a log from its first byte, trusting nothing but the records themselves.

use std::sync::Arc;

use crate::bytes::u64_at;
use crate::error::{Error, Result};
use crate::log::record::{self, ALIGN_BYTES, HEAD_BYTES, Head, Kind, Preamble, Proposed, Seed};
use crate::log::segments::Segments;

/// How many bytes of packed files are kept unpacked on the way.
const UNPACKED_MAX_BYTES: u64 = 64 << 20;

/// One step of the walk.
pub(crate) enum Step<'a> {
    /// A whole and sound record that follows the one before.
    Record(Found<'a>),
    /// Here is no record that follows: the end of the log, or damage.
    Stop(&'static str),
}

/// A record and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) place: u64,
    pub(crate) head: Head,
    pub(crate) bytes: &'a [u8],
}

/// The walk, and what the log has come to so far.
#[derive(Debug)]
pub(crate) struct Scan {
    segments: Arc<Segments>,
    seed: Seed,
    /// How many segments there are.
    count: u64,
    /// Where the next record should be.
    pub(crate) place: u64,
    pub(crate) position: u64,
    pub(crate) created: i64,
    pub(crate) crc: u32,
    /// Which proposal the last commit was, in the log of a replica.
    pub(crate) proposed: Proposed,
}

impl Scan {
    /// A walk through `count` segments.
    pub(crate) fn new(segments: &Arc<Segments>, count: u64) -> Self {
        let seed = Seed::new(&segments.store_id);
        let (place, proposed) = (segments.first_place(0), Proposed::default());
        Self { segments: Arc::clone(segments), seed, count, place, position: 0, created: i64::MIN, crc: 0, proposed }
    }

    /// Go on after damage: at a sound record further up, taking its word for what came before.
    pub(crate) fn resume(&mut self, place: u64, head: &Head) {
        self.place = place;
        self.position = if head.kind == Kind::Commit { head.position - 1 } else { head.position };
        self.created = head.created;
        self.crc = head.previous;
        self.proposed = Proposed::default();
    }

    /// The next record.
    pub(crate) fn step(&mut self) -> Result<Step<'_>> {
        if self.segments.unpacked_bytes() > UNPACKED_MAX_BYTES {
            self.segments = Arc::new(self.segments.afresh());
        }
        let number = self.segments.number_of(self.place);
        if number >= self.count {
            return Ok(Step::Stop("the next log file is missing"));
        }
        let head = self.segments.bytes_up_to(self.place, HEAD_BYTES)?;
        if head.len() < HEAD_BYTES || u64_at(head, 0) == 0 {
            return Ok(Step::Stop("there is no record here"));
        }
        let len = Head::read(head).map_or(0, |head| head.len);
        let rest = self.segments.bytes_up_to(self.place, len)?;
        // What a stub says has checksums of its own.
        let hollow = self.segments.is_hollow(number)?;
        let sound = if hollow {
            Head::read(rest).filter(|head| head.len <= rest.len())
        } else {
            record::sound(rest, self.place, self.seed)
        };
        let Some(head) = sound else {
            return Ok(Step::Stop("the record here is torn or damaged"));
        };
        if head.previous != self.crc {
            return Ok(Step::Stop("the record here does not follow the one before"));
        }
        let expected = if head.kind == Kind::Commit { self.position + 1 } else { self.position };
        if head.position != expected || head.created < self.created {
            return Ok(Step::Stop("the position or the time of the record here does not follow"));
        }
        let found = Found { place: self.place, head, bytes: &rest[..head.len] };
        let Some(held) = record::held(&head, found.bytes, self.place, self.seed, !hollow) else {
            return Ok(Step::Stop("the record here does not hold what it says"));
        };
        if head.kind == Kind::Commit && (held.proposed > self.proposed) != self.segments.replica {
            return Ok(Step::Stop("the proposal of the record here does not follow"));
        }
        self.position += held.events;
        self.proposed = self.proposed.max(held.proposed);
        self.created = head.created;
        self.crc = head.crc;
        self.place = match head.kind {
            Kind::End => self.segments.first_place(number + 1),
            _ => self.place + head.len as u64,
        };
        Ok(Step::Record(found))
    }

    /// The next sound record anywhere above a place, whether or not it follows.
    pub(crate) fn next_sound(&self, above: u64) -> Result<Option<Found<'_>>> {
        let mut number = self.segments.number_of(above);
        let mut place = above + ALIGN_BYTES as u64;
        while number < self.count {
            let (next, stretch) = self.segments.stretch(place);
            let rest = match stretch {
                Err(error @ Error::Unavailable { .. }) => return Err(error),
                // A damaged head of a file, or a damaged block: look behind it.
                stretch => stretch.unwrap_or_default(),
            };
            for at in (0..rest.len()).step_by(ALIGN_BYTES) {
                if rest[at..].starts_with(b"ACT")
                    && let Some(found) = self.sound_at(place + at as u64)
                {
                    return Ok(Some(found));
                }
            }
            if next == 0 {
                number += 1;
                place = self.segments.first_place(number);
            } else {
                place = next;
            }
        }
        Ok(None)
    }

    /// The record at a place, if it is sound.
    fn sound_at(&self, place: u64) -> Option<Found<'_>> {
        let len = Head::read(self.segments.bytes_up_to(place, HEAD_BYTES).ok()?)?.len;
        let bytes = self.segments.bytes_up_to(place, len).ok()?;
        record::sound(bytes, place, self.seed).map(|head| Found { place, head, bytes })
    }

    /// Whether a record further up knew that the log was flushed beyond `place`: then what is missing here was there.
    pub(crate) fn was_flushed(&self, place: u64) -> Result<bool> {
        let mut above = place;
        while let Some(found) = self.next_sound(above)? {
            if let Some(commit) = Preamble::read(found.bytes, found.place, self.seed, false)
                && commit.synced > place
            {
                return Ok(true);
            }
            above = found.place + (found.head.len - ALIGN_BYTES) as u64;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::MemoryDisk;
    use crate::log::builder::{Builder, NewCommit, NewSnapshot};
    use crate::log::record::{KeyKind, LogState};
    use crate::log::segments::{self, Header};

    const STORE: [u8; 16] = [7; 16];
    const DEFINITIONS: [(u32, KeyKind, &str); 2] = [(0, KeyKind::Stream, "a"), (1, KeyKind::Name, "A")];

    /// A log that holds a commit of one event, and where it ends.
    fn log_of_one() -> (Arc<Segments>, Builder, LogState) {
        let disk = Arc::new(MemoryDisk::default());
        let header = Header { store_id: STORE, number: 0, segment_bytes: 16 << 10, replica: false };
        segments::create(&*disk, &header, 16 << 10, false).expect("a segment");
        let segments = Arc::new(Segments::new(disk, &header, true));
        let mut builder = Builder::default();
        let start = LogState { tail: segments.first_place(0), position: 0, created: 50, crc: 0 };
        let state = write(&segments, &mut builder, &start, |new| NewCommit { definitions: &DEFINITIONS, ..new }, 1);
        (segments, builder, state)
    }

    /// Write a commit of `events` events, sealed with sound checksums, that differs from the right one as `change` says.
    fn write(
        segments: &Segments,
        builder: &mut Builder,
        state: &LogState,
        change: impl FnOnce(NewCommit<'static>) -> NewCommit<'static>,
        events: u64,
    ) -> LogState {
        let seed = Seed::new(&STORE);
        let right = NewCommit {
            place: state.tail,
            previous: state.crc,
            position: state.position + 1,
            created: state.created,
            synced: 0,
            count: events,
            proposed: None,
            meta: b"",
            definitions: &[],
        };
        builder.commit(&change(right), seed);
        for number in 0..events {
            builder.event(0, 1, state.position + 1 + number, &[], b"1", seed);
        }
        let (record, crc) = builder.finish(seed);
        let to = segments.opened(state.tail, false).expect("a file");
        segments.write(&to, state.tail, record).expect("writing");
        LogState {
            tail: state.tail + record.len() as u64,
            position: state.position + events,
            created: state.created,
            crc,
        }
    }

    /// What the walk says of the second commit.
    fn second(change: impl FnOnce(NewCommit<'static>) -> NewCommit<'static>) -> Option<&'static str> {
        let (segments, mut builder, state) = log_of_one();
        write(&segments, &mut builder, &state, change, 2);
        let mut scan = Scan::new(&segments, 1);
        assert!(matches!(scan.step().expect("a step"), Step::Record(_)));
        match scan.step().expect("a step") {
            Step::Record(_) => None,
            Step::Stop(reason) => Some(reason),
        }
    }

    #[test]
    fn a_record_with_a_sound_checksum_that_does_not_follow_ends_the_walk() {
        let (chain, order) = (
            "the record here does not follow the one before",
            "the position or the time of the record here does not follow",
        );
        assert_eq!(second(|new| new), None);
        assert_eq!(second(|new| NewCommit { created: 51, ..new }), None);
        assert_eq!(second(|new| NewCommit { previous: new.previous ^ 1, ..new }), Some(chain));
        assert_eq!(second(|new| NewCommit { previous: 0, ..new }), Some(chain));
        assert_eq!(second(|new| NewCommit { position: 3, ..new }), Some(order));
        assert_eq!(second(|new| NewCommit { position: 1, ..new }), Some(order));
        assert_eq!(second(|new| NewCommit { created: 49, ..new }), Some(order));
    }

    #[test]
    fn a_commit_with_a_sound_checksum_that_holds_other_than_it_says_ends_the_walk() {
        let what = Some("the record here does not hold what it says");
        assert_eq!(second(|new| NewCommit { count: 3, ..new }), what);
        assert_eq!(second(|new| NewCommit { count: 1, ..new }), what);
    }

    /// What the walk says of a second record that `build` makes and `change` changes, sealed after that.
    fn resealed(
        build: impl FnOnce(&mut Builder, &LogState, Seed),
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Option<&'static str> {
        let (segments, mut builder, state) = log_of_one();
        let seed = Seed::new(&STORE);
        build(&mut builder, &state, seed);
        let mut record = builder.finish(seed).0.to_vec();
        change(&mut record);
        let len = u32::try_from(record.len()).expect("a small record");
        record[4..8].copy_from_slice(&len.to_le_bytes());
        let crc = seed.record_crc(state.tail, &record);
        record[8..12].copy_from_slice(&crc.to_le_bytes());
        let to = segments.opened(state.tail, false).expect("a file");
        segments.write(&to, state.tail, &record).expect("writing");
        let mut scan = Scan::new(&segments, 1);
        assert!(matches!(scan.step().expect("a step"), Step::Record(_)));
        match scan.step().expect("a step") {
            Step::Record(_) => None,
            Step::Stop(reason) => Some(reason),
        }
    }

    /// A commit of one event whose record has three bytes of padding.
    fn one_event(builder: &mut Builder, state: &LogState, seed: Seed) {
        let LogState { tail: place, position, created, crc: previous } = *state;
        let new = NewCommit {
            place,
            previous,
            position: position + 1,
            created,
            synced: place,
            count: 1,
            proposed: None,
            meta: b"",
            definitions: &[],
        };
        builder.commit(&new, seed);
        builder.event(0, 1, 2, &[], b"123", seed);
    }

    fn one_snapshot(builder: &mut Builder, state: &LogState, _: Seed) {
        builder.snapshot(state, state.created, &NewSnapshot { stream: 0, version: 1, before: 0, data: b"1" });
    }

    fn the_end(builder: &mut Builder, state: &LogState, _: Seed) {
        builder.end(state);
    }

    #[test]
    fn a_record_with_a_sound_checksum_that_holds_more_than_its_kind_ends_the_walk() {
        let what = Some("the record here does not hold what it says");
        for build in [one_event, one_snapshot, the_end] {
            assert_eq!(resealed(build, |_| ()), None);
            for surplus in [&[0; 4][..], &[0; 64], b"more"] {
                assert_eq!(resealed(build, |record| record.extend_from_slice(surplus)), what);
            }
        }
        for build in [one_event, one_snapshot] {
            assert_eq!(resealed(build, |record| *record.last_mut().expect("padding") = 1), what);
        }
        // An event says how far behind the beginning of its commit it is.
        assert_eq!(resealed(one_event, |record| record[HEAD_BYTES + 4] += 1), what);
    }

    #[test]
    fn a_commit_with_a_sound_checksum_whose_keys_are_none_ends_the_walk() {
        let define = |builder: &mut Builder, state: &LogState, seed: Seed| {
            let LogState { tail: place, position, created, crc: previous } = *state;
            let definitions = &[(2, KeyKind::Stream, "b")];
            let position = position + 1;
            builder.commit(
                &NewCommit {
                    place,
                    previous,
                    position,
                    created,
                    synced: 0,
                    count: 1,
                    proposed: None,
                    meta: b"",
                    definitions,
                },
                seed,
            );
            builder.event(2, 1, 1, &[], b"1", seed);
        };
        let what = Some("the record here does not hold what it says");
        // The last bytes before the event are its key, kind, length and text.
        let changed = |before: usize, byte: u8| {
            resealed(define, |record| {
                let text = record.iter().position(|byte| *byte == b'b').expect("the text");
                record[text - before] = byte;
            })
        };
        assert_eq!(changed(0, b'c'), None);
        assert_eq!(changed(0, 0xff), what, "no text");
        assert_eq!(changed(2, 7), what, "no kind");
    }

    #[test]
    fn a_commit_of_a_replica_that_comes_from_an_earlier_proposal_ends_the_walk() {
        let commit = |number, place, index| (number, (place > 0).then_some(Proposed { place, index }));
        // What the walk says of two commits of one event each.
        let walked = |replica, first: (u64, Option<Proposed>), second: (u64, Option<Proposed>)| {
            let disk = Arc::new(MemoryDisk::default());
            let header = Header { store_id: STORE, number: 0, segment_bytes: 16 << 10, replica };
            segments::create(&*disk, &header, 16 << 10, false).expect("a segment");
            let segments = Arc::new(Segments::new(disk, &header, true));
            let mut builder = Builder::default();
            let mut state = LogState { tail: segments.first_place(0), position: 0, created: 50, crc: 0 };
            for (number, proposed) in [first, second] {
                let definitions: &'static [_] = if number == 0 { &DEFINITIONS } else { &[] };
                let change = |new| NewCommit { definitions, proposed, ..new };
                state = write(&segments, &mut builder, &state, change, 1);
            }
            let mut scan = Scan::new(&segments, 1);
            (0..2).find_map(|_| match scan.step().expect("a step") {
                Step::Record(_) => None,
                Step::Stop(reason) => Some(reason),
            })
        };
        let what = Some("the proposal of the record here does not follow");
        for (place, index, expected) in
            [(5, 2, None), (6, 0, None), (5, 1, what), (5, 0, what), (4, 9, what), (0, 0, what)]
        {
            assert_eq!(walked(true, commit(0, 5, 1), commit(1, place, index)), expected, "{place}, {index}");
        }
        assert_eq!(walked(false, commit(0, 0, 0), commit(1, 0, 0)), None);
        assert_eq!(walked(false, commit(0, 0, 0), commit(1, 5, 1)), what, "in a log that is no replica");
    }

    #[test]
    fn a_record_that_was_written_for_another_place_is_none_here() {
        let torn = Some("the record here is torn or damaged");
        assert_eq!(second(|new| NewCommit { place: new.place + 4, ..new }), torn);
    }
}
