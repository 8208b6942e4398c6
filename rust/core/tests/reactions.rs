//! Reactions on a store in memory, verb by verb, with a clock that stands until it is moved.

mod support;

use std::sync::Arc;

use act_fast_core::disk::{Access, Disk, MemoryDisk};
use act_fast_core::reactions::{ClaimOptions, Clock, Selection, Source, Spec, Then};
use act_fast_core::{Durability, Log, Options};
use support::program::{
    Reactions, StandingClock, append, claim, correlate_all, finish, positions, program, spec, store,
};

#[test]
fn an_event_is_delivered_once_to_each_target_it_concerns_and_in_order() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("audit", &["A", "B"], "audit-{stream}")]);
    append(&log, "one", &["A", "B", "C"]);
    append(&log, "two", &["B"]);
    append(&log, "one", &["A"]);
    correlate_all(&reactions);
    let mut leases = claim(&reactions, &log, 10, 10);
    leases.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(leases.len(), 2);
    assert_eq!((&*leases[0].name, positions(&leases[0])), ("audit-one", vec![1, 2, 5]));
    assert_eq!((&*leases[1].name, positions(&leases[1])), ("audit-two", vec![4]));
    assert!(claim(&reactions, &log, 10, 10).is_empty(), "a leased target is not leased again");
    for lease in &leases {
        assert!(finish(&reactions, lease, positions(lease).last().copied(), Then::Free));
    }
    assert!(claim(&reactions, &log, 10, 10).is_empty(), "caught up");
    for target in reactions.targets(&Selection::default(), None, 10).expect("targets") {
        assert_eq!((target.lag, target.watermark), (0, 5), "{} is fast-forwarded", target.name);
    }
}

#[test]
fn two_reactions_on_one_target_with_different_sources_are_both_delivered_and_it_ends() {
    let (log, clock) = (store(), StandingClock::default());
    let from = |name: &str, source: &str| Spec {
        source: Source::from_text(Some(source)).expect("a source"),
        ..spec(name, &["A"], "both")
    };
    let reactions = program(&log, &clock, vec![from("first", "one"), from("second", "two")]);
    append(&log, "one", &["A"]);
    append(&log, "two", &["A"]);
    append(&log, "one2", &["A"]);
    correlate_all(&reactions);
    let leases = claim(&reactions, &log, 5, 5);
    assert_eq!(leases.len(), 1);
    let what: Vec<_> =
        leases[0].deliveries.iter().map(|delivery| (delivery.event.position, delivery.reactions.clone())).collect();
    assert_eq!(what, vec![(1, vec![0]), (2, vec![1])]);
    assert!(finish(&reactions, &leases[0], Some(2), Then::Free));
    assert!(claim(&reactions, &log, 5, 5).is_empty());
}

#[test]
fn a_reaction_added_to_an_old_log_sees_its_history_even_on_a_target_that_is_caught_up() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    append(&log, "one", &["A", "B"]);
    correlate_all(&first);
    let leases = claim(&first, &log, 1, 0);
    assert!(finish(&first, &leases[0], Some(1), Then::Free));
    let both = program(&log, &clock, vec![spec("first", &["A"], "t"), spec("late", &["A", "B"], "t")]);
    correlate_all(&both);
    let leases = claim(&both, &log, 1, 0);
    let what: Vec<_> =
        leases[0].deliveries.iter().map(|delivery| (delivery.event.position, delivery.reactions.clone())).collect();
    assert_eq!(what, vec![(1, vec![1]), (2, vec![1])], "the first reaction's work is done");
}

#[test]
fn an_outcome_of_a_lease_that_was_lost_is_dropped_and_reported() {
    let (log, clock) = (store(), StandingClock::default());
    let slow = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    let quick = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A"]);
    correlate_all(&slow);
    let lost = claim(&slow, &log, 1, 0);
    clock.move_on(1001);
    let taken = claim(&quick, &log, 1, 0);
    assert_eq!((taken.len(), taken[0].attempts), (1, 2), "a lease that ran out counts as an attempt");
    assert!(!finish(&slow, &lost[0], Some(1), Then::Free));
    assert_eq!(slow.renew(&[(lost[0].target, lost[0].token)], 1000).expect("renewing"), vec![false]);
    assert!(finish(&quick, &taken[0], Some(1), Then::Free));
}

#[test]
fn the_budget_of_retries_belongs_to_the_failing_event() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A", "A"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    let due_ms = clock.now_ms() + 50;
    let retry = || Then::Retry { position: 2, due_ms, error: "no".to_owned() };
    assert!(finish(&reactions, &lease, Some(1), retry()));
    assert!(claim(&reactions, &log, 1, 1).is_empty(), "not before it is due");
    assert_eq!(reactions.next_ms(), Some(50));
    clock.move_on(50);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!((positions(&lease), lease.attempts, lease.more), (vec![2], 2, true), "one at a time after a failure");
    assert!(finish(&reactions, &lease, Some(2), Then::Free));
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!((positions(&lease), lease.attempts, lease.past), (vec![3], 1, None));
}

#[test]
fn a_blocked_target_stays_so_until_it_is_unblocked_and_goes_on_where_it_stopped() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert!(finish(&reactions, &lease, Some(1), Then::Block { position: 2, error: "broken".to_owned() }));
    append(&log, "one", &["A"]);
    correlate_all(&reactions);
    assert!(claim(&reactions, &log, 1, 1).is_empty());
    let seen = reactions.targets(&Selection { blocked: Some(true), ..Selection::default() }, None, 9).expect("targets");
    assert_eq!((seen[0].error.as_deref(), seen[0].failing, seen[0].lag), (Some("broken"), Some(2), 2));
    assert_eq!(reactions.unblock(&Selection::default()).expect("unblocking"), 1);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!((positions(&lease), lease.attempts), (vec![2, 3], 1));
}

#[test]
fn reset_delivers_everything_again_and_fences_off_who_holds_the_lease() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    let held = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!(reactions.reset(&Selection::default()).expect("resetting"), 1);
    assert!(!finish(&reactions, &held, Some(2), Then::Free));
    assert_eq!(positions(&claim(&reactions, &log, 1, 0)[0]), vec![1, 2]);
}

#[test]
fn lagging_targets_come_by_priority_with_a_share_for_the_lowest_and_leading_ones_by_watermark() {
    let (log, clock) = (store(), StandingClock::default());
    let urgent = Spec { priority: 5, ..spec("urgent", &["U"], "urgent-{stream}") };
    let reactions = program(&log, &clock, vec![spec("plain", &["A"], "plain-{stream}"), urgent]);
    for stream in ["a", "b", "c", "d", "e", "f"] {
        append(&log, stream, &["A"]);
    }
    for stream in ["v", "w", "x", "y", "z"] {
        append(&log, stream, &["U"]);
    }
    correlate_all(&reactions);
    let names: Vec<_> = claim(&reactions, &log, 4, 0).into_iter().map(|lease| lease.name.to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("urgent")).count(), 3);
    assert_eq!(names.iter().filter(|name| name.starts_with("plain")).count(), 1, "a quarter is for the others");
}

#[test]
fn nothing_above_the_cut_is_fetched() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    let cut = |cut| ClaimOptions { lanes: None, lagging: 1, leading: 0, window: 9, lease_ms: 9, holder: 1, cut };
    assert!(reactions.claim(&cut(0)).expect("a claim").is_empty());
    let leases = reactions.claim(&cut(1)).expect("a claim");
    assert_eq!((positions(&leases[0]), leases[0].more), (vec![1], false));
}

#[test]
fn a_reaction_holds_before_an_event_that_names_no_target_until_it_is_unblocked() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("by-city", &["A"], "{data.city}")]);
    append(&log, "one", &["A"]);
    for attempt in 1..=2 {
        let done = reactions.correlate(100).expect("correlating");
        let failed = &done.failed[0];
        assert_eq!((failed.reaction, failed.position), (0, 1));
        assert_eq!(reactions.attempts_at(0, 1).expect("attempts"), attempt - 1);
        let due_ms = (attempt == 1).then_some(1_700_000_000_000 + 50);
        assert!(reactions.hold(0, 1, attempt, due_ms, &failed.error).expect("holding"));
        assert!(!reactions.hold(0, 1, attempt, due_ms, "twice").expect("holding"), "an attempt is counted once");
        assert!(reactions.correlate(100).expect("correlating").caught_up, "it is not tried before its time");
        assert_eq!(reactions.next_ms(), due_ms.map(|_| 50));
        clock.move_on(50);
    }
    let seen = reactions.targets(&Selection::default(), None, 9).expect("targets");
    assert_eq!((seen[0].name.as_str(), seen[0].blocked, seen[0].attempts), ("by-city", true, 2));
    assert_eq!(reactions.unblock(&Selection::default()).expect("unblocking"), 1);
    assert_eq!(reactions.correlate(100).expect("correlating").failed.len(), 1);
    assert!(seen[0].error.as_deref().is_some_and(|error| error.contains("city")));
}

#[test]
fn many_events_for_one_target_come_in_windows_and_each_exactly_once() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    for _ in 0..300 {
        append(&log, "one", &["A", "B", "A"]);
    }
    correlate_all(&reactions);
    let mut seen = Vec::new();
    while let Some(lease) = claim(&reactions, &log, 1, 0).pop() {
        seen.extend(positions(&lease));
        assert!(finish(&reactions, &lease, seen.last().copied(), Then::Free));
    }
    let expected: Vec<u64> = (1..=900).filter(|position| position % 3 != 2).collect();
    assert_eq!(seen, expected);
}

#[test]
fn nothing_is_passed_over_where_much_was_handled_from_another_source() {
    let (log, clock) = (store(), StandingClock::default());
    let from = |source| Spec { source: Source::from_text(source).expect("a source"), ..spec("r", &["A"], "t") };
    let before = program(&log, &clock, vec![from(Some("^a")), spec("q", &["B"], "t")]);
    append(&log, "b", &["A"]);
    append(&log, "a", &["A"; 12]);
    correlate_all(&before);
    let mut seen = Vec::new();
    let mut drain = |reactions: &Reactions| {
        while let Some(lease) = claim(reactions, &log, 1, 0).pop() {
            seen.extend(positions(&lease));
            assert!(finish(reactions, &lease, positions(&lease).last().copied(), Then::Free));
        }
        std::mem::take(&mut seen)
    };
    assert_eq!(drain(&before), (2..=13).collect::<Vec<_>>());
    append(&log, "b", &["A", "B"]);
    // More of it than is looked at in one go has been handled; what comes next is not known then.
    let after = program(&log, &clock, vec![from(None), spec("q", &["B"], "t")]);
    correlate_all(&after);
    assert_eq!(drain(&after), [1, 14, 15]);
}

#[test]
fn there_is_room_for_every_target() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("own", &["A"], "{stream}")]);
    for stream in 0..2000 {
        append(&log, &stream.to_string(), &["A"]);
    }
    correlate_all(&reactions);
    let leases = claim(&reactions, &log, 3000, 0);
    let mut seen: Vec<_> = leases.iter().flat_map(positions).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=2000).collect::<Vec<_>>());
    for lease in &leases {
        assert!(finish(&reactions, lease, positions(lease).last().copied(), Then::Free));
    }
    assert!(reactions.targets(&Selection::default(), None, 3000).expect("targets").iter().all(|each| each.lag == 0));
}

#[test]
fn watermarks_outlive_a_recovery() {
    let disk = Arc::new(MemoryDisk::default());
    let options = Options { durability: Durability::Os, segment_bytes: 64 << 10, ..Options::default() };
    let clock = StandingClock::default();
    let log = Log::open(Arc::clone(&disk) as _, options.clone()).expect("a store");
    append(&log, "one", &["A", "A", "A"]);
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert!(finish(&reactions, &lease, Some(2), Then::Free));
    drop(lease);
    drop(reactions);
    log.shut_down().expect("closing");
    drop(log);
    // Without its control file the log is recovered as after a crash of the machine.
    act_fast_core::disk::Disk::remove(&*disk, "control").expect("removing the control file");
    let log = Log::open(disk, options).expect("recovering");
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    correlate_all(&reactions);
    assert_eq!(positions(&claim(&reactions, &log, 1, 0)[0]), vec![3]);
}

#[test]
fn error_messages_take_no_more_room_however_often_it_fails() {
    if support::place::mirrored() {
        return; // there is no file to measure
    }
    let disk = Arc::new(MemoryDisk::default());
    let options = Options { durability: Durability::Os, segment_bytes: 64 << 10, ..Options::default() };
    let log = Log::open(Arc::clone(&disk) as _, options).expect("a store");
    let clock = StandingClock::default();
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A"]);
    correlate_all(&reactions);
    let size = || disk.open("reactions/texts", Access::Read).and_then(|file| file.len()).expect("a size");
    let before = size();
    for number in 0..2000 {
        let lease = claim(&reactions, &log, 1, 0).remove(0);
        let error = format!("{number} {}", "is wrong ".repeat(number % 50));
        assert!(finish(&reactions, &lease, None, Then::Retry { position: 1, due_ms: 0, error: error.clone() }));
        let seen = reactions.targets(&Selection::default(), None, 1).expect("targets").remove(0);
        assert_eq!(seen.error, Some(error));
        if number % 7 == 0 {
            assert_eq!(reactions.reset(&Selection::default()).expect("resetting"), 1);
            assert_eq!(reactions.targets(&Selection::default(), None, 1).expect("targets")[0].error, None);
        }
    }
    assert_eq!(size(), before);
}
