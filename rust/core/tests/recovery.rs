//! What a recovery keeps, cuts and sets aside, and what of reactions a flush has made sure of.
//!
//! A store that does not flush loses one sector of its log, one after the other: what is kept then is all that lies before
//! the loss, and not a commit less; what lies behind it is set aside, byte by byte.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use act_fast_core::disk::{Access, Within};
use act_fast_core::reactions::{Selection, Spec, Then};
use act_fast_core::{Durability, Error, Log, Options};
use support::history::Item;
use support::lying_disk::{Call, HOUSEKEEPER, Image, Loss, LyingDisk, Verdict};
use support::options;
use support::program::{Reactions, StandingClock, append, claim, correlate_all, finish, positions, program, spec};
use support::rng::{self, Rng};

/// A store of several log files that was never flushed, and where its log ended after each commit.
fn unflushed() -> (LyingDisk, Vec<u64>) {
    let disk = LyingDisk::new();
    // It would flush what is full, if it came to it before the end.
    disk.intercept(|_, _| match std::thread::current().name() {
        Some(HOUSEKEEPER) => Verdict::Fail(std::io::Error::other("not now")),
        _ => Verdict::Go,
    });
    let log = Log::open(disk.shared(), options(Durability::Os)).expect("opening");
    let ends = (0..30).map(|number| {
        let data = format!("{:?}", format!("{number}-").repeat(800));
        Item::event("a", "Written", &data).ask(&log, None).expect("appending");
        log.stats().expect("numbers").log_bytes
    });
    let ends = ends.collect();
    std::mem::forget(log); // the machine stops before anything is closed
    (disk, ends)
}

fn segments(names: &[String]) -> impl Iterator<Item = &String> {
    names.iter().filter(|name| name.ends_with(".seg"))
}

#[test]
fn what_lies_before_a_loss_is_kept_to_the_last_commit_and_what_lies_behind_it_is_set_aside() {
    let (disk, ends) = unflushed();
    let checkpoint = disk.checkpoint();
    // What there was is looked at in the checkpoint, of the same moment as the losses.
    let whole = LyingDisk::from_image(&checkpoint.image(Loss::Nothing, &mut Rng::new(1)).rebooted());
    let names = whole.shared().list("log").expect("names");
    let written: Vec<(String, Vec<u8>)> =
        segments(&names).map(|name| (name.clone(), whole.bytes(&format!("log/{name}")))).collect();
    assert!(written.len() > 2, "{names:?}");
    let segment_bytes = support::SEGMENT_BYTES as usize;
    let (mut aside_in_all, mut lost) = (0, 0);
    for unit in 0..checkpoint.units() {
        let image = checkpoint.image(Loss::One(unit), &mut Rng::new(1)).rebooted();
        let left = LyingDisk::from_image(&image);
        let found = left.shared().list("log").expect("names");
        if segments(&found).count() != written.len() {
            continue; // a name was lost, which is another story
        }
        let before: Vec<Vec<u8>> = written.iter().map(|(name, _)| left.bytes(&format!("log/{name}"))).collect();
        if before.iter().zip(&written).any(|(now, (_, then))| now.len() != then.len()) {
            continue; // a length was lost
        }
        let mut different = before.iter().zip(&written).enumerate().flat_map(|(number, (now, (_, then)))| {
            let at = now.iter().zip(then).enumerate().filter(|(_, (now, then))| now != then);
            at.map(move |(at, _)| number * segment_bytes + at)
        });
        let Some(differs) = different.next() else { continue };
        let last_differs = different.last().unwrap_or(differs);
        lost += 1;
        let kept = ends.iter().filter(|end| **end <= differs as u64).count();
        let log = match Log::open(left.shared(), options(Durability::Os)) {
            Ok(log) => log,
            Err(error) => panic!("unit {unit}: {error}"),
        };
        assert_eq!(log.head().expect("a head"), kept as u64, "unit {unit}, byte {differs} of {ends:?}");
        // Commits behind the loss are not shown, and are there to be looked at.
        let tail = log.stats().expect("numbers").log_bytes as usize;
        let above = &left.bytes(&format!("log/{}", written[tail / segment_bytes].0))[tail % segment_bytes..];
        assert!(above.iter().all(|byte| *byte == 0), "unit {unit}: something is left where the next commits go");
        for (number, bytes) in before.iter().enumerate() {
            let (name, start) = (&written[number].0, number * segment_bytes);
            let after = left.shared().list("log").expect("names");
            if number > tail / segment_bytes {
                let aside = format!("log/{name}.cut");
                if bytes[64..].iter().any(|byte| *byte != 0) {
                    assert_eq!(&left.bytes(&aside), bytes, "unit {unit}: {aside}");
                    aside_in_all += 1;
                }
            } else if number == tail / segment_bytes {
                let cut = format!("{name}.cut-{tail}");
                let whole_behind = ends.iter().any(|end| {
                    let begin = ends.iter().copied().filter(|other| other < end).max().unwrap_or(0);
                    begin as usize > last_differs
                        && (*end as usize) < start + segment_bytes
                        && begin as usize >= start + 64
                });
                if whole_behind {
                    assert!(after.contains(&cut), "unit {unit}: {cut} of {after:?}");
                }
                if after.contains(&cut) {
                    let rest = &bytes[tail - start..];
                    let len = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                    assert_eq!(left.bytes(&format!("log/{cut}")), rest[..len], "unit {unit}");
                    aside_in_all += 1;
                }
            }
        }
    }
    assert!(lost > 20, "{lost} losses of the log's bytes");
    assert!(aside_in_all > 20, "{aside_in_all} things were set aside");
}

#[test]
fn nothing_is_cut_where_nothing_was_lost() {
    for durability in [Durability::Os, Durability::Interval] {
        let (disk, ends) = unflushed();
        let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1)).rebooted();
        let log = Log::open(LyingDisk::from_image(&image).shared(), options(durability)).expect("opening");
        let recovered = log.stats().expect("numbers").recovered.expect("a recovery");
        assert_eq!((recovered.events, recovered.cut_bytes), (ends.len() as u64, 0));
        assert_eq!(log.stats().expect("numbers").log_bytes, *ends.last().expect("commits"));
    }
}

#[test]
fn what_lies_behind_a_loss_is_there_whenever_the_power_goes_while_it_is_set_aside() {
    let (disk, _) = unflushed();
    let checkpoint = disk.checkpoint();
    let mut rng = Rng::new(rng::seed("set aside"));
    let mut cut = 0;
    for unit in (0..checkpoint.units()).step_by(3) {
        let image = checkpoint.image(Loss::One(unit), &mut Rng::new(1)).rebooted();
        let left = LyingDisk::from_image(&image);
        left.record();
        let Ok(log) = Log::open(left.shared(), options(Durability::Os)) else { continue };
        let tail = log.stats().expect("numbers").log_bytes;
        let name = format!("log/{:08}.seg", tail / support::SEGMENT_BYTES);
        let aside = format!("{name}.cut-{tail}");
        if !left.shared().list("log").expect("names").iter().any(|name| aside.ends_with(name.as_str())) {
            continue;
        }
        cut += 1;
        let kept = left.bytes(&aside);
        for checkpoint in left.checkpoints() {
            for loss in [Loss::Everything, Loss::Chance(50)] {
                let found = checkpoint.image(loss, &mut rng);
                let whole = |name: &str, from: usize| {
                    found.files.get(name).is_some_and(|(_, bytes)| bytes[from.min(bytes.len())..].starts_with(&kept))
                };
                let still = whole(&name, (tail % support::SEGMENT_BYTES) as usize);
                assert!(still || whole(&aside, 0), "unit {unit}, after {}: {aside} is lost", checkpoint.after);
            }
        }
    }
    assert!(cut > 3, "{cut} times something was set aside");
}

#[test]
fn what_a_recovery_has_found_is_flushed() {
    let (disk, ends) = unflushed();
    let left = disk.checkpoint().killed();
    left.shared().remove("control").expect("removing the control file");
    let log = Log::open(left.shared(), options(Durability::Os)).expect("opening");
    let stats = log.stats().expect("numbers");
    assert_eq!((stats.events, stats.flushed_bytes), (ends.len() as u64, stats.log_bytes));
    let image = left.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
    let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Os)).expect("opening what is left");
    assert_eq!(log.head().expect("a head"), ends.len() as u64);
}

#[test]
fn a_store_that_was_closed_needs_no_recovery_after_a_power_cut() {
    for durability in [Durability::Fsync, Durability::Interval] {
        let disk = LyingDisk::new();
        let log = Log::open(disk.shared(), options(durability)).expect("opening");
        Item::event("a", "Written", "1").ask(&log, None).expect("appending");
        log.shut_down().expect("closing");
        let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
        let log = Log::open(LyingDisk::from_image(&image).shared(), options(durability)).expect("opening again");
        assert_eq!((log.head().expect("a head"), log.stats().expect("numbers").recovered), (1, None));
    }
}

/// It may have been made while the store was opened and closed: each of its files is of another moment.
#[test]
fn the_control_file_of_a_copy_is_not_believed() {
    let disk = LyingDisk::new();
    let written = |number: u64| {
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
        Item::event("a", "Written", &number.to_string()).ask(&log, None).expect("appending");
        log.shut_down().expect("closing");
        disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1))
    };
    let mut earlier = written(1);
    let mut later = written(2);
    later.bytes_mut("control").clone_from(earlier.bytes_mut("control"));
    let log = Log::open(LyingDisk::from_image(&later.copied()).shared(), options(Durability::Fsync)).expect("opening");
    assert_eq!(log.head().expect("a head"), 2, "the copy has lost an event");
}

/// Sectors come to the disk in any order: the one that says whose control file this is may be the first.
#[test]
fn a_copy_that_is_being_opened_is_not_taken_for_one_that_was_closed_here_when_the_power_goes() {
    const SECTOR: usize = 512;
    let disk = LyingDisk::new();
    let written = |number: u64| {
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
        Item::event("a", "Written", &number.to_string()).ask(&log, None).expect("appending");
        log.shut_down().expect("closing");
        disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1))
    };
    let mut earlier = written(1);
    let mut later = written(2);
    // Each file of the copy is of another moment, and the control file says that the store is closed.
    later.bytes_mut("control").clone_from(earlier.bytes_mut("control"));
    let copy = LyingDisk::from_image(&later.copied());
    copy.record();
    let log = Log::open(copy.shared(), options(Durability::Fsync)).expect("opening the copy");
    let checkpoints = copy.checkpoints();
    drop(log);
    let flushes = checkpoints.iter().filter(|checkpoint| checkpoint.after == "beginning to flush control");
    let mut cuts = 0;
    for checkpoint in flushes {
        let mut rng = Rng::new(1);
        let written = checkpoint.image(Loss::Nothing, &mut rng).bytes_mut("control").clone();
        for sector in 0..written.len() / SECTOR {
            let mut image = checkpoint.image(Loss::Everything, &mut rng);
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            image.bytes_mut("control")[range.clone()].copy_from_slice(&written[range]);
            let disk = LyingDisk::from_image(&image.rebooted());
            let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening after a power cut");
            assert_eq!(log.head().expect("a head"), 2, "sector {sector} came first, and an event is lost");
            cuts += 1;
        }
    }
    assert!(cuts >= 16, "{cuts} power cuts");
}

#[test]
fn a_store_that_needs_no_recovery_is_read_without_changing_anything() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    Item::event("a", "Written", "1").ask(&log, None).expect("appending");
    let reading = |disk: &LyingDisk, what: &str| {
        disk.intercept(|call, _| match call {
            Call::Open | Call::Len | Call::Map | Call::Identity | Call::List | Call::Lock => Verdict::Go,
            _ => Verdict::Fail(std::io::ErrorKind::PermissionDenied.into()),
        });
        let log = Log::open(disk.shared(), Options { read_only: true, ..options(Durability::Fsync) });
        assert_eq!(log.expect(what).head().expect("a head"), 1, "{what}");
        disk.repair();
    };
    reading(&disk, "open");
    disk.overwrite("control", 2 * 64, &1u32.to_le_bytes());
    reading(&disk, "being written to");
    disk.overwrite("control", 2 * 64, &[0; 4]);
    log.shut_down().expect("closing");
    reading(&disk, "closed");
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1)).rebooted();
    reading(&LyingDisk::from_image(&image), "closed before the machine was started");
}

#[test]
fn nobody_reads_a_log_with_the_control_file_and_the_index_of_another() {
    let closed = |events: u64| {
        let disk = LyingDisk::new();
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
        (0..events).for_each(|_| Item::event("a", "Written", "1").ask(&log, None).expect("appending"));
        log.shut_down().expect("closing");
        disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1))
    };
    let (image, mut mixed) = (closed(3), closed(1));
    mixed.files.extend(image.files.into_iter().filter(|(name, _)| name.starts_with("log/")));
    let reading = Options { read_only: true, ..options(Durability::Fsync) };
    let log = Log::open(LyingDisk::from_image(&mixed).shared(), reading).expect("opening");
    assert_eq!(log.head().expect("a head"), 3);
}

/// Somebody puts the log of another store in the place of this one's, while it is open.
#[test]
fn nobody_joins_those_who_have_another_log_open() {
    const SEGMENT: &str = "log/00000000.seg";
    let made = || {
        let disk = LyingDisk::new();
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
        Item::event("a", "Written", "1").ask(&log, None).expect("appending");
        (disk, log)
    };
    let (disk, _log) = made();
    let (other, _) = made();
    assert!(Log::open(disk.shared(), options(Durability::Fsync)).is_ok(), "a second handle on the same log");
    let mut image = other.checkpoint().image(Loss::Nothing, &mut Rng::new(1));
    let file = disk.shared().open(SEGMENT, Access::Write).expect("opening the segment");
    file.write_all_at(image.bytes_mut(SEGMENT), 0).expect("writing over it");
    let outcome = Log::open(disk.shared(), options(Durability::Fsync));
    assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{outcome:?}");
}

#[test]
fn a_store_whose_maker_dies_at_any_boundary_keeps_what_the_next_one_writes() {
    let disk = LyingDisk::new();
    disk.record();
    drop(Log::open(disk.shared(), options(Durability::Fsync)).expect("opening"));
    let checkpoints = disk.checkpoints();
    assert!(checkpoints.len() > 10, "{} boundaries", checkpoints.len());
    for checkpoint in checkpoints.into_iter().filter(|checkpoint| checkpoint.of_one_instant) {
        let disk = checkpoint.killed();
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening after a death");
        Item::event("a", "Written", "1").ask(&log, None).expect("appending");
        let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
        let left = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Fsync)).expect("opening");
        assert_eq!(left.head().expect("a head"), 1, "after {}", checkpoint.after);
    }
}

#[test]
fn a_file_whose_maker_could_not_make_its_name_last_is_there_for_good_once_it_is_written_to() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    let renamed = AtomicBool::new(false);
    disk.intercept(move |call, name| match call {
        Call::Rename => {
            renamed.store(true, Ordering::SeqCst);
            Verdict::Go
        }
        Call::SyncFolder if name == "log" && renamed.swap(false, Ordering::SeqCst) => {
            Verdict::Fail(std::io::Error::from_raw_os_error(5))
        }
        _ => Verdict::Go,
    });
    let item = Item::event("a", "Written", &format!("{:?}", "x".repeat(3000)));
    let acknowledged = (0..8).filter(|_| item.ask(&log, None).is_ok()).count() as u64;
    assert!(log.stats().expect("numbers").segments > 1);
    let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
    let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Fsync)).expect("opening");
    assert_eq!(log.head().expect("a head"), acknowledged, "what was acknowledged is lost");
}

/// The next file may be missing where one ends: its maker died before, or it was deleted while there was nothing in it.
#[test]
fn the_file_that_recovery_makes_where_the_last_one_has_ended_is_there_for_good() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    disk.record();
    let item = Item::event("a", "Written", &format!("{:?}", "x".repeat(3000)));
    for _ in 0..10 {
        item.ask(&log, None).expect("appending");
    }
    std::mem::forget(log);
    let ended = |after: &str| after.starts_with("writing 28 bytes") && after.ends_with("00000000.seg");
    let checkpoints = disk.checkpoints();
    let checkpoint = checkpoints.iter().find(|checkpoint| ended(&checkpoint.after)).expect("a file that ends");
    let mut image = checkpoint.image(Loss::Nothing, &mut Rng::new(1)).rebooted();
    image.files.remove("log/00000001.seg").expect("the next file");
    let disk = LyingDisk::from_image(&image);
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    item.ask(&log, None).expect("appending");
    let head = log.head().expect("a head");
    std::mem::forget(log);
    let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
    let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Fsync)).expect("opening");
    assert_eq!(log.head().expect("a head"), head, "what was acknowledged is lost");
}

#[test]
fn what_reactions_have_come_to_survives_a_power_cut_once_it_was_flushed() {
    for flushed in [true, false] {
        let disk = LyingDisk::new();
        let clock = StandingClock::default();
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
        let specs = || vec![spec("all", &["A"], "all"), spec("own", &["A"], "own-{stream}")];
        let reactions = program(&log, &clock, specs());
        for number in 0..6 {
            append(&log, &format!("s{}", number % 2), &["A"]);
        }
        correlate_all(&reactions);
        reactions.flush().expect("flushing");
        for lease in claim(&reactions, &log, 3, 3) {
            assert!(finish(&reactions, &lease, positions(&lease).last().copied(), Then::Free));
        }
        if flushed {
            reactions.flush().expect("flushing");
        }
        let before = reactions.targets(&Selection::default(), None, 10).expect("targets");
        let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
        let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Fsync)).expect("opening");
        let again = program(&Arc::clone(&log), &clock, specs());
        correlate_all(&again);
        let after = again.targets(&Selection::default(), None, 10).expect("targets");
        let lags =
            |found: &[act_fast_core::reactions::TargetInfo]| found.iter().map(|each| each.lag).collect::<Vec<_>>();
        assert_eq!(lags(&before), [0, 0, 0]);
        if flushed {
            assert_eq!(lags(&after), [0, 0, 0], "what was flushed is delivered again");
        } else {
            assert_eq!(lags(&after).iter().sum::<u64>(), 12, "this disk keeps what was not flushed");
        }
    }
}

/// A program on a disk, whose store has three events for it.
fn program_on_a_disk() -> (LyingDisk, Arc<Log>, StandingClock, Reactions) {
    let (disk, clock) = (LyingDisk::new(), StandingClock::default());
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    let reactions = program(&log, &clock, vec![spec("all", &["A"], "all")]);
    append(&log, "s", &["A", "A", "A"]);
    correlate_all(&reactions);
    reactions.flush().expect("flushing");
    (disk, log, clock, reactions)
}

/// Handle the next event.
fn handle_one(reactions: &Reactions, log: &Log) {
    let lease = claim(reactions, log, 1, 0).remove(0);
    assert!(finish(reactions, &lease, positions(&lease).first().copied(), Then::Free));
}

/// The same program on what a power cut has left.
fn after(image: &Image) -> Reactions {
    let log = Log::open(LyingDisk::from_image(image).shared(), options(Durability::Fsync)).expect("opening");
    let reactions = program(&log, &StandingClock::default(), vec![spec("all", &["A"], "all")]);
    correlate_all(&reactions);
    reactions
}

/// The same program when all is lost that was not flushed.
fn after_a_power_cut(disk: &LyingDisk) -> Reactions {
    after(&disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted())
}

/// How many events are still to be handled.
fn lag(reactions: &Reactions) -> u64 {
    reactions.targets(&Selection::default(), None, 10).expect("targets").iter().map(|target| target.lag).sum()
}

#[test]
fn what_was_handled_is_not_handled_again_once_the_reactions_are_closed() {
    let (disk, log, _, reactions) = program_on_a_disk();
    handle_one(&reactions, &log);
    drop(reactions);
    assert_eq!(lag(&after_a_power_cut(&disk)), 2, "what was handled is delivered again");
}

#[test]
fn what_is_handled_is_flushed_once_a_second_while_there_is_work() {
    let (disk, log, clock, reactions) = program_on_a_disk();
    clock.move_on(999);
    handle_one(&reactions, &log);
    assert_eq!(lag(&after_a_power_cut(&disk)), 3, "what was handled before its second was over is flushed");
    clock.move_on(1);
    handle_one(&reactions, &log);
    assert_eq!(lag(&after_a_power_cut(&disk)), 1, "what was handled is delivered again a second later");
    clock.move_on(999);
    handle_one(&reactions, &log);
    assert_eq!(lag(&after_a_power_cut(&disk)), 1, "what was handled before its second was over is flushed");
}

#[test]
fn an_event_that_was_skipped_by_hand_stays_skipped() {
    let (disk, _log, _, reactions) = program_on_a_disk();
    reactions.skip("all", "all", 1, "a note").expect("skipping");
    let again = after_a_power_cut(&disk);
    assert_eq!(lag(&again), 2, "what was skipped is delivered");
    assert_eq!(again.skipped().expect("notes"), ["a note".into()]);
}

#[test]
fn what_is_changed_by_hand_survives_a_power_cut() {
    let all = Selection::default();
    let target = |disk: &LyingDisk| after_a_power_cut(disk).targets(&all, None, 1).expect("targets").remove(0);
    let (disk, log, _, reactions) = program_on_a_disk();
    handle_one(&reactions, &log);
    reactions.block(&all, "by hand").expect("blocking");
    assert!(target(&disk).blocked, "what was blocked goes on");
    assert_eq!(target(&disk).lag, 2);
    reactions.unblock(&all).expect("unblocking");
    assert!(!target(&disk).blocked, "what was unblocked is blocked");
    reactions.prioritize(&all, 7).expect("prioritizing");
    assert_eq!(target(&disk).priority, 7);
    reactions.defer(&all, 1 << 47).expect("deferring");
    assert_eq!(target(&disk).due_ms, Some(1 << 47));
    reactions.reset(&all).expect("resetting");
    assert_eq!(target(&disk).lag, 3, "what was reset is not delivered again");
}

#[test]
fn no_event_is_ever_skipped_without_a_note() {
    let (disk, _log, _, reactions) = program_on_a_disk();
    disk.record();
    reactions.skip("all", "all", 1, "a note").expect("skipping");
    let (mut rng, mut skipped) = (Rng::new(1), 0);
    for checkpoint in disk.checkpoints() {
        for _ in 0..20 {
            let again = after(&checkpoint.image(Loss::Chance(50), &mut rng).rebooted());
            if lag(&again) == 2 {
                skipped += 1;
                assert_eq!(again.skipped().expect("notes"), ["a note".into()], "after {}", checkpoint.after);
            }
        }
    }
    assert!(skipped > 20, "{skipped} of these power cuts came after the skip");
}

#[test]
fn a_reset_that_repeats_what_was_skipped_is_noted_for_good() {
    let (disk, _log, _, reactions) = program_on_a_disk();
    reactions.skip("all", "all", 1, "a note").expect("skipping");
    reactions.reset(&Selection::default()).expect("resetting");
    drop(reactions);
    let again = after_a_power_cut(&disk);
    assert_eq!(lag(&again), 3, "what was reset is not delivered again");
    assert_eq!(again.skipped().expect("notes"), ["a note".into(), "0\tall".into()]);
}

/// Reactions may come to the disk before the events that they have handled; others take their positions then.
#[test]
fn what_comes_in_the_place_of_lost_events_is_handled_by_whoever_had_handled_those() {
    let (disk, clock) = (LyingDisk::new(), StandingClock::default());
    let log = Log::open(disk.shared(), options(Durability::Interval)).expect("opening");
    append(&log, "s", &["A", "A", "A"]);
    log.flush().expect("flushing");
    append(&log, "s", &["A", "A", "Odd"]);
    let specs = || {
        let from_now = Spec { from_now: true, ..spec("late", &["A"], "late") };
        let [all, blocked, fails] = ["all", "blocked", "fails"].map(|name| spec(name, &["A"], name));
        vec![all, blocked, fails, from_now, spec("odd", &["Odd"], "{data.none}")]
    };
    let reactions = program(&log, &clock, specs());
    while !reactions.correlate(100).expect("correlating").failed.is_empty() {
        assert!(reactions.hold(4, 6, 1, None, "no such target").expect("holding"));
    }
    for lease in claim(&reactions, &log, 9, 0) {
        let then = match &*lease.name {
            "blocked" => Then::Block { position: 5, error: "blocked".to_owned() },
            "fails" => Then::Retry { position: 5, due_ms: 0, error: "fails".to_owned() },
            _ => Then::Free,
        };
        let done = if matches!(then, Then::Free) { 5 } else { 4 };
        assert!(finish(&reactions, &lease, Some(done), then));
    }
    let all = Selection { names: Some(vec!["all".to_owned()]), ..Selection::default() };
    assert_eq!(reactions.reset_to(&all, 3).expect("resetting"), 1, "4 and 5 are to be done again");
    reactions.flush().expect("flushing");
    let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
    let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Interval)).expect("opening");
    assert_eq!(log.head().expect("a head"), 3, "the rest is lost");
    let again = program(&log, &clock, specs());
    for target in again.targets(&Selection::default(), None, 10).expect("targets") {
        assert!(target.watermark <= 3 && target.failing.is_none_or(|failing| failing <= 3), "{target:?}");
        assert!(!target.blocked, "{target:?}");
    }
    append(&log, "s", &["A", "A", "A"]);
    correlate_all(&again);
    let mut leases = claim(&again, &log, 9, 0);
    leases.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = leases.iter().map(|lease| (&*lease.name, positions(lease), lease.attempts)).collect();
    assert_eq!(seen, ["all", "blocked", "fails", "late"].map(|name| (name, vec![4, 5, 6], 1)));
    assert!(leases.iter().all(|lease| lease.past.is_none()), "what was lost is not done again, nor has it failed");
    for lease in &leases {
        assert!(finish(&again, lease, Some(4), Then::Free));
    }
    let attempts: Vec<_> = claim(&again, &log, 9, 0).iter().map(|lease| lease.attempts).collect();
    assert_eq!(attempts, [1; 4], "an event pays for one that was lost");
}

#[test]
fn targets_that_were_found_since_the_store_was_opened_survive_a_power_cut_once_they_were_flushed() {
    let (disk, log, clock, reactions) = program_on_a_disk();
    drop(reactions);
    log.shut_down().expect("closing");
    let disk = LyingDisk::from_image(&disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1)));
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening again");
    let specs = || vec![spec("all", &["A"], "all"), spec("own", &["A"], "own-{stream}")];
    let reactions = program(&log, &clock, specs());
    append(&log, "other", &["A"]);
    correlate_all(&reactions);
    for lease in claim(&reactions, &log, 9, 0) {
        assert!(finish(&reactions, &lease, positions(&lease).last().copied(), Then::Free));
    }
    assert_eq!(lag(&reactions), 0);
    reactions.flush().expect("flushing");
    let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
    let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Fsync)).expect("opening");
    let again = program(&log, &clock, specs());
    correlate_all(&again);
    assert_eq!(lag(&again), 0, "what was flushed is delivered again");
}

#[test]
fn what_a_backup_says_of_reactions_survives_a_power_cut() {
    let (_disk, log, clock, reactions) = program_on_a_disk();
    handle_one(&reactions, &log);
    let to = LyingDisk::new();
    log.backup(&to.shared(), "copy", false, &mut |_, _| Ok(())).expect("a backup");
    let image = to.checkpoint().image(Loss::Everything, &mut Rng::new(1));
    let left = LyingDisk::from_image(&image);
    let copy = Arc::new(Within::new(&left.shared(), "copy"));
    let log = Log::open(copy, options(Durability::Fsync)).expect("opening the backup");
    let reactions = program(&log, &clock, vec![spec("all", &["A"], "all")]);
    correlate_all(&reactions);
    assert_eq!(lag(&reactions), 2, "what was handled before the backup is handled again in it");
}
