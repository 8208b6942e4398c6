//! Backup and restore on a disk where every call may fail, and the power may go at every call.
//!
//! What is made is there whole or not at all, whatever happens on the way; what was there before is there still, or has been
//! replaced as a whole. Each image that a power cut could leave is opened, and each call is made to fail once.
//!
//! `ACT_FAST_IMAGES` sets how many images are made of each story, `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use act_fast_core::disk::{Disk, Within};
use act_fast_core::transfer::restore::{Restoring, Row};
use act_fast_core::{Durability, Error, Filter, Log, NewEvent, Options, Origin, Part, Patience, verify};
use support::lying_disk::{Loss, LyingDisk};
use support::rng::{self, Rng};
use support::{SEGMENT_BYTES, env_number, options};

const OLD: u64 = 120;
const NEW: u64 = 90;

fn opened(disk: &LyingDisk) -> Arc<Log> {
    Log::open(disk.shared(), options(Durability::Fsync)).expect("a store")
}

fn append(log: &Log, number: u64) {
    let data = format!(r#"{{"n":{number},"pad":"{}"}}"#, "x".repeat(300));
    let events = [NewEvent { name: "Old", data: data.as_bytes(), tags: &[] }];
    let part = Part { stream: &format!("s-{}", number % 7), events: &events, expected: None };
    log.append(&[part], b"", Patience::Wait).expect("room");
}

/// A store with several log files, closed.
fn old_store() -> LyingDisk {
    let disk = LyingDisk::new();
    let log = opened(&disk);
    (1..=OLD).for_each(|number| append(&log, number));
    log.save_snapshot("s-1", 3, b"state").expect("room");
    log.shut_down().expect("closed");
    disk
}

/// What stands in a store: its events' names and positions, read in full.
fn names_in(disk: &Arc<dyn Disk>) -> Vec<String> {
    let opened = Log::open(Arc::clone(disk), Options { create: false, ..options(Durability::Fsync) }).expect("a store");
    let mut query = opened.query(&Filter::default()).expect("a query");
    let mut names = Vec::new();
    while let Some(page) = query.next_page(&opened, 1000).expect("a page") {
        names.extend(page.iter().map(|event| opened.text(event.name).expect("a name").to_owned()));
    }
    drop(opened);
    let report = verify(disk, &mut |_, _| Ok(())).expect("a report");
    assert_eq!(report.problems, Vec::new());
    assert_eq!(report.events, names.len() as u64);
    names
}

fn all(name: &str, count: u64) -> Vec<String> {
    (0..count).map(|_| name.to_owned()).collect()
}

fn back_up(log: &Log, to: &LyingDisk) -> Result<(), Error> {
    log.backup(&to.shared(), "copy", false, &mut |_, _| Ok(())).map(drop)
}

/// What is at the backup's place is all of it.
fn check_copy(disk: &LyingDisk, expected: &[String]) -> bool {
    let present = disk.shared().list("").expect("a list").iter().any(|name| name == "copy");
    if present {
        let copy: Arc<dyn Disk> = Arc::new(Within::new(&disk.shared(), "copy"));
        assert_eq!(names_in(&copy), expected);
    }
    present
}

fn restore(disk: &LyingDisk) -> Result<(), Error> {
    let mut restoring = Restoring::successor(&disk.shared(), SEGMENT_BYTES, true)?;
    add_new(&mut restoring)?;
    restoring.finish(&mut |_, _| Ok(())).map(drop)
}

fn add_new(restoring: &mut Restoring) -> Result<(), Error> {
    for number in 0..NEW {
        let data = format!(r#"{{"n":{number},"pad":"{}"}}"#, "y".repeat(400));
        restoring.add(&Row {
            position: None,
            commit: None,
            stream: &format!("t-{}", number % 5),
            version: None,
            name: "New",
            created: None,
            data: &data,
            meta: None,
            tags: "",
        })?;
    }
    Ok(())
}

fn images() -> usize {
    env_number("ACT_FAST_IMAGES").map_or(300, |images| images as usize)
}

fn losses(rng: &mut Rng) -> Loss {
    [Loss::Nothing, Loss::Everything, Loss::Chance(20), Loss::Chance(50), Loss::Chance(90)][rng.below(5)]
}

#[test]
fn a_power_cut_leaves_a_whole_backup_or_none() {
    let mut rng = Rng::new(rng::seed("backup"));
    let source = old_store();
    let log = opened(&source);
    let to = LyingDisk::new();
    to.record();
    back_up(&log, &to).expect("a backup");
    let checkpoints = to.checkpoints();
    let (mut absent, mut whole) = (0, 0);
    for _ in 0..images() {
        let checkpoint = &checkpoints[rng.below(checkpoints.len())];
        let loss = losses(&mut rng);
        let found = LyingDisk::from_image(&checkpoint.image(loss, &mut rng));
        if check_copy(&found, &all("Old", OLD)) {
            whole += 1
        } else {
            absent += 1
        }
        if absent + whole <= 20 {
            // Whatever was left, the next backup goes through.
            if !found.shared().list("").expect("a list").iter().any(|name| name == "copy") {
                back_up(&log, &found).expect("a backup");
                assert!(check_copy(&found, &all("Old", OLD)));
            }
        }
    }
    assert!(absent > 0, "no image is from before the end");
    // Once it was acknowledged it stays.
    let last = checkpoints.last().expect("an end").image(Loss::Everything, &mut rng);
    assert!(check_copy(&LyingDisk::from_image(&last), &all("Old", OLD)));
}

#[test]
fn a_power_cut_during_a_restore_leaves_the_old_log_or_the_new_one() {
    let mut rng = Rng::new(rng::seed("restore"));
    let disk = old_store();
    disk.record();
    restore(&disk).expect("a restored store");
    let checkpoints = disk.checkpoints();
    let (mut old, mut new) = (0, 0);
    for _ in 0..images() {
        let checkpoint = &checkpoints[rng.below(checkpoints.len())];
        let loss = losses(&mut rng);
        let found = LyingDisk::from_image(&checkpoint.image(loss, &mut rng).rebooted());
        let names = names_in(&found.shared());
        if names == all("New", NEW) {
            new += 1;
        } else {
            assert_eq!(names, all("Old", OLD), "after {}, {loss:?}", checkpoint.after);
            old += 1;
        }
    }
    assert!(old > 0 && new > 0, "{old} old, {new} new: no image is from the other side");
    let last = checkpoints.last().expect("an end").image(Loss::Everything, &mut rng);
    assert_eq!(names_in(&LyingDisk::from_image(&last.rebooted()).shared()), all("New", NEW));
}

/// The machine goes on, so what was made is trusted as far as it seems to have come.
#[test]
fn a_process_killed_during_a_restore_leaves_the_old_log_or_the_new_one() {
    let disk = old_store();
    disk.record();
    restore(&disk).expect("a restored store");
    let checkpoints = disk.checkpoints();
    let step = checkpoints.len().div_ceil(images()).max(1);
    // The exchange, and what follows it, come last.
    let late = checkpoints.len().saturating_sub(60);
    let (mut old, mut new) = (0, 0);
    for (number, checkpoint) in checkpoints.iter().enumerate().filter(|(at, _)| at % step == 0 || *at >= late) {
        let found = checkpoint.killed();
        let names = names_in(&found.shared());
        let is_new = names == all("New", NEW);
        assert!(is_new || names == all("Old", OLD), "at {number}, after {}", checkpoint.after);
        assert!(is_new || new == 0, "at {number}: the old log is there again");
        let before = if is_new { NEW } else { OLD };
        (old, new) = if is_new { (old, new + 1) } else { (old + 1, new) };
        let log = opened(&found);
        append(&log, 7);
        assert_eq!(log.head().expect("a head"), before + 1);
        assert_eq!(log.version("s-0").expect("a version"), if is_new { 1 } else { 18 });
        log.shut_down().expect("closed");
        drop(log);
        let report = verify(&found.shared(), &mut |_, _| Ok(())).expect("a report");
        assert_eq!((report.events, report.index_checked, report.problems), (before + 1, true, Vec::new()));
        restore(&found).expect("another restore");
        assert_eq!(names_in(&found.shared()), all("New", NEW));
    }
    assert!(old > 0 && new > 0, "{old} old, {new} new");
}

#[test]
fn a_backup_whose_disk_fails_is_whole_or_absent_and_can_be_made_again() {
    let source = old_store();
    let log = opened(&source);
    for error in [5, 28] {
        let (mut number, mut unknown) = (1, 0);
        loop {
            let to = LyingDisk::new();
            let calls = to.fail_at(number, error);
            let outcome = back_up(&log, &to);
            to.repair();
            let reached = calls.load(Ordering::SeqCst) >= number;
            let present = check_copy(&to, &all("Old", OLD));
            match outcome {
                Ok(()) => assert!(present),
                // Its name has been given, and then not been made safe.
                Err(Error::Unknown(said)) => {
                    assert!(present, "call {number}: {said}");
                    unknown += 1;
                }
                // What cannot be read back is damaged.
                Err(Error::Io { .. } | Error::Full(_) | Error::Corrupt { .. }) => assert!(!present, "call {number}"),
                Err(other) => panic!("call {number}: {other}"),
            }
            if !present {
                back_up(&log, &to).expect("the disk behaves again");
                assert!(check_copy(&to, &all("Old", OLD)));
            }
            if !reached {
                break;
            }
            number += 1;
        }
        assert!(number > 20, "only {number} calls");
        assert!(unknown > 0);
        assert_eq!(log.head().expect("a head"), OLD);
    }
}

#[test]
fn a_restore_whose_disk_fails_leaves_the_old_log_or_the_new_one() {
    let mut number = 1;
    loop {
        let disk = old_store();
        let calls = disk.fail_at(number, if number % 2 == 0 { 5 } else { 28 });
        let outcome = restore(&disk);
        disk.repair();
        let reached = calls.load(Ordering::SeqCst) >= number;
        let names = names_in(&disk.shared());
        match outcome {
            Ok(()) => assert_eq!(names, all("New", NEW), "call {number}"),
            Err(Error::Unknown(said)) => assert_eq!(names, all("New", NEW), "call {number}: {said}"),
            Err(error) => assert_eq!(names, all("Old", OLD), "call {number}: {error}"),
        }
        restore(&disk).expect("the disk behaves again");
        assert_eq!(names_in(&disk.shared()), all("New", NEW));
        if !reached {
            break;
        }
        number += 1;
    }
    assert!(number > 30, "only {number} calls");
}

#[test]
fn a_restored_store_is_opened_without_reading_its_log_again() {
    let disk = old_store();
    restore(&disk).expect("a restored store");
    let fresh = LyingDisk::new();
    let mut restoring = Restoring::new_store(&fresh.shared(), "fresh", SEGMENT_BYTES).expect("begun");
    add_new(&mut restoring).expect("rows");
    restoring.finish(&mut |_, _| Ok(())).expect("a restored store");
    let fresh: Arc<dyn Disk> = Arc::new(Within::new(&fresh.shared(), "fresh"));
    for disk in [disk.shared(), fresh] {
        let log = Log::open(Arc::clone(&disk), options(Durability::Fsync)).expect("a store");
        assert_eq!(log.stats().expect("numbers").recovered, None);
        append(&log, 1);
        log.shut_down().expect("closed");
        drop(log);
        let report = verify(&disk, &mut |_, _| Ok(())).expect("a report");
        assert_eq!((report.events, report.index_checked, report.problems), (NEW + 1, true, Vec::new()));
    }
}

#[test]
fn a_commit_of_another_log_comes_to_its_own_position_and_time_or_is_refused() {
    let disk = LyingDisk::new();
    let log = opened(&disk);
    append(&log, 0);
    let created =
        log.query(&Filter::default()).expect("a query").next_page(&log, 1).expect("a page").expect("events")[0].created;
    let events =
        [NewEvent { name: "Copied", data: b"1", tags: &[] }, NewEvent { name: "Copied", data: b"2", tags: &[] }];
    let copied = |position, created, expected| {
        let part = Part { stream: "s", events: &events, expected: Some(expected) };
        log.append_copied(&[part], b"{}", Origin { position, created }).map(|appended| appended[0].first_position)
    };
    for (position, at) in [(1, created), (3, created), (2, created - 1)] {
        assert!(matches!(copied(position, at, 0), Err(Error::Invalid(_))), "{position} {at}");
    }
    assert!(matches!(copied(2, created, 1), Err(Error::Conflict { .. })));
    let later = created + 7_000_000_000;
    assert_eq!(copied(2, later, 0).expect("in its place"), 2);
    append(&log, 1);
    let found = log.query(&Filter::default()).expect("a query").next_page(&log, 9).expect("a page").expect("events");
    let places: Vec<_> = found.iter().map(|event| (event.position, event.commit, event.created)).collect();
    assert_eq!(places, [(1, 1, created), (2, 2, later), (3, 2, later), (4, 4, later)]);
}
