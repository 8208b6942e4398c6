//! Archiving sealed log files, and having them here again.
//!
//! A store whose log files are archived holds what it held before, in every way of reading. At each call of the disk, or of
//! the archive, the power may go, the process may die, and the call may fail: what is found is the same store, and the next
//! call goes on. The archive is a folder of the same lying disk, so that its files are lost like those of the store.
//!
//! `ACT_FAST_IMAGES` sets how many images are made of each story, `ACT_FAST_SEED` repeats a run.

mod support;

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use act_fast_core::disk::{Disk, Folder, Shelf, Within, shelves};
use act_fast_core::{
    ArchivedFile, Condition, Durability, Error, Guards, Item, Kept, Log, NewEvent, Once, Part, Patience, Readable,
    verify,
};
use support::contents::{self, Contents};
use support::forms::{Change, EVENTS, append, bytes_of, filled, format_of, opened, opened_with, segment, sound};
use support::lying_disk::{Loss, LyingDisk};
use support::rng::Rng;
use support::{SEGMENT_BYTES, options};

const ADDRESS: &str = "test://archive";

thread_local! {
    /// What is at the address, for this test.
    static SHELF: RefCell<Option<Arc<dyn Shelf>>> = const { RefCell::new(None) };
}

/// Have the archive in a folder of a disk.
fn reach(disk: &LyingDisk) {
    shelves(Box::new(|_| SHELF.with_borrow(|shelf| shelf.clone().ok_or_else(|| io::Error::other("it is away")))));
    let folder: Arc<dyn Disk> = Arc::new(Within::new(&disk.shared(), "archive"));
    SHELF.set(Some(Arc::new(Folder::new(folder))));
}

/// Have the archive out of reach.
fn leave() {
    SHELF.set(None);
}

fn archive(log: &Log) -> Result<u64, Error> {
    archive_with(log, false).map(|kept| kept.segments)
}

fn archive_with(log: &Log, also_before: bool) -> Result<Kept, Error> {
    let mut make = |file: &ArchivedFile| Ok(readable(file));
    let readable = Readable { make: &mut make, also_before };
    log.archive(ADDRESS, u64::MAX, Some(readable), false, &mut |_, _| Ok(()))
}

/// What other programs are to read of a log file.
fn readable(file: &ArchivedFile) -> Vec<u8> {
    format!("events {} to {}; ", file.first_position, file.last_position).repeat(20).into_bytes()
}

fn parquet(file: &ArchivedFile) -> String {
    format!("archive/{}", file.object.replace(".seg", ".parquet"))
}

fn unarchive(log: &Log) -> Result<u64, Error> {
    log.unarchive(false, false, &mut |_, _| Ok(())).map(|kept| kept.segments)
}

/// A store with several log files, whose archive is a folder of its disk.
fn store() -> LyingDisk {
    let disk = filled();
    reach(&disk);
    disk
}

/// All that a store holds, which must verify clean.
fn held(disk: &LyingDisk) -> Contents {
    reach(disk);
    let found = sound(disk);
    for file in opened(disk).archived().expect("files") {
        assert_eq!(disk.bytes(&parquet(&file)), readable(&file));
    }
    found
}

#[test]
fn an_archived_store_holds_what_it_held_and_takes_less_space() {
    let disk = store();
    let before = held(&disk);
    let log = opened(&disk);
    let sealed = log.stats().expect("numbers").segments - 1;
    assert!(sealed >= 3, "too few log files to tell");
    let plain = bytes_of(&disk, sealed);
    assert_eq!(archive(&log).expect("room"), sealed);
    assert_eq!(archive(&log).expect("room"), 0, "all are already");
    // Through the handle that has the old files open, and through one that has not.
    assert_eq!(contents::read(&log).expect("readable"), before);
    assert_eq!(contents::read(&log.current()).expect("readable"), before);
    assert_eq!(log.current().stats().expect("numbers").archived.segments, sealed);
    drop(log);
    assert_eq!(held(&disk), before);
    let stubs = bytes_of(&disk, sealed);
    assert!(stubs < plain / 4, "{stubs} of {plain} bytes");
    assert_eq!(unarchive(&opened(&disk)).expect("room"), sealed);
    leave();
    let log = opened(&disk);
    assert_eq!(contents::read(&log).expect("readable"), before);
    assert_eq!(log.stats().expect("numbers").compressed.segments, sealed);
}

/// What is opened, rebuilt, appended and listed needs nothing of the archive.
#[test]
fn without_its_archive_a_store_is_opened_recovered_rebuilt_and_appended_to() {
    let disk = store();
    let log = opened(&disk);
    let sealed = archive(&log).expect("room");
    drop(log);
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1));
    let before = held(&disk);
    leave();
    for found in [image.clone().rebooted(), image.clone().copied()] {
        let found = LyingDisk::from_image(&found);
        let log = opened(&found);
        assert_eq!(log.head().expect("a head"), 2 * EVENTS);
        log.rebuild_index().expect("an index");
        append(&log, EVENTS);
        let condition = [Condition { items: &[Item { names: &[], tags: &["course:3"] }], after: 0 }];
        let guards = Guards { conditions: &condition, ..Guards::default() };
        let events = [NewEvent { name: "A", data: b"1", tags: &[] }];
        let part = [Part { stream: "new", events: &events, expected: Some(0) }];
        let refused = log.append_if(&part, &guards, b"", Patience::Wait);
        assert!(matches!(refused, Err(Error::Condition { .. })), "{refused:?}");
        let away = contents::read(&log);
        assert!(
            matches!(&away, Err(contents::Trouble::Refused(Error::Unavailable { file, .. })) if file.starts_with("log/")),
            "{away:?}"
        );
        let verified = verify(&found.shared(), &mut |_, _| Ok(()));
        assert!(matches!(verified, Err(Error::Unavailable { .. })), "{verified:?}");
        assert_eq!(CHANGE.made(&found, sealed), sealed);
        reach(&disk);
        let now = contents::read(&log).expect("readable");
        assert_eq!(now.events[..before.events.len()], before.events);
        leave();
    }
}

#[test]
fn without_its_archive_streams_are_listed_shares_counted_and_rewritings_told() {
    let disk = store();
    let log = opened(&disk);
    let told: Vec<_> = [r#"{"events":3,"bytes":9}"#, r#"{"events":1,"bytes":2}"#]
        .map(|data| ("$pruned".to_owned(), data.as_bytes().to_vec()))
        .into();
    for (number, (name, data)) in (EVENTS..).zip(&told) {
        let events = [NewEvent { name, data, tags: &[] }];
        log.append(&[Part { stream: "$rewritings", events: &events, expected: None }], b"", Patience::Wait)
            .expect("room");
        (0..40).for_each(|_| append(&log, number));
    }
    let streams = log.streams(None, None, 100).expect("streams").streams;
    let sealed = archive(&log).expect("room");
    drop(log);
    leave();
    let log = opened(&disk);
    assert_eq!(log.streams(None, None, 100).expect("streams").streams, streams);
    assert_eq!(log.rewritings().expect("what was rewritten"), told);
    for stream in &streams {
        let last = log.position_before(stream.last_created + 1).expect("a position");
        assert!(last >= stream.last_position, "{last} {stream:?}");
    }
    let stats = log.stats().expect("numbers");
    assert_eq!((stats.archived.segments, stats.compressed), (sealed, act_fast_core::Share::default()));
    assert_eq!(stats.hot.events + stats.archived.events, stats.events);
    assert!(stats.archived.events > 300 && stats.hot.events > 0, "{stats:?}");
    assert!(stats.archived.there_bytes < stats.archived.log_bytes / 2, "{stats:?}");
    assert_eq!(stats.last_created, Some(streams.iter().map(|stream| stream.last_created).max().expect("some")));
    reach(&disk);
    unarchive(&log).expect("room");
    let stats = log.current().stats().expect("numbers");
    assert_eq!((stats.compressed.segments, stats.archived), (sealed, act_fast_core::Share::default()));
    assert_eq!((stats.compressed.there_bytes, stats.hot.events + stats.compressed.events), (0, stats.events));
}

#[test]
fn an_earlier_version_finds_a_format_that_it_refuses() {
    let disk = store();
    let log = opened(&disk);
    archive(&log).expect("room");
    assert_eq!(format_of(&disk, 0), 4);
    unarchive(&log.current()).expect("room");
    assert_eq!(format_of(&disk, 0), 3);
    log.current().decompress(false, &mut |_, _| Ok(())).expect("room");
    assert_eq!(format_of(&disk, 0), 1);
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let disk = store();
    let log = opened(&disk);
    let foretold = log.archive(ADDRESS, u64::MAX, None, true, &mut |_, _| Ok(())).expect("figures");
    assert!(disk.shared().list("archive").expect("a list").is_empty());
    assert_eq!((format_of(&disk, 0), log.archive_address().expect("none")), (1, None));
    assert_eq!(log.archive(ADDRESS, u64::MAX, None, false, &mut |_, _| Ok(())).expect("room"), foretold);
    let foretold = log.unarchive(false, true, &mut |_, _| Ok(())).expect("figures");
    assert_eq!(format_of(&disk, 0), 4);
    assert_eq!(log.unarchive(false, false, &mut |_, _| Ok(())).expect("room"), foretold);
}

#[test]
fn files_stay_that_hold_an_event_above_the_position_and_all_behind_them() {
    let disk = store();
    let log = opened(&disk);
    let sealed = log.stats().expect("numbers").segments - 1;
    archive(&log).expect("room");
    let files = log.archived().expect("files");
    assert_eq!(files.len() as u64, sealed);
    assert_eq!(files.iter().map(|file| file.events).sum::<u64>(), files[files.len() - 1].last_position);
    for (file, next) in files.iter().zip(&files[1..]) {
        assert_eq!(file.last_position + 1, next.first_position);
    }
    let last = files[1].last_position;
    for (upto, expected) in [(last - 1, 1), (last, 2), (last + 1, 2)] {
        unarchive(&log.current()).expect("room");
        let kept = log.current().archive(ADDRESS, upto, None, false, &mut |_, _| Ok(())).expect("room");
        assert_eq!(kept.segments, expected, "up to {upto}");
    }
    // The same of plain files.
    let disk = store();
    let kept = opened(&disk).archive(ADDRESS, last - 1, None, false, &mut |_, _| Ok(())).expect("room");
    assert_eq!(kept.segments, 1);
}

#[test]
fn a_backup_has_the_stubs_and_refers_to_the_same_archive() {
    let disk = store();
    let before = held(&disk);
    let log = opened(&disk);
    archive(&log).expect("room");
    let to = LyingDisk::new();
    leave();
    log.current()
        .backup(&to.shared(), "copy", false, &mut |_, _| Ok(()))
        .expect("a backup, for which nothing is fetched");
    reach(&disk);
    let copy: Arc<dyn Disk> = Arc::new(Within::new(&to.shared(), "copy"));
    assert_eq!(to.bytes("copy/log/00000000.seg"), disk.bytes("log/00000000.seg"));
    let opened = Log::open(copy, options(Durability::Fsync)).expect("a store");
    assert_eq!(contents::read(&opened).expect("readable"), before);
}

#[test]
fn a_backup_refers_to_no_object_that_was_removed_while_it_was_made() {
    let disk = store();
    let before = held(&disk);
    archive(&opened(&disk)).expect("room");
    let (log, other) = (opened(&disk), opened(&disk));
    assert_eq!(contents::read(&log).expect("readable"), before);
    let to = LyingDisk::new();
    let mut back = 0;
    log.backup(&to.shared(), "copy", false, &mut |_, _| {
        back += other.unarchive(true, false, &mut |_, _| Ok(()))?.segments;
        Ok(())
    })
    .expect("a backup");
    assert!(back > 1);
    leave();
    let copy: Arc<dyn Disk> = Arc::new(Within::new(&to.shared(), "copy"));
    let copied = Log::open(copy, options(Durability::Fsync)).expect("a store");
    assert_eq!(contents::read(&copied).expect("readable"), before);
}

#[test]
fn a_whole_backup_needs_no_archive() {
    let disk = store();
    let before = held(&disk);
    let log = opened(&disk);
    archive(&log).expect("room");
    let to = LyingDisk::new();
    leave();
    let refused = log.current().backup(&to.shared(), "copy", true, &mut |_, _| Ok(()));
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert_eq!(to.shared().list("").expect("a list"), Vec::<String>::new());
    reach(&disk);
    log.current().backup(&to.shared(), "copy", true, &mut |_, _| Ok(())).expect("a backup");
    leave();
    let copy = Log::open(Arc::new(Within::new(&to.shared(), "copy")), options(Durability::Fsync)).expect("a store");
    assert_eq!(contents::read(&copy).expect("readable"), before);
    assert_eq!((copy.archived().expect("files"), copy.archive_address().expect("none")), (Vec::new(), None));
}

#[test]
fn what_is_fetched_stays_within_its_bound_and_what_was_read_stays_readable() {
    let disk = store();
    archive(&opened(&disk)).expect("room");
    let log = opened_with(&disk, SEGMENT_BYTES);
    let page = log.load("s-1", 0, None, 100).expect("a page");
    let mut current = Arc::clone(&log);
    let mut renewed = 0;
    for number in (0..13).cycle().take(60) {
        let next = current.current();
        renewed += u64::from(!Arc::ptr_eq(&next, &current));
        current = next;
        current.load(&format!("s-{number}"), 0, None, 100).expect("a page");
    }
    assert!(renewed > 2, "nothing was let go of");
    assert!(page.events.iter().all(|event| event.data.starts_with(b"{\"n\":") || event.data == b"1"));
}

#[test]
fn only_one_at_a_time_changes_where_log_files_are() {
    let disk = store();
    let (one, other) = (opened(&disk), opened(&disk));
    let mut outcomes = Vec::new();
    one.archive(ADDRESS, u64::MAX, None, false, &mut |_, _| {
        outcomes.push((archive(&other), unarchive(&other)));
        Ok(())
    })
    .expect("room");
    for (archived, brought) in outcomes {
        assert!(matches!(archived, Err(Error::Locked(_))), "{archived:?}");
        assert!(matches!(brought, Err(Error::Locked(_))), "{brought:?}");
    }
    assert_eq!(archive(&other).expect("room"), 0);
}

#[test]
fn an_archive_that_was_moved_is_taken_up_and_another_one_is_refused() {
    let disk = store();
    let before = held(&disk);
    let log = opened(&disk);
    archive(&log).expect("room");
    let other = Arc::new(Within::new(&disk.shared(), "other"));
    SHELF.set(Some(Arc::new(Folder::new(other))));
    let refused = log.archive("test://other", u64::MAX, None, false, &mut |_, _| Ok(()));
    assert!(matches!(&refused, Err(Error::Invalid(what)) if what.contains(ADDRESS)), "{refused:?}");
    assert_eq!(log.archive_address().expect("an address").as_deref(), Some(ADDRESS));
    disk.shared().rename("archive", "other").expect("moved");
    assert_eq!(log.archive("test://other", u64::MAX, None, false, &mut |_, _| Ok(())).expect("there").segments, 0);
    assert_eq!(log.archive_address().expect("an address").as_deref(), Some("test://other"));
    assert_eq!(contents::read(&log.current()).expect("readable"), before);
}

#[test]
fn objects_are_removed_when_asked_for_also_those_that_an_earlier_call_left() {
    let disk = store();
    let log = opened(&disk);
    let sealed = archive(&log).expect("room");
    let objects = |disk: &LyingDisk| {
        let disk = disk.shared();
        let folder = format!("archive/{}", disk.list("archive").expect("a list")[0]);
        disk.list(&folder).expect("a list").len() as u64
    };
    assert_eq!(objects(&disk), 2 * sealed + 1);
    unarchive(&log.current()).expect("room");
    assert_eq!(objects(&disk), 2 * sealed + 1, "a backup may need them");
    assert!(log.archive_address().expect("an address").is_some());
    // The manifest tells which, even where no file here has the digest of an object any more.
    log.current().decompress(false, &mut |_, _| Ok(())).expect("room");
    let brought = log.current().unarchive(true, false, &mut |_, _| Ok(())).expect("room");
    assert_eq!((brought.segments, objects(&disk)), (0, 0));
    assert_eq!(log.archive_address().expect("none"), None);
}

#[test]
fn what_other_programs_read_is_left_out_or_added_later() {
    let disk = store();
    let log = opened(&disk);
    let sealed = log.archive(ADDRESS, u64::MAX, None, false, &mut |_, _| Ok(())).expect("room").segments;
    let log = opened(&disk);
    assert_eq!(log.archived_parquet().expect("a manifest"), Vec::<String>::new());
    assert_eq!(archive_with(&log, false).expect("room"), Kept::default());
    assert_eq!(archive_with(&log, true).expect("room"), Kept { readable: sealed, ..Kept::default() });
    assert_eq!(log.archived_parquet().expect("a manifest").len() as u64, sealed);
    let name = log.archived_parquet().expect("a manifest")[0].clone();
    assert_eq!(log.archived_object(&name).expect("an object"), readable(&log.archived().expect("files")[0]));
    // Without a manifest, what is there is found.
    disk.shared().remove(&format!("archive/{}/manifest.json", name.split('/').next().expect("a folder"))).expect("one");
    assert_eq!(archive_with(&log, true).expect("room"), Kept::default());
}

/// A shelf that damages objects of a kind.
#[derive(Debug)]
struct Damaging(Arc<dyn Shelf>, &'static str);

impl Shelf for Damaging {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut bytes = bytes.to_vec();
        if name.ends_with(self.1) {
            bytes[100] ^= 1;
        }
        self.0.put(name, &bytes)
    }

    fn read(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.read(name, at, len)
    }

    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        self.0.size(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
}

#[test]
fn what_is_put_there_is_read_back_before_a_stub_takes_its_place() {
    for kind in [".seg", ".parquet"] {
        let disk = store();
        SHELF.set(Some(Arc::new(Damaging(SHELF.take().expect("a shelf"), kind))));
        let log = opened(&disk);
        let outcome = archive(&log);
        assert!(matches!(&outcome, Err(Error::Corrupt { file, .. }) if file.ends_with(kind)), "{outcome:?}");
        assert_eq!(log.archived().expect("files"), Vec::new());
        reach(&disk);
        assert!(archive(&log).expect("a sound shelf") > 0);
        held(&disk);
    }
}

/// A shelf that counts, and does something at each reading.
struct Watched<F> {
    inner: Arc<dyn Shelf>,
    reading: F,
    far: bool,
}

impl<F> std::fmt::Debug for Watched<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Watched")
    }
}

impl<F: Fn(usize) + Send + Sync> Shelf for Watched<F> {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.inner.put(name, bytes)
    }

    fn read(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        (self.reading)(len);
        self.inner.read(name, at, len)
    }

    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        self.inner.size(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn far(&self) -> bool {
        self.far
    }
}

fn watched(far: bool, reading: impl Fn(usize) + Send + Sync + 'static) {
    let inner = SHELF.take().expect("a shelf");
    SHELF.set(Some(Arc::new(Watched { inner, reading, far })));
}

#[test]
fn one_stream_is_read_without_fetching_all_of_the_files_that_it_is_in() {
    let disk = LyingDisk::new();
    reach(&disk);
    let log = opened(&disk);
    for number in 0..EVENTS {
        append(&log, number);
        if number == EVENTS / 2 {
            let events = [NewEvent { name: "Rare", data: b"7", tags: &[] }];
            log.append(&[Part { stream: "rare", events: &events, expected: None }], b"", Patience::Wait).expect("room");
        }
    }
    archive(&log).expect("room");
    let archived: u64 = log.archived().expect("files").iter().map(|file| file.bytes).sum();
    drop(log);
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&bytes);
    watched(true, move |len| {
        counted.fetch_add(len as u64, Ordering::SeqCst);
    });
    let log = opened(&disk);
    let streams = log.streams(None, None, 100).expect("streams").streams;
    assert_eq!(streams.len(), 14);
    assert_eq!(log.version("s-1").expect("a version"), 26);
    for stream in &streams {
        assert!(log.position_before(stream.last_created + 1).expect("a position") >= stream.last_position);
        assert!(log.position_before(stream.first_created).expect("a position") < stream.first_position);
    }
    assert_eq!(bytes.swap(0, Ordering::SeqCst), 0, "nothing is fetched for what stubs say");
    for stream in streams {
        let page = log.load(&stream.stream, 0, None, 100).expect("a page");
        let (first, last) = (page.events[0], page.events[page.events.len() - 1]);
        assert_eq!((stream.first_position, stream.last_position), (first.position, last.position));
        assert_eq!((stream.first_created, stream.last_created), (first.created, last.created));
        assert_eq!(stream.last_name, log.text(last.name).expect("a name"));
    }
    assert!(bytes.swap(0, Ordering::SeqCst) > 0);
    drop(log);
    let log = opened(&disk);
    let page = log.load("rare", 0, None, 100).expect("a page");
    assert_eq!(page.events[0].data, b"7");
    let fetched = bytes.swap(0, Ordering::SeqCst);
    assert!(fetched > 0 && fetched < archived / 8, "{fetched} of {archived} bytes");
}

/// An append that needs the archive for a check lets go of the writer's lock, fetches, and tries again.
#[test]
fn nothing_is_fetched_with_a_lock_in_hand() {
    let disk = LyingDisk::new();
    reach(&disk);
    let log = opened(&disk);
    let events = [NewEvent { name: "A", data: b"1", tags: &[] }];
    let keyed = |log: &Log, data: &[u8]| {
        let guards = Guards { once: Some(Once { key: "k", since: i64::MIN }), ..Guards::default() };
        let events = [NewEvent { name: "A", data, tags: &[] }];
        log.append_if(&[Part { stream: "once", events: &events, expected: None }], &guards, b"", Patience::Wait)
    };
    keyed(&log, b"1").expect("the first");
    log.save_snapshot("once", 1, b"state").expect("room");
    for number in 0..EVENTS {
        append(&log, number);
    }
    archive(&log).expect("room");
    drop(log);
    let log = opened(&disk);
    let (other, calls) = (opened(&disk), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&calls);
    let events = events.map(|event| (event.name, event.data.to_vec()));
    watched(false, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        // This waits for the lock forever if the reader has it.
        let [(name, data)] = &events;
        let events = [NewEvent { name, data, tags: &[] }];
        other
            .append(&[Part { stream: "meanwhile", events: &events, expected: None }], b"", Patience::Wait)
            .expect("room");
    });
    let repeated = keyed(&log, b"1");
    assert!(matches!(repeated, Err(Error::Repeated { first: 1, last: 1 })), "{repeated:?}");
    assert!(calls.swap(0, Ordering::SeqCst) > 0, "nothing was fetched");
    drop(log);
    let log = opened(&disk);
    log.save_snapshot("once", 1, b"again").expect("room");
    assert!(calls.load(Ordering::SeqCst) > 0, "nothing was fetched");
}

/// What becomes of the bytes of an object; None: it is lost.
type Damage = dyn Fn(Vec<u8>) -> Option<Vec<u8>>;

/// What act-fast itself does not read of an archive is verified all the same, and can be written again.
#[test]
fn what_other_programs_would_miss_in_an_archive_is_a_problem_that_says_what_to_do() {
    let disk = store();
    let before = held(&disk);
    let log = opened(&disk);
    archive(&log).expect("room");
    let files = log.archived().expect("files");
    let manifest = format!("archive/{}/manifest.json", files[0].object.split('/').next().expect("a folder"));
    let parquet = parquet(&files[1]);
    drop(log);
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1));
    let text = |was: String, now: &'static str| {
        move |bytes: Vec<u8>| Some(String::from_utf8(bytes).expect("JSON").replacen(&was, now, 1).into_bytes())
    };
    let cases: [(&String, Box<Damage>, &str); 7] = [
        (&manifest, Box::new(|_| None), "is missing"),
        (&manifest, Box::new(|bytes| Some(bytes[1..].to_vec())), "is no manifest"),
        (&manifest, Box::new(text(format!("\"events\": {}", files[0].events), "\"events\": 1")), "what is not so"),
        (&manifest, Box::new(text(files[1].object.clone(), "else.seg")), "does not list log/00000001.seg"),
        (&parquet, Box::new(|_| None), "is missing"),
        (&parquet, Box::new(|bytes| Some([&bytes[..9], b"!", &bytes[10..]].concat())), "is not what was put there"),
        (&parquet, Box::new(|bytes| Some(bytes[..9].to_vec())), "is not what was put there"),
    ];
    for (name, damage, what) in cases {
        let found = LyingDisk::from_image(&image);
        reach(&found);
        let shelf = Folder::new(Arc::new(Within::new(&found.shared(), "archive")));
        let (name, problems) = (name.trim_start_matches("archive/"), || {
            verify(&found.shared(), &mut |_, _| Ok(())).expect("a report").problems
        });
        match damage(found.bytes(&format!("archive/{name}"))) {
            None => shelf.remove(name).expect("removed"),
            Some(bytes) => shelf.put(name, &bytes).expect("room"),
        }
        let told = problems();
        assert_eq!(told.iter().map(|problem| &*problem.file).collect::<Vec<_>>(), [name], "{told:?}");
        assert!(told[0].what.contains(what) && told[0].what.contains("does not need it"), "{told:?}");
        let log = opened(&found);
        assert_eq!(contents::read(&log).expect("readable"), before);
        if name.ends_with(".parquet") {
            shelf.remove(name).expect("removed");
        }
        archive_with(&log, true).expect("room");
        drop(log);
        assert_eq!(problems(), Vec::new());
        assert_eq!(held(&found), before);
    }
}

/// What is not archived any more is not missed at the address.
#[test]
fn an_archive_that_nothing_needs_any_more_is_not_verified() {
    let disk = store();
    let log = opened(&disk);
    archive(&log).expect("room");
    unarchive(&log.current()).expect("room");
    drop(log);
    leave();
    assert_eq!(verify(&disk.shared(), &mut |_, _| Ok(())).expect("a report").problems, Vec::new());
}

/// Damage in any part of a stub, or of an object, is an error; it is never taken for something else.
#[test]
fn damage_in_a_stub_or_an_object_is_reported_and_never_passed_over() {
    let disk = store();
    let before = held(&disk);
    let log = opened(&disk);
    archive(&log).expect("room");
    let object = format!("archive/{}", log.archived().expect("files")[1].object);
    drop(log);
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1));
    for (file, step) in [(segment(1), 131), (object, 97)] {
        for at in (0..disk.bytes(&file).len()).step_by(step) {
            let damaged = LyingDisk::from_image(&image);
            let was = damaged.bytes(&file)[at];
            damaged.overwrite(&file, at as u64, &[was ^ 0x20]);
            reach(&damaged);
            match Log::open(damaged.shared(), options(Durability::Fsync)) {
                Ok(log) => {
                    contents::right_or_refused(&log, &before).unwrap_or_else(|what| panic!("{file}, {at}: {what}"));
                    // The dictionary, the table and the names are read in the stub, the blocks in the object.
                    let brought = unarchive(&log);
                    assert!(brought.is_err() || contents::read(&log.current()).is_ok(), "{file}, {at}");
                    if !file.starts_with("log/") {
                        assert!(matches!(brought, Err(Error::Corrupt { .. })), "{file}, {at}: {brought:?}");
                    }
                }
                Err(error) => assert!(matches!(error, Error::Corrupt { .. } | Error::Format(_)), "byte {at}: {error}"),
            }
        }
    }
}

#[test]
fn a_lost_object_is_missed_by_what_is_in_it_only() {
    let disk = store();
    let log = opened(&disk);
    archive(&log).expect("room");
    let file = log.archived().expect("files")[1].clone();
    disk.shared().remove(&format!("archive/{}", file.object)).expect("an object");
    let log = log.current();
    let page = |after: u64, before: u64| {
        let filter = act_fast_core::Filter { after, before: Some(before), ..Default::default() };
        log.query(&filter)
            .and_then(|mut query| query.next_page(&log, 1000).map(|page| page.map_or(0, |page| page.len())))
    };
    assert_eq!(page(0, file.first_position).expect("here") as u64, file.first_position - 1);
    let missing = page(file.first_position - 1, file.last_position + 1);
    assert!(
        matches!(&missing, Err(Error::Unavailable { message, .. }) if message.contains(&file.object)),
        "{missing:?}"
    );
    assert!(page(file.last_position, u64::MAX).expect("here") > 0);
}

/// Have the files here again, and nothing there any more.
fn bring_back(log: &Log) -> Result<u64, Error> {
    log.unarchive(true, false, &mut |_, _| Ok(())).map(|kept| kept.segments)
}

/// Archiving, and its undoing.
const CHANGE: Change<'_> =
    Change { name: "archive", format: 4, store: &store, make: &archive, undo: &bring_back, held: &held };

#[test]
fn a_power_cut_or_a_kill_leaves_the_same_store_which_is_archived_further() {
    CHANGE.stands_cuts_and_kills();
}

#[test]
fn whatever_call_fails_the_store_is_whole_and_the_next_attempt_goes_through() {
    CHANGE.stands_failures(5);
}
