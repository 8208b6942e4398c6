use super::*;
use crate::log::builder::{Builder, NewCommit, NewSnapshot, commit_bytes_max};
use proptest::prelude::*;

const SEED: Seed = Seed(77);

const PLACE: u64 = 4096;

/// A commit of so many events.
fn commit(builder: &mut Builder, seed: Seed, count: u64) -> Vec<u8> {
    let definitions = &[(3, KeyKind::Stream, "a"), (4, KeyKind::Name, "A")];
    let new = NewCommit {
        place: PLACE,
        previous: 9,
        position: 7,
        created: 5,
        synced: 0,
        count,
        proposed: None,
        meta: b"",
        definitions,
    };
    builder.commit(&new, seed);
    for version in 1..=count {
        builder.event(3, 4, version, &[], b"123", seed);
    }
    builder.finish(seed).0.to_vec()
}

/// A record of each kind.
fn one_of_each() -> [Vec<u8>; 3] {
    let mut builder = Builder::default();
    let state = LogState { tail: PLACE, position: 7, created: 5, crc: 9 };
    let commit = commit(&mut builder, SEED, 1);
    builder.snapshot(&state, 5, &NewSnapshot { stream: 3, version: 1, before: 0, data: b"1" });
    let snapshot = builder.finish(SEED).0.to_vec();
    builder.end(&state);
    [commit, snapshot, builder.finish(SEED).0.to_vec()]
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    for record in one_of_each() {
        for bit in 0..record.len() * 8 {
            let mut bytes = record.clone();
            bytes.resize(1 << 16, 0);
            assert!(sound(&bytes, PLACE, SEED).is_some());
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(sound(&bytes, PLACE, SEED).is_none(), "bit {bit} of {record:?}");
        }
    }
}

#[test]
fn a_record_of_another_store_is_none_here() {
    let own = Seed::new(&[7; 16]);
    for byte in 0..16 {
        let mut id = [7; 16];
        id[byte] = 8;
        let other = Seed::new(&id);
        for count in [1, 2] {
            let record = commit(&mut Builder::default(), own, count);
            assert!(sound(&record, PLACE, own).is_some() && sound(&record, PLACE, other).is_none(), "byte {byte}");
            let preamble = Preamble::read(&record, PLACE, own, true).expect("a preamble");
            assert_eq!(Preamble::read(&record, PLACE, other, true).is_some(), count == 1, "which has none of its own");
            let event = preamble.events().next().expect("an event");
            let at = usize::try_from(event.place - PLACE).expect("small");
            assert!(event_at(&preamble, at, event.position, own).is_some());
            assert!(event_at(&preamble, at, event.position, other).is_none(), "byte {byte}");
        }
    }
}

/// The checksum of a previous record that gives a record this checksum of its own.
fn previous_for(record: &[u8], wanted: u32) -> u32 {
    let checksum = |previous: u32| {
        let mut bytes = record.to_vec();
        bytes[12..16].copy_from_slice(&previous.to_le_bytes());
        SEED.record_crc(PLACE, &bytes)
    };
    // Each bit of it flips some bits of the checksum, whatever the others are.
    let mut rows: Vec<(u32, u32)> = (0..32).map(|bit| (checksum(1 << bit) ^ checksum(0), 1 << bit)).collect();
    let (mut missing, mut found) = (wanted ^ checksum(0), 0);
    for column in 0..32 {
        let at = rows.iter().position(|(flips, _)| flips >> column & 1 == 1).expect("no two checksums are alike");
        let (flips, bits) = rows.swap_remove(at);
        for row in rows.iter_mut().filter(|row| row.0 >> column & 1 == 1) {
            *row = (row.0 ^ flips, row.1 ^ bits);
        }
        if missing >> column & 1 == 1 {
            (missing, found) = (missing ^ flips, found ^ bits);
        }
    }
    found
}

#[test]
fn a_record_ends_where_it_says_even_where_zeros_behind_it_would_leave_its_checksum_as_it_is() {
    for mut record in one_of_each() {
        let previous = previous_for(&record, u32::MAX);
        record[12..16].copy_from_slice(&previous.to_le_bytes());
        record[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(sound(&record, PLACE, SEED).is_some());
        let mut longer = [record.as_slice(), &[0; 4]].concat();
        let len = u32::try_from(longer.len()).expect("a small record");
        longer[4..8].copy_from_slice(&len.to_le_bytes());
        assert!(sound(&longer, PLACE, SEED).is_none(), "{record:?}");
    }
}

proptest! {
    #[test]
    fn a_commit_reads_back(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20),
                           meta in proptest::collection::vec(any::<u8>(), 0..50), position in 1u64..1 << 40) {
        let mut builder = Builder::default();
        let place = 4096;
        let definitions = [(3, KeyKind::Stream, "größe"), (4, KeyKind::Name, "Opened")];
        let count = payloads.len() as u64;
        builder.commit(
            &NewCommit { place, previous: 9, position, created: -5, synced: 4000, count, proposed: None, meta: &meta, definitions: &definitions },
            SEED,
        );
        for (index, data) in payloads.iter().enumerate() {
            builder.event(3, 4, index as u64 + 1, &[], data, SEED);
        }
        let data_bytes = payloads.iter().map(Vec::len).sum();
        let (bytes, crc) = builder.finish(SEED);
        prop_assert!(bytes.len() as u64 <= commit_bytes_max(payloads.len(), data_bytes, meta.len(), 2, 20));
        prop_assert_eq!(sound(bytes, place, SEED).map(|head| head.crc), Some(crc));
        prop_assert!(sound(bytes, place + 8, SEED).is_none());
        let preamble = Preamble::read(bytes, place, SEED, true).expect("a preamble");
        prop_assert_eq!(preamble.synced, 4000);
        prop_assert_eq!(preamble.meta, &meta[..]);
        let texts: Vec<_> = preamble.definitions().map(|definition| definition.text).collect();
        prop_assert_eq!(texts, vec!["größe", "Opened"]);
        let events: Vec<_> = preamble.events().collect();
        prop_assert_eq!(events.len(), payloads.len());
        for (event, data) in events.iter().zip(&payloads) {
            prop_assert_eq!(event.data, &data[..]);
            let at = usize::try_from(event.place - place).expect("small");
            prop_assert_eq!(distance_to_commit(&bytes[at..]), Some(at as u64));
            let again = event_at(&preamble, at, event.position, SEED).expect("sound");
            prop_assert_eq!(again.version, event.version);
            prop_assert!(event_at(&preamble, at, event.position + 1, SEED).is_none());
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(mut bytes: Vec<u8>) {
        if bytes.len() > 8 {
            bytes[..4].copy_from_slice(b"ACTC");
            let len = (bytes.len() / 4 * 4) as u32;
            bytes[4..8].copy_from_slice(&len.to_le_bytes());
        }
        if let Some(preamble) = Preamble::read(&bytes, 64, SEED, false) {
            let _ = preamble.definitions().count();
            let _ = preamble.events().count();
        }
        let _ = SnapshotRecord::read(&bytes);
    }
}
