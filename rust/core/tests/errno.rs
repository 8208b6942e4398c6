//! Every call on the disk fails, one after the other.
//!
//! Fixed scripts run on a disk whose N-th call fails, for every N there is: once, or for ever from then on; as a full
//! disk, as an input/output error, as an interruption, as a write that does half its work. Whatever fails, what was
//! acknowledged stays, readers go on, errors say what kind they are, and once the disk behaves again and the store has
//! been opened anew everything works. A failed flush loses what it was to flush, as it does on real systems, so each run
//! ends with a power cut as well.

mod support;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use act_fast_core::reactions::{ClaimOptions, Selection};
use act_fast_core::{Durability, Error, Log, NewEvent, Options, Part, Patience, verify};
use support::contents::{self, Contents};
use support::control_file;
use support::history::{self, Author, Item};
use support::lying_disk::{Call, HOUSEKEEPER, Loss, LyingDisk, Verdict};
use support::options;
use support::program::{StandingClock, correlate_all, positions, program, spec};
use support::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// ENOSPC, from calls that take space.
    Full,
    /// EIO, from calls that change the disk.
    WriteFails,
    /// EIO, from any call.
    AnyFails,
    /// EINTR, from any call.
    Interrupted,
    /// Half a write.
    Short,
    /// EMFILE, from calls that need a descriptor.
    TooManyFiles,
    /// ENOMEM, from mappings.
    NoAddressSpace,
}

impl Fault {
    fn concerns(self, call: Call) -> bool {
        use Call::{
            CreateFolder, Flush, Identity, Len, List, Lock, Map, Open, Remove, RemoveFolder, Rename, Reserve,
            SyncFolder, Write,
        };
        match (self, call) {
            (Self::AnyFails | Self::Interrupted, _) => true,
            (Self::TooManyFiles, call) => matches!(call, Open | List | Lock | SyncFolder),
            (Self::NoAddressSpace, call) => call == Map,
            (_, Open | Len | Map | Identity | List | Lock) => false,
            (Self::Full, Remove | RemoveFolder) => false,
            (Self::Short, Flush | Reserve | Rename | CreateFolder | SyncFolder | Remove | RemoveFolder) => false,
            (_, Write | Flush | Reserve | Rename | CreateFolder | SyncFolder | Remove | RemoveFolder) => true,
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Full => Verdict::Fail(io::Error::from_raw_os_error(28)),
            Self::WriteFails | Self::AnyFails => Verdict::Fail(io::Error::from_raw_os_error(5)),
            Self::Interrupted => Verdict::Fail(io::Error::from_raw_os_error(4)),
            Self::Short => Verdict::Short,
            Self::TooManyFiles => Verdict::Fail(io::Error::from_raw_os_error(24)),
            Self::NoAddressSpace => Verdict::Fail(io::Error::from_raw_os_error(12)),
        }
    }

    /// Whether an error is of the kind that this fault is to be told as.
    fn explains(self, error: &Error) -> bool {
        match (self, error) {
            // What cannot have touched the disk fails that call alone.
            (Self::TooManyFiles | Self::NoAddressSpace, Error::Io { .. } | Error::Unknown(_)) => true,
            (Self::TooManyFiles | Self::NoAddressSpace, _) => false,
            // A store that has failed once says so from then on.
            (_, Error::Failed(_) | Error::Unknown(_)) => true,
            (Self::Full, Error::Full(_)) => true,
            (Self::WriteFails | Self::AnyFails | Self::Interrupted, Error::Io { .. }) => true,
            _ => false,
        }
    }
}

/// A script at work.
struct Run {
    disk: LyingDisk,
    options: Options,
    author: Author,
    handles: Vec<Arc<Log>>,
    /// All that was asked for, and whether it was acknowledged.
    items: Vec<(Arc<Item>, bool)>,
    /// Those that were refused by an error that does not leave it open whether they are there.
    refused: Vec<Arc<Item>>,
    errors: Vec<Error>,
}

impl Run {
    fn new(disk: LyingDisk, options: &Options) -> Self {
        let author = Author::new(Rng::new(12));
        Self {
            disk,
            options: options.clone(),
            author,
            handles: Vec::new(),
            items: Vec::new(),
            refused: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn note<T>(&mut self, outcome: Result<T, Error>) -> Option<T> {
        outcome.map_err(|error| self.errors.push(error)).ok()
    }

    fn open(&mut self) {
        let outcome = Log::open(self.disk.shared(), self.options.clone());
        if let Some(log) = self.note(outcome) {
            self.handles.push(log);
        }
    }

    fn close(&mut self) {
        if let Some(log) = self.handles.pop() {
            let outcome = log.shut_down();
            self.note(outcome);
        }
    }

    /// Ask the handle opened last.
    fn ask(&mut self, item: Item) {
        if let Some(log) = self.handles.last().cloned() {
            let outcome = item.ask(&log, None);
            let item = Arc::new(item);
            // A snapshot that was refused may be there: it is no more than a shortcut.
            let refused = matches!(&outcome, Err(error) if !matches!(error, Error::Unknown(_)));
            if refused && item.events() > 0 {
                self.refused.push(Arc::clone(&item));
            }
            let done = self.note(outcome).is_some();
            self.items.push((item, done));
        }
    }

    fn commit_of(&mut self, stream: &str, bytes: usize) {
        let number = self.items.len();
        self.ask(Item::event(stream, "Written", &format!(r#"{{"n":{number},"pad":"{}"}}"#, "y".repeat(bytes))));
    }

    fn commit(&mut self) {
        let item = self.author.commit();
        self.ask(item);
    }

    fn snapshot(&mut self, stream: &str) {
        let Some(log) = self.handles.last().cloned() else { return };
        let version = log.version(stream);
        if let Some(version) = self.note(version).filter(|version| *version > 0) {
            let data = format!(r#"{{"at":{version}}}"#).into_bytes();
            self.ask(Item::Snapshot { stream: stream.to_owned(), version, data });
        }
    }

    fn kept(&self, found: &Contents) -> Vec<Arc<Item>> {
        let kept =
            history::selection(&self.items, found).unwrap_or_else(|what| panic!("{what}; errors: {:?}", self.errors));
        for refused in &self.refused {
            let there = kept.iter().any(|item| Arc::ptr_eq(item, refused));
            assert!(!there, "{refused:?} was refused and is there; errors: {:?}", self.errors);
        }
        kept
    }
}

/// Make a store, write into several log files by two handles, rebuild, close, open again.
fn a_small_store(run: &mut Run) {
    run.open();
    run.commit_of("a", 10);
    run.commit();
    run.commit_of("b", 6000);
    run.snapshot("a");
    run.commit_of("b", 6000);
    run.open();
    run.commit_of("c", 5000);
    run.commit();
    run.close();
    run.commit_of("a", 2);
    if let Some(log) = run.handles.last().cloned() {
        let outcome = log.rebuild_index();
        run.note(outcome);
    }
    run.commit_of("a", 3);
    run.snapshot("b");
    run.close();
    run.open();
    run.commit_of("a", 4);
    run.snapshot("a");
    run.commit();
}

/// A log file that grows while it is written, and a hash table that grows.
fn a_growing_store(run: &mut Run) {
    run.open();
    for number in 0..7 {
        run.commit_of(&format!("s-{number}"), 60_000);
    }
    let data = b"{}".to_vec();
    let parts = (0..120).map(|number| (format!("t-{number}"), vec![("Made".to_owned(), data.clone())])).collect();
    run.ask(Item::Commit { parts, meta: Vec::new() });
    run.snapshot("s-1");
    run.commit_of("s-0", 9);
}

/// Open a store that is there, and use it.
fn a_store_that_is_there(run: &mut Run) {
    run.open();
    run.commit_of("s-1", 9);
    run.commit();
    run.close();
}

type Script = fn(&mut Run);

/// What a script finds.
#[derive(Default)]
struct Start {
    disk: LyingDisk,
    items: Vec<(Arc<Item>, bool)>,
}

fn growing(durability: Durability) -> Options {
    Options { segment_bytes: 512 << 10, ..options(durability) }
}

/// Run a script on a disk where call `number` fails, if the fault concerns it. Answers how many calls there were.
fn play(run: &mut Run, script: Script, fault: Fault, number: u64, forever: bool) -> u64 {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let traced = std::env::var_os("ACT_FAST_TRACE").is_some();
    run.disk.intercept(move |call, name| {
        if std::thread::current().name() == Some("act-fast-housekeeper") {
            return Verdict::Fail(io::Error::other("not now"));
        }
        if !fault.concerns(call) {
            return Verdict::Go;
        }
        let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
        if traced && number == 0 {
            eprintln!("{fault:?} {now}: {call:?} {name}");
        }
        if now == number || (forever && now > number) { fault.verdict() } else { Verdict::Go }
    });
    script(run);
    calls.load(Ordering::SeqCst)
}

fn read(log: &Log) -> Contents {
    contents::read(log).expect("reading")
}

/// All that must hold when call `number` fails.
fn check(script: Script, options: &Options, start: &Start, fault: Fault, number: u64, forever: bool) {
    let mut run = Run::new(start.disk.checkpoint().killed(), options);
    run.items.clone_from(&start.items);
    play(&mut run, script, fault, number, forever);
    for error in &run.errors {
        assert!(fault.explains(error), "{error:?}");
    }
    if matches!(fault, Fault::Short) {
        assert!(run.errors.is_empty(), "{:?}", run.errors);
    }
    let failed = run.errors.iter().any(|error| error.to_string().contains("takes no more appends"));
    // Reading goes on, whether or not the disk still refuses to be written to.
    let reads = !matches!(fault, Fault::AnyFails | Fault::TooManyFiles | Fault::NoAddressSpace);
    if let Some(log) = run.handles.last().filter(|_| reads) {
        run.kept(&read(log));
    }
    run.disk.repair();
    // When there is room again, the same handle goes on, unless a flush has failed.
    if matches!(fault, Fault::Full | Fault::TooManyFiles | Fault::NoAddressSpace) && !failed && !run.handles.is_empty()
    {
        let before = run.errors.len();
        run.commit_of("a", 1);
        assert_eq!(run.errors.len(), before, "{:?}", run.errors.last());
    }

    let cut = run.disk.checkpoint();
    while !run.handles.is_empty() {
        run.close();
    }
    run.open();
    let log = run.handles.pop().unwrap_or_else(|| panic!("{:?}", run.errors.last()));
    let mut items = run.kept(&read(&log));
    let last = Arc::new(Item::event("a", "Last", r#"{"last":true}"#));
    last.ask(&log, None).expect("appending to a repaired disk");
    items.push(last);
    assert_eq!(history::contents(&items), read(&log));
    let all: Vec<_> = items.iter().map(|item| (Arc::clone(item), options.durability == Durability::Fsync)).collect();
    if options.durability == Durability::Fsync {
        power_cut(&cut.image(Loss::Everything, &mut Rng::new(number)).rebooted(), options, &run.items);
        power_cut(&run.disk.checkpoint().image(Loss::Everything, &mut Rng::new(number)).rebooted(), options, &all);
    }
    log.shut_down().expect("closing");
    drop(log);
    let report = verify(&run.disk.shared(), &mut |_, _| Ok(())).expect("verifying");
    assert_eq!(report.problems, []);
    assert!(report.index_checked);
    // It was closed, so its index is believed: all of it has to be there.
    power_cut(&run.disk.checkpoint().image(Loss::Nothing, &mut Rng::new(number)).rebooted(), options, &all);
}

/// Commits that were acknowledged survive; snapshots need a commit behind them to do so.
fn power_cut(image: &support::lying_disk::Image, options: &Options, items: &[(Arc<Item>, bool)]) {
    let last = items.iter().rposition(|(item, certain)| *certain && item.events() > 0);
    let Some(last) = last else { return };
    let log = Log::open(LyingDisk::from_image(image).shared(), options.clone()).expect("opening after a power cut");
    let certain: Vec<_> = (0..).zip(items).map(|(at, (item, done))| (Arc::clone(item), *done && at <= last)).collect();
    history::selection(&certain, &read(&log)).unwrap_or_else(|what| panic!("after a power cut: {what}"));
}

fn sweep(script: Script, options: &Options, start: &Start, faults: &[(Fault, bool)]) {
    for (fault, forever) in faults {
        let calls = play(&mut Run::new(start.disk.checkpoint().killed(), options), script, *fault, 0, false);
        assert!(calls > 3, "{fault:?} concerns {calls} calls");
        for number in 1..=calls {
            let what = format!("{fault:?} at call {number}, for ever: {forever}");
            let outcome = catch_unwind(AssertUnwindSafe(|| check(script, options, start, *fault, number, *forever)));
            assert!(outcome.is_ok(), "{what}");
        }
        eprintln!("{fault:?}, for ever: {forever}: {calls} calls");
    }
}

const ALL: [(Fault, bool); 13] = [
    (Fault::Full, false),
    (Fault::Full, true),
    (Fault::WriteFails, false),
    (Fault::WriteFails, true),
    (Fault::AnyFails, false),
    (Fault::AnyFails, true),
    (Fault::Interrupted, false),
    (Fault::Short, false),
    (Fault::Short, true),
    (Fault::TooManyFiles, false),
    (Fault::TooManyFiles, true),
    (Fault::NoAddressSpace, false),
    (Fault::NoAddressSpace, true),
];

const MOST: [(Fault, bool); 8] = [
    (Fault::Full, false),
    (Fault::Full, true),
    (Fault::WriteFails, false),
    (Fault::WriteFails, true),
    (Fault::AnyFails, false),
    (Fault::Short, false),
    (Fault::TooManyFiles, false),
    (Fault::NoAddressSpace, false),
];

#[test]
fn any_call_may_fail_while_a_store_is_made_and_used_with_fsync() {
    sweep(a_small_store, &options(Durability::Fsync), &Start::default(), &ALL);
}

#[test]
fn any_call_may_fail_while_a_store_is_made_and_used_without_flushes() {
    sweep(a_small_store, &options(Durability::Os), &Start::default(), &MOST);
}

#[test]
fn any_call_may_fail_while_log_file_and_hash_table_grow() {
    sweep(a_growing_store, &growing(Durability::Fsync), &Start::default(), &MOST);
}

#[test]
fn any_call_may_fail_while_a_store_is_recovered_after_a_power_cut() {
    sweep(a_store_that_is_there, &options(Durability::Fsync), &torn(), &ALL);
}

/// What a power cut left of a store that did not flush: a hole in its first log file, whole ones behind it.
fn torn() -> Start {
    let disk = LyingDisk::new();
    let mut run = Run::new(disk.clone(), &options(Durability::Os));
    run.open();
    for number in 0..12 {
        run.commit_of(&format!("s-{}", number % 3), 3000);
    }
    let items: Vec<_> = run.items.iter().map(|(item, _)| Arc::clone(item)).collect();
    // The eighth sector that was written is missing.
    let image = disk.checkpoint().image(Loss::One(8), &mut Rng::new(1)).rebooted();
    let log = Log::open(LyingDisk::from_image(&image).shared(), run.options.clone()).expect("opening");
    let kept = history::prefix(&items, 0, &read(&log)).expect("a prefix");
    assert!((1..items.len() - 6).contains(&kept), "{kept} of {} commits", items.len());
    Start {
        disk: LyingDisk::from_image(&image),
        items: items[..kept].iter().map(|item| (Arc::clone(item), true)).collect(),
    }
}

#[test]
fn a_flush_that_failed_is_not_tried_again_by_those_who_waited_for_it() {
    let disk = LyingDisk::new();
    let options = options(Durability::Fsync);
    let log = Log::open(disk.shared(), options.clone()).expect("opening");
    let other = Log::open(disk.shared(), options.clone()).expect("opening");
    Item::event("a", "Kept", "1").ask(&log, None).expect("appending");
    let flushes = Arc::new(AtomicU64::new(0));
    let (counted, watched) = (Arc::clone(&flushes), disk.clone());
    disk.intercept(move |call, name| {
        if call != Call::Flush || !name.ends_with(".seg") {
            return Verdict::Go;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        // The disk is slow, until somebody else is waiting for this flush.
        while !control_file::flush_awaited(&watched.bytes("control")) {
            std::thread::yield_now();
        }
        Fault::WriteFails.verdict()
    });
    let ask = |log: &Arc<Log>, data: &str| Item::event("a", "Lost", data).ask(log, None);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| ask(&log, "2"));
        let second = scope.spawn(|| ask(&other, "3"));
        for outcome in [first, second] {
            let outcome = outcome.join().expect("no panic");
            assert!(matches!(outcome, Err(Error::Unknown(_))), "{outcome:?}");
        }
    });
    assert!(matches!(ask(&log, "4"), Err(Error::Failed(_))));
    assert!(matches!(log.flush(), Err(Error::Failed(_)) | Ok(())));
    assert_eq!(flushes.load(Ordering::SeqCst), 1, "a failed flush was tried again");
    assert_eq!(read(&log).events.len(), 1);
    disk.repair();
    for log in [log, other] {
        log.shut_down().expect("closing");
    }
    let log = Log::open(disk.shared(), options).expect("opening again");
    assert_eq!(read(&log).events.len(), 1);
    ask(&log, "5").expect("appending again");
}

#[test]
fn a_store_that_failed_takes_no_appends_until_all_of_its_handles_are_closed() {
    let disk = LyingDisk::new();
    let options = options(Durability::Fsync);
    let log = Log::open(disk.shared(), options.clone()).expect("opening");
    let other = Log::open(disk.shared(), options.clone()).expect("opening");
    disk.intercept(|call, name| match call {
        Call::Flush if name.ends_with(".seg") => Fault::WriteFails.verdict(),
        _ => Verdict::Go,
    });
    let ask = |log: &Arc<Log>| Item::event("a", "Asked", "1").ask(log, None);
    assert!(matches!(ask(&log), Err(Error::Unknown(_))));
    disk.repair();
    assert!(matches!(ask(&log), Err(Error::Failed(_))));
    assert!(matches!(ask(&other), Err(Error::Failed(_))));
    assert!(matches!(other.save_snapshot("a", 1, b"{}"), Err(Error::Failed(_) | Error::Invalid(_))));
    drop(log);
    let third = Log::open(disk.shared(), options.clone()).expect("joining");
    assert!(matches!(ask(&third), Err(Error::Failed(_))));
    assert_eq!(read(&third), Contents::default());
    drop((other, third));
    let log = Log::open(disk.shared(), options).expect("opening again");
    assert_eq!(read(&log), Contents::default());
    ask(&log).expect("appending again");
    assert_eq!(read(&log).events.len(), 1);
}

#[test]
fn a_flush_that_fails_while_the_log_grows_is_not_hidden_from_the_commit_that_it_lost() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), growing(Durability::Fsync)).expect("opening");
    let ask = |data: &str| Item::event("a", "Asked", data).ask(&log, None);
    let (under_way, grown) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (entered, go) = (Arc::clone(&under_way), Arc::clone(&grown));
    disk.intercept(move |call, name| {
        if call != Call::Flush || !name.ends_with(".seg") {
            return Verdict::Go;
        }
        if entered.swap(true, Ordering::SeqCst) {
            return Fault::WriteFails.verdict();
        }
        // The commit's own flush is slow; that of new room comes to its end before, and loses what both were to flush.
        while !go.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Verdict::Go
    });
    std::thread::scope(|scope| {
        let lost = scope.spawn(|| ask("1"));
        while !under_way.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let needs_room = ask(&format!("{:?}", "y".repeat(300_000)));
        assert!(matches!(needs_room, Err(Error::Io { .. } | Error::Failed(_))), "{needs_room:?}");
        grown.store(true, Ordering::SeqCst);
        let lost = lost.join().expect("no panic");
        assert!(matches!(lost, Err(Error::Unknown(_))), "a commit that was lost was acknowledged or refused: {lost:?}");
    });
    assert!(matches!(ask("2"), Err(Error::Failed(_))));
}

/// The system tells of a failed flush once to each file that was open then, so one that is opened later knows nothing of it.
#[test]
fn a_flush_of_new_room_that_fails_is_not_hidden_from_those_who_flush_later() {
    for beside in [false, true] {
        let disk = LyingDisk::new();
        let open = || Log::open(disk.shared(), growing(Durability::Fsync)).expect("opening");
        let (writes, grows, later) = (open(), open(), open());
        // A log file that one of them has never opened.
        for bytes in [450_000, 120_000] {
            let large = format!("{:?}", "x".repeat(bytes));
            Item::event("a", "Asked", &large).ask(&writes, None).expect("appending");
        }
        assert_eq!(writes.stats().expect("numbers").segments, 2);
        // Written, and not yet flushed.
        let (written, opens, failed) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new((written, opens, failed));
        let seen = Arc::clone(&shared);
        disk.intercept(move |call, name| {
            let (written, ..) = &*seen;
            written.fetch_or(call == Call::Write && name.ends_with(".seg"), Ordering::SeqCst);
            let flushes = call == Call::Identity && written.load(Ordering::SeqCst);
            if flushes { Fault::AnyFails.verdict() } else { Verdict::Go }
        });
        let unflushed = Item::event("a", "Asked", "1").ask(&writes, None);
        assert!(matches!(unflushed, Err(Error::Unknown(_))), "{unflushed:?}");
        let (seen, growing) = (Arc::clone(&shared), thread::current().id());
        disk.intercept(move |call, name| {
            let (_, opens, failed) = &*seen;
            if thread::current().name() == Some(HOUSEKEEPER) {
                return Fault::AnyFails.verdict();
            }
            if name.ends_with(".seg") && call == Call::Flush && thread::current().id() == growing {
                return Fault::WriteFails.verdict();
            }
            if name.ends_with(".seg") && call == Call::Open && thread::current().id() != growing {
                opens.store(true, Ordering::SeqCst);
                until("room was made", failed);
            }
            Verdict::Go
        });
        let (_, opens, failed) = &*shared;
        thread::scope(|scope| {
            let begun = beside.then(|| scope.spawn(|| later.flush()));
            if beside {
                until("the other flush has begun", opens);
            }
            let needs_room = Item::event("b", "Asked", &format!("{:?}", "y".repeat(300_000))).ask(&grows, None);
            assert!(matches!(needs_room, Err(Error::Io { .. } | Error::Failed(_))), "{needs_room:?}");
            failed.store(true, Ordering::SeqCst);
            let begun = begun.unwrap_or_else(|| scope.spawn(|| later.flush()));
            let flushed = begun.join().expect("no panic");
            assert!(matches!(flushed, Err(Error::Failed(_))), "what was lost is said to be flushed: {flushed:?}");
        });
    }
}

/// Wait until a flag is set.
fn until(what: &str, flag: &AtomicBool) {
    let begun = Instant::now();
    while !flag.load(Ordering::SeqCst) {
        assert!(begun.elapsed() < Duration::from_secs(30), "still waiting until {what}");
        thread::yield_now();
    }
}

#[test]
fn an_append_that_may_not_wait_leaves_new_room_and_larger_tables_to_one_that_may() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), growing(Durability::Os)).expect("opening");
    let forbidden = Arc::new(AtomicBool::new(false));
    let watched = Arc::clone(&forbidden);
    disk.intercept(move |call, name| {
        let growth = match call {
            Call::Reserve => name.ends_with(".seg"),
            Call::Rename | Call::Flush => true,
            Call::Map => name.contains("table"),
            _ => false,
        };
        assert!(!growth || !watched.load(Ordering::SeqCst), "{call:?} of {name} by an append that may not wait");
        Verdict::Go
    });
    let data = format!("{:?}", "x".repeat(900));
    let events = [NewEvent { name: "Written", data: data.as_bytes(), tags: &[] }];
    let mut refused = 0;
    for number in 0..2000 {
        let stream = format!("s-{number}");
        let parts = [Part { stream: &stream, events: &events, expected: Some(0) }];
        forbidden.store(true, Ordering::SeqCst);
        let outcome = log.append(&parts, b"", Patience::Try);
        forbidden.store(false, Ordering::SeqCst);
        match outcome {
            Ok(_) => {}
            Err(Error::WouldWait) => {
                refused += 1;
                log.append(&parts, b"", Patience::Wait).expect("appending");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(log.head().expect("a head"), 2000);
    assert!((4..1000).contains(&refused), "{refused} appends had to wait");
}

#[test]
fn an_event_that_cannot_be_read_just_now_blocks_no_target() {
    let disk = LyingDisk::new();
    let open = || Log::open(disk.shared(), options(Durability::Os)).expect("opening");
    let (log, clock) = (open(), StandingClock::default());
    let long = format!("{:?}", "x".repeat(6000));
    for _ in 0..8 {
        Item::event("a", "A", &long).ask(&log, None).expect("appending");
    }
    let reactions = program(&log, &clock, vec![spec("all", &["A"], "all")]);
    correlate_all(&reactions);
    // One that has not mapped the first of the log's files.
    let later = open();
    let other = program(&later, &clock, vec![spec("all", &["A"], "all")]);
    let claimed = ClaimOptions { lanes: None, lagging: 1, leading: 0, window: 2, lease_ms: 1000, holder: 1, cut: 8 };
    disk.intercept(|call, name| match call {
        Call::Map | Call::Open if name.ends_with("00000000.seg") => Fault::NoAddressSpace.verdict(),
        _ => Verdict::Go,
    });
    let outcome = other.claim(&claimed).map(|leases| leases.len());
    assert!(matches!(outcome, Err(Error::Io { .. })), "{outcome:?}");
    disk.repair();
    assert!(!other.targets(&Selection::default(), None, 1).expect("targets")[0].blocked);
    clock.move_on(1001);
    assert_eq!(positions(&other.claim(&claimed).expect("a claim")[0]), [1], "one at a time, as it may have been begun");
}
