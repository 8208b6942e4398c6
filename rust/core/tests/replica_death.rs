//! A process that applies records ends, without any clean-up, at one fault point after another: the next one goes on behind the
//! last commit, from a state of some time ago or from the beginning, repeats nothing and skips nothing.
//!
//! The process that ends is this very test, started again with its part in the environment. One in five points is tried, or one in
//! as many as `ACT_FAST_DEATHS` says.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use act_fast_core::disk::{Disk, RealDisk};
use act_fast_core::replica::Applier;
use act_fast_core::{Durability, Log, Options, fault, verify};
use support::env_number;
use support::ordered::{Author, GENESIS, Model, Ordered, assert_is, facts};
use support::rng::Rng;

const PART: &str = "ACT_FAST_DYING_REPLICA";
const POINTS_MAX: i64 = 10_000;
const STATE: &str = "state";

fn open(path: &Path, durability: &str) -> Arc<Log> {
    let durability = Durability::from_name(durability).expect("a durability");
    let options = Options { durability, ..support::options(durability) };
    Log::open_replica(Arc::new(RealDisk::new(path)), options, Some(GENESIS)).expect("the replica opens")
}

/// The same for all processes of a test.
fn ordered() -> Ordered {
    Author::new(Rng::new(4711)).log(14)
}

/// Not a test by itself: what the parent starts.
#[test]
fn the_part_of_the_process_that_dies() {
    let Ok(part) = std::env::var(PART) else { return };
    let parts: Vec<&str> = part.split('|').collect();
    let path = Path::new(parts[0]);
    let log = open(&path.join("log"), parts[1]);
    let ordered = ordered();
    let mut applier = Applier::new(&log, None).expect("an applier");
    fault::die_after(parts[2].parse().expect("a number"));
    for batch in [3, 5, 100] {
        applier.apply(&log, &ordered.after(applier.place(), batch)).expect("applying");
        log.flush().expect("a flush");
        std::fs::write(path.join("state.new"), applier.state()).expect("a state");
        std::fs::rename(path.join("state.new"), path.join(STATE)).expect("a state");
    }
    fault::die_after(-1);
    std::fs::write(path.join("finished"), "").expect("a word to the parent");
}

fn run_child(path: &Path, durability: &str, point: i64) {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "the_part_of_the_process_that_dies", "--test-threads=1"])
        .env(PART, format!("{}|{durability}|{point}", path.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the child runs");
}

/// Let one process after the other die, until one comes to its end. `watched`: another process has the replica open.
fn each_death(durability: &str, watched: bool) {
    let ordered = ordered();
    let model = Model::of(&ordered);
    let folder = std::env::temp_dir().join(format!("act-fast-replica-{}-{durability}-{watched}", std::process::id()));
    let mut mid_record = 0;
    let step = env_number("ACT_FAST_DEATHS").unwrap_or(5) as usize;
    for point in (1..POINTS_MAX).step_by(step) {
        let path = folder.join(point.to_string());
        std::fs::create_dir_all(&path).expect("a folder");
        let watching = watched.then(|| open(&path.join("log"), durability));
        run_child(&path, durability, point);
        let log = watching.unwrap_or_else(|| open(&path.join("log"), durability));
        let what = format!("{durability}, point {point}");
        let applied = log.applied().expect("how far it is");
        for (place, settled) in model.settled.range(..=applied) {
            assert_eq!(&log.settled(*place).expect("settled"), settled, "{what}: what is applied is applied whole");
        }
        assert!(model.facts.starts_with(&facts(&log)), "{what}");
        let state = std::fs::read(path.join(STATE)).ok().filter(|_| point % 2 == 0);
        let mut applier = Applier::new(&log, state.as_deref()).expect("an applier");
        mid_record += i32::from(log.origin().expect("an origin").place > applied);
        let mut others = Vec::new();
        while applier.place() < ordered.head() {
            others.extend(applier.apply(&log, &ordered.after(applier.place(), 4)).expect("applying"));
        }
        if state.is_none() {
            assert_eq!(others, model.others, "{what}");
        }
        assert!(model.others.ends_with(&others), "{what}");
        assert_is(&log, &ordered, &model);
        assert_eq!(log.applied().expect("how far it is"), ordered.head());
        drop(log);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&path.join("log")));
        let report = verify(&disk, &mut |_, _| Ok(())).expect("a report");
        assert_eq!((report.problems, report.events), (Vec::new(), model.facts.len() as u64), "{what}");
        let finished = path.join("finished").exists();
        std::fs::remove_dir_all(&path).expect("cleaning up");
        if finished {
            assert!(point > 100 && mid_record > 0, "{point} points, {mid_record} of them in the middle of a record");
            std::fs::remove_dir_all(folder).expect("cleaning up");
            return;
        }
    }
    panic!("no process came to its end");
}

#[test]
fn whoever_goes_on_after_a_death_repeats_nothing_and_skips_nothing() {
    each_death("os", false);
}

#[test]
fn a_process_that_has_the_replica_open_goes_on_after_the_death_of_another() {
    each_death("interval", true);
}

#[test]
fn the_same_holds_where_each_apply_is_flushed() {
    each_death("fsync", true);
}
