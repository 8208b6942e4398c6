//! A packed log file: the bytes of a sealed one, compressed block by block, with what it takes to find them.
//!
//! Readers go on asking for bytes at places. A packed file has an *image*: fresh memory of the size of the bytes it holds,
//! into which blocks are unpacked when they are first asked for. Layout in `docs/format.md`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use act_fast_sys::Map;
use zstd::zstd_safe::{DCtx, DDict};

use crate::bytes::{put_narrow, u32_at, u64_at};
use crate::disk::DiskFile;
use crate::error::{Doing, Error, Result};
use crate::log::header::{HEADER_BYTES, Header};

/// Where the contents are told.
pub(crate) const CONTENTS_AT: usize = HEADER_BYTES as usize;
pub(crate) const CONTENTS_BYTES: usize = 64;
const SECTIONS_AT: usize = CONTENTS_AT + CONTENTS_BYTES;
/// What each block has in the table: where it ends, and the checksum of its bytes, unpacked.
const BLOCK_ENTRY_BYTES: usize = 8;
/// What each text has in its table: its offset in the segment, and where it begins among the texts.
const TEXT_ENTRY_BYTES: usize = 8;
/// How many bytes a block may have, unpacked.
const BLOCK_MAX_BYTES: usize = 1 << 20;

thread_local! {
    /// What unpacks, and where to.
    static UNPACKING: RefCell<(Option<DCtx<'static>>, Vec<u8>)> = const { RefCell::new((None, Vec::new())) };
}

/// What a packed file holds, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// How many bytes it is, unpacked: up to the end of its last record.
    pub(crate) plain_bytes: u64,
    /// How many bytes a block has, unpacked: a power of two.
    pub(crate) block_bytes: u32,
    pub(crate) blocks: u32,
    pub(crate) dictionary_bytes: u32,
    pub(crate) texts: u32,
    pub(crate) text_bytes: u64,
    /// How many bytes all blocks have, packed.
    pub(crate) packed_bytes: u64,
    /// The positions of the first and the last event; equal to the one before where there is none.
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    /// The checksum of the last record, which the next file's first one repeats.
    pub(crate) last_crc: u32,
    /// The checksum of all between the contents and the blocks.
    pub(crate) sections_crc: u32,
}

impl Contents {
    pub(crate) fn encode(&self) -> [u8; CONTENTS_BYTES] {
        let mut bytes = [0; CONTENTS_BYTES];
        put_narrow::<6>(&mut bytes, 0, self.plain_bytes);
        put_narrow::<4>(&mut bytes, 6, u64::from(self.block_bytes));
        put_narrow::<4>(&mut bytes, 10, u64::from(self.blocks));
        put_narrow::<4>(&mut bytes, 14, u64::from(self.dictionary_bytes));
        put_narrow::<4>(&mut bytes, 18, u64::from(self.texts));
        put_narrow::<6>(&mut bytes, 22, self.text_bytes);
        put_narrow::<6>(&mut bytes, 28, self.packed_bytes);
        put_narrow::<5>(&mut bytes, 34, self.first_position);
        put_narrow::<5>(&mut bytes, 39, self.last_position);
        put_narrow::<4>(&mut bytes, 44, u64::from(self.last_crc));
        put_narrow::<4>(&mut bytes, 48, u64::from(self.sections_crc));
        let crc = crc32c::crc32c(&bytes[..60]);
        put_narrow::<4>(&mut bytes, 60, u64::from(crc));
        bytes
    }

    /// None when they are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < CONTENTS_BYTES || crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return None;
        }
        let six = |at: usize| u64_at(bytes, at) & ((1 << 48) - 1);
        let five = |at: usize| u64_at(bytes, at) & ((1 << 40) - 1);
        let found = Self {
            plain_bytes: six(0),
            block_bytes: u32_at(bytes, 6),
            blocks: u32_at(bytes, 10),
            dictionary_bytes: u32_at(bytes, 14),
            texts: u32_at(bytes, 18),
            text_bytes: six(22),
            packed_bytes: six(28),
            first_position: five(34),
            last_position: five(39),
            last_crc: u32_at(bytes, 44),
            sections_crc: u32_at(bytes, 48),
        };
        let size = found.block_bytes as usize;
        let sane = size.is_power_of_two()
            && size <= BLOCK_MAX_BYTES
            && found.plain_bytes.div_ceil(size as u64) == u64::from(found.blocks);
        sane.then_some(found)
    }

    /// Where the table of blocks begins.
    fn table_at(&self) -> usize {
        SECTIONS_AT + self.dictionary_bytes as usize
    }

    /// Where the table of texts begins.
    fn texts_at(&self) -> usize {
        self.table_at() + self.blocks as usize * BLOCK_ENTRY_BYTES
    }

    /// Where the first block begins.
    pub(crate) fn blocks_at(&self) -> usize {
        self.texts_at() + self.texts as usize * TEXT_ENTRY_BYTES + self.text_bytes as usize
    }
}

/// The checksum of a block's bytes, unpacked and packed. Tied to the store and to its place.
pub(crate) fn block_crc(store_id: &[u8; 16], place: u64, plain: &[u8], packed: &[u8]) -> u32 {
    let start = crc32c::crc32c_append(crc32c::crc32c(store_id), &place.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(start, plain), packed)
}

/// A packed log file that is open.
pub(crate) struct Packed {
    name: String,
    header: Header,
    pub(crate) contents: Contents,
    file: Map,
    dictionary: DDict<'static>,
    image: Map,
    /// Which blocks the image has.
    present: Box<[AtomicBool]>,
    /// Held by whoever puts a block into the image.
    filling: Mutex<()>,
    /// How many bytes all images of a handle have.
    filled_bytes: Arc<AtomicU64>,
    shift: u32,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Packed")
            .field("name", &self.name)
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}

impl Packed {
    /// Open a packed file whose header has been read.
    pub(crate) fn open(
        file: &dyn DiskFile,
        name: &str,
        header: &Header,
        filled_bytes: &Arc<AtomicU64>,
    ) -> Result<Self> {
        let what = || format!("mapping {name}");
        let len = usize::try_from(file.len().doing(|| format!("measuring {name}"))?).unwrap_or(usize::MAX);
        let damaged = |at: usize, what: &str| Error::corrupt(name, at as u64, None, what);
        if len < SECTIONS_AT {
            return Err(damaged(0, "this packed log file is shorter than its header"));
        }
        let map = file.map(0, len, false).doing(what)?;
        let contents = Contents::decode(map.bytes(CONTENTS_AT, CONTENTS_BYTES))
            .filter(|contents| contents.plain_bytes <= header.segment_bytes)
            .ok_or_else(|| damaged(CONTENTS_AT, "what this packed log file says of its contents is damaged"))?;
        let blocks_at = contents.blocks_at();
        if len < blocks_at.saturating_add(contents.packed_bytes as usize) {
            return Err(damaged(len, "this packed log file is shorter than it says"));
        }
        let sections = map.bytes(SECTIONS_AT, blocks_at - SECTIONS_AT);
        if crc32c::crc32c(sections) != contents.sections_crc {
            return Err(damaged(
                SECTIONS_AT,
                "the dictionary, the table or the names of this packed log file are damaged",
            ));
        }
        let dictionary = DDict::try_create(&sections[..contents.dictionary_bytes as usize])
            .ok_or_else(|| damaged(SECTIONS_AT, "the dictionary of this packed log file cannot be used"))?;
        let image = Map::anonymous((contents.plain_bytes as usize).max(1)).doing(what)?;
        let present = (0..contents.blocks).map(|_| AtomicBool::new(false)).collect();
        Ok(Self {
            name: name.to_owned(),
            header: *header,
            contents,
            file: map,
            dictionary,
            image,
            present,
            filling: Mutex::new(()),
            filled_bytes: Arc::clone(filled_bytes),
            shift: contents.block_bytes.trailing_zeros(),
        })
    }

    /// Some bytes, unpacked; None beyond the end.
    #[inline]
    pub(crate) fn within(&self, at: usize, len: usize) -> Result<Option<&[u8]>> {
        let Some(end) = at.checked_add(len).filter(|end| *end as u64 <= self.contents.plain_bytes) else {
            return Ok(None);
        };
        if len > 0 {
            for block in at >> self.shift..=(end - 1) >> self.shift {
                if !self.present[block].load(Ordering::Acquire) {
                    self.fill(block)?;
                }
            }
        }
        Ok(Some(self.image.bytes(at, len)))
    }

    /// Where the block at an offset ends.
    pub(crate) fn block_end(&self, at: usize) -> usize {
        let end = ((at >> self.shift) + 1) << self.shift;
        end.min(self.contents.plain_bytes as usize)
    }

    /// The text at an offset, without unpacking anything; None when none begins there.
    pub(crate) fn text(&self, at: usize, len: usize) -> Option<&[u8]> {
        let count = self.contents.texts as usize;
        let table = self.file.bytes(self.contents.texts_at(), count * TEXT_ENTRY_BYTES);
        let offset = |number: usize| u32_at(table, number * TEXT_ENTRY_BYTES) as usize;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if offset(middle) < at { low = middle + 1 } else { high = middle }
        }
        if low == count || offset(low) != at {
            return None;
        }
        let start = u32_at(table, low * TEXT_ENTRY_BYTES + 4) as usize;
        let end = start.checked_add(len).filter(|end| *end as u64 <= self.contents.text_bytes)?;
        let texts_at = self.contents.texts_at() + count * TEXT_ENTRY_BYTES;
        Some(self.file.bytes(texts_at + start, end - start))
    }

    /// All of the file as it is on disk.
    pub(crate) fn raw(&self) -> &[u8] {
        self.file.bytes(0, self.contents.blocks_at() + self.contents.packed_bytes as usize)
    }

    /// A block as it is in the file, where it is there, and the checksum of its bytes.
    fn block(&self, number: usize) -> Result<(&[u8], usize, u32)> {
        let table = self.file.bytes(self.contents.table_at(), self.contents.blocks as usize * BLOCK_ENTRY_BYTES);
        let end_of = |number: usize| u32_at(table, number * BLOCK_ENTRY_BYTES) as usize;
        let start = if number == 0 { 0 } else { end_of(number - 1) };
        let end = end_of(number);
        let at = self.contents.blocks_at() + start;
        if start > end || end as u64 > self.contents.packed_bytes {
            return Err(Error::corrupt(&*self.name, at as u64, None, "the table of this packed log file is damaged"));
        }
        Ok((self.file.bytes(at, end - start), at, u32_at(table, number * BLOCK_ENTRY_BYTES + 4)))
    }

    /// Unpack a block into the image.
    #[cold]
    fn fill(&self, number: usize) -> Result<()> {
        let (packed, at, crc) = self.block(number)?;
        let start = number << self.shift;
        let len = self.block_end(start) - start;
        let place = self.header.number * self.header.segment_bytes + start as u64;
        UNPACKING.with_borrow_mut(|(context, plain)| {
            plain.clear();
            plain.reserve(len);
            let unpacked =
                context.get_or_insert_with(DCtx::create).decompress_using_ddict(plain, packed, &self.dictionary);
            if unpacked != Ok(len) || block_crc(&self.header.store_id, place, plain, packed) != crc {
                let what = format!("the packed bytes that hold the log from byte {start} of this file on are damaged");
                return Err(Error::corrupt(&*self.name, at as u64, None, &what));
            }
            let _one = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.present[number].load(Ordering::Relaxed) {
                self.image.populate(start, len);
                self.image.write(start, plain);
                self.present[number].store(true, Ordering::Release);
                self.filled_bytes.fetch_add(len as u64, Ordering::Relaxed);
            }
            Ok(())
        })
    }
}
