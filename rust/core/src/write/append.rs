//! Appending: check, make room, write, index, publish. The commit protocol is told in `docs/design.md`.

use std::cell::RefCell;
use std::iter;
use std::sync::TryLockError;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::fault;
use crate::index::{Near, hash};
use crate::log::builder::{Builder, NewCommit, PROPOSED_BYTES_MAX};
use crate::log::record::{KeyKind, LogState};
use crate::names;
use crate::options::Durability;
use crate::payload::check::{Shapes, check_meta, check_shaped};
use crate::shared::control;
use crate::shared::lock::Guard;
use crate::store::log::{InUse, Log};
use crate::store::writer::Writer;
use crate::write::commit::{Appended, AppendedParts, NewEvent, Origin, Part, Patience, Stamp};
use crate::write::condition::{Guards, Looked, concerns_tags};
use crate::write::indexing::index_commit;
use crate::write::once::{Once, check_no_keys};
use crate::write::plan::{Plan, Touched, bytes_max};

/// How many of a commit's event names are not checked again.
const CHECKED_MAX: usize = 4;

/// Of how many names what looking them up takes is fetched on the way.
const NEAR_MAX: usize = 4;

/// How often an append that does not flush looks whether the store is still there.
const PLACE_CHECK_US: i64 = 100_000;

thread_local! {
    /// Of the payloads that this thread has checked.
    static SHAPES: RefCell<Shapes> = RefCell::default();
}

impl Log {
    /// Append all parts as one commit: all of it or nothing.
    pub fn append(&self, parts: &[Part<'_>], meta: &[u8], patience: Patience) -> Result<AppendedParts> {
        self.append_if(parts, &Guards::default(), meta, patience)
    }

    /// The same, if what guards it holds.
    pub fn append_if(
        &self,
        parts: &[Part<'_>],
        guards: &Guards<'_>,
        meta: &[u8],
        patience: Patience,
    ) -> Result<AppendedParts> {
        guards.check_form()?;
        check_once(parts, guards)?;
        self.append_from(parts, guards, meta, patience, None)
    }

    /// Append a commit of another log, which must come to the position that it has there, with the time that it has there.
    pub fn append_copied(&self, parts: &[Part<'_>], meta: &[u8], origin: Origin) -> Result<AppendedParts> {
        self.append_from(parts, &Guards::default(), meta, Patience::Wait, Some(origin))
    }

    fn append_from(
        &self,
        parts: &[Part<'_>],
        guards: &Guards<'_>,
        meta: &[u8],
        patience: Patience,
        origin: Option<Origin>,
    ) -> Result<AppendedParts> {
        // Most of what looking up one of many streams takes is waiting for memory, so that is fetched on the way.
        let mut ahead = self.index().ok();
        let buckets = ahead.as_ref().and_then(|index| index.buckets());
        let mut near: SmallVec<[Near<'_>; NEAR_MAX]> = SmallVec::new();
        if let (Some(buckets), [part]) = (buckets, parts) {
            let tags = part.events.first().map_or(&[][..], |event| event.tags).iter().map(|tag| (KeyKind::Tag, *tag));
            for (kind, text) in iter::once((KeyKind::Stream, part.stream)).chain(tags).take(NEAR_MAX) {
                let hash = hash(kind, text);
                buckets.fetch(hash);
                near.push(Near::new(kind, text, hash, None));
            }
        }
        check_commit(parts, meta, self.options.payload_max_bytes)?;
        self.check_writable()?;
        self.check_not_replica()?;
        let looked = self.look_back(guards, patience)?;
        if let (Some(index), Some(buckets)) = (&ahead, buckets) {
            near.iter_mut().for_each(|near| near.key = index.fetch_key(buckets, near.hash));
        }
        let outcome = loop {
            let mut writer = match patience {
                Patience::Wait => self.writer(),
                Patience::Try => self.try_writer()?,
            };
            let (guard, state) = match patience {
                Patience::Wait => self.lock_writer_at()?,
                Patience::Try => self.try_lock_writer()?,
            };
            let index = match ahead.take() {
                Some(index) if self.is_current(&index)? => index,
                _ => self.index()?,
            };
            near.iter_mut().for_each(|near| index.look(near));
            let mut looked = looked;
            looked.near = &near;
            let outcome = self.commit(&mut writer, index, state, parts, looked, meta, patience, origin);
            drop(guard);
            drop(writer);
            match outcome {
                // Nothing was written yet.
                Err(Error::Absent { .. }) if patience == Patience::Try => return Err(Error::WouldWait),
                Err(Error::Absent { number, block }) => self.segments.fetch(number, block)?,
                outcome => break outcome,
            }
        };
        if let Err(Error::Io { .. }) = &outcome {
            // Should the store have gone, then that is what there is to say.
            self.check_in_place()?;
        }
        if let (Err(Error::Conflict { .. } | Error::Condition { .. } | Error::Repeated { .. }), Durability::Fsync) =
            (&outcome, self.options.durability)
        {
            // Whoever was faster may be waiting for the disk still, or have died before it did. Who loads again is to
            // see what was in the way.
            self.flush_up_to(self.control.indexed_position()?)?;
        }
        let (appended, position) = outcome?;
        let flushes = self.options.durability == Durability::Fsync;
        let acknowledged = match self.options.durability {
            Durability::Fsync => self.flush_up_to(position),
            Durability::Interval => {
                self.announce();
                self.flush_soon()
            }
            Durability::Os => {
                self.announce();
                Ok(())
            }
        };
        match acknowledged {
            Ok(()) => Ok(appended),
            // Another process may have flushed it.
            Err(_) if flushes && self.control.published()? >= position => Ok(appended),
            Err(error) => Err(self.unacknowledged(error)),
        }
    }

    /// What to say of a commit that has been written, when something fails then.
    fn unacknowledged(&self, error: Error) -> Error {
        match error {
            // A thread that waited for another's flush hears of it from the flag.
            Error::Failed(message) if self.control.flag(control::FAILED).unwrap_or(true) => Error::Unknown(format!(
                "{message}. This commit had been written: only then is it known whether it is there"
            )),
            error => Error::unknown(&error),
        }
    }

    fn try_writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>> {
        match self.writer_mutex().try_lock() {
            Ok(writer) => Ok(writer),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::WouldWait),
        }
    }

    fn try_lock_writer(&self) -> Result<(Guard<'_>, LogState)> {
        let guard = self.writer_lock().try_take().ok_or(Error::WouldWait)?;
        let state = self.control.log_state()?;
        if self.control.indexed()? == state.tail { Ok((guard, state)) } else { Err(Error::WouldWait) }
    }

    #[expect(clippy::too_many_arguments, reason = "what an append is asked for, and what it finds")]
    fn commit(
        &self,
        writer: &mut Writer,
        index: InUse,
        state: LogState,
        parts: &[Part<'_>],
        looked: Looked<'_>,
        meta: &[u8],
        patience: Patience,
        origin: Option<Origin>,
    ) -> Result<(AppendedParts, u64)> {
        self.check_sane()?;
        let now = self.now_us();
        // Beside a flush this costs nothing.
        if self.options.durability == Durability::Fsync || (now - writer.place_checked).abs() > PLACE_CHECK_US {
            self.check_in_place()?;
            writer.place_checked = now;
        }
        let stamp = match origin {
            Some(origin) => {
                origin.check(&state)?;
                Stamp { created: origin.created, proposed: None }
            }
            None => Stamp { created: now, proposed: None },
        };
        let (appended, last_position) =
            self.write_commit(writer, index, state, parts, looked, meta, patience, stamp)?;
        if self.options.durability != Durability::Fsync {
            self.control.publish(last_position);
        }
        fault::point();
        Ok((appended, last_position))
    }

    /// Write a commit and index it, in the index in use; answers where it is, and its last position. Only for the holder of the
    /// writer's lock, which has made sure that the store is in its place and may be written to, and publishes what was written.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "what an append is asked for, and what it finds")]
    pub(crate) fn write_commit(
        &self,
        writer: &mut Writer,
        mut index: InUse,
        mut state: LogState,
        parts: &[Part<'_>],
        looked: Looked<'_>,
        meta: &[u8],
        patience: Patience,
        stamp: Stamp,
    ) -> Result<(AppendedParts, u64)> {
        let Looked { guards, mut near, .. } = looked;
        if !index.has_tags() && concerns_tags(parts, guards) {
            if patience == Patience::Try {
                return Err(Error::WouldWait);
            }
            // An earlier version has made it. From here on every commit is in it with its tags.
            drop(index);
            self.remake_index(state.tail)?;
            index = self.index()?;
            near = &[];
        }
        let index_state = writer.warm.at(&index, &state)?;
        let key = guards.once.as_ref().map(Once::tag);
        if let Some(once) = &guards.once {
            once.check_unused(self, &index, state.position)?;
        }
        let mut plan = Plan::new(parts, key.is_some());
        plan.resolve(&index, &index_state, &mut writer.warm, parts, near, key.as_deref())?;
        looked.check(&index, state.position)?;

        let count: usize = parts.iter().map(|part| part.events.len()).sum();
        let mut bytes_max = bytes_max(&plan, parts, count, meta.len());
        if stamp.proposed.is_some() {
            bytes_max += PROPOSED_BYTES_MAX;
        }
        let first_position = state.position + 1;
        let last_position = state.position + count as u64;
        let lines = plan.touched().map(Touched::lines).sum::<u64>();
        let definitions = plan.definitions.len() as u64;
        let roomy = self.has_room(&state, bytes_max)?;
        if patience == Patience::Try && !(roomy && index.table_has_room(&index_state, definitions)?) {
            return Err(Error::WouldWait);
        }
        index.reserve(&index_state, last_position, definitions, lines)?;
        if !roomy {
            self.make_room(&mut writer.builder, &mut state, bytes_max)?;
        }

        let place = state.tail;
        if self.options.durability == Durability::Fsync {
            // Once the record is written, an error is no longer a refusal; so what flushing takes is had before.
            self.segments.files(self.control.synced()?, place)?;
        }
        let created = stamp.created.max(state.created);
        let new = NewCommit {
            place,
            previous: state.crc,
            position: first_position,
            created,
            synced: self.control.synced()?,
            count: count as u64,
            proposed: stamp.proposed,
            meta,
            definitions: &plan.definitions,
        };
        writer.builder.commit(&new, self.seed);
        let appended = self.add_events(&mut writer.builder, &plan, parts, first_position);
        let (record, crc) = writer.builder.finish(self.seed);
        self.write_record(place, record)?;

        state = LogState { tail: place + record.len() as u64, position: last_position, created, crc };
        self.control.put_log_state(state);
        let Writer { builder, warm, .. } = writer;
        match index_commit(&index, warm, &mut plan, parts, builder, first_position) {
            Ok(()) => {
                self.control.set_indexed(state.tail, state.position);
                warm.done(&index, &state);
            }
            // The commit exists, so an error would be wrong; it is the index that can be made anew.
            Err(Error::Corrupt { .. }) => {
                warm.forget();
                self.remake_index(state.tail).map_err(|error| Error::unknown(&error))?;
            }
            // Whoever has the lock next indexes it.
            Err(error) => {
                warm.forget();
                return Err(Error::unknown(&error));
            }
        }
        fault::point();
        Ok((appended, last_position))
    }

    fn add_events(
        &self,
        builder: &mut Builder,
        plan: &Plan<'_>,
        parts: &[Part<'_>],
        first_position: u64,
    ) -> AppendedParts {
        let mut position = first_position;
        let mut tags = &plan.tag_keys[..];
        // The first event has its own, and the commit's key.
        let mut more_tags = usize::from(plan.keyed);
        let mut names = plan.event_names.iter();
        let mut appended = AppendedParts::with_capacity(parts.len());
        for (part, (stream, before)) in parts.iter().zip(&plan.parts) {
            let stream_key = plan.streams[*stream].number;
            for ((event, name), version) in part.events.iter().zip(names.by_ref()).zip(before + 1..) {
                let (own, rest) = tags.split_at(event.tags.len() + std::mem::take(&mut more_tags));
                tags = rest;
                let name = plan.names[*name as usize].1.number;
                builder.event(stream_key, name, version, own, event.data, self.seed);
            }
            let more = part.events.len() as u64;
            appended.push(Appended {
                first_version: before + 1,
                last_version: before + more,
                first_position: position,
                last_position: position + more - 1,
            });
            position += more;
        }
        appended
    }
}

/// Refuse what can be no key, and tags that look like one.
pub(crate) fn check_once(parts: &[Part<'_>], guards: &Guards<'_>) -> Result<()> {
    guards.once.as_ref().map_or(Ok(()), |once| once.check_form(parts))?;
    check_no_keys(parts)
}

/// Refuse what no log takes.
pub(crate) fn check_commit(parts: &[Part<'_>], meta: &[u8], payload_max_bytes: usize) -> Result<()> {
    if parts.is_empty() {
        return Err(Error::Invalid("there is nothing to append; give at least one event".to_owned()));
    }
    SHAPES.with_borrow_mut(|shapes| check_parts(shapes, parts, payload_max_bytes))?;
    if meta.is_empty() {
        return Ok(());
    }
    check_meta(meta).map_err(|flaw| Error::Invalid(format!("the meta is {flaw}")))
}

#[inline]
fn check_parts(shapes: &mut Shapes, parts: &[Part<'_>], payload_max_bytes: usize) -> Result<()> {
    let mut checked: SmallVec<[&str; CHECKED_MAX]> = SmallVec::new();
    for part in parts {
        names::check("stream", part.stream)?;
        if part.events.is_empty() {
            let stream = part.stream;
            return Err(Error::Invalid(format!("no events for stream {stream:?}; give at least one")));
        }
        for event in part.events {
            // Programs give the same few texts again and again.
            if !checked.iter().any(|known| std::ptr::eq(*known, event.name)) {
                names::check("event name", event.name)?;
                if checked.len() < CHECKED_MAX {
                    checked.push(event.name);
                }
            }
            check_payload(shapes, event, part.stream, payload_max_bytes)?;
            names::check_tags(event.tags)?;
        }
    }
    Ok(())
}

#[inline]
fn check_payload(shapes: &mut Shapes, event: &NewEvent<'_>, stream: &str, limit: usize) -> Result<()> {
    if event.data.len() > limit {
        return Err(Error::Invalid(format!(
            "the data of event {:?} for stream {stream:?} has {} bytes; at most {limit} are allowed (payload_max_bytes)",
            event.name,
            event.data.len()
        )));
    }
    check_shaped(shapes, event.name, event.data)
        .map_err(|flaw| Error::Invalid(format!("the data of event {:?} for stream {stream:?} is {flaw}", event.name)))
}
