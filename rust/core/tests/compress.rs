//! Compressing sealed log files in place, and having them plain again.
//!
//! A store whose log files are packed holds what it held before, in every way of reading. At each call of the disk the power
//! may go, the process may die, and the call may fail: what is found is the same store, and the next call goes on.
//!
//! `ACT_FAST_IMAGES` sets how many images are made of each story, `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;

use act_fast_core::disk::{Disk, Within};
use act_fast_core::reactions::{ClaimOptions, Outcome, Reactions, Then};
use act_fast_core::{Durability, Error, Log, NewEvent, Options, Part, Patience, verify};
use support::contents;
use support::forms::{Change, EVENTS, append, bytes_of, filled, format_of, opened, opened_with, segment, sound};
use support::lying_disk::{Loss, LyingDisk};
use support::program::{StandingClock, spec};
use support::rng::Rng;
use support::{SEGMENT_BYTES, options};

fn compress(log: &Log) -> Result<u64, Error> {
    log.compress(false, false, &mut |_, _| Ok(())).map(|kept| kept.segments)
}

fn decompress(log: &Log) -> Result<u64, Error> {
    log.decompress(false, &mut |_, _| Ok(())).map(|kept| kept.segments)
}

fn log_bytes(disk: &LyingDisk) -> usize {
    let names = disk.shared().list("log").expect("a list");
    names.iter().map(|name| disk.bytes(&format!("log/{name}")).len()).sum()
}

#[test]
fn a_compressed_store_holds_what_it_held_and_takes_less_space() {
    let disk = filled();
    let before = sound(&disk);
    let log = opened(&disk);
    let segments = log.stats().expect("numbers").segments;
    assert!(segments > 3, "too few log files to tell");
    let bytes = bytes_of(&disk, segments - 1);
    assert_eq!(compress(&log).expect("room"), segments - 1);
    assert_eq!(compress(&log).expect("room"), 0, "all are already");
    // Through the handle that has the old files open, and through one that has not.
    assert_eq!(contents::read(&log).expect("readable"), before);
    assert_eq!(contents::read(&log.current()).expect("readable"), before);
    drop(log);
    assert_eq!(sound(&disk), before);
    let packed = bytes_of(&disk, segments - 1);
    assert!(packed < bytes / 3, "{packed} of {bytes} bytes");
}

#[test]
fn plain_files_come_back_byte_for_byte() {
    let disk = filled();
    let log = opened(&disk);
    let count = log.stats().expect("numbers").segments - 1;
    let files = |disk: &LyingDisk| (0..count).map(|at| disk.bytes(&segment(at))).collect::<Vec<_>>();
    let before = files(&disk);
    compress(&log).expect("room");
    assert!(files(&disk).iter().zip(&before).all(|(packed, plain)| packed.len() < plain.len()));
    assert_eq!(decompress(&log.current()).expect("room"), count);
    for (found, plain) in files(&disk).iter().zip(&before) {
        assert_eq!(found[..], plain[..found.len()]);
        assert!(plain[found.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn an_earlier_version_finds_a_format_that_it_refuses() {
    let disk = filled();
    let log = opened(&disk);
    assert_eq!(format_of(&disk, 0), 1);
    compress(&log).expect("room");
    assert_eq!(format_of(&disk, 0), 3);
    decompress(&log.current()).expect("room");
    assert_eq!(format_of(&disk, 0), 1);
}

#[test]
fn appends_snapshots_and_recovery_go_on_with_packed_files() {
    let disk = filled();
    let log = opened(&disk);
    log.compress(true, false, &mut |_, _| Ok(())).expect("room");
    for number in EVENTS..EVENTS + 60 {
        append(&log.current(), number);
    }
    log.save_snapshot("s-1", 2, b"newer").expect("room");
    log.rebuild_index().expect("an index");
    let now = contents::read(&log.current()).expect("readable");
    assert_eq!(now.events.len() as u64, 2 * (EVENTS + 60));
    drop(log);
    let mut rng = Rng::new(1);
    let image = disk.checkpoint().image(Loss::Nothing, &mut rng);
    for found in [image.clone().rebooted(), image.clone().copied()] {
        let found = LyingDisk::from_image(&found);
        assert_eq!(sound(&found), now);
    }
    let lost = LyingDisk::from_image(&image);
    lost.shared().remove("control").expect("a control file");
    assert_eq!(sound(&lost), now);
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let disk = filled();
    let log = opened(&disk);
    let bytes = log_bytes(&disk);
    let foretold = log.compress(false, true, &mut |_, _| Ok(())).expect("figures");
    assert_eq!(log_bytes(&disk), bytes);
    let done = log.compress(false, false, &mut |_, _| Ok(())).expect("room");
    assert_eq!(foretold, done);
    assert_eq!(done.bytes_before - done.bytes_after, (bytes - log_bytes(&disk)) as u64);
}

#[test]
fn the_end_of_a_log_can_be_sealed_so_that_all_of_it_is_compressed() {
    let disk = LyingDisk::new();
    let log = opened(&disk);
    append(&log, 1);
    assert_eq!(compress(&log).expect("room"), 0, "nothing is sealed");
    let sealed = |log: &Log| log.compress(true, false, &mut |_, _| Ok(())).expect("room").segments;
    assert_eq!((sealed(&log), sealed(&log)), (1, 0), "an empty end is left as it is");
    append(&log.current(), 2);
    drop(log);
    assert_eq!(sound(&disk).events.len(), 4);
}

#[test]
fn a_backup_of_a_compressed_store_is_as_small_and_holds_the_same() {
    let disk = filled();
    let before = sound(&disk);
    let log = opened(&disk);
    compress(&log).expect("room");
    let to = LyingDisk::new();
    log.current().backup(&to.shared(), "copy", false, &mut |_, _| Ok(())).expect("a backup");
    let copy: Arc<dyn Disk> = Arc::new(Within::new(&to.shared(), "copy"));
    assert_eq!(to.bytes("copy/log/00000000.seg"), disk.bytes("log/00000000.seg"));
    let opened = Log::open(copy, options(Durability::Fsync)).expect("a store");
    assert_eq!(contents::read(&opened).expect("readable"), before);
}

/// A backup takes its time, and meanwhile files may be given another form. Few of them are open at once.
#[test]
fn a_backup_is_whole_if_files_are_compressed_or_plain_again_meanwhile() {
    for (first, then) in [(decompress as fn(&Log) -> _, compress as fn(&Log) -> _), (compress, decompress)] {
        let disk = filled();
        let log = opened(&disk);
        (EVENTS..4 * EVENTS).for_each(|number| append(&log, number));
        drop(log);
        let before = sound(&disk);
        first(&opened(&disk)).expect("room");
        let (log, other) = (opened(&disk), opened(&disk));
        assert_eq!(contents::read(&log).expect("readable"), before);
        let to = LyingDisk::new();
        let mut changed = 0;
        log.backup(&to.shared(), "copy", false, &mut |_, _| {
            changed += then(&other)?;
            Ok(())
        })
        .expect("a backup");
        assert!(changed > 4);
        let copy: Arc<dyn Disk> = Arc::new(Within::new(&to.shared(), "copy"));
        let opened = Log::open(copy, options(Durability::Fsync)).expect("a store");
        assert_eq!(contents::read(&opened).expect("readable"), before);
    }
}

#[test]
fn what_is_unpacked_stays_within_its_bound_and_what_was_read_stays_readable() {
    let disk = filled();
    compress(&opened(&disk)).expect("room");
    let log = opened_with(&disk, SEGMENT_BYTES);
    let page = log.load("s-1", 0, None, 100).expect("a page");
    let mut current = Arc::clone(&log);
    let mut renewed = 0;
    for number in (0..13).cycle().take(60) {
        let next = current.current();
        renewed += u64::from(!Arc::ptr_eq(&next, &current));
        current = next;
        current.load(&format!("s-{number}"), 0, None, 100).expect("a page");
    }
    assert!(renewed > 2, "nothing was let go of");
    assert!(page.events.iter().all(|event| event.data.starts_with(b"{\"n\":") || event.data == b"1"));
    // Writing goes on through whichever is used, and closing is for all of them.
    append(&current, 1);
    append(&log, 2);
    current.shut_down().expect("closed");
    assert!(matches!(log.append(&[], b"", Patience::Wait), Err(Error::Invalid(_))));
    let part = Part { stream: "s", events: &[NewEvent { name: "N", data: b"1", tags: &[] }], expected: None };
    assert!(matches!(log.append(&[part], b"", Patience::Wait), Err(Error::Closed(_))));
}

/// A new reaction reads all of a compressed log. What it is through with is let go of, though its log stays open.
#[test]
fn reactions_keep_no_more_unpacked_than_the_bound() {
    let disk = filled();
    compress(&opened(&disk)).expect("room");
    let log = opened_with(&disk, SEGMENT_BYTES);
    let clock = StandingClock::default();
    let reactions = Reactions::with_clock(&log, Box::new(clock)).expect("reactions");
    reactions.register(&[spec("r", &["Opened", "Deposited", "Closed"], "t-{stream}")]).expect("registered");
    let unpacked = |current: &Log| current.stats().expect("numbers").unpacked_bytes;
    let mut current = log;
    let mut most = 0;
    while !reactions.correlate_from(&*current, 16).expect("a window").caught_up {
        current = current.current();
        most = most.max(unpacked(&current));
    }
    let mut seen = 0;
    while seen < 2 * EVENTS {
        current = current.current();
        let options = ClaimOptions {
            lanes: None,
            lagging: 1,
            leading: 0,
            window: 8,
            lease_ms: 1000,
            holder: 7,
            cut: reactions.cut().expect("a cut"),
        };
        for lease in reactions.claim_from(&*current, &options).expect("a claim") {
            let done = lease.deliveries.last().map(|delivery| delivery.event.position);
            seen += lease.deliveries.len() as u64;
            let outcome = Outcome { target: lease.target, token: lease.token, done, then: Then::Free };
            assert_eq!(reactions.finish(&[outcome]).expect("finished"), [true]);
        }
        most = most.max(unpacked(&current));
    }
    // The bound, and what one claim reads on top.
    assert!((1..2 * SEGMENT_BYTES).contains(&most), "{most} bytes were unpacked at once");
}

/// A commit may be much larger than a block. Reading one of its events takes the block of the event: its preamble is at hand.
#[test]
fn of_a_large_commit_no_more_is_unpacked_than_one_event_takes() {
    const COMMIT_EVENTS: u64 = 1000;
    let disk = LyingDisk::new();
    let roomy = || Options { segment_bytes: 1 << 20, ..options(Durability::Fsync) };
    let log = Log::open(disk.shared(), roomy()).expect("a store");
    let large = "xyz".repeat(10_000);
    for number in 0..40 {
        let data: Vec<String> = (0..COMMIT_EVENTS)
            .map(|at| {
                format!(r#"{{"n":{},"pad":"{}"}}"#, number * COMMIT_EVENTS + at, if at == 500 { &large } else { "xyz" })
            })
            .collect();
        let names: Vec<String> = (0..COMMIT_EVENTS).map(|at| format!("s-{at}")).collect();
        let events: Vec<_> =
            data.iter().map(|data| [NewEvent { name: "N", data: data.as_bytes(), tags: &[] }]).collect();
        let parts: Vec<_> =
            names.iter().zip(&events).map(|(stream, events)| Part { stream, events, expected: None }).collect();
        log.append(&parts, b"{}", Patience::Wait).expect("room");
    }
    let page = |log: &Log, stream: &str| -> Vec<Vec<u8>> {
        let page = log.load(stream, 0, None, 1000).expect("a page");
        page.events.iter().map(|event| event.data.to_vec()).collect()
    };
    let before = ["s-0", "s-500", "s-501", "s-999"].map(|stream| (stream, page(&log, stream)));
    assert!(compress(&log).expect("room") > 0);
    drop(log);
    let open = || Log::open(disk.shared(), roomy()).expect("a store");
    for (stream, events) in &before {
        assert_eq!(page(&open(), stream), *events);
    }
    let log = open();
    page(&log, "s-999");
    let stats = log.stats().expect("numbers");
    let of_all = stats.compressed.segments << 20;
    assert!((1..of_all / 16).contains(&stats.unpacked_bytes), "{} of {of_all} bytes", stats.unpacked_bytes);
}

#[test]
fn threads_that_want_the_same_blocks_at_once_unpack_each_once() {
    let disk = LyingDisk::new();
    let log = opened(&disk);
    for number in 0..400 {
        let data = format!(r#"{{"n":{number},"pad":"{}"}}"#, "xyz".repeat(100));
        let events = [NewEvent { name: "Happened", data: data.as_bytes(), tags: &[] }];
        let stream = format!("s-{}", number % 3);
        log.append(&[Part { stream: &stream, events: &events, expected: None }], b"", Patience::Wait).expect("room");
    }
    let loaded = |log: &Log, stream: u64| -> Vec<Vec<u8>> {
        let page = log.load(&format!("s-{stream}"), 0, None, 1000).expect("a page");
        page.events.iter().map(|event| event.data.to_vec()).collect()
    };
    let before: Vec<_> = (0..3).map(|stream| loaded(&log, stream)).collect();
    compress(&log).expect("room");
    let log = opened(&disk);
    std::thread::scope(|scope| {
        for stream in [0, 1, 2, 0, 1, 2] {
            let (log, before) = (&log, &before);
            scope.spawn(move || assert_eq!(loaded(log, stream), before[stream as usize]));
        }
    });
    let stats = log.stats().expect("numbers");
    assert!(stats.unpacked_bytes <= stats.compressed.segments * SEGMENT_BYTES, "a block was unpacked twice");
}

#[test]
fn only_one_at_a_time_changes_the_form_of_log_files() {
    let disk = filled();
    let (one, other) = (opened(&disk), opened(&disk));
    let mut outcome = None;
    one.compress(false, false, &mut |_, _| {
        outcome.get_or_insert_with(|| compress(&other));
        Ok(())
    })
    .expect("room");
    assert!(matches!(outcome, Some(Err(Error::Locked(_)))), "{outcome:?}");
    assert_eq!(compress(&other).expect("room"), 0);
}

/// Damage in any part of a packed file is an error that names the file; it is never taken for something else.
#[test]
fn damage_in_a_packed_file_is_reported_and_never_passed_over() {
    let disk = filled();
    let before = sound(&disk);
    compress(&opened(&disk)).expect("room");
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1));
    let len = disk.bytes("log/00000001.seg").len();
    for at in (0..len).step_by(97) {
        let damaged = LyingDisk::from_image(&image);
        let was = damaged.bytes("log/00000001.seg")[at];
        damaged.overwrite("log/00000001.seg", at as u64, &[was ^ 0x20]);
        match Log::open(damaged.shared(), options(Durability::Fsync)) {
            Ok(log) => {
                contents::right_or_refused(&log, &before).unwrap_or_else(|what| panic!("byte {at}: {what}"));
                assert!(contents::read(&log).is_err(), "byte {at} was not missed");
            }
            Err(error) => assert!(matches!(error, Error::Corrupt { .. } | Error::Format(_)), "byte {at}: {error}"),
        }
        match verify(&damaged.shared(), &mut |_, _| Ok(())) {
            Ok(report) => {
                assert!(report.problems.iter().any(|problem| problem.file == "log/00000001.seg"), "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn recovery_never_cuts_what_a_damaged_packed_file_hides() {
    let disk = filled();
    compress(&opened(&disk)).expect("room");
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1)).rebooted();
    let damaged = LyingDisk::from_image(&image);
    damaged.shared().remove("control").expect("a control file");
    let len = damaged.bytes("log/00000001.seg").len() as u64;
    damaged.overwrite("log/00000001.seg", len - 9, b"!");
    let error = Log::open(damaged.shared(), options(Durability::Fsync)).expect_err("damage");
    assert!(matches!(&error, Error::Corrupt { file, .. } if file == "log/00000001.seg"), "{error}");
    damaged.overwrite("log/00000001.seg", len - 9, &disk.bytes("log/00000001.seg")[len as usize - 9..][..1]);
    assert_eq!(sound(&damaged).events.len() as u64, 2 * EVENTS);
}

#[test]
fn a_damaged_log_file_is_not_sealed_once_more() {
    let disk = filled();
    let at = SEGMENT_BYTES / 2;
    let was = disk.bytes("log/00000001.seg")[at as usize];
    disk.overwrite("log/00000001.seg", at, &[was ^ 1]);
    let log = opened(&disk);
    assert!(matches!(compress(&log), Err(Error::Corrupt { .. })));
    assert_eq!((format_of(&disk, 0), format_of(&disk, 1)), (3, 1));
}

/// Compressing, and having the files plain again.
const CHANGE: Change<'_> =
    Change { name: "compress", format: 3, store: &filled, make: &compress, undo: &decompress, held: &sound };

#[test]
fn a_power_cut_or_a_kill_leaves_the_same_store_which_is_compressed_further() {
    CHANGE.stands_cuts_and_kills();
}

#[test]
fn whatever_call_fails_the_store_is_whole_and_the_next_attempt_goes_through() {
    CHANGE.stands_failures(3);
}
