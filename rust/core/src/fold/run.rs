//! Folding a group on all cores. A *round* takes a run of positions. First each thread scans a part of the run, and sorts what
//! it finds by share; then each thread folds one share of the streams, part after part, so that a stream's events
//! come in order, and goes on to scan its part of the next round. What the scan doubts is read by Python in between.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};
use crate::index::Index;
use crate::read::walk::each_event;
use crate::store::log::Log;

use super::accumulators::Accumulated;
use super::expr::{Given, give, given};
use super::extract::scan;
use super::group::{Group, Noted, Standing, What};
use super::pages::Piece;
use super::spec::StateSpec;
use super::value::Value;

/// How many positions each thread scans in a round: what it finds has to stay in the core's own cache.
const PART_EVENTS: u64 = 1 << 13;
/// How many events a round has when streams are read one by one.
const PAGE_EVENTS: usize = 1 << 14;

/// An event whose payload is not what the scan is sure of.
#[derive(Clone, Copy, Debug)]
pub struct Doubtful<'a> {
    /// The number of its name.
    pub name: u32,
    /// The key of its stream.
    pub stream: u32,
    /// Its version.
    pub version: u64,
    /// Its position.
    pub position: u64,
    /// Its payload.
    pub data: &'a [u8],
}

/// What is asked and told between rounds.
pub trait Between {
    /// For each event the payload as it would be encoded today. None ends the fold.
    fn read(&mut self, doubtful: &[Doubtful<'_>]) -> Option<Vec<Vec<u8>>>;

    /// So many events were folded. False ends the fold.
    fn folded(&mut self, events: u64) -> bool;
}

/// How a fold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is folded.
    Done,
    /// It was ended from outside.
    Ended,
    /// There is an event that the core cannot fold; Python either can, or says what is wrong.
    Beyond,
}

/// The states of a group: those of each share, a row for each stream.
#[derive(Debug)]
pub struct States {
    shares: Vec<Share>,
}

#[derive(Debug)]
struct Share {
    standings: Vec<Standing>,
    rows: Vec<Accumulated>,
}

/// What a thread has found for one share.
#[derive(Debug, Default)]
struct Found<'a> {
    events: Vec<Noted>,
    given: Vec<Given<'a>>,
}

/// What a thread has found in its part of a round.
#[derive(Debug, Default)]
struct ThreadShare<'a> {
    shares: Vec<Found<'a>>,
    /// What it doubts: share, where its values are to be put, and the event.
    doubtful: Vec<(usize, usize, Doubtful<'a>)>,
    folded: u64,
}

impl Group {
    /// Fold all of the group's events.
    pub fn fold(
        &mut self,
        log: &Log,
        spec: &StateSpec,
        threads: usize,
        between: &mut dyn Between,
    ) -> Result<(Outcome, States)> {
        self.rewind();
        let threads = if self.keys.is_some() { 1 } else { threads.max(1) };
        let mut states = self.begin(spec, threads);
        let outcome = if self.keys.is_some() {
            self.fold_streams(log, spec, &mut states, between)?
        } else {
            self.fold_log(log, spec, &mut states, between)?
        };
        self.end(&mut states);
        Ok((outcome, states))
    }

    /// The streams one by one.
    fn fold_streams(
        &mut self,
        log: &Log,
        spec: &StateSpec,
        states: &mut States,
        between: &mut dyn Between,
    ) -> Result<Outcome> {
        let mut parts = [ThreadShare::new(1)];
        let mut folded = 0;
        loop {
            log.check_open()?;
            parts[0].clear();
            let Some(page) = self.next_page(log, PAGE_EVENTS)? else {
                return Ok(Outcome::Done);
            };
            parts[0].add_page(spec, self, &page);
            if let Err(outcome) = read_doubtful(spec, &mut parts, between) {
                return Ok(outcome);
            }
            folded += parts[0].folded;
            if !states.shares[0].take(spec, 0, &parts, 1) {
                return Ok(Outcome::Beyond);
            }
            if !between.folded(folded) {
                return Ok(Outcome::Ended);
            }
        }
    }

    /// All of the log, on all cores: while one round is folded, the next is scanned.
    fn fold_log(
        &mut self,
        log: &Log,
        spec: &StateSpec,
        states: &mut States,
        between: &mut dyn Between,
    ) -> Result<Outcome> {
        let threads = states.shares.len();
        let empty = || (0..threads).map(|_| ThreadShare::new(threads)).collect();
        // Used again in each round: memory that was just given back to the system is dear to get.
        let (mut scanned, mut ahead): (Vec<ThreadShare<'_>>, Vec<ThreadShare<'_>>) = (empty(), empty());
        let (mut folded, mut first) = (0, true);
        loop {
            log.check_open()?;
            ahead.iter_mut().for_each(ThreadShare::clear);
            let ranges = self.next_ranges(threads);
            let last = ranges.is_none();
            if !self.round(log, spec, states, &scanned, ranges.unwrap_or_default(), &mut ahead)? {
                return Ok(Outcome::Beyond);
            }
            if !std::mem::take(&mut first) && !between.folded(folded) {
                return Ok(Outcome::Ended);
            }
            if last {
                return Ok(Outcome::Done);
            }
            std::mem::swap(&mut scanned, &mut ahead);
            if let Err(outcome) = read_doubtful(spec, &mut scanned, between) {
                return Ok(outcome);
            }
            folded += scanned.iter().map(|part| part.folded).sum::<u64>();
        }
    }

    fn begin(&mut self, spec: &StateSpec, threads: usize) -> States {
        let empty = spec.empty();
        let shares = (0..threads).map(|share| {
            let standings: Vec<Standing> = self.standings.iter().skip(share).step_by(threads).copied().collect();
            let mut rows = Vec::with_capacity(standings.len() * empty.len());
            standings.iter().for_each(|_| rows.extend_from_slice(&empty));
            Share { standings, rows }
        });
        States { shares: shares.collect() }
    }

    /// Where each stream stands is known to the shares; from now on also to the group.
    fn end(&mut self, states: &mut States) {
        if self.keys.is_some() {
            return;
        }
        let threads = states.shares.len();
        for (at, standing) in self.standings.iter_mut().enumerate() {
            *standing = states.shares[at % threads].standings[at / threads];
        }
    }

    fn next_ranges(&mut self, threads: usize) -> Option<Vec<Range<u64>>> {
        let (start, end) = (self.next.position, self.positions.end);
        if start >= end {
            return None;
        }
        let ranges: Vec<Range<u64>> = (0..threads as u64)
            .map(|part| (start + part * PART_EVENTS).min(end)..(start + (part + 1) * PART_EVENTS).min(end))
            .filter(|range| !range.is_empty())
            .collect();
        self.next.position = ranges.last().map_or(end, |range| range.end);
        Some(ranges)
    }

    /// Fold what was scanned into the shares, and scan what comes next; false when an event cannot be folded.
    fn round<'a>(
        &self,
        log: &'a Log,
        spec: &'a StateSpec,
        states: &mut States,
        scanned: &[ThreadShare<'a>],
        ranges: Vec<Range<u64>>,
        ahead: &mut [ThreadShare<'a>],
    ) -> Result<bool> {
        let threads = states.shares.len();
        let work = |at: usize, share: &mut Share, range: Option<Range<u64>>, part: &mut ThreadShare<'a>| {
            let taken = share.take(spec, at, scanned, threads);
            if let Some(range) = range.filter(|_| taken) {
                log.reading(|index| {
                    part.clear();
                    self.scan_range(log, index, spec, range.clone(), part)
                })?;
            }
            Ok(taken)
        };
        let ranges = ranges.into_iter().map(Some).chain(std::iter::repeat(None));
        let tasks = Mutex::new(states.shares.iter_mut().zip(ranges).zip(ahead).enumerate());
        let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
        let run = || {
            let mut all = true;
            while let Some((at, ((share, range), part))) = next() {
                all &= work(at, share, range, part)?;
            }
            Ok(all)
        };
        thread::scope(|scope| {
            // What a thread that the system refuses would have done is done by the others.
            let running: Vec<_> = (1..threads)
                .map_while(|_| thread::Builder::new().name("act-fast-fold".to_owned()).spawn_scoped(scope, run).ok())
                .collect();
            running.into_iter().fold(run(), |sofar, thread| {
                let found = thread.join().unwrap_or_else(|_| Err(panicked()));
                Ok(sofar? & found?)
            })
        })
    }

    fn scan_range<'a>(
        &self,
        log: &'a Log,
        index: &Index,
        spec: &'a StateSpec,
        range: Range<u64>,
        part: &mut ThreadShare<'a>,
    ) -> Result<()> {
        let mut leaves = Vec::new();
        each_event(log, index, range, |_, event| {
            if let Some(slot) = self.slot(event.stream) {
                let noted = self.noted(slot, event.name, event.version, event.position);
                part.add(spec, noted, event.stream, event.data, &mut leaves);
            }
            Ok(true)
        })
    }
}

fn panicked() -> Error {
    Error::Failed("a folding thread panicked; this is a bug in act-fast".to_owned())
}

impl<'a> ThreadShare<'a> {
    fn new(threads: usize) -> Self {
        Self { shares: (0..threads).map(|_| Found::default()).collect(), doubtful: Vec::new(), folded: 0 }
    }

    fn clear(&mut self) {
        for found in &mut self.shares {
            found.events.clear();
            found.given.clear();
        }
        self.doubtful.clear();
        self.folded = 0;
    }

    fn add_page(&mut self, spec: &'a StateSpec, group: &Group, page: &[Piece<'a>]) {
        let mut leaves = Vec::new();
        for &Piece { slot, name, version, position, data } in page {
            let noted = Noted { slot, what: What::Folded(name), version, position };
            self.add(spec, noted, group.standings[slot as usize].stream, data, &mut leaves);
        }
    }

    #[inline(always)]
    fn add(&mut self, spec: &'a StateSpec, noted: Noted, stream: u32, data: &'a [u8], leaves: &mut Vec<Value<'a>>) {
        let share = (noted.slot % self.shares.len() as u32) as usize;
        let found = &mut self.shares[share];
        found.events.push(noted);
        let What::Folded(name) = noted.what else {
            return;
        };
        self.folded += 1;
        let event = &spec.events[name as usize];
        if event.by_class || scan(event, data, leaves, false).is_err() {
            let Noted { version, position, .. } = noted;
            self.doubtful.push((share, found.given.len(), Doubtful { name, stream, version, position, data }));
            found.given.extend(event.feeds.iter().map(|_| Given::Nothing));
            return;
        }
        for feed in &event.feeds {
            give(feed, leaves, &mut found.given);
        }
    }
}

/// Put in place what Python has read of the doubtful events.
fn read_doubtful(
    spec: &StateSpec,
    parts: &mut [ThreadShare<'_>],
    between: &mut dyn Between,
) -> std::result::Result<(), Outcome> {
    let doubtful: Vec<Doubtful<'_>> = parts.iter().flat_map(|part| part.doubtful.iter().map(|each| each.2)).collect();
    if doubtful.is_empty() {
        return Ok(());
    }
    let mut read = between.read(&doubtful).ok_or(Outcome::Ended)?.into_iter();
    for part in parts {
        for (share, at, event) in &part.doubtful {
            let data = read.next().ok_or(Outcome::Beyond)?;
            let event = &spec.events[event.name as usize];
            let mut leaves = Vec::new();
            scan(event, &data, &mut leaves, true).map_err(|_| Outcome::Beyond)?;
            let place = &mut part.shares[*share].given[*at..*at + event.feeds.len()];
            for (feed, place) in event.feeds.iter().zip(place) {
                *place = match given(feed, &leaves) {
                    Given::Value(value) => Given::Value(value.into_owned()),
                    Given::Nothing => Given::Nothing,
                    Given::TooLarge => Given::TooLarge,
                };
            }
        }
    }
    Ok(())
}

impl States {
    /// Write the JSON of the state of a slot's stream.
    pub fn write(&self, spec: &StateSpec, slot: usize, out: &mut Vec<u8>) {
        let (share, at) = (&self.shares[slot % self.shares.len()], slot / self.shares.len());
        let width = spec.width();
        spec.write(&share.rows[at * width..(at + 1) * width], out);
    }
}

impl Share {
    fn take(&mut self, spec: &StateSpec, share: usize, parts: &[ThreadShare<'_>], threads: usize) -> bool {
        let width = spec.width();
        for part in parts {
            let found = &part.shares[share];
            let mut given = found.given.as_slice();
            for noted in &found.events {
                let at = (noted.slot / threads as u32) as usize;
                self.standings[at].note(noted);
                let What::Folded(name) = noted.what else {
                    continue;
                };
                let (own, rest) = given.split_at(spec.events[name as usize].feeds.len());
                given = rest;
                let row = &mut self.rows[at * width..(at + 1) * width];
                if spec.take(name as usize, own, row).is_err() {
                    return false;
                }
            }
        }
        true
    }
}
