//! An ordered log in memory, random records for it, and a plain model of what applying them comes to, which knows nothing of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use act_fast_core::replica::{Kind, Other, Proposal, Settled, body_record, commits_record, genesis_record};
use act_fast_core::{Filter, Genesis, Guards, KEY_TAG, Log, NewEvent, Once, Part, Proposed, Used};

use super::history::tags_of;
use super::rng::Rng;
use super::{SEGMENT_BYTES, contents};

pub(crate) const GENESIS: Genesis = Genesis { store_id: [9; 16], segment_bytes: SEGMENT_BYTES };
/// More than a log file of the tests takes.
const TOO_LARGE: usize = SEGMENT_BYTES as usize;

/// A part of a proposal: stream, events (name, data), version expected.
pub(crate) type OwnedPart = (String, Vec<(String, Vec<u8>)>, Option<u64>);

/// A proposal that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) created: i64,
    pub(crate) meta: Vec<u8>,
    pub(crate) parts: Vec<OwnedPart>,
    /// Its key, and since when its uses count.
    pub(crate) key: Option<(String, i64)>,
}

impl Wish {
    /// One event for one stream.
    pub(crate) fn of(stream: &str, expected: Option<u64>) -> Self {
        let events = vec![("Happened".to_owned(), b"{}".to_vec())];
        Self { created: 1000, meta: Vec::new(), parts: vec![(stream.to_owned(), events, expected)], key: None }
    }
}

/// What a record says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Commits(Vec<Wish>),
    Body(Kind, Vec<u8>),
}

/// A record, before it is one.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) session: [u8; 16],
    pub(crate) number: u64,
    pub(crate) time_ms: u64,
    pub(crate) said: Said,
}

impl Draft {
    pub(crate) fn record(&self) -> Vec<u8> {
        let &Self { session, number, time_ms, .. } = self;
        let made = match &self.said {
            Said::Commits(wishes) => commits(wishes, session, number, time_ms),
            Said::Body(kind, body) => body_record(GENESIS.store_id, session, number, time_ms, *kind, body),
        };
        made.expect("a record")
    }
}

fn borrowed(part: &OwnedPart) -> Vec<NewEvent<'_>> {
    part.1.iter().map(|(name, data)| NewEvent { name, data, tags: tags_of(data) }).collect()
}

fn commits(wishes: &[Wish], session: [u8; 16], number: u64, time_ms: u64) -> act_fast_core::Result<Vec<u8>> {
    let events: Vec<Vec<Vec<NewEvent<'_>>>> =
        wishes.iter().map(|wish| wish.parts.iter().map(borrowed).collect()).collect();
    let parts: Vec<Vec<Part<'_>>> = wishes
        .iter()
        .zip(&events)
        .map(|(wish, events)| {
            let each = wish.parts.iter().zip(events);
            each.map(|((stream, _, expected), events)| Part { stream, events, expected: *expected }).collect()
        })
        .collect();
    let proposals: Vec<Proposal<'_>> = wishes
        .iter()
        .zip(&parts)
        .map(|(wish, parts)| {
            let once = wish.key.as_ref().map(|(key, since)| Once { key, since: *since });
            let guards = Guards { once, ..Guards::default() };
            Proposal { created: wish.created, meta: &wish.meta, parts, guards }
        })
        .collect();
    commits_record(GENESIS.store_id, session, number, time_ms, &proposals)
}

/// The ordered log: records with places that grow, not always by one; the drafts that they were made of beside them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ordered {
    pub(crate) records: Vec<(u64, Arc<Vec<u8>>)>,
    pub(crate) drafts: BTreeMap<u64, Draft>,
}

impl Ordered {
    /// A log that begins with its genesis.
    pub(crate) fn new() -> Self {
        let mut log = Self::default();
        log.push(genesis_record(GENESIS).expect("a genesis"), 3);
        log
    }

    pub(crate) fn push(&mut self, record: Vec<u8>, step: u64) -> u64 {
        let place = self.records.last().map_or(0, |(place, _)| *place) + step;
        self.records.push((place, Arc::new(record)));
        place
    }

    pub(crate) fn add(&mut self, draft: Draft, step: u64) -> u64 {
        let place = self.push(draft.record(), step);
        self.drafts.insert(place, draft);
        place
    }

    /// A record of one session; its place.
    pub(crate) fn propose(&mut self, number: u64, wishes: &[Wish]) -> u64 {
        self.add(Draft { session: [1; 16], number, time_ms: number, said: Said::Commits(wishes.to_vec()) }, 1)
    }

    /// The records after a place, at most so many.
    pub(crate) fn after(&self, place: u64, limit: usize) -> Vec<(u64, &[u8])> {
        let records = self.records.iter().filter(|(at, _)| *at > place).take(limit);
        records.map(|(at, record)| (*at, record.as_slice())).collect()
    }

    pub(crate) fn head(&self) -> u64 {
        self.records.last().map_or(0, |(place, _)| *place)
    }
}

/// An event as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) meta: Vec<u8>,
    pub(crate) created: i64,
    /// The position of the first event of its commit.
    pub(crate) commit: u64,
    /// The key of its commit, if it is the first event of it.
    pub(crate) key: Option<String>,
}

/// What applying comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) facts: Vec<Fact>,
    versions: BTreeMap<String, u64>,
    /// Of each key its last use, and when that was.
    pub(crate) keys: BTreeMap<String, (Used, i64)>,
    /// All numbers of each session.
    sessions: BTreeMap<[u8; 16], BTreeSet<u64>>,
    created: i64,
    /// The commits of each record that is no duplicate.
    pub(crate) settled: BTreeMap<u64, Vec<Settled>>,
    pub(crate) others: Vec<Other>,
    pub(crate) origin: Proposed,
    pub(crate) duplicates: usize,
    pub(crate) refused: usize,
}

impl Model {
    /// What a whole log comes to.
    pub(crate) fn of(log: &Ordered) -> Self {
        let mut model = Self::default();
        for (place, draft) in &log.drafts {
            model.take(*place, draft);
        }
        model
    }

    /// What the records up to a place come to.
    pub(crate) fn up_to(log: &Ordered, place: u64) -> Self {
        let mut model = Self::default();
        for (at, draft) in log.drafts.range(..=place) {
            model.take(*at, draft);
        }
        model
    }

    pub(crate) fn take(&mut self, place: u64, draft: &Draft) {
        let seen = self.sessions.entry(draft.session).or_default();
        let too_late = seen.last().is_some_and(|highest| draft.number + 64 <= *highest);
        if too_late || !seen.insert(draft.number) {
            self.duplicates += 1;
            return;
        }
        match &draft.said {
            Said::Body(kind, body) => self.others.push(Other {
                place,
                kind: *kind,
                session: draft.session,
                number: draft.number,
                time_ms: draft.time_ms,
                body: body.clone(),
            }),
            Said::Commits(wishes) => {
                self.settled.insert(place, Vec::new());
                for (index, wish) in (0..).zip(wishes) {
                    if !self.append(Proposed { place, index }, wish) {
                        self.refused += 1;
                    }
                }
            }
        }
    }

    fn append(&mut self, proposed: Proposed, wish: &Wish) -> bool {
        let bad_name = |name: &str| {
            name.is_empty() || name.len() > 512 || name.bytes().any(|byte| matches!(byte, 0 | b'\n' | b'\r'))
        };
        let events: Vec<_> = wish.parts.iter().flat_map(|(_, events, _)| events).collect();
        if wish.parts.is_empty()
            || wish.parts.iter().any(|(stream, events, _)| bad_name(stream) || events.is_empty())
            || events.iter().any(|(name, _)| bad_name(name))
            || size(wish) > SEGMENT_BYTES as usize - 96
            || wish.created >= 1 << 55
            || wish.key.as_ref().is_some_and(|(key, since)| key.len() > 508 || self.is_used(key, *since))
        {
            return false;
        }
        let mut versions = self.versions.clone();
        for (stream, events, expected) in &wish.parts {
            let version = versions.entry(stream.clone()).or_default();
            if expected.is_some_and(|expected| expected != *version) {
                return false;
            }
            *version += events.len() as u64;
        }
        self.created = self.created.max(wish.created);
        let first = self.facts.len() as u64 + 1;
        let mut key = wish.key.as_ref().map(|(key, _)| key.clone());
        for (stream, events, _) in &wish.parts {
            for (name, data) in events {
                let version = self.versions.entry(stream.clone()).or_default();
                *version += 1;
                self.facts.push(Fact {
                    stream: stream.clone(),
                    version: *version,
                    name: name.clone(),
                    data: data.clone(),
                    meta: wish.meta.clone(),
                    created: self.created,
                    commit: first,
                    key: key.take(),
                });
            }
        }
        let settled = Settled { index: proposed.index, first_position: first, last_position: self.facts.len() as u64 };
        self.settled.get_mut(&proposed.place).expect("its record").push(settled);
        self.origin = proposed;
        if let Some((key, _)) = &wish.key {
            let used = Used { first_position: first, last_position: settled.last_position };
            self.keys.insert(key.clone(), (used, self.created));
        }
        true
    }

    fn is_used(&self, key: &str, since: i64) -> bool {
        self.keys.get(key).is_some_and(|(_, created)| *created >= since)
    }

    /// The version of a stream.
    pub(crate) fn version(&self, stream: &str) -> u64 {
        self.versions.get(stream).copied().unwrap_or(0)
    }
}

/// What a commit counts, as the rules have it.
fn size(wish: &Wish) -> usize {
    let of = |(name, data): &(String, Vec<u8>)| 43 + name.len() + data.len();
    let part = |(stream, events, _): &OwnedPart| 12 + stream.len() + events.iter().map(of).sum::<usize>();
    let key = wish.key.as_ref().map_or(0, |(key, _)| 17 + KEY_TAG.len() + key.len());
    100 + wish.meta.len() + key + wish.parts.iter().map(part).sum::<usize>()
}

/// Everything in a replica, as the model would have it.
pub(crate) fn facts(log: &Log) -> Vec<Fact> {
    let mut query = log.query(&Filter::default()).expect("a query");
    let mut found = Vec::new();
    while let Some(events) = query.next_page(log, 50).expect("a page") {
        for view in events {
            assert_eq!(view.position, found.len() as u64 + 1);
            let event = contents::spelled(log, &view).expect("its names");
            found.push(Fact {
                stream: event.stream,
                version: event.version,
                name: event.name,
                data: event.data,
                meta: event.meta,
                created: view.created,
                commit: view.commit,
                key: event.tags.iter().find_map(|tag| tag.strip_prefix(KEY_TAG)).map(str::to_owned),
            });
        }
    }
    found
}

/// Compare a replica that has applied all of an ordered log with the model of it.
pub(crate) fn assert_is(log: &Log, ordered: &Ordered, model: &Model) {
    assert_eq!(facts(log), model.facts);
    contents::read(log).expect("every way of reading agrees");
    assert_eq!(log.origin().expect("an origin"), model.origin);
    for key in KEYS {
        let (used, created) = model.keys.get(key).copied().unzip();
        let since = created.unwrap_or(i64::MIN);
        assert_eq!(log.used(&Once { key, since }, u64::MAX).expect("what it was used for"), used, "{key}");
        assert_eq!(log.used(&Once { key, since: since.saturating_add(1) }, u64::MAX).expect("a use"), None, "{key}");
    }
    let mut last = 0;
    for (place, _) in &ordered.records {
        let settled = model.settled.get(place).cloned().unwrap_or_default();
        assert_eq!(log.settled(*place).expect("what became of it"), settled, "place {place}");
        last = settled.last().map_or(last, |one| one.last_position);
        assert_eq!(log.position_at(*place).expect("a position"), last, "place {place}");
        assert_eq!(
            log.position_at(place - 1).expect("a position"),
            settled.first().map_or(last, |one| one.first_position - 1)
        );
    }
}

/// Writes random records, as some proposers would whose view of the log is of some time ago.
#[derive(Debug)]
pub(crate) struct Author {
    rng: Rng,
    numbers: BTreeMap<[u8; 16], u64>,
}

const STREAMS: [&str; 5] = ["a", "b", "c-1", "c-2", "long-name-of-a-stream"];
const KEYS: [&str; 5] = ["k", "K", "größe", "f81d4fae", "order-7/paid"];
const NAMES: [&str; 4] = ["Opened", "Paid", "Moved", "Closed"];

impl Author {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, numbers: BTreeMap::new() }
    }

    /// A record, given what its author knows of the log.
    pub(crate) fn draft(&mut self, known: &Model) -> Draft {
        let session = [self.rng.below(4) as u8 + 1; 16];
        let number = self.numbers.entry(session).or_default();
        *number += 1 + self.rng.below(2) as u64;
        let number = *number;
        let said = match self.rng.below(10) {
            0 => Said::Body(Kind::Member, b"{}".to_vec()),
            1 => Said::Body(Kind::Reactions, vec![7; self.rng.below(2000)]),
            _ => Said::Commits((0..self.rng.below(7)).map(|_| self.wish(known)).collect()),
        };
        Draft { session, number, time_ms: self.rng.below(1 << 20) as u64, said }
    }

    fn wish(&mut self, known: &Model) -> Wish {
        let count = if self.rng.chance(70) { 1 } else { self.rng.below(4) };
        let parts = (0..count).map(|_| self.part(known)).collect();
        let created = match self.rng.below(20) {
            0 => -5,
            1 => 1 << 55,
            _ => self.rng.below(1 << 30) as i64,
        };
        let meta = if self.rng.chance(50) { b"{\"by\":\"x\"}".to_vec() } else { Vec::new() };
        let key = self.rng.chance(30).then(|| self.key());
        Wish { created, meta, parts, key }
    }

    fn key(&mut self) -> (String, i64) {
        let key = if self.rng.chance(3) { "x".repeat(509) } else { KEYS[self.rng.below(KEYS.len())].to_owned() };
        let since = if self.rng.chance(50) { i64::MIN } else { self.rng.below(1 << 30) as i64 };
        (key, since)
    }

    fn part(&mut self, known: &Model) -> OwnedPart {
        let stream = match self.rng.below(40) {
            0 => String::new(),
            1 => "x".repeat(513),
            2 => "line\nbreak".to_owned(),
            3 => format!("new-{}", self.rng.below(1000)),
            _ => STREAMS[self.rng.below(STREAMS.len())].to_owned(),
        };
        let events = if self.rng.chance(3) { 0 } else { 1 + self.rng.below(4) };
        let events = (0..events).map(|_| self.event()).collect();
        let expected = match self.rng.below(10) {
            0..4 => None,
            4..8 => Some(known.version(&stream)),
            _ => Some(self.rng.below(6) as u64),
        };
        (stream, events, expected)
    }

    fn event(&mut self) -> (String, Vec<u8>) {
        let name = if self.rng.chance(1) { "\0".to_owned() } else { NAMES[self.rng.below(NAMES.len())].to_owned() };
        let bytes = match self.rng.below(200) {
            0 => TOO_LARGE,
            1..6 => self.rng.below(3000),
            _ => self.rng.below(60),
        };
        (name, format!("\"{}\"", "z".repeat(bytes)).into_bytes())
    }

    /// A whole log, some records of which are there twice.
    pub(crate) fn log(&mut self, records: usize) -> Ordered {
        let mut log = Ordered::new();
        let mut known = Model::default();
        for _ in 0..records {
            let step = 1 + self.rng.below(3) as u64;
            let again = log.drafts.values().nth(self.rng.below(log.drafts.len().max(1))).cloned();
            let draft = match again {
                Some(again) if self.rng.chance(10) => again,
                _ => self.draft(&known),
            };
            if self.rng.chance(3) {
                // Somebody else brought the store into being at the same time.
                let late = Genesis { store_id: [self.rng.below(200) as u8; 16], ..GENESIS };
                log.push(genesis_record(late).expect("a genesis"), 1);
            }
            let place = log.add(draft, step);
            if self.rng.chance(60) {
                known = Model::up_to(&log, place);
            }
        }
        log
    }
}
