//! What a power cut leaves of a replica, with a state that is as old as it may be: the log is a prefix, nothing that the state says is
//! missing, and reading the ordered log again comes to what it would have been.
//!
//! 600 images by default, as many as `ACT_FAST_IMAGES` says; `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;

use act_fast_core::replica::Applier;
use act_fast_core::{Durability, Log, verify};
use support::lying_disk::{Checkpoint, HOUSEKEEPER, Loss, LyingDisk, Verdict};
use support::ordered::{Author, GENESIS, Model, Ordered, assert_is, facts};
use support::rng::{self, Rng};
use support::{env_number, options};

fn open(disk: &LyingDisk, durability: Durability) -> Arc<Log> {
    Log::open_replica(disk.shared(), options(durability), Some(GENESIS)).expect("the replica opens")
}

/// What had been kept when a checkpoint was taken down.
#[derive(Clone, Default)]
struct Kept {
    state: Option<Vec<u8>>,
    /// With `"fsync"`: the last position that had been applied.
    durable: usize,
}

/// A replica at work: the checkpoints of its disk, and what was kept at each note in them.
fn live(ordered: &Ordered, durability: Durability, rng: &mut Rng) -> (Vec<Checkpoint>, Vec<Kept>) {
    let disk = LyingDisk::new();
    disk.intercept(|_, _| match std::thread::current().name() {
        Some(HOUSEKEEPER) => Verdict::Fail(std::io::Error::other("not now")),
        _ => Verdict::Go,
    });
    disk.record();
    let mut kept = vec![Kept::default()];
    let mut log = open(&disk, durability);
    let mut applier = Applier::new(&log, None).expect("an applier");
    while applier.place() < ordered.head() {
        applier.apply(&log, &ordered.after(applier.place(), 1 + rng.below(6))).expect("applying");
        let mut now = kept.last().cloned().unwrap_or_default();
        if durability == Durability::Fsync {
            now.durable = log.head().expect("a head") as usize;
        }
        match rng.below(6) {
            0 | 1 => {
                log.flush().expect("a flush");
                now = Kept { state: Some(applier.state()), durable: log.head().expect("a head") as usize };
            }
            2 => {
                let info = log.streams(None, None, 1).expect("streams").streams;
                if let Some(info) = info.first() {
                    log.save_snapshot(&info.stream, info.version, b"{}").expect("a snapshot");
                }
            }
            3 if rng.chance(30) => {
                log.shut_down().expect("closing");
                drop(log);
                log = open(&disk, durability);
                applier = Applier::new(&log, now.state.as_deref()).expect("an applier");
            }
            _ => {}
        }
        kept.push(now);
        disk.note(kept.len() - 1);
    }
    (disk.checkpoints(), kept)
}

fn chance(checkpoint: &Checkpoint, rng: &mut Rng) -> Loss {
    let units = checkpoint.units().max(1);
    match rng.below(6) {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 => Loss::One(rng.below(units)),
        3 => Loss::AllBut(rng.below(units)),
        _ => Loss::Chance(10 + rng.below(80)),
    }
}

/// Open an image, and read the ordered log again.
fn examine(disk: &LyingDisk, durability: Durability, kept: &Kept, ordered: &Ordered, model: &Model) {
    let log = open(disk, durability);
    let found = facts(&log);
    assert!(model.facts.starts_with(&found), "a prefix");
    let whole = model.settled.values().flatten().any(|one| one.last_position == found.len() as u64);
    assert!(whole || found.is_empty(), "of whole commits");
    assert!(found.len() >= kept.durable, "with all that was flushed");
    let applied = log.applied().expect("how far it is");
    for (place, settled) in model.settled.range(..=applied) {
        assert_eq!(&log.settled(*place).expect("settled"), settled, "what is applied is applied whole");
    }
    let mut applier = Applier::new(&log, kept.state.as_deref()).expect("an applier");
    while applier.place() < ordered.head() {
        applier.apply(&log, &ordered.after(applier.place(), 5)).expect("applying");
    }
    assert_is(&log, ordered, model);
    log.shut_down().expect("closing");
    let report = verify(&disk.shared(), &mut |_, _| Ok(())).expect("a report");
    assert_eq!((report.problems, report.events), (Vec::new(), model.facts.len() as u64));
}

#[test]
fn a_replica_that_lost_power_goes_back_a_little_and_reads_that_again() {
    let mut rng = Rng::new(rng::seed("replicas without power"));
    let mut images = env_number("ACT_FAST_IMAGES").unwrap_or(600);
    let mut shorter = 0;
    while images > 0 {
        let ordered = Author::new(rng.fork()).log(15 + rng.below(25));
        let model = Model::of(&ordered);
        let durability = if rng.chance(70) { Durability::Interval } else { Durability::Fsync };
        let (checkpoints, kept) = live(&ordered, durability, &mut rng);
        for _ in 0..images.min(60) {
            images -= 1;
            let checkpoint = &checkpoints[rng.below(checkpoints.len())];
            let kept = &kept[checkpoint.note];
            if checkpoint.of_one_instant && rng.chance(15) {
                examine(&checkpoint.killed(), durability, kept, &ordered, &model);
                continue;
            }
            let image = checkpoint.image(chance(checkpoint, &mut rng), &mut rng);
            let image = if rng.chance(80) { image.rebooted() } else { image.copied() };
            let disk = LyingDisk::from_image(&image);
            shorter += i32::from(checkpoint.published() > kept.durable as u64);
            examine(&disk, durability, kept, &ordered, &model);
        }
    }
    assert!(shorter > 10, "in {shorter} images only could anything be lost");
}
