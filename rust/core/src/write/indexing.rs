//! Putting a commit into the index by its plan, without reading it back.

use smallvec::SmallVec;

use crate::error::Result;
use crate::index::{Index, Key, OpenTag, Warm};
use crate::log::builder::Builder;
use crate::log::record::Definition;
use crate::write::commit::Part;
use crate::write::plan::{Plan, Touched};

/// Put a commit into the index whose record was built and written just now. `reserve` must have made room for it.
pub(super) fn index_commit(
    index: &Index,
    warm: &mut Warm,
    plan: &mut Plan<'_>,
    parts: &[Part<'_>],
    builder: &Builder,
    first_position: u64,
) -> Result<()> {
    for ((key, kind, text), place) in plan.definitions.iter().zip(builder.text_places()) {
        warm.define(index, &Definition { key: *key, kind: *kind, text, place })?;
    }
    let mut names: SmallVec<[usize; 4]> = SmallVec::new();
    for (text, name) in &plan.names {
        names.push(warm.open_name(index, text, name.number)?);
    }
    let mut tags: SmallVec<[OpenTag; 1]> = SmallVec::with_capacity(plan.tags.len());
    for tag in &plan.tags {
        tags.push(OpenTag::new(tag.number, key_of(index, tag)?, tag.added));
    }
    let Plan { streams, parts: planned, event_names, tags_at, keyed, .. } = plan;
    let mut events = builder.event_places().zip(&*event_names);
    let mut tags_at = tags_at.iter();
    // The first event has its own, and the commit's key.
    let mut more_tags = usize::from(*keyed);
    let mut position = first_position;
    for (part, (stream, _)) in parts.iter().zip(&*planned) {
        let (first, mut last) = (position, 0);
        for (event, (place, name)) in part.events.iter().zip(events.by_ref()) {
            last = *name as usize;
            warm.add_place(index, position, place)?;
            warm.add_to_name(index, names[last], position)?;
            for at in tags_at.by_ref().take(event.tags.len() + std::mem::take(&mut more_tags)) {
                warm.add_to_tag(index, &mut tags[*at as usize], position)?;
            }
            position += 1;
        }
        let stream = &mut streams[*stream];
        let key = key_of(index, stream)?;
        let last_name = plan.names[last].1.number;
        // Another part may add to it, too.
        stream.known = Some(warm.add_to_stream(index, (stream.number, key), (first, position - first), last_name)?);
    }
    names.iter().try_for_each(|name| warm.close_name(index, *name))?;
    warm.close_places(index)
}

/// What is known of a key, which may have come into being just now.
#[inline]
fn key_of(index: &Index, touched: &Touched) -> Result<Key> {
    touched.known.map_or_else(|| index.key(touched.number), Ok)
}
