//! Redaction and pruning on a disk where every call may fail, and the power may go at every call.
//!
//! A rewritten log takes the place of the old one whole or not at all. Each image that a power cut could leave is opened, and
//! each call is made to fail once. `ACT_FAST_IMAGES` sets how many images, `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use act_fast_core::disk::Disk;
use act_fast_core::transfer::prune::{Pruning, prune};
use act_fast_core::transfer::redact::{Replaced, redact};
use act_fast_core::transfer::rewrite::{Note, Rewritten};
use act_fast_core::{Durability, Error, Filter, Log, NewEvent, Options, Part, Patience, verify};
use support::lying_disk::{Loss, LyingDisk};
use support::rng::{self, Rng};
use support::{env_number, options};

const EVENTS: u64 = 120;
const SECRET: &str = "what-must-go";
const SECRETS: [u64; 3] = [5, 33, 119];
const STREAM: &str = "$rewritings";

/// An event as it stands: stream, version, name, created, tags, data.
type Row = (String, u64, String, i64, usize, String);

fn opened(disk: &Arc<dyn Disk>) -> Arc<Log> {
    Log::open(Arc::clone(disk), Options { create: true, ..options(Durability::Fsync) }).expect("a store")
}

fn payload(position: u64) -> String {
    let said = if SECRETS.contains(&position) { SECRET } else { "x" };
    format!(r#"{{"n":{position},"said":"{said}","pad":"{}"}}"#, "x".repeat(300))
}

/// A store with several log files, closed. Commits of one and of two events; tags, snapshots, and books that were closed.
fn store() -> LyingDisk {
    let disk = LyingDisk::new();
    let log = opened(&disk.shared());
    let mut position = 0;
    while position < EVENTS {
        let count = 1 + position % 2;
        let data: Vec<String> = (1..=count).map(|each| payload(position + each)).collect();
        let tags: &[&str] = if position % 5 == 0 { &["course:maths", "student:ada"] } else { &[] };
        let events: Vec<_> = data.iter().map(|data| NewEvent { name: "Said", data: data.as_bytes(), tags }).collect();
        let stream = format!("s-{}", position % 7);
        log.append(&[Part { stream: &stream, events: &events, expected: None }], b"{}", Patience::Wait).expect("room");
        position += count;
        if position > 60 && position < 64 {
            let closing = [NewEvent { name: "$restarted", data: br#"{"state":{}}"#, tags: &[] }];
            log.append(&[Part { stream: "s-3", events: &closing, expected: None }], b"", Patience::Wait).expect("room");
            position += 1;
        }
    }
    for stream in 0..7 {
        log.save_snapshot(&format!("s-{stream}"), 2, SECRET.as_bytes()).expect("room");
    }
    log.shut_down().expect("closed");
    disk
}

/// All that stands in a store.
fn rows(disk: &Arc<dyn Disk>) -> Vec<Row> {
    let log = opened(disk);
    let mut query = log.query(&Filter::default()).expect("a query");
    let mut rows = Vec::new();
    while let Some(page) = query.next_page(&log, 1000).expect("a page") {
        for (event, position) in page.iter().zip(rows.len() as u64 + 1..) {
            assert_eq!(event.position, position);
            let text = |key| log.text(key).expect("a text").to_owned();
            let data = String::from_utf8(event.data.to_vec()).expect("text");
            let tags = event.tags.keys().count();
            rows.push((text(event.stream), event.version, text(event.name), event.created, tags, data));
        }
    }
    drop(query);
    drop(log);
    let report = verify(disk, &mut |_, _| Ok(())).expect("a report");
    assert_eq!(report.problems, Vec::new());
    assert!(report.index_checked);
    rows
}

fn note() -> Note<'static> {
    Note { stream: STREAM, name: "$redacted", data: br#"{"reason":"a mistake"}"#, meta: b"{}" }
}

fn redact_secrets(disk: &LyingDisk) -> Result<Rewritten, Error> {
    let shared = disk.shared();
    let replaced = SECRETS.map(|position| Replaced {
        position,
        from: payload(position).into_bytes(),
        to: br#"{"n":0,"said":null}"#.to_vec(),
    });
    redact(&shared, replaced.to_vec(), &note(), &mut |_, _| Ok(()))
}

/// Check that a store is as it was but for the redaction; whether that was done.
fn redacted(disk: &LyingDisk, before: &[Row]) -> bool {
    let after = rows(&disk.shared());
    if after == before {
        return false;
    }
    assert_eq!(after.len(), before.len() + 1);
    for ((position, old), new) in (1..).zip(before).zip(&after) {
        let said = if SECRETS.contains(&position) { r#"{"n":0,"said":null}"# } else { &old.5 };
        assert_eq!(new, &Row::from((old.0.clone(), old.1, old.2.clone(), old.3, old.4, said.to_owned())));
    }
    let last = after.last().expect("a note");
    assert_eq!((&*last.0, last.1, &*last.2), (STREAM, 1, "$redacted"));
    true
}

/// Every file in a folder and those below it.
fn holds(disk: &Arc<dyn Disk>, folder: &str, sought: &[u8]) -> bool {
    disk.list(folder).expect("a list").iter().any(|name| {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        match disk.open(&path, act_fast_core::disk::Access::Read) {
            Ok(file) if file.len().expect("a length") > 0 => {
                let len = file.len().expect("a length") as usize;
                let map = file.map(0, len, false).expect("a mapping");
                map.bytes(0, len).windows(sought.len()).any(|found| found == sought)
            }
            _ => holds(disk, &path, sought),
        }
    })
}

#[test]
fn a_redaction_leaves_no_byte_of_what_was_there_and_changes_nothing_else() {
    let disk = store();
    let before = rows(&disk.shared());
    assert!(holds(&disk.shared(), "", SECRET.as_bytes()));
    let done = redact_secrets(&disk).expect("redacted");
    assert_eq!((done.events, done.position), (3, before.len() as u64 + 1));
    assert!(done.snapshots > 0);
    // Snapshots from before the first event that was replaced may stay, and hold the text in this test.
    assert!(redacted(&disk, &before));
    let log = opened(&disk.shared());
    for stream in 0..7 {
        let stream = format!("s-{stream}");
        let first = (1..).zip(&before).find(|(at, row)| SECRETS.contains(at) && row.0 == stream).map(|(_, row)| row.1);
        let kept = log.latest_snapshot(&stream, None).expect("an answer").is_some();
        assert_eq!(kept, first.is_none_or(|first| first > 2), "{stream}");
    }
    log.append(
        &[Part { stream: "s-1", events: &[NewEvent { name: "Said", data: b"1", tags: &[] }], expected: None }],
        b"",
        Patience::Wait,
    )
    .expect("it goes on");
}

#[test]
fn what_is_redacted_must_be_what_it_was_taken_for() {
    let disk = store();
    let before = rows(&disk.shared());
    let attempt = |position, from: &[u8], to: &[u8]| {
        let replaced = vec![Replaced { position, from: from.to_vec(), to: to.to_vec() }];
        redact(&disk.shared(), replaced, &note(), &mut |_, _| Ok(()))
    };
    assert!(matches!(attempt(5, b"{}", b"{}"), Err(Error::Invalid(_))));
    assert!(matches!(attempt(5, payload(5).as_bytes(), b"no JSON"), Err(Error::Invalid(_))));
    assert!(matches!(attempt(5000, b"{}", b"{}"), Err(Error::Invalid(_))));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    assert!(matches!(attempt(5, payload(5).as_bytes(), large.as_bytes()), Err(Error::Invalid(_))));
    let log = opened(&disk.shared());
    assert!(matches!(attempt(5, payload(5).as_bytes(), b"{}"), Err(Error::Locked(_))));
    drop(log);
    assert_eq!(rows(&disk.shared()), before);
    attempt(5, payload(5).as_bytes(), b"{}").expect("nobody is in the way");
}

fn pruning() -> Pruning {
    Pruning { closings: vec!["$restarted".to_owned()], ..Pruning::default() }
}

#[test]
fn what_lies_below_a_closing_is_pruned_but_for_what_has_tags() {
    let disk = store();
    let before = rows(&disk.shared());
    let closing = before.iter().rfind(|row| row.2 == "$restarted").expect("a closing").1;
    let below = |row: &Row| row.0 == "s-3" && row.1 < closing;
    let log = opened(&disk.shared());
    let found = log.prunable(&pruning(), &mut |_, _| Ok(())).expect("figures");
    drop(log);
    let plain = before.iter().filter(|row| below(row) && row.4 == 0).count() as u64;
    assert_eq!((found.events(), found.streams), (plain, 1));
    assert_eq!(found.tagged, before.iter().filter(|row| below(row) && row.4 > 0).count() as u64);
    assert!(found.events() > 0 && found.tagged > 0, "{found:?}");
    let pruned = || prune(&disk.shared(), &pruning(), STREAM, "$pruned", b"", &mut |_, _| Ok(())).expect("an answer");
    let (told, done) = pruned().expect("something to prune");
    assert_eq!((told, done.events), (found.clone(), found.events()));
    assert!(done.bytes_after < done.bytes_before);
    let after = rows(&disk.shared());
    for (old, new) in before.iter().zip(&after) {
        let gone = below(old) && old.4 == 0;
        assert_eq!(new.5, if gone { "\"pruned\"" } else { &old.5 });
        assert_eq!((&new.0, new.1, &new.2, new.3, new.4), (&old.0, old.1, &old.2, old.3, old.4));
    }
    assert_eq!(after.last().expect("a note").2, "$pruned");
    assert!(pruned().is_none(), "there is nothing left");
    assert_eq!(rows(&disk.shared()), after);
}

#[test]
fn nothing_is_pruned_above_a_position_or_in_streams_that_are_not_meant() {
    let disk = store();
    let log = opened(&disk.shared());
    let figures = |pruning: &Pruning| log.prunable(pruning, &mut |_, _| Ok(())).expect("figures");
    let all = figures(&pruning());
    let some = figures(&Pruning { upto: Some(all.last - 1), ..pruning() });
    assert_eq!(some.events(), all.events() - 1);
    assert_eq!(figures(&Pruning { pattern: Some("^s-3$".to_owned()), ..pruning() }), all);
    assert_eq!(figures(&Pruning { pattern: Some("^s-4$".to_owned()), ..pruning() }).events(), 0);
    assert!(log.prunable(&Pruning { pattern: Some("(".to_owned()), ..pruning() }, &mut |_, _| Ok(())).is_err());
}

#[test]
fn a_power_cut_during_a_rewriting_leaves_the_old_log_or_the_new_one() {
    let mut rng = Rng::new(rng::seed("rewriting"));
    let disk = store();
    let before = rows(&disk.shared());
    disk.record();
    redact_secrets(&disk).expect("redacted");
    let checkpoints = disk.checkpoints();
    let (mut old, mut new) = (0, 0);
    for _ in 0..env_number("ACT_FAST_IMAGES").map_or(150, |images| images as usize) {
        let checkpoint = &checkpoints[rng.below(checkpoints.len())];
        let loss =
            [Loss::Nothing, Loss::Everything, Loss::Chance(20), Loss::Chance(50), Loss::Chance(90)][rng.below(5)];
        let found = LyingDisk::from_image(&checkpoint.image(loss, &mut rng).rebooted());
        if redacted(&found, &before) {
            new += 1
        } else {
            old += 1
        }
        if old + new <= 10 && old > 0 {
            // Whatever was left, the next one goes through.
            let again = redact_secrets(&found);
            assert!(again.is_ok() || redacted(&found, &before), "{again:?}");
        }
    }
    assert!(old > 0 && new > 0, "{old} old, {new} new: no image is from the other side");
    let last = checkpoints.last().expect("an end").image(Loss::Everything, &mut rng);
    assert!(redacted(&LyingDisk::from_image(&last.rebooted()), &before));
}

#[test]
fn a_rewriting_whose_disk_fails_leaves_the_old_log_or_the_new_one() {
    let mut number = 1;
    loop {
        let disk = store();
        let before = rows(&disk.shared());
        let calls = disk.fail_at(number, if number % 2 == 0 { 5 } else { 28 });
        let outcome = redact_secrets(&disk);
        disk.repair();
        let done = redacted(&disk, &before);
        match outcome {
            Ok(_) | Err(Error::Unknown(_)) => assert!(done, "call {number}"),
            Err(error) => assert!(!done, "call {number}: {error}"),
        }
        if !done {
            redact_secrets(&disk).expect("the disk behaves again");
            assert!(redacted(&disk, &before));
        }
        if calls.load(Ordering::SeqCst) < number {
            break;
        }
        number += 1;
    }
    assert!(number > 30, "only {number} calls");
}
