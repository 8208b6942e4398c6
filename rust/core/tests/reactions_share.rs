//! Targets that are shared out among programs: each claims its own, takes over what is late, and takes nothing twice.

mod support;

use std::collections::{HashMap, HashSet};

use act_fast_core::reactions::{ClaimOptions, Member, Outcome, PATIENCE_MS, Selection, Share, Then};
use support::program::{Reactions, StandingClock, append, correlate_all, finish, positions, program, spec, store};

const LEASE_MS: u64 = 60_000;
const DONE: u64 = 1_000;

fn member(generation: u64, reactions: &[&str]) -> Member {
    let reactions = reactions.iter().map(|name| (*name).to_owned()).collect();
    Member { generation, holder: generation, reactions, lanes: None }
}

fn share(own: u64, members: &[Member], gone: &[u64]) -> Share {
    Share { members: members.to_vec(), own: Some(own), gone: gone.iter().copied().collect() }
}

/// Claim up to so many; (target's number, token, name) of each.
fn claim_as(reactions: &Reactions, holder: u64, count: usize) -> Vec<(u32, u32, String)> {
    let cut = reactions.cut().expect("a cut");
    let options = ClaimOptions { lanes: None, lagging: count, leading: 0, window: 10, lease_ms: LEASE_MS, holder, cut };
    let leases = reactions.claim(&options).expect("a claim");
    leases.into_iter().map(|lease| (lease.target, lease.token, lease.name.to_string())).collect()
}

fn names(claimed: &[(u32, u32, String)]) -> HashSet<String> {
    claimed.iter().map(|(_, _, name)| name.clone()).collect()
}

/// Two programs with the same reaction, on a log with events in so many streams.
fn two(streams: usize) -> (std::sync::Arc<act_fast_core::Log>, StandingClock, Reactions, Reactions) {
    let (log, clock) = (store(), StandingClock::default());
    for stream in 0..streams {
        append(&log, &format!("s-{stream}"), &["A", "A"]);
    }
    let first = program(&log, &clock, vec![spec("r", &["A"], "t-{stream}")]);
    let second = program(&log, &clock, vec![spec("r", &["A"], "t-{stream}")]);
    correlate_all(&first);
    let members = [member(1, &["r"]), member(2, &["r"])];
    first.share(share(1, &members, &[])).expect("sharing");
    second.share(share(2, &members, &[])).expect("sharing");
    (log, clock, first, second)
}

#[test]
fn each_program_claims_what_belongs_to_it() {
    let (_log, _clock, first, second) = two(40);
    let (of_first, of_second) = (names(&claim_as(&first, 1, 40)), names(&claim_as(&second, 2, 40)));
    assert!(of_first.is_disjoint(&of_second));
    assert_eq!(of_first.len() + of_second.len(), 40);
    assert!(of_first.len() > 8 && of_second.len() > 8, "{} and {}", of_first.len(), of_second.len());
    let owned = first.owned().expect("counting");
    assert_eq!(owned, HashMap::from([(1, of_first.len() as u64), (2, of_second.len() as u64)]));
}

#[test]
fn what_another_has_not_leased_in_time_is_taken_over_half_at_a_time_and_the_wait_ends_by_itself() {
    let (_log, clock, first, second) = two(40);
    let own = claim_as(&first, 1, 40).len();
    assert!(!first.any_ready(None).expect("looking"), "nothing spins on what belongs to another");
    assert_eq!(first.next_ms(), Some(PATIENCE_MS));
    clock.move_on(PATIENCE_MS - 1);
    assert!(claim_as(&first, 1, 40).is_empty());
    clock.move_on(1);
    assert!(first.any_ready(None).expect("looking"));
    let taken = claim_as(&first, 1, 40);
    assert_eq!(taken.len(), (40 - own).div_ceil(2));
    let left = claim_as(&second, 2, 40);
    assert_eq!(own + taken.len() + left.len(), 40);
    assert!(names(&taken).is_disjoint(&names(&left)));
}

#[test]
fn a_program_with_ready_targets_of_its_own_takes_none_of_others() {
    let (_log, clock, first, second) = two(40);
    let own: HashSet<String> = names(&claim_as(&second, 2, 40));
    let late: usize = 40 - own.len();
    clock.move_on(LEASE_MS + 1); // they are suspects now, each its owner's, and are leased one by one
    let (number, token, name) = claim_as(&second, 2, 40).remove(0);
    assert!(own.contains(&name));
    let free = Outcome { target: number, token, done: None, then: Then::Free };
    assert_eq!(second.finish(&[free]).expect("finishing"), vec![true]);
    assert!(late > 0 && first.any_ready(None).expect("looking"));
}

#[test]
fn the_time_to_be_late_begins_again_when_the_owner_moves_on() {
    let (log, clock, first, second) = two(1);
    let (owner, other, holder) =
        if claim_as(&first, 1, 1).is_empty() { (second, first, 2) } else { (first, second, 1) };
    if holder == 2 {
        assert_eq!(claim_as(&owner, 2, 1).len(), 1);
    }
    clock.move_on(LEASE_MS + 1);
    assert!(!other.any_ready(None).expect("looking"), "the lease has just ended");
    clock.move_on(PATIENCE_MS - 1);
    let cut = owner.cut().expect("a cut");
    let options = ClaimOptions { lanes: None, lagging: 1, leading: 0, window: 1, lease_ms: 10, holder, cut };
    let lease = owner.claim(&options).expect("a claim").remove(0);
    assert!(finish(&owner, &lease, positions(&lease).last().copied(), Then::Free));
    assert!(!other.any_ready(None).expect("looking"));
    clock.move_on(PATIENCE_MS - 1);
    assert!(!other.any_ready(None).expect("looking"));
    clock.move_on(1);
    assert!(other.any_ready(None).expect("looking"));
    drop(log);
}

#[test]
fn what_was_taken_over_once_is_not_waited_for_again_until_its_owner_has_had_it() {
    let (log, clock, first, second) = two(1);
    let own_of_first = claim_as(&first, 1, 1);
    let (owner, other) =
        if own_of_first.is_empty() { ((&second, 2), (&first, 1)) } else { ((&first, 1), (&second, 2)) };
    clock.move_on(LEASE_MS + 1);
    let handle = |(reactions, holder): (&Reactions, u64)| {
        let claimed = claim_as(reactions, holder, 1);
        for (target, token, _) in &claimed {
            let outcome = Outcome { target: *target, token: *token, done: Some(DONE), then: Then::Free };
            assert_eq!(reactions.finish(&[outcome]).expect("finishing"), vec![true]);
        }
        claimed.len()
    };
    let comes = || {
        append(&log, "s-0", &["A"]);
        clock.move_on(PATIENCE_MS);
        correlate_all(&first);
        correlate_all(&second);
    };
    assert_eq!(handle(owner), 1);
    comes();
    assert_eq!(handle(other), 0, "its time begins when it is ready");
    clock.move_on(PATIENCE_MS);
    assert_eq!(handle(other), 1);
    comes();
    assert_eq!(handle(other), 1, "its owner has not had it since");
    comes();
    assert_eq!(handle(owner), 1);
    comes();
    assert_eq!(handle(other), 0);
}

#[test]
fn the_leases_of_a_holder_that_is_gone_are_over_at_once() {
    let (_log, _clock, first, second) = two(20);
    let lost = claim_as(&second, 2, 20);
    let own = claim_as(&first, 1, 20);
    assert_eq!(lost.len() + own.len(), 20);
    for (target, token, _) in &own {
        let outcome = Outcome { target: *target, token: *token, done: Some(DONE), then: Then::Free };
        assert_eq!(first.finish(&[outcome]).expect("finishing"), vec![true]);
    }
    let alone = [member(1, &["r"])];
    first.share(share(1, &alone, &[])).expect("sharing");
    assert!(claim_as(&first, 1, 20).is_empty(), "whoever left in good order has leases that end by time");
    first.share(share(1, &alone, &[2])).expect("sharing");
    let mut taken = HashSet::new();
    while let Some((target, token, name)) = claim_as(&first, 1, 20).pop() {
        let outcome = Outcome { target, token, done: Some(DONE), then: Then::Free };
        assert_eq!(first.finish(&[outcome]).expect("finishing"), vec![true]);
        taken.insert(name);
    }
    assert_eq!(taken, names(&lost));
    for (target, token, _) in lost {
        let late = Outcome { target, token, done: Some(DONE), then: Then::Free };
        assert_eq!(second.finish(&[late]).expect("finishing"), vec![false]);
    }
}

#[test]
fn what_was_abandoned_does_not_count_and_is_free_for_others() {
    let (_log, _clock, first, second) = two(20);
    let claimed = claim_as(&first, 1, 20);
    assert_eq!(first.abandon().expect("abandoning"), claimed.len());
    for (target, token, _) in &claimed {
        let outcome = Outcome { target: *target, token: *token, done: Some(DONE), then: Then::Free };
        assert_eq!(first.finish(&[outcome]).expect("finishing"), vec![false]);
        assert_eq!(first.renew(&[(*target, *token)], 1000).expect("renewing"), vec![false]);
    }
    second.share(share(2, &[member(2, &["r"])], &[])).expect("sharing");
    assert_eq!(claim_as(&second, 2, 20).len(), 20);
    assert_eq!(first.abandon().expect("abandoning"), 0);
}

#[test]
fn a_target_belongs_to_those_that_have_its_reactions_and_its_lane() {
    let (log, clock) = (store(), StandingClock::default());
    for stream in 0..30 {
        append(&log, &format!("s-{stream}"), &["A"]);
    }
    let specs = || vec![spec("old", &["A"], "o-{stream}"), spec("new", &["A"], "n-{stream}")];
    let program = program(&log, &clock, specs());
    correlate_all(&program);
    let slow = Member { lanes: Some(vec!["slow".to_owned()]), ..member(4, &["old", "new"]) };
    let members = [member(1, &["old"]), member(2, &["old", "new"]), member(3, &["old", "new"]), slow];
    program.share(share(2, &members, &[])).expect("sharing");
    let owned = program.owned().expect("counting");
    assert_eq!(owned.values().sum::<u64>(), 60);
    assert_eq!(owned[&4], 0);
    assert!(owned[&1] > 0 && owned[&1] < 30, "what only a new release knows belongs to none of an old one");
    let claimed = claim_as(&program, 2, 60);
    assert_eq!(claimed.len() as u64, owned[&2]);
}

#[test]
fn one_program_correlates_for_all_and_another_does_so_when_it_is_late() {
    let (log, clock, first, second) = two(1);
    append(&log, "s-0", &["A"]);
    let head = log.head().expect("a head");
    let window = |reactions: &Reactions| reactions.next_window(head).expect("looking").is_some();
    let (one, other) = (window(&first), window(&second));
    assert!(one != other, "one of two");
    let late = if one { &second } else { &first };
    assert!(late.next_ms().is_some_and(|ms| ms <= PATIENCE_MS), "it looks again by itself");
    clock.move_on(PATIENCE_MS);
    assert!(window(late));
    correlate_all(late);
    assert!(!window(&first) && !window(&second));
    append(&log, "s-0", &["A"]);
    assert!(late.next_window(head + 1).expect("looking").is_none(), "it was done, so there is time again");
}

#[test]
fn a_program_that_is_no_member_takes_whatever_is_ready() {
    let (_log, _clock, first, second) = two(20);
    first.share(Share { own: None, ..share(1, &[member(1, &["r"]), member(2, &["r"])], &[]) }).expect("sharing");
    assert_eq!(claim_as(&first, 9, 20).len(), 20);
    assert!(claim_as(&second, 2, 20).is_empty());
    assert_eq!(first.targets(&Selection::default(), None, 99).expect("targets").len(), 20);
}
