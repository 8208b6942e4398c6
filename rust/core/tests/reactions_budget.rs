//! Whose failure it is, who is claimed alone, and who comes first.

mod support;

use act_fast_core::reactions::{Lease, Selection, Spec, Then};
use act_fast_core::{Durability, Log};
use support::lying_disk::{Loss, LyingDisk};
use support::options;
use support::program::{
    Reactions, StandingClock, append, claim, correlate_all, finish, positions, program, spec, store,
};
use support::rng::Rng;

fn names(leases: &[Lease<'_>]) -> Vec<String> {
    leases.iter().map(|lease| lease.name.to_string()).collect()
}

fn retry(reactions: &Reactions, lease: &Lease<'_>) -> bool {
    let position = positions(lease)[0];
    finish(reactions, lease, None, Then::Retry { position, due_ms: 0, error: "no".to_owned() })
}

#[test]
fn the_same_event_has_a_budget_with_each_program() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    let second = program(&log, &clock, vec![spec("second", &["A"], "t")]);
    append(&log, "one", &["A"]);
    correlate_all(&first);
    correlate_all(&second);
    for attempt in 1..=3 {
        for reactions in [&first, &second] {
            let lease = claim(reactions, &log, 1, 0).remove(0);
            assert_eq!(lease.attempts, attempt);
            assert!(retry(reactions, &lease));
        }
    }
    let lease = claim(&second, &log, 1, 0).remove(0);
    assert!(finish(&second, &lease, Some(1), Then::Free));
    let seen = first.targets(&Selection::default(), None, 1).expect("targets").remove(0);
    assert_eq!((seen.attempts, seen.failing, seen.error.as_deref()), (3, Some(1), Some("no")));
}

#[test]
fn a_lease_given_back_before_it_was_begun_changes_nothing() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    for _ in 0..2 {
        let lease = claim(&reactions, &log, 1, 0).remove(0);
        assert!(retry(&reactions, &lease));
        let lease = claim(&reactions, &log, 1, 0).remove(0);
        assert!(finish(&reactions, &lease, None, Then::Free));
    }
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!((lease.attempts, positions(&lease)), (3, vec![1]));
}

#[test]
fn what_was_leased_along_with_others_and_lost_is_leased_alone_and_not_counted() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "{stream}")]);
    for stream in ["a", "b", "c"] {
        append(&log, stream, &["A", "A"]);
    }
    correlate_all(&reactions);
    assert_eq!(claim(&reactions, &log, 9, 9).len(), 3);
    clock.move_on(1001);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let leases = claim(&reactions, &log, 9, 9);
        assert_eq!((leases.len(), positions(&leases[0]).len(), leases[0].attempts), (1, 1, 1));
        assert!(claim(&reactions, &log, 9, 9).is_empty(), "nothing is leased beside it");
        seen.extend(names(&leases));
        assert!(finish(&reactions, &leases[0], positions(&leases[0]).last().copied(), Then::Free));
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(claim(&reactions, &log, 9, 9).len(), 3, "and then all are as they were");
}

#[test]
fn what_was_leased_alone_and_lost_is_counted() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A"]);
    correlate_all(&reactions);
    for attempt in 1..=4 {
        let lease = claim(&reactions, &log, 9, 9).remove(0);
        assert_eq!((lease.attempts, lease.past.is_some_and(|past| past.lost)), (attempt, attempt > 1));
        clock.move_on(1001);
    }
}

#[test]
fn of_several_events_that_were_leased_and_lost_each_is_tried_alone_before_any_is_counted() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A", "B"], "t")]);
    append(&log, "one", &["A", "B", "A", "B"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 9, 9).remove(0);
    assert_eq!(positions(&lease), [1, 2, 3, 4]);
    clock.move_on(1001);
    append(&log, "one", &["A", "B"]);
    correlate_all(&reactions);
    for position in [1, 2] {
        let lease = claim(&reactions, &log, 9, 9).remove(0);
        assert_eq!((positions(&lease), lease.attempts, lease.more), (vec![position], 1, true));
        assert!(finish(&reactions, &lease, Some(position), Then::Free));
    }
    for attempt in 1..=3 {
        let lease = claim(&reactions, &log, 9, 9).remove(0);
        assert_eq!((positions(&lease), lease.attempts), (vec![3], attempt), "the one that kills");
        clock.move_on(1001);
    }
    for position in 3..=6 {
        let lease = claim(&reactions, &log, 9, 9).remove(0);
        assert_eq!(positions(&lease), [position]);
        assert!(finish(&reactions, &lease, Some(position), Then::Free));
    }
    append(&log, "one", &["A", "B"]);
    correlate_all(&reactions);
    assert_eq!(positions(&claim(&reactions, &log, 9, 9)[0]), [7, 8], "and then as many as there are");
}

#[test]
fn what_was_leased_alone_and_then_beside_others_is_not_counted() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "{stream}")]);
    append(&log, "slow", &["A"]);
    correlate_all(&reactions);
    assert_eq!(names(&claim(&reactions, &log, 9, 9)), ["slow"]);
    append(&log, "killer", &["A"]);
    correlate_all(&reactions);
    assert_eq!(names(&claim(&reactions, &log, 9, 9)), ["killer"]);
    clock.move_on(1001);
    for name in ["slow", "killer"] {
        let lease = claim(&reactions, &log, 9, 9).remove(0);
        assert_eq!((&*lease.name, lease.attempts), (name, 1));
        assert!(finish(&reactions, &lease, Some(positions(&lease)[0]), Then::Free));
    }
}

#[test]
fn a_suspect_that_its_process_lived_with_is_not_counted_for_what_joined_it_and_comes_last() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "{stream}")]);
    for stream in ["slow", "killer"] {
        append(&log, stream, &["A"]);
    }
    correlate_all(&reactions);
    assert_eq!(claim(&reactions, &log, 9, 9).len(), 2);
    clock.move_on(1001);
    let slow = claim(&reactions, &log, 9, 9).remove(0);
    assert_eq!(reactions.renew(&[(slow.target, slow.token)], 60_000).expect("renewing"), [true]);
    for left in [1, 0] {
        clock.move_on(5000);
        let found = claim(&reactions, &log, 9, 9);
        assert_eq!(found.len(), 1 - left);
        assert!(found.iter().all(|killer| killer.name != slow.name));
    }
    clock.move_on(60_001);
    for attempt in [1, 2] {
        let killer = claim(&reactions, &log, 9, 9).remove(0);
        assert_ne!(killer.name, slow.name, "what nothing lived with comes first");
        assert_eq!(killer.attempts, attempt);
        assert!(claim(&reactions, &log, 9, 9).is_empty());
        clock.move_on(1001);
    }
    let killer = claim(&reactions, &log, 9, 9).remove(0);
    assert!(finish(&reactions, &killer, Some(positions(&killer)[0]), Then::Free));
    append(&log, "other", &["A"]);
    correlate_all(&reactions);
    let again = claim(&reactions, &log, 9, 9).remove(0);
    assert_eq!((again.target, again.attempts), (slow.target, 1));
    let slow = again;
    assert_eq!(reactions.renew(&[(slow.target, slow.token)], 60_000).expect("renewing"), [true]);
    clock.move_on(5000);
    assert_eq!(names(&claim(&reactions, &log, 9, 9)), ["other"]);
    clock.move_on(60_001);
    let left = claim(&reactions, &log, 9, 9).remove(0);
    assert_eq!((&*left.name, left.attempts), ("other", 1));
    assert!(finish(&reactions, &left, Some(positions(&left)[0]), Then::Free));
    let again = claim(&reactions, &log, 9, 9).remove(0);
    assert_eq!(
        (again.target, again.attempts),
        (slow.target, 2),
        "the second time it is counted: it may kill after a while"
    );
}

#[test]
fn what_was_leased_when_the_machine_stopped_is_counted_as_when_its_process_dies() {
    if support::place::mirrored() {
        return; // other machines' leases are not this one's to end
    }
    let mut disk = LyingDisk::new();
    let mut attempts = Vec::new();
    for _ in 0..3 {
        // The machine's clock of leases starts over, far below where it was.
        let clock = StandingClock::default();
        let log = Log::open(disk.shared(), options(Durability::Os)).expect("a store");
        if attempts.is_empty() {
            append(&log, "one", &["A", "A"]);
            clock.move_on(1_000_000);
        }
        let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
        correlate_all(&reactions);
        let seen = reactions.targets(&Selection::default(), None, 1).expect("targets").remove(0);
        assert_eq!(seen.holder, None);
        let lease = claim(&reactions, &log, 9, 9).remove(0);
        attempts.push((lease.attempts, positions(&lease).len()));
        reactions.flush().expect("flushing");
        disk = LyingDisk::from_image(&disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1)).rebooted());
    }
    assert_eq!(attempts, [(1, 2), (1, 1), (2, 1)], "of two events it may have been either, of one it was that one");
}

#[test]
fn a_lease_that_another_program_lost_is_not_counted_against_this_one() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    let second = program(&log, &clock, vec![spec("second", &["A"], "t")]);
    append(&log, "one", &["A"]);
    correlate_all(&first);
    correlate_all(&second);
    assert_eq!(claim(&first, &log, 1, 0).len(), 1);
    clock.move_on(1001);
    let lease = claim(&second, &log, 1, 0).remove(0);
    assert_eq!(lease.attempts, 1);
    assert!(finish(&second, &lease, Some(1), Then::Free));
    assert_eq!(claim(&first, &log, 1, 0)[0].attempts, 2);
}

#[test]
fn nothing_waits_for_long_for_what_does_not_end() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "{stream}")]);
    for stream in ["a", "b"] {
        append(&log, stream, &["A"]);
    }
    correlate_all(&reactions);
    assert_eq!(claim(&reactions, &log, 9, 9).len(), 2);
    clock.move_on(1001);
    let stuck = claim(&reactions, &log, 9, 9).remove(0);
    let renew = || reactions.renew(&[(stuck.target, stuck.token)], 60_000).expect("renewing");
    assert_eq!(renew(), [true]);
    assert!(claim(&reactions, &log, 9, 9).is_empty());
    assert_eq!(reactions.next_ms(), Some(5000), "it says when to look again");
    clock.move_on(5000);
    assert!(claim(&reactions, &log, 9, 9).is_empty(), "the other one is to be alone as well");
    assert_eq!(reactions.next_ms(), Some(5000));
    clock.move_on(5000);
    assert_eq!(names(&claim(&reactions, &log, 9, 9)).len(), 1);
}

#[test]
fn whoever_lets_go_of_a_target_wakes_those_who_wait_for_it() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    let second = program(&log, &clock, vec![spec("second", &["A"], "t")]);
    append(&log, "one", &["A"]);
    correlate_all(&first);
    correlate_all(&second);
    let lease = claim(&first, &log, 1, 0).remove(0);
    let seen = log.expect_news();
    assert!(claim(&second, &log, 1, 0).is_empty());
    assert!(finish(&first, &lease, Some(1), Then::Free));
    assert_ne!(log.news(), seen);
    let lease = claim(&second, &log, 1, 0).remove(0);
    let seen = log.expect_news();
    assert!(finish(&second, &lease, Some(1), Then::Free));
    assert_eq!(log.news(), seen, "nobody is woken for nothing");
}

#[test]
fn leading_targets_come_highest_watermark_first_and_none_twice() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "{stream}")]);
    for stream in ["a", "b", "c", "d", "e"] {
        append(&log, stream, &["A"]);
    }
    correlate_all(&reactions);
    assert_eq!(names(&claim(&reactions, &log, 0, 2)), ["e", "d"]);
    assert_eq!(names(&claim(&reactions, &log, 1, 5)), ["a", "c", "b"], "the lagging one is no leading one as well");
}

fn urgent_and_plain() -> Vec<Spec> {
    let urgent = Spec { priority: 5, ..spec("urgent", &["U"], "urgent-{stream}") };
    vec![spec("plain", &["A"], "plain-{stream}"), urgent]
}

#[test]
fn a_quarter_of_a_claim_is_for_the_lowest_watermarks_whatever_their_priority() {
    for (count, fair) in [(2, 1), (4, 1), (8, 2), (12, 3)] {
        let (log, clock) = (store(), StandingClock::default());
        let reactions = program(&log, &clock, urgent_and_plain());
        for number in 0..12 {
            append(&log, &format!("{number:02}"), &["A"]);
        }
        for number in 0..12 {
            append(&log, &format!("{number:02}"), &["U"]);
        }
        correlate_all(&reactions);
        let names = names(&claim(&reactions, &log, count, 0));
        let plain: Vec<_> = names.iter().filter(|name| name.starts_with("plain")).cloned().collect();
        assert_eq!((names.len(), plain.len()), (count, fair));
        let expected: Vec<_> = (0..fair).map(|number| format!("plain-{number:02}")).collect();
        assert_eq!(plain, expected, "the lowest ones");
    }
}

#[test]
fn every_fourth_single_claim_is_for_the_lowest_watermark() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, urgent_and_plain());
    for number in 0..20 {
        append(&log, &format!("{number:02}"), &["A"]);
    }
    for number in 0..20 {
        append(&log, &format!("{number:02}"), &["U"]);
    }
    correlate_all(&reactions);
    let mut plain = Vec::new();
    for turn in 1..=12 {
        let leases = claim(&reactions, &log, 1, 0);
        if leases[0].name.starts_with("plain") {
            plain.push(turn);
        }
        assert!(finish(&reactions, &leases[0], positions(&leases[0]).last().copied(), Then::Free));
    }
    assert_eq!(plain, [4, 8, 12]);
}

#[test]
fn a_skipped_event_is_noted_and_stepped_over_for_one_reaction_alone() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("first", &["A"], "t"), spec("second", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    assert!(reactions.skip("t", "first", 2, "no").is_err(), "it is not the next one");
    assert!(reactions.skip("t", "third", 1, "no").is_err());
    assert!(reactions.skip("u", "first", 1, "no").is_err());
    assert!(reactions.skipped().expect("notes").is_empty());
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert!(finish(&reactions, &lease, None, Then::Block { position: 1, error: "bad".to_owned() }));
    reactions.skip("t", "first", 1, "a note").expect("skipping");
    assert_eq!(reactions.skipped().expect("notes").iter().map(|note| &**note).collect::<Vec<_>>(), ["a note"]);
    assert!(claim(&reactions, &log, 1, 0).is_empty(), "the other one has failed there too");
    reactions.skip("t", "second", 1, &"long ".repeat(300)).expect("skipping");
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!((positions(&lease), lease.attempts), (vec![2], 1));
    assert_eq!(reactions.skipped().expect("notes").len(), 2);
    let again = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    assert_eq!(again.skipped().expect("notes").len(), 2);
}

#[test]
fn a_reset_to_a_position_repeats_what_comes_after_it_and_says_so() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "B", "A", "A"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert!(lease.past.is_none());
    assert!(finish(&reactions, &lease, Some(3), Then::Free));
    let all = Selection::default();
    assert_eq!(reactions.reset_to(&all, 9).expect("resetting"), 1);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!(positions(&lease), [4], "never forward");
    drop(lease);
    reactions.reset_to(&all, 2).expect("resetting");
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!(positions(&lease), [3, 4]);
    assert_eq!(lease.past.as_ref().expect("a past").replays, [(0, "A".to_owned(), 3)]);
    assert!(finish(&reactions, &lease, Some(4), Then::Free));
    assert_eq!(reactions.heads("t").expect("heads")[0].processed, 3);
}
