//! Commits to more streams, names and tags than are kept open while they are indexed: some of them new, some named again later
//! in the same commit.

mod support;

use std::sync::Arc;

use act_fast_core::disk::{Disk, MemoryDisk};
use act_fast_core::{Durability, Filter, Log, NewEvent, Part, Patience, verify};
use support::rng::Rng;
use support::{contents, options};

const KEYS: usize = 60;

#[test]
fn each_stream_name_and_tag_has_its_events_however_often_a_commit_comes_back_to_it() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let log = Log::open(Arc::clone(&disk), options(Durability::Os)).expect("the store opens");
    let texts = |kind: &str| (0..KEYS).map(|number| format!("{kind}-{number}")).collect::<Vec<_>>();
    let (streams, names, tags) = (texts("stream"), texts("name"), texts("tag"));
    // The positions of the events of each.
    let mut kept: [Vec<Vec<u64>>; 3] = [(); 3].map(|()| vec![Vec::new(); KEYS]);
    let mut random = Rng::new(20_130_101);
    let mut position = 0;
    for commit in 0..2 * KEYS {
        // The later, the more of them there are.
        let known = (1 + commit).min(KEYS);
        let count = 1 + random.below(120);
        let chosen: Vec<[usize; 3]> = (0..count).map(|_| [(); 3].map(|()| random.below(known))).collect();
        let own: Vec<[&str; 1]> = chosen.iter().map(|[_, _, tag]| [tags[*tag].as_str()]).collect();
        let mut events = Vec::new();
        for ([_, name, _], tags) in chosen.iter().zip(&own) {
            events.push([NewEvent { name: &names[*name], data: b"1", tags }]);
        }
        let mut parts = Vec::new();
        for (keys, events) in chosen.iter().zip(&events) {
            position += 1;
            let expected = Some(kept[0][keys[0]].len() as u64);
            parts.push(Part { stream: &streams[keys[0]], events, expected });
            for (kept, key) in kept.iter_mut().zip(keys) {
                kept[*key].push(position);
            }
        }
        let appended = log.append(&parts, b"", Patience::Wait).expect("an append");
        assert_eq!(appended.last().expect("a part").last_position, position);
    }
    let positions = |filter: &Filter| -> Vec<u64> {
        contents::all_of(&log, filter, 50).expect("events").into_iter().map(|(position, _)| position).collect()
    };
    for key in 0..KEYS {
        let stream = Filter { stream: Some(streams[key].clone()), ..Filter::default() };
        let name = Filter { names: Some(vec![names[key].clone()]), ..Filter::default() };
        let tag = Filter { tags: vec![tags[key].clone()], ..Filter::default() };
        assert_eq!([stream, name, tag].map(|filter| positions(&filter)), kept.each_ref().map(|kept| kept[key].clone()));
    }
    drop(log);
    assert_eq!(verify(&disk, &mut |_, _| Ok(())).expect("a report").problems, vec![]);
}
