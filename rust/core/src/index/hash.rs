//! The hash table: name → key number. A bucket is a line of twelve numbers and a byte of each one's hash; a full bucket
//! overflows into the next. A table that is too full is copied into one of twice the size.

use act_fast_sys::prefetch;

use crate::bytes::{put_narrow, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::log::record::KeyKind;
use crate::shared::line::{LINE_BYTES, Line};
use crate::shared::line_file::Grown;

use super::{HEAD_LINES, Index, Key, TABLES, file_name, key_line};

const BUCKET_ENTRIES: usize = 12;
const TAGS_AT: usize = 48;
const BITS_MIN: u8 = 4;

/// The hash that names are found by.
#[inline]
pub(crate) fn hash(kind: KeyKind, text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), kind as u64)
}

/// A name, its hash, and which key it seems to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Near<'a> {
    pub(crate) kind: KeyKind,
    pub(crate) text: &'a str,
    pub(crate) hash: u64,
    pub(crate) key: Option<u32>,
    /// What that key says, if it has this hash.
    found: Option<Key>,
}

impl<'a> Near<'a> {
    /// A name of which nothing is known yet, or which key it seems to be.
    #[inline]
    pub(crate) fn new(kind: KeyKind, text: &'a str, hash: u64, key: Option<u32>) -> Self {
        Self { kind, text, hash, key, found: None }
    }
}

/// The buckets of the hash table in use, for hints: what they say is not checked.
#[derive(Clone, Copy)]
pub(crate) struct Buckets<'a> {
    table: &'a Grown,
    mask: u64,
}

impl Buckets<'_> {
    /// Begin to fetch what `find_hashed` looks at first for a name with this hash.
    #[inline]
    pub(crate) fn fetch(self, hash: u64) {
        if let Some(bucket) = self.table.hint(HEAD_LINES + (hash & self.mask)) {
            prefetch(bucket);
        }
    }

    /// Which key it looks at next.
    #[inline]
    fn candidate(self, hash: u64) -> Option<u32> {
        let bucket = crate::shared::line::load(self.table.hint(HEAD_LINES + (hash & self.mask))?);
        candidates(&bucket, hash).next()
    }
}

/// The most keys in a table with 2^bits buckets: 60 % full.
pub(super) fn capacity(bits: u8) -> u64 {
    ((BUCKET_ENTRIES as u64 * 6) << bits) / 10
}

#[inline]
fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8
}

#[inline]
fn entry(bucket: &Line, slot: usize) -> Option<u32> {
    u32_at(bucket, slot * 4).checked_sub(1)
}

/// The numbers in a bucket of the names that may have this hash, in order.
#[inline]
fn candidates(bucket: &Line, hash: u64) -> impl Iterator<Item = u32> + use<'_> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const LOWS: u64 = ONES * 0x7f;
    // The highest bit of each byte that is the tag.
    let same = |word: u64| {
        let other = word ^ (ONES * u64::from(tag(hash)));
        !(((other & LOWS) + LOWS) | other | LOWS)
    };
    let mut left = [same(u64_at(bucket, TAGS_AT)), same(u64_at(bucket, TAGS_AT + 8)) & u64::from(u32::MAX)];
    std::iter::from_fn(move || {
        let (word, before) = if left[0] != 0 { (&mut left[0], 0) } else { (&mut left[1], 8) };
        if *word == 0 {
            return None;
        }
        let slot = before + word.trailing_zeros() as usize / 8;
        *word &= *word - 1;
        // Slots are taken in order, so nothing stands behind a free one.
        entry(bucket, slot)
    })
}

impl Index {
    pub(super) fn table(&self, bits: u8) -> Result<&Grown> {
        let cell = self.tables.get(usize::from(bits)).ok_or_else(|| self.damaged(TABLES, 0))?;
        if let Some(table) = cell.get() {
            return Ok(table);
        }
        let area = TABLES + bits;
        let name = file_name(self.generation, area);
        let table = Grown::open(&self.disk, name, area, &self.control.store_id, self.generation, self.writable)?;
        Ok(cell.get_or_init(|| table))
    }

    /// The buckets in use.
    #[inline]
    pub(crate) fn buckets(&self) -> Option<Buckets<'_>> {
        let bits = self.bits().ok()?;
        Some(Buckets { table: self.table(bits).ok()?, mask: (1 << bits) - 1 })
    }

    /// Begin to fetch the key that `find_hashed` looks at; its number.
    #[inline]
    pub(crate) fn fetch_key(&self, buckets: Buckets<'_>, hash: u64) -> Option<u32> {
        let number = buckets.candidate(hash)?;
        prefetch(self.keys.hint(key_line(number))?);
        Some(number)
    }

    /// Begin to fetch what is looked at next where this is the key: its text, and the line that its next posting goes to.
    #[inline]
    pub(crate) fn fetch_rest(&self, number: u32) {
        let line = self.keys.hint(key_line(number));
        if let Some(key) = line.and_then(|line| Key::decode(&crate::shared::line::load(line))) {
            self.fetch_behind(&key);
        }
    }

    /// Begin to fetch the text of a key, and the line that its next posting goes to. Nothing of the key needs to have been
    /// checked.
    #[inline]
    fn fetch_behind(&self, key: &Key) {
        if let Some(text) = key.text_hint(&self.segments) {
            prefetch(text);
        }
        self.fetch_tail(key);
    }

    /// Read the key that a name seems to be, and begin to fetch what is looked at next. Only for the holder of the writer's
    /// lock, who uses what was read before it changes.
    #[inline]
    pub(crate) fn look(&self, near: &mut Near<'_>) {
        near.found = None;
        let Some(number) = near.key else { return };
        // Whatever is wrong with it is said by those who need it.
        if let Ok(key) = self.key(number)
            && (key.hash, key.kind) == (near.hash, near.kind)
        {
            self.fetch_behind(&key);
            near.found = Some(key);
        }
    }

    /// What is known of a key that may be the one with this name; None where it is not.
    #[inline]
    pub(crate) fn find_at(&self, number: u32, kind: KeyKind, hash: u64, text: &str) -> Result<Option<Key>> {
        let key = self.key(number)?;
        Ok((key.hash == hash && key.kind == kind && key.is(text, &self.segments)?).then_some(key))
    }

    /// The number of the key with this name, and what is known of it.
    #[inline]
    pub(crate) fn find(&self, kind: KeyKind, text: &str) -> Result<Option<(u32, Key)>> {
        self.find_hashed(kind, hash(kind, text), text)
    }

    /// The same for a name of which something was found out before.
    #[inline]
    pub(crate) fn find_near(&self, near: &Near<'_>) -> Result<Option<(u32, Key)>> {
        let Near { kind, text, hash, .. } = *near;
        if let Some(number) = near.key {
            let found = match &near.found {
                Some(key) => key.is(text, &self.segments)?.then_some(*key),
                None => self.find_at(number, kind, hash, text)?,
            };
            if let Some(key) = found {
                return Ok(Some((number, key)));
            }
        }
        self.find_hashed(kind, hash, text)
    }

    /// The same for a name whose hash is known.
    pub(crate) fn find_hashed(&self, kind: KeyKind, hash: u64, text: &str) -> Result<Option<(u32, Key)>> {
        let mut bits = self.bits()?;
        loop {
            let found = self.find_in(bits, hash, kind, text);
            let now = self.bits()?;
            // A table that was outgrown meanwhile may lack the key, or be gone.
            if now == bits || matches!(found, Ok(Some(_))) {
                return found;
            }
            bits = now;
        }
    }

    fn find_in(&self, bits: u8, hash: u64, kind: KeyKind, text: &str) -> Result<Option<(u32, Key)>> {
        let table = self.table(bits)?;
        let mask = (1u64 << bits) - 1;
        for step in 0..=mask {
            let bucket = self.read(table, HEAD_LINES + ((hash + step) & mask))?;
            for number in candidates(&bucket, hash) {
                if let Some(key) = self.find_at(number, kind, hash, text)? {
                    return Ok(Some((number, key)));
                }
            }
            if entry(&bucket, BUCKET_ENTRIES - 1).is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Put a key's number where its hash says. Doing so twice changes nothing.
    pub(super) fn insert(&self, bits: u8, hash: u64, number: u32) -> Result<()> {
        let table = self.table(bits)?;
        let mask = (1u64 << bits) - 1;
        for step in 0..=mask {
            let at = HEAD_LINES + ((hash + step) & mask);
            let mut bucket = self.read(table, at)?;
            for slot in 0..BUCKET_ENTRIES {
                match entry(&bucket, slot) {
                    Some(taken) if taken == number => return Ok(()),
                    Some(_) => {}
                    None => {
                        put_narrow::<4>(&mut bucket, slot * 4, u64::from(number) + 1);
                        bucket[TAGS_AT + slot] = tag(hash);
                        return self.put(table, at, &mut bucket);
                    }
                }
            }
        }
        Err(Error::index_damaged(&file_name(self.generation, TABLES + bits), 0))
    }

    /// Have a larger table, that takes `keys` keys, where `present` are there already.
    #[cold]
    pub(super) fn reserve_table(&self, present: u32, keys: u64) -> Result<()> {
        let bits = self.bits()?;
        let mut wider = bits;
        while keys > capacity(wider) {
            wider += 1;
        }
        let fresh = self.make_table(wider)?;
        for number in 0..present {
            let hash = self.key(number)?.hash;
            Self::place_in(&fresh, wider, hash, number)?;
        }
        let cell = self.tables.get(usize::from(wider)).ok_or_else(|| self.damaged(TABLES, 0))?;
        if cell.set(fresh).is_err() {
            return Err(self.damaged(TABLES, 0));
        }
        self.set_bits(wider);
        // Nobody misses the old one; should it stay, it goes when the index is rebuilt.
        let _ = self.disk.remove(&file_name(self.generation, TABLES + bits));
        Ok(())
    }

    /// The smallest table, for an index that begins.
    pub(super) fn first_table(&self) -> Result<()> {
        let table = self.make_table(BITS_MIN)?;
        self.tables[usize::from(BITS_MIN)].set(table).map_err(|_| self.damaged(TABLES, 0))?;
        self.set_bits(BITS_MIN);
        Ok(())
    }

    /// An empty table. Its buckets are sound lines from the start: one of zeros is damage, not emptiness.
    fn make_table(&self, bits: u8) -> Result<Grown> {
        let area = TABLES + bits;
        let buckets = 1u64 << bits;
        let name = file_name(self.generation, area);
        let table = Grown::create(&self.disk, name, area, &self.control.store_id, self.generation, buckets)?;
        for number in HEAD_LINES..HEAD_LINES + buckets {
            let mut bucket = [0; LINE_BYTES];
            crate::shared::line::seal(&mut bucket, table.address(number));
            crate::shared::line::store(table.shared(number)?, &bucket);
        }
        Ok(table)
    }

    /// `insert` for a table that nobody uses yet.
    fn place_in(table: &Grown, bits: u8, hash: u64, number: u32) -> Result<()> {
        let mask = (1u64 << bits) - 1;
        let mut at = hash & mask;
        loop {
            let line = HEAD_LINES + at;
            let mut bucket = crate::shared::line::load(table.shared(line)?);
            if let Some(slot) = (0..BUCKET_ENTRIES).find(|slot| entry(&bucket, *slot).is_none()) {
                put_narrow::<4>(&mut bucket, slot * 4, u64::from(number) + 1);
                bucket[TAGS_AT + slot] = tag(hash);
                crate::shared::line::seal(&mut bucket, table.address(line));
                crate::shared::line::store(table.shared(line)?, &bucket);
                return Ok(());
            }
            at = (at + 1) & mask;
        }
    }
}
