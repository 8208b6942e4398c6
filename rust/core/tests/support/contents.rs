//! All that a store holds, read in every way there is; the ways are compared with each other while reading.

use std::collections::BTreeMap;

use act_fast_core::{Condition, Error, EventView, Filter, Guards, Item, Log};

/// An event, without what depends on the clock. Its position is its place in `Contents::events`, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) stream: String,
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) meta: Vec<u8>,
    pub(crate) tags: Vec<String>,
}

/// All that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) events: Vec<Event>,
    /// The latest of each stream that has one: its version and its data.
    pub(crate) snapshots: BTreeMap<String, (u64, Vec<u8>)>,
}

/// Why a store could not be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It said so.
    Refused(Error),
    /// It did not, and contradicts itself.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

fn agree<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Trouble> {
    if found == expected {
        return Ok(());
    }
    let mut both = format!("{what}: {found:?} instead of {expected:?}");
    if both.len() > 600 {
        both.truncate((0..=600).rev().find(|at| both.is_char_boundary(*at)).unwrap_or(0));
        both.push('…');
    }
    Err(Trouble::Wrong(both))
}

/// An event with its names spelled out.
pub(crate) fn spelled(log: &Log, view: &EventView<'_>) -> Result<Event, Error> {
    Ok(Event {
        stream: log.text(view.stream)?.to_owned(),
        name: log.text(view.name)?.to_owned(),
        version: view.version,
        data: view.data.to_vec(),
        meta: view.meta.to_vec(),
        tags: view.tags.keys().map(|key| log.text(key).map(str::to_owned)).collect::<Result<_, _>>()?,
    })
}

/// All events that a filter lets through, with their positions.
pub(crate) fn all_of(log: &Log, filter: &Filter, page: usize) -> Result<Vec<(u64, Event)>, Error> {
    let mut query = log.query(filter)?;
    let mut found = Vec::new();
    while let Some(events) = query.next_page(log, page)? {
        for view in &events {
            found.push((view.position, spelled(log, view)?));
        }
    }
    // The same on another way, unless more was appended meanwhile.
    let mut query = log.query(&Filter { before: filter.before.or(Some(query.span().1 + 1)), ..filter.clone() })?;
    let mut again = Vec::new();
    let mut take = |events: &[EventView<'_>]| {
        assert!(events.len() <= page, "a page of {}", events.len());
        events.iter().try_for_each(|view| {
            again.push((view.position, spelled(log, view)?));
            Ok::<_, Error>(())
        })
    };
    while let Some(count) = query.each_page(log, 3 * page + 1, page, &mut take)? {
        assert!(count <= 3 * page + 1, "{count} at once");
    }
    assert_eq!(again, found);
    Ok(found)
}

/// Read everything.
pub(crate) fn read(log: &Log) -> Result<Contents, Trouble> {
    let head = log.head()?;
    let all = all_of(log, &Filter { before: Some(head + 1), ..Filter::default() }, 50)?;
    let positions: Vec<u64> = all.iter().map(|(position, _)| *position).collect();
    agree("positions", &positions, &(1..=head).collect())?;
    let events: Vec<Event> = all.into_iter().map(|(_, event)| event).collect();
    let mut streams: BTreeMap<&str, Vec<(u64, &Event)>> = BTreeMap::new();
    let mut names: BTreeMap<&str, Vec<(u64, &Event)>> = BTreeMap::new();
    for (position, event) in (1..).zip(&events) {
        streams.entry(&event.stream).or_default().push((position, event));
        names.entry(&event.name).or_default().push((position, event));
    }
    check_streams(log, &streams)?;
    check_names(log, &names)?;
    check_tags(log, &events)?;
    let mut snapshots = BTreeMap::new();
    for stream in streams.keys() {
        if let Some(snapshot) = log.latest_snapshot(stream, None)? {
            snapshots.insert((*stream).to_owned(), (snapshot.version, snapshot.data.to_vec()));
        }
    }
    Ok(Contents { events, snapshots })
}

fn check_streams(log: &Log, streams: &BTreeMap<&str, Vec<(u64, &Event)>>) -> Result<(), Trouble> {
    let listed = log.streams(None, None, usize::MAX)?.streams;
    agree("the number of streams", &listed.len(), &streams.len())?;
    agree("the count of streams", &log.stream_count()?, &(streams.len() as u64))?;
    for info in listed {
        let Some(events) = streams.get(info.stream.as_str()) else {
            return Err(Trouble::Wrong(format!("a stream {:?} that no event is of", info.stream)));
        };
        let what = format!("stream {:?}", info.stream);
        let (first, last) = (events[0], events[events.len() - 1]);
        agree(&what, &info.version, &(events.len() as u64))?;
        agree(&what, &(info.first_position, info.last_position), &(first.0, last.0))?;
        agree(&what, &info.last_name, &last.1.name)?;
        agree(&what, &log.version(&info.stream)?, &info.version)?;
        let loaded = load(log, &info.stream)?;
        let expected: Vec<Event> = events.iter().map(|(_, event)| (*event).clone()).collect();
        agree(&what, &loaded, &expected)?;
        let versions: Vec<u64> = loaded.iter().map(|event| event.version).collect();
        agree(&what, &versions, &(1..=info.version).collect())?;
    }
    Ok(())
}

/// A stream, page by page.
pub(crate) fn load(log: &Log, stream: &str) -> Result<Vec<Event>, Error> {
    let mut found = Vec::new();
    let mut after = Some(0);
    while let Some(version) = after {
        let page = log.load(stream, version, None, 40)?;
        for view in &page.events {
            found.push(spelled(log, view)?);
        }
        after = page.next;
    }
    Ok(found)
}

fn check_names(log: &Log, names: &BTreeMap<&str, Vec<(u64, &Event)>>) -> Result<(), Trouble> {
    let listed: BTreeMap<String, u64> = log.event_names()?.into_iter().collect();
    let expected = names.iter().map(|(name, events)| ((*name).to_owned(), events.len() as u64)).collect();
    agree("the event names", &listed, &expected)?;
    for (name, events) in names {
        let filter = Filter { names: Some(vec![(*name).to_owned()]), backwards: true, ..Filter::default() };
        let mut found: Vec<u64> = all_of(log, &filter, 30)?.into_iter().map(|(position, _)| position).collect();
        found.reverse();
        let expected: Vec<u64> = events.iter().map(|(position, _)| *position).collect();
        agree(&format!("events named {name:?}"), &found, &expected)?;
    }
    Ok(())
}

/// Every tag leads to its events, and a condition finds the newest of them.
fn check_tags(log: &Log, events: &[Event]) -> Result<(), Trouble> {
    let mut tags: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (position, event) in (1..).zip(events) {
        for tag in &event.tags {
            tags.entry(tag).or_default().push(position);
        }
    }
    tags.entry("nobody's").or_default();
    for (tag, positions) in tags {
        let what = format!("events tagged {tag:?}");
        let filter = Filter { tags: vec![tag.to_owned()], ..Filter::default() };
        let found: Vec<u64> = all_of(log, &filter, 30)?.into_iter().map(|(position, _)| position).collect();
        agree(&what, &found, &positions)?;
        let last = positions.last().copied().unwrap_or(0);
        for after in [0, last.saturating_sub(1), last] {
            let items = [Item { names: &[], tags: &[tag] }];
            let guards =
                Guards { versions: &[], conditions: &[Condition { items: &items, after }], ..Guards::default() };
            let newest = match log.check_guards(&guards, u64::MAX) {
                Ok(()) => 0,
                Err(Error::Condition { position, .. }) => position,
                Err(error) => return Err(error.into()),
            };
            agree(&format!("the newest after {after} of {what}"), &newest, &if last > after { last } else { 0 })?;
        }
    }
    Ok(())
}

/// Read in every way on its own, one stream and one name at a time. Each way may refuse; none may answer anything but what
/// is expected.
pub(crate) fn right_or_refused(log: &Log, expected: &Contents) -> Result<(), String> {
    let told = |outcome: Result<(), Trouble>| match outcome {
        Err(Trouble::Wrong(what)) => Err(what),
        _ => Ok(()),
    };
    let head = expected.events.len() as u64;
    told(log.head().map_err(Trouble::from).and_then(|found| agree("the head", &found, &head)))?;
    let mut streams: BTreeMap<&str, Vec<(u64, &Event)>> = BTreeMap::new();
    let mut names: BTreeMap<&str, Vec<(u64, &Event)>> = BTreeMap::new();
    for (position, event) in (1..).zip(&expected.events) {
        streams.entry(&event.stream).or_default().push((position, event));
        names.entry(&event.name).or_default().push((position, event));
    }
    told(check_names(log, &names))?;
    told(check_tags(log, &expected.events))?;
    told(check_streams(log, &streams))?;
    for (stream, events) in &streams {
        let what = format!("stream {stream:?}");
        let expected: Vec<(u64, Event)> =
            events.iter().map(|(position, event)| (*position, (*event).clone())).collect();
        let filter = Filter { stream: Some((*stream).to_owned()), ..Filter::default() };
        told(all_of(log, &filter, 7).map_err(Trouble::from).and_then(|found| agree(&what, &found, &expected)))?;
        let expected: Vec<Event> = expected.into_iter().map(|(_, event)| event).collect();
        told(load(log, stream).map_err(Trouble::from).and_then(|found| agree(&what, &found, &expected)))?;
        let version = expected.len() as u64;
        told(log.version(stream).map_err(Trouble::from).and_then(|found| agree(&what, &found, &version)))?;
    }
    for (stream, snapshot) in &expected.snapshots {
        let found = log.latest_snapshot(stream, None).map_err(Trouble::from);
        let found = found.map(|found| found.map(|found| (found.version, found.data.to_vec())));
        told(found.and_then(|found| agree("a snapshot", &found, &Some(snapshot.clone()))))?;
    }
    let filter = Filter { before: Some(head + 1), ..Filter::default() };
    let all: Vec<(u64, Event)> = (1..).zip(expected.events.iter().cloned()).collect();
    told(all_of(log, &filter, 3).map_err(Trouble::from).and_then(|found| agree("all events", &found, &all)))?;
    let backwards: Vec<(u64, Event)> = all.into_iter().rev().collect();
    let filter = Filter { backwards: true, ..Filter::default() };
    told(
        all_of(log, &filter, 3)
            .map_err(Trouble::from)
            .and_then(|found| agree("all events backwards", &found, &backwards)),
    )
}
