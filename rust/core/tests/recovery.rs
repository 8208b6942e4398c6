//! What a recovery keeps, cuts and sets aside, and what of reactions a flush has made sure of.
//!
//! A store that does not flush loses one sector of its log, one after the other: what is kept then is all that lies before
//! the loss, and not a commit less; what lies behind it is set aside, byte by byte.

mod support;

use std::sync::Arc;

use act_fast_core::reactions::{Selection, Then};
use act_fast_core::{Durability, Log};
use support::history::Item;
use support::lying_disk::{Loss, LyingDisk};
use support::options;
use support::program::{StandingClock, append, claim, correlate_all, finish, positions, program, spec};
use support::rng::Rng;

/// A store of several log files that was never flushed, and where its log ended after each commit.
fn unflushed() -> (LyingDisk, Vec<u64>) {
    let disk = LyingDisk::new();
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
    let names = disk.shared().list("log").expect("names");
    let written: Vec<(String, Vec<u8>)> =
        segments(&names).map(|name| (name.clone(), disk.bytes(&format!("log/{name}")))).collect();
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
