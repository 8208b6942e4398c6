//! Which streams are folded together, and where each of them stands.

use std::ops::Range;

use regex::Regex;

use crate::error::{Error, Result};
use crate::index::{Index, Key};
use crate::log::record::KeyKind;
use crate::names;
use crate::pattern;
use crate::store::log::Log;

/// How many times fewer events than the log a group must have for walking its streams one by one to pay.
const POSTINGS_PAY: u64 = 4;
const NO_SLOT: u32 = u32::MAX;

/// What is to be replayed.
#[derive(Clone, Debug)]
pub struct Span {
    /// The stored names of the events that are folded.
    pub names: Vec<String>,
    /// The stored name of the event that closes a stream.
    pub closing: String,
    /// Only streams in whose names this regular expression is found.
    pub pattern: Option<String>,
    /// Only streams that came to be after this one.
    pub after: Option<String>,
    /// The log as it was when this position was its last.
    pub cut: u64,
    /// How many streams are folded together at most.
    pub group_max: usize,
}

/// A replay: hands out groups of streams in the order in which they came to be.
#[derive(Debug)]
pub struct Replay {
    span: Span,
    pattern: Option<Regex>,
    next_key: u32,
    end_key: u32,
}

/// Where a stream of a group stands after what has been walked so far.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The key of its name.
    pub stream: u32,
    /// Whether an event was folded.
    pub known: bool,
    /// Whether it was closed.
    pub closed: bool,
    /// The version of its last event.
    pub version: u64,
    /// The position of its last event.
    pub position: u64,
    /// Its first event that nothing folds: its version (0: none), and the key of its name.
    pub stranger: (u64, u32),
}

/// What is to be noted of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    pub(super) slot: u32,
    pub(super) what: What,
    pub(super) version: u64,
    pub(super) position: u64,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It is folded; the number of its name.
    Folded(u32),
    /// It closes its stream.
    Closes,
    /// Nothing folds it; the key of its name.
    Stranger(u32),
}

impl Standing {
    fn new(stream: u32) -> Self {
        Self { stream, known: false, closed: false, version: 0, position: 0, stranger: (0, 0) }
    }

    #[inline]
    pub(super) fn note(&mut self, event: &Noted) {
        self.version = event.version;
        self.position = event.position;
        match event.what {
            What::Folded(_) => self.known = true,
            What::Closes => self.closed = true,
            What::Stranger(name) if self.stranger.0 == 0 => self.stranger = (event.version, name),
            What::Stranger(_) => {}
        }
    }
}

/// A group of streams.
#[derive(Debug)]
pub struct Group {
    /// The streams; their index is the *slot* that pieces name.
    pub standings: Vec<Standing>,
    slots: Vec<u32>,
    base: u32,
    names: Names,
    /// The positions that a walk has to look at.
    pub(super) positions: Range<u64>,
    /// Instead of the walk: the streams one by one, for a group that has few of the log's events.
    pub(super) keys: Option<Vec<Key>>,
    pub(super) next: Walked,
}

/// How far a group has been walked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walked {
    pub(super) position: u64,
    pub(super) slot: usize,
    pub(super) version: u64,
}

/// What becomes of events, by the keys of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    known: Vec<(u32, u32)>,
    closing: Option<u32>,
}

impl Names {
    fn find(index: &Index, span: &Span) -> Result<Self> {
        let mut known = Vec::with_capacity(span.names.len());
        for (number, name) in (0..).zip(&span.names) {
            if let Some((key, _)) = index.find(KeyKind::Name, name)? {
                known.push((key, number));
            }
        }
        known.sort_unstable();
        Ok(Self { known, closing: index.find(KeyKind::Name, &span.closing)?.map(|(key, _)| key) })
    }

    /// The number of a name in `Span::names`.
    #[inline]
    pub(super) fn number(&self, key: u32) -> Option<u32> {
        match self.known.as_slice() {
            [] => None,
            few if few.len() <= 4 => few.iter().find(|(known, _)| *known == key).map(|(_, number)| *number),
            many => many.binary_search_by_key(&key, |(known, _)| *known).ok().map(|at| many[at].1),
        }
    }

    #[inline]
    pub(super) fn closes(&self, key: u32) -> bool {
        self.closing == Some(key)
    }
}

impl Replay {
    /// Begin a replay.
    pub fn begin(log: &Log, span: Span) -> Result<Self> {
        let pattern = span.pattern.as_deref().map(pattern::compile).transpose()?;
        if let Some(after) = &span.after {
            names::check("stream", after)?;
        }
        let head = log.head()?;
        if span.cut > head {
            return Err(Error::Invalid(format!("position {} is beyond the log's head, {head}", span.cut)));
        }
        let next_key = match &span.after {
            None => 0,
            Some(after) => match log.reading(|index| index.find(KeyKind::Stream, after))? {
                Some((number, _)) => number + 1,
                None => return Err(Error::Invalid(format!("there is no stream {after:?} to continue after"))),
            },
        };
        let end_key = log.control.index_state()?.keys;
        Ok(Self { span, pattern, next_key, end_key })
    }

    /// The next streams, at most as many as a group may have; None when there are no more.
    pub fn next_group(&mut self, log: &Log) -> Result<Option<Group>> {
        let (group, next_key) = log.reading(|index| self.group_from(log, index))?;
        self.next_key = next_key;
        Ok(group)
    }

    fn group_from(&self, log: &Log, index: &Index) -> Result<(Option<Group>, u32)> {
        let names = Names::find(index, &self.span)?;
        let mut standings = Vec::new();
        let mut keys = Vec::new();
        let mut slots = Vec::new();
        let (mut base, mut number, mut first, mut events) = (0, self.next_key, u64::MAX, 0);
        while number < self.end_key && standings.len() < self.span.group_max {
            let key = index.key(number)?;
            if self.wants(log, &key)? {
                if standings.is_empty() {
                    base = number;
                }
                slots.resize((number - base) as usize, NO_SLOT);
                slots.push(u32::try_from(standings.len()).unwrap_or(NO_SLOT));
                standings.push(Standing::new(number));
                first = first.min(key.first);
                events += key.count;
                keys.push(key);
            }
            number += 1;
        }
        if standings.is_empty() {
            return Ok((None, number));
        }
        let positions = first..self.span.cut + 1;
        let narrow = events.saturating_mul(POSTINGS_PAY) <= positions.end - positions.start;
        let next = Walked { position: first, ..Walked::default() };
        let keys = narrow.then_some(keys);
        Ok((Some(Group { standings, slots, base, names, positions, keys, next }), number))
    }

    fn wants(&self, log: &Log, key: &Key) -> Result<bool> {
        if key.kind != KeyKind::Stream || key.count == 0 || key.first > self.span.cut {
            return Ok(false);
        }
        match &self.pattern {
            None => Ok(true),
            Some(pattern) => Ok(pattern.is_match(key.text(&log.segments)?)),
        }
    }
}

impl Group {
    #[inline]
    pub(super) fn slot(&self, stream: u32) -> Option<usize> {
        let slot = *self.slots.get(stream.checked_sub(self.base)? as usize)?;
        (slot != NO_SLOT).then_some(slot as usize)
    }

    /// What an event is to its stream.
    #[inline(always)]
    pub(super) fn noted(&self, slot: usize, name: u32, version: u64, position: u64) -> Noted {
        let what = match self.names.number(name) {
            Some(number) => What::Folded(number),
            None if self.names.closes(name) => What::Closes,
            None => What::Stranger(name),
        };
        Noted { slot: slot as u32, what, version, position }
    }

    /// Take note of an event of a stream; the number of its name when it is one to be folded.
    #[inline]
    pub(super) fn note(&mut self, slot: usize, name: u32, version: u64, position: u64) -> Option<u32> {
        let noted = self.noted(slot, name, version, position);
        self.standings[slot].note(&noted);
        match noted.what {
            What::Folded(number) => Some(number),
            _ => None,
        }
    }

    /// Forget what was walked.
    pub fn rewind(&mut self) {
        self.next = Walked { position: self.positions.start, ..Walked::default() };
        for standing in &mut self.standings {
            *standing = Standing::new(standing.stream);
        }
    }
}
