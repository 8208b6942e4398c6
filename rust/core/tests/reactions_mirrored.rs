//! The tests of reactions once more, each program on a mirror of its own: as on several machines with one database. Those about
//! files that are damaged or lost are the log's alone.

#![allow(
    clippy::duplicate_mod,
    reason = "each of these files brings what it shares with others, as when it runs by itself"
)]

#[path = "reactions_budget.rs"]
mod budget;
#[path = "reactions_of_programs.rs"]
mod programs;
#[path = "simulation.rs"]
mod simulation;
mod support;
#[path = "reactions.rs"]
mod verbs;

use std::sync::atomic::Ordering;

use act_fast_core::reactions::{Selection, Then};
use support::place::database;
use support::program::{StandingClock, append, claim, correlate_all, finish, positions, program, spec, store};

/// Let the next commit fail, and those after it not.
fn refuse_next(log: &act_fast_core::Log) {
    database(log).refuse_next.store(true, Ordering::SeqCst);
}

#[test]
fn what_the_database_refuses_is_undone_and_can_be_done_again() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("r", &["A"], "t-{stream}")]);
    let second = program(&log, &clock, vec![spec("r", &["A"], "t-{stream}")]);
    append(&log, "one", &["A", "A"]);
    refuse_next(&log);
    assert!(first.correlate(100).is_err());
    assert!(first.targets(&Selection::default(), None, 9).expect("targets").is_empty(), "nothing of it is left");
    correlate_all(&first);
    let claim_of = |cut| act_fast_core::reactions::ClaimOptions {
        lanes: None,
        lagging: 5,
        leading: 0,
        window: 10,
        lease_ms: 1000,
        holder: 7,
        cut,
    };
    refuse_next(&log);
    assert!(first.claim(&claim_of(2)).is_err());
    let taken = claim(&second, &log, 5, 0);
    assert_eq!(taken.len(), 1, "a lease that was refused holds nobody up");
    assert!(claim(&first, &log, 5, 0).is_empty());
    refuse_next(&log);
    let outcome = act_fast_core::reactions::Outcome {
        target: taken[0].target,
        token: taken[0].token,
        done: positions(&taken[0]).last().copied(),
        then: Then::Free,
    };
    assert!(second.finish(std::slice::from_ref(&outcome)).is_err());
    let seen = first.targets(&Selection::default(), None, 9).expect("targets").remove(0);
    assert_eq!((seen.lag, seen.holder), (2, Some(7)), "nothing of it is seen by others");
    assert_eq!(second.finish(&[outcome]).expect("finishing"), vec![true], "the lease is still its own");
    assert!(!finish(&first, &taken[0], Some(2), Then::Free));
    let seen = first.targets(&Selection::default(), None, 9).expect("targets").remove(0);
    assert_eq!((seen.lag, seen.watermark, seen.holder), (0, 2, None));
}

#[test]
fn a_program_that_comes_later_knows_all_that_others_have_done() {
    let (log, clock) = (store(), StandingClock::default());
    let first = program(&log, &clock, vec![spec("r", &["A"], "t-{stream}")]);
    for stream in ["one", "two", "three"] {
        append(&log, stream, &["A", "B", "A"]);
    }
    correlate_all(&first);
    let lease = claim(&first, &log, 1, 0).remove(0);
    let block = Then::Block { position: positions(&lease)[1], error: "no ".repeat(200) };
    assert!(finish(&first, &lease, Some(positions(&lease)[0]), block));
    let second = program(&log, &clock, vec![spec("r", &["A"], "t-{stream}")]);
    let all = |reactions: &support::program::Reactions| {
        (reactions.targets(&Selection::default(), None, 9).expect("targets"), reactions.cursors().expect("cursors"))
    };
    assert_eq!(all(&first), all(&second));
    assert_eq!(second.unblock(&Selection::default()).expect("unblocking"), 1);
    assert_eq!(all(&first), all(&second));
}
