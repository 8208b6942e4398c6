//! Keys: looked up before all else, at any moment of the log, and in an index that knew no tags.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use act_fast_core::disk::{MemoryDisk, RealDisk};
use act_fast_core::{Appended, Durability, Error, Guards, Log, NewEvent, Once, Origin, Part, Patience, Result, Used};
use support::control_file::without_tags;
use support::options;

const EVER: i64 = i64::MIN;

fn append(log: &Log, once: Option<Once<'_>>, expected: Option<u64>, tags: &[&str], count: usize) -> Result<Appended> {
    let events = vec![NewEvent { name: "Happened", data: b"1", tags }; count];
    let parts = [Part { stream: "s", events: &events, expected }];
    log.append_if(&parts, &Guards { once, ..Guards::default() }, b"", Patience::Wait).map(|appended| appended[0])
}

fn key(key: &str) -> Option<Once<'_>> {
    Some(Once { key, since: EVER })
}

fn memory() -> Arc<Log> {
    Log::open(Arc::new(MemoryDisk::default()), options(Durability::Os)).expect("the store opens")
}

#[test]
fn a_key_is_looked_up_before_versions_and_tells_where_its_commit_is() {
    let log = memory();
    append(&log, None, None, &[], 1).expect("an append");
    append(&log, key("k"), Some(1), &["x"], 3).expect("an append");
    let again = append(&log, key("k"), Some(1), &["x"], 3);
    assert!(matches!(again, Err(Error::Repeated { first: 2, last: 4 })), "{again:?}");
    let conflict = append(&log, key("l"), Some(1), &["x"], 3);
    assert!(matches!(conflict, Err(Error::Conflict { actual: 4, .. })), "{conflict:?}");
    append(&log, key("l"), Some(4), &[], 1).expect("what was refused has not used its key");
}

#[test]
fn a_key_is_found_as_of_any_position_and_only_if_it_was_used_late_enough() {
    let log = memory();
    let copied = |key: &str, position, created| {
        let tag = format!("key={key}");
        let events = [NewEvent { name: "Happened", data: b"1", tags: &[&tag] }];
        let part = Part { stream: "s", events: &events, expected: None };
        log.append_copied(&[part], b"", Origin { position, created }).expect("a copy");
    };
    copied("k", 1, 100);
    copied("k", 2, 200);
    copied("l", 3, 300);
    let used = |key, since, position| {
        let found = log.used(&Once { key, since }, position).expect("a look-up");
        found.map(|used| (used.first_position, used.last_position))
    };
    assert_eq!(
        [0, 1, 2, 3, 9].map(|position| used("k", EVER, position)),
        [None, Some((1, 1)), Some((2, 2)), Some((2, 2)), Some((2, 2))]
    );
    assert_eq!([100, 200, 201].map(|since| used("k", since, 9)), [Some((2, 2)), Some((2, 2)), None]);
    assert_eq!([100, 101].map(|since| used("k", since, 1)), [Some((1, 1)), None]);
    assert_eq!(used("m", EVER, 9), None);
    append(&log, Some(Once { key: "k", since: 201 }), None, &[], 2).expect("the key counts as unused");
    assert_eq!(used("k", 201, 9), Some((4, 5)));
}

#[test]
fn what_cannot_be_a_key_and_what_looks_like_one_is_refused() {
    let log = memory();
    for wrong in ["", "a\nb", "a\0b", &"x".repeat(509)] {
        assert!(matches!(append(&log, key(wrong), None, &[], 1), Err(Error::Invalid(_))), "{wrong:?}");
        assert!(matches!(log.used(&Once { key: wrong, since: EVER }, 9), Err(Error::Invalid(_))), "{wrong:?}");
    }
    assert!(matches!(append(&log, None, None, &["x", "key=k"], 1), Err(Error::Invalid(_))));
    let many: Vec<String> = (0..64).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(append(&log, key("k"), None, &many, 1), Err(Error::Invalid(_))));
    assert_eq!(log.head().expect("a head"), 0);
    append(&log, key(&"x".repeat(508)), None, &many[1..], 1).expect("the longest key, beside the most tags");
}

fn keys_of(path: &Path) -> PathBuf {
    path.join("index/00000001/keys")
}

#[test]
fn a_key_in_the_log_is_found_although_an_earlier_version_has_made_the_index() {
    let path = std::env::temp_dir().join(format!("act-fast-once-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let open = || Log::open(Arc::new(RealDisk::new(&path)), options(Durability::Os)).expect("the store opens");
    let log = open();
    append(&log, key("k"), None, &[], 1).expect("an append");
    log.shut_down().expect("closing");
    drop(log);
    let mut bytes = std::fs::read(keys_of(&path)).expect("reading");
    without_tags(&mut bytes);
    std::fs::write(keys_of(&path), bytes).expect("writing");
    let log = open();
    let again = append(&log, key("k"), None, &[], 1);
    assert!(matches!(again, Err(Error::Repeated { first: 1, last: 1 })), "{again:?}");
    let used = log.used(&Once { key: "k", since: EVER }, 9).expect("a look-up");
    assert_eq!(used, Some(Used { first_position: 1, last_position: 1 }));
    drop(log);
    let _ = std::fs::remove_dir_all(&path);
}
