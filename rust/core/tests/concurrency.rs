//! Several handles and threads on one store at once: writers that compete for streams, and followers that sleep until
//! something is published and must never see a gap, a step back or half a commit.

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use act_fast_core::disk::{Disk, MemoryDisk, RealDisk};
use act_fast_core::{Durability, Error, Filter, Log, NewEvent, Options, Part, Patience, verify};
use support::contents::all_of;
use support::lying_disk::{Call, HOUSEKEEPER, LyingDisk, Verdict};
use support::rng::Rng;

const EVENTS_IN_COMMIT: u64 = 3;

/// A directory that goes with its owner.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("act-fast-{name}-{}-{number}", std::process::id()));
        Self(path)
    }

    fn open(&self, durability: Durability) -> Arc<Log> {
        let options = Options { durability, segment_bytes: 64 << 10, ..Options::default() };
        Log::open(Arc::new(RealDisk::new(&self.0)), options).expect("the store opens")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn append(log: &Log, stream: &str, count: u64, expected: Option<u64>) -> act_fast_core::Result<u64> {
    let event = NewEvent { name: "Counted", data: b"1", tags: &[] };
    let events = vec![event; count as usize];
    let part = Part { stream, events: &events, expected };
    Ok(log.append(&[part], b"", Patience::Wait)?[0].last_version)
}

/// Follow a log until `total` events have been seen, checking each step.
fn follow(log: &Log, total: u64) {
    let mut seen = 0;
    while seen < total {
        log.wait(seen, Duration::from_secs(10)).expect("waiting");
        let filter = Filter { after: seen, ..Filter::default() };
        let mut query = log.query(&filter).expect("a query");
        while let Some(events) = query.next_page(log, 100).expect("a page") {
            for event in events {
                assert_eq!(event.position, seen + 1, "a gap, or a step back");
                seen = event.position;
            }
        }
        assert_eq!(seen % EVENTS_IN_COMMIT, 0, "half a commit");
    }
}

fn writers_and_followers(durability: Durability, commits: u64) {
    const WRITERS: u64 = 4;
    let directory = Directory::new("follow");
    let handles = [directory.open(durability), directory.open(durability)];
    let total = WRITERS * commits * EVENTS_IN_COMMIT;
    thread::scope(|scope| {
        for log in &handles {
            scope.spawn(|| follow(log, total));
        }
        for writer in 0..WRITERS {
            let log = &handles[(writer % 2) as usize];
            scope.spawn(move || {
                for number in 0..commits {
                    let stream = format!("stream-{}", (writer + number) % 3);
                    append(log, &stream, EVENTS_IN_COMMIT, None).expect("an append");
                }
            });
        }
    });
    let sum: u64 = (0..3).map(|number| handles[0].version(&format!("stream-{number}")).expect("a version")).sum();
    assert_eq!(sum, total);
}

#[test]
fn followers_see_every_commit_whole_and_in_order_while_threads_share_flushes() {
    writers_and_followers(Durability::Fsync, 100);
}

#[test]
fn followers_see_every_commit_whole_and_in_order_without_flushes() {
    writers_and_followers(Durability::Os, 1000);
}

#[test]
fn no_update_is_lost_when_many_threads_expect_the_same_version() {
    const THREADS: u64 = 8;
    const EACH: u64 = 100;
    let directory = Directory::new("contend");
    let handles = [directory.open(Durability::Os), directory.open(Durability::Os)];
    let conflicts = AtomicU64::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let log = &handles[(number % 2) as usize];
            let conflicts = &conflicts;
            scope.spawn(move || {
                for _ in 0..EACH {
                    loop {
                        let version = log.version("hot").expect("a version");
                        match append(log, "hot", 1, Some(version)) {
                            Ok(reached) => {
                                assert_eq!(reached, version + 1, "somebody else's version was taken");
                                break;
                            }
                            Err(Error::Conflict { .. }) => drop(conflicts.fetch_add(1, Ordering::SeqCst)),
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(handles[0].version("hot").expect("a version"), THREADS * EACH);
}

#[test]
fn exactly_one_of_many_creators_of_a_stream_wins() {
    let log = Log::open(Arc::new(MemoryDisk::default()), Options::default()).expect("a store in memory opens");
    for round in 0..50 {
        let stream = format!("new-{round}");
        let winners = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| match append(&log, &stream, 1, Some(0)) {
                    Ok(_) => drop(winners.fetch_add(1, Ordering::SeqCst)),
                    Err(Error::Conflict { expected: 0, actual: 1, .. }) => {}
                    Err(error) => panic!("{error}"),
                });
            }
        });
        assert_eq!(winners.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn readers_go_on_while_the_index_is_made_anew_and_its_table_grows() {
    read_while_the_index_changes(false);
}

#[test]
fn readers_that_may_not_write_go_on_as_well() {
    read_while_the_index_changes(true);
}

fn read_while_the_index_changes(read_only: bool) {
    let directory = Directory::new("rebuild");
    let writer = directory.open(Durability::Os);
    let options = Options { durability: Durability::Os, read_only, ..Options::default() };
    let reader = Log::open(Arc::new(RealDisk::new(&directory.0)), options).expect("the store opens");
    append(&writer, "first", 5, Some(0)).expect("an append");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..2000 {
                append(&writer, &format!("s-{number}"), 1, Some(0)).expect("an append");
                if number % 50 == 49 {
                    writer.rebuild_index().expect("a new index");
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            let page = reader.load("first", 0, None, 10).expect("a page");
            let versions: Vec<u64> = page.events.iter().map(|event| event.version).collect();
            assert_eq!(versions, [1, 2, 3, 4, 5]);
            assert_eq!(reader.version("never").expect("a version"), 0);
        }
    });
    assert_eq!(reader.stream_count().expect("a count"), 2001);
}

#[test]
fn the_lock_of_a_writer_that_is_slow_and_alive_is_not_taken() {
    let disk = LyingDisk::new();
    let [slow, other] = [(); 2].map(|()| Log::open(disk.shared(), support::options(Durability::Os)).expect("opening"));
    let (writing, looks, done) = (AtomicBool::new(false), AtomicU64::new(0), AtomicBool::new(false));
    let shared = Arc::new((writing, looks, done, AtomicU64::new(0)));
    let (seen, watched) = (Arc::clone(&shared), disk.clone());
    disk.intercept(move |call, name| {
        let (writing, looks, done, named) = &*seen;
        if call == Call::Lock && name.starts_with("locks/slot") {
            looks.fetch_add(1, Ordering::SeqCst);
        } else if call == Call::Write && name.ends_with(".seg") && !writing.swap(true, Ordering::SeqCst) {
            // Until it was looked a few times whether this one is alive.
            while looks.load(Ordering::SeqCst) < 3 && !done.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            assert!(!done.load(Ordering::SeqCst), "another writer went past this one");
        } else if call == Call::Write && name.ends_with(".seg") {
            // Without the mark of being awaited, which is the highest bit.
            let word: [u8; 4] = watched.bytes("control")[2 * 64..][..4].try_into().expect("a lock");
            named.store(u64::from(u32::from_le_bytes(word) & !(1 << 31)), Ordering::SeqCst);
        }
        Verdict::Go
    });
    thread::scope(|scope| {
        let (writing, _, done, named) = &*shared;
        let first = scope.spawn(|| append(&slow, "a", 1, None));
        while !writing.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let second = append(&other, "a", 1, None);
        done.store(true, Ordering::SeqCst);
        assert_eq!(first.join().expect("no panic").expect("appending"), 1);
        assert_eq!(second.expect("appending"), 2);
        assert_eq!(named.load(Ordering::SeqCst), 2, "the lock names another than slot 1, who has it after waiting");
    });
}

#[test]
fn whoever_gets_the_slot_of_a_dead_process_lets_go_of_the_locks_that_it_held() {
    /// Where the control file has the locks of writing, growing, flushing and of the reactions.
    const LOCKS: [u64; 4] = [2 * 64, 3 * 64, 4 * 64, 17 * 64];
    let disk = LyingDisk::new();
    let open = || Log::open(disk.shared(), support::options(Durability::Os)).expect("opening");
    let word = |at: u64| disk.bytes("control")[at as usize..][..4].to_vec();
    let _first = open();
    for at in LOCKS {
        // The first handle has slot 0; whoever had slot 1 died with the lock.
        disk.overwrite("control", at, &2u32.to_le_bytes());
    }
    let second = open();
    let held = LOCKS.map(word);
    for at in LOCKS {
        disk.overwrite("control", at, &[0; 4]);
    }
    assert_eq!(held, [(); 4].map(|()| vec![0; 4]), "everybody would wait for them until this handle is closed");
    assert_eq!(append(&second, "a", 1, None).expect("appending"), 1);
}

#[test]
fn a_publication_is_news_to_those_who_wait_and_to_nobody_else() {
    for durability in [Durability::Fsync, Durability::Os] {
        let disk = LyingDisk::new();
        let log = Log::open(disk.shared(), support::options(durability)).expect("opening");
        let before = log.news();
        append(&log, "a", 1, None).expect("appending");
        assert_eq!(log.news(), before, "nobody has waited");
        let seen = log.expect_news();
        append(&log, "a", 1, None).expect("appending");
        assert_ne!(log.news(), seen, "whoever waits would sleep on");
        let seen = log.news();
        append(&log, "a", 1, None).expect("appending");
        assert_eq!(log.news(), seen, "nobody has waited since");
    }
}

#[test]
fn threads_that_come_while_the_disk_flushes_share_the_next_flush() {
    const THREADS: u64 = 8;
    const EACH: u64 = 20;
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), support::options(Durability::Fsync)).expect("opening");
    let flushes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&flushes);
    disk.intercept(move |call, name| {
        if call == Call::Flush && name.ends_with(".seg") {
            counted.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
        }
        Verdict::Go
    });
    thread::scope(|scope| {
        for number in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                for version in 0..EACH {
                    assert_eq!(append(log, &format!("a-{number}"), 1, Some(version)).expect("appending"), version + 1);
                    let shown = log.version(&format!("a-{number}")).expect("a version");
                    assert_eq!(shown, version + 1, "what was acknowledged is not shown");
                }
            });
        }
    });
    let (flushes, commits) = (flushes.load(Ordering::SeqCst), THREADS * EACH);
    assert!(flushes * 2 < commits, "{flushes} flushes for {commits} commits");
    log.shut_down().expect("closing");
}

#[test]
fn a_flush_that_fails_is_told_to_all_threads_that_wait_for_it() {
    const THREADS: u64 = 4;
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), support::options(Durability::Fsync)).expect("opening");
    let flushes = Arc::new(AtomicU64::new(0));
    let (counted, writes) = (Arc::clone(&flushes), AtomicU64::new(0));
    disk.intercept(move |call, name| {
        if !name.ends_with(".seg") || thread::current().name() == Some(HOUSEKEEPER) {
            return Verdict::Go;
        }
        match call {
            Call::Write => drop(writes.fetch_add(1, Ordering::SeqCst)),
            Call::Flush => {
                counted.fetch_add(1, Ordering::SeqCst);
                while writes.load(Ordering::SeqCst) < THREADS {
                    thread::yield_now();
                }
                // The last one needs a moment to begin to wait; nothing hangs on it.
                thread::sleep(Duration::from_millis(5));
                return Verdict::Fail(std::io::Error::from_raw_os_error(5));
            }
            _ => {}
        }
        Verdict::Go
    });
    thread::scope(|scope| {
        let asked: Vec<_> = (0..THREADS)
            .map(|number| (number, &log))
            .map(|(number, log)| scope.spawn(move || append(log, &format!("a-{number}"), 1, None)))
            .collect();
        for outcome in asked {
            let outcome = outcome.join().expect("no panic");
            assert!(matches!(outcome, Err(Error::Unknown(_))), "{outcome:?}");
        }
    });
    assert_eq!(flushes.load(Ordering::SeqCst), 1, "a failed flush was tried again");
    assert_eq!(log.head().expect("a position"), 0, "what was not flushed is shown");
}

/// What each handle has at hand of the index must not outlive what another one has written. There are more names than a
/// handle keeps, commits add to a stream in several parts, and some are refused.
#[test]
fn handles_that_take_turns_lose_nothing_of_what_others_have_added() {
    let directory = Directory::new("turns");
    let handles = [directory.open(Durability::Os), directory.open(Durability::Os)];
    let texts = |stem: &str, count| (0..count).map(|number| format!("{stem}{number}")).collect::<Vec<String>>();
    let (streams, names, tags) = (texts("stream", 3), texts("Name", 20), texts("tag", 5));
    let mut rng = Rng::new(1);
    let mut written: Vec<[&str; 3]> = Vec::new();
    for turn in 0..3000 {
        // One has many turns in a row.
        let log = &handles[usize::from(rng.chance(20))];
        if rng.chance(5) {
            let _ = log.save_snapshot("stream0", 1, b"1");
        }
        let events_max = if turn % 50 == 0 { 40 } else { 3 };
        let mut chosen: Vec<Vec<[&str; 3]>> = Vec::new();
        for _ in 0..=rng.below(4) {
            let stream = &*streams[rng.below(3)];
            chosen.push(
                (0..=rng.below(events_max)).map(|_| [stream, &names[rng.below(20)], &tags[rng.below(5)]]).collect(),
            );
        }
        let refused = rng.chance(10);
        let events: Vec<Vec<NewEvent<'_>>> = chosen.iter().map(|own| own.iter().map(new_event).collect()).collect();
        let expected = refused.then_some(1 << 30);
        let both = chosen.iter().zip(&events);
        let parts: Vec<Part<'_>> = both.map(|(own, events)| Part { stream: own[0][0], events, expected }).collect();
        assert_eq!(log.append(&parts, b"", Patience::Wait).is_ok(), !refused);
        if !refused {
            written.extend(chosen.concat());
        }
    }
    let positions = |field: usize, text: &str| {
        (1..).zip(&written).filter(|(_, event)| event[field] == text).map(|(at, _)| at).collect::<Vec<u64>>()
    };
    let found = |filter| -> Vec<u64> {
        all_of(&handles[0], &filter, 1000).expect("events").into_iter().map(|(at, _)| at).collect()
    };
    for stream in &streams {
        let filter = Filter { stream: Some(stream.clone()), ..Filter::default() };
        assert_eq!(found(filter), positions(0, stream), "{stream}");
    }
    for name in &names {
        let filter = Filter { names: Some(vec![name.clone()]), ..Filter::default() };
        assert_eq!(found(filter), positions(1, name), "{name}");
    }
    for tag in &tags {
        let filter = Filter { tags: vec![tag.clone()], ..Filter::default() };
        assert_eq!(found(filter), positions(2, tag), "{tag}");
    }
    drop(handles);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&directory.0));
    assert_eq!(verify(&disk, &mut |_, _| Ok(())).expect("a report").problems, vec![]);
}

fn new_event<'a>([_, name, tag]: &'a [&'a str; 3]) -> NewEvent<'a> {
    NewEvent { name, data: b"1", tags: std::slice::from_ref(tag) }
}
