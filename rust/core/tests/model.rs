//! Random histories against a model made of plain maps: whatever is appended, refused, queried, snapshotted, reopened or
//! indexed anew, the store answers as the model does. Log files are as small as they can be, so that histories cross them.
//!
//! `ACT_FAST_HISTORIES` says how many are tried (96).

use std::collections::BTreeMap;
use std::sync::Arc;

use act_fast_core::disk::MemoryDisk;
use act_fast_core::{Durability, Error, EventView, Filter, Log, NewEvent, Options, Part, Patience};
use proptest::prelude::*;

const STREAMS: [&str; 4] = ["s1", "s12", "other", "größe"];
const NAMES: [&str; 3] = ["Opened", "Deposited", "Closed"];

/// A stream, (name, bytes of payload) for each event, and the version expected.
type Given = (usize, Vec<(usize, usize)>, Option<u64>);

#[derive(Clone, Debug)]
enum Step {
    Append { parts: Vec<Given> },
    Snapshot { stream: usize, version: u64 },
    Load { stream: usize, after: u64, before: Option<u64>, limit: usize },
    Query { filter: Asked, page: usize },
    Reopen,
    Rebuild,
}

#[derive(Clone, Debug)]
struct Asked {
    stream: Option<usize>,
    pattern: Option<&'static str>,
    names: Option<Vec<usize>>,
    after: u64,
    before: Option<u64>,
    backwards: bool,
}

/// An event as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    position: u64,
    stream: &'static str,
    version: u64,
    name: &'static str,
    data: Vec<u8>,
}

#[derive(Default)]
struct Model {
    events: Vec<Kept>,
    versions: BTreeMap<&'static str, u64>,
    snapshots: BTreeMap<&'static str, Vec<u64>>,
}

fn part() -> impl Strategy<Value = Given> {
    let events = proptest::collection::vec((0..NAMES.len(), 0..400_usize), 1..6);
    (0..STREAMS.len(), events, proptest::option::weighted(0.4, 0..8_u64))
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        proptest::option::weighted(0.4, 0..STREAMS.len()),
        proptest::option::weighted(0.3, prop_oneof![Just("^s1$"), Just("s1"), Just("e"), Just("nowhere")]),
        proptest::option::weighted(0.5, proptest::collection::vec(0..NAMES.len(), 0..3)),
        0..40_u64,
        proptest::option::of(0..80_u64),
        any::<bool>(),
    )
        .prop_map(|(stream, pattern, names, after, before, backwards)| Asked {
            stream,
            pattern,
            names,
            after,
            before,
            backwards,
        })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec(part(), 1..4).prop_map(|parts| Step::Append { parts }),
        2 => (0..STREAMS.len(), 0..12_u64).prop_map(|(stream, version)| Step::Snapshot { stream, version }),
        3 => (0..STREAMS.len(), 0..12_u64, proptest::option::of(0..16_u64), 0..12_usize)
            .prop_map(|(stream, after, before, limit)| Step::Load { stream, after, before, limit }),
        3 => (asked(), 1..9_usize).prop_map(|(filter, page)| Step::Query { filter, page }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rebuild),
    ]
}

fn payload(len: usize) -> Vec<u8> {
    format!("\"{}\"", "x".repeat(len)).into_bytes()
}

fn kept(log: &Log, event: &EventView<'_>) -> Kept {
    let stream = log.text(event.stream).expect("a stream's name");
    let name = log.text(event.name).expect("an event's name");
    Kept {
        position: event.position,
        stream: STREAMS.into_iter().find(|known| *known == stream).expect("a stream of the model's"),
        version: event.version,
        name: NAMES.into_iter().find(|known| *known == name).expect("a name of the model's"),
        data: event.data.to_vec(),
    }
}

impl Model {
    fn append(&mut self, log: &Log, parts: &[Given]) {
        let mut fresh = Vec::new();
        let mut versions = self.versions.clone();
        let mut conflict = None;
        let mut places = Vec::new();
        for (stream, events, expected) in parts {
            let version = versions.entry(STREAMS[*stream]).or_default();
            if expected.is_some_and(|expected| expected != *version) && conflict.is_none() {
                conflict = Some((STREAMS[*stream], *version));
            }
            let (before, first) = (*version, (self.events.len() + fresh.len() + 1) as u64);
            let more = events.len() as u64;
            places.push((before + 1, before + more, first, first + more - 1));
            for (name, len) in events {
                *version += 1;
                let position = (self.events.len() + fresh.len() + 1) as u64;
                let (stream, name, data) = (STREAMS[*stream], NAMES[*name], payload(*len));
                fresh.push(Kept { position, stream, version: *version, name, data });
            }
        }
        let payloads: Vec<Vec<Vec<u8>>> =
            parts.iter().map(|(_, events, _)| events.iter().map(|(_, len)| payload(*len)).collect()).collect();
        let events: Vec<Vec<NewEvent<'_>>> = parts
            .iter()
            .zip(&payloads)
            .map(|((_, events, _), data)| {
                events
                    .iter()
                    .zip(data)
                    .map(|((name, _), data)| NewEvent { name: NAMES[*name], data, tags: &[] })
                    .collect()
            })
            .collect();
        let given: Vec<Part<'_>> = parts
            .iter()
            .zip(&events)
            .map(|((stream, _, expected), events)| Part { stream: STREAMS[*stream], events, expected: *expected })
            .collect();
        match (log.append(&given, b"{}", Patience::Wait), conflict) {
            (Ok(appended), None) => {
                let told = appended
                    .iter()
                    .map(|each| (each.first_version, each.last_version, each.first_position, each.last_position));
                assert_eq!(told.collect::<Vec<_>>(), places);
                self.events.append(&mut fresh);
                self.versions = versions;
            }
            (Err(Error::Conflict { stream, actual, .. }), Some(expected)) => {
                assert_eq!((stream.as_str(), actual), expected);
            }
            (outcome, expected) => panic!("{outcome:?} where the model says {expected:?}"),
        }
    }

    fn snapshot(&mut self, log: &Log, stream: &'static str, version: u64) {
        let reached = self.versions.get(stream).copied().unwrap_or(0);
        let outcome = log.save_snapshot(stream, version, format!("{version}").as_bytes());
        assert_eq!(outcome.is_ok(), (1..=reached).contains(&version));
        let saved = self.snapshots.entry(stream).or_default();
        // What is kept never goes back.
        if outcome.is_ok() && saved.last().is_none_or(|last| *last <= version) {
            saved.push(version);
        }
        for limit in [None, Some(version), Some(1)] {
            let expected = saved.iter().rev().find(|saved| limit.is_none_or(|limit| **saved <= limit));
            let found = log.latest_snapshot(stream, limit).expect("a snapshot");
            assert_eq!(found.map(|found| found.version).as_ref(), expected);
            let beginning = format!("{version}");
            let expected = saved
                .iter()
                .rev()
                .find(|saved| limit.is_none_or(|limit| **saved <= limit) && saved.to_string().starts_with(&beginning));
            let found = log.latest_snapshot_beginning(stream, limit, beginning.as_bytes()).expect("a snapshot");
            assert_eq!(found.map(|found| found.version).as_ref(), expected);
        }
    }

    fn load(&self, log: &Log, stream: &str, after: u64, before: Option<u64>, limit: usize) {
        let inside = |event: &&Kept| {
            event.stream == stream && event.version > after && before.is_none_or(|before| event.version < before)
        };
        let expected: Vec<Kept> = self.events.iter().filter(inside).take(limit).cloned().collect();
        let page = log.load(stream, after, before, limit).expect("a page");
        let found: Vec<Kept> = page.events.iter().map(|event| kept(log, event)).collect();
        assert_eq!(found, expected);
        let more = self.events.iter().filter(inside).count() > expected.len();
        assert_eq!(page.next.is_some(), more && limit > 0);
    }

    fn query(&self, log: &Log, asked: &Asked, page: usize) {
        let wanted = |event: &&Kept| {
            let in_pattern = match asked.pattern {
                Some("^s1$") => event.stream == "s1",
                Some(part) => event.stream.contains(part),
                None => true,
            };
            asked.stream.is_none_or(|stream| STREAMS[stream] == event.stream)
                && in_pattern
                && asked.names.as_ref().is_none_or(|names| names.iter().any(|name| NAMES[*name] == event.name))
                && event.position > asked.after
                && asked.before.is_none_or(|before| event.position < before)
        };
        let mut expected: Vec<Kept> = self.events.iter().filter(wanted).cloned().collect();
        if asked.backwards {
            expected.reverse();
        }
        let filter = Filter {
            stream: asked.stream.map(|stream| STREAMS[stream].to_owned()),
            pattern: asked.pattern.map(str::to_owned),
            names: asked.names.as_ref().map(|names| names.iter().map(|name| NAMES[*name].to_owned()).collect()),
            after: asked.after,
            before: asked.before,
            backwards: asked.backwards,
            ..Filter::default()
        };
        let mut query = log.query(&filter).expect("a query");
        let mut found = Vec::new();
        while let Some(events) = query.next_page(log, page).expect("a page") {
            assert!(events.len() <= page);
            found.extend(events.iter().map(|event| kept(log, event)));
        }
        assert_eq!(found, expected);
    }

    fn look(&self, log: &Log) {
        assert_eq!(log.head().expect("a head"), self.events.len() as u64);
        let page = log.streams(None, None, usize::MAX).expect("streams");
        let found: BTreeMap<&str, u64> = page.streams.iter().map(|info| (info.stream.as_str(), info.version)).collect();
        let expected: BTreeMap<&str, u64> = self
            .versions
            .iter()
            .filter(|(_, version)| **version > 0)
            .map(|(name, version)| (*name, *version))
            .collect();
        assert_eq!(found, expected);
        for (name, count) in log.event_names().expect("names") {
            assert_eq!(self.events.iter().filter(|event| event.name == name).count() as u64, count);
        }
    }
}

fn histories() -> u32 {
    let asked = std::env::var("ACT_FAST_HISTORIES").ok();
    asked.map_or(96, |text| text.parse().expect("a number of histories"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(histories()))]

    #[test]
    fn any_history_is_as_the_model_has_it(steps in proptest::collection::vec(step(), 1..60)) {
        let disk: Arc<MemoryDisk> = Arc::default();
        let options = Options { durability: Durability::Os, segment_bytes: 16 << 10, ..Options::default() };
        let open = || Log::open(Arc::clone(&disk) as _, options.clone()).expect("the store opens");
        let mut log = open();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Append { parts } => model.append(&log, &parts),
                Step::Snapshot { stream, version } => model.snapshot(&log, STREAMS[stream], version),
                Step::Load { stream, after, before, limit } => model.load(&log, STREAMS[stream], after, before, limit),
                Step::Query { filter, page } => model.query(&log, &filter, page),
                Step::Rebuild => log.rebuild_index().expect("a new index"),
                Step::Reopen => {
                    drop(log);
                    log = open();
                }
            }
            model.look(&log);
        }
        let report = act_fast_core::verify(&(Arc::clone(&disk) as _), &mut |_, _| Ok(())).expect("a report");
        prop_assert_eq!(report.problems, vec![]);
        prop_assert_eq!(report.events, model.events.len() as u64);
    }
}
