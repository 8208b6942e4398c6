//! The index: key → its positions in order, and position → its place in the log. One mechanism for streams, event names
//! and tags. Derived from the log, and rebuilt from it whenever it is in doubt.
//!
//! All files are lines (`line.rs`). The holder of the writer's lock changes them, one line at a time; readers take no
//! lock and look again at a line that is just being changed.

mod apply;
mod descent;
mod filling;
mod hash;
mod key;
pub(crate) mod postings;
mod warm;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use act_fast_sys::prefetch;

use crate::bytes::narrow_at;
use crate::disk::Disk;
use crate::error::{Doing, Error, Result};
use crate::log::segments::Segments;
use crate::shared::control::{self, Control, IndexState};
use crate::shared::line::{self, Address, Line, SharedLine};
use crate::shared::line_file::Grown;
pub(crate) use descent::Descent;
pub(crate) use hash::{Buckets, Near, hash};
pub(crate) use key::Key;
use postings::{ChunkHead, POSITION_MAX};
pub(crate) use warm::{OpenTag, Warm};

pub(crate) const FOLDER: &str = "index";
const PLACES: u8 = 1;
const KEYS: u8 = 2;
const POSTINGS: u8 = 3;
/// The area of the hash table with 2^bits buckets is this plus bits.
const TABLES: u8 = 16;
const TABLES_MAX: usize = 33;

const PLACES_IN_LINE: u64 = 10;
const PLACE_BYTES: usize = 6;
/// How often a reader looks at a line that is neither sound nor announced, before it calls it damaged.
const CHANGING_LOOKS_MAX: u32 = 1000;
/// Line 0 of each file is its head, so that a line number of 0 can mean "none".
const HEAD_LINES: u64 = 1;

#[derive(Debug)]
pub(crate) struct Index {
    disk: Arc<dyn Disk>,
    control: Arc<Control>,
    segments: Arc<Segments>,
    pub(crate) generation: u32,
    places: Grown,
    keys: Grown,
    postings: Grown,
    tables: [OnceLock<Grown>; TABLES_MAX],
    writable: bool,
    /// The size of the hash table of an index that is being built and that nobody uses yet. Its lines need not be
    /// changed so that they survive the writer's death.
    building: Option<AtomicU8>,
}

fn folder(generation: u32) -> String {
    format!("{FOLDER}/{generation:08}")
}

fn file_name(generation: u32, area: u8) -> String {
    let folder = folder(generation);
    match area {
        PLACES => format!("{folder}/places"),
        KEYS => format!("{folder}/keys"),
        POSTINGS => format!("{folder}/postings"),
        table => format!("{folder}/table-{:02}", table - TABLES),
    }
}

/// Where the entry for a position is: its line, and the offset in it.
#[inline]
fn place_slot(position: u64) -> (u64, usize) {
    let index = position - 1;
    (HEAD_LINES + index / PLACES_IN_LINE, (index % PLACES_IN_LINE) as usize * PLACE_BYTES)
}

#[inline]
fn key_line(key: u32) -> u64 {
    HEAD_LINES + u64::from(key)
}

impl Index {
    /// Open the generation that the control file names.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        control: &Arc<Control>,
        segments: &Arc<Segments>,
        writable: bool,
    ) -> Result<Self> {
        loop {
            let shape = control.shape()?;
            let outcome = Self::open_shape(disk, control, segments, writable, shape);
            // Files may have been replaced by others while they were being opened.
            if outcome.is_ok() || control.shape()? == shape {
                return outcome;
            }
        }
    }

    fn open_shape(
        disk: &Arc<dyn Disk>,
        control: &Arc<Control>,
        segments: &Arc<Segments>,
        writable: bool,
        (generation, bits): (u32, u8),
    ) -> Result<Self> {
        let file = |area| Grown::open(disk, file_name(generation, area), area, &control.store_id, generation, writable);
        let index = Self {
            disk: Arc::clone(disk),
            control: Arc::clone(control),
            segments: Arc::clone(segments),
            generation,
            places: file(PLACES)?,
            keys: file(KEYS)?,
            postings: file(POSTINGS)?,
            tables: [const { OnceLock::new() }; TABLES_MAX],
            writable,
            building: None,
        };
        index.table(bits)?;
        Ok(index)
    }

    /// Begin an index that nobody uses yet.
    pub(crate) fn begin(
        disk: &Arc<dyn Disk>,
        control: &Arc<Control>,
        segments: &Arc<Segments>,
        generation: u32,
    ) -> Result<Self> {
        let folder = folder(generation);
        // What is there was begun by somebody who did not come to its end.
        if !disk.list(&folder).doing(|| format!("listing {folder}"))?.is_empty() {
            disk.remove_folder(&folder).doing(|| format!("removing {folder}"))?;
        }
        disk.create_folder(&folder).doing(|| format!("making {folder}"))?;
        let file = |area| Grown::create(disk, file_name(generation, area), area, &control.store_id, generation, 0);
        let index = Self {
            disk: Arc::clone(disk),
            control: Arc::clone(control),
            segments: Arc::clone(segments),
            generation,
            places: file(PLACES)?,
            keys: file(KEYS)?,
            postings: file(POSTINGS)?,
            tables: [const { OnceLock::new() }; TABLES_MAX],
            writable: true,
            building: Some(AtomicU8::new(0)),
        };
        index.first_table()?;
        Ok(index)
    }

    /// Put an index that was built into use, with all of the log up to `tail` and `position` in it. Only for the holder of the writer's
    /// lock. Should this process die on the way, an `indexed` mark of 0 says that the index has to be built again.
    pub(crate) fn install(&self, state: IndexState, tail: u64, position: u64) -> Result<()> {
        let bits = self.bits()?;
        self.control.set_index_replaced();
        self.control.put_index_state(state);
        self.control.set_shape(self.generation, bits);
        self.control.set_indexed(tail, position);
        Ok(())
    }

    /// The size of the hash table.
    #[inline]
    fn bits(&self) -> Result<u8> {
        match &self.building {
            Some(bits) => Ok(bits.load(Ordering::Relaxed)),
            None => Ok(self.control.shape()?.1),
        }
    }

    fn set_bits(&self, bits: u8) {
        match &self.building {
            Some(own) => own.store(bits, Ordering::Relaxed),
            None => self.control.set_shape(self.generation, bits),
        }
    }

    /// Remove all generations but this one.
    pub(crate) fn remove_others(&self) -> Result<()> {
        let own = format!("{:08}", self.generation);
        for name in self.disk.list(FOLDER).doing(|| format!("listing {FOLDER}"))? {
            if name != own {
                let folder = format!("{FOLDER}/{name}");
                self.disk.remove_folder(&folder).doing(|| format!("removing {folder}"))?;
            }
        }
        Ok(())
    }

    /// All of its files.
    pub(crate) fn files(&self) -> Result<[&Grown; 4]> {
        Ok([&self.places, &self.keys, &self.postings, self.table(self.bits()?)?])
    }

    /// How many bytes its files have.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.files()?.into_iter().map(Grown::bytes).sum()
    }

    #[inline(always)]
    fn put(&self, file: &Grown, number: u64, content: &mut Line) -> Result<()> {
        let target = file.shared(number)?;
        let address = file.address(number);
        if self.building.is_none() {
            self.control.put(target, address, content);
        } else {
            line::seal(content, address);
            line::store(target, content);
        }
        Ok(())
    }

    /// A sound line. While somebody is changing it, be it slow or dead, what it is to become is in the intent, whole.
    #[inline(always)]
    fn read(&self, file: &Grown, number: u64) -> Result<Line> {
        match line::look(file.shared(number)?, file.address(number)) {
            Some(content) => Ok(content),
            None => self.read_while_changing(file, number),
        }
    }

    #[cold]
    fn read_while_changing(&self, file: &Grown, number: u64) -> Result<Line> {
        for _ in 0..CHANGING_LOOKS_MAX {
            if let Some((address, content)) = self.control.intent()
                && address == file.address(number)
            {
                return Ok(content);
            }
            if let Some(content) = file.glance(number)? {
                return Ok(content);
            }
            std::thread::yield_now();
        }
        Err(self.damaged(file.area, number))
    }

    /// Finish the change of a line that a dead writer had announced.
    pub(crate) fn redo(&self, address: Address, content: &Line) -> Result<()> {
        if let Some(target) = self.line_at(address)? {
            line::store(target, content);
        }
        Ok(())
    }

    fn line_at(&self, address: Address) -> Result<Option<&SharedLine>> {
        let file = match address.area() {
            control::AREA => return Ok(self.control.shared(address.number())),
            PLACES => &self.places,
            KEYS => &self.keys,
            POSTINGS => &self.postings,
            table if (TABLES..TABLES + TABLES_MAX as u8).contains(&table) => self.table(table - TABLES)?,
            _ => return Ok(None),
        };
        file.shared(address.number()).map(Some)
    }

    /// Where the event at a position is in the log.
    #[inline]
    pub(crate) fn place(&self, position: u64) -> Result<u64> {
        let (number, at) = place_slot(position);
        Ok(narrow_at::<PLACE_BYTES>(&self.read(&self.places, number)?, at))
    }

    /// The places of a run of positions, in order.
    pub(crate) fn each_place(&self, positions: &[u64], mut each: impl FnMut(u64, u64) -> Result<()>) -> Result<()> {
        let mut open = None;
        for position in positions {
            let (number, at) = place_slot(*position);
            let line = match open {
                Some((at_line, line)) if at_line == number => line,
                _ => self.read(&self.places, number)?,
            };
            open = Some((number, line));
            each(*position, narrow_at::<PLACE_BYTES>(&line, at))?;
        }
        Ok(())
    }

    /// Begin to fetch the line that a key's next posting goes to. What the key says need not have been checked.
    #[inline]
    fn fetch_tail(&self, key: &Key) {
        let in_chunk = key.chunk_start..postings::chunk_end(key.chunk_start);
        if key.chunk != 0 && in_chunk.contains(&(key.count + 1)) {
            let (line, _) = postings::slot(key.chunk_start, key.count + 1);
            if let Some(line) = self.postings.hint(key.chunk + line) {
                prefetch(line);
            }
        }
    }

    /// What is known of a key.
    #[inline]
    pub(crate) fn key(&self, key: u32) -> Result<Key> {
        let number = key_line(key);
        Key::decode(&self.read(&self.keys, number)?).ok_or_else(|| self.damaged(KEYS, number))
    }

    /// Whether every commit is in it with its tags: not so in one that an earlier version has made.
    #[inline]
    pub(crate) fn has_tags(&self) -> bool {
        !self.keys.is_of_earlier_format()
    }

    /// A key's text.
    #[inline]
    pub(crate) fn text(&self, key: &Key) -> Result<&str> {
        key.text(&self.segments)
    }

    fn damaged(&self, area: u8, number: u64) -> Error {
        Error::index_damaged(&file_name(self.generation, area), number * line::LINE_BYTES as u64)
    }

    /// The position of a key's event by ordinal, from 1 up to its count.
    pub(crate) fn posting(&self, key: &Key, ordinal: u64) -> Result<u64> {
        if ordinal == 1 {
            return Ok(key.first);
        }
        if ordinal == key.count {
            return Ok(key.last);
        }
        let (mut chunk, mut start) = (key.chunk, key.chunk_start);
        while start > ordinal {
            (chunk, start) = self.chunk_before(chunk, start)?;
        }
        let (line, at) = postings::slot(start, ordinal);
        Ok(postings::entry(&self.read(&self.postings, chunk + line)?, at))
    }

    fn chunk_before(&self, chunk: u64, start: u64) -> Result<(u64, u64)> {
        let head = ChunkHead::read(&self.read(&self.postings, chunk)?);
        if head.before == 0 || head.before_start >= start {
            return Err(self.damaged(POSTINGS, chunk));
        }
        Ok((head.before, head.before_start))
    }

    /// Add the positions of a key's events with ordinals `from..=to` to `out`.
    pub(crate) fn postings(&self, key: &Key, from: u64, to: u64, out: &mut Vec<u64>) -> Result<()> {
        let mut ordinal = from;
        if ordinal == 1 && to >= 1 {
            out.push(key.first);
            ordinal = 2;
        }
        if ordinal > to {
            return Ok(());
        }
        let mut chunks = vec![(key.chunk, key.chunk_start)];
        while let Some((chunk, start)) = chunks.last().copied().filter(|(_, start)| *start > ordinal) {
            chunks.push(self.chunk_before(chunk, start)?);
        }
        for (chunk, start) in chunks.into_iter().rev() {
            let end = postings::chunk_end(start).min(to + 1);
            while ordinal < end {
                let (number, first_at) = postings::slot(start, ordinal);
                let line = self.read(&self.postings, chunk + number)?;
                let mut at = first_at;
                while ordinal < end && at + 5 <= line::BODY_BYTES {
                    out.push(postings::entry(&line, at));
                    at += 5;
                    ordinal += 1;
                }
            }
        }
        Ok(())
    }

    /// How many of a key's events have positions up to `position`.
    pub(crate) fn count_up_to(&self, key: &Key, position: u64) -> Result<u64> {
        let mut descent = Descent::new(self, key);
        descent.at_or_below(position)?;
        Ok(descent.ordinal())
    }

    /// Whether the hash table takes `new_keys` more without being copied into a larger one.
    #[inline]
    pub(crate) fn table_has_room(&self, state: &IndexState, new_keys: u64) -> Result<bool> {
        Ok(new_keys == 0 || u64::from(state.keys) + new_keys <= hash::capacity(self.bits()?))
    }

    /// Make room for what a commit will add, so that indexing it cannot fail for want of space.
    pub(crate) fn reserve(&self, state: &IndexState, last_position: u64, new_keys: u64, new_lines: u64) -> Result<()> {
        let keys = u64::from(state.keys) + new_keys;
        if last_position > POSITION_MAX {
            return Err(Error::Full(format!("the log has {POSITION_MAX} events, which is the most it can hold")));
        }
        if keys > u64::from(u32::MAX) - 1 {
            return Err(Error::Full("the log has as many streams, event names and tags as it can hold".to_owned()));
        }
        self.places.reserve(place_slot(last_position.max(1)).0 + 1)?;
        self.keys.reserve(HEAD_LINES + keys)?;
        self.postings.reserve(state.postings_next.max(HEAD_LINES) + new_lines)?;
        if self.table_has_room(state, new_keys)? { Ok(()) } else { self.reserve_table(state.keys, keys) }
    }
}
