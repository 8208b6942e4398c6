//! A store with several log files, of which the tests change the form; and what any such change must stand: that the power
//! goes or the process dies at any call of the disk, and that any call fails.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use act_fast_core::{Durability, Error, Log, NewEvent, Options, Part, Patience, verify};

use super::contents::{self, Contents};
use super::lying_disk::{Call, Loss, LyingDisk, Verdict};
use super::rng::{self, Rng};
use super::{env_number, options};

/// How many commits the store has, of two events each.
pub(crate) const EVENTS: u64 = 160;

pub(crate) fn opened(disk: &LyingDisk) -> Arc<Log> {
    opened_with(disk, Options::default().unpacked_max_bytes)
}

pub(crate) fn opened_with(disk: &LyingDisk, unpacked_max_bytes: u64) -> Arc<Log> {
    let options = Options { unpacked_max_bytes, ..options(Durability::Fsync) };
    Log::open(disk.shared(), options).expect("a store")
}

pub(crate) fn append(log: &Log, number: u64) {
    let data = format!(r#"{{"n":{number},"pad":"{}"}}"#, "xyz".repeat(100));
    let name = ["Opened", "Deposited", "Closed"][number as usize % 3];
    let tag = format!("course:{}", number % 5);
    let events = [NewEvent { name, data: data.as_bytes(), tags: &[&tag] }, NewEvent { name, data: b"1", tags: &[] }];
    let stream = format!("s-{}", number % 13);
    let meta = format!(r#"{{"number":{number}}}"#);
    log.append(&[Part { stream: &stream, events: &events, expected: None }], meta.as_bytes(), Patience::Wait)
        .expect("room");
}

/// The store, plain and closed.
pub(crate) fn filled() -> LyingDisk {
    let disk = LyingDisk::new();
    let log = opened(&disk);
    for number in 0..EVENTS {
        append(&log, number);
        if number % 17 == 0 {
            log.save_snapshot(&format!("s-{}", number % 13), 1, format!("state {number}").as_bytes()).expect("room");
        }
    }
    log.shut_down().expect("closed");
    disk
}

/// All that a store holds, which must verify clean.
pub(crate) fn sound(disk: &LyingDisk) -> Contents {
    let log = opened(disk);
    let found = contents::read(&log).expect("a readable store");
    drop(log);
    let report = verify(&disk.shared(), &mut |_, _| Ok(())).expect("a report");
    assert_eq!(report.problems, Vec::new());
    found
}

pub(crate) fn segment(number: u64) -> String {
    format!("log/{number:08}.seg")
}

pub(crate) fn format_of(disk: &LyingDisk, number: u64) -> u8 {
    disk.bytes(&segment(number))[8]
}

/// How many bytes the first `count` log files have.
pub(crate) fn bytes_of(disk: &LyingDisk, count: u64) -> usize {
    (0..count).map(|at| disk.bytes(&segment(at)).len()).sum()
}

/// A change of form, and its undoing.
pub(crate) struct Change<'a> {
    /// What tells its seeds from others'.
    pub(crate) name: &'a str,
    /// The format that log files have then.
    pub(crate) format: u8,
    /// Makes a store.
    pub(crate) store: &'a dyn Fn() -> LyingDisk,
    /// Changes all log files; how many there were.
    pub(crate) make: &'a dyn Fn(&Log) -> Result<u64, Error>,
    /// Undoes that.
    pub(crate) undo: &'a dyn Fn(&Log) -> Result<u64, Error>,
    /// All that a store holds, which must be sound.
    pub(crate) held: &'a dyn Fn(&LyingDisk) -> Contents,
}

impl Change<'_> {
    fn work(&self, undoing: bool, log: &Log) -> Result<u64, Error> {
        if undoing { (self.undo)(log) } else { (self.make)(log) }
    }

    /// How many of the first log files of a store have the form.
    pub(crate) fn made(&self, disk: &LyingDisk, count: u64) -> u64 {
        (0..count).filter(|at| format_of(disk, *at) == self.format).count() as u64
    }

    /// At any moment, a power cut or a kill leaves the same store; and the next call does what is left.
    pub(crate) fn stands_cuts_and_kills(&self) {
        let images = env_number("ACT_FAST_IMAGES").map_or(200, |images| images as usize);
        let mut rng = Rng::new(rng::seed(self.name));
        let disk = (self.store)();
        let before = (self.held)(&disk);
        for undoing in [false, true] {
            assert_eq!((self.held)(&disk), before);
            let log = opened(&disk);
            disk.record();
            let changed = self.work(undoing, &log).expect("room");
            let checkpoints = disk.checkpoints();
            let mut counts = BTreeSet::new();
            for number in 0..images {
                let checkpoint = &checkpoints[rng.below(checkpoints.len())];
                let found = if number % 2 == 0 {
                    checkpoint.killed()
                } else {
                    LyingDisk::from_image(&checkpoint.image(losses(&mut rng), &mut rng).rebooted())
                };
                let made = self.made(&found, changed);
                counts.insert(made);
                assert_eq!((self.held)(&found), before, "after {}", checkpoint.after);
                let names = found.shared().list("log").expect("a list");
                assert!(names.iter().all(|name| name.ends_with(".seg")), "{names:?}");
                if number % 10 == 0 {
                    let log = opened(&found);
                    assert_eq!(self.work(undoing, &log).expect("room"), if undoing { made } else { changed - made });
                    drop(log);
                    assert_eq!((self.held)(&found), before);
                }
            }
            assert_eq!(counts.len() as u64, changed + 1, "no image is from between some of the files");
        }
    }

    /// Whatever call fails, the store is whole, and the next attempt goes through. Each `step`th call fails.
    pub(crate) fn stands_failures(&self, step: u64) {
        let before = (self.held)(&(self.store)());
        for error in [5, 28] {
            for undoing in [false, true] {
                let mut number = 1;
                while self.stands_failure(error, undoing, number, &before) {
                    number += step;
                }
                assert!(number > 30, "only {number} calls");
            }
        }
    }

    /// The same of one call; whether there are that many.
    fn stands_failure(&self, error: i32, undoing: bool, number: u64, before: &Contents) -> bool {
        let disk = (self.store)();
        if undoing {
            (self.make)(&opened(&disk)).expect("room");
        }
        let log = opened(&disk);
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        disk.intercept(move |call, _| {
            if call != Call::Len && counted.fetch_add(1, Ordering::SeqCst) + 1 == number {
                return Verdict::Fail(io::Error::from_raw_os_error(error));
            }
            Verdict::Go
        });
        let outcome = self.work(undoing, &log);
        disk.repair();
        let reached = calls.load(Ordering::SeqCst) >= number;
        assert!(reached || outcome.is_ok(), "{outcome:?}, and no call had failed");
        assert_eq!(&contents::read(&log.current()).expect("readable"), before, "call {number}");
        drop(log);
        let log = opened(&disk);
        self.work(undoing, &log).expect("room");
        drop(log);
        assert_eq!(&(self.held)(&disk), before, "call {number}");
        reached
    }
}

fn losses(rng: &mut Rng) -> Loss {
    [Loss::Nothing, Loss::Everything, Loss::Chance(20), Loss::Chance(50), Loss::Chance(90)][rng.below(5)]
}
