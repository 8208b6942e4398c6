//! Queries: events by stream, name, tag, position, time and correlation, page by page, over one cut of the log.
//!
//! A query walks the narrowest list there is: the postings of a stream, of a tag or of event names, or the log itself.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use regex::Regex;

use crate::error::{Error, Result};
use crate::index::{self, Index, Key};
use crate::log::record::KeyKind;
use crate::names;
use crate::pattern;
use crate::read::event::{EventView, PAGE_BYTES_MAX, Reader, view};
use crate::read::here::HereReader;
use crate::read::walk::{each_event, each_event_from};
use crate::store::log::Log;

/// How many events one page looks at before it comes back, be it empty, so that its caller stays interruptible.
const PAGE_EXAMINED_MAX: usize = 1 << 16;
const REFILL: u64 = 600;
/// How many times more events than some keys have the log must have for walking the keys to pay.
const KEYS_PAY: u64 = 4;

/// What a query asks for. All bounds are exclusive.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One stream, exactly.
    pub stream: Option<String>,
    /// Streams in whose names this regular expression is found.
    pub pattern: Option<String>,
    /// Events with one of these names.
    pub names: Option<Vec<String>>,
    /// Events with all of these tags.
    pub tags: Vec<String>,
    /// Events that match one of these: (names, any of which will do, and tags, all of which it takes).
    pub items: Option<Vec<(Vec<String>, Vec<String>)>>,
    /// Positions above this.
    pub after: u64,
    /// Positions below this.
    pub before: Option<u64>,
    /// Created after this, in µs since 1970.
    pub created_after: Option<i64>,
    /// Created before this, in µs since 1970.
    pub created_before: Option<i64>,
    /// Events whose meta has this correlation.
    pub correlation: Option<String>,
    /// From the youngest to the oldest.
    pub backwards: bool,
}

/// One key's positions, walked forwards or backwards.
#[derive(Clone, Debug)]
struct Source {
    number: u32,
    kind: KeyKind,
    /// The next ordinal to fetch, and how many are left.
    next: u64,
    left: u64,
    fetched: VecDeque<u64>,
}

impl Source {
    fn new(index: &Index, (number, key): (u32, Key), low: u64, high: u64, backwards: bool) -> Result<Self> {
        let first = index.count_up_to(&key, low - 1)? + 1;
        let last = index.count_up_to(&key, high)?;
        let left = (last + 1).saturating_sub(first);
        let next = if backwards { last } else { first };
        Ok(Self { number, kind: key.kind, next, left, fetched: VecDeque::new() })
    }

    /// Whether an event is this key's.
    fn has(&self, event: &EventView<'_>) -> bool {
        match self.kind {
            KeyKind::Stream => self.number == event.stream,
            KeyKind::Name => self.number == event.name,
            KeyKind::Tag => event.tags.has(self.number),
        }
    }

    fn front(&mut self, log: &Log, index: &Index, backwards: bool) -> Result<Option<u64>> {
        if self.fetched.is_empty() && self.left > 0 {
            let count = self.left.min(REFILL);
            let from = if backwards { self.next + 1 - count } else { self.next };
            let mut positions = Vec::with_capacity(count as usize);
            // Looked up again: its postings are elsewhere in an index that was rebuilt since.
            index.postings(&index.key(self.number)?, from, from + count - 1, &mut positions)?;
            log.unpack_ahead(index, &positions)?;
            if backwards {
                positions.reverse();
                self.next -= count;
            } else {
                self.next += count;
            }
            self.left -= count;
            self.fetched = positions.into();
        }
        Ok(self.fetched.front().copied())
    }
}

/// How a query walks, and how far it has come.
#[derive(Clone, Debug)]
enum Walk {
    /// The positions of some keys, merged.
    Keys(Vec<Source>),
    /// All positions from here on.
    Log { next: u64 },
}

/// One of a query's items, or its names and tags: what an event must have, by key.
#[derive(Clone, Debug)]
struct Wanted {
    /// None: any name.
    names: Option<HashSet<u32>>,
    tags: Vec<u32>,
}

impl Wanted {
    #[inline]
    fn has(&self, event: &EventView<'_>) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(&event.name))
            && self.tags.iter().all(|tag| event.tags.has(*tag))
    }
}

/// Keys whose positions, together, are all that are wanted; and of how many events.
#[derive(Default)]
struct Keys {
    keys: Vec<(u32, Key)>,
    count: u64,
}

impl Keys {
    fn new(keys: Vec<(u32, Key)>) -> Self {
        let count = keys.iter().map(|(_, key)| key.count).sum();
        Self { keys, count }
    }

    fn add(&mut self, more: Self) {
        for (number, key) in more.keys {
            if !self.keys.iter().any(|(known, _)| *known == number) {
                self.count += key.count;
                self.keys.push((number, key));
            }
        }
    }
}

/// A running query.
#[derive(Debug)]
pub struct Query {
    walk: Walk,
    low: u64,
    high: u64,
    backwards: bool,
    /// None: any stream, or one that is not there.
    stream: Option<u32>,
    wanted: Wanted,
    /// None: any event.
    items: Option<Vec<Wanted>>,
    pattern: Option<Regex>,
    /// What the pattern says of the streams seen.
    matched: HashMap<u32, bool>,
    correlation: Option<Correlated>,
}

impl Log {
    /// Begin a query over the log as it is published now.
    pub fn query(&self, filter: &Filter) -> Result<Query> {
        if let Some(stream) = &filter.stream {
            names::check("stream", stream)?;
        }
        for name in filter.names.iter().flatten() {
            names::check("event name", name)?;
        }
        check_texts(&filter.tags)?;
        for (names, tags) in filter.items.iter().flatten() {
            for name in names {
                names::check("event name", name)?;
            }
            check_texts(tags)?;
        }
        let pattern = filter.pattern.as_deref().map(pattern::compile).transpose()?;
        let head = self.head()?;
        self.reading(|index| self.plan(index, filter, pattern.clone(), head))
    }

    fn plan(&self, index: &Index, filter: &Filter, pattern: Option<Regex>, head: u64) -> Result<Query> {
        let (low, high) = self.bounds(index, filter, head)?;
        let span = (high + 1).saturating_sub(low);
        let (wanted, own) = want(index, filter.names.as_deref(), &filter.tags)?;
        let mut of_stream = None;
        let mut narrowest = if let Some(stream) = &filter.stream {
            let found = Keys::new(index.find(KeyKind::Stream, stream)?.into_iter().collect());
            of_stream = found.keys.first().map(|(number, _)| *number);
            // Versions have no gaps, so a stream's events lie close; a tag is walked only where it has fewer.
            Some(own.filter(|own| own.count < found.count).unwrap_or(found))
        } else {
            own.filter(|keys| keys.count.saturating_mul(KEYS_PAY) <= span)
        };
        let mut items = filter.items.as_ref().map(|_| Vec::new());
        let mut of_items = filter.items.as_ref().map(|_| Keys::default());
        for (names, tags) in filter.items.iter().flatten() {
            let names = (!names.is_empty()).then_some(&names[..]);
            let (item, keys) = want(index, names, tags)?;
            match (keys, &mut of_items) {
                (Some(keys), Some(all)) => all.add(keys),
                _ => of_items = None,
            }
            if let Some(items) = &mut items {
                items.push(item);
            }
        }
        if let Some(keys) = of_items.filter(|keys| keys.count.saturating_mul(KEYS_PAY) <= span)
            && narrowest.as_ref().is_none_or(|narrowest| keys.count < narrowest.count)
        {
            narrowest = Some(keys);
        }
        let walk = match narrowest {
            _ if span == 0 => Walk::Keys(Vec::new()),
            Some(keys) => Walk::Keys(
                keys.keys
                    .into_iter()
                    .map(|key| Source::new(index, key, low, high, filter.backwards))
                    .collect::<Result<_>>()?,
            ),
            None => Walk::Log { next: if filter.backwards { high } else { low } },
        };
        Ok(Query {
            walk,
            low,
            high,
            backwards: filter.backwards,
            stream: of_stream,
            wanted,
            items,
            pattern,
            matched: HashMap::new(),
            correlation: filter.correlation.as_deref().map(Correlated::new),
        })
    }

    /// The lowest and the highest position that can be meant.
    fn bounds(&self, index: &Index, filter: &Filter, head: u64) -> Result<(u64, u64)> {
        let mut low = filter.after.saturating_add(1);
        let mut high = filter.before.map_or(head, |before| head.min(before.saturating_sub(1)));
        if let Some(time) = filter.created_after {
            low = low.max(self.first_position(index, head, |created| created > time)?);
        }
        if let Some(time) = filter.created_before {
            high = high.min(self.first_position(index, head, |created| created >= time)? - 1);
        }
        Ok((low, high))
    }

    /// The first position up to `head` whose time passes the test, by bisection: times never run backwards in the log.
    fn first_position(&self, index: &Index, head: u64, passes: impl Fn(i64) -> bool) -> Result<u64> {
        let mut here = HereReader::new(self);
        let (mut low, mut high) = (1, head + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let created = here.event(index.place(middle)?, middle, |event| event.created)?;
            if passes(created) { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    /// The last position created before a time, in µs since 1970; 0 when there is none.
    pub fn position_before(&self, created: i64) -> Result<u64> {
        let head = self.head()?;
        self.reading(|index| Ok(self.first_position(index, head, |time| time >= created)? - 1))
    }
}

impl Query {
    /// The lowest and the highest position that it looks at.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        (self.low, self.high)
    }

    /// How many events it looks at, at most.
    #[must_use]
    pub fn width(&self) -> u64 {
        match &self.walk {
            Walk::Keys(sources) => sources.iter().map(|source| source.left).sum(),
            Walk::Log { .. } => (self.high + 1).saturating_sub(self.low),
        }
    }

    /// The next events: at most `limit`, perhaps none yet; None when there are no more.
    pub fn next_page<'a>(&mut self, log: &'a Log, limit: usize) -> Result<Option<Vec<EventView<'a>>>> {
        log.check_open()?;
        if limit == 0 {
            return Ok(None);
        }
        let start = self.walk.clone();
        log.reading(|index| {
            self.walk = start.clone();
            match self.walk {
                Walk::Keys(_) => self.page_of_keys(log, index, limit),
                Walk::Log { next } if next < self.low || next > self.high => Ok(None),
                Walk::Log { next } if self.backwards => self.page_of_log_backwards(log, index, limit, next),
                Walk::Log { next } => self.page_of_log(log, index, limit, next),
            }
        })
    }

    /// The next events, at most `limit`, handed on in pages of at most `page`; how many, perhaps none yet; None when there are
    /// no more. Where they lie one after another, each of their records is looked at once.
    pub fn each_page<'a, E: From<Error>>(
        &mut self,
        log: &'a Log,
        limit: usize,
        page: usize,
        mut each: impl FnMut(&[EventView<'a>]) -> std::result::Result<(), E>,
    ) -> std::result::Result<Option<usize>, E> {
        log.check_open()?;
        // What goes wrong on the way is met again below, where it is put right if it can be.
        let found = match self.walk {
            Walk::Log { next } if !self.backwards && (self.low..=self.high).contains(&next) => {
                self.pages_of_log(log, limit, page, next, &mut each)?
            }
            _ => 0,
        };
        if found > 0 {
            return Ok(Some(found));
        }
        let Some(events) = self.next_page(log, limit.min(page))? else { return Ok(None) };
        each(&events)?;
        Ok(Some(events.len()))
    }

    /// As far as nothing is wrong.
    fn pages_of_log<'a, E>(
        &mut self,
        log: &'a Log,
        limit: usize,
        page: usize,
        from: u64,
        each: &mut impl FnMut(&[EventView<'a>]) -> std::result::Result<(), E>,
    ) -> std::result::Result<usize, E> {
        let Ok(place) = log.reading(|index| log.commit_place(index.place(from)?)) else { return Ok(0) };
        let mut events = Vec::with_capacity(page.min(limit));
        let (mut found, mut bytes, mut examined, mut next) = (0, 0, 0, from);
        let mut outcome = Ok(());
        let _ = each_event_from(log, place, from..self.high + 1, |commit, event| {
            if found == limit || examined == PAGE_EXAMINED_MAX || bytes > PAGE_BYTES_MAX {
                return Ok(false);
            }
            examined += 1;
            let event = view(commit, event);
            if self.wants(log, &event)? {
                bytes += event.data.len();
                found += 1;
                events.push(event);
            }
            next += 1;
            if events.len() == page {
                outcome = each(&events);
                events.clear();
            }
            Ok(outcome.is_ok())
        });
        outcome?;
        if !events.is_empty() {
            each(&events)?;
        }
        self.walk = Walk::Log { next };
        Ok(found)
    }

    fn page_of_keys<'a>(&mut self, log: &'a Log, index: &Index, limit: usize) -> Result<Option<Vec<EventView<'a>>>> {
        let mut events = Vec::new();
        let mut reader = Reader::new(log);
        let mut bytes = 0;
        for _ in 0..PAGE_EXAMINED_MAX {
            if events.len() == limit || bytes > PAGE_BYTES_MAX {
                return Ok(Some(events));
            }
            let Some((source, position)) = self.next_of_keys(log, index)? else {
                return Ok((!events.is_empty()).then_some(events));
            };
            let event = reader.event(index.place(position)?, position)?;
            if !self.source(source).is_some_and(|source| source.has(&event)) {
                return Err(Error::index_damaged(index::FOLDER, 0));
            }
            if self.wants(log, &event)? {
                bytes += event.data.len();
                events.push(event);
            }
        }
        Ok(Some(events))
    }

    fn source(&self, number: usize) -> Option<&Source> {
        match &self.walk {
            Walk::Keys(sources) => sources.get(number),
            Walk::Log { .. } => None,
        }
    }

    /// The next position of all keys, and which of them has it.
    fn next_of_keys(&mut self, log: &Log, index: &Index) -> Result<Option<(usize, u64)>> {
        let Walk::Keys(sources) = &mut self.walk else {
            return Ok(None);
        };
        let mut best: Option<(usize, u64)> = None;
        for (at, source) in sources.iter_mut().enumerate() {
            if let Some(position) = source.front(log, index, self.backwards)?
                && best.is_none_or(|(_, other)| if self.backwards { position > other } else { position < other })
            {
                best = Some((at, position));
            }
        }
        if let Some((_, position)) = best {
            // An event may be in the lists of several tags.
            for source in sources.iter_mut().filter(|source| source.fetched.front() == Some(&position)) {
                source.fetched.pop_front();
            }
        }
        Ok(best)
    }

    fn page_of_log_backwards<'a>(
        &mut self,
        log: &'a Log,
        index: &Index,
        limit: usize,
        from: u64,
    ) -> Result<Option<Vec<EventView<'a>>>> {
        let mut events = Vec::new();
        let mut reader = Reader::new(log);
        let mut bytes = 0;
        let mut position = from;
        for _ in 0..PAGE_EXAMINED_MAX {
            if position < self.low || events.len() == limit || bytes > PAGE_BYTES_MAX {
                break;
            }
            let event = reader.event(index.place(position)?, position)?;
            position -= 1;
            if self.wants(log, &event)? {
                bytes += event.data.len();
                events.push(event);
            }
        }
        self.walk = Walk::Log { next: position };
        Ok(Some(events))
    }

    fn page_of_log<'a>(
        &mut self,
        log: &'a Log,
        index: &Index,
        limit: usize,
        from: u64,
    ) -> Result<Option<Vec<EventView<'a>>>> {
        let mut events = Vec::new();
        let (mut bytes, mut examined) = (0, 0);
        let mut next = from;
        each_event(log, index, from..self.high + 1, |commit, event| {
            if events.len() == limit || examined == PAGE_EXAMINED_MAX || bytes > PAGE_BYTES_MAX {
                return Ok(false);
            }
            examined += 1;
            next += 1;
            let event = view(commit, event);
            if self.wants(log, &event)? {
                bytes += event.data.len();
                events.push(event);
            }
            Ok(true)
        })?;
        self.walk = Walk::Log { next };
        Ok(Some(events))
    }

    fn wants(&mut self, log: &Log, event: &EventView<'_>) -> Result<bool> {
        if self.stream.is_some_and(|stream| stream != event.stream) || !self.wanted.has(event) {
            return Ok(false);
        }
        if let Some(items) = &self.items
            && !items.iter().any(|item| item.has(event))
        {
            return Ok(false);
        }
        if let Some(pattern) = &self.pattern {
            let matched = match self.matched.get(&event.stream) {
                Some(matched) => *matched,
                None => {
                    let matched = pattern.is_match(log.text(event.stream)?);
                    self.matched.insert(event.stream, matched);
                    matched
                }
            };
            if !matched {
                return Ok(false);
            }
        }
        Ok(self.correlation.as_mut().is_none_or(|wanted| wanted.has(event)))
    }
}

fn check_texts(tags: &[String]) -> Result<()> {
    names::check_tags(&tags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What an event must have, by key, and the narrowest keys that all such events are among: those of one of the tags, or of
/// the names; None where neither is given.
fn want(index: &Index, names: Option<&[String]>, tags: &[String]) -> Result<(Wanted, Option<Keys>)> {
    let mut name_numbers = names.map(|_| HashSet::new());
    let mut name_keys = names.map(|_| Vec::new());
    for name in names.into_iter().flatten() {
        if let (Some(numbers), Some(keys)) = (&mut name_numbers, &mut name_keys)
            && let Some((number, key)) = index.find(KeyKind::Name, name)?
            && numbers.insert(number)
        {
            keys.push((number, key));
        }
    }
    let mut narrowest = name_keys.map(Keys::new);
    let mut tag_numbers = Vec::with_capacity(tags.len());
    for tag in tags {
        let found = index.find(KeyKind::Tag, tag)?;
        // A tag that no event has: no key has this number.
        tag_numbers.push(found.map_or(u32::MAX, |(number, _)| number));
        let keys = Keys::new(found.into_iter().collect());
        if (index.has_tags() || found.is_none()) && narrowest.as_ref().is_none_or(|known| keys.count < known.count) {
            narrowest = Some(keys);
        }
    }
    Ok((Wanted { names: name_numbers, tags: tag_numbers }, narrowest))
}

/// What is looked at of a meta; the rest is passed over, however deep it is.
#[derive(serde::Deserialize)]
struct Correlation<'a> {
    #[serde(borrow)]
    correlation: Option<Cow<'a, str>>,
}

/// A correlation that is looked for.
#[derive(Debug)]
struct Correlated {
    wanted: String,
    /// Whether JSON says it as it is.
    plain: bool,
    /// The commit that was looked at last, and whether it has the correlation: its events share their meta.
    last: Option<(u64, bool)>,
}

impl Correlated {
    fn new(wanted: &str) -> Self {
        Self { wanted: wanted.to_owned(), plain: !wanted.contains(['\\', '"']), last: None }
    }

    fn has(&mut self, event: &EventView<'_>) -> bool {
        match self.last {
            Some((commit, found)) if commit == event.commit => found,
            _ => {
                let found = self.is_in(event.meta);
                self.last = Some((event.commit, found));
                found
            }
        }
    }

    fn is_in(&self, meta: &[u8]) -> bool {
        if meta.is_empty() || self.is_another(meta) {
            return false;
        }
        let parsed: serde_json::Result<Correlation<'_>> = serde_json::from_slice(meta);
        parsed.is_ok_and(|meta| meta.correlation.as_deref() == Some(self.wanted.as_str()))
    }

    /// Whether the meta surely has another one: it comes first, as it is written, and differs in a letter that stands there as
    /// it is.
    fn is_another(&self, meta: &[u8]) -> bool {
        let Some(text) = meta.strip_prefix(br#"{"correlation":""#).filter(|_| self.plain) else { return false };
        let same = text.iter().zip(self.wanted.as_bytes()).take_while(|(one, other)| one == other).count();
        let other = if same == self.wanted.len() { b'"' } else { self.wanted.as_bytes()[same] };
        text.get(same).is_some_and(|found| *found != b'\\' && *found != other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_seen_of_a_meta_is_what_json_says(
            parts in prop::collection::vec(prop::sample::select(vec!["a", "b", "\\u0061", "\\\\", "\\\"", "\"", "é", "\u{1}"]), 0..4),
            rest in prop::sample::select(vec!["\"}", "\",\"extra\":1}", "\",\"correlation\":\"b\"}", "", "\"} ", "\"}}"]),
            before in prop::sample::select(vec!["{\"correlation\":\"", "{ \"correlation\":\"", "{\"extra\":[],\"correlation\":\"", "{\"corr\":\""]),
            wanted in "[abé\\\\\"\u{1}]{0,4}",
        ) {
            let meta = format!("{before}{}{rest}", parts.concat());
            let parsed: serde_json::Result<Correlation<'_>> = serde_json::from_str(&meta);
            let said = parsed.is_ok_and(|meta| meta.correlation.as_deref() == Some(wanted.as_str()));
            prop_assert_eq!(Correlated::new(&wanted).is_in(meta.as_bytes()), said);
        }
    }

    #[test]
    fn a_correlation_is_found_however_it_is_written() {
        let found = |meta: &str, wanted: &str| Correlated::new(wanted).is_in(meta.as_bytes());
        for (meta, wanted, right) in [
            (r#"{"correlation":"abc"}"#, "abc", true),
            (r#"{ "extra": 1, "correlation" : "abc" }"#, "abc", true),
            (r#"{"correlation":"abcd"}"#, "abc", false),
            (r#"{"correlation":"x","extra":"abc"}"#, "abc", false),
            (r#"{"causation":{"correlation":"abc"}}"#, "abc", false),
            (r#"{"correlation":"\u0061bc"}"#, "abc", true),
            (r#"{"correlation":"ab\u0063"}"#, "abc", true),
            (r#"{"correlation":"abc\u0064"}"#, "abc", false),
            (r#"{"correlation":"ab"}"#, "abc", false),
            (r#"{"correlation":"a"#, "abc", false),
            (r#"{"correlation":"abc","extra":"abc"}"#, "abc", true),
            (r#"{"correlation":"a\\b"}"#, "a\\b", true),
            (r#"{"\u0063orrelation":"abc"}"#, "abc", true),
            (r#"{"correlation":"a\"b"}"#, "a\"b", true),
            (r#"{"correlation":"a\/b"}"#, "a/b", true),
            (r#"{"correlation":"\ud83d\ude00"}"#, "\u{1f600}", true),
            (r#"{"correlation":null}"#, "null", false),
            (r#"{"correlation":7}"#, "7", false),
            (r#"{"correlation":""}"#, "", true),
            ("{}", "", false),
            ("", "abc", false),
            ("abc", "abc", false),
        ] {
            assert_eq!(found(meta, wanted), right, "{wanted} in {meta}");
        }
    }
}
