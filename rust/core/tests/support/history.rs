//! What was asked of a store, in order, and what must therefore be in it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use act_fast_core::{Log, NewEvent, Part, Patience, Result};

use super::contents::{Contents, Event};
use super::rng::Rng;

/// Events for one stream: their names and data.
pub(crate) type NewEvents = Vec<(String, Vec<u8>)>;

/// One thing that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Commit { parts: Vec<(String, NewEvents)>, meta: Vec<u8> },
    Snapshot { stream: String, version: u64, data: Vec<u8> },
}

impl Item {
    /// A commit of one event.
    pub(crate) fn event(stream: &str, name: &str, data: &str) -> Self {
        let events = vec![(name.to_owned(), data.as_bytes().to_vec())];
        Self::Commit { parts: vec![(stream.to_owned(), events)], meta: Vec::new() }
    }

    /// How many events it adds.
    pub(crate) fn events(&self) -> usize {
        match self {
            Self::Commit { parts, .. } => parts.iter().map(|(_, events)| events.len()).sum(),
            Self::Snapshot { .. } => 0,
        }
    }

    /// Ask for it. `expected`: with the versions that follow from what a store holds.
    pub(crate) fn ask(&self, log: &Log, expected: Option<&Versions>) -> Result<()> {
        match self {
            Self::Snapshot { stream, version, data } => log.save_snapshot(stream, *version, data),
            Self::Commit { parts, meta } => {
                let mut versions = expected.cloned();
                let events: Vec<Vec<NewEvent<'_>>> =
                    parts.iter().map(|(_, events)| events.iter().map(new_event).collect()).collect();
                let mut asked = Vec::new();
                for ((stream, _), events) in parts.iter().zip(&events) {
                    let expected = versions.as_mut().map(|versions| versions.add(stream, events.len() as u64));
                    asked.push(Part { stream, events, expected });
                }
                log.append(&asked, meta, Patience::Wait).map(drop)
            }
        }
    }
}

fn new_event((name, data): &(String, Vec<u8>)) -> NewEvent<'_> {
    NewEvent { name, data, tags: tags_of(data) }
}

static TAGS: LazyLock<Vec<Vec<&str>>> = LazyLock::new(|| {
    let tag = |kind: &str, number: usize| -> &str { Box::leak(format!("{kind}:{number}").into_boxed_str()) };
    let some = |n: usize| [tag("course", n % 5), tag("größe", n % 7), tag("order", n)][..n % 4].to_vec();
    (0..64).map(some).collect()
});

/// The tags that an event with this data is given: every fourth has none, others up to three.
pub(crate) fn tags_of(data: &[u8]) -> &'static [&'static str] {
    let sum = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    &TAGS[sum % TAGS.len()]
}

/// What the streams have come to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions(BTreeMap<String, u64>);

impl Versions {
    /// Add events to a stream; the version that it had.
    pub(crate) fn add(&mut self, stream: &str, more: u64) -> u64 {
        let version = self.0.entry(stream.to_owned()).or_default();
        *version += more;
        *version - more
    }

    pub(crate) fn of(items: &[Arc<Item>]) -> Self {
        let mut versions = Self::default();
        for item in items {
            if let Item::Commit { parts, .. } = &**item {
                for (stream, events) in parts {
                    versions.add(stream, events.len() as u64);
                }
            }
        }
        versions
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &u64)> {
        self.0.iter()
    }
}

/// What a store holds of which this was asked, and all of it done.
pub(crate) fn contents(items: &[Arc<Item>]) -> Contents {
    let mut found = Contents::default();
    let mut versions = Versions::default();
    for item in items {
        match &**item {
            Item::Snapshot { stream, version, data } => {
                found.snapshots.insert(stream.clone(), (*version, data.clone()));
            }
            commit => found.events.extend(events_of(commit, &mut versions)),
        }
    }
    found
}

/// How many of `items`, from the first on, a store holds that was found with `found` in it; at least `required`.
pub(crate) fn prefix(items: &[Arc<Item>], required: usize, found: &Contents) -> std::result::Result<usize, String> {
    let mut events = 0;
    let mut kept = 0;
    while events < found.events.len() {
        let Some(item) = items.get(kept) else {
            return Err(format!("{} events, which is more than were ever appended", found.events.len()));
        };
        events += item.events();
        kept += 1;
    }
    if events != found.events.len() {
        return Err(format!("half of commit {}: {} events in all", kept - 1, found.events.len()));
    }
    // Snapshots behind the last commit may be there or not; the last one that is tells of those before it.
    let last =
        items[kept..].iter().take_while(|item| item.events() == 0).enumerate().filter(|(_, item)| shows(found, item));
    kept += last.last().map_or(0, |(at, _)| at + 1);
    if kept < required {
        return Err(format!("{kept} of {} commits and snapshots, but {required} were acknowledged", items.len()));
    }
    if contents(&items[..kept]) != *found {
        return Err(format!("{kept} of {} commits and snapshots, but not as they were written", items.len()));
    }
    Ok(kept)
}

/// Which of `items` a store holds that was found with `found` in it. Those that are certain must be there; the others
/// may, whole and in their place.
pub(crate) fn selection(items: &[(Arc<Item>, bool)], found: &Contents) -> std::result::Result<Vec<Arc<Item>>, String> {
    let mut kept = Vec::new();
    let mut versions = Versions::default();
    let mut rest = &found.events[..];
    for (number, (item, certain)) in items.iter().enumerate() {
        let Item::Commit { .. } = **item else {
            if *certain || shows(found, item) {
                kept.push(Arc::clone(item));
            }
            continue;
        };
        let mut after = versions.clone();
        let expected = events_of(item, &mut after);
        if rest.starts_with(&expected) {
            rest = &rest[expected.len()..];
            versions = after;
            kept.push(Arc::clone(item));
        } else if *certain {
            return Err(format!("commit {number} was acknowledged and is not there, or not whole"));
        }
    }
    if contents(&kept) != *found {
        return Err(format!(
            "{} events of {} were not asked for, or snapshots are wrong",
            rest.len(),
            found.events.len()
        ));
    }
    Ok(kept)
}

fn shows(found: &Contents, item: &Item) -> bool {
    matches!(item, Item::Snapshot { stream, version, data }
        if found.snapshots.get(stream).is_some_and(|shown| shown.0 == *version && shown.1 == *data))
}

fn events_of(item: &Item, versions: &mut Versions) -> Vec<Event> {
    let Item::Commit { parts, meta } = item else { return Vec::new() };
    let mut events = Vec::new();
    for (stream, new) in parts {
        for (name, data) in new {
            let version = versions.add(stream, 1) + 1;
            let (stream, name) = (stream.clone(), name.clone());
            let tags = tags_of(data).iter().map(|tag| (*tag).to_owned()).collect();
            events.push(Event { stream, name, version, data: data.clone(), meta: meta.clone(), tags });
        }
    }
    events
}

fn data_bytes(parts: &[(String, NewEvents)]) -> usize {
    parts.iter().flat_map(|(_, events)| events).map(|(_, data)| data.len()).sum()
}

/// Makes up things to ask for.
#[derive(Debug)]
pub(crate) struct Author {
    rng: Rng,
    written: u64,
}

impl Author {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, written: 0 }
    }

    fn data(&mut self) -> Vec<u8> {
        self.written += 1;
        let rng = &mut self.rng;
        let pad = match rng.below(20) {
            0 => 1500 + rng.below(5000),
            1..5 => 200 + rng.below(900),
            _ => rng.below(120),
        };
        let (id, pad) = (self.written, "x".repeat(pad));
        format!(r#"{{"id":{id},"salt":{},"pad":"{pad}"}}"#, rng.next() >> 20).into_bytes()
    }

    fn part(&mut self) -> (String, NewEvents) {
        let stream = match self.rng.below(4) {
            0 => format!("new-{}", self.rng.next() >> 40),
            _ => format!("stream-{}", self.rng.below(6)),
        };
        let count = if self.rng.chance(75) { 1 } else { 2 + self.rng.below(3) };
        let names = ["Opened", "Deposited", "Closed", "Renamed"];
        let events = (0..count).map(|_| (names[self.rng.below(4)].to_owned(), self.data())).collect();
        (stream, events)
    }

    /// A commit.
    pub(crate) fn commit(&mut self) -> Item {
        let count = if self.rng.chance(75) { 1 } else { 2 + self.rng.below(3) };
        let mut parts: Vec<_> = (0..count).map(|_| self.part()).collect();
        // It has to fit into one log file.
        while data_bytes(&parts) > 12_000 {
            let (_, events) = parts.last_mut().expect("one event is small enough");
            events.pop();
            parts.retain(|(_, events)| !events.is_empty());
        }
        let meta = match self.rng.below(2) {
            0 => Vec::new(),
            _ => format!(r#"{{"correlation":"c-{}"}}"#, self.rng.below(9)).into_bytes(),
        };
        Item::Commit { parts, meta }
    }

    /// A snapshot of some stream there is, younger than the ones before.
    pub(crate) fn snapshot(&mut self, items: &[Arc<Item>]) -> Option<Item> {
        let versions = Versions::of(items);
        let all: Vec<_> = versions.iter().collect();
        if all.is_empty() {
            return None;
        }
        let (stream, version) = all[self.rng.below(all.len())];
        let taken = contents(items).snapshots.get(stream).map_or(0, |(version, _)| *version);
        let data = self.data();
        (*version > taken).then(|| Item::Snapshot { stream: stream.clone(), version: *version, data })
    }
}
