//! Nodes over one ordered log, simulated: one thread, and a seeded scheduler that lets each propose, apply, ask what became of its
//! proposals, keep its state, store snapshots, be killed or lose power, and come back as another session, while the ordered log
//! takes records whose acknowledgements are lost, and some twice. Whatever happens:
//!
//! * a replica is a prefix, of whole commits, of what the ordered log comes to by the rules;
//! * what a node is told of its proposals, be it accepted or refused, is what all replicas come to, forever;
//! * what was accepted can be read on that node at once, and what was refused met a version that was not the one expected;
//! * in the end all replicas are the same, and the same as a plain model.
//!
//! `ACT_FAST_SIMULATIONS` says how many seeds are tried (150), `ACT_FAST_SEED` repeats one.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use act_fast_core::replica::{Applier, Settled};
use act_fast_core::{Durability, Log};
use support::lying_disk::{Loss, LyingDisk};
use support::ordered::{Draft, GENESIS, Model, Ordered, Said, Wish, assert_is, facts};
use support::rng::Rng;
use support::{env_number, options};

const NODES: usize = 3;
const STEPS: usize = 220;
const STREAMS: [&str; 3] = ["a", "b", "c"];

/// A record that a node has proposed and not heard of.
struct Pending {
    number: u64,
    wishes: Vec<Wish>,
    /// Where the ordered log says that it is; None where the acknowledgement was lost.
    place: Option<u64>,
}

/// What a node was told of a proposal: the record's place, and the positions if it was accepted.
struct Told {
    place: u64,
    index: u64,
    positions: Option<(u64, u64)>,
}

struct Node {
    disk: LyingDisk,
    log: Arc<Log>,
    applier: Applier,
    kept: Option<Vec<u8>>,
    session: [u8; 16],
    number: u64,
    pending: Vec<Pending>,
    /// Where records were seen first that are there twice, as it is kept beside a replica.
    first: BTreeMap<u64, u64>,
}

fn open(disk: &LyingDisk) -> Arc<Log> {
    Log::open_replica(disk.shared(), options(Durability::Interval), Some(GENESIS)).expect("the replica opens")
}

impl Node {
    fn start(disk: LyingDisk, kept: Option<Vec<u8>>, session: u8) -> Self {
        let log = open(&disk);
        let applier = Applier::new(&log, kept.as_deref()).expect("an applier");
        let (pending, first) = (Vec::new(), BTreeMap::new());
        Self { disk, log, applier, kept, session: [session; 16], number: 0, pending, first }
    }
}

struct World {
    rng: Rng,
    ordered: Ordered,
    nodes: Vec<Node>,
    sessions: u8,
    told: Vec<Told>,
    lost: usize,
    twice: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let nodes = (1..=NODES as u8).map(|session| Node::start(LyingDisk::new(), None, session)).collect();
        let (ordered, told) = (Ordered::new(), Vec::new());
        Self { rng: Rng::new(seed), ordered, nodes, sessions: NODES as u8, told, lost: 0, twice: 0 }
    }

    fn step(&mut self) {
        let at = self.rng.below(NODES);
        match self.rng.below(100) {
            0..35 => self.propose(at),
            35..70 => self.apply(at),
            70..85 => self.resolve(at),
            85..90 => {
                let node = &mut self.nodes[at];
                node.log.flush().expect("a flush");
                node.kept = Some(node.applier.state());
            }
            90..93 => {
                let log = &self.nodes[at].log;
                let version = log.version("a").expect("a version");
                if version > 0 {
                    log.save_snapshot("a", version, b"{}").expect("a snapshot");
                }
            }
            93..96 => self.copy_again(),
            _ => self.restart(at),
        }
    }

    fn wish(&mut self, at: usize) -> Wish {
        let mut parts = Vec::new();
        for _ in 0..1 + self.rng.below(2) {
            let stream = STREAMS[self.rng.below(STREAMS.len())].to_owned();
            let known = self.nodes[at].log.version(&stream).expect("a version");
            let expected = self.rng.chance(80).then_some(known);
            let events = (0..1 + self.rng.below(2)).map(|_| ("Happened".to_owned(), b"1".to_vec())).collect();
            parts.push((stream, events, expected));
        }
        Wish { created: self.rng.below(1 << 20) as i64, meta: Vec::new(), parts, key: None }
    }

    fn propose(&mut self, at: usize) {
        let wishes: Vec<Wish> = (0..1 + self.rng.below(3)).map(|_| self.wish(at)).collect();
        let node = &mut self.nodes[at];
        node.number += 1;
        let (session, number) = (node.session, node.number);
        let draft = Draft { session, number, time_ms: 1, said: Said::Commits(wishes.clone()) };
        let place = match self.rng.below(10) {
            // Nothing was appended, and nothing was said.
            0 => None,
            // It is there, and nothing was said.
            1 => {
                self.ordered.add(draft, 1);
                None
            }
            // It is there twice, and the second place was said.
            2 => {
                self.twice += 1;
                self.ordered.add(draft.clone(), 1);
                Some(self.ordered.add(draft, 2))
            }
            _ => {
                let step = 1 + self.rng.below(2) as u64;
                Some(self.ordered.add(draft, step))
            }
        };
        self.lost += usize::from(place.is_none());
        self.nodes[at].pending.push(Pending { number, wishes, place });
    }

    /// Something that was appended long ago comes once more.
    fn copy_again(&mut self) {
        let drafts = self.ordered.drafts.len();
        if drafts > 0 {
            let draft = self.ordered.drafts.values().nth(self.rng.below(drafts)).cloned().expect("a draft");
            self.ordered.add(draft, 1);
        }
    }

    fn apply(&mut self, at: usize) {
        let limit = 1 + self.rng.below(6);
        let node = &mut self.nodes[at];
        let batch = self.ordered.after(node.applier.place(), limit);
        node.applier.take_in(&node.log, &batch).expect("applying");
        node.first.extend(node.applier.duplicates().iter().map(|each| (each.place, each.first)));
        node.applier.publish(&node.log);
    }

    /// Ask what became of what the node has proposed.
    fn resolve(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let applied = node.log.applied().expect("how far it is");
        let mut waiting = Vec::new();
        for pending in std::mem::take(&mut node.pending) {
            // The first record of this session and number is the one that counts, whichever was acknowledged.
            if let Some(told) = pending.place.filter(|told| *told <= applied) {
                let place = node.first.get(&told).copied().unwrap_or(told);
                self.told.extend(outcomes(&node.log, place, &pending.wishes));
                continue;
            }
            let first = self.ordered.drafts.iter().find(|(place, draft)| {
                **place <= applied && (draft.session, draft.number) == (node.session, pending.number)
            });
            match first {
                Some((place, _)) if pending.place.is_none() => {
                    self.told.extend(outcomes(&node.log, *place, &pending.wishes));
                }
                _ => waiting.push(pending),
            }
        }
        node.pending = waiting;
    }

    /// The node is killed, or loses power, and comes back. Nobody hears of what it had proposed.
    fn restart(&mut self, at: usize) {
        self.sessions += 1;
        let checkpoint = self.nodes[at].disk.checkpoint();
        let disk = match self.rng.below(3) {
            0 => checkpoint.killed(),
            1 => LyingDisk::from_image(&checkpoint.image(Loss::Everything, &mut self.rng).rebooted()),
            _ => LyingDisk::from_image(&checkpoint.image(Loss::Chance(50), &mut self.rng).rebooted()),
        };
        let kept = self.nodes[at].kept.clone();
        self.nodes[at] = Node::start(disk, kept, self.sessions);
        let model = Model::of(&self.ordered);
        assert!(model.facts.starts_with(&facts(&self.nodes[at].log)), "a prefix");
    }

    fn end(mut self) -> (usize, usize, usize, usize) {
        let model = Model::of(&self.ordered);
        for node in &mut self.nodes {
            assert!(model.facts.starts_with(&facts(&node.log)), "a prefix");
            node.applier.apply(&node.log, &self.ordered.after(node.applier.place(), usize::MAX)).expect("applying");
            node.first.extend(node.applier.duplicates().iter().map(|each| (each.place, each.first)));
        }
        for at in 0..NODES {
            self.resolve(at);
            assert_is(&self.nodes[at].log, &self.ordered, &model);
        }
        let mut accepted = 0;
        for told in &self.told {
            let settled = model.settled[&told.place].iter().find(|one| one.index == told.index);
            assert_eq!(
                settled.map(|one| (one.first_position, one.last_position)),
                told.positions,
                "place {}",
                told.place
            );
            accepted += usize::from(told.positions.is_some());
        }
        (accepted, self.told.len() - accepted, self.lost, self.twice)
    }
}

/// What became of the proposals of the record at a place.
fn outcomes(log: &Log, place: u64, wishes: &[Wish]) -> Vec<Told> {
    let settled = log.settled(place).expect("settled");
    let mut before = log.position_at(place - 1).expect("a position");
    let mut told = Vec::new();
    for (index, wish) in (0..).zip(wishes) {
        let found: Option<&Settled> = settled.iter().find(|one| one.index == index);
        match found {
            Some(one) => {
                let head = log.head().expect("a head");
                assert!(one.last_position <= head, "what was accepted can be read at once");
                assert_eq!(one.first_position, before + 1);
                before = one.last_position;
            }
            None => assert!(conflicts(log, wish, before), "what was refused met another version"),
        }
        told.push(Told { place, index, positions: found.map(|one| (one.first_position, one.last_position)) });
    }
    told
}

/// Whether a stream was not at the version that a proposal expected, when a position was the last.
fn conflicts(log: &Log, wish: &Wish, position: u64) -> bool {
    let mut added = BTreeMap::<&str, u64>::new();
    wish.parts.iter().any(|(stream, events, expected)| {
        let own = added.entry(stream).or_default();
        let version = log.version_at(stream, position).expect("a version") + *own;
        *own += events.len() as u64;
        expected.is_some_and(|expected| expected != version)
    })
}

#[test]
fn nodes_agree_whatever_happens_to_them_and_to_what_they_send() {
    let only = env_number("ACT_FAST_SEED");
    let seeds = only.map_or(0..env_number("ACT_FAST_SIMULATIONS").unwrap_or(150), |seed| seed..seed + 1);
    let mut sums = [0; 4];
    for seed in seeds.clone() {
        eprintln!("ACT_FAST_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        let (accepted, refused, lost, twice) = world.end();
        for (sum, more) in sums.iter_mut().zip([accepted, refused, lost, twice]) {
            *sum += more;
        }
    }
    let enough = if only.is_some() { 0 } else { seeds.end as usize };
    assert!(sums.iter().all(|sum| *sum >= enough), "accepted, refused, lost, twice: {sums:?}");
}
