//! What a power cut leaves, and what the store makes of it.
//!
//! A random *life* of a store runs on a disk that takes down a checkpoint at every call. From each checkpoint crash images
//! are made: what was not flushed may be missing in any combination, sector by sector, length by length, name by name.
//! Each image is opened as by a machine that was started again (or as a copy, or by the same machine after its processes
//! died). It must hold every commit that was acknowledged as durable, and be a prefix of what was asked for, commit by
//! commit; it must take more appends and verify clean. Some images begin a life of their own that is cut short again, so
//! that recovery itself is interrupted. The same harness must find the losses when a disk lies about its flushes.
//!
//! 5,000 images by default, as many as `ACT_FAST_IMAGES` says; `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use act_fast_core::{Durability, Log, Options, verify};
use support::contents::{self, Trouble};
use support::history::{self, Author, Item, Versions};
use support::lying_disk::{Call, Checkpoint, HOUSEKEEPER, Loss, LyingDisk, Verdict};
use support::rng::{self, Rng};
use support::{env_number, options};

/// What a store must hold that is opened from here on.
#[derive(Clone, Debug, Default)]
struct Expect {
    items: Vec<Arc<Item>>,
    /// How many of the items survive a power cut.
    durable: usize,
    /// How many of the items survive the death of all processes.
    returned: usize,
    /// What was being written when the processes died, and how many items were before it. As long as what was written over
    /// it is not durable, a power cut may bring it back: nobody was told that it was not done.
    ghosts: Vec<(usize, Arc<Item>)>,
}

impl Expect {
    /// Find which items a store holds.
    fn recognize(&mut self, required: Required, found: &contents::Contents) -> Result<(), String> {
        let outcome = history::prefix(&self.items, required.items(), found);
        if let Ok(kept) = outcome {
            self.ghosts.extend(self.items.get(kept).map(|item| (kept, Arc::clone(item))));
            self.items.truncate(kept);
            return Ok(());
        }
        for (before, ghost) in self.ghosts.iter().filter(|(before, _)| *before >= required.certain) {
            let mut items = self.items[..*before].to_vec();
            items.push(Arc::clone(ghost));
            if items.len() < required.items() {
                continue;
            }
            if history::prefix(&items, before + 1, found).is_ok() {
                self.items = items;
                return Ok(());
            }
        }
        outcome.map(drop)
    }
}

/// How many items there must be.
#[derive(Clone, Copy, Debug, Default)]
struct Required {
    /// So many were acknowledged: they and no others.
    certain: usize,
    /// So many had been shown to readers. The last may be a ghost that a recovery before this one has found.
    shown: usize,
}

impl Required {
    fn items(self) -> usize {
        self.certain.max(self.shown)
    }
}

/// How the disk misbehaves while the store lives, apart from losing what it may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// Flushes of the log do nothing.
    LogFlush,
    /// Folders are not synced.
    FolderSync,
}

/// A store at work.
struct Life {
    disk: LyingDisk,
    options: Options,
    rng: Rng,
    author: Author,
    handles: Vec<Arc<Log>>,
    now: Expect,
    /// What held at each note in the disk's checkpoints.
    expects: Vec<Expect>,
}

/// What a life leaves behind.
struct Traces {
    checkpoints: Vec<Checkpoint>,
    expects: Vec<Expect>,
}

fn broken(what: &str) -> impl FnOnce(act_fast_core::Error) -> String + '_ {
    move |error| format!("{what}: {error}")
}

fn read(log: &Log) -> Result<contents::Contents, String> {
    contents::read(log).map_err(|trouble| match trouble {
        Trouble::Refused(error) => format!("reading: {error}"),
        Trouble::Wrong(what) => what,
    })
}

impl Life {
    /// Open the store on a disk and compare it with what it must hold.
    fn begin(
        disk: LyingDisk,
        options: &Options,
        expect: Expect,
        required: Required,
        mut rng: Rng,
    ) -> Result<Self, String> {
        let author = Author::new(rng.fork());
        let options = options.clone();
        let mut life =
            Self { disk, options, rng, author, handles: Vec::new(), now: expect.clone(), expects: vec![expect] };
        let present = !life.now.items.is_empty();
        if present && life.rng.chance(20) {
            let reading = Options { read_only: true, ..life.options.clone() };
            match Log::open(life.disk.shared(), reading) {
                Ok(log) => life.now.clone().recognize(required, &read(&log)?)?,
                // Nothing is acknowledged while the store is being made.
                Err(_) if required.items() == 0 => {}
                Err(error) => return Err(format!("opening for reading: {error}")),
            }
        }
        life.open()?;
        let log = Arc::clone(&life.handles[0]);
        life.now.recognize(required, &read(&log)?)?;
        let kept = life.now.items.len();
        life.now.returned = kept;
        if life.options.durability == Durability::Fsync || log.stats().map_err(broken("stats"))?.recovered.is_some() {
            life.now.durable = kept;
        }
        life.now.durable = life.now.durable.min(kept);
        life.settle();
        Ok(life)
    }

    fn open(&mut self) -> Result<(), String> {
        let log = Log::open(self.disk.shared(), self.options.clone()).map_err(broken("opening"))?;
        self.handles.push(log);
        Ok(())
    }

    /// Tell the disk what must hold from here on.
    fn settle(&mut self) {
        self.expects.push(self.now.clone());
        self.disk.note(self.expects.len() - 1);
    }

    fn handle(&mut self) -> Arc<Log> {
        Arc::clone(&self.handles[self.rng.below(self.handles.len())])
    }

    fn ask(&mut self, item: Item) -> Result<(), String> {
        let log = self.handle();
        let expected = Versions::of(&self.now.items);
        let item = Arc::new(item);
        self.now.items.push(Arc::clone(&item));
        self.settle();
        item.ask(&log, self.rng.chance(50).then_some(&expected)).map_err(broken("appending"))?;
        self.now.returned = self.now.items.len();
        if self.options.durability == Durability::Fsync && item.events() > 0 {
            self.now.durable = self.now.items.len();
        }
        self.settle();
        Ok(())
    }

    fn close(&mut self, at: usize) -> Result<(), String> {
        let log = self.handles.swap_remove(at);
        log.shut_down().map_err(broken("closing"))?;
        if self.options.durability != Durability::Os {
            self.now.durable = self.now.items.len();
        }
        self.settle();
        // Sometimes somebody still holds on to what was closed.
        let held = self.rng.chance(50).then_some(log);
        if self.handles.is_empty() {
            self.open()?;
        }
        self.commit()?;
        drop(held);
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), String> {
        for log in std::mem::take(&mut self.handles) {
            log.shut_down().map_err(broken("closing"))?;
        }
        self.now.durable = self.now.items.len();
        self.settle();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), String> {
        let item = self.author.commit();
        self.ask(item)
    }

    fn step(&mut self) -> Result<(), String> {
        match self.rng.below(100) {
            0..74 => self.commit(),
            74..84 => match self.author.snapshot(&self.now.items) {
                Some(item) => self.ask(item),
                None => Ok(()),
            },
            84..88 if self.handles.len() < 3 => self.open(),
            88..94 => {
                let at = self.rng.below(self.handles.len());
                self.close(at)
            }
            94..96 => self.handle().rebuild_index().map_err(broken("rebuilding the index")),
            _ => {
                self.handle().flush().map_err(broken("flushing"))?;
                self.now.durable = self.now.items.len();
                self.settle();
                Ok(())
            }
        }
    }

    /// Close it; everything must be in order.
    fn end(mut self) -> Result<(), String> {
        self.close_all()?;
        let report = verify(&self.disk.shared(), &mut |_, _| Ok(())).map_err(broken("verifying"))?;
        match report.problems.first() {
            Some(problem) => Err(format!("verifying: {problem:?}")),
            None if report.events != history::contents(&self.now.items).events.len() as u64 => {
                Err(format!("verifying: {} events", report.events))
            }
            None => Ok(()),
        }
    }
}

/// How an image is come upon.
#[derive(Clone, Copy, Debug)]
enum Restart {
    /// The machine was started again.
    Reboot,
    /// The files were copied elsewhere.
    Copy,
    /// The processes died, the machine went on.
    Kill,
}

/// Many lives, and the images that they leave.
struct Campaign {
    durability: Durability,
    lie: Lie,
    images: u64,
    violations: Vec<String>,
}

impl Campaign {
    fn new(durability: Durability, lie: Lie) -> Self {
        Self { durability, lie, images: 0, violations: Vec::new() }
    }

    /// The first life of a store: random, cut short, and taken down at every step.
    fn live(&mut self, seed: u64, steps: usize) -> Option<Traces> {
        let mut rng = Rng::new(seed);
        let disk = LyingDisk::new();
        let lie = self.lie;
        // Left to itself the housekeeper works when it likes; one half of the lives does without, and repeats exactly.
        let alone = rng.chance(50);
        if rng.chance(25) {
            disk.mute();
        }
        disk.intercept(move |call, name| match call {
            Call::Flush if lie == Lie::LogFlush && name.ends_with(".seg") => Verdict::Lie,
            Call::SyncFolder if lie == Lie::FolderSync => Verdict::Lie,
            _ if alone && std::thread::current().name() == Some(HOUSEKEEPER) => {
                Verdict::Fail(std::io::Error::other("not now"))
            }
            _ => Verdict::Go,
        });
        disk.record();
        let mut outcome =
            Life::begin(disk.clone(), &options(self.durability), Expect::default(), Required::default(), rng.fork());
        let mut expects = Vec::new();
        if let Ok(life) = &mut outcome {
            let mut done = (0..steps).try_for_each(|_| life.step());
            if rng.chance(60) {
                done = done.and_then(|()| life.close_all());
            }
            expects = std::mem::take(&mut life.expects);
            if let Err(what) = done {
                outcome = Err(what);
            }
        }
        let checkpoints = disk.checkpoints();
        match outcome {
            Ok(_) => Some(Traces { checkpoints, expects }),
            Err(what) => {
                self.violations.push(format!("seed {seed}: {what}"));
                None
            }
        }
    }

    /// Make one image and look at it.
    fn examine(&mut self, traces: &Traces, at: usize, loss: Loss, restart: Restart, rng: &mut Rng, depth: u32) {
        self.images += 1;
        let checkpoint = &traces.checkpoints[at];
        if let Err(what) = self.open_image(checkpoint, &traces.expects[checkpoint.note], loss, restart, rng, depth) {
            let after = &checkpoint.after;
            self.violations.push(format!("checkpoint {at}, after {after}, {restart:?}, {loss:?}: {what}"));
        }
    }

    fn open_image(
        &mut self,
        checkpoint: &Checkpoint,
        expect: &Expect,
        loss: Loss,
        restart: Restart,
        rng: &mut Rng,
        depth: u32,
    ) -> Result<(), String> {
        let mut required = Required { certain: expect.durable, shown: 0 };
        if self.durability == Durability::Fsync {
            required.shown = shown(&expect.items, checkpoint.published());
        }
        let disk = match restart {
            Restart::Kill => {
                required = Required { certain: expect.returned, shown: 0 };
                checkpoint.killed()
            }
            Restart::Reboot => LyingDisk::from_image(&checkpoint.image(loss, rng).rebooted()),
            Restart::Copy => LyingDisk::from_image(&checkpoint.image(loss, rng).copied()),
        };
        let nested = depth > 0 && rng.chance(10);
        disk.note(0);
        if nested {
            disk.record();
        }
        // Until it is open again, nothing more is certain than after what has just happened.
        let expect = Expect { returned: required.items(), ..expect.clone() };
        let mut life = Life::begin(disk.clone(), &options(self.durability), expect, required, rng.fork())?;
        life.commit()?;
        if nested {
            let steps = rng.below(8);
            (0..steps).try_for_each(|_| life.step())?;
            let traces = Traces { checkpoints: disk.checkpoints(), expects: life.expects.clone() };
            for _ in 0..8 {
                let at = rng.below(traces.checkpoints.len());
                let (loss, restart) = chance(&traces.checkpoints[at], rng);
                self.examine(&traces, at, loss, restart, rng, depth - 1);
            }
        }
        let kept = read(&life.handles[0])?;
        history::prefix(&life.now.items, life.now.items.len(), &kept)?;
        life.end()
    }

    /// Random lives, and random images of each.
    fn wander(&mut self, images: u64, seed: u64) {
        let mut rng = Rng::new(seed);
        while self.images < images {
            let (story, steps) = (rng.next(), 5 + rng.below(40));
            let Some(traces) = self.live(story, steps) else { continue };
            let known = self.violations.len();
            for _ in 0..(images - self.images).min(120) {
                let last = traces.checkpoints.len() - 1;
                let at = if rng.chance(10) { last } else { rng.below(last + 1) };
                let (loss, restart) = chance(&traces.checkpoints[at], &mut rng);
                self.examine(&traces, at, loss, restart, &mut rng, 2);
            }
            for violation in &mut self.violations[known..] {
                violation.insert_str(0, &format!("life {story} of {steps} steps, "));
            }
            if self.violations.len() > 20 {
                return;
            }
        }
    }

    /// One life, and of every boundary in it: nothing missing, everything, each single unit, all but each.
    fn comb(&mut self, seed: u64, steps: usize) {
        let Some(traces) = self.live(seed, steps) else { return };
        self.comb_traces(&traces, &mut Rng::new(seed));
    }

    fn comb_traces(&mut self, traces: &Traces, rng: &mut Rng) {
        for at in 0..traces.checkpoints.len() {
            self.examine(traces, at, Loss::Nothing, Restart::Reboot, rng, 0);
            self.examine(traces, at, Loss::Everything, Restart::Reboot, rng, 0);
            if traces.checkpoints[at].of_one_instant {
                self.examine(traces, at, Loss::Nothing, Restart::Kill, rng, 0);
            }
            for unit in 0..traces.checkpoints[at].units().min(40) {
                self.examine(traces, at, Loss::One(unit), Restart::Reboot, rng, 0);
                self.examine(traces, at, Loss::AllBut(unit), Restart::Reboot, rng, 0);
            }
        }
    }

    fn assert_clean(&self) {
        let first: Vec<_> = self.violations.iter().take(5).collect();
        assert!(first.is_empty(), "{} violations in {} images: {first:#?}", self.violations.len(), self.images);
        eprintln!("{} images, no violation", self.images);
    }
}

/// How many items are needed for `published` events.
fn shown(items: &[Arc<Item>], published: u64) -> usize {
    let mut events = 0;
    let enough = |item: &Arc<Item>| {
        events += item.events() as u64;
        events >= published
    };
    if published == 0 { 0 } else { items.iter().position(enough).map_or(items.len(), |at| at + 1) }
}

fn chance(checkpoint: &Checkpoint, rng: &mut Rng) -> (Loss, Restart) {
    let units = checkpoint.units().max(1);
    let loss = match rng.below(8) {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 => Loss::One(rng.below(units)),
        3 => Loss::AllBut(rng.below(units)),
        4 => Loss::Chance(10),
        5 => Loss::Chance(90),
        _ => Loss::Chance(50),
    };
    let restarts = [Restart::Reboot, Restart::Reboot, Restart::Copy, Restart::Kill];
    (loss, restarts[rng.below(if checkpoint.of_one_instant { 4 } else { 3 })])
}

/// How many images a test makes whose share of all is `percent`.
fn share(percent: u64) -> u64 {
    env_number("ACT_FAST_IMAGES").unwrap_or(5000) * percent / 100
}

fn wandering(test: &str, durability: Durability, percent: u64) {
    let mut campaign = Campaign::new(durability, Lie::None);
    campaign.wander(share(percent), rng::seed(test));
    campaign.assert_clean();
}

#[test]
fn a_restart_of_the_machine_is_told_from_the_death_of_a_process() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    Item::event("a", "Asked", "1").ask(&log, None).expect("appending");
    let checkpoint = disk.checkpoint();
    let recovered = |disk: LyingDisk| {
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening again");
        log.stats().expect("stats").recovered.is_some()
    };
    assert!(!recovered(checkpoint.killed()));
    let image = checkpoint.image(Loss::Nothing, &mut Rng::new(1));
    assert!(recovered(LyingDisk::from_image(&image.clone().rebooted())));
    assert!(recovered(LyingDisk::from_image(&image.copied())));
}

#[test]
fn whatever_an_fsync_store_loses_was_never_acknowledged() {
    wandering("fsync", Durability::Fsync, 50);
}

#[test]
fn an_interval_store_keeps_a_prefix_that_holds_all_that_was_flushed() {
    wandering("interval", Durability::Interval, 15);
}

#[test]
fn an_os_store_keeps_a_prefix() {
    wandering("os", Durability::Os, 15);
}

#[test]
fn every_single_loss_at_every_boundary_of_a_small_store_is_survived() {
    let mut campaign = Campaign::new(Durability::Fsync, Lie::None);
    let mut rng = Rng::new(rng::seed("boundaries"));
    while campaign.images < share(20) && campaign.violations.is_empty() {
        campaign.comb(rng.next(), 5);
    }
    campaign.assert_clean();
}

#[test]
fn a_recovery_may_be_cut_short_at_every_boundary() {
    let seed = rng::seed("recovery");
    let mut rng = Rng::new(seed);
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Os)).expect("opening");
    let item = |number: usize| Item::event(&format!("s-{}", number % 4), "Written", &format!("\"{number:>3000}\""));
    let items: Vec<_> = (0..20).map(|number| Arc::new(item(number))).collect();
    for item in &items {
        item.ask(&log, None).expect("appending");
    }
    // A hole in the first log file, whole ones behind it.
    let image = disk.checkpoint().image(Loss::One(10), &mut rng).rebooted();
    let disk = LyingDisk::from_image(&image);
    disk.record();
    let log = Log::open(disk.shared(), options(Durability::Os)).expect("opening again");
    let kept = history::prefix(&items, 1, &read(&log).expect("reading")).expect("a prefix");
    log.shut_down().expect("closing");
    let expect = Expect { items: items[..kept].to_vec(), durable: kept, returned: kept, ghosts: Vec::new() };
    let traces = Traces { checkpoints: disk.checkpoints(), expects: vec![expect] };
    let mut campaign = Campaign::new(Durability::Os, Lie::None);
    campaign.comb_traces(&traces, &mut rng);
    campaign.assert_clean();
}

#[test]
fn an_opening_may_be_cut_short_at_every_boundary_and_what_comes_after_is_kept() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    let items: Vec<_> = (0..2).map(|number| Arc::new(Item::event("s", "Written", &number.to_string()))).collect();
    items[0].ask(&log, None).expect("appending");
    log.shut_down().expect("closing");
    drop(log);
    disk.record();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening what was closed");
    let checkpoints = disk.checkpoints();
    drop(log);
    assert!(checkpoints.iter().any(|checkpoint| checkpoint.after == "beginning to flush control"));
    for checkpoint in checkpoints.into_iter().filter(|checkpoint| checkpoint.of_one_instant) {
        // Whoever was opening it dies; the next one appends; then the power goes.
        let disk = checkpoint.killed();
        let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening after a death");
        items[1].ask(&log, None).expect("appending again");
        let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
        let log = Log::open(LyingDisk::from_image(&image).shared(), options(Durability::Fsync)).expect("opening again");
        history::prefix(&items, 2, &read(&log).expect("reading")).expect(&checkpoint.after);
    }
}

#[test]
fn a_disk_that_skips_the_flushes_of_the_log_is_found_out() {
    let mut campaign = Campaign::new(Durability::Fsync, Lie::LogFlush);
    campaign.wander(200, rng::seed("skipped flush"));
    assert!(!campaign.violations.is_empty(), "{} images did not show that flushes were skipped", campaign.images);
}

#[test]
fn a_disk_that_does_not_sync_folders_is_found_out() {
    let mut campaign = Campaign::new(Durability::Fsync, Lie::FolderSync);
    campaign.wander(200, rng::seed("skipped folder sync"));
    assert!(!campaign.violations.is_empty(), "{} images did not show that folders were not synced", campaign.images);
}

#[test]
fn what_a_dead_process_owed_to_the_interval_is_flushed_by_the_next() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Interval)).expect("opening");
    Item::event("a", "Written", "1").ask(&log, None).expect("appending");
    let stats = log.stats().expect("numbers");
    assert!(stats.flushed_bytes < stats.log_bytes, "the interval is an hour");
    let died = disk.checkpoint().killed();
    let options = Options { flush_interval: Duration::from_millis(1), ..options(Durability::Interval) };
    let log = Log::open(died.shared(), options).expect("opening again");
    await_flush(&log);
    assert_eq!(contents::read(&log).expect("reading").events.len(), 1);
}

#[test]
fn what_is_appended_is_flushed_within_the_interval() {
    let disk = LyingDisk::new();
    let options = Options { flush_interval: Duration::from_millis(1), ..options(Durability::Interval) };
    let log = Log::open(disk.shared(), options.clone()).expect("opening");
    for number in 0..3 {
        Item::event("a", "Written", &number.to_string()).ask(&log, None).expect("appending");
        await_flush(&log);
        let image = disk.checkpoint().image(Loss::Everything, &mut Rng::new(1)).rebooted();
        let left = Log::open(LyingDisk::from_image(&image).shared(), options.clone()).expect("opening what is left");
        assert_eq!(contents::read(&left).expect("reading").events.len(), number + 1);
    }
}

/// Return when all is flushed that was appended, by whatever flushes it.
fn await_flush(log: &Log) {
    let begun = Instant::now();
    loop {
        let stats = log.stats().expect("numbers");
        if stats.flushed_bytes == stats.log_bytes {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing flushes it: {stats:?}");
        std::thread::yield_now();
    }
}
