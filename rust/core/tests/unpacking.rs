//! Reading packed log files whose blocks are unpacked ahead, by several threads: what is read is what plain files hold,
//! whichever way it is read and whatever was read before; and a damaged block is told of as if it had been read alone.
//!
//! `ACT_FAST_IMAGES` sets how many rounds there are, `ACT_FAST_SEED` repeats a run.

mod support;

use std::sync::Arc;
use std::thread;

use act_fast_core::{Durability, Error, Filter, Log, NewEvent, Options, Part, Patience};
use support::contents::{self, Event, spelled};
use support::forms::segment;
use support::lying_disk::{Loss, LyingDisk};
use support::rng::{self, Rng};
use support::{env_number, options};

/// Enough blocks in a file that several threads share them.
const SEGMENT_BYTES: u64 = 1 << 20;
const STREAMS: usize = 12;

fn opened(disk: &LyingDisk) -> Arc<Log> {
    let options = Options { segment_bytes: SEGMENT_BYTES, ..options(Durability::Fsync) };
    Log::open(disk.shared(), options).expect("a store")
}

/// A store of three log files and a little, in commits of one event, of some, and of many.
fn filled(rng: &mut Rng) -> LyingDisk {
    let disk = LyingDisk::new();
    let log = opened(&disk);
    let mut number = 0;
    while log.stats().expect("numbers").segments < 4 {
        let count = [1, 1, 1, 2, 40, 300][rng.below(6)];
        let payloads: Vec<String> = (0..count).map(|_| payload(rng)).collect();
        let tags: Vec<String> = (0..count).map(|_| format!("course:{}", rng.below(5))).collect();
        let tags: Vec<[&str; 1]> = tags.iter().map(|tag| [tag.as_str()]).collect();
        let event =
            |at: usize| NewEvent { name: name(number * 7 + at), data: payloads[at].as_bytes(), tags: &tags[at] };
        let events: Vec<NewEvent<'_>> = (0..count).map(event).collect();
        let streams: Vec<String> = (0..count).map(|at| stream(if at % 2 == 0 { 0 } else { number + at })).collect();
        let parts: Vec<Part<'_>> =
            (0..count).map(|at| Part { stream: &streams[at], events: &events[at..=at], expected: None }).collect();
        log.append(&parts, format!(r#"{{"number":{number}}}"#).as_bytes(), Patience::Wait).expect("room");
        number += 1;
    }
    log.shut_down().expect("closed");
    disk
}

fn payload(rng: &mut Rng) -> String {
    let len = if rng.below(60) == 0 { 9000 } else { 40 + rng.below(160) };
    let text: String = (0..len).map(|_| char::from(b'a' + rng.below(16) as u8)).collect();
    format!(r#"{{"text":"{text}"}}"#)
}

fn name(number: usize) -> &'static str {
    ["Opened", "Deposited", "Closed"][number % 3]
}

fn stream(number: usize) -> String {
    format!("s-{}", number % STREAMS)
}

fn packed(disk: &LyingDisk) -> LyingDisk {
    let packed = LyingDisk::from_image(&disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1)));
    let log = opened(&packed);
    assert_eq!(log.compress(false, false, &mut |_, _| Ok(())).expect("room").segments, 3);
    log.current().shut_down().expect("closed");
    packed
}

/// Some way of reading, and what it found.
fn read(log: &Log, rng: &mut Rng) -> Result<Vec<Event>, Error> {
    let head = log.head()? as usize;
    let mut found = Vec::new();
    let mut take = |events: &[act_fast_core::EventView<'_>]| {
        for event in events {
            found.push(spelled(log, event)?);
        }
        Ok::<(), Error>(())
    };
    let of_stream = stream(rng.below(STREAMS));
    match rng.below(4) {
        0 => {
            let limit = [1000, 1000, 200, 20][rng.below(4)];
            let after = rng.below(1 + log.version(&of_stream)? as usize) as u64;
            take(&log.load(&of_stream, after, None, limit)?.events)?;
        }
        1 => {
            let mut after = Some(0);
            while let Some(from) = after {
                let page = log.load(&of_stream, from, None, 1000)?;
                take(&page.events)?;
                after = page.next;
            }
        }
        _ => {
            let filter = Filter {
                stream: (rng.below(4) == 0).then_some(of_stream),
                names: (rng.below(3) == 0).then(|| vec![name(rng.below(3)).to_owned()]),
                tags: if rng.below(3) == 0 { vec![format!("course:{}", rng.below(5))] } else { Vec::new() },
                after: rng.below(head) as u64,
                backwards: rng.below(3) == 0,
                ..Filter::default()
            };
            let mut query = log.query(&filter)?;
            let (limit, page) = (1 + rng.below(4000), 1 + rng.below(1000));
            for _ in 0..1 + rng.below(10) {
                if query.each_page(log, limit, page, &mut take)?.is_none() {
                    break;
                }
            }
        }
    }
    Ok(found)
}

#[test]
fn whatever_is_read_and_however_many_read_it_is_what_plain_files_hold() {
    let seed = rng::seed("unpacking");
    let plain_disk = filled(&mut Rng::new(seed));
    let packed_disk = packed(&plain_disk);
    let plain = opened(&plain_disk);
    let before = contents::read(&plain).expect("readable");
    for round in 0..env_number("ACT_FAST_IMAGES").unwrap_or(6) {
        let log = opened(&packed_disk);
        thread::scope(|scope| {
            for reader in 0..1 + round % 3 {
                let (log, plain) = (&log, &plain);
                scope.spawn(move || {
                    let mut rng = Rng::new(seed ^ (round << 8) ^ reader);
                    for turn in 0..6 {
                        let mut same = rng.clone();
                        let found = read(log, &mut rng).expect("readable");
                        let held = read(plain, &mut same).expect("readable");
                        assert!(found == held, "round {round}, reader {reader}, turn {turn}: {} events", held.len());
                    }
                });
            }
        });
        if round % 5 == 0 {
            assert_eq!(contents::read(&log).expect("readable"), before);
        }
    }
}

/// The events of a stream, up to what could not be read.
fn loaded(log: &Log, of_stream: &str, limit: usize) -> (Vec<Event>, Option<String>) {
    let (mut found, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let page = match log.load(of_stream, from, None, limit) {
            Ok(page) => page,
            Err(error) => {
                assert!(matches!(error, Error::Corrupt { .. }), "{error}");
                return (found, Some(error.to_string()));
            }
        };
        found.extend(page.events.iter().map(|event| spelled(log, event).expect("names are at hand")));
        after = page.next;
    }
    (found, None)
}

#[test]
fn a_damaged_block_among_many_is_told_of_as_if_it_were_read_alone() {
    let seed = rng::seed("damaged block");
    let mut rng = Rng::new(seed);
    let plain_disk = filled(&mut rng);
    let packed_disk = packed(&plain_disk);
    let plain = opened(&plain_disk);
    let image = packed_disk.checkpoint().image(Loss::Nothing, &mut Rng::new(1));
    let len = packed_disk.bytes(&segment(1)).len();
    for _ in 0..env_number("ACT_FAST_IMAGES").unwrap_or(8) {
        let damaged = LyingDisk::from_image(&image);
        // The later half of the file is blocks.
        let at = len / 2 + rng.below(len / 2);
        let was = damaged.bytes(&segment(1))[at];
        damaged.overwrite(&segment(1), at as u64, &[was ^ 0x10]);
        let (many, single) = (opened(&damaged), opened(&damaged));
        let mut missed = 0;
        for number in 0..STREAMS {
            let whole = loaded(&plain, &stream(number), 1000).0;
            let (found, error) = loaded(&single, &stream(number), 1);
            assert!(whole.starts_with(&found), "byte {at}");
            assert_eq!(error.is_none(), found == whole, "byte {at}");
            missed += u32::from(error.is_some());
            let (pages, told) = loaded(&many, &stream(number), 1000);
            assert_eq!(told, error, "byte {at}");
            assert_eq!(pages[..], whole[..pages.len()], "byte {at}");
        }
        assert!(missed > 0, "byte {at} was not missed");
    }
}
