//! Replicas: the same records come to the same log everywhere, however they are batched and whatever else happens on the
//! machine, and to what a plain model of the rules says.
//!
//! `ACT_FAST_REPLICAS` says how many random logs are tried (60), `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use act_fast_core::disk::{Disk, MemoryDisk, RealDisk};
use act_fast_core::replica::{Applier, Duplicate, Head, Kind, commits_record, genesis_record, read_genesis};
use act_fast_core::{
    Durability, Error, Genesis, Guards, Log, NewEvent, Options, Origin, Part, Patience, Proposed, verify,
};
use support::lying_disk::{Call, HOUSEKEEPER, LyingDisk, Verdict};
use support::ordered::{Author, Draft, GENESIS, Model, Ordered, Said, Wish, assert_is, facts};
use support::rng::{self, Rng};
use support::{env_number, options};

fn open(disk: &Arc<dyn Disk>, durability: Durability) -> Arc<Log> {
    Log::open_replica(Arc::clone(disk), options(durability), Some(GENESIS)).expect("the replica opens")
}

fn memory() -> (Arc<dyn Disk>, Arc<Log>) {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let log = open(&disk, Durability::Os);
    (disk, log)
}

fn applier(log: &Log) -> Applier {
    Applier::new(log, None).expect("an applier")
}

/// Apply all that there is.
fn apply_all(log: &Log, applier: &mut Applier, ordered: &Ordered) {
    applier.apply(log, &ordered.after(applier.place(), usize::MAX)).expect("applying");
}

/// A replica that has applied these proposals, one record each.
fn with(records: &[&[Wish]]) -> (Ordered, Arc<Log>) {
    let mut ordered = Ordered::new();
    for (number, wishes) in (1..).zip(records) {
        ordered.propose(number, wishes);
    }
    let (_, log) = memory();
    apply_all(&log, &mut applier(&log), &ordered);
    (ordered, log)
}

fn verified(disk: &Arc<dyn Disk>, events: u64) {
    let report = verify(disk, &mut |_, _| Ok(())).expect("a report");
    assert_eq!((report.problems, report.events, report.index_checked), (Vec::new(), events, true));
}

#[test]
fn the_same_records_come_to_the_same_log_however_they_are_applied() {
    let mut rng = Rng::new(rng::seed("replicas"));
    let (mut refused, mut duplicates, mut accepted) = (0, 0, 0);
    for _ in 0..env_number("ACT_FAST_REPLICAS").unwrap_or(60) {
        let ordered = Author::new(rng.fork()).log(10 + rng.below(60));
        let model = Model::of(&ordered);
        refused += model.refused;
        duplicates += model.duplicates;
        accepted += model.settled.values().map(Vec::len).sum::<usize>();
        for durability in [Durability::Os, Durability::Interval, Durability::Fsync] {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
            one_replica(&disk, durability, &ordered, &model, &mut rng);
            verified(&disk, model.facts.len() as u64);
        }
    }
    assert!(refused > 100 && duplicates > 10 && accepted > 100, "{refused}, {duplicates}, {accepted}");
}

/// A replica that applies a log in batches of chance, with snapshots, rebuilt indexes, restarts and states of chance in between.
fn one_replica(disk: &Arc<dyn Disk>, durability: Durability, ordered: &Ordered, model: &Model, rng: &mut Rng) {
    let mut log = open(disk, durability);
    let mut applier = applier(&log);
    let mut others = Vec::new();
    let (mut kept, mut furthest) = (None, 0);
    while applier.place() < ordered.head() {
        let batch = ordered.after(applier.place(), 1 + rng.below(12));
        others.extend(applier.apply(&log, &batch).expect("applying"));
        furthest = furthest.max(applier.place());
        assert_eq!(log.applied().expect("how far it is"), furthest);
        match rng.below(8) {
            0 => {
                if let Some(info) = log.streams(None, None, 100).expect("streams").streams.first() {
                    log.save_snapshot(&info.stream, info.version, b"{}").expect("a snapshot");
                }
            }
            1 => log.rebuild_index().expect("a new index"),
            2 => {
                log.flush().expect("a flush");
                kept = Some((applier.state(), others.len()));
            }
            3 => {
                if rng.chance(50) {
                    log.shut_down().expect("closing");
                    drop(log);
                    log = open(disk, durability);
                }
                // Records are gone through again from the state that was kept, or from the beginning.
                let (state, known) = kept.clone().map_or((None, 0), |(state, known)| (Some(state), known));
                others.truncate(known);
                applier = Applier::new(&log, state.as_deref()).expect("an applier");
            }
            _ => {}
        }
    }
    assert_eq!(others, model.others);
    assert_is(&log, ordered, model);
}

#[test]
fn a_replica_answers_what_became_of_a_proposal_and_what_was_in_its_way() {
    let (ordered, log) = with(&[
        &[Wish::of("a", Some(0)), Wish::of("a", Some(0)), Wish::of("b", Some(0)), Wish::of("a", None)],
        &[Wish::of("a", Some(1))],
        &[Wish::of("a", Some(2))],
    ]);
    let [first, second, third] = [ordered.head() - 2, ordered.head() - 1, ordered.head()];
    let indexes = |place| -> Vec<u64> { log.settled(place).expect("settled").iter().map(|one| one.index).collect() };
    assert_eq!((indexes(first), indexes(second), indexes(third)), (vec![0, 2, 3], vec![], vec![0]));
    // As of the commits before it, the second proposal of the first record met version 1.
    let before = log.settled(first).expect("settled")[0].last_position;
    assert_eq!(log.version_at("a", before).expect("a version"), 1);
    let before = log.position_at(second).expect("a position");
    assert_eq!((before, log.version_at("a", before).expect("a version")), (3, 2));
    assert_eq!(log.version_at("a", 4).expect("a version"), 3);
    assert_eq!(log.version_at("never", 4).expect("a version"), 0);
    assert_eq!(log.origin().expect("an origin"), Proposed { place: third, index: 0 });
}

#[test]
fn proposals_are_refused_for_versions_and_for_what_no_replica_takes_and_for_nothing_else() {
    let event = |bytes: usize| ("Happened".to_owned(), vec![b'1'; bytes]);
    let wish = |stream: &str, events: Vec<_>| Wish {
        created: 1,
        meta: Vec::new(),
        parts: vec![(stream.to_owned(), events, None)],
        key: None,
    };
    let limit = support::SEGMENT_BYTES as usize - 96 - 100 - 12 - 1 - 43 - "Happened".len();
    let none = Wish { created: 1, meta: Vec::new(), parts: Vec::new(), key: None };
    let late = |created| Wish { created, ..Wish::of("a", None) };
    let (_, log) = with(&[&[
        wish("a", vec![event(limit)]),
        wish("a", vec![event(limit + 1)]),
        wish("a", vec![]),
        none,
        wish("", vec![event(1)]),
        wish(&"x".repeat(512), vec![event(1)]),
        wish(&"x".repeat(513), vec![event(1)]),
        wish("a", vec![("".to_owned(), b"1".to_vec())]),
        wish("a", vec![event(1), ("a\nb".to_owned(), b"1".to_vec())]),
        late((1 << 55) - 1),
        late(1 << 55),
        wish("not JSON", vec![("Happened".to_owned(), b"{".to_vec())]),
        Wish { meta: b"{".to_vec(), ..Wish::of("a", None) },
        Wish { meta: b"{}".to_vec(), ..Wish::of("a", None) },
    ]]);
    let accepted: Vec<u64> = log.settled(4).expect("settled").iter().map(|one| one.index).collect();
    assert_eq!(accepted, [0, 5, 9, 11, 13]);
}

#[test]
fn options_of_a_replica_have_no_say_in_what_is_accepted() {
    let large = Wish {
        parts: vec![("a".to_owned(), vec![("Happened".to_owned(), vec![b'1'; 5000])], None)],
        ..Wish::of("a", None)
    };
    let mut ordered = Ordered::new();
    ordered.propose(1, &[large]);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let narrow = Options { payload_max_bytes: 10, segment_bytes: 1 << 20, ..options(Durability::Os) };
    let log = Log::open_replica(disk, narrow, Some(GENESIS)).expect("the replica opens");
    apply_all(&log, &mut applier(&log), &ordered);
    assert_eq!(log.head().expect("a head"), 1);
    let event = [NewEvent { name: "Happened", data: &[b'1'; 11], tags: &[] }];
    let part = Part { stream: "a", events: &event, expected: None };
    assert!(
        matches!(log.check_proposal(&[part], &Guards::default(), b"", 10), Err(Error::Invalid(_))),
        "but they are looked at before proposing"
    );
}

#[test]
fn times_never_run_backwards_and_snapshots_do_not_move_them() {
    let at = |created| Wish { created, ..Wish::of("a", None) };
    let (ordered, log) = with(&[&[at(500), at(400)]]);
    log.save_snapshot("a", 1, b"{}").expect("a snapshot");
    assert_eq!(log.latest_snapshot("a", None).expect("a snapshot").expect("one").created, 500);
    let mut ordered = ordered;
    ordered.propose(2, &[at(600)]);
    let mut applier = applier(&log);
    apply_all(&log, &mut applier, &ordered);
    let times: Vec<i64> = facts(&log).iter().map(|fact| fact.created).collect();
    assert_eq!(times, [500, 500, 600]);
}

#[test]
fn a_record_that_is_there_twice_counts_once() {
    let mut ordered = Ordered::new();
    let draft = |session: u8, number| Draft {
        session: [session; 16],
        number,
        time_ms: 1,
        said: Said::Commits(vec![Wish::of("a", None)]),
    };
    let member = Draft { said: Said::Body(Kind::Member, vec![1]), ..draft(3, 1) };
    for draft in [draft(1, 1), draft(1, 1), draft(2, 1), draft(1, 3), draft(1, 2), draft(1, 1), member.clone(), member]
    {
        ordered.add(draft, 1);
    }
    let (_, log) = memory();
    let mut applier = applier(&log);
    let others = applier.apply(&log, &ordered.after(0, usize::MAX)).expect("applying");
    assert_eq!((log.head().expect("a head"), others.len()), (4, 1), "one record may overtake another of its session");
    let duplicate = |place, first| Duplicate { place, first };
    assert_eq!(applier.duplicates(), [duplicate(5, 4), duplicate(9, 4), duplicate(11, 10)]);
    assert_eq!(applier.duplicates(), [], "each is told once");
}

#[test]
fn what_is_too_far_back_in_its_session_counts_as_seen() {
    let mut ordered = Ordered::new();
    for number in [100, 37, 36, 101, 37] {
        let said = Said::Commits(vec![Wish::of("a", None)]);
        ordered.add(Draft { session: [1; 16], number, time_ms: 1, said }, 1);
    }
    let (_, log) = memory();
    let mut first = applier(&log);
    first.apply(&log, &ordered.after(0, 3)).expect("applying");
    let mut second = Applier::new(&log, Some(&first.state())).expect("one that goes on");
    second.apply(&log, &ordered.after(second.place(), usize::MAX)).expect("applying");
    assert_eq!(log.head().expect("a head"), 3);
    assert_eq!(
        [first.duplicates(), second.duplicates()].concat(),
        [Duplicate { place: 6, first: 0 }, Duplicate { place: 8, first: 0 }]
    );
}

#[test]
fn sessions_are_remembered_by_a_state_and_the_one_that_was_silent_for_longest_is_forgotten() {
    const KEPT: u32 = 1 << 16;
    let (_, log) = memory();
    let mut applier = applier(&log);
    applier.apply(&log, &Ordered::new().after(0, 1)).expect("the genesis");
    let record = |number: u32, of: u64| {
        let mut session = [0; 16];
        session[..4].copy_from_slice(&number.to_le_bytes());
        Draft { session, number: of, time_ms: 1, said: Said::Body(Kind::Member, Vec::new()) }.record()
    };
    let records: Vec<Vec<u8>> = (0..KEPT).map(|number| record(number, 5)).collect();
    let given: Vec<(u64, &[u8])> = (10..).zip(records.iter().map(Vec::as_slice)).collect();
    assert_eq!(applier.apply(&log, &given).expect("applying").len(), KEPT as usize);
    let mut place = 1_000_000;
    let mut known = |applier: &mut Applier, number: u32, of: u64| {
        place += 1;
        applier.apply(&log, &[(place, &record(number, of))]).expect("applying").is_empty()
    };
    assert!(known(&mut applier, 0, 5), "a duplicate, which does not count as a word of its session");
    assert!(!known(&mut applier, 1, 6), "so that this one is spoken of later");
    assert!(!known(&mut applier, KEPT, 1), "one too many, so that the first is forgotten");
    let mut later = Applier::new(&log, Some(&applier.state())).expect("an applier");
    for applier in [&mut applier, &mut later] {
        assert!(known(applier, 1, 6) && known(applier, 2, 5) && known(applier, KEPT, 1));
        assert!(!known(applier, 0, 5), "forgotten");
    }
}

#[test]
fn a_record_that_cannot_be_applied_stops_a_replica_until_it_can() {
    let mut ordered = Ordered::new();
    ordered.propose(1, &[Wish::of("a", None)]);
    let good =
        Draft { session: [1; 16], number: 2, time_ms: 1, said: Said::Commits(vec![Wish::of("a", None)]) }.record();
    let alter = |at: usize, byte: u8| {
        let mut record = good.clone();
        record[at] = byte;
        let crc = crc32c_of(&record);
        record[60..64].copy_from_slice(&crc.to_le_bytes());
        record
    };
    let foreign = commits_record([8; 16], [1; 16], 2, 1, &[]).expect("a record");
    let flipped: Vec<Vec<u8>> = (0..good.len() * 8)
        .map(|bit| {
            let mut record = good.clone();
            record[bit / 8] ^= 1 << (bit % 8);
            record
        })
        .collect();
    let cut: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    let mut bad =
        vec![alter(4, 2), alter(5, 3), alter(6, 5), alter(7, 2), alter(7, 1), alter(56, 1), alter(64, 2), foreign];
    // A time that is none; a body that goes on.
    bad.push(alter(55, 1));
    let mut longer = alter(56, good.len() as u8 - 63);
    longer.push(0);
    let crc = crc32c_of(&longer);
    longer[60..64].copy_from_slice(&crc.to_le_bytes());
    bad.push(longer);
    for record in bad.iter().chain(&flipped).chain(&cut) {
        let (_, log) = memory();
        let mut applier = applier(&log);
        applier.apply(&log, &ordered.after(0, 2)).expect("applying");
        let (last, after) = (applier.place(), applier.place() + 2);
        let reactions = Draft { session: [2; 16], number: 1, time_ms: 1, said: Said::Body(Kind::Reactions, vec![1]) };
        let (before, behind) = (reactions.record(), Draft { number: 2, ..reactions.clone() }.record());
        let batch = [(last + 1, before.as_slice()), (after, record.as_slice()), (after + 1, behind.as_slice())];
        let others = applier.apply(&log, &batch).expect("what came before it is handed out first");
        assert_eq!((others.len(), applier.place()), (1, last + 1));
        for _ in 0..2 {
            let error = applier.apply(&log, &batch).expect_err("and then it fails");
            assert!(matches!(error, Error::Record(_) | Error::Format(_)), "{error}");
        }
        let skipped = applier.apply(&log, &batch[2..]).expect_err("nothing is passed over");
        assert!(matches!(skipped, Error::Invalid(_)), "{skipped}");
        assert_eq!(
            (log.head().expect("a head"), log.applied().expect("a place"), applier.place()),
            (1, last + 1, last + 1)
        );
        let mended =
            Draft { session: [1; 16], number: 2, time_ms: 1, said: Said::Commits(vec![Wish::of("a", Some(1))]) };
        let batch = [(after, mended.record()), (after + 1, behind.clone())];
        let batch: Vec<(u64, &[u8])> = batch.iter().map(|(place, record)| (*place, record.as_slice())).collect();
        assert_eq!(applier.apply(&log, &batch).expect("applying").len(), 1);
        assert_eq!((log.head().expect("a head"), applier.place()), (2, after + 1));
    }
}

fn crc32c_of(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..60]), &record[64..])
}

#[test]
fn an_ordered_log_is_read_from_its_genesis_and_a_later_one_is_passed_over() {
    let mut ordered = Ordered::new();
    ordered.propose(1, &[Wish::of("a", None)]);
    let (_, log) = memory();
    let error = applier(&log).apply(&log, &ordered.after(3, 1)).expect_err("its beginning is missing");
    assert!(matches!(error, Error::Record(_)), "{error}");
    for other in
        [Genesis { store_id: [8; 16], ..GENESIS }, Genesis { segment_bytes: 2 * GENESIS.segment_bytes, ..GENESIS }]
    {
        let record = genesis_record(other).expect("a genesis");
        let error = applier(&log).apply(&log, &[(1, record.as_slice())]).expect_err("that of another store");
        assert!(matches!(error, Error::Record(_)), "{error}");
        let mut ordered = ordered.clone();
        ordered.push(record, 1);
        ordered.propose(2, &[Wish::of("a", Some(1))]);
        let (_, log) = memory();
        apply_all(&log, &mut applier(&log), &ordered);
        assert_eq!(log.head().expect("a head"), 2);
    }
}

#[test]
fn places_grow() {
    let (_, log) = memory();
    let mut applier = applier(&log);
    let ordered = Ordered::new();
    let genesis = ordered.records[0].1.as_slice();
    for places in [[2, 2], [2, 1], [2, 1 << 48]] {
        let error = applier.apply(&log, &places.map(|place| (place, genesis))).expect_err("places that do not grow");
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    applier.apply(&log, &[(2, genesis)]).expect("the genesis");
    assert!(applier.apply(&log, &[(2, b"passed over"), (1, b"too")]).expect("nothing to do").is_empty());
}

#[test]
fn a_record_gives_back_what_it_was_made_of() {
    let genesis = genesis_record(GENESIS).expect("a genesis");
    assert_eq!(read_genesis(&genesis).expect("a record"), Some(GENESIS));
    let draft =
        Draft { session: [4; 16], number: 7, time_ms: 1 << 45, said: Said::Body(Kind::Member, vec![b'x'; 5000]) };
    let record = draft.record();
    assert!(record.len() < 1000, "what repeats is compressed");
    assert_eq!(read_genesis(&record).expect("a record"), None);
    let head = Head { kind: Kind::Member, store_id: GENESIS.store_id, session: [4; 16], number: 7, time_ms: 1 << 45 };
    assert_eq!(Head::read(&record).expect("a record"), head);
    assert!(genesis_record(Genesis { segment_bytes: 1000, ..GENESIS }).is_err(), "no size that a log file has");
}

#[test]
fn a_replica_is_changed_by_applying_only() {
    let (disk, log) = memory();
    let events = [NewEvent { name: "Happened", data: b"1", tags: &[] }];
    let part = Part { stream: "a", events: &events, expected: None };
    let refusals = [
        log.append(&[part], b"", Patience::Wait).map(drop),
        log.append(&[part], b"", Patience::Try).map(drop),
        log.append_copied(&[part], b"", Origin { position: 1, created: 1 }).map(drop),
    ];
    for refusal in refusals {
        assert!(matches!(&refusal, Err(Error::Invalid(what)) if what.contains("replica")), "{refusal:?}");
    }
    drop(log);
    let log = Log::open(Arc::clone(&disk), options(Durability::Os)).expect("opened by its path");
    assert!(log.is_replica());
    assert!(matches!(log.append(&[part], b"", Patience::Wait), Err(Error::Invalid(_))));
    assert_eq!(log.head().expect("a head"), 0);
}

#[test]
fn a_replica_is_that_of_its_store_and_an_ordinary_log_is_none() {
    let (disk, log) = memory();
    drop(log);
    let opened =
        |genesis| Log::open_replica(Arc::clone(&disk), options(Durability::Os), genesis).map(|log| log.store_id());
    assert_eq!(opened(None).expect("it opens"), GENESIS.store_id);
    for other in
        [Genesis { store_id: [8; 16], ..GENESIS }, Genesis { segment_bytes: 2 * GENESIS.segment_bytes, ..GENESIS }]
    {
        assert!(matches!(opened(Some(other)), Err(Error::Format(_))));
    }
    let empty: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let outcome = Log::open_replica(Arc::clone(&empty), options(Durability::Os), None);
    assert!(matches!(outcome, Err(Error::Format(_))), "nothing is made without a genesis");
    let log = Log::open(Arc::clone(&empty), options(Durability::Os)).expect("an ordinary log");
    assert!(matches!(Applier::new(&log, None), Err(Error::Invalid(_))));
    for refused in
        [log.origin().map(drop), log.applied().map(drop), log.settled(1).map(drop), log.position_at(1).map(drop)]
    {
        assert!(matches!(refused, Err(Error::Invalid(_))));
    }
    drop(log);
    let outcome = Log::open_replica(empty, options(Durability::Os), Some(GENESIS));
    assert!(matches!(outcome, Err(Error::Format(_))), "an ordinary log is no replica");
}

#[test]
fn an_older_version_refuses_a_replica() {
    let disk = LyingDisk::new();
    drop(open(&disk.shared(), Durability::Os));
    // What it looks at first: the format in the head of a log file, and in that of the control file.
    assert_eq!(disk.bytes("log/00000000.seg")[8..12], 2u32.to_le_bytes());
    assert_eq!(disk.bytes("control")[8..12], 2u32.to_le_bytes());
    let disk = LyingDisk::new();
    drop(Log::open(disk.shared(), options(Durability::Os)).expect("an ordinary log"));
    assert_eq!(disk.bytes("log/00000000.seg")[8..12], 1u32.to_le_bytes());
    assert_eq!(disk.bytes("control")[8..12], 1u32.to_le_bytes());
}

#[test]
fn a_state_that_is_damaged_or_of_another_store_or_ahead_of_the_log_is_refused() {
    let (ordered, log) = with(&[&[Wish::of("a", None)]]);
    let mut applier = applier(&log);
    apply_all(&log, &mut applier, &ordered);
    let state = applier.state();
    let place = Applier::new(&log, Some(&state)).expect("an applier").place();
    assert_eq!(place, ordered.head());
    for bit in 0..state.len() * 8 {
        let mut damaged = state.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(Applier::new(&log, Some(&damaged)), Err(Error::Record(_))), "bit {bit}");
    }
    for len in 0..state.len() {
        assert!(matches!(Applier::new(&log, Some(&state[..len])), Err(Error::Record(_))), "{len} bytes");
    }
    let (_, empty) = memory();
    assert!(matches!(Applier::new(&empty, Some(&state)), Err(Error::Record(_))), "a log that has lost what it says");
    let genesis = Genesis { store_id: [8; 16], ..GENESIS };
    let other = Log::open_replica(Arc::new(MemoryDisk::default()), options(Durability::Os), Some(genesis));
    assert!(matches!(Applier::new(&other.expect("it opens"), Some(&state)), Err(Error::Record(_))));
}

#[test]
fn who_waits_for_a_place_is_woken_also_by_a_record_that_leaves_nothing_behind() {
    let (_, log) = memory();
    let mut ordered = Ordered::new();
    ordered.propose(1, &[Wish::of("a", Some(7))]);
    let place = ordered.head();
    let began = Arc::new(AtomicBool::new(false));
    let waiting = {
        let (log, began) = (Arc::clone(&log), Arc::clone(&began));
        thread::spawn(move || {
            began.store(true, Ordering::SeqCst);
            let mut applied = 0;
            while applied < place {
                applied = log.wait_applied(place, Duration::from_secs(3600)).expect("a place");
            }
            applied
        })
    };
    while !began.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    apply_all(&log, &mut applier(&log), &ordered);
    assert_eq!(waiting.join().expect("it comes to its end"), place);
    assert_eq!(log.wait_applied(place + 1, Duration::ZERO).expect("a place"), place);
}

#[test]
fn the_time_of_the_log_goes_on_from_the_largest_of_any_record() {
    let (disk, log) = memory();
    let now = log.log_time_ms().expect("a time");
    let ahead = now + 3_600_000;
    let record = |number, time_ms| {
        Draft { session: [1; 16], number, time_ms, said: Said::Body(Kind::Member, Vec::new()) }.record()
    };
    let mut applier = applier(&log);
    applier.apply(&log, &Ordered::new().after(0, 1)).expect("the genesis");
    applier
        .apply(&log, &[(10, &record(1, now - 3_600_000)), (11, &record(2, ahead)), (12, &record(3, now))])
        .expect("applying");
    let time = log.log_time_ms().expect("a time");
    assert!((ahead..ahead + 600_000).contains(&time), "{time} is not {ahead}");
    let state = applier.state();
    drop(log);
    let log = open(&disk, Durability::Os);
    assert!(log.log_time_ms().expect("a time") >= ahead, "it is shared, and lasts as long as the machine");
    // On another machine, where only the state is known.
    let (_, other) = memory();
    assert!(other.log_time_ms().expect("a time") < ahead);
    Applier::new(&other, Some(&state)).expect("an applier");
    assert!(other.log_time_ms().expect("a time") >= ahead);
}

#[test]
fn a_full_disk_stops_a_replica_with_nothing_decided_and_room_lets_it_go_on() {
    let mut ordered = Author::new(Rng::new(77)).log(40);
    // Records that take more than a log file each.
    let large = |stream: &str| {
        let events = vec![("Happened".to_owned(), vec![b'1'; 6000])];
        Wish { parts: vec![(stream.to_owned(), events, None)], ..Wish::of(stream, None) }
    };
    for number in 0..4 {
        ordered.propose(1000 + number, &["a", "b", "a", "c-1"].map(large));
    }
    let model = Model::of(&ordered);
    let (mut stops, mut within) = (0, 0);
    for failing in 0.. {
        let disk = LyingDisk::new();
        let (calls, full) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let log = open(&disk.shared(), Durability::Interval);
        let applying = Arc::new(AtomicBool::new(false));
        let (count, now_full, counts) = (Arc::clone(&calls), Arc::clone(&full), Arc::clone(&applying));
        disk.intercept(move |call, _| match call {
            _ if std::thread::current().name() == Some(HOUSEKEEPER) || !counts.load(Ordering::SeqCst) => Verdict::Go,
            Call::Reserve | Call::Open => {
                now_full.fetch_or(count.fetch_add(1, Ordering::SeqCst) == failing, Ordering::SeqCst);
                match now_full.load(Ordering::SeqCst) {
                    true => Verdict::Fail(std::io::Error::from_raw_os_error(28)),
                    false => Verdict::Go,
                }
            }
            _ => Verdict::Go,
        });
        let mut applier = applier(&log);
        let mut others = Vec::new();
        loop {
            applying.store(true, Ordering::SeqCst);
            let outcome = applier.apply(&log, &ordered.after(applier.place(), 5));
            applying.store(false, Ordering::SeqCst);
            match outcome {
                Ok(found) if found.is_empty() && applier.place() == ordered.head() => break,
                Ok(found) => others.extend(found),
                Err(error) => {
                    assert!(matches!(error, Error::Full(_)), "{error}");
                    assert!(full.swap(false, Ordering::SeqCst), "it fails while there is room: {error}");
                    stops += 1;
                    within += i32::from(log.origin().expect("an origin").place > applier.place());
                    let so_far = Model::up_to(&ordered, applier.place());
                    assert!(facts(&log).starts_with(&so_far.facts), "what was applied can be read");
                }
            }
        }
        assert_eq!(others, model.others);
        assert_is(&log, &ordered, &model);
        drop(log);
        disk.repair();
        verified(&disk.shared(), model.facts.len() as u64);
        if calls.load(Ordering::SeqCst) <= failing {
            break;
        }
    }
    assert!(stops > 5 && within > 2, "{stops} stops, {within} of them within a record");
}

#[test]
fn what_could_not_be_flushed_is_not_said_to_be_applied() {
    let mut ordered = Ordered::new();
    ordered.propose(1, &[Wish::of("a", None)]);
    for (code, lasts) in [(5, true), (24, false)] {
        let disk = LyingDisk::new();
        let log = open(&disk.shared(), Durability::Fsync);
        let mut applier = applier(&log);
        applier.apply(&log, &ordered.after(0, 1)).expect("the genesis");
        disk.intercept(move |call, name| match call {
            Call::Flush if code == 5 && name.ends_with(".seg") => {
                Verdict::Fail(std::io::Error::from_raw_os_error(code))
            }
            Call::Identity if code == 24 && name == "control" && std::thread::current().name() != Some(HOUSEKEEPER) => {
                Verdict::Fail(std::io::Error::from_raw_os_error(code))
            }
            _ => Verdict::Go,
        });
        let _ = applier.apply(&log, &ordered.after(applier.place(), 1));
        assert_eq!((log.head().expect("a head"), log.applied().expect("a place")), (0, 3));
        disk.repair();
        let outcome = applier.apply(&log, &ordered.after(applier.place(), 1));
        assert_eq!(matches!(outcome, Err(Error::Failed(_))), lasts);
        let applied = if lasts { 3 } else { 4 };
        assert_eq!(log.applied().expect("a place"), applied, "another try, if there is one, makes up for it");
        drop(log);
        let log = open(&disk.shared(), Durability::Fsync);
        apply_all(&log, &mut Applier::new(&log, None).expect("an applier"), &ordered);
        assert_is(&log, &ordered, &Model::of(&ordered));
    }
}

#[test]
fn a_backup_of_a_replica_is_one_as_of_its_place() {
    let (ordered, log) = with(&[&[Wish::of("a", None), Wish::of("b", None)], &[Wish::of("a", Some(1))]]);
    let to: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    log.backup(&to, "copy", false, &mut |_, _| Ok(())).expect("a backup");
    let copy: Arc<dyn Disk> = Arc::new(act_fast_core::disk::Within::new(&to, "copy"));
    let copied = open(&copy, Durability::Os);
    assert_is(&copied, &ordered, &Model::of(&ordered));
    // The last record's end is not known of a log by itself.
    assert_eq!(copied.applied().expect("a place"), ordered.head() - 1);
    let mut longer = ordered.clone();
    longer.propose(3, &[Wish::of("a", Some(2))]);
    apply_all(&copied, &mut applier(&copied), &longer);
    assert_is(&copied, &longer, &Model::of(&longer));
}

#[test]
fn a_damaged_commit_of_a_replica_is_found() {
    let disk = LyingDisk::new();
    let mut ordered = Ordered::new();
    ordered.propose(1, &[Wish::of("a", None), Wish::of("a", None)]);
    let log = open(&disk.shared(), Durability::Fsync);
    apply_all(&log, &mut applier(&log), &ordered);
    log.shut_down().expect("closing");
    drop(log);
    let log = disk.bytes("log/00000000.seg");
    let at = log.windows(4).position(|bytes| bytes == b"ACTP").expect("a commit") + 28 + 4;
    assert_eq!(log[at], 4, "the place of its record");
    disk.overwrite("log/00000000.seg", at as u64, &[5]);
    let report = verify(&disk.shared(), &mut |_, _| Ok(())).expect("a report");
    assert!(!report.problems.is_empty());
}

/// A replica as a folder, for readers.
#[test]
fn a_replica_that_is_opened_for_reading_shows_what_there_is() {
    let folder = std::env::temp_dir().join(format!("act-fast-replica-{}", std::process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(&folder));
    let log = open(&disk, Durability::Interval);
    let mut ordered = Ordered::new();
    ordered.propose(1, &[Wish::of("a", None)]);
    apply_all(&log, &mut applier(&log), &ordered);
    let reading = Options { read_only: true, ..options(Durability::Interval) };
    let reader = Log::open_replica(Arc::clone(&disk), reading, None).expect("it opens");
    assert_eq!(reader.wait_applied(ordered.head(), Duration::ZERO).expect("a place"), ordered.head());
    assert_is(&reader, &ordered, &Model::of(&ordered));
    assert!(Applier::new(&reader, None).is_err());
    drop((log, reader));
    std::fs::remove_dir_all(folder).expect("cleaning up");
}
