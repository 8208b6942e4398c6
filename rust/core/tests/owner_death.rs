//! A process ends, without any clean-up, at one fault point after another in the middle of its work on a store that
//! another has open: that other one takes over its locks, finds all that was acknowledged and no half of anything, goes on
//! appending, and the store verifies.
//!
//! The process that ends is this very test, started again with its part in the environment.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use act_fast_core::disk::{Disk, RealDisk};
use act_fast_core::{
    Durability, Error, Filter, Guards, KEY_TAG, Log, NewEvent, Once, Options, Part, Patience, Used, fault, verify,
};

const PART: &str = "ACT_FAST_DYING_PART";
/// More fault points than any part of the child has.
const POINTS_MAX: i64 = 4000;

fn open(path: &Path, durability: &str) -> Arc<Log> {
    let durability = Durability::from_name(durability).expect("a durability");
    let options = Options { durability, segment_bytes: 16 << 10, ..Options::default() };
    Log::open(Arc::new(RealDisk::new(path)), options).expect("the store opens")
}

fn append(log: &Log, parts: &[(&str, usize)]) -> u64 {
    let data = format!("\"{}\"", "x".repeat(300));
    let tags: Vec<[&str; 2]> = parts.iter().map(|(stream, _)| ["all", *stream]).collect();
    let event = |tags| NewEvent { name: "Happened", data: data.as_bytes(), tags };
    let tagged = |count, tags| event(if count > 20 { &[] } else { tags });
    let events: Vec<Vec<NewEvent<'_>>> =
        parts.iter().zip(&tags).map(|((_, count), tags)| vec![tagged(*count, &tags[..]); *count]).collect();
    let given: Vec<Part<'_>> =
        parts.iter().zip(&events).map(|((stream, _), events)| Part { stream, events, expected: None }).collect();
    log.append(&given, b"", Patience::Wait).expect("an append").last().expect("a part").last_position
}

/// Append under a key; the positions of what is there under it then.
fn append_once(log: &Log, key: &str) -> Used {
    let events = vec![NewEvent { name: "Asked", data: b"1", tags: &["all"] }; 2];
    let parts = [Part { stream: "asked", events: &events, expected: None }];
    let guards = Guards { once: Some(Once { key, since: i64::MIN }), ..Guards::default() };
    match log.append_if(&parts, &guards, b"", Patience::Wait) {
        Ok(appended) => Used { first_position: appended[0].first_position, last_position: appended[0].last_position },
        Err(Error::Repeated { first, last }) => Used { first_position: first, last_position: last },
        Err(error) => panic!("{error}"),
    }
}

/// What the dying process was asked is asked again: each is there once, whether it had been done or not.
fn check_keys(log: &Log, place: &str) {
    for key in ["k-0", "k-1", "k-2"] {
        let used = append_once(log, key);
        assert_eq!(append_once(log, key), used, "{place}");
        assert_eq!(used.last_position, used.first_position + 1, "{place}");
        let filter = Filter { tags: vec![format!("{KEY_TAG}{key}")], ..Filter::default() };
        let mut query = log.query(&filter).expect("a query");
        let found = query.next_page(log, 10).expect("a page").expect("events");
        assert_eq!(found.iter().map(|event| event.position).collect::<Vec<_>>(), [used.first_position], "{place}");
    }
    assert_eq!(log.version("asked").expect("a version"), 6, "{place}");
}

/// What the dying process does; it says how far it has come, after each acknowledgement.
fn work(log: &Log, what: &str) {
    let acknowledged = |position: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {position}").and_then(|()| out.flush()).expect("a word to the parent");
    };
    match what {
        "single" => {
            for _ in 0..3 {
                acknowledged(append(log, &[("one", 1)]));
            }
        }
        "batch" => acknowledged(append(log, &[("one", 5), ("new", 3), ("two", 1), ("newer", 14)])),
        "snapshot" => {
            acknowledged(append(log, &[("one", 2)]));
            log.save_snapshot("one", 2, b"{}").expect("a snapshot");
            acknowledged(append(log, &[("one", 1)]));
        }
        "roll" => {
            for _ in 0..5 {
                acknowledged(append(log, &[("one", 20)]));
            }
        }
        "large" => acknowledged(append(log, &[("one", 1350)])),
        "growth" => {
            for number in 0..12 {
                let names: Vec<String> = (0..15).map(|index| format!("g-{number}-{index}")).collect();
                let parts: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
                acknowledged(append(log, &parts));
            }
        }
        "keyed" => {
            for number in 0..3 {
                acknowledged(append_once(log, &format!("k-{number}")).last_position);
            }
        }
        other => panic!("{other} is no work"),
    }
}

/// Not a test by itself: what the parent starts.
#[test]
fn the_part_of_the_process_that_dies() {
    let Ok(part) = std::env::var(PART) else { return };
    let parts: Vec<&str> = part.split('|').collect();
    let log = open(Path::new(parts[0]), parts[2]);
    fault::die_after(parts[3].parse().expect("a number"));
    work(&log, parts[1]);
    fault::die_after(-1);
    let mut out = std::io::stdout().lock();
    writeln!(out, "finished").and_then(|()| out.flush()).expect("a word to the parent");
}

/// Start the child; the last position that it acknowledged, and whether it came to its end.
fn run_child(path: &Path, what: &str, durability: &str, point: i64) -> (u64, bool) {
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_part_of_the_process_that_dies", "--nocapture", "--test-threads=1"])
        .env(PART, format!("{}|{what}|{durability}|{point}", path.display()))
        .stderr(Stdio::null())
        .output()
        .expect("the child runs");
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let acknowledged = said.lines().filter_map(|line| line.split("acknowledged ").nth(1)?.trim().parse().ok()).max();
    (acknowledged.unwrap_or(0), said.contains("finished"))
}

/// What is in the way of an append can be read afterwards, also when its writer died before anybody could.
fn check_conflict(log: &Log, place: &str) {
    let events = [NewEvent { name: "Happened", data: b"1", tags: &[] }];
    let expected = log.version("one").expect("a version");
    let part = Part { stream: "one", events: &events, expected: Some(expected) };
    match log.append(&[part], b"", Patience::Wait) {
        Ok(_) => {}
        Err(Error::Conflict { actual, .. }) => {
            assert!(actual > expected, "{place}");
            assert_eq!(log.version("one").expect("a version"), actual, "{place}");
        }
        Err(other) => panic!("{place}: {other}"),
    }
}

fn check(path: &Path, log: &Log, acknowledged: u64, place: &str) {
    check_conflict(log, place);
    let last = append(log, &[("one", 1), ("after", 1)]);
    assert!(last > acknowledged + 1, "{place}: {acknowledged} was acknowledged, and now the log ends at {last}");
    let mut query = log.query(&Filter::default()).expect("a query");
    let mut seen = 0;
    while let Some(events) = query.next_page(log, 500).expect("a page") {
        for event in events {
            seen += 1;
            assert_eq!(event.position, seen, "{place}: positions are dense");
        }
    }
    assert_eq!(seen, last, "{place}");
    let versions: u64 = log.streams(None, None, usize::MAX).expect("streams").streams.iter().map(|s| s.version).sum();
    assert_eq!(versions, last, "{place}: every event is in the index");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(path));
    let report = verify(&disk, &mut |_, _| Ok(())).expect("a report");
    assert_eq!((report.problems, report.events), (vec![], last), "{place}");
}

/// What has become of the line that the child had announced when it died.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Whole,
    /// The first half of it is stored.
    Torn,
}

/// Store the first half of the line that was announced last. What it is, and where it goes, is in `docs/format.md`.
fn tear(path: &Path) {
    let control = std::fs::read(path.join("control")).expect("the control file");
    let address = u64::from_le_bytes(control[11 * 64..11 * 64 + 8].try_into().expect("a word"));
    let file = match address >> 48 {
        0 => "control".to_owned(),
        1 => "index/00000001/places".to_owned(),
        2 => "index/00000001/keys".to_owned(),
        3 => "index/00000001/postings".to_owned(),
        table => format!("index/00000001/table-{:02}", table - 16),
    };
    let file = std::fs::File::options().write(true).open(path.join(file)).expect("its file");
    let number = address & ((1 << 48) - 1);
    file.write_all_at(&control[10 * 64..10 * 64 + 32], number * 64).expect("tearing it");
}

fn at_every_point(what: &str, durability: &str, line: Line) {
    // Every point by default only where there are few: `ACT_FAST_DEATHS=all` takes them all.
    let all = std::env::var("ACT_FAST_DEATHS").is_ok_and(|value| value == "all");
    let mut step = 1;
    let mut point = 1;
    loop {
        assert!(point < POINTS_MAX, "{what}: it never comes to its end");
        let path =
            std::env::temp_dir().join(format!("act-fast-death-{what}-{durability}-{point}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let log = open(&path, durability);
        let base = append(&log, &[("one", 1), ("two", 12)]);
        let (acknowledged, finished) = run_child(&path, what, durability, point);
        if line == Line::Torn {
            tear(&path);
        }
        let place = format!("{what}, {durability}, fault point {point}");
        if what == "keyed" {
            check_keys(&log, &place);
        }
        check(&path, &log, acknowledged.max(base), &place);
        log.shut_down().expect("closing");
        drop(log);
        let reopened = open(&path, durability);
        if what == "keyed" {
            check_keys(&reopened, &place);
        }
        check(&path, &reopened, acknowledged.max(base), &place);
        reopened.shut_down().expect("closing again");
        drop(reopened);
        let _ = std::fs::remove_dir_all(&path);
        if finished {
            break;
        }
        if !all && point > 30 {
            step = (step + 3).min(37);
        }
        point += step;
    }
    assert!(point > 10, "{what}: hardly any fault point was met");
}

#[test]
fn a_writer_may_die_at_any_point_of_single_commits() {
    at_every_point("single", "os", Line::Whole);
    at_every_point("single", "fsync", Line::Whole);
}

#[test]
fn what_a_writer_was_asked_under_keys_is_done_once_at_whatever_point_it_dies() {
    at_every_point("keyed", "os", Line::Whole);
    at_every_point("keyed", "fsync", Line::Whole);
}

#[test]
fn a_writer_may_die_at_any_point_of_a_batch_that_makes_streams() {
    at_every_point("batch", "fsync", Line::Whole);
    at_every_point("batch", "interval", Line::Whole);
}

#[test]
fn a_writer_may_die_at_any_point_of_a_snapshot() {
    at_every_point("snapshot", "fsync", Line::Whole);
}

#[test]
fn a_writer_may_die_at_any_point_of_going_on_in_the_next_file() {
    at_every_point("roll", "fsync", Line::Whole);
    at_every_point("roll", "os", Line::Whole);
}

#[test]
fn a_writer_may_die_at_any_point_while_the_hash_table_grows() {
    at_every_point("growth", "os", Line::Whole);
}

#[test]
fn a_writer_may_die_in_the_middle_of_any_line() {
    at_every_point("batch", "os", Line::Torn);
}

/// The control file may speak of the next file's blocks while the log still ends in this one, which has fewer.
#[test]
fn a_writer_that_was_alone_may_die_where_it_goes_on_in_the_next_file() {
    for point in 1..=10 {
        let path = std::env::temp_dir().join(format!("act-fast-alone-{point}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let options = Options { durability: Durability::Os, segment_bytes: 512 << 10, ..Options::default() };
        let log = Log::open(Arc::new(RealDisk::new(&path)), options).expect("the store opens");
        // Half of the file has blocks, and no more are made ahead for this.
        append(&log, &[("one", 300)]);
        log.shut_down().expect("closing");
        drop(log);
        let (acknowledged, finished) = run_child(&path, "large", "os", point);
        assert!(!finished, "this commit has more fault points");
        let log = open(&path, "os");
        // More than the file that was left has blocks for, and less than it takes.
        append(&log, &[("one", 850)]);
        check(&path, &log, acknowledged, &format!("alone, fault point {point}"));
        log.shut_down().expect("closing");
        drop(log);
        let _ = std::fs::remove_dir_all(&path);
    }
}

#[test]
fn a_query_goes_on_right_over_an_index_that_is_made_anew_after_a_death() {
    // Whoever died may have wasted lines of the index, so that one made anew has everything in other places.
    for point in (1..60).step_by(3) {
        let path = std::env::temp_dir().join(format!("act-fast-requery-{point}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let log = open(&path, "os");
        append(&log, &[("one", 1), ("two", 12)]);
        let (_, finished) = run_child(&path, "batch", "os", point);
        assert!(!finished, "the batch has more fault points");
        for _ in 0..70 {
            append(&log, &[("one", 20), ("two", 1), ("three", 3)]);
        }
        let one = log.version("one").expect("a version");
        let filter = Filter { stream: Some("one".to_owned()), ..Filter::default() };
        let named = Filter { names: Some(vec!["Happened".to_owned()]), ..Filter::default() };
        for (filter, count, backwards) in
            [(&filter, one, false), (&filter, one, true), (&named, log.head().expect("a head"), false)]
        {
            let mut query = log.query(&Filter { backwards, ..filter.clone() }).expect("a query");
            let mut versions = Vec::new();
            while let Some(events) = query.next_page(&log, 100).expect("a page") {
                let ours = |stream: u32| filter.stream.is_none() || log.text(stream).expect("a name") == "one";
                assert!(events.iter().all(|event| ours(event.stream)), "fault point {point}: events of another stream");
                versions.extend(
                    events.iter().map(|event| if filter.stream.is_some() { event.version } else { event.position }),
                );
                if versions.len() == 500 {
                    log.rebuild_index().expect("a new index");
                }
            }
            if backwards {
                versions.reverse();
            }
            assert_eq!(versions, (1..=count).collect::<Vec<_>>(), "fault point {point}");
        }
        log.shut_down().expect("closing");
        drop(log);
        let _ = std::fs::remove_dir_all(&path);
    }
}
