//! Several programs, and several versions of one, on the same store.

mod support;

use act_fast_core::reactions::{Lease, Selection, Spec, TargetInfo, Then};
use support::program::{
    Reactions, StandingClock, append, claim, correlate_all, finish, positions, program, spec, store,
};

fn in_lane(spec: Spec, lane: &str, priority: i32) -> Spec {
    Spec { lane: lane.to_owned(), priority, ..spec }
}

fn target(reactions: &Reactions, name: &str) -> TargetInfo {
    let selection = Selection { names: Some(vec![name.to_owned()]), ..Selection::default() };
    reactions.targets(&selection, None, 1).expect("a target").remove(0)
}

fn names(reactions: &Reactions) -> Vec<String> {
    let all = reactions.targets(&Selection::default(), None, usize::MAX).expect("targets");
    all.into_iter().map(|target| target.name).collect()
}

fn retry(reactions: &Reactions, lease: &Lease<'_>) {
    let position = positions(lease)[0];
    assert!(finish(reactions, lease, None, Then::Retry { position, due_ms: 0, error: "no".to_owned() }));
}

#[test]
fn what_one_program_does_at_a_target_leaves_anothers_budget_of_retries_alone() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("first", &["A"], "t")]);
    let second = program(&log, &clock, vec![spec("second", &["B"], "t")]);
    append(&log, "one", &["A", "B", "B", "B"]);
    correlate_all(&first);
    correlate_all(&second);
    for attempt in 1..=3 {
        let lease = claim(&first, &log, 1, 0).remove(0);
        assert_eq!((lease.attempts, positions(&lease)), (attempt, vec![1]));
        retry(&first, &lease);
        let lease = claim(&second, &log, 1, 0).remove(0);
        assert_eq!(lease.attempts, 1);
        let done = positions(&lease)[0];
        assert!(finish(&second, &lease, Some(done), Then::Free));
    }
}

#[test]
fn a_reaction_that_is_new_to_an_old_log_holds_up_nobody() {
    let (log, clock) = (store(), StandingClock::default());
    let old = program(&log, &clock, vec![spec("old", &["A"], "t")]);
    for _ in 0..50 {
        append(&log, "one", &["A", "A"]);
    }
    correlate_all(&old);
    let both = program(&log, &clock, vec![spec("old", &["A"], "t"), spec("new", &["A"], "u")]);
    while let Some(lease) = claim(&old, &log, 1, 0).pop() {
        assert!(finish(&old, &lease, positions(&lease).last().copied(), Then::Free));
    }
    let fresh = append(&log, "one", &["A"]);
    for _ in 0..2 {
        both.correlate(10).expect("correlating");
    }
    let leases = claim(&both, &log, 9, 0);
    let of = |name: &str| leases.iter().find(|lease| &*lease.name == name).map(positions);
    assert_eq!(of("t"), Some(vec![fresh]), "the old one waits for the new one");
    for lease in &leases {
        assert!(finish(&both, lease, positions(lease).last().copied(), Then::Free));
    }
    let mut seen: Vec<u64> = of("u").unwrap_or_default();
    correlate_all(&both);
    while let Some(lease) = claim(&both, &log, 1, 0).pop() {
        seen.extend(positions(&lease));
        assert!(finish(&both, &lease, positions(&lease).last().copied(), Then::Free));
    }
    assert_eq!(seen, (1..=101).collect::<Vec<u64>>());
}

#[test]
fn a_lease_does_not_answer_for_what_was_found_after_it_was_given() {
    let (log, clock) = (store(), StandingClock::default());
    let old = vec![spec("old", &["A"], "t")];
    let first = program(&log, &clock, old);
    append(&log, "one", &["A", "B", "A", "A"]);
    correlate_all(&first);
    let lease = claim(&first, &log, 1, 0).remove(0);
    // A reaction that comes to the same target in the middle of it, with history of its own.
    first.register(&[spec("new", &["B"], "t")]).expect("a new reaction");
    correlate_all(&first);
    assert!(finish(&first, &lease, Some(4), Then::Free));
    assert_eq!(positions(&claim(&first, &log, 1, 0)[0]), vec![2]);
}

#[test]
fn a_lease_does_not_answer_for_what_one_of_its_reactions_had_not_yet_found() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("old", &["A"], "t")]);
    append(&log, "one", &["B", "A", "B", "A"]);
    correlate_all(&reactions);
    reactions.register(&[spec("new", &["B"], "t")]).expect("a new reaction");
    reactions.correlate(1).expect("correlating");
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!(positions(&lease), [1, 2, 4]);
    assert!(finish(&reactions, &lease, Some(4), Then::Free));
    correlate_all(&reactions);
    assert_eq!(positions(&claim(&reactions, &log, 1, 0)[0]), [3]);
}

#[test]
fn a_lease_for_one_reaction_leaves_another_that_is_further_on_where_it_is() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("old", &["A"], "t")]);
    append(&log, "one", &["B", "A"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert!(finish(&reactions, &lease, Some(2), Then::Free));
    reactions.register(&[spec("new", &["B"], "t")]).expect("a new reaction");
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert_eq!(positions(&lease), [1]);
    assert!(finish(&reactions, &lease, Some(1), Then::Free));
    // What is handled again is known to be, of either reaction.
    reactions.reset(&Selection::default()).expect("resetting");
    let past = claim(&reactions, &log, 1, 0).remove(0).past.expect("a past");
    let mut replays: Vec<_> = past.replays.into_iter().map(|(_, name, upto)| (name, upto)).collect();
    replays.sort();
    assert_eq!(replays, [("A".to_owned(), 2), ("B".to_owned(), 1)]);
}

#[test]
fn a_lane_that_the_code_has_renamed_is_where_its_old_targets_are_claimed() {
    let (log, clock) = (store(), StandingClock::default());
    let before = program(&log, &clock, vec![in_lane(spec("r", &["A"], "t"), "slow", 0)]);
    append(&log, "one", &["A"]);
    correlate_all(&before);
    drop(before);
    let after = program(&log, &clock, vec![in_lane(spec("r", &["A"], "t"), "mail", 0)]);
    let ready = |lane: &str| after.any_ready(Some(&[lane.to_owned()])).expect("looking");
    assert!(ready("mail") && !ready("slow"));
    assert_eq!(target(&after, "t").lane, "mail");
}

#[test]
fn a_target_is_in_the_lane_that_each_program_says() {
    let (log, clock) = (store(), StandingClock::default());
    let one = program(&log, &clock, vec![in_lane(spec("one", &["A"], "t"), "slow", 0)]);
    let other = program(&log, &clock, vec![in_lane(spec("other", &["A"], "t"), "fast", 5)]);
    append(&log, "one", &["A"]);
    correlate_all(&one);
    correlate_all(&other);
    assert!(one.any_ready(Some(&["slow".to_owned()])).expect("looking"));
    assert!(other.any_ready(Some(&["fast".to_owned()])).expect("looking"));
}

#[test]
fn a_priority_that_the_code_has_changed_counts_for_old_targets_and_one_set_by_hand_stands_until_then() {
    let (log, clock) = (store(), StandingClock::default());
    let with = |priority| vec![in_lane(spec("r", &["A"], "t"), "default", priority)];
    let reactions = program(&log, &clock, with(0));
    append(&log, "one", &["A"]);
    correlate_all(&reactions);
    reactions.prioritize(&Selection::default(), 7).expect("by hand");
    assert_eq!(target(&program(&log, &clock, with(0)), "t").priority, 7);
    assert_eq!(target(&program(&log, &clock, with(3)), "t").priority, 3);
}

#[test]
fn a_reaction_that_has_gone_holds_back_no_watermark_of_those_that_are_left() {
    let (log, clock) = (store(), StandingClock::default());
    let (kept, gone) = (spec("kept", &["A"], "t"), spec("gone", &["A"], "t"));
    append(&log, "one", &["A"]);
    correlate_all(&program(&log, &clock, vec![kept.clone(), gone]));
    let after = program(&log, &clock, vec![kept]);
    append(&log, "one", &["A"]);
    correlate_all(&after);
    let lease = claim(&after, &log, 1, 0).remove(0);
    assert!(finish(&after, &lease, Some(2), Then::Free));
    let seen = target(&after, "t");
    assert_eq!((seen.watermark, seen.lag), (2, 0));
    // Who has none of its reactions sees what is left of all.
    let nobody = program(&log, &clock, Vec::new());
    assert_eq!(target(&nobody, "t").lag, 1);
}

#[test]
fn what_is_forgotten_is_done_with_and_begins_anew_when_it_comes_back() {
    let (log, clock) = (store(), StandingClock::default());
    let (kept, gone) = (spec("kept", &["A"], "t"), spec("gone", &["A"], "only-{stream}"));
    append(&log, "one", &["A"]);
    correlate_all(&program(&log, &clock, vec![kept.clone(), gone.clone()]));
    let after = program(&log, &clock, vec![kept]);
    assert!(after.forget("gone").expect("forgetting"));
    assert!(!after.forget("gone").expect("forgetting"), "twice");
    assert_eq!(names(&after), ["t"]);
    assert!(after.cursors().expect("cursors").iter().all(|cursor| cursor.reaction != "gone"));
    let again = program(&log, &clock, vec![gone]);
    correlate_all(&again);
    let leases = claim(&again, &log, 9, 0);
    assert_eq!(
        leases.iter().map(|lease| (&*lease.name, positions(lease))).collect::<Vec<_>>(),
        [("only-one", vec![1])]
    );
}

#[test]
fn forgetting_a_reaction_that_is_at_work_drops_what_it_has_left() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    assert!(reactions.forget("r").expect("forgetting"));
    finish(&reactions, &lease, Some(1), Then::Free);
    assert!(claim(&reactions, &log, 9, 9).is_empty());
    append(&log, "one", &["A"]);
    correlate_all(&reactions);
    assert!(claim(&reactions, &log, 9, 9).is_empty());
}

#[test]
fn a_pause_by_hand_outlives_the_lease_that_it_came_into() {
    let (log, clock) = (store(), StandingClock::default());
    let reactions = program(&log, &clock, vec![spec("r", &["A"], "t")]);
    append(&log, "one", &["A", "A"]);
    correlate_all(&reactions);
    let lease = claim(&reactions, &log, 1, 0).remove(0);
    reactions.defer(&Selection::default(), 1_700_000_000_000 + 500).expect("a pause");
    assert!(finish(&reactions, &lease, Some(1), Then::Free));
    assert!(claim(&reactions, &log, 1, 0).is_empty());
    clock.move_on(501);
    assert_eq!(positions(&claim(&reactions, &log, 1, 0)[0]), vec![2]);
}
