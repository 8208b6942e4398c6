//! Workers on one store, simulated: a virtual clock, one thread, and a seeded scheduler that lets each of several workers
//! correlate, claim, handle, finish, pause past its lease, reset, crash and come back, later with a reaction that is new to
//! the old log, in any order. Whatever happens:
//!
//! * no target has two holders whose leases have not run out;
//! * a watermark moves forward only, but for a reset;
//! * nothing is passed over: when an outcome is accepted, every event of that target up to there has been handled;
//! * in the end every target has handled every event that concerns it, and all are caught up.
//!
//! `ACT_FAST_SIMULATIONS` says how many seeds are tried (300), `ACT_FAST_SEED` repeats one.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use act_fast_core::disk::MemoryDisk;
use act_fast_core::reactions::{ClaimOptions, Clock, Outcome, Resolved, Resolver, Selection, Source, Spec, Then};
use act_fast_core::{Durability, Log, NewEvent, Options, Part, Patience};
use support::place::{Place, database, insist, mirrored};
use support::program::Reactions;

const LEASE_MS: u64 = 100;
const STEPS: usize = 250;
const WORKERS: usize = 4;
const STREAMS: [&str; 3] = ["s1", "s12", "t"];
const NAMES: [&str; 3] = ["A", "B", "C"];

#[derive(Clone, Debug, Default)]
struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    fn move_on(&self, ms: usize) {
        self.0.fetch_add(ms as u64, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn uptime_ms(&self) -> u64 {
        1_000 + self.0.load(Ordering::SeqCst)
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000 + self.0.load(Ordering::SeqCst)
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

fn spec(name: &str, events: &[&str], resolver: Resolver, source: Option<&str>) -> Spec {
    Spec {
        name: name.to_owned(),
        events: events.iter().map(|name| (*name).to_owned()).collect(),
        resolver,
        source: Source::from_text(source).expect("a source"),
        tags: Vec::new(),
        lane: "default".to_owned(),
        priority: name.len() as i32,
        from_now: false,
    }
}

fn specs() -> Vec<Spec> {
    let template = |text: &str| Resolver::from_template(text).expect("a template");
    vec![
        spec("everything", &["A", "B"], template("all"), None),
        spec("one", &["A"], template("all"), Some("s1")),
        spec("own", &["A", "C"], template("{stream}"), None),
        spec("named", &["B", "C"], template("{name}-{stream}"), Some("^s")),
        spec("function", &["C"], Resolver::Function, None),
    ]
}

/// The same program in a later version: with a reaction that is new to an old log.
fn later_specs() -> Vec<Spec> {
    let template = Resolver::from_template("late-{stream}").expect("a template");
    specs().into_iter().chain([spec("late", &["A"], template, None)]).collect()
}

fn by_function(position: u64) -> Vec<String> {
    match position % 3 {
        0 => Vec::new(),
        1 => vec!["all".to_owned()],
        _ => vec!["all".to_owned(), format!("f-{}", position % 2)],
    }
}

/// Whom an event concerns, told independently of the engine.
fn concerned(stream: &str, name: &str, position: u64) -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    if name == "A" || name == "B" {
        targets.insert("all".to_owned());
    }
    if name == "A" || name == "C" {
        targets.insert(stream.to_owned());
    }
    if name == "A" {
        targets.insert(format!("late-{stream}"));
    }
    if (name == "B" || name == "C") && stream.starts_with('s') {
        targets.insert(format!("{name}-{stream}"));
    }
    if name == "C" {
        targets.extend(by_function(position));
    }
    targets
}

/// A lease in a worker's hands.
#[derive(Clone, Debug)]
struct Held {
    target: u32,
    name: String,
    token: u32,
    positions: Vec<u64>,
    handled: usize,
    until_ms: u64,
    /// A reset came in between: what is handled under it does not count.
    fenced: bool,
}

struct Simulation {
    seed: u64,
    random: Random,
    clock: VirtualClock,
    log: Arc<Log>,
    workers: Vec<Reactions>,
    held: Vec<Vec<Held>>,
    /// Leases of workers that died, which nobody may have before their time.
    orphaned: Vec<Held>,
    expected: BTreeMap<String, BTreeSet<u64>>,
    handled: BTreeMap<String, BTreeSet<u64>>,
    watermarks: BTreeMap<String, u64>,
    /// Workers that come up from now on run the later version.
    upgraded: bool,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let options = Options { durability: Durability::Os, segment_bytes: 64 << 10, ..Options::default() };
        let log = Log::open(Arc::new(MemoryDisk::default()), options).expect("a store in memory opens");
        let clock = VirtualClock::default();
        database(&log).refuses.store(refused(seed), Ordering::SeqCst);
        let workers = (0..WORKERS).map(|_| worker(&log, &clock, &specs())).collect();
        Self {
            seed,
            random: Random(seed),
            clock,
            log,
            workers,
            held: vec![Vec::new(); WORKERS],
            orphaned: Vec::new(),
            expected: BTreeMap::new(),
            handled: BTreeMap::new(),
            watermarks: BTreeMap::new(),
            upgraded: false,
        }
    }

    fn run(&mut self) {
        for step in 0..STEPS {
            self.upgraded = step > STEPS / 2;
            let who = self.random.below(WORKERS);
            match self.random.below(21) {
                0..=4 => self.append(),
                5..=7 => self.correlate(who),
                8..=10 => self.claim(who),
                11..=13 => self.handle(who),
                14..=16 => self.finish(who),
                17 => self.clock.move_on(self.random.below(150)),
                18 => self.crash(who),
                19 => self.reset(who),
                _ => self.by_hand(who),
            }
            self.look();
        }
        self.settle();
    }

    fn append(&mut self) {
        let stream = STREAMS[self.random.below(STREAMS.len())];
        let names: Vec<&str> = (0..=self.random.below(3)).map(|_| NAMES[self.random.below(NAMES.len())]).collect();
        let events: Vec<_> = names.iter().map(|name| NewEvent { name, data: b"{}", tags: &[] }).collect();
        let part = Part { stream, events: &events, expected: None };
        let appended = self.log.append(&[part], b"", Patience::Wait).expect("an append")[0];
        for (name, position) in names.iter().zip(appended.first_position..) {
            for target in concerned(stream, name, position) {
                self.expected.entry(target).or_default().insert(position);
            }
        }
    }

    fn correlate(&mut self, who: usize) {
        let limit = 1 + self.random.below(10);
        let worker = &self.workers[who];
        let done = insist(|| worker.correlate(limit)).expect("correlating");
        for left in &done.unresolved {
            let found: Vec<Resolved> =
                left.events.iter().map(|event| (event.position, by_function(event.position))).collect();
            insist(|| worker.resolve(left.reaction, left.from, left.to, &found)).expect("resolving");
        }
    }

    fn claim(&mut self, who: usize) {
        // What is refused in the middle of correlating leaves reactions of one target at different positions: only below the cut
        // is its order known then.
        let any_cut = self.random.below(2) == 0 && !refuses(self.seed);
        let options = ClaimOptions {
            lanes: None,
            lagging: self.random.below(3),
            leading: self.random.below(3),
            window: 1 + self.random.below(5),
            lease_ms: LEASE_MS,
            holder: who as u64,
            cut: if any_cut { self.log.head() } else { insist(|| self.workers[who].cut()) }.expect("a cut"),
        };
        let now = self.clock.uptime_ms();
        for lease in insist(|| self.workers[who].claim(&options)).expect("a claim") {
            let name = lease.name.to_string();
            let leases = self.held.iter().flatten().chain(&self.orphaned);
            let others = leases.into_iter().find(|held| held.name == name && held.until_ms > now);
            assert!(others.is_none(), "seed {}: {name} has two holders", self.seed);
            let positions = lease.deliveries.iter().map(|delivery| delivery.event.position).collect();
            self.held[who].push(Held {
                target: lease.target,
                name,
                token: lease.token,
                positions,
                handled: 0,
                until_ms: now + LEASE_MS,
                fenced: false,
            });
        }
    }

    fn handle(&mut self, who: usize) {
        if self.held[who].is_empty() {
            return;
        }
        let at = self.random.below(self.held[who].len());
        let held = &mut self.held[who][at];
        if let Some(position) = held.positions.get(held.handled) {
            if !held.fenced {
                self.handled.entry(held.name.clone()).or_default().insert(*position);
            }
            held.handled += 1;
        }
    }

    fn finish(&mut self, who: usize) {
        if self.held[who].is_empty() {
            return;
        }
        let at = self.random.below(self.held[who].len());
        let held = self.held[who].swap_remove(at);
        let done = held.handled.checked_sub(1).map(|last| held.positions[last]);
        let then = match (held.positions.get(held.handled), self.random.below(6)) {
            (Some(position), 0..=1) => {
                let due_ms = self.clock.now_ms() + self.random.below(80) as u64;
                Then::Retry { position: *position, due_ms, error: "not now".to_owned() }
            }
            (Some(position), 2) => Then::Block { position: *position, error: "never".to_owned() },
            (Some(_), 3) => {
                Then::Defer { due_ms: self.clock.now_ms() + self.random.below(80) as u64, error: String::new() }
            }
            _ => Then::Free,
        };
        let outcome = [Outcome { target: held.target, token: held.token, done, then }];
        let accepted = insist(|| self.workers[who].finish(&outcome)).expect("finishing")[0];
        assert!(!(accepted && held.fenced), "seed {}: {} was acknowledged past its reset", self.seed, held.name);
        let (Some(done), true) = (done, accepted) else { return };
        let expected = self.expected.get(&held.name).into_iter().flatten();
        let handled = self.handled.get(&held.name).cloned().unwrap_or_default();
        let passed_over: Vec<_> =
            expected.filter(|position| **position <= done && !handled.contains(position)).collect();
        assert!(passed_over.is_empty(), "seed {}: {} was acknowledged past {passed_over:?}", self.seed, held.name);
    }

    /// A worker dies with its leases and comes back knowing nothing.
    fn crash(&mut self, who: usize) {
        self.orphaned.append(&mut self.held[who]);
        let specs = if self.upgraded { later_specs() } else { specs() };
        self.workers[who] = worker(&self.log, &self.clock, &specs);
    }

    /// A target is to do its work again, whoever may be at it.
    fn reset(&mut self, who: usize) {
        let Some(name) = self.handled.keys().nth(self.random.below(self.handled.len().max(1))).cloned() else { return };
        let selection = Selection { names: Some(vec![name.clone()]), ..Selection::default() };
        insist(|| self.workers[who].reset(&selection)).expect("a reset");
        self.handled.remove(&name);
        self.watermarks.remove(&name);
        for held in self.held.iter_mut().flatten().chain(&mut self.orphaned).filter(|held| held.name == name) {
            held.until_ms = 0;
            held.fenced = true;
        }
    }

    fn by_hand(&mut self, who: usize) {
        let all = Selection::default();
        let (what, number) = (self.random.below(3), self.random.below(60));
        let verb = || match what {
            0 => self.workers[who].unblock(&all),
            1 => self.workers[who].prioritize(&all, number as i32 % 5),
            _ => self.workers[who].defer(&all, self.clock.now_ms() + number as u64),
        };
        insist(verb).expect("a verb");
    }

    fn look(&mut self) {
        let head = self.log.head().expect("a head");
        for target in insist(|| self.workers[0].targets(&Selection::default(), None, usize::MAX)).expect("targets") {
            assert!(target.watermark <= head, "seed {}: {target:?} stands above the head {head}", self.seed);
            let before = self.watermarks.entry(target.name.clone()).or_default();
            assert!(target.watermark >= *before, "seed {}: {target:?} went back from {before}", self.seed);
            *before = target.watermark;
        }
    }

    /// Chaos is over: one worker does what is left.
    fn settle(&mut self) {
        for held in &mut self.held {
            held.clear();
        }
        self.clock.move_on(10_000);
        self.workers[0] = worker(&self.log, &self.clock, &later_specs());
        insist(|| self.workers[0].unblock(&Selection::default())).expect("unblocking");
        self.clock.move_on(10_000);
        for _ in 0..10_000 {
            self.correlate(0);
            self.claim_everything();
            if self.caught_up() {
                break;
            }
        }
        assert!(self.caught_up(), "seed {}: it does not come to an end", self.seed);
        for (target, expected) in &self.expected {
            let handled = self.handled.get(target).cloned().unwrap_or_default();
            assert_eq!(&handled, expected, "seed {}: {target}", self.seed);
        }
    }

    fn caught_up(&self) -> bool {
        let targets = insist(|| self.workers[0].targets(&Selection::default(), None, usize::MAX)).expect("targets");
        let head = self.log.head().expect("a head");
        let correlated =
            insist(|| self.workers[0].cursors()).expect("cursors").iter().all(|cursor| cursor.read == head);
        correlated && targets.iter().all(|target| target.lag == 0 && target.watermark == head)
    }

    fn claim_everything(&mut self) {
        let cut = self.log.head().expect("a head");
        let options =
            ClaimOptions { lanes: None, lagging: 9, leading: 9, window: 7, lease_ms: LEASE_MS, holder: 0, cut };
        let leases = insist(|| self.workers[0].claim(&options)).expect("a claim");
        let mut outcomes = Vec::new();
        for lease in leases {
            let positions: Vec<u64> = lease.deliveries.iter().map(|delivery| delivery.event.position).collect();
            self.handled.entry(lease.name.to_string()).or_default().extend(&positions);
            let done = positions.last().copied();
            outcomes.push(Outcome { target: lease.target, token: lease.token, done, then: Then::Free });
        }
        insist(|| self.workers[0].finish(&outcomes)).expect("finishing");
    }
}

fn worker(log: &Arc<Log>, clock: &VirtualClock, specs: &[Spec]) -> Reactions {
    let reactions = Reactions::at(Place::of(log), Box::new(clock.clone())).expect("reactions open");
    insist(|| reactions.register(specs)).expect("reactions are registered");
    reactions
}

/// Where there is a database, it refuses every so many commits: what was done is undone, and done again. 0: none.
fn refused(seed: u64) -> u64 {
    [0, 3, 7, 20][seed as usize % 4]
}

fn refuses(seed: u64) -> bool {
    mirrored() && refused(seed) > 0
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_the_workers_do_no_event_is_skipped_and_all_converge() {
    let seeds = match number("ACT_FAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ACT_FAST_SIMULATIONS").unwrap_or(300),
    };
    for seed in seeds {
        Simulation::new(seed).run();
    }
}
