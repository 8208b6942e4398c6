//! A program of reactions on a store in memory, with a clock that stands until it is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use act_fast_core::disk::MemoryDisk;
use act_fast_core::reactions::{ClaimOptions, Clock, Lease, Outcome, Resolver, Source, Spec, Then};
use act_fast_core::{Durability, Log, NewEvent, Options, Part, Patience};

use super::place::Place;

pub(crate) type Reactions = act_fast_core::reactions::Reactions<Place>;

#[derive(Clone, Debug, Default)]
pub(crate) struct StandingClock(Arc<AtomicU64>);

impl StandingClock {
    pub(crate) fn move_on(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn uptime_ms(&self) -> u64 {
        1_000_000 + self.0.load(Ordering::SeqCst)
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000 + self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn store() -> Arc<Log> {
    let options = Options { durability: Durability::Os, segment_bytes: 64 << 10, ..Options::default() };
    Log::open(Arc::new(MemoryDisk::default()), options).expect("a store in memory opens")
}

pub(crate) fn append(log: &Log, stream: &str, names: &[&str]) -> u64 {
    let events: Vec<_> =
        names.iter().map(|name| NewEvent { name, data: b"{\"customer\":\"ada\"}", tags: &[] }).collect();
    let part = Part { stream, events: &events, expected: None };
    log.append(&[part], b"", Patience::Wait).expect("an append")[0].last_position
}

pub(crate) fn spec(name: &str, events: &[&str], target: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        resolver: Resolver::from_template(target).expect("a template"),
        source: Source::All,
        tags: Vec::new(),
        lane: "default".to_owned(),
        priority: 0,
        from_now: false,
    }
}

pub(crate) fn program(log: &Arc<Log>, clock: &StandingClock, specs: Vec<Spec>) -> Reactions {
    let reactions = Reactions::at(Place::of(log), Box::new(clock.clone())).expect("reactions open");
    reactions.register(&specs).expect("reactions are registered");
    reactions
}

pub(crate) fn correlate_all(reactions: &Reactions) {
    while !reactions.correlate(100).expect("correlating").caught_up {}
}

pub(crate) fn claim<'a>(reactions: &'a Reactions, log: &Log, lagging: usize, leading: usize) -> Vec<Lease<'a>> {
    let options = ClaimOptions {
        lanes: None,
        lagging,
        leading,
        window: 10,
        lease_ms: 1000,
        holder: 7,
        cut: reactions.cut().expect("a cut").min(log.head().expect("a head")),
    };
    reactions.claim(&options).expect("a claim")
}

pub(crate) fn positions(lease: &Lease<'_>) -> Vec<u64> {
    lease.deliveries.iter().map(|delivery| delivery.event.position).collect()
}

pub(crate) fn finish(reactions: &Reactions, lease: &Lease<'_>, done: Option<u64>, then: Then) -> bool {
    let outcome = Outcome { target: lease.target, token: lease.token, done, then };
    reactions.finish(&[outcome]).expect("finishing")[0]
}
