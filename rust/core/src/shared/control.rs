//! The control file: what processes share. One page, reached through a mapping; layout in `docs/format.md`.
//!
//! Nothing here is needed to read the log: when the machine stopped, or the file is damaged or a copy, the control file
//! is rebuilt from the log.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use act_fast_sys::Map;

use crate::bytes::{put_narrow, u32_at, u64_at};
use crate::disk::{Access, Disk, DiskFile, fill};
use crate::error::{Doing, Error, Result};
use crate::log::record::{FORMAT, LogState, REPLICA_FORMAT};
use crate::shared::line::{self, Address, LINE_BYTES, Line, SharedLine, word};

pub(crate) const CONTROL: &str = "control";
const CONTROL_NEW: &str = "control.new";
const CONTROL_BYTES: u64 = 4096;
const MAGIC: &[u8; 8] = b"ACTCTRL\0";

/// How often a reader looks at a line that is neither sound nor announced, before it calls it damaged.
pub(super) const CHANGING_LOOKS_MAX: u32 = 1000;
/// The area of the control file's own lines.
pub(crate) const AREA: u8 = 0;

// Line numbers.
const STATIC: u64 = 0;
pub(super) const IDENTITY: u64 = 1;
const WRITER_LOCK: u64 = 2;
const GROWTH_LOCK: u64 = 3;
const FLUSH_LOCK: u64 = 4;
const PUBLISHED: u64 = 5;
const SYNCED: u64 = 6;
const NEWS: u64 = 7;
pub(super) const LOG_STATE: u64 = 8;
pub(super) const INDEX_STATE: u64 = 9;
pub(super) const INTENT: u64 = 10;
pub(super) const INTENT_ADDRESS: u64 = 11;
const INDEXED: u64 = 12;
const ALLOCATED: u64 = 13;
const SHAPE: u64 = 14;
const FLAGS: u64 = 15;
const FLUSHED_AT: u64 = 16;
const REACTIONS_LOCK: u64 = 17;
const INDEXED_POSITION: u64 = 18;
const APPLIED: u64 = 19;
const LEAD: u64 = 20;
const REPLACED: u64 = 21;
/// All lines that are a word.
const WORDS: [u64; 8] = [PUBLISHED, SYNCED, INDEXED, ALLOCATED, SHAPE, FLAGS, FLUSHED_AT, INDEXED_POSITION];
/// Those that only a replica has.
const REPLICA_WORDS: [u64; 2] = [APPLIED, LEAD];
/// A lead of 0 ms; it may be below.
const LEAD_ZERO: u64 = 1 << 46;

/// The store is closed, and all of it has been flushed.
pub(crate) const CLEAN: u64 = 1;
/// A write or a flush failed; nothing more is appended until the store is opened again.
pub(crate) const FAILED: u64 = 2;
/// The disk knows that the store is not closed. Never set together with `CLEAN`.
const OPEN: u64 = 4;
const DURABILITY_SHIFT: u32 = 8;

/// What the index has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexState {
    /// How many keys there are; the next one's number.
    pub(crate) keys: u32,
    /// How many of them are streams.
    pub(crate) streams: u32,
    /// The number of the youngest event name, plus one; 0 when there is none.
    pub(crate) last_name: u32,
    /// The next free line for postings.
    pub(crate) postings_next: u64,
}

#[derive(Debug)]
pub(crate) struct Control {
    map: Map,
    pub(super) file: Box<dyn DiskFile>,
    pub(crate) segment_bytes: u64,
    pub(crate) store_id: [u8; 16],
    /// Whether this is that of a replica.
    pub(crate) replica: bool,
}

#[inline(always)]
pub(super) fn base(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX) * LINE_BYTES
}

/// That a line of this file is damaged.
#[cold]
pub(super) fn damaged(number: u64) -> Error {
    Error::index_damaged(CONTROL, base(number) as u64)
}

impl Control {
    /// Make a control file for a log with nothing known about it yet.
    pub(crate) fn create(disk: &dyn Disk, store_id: [u8; 16], segment_bytes: u64, replica: bool) -> Result<Self> {
        let what = || "making the control file".to_owned();
        let file = disk.open(CONTROL_NEW, Access::Create).doing(what)?;
        let mut page = vec![0; CONTROL_BYTES as usize];
        let head: &mut Line = page.first_chunk_mut().expect("a page is longer than a line");
        head[..8].copy_from_slice(MAGIC);
        put_narrow::<4>(head, 8, u64::from(if replica { REPLICA_FORMAT } else { FORMAT }));
        head[16..32].copy_from_slice(&store_id);
        put_narrow::<8>(head, 32, segment_bytes);
        line::seal(head, Address::new(AREA, STATIC));
        file.write_all_at(&page, 0).doing(what)?;
        file.flush().doing(what)?;
        disk.rename(CONTROL_NEW, CONTROL).doing(what)?;
        disk.sync_folder("").doing(what)?;
        let control = Self { store_id, segment_bytes, replica, ..Self::map(file, true)? };
        control.put_log_state(LogState::default());
        control.put_index_state(IndexState::default());
        for number in control.words() {
            control.set_word(number, 0);
        }
        Ok(control)
    }

    /// The control file, or None where it is missing or damaged and has to be rebuilt.
    pub(crate) fn open(disk: &dyn Disk, writable: bool) -> Result<Option<Self>> {
        let access = if writable { Access::Write } else { Access::Read };
        let file = match disk.open(CONTROL, access) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).doing(|| "opening the control file".to_owned()),
        };
        if file.len().doing(|| "measuring the control file".to_owned())? != CONTROL_BYTES {
            return Ok(None);
        }
        let mut control = Self::map(file, writable)?;
        let head = line::load(control.line(STATIC));
        if !line::sound(&head, Address::new(AREA, STATIC)) || &head[..8] != MAGIC {
            return Ok(None);
        }
        if u32_at(&head, 8) > REPLICA_FORMAT {
            return Err(Error::Format(format!(
                "this store has format {}; this version of act-fast reads up to {REPLICA_FORMAT}: use a newer one",
                u32_at(&head, 8)
            )));
        }
        control.segment_bytes = u64_at(&head, 32);
        control.store_id.copy_from_slice(&head[16..32]);
        control.replica = u32_at(&head, 8) == REPLICA_FORMAT;
        Ok(Some(control))
    }

    fn map(file: Box<dyn DiskFile>, writable: bool) -> Result<Self> {
        let map = file.map(0, CONTROL_BYTES as usize, writable).doing(|| "mapping the control file".to_owned())?;
        Ok(Self { map, file, segment_bytes: 0, store_id: [0; 16], replica: false })
    }

    /// All lines of this file that are a word.
    fn words(&self) -> impl Iterator<Item = u64> + use<> {
        let more: &[u64] = if self.replica { &REPLICA_WORDS } else { &[] };
        WORDS.iter().chain(more).copied()
    }

    pub(crate) fn writable(&self) -> bool {
        self.map.writable()
    }

    /// Whether this is still the file that others would open: not deleted, moved or replaced.
    pub(crate) fn in_place(&self, disk: &dyn Disk) -> Result<bool> {
        let own = self.file.identity().doing(|| "looking at the control file".to_owned())?;
        match disk.facts(CONTROL) {
            Ok(found) => Ok(found.identity == own),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).doing(|| "looking for the control file".to_owned()),
        }
    }

    /// Have the blocks of all of it: a copy may have come without some, or share them with its original.
    pub(crate) fn fill(&self) -> Result<()> {
        fill(&*self.file, CONTROL, false)
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.file.flush().doing(|| "flushing the control file".to_owned())
    }

    pub(super) fn line(&self, number: u64) -> &SharedLine {
        self.map.line(base(number))
    }

    /// A line of this file, by number.
    pub(crate) fn shared(&self, number: u64) -> Option<&SharedLine> {
        (number < CONTROL_BYTES / LINE_BYTES as u64).then(|| self.line(number))
    }

    // Words that are changed by one store.

    #[inline]
    pub(super) fn raw_word(&self, number: u64) -> &AtomicU64 {
        self.map.word(base(number))
    }

    #[inline(always)]
    fn word(&self, number: u64) -> Result<u64> {
        word::decode(self.raw_word(number).load(Ordering::Acquire), number).ok_or_else(|| damaged(number))
    }

    #[inline]
    fn set_word(&self, number: u64, value: u64) {
        self.raw_word(number).store(word::encode(value, number), Ordering::SeqCst);
    }

    /// The last position that readers see.
    #[inline]
    pub(crate) fn published(&self) -> Result<u64> {
        self.word(PUBLISHED)
    }

    /// Let readers see all up to a position. Never goes back, even if others publish meanwhile.
    pub(crate) fn publish(&self, position: u64) {
        self.raise(PUBLISHED, position);
    }

    /// Let readers see just what is up to a position: only while no one else has the store open.
    pub(crate) fn publish_outright(&self, position: u64) {
        self.set_word(PUBLISHED, position);
    }

    /// Up to where the log would survive a power cut. True on disk, however late it is written there.
    #[inline]
    pub(crate) fn synced(&self) -> Result<u64> {
        self.word(SYNCED)
    }

    pub(crate) fn set_synced(&self, tail: u64) {
        self.set_word(SYNCED, tail);
    }

    /// Up to where the log is in the index.
    #[inline]
    pub(crate) fn indexed(&self) -> Result<u64> {
        self.word(INDEXED)
    }

    /// The place first, then the position: a thread that reads them the other way round gets a place that is at or
    /// beyond the position's.
    #[inline]
    pub(crate) fn set_indexed(&self, tail: u64, position: u64) {
        self.raw_word(INDEXED).store(word::encode(tail, INDEXED), Ordering::Release);
        self.raw_word(INDEXED_POSITION).store(word::encode(position, INDEXED_POSITION), Ordering::Release);
    }

    /// Say that the index is being replaced: should this process die now, it has to be rebuilt.
    pub(crate) fn set_index_replaced(&self) {
        self.set_word(INDEXED, 0);
    }

    /// The last position that is in the index.
    pub(crate) fn indexed_position(&self) -> Result<u64> {
        self.word(INDEXED_POSITION)
    }

    /// Up to where the newest log file has its blocks.
    #[inline]
    pub(crate) fn allocated(&self) -> Result<u64> {
        self.word(ALLOCATED)
    }

    pub(crate) fn set_allocated(&self, end: u64) {
        self.set_word(ALLOCATED, end);
    }

    /// Which generation of index files is in use, and how large its hash table is (as a power of two).
    #[inline]
    pub(crate) fn shape(&self) -> Result<(u32, u8)> {
        let raw = self.word(SHAPE)?;
        Ok(((raw >> 8) as u32, raw as u8))
    }

    pub(crate) fn set_shape(&self, generation: u32, hash_bits: u8) {
        self.set_word(SHAPE, u64::from(generation) << 8 | u64::from(hash_bits));
    }

    #[inline]
    pub(crate) fn flag(&self, flag: u64) -> Result<bool> {
        Ok(self.word(FLAGS)? & flag != 0)
    }

    pub(crate) fn set_flag(&self, flag: u64, on: bool) -> Result<()> {
        self.change_flags(|flags| if on { flags | flag } else { flags & !flag })
    }

    /// Forget all flags, and what cannot be read and is not needed.
    pub(crate) fn reset(&self) {
        self.set_word(FLAGS, 0);
        if self.flushed_at().is_err() {
            self.set_flushed_at(0);
        }
    }

    /// Say that the store was closed. Until that is flushed, no one else may open it.
    pub(crate) fn close_down(&self) -> Result<()> {
        self.change_flags(|flags| (flags | CLEAN) & !OPEN)?;
        self.flush()
    }

    /// Before the first append: after a power cut, a stale "clean" must not be believed. That the flag has been taken back
    /// here says nothing of the disk: the process that did it may have died before it was flushed.
    pub(crate) fn open_up(&self) -> Result<()> {
        if self.flag(OPEN)? {
            return Ok(());
        }
        let clean = self.flag(CLEAN)?;
        self.set_flag(CLEAN, false)?;
        self.flush().inspect_err(|_| {
            // Still so on disk; the next append has to try again, and a flush writes only what was changed since.
            let _ = self.set_flag(CLEAN, clean);
        })?;
        self.set_flag(OPEN, true)
    }

    /// The durability that the open store's writers have agreed on, as a number of the caller's.
    pub(crate) fn durability(&self) -> Result<u64> {
        Ok(self.word(FLAGS)? >> DURABILITY_SHIFT)
    }

    pub(crate) fn set_durability(&self, number: u64) -> Result<()> {
        self.change_flags(|flags| flags & ((1 << DURABILITY_SHIFT) - 1) | number << DURABILITY_SHIFT)
    }

    /// Change the flags in one step: several processes may be at it.
    fn change_flags(&self, change: impl Fn(u64) -> u64) -> Result<()> {
        let word = self.raw_word(FLAGS);
        let changed = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |raw| {
            word::decode(raw, FLAGS).map(|flags| word::encode(change(flags), FLAGS))
        });
        changed.map(drop).map_err(|_| damaged(FLAGS))
    }

    /// When the log was flushed last, in ms since 1970; 0 when it never was.
    pub(crate) fn flushed_at(&self) -> Result<u64> {
        self.word(FLUSHED_AT)
    }

    pub(crate) fn set_flushed_at(&self, now_ms: u64) {
        self.set_word(FLUSHED_AT, now_ms);
    }

    // What only a replica has.

    /// The place up to which the ordered log has been applied.
    pub(crate) fn applied(&self) -> Result<u64> {
        self.word(APPLIED)
    }

    /// Say so. Never goes back.
    pub(crate) fn set_applied(&self, place: u64) {
        self.raise(APPLIED, place);
    }

    /// By how many ms the log's time is ahead of the machine's uptime.
    pub(crate) fn lead_ms(&self) -> Result<i64> {
        Ok(self.word(LEAD)?.cast_signed() - LEAD_ZERO.cast_signed())
    }

    /// Have at least this lead.
    pub(crate) fn raise_lead_ms(&self, lead_ms: i64) {
        self.raise(LEAD, lead_word(lead_ms));
    }

    /// Start over with both: only while no one else has the store open.
    pub(crate) fn reset_replica(&self, applied: u64, lead_ms: i64) {
        self.set_word(APPLIED, applied);
        self.set_word(LEAD, lead_word(lead_ms));
    }

    /// Raise a word to a value, unless it is there already.
    fn raise(&self, number: u64, value: u64) {
        let fresh = word::encode(value, number);
        let _ = self.raw_word(number).fetch_update(Ordering::SeqCst, Ordering::SeqCst, |raw| {
            word::decode(raw, number).is_none_or(|known| known < value).then_some(fresh)
        });
    }

    // Locks and sleep.

    pub(crate) fn writer_lock(&self) -> &AtomicU32 {
        self.map.half(base(WRITER_LOCK))
    }

    pub(crate) fn growth_lock(&self) -> &AtomicU32 {
        self.map.half(base(GROWTH_LOCK))
    }

    pub(crate) fn flush_lock(&self) -> &AtomicU32 {
        self.map.half(base(FLUSH_LOCK))
    }

    pub(crate) fn reactions_lock(&self) -> &AtomicU32 {
        self.map.half(base(REACTIONS_LOCK))
    }

    /// How many log files have been replaced by others that hold the same.
    #[inline]
    pub(crate) fn replaced(&self) -> &AtomicU32 {
        self.map.half(base(REPLACED))
    }

    /// Changes when a call is to change log files, and what goes on in the background is to give way to it.
    pub(crate) fn called(&self) -> &AtomicU32 {
        self.map.half(base(REPLACED) + 4)
    }

    /// Changes with every publication that has waiters.
    pub(crate) fn news(&self) -> &AtomicU32 {
        self.map.half(base(NEWS))
    }

    /// Set by a thread that is about to wait.
    pub(crate) fn awaited(&self) -> &AtomicU32 {
        self.map.half(base(NEWS) + 4)
    }

    /// Changes when targets have moved on, if there are waiters.
    pub(crate) fn moves(&self) -> &AtomicU32 {
        self.map.half(base(NEWS) + 8)
    }

    /// Set by a thread that is about to wait for it.
    pub(crate) fn moves_awaited(&self) -> &AtomicU32 {
        self.map.half(base(NEWS) + 12)
    }

    // Lines.

    /// Whether all that is read without the log's help can be made sense of.
    pub(crate) fn readable(&self) -> bool {
        self.log_state().is_ok() && self.index_state().is_ok() && self.words().all(|number| self.word(number).is_ok())
    }

    /// Let go of all locks: no process is left that could hold them.
    pub(crate) fn free_locks(&self) {
        for lock in [self.writer_lock(), self.growth_lock(), self.flush_lock(), self.reactions_lock()] {
            lock.store(0, Ordering::SeqCst);
        }
    }
}

/// The lead as a word holds it, which takes some two thousand years to either side.
fn lead_word(lead_ms: i64) -> u64 {
    (lead_ms.clamp(-LEAD_ZERO.cast_signed(), LEAD_ZERO.cast_signed()) + LEAD_ZERO.cast_signed()).cast_unsigned()
}
