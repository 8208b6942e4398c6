//! What is kept of reactions, damaged file by file and byte by byte: nothing is skipped, nobody is stuck, at worst something
//! is delivered again.
//!
//! `ACT_FAST_DAMAGES` says how many places of each file are damaged (24), `ACT_FAST_SEED` repeats a run.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use act_fast_core::disk::{Access, Disk, MemoryDisk};
use act_fast_core::reactions::{Selection, Then};
use act_fast_core::{Durability, Log, Options};
use support::env_number;
use support::program::{Reactions, StandingClock, append, claim, correlate_all, finish, positions, program, spec};
use support::rng;

const FILES: [&str; 7] = ["targets", "subscriptions", "cursors", "counts", "texts", "work", "changes"];

type Seen = BTreeMap<String, BTreeSet<u64>>;

fn options() -> Options {
    Options { durability: Durability::Os, segment_bytes: 64 << 10, ..Options::default() }
}

fn open(disk: &Arc<MemoryDisk>) -> Arc<Log> {
    Log::open(Arc::clone(disk) as _, options()).expect("a store")
}

fn reactions(log: &Arc<Log>, clock: &StandingClock) -> Reactions {
    program(log, clock, vec![spec("all", &["A", "B"], "all"), spec("own", &["A"], "own-{stream}")])
}

fn drain(reactions: &Reactions, log: &Log, cycles: usize, seen: &mut Seen) {
    for _ in 0..cycles {
        let leases = claim(reactions, log, 3, 3);
        if leases.is_empty() {
            return;
        }
        for lease in leases {
            let positions = positions(&lease);
            assert!(finish(reactions, &lease, positions.last().copied(), Then::Free));
            seen.entry(lease.name.to_string()).or_default().extend(positions);
        }
    }
}

/// A store that is half drained, and what was delivered.
fn half_drained() -> (Arc<MemoryDisk>, Seen) {
    let (disk, clock) = (Arc::new(MemoryDisk::default()), StandingClock::default());
    let log = open(&disk);
    for number in 0..60 {
        append(&log, &format!("s{}", number % 7), &["A", "B"]);
    }
    let reactions = reactions(&log, &clock);
    correlate_all(&reactions);
    let mut seen = Seen::new();
    drain(&reactions, &log, 3, &mut seen);
    append(&log, "late", &["A", "B"]);
    correlate_all(&reactions);
    drop(reactions);
    log.shut_down().expect("closing");
    (disk, seen)
}

/// Whatever was done to it: all that is not known to be done is delivered, nothing else, and it comes to an end.
fn check(disk: &Arc<MemoryDisk>, mut seen: Seen, what: &str) {
    let clock = StandingClock::default();
    clock.move_on(10_000); // an older half of a cell may speak of a lease; it has run out by now
    let log = open(disk);
    append(&log, "s1", &["A", "B"]);
    let reactions = reactions(&log, &clock);
    correlate_all(&reactions);
    drain(&reactions, &log, 1000, &mut seen);
    let head = log.head().expect("a head");
    let odd = (1..=head).filter(|position| position % 2 == 1);
    let mut own = Seen::new();
    for position in odd.clone() {
        let number = (position - 1) / 2;
        let stream = match number {
            60 => "late".to_owned(),
            61 => "s1".to_owned(),
            _ => format!("s{}", number % 7),
        };
        own.entry(format!("own-{stream}")).or_default().insert(position);
    }
    own.insert("all".to_owned(), (1..=head).collect());
    assert_eq!(seen, own, "{what}");
    for target in reactions.targets(&Selection::default(), None, usize::MAX).expect("targets") {
        assert_eq!((target.lag, target.blocked), (0, false), "{what}: {target:?}");
    }
}

fn bytes_of(disk: &MemoryDisk, name: &str) -> (Box<dyn act_fast_core::disk::DiskFile>, u64) {
    let file = disk.open(&format!("reactions/{name}"), Access::Write).expect("a file");
    let len = file.len().expect("its length");
    (file, len)
}

#[test]
fn a_file_that_is_lost_is_made_anew() {
    for name in FILES {
        let (disk, seen) = half_drained();
        disk.remove(&format!("reactions/{name}")).expect("removing it");
        check(&disk, seen, name);
    }
}

#[test]
fn a_file_whose_head_is_damaged_is_made_anew() {
    for name in FILES {
        let (disk, seen) = half_drained();
        bytes_of(&disk, name).0.write_all_at(&[0xa5; 40], 20).expect("damaging it");
        check(&disk, seen, name);
    }
}

#[test]
fn a_file_of_zeros_as_after_a_power_cut_is_made_anew() {
    for name in FILES {
        for machine_stopped in [false, true] {
            let (disk, seen) = half_drained();
            let (file, len) = bytes_of(&disk, name);
            file.write_zeros(0, len).expect("clearing it");
            if machine_stopped {
                disk.remove("control").expect("removing the control file");
            }
            check(&disk, seen, name);
        }
    }
}

/// How much there is of everything can be counted again, and what is derived can be derived again.
#[test]
fn what_was_handled_is_not_handled_again_when_counts_or_what_is_derived_are_lost() {
    for name in ["counts", "work", "changes"] {
        for removed in [true, false] {
            let (disk, seen) = half_drained();
            if removed {
                disk.remove(&format!("reactions/{name}")).expect("removing it");
            } else {
                bytes_of(&disk, name).0.write_all_at(&[0xa5; 40], 20).expect("damaging its head");
            }
            let (log, clock) = (open(&disk), StandingClock::default());
            let reactions = reactions(&log, &clock);
            correlate_all(&reactions);
            let mut later = Seen::new();
            drain(&reactions, &log, 1000, &mut later);
            assert!(!later.is_empty());
            for (target, positions) in later {
                let before = seen.get(&target).cloned().unwrap_or_default();
                assert!(
                    positions.is_disjoint(&before),
                    "{name}, removed: {removed}: {target} {positions:?} {before:?}"
                );
            }
        }
    }
}

#[test]
fn damage_anywhere_in_any_file_skips_no_event() {
    let seed = rng::seed("damage_anywhere_in_any_file_skips_no_event");
    let mut dice = rng::Rng::new(seed);
    for name in FILES {
        for _ in 0..env_number("ACT_FAST_DAMAGES").unwrap_or(24) {
            let (disk, seen) = half_drained();
            let (file, len) = bytes_of(&disk, name);
            // Within what is used, as far as that goes: the files are small.
            let at = dice.below(len.min(64 * 64) as usize);
            let how = [0xff, 0x01, 0x80][dice.below(3)];
            let map = file.map(0, 1 << 16, false).expect("a map");
            let word = map.line(at / 64 * 64)[at % 64 / 8].load(Ordering::SeqCst);
            file.write_all_at(&[word.to_le_bytes()[at % 8] ^ how], at as u64).expect("damaging it");
            check(&disk, seen, &format!("{name}, byte {at} xor {how:#x}, seed {seed}"));
        }
    }
}

#[test]
fn what_is_damaged_under_a_program_that_runs_is_mended_as_it_goes() {
    for name in ["targets", "subscriptions", "cursors", "texts", "work"] {
        let (disk, mut seen) = half_drained();
        let clock = StandingClock::default();
        let log = open(&disk);
        let running = reactions(&log, &clock);
        let (file, len) = bytes_of(&disk, name);
        file.write_zeros(64, len - 64).expect("clearing it");
        correlate_all(&running);
        drain(&running, &log, 1000, &mut seen);
        drop(running);
        log.shut_down().expect("closing");
        check(&disk, seen, name);
    }
}

/// Cells are written in turn, so what is left of the counts may be older than the texts.
#[test]
fn no_text_is_written_over_another_when_the_younger_counts_are_torn() {
    for line in [1, 2] {
        let (disk, clock) = (Arc::new(MemoryDisk::default()), StandingClock::default());
        let log = open(&disk);
        let specs = || vec![spec("own", &["A"], "own-{stream}")];
        let before = program(&log, &clock, specs());
        append(&log, "one", &["A"]);
        correlate_all(&before);
        let lease = claim(&before, &log, 1, 0).remove(0);
        assert!(finish(&before, &lease, None, Then::Retry { position: 1, due_ms: 0, error: "is wrong".to_owned() }));
        drop(lease);
        drop(before);
        log.shut_down().expect("closing");
        bytes_of(&disk, "counts").0.write_all_at(&[0xa5; 4], line * 64 + 30).expect("damaging it");
        let log = open(&disk);
        let reactions = program(&log, &clock, specs());
        append(&log, "two", &["A"]);
        correlate_all(&reactions);
        let seen = reactions.targets(&Selection::default(), None, 9).expect("targets");
        let seen: Vec<_> = seen.iter().map(|target| (target.name.as_str(), target.error.as_deref())).collect();
        assert_eq!(seen, [("own-one", Some("is wrong")), ("own-two", None)], "line {line}");
    }
}

#[test]
fn an_outcome_from_before_a_target_was_lost_ends_nobodys_lease() {
    let (disk, clock) = (Arc::new(MemoryDisk::default()), StandingClock::default());
    let log = open(&disk);
    let [slow, quick] = [(); 2].map(|()| program(&log, &clock, vec![spec("all", &["A"], "all")]));
    append(&log, "one", &["A"]);
    correlate_all(&slow);
    let before = claim(&slow, &log, 1, 0).remove(0);
    let (file, len) = bytes_of(&disk, "targets");
    file.write_zeros(64, len - 64).expect("clearing it");
    correlate_all(&quick);
    let again = claim(&quick, &log, 1, 0).remove(0);
    assert_eq!(again.target, before.target, "the number is in use again");
    assert!(!finish(&slow, &before, Some(1), Then::Free));
    assert_eq!(slow.renew(&[(before.target, before.token)], 1000).expect("renewing"), [false]);
    assert_eq!(quick.renew(&[(again.target, again.token)], 1000).expect("renewing"), [true]);
}

#[test]
fn no_reaction_takes_what_another_has_done_for_its_own_when_cursors_are_lost() {
    let (disk, clock) = (Arc::new(MemoryDisk::default()), StandingClock::default());
    let log = open(&disk);
    let first = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&first);
    drain(&first, &log, 9, &mut Seen::new());
    drop(first);
    log.shut_down().expect("closing");
    disk.remove("reactions/cursors").expect("removing it");
    let log = open(&disk);
    let second = program(&log, &clock, vec![spec("second", &["A"], "t")]);
    correlate_all(&second);
    let mut seen = Seen::new();
    drain(&second, &log, 9, &mut seen);
    assert_eq!(seen.remove("t"), Some([1, 2].into()));
}

#[test]
fn what_was_forgotten_stays_so_when_the_rest_is_repaired() {
    let (disk, clock) = (Arc::new(MemoryDisk::default()), StandingClock::default());
    let log = open(&disk);
    let specs = || vec![spec("kept", &["A"], "t"), spec("gone", &["A"], "t"), spec("other", &["A"], "other")];
    let before = program(&log, &clock, specs());
    append(&log, "one", &["A", "A"]);
    correlate_all(&before);
    drain(&before, &log, 9, &mut Seen::new());
    assert!(before.forget("gone").expect("forgetting"));
    drop(before);
    log.shut_down().expect("closing");
    disk.remove("reactions/counts").expect("removing it");
    let log = open(&disk);
    let after = program(&log, &clock, vec![spec("kept", &["A"], "t")]);
    correlate_all(&after);
    let targets = after.targets(&Selection::default(), None, 9).expect("targets");
    let seen: Vec<_> = targets.iter().map(|each| (each.name.as_str(), each.lag, each.reactions.clone())).collect();
    assert_eq!(seen, [("t", 0, vec!["kept".to_owned()]), ("other", 0, vec!["other".to_owned()])]);
    assert!(!after.forget("gone").expect("forgetting"), "it is forgotten already");
    drop(after);
    let again = program(&log, &clock, specs());
    correlate_all(&again);
    let mut seen = Seen::new();
    drain(&again, &log, 9, &mut seen);
    assert_eq!(seen, [("t".to_owned(), [1, 2].into())].into(), "who comes back starts over, alone");
}

#[test]
fn an_event_that_cannot_be_read_blocks_its_target_and_its_neighbours_go_on() {
    let (disk, clock) = (Arc::new(MemoryDisk::default()), StandingClock::default());
    let log = open(&disk);
    for stream in ["one", "two", "two", "three"] {
        append(&log, stream, &["A"]);
    }
    let reactions = program(&log, &clock, vec![spec("own", &["A"], "{stream}")]);
    correlate_all(&reactions);
    damage_event(&disk, 3);
    let mut seen = Seen::new();
    drain(&reactions, &log, 1000, &mut seen);
    let handled: Vec<_> = seen.into_iter().map(|(name, positions)| (name, positions.into_iter().collect())).collect();
    let expected: [(&str, Vec<u64>); 3] = [("one", vec![1]), ("three", vec![4]), ("two", vec![2])];
    assert_eq!(handled, expected.map(|(name, positions)| (name.to_owned(), positions)));
    let blocked = Selection { blocked: Some(true), ..Selection::default() };
    let blocked = reactions.targets(&blocked, None, 9).expect("targets");
    assert_eq!(blocked.iter().map(|target| (&*target.name, target.failing)).collect::<Vec<_>>(), [("two", Some(3))]);
}

/// Flip a byte in the data of the event at a position, each of which has the same data.
fn damage_event(disk: &MemoryDisk, position: usize) {
    let file = disk.open("log/00000000.seg", Access::Write).expect("the log");
    let map = file.map(0, 1 << 16, false).expect("a map");
    let words = (0..(1 << 16) / 64).flat_map(|line| map.line(line * 64).iter());
    let bytes: Vec<u8> = words.flat_map(|word| word.load(Ordering::SeqCst).to_le_bytes()).collect();
    let data = b"{\"customer\":";
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(data)).collect();
    file.write_all_at(b"X", places[position - 1] as u64).expect("damaging it");
}
