//! Tags and conditions where the index was made by a version that knew none, and where several keys meet.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use act_fast_core::disk::{Disk, RealDisk};
use act_fast_core::{
    AppendedParts, Condition, Durability, Error, Filter, Guards, Item, Log, NewEvent, Part, Patience, Result, verify,
};
use support::control_file::without_tags;
use support::rng::Rng;
use support::{contents, options};

fn open(path: &Path) -> Arc<Log> {
    Log::open(Arc::new(RealDisk::new(path)), options(Durability::Os)).expect("the store opens")
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("act-fast-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn append(log: &Log, tags: &[&str], conditions: &[Condition<'_>]) -> Result<AppendedParts> {
    let events = [NewEvent { name: "Happened", data: b"1", tags }];
    let parts = [Part { stream: "s", events: &events, expected: None }];
    log.append_if(&parts, &Guards { versions: &[], conditions, ..Guards::default() }, b"", Patience::Wait)
}

fn tagged(log: &Log, tag: &str) -> Vec<u64> {
    let filter = Filter { tags: vec![tag.to_owned()], ..Filter::default() };
    contents::all_of(log, &filter, 3).expect("events").into_iter().map(|(position, _)| position).collect()
}

fn keys_of(path: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(path.join("index")).expect("an index").map(|each| each.expect("an entry").path()).collect();
    assert_eq!(found.len(), 1);
    found.remove(0).join("keys")
}

/// Let the index be one that an earlier version has made of this log: without postings for tags.
fn as_of_an_earlier_version(path: &Path) {
    let file = keys_of(path);
    let mut bytes = std::fs::read(&file).expect("reading");
    without_tags(&mut bytes);
    std::fs::write(&file, bytes).expect("writing");
}

#[test]
fn an_index_without_tags_is_used_as_it_is_until_tags_are_asked_for_under_the_lock() {
    let path = folder("tags");
    let log = open(&path);
    for number in 0..30 {
        append(&log, if number % 3 == 0 { &["third"] } else { &[] }, &[]).expect("an append");
    }
    drop(log);
    as_of_an_earlier_version(&path);
    let log = open(&path);
    let other = open(&path);
    let thirds: Vec<u64> = (1..=30).filter(|position| position % 3 == 1).collect();
    assert_eq!((tagged(&log, "third"), tagged(&log, "none")), (thirds.clone(), vec![]));
    append(&log, &[], &[]).expect("an append without tags");
    assert_eq!(std::fs::read(keys_of(&path)).expect("reading")[8], 1, "as it was");
    let items = [Item { names: &[], tags: &["third"] }];
    let refused = append(&log, &[], &[Condition { items: &items, after: 27 }]);
    assert!(matches!(refused, Err(Error::Condition { after: 27, position: 28 })), "{refused:?}");
    assert_eq!(std::fs::read(keys_of(&path)).expect("reading")[8], 2, "made anew");
    append(&other, &["third"], &[Condition { items: &items, after: 28 }]).expect("an append");
    assert_eq!(tagged(&log, "third"), [&thirds[..], &[32]].concat());
    drop((log, other));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&path));
    assert_eq!(verify(&disk, &mut |_, _| Ok(())).expect("a report").problems, vec![]);
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn the_newest_match_of_several_keys_is_that_of_a_walk_through_all_events() {
    let path = folder("newest");
    let log = open(&path);
    let mut rng = Rng::new(7);
    let names = ["A", "B", "C"];
    let tags = ["rare", "half", "most"];
    let mut kept: Vec<(&str, Vec<&str>)> = Vec::new();
    for number in 0..1500 {
        let chances = [2, 50, 90];
        let own: Vec<&str> =
            tags.iter().zip(chances).filter(|(_, chance)| rng.chance(*chance)).map(|(tag, _)| *tag).collect();
        let name = names[(number / 400) % 3];
        let events = [NewEvent { name, data: b"1", tags: &own }];
        let parts = [Part { stream: "s", events: &events, expected: None }];
        log.append(&parts, b"", Patience::Wait).expect("an append");
        kept.push((name, own));
    }
    for _ in 0..400 {
        let some = |rng: &mut Rng, of: &[&'static str]| -> Vec<&'static str> {
            of.iter().filter(|_| rng.chance(40)).copied().collect()
        };
        let (names, tags) = (some(&mut rng, &names), some(&mut rng, &tags));
        let (upto, after) = (1 + rng.below(1500), rng.below(1500));
        let matches = |(name, own): &(&str, Vec<&str>)| {
            (names.is_empty() || names.contains(name)) && tags.iter().all(|tag| own.contains(tag))
        };
        let newest = (after..upto).rev().find(|at| matches(&kept[*at])).map_or(0, |at| at as u64 + 1);
        let items = [Item { names: &names, tags: &tags }];
        let conditions = [Condition { items: &items, after: after as u64 }];
        let found = match log
            .check_guards(&Guards { versions: &[], conditions: &conditions, ..Guards::default() }, upto as u64)
        {
            Ok(()) => 0,
            Err(Error::Condition { position, .. }) => position,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(found, newest, "{names:?} {tags:?} after {after} up to {upto}");
    }
    drop(log);
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn one_of_many_wins_however_far_back_their_conditions_look() {
    let path = folder("far");
    let log = open(&path);
    for _ in 0..1500 {
        append(&log, &[], &[]).expect("an append");
    }
    for round in 0..50 {
        let prize = format!("prize={round}");
        let items = [Item { names: &[], tags: &[&prize] }];
        let conditions = [Condition { items: &items, after: 0 }];
        let barrier = std::sync::Barrier::new(4);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let take = || {
                barrier.wait();
                append(&log, &[&prize], &conditions)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
        });
        let [won] = tagged(&log, &prize)[..] else { panic!("one wins, not {outcomes:?}") };
        for outcome in outcomes {
            match outcome {
                Ok(parts) => assert_eq!(parts[0].first_position, won),
                Err(Error::Condition { after, position }) => assert_eq!((after, position), (0, won)),
                Err(error) => panic!("{error}"),
            }
        }
    }
    drop(log);
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn others_do_not_wait_for_a_condition_that_looks_far_back() {
    let path = folder("back");
    let log = open(&path);
    for number in 0..1500 {
        append(&log, if number == 3 { &["rare"] } else { &[] }, &[]).expect("an append");
    }
    let items = [Item { names: &[], tags: &["rare"] }];
    let events = [NewEvent { name: "Happened", data: b"1", tags: &[] }];
    let parts = [Part { stream: "s", events: &events, expected: None }];
    let at_once = |after| {
        let conditions = [Condition { items: &items, after }];
        log.append_if(&parts, &Guards { conditions: &conditions, ..Guards::default() }, b"", Patience::Try)
    };
    // Such an append keeps the interpreter to itself, so it may not take long.
    assert!(matches!(at_once(0), Err(Error::WouldWait)));
    assert!(at_once(1400).is_ok());
    let refused = append(&log, &[], &[Condition { items: &items, after: 0 }]);
    assert!(matches!(refused, Err(Error::Condition { after: 0, position: 4 })), "{refused:?}");
    drop(log);
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn a_tag_with_the_text_of_its_stream_is_a_tag_and_those_behind_many_others_are_found() {
    let path = folder("many-tags");
    let log = open(&path);
    let texts: Vec<String> = (0..9).map(|number| format!("text-{number}")).collect();
    let first: Vec<&str> = texts[..7].iter().map(String::as_str).collect();
    let second = [first[6], first[0], &texts[7], first[1], &texts[8]];
    for _ in 0..3 {
        let events = [("Opened", &first[..]), ("Closed", &second[..])];
        let events = events.map(|(name, tags)| NewEvent { name, data: b"1", tags });
        let parts = [Part { stream: first[0], events: &events, expected: None }];
        log.append(&parts, b"", Patience::Wait).expect("an append");
    }
    for (number, text) in texts.iter().enumerate() {
        let tags_it = |position: &u64| if position % 2 == 1 { number < 7 } else { second.contains(&text.as_str()) };
        assert_eq!(tagged(&log, text), (1..=6).filter(tags_it).collect::<Vec<_>>(), "{text}");
    }
    assert_eq!(log.version(&texts[0]).expect("a version"), 6);
    assert_eq!(log.version(&texts[1]).expect("a version"), 0);
    drop(log);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&path));
    assert_eq!(verify(&disk, &mut |_, _| Ok(())).expect("a report").problems, vec![]);
    std::fs::remove_dir_all(path).expect("removing");
}
