//! Damage of every kind to every file: bits flipped one at a time, files cut short, sectors and pages zeroed, log files
//! swapped, doubled and taken away.
//!
//! A small store is written and closed. Each damaged image of it is opened twice: in place, so that control file and index
//! are believed, and as a copy, so that all is made anew from the log. Either there is an error or everything is right: what
//! is read is compared with what was written, by every way of reading. Where an error speaks of the log, `verify` finds a
//! problem; where the index is at fault, making it anew fixes it.
//!
//! By default every bit of the first log file is flipped and a sample of the rest, another one in each run;
//! `ACT_FAST_FLIPS=1` flips every one, everywhere.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex};

use act_fast_core::disk::RealDisk;
use act_fast_core::{Durability, Error, Log, Options, verify};
use support::contents::{self, Contents, Trouble};
use support::history::{self, Item};
use support::lying_disk::{Call, Image, Loss, LyingDisk, Verdict};
use support::rng::{self, Rng};
use support::{env_number, options};

/// A closed store of two log files, and what is in it.
struct Store {
    image: Image,
    contents: Contents,
}

static STORE: LazyLock<Store> = LazyLock::new(make);

fn make() -> Store {
    let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), br#"{"a":1}"#.to_vec())).collect();
    let parts =
        vec![("account-1".to_owned(), named(&["Opened", "Paid"])), ("b".to_owned(), named(&["Paid", "Opened"]))];
    let items = [
        Item::event("account-1", "Opened", r#"{"owner":"Ada"}"#),
        Item::Commit { parts, meta: br#"{"correlation":"c"}"#.to_vec() },
        Item::Snapshot { stream: "b".to_owned(), version: 1, data: br#"{"paid":1}"#.to_vec() },
        Item::event("b", "Paid", "5"),
        // Does not fit into what is left of the first file.
        Item::event("c", "Filled", &format!("\"{}\"", "z".repeat(15_900))),
        Item::event("account-1", "Closed", "{}"),
    ]
    .map(Arc::new);
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    for item in &items {
        item.ask(&log, None).expect("appending");
    }
    let contents = history::contents(&items);
    assert_eq!(contents::read(&log).expect("reading"), contents);
    log.shut_down().expect("closing");
    drop(log);
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(0));
    Store { image, contents }
}

impl Store {
    fn files(&self, folder: &str) -> Vec<String> {
        self.image.files.keys().filter(|name| name.starts_with(folder)).cloned().collect()
    }

    /// The bytes of a file up to the last that is not zero.
    fn used(&self, name: &str) -> usize {
        self.image.files[name].1.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
    }
}

/// How a damaged store is come upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Where it was written, by the same machine.
    InPlace,
    /// Where it was written, after the machine was started again.
    Rebooted,
    /// Somewhere else.
    Copied,
}

const EVERYWHERE: [Found; 3] = [Found::InPlace, Found::Rebooted, Found::Copied];

/// Open a damaged image: an error, or everything is right. `thorough`: also each way of reading on its own, and more appends.
fn check(damaged: &Image, found: Found, thorough: bool, what: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| outcome_of(damaged, found, thorough)));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(wrong)) => panic!("{what}, {found:?}: {wrong}"),
        Err(_) => panic!("{what}, {found:?}: a panic"),
    }
}

fn check_everywhere(damaged: &Image, what: &str) {
    for found in EVERYWHERE {
        check(damaged, found, true, what);
    }
}

fn outcome_of(damaged: &Image, found: Found, thorough: bool) -> Result<(), String> {
    let image = match found {
        Found::InPlace => damaged.clone(),
        Found::Rebooted => damaged.clone().rebooted(),
        Found::Copied => damaged.clone().copied(),
    };
    let disk = LyingDisk::from_image(&image);
    let options = Options { create: false, ..options(Durability::Fsync) };
    let log = match Log::open(disk.shared(), options.clone()) {
        Ok(log) => log,
        Err(error) => return told(&disk, &error),
    };
    if thorough {
        contents::right_or_refused(&log, &STORE.contents)?;
    }
    match right(&log, &STORE.contents) {
        Ok(()) => {}
        Err(Trouble::Wrong(what)) => return Err(what),
        Err(Trouble::Refused(error)) if of_the_index(&error) => {
            log.rebuild_index().map_err(|error| format!("rebuilding the index: {error}"))?;
            right(&log, &STORE.contents).map_err(|trouble| format!("after rebuilding the index: {trouble:?}"))?;
        }
        Err(Trouble::Refused(error)) => return told(&disk, &error),
    }
    if thorough { goes_on(log, &disk, &options) } else { Ok(()) }
}

fn right(log: &Log, expected: &Contents) -> Result<(), Trouble> {
    let found = contents::read(log)?;
    if found == *expected { Ok(()) } else { Err(Trouble::Wrong(format!("not what was written: {found:?}"))) }
}

fn of_the_index(error: &Error) -> bool {
    matches!(error, Error::Corrupt { file, .. } if file.starts_with("index"))
}

/// Whoever is told of damage to the log finds it listed by `verify`.
fn told(disk: &LyingDisk, error: &Error) -> Result<(), String> {
    let Error::Corrupt { file, .. } = error else { return Ok(()) };
    match verify(&disk.shared(), &mut |_, _| Ok(())) {
        Ok(report) if file.starts_with("log") && report.problems.is_empty() => {
            Err(format!("{error}; but verifying finds nothing"))
        }
        _ => Ok(()),
    }
}

/// A store in which everything is right takes an append, and has all of it when opened again. Damage that came to light
/// meanwhile may be told of.
fn goes_on(log: Arc<Log>, disk: &LyingDisk, options: &Options) -> Result<(), String> {
    let more = Item::event("account-1", "Opened", "7");
    if let Err(error) = more.ask(&log, None) {
        return told(disk, &error);
    }
    let mut expected = STORE.contents.clone();
    expected.events.push(contents::Event {
        stream: "account-1".to_owned(),
        name: "Opened".to_owned(),
        version: 5,
        data: b"7".to_vec(),
        meta: Vec::new(),
        tags: history::tags_of(b"7").iter().map(|tag| (*tag).to_owned()).collect(),
    });
    if let Err(error) = log.shut_down() {
        return told(disk, &error);
    }
    drop(log);
    let image = disk.checkpoint().image(Loss::Nothing, &mut Rng::new(0)).copied();
    let disk = LyingDisk::from_image(&image);
    match Log::open(disk.shared(), options.clone()).map_err(Trouble::Refused).and_then(|log| right(&log, &expected)) {
        Ok(()) => Ok(()),
        Err(Trouble::Wrong(what)) => Err(format!("after another append: {what}")),
        Err(Trouble::Refused(error)) => told(&disk, &error),
    }
}

/// In one of how many damaged stores each way of reading is tried on its own, and appends, where not all bits are flipped.
const THOROUGH_EVERY: usize = 20;

/// Flip each `step`th bit of a file's first `bytes` bytes, one at a time.
fn flip(name: &str, bytes: usize, step: usize, found: Found) {
    let step = env_number("ACT_FAST_FLIPS").map_or(step, |step| step as usize);
    let first = if step == 1 { 0 } else { (rng::seed(name) % step as u64) as usize };
    let mut damaged = STORE.image.clone();
    for bit in (first..bytes * 8).step_by(step) {
        damaged.bytes_mut(name)[bit / 8] ^= 1 << (bit % 8);
        let thorough = step == 1 || (bit / step).is_multiple_of(THOROUGH_EVERY);
        check(&damaged, found, thorough, &format!("bit {} of byte {} of {name}", bit % 8, bit / 8));
        damaged.bytes_mut(name)[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_flipped_bit_of_the_log_is_an_error_or_harmless_in_place() {
    flip("log/00000000.seg", STORE.used("log/00000000.seg") + 8, 1, Found::InPlace);
}

#[test]
fn a_flipped_bit_of_the_log_is_an_error_or_harmless_in_a_copy() {
    flip("log/00000000.seg", STORE.used("log/00000000.seg") + 8, 1, Found::Copied);
}

#[test]
fn a_flipped_bit_of_a_later_log_file_is_an_error_or_harmless() {
    for found in [Found::InPlace, Found::Copied] {
        flip("log/00000001.seg", 200, 11, found);
        flip("log/00000001.seg", STORE.used("log/00000001.seg"), 701, found);
    }
}

#[test]
fn a_flipped_bit_of_the_control_file_is_noticed_or_harmless() {
    for found in EVERYWHERE {
        flip("control", STORE.used("control"), 41, found);
    }
}

#[test]
fn a_flipped_bit_of_the_index_is_noticed_and_mended() {
    for name in STORE.files("index") {
        flip(&name, STORE.used(&name), 151, Found::InPlace);
        flip(&name, STORE.used(&name), 1009, Found::Rebooted);
    }
}

#[test]
fn files_that_were_cut_short_are_noticed() {
    for name in STORE.files("") {
        let len = STORE.image.files[&name].1.len();
        let used = STORE.used(&name);
        let near = [0, 1, 63, 64, 65, 511, 512, 4095, 4096, used / 2, used.saturating_sub(1), used, used + 1];
        for shorter in near.into_iter().filter(|shorter| *shorter < len) {
            let mut damaged = STORE.image.clone();
            damaged.bytes_mut(&name).truncate(shorter);
            check_everywhere(&damaged, &format!("{name} cut to {shorter} bytes"));
        }
        let mut damaged = STORE.image.clone();
        damaged.bytes_mut(&name).extend_from_slice(&[0x5a; 5000]);
        check_everywhere(&damaged, &format!("{name} made longer"));
    }
}

#[test]
fn zeroed_sectors_and_pages_are_noticed() {
    for name in STORE.files("") {
        for (size, every) in [(512, 1), (4096, 1), (64, 5)] {
            for at in (0..STORE.used(&name)).step_by(size * every) {
                let mut damaged = STORE.image.clone();
                let end = (at + size).min(damaged.bytes_mut(&name).len());
                damaged.bytes_mut(&name)[at..end].fill(0);
                check_everywhere(&damaged, &format!("{name}: {size} bytes of zeros at {at}"));
            }
        }
    }
}

#[test]
fn log_files_that_were_swapped_doubled_or_lost_are_noticed() {
    let (first, second) = ("log/00000000.seg", "log/00000001.seg");
    let bytes = |name: &str| STORE.image.files[name].1.clone();
    let with = |files: &[(&str, Option<Vec<u8>>)]| {
        let mut damaged = STORE.image.clone();
        for (name, bytes) in files {
            match bytes {
                Some(bytes) => drop(damaged.files.insert((*name).to_owned(), (900 + name.len() as u64, bytes.clone()))),
                None => drop(damaged.files.remove(*name)),
            }
        }
        damaged
    };
    let cases = [
        ("swapped", with(&[(first, Some(bytes(second))), (second, Some(bytes(first)))])),
        ("the first twice", with(&[(second, Some(bytes(first)))])),
        ("the second twice", with(&[(first, Some(bytes(second)))])),
        ("the second a third time", with(&[("log/00000002.seg", Some(bytes(second)))])),
        ("the first lost", with(&[(first, None)])),
        ("the second lost", with(&[(second, None)])),
        ("the control file lost", with(&[("control", None)])),
        ("all but the log lost", {
            let mut damaged = STORE.image.clone();
            damaged.files.retain(|name, _| name.starts_with("log"));
            damaged
        }),
    ];
    for (what, damaged) in &cases {
        check_everywhere(damaged, what);
    }
    for name in STORE.files("index") {
        check_everywhere(&with(&[(&name, None)]), &format!("{name} lost"));
    }
}

#[test]
fn two_damages_at_once_are_an_error_or_harmless() {
    let mut rng = Rng::new(rng::seed("two damages"));
    let names = STORE.files("");
    for round in 0..env_number("ACT_FAST_DAMAGES").unwrap_or(300) {
        let mut damaged = STORE.image.clone();
        let mut what = format!("round {round}");
        for _ in 0..2 {
            let name = &names[rng.below(names.len())];
            let (at, len) = (rng.below(STORE.used(name)), 1 + rng.below(40));
            let bytes = damaged.bytes_mut(name);
            let end = (at + len).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte ^= (rng.next() >> 9) as u8);
            what.push_str(&format!(", {len} bytes at {at} of {name}"));
        }
        check(&damaged, [Found::InPlace, Found::Rebooted][rng.below(2)], false, &what);
    }
}

#[test]
fn a_log_file_that_lost_its_spare_room_is_given_new_room() {
    let place = std::env::temp_dir().join(format!("act-fast-corruption-{}", std::process::id()));
    let disk = || Arc::new(RealDisk::new(&place));
    // Written through a mapping, where touching what is not there ends the process.
    let options = Options { segment_bytes: 1 << 20, ..options(Durability::Os) };
    let ask = |log: &Log, number: usize| {
        Item::event("a", "Written", &format!(r#"{{"n":{number},"pad":"{}"}}"#, "x".repeat(900))).ask(log, None)
    };
    let log = Log::open(disk(), options.clone()).expect("opening");
    ask(&log, 0).expect("appending");
    log.shut_down().expect("closing");
    drop(log);
    let file = std::fs::File::options().write(true).open(place.join("log/00000000.seg")).expect("the log file");
    file.set_len(4096).expect("cutting it");
    let log = Log::open(disk(), options.clone()).expect("opening again");
    for number in 1..50 {
        ask(&log, number).expect("appending");
    }
    assert_eq!(contents::read(&log).expect("reading").events.len(), 50);
    log.shut_down().expect("closing");
    drop(log);
    file.set_len(4096).expect("cutting it");
    let cut = Log::open(disk(), options).map(drop);
    std::fs::remove_dir_all(&place).expect("clearing up");
    assert!(matches!(cut, Err(Error::Corrupt { .. })), "{cut:?}");
}

#[test]
fn the_index_can_be_made_anew_after_a_writer_died_while_it_wrote_the_state_of_the_log() {
    const LINE: u64 = 64;
    const WRITER_LOCK: u64 = 2 * LINE;
    const LOG_STATE: u64 = 8;
    const INTENT: u64 = 10 * LINE;
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    let ask = |data: &str| Item::event("a", "Written", data).ask(&log, None);
    ask("1").expect("appending");
    // The writer in slot 7 had announced this line, and died with the lock when it had written a part of it.
    let state = &disk.bytes("control")[(LOG_STATE * LINE) as usize..][..LINE as usize];
    disk.overwrite("control", INTENT, state);
    disk.overwrite("control", INTENT + LINE, &LOG_STATE.to_le_bytes());
    disk.overwrite("control", LOG_STATE * LINE, &[0; 8]);
    disk.overwrite("control", WRITER_LOCK, &8_u32.to_le_bytes());
    log.rebuild_index().expect("making the index anew");
    ask("2").expect("appending");
    assert_eq!(contents::read(&log).expect("reading").events.len(), 2);
}

#[test]
fn a_commit_that_finds_the_index_damaged_is_there_all_the_same() {
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    let ask = |data: &str| Item::event("a", "Written", data).ask(&log, None);
    for number in 0..3 {
        ask(&number.to_string()).expect("appending");
    }
    // What the next commit's positions are to be added to; nobody looks at it before the commit is written.
    for (file, generation) in [("postings", 1), ("places", 2)] {
        disk.overwrite(&format!("index/{generation:08}/{file}"), 64, &[0xff; 640]);
        ask("7").expect("an error would say that nothing was written");
    }
    let found = contents::read(&log).expect("reading");
    assert_eq!(found.events.len(), 5);
    let report = verify(&disk.shared(), &mut |_, _| Ok(())).expect("a report");
    assert_eq!((report.problems, report.events), (vec![], 5));
}

#[test]
fn verifying_a_busy_store_is_not_taken_for_somebody_who_has_it_open() {
    const WRITER_LOCK: u64 = 2 * 64;
    let disk = LyingDisk::new();
    let log = Log::open(disk.shared(), options(Durability::Fsync)).expect("opening");
    Item::event("a", "Written", "1").ask(&log, None).expect("appending");
    disk.overwrite("control", WRITER_LOCK, &8_u32.to_le_bytes());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&taken);
    disk.intercept(move |call, name| {
        if call == Call::Lock {
            noted.lock().expect("no panic").push(name.to_owned());
        }
        Verdict::Go
    });
    verify(&disk.shared(), &mut |_, _| Ok(())).expect("a report");
    // Looking who is alive takes their slots for a moment, so nobody may open the store just then.
    assert_eq!(*taken.lock().expect("no panic"), ["locks/opening", "locks/slot-0000"]);
    disk.repair();
    disk.overwrite("control", WRITER_LOCK, &[0; 4]);
}
